/* SPDX-License-Identifier: MIT
 * SDM 3C "Checks on the Host-State Area". */
#include "vmcs/check_run.h"

static bool is_host_64(const struct check_run *run) {
  return run->exit & VMCS_BIT(VM_EXIT_HOST_ADDR_SPACE_SIZE);
}

static void require_canonical(struct check_run *run, enum vmcs_check id, enum vmcs_field field) {
  check_require(run, id, check_is_canonical(run, check_get(run, field)));
}

/* SDM 3C "Checks on Host Control Registers, MSRs, and SSP" */
static void check_registers(struct check_run *run) {
  const struct vmcs_capability *capability = run->environment->capability;
  check_require(run, CHECK_HOST_CR0_FIXED,
                check_is_fixed(check_get(run, FIELD_HOST_CR0), capability->cr0_fixed0,
                               capability->cr0_fixed1));
  check_require(run, CHECK_HOST_CR4_FIXED,
                check_is_fixed(check_get(run, FIELD_HOST_CR4), capability->cr4_fixed0,
                               capability->cr4_fixed1));
  check_require(run, CHECK_HOST_CR3_WIDTH, check_in_width(run, check_get(run, FIELD_HOST_CR3)));
  require_canonical(run, CHECK_HOST_SYSENTER_ESP_CANONICAL, FIELD_HOST_IA32_SYSENTER_ESP);
  require_canonical(run, CHECK_HOST_SYSENTER_EIP_CANONICAL, FIELD_HOST_IA32_SYSENTER_EIP);
}

static void check_efer(struct check_run *run) {
  uint64_t efer = check_get(run, FIELD_HOST_IA32_EFER);
  check_require(run, CHECK_HOST_EFER_RESERVED, !(efer & ~CHECK_EFER_BITS));
  check_require(run, CHECK_HOST_EFER_LMA, !(efer & CHECK_EFER_LMA) == !is_host_64(run));
  check_require(run, CHECK_HOST_EFER_LME, !(efer & CHECK_EFER_LME) == !is_host_64(run));
}

static void check_msrs(struct check_run *run) {
  if (run->exit & VMCS_BIT(VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL))
    check_require(
        run, CHECK_HOST_PERF_GLOBAL_CTRL_RESERVED,
        !(check_get(run, FIELD_HOST_IA32_PERF_GLOBAL_CTRL) & ~CHECK_PERF_GLOBAL_CTRL_BITS));
  if (run->exit & VMCS_BIT(VM_EXIT_LOAD_IA32_PAT))
    check_require(run, CHECK_HOST_PAT_TYPE, check_is_pat(check_get(run, FIELD_HOST_IA32_PAT)));
  if (run->exit & VMCS_BIT(VM_EXIT_LOAD_IA32_EFER)) check_efer(run);
}

/* SDM 3C "Checks on Host Segment and Descriptor-Table Registers" */
static void check_segments(struct check_run *run) {
  for (unsigned i = 0; i <= FIELD_HOST_TR_SELECTOR - FIELD_HOST_ES_SELECTOR; i++)
    check_require(run, check_nth(CHECK_HOST_ES_SELECTOR, i),
                  !(check_get(run, field_nth(FIELD_HOST_ES_SELECTOR, i)) & 7));
  check_require(run, CHECK_HOST_CS_NULL, check_get(run, FIELD_HOST_CS_SELECTOR) != 0);
  check_require(run, CHECK_HOST_TR_NULL, check_get(run, FIELD_HOST_TR_SELECTOR) != 0);
  check_require(run, CHECK_HOST_SS_NULL,
                is_host_64(run) || check_get(run, FIELD_HOST_SS_SELECTOR) != 0);
  for (unsigned i = 0; i <= FIELD_HOST_IDTR_BASE - FIELD_HOST_FS_BASE; i++)
    require_canonical(run, check_nth(CHECK_HOST_FS_BASE_CANONICAL, i),
                      field_nth(FIELD_HOST_FS_BASE, i));
}

/* SDM 3C "Checks Related to Address-Space Size", the part that reads VMCS fields only. */
static void check_address_space(struct check_run *run) {
  uint64_t cr4 = check_get(run, FIELD_HOST_CR4);
  if (is_host_64(run)) {
    check_require(run, CHECK_HOST_CR4_PAE, cr4 & CHECK_CR4_PAE);
    require_canonical(run, CHECK_HOST_RIP_CANONICAL, FIELD_HOST_RIP);
  } else {
    check_require(run, CHECK_HOST_CR4_PCIDE, !(cr4 & CHECK_CR4_PCIDE));
    check_require(run, CHECK_HOST_RIP_HIGH, check_get(run, FIELD_HOST_RIP) <= UINT32_MAX);
  }
}

void check_host(struct check_run *run) {
  check_registers(run);
  check_msrs(run);
  check_segments(run);
  check_address_space(run);
}

/* The part that reads the mode. That a 32-bit host has no IA-32e guest follows from these three. */
void check_host_now(struct check_run *run) {
  if (run->environment->efer & CHECK_EFER_LMA) {
    check_require(run, CHECK_HOST_MODE_SPACE_32, is_host_64(run));
  } else {
    check_require(run, CHECK_HOST_MODE_GUEST_IA32E, !(run->entry & VMCS_BIT(VM_ENTRY_IA32E_MODE)));
    check_require(run, CHECK_HOST_MODE_SPACE_64, !is_host_64(run));
  }
}
