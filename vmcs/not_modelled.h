/* SPDX-License-Identifier: MIT
 * What is not modelled, as a table from not_modelled.def. */
#ifndef VMCS_NOT_MODELLED_H
#define VMCS_NOT_MODELLED_H

#include <stdint.h>

#include "vmcs/control.h"

struct vmcs_not_modelled {
  const char *kind; /* "control", "exit reason" or "other" */
  const char *name;
  const char *reason; /* part of a sentence */
};
extern const struct vmcs_not_modelled vmcs_not_modelled_info[];
extern const unsigned vmcs_not_modelled_count;

/* The bits of a control word that are not modelled; folded at compile time for a constant word. */
static inline uint64_t vmcs_not_modelled(enum vmcs_control_word word) {
  uint64_t bits = 0;
#define NOT_MODELLED_CONTROL(in, name, reason) bits |= word == (in) ? VMCS_BIT(name) : 0;
#define NOT_MODELLED_EXIT(name, reason)
#define NOT_MODELLED_OTHER(name, reason)
#include "vmcs/not_modelled.def"
  return bits;
}

#endif
