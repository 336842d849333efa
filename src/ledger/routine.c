/* SPDX-License-Identifier: MIT
 * Routines of hypervisor software; see routine.h. */
#include "src/ledger/routine.h"

static const struct ledger_routine_cost routines[LEDGER_ROUTINES] = {
#define LEDGER_ROUTINE(name, low, typical, high, samples, title) \
  {#name, (title), (low), (typical), (high), (samples)},
#include "src/ledger/routine.def"
};

const struct ledger_routine_cost *ledger_routine(unsigned routine) {
  return routine < LEDGER_ROUTINES ? &routines[routine] : NULL;
}

/* Where Linux has the device in the kernel: 8259 PIC with its trigger-mode registers, 8254 PIT. */
static bool is_kernel_port(uint64_t port) {
  return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 || port == 0x4d0 ||
         port == 0x4d1 || (port >= 0x40 && port <= 0x43);
}

enum ledger_routine routine_of(uint32_t reason, uint64_t detail, unsigned from, unsigned to) {
  if (to > from) return LEDGER_ROUTINE_MERGE;
  if (to < from) return LEDGER_ROUTINE_REFLECT;
  switch (reason) {
    case NST_EXIT_IO_INSTRUCTION:
      return is_kernel_port(detail) ? LEDGER_ROUTINE_PORT : LEDGER_ROUTINE_PORT_USER;
#define LEDGER_HANDLES(name, routine) \
  case NST_EXIT_##name:               \
    return LEDGER_ROUTINE_##routine;
#include "src/ledger/routine.def"
    default: /* of a number that comes from the machine, not of an enum of ours */
      return LEDGER_ROUTINE_HANDLE;
  }
}
