/* SPDX-License-Identifier: MIT
 * The report as JSON (RFC 8259), schema "nestor-replay" version 1. Numbers of 64 bits are written
 * in full; those that name a state are strings. */
#include <inttypes.h>

#include "src/report/escape.h"
#include "src/report/part.h"
#include "src/scenario/names.h"

static void print_string(FILE *out, const char *text) {
  fputc('"', out);
  escape_json(out, text);
  fputc('"', out);
}

static void print_member(FILE *out, const char *name, const char *text) {
  fprintf(out, "\"%s\": ", name);
  print_string(out, text);
}

/* Of the software of each level that has a guest. */
static void print_levels(FILE *out, const char *name, const double *values, unsigned depth) {
  fprintf(out, ", \"%s\": [", name);
  for (unsigned level = 0; level < depth; level++)
    fprintf(out, "%s%.0f", level ? ", " : "", values[level]);
  fprintf(out, "]");
}

static void print_row(FILE *out, const struct ledger_row *row, unsigned depth) {
  fprintf(out, "{");
  print_member(out, "operation", row->label);
  fprintf(out, ", \"operations\": %" PRIu64 ", \"exits_typical\": ", row->operations);
  if (row->typical_operations)
    fprintf(out, "%u", row->typical);
  else
    fprintf(out, "null");
  fprintf(out, ", \"exits_mean\": %.3f, \"exits_total\": %" PRIu64, row->mean, row->exits);
  fprintf(out, ", \"exits_by_level\": [");
  for (unsigned level = 0; level <= depth; level++)
    fprintf(out, "%s%" PRIu64, level ? ", " : "", row->by_level[level]);
  fprintf(out, "], \"kept\": %" PRIu64 ", \"reflected\": %" PRIu64,
          row->by_level[depth] - row->reflected[depth], row->reflected[depth]);
  fprintf(out, ", \"cycles_low\": %.0f, \"cycles_typical\": %.0f, \"cycles_high\": %.0f",
          row->cycles_low, row->cycles_typical, row->cycles_high);
  fprintf(out, ", \"cycles_switch\": %.0f", row->cycles_switch);
  print_levels(out, "cycles_by_level", row->cycles_at, depth);
  print_levels(out, "instructions_by_level", row->instructions, depth);
  fprintf(out, "}");
}

static void print_rows(FILE *out, const struct ledger *ledger, unsigned depth) {
  struct ledger_row row;
  fprintf(out, "      \"operations\": [");
  const char *separator = "";
  for (unsigned i = 0; i < ledger_label_count(ledger); i++) {
    if (!ledger_row(ledger, i, &row) || (!row.operations && !row.exits)) continue;
    fprintf(out, "%s\n        ", separator);
    print_row(out, &row, depth);
    separator = ",";
  }
  ledger_total(ledger, &row);
  fprintf(out, "],\n      \"total\": ");
  print_row(out, &row, depth);
}

static void print_causes(FILE *out, const struct ledger *ledger) {
  fprintf(out, ",\n      \"causes\": [");
  for (size_t i = 0; i < ledger_cause_count(ledger); i++) {
    const struct ledger_cause *cause = ledger_cause(ledger, i);
    struct ledger_row row;
    char detail[64];
    ledger_row(ledger, cause->label, &row);
    fprintf(out, "%s\n        {", i ? "," : "");
    print_member(out, "operation", row.label);
    fprintf(out, ", \"level\": %u, ", cause->level);
    print_member(out, "reason", nst_exit_name(cause->reason));
    fprintf(out, ", ");
    print_member(out, "detail",
                 cause->folded ? "others"
                               : name_detail(cause->reason, cause->detail, detail, sizeof detail));
    fprintf(out, ", \"exits\": %" PRIu64 ", \"reflected\": %" PRIu64 "}", cause->exits,
            cause->reflected);
  }
  fprintf(out, "]");
}

/* "depth": 2, "processor": "haswell", ...; only depths are numbers. */
static void print_axes(FILE *out, const struct scenario_variant *variant) {
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    enum scenario_axis_name axis = (enum scenario_axis_name)i;
    const char *name = scenario_axis_info(axis)->name;
    fprintf(out, ", \"");
    for (; *name; name++) fputc(*name == '-' ? '_' : *name, out);
    fprintf(out, "\": ");
    if (axis == SCENARIO_AXIS_DEPTH)
      fprintf(out, "%u", variant->depth);
    else
      print_string(out, name_word(variant, axis));
  }
}

static void print_variant(FILE *out, const struct replay *replay, unsigned index) {
  const struct replay_variant *variant = &replay->variant[index];
  fprintf(out, "%s\n    {\"variant\": %u", index ? "," : "", index + 1);
  print_axes(out, &variant->variant);
  fprintf(out, ", \"complete\": %s, \"unlisted\": %" PRIu64 ", \"assumed\": %" PRIu64,
          variant->complete ? "true" : "false", variant->unlisted, variant->assumed);
  fprintf(out,
          ", \"left_out\": %" PRIu64 ", \"faulted\": %" PRIu64 ", \"state\": \"%016" PRIx64 "\"",
          variant->left_out, variant->faulted, variant->state_hash);
  if (variant->ledger) {
    fprintf(out, ",\n");
    print_rows(out, variant->ledger, variant->variant.depth);
    print_causes(out, variant->ledger);
  }
  fprintf(out, "}");
}

static void print_claims(FILE *out, const struct replay *replay) {
  fprintf(out, "  \"claims\": [");
  for (unsigned i = 0; i < replay->scenario->claim_count; i++) {
    struct claim_result result;
    claims_evaluate(replay, &replay->scenario->claim[i], &result);
    fprintf(out, "%s\n    {\"holds\": %s, \"line\": %u, ", i ? "," : "",
            result.holds ? "true" : "false", replay->scenario->claim[i].line);
    print_member(out, "text", result.text);
    fprintf(out, "}");
  }
  fprintf(out, "]\n");
}

static void print_costs(FILE *out) {
  fprintf(out, "  \"unit_costs\": [");
  for (size_t i = 0; i < ledger_cost_count(); i++) {
    const struct ledger_cost *cost = ledger_cost(i);
    fprintf(out, "%s\n    {", i ? "," : "");
    print_member(out, "name", cost->name);
    fprintf(out, ", \"low\": %g, \"typical\": %g, \"high\": %g, ", cost->low, cost->typical,
            cost->high);
    print_member(out, "mark", cost->mark);
    fprintf(out, ", ");
    print_member(out, "source", cost->source);
    fprintf(out, "}");
  }
  fprintf(out, "],\n");
}

int report_json(FILE *out, const struct replay *replay, const struct report_options *options) {
  (void)options;
  const struct scenario *scenario = replay->scenario;
  fprintf(out, "{\n  \"schema\": \"nestor-replay\", \"version\": 1,\n  ");
  print_member(out, "scenario", scenario->path);
  fprintf(out, ",\n  ");
  print_member(out, "question", scenario->question);
  fprintf(out, ",\n  ");
  print_member(out, "trace", scenario->guest[0].trace);
  fprintf(out, ",\n  ");
  print_member(out, "processor", scenario->processor);
  fprintf(out, ",\n  \"recorded_exits\": %" PRIu64 ", \"partial\": %s,\n  \"variants\": [",
          replay->recorded_exits, replay->partial ? "true" : "false");
  for (unsigned i = 0; i < replay->variant_count; i++) print_variant(out, replay, i);
  fprintf(out, "],\n");
  print_costs(out);
  costs_print_json(out, replay);
  print_claims(out, replay);
  fprintf(out, "}\n");
  return claims_count(replay) == scenario->claim_count ? 0 : 1;
}
