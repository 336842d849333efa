/* SPDX-License-Identifier: MIT
 * A stack of hypervisors: which profile runs at each level, and where each level's memory lies. */
#ifndef HYPERVISOR_STACK_H
#define HYPERVISOR_STACK_H

#include "src/hypervisor/hv.h"

struct stack {
  unsigned depth;        /* level of the innermost guest */
  bool driven;           /* the hypervisor at depth - 1 is the caller's */
  uint64_t memory;       /* of the machine */
  uint64_t guest_memory; /* of the innermost guest */
  struct hv_level level[NST_DEPTH_LIMIT];
};

/* Where the innermost guest's first instruction is, in its own memory. */
uint64_t stack_guest_code(const struct stack *stack);
/* Of a machine made by nst_stack_create, else NULL. */
struct stack *stack_of(const struct nst_machine *machine);

#endif
