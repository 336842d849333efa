/* SPDX-License-Identifier: MIT
 * A guest that makes no progress uses up its budget, at any depth. */
#include <string.h>

#include "src/hypervisor/hv.h"
#include "test/expect.h"
#include "test/test_hypervisor_stack.h"

enum {
  CODE = 0x20000,
  IDT = 0x41000,
  IDTR = 0x43000,
  TSS_IST1 = HV_GUEST_TSS + 36,
  STACK = 0x60000
};

static void put(const struct guest *guest, uint64_t address, const void *bytes, size_t size) {
  nst_mem_write(guest->machine, guest->player.memory_base + address, bytes, size);
}

/* The handler of #UD is the instruction that raises it, on a fresh stack each time; every
 * hypervisor intercepts #UD and queues it again. */
static void lay_endless_fault(const struct guest *guest) {
  uint64_t image = guest->player.image, handler = image + CODE + 8, stack = image + STACK;
  uint32_t idtr = (uint32_t)(image + IDTR);
  uint8_t code[] = {0x0f, 0x01, 0x1c, 0x25, 0, 0, 0, 0, 0x0f, 0x0b}; /* LIDT; UD2 */
  memcpy(code + 4, &idtr, sizeof idtr);
  put(guest, image + CODE, code, sizeof code);
  uint64_t gate[2] = {
      (handler & 0xffff) | 8 << 16 | UINT64_C(0x8e01) << 32 | (handler >> 16 & 0xffff) << 48,
      handler >> 32};
  put(guest, image + IDT + 16 * 6, gate, sizeof gate);
  const uint16_t limit = 0xfff;
  uint64_t base = image + IDT;
  put(guest, image + IDTR, &limit, sizeof limit);
  put(guest, image + IDTR + 2, &base, sizeof base);
  put(guest, image + TSS_IST1, &stack, sizeof stack);
}

static void endless_faults_use_up_the_budget(void) {
  for (unsigned depth = 1; depth <= 2; depth++) {
    struct guest guest;
    const struct variant variant = {.depth = depth, .profile = "kvm-6.1"};
    if (guest_open(&guest, &variant)) {
      struct nst_stop stop;
      lay_endless_fault(&guest);
      nst_reg_write(guest.cpu, NST_REG_RIP, guest.player.image + CODE);
      nst_run(guest.cpu, 1000, &stop);
      EXPECT_EQ("stop", stop.kind, NST_STOP_BUDGET);
      EXPECT_TRUE("it did fault", nst_exits_to(guest.cpu, 0) > 1000);
    }
    guest_close(&guest);
  }
}

CU_TestInfo hypervisor_progress_tests[] = {
    {"endless_faults_use_up_the_budget", endless_faults_use_up_the_budget}, CU_TEST_INFO_NULL};
