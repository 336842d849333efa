/* SPDX-License-Identifier: MIT
 * The machine of a variant: what each axis means to processor and stack. */
#include "src/scenario/variant.h"

#include <stdarg.h>
#include <stdio.h>

#include "src/scenario/names.h"

enum { BAD_INPUT = 2, SETUP = 3 };
#define GUEST_MEMORY (UINT64_C(64) << 20)

struct target {
  const struct scenario_variant *variant;
  char *error;
  size_t error_size;
};

static int __attribute__((format(printf, 3, 4)))
fail(const struct target *target, int status, const char *format, ...) {
  const struct scenario *scenario = target->variant->scenario;
  const char *guest = scenario->guest[0].trace;
  int used = snprintf(target->error, target->error_size,
                      "%s: ", scenario->path[0] ? scenario->path : guest);
  va_list arguments;
  va_start(arguments, format);
  if (used > 0 && (size_t)used < target->error_size)
    vsnprintf(target->error + used, target->error_size - (size_t)used, format, arguments);
  va_end(arguments);
  return status;
}

static enum nst_vmcs_access access_of(const struct scenario_stack *stack) {
  switch ((enum scenario_vmcs_access)stack->vmcs_access) {
    case SCENARIO_VMCS_SHADOW:
      return NST_VMCS_ACCESS_SHADOW;
    case SCENARIO_VMCS_TRAP:
      return NST_VMCS_ACCESS_TRAP;
    case SCENARIO_VMCS_MEMORY:
      return NST_VMCS_ACCESS_MEMORY;
  }
  return NST_VMCS_ACCESS_SHADOW;
}

int variant_boot(struct nst_machine **machine, const struct scenario_variant *variant,
                 volatile sig_atomic_t *interrupted, char *error, size_t error_size) {
  const struct target target = {variant, error, error_size};
  const struct scenario_stack *point = &variant->stack;
  struct nst_config config;
  struct nst_stack_config stack;
  *machine = NULL;
  nst_config_init(&config);
  nst_stack_config_init(&stack);
  config.interrupt = interrupted;
  config.processor = scenario_words(LIST_PROCESSOR)[point->processor];
  config.vmcs_shadowing = variant->value[SCENARIO_AXIS_VMCS_SHADOWING] == SCENARIO_ON;
  stack.vmcs_access = access_of(point);
  stack.depth = point->depth;
  stack.guest_memory = GUEST_MEMORY;
  stack.eager = variant->scenario->guest[point->guest].backing == SCENARIO_EAGER;
  for (unsigned i = 0; i < stack.depth; i++) {
    stack.profile[i] = scenario_words(LIST_HYPERVISOR)[point->hypervisor[i]];
    stack.shadow_paging[i] = point->shadow_paging[i];
    stack.first_touch[i] = variant->scenario->level[i].backing == SCENARIO_FIRST_TOUCH;
  }
  enum nst_status status = nst_stack_create(machine, &config, &stack);
  if (status == NST_OK) return 0;
  const char *why = *machine ? nst_error(*machine) : nst_stack_refusal(&stack);
  int result = fail(&target, status == NST_E_NOMEM ? SETUP : BAD_INPUT,
                    "the stack of depth %u on processor %s does not boot: %s", stack.depth,
                    config.processor, why ? why : "it cannot be built");
  nst_machine_destroy(*machine);
  *machine = NULL;
  return result;
}
