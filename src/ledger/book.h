/* SPDX-License-Identifier: MIT
 * What a ledger is made of; for its own files and tests only. */
#ifndef LEDGER_BOOK_H
#define LEDGER_BOOK_H

#include "src/ledger/count.h"
#include "src/ledger/tree.h"

enum { LEDGER_CPUS = 8 };

struct ledger {
  /* The machine that it is attached to, NULL if none. Reached through functions that attach.c puts
   * in, so that the books can be kept without one. */
  struct nst_machine *machine;
  struct nst_counters (*read_counters)(struct nst_machine *machine);
  void (*detach)(struct ledger *ledger);
  unsigned depth;
  unsigned cpu_count;
  struct tree *tree; /* one per processor */
  struct count count;
  struct nst_counters before; /* when ledger_book was last called */
};

/* A ledger that is attached to nothing: its owner calls tree_exit and tree_entry. NULL: no memory.
 */
struct ledger *ledger_new(unsigned cpu_count, unsigned depth);

/* What processor 0 executed since the last call belongs to the software that has control there. To
 * be called before every event and at both ends of an operation. */
void ledger_book(struct ledger *ledger);

/* ---- cost.c */
/* Fills in the estimates of a row, from all its counts. */
void cost_estimate(struct ledger_row *row);

#endif
