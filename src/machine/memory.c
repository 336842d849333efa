/* SPDX-License-Identifier: MIT
 * Host-physical memory: one reserved mapping, touched lazily, with a flag byte per page. */
#include "src/machine/machine.h"

bool memory_load64(void *machine, struct host_phys address, uint64_t *value) {
  const struct nst_machine *m = machine;
  if (!memory_has(m, address.value, 8)) return false;
  memcpy(value, m->memory + address.value, 8);
  return true;
}

bool memory_store64(void *machine, struct host_phys address, uint64_t value) {
  struct nst_machine *m = machine;
  if (!memory_has(m, address.value, 8)) return false;
  memory_touched(m, address.value);
  memcpy(m->memory + address.value, &value, 8);
  return true;
}

bool memory_read32(void *machine, uint64_t physical, uint32_t *value) {
  const struct nst_machine *m = machine;
  if (!memory_has(m, physical, 4)) return false;
  memcpy(value, m->memory + physical, 4);
  return true;
}

void memory_touched(struct nst_machine *machine, uint64_t physical) {
  uint64_t frame = physical >> PAGE_BITS;
  uint8_t flags = machine->page_flag[frame];
  if (!flags) return;
  if (flags & PAGE_VMCS && !(flags & PAGE_ACTIVE)) memory_unflag(machine, physical, PAGE_VMCS);
  if (flags & PAGE_ACTIVE) {
    struct vmcs view = {machine->memory + (frame << PAGE_BITS), &machine->layout};
    vmcs_header(&view)->checked = 0;
    bank_drop(machine, frame << PAGE_BITS);
  }
  if (flags & PAGE_CODE) {
    for (unsigned i = 0; i < machine->cpu_count; i++) {
      struct nst_cpu *cpu = machine->cpu[i];
      isa_forget_page(&cpu->isa, frame);
      cpu->isa.code_valid = false;
    }
    memory_unflag(machine, physical, PAGE_CODE);
  }
}

void memory_flag(struct nst_machine *machine, uint64_t physical, enum page_flag flag) {
  uint64_t frame = physical >> PAGE_BITS;
  if (machine->page_flag[frame] & (unsigned)flag) return;
  machine->page_flag[frame] |= (uint8_t)flag;
  /* Stores into it take the slow path from now on. */
  for (unsigned i = 0; i < machine->cpu_count; i++)
    tlb_flush_frame(&machine->cpu[i]->tlb, frame << PAGE_BITS);
}

void memory_unflag(struct nst_machine *machine, uint64_t physical, enum page_flag flag) {
  machine->page_flag[physical >> PAGE_BITS] &= (uint8_t) ~(unsigned)flag;
}
