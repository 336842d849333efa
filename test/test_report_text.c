/* SPDX-License-Identifier: MIT
 * The reports of a small synthetic replay, byte for byte against test/golden; with the environment
 * variable NESTOR_GOLDEN_WRITE set, the files are written instead. */
#include <stdlib.h>
#include <string.h>

#include "src/report/part.h"
#include "test/expect.h"
#include "test/test_report_replay.h"

#ifndef NESTOR_TEST_SOURCE_DIR
#define NESTOR_TEST_SOURCE_DIR "."
#endif

typedef int (*report_function)(FILE *out, const struct replay *replay,
                               const struct report_options *options);

static char *print_report(report_function report, const struct replay *replay,
                          const struct report_options *options, int *status) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  *status = report(out, replay, options);
  fclose(out);
  char *copy = strdup(text);
  free(text);
  return copy;
}

static char *read_file(const char *path) {
  char *text = NULL;
  size_t size = 0;
  FILE *in = fopen(path, "r"), *out = open_memstream(&text, &size);
  for (int c; in && (c = getc(in)) != EOF;) putc(c, out);
  fclose(out);
  if (in) fclose(in);
  return text;
}

struct golden_case {
  const char *name; /* of the file */
  report_function report;
  struct report_options options;
};

static const struct golden_case golden_cases[] = {
    {"report_text.txt", report_text, {0}},
    {"report_all.txt",
     report_text,
     {.claims = true, .compare = true, .loss = true, .tree = 2, .steps = "cpuid"}},
    {"report_costs.txt", report_text, {.costs = true}},
    {"report_narrow.txt", report_text, {.columns = 66, .steps = "nonsense"}},
    {"report_csv.txt", report_csv, {0}},
    {"report_csv_causes.txt", report_csv_causes, {0}},
    {"report_json.txt", report_json, {0}},
    {"report.html", report_html, {.tree = 2, .steps = "cpuid"}},
    {"report_junit.xml", report_junit, {0}},
    {"report_tap.txt", report_tap, {0}},
    {"report_folded.txt", report_folded, {0}},
    {"report_perfetto.json", report_perfetto, {0}},
};

static void report_of_synthetic_replay_is_as_before(void) {
  struct replay *replay = make_replay();
  for (size_t i = 0; i < sizeof golden_cases / sizeof *golden_cases; i++) {
    const struct golden_case *c = &golden_cases[i];
    char path[512];
    int status;
    snprintf(path, sizeof path, "%s/test/golden/%s", NESTOR_TEST_SOURCE_DIR, c->name);
    char *text = print_report(c->report, replay, &c->options, &status);
    if (getenv("NESTOR_GOLDEN_WRITE")) {
      FILE *out = fopen(path, "w");
      if (EXPECT_TRUE(path, out != NULL)) {
        fputs(text, out);
        fclose(out);
      }
    }
    char *golden = read_file(path);
    EXPECT_STRING(c->name, text, golden);
    EXPECT_EQ(c->name, status, 1); /* one of its claims is wrong on purpose */
    free(golden);
    free(text);
  }
  free_replay(replay);
}

static void text_lines_of_the_table_fit_the_columns(void) {
  struct replay *replay = make_replay();
  struct report_options options = {.columns = 72};
  int status;
  char *text = print_report(report_text, replay, &options, &status);
  char *end = strstr(text, "\nMarks");
  if (EXPECT_TRUE("a table", end != NULL)) *end = '\0';
  char *table = strstr(text, "\n\n");
  for (char *line = strtok(table, "\n"); line; line = strtok(NULL, "\n"))
    EXPECT_TRUE(line, strlen(line) <= 72);
  free(text);
  free_replay(replay);
}

/* Four processors, with shadowing and without, at depth 2: eight columns. */
static void wide_comparison_is_split_into_blocks(void) {
  static const char *const names[] = {"nehalem", "haswell", "broadwell-pml", "skylake-x"};
  struct replay *replay = make_replay();
  struct scenario *scenario = (struct scenario *)(uintptr_t)replay->scenario;
  struct report_options options = {.columns = 72};
  int status;
  for (unsigned i = 0; i < replay->variant_count; i++) ledger_free(replay->variant[i].ledger);
  scenario->axis[SCENARIO_AXIS_PROCESSOR] = (struct scenario_axis){true, 4, {0, 1, 2, 3}};
  remake_variants(replay);
  EXPECT_EQ("variants", replay->variant_count, 12);
  for (unsigned i = 0; i < replay->variant_count; i++) play_variant(&replay->variant[i]);
  char *text = print_report(report_text, replay, &options, &status);
  char *end = strstr(text, "\nMarks");
  if (EXPECT_TRUE("a table", end != NULL)) *end = '\0';
  char *table = strstr(text, "\n\n");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    EXPECT_CONTAINS("column", table, names[i]);
  for (char *line = strtok(table, "\n"); line; line = strtok(NULL, "\n"))
    EXPECT_TRUE(line, strlen(line) <= 72);
  free(text);
  free_replay(replay);
}

/* ---- CSV: one table, every record with the columns of the heading --------------------------- */

static unsigned count_columns(const char *line) {
  unsigned columns = 1;
  bool is_quoted = false;
  for (; *line && *line != '\n'; line++) {
    if (*line == '"') is_quoted = !is_quoted;
    if (*line == ',' && !is_quoted) columns++;
  }
  return columns;
}

static void csv_records_have_the_columns_of_their_heading(void) {
  static const struct {
    report_function report;
    unsigned columns, records;
  } cases[] = {{report_csv, SCENARIO_AXIS_COUNT + 15, 10},
               {report_csv_causes, SCENARIO_AXIS_COUNT + 7, 14}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct replay *replay = make_replay();
    struct report_options options = {0};
    int status;
    char *text = print_report(cases[i].report, replay, &options, &status);
    unsigned records = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1, records++)
      EXPECT_EQ("columns", count_columns(line), cases[i].columns);
    EXPECT_EQ("records, with the heading", records, cases[i].records);
    EXPECT_CONTAINS("label with a comma and quotes", text, "\"odd \"\"label\"\", with comma\"");
    free(text);
    free_replay(replay);
  }
}

/* ---- JSON: a reader that takes exactly RFC 8259's grammar ----------------------------------- */

static const char *read_value(const char *at, unsigned depth);

static const char *skip_space(const char *at) {
  while (at && *at && strchr(" \t\r\n", *at)) at++;
  return at;
}

static const char *read_string(const char *at) {
  if (*at++ != '"') return NULL;
  for (; *at != '"'; at++) {
    if ((unsigned char)*at < 0x20) return NULL;
    if (*at != '\\') continue;
    at++;
    if (!*at || !strchr("\"\\/bfnrtu", *at)) return NULL;
    if (*at == 'u' && strspn(at + 1, "0123456789abcdefABCDEF") < 4) return NULL;
  }
  return at + 1;
}

static const char *read_number(const char *at) {
  char *end;
  if (*at != '-' && (*at < '0' || *at > '9')) return NULL;
  strtod(at, &end);
  return end == at ? NULL : end;
}

static const char *read_list(const char *at, char close, unsigned depth) {
  bool is_object = close == '}';
  at = skip_space(at + 1);
  if (*at == close) return at + 1;
  for (;; at = skip_space(at + 1)) {
    if (is_object) {
      at = read_string(at);
      at = at ? skip_space(at) : NULL;
      if (!at || *at != ':') return NULL;
      at = skip_space(at + 1);
    }
    at = skip_space(read_value(at, depth + 1));
    if (!at) return NULL;
    if (*at == close) return at + 1;
    if (*at != ',') return NULL;
  }
}

static const char *read_value(const char *at, unsigned depth) {
  if (depth > 20) return NULL;
  if (*at == '{') return read_list(at, '}', depth);
  if (*at == '[') return read_list(at, ']', depth);
  if (*at == '"') return read_string(at);
  if (strncmp(at, "true", 4) == 0 || strncmp(at, "null", 4) == 0) return at + 4;
  if (strncmp(at, "false", 5) == 0) return at + 5;
  return read_number(at);
}

static void json_is_well_formed(void) {
  struct replay *replay = make_replay();
  struct report_options options = {0};
  int status;
  char *text = print_report(report_json, replay, &options, &status);
  const char *end = skip_space(read_value(skip_space(text), 0));
  EXPECT_TRUE("ends where it should", end && *end == '\0');
  EXPECT_CONTAINS("schema", text, "\"schema\": \"nestor-replay\", \"version\": 1");
  EXPECT_CONTAINS("quotes in a label", text, "odd \\\"label\\\", with comma");
  EXPECT_CONTAINS("a byte that is no UTF-8", text, "\\ufffd");
  EXPECT_CONTAINS("UTF-8", text, "caf\xc3\xa9");
  EXPECT_CONTAINS("a control character", text, "\\u0007");
  free(text);
  free_replay(replay);
}

static void trace_events_are_well_formed(void) {
  struct replay *replay = make_replay();
  struct report_options options = {0};
  int status;
  char *text = print_report(report_perfetto, replay, &options, &status);
  const char *end = skip_space(read_value(skip_space(text), 0));
  EXPECT_TRUE("ends where it should", end && *end == '\0');
  EXPECT_CONTAINS("a whole operation", text, "\"ts\":0,\"dur\":6,");
  free(text);
  free_replay(replay);
}

static void unknown_operation_is_told_with_what_is_near(void) {
  struct replay *replay = make_replay();
  char text[512] = "";
  EXPECT_TRUE("known", report_has_operation(replay, "cpuid", text, sizeof text));
  EXPECT_TRUE("unknown", !report_has_operation(replay, "cpudi", text, sizeof text));
  EXPECT_STRING("near", text, "the trace has no operation 'cpudi'; did you mean 'CPUID'?");
  EXPECT_TRUE("unknown", !report_has_operation(replay, "zzzzzzzz", text, sizeof text));
  EXPECT_STRING("far", text,
                "the trace has no operation 'zzzzzzzz'; there are CPUID and odd \"label\", with "
                "comma");
  free_replay(replay);
}

/* ---- Unfinished replays --------------------------------------------------------------------- */

static void interrupted_replay_is_reported_as_far_as_it_goes(void) {
  struct replay *replay = make_replay();
  struct report_options options = {.claims = true, .compare = true, .tree = 9, .steps = "CPUID"};
  int status;
  for (unsigned i = 1; i < replay->variant_count; i++) {
    ledger_free(replay->variant[i].ledger);
    replay->variant[i].ledger = NULL;
    replay->variant[i].complete = false;
  }
  replay->partial = true;
  char *text = print_report(report_text, replay, &options, &status);
  EXPECT_CONTAINS("says so", text, "interrupted");
  EXPECT_CONTAINS("claims", text, "not replayed to the end");
  EXPECT_EQ("status", status, 1);
  free(text);
  free(print_report(report_csv, replay, &options, &status));
  text = print_report(report_json, replay, &options, &status);
  const char *end = skip_space(read_value(skip_space(text), 0));
  EXPECT_TRUE("JSON", end && *end == '\0');
  free(text);
  free_replay(replay);
}

static void replay_of_nothing_is_reported(void) {
  struct replay *replay = make_replay();
  struct report_options options = {.claims = true, .compare = true, .tree = 1, .steps = "CPUID"};
  int status;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    ledger_free(replay->variant[i].ledger);
    replay->variant[i].ledger = NULL;
  }
  free(print_report(report_text, replay, &options, &status));
  replay->variant_count = 0;
  free(print_report(report_text, replay, &options, &status));
  free(print_report(report_csv, replay, &options, &status));
  free(print_report(report_json, replay, &options, &status));
  EXPECT_EQ("status", status, 1);
  free_replay(replay);
}

/* ---- Words ---------------------------------------------------------------------------------- */

static void cycles_are_written_short(void) {
  static const struct {
    double cycles;
    const char *expected;
  } cases[] = {{0, "0"},         {999.4, "999"},  {999.6, "1.0k"}, {9940, "9.9k"},
               {9951, "10k"},    {59400, "59k"},  {999e3, "999k"}, {999.9e3, "1.0M"},
               {1.26e6, "1.3M"}, {12.3e6, "12M"}, {2.5e9, "2.5G"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[32];
    EXPECT_STRING("cycles", name_cycles(cases[i].cycles, text, sizeof text), cases[i].expected);
  }
}

static void paths_lose_folders_that_are_left_again(void) {
  static const struct {
    const char *path, *expected;
  } cases[] = {{"scenarios/../traces/x", "traces/x"},
               {"a/b/../../c", "c"},
               {"/a/../c", "/c"},
               {"../a/../c", "../c"},
               {"../../c", "../../c"},
               {"/../c", "/../c"},
               {"plain", "plain"},
               {"./../c", "./../c"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[64];
    EXPECT_STRING(cases[i].path, name_path(cases[i].path, text, sizeof text), cases[i].expected);
  }
}

static void exits_have_the_names_of_their_instructions(void) {
  static const struct {
    uint32_t reason;
    uint64_t detail;
    const char *exit, *about;
  } cases[] = {
      {NST_EXIT_MSR_READ, 0x1d9, "RDMSR", "IA32_DEBUGCTL"},
      {NST_EXIT_MSR_WRITE, 0x12345, "WRMSR", "MSR 0x12345"},
      {NST_EXIT_VMREAD, NST_FIELD_GUEST_RIP, "VMREAD", "GUEST_RIP"},
      {NST_EXIT_VMWRITE, 0x7777, "VMWRITE", "field 0x7777"},
      {NST_EXIT_CR_ACCESS, 4, "MOV to CR4", ""},
      {NST_EXIT_CR_ACCESS, 0x13, "MOV from CR3", ""},
      {NST_EXIT_CR_ACCESS, 0x20, "CLTS", ""},
      {NST_EXIT_IO_INSTRUCTION, 0x21, "IO_INSTRUCTION", "port 0x21"},
      {NST_EXIT_EXCEPTION_NMI, 14, "exception", "#PF"},
      {NST_EXIT_EXCEPTION_NMI, 99, "exception", "vector 99"},
      {NST_EXIT_VMON, 0, "VMXON", ""},
      {UINT32_C(0x80000021), 0, "failed entry: INVALID_STATE", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[64];
    EXPECT_STRING("exit", name_exit(cases[i].reason, cases[i].detail, text, sizeof text),
                  cases[i].exit);
    EXPECT_STRING("detail", name_detail(cases[i].reason, cases[i].detail, text, sizeof text),
                  cases[i].about);
  }
}

CU_TestInfo report_text_tests[] = {
    {"report_of_synthetic_replay_is_as_before", report_of_synthetic_replay_is_as_before},
    {"text_lines_of_the_table_fit_the_columns", text_lines_of_the_table_fit_the_columns},
    {"wide_comparison_is_split_into_blocks", wide_comparison_is_split_into_blocks},
    {"csv_records_have_the_columns_of_their_heading",
     csv_records_have_the_columns_of_their_heading},
    {"json_is_well_formed", json_is_well_formed},
    {"trace_events_are_well_formed", trace_events_are_well_formed},
    {"unknown_operation_is_told_with_what_is_near", unknown_operation_is_told_with_what_is_near},
    {"interrupted_replay_is_reported_as_far_as_it_goes",
     interrupted_replay_is_reported_as_far_as_it_goes},
    {"replay_of_nothing_is_reported", replay_of_nothing_is_reported},
    {"cycles_are_written_short", cycles_are_written_short},
    {"paths_lose_folders_that_are_left_again", paths_lose_folders_that_are_left_again},
    {"exits_have_the_names_of_their_instructions", exits_have_the_names_of_their_instructions},
    CU_TEST_INFO_NULL};
