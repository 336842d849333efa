/* SPDX-License-Identifier: MIT
 * What the profiles read and write for one exit, counted by the processor, beside what was
 * published of those hypervisors. The counts are expectations; no table under src was made from
 * them. */
#include "test/test_hypervisor_stack.h"

#define ARGUMENTS (TRACE_HAS_A | TRACE_HAS_B | TRACE_HAS_C | TRACE_HAS_D)
#define EVENT(kind_name, ...) \
  { .kind = TRACE_##kind_name, .level = 1, .flags = ARGUMENTS, __VA_ARGS__ }

enum { ROUNDS = 3 };

static const struct operation {
  const char *name;
  struct trace_event event;
} operations[] = {
    {"CPUID", EVENT(CPUID, .a = 1)},
    {"RDMSR", EVENT(RDMSR, .a = 0x1b)},
    {"HLT", EVENT(HLT, .a = 0)},
    {"I/O in the kernel", EVENT(IO_OUT, .a = 0x21, .b = 1, .c = 0xff, .d = 1)},
    {"I/O to user space", EVENT(IO_OUT, .a = 0x80, .b = 1, .c = 5, .d = 1)},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0], USER_IO = OPERATIONS - 1 };

/* What one operation takes of the hypervisor at L0; the first rounds set things up. */
struct taken {
  struct nst_counters counters;
  uint64_t unlisted;
};

static struct taken take(struct guest *guest, const struct operation *operation) {
  struct nst_counters before = {0}, after;
  uint64_t unlisted = 0;
  for (unsigned round = 0; round < ROUNDS; round++) {
    before = nst_counters(guest->cpu);
    unlisted = nst_unlisted(guest->cpu, 0);
    guest_play(guest, operation->name, &operation->event);
  }
  after = nst_counters(guest->cpu);
  return (struct taken){{.vmread = after.vmread - before.vmread,
                         .vmwrite = after.vmwrite - before.vmwrite,
                         .vmentry = after.vmentry - before.vmentry,
                         .rdmsr = after.rdmsr - before.rdmsr,
                         .exits = after.exits - before.exits},
                        nst_unlisted(guest->cpu, 0) - unlisted};
}

/* Published for whole systems: HAXM 32 to 33 reads and 21 to 23 writes an exit, KVM of 2018 6 to 10
 * and 2 to 6 (HAXM's pull request 130). By their sources KVM 6.1 and 6.12 write the RIP and nothing
 * else for most exits, so for them the 2 is no bound. KVM 2.6.34 is older; what it writes on its
 * way to user space and back is no part of any published range. */
static const struct range {
  const char *profile;
  unsigned reads[2], writes[2], writes_user[2];
} ranges[] = {{"kvm-6.1", {6, 10}, {1, 6}, {1, 6}},
              {"kvm-6.12", {6, 10}, {1, 6}, {1, 6}},
              {"kvm-2.6.34", {6, 10}, {2, 6}, {2, 12}},
              {"haxm-2018", {32, 33}, {21, 23}, {21, 23}}};

static void reads_and_writes_per_exit_are_as_published(void) {
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    struct variant variant = {.depth = 1, .profile = ranges[i].profile};
    struct guest guest;
    if (guest_open(&guest, &variant))
      for (unsigned j = 0; j < OPERATIONS; j++) {
        const unsigned *writes = j == USER_IO ? ranges[i].writes_user : ranges[i].writes;
        struct taken taken = take(&guest, &operations[j]);
        char what[64];
        snprintf(what, sizeof what, "%s, %s", ranges[i].profile, operations[j].name);
        EXPECT_TRUE(what, taken.counters.vmread >= ranges[i].reads[0] &&
                              taken.counters.vmread <= ranges[i].reads[1]);
        EXPECT_TRUE(what,
                    taken.counters.vmwrite >= writes[0] && taken.counters.vmwrite <= writes[1]);
        EXPECT_EQ(what, taken.counters.exits, 1);
        EXPECT_EQ(what, taken.counters.vmentry, 1);
        EXPECT_EQ(what, taken.unlisted, 0);
      }
    guest_close(&guest);
  }
}

/* Exits of one operation, L1's unlisted accesses being 0. */
static uint64_t exits_of(const char *profile, bool shadowing, const struct operation *operation) {
  struct variant variant = {.depth = 2, .profile = profile, .no_shadowing = !shadowing};
  struct guest guest;
  uint64_t exits = 0;
  if (guest_open(&guest, &variant)) {
    for (unsigned round = 0; round < ROUNDS; round++)
      exits = guest_play(&guest, operation->name, &operation->event);
    EXPECT_EQ(operation->name, nst_unlisted(guest.cpu, 1), 0);
  }
  guest_close(&guest);
  return exits;
}

/* By its source: the exit and VMRESUME; 8 to 11 exits without shadowing, by how many features there
 * are. The one for IA32_DEBUGCTL that kvm-6.1 has is not in v6.12. */
static void kvm_6_12_reflects_a_cpuid_in_two_exits(void) {
  EXPECT_EQ("shadowing", exits_of("kvm-6.12", true, &operations[0]), 2);
  uint64_t without = exits_of("kvm-6.12", false, &operations[0]);
  EXPECT_TRUE("no shadowing", without >= 8 && without <= 13);
  EXPECT_EQ("kvm-6.1 and its IA32_DEBUGCTL", exits_of("kvm-6.1", true, &operations[0]), 2 + 1);
}

/* Published: 31 exits more for a port access that L1's user space completes, 40 to 50 for an exit
 * in general. What the source shows stays below; no operation is invented to close the gap. */
static void kvm_2_6_34_stays_below_what_was_published(void) {
  uint64_t io = exits_of("kvm-2.6.34", false, &operations[USER_IO]);
  uint64_t cpuid = exits_of("kvm-2.6.34", false, &operations[0]);
  printf(
      "kvm-2.6.34: a port access to user space costs %llu exits more (published: 31), a CPUID "
      "%llu (published for any exit: 40 to 50)\n",
      (unsigned long long)(io - 1), (unsigned long long)(cpuid - 1));
  EXPECT_TRUE("port access", io - 1 <= 31 && io > exits_of("kvm-6.1", false, &operations[USER_IO]));
  EXPECT_TRUE("CPUID", cpuid < io && cpuid > exits_of("kvm-6.1", false, &operations[0]));
}

static void kvm_2_6_34_offers_no_shadowing(void) {
  for (unsigned i = 0; i < OPERATIONS; i++)
    EXPECT_EQ(operations[i].name, exits_of("kvm-2.6.34", true, &operations[i]),
              exits_of("kvm-2.6.34", false, &operations[i]));
}

/* Its VMXOFF and VMXON of every exit, its MSRs and debug registers exit as well. */
static void haxm_below_kvm_costs_more_than_kvm_below_kvm(void) {
  struct variant variant = {.depth = 2, .profile = "kvm-6.1", .innermost = "haxm-2018"};
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    struct guest guest;
    variant.no_shadowing = !shadowing;
    uint64_t kvm = exits_of("kvm-6.1", shadowing, &operations[0]), haxm = 0;
    if (guest_open(&guest, &variant)) haxm = guest_play(&guest, "CPUID", &operations[0].event);
    guest_close(&guest);
    EXPECT_TRUE("haxm-2018 below kvm-6.1", haxm > 4 * kvm);
  }
}

static void haxm_is_refused_as_a_nesting_hypervisor(void) {
  struct nst_config config;
  struct nst_stack_config stack;
  struct nst_machine *machine = NULL;
  nst_config_init(&config);
  nst_stack_config_init(&stack);
  stack.depth = 2;
  stack.profile[0] = "haxm-2018";
  EXPECT_EQ("haxm-2018 at L0", nst_stack_create(&machine, &config, &stack), NST_E_INVAL);
  EXPECT_TRUE("no machine", machine == NULL);
  EXPECT_STRING("why", nst_stack_refusal(&stack),
                "haxm-2018 does not nest: it can only be the innermost hypervisor");
  stack.depth = 1;
  EXPECT_TRUE("alone", nst_stack_refusal(&stack) == NULL);
}

/* What the guest finds after it halted until its timer woke it, and was interrupted. */
static uint64_t timed(const struct variant *variant) {
  struct guest guest;
  uint64_t hash = 0;
  char text[96];
  variant_text(variant, text, sizeof text);
  if (guest_open(&guest, variant)) {
    guest_program_timer(&guest);
    for (unsigned round = 0; round < ROUNDS; round++) {
      guest_play(&guest, text, &operations[2].event);
      nst_raise_interrupt(guest.cpu, HV_TIMER_VECTOR);
      guest_play(&guest, text, &operations[0].event);
    }
    for (unsigned reg = 0; reg <= NST_REG_CR4; reg++)
      hash = hash * 31 + nst_reg_read(guest.cpu, (enum nst_reg)reg);
    hash ^= player_hash(&guest.player);
  }
  guest_close(&guest);
  return hash;
}

static void timer_wakes_and_interrupts_below_every_profile(void) {
  const struct variant reference = {.depth = 1, .profile = "kvm-6.1"};
  uint64_t expected = timed(&reference);
  for (unsigned i = 0; hv_profile_at(i); i++)
    for (unsigned number = 0; number < 9; number++) {
      const struct hv_profile *profile = hv_profile_at(i);
      struct variant variant = {.depth = 1 + number % 3,
                                .profile = profile->flat ? "kvm-6.1" : profile->name,
                                .innermost = profile->name,
                                .access = (enum nst_vmcs_access)(number / 3)};
      char text[96];
      EXPECT_EQ(variant_text(&variant, text, sizeof text), timed(&variant), expected);
    }
}

extern CU_TestInfo hypervisor_habit_tests[];
CU_TestInfo hypervisor_habit_tests[] = {
    {"reads_and_writes_per_exit_are_as_published", reads_and_writes_per_exit_are_as_published},
    {"kvm_6_12_reflects_a_cpuid_in_two_exits", kvm_6_12_reflects_a_cpuid_in_two_exits},
    {"kvm_2_6_34_stays_below_what_was_published", kvm_2_6_34_stays_below_what_was_published},
    {"kvm_2_6_34_offers_no_shadowing", kvm_2_6_34_offers_no_shadowing},
    {"haxm_below_kvm_costs_more_than_kvm_below_kvm", haxm_below_kvm_costs_more_than_kvm_below_kvm},
    {"timer_wakes_and_interrupts_below_every_profile",
     timer_wakes_and_interrupts_below_every_profile},
    {"haxm_is_refused_as_a_nesting_hypervisor", haxm_is_refused_as_a_nesting_hypervisor},
    CU_TEST_INFO_NULL};
