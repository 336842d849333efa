/* SPDX-License-Identifier: MIT
 * From the tree of a scenario file to struct scenario. The schema has been checked; whatever the
 * schema cannot say is left at its default here and refused by scenario_validate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/ledger/ledger.h"
#include "src/nestor.h"
#include "src/scenario/document.h"
#include "src/scenario/names.h"

static unsigned word_of(const xmlNode *element, const char *attribute, enum scenario_list list,
                        unsigned otherwise) {
  char word[SCENARIO_NAME_SIZE];
  int index = scenario_word_index(list, element_get(element, attribute, word, sizeof word));
  return index < 0 ? otherwise : (unsigned)index;
}

/* A relative path of the file means one from the file's own folder. */
static void build_path(const struct scenario *scenario, const xmlNode *element, char *out) {
  char trace[SCENARIO_PATH_SIZE], path[2 * SCENARIO_PATH_SIZE];
  element_get(element, "trace", trace, sizeof trace);
  const char *slash = strrchr(scenario->path, '/');
  int folder = slash == NULL || trace[0] == '/' ? 0 : (int)(slash - scenario->path) + 1;
  snprintf(path, sizeof path, "%.*s%s", folder, scenario->path, trace);
  snprintf(out, SCENARIO_PATH_SIZE, "%.*s", SCENARIO_PATH_SIZE - 1, path);
}

static void build_guests(struct scenario *scenario, const xmlNode *root) {
  const xmlNode *element = element_child(root, "guest");
  for (; element != NULL; element = element_next(element, "guest")) {
    if (scenario->guest_count == SCENARIO_GUEST_LIMIT) return;
    struct scenario_guest *guest = &scenario->guest[scenario->guest_count++];
    element_get(element, "name", guest->name, sizeof guest->name);
    if (element_has(element, "trace")) build_path(scenario, element, guest->trace);
    if (element_child(element, "mix") != NULL)
      scenario_build_mix(guest, element_child(element, "mix"));
    guest->line = element_line(element);
    guest->backing =
        (enum scenario_backing)word_of(element, "backing", LIST_BACKING, SCENARIO_FIRST_TOUCH);
  }
}

static void build_axis(struct scenario *scenario, enum scenario_axis_name name,
                       const xmlNode *element) {
  struct scenario_axis *axis = &scenario->axis[name];
  char values[SCENARIO_TEXT_SIZE], *rest = NULL;
  element_get(element, "values", values, sizeof values);
  axis->compared = true;
  for (const char *word = strtok_r(values, " ", &rest); word != NULL;
       word = strtok_r(NULL, " ", &rest)) {
    unsigned value;
    bool fits = axis->value_count < SCENARIO_VALUE_LIMIT;
    if (fits && scenario_axis_value(scenario, name, word, &value))
      axis->values[axis->value_count++] = value;
  }
}

static void build_axes(struct scenario *scenario, const xmlNode *compare) {
  const xmlNode *element = element_child(compare, "axis");
  for (; element != NULL; element = element_next(element, "axis")) {
    unsigned name = word_of(element, "name", LIST_AXIS, 0);
    build_axis(scenario, (enum scenario_axis_name)name, element);
  }
}

/* The axis attributes of an element; what has no meaning counts as not said, and is refused
 * later. */
static void build_where(const struct scenario *scenario, const xmlNode *element,
                        unsigned where[SCENARIO_AXIS_COUNT]) {
  char text[SCENARIO_NAME_SIZE];
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    enum scenario_axis_name axis = (enum scenario_axis_name)i;
    element_get(element, scenario_axis_info(axis)->name, text, sizeof text);
    if (!scenario_axis_value(scenario, axis, text, &where[i])) where[i] = SCENARIO_ANY;
  }
}

static void build_recorded(struct scenario *scenario, const xmlNode *element) {
  struct scenario_recorded *recorded = &scenario->recorded[scenario->recorded_count++];
  build_path(scenario, element, recorded->trace);
  recorded->line = element_line(element);
  build_where(scenario, element, recorded->where);
  const xmlNode *except = element_child(element, "except");
  for (; except != NULL; except = element_next(except, "except")) {
    if (recorded->exception_count == SCENARIO_EXCEPTION_LIMIT) return;
    struct scenario_exception *exception = &recorded->exception[recorded->exception_count++];
    element_get(except, "operation", exception->operation, sizeof exception->operation);
    element_get(except, "because", exception->because, sizeof exception->because);
  }
}

/* The <level> of that number, or for a guest hypervisor the one without a number. */
static const xmlNode *level_element(const xmlNode *stack, unsigned number) {
  char text[SCENARIO_NAME_SIZE];
  const xmlNode *any = NULL, *element = element_child(stack, "level");
  for (; element != NULL; element = element_next(element, "level")) {
    element_get(element, "number", text, sizeof text);
    if (text[0] == '0' + (char)number) return element;
    if (text[0] == '\0' && number > 0) any = element;
  }
  return any;
}

static void build_levels(struct scenario *scenario, const xmlNode *stack) {
  element_get(stack, "processor", scenario->processor, sizeof scenario->processor);
  for (unsigned number = 0; number < SCENARIO_DEPTH_LIMIT; number++) {
    struct scenario_level *level = &scenario->level[number];
    const xmlNode *element = level_element(stack, number);
    if (element == NULL) continue;
    element_get(element, "hypervisor", level->hypervisor, sizeof level->hypervisor);
    level->scheme =
        (enum scenario_scheme)word_of(element, "scheme", LIST_SCHEME, SCENARIO_EPT_ON_EPT);
    level->vmcs_access = (enum scenario_vmcs_access)word_of(element, "vmcs-access",
                                                            LIST_VMCS_ACCESS, SCENARIO_VMCS_SHADOW);
    level->backing =
        (enum scenario_backing)word_of(element, "backing", LIST_BACKING, SCENARIO_EAGER);
  }
}

/* "6", "6..10" */
static void build_range(struct scenario_claim *claim, const char *text) {
  char *end;
  claim->figure = strtoull(text, &end, 10); /* "equal" and "yes": 0 */
  claim->most = strncmp(end, "..", 2) == 0 ? strtoull(end + 2, NULL, 10) : claim->figure;
}

/* "vmcs-shadowing=on" */
static void build_than(const struct scenario *scenario, struct scenario_claim *claim, char *text) {
  char *value = strchr(text, '=');
  claim->than_value = SCENARIO_ANY;
  if (value == NULL) return;
  *value++ = '\0';
  int axis = scenario_word_index(LIST_AXIS, text);
  if (axis < 0) return;
  claim->than_axis = (enum scenario_axis_name)axis;
  if (!scenario_axis_value(scenario, claim->than_axis, value, &claim->than_value))
    claim->than_value = SCENARIO_ANY;
}

/* "1.5.." or "1.5..4": cut before it is read, for "4." is a number too. */
static void build_times(struct scenario_claim *claim, const char *text) {
  char low[SCENARIO_NAME_SIZE];
  const char *dots = strstr(text, "..");
  if (dots == NULL) return;
  snprintf(low, sizeof low, "%.*s", (int)(dots - text), text);
  claim->times_low = strtod(low, NULL);
  claim->times_high = strtod(dots + 2, NULL);
}

static void build_reason(struct scenario_claim *claim, const char *name) {
  for (unsigned i = 0; i < EXIT_REASONS && !claim->by_reason; i++) {
    claim->by_reason = name[0] != '\0' && strcmp(nst_exit_name(i), name) == 0;
    claim->reason = i;
  }
}

static void build_claim(const struct scenario *scenario, struct scenario_claim *claim,
                        const xmlNode *element) {
  char text[SCENARIO_NAME_SIZE];
  for (unsigned i = 0; i < SCENARIO_CLAIM_TYPES; i++) {
    const char *attribute = scenario_words(LIST_CLAIM)[i];
    if (!element_has(element, attribute)) continue;
    claim->type = (enum scenario_claim_type)i;
    element_get(element, attribute, text, sizeof text);
    build_range(claim, text);
    if (i == SCENARIO_CLAIM_MORE_THAN) build_than(scenario, claim, text);
  }
  claim->line = element_line(element);
  element_get(element, "operation", claim->operation, sizeof claim->operation);
  build_reason(claim, element_get(element, "reason", text, sizeof text));
  build_times(claim, element_get(element, "times", text, sizeof text));
  element_get(element, "source", claim->source, sizeof claim->source);
  claim->mark = (enum scenario_mark)word_of(element, "kind", LIST_MARK, SCENARIO_PREDICTED);
  build_where(scenario, element, claim->where);
}

void scenario_build(struct scenario *scenario, const struct document *document) {
  const xmlNode *root = xmlDocGetRootElement(document->tree);
  const xmlNode *compare = element_child(root, "compare");
  snprintf(scenario->path, sizeof scenario->path, "%s", document->path);
  element_get(root, "name", scenario->name, sizeof scenario->name);
  element_get(element_child(root, "question"), NULL, scenario->question, sizeof scenario->question);
  build_guests(scenario, root);
  build_levels(scenario, element_child(root, "stack"));
  build_axes(scenario, compare);

  const xmlNode *element = element_child(compare, "recorded");
  while (element != NULL && scenario->recorded_count < SCENARIO_RECORDED_LIMIT) {
    build_recorded(scenario, element);
    element = element_next(element, "recorded");
  }
  element = element_child(element_child(root, "claims"), "claim");
  while (element != NULL && scenario->claim_count < SCENARIO_CLAIM_LIMIT) {
    build_claim(scenario, &scenario->claim[scenario->claim_count++], element);
    element = element_next(element, "claim");
  }
}
