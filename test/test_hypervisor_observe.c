/* SPDX-License-Identifier: MIT
 * Observing VMX instructions: each one of every level is told once, with its field and whether it
 * exited, and telling changes nothing. */
#include "test/test_hypervisor_stack.h"

static const struct trace_event cpuid = {
    .kind = TRACE_CPUID, .a = 1, .flags = TRACE_HAS_A, .level = 1};

enum { LOG_LIMIT = 4096 };

struct vmx_log {
  unsigned count, exits, entries;
  struct nst_vmx_event event[LOG_LIMIT];
};

static void note_vmx(void *context, struct nst_cpu *cpu, const struct nst_vmx_event *event) {
  struct vmx_log *log = context;
  (void)cpu;
  if (log->count < LOG_LIMIT) log->event[log->count] = *event;
  log->count++;
}

static void note_exit(void *context, struct nst_cpu *cpu, const struct nst_exit_event *event) {
  struct vmx_log *log = context;
  (void)cpu;
  /* A VMX instruction that exits was told just before. */
  if (event->reason >= NST_EXIT_VMCLEAR && event->reason <= NST_EXIT_VMON) {
    const struct nst_vmx_event *last = &log->event[log->count - 1];
    EXPECT_EQ("told before its exit", last->instruction, event->reason);
    EXPECT_TRUE("as one that exits", last->exits && !last->root);
    EXPECT_EQ("same place", last->rip, event->rip);
    EXPECT_EQ("same guest", last->context, event->context);
  }
  log->exits++;
}

static void note_entry(void *context, struct nst_cpu *cpu, const struct nst_entry_event *event) {
  struct vmx_log *log = context;
  (void)cpu;
  const struct nst_vmx_event *last = &log->event[log->count - 1];
  EXPECT_EQ("told before the entry", last->instruction, NST_EXIT_VMRESUME);
  EXPECT_TRUE("by L0", last->root && !last->exits);
  EXPECT_EQ("same VMCS", last->context, event->context);
  log->entries++;
}

static unsigned count_of(const struct vmx_log *log, uint32_t instruction) {
  unsigned count = 0;
  for (unsigned i = 0; i < log->count && i < LOG_LIMIT; i++)
    count += log->event[i].instruction == instruction;
  return count;
}

/* What the processor counted meanwhile, of all levels. */
static void expect_all_told(const struct vmx_log *log, const struct nst_counters *before,
                            const struct nst_counters *after) {
  EXPECT_EQ("VMREAD", count_of(log, NST_EXIT_VMREAD), after->vmread - before->vmread);
  EXPECT_EQ("VMWRITE", count_of(log, NST_EXIT_VMWRITE), after->vmwrite - before->vmwrite);
  EXPECT_EQ("VMPTRLD", count_of(log, NST_EXIT_VMPTRLD), after->vmptrld - before->vmptrld);
  EXPECT_EQ("VMCLEAR", count_of(log, NST_EXIT_VMCLEAR), after->vmclear - before->vmclear);
  EXPECT_EQ("VMRESUME", count_of(log, NST_EXIT_VMRESUME), after->vmentry - before->vmentry);
}

/* The log of the third CPUID; the first two bring everything into place. */
static bool play_logged(const struct variant *variant, struct vmx_log *log) {
  struct guest guest;
  const struct nst_observer observer = {
      .context = log, .exit = note_exit, .entry = note_entry, .vmx = note_vmx};
  *log = (struct vmx_log){0};
  bool open = guest_open(&guest, variant);
  for (unsigned i = 0; open && i < 3; i++) {
    if (i == 2) nst_observe(guest.machine, &observer);
    const struct nst_counters before = nst_counters(guest.cpu);
    guest_play(&guest, "CPUID", &cpuid);
    const struct nst_counters after = nst_counters(guest.cpu);
    if (i == 2) expect_all_told(log, &before, &after);
  }
  guest_close(&guest);
  return open && EXPECT_TRUE("fits", log->count < LOG_LIMIT);
}

/* Level 1's instructions of a CPUID round, ANCHORS A0: seven VMREADs, one VMWRITE, VMRESUME. */
static void expect_level_1(const struct vmx_log *log, bool exits) {
  static const uint32_t fields[] = {NST_FIELD_VM_EXIT_REASON,
                                    NST_FIELD_IDT_VECTORING_INFO_FIELD,
                                    NST_FIELD_GUEST_PML_INDEX,
                                    NST_FIELD_GUEST_RFLAGS,
                                    NST_FIELD_VM_EXIT_INSTRUCTION_LEN,
                                    NST_FIELD_GUEST_RIP,
                                    NST_FIELD_GUEST_INTERRUPTIBILITY_INFO,
                                    NST_FIELD_GUEST_RIP};
  unsigned at = 0;
  for (unsigned i = 0; i < log->count; i++) {
    const struct nst_vmx_event *event = &log->event[i];
    if (event->root) {
      EXPECT_TRUE("nothing that L0 executes exits or fails", !event->exits && !event->failed);
      continue;
    }
    bool last = at == 8;
    EXPECT_EQ("instruction", event->instruction,
              last      ? NST_EXIT_VMRESUME
              : at == 7 ? NST_EXIT_VMWRITE
                        : NST_EXIT_VMREAD);
    if (!last && at < 8) EXPECT_EQ("field", event->field, fields[at]);
    EXPECT_EQ("exits", event->exits, last || exits);
    if (at == 0 && !exits) EXPECT_EQ("value read", event->value, NST_EXIT_CPUID);
    at++;
  }
  EXPECT_EQ("instructions of level 1", at, 9);
}

static void each_instruction_of_a_round_is_told_once(void) {
  struct vmx_log log;
  for (unsigned off = 0; off < 2; off++) {
    const struct variant variant = {.depth = 2, .profile = "kvm-6.1", .no_shadowing = off};
    if (!play_logged(&variant, &log)) continue;
    expect_level_1(&log, off);
    EXPECT_EQ("exits of the round", log.exits, off ? 11 : 3);
    EXPECT_EQ("entries of the round", log.entries, log.exits);
  }
}

static void observing_changes_nothing(void) {
  struct vmx_log log;
  const struct variant variant = {.depth = 2, .profile = "kvm-6.1"};
  struct guest watched = {0}, alone = {0};
  const struct nst_observer observer = {.context = &log, .vmx = note_vmx};
  log.count = 0;
  if (guest_open(&watched, &variant) && guest_open(&alone, &variant)) {
    nst_observe(watched.machine, &observer);
    for (unsigned i = 0; i < 5; i++) {
      EXPECT_EQ("exits", guest_play(&watched, "CPUID", &cpuid),
                guest_play(&alone, "CPUID", &cpuid));
    }
    EXPECT_EQ("state", player_hash(&watched.player), player_hash(&alone.player));
    EXPECT_TRUE("was told", log.count > 5 * 9);
    unsigned told = log.count;
    nst_unobserve(watched.machine, &log);
    guest_play(&watched, "CPUID", &cpuid);
    EXPECT_EQ("not told after detaching", log.count, told);
  }
  guest_close(&watched);
  guest_close(&alone);
}

CU_TestInfo hypervisor_observe_tests[] = {
    {"each_instruction_of_a_round_is_told_once", each_instruction_of_a_round_is_told_once},
    {"observing_changes_nothing", observing_changes_nothing},
    CU_TEST_INFO_NULL,
};
