/* SPDX-License-Identifier: MIT
 * Addition, subtraction, logic and comparison. Each operation is one function over all sizes;
 * it returns the result cut to the size and sets the six arithmetic flags. */
#include "isa/x86/exec.h"

typedef uint64_t (*alu_function)(uint64_t *rflags, uint64_t a, uint64_t b, unsigned size);

/* AF is the carry out of bit 3: bit 4 of a ^ b ^ result is already in AF's place. */
static inline void set_flags(uint64_t *rflags, uint64_t a, uint64_t b, uint64_t result,
                             uint64_t carry_and_overflow) {
  isa_flags_set(rflags, ISA_FLAGS_ARITHMETIC,
                ((a ^ b ^ result) & X86_RFLAGS_AF) | carry_and_overflow);
}

static inline uint64_t add_carry(uint64_t *rflags, uint64_t a, uint64_t b, uint64_t carry,
                                 unsigned size) {
  uint64_t mask = isa_mask(size);
  a &= mask;
  b &= mask;
  uint64_t result = (a + b + carry) & mask;
  uint64_t carry_out = result < a || (carry && result == a);
  uint64_t overflow = ((a ^ result) & (b ^ result)) >> (8 * size - 1);
  set_flags(rflags, a, b, result, carry_out | overflow << 11 | isa_flags_of(result, size));
  return result;
}

static inline uint64_t sub_borrow(uint64_t *rflags, uint64_t a, uint64_t b, uint64_t borrow,
                                  unsigned size) {
  uint64_t mask = isa_mask(size);
  a &= mask;
  b &= mask;
  uint64_t result = (a - b - borrow) & mask;
  uint64_t borrow_out = a < b || (borrow && a == b);
  uint64_t overflow = ((a ^ b) & (a ^ result)) >> (8 * size - 1);
  set_flags(rflags, a, b, result, borrow_out | overflow << 11 | isa_flags_of(result, size));
  return result;
}

static uint64_t alu_add(uint64_t *rflags, uint64_t a, uint64_t b, unsigned size) {
  return add_carry(rflags, a, b, 0, size);
}

static uint64_t alu_adc(uint64_t *rflags, uint64_t a, uint64_t b, unsigned size) {
  return add_carry(rflags, a, b, *rflags & X86_RFLAGS_CF, size);
}

static uint64_t alu_sub(uint64_t *rflags, uint64_t a, uint64_t b, unsigned size) {
  return sub_borrow(rflags, a, b, 0, size);
}

static uint64_t alu_sbb(uint64_t *rflags, uint64_t a, uint64_t b, unsigned size) {
  return sub_borrow(rflags, a, b, *rflags & X86_RFLAGS_CF, size);
}

static inline uint64_t logic(uint64_t *rflags, uint64_t result, unsigned size) {
  result &= isa_mask(size);
  isa_flags_set(rflags, ISA_FLAGS_ARITHMETIC, isa_flags_of(result, size));
  return result;
}

static uint64_t alu_and(uint64_t *rflags, uint64_t a, uint64_t b, unsigned size) {
  return logic(rflags, a & b, size);
}

static uint64_t alu_or(uint64_t *rflags, uint64_t a, uint64_t b, unsigned size) {
  return logic(rflags, a | b, size);
}

static uint64_t alu_xor(uint64_t *rflags, uint64_t a, uint64_t b, unsigned size) {
  return logic(rflags, a ^ b, size);
}

static const alu_function alu_functions[] = {
    [ALU_ADD] = alu_add, [ALU_OR] = alu_or,   [ALU_ADC] = alu_adc,
    [ALU_SBB] = alu_sbb, [ALU_AND] = alu_and, [ALU_SUB] = alu_sub,
    [ALU_XOR] = alu_xor, [ALU_CMP] = alu_sub, [ALU_TEST] = alu_and,
};

enum isa_step exec_alu(struct isa_x86 *isa, const struct isa_uop *uop) {
  bool compares = uop->argument >= ALU_CMP;
  uint64_t a, b;
  enum isa_step step = isa_operand_read(isa, uop, 1, &b);
  if (step != ISA_NEXT) return step;
  step = compares ? isa_operand_read(isa, uop, 0, &a) : isa_operand_modify(isa, uop, 0, &a);
  if (step != ISA_NEXT) return step;
  /* Flags become the guest's only when the store has gone through. */
  uint64_t rflags = isa->state.rflags;
  uint64_t result = alu_functions[uop->argument](&rflags, a, b, uop->operand[0].size);
  if (!compares) step = isa_operand_write(isa, uop, 0, result);
  if (step == ISA_NEXT) isa->state.rflags = rflags;
  return step;
}

/* The most frequent form: first operand a register of 4 or 8 bytes, second such a register or an
 * immediate. The operation and its size are constants here, so each handler is a few host
 * instructions. The operation cuts its operands, and a cut result clears the upper half. */
static inline __attribute__((always_inline)) enum isa_step quick(struct isa_x86 *isa,
                                                                 const struct isa_uop *uop,
                                                                 alu_function operation,
                                                                 unsigned size) {
  uint64_t *first = &isa->state.gpr[uop->operand[0].reg];
  bool immediate = uop->operand[1].kind == ISA_OPERAND_IMMEDIATE;
  uint64_t second = immediate ? uop->immediate : isa->state.gpr[uop->operand[1].reg];
  *first = operation(&isa->state.rflags, *first, second, size);
  return ISA_NEXT;
}

static inline __attribute__((always_inline)) enum isa_step quick_compare(struct isa_x86 *isa,
                                                                         const struct isa_uop *uop,
                                                                         alu_function operation,
                                                                         unsigned size) {
  uint64_t first = isa->state.gpr[uop->operand[0].reg];
  bool immediate = uop->operand[1].kind == ISA_OPERAND_IMMEDIATE;
  uint64_t second = immediate ? uop->immediate : isa->state.gpr[uop->operand[1].reg];
  operation(&isa->state.rflags, first, second, size);
  return ISA_NEXT;
}

static enum isa_step add_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_add, 4);
}

static enum isa_step add_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_add, 8);
}

static enum isa_step or_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_or, 4);
}

static enum isa_step or_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_or, 8);
}

static enum isa_step adc_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_adc, 4);
}

static enum isa_step adc_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_adc, 8);
}

static enum isa_step sbb_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_sbb, 4);
}

static enum isa_step sbb_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_sbb, 8);
}

static enum isa_step and_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_and, 4);
}

static enum isa_step and_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_and, 8);
}

static enum isa_step sub_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_sub, 4);
}

static enum isa_step sub_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_sub, 8);
}

static enum isa_step xor_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_xor, 4);
}

static enum isa_step xor_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick(isa, uop, alu_xor, 8);
}

static enum isa_step cmp_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick_compare(isa, uop, alu_sub, 4);
}

static enum isa_step cmp_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick_compare(isa, uop, alu_sub, 8);
}

static enum isa_step test_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick_compare(isa, uop, alu_and, 4);
}

static enum isa_step test_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick_compare(isa, uop, alu_and, 8);
}

static const isa_handler quick_alu[][2] = {
    [ALU_ADD] = {add_32, add_64}, [ALU_OR] = {or_32, or_64},    [ALU_ADC] = {adc_32, adc_64},
    [ALU_SBB] = {sbb_32, sbb_64}, [ALU_AND] = {and_32, and_64}, [ALU_SUB] = {sub_32, sub_64},
    [ALU_XOR] = {xor_32, xor_64}, [ALU_CMP] = {cmp_32, cmp_64}, [ALU_TEST] = {test_32, test_64},
};

isa_handler isa_alu_quick(const struct isa_uop *uop) {
  bool second =
      isa_is_wide_register(uop->operand[1]) || uop->operand[1].kind == ISA_OPERAND_IMMEDIATE;
  if (!isa_is_wide_register(uop->operand[0]) || !second) return NULL;
  return quick_alu[uop->argument][uop->operand[0].size == 8];
}

/* INC and DEC keep CF. */
static uint64_t unary_inc(uint64_t *rflags, uint64_t value, unsigned size) {
  uint64_t carry = *rflags & X86_RFLAGS_CF;
  uint64_t result = add_carry(rflags, value, 1, 0, size);
  isa_flags_set(rflags, X86_RFLAGS_CF, carry);
  return result;
}

static uint64_t unary_dec(uint64_t *rflags, uint64_t value, unsigned size) {
  uint64_t carry = *rflags & X86_RFLAGS_CF;
  uint64_t result = sub_borrow(rflags, value, 1, 0, size);
  isa_flags_set(rflags, X86_RFLAGS_CF, carry);
  return result;
}

static uint64_t unary_neg(uint64_t *rflags, uint64_t value, unsigned size) {
  return sub_borrow(rflags, 0, value, 0, size);
}

static uint64_t unary_not(uint64_t *rflags, uint64_t value, unsigned size) {
  (void)rflags;
  return ~value & isa_mask(size);
}

typedef uint64_t (*unary_function)(uint64_t *rflags, uint64_t value, unsigned size);

static const unary_function unary_functions[] = {[UNARY_INC] = unary_inc,
                                                 [UNARY_DEC] = unary_dec,
                                                 [UNARY_NEG] = unary_neg,
                                                 [UNARY_NOT] = unary_not};

enum isa_step exec_unary(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  enum isa_step step = isa_operand_modify(isa, uop, 0, &value);
  if (step != ISA_NEXT) return step;
  uint64_t rflags = isa->state.rflags;
  uint64_t result = unary_functions[uop->argument](&rflags, value, uop->operand[0].size);
  step = isa_operand_write(isa, uop, 0, result);
  if (step == ISA_NEXT) isa->state.rflags = rflags;
  return step;
}

static inline __attribute__((always_inline)) enum isa_step quick_one(struct isa_x86 *isa,
                                                                     const struct isa_uop *uop,
                                                                     unary_function operation,
                                                                     unsigned size) {
  uint64_t *value = &isa->state.gpr[uop->operand[0].reg];
  *value = operation(&isa->state.rflags, *value, size);
  return ISA_NEXT;
}

static enum isa_step inc_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick_one(isa, uop, unary_inc, 4);
}

static enum isa_step inc_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick_one(isa, uop, unary_inc, 8);
}

static enum isa_step dec_32(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick_one(isa, uop, unary_dec, 4);
}

static enum isa_step dec_64(struct isa_x86 *isa, const struct isa_uop *uop) {
  return quick_one(isa, uop, unary_dec, 8);
}

isa_handler isa_unary_quick(const struct isa_uop *uop) {
  static const isa_handler quick_unary[][2] = {
      [UNARY_INC] = {inc_32, inc_64}, [UNARY_DEC] = {dec_32, dec_64}};
  if (!isa_is_wide_register(uop->operand[0]) || uop->argument > UNARY_DEC) return NULL;
  return quick_unary[uop->argument][uop->operand[0].size == 8];
}

void isa_compare(struct isa_x86 *isa, uint64_t a, uint64_t b, unsigned size) {
  alu_sub(&isa->state.rflags, a, b, size);
}

/* The destination is written either way, as the processor does. */
enum isa_step exec_cmpxchg(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->operand[0].size;
  uint64_t current, replacement;
  uint64_t expected = isa->state.gpr[X86_RAX] & isa_mask(size);
  enum isa_step step = isa_operand_modify(isa, uop, 0, &current);
  if (step == ISA_NEXT) step = isa_operand_read(isa, uop, 1, &replacement);
  if (step != ISA_NEXT) return step;
  bool equal = current == expected;
  /* An unequal register destination stays as it is: a 32-bit write would clear its upper half. */
  if (equal || !isa_is_register(uop->operand[0]))
    step = isa_operand_write(isa, uop, 0, equal ? replacement : current);
  if (step != ISA_NEXT) return step;
  isa_compare(isa, expected, current, size);
  if (!equal) isa_gpr_write(isa, X86_RAX, size, current);
  return ISA_NEXT;
}

enum isa_step exec_xadd(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t target, addend;
  enum isa_step step = isa_operand_modify(isa, uop, 0, &target);
  if (step == ISA_NEXT) step = isa_operand_read(isa, uop, 1, &addend);
  if (step != ISA_NEXT) return step;
  uint64_t rflags = isa->state.rflags;
  uint64_t sum = alu_add(&rflags, target, addend, uop->operand[0].size);
  /* With the same register twice the sum stays, so the old value goes first. */
  if (isa_is_register(uop->operand[0])) isa_register_write(isa, uop->operand[1], target);
  step = isa_operand_write(isa, uop, 0, sum);
  if (step != ISA_NEXT) return step;
  if (!isa_is_register(uop->operand[0])) isa_register_write(isa, uop->operand[1], target);
  isa->state.rflags = rflags;
  return ISA_NEXT;
}
