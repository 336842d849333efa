/* SPDX-License-Identifier: MIT
 * Shifts and rotates. Each operation is one function over all sizes; count is not zero there and
 * already taken modulo what the instruction says. */
#include "isa/x86/exec.h"

__extension__ typedef unsigned __int128 uint128;

typedef uint64_t (*shift_function)(uint64_t *rflags, uint64_t value, unsigned count, unsigned size);

static void set_carry_overflow(uint64_t *rflags, uint64_t carry, uint64_t overflow) {
  isa_flags_set(rflags, X86_RFLAGS_CF | X86_RFLAGS_OF, (carry & 1) | (overflow & 1) << 11);
}

static uint64_t top_bit(uint64_t value, unsigned size) {
  return value >> (8 * size - 1) & 1;
}

/* OF after a rotate right: the two top bits differ. */
static uint64_t top_bits_differ(uint64_t value, unsigned size) {
  return (value >> (8 * size - 1) ^ value >> (8 * size - 2)) & 1;
}

static uint64_t shift_rol(uint64_t *rflags, uint64_t value, unsigned count, unsigned size) {
  unsigned bits = 8 * size, turn = count % bits;
  if (turn) value = (value << turn | value >> (bits - turn)) & isa_mask(size);
  set_carry_overflow(rflags, value, top_bit(value, size) ^ (value & 1));
  return value;
}

static uint64_t shift_ror(uint64_t *rflags, uint64_t value, unsigned count, unsigned size) {
  unsigned bits = 8 * size, turn = count % bits;
  if (turn) value = (value >> turn | value << (bits - turn)) & isa_mask(size);
  set_carry_overflow(rflags, top_bit(value, size), top_bits_differ(value, size));
  return value;
}

/* The value with CF above its top bit, rotated left in size * 8 + 1 bits. */
static uint128 rotate_with_carry(uint64_t rflags, uint64_t value, unsigned count, unsigned size) {
  unsigned bits = 8 * size + 1;
  uint128 wide = (uint128)(rflags & X86_RFLAGS_CF) << (bits - 1) | value;
  count %= bits;
  uint128 turned = count ? wide << count | wide >> (bits - count) : wide;
  return turned & (((uint128)1 << bits) - 1);
}

static uint64_t shift_rcl(uint64_t *rflags, uint64_t value, unsigned count, unsigned size) {
  if (count % (8 * size + 1) == 0) return value;
  uint128 turned = rotate_with_carry(*rflags, value, count, size);
  uint64_t carry = (uint64_t)(turned >> (8 * size)) & 1;
  uint64_t result = (uint64_t)turned & isa_mask(size);
  set_carry_overflow(rflags, carry, top_bit(result, size) ^ carry);
  return result;
}

static uint64_t shift_rcr(uint64_t *rflags, uint64_t value, unsigned count, unsigned size) {
  unsigned bits = 8 * size + 1;
  if (count % bits == 0) return value;
  uint128 turned = rotate_with_carry(*rflags, value, bits - count % bits, size);
  uint64_t result = (uint64_t)turned & isa_mask(size);
  set_carry_overflow(rflags, (uint64_t)(turned >> (8 * size)), top_bits_differ(result, size));
  return result;
}

static void set_shift_flags(uint64_t *rflags, uint64_t result, uint64_t carry, uint64_t overflow,
                            unsigned size) {
  isa_flags_set(rflags, ISA_FLAGS_ARITHMETIC,
                isa_flags_of(result, size) | (carry & 1) | (overflow & 1) << 11);
}

static uint64_t shift_shl(uint64_t *rflags, uint64_t value, unsigned count, unsigned size) {
  unsigned bits = 8 * size;
  uint64_t result = (uint64_t)((uint128)value << count) & isa_mask(size);
  uint64_t carry = count <= bits ? value >> (bits - count) & 1 : 0;
  set_shift_flags(rflags, result, carry, top_bit(result, size) ^ carry, size);
  return result;
}

static uint64_t shift_shr(uint64_t *rflags, uint64_t value, unsigned count, unsigned size) {
  uint64_t result = value >> count;
  uint64_t overflow = top_bit(value, size);
  set_shift_flags(rflags, result, value >> (count - 1), overflow, size);
  return result;
}

static uint64_t shift_sar(uint64_t *rflags, uint64_t value, unsigned count, unsigned size) {
  int64_t wide = (int64_t)isa_sign_extend(value, size);
  uint64_t result = (uint64_t)(wide >> count) & isa_mask(size);
  set_shift_flags(rflags, result, (uint64_t)(wide >> (count - 1)), 0, size);
  return result;
}

static const shift_function shift_functions[] = {
    [SHIFT_ROL] = shift_rol, [SHIFT_ROR] = shift_ror, [SHIFT_RCL] = shift_rcl,
    [SHIFT_RCR] = shift_rcr, [SHIFT_SHL] = shift_shl, [SHIFT_SHR] = shift_shr,
    [SHIFT_SAR] = shift_sar,
};

enum isa_step exec_shift(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->operand[0].size;
  uint64_t value, count;
  enum isa_step step = isa_operand_read(isa, uop, 1, &count);
  if (step == ISA_NEXT) step = isa_operand_modify(isa, uop, 0, &value);
  if (step != ISA_NEXT) return step;
  count &= size == 8 ? 0x3f : 0x1f;
  uint64_t rflags = isa->state.rflags;
  uint64_t result = value;
  if (count) result = shift_functions[uop->argument](&rflags, value, (unsigned)count, size);
  step = isa_operand_write(isa, uop, 0, result);
  if (step == ISA_NEXT) isa->state.rflags = rflags;
  return step;
}

/* SHLD takes bits from the top of the second operand, SHRD from its bottom. A count above the
 * size (16-bit operands only) is undefined; here the bits run through as in one long value. */
static uint64_t double_shift(uint64_t *rflags, uint64_t value, uint64_t filler, unsigned count,
                             const struct isa_uop *uop) {
  unsigned size = uop->operand[0].size, bits = 8 * size;
  bool left = uop->argument == SHIFT_SHL;
  uint128 joined = left ? (uint128)value << bits | filler : (uint128)filler << bits | value;
  uint128 shifted = left ? joined << count >> bits : joined >> count;
  uint64_t result = (uint64_t)shifted & isa_mask(size);
  uint64_t carry =
      left ? (uint64_t)(joined >> (2 * bits - count)) : (uint64_t)(joined >> (count - 1));
  set_shift_flags(rflags, result, carry, top_bit(result ^ value, size), size);
  return result;
}

enum isa_step exec_double_shift(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value, filler, count;
  enum isa_step step = isa_operand_read(isa, uop, 2, &count);
  if (step == ISA_NEXT) step = isa_operand_read(isa, uop, 1, &filler);
  if (step == ISA_NEXT) step = isa_operand_modify(isa, uop, 0, &value);
  if (step != ISA_NEXT) return step;
  count &= uop->operand[0].size == 8 ? 0x3f : 0x1f;
  uint64_t rflags = isa->state.rflags;
  uint64_t result = value;
  if (count) result = double_shift(&rflags, value, filler, (unsigned)count, uop);
  step = isa_operand_write(isa, uop, 0, result);
  if (step == ISA_NEXT) isa->state.rflags = rflags;
  return step;
}
