/* SPDX-License-Identifier: MIT
 * The claims as test results, for the programs that collect such: JUnit's XML and TAP version 13.
 * A claim is a test; one that could not be held against anything is skipped. */
#include <inttypes.h>
#include <string.h>

#include "src/report/escape.h"
#include "src/report/part.h"
#include "src/scenario/names.h"

static const char left_out[] = "left out: the command line changed what the claim speaks of";

/* ", depth 2, vmcs-shadowing on" of the axes that the claim names. */
static void append_where(const struct scenario *scenario, const struct scenario_claim *claim,
                         char *text, size_t size) {
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    enum scenario_axis_name axis = (enum scenario_axis_name)i;
    if (claim->where[i] == SCENARIO_ANY) continue;
    text_append(text, size, ", %s %s", scenario_axis_info(axis)->name,
                scenario_axis_word(scenario, axis, claim->where[i]));
  }
}

static const char *subject_of(const struct scenario_claim *claim) {
  if (claim->by_reason) return nst_exit_name(claim->reason);
  if (strcmp(claim->operation, "*") == 0) return "every operation";
  return claim->operation[0] ? claim->operation : "whole trace";
}

/* ": more than vmcs-shadowing on, 2 times or more" */
static void append_than(const struct scenario *scenario, const struct scenario_claim *claim,
                        char *text, size_t size) {
  text_append(text, size, ": more than %s %s", scenario_axis_info(claim->than_axis)->name,
              scenario_axis_word(scenario, claim->than_axis, claim->than_value));
  if (claim->times_high > 0)
    text_append(text, size, ", %g to %g times", claim->times_low, claim->times_high);
  else if (claim->times_low > 0)
    text_append(text, size, ", %g times or more", claim->times_low);
}

/* What the claim says, behind its subject and place. */
static void append_figure(const struct scenario *scenario, const struct scenario_claim *claim,
                          char *text, size_t size) {
  const char *unit = claim->by_reason ? "exit" : "exit to L0";
  const char *units = claim->by_reason ? "exits" : "exits to L0";
  const char *word = claim->figure == 1 ? unit : units;
  switch (claim->type) {
    case SCENARIO_CLAIM_EXITS:
      text_append(text, size, ": %" PRIu64 " %s", claim->figure, word);
      return;
    case SCENARIO_CLAIM_AT_MOST:
      text_append(text, size, ": at most %" PRIu64 " %s", claim->figure, word);
      return;
    case SCENARIO_CLAIM_AT_LEAST:
      text_append(text, size, ": at least %" PRIu64 " %s", claim->figure, word);
      return;
    case SCENARIO_CLAIM_MORE_THAN:
      append_than(scenario, claim, text, size);
      return;
    case SCENARIO_CLAIM_READS:
    case SCENARIO_CLAIM_WRITES:
      text_append(text, size, ": %" PRIu64 " to %" PRIu64 " per reflected exit", claim->figure,
                  claim->most);
      return;
    case SCENARIO_CLAIM_UNLISTED:
      text_append(text, size, ": %" PRIu64, claim->figure);
      return;
    case SCENARIO_CLAIM_RECORDED:
    case SCENARIO_CLAIM_REFLECTED:
    case SCENARIO_CLAIM_KEPT:
    case SCENARIO_CLAIM_TRANSPARENT:
    case SCENARIO_CLAIM_TYPES:
      return;
  }
}

void claims_sentence(const struct scenario *scenario, const struct scenario_claim *claim,
                     char *text, size_t size) {
  static const char *const subjects[SCENARIO_CLAIM_TYPES] = {
      [SCENARIO_CLAIM_READS] = "VMREADs, ",
      [SCENARIO_CLAIM_WRITES] = "VMWRITEs, ",
      [SCENARIO_CLAIM_UNLISTED] = "unlisted VMCS accesses",
      [SCENARIO_CLAIM_RECORDED] = "rounds equal the recording's, operation by operation",
      [SCENARIO_CLAIM_REFLECTED] = "reflected exits equal those at depth 1, reason by reason",
      [SCENARIO_CLAIM_KEPT] = "an exit that L0 keeps costs the same at every depth",
      [SCENARIO_CLAIM_TRANSPARENT] = "the guest ends in the same state in every variant"};
  const char *subject = subjects[claim->type];
  bool counts = scenario_claim_subject(claim->type) != SCENARIO_SUBJECT_NOTHING;
  snprintf(text, size, "%s%s", subject ? subject : "", counts ? subject_of(claim) : "");
  append_where(scenario, claim, text, size);
  append_figure(scenario, claim, text, size);
}

/* One claim and what became of it, or one that was left out. */
struct outcome {
  const struct scenario_claim *claim;
  bool holds, is_skipped;
  char name[REPORT_TEXT];
  struct claim_result result;
};

static unsigned outcome_count(const struct replay *replay) {
  return replay->scenario->claim_count + replay->scenario->dropped_count;
}

static void find_outcome(const struct replay *replay, unsigned index, struct outcome *outcome) {
  const struct scenario *scenario = replay->scenario;
  outcome->claim = &scenario->claim[index];
  claims_sentence(scenario, outcome->claim, outcome->name, sizeof outcome->name);
  if (index < scenario->claim_count) {
    claims_evaluate(replay, outcome->claim, &outcome->result);
  } else {
    outcome->result = (struct claim_result){.applies = false};
    snprintf(outcome->result.text, sizeof outcome->result.text, "%s", left_out);
  }
  outcome->is_skipped = !outcome->result.applies;
  outcome->holds = outcome->result.holds;
}

static int verdict(const struct replay *replay) {
  return claims_count(replay) == replay->scenario->claim_count ? 0 : 1;
}

static const char *path_of(const struct scenario *scenario) {
  return scenario->path[0] ? scenario->path : scenario->guest[0].trace;
}

/* ---- JUnit --------------------------------------------------------------------------------- */

static void print_attribute(FILE *out, const char *name, const char *value) {
  fprintf(out, " %s=\"", name);
  escape_xml(out, value);
  fputc('"', out);
}

static void print_element(FILE *out, const char *name, const char *text) {
  fprintf(out, "      <%s>", name);
  escape_xml(out, text);
  fprintf(out, "</%s>\n", name);
}

static void print_failure(FILE *out, const struct claim_result *result) {
  char message[REPORT_TEXT];
  if (result->expected[0])
    snprintf(message, sizeof message, "expected %s, counted %s", result->expected, result->counted);
  else
    snprintf(message, sizeof message, "%s", result->text);
  fputs("      <failure type=\"claim\"", out);
  print_attribute(out, "message", message);
  fputc('>', out);
  escape_xml(out, result->text);
  fputs("</failure>\n", out);
}

static void print_case(FILE *out, const struct scenario *scenario, const struct outcome *outcome) {
  fputs("    <testcase", out);
  print_attribute(out, "classname", scenario->name[0] ? scenario->name : "trace");
  print_attribute(out, "name", outcome->name);
  print_attribute(out, "file", path_of(scenario));
  if (outcome->claim->line) fprintf(out, " line=\"%u\"", outcome->claim->line);
  fputs(">\n", out);
  if (outcome->is_skipped) {
    fputs("      <skipped", out);
    print_attribute(out, "message", outcome->result.text);
    fputs("/>\n", out);
  } else if (outcome->holds) {
    print_element(out, "system-out", outcome->result.text);
  } else {
    print_failure(out, &outcome->result);
  }
  fputs("    </testcase>\n", out);
}

int report_junit(FILE *out, const struct replay *replay, const struct report_options *options) {
  (void)options;
  unsigned count = outcome_count(replay), failures = 0, skipped = 0;
  struct outcome outcome;
  for (unsigned i = 0; i < count; i++) {
    find_outcome(replay, i, &outcome);
    skipped += outcome.is_skipped;
    failures += !outcome.is_skipped && !outcome.holds;
  }
  fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite", out);
  print_attribute(out, "name", name_file(path_of(replay->scenario)));
  fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"0\" skipped=\"%u\">\n", count, failures,
          skipped);
  for (unsigned i = 0; i < count; i++) {
    find_outcome(replay, i, &outcome);
    print_case(out, replay->scenario, &outcome);
  }
  if (replay->partial) fputs("    <system-err>interrupted: partial</system-err>\n", out);
  fputs("  </testsuite>\n</testsuites>\n", out);
  return verdict(replay);
}

/* ---- TAP ----------------------------------------------------------------------------------- */

/* One line, in which a number sign would begin a directive. */
static void print_description(FILE *out, const char *text) {
  char part[REPORT_TEXT];
  for (;;) {
    size_t length = strcspn(text, "#\\");
    snprintf(part, sizeof part, "%.*s", (int)length, text);
    escape_line(out, part);
    if (!text[length]) return;
    fprintf(out, "\\%c", text[length]);
    text += length + 1;
  }
}

static void print_yaml(FILE *out, const char *name, const char *text) {
  fprintf(out, "  %s: \"", name);
  escape_json(out, text);
  fputs("\"\n", out);
}

static void print_point(FILE *out, unsigned number, const struct outcome *outcome) {
  bool is_ok = outcome->holds || outcome->is_skipped;
  fprintf(out, "%sok %u - ", is_ok ? "" : "not ", number);
  print_description(out, outcome->name);
  if (outcome->is_skipped) {
    fputs(" # SKIP ", out);
    print_description(out, outcome->result.text);
  }
  fputc('\n', out);
  if (is_ok) return;
  fputs("  ---\n", out);
  print_yaml(out, "message", outcome->result.text);
  if (outcome->result.expected[0]) {
    print_yaml(out, "expected", outcome->result.expected);
    print_yaml(out, "counted", outcome->result.counted);
  }
  fputs("  ...\n", out);
}

int report_tap(FILE *out, const struct replay *replay, const struct report_options *options) {
  (void)options;
  unsigned count = outcome_count(replay);
  fprintf(out, "TAP version 13\n1..%u%s\n", count, count ? "" : " # SKIP no claims are made");
  if (replay->partial) fputs("# interrupted: partial\n", out);
  for (unsigned i = 0; i < count; i++) {
    struct outcome outcome;
    find_outcome(replay, i, &outcome);
    print_point(out, i + 1, &outcome);
  }
  return verdict(replay);
}
