/* SPDX-License-Identifier: MIT
 * Measures src/ledger/routine.def: how many instructions a real KVM executes between an exit and
 * the entry that ends it, from operation logs (traces/recorded/README.md, "Operation log").
 *
 * usage: measure_costs [--check] DEPTH-1-LOG DEPTH-2-LOG...
 *
 * L0 was recorded with tracing on, L1 was not. What tracing adds is measured, not assumed: the same
 * operations handled by L0 at depth 1 and by L1 at depth 2 differ by it. --check fails (status 1)
 * where routine.def does not hold what was measured. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/ledger/routine.h"
#include "traces/source.h"

enum { TEXT = 512, OPERATIONS = 32, NAME = 16 };

/* ---- Samples ------------------------------------------------------------------------------- */

struct samples {
  double *value;
  size_t count, room;
};

static void add(struct samples *samples, double value) {
  if (samples->count == samples->room) {
    samples->room = samples->room ? 2 * samples->room : 1024;
    samples->value = realloc(samples->value, samples->room * sizeof *samples->value);
    if (!samples->value) abort();
  }
  samples->value[samples->count++] = value;
}

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* The value below which `part` of the samples lie; 0 without samples. */
static double percentile(struct samples *samples, double part) {
  if (samples->count == 0) return 0;
  qsort(samples->value, samples->count, sizeof *samples->value, compare);
  return samples->value[(size_t)((double)(samples->count - 1) * part)];
}

/* ---- What is measured ---------------------------------------------------------------------- */

/* One kind of operation. What L0 executed is kept with how much of it was tracing: it is known
 * only in the end. */
struct operation {
  char name[NAME];
  uint32_t reason;
  struct samples at_l0, at_l1;                     /* the same exit, handled by L0 and by L1 */
  struct samples round[2], segments[2], events[2]; /* of L0, VMCS shadowing off and on */
};

struct measured {
  struct operation operation[OPERATIONS];
  unsigned operation_count;
  struct samples untraced[LEDGER_ROUTINES]; /* L1's */
  struct samples traced[LEDGER_ROUTINES];   /* L0's */
  double pair, event;                       /* what kvm_exit with kvm_entry adds, and one more */
};

/* Trace events of a routine beside kvm_exit and kvm_entry. */
static double event_count(enum ledger_routine routine) {
  switch (routine) {
    case LEDGER_ROUTINE_HANDLE: /* kvm_cpuid, kvm_msr, ...: one each */
    case LEDGER_ROUTINE_PORT:   /* kvm_pio */
    case LEDGER_ROUTINE_MEMORY: /* kvm_page_fault */
    case LEDGER_ROUTINE_HALT:   /* kvm_vcpu_wakeup */
    case LEDGER_ROUTINE_MERGE:  /* kvm_nested_vmenter */
      return 1;
    case LEDGER_ROUTINE_PORT_USER: /* kvm_pio, kvm_userspace_exit, kvm_fpu twice */
      return 4;
    case LEDGER_ROUTINE_REFLECT: /* kvm_nested_vmexit, kvm_nested_vmexit_inject */
      return 2;
    case LEDGER_ROUTINE_INTERRUPT:
    case LEDGER_ROUTINE_VMX:
    case LEDGER_ROUTINES:
      return 0;
  }
  return 0;
}

static bool has_own_event(uint32_t reason) {
  return reason != NST_EXIT_WBINVD && reason != NST_EXIT_XSETBV && reason != NST_EXIT_DR_ACCESS;
}

static void name_operation(uint32_t reason, uint64_t qualification, char name[NAME]) {
  unsigned port = (unsigned)(qualification >> 16);
  bool is_input = qualification >> 3 & 1;
  if (reason == NST_EXIT_CR_ACCESS)
    snprintf(name, NAME, "CR%u write", (unsigned)(qualification & 15));
  else if (reason == NST_EXIT_MSR_READ)
    snprintf(name, NAME, "RDMSR");
  else if (reason == NST_EXIT_MSR_WRITE)
    snprintf(name, NAME, "WRMSR");
  else if (reason == NST_EXIT_IO_INSTRUCTION)
    snprintf(name, NAME, "%s %s", is_input ? "IN" : "OUT",
             routine_of(reason, port, 1, 1) == LEDGER_ROUTINE_PORT ? "kernel" : "user");
  else
    snprintf(name, NAME, "%.*s", NAME - 1, nst_exit_name(reason));
}

/* NULL: more kinds than there is room for. */
static struct operation *find(struct measured *measured, uint32_t reason, uint64_t qualification) {
  char name[NAME];
  name_operation(reason, qualification, name);
  for (unsigned i = 0; i < measured->operation_count; i++)
    if (strcmp(measured->operation[i].name, name) == 0) return &measured->operation[i];
  if (measured->operation_count == OPERATIONS) return NULL;
  struct operation *operation = &measured->operation[measured->operation_count++];
  memcpy(operation->name, name, sizeof name);
  operation->reason = reason;
  return operation;
}

/* ---- Reading a log ------------------------------------------------------------------------- */

struct record {
  char what; /* X exit, N entry */
  uint32_t reason;
  uint64_t qualification, context, count;
};

struct log {
  struct record *record;
  size_t count, room;
  uint64_t l1;    /* the VMCS that runs a hypervisor; 0: none does */
  bool shadowing; /* VMCS shadowing served L1 */
};

static void push(struct log *log, const struct record *record) {
  if (log->count == log->room) {
    log->room = log->room ? 2 * log->room : 4096;
    log->record = realloc(log->record, log->room * sizeof *log->record);
    if (!log->record) abort();
  }
  log->record[log->count++] = *record;
}

static bool is_vmx_instruction(uint32_t reason) {
  return reason >= NST_EXIT_VMCLEAR && reason <= NST_EXIT_VMON;
}

static void take_line(struct log *log, const char *line) {
  struct record record = {0};
  if (sscanf(line, "X %" SCNx32 " %" SCNx64 " %*s %" SCNx64 " %*s %" SCNu64, &record.reason,
             &record.qualification, &record.context, &record.count) == 4) {
    record.what = 'X';
    if (is_vmx_instruction(record.reason)) log->l1 = record.context;
  } else if (sscanf(line, "N %*s %*s %" SCNx64 " %*s %" SCNu64, &record.context, &record.count) ==
             2) {
    record.what = 'N';
  }
  if (record.what) push(log, &record);
}

static bool read_log(struct log *log, const char *path) {
  char error[TEXT], text[TEXT];
  struct source *source = source_open(path, error, sizeof error);
  const char *line;
  size_t length, reads = 0, exits = 0;
  bool has_newline;
  int more;
  memset(log, 0, sizeof *log);
  if (!source) {
    fprintf(stderr, "%s\n", error);
    return false;
  }
  while ((more = source_line(source, &line, &length, &has_newline)) > 0) {
    snprintf(text, sizeof text, "%.*s", (int)(length < TEXT - 1 ? length : TEXT - 1), line);
    reads += strncmp(text, "gR ", 3) == 0;
    take_line(log, text);
  }
  if (more < 0) fprintf(stderr, "%s\n", source_error(source));
  for (size_t i = 0; i < log->count; i++) exits += log->record[i].reason == NST_EXIT_VMREAD;
  log->shadowing = exits < reads / 2;
  if (more == 0 && log->count == 0) fprintf(stderr, "%s: no exit in it\n", path);
  source_close(source);
  return more == 0 && log->count;
}

/* ---- Measuring ----------------------------------------------------------------------------- */

/* A round: from the exit that L0 reflects to the entry of its guest. */
struct round {
  bool is_open;
  struct record exit;
  double at_l0, segments, events, at_l1;
};

static uint64_t detail_of(const struct record *exit) {
  return exit->reason == NST_EXIT_IO_INSTRUCTION ? exit->qualification >> 16 & 0xffff : 0;
}

/* What L0 calls an EPT violation reaches L1 as a violation or as a misconfiguration: one routine,
 * since the hardware's exit does not tell them apart. */
static void end_round(struct measured *measured, const struct round *round, bool shadowing) {
  const struct record *exit = &round->exit;
  struct operation *operation = find(measured, exit->reason, exit->qualification);
  add(&measured->untraced[routine_of(exit->reason, detail_of(exit), 1, 1)], round->at_l1);
  if (!operation) return;
  add(&operation->at_l1, round->at_l1);
  add(&operation->round[shadowing], round->at_l0);
  add(&operation->segments[shadowing], round->segments);
  add(&operation->events[shadowing], round->events);
}

/* From an exit to the entry that ends it, at L0. */
static void take_segment(struct measured *measured, const struct log *log, struct round *round,
                         const struct record *exit, const struct record *entry) {
  unsigned from = exit->context == log->l1 || !log->l1 ? 1 : 2;
  unsigned to = entry->context == log->l1 || !log->l1 ? 1 : 2;
  enum ledger_routine routine = routine_of(exit->reason, detail_of(exit), from, to);
  double length = (double)(entry->count - exit->count);
  if (routine != LEDGER_ROUTINE_HALT) add(&measured->traced[routine], length);
  struct operation *operation = find(measured, exit->reason, exit->qualification);
  if (!log->l1 && operation) add(&operation->at_l0, length);
  if (routine == LEDGER_ROUTINE_REFLECT) *round = (struct round){.is_open = true, .exit = *exit};
  round->at_l0 += length;
  round->segments++;
  round->events += event_count(routine);
  if (routine == LEDGER_ROUTINE_MERGE && round->is_open) {
    end_round(measured, round, log->shadowing);
    round->is_open = false;
  }
}

static void measure_log(struct measured *measured, const struct log *log) {
  struct round round = {0};
  const struct record *exit = NULL, *entry = NULL;
  for (size_t i = 0; i < log->count; i++) {
    const struct record *record = &log->record[i];
    if (record->what == 'N') {
      if (exit) take_segment(measured, log, &round, exit, record);
      entry = record;
      exit = NULL;
    } else if (record->what == 'X') {
      if (entry && log->l1 && record->context == log->l1)
        round.at_l1 += (double)(record->count - entry->count);
      exit = record;
    }
  }
}

/* The same operations, handled by a traced L0 and by an untraced L1. */
static void measure_tracing(struct measured *measured) {
  struct samples pair = {0}, more = {0};
  for (unsigned i = 0; i < measured->operation_count; i++) {
    struct operation *operation = &measured->operation[i];
    enum ledger_routine routine = routine_of(operation->reason, 0, 1, 1);
    if (routine != LEDGER_ROUTINE_HANDLE || !operation->at_l0.count || !operation->at_l1.count)
      continue;
    double difference = percentile(&operation->at_l0, .5) - percentile(&operation->at_l1, .5);
    add(has_own_event(operation->reason) ? &more : &pair, difference);
  }
  measured->pair = percentile(&pair, .5);
  measured->event = percentile(&more, .5) - measured->pair;
  free(pair.value);
  free(more.value);
}

/* All samples of a routine, tracing taken out. */
static struct samples pool(const struct measured *measured, enum ledger_routine routine) {
  struct samples all = {0};
  double tracing = measured->pair + event_count(routine) * measured->event;
  for (size_t i = 0; i < measured->untraced[routine].count; i++)
    add(&all, measured->untraced[routine].value[i]);
  for (size_t i = 0; i < measured->traced[routine].count; i++)
    add(&all, measured->traced[routine].value[i] - tracing);
  return all;
}

/* ---- Printing ------------------------------------------------------------------------------ */

static bool print_routine(struct measured *measured, unsigned routine) {
  const struct ledger_routine_cost *row = ledger_routine(routine);
  struct samples all = pool(measured, (enum ledger_routine)routine);
  double low = percentile(&all, .1), typical = percentile(&all, .5), high = percentile(&all, .9);
  bool holds =
      low == row->low && typical == row->typical && high == row->high && all.count == row->samples;
  printf("  %-10s %7.0f %7.0f %7.0f %7zu%s  %s\n", row->name, low, typical, high, all.count,
         holds ? " " : "!", row->title);
  free(all.value);
  return holds;
}

/* Median of L0's instructions in a round, tracing taken out; 0: no such round. */
static double round_median(const struct measured *measured, const struct operation *operation,
                           bool shadowing) {
  struct samples all = {0};
  for (size_t i = 0; i < operation->round[shadowing].count; i++)
    add(&all, operation->round[shadowing].value[i] -
                  operation->segments[shadowing].value[i] * measured->pair -
                  operation->events[shadowing].value[i] * measured->event);
  double median = percentile(&all, .5);
  free(all.value);
  return median;
}

static void print_rounds(struct measured *measured) {
  printf("\nInstructions of L0 in a round that L1 handles, without tracing: medians\n");
  printf("  %-16s %9s %9s %7s %9s\n", "operation", "shadow on", "off", "off/on", "L1's own");
  for (unsigned i = 0; i < measured->operation_count; i++) {
    struct operation *operation = &measured->operation[i];
    if (!operation->round[0].count || !operation->round[1].count) continue;
    double on = round_median(measured, operation, true);
    double off = round_median(measured, operation, false);
    printf("  %-16s %9.0f %9.0f %7.2f %9.0f\n", operation->name, on, off, off / on,
           percentile(&operation->at_l1, .5));
  }
}

static void free_measured(struct measured *measured) {
  for (unsigned i = 0; i < LEDGER_ROUTINES; i++) {
    free(measured->untraced[i].value);
    free(measured->traced[i].value);
  }
  for (unsigned i = 0; i < measured->operation_count; i++) {
    struct operation *operation = &measured->operation[i];
    free(operation->at_l0.value);
    free(operation->at_l1.value);
    for (unsigned on = 0; on < 2; on++) {
      free(operation->round[on].value);
      free(operation->segments[on].value);
      free(operation->events[on].value);
    }
  }
}

int main(int argc, char **argv) {
  struct measured measured = {.pair = 0};
  bool check = argc > 1 && strcmp(argv[1], "--check") == 0, holds = true;
  if (argc < (check ? 4 : 3)) {
    fprintf(stderr, "usage: measure_costs [--check] DEPTH-1-LOG DEPTH-2-LOG...\n");
    return 2;
  }
  for (int i = check ? 2 : 1; i < argc; i++) {
    struct log log;
    bool is_read = read_log(&log, argv[i]);
    if (is_read) measure_log(&measured, &log);
    free(log.record);
    if (!is_read) return 2;
  }
  measure_tracing(&measured);
  printf("Instructions of hypervisor software per routine: p10, median, p90, samples\n");
  for (unsigned i = 0; i < LEDGER_ROUTINES; i++) holds &= print_routine(&measured, i);
  printf("  tracing at L0, taken out: %.0f per exit and entry, %.0f per further event\n",
         measured.pair, measured.event);
  print_rounds(&measured);
  if (!holds) printf("\n!: src/ledger/routine.def says otherwise\n");
  free_measured(&measured);
  return check && !holds;
}
