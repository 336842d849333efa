/* SPDX-License-Identifier: MIT
 * Operation logs: every line form, the recorded logs' own counts, damage, and rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/expect.h"
#include "traces/ops_round.h"
#include "traces/trace.h"

#ifndef NESTOR_TEST_SOURCE_DIR
#define NESTOR_TEST_SOURCE_DIR "."
#endif
#define RECORDED NESTOR_TEST_SOURCE_DIR "/traces/recorded/"

static const struct {
  const char *name;
  int number;
} reasons[] = {
#define EXIT_REASON(name, number, qualification, information, length, title) {#name, number},
#include "vmcs/reason.def"
};

static int vmx_reason(const char *name) {
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if (strcmp(reasons[i].name, name) == 0) return reasons[i].number;
  }
  return -1;
}

static const char *reason_name(uint32_t number) {
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if ((uint32_t)reasons[i].number == number) return reasons[i].name;
  }
  return "?";
}

static const char *field_name(uint32_t encoding) {
  return encoding == 0x681e ? "GUEST_RIP" : "FIELD";
}

static const struct ops_names names = {field_name, reason_name, vmx_reason};

/* ---- reading */

struct log {
  char path[64], error[700];
  struct ops_reader *reader;
};

static bool open_text(struct log *log, const char *text, size_t size) {
  memset(log, 0, sizeof *log);
  strcpy(log->path, "/tmp/nestor-test-XXXXXX");
  int descriptor = mkstemp(log->path);
  FILE *file = descriptor >= 0 ? fdopen(descriptor, "wb") : NULL;
  if (!EXPECT_TRUE("temporary file", file != NULL)) return false;
  fwrite(text, 1, size, file);
  fclose(file);
  log->reader = ops_open(log->path, vmx_reason, log->error, sizeof log->error);
  return EXPECT_TRUE("opened", log->reader != NULL);
}

static void close_text(struct log *log) {
  ops_close(log->reader);
  unlink(log->path);
}

static void every_line_is_read(void) {
  static const char text[] =
      "M 1 0 100\n"
      "X a 0 100df fc5d000 7 100\n"
      "R 4402 0\n"
      "W 681e ffffffffc07213ae\n"
      "I 2 0\n"
      "N 0 ffffffffc07213ae dfbf000 0 120\n"
      "gR 4402 0 ffffffffc06fb16a\n"
      "gW 681e 10104 ffffffffc06faf89\n"
      "gV 0 0 ffffffffc072139e\n"
      "X 18 0 ffffffffc072139e dfbf000 0 140\n"
      "gJ 3 0 10\n"
      "X a 0 10 dfbf000 0 150\n"
      "M 0 0 160\n";
  static const struct ops_event expected[] = {
      {.kind = OPS_SWITCH, .on = true},
      {.kind = OPS_EXIT, .reason = 10, .rip = 0x100df, .vmcs = 0xfc5d000, .rcx = 7},
      {.kind = OPS_VMREAD, .field = 0x4402},
      {.kind = OPS_VMWRITE, .field = 0x681e, .value = 0xffffffffc07213ae},
      {.kind = OPS_INVEPT, .field = 2},
      {.kind = OPS_ENTRY, .rip = 0xffffffffc07213ae, .vmcs = 0xdfbf000},
      {.kind = OPS_VMREAD, .guest = true, .field = 0x4402, .rip = 0xffffffffc06fb16a},
      {.kind = OPS_VMWRITE,
       .guest = true,
       .field = 0x681e,
       .value = 0x10104,
       .rip = 0xffffffffc06faf89},
      {.kind = OPS_VMRESUME, .guest = true, .exits = true, .rip = 0xffffffffc072139e},
      {.kind = OPS_EXIT, .reason = 24, .rip = 0xffffffffc072139e, .vmcs = 0xdfbf000},
      {.kind = OPS_INVVPID, .guest = true, .field = 3, .rip = 0x10}, /* a CPUID exited */
      {.kind = OPS_EXIT, .reason = 10, .rip = 0x10, .vmcs = 0xdfbf000},
      {.kind = OPS_SWITCH},
  };
  struct log log;
  struct ops_event event;
  if (!open_text(&log, text, sizeof text - 1)) return;
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    const struct ops_event *want = &expected[i];
    char what[16];
    snprintf(what, sizeof what, "event %zu", i + 1);
    if (!EXPECT_EQ(what, ops_next(log.reader, &event), 1)) break;
    EXPECT_EQ(what, event.kind, want->kind);
    EXPECT_EQ(what, event.guest, want->guest);
    EXPECT_EQ(what, event.exits, want->exits);
    EXPECT_EQ(what, event.on, want->on);
    EXPECT_EQ(what, event.field, want->field);
    EXPECT_EQ(what, event.value, want->value);
    EXPECT_EQ(what, event.rip, want->rip);
    EXPECT_EQ(what, event.vmcs, want->vmcs);
    EXPECT_EQ(what, event.rcx, want->rcx);
    EXPECT_EQ(what, event.reason, want->reason);
  }
  EXPECT_EQ("end", ops_next(log.reader, &event), 0);
  EXPECT_EQ("end stays", ops_next(log.reader, &event), 0);
  EXPECT_EQ("lines", ops_lines(log.reader), 13);
  close_text(&log);
}

static void recorded_logs_have_the_counts_of_the_readme(void) {
  static const struct {
    const char *name;
    unsigned exits, reads, writes, guest_reads, guest_reads_that_exit, guest_writes;
  } cases[] = {
      {"vmx-l1-micro", 696, 8026, 1180, 0, 0, 0},
      {"vmx-l1-micro-ept0", 849, 9806, 1343, 0, 0, 0},
      {"vmx-l2-micro-shadow", 3896, 75167, 97623, 7002, 1108, 1179},
      {"vmx-l2-micro-noshadow", 10870, 142113, 87751, 7011, 7011, 1180},
      {"vmx-l2-micro-l1ept0-shadow", 5788, 132108, 121730, 8689, 2310, 1345},
      {"vmx-l2-micro-l1ept0-noshadow", 13250, 201937, 107561, 8682, 8682, 1344},
      {"vmx-l2-micro-shadow-skylake", 3298, 67400, 91389, 5696, 708, 1096},
      {"vmx-l2-micro-noshadow-skylake", 9163, 128714, 81697, 5699, 5699, 1099},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char path[512], error[700];
    unsigned counts[2][OPS_KIND_COUNT] = {{0}}, exiting = 0;
    struct ops_event event;
    snprintf(path, sizeof path, RECORDED "%s.ops.txt.zst", cases[i].name);
    struct ops_reader *reader = ops_open(path, vmx_reason, error, sizeof error);
    if (!EXPECT_TRUE(path, reader != NULL)) continue;
    int status;
    while ((status = ops_next(reader, &event)) == 1) {
      counts[event.guest][event.kind]++;
      exiting += event.guest && event.kind == OPS_VMREAD && event.exits;
    }
    EXPECT_EQ(cases[i].name, status, 0);
    EXPECT_EQ(cases[i].name, counts[0][OPS_EXIT], cases[i].exits);
    EXPECT_EQ(cases[i].name, counts[0][OPS_ENTRY], cases[i].exits);
    EXPECT_EQ(cases[i].name, counts[0][OPS_VMREAD], cases[i].reads);
    EXPECT_EQ(cases[i].name, counts[0][OPS_VMWRITE], cases[i].writes);
    EXPECT_EQ(cases[i].name, counts[1][OPS_VMREAD], cases[i].guest_reads);
    EXPECT_EQ(cases[i].name, exiting, cases[i].guest_reads_that_exit);
    EXPECT_EQ(cases[i].name, counts[1][OPS_VMWRITE], cases[i].guest_writes);
    ops_close(reader);
  }
}

static void damage_is_told_with_its_line(void) {
  static const struct {
    const char *name, *text, *sentence;
  } cases[] = {
      {"another file", "hello\n", ":1: expected 'M 1 RCX COUNT', with which an operation log"},
      {"empty", "", "truncated after line 0"},
      {"no end", "M 1 0 1\nR 4402 0\n", "truncated after line 2; expected 'M 0"},
      {"cut line", "M 1 0 1\nR 44", ":2: expected a line of an operation log"},
      {"no number", "M 1 0 1\nR xyz 0\nM 0 0 2\n", ":2: expected a line of an operation log"},
      {"number too long", "M 1 0 1\nR 11112222333344445 0\n", ":2: expected"},
      {"too many numbers", "M 1 0 1\nR 1 2 3\n", "got 'R 1 2 3'"},
      {"too few", "M 1 0 1\nX a 0 1\n", "got 'X a 0 1'"},
      {"unknown letter", "M 1 0 1\nQ 0 0\n", "got 'Q 0 0'"},
      {"guest exit", "M 1 0 1\ngX a 0 1\n", "got 'gX a 0 1'"},
      {"reason out of range", "M 1 0 1\nX 100000000 0 0 0 0 0\n", ":2: expected"},
      {"decimal count", "M 1 0 1\nX a 0 0 0 0 ff\n", ":2: expected"},
      {"on twice", "M 1 0 1\nM 1 0 2\n", ":2: expected a line"},
      {"after the end", "M 1 0 1\nM 0 0 2\nR 1 0\n", ":3: expected 'M 1 RCX COUNT'"},
      {"control characters", "M 1 0 1\n\x01\x02\n",
       "got '?"
       "?'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct log log;
    struct ops_event event;
    int status;
    if (!open_text(&log, cases[i].text, strlen(cases[i].text))) continue;
    while ((status = ops_next(log.reader, &event)) == 1) continue;
    EXPECT_EQ(cases[i].name, status, -1);
    EXPECT_CONTAINS(cases[i].name, ops_error(log.reader), cases[i].sentence);
    EXPECT_CONTAINS(cases[i].name, ops_error(log.reader), log.path);
    EXPECT_EQ("stays an error", ops_next(log.reader, &event), -1);
    close_text(&log);
  }
}

static void the_trace_reader_says_what_a_log_is(void) {
  char error[700] = "";
  EXPECT_TRUE("refused",
              !trace_open(RECORDED "vmx-l1-micro.ops.txt.zst", NULL, error, sizeof error));
  EXPECT_CONTAINS("sentence", error, "an operation log holds VMX instructions");
}

/* ---- rounds */

static void add(struct ops_rounds *rounds, unsigned level, struct ops_event event) {
  ops_rounds_add(rounds, &event, level);
}

/* One exit of the guest at level 2 that level 1 is given; the guest hypervisor reads `field`. */
static void add_round(struct ops_rounds *rounds, uint32_t reason, uint64_t field, bool exits) {
  add(rounds, 2, (struct ops_event){.kind = OPS_EXIT, .reason = reason});
  add(rounds, 0, (struct ops_event){.kind = OPS_VMREAD, .field = 0x4402});
  add(rounds, 0, (struct ops_event){.kind = OPS_VMRESUME});
  add(rounds, 1, (struct ops_event){.kind = OPS_ENTRY});
  add(rounds, 1,
      (struct ops_event){.kind = OPS_VMREAD, .guest = true, .exits = exits, .field = field});
  add(rounds, 1, (struct ops_event){.kind = OPS_EXIT, .reason = 31, .rcx = 0x1d9});
  add(rounds, 1, (struct ops_event){.kind = OPS_ENTRY});
  add(rounds, 1, (struct ops_event){.kind = OPS_VMRESUME, .guest = true, .exits = true});
  add(rounds, 1, (struct ops_event){.kind = OPS_EXIT, .reason = 24});
  add(rounds, 2, (struct ops_event){.kind = OPS_ENTRY});
}

static void rounds_are_grouped_by_what_the_guest_did(void) {
  struct ops_rounds *rounds = ops_rounds_create(2, &names);
  if (!EXPECT_TRUE("memory", rounds != NULL)) return;
  for (unsigned i = 0; i < 3; i++) add_round(rounds, 10, 0x681e, false);
  add_round(rounds, 10, 0x6820, false);
  add(rounds, 2, (struct ops_event){.kind = OPS_EXIT, .reason = 10}); /* L0 keeps this one */
  add(rounds, 2, (struct ops_event){.kind = OPS_ENTRY});
  add(rounds, 2, (struct ops_event){.kind = OPS_EXIT, .reason = 30, .qualification = 0x800000});
  add(rounds, 2, (struct ops_event){.kind = OPS_ENTRY});
  const struct ops_group *group = ops_rounds_find(rounds, "CPUID", 1);
  if (EXPECT_TRUE("CPUID at L1", group != NULL)) {
    EXPECT_EQ("rounds", group->rounds, 4);
    EXPECT_EQ("sequences", group->count, 2);
    const struct ops_sequence *typical = ops_group_typical(group);
    EXPECT_EQ("typical", typical->rounds, 3);
    EXPECT_EQ("steps", typical->length, 3); /* the exit of VMRESUME is the instruction's own */
    char text[64];
    EXPECT_STRING("first", ops_item_text(&typical->items[0], &names, text, sizeof text),
                  "VMREAD GUEST_RIP");
    EXPECT_STRING("second", ops_item_text(&typical->items[1], &names, text, sizeof text),
                  "exit of L1: MSR_READ 0x1d9");
    EXPECT_STRING("third", ops_item_text(&typical->items[2], &names, text, sizeof text),
                  "VMRESUME, exits");
  }
  group = ops_rounds_find(rounds, "CPUID", 0);
  if (EXPECT_TRUE("CPUID at L0", group != NULL)) {
    EXPECT_EQ("all alike there", group->count, 1);
    EXPECT_EQ("steps", ops_group_typical(group)->length, 8);
  }
  EXPECT_TRUE("kept", ops_rounds_find(rounds, "CPUID (kept)", 0) != NULL);
  EXPECT_TRUE("by port", ops_rounds_find(rounds, "OUT 0x80 (kept)", 0) != NULL);
  EXPECT_TRUE("nothing of L1 in it", ops_rounds_find(rounds, "CPUID (kept)", 1) == NULL);
  EXPECT_EQ("VMREADs of L1", ops_rounds_executed(rounds, 1, OPS_VMREAD), 4);
  EXPECT_EQ("of them exited", ops_rounds_exited(rounds, 1, OPS_VMREAD), 0);
  EXPECT_EQ("VMRESUMEs of L1 exited", ops_rounds_exited(rounds, 1, OPS_VMRESUME), 4);
  add(rounds, 2, (struct ops_event){.kind = OPS_SWITCH, .on = true});
  EXPECT_TRUE("switching on begins afresh", ops_rounds_group(rounds, 0) == NULL);
  ops_rounds_destroy(rounds);
}

/* The typical sequences of level 1 of two runs of one round each. */
static bool are_equal(uint64_t left_field, bool left_exits, uint64_t right_field, bool right_exits,
                      size_t *at) {
  struct ops_rounds *left = ops_rounds_create(2, &names), *right = ops_rounds_create(2, &names);
  add_round(left, 10, left_field, left_exits);
  add_round(right, 10, right_field, right_exits);
  size_t right_at;
  bool equal = ops_sequence_equal(ops_group_typical(ops_rounds_find(left, "CPUID", 1)),
                                  ops_group_typical(ops_rounds_find(right, "CPUID", 1)), NULL, at,
                                  &right_at);
  ops_rounds_destroy(left);
  ops_rounds_destroy(right);
  return equal;
}

static void sequences_differ_by_field_and_by_exiting(void) {
  size_t at;
  EXPECT_TRUE("same", are_equal(0x681e, false, 0x681e, false, &at));
  EXPECT_TRUE("another field", !are_equal(0x681e, false, 0x6820, false, &at));
  EXPECT_EQ("where", at, 0);
  EXPECT_TRUE("exits", !are_equal(0x681e, false, 0x681e, true, &at));
}

static void ignored_reads_are_passed_over(void) {
  static const struct ops_ignored ignored = {1, {0x681e}};
  struct ops_item rip = {.kind = OPS_VMREAD, .detail = 0x681e};
  struct ops_item flags = {.kind = OPS_VMREAD, .detail = 0x6820};
  struct ops_item a[] = {rip, flags, rip}, b[] = {flags}, c[] = {flags, flags};
  struct ops_sequence left = {.length = 3, .kept = 3, .items = a};
  struct ops_sequence right = {.length = 1, .kept = 1, .items = b};
  struct ops_sequence longer = {.length = 2, .kept = 2, .items = c};
  size_t l, r;
  EXPECT_TRUE("equal", ops_sequence_equal(&left, &right, &ignored, &l, &r));
  EXPECT_TRUE("not without ignoring", !ops_sequence_equal(&left, &right, NULL, &l, &r));
  EXPECT_EQ("parts at the first", l, 0);
  EXPECT_TRUE("longer", !ops_sequence_equal(&left, &longer, &ignored, &l, &r));
  EXPECT_EQ("at the end of the one", l, 3);
  EXPECT_EQ("before the last of the other", r, 1);
}

/* Rounds without end, of any number of kinds, take no more memory than is set aside. */
static void endless_rounds_are_counted_not_kept(void) {
  struct ops_rounds *rounds = ops_rounds_create(1, &names);
  if (!EXPECT_TRUE("memory", rounds != NULL)) return;
  for (unsigned i = 0; i < 400; i++) {
    add(rounds, 1,
        (struct ops_event){
            .kind = OPS_EXIT, .reason = 30, .qualification = (uint64_t)(i % 300) << 16});
    for (unsigned k = 0; k < 20000; k++)
      add(rounds, 0, (struct ops_event){.kind = OPS_VMREAD, .field = i + k});
    add(rounds, 1, (struct ops_event){.kind = OPS_ENTRY});
  }
  uint64_t kept = 0, unkept = 0;
  const struct ops_group *group;
  for (unsigned i = 0; (group = ops_rounds_group(rounds, i)) != NULL; i++) {
    unkept += group->unkept;
    for (unsigned k = 0; k < group->count; k++) kept += group->sequence[k].kept;
  }
  EXPECT_TRUE("items are limited", kept <= OPS_KEPT_ITEMS);
  EXPECT_TRUE("and all others counted", unkept > 0);
  EXPECT_EQ("so are kinds", ops_rounds_ungrouped(rounds), 400 - 256 - 100);
  ops_rounds_destroy(rounds);
}

extern CU_TestInfo traces_ops_tests[];
CU_TestInfo traces_ops_tests[] = {
    {"every_line_is_read", every_line_is_read},
    {"recorded_logs_have_the_counts_of_the_readme", recorded_logs_have_the_counts_of_the_readme},
    {"damage_is_told_with_its_line", damage_is_told_with_its_line},
    {"the_trace_reader_says_what_a_log_is", the_trace_reader_says_what_a_log_is},
    {"rounds_are_grouped_by_what_the_guest_did", rounds_are_grouped_by_what_the_guest_did},
    {"sequences_differ_by_field_and_by_exiting", sequences_differ_by_field_and_by_exiting},
    {"ignored_reads_are_passed_over", ignored_reads_are_passed_over},
    {"endless_rounds_are_counted_not_kept", endless_rounds_are_counted_not_kept},
    CU_TEST_INFO_NULL};
