/* SPDX-License-Identifier: MIT
 * MOVS, STOS, LODS, SCAS, CMPS. One call of a handler is one iteration: with iterations left, the
 * next instruction is the same one again, so an interrupt, the budget or a fault finds a state
 * from which it continues. An unfinished instruction is not counted as executed. */
#include "isa/x86/exec.h"

static bool is_repeated(const struct isa_uop *uop) {
  return uop->flags & (ISA_UOP_REP | ISA_UOP_REPNE);
}

bool isa_rep_is_done(const struct isa_x86 *isa, const struct isa_uop *uop) {
  return is_repeated(uop) && !(isa->state.gpr[X86_RCX] & isa_mask(uop->address_size));
}

void isa_rep_next(struct isa_x86 *isa, const struct isa_uop *uop, bool goes_on) {
  if (!is_repeated(uop)) return;
  uint64_t count = (isa->state.gpr[X86_RCX] - 1) & isa_mask(uop->address_size);
  isa_gpr_write(isa, X86_RCX, uop->address_size, count);
  if (count == 0 || !goes_on) return;
  isa->next_rip = isa->state.rip;
  isa->instructions--; /* the run loop counts one more */
}

void isa_string_advance(struct isa_x86 *isa, const struct isa_uop *uop, unsigned reg) {
  uint64_t step = uop->argument;
  if (isa->state.rflags & X86_RFLAGS_DF) step = 0 - step;
  isa_gpr_write(isa, reg, uop->address_size, isa->state.gpr[reg] + step);
}

uint64_t isa_string_linear(const struct isa_x86 *isa, const struct isa_uop *uop, unsigned reg) {
  uint64_t offset = isa->state.gpr[reg] & isa_mask(uop->address_size);
  return reg == X86_RSI ? isa_linear(isa, uop->override, offset) : offset;
}

static enum isa_step load_at(struct isa_x86 *isa, const struct isa_uop *uop, unsigned reg,
                             uint64_t *value) {
  return isa_load(isa, X86_DS, isa_string_linear(isa, uop, reg), uop->argument, value);
}

static enum isa_step store_at(struct isa_x86 *isa, const struct isa_uop *uop, uint64_t value) {
  return isa_store(isa, X86_ES, isa_string_linear(isa, uop, X86_RDI), uop->argument,
                   value & isa_mask(uop->argument));
}

enum isa_step exec_movs(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  if (isa_rep_is_done(isa, uop)) return ISA_NEXT;
  enum isa_step step = load_at(isa, uop, X86_RSI, &value);
  if (step == ISA_NEXT) step = store_at(isa, uop, value);
  if (step != ISA_NEXT) return step;
  isa_string_advance(isa, uop, X86_RSI);
  isa_string_advance(isa, uop, X86_RDI);
  isa_rep_next(isa, uop, true);
  return ISA_NEXT;
}

enum isa_step exec_stos(struct isa_x86 *isa, const struct isa_uop *uop) {
  if (isa_rep_is_done(isa, uop)) return ISA_NEXT;
  enum isa_step step = store_at(isa, uop, isa->state.gpr[X86_RAX]);
  if (step != ISA_NEXT) return step;
  isa_string_advance(isa, uop, X86_RDI);
  isa_rep_next(isa, uop, true);
  return ISA_NEXT;
}

enum isa_step exec_lods(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  if (isa_rep_is_done(isa, uop)) return ISA_NEXT;
  enum isa_step step = load_at(isa, uop, X86_RSI, &value);
  if (step != ISA_NEXT) return step;
  isa_gpr_write(isa, X86_RAX, uop->argument, value);
  isa_string_advance(isa, uop, X86_RSI);
  isa_rep_next(isa, uop, true);
  return ISA_NEXT;
}

/* REPE goes on while ZF is set, REPNE while it is clear. */
static bool comparison_goes_on(const struct isa_x86 *isa, const struct isa_uop *uop) {
  bool zero = isa->state.rflags & X86_RFLAGS_ZF;
  return uop->flags & ISA_UOP_REPNE ? !zero : zero;
}

enum isa_step exec_scas(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  if (isa_rep_is_done(isa, uop)) return ISA_NEXT;
  enum isa_step step = load_at(isa, uop, X86_RDI, &value);
  if (step != ISA_NEXT) return step;
  isa_compare(isa, isa->state.gpr[X86_RAX], value, uop->argument);
  isa_string_advance(isa, uop, X86_RDI);
  isa_rep_next(isa, uop, comparison_goes_on(isa, uop));
  return ISA_NEXT;
}

enum isa_step exec_cmps(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t first, second;
  if (isa_rep_is_done(isa, uop)) return ISA_NEXT;
  enum isa_step step = load_at(isa, uop, X86_RSI, &first);
  if (step == ISA_NEXT) step = load_at(isa, uop, X86_RDI, &second);
  if (step != ISA_NEXT) return step;
  isa_compare(isa, first, second, uop->argument);
  isa_string_advance(isa, uop, X86_RSI);
  isa_string_advance(isa, uop, X86_RDI);
  isa_rep_next(isa, uop, comparison_goes_on(isa, uop));
  return ISA_NEXT;
}
