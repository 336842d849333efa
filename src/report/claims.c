/* SPDX-License-Identifier: MIT
 * The scenario's claims, each held against what was counted. A claim that nothing was counted for
 * does not hold. */
#include <inttypes.h>
#include <string.h>

#include "src/report/part.h"

void claim_decide(struct claim_result *result, bool holds, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(result->text, sizeof result->text, format, arguments);
  va_end(arguments);
  result->holds = holds;
}

void claim_measure(struct claim_result *result, uint64_t expected, uint64_t counted) {
  snprintf(result->expected, sizeof result->expected, "%" PRIu64, expected);
  snprintf(result->counted, sizeof result->counted, "%" PRIu64, counted);
}

const struct replay_variant *claim_next(const struct replay *replay,
                                        const struct scenario_claim *claim, unsigned *index) {
  while (*index < replay->variant_count) {
    const struct replay_variant *variant = &replay->variant[(*index)++];
    if (variant->complete && variant->ledger && scenario_claim_covers(claim, &variant->variant))
      return variant;
  }
  return NULL;
}

/* False if a variant that the claim speaks of was not replayed to its end. */
static bool is_complete(const struct replay *replay, const struct scenario_claim *claim) {
  unsigned covered = 0;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    const struct replay_variant *variant = &replay->variant[i];
    if (!scenario_claim_covers(claim, &variant->variant)) continue;
    if (!variant->complete || !variant->ledger) return false;
    covered++;
  }
  return covered > 0;
}

/* The variant at depth 1 with the same guest, processor and way of translation. */
static const struct replay_variant *flat_variant(const struct replay *replay,
                                                 const struct scenario_stack *deep) {
  for (unsigned i = 0; i < replay->variant_count; i++) {
    const struct replay_variant *variant = &replay->variant[i];
    const struct scenario_stack *stack = &variant->variant.stack;
    bool is_same = stack->depth == 1 && stack->guest == deep->guest &&
                   stack->processor == deep->processor &&
                   stack->shadow_paging[0] == deep->shadow_paging[deep->depth - 1];
    if (is_same && variant->ledger && variant->complete) return variant;
  }
  return NULL;
}

/* ---- Whole variants ------------------------------------------------------------------------ */

static void evaluate_unlisted(const struct replay *replay, const struct scenario_claim *claim,
                              struct claim_result *result) {
  const struct replay_variant *variant;
  unsigned index = 0, checked = 0;
  char name[NAME_VARIANT] = "";
  while ((variant = claim_next(replay, claim, &index))) {
    name_variant(&variant->variant, name, sizeof name);
    claim_measure(result, claim->figure, variant->unlisted);
    claim_decide(result, variant->unlisted == claim->figure,
                 "unlisted VMCS accesses, %s: %" PRIu64 " claimed, %" PRIu64 " counted", name,
                 claim->figure, variant->unlisted);
    checked++;
    if (!result->holds) return;
  }
  if (checked > 1)
    claim_decide(result, true, "unlisted VMCS accesses: %" PRIu64 " in all of %u variants",
                 claim->figure, checked);
}

/* Exits that come when the host likes, not when the guest does something. */
static bool is_host_caused(unsigned reason) {
  static const unsigned reasons[] = {NST_EXIT_EXTERNAL_INTERRUPT, NST_EXIT_INIT_SIGNAL,
                                     NST_EXIT_SIPI_SIGNAL,        NST_EXIT_IO_SMI,
                                     NST_EXIT_OTHER_SMI,          NST_EXIT_INTERRUPT_WINDOW,
                                     NST_EXIT_NMI_WINDOW,         NST_EXIT_PML_FULL,
                                     NST_EXIT_PREEMPTION_TIMER};
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
    if (reasons[i] == reason) return true;
  }
  return false;
}

/* The guest's exits as its own hypervisor saw them, beside those at depth 1. */
static bool check_reflected(const struct replay_variant *flat, const struct replay_variant *deep,
                            uint64_t *exits, struct claim_result *result) {
  char name[NAME_VARIANT];
  name_variant(&deep->variant, name, sizeof name);
  *exits = 0;
  for (unsigned reason = 0; reason < EXIT_REASONS; reason++) {
    if (is_host_caused(reason)) continue;
    *exits += deep->guest_exits[reason];
    if (deep->guest_exits[reason] == flat->guest_exits[reason]) continue;
    claim_measure(result, flat->guest_exits[reason], deep->guest_exits[reason]);
    claim_decide(result, false,
                 "reflected exits equal those at depth 1: %s, %s: %" PRIu64 " at depth 1, %" PRIu64
                 " reflected",
                 name, nst_exit_name(reason), flat->guest_exits[reason], deep->guest_exits[reason]);
    return false;
  }
  return true;
}

static void evaluate_reflected(const struct replay *replay, const struct scenario_claim *claim,
                               struct claim_result *result) {
  const struct replay_variant *variant;
  unsigned index = 0, checked = 0;
  uint64_t exits = 0, least = UINT64_MAX, most = 0;
  while ((variant = claim_next(replay, claim, &index))) {
    if (variant->variant.depth == 1) continue;
    const struct replay_variant *flat = flat_variant(replay, &variant->variant.stack);
    if (!flat) {
      claim_decide(result, false, "reflected exits equal those at depth 1: none was replayed");
      return;
    }
    if (!check_reflected(flat, variant, &exits, result)) return;
    if (exits < least) least = exits;
    if (exits > most) most = exits;
    checked++;
  }
  claim_decide(result, checked > 0 && least > 0,
               "reflected exits equal those at depth 1, reason by reason: %" PRIu64,
               checked ? least : 0);
  if (most > least) text_append(result->text, sizeof result->text, " to %" PRIu64, most);
  text_append(result->text, sizeof result->text, " in each of %u variants", checked);
}

static void evaluate_kept(const struct replay *replay, const struct scenario_claim *claim,
                          struct claim_result *result) {
  const struct replay_variant *variant;
  unsigned index = 0;
  uint64_t nested = 0;
  char name[NAME_VARIANT];
  while ((variant = claim_next(replay, claim, &index))) {
    struct ledger_row row;
    ledger_total(variant->ledger, &row);
    unsigned depth = variant->variant.depth;
    uint64_t kept = row.by_level[depth] - row.reflected[depth];
    if (depth > 1) nested += kept;
    if (row.kept_subtree == kept) continue;
    claim_measure(result, kept, row.kept_subtree);
    claim_decide(result, false,
                 "an exit that L0 keeps costs one exit at every depth: %s: %" PRIu64
                 " kept, %" PRIu64 " exits for them",
                 name_variant(&variant->variant, name, sizeof name), kept, row.kept_subtree);
    return;
  }
  claim_decide(result, nested > 0,
               "an exit that L0 keeps costs one exit at every depth: %" PRIu64
               " kept below depth 1%s",
               nested, nested ? "" : ", nothing to compare");
}

/* The first variant of the claim with the same guest on the same processor, which the guest may
 * see. */
static const struct replay_variant *first_alike(const struct replay *replay,
                                                const struct scenario_claim *claim,
                                                const struct replay_variant *variant) {
  const struct replay_variant *first;
  unsigned index = 0;
  while ((first = claim_next(replay, claim, &index))) {
    const struct scenario_stack *left = &first->variant.stack, *right = &variant->variant.stack;
    if (left->guest == right->guest && left->processor == right->processor) return first;
  }
  return variant;
}

static void evaluate_transparent(const struct replay *replay, const struct scenario_claim *claim,
                                 struct claim_result *result) {
  const struct replay_variant *variant;
  unsigned index = 0, checked = 0, compared = 0;
  char name[NAME_VARIANT], other[NAME_VARIANT];
  while ((variant = claim_next(replay, claim, &index))) {
    const struct replay_variant *first = first_alike(replay, claim, variant);
    checked++;
    compared += first != variant;
    if (variant->state_hash == first->state_hash) continue;
    claim_decide(result, false,
                 "the guest ends in the same state: %s ends in %016" PRIx64 ", %s in %016" PRIx64,
                 name_variant(&first->variant, name, sizeof name), first->state_hash,
                 name_variant(&variant->variant, other, sizeof other), variant->state_hash);
    return;
  }
  claim_decide(result, compared > 0, "the guest ends in the same state in all of %u variants",
               checked);
}

void claims_evaluate(const struct replay *replay, const struct scenario_claim *claim,
                     struct claim_result *result) {
  *result = (struct claim_result){.applies = is_complete(replay, claim)};
  if (!result->applies) {
    claim_decide(result, false, "%s: not replayed to the end",
                 claim->operation[0] ? claim->operation : "a claim");
    return;
  }
  switch (claim->type) {
    case SCENARIO_CLAIM_EXITS:
    case SCENARIO_CLAIM_AT_MOST:
    case SCENARIO_CLAIM_AT_LEAST:
      claim_exits(replay, claim, result);
      return;
    case SCENARIO_CLAIM_MORE_THAN:
      claim_more_than(replay, claim, result);
      return;
    case SCENARIO_CLAIM_READS:
    case SCENARIO_CLAIM_WRITES:
      claim_accesses(replay, claim, result);
      return;
    case SCENARIO_CLAIM_RECORDED:
      claim_recorded(replay, claim, result);
      return;
    case SCENARIO_CLAIM_UNLISTED:
      evaluate_unlisted(replay, claim, result);
      return;
    case SCENARIO_CLAIM_REFLECTED:
      evaluate_reflected(replay, claim, result);
      return;
    case SCENARIO_CLAIM_KEPT:
      evaluate_kept(replay, claim, result);
      return;
    case SCENARIO_CLAIM_TRANSPARENT:
      evaluate_transparent(replay, claim, result);
      return;
    case SCENARIO_CLAIM_TYPES:
      break;
  }
}

unsigned claims_count(const struct replay *replay) {
  unsigned holding = 0;
  for (unsigned i = 0; i < replay->scenario->claim_count; i++) {
    struct claim_result result;
    claims_evaluate(replay, &replay->scenario->claim[i], &result);
    if (result.holds) holding++;
  }
  return holding;
}

const char *claims_mark(enum scenario_mark mark) {
  switch (mark) {
    case SCENARIO_INPUT:
      return "input";
    case SCENARIO_CHECKED:
      return "checked";
    case SCENARIO_PREDICTED:
      return "predicted";
  }
  return "?";
}

void claims_print(FILE *out, const struct replay *replay) {
  const struct scenario *scenario = replay->scenario;
  fprintf(out, "\nClaims%s\n", scenario->claim_count ? "" : ": the scenario makes none");
  for (unsigned i = 0; i < scenario->claim_count; i++) {
    const struct scenario_claim *claim = &scenario->claim[i];
    struct claim_result result;
    claims_evaluate(replay, claim, &result);
    fprintf(out, "  %s  %-9s  ", result.holds ? "holds" : "FAILS", claims_mark(claim->mark));
    if (claim->line) fprintf(out, "line %u: ", claim->line);
    fprintf(out, "%s\n", result.text);
  }
}
