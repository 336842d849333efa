/* SPDX-License-Identifier: MIT
 * Bits of the VMX control words, from control.def; the bit's value carries its Linux name. */
#ifndef VMCS_CONTROL_H
#define VMCS_CONTROL_H

#include <stdint.h>

enum vmcs_control_word {
  WORD_PIN,
  WORD_PRIMARY,
  WORD_SECONDARY,
  WORD_TERTIARY,
  WORD_EXIT,
  WORD_ENTRY,
  WORD_COUNT
};

/* Bit numbers: CPU_BASED_HLT_EXITING_BIT == 7. */
enum vmcs_control_bit {
#define VMCS_CONTROL(word, name, bit, default1, requires, title) name##_BIT = (bit),
#include "vmcs/control.def"
};

/* Masks: CPU_BASED_HLT_EXITING == 1 << 7. 64 bits wide because of the tertiary controls. */
#define VMCS_BIT(name) (UINT64_C(1) << name##_BIT)

struct vmcs_control_info {
  const char *name;
  const char *title;
  uint8_t word;
  uint8_t bit;
  uint8_t default1;     /* 1 when the bit belongs to the default1 class */
  const char *requires; /* name of the control that must be 1 with it, or "" */
};
extern const struct vmcs_control_info vmcs_control_info[];
extern const unsigned vmcs_control_count;

#endif
