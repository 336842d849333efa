/* SPDX-License-Identifier: MIT
 * The instructions that native software executes, as the public calls of nestor.h. */
#include "src/machine/machine.h"

enum { OPERAND_SLOT = 0x80 }; /* memory operands: two words behind the save area at RSP */

static uint64_t *gpr(struct nst_cpu *cpu) {
  return cpu->isa.state.gpr;
}

static enum nst_vmx_result outcome(const struct nst_cpu *cpu, enum isa_step step) {
  if (step == ISA_FAULT) return NST_VMX_FAULT;
  if (cpu->isa.state.rflags & X86_RFLAGS_CF) return NST_VMX_FAIL_INVALID;
  if (cpu->isa.state.rflags & X86_RFLAGS_ZF) return NST_VMX_FAIL_VALID;
  return NST_VMX_SUCCEED;
}

/* A fault in software that cannot have one: its page tables or operands are broken. */
static void expect_done(struct nst_cpu *cpu, enum isa_step step, const char *what) {
  if (step == ISA_FAULT)
    cpu_die(cpu, "native software faulted (vector %u) at %s", cpu->isa.fault.vector, what);
}

/* What happens seldom, kept out of what happens always. */
#define LONG_WAY __attribute__((noinline, cold)) static

/* ---- short cuts: the same instructions where nothing unusual can happen. RIP is not moved, since
 * nobody can look before the next instruction sets it. */

/* Entry of a supervisor access that hits the TLB, else NULL. */
static inline const struct tlb_entry *hit(struct nst_cpu *cpu, uint64_t linear,
                                          unsigned permission) {
  return tlb_find(&cpu->tlb, linear, permission | (unsigned)TLB_SUPERVISOR);
}

/* Aligned words are in one page; the others go the long way. */
static inline bool is_word(uint64_t linear, unsigned size) {
  return size == 8 && !(linear & 7);
}

/* Where VMREAD or VMWRITE of a whole field finds it without an exit: place is NULL if it cannot
 * be said here. */
struct access {
  uint8_t *region, *place;
  unsigned field;
};

/* The current VMCS, in non-root operation the shadow VMCS, where `bitmap` (NULL unless shadowing is
 * on) lets it. Observers of VMX instructions are told on the long way. */
static inline struct access reach(const struct nst_cpu *cpu, uint32_t encoding,
                                  const uint8_t *bitmap) {
  const struct access none = {0, 0, 0};
  uint32_t index = encoding >> 1 | encoding << 31; /* too large where the lowest bit is set */
  if (index >= REACH_COUNT || cpu->machine->vmx_observers) return none;
  struct vmx_reach at = cpu->vmx.reach[index];
  uint8_t *region = cpu->vmx.vmcs.region;
  if (!at.offset) return none;
  if (cpu->vmx.nonroot) {
    region = cpu->vmx.shadow.region;
    if (!bitmap || (bitmap[encoding / 8] >> encoding % 8 & 1) || !region) return none;
  } else if (cpu->vmx.current == VMCS_NONE) {
    return none;
  }
  return (struct access){region, region + at.offset, at.field};
}

static inline void clear_status(struct nst_cpu *cpu) {
  cpu->isa.state.rflags &= ~(uint64_t)(X86_RFLAGS_CF | X86_RFLAGS_PF | X86_RFLAGS_AF |
                                       X86_RFLAGS_ZF | X86_RFLAGS_SF | X86_RFLAGS_OF);
}

/* ---- VMX */

/* Puts a memory operand of one or two words into the operand slot; the registers point to it. */
static uint64_t place_operand(struct nst_cpu *cpu, uint64_t type, uint64_t low, uint64_t high,
                              bool wide) {
  uint64_t slot = gpr(cpu)[X86_RSP] + OPERAND_SLOT;
  nst_store(cpu, slot, 8, low);
  if (wide) nst_store(cpu, slot + 8, 8, high);
  gpr(cpu)[X86_RDX] = slot;
  gpr(cpu)[X86_RCX] = type;
  return slot;
}

/* A VMX instruction with such an operand. In root operation it cannot exit: straight to its effect.
 */
static enum nst_vmx_result with_operand(struct nst_cpu *cpu, enum native_insn insn, uint64_t type,
                                        uint64_t low, uint64_t high, bool wide) {
  uint64_t slot = place_operand(cpu, type, low, high, wide);
  if (cpu->vmx.nonroot || cpu->stop.kind != NST_STOP_NONE || cpu->machine->vmx_observers)
    return outcome(cpu, native_execute(cpu, insn));
  struct isa_request request = {.vmx = (enum isa_vmx_operation)cpu->native_uop[insn].argument,
                                .memory_form = true,
                                .reg2 = X86_RCX,
                                .memory.linear = slot};
  return outcome(cpu, cpu_vmx(cpu, &request));
}

enum nst_vmx_result nst_vmxon(struct nst_cpu *cpu, uint64_t physical) {
  return with_operand(cpu, INSN_VMXON, 0, physical, 0, false);
}

enum nst_vmx_result nst_vmxoff(struct nst_cpu *cpu) {
  return outcome(cpu, native_execute(cpu, INSN_VMXOFF));
}

enum nst_vmx_result nst_vmclear(struct nst_cpu *cpu, uint64_t physical) {
  cpu->counters.vmclear++;
  return with_operand(cpu, INSN_VMCLEAR, 0, physical, 0, false);
}

enum nst_vmx_result nst_vmptrld(struct nst_cpu *cpu, uint64_t physical) {
  cpu->counters.vmptrld++;
  return with_operand(cpu, INSN_VMPTRLD, 0, physical, 0, false);
}

enum nst_vmx_result nst_vmptrst(struct nst_cpu *cpu, uint64_t *physical) {
  enum nst_vmx_result result = with_operand(cpu, INSN_VMPTRST, 0, 0, 0, false);
  *physical = nst_load(cpu, gpr(cpu)[X86_RSP] + OPERAND_SLOT, 8);
  return result;
}

LONG_WAY enum nst_vmx_result vmread_long(struct nst_cpu *cpu, uint64_t *value) {
  enum nst_vmx_result result = outcome(cpu, native_execute(cpu, INSN_VMREAD));
  *value = gpr(cpu)[X86_RAX];
  return result;
}

enum nst_vmx_result nst_vmread(struct nst_cpu *cpu, uint32_t field, uint64_t *value) {
  cpu->counters.vmread++;
  gpr(cpu)[X86_RCX] = field;
  struct access at = reach(cpu, field, cpu->vmx.bitmaps.vmread);
  if (!at.place) return vmread_long(cpu, value);
  memcpy(&gpr(cpu)[X86_RAX], at.place, 8);
  *value = gpr(cpu)[X86_RAX];
  clear_status(cpu);
  return NST_VMX_SUCCEED;
}

LONG_WAY enum nst_vmx_result vmwrite_long(struct nst_cpu *cpu) {
  return outcome(cpu, native_execute(cpu, INSN_VMWRITE));
}

enum nst_vmx_result nst_vmwrite(struct nst_cpu *cpu, uint32_t field, uint64_t value) {
  cpu->counters.vmwrite++;
  gpr(cpu)[X86_RCX] = field;
  gpr(cpu)[X86_RAX] = value;
  struct access at = reach(cpu, field, cpu->vmx.bitmaps.vmwrite);
  if (!at.place || !cpu->vmx.writable[at.field]) return vmwrite_long(cpu);
  uint64_t old;
  memcpy(&old, at.place, 8);
  value &= cpu->vmx.mask[at.field];
  clear_status(cpu);
  if (old == value) return NST_VMX_SUCCEED;
  memcpy(at.place, &value, 8);
  struct vmcs view = {at.region, 0};
  vmcs_header(&view)->checked &= ~cpu->vmx.stale[at.field];
  return NST_VMX_SUCCEED;
}

enum nst_vmx_result nst_invept(struct nst_cpu *cpu, uint64_t type, uint64_t eptp) {
  cpu->counters.invalidate++;
  return with_operand(cpu, INSN_INVEPT, type, eptp, 0, true);
}

enum nst_vmx_result nst_invvpid(struct nst_cpu *cpu, uint64_t type, uint16_t vpid,
                                uint64_t linear) {
  cpu->counters.invalidate++;
  return with_operand(cpu, INSN_INVVPID, type, vpid, linear, true);
}

void nst_vmcall(struct nst_cpu *cpu) {
  expect_done(cpu, native_execute(cpu, INSN_VMCALL), "VMCALL");
}

/* ---- memory */

LONG_WAY uint64_t load_long(struct nst_cpu *cpu, unsigned size) {
  static const uint8_t insn[] = {
      [1] = INSN_LOAD8, [2] = INSN_LOAD16, [4] = INSN_LOAD32, [8] = INSN_LOAD64};
  enum isa_step step = native_execute(cpu, (enum native_insn)insn[size]);
  expect_done(cpu, step, "a load");
  return step == ISA_NEXT ? gpr(cpu)[X86_RAX] : 0; /* 0 where the machine has stopped */
}

uint64_t nst_load(struct nst_cpu *cpu, uint64_t linear, unsigned size) {
  cpu->counters.memory++;
  gpr(cpu)[X86_RCX] = linear;
  const struct tlb_entry *entry = hit(cpu, linear, WALK_READ);
  if (!entry || !is_word(linear, size)) return load_long(cpu, size);
  memcpy(&gpr(cpu)[X86_RAX], entry->host + (linear & (PAGE_BYTES - 1)), 8);
  return gpr(cpu)[X86_RAX];
}

LONG_WAY void store_long(struct nst_cpu *cpu, unsigned size) {
  static const uint8_t insn[] = {
      [1] = INSN_STORE8, [2] = INSN_STORE16, [4] = INSN_STORE32, [8] = INSN_STORE64};
  expect_done(cpu, native_execute(cpu, (enum native_insn)insn[size]), "a store");
}

void nst_store(struct nst_cpu *cpu, uint64_t linear, unsigned size, uint64_t value) {
  cpu->counters.memory++;
  gpr(cpu)[X86_RCX] = linear;
  gpr(cpu)[X86_RAX] = value;
  const struct tlb_entry *entry = hit(cpu, linear, WALK_WRITE);
  if (!entry || !is_word(linear, size))
    store_long(cpu, size);
  else
    memcpy(entry->host + (linear & (PAGE_BYTES - 1)), &value, 8);
}

/* All slots in one page that the TLB holds: one look-up for all of them. */
static uint8_t *save_area(struct nst_cpu *cpu, unsigned permission) {
  uint64_t linear = gpr(cpu)[X86_RSP], offset = linear & (PAGE_BYTES - 1);
  const struct tlb_entry *entry = hit(cpu, linear, permission);
  return entry && offset + 8 * X86_GPR_COUNT <= PAGE_BYTES ? entry->host + offset : 0;
}

/* Copies 8-byte slots; the usual sets, the first four registers and all above RSP, in one go.
 * Returns how many. */
static inline unsigned copy_slots(uint8_t *to, const uint8_t *from, uint16_t regs) {
  enum { LOW = 0x000f, HIGH = 0xffe0, LOWS = 4, HIGHS = 11, HIGH_FIRST = 8 * 5 };
  unsigned left = regs, count = 0;
  if ((left & LOW) == LOW) {
    memcpy(to, from, 8 * LOWS);
    left &= ~(unsigned)LOW;
    count += LOWS;
  }
  if ((left & HIGH) == HIGH) {
    memcpy(to + HIGH_FIRST, from + HIGH_FIRST, 8 * HIGHS);
    left &= ~(unsigned)HIGH;
    count += HIGHS;
  }
  for (; left; left &= left - 1, count++) {
    size_t at = 8 * (size_t)__builtin_ctz(left);
    memcpy(to + at, from + at, 8);
  }
  return count;
}

/* The registers one instruction at a time, with the instructions that begin at RAX's. */
LONG_WAY void move_long(struct nst_cpu *cpu, uint16_t regs, enum native_insn first) {
  for (unsigned left = regs; left; left &= left - 1) {
    enum native_insn insn = (enum native_insn)((unsigned)first + (unsigned)__builtin_ctz(left));
    cpu->counters.memory++;
    expect_done(cpu, native_execute(cpu, insn), "saving or restoring a register");
  }
}

void nst_save_regs(struct nst_cpu *cpu, uint16_t regs) {
  uint8_t *area = save_area(cpu, WALK_WRITE);
  if (area)
    cpu->counters.memory += copy_slots(area, (const uint8_t *)gpr(cpu), regs);
  else
    move_long(cpu, regs, INSN_SAVE_RAX);
}

void nst_restore_regs(struct nst_cpu *cpu, uint16_t regs) {
  const uint8_t *area = save_area(cpu, WALK_READ);
  if (area)
    cpu->counters.memory += copy_slots((uint8_t *)gpr(cpu), area, regs);
  else
    move_long(cpu, regs, INSN_RESTORE_RAX);
}

/* ---- MSRs, CPUID, ports, control and debug registers */

bool nst_rdmsr(struct nst_cpu *cpu, uint32_t msr, uint64_t *value) {
  cpu->counters.rdmsr++;
  gpr(cpu)[X86_RCX] = msr;
  if (!cpu->vmx.nonroot && cpu->stop.kind == NST_STOP_NONE &&
      cpu_read_msr(cpu, msr, value) == ISA_NEXT) {
    gpr(cpu)[X86_RAX] = *value & UINT32_MAX;
    gpr(cpu)[X86_RDX] = *value >> 32;
    return true;
  }
  enum isa_step step = native_execute(cpu, INSN_RDMSR);
  *value = gpr(cpu)[X86_RDX] << 32 | (gpr(cpu)[X86_RAX] & UINT32_MAX);
  return step != ISA_FAULT;
}

bool nst_wrmsr(struct nst_cpu *cpu, uint32_t msr, uint64_t value) {
  cpu->counters.wrmsr++;
  gpr(cpu)[X86_RCX] = msr;
  gpr(cpu)[X86_RAX] = value & UINT32_MAX;
  gpr(cpu)[X86_RDX] = value >> 32;
  return native_execute(cpu, INSN_WRMSR) != ISA_FAULT;
}

void nst_cpuid(struct nst_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
  cpu->counters.other++;
  gpr(cpu)[X86_RAX] = leaf;
  gpr(cpu)[X86_RCX] = subleaf;
  native_execute(cpu, INSN_CPUID);
  out[0] = (uint32_t)gpr(cpu)[X86_RAX];
  out[1] = (uint32_t)gpr(cpu)[X86_RBX];
  out[2] = (uint32_t)gpr(cpu)[X86_RCX];
  out[3] = (uint32_t)gpr(cpu)[X86_RDX];
}

uint32_t nst_in(struct nst_cpu *cpu, uint16_t port, unsigned size) {
  static const uint8_t insn[] = {[1] = INSN_IN8, [2] = INSN_IN16, [4] = INSN_IN32};
  cpu->counters.other++;
  gpr(cpu)[X86_RDX] = port;
  gpr(cpu)[X86_RAX] = 0;
  native_execute(cpu, (enum native_insn)insn[size]);
  return (uint32_t)gpr(cpu)[X86_RAX];
}

void nst_out(struct nst_cpu *cpu, uint16_t port, unsigned size, uint32_t value) {
  static const uint8_t insn[] = {[1] = INSN_OUT8, [2] = INSN_OUT16, [4] = INSN_OUT32};
  cpu->counters.other++;
  gpr(cpu)[X86_RDX] = port;
  gpr(cpu)[X86_RAX] = value;
  native_execute(cpu, (enum native_insn)insn[size]);
}

static const uint8_t read_cr[] = {
    [0] = INSN_READ_CR0, [2] = INSN_READ_CR2, [3] = INSN_READ_CR3, [4] = INSN_READ_CR4};
static const uint8_t write_cr[] = {
    [0] = INSN_WRITE_CR0, [2] = INSN_WRITE_CR2, [3] = INSN_WRITE_CR3, [4] = INSN_WRITE_CR4};
static const uint8_t read_dr[] = {[0] = INSN_READ_DR0, [1] = INSN_READ_DR1, [2] = INSN_READ_DR2,
                                  [3] = INSN_READ_DR3, [6] = INSN_READ_DR6, [7] = INSN_READ_DR7};
static const uint8_t write_dr[] = {
    [0] = INSN_WRITE_DR0, [1] = INSN_WRITE_DR1, [2] = INSN_WRITE_DR2,
    [3] = INSN_WRITE_DR3, [6] = INSN_WRITE_DR6, [7] = INSN_WRITE_DR7};

/* CR2 is the one whose moves neither exit nor fault. */
uint64_t nst_read_cr(struct nst_cpu *cpu, unsigned cr) {
  cpu->counters.other++;
  if (cr == 2 && cpu->stop.kind == NST_STOP_NONE) return gpr(cpu)[X86_RAX] = cpu->isa.state.cr2;
  expect_done(cpu, native_execute(cpu, (enum native_insn)read_cr[cr]), "MOV from CR");
  return gpr(cpu)[X86_RAX];
}

void nst_write_cr(struct nst_cpu *cpu, unsigned cr, uint64_t value) {
  cpu->counters.other++;
  gpr(cpu)[X86_RAX] = value;
  if (cr == 2 && cpu->stop.kind == NST_STOP_NONE) {
    cpu->isa.state.cr2 = value;
    return;
  }
  expect_done(cpu, native_execute(cpu, (enum native_insn)write_cr[cr]), "MOV to CR");
}

uint64_t nst_read_dr(struct nst_cpu *cpu, unsigned dr) {
  cpu->counters.other++;
  expect_done(cpu, native_execute(cpu, (enum native_insn)read_dr[dr]), "MOV from DR");
  return gpr(cpu)[X86_RAX];
}

void nst_write_dr(struct nst_cpu *cpu, unsigned dr, uint64_t value) {
  cpu->counters.other++;
  gpr(cpu)[X86_RAX] = value;
  expect_done(cpu, native_execute(cpu, (enum native_insn)write_dr[dr]), "MOV to DR");
}

void nst_xsetbv(struct nst_cpu *cpu, uint32_t index, uint64_t value) {
  cpu->counters.other++;
  gpr(cpu)[X86_RCX] = index;
  gpr(cpu)[X86_RAX] = value & UINT32_MAX;
  gpr(cpu)[X86_RDX] = value >> 32;
  expect_done(cpu, native_execute(cpu, INSN_XSETBV), "XSETBV");
}

void nst_lgdt(struct nst_cpu *cpu, uint64_t base, uint16_t limit) {
  cpu->counters.other++;
  place_operand(cpu, 0, base << 16 | limit, base >> 48, true);
  native_execute(cpu, INSN_LGDT);
}

void nst_lidt(struct nst_cpu *cpu, uint64_t base, uint16_t limit) {
  cpu->counters.other++;
  place_operand(cpu, 0, base << 16 | limit, base >> 48, true);
  native_execute(cpu, INSN_LIDT);
}

void nst_hlt(struct nst_cpu *cpu) {
  cpu->counters.other++;
  native_execute(cpu, INSN_HLT);
}

struct nst_fault nst_pending_fault(const struct nst_cpu *cpu) {
  const struct isa_fault *fault = &cpu->isa.fault;
  return (struct nst_fault){fault->vector, fault->has_error_code, fault->error_code};
}

struct nst_counters nst_counters(const struct nst_cpu *cpu) {
  return cpu->counters;
}
