/* SPDX-License-Identifier: MIT
 * A hypervisor that copies only what changed (minimal) and one that copies what its rows list
 * (kvm-6.1) offer the same processor: a guest hypervisor that does the same things at random to its
 * VMCSs sees the same fields and the same exits above either. */
#include <stdio.h>
#include <string.h>

#include "src/nestor.h"
#include "test/expect.h"
#include "vmcs/field.h"

enum { SEEDS = 12, STEPS = 60, OWN_REGION = 0xe000, SECOND_REGION = 0x40000, GUEST_MIB = 64 };

struct side {
  struct nst_machine *machine;
  struct nst_cpu *cpu;
  bool launched[2];
  unsigned current;
};

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static bool open_side(struct side *side, const char *profile, bool shadowing) {
  /* again: cpuid; clts; swapgs; rdmsr; pushfq; popfq; jmp again */
  static const uint8_t code[] = {0x0f, 0xa2, 0x0f, 0x06, 0x0f, 0x01, 0xf8,
                                 0x0f, 0x32, 0x9c, 0x9d, 0xeb, 0xf3};
  struct nst_config config;
  struct nst_stack_config stack;
  uint8_t region[4096];
  nst_config_init(&config);
  nst_stack_config_init(&stack);
  config.vmcs_shadowing = shadowing;
  stack.depth = 2;
  stack.driven = true;
  stack.guest_memory = GUEST_MIB << 20;
  stack.profile[0] = profile;
  *side = (struct side){.machine = NULL};
  if (!EXPECT_EQ(profile, nst_stack_create(&side->machine, &config, &stack), NST_OK)) return false;
  side->cpu = nst_cpu(side->machine, 0);
  if (!EXPECT_EQ(profile, nst_guest_prepare(side->cpu, 2, code, sizeof code), NST_OK)) return false;
  /* The second VMCS begins as a copy of the first. */
  nst_vmclear(side->cpu, OWN_REGION);
  uint64_t own = nst_level_memory(side->cpu, 1, OWN_REGION);
  nst_mem_read(side->machine, own, region, sizeof region);
  nst_mem_write(side->machine, nst_level_memory(side->cpu, 1, SECOND_REGION), region,
                sizeof region);
  nst_vmclear(side->cpu, SECOND_REGION);
  return EXPECT_EQ(profile, nst_vmptrld(side->cpu, OWN_REGION), NST_VMX_SUCCEED);
}

static const struct {
  uint32_t field;
  uint64_t bits; /* that may take any value */
} writes[] = {
    {NST_FIELD_GUEST_RSP, 0xff8},
    {NST_FIELD_GUEST_RFLAGS, 0x8d5},
    {NST_FIELD_GUEST_CR0, 0x8},
    {NST_FIELD_GUEST_CR4, 0x80},
    {NST_FIELD_CR0_GUEST_HOST_MASK, 0x8},
    {NST_FIELD_CR4_GUEST_HOST_MASK, 0x84},
    {NST_FIELD_CR0_READ_SHADOW, 0x8},
    {NST_FIELD_CR4_READ_SHADOW, 0x84},
    {NST_FIELD_TSC_OFFSET, 0xffff},
    {NST_FIELD_EXCEPTION_BITMAP, 0xff},
    {NST_FIELD_GUEST_GS_BASE, 0xffff},
    {NST_FIELD_GUEST_SYSENTER_CS, 0xff},
    {NST_FIELD_GUEST_DR7, 0xff},
    {NST_FIELD_GUEST_INTERRUPTIBILITY_INFO, 0x8},
    {NST_FIELD_HOST_FS_BASE, 0xffff},
    {NST_FIELD_HOST_IA32_SYSENTER_ESP, 0xffff},
    {NST_FIELD_CPU_BASED_VM_EXEC_CONTROL, 0x880},
    {NST_FIELD_VM_ENTRY_INSTRUCTION_LEN, 0x7},
    {NST_FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE, 0xff},
    {NST_FIELD_TPR_THRESHOLD, 0x0},
};

/* One thing that a guest hypervisor does, chosen by `choice`. */
static void act(struct side *side, uint64_t choice) {
  static const uint64_t region[] = {OWN_REGION, SECOND_REGION};
  uint64_t value = 0;
  unsigned kind = choice % 16, row = (unsigned)(choice >> 8) % (sizeof writes / sizeof writes[0]);
  if (kind == 0) { /* the other VMCS */
    side->current = !side->current;
    nst_vmptrld(side->cpu, region[side->current]);
  } else if (kind == 1) {
    nst_vmclear(side->cpu, region[side->current]);
    nst_vmptrld(side->cpu, region[side->current]);
    side->launched[side->current] = false;
  } else if (kind < 10) {
    uint64_t bits = writes[row].bits;
    nst_vmread(side->cpu, writes[row].field, &value);
    nst_vmwrite(side->cpu, writes[row].field, (value & ~bits) | (choice >> 16 & bits));
  } else if (kind < 12) {
    nst_vmread(side->cpu, writes[row].field, &value);
  }
}

static void enter(struct side *side, uint64_t *reason) {
  struct nst_stop stop = {NST_STOP_NONE, 0, 0};
  uint64_t length = 0, rip = 0;
  nst_vmread(side->cpu, NST_FIELD_VM_EXIT_INSTRUCTION_LEN, &length);
  nst_vmread(side->cpu, NST_FIELD_GUEST_RIP, &rip);
  bool *launched = &side->launched[side->current];
  if (*launched) nst_vmwrite(side->cpu, NST_FIELD_GUEST_RIP, rip + length);
  enum nst_vmx_result result = *launched ? nst_vmresume(side->cpu) : nst_vmlaunch(side->cpu);
  *reason = UINT64_C(1000) + result;
  if (result != NST_VMX_SUCCEED) return;
  *launched = true;
  nst_run(side->cpu, 1000, &stop);
  *reason = stop.reason;
}

/* Everything that the guest hypervisor can read of its VMCS, and the guest's registers. */
static bool expect_same(const char *text, struct side side[2]) {
  for (unsigned i = 0; i < FIELD_COUNT; i++) {
    uint64_t value[2] = {0, 0};
    char what[160];
    for (unsigned k = 0; k < 2; k++)
      nst_vmread(side[k].cpu, vmcs_field_info[i].encoding, &value[k]);
    snprintf(what, sizeof what, "%s: %s", text, vmcs_field_info[i].name);
    if (value[0] != value[1]) return EXPECT_EQ(what, value[0], value[1]);
  }
  for (unsigned i = NST_REG_RAX; i <= NST_REG_R15; i++)
    if (!EXPECT_EQ(text, nst_peek_reg(side[0].cpu, 2, (enum nst_reg)i),
                   nst_peek_reg(side[1].cpu, 2, (enum nst_reg)i)))
      return false;
  return true;
}

static void run(uint64_t seed, bool shadowing) {
  struct side side[2];
  bool good = open_side(&side[0], "minimal", shadowing);
  good = open_side(&side[1], "kvm-6.1", shadowing) && good;
  uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15);
  for (unsigned i = 0; good && i < STEPS; i++) {
    char text[96];
    uint64_t reason[2];
    snprintf(text, sizeof text, "seed %u, %s, step %u", (unsigned)seed,
             shadowing ? "shadowing" : "no shadowing", i);
    for (unsigned actions = (unsigned)(next_random(&state) % 4); actions > 0; actions--) {
      uint64_t choice = next_random(&state);
      for (unsigned k = 0; k < 2; k++) act(&side[k], choice);
    }
    for (unsigned k = 0; k < 2; k++) enter(&side[k], &reason[k]);
    good = EXPECT_EQ(text, reason[0], reason[1]);
    /* Reading all brings the caches of both up to date: not after every step. */
    if (good && (i % 4 == 3 || i + 1 == STEPS)) good = expect_same(text, side);
  }
  for (unsigned k = 0; k < 2; k++) nst_machine_destroy(side[k].machine);
}

static void guest_hypervisor_sees_no_difference(void) {
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    run(seed, true);
    run(seed, false);
  }
}

extern CU_TestInfo hypervisor_change_tests[];
CU_TestInfo hypervisor_change_tests[] = {
    {"guest_hypervisor_sees_no_difference", guest_hypervisor_sees_no_difference},
    CU_TEST_INFO_NULL,
};
