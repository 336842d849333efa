/* SPDX-License-Identifier: MIT
 * The words that a scenario may use. */
#include "src/scenario/names.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { WORD_LIMIT = 8 };

static const char *const words[LIST_COUNT][WORD_LIMIT] = {
    [LIST_PROCESSOR] = {"nehalem", "haswell", "broadwell-pml", "skylake-x", "minimal",
                        "everything"},
    [LIST_HYPERVISOR] = {"kvm-6.1", "kvm-6.12", "kvm-2.6.34", "haxm-2018", "minimal"},
    [LIST_SCHEME] = {[SCENARIO_SHADOW_ON_SHADOW] = "shadow-on-shadow",
                     [SCENARIO_SHADOW_ON_EPT] = "shadow-on-ept",
                     [SCENARIO_EPT_ON_EPT] = "ept-on-ept"},
    [LIST_VMCS_ACCESS] = {[SCENARIO_VMCS_SHADOW] = "shadow", [SCENARIO_VMCS_EXIT] = "exit"},
    [LIST_BACKING] = {[SCENARIO_EAGER] = "eager", [SCENARIO_FIRST_TOUCH] = "first-touch"},
    [LIST_MARK] = {[SCENARIO_INPUT] = "input",
                   [SCENARIO_CHECKED] = "checked",
                   [SCENARIO_PREDICTED] = "predicted"},
    [LIST_AXIS] = {
#define SCENARIO_AXIS(name, text, values) [SCENARIO_AXIS_##name] = (text),
#include "src/scenario/axis.def"
#undef SCENARIO_AXIS
    }};

static const char *const axis_values[SCENARIO_AXIS_COUNT] = {
#define SCENARIO_AXIS(name, text, values) [SCENARIO_AXIS_##name] = (values),
#include "src/scenario/axis.def"
#undef SCENARIO_AXIS
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

static bool depth_value(const char *word, unsigned *value) {
  if (word[0] < '1' || word[0] > '0' + SCENARIO_DEPTH_LIMIT || word[1] != '\0') return false;
  *value = (unsigned)(word[0] - '0');
  return true;
}

static bool switch_value(const char *word, unsigned *value) {
  *value = strcmp(word, "on") == 0;
  return *value == 1 || strcmp(word, "off") == 0;
}

bool scenario_axis_value(enum scenario_axis_name axis, const char *word, unsigned *value) {
  switch (axis) {
    case SCENARIO_AXIS_DEPTH:
      return depth_value(word, value);
    case SCENARIO_AXIS_VMCS_SHADOWING:
      return switch_value(word, value);
    case SCENARIO_AXIS_COUNT:
      break;
  }
  return false;
}

const char *scenario_axis_values(enum scenario_axis_name axis) {
  assert(axis < SCENARIO_AXIS_COUNT);
  return axis_values[axis];
}

const char *scenario_axis_word(enum scenario_axis_name axis, unsigned value, char word[16]) {
  switch (axis) {
    case SCENARIO_AXIS_DEPTH:
      snprintf(word, 16, "%u", value);
      return word;
    case SCENARIO_AXIS_VMCS_SHADOWING:
      snprintf(word, 16, "%s", value ? "on" : "off");
      return word;
    case SCENARIO_AXIS_COUNT:
      break;
  }
  word[0] = '\0';
  return word;
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
