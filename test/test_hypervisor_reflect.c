/* SPDX-License-Identifier: MIT
 * A recording of a guest at depth 1, replayed deeper: its hypervisor gets the same exits, reason by
 * reason; and an exit that L0 keeps costs the same at every depth. */
#include <string.h>

#include "test/test_hypervisor_stack.h"
#include "traces/trace.h"
#include "vmcs/reason.h"

#define RECORDING "traces/recorded/vmx-l1-micro.txt.zst"

enum { DEPTHS = 3, DATA_PAGE = 0x200000 };

/* Plays the guest's own operations; false if one stops the machine. */
static bool play_recording(struct guest *guest, uint64_t *operations) {
  const struct trace_options options = {.vmx_reason = vmcs_reason_number};
  char error[512] = "";
  struct trace_event event;
  struct trace_reader *reader = trace_open(RECORDING, &options, error, sizeof error);
  if (!EXPECT_STRING(RECORDING, error, "") || !reader) return false;
  bool fine = true;
  *operations = 0;
  while (fine && trace_next(reader, &event) > 0) {
    if (event.level != 1 || trace_kind_cause(event.kind) != TRACE_CAUSE_GUEST) continue;
    enum player_outcome outcome = player_play(&guest->player, &event);
    fine = EXPECT_TRUE("the machine goes on", outcome != PLAYER_STOPPED);
    *operations += outcome == PLAYER_DONE;
  }
  trace_close(reader);
  return fine;
}

/* Exits that the innermost guest's hypervisor got. */
static bool replay(const struct variant *variant, uint64_t *operations,
                   uint64_t exits[EXIT_REASON_LIMIT], uint64_t *unlisted) {
  struct guest guest;
  bool fine = false;
  if (guest_open(&guest, variant)) {
    struct hv_level *parent = &guest.stack->level[variant->depth - 1];
    memset(parent->own_exits, 0, sizeof parent->own_exits);
    fine = play_recording(&guest, operations);
    memcpy(exits, parent->own_exits, sizeof parent->own_exits);
    *unlisted = guest_unlisted(&guest);
  }
  guest_close(&guest);
  return fine;
}

static void recording_reflects_as_many_exits_as_it_made_at_depth_1(void) {
  uint64_t expected[EXIT_REASON_LIMIT], found[EXIT_REASON_LIMIT], wanted, operations, unlisted;
  const struct variant flat = {.depth = 1, .profile = "kvm-6.1"};
  if (!replay(&flat, &wanted, expected, &unlisted)) return;
  EXPECT_TRUE("operations played", wanted > 500);
  for (unsigned depth = 2; depth <= DEPTHS; depth++)
    for (unsigned off = 0; off < 2; off++) {
      struct variant variant = {.depth = depth, .profile = "kvm-6.1", .no_shadowing = off};
      char text[96], what[160];
      variant_text(&variant, text, sizeof text);
      if (!replay(&variant, &operations, found, &unlisted)) return;
      EXPECT_EQ(text, operations, wanted);
      EXPECT_EQ("unlisted over the whole recording", unlisted, 0);
      for (unsigned reason = 0; reason < EXIT_REASON_LIMIT; reason++) {
        snprintf(what, sizeof what, "%s, %s", text, vmcs_reason_name(reason));
        EXPECT_EQ(what, found[reason], expected[reason]);
      }
    }
}

/* The recording itself at depth 1: every operation exits once, reason by reason. */
static void recording_at_depth_1_exits_as_recorded(void) {
  static const struct {
    uint32_t reason;
    unsigned exits; /* traces/recorded/README.md, vmx-l1-micro */
  } rows[] = {{EXIT_REASON_CPUID, 54},     {EXIT_REASON_MSR_READ, 41}, {EXIT_REASON_MSR_WRITE, 40},
              {EXIT_REASON_VMCALL, 40},    {EXIT_REASON_WBINVD, 10},   {EXIT_REASON_XSETBV, 10},
              {EXIT_REASON_CR_ACCESS, 84}, {EXIT_REASON_HLT, 10}};
  uint64_t exits[EXIT_REASON_LIMIT], operations, unlisted;
  const struct variant flat = {.depth = 1, .profile = "kvm-6.1"};
  if (!replay(&flat, &operations, exits, &unlisted)) return;
  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
    EXPECT_EQ(vmcs_reason_name(rows[i].reason), exits[rows[i].reason], rows[i].exits);
}

/* ---- exits that L0 keeps */

/* Exits of L0's guest that no other level gets, for a touch that only needs composing: everything
 * is backed by the guest's hypervisor beforehand, and L0's table for the nested guest is empty. */
static uint64_t kept_exits(unsigned depth, bool shadowing, uint64_t *reflected) {
  struct variant variant = {
      .depth = depth, .profile = "kvm-6.1", .no_shadowing = !shadowing, .eager = true};
  const struct trace_event touch = {.kind = TRACE_MEM_TOUCH,
                                    .level = 1,
                                    .flags = TRACE_HAS_A | TRACE_HAS_B,
                                    .a = DATA_PAGE,
                                    .b = 2};
  struct guest guest;
  uint64_t exits = 0;
  if (guest_open(&guest, &variant)) {
    uint64_t before = nst_exits_to(guest.cpu, depth - 1);
    exits = guest_play(&guest, "touch", &touch);
    *reflected = nst_exits_to(guest.cpu, depth - 1) - before;
  }
  guest_close(&guest);
  return exits;
}

static void touch_that_needs_composing_is_not_reflected_to_its_hypervisor(void) {
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    uint64_t reflected = 0;
    EXPECT_EQ("depth 2: one exit, kept by L0", kept_exits(2, shadowing, &reflected), 1);
    EXPECT_EQ("depth 2: none reflected", reflected, 0);
    EXPECT_TRUE("depth 3", kept_exits(3, shadowing, &reflected) >= 1);
    EXPECT_EQ("depth 3: its own hypervisor sees none", reflected, 0);
  }
}

struct tail {
  uint32_t last, before;
};

static void remember(void *context, struct nst_cpu *cpu, const struct nst_exit_event *event) {
  struct tail *tail = context;
  (void)cpu;
  tail->before = tail->last;
  tail->last = event->reason;
}

/* The retry after a first touch: everybody above has mapped the page, only L0 has to compose. */
static void exit_that_l0_keeps_is_one_at_every_depth(void) {
  for (unsigned depth = 2; depth <= 4; depth++) {
    struct variant variant = {.depth = depth, .profile = "kvm-6.1"};
    const struct trace_event touch = {.kind = TRACE_MEM_TOUCH,
                                      .level = 1,
                                      .flags = TRACE_HAS_A | TRACE_HAS_B,
                                      .a = DATA_PAGE,
                                      .b = 2};
    struct tail tail = {0, 0};
    const struct nst_observer observer = {.context = &tail, .exit = remember};
    struct guest guest;
    if (guest_open(&guest, &variant)) {
      nst_observe(guest.machine, &observer);
      guest_play(&guest, "first touch", &touch);
      EXPECT_STRING("the last exit", vmcs_reason_name(tail.last), "EPT_VIOLATION");
      EXPECT_STRING("the one before it", vmcs_reason_name(tail.before), "VMRESUME");
    }
    guest_close(&guest);
  }
}

static void msr_that_nobody_intercepts_never_exits(void) {
  for (unsigned depth = 1; depth <= 4; depth++) {
    struct variant variant = {.depth = depth, .profile = "kvm-6.1"};
    const struct trace_event fs_base = {.kind = TRACE_WRMSR,
                                        .level = 1,
                                        .flags = TRACE_HAS_A | TRACE_HAS_B,
                                        .a = 0xc0000100,
                                        .b = 0x1000};
    struct guest guest;
    if (guest_open(&guest, &variant))
      EXPECT_EQ("exits", guest_play(&guest, "WRMSR of FS base", &fs_base), 0);
    guest_close(&guest);
  }
}

extern CU_TestInfo hypervisor_reflect_tests[];
CU_TestInfo hypervisor_reflect_tests[] = {
    {"recording_reflects_as_many_exits_as_it_made_at_depth_1",
     recording_reflects_as_many_exits_as_it_made_at_depth_1},
    {"recording_at_depth_1_exits_as_recorded", recording_at_depth_1_exits_as_recorded},
    {"touch_that_needs_composing_is_not_reflected_to_its_hypervisor",
     touch_that_needs_composing_is_not_reflected_to_its_hypervisor},
    {"exit_that_l0_keeps_is_one_at_every_depth", exit_that_l0_keeps_is_one_at_every_depth},
    {"msr_that_nobody_intercepts_never_exits", msr_that_nobody_intercepts_never_exits},
    CU_TEST_INFO_NULL};
