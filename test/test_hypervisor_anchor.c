/* SPDX-License-Identifier: MIT
 * Exits per operation against the recordings of real KVM 6.1: how many, and in which order. The
 * expectations are read from traces/recorded/profile-kvm-6.1.tsv; nothing under src reads it. */
#include <string.h>

#include "src/hypervisor/hv.h"
#include "test/test_hypervisor_recorded.h"

#define PROFILE_TABLE "traces/recorded/profile-kvm-6.1.tsv"

enum { TOUCH = 0x100000 };

/* ---- the operations */

/* XSETBV comes last: before it the guest switches OSXSAVE on, and its first XSETBV gives it the
 * XCR0 that its hypervisor has, as in the recording. */
static const struct operation operations[] = {
    {"CPUID", "cpuid", EVENT(CPUID, .a = 1), 0, 0},
    {"MSR_READ", "rdmsr 0x1b", EVENT(RDMSR, .a = 0x1b), 0, 0},
    {"MSR_WRITE", "wrmsr 0x277", EVENT(WRMSR, .a = 0x277, .b = 0x0007040600070406), 0, 0},
    {"VMCALL", "vmcall", EVENT(VMCALL, .a = 1), 0, 0},
    {"CR_ACCESS", "CR0.MP toggled", EVENT(MOV_TO_CR, .a = 0, .b = 0x80010033), 0, 2},
    {"CR_ACCESS", "CR4.MCE toggled", EVENT(MOV_TO_CR, .a = 4, .b = 0xa0), 0, 0x40},
    {"WBINVD", "wbinvd", EVENT(WBINVD, .a = 0), 0, 0},
    {"IO_INSTRUCTION", "out 0x21", EVENT(IO_OUT, .a = 0x21, .b = 1, .c = 0xff, .d = 1), 0, 0},
    {"IO_INSTRUCTION", "out 0x80", EVENT(IO_OUT, .a = 0x80, .b = 1, .c = 5, .d = 1), 0, 0},
    {"IO_INSTRUCTION", "in 0x61", EVENT(IO_IN, .a = 0x61, .b = 1, .d = 1), 0, 0},
    {"EPT_MISCONFIG", "mmio store 0xd8000000", EVENT(MMIO_WRITE, .a = 0xd8000000, .b = 4), 0, 0},
    {"EPT_MISCONFIG", "mmio load 0xd8000004", EVENT(MMIO_READ, .a = 0xd8000004, .b = 4), 0, 0},
    {"XSETBV", "xsetbv", EVENT(XSETBV, .a = 0, .b = 7), 0, 0},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static struct variant kvm(unsigned depth, bool shadowing) {
  return (struct variant){.depth = depth, .profile = "kvm-6.1", .no_shadowing = !shadowing};
}

/* ---- how many */

static void expect_recorded_exits(bool shadowing) {
  struct variant variant = kvm(2, shadowing);
  struct guest guest;
  if (guest_open(&guest, &variant))
    for (unsigned i = 0; i < OPERATIONS; i++) {
      struct recorded recorded;
      if (read_recorded(&recorded, PROFILE_TABLE, operations[i].reason, operations[i].recorded))
        expect_rounds(&guest, &operations[i], recorded.exits[shadowing]);
    }
  guest_close(&guest);
}

static void depth_2_with_shadowing_exits_as_recorded(void) {
  expect_recorded_exits(true);
}

static void depth_2_without_shadowing_exits_as_recorded(void) {
  expect_recorded_exits(false);
}

/* What one operation costs beside its first reflected exit: L0 itself lends the debug registers and
 * lets the guest try again; of an access to the local APIC both exits are reflected. */
static const struct twice {
  struct operation operation;
  unsigned more[2]; /* without and with shadowing */
} twice[] = {
    {{"DR_ACCESS", "DR0 write then cpuid", EVENT(MOV_DR, .a = 0, .b = 0x1000), 0, 0}, {1, 1}},
    {{"EPT_VIOLATION", "LAPIC load 0xfee00030", EVENT(APIC_READ, .a = 0x30), 0, 0}, {24, 10}},
};

static void instruction_that_is_tried_again_costs_both_exits(void) {
  const struct trace_event cpuid = EVENT(CPUID, .a = 1);
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    struct variant variant = kvm(2, shadowing);
    struct guest guest;
    if (guest_open(&guest, &variant))
      for (unsigned i = 0; i < sizeof twice / sizeof twice[0]; i++) {
        const struct operation *operation = &twice[i].operation;
        struct recorded recorded;
        if (!read_recorded(&recorded, PROFILE_TABLE, operation->reason, operation->recorded))
          continue;
        for (unsigned round = 0; round < ROUNDS; round++) {
          uint64_t found = guest_play(&guest, operation->recorded, &operation->event);
          guest_play(&guest, "CPUID", &cpuid);
          EXPECT_EQ(operation->recorded, found,
                    recorded.exits[shadowing] + twice[i].more[shadowing]);
        }
      }
    EXPECT_EQ("unlisted", guest_unlisted(&guest), 0);
    guest_close(&guest);
  }
}

static void halted_guest_waits_for_its_timer_as_recorded(void) {
  const struct trace_event hlt = EVENT(HLT, .a = 0);
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    struct variant variant = kvm(2, shadowing);
    struct recorded recorded;
    struct guest guest;
    if (guest_open(&guest, &variant) &&
        read_recorded(&recorded, PROFILE_TABLE, "HLT", "hlt until PIT tick")) {
      guest_program_timer(&guest);
      for (unsigned round = 0; round < ROUNDS; round++)
        EXPECT_EQ("HLT", guest_play(&guest, "HLT", &hlt), recorded.exits[shadowing]);
      EXPECT_EQ("unlisted", guest_unlisted(&guest), 0);
    }
    guest_close(&guest);
  }
}

/* The nested guest runs when L0's timer fires, and that of L1 is due too: L1 reads what came, its
 * kernel serves PIC and PIT at six ports, and it resumes; as recorded with ept=0, and one VMREAD of
 * the PML index more. */
static void timer_of_the_guest_hypervisor_is_reflected(void) {
  const struct trace_event cpuid = EVENT(CPUID, .a = 1);
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    struct variant variant = kvm(2, shadowing);
    struct guest guest;
    if (guest_open(&guest, &variant)) {
      uint64_t alone = guest_play(&guest, "CPUID", &cpuid);
      nst_raise_interrupt(guest.cpu, HV_TIMER_VECTOR);
      EXPECT_EQ("CPUID and a timer interrupt", guest_play(&guest, "CPUID", &cpuid),
                alone + (shadowing ? 9 : 13));
      nst_raise_interrupt(guest.cpu, 0xec);
      EXPECT_EQ("an interrupt that L0 keeps", guest_play(&guest, "CPUID", &cpuid), alone + 1);
      EXPECT_EQ("unlisted", guest_unlisted(&guest), 0);
    }
    guest_close(&guest);
  }
}

static void depth_1_exits_once(void) {
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    struct variant variant = kvm(1, shadowing);
    struct guest guest;
    if (guest_open(&guest, &variant))
      for (unsigned i = 0; i < OPERATIONS; i++) expect_rounds(&guest, &operations[i], 1);
    guest_close(&guest);
  }
}

/* A step of the recorded round that is L0 backing L1's page: state causes it, not the profile. */
static unsigned backing_exits(const struct recorded *recorded) {
  unsigned count = 0;
  for (unsigned i = 0; i < recorded->steps; i++)
    count += !strcmp(recorded->step[i].operation, "EXIT") &&
             !strncmp(recorded->step[i].field, "EPT_VIOLATION", 13);
  return count;
}

/* Here L0 has backed L1 beforehand; the retry of the nested guest is the exit that L0 keeps. */
static void first_touch_exits_as_recorded_and_once_more(void) {
  struct recorded recorded;
  if (!read_recorded(&recorded, PROFILE_TABLE, "EPT_VIOLATION", "first touch of a page")) return;
  unsigned backing = backing_exits(&recorded);
  EXPECT_EQ("steps of the recorded round in which L0 backs L1's page", backing, 1);
  const struct operation touch = {NULL, "first touch of a page",
                                  EVENT(MEM_TOUCH, .a = TOUCH, .b = 2), 0x1000, 0};
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    struct variant variant = kvm(2, shadowing);
    struct guest guest;
    if (guest_open(&guest, &variant))
      expect_rounds(&guest, &touch, recorded.exits[shadowing] - backing + 1);
    guest_close(&guest);
  }
}

static void second_touch_does_not_exit(void) {
  for (unsigned depth = 1; depth <= 3; depth++) {
    struct variant variant = kvm(depth, true);
    struct guest guest;
    struct trace_event event = EVENT(MEM_TOUCH, .a = TOUCH, .b = 2);
    if (guest_open(&guest, &variant)) {
      EXPECT_TRUE("first", guest_play(&guest, "first touch", &event) >= depth);
      EXPECT_EQ("second", guest_play(&guest, "second touch", &event), 0);
    }
    guest_close(&guest);
  }
}

/* The recording's README: with another XCR0 than its hypervisor's, two XSETBV more a round. */
static void another_xcr0_costs_two_exits_more(void) {
  struct variant variant = kvm(2, true);
  struct guest guest;
  struct recorded recorded;
  const struct trace_event cpuid = EVENT(CPUID, .a = 1), xsetbv = EVENT(XSETBV, .a = 0, .b = 7);
  if (guest_open(&guest, &variant) && read_recorded(&recorded, PROFILE_TABLE, "CPUID", "cpuid")) {
    EXPECT_EQ("OSXSAVE off", guest_play(&guest, "CPUID", &cpuid), recorded.exits[1]);
    guest_play(&guest, "OSXSAVE", &osxsave);
    EXPECT_EQ("XCR0 = 1", guest_play(&guest, "CPUID", &cpuid), recorded.exits[1] + 2);
    guest_play(&guest, "XSETBV", &xsetbv);
    EXPECT_EQ("XCR0 = 7", guest_play(&guest, "CPUID", &cpuid), recorded.exits[1]);
  }
  guest_close(&guest);
}

/* ---- a VMCS in memory: Turtles' loads and stores in place of VMREAD and VMWRITE */

/* Exits of one CPUID, beside what no VMCS access of the innermost guest hypervisor explains. */
static uint64_t cpuid_exits(unsigned depth, enum nst_vmcs_access access, bool shadowing) {
  struct variant variant = kvm(depth, shadowing);
  struct guest guest;
  uint64_t exits = 0;
  const struct trace_event cpuid = EVENT(CPUID, .a = 1);
  variant.access = access;
  if (guest_open(&guest, &variant)) {
    guest_play(&guest, "CPUID", &cpuid);
    uint64_t unlisted = guest_unlisted(&guest);
    exits = guest_play(&guest, "CPUID", &cpuid);
    EXPECT_EQ("unlisted", guest_unlisted(&guest), unlisted);
  }
  guest_close(&guest);
  return exits;
}

static void vmcs_in_memory_costs_no_more_exits_than_shadowing(void) {
  for (unsigned depth = 2; depth <= 4; depth++) {
    uint64_t shadow = cpuid_exits(depth, NST_VMCS_ACCESS_SHADOW, true);
    uint64_t trap = cpuid_exits(depth, NST_VMCS_ACCESS_TRAP, true);
    uint64_t memory = cpuid_exits(depth, NST_VMCS_ACCESS_MEMORY, true);
    char what[48];
    snprintf(what, sizeof what, "CPUID at depth %u", depth);
    printf("%s: %llu exits by trap, %llu by shadow VMCS, %llu in memory\n", what,
           (unsigned long long)trap, (unsigned long long)shadow, (unsigned long long)memory);
    EXPECT_TRUE(what, memory && memory <= shadow && shadow < trap);
    EXPECT_EQ(what, cpuid_exits(depth, NST_VMCS_ACCESS_MEMORY, false), memory);
    if (depth == 2) EXPECT_EQ(what, memory, shadow); /* the exit, IA32_DEBUGCTL, VMRESUME */
    if (depth > 2) EXPECT_TRUE(what, 2 * memory < shadow);
  }
}

/* ---- in which order */

static void guest_hypervisor_executes_in_recorded_order(void) {
  struct variant variant = kvm(2, false);
  struct guest guest;
  if (guest_open(&guest, &variant))
    for (unsigned i = 0; i < OPERATIONS; i++) expect_order(&guest, PROFILE_TABLE, &operations[i]);
  guest_close(&guest);
}

extern CU_TestInfo hypervisor_anchor_tests[];
CU_TestInfo hypervisor_anchor_tests[] = {
    {"depth_2_with_shadowing_exits_as_recorded", depth_2_with_shadowing_exits_as_recorded},
    {"depth_2_without_shadowing_exits_as_recorded", depth_2_without_shadowing_exits_as_recorded},
    {"instruction_that_is_tried_again_costs_both_exits",
     instruction_that_is_tried_again_costs_both_exits},
    {"halted_guest_waits_for_its_timer_as_recorded", halted_guest_waits_for_its_timer_as_recorded},
    {"timer_of_the_guest_hypervisor_is_reflected", timer_of_the_guest_hypervisor_is_reflected},
    {"depth_1_exits_once", depth_1_exits_once},
    {"first_touch_exits_as_recorded_and_once_more", first_touch_exits_as_recorded_and_once_more},
    {"second_touch_does_not_exit", second_touch_does_not_exit},
    {"another_xcr0_costs_two_exits_more", another_xcr0_costs_two_exits_more},
    {"vmcs_in_memory_costs_no_more_exits_than_shadowing",
     vmcs_in_memory_costs_no_more_exits_than_shadowing},
    {"guest_hypervisor_executes_in_recorded_order", guest_hypervisor_executes_in_recorded_order},
    CU_TEST_INFO_NULL};
