/* SPDX-License-Identifier: MIT
 * The run loop: fetching, caching, budgets, strings, stops. */
#include <string.h>

#include "isa/x86/uop.h"
#include "test/expect.h"
#include "test/fake_isa.h"

static void loop_runs_until_the_budget_is_used(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\x48\x01\xc8\x48\xff\xc9\x75\xf8\xf4"); /* add, dec, jnz, hlt */
  fake.isa.state.gpr[X86_RCX] = 100;
  EXPECT_EQ("step", isa_run(&fake.isa, 30), ISA_NEXT);
  EXPECT_EQ("instructions", fake.isa.instructions, 30);
  EXPECT_EQ("rcx", fake.isa.state.gpr[X86_RCX], 90);
  EXPECT_EQ("end", isa_run(&fake.isa, 1000), ISA_HALTED);
  EXPECT_EQ("sum", fake.isa.state.gpr[X86_RAX], 5050);
  EXPECT_EQ("instructions", fake.isa.instructions, 300);
  EXPECT_EQ("rip after hlt", fake.isa.state.rip, FAKE_CODE + 9);
  EXPECT_EQ("halted", isa_run(&fake.isa, 10), ISA_HALTED);
  fake_fini(&fake);
}

static void native_page_returns_before_anything_is_executed(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  fake.fetch_answer = ISA_NATIVE;
  EXPECT_EQ("step", isa_run(&fake.isa, 10), ISA_NATIVE);
  EXPECT_EQ("rip", fake.isa.state.rip, FAKE_CODE);
  EXPECT_EQ("instructions", fake.isa.instructions, 0);
  fake_fini(&fake);
}

/* mov byte [rip+1], 0xc9 changes the next instruction from inc eax to dec ecx (ff c0, ff c9). */
static void code_that_changes_itself_executes_the_new_bytes(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\xc6\x05\x01\0\0\0\xc9\xff\xc0\xeb\xf5");
  fake.isa.state.gpr[X86_RCX] = 5;
  EXPECT_EQ("cached", isa_has_page(&fake.isa, 1), false);
  EXPECT_EQ("step", fake_run(&fake, 4), ISA_NEXT); /* mov, dec, jmp, mov */
  EXPECT_EQ("eax", fake.isa.state.gpr[X86_RAX], 0);
  EXPECT_EQ("ecx", fake.isa.state.gpr[X86_RCX], 4);
  EXPECT_EQ("cached", isa_has_page(&fake.isa, 1), false);
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("cached", isa_has_page(&fake.isa, 1), true);
  fake_fini(&fake);
}

/* The same with the run loop not interrupted, so that the stale page is reaped inside it. */
static void code_that_changes_itself_works_inside_one_run(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\xc6\x05\x01\0\0\0\xc9\xff\xc0\xff\xc9\x75\xf3");
  fake.isa.state.gpr[X86_RCX] = 100;
  EXPECT_EQ("step", isa_run(&fake.isa, 200), ISA_NEXT);
  EXPECT_EQ("ecx", fake.isa.state.gpr[X86_RCX], 0);
  fake_fini(&fake);
}

static void instruction_across_pages_sees_both(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  for (unsigned have = 1; have < 10; have++) {
    uint64_t start = 0x3000 - have;
    fake.isa.state.rip = start;
    FAKE_CODE_BYTES(&fake, "\x48\xb8\1\2\3\4\5\6\7\x08");
    EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
    EXPECT_EQ("rax", fake.isa.state.gpr[X86_RAX], 0x0807060504030201);
    /* Changed on the second page only: nothing stale may be left on the first. */
    fake.memory[start + 9] = 0x55;
    isa_forget_page(&fake.isa, 3);
    fake.isa.state.rip = start;
    EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
    EXPECT_EQ("rax", fake.isa.state.gpr[X86_RAX], 0x5507060504030201);
  }
  fake_fini(&fake);
}

static void instruction_into_an_unmapped_page_faults_at_that_page(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  fake.exception_answer = ISA_EXIT;
  fake.isa.state.rip = FAKE_MEMORY - 2;
  memcpy(fake.memory + FAKE_MEMORY - 2, "\x48\xb8", 2);
  EXPECT_EQ("step", isa_run(&fake.isa, 1), ISA_EXIT);
  EXPECT_EQ("vector", fake.fault.vector, X86_EXCEPTION_PF);
  EXPECT_EQ("address", fake.fault.address, FAKE_MEMORY);
  EXPECT_EQ("rip", fake.isa.state.rip, FAKE_MEMORY - 2);
  fake_fini(&fake);
}

static void unknown_instruction_stops_with_text(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\x0f\x28\xc1");
  EXPECT_EQ("step", isa_run(&fake.isa, 1), ISA_STOP);
  EXPECT_STRING("stop", fake.isa.stop,
                "instruction not modelled at 0x1000: bytes 0f 28 c1: movaps xmm0, xmm1");
  EXPECT_EQ("rip", fake.isa.state.rip, FAKE_CODE);
  fake.isa.code_valid = false;
  fake.isa.state.segment[X86_CS].access_rights = 0xc09b;
  EXPECT_EQ("step", isa_run(&fake.isa, 1), ISA_STOP);
  EXPECT_CONTAINS("stop", fake.isa.stop, "outside 64-bit mode");
  fake_fini(&fake);
}

struct fault_case {
  const char *name, *bytes;
  unsigned size, vector;
};

static void illegal_bytes_raise_what_the_manual_says(void) {
#define ROW(name, bytes, vector) \
  { name, bytes, sizeof bytes - 1, vector }
  static const struct fault_case cases[] = {
      ROW("no_such_opcode", "\x06", X86_EXCEPTION_UD),
      ROW("ud2", "\x0f\x0b", X86_EXCEPTION_UD),
      ROW("lock_mov", "\xf0\x48\x89\x03", X86_EXCEPTION_UD),
      ROW("lock_register", "\xf0\x48\x01\xd8", X86_EXCEPTION_UD),
      ROW("mov_to_cs", "\x8e\xc8", X86_EXCEPTION_UD),
      ROW("mov_to_cr1", "\x0f\x22\xc8", X86_EXCEPTION_UD),
      ROW("too_long", "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90",
          X86_EXCEPTION_GP),
      ROW("non_canonical_load", "\x48\xa1\0\0\0\0\0\0\0\x80", X86_EXCEPTION_GP),
      ROW("non_canonical_stack", "\x48\xb9\0\0\0\0\0\0\0\x80\x48\x89\xcc\x58", X86_EXCEPTION_SS),
      ROW("non_canonical_jump", "\x48\xb8\0\0\0\0\0\0\0\x80\xff\xe0", X86_EXCEPTION_GP),
  };
#undef ROW
  static struct fake_isa fake;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fake_init(&fake);
    fake.exception_answer = ISA_EXIT;
    fake_code(&fake, cases[i].bytes, cases[i].size);
    EXPECT_EQ(cases[i].name, isa_run(&fake.isa, 3), ISA_EXIT);
    EXPECT_EQ(cases[i].name, fake.fault.vector, cases[i].vector);
    fake_fini(&fake);
  }
}

static void rep_is_interruptible_at_each_iteration(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\xf3\x48\xab\x90"); /* rep stosq, nop */
  state->gpr[X86_RCX] = 10;
  state->gpr[X86_RDI] = FAKE_DATA;
  state->gpr[X86_RAX] = 0x1122;
  EXPECT_EQ("step", fake_run(&fake, 4), ISA_NEXT);
  EXPECT_EQ("rip stays", state->rip, FAKE_CODE);
  EXPECT_EQ("rcx", state->gpr[X86_RCX], 6);
  EXPECT_EQ("rdi", state->gpr[X86_RDI], FAKE_DATA + 32);
  EXPECT_EQ("instructions", fake.isa.instructions, 0);
  EXPECT_EQ("step", fake_run(&fake, 7), ISA_NEXT);
  EXPECT_EQ("rip", state->rip, FAKE_CODE + 4);
  EXPECT_EQ("instructions", fake.isa.instructions, 2);
  EXPECT_EQ("last", fake_load64(&fake, FAKE_DATA + 72), 0x1122);
  EXPECT_EQ("beyond", fake_load64(&fake, FAKE_DATA + 80), 0);
  fake_fini(&fake);
}

static void rep_fault_leaves_the_iterations_done(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  fake.exception_answer = ISA_EXIT;
  FAKE_CODE_BYTES(&fake, "\xf3\x48\xa5"); /* rep movsq */
  state->gpr[X86_RCX] = 10;
  state->gpr[X86_RSI] = FAKE_MEMORY - 24;
  state->gpr[X86_RDI] = FAKE_DATA;
  EXPECT_EQ("step", isa_run(&fake.isa, 20), ISA_EXIT);
  EXPECT_EQ("address", fake.fault.address, FAKE_MEMORY);
  EXPECT_EQ("rcx", state->gpr[X86_RCX], 7);
  EXPECT_EQ("rdi", state->gpr[X86_RDI], FAKE_DATA + 24);
  EXPECT_EQ("rip", state->rip, FAKE_CODE);
  fake_fini(&fake);
}

static void repne_scas_stops_behind_the_match(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\xf2\xae\xf3\xa6"); /* repne scasb, repe cmpsb */
  memcpy(fake.memory + FAKE_DATA, "abcdef", 6);
  memcpy(fake.memory + FAKE_DATA + 0x100, "defxx", 5);
  state->gpr[X86_RAX] = 'c';
  state->gpr[X86_RCX] = 100;
  state->gpr[X86_RDI] = FAKE_DATA;
  EXPECT_EQ("step", fake_run(&fake, 3), ISA_NEXT);
  EXPECT_EQ("rdi", state->gpr[X86_RDI], FAKE_DATA + 3);
  EXPECT_EQ("rcx", state->gpr[X86_RCX], 97);
  EXPECT_EQ("rip", state->rip, FAKE_CODE + 2);
  state->gpr[X86_RSI] = FAKE_DATA + 0x100;
  EXPECT_EQ("step", fake_run(&fake, 4), ISA_NEXT);
  EXPECT_EQ("cmps stops at the difference", state->gpr[X86_RDI], FAKE_DATA + 7);
  EXPECT_EQ("zf", state->rflags & X86_RFLAGS_ZF, 0);
  EXPECT_EQ("rip", state->rip, FAKE_CODE + 4);
  fake_fini(&fake);
}

static void stack_instructions_keep_rsp_right(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  /* push rsp; pop [rsp]; push -1; popw ax ... call +0; ret 8 is checked by RSP */
  FAKE_CODE_BYTES(&fake, "\x54\x8f\x04\x24\x6a\xff\x66\x58\xe8\x00\x00\x00\x00\xc2\x08\x00");
  EXPECT_EQ("step", fake_run(&fake, 2), ISA_NEXT);
  EXPECT_EQ("pop [rsp] writes above", fake_load64(&fake, FAKE_STACK), FAKE_STACK);
  EXPECT_EQ("rsp", state->gpr[X86_RSP], FAKE_STACK);
  EXPECT_EQ("step", fake_run(&fake, 2), ISA_NEXT);
  EXPECT_EQ("rsp after pop ax", state->gpr[X86_RSP], FAKE_STACK - 6);
  EXPECT_EQ("ax", state->gpr[X86_RAX], 0xffff);
  EXPECT_EQ("step", fake_run(&fake, 2), ISA_NEXT);
  EXPECT_EQ("rip", state->rip, FAKE_CODE + 13);
  EXPECT_EQ("rsp after ret 8", state->gpr[X86_RSP], FAKE_STACK + 2);
  fake_fini(&fake);
}

static void sti_blocks_for_one_instruction(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\xfb\xfb\x90\x8e\xd0\x90"); /* sti, sti, nop, mov ss, nop */
  state->gpr[X86_RAX] = FAKE_KERNEL_SS;
  fake_run(&fake, 1);
  EXPECT_EQ("after sti", state->interruptibility, 1);
  fake_run(&fake, 1);
  EXPECT_EQ("after the second sti", state->interruptibility, 0);
  EXPECT_EQ("if", state->rflags & X86_RFLAGS_IF, X86_RFLAGS_IF);
  fake_run(&fake, 2);
  EXPECT_EQ("after mov ss", state->interruptibility, 2);
  fake_run(&fake, 1);
  EXPECT_EQ("after nop", state->interruptibility, 0);
  fake_fini(&fake);
}

static void execute_runs_one_decoded_instruction_without_delivery(void) {
  static struct fake_isa fake;
  struct isa_uop add, load;
  fake_init(&fake);
  EXPECT_EQ("add", isa_decode(&fake.isa, (const uint8_t *)"\x48\x01\xd8", 3, &add), 3);
  EXPECT_EQ("load", isa_decode(&fake.isa, (const uint8_t *)"\x48\x8b\x03", 3, &load), 3);
  fake.isa.state.gpr[X86_RBX] = UINT64_C(1) << 40;
  EXPECT_EQ("step", isa_execute(&fake.isa, &add), ISA_NEXT);
  EXPECT_EQ("rip", fake.isa.state.rip, FAKE_CODE + 3);
  EXPECT_EQ("fault", isa_execute(&fake.isa, &load), ISA_FAULT);
  EXPECT_EQ("rip", fake.isa.state.rip, FAKE_CODE + 3);
  EXPECT_EQ("vector", fake.isa.fault.vector, X86_EXCEPTION_PF);
  EXPECT_STRING("nothing asked", fake.log, "");
  fake_fini(&fake);
}

/* More physical pages than the cache holds, in one run as in many. */
static void cache_forgets_everything_when_it_is_full(void) {
  enum { FRAMES = 5000 };
  static struct fake_isa fake;
  unsigned kept = 0;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\xff\xc0\xeb\xfc"); /* inc eax, jmp back */
  for (unsigned i = 0; i < FRAMES; i++) {
    fake.frame_base = i;
    fake.isa.code_valid = false; /* as an environment does when translation changes */
    EXPECT_EQ("step", isa_run(&fake.isa, 2), ISA_NEXT);
  }
  for (unsigned i = 0; i < FRAMES; i++) kept += isa_has_page(&fake.isa, i + 1);
  EXPECT_EQ("count", fake.isa.state.gpr[X86_RAX], FRAMES);
  EXPECT_TRUE("some were forgotten", kept < FRAMES);
  EXPECT_TRUE("the last one is there", isa_has_page(&fake.isa, FRAMES));
  fake_fini(&fake);
}

static void far_return_loads_the_code_segment(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\x48\xcb");
  fake_store64(&fake, FAKE_STACK, FAKE_USER_CODE);
  fake_store64(&fake, FAKE_STACK + 8, FAKE_USER_CS);
  fake_store64(&fake, FAKE_STACK + 16, 0x7000);
  fake_store64(&fake, FAKE_STACK + 24, FAKE_USER_SS);
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("rip", state->rip, FAKE_USER_CODE);
  EXPECT_EQ("rsp", state->gpr[X86_RSP], 0x7000);
  EXPECT_EQ("cs", state->segment[X86_CS].selector, FAKE_USER_CS);
  EXPECT_EQ("kernel data is taken away", state->segment[X86_DS].access_rights >> 16 & 1, 1);
  fake.exception_answer = ISA_EXIT;
  FAKE_CODE_BYTES(&fake, "\x48\xcb");
  fake_store64(&fake, 0x7008, FAKE_KERNEL_CS);
  EXPECT_EQ("inwards", fake_run(&fake, 1), ISA_EXIT);
  EXPECT_EQ("inwards", fake.fault.vector, X86_EXCEPTION_GP);
  EXPECT_EQ("error", fake.fault.error_code, FAKE_KERNEL_CS);
  fake_fini(&fake);
}

CU_TestInfo isa_run_tests[] = {
    {"loop_runs_until_the_budget_is_used", loop_runs_until_the_budget_is_used},
    {"native_page_returns_before_anything_is_executed",
     native_page_returns_before_anything_is_executed},
    {"code_that_changes_itself_executes_the_new_bytes",
     code_that_changes_itself_executes_the_new_bytes},
    {"code_that_changes_itself_works_inside_one_run",
     code_that_changes_itself_works_inside_one_run},
    {"instruction_across_pages_sees_both", instruction_across_pages_sees_both},
    {"instruction_into_an_unmapped_page_faults_at_that_page",
     instruction_into_an_unmapped_page_faults_at_that_page},
    {"unknown_instruction_stops_with_text", unknown_instruction_stops_with_text},
    {"illegal_bytes_raise_what_the_manual_says", illegal_bytes_raise_what_the_manual_says},
    {"rep_is_interruptible_at_each_iteration", rep_is_interruptible_at_each_iteration},
    {"rep_fault_leaves_the_iterations_done", rep_fault_leaves_the_iterations_done},
    {"repne_scas_stops_behind_the_match", repne_scas_stops_behind_the_match},
    {"stack_instructions_keep_rsp_right", stack_instructions_keep_rsp_right},
    {"sti_blocks_for_one_instruction", sti_blocks_for_one_instruction},
    {"execute_runs_one_decoded_instruction_without_delivery",
     execute_runs_one_decoded_instruction_without_delivery},
    {"cache_forgets_everything_when_it_is_full", cache_forgets_everything_when_it_is_full},
    {"far_return_loads_the_code_segment", far_return_loads_the_code_segment},
    CU_TEST_INFO_NULL,
};
