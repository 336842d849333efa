/* SPDX-License-Identifier: MIT
 * Fuzz target: any bytes as a guest's code, at level 1 or 2, under a hypervisor that steps over
 * whatever exits. The bytes fill the code page; registers come from them too. */
#include "test/fuzz/machine.h"

enum { EXITS = 60, BUDGET = 400 };

static void step_over(const struct fuzz_machine *m) {
  uint64_t rip = 0, length = 0;
  nst_vmread(m->cpu, NST_FIELD_GUEST_RIP, &rip);
  nst_vmread(m->cpu, NST_FIELD_VM_EXIT_INSTRUCTION_LEN, &length);
  nst_vmwrite(m->cpu, NST_FIELD_GUEST_RIP, rip + (length > 0 && length < 16 ? length : 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size < 4 || size > 0xf000) return 0;
  struct fuzz_input input = {bytes, size, 0};
  unsigned how = (unsigned)fuzz_take(&input, 1);
  uint64_t exceptions = fuzz_take(&input, 1) & 1 ? UINT32_MAX : 0;
  unsigned left;
  struct fuzz_machine m = fuzz_open(how, bytes, size, &left);
  for (unsigned reg = NST_REG_RAX; reg <= NST_REG_R15; reg++) {
    if (reg == NST_REG_RSP) continue;
    nst_poke_reg(m.cpu, m.level, (enum nst_reg)reg, fuzz_number(&input));
  }
  nst_vmwrite(m.cpu, NST_FIELD_EXCEPTION_BITMAP, exceptions);
  enum nst_vmx_result result = nst_vmlaunch(m.cpu);
  for (unsigned exits = 0; result == NST_VMX_SUCCEED && exits < EXITS; exits++) {
    struct nst_stop stop = {.kind = NST_STOP_NONE};
    if (nst_run(m.cpu, BUDGET, &stop) != NST_OK) break;
    fuzz_look(&m, &stop);
    if (stop.kind != NST_STOP_EXIT) break;
    step_over(&m);
    result = nst_vmresume(m.cpu);
  }
  nst_machine_destroy(m.machine);
  return 0;
}
