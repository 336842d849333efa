/* SPDX-License-Identifier: MIT
 * Multiplication and division. */
#include "isa/x86/exec.h"

__extension__ typedef unsigned __int128 uint128;
__extension__ typedef __int128 int128;

/* The double-width accumulator: AX for bytes, else RDX:RAX of the size. */
static uint128 read_pair(const struct isa_x86 *isa, unsigned size) {
  if (size == 1) return isa->state.gpr[X86_RAX] & 0xffff;
  uint128 high = isa->state.gpr[X86_RDX] & isa_mask(size);
  return high << (8 * size) | (isa->state.gpr[X86_RAX] & isa_mask(size));
}

static void write_pair(struct isa_x86 *isa, uint64_t low, uint64_t high, unsigned size) {
  if (size == 1) {
    isa_gpr_write(isa, X86_RAX, 2, (low & 0xff) | (high & 0xff) << 8);
    return;
  }
  isa_gpr_write(isa, X86_RAX, size, low);
  isa_gpr_write(isa, X86_RDX, size, high);
}

/* CF and OF say that the upper half matters. The others are undefined: SF, ZF, PF of the low half
 * are what no program may rely on; they are left alone. */
static void set_multiply_flags(struct isa_x86 *isa, bool overflow) {
  isa_flags_set(&isa->state.rflags, X86_RFLAGS_CF | X86_RFLAGS_OF,
                overflow ? X86_RFLAGS_CF | X86_RFLAGS_OF : 0);
}

enum isa_step exec_mul(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->operand[0].size;
  uint64_t factor;
  enum isa_step step = isa_operand_read(isa, uop, 0, &factor);
  if (step != ISA_NEXT) return step;
  uint128 product = (uint128)factor * (isa->state.gpr[X86_RAX] & isa_mask(size));
  uint64_t high = (uint64_t)(product >> (8 * size));
  write_pair(isa, (uint64_t)product, high, size);
  set_multiply_flags(isa, high != 0);
  return ISA_NEXT;
}

static int128 extend(uint64_t value, unsigned size) {
  return (int64_t)isa_sign_extend(value, size);
}

/* One operand: RDX:RAX. Two: first = first * second. Three: first = second * third. */
enum isa_step exec_imul(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->operand[0].size;
  bool widening = uop->operand[1].kind == ISA_OPERAND_NONE;
  bool three = uop->operand[2].kind != ISA_OPERAND_NONE;
  uint64_t a = isa->state.gpr[X86_RAX], b;
  enum isa_step step = isa_operand_read(isa, uop, widening ? 0 : 1, &b);
  if (step == ISA_NEXT && !widening) step = isa_operand_read(isa, uop, three ? 2 : 0, &a);
  if (step != ISA_NEXT) return step;
  int128 product = extend(a, size) * extend(b, size);
  uint64_t low = (uint64_t)product & isa_mask(size);
  if (widening)
    write_pair(isa, low, (uint64_t)(product >> (8 * size)), size);
  else
    isa_register_write(isa, uop->operand[0], low);
  set_multiply_flags(isa, extend(low, size) != product);
  return ISA_NEXT;
}

enum isa_step exec_div(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->operand[0].size;
  uint64_t divisor;
  enum isa_step step = isa_operand_read(isa, uop, 0, &divisor);
  if (step != ISA_NEXT) return step;
  uint128 dividend = read_pair(isa, size);
  if (divisor == 0 || dividend / divisor > isa_mask(size))
    return isa_raise(isa, X86_EXCEPTION_DE, false, 0);
  write_pair(isa, (uint64_t)(dividend / divisor), (uint64_t)(dividend % divisor), size);
  return ISA_NEXT;
}

enum isa_step exec_idiv(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->operand[0].size, unused = 128 - 16 * size;
  uint64_t raw;
  enum isa_step step = isa_operand_read(isa, uop, 0, &raw);
  if (step != ISA_NEXT) return step;
  int128 divisor = extend(raw, size);
  int128 dividend = (int128)(read_pair(isa, size) << unused) >> unused;
  /* By magnitudes: the most negative dividend has no positive counterpart in a signed type. */
  uint128 magnitude = dividend < 0 ? -(uint128)dividend : (uint128)dividend;
  uint128 by = divisor < 0 ? -(uint128)divisor : (uint128)divisor;
  if (by == 0) return isa_raise(isa, X86_EXCEPTION_DE, false, 0);
  bool negative = (dividend < 0) != (divisor < 0);
  uint128 quotient = magnitude / by, remainder = magnitude % by;
  uint128 limit = (uint128)1 << (8 * size - 1);
  if (quotient > limit - !negative) return isa_raise(isa, X86_EXCEPTION_DE, false, 0);
  write_pair(isa, (uint64_t)(negative ? -quotient : quotient),
             (uint64_t)(dividend < 0 ? -remainder : remainder), size);
  return ISA_NEXT;
}
