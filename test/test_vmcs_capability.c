/* SPDX-License-Identifier: MIT
 * Capability MSRs, profiles, and the tables of controls. */
#include <string.h>

#include "test/expect.h"
#include "vmcs/capability.h"

static struct vmcs_capability profile(const char *name) {
  struct vmcs_capability capability;
  memset(&capability, 0, sizeof capability);
  EXPECT_TRUE(name, vmcs_capability_find(&capability, name));
  return capability;
}

static void each_listed_name_is_found_with_its_source(void) {
  size_t count = 0;
  for (const char *name; (name = vmcs_capability_name(count)); count++) {
    struct vmcs_capability capability = profile(name);
    EXPECT_STRING("name", capability.name, name);
    EXPECT_TRUE(name, capability.source && strlen(capability.source) > 20);
    EXPECT_TRUE(name, capability.cpuid_count > 4);
  }
  EXPECT_EQ("profiles", count, 6);
}

static void unknown_name_is_not_found(void) {
  struct vmcs_capability capability;
  EXPECT_TRUE("pentium", !vmcs_capability_find(&capability, "pentium"));
  EXPECT_TRUE("empty", !vmcs_capability_find(&capability, ""));
  EXPECT_TRUE("past the end", vmcs_capability_name(1000) == NULL);
}

/* IA32_VMX_BASIC, CR4_FIXED1 and PROCBASED2 are our choice; the others stand so in a dump. */
static void nehalem_msrs_have_their_values(void) {
  static const struct {
    const char *name;
    uint32_t msr;
    uint64_t value;
  } rows[] = {
      {"IA32_VMX_BASIC", 0x480, UINT64_C(0x00d8100000000012)},
      {"PINBASED", 0x481, UINT64_C(0x0000007f00000016)},
      {"PROCBASED", 0x482, UINT64_C(0xfff9fffe0401e172)},
      {"CR0_FIXED0", 0x486, 0x80000021},
      {"CR4_FIXED1", 0x489, 0x27ff},
      {"PROCBASED2", 0x48b, UINT64_C(0x0000007f00000000)},
      {"TRUE_PINBASED", 0x48d, UINT64_C(0x0000007f00000016)},
      {"TRUE_PROCBASED", 0x48e, UINT64_C(0xfff9fffe04006172)},
      {"TRUE_EXIT", 0x48f, UINT64_C(0x007fffff00036dfb)},
      {"EPT_VPID_CAP", 0x48c, UINT64_C(0x00000f0106114141)},
  };
  struct vmcs_capability nehalem = profile("nehalem");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    uint64_t value = 0;
    EXPECT_TRUE(rows[i].name, vmcs_capability_msr(&nehalem, rows[i].msr, &value));
    EXPECT_EQ(rows[i].name, value, rows[i].value);
  }
}

static void msrs_that_a_processor_lacks_do_not_exist(void) {
  struct vmcs_capability haswell = profile("haswell");
  static const uint32_t absent[] = {0x47f, 0x491, 0x492, 0x493, 0x494, 0};
  uint64_t value;
  for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
    EXPECT_TRUE("absent", !vmcs_capability_msr(&haswell, absent[i], &value));
  haswell.basic &= ~(UINT64_C(1) << 55);
  EXPECT_TRUE("TRUE MSRs", !vmcs_capability_msr(&haswell, 0x48d, &value));
  vmcs_capability_remove(&haswell, WORD_PRIMARY, VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS));
  EXPECT_TRUE("secondary", !vmcs_capability_msr(&haswell, 0x48b, &value));
}

static void profiles_differ_in_what_they_are_named_for(void) {
  static const struct {
    const char *name;
    bool shadowing, pml, posted, scaling, unrestricted, delivery;
  } rows[] = {
      {"nehalem", false, false, false, false, false, false},
      {"minimal", false, false, false, false, true, false},
      {"haswell", true, false, false, false, true, false},
      {"broadwell-pml", true, true, false, false, true, true},
      {"skylake-x", true, true, true, true, true, true},
      {"everything", true, true, true, true, true, true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct vmcs_capability c = profile(rows[i].name);
    EXPECT_EQ(rows[i].name, vmcs_has_feature(&c, VMCS_HAS_SHADOW_VMCS), rows[i].shadowing);
    EXPECT_EQ(rows[i].name, vmcs_has_feature(&c, VMCS_HAS_PML), rows[i].pml);
    EXPECT_EQ(rows[i].name, vmcs_has_feature(&c, VMCS_HAS_POSTED_INTERRUPTS), rows[i].posted);
    EXPECT_EQ(rows[i].name, vmcs_has_feature(&c, VMCS_HAS_TSC_SCALING), rows[i].scaling);
    EXPECT_EQ(rows[i].name, vmcs_has_feature(&c, VMCS_HAS_UNRESTRICTED_GUEST),
              rows[i].unrestricted);
    EXPECT_EQ(rows[i].name, vmcs_has_feature(&c, VMCS_HAS_INTERRUPT_DELIVERY), rows[i].delivery);
    EXPECT_TRUE("EPT and VPID everywhere",
                vmcs_has_feature(&c, VMCS_HAS_EPT) && vmcs_has_feature(&c, VMCS_HAS_VPID));
  }
}

static void removed_control_takes_its_fields_away(void) {
  struct vmcs_capability c = profile("haswell");
  EXPECT_TRUE("before", vmcs_field_exists(&c, FIELD_VMREAD_BITMAP));
  EXPECT_TRUE("GUEST_RIP", vmcs_field_exists(&c, FIELD_GUEST_RIP));
  vmcs_capability_remove(&c, WORD_SECONDARY, VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS));
  EXPECT_TRUE("after", !vmcs_field_exists(&c, FIELD_VMREAD_BITMAP));
  EXPECT_TRUE("others stay", vmcs_field_exists(&c, FIELD_EPT_POINTER));
  vmcs_capability_remove(&c, WORD_PIN, UINT64_MAX);
  EXPECT_EQ("bits that must be 1 stay", c.may_be_one[WORD_PIN], 0x16);
  EXPECT_TRUE("timer", !vmcs_field_exists(&c, FIELD_VMX_PREEMPTION_TIMER_VALUE));
}

/* A hypervisor must be able to satisfy both halves of each word, and each required control. */
static void each_profile_is_consistent(void) {
  for (size_t i = 0; vmcs_capability_name(i); i++) {
    struct vmcs_capability c = profile(vmcs_capability_name(i));
    for (unsigned word = 0; word < WORD_COUNT; word++)
      EXPECT_TRUE(c.name, vmcs_can(&c, (enum vmcs_control_word)word, c.must_be_one[word]));
    EXPECT_EQ(c.name, c.cr0_fixed0 & ~c.cr0_fixed1, 0);
    EXPECT_EQ(c.name, c.cr4_fixed0 & ~c.cr4_fixed1, 0);
    for (size_t row = 0; row < c.cpuid_count; row++) {
      if (c.cpuid[row][0] == 1) EXPECT_EQ(c.name, c.cpuid[row][4] >> 5 & 1, 1);
      if (c.cpuid[row][0] == 0) EXPECT_EQ(c.name, c.cpuid[row][3], 0x756e6547);
      if (c.cpuid[row][0] == 0x80000008)
        EXPECT_EQ(c.name, c.cpuid[row][2], c.linear_bits << 8 | c.physical_bits);
    }
  }
}

static const struct vmcs_control_info *control_named(const char *name) {
  for (unsigned i = 0; i < vmcs_control_count; i++)
    if (strcmp(vmcs_control_info[i].name, name) == 0) return &vmcs_control_info[i];
  return NULL;
}

static void control_bits_are_unique_and_requirements_exist(void) {
  uint64_t seen[WORD_COUNT] = {0};
  for (unsigned i = 0; i < vmcs_control_count; i++) {
    const struct vmcs_control_info *info = &vmcs_control_info[i];
    EXPECT_TRUE(info->name, !(seen[info->word] >> info->bit & 1));
    seen[info->word] |= UINT64_C(1) << info->bit;
    EXPECT_TRUE(info->name, !info->requires[0] || control_named(info->requires));
    EXPECT_TRUE(info->name, info->word == WORD_TERTIARY || info->bit < 32);
  }
  EXPECT_EQ("HLT exiting", VMCS_BIT(CPU_BASED_HLT_EXITING), 1 << 7);
}

CU_TestInfo vmcs_capability_tests[] = {
    {"each_listed_name_is_found_with_its_source", each_listed_name_is_found_with_its_source},
    {"unknown_name_is_not_found", unknown_name_is_not_found},
    {"nehalem_msrs_have_their_values", nehalem_msrs_have_their_values},
    {"msrs_that_a_processor_lacks_do_not_exist", msrs_that_a_processor_lacks_do_not_exist},
    {"profiles_differ_in_what_they_are_named_for", profiles_differ_in_what_they_are_named_for},
    {"removed_control_takes_its_fields_away", removed_control_takes_its_fields_away},
    {"each_profile_is_consistent", each_profile_is_consistent},
    {"control_bits_are_unique_and_requirements_exist",
     control_bits_are_unique_and_requirements_exist},
    CU_TEST_INFO_NULL,
};
