/* SPDX-License-Identifier: MIT
 * System instructions: checks that come before the intercept, and effects. */
#include "isa/x86/exec.h"

#define CR4_TSD (UINT64_C(1) << 2)
#define CR4_DE (UINT64_C(1) << 3)
#define CR4_PCE (UINT64_C(1) << 8)
#define CR4_UMIP (UINT64_C(1) << 11)
#define DR7_GD (UINT64_C(1) << 13)
#define DR6_BD (UINT64_C(1) << 13)

static enum isa_step raise_gp(struct isa_x86 *isa) {
  return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
}

static enum isa_step raise_ud(struct isa_x86 *isa) {
  return isa_raise(isa, X86_EXCEPTION_UD, false, 0);
}

enum isa_step check_mov_cr(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned number = uop->operand[uop->argument == ISA_CR_TO ? 0 : 1].reg;
  bool exists = number == 0 || (number >= 2 && number <= 4) || number == 8;
  return exists ? ISA_NEXT : raise_ud(isa);
}

/* DR4 and DR5 are names of DR6 and DR7 unless CR4.DE is set. */
enum isa_step check_mov_dr(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned number = uop->operand[uop->argument == ISA_CR_TO ? 0 : 1].reg;
  bool alias = number == 4 || number == 5;
  return number > 7 || (alias && isa->state.cr4 & CR4_DE) ? raise_ud(isa) : ISA_NEXT;
}

enum isa_step check_tsc(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  return isa->state.cr4 & CR4_TSD && isa_cpl(isa) ? raise_gp(isa) : ISA_NEXT;
}

enum isa_step check_rdpmc(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  return !(isa->state.cr4 & CR4_PCE) && isa_cpl(isa) ? raise_gp(isa) : ISA_NEXT;
}

enum isa_step check_osxsave(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  return isa->state.cr4 & X86_CR4_OSXSAVE ? ISA_NEXT : raise_ud(isa);
}

enum isa_step check_umip(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  return isa->state.cr4 & CR4_UMIP && isa_cpl(isa) ? raise_gp(isa) : ISA_NEXT;
}

/* MONITOR and MWAIT do not exist outside CPL 0. */
enum isa_step check_monitor(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  return isa_cpl(isa) ? raise_ud(isa) : ISA_NEXT;
}

enum isa_step exec_cpuid(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  uint64_t *gpr = isa->state.gpr;
  uint32_t out[4] = {0, 0, 0, 0};
  isa->ops->cpuid(isa->context, (uint32_t)gpr[X86_RAX], (uint32_t)gpr[X86_RCX], out);
  gpr[X86_RAX] = out[0];
  gpr[X86_RBX] = out[1];
  gpr[X86_RCX] = out[2];
  gpr[X86_RDX] = out[3];
  return ISA_NEXT;
}

/* The run loop sees the activity state after the instruction is complete. */
enum isa_step exec_hlt(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  isa->state.activity = 1;
  return ISA_NEXT;
}

static void write_edx_eax(struct isa_x86 *isa, uint64_t value) {
  isa->state.gpr[X86_RAX] = (uint32_t)value;
  isa->state.gpr[X86_RDX] = value >> 32;
}

static uint64_t read_edx_eax(const struct isa_x86 *isa) {
  return isa->state.gpr[X86_RDX] << 32 | (uint32_t)isa->state.gpr[X86_RAX];
}

/* The row's argument says whether it is RDTSCP. */
enum isa_step exec_rdtsc(struct isa_x86 *isa, const struct isa_uop *uop) {
  write_edx_eax(isa, isa->ops->tsc(isa->context));
  if (uop->argument) isa->state.gpr[X86_RCX] = (uint32_t)isa->state.tsc_aux;
  return ISA_NEXT;
}

enum isa_step exec_rdmsr(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  uint64_t value;
  enum isa_step step = isa->ops->read_msr(isa->context, (uint32_t)isa->state.gpr[X86_RCX], &value);
  if (step == ISA_NEXT) write_edx_eax(isa, value);
  return step;
}

enum isa_step exec_wrmsr(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  return isa->ops->write_msr(isa->context, (uint32_t)isa->state.gpr[X86_RCX], read_edx_eax(isa));
}

enum isa_step exec_mov_cr(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value;
  if (uop->argument == ISA_CR_TO)
    return isa->ops->write_cr(isa->context, uop->operand[0].reg,
                              isa->state.gpr[uop->operand[1].reg]);
  enum isa_step step = isa->ops->read_cr(isa->context, uop->operand[1].reg, &value);
  if (step == ISA_NEXT) isa->state.gpr[uop->operand[0].reg] = value;
  return step;
}

/* Bits of DR6 and DR7 that read as 1. SDM 3B "Debug Registers". */
static uint64_t fixed_debug_bits(unsigned number, uint64_t value) {
  if (number == 6) return (value & ~UINT64_C(0x1000)) | UINT64_C(0xffff0ff0);
  if (number == 7) return (value & ~UINT64_C(0xd000)) | UINT64_C(0x400);
  return value;
}

/* The exit goes before general detection, so DR7.GD is looked at only here. */
enum isa_step exec_mov_dr(struct isa_x86 *isa, const struct isa_uop *uop) {
  bool to = uop->argument == ISA_CR_TO;
  unsigned number = uop->operand[to ? 0 : 1].reg;
  uint64_t *gpr = &isa->state.gpr[uop->operand[to ? 1 : 0].reg];
  if (number == 4 || number == 5) number += 2;
  if (isa->state.dr[7] & DR7_GD) {
    isa_raise(isa, X86_EXCEPTION_DB, false, 0);
    isa->fault.address = DR6_BD;
    return ISA_FAULT;
  }
  if (!to) {
    *gpr = isa->state.dr[number];
    return ISA_NEXT;
  }
  if (number >= 6 && *gpr >> 32) return raise_gp(isa);
  isa->state.dr[number] = fixed_debug_bits(number, *gpr);
  return ISA_NEXT;
}

/* read_cr answers with the guest's view and write_cr leaves bits that a hypervisor owns, so a
 * CLTS that did not exit does nothing to them. */
enum isa_step exec_clts(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  uint64_t cr0;
  enum isa_step step = isa->ops->read_cr(isa->context, 0, &cr0);
  return step == ISA_NEXT ? isa->ops->write_cr(isa->context, 0, cr0 & ~X86_CR0_TS) : step;
}

/* LMSW loads bits 3:0 and can set PE, never clear it. */
enum isa_step exec_lmsw(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t cr0, source;
  enum isa_step step = isa_operand_read(isa, uop, 0, &source);
  if (step == ISA_NEXT) step = isa->ops->read_cr(isa->context, 0, &cr0);
  if (step != ISA_NEXT) return step;
  return isa->ops->write_cr(isa->context, 0, (cr0 & ~UINT64_C(0xe)) | (source & 0xf));
}

enum isa_step exec_smsw(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t cr0;
  enum isa_step step = isa->ops->read_cr(isa->context, 0, &cr0);
  return step == ISA_NEXT ? isa_operand_write(isa, uop, 0, cr0) : step;
}

enum isa_step exec_invlpg(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t linear = isa_memory_linear(isa, uop);
  /* A non-canonical address is no fault here, and nothing is cached for it. */
  return isa_is_canonical(isa, linear) ? isa->ops->invlpg(isa->context, linear) : ISA_NEXT;
}

/* XCR0: x87 always, AVX needs SSE; nothing beyond these is modelled. */
enum isa_step exec_xsetbv(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  uint64_t value = read_edx_eax(isa);
  bool avx_without_sse = (value & 6) == 4;
  if ((uint32_t)isa->state.gpr[X86_RCX] != 0 || !(value & 1) || value > 7 || avx_without_sse)
    return raise_gp(isa);
  isa->state.xcr0 = value;
  return ISA_NEXT;
}

enum isa_step exec_xgetbv(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  if ((uint32_t)isa->state.gpr[X86_RCX] != 0) return raise_gp(isa);
  write_edx_eax(isa, isa->state.xcr0);
  return ISA_NEXT;
}

enum isa_step exec_swapgs(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  uint64_t base = isa->state.segment[X86_GS].base;
  isa->state.segment[X86_GS].base = isa->state.kernel_gs_base;
  isa->state.kernel_gs_base = base;
  return ISA_NEXT;
}

enum isa_step exec_not_modelled(struct isa_x86 *isa, const struct isa_uop *uop) {
  return isa_stop(isa, "instruction not modelled", uop->bytes, uop->length);
}
