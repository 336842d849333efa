/* SPDX-License-Identifier: MIT
 * Requests: what the environment learns of an instruction before it acts, and the VMX
 * instructions, of which the interpreter knows nothing else. */
#include "isa/x86/exec.h"

static void fill_memory(const struct isa_x86 *isa, const struct isa_uop *uop,
                        struct isa_memory_operand *memory) {
  uint64_t after = isa->state.rip + uop->length;
  bool relative = uop->base == ISA_BASE_RIP;
  memory->linear = isa_memory_linear(isa, uop);
  /* With RIP-relative addressing the exit qualification holds the sum. SDM 3C "Basic VM-Exit
   * Information". */
  memory->displacement = relative ? uop->displacement + after : uop->displacement;
  memory->segment = uop->segment;
  memory->base = relative ? (uint8_t)ISA_NO_REGISTER : uop->base;
  memory->index = uop->index;
  memory->scale = uop->scale;
  memory->address_size = uop->address_size;
}

static bool has_memory(const struct isa_uop *uop) {
  return uop->operand[0].kind == ISA_OPERAND_MEMORY || uop->operand[1].kind == ISA_OPERAND_MEMORY;
}

static void fill_operands(const struct isa_x86 *isa, const struct isa_uop *uop,
                          struct isa_request *request) {
  request->memory_form = has_memory(uop);
  request->reg1 = uop->modrm_rm;
  request->reg2 = uop->modrm_reg;
  if (request->memory_form) fill_memory(isa, uop, &request->memory);
}

static void fill_port(const struct isa_x86 *isa, const struct isa_uop *uop,
                      struct isa_request *request) {
  request->port = isa_port(isa, uop);
  request->size = (uint8_t)isa_port_size(uop);
  request->in = uop->effect == exec_in || uop->effect == exec_ins;
  request->string = uop->argument != 0;
  request->rep = request->string && uop->flags;
  request->immediate = isa_port_is_immediate(uop);
  if (!request->string) return;
  unsigned reg = request->in ? X86_RDI : X86_RSI;
  request->memory_form = true;
  request->memory = (struct isa_memory_operand){
      .linear = isa_string_linear(isa, uop, reg),
      .segment = request->in ? (uint8_t)X86_ES : uop->override,
      .base = (uint8_t)reg,
      .index = ISA_NO_REGISTER,
      .address_size = uop->address_size,
  };
}

static enum isa_step fill_control(struct isa_x86 *isa, const struct isa_uop *uop,
                                  struct isa_request *request) {
  uint64_t source = 0;
  request->cr_access = (enum isa_cr_access)uop->argument;
  if (uop->argument == ISA_CR_LMSW) {
    request->memory_form = has_memory(uop);
    if (request->memory_form) fill_memory(isa, uop, &request->memory);
    enum isa_step step = isa_operand_read(isa, uop, 0, &source);
    request->lmsw = (uint16_t)source;
    request->gpr = uop->modrm_rm;
    return step;
  }
  bool to = uop->argument == ISA_CR_TO;
  request->cr = uop->operand[to ? 0 : 1].reg;
  request->gpr = uop->operand[to ? 1 : 0].reg;
  return ISA_NEXT;
}

static void fill_table(const struct isa_x86 *isa, const struct isa_uop *uop,
                       struct isa_request *request) {
  request->table = uop->argument;
  request->table_local = uop->effect == exec_local;
  fill_operands(isa, uop, request);
}

enum isa_step isa_request_fill(struct isa_x86 *isa, const struct isa_uop *uop,
                               struct isa_request *request) {
  *request = (struct isa_request){.intercept = (enum isa_intercept)uop->intercept,
                                  .length = uop->length,
                                  .size = uop->size,
                                  .reg1 = ISA_NO_REGISTER,
                                  .reg2 = ISA_NO_REGISTER};
  switch (request->intercept) {
    case ISA_INTERCEPT_IO:
      fill_port(isa, uop, request);
      break;
    case ISA_INTERCEPT_MOV_CR:
    case ISA_INTERCEPT_MOV_DR:
      return fill_control(isa, uop, request);
    case ISA_INTERCEPT_RDMSR:
    case ISA_INTERCEPT_WRMSR:
      request->msr = (uint32_t)isa->state.gpr[X86_RCX];
      break;
    case ISA_INTERCEPT_DESCRIPTOR_TABLE:
      fill_table(isa, uop, request);
      break;
    case ISA_INTERCEPT_INVLPG:
    case ISA_INTERCEPT_INVPCID:
    case ISA_INTERCEPT_RDRAND:
    case ISA_INTERCEPT_RDSEED:
      request->size = uop->operand[0].size;
      fill_operands(isa, uop, request);
      break;
    case ISA_INTERCEPT_VMX:
      request->vmx = (enum isa_vmx_operation)uop->argument;
      fill_operands(isa, uop, request);
      break;
    case ISA_INTERCEPT_NONE:
    case ISA_INTERCEPT_CPUID:
    case ISA_INTERCEPT_HLT:
    case ISA_INTERCEPT_INVD:
    case ISA_INTERCEPT_WBINVD:
    case ISA_INTERCEPT_RDTSC:
    case ISA_INTERCEPT_RDTSCP:
    case ISA_INTERCEPT_RDPMC:
    case ISA_INTERCEPT_XSETBV:
    case ISA_INTERCEPT_PAUSE:
    case ISA_INTERCEPT_MWAIT:
    case ISA_INTERCEPT_MONITOR:
      break;
  }
  return ISA_NEXT;
}

/* The hot path of native hypervisors: filled without the detour through isa_request_fill. */
enum isa_step exec_vmx(struct isa_x86 *isa, const struct isa_uop *uop) {
  struct isa_request request = {.intercept = ISA_INTERCEPT_VMX,
                                .length = uop->length,
                                .size = uop->operand[0].size,
                                .vmx = (enum isa_vmx_operation)uop->argument};
  fill_operands(isa, uop, &request);
  return isa->ops->vmx(isa->context, &request);
}
