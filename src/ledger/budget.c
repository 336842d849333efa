/* SPDX-License-Identifier: MIT
 * Exit budgets of nestor.h: a ledger of one block of code, told as text. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/ledger/tree.h"

_Static_assert((int)NST_LEVELS == (int)LEDGER_LEVELS, "the same levels");
_Static_assert((int)NST_EXIT_REASONS == (int)EXIT_REASONS, "the same reasons");

enum { TREE_LINES = 256, NAME = 64 };

struct nst_budget {
  struct nst_machine *machine;
  unsigned cpu;
  struct count count;
  struct tree tree;
};

/* ---- Life ---------------------------------------------------------------------------------- */

static void observe_exit(void *context, struct nst_cpu *cpu, const struct nst_exit_event *event) {
  (void)cpu;
  struct nst_budget *budget = context;
  if (event->cpu == budget->cpu) tree_exit(&budget->tree, event);
}

static void observe_entry(void *context, struct nst_cpu *cpu, const struct nst_entry_event *event) {
  (void)cpu;
  struct nst_budget *budget = context;
  if (event->cpu == budget->cpu) tree_entry(&budget->tree, event);
}

/* The deepest level in whose memory the processor executes: a level's memory is part of its
 * parent's. */
static unsigned running_level(struct nst_cpu *cpu, unsigned depth) {
  uint64_t physical;
  if (nst_translate(cpu, nst_reg_read(cpu, NST_REG_RIP), &physical) != NST_OK) return depth;
  unsigned level = depth;
  while (level && nst_level_memory(cpu, level, 0) > physical) level--;
  return level;
}

static unsigned index_of(struct nst_machine *machine, const struct nst_cpu *cpu) {
  unsigned index = 0;
  while (nst_cpu(machine, index) != cpu) index++;
  return index;
}

struct nst_budget *nst_budget_begin(struct nst_cpu *cpu) {
  struct nst_budget *budget = calloc(1, sizeof *budget);
  if (!budget) return NULL;
  struct nst_observer observer = {.context = budget, .exit = observe_exit, .entry = observe_entry};
  budget->machine = nst_machine_of(cpu);
  budget->cpu = index_of(budget->machine, cpu);
  unsigned stack_depth = nst_stack_depth(budget->machine), depth = stack_depth ? stack_depth : 1;
  tree_init(&budget->tree, &budget->count, depth);
  if (!count_init(&budget->count) || nst_observe(budget->machine, &observer) != NST_OK) {
    count_fini(&budget->count);
    free(budget);
    return NULL;
  }
  /* At level 0 the next event is an entry, which tells by itself what runs. */
  unsigned running = stack_depth ? running_level(cpu, depth) : depth;
  if (running) budget->tree.path.start = running;
  tree_begin(&budget->tree, count_label(&budget->count, "block"));
  return budget;
}

void nst_budget_end(struct nst_budget *budget) {
  if (!budget) return;
  nst_unobserve(budget->machine, budget);
  count_fini(&budget->count);
  free(budget);
}

/* ---- Counts -------------------------------------------------------------------------------- */

void nst_exit_counts(const struct nst_budget *budget, struct nst_exit_counts *counts) {
  memset(counts, 0, sizeof *counts);
  if (!budget) return;
  memcpy(counts->to, budget->tree.reflected, sizeof counts->to);
  for (uint32_t i = 0; i < budget->count.cause_count; i++) {
    const struct ledger_cause *cause = &budget->count.cause[i];
    counts->from[cause->level][cause->reason % EXIT_REASONS] += cause->exits;
    counts->to[0][cause->reason % EXIT_REASONS] += cause->exits;
  }
}

void nst_exit_counts_diff(const struct nst_exit_counts *before, const struct nst_exit_counts *after,
                          struct nst_exit_counts *difference) {
  for (unsigned level = 0; level < NST_LEVELS; level++) {
    for (unsigned reason = 0; reason < NST_EXIT_REASONS; reason++) {
      difference->from[level][reason] = after->from[level][reason] - before->from[level][reason];
      difference->to[level][reason] = after->to[level][reason] - before->to[level][reason];
    }
  }
}

uint64_t nst_exit_counts_to(const struct nst_exit_counts *counts, unsigned level, uint32_t reason) {
  uint64_t sum = 0;
  if (level >= NST_LEVELS) return 0;
  if (reason != NST_ANY_REASON) return reason < NST_EXIT_REASONS ? counts->to[level][reason] : 0;
  for (unsigned i = 0; i < NST_EXIT_REASONS; i++) sum += counts->to[level][i];
  return sum;
}

/* ---- Text ---------------------------------------------------------------------------------- */

/* Text that goes on growing when there is no room for it. */
struct out {
  char *text;
  size_t size, length;
};

static void __attribute__((format(printf, 2, 3))) put(struct out *out, const char *format, ...) {
  bool fits = out->length < out->size;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(fits ? out->text + out->length : NULL, fits ? out->size - out->length : 0,
                         format, arguments);
  va_end(arguments);
  if (length > 0) out->length += (size_t)length;
}

/* "to L1: CPUID 1, MSR_READ 2"; nothing where there is none. */
static void put_counts(struct out *out, const char *side, unsigned level,
                       const uint64_t counts[NST_EXIT_REASONS]) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < NST_EXIT_REASONS; i++) sum += counts[i];
  if (sum == 0) return;
  put(out, "  %-4s L%u %5" PRIu64, side, level, sum);
  const char *separator = ":";
  for (unsigned i = 0; i < NST_EXIT_REASONS; i++) {
    if (counts[i] == 0) continue;
    put(out, "%s %s %" PRIu64, separator, nst_exit_name(i), counts[i]);
    separator = ",";
  }
  put(out, "\n");
}

static const char *detail_text(const struct ledger_node *node, char text[NAME]) {
  text[0] = '\0';
  switch (node->reason) {
    case NST_EXIT_VMREAD:
    case NST_EXIT_VMWRITE:
      snprintf(text, NAME, " %s", nst_field_name((uint32_t)node->detail));
      break;
    case NST_EXIT_MSR_READ:
    case NST_EXIT_MSR_WRITE:
      snprintf(text, NAME, " 0x%" PRIx64, node->detail);
      break;
    case NST_EXIT_IO_INSTRUCTION:
      snprintf(text, NAME, " port 0x%" PRIx64, node->detail);
      break;
    case NST_EXIT_CR_ACCESS:
      snprintf(text, NAME, " CR%u", (unsigned)(node->detail & 15));
      break;
    default: /* of a number that comes from the machine, not of an enum of ours */
      break;
  }
  return text;
}

/* The exit of this node if its guest did not run again yet. */
static const struct tree_open *open_at(const struct tree *tree, unsigned node) {
  for (unsigned i = 0; i < tree->open_count; i++) {
    const struct tree_open *open = &tree->open[i];
    if (open->node == (int)node && open->operation == tree->operation) return open;
  }
  return NULL;
}

static void put_node(struct out *out, const struct tree *tree, unsigned index) {
  const struct ledger_node *node = &tree->node[index];
  const struct tree_open *open = open_at(tree, index);
  unsigned indent = 0, handler = open ? open->handler : node->handler;
  char detail[NAME];
  for (int parent = node->parent; parent >= 0; parent = tree->node[parent].parent) indent++;
  put(out, "  %*sL%u %s%s%s: ", (int)(2 * indent), "", node->level,
      nst_exit_name(node->reason & 0xffff), node->reason >> 31 ? " (failed entry)" : "",
      detail_text(node, detail));
  if (handler)
    put(out, "reflected to L%u", handler);
  else if (!open && node->entered > node->level)
    put(out, "L0 enters L%u", node->entered);
  else
    put(out, "L0 keeps it");
  put(out, "%s\n", open ? ", still open" : "");
}

size_t nst_budget_text(const struct nst_budget *budget, char *text, size_t size) {
  struct out out = {text, size, 0};
  struct nst_exit_counts counts;
  if (size) text[0] = '\0';
  if (!budget) return 0;
  const struct tree *tree = &budget->tree;
  nst_exit_counts(budget, &counts);
  put(&out, "exits by level and reason:\n");
  for (unsigned level = 0; level < NST_LEVELS; level++)
    put_counts(&out, "to", level, counts.to[level]);
  for (unsigned level = 1; level < NST_LEVELS; level++)
    put_counts(&out, "from", level, counts.from[level]);
  put(&out, "which came of which:\n");
  for (unsigned i = 0; i < tree->node_count && i < TREE_LINES; i++) put_node(&out, tree, i);
  if (tree->operation_exits > TREE_LINES)
    put(&out, "  and %" PRIu64 " more\n", tree->operation_exits - TREE_LINES);
  return out.length;
}
