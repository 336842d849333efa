/* SPDX-License-Identifier: MIT
 * EPT on EPT: what a nested guest reads and writes is its own memory, whoever composes the tables;
 * and what its hypervisor changes in its EPT is seen after INVEPT. */
#include <string.h>

#include "test/test_hypervisor_stack.h"

enum { TOUCHES = 120, FIRST_PAGE = 0x100, PAGES = 0x300 };

/* ---- random touches */

static uint64_t random_touches(const struct variant *variant) {
  struct guest guest;
  uint64_t hash = 0, random = 12345;
  char text[96];
  variant_text(variant, text, sizeof text);
  if (guest_open(&guest, variant)) {
    for (unsigned i = 0; i < TOUCHES; i++) {
      random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
      const struct trace_event touch = {
          .kind = TRACE_MEM_TOUCH,
          .level = 1,
          .flags = TRACE_HAS_A | TRACE_HAS_B,
          .a = (FIRST_PAGE + (random >> 33) % PAGES) << 12 | (random >> 20 & 0xff8),
          .b = UINT64_C(1) << (random >> 50) % 3}; /* read, write or fetch */
      guest_play(&guest, text, &touch);
    }
    hash = player_hash(&guest.player);
  }
  guest_close(&guest);
  return hash;
}

static void random_touches_leave_the_same_memory(void) {
  const struct variant flat = {.depth = 1, .profile = "kvm-6.1"};
  uint64_t expected = random_touches(&flat);
  EXPECT_TRUE("played", expected != 0);
  for (unsigned depth = 1; depth <= 3; depth++)
    for (unsigned number = 0; number < 8; number++) {
      const struct variant variant = {.depth = depth,
                                      .profile = number & 4 ? "minimal" : "kvm-6.1",
                                      .eager = number & 1,
                                      .no_tlb = number >> 1 & 1};
      char text[96];
      EXPECT_EQ(variant_text(&variant, text, sizeof text), random_touches(&variant), expected);
    }
}

/* ---- a guest hypervisor that the test drives: its EPT, in its own memory, linear = physical */

enum { WORD = 0x300000, TARGET_A = 0x200000, TARGET_B = 0x400000 };

struct driven {
  struct nst_machine *machine;
  struct nst_cpu *cpu;
  unsigned level; /* that the test drives */
};

/* Reads WORD into RAX and exits, forever. */
static const uint8_t reader[] = {0x48, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x30, 0x00, /* MOV RAX, */
                                 0x0f, 0x01, 0xc1,                               /* VMCALL */
                                 0xeb, 0xf3};                                    /* JMP */
/* Writes RBX there. */
static const uint8_t writer[] = {0x48, 0x89, 0x1c, 0x25, 0x00, 0x00, 0x30,
                                 0x00, 0x0f, 0x01, 0xc1, 0xeb, 0xf3};

static bool drive(struct driven *driven, unsigned depth, const uint8_t *code, size_t size) {
  struct nst_config config;
  struct nst_stack_config stack;
  nst_config_init(&config);
  nst_stack_config_init(&stack);
  config.processor = "broadwell-pml";
  stack.depth = depth;
  stack.driven = true;
  stack.guest_memory = GUEST_MEMORY;
  *driven = (struct driven){.level = depth - 1};
  if (!EXPECT_EQ("boots", nst_stack_create(&driven->machine, &config, &stack), NST_OK))
    return false;
  driven->cpu = nst_cpu(driven->machine, 0);
  return EXPECT_EQ("prepares", nst_guest_prepare(driven->cpu, depth, code, size), NST_OK) &&
         EXPECT_EQ("launches", nst_vmlaunch(driven->cpu), NST_VMX_SUCCEED);
}

static uint64_t field(struct driven *driven, uint32_t encoding) {
  uint64_t value = 0;
  EXPECT_EQ("VMREAD", nst_vmread(driven->cpu, encoding, &value), NST_VMX_SUCCEED);
  return value;
}

/* Runs to the next exit to the driven level. */
static uint32_t run(struct driven *driven) {
  struct nst_stop stop = {NST_STOP_NONE, 0, 0};
  nst_run(driven->cpu, 1 << 16, &stop);
  EXPECT_EQ("stops at an exit", stop.kind, NST_STOP_EXIT);
  EXPECT_EQ("reason", stop.reason, field(driven, NST_FIELD_VM_EXIT_REASON));
  return stop.reason;
}

static void resume(struct driven *driven) {
  EXPECT_EQ("VMRESUME", nst_vmresume(driven->cpu), NST_VMX_SUCCEED);
}

static void skip(struct driven *driven) {
  nst_vmwrite(
      driven->cpu, NST_FIELD_GUEST_RIP,
      field(driven, NST_FIELD_GUEST_RIP) + field(driven, NST_FIELD_VM_EXIT_INSTRUCTION_LEN));
}

/* Address of the level-1 entry of an address in the guest hypervisor's EPT, tables made as needed
 * from pages at `spare`. */
static uint64_t leaf_slot(struct driven *driven, uint64_t address, uint64_t spare) {
  uint64_t table = field(driven, NST_FIELD_EPT_POINTER);
  for (unsigned level = 4; level > 1; level--) {
    uint64_t slot =
        (table & UINT64_C(0xffffffffff000)) + 8 * (address >> (12 + 9 * (level - 1)) & 511);
    table = nst_load(driven->cpu, slot, 8);
    if (!(table & 7)) {
      table = spare | 7;
      nst_store(driven->cpu, slot, 8, table);
      spare += 0x1000;
    }
  }
  return (table & UINT64_C(0xffffffffff000)) + 8 * (address >> 12 & 511);
}

enum { LEAF = 7 | 6 << 3, SPARE = 0x3800000, ALL_CONTEXTS = 2, SINGLE_CONTEXT = 1 };

static void expect_invept_shows(unsigned depth, unsigned type) {
  struct driven driven;
  if (drive(&driven, depth, reader, sizeof reader)) {
    struct nst_cpu *cpu = driven.cpu;
    EXPECT_EQ("nothing mapped yet", run(&driven), NST_EXIT_EPT_VIOLATION);
    EXPECT_EQ("where", field(&driven, NST_FIELD_GUEST_PHYSICAL_ADDRESS), WORD);
    uint64_t slot = leaf_slot(&driven, WORD, SPARE);
    uint64_t a = HV_CHILD_BASE + TARGET_A, b = HV_CHILD_BASE + TARGET_B;
    nst_store(cpu, a, 8, 0xaaaa);
    nst_store(cpu, b, 8, 0xbbbb);
    nst_store(cpu, slot, 8, a | LEAF);
    resume(&driven);
    EXPECT_EQ("reads", run(&driven), NST_EXIT_VMCALL);
    EXPECT_EQ("the first page", nst_guest_gpr(cpu)[NST_REG_RAX], 0xaaaa);
    nst_store(cpu, slot, 8, b | LEAF);
    EXPECT_EQ("INVEPT", nst_invept(cpu, type, field(&driven, NST_FIELD_EPT_POINTER)),
              NST_VMX_SUCCEED);
    skip(&driven);
    resume(&driven);
    EXPECT_EQ("reads again", run(&driven), NST_EXIT_VMCALL);
    EXPECT_EQ("the second page", nst_guest_gpr(cpu)[NST_REG_RAX], 0xbbbb);
  }
  nst_machine_destroy(driven.machine);
}

static void changed_mapping_is_seen_after_invept(void) {
  for (unsigned depth = 1; depth <= 3; depth++) {
    expect_invept_shows(depth, SINGLE_CONTEXT);
    expect_invept_shows(depth, ALL_CONTEXTS);
  }
}

static void removed_mapping_exits_after_invept(void) {
  for (unsigned depth = 1; depth <= 3; depth++) {
    struct driven driven;
    if (drive(&driven, depth, reader, sizeof reader)) {
      run(&driven);
      uint64_t slot = leaf_slot(&driven, WORD, SPARE);
      nst_store(driven.cpu, slot, 8, (HV_CHILD_BASE + TARGET_A) | LEAF);
      resume(&driven);
      EXPECT_EQ("reads", run(&driven), NST_EXIT_VMCALL);
      nst_store(driven.cpu, slot, 8, 0);
      nst_invept(driven.cpu, ALL_CONTEXTS, 0);
      skip(&driven);
      resume(&driven);
      EXPECT_EQ("faults", run(&driven), NST_EXIT_EPT_VIOLATION);
    }
    nst_machine_destroy(driven.machine);
  }
}

/* Emulated by the level below: the guest hypervisor finds the flags in its table and the page in
 * its log. The processor itself has no page-modification logging yet, hence no depth 1. */
static void write_sets_accessed_and_dirty_and_is_logged(void) {
  enum { LOG = 0x3900000, ACCESSED = 1 << 8, DIRTY = 1 << 9, TRACK = 1 << 6 };
  for (unsigned depth = 2; depth <= 3; depth++) {
    struct driven driven;
    if (drive(&driven, depth, writer, sizeof writer)) {
      struct nst_cpu *cpu = driven.cpu;
      run(&driven);
      uint64_t slot = leaf_slot(&driven, WORD, SPARE);
      nst_store(cpu, slot, 8, (HV_CHILD_BASE + TARGET_A) | LEAF);
      uint64_t eptp = field(&driven, NST_FIELD_EPT_POINTER) | TRACK;
      uint64_t controls =
          field(&driven, NST_FIELD_SECONDARY_VM_EXEC_CONTROL) | VMCS_BIT(SECONDARY_EXEC_ENABLE_PML);
      nst_vmwrite(cpu, NST_FIELD_EPT_POINTER, eptp);
      nst_vmwrite(cpu, NST_FIELD_SECONDARY_VM_EXEC_CONTROL, controls);
      nst_vmwrite(cpu, NST_FIELD_PML_ADDRESS, LOG);
      nst_vmwrite(cpu, NST_FIELD_GUEST_PML_INDEX, 511);
      nst_guest_gpr(cpu)[NST_REG_RBX] = 0x5555;
      resume(&driven);
      EXPECT_EQ("writes", run(&driven), NST_EXIT_VMCALL);
      EXPECT_EQ("value", nst_load(cpu, HV_CHILD_BASE + TARGET_A, 8), 0x5555);
      EXPECT_EQ("flags", nst_load(cpu, slot, 8) & (ACCESSED | DIRTY), ACCESSED | DIRTY);
      uint64_t index = field(&driven, NST_FIELD_GUEST_PML_INDEX);
      EXPECT_TRUE("logged", index < 511);
      bool found = false;
      for (uint64_t i = index + 1; i <= 511; i++) found |= nst_load(cpu, LOG + 8 * i, 8) == WORD;
      EXPECT_TRUE("the page is in the log", found);
    }
    nst_machine_destroy(driven.machine);
  }
}

extern CU_TestInfo hypervisor_nested_ept_tests[];
CU_TestInfo hypervisor_nested_ept_tests[] = {
    {"random_touches_leave_the_same_memory", random_touches_leave_the_same_memory},
    {"changed_mapping_is_seen_after_invept", changed_mapping_is_seen_after_invept},
    {"removed_mapping_exits_after_invept", removed_mapping_exits_after_invept},
    {"write_sets_accessed_and_dirty_and_is_logged", write_sets_accessed_and_dirty_and_is_logged},
    CU_TEST_INFO_NULL};
