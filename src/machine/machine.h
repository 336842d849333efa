/* SPDX-License-Identifier: MIT
 * A machine from the inside: where processor, VMCS, page tables and memory are joined. */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "isa/x86/isa.h"
#include "isa/x86/uop.h"
#include "nestor.h"
#include "paging/tlb.h"
#include "paging/walk.h"
#include "vmcs/capability.h"
#include "vmcs/check.h"
#include "vmcs/intercept.h"
#include "vmcs/reason.h"
#include "vmcs/region.h"

enum {
  PAGE_BITS = 12,
  PAGE_BYTES = 1 << PAGE_BITS,
  CPU_LIMIT = 8,
  NATIVE_PAGES = 16,
  NATIVE_NESTING = 64,
  BANK_COUNT = 16,
  REACH_COUNT = 1 << 14 /* encodings have 15 bits, the lowest selects the half */
};
#define VMCS_NONE UINT64_MAX

/* What a store into a page must also do. */
enum page_flag {
  PAGE_CODE = 1,   /* decoded instructions of it are cached */
  PAGE_VMCS = 2,   /* it is, or was, a VMCS region: stores are looked at */
  PAGE_NATIVE = 4, /* its entry points call C code */
  PAGE_ACTIVE = 8  /* that VMCS is active: entry checks must run again after a store */
};

/* TLB permission bit beside enum walk_permission: usable at CPL 0 to 2 (WALK_USER: at CPL 3). */
enum { TLB_SUPERVISOR = 16 };

/* The instructions of a native page, each at its own offset. */
enum native_insn {
#define NATIVE_INSN(name, offset, ...) INSN_##name,
#include "src/machine/native.def"
  INSN_COUNT
};

struct native_page {
  uint64_t page; /* host-physical */
  nst_native_fn handler;
  void *context;
};

/* A field, and where it lies in a region; offset 0 = none. */
struct vmx_reach {
  uint16_t offset, field;
};

/* VMX state of a processor that is not in any register file. */
struct vmx {
  bool on;
  bool nonroot;
  uint64_t vmxon_pointer;
  uint64_t current; /* host-physical address of the current VMCS, VMCS_NONE */
  struct vmcs vmcs; /* view of the current VMCS */
  /* In force in non-root operation, VMX_CONTROLS_SIZE bytes in one piece. */
  struct vmcs shadow; /* view of the VMCS that the link pointer names; region NULL if none */
  struct vmcs_bitmaps bitmaps;
  uint64_t pin, primary, secondary, exit_controls, entry_controls;
  uint64_t ep4ta;     /* as in struct tlb_tag, 0 = no EPT */
  uint16_t vpid_used; /* 0 = VPIDs not enabled */
  bool ept, vpid;
  /* Per field of this processor: may VMREAD, may VMWRITE, significant bits, and what of
   * vmcs_header.checked another value makes stale. */
  bool readable[FIELD_COUNT], writable[FIELD_COUNT];
  uint64_t mask[FIELD_COUNT];
  uint32_t stale[FIELD_COUNT];
  /* By encoding >> 1: what its full access reaches. */
  struct vmx_reach reach[REACH_COUNT];
};

/* What a bank mirrors: bits of vmcs_header.checked above those of the check groups. */
enum bank_part { BANK_CONTROLS = 1 << 8, BANK_GUEST = 1 << 9, BANK_HOST = 1 << 10 };
enum {
  VMX_CONTROLS_FIRST = offsetof(struct vmx, shadow),
  VMX_CONTROLS_SIZE = offsetof(struct vmx, readable) - VMX_CONTROLS_FIRST,
  /* DR7, segments, tables, EFER, PAT, DEBUGCTL and SYSENTER MSRs of struct x86_state. */
  BANK_STATE_FIRST = offsetof(struct x86_state, dr) + 7 * sizeof(uint64_t),
  BANK_STATE_SIZE = offsetof(struct x86_state, star) - BANK_STATE_FIRST
};

/* Of one VMCS; bank.c. */
struct bank {
  uint64_t vmcs; /* host-physical address, VMCS_NONE = unused */
  uint8_t controls[VMX_CONTROLS_SIZE];
  uint8_t guest[BANK_STATE_SIZE], host[BANK_STATE_SIZE];
};

/* What may have to be done between two instructions. */
enum cpu_event {
  EVENT_INTERRUPT = 1, /* a bit of `request` is set */
  EVENT_NMI = 2,
  EVENT_WINDOW = 4,     /* interrupt-window exiting is in force */
  EVENT_NMI_WINDOW = 8, /* NMI-window exiting is */
  EVENT_TIMER = 16      /* the VMX-preemption timer has reached 0 */
};
#define TIMER_OFF UINT64_MAX

struct nst_cpu {
  struct isa_x86 isa; /* first: callbacks get the cpu as their context */
  struct vmx vmx;
  struct tlb tlb;
  struct nst_machine *machine;
  unsigned index;
  uint64_t feature_control, apic_base, misc_enable;
  uint64_t msr_misc[4];
  struct nst_counters counters;
  unsigned events;     /* enum cpu_event; 0: nothing to look for */
  uint64_t timer_end;  /* isa.instructions at which the VMX-preemption timer is 0, TIMER_OFF */
  uint64_t request[4]; /* bit per vector of the external interrupts raised */
  uint64_t observed_operand; /* for the next exit event */
  /* Native software. */
  struct isa_uop native_uop[INSN_COUNT];
  unsigned nesting;                      /* native handlers open */
  uint64_t native_base[NATIVE_NESTING];  /* linear address of each open handler's native page */
  uint64_t native_frame[NATIVE_NESTING]; /* and its host-physical page */
  uint64_t native_fetched; /* host-physical address of the last fetch that hit a native page */
  /* Running. */
  struct nst_stop stop;
  uint64_t mark;          /* linear address to stop at, 0 = none */
  uint64_t budget_end;    /* isa.instructions at which to stop */
  uint64_t stalled;       /* exits and faults since an instruction completed */
  uint64_t stalled_limit; /* how many end the run */
  unsigned floor;         /* handlers open when nst_run was called: deeper loops do not stall */
  volatile sig_atomic_t interrupted;
  const volatile int *interrupt;      /* of the configuration, never NULL */
  bool driven_control;                /* control came back to the caller's own level */
  uint64_t driven_gpr[X86_GPR_COUNT]; /* its guest's registers, while it has control */
};

struct nst_machine {
  struct vmcs_capability capability;
  struct vmcs_layout layout;
  uint8_t *memory;
  uint64_t memory_size;
  uint8_t *page_flag; /* one byte per page, enum page_flag */
  struct native_page native[NATIVE_PAGES];
  unsigned native_count;
  struct nst_cpu *cpu[CPU_LIMIT];
  unsigned cpu_count;
  struct bank bank[BANK_COUNT];
  struct nst_observer observer[NST_OBSERVERS];
  unsigned observer_count;
  unsigned vmx_observers; /* of them, those that want VMX instructions */
  void *stack; /* of src/hypervisor: levels and where they live; freed with the machine */
  struct nst_owner stack_owner;
  bool (*idle)(void *context, struct nst_cpu *cpu); /* or NULL */
  void *idle_context;
  char error[512];
};

/* Remembers the sentence and returns the status. */
enum nst_status machine_fail(struct nst_machine *machine, enum nst_status status,
                             const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Stops the processor for good with a sentence (kind NST_STOP_ERROR). */
enum isa_step cpu_die(struct nst_cpu *cpu, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- memory.c: host-physical memory */
static inline bool memory_has(const struct nst_machine *machine, uint64_t physical, uint64_t size) {
  return physical < machine->memory_size && machine->memory_size - physical >= size;
}
/* Host pointer of the page of a physical address, or NULL outside memory. */
static inline uint8_t *memory_page(const struct nst_machine *machine, uint64_t physical) {
  physical &= ~(uint64_t)(PAGE_BYTES - 1);
  return memory_has(machine, physical, PAGE_BYTES) ? machine->memory + physical : 0;
}
bool memory_load64(void *machine, struct host_phys address, uint64_t *value);
bool memory_store64(void *machine, struct host_phys address, uint64_t value);
bool memory_read32(void *machine, uint64_t physical, uint32_t *value);
/* Bytes of this page are about to change, or have changed: drops what was derived from them. */
void memory_touched(struct nst_machine *machine, uint64_t physical);
void memory_flag(struct nst_machine *machine, uint64_t physical, enum page_flag flag);
void memory_unflag(struct nst_machine *machine, uint64_t physical, enum page_flag flag);

/* ---- access.c: linear memory */
enum isa_step cpu_load(void *cpu, uint64_t linear, unsigned size, uint64_t *value);
enum isa_step cpu_store(void *cpu, uint64_t linear, unsigned size, uint64_t value);
enum isa_step cpu_load_for_write(void *cpu, uint64_t linear, unsigned size, uint64_t *value);
enum isa_step cpu_fetch(void *cpu, uint64_t linear, const uint8_t **bytes, uint64_t *frame);
/* Host-physical page that code at a linear address would be fetched from; no side effect. */
bool cpu_code_page(struct nst_cpu *cpu, uint64_t linear, uint64_t *page);
/* Host-physical address of a linear one under the tables in force; no side effect. */
bool cpu_probe(struct nst_cpu *cpu, uint64_t linear, unsigned access, uint64_t *physical);
/* Recomputes the TLB tag after anything it depends on changed. */
void cpu_retag(struct nst_cpu *cpu);
enum isa_step cpu_invlpg(void *cpu, uint64_t linear);

/* ---- register.c: control registers and MSRs */
enum isa_step cpu_read_cr(void *cpu, unsigned cr, uint64_t *value);
enum isa_step cpu_write_cr(void *cpu, unsigned cr, uint64_t value);
enum isa_step cpu_read_msr(void *cpu, uint32_t msr, uint64_t *value);
enum isa_step cpu_write_msr(void *cpu, uint32_t msr, uint64_t value);
void cpu_cpuid(void *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
uint64_t cpu_tsc(void *cpu);

/* ---- port.c */
enum isa_step cpu_port_in(void *cpu, uint16_t port, unsigned size, uint32_t *value);
enum isa_step cpu_port_out(void *cpu, uint16_t port, unsigned size, uint32_t value);

/* ---- intercept.c: does this exit? */
enum isa_step cpu_intercept(void *cpu, const struct isa_request *request);
enum isa_step cpu_exception(void *cpu, const struct isa_fault *fault);

/* ---- vmx.c: VMX instructions */
enum isa_step cpu_vmx(void *cpu, const struct isa_request *request);

/* ---- bank.c: state of VMCSs in the processor's form */
/* What of a bank, as bits of vmcs_header.checked, a field is a source of. */
extern const uint32_t bank_parts[FIELD_COUNT];
static inline struct bank *bank_slot(struct nst_machine *machine, uint64_t vmcs) {
  return &machine->bank[(vmcs >> PAGE_BITS) % BANK_COUNT];
}
/* The bank of a VMCS that is about to be entered. */
struct bank *bank_claim(struct nst_machine *machine, uint64_t vmcs);
/* That of the current VMCS, NULL if it was dropped since it was entered. */
static inline struct bank *bank_find(struct nst_cpu *cpu) {
  struct bank *bank = bank_slot(cpu->machine, cpu->vmx.current);
  return bank->vmcs == cpu->vmx.current ? bank : 0;
}
/* The region is no longer watched, or was written as memory. */
void bank_drop(struct nst_machine *machine, uint64_t vmcs);
/* The bytes of struct x86_state that banks hold. */
static inline uint8_t *bank_state(struct nst_cpu *cpu) {
  return (uint8_t *)&cpu->isa.state + BANK_STATE_FIRST;
}

/* Copies them in pieces that compilers turn into a few moves, not a string instruction. */
static inline void bank_copy(uint8_t *to, const uint8_t *from) {
  enum { PIECE = 64, WHOLE = BANK_STATE_SIZE / PIECE * PIECE };
  for (size_t at = 0; at < WHOLE; at += PIECE) memcpy(to + at, from + at, PIECE);
  memcpy(to + WHOLE, from + WHOLE, BANK_STATE_SIZE - WHOLE);
}

/* ---- entry.c, exit.c: the two transitions */
enum isa_step cpu_enter(struct nst_cpu *cpu, bool launch);
enum isa_step cpu_exit(struct nst_cpu *cpu, const struct vmcs_exit *exit);
/* Loads the host-state area; shared by VM exits and failed entries. */
void cpu_load_host(struct nst_cpu *cpu, struct bank *bank);

/* ---- event.c */
/* After an entry or exit: are windows to be watched for? */
void cpu_watch_windows(struct nst_cpu *cpu);
/* The VMX-preemption timer: started at an entry; its value now, for an exit. */
void cpu_start_timer(struct nst_cpu *cpu);
uint32_t cpu_timer_value(const struct nst_cpu *cpu);
/* Does what comes first of the events that are due and not blocked; false if there is none. */
bool cpu_take_event(struct nst_cpu *cpu);
/* The processor has halted: the same, asking the machine's owner for what comes next. */
bool cpu_wake(struct nst_cpu *cpu);

/* ---- observe.c */
void observe_exit(struct nst_cpu *cpu, const struct vmcs_exit *exit, uint64_t rip);
void observe_entry(struct nst_cpu *cpu, bool launch);
/* Executes a VMX instruction that takes effect here, or tells of one that is about to exit; only
 * called if machine->vmx_observers. */
enum isa_step observe_vmx(struct nst_cpu *cpu, const struct isa_request *r, uint32_t reason,
                          enum isa_step (*execute)(struct nst_cpu *cpu,
                                                   const struct isa_request *r));
void observe_vmx_exit(struct nst_cpu *cpu, const struct isa_request *r, uint32_t reason);

/* ---- native.c: native software and the run loop */
struct native_page *native_find(struct nst_machine *machine, uint64_t physical);
/* Executes one instruction of the native page in control; comes back when it has completed. */
enum isa_step native_execute(struct nst_cpu *cpu, enum native_insn insn);
/* Runs until stop.kind is set or control is back at `base` + offset of the instruction. */
void cpu_run(struct nst_cpu *cpu);
bool native_init(struct nst_cpu *cpu);

#endif
