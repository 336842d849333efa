/* SPDX-License-Identifier: MIT
 * The ledger's books; see count.h. */
#include "src/ledger/count.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  FIRST_CAUSES = 256,
  FOLD_FROM = LEDGER_CAUSES / 2 /* details are dropped from here on: guests choose them freely */
};

bool count_init(struct count *count) {
  memset(count, 0, sizeof *count);
  count->cause = calloc(FIRST_CAUSES, sizeof *count->cause);
  count->slot = calloc(2 * FIRST_CAUSES, sizeof *count->slot);
  if (!count->cause || !count->slot) return false;
  count->cause_room = FIRST_CAUSES;
  count->slot_count = 2 * FIRST_CAUSES;
  count->cause[0] =
      (struct ledger_cause){.label = LEDGER_OTHERS, .folded = true, .reason = EXIT_REASONS - 1};
  count->cause_count = 1;
  return count_label(count, "outside any operation") == LEDGER_OUTSIDE &&
         count_label(count, "other operations") == LEDGER_OTHERS && count->label_count == 2;
}

void count_fini(struct count *count) {
  for (unsigned i = 0; i < count->label_count; i++) {
    free(count->label[i]->tree);
    for (unsigned page = 0; page < COUNT_PAGES; page++) free(count->label[i]->histogram[page]);
    free(count->label[i]);
  }
  free(count->cause);
  free(count->slot);
}

unsigned count_find(const struct count *count, const char *text) {
  for (unsigned i = 0; i < count->label_count; i++) {
    if (strncmp(count->label[i]->text, text, LEDGER_LABEL_SIZE - 1) == 0) return i;
  }
  return LEDGER_LABELS;
}

unsigned count_label(struct count *count, const char *text) {
  unsigned found = count_find(count, text);
  if (found != LEDGER_LABELS) return found;
  if (count->label_count == LEDGER_LABELS) return LEDGER_OTHERS;
  struct count_label *label = calloc(1, sizeof *label);
  if (!label) return LEDGER_OTHERS;
  snprintf(label->text, sizeof label->text, "%s", text);
  count->label[count->label_count] = label;
  return count->label_count++;
}

/* ---- Causes -------------------------------------------------------------------------------- */

static uint32_t hash_cause(const struct ledger_cause *key) {
  uint64_t mixed = (uint64_t)key->label << 36 ^ (uint64_t)key->level << 32 ^ key->reason;
  mixed = (mixed ^ key->detail * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
  return (uint32_t)(mixed >> 32);
}

static bool is_same_cause(const struct ledger_cause *left, const struct ledger_cause *right) {
  return left->label == right->label && left->level == right->level &&
         left->reason == right->reason && left->detail == right->detail &&
         left->folded == right->folded;
}

/* The slot that holds the cause, or the free one where it belongs. */
static uint32_t *find_slot(const struct count *count, const struct ledger_cause *key) {
  uint32_t mask = count->slot_count - 1;
  uint32_t at = hash_cause(key) & mask;
  while (count->slot[at] && !is_same_cause(&count->cause[count->slot[at]], key))
    at = (at + 1) & mask;
  return &count->slot[at];
}

static bool grow(struct count *count) {
  if (count->cause_count < count->cause_room) return true;
  uint32_t room = 2 * count->cause_room;
  uint32_t *slot = calloc(2 * (size_t)room, sizeof *slot);
  struct ledger_cause *cause = realloc(count->cause, room * sizeof *cause);
  if (cause) count->cause = cause;
  if (!slot || !cause) {
    free(slot);
    return false;
  }
  free(count->slot);
  count->slot = slot;
  count->slot_count = 2 * room;
  count->cause_room = room;
  for (uint32_t i = 1; i < count->cause_count; i++) *find_slot(count, &count->cause[i]) = i;
  return true;
}

/* Index of the cause, or 0 where there is no room for it. */
static uint32_t find_or_add(struct count *count, const struct ledger_cause *key, uint32_t limit) {
  uint32_t *slot = find_slot(count, key);
  if (*slot) return *slot;
  if (count->cause_count >= limit || !grow(count)) return 0;
  uint32_t index = count->cause_count++;
  count->cause[index] = *key;
  *find_slot(count, key) = index;
  return index;
}

uint32_t count_exit(struct count *count, const struct ledger_cause *key) {
  uint32_t index = find_or_add(count, key, FOLD_FROM);
  if (!index) {
    struct ledger_cause folded = *key;
    folded.folded = true;
    folded.detail = 0;
    index = find_or_add(count, &folded, LEDGER_CAUSES);
  }
  count->cause[index].exits++;
  return index;
}

/* ---- Operations ---------------------------------------------------------------------------- */

/* Without memory the label has no tree: the counts do not suffer. */
static void keep_tree(struct count_label *label, const struct ledger_tree *tree) {
  label->has_tree = false;
  if (label->tree_room < tree->count) {
    struct ledger_node *nodes = realloc(label->tree, tree->count * sizeof *nodes);
    if (!nodes) return;
    label->tree = nodes;
    label->tree_room = tree->count;
  }
  if (tree->count) memcpy(label->tree, tree->nodes, tree->count * sizeof *label->tree);
  label->tree_count = tree->count;
  label->tree_exits = tree->exits;
  label->has_tree = true;
}

/* How many operations took so many exits now; without memory for a page, none. */
static uint64_t add_to_histogram(struct count_label *label, unsigned exits) {
  uint64_t **page = &label->histogram[exits / COUNT_PAGE];
  if (!*page) *page = calloc(COUNT_PAGE, sizeof **page);
  return *page ? ++(*page)[exits % COUNT_PAGE] : 0;
}

uint64_t count_times(const struct count_label *label, unsigned exits) {
  const uint64_t *page = label->histogram[exits / COUNT_PAGE];
  return page ? page[exits % COUNT_PAGE] : 0;
}

void count_operation(struct count *count, unsigned index, const struct ledger_tree *tree) {
  struct count_label *label = count->label[index];
  unsigned exits = tree->exits < LEDGER_HISTOGRAM ? (unsigned)tree->exits : LEDGER_HISTOGRAM;
  label->operations++;
  label->exits += tree->exits;
  uint64_t times = add_to_histogram(label, exits);
  bool is_first = label->operations == 1;
  if (!is_first && exits == label->mode) label->mode_times = times;
  bool is_better = times > label->mode_times || (times == label->mode_times && exits < label->mode);
  if (!is_first && !is_better) return;
  label->mode = exits;
  label->mode_times = times;
  keep_tree(label, tree);
}

void count_executed(struct nst_counters *sum, const struct nst_counters *from,
                    const struct nst_counters *to) {
  sum->vmread += to->vmread - from->vmread;
  sum->vmwrite += to->vmwrite - from->vmwrite;
  sum->vmptrld += to->vmptrld - from->vmptrld;
  sum->vmclear += to->vmclear - from->vmclear;
  sum->vmentry += to->vmentry - from->vmentry;
  sum->invalidate += to->invalidate - from->invalidate;
  sum->rdmsr += to->rdmsr - from->rdmsr;
  sum->wrmsr += to->wrmsr - from->wrmsr;
  sum->memory += to->memory - from->memory;
  sum->other += to->other - from->other;
  sum->exits += to->exits - from->exits;
}
