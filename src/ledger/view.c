/* SPDX-License-Identifier: MIT
 * Reading the ledger: rows, totals, reasons, causes, trees. */
#include <string.h>

#include "src/ledger/book.h"

unsigned ledger_depth(const struct ledger *ledger) {
  return ledger->depth;
}

unsigned ledger_label_count(const struct ledger *ledger) {
  return ledger->count.label_count;
}

unsigned ledger_find(const struct ledger *ledger, const char *text) {
  return count_find(&ledger->count, text);
}

uint64_t ledger_histogram(const struct ledger *ledger, unsigned label, unsigned exits) {
  if (label >= ledger->count.label_count || exits > LEDGER_HISTOGRAM) return 0;
  return count_times(ledger->count.label[label], exits);
}

size_t ledger_cause_count(const struct ledger *ledger) {
  return ledger->count.cause_count - 1;
}

const struct ledger_cause *ledger_cause(const struct ledger *ledger, size_t index) {
  return index < ledger_cause_count(ledger) ? &ledger->count.cause[index + 1] : NULL;
}

bool ledger_tree(const struct ledger *ledger, unsigned label, struct ledger_tree *tree) {
  if (label >= ledger->count.label_count || !ledger->count.label[label]->has_tree) return false;
  const struct count_label *kept = ledger->count.label[label];
  *tree = (struct ledger_tree){
      .nodes = kept->tree, .count = kept->tree_count, .exits = kept->tree_exits};
  return true;
}

void ledger_reasons(const struct ledger *ledger, unsigned level,
                    struct ledger_reason reasons[EXIT_REASONS]) {
  memset(reasons, 0, EXIT_REASONS * sizeof *reasons);
  for (uint32_t i = 0; i < ledger->count.cause_count; i++) {
    const struct ledger_cause *cause = &ledger->count.cause[i];
    if (cause->level != level) continue;
    reasons[cause->reason % EXIT_REASONS].exits += cause->exits;
    reasons[cause->reason % EXIT_REASONS].reflected += cause->reflected;
  }
}

/* The counter that an exiting instruction of native software is in; NULL: in none that has a cost
 * of its own. */
static uint64_t *counter_of(struct nst_counters *executed, uint32_t reason) {
  switch (reason) {
    case NST_EXIT_VMREAD:
      return &executed->vmread;
    case NST_EXIT_VMWRITE:
      return &executed->vmwrite;
    case NST_EXIT_VMPTRLD:
      return &executed->vmptrld;
    case NST_EXIT_VMCLEAR:
      return &executed->vmclear;
    case NST_EXIT_INVEPT:
    case NST_EXIT_INVVPID:
      return &executed->invalidate;
    case NST_EXIT_MSR_READ:
      return &executed->rdmsr;
    case NST_EXIT_MSR_WRITE:
      return &executed->wrmsr;
    default: /* of a number that comes from the machine, not of an enum of ours */
      return NULL;
  }
}

/* Adds one label's causes to the row, and takes out of `executed` what exited: those instructions
 * cost an exit instead. The innermost guest is no native software. */
static void add_causes(const struct ledger *ledger, unsigned label, struct ledger_row *row) {
  for (uint32_t i = 0; i < ledger->count.cause_count; i++) {
    const struct ledger_cause *cause = &ledger->count.cause[i];
    if (cause->label != label) continue;
    row->exits += cause->exits;
    row->by_level[cause->level] += cause->exits;
    row->reflected[cause->level] += cause->reflected;
    if (cause->level >= ledger->depth) continue;
    uint64_t *counter = counter_of(&row->executed[cause->level], cause->reason);
    if (counter) *counter -= cause->exits < *counter ? cause->exits : *counter;
  }
}

static void add_label(const struct ledger *ledger, unsigned index, struct ledger_row *row) {
  const struct count_label *label = ledger->count.label[index];
  struct nst_counters nothing = {0};
  for (unsigned level = 0; level < LEDGER_LEVELS; level++) {
    count_executed(&row->executed[level], &nothing, &label->executed[level]);
    for (unsigned i = 0; i < LEDGER_ROUTINES; i++)
      row->routines[level][i] += label->routines[level][i];
  }
  row->operations += label->operations;
  row->kept_subtree += label->kept_subtree;
  for (unsigned i = 0; i <= LEDGER_ROUND; i++) row->rounds += label->round[i];
  add_causes(ledger, index, row);
}

/* The most frequent index, the smallest of equals. */
static unsigned mode_of(const uint64_t *histogram, unsigned last) {
  unsigned mode = 0;
  for (unsigned i = 1; i <= last; i++) {
    if (histogram[i] > histogram[mode]) mode = i;
  }
  return mode;
}

static void finish_row(struct ledger_row *row, uint64_t operation_exits) {
  if (row->operations == 0) return;
  double operations = (double)row->operations;
  row->mean = (double)operation_exits / operations;
  cost_estimate(row);
}

bool ledger_row(const struct ledger *ledger, unsigned index, struct ledger_row *row) {
  memset(row, 0, sizeof *row);
  if (index >= ledger->count.label_count) return false;
  const struct count_label *label = ledger->count.label[index];
  row->label = label->text;
  row->typical = label->mode;
  row->typical_operations = label->mode_times;
  row->round_typical = mode_of(label->round, LEDGER_ROUND);
  add_label(ledger, index, row);
  finish_row(row, label->exits);
  return true;
}

void ledger_total(const struct ledger *ledger, struct ledger_row *row) {
  memset(row, 0, sizeof *row);
  row->label = "whole trace";
  uint64_t exits = 0;
  for (unsigned i = LEDGER_OTHERS; i < ledger->count.label_count; i++) {
    add_label(ledger, i, row);
    exits += ledger->count.label[i]->exits;
  }
  finish_row(row, exits);
}
