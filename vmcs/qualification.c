/* SPDX-License-Identifier: MIT
 * Exit qualifications in words. */
#include "vmcs/qualification.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const struct vmcs_qualification_part vmcs_qualification_part[] = {
#define VMCS_QUALIFICATION(kind, low, width, name, values) \
  {(kind), (low), (width), (name), (values)},
#include "vmcs/qualification.def"
};
const unsigned vmcs_qualification_count =
    sizeof vmcs_qualification_part / sizeof vmcs_qualification_part[0];

const char *vmcs_qualification_text(const struct vmcs_qualification_part *part,
                                    uint64_t qualification, char *text, size_t size) {
  uint64_t mask = part->width < 64 ? (UINT64_C(1) << part->width) - 1 : UINT64_MAX;
  uint64_t value = qualification >> part->low & mask;
  bool has_words = part->values[0] != '\0';
  const char *word = part->values;
  for (uint64_t i = 0; word && i < value; i++) {
    word = strchr(word, '|');
    if (word) word++;
  }
  size_t length = word ? strcspn(word, "|") : 0;
  if (length)
    snprintf(text, size, "%.*s", (int)length, word);
  else if (has_words)
    snprintf(text, size, "%" PRIu64 ", which has no meaning", value);
  else
    snprintf(text, size, "0x%" PRIx64, value);
  return text;
}
