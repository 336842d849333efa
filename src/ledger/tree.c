/* SPDX-License-Identifier: MIT
 * Open exits and what hangs under them; see tree.h. */
#include "src/ledger/tree.h"

#include <string.h>

#include "src/ledger/routine.h"

#define BASIC_REASON UINT32_C(0xffff)

void tree_init(struct tree *tree, struct count *count, unsigned depth) {
  memset(tree, 0, sizeof *tree);
  tree->count = count;
  path_init(&tree->path, depth);
}

void tree_begin(struct tree *tree, unsigned label) {
  tree->label = label;
  tree->operation++;
  tree->operation_exits = 0;
  tree->node_count = 0;
}

struct ledger_tree tree_end(struct tree *tree) {
  tree->label = LEDGER_OUTSIDE;
  return (struct ledger_tree){
      .nodes = tree->node, .count = tree->node_count, .exits = tree->operation_exits};
}

/* What tells exits of one reason apart for a reader; 0 where a number would only scatter them. */
static uint64_t detail_of(const struct nst_exit_event *event) {
  switch (event->reason) {
    case NST_EXIT_VMREAD:
    case NST_EXIT_VMWRITE:
    case NST_EXIT_MSR_READ:
    case NST_EXIT_MSR_WRITE:
    case NST_EXIT_IO_INSTRUCTION:
    case NST_EXIT_EXCEPTION_NMI:
      return event->detail;
    case NST_EXIT_CR_ACCESS: /* SDM 3C "Exit Qualification for Control-Register Accesses" */
      return event->qualification & 0x3f;
    default: /* of a number that comes from the machine, not of an enum of ours */
      return 0;
  }
}

/* Index of the tree's node, or -1 outside operations and in a tree that is full. */
static int add_node(struct tree *tree, const struct ledger_node *node) {
  if (tree->label == LEDGER_OUTSIDE) return -1;
  tree->operation_exits++;
  if (tree->node_count == LEDGER_TREE_NODES) return -1;
  tree->node[tree->node_count] = *node;
  return (int)tree->node_count++;
}

static bool is_in_tree(const struct tree *tree, const struct tree_open *open) {
  return open->node >= 0 && open->operation == tree->operation && tree->label != LEDGER_OUTSIDE;
}

static int parent_node(const struct tree *tree) {
  if (tree->open_count == 0) return -1;
  const struct tree_open *top = &tree->open[tree->open_count - 1];
  return is_in_tree(tree, top) ? top->node : -1;
}

void tree_exit(struct tree *tree, const struct nst_exit_event *event) {
  uint64_t id = ++tree->exits;
  unsigned level = path_exit(&tree->path, event, id);
  uint32_t basic = event->reason & BASIC_REASON;
  if (basic >= EXIT_REASONS) basic = EXIT_REASONS - 1;
  struct ledger_cause key = {.label = tree->label,
                             .level = (uint8_t)level,
                             .reason = basic | (event->reason & ~BASIC_REASON),
                             .detail = detail_of(event)};
  struct ledger_node node = {.parent = (int16_t)parent_node(tree),
                             .level = key.level,
                             .subject = (uint8_t)path_subject(&tree->path, level),
                             .reason = key.reason,
                             .detail = key.detail};
  struct tree_open open = {.id = id,
                           .cause = count_exit(tree->count, &key),
                           .reason = event->reason,
                           .detail = key.detail,
                           .level = key.level,
                           .node = (int16_t)add_node(tree, &node),
                           .operation = tree->operation};
  if (tree->open_count < TREE_OPEN) tree->open[tree->open_count++] = open;
}

/* Its guest runs again. */
static void close_exit(struct tree *tree, const struct tree_open *open) {
  struct ledger_cause *cause = &tree->count->cause[open->cause];
  struct count_label *label = tree->count->label[cause->label];
  uint64_t subtree = tree->exits - open->id + 1;
  bool is_guest = open->level == tree->path.depth;
  if (open->handler) cause->reflected++;
  if (is_guest && open->handler) label->round[subtree < LEDGER_ROUND ? subtree : LEDGER_ROUND]++;
  if (is_guest && !open->handler) label->kept_subtree += subtree;
  if (is_in_tree(tree, open)) tree->node[open->node].handler = open->handler;
}

/* Software of `level` was given this exit and ended with the entry of the guest at level `to`. */
static void count_routine(struct tree *tree, const struct tree_open *open, unsigned level,
                          unsigned to) {
  struct count_label *label = tree->count->label[tree->count->cause[open->cause].label];
  label->routines[level][routine_of(open->reason, open->detail, open->level, to)]++;
}

/* The guest at level `to` is entered, which closes all open exits from index `left` on: L0 ends
 * what the last of them called for. Where the guest of such an exit is itself a hypervisor that is
 * not entered again, it ends what it was given: the open exit before. */
static void count_routines(struct tree *tree, unsigned left, unsigned to) {
  if (tree->open_count == 0) return;
  count_routine(tree, &tree->open[tree->open_count - 1], 0, to);
  for (unsigned i = left ? left : 1; i < tree->open_count; i++) {
    unsigned level = tree->open[i].level;
    if (level < to) count_routine(tree, &tree->open[i - 1], level, to);
  }
}

unsigned tree_software(const struct tree *tree) {
  return tree->path.running;
}

void tree_entry(struct tree *tree, const struct nst_entry_event *event) {
  unsigned level = path_entry(&tree->path, event);
  unsigned left = 0;
  while (left < tree->open_count && tree->open[left].level > level) left++;
  for (unsigned i = 0; i < tree->open_count; i++) {
    struct tree_open *open = &tree->open[i];
    if (open->level > level && open->handler < level) open->handler = (uint8_t)level;
  }
  count_routines(tree, left, level);
  if (tree->label != LEDGER_OUTSIDE && tree->node_count && tree->open_count) {
    const struct tree_open *last = &tree->open[tree->open_count - 1];
    if (is_in_tree(tree, last)) tree->node[last->node].entered = (uint8_t)level;
  }
  for (unsigned i = tree->open_count; i > left; i--) close_exit(tree, &tree->open[i - 1]);
  tree->open_count = left;
  if (left == 0) return;
  const struct tree_open *given = &tree->open[left - 1];
  if (path_reflect(&tree->path, level, given->id, given->reason))
    tree->reflected[level][given->reason % EXIT_REASONS]++;
}
