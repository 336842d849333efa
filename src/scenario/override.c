/* SPDX-License-Identifier: MIT
 * Changes to a scenario from the command line, and what becomes of its claims then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/scenario/names.h"
#include "src/scenario/scenario.h"

/* ---- Claims --------------------------------------------------------------------------------- */

/* Still covers what it compares, or for a figure one variant. */
static bool still_speaks(const struct scenario *scenario, const struct scenario_claim *claim) {
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  unsigned count = scenario_expand(scenario, variants), covered = 0;
  bool first_depth = false, other_depth = false;
  for (unsigned i = 0; i < count; i++) {
    first_depth = first_depth || variants[i].depth == 1;
    other_depth = other_depth || variants[i].depth != variants[0].depth;
    covered += scenario_claim_covers(claim, &variants[i]);
  }
  switch (claim->type) {
    case SCENARIO_CLAIM_EXITS:
    case SCENARIO_CLAIM_UNLISTED:
      return covered > 0;
    case SCENARIO_CLAIM_REFLECTED:
      return covered > 0 && first_depth && other_depth;
    case SCENARIO_CLAIM_KEPT:
      return covered > 0 && other_depth;
    case SCENARIO_CLAIM_TRANSPARENT:
      return count > 1;
  }
  return false;
}

static bool states_figure(const struct scenario_claim *claim) {
  return claim->type == SCENARIO_CLAIM_EXITS || claim->type == SCENARIO_CLAIM_UNLISTED;
}

static void drop_claims(struct scenario *scenario, bool figures_too) {
  unsigned kept = 0;
  for (unsigned i = 0; i < scenario->claim_count; i++) {
    const struct scenario_claim claim = scenario->claim[i];
    bool keep = figures_too ? !states_figure(&claim) : still_speaks(scenario, &claim);
    if (!keep) continue;
    memmove(&scenario->claim[kept + 1], &scenario->claim[kept], (i - kept) * sizeof claim);
    scenario->claim[kept++] = claim;
  }
  scenario->dropped_count += scenario->claim_count - kept;
  scenario->claim_count = kept;
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

/* "2" or "1..3" (either way round). */
static bool add_range(struct scenario_axis *axis, enum scenario_axis_name name, char *word) {
  unsigned first, last;
  char *dots = strstr(word, "..");
  if (dots != NULL) *dots = '\0';
  if (!scenario_axis_value(name, word, &first)) return false;
  if (dots == NULL) return add_value(axis, first);
  if (!scenario_axis_value(name, dots + 2, &last)) return false;
  bool good = add_value(axis, first);
  while (good && first != last) good = add_value(axis, first < last ? ++first : --first);
  return good;
}

/* "both" stands for on and off. */
static bool parse_values(struct scenario_axis *axis, enum scenario_axis_name name,
                         const char *values) {
  char text[64], *rest = NULL;
  if (name == SCENARIO_AXIS_VMCS_SHADOWING && strcmp(values, "both") == 0) values = "on,off";
  size_t length = strlen(values);
  if (length == 0 || length >= sizeof text) return false;
  bool holes = values[0] == ',' || values[length - 1] == ',' || strstr(values, ",,") != NULL;
  if (holes) return false;
  memcpy(text, values, length + 1);
  for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
    if (!add_range(axis, name, word)) return false;
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

int scenario_set_axis(struct scenario *scenario, enum scenario_axis_name axis, const char *values,
                      char *error, size_t error_size) {
  struct scenario_axis changed = {.compared = true};
  if (!parse_values(&changed, axis, values)) {
    const char *forms = axis == SCENARIO_AXIS_DEPTH ? ", each once, such as 2, 1..3 or 1,2,4" : "";
    const char *expected =
        axis == SCENARIO_AXIS_DEPTH ? scenario_axis_values(axis) : "on, off or both";
    snprintf(error, error_size, "expected %s%s", expected, forms);
    return 2;
  }
  scenario->axis[axis] = changed;
  fill_levels(scenario);
  drop_claims(scenario, false);
  return 0;
}

/* ---- Names ---------------------------------------------------------------------------------- */

static int check_word(enum scenario_list list, const char *name, char *error, size_t error_size) {
  char text[SCENARIO_TEXT_SIZE];
  if (scenario_word_index(list, name) >= 0) return 0;
  snprintf(error, error_size, "expected %s",
           join_words(scenario_words(list), " or ", text, sizeof text));
  return 2;
}

int scenario_set_processor(struct scenario *scenario, const char *name, char *error,
                           size_t error_size) {
  int status = check_word(LIST_PROCESSOR, name, error, error_size);
  if (status != 0 || strcmp(scenario->processor, name) == 0) return status;
  snprintf(scenario->processor, sizeof scenario->processor, "%s", name);
  drop_claims(scenario, true);
  return 0;
}

int scenario_set_hypervisor(struct scenario *scenario, const char *name, char *error,
                            size_t error_size) {
  int status = check_word(LIST_HYPERVISOR, name, error, error_size);
  bool changed = false;
  for (unsigned i = 0; status == 0 && i < SCENARIO_DEPTH_LIMIT; i++) {
    char *hypervisor = scenario->level[i].hypervisor;
    if (hypervisor[0] == '\0' || strcmp(hypervisor, name) == 0) continue;
    snprintf(hypervisor, SCENARIO_NAME_SIZE, "%s", name);
    changed = true;
  }
  if (changed) drop_claims(scenario, true);
  return status;
}
