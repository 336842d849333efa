/* SPDX-License-Identifier: MIT
 * Savings between variants, and published figures beside our estimates. */
#include <stdlib.h>
#include <string.h>

#include "src/report/part.h"
#include "src/scenario/names.h"

/* Label NULL: the whole trace. False: the variant was not replayed to its end, or has none. */
static bool find_row(const struct replay_variant *variant, const char *label,
                     struct ledger_row *row) {
  if (!variant->ledger || !variant->complete) return false;
  if (label) return rows_find(variant, label, row);
  ledger_total(variant->ledger, row);
  return row->operations > 0;
}

/* ---- Savings ------------------------------------------------------------------------------- */

/* The axis in which two variants differ, if it is one alone and not the depth; otherwise
 * SCENARIO_AXIS_COUNT. */
static unsigned only_difference(const struct replay *replay, unsigned a, unsigned b) {
  const unsigned *left = replay->variant[a].variant.value;
  const unsigned *right = replay->variant[b].variant.value;
  unsigned found = SCENARIO_AXIS_COUNT;
  for (unsigned axis = 0; axis < SCENARIO_AXIS_COUNT; axis++) {
    if (left[axis] == right[axis]) continue;
    if (found != SCENARIO_AXIS_COUNT || axis == SCENARIO_AXIS_DEPTH) return SCENARIO_AXIS_COUNT;
    found = axis;
  }
  return found;
}

/* The dearest variant that differs from this one in the axis alone; itself if there is none. */
static unsigned dearest(const struct replay *replay, unsigned to, unsigned axis) {
  struct ledger_row row;
  unsigned from = to;
  if (!find_row(&replay->variant[to], NULL, &row)) return to;
  double most = row.cycles_typical;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (i == to || only_difference(replay, i, to) != axis) continue;
    if (!find_row(&replay->variant[i], NULL, &row) || row.cycles_typical <= most) continue;
    most = row.cycles_typical;
    from = i;
  }
  return from;
}

static bool make_saving(const struct replay *replay, struct cost_saving *saving) {
  struct ledger_row from, to;
  if (!find_row(&replay->variant[saving->from], saving->label, &from) ||
      !find_row(&replay->variant[saving->to], saving->label, &to) || !from.exits || !to.exits)
    return false;
  double n1 = (double)from.exits / (double)from.operations;
  double n2 = (double)to.exits / (double)to.operations;
  double c1 = from.cycles_typical / n1, c2 = to.cycles_typical / n2;
  saving->exits_from = n1;
  saving->exits_to = n2;
  saving->cycles_from = from.cycles_typical;
  saving->cycles_to = to.cycles_typical;
  saving->fewer = (n1 - n2) * c1;
  saving->cheaper = n2 * (c1 - c2);
  return true;
}

struct cost_saving *cost_savings(const struct replay *replay, size_t *count) {
  const char *labels[LEDGER_LABELS + 1] = {NULL};
  unsigned label_count = 1 + rows_labels(replay, labels + 1);
  size_t room = (size_t)replay->variant_count * SCENARIO_AXIS_COUNT * label_count;
  struct cost_saving *savings = calloc(room ? room : 1, sizeof *savings);
  *count = 0;
  for (unsigned to = 0; savings && to < replay->variant_count; to++) {
    for (unsigned axis = 0; axis < SCENARIO_AXIS_COUNT; axis++) {
      unsigned from = dearest(replay, to, axis);
      for (unsigned i = 0; from != to && i < label_count; i++) {
        struct cost_saving saving = {.label = labels[i], .from = from, .to = to};
        if (make_saving(replay, &saving)) savings[(*count)++] = saving;
      }
    }
  }
  return savings;
}

/* ---- Published figures --------------------------------------------------------------------- */

/* True if the figure speaks of the stack of this variant. */
static bool is_about(const struct replay *replay, unsigned variant,
                     const struct ledger_anchor *anchor) {
  const struct scenario_stack *stack = &replay->variant[variant].variant.stack;
  static const unsigned shadowing[] = {
      [SCENARIO_VMCS_SHADOW] = 1, [SCENARIO_VMCS_TRAP] = 0, [SCENARIO_VMCS_MEMORY] = 2};
  if (stack->depth != anchor->depth) return false;
  if (anchor->shadowing != LEDGER_ANCHOR_ANY && shadowing[stack->vmcs_access] != anchor->shadowing)
    return false;
  for (unsigned level = 0; level < stack->depth; level++) {
    const char *hypervisor = scenario_words(LIST_HYPERVISOR)[stack->hypervisor[level]];
    if (strncmp(hypervisor, anchor->hypervisor, strlen(anchor->hypervisor)) != 0) return false;
  }
  return true;
}

double cost_scale(const struct replay *replay) {
  struct ledger_row row;
  for (size_t i = 0; i < ledger_anchor_count(); i++) {
    const struct ledger_anchor *anchor = ledger_anchor(i);
    if (anchor->unit != LEDGER_ANCHOR_FIT) continue;
    for (unsigned v = 0; v < replay->variant_count; v++) {
      if (is_about(replay, v, anchor) && find_row(&replay->variant[v], anchor->operation, &row))
        return anchor->low / row.cycles_typical;
    }
  }
  return 0;
}

/* The figure of the row FIT: a null hypercall, which L0 keeps at depth 1. */
static double kept_ns(void) {
  for (size_t i = 0; i < ledger_anchor_count(); i++) {
    if (ledger_anchor(i)->unit == LEDGER_ANCHOR_FIT) return ledger_anchor(i)->low;
  }
  return 0;
}

/* What a kept exit costs here in exits of its own, times one hypercall that L0 keeps. */
static double predict_kept(const struct replay *replay, unsigned variant) {
  struct ledger_row row;
  if (cost_scale(replay) == 0 || !find_row(&replay->variant[variant], NULL, &row)) return 0;
  unsigned depth = replay->variant[variant].variant.depth;
  uint64_t kept = row.by_level[depth] - row.reflected[depth];
  return kept ? kept_ns() * (double)row.kept_subtree / (double)kept : 0;
}

/* L0's instructions here over those with VMCS shadowing, all else equal. */
static double predict_ratio(const struct replay *replay, unsigned variant,
                            const struct ledger_row *row) {
  struct ledger_row on;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    const struct replay_variant *other = &replay->variant[i];
    if (other->variant.value[SCENARIO_AXIS_VMCS_SHADOWING] != 1) continue;
    if (only_difference(replay, i, variant) != SCENARIO_AXIS_VMCS_SHADOWING) continue;
    if (find_row(other, row->label, &on) && on.instructions[0] > 0)
      return row->instructions[0] / on.instructions[0];
  }
  return 0;
}

/* 0: nothing to predict it from. */
static double predict(const struct replay *replay, unsigned variant,
                      const struct ledger_anchor *anchor) {
  struct ledger_row row;
  if (anchor->unit == LEDGER_ANCHOR_NS_KEPT) return predict_kept(replay, variant);
  if (!find_row(&replay->variant[variant], anchor->operation, &row)) return 0;
  switch (anchor->unit) {
    case LEDGER_ANCHOR_FIT:
    case LEDGER_ANCHOR_NS:
      return cost_scale(replay) * row.cycles_typical;
    case LEDGER_ANCHOR_CYCLES:
      return row.cycles_typical;
    case LEDGER_ANCHOR_EXITS_L1:
      return (double)row.by_level[1] / (double)row.operations;
    case LEDGER_ANCHOR_INSTRUCTION:
      return row.instructions[0];
    case LEDGER_ANCHOR_RATIO:
      return predict_ratio(replay, variant, &row);
    case LEDGER_ANCHOR_NS_KEPT:
      break;
  }
  return 0;
}

struct cost_prediction *cost_predictions(const struct replay *replay, size_t *count) {
  size_t room = ledger_anchor_count() * (replay->variant_count + 1);
  struct cost_prediction *rows = calloc(room, sizeof *rows);
  *count = 0;
  for (size_t i = 0; rows && i < ledger_anchor_count(); i++) {
    const struct ledger_anchor *anchor = ledger_anchor(i);
    for (unsigned v = 0; v < replay->variant_count; v++) {
      double predicted = is_about(replay, v, anchor) ? predict(replay, v, anchor) : 0;
      if (predicted <= 0) continue;
      rows[(*count)++] = (struct cost_prediction){anchor, v, predicted,
                                                  ledger_anchor_deviation(anchor, predicted)};
    }
  }
  return rows;
}

const char *cost_unit(enum ledger_anchor_unit unit) {
  switch (unit) {
    case LEDGER_ANCHOR_FIT:
    case LEDGER_ANCHOR_NS:
      return "ns";
    case LEDGER_ANCHOR_NS_KEPT:
      return "ns, kept in L0";
    case LEDGER_ANCHOR_CYCLES:
      return "cycles";
    case LEDGER_ANCHOR_EXITS_L1:
      return "exits of L1";
    case LEDGER_ANCHOR_INSTRUCTION:
      return "instructions of L0";
    case LEDGER_ANCHOR_RATIO:
      return "of those, off/on";
  }
  return "?";
}
