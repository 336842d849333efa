/* SPDX-License-Identifier: MIT
 * A guest hypervisor's guest: its exits are kept or reflected, and its entries merge what the guest
 * hypervisor asked for with what this hypervisor needs. Any depth is this, once more, one level up.
 */
#include "src/hypervisor/hv.h"

enum { FLAT_CODE = 0xa09b, FLAT_DATA = 0xc093, UNUSABLE = 0x10000, BUSY_TSS = 0x8b };

/* ---- whose exit is it? */

static bool has12(struct hv *hv, enum vmcs_field word, uint64_t bits) {
  return hv_vmcs12(hv, word) & bits;
}
static bool primary12(struct hv *hv, uint64_t bits) {
  return has12(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL, bits);
}
static bool secondary12(struct hv *hv, uint64_t bits) {
  return primary12(hv, VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)) &&
         has12(hv, FIELD_SECONDARY_VM_EXEC_CONTROL, bits);
}

/* A bit of a bitmap page in the guest hypervisor's memory; true where it cannot be read. */
static bool bitmap12(struct hv *hv, enum vmcs_field page, uint64_t bit) {
  uint64_t own = hv_guest_memory(hv, hv_vmcs12(hv, page) + bit / 8);
  return own == UINT64_MAX || (nst_load(hv->cpu, own, 1) >> bit % 8 & 1);
}

static bool wants_msr(struct hv *hv, bool write) {
  if (!primary12(hv, VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS))) return true;
  uint32_t msr = (uint32_t)hv_gpr(hv, NST_REG_RCX);
  uint64_t base = write ? 0x800 * 8 : 0;
  if (msr >= 0xc0000000 && msr <= 0xc0001fff)
    base += 0x400 * 8;
  else if (msr > 0x1fff)
    return true;
  return bitmap12(hv, FIELD_MSR_BITMAP, base + (msr & 0x1fff));
}

static bool wants_io(struct hv *hv) {
  if (!primary12(hv, VMCS_BIT(CPU_BASED_USE_IO_BITMAPS)))
    return primary12(hv, VMCS_BIT(CPU_BASED_UNCOND_IO_EXITING));
  uint64_t qualification = hv_get(hv, FIELD_EXIT_QUALIFICATION);
  unsigned port = qualification >> 16 & 0xffff, size = (qualification & 7) + 1;
  for (unsigned i = port; i < port + size; i++)
    if (i > 0xffff || bitmap12(hv, i < 0x8000 ? FIELD_IO_BITMAP_A : FIELD_IO_BITMAP_B, i & 0x7fff))
      return true;
  return false;
}

/* MOV to CR3 of one of the CR3-target values does not exit. */
static bool is_cr3_target(struct hv *hv, uint64_t value) {
  uint64_t count = hv_vmcs12(hv, FIELD_CR3_TARGET_COUNT);
  for (unsigned i = 0; i < 4 && i < count; i++)
    if (hv_vmcs12(hv, (enum vmcs_field)(FIELD_CR3_TARGET_VALUE0 + i)) == value) return true;
  return false;
}

bool hv_wants_exception(struct hv *hv, unsigned vector, uint64_t error) {
  enum { PAGE_FAULT = 14 };
  bool in_bitmap = hv_vmcs12(hv, FIELD_EXCEPTION_BITMAP) >> vector & 1;
  if (vector != PAGE_FAULT) return in_bitmap;
  bool match = (error & hv_vmcs12(hv, FIELD_PAGE_FAULT_ERROR_CODE_MASK)) ==
               hv_vmcs12(hv, FIELD_PAGE_FAULT_ERROR_CODE_MATCH);
  return in_bitmap == match;
}

static bool wants_exception(struct hv *hv) {
  uint64_t info = hv_get(hv, FIELD_VM_EXIT_INTR_INFO);
  uint64_t error = info >> 11 & 1 ? hv_get(hv, FIELD_VM_EXIT_INTR_ERROR_CODE) : 0;
  return hv_wants_exception(hv, info & 31, error);
}

static bool wants_cr(struct hv *hv) {
  uint64_t qualification = hv_get(hv, FIELD_EXIT_QUALIFICATION);
  unsigned cr = qualification & 15, access = qualification >> 4 & 3, reg = qualification >> 8 & 15;
  uint64_t value, mask, shadow;
  if (access == 1)
    return primary12(hv, cr == 3 ? VMCS_BIT(CPU_BASED_CR3_STORE_EXITING)
                                 : VMCS_BIT(CPU_BASED_CR8_STORE_EXITING));
  value = reg == NST_REG_RSP ? hv_get(hv, FIELD_GUEST_RSP) : hv_gpr(hv, reg);
  if (cr == 3)
    return primary12(hv, VMCS_BIT(CPU_BASED_CR3_LOAD_EXITING)) && !is_cr3_target(hv, value);
  if (cr == 8) return primary12(hv, VMCS_BIT(CPU_BASED_CR8_LOAD_EXITING));
  mask = hv_vmcs12(hv, cr ? FIELD_CR4_GUEST_HOST_MASK : FIELD_CR0_GUEST_HOST_MASK);
  shadow = hv_vmcs12(hv, cr ? FIELD_CR4_READ_SHADOW : FIELD_CR0_READ_SHADOW);
  if (access == 0) return (value ^ shadow) & mask;
  if (access == 2) return mask & shadow & 8; /* CLTS */
  value = qualification >> 16 & 15;          /* LMSW */
  return ((value ^ shadow) & mask & 14) || (value & ~shadow & mask & 1);
}

/* KVM's division: what the hardware's owner must see, and what the guest hypervisor asked for. */
static bool wants(struct hv *hv, uint32_t reason) {
  switch (reason) {
    case EXIT_REASON_EXTERNAL_INTERRUPT:
    case EXIT_REASON_NMI_WINDOW:
    case EXIT_REASON_PML_FULL:
      return false;
    case EXIT_REASON_PREEMPTION_TIMER:
      return has12(hv, FIELD_PIN_BASED_VM_EXEC_CONTROL, VMCS_BIT(PIN_BASED_VMX_PREEMPTION_TIMER));
    case EXIT_REASON_INTERRUPT_WINDOW:
      return primary12(hv, VMCS_BIT(CPU_BASED_INTR_WINDOW_EXITING));
    case EXIT_REASON_EXCEPTION_NMI:
      return wants_exception(hv);
    case EXIT_REASON_MSR_READ:
    case EXIT_REASON_MSR_WRITE:
      return wants_msr(hv, reason == EXIT_REASON_MSR_WRITE);
    case EXIT_REASON_IO_INSTRUCTION:
      return wants_io(hv);
    case EXIT_REASON_CR_ACCESS:
      return wants_cr(hv);
    case EXIT_REASON_HLT:
      return primary12(hv, VMCS_BIT(CPU_BASED_HLT_EXITING));
    case EXIT_REASON_INVLPG:
      return primary12(hv, VMCS_BIT(CPU_BASED_INVLPG_EXITING));
    case EXIT_REASON_RDPMC:
      return primary12(hv, VMCS_BIT(CPU_BASED_RDPMC_EXITING));
    case EXIT_REASON_RDTSC:
    case EXIT_REASON_RDTSCP:
      return primary12(hv, VMCS_BIT(CPU_BASED_RDTSC_EXITING));
    case EXIT_REASON_DR_ACCESS:
      return primary12(hv, VMCS_BIT(CPU_BASED_MOV_DR_EXITING));
    case EXIT_REASON_PAUSE_INSTRUCTION:
      return primary12(hv, VMCS_BIT(CPU_BASED_PAUSE_EXITING));
    case EXIT_REASON_MWAIT_INSTRUCTION:
      return primary12(hv, VMCS_BIT(CPU_BASED_MWAIT_EXITING));
    case EXIT_REASON_MONITOR_INSTRUCTION:
      return primary12(hv, VMCS_BIT(CPU_BASED_MONITOR_EXITING));
    case EXIT_REASON_WBINVD:
      return secondary12(hv, VMCS_BIT(SECONDARY_EXEC_WBINVD_EXITING));
    case EXIT_REASON_GDTR_IDTR:
    case EXIT_REASON_LDTR_TR:
      return secondary12(hv, VMCS_BIT(SECONDARY_EXEC_DESC));
    case EXIT_REASON_RDRAND:
      return secondary12(hv, VMCS_BIT(SECONDARY_EXEC_RDRAND_EXITING));
    case EXIT_REASON_RDSEED:
      return secondary12(hv, VMCS_BIT(SECONDARY_EXEC_RDSEED_EXITING));
    default: /* CPUID, INVD, XSETBV, VMX instructions, triple fault, ...: always */
      return true;
  }
}

/* ---- reflecting */

/* Bits of CR0 or CR4 as the guest hypervisor is to find them: what the nested guest owns from the
 * processor, what its hypervisor traps as it left them, the rest as the nested guest sees them. */
static uint64_t visible_cr(struct hv *hv, unsigned cr, uint64_t actual, uint64_t shadow) {
  enum vmcs_field mask = cr ? FIELD_CR4_GUEST_HOST_MASK : FIELD_CR0_GUEST_HOST_MASK;
  enum vmcs_field guest = cr ? FIELD_GUEST_CR4 : FIELD_GUEST_CR0;
  uint64_t theirs = hv_vmcs12(hv, mask), ours = hv_copy(hv, HV_REGION_OWN, mask);
  uint64_t owned = ~(theirs | ours);
  return (actual & owned) | (hv_vmcs12(hv, guest) & theirs) | (shadow & ours & ~theirs);
}

static void save_software_state(struct hv *hv) {
  uint64_t exit_controls = hv_vmcs12(hv, FIELD_VM_EXIT_CONTROLS);
  static const struct {
    uint64_t control;
    uint16_t field;
  } saved[] = {{VMCS_BIT(VM_EXIT_SAVE_DEBUG_CONTROLS), FIELD_GUEST_DR7},
               {VMCS_BIT(VM_EXIT_SAVE_DEBUG_CONTROLS), FIELD_GUEST_IA32_DEBUGCTL},
               {VMCS_BIT(VM_EXIT_SAVE_IA32_PAT), FIELD_GUEST_IA32_PAT},
               {VMCS_BIT(VM_EXIT_SAVE_IA32_EFER), FIELD_GUEST_IA32_EFER}};
  if (exit_controls & VMCS_BIT(VM_EXIT_SAVE_VMX_PREEMPTION_TIMER))
    hv_set_vmcs12(hv, FIELD_VMX_PREEMPTION_TIMER_VALUE,
                  hv_get(hv, FIELD_VMX_PREEMPTION_TIMER_VALUE));
  for (unsigned i = 0; i < sizeof saved / sizeof saved[0]; i++) {
    enum vmcs_field field = (enum vmcs_field)saved[i].field;
    if (exit_controls & saved[i].control)
      hv_set_vmcs12(hv, field, hv_copy(hv, HV_REGION_MERGED, field));
  }
}

/* What a merge would make of a control register that is as `visible` says is what the merged region
 * holds, or it must be merged. */
static void save_cr(struct hv *hv, unsigned cr) {
  enum vmcs_field guest = cr ? FIELD_GUEST_CR4 : FIELD_GUEST_CR0;
  enum vmcs_field shadow = cr ? FIELD_CR4_READ_SHADOW : FIELD_CR0_READ_SHADOW;
  uint64_t actual = hv_get(hv, guest), visible = visible_cr(hv, cr, actual, hv_get(hv, shadow));
  hv_set_vmcs12(hv, guest, visible);
  if (hv->profile->on_demand &&
      (visible | hv_load(hv, HV_AT(own_cr_fixed) + (cr ? 16 : 0))) != actual)
    hv->flags |= HV_MERGE_ALL;
}

static void save_nested_guest(struct hv *hv) {
  static const uint16_t plain[] = {FIELD_GUEST_RSP,         FIELD_GUEST_RIP,
                                   FIELD_GUEST_RFLAGS,      FIELD_GUEST_CS_AR_BYTES,
                                   FIELD_GUEST_SS_AR_BYTES, FIELD_GUEST_INTERRUPTIBILITY_INFO};
  for (unsigned i = 0; i < sizeof plain / sizeof plain[0]; i++)
    hv_set_vmcs12(hv, (enum vmcs_field)plain[i], hv_get(hv, (enum vmcs_field)plain[i]));
  save_cr(hv, 0);
  save_cr(hv, 4);
  hv_set_vmcs12(hv, FIELD_GUEST_CR3, hv_get_cr3(hv));
  save_software_state(hv);
  hv_set_vmcs12(hv, FIELD_VM_EXIT_INSTRUCTION_LEN, hv_get(hv, FIELD_VM_EXIT_INSTRUCTION_LEN));
  hv_set_vmcs12(hv, FIELD_VMX_INSTRUCTION_INFO, hv_get(hv, FIELD_VMX_INSTRUCTION_INFO));
  hv_set_vmcs12(hv, FIELD_GUEST_LINEAR_ADDRESS, hv_get(hv, FIELD_GUEST_LINEAR_ADDRESS));
  /* Of itself a nested guest is never inactive: its HLT exits. */
  if (hv->flags & HV_ACTIVITY_SET)
    hv_set_vmcs12(hv, FIELD_GUEST_ACTIVITY_STATE, hv_get(hv, FIELD_GUEST_ACTIVITY_STATE));
  uint64_t entry = hv_vmcs12(hv, FIELD_VM_ENTRY_INTR_INFO_FIELD);
  if (entry >> 31) hv_set_vmcs12(hv, FIELD_VM_ENTRY_INTR_INFO_FIELD, entry & UINT64_C(0x7fffffff));
  hv->flags |= HV_RARE_STALE;
  hv_store(hv, HV_AT(launch_state), 1);
}

static void save_events(struct hv *hv) {
  static const uint16_t pair[][2] = {
      {FIELD_VM_EXIT_INTR_INFO, FIELD_VM_EXIT_INTR_ERROR_CODE},
      {FIELD_IDT_VECTORING_INFO_FIELD, FIELD_IDT_VECTORING_ERROR_CODE}};
  for (unsigned i = 0; i < 2; i++) {
    enum vmcs_field info = (enum vmcs_field)pair[i][0], error = (enum vmcs_field)pair[i][1];
    /* An exit that this hypervisor makes up (EPT) has no event of its own. */
    bool asked = hv_knows(hv, HV_REGION_MERGED, info) || hv->profile->on_demand;
    uint64_t value = asked ? hv_get(hv, info) : 0;
    hv_set_vmcs12(hv, info, value);
    if (value >> 31 && (value >> 11 & 1)) hv_set_vmcs12(hv, error, hv_get(hv, error));
  }
}

static void set_segment(struct hv *hv, unsigned segment, uint64_t selector, uint64_t base,
                        uint64_t limit, uint64_t access_rights) {
  const enum hv_region own = HV_REGION_OWN;
  hv_set_in(hv, own, (enum vmcs_field)(FIELD_GUEST_ES_SELECTOR + segment), selector);
  hv_set_in(hv, own, (enum vmcs_field)(FIELD_GUEST_ES_BASE + segment), base);
  hv_set_in(hv, own, (enum vmcs_field)(FIELD_GUEST_ES_LIMIT + segment), limit);
  hv_set_in(hv, own, (enum vmcs_field)(FIELD_GUEST_ES_AR_BYTES + segment), access_rights);
}

/* SDM 3C "Loading Host Segment and Descriptor-Table Registers", as the guest hypervisor's host. */
static void load_host_segments(struct hv *hv) {
  enum { ES, CS, SS, DS, FS, GS, LDTR, TR };
  static const uint16_t selector[] = {FIELD_HOST_ES_SELECTOR, FIELD_HOST_CS_SELECTOR,
                                      FIELD_HOST_SS_SELECTOR, FIELD_HOST_DS_SELECTOR,
                                      FIELD_HOST_FS_SELECTOR, FIELD_HOST_GS_SELECTOR};
  for (unsigned i = ES; i <= GS; i++) {
    uint64_t value = hv_vmcs12(hv, (enum vmcs_field)selector[i]);
    uint64_t rights = i == CS ? FLAT_CODE : value || i == SS ? FLAT_DATA : UNUSABLE | FLAT_DATA;
    uint64_t base = i == FS   ? hv_vmcs12(hv, FIELD_HOST_FS_BASE)
                    : i == GS ? hv_vmcs12(hv, FIELD_HOST_GS_BASE)
                              : 0;
    set_segment(hv, i, value, base, UINT32_MAX, rights);
  }
  set_segment(hv, TR, hv_vmcs12(hv, FIELD_HOST_TR_SELECTOR), hv_vmcs12(hv, FIELD_HOST_TR_BASE),
              0x67, BUSY_TSS);
  set_segment(hv, LDTR, 0, 0, 0, UNUSABLE);
}

static void load_host_state(struct hv *hv) {
  const enum hv_region own = HV_REGION_OWN;
  /* Whose state the registers hold; of an entry refused before it loaded any, the old one's. */
  const enum hv_region ran = hv->flags & HV_IN_NESTED ? HV_REGION_MERGED : own;
  static const uint16_t pairs[][2] = {{FIELD_GUEST_RSP, FIELD_HOST_RSP},
                                      {FIELD_GUEST_RIP, FIELD_HOST_RIP},
                                      {FIELD_CR0_READ_SHADOW, FIELD_HOST_CR0},
                                      {FIELD_CR4_READ_SHADOW, FIELD_HOST_CR4},
                                      {FIELD_GUEST_SYSENTER_CS, FIELD_HOST_IA32_SYSENTER_CS},
                                      {FIELD_GUEST_SYSENTER_ESP, FIELD_HOST_IA32_SYSENTER_ESP},
                                      {FIELD_GUEST_SYSENTER_EIP, FIELD_HOST_IA32_SYSENTER_EIP},
                                      {FIELD_GUEST_IDTR_BASE, FIELD_HOST_IDTR_BASE},
                                      {FIELD_GUEST_GDTR_BASE, FIELD_HOST_GDTR_BASE}};
  for (unsigned i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    hv_set_in(hv, own, (enum vmcs_field)pairs[i][0], hv_vmcs12(hv, (enum vmcs_field)pairs[i][1]));
  hv_set_in(hv, own, FIELD_GUEST_CR0,
            hv_vmcs12(hv, FIELD_HOST_CR0) | hv_load(hv, HV_AT(own_cr_fixed)));
  hv_set_cr3(hv, own, hv_vmcs12(hv, FIELD_HOST_CR3));
  hv_set_in(hv, own, FIELD_GUEST_CR4,
            hv_vmcs12(hv, FIELD_HOST_CR4) | hv_load(hv, HV_AT(own_cr_fixed) + 16));
  hv_set_in(hv, own, FIELD_GUEST_RFLAGS, 2);
  hv_set_in(hv, own, FIELD_GUEST_IDTR_LIMIT, 0xffff);
  hv_set_in(hv, own, FIELD_GUEST_GDTR_LIMIT, 0xffff);
  hv_set_in(hv, own, FIELD_GUEST_DR7, 0x400);
  hv_set_in(hv, own, FIELD_GUEST_IA32_DEBUGCTL, 0);
  uint64_t controls = hv_vmcs12(hv, FIELD_VM_EXIT_CONTROLS);
  hv_set_in(hv, own, FIELD_GUEST_IA32_PAT,
            controls & VMCS_BIT(VM_EXIT_LOAD_IA32_PAT) ? hv_vmcs12(hv, FIELD_HOST_IA32_PAT)
                                                       : hv_copy(hv, ran, FIELD_GUEST_IA32_PAT));
  if (controls & VMCS_BIT(VM_EXIT_LOAD_IA32_EFER))
    hv_set_in(hv, own, FIELD_GUEST_IA32_EFER, hv_vmcs12(hv, FIELD_HOST_IA32_EFER));
  load_host_segments(hv);
  /* SDM 3C "Operations that Invalidate Cached Mappings": an exit does without VPIDs. */
  if (!secondary12(hv, VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID))) hv_translations_dropped(hv);
  hv_use_shadow(hv, own);
}

/* The guest hypervisor gets control at its host RIP. */
static void enter_guest_hypervisor(struct hv *hv, bool aborted) {
  hv->level->reflected++;
  /* What was meant for the merged region and not written there is in the cached VMCS only. */
  if (hv->profile->on_demand && hv_is_pending(hv, HV_REGION_MERGED)) hv->flags |= HV_MERGE_ALL;
  load_host_state(hv);
  hv->flags &= ~(uint64_t)HV_IN_NESTED;
  if (hv_shadows(hv)) hv->flags |= HV_PUSH_DUE;
  if (hv->flags & HV_GRANTS_VMCS) hv_region_push(hv);
  hv_run(hv, ROUTINE_REFLECT_LOAD);
  hv_need_region(hv, HV_REGION_OWN);
  /* SDM 3C "VMX Aborts": an MSR area that cannot be processed at an exit. */
  if (aborted || hv_load_msrs(hv, FIELD_VM_EXIT_MSR_LOAD_ADDR, FIELD_VM_EXIT_MSR_LOAD_COUNT))
    hv_shut_down(hv);
}

void hv_reflect(struct hv *hv, uint32_t reason, uint64_t qualification, uint64_t guest_physical) {
  hv_run(hv, ROUTINE_REFLECT_SAVE);
  save_nested_guest(hv);
  if (hv->flags & HV_GRANTS_VMCS) hv_rare_fetch(hv); /* it will not ask */
  save_events(hv);
  hv_set_vmcs12(hv, FIELD_VM_EXIT_REASON, reason);
  hv_set_vmcs12(hv, FIELD_EXIT_QUALIFICATION, qualification);
  hv_set_vmcs12(hv, FIELD_GUEST_PHYSICAL_ADDRESS, guest_physical);
  enter_guest_hypervisor(hv, hv_store_msrs(hv) != 0);
}

void hv_failed_entry(struct hv *hv, uint32_t reason, uint64_t qualification) {
  hv_set_vmcs12(hv, FIELD_VM_EXIT_REASON, reason);
  hv_set_vmcs12(hv, FIELD_EXIT_QUALIFICATION, qualification);
  enter_guest_hypervisor(hv, false);
}

void hv_exit_at_once(struct hv *hv) {
  const uint64_t valid = UINT64_C(1) << 31;
  uint64_t event = hv_vmcs12(hv, FIELD_VM_ENTRY_INTR_INFO_FIELD);
  /* What was to be injected is told as an event whose delivery the exit interrupted. */
  hv_set_vmcs12(hv, FIELD_IDT_VECTORING_INFO_FIELD, event & valid ? event & ~UINT64_C(0x1000) : 0);
  if (event & valid) {
    hv_set_vmcs12(hv, FIELD_IDT_VECTORING_ERROR_CODE,
                  hv_vmcs12(hv, FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE));
    hv_set_vmcs12(hv, FIELD_VM_EXIT_INSTRUCTION_LEN, hv_vmcs12(hv, FIELD_VM_ENTRY_INSTRUCTION_LEN));
    hv_set_vmcs12(hv, FIELD_VM_ENTRY_INTR_INFO_FIELD, event & ~valid);
  }
  hv_store(hv, HV_AT(launch_state), 1);
  hv_set_vmcs12(hv, FIELD_VM_EXIT_REASON, EXIT_REASON_EXTERNAL_INTERRUPT);
  hv_set_vmcs12(hv, FIELD_EXIT_QUALIFICATION, 0);
  hv_set_vmcs12(hv, FIELD_VM_EXIT_INTR_INFO, hv_take_interrupt(hv));
  enter_guest_hypervisor(hv, false);
}

/* The processor found the nested guest's state invalid: that is the guest hypervisor's doing. */
static void reflect_failed_entry(struct hv *hv, uint32_t reason) {
  hv_run(hv, ROUTINE_QUALIFICATION);
  hv_entry_failed(hv);
  hv_failed_entry(hv, reason, hv_get(hv, FIELD_EXIT_QUALIFICATION));
}

void hv_nested_refused(struct hv *hv) {
  uint64_t error = hv_get(hv, FIELD_VM_INSTRUCTION_ERROR);
  hv->flags &= ~(uint64_t)HV_IN_NESTED;
  hv_need_region(hv, HV_REGION_OWN);
  hv_vmx_done(hv, HV_FAIL_VALID, (uint32_t)error);
}

/* ---- exits of a nested guest */

static void nested_memory_fault(struct hv *hv) {
  hv_run(hv, ROUTINE_MEMORY_FAULT);
  uint64_t address = hv_get(hv, FIELD_GUEST_PHYSICAL_ADDRESS);
  uint64_t qualification = hv_get(hv, FIELD_EXIT_QUALIFICATION);
  if (!secondary12(hv, VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT))) {
    /* The guest hypervisor shadows: the address is one of its own memory. */
    hv_handle_ept_violation(hv);
    return;
  }
  switch (hv_compose(hv, address, &qualification)) {
    case HV_FAULT_MAPPED:
      hv_run(hv, ROUTINE_NESTED_KEPT_FAULT);
      break;
    case HV_FAULT_VIOLATION:
      hv_reflect(hv, EXIT_REASON_EPT_VIOLATION, qualification, address);
      break;
    case HV_FAULT_MISCONFIG:
      hv_reflect(hv, EXIT_REASON_EPT_MISCONFIG, 0, address);
      break;
    case HV_FAULT_LOG_FULL:
      hv_reflect(hv, EXIT_REASON_PML_FULL, 0, address);
      break;
  }
}

void hv_triple_fault(struct hv *hv) {
  if (hv->flags & HV_IN_NESTED)
    hv_reflect(hv, EXIT_REASON_TRIPLE_FAULT, 0, 0);
  else
    hv_shut_down(hv);
}

void hv_nested_exit(struct hv *hv, uint32_t reason) {
  if (reason & EXIT_REASON_FAILED_ENTRY) {
    reflect_failed_entry(hv, reason);
    return;
  }
  if (reason == EXIT_REASON_EPT_VIOLATION) {
    nested_memory_fault(hv);
    return;
  }
  hv_run(hv, reason == EXIT_REASON_CR_ACCESS ? ROUTINE_NESTED_DECIDE_CR : ROUTINE_NESTED_DECIDE);
  if (reason == EXIT_REASON_EXCEPTION_NMI) {
    hv_run(hv, ROUTINE_NESTED_DECIDE_EVENT);
    if (!hv_has(hv, VMCS_HAS_EPT) && hv_is_page_fault(hv_get(hv, FIELD_VM_EXIT_INTR_INFO))) {
      hv_handle_page_fault(hv);
      return;
    }
  }
  bool access = reason == EXIT_REASON_VMREAD || reason == EXIT_REASON_VMWRITE;
  if (access && hv_shadowed_access(hv, reason)) return;
  if (!wants(hv, reason)) {
    hv_handle(hv, reason);
    return;
  }
  hv_reflect(hv, reason, hv_get(hv, FIELD_EXIT_QUALIFICATION), 0);
}
