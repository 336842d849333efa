/* SPDX-License-Identifier: MIT
 * SDM 3A "4-Level Paging" as functions of one entry. Inline, so that the walker pays no calls. */
#ifndef PAGING_FMT_IA32E_H
#define PAGING_FMT_IA32E_H

#include "paging/walk.h"

#define IA32E_PRESENT UINT64_C(0x1)
#define IA32E_WRITE UINT64_C(0x2)
#define IA32E_USER UINT64_C(0x4)
#define IA32E_ACCESSED UINT64_C(0x20)
#define IA32E_DIRTY UINT64_C(0x40)
#define IA32E_PAGE_SIZE UINT64_C(0x80)
#define IA32E_EXECUTE_DISABLE (UINT64_C(1) << 63)
/* Where a table or a 4-KiB page lies: bits 51:12, in EPT as well. */
#define TABLE_ADDRESS UINT64_C(0x000ffffffffff000)

/* log2 of what one entry of a level maps: 12, 21, 30, 39. */
static inline unsigned table_page_bits(unsigned level) {
  return 12 + 9 * (level - 1);
}

/* Byte offset of an address's entry in its table of a level. */
static inline uint64_t table_offset(uint64_t address, unsigned level) {
  return (address >> table_page_bits(level) & 0x1ff) * 8;
}

/* Address bits that the processor does not have: 51:physical_bits. */
static inline uint64_t table_address_reserved(unsigned physical_bits) {
  return physical_bits < 52 ? TABLE_ADDRESS & (UINT64_MAX << physical_bits) : 0;
}

static inline bool ia32e_present(uint64_t entry) {
  return entry & IA32E_PRESENT;
}

static inline bool ia32e_leaf(uint64_t entry, unsigned level) {
  return level == 1 || (level < 4 && (entry & IA32E_PAGE_SIZE));
}

static inline unsigned ia32e_permissions(uint64_t entry) {
  return WALK_READ | (entry & IA32E_WRITE ? (unsigned)WALK_WRITE : 0) |
         (entry & IA32E_USER ? (unsigned)WALK_USER : 0) |
         (entry & IA32E_EXECUTE_DISABLE ? 0 : (unsigned)WALK_EXECUTE);
}

/* Bit 63 is reserved too while EFER.NXE is 0; the walker knows that. */
static inline uint64_t ia32e_reserved(uint64_t entry, unsigned level, unsigned physical_bits) {
  uint64_t reserved = table_address_reserved(physical_bits);
  if (level == 4) return reserved | IA32E_PAGE_SIZE;
  if (level == 1 || !(entry & IA32E_PAGE_SIZE)) return reserved;
  return reserved | (((UINT64_C(1) << table_page_bits(level)) - 1) & ~UINT64_C(0x1fff));
}

#define WALK_FORMAT_IA32E                                                           \
  {                                                                                 \
    .name = "4-level paging", .levels = 4, .leaf_levels = 1 << 1 | 1 << 2 | 1 << 3, \
    .present = ia32e_present, .leaf = ia32e_leaf, .permissions = ia32e_permissions, \
    .reserved = ia32e_reserved, .accessed = IA32E_ACCESSED, .dirty = IA32E_DIRTY,   \
  }

#endif
