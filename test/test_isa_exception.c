/* SPDX-License-Identifier: MIT
 * Exceptions and interrupts through the IDT, and the way back. */
#include <string.h>

#include "test/expect.h"
#include "test/fake_isa.h"

enum { HANDLER = 0x5000, GATE = 0x8e, TRAP = 0x8f, USER_GATE = 0xee };

/* What the handler finds on its stack. */
static void expect_frame(const struct fake_isa *fake, const char *name, uint64_t rip, uint64_t cs,
                         uint64_t rsp, uint64_t ss) {
  uint64_t at = fake->isa.state.gpr[X86_RSP];
  EXPECT_EQ(name, fake_load64(fake, at), rip);
  EXPECT_EQ(name, fake_load64(fake, at + 8), cs);
  EXPECT_EQ(name, fake_load64(fake, at + 24), rsp);
  EXPECT_EQ(name, fake_load64(fake, at + 32), ss);
}

static void undefined_opcode_enters_the_handler(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  fake_gate(&fake, X86_EXCEPTION_UD, HANDLER, 0, GATE);
  FAKE_CODE_BYTES(&fake, "\x0f\x0b");
  state->gpr[X86_RSP] = FAKE_STACK - 3; /* aligned by the delivery */
  state->rflags |= X86_RFLAGS_IF;
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("rip", state->rip, HANDLER);
  EXPECT_EQ("rsp", state->gpr[X86_RSP], FAKE_STACK - 16 - 40);
  expect_frame(&fake, "frame", FAKE_CODE, FAKE_KERNEL_CS, FAKE_STACK - 3, FAKE_KERNEL_SS);
  EXPECT_EQ("saved rflags", fake_load64(&fake, state->gpr[X86_RSP] + 16),
            X86_RFLAGS_FIXED | X86_RFLAGS_IF | X86_RFLAGS_RF);
  EXPECT_EQ("rflags", state->rflags, X86_RFLAGS_FIXED);
  EXPECT_STRING("asked", fake.log, "exception:6 ");
  EXPECT_EQ("instructions", fake.isa.instructions, 0);
  fake_fini(&fake);
}

static void page_fault_pushes_its_error_code_and_sets_cr2(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  fake_gate(&fake, X86_EXCEPTION_PF, HANDLER, 1, GATE);
  FAKE_CODE_BYTES(&fake, "\x48\x89\x03"); /* mov [rbx], rax */
  state->gpr[X86_RBX] = 0x123456;
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("cr2", state->cr2, 0x123456);
  EXPECT_EQ("interrupt stack", state->gpr[X86_RSP], FAKE_IST1 - 48);
  EXPECT_EQ("error code", fake_load64(&fake, FAKE_IST1 - 48), 2);
  EXPECT_EQ("saved rip", fake_load64(&fake, FAKE_IST1 - 40), FAKE_CODE);
  EXPECT_EQ("delivering", fake.isa.delivery.active, false);
  fake_fini(&fake);
}

static void exception_that_exits_changes_nothing(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  fake.exception_answer = ISA_EXIT;
  FAKE_CODE_BYTES(&fake, "\x48\x8b\x03");
  fake.isa.state.gpr[X86_RBX] = 0x123456;
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_EXIT);
  EXPECT_EQ("address", fake.fault.address, 0x123456);
  EXPECT_EQ("cr2", fake.isa.state.cr2, 0);
  EXPECT_EQ("rip", fake.isa.state.rip, FAKE_CODE);
  EXPECT_EQ("rsp", fake.isa.state.gpr[X86_RSP], FAKE_STACK);
  fake_fini(&fake);
}

static void user_interrupt_switches_stacks_and_iret_returns(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  fake_user(&fake);
  fake_gate(&fake, 0x80, HANDLER, 0, USER_GATE);
  FAKE_CODE_BYTES(&fake, "\xcd\x80");
  memcpy(fake.memory + HANDLER, "\x48\xcf", 2);
  state->rflags |= X86_RFLAGS_IF;
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("rsp", state->gpr[X86_RSP], FAKE_RSP0 - 40);
  EXPECT_EQ("translation is asked for anew", fake.isa.code_valid, false);
  EXPECT_EQ("cs", state->segment[X86_CS].selector, FAKE_KERNEL_CS);
  EXPECT_EQ("cpl", state->segment[X86_SS].access_rights >> 5 & 3, 0);
  expect_frame(&fake, "frame", FAKE_USER_CODE + 2, FAKE_USER_CS, FAKE_STACK, FAKE_USER_SS);
  EXPECT_STRING("INT n is not asked about", fake.log, "");
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("rip", state->rip, FAKE_USER_CODE + 2);
  EXPECT_EQ("translation is asked for anew", fake.isa.code_valid, false);
  EXPECT_EQ("cs", state->segment[X86_CS].selector, FAKE_USER_CS);
  EXPECT_EQ("ss", state->segment[X86_SS].selector, FAKE_USER_SS);
  EXPECT_EQ("cpl", state->segment[X86_SS].access_rights >> 5 & 3, 3);
  EXPECT_EQ("rsp", state->gpr[X86_RSP], FAKE_STACK);
  EXPECT_EQ("if", state->rflags & X86_RFLAGS_IF, X86_RFLAGS_IF);
  fake_fini(&fake);
}

static void user_int_through_a_kernel_gate_is_gp(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  fake_user(&fake);
  fake_gate(&fake, 0x80, HANDLER, 0, GATE);
  fake_gate(&fake, X86_EXCEPTION_GP, HANDLER + 0x100, 0, GATE);
  FAKE_CODE_BYTES(&fake, "\xcd\x80");
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("rip", fake.isa.state.rip, HANDLER + 0x100);
  EXPECT_EQ("error code", fake_load64(&fake, fake.isa.state.gpr[X86_RSP]), 0x80 * 8 + 2);
  EXPECT_EQ("saved rip", fake_load64(&fake, fake.isa.state.gpr[X86_RSP] + 8), FAKE_USER_CODE);
  EXPECT_EQ("asked while delivering", fake.was_delivering, true);
  fake_fini(&fake);
}

static void breakpoint_saves_the_next_rip(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  fake_gate(&fake, X86_EXCEPTION_BP, HANDLER, 0, TRAP);
  FAKE_CODE_BYTES(&fake, "\xcc");
  fake.isa.state.rflags |= X86_RFLAGS_IF;
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("software", fake.fault.software, true);
  expect_frame(&fake, "frame", FAKE_CODE + 1, FAKE_KERNEL_CS, FAKE_STACK, FAKE_KERNEL_SS);
  EXPECT_EQ("trap gate keeps IF", fake.isa.state.rflags & X86_RFLAGS_IF, X86_RFLAGS_IF);
  fake_fini(&fake);
}

static void contributory_fault_in_delivery_is_double_fault(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  fake_gate(&fake, X86_EXCEPTION_DF, HANDLER, 1, GATE);
  FAKE_CODE_BYTES(&fake, "\x48\x8b\x03"); /* #PF, whose gate is absent: #GP, so #DF */
  state->gpr[X86_RBX] = 0x123456;
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("rip", state->rip, HANDLER);
  EXPECT_EQ("error code", fake_load64(&fake, state->gpr[X86_RSP]), 0);
  EXPECT_STRING("asked", fake.log, "exception:e exception:d exception:8 ");
  fake_fini(&fake);
}

static void benign_exception_then_fault_is_serial(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  fake_gate(&fake, X86_EXCEPTION_GP, HANDLER, 0, GATE);
  FAKE_CODE_BYTES(&fake, "\x0f\x0b"); /* #UD is benign: its missing gate is an ordinary #GP */
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("rip", fake.isa.state.rip, HANDLER);
  EXPECT_EQ("error code has EXT and IDT", fake_load64(&fake, fake.isa.state.gpr[X86_RSP]),
            X86_EXCEPTION_UD * 8 + 3);
  fake_fini(&fake);
}

static void triple_fault_shuts_down(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  fake.isa.state.idtr.limit = 0;
  FAKE_CODE_BYTES(&fake, "\x0f\x0b");
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_HALTED);
  EXPECT_EQ("activity", fake.isa.state.activity, 2);
  EXPECT_STRING("asked", fake.log, "exception:6 exception:d exception:d exception:8 exception:d ");
  EXPECT_EQ("rip", fake.isa.state.rip, FAKE_CODE);
  EXPECT_EQ("again", isa_run(&fake.isa, 1), ISA_HALTED);
  fake_fini(&fake);
}

static void handler_that_faults_without_end_uses_up_the_budget(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  fake_gate(&fake, X86_EXCEPTION_UD, FAKE_CODE, 1, GATE);
  FAKE_CODE_BYTES(&fake, "\x0f\x0b");
  EXPECT_EQ("step", isa_run(&fake.isa, 1000), ISA_NEXT);
  EXPECT_EQ("instructions", fake.isa.instructions, 0);
  fake_fini(&fake);
}

static void injected_events_save_the_rip_of_their_type(void) {
  struct type_case {
    const char *name;
    unsigned type;
    uint64_t saved;
    uint32_t interruptibility;
  };
  static const struct type_case cases[] = {{"external", 0, FAKE_CODE, 0},
                                           {"nmi", 2, FAKE_CODE, 8},
                                           {"hardware", 3, FAKE_CODE, 0},
                                           {"software_interrupt", 4, FAKE_CODE + 2, 0},
                                           {"software_exception", 6, FAKE_CODE + 2, 0}};
  static struct fake_isa fake;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct isa_fault event = {.vector = 2};
    fake_init(&fake);
    fake_gate(&fake, 2, HANDLER, 0, GATE);
    fake.isa.next_rip = FAKE_CODE + 2;
    fake.isa.state.activity = 1;
    fake.isa.state.interruptibility = 3;
    EXPECT_EQ(cases[i].name, isa_deliver(&fake.isa, &event, cases[i].type), ISA_NEXT);
    EXPECT_EQ(cases[i].name, fake_load64(&fake, fake.isa.state.gpr[X86_RSP]), cases[i].saved);
    EXPECT_EQ(cases[i].name, fake_load64(&fake, fake.isa.state.gpr[X86_RSP] + 16),
              X86_RFLAGS_FIXED);
    EXPECT_EQ(cases[i].name, fake.isa.state.interruptibility, cases[i].interruptibility);
    EXPECT_EQ(cases[i].name, fake.isa.state.activity, 0);
    EXPECT_STRING(cases[i].name, fake.log, "");
    fake_fini(&fake);
  }
}

static void single_step_traps_after_each_instruction(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  fake_gate(&fake, X86_EXCEPTION_DB, HANDLER, 0, GATE);
  FAKE_CODE_BYTES(&fake, "\x9d\x90\x90"); /* popfq with TF: the trap comes after the nop */
  state->gpr[X86_RSP] = FAKE_STACK;
  fake_store64(&fake, FAKE_STACK, X86_RFLAGS_TF | X86_RFLAGS_FIXED);
  EXPECT_EQ("popf", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("rip", state->rip, FAKE_CODE + 1);
  EXPECT_EQ("nop", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("rip", state->rip, HANDLER);
  EXPECT_EQ("saved rip", fake_load64(&fake, state->gpr[X86_RSP]), FAKE_CODE + 2);
  EXPECT_EQ("dr6", state->dr[6] >> 14 & 1, 1);
  EXPECT_EQ("tf", state->rflags & X86_RFLAGS_TF, 0);
  fake_fini(&fake);
}

struct iret_case {
  const char *name;
  uint64_t rip, cs, ss;
  enum isa_step step;
  unsigned vector;
  uint32_t error;
};

static void iret_checks_what_it_loads(void) {
  static const struct iret_case cases[] = {
      {"same_level", 0x3000, FAKE_KERNEL_CS, FAKE_KERNEL_SS, ISA_NEXT, 0, 0},
      {"null_stack_in_kernel", 0x3000, FAKE_KERNEL_CS, 0, ISA_NEXT, 0, 0},
      {"null_code", 0x3000, 0, FAKE_KERNEL_SS, ISA_EXIT, X86_EXCEPTION_GP, 0},
      {"beyond_the_table", 0x3000, 0x100, FAKE_KERNEL_SS, ISA_EXIT, X86_EXCEPTION_GP, 0x100},
      {"data_as_code", 0x3000, FAKE_KERNEL_SS, FAKE_KERNEL_SS, ISA_EXIT, X86_EXCEPTION_GP,
       FAKE_KERNEL_SS},
      {"stack_of_another_level", 0x3000, FAKE_KERNEL_CS, FAKE_USER_SS, ISA_EXIT, X86_EXCEPTION_GP,
       FAKE_USER_SS & ~3},
      {"non_canonical", UINT64_C(1) << 63, FAKE_KERNEL_CS, FAKE_KERNEL_SS, ISA_EXIT,
       X86_EXCEPTION_GP, 0},
      {"stack_not_present", 0x3000, FAKE_KERNEL_CS, 0x40, ISA_EXIT, X86_EXCEPTION_SS, 0x40},
      {"compatibility", 0x3000, FAKE_COMPATIBILITY_CS, FAKE_KERNEL_SS, ISA_STOP, 0, 0},
  };
  static struct fake_isa fake;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct iret_case *test = &cases[i];
    uint64_t frame[5] = {test->rip, test->cs, X86_RFLAGS_FIXED | X86_RFLAGS_RF, 0x7000, test->ss};
    fake_init(&fake);
    fake.exception_answer = ISA_EXIT;
    fake.isa.state.interruptibility = 8;
    FAKE_CODE_BYTES(&fake, "\x48\xcf");
    for (unsigned j = 0; j < 5; j++) fake_store64(&fake, FAKE_STACK + 8 * j, frame[j]);
    bool done = test->step == ISA_NEXT;
    EXPECT_EQ(test->name, fake_run(&fake, 1), test->step);
    EXPECT_EQ(test->name, fake.fault.vector, test->vector);
    EXPECT_EQ(test->name, fake.fault.error_code, test->error);
    EXPECT_EQ(test->name, fake.isa.state.rip, done ? test->rip : FAKE_CODE);
    EXPECT_EQ(test->name, fake.isa.state.gpr[X86_RSP], done ? 0x7000 : FAKE_STACK);
    EXPECT_EQ(test->name, fake.isa.state.interruptibility, done ? 0 : 8);
    fake_fini(&fake);
  }
}

CU_TestInfo isa_exception_tests[] = {
    {"undefined_opcode_enters_the_handler", undefined_opcode_enters_the_handler},
    {"page_fault_pushes_its_error_code_and_sets_cr2",
     page_fault_pushes_its_error_code_and_sets_cr2},
    {"exception_that_exits_changes_nothing", exception_that_exits_changes_nothing},
    {"user_interrupt_switches_stacks_and_iret_returns",
     user_interrupt_switches_stacks_and_iret_returns},
    {"user_int_through_a_kernel_gate_is_gp", user_int_through_a_kernel_gate_is_gp},
    {"breakpoint_saves_the_next_rip", breakpoint_saves_the_next_rip},
    {"contributory_fault_in_delivery_is_double_fault",
     contributory_fault_in_delivery_is_double_fault},
    {"benign_exception_then_fault_is_serial", benign_exception_then_fault_is_serial},
    {"triple_fault_shuts_down", triple_fault_shuts_down},
    {"handler_that_faults_without_end_uses_up_the_budget",
     handler_that_faults_without_end_uses_up_the_budget},
    {"injected_events_save_the_rip_of_their_type", injected_events_save_the_rip_of_their_type},
    {"single_step_traps_after_each_instruction", single_step_traps_after_each_instruction},
    {"iret_checks_what_it_loads", iret_checks_what_it_loads},
    CU_TEST_INFO_NULL,
};
