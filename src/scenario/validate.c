/* SPDX-License-Identifier: MIT
 * What a schema cannot say of a scenario: that its parts fit each other, and that what it asks for
 * is modelled. Each rule is a function; the first that fails says why. */
#include <stdio.h>
#include <string.h>

#include "src/scenario/document.h"
#include "src/scenario/names.h"

struct rules {
  const struct scenario *scenario;
  struct document *document;
  const xmlNode *stack, *compare, *claims;
};

static unsigned deepest(const struct scenario *scenario) {
  const struct scenario_axis *axis = &scenario->axis[SCENARIO_AXIS_DEPTH];
  unsigned depth = 0;
  for (unsigned i = 0; i < axis->value_count; i++) {
    if (axis->values[i] > depth) depth = axis->values[i];
  }
  return depth;
}

static bool axis_has(const struct scenario_axis *axis, unsigned value) {
  for (unsigned i = 0; i < axis->value_count; i++) {
    if (axis->values[i] == value) return true;
  }
  return false;
}

/* "1, 2 or 3" */
static const char *axis_text(const struct scenario *scenario, enum scenario_axis_name name,
                             char *text, size_t size) {
  char words[SCENARIO_VALUE_LIMIT][16];
  const char *list[SCENARIO_VALUE_LIMIT + 1] = {NULL};
  const struct scenario_axis *axis = &scenario->axis[name];
  for (unsigned i = 0; i < axis->value_count; i++) {
    list[i] = scenario_axis_word(name, axis->values[i], words[i]);
  }
  return join_words(list, " or ", text, size);
}

/* ---- Comparison ----------------------------------------------------------------------------- */

static bool check_axis(const struct rules *rules, const xmlNode *element) {
  char text[SCENARIO_TEXT_SIZE], *rest = NULL;
  element_get(element, "name", text, sizeof text);
  enum scenario_axis_name name = (enum scenario_axis_name)scenario_word_index(LIST_AXIS, text);
  element_get(element, "values", text, sizeof text);
  uint32_t seen = 0;
  for (const char *word = strtok_r(text, " ", &rest); word != NULL;
       word = strtok_r(NULL, " ", &rest)) {
    unsigned value;
    if (!scenario_axis_value(name, word, &value)) {
      return document_fault(rules->document, element, "values", "expected %s",
                            scenario_axis_values(name));
    }
    if (seen & 1u << value) {
      return document_fault(rules->document, element, "values", "expected %s only once", word);
    }
    seen |= 1u << value;
  }
  return true;
}

static bool check_compare(const struct rules *rules) {
  const xmlNode *element = element_child(rules->compare, "axis");
  for (; element != NULL; element = element_next(element, "axis")) {
    if (!check_axis(rules, element)) return false;
  }
  if (!rules->scenario->axis[SCENARIO_AXIS_DEPTH].compared) {
    return document_fault(rules->document, rules->compare, NULL,
                          "expected <axis name=\"depth\" values=\"...\">");
  }
  return true;
}

/* ---- Stack ---------------------------------------------------------------------------------- */

/* What L0 does not have: these attributes describe a guest hypervisor and its parent. */
static bool check_level_0(const struct rules *rules, const xmlNode *level) {
  static const char *const attributes[] = {"scheme", "vmcs-access", "backing"};
  for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
    if (!element_has(level, attributes[i])) continue;
    return document_fault(rules->document, level, attributes[i],
                          "expected at guest hypervisors only; level 0 has no parent");
  }
  return true;
}

static bool check_modelled(const struct rules *rules, const xmlNode *level) {
  char word[SCENARIO_NAME_SIZE];
  element_get(level, "scheme", word, sizeof word);
  if (word[0] != '\0' && strcmp(word, "ept-on-ept") != 0) {
    return document_fault(rules->document, level, "scheme",
                          "not modelled yet; expected ept-on-ept");
  }
  return true;
}

static bool check_level(const struct rules *rules, const xmlNode *level,
                        const xmlNode **unnumbered) {
  char number[SCENARIO_NAME_SIZE];
  element_get(level, "number", number, sizeof number);
  unsigned depth = deepest(rules->scenario);
  if (number[0] == '\0') {
    if (*unnumbered != NULL) {
      return document_fault(rules->document, level, NULL,
                            "expected a number; line %u has the <level> without one",
                            element_line(*unnumbered));
    }
    *unnumbered = level;
  } else if ((unsigned)(number[0] - '0') >= depth) {
    return document_fault(
        rules->document, level, "number",
        "expected at most %u, the level below the deepest guest of the comparison", depth - 1);
  }
  if (number[0] == '0' && !check_level_0(rules, level)) return false;
  return check_modelled(rules, level);
}

/* Shadowing is one switch of the emulated processor, so the levels cannot differ in it. */
static bool check_same_access(const struct rules *rules) {
  const xmlNode *level = element_child(rules->stack, "level"), *first = NULL;
  char word[SCENARIO_NAME_SIZE], other[SCENARIO_NAME_SIZE];
  for (; level != NULL; level = element_next(level, "level")) {
    if (!element_has(level, "vmcs-access")) continue;
    if (first == NULL) first = level;
    element_get(first, "vmcs-access", other, sizeof other);
    if (strcmp(element_get(level, "vmcs-access", word, sizeof word), other) == 0) continue;
    return document_fault(rules->document, level, "vmcs-access",
                          "levels that differ are not modelled yet; expected %s as in line %u",
                          other, element_line(first));
  }
  return true;
}

static bool check_stack(const struct rules *rules) {
  const xmlNode *level = element_child(rules->stack, "level"), *unnumbered = NULL;
  for (; level != NULL; level = element_next(level, "level")) {
    if (!check_level(rules, level, &unnumbered)) return false;
  }
  for (unsigned number = 0; number < deepest(rules->scenario); number++) {
    if (rules->scenario->level[number].hypervisor[0] != '\0') continue;
    return document_fault(
        rules->document, rules->stack, NULL,
        "expected <level number=\"%u\">: nothing says which hypervisor runs there", number);
  }
  return check_same_access(rules);
}

/* ---- Claims --------------------------------------------------------------------------------- */

static bool check_claim_type(const struct rules *rules, const xmlNode *claim) {
  static const char *const types[] = {"exits", "unlisted",    "reflected",
                                      "kept",  "transparent", NULL};
  char text[SCENARIO_TEXT_SIZE];
  const char *first = NULL;
  for (size_t i = 0; types[i] != NULL; i++) {
    if (!element_has(claim, types[i])) continue;
    if (first != NULL) {
      return document_fault(rules->document, claim, types[i],
                            "expected a <claim> of its own beside %s", first);
    }
    first = types[i];
  }
  if (first == NULL) {
    return document_fault(rules->document, claim, NULL, "expected one of the attributes %s",
                          join_words(types, " or ", text, sizeof text));
  }
  bool exits = strcmp(first, "exits") == 0;
  if (exits && !element_has(claim, "operation")) {
    return document_fault(rules->document, claim, "exits",
                          "expected an operation beside it, such as CPUID, or * for all");
  }
  if (!exits && element_has(claim, "operation")) {
    return document_fault(rules->document, claim, "operation", "expected with exits only");
  }
  return true;
}

static bool check_claim_source(const struct rules *rules, const xmlNode *claim,
                               const struct scenario_claim *data) {
  if (data->mark != SCENARIO_CHECKED || data->source[0] != '\0') return true;
  return document_fault(rules->document, claim, "kind",
                        "expected a source, what the figure was checked against");
}

static bool check_claim_place(const struct rules *rules, const xmlNode *claim,
                              const struct scenario_claim *data) {
  char text[SCENARIO_TEXT_SIZE];
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    enum scenario_axis_name name = (enum scenario_axis_name)i;
    if (data->where[i] == SCENARIO_ANY) continue;
    if (axis_has(&rules->scenario->axis[i], data->where[i])) continue;
    return document_fault(rules->document, claim, scenario_words(LIST_AXIS)[i],
                          "expected a value of the comparison: %s",
                          axis_text(rules->scenario, name, text, sizeof text));
  }
  return true;
}

/* A claim that compares needs something to compare. */
static bool check_claim_range(const struct rules *rules, const xmlNode *claim,
                              const struct scenario_claim *data) {
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  const struct scenario_axis *depth = &rules->scenario->axis[SCENARIO_AXIS_DEPTH];
  switch (data->type) {
    case SCENARIO_CLAIM_EXITS:
    case SCENARIO_CLAIM_UNLISTED:
      return true;
    case SCENARIO_CLAIM_REFLECTED:
      if (axis_has(depth, 1) && depth->value_count > 1) return true;
      return document_fault(rules->document, claim, "reflected",
                            "expected a comparison of depth 1 with another depth");
    case SCENARIO_CLAIM_KEPT:
      if (depth->value_count > 1) return true;
      return document_fault(rules->document, claim, "kept",
                            "expected a comparison of two depths or more");
    case SCENARIO_CLAIM_TRANSPARENT:
      if (scenario_expand(rules->scenario, variants) > 1) return true;
      return document_fault(rules->document, claim, "transparent",
                            "expected a comparison of two variants or more");
  }
  return true;
}

static bool check_claims(const struct rules *rules) {
  const xmlNode *claim = element_child(rules->claims, "claim");
  for (unsigned i = 0; claim != NULL && i < rules->scenario->claim_count; i++) {
    const struct scenario_claim *data = &rules->scenario->claim[i];
    bool good = check_claim_type(rules, claim) && check_claim_source(rules, claim, data) &&
                check_claim_place(rules, claim, data) && check_claim_range(rules, claim, data);
    if (!good) return false;
    claim = element_next(claim, "claim");
  }
  return true;
}

bool scenario_validate(const struct scenario *scenario, struct document *document) {
  const xmlNode *root = xmlDocGetRootElement(document->tree);
  struct rules rules = {scenario, document, element_child(root, "stack"),
                        element_child(root, "compare"), element_child(root, "claims")};
  return check_compare(&rules) && check_stack(&rules) && check_claims(&rules);
}
