/* SPDX-License-Identifier: MIT
 * Exit reasons and VM-instruction errors by number and name, expanded from reason.def, error.def.
 */
#include "vmcs/reason.h"

#include <stddef.h>
#include <string.h>

#define EXIT_REASON(name, number, qualification, information, length_valid, title) \
  _Static_assert((number) < EXIT_REASON_LIMIT, #name ": number");
#include "vmcs/reason.def"

const struct vmcs_reason_info vmcs_reason_info[EXIT_REASON_LIMIT] = {
#define EXIT_REASON(name, number, qualification, information, length_valid, title) \
  [number] = {#name, (title), (qualification), (information), (length_valid)},
#include "vmcs/reason.def"
};

const char *vmcs_reason_name(uint32_t reason) {
  uint32_t basic = reason & 0xffff;
  if (basic >= EXIT_REASON_LIMIT || !vmcs_reason_info[basic].name) return "?";
  return vmcs_reason_info[basic].name;
}

int vmcs_reason_number(const char *name) {
  static const char prefix[] = "EXIT_REASON_";
  if (strncmp(name, prefix, sizeof prefix - 1) == 0) name += sizeof prefix - 1;
  for (int number = 0; number < EXIT_REASON_LIMIT; number++) {
    const char *known = vmcs_reason_info[number].name;
    if (known && strcmp(known, name) == 0) return number;
  }
  return -1;
}

static const char *const error_text[] = {
#define VMX_ERROR(name, number, text) [number] = (text),
#include "vmcs/error.def"
};

const char *vmcs_error_text(uint32_t number) {
  if (number >= sizeof error_text / sizeof error_text[0] || !error_text[number])
    return "no such VM-instruction error";
  return error_text[number];
}
