/* SPDX-License-Identifier: MIT
 * One decoded instruction: all that its handler needs, decoded once and never changed. */
#ifndef ISA_X86_UOP_H
#define ISA_X86_UOP_H

#include "isa/x86/isa.h"

typedef enum isa_step (*isa_handler)(struct isa_x86 *isa, const struct isa_uop *uop);

enum isa_operand_kind {
  ISA_OPERAND_NONE,
  ISA_OPERAND_REGISTER,  /* low bytes of gpr[reg] */
  ISA_OPERAND_HIGH_BYTE, /* AH, CH, DH, BH: bits 15:8 of gpr[reg] */
  ISA_OPERAND_IMMEDIATE, /* isa_uop.immediate */
  ISA_OPERAND_MEMORY,    /* base, index, scale, displacement, segment */
  ISA_OPERAND_SEGMENT,   /* segment[reg] */
  ISA_OPERAND_CONTROL,   /* control register reg */
  ISA_OPERAND_DEBUG      /* debug register reg */
};

struct isa_operand {
  uint8_t kind; /* enum isa_operand_kind */
  uint8_t reg;
  uint8_t size; /* bytes */
};

/* isa_uop.flags */
enum { ISA_UOP_REP = 1 << 0, ISA_UOP_REPNE = 1 << 1 };

enum { ISA_BASE_RIP = 0xfe, ISA_LENGTH_MAX = 15 };

struct isa_uop {
  isa_handler handler; /* what runs: the effect itself, or the guard that checks and asks first */
  isa_handler effect;
  isa_handler check;     /* faults that come before the intercept, or NULL */
  uint64_t immediate;    /* sign-extended to 64 bits if the instruction says so */
  uint64_t displacement; /* sign-extended to 64 bits */
  struct isa_operand operand[3];
  uint8_t length;    /* bytes */
  uint8_t size;      /* operand size of the instruction in bytes */
  uint8_t argument;  /* from the row: which one of the handler's family */
  uint8_t privilege; /* highest CPL allowed */
  uint8_t intercept; /* enum isa_intercept */
  uint8_t base;      /* enum x86_gpr, ISA_BASE_RIP or ISA_NO_REGISTER */
  uint8_t index;     /* enum x86_gpr or ISA_NO_REGISTER */
  uint8_t scale;     /* 0 to 3 = times 1, 2, 4, 8 */
  uint8_t segment;   /* enum x86_segment_index of the memory operand */
  uint8_t override;  /* X86_FS or X86_GS by prefix, else X86_DS: source of string instructions */
  uint8_t address_size;
  uint8_t flags;
  uint8_t modrm_reg, modrm_rm; /* enum x86_gpr or ISA_NO_REGISTER */
  uint8_t bytes[ISA_LENGTH_MAX];
};

#endif
