/* SPDX-License-Identifier: MIT
 * The words that a scenario may use. */
#include "src/scenario/names.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const depths[] = {"1", "2", "3", "4", "5", "6", NULL};
static const char *const guests[] = {NULL};
static const char *const processors[] = {
    "nehalem", "haswell", "broadwell-pml", "skylake-x", "minimal", "everything", NULL};
static const char *const hypervisors[] = {"kvm-6.1",   "kvm-6.12", "kvm-2.6.34",
                                          "haxm-2018", "minimal",  NULL};
static const char *const schemes[] = {[SCENARIO_SHADOW_ON_SHADOW] = "shadow-on-shadow",
                                      [SCENARIO_SHADOW_ON_EPT] = "shadow-on-ept",
                                      [SCENARIO_EPT_ON_EPT] = "ept-on-ept",
                                      NULL};
static const char *const accesses[] = {[SCENARIO_VMCS_SHADOW] = "shadow",
                                       [SCENARIO_VMCS_TRAP] = "trap",
                                       [SCENARIO_VMCS_MEMORY] = "memory",
                                       NULL};
static const char *const switches[] = {[SCENARIO_OFF] = "off", [SCENARIO_ON] = "on", NULL};
static const char *const backings[] = {
    [SCENARIO_EAGER] = "eager", [SCENARIO_FIRST_TOUCH] = "first-touch", NULL};
static const char *const marks[] = {[SCENARIO_INPUT] = "input",
                                    [SCENARIO_CHECKED] = "checked",
                                    [SCENARIO_PREDICTED] = "predicted",
                                    NULL};
static const char *const axis_names[] = {
#define SCENARIO_AXIS(name, text, title, list, first, scope, option, values) (text),
#include "src/scenario/axis.def"
#undef SCENARIO_AXIS
    NULL};
static const char *const claim_names[] = {
#define SCENARIO_CLAIM(name, attribute, subject, figure) (attribute),
#include "src/scenario/claim.def"
#undef SCENARIO_CLAIM
    NULL};

static const char *const *const words[LIST_COUNT] = {
    [LIST_DEPTH] = depths,           [LIST_GUEST] = guests,     [LIST_PROCESSOR] = processors,
    [LIST_HYPERVISOR] = hypervisors, [LIST_SCHEME] = schemes,   [LIST_VMCS_ACCESS] = accesses,
    [LIST_SWITCH] = switches,        [LIST_BACKING] = backings, [LIST_MARK] = marks,
    [LIST_AXIS] = axis_names,        [LIST_CLAIM] = claim_names};

static const struct scenario_axis_info axes[SCENARIO_AXIS_COUNT] = {
#define SCENARIO_AXIS(id, text, caption, words, base, kind, long_option, allowed) \
  {.name = (text),                                                                \
   .title = (caption),                                                            \
   .option = (long_option),                                                       \
   .values = (allowed),                                                           \
   .list = (words),                                                               \
   .scope = SCENARIO_SCOPE_##kind,                                                \
   .first = (base)},
#include "src/scenario/axis.def"
#undef SCENARIO_AXIS
};

static const enum scenario_subject subjects[SCENARIO_CLAIM_TYPES] = {
#define SCENARIO_CLAIM(name, attribute, subject, figure) \
  [SCENARIO_CLAIM_##name] = SCENARIO_SUBJECT_##subject,
#include "src/scenario/claim.def"
#undef SCENARIO_CLAIM
};

enum { LAW, FIGURE };
static const bool figures[SCENARIO_CLAIM_TYPES] = {
#define SCENARIO_CLAIM(name, attribute, subject, figure) [SCENARIO_CLAIM_##name] = (figure),
#include "src/scenario/claim.def"
#undef SCENARIO_CLAIM
};

const char *const *scenario_words(enum scenario_list list) {
  assert(list < LIST_COUNT);
  return words[list];
}

int scenario_word_index(enum scenario_list list, const char *word) {
  for (int i = 0; words[list][i] != NULL; i++) {
    if (strcmp(words[list][i], word) == 0) return i;
  }
  return -1;
}

const struct scenario_axis_info *scenario_axis_info(enum scenario_axis_name axis) {
  assert(axis < SCENARIO_AXIS_COUNT);
  return &axes[axis];
}

enum scenario_subject scenario_claim_subject(enum scenario_claim_type type) {
  assert(type < SCENARIO_CLAIM_TYPES);
  return subjects[type];
}

bool scenario_claim_is_figure(enum scenario_claim_type type) {
  assert(type < SCENARIO_CLAIM_TYPES);
  return figures[type];
}

/* The words of an axis, ending with NULL; `own` is room for a scenario's own. */
static const char *const *axis_words(const struct scenario *scenario, enum scenario_axis_name axis,
                                     const char *own[SCENARIO_GUEST_LIMIT + 1]) {
  if (axes[axis].list != LIST_GUEST || scenario == NULL) return words[axes[axis].list];
  unsigned count = 0;
  for (; count < scenario->guest_count; count++) own[count] = scenario->guest[count].name;
  own[count] = NULL;
  return own;
}

bool scenario_axis_value(const struct scenario *scenario, enum scenario_axis_name axis,
                         const char *word, unsigned *value) {
  const char *own[SCENARIO_GUEST_LIMIT + 1];
  const char *const *list = axis_words(scenario, axis, own);
  for (unsigned i = 0; list[i] != NULL; i++) {
    if (word[0] == '\0' || strcmp(list[i], word) != 0) continue;
    *value = axes[axis].first + i;
    return true;
  }
  return false;
}

const char *scenario_axis_word(const struct scenario *scenario, enum scenario_axis_name axis,
                               unsigned value) {
  const char *own[SCENARIO_GUEST_LIMIT + 1];
  const char *const *list = axis_words(scenario, axis, own);
  unsigned count = 0;
  while (list[count] != NULL) count++;
  if (value < axes[axis].first || value - axes[axis].first >= count) return "?";
  return list[value - axes[axis].first];
}

const char *scenario_axis_expected(const struct scenario *scenario, enum scenario_axis_name axis,
                                   char *text, size_t size) {
  const char *own[SCENARIO_GUEST_LIMIT + 1];
  const char *const *list = axis_words(scenario, axis, own);
  bool is_number = axes[axis].first > 0, has_words = list[0] != NULL && list[0][0] != '\0';
  if (!is_number && has_words) return join_words(list, " or ", text, size);
  snprintf(text, size, "%s", axes[axis].values);
  return text;
}

const char *join_words(const char *const *list, const char *last, char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; list[i] != NULL && used < size; i++) {
    const char *before = i == 0 ? "" : list[i + 1] != NULL ? ", " : last;
    int length = snprintf(text + used, size - used, "%s%s", before, list[i]);
    used += length > 0 ? (size_t)length : 0;
  }
  return text;
}
