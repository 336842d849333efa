/* SPDX-License-Identifier: MIT
 * The ledger as an observer of a machine. */
#include "src/ledger/book.h"

static void observe_exit(void *context, struct nst_cpu *cpu, const struct nst_exit_event *event) {
  (void)cpu;
  struct ledger *ledger = context;
  if (event->cpu >= ledger->cpu_count) return;
  if (event->cpu == 0) ledger_book(ledger);
  tree_exit(&ledger->tree[event->cpu], event);
}

static void observe_entry(void *context, struct nst_cpu *cpu, const struct nst_entry_event *event) {
  (void)cpu;
  struct ledger *ledger = context;
  if (event->cpu >= ledger->cpu_count) return;
  if (event->cpu == 0) ledger_book(ledger);
  tree_entry(&ledger->tree[event->cpu], event);
}

/* Operations run on processor 0. */
static struct nst_counters read_counters(struct nst_machine *machine) {
  return nst_counters(nst_cpu(machine, 0));
}

static void detach(struct ledger *ledger) {
  nst_unobserve(ledger->machine, ledger);
}

struct ledger *ledger_create(struct nst_machine *machine, unsigned depth) {
  unsigned cpu_count = 0;
  while (cpu_count < LEDGER_CPUS && nst_cpu(machine, cpu_count)) cpu_count++;
  struct ledger *ledger = ledger_new(cpu_count, depth);
  if (!ledger) return NULL;
  struct nst_observer observer = {.context = ledger, .exit = observe_exit, .entry = observe_entry};
  if (nst_observe(machine, &observer) != NST_OK) {
    ledger_free(ledger);
    return NULL;
  }
  ledger->machine = machine;
  ledger->read_counters = read_counters;
  ledger->detach = detach;
  ledger->before = read_counters(machine);
  return ledger;
}
