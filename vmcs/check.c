/* SPDX-License-Identifier: MIT
 * Runs the consistency checks in the manual's order, and knows which writes make which stale. */
#include "vmcs/check_run.h"
#include "vmcs/reason.h"

/* Lists in a row of check.def. */
#define FIELDS(...) \
  { __VA_ARGS__, FIELD_NONE }
#define BITS(...) \
  { __VA_ARGS__ }
#define NO_FIELDS \
  { FIELD_NONE }
#define NO_BITS \
  { 0 }

const struct vmcs_check_info vmcs_check_info[CHECK_COUNT] = {
#define VMCS_CHECK(id, stage, refusal, outcome, qualification, fields, bits, title, text) \
  {#id, (title), (text), (stage), (refusal), (outcome), (qualification), fields, bits},
#include "vmcs/check.def"
};

/* Inputs of the groups. Fields that are not listed are read by no check, or by the checks that
 * always run. test_vmcs_check.c fails if an input of a rule is missing here. */
#define CONTROLS (1 << GROUP_CONTROLS)
#define HOST (1 << GROUP_HOST)
#define GUEST (1 << GROUP_GUEST)
#define GUEST_SEGMENT(name)                                                      \
  [FIELD_GUEST_##name##_SELECTOR] = GUEST, [FIELD_GUEST_##name##_LIMIT] = GUEST, \
  [FIELD_GUEST_##name##_AR_BYTES] = GUEST, [FIELD_GUEST_##name##_BASE] = GUEST

const uint8_t vmcs_field_groups[FIELD_COUNT] = {
    [FIELD_PIN_BASED_VM_EXEC_CONTROL] = CONTROLS,
    [FIELD_CPU_BASED_VM_EXEC_CONTROL] = CONTROLS | GUEST,
    [FIELD_SECONDARY_VM_EXEC_CONTROL] = CONTROLS | GUEST,
    [FIELD_TERTIARY_VM_EXEC_CONTROL] = CONTROLS,
    [FIELD_VM_EXIT_CONTROLS] = CONTROLS | HOST,
    [FIELD_VM_ENTRY_CONTROLS] = CONTROLS | GUEST,
    [FIELD_CR3_TARGET_COUNT] = CONTROLS,
    [FIELD_IO_BITMAP_A] = CONTROLS,
    [FIELD_IO_BITMAP_B] = CONTROLS,
    [FIELD_MSR_BITMAP] = CONTROLS,
    [FIELD_VIRTUAL_APIC_PAGE_ADDR] = CONTROLS,
    [FIELD_TPR_THRESHOLD] = CONTROLS,
    [FIELD_APIC_ACCESS_ADDR] = CONTROLS,
    [FIELD_POSTED_INTR_NV] = CONTROLS,
    [FIELD_POSTED_INTR_DESC_ADDR] = CONTROLS,
    [FIELD_VIRTUAL_PROCESSOR_ID] = CONTROLS,
    [FIELD_EPT_POINTER] = CONTROLS,
    [FIELD_PML_ADDRESS] = CONTROLS,
    [FIELD_VMREAD_BITMAP] = CONTROLS,
    [FIELD_VMWRITE_BITMAP] = CONTROLS,
    [FIELD_VM_EXIT_MSR_STORE_ADDR] = CONTROLS,
    [FIELD_VM_EXIT_MSR_STORE_COUNT] = CONTROLS,
    [FIELD_VM_EXIT_MSR_LOAD_ADDR] = CONTROLS,
    [FIELD_VM_EXIT_MSR_LOAD_COUNT] = CONTROLS,
    [FIELD_VM_ENTRY_MSR_LOAD_ADDR] = CONTROLS,
    [FIELD_VM_ENTRY_MSR_LOAD_COUNT] = CONTROLS,

    [FIELD_HOST_CR0] = HOST,
    [FIELD_HOST_CR3] = HOST,
    [FIELD_HOST_CR4] = HOST,
    [FIELD_HOST_IA32_SYSENTER_ESP] = HOST,
    [FIELD_HOST_IA32_SYSENTER_EIP] = HOST,
    [FIELD_HOST_IA32_PERF_GLOBAL_CTRL] = HOST,
    [FIELD_HOST_IA32_PAT] = HOST,
    [FIELD_HOST_IA32_EFER] = HOST,
    [FIELD_HOST_ES_SELECTOR] = HOST,
    [FIELD_HOST_CS_SELECTOR] = HOST,
    [FIELD_HOST_SS_SELECTOR] = HOST,
    [FIELD_HOST_DS_SELECTOR] = HOST,
    [FIELD_HOST_FS_SELECTOR] = HOST,
    [FIELD_HOST_GS_SELECTOR] = HOST,
    [FIELD_HOST_TR_SELECTOR] = HOST,
    [FIELD_HOST_FS_BASE] = HOST,
    [FIELD_HOST_GS_BASE] = HOST,
    [FIELD_HOST_TR_BASE] = HOST,
    [FIELD_HOST_GDTR_BASE] = HOST,
    [FIELD_HOST_IDTR_BASE] = HOST,
    [FIELD_HOST_RIP] = HOST,

    [FIELD_GUEST_CR0] = GUEST,
    [FIELD_GUEST_CR3] = GUEST,
    [FIELD_GUEST_CR4] = GUEST,
    [FIELD_GUEST_DR7] = GUEST,
    [FIELD_GUEST_IA32_DEBUGCTL] = GUEST,
    [FIELD_GUEST_IA32_PERF_GLOBAL_CTRL] = GUEST,
    [FIELD_GUEST_IA32_PAT] = GUEST,
    [FIELD_GUEST_IA32_EFER] = GUEST,
    [FIELD_GUEST_SYSENTER_ESP] = GUEST,
    [FIELD_GUEST_SYSENTER_EIP] = GUEST,
    [FIELD_GUEST_RFLAGS] = GUEST, /* VM */
    GUEST_SEGMENT(ES),
    GUEST_SEGMENT(CS),
    GUEST_SEGMENT(SS),
    GUEST_SEGMENT(DS),
    GUEST_SEGMENT(FS),
    GUEST_SEGMENT(GS),
    GUEST_SEGMENT(LDTR),
    GUEST_SEGMENT(TR),
    [FIELD_GUEST_GDTR_BASE] = GUEST,
    [FIELD_GUEST_IDTR_BASE] = GUEST,
    [FIELD_GUEST_GDTR_LIMIT] = GUEST,
    [FIELD_GUEST_IDTR_LIMIT] = GUEST,
};

void check_fail(struct check_run *run, enum vmcs_check id) {
  if (run->stopped) return;
  run->failed++;
  if (run->report && !run->report(run->context, id)) run->stopped = true;
}

static void load_controls(struct check_run *run) {
  run->pin = check_get(run, FIELD_PIN_BASED_VM_EXEC_CONTROL);
  run->primary = check_get(run, FIELD_CPU_BASED_VM_EXEC_CONTROL);
  run->secondary = run->primary & VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
                       ? check_get(run, FIELD_SECONDARY_VM_EXEC_CONTROL)
                       : 0;
  run->exit = check_get(run, FIELD_VM_EXIT_CONTROLS);
  run->entry = check_get(run, FIELD_VM_ENTRY_CONTROLS);
}

static void check_guest_group(struct check_run *run) {
  check_guest_registers(run);
  check_guest_segments(run);
  check_guest_tables(run);
}

size_t vmcs_check_all(const struct vmcs *vmcs, const struct vmcs_check_environment *environment,
                      vmcs_check_report report, void *context) {
  struct check_run run = {
      .vmcs = vmcs, .environment = environment, .report = report, .context = context};
  load_controls(&run);
  check_controls(&run);
  check_controls_now(&run);
  check_host(&run);
  check_host_now(&run);
  check_guest_group(&run);
  check_guest_now(&run);
  return run.failed;
}

static bool keep_first(void *context, enum vmcs_check id) {
  *(enum vmcs_check *)context = id;
  return false;
}

/* Runs a group unless nothing that it reads was touched since it passed. */
static void check_if_stale(struct check_run *run, enum vmcs_check_group group,
                           void (*check)(struct check_run *)) {
  struct vmcs_header *header = vmcs_header(run->vmcs);
  if (run->failed || (header->checked >> group & 1)) return;
  check(run);
  if (!run->failed) header->checked |= UINT32_C(1) << group;
}

/* RIP within a 32-bit segment, or canonical in a 64-bit one; no PAE paging. */
static bool is_quiet_mode(const struct vmcs *vmcs, unsigned linear_bits, bool ia32e) {
  uint64_t rip = vmcs_get(vmcs, FIELD_GUEST_RIP);
  if (!ia32e) return rip <= UINT32_MAX && !(vmcs_get(vmcs, FIELD_GUEST_CR4) & CHECK_CR4_PAE);
  if (rip <= UINT32_MAX) return true;
  uint64_t high = rip >> (linear_bits - 1);
  return (high == 0 || high == UINT64_MAX >> (linear_bits - 1)) &&
         (vmcs_get(vmcs, FIELD_GUEST_CS_AR_BYTES) & CHECK_CS_AR_L);
}

/* The usual entry in a few loads: true only if no check that always runs has anything to object.
 * False decides nothing. */
static bool is_quiet(const struct vmcs *vmcs, const struct vmcs_check_environment *environment) {
  uint64_t busy = (vmcs_get(vmcs, FIELD_VM_ENTRY_INTR_INFO_FIELD) & UINT32_C(1) << 31) |
                  vmcs_get(vmcs, FIELD_GUEST_INTERRUPTIBILITY_INFO) |
                  vmcs_get(vmcs, FIELD_GUEST_ACTIVITY_STATE) |
                  vmcs_get(vmcs, FIELD_GUEST_PENDING_DBG_EXCEPTIONS) |
                  vmcs_get(vmcs, FIELD_TPR_THRESHOLD) | ~vmcs_get(vmcs, FIELD_VMCS_LINK_POINTER);
  uint64_t rflags = vmcs_get(vmcs, FIELD_GUEST_RFLAGS);
  busy |= (rflags ^ 2) & (~CHECK_RFLAGS_BITS | CHECK_RFLAGS_VM | 2);
  uint64_t entry = vmcs_get(vmcs, FIELD_VM_ENTRY_CONTROLS);
  busy |= entry & (VMCS_BIT(VM_ENTRY_SMM) | VMCS_BIT(VM_ENTRY_DEACT_DUAL_MONITOR));
  bool long_host = (environment->efer & CHECK_EFER_LMA) && (vmcs_get(vmcs, FIELD_VM_EXIT_CONTROLS) &
                                                            VMCS_BIT(VM_EXIT_HOST_ADDR_SPACE_SIZE));
  return busy == 0 && long_host &&
         is_quiet_mode(vmcs, environment->capability->linear_bits,
                       entry & VMCS_BIT(VM_ENTRY_IA32E_MODE));
}

static void check_before_guest(struct check_run *run) {
  load_controls(run);
  check_if_stale(run, GROUP_CONTROLS, check_controls);
  check_controls_now(run);
  check_if_stale(run, GROUP_HOST, check_host);
  check_host_now(run);
}

enum vmcs_check vmcs_check_first_before_guest(const struct vmcs *vmcs,
                                              const struct vmcs_check_environment *environment) {
  enum vmcs_check first = CHECK_NONE;
  struct check_run run = {
      .vmcs = vmcs, .environment = environment, .report = keep_first, .context = &first};
  check_before_guest(&run);
  return first;
}

enum vmcs_check vmcs_check_link(const struct vmcs *vmcs,
                                const struct vmcs_check_environment *environment) {
  enum vmcs_check first = CHECK_NONE;
  struct check_run run = {
      .vmcs = vmcs, .environment = environment, .report = keep_first, .context = &first};
  load_controls(&run);
  check_link_pointer(&run);
  return first;
}

enum vmcs_check vmcs_check_first(const struct vmcs *vmcs,
                                 const struct vmcs_check_environment *environment) {
  const uint32_t all_groups = (1 << GROUP_COUNT) - 1;
  if ((vmcs_header(vmcs)->checked & all_groups) == all_groups && is_quiet(vmcs, environment))
    return CHECK_NONE;
  enum vmcs_check first = CHECK_NONE;
  struct check_run run = {
      .vmcs = vmcs, .environment = environment, .report = keep_first, .context = &first};
  check_before_guest(&run);
  check_if_stale(&run, GROUP_GUEST, check_guest_group);
  check_guest_now(&run);
  return first;
}
