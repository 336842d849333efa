/* SPDX-License-Identifier: MIT
 * What exits and what does not: each intercept of 64-bit mode with its control off and on; reason,
 * qualification, length and event of the exit. By the software of L0, and of L1 and L2 on
 * hypervisors. SDM 3C "VMX Non-Root Operation", "Exit Qualification". */
#include "test/test_machine_driven.h"

#define PRIMARY NST_FIELD_CPU_BASED_VM_EXEC_CONTROL
#define SECONDARY NST_FIELD_SECONDARY_VM_EXEC_CONTROL
#define EXCEPTIONS NST_FIELD_EXCEPTION_BITMAP
#define BIT(n) (UINT64_C(1) << (n))

enum {
  CHANGES = 4,
  NO_BIT = 0, /* bit 0 of the bitmaps is never what a case sets */
  HLT = NST_EXIT_HLT,
  TRIPLE = NST_EXIT_TRIPLE_FAULT, /* where an exception without an intercept leads: no IDT */
  ALWAYS = 100,                   /* no control switches the exit off */
  UNMAPPED = 0x100000             /* no EPT entry */
};
#define NOT_PRESENT (UINT64_C(5) << 30) /* no entry in the guest's own tables */

struct change {
  uint32_t field;
  uint64_t set, clear;
};

/* `code` is one instruction, a HLT follows. Registers: RBX, RCX and RAX are given. */
struct intercept_case {
  const char *name;
  uint8_t code[8];
  uint8_t size;
  uint64_t rax, rbx, rcx;
  struct change base[CHANGES]; /* off and on */
  struct change on[2];         /* the intercept */
  uint32_t bit;                /* of the bitmap page(s) at SCRATCH, set when on */
  uint32_t without;            /* exit reason when off */
  uint32_t reason;             /* when on */
  uint64_t qualification;
  uint8_t length; /* 0: not defined */
  uint32_t event; /* VM-exit interruption information */
};

#define CODE(...) {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})
#define GUEST_CR3 (GUEST_IMAGE + 0x2000)

/* Bitmaps of ports: A at SCRATCH, B in the page after it. */
#define IO_BITMAPS                                                             \
  {PRIMARY, BIT(25), BIT(24)}, {NST_FIELD_IO_BITMAP_A, SCRATCH, UINT64_MAX}, { \
    NST_FIELD_IO_BITMAP_B, SCRATCH_2, UINT64_MAX                               \
  }
#define MSR_BITMAPS                           \
  {PRIMARY, BIT(28), 0}, {                    \
    NST_FIELD_MSR_BITMAP, SCRATCH, UINT64_MAX \
  }
#define MASK0(mask, shadow)                            \
  {NST_FIELD_CR0_GUEST_HOST_MASK, mask, UINT64_MAX}, { \
    NST_FIELD_CR0_READ_SHADOW, shadow, UINT64_MAX      \
  }
#define MASK4(mask, shadow)                            \
  {NST_FIELD_CR4_GUEST_HOST_MASK, mask, UINT64_MAX}, { \
    NST_FIELD_CR4_READ_SHADOW, shadow, UINT64_MAX      \
  }
#define PF_MATCH(mask, match)                                 \
  {NST_FIELD_PAGE_FAULT_ERROR_CODE_MASK, mask, UINT64_MAX}, { \
    NST_FIELD_PAGE_FAULT_ERROR_CODE_MATCH, match, UINT64_MAX  \
  }
#define PORT(port) ((uint64_t)(port) << 16)

/* clang-format off */
static const struct intercept_case cases[] = {
  /* instructions with a control of their own, or with none */
  {"CPUID", CODE(0x0f, 0xa2), .without = ALWAYS, .reason = 10, .length = 2},
  {"INVD", CODE(0x0f, 0x08), .without = ALWAYS, .reason = 13, .length = 2},
  {"XSETBV", CODE(0x0f, 0x01, 0xd1), .rax = 1, .base = {{NST_FIELD_GUEST_CR4, BIT(18), 0}},
   .without = ALWAYS, .reason = 55, .length = 3},
  {"VMCALL", CODE(0x0f, 0x01, 0xc1), .without = ALWAYS, .reason = 18, .length = 3},
  {"VMLAUNCH", CODE(0x0f, 0x01, 0xc2), .without = ALWAYS, .reason = 20, .length = 3},
  {"VMXOFF", CODE(0x0f, 0x01, 0xc4), .without = ALWAYS, .reason = 26, .length = 3},
  {"VMREAD", CODE(0x0f, 0x78, 0xc8), .without = ALWAYS, .reason = 23, .length = 3},
  {"VMPTRLD [rcx+0x10]", CODE(0x0f, 0xc7, 0x71, 0x10), .rcx = GUEST_DATA, .without = ALWAYS,
   .reason = 21, .qualification = 0x10, .length = 4},
  {"HLT", CODE(0xf4), .base = {{PRIMARY, BIT(7), 0}}, .without = ALWAYS,
   .reason = 12, .length = 1},
  {"RDTSC", CODE(0x0f, 0x31), .on = {{PRIMARY, BIT(12), 0}}, .without = HLT, .reason = 16,
   .length = 2},
  {"RDTSCP", CODE(0x0f, 0x01, 0xf9), .on = {{PRIMARY, BIT(12), 0}}, .without = HLT, .reason = 51,
   .length = 3},
  {"RDTSCP not enabled", CODE(0x0f, 0x01, 0xf9), .base = {{SECONDARY, 0, BIT(3)}},
   .without = ALWAYS, .reason = 0, .event = 0x80000306},
  {"INVLPG", CODE(0x0f, 0x01, 0x39), .rcx = 0x123456, .on = {{PRIMARY, BIT(9), 0}},
   .without = HLT, .reason = 14, .qualification = 0x123456, .length = 3},
  {"INVPCID", CODE(0x66, 0x0f, 0x38, 0x82, 0x01), .rax = 2, .rcx = GUEST_DATA,
   .base = {{SECONDARY, BIT(12), 0}, {PRIMARY, BIT(9), 0}}, .without = ALWAYS, .reason = 58,
   .length = 5},
  {"PAUSE", CODE(0xf3, 0x90), .on = {{PRIMARY, BIT(30), 0}}, .without = HLT, .reason = 40,
   .length = 2},
  {"MWAIT", CODE(0x0f, 0x01, 0xc9), .base = {{PRIMARY, BIT(10), 0}}, .without = ALWAYS,
   .reason = 36, .length = 3},
  {"MONITOR", CODE(0x0f, 0x01, 0xc8), .base = {{PRIMARY, BIT(29), 0}}, .without = ALWAYS,
   .reason = 39, .length = 3},
  {"RDPMC", CODE(0x0f, 0x33), .base = {{PRIMARY, BIT(11), 0}}, .without = ALWAYS, .reason = 15,
   .length = 2},
  {"WBINVD", CODE(0x0f, 0x09), .base = {{SECONDARY, 0, BIT(6)}}, .on = {{SECONDARY, BIT(6), 0}},
   .without = HLT, .reason = 54, .length = 2},
  {"RDRAND eax", CODE(0x0f, 0xc7, 0xf0), .base = {{SECONDARY, BIT(11), 0}}, .without = ALWAYS,
   .reason = 57, .length = 3},
  {"SGDT [rcx]", CODE(0x0f, 0x01, 0x01), .rcx = GUEST_DATA, .on = {{SECONDARY, BIT(2), 0}},
   .without = HLT, .reason = 46, .length = 3},
  {"SLDT eax", CODE(0x0f, 0x00, 0xc0), .on = {{SECONDARY, BIT(2), 0}}, .without = HLT,
   .reason = 47, .length = 3},

  /* control and debug registers */
  {"MOV CR3, RBX", CODE(0x0f, 0x22, 0xdb), .rbx = GUEST_CR3, .base = {{PRIMARY, 0, BIT(15)}},
   .on = {{PRIMARY, BIT(15), 0}}, .without = HLT, .reason = 28, .qualification = 0x303,
   .length = 3},
  {"MOV RBX, CR3", CODE(0x0f, 0x20, 0xdb), .on = {{PRIMARY, BIT(16), 0}}, .without = HLT,
   .reason = 28, .qualification = 0x313, .length = 3},
  {"MOV CR3, RBX a target value", CODE(0x0f, 0x22, 0xdb), .rbx = GUEST_CR3,
   .base = {{PRIMARY, BIT(15), 0}, {NST_FIELD_CR3_TARGET_VALUE2, GUEST_CR3, UINT64_MAX},
            {NST_FIELD_CR3_TARGET_COUNT, 3, 0}},
   .on = {{NST_FIELD_CR3_TARGET_COUNT, 1, 3}}, .without = HLT, .reason = 28,
   .qualification = 0x303, .length = 3},
  {"MOV CR8, RBX", CODE(0x44, 0x0f, 0x22, 0xc3), .rbx = 1, .on = {{PRIMARY, BIT(19), 0}},
   .without = HLT, .reason = 28, .qualification = 0x308, .length = 4},
  {"MOV RBX, CR8", CODE(0x44, 0x0f, 0x20, 0xc3), .on = {{PRIMARY, BIT(20), 0}}, .without = HLT,
   .reason = 28, .qualification = 0x318, .length = 4},
  {"MOV CR0, RBX owned bit", CODE(0x0f, 0x22, 0xc3), .rbx = 0x80010039,
   .base = {MASK0(0, 0x80010031)}, .on = {{NST_FIELD_CR0_GUEST_HOST_MASK, BIT(3), 0}},
   .without = HLT, .reason = 28, .qualification = 0x300, .length = 3},
  {"MOV CR0, RBX as the shadow", CODE(0x0f, 0x22, 0xc3), .rbx = 0x80010039,
   .base = {MASK0(BIT(3), 0x80010039)}, .on = {{NST_FIELD_CR0_READ_SHADOW, 0, BIT(3)}},
   .without = HLT, .reason = 28, .qualification = 0x300, .length = 3},
  {"MOV CR4, RBX owned bit", CODE(0x0f, 0x22, 0xe3), .rbx = 0x20a4, .base = {MASK4(0, 0xa0)},
   .on = {{NST_FIELD_CR4_GUEST_HOST_MASK, BIT(2), 0}}, .without = HLT, .reason = 28,
   .qualification = 0x304, .length = 3},
  {"MOV RBX, CR0", CODE(0x0f, 0x20, 0xc3), .without = HLT, .reason = HLT, .length = 1},
  {"CLTS", CODE(0x0f, 0x06), .base = {MASK0(BIT(3), 0x80010031)},
   .on = {{NST_FIELD_CR0_READ_SHADOW, BIT(3), 0}}, .without = HLT, .reason = 28,
   .qualification = 0x20, .length = 2},
  {"LMSW AX", CODE(0x0f, 0x01, 0xf0), .rax = 3, .base = {MASK0(0, 0x80010031)},
   .on = {{NST_FIELD_CR0_GUEST_HOST_MASK, BIT(1), 0}}, .without = HLT, .reason = 28,
   .qualification = 0x30030, .length = 3},
  {"MOV DR0, RBX", CODE(0x0f, 0x23, 0xc3), .base = {{PRIMARY, 0, BIT(23)}},
   .on = {{PRIMARY, BIT(23), 0}}, .without = HLT, .reason = 29, .qualification = 0x300,
   .length = 3},
  {"MOV RBX, DR6", CODE(0x0f, 0x21, 0xf3), .base = {{PRIMARY, 0, BIT(23)}},
   .on = {{PRIMARY, BIT(23), 0}}, .without = HLT, .reason = 29, .qualification = 0x316,
   .length = 3},

  /* MSRs: read low, read high, write low, write high */
  {"RDMSR no bitmaps", CODE(0x0f, 0x32), .rcx = 0x174, .base = {MSR_BITMAPS},
   .on = {{PRIMARY, 0, BIT(28)}}, .without = HLT, .reason = 31, .length = 2},
  {"RDMSR low", CODE(0x0f, 0x32), .rcx = 0x174, .base = {MSR_BITMAPS}, .bit = 0x174,
   .without = HLT, .reason = 31, .length = 2},
  {"RDMSR high", CODE(0x0f, 0x32), .rcx = 0xc0000102, .base = {MSR_BITMAPS},
   .bit = 0x400 * 8 + 0x102, .without = HLT, .reason = 31, .length = 2},
  {"WRMSR low", CODE(0x0f, 0x30), .rcx = 0x174, .base = {MSR_BITMAPS}, .bit = 0x800 * 8 + 0x174,
   .without = HLT, .reason = 32, .length = 2},
  {"WRMSR high", CODE(0x0f, 0x30), .rcx = 0xc0000102, .base = {MSR_BITMAPS},
   .bit = 0xc00 * 8 + 0x102, .without = HLT, .reason = 32, .length = 2},
  {"RDMSR the bit of WRMSR", CODE(0x0f, 0x32), .rcx = 0x174, .base = {MSR_BITMAPS},
   .bit = 0x800 * 8 + 0x174, .without = HLT, .reason = HLT, .length = 1},
  {"RDMSR outside the ranges", CODE(0x0f, 0x32), .rcx = 0x40000000, .base = {MSR_BITMAPS},
   .without = ALWAYS, .reason = 31, .length = 2},

  /* ports */
  {"IN AL, DX unconditional", CODE(0xec), .base = {{PRIMARY, 0, BIT(24)}},
   .on = {{PRIMARY, BIT(24), 0}}, .without = HLT, .reason = 30,
   .qualification = PORT(0x70) | 8, .length = 1},
  {"OUT DX, EAX bitmap", CODE(0xef), .base = {IO_BITMAPS}, .bit = 0x70, .without = HLT,
   .reason = 30, .qualification = PORT(0x70) | 3, .length = 1},
  {"OUT DX, EAX last byte's bit", CODE(0xef), .base = {IO_BITMAPS}, .bit = 0x73, .without = HLT,
   .reason = 30, .qualification = PORT(0x70) | 3, .length = 1},
  {"OUT DX, EAX next port's bit", CODE(0xef), .base = {IO_BITMAPS}, .bit = 0x74, .without = HLT,
   .reason = HLT, .length = 1},
  {"OUT 0x80, AL bitmap", CODE(0xe6, 0x80), .base = {IO_BITMAPS}, .bit = 0x80, .without = HLT,
   .reason = 30, .qualification = PORT(0x80) | 0x40, .length = 2},
  {"IN AX, DX size 2", CODE(0x66, 0xed), .base = {IO_BITMAPS}, .bit = 0x71, .without = HLT,
   .reason = 30, .qualification = PORT(0x70) | 9, .length = 2},
  {"bitmaps override unconditional", CODE(0xec), .base = {IO_BITMAPS},
   .on = {{PRIMARY, BIT(24), 0}}, .without = HLT, .reason = HLT, .length = 1},

  /* exceptions */
  {"#UD", CODE(0x0f, 0x0b), .base = {{EXCEPTIONS, 0, UINT32_MAX}}, .on = {{EXCEPTIONS, BIT(6), 0}},
   .without = TRIPLE, .reason = 0, .event = 0x80000306},
  {"#DE", CODE(0xf7, 0xf3), .on = {{EXCEPTIONS, BIT(0), 0}}, .without = TRIPLE, .reason = 0,
   .event = 0x80000300},
  {"#BP", CODE(0xcc), .on = {{EXCEPTIONS, BIT(3), 0}}, .without = TRIPLE, .reason = 0,
   .length = 1, .event = 0x80000603},
  {"INT1", CODE(0xf1), .on = {{EXCEPTIONS, BIT(1), 0}}, .without = TRIPLE, .reason = 0,
   .length = 1, .event = 0x80000501},
  {"#GP", CODE(0x48, 0x8b, 0x01), .rcx = BIT(60), .on = {{EXCEPTIONS, BIT(13), 0}},
   .without = TRIPLE, .reason = 0, .event = 0x80000b0d},
  {"INT n does not exit itself", CODE(0xcd, 0x21), .base = {{EXCEPTIONS, 0, UINT32_MAX}},
   .on = {{EXCEPTIONS, BIT(13), 0}}, .without = TRIPLE, .reason = 0, .event = 0x80000b0d},
  {"#PF all", CODE(0x48, 0x8b, 0x01), .rcx = NOT_PRESENT, .base = {PF_MATCH(0, 0)},
   .on = {{EXCEPTIONS, BIT(14), 0}}, .without = TRIPLE, .reason = 0,
   .qualification = NOT_PRESENT, .event = 0x80000b0e},
  {"#PF that does not match, bit clear", CODE(0x48, 0x8b, 0x01), .rcx = NOT_PRESENT,
   .on = {PF_MATCH(1, 1)}, .without = TRIPLE, .reason = 0, .qualification = NOT_PRESENT,
   .event = 0x80000b0e},
  {"#PF that does not match, bit set", CODE(0x48, 0x8b, 0x01), .rcx = NOT_PRESENT,
   .base = {PF_MATCH(1, 1), {EXCEPTIONS, BIT(14), 0}},
   .on = {{NST_FIELD_PAGE_FAULT_ERROR_CODE_MATCH, 0, UINT32_MAX}}, .without = TRIPLE, .reason = 0,
   .qualification = NOT_PRESENT, .event = 0x80000b0e},
  {"#PF of a store matches W/R", CODE(0x48, 0x89, 0x01), .rcx = NOT_PRESENT,
   .base = {PF_MATCH(2, 2)}, .on = {{EXCEPTIONS, BIT(14), 0}}, .without = ALWAYS,
   .reason = 0, .qualification = NOT_PRESENT, .event = 0x80000b0e},

  /* EPT: nothing is mapped at UNMAPPED */
  {"EPT violation of a load", CODE(0x48, 0x8b, 0x01), .rcx = UNMAPPED, .without = ALWAYS,
   .reason = 48, .qualification = 0x181},
  {"EPT violation of a store", CODE(0x48, 0x89, 0x01), .rcx = UNMAPPED, .without = ALWAYS,
   .reason = 48, .qualification = 0x182},
  {"EPT violation of a fetch", CODE(0xff, 0xe1), .rcx = UNMAPPED, .without = ALWAYS,
   .reason = 48, .qualification = 0x184},
  {"EPT violation of a page walk", CODE(0x90),
   .base = {{NST_FIELD_GUEST_CR3, UNMAPPED, UINT64_MAX}},
   .without = ALWAYS, .reason = 48, .qualification = 0x81},
};
/* clang-format on */

static void apply(struct driven *d, const struct change *change, unsigned count) {
  for (unsigned i = 0; i < count && change[i].field; i++)
    driven_change(d, change[i].field, change[i].set, change[i].clear);
}

/* Loads the case's instruction and a HLT; the bitmaps are clear but for the case's bit. */
static void prepare(struct driven *d, const struct intercept_case *c, bool on) {
  uint8_t code[16];
  memcpy(code, c->code, c->size);
  code[c->size] = 0xf4;
  driven_load(d, code, c->size + 1u);
  driven_write(d, NST_FIELD_GUEST_IDTR_BASE, GUEST_DATA); /* zeroes, where the EPT maps */
  driven_set(d, NST_REG_RAX, c->rax);
  driven_set(d, NST_REG_RBX, c->rbx);
  driven_set(d, NST_REG_RCX, c->rcx);
  driven_set(d, NST_REG_RDX, 0x70);
  apply(d, c->base, CHANGES);
  if (!on) return;
  apply(d, c->on, 2);
  if (c->bit != NO_BIT) nst_store(d->cpu, SCRATCH + c->bit / 8, 1, BIT(c->bit % 8));
}

static void check_exit(struct driven *d, const struct intercept_case *c) {
  const uint32_t valid = UINT32_C(1) << 31;
  uint64_t event = driven_read(d, NST_FIELD_VM_EXIT_INTR_INFO);
  uint64_t start = GUEST_CODE;
  if (c->reason == HLT && c->code[0] != 0xf4) start += c->size;
  if (c->reason == 48 && c->code[0] == 0xff) start = c->rcx;
  DRIVEN_EQ(d, d->stop.qualification, c->qualification);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_EXIT_QUALIFICATION), c->qualification);
  DRIVEN_EQ(d, c->event ? event : event & valid, c->event);
  DRIVEN_EQ(d, driven_read(d, NST_FIELD_GUEST_RIP), start);
  if (c->length) DRIVEN_EQ(d, driven_read(d, NST_FIELD_VM_EXIT_INSTRUCTION_LEN), c->length);
}

static void run_case(const struct intercept_case *c, unsigned level, bool on) {
  char text[128];
  struct driven d;
  snprintf(text, sizeof text, "%s, %s, by L%u", c->name, on ? "on" : "off", level - 1);
  if (driven_open(&d, text, &(struct setting){.level = level})) {
    prepare(&d, c, on);
    uint32_t expected = on ? c->reason : c->without;
    if (DRIVEN_EQ(&d, driven_run(&d, true), expected) && on) check_exit(&d, c);
  }
  driven_close(&d);
}

static void run_all(unsigned level) {
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (cases[i].without != ALWAYS) run_case(&cases[i], level, false);
    run_case(&cases[i], level, true);
  }
}

static void control_set_by_l0_exits(void) {
  run_all(1);
}
static void control_set_by_l1_exits(void) {
  run_all(2);
}
static void control_set_by_l2_exits(void) {
  run_all(3);
}

static void hlt_without_control_halts(void) {
  struct driven d;
  if (driven_open(&d, "HLT", &(struct setting){0})) {
    DRIVEN_LOAD(&d, {0xf4});
    driven_change(&d, PRIMARY, 0, BIT(7));
    DRIVEN_EQ(&d, nst_vmlaunch(d.cpu), NST_VMX_SUCCEED);
    DRIVEN_EQ(&d, nst_run(d.cpu, 100, &d.stop), NST_OK);
    DRIVEN_EQ(&d, d.stop.kind, NST_STOP_HALT);
  }
  driven_close(&d);
}

/* ---- what an EPT violation, a misconfiguration, and a fault in a delivery say */

/* Where the driven level's EPT has the entry of the 2-MiB page of a guest-physical address, whose
 * directory is there because the guest's image lies in the same GiB. */
static uint64_t ept_entry(struct driven *d, uint64_t address) {
  const uint64_t frame = UINT64_C(0xffffffffff000);
  uint64_t table = driven_read(d, NST_FIELD_EPT_POINTER) & frame;
  for (unsigned level = 4; level > 2; level--)
    table = nst_load(d->cpu, table + 8 * (address >> (12 + 9 * (level - 1)) & 511), 8) & frame;
  return table + 8 * (address >> 21 & 511);
}

static void ept_entries_exit(unsigned level) {
  enum { PAGE = 0x200000, AT = PAGE + 0x123, WB_LARGE = 6 << 3 | 1 << 7 };
  static const struct {
    const char *name;
    uint8_t code;    /* second byte of the MOV */
    uint64_t rights; /* of the entry */
    uint32_t reason;
    uint64_t qualification;
  } rows[] = {
      {"read-only, load", 0x8b, 1, HLT, 0},       {"read-only, store", 0x89, 1, 48, 0x18a},
      {"execute-only, load", 0x8b, 4, 48, 0x1a1}, {"read and execute, store", 0x89, 5, 48, 0x1aa},
      {"write without read", 0x8b, 2, 49, 0},     {"write and execute", 0x8b, 6, 49, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct driven d;
    if (driven_open(&d, rows[i].name, &(struct setting){.level = level})) {
      uint8_t code[] = {0x48, rows[i].code, 0x01, 0xf4};
      driven_load(&d, code, sizeof code);
      driven_set(&d, NST_REG_RCX, AT);
      nst_store(d.cpu, ept_entry(&d, AT), 8, (GUEST_BASE + PAGE) | WB_LARGE | rows[i].rights);
      DRIVEN_EQ(&d, nst_invept(d.cpu, 2, 0), NST_VMX_SUCCEED);
      DRIVEN_EQ(&d, driven_run(&d, true), rows[i].reason);
      if (rows[i].reason != HLT)
        DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_PHYSICAL_ADDRESS), AT);
      if (rows[i].reason == 48) {
        DRIVEN_EQ(&d, d.stop.qualification, rows[i].qualification);
        DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_LINEAR_ADDRESS), AT);
      }
    }
    driven_close(&d);
  }
}

static void ept_entry_of_l0_without_the_right_exits(void) {
  ept_entries_exit(1);
}
static void ept_entry_of_l1_without_the_right_exits(void) {
  ept_entries_exit(2);
}

static void fault_in_delivery_reports_the_first_event(void) {
  for (unsigned level = 1; level <= 2; level++) {
    struct driven d;
    if (driven_open(&d, "INT 0x21 without a gate", &(struct setting){.level = level})) {
      DRIVEN_LOAD(&d, {0xcd, 0x21});
      driven_write(&d, NST_FIELD_GUEST_IDTR_BASE, GUEST_DATA);
      driven_change(&d, EXCEPTIONS, BIT(13), 0);
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_EXCEPTION_NMI);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_IDT_VECTORING_INFO_FIELD), UINT32_C(0x80000421));
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VM_EXIT_INSTRUCTION_LEN), 2);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VM_EXIT_INTR_ERROR_CODE), 0x21 * 8 + 2);
    }
    driven_close(&d);
  }
}

CU_TestInfo machine_intercept_tests[] = {
    {"control_set_by_l0_exits", control_set_by_l0_exits},
    {"control_set_by_l1_exits", control_set_by_l1_exits},
    {"control_set_by_l2_exits", control_set_by_l2_exits},
    {"hlt_without_control_halts", hlt_without_control_halts},
    {"ept_entry_of_l0_without_the_right_exits", ept_entry_of_l0_without_the_right_exits},
    {"ept_entry_of_l1_without_the_right_exits", ept_entry_of_l1_without_the_right_exits},
    {"fault_in_delivery_reports_the_first_event", fault_in_delivery_reports_the_first_event},
    CU_TEST_INFO_NULL,
};
