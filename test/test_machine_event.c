/* SPDX-License-Identifier: MIT
 * Interrupts, NMIs and windows: who comes first, what blocks whom, what the exit says. SDM 3C
 * "Other Causes of VM Exits", SDM 3A "Priority Among Concurrent Events". */
#include "test/test_machine_driven.h"

#define BIT(n) (UINT64_C(1) << (n))

enum {
  INTERRUPT = 1 << 0, /* what is in force */
  ACKNOWLEDGE = 1 << 1,
  NMI = 1 << 2,
  VIRTUAL_NMI = 1 << 3,
  WINDOW = 1 << 4,
  NMI_WINDOW = 1 << 5,
  MASKED = 1 << 6, /* RFLAGS.IF is clear */
  HALTED = 1 << 7, /* the guest is entered in the HLT state */
  RAISE_NMI = 1 << 8
};

/* The guest executes NOP, NOP, NOP, HLT, which exits. */
static const struct event_case {
  const char *name;
  unsigned flags;
  unsigned blocking; /* interruptibility state */
  uint8_t vector[2]; /* raised before the entry; 0 = none */
  uint32_t reason, information;
  unsigned executed; /* instructions of the guest before the exit */
} cases[] = {
    {"nothing", 0, 0, {0}, NST_EXIT_HLT, 0, 3},
    {"an interrupt exits with IF clear", INTERRUPT | MASKED, 0, {0x50}, 1, 0, 0},
    {"acknowledged", INTERRUPT | ACKNOWLEDGE, 0, {0x50}, 1, 0x80000050, 0},
    {"the highest vector first", INTERRUPT | ACKNOWLEDGE, 0, {0x50, 0xe1}, 1, 0x800000e1, 0},
    {"after STI", INTERRUPT | ACKNOWLEDGE, 1, {0x50}, 1, 0x80000050, 1},
    {"after MOV SS", INTERRUPT | ACKNOWLEDGE, 2, {0x50}, 1, 0x80000050, 1},
    {"masked, and not exiting", MASKED, 0, {0x50}, NST_EXIT_HLT, 0, 3},
    {"taken by the guest", 0, 0, {0x50}, NST_EXIT_HLT, 0, 3},
    {"an interrupt wakes", INTERRUPT | ACKNOWLEDGE | HALTED, 0, {0x50}, 1, 0x80000050, 0},
    {"window open", WINDOW, 0, {0}, 7, 0, 0},
    {"window closed", WINDOW | MASKED, 0, {0}, NST_EXIT_HLT, 0, 3},
    {"window after STI", WINDOW, 1, {0}, 7, 0, 1},
    {"window after MOV SS", WINDOW, 2, {0}, 7, 0, 1},
    {"window wakes", WINDOW | HALTED, 0, {0}, 7, 0, 0},
    {"window before interrupt", WINDOW | INTERRUPT | ACKNOWLEDGE, 0, {0x50}, 7, 0, 0},
    {"interrupt through a closed window",
     WINDOW | INTERRUPT | ACKNOWLEDGE | MASKED,
     0,
     {0x50},
     1,
     0x80000050,
     0},
    {"NMI", NMI | RAISE_NMI | MASKED, 0, {0}, 0, 0x80000202, 0},
    {"NMI before window", NMI | RAISE_NMI | WINDOW, 0, {0}, 0, 0x80000202, 0},
    {"NMI before interrupt", NMI | RAISE_NMI | INTERRUPT, 0, {0x50}, 0, 0x80000202, 0},
    {"NMI after MOV SS", NMI | RAISE_NMI, 2, {0}, 0, 0x80000202, 1},
    {"NMI blocked by NMI", NMI | RAISE_NMI, 8, {0}, NST_EXIT_HLT, 0, 3},
    {"virtual NMIs block virtual ones", NMI | VIRTUAL_NMI | RAISE_NMI, 8, {0}, 0, 0x80000202, 0},
    {"NMI window", NMI | VIRTUAL_NMI | NMI_WINDOW | MASKED, 0, {0}, 8, 0, 0},
    {"NMI window closed", NMI | VIRTUAL_NMI | NMI_WINDOW, 8, {0}, NST_EXIT_HLT, 0, 3},
    {"NMI window before NMI", NMI | VIRTUAL_NMI | NMI_WINDOW | RAISE_NMI, 0, {0}, 8, 0, 0},
};

static void set_up(struct driven *d, const struct event_case *c) {
  static const struct {
    unsigned flag;
    uint32_t field;
    unsigned bit;
  } controls[] = {{INTERRUPT, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, 0},
                  {NMI, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, 3},
                  {VIRTUAL_NMI, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, 5},
                  {ACKNOWLEDGE, NST_FIELD_VM_EXIT_CONTROLS, 15},
                  {WINDOW, NST_FIELD_CPU_BASED_VM_EXEC_CONTROL, 2},
                  {NMI_WINDOW, NST_FIELD_CPU_BASED_VM_EXEC_CONTROL, 22}};
  for (unsigned i = 0; i < sizeof controls / sizeof controls[0]; i++) {
    uint64_t bit = BIT(controls[i].bit);
    driven_change(d, controls[i].field, c->flags & controls[i].flag ? bit : 0, bit);
  }
  driven_set(d, NST_REG_RFLAGS, c->flags & MASKED ? 2 : 0x202);
  driven_write(d, NST_FIELD_GUEST_INTERRUPTIBILITY_INFO, c->blocking);
  driven_write(d, NST_FIELD_GUEST_ACTIVITY_STATE, c->flags & HALTED ? 1 : 0);
  for (unsigned i = 0; i < 2; i++)
    if (c->vector[i]) nst_raise_interrupt(d->cpu, c->vector[i]);
  if (c->flags & RAISE_NMI) nst_raise_nmi(d->cpu);
}

static void event_exits_as_the_manual_orders(void) {
  const struct setting setting = {.level = 1};
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct event_case *c = &cases[i];
    struct driven d;
    if (driven_open(&d, c->name, &setting)) {
      DRIVEN_LOAD(&d, {0x90, 0x90, 0x90, 0xf4});
      set_up(&d, c);
      DRIVEN_EQ(&d, driven_run(&d, true), c->reason);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_RIP), GUEST_CODE + c->executed);
      if (c->reason <= 1)
        DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VM_EXIT_INTR_INFO), c->information);
    }
    driven_close(&d);
  }
}

/* Its own IDT leads vector 0x50 to an IRETQ: the frame is what stays. */
static void guest_takes_an_interrupt_that_does_not_exit(void) {
  const struct setting setting = {.level = 1};
  struct driven d;
  if (driven_open(&d, "delivery", &setting)) {
    DRIVEN_LOAD(&d, {0x90, 0x90, 0x90, 0xf4});
    driven_set(&d, NST_REG_RFLAGS, 0x202);
    driven_change(&d, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, 0, BIT(0));
    uint64_t stack = driven_read(&d, NST_FIELD_GUEST_RSP) & ~UINT64_C(15);
    guest_store(&d, stack - 40, 0);
    DRIVEN_EQ(&d, nst_raise_interrupt(d.cpu, 0x50), NST_OK);
    DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
    DRIVEN_EQ(&d, guest_load(&d, stack - 40), GUEST_CODE);
    DRIVEN_EQ(&d, guest_load(&d, stack - 24), 0x202);
  }
  driven_close(&d);
}

static void vector_of_an_exception_is_refused(void) {
  const struct setting setting = {.level = 1};
  struct driven d;
  if (driven_open(&d, "vector", &setting)) {
    DRIVEN_EQ(&d, nst_raise_interrupt(d.cpu, 15), NST_E_INVAL);
    DRIVEN_EQ(&d, nst_raise_interrupt(d.cpu, 256), NST_E_INVAL);
    DRIVEN_EQ(&d, nst_raise_interrupt(d.cpu, 16), NST_OK);
  }
  driven_close(&d);
}

static bool raise_once(void *context, struct nst_cpu *cpu) {
  unsigned *vector = context, raised = *vector;
  *vector = 0;
  return raised && nst_raise_interrupt(cpu, raised) == NST_OK;
}

static void native_software_waits_for_its_interrupt(void) {
  const struct setting setting = {.level = 1};
  struct driven d;
  unsigned next = 0x91;
  if (driven_open(&d, "wait", &setting)) {
    uint64_t rsp = nst_reg_read(d.cpu, NST_REG_RSP);
    nst_raise_interrupt(d.cpu, 0x90);
    DRIVEN_EQ(&d, nst_wait_interrupt(d.cpu), 0x90);
    nst_on_idle(d.machine, raise_once, &next);
    DRIVEN_EQ(&d, nst_wait_interrupt(d.cpu), 0x91);
    DRIVEN_EQ(&d, nst_reg_read(d.cpu, NST_REG_RSP), rsp);
    DRIVEN_EQ(&d, nst_reg_read(d.cpu, NST_REG_RFLAGS) & 0x200, 0);
    DRIVEN_EQ(&d, nst_wait_interrupt(d.cpu), 0); /* nothing will come */
  }
  driven_close(&d);
}

CU_TestInfo machine_event_tests[] = {
    {"event_exits_as_the_manual_orders", event_exits_as_the_manual_orders},
    {"guest_takes_an_interrupt_that_does_not_exit", guest_takes_an_interrupt_that_does_not_exit},
    {"vector_of_an_exception_is_refused", vector_of_an_exception_is_refused},
    {"native_software_waits_for_its_interrupt", native_software_waits_for_its_interrupt},
    CU_TEST_INFO_NULL};
