/* SPDX-License-Identifier: MIT
 * Bits of EPT entries, of the EPTP and of the exit qualification of EPT violations. */
#ifndef PAGING_EPT_H
#define PAGING_EPT_H

#include <stdint.h>

/* SDM 3C "The EPT Translation Mechanism", formats of EPT paging-structure entries. */
enum ept_bit {
  EPT_READ = 0x1,
  EPT_WRITE = 0x2,
  EPT_EXECUTE = 0x4,
  EPT_PERMISSIONS = 0x7,
  EPT_MEMORY_TYPE = 0x38, /* leaves */
  EPT_MEMORY_TYPE_SHIFT = 3,
  EPT_IGNORE_PAT = 0x40, /* leaves */
  EPT_LARGE = 0x80,      /* 2-MiB or 1-GiB page */
  EPT_ACCESSED = 0x100,
  EPT_DIRTY = 0x200 /* leaves */
};

/* SDM 3C "Extended-Page-Table Pointer (EPTP)". */
enum eptp_bit {
  EPTP_MEMORY_TYPE = 0x7,  /* 0 = UC, 6 = WB */
  EPTP_WALK_LENGTH = 0x38, /* levels - 1 */
  EPTP_FOUR_LEVELS = 0x18,
  EPTP_ACCESSED_DIRTY = 0x40
};

/* SDM 3C "Exit Qualification for EPT Violations". Bits 2:0 are the access, 5:3 what the entries
 * grant, both in the order of enum walk_permission. */
enum ept_qualification {
  EPT_QUALIFICATION_READ = 0x1,
  EPT_QUALIFICATION_WRITE = 0x2,
  EPT_QUALIFICATION_FETCH = 0x4,
  EPT_QUALIFICATION_READABLE = 0x8,
  EPT_QUALIFICATION_WRITABLE = 0x10,
  EPT_QUALIFICATION_EXECUTABLE = 0x20,
  EPT_QUALIFICATION_LINEAR_VALID = 0x80,
  EPT_QUALIFICATION_TRANSLATED = 0x100 /* 0: an access to a guest paging-structure entry */
};

static inline unsigned ept_memory_type(uint64_t entry) {
  return (unsigned)(entry & EPT_MEMORY_TYPE) >> EPT_MEMORY_TYPE_SHIFT;
}

#endif
