/* SPDX-License-Identifier: MIT
 * Runs the suites of one test program: test_<module> [-v] [SUITE...]
 * Succeeds only if something ran and nothing failed, in a suite's set-up or a test, or was skipped.
 */
#include <CUnit/Basic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "test/suites.h"

static bool is_wanted(const char *suite, int argc, char **argv) {
  bool filtered = false;
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] == '-') continue;
    if (strcmp(argv[i], suite) == 0) return true;
    filtered = true;
  }
  return !filtered;
}

/* Keeps the wanted suites at the front of test_suites; returns how many. */
static unsigned keep_wanted(int argc, char **argv) {
  unsigned kept = 0;
  for (const CU_SuiteInfo *suite = test_suites; suite->pName != NULL; suite++) {
    if (is_wanted(suite->pName, argc, argv)) test_suites[kept++] = *suite;
  }
  test_suites[kept] = (CU_SuiteInfo)CU_SUITE_INFO_NULL;
  return kept;
}

static bool is_option_known(int argc, char **argv, CU_BasicRunMode *mode) {
  for (int i = 1; i < argc; i++) {
    if (argv[i][0] != '-') continue;
    if (strcmp(argv[i], "-v") != 0) return false;
    *mode = CU_BRM_VERBOSE;
  }
  return true;
}

int main(int argc, char **argv) {
  CU_BasicRunMode mode = CU_BRM_NORMAL;
  if (!is_option_known(argc, argv, &mode)) {
    fprintf(stderr, "usage: %s [-v] [SUITE...]\n", argv[0]);
    return 2;
  }
  if (keep_wanted(argc, argv) == 0) {
    fprintf(stderr, "%s: no suite of that name\n", argv[0]);
    return 2;
  }
  if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(test_suites) != CUE_SUCCESS) {
    fprintf(stderr, "%s: %s\n", argv[0], CU_get_error_msg());
    return 2;
  }
  CU_basic_set_mode(mode);
  CU_ErrorCode error = CU_basic_run_tests();
  bool failed = error != CUE_SUCCESS || CU_get_number_of_tests_run() == 0 ||
                CU_get_number_of_failures() != 0 || CU_get_number_of_suites_failed() != 0 ||
                CU_get_number_of_tests_inactive() != 0;
  CU_cleanup_registry();
  return failed ? 1 : 0;
}
