/* SPDX-License-Identifier: MIT
 * Generated workloads. The order is a sample without replacement: each event is drawn from what is
 * left of all entries, so that no list of them is needed and the numbers are exact at the end. */
#include "traces/mix.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "traces/reader.h"

struct mix_reader {
  struct trace_mix mix;
  uint64_t left[TRACE_MIX_ENTRIES]; /* events still to come of each entry */
  uint64_t given[TRACE_MIX_ENTRIES];
  uint64_t left_total, given_total;
  uint64_t random;
};

/* ---- the description */

static int __attribute__((format(printf, 3, 4)))
refuse(char *error, size_t error_size, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error, error_size, format, arguments);
  va_end(arguments);
  return -1;
}

static int check_entry(const struct trace_mix_entry *entry, unsigned number, char *error,
                       size_t error_size) {
  if (entry->kind >= TRACE_KIND_COUNT || trace_kind_cause(entry->kind) == TRACE_CAUSE_NEITHER) {
    return refuse(error, error_size, "generated mix: entry %u: expected a kind of event", number);
  }
  if (entry->weight >= TRACE_MIX_LIMIT) {
    return refuse(error, error_size,
                  "generated mix: entry %u (%s): weight %" PRIu64 "; expected less than %" PRIu64,
                  number, trace_kind_name(entry->kind), entry->weight, TRACE_MIX_LIMIT);
  }
  const uint32_t modifiers = TRACE_USER | TRACE_STRING | TRACE_RETRY | TRACE_FAULTED;
  if (entry->flags & ~(trace_kind_arguments(entry->kind) | modifiers)) {
    return refuse(error, error_size,
                  "generated mix: entry %u (%s): flags 0x%" PRIx32
                  "; expected only arguments that the kind has",
                  number, trace_kind_name(entry->kind), entry->flags);
  }
  return 0;
}

static int check_mix(const struct trace_mix *mix, uint64_t *total, char *error, size_t error_size) {
  if (mix->count == 0 || mix->count > TRACE_MIX_ENTRIES) {
    return refuse(error, error_size, "generated mix: %u entries; expected 1 to %d", mix->count,
                  TRACE_MIX_ENTRIES);
  }
  *total = 0;
  for (unsigned i = 0; i < mix->count; i++) {
    if (check_entry(&mix->entry[i], i + 1, error, error_size) != 0) return -1;
    *total += mix->entry[i].weight;
  }
  if (*total == 0 || *total >= TRACE_MIX_LIMIT) {
    return refuse(error, error_size,
                  "generated mix: the weights add up to %" PRIu64 "; expected 1 to %" PRIu64,
                  *total, TRACE_MIX_LIMIT - 1);
  }
  if (mix->events >= TRACE_MIX_LIMIT) {
    return refuse(error, error_size,
                  "generated mix: %" PRIu64 " events; expected less than %" PRIu64, mix->events,
                  TRACE_MIX_LIMIT);
  }
  return 0;
}

/* The numbers by weight, rounded down; then one more for the largest remainders. */
static void share_out(struct mix_reader *reader, uint64_t events, uint64_t total) {
  const struct trace_mix *mix = &reader->mix;
  uint64_t remainder[TRACE_MIX_ENTRIES];
  uint64_t missing = events;
  for (unsigned i = 0; i < mix->count; i++) {
    reader->left[i] = events * mix->entry[i].weight / total;
    remainder[i] = events * mix->entry[i].weight % total;
    missing -= reader->left[i];
  }
  for (; missing > 0; missing--) {
    unsigned largest = 0;
    for (unsigned i = 1; i < mix->count; i++) {
      if (remainder[i] > remainder[largest]) largest = i;
    }
    reader->left[largest]++;
    remainder[largest] = 0;
  }
  reader->left_total = events;
}

struct trace_reader *trace_open_mix(const struct trace_mix *mix, char *error, size_t error_size) {
  uint64_t total = 0;
  if (check_mix(mix, &total, error, error_size) != 0 || total == 0) return NULL;
  struct trace_reader *reader = calloc(1, sizeof *reader);
  if (reader) reader->mix = calloc(1, sizeof *reader->mix);
  if (!reader || !reader->mix) {
    refuse(error, error_size, "generated mix: out of memory");
    free(reader);
    return NULL;
  }
  reader->format = TRACE_FORMAT_MIX;
  reader->mix->mix = *mix;
  reader->mix->random = mix->seed;
  share_out(reader->mix, mix->events ? mix->events : total, total);
  snprintf(reader->about.name, sizeof reader->about.name, "generated mix");
  snprintf(reader->about.provenance, sizeof reader->about.provenance,
           "generated: %" PRIu64 " events of %u entries, seed %" PRIu64, reader->mix->left_total,
           mix->count, mix->seed);
  return reader;
}

void mix_reader_close(struct trace_reader *reader) {
  free(reader->mix);
  reader->mix = NULL;
}

/* ---- the events */

/* SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators"). */
static uint64_t next_random(struct mix_reader *reader) {
  uint64_t value = reader->random += UINT64_C(0x9e3779b97f4a7c15);
  value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
  return value ^ value >> 31;
}

/* Every number below limit is equally likely: what would favour the small ones is thrown away. */
static uint64_t next_below(struct mix_reader *reader, uint64_t limit) {
  uint64_t uneven = (UINT64_MAX - limit + 1) % limit, value;
  do value = next_random(reader);
  while (value < uneven);
  return value % limit;
}

static unsigned draw(struct mix_reader *reader) {
  uint64_t at = next_below(reader, reader->left_total);
  unsigned i = 0;
  while (at >= reader->left[i]) at -= reader->left[i++];
  return i;
}

int mix_reader_next(struct trace_reader *reader, struct trace_event *event) {
  struct mix_reader *mix = reader->mix;
  if (mix->left_total == 0) return 0;
  unsigned i = draw(mix);
  const struct trace_mix_entry *entry = &mix->mix.entry[i];
  uint64_t period = mix->mix.period_ns ? mix->mix.period_ns : TRACE_MIX_PERIOD;
  uint64_t step = entry->span ? mix->given[i] % entry->span : mix->given[i];
  *event = (struct trace_event){
      .time_ns = mix->given_total * period,
      .a = entry->flags & TRACE_HAS_A ? entry->a + entry->stride * step : 0,
      .b = entry->flags & TRACE_HAS_B ? entry->b : 0,
      .c = entry->flags & TRACE_HAS_C ? entry->c : 0,
      .d = entry->flags & TRACE_HAS_D ? entry->d : 0,
      .flags = entry->flags,
      .kind = (uint16_t)entry->kind,
      .level = 1,
  };
  mix->left[i]--;
  mix->given[i]++;
  mix->left_total--;
  mix->given_total++;
  reader->loss.records++;
  return 1;
}
