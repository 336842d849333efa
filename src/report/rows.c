/* SPDX-License-Identifier: MIT
 * Finding what was counted, by the label of the operation. */
#include "src/report/part.h"

const struct replay_variant *rows_first(const struct replay *replay) {
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].ledger) return &replay->variant[i];
  }
  return NULL;
}

unsigned rows_labels(const struct replay *replay, const char *labels[LEDGER_LABELS]) {
  const struct replay_variant *first = rows_first(replay);
  unsigned count = 0;
  if (!first) return 0;
  for (unsigned i = LEDGER_FIRST; i < ledger_label_count(first->ledger); i++) {
    struct ledger_row row;
    if (ledger_row(first->ledger, i, &row) && row.operations) labels[count++] = row.label;
  }
  struct ledger_row others;
  if (ledger_row(first->ledger, LEDGER_OTHERS, &others) && others.operations)
    labels[count++] = others.label;
  return count;
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
