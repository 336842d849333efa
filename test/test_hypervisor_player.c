/* SPDX-License-Identifier: MIT
 * What the player does with operations that fault, as recorded or unlike recorded. */
#include "test/expect.h"
#include "test/test_hypervisor_stack.h"

static const struct played {
  const char *text;
  struct trace_event event;
  enum player_outcome outcome;
} cases[] = {
    {"RDMSR of an MSR that does not exist",
     {.kind = TRACE_RDMSR, .flags = TRACE_HAS_A, .a = 0x12345678},
     PLAYER_FAULTED},
    {"CPUID after it", {.kind = TRACE_CPUID, .flags = TRACE_HAS_A | TRACE_HAS_B}, PLAYER_DONE},
    {"CR4 with a reserved bit",
     {.kind = TRACE_MOV_TO_CR, .flags = TRACE_HAS_A | TRACE_HAS_B, .a = 4, .b = 1u << 31},
     PLAYER_FAULTED},
    {"a page fault that was recorded",
     {.kind = TRACE_EXCEPTION,
      .flags = TRACE_HAS_A | TRACE_HAS_B | TRACE_HAS_C | TRACE_FAULTED,
      .a = 14,
      .b = 2,
      .c = 0x1000},
     PLAYER_DONE},
    {"UD2", {.kind = TRACE_EXCEPTION, .flags = TRACE_HAS_A | TRACE_FAULTED, .a = 6}, PLAYER_DONE},
    {"code at guest-physical address 0",
     {.kind = TRACE_MEM_TOUCH, .flags = TRACE_HAS_A | TRACE_HAS_B, .a = 0, .b = 4},
     PLAYER_DONE},
    {"#MC, which no instruction causes",
     {.kind = TRACE_EXCEPTION, .flags = TRACE_HAS_A, .a = 18},
     PLAYER_LEFT_OUT},
    {"CR3 write",
     {.kind = TRACE_MOV_TO_CR, .flags = TRACE_HAS_A | TRACE_HAS_B, .a = 3, .b = 0x5000},
     PLAYER_DONE},
    {"INVLPG", {.kind = TRACE_INVLPG, .flags = TRACE_HAS_A, .a = 0x1000000}, PLAYER_DONE},
    {"LMSW", {.kind = TRACE_LMSW, .flags = TRACE_HAS_A, .a = 0xb}, PLAYER_DONE},
    {"CLTS", {.kind = TRACE_CLTS}, PLAYER_DONE},
};

static void faulting_operation_is_survived(void) {
  uint64_t hash[3];
  for (unsigned depth = 1; depth <= 3; depth++) {
    struct guest guest;
    const struct variant variant = {.depth = depth, .profile = "kvm-6.1"};
    if (guest_open(&guest, &variant))
      for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        EXPECT_EQ(cases[i].text, player_play(&guest.player, &cases[i].event), cases[i].outcome);
    hash[depth - 1] = player_hash(&guest.player);
    guest_close(&guest);
  }
  EXPECT_EQ("state at depth 2", hash[1], hash[0]);
  EXPECT_EQ("state at depth 3", hash[2], hash[0]);
}

CU_TestInfo hypervisor_player_tests[] = {
    {"faulting_operation_is_survived", faulting_operation_is_survived}, CU_TEST_INFO_NULL};
