/* SPDX-License-Identifier: MIT
 * The parts of `nestor trace compare`: what the log holds, what a replay executes, what differs. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include "src/cli/cli.h"
#include "traces/ops_round.h"

enum { TRACE_ALL_LEVELS = OPS_LEVELS };

struct trace_compare {
  const char *log, *guest; /* paths */
  unsigned depth;          /* 0: as in the log */
  int shadowing;           /* -1: as in the log */
  const char *processor;   /* NULL: the scenario's */
  const char *scheme;      /* likewise */
  unsigned level;          /* TRACE_ALL_LEVELS: each one */
  unsigned differences;    /* to be shown step by step */
};

/* What a log says about the machine it was taken from. */
struct trace_survey {
  unsigned depth;
  bool shadowing; /* some VMREAD or VMWRITE of a guest did not exit */
  bool accesses;  /* a guest executed VMREAD or VMWRITE at all */
  uint64_t guest; /* address of the VMCS of the innermost guest */
};

extern const struct ops_names trace_names;

/* All return CLI_GO_ON, or an exit status after a sentence. */
int trace_survey_log(const struct cli *cli, const char *path, struct trace_survey *survey);
int trace_read_log(const struct cli *cli, const char *path, const struct trace_survey *survey,
                   struct ops_rounds *rounds);
/* compare->depth and ->shadowing are set. */
int trace_replay(const struct cli *cli, const struct trace_compare *compare,
                 struct ops_rounds *rounds);

/* CLI_FINE if all is equal, else CLI_CLAIM_FAILS. */
int trace_report(const struct cli *cli, const struct trace_compare *compare,
                 const struct ops_rounds *log, const struct ops_rounds *replay);

#endif
