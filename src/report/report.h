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
  unsigned tree;     /* causal trees of the first so many kinds of operation */
  const char *steps; /* label of an operation to be told step by step, letter case aside; or NULL */
  unsigned columns;  /* width of the text; 0: 100 */
};

/* Each writes to `out` and returns 0 if all claims hold, else 1. A partial replay is reported as
 * far as it goes. Text takes all options, csv and json none. What cannot be written shows in
 * ferror(out). */
int report_text(FILE *out, const struct replay *replay, const struct report_options *options);
/* Header lines: variant,depth,vmcs_shadowing,operation,operations,exits_typical,exits_mean,
 * exits_total,kept,reflected,cycles_low,cycles_high; then, after an empty line,
 * variant,depth,vmcs_shadowing,operation,level,reason,detail,exits,reflected. */
int report_csv(FILE *out, const struct replay *replay, const struct report_options *options);
int report_json(FILE *out, const struct replay *replay, const struct report_options *options);

#endif
