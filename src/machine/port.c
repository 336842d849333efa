/* SPDX-License-Identifier: MIT
 * Ports of the bare machine: no device answers, reads give ones and writes are lost. */
#include "src/machine/machine.h"

enum isa_step cpu_port_in(void *cpu, uint16_t port, unsigned size, uint32_t *value) {
  (void)cpu;
  (void)port;
  *value = size == 4 ? UINT32_MAX : (UINT32_C(1) << size * 8) - 1;
  return ISA_NEXT;
}

enum isa_step cpu_port_out(void *cpu, uint16_t port, unsigned size, uint32_t value) {
  (void)cpu;
  (void)port;
  (void)size;
  (void)value;
  return ISA_NEXT;
}
