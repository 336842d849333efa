/* SPDX-License-Identifier: MIT
 * Estimated cycles: what was counted, times the unit costs of cost.def and the routines of
 * routine.def. */
#include "src/ledger/book.h"

static const struct ledger_cost costs[] = {
#define LEDGER_COST(name, counter, low, typical, high, mark, unit, source) \
  {#name, (unit), (low), (typical), (high), (mark), (source)},
#include "src/ledger/cost.def"
};

size_t ledger_cost_count(void) {
  return sizeof costs / sizeof *costs;
}

const struct ledger_cost *ledger_cost(size_t index) {
  return index < ledger_cost_count() ? &costs[index] : NULL;
}

struct estimate {
  double low, typical, high;
};

static void add_product(struct estimate *sum, const struct estimate *amount,
                        const struct ledger_cost *cost) {
  sum->low += amount->low * cost->low;
  sum->typical += amount->typical * cost->typical;
  sum->high += amount->high * cost->high;
}

/* Instructions of the software of one level. */
static struct estimate instructions_at(const struct ledger_row *row, unsigned level) {
  struct estimate sum = {0, 0, 0};
  for (unsigned i = 0; i < LEDGER_ROUTINES; i++) {
    const struct ledger_routine_cost *routine = ledger_routine(i);
    double times = (double)row->routines[level][i];
    sum.low += times * routine->low;
    sum.typical += times * routine->typical;
    sum.high += times * routine->high;
  }
  return sum;
}

/* What the software of one level executes: its routines, and on top those instructions that take
 * much longer than others. Its exits are not among them. */
static struct estimate software_at(const struct ledger_row *row, unsigned level,
                                   const struct estimate *instructions) {
  const struct nst_counters *executed = &row->executed[level];
  const uint64_t amounts[] = {
#define LEDGER_COST(name, counter, low, typical, high, mark, unit, source) executed->counter,
#include "src/ledger/cost.def"
  };
  enum { EXIT = 0, INSTRUCTION = sizeof amounts / sizeof *amounts - 1 };
  struct estimate sum = {0, 0, 0};
  for (unsigned i = EXIT + 1; i < INSTRUCTION; i++) {
    double amount = (double)amounts[i];
    add_product(&sum, &(struct estimate){amount, amount, amount}, &costs[i]);
  }
  add_product(&sum, instructions, &costs[INSTRUCTION]);
  return sum;
}

void cost_estimate(struct ledger_row *row) {
  double operations = (double)row->operations, exits = (double)row->exits;
  struct estimate sum = {0, 0, 0};
  add_product(&sum, &(struct estimate){exits, exits, exits}, &costs[0]);
  row->cycles_switch = sum.typical / operations;
  for (unsigned level = 0; level < LEDGER_LEVELS; level++) {
    struct estimate instructions = instructions_at(row, level);
    struct estimate software = software_at(row, level, &instructions);
    row->instructions[level] = instructions.typical / operations;
    row->cycles_at[level] = software.typical / operations;
    sum.low += software.low;
    sum.typical += software.typical;
    sum.high += software.high;
  }
  row->cycles_low = sum.low / operations;
  row->cycles_typical = sum.typical / operations;
  row->cycles_high = sum.high / operations;
}
