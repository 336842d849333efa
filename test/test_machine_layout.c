/* SPDX-License-Identifier: MIT
 * A VMCS is its region, in a layout of the processor's own choice: with the fields somewhere else
 * nothing changes, neither an exit nor what a guest or its hypervisor sees. */
#include "test/test_machine_driven.h"

enum { ROUNDS = 5, FIELDS = 8 };

/* Everything that a run shows. */
struct record {
  unsigned exits;
  uint64_t hash; /* of the exits' reasons, qualifications, RIPs and details, in order */
  uint64_t reg[NST_REG_CR4 + 1];
  uint64_t field[FIELDS];
  struct nst_counters counters;
};

static const uint32_t fields[FIELDS] = {
    NST_FIELD_GUEST_RIP,          NST_FIELD_GUEST_RSP,
    NST_FIELD_GUEST_RFLAGS,       NST_FIELD_GUEST_CS_AR_BYTES,
    NST_FIELD_EXIT_QUALIFICATION, NST_FIELD_VM_EXIT_REASON,
    NST_FIELD_GUEST_TR_BASE,      NST_FIELD_VM_EXIT_INSTRUCTION_LEN};

static void mix(struct record *record, uint64_t value) {
  record->hash = (record->hash ^ value) * UINT64_C(0x100000001b3); /* FNV-1a by words */
}

static void note_exit(void *context, struct nst_cpu *cpu, const struct nst_exit_event *event) {
  struct record *record = context;
  (void)cpu;
  record->exits++;
  mix(record, event->context);
  mix(record, event->reason);
  mix(record, event->qualification);
  mix(record, event->rip);
  mix(record, event->detail);
  mix(record, event->operand);
}

/* CPUID and a write of an MSR, some rounds, by the guest at `level`. */
static bool run(struct record *record, unsigned level, uint64_t seed) {
  char text[64];
  struct driven d;
  *record = (struct record){.exits = 0};
  snprintf(text, sizeof text, "guest at level %u, layout seed %u", level, (unsigned)seed);
  bool open = driven_open(&d, text, &(struct setting){.level = level, .layout_seed = seed});
  if (open) {
    struct nst_observer observer = {.context = record, .exit = note_exit};
    nst_observe(d.machine, &observer);
    /* again: cpuid; mov ecx, 0x174; wrmsr; jmp again */
    DRIVEN_LOAD(&d, {0x0f, 0xa2, 0xb9, 0x74, 0x01, 0x00, 0x00, 0x0f, 0x30, 0xeb, 0xf5});
    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
      uint32_t expected = i % 2 ? NST_EXIT_MSR_WRITE : NST_EXIT_CPUID;
      DRIVEN_EQ(&d, driven_run(&d, i == 0), expected);
      driven_set(&d, NST_REG_RAX, i);
      driven_write(&d, NST_FIELD_GUEST_RIP, driven_read(&d, NST_FIELD_GUEST_RIP) + 2);
    }
    for (unsigned i = 0; i <= NST_REG_CR4; i++) record->reg[i] = driven_get(&d, (enum nst_reg)i);
    for (unsigned i = 0; i < FIELDS; i++) record->field[i] = driven_read(&d, fields[i]);
    record->counters = nst_counters(d.cpu);
  }
  driven_close(&d);
  return open;
}

static void permuted_layout_changes_nothing(void) {
  for (unsigned level = 1; level <= 3; level++) {
    struct record expected, actual;
    if (!run(&expected, level, 0)) return;
    EXPECT_TRUE("something exits", expected.exits >= 2 * ROUNDS);
    for (uint64_t seed = 1; seed <= 2; seed++) {
      char text[64];
      if (!run(&actual, level, seed)) return;
      snprintf(text, sizeof text, "guest at level %u, layout seed %u", level, (unsigned)seed);
      EXPECT_EQ(text, actual.exits, expected.exits);
      EXPECT_EQ(text, actual.hash, expected.hash);
      for (unsigned i = 0; i <= NST_REG_CR4; i++) EXPECT_EQ(text, actual.reg[i], expected.reg[i]);
      for (unsigned i = 0; i < FIELDS; i++) EXPECT_EQ(text, actual.field[i], expected.field[i]);
      EXPECT_EQ(text, memcmp(&actual.counters, &expected.counters, sizeof actual.counters), 0);
    }
  }
}

/* The seeds do permute: without that the test above shows nothing. */
static void permuted_layout_moves_fields(void) {
  uint8_t region[2][4096];
  for (uint64_t seed = 0; seed < 2; seed++) {
    struct driven d;
    if (driven_open(&d, "layout", &(struct setting){.level = 1, .layout_seed = seed})) {
      DRIVEN_LOAD(&d, {0xf4});
      EXPECT_EQ("region", nst_mem_read(d.machine, OWN_REGION, region[seed], 4096), NST_OK);
    }
    driven_close(&d);
  }
  EXPECT_TRUE("regions differ", memcmp(region[0], region[1], 4096) != 0);
}

CU_TestInfo machine_layout_tests[] = {
    {"permuted_layout_changes_nothing", permuted_layout_changes_nothing},
    {"permuted_layout_moves_fields", permuted_layout_moves_fields},
    CU_TEST_INFO_NULL,
};
