/* SPDX-License-Identifier: MIT
 * The tables of the HTML page, from the same rows as those of the text report. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/escape.h"
#include "src/report/html.h"
#include "src/scenario/names.h"

static void begin_table(FILE *out, const char *caption, const char *const *headings) {
  fputs("<div class=\"scroll\"><table>", out);
  html_element(out, "caption", "", caption);
  fputs("\n<thead><tr>", out);
  for (; *headings; headings++) html_element(out, "th", "scope=\"col\"", *headings);
  fputs("</tr></thead>\n<tbody>\n", out);
}

static void end_table(FILE *out) {
  fputs("</tbody></table></div>\n", out);
}

/* ---- Operations ---------------------------------------------------------------------------- */

/* A line of the heading: the variants' words on one axis. */
static void print_axis(const struct text *text, unsigned axis) {
  const struct replay *replay = text->replay;
  fputs("<tr>", text->out);
  html_element(text->out, "th", "scope=\"row\" colspan=\"2\"", scenario_words(LIST_AXIS)[axis]);
  for (unsigned i = 0; i < replay->variant_count; i++) {
    const struct scenario_variant *variant = &replay->variant[i].variant;
    bool is_said = name_is_shown(variant, (enum scenario_axis_name)axis);
    html_element(text->out, "th", "scope=\"col\"",
                 is_said ? name_word(variant, (enum scenario_axis_name)axis) : "");
  }
  fputs("</tr>\n", text->out);
}

static void print_kinds(const struct text *text) {
  const struct replay *replay = text->replay;
  fputs("<tr><th scope=\"col\">guest operation</th><th scope=\"col\">seen (input)</th>", text->out);
  for (unsigned i = 0; i < replay->variant_count; i++) {
    bool has_recording = text->compare && compare_has(text->compare, i);
    bool is_flat = replay->variant[i].variant.depth == 1;
    html_element(text->out, "th", "scope=\"col\"",
                 has_recording ? "checked"
                 : is_flat     ? "as recorded"
                               : "predicted");
  }
  fputs("</tr>\n", text->out);
}

static const char *class_of(const struct text *text, unsigned variant, const char *cell) {
  size_t length = strlen(cell);
  if (!text->compare || !compare_has(text->compare, variant)) return "";
  if (length && cell[length - 1] == '!') return "class=\"differs\"";
  if (length && cell[length - 1] == 'p') return "class=\"predicted\"";
  return "class=\"checked\"";
}

static void print_row(const struct text *text, const struct table *table, unsigned row) {
  const char *label;
  char seen[TABLE_CELL], cell[TABLE_CELL];
  if (!table_row(table, row, &label, seen)) return;
  fputs("<tr>", text->out);
  html_element(text->out, "th", "scope=\"row\"", label);
  html_element(text->out, "td", "", seen);
  for (unsigned i = 0; i < text->replay->variant_count; i++) {
    table_cell(table, row, i, cell);
    size_t length = strlen(cell);
    while (length && cell[length - 1] == ' ') cell[--length] = '\0';
    html_element(text->out, "td", class_of(text, i, cell), cell);
  }
  fputs("</tr>\n", text->out);
}

void html_table(const struct text *text) {
  struct table *table = table_make(text);
  if (!table) return;
  fputs(
      "<div class=\"scroll\"><table><caption>Exits to L0 per operation: typical round, timer "
      "ticks aside. Checked against a recording of real nested KVM where one is at hand: ! "
      "differs from it, p is predicted, it has no such round.</caption>\n<thead>\n",
      text->out);
  for (unsigned axis = 0; axis < SCENARIO_AXIS_COUNT; axis++) {
    if (axis == SCENARIO_AXIS_DEPTH || text->replay->scenario->axis[axis].value_count > 1)
      print_axis(text, axis);
  }
  print_kinds(text);
  fputs("</thead>\n<tbody>\n", text->out);
  for (unsigned row = 0; row < table_row_count(table); row++) print_row(text, table, row);
  end_table(text->out);
  free(table);
}

/* ---- Why ----------------------------------------------------------------------------------- */

static void print_why_row(FILE *out, const struct why_view *view, const struct why_row *row) {
  char level[REPORT_WORD], count[REPORT_WORD];
  snprintf(level, sizeof level, "L%u", row->level);
  fputs("<tr>", out);
  html_element(out, "th", "scope=\"row\"", level);
  html_element(out, "td", "class=\"text\"", row->what);
  html_element(out, "td", "class=\"text\"", row->about);
  for (unsigned i = 0; i < view->variant_count; i++) {
    snprintf(count, sizeof count, "%" PRIu64, row->exits[i]);
    html_element(out, "td", "", count);
  }
  fputs("</tr>\n", out);
}

void html_why(const struct text *text) {
  struct why_view *view = why_make(text);
  FILE *out = text->out;
  char line[REPORT_TEXT];
  if (!view) return;
  snprintf(line, sizeof line, "Why: one %s at depth %u", view->label, view->depth);
  html_element(out, "h2", "", line);
  fputs(
      "\n<div class=\"scroll\"><table><caption>Its exits to L0, by level and cause</caption>\n"
      "<thead><tr><th scope=\"col\">level</th><th scope=\"col\" class=\"text\">exits by</th>"
      "<th scope=\"col\" class=\"text\">about</th>",
      out);
  for (unsigned i = 0; i < view->variant_count; i++)
    html_element(out, "th", "scope=\"col\"",
                 name_variant(&view->variant[i]->variant, line, sizeof line));
  fputs("</tr></thead>\n<tbody>\n", out);
  for (unsigned i = 0; i < view->row_count; i++) print_why_row(out, view, &view->row[i]);
  end_table(out);
  free(view);
}

/* ---- Claims -------------------------------------------------------------------------------- */

void html_claims(const struct text *text) {
  static const char *const headings[] = {"outcome", "mark", "line", "claim and count", NULL};
  const struct scenario *scenario = text->replay->scenario;
  FILE *out = text->out;
  if (scenario->claim_count == 0) return;
  fputs("<h2>Claims</h2>\n", out);
  begin_table(out, "input: recorded; checked: against a recording; predicted: by nothing but us",
              headings);
  for (unsigned i = 0; i < scenario->claim_count; i++) {
    const struct scenario_claim *claim = &scenario->claim[i];
    struct claim_result result;
    char line[REPORT_WORD] = "";
    claims_evaluate(text->replay, claim, &result);
    if (claim->line) snprintf(line, sizeof line, "%u", claim->line);
    const char *class = result.holds ? "holds" : result.applies ? "fails" : "skipped";
    fprintf(out, "<tr><th scope=\"row\" class=\"%s\">%s</th>", class, class);
    html_element(out, "td", "class=\"text\"", claims_mark(claim->mark));
    html_element(out, "td", "", line);
    html_element(out, "td", "class=\"text\"", result.text);
    fputs("</tr>\n", out);
  }
  end_table(out);
}

/* ---- Recordings of real nested virtualization ----------------------------------------------- */

static void print_cell(const struct text *text, const struct compare_cell *cell) {
  char name[REPORT_WORD], ours[REPORT_WORD], recorded[REPORT_WORD];
  bool is_equal = cell->ours == cell->recorded;
  snprintf(ours, sizeof ours, "%u (%" PRIu64 " rounds)", cell->ours, cell->our_rounds);
  snprintf(recorded, sizeof recorded, "%u (%" PRIu64 " rounds)", cell->recorded,
           cell->recorded_rounds);
  html_row(text->out, cell->label,
           name_variant(&text->replay->variant[cell->variant].variant, name, sizeof name), ours,
           recorded, is_equal ? "equal" : "different", NULL);
}

void html_compare(const struct text *text) {
  static const char *const headings[] = {"guest operation", "variant", "counted",
                                         "recorded",        "result",  NULL};
  const struct compare *compare = text->compare;
  FILE *out = text->out;
  fputs("<h2>Beside real nested KVM</h2>\n", out);
  if (!compare || compare->recording_count == 0) {
    fputs(
        "<p>Nothing was checked: no recording of this guest as a nested one lies beside its "
        "own.</p>\n",
        out);
    return;
  }
  fputs("<ul>\n", out);
  for (unsigned i = 0; i < compare->recording_count; i++) {
    char path[SCENARIO_PATH_SIZE];
    fputs("<li>", out);
    escape_xml(out, name_path(compare->recording[i], path, sizeof path));
    if (compare->problem[i][0]) fputs(" &#8211; not used: ", out);
    escape_xml(out, compare->problem[i]);
    fputs("</li>\n", out);
  }
  fprintf(out, "</ul>\n<p>%u of %u cells are equal.</p>\n", compare->equal, compare->count);
  begin_table(out, "Exits to L0 per reflected exit, typical round", headings);
  for (unsigned i = 0; i < compare->count; i++) print_cell(text, &compare->cell[i]);
  end_table(out);
}

/* ---- What the trace could not tell ----------------------------------------------------------- */

static void print_count(FILE *out, const char *what, uint64_t count, const char *why) {
  char number[REPORT_WORD];
  if (!count) return;
  snprintf(number, sizeof number, "%" PRIu64, count);
  html_row(out, what, number, why, NULL);
}

static void print_loss(const struct text *text) {
  const struct trace_loss *loss = &text->replay->loss;
  FILE *out = text->out;
  for (size_t i = 0; i < loss->name_count; i++) {
    for (unsigned fate = 0; fate < TRACE_FATE_COUNT; fate++) {
      if (!loss_is_used(fate))
        print_count(out, loss->names[i].name, loss->names[i].fate[fate], trace_fate_name(fate));
    }
  }
  print_count(out, "records of further names", loss->records_unnamed, "");
  print_count(out, "lines that are no record", loss->lines_other, "");
  print_count(out, "malformed lines", loss->lines_rejected, "left out");
  print_count(out, "gaps in the recording", loss->gap_count, "");
  print_count(out, "records lost in gaps", loss->gap_records, "");
  print_count(out, "records overwritten before reading", loss->overwritten, "");
}

static void print_variants(const struct text *text) {
  static const char *const headings[] = {"variant", "operations",   "assumed",  "unlisted",
                                         "faulted", "not playable", "complete", NULL};
  begin_table(text->out,
              "assumed: arguments and causes that the trace does not tell; unlisted: VMCS accesses "
              "outside the profiles; faulted: ended in an exception, unlike recorded",
              headings);
  for (unsigned i = 0; i < text->replay->variant_count; i++) {
    const struct replay_variant *variant = &text->replay->variant[i];
    const uint64_t counts[] = {variant->operations, variant->assumed, variant->unlisted,
                               variant->faulted, variant->left_out};
    char name[REPORT_WORD], number[5][24];
    for (unsigned k = 0; k < 5; k++) snprintf(number[k], 24, "%" PRIu64, counts[k]);
    html_row(text->out, name_variant(&variant->variant, name, sizeof name), number[0], number[1],
             number[2], number[3], number[4], variant->complete ? "yes" : "no", NULL);
  }
  end_table(text->out);
}

void html_loss(const struct text *text) {
  static const char *const headings[] = {"record", "count", "what it is", NULL};
  const struct trace_loss *loss = &text->replay->loss;
  FILE *out = text->out;
  uint64_t timer, other;
  loss_count(text->replay, &timer, &other);
  fprintf(out,
          "<h2>What the trace could not tell</h2>\n<p>%" PRIu64 " of %" PRIu64
          " records became no operation: timers and interrupts %" PRIu64 ", other %" PRIu64
          ".</p>\n",
          timer + other, loss->records, timer, other);
  if (loss->is_salvaged) {
    fputs("<p class=\"partial\">The trace is damaged: ", out);
    escape_xml(out, loss->problem);
    fputs("</p>\n", out);
  }
  begin_table(out, "Records that became no operation", headings);
  print_loss(text);
  end_table(out);
  print_variants(text);
}

/* ---- Unit costs ---------------------------------------------------------------------------- */

void html_costs(const struct text *text) {
  static const char *const headings[] = {"name", "low", "high", "mark", "what", "source", NULL};
  FILE *out = text->out;
  fputs("<h2>Unit costs</h2>\n", out);
  begin_table(out, "In cycles, for the estimates alone", headings);
  for (size_t i = 0; i < ledger_cost_count(); i++) {
    const struct ledger_cost *cost = ledger_cost(i);
    char low[24], high[24];
    snprintf(low, sizeof low, "%.0f", cost->low);
    snprintf(high, sizeof high, "%.0f", cost->high);
    html_row(out, cost->name, low, high, cost->mark, cost->unit, cost->source, NULL);
  }
  end_table(out);
}
