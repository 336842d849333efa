/* SPDX-License-Identifier: MIT */
#include "test/expect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool report(const char *file, unsigned line, bool holds, const char *message) {
  return CU_assertImplementation(holds ? CU_TRUE : CU_FALSE, line, message, file, "", CU_FALSE) !=
         CU_FALSE;
}

bool expect_equal(const char *file, unsigned line, const char *what, uint64_t actual,
                  uint64_t expected) {
  char message[512];
  snprintf(message, sizeof message,
           "%s: got %" PRIu64 " (0x%" PRIx64 "), expected %" PRIu64 " (0x%" PRIx64 ")", what,
           actual, actual, expected, expected);
  return report(file, line, actual == expected, message);
}

bool expect_true(const char *file, unsigned line, const char *what, bool value) {
  return report(file, line, value, what);
}

bool expect_string(const char *file, unsigned line, const char *what, const char *actual,
                   const char *expected) {
  char message[1024];
  snprintf(message, sizeof message, "%s: got \"%s\", expected \"%s\"", what,
           actual ? actual : "(null)", expected);
  return report(file, line, actual && strcmp(actual, expected) == 0, message);
}

bool expect_contains(const char *file, unsigned line, const char *what, const char *actual,
                     const char *part) {
  char message[1024];
  snprintf(message, sizeof message, "%s: got \"%s\", which lacks \"%s\"", what,
           actual ? actual : "(null)", part);
  return report(file, line, actual && strstr(actual, part), message);
}
