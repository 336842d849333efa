/* SPDX-License-Identifier: MIT
 * Changes to a scenario from the command line, and what becomes of its claims then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/scenario/names.h"
#include "src/scenario/scenario.h"

/* ---- Claims --------------------------------------------------------------------------------- */

static bool has_recording(const struct scenario *scenario, const struct scenario_variant *variant) {
  for (unsigned i = 0; i < scenario->recorded_count; i++) {
    if (scenario_covers(scenario->recorded[i].where, variant)) return true;
  }
  return false;
}

/* The variant that this one is compared with is there. */
static bool has_other(const struct scenario_claim *claim, const struct scenario_variant *variants,
                      unsigned count, const struct scenario_variant *variant) {
  for (unsigned i = 0; i < count; i++) {
    if (scenario_is_other(claim, variant, &variants[i])) return true;
  }
  return false;
}

/* Still covers what it compares, or for a figure one variant. */
static bool still_speaks(const struct scenario *scenario, const struct scenario_claim *claim) {
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  unsigned count = scenario_expand(scenario, variants), covered = 0, others = 0, recorded = 0;
  bool first_depth = false, other_depth = false;
  for (unsigned i = 0; i < count; i++) {
    first_depth = first_depth || variants[i].depth == 1;
    other_depth = other_depth || variants[i].depth != variants[0].depth;
    if (!scenario_claim_covers(claim, &variants[i])) continue;
    covered++;
    recorded += has_recording(scenario, &variants[i]);
    if (claim->type == SCENARIO_CLAIM_MORE_THAN)
      others += has_other(claim, variants, count, &variants[i]);
  }
  switch (claim->type) {
    case SCENARIO_CLAIM_EXITS:
    case SCENARIO_CLAIM_AT_MOST:
    case SCENARIO_CLAIM_AT_LEAST:
    case SCENARIO_CLAIM_READS:
    case SCENARIO_CLAIM_WRITES:
    case SCENARIO_CLAIM_UNLISTED:
      return covered > 0;
    case SCENARIO_CLAIM_MORE_THAN:
      return covered > 0 && others == covered;
    case SCENARIO_CLAIM_RECORDED:
      return recorded > 0;
    case SCENARIO_CLAIM_REFLECTED:
      return covered > 0 && first_depth && other_depth;
    case SCENARIO_CLAIM_KEPT:
      return covered > 0 && other_depth;
    case SCENARIO_CLAIM_TRANSPARENT:
      return count > 1;
    case SCENARIO_CLAIM_TYPES:
      break;
  }
  return false;
}

/* Claims that go stay behind the others, for reports that list what was left out. */
static void drop_claims(struct scenario *scenario, bool all_figures) {
  unsigned kept = 0;
  for (unsigned i = 0; i < scenario->claim_count; i++) {
    const struct scenario_claim claim = scenario->claim[i];
    bool is_void = all_figures && scenario_claim_is_figure(claim.type);
    if (is_void || !still_speaks(scenario, &claim)) continue;
    memmove(&scenario->claim[kept + 1], &scenario->claim[kept], (i - kept) * sizeof claim);
    scenario->claim[kept++] = claim;
  }
  scenario->dropped_count += scenario->claim_count - kept;
  scenario->claim_count = kept;
}

static void bind(const struct scenario *scenario, enum scenario_axis_name axis,
                 unsigned where[SCENARIO_AXIS_COUNT]) {
  unsigned values[SCENARIO_VALUE_LIMIT], depth = where[SCENARIO_AXIS_DEPTH];
  bool is_moot = depth == 1 && scenario_axis_info(axis)->scope == SCENARIO_SCOPE_GUESTS;
  if (where[axis] != SCENARIO_ANY || is_moot) return;
  scenario_axis_list(scenario, axis, depth == SCENARIO_ANY ? 2 : depth, values);
  where[axis] = values[0];
}

/* A figure was claimed, and a recording made, of the one value that an axis had until now. */
static void bind_to_own_value(struct scenario *scenario, enum scenario_axis_name axis) {
  if (scenario->axis[axis].compared) return;
  for (unsigned i = 0; i < scenario->claim_count; i++) {
    struct scenario_claim *claim = &scenario->claim[i];
    if (scenario_claim_is_figure(claim->type)) bind(scenario, axis, claim->where);
  }
  for (unsigned i = 0; i < scenario->recorded_count; i++)
    bind(scenario, axis, scenario->recorded[i].where);
}

/* ---- Axes ----------------------------------------------------------------------------------- */

/* False: the value is there already, or there are too many. */
static bool add_value(struct scenario_axis *axis, unsigned value) {
  for (unsigned i = 0; i < axis->value_count; i++) {
    if (axis->values[i] == value) return false;
  }
  if (axis->value_count == SCENARIO_VALUE_LIMIT) return false;
  axis->values[axis->value_count++] = value;
  return true;
}

/* "2" or, of numbers, "1..3" (either way round). */
static bool add_range(struct scenario_axis *axis, const struct scenario *scenario,
                      enum scenario_axis_name name, char *word) {
  unsigned first, last;
  char *dots = scenario_axis_info(name)->first > 0 ? strstr(word, "..") : NULL;
  if (dots != NULL) *dots = '\0';
  if (!scenario_axis_value(scenario, name, word, &first)) return false;
  if (dots == NULL) return add_value(axis, first);
  if (!scenario_axis_value(scenario, name, dots + 2, &last)) return false;
  bool good = add_value(axis, first);
  while (good && first != last) good = add_value(axis, first < last ? ++first : --first);
  return good;
}

/* "both" stands for on and off. */
static bool parse_values(struct scenario_axis *axis, const struct scenario *scenario,
                         enum scenario_axis_name name, const char *values) {
  char text[128], *rest = NULL;
  bool is_switch = scenario_axis_info(name)->list == LIST_SWITCH;
  if (is_switch && strcmp(values, "both") == 0) values = "on,off";
  size_t length = strlen(values);
  if (length == 0 || length >= sizeof text) return false;
  bool holes = values[0] == ',' || values[length - 1] == ',' || strstr(values, ",,") != NULL;
  if (holes) return false;
  memcpy(text, values, length + 1);
  for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
    if (!add_range(axis, scenario, name, word)) return false;
  }
  return axis->value_count > 0;
}

/* A deeper stack needs hypervisors: those of the deepest level that the scenario describes. */
static void fill_levels(struct scenario *scenario) {
  for (unsigned i = 1; i < SCENARIO_DEPTH_LIMIT; i++) {
    if (scenario->level[i].hypervisor[0] != '\0') continue;
    scenario->level[i] = scenario->level[i - 1];
    if (i > 1) continue;
    scenario->level[i].scheme = SCENARIO_EPT_ON_EPT;
    scenario->level[i].vmcs_access = SCENARIO_VMCS_SHADOW;
    scenario->level[i].backing = SCENARIO_EAGER;
  }
}

static int refuse_values(const struct scenario *scenario, enum scenario_axis_name axis, char *error,
                         size_t error_size) {
  char text[SCENARIO_TEXT_SIZE];
  const struct scenario_axis_info *info = scenario_axis_info(axis);
  if (info->list == LIST_SWITCH)
    snprintf(error, error_size, "expected on, off or both");
  else
    snprintf(error, error_size, "expected %s%s",
             scenario_axis_expected(scenario, axis, text, sizeof text),
             info->first > 0 ? ", each once, such as 2, 1..3 or 1,2,4" : "");
  return 2;
}

int scenario_set_axis(struct scenario *scenario, enum scenario_axis_name axis, const char *values,
                      char *error, size_t error_size) {
  struct scenario_axis changed = {.compared = true};
  if (!parse_values(&changed, scenario, axis, values))
    return refuse_values(scenario, axis, error, error_size);
  const struct scenario_axis before = scenario->axis[axis];
  fill_levels(scenario);
  scenario->axis[axis] = changed;
  if (!scenario_check_variants(scenario, error, error_size)) {
    scenario->axis[axis] = before;
    return 2;
  }
  scenario->axis[axis] = before;
  bind_to_own_value(scenario, axis);
  scenario->axis[axis] = changed;
  drop_claims(scenario, false);
  return 0;
}

int scenario_set_host(struct scenario *scenario, const char *name, char *error, size_t error_size) {
  char text[SCENARIO_TEXT_SIZE];
  if (scenario_word_index(LIST_HYPERVISOR, name) < 0) {
    snprintf(error, error_size, "expected %s",
             join_words(scenario_words(LIST_HYPERVISOR), " or ", text, sizeof text));
    return 2;
  }
  if (strcmp(scenario->level[0].hypervisor, name) == 0) return 0;
  snprintf(scenario->level[0].hypervisor, SCENARIO_NAME_SIZE, "%s", name);
  scenario->recorded_count = 0;
  drop_claims(scenario, true);
  return 0;
}
