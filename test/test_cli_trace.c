/* SPDX-License-Identifier: MIT
 * nestor trace compare, with the real replay: the recorded operation logs against the emulated
 * hypervisors, and bad requests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli.h"
#include "test/expect.h"

#define RECORDED NESTOR_TEST_SOURCE_DIR "/traces/recorded/"
#define GUEST RECORDED "vmx-l1-micro.txt.zst"
#define LOG_L1 RECORDED "vmx-l1-micro.ops.txt.zst"

/* Runs nestor trace with up to seven words; *text is what was printed, to be freed. */
static int run_trace(const char *const *words, char **text) {
  static const struct cli_engine engine = {.replay_run = replay_run, .replay_free = replay_free};
  char *arguments[10] = {NULL}, *complaint;
  int count = 0, status;
  size_t length;
  arguments[count++] = strdup("nestor");
  arguments[count++] = strdup("trace");
  for (; *words; words++) arguments[count++] = strdup(*words);
  FILE *out = open_memstream(text, &length), *err = open_memstream(&complaint, &length);
  struct cli cli = {out, err, &engine, NULL, 100, false};
  status = cli_run(&cli, count, arguments);
  fclose(out);
  fclose(err);
  char *both = malloc(strlen(*text) + strlen(complaint) + 1);
  strcpy(both, *text);
  strcat(both, complaint);
  free(*text);
  free(complaint);
  *text = both;
  for (int i = 0; i < count; i++) free(arguments[i]);
  return status;
}

/* Kinds of round whose row ends in the verdict, other than those whose label begins with a word
 * of `aside`. */
static unsigned count_rows(const char *text, const char *verdict, const char *const *aside) {
  unsigned count = 0;
  char *copy = strdup(text);
  for (char *save = NULL, *line = strtok_r(copy, "\n", &save); line;
       line = strtok_r(NULL, "\n", &save)) {
    const char *end = strstr(line, "  ") ? line + strlen(line) - strlen(verdict) : line;
    bool is_row = line[0] == 'L' && end > line && strcmp(end, verdict) == 0 && end[-1] == ' ';
    for (unsigned i = 0; is_row && aside[i]; i++)
      is_row = strncmp(line + 3, aside[i], strlen(aside[i])) != 0;
    count += is_row;
  }
  free(copy);
  return count;
}

/* What timers and host memory decide may differ; all else may not. */
static void typical_rounds_are_the_recorded_ones(void) {
  static const struct {
    const char *log, *level, *verdict;
    unsigned kinds;
    const char *aside[4];
  } cases[] = {
      {"vmx-l1-micro", "0", "equal, recorder's reads aside", 22, {"HLT"}},
      {"vmx-l2-micro-shadow", "1", "equal", 21, {"HLT"}},
      {"vmx-l2-micro-shadow", "0", "equal, recorder's reads aside", 23, {"HLT"}},
      {"vmx-l2-micro-noshadow", "1", "equal", 20, {"HLT", "EPT_VIOLATION store, mark 0x70"}},
      {"vmx-l2-micro-noshadow",
       "0",
       "equal, recorder's reads aside",
       21,
       {"HLT", "EPT_VIOLATION store, mark 0x70"}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char log[512], what[96], *text;
    snprintf(log, sizeof log, RECORDED "%s.ops.txt.zst", cases[i].log);
    snprintf(what, sizeof what, "%s, L%s", cases[i].log, cases[i].level);
    const char *words[] = {"compare", log, GUEST, "--level", cases[i].level, NULL};
    int status = run_trace(words, &text);
    EXPECT_TRUE(what, status == CLI_FINE || status == CLI_CLAIM_FAILS);
    EXPECT_EQ(what, count_rows(text, cases[i].verdict, cases[i].aside), cases[i].kinds);
    EXPECT_EQ(what, count_rows(text, "different", cases[i].aside), 0);
    EXPECT_EQ(what, count_rows(text, "only in the log", cases[i].aside), 0);
    EXPECT_EQ(what, count_rows(text, "only in the replay", cases[i].aside), 0);
    free(text);
  }
}

/* The comparison can fail: shadowing off executes the same and exits more often. */
static void another_machine_differs(void) {
  static const char *const none[] = {NULL};
  char *text;
  const char *words[] = {"compare", RECORDED "vmx-l2-micro-shadow.ops.txt.zst",
                         GUEST,     "--level",
                         "1",       "--vmcs-shadowing",
                         "off",     NULL};
  EXPECT_EQ("status", run_trace(words, &text), CLI_CLAIM_FAILS);
  EXPECT_EQ("equal", count_rows(text, "equal", none), 0);
  EXPECT_TRUE("different", count_rows(text, "different", none) > 20);
  EXPECT_CONTAINS("first step", text, ">    1  VMREAD VM_EXIT_REASON, exits");
  EXPECT_CONTAINS("reason", text, "more in the replay:");
  free(text);
}

static void log_without_ept_needs_its_scheme(void) {
  const char *words[] = {"compare",
                         "traces/recorded/vmx-l1-micro-ept0.ops.txt.zst",
                         "traces/recorded/vmx-l1-micro-ept0.txt.zst",
                         "--scheme",
                         "shadow-on-shadow",
                         NULL};
  char *text;
  run_trace(words, &text);
  EXPECT_CONTAINS("rounds of every kind meet", text, "849 rounds of the log compared");
  EXPECT_TRUE("none is the log's alone", strstr(text, "only in the log") == NULL);
  free(text);
}

/* Nested, only that the recorded guest is in 32-bit mode tells L0's rounds from the replay's: it
 * writes the four entries of the top table of a PAE guest before each entry. */
static void nested_log_without_ept_leaves_the_guests_mode(void) {
  const char *words[] = {"compare",
                         "traces/recorded/vmx-l2-micro-l1ept0-noshadow.ops.txt.zst",
                         "traces/recorded/vmx-l1-micro-ept0.txt.zst",
                         "--scheme",
                         "shadow-on-ept",
                         NULL};
  char *text;
  run_trace(words, &text);
  EXPECT_CONTAINS("L1", text,
                  "equal                              24 kinds of round,    746 rounds");
  const char *at = strstr(text, "L0 CPUID\n");
  EXPECT_TRUE("L0 has more", at != NULL);
  EXPECT_CONTAINS("what more", at,
                  "more in the log:    1 VMWRITE GUEST_PDPTR0, 1 VMWRITE GUEST_PDPTR1, 1 VMWRITE "
                  "GUEST_PDPTR2, 1 VMWRITE GUEST_PDPTR3\n");
  free(text);
}

static void longest_option_stands_off_its_help(void) {
  const char *words[] = {"--help", NULL};
  char *text;
  EXPECT_EQ("status", run_trace(words, &text), CLI_FINE);
  EXPECT_CONTAINS("help", text, "--vmcs-shadowing WHICH on or off");
  free(text);
}

static void bad_requests_are_told(void) {
  static const struct {
    const char *words[6], *sentence;
  } cases[] = {
      {{NULL}, "trace expects compare"},
      {{"show", NULL}, "unknown command 'trace show'"},
      {{"compare", LOG_L1, NULL}, "expects an operation log and a scenario"},
      {{"compare", LOG_L1, "nothing.txt", NULL}, "no trace 'nothing.txt'"},
      {{"compare", GUEST, GUEST, NULL}, ":1: expected 'M 1 RCX COUNT'"},
      {{"compare", LOG_L1, LOG_L1, NULL}, "an operation log holds VMX instructions"},
      {{"compare", LOG_L1, GUEST, "--depth", "2", NULL}, "the log is of a guest at depth 1"},
      {{"compare", LOG_L1, GUEST, "--depth", "0", NULL}, "expected 1 or 2"},
      {{"compare", LOG_L1, GUEST, "--level", "1", NULL}, "hypervisors at levels 0 to 0"},
      {{"compare", LOG_L1, GUEST, "--vmcs-shadowing", "yes", NULL}, "expected on or off"},
      {{"compare", LOG_L1, GUEST, "--dept", "1", NULL}, "did you mean --depth"},
      {{"compare", LOG_L1, GUEST, "--processor", "z80", NULL}, "--processor z80: expected"},
      {{"compare", LOG_L1, GUEST, "--scheme", "flat", NULL}, "--scheme flat: expected"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char *text;
    EXPECT_EQ(cases[i].sentence, run_trace(cases[i].words, &text), CLI_USAGE);
    EXPECT_CONTAINS(cases[i].sentence, text, cases[i].sentence);
    free(text);
  }
}

extern CU_TestInfo cli_trace_tests[];
CU_TestInfo cli_trace_tests[] = {
    {"typical_rounds_are_the_recorded_ones", typical_rounds_are_the_recorded_ones},
    {"another_machine_differs", another_machine_differs},
    {"log_without_ept_needs_its_scheme", log_without_ept_needs_its_scheme},
    {"nested_log_without_ept_leaves_the_guests_mode",
     nested_log_without_ept_leaves_the_guests_mode},
    {"longest_option_stands_off_its_help", longest_option_stands_off_its_help},
    {"bad_requests_are_told", bad_requests_are_told},
    CU_TEST_INFO_NULL};
