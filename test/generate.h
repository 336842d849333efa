/* SPDX-License-Identifier: MIT
 * Seeded guest programs for property tests: 64-bit code that ends, whatever it does on the way. */
#ifndef TEST_GENERATE_H
#define TEST_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/nestor.h"

enum { GENERATE_BYTES = 0x10000, GENERATE_DATA = 0x100000, GENERATE_DATA_SIZE = 0x300000 };

struct program {
  uint64_t seed;
  uint64_t image; /* where the guest's boot image begins, guest-physical = linear */
  uint64_t entry; /* first instruction */
  uint64_t end;   /* behind the last one: stop there */
  size_t size;
  uint8_t bytes[GENERATE_BYTES];
  /* while generating */
  uint64_t random;
  bool in_loop;
  bool pages; /* set by the caller: half of the actions are about its own page tables */
};

/* The same seed gives the same program, of about `actions` actions (at most 300). It uses the data
 * area and its boot image, faults and goes on, and leaves what it saw of control registers, debug
 * registers, MSRs and time in its memory. */
void generate_program(struct program *program, uint64_t seed, uint64_t image, unsigned actions);
/* Puts it and its descriptor tables into guest memory that begins at host-physical `base`. */
void generate_load(const struct program *program, struct nst_machine *machine, uint64_t base);

#endif
