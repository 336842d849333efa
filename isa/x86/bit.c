/* SPDX-License-Identifier: MIT
 * Bit test, bit scan and byte swap. */
#include "isa/x86/exec.h"

static uint64_t change_bit(uint64_t value, uint64_t bit, unsigned operation) {
  if (operation == BIT_SET) return value | bit;
  if (operation == BIT_RESET) return value & ~bit;
  return operation == BIT_COMPLEMENT ? value ^ bit : value;
}

/* A register bit offset reaches beyond the memory operand, in both directions. */
static uint64_t bit_string_linear(const struct isa_x86 *isa, const struct isa_uop *uop,
                                  uint64_t offset) {
  unsigned size = uop->operand[0].size;
  uint64_t address = isa_effective_address(isa, uop);
  if (uop->operand[1].kind != ISA_OPERAND_IMMEDIATE) {
    int64_t units = (int64_t)isa_sign_extend(offset, size) >> (size == 8 ? 6 : size == 4 ? 5 : 4);
    address = (address + (uint64_t)units * size) & isa_mask(uop->address_size);
  }
  return isa_linear(isa, uop->segment, address);
}

static enum isa_step memory_bit(struct isa_x86 *isa, const struct isa_uop *uop, uint64_t offset) {
  unsigned size = uop->operand[0].size;
  uint64_t linear = bit_string_linear(isa, uop, offset), value;
  bool writes = uop->argument != BIT_TEST;
  enum isa_step step = writes ? isa_load_for_write(isa, uop->segment, linear, size, &value)
                              : isa_load(isa, uop->segment, linear, size, &value);
  if (step != ISA_NEXT) return step;
  unsigned position = (unsigned)offset & (8 * size - 1);
  uint64_t changed = change_bit(value, UINT64_C(1) << position, uop->argument);
  if (writes) step = isa_store(isa, uop->segment, linear, size, changed);
  if (step == ISA_NEXT) isa_flags_set(&isa->state.rflags, X86_RFLAGS_CF, value >> position & 1);
  return step;
}

enum isa_step exec_bit(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->operand[0].size;
  uint64_t offset;
  enum isa_step step = isa_operand_read(isa, uop, 1, &offset);
  if (step != ISA_NEXT) return step;
  if (uop->operand[0].kind == ISA_OPERAND_MEMORY) return memory_bit(isa, uop, offset);
  unsigned position = (unsigned)offset & (8 * size - 1);
  uint64_t value = isa_register_read(isa, uop->operand[0]);
  isa_flags_set(&isa->state.rflags, X86_RFLAGS_CF, value >> position & 1);
  if (uop->argument != BIT_TEST)
    isa_register_write(isa, uop->operand[0],
                       change_bit(value, UINT64_C(1) << position, uop->argument));
  return ISA_NEXT;
}

static uint64_t count_bits(uint64_t value, unsigned scan, unsigned size) {
  if (scan == SCAN_POPCNT) return (uint64_t)__builtin_popcountll(value);
  if (value == 0) return 8 * size;
  if (scan == SCAN_BSF || scan == SCAN_TZCNT) return (uint64_t)__builtin_ctzll(value);
  unsigned highest = 63 - (unsigned)__builtin_clzll(value);
  return scan == SCAN_BSR ? highest : 8 * size - 1 - highest;
}

/* BSF and BSR of zero keep the destination: the manual leaves it undefined, processors keep it. */
static enum isa_step scan_old(struct isa_x86 *isa, const struct isa_uop *uop, uint64_t value) {
  isa_flags_set(&isa->state.rflags, X86_RFLAGS_ZF, value ? 0 : X86_RFLAGS_ZF);
  if (value)
    isa_register_write(isa, uop->operand[0],
                       count_bits(value, uop->argument, uop->operand[0].size));
  return ISA_NEXT;
}

enum isa_step exec_scan(struct isa_x86 *isa, const struct isa_uop *uop) {
  unsigned size = uop->operand[0].size;
  uint64_t value;
  enum isa_step step = isa_operand_read(isa, uop, 1, &value);
  if (step != ISA_NEXT) return step;
  if (uop->argument == SCAN_BSF || uop->argument == SCAN_BSR) return scan_old(isa, uop, value);
  uint64_t count = count_bits(value, uop->argument, size);
  bool is_popcnt = uop->argument == SCAN_POPCNT;
  uint64_t flags = count == 0 ? X86_RFLAGS_ZF : 0;
  if (value == 0 && !is_popcnt) flags |= X86_RFLAGS_CF;
  /* POPCNT clears the other flags; TZCNT and LZCNT leave them undefined, here unchanged. */
  isa_flags_set(&isa->state.rflags,
                is_popcnt ? ISA_FLAGS_ARITHMETIC : X86_RFLAGS_CF | X86_RFLAGS_ZF, flags);
  isa_register_write(isa, uop->operand[0], count);
  return ISA_NEXT;
}

/* BSWAP of a 16-bit register is undefined; processors clear it. */
enum isa_step exec_bswap(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t value = isa_register_read(isa, uop->operand[0]);
  unsigned size = uop->operand[0].size;
  uint64_t swapped = size == 2 ? 0 : __builtin_bswap64(value) >> (64 - 8 * size);
  isa_register_write(isa, uop->operand[0], swapped);
  return ISA_NEXT;
}
