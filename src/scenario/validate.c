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
  const xmlNode *root, *stack, *compare, *claims;
};

static unsigned deepest(const struct scenario *scenario) {
  const struct scenario_axis *axis = &scenario->axis[SCENARIO_AXIS_DEPTH];
  unsigned depth = 0;
  for (unsigned i = 0; i < axis->value_count; i++) {
    if (axis->values[i] > depth) depth = axis->values[i];
  }
  return depth;
}

/* ---- Comparison ----------------------------------------------------------------------------- */

static bool check_axis(const struct rules *rules, const xmlNode *element) {
  char text[SCENARIO_TEXT_SIZE], words[SCENARIO_TEXT_SIZE], *rest = NULL;
  element_get(element, "name", text, sizeof text);
  enum scenario_axis_name name = (enum scenario_axis_name)scenario_word_index(LIST_AXIS, text);
  element_get(element, "values", text, sizeof text);
  uint32_t seen = 0;
  for (const char *word = strtok_r(text, " ", &rest); word != NULL;
       word = strtok_r(NULL, " ", &rest)) {
    unsigned value;
    if (!scenario_axis_value(rules->scenario, name, word, &value)) {
      return document_fault(rules->document, element, "values", "expected %s",
                            scenario_axis_expected(rules->scenario, name, words, sizeof words));
    }
    if (seen & 1u << value) {
      return document_fault(rules->document, element, "values", "expected %s only once", word);
    }
    seen |= 1u << value;
  }
  return true;
}

static bool check_recorded(const struct rules *rules) {
  const xmlNode *element = element_child(rules->compare, "recorded");
  for (unsigned i = 0; element != NULL && i < rules->scenario->recorded_count; i++) {
    const struct scenario_recorded *recorded = &rules->scenario->recorded[i];
    if (!scenario_validate_where(rules->scenario, recorded->where, element, rules->document))
      return false;
    element = element_next(element, "recorded");
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
  return true;
}

/* One policy for the whole stack: the levels cannot differ in it. */
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

/* ---- The rest ------------------------------------------------------------------------------- */

/* A recording or a mix, as a guest says. */
static bool check_guest(const struct rules *rules, const xmlNode *element,
                        const struct scenario_guest *guest) {
  const xmlNode *mix = element_child(element, "mix");
  if (!element_has(element, "name") && rules->scenario->guest_count > 1)
    return document_fault(rules->document, element, NULL,
                          "expected a name: there are several guests");
  if (mix == NULL && !element_has(element, "trace"))
    return document_fault(rules->document, element, NULL, "expected a trace, or a <mix> in it");
  if (mix == NULL) return true;
  if (element_has(element, "trace"))
    return document_fault(rules->document, element, "trace", "expected no <mix> beside it");
  return scenario_validate_mix(guest, mix, rules->document);
}

/* Several guests are told apart by their names, by an axis. */
static bool check_guests(const struct rules *rules) {
  const xmlNode *guest = element_child(rules->root, "guest");
  for (unsigned i = 0; guest != NULL && i < rules->scenario->guest_count; i++) {
    if (!check_guest(rules, guest, &rules->scenario->guest[i])) return false;
    guest = element_next(guest, "guest");
  }
  if (rules->scenario->guest_count == 1 || rules->scenario->axis[SCENARIO_AXIS_GUEST].compared)
    return true;
  return document_fault(rules->document, rules->compare, NULL,
                        "expected <axis name=\"guest\" values=\"...\">: there are several guests");
}

static bool check_variants(const struct rules *rules) {
  char text[SCENARIO_TEXT_SIZE];
  if (scenario_check_variants(rules->scenario, text, sizeof text)) return true;
  return document_fault(rules->document, rules->compare, NULL, "%s", text);
}

static bool check_claims(const struct rules *rules) {
  const xmlNode *claim = element_child(rules->claims, "claim");
  for (unsigned i = 0; claim != NULL && i < rules->scenario->claim_count; i++) {
    if (!scenario_validate_claim(rules->scenario, &rules->scenario->claim[i], claim,
                                 rules->document))
      return false;
    claim = element_next(claim, "claim");
  }
  return true;
}

bool scenario_validate(const struct scenario *scenario, struct document *document) {
  const xmlNode *root = xmlDocGetRootElement(document->tree);
  struct rules rules = {scenario,
                        document,
                        root,
                        element_child(root, "stack"),
                        element_child(root, "compare"),
                        element_child(root, "claims")};
  return check_guests(&rules) && check_compare(&rules) && check_stack(&rules) &&
         check_variants(&rules) && check_recorded(&rules) && check_claims(&rules);
}
