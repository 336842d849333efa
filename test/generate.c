/* SPDX-License-Identifier: MIT
 * Registers of a generated program: R15 = where to go on after a fault, R14 = last error code,
 * R13 = faults so far, R12 = CR2 at the last one, R11 = loop counter, R10 = address of the action
 * at hand; RSP is left alone; the others are anybody's. */
#include "test/generate.h"

#include <string.h>

#include "src/hypervisor/hv.h"

enum {
  RAX,
  RCX,
  RDX,
  RSI = 6,
  RDI,
  R9 = 9,
  R10,
  /* in the boot image */
  CODE = 0x20000,
  GDT = 0x40000,
  IDT = 0x41000,
  HANDLERS = 0x42000,
  POINTERS = 0x43000,
  RESULTS = 0x44000,
  STRINGS = 0x50000,
  TABLES = 0x60000, /* two page tables of its own, for the window */
  PAGES = 0x70000,  /* what they map: stores below CALL, code that returns from there on */
  CALL = 0x800,
  HANDLER_SIZE = 32,
  ACTION_BYTES = 160,
  ACTION_LIMIT = 300,
  TIMER_VECTOR = 0x20,
  WINDOW_PAGES = 8
};
/* A large page that maps the image here puts PAGES where the tables of the window have them. */
#define WINDOW UINT64_C(0x40000000)

/* splitmix64 */
static uint64_t next(struct program *program) {
  uint64_t z = program->random += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

static unsigned below(struct program *program, unsigned limit) {
  return (unsigned)(next(program) % limit);
}

/* ---- encoding */

static void put(struct program *program, const void *bytes, size_t size) {
  if (program->size + size > sizeof program->bytes) return;
  memcpy(program->bytes + program->size, bytes, size);
  program->size += size;
}

static void put_value(struct program *program, uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; i++) {
    uint8_t byte = (uint8_t)(value >> 8 * i);
    put(program, &byte, 1);
  }
}

#define PUT(program, ...)                        \
  do {                                           \
    const uint8_t put_bytes[] = {__VA_ARGS__};   \
    put((program), put_bytes, sizeof put_bytes); \
  } while (0)

static void set(struct program *program, unsigned reg, uint64_t value) {
  PUT(program, (uint8_t)(0x48 | reg >> 3), (uint8_t)(0xb8 | (reg & 7)));
  put_value(program, value, 8);
}

/* A register that an action may change. */
static unsigned any_register(struct program *program) {
  static const uint8_t pool[] = {0, 1, 2, 3, 5, 6, 7, 8, 9};
  return pool[below(program, sizeof pool)];
}

/* opcode with a register and [R10]. */
static void memory_op(struct program *program, unsigned opcode, unsigned reg, bool wide) {
  PUT(program, (uint8_t)(0x41 | (wide ? 8 : 0) | (reg >> 3) << 2), (uint8_t)opcode,
      (uint8_t)((reg & 7) << 3 | 2));
}

static void store_result(struct program *program, unsigned slot) {
  set(program, R10, program->image + RESULTS + 8 * slot);
  memory_op(program, 0x89, RAX, true);
}

/* ---- actions: plain */

static uint64_t interesting(struct program *program) {
  static const uint64_t values[] = {0, 1, UINT64_MAX, 0x7fffffff, UINT64_C(1) << 63, 0xff00};
  unsigned pick = below(program, 10);
  return pick < 6 ? values[pick] : next(program);
}

static void integer(struct program *program) {
  static const uint8_t shift[] = {0, 1, 2, 3, 4, 5, 7}; /* of the /digit that names them */
  unsigned reg = any_register(program), other = any_register(program);
  uint8_t rex = (uint8_t)(0x48 | reg >> 3 | (other >> 3) << 2);
  uint8_t operands = (uint8_t)(0xc0 | (other & 7) << 3 | (reg & 7));
  switch (below(program, 5)) {
    case 0:
      set(program, reg, interesting(program));
      break;
    case 1: /* ADD, OR, ADC, SBB, AND, SUB, XOR, CMP */
      PUT(program, rex, (uint8_t)(8 * below(program, 8) + 1), operands);
      break;
    case 2: /* ROL, ROR, RCL, RCR, SHL, SHR, SAR */
      PUT(program, (uint8_t)(0x48 | reg >> 3), 0xc1,
          (uint8_t)(0xc0 | (unsigned)shift[below(program, 7)] << 3 | (reg & 7)),
          (uint8_t)below(program, 64));
      break;
    case 3: /* IMUL */
      PUT(program, (uint8_t)(0x48 | reg >> 3 | (other >> 3) << 2), 0x0f, 0xaf, operands);
      break;
    default: /* DIV, IDIV: may fault */
      PUT(program, (uint8_t)(0x48 | reg >> 3), 0xf7,
          (uint8_t)(0xf0 | below(program, 2) << 3 | (reg & 7)));
      break;
  }
}

static uint64_t data_address(struct program *program) {
  uint64_t page =
      GENERATE_DATA + 0x1000 * (uint64_t)below(program, GENERATE_DATA_SIZE / 0x1000 - 1);
  return below(program, 4) ? page + 8 * below(program, 512) : page + 0xffc; /* crosses */
}

static void memory(struct program *program) {
  static const uint8_t opcodes[] = {0x88, 0x89, 0x8a, 0x8b, 0x01, 0x31, 0x87};
  set(program, R10, data_address(program));
  memory_op(program, opcodes[below(program, sizeof opcodes)], any_register(program),
            below(program, 2));
}

static void string_move(struct program *program) {
  set(program, RSI, program->image + STRINGS);
  set(program, RDI, data_address(program));
  set(program, RCX, below(program, 900));
  PUT(program, 0xf3, 0x48, below(program, 2) ? 0xa5 : 0xab); /* MOVSQ, STOSQ */
}

/* ---- actions: what exits, or may */

static void cpuid(struct program *program) {
  static const uint32_t leaf[] = {0, 1, 4, 7, 0xb, 0xd, 0x80000000, 0x80000008, 0x12345678};
  set(program, RAX, leaf[below(program, 9)]);
  set(program, RCX, below(program, 4));
  PUT(program, 0x0f, 0xa2);
}

static const uint32_t msrs[] = {
    0x1b,       0x1a0,      0x174,      0x175,      0x176,      0x277,      0x1d9,      0xc0000080,
    0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
    0x10,       0x3a,       0x480,      0x2ff,      0x4b564d01, 0xc0011020};
enum { MSRS = sizeof msrs / sizeof msrs[0] };

static void read_msr(struct program *program) {
  set(program, RCX, msrs[below(program, MSRS)]);
  PUT(program, 0x0f, 0x32);
}

static void write_msr(struct program *program) {
  static const uint64_t pat[] = {UINT64_C(0x0007040600070406), UINT64_C(0x0606060606060606),
                                 UINT64_C(0x0206060606060606)};
  uint32_t msr = msrs[below(program, MSRS)];
  uint64_t value = interesting(program);
  if (msr == 0x277) value = pat[below(program, 3)];
  if (msr == 0x1d9) value = below(program, 4);
  if (msr == 0x1b) value = 0xfee00900;
  if (msr == 0xc0000080) value = 0xd00 | below(program, 2);
  set(program, RCX, msr);
  set(program, RAX, value & UINT32_MAX);
  set(program, RDX, value >> 32);
  PUT(program, 0x0f, 0x30);
}

static const uint16_t ports[] = {0x20, 0x21, 0xa1, 0x43, 0x61, 0x80, 0x3f8, 0x5e0, 0xcf8};

static void port(struct program *program) {
  static const uint8_t opcodes[] = {0xec, 0xed, 0xee, 0xef};
  set(program, RDX, ports[below(program, 9)]);
  if (!below(program, 3)) PUT(program, 0x66);
  PUT(program, opcodes[below(program, 4)]);
}

static void string_port(struct program *program) {
  static const uint8_t opcodes[] = {0x6c, 0x6d, 0x6e, 0x6f};
  bool down = !below(program, 4);
  set(program, RDX, ports[below(program, 9)]);
  set(program, RSI, program->image + STRINGS + 0x800);
  set(program, RDI, data_address(program));
  set(program, RCX, below(program, 20));
  if (down) PUT(program, 0xfd); /* STD */
  PUT(program, 0xf3, opcodes[below(program, 4)]);
  PUT(program, 0xfc); /* CLD */
}

static void vmcall(struct program *program) {
  set(program, RAX, below(program, 12));
  PUT(program, 0x0f, 0x01, 0xc1);
}

/* Bits that may change, and some that may not. */
static void control_register(struct program *program) {
  static const uint8_t bits0[] = {1, 2, 3, 5, 16, 18, 29, 30, 31, 40, 0};
  static const uint8_t bits4[] = {1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 13, 16, 18, 20, 30};
  bool four = below(program, 2);
  uint8_t modrm = four ? 0xe0 : 0xc0; /* CR4 or CR0, RAX */
  unsigned bit = four ? bits4[below(program, sizeof bits4)] : bits0[below(program, sizeof bits0)];
  uint8_t reg = below(program, 2) ? RAX : RSI; /* one that every hypervisor saves, one that not */
  modrm |= reg;
  PUT(program, 0x0f, 0x20, modrm);
  set(program, RCX, UINT64_C(1) << bit);
  PUT(program, 0x48, 0x31, (uint8_t)(0xc8 | reg)); /* XOR reg, RCX */
  PUT(program, 0x0f, 0x22, modrm);
}

static void reload_cr3(struct program *program) {
  PUT(program, 0x0f, 0x20, 0xd8);
  if (below(program, 2)) PUT(program, 0x48, 0x83, 0xf0, 0x08); /* XOR RAX, PWT */
  PUT(program, 0x0f, 0x22, 0xd8);
}

static void invalidate_page(struct program *program) {
  set(program, R10, data_address(program));
  PUT(program, 0x41, 0x0f, 0x01, 0x3a);
}

static void debug_register(struct program *program) {
  static const uint8_t registers[] = {0, 1, 2, 3, 4, 6, 7};
  uint8_t dr = registers[below(program, 7)];
  bool write = below(program, 2) && dr != 7;
  uint64_t value = dr < 4              ? next(program) >> 20
                   : below(program, 8) ? 0xffff0ff0
                                       : UINT64_C(1) << 33;
  uint8_t reg = below(program, 2) ? RAX : RDI;
  set(program, reg, value);
  PUT(program, 0x0f, write ? 0x23 : 0x21, (uint8_t)(0xc0 | dr << 3 | reg));
}

static void xcr0(struct program *program) {
  static const uint8_t values[] = {1, 3, 7, 0, 5, 6};
  set(program, RCX, !below(program, 6));
  set(program, RAX, values[below(program, 6)]);
  set(program, RDX, 0);
  PUT(program, 0x0f, 0x01, below(program, 4) ? 0xd1 : 0xd0); /* XSETBV, XGETBV */
}

/* One instruction without operands of our choice. */
static void single(struct program *program) {
  static const struct {
    uint8_t length, bytes[3];
  } instructions[] = {
      {2, {0x0f, 0x31}},       /* RDTSC */
      {3, {0x0f, 0x01, 0xf9}}, /* RDTSCP */
      {2, {0x0f, 0x09}},       /* WBINVD */
      {2, {0xf3, 0x90}},       /* PAUSE */
      {1, {0xf4}},             /* HLT */
      {2, {0x0f, 0x06}},       /* CLTS */
      {3, {0x0f, 0x01, 0xf0}}, /* LMSW AX */
      {2, {0x0f, 0x33}},       /* RDPMC */
      {2, {0x0f, 0x0b}},       /* UD2 */
      {1, {0xcc}},             /* INT3 */
      {3, {0x0f, 0x01, 0xc4}}, /* VMXOFF */
      {3, {0x0f, 0x78, 0xc1}}, /* VMREAD RCX, RAX */
      {3, {0x0f, 0x01, 0xc2}}, /* VMLAUNCH */
  };
  unsigned pick = below(program, sizeof instructions / sizeof instructions[0]);
  put(program, instructions[pick].bytes, instructions[pick].length);
}

/* An instruction that exits in the shadow of STI or of MOV to SS. */
static void blocked(struct program *program) {
  if (below(program, 2)) {
    PUT(program, 0xfb, 0x0f, 0xa2, 0xfa); /* STI, CPUID, CLI */
  } else {
    set(program, RAX, 0x10);
    PUT(program, 0x8e, 0xd0, 0x0f, 0xa2); /* MOV SS, AX; CPUID */
  }
}

static void out(struct program *program, unsigned port, unsigned value) {
  PUT(program, 0xb0, (uint8_t)value, 0xe6, (uint8_t)port); /* MOV AL, value; OUT port, AL */
}

/* PIC and PIT are set up, and the guest sleeps until the timer's interrupt; a timer that goes on
 * may interrupt any later action that has interrupts enabled. */
static void sleep(struct program *program) {
  static const uint8_t modes[] = {0x30, 0x34, 0x38};
  out(program, 0x20, 0x11);
  out(program, 0x21, TIMER_VECTOR);
  out(program, 0x21, 4);
  out(program, 0x21, below(program, 2) ? 1 : 3); /* normal or automatic end of interrupt */
  out(program, 0x21, 0xfe);
  out(program, 0x43, modes[below(program, 3)]);
  out(program, 0x40, below(program, 256));
  out(program, 0x40, 1 + below(program, 200));
  PUT(program, 0xfb, 0xf4, 0xfa); /* STI, HLT, CLI */
}

static void fault(struct program *program) {
  static const uint64_t unmapped[] = {UINT64_C(0x140000000), UINT64_C(0x7fffffff0000),
                                      UINT64_C(0x800000000000), UINT64_C(0xfffff00000000000)};
  set(program, R10, unmapped[below(program, 4)] + below(program, 0x1000));
  memory_op(program, below(program, 2) ? 0x89 : 0x8b, RAX, true);
}

/* A page-table entry of its own is cleared and put back, with a page fault in between. */
static void unmap(struct program *program) {
  uint64_t address = data_address(program);
  uint64_t slot = program->image + HV_GUEST_PD + 8 * (address >> 21);
  set(program, R10, slot);
  memory_op(program, 0x8b, R9, true);
  set(program, RAX, 0);
  memory_op(program, 0x89, RAX, true);
  set(program, R10, address);
  PUT(program, 0x41, 0x0f, 0x01, 0x3a);       /* INVLPG */
  PUT(program, 0x4c, 0x8d, 0x3d, 3, 0, 0, 0); /* R15 = behind the access */
  memory_op(program, below(program, 2) ? 0x89 : 0x8b, RAX, true);
  set(program, R10, slot);
  memory_op(program, 0x89, R9, true);
}

/* ---- actions: its own page tables. Each change of an entry is followed by what makes it take
 * effect, so the outcome depends on no cache. */

static uint64_t window_address(struct program *program) {
  return WINDOW + PAGES + 0x1000 * (uint64_t)below(program, WINDOW_PAGES);
}

static void put_invlpg(struct program *program, uint64_t linear) {
  set(program, R10, linear);
  PUT(program, 0x41, 0x0f, 0x01, 0x3a);
}

static void invalidate(struct program *program, uint64_t linear) {
  switch (below(program, 4)) {
    case 0:
      PUT(program, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8); /* CR3 = CR3 */
      break;
    case 1: /* CR4.PGE, there and back */
      PUT(program, 0x0f, 0x20, 0xe0);
      for (unsigned i = 0; i < 2; i++)
        PUT(program, 0x48, 0x35, 0x80, 0, 0, 0, 0x0f, 0x22, 0xe0); /* XOR RAX; MOV to CR4 */
      break;
    default:
      if (linear) put_invlpg(program, linear);
      for (unsigned i = 0; i < WINDOW_PAGES && !linear; i++)
        put_invlpg(program, WINDOW + PAGES + 0x1000 * (uint64_t)i);
      break;
  }
}

/* Present mostly; W, U, A and D at random, NX and a reserved bit seldom. */
static uint64_t entry_flags(struct program *program) {
  uint64_t flags = next(program) & 0x66;
  if (below(program, 6)) flags |= 1;
  if (!below(program, 4)) flags |= UINT64_C(1) << 63;
  if (!below(program, 16)) flags |= UINT64_C(1) << 51;
  return flags;
}

static void map_page(struct program *program) {
  unsigned table = below(program, 2), page = below(program, WINDOW_PAGES);
  uint64_t frame = program->image + PAGES + 0x1000 * (uint64_t)below(program, WINDOW_PAGES);
  uint64_t linear = WINDOW + PAGES + 0x1000 * (uint64_t)page;
  set(program, RAX, frame | entry_flags(program));
  set(program, R10,
      program->image + TABLES + 0x1000 * table + 8 * (uint64_t)(PAGES / 0x1000 + page));
  memory_op(program, 0x89, RAX, true);
  invalidate(program, linear);
}

/* Absent and used, then present: that needs no invalidation. */
static void map_absent_page(struct program *program) {
  unsigned page = below(program, WINDOW_PAGES);
  uint64_t linear = WINDOW + PAGES + 0x1000 * (uint64_t)page;
  uint64_t slot = program->image + TABLES + 8 * (uint64_t)(PAGES / 0x1000 + page);
  set(program, RAX, 0);
  set(program, R10, slot);
  memory_op(program, 0x89, RAX, true);
  put_invlpg(program, linear);
  if (below(program, 2)) {
    PUT(program, 0x4c, 0x8d, 0x3d, 3, 0, 0, 0); /* R15 = behind the access */
    memory_op(program, below(program, 2) ? 0x89 : 0x8b, RAX, true);
  }
  set(program, RAX, (program->image + PAGES + 0x1000 * (uint64_t)page) | 1 | entry_flags(program));
  set(program, R10, slot);
  memory_op(program, 0x89, RAX, true);
}

static void map_directory(struct program *program) {
  const uint64_t large = 1 << 7;
  uint64_t entry = entry_flags(program);
  if (below(program, 4))
    entry |= program->image + TABLES + 0x1000 * (uint64_t)(!below(program, 4));
  else
    entry |= program->image | large;
  set(program, RAX, below(program, 3) ? entry | 7 : entry);
  set(program, R10, program->image + HV_GUEST_PD + 8 * (WINDOW >> 21));
  memory_op(program, 0x89, RAX, true);
  invalidate(program, 0);
}

static void use_window(struct program *program) {
  static const uint8_t opcodes[] = {0x89, 0x8b, 0x01, 0x87, 0x39}; /* MOV, ADD, XCHG, CMP */
  uint64_t address = window_address(program);
  if (!below(program, 4)) {
    set(program, R10, address + CALL + below(program, 0x700));
    PUT(program, 0x41, 0xff, 0xd2); /* CALL R10 */
    return;
  }
  set(program, R10, address + 8 * below(program, CALL / 8));
  memory_op(program, opcodes[below(program, sizeof opcodes)], RAX, true);
}

static void device(struct program *program) {
  static const uint64_t addresses[] = {0xd8000000, 0xfee00030, 0xfee00080, 0x90000000};
  static const uint8_t opcodes[] = {0x88, 0x89, 0x8a, 0x8b};
  set(program, R10, addresses[below(program, 4)] + 8 * below(program, 2));
  memory_op(program, opcodes[below(program, 4)], below(program, 2) ? RAX : R9, below(program, 2));
}

/* ---- a program */

static void action(struct program *program) {
  static void (*const plain[])(struct program *) = {integer, integer, memory, memory, string_move};
  static void (*const system[])(struct program *) = {
      cpuid,  read_msr,         write_msr,        port,      string_port,
      vmcall, control_register, reload_cr3,       single,    invalidate_page,
      xcr0,   debug_register,   blocked,          fault,     unmap,
      device, single,           control_register, write_msr, sleep};
  static void (*const paging[])(struct program *) = {map_page,      map_page,   map_absent_page,
                                                     map_directory, use_window, use_window,
                                                     use_window,    use_window};
  size_t start = program->size;
  PUT(program, 0x4c, 0x8d, 0x3d); /* LEA R15, behind this action */
  put_value(program, 0, 4);
  if (program->pages && below(program, 2))
    paging[below(program, sizeof paging / sizeof paging[0])](program);
  else if (below(program, 2))
    plain[below(program, sizeof plain / sizeof plain[0])](program);
  else
    system[below(program, sizeof system / sizeof system[0])](program);
  uint32_t distance = (uint32_t)(program->size - start - 7);
  memcpy(program->bytes + start + 3, &distance, sizeof distance);
}

static void loop(struct program *program) {
  PUT(program, 0x41, 0xbb); /* MOV R11D, count */
  put_value(program, 2 + below(program, 5), 4);
  size_t start = program->size;
  unsigned body = 1 + below(program, 4);
  for (unsigned i = 0; i < body; i++) action(program);
  PUT(program, 0x49, 0xff, 0xcb, 0x0f, 0x85); /* DEC R11; JNZ start */
  put_value(program, start - program->size - 4, 4);
}

static void prologue(struct program *program) {
  set(program, R10, program->image + POINTERS);
  PUT(program, 0x41, 0x0f, 0x01, 0x12); /* LGDT [R10] */
  set(program, R10, program->image + POINTERS + 16);
  PUT(program, 0x41, 0x0f, 0x01, 0x1a); /* LIDT [R10] */
  for (unsigned reg = 0; reg < 16; reg++)
    if (reg != NST_REG_RSP) set(program, reg, reg < 10 ? next(program) : 0);
}

/* Everything that registers do not show is left in memory. */
static void epilogue(struct program *program) {
  static const uint8_t dr[] = {0, 1, 2, 3, 6, 7};
  unsigned slot = 0;
  PUT(program, 0x9c, 0x58); /* PUSHF; POP RAX */
  store_result(program, slot++);
  PUT(program, 0x0f, 0x31); /* RDTSC */
  store_result(program, slot++);
  PUT(program, 0x0f, 0x20, 0xc0); /* CR0 */
  store_result(program, slot++);
  PUT(program, 0x0f, 0x20, 0xe0); /* CR4 */
  store_result(program, slot++);
  for (unsigned i = 0; i < sizeof dr; i++) {
    PUT(program, 0x0f, 0x21, (uint8_t)(0xc0 | dr[i] << 3));
    store_result(program, slot++);
  }
  for (unsigned i = 0; i < MSRS; i++) {
    PUT(program, 0x4c, 0x8d, 0x3d, 12, 0, 0, 0); /* R15 = behind RDMSR */
    set(program, RCX, msrs[i]);
    PUT(program, 0x0f, 0x32);
    PUT(program, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0); /* RAX |= RDX << 32 */
    store_result(program, slot++);
  }
}

void generate_program(struct program *program, uint64_t seed, uint64_t image, unsigned actions) {
  program->seed = program->random = seed;
  program->image = image;
  program->entry = image + CODE;
  program->size = 0;
  prologue(program);
  for (unsigned i = 0; i < actions && i < ACTION_LIMIT; i++) {
    if (program->size + 8 * ACTION_BYTES + 0x800 > sizeof program->bytes) break;
    if (below(program, 10))
      action(program);
    else
      loop(program);
  }
  epilogue(program);
  program->end = program->entry + program->size;
  PUT(program, 0xeb, 0xfe); /* never reached */
}

/* ---- descriptor tables and handlers */

static size_t write_handler(uint8_t *code, bool has_error) {
  static const uint8_t pop_error[] = {0x41, 0x5e};       /* POP R14 */
  static const uint8_t rest[] = {0x4c, 0x89, 0x3c, 0x24, /* MOV [RSP], R15 */
                                 0x49, 0xff, 0xc5,       /* INC R13 */
                                 0x41, 0x0f, 0x20, 0xd4, /* MOV R12, CR2 */
                                 0x48, 0xcf};            /* IRETQ */
  size_t size = 0;
  if (has_error) memcpy(code, pop_error, size = sizeof pop_error);
  memcpy(code + size, rest, sizeof rest);
  return size + sizeof rest;
}

/* Acknowledges the timer and counts like a fault; it returns to where it came from. */
static size_t write_interrupt_handler(uint8_t *code) {
  static const uint8_t bytes[] = {0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, /* EOI, RAX kept */
                                  0x49, 0xff, 0xc5, 0x48, 0xcf};      /* INC R13; IRETQ */
  memcpy(code, bytes, sizeof bytes);
  return sizeof bytes;
}

static void write_gate(struct nst_machine *machine, uint64_t at, uint64_t handler) {
  const uint64_t present_interrupt_gate = UINT64_C(0x8e00), code_selector = 8;
  uint64_t gate[2] = {(handler & 0xffff) | code_selector << 16 | present_interrupt_gate << 32 |
                          (handler >> 16 & 0xffff) << 48,
                      handler >> 32};
  nst_mem_write(machine, at, gate, sizeof gate);
}

static void write_pointer(struct nst_machine *machine, uint64_t at, uint16_t limit, uint64_t base) {
  nst_mem_write(machine, at, &limit, sizeof limit);
  nst_mem_write(machine, at + 2, &base, sizeof base);
}

void generate_load(const struct program *program, struct nst_machine *machine, uint64_t base) {
  enum { VECTORS = TIMER_VECTOR + 1 };
  const uint64_t has_error = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;
  static const uint64_t gdt[] = {0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff)};
  uint64_t image = base + program->image;
  nst_mem_write(machine, image + CODE, program->bytes, program->size);
  nst_mem_write(machine, image + GDT, gdt, sizeof gdt);
  for (unsigned vector = 0; vector < VECTORS; vector++) {
    uint8_t code[HANDLER_SIZE] = {0};
    uint64_t offset = HANDLERS + HANDLER_SIZE * (uint64_t)vector;
    size_t size = vector == TIMER_VECTOR ? write_interrupt_handler(code)
                                         : write_handler(code, has_error >> vector & 1);
    nst_mem_write(machine, image + offset, code, size);
    write_gate(machine, image + IDT + 16 * (uint64_t)vector, program->image + offset);
  }
  write_pointer(machine, image + POINTERS, sizeof gdt - 1, program->image + GDT);
  write_pointer(machine, image + POINTERS + 16, 16 * VECTORS - 1, program->image + IDT);
  for (unsigned i = 0; i < WINDOW_PAGES; i++) {
    uint8_t returns[0x1000 - CALL];
    memset(returns, 0xc3, sizeof returns);
    nst_mem_write(machine, image + PAGES + 0x1000 * (uint64_t)i + CALL, returns, sizeof returns);
  }
  for (unsigned i = 0; i < 0x2000; i += 8) {
    uint64_t word = (program->seed + i) * UINT64_C(0x9e3779b97f4a7c15);
    nst_mem_write(machine, image + STRINGS + i, &word, sizeof word);
  }
}
