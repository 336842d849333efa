/* SPDX-License-Identifier: MIT
 * Each kind of claim, holding and failing. */
#include "src/report/part.h"
#include "test/expect.h"
#include "test/test_report_replay.h"

#ifndef NESTOR_TEST_SOURCE_DIR
#define NESTOR_TEST_SOURCE_DIR "."
#endif

struct claim_case {
  const char *name;
  enum scenario_claim_type type;
  const char *operation;
  unsigned depth, shadowing;
  uint64_t figure;
  bool holds;
  const char *part; /* of the sentence */
};

static const struct claim_case claim_cases[] = {
    {"exits hold", SCENARIO_CLAIM_EXITS, "CPUID", 2, 1, 3, true, "3 exits claimed from A0, 3"},
    {"exits fail", SCENARIO_CLAIM_EXITS, "CPUID", 2, 0, 7, false, "7 exits claimed from A0, 6"},
    {"one exit", SCENARIO_CLAIM_EXITS, "CPUID", 1, SCENARIO_ANY, 1, true, "1 exit claimed"},
    {"all hold", SCENARIO_CLAIM_EXITS, "*", 1, SCENARIO_ANY, 1, true, "1 exit in all of 2 cells"},
    {"one of all fails", SCENARIO_CLAIM_EXITS, "*", 2, 1, 3, false, "odd \"label\""},
    {"both variants must hold", SCENARIO_CLAIM_EXITS, "CPUID", 2, SCENARIO_ANY, 3, false, "off"},
    {"no such operation", SCENARIO_CLAIM_EXITS, "HLT", 2, 1, 3, false, "no such operation"},
    {"no such depth", SCENARIO_CLAIM_EXITS, "CPUID", 5, 1, 3, false, "not replayed"},
    {"unlisted holds", SCENARIO_CLAIM_UNLISTED, "", 2, SCENARIO_ANY, 0, true, "all of 2 variants"},
    {"unlisted fails", SCENARIO_CLAIM_UNLISTED, "", 2, SCENARIO_ANY, 1, false, "0 counted"},
    {"reflected holds", SCENARIO_CLAIM_REFLECTED, "", SCENARIO_ANY, SCENARIO_ANY, 0, true,
     "3 in each of 2 variants"},
    {"reflected at depth 1 alone", SCENARIO_CLAIM_REFLECTED, "", 1, SCENARIO_ANY, 0, false,
     "0 variants"},
    {"kept holds", SCENARIO_CLAIM_KEPT, "", SCENARIO_ANY, SCENARIO_ANY, 0, true, "2 kept below"},
    {"kept at depth 1 alone", SCENARIO_CLAIM_KEPT, "", 1, SCENARIO_ANY, 0, false,
     "nothing to compare"},
    {"transparent holds", SCENARIO_CLAIM_TRANSPARENT, "", SCENARIO_ANY, SCENARIO_ANY, 0, true,
     "3 variants"},
    {"transparent of one", SCENARIO_CLAIM_TRANSPARENT, "", 1, SCENARIO_ANY, 0, false, "1 variants"},
};

static void claim_holds_or_fails_with_its_numbers(void) {
  struct replay *replay = make_replay();
  for (size_t i = 0; i < sizeof claim_cases / sizeof *claim_cases; i++) {
    const struct claim_case *c = &claim_cases[i];
    struct scenario_claim claim = make_claim(c->operation, c->depth, c->shadowing, c->figure);
    claim.type = c->type;
    struct claim_result result;
    claims_evaluate(replay, &claim, &result);
    EXPECT_TRUE(c->name, result.holds == c->holds);
    EXPECT_CONTAINS(c->name, result.text, c->part);
  }
  free_replay(replay);
}

/* ---- Figures beside figures ---------------------------------------------------------------- */

struct count_case {
  const char *name;
  enum scenario_claim_type type;
  const char *operation;
  unsigned reason; /* 0: none */
  unsigned depth, shadowing;
  uint64_t figure, most;
  enum scenario_axis_name than_axis;
  unsigned than_value;
  double low, high;
  bool holds;
  const char *part;
};

/* One CPUID is 1 exit at depth 1, 3 at depth 2 and 6 there without shadowing, with 2 VMREADs and 1
 * VMWRITE; the whole trace is 4, 10 and 19. */
static const struct count_case count_cases[] = {
    {"at most", SCENARIO_CLAIM_AT_MOST, "CPUID", 0, 2, SCENARIO_ANY, 6, 6, 0, 0, 0, 0, true,
     "at most 6 exits in all of 2 cells"},
    {"more than the most", SCENARIO_CLAIM_AT_MOST, "CPUID", 0, 2, SCENARIO_ANY, 5, 5, 0, 0, 0, 0,
     false, "at most 5 exits claimed from A0, 6 counted"},
    {"at least", SCENARIO_CLAIM_AT_LEAST, "CPUID", 0, 2, SCENARIO_ANY, 3, 3, 0, 0, 0, 0, true,
     "at least 3 exits in all"},
    {"less than the least", SCENARIO_CLAIM_AT_LEAST, "CPUID", 0, 2, SCENARIO_ANY, 4, 4, 0, 0, 0, 0,
     false, "at least 4 exits claimed from A0, 3 counted"},
    {"by reason", SCENARIO_CLAIM_EXITS, "", NST_EXIT_CPUID, 2, 1, 3, 3, 0, 0, 0, 0, true,
     "CPUID, depth 2, VMCS shadowing on: 3 exits claimed from A0, 3 counted"},
    {"by reason, none", SCENARIO_CLAIM_EXITS, "", NST_EXIT_HLT, 2, 1, 1, 1, 0, 0, 0, 0, false,
     "0 counted"},
    {"more than shadowed", SCENARIO_CLAIM_MORE_THAN, "CPUID", 0, 2, SCENARIO_OFF, 0, 0,
     SCENARIO_AXIS_VMCS_SHADOWING, SCENARIO_ON, 0, 0, true,
     "VMCS shadowing off, 6 exits, claimed to be more than depth 2, VMCS shadowing on, 3 exits"},
    {"not the other way", SCENARIO_CLAIM_MORE_THAN, "CPUID", 0, 2, SCENARIO_ON, 0, 0,
     SCENARIO_AXIS_VMCS_SHADOWING, SCENARIO_OFF, 0, 0, false, "3 exits, claimed"},
    {"more than at depth 1", SCENARIO_CLAIM_MORE_THAN, "CPUID", 0, 2, SCENARIO_ANY, 0, 0,
     SCENARIO_AXIS_DEPTH, 1, 3, 6, true, "and 1 more"},
    {"too many times", SCENARIO_CLAIM_MORE_THAN, "CPUID", 0, 2, SCENARIO_ANY, 0, 0,
     SCENARIO_AXIS_DEPTH, 1, 2, 5, false, "6 exits, claimed to be 2 to 5 times, so more than"},
    {"too few times", SCENARIO_CLAIM_MORE_THAN, "CPUID", 0, 2, SCENARIO_ON, 0, 0,
     SCENARIO_AXIS_DEPTH, 1, 3.5, 0, false, "claimed to be 3.5 times or more than depth 1, 1 exit"},
    {"equal is not more", SCENARIO_CLAIM_MORE_THAN, "", NST_EXIT_CPUID, 2, SCENARIO_ON, 0, 0,
     SCENARIO_AXIS_DEPTH, 1, 0, 0, false, "3 exits, claimed to be more than depth 1, 3 exits"},
    {"whole trace", SCENARIO_CLAIM_MORE_THAN, "", 0, 2, SCENARIO_OFF, 0, 0, SCENARIO_AXIS_DEPTH, 1,
     4, 5, true, "whole trace: depth 2, VMCS shadowing off, 19 exits"},
    {"more than itself", SCENARIO_CLAIM_MORE_THAN, "CPUID", 0, 1, SCENARIO_ANY, 0, 0,
     SCENARIO_AXIS_DEPTH, 1, 0, 0, false, "nothing to compare"},
    {"reads", SCENARIO_CLAIM_READS, "", 0, 2, SCENARIO_OFF, 2, 3, 0, 0, 0, 0, true,
     "2 to 3 claimed from A0, 2.0 counted (6 in 3)"},
    {"fewer reads", SCENARIO_CLAIM_READS, "CPUID", 0, 2, SCENARIO_OFF, 3, 4, 0, 0, 0, 0, false,
     "VMREADs per reflected exit, CPUID"},
    {"writes", SCENARIO_CLAIM_WRITES, "", 0, 2, SCENARIO_OFF, 1, 1, 0, 0, 0, 0, true,
     "1.0 counted (3 in 3)"},
    {"writes of nothing", SCENARIO_CLAIM_WRITES, "HLT", 0, 2, SCENARIO_OFF, 0, 9, 0, 0, 0, 0, false,
     "(0 in 0)"},
};

static void count_claim_holds_or_fails_with_its_numbers(void) {
  struct replay *replay = make_replay();
  for (size_t i = 0; i < sizeof count_cases / sizeof *count_cases; i++) {
    const struct count_case *c = &count_cases[i];
    struct scenario_claim claim = make_claim(c->operation, c->depth, c->shadowing, c->figure);
    struct claim_result result;
    claim.type = c->type;
    claim.most = c->most;
    claim.by_reason = c->reason != 0;
    claim.reason = c->reason;
    claim.than_axis = c->than_axis;
    claim.than_value = c->than_value;
    claim.times_low = c->low;
    claim.times_high = c->high;
    claims_evaluate(replay, &claim, &result);
    EXPECT_TRUE(c->name, result.holds == c->holds);
    EXPECT_CONTAINS(c->name, result.text, c->part);
  }
  free_replay(replay);
}

/* The synthetic CPUID takes 3 exits with shadowing, as recorded, and 6 without: 11 were recorded.
 */
static void recorded_claim_wants_each_difference_excepted(void) {
  static const struct {
    const char *name;
    unsigned shadowing;
    const char *exception;
    bool holds;
    const char *part;
  } cases[] = {
      {"equal", SCENARIO_ON, NULL, true, "1 cells equal, 0 differ as expected"},
      {"different", SCENARIO_OFF, NULL, false,
       "CPUID, depth 2, VMCS shadowing off: 11 recorded, 6"},
      {"excepted, nothing equal", SCENARIO_OFF, "CPUID", false, "0 cells equal, 1 differ"},
      {"both", SCENARIO_ANY, "CPUID", false, "excepted, but equal: remove the exception"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct replay *replay = make_replay();
    struct scenario *scenario = (struct scenario *)(uintptr_t)replay->scenario;
    struct claim_result result;
    for (unsigned k = 0; k < 2; k++) {
      struct scenario_recorded *recorded = &scenario->recorded[scenario->recorded_count++];
      memcpy(recorded->where, make_claim("", 2, k, 0).where, sizeof recorded->where);
      snprintf(recorded->trace, sizeof recorded->trace,
               "%s/traces/recorded/vmx-l2-micro-%s.txt.zst", NESTOR_TEST_SOURCE_DIR,
               k == SCENARIO_ON ? "shadow" : "noshadow");
      if (cases[i].exception == NULL) continue;
      recorded->exception_count = 1;
      strcpy(recorded->exception[0].operation, cases[i].exception);
      strcpy(recorded->exception[0].because, "the test says so");
    }
    struct scenario_claim claim = make_claim("", 2, cases[i].shadowing, 0);
    claim.type = SCENARIO_CLAIM_RECORDED;
    claims_evaluate(replay, &claim, &result);
    EXPECT_TRUE(cases[i].name, result.holds == cases[i].holds);
    EXPECT_CONTAINS(cases[i].name, result.text, cases[i].part);
    free_replay(replay);
  }
}

static void recording_that_is_missing_fails_its_claim(void) {
  struct replay *replay = make_replay();
  struct scenario *scenario = (struct scenario *)(uintptr_t)replay->scenario;
  struct scenario_claim claim = make_claim("", 2, SCENARIO_ON, 0);
  struct claim_result result;
  scenario->recorded_count = 1;
  memcpy(scenario->recorded[0].where, claim.where, sizeof claim.where);
  strcpy(scenario->recorded[0].trace, "no/such.txt");
  claim.type = SCENARIO_CLAIM_RECORDED;
  claims_evaluate(replay, &claim, &result);
  EXPECT_TRUE("fails", !result.holds);
  EXPECT_CONTAINS("says why", result.text, "no/such.txt");
  free_replay(replay);
}

/* One thing changed in the variant at depth 2 without shadowing, and the claim that notices. */
struct broken_case {
  const char *name;
  enum scenario_claim_type type;
  const char *part;
};

static const struct broken_case broken_cases[] = {
    {"reflected", SCENARIO_CLAIM_REFLECTED, "shadowing off, CPUID: 3 at depth 1, 4 reflected"},
    {"kept", SCENARIO_CLAIM_KEPT, "shadowing off: 1 kept, 2 exits for them"},
    {"transparent", SCENARIO_CLAIM_TRANSPARENT, "0000000000001234, depth 2, VMCS shadowing off"},
};

static void changed_variant_breaks_its_claim(void) {
  for (size_t i = 0; i < sizeof broken_cases / sizeof *broken_cases; i++) {
    const struct broken_case *c = &broken_cases[i];
    struct replay *replay = make_replay();
    struct replay_variant *variant = &replay->variant[2];
    variant->guest_exits[NST_EXIT_CPUID]++;
    variant->state_hash++;
    variant->ledger->count.label[LEDGER_FIRST + 1]->kept_subtree++;
    struct scenario_claim claim = make_claim("", SCENARIO_ANY, SCENARIO_ANY, 0);
    claim.type = c->type;
    struct claim_result result;
    claims_evaluate(replay, &claim, &result);
    EXPECT_TRUE(c->name, !result.holds);
    EXPECT_CONTAINS(c->name, result.text, c->part);
    free_replay(replay);
  }
}

/* Exits that the host causes come at any depth as it likes. */
static void host_caused_exits_are_not_compared(void) {
  struct replay *replay = make_replay();
  replay->variant[2].guest_exits[NST_EXIT_EXTERNAL_INTERRUPT] = 5;
  replay->variant[2].guest_exits[NST_EXIT_PREEMPTION_TIMER] = 5;
  struct scenario_claim claim = make_claim("", SCENARIO_ANY, SCENARIO_ANY, 0);
  claim.type = SCENARIO_CLAIM_REFLECTED;
  struct claim_result result;
  claims_evaluate(replay, &claim, &result);
  EXPECT_TRUE("holds", result.holds);
  free_replay(replay);
}

static void count_and_status_follow_the_claims(void) {
  struct replay *replay = make_replay();
  EXPECT_EQ("one of two", claims_count(replay), 1);
  struct scenario *scenario = (struct scenario *)(uintptr_t)replay->scenario;
  scenario->claim[1].figure = 6;
  EXPECT_EQ("two of two", claims_count(replay), 2);
  FILE *nowhere = fopen("/dev/null", "w");
  struct report_options options = {0};
  EXPECT_EQ("text", report_text(nowhere, replay, &options), 0);
  EXPECT_EQ("csv", report_csv(nowhere, replay, &options), 0);
  EXPECT_EQ("json", report_json(nowhere, replay, &options), 0);
  fclose(nowhere);
  free_replay(replay);
}

CU_TestInfo report_claims_tests[] = {
    {"claim_holds_or_fails_with_its_numbers", claim_holds_or_fails_with_its_numbers},
    {"count_claim_holds_or_fails_with_its_numbers", count_claim_holds_or_fails_with_its_numbers},
    {"recorded_claim_wants_each_difference_excepted",
     recorded_claim_wants_each_difference_excepted},
    {"recording_that_is_missing_fails_its_claim", recording_that_is_missing_fails_its_claim},
    {"changed_variant_breaks_its_claim", changed_variant_breaks_its_claim},
    {"host_caused_exits_are_not_compared", host_caused_exits_are_not_compared},
    {"count_and_status_follow_the_claims", count_and_status_follow_the_claims},
    CU_TEST_INFO_NULL};
