/* SPDX-License-Identifier: MIT
 * What the files of the interpreter offer each other: handlers for the rows of insn.def, the
 * decoder and the decode cache. Inside isa/x86 only. */
#ifndef ISA_X86_EXEC_H
#define ISA_X86_EXEC_H

#include "isa/x86/operand.h"

/* Arguments of the rows: which member of a family a handler is to run. */
enum isa_alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST };
enum isa_unary { UNARY_INC, UNARY_DEC, UNARY_NEG, UNARY_NOT };
enum isa_shift { SHIFT_ROL, SHIFT_ROR, SHIFT_RCL, SHIFT_RCR, SHIFT_SHL, SHIFT_SHR, SHIFT_SAR };
enum isa_bit { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };
enum isa_scan { SCAN_BSF, SCAN_BSR, SCAN_TZCNT, SCAN_LZCNT, SCAN_POPCNT };
/* The condition field of Jcc, SETcc, CMOVcc opcodes. */
enum isa_condition {
  CONDITION_O,
  CONDITION_NO,
  CONDITION_B,
  CONDITION_NB,
  CONDITION_Z,
  CONDITION_NZ,
  CONDITION_BE,
  CONDITION_NBE,
  CONDITION_S,
  CONDITION_NS,
  CONDITION_P,
  CONDITION_NP,
  CONDITION_L,
  CONDITION_NL,
  CONDITION_LE,
  CONDITION_NLE
};
enum isa_loop { LOOP_ALWAYS, LOOP_WHILE_ZERO, LOOP_WHILE_NOT_ZERO };
enum isa_flag { FLAG_CLC, FLAG_STC, FLAG_CMC, FLAG_CLD, FLAG_STD, FLAG_CLAC, FLAG_STAC };
/* Table instructions as the exit's instruction information numbers them. */
enum isa_table { TABLE_SGDT, TABLE_SIDT, TABLE_LGDT, TABLE_LIDT };
enum isa_local { LOCAL_SLDT, LOCAL_STR, LOCAL_LLDT, LOCAL_LTR };
/* Event types of the interruption-information fields (SDM 3C "VM-Entry Controls for Event
 * Injection"). */
enum isa_event_type {
  EVENT_EXTERNAL = 0,
  EVENT_NMI = 2,
  EVENT_HARDWARE_EXCEPTION = 3,
  EVENT_SOFTWARE_INTERRUPT = 4,
  EVENT_PRIVILEGED_SOFTWARE = 5,
  EVENT_SOFTWARE_EXCEPTION = 6
};

/* An even condition holds if one of its flags is set, L and LE also if SF differs from OF; an odd
 * condition is the negation of the one before it. */
static inline bool isa_condition_holds(uint64_t rflags, unsigned condition) {
  static const uint16_t flags[] = {
      [CONDITION_O / 2] = X86_RFLAGS_OF,
      [CONDITION_B / 2] = X86_RFLAGS_CF,
      [CONDITION_Z / 2] = X86_RFLAGS_ZF,
      [CONDITION_BE / 2] = X86_RFLAGS_CF | X86_RFLAGS_ZF,
      [CONDITION_S / 2] = X86_RFLAGS_SF,
      [CONDITION_P / 2] = X86_RFLAGS_PF,
      [CONDITION_L / 2] = 0,
      [CONDITION_LE / 2] = X86_RFLAGS_ZF,
  };
  bool holds = rflags & flags[condition / 2];
  if (condition >= CONDITION_L) holds |= (rflags >> 7 & 1) != (rflags >> 11 & 1);
  return holds != (condition & 1);
}

/* Every handler has the type isa_handler; the rows of insn.def name them. */
#define ISA_HANDLER(name) enum isa_step name(struct isa_x86 *isa, const struct isa_uop *uop);
#include "isa/x86/handler.def"
#undef ISA_HANDLER

/* decode.c */
enum isa_decode_status {
  DECODE_OK,
  DECODE_TRUNCATED,   /* more bytes are needed */
  DECODE_UNDEFINED,   /* #UD on any processor that this one models: *uop raises it */
  DECODE_TOO_LONG,    /* more than 15 bytes, #GP(0): *uop raises it */
  DECODE_NOT_MODELLED /* a valid instruction without a row */
};
enum isa_decode_status isa_decode_bytes(const uint8_t *bytes, size_t size, struct isa_uop *uop);

/* cache.c: owns the decoded instructions. A page that is forgotten stays readable until isa_reap,
 * because the instruction that caused it is still running. */
struct isa_page {
  uint64_t frame;
  struct isa_page *next; /* in its bucket, or in the retired list */
  const struct isa_uop *slot[4096];
  struct isa_uop_chunk *chunk;
};
bool isa_cache_init(struct isa_x86 *isa);
void isa_cache_fini(struct isa_x86 *isa);
struct isa_page *isa_cache_page(struct isa_x86 *isa, uint64_t frame); /* NULL: no memory */
struct isa_uop *isa_cache_slot(struct isa_page *page, const struct isa_uop *uop,
                               unsigned offset); /* a copy owned by the page; NULL: no memory */
void isa_cache_enter(struct isa_x86 *isa); /* a run loop starts: nothing is reaped inside others */
void isa_cache_leave(struct isa_x86 *isa);
void isa_reap_retired(struct isa_x86 *isa);
static inline void isa_reap(struct isa_x86 *isa) {
  if (isa->code_retired) isa_reap_retired(isa);
}

/* segment.c */
struct isa_descriptor {
  uint64_t low, high; /* high: only of system descriptors */
  uint64_t address;   /* linear */
  uint16_t selector;
};
/* Loads the 8-byte descriptor; beyond the table: `vector`(selector | external). */
enum isa_step isa_descriptor_load(struct isa_x86 *isa, uint16_t selector, unsigned vector,
                                  uint32_t external, struct isa_descriptor *descriptor);
/* VMCS format of the descriptor's bits. */
uint32_t isa_descriptor_rights(const struct isa_descriptor *descriptor);
void isa_segment_set(struct isa_x86 *isa, unsigned segment,
                     const struct isa_descriptor *descriptor);
/* Far transfer by RETF and IRET to code that `selector` names; #GP as by the manual. */
enum isa_step isa_code_check(struct isa_x86 *isa, const struct isa_descriptor *descriptor);
enum isa_step isa_stack_check(struct isa_x86 *isa, uint16_t selector, unsigned cpl,
                              struct isa_descriptor *descriptor);
void isa_stack_set(struct isa_x86 *isa, const struct isa_descriptor *descriptor, unsigned cpl);
void isa_outer_return(struct isa_x86 *isa, unsigned cpl);
enum isa_step isa_system_load(struct isa_x86 *isa, uint64_t linear, unsigned size, uint64_t *value);
enum isa_step isa_system_store(struct isa_x86 *isa, uint64_t linear, unsigned size, uint64_t value);

/* flag.c */
void isa_rflags_write(struct isa_x86 *isa, uint64_t value, unsigned size, uint64_t extra);

/* stack.c */
enum isa_step isa_push(struct isa_x86 *isa, unsigned size, uint64_t value);

/* Handlers for the most frequent operand forms of a row's handler (general registers of 4 or 8
 * bytes and immediates), or NULL. alu.c, move.c. */
isa_handler isa_alu_quick(const struct isa_uop *uop);
isa_handler isa_unary_quick(const struct isa_uop *uop);
isa_handler isa_mov_quick(const struct isa_uop *uop);
static inline bool isa_is_wide_register(struct isa_operand operand) {
  return operand.kind == ISA_OPERAND_REGISTER && operand.size >= 4;
}

/* alu.c: the comparison that CMPS, SCAS and CMPXCHG share. */
void isa_compare(struct isa_x86 *isa, uint64_t a, uint64_t b, unsigned size);

/* string.c: one iteration of a REP instruction, the count kept in RCX or ECX. */
bool isa_rep_is_done(const struct isa_x86 *isa, const struct isa_uop *uop);
void isa_rep_next(struct isa_x86 *isa, const struct isa_uop *uop, bool goes_on);
void isa_string_advance(struct isa_x86 *isa, const struct isa_uop *uop, unsigned reg);
uint64_t isa_string_linear(const struct isa_x86 *isa, const struct isa_uop *uop, unsigned reg);

/* io.c */
uint16_t isa_port(const struct isa_x86 *isa, const struct isa_uop *uop);
bool isa_port_is_immediate(const struct isa_uop *uop);
unsigned isa_port_size(const struct isa_uop *uop);

/* vmx.c: what the environment is told before an instruction acts. Reads the operand of LMSW. */
enum isa_step isa_request_fill(struct isa_x86 *isa, const struct isa_uop *uop,
                               struct isa_request *request);

/* exception.c: isa->fault, raised by the instruction at state.rip, is intercepted or delivered. */
enum isa_step isa_take_fault(struct isa_x86 *isa);
/* #DB after an instruction that began with RFLAGS.TF set. */
enum isa_step isa_raise_single_step(struct isa_x86 *isa);

/* stop.c: fills isa->stop with the reason, the address, bytes and disassembly; ISA_STOP. */
enum isa_step isa_stop(struct isa_x86 *isa, const char *why, const uint8_t *bytes, size_t size);

#endif
