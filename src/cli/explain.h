/* SPDX-License-Identifier: MIT
 * How nestor explain tells what it found. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "src/cli/lists.h"

/* A row of the list of that name. */
void explain_field(FILE *out, const struct list_row *row);
void explain_control(FILE *out, const struct list_row *row);
void explain_reason(FILE *out, const struct list_row *row);
void explain_error(FILE *out, const struct list_row *row);
void explain_msr(FILE *out, const struct list_row *row);
void explain_check(FILE *out, const struct list_row *row);
void explain_event(FILE *out, const struct list_row *row);

/* What a number is without being in a table: the high half of a field, the reason of a failed
 * entry. Returns how many were printed. */
unsigned explain_derived(FILE *out, uint64_t number);
/* The bits of a control word or of VM_EXIT_REASON; false if `name` is no such field. */
bool explain_word(FILE *out, const char *name, uint64_t value);
/* The parts of the exit qualification of that reason; false if `name` is no exit reason. */
bool explain_qualification(FILE *out, const char *name, uint64_t value);

#endif
