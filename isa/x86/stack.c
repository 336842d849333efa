/* SPDX-License-Identifier: MIT
 * PUSH, POP and their kin. RSP moves only after the access has gone through. */
#include "isa/x86/exec.h"

enum isa_step isa_push(struct isa_x86 *isa, unsigned size, uint64_t value) {
  uint64_t rsp = isa->state.gpr[X86_RSP] - size;
  enum isa_step step = isa_store(isa, X86_SS, rsp, size, value & isa_mask(size));
  if (step == ISA_NEXT) isa->state.gpr[X86_RSP] = rsp;
  return step;
}

enum isa_step exec_push(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  if (uop->operand[0].kind == ISA_OPERAND_SEGMENT) {
    value = isa->state.segment[uop->operand[0].reg].selector;
  } else {
    enum isa_step step = isa_operand_read(isa, uop, 0, &value);
    if (step != ISA_NEXT) return step;
  }
  return isa_push(isa, uop->size, value);
}

/* An RSP-based memory operand counts from the incremented RSP; POP RSP keeps what was popped. */
enum isa_step exec_pop(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t rsp = isa->state.gpr[X86_RSP], value;
  enum isa_step step = isa_load(isa, X86_SS, rsp, uop->size, &value);
  if (step != ISA_NEXT) return step;
  if (uop->operand[0].kind == ISA_OPERAND_MEMORY) {
    isa->state.gpr[X86_RSP] = rsp + uop->size;
    uint64_t linear = isa_memory_linear(isa, uop);
    isa->state.gpr[X86_RSP] = rsp;
    step = isa_store(isa, uop->segment, linear, uop->size, value);
    if (step == ISA_NEXT) isa->state.gpr[X86_RSP] = rsp + uop->size;
    return step;
  }
  isa->state.gpr[X86_RSP] = rsp + uop->size;
  isa_register_write(isa, uop->operand[0], value);
  return ISA_NEXT;
}

enum isa_step exec_leave(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t rbp = isa->state.gpr[X86_RBP], value;
  enum isa_step step = isa_load(isa, X86_SS, rbp, uop->size, &value);
  if (step != ISA_NEXT) return step;
  isa->state.gpr[X86_RSP] = rbp + uop->size;
  isa_gpr_write(isa, X86_RBP, uop->size, value);
  return ISA_NEXT;
}

enum isa_step exec_pushf(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t hidden = X86_RFLAGS_VM | X86_RFLAGS_RF;
  return isa_push(isa, uop->size, isa->state.rflags & ~hidden);
}

enum isa_step exec_popf(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t rsp = isa->state.gpr[X86_RSP], value;
  enum isa_step step = isa_load(isa, X86_SS, rsp, uop->size, &value);
  if (step != ISA_NEXT) return step;
  isa->state.gpr[X86_RSP] = rsp + uop->size;
  isa_rflags_write(isa, value & ~(uint64_t)X86_RFLAGS_RF, uop->size, X86_RFLAGS_RF);
  return ISA_NEXT;
}
