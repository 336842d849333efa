/* SPDX-License-Identifier: MIT
 * What operations cost by estimate: cycles with their spread, where the time goes, what a variant
 * saves, published figures beside it, and what it is all added up from. */
#include <stdlib.h>
#include <string.h>

#include "src/report/part.h"

enum { CYCLES = 16, VARIANT = 128 };

/* ---- Operations ---------------------------------------------------------------------------- */

static void print_operation(FILE *out, const struct ledger_row *row, unsigned depth) {
  char low[CYCLES], typical[CYCLES], high[CYCLES], instructions[CYCLES], spread[2 * CYCLES];
  name_cycles(row->cycles_typical, typical, sizeof typical);
  snprintf(spread, sizeof spread, "%s-%s", name_cycles(row->cycles_low, low, sizeof low),
           name_cycles(row->cycles_high, high, sizeof high));
  fprintf(out, "    %-24s %8.1f %8s %13s %8s  ", row->label,
          (double)row->exits / (double)row->operations, typical, spread,
          name_cycles(row->instructions[0], instructions, sizeof instructions));
  fprintf(out, " %7.0f%%", 100 * row->cycles_switch / row->cycles_typical);
  for (unsigned level = 0; level < depth; level++)
    fprintf(out, " %3.0f%%", 100 * row->cycles_at[level] / row->cycles_typical);
  fprintf(out, "\n");
}

static void print_variant(FILE *out, const struct replay *replay, unsigned index) {
  const struct replay_variant *variant = &replay->variant[index];
  const char *labels[LEDGER_LABELS];
  unsigned count = rows_labels(replay, labels), depth = variant->variant.depth;
  char name[VARIANT];
  struct ledger_row row;
  fprintf(out, "  %s\n", name_variant(&variant->variant, name, sizeof name));
  fprintf(out, "    %-24s %8s %8s %13s %8s   %s", "", "exits", "cycles", "low-high", "L0 instr",
          "switches");
  for (unsigned level = 0; level < depth; level++) fprintf(out, "   L%u", level);
  fprintf(out, "\n");
  for (unsigned i = 0; i < count; i++) {
    if (rows_find(variant, labels[i], &row)) print_operation(out, &row, depth);
  }
  ledger_total(variant->ledger, &row);
  if (row.operations) print_operation(out, &row, depth);
}

/* ---- Savings ------------------------------------------------------------------------------- */

static void print_pair(FILE *out, const struct replay *replay, const struct cost_saving *saving) {
  char from[VARIANT], to[VARIANT];
  fprintf(out, "  from %s to %s\n",
          name_variant(&replay->variant[saving->from].variant, from, sizeof from),
          name_variant(&replay->variant[saving->to].variant, to, sizeof to));
  fprintf(out, "    %-24s %16s %18s %7s %12s %14s\n", "", "exits", "cycles", "saved", "fewer exits",
          "cheaper exits");
}

static void print_saving(FILE *out, const struct cost_saving *saving) {
  char from[CYCLES], to[CYCLES];
  double whole = saving->cycles_from;
  fprintf(out, "    %-24s %7.1f ->%6.1f %8s ->%7s %6.0f%% %11.0f%% %13.0f%%\n",
          saving->label ? saving->label : "whole trace", saving->exits_from, saving->exits_to,
          name_cycles(saving->cycles_from, from, sizeof from),
          name_cycles(saving->cycles_to, to, sizeof to), 100 * (whole - saving->cycles_to) / whole,
          100 * saving->fewer / whole, 100 * saving->cheaper / whole);
}

static void print_savings(FILE *out, const struct replay *replay) {
  size_t count;
  struct cost_saving *savings = cost_savings(replay, &count);
  if (count) fprintf(out, "\nSavings: by fewer exits and by cheaper ones, which add up\n");
  for (size_t i = 0; i < count; i++) {
    if (i == 0 || savings[i].from != savings[i - 1].from || savings[i].to != savings[i - 1].to)
      print_pair(out, replay, &savings[i]);
    print_saving(out, &savings[i]);
  }
  free(savings);
}

/* ---- Published figures --------------------------------------------------------------------- */

static void print_figure(const struct ledger_anchor *anchor, double value, char *text,
                         size_t size) {
  bool is_fraction = anchor->unit == LEDGER_ANCHOR_RATIO;
  snprintf(text, size, is_fraction ? "%.2f" : "%.0f", value);
}

static void print_prediction(FILE *out, const struct replay *replay,
                             const struct cost_prediction *row) {
  const struct ledger_anchor *anchor = row->anchor;
  char published[2 * CYCLES], predicted[CYCLES], high[CYCLES], variant[VARIANT];
  print_figure(anchor, anchor->low, published, sizeof published);
  print_figure(anchor, row->predicted, predicted, sizeof predicted);
  if (anchor->high > anchor->low) {
    print_figure(anchor, anchor->high, high, sizeof high);
    text_append(published, sizeof published, "-%s", high);
  }
  fprintf(out, "  %-7s %-11s %-27s %9s %9s ", anchor->id, anchor->operation,
          name_variant(&replay->variant[row->variant].variant, variant, sizeof variant), published,
          predicted);
  if (anchor->unit == LEDGER_ANCHOR_FIT)
    fprintf(out, "%7s", "fitted");
  else
    fprintf(out, "%+6.0f%%", 100 * row->deviation);
  fprintf(out, "  %s\n", cost_unit(anchor->unit));
}

/* Once for each figure, or for several that stand together and have the same. */
static void print_source(FILE *out, const struct cost_prediction *rows, size_t count, size_t at) {
  const struct ledger_anchor *anchor = rows[at].anchor;
  const char *source = anchor->source;
  if (at && strcmp(rows[at - 1].anchor->source, source) == 0) return;
  size_t last = at; /* of those that stand together */
  while (last + 1 < count && strcmp(rows[last + 1].anchor->source, source) == 0) last++;
  const char *end = rows[last].anchor->id;
  bool is_one = strcmp(end, anchor->id) == 0;
  fprintf(out, "  %s%s%s: %s, %s\n", anchor->id, is_one ? "" : " to ", is_one ? "" : end,
          anchor->mark, source);
}

static void print_predictions(FILE *out, const struct replay *replay) {
  size_t count;
  struct cost_prediction *rows = cost_predictions(replay, &count);
  double scale = cost_scale(replay);
  if (count) {
    fprintf(out, "\nPublished figures beside the typical estimate; none is a bound\n");
    fprintf(out, "  %-7s %-11s %-27s %9s %9s %7s\n", "", "", "", "published", "predicted",
            "deviates");
  }
  for (size_t i = 0; i < count; i++) print_prediction(out, replay, &rows[i]);
  for (size_t i = 0; i < count; i++) print_source(out, rows, count, i);
  if (scale > 0)
    fprintf(out, "  One scale, %.4f ns a cycle, is fitted to the first row; nothing else is.\n",
            scale);
  free(rows);
}

/* ---- Unit costs ---------------------------------------------------------------------------- */

static void print_unit_costs(FILE *out) {
  fprintf(out, "Unit costs in cycles, low-typical-high\n");
  for (size_t i = 0; i < ledger_cost_count(); i++) {
    const struct ledger_cost *cost = ledger_cost(i);
    fprintf(out, "  %-11s %4g-%4g-%4g %-9s %s; %s\n", cost->name, cost->low, cost->typical,
            cost->high, cost->mark, cost->unit, cost->source);
  }
  fprintf(
      out,
      "\nRoutines in instructions of hypervisor software: 10th percentile-median-90th, samples\n"
      "  measured in operation logs of KVM 6.1 on KVM 6.1 and taken for every hypervisor\n");
  for (unsigned i = 0; i < LEDGER_ROUTINES; i++) {
    const struct ledger_routine_cost *routine = ledger_routine(i);
    fprintf(out, "  %-9s %6u-%5u-%5u %5u  %s\n", routine->name, routine->low, routine->typical,
            routine->high, routine->samples, routine->title);
  }
}

void costs_print(FILE *out, const struct replay *replay) {
  fprintf(
      out,
      "\nCosts per operation: estimated cycles, mean over the trace; share of the typical ones in\n"
      "switches (exits with their entries) and in the software of each level\n");
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger) print_variant(out, replay, i);
  }
  print_savings(out, replay);
  print_predictions(out, replay);
  fprintf(out, "\n");
  print_unit_costs(out);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

void costs_print_json(FILE *out, const struct replay *replay) {
  size_t saving_count, row_count;
  struct cost_saving *savings = cost_savings(replay, &saving_count);
  struct cost_prediction *rows = cost_predictions(replay, &row_count);
  const char *separator = "";
  fprintf(out, "  \"savings\": [");
  for (size_t i = 0; i < saving_count; i++) {
    if (savings[i].label) continue; /* those of an operation follow from its rows */
    fprintf(out,
            "%s\n    {\"from\": %u, \"to\": %u, \"cycles_from\": %.0f, \"cycles_to\": %.0f, "
            "\"fewer_exits\": %.0f, \"cheaper_exits\": %.0f}",
            separator, savings[i].from + 1, savings[i].to + 1, savings[i].cycles_from,
            savings[i].cycles_to, savings[i].fewer, savings[i].cheaper);
    separator = ",";
  }
  fprintf(out, "],\n  \"ns_per_cycle\": %.6f,\n  \"published\": [", cost_scale(replay));
  for (size_t i = 0; i < row_count; i++) {
    const struct ledger_anchor *anchor = rows[i].anchor;
    fprintf(out,
            "%s\n    {\"id\": \"%s\", \"operation\": \"%s\", \"variant\": %u, \"unit\": \"%s\", "
            "\"fitted\": %s, \"low\": %g, \"high\": %g, \"predicted\": %.2f, "
            "\"deviation\": %.4f, \"mark\": \"%s\", \"source\": \"%s\"}",
            i ? "," : "", anchor->id, anchor->operation, rows[i].variant + 1,
            cost_unit(anchor->unit), anchor->unit == LEDGER_ANCHOR_FIT ? "true" : "false",
            anchor->low, anchor->high, rows[i].predicted, rows[i].deviation, anchor->mark,
            anchor->source);
  }
  fprintf(out, "],\n");
  free(savings);
  free(rows);
}
