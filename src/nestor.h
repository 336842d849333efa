/* SPDX-License-Identifier: MIT
 * nestor.h: VMX without VMX hardware, for people who test hypervisor logic.
 *
 * A machine holds processors and memory. A processor behaves as the Intel manual says a VMX
 * processor does (SDM = Intel 64 and IA-32 Architectures Software Developer's Manual): root and
 * non-root operation, one current VMCS, exits and entries. Hypervisors stacked on it (L0, L1, ...)
 * are software: machine code, registered C handlers ("native" software), or your test. The calls
 * nst_vmread, nst_vmlaunch, ... execute the instruction as the software that has control, at its
 * own level: at L0 it takes effect, deeper it exits when the controls say so.
 *
 * Nothing here prints, exits the process, keeps a caller's pointer (other than those it says it
 * keeps), or uses a global variable: two machines live side by side. Calls on different machines
 * may run on different threads; calls on one machine may not. */
#ifndef NESTOR_H
#define NESTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NST_FIELD_*, NST_EXIT_*, NST_VMXERR_*: generated from the .def lists. */
#include "nst_encodings.h"

#ifdef __cplusplus
extern "C" {
#if defined(__GNUC__) /* nst_cpu() and struct nst_cpu share a name, as in C */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif
#endif

#if defined(__GNUC__)
#define NST_API __attribute__((visibility("default")))
#else
#define NST_API
#endif

/* ---- Version ------------------------------------------------------------------------------- */

#define NST_VERSION_MAJOR 0
#define NST_VERSION_MINOR 1
#define NST_VERSION_PATCH 0
/* "0.1.0"; static storage. */
NST_API const char *nst_version(void);

/* ---- Outcomes ------------------------------------------------------------------------------ */
/* Three channels never mix: what the architecture answers (enum nst_vmx_result, stops), what the
 * caller got wrong (enum nst_status, negative), and our own bugs (assertions). */

struct nst_machine; /* memory and processors; the only long-lived handle */
struct nst_cpu;     /* one logical processor of a machine; lives as long as the machine */

/* Host-side outcome of a call. Never used for what a guest can cause. */
enum nst_status {
  NST_OK = 0,
  NST_E_INVAL = -1, /* an argument is out of its range or an unknown name */
  NST_E_NOMEM = -2, /* the host has no memory */
  NST_E_RANGE = -3, /* an address lies outside the memory asked about */
  NST_E_STATE = -4  /* the machine is not in a state where the call makes sense */
};

/* Architectural outcome of a VMX instruction, SDM 3C "Conventions". */
enum nst_vmx_result {
  NST_VMX_SUCCEED,
  NST_VMX_FAIL_INVALID,
  NST_VMX_FAIL_VALID, /* the number is in NST_FIELD_VM_INSTRUCTION_ERROR of the current VMCS */
  NST_VMX_FAULT       /* #UD, #GP, ...: see nst_pending_fault */
};

enum nst_stop_kind {
  NST_STOP_NONE,
  NST_STOP_EXIT,         /* a VM exit was delivered to the level that the caller drives */
  NST_STOP_ENTRY_FAILED, /* VM entry refused; stop.reason holds the VM-instruction error */
  NST_STOP_MARK,         /* a guest reached an address given to nst_stop_at */
  NST_STOP_HALT,         /* HLT with nobody to exit to */
  NST_STOP_SHUTDOWN,     /* triple fault with nobody to exit to */
  NST_STOP_BUDGET,       /* the budget of instructions is used up */
  NST_STOP_ERROR         /* the machine cannot go on; nst_error says why in a sentence */
};

struct nst_stop {
  enum nst_stop_kind kind;
  uint32_t reason;        /* NST_STOP_EXIT: basic exit reason */
  uint64_t qualification; /* NST_STOP_EXIT */
};

/* ---- Machine ------------------------------------------------------------------------------- */

struct nst_config {
  size_t size;           /* sizeof(struct nst_config), set by nst_config_init */
  uint64_t memory;       /* bytes of host-physical memory, multiple of 2 MiB, at most 64 GiB */
  const char *processor; /* capability profile: "haswell", "broadwell-pml", "skylake-x", ... */
  bool vmcs_shadowing;   /* false takes that control out of the profile */
  bool tlb;              /* false: every access walks the tables (slow, for tests) */
  uint64_t layout_seed;  /* 0: default VMCS layout; else a permuted one */
  unsigned cpus;         /* 1 to 8 */
  const volatile int *interrupt; /* may be NULL; while it is not 0, runs end as by nst_interrupt */
};

/* Fills in the defaults: 512 MiB, "haswell", shadowing and TLB on, one processor. */
NST_API void nst_config_init(struct nst_config *config);
/* Creates a machine; the caller destroys it. NST_E_INVAL: bad memory size, unknown processor. */
NST_API enum nst_status nst_machine_create(struct nst_machine **out,
                                           const struct nst_config *config);
NST_API void nst_machine_destroy(struct nst_machine *machine);
/* What a stack builder hangs on a machine, one at most. `describe` fills in reason and
 * qualification of a stop at the level that the caller drives; looking only. Either may be NULL. */
struct nst_owner {
  void (*destroy)(void *owned);
  void (*describe)(void *owned, const struct nst_cpu *cpu, struct nst_stop *stop);
};
NST_API void nst_machine_own(struct nst_machine *machine, void *owned,
                             const struct nst_owner *owner);
NST_API void *nst_machine_owned(const struct nst_machine *machine);
NST_API struct nst_machine *nst_machine_of(const struct nst_cpu *cpu);
/* Processor `index`, or NULL. */
NST_API struct nst_cpu *nst_cpu(struct nst_machine *machine, unsigned index);
/* The sentence that belongs to the last failed call or NST_STOP_ERROR; "" if none. Valid until the
 * next call on the machine. */
NST_API const char *nst_error(const struct nst_machine *machine);

/* ---- Processor state and memory ------------------------------------------------------------ */

enum nst_reg {
  NST_REG_RAX,
  NST_REG_RCX,
  NST_REG_RDX,
  NST_REG_RBX,
  NST_REG_RSP,
  NST_REG_RBP,
  NST_REG_RSI,
  NST_REG_RDI,
  NST_REG_R8,
  NST_REG_R9,
  NST_REG_R10,
  NST_REG_R11,
  NST_REG_R12,
  NST_REG_R13,
  NST_REG_R14,
  NST_REG_R15,
  NST_REG_RIP,
  NST_REG_RFLAGS,
  NST_REG_CR0,
  NST_REG_CR2,
  NST_REG_CR3,
  NST_REG_CR4,
  NST_REG_XCR0
};

/* Registers of the processor as they are now, whoever is running. Never exits, never counts. */
NST_API uint64_t nst_reg_read(const struct nst_cpu *cpu, enum nst_reg reg);
NST_API void nst_reg_write(struct nst_cpu *cpu, enum nst_reg reg, uint64_t value);

/* Host-physical memory, `size` bytes; NST_E_RANGE outside. Looking and poking from outside. */
NST_API enum nst_status nst_mem_read(struct nst_machine *machine, uint64_t physical, void *out,
                                     size_t size);
NST_API enum nst_status nst_mem_write(struct nst_machine *machine, uint64_t physical,
                                      const void *bytes, size_t size);
/* Linear memory through the tables in force, without exits or accessed bits; NST_E_RANGE where
 * they do not translate. */
NST_API enum nst_status nst_mem_read_linear(struct nst_cpu *cpu, uint64_t linear, void *out,
                                            size_t size);
/* Host-physical address of a linear one through the tables in force; NST_E_RANGE if none. */
NST_API enum nst_status nst_translate(struct nst_cpu *cpu, uint64_t linear, uint64_t *physical);

/* ---- Native software ----------------------------------------------------------------------- */
/* A native page is a page of ordinary instructions that C code executes one at a time: each call
 * below is one real instruction of that page, with RIP and register operands. When an instruction
 * exits, the call returns only after the lower levels have completed it. */

enum nst_native_entry {
  NST_NATIVE_START, /* offset 0x00: first control */
  NST_NATIVE_EXIT,  /* offset 0x10: HOST_RIP, a VM exit arrived */
  NST_NATIVE_FAILED /* behind VMLAUNCH or VMRESUME: the entry failed */
};
/* What the handler's last instruction is; the run loop issues it after the handler returned. */
enum nst_native_end { NST_NATIVE_RESUME, NST_NATIVE_LAUNCH, NST_NATIVE_STOP };
enum { NST_NATIVE_OFFSET_START = 0x00, NST_NATIVE_OFFSET_EXIT = 0x10 };
/* Handler of vector v in software whose IDT points here: 0x300 + 8 * v, v below 256. The call whose
 * instruction faulted (v below 32) returns NST_VMX_FAULT or false; the others are interrupts, which
 * only nst_wait_interrupt lets in: the software of a native page runs with RFLAGS.IF clear. */
enum { NST_NATIVE_OFFSET_FAULT = 0x300 };

/* Software of a level. Keeps no state in C between calls: that lives in its level's memory. */
typedef enum nst_native_end (*nst_native_fn)(struct nst_cpu *cpu, void *context,
                                             enum nst_native_entry entry);

/* Fills the 4-KiB page at host-physical `page` with the native instructions and has `handler`
 * called when a processor fetches at one of its entry points. `context` is kept. */
NST_API enum nst_status nst_native_register(struct nst_machine *machine, uint64_t page,
                                            nst_native_fn handler, void *context);
/* The caller itself is the software of the native page (registered with a NULL handler) at linear
 * address `base`, and has control now. NST_E_STATE: a handler is open, or it is no native page. */
NST_API enum nst_status nst_drive(struct nst_cpu *cpu, uint64_t base);
/* While the driven level has control: the 16 general registers of its guest (RSP is in the VMCS).
 */
NST_API uint64_t *nst_guest_gpr(struct nst_cpu *cpu);

/* ---- Instructions -------------------------------------------------------------------------- */
/* Executed as the native software (or the test) that has control. Results are what the software
 * at that level sees. RAX, RCX, RDX (CPUID: RBX too) are clobbered, as in real code. */

NST_API enum nst_vmx_result nst_vmxon(struct nst_cpu *cpu, uint64_t physical);
NST_API enum nst_vmx_result nst_vmxoff(struct nst_cpu *cpu);
NST_API enum nst_vmx_result nst_vmclear(struct nst_cpu *cpu, uint64_t physical);
NST_API enum nst_vmx_result nst_vmptrld(struct nst_cpu *cpu, uint64_t physical);
NST_API enum nst_vmx_result nst_vmptrst(struct nst_cpu *cpu, uint64_t *physical);
NST_API enum nst_vmx_result nst_vmread(struct nst_cpu *cpu, uint32_t field, uint64_t *value);
NST_API enum nst_vmx_result nst_vmwrite(struct nst_cpu *cpu, uint32_t field, uint64_t value);
NST_API enum nst_vmx_result nst_invept(struct nst_cpu *cpu, uint64_t type, uint64_t eptp);
NST_API enum nst_vmx_result nst_invvpid(struct nst_cpu *cpu, uint64_t type, uint16_t vpid,
                                        uint64_t linear);
/* A test's own VM entry, at the level that it drives. NST_VMX_SUCCEED: the guest runs when nst_run
 * is called. Native handlers return NST_NATIVE_LAUNCH or _RESUME instead. */
NST_API enum nst_vmx_result nst_vmlaunch(struct nst_cpu *cpu);
NST_API enum nst_vmx_result nst_vmresume(struct nst_cpu *cpu);

NST_API uint64_t nst_load(struct nst_cpu *cpu, uint64_t linear, unsigned size); /* 1, 2, 4, 8 */
NST_API void nst_store(struct nst_cpu *cpu, uint64_t linear, unsigned size, uint64_t value);
/* MOVs between general registers and their slots [RSP + 8 * reg], one for each register whose bit
 * is set: how native software saves and restores its guest's registers. */
NST_API void nst_save_regs(struct nst_cpu *cpu, uint16_t regs);
NST_API void nst_restore_regs(struct nst_cpu *cpu, uint16_t regs);
/* False: the instruction faulted (#GP). */
NST_API bool nst_rdmsr(struct nst_cpu *cpu, uint32_t msr, uint64_t *value);
NST_API bool nst_wrmsr(struct nst_cpu *cpu, uint32_t msr, uint64_t value);
NST_API void nst_cpuid(struct nst_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
NST_API uint32_t nst_in(struct nst_cpu *cpu, uint16_t port, unsigned size); /* 1, 2 or 4 bytes */
NST_API void nst_out(struct nst_cpu *cpu, uint16_t port, unsigned size, uint32_t value);
NST_API uint64_t nst_read_cr(struct nst_cpu *cpu, unsigned cr); /* 0, 2, 3, 4 */
NST_API void nst_write_cr(struct nst_cpu *cpu, unsigned cr, uint64_t value);
NST_API uint64_t nst_read_dr(struct nst_cpu *cpu, unsigned dr); /* 0 to 3, 6, 7 */
NST_API void nst_write_dr(struct nst_cpu *cpu, unsigned dr, uint64_t value);
NST_API void nst_xsetbv(struct nst_cpu *cpu, uint32_t index, uint64_t value);
NST_API void nst_lgdt(struct nst_cpu *cpu, uint64_t base, uint16_t limit);
NST_API void nst_lidt(struct nst_cpu *cpu, uint64_t base, uint16_t limit);
NST_API void nst_hlt(struct nst_cpu *cpu);
NST_API void nst_vmcall(struct nst_cpu *cpu);
/* STI and HLT: waits for an interrupt, which comes through the IDT of the level to its native page
 * (see NST_NATIVE_OFFSET_FAULT). Returns its vector, or 0 if the software was resumed without one.
 */
NST_API unsigned nst_wait_interrupt(struct nst_cpu *cpu);

/* What faulted when a call returned NST_VMX_FAULT or false. */
struct nst_fault {
  uint8_t vector;
  bool has_error_code;
  uint32_t error_code;
};
NST_API struct nst_fault nst_pending_fault(const struct nst_cpu *cpu);

/* ---- Running ------------------------------------------------------------------------------- */

/* Runs until control reaches the level that the caller drives, a mark, or the budget of guest
 * instructions is used up. Only instructions that complete in the guest count, and of those only
 * such as no hypervisor can intercept (they are its time, the same whatever is intercepted); a
 * million more exits and faults than that without one in between end the run as well. */
NST_API enum nst_status nst_run(struct nst_cpu *cpu, uint64_t budget, struct nst_stop *stop);
/* Stops whenever a guest is about to execute at this linear address; 0 takes the mark away. */
NST_API void nst_stop_at(struct nst_cpu *cpu, uint64_t linear);
/* Raises an external interrupt, or an NMI, of the processor: taken between two instructions, when
 * nothing masks or blocks it, by a VM exit or through the IDT of whoever runs. The highest vector
 * goes first. NST_E_INVAL: the vector is not one of 16 to 255. */
NST_API enum nst_status nst_raise_interrupt(struct nst_cpu *cpu, unsigned vector);
NST_API void nst_raise_nmi(struct nst_cpu *cpu);
/* Called when a processor has halted and nothing is there to wake it: raises what comes next and
 * returns true, or returns false, which ends nst_run with NST_STOP_HALT. `context` is kept; NULL
 * takes it away. */
NST_API void nst_on_idle(struct nst_machine *machine,
                         bool (*idle)(void *context, struct nst_cpu *cpu), void *context);
/* From another thread or a signal handler: nst_run returns soon with NST_STOP_BUDGET. */
NST_API void nst_interrupt(struct nst_cpu *cpu);

/* ---- Asking why ---------------------------------------------------------------------------- */

/* All failed entry checks of the VMCS region at host-physical `vmcs`, in the manual's order.
 * Writes at most `limit` texts (static storage, "id: rule"); returns how many failed. */
NST_API size_t nst_check_entry(struct nst_cpu *cpu, uint64_t vmcs, const char **texts,
                               size_t limit);

/* A field of the VMCS region at host-physical `vmcs`; UINT64_MAX for the current one. Never exits,
 * never counts; 0 where there is none. */
NST_API uint64_t nst_peek_vmcs(const struct nst_cpu *cpu, uint64_t vmcs, uint32_t field);

/* ---- Observing ----------------------------------------------------------------------------- */
/* Observers change nothing: a run with and without them is the same. */

enum nst_arch { NST_ARCH_VMX, NST_ARCH_SVM, NST_ARCH_ARM64 };

struct nst_exit_event {
  enum nst_arch arch;
  unsigned cpu;
  uint64_t context; /* VMX: host-physical address of the VMCS that ran */
  uint32_t reason;  /* with bit 31 for a failed entry */
  uint64_t qualification;
  uint64_t rip;
  uint64_t detail;       /* MSR, port, field encoding, or linear address of a memory operand */
  uint64_t operand;      /* VMPTRLD, VMCLEAR, VMXON: the pointer at the memory operand */
  uint64_t instructions; /* guest time */
};
struct nst_entry_event {
  enum nst_arch arch;
  unsigned cpu;
  uint64_t context;
  bool launch;
  uint64_t rip;
  uint64_t rflags;
  uint64_t instructions;
};
/* A VMX instruction, whoever executed it. One that exits is told before its exit; VMLAUNCH and
 * VMRESUME in root operation before they take effect; all others once they are complete, so one
 * that faulted is not told. */
struct nst_vmx_event {
  enum nst_arch arch;
  unsigned cpu;
  uint64_t context;     /* root operation: the current VMCS; else the VMCS that runs its guest */
  bool root;            /* executed in VMX root operation */
  bool exits;           /* to the software in root operation, otherwise it took effect */
  bool failed;          /* took effect as VMfail; of VMLAUNCH and VMRESUME not known yet */
  uint32_t instruction; /* its exit reason: NST_EXIT_VMREAD, ... */
  uint64_t field;       /* VMREAD, VMWRITE: the encoding; INVEPT, INVVPID: the type */
  uint64_t operand;     /* VMPTRLD, VMCLEAR, VMXON: the pointer at the memory operand */
  uint64_t value;       /* VMWRITE: what it writes; VMREAD that took effect: what it read */
  uint64_t rip;
  uint64_t instructions; /* guest time */
};
/* Callbacks that are not wanted are NULL. */
struct nst_observer {
  void *context;
  void (*exit)(void *context, struct nst_cpu *cpu, const struct nst_exit_event *event);
  void (*entry)(void *context, struct nst_cpu *cpu, const struct nst_entry_event *event);
  void (*vmx)(void *context, struct nst_cpu *cpu, const struct nst_vmx_event *event);
};
enum { NST_OBSERVERS = 4 };
/* Attaches (copied; context kept) or detaches by context. NST_E_RANGE: too many. */
NST_API enum nst_status nst_observe(struct nst_machine *machine,
                                    const struct nst_observer *observer);
NST_API void nst_unobserve(struct nst_machine *machine, const void *context);

/* Instructions executed by native software so far, whether they exited or not. */
struct nst_counters {
  uint64_t vmread, vmwrite, vmptrld, vmclear, vmentry, invalidate;
  uint64_t rdmsr, wrmsr, memory, other;
  uint64_t exits;
};
NST_API struct nst_counters nst_counters(const struct nst_cpu *cpu);

/* ---- Exit budgets --------------------------------------------------------------------------- */
/* What a block of code causes in exits, from nst_budget_begin on: how many, of what, to whom, and
 * which came of which. An observer, one for each open budget. */

enum { NST_LEVELS = 8, NST_EXIT_REASONS = 128 };
#define NST_ANY_REASON UINT32_MAX

/* By level and basic exit reason, which is the processor's: a hypervisor may pass an exit on with
 * another. */
struct nst_exit_counts {
  uint64_t from[NST_LEVELS][NST_EXIT_REASONS]; /* VM exits, by the level of the guest that exited */
  uint64_t to[NST_LEVELS][NST_EXIT_REASONS]; /* given to the software of a level: at 0 all of them,
                                              * deeper those that were reflected to it */
};
struct nst_budget;

/* Opens a budget on a processor of a stack, or of a machine that has a guest at level 1 at most.
 * NULL: no memory, or too many observers. The caller ends it, before the machine goes. */
NST_API struct nst_budget *nst_budget_begin(struct nst_cpu *cpu);
NST_API void nst_budget_end(struct nst_budget *budget); /* NULL is fine */
/* A snapshot: what was counted until now. All 0 for NULL. */
NST_API void nst_exit_counts(const struct nst_budget *budget, struct nst_exit_counts *counts);
/* What came between two snapshots of one budget. `difference` may be one of them. */
NST_API void nst_exit_counts_diff(const struct nst_exit_counts *before,
                                  const struct nst_exit_counts *after,
                                  struct nst_exit_counts *difference);
/* Exits to the software of `level`, of one basic reason or NST_ANY_REASON; 0 beyond the limits. */
NST_API uint64_t nst_exit_counts_to(const struct nst_exit_counts *counts, unsigned level,
                                    uint32_t reason);
/* Writes the counts by level and reason and then the causal tree, a line an exit under the one that
 * it came of; cut to size - 1 characters. Returns how many the whole text has. */
NST_API size_t nst_budget_text(const struct nst_budget *budget, char *text, size_t size);

/* ---- A stack of hypervisors ---------------------------------------------------------------- */
/* The bundled nestable hypervisor at levels 0 to depth - 1, and a guest at level `depth`. */

/* How guest hypervisors (level 1 and deeper) reach the fields of their VMCS. */
enum nst_vmcs_access {
  NST_VMCS_ACCESS_SHADOW, /* VMREAD and VMWRITE, served by a shadow VMCS where the processor can */
  NST_VMCS_ACCESS_TRAP,   /* VMREAD and VMWRITE, which always exit */
  NST_VMCS_ACCESS_MEMORY  /* loads and stores in the region; their parent copies it in one batch at
                             entries and exits. The caller's own level, if `driven`, traps. */
};

struct nst_stack_config {
  size_t size;            /* sizeof(struct nst_stack_config), set by nst_stack_config_init */
  unsigned depth;         /* level of the innermost guest, 1 to NST_DEPTH_LIMIT */
  const char *profile[8]; /* of the hypervisor at each level: "kvm-6.1", ...: see `nestor list` */
  uint64_t guest_memory;  /* bytes of the innermost guest, multiple of 2 MiB */
  bool eager;             /* back the innermost guest's memory beforehand */
  bool first_touch[8];    /* and of level 1 and more, not beforehand but on first touch */
  enum nst_vmcs_access vmcs_access;
  bool driven;           /* the hypervisor at level depth - 1 is the caller's own code */
  bool shadow_paging[8]; /* of the hypervisor at each level: no EPT for its guest */
};
enum { NST_DEPTH_LIMIT = 6 };

NST_API void nst_stack_config_init(struct nst_stack_config *config);
/* Why nst_stack_create would refuse this configuration: part of a sentence, static storage; NULL if
 * it would not. */
NST_API const char *nst_stack_refusal(const struct nst_stack_config *config);
/* Creates a machine big enough (config->memory is ignored) and boots the stack on its processor 0:
 * every hypervisor runs VMXON, sets up its guest's VMCS and enters it, with real instructions. With
 * `driven` it ends at level depth - 1, in 64-bit mode with VMXON done, ready for nst_* calls.
 * Otherwise the innermost guest stands at its first instruction. */
NST_API enum nst_status nst_stack_create(struct nst_machine **out, const struct nst_config *config,
                                         const struct nst_stack_config *stack);

/* Loads code for the guest at `level`, the child of the level that the caller drives, and makes the
 * driven level's current VMCS valid for it: 64-bit mode, flat segments, RSP at the end of its
 * first 2 MiB, RIP at the code; ready for nst_vmlaunch. At most 64 KiB of code.
 * NST_E_STATE: `level` is not the driven level + 1. */
NST_API enum nst_status nst_guest_prepare(struct nst_cpu *cpu, unsigned level, const void *code,
                                          size_t size);

/* Looking without acting, by level: never exits, never counts. The VMCS field as software of
 * `level` would read it from its current VMCS; 0 where it has none. */
NST_API uint64_t nst_peek_field(const struct nst_cpu *cpu, unsigned level, uint32_t field);
/* A register of the guest at `level`, wherever the levels above keep it. */
NST_API uint64_t nst_peek_reg(const struct nst_cpu *cpu, unsigned level, enum nst_reg reg);
NST_API void nst_poke_reg(struct nst_cpu *cpu, unsigned level, enum nst_reg reg, uint64_t value);
/* Host-physical address of a guest-physical address of `level`; UINT64_MAX if outside. */
NST_API uint64_t nst_level_memory(const struct nst_cpu *cpu, unsigned level, uint64_t address);
/* Level of the innermost guest; 0 without a stack. */
NST_API unsigned nst_stack_depth(const struct nst_machine *machine);
/* VM exits delivered to the software of `level` so far: at 0 the hardware's, deeper the reflected.
 */
NST_API uint64_t nst_exits_to(const struct nst_cpu *cpu, unsigned level);
/* VMCS accesses of level `level`'s hypervisor that its profile does not list. */
NST_API uint64_t nst_unlisted(const struct nst_cpu *cpu, unsigned level);

/* ---- Names --------------------------------------------------------------------------------- */

/* "CPUID", "MSR_READ", ...; "?" where the number is not assigned. Static storage. */
NST_API const char *nst_exit_name(uint32_t reason);
/* "GUEST_RIP"; "?" where the encoding names no field. */
NST_API const char *nst_field_name(uint32_t encoding);
/* Text of a VM-instruction error number. */
NST_API const char *nst_vmx_error_text(uint32_t number);

#ifdef __cplusplus
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
}
#endif

#endif
