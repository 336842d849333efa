/* SPDX-License-Identifier: MIT
 * Capabilities as a hypervisor reads them. SDM 3D Appendix A "VMX Capability Reporting Facility".
 */
#include "vmcs/capability.h"

#include <string.h>

#include "vmcs/profile.h"

static const struct {
  uint8_t word;
  uint64_t bit;
} feature_control[VMCS_FEATURE_COUNT] = {
#define VMCS_FEATURE(name, word, control) [VMCS_HAS_##name] = {(word), VMCS_BIT(control)},
#include "vmcs/feature.def"
};

/* The default1 class of each word: what the capability MSRs without "TRUE" report as must-be-1. */
static const uint64_t default1[WORD_COUNT] = {
    [WORD_PIN] = 0x16,
    [WORD_PRIMARY] = 0x0401e172,
    [WORD_EXIT] = 0x36dff,
    [WORD_ENTRY] = 0x11ff,
};

/* IA32_VMX_VMCS_ENUM bits 9:1: the highest index of any field that exists. */
static uint64_t highest_index(const struct vmcs_capability *capability) {
  uint64_t highest = 0;
  for (unsigned field = 0; field < FIELD_COUNT; field++) {
    uint64_t index = vmcs_field_info[field].encoding & 0x3fe;
    if (index > highest && vmcs_field_exists(capability, (enum vmcs_field)field)) highest = index;
  }
  return highest;
}

bool vmcs_capability_find(struct vmcs_capability *out, const char *name) {
  for (size_t i = 0; i < vmcs_profile_count; i++) {
    if (strcmp(vmcs_profiles[i].name, name) != 0) continue;
    *out = vmcs_profiles[i];
    /* The tables list the choices; the default1 bits without a name are the same everywhere. */
    for (unsigned word = 0; word < WORD_COUNT; word++) {
      uint64_t named = 0;
      for (unsigned row = 0; row < vmcs_control_count; row++)
        if (vmcs_control_info[row].word == word) named |= UINT64_C(1) << vmcs_control_info[row].bit;
      out->must_be_one[word] = default1[word] & ~named;
      out->may_be_one[word] |= out->must_be_one[word];
    }
    out->vmcs_enum = highest_index(out);
    return true;
  }
  return false;
}

const char *vmcs_capability_name(size_t index) {
  return index < vmcs_profile_count ? vmcs_profiles[index].name : NULL;
}

bool vmcs_can(const struct vmcs_capability *capability, enum vmcs_control_word word,
              uint64_t bits) {
  return (capability->may_be_one[word] & bits) == bits;
}

bool vmcs_has_feature(const struct vmcs_capability *capability, enum vmcs_feature feature) {
  if (feature == VMCS_ALWAYS) return true;
  return vmcs_can(capability, (enum vmcs_control_word)feature_control[feature].word,
                  feature_control[feature].bit);
}

bool vmcs_field_exists(const struct vmcs_capability *capability, enum vmcs_field field) {
  return vmcs_has_feature(capability, (enum vmcs_feature)vmcs_field_info[field].present);
}

void vmcs_capability_remove(struct vmcs_capability *capability, enum vmcs_control_word word,
                            uint64_t bits) {
  capability->may_be_one[word] &= ~(bits & ~capability->must_be_one[word]);
  capability->vmcs_enum = highest_index(capability);
}

/* Low half: bits that must be 1; high half: bits that may be 1. */
static uint64_t control_msr(const struct vmcs_capability *capability, enum vmcs_control_word word,
                            bool exact) {
  uint64_t must = capability->must_be_one[word];
  if (!exact) must |= default1[word] & capability->may_be_one[word];
  return capability->may_be_one[word] << 32 | must;
}

/* MSRs 0x480 to 0x48a exist on every processor with VMX, but for 0x48b and up see below. */
static uint64_t basic_msr(const struct vmcs_capability *capability, uint32_t msr) {
  const uint64_t value[] = {
      capability->basic,
      control_msr(capability, WORD_PIN, false),
      control_msr(capability, WORD_PRIMARY, false),
      control_msr(capability, WORD_EXIT, false),
      control_msr(capability, WORD_ENTRY, false),
      capability->misc,
      capability->cr0_fixed0,
      capability->cr0_fixed1,
      capability->cr4_fixed0,
      capability->cr4_fixed1,
      capability->vmcs_enum,
  };
  return value[msr - 0x480];
}

static bool exact_controls_msr(const struct vmcs_capability *capability, uint32_t msr,
                               uint64_t *value) {
  static const uint8_t words[] = {WORD_PIN, WORD_PRIMARY, WORD_EXIT, WORD_ENTRY};
  *value = control_msr(capability, (enum vmcs_control_word)words[msr - 0x48d], true);
  return capability->basic >> 55 & 1;
}

bool vmcs_capability_msr(const struct vmcs_capability *capability, uint32_t msr, uint64_t *value) {
  if (msr < 0x480 || msr > 0x493) return false;
  if (msr <= 0x48a) {
    *value = basic_msr(capability, msr);
    return true;
  }
  if (msr >= 0x48d && msr <= 0x490) return exact_controls_msr(capability, msr, value);
  if (msr == 0x48b) {
    *value = control_msr(capability, WORD_SECONDARY, true);
    return vmcs_has_feature(capability, VMCS_HAS_SECONDARY_CONTROLS);
  }
  if (msr == 0x48c) {
    *value = capability->ept_vpid;
    return vmcs_has_feature(capability, VMCS_HAS_EPT) ||
           vmcs_has_feature(capability, VMCS_HAS_VPID);
  }
  if (msr == 0x491) {
    *value = capability->vmfunc;
    return vmcs_has_feature(capability, VMCS_HAS_VM_FUNCTIONS);
  }
  if (msr == 0x492) {
    *value = capability->may_be_one[WORD_TERTIARY];
    return vmcs_has_feature(capability, VMCS_HAS_TERTIARY_CONTROLS);
  }
  *value = 0; /* 0x493: no secondary VM-exit control is modelled */
  return vmcs_has_feature(capability, VMCS_HAS_SECONDARY_EXIT_CONTROLS);
}
