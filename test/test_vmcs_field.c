/* SPDX-License-Identifier: MIT
 * The field tables: encodings, look-up by encoding, widths. */
#include <stdio.h>
#include <string.h>

#include "test/expect.h"
#include "vmcs/field.h"

static void each_encoding_finds_its_field(void) {
  for (unsigned field = 0; field < FIELD_COUNT; field++) {
    const struct vmcs_field_info *info = &vmcs_field_info[field];
    EXPECT_EQ(info->name, vmcs_field_of(info->encoding), field);
    EXPECT_EQ(info->name, vmcs_field_of(info->encoding | 1), field);
  }
}

/* Counts the encodings below 64 Ki that are found: a wild hit would be one too many. */
static void other_encodings_find_none(void) {
  unsigned found = 0;
  for (uint32_t encoding = 0; encoding < 0x10000; encoding += 2)
    found += vmcs_field_of(encoding) != FIELD_NONE;
  EXPECT_EQ("even encodings that name a field", found, FIELD_COUNT);
  static const uint32_t none[] = {0x1000, 0x8000, 0x1681e,    0x2046,     0x0080, 0x03fe,
                                  0x482c, 0x7fff, 0xffffffff, 0x8000681e, 0x4c02};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    char name[32];
    snprintf(name, sizeof name, "encoding 0x%x", (unsigned)none[i]);
    EXPECT_EQ(name, vmcs_field_of(none[i]), FIELD_NONE);
  }
}

static void known_encodings_are_as_in_the_manual(void) {
  static const struct {
    const char *name;
    uint32_t encoding;
    uint64_t mask;
  } known[] = {
      {"VIRTUAL_PROCESSOR_ID", 0x0000, 0xffff},
      {"GUEST_PML_INDEX", 0x0812, 0xffff},
      {"HOST_TR_SELECTOR", 0x0c0c, 0xffff},
      {"EPT_POINTER", 0x201a, UINT64_MAX},
      {"VMWRITE_BITMAP", 0x2028, UINT64_MAX},
      {"TSC_MULTIPLIER", 0x2032, UINT64_MAX},
      {"GUEST_PHYSICAL_ADDRESS", 0x2400, UINT64_MAX},
      {"VMCS_LINK_POINTER", 0x2800, UINT64_MAX},
      {"HOST_IA32_EFER", 0x2c02, UINT64_MAX},
      {"SECONDARY_VM_EXEC_CONTROL", 0x401e, UINT32_MAX},
      {"VMX_INSTRUCTION_INFO", 0x440e, UINT32_MAX},
      {"VMX_PREEMPTION_TIMER_VALUE", 0x482e, UINT32_MAX},
      {"CR4_READ_SHADOW", 0x6006, UINT64_MAX},
      {"GUEST_LINEAR_ADDRESS", 0x640a, UINT64_MAX},
      {"GUEST_RIP", 0x681e, UINT64_MAX},
      {"HOST_RIP", 0x6c16, UINT64_MAX},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    enum vmcs_field field = vmcs_field_of(known[i].encoding);
    if (!EXPECT_TRUE(known[i].name, field != FIELD_NONE)) continue;
    EXPECT_STRING("name", vmcs_field_info[field].name, known[i].name);
    EXPECT_EQ(known[i].name, vmcs_field_mask(field), known[i].mask);
  }
}

static void fields_that_loops_step_through_are_consecutive(void) {
  EXPECT_EQ("selectors", FIELD_GUEST_TR_SELECTOR, FIELD_GUEST_ES_SELECTOR + 7);
  EXPECT_EQ("limits", FIELD_GUEST_TR_LIMIT, FIELD_GUEST_ES_LIMIT + 7);
  EXPECT_EQ("access rights", FIELD_GUEST_TR_AR_BYTES, FIELD_GUEST_ES_AR_BYTES + 7);
  EXPECT_EQ("bases", FIELD_GUEST_TR_BASE, FIELD_GUEST_ES_BASE + 7);
  EXPECT_EQ("PDPTEs", FIELD_GUEST_PDPTR3, FIELD_GUEST_PDPTR0 + 3);
  EXPECT_EQ("CR3 targets", FIELD_CR3_TARGET_VALUE3, FIELD_CR3_TARGET_VALUE0 + 3);
}

CU_TestInfo vmcs_field_tests[] = {
    {"each_encoding_finds_its_field", each_encoding_finds_its_field},
    {"other_encodings_find_none", other_encodings_find_none},
    {"known_encodings_are_as_in_the_manual", known_encodings_are_as_in_the_manual},
    {"fields_that_loops_step_through_are_consecutive",
     fields_that_loops_step_through_are_consecutive},
    CU_TEST_INFO_NULL,
};
