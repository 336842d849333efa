/* SPDX-License-Identifier: MIT
 * Port input and output. The guard has asked check_io and the intercept before a handler runs,
 * for string instructions at each iteration. */
#include "isa/x86/exec.h"

enum { IO_MAP_BASE = 0x66 };

/* Immediate ports are 8 bits wide; the operand that holds one differs between IN and OUT. */
uint16_t isa_port(const struct isa_x86 *isa, const struct isa_uop *uop) {
  bool immediate = isa_port_is_immediate(uop);
  return (uint16_t)(immediate ? uop->immediate & 0xff : isa->state.gpr[X86_RDX]);
}

bool isa_port_is_immediate(const struct isa_uop *uop) {
  return uop->operand[0].kind == ISA_OPERAND_IMMEDIATE ||
         uop->operand[1].kind == ISA_OPERAND_IMMEDIATE;
}

/* String instructions have their size as argument, IN and OUT as that of the accumulator. */
unsigned isa_port_size(const struct isa_uop *uop) {
  if (uop->argument) return uop->argument;
  return uop->operand[uop->effect == exec_in ? 0 : 1].size;
}

/* One bit per port; the map ends where the TSS does. */
static enum isa_step check_bitmap(struct isa_x86 *isa, unsigned port, unsigned size) {
  const struct x86_segment *tss = &isa->state.segment[X86_TR];
  uint64_t map, bits;
  if (tss->limit < IO_MAP_BASE + 1) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  enum isa_step step = isa_system_load(isa, tss->base + IO_MAP_BASE, 2, &map);
  if (step != ISA_NEXT) return step;
  uint64_t offset = map + port / 8;
  if (offset + 1 > tss->limit) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  step = isa_system_load(isa, tss->base + offset, 2, &bits);
  if (step != ISA_NEXT) return step;
  bool denied = bits >> (port & 7) & ((1u << size) - 1);
  return denied ? isa_raise(isa, X86_EXCEPTION_GP, true, 0) : ISA_NEXT;
}

enum isa_step check_io(struct isa_x86 *isa, const struct isa_uop *uop) {
  if (isa_cpl(isa) <= (isa->state.rflags >> 12 & 3)) return ISA_NEXT;
  return check_bitmap(isa, isa_port(isa, uop), isa_port_size(uop));
}

enum isa_step exec_in(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint32_t value;
  enum isa_step step =
      isa->ops->port_in(isa->context, isa_port(isa, uop), isa_port_size(uop), &value);
  if (step == ISA_NEXT) isa_gpr_write(isa, X86_RAX, isa_port_size(uop), value);
  return step;
}

enum isa_step exec_out(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = isa_port_size(uop);
  uint32_t value = (uint32_t)(isa->state.gpr[X86_RAX] & isa_mask(size));
  return isa->ops->port_out(isa->context, isa_port(isa, uop), size, value);
}

/* The destination must be writable before the port is read: reading may change the device. */
enum isa_step exec_ins(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->argument;
  uint64_t linear = isa_string_linear(isa, uop, X86_RDI), old;
  uint32_t value;
  enum isa_step step = isa_load_for_write(isa, X86_ES, linear, size, &old);
  if (step == ISA_NEXT) step = isa->ops->port_in(isa->context, isa_port(isa, uop), size, &value);
  if (step == ISA_NEXT) step = isa_store(isa, X86_ES, linear, size, value & isa_mask(size));
  if (step != ISA_NEXT) return step;
  isa_string_advance(isa, uop, X86_RDI);
  isa_rep_next(isa, uop, true);
  return ISA_NEXT;
}

enum isa_step exec_outs(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->argument;
  uint64_t value;
  enum isa_step step = isa_load(isa, X86_DS, isa_string_linear(isa, uop, X86_RSI), size, &value);
  if (step == ISA_NEXT)
    step = isa->ops->port_out(isa->context, isa_port(isa, uop), size, (uint32_t)value);
  if (step != ISA_NEXT) return step;
  isa_string_advance(isa, uop, X86_RSI);
  isa_rep_next(isa, uop, true);
  return ISA_NEXT;
}
