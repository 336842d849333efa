/* SPDX-License-Identifier: MIT
 * Savings between variants, and published figures beside estimates, from a small replay by hand. */
#include "src/report/part.h"
#include "test/expect.h"
#include "test/test_report_replay.h"

static bool is_near(double a, double b) {
  double difference = a > b ? a - b : b - a;
  return difference <= 1e-9 * (a > 0 ? a : -a) + 1e-9;
}

static const struct cost_prediction *find(const struct cost_prediction *rows, size_t count,
                                          const char *id, unsigned variant) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(rows[i].anchor->id, id) == 0 && rows[i].variant == variant) return &rows[i];
  }
  return NULL;
}

/* Shadowing off (variant 2) is dearer than on (variant 1): 6 exits a CPUID against 3. */
static void saving_splits_exactly(void) {
  struct replay *replay = make_replay();
  size_t count;
  struct cost_saving *savings = cost_savings(replay, &count);
  if (!EXPECT_EQ("whole trace and two labels", count, 3)) return;
  EXPECT_TRUE("the whole trace first", savings[0].label == NULL);
  EXPECT_STRING("then a label", savings[1].label, "CPUID");
  for (size_t i = 0; i < count; i++) {
    const struct cost_saving *saving = &savings[i];
    EXPECT_EQ("from", saving->from, 2);
    EXPECT_EQ("to", saving->to, 1);
    EXPECT_TRUE("adds up",
                is_near(saving->fewer + saving->cheaper, saving->cycles_from - saving->cycles_to));
  }
  EXPECT_EQ("exits from", savings[1].exits_from, 6);
  EXPECT_EQ("exits to", savings[1].exits_to, 3);
  EXPECT_TRUE("fewer: half the exits at the dearer ones' price",
              is_near(savings[1].fewer, savings[1].cycles_from / 2));
  EXPECT_TRUE("what is left is dearer each", savings[1].cheaper < 0);
  EXPECT_TRUE("an equal operation saves nothing", is_near(savings[2].fewer, 0));
  free(savings);
  free_replay(replay);
}

static void unfinished_variant_has_no_saving(void) {
  struct replay *replay = make_replay();
  size_t count;
  replay->variant[2].complete = false;
  struct cost_saving *savings = cost_savings(replay, &count);
  EXPECT_EQ("savings", count, 0);
  free(savings);
  free_replay(replay);
}

static void figure_stands_beside_its_operation_and_variant(void) {
  struct replay *replay = make_replay();
  size_t count;
  struct ledger_row on, off;
  struct cost_prediction *rows = cost_predictions(replay, &count);
  rows_find(&replay->variant[1], "CPUID", &on);
  rows_find(&replay->variant[2], "CPUID", &off);
  const struct cost_prediction *ratio = find(rows, count, "A0", 2);
  const struct cost_prediction *exact = find(rows, count, "A0-on", 1);
  if (EXPECT_TRUE("both", ratio && exact)) {
    EXPECT_TRUE("ratio", is_near(ratio->predicted, off.instructions[0] / on.instructions[0]));
    EXPECT_TRUE("instructions", is_near(exact->predicted, on.instructions[0]));
    EXPECT_TRUE("deviation", is_near(exact->deviation, on.instructions[0] / 20100 - 1));
  }
  EXPECT_TRUE("not of the other variant", !find(rows, count, "A0-on", 2));
  EXPECT_TRUE("no hypercall, no time", cost_scale(replay) == 0 && !find(rows, count, "A8-L2", 1));
  EXPECT_TRUE("a time needs the scale", !find(rows, count, "E1", 0));
  EXPECT_TRUE("another hypervisor's", !find(rows, count, "T2", 2));
  free(rows);
  free_replay(replay);
}

static const struct script_event hypercall_flat[] = {X(VMCS01, VMCALL, 0, 1), N(VMCS01, 1)};
static const struct script_event hypercall_deep[] = {X(VMCS02, VMCALL, 0, 2), N(VMCS01, 1),
                                                     X(VMCS01, VMRESUME, 0, 1), N(VMCS02, 2)};

static void scale_is_fitted_to_the_first_level_alone(void) {
  struct replay *replay = make_replay();
  size_t count;
  struct ledger_row flat, deep;
  SCRIPT_OPERATION(replay->variant[0].ledger, "VMCALL", hypercall_flat);
  SCRIPT_OPERATION(replay->variant[1].ledger, "VMCALL", hypercall_deep);
  rows_find(&replay->variant[0], "VMCALL", &flat);
  rows_find(&replay->variant[1], "VMCALL", &deep);
  struct cost_prediction *rows = cost_predictions(replay, &count);
  const struct cost_prediction *fit = find(rows, count, "A8-L1", 0);
  const struct cost_prediction *nested = find(rows, count, "A8-L2", 1);
  const struct cost_prediction *kept = find(rows, count, "A9-L2", 1);
  if (EXPECT_TRUE("all three", fit && nested && kept)) {
    EXPECT_TRUE("fitted", is_near(fit->predicted, fit->anchor->low) && fit->deviation == 0);
    EXPECT_TRUE("predicted", is_near(nested->predicted,
                                     fit->anchor->low * deep.cycles_typical / flat.cycles_typical));
    EXPECT_TRUE("one exit, as at level 1", is_near(kept->predicted, fit->anchor->low));
  }
  strcpy(((struct scenario *)(uintptr_t)replay->scenario)->level[1].hypervisor, "minimal");
  remake_variants(replay);
  EXPECT_TRUE("depth 1 is the same stack still", cost_scale(replay) > 0);
  free(rows);
  rows = cost_predictions(replay, &count);
  EXPECT_TRUE("another stack has none", !find(rows, count, "A8-L2", 1));
  free(rows);
  free_replay(replay);
}

CU_TestInfo report_costs_tests[] = {
    {"saving_splits_exactly", saving_splits_exactly},
    {"unfinished_variant_has_no_saving", unfinished_variant_has_no_saving},
    {"figure_stands_beside_its_operation_and_variant",
     figure_stands_beside_its_operation_and_variant},
    {"scale_is_fitted_to_the_first_level_alone", scale_is_fitted_to_the_first_level_alone},
    CU_TEST_INFO_NULL};
