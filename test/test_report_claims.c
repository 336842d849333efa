/* SPDX-License-Identifier: MIT
 * Each kind of claim, holding and failing. */
#include "src/report/part.h"
#include "test/expect.h"
#include "test/test_report_replay.h"

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
    {"changed_variant_breaks_its_claim", changed_variant_breaks_its_claim},
    {"host_caused_exits_are_not_compared", host_caused_exits_are_not_compared},
    {"count_and_status_follow_the_claims", count_and_status_follow_the_claims},
    CU_TEST_INFO_NULL};
