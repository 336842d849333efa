/* SPDX-License-Identifier: MIT
 * Assertions that say which case failed, what was expected and what came. */
#ifndef TEST_EXPECT_H
#define TEST_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

#include <CUnit/CUnit.h>

/* Each test_<unit>.c ends with a non-static array
 *     CU_TestInfo <unit>_tests[] = {{"condition_expectation", function}, CU_TEST_INFO_NULL};
 * that the build collects into the module's test program. */

bool expect_equal(const char *file, unsigned line, const char *what, uint64_t actual,
                  uint64_t expected);
bool expect_true(const char *file, unsigned line, const char *what, bool value);
bool expect_string(const char *file, unsigned line, const char *what, const char *actual,
                   const char *expected);
/* `actual` contains `part`. */
bool expect_contains(const char *file, unsigned line, const char *what, const char *actual,
                     const char *part);

/* All return whether they held, so a loop over cases can stop at the first failure. */
#define EXPECT_EQ(what, actual, expected) \
  expect_equal(__FILE__, __LINE__, (what), (uint64_t)(actual), (uint64_t)(expected))
#define EXPECT_TRUE(what, value) expect_true(__FILE__, __LINE__, (what), (value))
#define EXPECT_STRING(what, actual, expected) \
  expect_string(__FILE__, __LINE__, (what), (actual), (expected))
#define EXPECT_CONTAINS(what, actual, part) \
  expect_contains(__FILE__, __LINE__, (what), (actual), (part))

#endif
