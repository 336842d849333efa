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
static void append_where(const struct scenario_claim *claim, char *text, size_t size) {
  for (unsigned axis = 0; axis < SCENARIO_AXIS_COUNT; axis++) {
    char word[16];
    if (claim->where[axis] == SCENARIO_ANY) continue;
    scenario_axis_word((enum scenario_axis_name)axis, claim->where[axis], word);
    text_append(text, size, ", %s %s", scenario_words(LIST_AXIS)[axis], word);
  }
}

void claims_sentence(const struct scenario_claim *claim, char *text, size_t size) {
  const char *subject = "";
  bool has_figure = false;
  switch (claim->type) {
    case SCENARIO_CLAIM_EXITS:
      subject = strcmp(claim->operation, "*") == 0 ? "every operation" : claim->operation;
      has_figure = true;
      break;
    case SCENARIO_CLAIM_UNLISTED:
      subject = "unlisted VMCS accesses";
      has_figure = true;
      break;
    case SCENARIO_CLAIM_REFLECTED:
      subject = "reflected exits equal those at depth 1, reason by reason";
      break;
    case SCENARIO_CLAIM_KEPT:
      subject = "an exit that L0 keeps costs the same at every depth";
      break;
    case SCENARIO_CLAIM_TRANSPARENT:
      subject = "the guest ends in the same state in every variant";
      break;
  }
  snprintf(text, size, "%s", subject);
  append_where(claim, text, size);
  if (!has_figure) return;
  text_append(text, size, ": %" PRIu64, claim->figure);
  if (claim->type == SCENARIO_CLAIM_EXITS)
    text_append(text, size, " exit%s to L0", REPORT_PLURAL(claim->figure));
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
  claims_sentence(outcome->claim, outcome->name, sizeof outcome->name);
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
  return scenario->path[0] ? scenario->path : scenario->trace;
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
