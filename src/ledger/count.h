/* SPDX-License-Identifier: MIT
 * The ledger's books: labels, and causes of exits found by hash. */
#ifndef LEDGER_COUNT_H
#define LEDGER_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/ledger/ledger.h"

/* Operations by exits: in pages, since most rows stay empty. */
enum { COUNT_PAGE = 1024, COUNT_PAGES = LEDGER_HISTOGRAM / COUNT_PAGE + 1 };

/* What is kept of one kind of operation. */
struct count_label {
  char text[LEDGER_LABEL_SIZE];
  uint64_t operations;
  uint64_t exits;        /* of those operations */
  uint64_t kept_subtree; /* see struct ledger_row */
  /* By each level's native software, whether it exited or not. */
  struct nst_counters executed[LEDGER_LEVELS];
  uint64_t routines[LEDGER_LEVELS][LEDGER_ROUTINES];
  unsigned mode;
  uint64_t mode_times;              /* operations with so many */
  uint64_t *histogram[COUNT_PAGES]; /* pages, NULL: all 0 */
  uint64_t round[LEDGER_ROUND + 1]; /* reflected exits of the guest, by exits */
  struct ledger_node *tree;         /* of the first operation with `mode` exits */
  size_t tree_count, tree_room;
  uint64_t tree_exits;
  bool has_tree;
};

struct count {
  struct count_label *label[LEDGER_LABELS];
  unsigned label_count;
  struct ledger_cause *cause; /* [0] counts what finds no room */
  uint32_t cause_count, cause_room;
  uint32_t *slot; /* index into cause, 0: free; a power of two of them */
  uint32_t slot_count;
};

/* False: no memory; count_fini frees what there is. */
bool count_init(struct count *count);
void count_fini(struct count *count);
/* LEDGER_LABELS: there is none. */
unsigned count_find(const struct count *count, const char *text);
unsigned count_label(struct count *count, const char *text);
/* Counts one exit and returns the index of its cause. */
uint32_t count_exit(struct count *count, const struct ledger_cause *key);
/* One operation ended, with the nodes of its tree. */
void count_operation(struct count *count, unsigned label, const struct ledger_tree *tree);
/* Operations of the label that took so many exits. */
uint64_t count_times(const struct count_label *label, unsigned exits);
/* Adds what was executed from one reading of the counters to a later one. */
void count_executed(struct nst_counters *sum, const struct nst_counters *from,
                    const struct nst_counters *to);

#endif
