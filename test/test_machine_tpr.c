/* SPDX-License-Identifier: MIT
 * MOV to and from CR8 with and without a TPR shadow. SDM 3C "Virtualizing CR8-Based TPR Accesses",
 * "TPR Virtualization". */
#include "test/test_machine_driven.h"

#define BIT(n) (UINT64_C(1) << (n))

enum {
  CR8_LOAD = 1 << 0, /* what is in force */
  CR8_STORE = 1 << 1,
  SHADOW = 1 << 2,
  BELOW_THRESHOLD = 43,
  PAGE = SCRATCH, /* the virtual-APIC page, of the driven level */
  VTPR = PAGE + 0x80
};

/* The guest executes MOV CR8, RAX; MOV RBX, CR8; HLT, which exits. */
static const struct tpr_case {
  const char *name;
  unsigned flags, threshold, blocking;
  uint64_t value;  /* to CR8 */
  uint32_t reason; /* of the first exit */
  unsigned rip;    /* where, from the start of the code */
  uint32_t vtpr;   /* after it; 0xf0 before the entry */
} cases[] = {
    {"above the threshold", SHADOW, 3, 0, 5, NST_EXIT_HLT, 8, 0x50},
    {"at the threshold", SHADOW, 3, 0, 3, NST_EXIT_HLT, 8, 0x30},
    {"below the threshold", SHADOW, 3, 0, 2, BELOW_THRESHOLD, 4, 0x20},
    {"below the threshold, after STI", SHADOW, 3, 1, 0, BELOW_THRESHOLD, 4, 0},
    {"below the threshold, after MOV SS", SHADOW, 15, 2, 14, BELOW_THRESHOLD, 4, 0xe0},
    {"no threshold", SHADOW, 0, 0, 0, NST_EXIT_HLT, 8, 0},
    {"load exits", SHADOW | CR8_LOAD, 3, 0, 2, NST_EXIT_CR_ACCESS, 0, 0xf0},
    {"store exits", SHADOW | CR8_STORE, 3, 0, 7, NST_EXIT_CR_ACCESS, 4, 0x70},
    {"reserved bit", SHADOW, 3, 0, 0x10, NST_EXIT_EXCEPTION_NMI, 0, 0xf0},
    {"no shadow", 0, 0, 0, 2, NST_EXIT_HLT, 8, 0xf0},
    {"no shadow, load exits", CR8_LOAD, 0, 0, 2, NST_EXIT_CR_ACCESS, 0, 0xf0},
};

static bool open_tpr(struct driven *d, const struct tpr_case *c, unsigned level) {
  enum { LOAD_BIT = 19, STORE_BIT = 20, SHADOW_BIT = 21, VECTOR_GP = 13 };
  const struct setting setting = {.level = level};
  if (!driven_open(d, c->name, &setting)) return false;
  DRIVEN_LOAD(d, {0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc3, 0xf4});
  driven_change(d, NST_FIELD_CPU_BASED_VM_EXEC_CONTROL,
                (c->flags & SHADOW ? BIT(SHADOW_BIT) : 0) |
                    (c->flags & CR8_LOAD ? BIT(LOAD_BIT) : 0) |
                    (c->flags & CR8_STORE ? BIT(STORE_BIT) : 0),
                BIT(LOAD_BIT) | BIT(STORE_BIT) | BIT(SHADOW_BIT));
  driven_change(d, NST_FIELD_EXCEPTION_BITMAP, BIT(VECTOR_GP), 0);
  driven_write(d, NST_FIELD_VIRTUAL_APIC_PAGE_ADDR, PAGE);
  driven_write(d, NST_FIELD_TPR_THRESHOLD, c->threshold);
  driven_write(d, NST_FIELD_GUEST_INTERRUPTIBILITY_INFO, c->blocking);
  driven_set(d, NST_REG_RFLAGS, 0x202);
  driven_set(d, NST_REG_RAX, c->value);
  nst_store(d->cpu, VTPR, 8, UINT64_C(0x12345678000000f0));
  return true;
}

static void cr8_is_the_shadow_and_its_threshold(void) {
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (unsigned level = 1; level <= 3; level++) {
      const struct tpr_case *c = &cases[i];
      struct driven d;
      if (open_tpr(&d, c, level)) {
        DRIVEN_EQ(&d, driven_run(&d, true), c->reason);
        DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_RIP), GUEST_CODE + c->rip);
        DRIVEN_EQ(&d, nst_load(d.cpu, VTPR, 4), c->vtpr);
        DRIVEN_EQ(&d, nst_load(d.cpu, VTPR + 4, 4), 0x12345678);
        if (c->rip) DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_INTERRUPTIBILITY_INFO), 0);
        if (c->reason == NST_EXIT_HLT) DRIVEN_EQ(&d, driven_get(&d, NST_REG_RBX), c->value);
        if (c->reason == BELOW_THRESHOLD)
          DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_EXIT_QUALIFICATION), 0);
      }
      driven_close(&d);
    }
}

/* A write clears bits 31:8 and 3:0 of VTPR; a read looks at bits 7:4 alone. */
static void other_bits_of_vtpr_are_cleared_and_ignored(void) {
  static const struct tpr_case c = {"other bits", SHADOW, 3, 0, 6, NST_EXIT_HLT, 8, 0};
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (open_tpr(&d, &c, level)) {
      nst_store(d.cpu, VTPR, 4, 0xabcdef9f);
      driven_set(&d, NST_REG_RIP, GUEST_CODE + 4);
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
      DRIVEN_EQ(&d, driven_get(&d, NST_REG_RBX), 9);
      driven_set(&d, NST_REG_RIP, GUEST_CODE);
      DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_HLT);
      DRIVEN_EQ(&d, nst_load(d.cpu, VTPR, 4), 0x60);
    }
    driven_close(&d);
  }
}

/* After the exit the TPR is below the threshold: the next entry needs a lower one. */
static void entry_below_the_threshold_is_refused(void) {
  static const struct tpr_case c = {"again", SHADOW, 3, 0, 2, BELOW_THRESHOLD, 4, 0};
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (open_tpr(&d, &c, level)) {
      DRIVEN_EQ(&d, driven_run(&d, true), BELOW_THRESHOLD);
      DRIVEN_EQ(&d, nst_vmresume(d.cpu), NST_VMX_FAIL_VALID);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VM_INSTRUCTION_ERROR), 7);
      driven_write(&d, NST_FIELD_TPR_THRESHOLD, 2);
      DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_HLT);
      DRIVEN_EQ(&d, driven_get(&d, NST_REG_RBX), 2);
    }
    driven_close(&d);
  }
}

CU_TestInfo machine_tpr_tests[] = {
    {"cr8_is_the_shadow_and_its_threshold", cr8_is_the_shadow_and_its_threshold},
    {"other_bits_of_vtpr_are_cleared_and_ignored", other_bits_of_vtpr_are_cleared_and_ignored},
    {"entry_below_the_threshold_is_refused", entry_below_the_threshold_is_refused},
    CU_TEST_INFO_NULL};
