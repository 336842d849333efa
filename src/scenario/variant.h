/* SPDX-License-Identifier: MIT
 * From a point of a comparison to a booted stack. */
#ifndef SCENARIO_VARIANT_H
#define SCENARIO_VARIANT_H

#include <signal.h>
#include <stddef.h>

#include "src/nestor.h"
#include "src/scenario/scenario.h"

/* Builds and boots the machine of a variant, which looks at *interrupted (may be NULL). 0 with
 * *machine the caller's; otherwise an exit status (2 bad input, 3 set-up), a sentence and *machine
 * NULL. */
int variant_boot(struct nst_machine **machine, const struct scenario_variant *variant,
                 volatile sig_atomic_t *interrupted, char *error, size_t error_size);

#endif
