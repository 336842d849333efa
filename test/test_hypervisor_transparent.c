/* SPDX-License-Identifier: MIT
 * Nesting is transparent: a guest ends in the same state at every depth, with every switch on or
 * off, under every profile; and the same run makes the same exits, to the last one. */
#include <stdlib.h>
#include <string.h>

#include "test/generate.h"
#include "test/test_hypervisor_stack.h"

enum {
  PROGRAMS = 8,
  PAGES_PROGRAMS = 16,
  DEEP_PROGRAMS = 2,
  ACTIONS = 60,
  BUDGET = 1 << 20,
  STATE_REGISTERS = 18
};
#define SEED UINT64_C(0x6e6573746f72)
#define PAGES_SEED UINT64_C(0x706167696e67) /* from here on: programs about page tables */

struct outcome {
  uint64_t hash;
  uint64_t reg[STATE_REGISTERS];
  uint64_t exits[NST_DEPTH_LIMIT];
  struct nst_counters counters;
};

static bool run_program(struct outcome *outcome, uint64_t seed, const struct variant *variant) {
  struct guest guest;
  struct nst_stop stop = {NST_STOP_NONE, 0, 0};
  char text[96], what[160];
  bool complete = false;
  struct program *program = malloc(sizeof *program);
  *outcome = (struct outcome){0};
  snprintf(what, sizeof what, "seed 0x%llx, %s", (unsigned long long)seed,
           variant_text(variant, text, sizeof text));
  if (program && guest_open(&guest, variant)) {
    struct nst_cpu *cpu = guest.cpu;
    program->pages = seed >= PAGES_SEED;
    generate_program(program, seed, guest.player.image, ACTIONS);
    generate_load(program, guest.machine, guest.player.memory_base);
    nst_reg_write(cpu, NST_REG_RIP, program->entry);
    nst_stop_at(cpu, program->end);
    nst_run(cpu, BUDGET, &stop);
    complete = EXPECT_EQ(what, stop.kind, NST_STOP_MARK);
    if (!complete)
      fprintf(stderr, "%s: %s, RIP 0x%llx\n", what, nst_error(guest.machine),
              (unsigned long long)nst_reg_read(cpu, NST_REG_RIP));
    outcome->hash = player_hash(&guest.player);
    for (unsigned i = 0; i < STATE_REGISTERS; i++)
      outcome->reg[i] = nst_reg_read(cpu, (enum nst_reg)i);
    for (unsigned i = 0; i < variant->depth; i++) outcome->exits[i] = nst_exits_to(cpu, i);
    outcome->counters = nst_counters(cpu);
  }
  guest_close(&guest);
  free(program);
  return complete;
}

static bool expect_same_state(const struct outcome *outcome, const struct outcome *expected,
                              uint64_t seed, const struct variant *variant) {
  char text[96], what[160];
  variant_text(variant, text, sizeof text);
  for (unsigned i = 0; i < STATE_REGISTERS; i++) {
    snprintf(what, sizeof what, "seed 0x%llx, %s: register %u", (unsigned long long)seed, text, i);
    if (outcome->reg[i] != expected->reg[i])
      return EXPECT_EQ(what, outcome->reg[i], expected->reg[i]);
  }
  snprintf(what, sizeof what, "seed 0x%llx, %s: memory", (unsigned long long)seed, text);
  return EXPECT_EQ(what, outcome->hash, expected->hash);
}

/* Bits of a variant's number: shadowing, TLB, profile, eager. */
static struct variant variant_of(unsigned depth, unsigned number) {
  return (struct variant){.depth = depth,
                          .profile = number & 4 ? "minimal" : "kvm-6.1",
                          .no_shadowing = number & 1,
                          .no_tlb = number >> 1 & 1,
                          .eager = number >> 3 & 1};
}

/* Every program runs in the reference variant and in all of these depths' variants. */
static void expect_transparent(unsigned first_depth, unsigned last_depth, unsigned programs) {
  const struct variant reference = variant_of(1, 0);
  for (unsigned i = 0; i < programs; i++) {
    uint64_t seed = SEED + i;
    struct outcome expected, outcome;
    if (!run_program(&expected, seed, &reference)) return;
    for (unsigned depth = first_depth; depth <= last_depth; depth++)
      for (unsigned number = 0; number < 8; number++) {
        struct variant variant = variant_of(depth, number | (i % 2) << 3);
        if (!run_program(&outcome, seed, &variant) ||
            !expect_same_state(&outcome, &expected, seed, &variant))
          return;
      }
  }
}

static void depths_1_to_3_end_in_the_same_state(void) {
  expect_transparent(1, 3, PROGRAMS);
}

static void depth_4_ends_in_the_same_state(void) {
  expect_transparent(4, 4, DEEP_PROGRAMS);
}

/* However guest hypervisors reach their VMCS: the same state, and the same exits reflected to the
 * innermost hypervisor; with and without shadowing in the processor. */
static void expect_same_by_any_access(unsigned depth, unsigned programs) {
  for (unsigned i = 0; i < programs; i++)
    for (unsigned number = 0; number < 16; number++) {
      const enum nst_vmcs_access access =
          number & 8 ? NST_VMCS_ACCESS_MEMORY : NST_VMCS_ACCESS_TRAP;
      struct variant reference = variant_of(depth, number & 7), variant = reference;
      struct outcome expected, outcome;
      char text[96];
      uint64_t seed = SEED + 0x100 + i;
      if (number & 2) continue; /* TLB off */
      variant.access = access;
      variant_text(&variant, text, sizeof text);
      if (!run_program(&expected, seed, &reference) || !run_program(&outcome, seed, &variant) ||
          !expect_same_state(&outcome, &expected, seed, &variant) ||
          !EXPECT_EQ(text, outcome.exits[depth - 1], expected.exits[depth - 1]))
        return;
      if (access == NST_VMCS_ACCESS_MEMORY)
        EXPECT_TRUE(text, outcome.exits[0] <= expected.exits[0]);
      else
        EXPECT_TRUE(text, outcome.exits[0] >= expected.exits[0]);
    }
}

static void any_vmcs_access_ends_in_the_same_state(void) {
  expect_same_by_any_access(2, 4);
  expect_same_by_any_access(3, 2);
  expect_same_by_any_access(4, 1);
}

/* A profile that does not nest stands on kvm-6.1. */
static void every_profile_ends_in_the_same_state(void) {
  const struct variant reference = variant_of(1, 0);
  for (unsigned i = 0; hv_profile_at(i); i++)
    for (unsigned number = 0; number < 12; number++) {
      const struct hv_profile *profile = hv_profile_at(i);
      struct outcome expected, outcome;
      uint64_t seed = SEED + 0x200 + number;
      struct variant variant = variant_of(1 + number % 3, 0);
      variant.no_shadowing = number / 3 % 2;
      variant.shadows = number % 2 ? variant.depth : 0;
      variant.access = number / 3 == 3 ? NST_VMCS_ACCESS_MEMORY : NST_VMCS_ACCESS_SHADOW;
      variant.profile = profile->flat ? "kvm-6.1" : profile->name;
      variant.innermost = profile->name;
      if (!run_program(&expected, seed, &reference) || !run_program(&outcome, seed, &variant) ||
          !expect_same_state(&outcome, &expected, seed, &variant))
        return;
    }
}

/* Programs that change their own page tables, under EPT on EPT, shadow tables on EPT and shadow
 * tables on shadow tables; the switches take turns. */
static void every_paging_scheme_ends_in_the_same_state(void) {
  const struct variant reference = variant_of(1, 0);
  for (unsigned i = 0; i < PAGES_PROGRAMS; i++) {
    uint64_t seed = i % 4 ? PAGES_SEED + i : SEED + i;
    struct outcome expected, outcome;
    if (!run_program(&expected, seed, &reference)) return;
    for (unsigned depth = 1; depth <= 3; depth++)
      for (unsigned shadows = 0; shadows <= depth; shadows++)
        for (unsigned number = 0; number < 2; number++) {
          struct variant variant = variant_of(depth, (i + depth + shadows + 4 * number) % 16);
          variant.shadows = shadows;
          variant.access = (enum nst_vmcs_access)(i % 3);
          if (!run_program(&outcome, seed, &variant) ||
              !expect_same_state(&outcome, &expected, seed, &variant))
            return;
        }
  }
}

static void shadows_on_shadows_at_depth_4_end_in_the_same_state(void) {
  const struct variant reference = variant_of(1, 0);
  struct outcome expected, outcome;
  if (!run_program(&expected, PAGES_SEED, &reference)) return;
  for (unsigned shadows = 1; shadows <= 4; shadows++) {
    struct variant variant = variant_of(4, shadows);
    variant.shadows = shadows;
    if (!run_program(&outcome, PAGES_SEED, &variant) ||
        !expect_same_state(&outcome, &expected, PAGES_SEED, &variant))
      return;
  }
}

static void same_run_makes_the_same_exits(void) {
  for (unsigned depth = 1; depth <= 3; depth++)
    for (unsigned number = 0; number < 8; number++) {
      struct variant variant = variant_of(depth, number);
      struct outcome first, second;
      char text[96];
      variant_text(&variant, text, sizeof text);
      if (!run_program(&first, SEED + number, &variant) ||
          !run_program(&second, SEED + number, &variant))
        return;
      EXPECT_TRUE(text, first.exits[0] > 0);
      EXPECT_EQ(text, memcmp(&first, &second, sizeof first), 0);
    }
}

static void different_seeds_end_in_different_states(void) {
  struct variant variant = variant_of(1, 0);
  struct outcome first, second;
  if (!run_program(&first, SEED, &variant) || !run_program(&second, SEED + 1, &variant)) return;
  EXPECT_TRUE("hashes differ", first.hash != second.hash);
}

extern CU_TestInfo hypervisor_transparent_tests[];
CU_TestInfo hypervisor_transparent_tests[] = {
    {"depths_1_to_3_end_in_the_same_state", depths_1_to_3_end_in_the_same_state},
    {"depth_4_ends_in_the_same_state", depth_4_ends_in_the_same_state},
    {"any_vmcs_access_ends_in_the_same_state", any_vmcs_access_ends_in_the_same_state},
    {"every_profile_ends_in_the_same_state", every_profile_ends_in_the_same_state},
    {"every_paging_scheme_ends_in_the_same_state", every_paging_scheme_ends_in_the_same_state},
    {"shadows_on_shadows_at_depth_4_end_in_the_same_state",
     shadows_on_shadows_at_depth_4_end_in_the_same_state},
    {"same_run_makes_the_same_exits", same_run_makes_the_same_exits},
    {"different_seeds_end_in_different_states", different_seeds_end_in_different_states},
    CU_TEST_INFO_NULL};
