/* SPDX-License-Identifier: MIT
 * What the bits of an exit qualification mean, from qualification.def. */
#ifndef VMCS_QUALIFICATION_H
#define VMCS_QUALIFICATION_H

#include <stddef.h>
#include <stdint.h>

struct vmcs_qualification_part {
  const char *kind; /* as in struct vmcs_reason_info */
  uint8_t low, width;
  const char *name;
  const char *values; /* words from value 0 on, | between them; "" for a number */
};
extern const struct vmcs_qualification_part vmcs_qualification_part[];
extern const unsigned vmcs_qualification_count;

/* The part's value in words or as a number. Returns text. */
const char *vmcs_qualification_text(const struct vmcs_qualification_part *part,
                                    uint64_t qualification, char *text, size_t size);

#endif
