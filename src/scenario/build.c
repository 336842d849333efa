/* SPDX-License-Identifier: MIT
 * From the tree of a scenario file to struct scenario. The schema has been checked; whatever the
 * schema cannot say is left at its default here and refused by scenario_validate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/scenario/document.h"
#include "src/scenario/names.h"

static unsigned word_of(const xmlNode *element, const char *attribute, enum scenario_list list,
                        unsigned otherwise) {
  char word[SCENARIO_NAME_SIZE];
  int index = scenario_word_index(list, element_get(element, attribute, word, sizeof word));
  return index < 0 ? otherwise : (unsigned)index;
}

/* A relative path of the file means one from the file's own folder. */
static void build_guest(struct scenario *scenario, const xmlNode *guest) {
  char trace[SCENARIO_PATH_SIZE], path[2 * SCENARIO_PATH_SIZE];
  element_get(guest, "trace", trace, sizeof trace);
  const char *slash = strrchr(scenario->path, '/');
  int folder = slash == NULL || trace[0] == '/' ? 0 : (int)(slash - scenario->path) + 1;
  snprintf(path, sizeof path, "%.*s%s", folder, scenario->path, trace);
  snprintf(scenario->trace, sizeof scenario->trace, "%.*s", SCENARIO_PATH_SIZE - 1, path);
  scenario->guest_line = element_line(guest);
  scenario->guest_backing =
      (enum scenario_backing)word_of(guest, "backing", LIST_BACKING, SCENARIO_FIRST_TOUCH);
}

static void build_axis(struct scenario_axis *axis, enum scenario_axis_name name,
                       const xmlNode *element) {
  char values[SCENARIO_TEXT_SIZE], *rest = NULL;
  element_get(element, "values", values, sizeof values);
  axis->compared = true;
  axis->value_count = 0;
  for (const char *word = strtok_r(values, " ", &rest); word != NULL;
       word = strtok_r(NULL, " ", &rest)) {
    unsigned value;
    bool fits = axis->value_count < SCENARIO_VALUE_LIMIT;
    if (fits && scenario_axis_value(name, word, &value)) axis->values[axis->value_count++] = value;
  }
}

static void build_axes(struct scenario *scenario, const xmlNode *compare) {
  const xmlNode *element = element_child(compare, "axis");
  for (; element != NULL; element = element_next(element, "axis")) {
    unsigned name = word_of(element, "name", LIST_AXIS, 0);
    build_axis(&scenario->axis[name], (enum scenario_axis_name)name, element);
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

static void build_claim(struct scenario_claim *claim, const xmlNode *element) {
  static const struct {
    const char *attribute;
    enum scenario_claim_type type;
  } types[] = {{"exits", SCENARIO_CLAIM_EXITS},
               {"unlisted", SCENARIO_CLAIM_UNLISTED},
               {"reflected", SCENARIO_CLAIM_REFLECTED},
               {"kept", SCENARIO_CLAIM_KEPT},
               {"transparent", SCENARIO_CLAIM_TRANSPARENT}};
  char text[SCENARIO_NAME_SIZE];
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    if (!element_has(element, types[i].attribute)) continue;
    claim->type = types[i].type;
    element_get(element, types[i].attribute, text, sizeof text);
    claim->figure = strtoull(text, NULL, 10); /* "equal" and "yes": 0 */
  }
  claim->line = element_line(element);
  element_get(element, "operation", claim->operation, sizeof claim->operation);
  element_get(element, "source", claim->source, sizeof claim->source);
  claim->mark = (enum scenario_mark)word_of(element, "kind", LIST_MARK, SCENARIO_PREDICTED);
  for (unsigned axis = 0; axis < SCENARIO_AXIS_COUNT; axis++) {
    claim->where[axis] = SCENARIO_ANY;
    element_get(element, scenario_words(LIST_AXIS)[axis], text, sizeof text);
    scenario_axis_value((enum scenario_axis_name)axis, text, &claim->where[axis]);
    if (text[0] == '\0') claim->where[axis] = SCENARIO_ANY;
  }
}

void scenario_build(struct scenario *scenario, const struct document *document) {
  const xmlNode *root = xmlDocGetRootElement(document->tree);
  snprintf(scenario->path, sizeof scenario->path, "%s", document->path);
  element_get(root, "name", scenario->name, sizeof scenario->name);
  element_get(element_child(root, "question"), NULL, scenario->question, sizeof scenario->question);
  build_guest(scenario, element_child(root, "guest"));
  build_levels(scenario, element_child(root, "stack"));

  unsigned shadowing = scenario->level[1].vmcs_access == SCENARIO_VMCS_SHADOW;
  scenario->axis[SCENARIO_AXIS_DEPTH] = (struct scenario_axis){false, 1, {1}};
  scenario->axis[SCENARIO_AXIS_VMCS_SHADOWING] = (struct scenario_axis){false, 1, {shadowing}};
  build_axes(scenario, element_child(root, "compare"));

  const xmlNode *element = element_child(element_child(root, "claims"), "claim");
  while (element != NULL && scenario->claim_count < SCENARIO_CLAIM_LIMIT) {
    build_claim(&scenario->claim[scenario->claim_count++], element);
    element = element_next(element, "claim");
  }
}
