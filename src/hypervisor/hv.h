/* SPDX-License-Identifier: MIT
 * The nestable hypervisor from the inside. All its lasting state is struct hv_state in its own
 * level's memory, reached by loads and stores; struct hv is what a handler keeps in registers and
 * on its stack while it handles one exit. It runs at any level and does not know which. */
#ifndef HYPERVISOR_HV_H
#define HYPERVISOR_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/hypervisor/profile.h"
#include "src/nestor.h"
#include "vmcs/capability.h"
#include "vmcs/control.h"
#include "vmcs/field.h"
#include "vmcs/reason.h"

/* ---- where things are in a hypervisor's memory (its own physical = linear addresses) */
enum hv_layout {
  HV_NATIVE_PAGE = 0x1000,
  HV_PML4 = 0x2000,
  HV_PDPT = 0x3000,
  HV_PD = 0x4000,
  HV_GDT = 0x5000,
  HV_TSS = 0x5800,
  HV_IDT = 0x6000, /* 256 gates into the native page */
  HV_STATE = 0x8000,
  HV_VMXON_REGION = 0xd000,
  HV_FIRST_REGION = 0xe000, /* HV_REGION_COUNT VMCS regions */
  HV_MSR_BITMAP = 0x11000,
  HV_MERGED_MSR_BITMAP = 0x12000,
  HV_VMREAD_BITMAP = 0x13000,
  HV_VMWRITE_BITMAP = 0x14000,
  HV_POOL = 0x200000,
  HV_POOL_END = 0x37d0000,
  HV_DOUBT_LIST = 0x37d0000,  /* shadow paging: guest tables that may have changed */
  HV_SHADOW_ROWS = 0x37e0000, /* its tables */
  HV_PAGE_INFO = 0x3800000,   /* and what it knows of each page of the guest */
  HV_CHILD_BASE = 0x4000000   /* its guest's memory, 64 MiB up */
};
/* The innermost guest's boot image, in its topmost 2 MiB: offsets from the start of those. */
enum hv_guest_layout {
  HV_GUEST_IMAGE = 0x200000, /* size */
  HV_GUEST_PML4 = 0x2000,
  HV_GUEST_PDPT = 0x3000,
  HV_GUEST_PD = 0x4000, /* four of them: 4 GiB mapped one to one */
  HV_GUEST_GDT = 0x8000,
  HV_GUEST_TSS = 0x8800,
  HV_GUEST_IDT = 0x9000,     /* 256 gates */
  HV_GUEST_STUBS = 0xa000,   /* 16 bytes for each vector: exceptions leave, interrupts return */
  HV_GUEST_RESUME = 0xb000,  /* where the player wants the guest to go on after an exception */
  HV_GUEST_FAULTED = 0xb008, /* a byte: 1 + vector of the last exception, 0 = none */
  HV_GUEST_LEAVE = 0xb010,   /* the code that goes there */
  HV_GUEST_CODE = 0x10000,
  HV_GUEST_BUFFER = 0x100000, /* for string I/O */
  HV_GUEST_STACK = 0x1ff000
};

_Static_assert(VMCS_FEATURE_COUNT <= 64, "features fit one word");
/* Further flags: the next merge must look at everything; or at single fields, one bit each from
 * HV_MERGE_FIRST on (change.c). */
#define HV_MERGE_ALL (UINT64_C(1) << 31)
#define HV_MERGE_FIRST (UINT64_C(1) << 32)
enum {
  HV_REVISION = 0x4e535431,
  HV_CPUID_ROWS = 24,
  HV_EPT_SLOTS = 8,
  HV_MSR_SLOTS = 8,
  HV_ROW_MSRS = 7
};
enum { HV_SHADOW_LIMIT = 4096, HV_DOUBT_LIMIT = 512 };
#define HV_NO_VMCS UINT64_MAX
enum { HV_TIMER_VECTOR = 0x30 }; /* of every hypervisor's own timer, as its kernel sets its PIC */
#define HV_DR6_RESET 0xffff0ff0

enum hv_flag {
  HV_IN_NESTED = 1 << 0,    /* the merged region is what runs */
  HV_GUEST_IS_VMX = 1 << 1, /* the guest is offered VMX */
  HV_GUEST_VMXON = 1 << 2,
  HV_RARE_DIRTY = 1 << 3,    /* the guest hypervisor wrote a rarely copied field */
  HV_RARE_STALE = 1 << 4,    /* its rare guest state is newer in the merged region */
  HV_PUSH_DUE = 1 << 5,      /* the shadow VMCS must be filled before it runs */
  HV_LAUNCHED = 1 << 6,      /* << region, for the first two */
  HV_EAGER = 1 << 9,         /* back the guest's memory beforehand */
  HV_XCR0_DIFFERS = 1 << 11, /* the guest's XCR0 is not this hypervisor's */
  HV_XCR0_LOADED = 1 << 12,  /* and is in the register */
  HV_FIRST_ENTRY = 1 << 10,  /* the last entry was a VMLAUNCH: void if it failed */
  HV_DEBUG_LENT = 1 << 13,   /* the guest has the debug registers to itself */
  HV_TIMER_LINE = 1 << 14,   /* the guest's timer has raised its line of the PIC */
  /* enum nst_vmcs_access, as the builder of the stack fixed it */
  HV_TRAPS_VMCS = 1 << 20,      /* the guest's VMREAD and VMWRITE always exit */
  HV_GRANTS_VMCS = 1 << 21,     /* the guest reaches its VMCS in memory */
  HV_VMCS_GRANTED = 1 << 22,    /* this hypervisor does so with its own */
  HV_VMX_LEFT = 1 << 23,        /* VMXOFF: nothing is current, HV_REGION_CURRENT was last */
  HV_SHADOW_PAGING = 1 << 24,   /* no EPT for its guest, whatever the processor offers */
  HV_FLUSH_DUE = 1 << 25,       /* cached translations must go before the next entry */
  HV_ACTIVITY_SET = 1 << 26,    /* the nested guest was entered in another state than active */
  HV_GUEST_RESTRICTED = 1 << 27 /* its guest hypervisor enters it without 'unrestricted guest' */
};

/* Eight-byte words only; the general registers' save area comes first (nst_save_reg). */
struct hv_state {
  uint64_t gpr[16];
  uint64_t operand[2]; /* nst_vmptrld and friends put memory operands here */
  uint64_t cr2;
  uint64_t flags;    /* enum hv_flag */
  uint64_t features; /* bit per enum vmcs_feature of the processor below */
  uint64_t guest_size;
  uint64_t pool_next, pool_free;
  uint64_t eptp;         /* of the direct guest */
  uint64_t current;      /* the guest hypervisor's current VMCS (its own address), HV_NO_VMCS */
  uint64_t guest_vmxon;  /* its VMXON region */
  uint64_t launch_state; /* of that VMCS */
  uint64_t current_revision;
  uint64_t checked;   /* groups of entry checks that it passed and that no write touched since */
  uint64_t last_vpid; /* that the guest hypervisor gave its guest */
  uint64_t guest_cr3; /* of the direct guest, where it is not in the VMCS */
  uint64_t physical_bits;
  uint64_t root_key[2], root[2]; /* shadow that each region runs on, own and merged */
  uint64_t shadow_count, doubt_count;
  uint64_t nested_eptp[HV_EPT_SLOTS], merged_eptp[HV_EPT_SLOTS], next_slot;
  uint64_t host_xcr0, guest_xcr0;
  uint64_t dr[4], dr6;
  uint64_t retry_rip, retry_address; /* of the access that its guest was let try once more */
  uint64_t row_msr[HV_ROW_MSRS];     /* what rows of the profile read, for rows that write it */
  uint64_t port_irq_mask[2];
  uint64_t pic_step, pic_needs_icw4, pic_base, pic_in_service, pic_auto_end; /* the guest's */
  uint64_t pit_periodic, pit_has_low, pit_low, pit_count, pit_left;          /* its counter 0 */
  uint64_t own_left; /* counts until this hypervisor's own timer is due, as last set */
  uint64_t msr_number[HV_MSR_SLOTS], msr_value[HV_MSR_SLOTS];
  uint64_t capability[20];          /* MSRs 0x480 to 0x493 as the guest sees them */
  uint64_t own_cr_fixed[4];         /* CR0 fixed 0, fixed 1, CR4 fixed 0, fixed 1 below */
  uint64_t cpuid[HV_CPUID_ROWS][2]; /* eax | ebx << 32, ecx | edx << 32 */
  uint64_t copy[2][FIELD_COUNT];    /* control and host fields last written, own and merged */
  uint64_t vmcs12[FIELD_COUNT];     /* the guest hypervisor's current VMCS, cached */
  uint64_t unpushed;                /* fields of it that the shadow VMCS may lack (change.c) */
};

/* One VMCS region as known during one exit. */
enum { HV_KNOWN = 1, HV_IS_PENDING = 2 };
enum {
  HV_SET_WORDS = (FIELD_COUNT + 63) / 64,
  HV_SET_SIZE = 8 * HV_SET_WORDS,
  HV_FORGET_PIECE = 64, /* both together are whole pieces, which compilers clear by a few stores */
  HV_MARKS = (HV_SET_SIZE + FIELD_COUNT + HV_FORGET_PIECE - 1) / HV_FORGET_PIECE * HV_FORGET_PIECE -
             HV_SET_SIZE
};
struct hv_fields {
  uint64_t set[HV_SET_WORDS];  /* those that are pending, or were */
  uint8_t mark[HV_MARKS];      /* by field */
  uint64_t value[FIELD_COUNT]; /* as read or written */
  uint64_t next[FIELD_COUNT];  /* to be written */
};

/* A guest hypervisor's VMCS region as its parent lays it out, behind revision identifier and abort
 * indicator. Where the parent grants it (HV_GRANTS_VMCS), both sides use it so. */
enum hv_region_layout {
  HV_REGION_LAUNCHED = 8, /* 4 bytes */
  HV_REGION_DIRTY = 16,   /* 8 bytes: not 0 if a field outside HV_SHADOW_RW was written */
  HV_REGION_FIELDS = 64   /* 8 bytes each, in the order of enum vmcs_field */
};

/* What the builder of a stack fixes per level; never changes while it runs. */
struct hv_level {
  const struct hv_profile *profile;
  /* Counted here, read by reports; the hypervisor never looks at them. */
  uint64_t unlisted;
  uint64_t reflected;                    /* exits passed to the guest hypervisor */
  uint64_t own_exits[EXIT_REASON_LIMIT]; /* of its direct guest, by reason */
};

struct hv {
  struct nst_cpu *cpu;
  struct hv_level *level;
  const struct hv_profile *profile;
  uint64_t base; /* of struct hv_state */
  uint64_t flags;
  uint64_t features;
  enum hv_region region;            /* current, by hv_at */
  struct hv_fields *now;            /* of it */
  uint64_t copies;                  /* address of its part of hv_state.copy */
  bool user;                        /* completed in user space */
  bool has_unpushed;                /* hv_state.unpushed is here and may be newer */
  uint64_t unpushed;                /* change.c */
  uint8_t count_bytes, mask_writes; /* of its own timer and PIC, since it was last set */
  uint16_t saved;                   /* general registers of the guest that are in struct hv_state */
  uint8_t dirty;                    /* regions marked with HV_REGION_DIRTY, a bit each */
  struct hv_fields field[HV_REGION_COUNT];
};

/* ---- state.c: its own memory */
#define HV_AT(member) offsetof(struct hv_state, member)
uint64_t hv_load(struct hv *hv, size_t offset);
void hv_store(struct hv *hv, size_t offset, uint64_t value);
/* A general register of the guest other than RSP: saved now if no one has yet, for only the
 * scratch registers are the hypervisor's to change. */
static inline uint64_t hv_gpr(struct hv *hv, unsigned reg) {
  uint16_t bit = (uint16_t)(1u << reg);
  if (!(hv->saved & bit)) nst_save_regs(hv->cpu, bit);
  hv->saved |= bit;
  return hv_load(hv, 8 * reg);
}
static inline void hv_set_gpr(struct hv *hv, unsigned reg, uint64_t value) {
  hv->saved |= (uint16_t)(1u << reg);
  hv_store(hv, 8 * reg, value);
}
/* A field of the guest hypervisor's VMCS, cached. */
static inline uint64_t hv_vmcs12(struct hv *hv, enum vmcs_field field) {
  return hv_load(hv, HV_AT(vmcs12) + 8 * (size_t)field);
}
/* The same with a note for the shadow VMCS if it is another value (change.c). */
void hv_change_vmcs12(struct hv *hv, enum vmcs_field field, uint64_t value);
static inline void hv_set_vmcs12(struct hv *hv, enum vmcs_field field, uint64_t value) {
  if (hv->profile->on_demand)
    hv_change_vmcs12(hv, field, value);
  else
    hv_store(hv, HV_AT(vmcs12) + 8 * (size_t)field, value);
}
/* Few pages are left: caches (merged tables, MMIO entries) must give way or not grow. */
bool hv_pool_is_low(struct hv *hv);
/* A zeroed page of its pool. */
uint64_t hv_page_alloc(struct hv *hv);
void hv_page_free(struct hv *hv, uint64_t page);
bool hv_has(const struct hv *hv, enum vmcs_feature feature);
/* Virtual-interrupt delivery is of use to a hypervisor only with posted interrupts. */
static inline bool hv_has_apicv(const struct hv *hv) {
  return hv_has(hv, VMCS_HAS_INTERRUPT_DELIVERY) && hv_has(hv, VMCS_HAS_POSTED_INTERRUPTS);
}
/* A shadow VMCS serves the guest hypervisor's VMREAD and VMWRITE. */
bool hv_shadows(const struct hv *hv);

/* Registers that a native handler's own instructions use, and all but RSP. */
enum { HV_SCRATCH = 0x000f, HV_ALL = 0xffef };

/* ---- engine.c: routines, the per-exit cache, pending writes */
void hv_begin(struct hv *hv, struct nst_cpu *cpu, struct hv_level *level);
void hv_run(struct hv *hv, enum hv_routine routine);
/* Which region is current, as far as the hypervisor knows; no VMPTRLD. */
static inline void hv_at(struct hv *hv, enum hv_region region) {
  hv->region = region;
  hv->now = &hv->field[region];
  hv->copies = hv->base + HV_AT(copy) + 8 * (uint64_t)region * FIELD_COUNT;
}
uint64_t hv_read_on_demand(struct hv *hv, enum vmcs_field field);
/* The value of a field of the current region: pending, else read by a row, else read on demand. */
static inline uint64_t hv_get(struct hv *hv, enum vmcs_field field) {
  unsigned mark = hv->now->mark[field];
  if (mark & HV_IS_PENDING) return hv->now->next[field];
  return mark ? hv->now->value[field] : hv_read_on_demand(hv, field);
}
/* To be written before the next entry: by a row if one comes, on demand otherwise. */
static inline void hv_set_in(struct hv *hv, enum hv_region region, enum vmcs_field field,
                             uint64_t value) {
  struct hv_fields *fields = &hv->field[region];
  fields->next[field] = value;
  fields->mark[field] |= (uint8_t)HV_IS_PENDING;
  fields->set[field / 64] |= UINT64_C(1) << field % 64;
}
static inline void hv_set(struct hv *hv, enum vmcs_field field, uint64_t value) {
  hv_set_in(hv, hv->region, field, value);
}
/* What the software copy of a durable field holds (or is about to): no VMREAD. */
uint64_t hv_copy(struct hv *hv, enum hv_region region, enum vmcs_field field);
bool hv_knows(const struct hv *hv, enum hv_region region, enum vmcs_field field);
/* An event is to be injected at the next entry. */
bool hv_is_injecting(const struct hv *hv);
bool hv_is_pending(const struct hv *hv, enum hv_region region);
uint64_t hv_region_address(enum hv_region region);
/* Makes a region current, on demand, if no row did. */
void hv_need_region(struct hv *hv, enum hv_region region);
/* Writes what is still pending for the current region. */
void hv_flush(struct hv *hv);
enum nst_native_end hv_enter(struct hv *hv);
/* After an exit: its own XCR0 again, where the guest ran with another. */
void hv_take_xcr0(struct hv *hv);
/* The last entry of the current region did not happen. */
void hv_entry_failed(struct hv *hv);
bool hv_field_exists(const struct hv *hv, enum vmcs_field field);

/* ---- change.c: what profiles that copy on demand need not copy */
/* The guest hypervisor changed a field of its VMCS; it has another current VMCS. */
void hv_note_change(struct hv *hv, enum vmcs_field field);
void hv_note_current(struct hv *hv);
/* Makes pending in the shadow region what it lacks; false if that is nothing. */
bool hv_take_unpushed(struct hv *hv);
/* Makes pending in the merged region what changed; false: everything must be merged. */
bool hv_merge_changes(struct hv *hv);
void hv_merged_now(struct hv *hv);
/* Before the entry: what of this is not in the flags goes to memory. */
void hv_keep_changes(struct hv *hv);

/* ---- memory.c: the guest's memory and EPT */
/* EPT permissions and leaf types; SDM 3C "EPT Paging-Structure Entries". */
enum {
  HV_EPT_R = 1,
  HV_EPT_W = 2,
  HV_EPT_X = 4,
  HV_EPT_RWX = 7,
  HV_EPT_LARGE = 1 << 7,
  HV_EPT_ACCESSED = 1 << 8,
  HV_EPT_DIRTY = 1 << 9,
  HV_EPT_AD_ENABLE = 1 << 6,
  HV_EPT_WB = 6 << 3,
  HV_EPT_MMIO = HV_EPT_W | HV_EPT_X /* a misconfiguration on purpose */
};
/* Own address of a guest-physical one of the direct guest; UINT64_MAX outside its memory. */
uint64_t hv_guest_memory(struct hv *hv, uint64_t guest_physical);
/* Adds a translation; level 1 = 4 KiB, 2 = 2 MiB. `attributes`: permissions and memory type. */
void hv_ept_map(struct hv *hv, uint64_t eptp, uint64_t guest_physical, uint64_t target,
                unsigned level, uint64_t attributes);
uint64_t hv_ept_new(struct hv *hv, bool accessed_dirty);
/* Empties a table and frees what hangs under it. */
void hv_ept_zap(struct hv *hv, uint64_t eptp);
/* Own address of a linear address of whoever runs; false: not mapped. */
bool hv_guest_linear(struct hv *hv, uint64_t linear, uint64_t *own);
bool hv_read_guest(struct hv *hv, uint64_t linear, unsigned size, uint64_t *value);
bool hv_write_guest(struct hv *hv, uint64_t linear, unsigned size, uint64_t value);

/* ---- compose.c: EPT on EPT */
enum hv_fault { HV_FAULT_MAPPED, HV_FAULT_VIOLATION, HV_FAULT_MISCONFIG, HV_FAULT_LOG_FULL };
/* A nested guest's EPT violation: maps it into the merged table, or says whose fault it is.
 * *qualification is what the guest hypervisor is to see. */
enum hv_fault hv_compose(struct hv *hv, uint64_t guest_physical, uint64_t *qualification);
/* Merged EPTP that stands for this EPTP of the guest hypervisor. */
uint64_t hv_merged_eptp(struct hv *hv, uint64_t nested_eptp);
/* INVEPT by the guest hypervisor: drops merged translations of one EPTP, or of all (0). */
void hv_merged_invalidate(struct hv *hv, uint64_t nested_eptp);

/* ---- shadow.c, shadow_fault.c: paging without EPT. With EPT most of these do nothing. */
/* CR3 of the guest that runs, as it sees it. */
uint64_t hv_get_cr3(struct hv *hv);
void hv_set_cr3(struct hv *hv, enum hv_region region, uint64_t value);
bool hv_is_valid_cr3(struct hv *hv, uint64_t value);
/* The region's guest runs on the shadow of its tables from now on. */
void hv_use_shadow(struct hv *hv, enum hv_region region);
/* The guest that runs has dropped all cached translations, or those of one address. */
void hv_translations_dropped(struct hv *hv);
void hv_translation_dropped(struct hv *hv, uint64_t linear);
/* Before an entry: what the processor may have cached of changed shadows goes. */
void hv_flush_translations(struct hv *hv);
/* This hypervisor itself wrote to the guest's memory at this address of its own. */
void hv_shadow_written(struct hv *hv, uint64_t own);
void hv_handle_page_fault(struct hv *hv);
/* Of VM-exit interruption information: hardware exception 14, valid. */
static inline bool hv_is_page_fault(uint64_t info) {
  return (info >> 31 & 1) && (info & 0x7ff) == 0x30e;
}
/* VPID that a region's guest runs with. */
static inline uint16_t hv_vpid(enum hv_region region) {
  return region == HV_REGION_MERGED ? 2 : 1;
}

/* ---- handle.c: exits that this hypervisor handles itself */
void hv_handle(struct hv *hv, uint32_t reason);
void hv_skip(struct hv *hv);
/* After an exit: the debug registers that the guest had to itself are saved. */
void hv_take_debug(struct hv *hv);
void hv_inject(struct hv *hv, unsigned vector, bool has_error, uint32_t error);

/* ---- device.c, msr.c, emulate.c: what its guest's instructions do */
void hv_handle_io(struct hv *hv);
void hv_handle_rdmsr(struct hv *hv);
void hv_handle_wrmsr(struct hv *hv);
void hv_handle_cpuid(struct hv *hv);
void hv_cpuid_init(struct hv *hv);
void hv_msr_init(struct hv *hv);
void hv_handle_ept_violation(struct hv *hv);
void hv_handle_ept_misconfig(struct hv *hv);
/* The instruction at RIP, in software: it accessed an address without memory. */
void hv_emulate_access(struct hv *hv, uint64_t address);

/* ---- interrupt.c: the guest's PIC and PIT, the hypervisor's own timer */
bool hv_interrupt_port(unsigned port);
void hv_write_interrupt_port(struct hv *hv, unsigned port, uint64_t value);
uint8_t hv_own_port(struct hv *hv, unsigned port);
void hv_init_timer(struct hv *hv);
/* An interrupt of the hypervisor itself. */
void hv_host_interrupt(struct hv *hv, unsigned vector);
/* The guest halted: waits until it has an interrupt, or none will come. */
void hv_block(struct hv *hv);
void hv_close_window(struct hv *hv);
/* Gives the running guest the interrupt that is due, or asks for an exit when it can take it. */
void hv_deliver(struct hv *hv);
/* An interrupt is due that the guest hypervisor wants an exit of its guest for; and what it finds
 * in its VM-exit interruption information. */
bool hv_wants_interrupt(struct hv *hv);
uint64_t hv_take_interrupt(struct hv *hv);

/* ---- nested.c: a guest hypervisor's guest; vmx.c: a guest hypervisor's VMX instructions */
void hv_nested_exit(struct hv *hv, uint32_t reason);
void hv_nested_enter(struct hv *hv);
/* An exit that is not the processor's: reason, qualification, guest-physical address as given. */
void hv_reflect(struct hv *hv, uint32_t reason, uint64_t qualification, uint64_t guest_physical);
/* Does the guest hypervisor want this exception of its guest? */
bool hv_wants_exception(struct hv *hv, unsigned vector, uint64_t error);
/* The guest that runs shuts down, unless its hypervisor is to see the triple fault. */
void hv_triple_fault(struct hv *hv);
void hv_nested_push(struct hv *hv);
void hv_nested_pull(struct hv *hv);
void hv_rare_fetch(struct hv *hv);
void hv_handle_vmx(struct hv *hv, uint32_t reason);
/* VMREAD and VMWRITE of a nested guest that its hypervisor lets a shadow VMCS serve. */
bool hv_shadowed_access(struct hv *hv, uint32_t reason);
/* Forgets the current VMCS of the guest hypervisor, everything written back to its memory. */
void hv_release_current(struct hv *hv);
/* region.c: the guest hypervisor's current VMCS in its memory. */
void hv_region_read(struct hv *hv, uint64_t region);
void hv_region_write_back(struct hv *hv, uint64_t region);
/* Where it is granted to the guest hypervisor: all that it may have changed, before its guest is
 * entered; all that an exit changed, before it gets control; one field. */
void hv_region_pull(struct hv *hv);
void hv_region_push(struct hv *hv);
void hv_region_pull_field(struct hv *hv, enum vmcs_field field);
void hv_region_push_field(struct hv *hv, enum vmcs_field field);
/* check.c: the guest hypervisor's VMCS, before it is merged. False: it was told what is wrong. */
bool hv_check_entry(struct hv *hv);
/* A field changed that the checks may read. */
void hv_check_again(struct hv *hv, enum vmcs_field field);
/* MSR areas of the guest hypervisor, for whoever's region is current: 16-byte rows of index and
 * value. They return the number of the row that cannot be processed, or 0. */
uint64_t hv_load_msrs(struct hv *hv, enum vmcs_field area, enum vmcs_field count);
uint64_t hv_store_msrs(struct hv *hv);
/* The guest hypervisor's processor shuts down, as after a VMX abort or a triple fault. */
void hv_shut_down(struct hv *hv);
/* A refused entry of the merged region: told to the guest hypervisor. */
void hv_nested_refused(struct hv *hv);
/* An entry of the nested guest that an interrupt for its hypervisor ends before it runs. */
void hv_exit_at_once(struct hv *hv);
/* An entry of the nested guest that fails after its host state was accepted. */
void hv_failed_entry(struct hv *hv, uint32_t reason, uint64_t qualification);
/* The outcome of a VMX instruction, into the guest hypervisor's flags; RIP moves on. */
enum hv_outcome { HV_SUCCEED, HV_FAIL_INVALID, HV_FAIL_VALID };
void hv_vmx_done(struct hv *hv, enum hv_outcome outcome, uint32_t error);
bool hv_write_msr(struct hv *hv, uint32_t number, uint64_t value);
bool hv_read_msr(struct hv *hv, uint32_t number, uint64_t *value);
/* A row of the CPUID table: EAX | EBX << 32, ECX | EDX << 32; zeroes where there is none. */
void hv_cpuid_row(struct hv *hv, uint32_t leaf, uint32_t subleaf, uint64_t row[2]);

enum hv_group { HV_SYNC = 1, HV_RARE = 2, HV_SHADOW_RW = 4, HV_SHADOW_RO = 8 };
extern const uint8_t hv_field_group[FIELD_COUNT];

/* ---- boot.c: first control */
enum nst_native_end hv_boot(struct hv *hv);
/* The same for a level that a caller drives: VMXON, and later a valid VMCS for its guest. */
void hv_boot_driven(struct nst_cpu *cpu, struct hv_level *level);
void hv_prepare_guest(struct nst_cpu *cpu, struct hv_level *level);

/* The native handler: context is a struct hv_level. */
enum nst_native_end hv_native(struct nst_cpu *cpu, void *context, enum nst_native_entry entry);

#endif
