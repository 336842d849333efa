/* SPDX-License-Identifier: MIT
 * The report as one page of HTML: every table of the text report, charts as inline SVG, causal
 * trees to open. The markup is well-formed XML too. It holds no script and fetches nothing. */
#include "src/report/html.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/escape.h"
#include "src/scenario/names.h"

static const char *const style =
    ":root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--dim:#57606a;--line:#d0d7de;"
    "--good:#1a7f37;--bad:#b42318;--s0:#6e7781;--s1:#0072b2;--s2:#d55e00;--s3:#00825f;"
    "--s4:#b0508c;--s5:#2f8fc7;--s6:#a66f00;--s7:#5b4bb5}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--dim:#9aa4af;"
    "--line:#3d444d;--good:#56d364;--bad:#ff8a80;--s0:#9aa4af;--s1:#4ea8de;--s2:#ff8c42;"
    "--s3:#35c49a;--s4:#e28bbf;--s5:#8fd0f5;--s6:#e6b04d;--s7:#a99bf0}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);"
    "max-width:72rem;margin:0 auto;padding:1rem 1.25rem 4rem}\n"
    "h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2.5rem}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.25rem}dt{color:var(--dim)}"
    "dd{margin:0}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;color:var(--dim);padding-bottom:.4rem}\n"
    "th,td{padding:.15rem .7rem;border-bottom:1px solid var(--line);text-align:right}\n"
    "tbody th,thead th:first-child,td.text,th.text{text-align:left;font-weight:normal}\n"
    "thead th{font-weight:600;vertical-align:bottom}\n"
    "td.checked{color:var(--good)}td.differs,.fails{color:var(--bad);font-weight:600}\n"
    ".holds{color:var(--good)}.skipped,td.predicted{color:var(--dim)}\n"
    ".partial{border:2px solid var(--bad);padding:.5rem .8rem;font-weight:600}\n"
    "svg{max-width:100%;height:auto;display:block}svg text{fill:var(--fg);font-size:11px}\n"
    "svg .axis{stroke:var(--line)}svg .dim{fill:var(--dim)}\n"
    ".s0{fill:var(--s0)}.s1{fill:var(--s1)}.s2{fill:var(--s2)}.s3{fill:var(--s3)}"
    ".s4{fill:var(--s4)}.s5{fill:var(--s5)}.s6{fill:var(--s6)}.s7{fill:var(--s7)}\n"
    "details ul{list-style:none;padding-left:1.4rem;border-left:1px solid var(--line);margin:0}\n"
    "summary{cursor:pointer;margin:.3rem 0}code,.exit{font-family:ui-monospace,monospace}\n";

void html_element(FILE *out, const char *element, const char *attributes, const char *text) {
  fprintf(out, "<%s%s%s>", element, attributes[0] ? " " : "", attributes);
  escape_xml(out, text);
  fprintf(out, "</%s>", element);
}

void html_row(FILE *out, const char *heading, ...) {
  va_list cells;
  fputs("<tr>", out);
  html_element(out, "th", "scope=\"row\"", heading);
  va_start(cells, heading);
  for (const char *cell; (cell = va_arg(cells, const char *));) {
    bool is_number = cell[0] && strspn(cell, "0123456789.-+%") == strlen(cell);
    html_element(out, "td", is_number ? "" : "class=\"text\"", cell);
  }
  va_end(cells);
  fputs("</tr>\n", out);
}

static void print_item(FILE *out, const char *term, const char *text) {
  html_element(out, "dt", "", term);
  html_element(out, "dd", "", text);
  fputc('\n', out);
}

/* ---- The set-up ---------------------------------------------------------------------------- */

static void describe_level(const struct scenario *scenario, unsigned level, char *text,
                           size_t size) {
  const struct scenario_level *at = &scenario->level[level];
  snprintf(text, size, "L%u: %s", level, at->hypervisor);
  if (level == 0) return;
  text_append(text, size, ", %s", name_scheme(at->scheme));
}

static void print_stack(FILE *out, const struct replay *replay) {
  char text[REPORT_TEXT], term[REPORT_WORD];
  unsigned depth = 1;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].variant.depth > depth) depth = replay->variant[i].variant.depth;
  }
  for (unsigned level = 0; level < depth; level++) {
    describe_level(replay->scenario, level, text, sizeof text);
    snprintf(term, sizeof term, level ? "Guest hypervisor" : "Host hypervisor");
    print_item(out, term, text);
  }
  print_item(out, "Processor", replay->scenario->processor);
}

/* "depth: 1, 2, 3" for each axis that has more than one value. */
static void print_axes(FILE *out, const struct scenario *scenario) {
  for (unsigned axis = 0; axis < SCENARIO_AXIS_COUNT; axis++) {
    const struct scenario_axis *values = &scenario->axis[axis];
    char text[REPORT_TEXT] = "";
    if (values->value_count < 2) continue;
    text_append(text, sizeof text, "%s: ", scenario_words(LIST_AXIS)[axis]);
    for (unsigned i = 0; i < values->value_count; i++)
      text_append(text, sizeof text, "%s%s", i ? ", " : "",
                  scenario_axis_word(scenario, (enum scenario_axis_name)axis, values->values[i]));
    print_item(out, "Compared", text);
  }
}

static void print_setup(const struct text *text) {
  const struct replay *replay = text->replay;
  FILE *out = text->out;
  char line[REPORT_TEXT + SCENARIO_PATH_SIZE], path[SCENARIO_PATH_SIZE];
  fputs("<h2>Set-up</h2>\n<dl>\n", out);
  if (replay->scenario->path[0]) print_item(out, "Scenario", replay->scenario->path);
  print_item(out, "Recording", name_guest(&replay->scenario->guest[0], path, sizeof path));
  snprintf(line, sizeof line, "%" PRIu64 " exits recorded at depth 1%s%s", replay->recorded_exits,
           replay->source.kernel[0] ? ", under real KVM, Linux " : "", replay->source.kernel);
  print_item(out, "Guest", line);
  print_stack(out, replay);
  print_axes(out, replay->scenario);
  fputs("</dl>\n", out);
}

static void print_verdict(const struct text *text, unsigned holding) {
  unsigned count = text->replay->scenario->claim_count;
  FILE *out = text->out;
  if (text->replay->partial)
    fputs(
        "<p class=\"partial\" role=\"status\">Partial: interrupted before the end; what follows "
        "is not the whole.</p>\n",
        out);
  if (count)
    fprintf(out, "<p><strong class=\"%s\">%u of %u claims hold.</strong></p>\n",
            holding == count ? "holds" : "fails", holding, count);
  else
    fputs("<p>No claims are made.</p>\n", out);
}

static void print_head(const struct text *text) {
  const struct scenario *scenario = text->replay->scenario;
  const char *name = name_file(scenario->path[0] ? scenario->path : scenario->guest[0].trace);
  FILE *out = text->out;
  fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n", out);
  fputs("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>", out);
  escape_xml(out, name);
  fprintf(out, ": Nestor</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n", style);
  fputs("<p class=\"skipped\">", out);
  escape_xml(out, name);
  fputs("</p>\n", out);
  html_element(out, "h1", "", scenario->question);
  fputc('\n', out);
}

static void print_body(const struct text *text) {
  print_setup(text);
  html_charts(text);
  html_table(text);
  html_levels(text);
  html_why(text);
  html_trees(text);
  html_claims(text);
  html_compare(text);
  html_loss(text);
  html_costs(text);
}

int report_html(FILE *out, const struct replay *replay, const struct report_options *options) {
  struct compare *compare = compare_make(replay);
  struct text text = {.out = out, .replay = replay, .options = options, .compare = compare};
  unsigned holding = claims_count(replay);
  text.columns = REPORT_COLUMNS;
  print_head(&text);
  print_verdict(&text, holding);
  print_body(&text);
  fputs("</main>\n</body>\n</html>\n", out);
  free(compare);
  return holding == replay->scenario->claim_count ? 0 : 1;
}
