/* SPDX-License-Identifier: MIT
 * VMLAUNCH and VMRESUME of a guest hypervisor: its VMCS and the one that this hypervisor holds for
 * it become the merged VMCS that the nested guest runs on. */
#include "src/hypervisor/hv.h"
#include "vmcs/check.h"

const uint8_t hv_field_group[FIELD_COUNT] = {
#define HV_GROUP(field, groups) [FIELD_##field] = (groups),
#include "src/hypervisor/group.def"
};

/* The same as a list, for those who go through a group. */
static const struct {
  uint16_t field;
  uint8_t groups;
} group_row[] = {
#define HV_GROUP(field, groups) {FIELD_##field, (groups)},
#include "src/hypervisor/group.def"
};
enum { GROUP_ROWS = sizeof group_row / sizeof group_row[0] };

static void set(struct hv *hv, enum vmcs_field field, uint64_t value) {
  hv_set_in(hv, HV_REGION_MERGED, field, value);
}
static void pass(struct hv *hv, enum vmcs_field field) {
  set(hv, field, hv_vmcs12(hv, field));
}
static uint64_t own(struct hv *hv, enum vmcs_field field) {
  return hv_copy(hv, HV_REGION_OWN, field);
}

/* What the guest hypervisor's secondary controls ask for; 0 when it has not activated them. */
static uint64_t secondary12(struct hv *hv) {
  bool active = hv_vmcs12(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL) &
                VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS);
  return active ? hv_vmcs12(hv, FIELD_SECONDARY_VM_EXEC_CONTROL) : 0;
}

/* What passes of its time before an exit that is kept has passed. */
static bool uses_timer(struct hv *hv) {
  return hv_vmcs12(hv, FIELD_PIN_BASED_VM_EXEC_CONTROL) & VMCS_BIT(PIN_BASED_VMX_PREEMPTION_TIMER);
}

/* A page that its memory does not have is one that the processor refuses. */
static void merge_tpr(struct hv *hv, uint64_t primary12) {
  if (!(primary12 & VMCS_BIT(CPU_BASED_TPR_SHADOW))) return;
  set(hv, FIELD_VIRTUAL_APIC_PAGE_ADDR,
      hv_guest_memory(hv, hv_vmcs12(hv, FIELD_VIRTUAL_APIC_PAGE_ADDR)));
  pass(hv, FIELD_TPR_THRESHOLD);
}

/* Either side's wish to exit counts; what only one of them may use stays with this hypervisor. */
static void merge_controls(struct hv *hv) {
  const uint64_t io = VMCS_BIT(CPU_BASED_USE_IO_BITMAPS);
  const uint64_t bitmaps = VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS);
  const uint64_t not_passed =
      VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS) | VMCS_BIT(SECONDARY_EXEC_ENABLE_PML);
  /* Controls that give the guest something, where the others take something away. */
  const uint64_t theirs =
      VMCS_BIT(SECONDARY_EXEC_ENABLE_RDTSCP) | VMCS_BIT(SECONDARY_EXEC_ENABLE_INVPCID) |
      VMCS_BIT(SECONDARY_EXEC_ENABLE_XSAVES) | VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST);
  uint64_t primary12 = hv_vmcs12(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL);
  uint64_t mine =
      own(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL) & ~VMCS_BIT(CPU_BASED_INTR_WINDOW_EXITING);
  uint64_t primary = mine | (primary12 & ~bitmaps);
  primary = (primary & ~io) | VMCS_BIT(CPU_BASED_UNCOND_IO_EXITING);
  if (!(primary12 & bitmaps)) primary &= ~bitmaps;
  set(hv, FIELD_PIN_BASED_VM_EXEC_CONTROL,
      own(hv, FIELD_PIN_BASED_VM_EXEC_CONTROL) | hv_vmcs12(hv, FIELD_PIN_BASED_VM_EXEC_CONTROL));
  set(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL, primary);
  set(hv, FIELD_SECONDARY_VM_EXEC_CONTROL,
      ((own(hv, FIELD_SECONDARY_VM_EXEC_CONTROL) & ~theirs) | secondary12(hv)) & ~not_passed);
  set(hv, FIELD_VM_EXIT_CONTROLS,
      own(hv, FIELD_VM_EXIT_CONTROLS) |
          (uses_timer(hv) ? VMCS_BIT(VM_EXIT_SAVE_VMX_PREEMPTION_TIMER) : 0));
  hv->flags &= ~(uint64_t)HV_GUEST_RESTRICTED;
  if (!(secondary12(hv) & VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST)))
    hv->flags |= HV_GUEST_RESTRICTED;
  merge_tpr(hv, primary12);
  uint64_t mode = VMCS_BIT(VM_ENTRY_IA32E_MODE);
  set(hv, FIELD_VM_ENTRY_CONTROLS,
      (own(hv, FIELD_VM_ENTRY_CONTROLS) & ~mode) | (hv_vmcs12(hv, FIELD_VM_ENTRY_CONTROLS) & mode));
  set(hv, FIELD_EXCEPTION_BITMAP,
      own(hv, FIELD_EXCEPTION_BITMAP) | hv_vmcs12(hv, FIELD_EXCEPTION_BITMAP));
  uint64_t offset =
      primary12 & VMCS_BIT(CPU_BASED_USE_TSC_OFFSETTING) ? hv_vmcs12(hv, FIELD_TSC_OFFSET) : 0;
  set(hv, FIELD_TSC_OFFSET, own(hv, FIELD_TSC_OFFSET) + offset);
}

static void merge_cr(struct hv *hv, unsigned cr) {
  enum vmcs_field mask = cr ? FIELD_CR4_GUEST_HOST_MASK : FIELD_CR0_GUEST_HOST_MASK;
  enum vmcs_field shadow = cr ? FIELD_CR4_READ_SHADOW : FIELD_CR0_READ_SHADOW;
  enum vmcs_field guest = cr ? FIELD_GUEST_CR4 : FIELD_GUEST_CR0;
  uint64_t theirs = hv_vmcs12(hv, mask), value = hv_vmcs12(hv, guest);
  set(hv, mask, theirs | own(hv, mask));
  set(hv, shadow, (value & ~theirs) | (hv_vmcs12(hv, shadow) & theirs));
  set(hv, guest, value | hv_load(hv, HV_AT(own_cr_fixed) + (cr ? 16 : 0)));
}

static void merge_guest_state(struct hv *hv) {
  static const uint16_t passed[] = {FIELD_VM_ENTRY_INTR_INFO_FIELD,
                                    FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE,
                                    FIELD_VM_ENTRY_INSTRUCTION_LEN,
                                    FIELD_GUEST_INTERRUPTIBILITY_INFO,
                                    FIELD_GUEST_RFLAGS,
                                    FIELD_GUEST_RSP,
                                    FIELD_GUEST_RIP};
  for (unsigned i = 0; i < sizeof passed / sizeof passed[0]; i++)
    pass(hv, (enum vmcs_field)passed[i]);
  merge_cr(hv, 0);
  merge_cr(hv, 4);
  uint64_t entry = hv_vmcs12(hv, FIELD_VM_ENTRY_CONTROLS);
  bool debug = entry & VMCS_BIT(VM_ENTRY_LOAD_DEBUG_CONTROLS);
  set(hv, FIELD_GUEST_DR7, debug ? hv_vmcs12(hv, FIELD_GUEST_DR7) : own(hv, FIELD_GUEST_DR7));
  set(hv, FIELD_GUEST_IA32_DEBUGCTL,
      debug ? hv_vmcs12(hv, FIELD_GUEST_IA32_DEBUGCTL) : own(hv, FIELD_GUEST_IA32_DEBUGCTL));
  set(hv, FIELD_GUEST_IA32_PAT,
      entry & VMCS_BIT(VM_ENTRY_LOAD_IA32_PAT) ? hv_vmcs12(hv, FIELD_GUEST_IA32_PAT)
                                               : own(hv, FIELD_GUEST_IA32_PAT));
  set(hv, FIELD_GUEST_IA32_EFER,
      entry & VMCS_BIT(VM_ENTRY_LOAD_IA32_EFER) ? hv_vmcs12(hv, FIELD_GUEST_IA32_EFER)
                                                : own(hv, FIELD_GUEST_IA32_EFER));
  uint64_t activity = hv_vmcs12(hv, FIELD_GUEST_ACTIVITY_STATE);
  if (activity || hv->flags & HV_ACTIVITY_SET) set(hv, FIELD_GUEST_ACTIVITY_STATE, activity);
  hv->flags &= ~(uint64_t)HV_ACTIVITY_SET;
  if (activity) hv->flags |= HV_ACTIVITY_SET;
  hv_set_cr3(hv, HV_REGION_MERGED, hv_vmcs12(hv, FIELD_GUEST_CR3));
  if (!(secondary12(hv) & VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID))) hv_translations_dropped(hv);
  hv_use_shadow(hv, HV_REGION_MERGED);
}

/* What is copied only after the guest hypervisor changed something outside the shadowed fields. */
static void merge_rare(struct hv *hv) {
  static const uint16_t passed[] = {FIELD_GUEST_SYSENTER_CS,
                                    FIELD_GUEST_SYSENTER_ESP,
                                    FIELD_GUEST_SYSENTER_EIP,
                                    FIELD_GUEST_PDPTR0,
                                    FIELD_GUEST_PDPTR1,
                                    FIELD_GUEST_PDPTR2,
                                    FIELD_GUEST_PDPTR3,
                                    FIELD_GUEST_CS_AR_BYTES,
                                    FIELD_GUEST_SS_AR_BYTES,
                                    FIELD_PAGE_FAULT_ERROR_CODE_MASK,
                                    FIELD_PAGE_FAULT_ERROR_CODE_MATCH};
  for (unsigned i = 0; i < GROUP_ROWS; i++)
    if (group_row[i].groups & HV_RARE) pass(hv, (enum vmcs_field)group_row[i].field);
  for (unsigned i = 0; i < sizeof passed / sizeof passed[0]; i++)
    pass(hv, (enum vmcs_field)passed[i]);
  if (!hv_has(hv, VMCS_HAS_EPT)) { /* every page fault may be the shadow's */
    set(hv, FIELD_PAGE_FAULT_ERROR_CODE_MASK, 0);
    set(hv, FIELD_PAGE_FAULT_ERROR_CODE_MATCH, 0);
  }
  set(hv, FIELD_VIRTUAL_PROCESSOR_ID, hv_vpid(HV_REGION_MERGED));
  set(hv, FIELD_VMCS_LINK_POINTER, UINT64_MAX);
}

/* This hypervisor intercepts every MSR but the bases of FS and GS; of those, the ones that the
 * guest hypervisor intercepts. */
static void merge_msr_bitmap(struct hv *hv) {
  enum { BASES = 0x20, ALL = 0x07 };
  if (!(hv_vmcs12(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL) & VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS)))
    return;
  uint64_t page = hv_guest_memory(hv, hv_vmcs12(hv, FIELD_MSR_BITMAP));
  static const unsigned part[] = {0x400, 0xc00}; /* read and write, high MSRs */
  for (unsigned i = 0; i < 2; i++) {
    uint64_t theirs = page == UINT64_MAX ? 0xff : nst_load(hv->cpu, page + part[i] + BASES, 1);
    nst_store(hv->cpu, HV_MERGED_MSR_BITMAP + part[i] + BASES, 1, (theirs & ALL) | (0xff & ~ALL));
  }
}

static void merge_translation(struct hv *hv) {
  uint64_t wanted = secondary12(hv);
  bool nested_ept = wanted & VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT);
  if (hv_has(hv, VMCS_HAS_EPT))
    set(hv, FIELD_EPT_POINTER,
        nested_ept ? hv_merged_eptp(hv, hv_vmcs12(hv, FIELD_EPT_POINTER))
                   : hv_load(hv, HV_AT(eptp)));
  uint64_t vpid =
      wanted & VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID) ? hv_vmcs12(hv, FIELD_VIRTUAL_PROCESSOR_ID) : 0;
  /* Another tag, or none: what was cached under the one merged tag is not this guest's. */
  if (hv_has(hv, VMCS_HAS_VPID) && (!vpid || vpid != hv_load(hv, HV_AT(last_vpid)))) {
    nst_invvpid(hv->cpu, 1, hv_vpid(HV_REGION_MERGED), 0);
    hv_store(hv, HV_AT(last_vpid), vpid);
  }
}

/* A row of an MSR area of the guest hypervisor: own address, or UINT64_MAX. */
static uint64_t msr_row(struct hv *hv, enum vmcs_field area, uint64_t index) {
  return hv_guest_memory(hv, hv_vmcs12(hv, area) + 16 * index);
}

uint64_t hv_load_msrs(struct hv *hv, enum vmcs_field area, enum vmcs_field count) {
  uint64_t rows = hv_vmcs12(hv, count);
  for (uint64_t i = 0; i < rows; i++) {
    uint64_t row = msr_row(hv, area, i);
    if (row == UINT64_MAX) return i + 1;
    uint64_t index = nst_load(hv->cpu, row, 8), value = nst_load(hv->cpu, row + 8, 8);
    bool refused = index >> 32 || index == 0xc0000100 || index == 0xc0000101 || index >> 8 == 8;
    if (refused || !hv_write_msr(hv, (uint32_t)index, value)) return i + 1;
  }
  return 0;
}

uint64_t hv_store_msrs(struct hv *hv) {
  uint64_t rows = hv_vmcs12(hv, FIELD_VM_EXIT_MSR_STORE_COUNT);
  for (uint64_t i = 0; i < rows; i++) {
    uint64_t row = msr_row(hv, FIELD_VM_EXIT_MSR_STORE_ADDR, i), value = 0;
    if (row == UINT64_MAX) return i + 1;
    uint64_t index = nst_load(hv->cpu, row, 8);
    if (index >> 32 || !hv_read_msr(hv, (uint32_t)index, &value)) return i + 1;
    nst_store(hv->cpu, row + 8, 8, value);
  }
  return 0;
}

void hv_nested_enter(struct hv *hv) {
  if (!hv_merge_changes(hv)) {
    merge_controls(hv);
    merge_guest_state(hv);
  }
  if (uses_timer(hv)) pass(hv, FIELD_VMX_PREEMPTION_TIMER_VALUE);
  hv_merged_now(hv);
  merge_msr_bitmap(hv);
  if (hv->flags & HV_RARE_DIRTY) merge_rare(hv);
  merge_translation(hv);
  hv->flags |= HV_IN_NESTED;
  hv_run(hv, ROUTINE_MERGE);
  hv_need_region(hv, HV_REGION_MERGED);
  hv->flags &= ~(uint64_t)(HV_RARE_DIRTY | HV_RARE_STALE);
  if (!hv_is_valid_cr3(hv, hv_vmcs12(hv, FIELD_GUEST_CR3))) {
    hv_failed_entry(hv, EXIT_REASON_INVALID_STATE | EXIT_REASON_FAILED_ENTRY, 0);
    return;
  }
  uint64_t failed = hv_load_msrs(hv, FIELD_VM_ENTRY_MSR_LOAD_ADDR, FIELD_VM_ENTRY_MSR_LOAD_COUNT);
  if (failed) hv_failed_entry(hv, EXIT_REASON_MSR_LOAD_FAIL | EXIT_REASON_FAILED_ENTRY, failed);
}

/* ---- the shadow VMCS */

/* The field of a row that is in one of the groups and exists here, else FIELD_NONE. */
static enum vmcs_field member(const struct hv *hv, unsigned row, unsigned groups) {
  enum vmcs_field field = (enum vmcs_field)group_row[row].field;
  if (field == FIELD_GUEST_INTR_STATUS && !hv_has_apicv(hv)) return FIELD_NONE;
  return (group_row[row].groups & groups) && hv_field_exists(hv, field) ? field : FIELD_NONE;
}

static void leave_shadow(struct hv *hv) {
  if (hv->region != HV_REGION_SHADOW) return;
  nst_vmclear(hv->cpu, hv_region_address(HV_REGION_SHADOW));
  hv_need_region(hv, HV_REGION_OWN);
}

void hv_nested_push(struct hv *hv) {
  hv->flags &= ~(uint64_t)HV_PUSH_DUE;
  if (hv_load(hv, HV_AT(current)) == HV_NO_VMCS) return;
  if (hv->profile->on_demand) {
    if (!hv_take_unpushed(hv)) return;
    hv_need_region(hv, HV_REGION_SHADOW);
    hv_flush(hv);
    leave_shadow(hv);
    return;
  }
  for (unsigned i = 0; i < GROUP_ROWS; i++) {
    enum vmcs_field field = member(hv, i, HV_SHADOW_RW | HV_SHADOW_RO);
    if (field != FIELD_NONE) hv_set_in(hv, HV_REGION_SHADOW, field, hv_vmcs12(hv, field));
  }
  hv_run(hv, ROUTINE_SHADOW_PUSH);
  if (hv_is_pending(hv, HV_REGION_SHADOW)) {
    hv_need_region(hv, HV_REGION_SHADOW);
    hv_flush(hv);
  }
  leave_shadow(hv);
}

/* The guest hypervisor's own doing, and the shadow VMCS holds it. */
static void take_pulled(struct hv *hv, enum vmcs_field field, uint64_t value) {
  if (hv->profile->on_demand) {
    if (hv_vmcs12(hv, field) == value) return;
    hv_note_change(hv, field);
  }
  hv_store(hv, HV_AT(vmcs12) + 8 * (size_t)field, value);
}

void hv_nested_pull(struct hv *hv) {
  if (!hv_shadows(hv) || (hv->flags & HV_PUSH_DUE)) return;
  hv_run(hv, ROUTINE_SHADOW_PULL);
  for (unsigned i = 0; i < GROUP_ROWS; i++) {
    enum vmcs_field field = member(hv, i, HV_SHADOW_RW);
    if (field == FIELD_NONE) continue;
    if (!hv_knows(hv, HV_REGION_SHADOW, field)) {
      hv_need_region(hv, HV_REGION_SHADOW);
      hv_get(hv, field);
    }
    uint64_t value = hv->field[HV_REGION_SHADOW].value[field];
    if (vmcs_field_groups[field] && value != hv_vmcs12(hv, field)) hv_check_again(hv, field);
    take_pulled(hv, field, value);
  }
  leave_shadow(hv);
}

/* ---- rarely copied guest state */

void hv_rare_fetch(struct hv *hv) {
  if (!(hv->flags & HV_RARE_STALE)) return;
  hv_run(hv, ROUTINE_RARE_FETCH);
  for (unsigned i = 0; i < GROUP_ROWS; i++) {
    enum vmcs_field field = member(hv, i, HV_RARE);
    if (field == FIELD_NONE) continue;
    if (!hv_knows(hv, HV_REGION_MERGED, field)) {
      hv_need_region(hv, HV_REGION_MERGED);
      hv_get(hv, field);
    }
    hv_set_vmcs12(hv, field, hv->field[HV_REGION_MERGED].value[field]);
  }
  if (!(hv->flags & HV_GRANTS_VMCS)) hv_need_region(hv, HV_REGION_OWN);
  hv->flags &= ~(uint64_t)HV_RARE_STALE;
}
