/* SPDX-License-Identifier: MIT
 * The causal tree and the counts, from hand-written sequences at depth 1, 2 and 3. */
#include <stdlib.h>

#include "test/expect.h"
#include "test/test_ledger_script.h"

enum { VMCS12 = 0x12000, VMCS13 = 0x13000, DEBUGCTL = 0x1d9 };

/* L2 CPUID under an L1 that reads two fields, each by an exit, and enters L2 again. */
static const struct script_event cpuid_at_two[] = {
    X(VMCS02, CPUID, 0, 2),
    N(VMCS01, 1),
    X(VMCS01, VMREAD, NST_FIELD_VM_EXIT_REASON, 1),
    N(VMCS01, 1),
    X(VMCS01, VMREAD, NST_FIELD_GUEST_RIP, 1),
    N(VMCS01, 1),
    X(VMCS01, MSR_READ, DEBUGCTL, 1),
    N(VMCS01, 1),
    X(VMCS01, VMRESUME, 0, 1),
    N(VMCS02, 2),
};
static const struct script_event touch_at_two[] = {X(VMCS02, EPT_VIOLATION, 0, 2), N(VMCS02, 2)};

/* L3 CPUID; L1 reads a field and enters L2 to handle it; L2 reads a field and resumes; both of
 * these L1 emulates, with a VMREAD and a VMRESUME of its own each. */
static const struct script_event cpuid_at_three[] = {
    X(VMCS02, CPUID, 0, 3),                                                 /* 0 */
    N(VMCS01, 1),           X(VMCS01, VMREAD, NST_FIELD_VM_EXIT_REASON, 1), /* 1 */
    N(VMCS01, 1),           LOAD(VMCS01, VMCS12, 1),                        /* 2 */
    N(VMCS01, 1),           X(VMCS01, VMRESUME, 0, 1),                      /* 3 */
    N(VMCS02, 2),           X(VMCS02, VMREAD, NST_FIELD_GUEST_RIP, 2),      /* 4 */
    N(VMCS01, 1),           X(VMCS01, VMREAD, NST_FIELD_VM_EXIT_REASON, 1), /* 5 */
    N(VMCS01, 1),           X(VMCS01, VMRESUME, 0, 1),                      /* 6 */
    N(VMCS02, 2),           X(VMCS02, VMRESUME, 0, 2),                      /* 7 */
    N(VMCS01, 1),           X(VMCS01, VMREAD, NST_FIELD_VM_EXIT_REASON, 1), /* 8 */
    N(VMCS01, 1),           LOAD(VMCS01, VMCS13, 1),                        /* 9 */
    N(VMCS01, 1),           X(VMCS01, VMRESUME, 0, 1),                      /* 10 */
    N(VMCS02, 3),
};

struct expected_node {
  int parent;
  unsigned level, handler, entered, subject;
};

static void expect_tree(const struct ledger *ledger, const char *label,
                        const struct expected_node *expected, size_t count) {
  struct ledger_tree tree;
  unsigned index = ledger_label((struct ledger *)(uintptr_t)ledger, label);
  if (!EXPECT_TRUE("a tree", ledger_tree(ledger, index, &tree))) return;
  if (!EXPECT_EQ("nodes", tree.count, count)) return;
  for (size_t i = 0; i < count; i++) {
    char what[32];
    snprintf(what, sizeof what, "node %zu", i);
    const struct ledger_node *node = &tree.nodes[i];
    if (!EXPECT_TRUE(what, node->parent == expected[i].parent)) return;
    if (!EXPECT_EQ(what, node->level, expected[i].level)) return;
    if (!EXPECT_EQ(what, node->handler, expected[i].handler)) return;
    if (!EXPECT_EQ(what, node->entered, expected[i].entered)) return;
    if (!EXPECT_EQ(what, node->subject, expected[i].subject)) return;
  }
}

static void depth_one_exit_is_kept(void) {
  static const struct script_event events[] = {X(VMCS01, CPUID, 0, 1), N(VMCS01, 1)};
  struct ledger *ledger = ledger_new(1, 1);
  SCRIPT_OPERATION(ledger, "CPUID", events);
  static const struct expected_node expected[] = {{-1, 1, 0, 1, 0}};
  expect_tree(ledger, "CPUID", expected, 1);
  struct ledger_row row;
  ledger_row(ledger, LEDGER_FIRST, &row);
  EXPECT_EQ("typical", row.typical, 1);
  EXPECT_EQ("reflected", row.reflected[1], 0);
  EXPECT_EQ("kept subtree", row.kept_subtree, 1);
  ledger_free(ledger);
}

static void depth_two_exits_hang_under_the_reflected_one(void) {
  struct ledger *ledger = ledger_new(1, 2);
  SCRIPT_OPERATION(ledger, "CPUID", cpuid_at_two);
  static const struct expected_node expected[] = {
      {-1, 2, 1, 1, 0}, {0, 1, 0, 1, 2}, {0, 1, 0, 1, 2}, {0, 1, 0, 1, 2}, {0, 1, 0, 2, 2}};
  expect_tree(ledger, "CPUID", expected, 5);
  struct ledger_row row;
  ledger_row(ledger, LEDGER_FIRST, &row);
  EXPECT_EQ("exits", row.exits, 5);
  EXPECT_EQ("of L2", row.by_level[2], 1);
  EXPECT_EQ("of L1", row.by_level[1], 4);
  EXPECT_EQ("reflected", row.reflected[2], 1);
  EXPECT_EQ("rounds", row.rounds, 1);
  EXPECT_EQ("round", row.round_typical, 5);
  ledger_free(ledger);
}

static void depth_three_exits_hang_two_deep(void) {
  struct ledger *ledger = ledger_new(1, 3);
  SCRIPT_OPERATION(ledger, "CPUID", cpuid_at_three);
  static const struct expected_node expected[] = {
      {-1, 3, 2, 1, 0}, {0, 1, 0, 1, 3}, {0, 1, 0, 1, 0}, {0, 1, 0, 2, 0},
      {0, 2, 1, 1, 3},  {4, 1, 0, 1, 2}, {4, 1, 0, 2, 2}, {0, 2, 1, 1, 3},
      {7, 1, 0, 1, 2},  {7, 1, 0, 1, 0}, {7, 1, 0, 3, 0}};
  expect_tree(ledger, "CPUID", expected, 11);
  /* From the second round on, both of L1's regions are known. */
  SCRIPT_OPERATION(ledger, "again", cpuid_at_three);
  static const struct expected_node again[] = {{-1, 3, 2, 1, 0}, {0, 1, 0, 1, 3}, {0, 1, 0, 1, 2},
                                               {0, 1, 0, 2, 2},  {0, 2, 1, 1, 3}, {4, 1, 0, 1, 2},
                                               {4, 1, 0, 2, 2},  {0, 2, 1, 1, 3}, {7, 1, 0, 1, 2},
                                               {7, 1, 0, 1, 3},  {7, 1, 0, 3, 3}};
  expect_tree(ledger, "again", again, 11);
  struct ledger_row row;
  ledger_total(ledger, &row);
  EXPECT_EQ("reflected of L3", row.reflected[3], 2);
  EXPECT_EQ("reflected of L2", row.reflected[2], 4);
  EXPECT_EQ("exits of L1", row.by_level[1], 16);
  ledger_free(ledger);
}

static void exit_kept_at_depth_costs_one(void) {
  struct ledger *ledger = ledger_new(1, 2);
  SCRIPT_OPERATION(ledger, "touch", touch_at_two);
  SCRIPT_OPERATION(ledger, "CPUID", cpuid_at_two);
  struct ledger_row row;
  ledger_total(ledger, &row);
  EXPECT_EQ("exits of L2", row.by_level[2], 2);
  EXPECT_EQ("reflected", row.reflected[2], 1);
  EXPECT_EQ("cost of the kept one", row.kept_subtree, 1);
  ledger_free(ledger);
}

static void open_exit_of_an_earlier_operation_is_no_parent(void) {
  static const struct script_event first[] = {X(VMCS02, CPUID, 0, 2), N(VMCS01, 1)};
  static const struct script_event second[] = {X(VMCS01, VMRESUME, 0, 1), N(VMCS02, 2)};
  struct ledger *ledger = ledger_new(1, 2);
  SCRIPT_OPERATION(ledger, "first", first);
  SCRIPT_OPERATION(ledger, "second", second);
  static const struct expected_node expected[] = {{-1, 1, 0, 2, 2}};
  expect_tree(ledger, "second", expected, 1);
  ledger_free(ledger);
}

/* A refused entry comes as an exit of a guest that was not entered, and closes with its parent. */
static void failed_entry_hangs_under_the_resume(void) {
  static const struct script_event events[] = {
      X(VMCS02, CPUID, 0, 2),
      N(VMCS01, 1),
      X(VMCS01, VMRESUME, 0, 1),
      {SCRIPT_EXIT, SCRIPT_VMCS02, UINT32_C(1) << 31 | NST_EXIT_INVALID_STATE, 0, 0, 0, 2},
      N(VMCS01, 1),
      X(VMCS01, VMRESUME, 0, 1),
      N(VMCS02, 2),
  };
  struct ledger *ledger = ledger_new(1, 2);
  SCRIPT_OPERATION(ledger, "CPUID", events);
  static const struct expected_node expected[] = {
      {-1, 2, 1, 1, 0}, {0, 1, 0, 0, 2}, {1, 2, 1, 1, 0}, {0, 1, 0, 2, 2}};
  expect_tree(ledger, "CPUID", expected, 4);
  EXPECT_EQ("open exits", ledger->tree[0].open_count, 0);
  ledger_free(ledger);
}

static void exits_outside_operations_have_their_own_heading(void) {
  struct ledger *ledger = ledger_new(1, 2);
  SCRIPT_PLAY(ledger, cpuid_at_two);
  SCRIPT_OPERATION(ledger, "touch", touch_at_two);
  struct ledger_row row;
  ledger_row(ledger, LEDGER_OUTSIDE, &row);
  EXPECT_EQ("exits outside", row.exits, 5);
  EXPECT_EQ("operations outside", row.operations, 0);
  ledger_total(ledger, &row);
  EXPECT_EQ("exits in operations", row.exits, 1);
  struct ledger_reason reasons[EXIT_REASONS];
  ledger_reasons(ledger, 1, reasons);
  EXPECT_EQ("VMREAD of L1", reasons[NST_EXIT_VMREAD].exits, 2);
  ledger_reasons(ledger, 2, reasons);
  EXPECT_EQ("CPUID of L2 reflected", reasons[NST_EXIT_CPUID].reflected, 1);
  EXPECT_EQ("EPT violation of L2 kept", reasons[NST_EXIT_EPT_VIOLATION].reflected, 0);
  ledger_free(ledger);
}

static void causes_carry_field_and_msr(void) {
  struct ledger *ledger = ledger_new(1, 2);
  for (unsigned i = 0; i < 3; i++) SCRIPT_OPERATION(ledger, "CPUID", cpuid_at_two);
  EXPECT_EQ("causes", ledger_cause_count(ledger), 5);
  const struct ledger_cause *cause = ledger_cause(ledger, 2);
  EXPECT_EQ("reason", cause->reason, NST_EXIT_VMREAD);
  EXPECT_EQ("field", cause->detail, NST_FIELD_GUEST_RIP);
  EXPECT_EQ("exits", cause->exits, 3);
  EXPECT_EQ("MSR", ledger_cause(ledger, 3)->detail, DEBUGCTL);
  EXPECT_TRUE("none beyond", ledger_cause(ledger, 5) == NULL);
  ledger_free(ledger);
}

/* So many exits in one operation. */
static void play_exits(struct ledger *ledger, const char *label, unsigned exits) {
  static const struct script_event pair[] = {X(VMCS01, CPUID, 0, 1), N(VMCS01, 1)};
  ledger_begin(ledger, ledger_label(ledger, label));
  for (unsigned i = 0; i < exits; i++) SCRIPT_PLAY(ledger, pair);
  ledger_end(ledger);
}

struct mode_case {
  const char *name;
  unsigned operations[6]; /* exits of each; 99 ends */
  unsigned typical;
  double mean;
};

static const struct mode_case mode_cases[] = {
    {"one", {3, 99}, 3, 3.0},
    {"none exits", {0, 0, 99}, 0, 0.0},
    {"the most frequent", {5, 2, 5, 2, 5, 99}, 5, 3.8},
    {"the smaller of equals, larger first", {5, 2, 99}, 2, 3.5},
    {"the smaller of equals, smaller first", {2, 5, 99}, 2, 3.5},
    {"none exits once", {0, 1, 99}, 0, 0.5},
};

static void typical_is_the_mode_with_its_tree(void) {
  for (size_t i = 0; i < sizeof mode_cases / sizeof *mode_cases; i++) {
    const struct mode_case *c = &mode_cases[i];
    struct ledger *ledger = ledger_new(1, 1);
    for (unsigned k = 0; c->operations[k] != 99; k++) play_exits(ledger, "x", c->operations[k]);
    struct ledger_row row;
    struct ledger_tree tree;
    ledger_row(ledger, LEDGER_FIRST, &row);
    EXPECT_EQ(c->name, row.typical, c->typical);
    EXPECT_TRUE(c->name, row.mean > c->mean - 1e-9 && row.mean < c->mean + 1e-9);
    EXPECT_TRUE(c->name, ledger_tree(ledger, LEDGER_FIRST, &tree));
    EXPECT_EQ(c->name, tree.count, c->typical);
    ledger_free(ledger);
  }
}

static void huge_operation_is_counted_beyond_its_tree(void) {
  struct ledger *ledger = ledger_new(1, 1);
  play_exits(ledger, "x", LEDGER_TREE_NODES + 10);
  struct ledger_row row;
  struct ledger_tree tree;
  ledger_row(ledger, LEDGER_FIRST, &row);
  EXPECT_EQ("exits", row.exits, LEDGER_TREE_NODES + 10);
  EXPECT_EQ("typical", row.typical, LEDGER_TREE_NODES + 10);
  EXPECT_EQ("histogram", ledger_histogram(ledger, LEDGER_FIRST, LEDGER_TREE_NODES + 10), 1);
  ledger_tree(ledger, LEDGER_FIRST, &tree);
  EXPECT_EQ("nodes", tree.count, LEDGER_TREE_NODES);
  EXPECT_EQ("exits of the tree", tree.exits, LEDGER_TREE_NODES + 10);
  play_exits(ledger, "y", LEDGER_HISTOGRAM + 5);
  ledger_row(ledger, LEDGER_FIRST + 1, &row);
  EXPECT_EQ("typical of the longest", row.typical, LEDGER_HISTOGRAM);
  EXPECT_EQ("exits of the longest", row.exits, LEDGER_HISTOGRAM + 5);
  ledger_free(ledger);
}

static void countless_msrs_are_folded_not_lost(void) {
  struct ledger *ledger = ledger_new(1, 1);
  enum { EXITS = 2 * LEDGER_CAUSES };
  for (unsigned i = 0; i < EXITS; i++) {
    const struct script_event pair[] = {X(VMCS01, MSR_READ, i, 1), N(VMCS01, 1)};
    SCRIPT_PLAY(ledger, pair);
  }
  struct ledger_reason reasons[EXIT_REASONS];
  ledger_reasons(ledger, 1, reasons);
  EXPECT_EQ("exits", reasons[NST_EXIT_MSR_READ].exits, EXITS);
  EXPECT_TRUE("causes are bounded", ledger_cause_count(ledger) <= LEDGER_CAUSES);
  EXPECT_TRUE("the last is folded", ledger_cause(ledger, ledger_cause_count(ledger) - 1)->folded);
  ledger_free(ledger);
}

static void too_many_labels_share_one(void) {
  struct ledger *ledger = ledger_new(1, 1);
  for (unsigned i = 0; i < 2 * LEDGER_LABELS; i++) {
    char text[16];
    snprintf(text, sizeof text, "label %u", i);
    play_exits(ledger, text, 1);
  }
  EXPECT_EQ("labels", ledger_label_count(ledger), LEDGER_LABELS);
  struct ledger_row row;
  ledger_row(ledger, LEDGER_OTHERS, &row);
  EXPECT_EQ("others", row.operations, 2 * LEDGER_LABELS - (LEDGER_LABELS - LEDGER_FIRST));
  EXPECT_EQ("found again", ledger_label(ledger, "label 3"), LEDGER_FIRST + 3);
  ledger_free(ledger);
}

static void abandoned_operation_is_not_counted(void) {
  struct ledger *ledger = ledger_new(1, 2);
  ledger_begin(ledger, ledger_label(ledger, "CPUID"));
  SCRIPT_PLAY(ledger, cpuid_at_two);
  ledger_abandon(ledger);
  ledger_end(ledger);
  struct ledger_row row;
  ledger_row(ledger, LEDGER_FIRST, &row);
  EXPECT_EQ("operations", row.operations, 0);
  EXPECT_EQ("exits", row.exits, 5);
  ledger_free(ledger);
}

static struct nst_counters fake_counters;
static struct nst_counters read_fake(struct nst_machine *machine) {
  (void)machine;
  return fake_counters;
}
static void detach_fake(struct ledger *ledger) {
  ledger->depth = 99;
}

static struct ledger *make_fake(unsigned depth) {
  struct ledger *ledger = ledger_new(1, depth);
  ledger->machine = (struct nst_machine *)(void *)ledger;
  ledger->read_counters = read_fake;
  ledger->detach = detach_fake;
  return ledger;
}

/* L1 executes 12 VMREADs, of which two exit, and an RDMSR that exits; L0 three VMWRITEs. */
static void exiting_instructions_cost_their_exit_alone(void) {
  struct ledger *ledger = make_fake(2);
  fake_counters = (struct nst_counters){0};
  ledger_begin(ledger, ledger_label(ledger, "CPUID"));
  script_play(ledger, cpuid_at_two, 1);
  fake_counters.vmwrite = 3;
  ledger_book(ledger);
  script_play(ledger, cpuid_at_two + 1, 7);
  fake_counters.vmread = 12;
  fake_counters.rdmsr = 1;
  ledger_book(ledger);
  script_play(ledger, cpuid_at_two + 8, 2);
  ledger_end(ledger);
  struct ledger_row row;
  ledger_row(ledger, LEDGER_FIRST, &row);
  EXPECT_EQ("VMREAD of L1 that did not exit", row.executed[1].vmread, 10);
  EXPECT_EQ("RDMSR of L1 that did not exit", row.executed[1].rdmsr, 0);
  EXPECT_EQ("VMWRITE of L0", row.executed[0].vmwrite, 3);
  EXPECT_EQ("VMWRITE of L1", row.executed[1].vmwrite, 0);
  ledger_detach(ledger);
  EXPECT_EQ("detached", ledger->depth, 99);
  ledger_free(ledger);
}

/* At every level the same question: what was it given, and what did it enter in the end? */
static void routines_are_counted_at_the_level_that_ran_them(void) {
  struct ledger *ledger = ledger_new(1, 3);
  SCRIPT_OPERATION(ledger, "CPUID", cpuid_at_three);
  struct ledger_row row;
  ledger_row(ledger, LEDGER_FIRST, &row);
  uint64_t at_l0 = 0;
  for (unsigned i = 0; i < LEDGER_ROUTINES; i++) at_l0 += row.routines[0][i];
  EXPECT_EQ("L0 ends every exit", at_l0, row.exits);
  EXPECT_EQ("L1 reflects the exit of L3", row.routines[1][LEDGER_ROUTINE_REFLECT], 1);
  EXPECT_EQ("L1 merges for L2", row.routines[1][LEDGER_ROUTINE_MERGE], 1);
  EXPECT_EQ("L1 emulates the VMREAD of L2", row.routines[1][LEDGER_ROUTINE_VMX], 1);
  EXPECT_EQ("L2 handles it", row.routines[2][LEDGER_ROUTINE_HANDLE], 1);
  EXPECT_EQ("L1 handles none", row.routines[1][LEDGER_ROUTINE_HANDLE], 0);
  EXPECT_EQ("L3 is no hypervisor", row.routines[3][LEDGER_ROUTINE_HANDLE], 0);
  ledger_free(ledger);
}

/* Two L1 round trips by hand: what is added up is what was counted, times the tables. */
static void estimate_adds_up_exits_instructions_and_routines(void) {
  struct ledger *ledger = make_fake(2);
  fake_counters = (struct nst_counters){0};
  ledger_begin(ledger, ledger_label(ledger, "CPUID"));
  script_play(ledger, cpuid_at_two, 9);
  fake_counters.vmwrite = 50;
  ledger_book(ledger);
  script_play(ledger, cpuid_at_two + 9, 1);
  ledger_end(ledger);
  struct ledger_row row;
  ledger_row(ledger, LEDGER_FIRST, &row);
  const struct ledger_routine_cost *reflect = ledger_routine(LEDGER_ROUTINE_REFLECT);
  const struct ledger_routine_cost *merge = ledger_routine(LEDGER_ROUTINE_MERGE);
  const struct ledger_routine_cost *vmx = ledger_routine(LEDGER_ROUTINE_VMX);
  const struct ledger_routine_cost *handle = ledger_routine(LEDGER_ROUTINE_HANDLE);
  const struct ledger_cost *exit = ledger_cost(0), *vmwrite = ledger_cost(2);
  const struct ledger_cost *instruction = ledger_cost(ledger_cost_count() - 1);
  EXPECT_STRING("first cost", exit->name, "EXIT");
  EXPECT_STRING("third cost", vmwrite->name, "VMWRITE");
  EXPECT_STRING("last cost", instruction->name, "INSTRUCTION");
  /* L0: reflects, emulates two VMREADs, handles the RDMSR, merges. L1: handles the CPUID. */
  double at_l0 = reflect->typical + 2 * vmx->typical + handle->typical + merge->typical;
  EXPECT_EQ("instructions of L0", row.instructions[0], at_l0);
  EXPECT_EQ("instructions of L1", row.instructions[1], handle->typical);
  EXPECT_EQ("switches", row.cycles_switch, 5 * exit->typical);
  EXPECT_EQ("L0", row.cycles_at[0], at_l0 * instruction->typical + 50 * vmwrite->typical);
  EXPECT_EQ("L1", row.cycles_at[1], handle->typical * instruction->typical);
  EXPECT_EQ("typical", row.cycles_typical, row.cycles_switch + row.cycles_at[0] + row.cycles_at[1]);
  double low = reflect->low + 2 * vmx->low + 2 * handle->low + merge->low;
  EXPECT_EQ("low", row.cycles_low,
            (uint64_t)(5 * exit->low + low * instruction->low + 50 * vmwrite->low));
  EXPECT_TRUE("high", row.cycles_high > row.cycles_typical);
  ledger_free(ledger);
}

static void unit_costs_say_where_they_come_from(void) {
  for (size_t i = 0; i < ledger_cost_count(); i++) {
    const struct ledger_cost *cost = ledger_cost(i);
    EXPECT_TRUE(cost->name, cost->low > 0 && cost->low <= cost->typical);
    EXPECT_TRUE(cost->name, cost->typical <= cost->high);
    /* The geometric middle, rounded: |typical - sqrt(low high)| <= 1/2, or exact below 10. */
    double off = cost->typical < 10 ? 0 : 0.5, product = cost->low * cost->high;
    EXPECT_TRUE(cost->name, (cost->typical - off) * (cost->typical - off) <= product);
    EXPECT_TRUE(cost->name, (cost->typical + off) * (cost->typical + off) >= product);
    EXPECT_TRUE(cost->name, cost->source[0] != '\0' && cost->mark[0] != '\0');
  }
  EXPECT_TRUE("none beyond", ledger_cost(ledger_cost_count()) == NULL);
}

static void routines_have_a_spread_and_samples(void) {
  for (unsigned i = 0; i < LEDGER_ROUTINES; i++) {
    const struct ledger_routine_cost *routine = ledger_routine(i);
    EXPECT_TRUE(routine->name, routine->low > 0 && routine->low <= routine->typical);
    EXPECT_TRUE(routine->name, routine->typical <= routine->high && routine->samples >= 20);
  }
  EXPECT_TRUE("none beyond", ledger_routine(LEDGER_ROUTINES) == NULL);
}

static void anchors_deviate_by_their_range(void) {
  unsigned fits = 0;
  for (size_t i = 0; i < ledger_anchor_count(); i++) {
    const struct ledger_anchor *anchor = ledger_anchor(i);
    EXPECT_TRUE(anchor->id, anchor->low > 0 && anchor->low <= anchor->high && anchor->depth);
    EXPECT_TRUE(anchor->id, anchor->mark[0] != '\0' && anchor->source[0] != '\0');
    EXPECT_TRUE(anchor->id, anchor->shadowing <= LEDGER_ANCHOR_ANY);
    fits += anchor->unit == LEDGER_ANCHOR_FIT;
  }
  EXPECT_EQ("one scale", fits, 1);
  EXPECT_TRUE("none beyond", ledger_anchor(ledger_anchor_count()) == NULL);
  const struct ledger_anchor range = {.low = 40, .high = 50};
  EXPECT_EQ("within, in %", 100 * ledger_anchor_deviation(&range, 45), 0);
  EXPECT_EQ("above, in %", 100 * ledger_anchor_deviation(&range, 75), 50);
  EXPECT_EQ("below, in %", -100 * ledger_anchor_deviation(&range, 30), 25);
}

CU_TestInfo ledger_tree_tests[] = {
    {"depth_one_exit_is_kept", depth_one_exit_is_kept},
    {"depth_two_exits_hang_under_the_reflected_one", depth_two_exits_hang_under_the_reflected_one},
    {"depth_three_exits_hang_two_deep", depth_three_exits_hang_two_deep},
    {"exit_kept_at_depth_costs_one", exit_kept_at_depth_costs_one},
    {"open_exit_of_an_earlier_operation_is_no_parent",
     open_exit_of_an_earlier_operation_is_no_parent},
    {"failed_entry_hangs_under_the_resume", failed_entry_hangs_under_the_resume},
    {"exits_outside_operations_have_their_own_heading",
     exits_outside_operations_have_their_own_heading},
    {"causes_carry_field_and_msr", causes_carry_field_and_msr},
    {"typical_is_the_mode_with_its_tree", typical_is_the_mode_with_its_tree},
    {"huge_operation_is_counted_beyond_its_tree", huge_operation_is_counted_beyond_its_tree},
    {"countless_msrs_are_folded_not_lost", countless_msrs_are_folded_not_lost},
    {"too_many_labels_share_one", too_many_labels_share_one},
    {"abandoned_operation_is_not_counted", abandoned_operation_is_not_counted},
    {"exiting_instructions_cost_their_exit_alone", exiting_instructions_cost_their_exit_alone},
    {"routines_are_counted_at_the_level_that_ran_them",
     routines_are_counted_at_the_level_that_ran_them},
    {"estimate_adds_up_exits_instructions_and_routines",
     estimate_adds_up_exits_instructions_and_routines},
    {"unit_costs_say_where_they_come_from", unit_costs_say_where_they_come_from},
    {"routines_have_a_spread_and_samples", routines_have_a_spread_and_samples},
    {"anchors_deviate_by_their_range", anchors_deviate_by_their_range},
    CU_TEST_INFO_NULL};
