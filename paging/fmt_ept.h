/* SPDX-License-Identifier: MIT
 * SDM 3C "The EPT Translation Mechanism" as functions of one entry: the format of 4-level paging
 * with presence, permissions and reserved bits replaced, and misconfigurations added. */
#ifndef PAGING_FMT_EPT_H
#define PAGING_FMT_EPT_H

#include "paging/ept.h"
#include "paging/fmt_ia32e.h"

_Static_assert((unsigned)EPT_READ == WALK_READ && (unsigned)EPT_WRITE == WALK_WRITE &&
                   (unsigned)EPT_EXECUTE == WALK_EXECUTE && EPT_LARGE == IA32E_PAGE_SIZE,
               "EPT permissions are the neutral ones, and large pages are marked as in 4-level "
               "paging");

static inline bool ept_present(uint64_t entry) {
  return entry & EPT_PERMISSIONS;
}

static inline unsigned ept_permissions(uint64_t entry) {
  return (unsigned)(entry & EPT_PERMISSIONS) | WALK_USER;
}

static inline uint64_t ept_reserved(uint64_t entry, unsigned level, unsigned physical_bits) {
  uint64_t reserved = table_address_reserved(physical_bits);
  if (level == 1) return reserved;
  if (level == 4) return reserved | EPT_LARGE | EPT_IGNORE_PAT | EPT_MEMORY_TYPE;
  if (!(entry & EPT_LARGE)) return reserved | EPT_IGNORE_PAT | EPT_MEMORY_TYPE;
  return reserved | (((UINT64_C(1) << table_page_bits(level)) - 1) & ~UINT64_C(0xfff));
}

/* Beside reserved bits, SDM 3C "EPT Misconfigurations": writable but not readable, or a memory
 * type that does not exist in a leaf. Execute-only is supported. */
static inline bool ept_misconfigured(uint64_t entry, unsigned level) {
  if ((entry & (EPT_READ | EPT_WRITE)) == EPT_WRITE) return true;
  if (!ia32e_leaf(entry, level)) return false;
  unsigned type = ept_memory_type(entry);
  return type == 2 || type == 3 || type == 7;
}

#define WALK_FORMAT_EPT                                                                          \
  {                                                                                              \
    .name = "EPT", .levels = 4, .leaf_levels = 1 << 1 | 1 << 2 | 1 << 3, .present = ept_present, \
    .leaf = ia32e_leaf, .permissions = ept_permissions, .reserved = ept_reserved,                \
    .misconfigured = ept_misconfigured, .accessed = EPT_ACCESSED, .dirty = EPT_DIRTY,            \
  }

#endif
