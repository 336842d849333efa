/* SPDX-License-Identifier: MIT
 * The table of control bits, expanded from control.def. */
#include "vmcs/control.h"

const struct vmcs_control_info vmcs_control_info[] = {
#define VMCS_CONTROL(word, name, bit, default1, requires, title) \
  {#name, (title), (word), (bit), (default1), (requires)},
#include "vmcs/control.def"
};

const unsigned vmcs_control_count = sizeof vmcs_control_info / sizeof vmcs_control_info[0];
