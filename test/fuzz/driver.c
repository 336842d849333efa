/* SPDX-License-Identifier: MIT
 * Runs a fuzz target without libFuzzer: on the files named, or on CASES inputs made from a seed.
 * usage: fuzz_TARGET [CASES [SEED]] | fuzz_TARGET FILE... */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "test/fuzz/fuzz.h"

enum { SIZE_MAX_INPUT = 4096, CASES = 2000 };

static uint64_t next_random(uint64_t *random, uint64_t limit) {
  *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (*random >> 24) % limit;
}

static int run_file(const char *path) {
  static uint8_t bytes[1 << 20];
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "%s: cannot be read\n", path);
    return 2;
  }
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  return LLVMFuzzerTestOneInput(bytes, size);
}

static void run_seeded(uint64_t cases, uint64_t seed) {
  static uint8_t bytes[SIZE_MAX_INPUT];
  for (uint64_t i = 0; i < cases; i++) {
    uint64_t random = seed + i * UINT64_C(0x9e3779b97f4a7c15);
    size_t size = 1 + next_random(&random, next_random(&random, 8) ? 160 : SIZE_MAX_INPUT);
    for (size_t at = 0; at < size; at++) bytes[at] = (uint8_t)next_random(&random, 256);
    LLVMFuzzerTestOneInput(bytes, size);
  }
  printf("%" PRIu64 " inputs from seed %" PRIu64 "\n", cases, seed);
}

int main(int argc, char **argv) {
  bool is_number = argc > 1 && strspn(argv[1], "0123456789") == strlen(argv[1]);
  if (argc > 1 && !is_number) {
    int status = 0;
    for (int i = 1; i < argc && status == 0; i++) status = run_file(argv[i]);
    return status;
  }
  uint64_t cases = argc > 1 ? strtoull(argv[1], NULL, 10) : CASES;
  run_seeded(cases, argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
  return 0;
}
