/* SPDX-License-Identifier: MIT
 * The table of the text report: operations in rows, depths and what is compared in columns. Depths
 * that do not fit beside each other come in a block of their own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/part.h"
#include "src/scenario/names.h"

enum { CELL = TABLE_CELL, LEFT_INDENT = 2 };
static const char title[] = "Exits to L0 per operation";
static const char subtitle[] = "(typical round, timer ticks aside)";

/* Rows behind those of the labels. */
enum extra_row { ROW_OUTSIDE, ROW_TRACE, ROW_CYCLES, ROW_UNIT, ROW_UNIT_CYCLES, EXTRA_ROWS };

/* The variants of one depth, side by side. */
struct group {
  unsigned depth;
  unsigned count;
  unsigned variant[REPLAY_VARIANTS];
  unsigned width[REPLAY_VARIANTS]; /* characters of its cells, with the space before them */
  unsigned total;
  unsigned axis_count; /* that tell its variants apart, slowest first: the last heads the columns */
  enum scenario_axis_name axis[SCENARIO_AXIS_COUNT];
};

struct table {
  const struct text *text;
  const char *label[LEDGER_LABELS];
  unsigned label_count;
  unsigned label_width;
  bool has_outside;
  bool has_flat;       /* a column for depth 1, where that is one variant */
  unsigned axis_count; /* of the group with most */
  bool has_units;      /* a guest's mix says what it does so many of */
  char unit_label[2][CELL];
  bool has_scheme; /* a line of the header says the scheme that all have */
  struct group flat;
  unsigned group_count;
  struct group group[REPLAY_VARIANTS];
};

/* ---- Cells --------------------------------------------------------------------------------- */

static void print_trace_cell(const struct replay_variant *variant, char cell[CELL]) {
  struct ledger_row row;
  ledger_total(variant->ledger, &row);
  uint64_t recorded = variant->recorded_exits;
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

static const struct scenario_guest *guest_of(const struct replay_variant *variant) {
  return &variant->variant.scenario->guest[variant->variant.stack.guest];
}

/* Of what the mix does: exits, and cycles, for one segment or whatever its unit is. */
static void print_unit_cell(const struct replay_variant *variant, bool in_cycles, char cell[CELL]) {
  struct ledger_row row;
  char low[CELL / 2], high[CELL / 2];
  double units = (double)guest_of(variant)->units;
  ledger_total(variant->ledger, &row);
  if (units == 0 || row.operations == 0) return;
  double operations = (double)row.operations / units, exits = (double)row.exits / units;
  if (!in_cycles) {
    snprintf(cell, CELL, exits < 10 ? "%.2f" : "%.1f", exits);
    return;
  }
  name_cycles(row.cycles_low * operations, low, sizeof low);
  name_cycles(row.cycles_high * operations, high, sizeof high);
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
      print_trace_cell(variant, cell);
      break;
    case ROW_CYCLES:
      print_cycles_cell(variant, cell);
      break;
    case ROW_UNIT:
    case ROW_UNIT_CYCLES:
      print_unit_cell(variant, row == table->label_count + ROW_UNIT_CYCLES, cell);
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

/* The lines above the rows: depth, scheme, a line for each slower axis, then title and words of the
 * fastest. */
static unsigned header_lines(const struct table *table) {
  unsigned slower = table->axis_count ? table->axis_count - 1 : 0;
  return 1 + table->has_scheme + slower + 2;
}

/* The word of an axis over one column. */
static const char *axis_word(const struct table *table, unsigned index,
                             enum scenario_axis_name axis) {
  const struct scenario_variant *variant = &table->text->replay->variant[index].variant;
  return name_is_shown(variant, axis) ? name_value(variant, axis) : "any";
}

static const char *column_word(const struct table *table, const struct group *group, unsigned index,
                               char *word, size_t size) {
  bool has_marks = table->text->compare && compare_has(table->text->compare, index);
  const char *text = "exits";
  if (group->axis_count) text = axis_word(table, index, group->axis[group->axis_count - 1]);
  snprintf(word, size, "%s%s", text, has_marks ? " " : "");
  return word;
}

static bool is_predicted(const struct table *table, const struct group *group) {
  for (unsigned i = 0; i < group->count; i++) {
    if (table->text->compare && compare_has(table->text->compare, group->variant[i])) return false;
  }
  return true;
}

/* Columns from `first` on that share the words of the slower axes up to number `axis`. */
static unsigned span_count(const struct table *table, const struct group *group, unsigned first,
                           unsigned axis) {
  unsigned last = first + 1;
  for (; last < group->count; last++) {
    for (unsigned k = 0; k <= axis; k++) {
      const char *left = axis_word(table, group->variant[first], group->axis[k]);
      if (strcmp(left, axis_word(table, group->variant[last], group->axis[k])) != 0)
        return last - first;
    }
  }
  return last - first;
}

static unsigned span_width(const struct group *group, unsigned first, unsigned count) {
  unsigned width = 0;
  for (unsigned i = first; i < first + count; i++) width += group->width[i];
  return width;
}

static void name_depth(const struct table *table, const struct group *group, char *text,
                       size_t size) {
  const char *mark = group->depth > 1 && is_predicted(table, group) ? " (P)" : "";
  text[0] = '\0';
  text_append(text, size, "depth %u%s: L%u", group->depth, mark, group->depth);
  for (unsigned level = group->depth; level-- > 0;) text_append(text, size, " on L%u", level);
  if (strlen(text) > group->total - 2) snprintf(text, size, "depth %u%s", group->depth, mark);
}

static unsigned least_width(const struct table *table, const struct group *group) {
  if (group == &table->flat) return (unsigned)sizeof "depth 1";
  if (group->depth == 2) return (unsigned)sizeof "depth 2: L2 on L1 on L0" + 2;
  return (unsigned)sizeof "VMCS shadowing" + 2;
}

static void widen(struct group *group, unsigned first, unsigned count, unsigned least) {
  for (unsigned i = 0; count && span_width(group, first, count) < least; i = (i + 1) % count) {
    group->width[first + i]++;
    group->total++;
  }
}

static void lay_out(const struct table *table, struct group *group) {
  bool is_flat = group == &table->flat;
  group->total = 0;
  for (unsigned i = 0; i < group->count; i++) {
    unsigned widest = 4;
    char cell[CELL];
    for (unsigned row = 0; row < table->label_count + EXTRA_ROWS; row++) {
      unsigned length = (unsigned)strlen(print_cell(table, row, group->variant[i], cell));
      if (length > widest) widest = length;
    }
    unsigned word =
        (unsigned)strlen(column_word(table, group, group->variant[i], cell, sizeof cell));
    if (!is_flat && word > widest) widest = word;
    group->width[i] = widest + 2;
    group->total += group->width[i];
  }
  for (unsigned axis = 0; !is_flat && axis + 1 < group->axis_count; axis++) {
    for (unsigned i = 0, count; i < group->count; i += count) {
      count = span_count(table, group, i, axis);
      const char *word = axis_word(table, group->variant[i], group->axis[axis]);
      widen(group, i, count, (unsigned)strlen(word) + 2);
    }
  }
  widen(group, 0, group->count, least_width(table, group));
}

static void add_variant(struct table *table, unsigned index) {
  unsigned depth = table->text->replay->variant[index].variant.depth, at = 0;
  struct group *group = &table->flat;
  if (depth > 1 || !table->has_flat) {
    while (at < table->group_count && table->group[at].depth != depth) at++;
    if (at == table->group_count) table->group_count++;
    group = &table->group[at];
  }
  group->depth = depth;
  group->variant[group->count++] = index;
}

static void find_axes(struct table *table, struct group *group) {
  const struct replay *replay = table->text->replay;
  uint32_t named = 0;
  for (unsigned i = 0; i < group->count; i++)
    named |= replay->variant[group->variant[i]].variant.named;
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    if (i != SCENARIO_AXIS_DEPTH && named >> i & 1)
      group->axis[group->axis_count++] = (enum scenario_axis_name)i;
  }
  if (group->axis_count > table->axis_count) table->axis_count = group->axis_count;
}

static void find_groups(struct table *table) {
  const struct replay *replay = table->text->replay;
  unsigned flat = 0;
  table->has_scheme = true;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    flat += replay->variant[i].variant.depth == 1;
    table->has_scheme &= !name_is_shown(&replay->variant[i].variant, SCENARIO_AXIS_SCHEME);
  }
  table->has_flat = flat == 1;
  for (unsigned i = 0; i < replay->variant_count; i++) add_variant(table, i);
  for (unsigned i = 0; i < table->group_count; i++) find_axes(table, &table->group[i]);
}

static unsigned left_width(const struct table *table) {
  unsigned width = LEFT_INDENT + table->label_width + 7;
  if (table->has_flat) width += table->flat.width[0] + 1;
  unsigned least = (unsigned)sizeof subtitle;
  return width < least ? least : width;
}

/* The columns of a group that is too wide for a line make another group behind it: whole spans of
 * its slowest axis where there are some, at least one. */
static void split(struct table *table, unsigned index) {
  struct group *group = &table->group[index];
  unsigned left = left_width(table) + 2, kept = 0;
  if (group->total <= least_width(table, group)) return; /* its heading is as wide */
  while (kept < group->count) {
    unsigned count = group->axis_count > 1 ? span_count(table, group, kept, 0) : 1;
    if (kept && left + span_width(group, 0, kept + count) > table->text->columns) break;
    kept += count;
  }
  if (kept == group->count || table->group_count == REPLAY_VARIANTS) return;
  memmove(group + 2, group + 1, (table->group_count - index - 1) * sizeof *group);
  table->group_count++;
  group[1] = *group;
  group[1].count -= kept;
  memmove(group[1].variant, group[1].variant + kept, group[1].count * sizeof *group->variant);
  group->count = kept;
  lay_out(table, group);
}

/* "exits per segment", if all guests count in the same unit. */
static void name_units(struct table *table) {
  const struct scenario *scenario = table->text->replay->scenario;
  const char *unit = scenario->guest[0].unit;
  for (unsigned i = 0; i < scenario->guest_count; i++) {
    table->has_units |= scenario->guest[i].units > 0;
    if (strcmp(scenario->guest[i].unit, unit) != 0) unit = "unit";
  }
  snprintf(table->unit_label[0], CELL, "exits per %.15s", unit);
  snprintf(table->unit_label[1], CELL, "cycles per %.15s", unit);
}

static void prepare(struct table *table, const struct text *text) {
  memset(table, 0, sizeof *table);
  table->text = text;
  find_groups(table);
  name_units(table);
  table->label_count = rows_labels(text->replay, table->label);
  table->label_width = (unsigned)sizeof "est. cycles, low-high" - 1;
  for (unsigned i = 0; i < table->label_count; i++) {
    unsigned length = (unsigned)strlen(table->label[i]);
    if (length > table->label_width) table->label_width = length;
  }
  for (unsigned i = 0; i < text->replay->variant_count; i++) {
    const struct replay_variant *variant = &text->replay->variant[i];
    struct ledger_row outside;
    if (variant->ledger && ledger_row(variant->ledger, LEDGER_OUTSIDE, &outside))
      table->has_outside |= outside.exits > 0;
  }
  if (table->has_flat) lay_out(table, &table->flat);
  for (unsigned i = 0; i < table->group_count; i++) {
    lay_out(table, &table->group[i]);
    split(table, i);
  }
}

struct table *table_make(const struct text *text) {
  struct table *table = malloc(sizeof *table);
  if (table) prepare(table, text);
  return table;
}

/* ---- Printing ------------------------------------------------------------------------------ */

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

/* A slower axis: each word over the columns that share it. */
static void append_spans(const struct table *table, const struct group *group, unsigned axis,
                         char *line, size_t size) {
  for (unsigned i = 0, count; i < group->count; i += count) {
    count = span_count(table, group, i, axis);
    const char *word = axis_word(table, group->variant[i], group->axis[axis]);
    append(line, size, word, span_width(group, i, count), true);
  }
}

static void append_words(const struct table *table, const struct group *group, char *line,
                         size_t size) {
  char word[CELL];
  for (unsigned i = 0; i < group->count; i++)
    append(line, size, column_word(table, group, group->variant[i], word, sizeof word),
           group->width[i], false);
}

/* What all columns of a group share, for one line of the header; "" for an empty one. */
static void name_line(const struct table *table, const struct group *group, unsigned number,
                      char *text, size_t size) {
  const struct scenario_variant *variant = &table->text->replay->variant[group->variant[0]].variant;
  text[0] = '\0';
  if (number == 0)
    name_depth(table, group, text, size);
  else if (number == 1 && table->has_scheme)
    snprintf(text, size, "%s", name_value(variant, SCENARIO_AXIS_SCHEME));
  else if (number + 2 == header_lines(table) && group->axis_count)
    snprintf(text, size, "%s", scenario_axis_info(group->axis[group->axis_count - 1])->title);
}

/* Axes stand at the bottom: slower ones, title and words of the fastest. */
static void append_header(const struct table *table, const struct group *group, unsigned number,
                          char *line, size_t size) {
  char text[CELL * 2] = "";
  unsigned lines = header_lines(table);
  unsigned first_axis = lines - 1 - (group->axis_count ? group->axis_count : 1);
  if (number + 1 == lines) {
    append_words(table, group, line, size);
  } else if (number >= first_axis && number + 2 < lines) {
    append_spans(table, group, number - first_axis, line, size);
  } else {
    name_line(table, group, number, text, sizeof text);
    append(line, size, text, group->total, true);
  }
}

static void print_header_line(const struct table *table, unsigned from, unsigned to,
                              unsigned number) {
  char line[REPORT_TEXT];
  const char *left = number == 0 ? title : number == 1 ? subtitle : "";
  snprintf(line, sizeof line, "%s", left);
  if (number + 1 == header_lines(table))
    print_left(table, "guest operation", "seen", "depth 1", line, sizeof line);
  fill_left(table, line, sizeof line);
  for (unsigned g = from; g < to; g++) {
    append(line, sizeof line, " |", 2, false);
    append_header(table, &table->group[g], number, line, sizeof line);
  }
  print_line(table, line);
}

bool table_row(const struct table *table, unsigned row, const char **label, char seen[CELL]) {
  const char *const extra[EXTRA_ROWS] = {"outside any operation", "whole trace, mean",
                                         "est. cycles, low-high", table->unit_label[0],
                                         table->unit_label[1]};
  bool is_label = row < table->label_count;
  *label = is_label ? table->label[row] : extra[row - table->label_count];
  struct ledger_row counted;
  seen[0] = '\0';
  if (is_label && rows_seen(table->text->replay, *label, &counted))
    snprintf(seen, CELL, "%" PRIu64, counted.operations);
  if (row == table->label_count + ROW_TRACE)
    snprintf(seen, CELL, "%" PRIu64, table->text->replay->recorded_exits);
  if (row == table->label_count + ROW_OUTSIDE) return table->has_outside;
  return row < table->label_count + ROW_UNIT || table->has_units;
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
  unsigned lines = header_lines(table);
  for (unsigned i = 0; i < lines; i++) {
    bool is_empty = from == to && i > 1 && i + 1 < lines; /* depth 1 alone */
    if (!is_empty) print_header_line(table, from, to, i);
  }
  for (unsigned row = 0; row < table_row_count(table); row++) print_row(table, from, to, row);
}

static void print_marks(const struct table *table) {
  const struct compare *compare = table->text->compare;
  FILE *out = table->text->out;
  bool has_predicted = false;
  for (unsigned i = 0; i < table->group_count; i++)
    has_predicted |= table->group[i].depth > 1 && is_predicted(table, &table->group[i]);
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
