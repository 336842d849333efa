/* SPDX-License-Identifier: MIT
 * What a replay says, for people and for programs. Start here. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "src/scenario/replay.h"

struct report_options {
  bool claims;       /* every claim with its result and numbers */
  bool compare;      /* every cell that has a recording of real nested virtualization beside it */
  bool loss;         /* what of the trace became no operation */
  bool costs;        /* what was estimated, from which unit costs, beside published figures */
  unsigned tree;     /* causal trees of the first so many kinds of operation */
  const char *steps; /* label of an operation to be told step by step, letter case aside; or NULL */
  unsigned columns;  /* width of the text; 0: 100 */
};

/* Each writes to `out` and returns 0 if all claims hold, else 1. A partial replay is reported as
 * far as it goes and says so. Text takes all options, html `tree` and `steps`, the others none.
 * What cannot be written shows in ferror(out). */
int report_text(FILE *out, const struct replay *replay, const struct report_options *options);
/* One table: variant, a column for each axis of comparisons (depth, guest, processor, hypervisor,
 * scheme, vmcs_access, vmcs_shadowing), operation, kind (operation, outside or total), operations,
 * exits_typical, exits_mean, exits_total, kept, reflected, cycles_low, cycles_typical, cycles_high,
 * cycles_switch, cycles_l0, instructions_l0. */
int report_csv(FILE *out, const struct replay *replay, const struct report_options *options);
/* One table: variant, the axes, operation, level, reason, detail, exits, reflected. */
int report_csv_causes(FILE *out, const struct replay *replay, const struct report_options *options);
int report_json(FILE *out, const struct replay *replay, const struct report_options *options);

/* A page by itself: markup that is HTML and well-formed XML, no script, nothing fetched. */
int report_html(FILE *out, const struct replay *replay, const struct report_options *options);
/* The claims as test results. */
int report_junit(FILE *out, const struct replay *replay, const struct report_options *options);
int report_tap(FILE *out, const struct replay *replay, const struct report_options *options);

/* The exits of a typical operation of each kind, as stacks: one line an exit; trace events. */
int report_folded(FILE *out, const struct replay *replay, const struct report_options *options);
int report_perfetto(FILE *out, const struct replay *replay, const struct report_options *options);

/* The same by name. */
enum report_format {
#define REPORT_FORMAT(NAME, name, function) REPORT_AS_##NAME,
#include "src/report/format.def"
  REPORT_FORMAT_COUNT
};
extern const char *const report_format_names[]; /* ends with NULL */
bool report_format_find(const char *name, enum report_format *format);
int report_print(FILE *out, const struct replay *replay, const struct report_options *options,
                 enum report_format format);

/* False, with a sentence, if something was played, but no operation of that label. */
bool report_has_operation(const struct replay *replay, const char *wanted, char *sentence,
                          size_t size);

#endif
