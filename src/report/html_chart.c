/* SPDX-License-Identifier: MIT
 * Charts as inline SVG. Every bar carries its number, so that no colour is needed to read it. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "src/report/escape.h"
#include "src/report/html.h"

enum {
  WIDTH = 960,
  LABELS = 170,
  NUMBERS = 70,
  BAR = 12,
  GAP = 8,
  TOP = 24,
  COLOURS = 8,
  LINES = 40
};
enum { LOG_RANGE = 30 }; /* from this ratio on, a scale of equal steps hides the small ones */

/* The variants of one chart, side by side. */
struct chart {
  const struct text *text;
  unsigned number, depth;
  unsigned series_count;
  const struct replay_variant *series[REPLAY_VARIANTS];
  const char *label[LEDGER_LABELS];
  unsigned label_count;
  bool is_log;
  double low, high; /* of the scale */
};

/* ---- The scale ----------------------------------------------------------------------------- */

static double position(const struct chart *chart, double value) {
  double room = WIDTH - LABELS - NUMBERS, part = 0;
  if (value <= 0) return 0;
  if (chart->is_log)
    part = log(value / chart->low) / log(chart->high / chart->low);
  else
    part = value / chart->high;
  return part < 0 ? 0 : part > 1 ? room : part * room;
}

static void find_scale(struct chart *chart) {
  double least = 0, most = 1;
  for (unsigned i = 0; i < chart->label_count; i++) {
    for (unsigned k = 0; k < chart->series_count; k++) {
      struct ledger_row row;
      if (!rows_find(chart->series[k], chart->label[i], &row) || !row.typical) continue;
      if (least == 0 || row.typical < least) least = row.typical;
      if (row.typical > most) most = row.typical;
    }
  }
  chart->is_log = least > 0 && most / least >= LOG_RANGE;
  chart->low = least / 2; /* so that the smallest bar has a length */
  chart->high = most;
}

/* The first line at or above the scale's low end, and the one after a line. */
static double first_line(const struct chart *chart) {
  return chart->is_log ? pow(10, ceil(log10(chart->low))) : 0;
}

static double next_line(const struct chart *chart, double line) {
  if (chart->is_log) return line * 10;
  double step = pow(10, floor(log10(chart->high)));
  if (chart->high / step < 3) step /= step >= 10 ? 5 : 1;
  return line + step;
}

static void print_lines(const struct chart *chart, unsigned height) {
  FILE *out = chart->text->out;
  double line = first_line(chart);
  for (unsigned i = 0; i < LINES && line <= chart->high; i++) {
    double x = LABELS + position(chart, line);
    fprintf(out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%u\"/>", x, TOP - 4,
            x, height);
    fprintf(out, "<text class=\"dim\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n", x,
            TOP - 8, line);
    line = next_line(chart, line);
  }
}

/* ---- Bars ---------------------------------------------------------------------------------- */

static void print_bar(const struct chart *chart, unsigned label, unsigned series, unsigned y) {
  FILE *out = chart->text->out;
  struct ledger_row row;
  char name[REPORT_WORD];
  if (!rows_find(chart->series[series], chart->label[label], &row)) return;
  double length = position(chart, row.typical);
  fprintf(out, "<rect class=\"s%u\" x=\"%d\" y=\"%u\" width=\"%.1f\" height=\"%d\"><title>",
          series % COLOURS, LABELS, y, length, BAR - 2);
  escape_xml(out, chart->label[label]);
  escape_xml(out, ", ");
  escape_xml(out, name_variant(&chart->series[series]->variant, name, sizeof name));
  fprintf(out, ": %u</title></rect>", row.typical);
  fprintf(out, "<text x=\"%.1f\" y=\"%u\">%u</text>\n", LABELS + length + 4, y + BAR - 3,
          row.typical);
}

static void print_group(const struct chart *chart, unsigned label) {
  unsigned height = chart->series_count * BAR + GAP, y = TOP + label * height;
  FILE *out = chart->text->out;
  char text[32];
  snprintf(text, sizeof text, "%.26s", chart->label[label]);
  fprintf(out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">", LABELS - 8,
          y + (height - GAP) / 2 + 4);
  escape_xml(out, text);
  fputs("</text>\n", out);
  for (unsigned i = 0; i < chart->series_count; i++) print_bar(chart, label, i, y + i * BAR);
}

static void print_legend(const struct chart *chart) {
  FILE *out = chart->text->out;
  char name[REPORT_WORD];
  fputs("<p>", out);
  for (unsigned i = 0; i < chart->series_count; i++) {
    fprintf(out, "<svg width=\"12\" height=\"12\" style=\"display:inline\" aria-hidden=\"true\">");
    fprintf(out, "<rect class=\"s%u\" width=\"12\" height=\"12\"/></svg> ", i % COLOURS);
    escape_xml(out, name_variant(&chart->series[i]->variant, name, sizeof name));
    fputs(i + 1 < chart->series_count ? " &#160; " : "</p>\n", out);
  }
}

static void print_chart(struct chart *chart) {
  FILE *out = chart->text->out;
  unsigned height = TOP + chart->label_count * (chart->series_count * BAR + GAP);
  find_scale(chart);
  fprintf(out, "<h3>Depth %u</h3>\n", chart->depth);
  print_legend(chart);
  fprintf(out,
          "<svg viewBox=\"0 0 %d %u\" role=\"img\" aria-labelledby=\"chart%u chart%ud\">"
          "<title id=\"chart%u\">Exits to L0 per operation at depth %u</title>"
          "<desc id=\"chart%ud\">Bars for each guest operation and variant, typical round; the "
          "scale is %s. The table below has the same numbers.</desc>\n",
          WIDTH, height, chart->number, chart->number, chart->number, chart->depth, chart->number,
          chart->is_log ? "logarithmic" : "linear");
  print_lines(chart, height);
  for (unsigned i = 0; i < chart->label_count; i++) print_group(chart, i);
  fputs("</svg>\n", out);
  if (chart->is_log) fputs("<p class=\"skipped\">Logarithmic scale.</p>\n", out);
}

/* The variants of a depth, behind those of depth 1. */
static void choose(struct chart *chart, unsigned depth) {
  const struct replay *replay = chart->text->replay;
  chart->depth = depth;
  chart->series_count = 0;
  for (unsigned pass = 0; pass < 2; pass++) {
    for (unsigned i = 0; i < replay->variant_count; i++) {
      const struct replay_variant *variant = &replay->variant[i];
      unsigned own = variant->variant.depth;
      bool belongs = pass == 0 ? own == 1 && depth > 1 : own == depth;
      if (belongs && variant->ledger) chart->series[chart->series_count++] = variant;
    }
  }
}

static bool has_depth(const struct replay *replay, unsigned depth) {
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger && replay->variant[i].variant.depth == depth) return true;
  }
  return false;
}

void html_charts(const struct text *text) {
  struct chart chart = {.text = text};
  chart.label_count = rows_labels(text->replay, chart.label);
  if (chart.label_count == 0) return;
  fputs("<h2>Exits to L0 per operation</h2>\n", text->out);
  for (unsigned depth = 1; depth <= SCENARIO_DEPTH_LIMIT; depth++) {
    bool is_shown =
        has_depth(text->replay, depth) && (depth > 1 || rows_nested_depth(text->replay) == 1);
    if (!is_shown) continue;
    chart.number++;
    choose(&chart, depth);
    print_chart(&chart);
  }
}

/* ---- By level ------------------------------------------------------------------------------ */

static void print_shares(FILE *out, const struct ledger_row *row, unsigned depth, unsigned y) {
  double room = WIDTH - LABELS - 100, x = LABELS + 100;
  for (unsigned level = 1; level <= depth && row->exits; level++) {
    double part = (double)row->by_level[level] / (double)row->exits;
    if (part == 0) continue;
    fprintf(out,
            "<rect class=\"s%u\" x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\"><title>L%u: "
            "%.1f%%</title></rect>\n",
            level % COLOURS, x, y, part * room, BAR + 4, level, 100 * part);
    x += part * room;
  }
}

static void print_level_chart(const struct text *text) {
  const struct replay *replay = text->replay;
  FILE *out = text->out;
  unsigned height = replay->variant_count * (BAR + GAP + 4);
  fprintf(out,
          "<svg viewBox=\"0 0 %d %u\" role=\"img\" aria-labelledby=\"levels levelsd\">"
          "<title id=\"levels\">Exits by the level that exited, as shares</title>"
          "<desc id=\"levelsd\">A bar for each variant, divided by level. The table below has the "
          "numbers.</desc>\n",
          WIDTH, height);
  for (unsigned i = 0; i < replay->variant_count; i++) {
    const struct replay_variant *variant = &replay->variant[i];
    struct ledger_row total;
    char name[REPORT_WORD];
    unsigned y = i * (BAR + GAP + 4);
    if (!variant->ledger) continue;
    ledger_total(variant->ledger, &total);
    fprintf(out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">", LABELS + 92, y + BAR);
    escape_xml(out, name_variant(&variant->variant, name, sizeof name));
    fputs("</text>\n", out);
    print_shares(out, &total, variant->variant.depth, y);
  }
  fputs("</svg>\n", out);
}

static void print_level_row(FILE *out, const struct replay_variant *variant, unsigned deepest) {
  struct ledger_row total;
  char name[REPORT_WORD], cell[REPORT_WORD];
  ledger_total(variant->ledger, &total);
  fputs("<tr>", out);
  html_element(out, "th", "scope=\"row\"", name_variant(&variant->variant, name, sizeof name));
  for (unsigned level = 1; level <= deepest; level++) {
    cell[0] = '\0';
    if (level <= variant->variant.depth)
      snprintf(cell, sizeof cell, "%" PRIu64, total.by_level[level]);
    html_element(out, "td", "", cell);
  }
  snprintf(cell, sizeof cell, "%" PRIu64, total.exits);
  html_element(out, "td", "", cell);
  fputs("</tr>\n", out);
}

void html_levels(const struct text *text) {
  const struct replay *replay = text->replay;
  FILE *out = text->out;
  unsigned deepest = 1;
  if (!rows_first(replay)) return;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    unsigned depth = replay->variant[i].variant.depth;
    if (replay->variant[i].ledger && depth > deepest) deepest = depth;
  }
  fputs("<h2>Exits by level</h2>\n", out);
  print_level_chart(text);
  fputs(
      "<div class=\"scroll\"><table><caption>Exits to L0 of the whole trace, by the level of "
      "the guest that exited</caption>\n<thead><tr><th scope=\"col\">variant</th>",
      out);
  for (unsigned level = 1; level <= deepest; level++)
    fprintf(out,
            "<th scope=\"col\"><svg width=\"10\" height=\"10\" style=\"display:inline\" "
            "aria-hidden=\"true\"><rect class=\"s%u\" width=\"10\" height=\"10\"/></svg> "
            "L%u</th>",
            level % COLOURS, level);
  fputs("<th scope=\"col\">all</th></tr></thead>\n<tbody>\n", out);
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger) print_level_row(out, &replay->variant[i], deepest);
  }
  fputs("</tbody></table></div>\n", out);
}
