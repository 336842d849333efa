/* SPDX-License-Identifier: MIT
 * Looking at a level without acting: where a stack's hypervisors keep things, read from outside. */
#include "src/hypervisor/stack.h"

struct stack *stack_of(const struct nst_machine *machine) {
  return (struct stack *)nst_machine_owned(machine);
}

unsigned nst_stack_depth(const struct nst_machine *machine) {
  const struct stack *stack = stack_of(machine);
  return stack ? stack->depth : 0;
}

uint64_t nst_level_memory(const struct nst_cpu *cpu, unsigned level, uint64_t address) {
  const struct stack *stack = stack_of(nst_machine_of(cpu));
  uint64_t base = (uint64_t)level * HV_CHILD_BASE;
  if (!stack || level > stack->depth || address >= stack->memory - base) return UINT64_MAX;
  return base + address;
}

static uint64_t peek_word(const struct nst_cpu *cpu, unsigned level, uint64_t address) {
  uint64_t value = 0;
  nst_mem_read(nst_machine_of(cpu), nst_level_memory(cpu, level, address), &value, sizeof value);
  return value;
}

static uint64_t peek_state(const struct nst_cpu *cpu, unsigned level, size_t member) {
  return peek_word(cpu, level, HV_STATE + member);
}

/* A field of the VMCS that level - 1 emulates for `level`: its cache, or the shadow VMCS. */
static uint64_t peek_emulated(const struct nst_cpu *cpu, unsigned level, enum vmcs_field field) {
  unsigned parent = level - 1;
  uint64_t flags = peek_state(cpu, parent, HV_AT(flags));
  if (peek_state(cpu, parent, HV_AT(current)) == HV_NO_VMCS) return 0;
  if (flags & HV_GRANTS_VMCS)
    return peek_word(
        cpu, level,
        peek_state(cpu, parent, HV_AT(current)) + HV_REGION_FIELDS + 8 * (uint64_t)field);
  bool shadowed = !(flags & HV_TRAPS_VMCS) &&
                  (peek_state(cpu, parent, HV_AT(features)) >> VMCS_HAS_SHADOW_VMCS & 1) &&
                  (hv_field_group[field] & HV_SHADOW_RW) && !(flags & (HV_PUSH_DUE | HV_IN_NESTED));
  if (!shadowed) return peek_state(cpu, parent, HV_AT(vmcs12) + 8 * (size_t)field);
  uint64_t shadow = hv_region_address(HV_REGION_SHADOW);
  if (parent == 0) return nst_peek_vmcs(cpu, shadow, vmcs_field_info[field].encoding);
  return peek_word(cpu, parent, shadow + HV_REGION_FIELDS + 8 * (uint64_t)field);
}

uint64_t nst_peek_field(const struct nst_cpu *cpu, unsigned level, uint32_t encoding) {
  enum vmcs_field field = vmcs_field_of(encoding);
  const struct stack *stack = stack_of(nst_machine_of(cpu));
  if (!stack || level >= stack->depth || field == FIELD_NONE) return 0;
  if (level == 0) return nst_peek_vmcs(cpu, UINT64_MAX, encoding);
  return peek_emulated(cpu, level, field);
}

/* Registers that are VMCS fields, FIELD_NONE for the general ones. */
static enum vmcs_field register_field(enum nst_reg reg) {
  switch (reg) {
    case NST_REG_RSP:
      return FIELD_GUEST_RSP;
    case NST_REG_RIP:
      return FIELD_GUEST_RIP;
    case NST_REG_RFLAGS:
      return FIELD_GUEST_RFLAGS;
    case NST_REG_CR0:
      return FIELD_GUEST_CR0;
    case NST_REG_CR3:
      return FIELD_GUEST_CR3;
    case NST_REG_CR4:
      return FIELD_GUEST_CR4;
    case NST_REG_RAX:
    case NST_REG_RCX:
    case NST_REG_RDX:
    case NST_REG_RBX:
    case NST_REG_RBP:
    case NST_REG_RSI:
    case NST_REG_RDI:
    case NST_REG_R8:
    case NST_REG_R9:
    case NST_REG_R10:
    case NST_REG_R11:
    case NST_REG_R12:
    case NST_REG_R13:
    case NST_REG_R14:
    case NST_REG_R15:
    case NST_REG_CR2:
    case NST_REG_XCR0:
      return FIELD_NONE;
  }
  return FIELD_NONE;
}

/* The driven level's guest has its registers with the machine while that level has control. */
static bool is_driven_guest(const struct nst_cpu *cpu, unsigned level) {
  const struct stack *stack = stack_of(nst_machine_of(cpu));
  return stack && stack->driven && level == stack->depth;
}

uint64_t nst_peek_reg(const struct nst_cpu *cpu, unsigned level, enum nst_reg reg) {
  const struct stack *stack = stack_of(nst_machine_of(cpu));
  bool shadowed = reg == NST_REG_CR3 && stack && level == stack->depth &&
                  !(peek_state(cpu, level - 1, HV_AT(features)) >> VMCS_HAS_EPT & 1);
  if (shadowed) return peek_state(cpu, level - 1, HV_AT(guest_cr3));
  if (!is_driven_guest(cpu, level)) return nst_reg_read(cpu, reg);
  enum vmcs_field field = register_field(reg);
  if (field != FIELD_NONE) return nst_peek_field(cpu, level - 1, vmcs_field_info[field].encoding);
  if (reg >= NST_REG_RIP) return nst_reg_read(cpu, reg);
  return nst_guest_gpr((struct nst_cpu *)(uintptr_t)cpu)[reg];
}

void nst_poke_reg(struct nst_cpu *cpu, unsigned level, enum nst_reg reg, uint64_t value) {
  bool general = reg < NST_REG_RIP && reg != NST_REG_RSP;
  if (general && is_driven_guest(cpu, level))
    nst_guest_gpr(cpu)[reg] = value;
  else if (!is_driven_guest(cpu, level))
    nst_reg_write(cpu, reg, value);
}

uint64_t nst_exits_to(const struct nst_cpu *cpu, unsigned level) {
  const struct stack *stack = stack_of(nst_machine_of(cpu));
  if (level == 0) return nst_counters(cpu).exits;
  return stack && level < stack->depth ? stack->level[level - 1].reflected : 0;
}

uint64_t nst_unlisted(const struct nst_cpu *cpu, unsigned level) {
  const struct stack *stack = stack_of(nst_machine_of(cpu));
  return stack && level < stack->depth ? stack->level[level].unlisted : 0;
}
