/* SPDX-License-Identifier: MIT
 * Exit budgets through the public API alone: counts, snapshots, and what a broken one says. */
#include <stdlib.h>
#include <string.h>

#include "src/nestor_cunit.h"
#include "test/expect.h"

enum { CPUID = 0xa2, HALT = 0xf4 };
static const uint8_t guest_code[] = {0x0f, CPUID, 0x0f, CPUID, HALT};

static uint64_t exits_to(const struct nst_budget *budget, unsigned level, uint32_t reason) {
  struct nst_exit_counts counts;
  nst_exit_counts(budget, &counts);
  return nst_exit_counts_to(&counts, level, reason);
}

static char *text_of(const struct nst_budget *budget) {
  size_t length = nst_budget_text(budget, NULL, 0);
  char *text = malloc(length + 1);
  if (text) nst_budget_text(budget, text, length + 1);
  return text;
}

/* The fixture with its guest at the first CPUID, the test in control. */
static bool start(struct nst_fixture *f, unsigned level) {
  nst_fixture_init(f, level);
  return NST_ASSERT_OK(nst_guest_prepare(f->cpu, level, guest_code, sizeof guest_code)) &&
         NST_ASSERT_VMX(nst_vmlaunch(f->cpu), NST_VMX_SUCCEED) &&
         NST_ASSERT_STOP(nst_run(f->cpu, 1000, &f->stop), &f->stop, NST_STOP_EXIT, NST_EXIT_CPUID);
}

/* Skips the guest's CPUID and enters it again, up to its next exit. */
static void skip(struct nst_fixture *f) {
  uint64_t rip = 0;
  nst_vmread(f->cpu, NST_FIELD_GUEST_RIP, &rip);
  nst_vmwrite(f->cpu, NST_FIELD_GUEST_RIP, rip + 2);
  NST_ASSERT_VMX(nst_vmresume(f->cpu), NST_VMX_SUCCEED);
  NST_ASSERT_OK(nst_run(f->cpu, 1000, &f->stop));
}

static void exits_of_the_driven_level_are_its_own(void) {
  struct nst_fixture f;
  uint32_t out[4];
  uint64_t value;
  start(&f, 2);
  struct nst_budget *budget = nst_budget_begin(f.cpu);
  nst_cpuid(f.cpu, 0, 0, out);
  nst_vmread(f.cpu, NST_FIELD_GUEST_RIP, &value); /* shadowed: no exit */
  nst_vmread(f.cpu, NST_FIELD_HOST_RIP, &value);  /* not shadowed */
  struct nst_exit_counts counts;
  nst_exit_counts(budget, &counts);
  EXPECT_EQ("all, to L0", nst_exit_counts_to(&counts, 0, NST_ANY_REASON), 2);
  EXPECT_EQ("of L1, CPUID", counts.from[1][NST_EXIT_CPUID], 1);
  EXPECT_EQ("of L1, VMREAD", counts.from[1][NST_EXIT_VMREAD], 1);
  EXPECT_EQ("of L2", counts.from[2][NST_EXIT_CPUID], 0);
  EXPECT_EQ("to L1", nst_exit_counts_to(&counts, 1, NST_ANY_REASON), 0);
  NST_ASSERT_EXITS(budget, 0, NST_EXIT_VMREAD, 1);
  NST_ASSERT_EXITS(budget, 0, NST_ANY_REASON, 2);
  NST_ASSERT_EXITS_AT_MOST(budget, 0, NST_ANY_REASON, 2);
  NST_ASSERT_EXITS(budget, 1, NST_ANY_REASON, 0);
  nst_budget_end(budget);
  nst_fixture_fini(&f);
}

/* Whatever the depth: the sums are those that nst_exits_to counts by other means. */
static void budget_agrees_with_the_hypervisors_own_count(void) {
  for (unsigned depth = 1; depth <= 4; depth++) {
    struct nst_fixture f;
    if (!start(&f, depth)) return;
    uint64_t before[4];
    for (unsigned level = 0; level < depth; level++) before[level] = nst_exits_to(f.cpu, level);
    struct nst_budget *budget = nst_budget_begin(f.cpu);
    skip(&f);
    EXPECT_EQ("HLT or CPUID came", f.stop.kind, NST_STOP_EXIT);
    for (unsigned level = 0; level < depth; level++)
      EXPECT_EQ("exits to a level", exits_to(budget, level, NST_ANY_REASON),
                nst_exits_to(f.cpu, level) - before[level]);
    struct nst_exit_counts counts;
    nst_exit_counts(budget, &counts);
    EXPECT_EQ("the guest's own", counts.from[depth][NST_EXIT_CPUID], 1);
    EXPECT_EQ("given to the test", exits_to(budget, depth - 1, NST_EXIT_CPUID), 1);
    nst_budget_end(budget);
    nst_fixture_fini(&f);
  }
}

/* Begun between the entry and the run, the first exit is the guest's and not the test's. */
static void budget_begun_in_the_guest_knows_who_runs(void) {
  for (unsigned depth = 1; depth <= 3; depth++) {
    struct nst_fixture f;
    nst_fixture_init(&f, depth);
    NST_ASSERT_OK(nst_guest_prepare(f.cpu, depth, guest_code, sizeof guest_code));
    NST_ASSERT_VMX(nst_vmlaunch(f.cpu), NST_VMX_SUCCEED);
    struct nst_budget *budget = nst_budget_begin(f.cpu);
    NST_ASSERT_OK(nst_run(f.cpu, 1000, &f.stop));
    skip(&f);
    struct nst_exit_counts counts;
    nst_exit_counts(budget, &counts);
    EXPECT_EQ("two CPUIDs of the guest", counts.from[depth][NST_EXIT_CPUID], 2);
    EXPECT_EQ("two to the test", nst_exit_counts_to(&counts, depth - 1, NST_EXIT_CPUID), 2);
    if (depth == 2) EXPECT_EQ("its VMRESUME", counts.from[1][NST_EXIT_VMRESUME], 1);
    nst_budget_end(budget);
    nst_fixture_fini(&f);
  }
}

static void snapshots_differ_by_what_came_between(void) {
  struct nst_fixture f;
  struct nst_exit_counts first, second, between;
  uint32_t out[4];
  start(&f, 2);
  struct nst_budget *budget = nst_budget_begin(f.cpu);
  nst_cpuid(f.cpu, 0, 0, out);
  nst_exit_counts(budget, &first);
  nst_cpuid(f.cpu, 0, 0, out);
  nst_cpuid(f.cpu, 0, 0, out);
  nst_exit_counts(budget, &second);
  nst_exit_counts_diff(&first, &second, &between);
  EXPECT_EQ("between", nst_exit_counts_to(&between, 0, NST_EXIT_CPUID), 2);
  EXPECT_EQ("from", between.from[1][NST_EXIT_CPUID], 2);
  EXPECT_EQ("beyond the levels", nst_exit_counts_to(&between, NST_LEVELS, NST_ANY_REASON), 0);
  EXPECT_EQ("beyond the reasons", nst_exit_counts_to(&between, 0, NST_EXIT_REASONS), 0);
  nst_exit_counts_diff(&first, &second, &second);
  EXPECT_EQ("in place", nst_exit_counts_to(&second, 0, NST_EXIT_CPUID), 2);
  nst_budget_end(budget);
  nst_fixture_fini(&f);
}

static void text_shows_counts_and_causes(void) {
  struct nst_fixture f;
  uint64_t value;
  start(&f, 2);
  struct nst_budget *budget = nst_budget_begin(f.cpu);
  nst_vmread(f.cpu, NST_FIELD_HOST_RIP, &value);
  skip(&f);
  char *text = text_of(budget);
  EXPECT_CONTAINS("to L0", text, "to   L0 ");
  EXPECT_CONTAINS("to L1", text, "to   L1     1: CPUID 1\n");
  EXPECT_CONTAINS("from L2", text, "from L2     1: CPUID 1\n");
  EXPECT_CONTAINS("kept", text, "\n  L1 VMREAD HOST_RIP: L0 keeps it\n");
  EXPECT_CONTAINS("merged", text, "\n  L1 VMRESUME: L0 enters L2\n");
  EXPECT_CONTAINS("given to the test", text, "\n  L2 CPUID: reflected to L1, still open\n");
  free(text);
  nst_budget_end(budget);
  nst_fixture_fini(&f);
}

/* L2 is the test. Its VMREAD of a field that is not shadowed is L1's to emulate. */
static void tree_hangs_exits_under_what_they_came_of(void) {
  struct nst_fixture f;
  uint64_t value;
  start(&f, 3);
  struct nst_budget *budget = nst_budget_begin(f.cpu);
  nst_vmread(f.cpu, NST_FIELD_HOST_RIP, &value);
  char *text = text_of(budget);
  EXPECT_CONTAINS("reflected", text, "\n  L2 VMREAD HOST_RIP: reflected to L1\n    L1 ");
  EXPECT_CONTAINS("ends", text, "\n    L1 VMRESUME: L0 enters L2\n");
  free(text);
  nst_budget_end(budget);
  nst_fixture_fini(&f);
}

static void text_is_cut_to_its_buffer(void) {
  struct nst_fixture f;
  uint32_t out[4];
  char small[20], none = 'x';
  start(&f, 2);
  struct nst_budget *budget = nst_budget_begin(f.cpu);
  size_t empty = nst_budget_text(budget, small, sizeof small);
  EXPECT_EQ("cut", strlen(small), sizeof small - 1);
  for (unsigned i = 0; i < 1000; i++) nst_cpuid(f.cpu, 0, 0, out);
  size_t full = nst_budget_text(budget, &none, 0);
  EXPECT_TRUE("nothing written", none == 'x');
  EXPECT_TRUE("longer", full > empty);
  char *text = text_of(budget);
  EXPECT_EQ("length", strlen(text), full);
  EXPECT_CONTAINS("the rest is counted", text, "and 744 more\n");
  free(text);
  nst_budget_end(budget);
  nst_fixture_fini(&f);
}

/* What NST_ASSERT_EXITS hands to CUnit when it fails. */
static void message_holds_sentence_counts_and_tree(void) {
  struct nst_fixture f;
  uint32_t out[4];
  start(&f, 2);
  struct nst_budget *budget = nst_budget_begin(f.cpu);
  nst_cpuid(f.cpu, 0, 0, out);
  char *text = nst_cunit_exits_text(budget, "a sentence");
  EXPECT_CONTAINS("sentence", text, "a sentence\nexits by level and reason:\n");
  EXPECT_CONTAINS("counts", text, "from L1     1: CPUID 1\n");
  EXPECT_CONTAINS("tree", text, "which came of which:\n  L1 CPUID: L0 keeps it\n");
  free(text);
  nst_budget_end(budget);
  nst_fixture_fini(&f);
}

static void budgets_nest_up_to_the_observers(void) {
  struct nst_fixture f;
  struct nst_budget *budgets[NST_OBSERVERS];
  uint32_t out[4];
  start(&f, 2);
  for (unsigned i = 0; i < NST_OBSERVERS; i++) {
    budgets[i] = nst_budget_begin(f.cpu);
    nst_cpuid(f.cpu, 0, 0, out);
  }
  EXPECT_TRUE("no more", nst_budget_begin(f.cpu) == NULL);
  for (unsigned i = 0; i < NST_OBSERVERS; i++) {
    EXPECT_EQ("since its beginning", exits_to(budgets[i], 0, NST_ANY_REASON), NST_OBSERVERS - i);
    nst_budget_end(budgets[i]);
  }
  struct nst_exit_counts counts;
  nst_exit_counts(NULL, &counts);
  EXPECT_EQ("none", nst_exit_counts_to(&counts, 0, NST_ANY_REASON), 0);
  EXPECT_EQ("no text", nst_budget_text(NULL, NULL, 0), 0);
  nst_budget_end(NULL);
  nst_fixture_fini(&f);
}

/* A budget changes nothing: the same run ends in the same registers, at the same exits. */
static void budget_changes_nothing(void) {
  struct nst_fixture with, without;
  start(&with, 3);
  start(&without, 3);
  struct nst_budget *budget = nst_budget_begin(with.cpu);
  skip(&with);
  skip(&without);
  nst_budget_end(budget);
  EXPECT_EQ("exits", nst_exits_to(with.cpu, 0), nst_exits_to(without.cpu, 0));
  for (unsigned reg = NST_REG_RAX; reg <= NST_REG_RFLAGS; reg++)
    EXPECT_EQ("register", nst_reg_read(with.cpu, (enum nst_reg)reg),
              nst_reg_read(without.cpu, (enum nst_reg)reg));
  nst_fixture_fini(&with);
  nst_fixture_fini(&without);
}

CU_TestInfo api_budget_tests[] = {
    {"exits_of_the_driven_level_are_its_own", exits_of_the_driven_level_are_its_own},
    {"budget_agrees_with_the_hypervisors_own_count", budget_agrees_with_the_hypervisors_own_count},
    {"budget_begun_in_the_guest_knows_who_runs", budget_begun_in_the_guest_knows_who_runs},
    {"snapshots_differ_by_what_came_between", snapshots_differ_by_what_came_between},
    {"text_shows_counts_and_causes", text_shows_counts_and_causes},
    {"tree_hangs_exits_under_what_they_came_of", tree_hangs_exits_under_what_they_came_of},
    {"text_is_cut_to_its_buffer", text_is_cut_to_its_buffer},
    {"message_holds_sentence_counts_and_tree", message_holds_sentence_counts_and_tree},
    {"budgets_nest_up_to_the_observers", budgets_nest_up_to_the_observers},
    {"budget_changes_nothing", budget_changes_nothing},
    CU_TEST_INFO_NULL};
