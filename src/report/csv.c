/* SPDX-License-Identifier: MIT
 * The report as comma-separated values (RFC 4180, but lines end with LF alone). */
#include <inttypes.h>
#include <string.h>

#include "src/report/part.h"

static void print_field(FILE *out, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, out);
    return;
  }
  fputc('"', out);
  for (; *text; text++) {
    if (*text == '"') fputc('"', out);
    fputc(*text, out);
  }
  fputc('"', out);
}

/* variant, depth, vmcs_shadowing, operation: what both kinds of record begin with. */
static void print_key(FILE *out, const struct replay *replay, unsigned index, const char *label) {
  const struct scenario_variant *variant = &replay->variant[index].variant;
  fprintf(out, "%u,%u,%s,", index + 1, variant->depth, variant->vmcs_shadowing ? "on" : "off");
  print_field(out, label);
}

static void print_row(FILE *out, const struct replay *replay, unsigned index,
                      const struct ledger_row *row) {
  unsigned depth = replay->variant[index].variant.depth;
  print_key(out, replay, index, row->label);
  fprintf(out, ",%" PRIu64 ",", row->operations);
  if (row->typical_operations) fprintf(out, "%u", row->typical);
  fprintf(out, ",%.3f,%" PRIu64, row->mean, row->exits);
  fprintf(out, ",%" PRIu64 ",%" PRIu64, row->by_level[depth] - row->reflected[depth],
          row->reflected[depth]);
  fprintf(out, ",%.0f,%.0f\n", row->cycles_low, row->cycles_high);
}

static void print_rows(FILE *out, const struct replay *replay, unsigned index) {
  const struct ledger *ledger = replay->variant[index].ledger;
  struct ledger_row row;
  for (unsigned i = 0; i < ledger_label_count(ledger); i++) {
    if (ledger_row(ledger, i, &row) && (row.operations || row.exits))
      print_row(out, replay, index, &row);
  }
  ledger_total(ledger, &row);
  print_row(out, replay, index, &row);
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
    print_field(out, cause->folded
                         ? "others"
                         : name_detail(cause->reason, cause->detail, detail, sizeof detail));
    fprintf(out, ",%" PRIu64 ",%" PRIu64 "\n", cause->exits, cause->reflected);
  }
}

int report_csv(FILE *out, const struct replay *replay, const struct report_options *options) {
  (void)options;
  fprintf(out,
          "variant,depth,vmcs_shadowing,operation,operations,exits_typical,exits_mean,exits_total,"
          "kept,reflected,cycles_low,cycles_high\n");
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger) print_rows(out, replay, i);
  }
  fprintf(out, "\nvariant,depth,vmcs_shadowing,operation,level,reason,detail,exits,reflected\n");
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger) print_causes(out, replay, i);
  }
  return claims_count(replay) == replay->scenario->claim_count ? 0 : 1;
}
