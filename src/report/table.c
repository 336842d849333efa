/* SPDX-License-Identifier: MIT
 * The table of the text report: operations in rows, depths and what is compared in columns. Depths
 * that do not fit beside each other come in a block of their own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/part.h"

enum { CELL = TABLE_CELL, HEADER_LINES = 4, LEFT_INDENT = 2 };
static const char title[] = "Exits to L0 per operation";
static const char subtitle[] = "(typical round, timer ticks aside)";

/* Rows behind those of the labels. */
enum extra_row { ROW_OUTSIDE, ROW_TRACE, ROW_CYCLES, EXTRA_ROWS };

/* The variants of one depth, side by side. */
struct group {
  unsigned depth;
  unsigned count;
  unsigned variant[REPLAY_VARIANTS];
  unsigned width[REPLAY_VARIANTS]; /* characters of its cells, with the space before them */
  unsigned total;
};

struct table {
  const struct text *text;
  const char *label[LEDGER_LABELS];
  unsigned label_count;
  unsigned label_width;
  bool has_outside;
  bool has_flat; /* a column for depth 1 */
  struct group flat;
  unsigned group_count;
  struct group group[SCENARIO_DEPTH_LIMIT];
};

/* ---- Cells --------------------------------------------------------------------------------- */

static void print_trace_cell(const struct table *table, const struct replay_variant *variant,
                             char cell[CELL]) {
  struct ledger_row row;
  ledger_total(variant->ledger, &row);
  uint64_t recorded = table->text->replay->recorded_exits;
  if (recorded) snprintf(cell, CELL, "%.1f", (double)row.exits / (double)recorded);
}

static void print_cycles_cell(const struct replay_variant *variant, char cell[CELL]) {
  struct ledger_row row;
  char low[CELL / 2], high[CELL / 2];
  ledger_total(variant->ledger, &row);
  if (row.operations == 0) return;
  name_cycles(row.cycles_low, low, sizeof low);
  name_cycles(row.cycles_high, high, sizeof high);
  snprintf(cell, CELL, "%s-%s", low, high);
}

static void print_outside_cell(const struct replay_variant *variant, char cell[CELL]) {
  struct ledger_row row;
  ledger_row(variant->ledger, LEDGER_OUTSIDE, &row);
  snprintf(cell, CELL, "%" PRIu64, row.exits);
}

static void print_label_cell(const struct table *table, unsigned index, const char *label,
                             char cell[CELL]) {
  static const char *const marks[] = {
      [COMPARE_NONE] = "p", [COMPARE_EQUAL] = " ", [COMPARE_DIFFERENT] = "!"};
  const struct compare *compare = table->text->compare;
  struct ledger_row row;
  if (!rows_find(&table->text->replay->variant[index], label, &row)) return;
  const char *mark = "";
  if (compare && compare_has(compare, index)) mark = marks[compare_find(compare, index, label)];
  bool is_most = row.typical == LEDGER_HISTOGRAM;
  snprintf(cell, CELL, "%u%s%s", row.typical, is_most ? "+" : "", mark);
}

/* What stands in a row, for a variant; "-" where nothing was counted. */
static const char *print_cell(const struct table *table, unsigned row, unsigned index,
                              char cell[CELL]) {
  const struct replay_variant *variant = &table->text->replay->variant[index];
  snprintf(cell, CELL, "-");
  if (!variant->ledger) return cell;
  if (row < table->label_count) {
    print_label_cell(table, index, table->label[row], cell);
    return cell;
  }
  switch ((enum extra_row)(row - table->label_count)) {
    case ROW_OUTSIDE:
      print_outside_cell(variant, cell);
      break;
    case ROW_TRACE:
      print_trace_cell(table, variant, cell);
      break;
    case ROW_CYCLES:
      print_cycles_cell(variant, cell);
      break;
    case EXTRA_ROWS:
      break;
  }
  /* In line with the cells that carry a mark. */
  if (table->text->compare && compare_has(table->text->compare, index))
    text_append(cell, CELL, " ");
  return cell;
}

unsigned table_row_count(const struct table *table) {
  return table->label_count + EXTRA_ROWS;
}

const char *table_cell(const struct table *table, unsigned row, unsigned variant, char cell[CELL]) {
  return print_cell(table, row, variant, cell);
}

/* ---- Layout -------------------------------------------------------------------------------- */

static const char *column_word(const struct table *table, unsigned index, char *word, size_t size) {
  bool is_on = table->text->replay->variant[index].variant.vmcs_shadowing;
  bool has_marks = table->text->compare && compare_has(table->text->compare, index);
  snprintf(word, size, "%s%s", is_on ? "on" : "off", has_marks ? " " : "");
  return word;
}

static bool is_predicted(const struct table *table, const struct group *group) {
  for (unsigned i = 0; i < group->count; i++) {
    if (table->text->compare && compare_has(table->text->compare, group->variant[i])) return false;
  }
  return true;
}

/* Line of the header above a group. */
static void print_header(const struct table *table, const struct group *group, unsigned line,
                         char *text, size_t size) {
  const char *mark = is_predicted(table, group) ? " (P)" : "";
  text[0] = '\0';
  if (line == 0) {
    text_append(text, size, "depth %u%s: L%u", group->depth, mark, group->depth);
    for (unsigned level = group->depth; level-- > 0;) text_append(text, size, " on L%u", level);
    if (strlen(text) > group->total - 2) snprintf(text, size, "depth %u%s", group->depth, mark);
  } else if (line == 1) {
    snprintf(text, size, "%s", name_scheme(table->text->replay->scenario->level[1].scheme));
  } else if (line == 2) {
    snprintf(text, size, "VMCS shadowing");
  }
}

static void lay_out(const struct table *table, struct group *group) {
  unsigned least = group->depth == 1   ? (unsigned)sizeof "depth 1"
                   : group->depth == 2 ? (unsigned)sizeof "depth 2: L2 on L1 on L0" + 2
                                       : (unsigned)sizeof "VMCS shadowing" + 2;
  group->total = 0;
  for (unsigned i = 0; i < group->count; i++) {
    unsigned widest = 4;
    for (unsigned row = 0; row < table->label_count + EXTRA_ROWS; row++) {
      char cell[CELL];
      unsigned length = (unsigned)strlen(print_cell(table, row, group->variant[i], cell));
      if (length > widest) widest = length;
    }
    group->width[i] = widest + 2;
    group->total += group->width[i];
  }
  for (unsigned i = 0; group->count && group->total < least; i = (i + 1) % group->count) {
    group->width[i]++;
    group->total++;
  }
}

static void add_variant(struct table *table, unsigned index) {
  unsigned depth = table->text->replay->variant[index].variant.depth;
  struct group *group = &table->flat;
  if (depth == 1) {
    table->has_flat = true;
  } else {
    unsigned at = 0;
    while (at < table->group_count && table->group[at].depth != depth) at++;
    if (at == SCENARIO_DEPTH_LIMIT) return;
    if (at == table->group_count) table->group_count++;
    group = &table->group[at];
  }
  group->depth = depth;
  group->variant[group->count++] = index;
}

static void prepare(struct table *table, const struct text *text) {
  memset(table, 0, sizeof *table);
  table->text = text;
  table->label_count = rows_labels(text->replay, table->label);
  table->label_width = (unsigned)sizeof "est. cycles, low-high" - 1;
  for (unsigned i = 0; i < table->label_count; i++) {
    unsigned length = (unsigned)strlen(table->label[i]);
    if (length > table->label_width) table->label_width = length;
  }
  for (unsigned i = 0; i < text->replay->variant_count; i++) {
    const struct replay_variant *variant = &text->replay->variant[i];
    struct ledger_row outside;
    add_variant(table, i);
    if (variant->ledger && ledger_row(variant->ledger, LEDGER_OUTSIDE, &outside))
      table->has_outside |= outside.exits > 0;
  }
  for (unsigned i = 0; i < table->group_count; i++) lay_out(table, &table->group[i]);
  if (table->has_flat) lay_out(table, &table->flat);
}

struct table *table_make(const struct text *text) {
  struct table *table = malloc(sizeof *table);
  if (table) prepare(table, text);
  return table;
}

/* ---- Printing ------------------------------------------------------------------------------ */

static unsigned left_width(const struct table *table) {
  unsigned width = LEFT_INDENT + table->label_width + 7;
  if (table->has_flat) width += table->flat.width[0] + 1;
  unsigned least = (unsigned)sizeof subtitle;
  return width < least ? least : width;
}

static void print_line(const struct table *table, const char *line) {
  size_t length = strlen(line);
  while (length && line[length - 1] == ' ') length--;
  fprintf(table->text->out, "%.*s\n", (int)length, line);
}

static void append(char *line, size_t size, const char *text, unsigned width, bool centred) {
  unsigned length = (unsigned)strlen(text);
  unsigned before = width > length ? width - length : 0;
  if (centred) before -= before / 2;
  unsigned after = width > length + before ? width - length - before : 0;
  text_append(line, size, "%*s%s%*s", (int)before, "", text, (int)after, "");
}

/* The left part of a header line or row. */
static void print_left(const struct table *table, const char *label, const char *seen,
                       const char *flat, char *line, size_t size) {
  snprintf(line, size, "%*s%-*s%7s", LEFT_INDENT, "", (int)table->label_width, label, seen);
  if (table->has_flat) append(line, size, flat, table->flat.width[0] + 1, false);
}

static void fill_left(const struct table *table, char *line, size_t size) {
  size_t used = strlen(line);
  unsigned width = left_width(table);
  if (used < width) text_append(line, size, "%*s", (int)(width - used), "");
}

static void print_header_line(const struct table *table, unsigned from, unsigned to,
                              unsigned number) {
  char line[REPORT_TEXT], text[CELL * 2];
  static const char *const left[HEADER_LINES] = {title, subtitle, "", ""};
  snprintf(line, sizeof line, "%s", left[number]);
  if (number == HEADER_LINES - 1)
    print_left(table, "guest operation", "seen", "depth 1", line, sizeof line);
  fill_left(table, line, sizeof line);
  for (unsigned g = from; g < to; g++) {
    const struct group *group = &table->group[g];
    append(line, sizeof line, " |", 2, false);
    if (number < HEADER_LINES - 1) {
      print_header(table, group, number, text, sizeof text);
      append(line, sizeof line, text, group->total, true);
      continue;
    }
    for (unsigned i = 0; i < group->count; i++)
      append(line, sizeof line, column_word(table, group->variant[i], text, sizeof text),
             group->width[i], false);
  }
  print_line(table, line);
}

bool table_row(const struct table *table, unsigned row, const char **label, char seen[CELL]) {
  static const char *const extra[EXTRA_ROWS] = {"outside any operation", "whole trace, mean",
                                                "est. cycles, low-high"};
  bool is_label = row < table->label_count;
  *label = is_label ? table->label[row] : extra[row - table->label_count];
  struct ledger_row counted;
  const struct replay_variant *first = rows_first(table->text->replay);
  seen[0] = '\0';
  if (is_label && rows_find(first, *label, &counted))
    snprintf(seen, CELL, "%" PRIu64, counted.operations);
  if (row == table->label_count + ROW_TRACE)
    snprintf(seen, CELL, "%" PRIu64, table->text->replay->recorded_exits);
  return row != table->label_count + ROW_OUTSIDE || table->has_outside;
}

static void print_row(const struct table *table, unsigned from, unsigned to, unsigned row) {
  char line[REPORT_TEXT], cell[CELL], seen[CELL];
  const char *label;
  if (!table_row(table, row, &label, seen)) return;
  const char *flat = table->has_flat ? print_cell(table, row, table->flat.variant[0], cell) : "";
  print_left(table, label, seen, flat, line, sizeof line);
  fill_left(table, line, sizeof line);
  for (unsigned g = from; g < to; g++) {
    const struct group *group = &table->group[g];
    append(line, sizeof line, " |", 2, false);
    for (unsigned i = 0; i < group->count; i++)
      append(line, sizeof line, print_cell(table, row, group->variant[i], cell), group->width[i],
             false);
  }
  print_line(table, line);
}

static void print_block(const struct table *table, unsigned from, unsigned to) {
  for (unsigned i = 0; i < HEADER_LINES; i++) {
    if (from == to && (i == 2)) continue; /* depth 1 alone has fewer header lines */
    print_header_line(table, from, to, i);
  }
  for (unsigned row = 0; row < table_row_count(table); row++) print_row(table, from, to, row);
}

static void print_marks(const struct table *table) {
  const struct compare *compare = table->text->compare;
  FILE *out = table->text->out;
  bool has_predicted = false;
  for (unsigned i = 0; i < table->group_count; i++)
    has_predicted |= is_predicted(table, &table->group[i]);
  fprintf(out, "\nMarks     seen: recorded input%s\n", has_predicted ? "; (P): predicted" : "");
  if (!compare || compare->count == 0) return;
  fprintf(out, "          depth 2: checked against a recording, but p: predicted");
  fprintf(out, "%s\n", compare->equal < compare->count ? ", and !: differs from it" : "");
}

void table_print(const struct text *text) {
  struct table table;
  prepare(&table, text);
  unsigned from = 0;
  do {
    unsigned to = from, width = left_width(&table);
    while (to < table.group_count &&
           (to == from || width + table.group[to].total + 2 <= text->columns))
      width += table.group[to++].total + 2;
    if (from) fprintf(text->out, "\n");
    print_block(&table, from, to);
    from = to;
  } while (from < table.group_count);
  print_marks(&table);
}
