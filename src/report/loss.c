/* SPDX-License-Identifier: MIT
 * What of the trace became no operation. */
#include <inttypes.h>
#include <string.h>

#include "src/report/part.h"

/* Operations, their details and the boundaries between them are all used. */
bool loss_is_used(unsigned fate) {
  return fate == TRACE_FATE_OPERATION || fate == TRACE_FATE_DETAIL || fate == TRACE_FATE_BOUNDARY;
}

void loss_count(const struct replay *replay, uint64_t *timer, uint64_t *other) {
  const struct trace_loss *loss = &replay->loss;
  *timer = 0;
  *other = loss->records_unnamed;
  for (size_t i = 0; i < loss->name_count; i++) {
    for (unsigned fate = 0; fate < TRACE_FATE_COUNT; fate++) {
      if (loss_is_used(fate)) continue;
      bool is_timer = fate == TRACE_FATE_HOST || fate == TRACE_FATE_INTERRUPT;
      *(is_timer ? timer : other) += loss->names[i].fate[fate];
    }
  }
}

static void print_if(FILE *out, const char *what, uint64_t count) {
  if (count) fprintf(out, "  %-34s %10" PRIu64 "\n", what, count);
}

void loss_print(const struct text *text) {
  FILE *out = text->out;
  const struct trace_loss *loss = &text->replay->loss;
  const struct replay_variant *first = rows_first(text->replay);
  char path[SCENARIO_PATH_SIZE];
  fprintf(out, "\nLeft out of %s\n",
          name_guest(&text->replay->scenario->guest[0], path, sizeof path));
  for (size_t i = 0; i < loss->name_count; i++) {
    for (unsigned fate = 0; fate < TRACE_FATE_COUNT; fate++) {
      if (loss_is_used(fate) || !loss->names[i].fate[fate]) continue;
      fprintf(out, "  %-34.40s %10" PRIu64 "  %s\n", loss->names[i].name, loss->names[i].fate[fate],
              trace_fate_name(fate));
    }
  }
  print_if(out, "records of further names", loss->records_unnamed);
  print_if(out, "lines that are no record", loss->lines_other);
  print_if(out, "malformed lines", loss->lines_rejected);
  print_if(out, "gaps in the recording", loss->gap_count);
  print_if(out, "records lost in gaps", loss->gap_records);
  print_if(out, "records overwritten before reading", loss->overwritten);
  if (first) print_if(out, "operations that cannot be played", first->left_out);
  if (loss->is_salvaged) fprintf(out, "  the trace is damaged: %s\n", loss->problem);
}
