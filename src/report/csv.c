/* SPDX-License-Identifier: MIT
 * The report as comma-separated values (RFC 4180, but lines end with LF alone): one table a file,
 * every record with the columns of the heading, so that a data frame reads it as it is. */
#include <inttypes.h>
#include <string.h>

#include "src/report/escape.h"
#include "src/report/part.h"
#include "src/scenario/names.h"

/* The columns that both kinds of record begin with: variant, one for each axis, operation. */
static void print_key_heading(FILE *out) {
  fprintf(out, "variant,");
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    const char *name = scenario_axis_info((enum scenario_axis_name)i)->name;
    for (; *name; name++) fputc(*name == '-' ? '_' : *name, out);
    fputc(',', out);
  }
  fprintf(out, "operation");
}

static void print_key(FILE *out, const struct replay *replay, unsigned index, const char *label) {
  const struct scenario_variant *variant = &replay->variant[index].variant;
  fprintf(out, "%u,", index + 1);
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    escape_csv(out, name_word(variant, (enum scenario_axis_name)i));
    fputc(',', out);
  }
  escape_csv(out, label);
}

static void print_row(FILE *out, const struct replay *replay, unsigned index, const char *kind,
                      const struct ledger_row *row) {
  unsigned depth = replay->variant[index].variant.depth;
  print_key(out, replay, index, row->label);
  fprintf(out, ",%s,%" PRIu64 ",", kind, row->operations);
  if (row->typical_operations) fprintf(out, "%u", row->typical);
  fprintf(out, ",%.3f,%" PRIu64, row->mean, row->exits);
  fprintf(out, ",%" PRIu64 ",%" PRIu64, row->by_level[depth] - row->reflected[depth],
          row->reflected[depth]);
  fprintf(out, ",%.0f,%.0f,%.0f", row->cycles_low, row->cycles_typical, row->cycles_high);
  fprintf(out, ",%.0f,%.0f,%.0f\n", row->cycles_switch, row->cycles_at[0], row->instructions[0]);
}

static void print_rows(FILE *out, const struct replay *replay, unsigned index) {
  const struct ledger *ledger = replay->variant[index].ledger;
  struct ledger_row row;
  for (unsigned i = 0; i < ledger_label_count(ledger); i++) {
    if (ledger_row(ledger, i, &row) && (row.operations || row.exits))
      print_row(out, replay, index, i == LEDGER_OUTSIDE ? "outside" : "operation", &row);
  }
  ledger_total(ledger, &row);
  print_row(out, replay, index, "total", &row);
}

static void print_causes(FILE *out, const struct replay *replay, unsigned index) {
  const struct ledger *ledger = replay->variant[index].ledger;
  for (size_t i = 0; i < ledger_cause_count(ledger); i++) {
    const struct ledger_cause *cause = ledger_cause(ledger, i);
    struct ledger_row row;
    char detail[64];
    ledger_row(ledger, cause->label, &row);
    print_key(out, replay, index, row.label);
    fprintf(out, ",%u,%s,", cause->level, nst_exit_name(cause->reason));
    escape_csv(out, cause->folded
                        ? "others"
                        : name_detail(cause->reason, cause->detail, detail, sizeof detail));
    fprintf(out, ",%" PRIu64 ",%" PRIu64 "\n", cause->exits, cause->reflected);
  }
}

int report_csv(FILE *out, const struct replay *replay, const struct report_options *options) {
  (void)options;
  print_key_heading(out);
  fputs(
      ",kind,operations,exits_typical,exits_mean,exits_total,kept,reflected,cycles_low,"
      "cycles_typical,cycles_high,cycles_switch,cycles_l0,instructions_l0\n",
      out);
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger) print_rows(out, replay, i);
  }
  return claims_count(replay) == replay->scenario->claim_count ? 0 : 1;
}

int report_csv_causes(FILE *out, const struct replay *replay,
                      const struct report_options *options) {
  (void)options;
  print_key_heading(out);
  fputs(",level,reason,detail,exits,reflected\n", out);
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger) print_causes(out, replay, i);
  }
  return claims_count(replay) == replay->scenario->claim_count ? 0 : 1;
}
