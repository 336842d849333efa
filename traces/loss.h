/* SPDX-License-Identifier: MIT
 * Counting into a loss report, and names of records to their types. */
#ifndef TRACES_LOSS_H
#define TRACES_LOSS_H

#include "traces/record.h"
#include "traces/trace.h"

#define LOSS_NAME_NONE UINT16_MAX
#define LOSS_HASH_SIZE 512

/* Finds a record name in a loss report without search. */
struct loss_index {
  uint16_t hash[LOSS_HASH_SIZE]; /* index + 1; 0 = free */
  const struct record_type *type[TRACE_LOSS_NAMES];
};

/* Index of the name in loss->names, which it joins if new; LOSS_NAME_NONE if there is no room.
 * *type: the row of ftrace.def, or NULL. */
uint16_t loss_find(struct loss_index *index, struct trace_loss *loss, const char *name,
                   size_t length, const struct record_type **type);

void loss_count_record(struct trace_loss *loss, uint16_t name, enum trace_fate fate);
void loss_count_event(struct trace_loss *loss, const struct trace_event *event);

#endif
