/* SPDX-License-Identifier: MIT
 * One trace record with its fields read, the same for text and .dat: what both importers hand to
 * the assembler. */
#ifndef TRACES_RECORD_H
#define TRACES_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "traces/reason.h"

enum record_id {
  RECORD_NONE, /* says nothing about an exit */
  RECORD_EXIT,
  RECORD_ENTRY,
  RECORD_NESTED_EXIT,
  RECORD_NESTED_INJECT,
  RECORD_NESTED_ENTER,
  RECORD_CPUID,
  RECORD_MSR,
  RECORD_CR,
  RECORD_PIO,
  RECORD_MMIO,
  RECORD_FAST_MMIO,
  RECORD_MATCH_MMIO,
  RECORD_APIC,
  RECORD_HYPERCALL,
  RECORD_PAGE_FAULT,
  RECORD_EMULATE,
  RECORD_INJECT_VIRQ,
  RECORD_INJECT_EXCEPTION,
  RECORD_USER_EXIT
};

enum record_slot {
  SLOT_VCPU,
  SLOT_REASON,
  SLOT_ISA, /* 1 VMX, 2 SVM */
  SLOT_RIP,
  SLOT_INFO1,
  SLOT_INFO2,
  SLOT_INTR,
  SLOT_ERROR,
  SLOT_NUMBER, /* leaf, MSR, register, port, address, vector */
  SLOT_VALUE,
  SLOT_WRITE,
  SLOT_SIZE,
  SLOT_COUNT,
  SLOT_FAULT,
  SLOT_CODE, /* Arm: why the guest was left, enum record_arm_code */
  SLOT_TOTAL
};

enum record_arm_code { ARM_CODE_IRQ = 0, ARM_CODE_SERROR = 1, ARM_CODE_TRAP = 2 };

/* How a field is spelt in text. In .dat every form is a number field. */
enum record_form {
  FORM_HEX,       /* hexadecimal, with or without 0x */
  FORM_DEC,       /* decimal */
  FORM_AUTO,      /* hexadecimal with 0x, else decimal */
  FORM_SECOND,    /* hexadecimal, the second value after the key */
  FORM_WORD,      /* 1 if the word is there, else 0 */
  FORM_REASON,    /* name or number of an exit reason */
  FORM_EXCEPTION, /* "#PF" */
  FORM_MMIO,      /* the word after the key: 0 unsatisfied-read, 1 read, 2 write */
  FORM_USER       /* 1 if the name after the key is an exit that the guest caused */
};

#define FIELD_MAY 0
#define FIELD_MUST 1

struct record_field {
  uint8_t slot;
  uint8_t form;
  uint8_t need;
  const char *key; /* NULL: not in text */
  const char *dat; /* NULL: not in .dat */
};

/* A row of ftrace.def. */
struct record_type {
  const char *name;
  uint8_t id;
  uint8_t fate; /* enum trace_fate */
  uint8_t field_count;
  const struct record_field *fields;
};

extern const struct record_type record_types[];
extern const size_t record_type_count;

struct record {
  const struct reason_row *row; /* of SLOT_REASON; NULL if no row has it */
  uint64_t time;
  uint64_t value[SLOT_TOTAL];
  uint32_t known; /* bit per slot */
  uint32_t thread;
  uint32_t cpu;
  uint16_t name; /* index into struct trace_loss names */
  uint8_t id;    /* enum record_id */
  uint8_t arch;  /* of the reason */
};

#define RECORD_KNOWS(record, slot) (((record)->known >> (slot)&1u) != 0)

static inline void record_set(struct record *record, unsigned slot, uint64_t value) {
  record->value[slot] = value;
  record->known |= 1u << slot;
}

#endif
