/* SPDX-License-Identifier: MIT
 * Reading and writing the operands of a micro-operation. Inside isa/x86 only. */
#ifndef ISA_X86_OPERAND_H
#define ISA_X86_OPERAND_H

#include "isa/x86/uop.h"

static inline uint64_t isa_mask(unsigned size) {
  return ~UINT64_C(0) >> (64 - 8 * size);
}

static inline uint64_t isa_sign_extend(uint64_t value, unsigned size) {
  unsigned shift = 64 - 8 * size;
  return (uint64_t)((int64_t)(value << shift) >> shift);
}

/* In 64-bit mode and VMX alike CPL is SS.DPL. */
static inline unsigned isa_cpl(const struct isa_x86 *isa) {
  return isa->state.segment[X86_SS].access_rights >> 5 & 3;
}

static inline bool isa_is_canonical(const struct isa_x86 *isa, uint64_t linear) {
  unsigned unused = isa->state.cr4 >> 12 & 1 ? 7 : 16; /* CR4.LA57 */
  return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

static inline uint64_t isa_effective_address(const struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t address = uop->displacement;
  if (uop->base < X86_GPR_COUNT)
    address += isa->state.gpr[uop->base];
  else if (uop->base == ISA_BASE_RIP)
    address += isa->state.rip + uop->length;
  if (uop->index < X86_GPR_COUNT) address += isa->state.gpr[uop->index] << uop->scale;
  return address & isa_mask(uop->address_size);
}

/* In 64-bit mode only FS and GS have a base. */
static inline uint64_t isa_linear(const struct isa_x86 *isa, unsigned segment, uint64_t offset) {
  return segment >= X86_FS ? isa->state.segment[segment].base + offset : offset;
}

static inline uint64_t isa_memory_linear(const struct isa_x86 *isa, const struct isa_uop *uop) {
  return isa_linear(isa, uop->segment, isa_effective_address(isa, uop));
}

static inline enum isa_step isa_check_canonical(struct isa_x86 *isa, unsigned segment,
                                                uint64_t linear) {
  if (isa_is_canonical(isa, linear)) return ISA_NEXT;
  return isa_raise(isa, segment == X86_SS ? X86_EXCEPTION_SS : X86_EXCEPTION_GP, true, 0);
}

/* Data access with the canonical check in front: #SS(0) through SS, #GP(0) otherwise. */
static inline enum isa_step isa_load(struct isa_x86 *isa, unsigned segment, uint64_t linear,
                                     unsigned size, uint64_t *value) {
  enum isa_step step = isa_check_canonical(isa, segment, linear);
  return step == ISA_NEXT ? isa->ops->load(isa->context, linear, size, value) : step;
}

static inline enum isa_step isa_store(struct isa_x86 *isa, unsigned segment, uint64_t linear,
                                      unsigned size, uint64_t value) {
  enum isa_step step = isa_check_canonical(isa, segment, linear);
  return step == ISA_NEXT ? isa->ops->store(isa->context, linear, size, value) : step;
}

static inline enum isa_step isa_load_for_write(struct isa_x86 *isa, unsigned segment,
                                               uint64_t linear, unsigned size, uint64_t *value) {
  enum isa_step step = isa_check_canonical(isa, segment, linear);
  return step == ISA_NEXT ? isa->ops->load_for_write(isa->context, linear, size, value) : step;
}

static inline uint64_t isa_register_read(const struct isa_x86 *isa, struct isa_operand operand) {
  uint64_t value = isa->state.gpr[operand.reg];
  return (operand.kind == ISA_OPERAND_HIGH_BYTE ? value >> 8 : value) & isa_mask(operand.size);
}

/* Writes the low `size` bytes of a register: 4 bytes clear the upper half, 1 and 2 keep the rest.
 */
static inline void isa_gpr_write(struct isa_x86 *isa, unsigned reg, unsigned size, uint64_t value) {
  uint64_t kept = size >= 4 ? 0 : isa->state.gpr[reg] & ~isa_mask(size);
  isa->state.gpr[reg] = kept | (value & isa_mask(size));
}

static inline void isa_register_write(struct isa_x86 *isa, struct isa_operand operand,
                                      uint64_t value) {
  if (operand.kind == ISA_OPERAND_HIGH_BYTE)
    isa->state.gpr[operand.reg] = (isa->state.gpr[operand.reg] & ~UINT64_C(0xff00)) | (value & 0xff)
                                                                                          << 8;
  else
    isa_gpr_write(isa, operand.reg, operand.size, value);
}

static inline bool isa_is_register(struct isa_operand operand) {
  return operand.kind == ISA_OPERAND_REGISTER || operand.kind == ISA_OPERAND_HIGH_BYTE;
}

/* The value of operand n, zero-extended from its size. */
static inline enum isa_step isa_operand_read(struct isa_x86 *isa, const struct isa_uop *uop,
                                             unsigned n, uint64_t *value) {
  struct isa_operand operand = uop->operand[n];
  if (operand.kind <= ISA_OPERAND_HIGH_BYTE) {
    *value = isa_register_read(isa, operand);
    return ISA_NEXT;
  }
  if (operand.kind == ISA_OPERAND_IMMEDIATE) {
    *value = uop->immediate;
    return ISA_NEXT;
  }
  return isa_load(isa, uop->segment, isa_memory_linear(isa, uop), operand.size, value);
}

/* Operand n of a read-modify-write instruction: the write access is checked with the read. */
static inline enum isa_step isa_operand_modify(struct isa_x86 *isa, const struct isa_uop *uop,
                                               unsigned n, uint64_t *value) {
  struct isa_operand operand = uop->operand[n];
  if (operand.kind <= ISA_OPERAND_HIGH_BYTE) {
    *value = isa_register_read(isa, operand);
    return ISA_NEXT;
  }
  return isa_load_for_write(isa, uop->segment, isa_memory_linear(isa, uop), operand.size, value);
}

static inline enum isa_step isa_operand_write(struct isa_x86 *isa, const struct isa_uop *uop,
                                              unsigned n, uint64_t value) {
  struct isa_operand operand = uop->operand[n];
  if (operand.kind <= ISA_OPERAND_HIGH_BYTE) {
    isa_register_write(isa, operand, value);
    return ISA_NEXT;
  }
  return isa_store(isa, uop->segment, isa_memory_linear(isa, uop), operand.size,
                   value & isa_mask(operand.size));
}

/* ZF, SF and PF of a result that is already cut to its size. */
static inline uint64_t isa_flags_of(uint64_t result, unsigned size) {
  uint64_t flags = (result >> (8 * size - 1)) << 7; /* SF is bit 7 */
  if (result == 0) flags |= X86_RFLAGS_ZF;
  if (!__builtin_parity((unsigned)result & 0xff)) flags |= X86_RFLAGS_PF;
  return flags;
}

enum {
  ISA_FLAGS_ARITHMETIC =
      X86_RFLAGS_CF | X86_RFLAGS_PF | X86_RFLAGS_AF | X86_RFLAGS_ZF | X86_RFLAGS_SF | X86_RFLAGS_OF
};

static inline void isa_flags_set(uint64_t *rflags, uint64_t mask, uint64_t flags) {
  *rflags = (*rflags & ~mask) | flags;
}

#endif
