/* SPDX-License-Identifier: MIT
 * Exit qualifications in words: every kind that a reason names is described, and read right. */
#include <string.h>

#include "test/expect.h"
#include "vmcs/qualification.h"
#include "vmcs/reason.h"

static bool is_described(const char *kind) {
  for (unsigned i = 0; i < vmcs_qualification_count; i++) {
    if (strcmp(vmcs_qualification_part[i].kind, kind) == 0) return true;
  }
  return false;
}

static void every_kind_of_a_reason_is_described(void) {
  for (unsigned i = 0; i < EXIT_REASON_LIMIT; i++) {
    const struct vmcs_reason_info *info = &vmcs_reason_info[i];
    if (!info->name || strcmp(info->qualification, "none") == 0) continue;
    EXPECT_TRUE(info->name, is_described(info->qualification));
  }
}

static void every_description_belongs_to_a_reason(void) {
  for (unsigned i = 0; i < vmcs_qualification_count; i++) {
    const struct vmcs_qualification_part *part = &vmcs_qualification_part[i];
    bool is_used = false;
    for (unsigned k = 0; k < EXIT_REASON_LIMIT; k++) {
      const char *kind = vmcs_reason_info[k].name ? vmcs_reason_info[k].qualification : "";
      is_used |= strcmp(kind, part->kind) == 0;
    }
    EXPECT_TRUE(part->kind, is_used);
    EXPECT_TRUE(part->name, part->width >= 1 && part->low + part->width <= 64);
  }
}

static void values_are_read_in_words(void) {
  static const struct {
    const char *kind, *name;
    uint64_t qualification;
    const char *expected;
  } cases[] = {
      {"cr", "control register", 0x2f4, "CR4"},
      {"cr", "control register", 0x8, "CR8"},
      {"cr", "control register", 0xf, "15, which has no meaning"},
      {"cr", "access", 0x10, "MOV from CR"},
      {"cr", "general register of MOV", 0xf00, "R15"},
      {"io", "size", 0x3, "4 bytes"},
      {"io", "size", 0x2, "2, which has no meaning"},
      {"io", "port", 0x3f80008, "0x3f8"},
      {"io", "direction", 0x8, "IN"},
      {"ept", "data write", 0x2, "yes"},
      {"linear", "linear address", UINT64_MAX, "0xffffffffffffffff"},
      {"entry", "what was wrong", 4, "VMCS link pointer"},
      {"entry", "what was wrong", UINT64_MAX, "18446744073709551615, which has no meaning"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    unsigned found = 0;
    for (unsigned k = 0; k < vmcs_qualification_count; k++) {
      const struct vmcs_qualification_part *part = &vmcs_qualification_part[k];
      char text[128];
      bool is_wanted =
          strcmp(part->kind, cases[i].kind) == 0 && strcmp(part->name, cases[i].name) == 0;
      if (!is_wanted) continue;
      found++;
      EXPECT_STRING(cases[i].name,
                    vmcs_qualification_text(part, cases[i].qualification, text, sizeof text),
                    cases[i].expected);
    }
    EXPECT_EQ(cases[i].name, found, 1);
  }
}

CU_TestInfo vmcs_qualification_tests[] = {
    {"every_kind_of_a_reason_is_described", every_kind_of_a_reason_is_described},
    {"every_description_belongs_to_a_reason", every_description_belongs_to_a_reason},
    {"values_are_read_in_words", values_are_read_in_words},
    CU_TEST_INFO_NULL};
