/* SPDX-License-Identifier: MIT
 * The list of suites that the build collects for each test program. */
#ifndef TEST_SUITES_H
#define TEST_SUITES_H

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>

/* One row per test file, ends with CU_SUITE_INFO_NULL. */
extern CU_SuiteInfo test_suites[];

#endif
