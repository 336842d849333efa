/* SPDX-License-Identifier: MIT
 * A guest hypervisor's VMCS is judged before it is merged, for the merged one no longer shows what
 * was asked: the rules are the processor's own (vmcs/check.def), applied to a view of the copy in
 * this hypervisor's memory, by the capabilities that this hypervisor offers. */
#include "vmcs/check.h"

#include "src/hypervisor/hv.h"

enum { FIRST_CAPABILITY = 0x480, BOTH_GROUPS = 1 << GROUP_CONTROLS | 1 << GROUP_HOST };

static const struct vmcs_layout layout = {.revision = HV_REVISION,
                                          .offset = {
#define VMCS_FIELD(name, encoding, width, kind, present, title) \
  [FIELD_##name] = VMCS_FIRST_FIELD_OFFSET + 8 * FIELD_##name,
#include "vmcs/field.def"
                                          }};

/* Fields as loaded, in the shape of a region. */
struct view {
  union {
    uint8_t bytes[VMCS_REGION_SIZE];
    struct vmcs_header header;
  } region;
  struct vmcs vmcs;
  struct vmcs_capability capability;
  struct vmcs_check_environment environment;
};

void hv_check_again(struct hv *hv, enum vmcs_field field) {
  uint64_t checked = hv_load(hv, HV_AT(checked));
  if (checked & vmcs_field_groups[field])
    hv_store(hv, HV_AT(checked), checked & ~(uint64_t)vmcs_field_groups[field]);
}

static uint64_t offered(struct hv *hv, unsigned msr) {
  return hv_load(hv, HV_AT(capability) + 8 * (size_t)(msr - FIRST_CAPABILITY));
}

static void load_capability(struct hv *hv, struct vmcs_capability *capability) {
  static const struct {
    uint8_t word;
    uint16_t msr;
  } control[] = {{WORD_PIN, 0x48d},
                 {WORD_PRIMARY, 0x48e},
                 {WORD_SECONDARY, 0x48b},
                 {WORD_EXIT, 0x48f},
                 {WORD_ENTRY, 0x490}};
  uint64_t row[2];
  for (unsigned i = 0; i < sizeof control / sizeof control[0]; i++) {
    uint64_t value = offered(hv, control[i].msr);
    capability->must_be_one[control[i].word] = value & UINT32_MAX;
    capability->may_be_one[control[i].word] = value >> 32;
  }
  capability->may_be_one[WORD_TERTIARY] = offered(hv, 0x492);
  capability->basic = offered(hv, 0x480);
  capability->misc = offered(hv, 0x485);
  capability->cr0_fixed0 = offered(hv, 0x486);
  capability->cr0_fixed1 = offered(hv, 0x487);
  capability->cr4_fixed0 = offered(hv, 0x488);
  capability->cr4_fixed1 = offered(hv, 0x489);
  capability->ept_vpid = offered(hv, 0x48c);
  hv_cpuid_row(hv, 0x80000008, 0, row); /* EAX: physical and linear address widths */
  capability->physical_bits = row[0] & 0xff;
  capability->linear_bits = row[0] >> 8 & 0xff;
}

static bool read_guest32(void *context, uint64_t physical, uint32_t *value) {
  struct hv *hv = context;
  uint64_t own = hv_guest_memory(hv, physical);
  if (own == UINT64_MAX) return false;
  *value = (uint32_t)nst_load(hv->cpu, own, 4);
  return true;
}

static void load_field(struct hv *hv, struct view *view, enum vmcs_field field) {
  vmcs_set(&view->vmcs, field, hv_vmcs12(hv, field));
}

/* What every view has: the control words, and what the checks read that are never skipped. */
static void open_view(struct hv *hv, struct view *view) {
  static const uint16_t always[] = {FIELD_PIN_BASED_VM_EXEC_CONTROL,
                                    FIELD_CPU_BASED_VM_EXEC_CONTROL,
                                    FIELD_SECONDARY_VM_EXEC_CONTROL,
                                    FIELD_VM_EXIT_CONTROLS,
                                    FIELD_VM_ENTRY_CONTROLS,
                                    FIELD_VM_ENTRY_INTR_INFO_FIELD,
                                    FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE,
                                    FIELD_VM_ENTRY_INSTRUCTION_LEN,
                                    FIELD_GUEST_CR0,
                                    FIELD_TPR_THRESHOLD,
                                    FIELD_VIRTUAL_APIC_PAGE_ADDR,
                                    FIELD_VMCS_LINK_POINTER};
  *view = (struct view){.vmcs = {view->region.bytes, &layout}};
  for (unsigned i = 0; i < sizeof always / sizeof always[0]; i++)
    load_field(hv, view, (enum vmcs_field)always[i]);
  load_capability(hv, &view->capability);
  view->environment = (struct vmcs_check_environment){
      .capability = &view->capability,
      .efer = hv_copy(hv, HV_REGION_OWN, FIELD_GUEST_IA32_EFER),
      .current_pointer = hv_load(hv, HV_AT(current)),
      .read32 = read_guest32,
      .context = hv,
  };
}

static void load_groups(struct hv *hv, struct view *view, unsigned groups) {
  for (unsigned i = 0; i < FIELD_COUNT; i++)
    if (vmcs_field_groups[i] & groups) load_field(hv, view, (enum vmcs_field)i);
}

/* The link pointer is wrong: which of all guest-state checks comes first? */
static enum vmcs_check first_guest_check(struct hv *hv, struct view *view) {
  hv_rare_fetch(hv);
  for (unsigned i = 0; i < FIELD_COUNT; i++) load_field(hv, view, (enum vmcs_field)i);
  return vmcs_check_first(&view->vmcs, &view->environment);
}

/* No event to inject, no threshold and no linked VMCS: only the groups have a say. */
static bool is_quiet(struct hv *hv) {
  return !(hv_vmcs12(hv, FIELD_VM_ENTRY_INTR_INFO_FIELD) >> 31) &&
         !hv_vmcs12(hv, FIELD_TPR_THRESHOLD) &&
         hv_vmcs12(hv, FIELD_VMCS_LINK_POINTER) == UINT64_MAX;
}

bool hv_check_entry(struct hv *hv) {
  uint64_t checked = hv_load(hv, HV_AT(checked));
  if ((checked & BOTH_GROUPS) == BOTH_GROUPS && is_quiet(hv)) return true;
  struct view view;
  open_view(hv, &view);
  load_groups(hv, &view, BOTH_GROUPS & ~(unsigned)checked);
  view.region.header.checked = (uint32_t)checked;
  enum vmcs_check failed = vmcs_check_first_before_guest(&view.vmcs, &view.environment);
  if (view.region.header.checked != checked)
    hv_store(hv, HV_AT(checked), view.region.header.checked);
  if (failed != CHECK_NONE) {
    hv_vmx_done(hv, HV_FAIL_VALID, vmcs_check_info[failed].outcome);
    return false;
  }
  if (vmcs_check_link(&view.vmcs, &view.environment) == CHECK_NONE) return true;
  failed = first_guest_check(hv, &view);
  hv_failed_entry(hv, EXIT_REASON_INVALID_STATE | EXIT_REASON_FAILED_ENTRY,
                  vmcs_check_info[failed].qualification);
  return false;
}
