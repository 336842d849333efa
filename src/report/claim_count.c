/* SPDX-License-Identifier: MIT
 * Claims about what was counted of operations: how many exits, how many more than elsewhere, how
 * many VMCS accesses, and whether a recording says the same. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/part.h"

/* ---- Exits --------------------------------------------------------------------------------- */

/* What a claim counts in one variant. False: there is nothing of the kind. */
static bool count_of(const struct replay_variant *variant, const struct scenario_claim *claim,
                     const char *label, struct ledger_row *row, uint64_t *count) {
  if (claim->by_reason) {
    *count = variant->guest_exits[claim->reason];
    return true;
  }
  if (label[0] == '\0') {
    ledger_total(variant->ledger, row);
    *count = row->exits;
    return true;
  }
  if (!rows_find(variant, label, row)) return false;
  *count = row->typical;
  return true;
}

static const char *name_counted(const struct scenario_claim *claim, const char *label) {
  if (claim->by_reason) return nst_exit_name(claim->reason);
  return label[0] ? label : "whole trace";
}

static bool is_as_claimed(const struct scenario_claim *claim, uint64_t count) {
  if (claim->type == SCENARIO_CLAIM_AT_MOST) return count <= claim->figure;
  if (claim->type == SCENARIO_CLAIM_AT_LEAST) return count >= claim->figure;
  return count == claim->figure;
}

static const char *bound_word(const struct scenario_claim *claim) {
  return claim->type == SCENARIO_CLAIM_AT_MOST    ? "at most "
         : claim->type == SCENARIO_CLAIM_AT_LEAST ? "at least "
                                                  : "";
}

/* False with a decision if one operation differs in this variant. */
static bool check_exits(const struct replay_variant *variant, const struct scenario_claim *claim,
                        const char *label, struct claim_result *result) {
  struct ledger_row row = {0};
  char name[NAME_VARIANT];
  uint64_t count = 0;
  name_variant(&variant->variant, name, sizeof name);
  if (!count_of(variant, claim, label, &row, &count)) {
    claim_decide(result, false, "%s: the trace has no such operation", label);
    return false;
  }
  claim_measure(result, claim->figure, count);
  claim_decide(result, is_as_claimed(claim, count),
               "%s, %s: %s%" PRIu64 " exit%s claimed%s%s, %" PRIu64 " counted",
               name_counted(claim, label), name, bound_word(claim), claim->figure,
               REPORT_PLURAL(claim->figure), claim->source[0] ? " from " : "", claim->source,
               count);
  if (row.typical_operations)
    text_append(result->text, sizeof result->text, " (%" PRIu64 " of %" PRIu64 " operations)",
                row.typical_operations, row.operations);
  return result->holds;
}

void claim_exits(const struct replay *replay, const struct scenario_claim *claim,
                 struct claim_result *result) {
  const char *all[LEDGER_LABELS];
  const char *one[] = {claim->operation};
  bool is_all = strcmp(claim->operation, "*") == 0;
  unsigned count = is_all ? rows_labels(replay, all) : 1;
  const char *const *labels = is_all ? all : one;
  const struct replay_variant *variant;
  unsigned index = 0, checked = 0;
  while ((variant = claim_next(replay, claim, &index))) {
    for (unsigned i = 0; i < count; i++, checked++) {
      if (!check_exits(variant, claim, labels[i], result)) return;
    }
  }
  if (checked == 0) claim_decide(result, false, "%s: nothing to count", claim->operation);
  if (checked > 1)
    claim_decide(result, true, "%s: %s%" PRIu64 " exit%s in all of %u cells",
                 name_counted(claim, claim->operation), bound_word(claim), claim->figure,
                 REPORT_PLURAL(claim->figure), checked);
}

/* ---- More than ----------------------------------------------------------------------------- */

static const struct replay_variant *find_other(const struct replay *replay,
                                               const struct scenario_claim *claim,
                                               const struct replay_variant *variant) {
  for (unsigned i = 0; i < replay->variant_count; i++) {
    const struct replay_variant *other = &replay->variant[i];
    if (scenario_is_other(claim, &variant->variant, &other->variant)) return other;
  }
  return NULL;
}

static bool is_more(const struct scenario_claim *claim, uint64_t more, uint64_t less) {
  double times = (double)less * claim->times_low, limit = (double)less * claim->times_high;
  return more > less && (double)more >= times && (claim->times_high == 0 || (double)more <= limit);
}

static void check_more(const struct replay_variant *variant, const struct replay_variant *other,
                       const struct scenario_claim *claim, struct claim_result *result) {
  struct ledger_row row;
  char name[NAME_VARIANT], other_name[NAME_VARIANT], bounds[NAME_VARIANT] = "";
  uint64_t more = 0, less = 0;
  name_variant(&variant->variant, name, sizeof name);
  name_variant(&other->variant, other_name, sizeof other_name);
  if (!other->complete || !other->ledger) {
    claim_decide(result, false, "%s: not replayed to the end", other_name);
    return;
  }
  if (!count_of(variant, claim, claim->operation, &row, &more) ||
      !count_of(other, claim, claim->operation, &row, &less)) {
    claim_decide(result, false, "%s: the trace has no such operation", claim->operation);
    return;
  }
  if (claim->times_low > 0) snprintf(bounds, sizeof bounds, " %g times or", claim->times_low);
  if (claim->times_high > 0)
    snprintf(bounds, sizeof bounds, " %g to %g times, so", claim->times_low, claim->times_high);
  claim_decide(result, is_more(claim, more, less),
               "%s: %s, %" PRIu64 " exits, claimed to be%s more than %s, %" PRIu64 " exits",
               name_counted(claim, claim->operation), name, more, bounds, other_name, less);
}

void claim_more_than(const struct replay *replay, const struct scenario_claim *claim,
                     struct claim_result *result) {
  const struct replay_variant *variant;
  unsigned index = 0, checked = 0;
  while ((variant = claim_next(replay, claim, &index))) {
    const struct replay_variant *other = find_other(replay, claim, variant);
    if (!other || other == variant) continue;
    check_more(variant, other, claim, result);
    checked++;
    if (!result->holds) return;
  }
  if (checked == 0) claim_decide(result, false, "more than: nothing to compare");
  if (checked > 1) text_append(result->text, sizeof result->text, ", and %u more", checked - 1);
}

/* ---- VMCS accesses ------------------------------------------------------------------------- */

/* Exits of the guest hypervisor for that reason, of one operation or all (""). */
static uint64_t count_accesses(const struct replay_variant *variant, unsigned reason,
                               const char *label) {
  uint64_t exits = 0;
  unsigned wanted = ledger_find(variant->ledger, label);
  for (size_t i = 0; i < ledger_cause_count(variant->ledger); i++) {
    const struct ledger_cause *cause = ledger_cause(variant->ledger, i);
    bool counts = cause->label != LEDGER_OUTSIDE && (!label[0] || cause->label == wanted);
    if (counts && cause->level + 1u == variant->variant.depth && cause->reason == reason)
      exits += cause->exits;
  }
  return exits;
}

void claim_accesses(const struct replay *replay, const struct scenario_claim *claim,
                    struct claim_result *result) {
  bool reads = claim->type == SCENARIO_CLAIM_READS;
  const char *label = strcmp(claim->operation, "*") == 0 ? "" : claim->operation;
  const struct replay_variant *variant;
  unsigned index = 0, checked = 0;
  while ((variant = claim_next(replay, claim, &index))) {
    struct ledger_row row = {0};
    char name[NAME_VARIANT];
    unsigned depth = variant->variant.depth;
    if (label[0])
      rows_find(variant, label, &row);
    else
      ledger_total(variant->ledger, &row);
    uint64_t reflected = row.reflected[depth];
    uint64_t count = count_accesses(variant, reads ? NST_EXIT_VMREAD : NST_EXIT_VMWRITE, label);
    double mean = reflected ? (double)count / (double)reflected : 0;
    bool is_within = mean >= (double)claim->figure && mean <= (double)claim->most;
    claim_decide(result, reflected > 0 && is_within,
                 "%s per reflected exit, %s, %s: %" PRIu64 " to %" PRIu64
                 " claimed%s%s, %.1f counted (%" PRIu64 " in %" PRIu64 ")",
                 reads ? "VMREADs" : "VMWRITEs", label[0] ? label : "all operations",
                 name_variant(&variant->variant, name, sizeof name), claim->figure, claim->most,
                 claim->source[0] ? " from " : "", claim->source, mean, count, reflected);
    checked++;
    if (!result->holds) return;
  }
  if (checked == 0) claim_decide(result, false, "VMCS accesses: nothing to count");
}

/* ---- Recordings ---------------------------------------------------------------------------- */

/* False with a decision if the cell is not as the recording, or as excepted. */
static bool check_cell(const struct replay *replay, const struct compare_cell *cell,
                       struct claim_result *result) {
  char name[NAME_VARIANT];
  bool is_equal = cell->ours == cell->recorded;
  if (is_equal == !cell->because) return true;
  name_variant(&replay->variant[cell->variant].variant, name, sizeof name);
  claim_measure(result, cell->recorded, cell->ours);
  claim_decide(result, false, "rounds as recorded: %s, %s: %u recorded, %u counted%s", cell->label,
               name, cell->recorded, cell->ours,
               is_equal ? "; it is excepted, but equal: remove the exception" : "");
  return false;
}

static void check_recordings(const struct replay *replay, const struct scenario_claim *claim,
                             const struct compare *compare, struct claim_result *result) {
  unsigned checked = 0, excepted = 0;
  for (unsigned i = 0; i < compare->recording_count; i++) {
    const struct scenario_variant *variant = &replay->variant[compare->variant[i]].variant;
    if (!scenario_claim_covers(claim, variant) || !compare->problem[i][0]) continue;
    claim_decide(result, false, "rounds as recorded: %s", compare->problem[i]);
    return;
  }
  for (unsigned i = 0; i < compare->count; i++) {
    const struct compare_cell *cell = &compare->cell[i];
    if (!scenario_claim_covers(claim, &replay->variant[cell->variant].variant)) continue;
    if (!check_cell(replay, cell, result)) return;
    checked++;
    excepted += cell->because != NULL;
  }
  claim_decide(result, checked > excepted,
               "rounds as recorded: %u cells equal, %u differ as expected (--compare)",
               checked - excepted, excepted);
}

void claim_recorded(const struct replay *replay, const struct scenario_claim *claim,
                    struct claim_result *result) {
  struct compare *compare = compare_make(replay);
  if (!compare)
    claim_decide(result, false, "rounds as recorded: out of memory");
  else
    check_recordings(replay, claim, compare, result);
  free(compare);
}
