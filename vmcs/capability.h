/* SPDX-License-Identifier: MIT
 * What a processor's VMX can do: the IA32_VMX_* capability MSRs as data, and named profiles. */
#ifndef VMCS_CAPABILITY_H
#define VMCS_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmcs/control.h"
#include "vmcs/field.h"

/* Field `present` column: the control whose allowed-1 setting brings a field. */
enum vmcs_feature {
  VMCS_ALWAYS,
#define VMCS_FEATURE(name, word, control) VMCS_HAS_##name,
#include "vmcs/feature.def"
  VMCS_FEATURE_COUNT
};

struct vmcs_capability {
  const char *name;
  const char *source; /* where the values come from */
  uint64_t basic;     /* IA32_VMX_BASIC */
  /* Per word of enum vmcs_control_word: bits that must be 1 (allowed-0), bits that may be 1. */
  uint64_t must_be_one[WORD_COUNT];
  uint64_t may_be_one[WORD_COUNT];
  uint64_t misc; /* IA32_VMX_MISC */
  uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
  uint64_t vmcs_enum;
  uint64_t ept_vpid; /* IA32_VMX_EPT_VPID_CAP */
  uint64_t vmfunc;
  unsigned physical_bits; /* MAXPHYADDR */
  unsigned linear_bits;   /* 48 or 57 */
  /* CPUID rows that belong to the profile: leaf, subleaf, eax, ebx, ecx, edx. */
  const uint32_t (*cpuid)[6];
  size_t cpuid_count;
};

/* A named profile, copied into *out: "haswell", "broadwell-pml", "skylake-x", "nehalem",
 * "minimal", "everything". False if there is no such name. */
bool vmcs_capability_find(struct vmcs_capability *out, const char *name);
/* The i-th profile's name, NULL past the end. */
const char *vmcs_capability_name(size_t index);

bool vmcs_can(const struct vmcs_capability *capability, enum vmcs_control_word word, uint64_t bits);
bool vmcs_has_feature(const struct vmcs_capability *capability, enum vmcs_feature feature);
bool vmcs_field_exists(const struct vmcs_capability *capability, enum vmcs_field field);

/* Takes controls away ("without VMCS shadowing"): clears may_be_one bits. */
void vmcs_capability_remove(struct vmcs_capability *capability, enum vmcs_control_word word,
                            uint64_t bits);

/* Value of capability MSR 0x480 to 0x493; false if that MSR does not exist on this processor. */
bool vmcs_capability_msr(const struct vmcs_capability *capability, uint32_t msr, uint64_t *value);

#endif
