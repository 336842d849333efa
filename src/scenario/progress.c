/* SPDX-License-Identifier: MIT
 * The progress line. The time that is left is that of the variant under way: deeper ones have
 * another rate, which nobody knows before. */
#include "src/scenario/progress.h"

#include <inttypes.h>
#include <stdio.h>

static const double interval = 0.2, patience = 1; /* seconds; before that no rate is one */

static double seconds_since(const struct timespec *from, const struct timespec *to) {
  return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) / 1e9;
}

void progress_begin(struct progress *progress, unsigned variant, unsigned variant_count) {
  if (!progress->is_shown) return;
  progress->variant = variant;
  progress->variant_count = variant_count;
  clock_gettime(CLOCK_MONOTONIC, &progress->started);
  progress->shown = progress->started;
}

static void append_left(char *text, size_t size, double seconds) {
  uint64_t left = (uint64_t)(seconds + 0.5);
  if (left >= 3600)
    snprintf(text, size, ", %" PRIu64 " h %02" PRIu64 " min left", left / 3600, left / 60 % 60);
  else if (left >= 60)
    snprintf(text, size, ", %" PRIu64 " min %02" PRIu64 " s left", left / 60, left % 60);
  else
    snprintf(text, size, ", %" PRIu64 " s left", left);
}

const char *progress_text(const struct progress *progress, uint64_t events, double seconds,
                          char *text, size_t size) {
  double rate = seconds > 0 ? (double)events / seconds : 0;
  char of[32] = "", left[48] = "";
  if (progress->total) snprintf(of, sizeof of, " of %" PRIu64, progress->total);
  bool is_known = progress->total >= events && seconds >= patience && rate > 0;
  if (is_known) append_left(left, sizeof left, (double)(progress->total - events) / rate);
  snprintf(text, size, "variant %u of %u: %" PRIu64 "%s events, %.0f a second%s",
           progress->variant + 1, progress->variant_count, events, of, rate, left);
  return text;
}

void progress_show(struct progress *progress, uint64_t events) {
  if (!progress->is_shown) return;
  struct timespec now;
  char text[128];
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (seconds_since(&progress->shown, &now) < interval) return;
  progress->shown = now;
  fprintf(
      stderr, "\r%s\033[K",
      progress_text(progress, events, seconds_since(&progress->started, &now), text, sizeof text));
}

void progress_clear(const struct progress *progress) {
  if (progress->is_shown) fprintf(stderr, "\r\033[K");
}
