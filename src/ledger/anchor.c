/* SPDX-License-Identifier: MIT
 * Published figures; see struct ledger_anchor. */
#include "src/ledger/ledger.h"

enum { ANY = LEDGER_ANCHOR_ANY };

static const struct ledger_anchor anchors[] = {
#define LEDGER_ANCHOR(id, unit, operation, depth, shadowing, hypervisor, low, high, mark, source) \
  {(id),        LEDGER_ANCHOR_##unit,                                                             \
   (operation), (depth),                                                                          \
   (shadowing), (hypervisor),                                                                     \
   (low),       (high),                                                                           \
   (mark),      (source)},
#include "src/ledger/anchor.def"
};

size_t ledger_anchor_count(void) {
  return sizeof anchors / sizeof *anchors;
}

const struct ledger_anchor *ledger_anchor(size_t index) {
  return index < ledger_anchor_count() ? &anchors[index] : NULL;
}

double ledger_anchor_deviation(const struct ledger_anchor *anchor, double predicted) {
  if (predicted < anchor->low) return predicted / anchor->low - 1;
  if (predicted > anchor->high) return predicted / anchor->high - 1;
  return 0;
}
