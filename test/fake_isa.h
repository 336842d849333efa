/* SPDX-License-Identifier: MIT
 * A world for the interpreter: 64 KiB of flat memory, a GDT, an IDT, a TSS, and a record of what
 * the interpreter asked. Linear addresses beyond the memory raise #PF. */
#ifndef TEST_FAKE_ISA_H
#define TEST_FAKE_ISA_H

#include "isa/x86/isa.h"

enum {
  FAKE_MEMORY = 0x10000,
  FAKE_CODE = 0x1000,
  FAKE_USER_CODE = 0x2000,
  FAKE_DATA = 0x4000,
  FAKE_STACK = 0x8000,
  FAKE_RSP0 = 0xa000,
  FAKE_IST1 = 0xb000,
  FAKE_TSS = 0xd000,
  FAKE_IDT = 0xe000,
  FAKE_GDT = 0xf000,
  FAKE_KERNEL_CS = 0x08,
  FAKE_KERNEL_SS = 0x10,
  FAKE_USER_CS = 0x1b,
  FAKE_USER_SS = 0x23,
  FAKE_TR = 0x28,
  FAKE_COMPATIBILITY_CS = 0x38
};

struct fake_isa {
  struct isa_x86 isa;
  uint8_t memory[FAKE_MEMORY];
  /* What each callback answers; ISA_NEXT unless a test says otherwise. */
  enum isa_step intercept_answer, exception_answer, vmx_answer, fetch_answer;
  /* What was asked, in order, as words: "intercept:2 cr:0 ...". */
  char log[1024];
  struct isa_request request; /* the last one */
  struct isa_fault fault;     /* the last one asked about */
  bool was_delivering;        /* isa.delivery.active in that question */
  uint64_t frame_base;        /* added to the page number to make the frame */
  uint64_t msr_value, cr_value, port_value, port_count;
};

/* Prepares a machine in 64-bit mode at CPL 0, code at FAKE_CODE, RSP at FAKE_STACK. The caller
 * ends it with fake_fini. */
void fake_init(struct fake_isa *fake);
void fake_fini(struct fake_isa *fake);
void fake_code(struct fake_isa *fake, const char *bytes, unsigned size);
/* CPL 3 at FAKE_USER_CODE. */
void fake_user(struct fake_isa *fake);
void fake_gate(struct fake_isa *fake, unsigned vector, uint64_t target, unsigned ist,
               unsigned type_and_rights);
uint64_t fake_load64(const struct fake_isa *fake, uint64_t address);
void fake_store64(struct fake_isa *fake, uint64_t address, uint64_t value);
/* Runs up to `budget` instructions one by one, each shown to both decoders first. */
enum isa_step fake_run(struct fake_isa *fake, unsigned budget);
/* Both decoders agree on these bytes, or differ as the table says. */
void fake_expect_decoders(const char *name, const uint8_t *bytes, unsigned size);

#define FAKE_CODE_BYTES(fake, text) fake_code((fake), (text), (unsigned)sizeof(text) - 1)

#endif
