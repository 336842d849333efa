/* SPDX-License-Identifier: MIT
 * SDM 3C "Checks on VMX Controls": execution, VM-exit and VM-entry control fields. */
#include "vmcs/check_run.h"

static bool is_allowed(const struct check_run *run, enum vmcs_control_word word, uint64_t value) {
  const struct vmcs_capability *capability = run->environment->capability;
  return check_is_fixed(value, capability->must_be_one[word], capability->may_be_one[word]);
}

static void require_aligned(struct check_run *run, enum vmcs_check id, enum vmcs_field field,
                            uint64_t alignment) {
  uint64_t address = check_get(run, field);
  check_require(run, id, (address & (alignment - 1)) == 0 && check_in_width(run, address));
}

static void require_page(struct check_run *run, enum vmcs_check id, enum vmcs_field field) {
  require_aligned(run, id, field, 4096);
}

/* ---- SDM 3C "VM-Execution Control Fields" */

static void check_execution_words(struct check_run *run) {
  check_require(run, CHECK_CONTROL_PIN_RESERVED, is_allowed(run, WORD_PIN, run->pin));
  check_require(run, CHECK_CONTROL_PRIMARY_RESERVED, is_allowed(run, WORD_PRIMARY, run->primary));
  check_require(run, CHECK_CONTROL_SECONDARY_RESERVED,
                is_allowed(run, WORD_SECONDARY, run->secondary));
  if (run->primary & VMCS_BIT(CPU_BASED_ACTIVATE_TERTIARY_CONTROLS))
    check_require(run, CHECK_CONTROL_TERTIARY_RESERVED,
                  is_allowed(run, WORD_TERTIARY, check_get(run, FIELD_TERTIARY_VM_EXEC_CONTROL)));
  check_require(
      run, CHECK_CONTROL_CR3_TARGET_COUNT,
      check_get(run, FIELD_CR3_TARGET_COUNT) <= (run->environment->capability->misc >> 16 & 0x1ff));
}

static void check_bitmaps(struct check_run *run) {
  if (run->primary & VMCS_BIT(CPU_BASED_USE_IO_BITMAPS)) {
    require_page(run, CHECK_CONTROL_IO_BITMAP_A_ADDRESS, FIELD_IO_BITMAP_A);
    require_page(run, CHECK_CONTROL_IO_BITMAP_B_ADDRESS, FIELD_IO_BITMAP_B);
  }
  if (run->primary & VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS))
    require_page(run, CHECK_CONTROL_MSR_BITMAP_ADDRESS, FIELD_MSR_BITMAP);
}

static void check_tpr_shadow(struct check_run *run) {
  uint64_t secondary = run->secondary;
  if (!(run->primary & VMCS_BIT(CPU_BASED_TPR_SHADOW))) {
    check_require(run, CHECK_CONTROL_X2APIC_MODE_TPR_SHADOW,
                  !(secondary & VMCS_BIT(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE)));
    check_require(run, CHECK_CONTROL_APIC_REGISTER_VIRT_TPR_SHADOW,
                  !(secondary & VMCS_BIT(SECONDARY_EXEC_APIC_REGISTER_VIRT)));
    check_require(run, CHECK_CONTROL_INTR_DELIVERY_TPR_SHADOW,
                  !(secondary & VMCS_BIT(SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)));
    return;
  }
  require_page(run, CHECK_CONTROL_VIRTUAL_APIC_ADDRESS, FIELD_VIRTUAL_APIC_PAGE_ADDR);
  if (!(secondary & VMCS_BIT(SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)))
    check_require(run, CHECK_CONTROL_TPR_THRESHOLD_RESERVED,
                  check_get(run, FIELD_TPR_THRESHOLD) <= 15);
}

/* A threshold with reserved bits is another check's; a page that cannot be read is no failure. */
static void check_tpr_threshold_now(struct check_run *run) {
  const uint64_t others = VMCS_BIT(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) |
                          VMCS_BIT(SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
  const struct vmcs_check_environment *environment = run->environment;
  if (!(run->primary & VMCS_BIT(CPU_BASED_TPR_SHADOW)) || (run->secondary & others)) return;
  uint64_t threshold = check_get(run, FIELD_TPR_THRESHOLD);
  uint64_t page = check_get(run, FIELD_VIRTUAL_APIC_PAGE_ADDR);
  uint32_t vtpr;
  if (threshold == 0 || threshold > 15 || !environment->read32 || (page & 0xfff)) return;
  if (!check_in_width(run, page) || !environment->read32(environment->context, page + 0x80, &vtpr))
    return;
  check_require(run, CHECK_CONTROL_TPR_THRESHOLD_VTPR, threshold <= (vtpr >> 4 & 15));
}

static void check_nmi(struct check_run *run) {
  bool virtual_nmis = run->pin & VMCS_BIT(PIN_BASED_VIRTUAL_NMIS);
  check_require(run, CHECK_CONTROL_VIRTUAL_NMIS_NMI_EXITING,
                !virtual_nmis || (run->pin & VMCS_BIT(PIN_BASED_NMI_EXITING)));
  check_require(run, CHECK_CONTROL_NMI_WINDOW_VIRTUAL_NMIS,
                virtual_nmis || !(run->primary & VMCS_BIT(CPU_BASED_NMI_WINDOW_EXITING)));
}

static void check_virtual_apic(struct check_run *run) {
  bool accesses = run->secondary & VMCS_BIT(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
  if (accesses) require_page(run, CHECK_CONTROL_APIC_ACCESS_ADDRESS, FIELD_APIC_ACCESS_ADDR);
  if (run->secondary & VMCS_BIT(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE))
    check_require(run, CHECK_CONTROL_X2APIC_MODE_APIC_ACCESSES, !accesses);
  if (run->secondary & VMCS_BIT(SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY))
    check_require(run, CHECK_CONTROL_INTR_DELIVERY_EXT_INTR,
                  run->pin & VMCS_BIT(PIN_BASED_EXT_INTR_MASK));
}

static void check_posted_interrupts(struct check_run *run) {
  if (!(run->pin & VMCS_BIT(PIN_BASED_POSTED_INTR))) return;
  check_require(run, CHECK_CONTROL_POSTED_INTR_INTR_DELIVERY,
                run->secondary & VMCS_BIT(SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY));
  check_require(run, CHECK_CONTROL_POSTED_INTR_ACK_INTR,
                run->exit & VMCS_BIT(VM_EXIT_ACK_INTR_ON_EXIT));
  check_require(run, CHECK_CONTROL_POSTED_INTR_VECTOR, check_get(run, FIELD_POSTED_INTR_NV) <= 255);
  require_aligned(run, CHECK_CONTROL_POSTED_INTR_DESCRIPTOR, FIELD_POSTED_INTR_DESC_ADDR, 64);
}

static void check_vpid(struct check_run *run) {
  if (run->secondary & VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID))
    check_require(run, CHECK_CONTROL_VPID_ZERO, check_get(run, FIELD_VIRTUAL_PROCESSOR_ID) != 0);
}

/* IA32_VMX_EPT_VPID_CAP: bit 8 uncacheable, 14 write-back, 6 four levels, 7 five levels. */
static void check_eptp(struct check_run *run) {
  if (!(run->secondary & VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT))) return;
  uint64_t capability = run->environment->capability->ept_vpid;
  uint64_t eptp = check_get(run, FIELD_EPT_POINTER);
  uint64_t type = eptp & 7, levels = (eptp >> 3 & 7) + 1;
  check_require(run, CHECK_CONTROL_EPTP_MEMORY_TYPE,
                (type == 0 && (capability >> 8 & 1)) || (type == 6 && (capability >> 14 & 1)));
  check_require(run, CHECK_CONTROL_EPTP_WALK_LENGTH,
                (levels == 4 && (capability >> 6 & 1)) || (levels == 5 && (capability >> 7 & 1)));
  check_require(run, CHECK_CONTROL_EPTP_ACCESSED_DIRTY, !(eptp >> 6 & 1) || (capability >> 21 & 1));
  check_require(run, CHECK_CONTROL_EPTP_RESERVED, !(eptp & 0xf80) && check_in_width(run, eptp));
}

/* Controls that stand on EPT. SDM lists each on its own; only PML has a field as well. */
static void check_ept_dependents(struct check_run *run) {
  bool ept = run->secondary & VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT);
  if (run->secondary & VMCS_BIT(SECONDARY_EXEC_ENABLE_PML)) {
    check_require(run, CHECK_CONTROL_PML_EPT, ept);
    require_page(run, CHECK_CONTROL_PML_ADDRESS, FIELD_PML_ADDRESS);
  }
  check_require(run, CHECK_CONTROL_UNRESTRICTED_GUEST_EPT,
                ept || !(run->secondary & VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST)));
  check_require(run, CHECK_CONTROL_MODE_BASED_EXEC_EPT,
                ept || !(run->secondary & VMCS_BIT(SECONDARY_EXEC_MODE_BASED_EPT_EXEC)));
}

static void check_shadowing(struct check_run *run) {
  if (!(run->secondary & VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS))) return;
  require_page(run, CHECK_CONTROL_VMREAD_BITMAP_ADDRESS, FIELD_VMREAD_BITMAP);
  require_page(run, CHECK_CONTROL_VMWRITE_BITMAP_ADDRESS, FIELD_VMWRITE_BITMAP);
}

/* ---- SDM 3C "VM-Exit Control Fields" and "VM-Entry Control Fields" */

/* An MSR area of 16-byte rows; the row with the id after `address_id` is about its end. */
static void check_msr_area(struct check_run *run, enum vmcs_check address_id,
                           enum vmcs_field address_field, enum vmcs_field count_field) {
  uint64_t count = check_get(run, count_field);
  if (count == 0) return;
  require_aligned(run, address_id, address_field, 16);
  uint64_t start = check_get(run, address_field);
  if (!check_in_width(run, start)) return;
  check_require(run, check_nth(address_id, 1), check_in_width(run, start + count * 16 - 1));
}

static void check_exit_controls(struct check_run *run) {
  check_require(run, CHECK_CONTROL_EXIT_RESERVED, is_allowed(run, WORD_EXIT, run->exit));
  if (run->exit & VMCS_BIT(VM_EXIT_SAVE_VMX_PREEMPTION_TIMER))
    check_require(run, CHECK_CONTROL_SAVE_TIMER_TIMER,
                  run->pin & VMCS_BIT(PIN_BASED_VMX_PREEMPTION_TIMER));
  check_msr_area(run, CHECK_CONTROL_EXIT_MSR_STORE_ADDRESS, FIELD_VM_EXIT_MSR_STORE_ADDR,
                 FIELD_VM_EXIT_MSR_STORE_COUNT);
  check_msr_area(run, CHECK_CONTROL_EXIT_MSR_LOAD_ADDRESS, FIELD_VM_EXIT_MSR_LOAD_ADDR,
                 FIELD_VM_EXIT_MSR_LOAD_COUNT);
}

static void check_entry_controls(struct check_run *run) {
  check_require(run, CHECK_CONTROL_ENTRY_RESERVED, is_allowed(run, WORD_ENTRY, run->entry));
  check_msr_area(run, CHECK_CONTROL_ENTRY_MSR_LOAD_ADDRESS, FIELD_VM_ENTRY_MSR_LOAD_ADDR,
                 FIELD_VM_ENTRY_MSR_LOAD_COUNT);
}

static bool is_vector_allowed(enum check_event_type type, uint64_t vector) {
  if (type == EVENT_NMI) return vector == 2;
  if (type == EVENT_HARDWARE_EXCEPTION) return vector <= 31;
  return type != EVENT_OTHER || vector == 0;
}

/* #DF, #TS, #NP, #SS, #GP, #PF and #AC push an error code; never in real mode, which only an
 * unrestricted guest can be entered in. */
static bool has_error_code(const struct check_run *run, enum check_event_type type,
                           uint64_t vector) {
  const uint32_t vectors = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;
  bool unrestricted = run->secondary & VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST);
  if (unrestricted && !(check_get(run, FIELD_GUEST_CR0) & CHECK_CR0_PE)) return false;
  return type == EVENT_HARDWARE_EXCEPTION && vector <= 31 && (vectors >> vector & 1);
}

static void check_injection_now(struct check_run *run) {
  uint64_t information = check_get(run, FIELD_VM_ENTRY_INTR_INFO_FIELD);
  if (!check_injects(information)) return;
  const struct vmcs_capability *capability = run->environment->capability;
  enum check_event_type type = check_event_type(information);
  uint64_t vector = information & 0xff;
  bool error_code = information >> 11 & 1;
  bool trap_flag = vmcs_can(capability, WORD_PRIMARY, VMCS_BIT(CPU_BASED_MONITOR_TRAP_FLAG));
  check_require(run, CHECK_CONTROL_INJECT_TYPE,
                type != EVENT_RESERVED && (type != EVENT_OTHER || trap_flag));
  check_require(run, CHECK_CONTROL_INJECT_VECTOR, is_vector_allowed(type, vector));
  check_require(run, CHECK_CONTROL_INJECT_ERROR_CODE,
                error_code == has_error_code(run, type, vector));
  check_require(run, CHECK_CONTROL_INJECT_RESERVED, !(information & 0x7ffff000));
  if (error_code)
    check_require(run, CHECK_CONTROL_INJECT_ERROR_CODE_RESERVED,
                  check_get(run, FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE) <= UINT16_MAX);
  if (type < EVENT_SOFTWARE_INTERRUPT || type == EVENT_OTHER) return;
  uint64_t length = check_get(run, FIELD_VM_ENTRY_INSTRUCTION_LEN);
  check_require(run, CHECK_CONTROL_INJECT_LENGTH,
                length <= 15 && (length > 0 || (capability->misc >> 30 & 1)));
}

/* SMM transfer monitors are not modelled, so neither control is ever meaningful outside SMM. */
static void check_smm_now(struct check_run *run) {
  if (run->environment->in_smm) return;
  check_require(run, CHECK_CONTROL_ENTRY_SMM, !(run->entry & VMCS_BIT(VM_ENTRY_SMM)));
  check_require(run, CHECK_CONTROL_ENTRY_DUAL_MONITOR,
                !(run->entry & VMCS_BIT(VM_ENTRY_DEACT_DUAL_MONITOR)));
}

void check_controls(struct check_run *run) {
  check_execution_words(run);
  check_bitmaps(run);
  check_tpr_shadow(run);
  check_nmi(run);
  check_virtual_apic(run);
  check_posted_interrupts(run);
  check_vpid(run);
  check_eptp(run);
  check_ept_dependents(run);
  check_shadowing(run);
  check_exit_controls(run);
  check_entry_controls(run);
}

void check_controls_now(struct check_run *run) {
  check_tpr_threshold_now(run);
  check_injection_now(run);
  check_smm_now(run);
}
