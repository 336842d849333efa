/* SPDX-License-Identifier: MIT
 * The same instruction on the host's processor and in the interpreter, with random operands. Flags
 * that the manual leaves undefined are not compared. Hosts of other kinds skip this. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "test/expect.h"
#include "test/fake_isa.h"

enum {
  CF = X86_RFLAGS_CF,
  AF = X86_RFLAGS_AF,
  OF = X86_RFLAGS_OF,
  ZF = X86_RFLAGS_ZF,
  SF = X86_RFLAGS_SF,
  PF = X86_RFLAGS_PF,
  ALL = CF | PF | AF | ZF | SF | OF,
  ROUNDS = 400
};

struct native_case {
  const char *name;
  const char *bytes;
  unsigned size;
  unsigned defined; /* flags that are compared */
};

#define CASE(name, bytes, defined) \
  { name, bytes, sizeof bytes - 1, defined }

static const struct native_case cases[] = {
    CASE("add_64", "\x48\x01\xd8", ALL),
    CASE("add_32", "\x01\xd8", ALL),
    CASE("add_16", "\x66\x01\xd8", ALL),
    CASE("add_8", "\x00\xd8", ALL),
    CASE("add_ah_bh", "\x00\xfc", ALL),
    CASE("adc_64", "\x48\x11\xd8", ALL),
    CASE("adc_8", "\x10\xd8", ALL),
    CASE("sub_64", "\x48\x29\xd8", ALL),
    CASE("sub_16", "\x66\x29\xd8", ALL),
    CASE("sbb_64", "\x48\x19\xd8", ALL),
    CASE("sbb_32", "\x19\xd8", ALL),
    CASE("sbb_8", "\x18\xd8", ALL),
    CASE("cmp_64", "\x48\x39\xd8", ALL),
    CASE("and_64", "\x48\x21\xd8", ALL & ~AF),
    CASE("or_16", "\x66\x09\xd8", ALL & ~AF),
    CASE("xor_8", "\x30\xd8", ALL & ~AF),
    CASE("test_32", "\x85\xd8", ALL & ~AF),
    CASE("inc_16", "\x66\xff\xc0", ALL),
    CASE("dec_8", "\xfe\xc8", ALL),
    CASE("neg_64", "\x48\xf7\xd8", ALL),
    CASE("neg_8", "\xf6\xd8", ALL),
    CASE("not_16", "\x66\xf7\xd0", ALL),
    CASE("mul_8", "\xf6\xe3", CF | OF),
    CASE("mul_16", "\x66\xf7\xe3", CF | OF),
    CASE("mul_32", "\xf7\xe3", CF | OF),
    CASE("mul_64", "\x48\xf7\xe3", CF | OF),
    CASE("imul_8", "\xf6\xeb", CF | OF),
    CASE("imul_16", "\x66\xf7\xeb", CF | OF),
    CASE("imul_64", "\x48\xf7\xeb", CF | OF),
    CASE("imul_2_32", "\x0f\xaf\xc3", CF | OF),
    CASE("imul_3_64", "\x48\x69\xc3\x99\x88\x77\x66", CF | OF),
    CASE("shl_cl_64", "\x48\xd3\xe0", CF | ZF | SF | PF),
    CASE("shl_1_16", "\x66\xd1\xe0", ALL & ~AF),
    CASE("shr_cl_32", "\xd3\xe8", ZF | SF | PF | CF),
    CASE("shr_1_8", "\xd0\xe8", ALL & ~AF),
    CASE("sar_cl_64", "\x48\xd3\xf8", CF | ZF | SF | PF),
    CASE("sar_1_16", "\x66\xd1\xf8", ALL & ~AF),
    CASE("rol_cl_8", "\xd2\xc0", CF),
    CASE("rol_1_64", "\x48\xd1\xc0", CF | OF),
    CASE("ror_cl_16", "\x66\xd3\xc8", CF),
    CASE("ror_1_32", "\xd1\xc8", CF | OF),
    CASE("rcl_cl_8", "\xd2\xd0", CF),
    CASE("rcl_cl_16", "\x66\xd3\xd0", CF),
    CASE("rcl_cl_64", "\x48\xd3\xd0", CF),
    CASE("rcl_1_32", "\xd1\xd0", CF | OF),
    CASE("rcr_cl_8", "\xd2\xd8", CF),
    CASE("rcr_cl_64", "\x48\xd3\xd8", CF),
    CASE("rcr_1_16", "\x66\xd1\xd8", CF | OF),
    CASE("shld_cl_64", "\x48\x0f\xa5\xd8", CF | ZF | SF | PF),
    CASE("shrd_cl_32", "\x0f\xad\xd8", CF | ZF | SF | PF),
    CASE("shld_1_16", "\x66\x0f\xa4\xd8\x01", ALL & ~AF),
    CASE("bt_64", "\x48\x0f\xa3\xd8", CF),
    CASE("bts_32", "\x0f\xab\xd8", CF),
    CASE("btr_16", "\x66\x0f\xb3\xd8", CF),
    CASE("btc_64", "\x48\x0f\xbb\xd8", CF),
    CASE("bsf_64", "\x48\x0f\xbc\xc3", ZF),
    CASE("bsr_16", "\x66\x0f\xbd\xc3", ZF),
    CASE("bswap_32", "\x0f\xc8", ALL),
    CASE("bswap_64", "\x48\x0f\xc8", ALL),
    CASE("movzx_8_64", "\x48\x0f\xb6\xc3", ALL),
    CASE("movsx_8_16", "\x66\x0f\xbe\xc3", ALL),
    CASE("movsxd", "\x48\x63\xc3", ALL),
    CASE("xchg_16", "\x66\x93", ALL),
    CASE("xadd_8", "\x0f\xc0\xd8", ALL),
    CASE("xadd_same", "\x48\x0f\xc1\xc0", ALL),
    CASE("cmpxchg_64", "\x48\x0f\xb1\xcb", ALL),
    CASE("cmpxchg_32", "\x0f\xb1\xcb", ALL),
    CASE("cmpxchg_equal", "\x89\xc3\x0f\xb1\xcb", ALL),
    CASE("cdqe", "\x48\x98", ALL),
    CASE("cwd", "\x66\x99", ALL),
    CASE("cdq", "\x99", ALL),
    CASE("lahf", "\x9f", ALL),
    CASE("sahf", "\x9e", ALL),
    CASE("lea", "\x67\x8d\x44\x5b\x11", ALL),
    CASE("setl", "\x0f\x9c\xc0", ALL),
    CASE("cmovbe_32", "\x0f\x46\xc3", ALL),
    CASE("cmovp_16", "\x66\x0f\x4a\xc3", ALL),
    CASE("div_after_zeroing", "\x31\xd2\x83\xcb\x01\xf7\xf3", 0),
    CASE("idiv_after_cdq", "\x83\xe3\x7f\x83\xcb\x02\x99\xf7\xfb", 0),
    CASE("idiv_64_after_cqo", "\x83\xe3\x7f\x83\xcb\x02\x48\x99\x48\xf7\xfb", 0),
};

struct native_state {
  uint64_t rax, rbx, rcx, rdx, flags;
};

#if defined(__x86_64__)
static void run_native(const void *code, struct native_state *state) {
  __asm__ volatile(
      "lea -128(%%rsp), %%rsp\n\t" /* below the red zone */
      "pushq 32(%[state])\n\t"
      "popfq\n\t"
      "mov 0(%[state]), %%rax\n\t"
      "mov 8(%[state]), %%rbx\n\t"
      "mov 16(%[state]), %%rcx\n\t"
      "mov 24(%[state]), %%rdx\n\t"
      "call *%[code]\n\t"
      "pushfq\n\t"
      "popq 32(%[state])\n\t"
      "mov %%rax, 0(%[state])\n\t"
      "mov %%rbx, 8(%[state])\n\t"
      "mov %%rcx, 16(%[state])\n\t"
      "mov %%rdx, 24(%[state])\n\t"
      "lea 128(%%rsp), %%rsp\n\t"
      :
      : [state] "r"(state), [code] "r"(code)
      : "rax", "rbx", "rcx", "rdx", "cc", "memory");
}

static uint64_t draw(uint64_t *seed) {
  static const uint64_t corners[] = {0,    1,    ~UINT64_C(0), UINT64_C(1) << 63, 0x7fffffff,
                                     0x80, 0x7f, 0x8000,       0xffffffff,        0x80000000};
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  uint64_t value = *seed >> 20 ^ *seed << 33;
  return *seed >> 61 ? value : corners[(*seed >> 40) % (sizeof corners / sizeof *corners)];
}

static struct native_state interpret(struct fake_isa *fake, const struct native_case *test,
                                     const struct native_state *in) {
  struct x86_state *state = &fake->isa.state;
  state->rip = FAKE_CODE;
  state->gpr[X86_RAX] = in->rax;
  state->gpr[X86_RBX] = in->rbx;
  state->gpr[X86_RCX] = in->rcx;
  state->gpr[X86_RDX] = in->rdx;
  state->rflags = in->flags;
  while (state->rip < FAKE_CODE + test->size && isa_run(&fake->isa, 1) == ISA_NEXT) continue;
  EXPECT_EQ(test->name, state->rip, FAKE_CODE + test->size);
  return (struct native_state){state->gpr[X86_RAX], state->gpr[X86_RBX], state->gpr[X86_RCX],
                               state->gpr[X86_RDX], state->rflags};
}

static bool compare(const struct native_case *test, const struct native_state *in,
                    const struct native_state *ours, const struct native_state *host) {
  char what[160];
  bool same = ours->rax == host->rax && ours->rbx == host->rbx && ours->rcx == host->rcx &&
              ours->rdx == host->rdx && !((ours->flags ^ host->flags) & test->defined);
  snprintf(what, sizeof what, "%s rax %llx rbx %llx rcx %llx flags %llx", test->name,
           (unsigned long long)in->rax, (unsigned long long)in->rbx, (unsigned long long)in->rcx,
           (unsigned long long)in->flags);
  if (same) return true;
  EXPECT_EQ(what, ours->rax, host->rax);
  EXPECT_EQ(what, ours->rbx, host->rbx);
  EXPECT_EQ(what, ours->rdx, host->rdx);
  EXPECT_EQ(what, ours->flags & test->defined, host->flags & test->defined);
  return false;
}

static void run_case(struct fake_isa *fake, const struct native_case *test, uint8_t *page) {
  uint64_t seed = 20240601;
  fake->isa.state.rip = FAKE_CODE;
  fake_code(fake, test->bytes, test->size);
  fake_expect_decoders(test->name, fake->memory + FAKE_CODE, 15);
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
  memcpy(page, test->bytes, test->size);
  page[test->size] = 0xc3;
  if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0) return;
  for (unsigned i = 0; i < ROUNDS; i++) {
    struct native_state in = {draw(&seed), draw(&seed), draw(&seed), draw(&seed),
                              (draw(&seed) & ALL) | X86_RFLAGS_FIXED | X86_RFLAGS_IF};
    struct native_state host = in, ours = interpret(fake, test, &in);
    run_native(page, &host);
    if (!compare(test, &in, &ours, &host)) return;
  }
}

static void random_operands_give_what_the_host_gives(void) {
  static struct fake_isa fake;
  uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  fake_init(&fake);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) run_case(&fake, &cases[i], page);
  fake_fini(&fake);
  munmap(page, 4096);
}
#else
static void random_operands_give_what_the_host_gives(void) {
  EXPECT_EQ("host", cases[0].size, 3);
}
#endif

CU_TestInfo isa_native_tests[] = {
    {"random_operands_give_what_the_host_gives", random_operands_give_what_the_host_gives},
    CU_TEST_INFO_NULL,
};
