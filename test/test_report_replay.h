/* SPDX-License-Identifier: MIT
 * A small replay made by hand: depth 1, depth 2 with shadowing on and off. */
#ifndef TEST_REPORT_REPLAY_H
#define TEST_REPORT_REPLAY_H

#include <stdlib.h>
#include <string.h>

#include "src/scenario/replay.h"
#include "test/test_ledger_script.h"

static const struct script_event replay_flat[] = {X(VMCS01, CPUID, 0, 1), N(VMCS01, 1)};
static const struct script_event replay_on[] = {X(VMCS02, CPUID, 0, 2),        N(VMCS01, 1),
                                                X(VMCS01, MSR_READ, 0x1d9, 1), N(VMCS01, 1),
                                                X(VMCS01, VMRESUME, 0, 1),     N(VMCS02, 2)};
static const struct script_event replay_off[] = {X(VMCS02, CPUID, 0, 2),
                                                 N(VMCS01, 1),
                                                 X(VMCS01, VMREAD, NST_FIELD_VM_EXIT_REASON, 1),
                                                 N(VMCS01, 1),
                                                 X(VMCS01, VMREAD, NST_FIELD_GUEST_RIP, 1),
                                                 N(VMCS01, 1),
                                                 X(VMCS01, MSR_READ, 0x1d9, 1),
                                                 N(VMCS01, 1),
                                                 X(VMCS01, VMWRITE, NST_FIELD_GUEST_RIP, 1),
                                                 N(VMCS01, 1),
                                                 X(VMCS01, VMRESUME, 0, 1),
                                                 N(VMCS02, 2)};
static const struct script_event replay_kept_flat[] = {X(VMCS01, EPT_VIOLATION, 0, 1),
                                                       N(VMCS01, 1)};
static const struct script_event replay_kept[] = {X(VMCS02, EPT_VIOLATION, 0, 2), N(VMCS02, 2)};

static inline void play_variant(struct replay_variant *variant) {
  bool is_on = variant->variant.stack.vmcs_access == SCENARIO_VMCS_SHADOW;
  struct ledger *ledger = variant->ledger = ledger_new(1, variant->variant.depth);
  for (unsigned i = 0; i < 3; i++) {
    if (variant->variant.depth == 1)
      SCRIPT_OPERATION(ledger, "CPUID", replay_flat);
    else if (is_on)
      SCRIPT_OPERATION(ledger, "CPUID", replay_on);
    else
      SCRIPT_OPERATION(ledger, "CPUID", replay_off);
  }
  if (variant->variant.depth == 1)
    SCRIPT_OPERATION(ledger, "odd \"label\", with comma", replay_kept_flat);
  else
    SCRIPT_OPERATION(ledger, "odd \"label\", with comma", replay_kept);
  variant->operations = 4;
  variant->recorded_exits = 4;
  variant->assumed = 2;
  variant->guest_exits[NST_EXIT_CPUID] = 3;
  variant->state_hash = 0x1234;
  variant->complete = true;
}

static inline struct scenario_claim make_claim(const char *operation, unsigned depth,
                                               unsigned shadowing, uint64_t figure) {
  struct scenario_claim claim = {.type = SCENARIO_CLAIM_EXITS, .line = 7, .figure = figure};
  strcpy(claim.operation, operation);
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) claim.where[i] = SCENARIO_ANY;
  claim.where[SCENARIO_AXIS_DEPTH] = depth;
  claim.where[SCENARIO_AXIS_VMCS_SHADOWING] = shadowing;
  claim.mark = SCENARIO_CHECKED;
  strcpy(claim.source, "A0");
  return claim;
}

static inline void fill_scenario(struct scenario *scenario) {
  strcpy(scenario->path, "scenarios/small.xml");
  strcpy(scenario->question, "what does a caf\xc3\xa9 cost, \xff or \a?");
  scenario->guest_count = 1;
  strcpy(scenario->guest[0].trace, "scenarios/../nowhere/vmx-l1-small.txt");
  strcpy(scenario->processor, "broadwell-pml");
  for (unsigned i = 0; i < 2; i++) {
    strcpy(scenario->level[i].hypervisor, "kvm-6.1");
    scenario->level[i].scheme = SCENARIO_EPT_ON_EPT;
  }
  scenario->axis[SCENARIO_AXIS_DEPTH] = (struct scenario_axis){true, 2, {1, 2}};
  scenario->axis[SCENARIO_AXIS_VMCS_SHADOWING] =
      (struct scenario_axis){true, 2, {SCENARIO_ON, SCENARIO_OFF}};
  scenario->claim[0] = make_claim("CPUID", 2, 1, 3);
  scenario->claim[1] = make_claim("CPUID", 2, 0, 7);
  scenario->claim_count = 2;
}

static inline void fill_loss(struct trace_loss *loss) {
  loss->records = 20;
  loss->lines_other = 1;
  loss->name_count = 2;
  strcpy(loss->names[0].name, "kvm_exit");
  loss->names[0].fate[TRACE_FATE_OPERATION] = 4;
  loss->names[0].fate[TRACE_FATE_HOST] = 2;
  strcpy(loss->names[1].name, "kvm_fpu");
  loss->names[1].fate[TRACE_FATE_BOOKKEEPING] = 5;
}

/* After a change of the scenario: the points of its comparison again. */
static inline void remake_variants(struct replay *replay) {
  struct scenario_variant points[SCENARIO_VARIANT_LIMIT];
  replay->variant_count = scenario_expand(replay->scenario, points);
  for (unsigned i = 0; i < replay->variant_count; i++) replay->variant[i].variant = points[i];
}

static inline struct replay *make_replay(void) {
  struct replay *replay = calloc(1, sizeof *replay);
  struct scenario *scenario = calloc(1, sizeof *scenario);
  fill_scenario(scenario);
  fill_loss(&replay->loss);
  replay->scenario = scenario;
  replay->recorded_exits = 4;
  remake_variants(replay);
  for (unsigned i = 0; i < replay->variant_count; i++) play_variant(&replay->variant[i]);
  return replay;
}

static inline void free_replay(struct replay *replay) {
  for (unsigned i = 0; i < REPLAY_VARIANTS; i++) ledger_free(replay->variant[i].ledger);
  free((void *)(uintptr_t)replay->scenario);
  free(replay);
}

#endif
