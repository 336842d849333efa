/* SPDX-License-Identifier: MIT
 * Basic exit reasons and VM-instruction errors, from reason.def and error.def. */
#ifndef VMCS_REASON_H
#define VMCS_REASON_H

#include <stdint.h>

enum vmcs_reason {
#define EXIT_REASON(name, number, qualification, information, length_valid, title) \
  EXIT_REASON_##name = (number),
#include "vmcs/reason.def"
};
#define EXIT_REASON_FAILED_ENTRY (UINT32_C(1) << 31)
enum { EXIT_REASON_LIMIT = 128 }; /* all numbers are below */

struct vmcs_reason_info {
  const char *name;          /* Linux spelling without the prefix: "CPUID", "MSR_READ" */
  const char *title;         /* SDM wording of the reason, our own short text */
  const char *qualification; /* kind: "none", "cr", "io", "ept", "linear", ... */
  const char *information;   /* kind of instruction information: "none", "vmx-memory", ... */
  uint8_t length_valid;
};
/* NULL name where the number is not assigned. */
extern const struct vmcs_reason_info vmcs_reason_info[EXIT_REASON_LIMIT];
/* Name of a basic reason, or "?" */
const char *vmcs_reason_name(uint32_t reason);
/* Number of a name ("CPUID", "EXIT_REASON_CPUID"), or -1. */
int vmcs_reason_number(const char *name);

enum vmcs_error {
#define VMX_ERROR(name, number, text) VMXERR_##name = (number),
#include "vmcs/error.def"
};
const char *vmcs_error_text(uint32_t number);

#endif
