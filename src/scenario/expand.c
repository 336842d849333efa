/* SPDX-License-Identifier: MIT
 * The points of a comparison, and which claims speak of which. */
#include "src/scenario/scenario.h"

static void set_variant(struct scenario_variant *variant) {
  variant->depth = variant->value[SCENARIO_AXIS_DEPTH];
  variant->vmcs_shadowing = variant->value[SCENARIO_AXIS_VMCS_SHADOWING] != 0;
}

/* Counts up like the wheels of a clock, the last axis fastest; false after the last point. */
static bool advance(const struct scenario *scenario, unsigned index[SCENARIO_AXIS_COUNT]) {
  for (unsigned axis = SCENARIO_AXIS_COUNT; axis-- > 0;) {
    if (++index[axis] < scenario->axis[axis].value_count) return true;
    index[axis] = 0;
  }
  return false;
}

/* At depth 1 there is no guest hypervisor: only the first point of that depth counts. */
static bool is_repetition(const unsigned index[SCENARIO_AXIS_COUNT], unsigned depth) {
  if (depth > 1) return false;
  for (unsigned axis = 0; axis < SCENARIO_AXIS_COUNT; axis++) {
    if (axis != SCENARIO_AXIS_DEPTH && index[axis] > 0) return true;
  }
  return false;
}

unsigned scenario_expand(const struct scenario *scenario,
                         struct scenario_variant variants[SCENARIO_VARIANT_LIMIT]) {
  unsigned index[SCENARIO_AXIS_COUNT] = {0}, count = 0;
  do {
    struct scenario_variant variant = {0};
    for (unsigned axis = 0; axis < SCENARIO_AXIS_COUNT; axis++) {
      variant.value[axis] = scenario->axis[axis].values[index[axis]];
    }
    set_variant(&variant);
    if (!is_repetition(index, variant.depth)) variants[count++] = variant;
  } while (count < SCENARIO_VARIANT_LIMIT && advance(scenario, index));
  return count;
}

bool scenario_claim_covers(const struct scenario_claim *claim,
                           const struct scenario_variant *variant) {
  for (unsigned axis = 0; axis < SCENARIO_AXIS_COUNT; axis++) {
    if (variant->depth == 1 && axis != SCENARIO_AXIS_DEPTH) continue;
    bool any = claim->where[axis] == SCENARIO_ANY;
    if (!any && claim->where[axis] != variant->value[axis]) return false;
  }
  return true;
}
