/* SPDX-License-Identifier: MIT
 * What the recordings of real KVM 6.1 have per operation, and playing it for comparison. The
 * expectations are read from traces/recorded/profile-kvm-6.1*.tsv; nothing under src reads it. */
#ifndef TEST_HYPERVISOR_RECORDED_H
#define TEST_HYPERVISOR_RECORDED_H

#include <stdlib.h>
#include <string.h>

#include "test/test_hypervisor_stack.h"

enum { ROUNDS = 4, STEP_LIMIT = 48 };

/* What the recording has of one operation, typical round. */
struct recorded {
  unsigned exits[2]; /* without and with shadowing */
  unsigned steps;
  struct {
    char operation[16];
    char field[40];
    uint32_t encoding;
  } step[STEP_LIMIT];
};

static inline bool add_step(struct recorded *recorded, char **column) {
  if (recorded->steps == STEP_LIMIT) return false;
  recorded->exits[0] = (unsigned)strtoul(column[5], NULL, 10);
  recorded->exits[1] = (unsigned)strtoul(column[6], NULL, 10);
  unsigned at = recorded->steps++;
  snprintf(recorded->step[at].operation, sizeof recorded->step[at].operation, "%s", column[8]);
  snprintf(recorded->step[at].field, sizeof recorded->step[at].field, "%s", column[9]);
  recorded->step[at].encoding = (uint32_t)strtoul(column[10], NULL, 16);
  return true;
}

/* One variant of the rows with this exit reason and case. */
static inline bool read_variant(struct recorded *recorded, const char *table, const char *reason,
                                const char *name, unsigned variant) {
  char line[512];
  *recorded = (struct recorded){.steps = 0};
  FILE *file = fopen(table, "r");
  if (!EXPECT_TRUE(table, file != NULL)) return false;
  while (fgets(line, sizeof line, file)) {
    char *column[12], *next = line;
    unsigned count = 0;
    while (next && count < 12) {
      column[count++] = next;
      next = strchr(next, '\t');
      if (next) *next++ = 0;
    }
    if (count == 12 && !strcmp(column[0], reason) && !strcmp(column[1], name) &&
        strtoul(column[3], NULL, 10) == variant && !add_step(recorded, column))
      break;
  }
  fclose(file);
  return EXPECT_TRUE(name, recorded->steps > 0);
}

/* The typical one. */
static inline bool read_recorded(struct recorded *recorded, const char *table, const char *reason,
                                 const char *name) {
  return read_variant(recorded, table, reason, name, 1);
}

struct operation {
  const char *reason, *recorded; /* in the table */
  struct trace_event event;
  uint64_t a_step, b_toggle; /* from round to round */
};

#define ARGUMENTS (TRACE_HAS_A | TRACE_HAS_B | TRACE_HAS_C | TRACE_HAS_D)
#define EVENT(kind_name, ...) \
  { .kind = TRACE_##kind_name, .level = 1, .flags = ARGUMENTS, __VA_ARGS__ }

static const struct trace_event osxsave = EVENT(MOV_TO_CR, .a = 4, .b = 0x400a0);

static inline void prepare(struct guest *guest, const struct operation *operation) {
  if (operation->event.kind == TRACE_XSETBV) guest_play(guest, "OSXSAVE", &osxsave);
}

static inline struct trace_event event_of(const struct operation *operation, unsigned round) {
  struct trace_event event = operation->event;
  event.a += operation->a_step * round;
  if (round % 2) event.b ^= operation->b_toggle;
  return event;
}

/* The first round also sets things up: an address without memory becomes a device's page. */
static inline void expect_rounds(struct guest *guest, const struct operation *operation,
                                 unsigned exits) {
  char what[96];
  prepare(guest, operation);
  for (unsigned round = 0; round <= ROUNDS; round++) {
    struct trace_event event = event_of(operation, round);
    uint64_t unlisted = guest_unlisted(guest);
    snprintf(what, sizeof what, "depth %u, %s, round %u", guest->stack->depth, operation->recorded,
             round);
    uint64_t found = guest_play(guest, what, &event);
    if (round && !EXPECT_EQ(what, found, exits)) return;
    strcat(what, ": unlisted");
    if (!EXPECT_EQ(what, guest_unlisted(guest), unlisted)) return;
  }
}

struct log {
  unsigned count;
  struct nst_exit_event exit[STEP_LIMIT + 1];
};

static inline void record(void *context, struct nst_cpu *cpu, const struct nst_exit_event *event) {
  struct log *log = context;
  (void)cpu;
  if (log->count <= STEP_LIMIT) log->exit[log->count] = *event;
  log->count++;
}

/* The reason and detail that a recorded step shows as when every VMX instruction exits. */
static inline void expect_step(const char *what, const struct recorded *recorded, unsigned at,
                               const struct nst_exit_event *exit) {
  const char *operation = recorded->step[at].operation, *field = recorded->step[at].field;
  const char *reason = operation;
  char name[40];
  uint64_t detail = recorded->step[at].encoding;
  if (!strcmp(operation, "EXIT")) {
    unsigned msr = 0;
    if (!EXPECT_EQ(what, sscanf(field, "%39s %x", name, &msr), 2)) return;
    reason = name;
    detail = msr;
  }
  EXPECT_STRING(what, nst_exit_name(exit->reason), reason);
  if (strcmp(operation, "VMRESUME") && strcmp(operation, "INVVPID"))
    EXPECT_EQ(what, exit->detail, detail);
}

static inline void expect_order(struct guest *guest, const char *table,
                                const struct operation *operation) {
  struct recorded recorded;
  struct log log = {.count = 0};
  const struct nst_observer observer = {.context = &log, .exit = record};
  char what[96];
  if (!read_recorded(&recorded, table, operation->reason, operation->recorded)) return;
  prepare(guest, operation);
  for (unsigned round = 0; round < 3; round++) { /* the last one is looked at */
    struct trace_event event = event_of(operation, round);
    if (round == 2) nst_observe(guest->machine, &observer);
    guest_play(guest, operation->recorded, &event);
  }
  nst_unobserve(guest->machine, &log);
  if (!EXPECT_EQ(operation->recorded, log.count, recorded.steps + 1)) return;
  uint64_t nested = log.exit[0].context;
  for (unsigned i = 0; i < recorded.steps; i++) {
    snprintf(what, sizeof what, "%s, step %u", operation->recorded, i + 1);
    expect_step(what, &recorded, i, &log.exit[i + 1]);
    EXPECT_TRUE(what, log.exit[i + 1].context != nested); /* L1's own */
  }
}

#endif
