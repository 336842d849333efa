/* SPDX-License-Identifier: MIT
 * A small physical memory for the paging tests, and building tables in it. */
#ifndef TEST_PAGING_MEMORY_H
#define TEST_PAGING_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "paging/walk.h"

enum { FAKE_MEMORY_BYTES = 1 << 20, FAKE_MEMORY_WORDS = FAKE_MEMORY_BYTES / 8 };

struct fake_memory {
  uint64_t word[FAKE_MEMORY_WORDS];
  unsigned loads, stores;
  uint64_t free_page; /* where fake_map takes the next table from */
};

static inline bool fake_load(void *context, struct host_phys address, uint64_t *entry) {
  struct fake_memory *memory = context;
  memory->loads++;
  if (address.value % 8 || address.value >= FAKE_MEMORY_BYTES) return false;
  *entry = memory->word[address.value / 8];
  return true;
}

static inline bool fake_store(void *context, struct host_phys address, uint64_t entry) {
  struct fake_memory *memory = context;
  memory->stores++;
  if (address.value % 8 || address.value >= FAKE_MEMORY_BYTES) return false;
  memory->word[address.value / 8] = entry;
  return true;
}

static inline struct walk_memory fake_walk_memory(struct fake_memory *memory) {
  return (struct walk_memory){memory, fake_load, fake_store};
}

static inline void fake_clear(struct fake_memory *memory, uint64_t free_page) {
  memset(memory, 0, sizeof *memory);
  memory->free_page = free_page;
}

static inline uint64_t fake_take_page(struct fake_memory *memory) {
  uint64_t page = memory->free_page;
  memory->free_page += 0x1000;
  return page;
}

/* The entry for `address` at `level`, with tables made on the way; `table_bits` go into entries
 * that point to new tables, whose address is xor'ed with `twist`, the difference between where
 * software sees a table and where it is. NULL: a leaf is in the way, or memory is full. */
static inline uint64_t *fake_entry(struct fake_memory *memory, uint64_t root, uint64_t address,
                                   unsigned level, uint64_t table_bits, uint64_t twist) {
  uint64_t table = root;
  for (unsigned at = 4;; at--) {
    uint64_t *entry = &memory->word[table / 8 + (address >> (3 + 9 * at) & 511)];
    if (at == level) return entry;
    if (*entry == 0) {
      if (memory->free_page >= FAKE_MEMORY_BYTES) return NULL;
      *entry = (fake_take_page(memory) ^ twist) | table_bits;
    }
    if (at < 4 && (*entry & 0x80)) return NULL;
    table = (*entry & 0x000ffffffffff000) ^ twist;
  }
}

/* Seeded, so that a failure can be repeated. */
static inline uint64_t fake_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

#endif
