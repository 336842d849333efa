/* SPDX-License-Identifier: MIT
 * The causal tree of one processor: which exits are open, and which came while they were. */
#ifndef LEDGER_TREE_H
#define LEDGER_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/ledger/count.h"
#include "src/ledger/ledger.h"
#include "src/ledger/path.h"

enum { TREE_OPEN = 16 }; /* one per level, and a few failed entries */

/* An exit whose guest was not entered again yet. */
struct tree_open {
  uint64_t id;    /* its number among the exits of this processor, from 1 */
  uint32_t cause; /* in struct count */
  uint32_t reason;
  uint64_t detail; /* as in struct ledger_cause */
  uint8_t level, handler;
  int16_t node;       /* -1: of no tree */
  uint64_t operation; /* the node belongs to the tree of this one */
};

/* One processor. */
struct tree {
  struct path path;
  struct count *count; /* kept, shared by all processors */
  uint64_t exits;
  struct tree_open open[TREE_OPEN];
  unsigned open_count;
  uint64_t reflected[LEDGER_LEVELS][EXIT_REASONS]; /* exits given to the software of a level */
  unsigned label;     /* of the operation under way, or LEDGER_OUTSIDE */
  uint64_t operation; /* number of the operation, under way or last */
  uint64_t operation_exits;
  unsigned node_count;
  struct ledger_node node[LEDGER_TREE_NODES];
};

void tree_init(struct tree *tree, struct count *count, unsigned depth);
void tree_begin(struct tree *tree, unsigned label);
/* The operation's tree; afterwards exits are outside any operation. */
struct ledger_tree tree_end(struct tree *tree);
void tree_exit(struct tree *tree, const struct nst_exit_event *event);
void tree_entry(struct tree *tree, const struct nst_entry_event *event);
/* The level of the software that has control: 0 after an exit, otherwise that of the guest that
 * runs. */
unsigned tree_software(const struct tree *tree);

#endif
