/* SPDX-License-Identifier: MIT
 * Rounds: how many exits reach the recording hypervisor for each exit that it reflects. */
#include <string.h>

#include "traces/trace.h"

void trace_rounds_init(struct trace_rounds *rounds) {
  memset(rounds, 0, sizeof *rounds);
}

static struct trace_round_group *group_of(struct trace_rounds *rounds,
                                          const char label[TRACE_LABEL_MAX]) {
  for (size_t i = 0; i < rounds->group_count; i++) {
    if (strcmp(rounds->group[i].label, label) == 0) return &rounds->group[i];
  }
  if (rounds->group_count == TRACE_ROUND_LABELS) return NULL;
  struct trace_round_group *group = &rounds->group[rounds->group_count++];
  memcpy(group->label, label, TRACE_LABEL_MAX);
  return group;
}

static void end_round(struct trace_rounds *rounds, struct trace_round_open *open) {
  struct trace_round_group *group = group_of(rounds, open->label);
  if (group) {
    uint64_t longest = TRACE_ROUND_EXITS - 1;
    group->rounds++;
    group->exits += open->exits;
    group->histogram[open->exits < longest ? open->exits : longest]++;
  } else {
    rounds->ungrouped++;
  }
  open->exits = 0;
  rounds->open--;
}

/* A host-caused exit or one that needed no hardware exit begins a round like any other; the latter
 * without an exit of its own. */
void trace_rounds_add(struct trace_rounds *rounds, const struct trace_event *event) {
  struct trace_round_open *open = &rounds->vcpu[event->vcpu];
  if (event->level > 1) {
    if (!(event->flags & TRACE_REFLECTED)) {
      rounds->kept++;
      return;
    }
    if (open->exits == 0) rounds->open++;
    trace_event_label(event, open->label, sizeof open->label);
    open->exits = event->flags & TRACE_NO_EXIT ? 0 : 1;
    if (open->exits == 0) rounds->open--;
    return;
  }
  if (open->exits == 0) return;
  open->exits++;
  if (event->flags & TRACE_ENTERS) end_round(rounds, open);
}

int trace_count_rounds(struct trace_reader *reader, struct trace_rounds *rounds) {
  struct trace_event event;
  int result;
  while ((result = trace_next(reader, &event)) == 1) trace_rounds_add(rounds, &event);
  return result;
}

const struct trace_round_group *trace_round_find(const struct trace_rounds *rounds,
                                                 const char *label) {
  for (size_t i = 0; i < rounds->group_count; i++) {
    if (strcmp(rounds->group[i].label, label) == 0) return &rounds->group[i];
  }
  return NULL;
}

unsigned trace_round_mode(const struct trace_round_group *group) {
  unsigned mode = 0;
  for (unsigned i = 1; i < TRACE_ROUND_EXITS; i++) {
    if (group->histogram[i] > group->histogram[mode]) mode = i;
  }
  return mode;
}

double trace_round_mean(const struct trace_round_group *group) {
  return group->rounds ? (double)group->exits / (double)group->rounds : 0.0;
}
