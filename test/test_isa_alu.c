/* SPDX-License-Identifier: MIT
 * Integer instructions by vector: bytes, registers and flags before, registers and flags after. */
#include <stdio.h>
#include <string.h>

#include "test/expect.h"
#include "test/fake_isa.h"

enum {
  CF = X86_RFLAGS_CF,
  PF = X86_RFLAGS_PF,
  AF = X86_RFLAGS_AF,
  ZF = X86_RFLAGS_ZF,
  SF = X86_RFLAGS_SF,
  OF = X86_RFLAGS_OF,
  DF = X86_RFLAGS_DF,
  ALL = CF | PF | AF | ZF | SF | OF | DF
};

struct registers {
  uint64_t rax, rbx, rcx, rdx, flags;
};

struct vector {
  const char *name;
  const char *bytes;
  unsigned size;
  struct registers before, after;
  uint64_t data, data_after; /* the quadword at FAKE_DATA; RSI and RDI point to it */
};

#define BYTES(text) text, sizeof text - 1

static const struct vector vectors[] = {
    {"add_64_carry",
     BYTES("\x48\x01\xd8"),
     {~0ull, 1, 0, 0, 0},
     {0, 1, 0, 0, CF | PF | AF | ZF},
     0,
     0},
    {"add_32_clears_the_upper_half",
     BYTES("\x01\xd8"),
     {~0ull, 1, 0, 0, 0},
     {0, 1, 0, 0, CF | PF | AF | ZF},
     0,
     0},
    {"add_16_keeps_the_rest",
     BYTES("\x66\x01\xd8"),
     {0x1234567800007fff, 1, 0, 0, 0},
     {0x1234567800008000, 1, 0, 0, OF | SF | AF | PF},
     0,
     0},
    {"add_high_byte",
     BYTES("\x00\xfc"),
     {0x1080, 0x2000, 0, 0, 0},
     {0x3080, 0x2000, 0, 0, PF},
     0,
     0},
    {"adc_takes_carry",
     BYTES("\x48\x11\xd8"),
     {5, ~0ull, 0, 0, CF},
     {5, ~0ull, 0, 0, CF | PF | AF},
     0,
     0},
    {"sbb_takes_borrow",
     BYTES("\x48\x19\xd8"),
     {0, 0, 0, 0, CF},
     {~0ull, 0, 0, 0, CF | PF | AF | SF},
     0,
     0},
    {"sub_imm8_sign_extends",
     BYTES("\x48\x83\xe8\xff"),
     {1, 0, 0, 0, 0},
     {2, 0, 0, 0, CF | AF},
     0,
     0},
    {"cmp_keeps_registers",
     BYTES("\x39\xd8"),
     {1, 2, 0, 0, 0},
     {1, 2, 0, 0, CF | SF | AF | PF},
     0,
     0},
    {"xor_clears_carry", BYTES("\x31\xc0"), {77, 0, 0, 0, CF | OF}, {0, 0, 0, 0, ZF | PF}, 0, 0},
    {"test_imm", BYTES("\xa8\x80"), {0x80, 0, 0, 0, CF}, {0x80, 0, 0, 0, SF}, 0, 0},
    {"inc_keeps_carry",
     BYTES("\xfe\xc0"),
     {0x7f, 0, 0, 0, CF},
     {0x80, 0, 0, 0, CF | OF | SF | AF},
     0,
     0},
    {"dec_memory", BYTES("\x48\xff\x0e"), {0}, {.flags = PF | ZF}, 1, 0},
    {"neg_sets_carry",
     BYTES("\xf7\xd8"),
     {1, 0, 0, 0, 0},
     {0xffffffff, 0, 0, 0, CF | SF | AF | PF},
     0,
     0},
    {"not_keeps_flags", BYTES("\x48\xf7\xd0"), {1, 0, 0, 0, ALL}, {~1ull, 0, 0, 0, ALL}, 0, 0},
    {"lock_add_memory", BYTES("\xf0\x48\x01\x1e"), {0, 5, 0, 0, 0}, {0, 5, 0, 0, PF}, 7, 12},
    {"shl_by_one_overflows",
     BYTES("\x48\xd1\xe0"),
     {1ull << 62, 0, 0, 0, 0},
     {1ull << 63, 0, 0, 0, SF | OF | PF},
     0,
     0},
    {"shift_count_zero_keeps_flags",
     BYTES("\x48\xd3\xe0"),
     {8, 0, 64, 0, ALL},
     {8, 0, 64, 0, ALL},
     0,
     0},
    {"shr_by_cl", BYTES("\xd3\xe8"), {0x18, 0, 4, 0, 0}, {1, 0, 4, 0, CF}, 0, 0},
    {"sar_keeps_sign",
     BYTES("\x66\xc1\xf8\x0f"),
     {0x8000, 0, 0, 0, 0},
     {0xffff, 0, 0, 0, SF | PF},
     0,
     0},
    {"rol_8", BYTES("\xd0\xc0"), {0x81, 0, 0, 0, 0}, {0x03, 0, 0, 0, CF | OF}, 0, 0},
    {"ror_8", BYTES("\xd0\xc8"), {0x01, 0, 0, 0, 0}, {0x80, 0, 0, 0, CF | OF}, 0, 0},
    {"rcl_through_carry", BYTES("\xd0\xd0"), {0x80, 0, 0, 0, CF}, {0x01, 0, 0, 0, CF | OF}, 0, 0},
    {"rcr_through_carry", BYTES("\xd0\xd8"), {0x01, 0, 0, 0, CF}, {0x80, 0, 0, 0, CF | OF}, 0, 0},
    {"shld_64",
     BYTES("\x48\x0f\xa4\xd8\x08"),
     {0xff, 0xabull << 56, 0, 0, 0},
     {0xffab, 0xabull << 56, 0, 0, 0},
     0,
     0},
    {"mul_64", BYTES("\x48\xf7\xe3"), {~0ull, 2, 0, 0, 0}, {~1ull, 2, 0, 1, CF | OF}, 0, 0},
    {"imul_three_operands", BYTES("\x6b\xc3\xfe"), {0, 3, 0, 0, 0}, {0xfffffffa, 3, 0, 0, 0}, 0, 0},
    {"imul_overflow",
     BYTES("\x66\x0f\xaf\xc3"),
     {0x4000, 2, 0, 0, 0},
     {0x8000, 2, 0, 0, CF | OF},
     0,
     0},
    {"div_64", BYTES("\x48\xf7\xf3"), {1, 2, 0, 1, 0}, {1ull << 63, 2, 0, 1, 0}, 0, 0},
    {"idiv_negative",
     BYTES("\xf7\xfb"),
     {0xfffffff9, 2, 0, 0xffffffff, 0},
     {0xfffffffd, 2, 0, 0xffffffff, 0},
     0,
     0},
    {"cbw", BYTES("\x66\x98"), {0x80, 0, 0, 0, 0}, {0xff80, 0, 0, 0, 0}, 0, 0},
    {"cqo", BYTES("\x48\x99"), {1ull << 63, 0, 0, 0, 0}, {1ull << 63, 0, 0, ~0ull, 0}, 0, 0},
    {"bt_register", BYTES("\x48\x0f\xa3\xd8"), {2, 65, 0, 0, 0}, {2, 65, 0, 0, CF}, 0, 0},
    {"bts_memory", BYTES("\x48\x0f\xba\x2e\x03"), {0}, {0}, 0, 8},
    {"btr_negative_offset",
     BYTES("\x48\x0f\xb3\x5e\x08"),
     {0, ~0ull, 0, 0, 0},
     {0, ~0ull, 0, 0, CF},
     1ull << 63,
     0},
    {"bsf_of_zero_keeps_destination",
     BYTES("\x48\x0f\xbc\xc3"),
     {7, 0, 0, 0, 0},
     {7, 0, 0, 0, ZF},
     0,
     0},
    {"bsr", BYTES("\x0f\xbd\xc3"), {0, 0x100, 0, 0, ZF}, {8, 0x100, 0, 0, 0}, 0, 0},
    {"tzcnt_of_zero", BYTES("\xf3\x0f\xbc\xc3"), {0}, {32, 0, 0, 0, CF}, 0, 0},
    {"popcnt",
     BYTES("\xf3\x48\x0f\xb8\xc3"),
     {0, ~0ull, 0, 0, ALL & ~DF},
     {64, ~0ull, 0, 0, 0},
     0,
     0},
    {"bswap_64",
     BYTES("\x48\x0f\xc8"),
     {0x0102030405060708, 0, 0, 0, 0},
     {0x0807060504030201, 0, 0, 0, 0},
     0,
     0},
    {"setz", BYTES("\x0f\x94\xc3"), {0, ~0ull, 0, 0, ZF}, {0, ~0xfeull, 0, 0, ZF}, 0, 0},
    {"cmov_not_taken_clears_upper_half",
     BYTES("\x0f\x44\xc3"),
     {~0ull, 1, 0, 0, 0},
     {0xffffffff, 1, 0, 0, 0},
     0,
     0},
    {"cmpxchg_equal", BYTES("\xf0\x48\x0f\xb1\x1e"), {9, 4, 0, 0, 0}, {9, 4, 0, 0, ZF | PF}, 9, 4},
    {"cmpxchg_unequal",
     BYTES("\xf0\x48\x0f\xb1\x1e"),
     {1, 4, 0, 0, 0},
     {9, 4, 0, 0, CF | SF | AF},
     9,
     9},
    {"xadd_memory", BYTES("\xf0\x48\x0f\xc1\x1e"), {0, 4, 0, 0, 0}, {0, 9, 0, 0, 0}, 9, 13},
    {"xchg_memory", BYTES("\x48\x87\x1e"), {0, 4, 0, 0, 0}, {0, 9, 0, 0, 0}, 9, 4},
    {"movsxd", BYTES("\x48\x63\x06"), {0}, {~0ull, 0, 0, 0, 0}, 0xffffffff, 0xffffffff},
    {"movzx_high_byte",
     BYTES("\x0f\xb6\xc7"),
     {~0ull, 0x1234, 0, 0, 0},
     {0x12, 0x1234, 0, 0, 0},
     0,
     0},
    {"lea_scaled",
     BYTES("\x48\x8d\x44\x8b\xff"),
     {0, 0x1000, 3, 0, 0},
     {0x100b, 0x1000, 3, 0, 0},
     0,
     0},
    {"lea_32_bit_address",
     BYTES("\x67\x48\x8d\x03"),
     {0, ~0ull, 0, 0, 0},
     {0xffffffff, ~0ull, 0, 0, 0},
     0,
     0},
    {"lea_rip_relative",
     BYTES("\x48\x8d\x05\x10\0\0\0"),
     {0},
     {FAKE_CODE + 7 + 16, 0, 0, 0, 0},
     0,
     0},
    {"lahf", BYTES("\x9f"), {0, 0, 0, 0, CF | ZF}, {0x4300, 0, 0, 0, CF | ZF}, 0, 0},
    {"sahf", BYTES("\x9e"), {0xff00, 0, 0, 0, 0}, {0xff00, 0, 0, 0, CF | PF | AF | ZF | SF}, 0, 0},
    {"cmc_stc", BYTES("\xf9\xf5"), {0}, {0, 0, 0, 0, CF}, 0, 0},
    {"std", BYTES("\xfd"), {0}, {0, 0, 0, 0, DF}, 0, 0},
    {"lodsb_counts_down", BYTES("\xac"), {0x1100, 0, 0, 0, DF}, {0x1177, 0, 0, 0, DF}, 0x77, 0x77},
    {"mov_absolute", BYTES("\xa1\0\x40\0\0\0\0\0\0"), {0}, {0x55, 0, 0, 0, 0}, 0x55, 0x55},
};

static void load(struct fake_isa *fake, const struct vector *vector) {
  struct x86_state *state = &fake->isa.state;
  state->rip = FAKE_CODE;
  fake_code(fake, vector->bytes, vector->size);
  state->gpr[X86_RAX] = vector->before.rax;
  state->gpr[X86_RBX] = vector->before.rbx;
  state->gpr[X86_RCX] = vector->before.rcx;
  state->gpr[X86_RDX] = vector->before.rdx;
  state->gpr[X86_RSI] = state->gpr[X86_RDI] = FAKE_DATA;
  state->rflags = vector->before.flags | X86_RFLAGS_FIXED;
  fake_store64(fake, FAKE_DATA, vector->data);
}

static void vectors_give_the_expected_state(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    const struct vector *vector = &vectors[i];
    const struct x86_state *state = &fake.isa.state;
    load(&fake, vector);
    EXPECT_EQ(vector->name, fake_run(&fake, 1), ISA_NEXT);
    EXPECT_EQ(vector->name, state->gpr[X86_RAX], vector->after.rax);
    EXPECT_EQ(vector->name, state->gpr[X86_RBX], vector->after.rbx);
    EXPECT_EQ(vector->name, state->gpr[X86_RCX], vector->after.rcx);
    EXPECT_EQ(vector->name, state->gpr[X86_RDX], vector->after.rdx);
    EXPECT_EQ(vector->name, state->rflags, vector->after.flags | X86_RFLAGS_FIXED);
    EXPECT_EQ(vector->name, fake_load64(&fake, FAKE_DATA), vector->data_after);
  }
  fake_fini(&fake);
}

/* Conditions against their definition, for all 16 and all flags. */
static bool condition(unsigned number, uint64_t flags) {
  bool c = flags & CF, p = flags & PF, z = flags & ZF, s = flags & SF, o = flags & OF;
  bool even[8] = {o, c, z, c || z, s, p, s != o, z || s != o};
  return even[number / 2] != (number & 1);
}

static void conditions_hold_for_all_flags(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  for (unsigned number = 0; number < 16; number++) {
    char code[3] = {0x0f, (char)(0x90 + number), (char)0xc0}, name[32];
    fake.isa.state.rip = FAKE_CODE;
    fake_code(&fake, code, 3);
    for (unsigned bits = 0; bits < 32; bits++) {
      uint64_t flags = (bits & 1 ? CF : 0u) | (bits & 2 ? PF : 0u) | (bits & 4 ? ZF : 0u) |
                       (bits & 8 ? SF : 0u) | (bits & 16 ? OF : 0u);
      fake.isa.state.rip = FAKE_CODE;
      fake.isa.state.rflags = flags | X86_RFLAGS_FIXED;
      snprintf(name, sizeof name, "condition %u flags %x", number, (unsigned)flags);
      EXPECT_EQ(name, isa_run(&fake.isa, 1), ISA_NEXT);
      EXPECT_EQ(name, fake.isa.state.gpr[X86_RAX] & 0xff, condition(number, flags));
    }
  }
  fake_fini(&fake);
}

static void divisions_that_overflow_fault(void) {
  static const struct vector faults[] = {
      {"by_zero", BYTES("\xf7\xf3"), {1, 0, 0, 0, 0}, {0}, 0, 0},
      {"too_large", BYTES("\x48\xf7\xf3"), {0, 1, 0, 1, 0}, {0}, 0, 0},
      {"signed_minimum", BYTES("\x48\xf7\xfb"), {1ull << 63, ~0ull, 0, ~0ull, 0}, {0}, 0, 0},
      {"signed_widest", BYTES("\x48\xf7\xfb"), {0, ~0ull, 0, 1ull << 63, 0}, {0}, 0, 0},
      {"byte", BYTES("\xf6\xf3"), {0x1ff, 1, 0, 0, 0}, {0}, 0, 0},
  };
  static struct fake_isa fake;
  fake_init(&fake);
  fake.exception_answer = ISA_EXIT;
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    load(&fake, &faults[i]);
    EXPECT_EQ(faults[i].name, fake_run(&fake, 1), ISA_EXIT);
    EXPECT_EQ(faults[i].name, fake.fault.vector, X86_EXCEPTION_DE);
    EXPECT_EQ(faults[i].name, fake.isa.state.rip, FAKE_CODE);
    EXPECT_EQ(faults[i].name, fake.isa.state.gpr[X86_RAX], faults[i].before.rax);
  }
  fake_fini(&fake);
}

CU_TestInfo isa_alu_tests[] = {
    {"vectors_give_the_expected_state", vectors_give_the_expected_state},
    {"conditions_hold_for_all_flags", conditions_hold_for_all_flags},
    {"divisions_that_overflow_fault", divisions_that_overflow_fault},
    CU_TEST_INFO_NULL,
};
