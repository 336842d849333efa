/* SPDX-License-Identifier: MIT
 * System instructions: the order of privilege, intercept and effect, requests, tables. */
#include <string.h>

#include "test/expect.h"
#include "test/fake_isa.h"

struct order_case {
  const char *name, *bytes;
  unsigned size;
  const char *log; /* at CPL 0, nothing intercepted */
  int user_vector; /* fault at CPL 3, or -1: allowed */
};

#define ROW(name, bytes, log, vector) \
  { name, bytes, sizeof bytes - 1, log, vector }
static const struct order_case order_cases[] = {
    ROW("cpuid", "\x0f\xa2", "intercept:1 cpuid:0 ", -1),
    ROW("hlt", "\xf4", "intercept:2 ", X86_EXCEPTION_GP),
    ROW("invd", "\x0f\x08", "intercept:3 ", X86_EXCEPTION_GP),
    ROW("wbinvd", "\x0f\x09", "intercept:4 ", X86_EXCEPTION_GP),
    ROW("invlpg", "\x0f\x01\x3b", "intercept:5 invlpg:4000 ", X86_EXCEPTION_GP),
    ROW("rdtsc", "\x0f\x31", "intercept:6 ", -1),
    ROW("rdtscp", "\x0f\x01\xf9", "intercept:7 ", -1),
    ROW("rdmsr", "\x0f\x32", "intercept:9 read_msr:3a ", X86_EXCEPTION_GP),
    ROW("wrmsr", "\x0f\x30", "intercept:a write_msr:3a ", X86_EXCEPTION_GP),
    ROW("in_imm", "\xe4\x60", "intercept:b in:601 ", X86_EXCEPTION_GP),
    ROW("in_dx", "\xed", "intercept:b in:3f84 ", X86_EXCEPTION_GP),
    ROW("out_dx", "\x66\xef", "intercept:b out:3f82 ", X86_EXCEPTION_GP),
    ROW("out_imm", "\xe6\x80", "intercept:b out:801 ", X86_EXCEPTION_GP),
    ROW("mov_to_cr", "\x0f\x22\xd8", "intercept:c write_cr:3 ", X86_EXCEPTION_GP),
    ROW("mov_from_cr", "\x0f\x20\xe0", "intercept:c read_cr:4 ", X86_EXCEPTION_GP),
    ROW("mov_cr8", "\x44\x0f\x20\xc0", "intercept:c read_cr:8 ", X86_EXCEPTION_GP),
    ROW("clts", "\x0f\x06", "intercept:c read_cr:0 write_cr:0 ", X86_EXCEPTION_GP),
    ROW("lmsw", "\x0f\x01\xf1", "intercept:c read_cr:0 write_cr:0 ", X86_EXCEPTION_GP),
    ROW("smsw", "\x0f\x01\xe0", "read_cr:0 ", -1),
    ROW("mov_to_dr", "\x0f\x23\xc0", "intercept:d ", X86_EXCEPTION_GP),
    ROW("pause", "\xf3\x90", "intercept:f ", -1),
    ROW("mwait", "\x0f\x01\xc9", "intercept:10 ", X86_EXCEPTION_UD),
    ROW("monitor", "\x0f\x01\xc8", "intercept:11 ", X86_EXCEPTION_UD),
    ROW("sgdt", "\x0f\x01\x03", "intercept:12 ", -1),
    ROW("str", "\x0f\x00\xc8", "intercept:12 ", -1),
    ROW("lldt_null", "\x0f\x00\xd6", "intercept:12 ", X86_EXCEPTION_GP),
    ROW("swapgs", "\x0f\x01\xf8", "", X86_EXCEPTION_GP),
    ROW("clac", "\x0f\x01\xca", "", X86_EXCEPTION_GP),
    ROW("cli", "\xfa", "", X86_EXCEPTION_GP),
    ROW("sti", "\xfb", "", X86_EXCEPTION_GP),
    ROW("xsetbv", "\x0f\x01\xd1", "exception:6 ", X86_EXCEPTION_UD), /* CR4.OSXSAVE is clear */
    ROW("vmcall", "\x0f\x01\xc1", "vmx:0 ", -1),
    ROW("vmxoff", "\x0f\x01\xc4", "vmx:8 ", -1),
};

enum { ORDER_COUNT = sizeof order_cases / sizeof *order_cases };

static void prepare(struct fake_isa *fake, const struct order_case *test, bool user) {
  fake_init(fake);
  if (user) fake_user(fake);
  fake->exception_answer = ISA_EXIT;
  fake->isa.state.gpr[X86_RBX] = FAKE_DATA;
  fake->isa.state.gpr[X86_RCX] = 0x3a;
  fake->isa.state.gpr[X86_RDX] = 0x3f8;
  fake_code(fake, test->bytes, test->size);
}

static void intercept_is_asked_before_the_effect(void) {
  static struct fake_isa fake;
  for (size_t i = 0; i < ORDER_COUNT; i++) {
    prepare(&fake, &order_cases[i], false);
    fake_run(&fake, 1);
    EXPECT_STRING(order_cases[i].name, fake.log, order_cases[i].log);
    fake_fini(&fake);
  }
}

/* An exit leaves registers, memory and RIP alone. */
static void intercepted_instruction_has_no_effect(void) {
  static struct fake_isa fake;
  for (size_t i = 0; i < ORDER_COUNT; i++) {
    if (strncmp(order_cases[i].log, "intercept", 9) != 0) continue;
    prepare(&fake, &order_cases[i], false);
    fake.intercept_answer = ISA_EXIT;
    struct x86_state before = fake.isa.state;
    EXPECT_EQ(order_cases[i].name, fake_run(&fake, 1), ISA_EXIT);
    EXPECT_EQ(order_cases[i].name, memcmp(&before, &fake.isa.state, sizeof before), 0);
    EXPECT_EQ(order_cases[i].name, fake.request.length, order_cases[i].size);
    EXPECT_EQ(order_cases[i].name, strchr(fake.log, ' ')[1], 0); /* asked once, nothing else */
    fake_fini(&fake);
  }
}

static void privilege_comes_before_the_intercept(void) {
  static struct fake_isa fake;
  for (size_t i = 0; i < ORDER_COUNT; i++) {
    prepare(&fake, &order_cases[i], true);
    fake.intercept_answer = ISA_EXIT;
    fake_run(&fake, 1);
    if (order_cases[i].user_vector < 0) {
      EXPECT_TRUE(order_cases[i].name, !strstr(fake.log, "exception"));
    } else {
      EXPECT_EQ(order_cases[i].name, fake.fault.vector, order_cases[i].user_vector);
      EXPECT_TRUE(order_cases[i].name, !strstr(fake.log, "intercept"));
    }
    fake_fini(&fake);
  }
}

/* User ports: bit clear in the TSS's map allows, beyond the TSS denies. */
static void permission_bitmap_opens_ports(void) {
  static struct fake_isa fake;
  prepare(&fake, &order_cases[9], true); /* in al, 0x60 */
  fake.isa.state.segment[X86_TR].limit = 0x68 + 0x20;
  EXPECT_EQ("clear bit", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_STRING("clear bit", fake.log, "intercept:b in:601 ");
  fake.isa.state.rip = FAKE_USER_CODE;
  fake.memory[FAKE_TSS + 0x68 + 0x60 / 8] = 1;
  fake.isa.state.gpr[X86_RDX] = 0x61;
  FAKE_CODE_BYTES(&fake, "\xec"); /* in al, dx: the next port is still open */
  EXPECT_EQ("clear bit beside it", fake_run(&fake, 1), ISA_NEXT);
  fake.isa.state.rip = FAKE_USER_CODE;
  FAKE_CODE_BYTES(&fake, "\xe4\x60");
  EXPECT_EQ("set bit", fake_run(&fake, 1), ISA_EXIT);
  EXPECT_EQ("set bit", fake.fault.vector, X86_EXCEPTION_GP);
  fake_fini(&fake);
}

static void string_io_asks_at_each_iteration(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\xf3\x6c\xf3\x6e"); /* rep insb, rep outsb */
  state->gpr[X86_RCX] = 3;
  state->gpr[X86_RDX] = 0x1f0;
  state->gpr[X86_RDI] = FAKE_DATA;
  fake.port_value = 0x41;
  EXPECT_EQ("step", fake_run(&fake, 2), ISA_NEXT);
  EXPECT_STRING("log", fake.log, "intercept:b in:1f01 intercept:b in:1f01 ");
  EXPECT_EQ("request", fake.request.in && fake.request.string && fake.request.rep, true);
  EXPECT_EQ("linear", fake.request.memory.linear, FAKE_DATA + 1);
  EXPECT_EQ("segment", fake.request.memory.segment, X86_ES);
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("data", fake_load64(&fake, FAKE_DATA), 0x434241);
  fake.log[0] = '\0';
  EXPECT_EQ("nothing to do", fake_run(&fake, 1), ISA_NEXT); /* RCX is 0 */
  EXPECT_STRING("log", fake.log, "");
  EXPECT_EQ("rip", state->rip, FAKE_CODE + 4);
  fake_fini(&fake);
}

static void vmx_requests_name_their_operands(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  struct isa_request *request = &fake.request;
  fake_init(&fake);
  state->gpr[X86_RBX] = 0x4000;
  state->gpr[X86_RCX] = 3;
  state->segment[X86_FS].base = 0x100000;
  /* vmread fs:[rbx+rcx*8+0x10], r9; vmwrite rax, r10; invept rdx, [rip+8]; vmptrld [ebx-8] */
  FAKE_CODE_BYTES(&fake,
                  "\x64\x4c\x0f\x78\x4c\xcb\x10\x49\x0f\x79\xc2\x66\x0f\x38\x80\x15\x08\0\0\0"
                  "\x67\x0f\xc7\x73\xf8");
  EXPECT_EQ("vmread", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("operation", request->vmx, ISA_VMREAD);
  EXPECT_EQ("length", request->length, 7);
  EXPECT_EQ("size", request->size, 8);
  EXPECT_EQ("memory", request->memory_form, true);
  EXPECT_EQ("reg2", request->reg2, X86_R9);
  EXPECT_EQ("linear", request->memory.linear, 0x100000 + 0x4000 + 24 + 16);
  EXPECT_EQ("segment", request->memory.segment, X86_FS);
  EXPECT_EQ("base", request->memory.base, X86_RBX);
  EXPECT_EQ("index", request->memory.index, X86_RCX);
  EXPECT_EQ("scale", request->memory.scale, 3);
  EXPECT_EQ("displacement", request->memory.displacement, 0x10);
  EXPECT_EQ("vmwrite", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("memory", request->memory_form, false);
  EXPECT_EQ("reg1", request->reg1, X86_R10);
  EXPECT_EQ("reg2", request->reg2, X86_RAX);
  EXPECT_EQ("invept", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("reg2", request->reg2, X86_RDX);
  EXPECT_EQ("linear", request->memory.linear, FAKE_CODE + 20 + 8);
  EXPECT_EQ("displacement is the sum", request->memory.displacement, FAKE_CODE + 20 + 8);
  EXPECT_EQ("base", request->memory.base, ISA_NO_REGISTER);
  EXPECT_EQ("vmptrld", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("linear", request->memory.linear, 0x3ff8);
  EXPECT_EQ("displacement", request->memory.displacement, (uint64_t)-8);
  EXPECT_EQ("address size", request->memory.address_size, 4);
  fake_fini(&fake);
}

static void vmx_answer_ends_the_instruction(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\x0f\x01\xc3");
  fake.vmx_answer = ISA_EXIT;
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_EXIT);
  EXPECT_EQ("rip", fake.isa.state.rip, FAKE_CODE);
  EXPECT_EQ("instructions", fake.isa.instructions, 0);
  fake_fini(&fake);
}

static void results_go_to_their_registers(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  /* rdtscp; rdmsr; wrmsr; cpuid; xgetbv */
  FAKE_CODE_BYTES(&fake, "\x0f\x01\xf9\x0f\x32\x0f\x30\x0f\xa2\x0f\x01\xd0");
  state->tsc_aux = 7;
  state->xcr0 = 3;
  state->cr4 = X86_CR4_OSXSAVE;
  fake.msr_value = UINT64_C(0x1111111122222222);
  fake_run(&fake, 1);
  EXPECT_EQ("tsc low", state->gpr[X86_RAX], 0x9abcdef0);
  EXPECT_EQ("tsc high", state->gpr[X86_RDX], 0x12345678);
  EXPECT_EQ("tsc_aux", state->gpr[X86_RCX], 7);
  fake_run(&fake, 1);
  EXPECT_EQ("msr low", state->gpr[X86_RAX], 0x22222222);
  EXPECT_EQ("msr high", state->gpr[X86_RDX], 0x11111111);
  state->gpr[X86_RAX] = ~UINT64_C(0);
  fake_run(&fake, 1);
  EXPECT_EQ("written", fake.msr_value, UINT64_C(0x11111111ffffffff));
  state->gpr[X86_RAX] = 4;
  state->gpr[X86_RCX] = 0;
  fake_run(&fake, 1);
  EXPECT_EQ("ebx", state->gpr[X86_RBX], 5);
  EXPECT_EQ("ecx", state->gpr[X86_RCX], 6);
  state->gpr[X86_RCX] = 0;
  fake_run(&fake, 1);
  EXPECT_EQ("xcr0", state->gpr[X86_RAX], 3);
  fake_fini(&fake);
}

static void descriptor_tables_load_and_store(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  state->gpr[X86_RBX] = FAKE_DATA;
  state->gpr[X86_RAX] = FAKE_TR;
  fake_store64(&fake, FAKE_DATA, UINT64_C(0x123400000fff));
  FAKE_CODE_BYTES(&fake,
                  "\x0f\x01\x1b\x0f\x01\x4b\x10\x0f\x00\xd8\x0f\x00\xd8"); /* lidt sidt ltr */
  EXPECT_EQ("lidt", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("limit", state->idtr.limit, 0xfff);
  EXPECT_EQ("base", state->idtr.base, 0x12340000);
  EXPECT_EQ("sidt", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("stored", fake_load64(&fake, FAKE_DATA + 0x10), UINT64_C(0x123400000fff));
  EXPECT_EQ("ltr", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("tr base", state->segment[X86_TR].base, FAKE_TSS);
  EXPECT_EQ("tr rights", state->segment[X86_TR].access_rights, 0x8b);
  EXPECT_EQ("busy in memory", fake.memory[FAKE_GDT + FAKE_TR + 5], 0x8b);
  fake.exception_answer = ISA_EXIT;
  EXPECT_EQ("ltr of a busy one", fake_run(&fake, 1), ISA_EXIT);
  EXPECT_EQ("vector", fake.fault.vector, X86_EXCEPTION_GP);
  EXPECT_EQ("error", fake.fault.error_code, FAKE_TR);
  fake_fini(&fake);
}

static void data_segments_load_from_the_table(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  FAKE_CODE_BYTES(&fake, "\x8e\xd8\x8e\xc1\x8c\xda\x8e\xe3"); /* ds=ax, es=cx, edx=ds, fs=bx */
  state->gpr[X86_RAX] = FAKE_USER_SS;
  state->gpr[X86_RCX] = 0;
  state->gpr[X86_RBX] = 0x40; /* not present */
  fake.exception_answer = ISA_EXIT;
  fake.memory[FAKE_GDT + 0x20 + 5] &= 0xfe;
  EXPECT_EQ("step", fake_run(&fake, 3), ISA_NEXT);
  EXPECT_EQ("accessed bit in memory", fake.memory[FAKE_GDT + 0x20 + 5], 0xf3);
  EXPECT_EQ("ds", state->segment[X86_DS].selector, FAKE_USER_SS);
  EXPECT_EQ("rights", state->segment[X86_DS].access_rights, 0xc0f3);
  EXPECT_EQ("limit", state->segment[X86_DS].limit, 0xffffffff);
  EXPECT_EQ("es unusable", state->segment[X86_ES].access_rights >> 16 & 1, 1);
  EXPECT_EQ("edx", state->gpr[X86_RDX], FAKE_USER_SS);
  EXPECT_EQ("step", fake_run(&fake, 1), ISA_EXIT);
  EXPECT_EQ("not present", fake.fault.vector, X86_EXCEPTION_NP);
  fake_fini(&fake);
}

static void debug_registers_honour_de_and_gd(void) {
  static struct fake_isa fake;
  struct x86_state *state = &fake.isa.state;
  fake_init(&fake);
  fake.exception_answer = ISA_EXIT;
  FAKE_CODE_BYTES(&fake, "\x0f\x21\xe0"); /* mov rax, dr4 */
  state->dr[6] = 0xffff0ff0;
  EXPECT_EQ("alias", fake_run(&fake, 1), ISA_NEXT);
  EXPECT_EQ("dr6", state->gpr[X86_RAX], 0xffff0ff0);
  state->rip = FAKE_CODE;
  state->dr[7] = 1 << 13;
  EXPECT_EQ("general detection", fake_run(&fake, 1), ISA_EXIT);
  EXPECT_EQ("vector", fake.fault.vector, X86_EXCEPTION_DB);
  EXPECT_EQ("BD", fake.fault.address, 1 << 13);
  state->cr4 = 1 << 3;
  EXPECT_EQ("DE", fake_run(&fake, 1), ISA_EXIT);
  EXPECT_EQ("vector", fake.fault.vector, X86_EXCEPTION_UD);
  fake_fini(&fake);
}

CU_TestInfo isa_system_tests[] = {
    {"intercept_is_asked_before_the_effect", intercept_is_asked_before_the_effect},
    {"intercepted_instruction_has_no_effect", intercepted_instruction_has_no_effect},
    {"privilege_comes_before_the_intercept", privilege_comes_before_the_intercept},
    {"permission_bitmap_opens_ports", permission_bitmap_opens_ports},
    {"string_io_asks_at_each_iteration", string_io_asks_at_each_iteration},
    {"vmx_requests_name_their_operands", vmx_requests_name_their_operands},
    {"vmx_answer_ends_the_instruction", vmx_answer_ends_the_instruction},
    {"results_go_to_their_registers", results_go_to_their_registers},
    {"descriptor_tables_load_and_store", descriptor_tables_load_and_store},
    {"data_segments_load_from_the_table", data_segments_load_from_the_table},
    {"debug_registers_honour_de_and_gd", debug_registers_honour_de_and_gd},
    CU_TEST_INFO_NULL,
};
