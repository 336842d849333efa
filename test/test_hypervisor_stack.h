/* SPDX-License-Identifier: MIT
 * A booted stack with a player in its innermost guest, for the tests of the hypervisor. */
#ifndef TEST_HYPERVISOR_STACK_H
#define TEST_HYPERVISOR_STACK_H

#include <stdio.h>

#include "src/hypervisor/player.h"
#include "src/hypervisor/stack.h"
#include "test/expect.h"

struct variant {
  unsigned depth;
  const char *profile;   /* at every level */
  const char *innermost; /* but at the innermost hypervisor's, if not NULL */
  bool no_shadowing, no_tlb, eager;
  enum nst_vmcs_access access;
  unsigned shadows; /* so many hypervisors, from the innermost one down, use shadow paging */
};

struct guest {
  struct nst_machine *machine;
  struct nst_cpu *cpu;
  struct stack *stack;
  struct player player;
};

enum { GUEST_MEMORY = 8 << 20 };

static inline const char *variant_text(const struct variant *variant, char *text, size_t size) {
  static const char *const access[] = {"", " access trap", " access memory"};
  snprintf(text, size, "%s%s%s depth %u (%u with shadow paging) shadowing %s TLB %s%s%s",
           variant->profile, variant->innermost ? " and " : "",
           variant->innermost ? variant->innermost : "", variant->depth, variant->shadows,
           variant->no_shadowing ? "off" : "on", variant->no_tlb ? "off" : "on",
           variant->eager ? " eager" : "", access[variant->access]);
  return text;
}

/* Boots; false (and a failed assertion) if it cannot. The caller calls guest_close in any case. */
static inline bool guest_open(struct guest *guest, const struct variant *variant) {
  struct nst_config config;
  struct nst_stack_config stack;
  char text[96];
  *guest = (struct guest){0};
  nst_config_init(&config);
  nst_stack_config_init(&stack);
  config.processor = "broadwell-pml";
  config.vmcs_shadowing = !variant->no_shadowing;
  config.tlb = !variant->no_tlb;
  stack.depth = variant->depth;
  stack.guest_memory = GUEST_MEMORY;
  stack.eager = variant->eager;
  stack.vmcs_access = variant->access;
  for (unsigned i = 0; i < 8; i++) stack.profile[i] = variant->profile;
  if (variant->innermost) stack.profile[variant->depth - 1] = variant->innermost;
  for (unsigned i = 0; i < variant->depth; i++)
    stack.shadow_paging[i] = i + variant->shadows >= variant->depth;
  variant_text(variant, text, sizeof text);
  if (!EXPECT_EQ(text, nst_stack_create(&guest->machine, &config, &stack), NST_OK)) return false;
  guest->cpu = nst_cpu(guest->machine, 0);
  guest->stack = stack_of(guest->machine);
  return EXPECT_TRUE(text, player_init(&guest->player, guest->machine));
}

static inline void guest_close(struct guest *guest) {
  nst_machine_destroy(guest->machine);
  guest->machine = NULL;
}

/* Exits to L0 while one event is played; a failed assertion and 0 if it is not played. */
static inline uint64_t guest_play(struct guest *guest, const char *what,
                                  const struct trace_event *event) {
  uint64_t before = nst_exits_to(guest->cpu, 0);
  enum player_outcome outcome = player_play(&guest->player, event);
  if (!EXPECT_EQ(what, outcome, PLAYER_DONE)) {
    fprintf(stderr, "%s: %s\n", what, nst_error(guest->machine));
    return 0;
  }
  return nst_exits_to(guest->cpu, 0) - before;
}

/* The guest's PIC (automatic end of interrupt) and PIT (100 Hz), as the recorded guest programs
 * them. */
static inline void guest_program_timer(struct guest *guest) {
  static const uint8_t writes[][2] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 0},    {0x21, 3},
                                      {0x43, 0x34}, {0x40, 0x9c}, {0x40, 0x2e}, {0x21, 0xfe}};
  for (unsigned i = 0; i < sizeof writes / sizeof writes[0]; i++) {
    const struct trace_event out = {.kind = TRACE_IO_OUT,
                                    .level = 1,
                                    .flags = TRACE_HAS_A | TRACE_HAS_B | TRACE_HAS_C | TRACE_HAS_D,
                                    .a = writes[i][0],
                                    .b = 1,
                                    .c = writes[i][1],
                                    .d = 1};
    guest_play(guest, "timer", &out);
  }
}

/* Of all levels together. */
static inline uint64_t guest_unlisted(const struct guest *guest) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < guest->stack->depth; i++) sum += nst_unlisted(guest->cpu, i);
  return sum;
}

#endif
