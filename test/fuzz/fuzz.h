/* SPDX-License-Identifier: MIT
 * What the fuzz targets share: each is one LLVMFuzzerTestOneInput, for libFuzzer, for AFL++ and for
 * the driver of driver.c. A target aborts when something that must hold does not. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct fuzz_input {
  const uint8_t *bytes;
  size_t size, at;
};

static inline size_t fuzz_left(const struct fuzz_input *input) {
  return input->size - input->at;
}

/* The next `count` bytes as a little-endian number; 0 bytes behind the end. */
static inline uint64_t fuzz_take(struct fuzz_input *input, unsigned count) {
  uint64_t value = 0;
  for (unsigned i = 0; i < count && input->at < input->size; i++)
    value |= (uint64_t)input->bytes[input->at++] << 8 * i;
  return value;
}

/* Values of every width: most are small, or near a power of two. */
static inline uint64_t fuzz_number(struct fuzz_input *input) {
  uint64_t how = fuzz_take(input, 1);
  if (how < 0x60) return how;
  if (how < 0xa0) return (UINT64_C(1) << (how & 63)) - (how >> 6 & 1);
  return fuzz_take(input, how < 0xc0 ? 2 : how < 0xe0 ? 4 : 8);
}

#define FUZZ_REQUIRE(condition)                                                      \
  do {                                                                               \
    if (!(condition)) {                                                              \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                       \
    }                                                                                \
  } while (0)

#endif
