/* SPDX-License-Identifier: MIT
 * The rules for a claim that a schema cannot state: that it says one thing, of something that the
 * comparison has. */
#include <stdio.h>
#include <string.h>

#include "src/scenario/document.h"
#include "src/scenario/names.h"

/* What one claim is held against. */
struct subject {
  const struct scenario *scenario;
  const struct scenario_claim *claim;
  const xmlNode *element;
  struct document *document;
};

static bool axis_has(const struct scenario *scenario, enum scenario_axis_name axis,
                     unsigned value) {
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  unsigned count = scenario_expand(scenario, variants);
  for (unsigned i = 0; i < count; i++) {
    if (variants[i].covers[axis] >> value & 1) return true;
  }
  return false;
}

/* "1, 2 or 3" */
static const char *axis_text(const struct scenario *scenario, enum scenario_axis_name axis,
                             char *text, size_t size) {
  const char *list[SCENARIO_VALUE_LIMIT + 1] = {NULL};
  unsigned values[SCENARIO_VALUE_LIMIT];
  unsigned count = scenario_axis_list(scenario, axis, 2, values);
  for (unsigned i = 0; i < count; i++) list[i] = scenario_axis_word(scenario, axis, values[i]);
  return join_words(list, " or ", text, size);
}

bool scenario_validate_where(const struct scenario *scenario,
                             const unsigned where[SCENARIO_AXIS_COUNT], const xmlNode *element,
                             struct document *document) {
  char text[SCENARIO_TEXT_SIZE];
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    enum scenario_axis_name axis = (enum scenario_axis_name)i;
    const char *name = scenario_axis_info(axis)->name;
    if (!element_has(element, name)) continue;
    if (where[i] != SCENARIO_ANY && axis_has(scenario, axis, where[i])) continue;
    return document_fault(document, element, name, "expected a value of the comparison: %s",
                          axis_text(scenario, axis, text, sizeof text));
  }
  return true;
}

/* ---- One thing ------------------------------------------------------------------------------ */

static bool check_type(const struct subject *subject) {
  const char *const *types = scenario_words(LIST_CLAIM);
  char text[SCENARIO_TEXT_SIZE];
  const char *first = NULL;
  for (size_t i = 0; types[i] != NULL; i++) {
    if (!element_has(subject->element, types[i])) continue;
    if (first != NULL) {
      return document_fault(subject->document, subject->element, types[i],
                            "expected a <claim> of its own beside %s", first);
    }
    first = types[i];
  }
  if (first != NULL) return true;
  return document_fault(subject->document, subject->element, NULL,
                        "expected one of the attributes %s",
                        join_words(types, " or ", text, sizeof text));
}

static bool refuse(const struct subject *subject, const char *attribute, const char *sentence) {
  return document_fault(subject->document, subject->element, attribute, "%s", sentence);
}

/* What is counted: an operation, an exit reason, or neither. */
static bool check_counted(const struct subject *subject) {
  const struct scenario_claim *claim = subject->claim;
  enum scenario_subject counted = scenario_claim_subject(claim->type);
  const char *type = scenario_words(LIST_CLAIM)[claim->type];
  bool has_operation = claim->operation[0] != '\0';
  bool has_reason = element_has(subject->element, "reason");
  if (has_operation && counted == SCENARIO_SUBJECT_NOTHING)
    return refuse(subject, "operation", "not expected beside what this claim states");
  if (has_reason && (counted == SCENARIO_SUBJECT_NOTHING || counted == SCENARIO_SUBJECT_ROUND))
    return refuse(subject, "reason", "not expected beside what this claim states");
  if (has_reason && !claim->by_reason)
    return refuse(subject, "reason", "expected an exit reason, such as CPUID or EPT_VIOLATION");
  if (has_reason && has_operation)
    return refuse(subject, "reason", "expected an operation or a reason, not both");
  if (counted == SCENARIO_SUBJECT_OPERATION && !has_operation && !has_reason)
    return refuse(subject, type,
                  "expected an operation beside it, such as CPUID, or * for all, or a reason");
  if (strcmp(claim->operation, "*") == 0 && claim->type == SCENARIO_CLAIM_MORE_THAN)
    return refuse(subject, "operation", "expected one operation, or none for the whole trace");
  if (claim->most < claim->figure)
    return refuse(subject, type, "expected the smaller number first");
  return true;
}

static bool check_source(const struct subject *subject) {
  if (subject->claim->mark != SCENARIO_CHECKED || subject->claim->source[0] != '\0') return true;
  return refuse(subject, "kind", "expected a source, what the figure was checked against");
}

static bool check_than(const struct subject *subject) {
  const struct scenario_claim *claim = subject->claim;
  bool has_times = element_has(subject->element, "times");
  if (claim->type != SCENARIO_CLAIM_MORE_THAN)
    return !has_times || refuse(subject, "times", "expected with more-than only");
  bool known = claim->than_value != SCENARIO_ANY &&
               axis_has(subject->scenario, claim->than_axis, claim->than_value);
  if (!known)
    return refuse(subject, "more-than",
                  "expected an axis of the comparison and one of its values, such as depth=1");
  if (claim->where[claim->than_axis] == claim->than_value)
    return refuse(subject, "more-than", "expected another value than the claim's own");
  if (has_times && claim->times_high != 0 && claim->times_high < claim->times_low)
    return refuse(subject, "times", "expected the smaller number first");
  return true;
}

/* ---- Something to compare ------------------------------------------------------------------- */

static bool is_range_of_depths(const struct scenario *scenario) {
  return scenario->axis[SCENARIO_AXIS_DEPTH].value_count > 1;
}

static bool has_recording(const struct subject *subject) {
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  unsigned count = scenario_expand(subject->scenario, variants);
  for (unsigned i = 0; i < count; i++) {
    if (!scenario_claim_covers(subject->claim, &variants[i])) continue;
    for (unsigned k = 0; k < subject->scenario->recorded_count; k++) {
      if (scenario_covers(subject->scenario->recorded[k].where, &variants[i])) return true;
    }
  }
  return false;
}

/* The VMREADs that exit are counted by level: those of the innermost guest's hypervisor alone are
 * all there are at depth 2, when none is served without an exit. */
static bool has_counted_accesses(const struct subject *subject) {
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  unsigned count = scenario_expand(subject->scenario, variants), covered = 0;
  for (unsigned i = 0; i < count; i++) {
    if (!scenario_claim_covers(subject->claim, &variants[i])) continue;
    if (variants[i].depth != 2 || variants[i].stack.vmcs_access != SCENARIO_VMCS_TRAP) return false;
    covered++;
  }
  return covered > 0;
}

static bool check_range(const struct subject *subject) {
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  const char *type = scenario_words(LIST_CLAIM)[subject->claim->type];
  switch (subject->claim->type) {
    case SCENARIO_CLAIM_EXITS:
    case SCENARIO_CLAIM_AT_MOST:
    case SCENARIO_CLAIM_AT_LEAST:
    case SCENARIO_CLAIM_MORE_THAN:
    case SCENARIO_CLAIM_UNLISTED:
      return true;
    case SCENARIO_CLAIM_READS:
    case SCENARIO_CLAIM_WRITES:
      return has_counted_accesses(subject) ||
             refuse(subject, type,
                    "expected at depth 2 where each VMCS access exits; others are not counted");
    case SCENARIO_CLAIM_RECORDED:
      return has_recording(subject) ||
             refuse(subject, type, "expected a <recorded> of a variant that the claim speaks of");
    case SCENARIO_CLAIM_REFLECTED:
      return (axis_has(subject->scenario, SCENARIO_AXIS_DEPTH, 1) &&
              is_range_of_depths(subject->scenario)) ||
             refuse(subject, type, "expected a comparison of depth 1 with another depth");
    case SCENARIO_CLAIM_KEPT:
      return is_range_of_depths(subject->scenario) ||
             refuse(subject, type, "expected a comparison of two depths or more");
    case SCENARIO_CLAIM_TRANSPARENT:
      return scenario_expand(subject->scenario, variants) > 1 ||
             refuse(subject, type, "expected a comparison of two variants or more");
    case SCENARIO_CLAIM_TYPES:
      break;
  }
  return true;
}

bool scenario_validate_claim(const struct scenario *scenario, const struct scenario_claim *claim,
                             const xmlNode *element, struct document *document) {
  const struct subject subject = {scenario, claim, element, document};
  return check_type(&subject) && check_counted(&subject) && check_source(&subject) &&
         scenario_validate_where(scenario, claim->where, element, document) &&
         check_than(&subject) && check_range(&subject);
}
