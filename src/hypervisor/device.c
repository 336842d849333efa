/* SPDX-License-Identifier: MIT
 * Ports. Interrupt controller and timer are in the hypervisor; every other port belongs to its
 * user-space device model, where nothing answers: reads give ones, writes are lost. */
#include "src/hypervisor/hv.h"

/* 8259 PIC, its trigger-mode registers, and the 8254 PIT. */
static bool is_in_kernel(unsigned port) {
  return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 || port == 0x4d0 ||
         port == 0x4d1 || (port >= 0x40 && port <= 0x43);
}

static uint64_t read_port(struct hv *hv, unsigned port, unsigned size) {
  if (port == 0x21) return hv_load(hv, HV_AT(port_irq_mask));
  if (port == 0xa1) return hv_load(hv, HV_AT(port_irq_mask) + 8);
  if (is_in_kernel(port)) return 0;
  return size == 4 ? UINT32_MAX : (UINT64_C(1) << 8 * size) - 1;
}

static void write_port(struct hv *hv, unsigned port, uint64_t value) {
  if (hv_interrupt_port(port)) hv_write_interrupt_port(hv, port, value & 0xff);
  if (port == 0xa1) hv_store(hv, HV_AT(port_irq_mask) + 8, value & 0xff);
}

static void in(struct hv *hv, unsigned port, unsigned size) {
  uint64_t value = read_port(hv, port, size), old = hv_gpr(hv, NST_REG_RAX);
  uint64_t mask = (UINT64_C(1) << 8 * size) - 1;
  hv_set_gpr(hv, NST_REG_RAX, size == 4 ? value & mask : (old & ~mask) | (value & mask));
}

/* INS and OUTS move through memory at RDI or RSI; all iterations at one exit, as user space does.
 */
static bool string_io(struct hv *hv, unsigned port, unsigned size, bool input, bool rep) {
  enum { LIMIT = 1024 };
  unsigned reg = input ? NST_REG_RDI : NST_REG_RSI;
  uint64_t count = rep ? hv_gpr(hv, NST_REG_RCX) : 1, address = hv_gpr(hv, reg);
  bool down = hv_get(hv, FIELD_GUEST_RFLAGS) >> 10 & 1;
  uint64_t batch = count < LIMIT ? count : LIMIT, value;
  for (uint64_t i = 0; i < batch; i++) {
    bool fits = input ? hv_write_guest(hv, address, size, read_port(hv, port, size))
                      : hv_read_guest(hv, address, size, &value);
    if (!fits) break;
    if (!input) write_port(hv, port, value);
    address += down ? -(uint64_t)size : size;
    count--;
  }
  hv_set_gpr(hv, reg, address);
  if (rep) hv_set_gpr(hv, NST_REG_RCX, count);
  return !count || !rep;
}

void hv_handle_io(struct hv *hv) {
  hv_run(hv, ROUTINE_QUALIFICATION);
  uint64_t qualification = hv_get(hv, FIELD_EXIT_QUALIFICATION);
  unsigned size = (qualification & 7) + 1, port = qualification >> 16 & 0xffff;
  bool input = qualification >> 3 & 1, string = qualification >> 4 & 1;
  bool done = true;
  if (!is_in_kernel(port)) {
    hv_run(hv, ROUTINE_IO_USER);
    hv->user = true;
  }
  if (string)
    done = string_io(hv, port, size, input, qualification >> 5 & 1);
  else if (input)
    in(hv, port, size);
  else
    write_port(hv, port, hv_gpr(hv, NST_REG_RAX));
  if (done) hv_skip(hv);
}
