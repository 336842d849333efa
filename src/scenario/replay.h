/* SPDX-License-Identifier: MIT
 * Replaying a scenario: every variant of its comparison is built, its trace played into the
 * innermost guest, and counted by a ledger. The result is what the reports read. */
#ifndef SCENARIO_REPLAY_H
#define SCENARIO_REPLAY_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/ledger/ledger.h"
#include "src/scenario/scenario.h"
#include "traces/trace.h"

struct replay_options {
  bool salvage;                        /* use what a truncated trace still holds */
  bool progress;                       /* a line on standard error while working */
  volatile sig_atomic_t *interrupted;  /* set by a signal handler; may be NULL */
  const struct nst_observer *observer; /* attached to every variant's machine; may be NULL */
};

enum { REPLAY_VARIANTS = 64 };

/* One variant of the comparison, replayed. */
struct replay_variant {
  struct scenario_variant variant;
  struct ledger *ledger;
  uint64_t recorded_exits;            /* exits of its recorded guest in the trace */
  uint64_t operations;                /* played */
  uint64_t assumed;                   /* causes made up for, or exits that the recording lacks */
  uint64_t unlisted;                  /* VMCS accesses outside the profiles' lists, all levels */
  uint64_t faulted;                   /* operations that ended in an exception, unlike recorded */
  uint64_t left_out;                  /* operations that the player has no instruction for */
  uint64_t guest_exits[EXIT_REASONS]; /* of the innermost guest, as its hypervisor saw them */
  uint64_t state_hash;                /* registers and memory of the innermost guest at the end */
  bool complete;                      /* false: interrupted */
};

struct replay {
  const struct scenario *scenario;
  struct trace_loss loss;
  uint64_t recorded_exits; /* exits of the first variant's guest in its trace */
  uint64_t recorded_by_reason[EXIT_REASONS];
  unsigned variant_count;
  struct replay_variant variant[REPLAY_VARIANTS];
  struct trace_source source;
  bool partial; /* interrupted before the end */
};

/* Runs every variant. 0, or an exit status (2 bad input, 3 set-up, 130 interrupted with *out
 * holding what there is) and a sentence in `error`. The caller frees *out. */
int replay_run(struct replay **out, const struct scenario *scenario,
               const struct replay_options *options, char *error, size_t error_size);
void replay_free(struct replay *replay);

#endif
