/* SPDX-License-Identifier: MIT
 * How to test the exit handler of a hypervisor: the worked example of README.md. Nothing here is
 * from inside the project; test/check/installed builds it from an installed tree.
 *
 * The handler is the code under test, written as its owner would, with nst_vmread in place of
 * VMREAD and so on. The test drives it at L1, on a machine whose L0 is the bundled hypervisor, so
 * that what it costs there can be counted. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <CUnit/Basic.h>
#include <nestor.h>
#include <nestor_cunit.h>

/* ---- code under test ----------------------------------------------------------------------- */

enum { MY_GUEST = 2 };
#define MSR_KERNEL_GS_BASE UINT32_C(0xc0000102)

static uint64_t read_field(struct nst_cpu *cpu, uint32_t field) {
  uint64_t value = 0;
  nst_vmread(cpu, field, &value);
  return value;
}

static void skip_instruction(struct nst_cpu *cpu) {
  uint64_t length = read_field(cpu, NST_FIELD_VM_EXIT_INSTRUCTION_LEN);
  uint64_t rip = read_field(cpu, NST_FIELD_GUEST_RIP);
  nst_vmwrite(cpu, NST_FIELD_GUEST_RIP, rip + length);
}

static void inject_general_protection(struct nst_cpu *cpu) {
  const uint32_t valid = UINT32_C(1) << 31, deliver_error = 1 << 11, exception = 3 << 8;
  nst_vmwrite(cpu, NST_FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE, 0);
  nst_vmwrite(cpu, NST_FIELD_VM_ENTRY_INTR_INFO_FIELD, valid | deliver_error | exception | 13);
}

/* The guest sees the processor that this level has, less VMX. */
static void handle_cpuid(struct nst_cpu *cpu) {
  const uint32_t vmx = 1 << 5;
  uint32_t out[4], leaf = (uint32_t)nst_peek_reg(cpu, MY_GUEST, NST_REG_RAX);
  nst_cpuid(cpu, leaf, (uint32_t)nst_peek_reg(cpu, MY_GUEST, NST_REG_RCX), out);
  if (leaf == 1) out[2] &= ~vmx;
  nst_poke_reg(cpu, MY_GUEST, NST_REG_RAX, out[0]);
  nst_poke_reg(cpu, MY_GUEST, NST_REG_RBX, out[1]);
  nst_poke_reg(cpu, MY_GUEST, NST_REG_RCX, out[2]);
  nst_poke_reg(cpu, MY_GUEST, NST_REG_RDX, out[3]);
  skip_instruction(cpu);
}

/* The guest may write one MSR; every other write is a fault. */
static void handle_wrmsr(struct nst_cpu *cpu) {
  uint32_t msr = (uint32_t)nst_peek_reg(cpu, MY_GUEST, NST_REG_RCX);
  uint64_t low = nst_peek_reg(cpu, MY_GUEST, NST_REG_RAX) & UINT32_MAX;
  uint64_t value = nst_peek_reg(cpu, MY_GUEST, NST_REG_RDX) << 32 | low;
  if (msr == MSR_KERNEL_GS_BASE && nst_wrmsr(cpu, msr, value))
    skip_instruction(cpu);
  else
    inject_general_protection(cpu);
}

static void my_handle_exit(struct nst_cpu *cpu) {
  switch (read_field(cpu, NST_FIELD_VM_EXIT_REASON)) {
    case NST_EXIT_CPUID:
      handle_cpuid(cpu);
      break;
    case NST_EXIT_MSR_WRITE:
      handle_wrmsr(cpu);
      break;
    default:
      break;
  }
}

/* ---- tests --------------------------------------------------------------------------------- */

static void cpuid_hides_vmx(void) {
  static const uint8_t code[] = {0x0f, 0xa2, 0xf4}; /* cpuid; hlt */
  struct nst_fixture f; /* machine, cpu 0, processor "haswell", L0 = "kvm-6.1", L1 = this test */
  nst_fixture_init(&f, 2);
  NST_ASSERT_OK(nst_guest_prepare(f.cpu, 2, code, sizeof code));
  nst_poke_reg(f.cpu, 2, NST_REG_RAX, 1);
  NST_ASSERT_VMX(nst_vmlaunch(f.cpu), NST_VMX_SUCCEED);
  NST_ASSERT_STOP(nst_run(f.cpu, 1000, &f.stop), &f.stop, NST_STOP_EXIT, NST_EXIT_CPUID);
  uint64_t rip = nst_peek_field(f.cpu, 1, NST_FIELD_GUEST_RIP), exits = nst_exits_to(f.cpu, 0);
  my_handle_exit(f.cpu); /* under test: at L1 its VMREADs exit to L0 unless shadowed */
  NST_ASSERT_AT_MOST(nst_exits_to(f.cpu, 0) - exits, 4); /* an exit budget */
  CU_ASSERT_EQUAL(nst_peek_field(f.cpu, 1, NST_FIELD_GUEST_RIP), rip + 2);
  CU_ASSERT_EQUAL(nst_peek_reg(f.cpu, 2, NST_REG_RCX) >> 5 & 1, 0); /* CPUID.1:ECX.VMX */
  nst_fixture_fini(&f);
}

/* The guest goes on behind its CPUID, with the registers that the handler gave it. */
static void cpuid_resumes_behind_it(void) {
  static const uint8_t code[] = {0x0f, 0xa2, 0xf4}; /* cpuid; hlt */
  struct nst_fixture f;
  nst_fixture_init(&f, 2);
  NST_ASSERT_OK(nst_guest_prepare(f.cpu, 2, code, sizeof code));
  uint64_t start = nst_peek_field(f.cpu, 1, NST_FIELD_GUEST_RIP);
  nst_poke_reg(f.cpu, 2, NST_REG_RAX, 1);
  nst_poke_reg(f.cpu, 2, NST_REG_R15, 0x1234);
  NST_ASSERT_VMX(nst_vmlaunch(f.cpu), NST_VMX_SUCCEED);
  NST_ASSERT_STOP(nst_run(f.cpu, 1000, &f.stop), &f.stop, NST_STOP_EXIT, NST_EXIT_CPUID);
  my_handle_exit(f.cpu);
  uint64_t answer = nst_peek_reg(f.cpu, 2, NST_REG_RCX);
  NST_ASSERT_VMX(nst_vmresume(f.cpu), NST_VMX_SUCCEED);
  NST_ASSERT_STOP(nst_run(f.cpu, 1000, &f.stop), &f.stop, NST_STOP_EXIT, NST_EXIT_HLT);
  CU_ASSERT_EQUAL(nst_peek_field(f.cpu, 1, NST_FIELD_GUEST_RIP), start + 2);
  CU_ASSERT_EQUAL(nst_peek_reg(f.cpu, 2, NST_REG_RCX), answer);
  CU_ASSERT_EQUAL(nst_peek_reg(f.cpu, 2, NST_REG_R15), 0x1234);
  nst_fixture_fini(&f);
}

static void wrmsr_is_filtered(void) {
  static const uint8_t code[] = {0x0f, 0x30, 0xf4}; /* wrmsr; hlt */
  static const struct {
    uint32_t msr;
    uint64_t skipped, event; /* expected: bytes skipped, event injected */
  } cases[] = {{0xc0000102, 2, 0}, {0x176, 0, 0x80000b0d}, {0xc0000080, 0, 0x80000b0d}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct nst_fixture f;
    nst_fixture_init(&f, 2);
    NST_ASSERT_OK(nst_guest_prepare(f.cpu, 2, code, sizeof code));
    uint64_t all_exit = read_field(f.cpu, NST_FIELD_CPU_BASED_VM_EXEC_CONTROL) & ~(1ull << 28);
    nst_vmwrite(f.cpu, NST_FIELD_CPU_BASED_VM_EXEC_CONTROL, all_exit); /* no MSR bitmaps */
    nst_poke_reg(f.cpu, 2, NST_REG_RCX, cases[i].msr);
    NST_ASSERT_VMX(nst_vmlaunch(f.cpu), NST_VMX_SUCCEED);
    NST_ASSERT_STOP(nst_run(f.cpu, 1000, &f.stop), &f.stop, NST_STOP_EXIT, NST_EXIT_MSR_WRITE);
    uint64_t rip = nst_peek_field(f.cpu, 1, NST_FIELD_GUEST_RIP);
    my_handle_exit(f.cpu);
    CU_ASSERT_EQUAL(nst_peek_field(f.cpu, 1, NST_FIELD_GUEST_RIP), rip + cases[i].skipped);
    CU_ASSERT_EQUAL(nst_peek_field(f.cpu, 1, NST_FIELD_VM_ENTRY_INTR_INFO_FIELD), cases[i].event);
    nst_fixture_fini(&f);
  }
}

/* Which rule did I break? The region that the processor itself runs is asked, so the test is L0. */
static void refused_entry_names_its_check(void) {
  static const uint8_t code[] = {0xf4}; /* hlt */
  const char *broken[4] = {"", "", "", ""};
  uint64_t vmcs = 0;
  struct nst_fixture f;
  nst_fixture_init(&f, 1);
  NST_ASSERT_OK(nst_guest_prepare(f.cpu, 1, code, sizeof code));
  NST_ASSERT_VMX(nst_vmptrst(f.cpu, &vmcs), NST_VMX_SUCCEED);
  CU_ASSERT_EQUAL(nst_check_entry(f.cpu, vmcs, broken, 4), 0);
  nst_vmwrite(f.cpu, NST_FIELD_HOST_CR4, 0); /* VMX operation needs CR4.VMXE, 64-bit mode PAE */
  CU_ASSERT_EQUAL(nst_check_entry(f.cpu, vmcs, broken, 4), 2);
  CU_ASSERT_PTR_NOT_NULL(strstr(broken[0], "CR4"));
  NST_ASSERT_VMX(nst_vmlaunch(f.cpu), NST_VMX_FAIL_VALID);
  CU_ASSERT_EQUAL(read_field(f.cpu, NST_FIELD_VM_INSTRUCTION_ERROR),
                  NST_VMXERR_ENTRY_INVALID_HOST_STATE_FIELD);
  nst_fixture_fini(&f);
}

/* A guest state that the processor refuses is an exit, not a failed instruction. */
static void invalid_guest_state_is_an_exit(void) {
  static const uint8_t code[] = {0xf4}; /* hlt */
  struct nst_fixture f;
  nst_fixture_init(&f, 2);
  NST_ASSERT_OK(nst_guest_prepare(f.cpu, 2, code, sizeof code));
  nst_vmwrite(f.cpu, NST_FIELD_GUEST_RFLAGS, 0); /* bit 1 is always 1 */
  NST_ASSERT_VMX(nst_vmlaunch(f.cpu), NST_VMX_SUCCEED);
  NST_ASSERT_STOP(nst_run(f.cpu, 1000, &f.stop), &f.stop, NST_STOP_EXIT, NST_EXIT_INVALID_STATE);
  CU_ASSERT_EQUAL(read_field(f.cpu, NST_FIELD_VM_EXIT_REASON), UINT32_C(1) << 31 | 33);
  nst_fixture_fini(&f);
}

/* A hundred CPUIDs of the guest, handled, within three exits to L0 each. */
static void cpuid_loop_keeps_its_exit_budget(void) {
  enum { ROUNDS = 100, EXITS_EACH = 3 };
  /* mov ebp, 100; again: cpuid; dec ebp; jnz again; hlt */
  static const uint8_t code[] = {0xbd, ROUNDS, 0, 0, 0, 0x0f, 0xa2, 0xff, 0xcd, 0x75, 0xfa, 0xf4};
  struct nst_fixture f;
  nst_fixture_init(&f, 2);
  NST_ASSERT_OK(nst_guest_prepare(f.cpu, 2, code, sizeof code));
  NST_ASSERT_VMX(nst_vmlaunch(f.cpu), NST_VMX_SUCCEED);
  NST_ASSERT_STOP(nst_run(f.cpu, 1000, &f.stop), &f.stop, NST_STOP_EXIT, NST_EXIT_CPUID);
  uint64_t before = nst_exits_to(f.cpu, 0);
  for (unsigned i = 1; i < ROUNDS; i++) {
    my_handle_exit(f.cpu);
    if (!NST_ASSERT_VMX(nst_vmresume(f.cpu), NST_VMX_SUCCEED)) break;
    if (!NST_ASSERT_STOP(nst_run(f.cpu, 1000, &f.stop), &f.stop, NST_STOP_EXIT, NST_EXIT_CPUID))
      break;
  }
  NST_ASSERT_AT_MOST(nst_exits_to(f.cpu, 0) - before, EXITS_EACH * ROUNDS);
  nst_fixture_fini(&f);
}

/* An exact budget, by reason and by level. CPUID always exits; the handler's VMREADs and its
 * VMWRITE are of fields that kvm-6.1 shadows. Give it one that is not, and the failure prints which
 * exit came of which. */
static void handler_causes_one_exit(void) {
  static const uint8_t code[] = {0x0f, 0xa2, 0xf4}; /* cpuid; hlt */
  struct nst_fixture f;
  nst_fixture_init(&f, 2);
  NST_ASSERT_OK(nst_guest_prepare(f.cpu, 2, code, sizeof code));
  NST_ASSERT_VMX(nst_vmlaunch(f.cpu), NST_VMX_SUCCEED);
  NST_ASSERT_STOP(nst_run(f.cpu, 1000, &f.stop), &f.stop, NST_STOP_EXIT, NST_EXIT_CPUID);
  struct nst_budget *budget = nst_budget_begin(f.cpu);
  my_handle_exit(f.cpu);
  NST_ASSERT_EXITS(budget, 0, NST_EXIT_CPUID, 1); /* to L0, for this reason: exactly one */
  NST_ASSERT_EXITS(budget, 0, NST_ANY_REASON, 1); /* and for no other */
  NST_ASSERT_VMX(nst_vmresume(f.cpu), NST_VMX_SUCCEED);
  NST_ASSERT_STOP(nst_run(f.cpu, 1000, &f.stop), &f.stop, NST_STOP_EXIT, NST_EXIT_HLT);
  NST_ASSERT_EXITS(budget, 1, NST_EXIT_HLT, 1); /* to L1: what L0 reflected */
  NST_ASSERT_EXITS_AT_MOST(budget, 0, NST_ANY_REASON, 4);
  nst_budget_end(budget);
  nst_fixture_fini(&f);
}

/* ---- main ---------------------------------------------------------------------------------- */

static CU_TestInfo tests[] = {
    {"cpuid_hides_vmx", cpuid_hides_vmx},
    {"cpuid_resumes_behind_it", cpuid_resumes_behind_it},
    {"wrmsr_is_filtered", wrmsr_is_filtered},
    {"refused_entry_names_its_check", refused_entry_names_its_check},
    {"invalid_guest_state_is_an_exit", invalid_guest_state_is_an_exit},
    {"cpuid_loop_keeps_its_exit_budget", cpuid_loop_keeps_its_exit_budget},
    {"handler_causes_one_exit", handler_causes_one_exit},
    CU_TEST_INFO_NULL,
};

int main(void) {
  CU_SuiteInfo suites[] = {{"handler", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
  if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) {
    fprintf(stderr, "%s\n", CU_get_error_msg());
    return 2;
  }
  CU_ErrorCode error = CU_basic_run_tests();
  bool failed = error != CUE_SUCCESS || CU_get_number_of_tests_run() == 0 ||
                CU_get_number_of_failures() != 0 || CU_get_number_of_suites_failed() != 0;
  CU_cleanup_registry();
  return failed ? 1 : 0;
}
