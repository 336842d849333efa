/* SPDX-License-Identifier: MIT
 * Estimated cycles, from the unit costs of cost.def. What a hypervisor computes between its VMX
 * instructions is not in them: the estimate compares, it does not predict times. */
#include "src/ledger/book.h"

static const struct ledger_cost costs[] = {
#define LEDGER_COST(name, counter, low, high, mark, unit, source) \
  {#name, (unit), (low), (high), (mark), (source)},
#include "src/ledger/cost.def"
};

size_t ledger_cost_count(void) {
  return sizeof costs / sizeof *costs;
}

const struct ledger_cost *ledger_cost(size_t index) {
  return index < ledger_cost_count() ? &costs[index] : NULL;
}

void cost_estimate(uint64_t exits, const struct nst_counters *executed, double *low, double *high) {
  struct nst_counters times = *executed;
  times.exits = exits;
  const uint64_t amounts[] = {
#define LEDGER_COST(name, counter, low_, high_, mark, unit, source) times.counter,
#include "src/ledger/cost.def"
  };
  for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
    *low += (double)amounts[i] * costs[i].low;
    *high += (double)amounts[i] * costs[i].high;
  }
}
