/* SPDX-License-Identifier: MIT
 * Outcome and VM-instruction error of every VMX instruction, by the software of L0; and the same
 * table by that of L1 and L2, where hypervisors emulate the instructions: nesting is transparent.
 * SDM 3C "VMX Instruction Reference", "VM-Instruction Error Numbers". */
#include "test/test_machine_driven.h"

enum { GUEST_EXIT = 100 }; /* an entry that came back as an exit */

#define BEYOND_WIDTH (UINT64_C(1) << 50)

struct outcome {
  unsigned result; /* enum nst_vmx_result, or GUEST_EXIT */
  uint32_t number; /* VM-instruction error, vector of the fault, or exit reason */
};

/* ---- helpers */

static uint32_t revision_of(struct driven *d) {
  uint64_t basic = 0;
  EXPECT_TRUE(d->name, nst_rdmsr(d->cpu, 0x480, &basic));
  return (uint32_t)basic & 0x7fffffff;
}

static uint64_t make_region(struct driven *d, uint64_t address, uint32_t revision) {
  nst_store(d->cpu, address, 4, revision);
  return address;
}

static struct outcome outcome(struct driven *d, enum nst_vmx_result result) {
  uint64_t error = 0;
  if (result == NST_VMX_FAIL_VALID) nst_vmread(d->cpu, NST_FIELD_VM_INSTRUCTION_ERROR, &error);
  if (result == NST_VMX_FAULT) error = nst_pending_fault(d->cpu).vector;
  return (struct outcome){result, (uint32_t)error};
}

static struct outcome enter(struct driven *d, bool launch) {
  enum nst_vmx_result result = launch ? nst_vmlaunch(d->cpu) : nst_vmresume(d->cpu);
  if (result != NST_VMX_SUCCEED) return outcome(d, result);
  DRIVEN_EQ(d, nst_run(d->cpu, 1000, &d->stop), NST_OK);
  DRIVEN_EQ(d, d->stop.kind, NST_STOP_EXIT);
  return (struct outcome){GUEST_EXIT, (uint32_t)driven_read(d, NST_FIELD_VM_EXIT_REASON)};
}

static void no_current(struct driven *d) {
  uint64_t current = 0;
  DRIVEN_EQ(d, nst_vmptrst(d->cpu, &current), NST_VMX_SUCCEED);
  if (current != UINT64_MAX) DRIVEN_EQ(d, nst_vmclear(d->cpu, current), NST_VMX_SUCCEED);
}

static struct outcome enter_with(struct driven *d, uint32_t field, uint64_t value) {
  driven_write(d, field, value);
  return enter(d, true);
}

/* ---- VMXON, VMXOFF */

static struct outcome vmxon_again(struct driven *d) {
  return outcome(d, nst_vmxon(d->cpu, VMXON_REGION));
}
static struct outcome vmxon_again_no_current(struct driven *d) {
  no_current(d);
  return outcome(d, nst_vmxon(d->cpu, VMXON_REGION));
}
static struct outcome vmxon_at(struct driven *d, uint64_t address) {
  DRIVEN_EQ(d, nst_vmxoff(d->cpu), NST_VMX_SUCCEED);
  return outcome(d, nst_vmxon(d->cpu, address));
}
static struct outcome vmxon_after_vmxoff(struct driven *d) {
  return vmxon_at(d, VMXON_REGION);
}
static struct outcome vmxon_unaligned(struct driven *d) {
  return vmxon_at(d, VMXON_REGION + 8);
}
static struct outcome vmxon_beyond_width(struct driven *d) {
  return vmxon_at(d, BEYOND_WIDTH);
}
static struct outcome vmxon_other_revision(struct driven *d) {
  return vmxon_at(d, make_region(d, SCRATCH, revision_of(d) + 1));
}
static struct outcome vmxon_shadow_indicator(struct driven *d) {
  return vmxon_at(d, make_region(d, SCRATCH, revision_of(d) | UINT32_C(1) << 31));
}
static struct outcome vmxon_without_vmxe(struct driven *d) {
  DRIVEN_EQ(d, nst_vmxoff(d->cpu), NST_VMX_SUCCEED);
  nst_write_cr(d->cpu, 4, nst_read_cr(d->cpu, 4) & ~(UINT64_C(1) << 13));
  return outcome(d, nst_vmxon(d->cpu, VMXON_REGION));
}
static struct outcome vmxoff_in_root(struct driven *d) {
  return outcome(d, nst_vmxoff(d->cpu));
}
static struct outcome vmxoff_again(struct driven *d) {
  nst_vmxoff(d->cpu);
  return outcome(d, nst_vmxoff(d->cpu));
}
static struct outcome vmptrld_after_vmxoff(struct driven *d) {
  nst_vmxoff(d->cpu);
  return outcome(d, nst_vmptrld(d->cpu, OWN_REGION));
}
static struct outcome vmread_after_vmxoff(struct driven *d) {
  uint64_t value;
  nst_vmxoff(d->cpu);
  return outcome(d, nst_vmread(d->cpu, NST_FIELD_GUEST_RIP, &value));
}
static struct outcome vmxoff_forgets_current(struct driven *d) {
  uint64_t current = 0;
  nst_vmxoff(d->cpu);
  nst_vmxon(d->cpu, VMXON_REGION);
  struct outcome done = outcome(d, nst_vmptrst(d->cpu, &current));
  DRIVEN_EQ(d, current, UINT64_MAX);
  return done;
}

/* ---- VMCLEAR, VMPTRLD, VMPTRST */

static struct outcome vmclear_current(struct driven *d) {
  uint64_t current = 0;
  struct outcome done = outcome(d, nst_vmclear(d->cpu, OWN_REGION));
  nst_vmptrst(d->cpu, &current);
  DRIVEN_EQ(d, current, UINT64_MAX);
  return done;
}
static struct outcome vmclear_unaligned(struct driven *d) {
  return outcome(d, nst_vmclear(d->cpu, OWN_REGION + 1));
}
static struct outcome vmclear_beyond_width(struct driven *d) {
  return outcome(d, nst_vmclear(d->cpu, BEYOND_WIDTH));
}
static struct outcome vmclear_vmxon_pointer(struct driven *d) {
  return outcome(d, nst_vmclear(d->cpu, VMXON_REGION));
}
static struct outcome vmclear_unaligned_no_current(struct driven *d) {
  no_current(d);
  return outcome(d, nst_vmclear(d->cpu, OWN_REGION + 1));
}
static struct outcome vmptrld_other(struct driven *d) {
  uint64_t current = 0;
  struct outcome done = outcome(d, nst_vmptrld(d->cpu, make_region(d, SCRATCH, revision_of(d))));
  nst_vmptrst(d->cpu, &current);
  DRIVEN_EQ(d, current, SCRATCH);
  return done;
}
static struct outcome vmptrld_unaligned(struct driven *d) {
  return outcome(d, nst_vmptrld(d->cpu, OWN_REGION + 0x800));
}
static struct outcome vmptrld_beyond_width(struct driven *d) {
  return outcome(d, nst_vmptrld(d->cpu, BEYOND_WIDTH));
}
static struct outcome vmptrld_vmxon_pointer(struct driven *d) {
  return outcome(d, nst_vmptrld(d->cpu, VMXON_REGION));
}
static struct outcome vmptrld_other_revision(struct driven *d) {
  return outcome(d, nst_vmptrld(d->cpu, make_region(d, SCRATCH, revision_of(d) + 1)));
}
static struct outcome vmptrld_shadow_indicator(struct driven *d) {
  uint32_t revision = revision_of(d) | UINT32_C(1) << 31;
  return outcome(d, nst_vmptrld(d->cpu, make_region(d, SCRATCH, revision)));
}
static struct outcome vmptrld_other_revision_no_current(struct driven *d) {
  no_current(d);
  return outcome(d, nst_vmptrld(d->cpu, make_region(d, SCRATCH, revision_of(d) + 1)));
}
static struct outcome vmptrld_failed_keeps_current(struct driven *d) {
  uint64_t current = 0;
  nst_vmptrld(d->cpu, VMXON_REGION);
  struct outcome done = outcome(d, nst_vmptrst(d->cpu, &current));
  DRIVEN_EQ(d, current, OWN_REGION);
  return done;
}
/* Fields stay with their region while another one is current. */
static struct outcome vmptrld_back_keeps_fields(struct driven *d) {
  driven_write(d, NST_FIELD_GUEST_RSP, 0x1234);
  nst_vmptrld(d->cpu, make_region(d, SCRATCH, revision_of(d)));
  driven_write(d, NST_FIELD_GUEST_RSP, 0x5678);
  struct outcome done = outcome(d, nst_vmptrld(d->cpu, OWN_REGION));
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_RSP), 0x1234);
  return done;
}

/* ---- VMREAD, VMWRITE */

static struct outcome read_of(struct driven *d, uint32_t field) {
  uint64_t value = 0;
  return outcome(d, nst_vmread(d->cpu, field, &value));
}
static struct outcome vmread_unsupported(struct driven *d) {
  return read_of(d, 0x6fff);
}
static struct outcome vmread_high_of_32_bit(struct driven *d) {
  return read_of(d, NST_FIELD_EXCEPTION_BITMAP | 1);
}
static struct outcome vmread_high_half(struct driven *d) {
  uint64_t value = 0;
  driven_write(d, NST_FIELD_TSC_OFFSET, UINT64_C(0x1122334455667788));
  struct outcome done = outcome(d, nst_vmread(d->cpu, NST_FIELD_TSC_OFFSET | 1, &value));
  DRIVEN_EQ(d, value, 0x11223344);
  return done;
}
static struct outcome vmread_no_current(struct driven *d) {
  no_current(d);
  return read_of(d, NST_FIELD_GUEST_RIP);
}
static struct outcome vmread_unsupported_no_current(struct driven *d) {
  no_current(d);
  return read_of(d, 0x6fff);
}
static struct outcome vmwrite_unsupported(struct driven *d) {
  return outcome(d, nst_vmwrite(d->cpu, 0x6fff, 1));
}
static struct outcome vmwrite_high_half(struct driven *d) {
  driven_write(d, NST_FIELD_TSC_OFFSET, UINT64_C(0x1122334455667788));
  struct outcome done = outcome(d, nst_vmwrite(d->cpu, NST_FIELD_TSC_OFFSET | 1, 0xaabbccdd));
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_TSC_OFFSET), UINT64_C(0xaabbccdd55667788));
  return done;
}
static struct outcome vmwrite_wider_than_field(struct driven *d) {
  struct outcome done =
      outcome(d, nst_vmwrite(d->cpu, NST_FIELD_GUEST_ES_SELECTOR, UINT64_C(0x123456789)));
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_ES_SELECTOR), 0x6789);
  return done;
}
static struct outcome vmwrite_no_current(struct driven *d) {
  no_current(d);
  return outcome(d, nst_vmwrite(d->cpu, NST_FIELD_GUEST_RIP, 1));
}
static struct outcome vmwrite_read_only(struct driven *d) {
  return outcome(d, nst_vmwrite(d->cpu, NST_FIELD_VM_EXIT_REASON, 1));
}
static struct outcome vmwrite_unsupported_shadowing(struct driven *d) {
  return outcome(d, nst_vmwrite(d->cpu, NST_FIELD_VMREAD_BITMAP, 0));
}

/* ---- VMLAUNCH, VMRESUME */

static struct outcome vmlaunch_clear(struct driven *d) {
  return enter(d, true);
}
static struct outcome vmlaunch_launched(struct driven *d) {
  enter(d, true);
  return enter(d, true);
}
static struct outcome vmresume_clear(struct driven *d) {
  return enter(d, false);
}
static struct outcome vmresume_launched(struct driven *d) {
  enter(d, true);
  return enter(d, false);
}
static struct outcome vmlaunch_cleared_again(struct driven *d) {
  enter(d, true);
  DRIVEN_EQ(d, nst_vmclear(d->cpu, OWN_REGION), NST_VMX_SUCCEED);
  DRIVEN_EQ(d, nst_vmptrld(d->cpu, OWN_REGION), NST_VMX_SUCCEED);
  return enter(d, true);
}
static struct outcome vmlaunch_no_current(struct driven *d) {
  no_current(d);
  return enter(d, true);
}
static struct outcome vmresume_no_current(struct driven *d) {
  no_current(d);
  return enter(d, false);
}
static struct outcome vmlaunch_shadow_vmcs(struct driven *d) {
  vmptrld_shadow_indicator(d);
  return enter(d, true);
}
static struct outcome vmlaunch_bad_control(struct driven *d) {
  return enter_with(d, NST_FIELD_CR3_TARGET_COUNT, 5);
}
static struct outcome vmlaunch_bad_pin_controls(struct driven *d) {
  return enter_with(d, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, 0);
}
static struct outcome vmlaunch_bad_eptp(struct driven *d) {
  return enter_with(d, NST_FIELD_EPT_POINTER, driven_read(d, NST_FIELD_EPT_POINTER) | 7);
}
static struct outcome vmlaunch_vpid_zero(struct driven *d) {
  return enter_with(d, NST_FIELD_VIRTUAL_PROCESSOR_ID, 0);
}
static struct outcome vmlaunch_bad_injection(struct driven *d) {
  return enter_with(d, NST_FIELD_VM_ENTRY_INTR_INFO_FIELD, UINT32_C(0x80000100)); /* type 1 */
}
static struct outcome vmlaunch_bad_host_cr4(struct driven *d) {
  return enter_with(d, NST_FIELD_HOST_CR4, 0);
}
static struct outcome vmlaunch_bad_host_selector(struct driven *d) {
  return enter_with(d, NST_FIELD_HOST_CS_SELECTOR, 0);
}
static struct outcome vmlaunch_bad_host_rip(struct driven *d) {
  return enter_with(d, NST_FIELD_HOST_RIP, UINT64_C(1) << 60);
}
static struct outcome vmlaunch_control_before_host(struct driven *d) {
  driven_write(d, NST_FIELD_HOST_CR4, 0);
  return vmlaunch_bad_control(d);
}
static struct outcome vmlaunch_host_before_guest(struct driven *d) {
  driven_write(d, NST_FIELD_GUEST_RFLAGS, 0);
  return vmlaunch_bad_host_cr4(d);
}
static struct outcome vmlaunch_bad_rflags(struct driven *d) {
  struct outcome done = enter_with(d, NST_FIELD_GUEST_RFLAGS, 0);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_EXIT_QUALIFICATION), 0);
  return done;
}
static struct outcome vmlaunch_bad_guest_cr4(struct driven *d) {
  return enter_with(d, NST_FIELD_GUEST_CR4, 0);
}
static struct outcome vmlaunch_bad_link_pointer(struct driven *d) {
  struct outcome done = enter_with(d, NST_FIELD_VMCS_LINK_POINTER, 0x123);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_EXIT_QUALIFICATION), 4);
  return done;
}
/* The linked VMCS must be another one than this, with the same revision identifier. */
static struct outcome vmlaunch_linked_to_itself(struct driven *d) {
  struct outcome done = enter_with(d, NST_FIELD_VMCS_LINK_POINTER, OWN_REGION);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_EXIT_QUALIFICATION), 4);
  return done;
}
static struct outcome vmlaunch_linked_to_other_revision(struct driven *d) {
  make_region(d, SCRATCH, revision_of(d) + 1);
  struct outcome done = enter_with(d, NST_FIELD_VMCS_LINK_POINTER, SCRATCH);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_EXIT_QUALIFICATION), 4);
  return done;
}
static struct outcome vmlaunch_linked(struct driven *d) {
  make_region(d, SCRATCH, revision_of(d));
  return enter_with(d, NST_FIELD_VMCS_LINK_POINTER, SCRATCH);
}
static struct outcome vmlaunch_rflags_before_link_pointer(struct driven *d) {
  driven_write(d, NST_FIELD_VMCS_LINK_POINTER, 0x123);
  return vmlaunch_bad_rflags(d);
}
/* What passed once is looked at again after each write, one that a shadow VMCS served as well. */
static struct outcome vmresume_bad_control(struct driven *d) {
  enter(d, true);
  driven_write(d, NST_FIELD_CR3_TARGET_COUNT, 5);
  return enter(d, false);
}
static struct outcome vmresume_bad_pin_controls(struct driven *d) {
  enter(d, true);
  driven_write(d, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, 0);
  return enter(d, false);
}
static struct outcome vmresume_bad_host_gs(struct driven *d) {
  enter(d, true);
  driven_write(d, NST_FIELD_HOST_GS_SELECTOR, 1);
  return enter(d, false);
}
static struct outcome vmresume_bad_host_fs_base(struct driven *d) {
  enter(d, true);
  driven_write(d, NST_FIELD_HOST_FS_BASE, UINT64_C(1) << 60);
  return enter(d, false);
}
static struct outcome vmresume_bad_injection(struct driven *d) {
  enter(d, true);
  driven_write(d, NST_FIELD_VM_ENTRY_INTR_INFO_FIELD, UINT32_C(0x80000100));
  return enter(d, false);
}
static struct outcome vmresume_mended_control(struct driven *d) {
  vmresume_bad_control(d);
  driven_write(d, NST_FIELD_CR3_TARGET_COUNT, 0);
  return enter(d, false);
}
static struct outcome vmlaunch_bad_msr_row(struct driven *d) {
  nst_store(d->cpu, SCRATCH, 8, 0xc0000101); /* GS base: must not be in the area */
  nst_store(d->cpu, SCRATCH + 8, 8, 0);
  driven_write(d, NST_FIELD_VM_ENTRY_MSR_LOAD_ADDR, SCRATCH);
  struct outcome done = enter_with(d, NST_FIELD_VM_ENTRY_MSR_LOAD_COUNT, 1);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_EXIT_QUALIFICATION), 1);
  return done;
}
/* A failed entry leaves the VMCS clear. */
static struct outcome vmlaunch_after_guest_failure(struct driven *d) {
  enter_with(d, NST_FIELD_GUEST_RFLAGS, 0);
  driven_write(d, NST_FIELD_GUEST_RFLAGS, 2);
  return enter(d, true);
}
static struct outcome vmlaunch_after_refusal(struct driven *d) {
  uint64_t cr4 = driven_read(d, NST_FIELD_HOST_CR4);
  vmlaunch_bad_host_cr4(d);
  return enter_with(d, NST_FIELD_HOST_CR4, cr4);
}
static struct outcome vmresume_after_refused_vmlaunch(struct driven *d) {
  vmlaunch_bad_control(d);
  return enter(d, false);
}

/* ---- INVEPT, INVVPID */

static struct outcome invept(struct driven *d, uint64_t type, uint64_t eptp) {
  return outcome(d, nst_invept(d->cpu, type, eptp));
}
static struct outcome invept_single(struct driven *d) {
  return invept(d, 1, driven_read(d, NST_FIELD_EPT_POINTER));
}
static struct outcome invept_all(struct driven *d) {
  return invept(d, 2, 0);
}
static struct outcome invept_type_0(struct driven *d) {
  return invept(d, 0, 0);
}
static struct outcome invept_type_3(struct driven *d) {
  return invept(d, 3, 0);
}
static struct outcome invept_bad_eptp(struct driven *d) {
  return invept(d, 1, 7);
}
static struct outcome invept_type_0_no_current(struct driven *d) {
  no_current(d);
  return invept(d, 0, 0);
}
static struct outcome invvpid(struct driven *d, uint64_t type, uint16_t vpid, uint64_t linear) {
  return outcome(d, nst_invvpid(d->cpu, type, vpid, linear));
}
static struct outcome invvpid_address(struct driven *d) {
  return invvpid(d, 0, 1, 0x1000);
}
static struct outcome invvpid_single(struct driven *d) {
  return invvpid(d, 1, 1, 0);
}
static struct outcome invvpid_all(struct driven *d) {
  return invvpid(d, 2, 0, 0);
}
static struct outcome invvpid_retaining_globals(struct driven *d) {
  return invvpid(d, 3, 1, 0);
}
static struct outcome invvpid_type_4(struct driven *d) {
  return invvpid(d, 4, 1, 0);
}
static struct outcome invvpid_single_0(struct driven *d) {
  return invvpid(d, 1, 0, 0);
}
static struct outcome invvpid_address_not_canonical(struct driven *d) {
  return invvpid(d, 0, 1, UINT64_C(1) << 60);
}

/* ---- the table */

static const struct vmx_case {
  const char *name;
  struct outcome (*execute)(struct driven *d);
  struct outcome expected;
  struct setting setting;
} cases[] = {
#define SUCCEED \
  { NST_VMX_SUCCEED, 0 }
#define INVALID \
  { NST_VMX_FAIL_INVALID, 0 }
#define FAIL(number) \
  { NST_VMX_FAIL_VALID, (number) }
#define FAULT(vector) \
  { NST_VMX_FAULT, (vector) }
#define EXIT(reason) \
  { GUEST_EXIT, (reason) }
#define REFUSED(reason) \
  { GUEST_EXIT, UINT32_C(1) << 31 | (reason) }
#define CASE(function, ...)             \
  {                                     \
#function, function, __VA_ARGS__, { \
      0                                 \
    }                                   \
  }
#define CASE_ON(processor, function, ...)                \
  {                                                      \
#function " on " processor, function, __VA_ARGS__, { \
      processor, 0, false, false, 0, 0                   \
    }                                                    \
  }
    CASE(vmxon_again, FAIL(15)),
    CASE(vmxon_again_no_current, INVALID),
    CASE(vmxon_after_vmxoff, SUCCEED),
    CASE(vmxon_unaligned, INVALID),
    CASE(vmxon_beyond_width, INVALID),
    CASE(vmxon_other_revision, INVALID),
    CASE(vmxon_shadow_indicator, INVALID),
    CASE(vmxon_without_vmxe, FAULT(6)),
    CASE(vmxoff_in_root, SUCCEED),
    CASE(vmxoff_again, FAULT(6)),
    CASE(vmptrld_after_vmxoff, FAULT(6)),
    CASE(vmread_after_vmxoff, FAULT(6)),
    CASE(vmxoff_forgets_current, SUCCEED),
    CASE(vmclear_current, SUCCEED),
    CASE(vmclear_unaligned, FAIL(2)),
    CASE(vmclear_beyond_width, FAIL(2)),
    CASE(vmclear_vmxon_pointer, FAIL(3)),
    CASE(vmclear_unaligned_no_current, INVALID),
    CASE(vmptrld_other, SUCCEED),
    CASE(vmptrld_unaligned, FAIL(9)),
    CASE(vmptrld_beyond_width, FAIL(9)),
    CASE(vmptrld_vmxon_pointer, FAIL(10)),
    CASE(vmptrld_other_revision, FAIL(11)),
    CASE(vmptrld_shadow_indicator, SUCCEED),
    CASE_ON("nehalem", vmptrld_shadow_indicator, FAIL(11)),
    CASE(vmptrld_other_revision_no_current, INVALID),
    CASE(vmptrld_failed_keeps_current, SUCCEED),
    CASE(vmptrld_back_keeps_fields, SUCCEED),
    CASE(vmread_unsupported, FAIL(12)),
    CASE(vmread_high_of_32_bit, FAIL(12)),
    CASE(vmread_high_half, SUCCEED),
    CASE(vmread_no_current, INVALID),
    CASE(vmread_unsupported_no_current, INVALID),
    CASE(vmwrite_unsupported, FAIL(12)),
    CASE(vmwrite_high_half, SUCCEED),
    CASE(vmwrite_wider_than_field, SUCCEED),
    CASE(vmwrite_no_current, INVALID),
    CASE(vmwrite_read_only, SUCCEED),
    CASE_ON("nehalem", vmwrite_read_only, FAIL(13)),
    CASE_ON("nehalem", vmwrite_unsupported_shadowing, FAIL(12)),
    CASE(vmlaunch_clear, EXIT(12)),
    CASE(vmlaunch_launched, FAIL(4)),
    CASE(vmresume_clear, FAIL(5)),
    CASE(vmresume_launched, EXIT(12)),
    CASE(vmlaunch_cleared_again, EXIT(12)),
    CASE(vmlaunch_no_current, INVALID),
    CASE(vmresume_no_current, INVALID),
    CASE(vmlaunch_shadow_vmcs, INVALID),
    CASE(vmlaunch_bad_control, FAIL(7)),
    CASE(vmlaunch_bad_pin_controls, FAIL(7)),
    CASE(vmlaunch_bad_eptp, FAIL(7)),
    CASE(vmlaunch_vpid_zero, FAIL(7)),
    CASE(vmlaunch_bad_injection, FAIL(7)),
    CASE(vmlaunch_bad_host_cr4, FAIL(8)),
    CASE(vmlaunch_bad_host_selector, FAIL(8)),
    CASE(vmlaunch_bad_host_rip, FAIL(8)),
    CASE(vmlaunch_control_before_host, FAIL(7)),
    CASE(vmlaunch_host_before_guest, FAIL(8)),
    CASE(vmlaunch_bad_rflags, REFUSED(33)),
    CASE(vmlaunch_bad_guest_cr4, REFUSED(33)),
    CASE(vmlaunch_bad_link_pointer, REFUSED(33)),
    CASE(vmlaunch_linked_to_itself, REFUSED(33)),
    CASE(vmlaunch_linked_to_other_revision, REFUSED(33)),
    CASE(vmlaunch_linked, EXIT(12)),
    CASE(vmlaunch_rflags_before_link_pointer, REFUSED(33)),
    CASE(vmlaunch_bad_msr_row, REFUSED(34)),
    CASE(vmlaunch_after_guest_failure, EXIT(12)),
    CASE(vmlaunch_after_refusal, EXIT(12)),
    CASE(vmresume_after_refused_vmlaunch, FAIL(5)),
    CASE(vmresume_bad_control, FAIL(7)),
    CASE(vmresume_bad_pin_controls, FAIL(7)),
    CASE(vmresume_bad_host_gs, FAIL(8)),
    CASE(vmresume_bad_host_fs_base, FAIL(8)),
    CASE(vmresume_bad_injection, FAIL(7)),
    CASE(vmresume_mended_control, EXIT(12)),
    CASE(invept_single, SUCCEED),
    CASE(invept_all, SUCCEED),
    CASE(invept_type_0, FAIL(28)),
    CASE(invept_type_3, FAIL(28)),
    CASE(invept_bad_eptp, FAIL(28)),
    CASE(invept_type_0_no_current, INVALID),
    CASE(invvpid_address, SUCCEED),
    CASE(invvpid_single, SUCCEED),
    CASE(invvpid_all, SUCCEED),
    CASE(invvpid_retaining_globals, SUCCEED),
    CASE(invvpid_type_4, FAIL(28)),
    CASE(invvpid_single_0, FAIL(28)),
    CASE(invvpid_address_not_canonical, FAIL(28)),
};

/* `level` is that of the guest, one above the software whose instruction it is. */
static void run_case(const struct vmx_case *c, unsigned level, enum nst_vmcs_access access) {
  char text[200];
  struct setting setting = c->setting;
  struct driven d;
  setting.level = level;
  setting.access = access;
  snprintf(text, sizeof text, "%s by the software of L%u, access %u", c->name, level - 1, access);
  if (driven_open(&d, text, &setting)) {
    DRIVEN_LOAD(&d, {0xf4, 0xf4}); /* hlt */
    struct outcome actual = c->execute(&d);
    EXPECT_EQ(text, actual.result, c->expected.result);
    EXPECT_EQ(text, actual.number, c->expected.number);
    EXPECT_STRING(text, nst_error(d.machine), "");
  }
  driven_close(&d);
}

static void run_all(unsigned level) {
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (unsigned access = 0; access <= NST_VMCS_ACCESS_MEMORY && (!access || level > 1); access++)
      run_case(&cases[i], level, (enum nst_vmcs_access)access);
}

static void instructions_of_l0_have_the_manuals_outcome(void) {
  run_all(1);
}
static void instructions_of_l1_have_the_manuals_outcome(void) {
  run_all(2);
}
static void instructions_of_l2_have_the_manuals_outcome(void) {
  run_all(3);
}

/* Deeper, VMCALL is a call to the hypervisor below. */
static void vmcall_in_root_vmfails_with_1(void) {
  struct driven d;
  if (driven_open(&d, "VMCALL", &(struct setting){0})) {
    DRIVEN_LOAD(&d, {0xf4});
    nst_vmcall(d.cpu);
    EXPECT_EQ("ZF", nst_reg_read(d.cpu, NST_REG_RFLAGS) >> 6 & 1, 1);
    EXPECT_EQ("error", driven_read(&d, NST_FIELD_VM_INSTRUCTION_ERROR), 1);
  }
  driven_close(&d);
}

CU_TestInfo machine_vmx_tests[] = {
    {"instructions_of_l0_have_the_manuals_outcome", instructions_of_l0_have_the_manuals_outcome},
    {"instructions_of_l1_have_the_manuals_outcome", instructions_of_l1_have_the_manuals_outcome},
    {"instructions_of_l2_have_the_manuals_outcome", instructions_of_l2_have_the_manuals_outcome},
    {"vmcall_in_root_vmfails_with_1", vmcall_in_root_vmfails_with_1},
    CU_TEST_INFO_NULL,
};
