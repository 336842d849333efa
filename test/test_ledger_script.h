/* SPDX-License-Identifier: MIT
 * Writing exits and entries as a short script, for the tests of the ledger and of its reports. */
#ifndef TEST_LEDGER_SCRIPT_H
#define TEST_LEDGER_SCRIPT_H

#include <stddef.h>

#include "src/ledger/book.h"

/* One event. VMCS regions at L0: 0x1000 runs L1, 0x2000 runs every nested guest. */
struct script_event {
  enum { SCRIPT_EXIT, SCRIPT_ENTRY } what;
  uint64_t context;
  uint32_t reason;
  uint64_t detail;
  uint64_t operand;
  uint64_t rflags;
  unsigned level; /* of the guest, as expected */
};
enum { SCRIPT_VMCS01 = 0x1000, SCRIPT_VMCS02 = 0x2000 };

#define X(context, name, detail, level) \
  { SCRIPT_EXIT, SCRIPT_##context, NST_EXIT_##name, (detail), 0, 0, (level) }
#define LOAD(context, pointer, level) \
  { SCRIPT_EXIT, SCRIPT_##context, NST_EXIT_VMPTRLD, 0, (pointer), 0, (level) }
#define N(context, level) \
  { SCRIPT_ENTRY, SCRIPT_##context, 0, 0, 0, 0, (level) }

/* Every instruction moves RIP on, unless it is entered again where it exited. */
static inline struct nst_exit_event script_exit(const struct script_event *event) {
  return (struct nst_exit_event){.context = event->context,
                                 .reason = event->reason,
                                 .detail = event->detail,
                                 .operand = event->operand,
                                 .rip = 0x100};
}
static inline struct nst_entry_event script_entry(const struct script_event *event) {
  return (struct nst_entry_event){.context = event->context, .rflags = event->rflags, .rip = 0x103};
}

static inline void script_play(struct ledger *ledger, const struct script_event *events,
                               size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (events[i].what == SCRIPT_EXIT) {
      struct nst_exit_event exit = script_exit(&events[i]);
      tree_exit(&ledger->tree[0], &exit);
    } else {
      struct nst_entry_event entry = script_entry(&events[i]);
      tree_entry(&ledger->tree[0], &entry);
    }
  }
}
static inline void script_operation(struct ledger *ledger, const char *label,
                                    const struct script_event *events, size_t count) {
  ledger_begin(ledger, ledger_label(ledger, label));
  script_play(ledger, events, count);
  ledger_end(ledger);
}
#define SCRIPT_OPERATION(ledger, label, events) \
  script_operation((ledger), (label), (events), sizeof(events) / sizeof *(events))
#define SCRIPT_PLAY(ledger, events) \
  script_play((ledger), (events), sizeof(events) / sizeof *(events))

#endif
