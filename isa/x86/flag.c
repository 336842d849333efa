/* SPDX-License-Identifier: MIT
 * RFLAGS: conditions, single flags, the interrupt flag. */
#include "isa/x86/exec.h"

/* POPF and IRET: IOPL changes at CPL 0 only, IF where CPL permits it; 16-bit values leave the rest.
 * `extra`: flags beyond those of POPF that may change. SDM 2 "POPF", SDM 2 "IRET". */
void isa_rflags_write(struct isa_x86 *isa, uint64_t value, unsigned size, uint64_t extra) {
  enum { VIRTUAL_IF = 1 << 19, VIRTUAL_PENDING = 1 << 20, ID = 1 << 21 };
  uint64_t mask = ISA_FLAGS_ARITHMETIC | X86_RFLAGS_TF | X86_RFLAGS_DF | X86_RFLAGS_NT |
                  X86_RFLAGS_AC | ID | extra;
  unsigned cpl = isa_cpl(isa), iopl = isa->state.rflags >> 12 & 3;
  if (cpl == 0) mask |= X86_RFLAGS_IOPL;
  if (cpl <= iopl) mask |= X86_RFLAGS_IF;
  mask &= isa_mask(size);
  isa_flags_set(&isa->state.rflags, mask, value & mask);
}

enum isa_step exec_flag(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t *rflags = &isa->state.rflags;
  switch ((enum isa_flag)uop->argument) {
    case FLAG_CLC:
      *rflags &= ~(uint64_t)X86_RFLAGS_CF;
      break;
    case FLAG_STC:
      *rflags |= X86_RFLAGS_CF;
      break;
    case FLAG_CMC:
      *rflags ^= X86_RFLAGS_CF;
      break;
    case FLAG_CLD:
      *rflags &= ~(uint64_t)X86_RFLAGS_DF;
      break;
    case FLAG_STD:
      *rflags |= X86_RFLAGS_DF;
      break;
    case FLAG_CLAC:
      *rflags &= ~(uint64_t)X86_RFLAGS_AC;
      break;
    case FLAG_STAC:
      *rflags |= X86_RFLAGS_AC;
      break;
  }
  return ISA_NEXT;
}

enum { LOW_FLAGS = X86_RFLAGS_SF | X86_RFLAGS_ZF | X86_RFLAGS_AF | X86_RFLAGS_PF | X86_RFLAGS_CF };

enum isa_step exec_lahf(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  struct isa_operand ah = {ISA_OPERAND_HIGH_BYTE, X86_RAX, 1};
  isa_register_write(isa, ah, (isa->state.rflags & LOW_FLAGS) | X86_RFLAGS_FIXED);
  return ISA_NEXT;
}

enum isa_step exec_sahf(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  isa_flags_set(&isa->state.rflags, LOW_FLAGS, isa->state.gpr[X86_RAX] >> 8 & LOW_FLAGS);
  return ISA_NEXT;
}

static bool may_change_if(const struct isa_x86 *isa) {
  return isa_cpl(isa) <= (isa->state.rflags >> 12 & 3);
}

enum isa_step exec_cli(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  if (!may_change_if(isa)) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  isa->state.rflags &= ~(uint64_t)X86_RFLAGS_IF;
  return ISA_NEXT;
}

/* Interrupts stay blocked for one more instruction if they were off. */
enum isa_step exec_sti(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  if (!may_change_if(isa)) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  if (!(isa->state.rflags & X86_RFLAGS_IF)) isa->state.interruptibility |= 1;
  isa->state.rflags |= X86_RFLAGS_IF;
  return ISA_NEXT;
}
