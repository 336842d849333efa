/* SPDX-License-Identifier: MIT
 * The progress line of a long replay, on a terminal only: how far, how fast, how long still. */
#ifndef SCENARIO_PROGRESS_H
#define SCENARIO_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct progress {
  bool is_shown;
  uint64_t total; /* events of a variant; 0: not known */
  unsigned variant, variant_count;
  struct timespec started, shown;
};

/* Begins a variant. */
void progress_begin(struct progress *progress, unsigned variant, unsigned variant_count);
/* After so many events of the variant; prints on standard error a few times a second. */
void progress_show(struct progress *progress, uint64_t events);
/* Takes the line away. */
void progress_clear(const struct progress *progress);
/* What the line says after so many seconds of the variant. Returns text. */
const char *progress_text(const struct progress *progress, uint64_t events, double seconds,
                          char *text, size_t size);

#endif
