/* SPDX-License-Identifier: MIT
 * The table of what is not modelled, expanded from not_modelled.def. */
#include "vmcs/not_modelled.h"

#include "vmcs/reason.h"

const struct vmcs_not_modelled vmcs_not_modelled_info[] = {
#define NOT_MODELLED_CONTROL(word, name, reason) {"control", #name, (reason)},
#define NOT_MODELLED_EXIT(name, reason) {"exit reason", #name, (reason)},
#define NOT_MODELLED_OTHER(name, reason) {"other", (name), (reason)},
#include "vmcs/not_modelled.def"
};

const unsigned vmcs_not_modelled_count =
    sizeof vmcs_not_modelled_info / sizeof vmcs_not_modelled_info[0];

/* Names that reason.def does not have are errors. */
enum {
#define NOT_MODELLED_CONTROL(word, name, reason)
#define NOT_MODELLED_EXIT(name, reason) NOT_MODELLED_##name = EXIT_REASON_##name,
#define NOT_MODELLED_OTHER(name, reason)
#include "vmcs/not_modelled.def"
};
