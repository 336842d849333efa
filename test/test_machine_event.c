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
  RAISE_NMI = 1 << 8,
  TIMER = 1 << 9 /* the VMX-preemption timer is 0 */
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
    {"timer", TIMER | MASKED, 0, {0}, 52, 0, 0},
    {"timer after STI", TIMER, 1, {0}, 52, 0, 0},
    {"timer after MOV SS", TIMER, 2, {0}, 52, 0, 0},
    {"timer wakes", TIMER | HALTED, 0, {0}, 52, 0, 0},
    {"timer before NMI window", TIMER | NMI | VIRTUAL_NMI | NMI_WINDOW, 0, {0}, 52, 0, 0},
    {"timer before NMI", TIMER | NMI | RAISE_NMI, 0, {0}, 52, 0, 0},
    {"timer before window", TIMER | WINDOW, 0, {0}, 52, 0, 0},
    {"timer before interrupt", TIMER | INTERRUPT, 0, {0x50}, 52, 0, 0},
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
                  {TIMER, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, 6},
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

/* ---- injection */

enum {
  IDT = GUEST_IMAGE + 0x9000,
  HANDLER = GUEST_CODE + 0x100, /* HLT, which exits */
  STACK = GUEST_DATA + 0x1000,
  NOT_BACKED = 0x200000, /* in the guest's tables, not in the EPT of its hypervisor */
  UNMAPPED = 0x601000,   /* in neither */
  FLAGS = 0x246
};
#define VALID UINT32_C(0x80000000)

static const struct injection_case {
  const char *name;
  uint32_t information, error; /* of the VM entry */
  unsigned length;
  unsigned blocking, activity; /* of the guest before */
  unsigned blocked;            /* interruptibility state in the handler */
} injections[] = {
    {"external interrupt", VALID | 0x50, 0, 0, 0, 0, 0},
    {"external interrupt in the HLT state", VALID | 0x50, 0, 0, 0, 1, 0},
    {"NMI", VALID | 0x202, 0, 0, 0, 0, 8},
    {"NMI in the HLT state", VALID | 0x202, 0, 0, 0, 1, 8},
    {"hardware exception", VALID | 0x306, 0, 0, 0, 0, 0},
    {"hardware exception after STI", VALID | 0x306, 0, 0, 1, 0, 0},
    {"hardware exception after MOV SS", VALID | 0x306, 0, 0, 2, 0, 0},
    {"hardware exception, NMIs blocked", VALID | 0x306, 0, 0, 8, 0, 8},
    {"with error code", VALID | 0xb0d, 0x1234, 0, 0, 0, 0},
    {"page fault", VALID | 0xb0e, 2, 0, 0, 0, 0},
    {"software interrupt", VALID | 0x450, 0, 2, 0, 0, 0},
    {"privileged software exception", VALID | 0x501, 0, 1, 0, 0, 0},
    {"software exception", VALID | 0x603, 0, 1, 0, 0, 0},
};

static bool is_software(uint32_t information) {
  return (information >> 8 & 7) >= 4;
}

/* The guest would execute NOP and then HLT; every vector leads to HANDLER. */
static bool open_injection(struct driven *d, const struct injection_case *c, unsigned level) {
  const struct setting setting = {.level = level};
  static const uint8_t halt = 0xf4;
  if (!driven_open(d, c->name, &setting)) return false;
  DRIVEN_LOAD(d, {0x90, 0xf4});
  DRIVEN_EQ(d, nst_mem_write(d->machine, nst_level_memory(d->cpu, level, HANDLER), &halt, 1),
            NST_OK);
  uint64_t gate = IDT + 16 * (uint64_t)(c->information & 0xff);
  uint64_t kept = guest_load(d, gate) & ~UINT64_C(0xffff00000000ffff);
  guest_store(d, gate, kept | (HANDLER & 0xffff) | (uint64_t)(HANDLER >> 16) << 48);
  driven_write(d, NST_FIELD_VM_ENTRY_INTR_INFO_FIELD, c->information);
  driven_write(d, NST_FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE, c->error);
  driven_write(d, NST_FIELD_VM_ENTRY_INSTRUCTION_LEN, c->length);
  driven_write(d, NST_FIELD_GUEST_INTERRUPTIBILITY_INFO, c->blocking);
  driven_write(d, NST_FIELD_GUEST_ACTIVITY_STATE, c->activity);
  driven_set(d, NST_REG_RFLAGS, FLAGS);
  driven_set(d, NST_REG_RSP, STACK);
  return true;
}

/* The handler has control, and behind it the frame of an event at GUEST_CODE. */
static void expect_handler(struct driven *d, const struct injection_case *c) {
  bool has_error = c->information >> 11 & 1;
  uint64_t rsp = driven_read(d, NST_FIELD_GUEST_RSP), frame = STACK - 40;
  unsigned length = is_software(c->information) ? c->length : 0;
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_RIP), HANDLER);
  DRIVEN_EQ(d, rsp, has_error ? frame - 8 : frame);
  if (has_error) DRIVEN_EQ(d, guest_load(d, frame - 8), c->error);
  DRIVEN_EQ(d, guest_load(d, frame), GUEST_CODE + length);
  DRIVEN_EQ(d, guest_load(d, frame + 16), FLAGS);
  DRIVEN_EQ(d, guest_load(d, frame + 24), STACK);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_INTERRUPTIBILITY_INFO), c->blocked);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_ACTIVITY_STATE), 0);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_IDT_VECTORING_INFO_FIELD), 0);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_VM_ENTRY_INTR_INFO_FIELD), c->information & ~VALID);
}

static void injected_event_reaches_its_handler(void) {
  for (unsigned i = 0; i < sizeof injections / sizeof injections[0]; i++)
    for (unsigned level = 1; level <= 3; level++) {
      const struct injection_case *c = &injections[i];
      struct driven d;
      if (open_injection(&d, c, level)) {
        DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
        expect_handler(&d, c);
      }
      driven_close(&d);
    }
}

/* What the exit tells of the event, the state that it left, and delivering it again. */
static void expect_redelivery(struct driven *d, const struct injection_case *c) {
  uint32_t information = (uint32_t)driven_read(d, NST_FIELD_IDT_VECTORING_INFO_FIELD);
  bool has_error = c->information >> 11 & 1;
  DRIVEN_EQ(d, information, c->information);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_RIP), GUEST_CODE);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_RFLAGS), FLAGS);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_ACTIVITY_STATE), 0);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_INTERRUPTIBILITY_INFO), c->blocked);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_VM_ENTRY_INTR_INFO_FIELD) & VALID, 0);
  driven_write(d, NST_FIELD_VM_ENTRY_INTR_INFO_FIELD, information);
  if (has_error)
    driven_write(d, NST_FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE,
                 driven_read(d, NST_FIELD_IDT_VECTORING_ERROR_CODE));
  if (is_software(information))
    driven_write(d, NST_FIELD_VM_ENTRY_INSTRUCTION_LEN,
                 driven_read(d, NST_FIELD_VM_EXIT_INSTRUCTION_LEN));
  driven_set(d, NST_REG_RSP, STACK);
  DRIVEN_EQ(d, driven_run(d, false), NST_EXIT_HLT);
  expect_handler(d, c);
}

static void exit_in_delivery_tells_the_event(void) {
  for (unsigned i = 0; i < sizeof injections / sizeof injections[0]; i++)
    for (unsigned level = 1; level <= 3; level++) {
      const struct injection_case *c = &injections[i];
      struct driven d;
      if (open_injection(&d, c, level)) {
        driven_set(&d, NST_REG_RSP, NOT_BACKED);
        DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_EPT_VIOLATION);
        expect_redelivery(&d, c);
      }
      driven_close(&d);
    }
}

static void page_fault_in_delivery_tells_the_event(void) {
  for (unsigned i = 0; i < sizeof injections / sizeof injections[0]; i++)
    for (unsigned level = 1; level <= 3; level++) {
      const struct injection_case *c = &injections[i];
      bool doubles = (c->information & 0xff) == 14; /* the second fault's own exit comes first */
      struct driven d;
      if (open_injection(&d, c, level)) {
        guest_store(&d, GUEST_PD + 8 * (UNMAPPED >> 21), 0);
        driven_change(&d, NST_FIELD_EXCEPTION_BITMAP, BIT(14), 0);
        driven_set(&d, NST_REG_RSP, UNMAPPED);
        DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_EXCEPTION_NMI);
        DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VM_EXIT_INTR_INFO), VALID | 0xb0e);
        DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_EXIT_QUALIFICATION), UNMAPPED - 8);
        if (!doubles) expect_redelivery(&d, c);
      }
      driven_close(&d);
    }
}

/* Of a double fault that exits, the first fault is not told. */
static void double_fault_exit_is_not_in_delivery(void) {
  static const struct injection_case page_fault = {"double fault", VALID | 0xb0e, 2, 0, 0, 0, 0};
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (open_injection(&d, &page_fault, level)) {
      guest_store(&d, GUEST_PD + 8 * (UNMAPPED >> 21), 0);
      driven_change(&d, NST_FIELD_EXCEPTION_BITMAP, BIT(8), BIT(14));
      driven_set(&d, NST_REG_RSP, UNMAPPED);
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_EXCEPTION_NMI);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VM_EXIT_INTR_INFO), VALID | 0xb08);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_IDT_VECTORING_INFO_FIELD), 0);
    }
    driven_close(&d);
  }
}

static void injected_trap_flag_exits_at_once(void) {
  static const struct injection_case c = {"pending MTF exit", VALID | 0x700, 0, 0, 0, 0, 0};
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (open_injection(&d, &c, level)) {
      DRIVEN_EQ(&d, driven_run(&d, true), 37);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_RIP), GUEST_CODE);
      DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_HLT);
    }
    driven_close(&d);
  }
}

/* An injection wakes a guest that was entered halted; the next entry must not halt it again. */
static void woken_guest_stays_awake(void) {
  static const struct injection_case c = {"woken", VALID | 0x50, 0, 0, 0, 1, 0};
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (open_injection(&d, &c, level)) {
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
      driven_set(&d, NST_REG_RIP, GUEST_CODE);
      DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_HLT);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_RIP), GUEST_CODE + 1);
    }
    driven_close(&d);
  }
}

static void nmi_exit_blocks_the_next_nmi(void) {
  const struct setting setting = {.level = 1};
  struct driven d;
  if (driven_open(&d, "NMI, NMI", &setting)) {
    DRIVEN_LOAD(&d, {0x90, 0xf4});
    driven_change(&d, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, BIT(3), 0);
    nst_raise_nmi(d.cpu);
    DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_EXCEPTION_NMI);
    nst_raise_nmi(d.cpu);
    DRIVEN_EQ(&d, nst_wait_interrupt(d.cpu), 0); /* waits for an IRET, or a VM entry */
    DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_EXCEPTION_NMI);
    DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_HLT);
    nst_raise_nmi(d.cpu);
    DRIVEN_EQ(&d, nst_wait_interrupt(d.cpu), 2);
    nst_raise_nmi(d.cpu);
    DRIVEN_EQ(&d, nst_wait_interrupt(d.cpu), 2); /* its handler has returned */
  }
  driven_close(&d);
}

/* ---- the VMX-preemption timer: on "haswell" it counts every 32nd instruction */

enum { TIMER_EXIT = 52, PIN_TIMER = 6, EXIT_SAVES_TIMER = 22, PRIMARY_MOV_DR = 23 };

/* The guest executes INC RAX and JMP, for ever. */
static bool open_timer(struct driven *d, const char *name, unsigned level, uint64_t value) {
  const struct setting setting = {.level = level};
  static const uint8_t code[] = {0x48, 0xff, 0xc0, 0xeb, 0xfb};
  if (!driven_open(d, name, &setting)) return false;
  driven_load(d, code, sizeof code);
  driven_change(d, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, BIT(PIN_TIMER), 0);
  driven_change(d, NST_FIELD_VM_EXIT_CONTROLS, BIT(EXIT_SAVES_TIMER), 0);
  driven_write(d, NST_FIELD_VMX_PREEMPTION_TIMER_VALUE, value);
  return true;
}

static uint64_t executed(struct driven *d) {
  return 2 * driven_get(d, NST_REG_RAX) - (driven_read(d, NST_FIELD_GUEST_RIP) != GUEST_CODE);
}

static void timer_exits_after_its_time(void) {
  static const uint8_t value[] = {0, 1, 3, 200};
  for (unsigned i = 0; i < sizeof value; i++)
    for (unsigned level = 1; level <= 3; level++) {
      struct driven d;
      if (open_timer(&d, "INC, JMP", level, value[i])) {
        driven_set(&d, NST_REG_RAX, 0);
        DRIVEN_EQ(&d, driven_run(&d, true), TIMER_EXIT);
        DRIVEN_EQ(&d, executed(&d), value[i] * 32);
        DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VMX_PREEMPTION_TIMER_VALUE), 0);
        driven_write(&d, NST_FIELD_VMX_PREEMPTION_TIMER_VALUE, 2);
        DRIVEN_EQ(&d, driven_run(&d, false), TIMER_EXIT);
        DRIVEN_EQ(&d, executed(&d), value[i] * 32 + 64);
      }
      driven_close(&d);
    }
}

/* 40 NOPs, MOV to DR0, 40 NOPs, HLT. The move exits below a level that did not ask for it. */
static void timer_value_is_saved_if_asked(void) {
  uint8_t code[84];
  memset(code, 0x90, sizeof code);
  memcpy(code + 40, "\x0f\x23\xc0", 3);
  code[83] = 0xf4;
  for (unsigned saves = 0; saves <= 1; saves++)
    for (unsigned level = 1; level <= 3; level++) {
      struct driven d;
      if (open_timer(&d, saves ? "saved" : "not saved", level, 10)) {
        DRIVEN_EQ(
            &d,
            nst_mem_write(d.machine, nst_level_memory(d.cpu, level, GUEST_CODE), code, sizeof code),
            NST_OK);
        driven_set(&d, NST_REG_RAX, 0);
        driven_change(&d, NST_FIELD_CPU_BASED_VM_EXEC_CONTROL, 0, BIT(PRIMARY_MOV_DR));
        if (!saves) driven_change(&d, NST_FIELD_VM_EXIT_CONTROLS, 0, BIT(EXIT_SAVES_TIMER));
        DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
        DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VMX_PREEMPTION_TIMER_VALUE), saves ? 8 : 10);
        driven_set(&d, NST_REG_RIP, GUEST_CODE + 43);
        DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_HLT);
        DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VMX_PREEMPTION_TIMER_VALUE), saves ? 7 : 10);
      }
      driven_close(&d);
    }
}

static void timer_wakes_a_halted_guest(void) {
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (open_timer(&d, "halted", level, 1000)) {
      driven_write(&d, NST_FIELD_GUEST_ACTIVITY_STATE, 1);
      DRIVEN_EQ(&d, driven_run(&d, true), TIMER_EXIT);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_RIP), GUEST_CODE);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_ACTIVITY_STATE), 1);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VMX_PREEMPTION_TIMER_VALUE), 0);
    }
    driven_close(&d);
  }
}

static void timer_at_zero_exits_behind_an_injected_event(void) {
  static const struct injection_case c = {"timer and injection", VALID | 0x50, 0, 0, 0, 0, 0};
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (open_injection(&d, &c, level)) {
      driven_change(&d, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, BIT(PIN_TIMER), 0);
      driven_write(&d, NST_FIELD_VMX_PREEMPTION_TIMER_VALUE, 0);
      DRIVEN_EQ(&d, driven_run(&d, true), TIMER_EXIT);
      expect_handler(&d, &c);
      driven_change(&d, NST_FIELD_PIN_BASED_VM_EXEC_CONTROL, 0, BIT(PIN_TIMER));
      DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_HLT);
    }
    driven_close(&d);
  }
}

CU_TestInfo machine_event_tests[] = {
    {"event_exits_as_the_manual_orders", event_exits_as_the_manual_orders},
    {"guest_takes_an_interrupt_that_does_not_exit", guest_takes_an_interrupt_that_does_not_exit},
    {"vector_of_an_exception_is_refused", vector_of_an_exception_is_refused},
    {"native_software_waits_for_its_interrupt", native_software_waits_for_its_interrupt},
    {"injected_event_reaches_its_handler", injected_event_reaches_its_handler},
    {"exit_in_delivery_tells_the_event", exit_in_delivery_tells_the_event},
    {"page_fault_in_delivery_tells_the_event", page_fault_in_delivery_tells_the_event},
    {"double_fault_exit_is_not_in_delivery", double_fault_exit_is_not_in_delivery},
    {"injected_trap_flag_exits_at_once", injected_trap_flag_exits_at_once},
    {"woken_guest_stays_awake", woken_guest_stays_awake},
    {"nmi_exit_blocks_the_next_nmi", nmi_exit_blocks_the_next_nmi},
    {"timer_exits_after_its_time", timer_exits_after_its_time},
    {"timer_value_is_saved_if_asked", timer_value_is_saved_if_asked},
    {"timer_wakes_a_halted_guest", timer_wakes_a_halted_guest},
    {"timer_at_zero_exits_behind_an_injected_event", timer_at_zero_exits_behind_an_injected_event},
    CU_TEST_INFO_NULL};
