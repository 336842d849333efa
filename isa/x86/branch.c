/* SPDX-License-Identifier: MIT
 * Jumps, calls, returns, loops and the instructions that raise or leave an interrupt. */
#include "isa/x86/exec.h"

static enum isa_step jump_to(struct isa_x86 *isa, uint64_t target) {
  if (!isa_is_canonical(isa, target)) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  isa->next_rip = target;
  return ISA_NEXT;
}

enum isa_step exec_jcc(struct isa_x86 *isa, const struct isa_uop *uop) {
  if (!isa_condition_holds(isa->state.rflags, uop->argument)) return ISA_NEXT;
  return jump_to(isa, isa->next_rip + uop->immediate);
}

/* Relative immediates count from the next instruction; registers and memory hold the target. */
static enum isa_step branch_target(struct isa_x86 *isa, const struct isa_uop *uop,
                                   uint64_t *target) {
  enum isa_step step = isa_operand_read(isa, uop, 0, target);
  if (step == ISA_NEXT && uop->operand[0].kind == ISA_OPERAND_IMMEDIATE) *target += isa->next_rip;
  return step;
}

enum isa_step exec_jmp(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t target;
  enum isa_step step = branch_target(isa, uop, &target);
  return step == ISA_NEXT ? jump_to(isa, target) : step;
}

enum isa_step exec_call(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t target, back = isa->next_rip;
  enum isa_step step = branch_target(isa, uop, &target);
  if (step != ISA_NEXT) return step;
  if (!isa_is_canonical(isa, target)) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  step = isa_push(isa, 8, back);
  if (step == ISA_NEXT) isa->next_rip = target;
  return step;
}

enum isa_step exec_ret(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t rsp = isa->state.gpr[X86_RSP], target;
  enum isa_step step = isa_load(isa, X86_SS, rsp, 8, &target);
  if (step == ISA_NEXT) step = jump_to(isa, target);
  if (step != ISA_NEXT) return step;
  isa->state.gpr[X86_RSP] = rsp + 8 + (uop->immediate & 0xffff);
  return ISA_NEXT;
}

enum isa_step exec_loop(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t count = (isa->state.gpr[X86_RCX] - 1) & isa_mask(uop->address_size);
  bool zero = isa->state.rflags & X86_RFLAGS_ZF, taken = count != 0;
  if (uop->argument == LOOP_WHILE_ZERO) taken &= zero;
  if (uop->argument == LOOP_WHILE_NOT_ZERO) taken &= !zero;
  if (taken) {
    enum isa_step step = jump_to(isa, isa->next_rip + uop->immediate);
    if (step != ISA_NEXT) return step;
  }
  isa_gpr_write(isa, X86_RCX, uop->address_size, count);
  return ISA_NEXT;
}

enum isa_step exec_jrcxz(struct isa_x86 *isa, const struct isa_uop *uop) {
  if (isa->state.gpr[X86_RCX] & isa_mask(uop->argument)) return ISA_NEXT;
  return jump_to(isa, isa->next_rip + uop->immediate);
}

/* INT n, INT3, INT1: the row's argument is the event type, which exception.c reads back. */
enum isa_step exec_int(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned vector = (unsigned)uop->immediate & 0xff;
  if (uop->argument == EVENT_SOFTWARE_EXCEPTION) vector = X86_EXCEPTION_BP;
  if (uop->argument == EVENT_PRIVILEGED_SOFTWARE) vector = X86_EXCEPTION_DB;
  isa_raise(isa, vector, false, 0);
  isa->fault.software = true;
  return ISA_FAULT;
}

/* What a far return took off the stack. */
struct far_frame {
  uint64_t rip, cs, rflags, rsp, ss;
};

static enum isa_step load_frame(struct isa_x86 *isa, unsigned size, unsigned count,
                                uint64_t *values) {
  uint64_t rsp = isa->state.gpr[X86_RSP];
  for (unsigned i = 0; i < count; i++) {
    enum isa_step step = isa_load(isa, X86_SS, rsp + i * size, size, &values[i]);
    if (step != ISA_NEXT) return step;
  }
  return ISA_NEXT;
}

static enum isa_step load_return_code(struct isa_x86 *isa, uint16_t selector,
                                      struct isa_descriptor *code) {
  if ((selector & 3u) < isa_cpl(isa)) return isa_raise(isa, X86_EXCEPTION_GP, true, selector & ~3u);
  enum isa_step step = isa_descriptor_load(isa, selector, X86_EXCEPTION_GP, 0, code);
  return step == ISA_NEXT ? isa_code_check(isa, code) : step;
}

/* The common end of RETF and IRET: everything is checked before anything is changed. */
static enum isa_step far_return(struct isa_x86 *isa, const struct far_frame *frame,
                                bool takes_stack) {
  struct isa_descriptor code, stack = {0};
  unsigned cpl = frame->cs & 3, old_cpl = isa_cpl(isa);
  enum isa_step step = load_return_code(isa, (uint16_t)frame->cs, &code);
  if (step == ISA_NEXT && takes_stack)
    step = isa_stack_check(isa, (uint16_t)frame->ss, cpl, &stack);
  if (step != ISA_NEXT) return step;
  if (!isa_is_canonical(isa, frame->rip)) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  isa_segment_set(isa, X86_CS, &code);
  if (takes_stack) isa_stack_set(isa, &stack, cpl);
  isa->state.gpr[X86_RSP] = frame->rsp;
  isa->next_rip = frame->rip;
  if (cpl != old_cpl) isa_outer_return(isa, cpl);
  return ISA_NEXT;
}

enum isa_step exec_retf(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->size;
  uint64_t released = uop->immediate & 0xffff, value[2], outer[2] = {0, 0};
  uint64_t rsp = isa->state.gpr[X86_RSP];
  enum isa_step step = load_frame(isa, size, 2, value);
  if (step != ISA_NEXT) return step;
  struct far_frame frame = {.rip = value[0], .cs = value[1]};
  bool outwards = (frame.cs & 3) > isa_cpl(isa);
  frame.rsp = rsp + 2 * size + released;
  if (outwards) {
    step = isa_load(isa, X86_SS, frame.rsp, size, &outer[0]);
    if (step == ISA_NEXT) step = isa_load(isa, X86_SS, frame.rsp + size, size, &outer[1]);
    if (step != ISA_NEXT) return step;
    frame.rsp = outer[0] + released;
    frame.ss = outer[1];
  }
  return far_return(isa, &frame, outwards);
}

/* In 64-bit mode IRET always takes five values. SDM 2 "IRET/IRETD/IRETQ". */
enum isa_step exec_iret(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->argument, cpl = isa_cpl(isa);
  uint64_t value[5], old_rflags = isa->state.rflags;
  if (old_rflags & X86_RFLAGS_NT) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  enum isa_step step = load_frame(isa, size, 5, value);
  if (step != ISA_NEXT) return step;
  struct far_frame frame = {value[0], value[1], value[2], value[3], value[4]};
  step = far_return(isa, &frame, true);
  if (step != ISA_NEXT) return step;
  /* IF and IOPL are judged by the old CPL. */
  uint32_t *rights = &isa->state.segment[X86_SS].access_rights, new_rights = *rights;
  *rights = (*rights & ~(3u << 5)) | cpl << 5;
  isa_rflags_write(isa, frame.rflags, size, size > 2 ? X86_RFLAGS_RF : 0);
  *rights = new_rights;
  isa->state.interruptibility &= ~8u; /* NMIs are open again */
  return ISA_NEXT;
}
