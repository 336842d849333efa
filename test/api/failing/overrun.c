/* SPDX-License-Identifier: MIT
 * A test that breaks its exit budget on purpose: ctest looks at what it prints. */
#include <CUnit/Basic.h>

#include <nestor.h>
#include <nestor_cunit.h>

/* HOST_RIP is not among the fields that kvm-6.1 shadows: the VMREAD of L1 exits. */
static void handler_reads_a_field_that_is_not_shadowed(void) {
  static const uint8_t code[] = {0x0f, 0xa2, 0xf4}; /* cpuid; hlt */
  struct nst_fixture f;
  uint64_t value;
  uint32_t out[4];
  nst_fixture_init(&f, 2);
  NST_ASSERT_OK(nst_guest_prepare(f.cpu, 2, code, sizeof code));
  struct nst_budget *budget = nst_budget_begin(f.cpu);
  nst_cpuid(f.cpu, 0, 0, out);
  nst_vmread(f.cpu, NST_FIELD_HOST_RIP, &value);
  NST_ASSERT_EXITS(budget, 0, NST_ANY_REASON, 1);
  nst_budget_end(budget);
  nst_fixture_fini(&f);
}

static CU_TestInfo tests[] = {
    {"handler_reads_a_field_that_is_not_shadowed", handler_reads_a_field_that_is_not_shadowed},
    CU_TEST_INFO_NULL};

int main(void) {
  CU_SuiteInfo suites[] = {{"overrun", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
  if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
    return 2;
  CU_basic_run_tests();
  bool failed = CU_get_number_of_failures() != 0;
  CU_cleanup_registry();
  return failed ? 1 : 0;
}
