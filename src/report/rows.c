/* SPDX-License-Identifier: MIT
 * Finding what was counted, by the label of the operation. */
#include <string.h>

#include "src/report/part.h"

const struct replay_variant *rows_first(const struct replay *replay) {
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger) return &replay->variant[i];
  }
  return NULL;
}

static bool has_label(const char *const *labels, unsigned count, const char *label) {
  for (unsigned i = 0; i < count; i++) {
    if (strcmp(labels[i], label) == 0) return true;
  }
  return false;
}

/* Adds the labels of one variant that are not there yet. */
static unsigned add_labels(const struct ledger *ledger, const char *labels[LEDGER_LABELS],
                           unsigned count) {
  for (unsigned i = LEDGER_FIRST; i < ledger_label_count(ledger) && count < LEDGER_LABELS; i++) {
    struct ledger_row row;
    bool is_played = ledger_row(ledger, i, &row) && row.operations;
    if (is_played && !has_label(labels, count, row.label)) labels[count++] = row.label;
  }
  struct ledger_row others;
  bool has_others = ledger_row(ledger, LEDGER_OTHERS, &others) && others.operations;
  if (has_others && count < LEDGER_LABELS && !has_label(labels, count, others.label))
    labels[count++] = others.label;
  return count;
}

unsigned rows_labels(const struct replay *replay, const char *labels[LEDGER_LABELS]) {
  unsigned count = 0;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger) count = add_labels(replay->variant[i].ledger, labels, count);
  }
  return count;
}

bool rows_seen(const struct replay *replay, const char *label, struct ledger_row *row) {
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (rows_find(&replay->variant[i], label, row)) return true;
  }
  return false;
}

bool rows_find(const struct replay_variant *variant, const char *label, struct ledger_row *row) {
  if (!variant->ledger) return false;
  unsigned index = ledger_find(variant->ledger, label);
  return index != LEDGER_LABELS && ledger_row(variant->ledger, index, row) && row->operations;
}

bool rows_tree(const struct replay_variant *variant, const char *label, struct ledger_tree *tree) {
  if (!variant->ledger) return false;
  unsigned index = ledger_find(variant->ledger, label);
  return index != LEDGER_LABELS && ledger_tree(variant->ledger, index, tree);
}

unsigned rows_nested_depth(const struct replay *replay) {
  unsigned depth = 1;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    unsigned other = replay->variant[i].variant.depth;
    if (other > 1 && (depth == 1 || other < depth)) depth = other;
  }
  return depth;
}
