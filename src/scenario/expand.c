/* SPDX-License-Identifier: MIT
 * The points of a comparison, the stack that each comes to, and which claims speak of which. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "src/scenario/names.h"
#include "src/scenario/scenario.h"

/* ---- Values --------------------------------------------------------------------------------- */

static unsigned word_of(enum scenario_list list, const char *word) {
  int index = scenario_word_index(list, word);
  return index < 0 ? 0 : (unsigned)index;
}

/* The value of an axis that is not compared. */
static unsigned own_value(const struct scenario *scenario, enum scenario_axis_name axis,
                          unsigned depth) {
  const struct scenario_level *level = &scenario->level[depth > 1 ? depth - 1 : 1];
  bool shadowing_decides = scenario->axis[SCENARIO_AXIS_VMCS_SHADOWING].compared;
  bool access_decides = scenario->axis[SCENARIO_AXIS_VMCS_ACCESS].compared;
  switch (axis) {
    case SCENARIO_AXIS_DEPTH:
      return 1;
    case SCENARIO_AXIS_GUEST:
      return 0;
    case SCENARIO_AXIS_PROCESSOR:
      return word_of(LIST_PROCESSOR, scenario->processor);
    case SCENARIO_AXIS_HYPERVISOR:
      return word_of(LIST_HYPERVISOR, level->hypervisor);
    case SCENARIO_AXIS_SCHEME:
      return level->scheme;
    case SCENARIO_AXIS_VMCS_ACCESS:
      return shadowing_decides ? SCENARIO_VMCS_SHADOW : level->vmcs_access;
    case SCENARIO_AXIS_VMCS_SHADOWING:
      return access_decides || level->vmcs_access == SCENARIO_VMCS_SHADOW ? SCENARIO_ON
                                                                          : SCENARIO_OFF;
    case SCENARIO_AXIS_COUNT:
      break;
  }
  return 0;
}

unsigned scenario_axis_list(const struct scenario *scenario, enum scenario_axis_name axis,
                            unsigned depth, unsigned values[SCENARIO_VALUE_LIMIT]) {
  const struct scenario_axis *data = &scenario->axis[axis];
  if (data->compared) {
    memcpy(values, data->values, sizeof data->values);
    return data->value_count;
  }
  values[0] = own_value(scenario, axis, depth);
  return 1;
}

/* ---- Stacks --------------------------------------------------------------------------------- */

/* The axis says how the innermost guest is translated; of the other edges their levels do. */
static enum scenario_scheme scheme_of(const struct scenario_variant *variant, unsigned level) {
  bool is_innermost = level + 1 == variant->depth || variant->depth == 1;
  if (!is_innermost) return variant->scenario->level[level].scheme;
  return (enum scenario_scheme)variant->value[SCENARIO_AXIS_SCHEME];
}

/* Returns the level whose scheme does not fit what its parent does, 0 if all fit. */
static unsigned set_schemes(struct scenario_variant *variant) {
  struct scenario_stack *stack = &variant->stack;
  unsigned misfit = 0;
  stack->shadow_paging[0] = scheme_of(variant, 1) == SCENARIO_SHADOW_ON_SHADOW;
  for (unsigned level = 1; level < variant->depth; level++) {
    enum scenario_scheme scheme = scheme_of(variant, level);
    stack->shadow_paging[level] = scheme != SCENARIO_EPT_ON_EPT;
    bool parent_shadows = scheme == SCENARIO_SHADOW_ON_SHADOW;
    if (misfit == 0 && stack->shadow_paging[level - 1] != parent_shadows) misfit = level;
  }
  return misfit;
}

static unsigned set_stack(struct scenario_variant *variant) {
  const struct scenario *scenario = variant->scenario;
  struct scenario_stack *stack = &variant->stack;
  memset(stack, 0, sizeof *stack);
  stack->depth = (uint8_t)variant->depth;
  stack->guest = (uint8_t)variant->value[SCENARIO_AXIS_GUEST];
  stack->processor = (uint8_t)variant->value[SCENARIO_AXIS_PROCESSOR];
  bool replaced = scenario->axis[SCENARIO_AXIS_HYPERVISOR].compared;
  for (unsigned level = 0; level < variant->depth; level++) {
    unsigned word = word_of(LIST_HYPERVISOR, scenario->level[level].hypervisor);
    if (replaced && level > 0) word = variant->value[SCENARIO_AXIS_HYPERVISOR];
    stack->hypervisor[level] = (uint8_t)word;
  }
  if (variant->depth > 1) {
    unsigned access = variant->value[SCENARIO_AXIS_VMCS_ACCESS];
    bool lacks = variant->value[SCENARIO_AXIS_VMCS_SHADOWING] == SCENARIO_OFF;
    if (lacks && access == SCENARIO_VMCS_SHADOW) access = SCENARIO_VMCS_TRAP;
    stack->vmcs_access = (uint8_t)access;
  }
  return set_schemes(variant);
}

/* ---- Points --------------------------------------------------------------------------------- */

struct walk {
  const struct scenario *scenario;
  unsigned index[SCENARIO_AXIS_COUNT];
  unsigned misfit; /* of the point that was made last, as set_schemes */
};

/* Counts up like the wheels of a clock, the last axis fastest; false after the last point. */
static bool advance(struct walk *walk) {
  for (unsigned axis = SCENARIO_AXIS_COUNT; axis-- > 0;) {
    const struct scenario_axis *data = &walk->scenario->axis[axis];
    if (++walk->index[axis] < (data->compared ? data->value_count : 1)) return true;
    walk->index[axis] = 0;
  }
  return false;
}

static void make_point(struct walk *walk, struct scenario_variant *variant) {
  *variant = (struct scenario_variant){.scenario = walk->scenario};
  unsigned depth = 1;
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    unsigned values[SCENARIO_VALUE_LIMIT] = {0};
    scenario_axis_list(walk->scenario, (enum scenario_axis_name)i, depth, values);
    variant->value[i] = values[walk->index[i]];
    variant->covers[i] = 1u << variant->value[i];
    if (i == SCENARIO_AXIS_DEPTH) depth = variant->depth = variant->value[i];
  }
  walk->misfit = set_stack(variant);
}

/* Axes that are compared, but for those of guest hypervisors where there are none and this point
 * stands for all of their values. */
static uint32_t named_axes(const struct scenario_variant *variant) {
  uint32_t named = 0;
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    const struct scenario_axis *axis = &variant->scenario->axis[i];
    enum scenario_scope scope = scenario_axis_info((enum scenario_axis_name)i)->scope;
    uint32_t left = 0;
    for (unsigned k = 0; k < axis->value_count; k++)
      left |= (1u << axis->values[k]) & ~variant->covers[i];
    bool is_moot = variant->depth == 1 && left == 0 &&
                   (scope == SCENARIO_SCOPE_GUESTS || axis->value_count > 1);
    if (axis->compared && !is_moot) named |= 1u << i;
  }
  return named;
}

static bool is_same_stack(const struct scenario_stack *left, const struct scenario_stack *right) {
  return memcmp(left, right, sizeof *left) == 0;
}

unsigned scenario_expand(const struct scenario *scenario,
                         struct scenario_variant variants[SCENARIO_VARIANT_LIMIT]) {
  struct walk walk = {.scenario = scenario};
  unsigned count = 0;
  do {
    struct scenario_variant point;
    unsigned at = 0;
    make_point(&walk, &point);
    while (at < count && !is_same_stack(&variants[at].stack, &point.stack)) at++;
    if (at == SCENARIO_VARIANT_LIMIT) break;
    if (at == count) variants[count++] = point;
    for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) variants[at].covers[i] |= point.covers[i];
  } while (advance(&walk));
  for (unsigned i = 0; i < count; i++) variants[i].named = named_axes(&variants[i]);
  return count;
}

static bool __attribute__((format(printf, 3, 4)))
refuse(char *error, size_t size, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error, size, format, arguments);
  va_end(arguments);
  return false;
}

bool scenario_check_variants(const struct scenario *scenario, char *error, size_t error_size) {
  struct walk walk = {.scenario = scenario};
  unsigned points = 0;
  do {
    struct scenario_variant point;
    make_point(&walk, &point);
    if (++points > SCENARIO_VARIANT_LIMIT)
      return refuse(error, error_size, "expected at most %d combinations of values",
                    SCENARIO_VARIANT_LIMIT);
    if (walk.misfit == 0) continue;
    return refuse(error, error_size,
                  "depth %u: the scheme %s of level %u expects %s of level %u, which does not "
                  "give it that; say the scheme of each <level>",
                  point.depth, scenario_words(LIST_SCHEME)[scheme_of(&point, walk.misfit)],
                  walk.misfit, point.stack.shadow_paging[walk.misfit - 1] ? "EPT" : "shadow paging",
                  walk.misfit - 1);
  } while (advance(&walk));
  return true;
}

bool scenario_covers(const unsigned where[SCENARIO_AXIS_COUNT],
                     const struct scenario_variant *variant) {
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    bool any = where[i] == SCENARIO_ANY;
    if (!any && (where[i] >= 32 || !(variant->covers[i] >> where[i] & 1))) return false;
  }
  return true;
}

bool scenario_claim_covers(const struct scenario_claim *claim,
                           const struct scenario_variant *variant) {
  return scenario_covers(claim->where, variant);
}

bool scenario_is_other(const struct scenario_claim *claim, const struct scenario_variant *variant,
                       const struct scenario_variant *other) {
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    uint32_t wanted = i == claim->than_axis ? 1u << claim->than_value : variant->covers[i];
    if (!(other->covers[i] & wanted)) return false;
  }
  return true;
}
