/* SPDX-License-Identifier: MIT
 * A generated workload: guest operations and events in a given mix, in an order that a seed
 * decides. It reads like a recorded trace, holds nothing but its own description, and is the same
 * everywhere.
 */
#ifndef TRACES_MIX_H
#define TRACES_MIX_H

#include "traces/trace.h"

enum { TRACE_MIX_ENTRIES = 32 };
/* Events, and the sum of all weights, are below this. */
#define TRACE_MIX_LIMIT (UINT64_C(1) << 32)
#define TRACE_MIX_PERIOD 1000 /* nanoseconds of guest time between two events, if not told */

struct trace_mix_entry {
  enum trace_kind kind; /* all but TRACE_UNKNOWN; host-caused kinds become events of the host */
  uint64_t weight;      /* share of the events; with events == 0 the number of them */
  /* Arguments as event.def names them, and TRACE_HAS_A to TRACE_HAS_D for those that are known;
   * TRACE_USER, TRACE_STRING, TRACE_RETRY and TRACE_FAULTED may be set too. */
  uint64_t a, b, c, d;
  uint32_t flags;
  /* Argument a of the n-th event of this entry (from 0) is a + stride * (n modulo span); span 0
   * means no limit. So pages are touched one after the other. */
  uint64_t stride, span;
};

struct trace_mix {
  uint64_t events; /* in all; 0: the weights are numbers of events */
  uint64_t seed;
  uint64_t period_ns; /* 0: TRACE_MIX_PERIOD */
  unsigned count;     /* entries */
  struct trace_mix_entry entry[TRACE_MIX_ENTRIES];
};

/* A reader of the generated events, all at level 1 of vcpu 0. Each entry has exactly its share of
 * the events, rounded so that the numbers add up (largest remainder; of equals the first). Memory
 * use is constant. mix is copied. NULL on failure, with one sentence in error (error_size > 0) that
 * names the entry, counted from 1. */
struct trace_reader *trace_open_mix(const struct trace_mix *mix, char *error, size_t error_size);

#endif
