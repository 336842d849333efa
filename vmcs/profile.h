/* SPDX-License-Identifier: MIT
 * The table of processor profiles behind vmcs_capability_find(). */
#ifndef VMCS_PROFILE_H
#define VMCS_PROFILE_H

#include <stddef.h>

#include "vmcs/capability.h"

/* Templates: must_be_one, the unnamed bits of may_be_one, and vmcs_enum are filled in on finding.
 */
extern const struct vmcs_capability vmcs_profiles[];
extern const size_t vmcs_profile_count;

#endif
