/* SPDX-License-Identifier: MIT
 * Memory as a guest sees it: accesses that cross pages, code that changes itself, stale and fresh
 * translations; two machines side by side; and guests of random bytes, which must do no harm. */
#include "test/test_machine_driven.h"

#define PAGE_4K UINT64_C(0x1000)
#define PRESENT UINT64_C(3)

/* The guest's own tables for one GiB that its image leaves free: 4-KiB pages. */
enum {
  NEW_PD = GUEST_IMAGE + 0x80000,
  NEW_PT = GUEST_IMAGE + 0x81000,
  GUEST_PDPT = GUEST_IMAGE + 0x3000,
  FRAME_A = GUEST_IMAGE + 0x90000, /* not neighbours, in this order */
  FRAME_B = GUEST_IMAGE + 0x8e000
};
#define NEW_LINEAR (UINT64_C(8) << 30)

static const struct setting settings[] = {
    {.level = 1}, {.level = 1, .no_tlb = true}, {.level = 2}, {.level = 2, .no_tlb = true}};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

/* Linear NEW_LINEAR and the page after it are FRAME_A and FRAME_B. */
static void map_pages(struct driven *d) {
  guest_store(d, GUEST_PDPT + 8 * (NEW_LINEAR >> 30), NEW_PD | PRESENT);
  guest_store(d, NEW_PD, NEW_PT | PRESENT);
  guest_store(d, NEW_PT, FRAME_A | PRESENT);
  guest_store(d, NEW_PT + 8, FRAME_B | PRESENT);
}

/* Runs code to its HLT, with RBX in the new pages, in every setting. */
struct memory_case {
  const char *name;
  uint8_t code[48];
  uint8_t size;
  uint64_t rbx;
  uint64_t rax;      /* expected */
  uint64_t frame[4]; /* expected: last and first words of FRAME_A, FRAME_B */
};

#define CODE(...) {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})
#define A_END UINT64_C(0xa7a6a5a4a3a2a1a0)
#define B_START UINT64_C(0xb7b6b5b4b3b2b1b0)

/* clang-format off */
static const struct memory_case cases[] = {
  {"load of 8 across pages", CODE(0x48, 0x8b, 0x03, 0xf4), NEW_LINEAR + 0xffd,
   UINT64_C(0xb4b3b2b1b0a7a6a5), {A_END, B_START}},
  {"load of 2 across pages", CODE(0x0f, 0xb7, 0x03, 0xf4), NEW_LINEAR + 0xfff, 0xb0a7,
   {A_END, B_START}},
  {"load of 4 up to the end", CODE(0x8b, 0x03, 0xf4), NEW_LINEAR + 0xffc, 0xa7a6a5a4,
   {A_END, B_START}},
  {"store of 8 across pages", CODE(0x48, 0x89, 0x1b, 0xf4), NEW_LINEAR + 0xffc, 0,
   {UINT64_C(0x00000ffca3a2a1a0), UINT64_C(0xb7b6b5b400000002)}},
  {"add to memory across pages", CODE(0x48, 0x83, 0x03, 0x01, 0xf4), NEW_LINEAR + 0xffa, 0,
   {UINT64_C(0xa7a6a5a4a3a3a1a0), B_START}},
  {"xchg across pages", CODE(0x48, 0x87, 0x03, 0xf4), NEW_LINEAR + 0xffe,
   UINT64_C(0xb5b4b3b2b1b0a7a6), {UINT64_C(0x0000a5a4a3a2a1a0), UINT64_C(0xb7b6000000000000)}},
  {"rep movsb across pages", /* mov rsi, rbx; lea rdi, [rbx+8]; mov ecx, 8; rep movsb; hlt */
   CODE(0x48, 0x89, 0xde, 0x48, 0x8d, 0x7b, 0x08, 0xb9, 8, 0, 0, 0, 0xf3, 0xa4, 0xf4),
   NEW_LINEAR + 0xff8, 0, {A_END, A_END}},
  {"remapped and INVLPG", /* mov rax, [rbx]; mov rcx, NEW_PT; swap; invlpg; add */
   CODE(0x48, 0x8b, 0x03,                                /* mov rax, [rbx] */
        0x48, 0xb9, 0x00, 0x10, 0xe8, 0x03, 0, 0, 0, 0,  /* mov rcx, NEW_PT */
        0x48, 0x8b, 0x11, 0x48, 0x87, 0x51, 0x08, 0x48, 0x89, 0x11, /* swap the two entries */
        0x0f, 0x01, 0x3b,                                /* invlpg [rbx] */
        0x48, 0x8b, 0x03, 0xf4),                         /* mov rax, [rbx] */
   NEW_LINEAR, B_START, {A_END, B_START}},
  {"remapped and MOV CR3",
   CODE(0x48, 0x8b, 0x03, 0x48, 0xb9, 0x00, 0x10, 0xe8, 0x03, 0, 0, 0, 0,
        0x48, 0x8b, 0x11, 0x48, 0x87, 0x51, 0x08, 0x48, 0x89, 0x11,
        0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda,              /* mov rdx, cr3; mov cr3, rdx */
        0x48, 0x8b, 0x03, 0xf4),
   NEW_LINEAR, B_START, {A_END, B_START}},
  {"code that changes the next instruction", /* mov byte [rip+2], 0x90; eb 00 -> nop; ... */
   CODE(0x31, 0xc0,                                      /* xor eax, eax */
        0xc6, 0x05, 0x00, 0x00, 0x00, 0x00, 0x90,        /* mov byte [rip+0], 0x90 */
        0xf4,                                            /* hlt: becomes nop */
        0xff, 0xc0, 0xf4),                               /* inc eax; hlt */
   NEW_LINEAR, 1, {A_END, B_START}},
  {"code that changes a loop already run", /* twice: mov al, 1 becomes mov al, 2 */
   CODE(0x31, 0xd2,                                      /* xor edx, edx */
        0xb0, 0x01,                                      /* again: mov al, 1 */
        0x00, 0xc2,                                      /* add dl, al */
        0x80, 0x3d, 0xf6, 0xff, 0xff, 0xff, 0x02,        /* cmp byte [again+1], 2 */
        0x74, 0x09,                                      /* je done */
        0xc6, 0x05, 0xed, 0xff, 0xff, 0xff, 0x02,        /* mov byte [again+1], 2 */
        0xeb, 0xea,                                      /* jmp again */
        0x0f, 0xb6, 0xc2, 0xf4),                         /* done: movzx eax, dl; hlt */
   NEW_LINEAR, 3, {A_END, B_START}},
};
/* clang-format on */

static void run_case(const struct memory_case *c, const struct setting *setting) {
  char text[128];
  struct driven d;
  snprintf(text, sizeof text, "%s, by L%u, TLB %s", c->name, setting->level - 1,
           setting->no_tlb ? "off" : "on");
  if (driven_open(&d, text, setting)) {
    driven_load(&d, c->code, c->size);
    map_pages(&d);
    guest_store(&d, FRAME_A, 0);
    guest_store(&d, FRAME_A + PAGE_4K - 8, A_END);
    guest_store(&d, FRAME_B, B_START);
    driven_set(&d, NST_REG_RBX, c->rbx);
    DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
    DRIVEN_EQ(&d, driven_get(&d, NST_REG_RAX), c->rax);
    DRIVEN_EQ(&d, guest_load(&d, FRAME_A + PAGE_4K - 8), c->frame[0]);
    DRIVEN_EQ(&d, guest_load(&d, FRAME_B), c->frame[1]);
  }
  driven_close(&d);
}

static void access_in_any_setting_gives_the_same(void) {
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (unsigned j = 0; j < SETTINGS; j++) run_case(&cases[i], &settings[j]);
}

/* ---- a store that faults in its second page changes nothing in the first */

static void store_into_absent_second_page_changes_nothing(void) {
  for (unsigned j = 0; j < SETTINGS; j++) {
    struct driven d;
    if (driven_open(&d, "store across a page that is not present", &settings[j])) {
      DRIVEN_LOAD(&d, {0x48, 0x89, 0x1b, 0xf4}); /* mov [rbx], rbx; hlt */
      map_pages(&d);
      guest_store(&d, NEW_PT + 8, 0);
      guest_store(&d, FRAME_A + PAGE_4K - 8, A_END);
      driven_set(&d, NST_REG_RBX, NEW_LINEAR + 0xffc);
      driven_change(&d, NST_FIELD_EXCEPTION_BITMAP, 1 << 14, 0);
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_EXCEPTION_NMI);
      DRIVEN_EQ(&d, d.stop.qualification, NEW_LINEAR + PAGE_4K);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VM_EXIT_INTR_ERROR_CODE), 2);
      DRIVEN_EQ(&d, guest_load(&d, FRAME_A + PAGE_4K - 8), A_END);
    }
    driven_close(&d);
  }
}

/* ---- two machines */

static void machines_side_by_side_do_not_disturb_each_other(void) {
  /* mov ecx, 50; again: add rax, rbx; mov [rsi], rax; dec ecx; jnz again; hlt */
  static const uint8_t code[] = {0xb9, 50,   0,    0,    0,    0x48, 0x01, 0xd8,
                                 0x48, 0x89, 0x06, 0xff, 0xc9, 0x75, 0xf6, 0xf4};
  struct driven d[2];
  bool open = driven_open(&d[0], "first", &settings[0]);
  open &= driven_open(&d[1], "second", &settings[2]);
  for (unsigned i = 0; open && i < 2; i++) {
    driven_load(&d[i], code, sizeof code);
    driven_set(&d[i], NST_REG_RBX, i + 3);
    driven_set(&d[i], NST_REG_RSI, GUEST_DATA);
    DRIVEN_EQ(&d[i], nst_vmlaunch(d[i].cpu), NST_VMX_SUCCEED);
  }
  struct nst_stop stop[2] = {{NST_STOP_BUDGET, 0, 0}, {NST_STOP_BUDGET, 0, 0}};
  for (unsigned turn = 0; open && turn < 100; turn++) /* 7 instructions each, in turn */
    for (unsigned i = 0; i < 2; i++)
      if (stop[i].kind == NST_STOP_BUDGET) DRIVEN_EQ(&d[i], nst_run(d[i].cpu, 7, &stop[i]), NST_OK);
  for (unsigned i = 0; open && i < 2; i++) {
    DRIVEN_EQ(&d[i], stop[i].kind, NST_STOP_EXIT);
    DRIVEN_EQ(&d[i], stop[i].reason, NST_EXIT_HLT);
    DRIVEN_EQ(&d[i], driven_get(&d[i], NST_REG_RAX), 50 * (i + 3));
    DRIVEN_EQ(&d[i], guest_load(&d[i], GUEST_DATA), 50 * (i + 3));
  }
  driven_close(&d[0]);
  driven_close(&d[1]);
}

/* ---- guests of random bytes */

enum { SEEDS = 2000, HOSTILE_BYTES = 0x400, HOSTILE_BUDGET = 200 };

static uint64_t next_random(uint64_t *state) {
  *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
  uint64_t z = *state;
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

/* Kinds in which a guest's run may end; an error must say why. */
static bool is_documented(const struct driven *d, enum nst_status status) {
  switch (d->stop.kind) {
    case NST_STOP_EXIT:
    case NST_STOP_HALT:
    case NST_STOP_SHUTDOWN:
    case NST_STOP_BUDGET:
      return status == NST_OK;
    case NST_STOP_ERROR:
      return status == NST_E_STATE && nst_error(d->machine)[0];
    case NST_STOP_NONE:
    case NST_STOP_ENTRY_FAILED:
    case NST_STOP_MARK:
      return false;
  }
  return false;
}

static void load_random(struct driven *d, uint64_t seed) {
  uint64_t state = seed;
  uint8_t code[HOSTILE_BYTES];
  for (size_t i = 0; i < sizeof code; i += 8) {
    uint64_t word = next_random(&state);
    memcpy(code + i, &word, 8);
  }
  driven_load(d, code, sizeof code);
  /* Registers point into the image half of the time, so that random operands reach memory. */
  for (unsigned reg = NST_REG_RAX; reg <= NST_REG_R15; reg++) {
    uint64_t value = next_random(&state);
    if (reg != NST_REG_RSP)
      driven_set(d, (enum nst_reg)reg, value & 1 ? GUEST_IMAGE + (value & 0x1fffff) : value);
  }
  if (seed % 4 == 0) driven_change(d, NST_FIELD_EXCEPTION_BITMAP, UINT32_MAX, 0);
  if (seed % 4 == 1) driven_write(d, NST_FIELD_GUEST_IDTR_BASE, GUEST_CODE);
}

/* Entered again after every exit, past the instruction if it has a length. */
static void run_hostile(struct driven *d) {
  enum nst_vmx_result entered = nst_vmlaunch(d->cpu);
  for (unsigned turn = 0; turn < 8 && entered == NST_VMX_SUCCEED; turn++) {
    enum nst_status status = nst_run(d->cpu, HOSTILE_BUDGET, &d->stop);
    if (!EXPECT_TRUE(d->name, is_documented(d, status)) || d->stop.kind != NST_STOP_EXIT) return;
    uint64_t rip = 0, length = 0;
    nst_vmread(d->cpu, NST_FIELD_GUEST_RIP, &rip);
    nst_vmread(d->cpu, NST_FIELD_VM_EXIT_INSTRUCTION_LEN, &length);
    nst_vmwrite(d->cpu, NST_FIELD_GUEST_RIP, rip + (length <= 15 ? length : 0));
    entered = nst_vmresume(d->cpu);
  }
}

static void run_hostile_level(unsigned level) {
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    char text[64];
    struct driven d;
    snprintf(text, sizeof text, "random guest %u by L%u", (unsigned)seed, level - 1);
    if (driven_open(&d, text, &(struct setting){.level = level})) {
      load_random(&d, seed);
      run_hostile(&d);
    }
    driven_close(&d);
  }
}

static void random_guest_of_l0_does_no_harm(void) {
  run_hostile_level(1);
}
static void random_guest_of_l1_does_no_harm(void) {
  run_hostile_level(2);
}

CU_TestInfo machine_memory_tests[] = {
    {"access_in_any_setting_gives_the_same", access_in_any_setting_gives_the_same},
    {"store_into_absent_second_page_changes_nothing",
     store_into_absent_second_page_changes_nothing},
    {"machines_side_by_side_do_not_disturb_each_other",
     machines_side_by_side_do_not_disturb_each_other},
    {"random_guest_of_l0_does_no_harm", random_guest_of_l0_does_no_harm},
    {"random_guest_of_l1_does_no_harm", random_guest_of_l1_does_no_harm},
    CU_TEST_INFO_NULL,
};
