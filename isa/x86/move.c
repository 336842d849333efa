/* SPDX-License-Identifier: MIT
 * Moves, conversions and conditional moves. */
#include "isa/x86/exec.h"

/* MOV, and MOVZX too: values are read zero-extended. */
enum isa_step exec_mov(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  enum isa_step step = isa_operand_read(isa, uop, 1, &value);
  return step == ISA_NEXT ? isa_operand_write(isa, uop, 0, value) : step;
}

static enum isa_step mov_register(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value = isa->state.gpr[uop->operand[1].reg];
  isa->state.gpr[uop->operand[0].reg] = value & isa_mask(uop->operand[0].size);
  return ISA_NEXT;
}

static enum isa_step mov_immediate(struct isa_x86 *isa, const struct isa_uop *uop) {
  isa->state.gpr[uop->operand[0].reg] = uop->immediate & isa_mask(uop->operand[0].size);
  return ISA_NEXT;
}

static enum isa_step mov_load(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  enum isa_step step =
      isa_load(isa, uop->segment, isa_memory_linear(isa, uop), uop->operand[1].size, &value);
  if (step == ISA_NEXT) isa->state.gpr[uop->operand[0].reg] = value;
  return step;
}

static enum isa_step mov_store(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value = isa->state.gpr[uop->operand[1].reg] & isa_mask(uop->operand[1].size);
  return isa_store(isa, uop->segment, isa_memory_linear(isa, uop), uop->operand[1].size, value);
}

/* MOV and MOVZX between wide registers, immediates and memory. */
isa_handler isa_mov_quick(const struct isa_uop *uop) {
  struct isa_operand to = uop->operand[0], from = uop->operand[1];
  if (to.kind == ISA_OPERAND_MEMORY) return isa_is_wide_register(from) ? mov_store : NULL;
  if (!isa_is_wide_register(to)) return NULL;
  if (from.kind == ISA_OPERAND_IMMEDIATE) return mov_immediate;
  if (from.kind == ISA_OPERAND_MEMORY) return mov_load;
  return isa_is_wide_register(from) ? mov_register : NULL;
}

enum isa_step exec_movsx(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  enum isa_step step = isa_operand_read(isa, uop, 1, &value);
  if (step != ISA_NEXT) return step;
  isa_register_write(isa, uop->operand[0], isa_sign_extend(value, uop->operand[1].size));
  return ISA_NEXT;
}

enum isa_step exec_lea(struct isa_x86 *isa, const struct isa_uop *uop) {
  isa_register_write(isa, uop->operand[0], isa_effective_address(isa, uop));
  return ISA_NEXT;
}

enum isa_step exec_xchg(struct isa_x86 *isa, const struct isa_uop *uop) {
  /* Zydis gives the memory operand first or second, as encoded. */
  unsigned memory = uop->operand[1].kind == ISA_OPERAND_MEMORY ? 1 : 0, other = 1 - memory;
  uint64_t a, b;
  enum isa_step step = isa_operand_modify(isa, uop, memory, &a);
  if (step == ISA_NEXT) step = isa_operand_read(isa, uop, other, &b);
  if (step == ISA_NEXT) step = isa_operand_write(isa, uop, memory, b);
  if (step != ISA_NEXT) return step;
  isa_register_write(isa, uop->operand[other], a);
  return ISA_NEXT;
}

/* CBW, CWDE, CDQE: the row's argument is the destination size. */
enum isa_step exec_widen(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->argument;
  isa_gpr_write(isa, X86_RAX, size, isa_sign_extend(isa->state.gpr[X86_RAX], size / 2));
  return ISA_NEXT;
}

/* CWD, CDQ, CQO: the sign of RAX fills RDX. */
enum isa_step exec_widen_pair(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->argument;
  uint64_t sign = isa_sign_extend(isa->state.gpr[X86_RAX], size) >> 63;
  isa_gpr_write(isa, X86_RDX, size, 0 - sign);
  return ISA_NEXT;
}

enum isa_step exec_setcc(struct isa_x86 *isa, const struct isa_uop *uop) {
  return isa_operand_write(isa, uop, 0, isa_condition_holds(isa->state.rflags, uop->argument));
}

/* The source is read, and the upper half of a 32-bit destination cleared, either way. */
enum isa_step exec_cmovcc(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  enum isa_step step = isa_operand_read(isa, uop, 1, &value);
  if (step != ISA_NEXT) return step;
  if (!isa_condition_holds(isa->state.rflags, uop->argument))
    value = isa_register_read(isa, uop->operand[0]);
  isa_register_write(isa, uop->operand[0], value);
  return ISA_NEXT;
}

enum isa_step exec_nop(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)isa;
  (void)uop;
  return ISA_NEXT;
}
