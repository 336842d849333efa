/* SPDX-License-Identifier: MIT
 * A machine for the fuzz targets: the target itself is the hypervisor of the innermost guest. */
#ifndef FUZZ_MACHINE_H
#define FUZZ_MACHINE_H

#include "src/nestor.h"
#include "test/fuzz/fuzz.h"

enum {
  FUZZ_GUEST_SIZE = 0x400000,
  FUZZ_GUEST_CODE = FUZZ_GUEST_SIZE - 0x200000 + 0x10000,
  FUZZ_SCRATCH = 0x40000, /* pages of the driven level that nobody uses */
  FUZZ_SCRATCH_PAGES = 8,
  FUZZ_EXITS = 5000 /* of all levels, per input */
};

struct fuzz_machine {
  struct nst_machine *machine;
  struct nst_cpu *cpu;
  unsigned level; /* of the guest */
};

/* A guest that makes no progress is given up before it uses up the library's own patience. */
static inline void fuzz_count_exit(void *context, struct nst_cpu *cpu,
                                   const struct nst_exit_event *event) {
  unsigned *left = context;
  (void)event;
  if (*left == 0)
    nst_interrupt(cpu);
  else
    --*left;
}

/* The caller ends it by nst_machine_destroy. `how` chooses the processor and the depth, 1 or 2;
 * `left` counts down and must live as long. */
static inline struct fuzz_machine fuzz_open(unsigned how, const void *code, size_t size,
                                            unsigned *left) {
  static const char *const processors[] = {"everything", "skylake-x", "haswell", "minimal"};
  struct nst_config config;
  struct nst_stack_config stack;
  nst_config_init(&config);
  nst_stack_config_init(&stack);
  config.processor = processors[how & 3];
  config.tlb = !(how >> 2 & 1);
  config.vmcs_shadowing = how >> 3 & 1;
  stack.depth = 1 + (how >> 4 & 1);
  stack.vmcs_access = (how >> 5) % 3;
  stack.guest_memory = FUZZ_GUEST_SIZE;
  stack.driven = true;
  struct fuzz_machine m = {.level = stack.depth};
  FUZZ_REQUIRE(nst_stack_create(&m.machine, &config, &stack) == NST_OK);
  m.cpu = nst_cpu(m.machine, 0);
  *left = FUZZ_EXITS;
  nst_observe(m.machine, &(struct nst_observer){.context = left, .exit = fuzz_count_exit});
  FUZZ_REQUIRE(nst_guest_prepare(m.cpu, m.level, code, size) == NST_OK);
  return m;
}

/* After a run: a stop of a kind that there is, and a sentence where the machine cannot go on. */
static inline void fuzz_look(const struct fuzz_machine *m, const struct nst_stop *stop) {
  FUZZ_REQUIRE(stop->kind > NST_STOP_NONE && stop->kind <= NST_STOP_ERROR);
  FUZZ_REQUIRE(stop->kind != NST_STOP_ERROR || nst_error(m->machine)[0]);
  if (stop->kind == NST_STOP_EXIT) FUZZ_REQUIRE(nst_exit_name(stop->reason)[0] != '?');
}

#endif
