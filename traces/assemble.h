/* SPDX-License-Identifier: MIT
 * Records in, events out: one kvm_exit and all that its thread recorded until the guest was entered
 * again is one event. Shared by the text and .dat importers. */
#ifndef TRACES_ASSEMBLE_H
#define TRACES_ASSEMBLE_H

#include "traces/record.h"
#include "traces/trace.h"

struct assembler;

/* loss must outlive the assembler. NULL without memory. */
struct assembler *assembler_create(struct trace_loss *loss);
void assembler_destroy(struct assembler *assembler);

/* type: NULL for a record whose name ftrace.def lacks. After each call, assembler_take must be
 * called until it returns false. */
void assembler_feed(struct assembler *assembler, const struct record_type *type,
                    const struct record *record);
/* Records were lost on this processor. */
void assembler_gap(struct assembler *assembler, uint32_t cpu);
/* No more records. */
void assembler_finish(struct assembler *assembler);
/* The next event in the order of exits; false if there is none yet. */
bool assembler_take(struct assembler *assembler, struct trace_event *event);

#endif
