/* SPDX-License-Identifier: MIT
 * A ledger's life, and the operations that its owner frames. */
#include "src/ledger/ledger.h"

#include <stdlib.h>

#include "src/ledger/book.h"

struct ledger *ledger_new(unsigned cpu_count, unsigned depth) {
  if (cpu_count == 0 || depth == 0 || depth >= LEDGER_LEVELS) return NULL;
  struct ledger *ledger = calloc(1, sizeof *ledger);
  if (!ledger) return NULL;
  ledger->depth = depth;
  ledger->cpu_count = cpu_count;
  ledger->tree = calloc(cpu_count, sizeof *ledger->tree);
  if (!count_init(&ledger->count) || !ledger->tree) {
    ledger_free(ledger);
    return NULL;
  }
  for (unsigned i = 0; i < cpu_count; i++) tree_init(&ledger->tree[i], &ledger->count, depth);
  return ledger;
}

void ledger_detach(struct ledger *ledger) {
  if (!ledger || !ledger->machine) return;
  ledger->detach(ledger);
  ledger->machine = NULL;
}

void ledger_free(struct ledger *ledger) {
  if (!ledger) return;
  ledger_detach(ledger);
  count_fini(&ledger->count);
  free(ledger->tree);
  free(ledger);
}

unsigned ledger_label(struct ledger *ledger, const char *text) {
  return count_label(&ledger->count, text);
}

void ledger_book(struct ledger *ledger) {
  if (!ledger->machine) return;
  const struct tree *tree = &ledger->tree[0];
  struct nst_counters now = ledger->read_counters(ledger->machine);
  struct count_label *label = ledger->count.label[tree->label];
  count_executed(&label->executed[tree_software(tree)], &ledger->before, &now);
  ledger->before = now;
}

void ledger_begin(struct ledger *ledger, unsigned label) {
  if (label >= ledger->count.label_count || label == LEDGER_OUTSIDE) label = LEDGER_OTHERS;
  ledger_abandon(ledger);
  ledger_book(ledger);
  tree_begin(&ledger->tree[0], label);
}

void ledger_end(struct ledger *ledger) {
  unsigned label = ledger->tree[0].label;
  if (label == LEDGER_OUTSIDE) return;
  ledger_book(ledger);
  struct ledger_tree tree = tree_end(&ledger->tree[0]);
  count_operation(&ledger->count, label, &tree);
}

void ledger_abandon(struct ledger *ledger) {
  if (ledger->tree[0].label == LEDGER_OUTSIDE) return;
  ledger_book(ledger);
  tree_end(&ledger->tree[0]);
}
