/* SPDX-License-Identifier: MIT
 * Bytes to micro-operations. The only file beside the disassembler that knows Zydis. */
#include <string.h>

#include <Zydis/Zydis.h>

#include "isa/x86/exec.h"

struct row {
  isa_handler handler;
  isa_handler check;
  uint8_t argument;
  uint8_t privilege;
  uint8_t intercept;
};

#define ISA_NO_CHECK NULL

#define ISA_INSN(name, handler, argument, privilege, check, intercept) \
  [ZYDIS_MNEMONIC_##name] = {handler, check, argument, privilege, ISA_INTERCEPT_##intercept},
#define ISA_FORM(name, handler, argument, privilege, check, intercept)
static const struct row rows[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#include "isa/x86/insn.def"
};
#undef ISA_INSN
#undef ISA_FORM

#define ISA_INSN(name, handler, argument, privilege, check, intercept)
#define ISA_FORM(name, handler, argument, privilege, check, intercept) FORM_##name,
enum form {
#include "isa/x86/insn.def"
  FORM_COUNT
};
#undef ISA_FORM

#define ISA_FORM(name, handler, argument, privilege, check, intercept) \
  [FORM_##name] = {handler, check, argument, privilege, ISA_INTERCEPT_##intercept},
static const struct row forms[FORM_COUNT] = {
#include "isa/x86/insn.def"
};
#undef ISA_INSN
#undef ISA_FORM

struct decoded {
  ZydisDecodedInstruction insn;
  ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

enum isa_step exec_undefined(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  return isa_raise(isa, X86_EXCEPTION_UD, false, 0);
}

enum isa_step exec_too_long(struct isa_x86 *isa, const struct isa_uop *uop) {
  (void)uop;
  return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
}

/* General register number of a Zydis register, ISA_NO_REGISTER if it is none. */
static uint8_t general_register(ZydisRegister reg) {
  int number = (int)reg;
  if (number >= ZYDIS_REGISTER_RAX && number <= ZYDIS_REGISTER_R15)
    return (uint8_t)(number - ZYDIS_REGISTER_RAX);
  if (number >= ZYDIS_REGISTER_EAX && number <= ZYDIS_REGISTER_R15D)
    return (uint8_t)(number - ZYDIS_REGISTER_EAX);
  if (number >= ZYDIS_REGISTER_AX && number <= ZYDIS_REGISTER_R15W)
    return (uint8_t)(number - ZYDIS_REGISTER_AX);
  if (number >= ZYDIS_REGISTER_AL && number <= ZYDIS_REGISTER_BL)
    return (uint8_t)(number - ZYDIS_REGISTER_AL);
  if (number >= ZYDIS_REGISTER_SPL && number <= ZYDIS_REGISTER_R15B)
    return (uint8_t)(number - ZYDIS_REGISTER_SPL + X86_RSP);
  return ISA_NO_REGISTER;
}

/* A range of Zydis registers and the operand kind they make. */
struct register_range {
  ZydisRegister first, last;
  enum isa_operand_kind kind;
};

static const struct register_range register_ranges[] = {
    {ZYDIS_REGISTER_AH, ZYDIS_REGISTER_BH, ISA_OPERAND_HIGH_BYTE},
    {ZYDIS_REGISTER_ES, ZYDIS_REGISTER_GS, ISA_OPERAND_SEGMENT},
    {ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR15, ISA_OPERAND_CONTROL},
    {ZYDIS_REGISTER_DR0, ZYDIS_REGISTER_DR15, ISA_OPERAND_DEBUG},
};

static bool set_register(struct isa_operand *to, ZydisRegister reg) {
  uint8_t number = general_register(reg);
  if (number != ISA_NO_REGISTER) {
    to->kind = ISA_OPERAND_REGISTER;
    to->reg = number;
    return true;
  }
  for (size_t i = 0; i < sizeof register_ranges / sizeof *register_ranges; i++) {
    const struct register_range *range = &register_ranges[i];
    if (reg < range->first || reg > range->last) continue;
    to->kind = (uint8_t)range->kind;
    to->reg = (uint8_t)(reg - range->first);
    return true;
  }
  return false;
}

static bool set_memory(struct isa_uop *uop, const ZydisDecodedOperandMem *memory) {
  if (memory->type != ZYDIS_MEMOP_TYPE_MEM && memory->type != ZYDIS_MEMOP_TYPE_AGEN) return false;
  bool relative = memory->base == ZYDIS_REGISTER_RIP || memory->base == ZYDIS_REGISTER_EIP;
  static const uint8_t log2_of[9] = {[2] = 1, [4] = 2, [8] = 3};
  uop->base = relative ? (uint8_t)ISA_BASE_RIP : general_register(memory->base);
  uop->index = general_register(memory->index);
  uop->scale = log2_of[memory->scale > 8 ? 0 : memory->scale];
  uop->displacement = memory->disp.has_displacement ? (uint64_t)memory->disp.value : 0;
  if (memory->segment >= ZYDIS_REGISTER_ES && memory->segment <= ZYDIS_REGISTER_GS)
    uop->segment = (uint8_t)(memory->segment - ZYDIS_REGISTER_ES);
  return true;
}

static bool set_operand(struct isa_uop *uop, unsigned n, const ZydisDecodedOperand *from) {
  struct isa_operand *to = &uop->operand[n];
  to->size = (uint8_t)(from->size / 8);
  if (from->type == ZYDIS_OPERAND_TYPE_REGISTER) {
    if (!set_register(to, from->reg.value)) return false;
    if (from->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG) uop->modrm_reg = to->reg;
    if (from->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) uop->modrm_rm = to->reg;
    return true;
  }
  if (from->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    to->kind = ISA_OPERAND_IMMEDIATE;
    uop->immediate = from->imm.value.u;
    return true;
  }
  to->kind = ISA_OPERAND_MEMORY;
  return from->type == ZYDIS_OPERAND_TYPE_MEMORY && set_memory(uop, &from->mem);
}

static void set_prefixes(struct isa_uop *uop, const ZydisDecodedInstruction *insn) {
  uop->override = X86_DS;
  if (insn->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) uop->override = X86_FS;
  if (insn->attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS) uop->override = X86_GS;
  for (unsigned i = 0; i < insn->raw.prefix_count; i++) {
    if (insn->raw.prefixes[i].value == 0xf3) uop->flags = ISA_UOP_REP;
    if (insn->raw.prefixes[i].value == 0xf2) uop->flags = ISA_UOP_REPNE;
  }
}

/* The form row that takes the mnemonic's place, FORM_COUNT if none does. */
static enum form find_form(const struct isa_uop *uop, const ZydisDecodedInstruction *insn) {
  unsigned to = uop->operand[0].kind, from = uop->operand[1].kind;
  if (insn->mnemonic == ZYDIS_MNEMONIC_MOV) {
    if (to == ISA_OPERAND_CONTROL) return FORM_MOV_TO_CR;
    if (from == ISA_OPERAND_CONTROL) return FORM_MOV_FROM_CR;
    if (to == ISA_OPERAND_DEBUG) return FORM_MOV_TO_DR;
    if (from == ISA_OPERAND_DEBUG) return FORM_MOV_FROM_DR;
    if (to == ISA_OPERAND_SEGMENT) return FORM_MOV_TO_SEGMENT;
    if (from == ISA_OPERAND_SEGMENT) return FORM_MOV_FROM_SEGMENT;
  }
  if (insn->mnemonic == ZYDIS_MNEMONIC_POP && to == ISA_OPERAND_SEGMENT) return FORM_POP_SEGMENT;
  if (insn->mnemonic == ZYDIS_MNEMONIC_RET && insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
    return FORM_RET_FAR;
  return FORM_COUNT;
}

static const struct row *find_row(const struct isa_uop *uop, const ZydisDecodedInstruction *insn) {
  enum form form = find_form(uop, insn);
  if (form != FORM_COUNT) return &forms[form];
  const struct row *row = &rows[insn->mnemonic];
  bool far = insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
  bool far_jump = far && (row->handler == exec_jmp || row->handler == exec_call);
  /* Zydis gives the SSE2 instructions MOVSD and CMPSD the string instructions' names. */
  bool vector = insn->meta.isa_set == ZYDIS_ISA_SET_SSE2 && row->handler != exec_nop &&
                row->handler != exec_mov;
  return row->handler && !far_jump && !vector ? row : NULL;
}

/* A shorter handler for the operand form, NULL if there is none. */
static isa_handler find_quick(const struct isa_uop *uop, isa_handler handler) {
  if (handler == exec_alu) return isa_alu_quick(uop);
  if (handler == exec_unary) return isa_unary_quick(uop);
  return handler == exec_mov ? isa_mov_quick(uop) : NULL;
}

static void set_row(struct isa_uop *uop, const struct row *row) {
  uop->effect = row->handler;
  uop->check = row->check;
  uop->argument = row->argument;
  uop->privilege = row->privilege;
  uop->intercept = row->intercept;
  bool guarded = row->check || row->privilege == 0 || row->intercept != ISA_INTERCEPT_NONE;
  /* The environment judges VMX instructions all by itself. */
  uop->handler = guarded && row->handler != exec_vmx ? exec_guarded : row->handler;
  isa_handler quick = find_quick(uop, row->handler);
  if (quick) uop->handler = uop->effect = quick;
}

static enum isa_decode_status translate(const struct decoded *from, struct isa_uop *uop) {
  const ZydisDecodedInstruction *insn = &from->insn;
  uop->length = insn->length;
  uop->size = (uint8_t)(insn->operand_width / 8);
  uop->address_size = (uint8_t)(insn->address_width / 8);
  set_prefixes(uop, insn);
  bool operands_known = insn->operand_count_visible <= 3;
  for (unsigned i = 0; i < insn->operand_count_visible && i < 3; i++)
    operands_known &= set_operand(uop, i, &from->operand[i]);
  const struct row *row = find_row(uop, insn);
  if (!row || (!operands_known && row->handler != exec_nop)) return DECODE_NOT_MODELLED;
  set_row(uop, row);
  return DECODE_OK;
}

/* Not one instruction: what these bytes raise when they are executed. */
static enum isa_decode_status refuse(struct isa_uop *uop, ZyanStatus status) {
  if (status == ZYDIS_STATUS_NO_MORE_DATA) return DECODE_TRUNCATED;
  bool too_long = status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG;
  uop->handler = uop->effect = too_long ? exec_too_long : exec_undefined;
  uop->length = 1;
  return too_long ? DECODE_TOO_LONG : DECODE_UNDEFINED;
}

enum isa_decode_status isa_decode_bytes(const uint8_t *bytes, size_t size, struct isa_uop *uop) {
  struct decoded decoded;
  ZydisDecoder decoder;
  memset(uop, 0, sizeof *uop);
  uop->base = uop->index = uop->modrm_reg = uop->modrm_rm = ISA_NO_REGISTER;
  uop->segment = X86_DS;
  uop->address_size = 8;
  if (size > ISA_LENGTH_MAX) size = ISA_LENGTH_MAX;
  memcpy(uop->bytes, bytes, size);
  if (ZYAN_FAILED(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
    return DECODE_NOT_MODELLED;
  ZyanStatus status = ZydisDecoderDecodeFull(&decoder, bytes, size, &decoded.insn, decoded.operand);
  /* The decoder calls a 15-byte run of prefixes too long only when it sees the sixteenth byte. */
  if (status == ZYDIS_STATUS_NO_MORE_DATA && size == ISA_LENGTH_MAX)
    status = ZYDIS_STATUS_INSTRUCTION_TOO_LONG;
  return ZYAN_FAILED(status) ? refuse(uop, status) : translate(&decoded, uop);
}

unsigned isa_decode(struct isa_x86 *isa, const uint8_t *bytes, size_t size, struct isa_uop *uop) {
  switch (isa_decode_bytes(bytes, size, uop)) {
    case DECODE_OK:
      return uop->length;
    case DECODE_TRUNCATED:
      isa_stop(isa, "instruction needs more bytes", bytes, size);
      break;
    case DECODE_UNDEFINED:
      isa_stop(isa, "not an instruction in 64-bit mode", bytes, size);
      break;
    case DECODE_TOO_LONG:
      isa_stop(isa, "instruction longer than 15 bytes", bytes, size);
      break;
    case DECODE_NOT_MODELLED:
      isa_stop(isa, "instruction not modelled", bytes, size);
      break;
  }
  return 0;
}
