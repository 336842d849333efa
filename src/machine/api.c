/* SPDX-License-Identifier: MIT
 * The rest of nestor.h that needs no hypervisor: registers, memory, running, checks, names. */
#include <stdio.h>

#include "src/machine/machine.h"

/* ---- registers and memory */

static const uint64_t *register_of(const struct nst_cpu *cpu, enum nst_reg reg) {
  const struct x86_state *state = &cpu->isa.state;
  switch (reg) {
    case NST_REG_RAX:
    case NST_REG_RCX:
    case NST_REG_RDX:
    case NST_REG_RBX:
    case NST_REG_RSP:
    case NST_REG_RBP:
    case NST_REG_RSI:
    case NST_REG_RDI:
    case NST_REG_R8:
    case NST_REG_R9:
    case NST_REG_R10:
    case NST_REG_R11:
    case NST_REG_R12:
    case NST_REG_R13:
    case NST_REG_R14:
    case NST_REG_R15:
      return &state->gpr[reg];
    case NST_REG_RIP:
      return &state->rip;
    case NST_REG_RFLAGS:
      return &state->rflags;
    case NST_REG_CR0:
      return &state->cr0;
    case NST_REG_CR2:
      return &state->cr2;
    case NST_REG_CR3:
      return &state->cr3;
    case NST_REG_CR4:
      return &state->cr4;
    case NST_REG_XCR0:
      return &state->xcr0;
  }
  return 0;
}

uint64_t nst_reg_read(const struct nst_cpu *cpu, enum nst_reg reg) {
  const uint64_t *at = register_of(cpu, reg);
  return at ? *at : 0;
}

void nst_reg_write(struct nst_cpu *cpu, enum nst_reg reg, uint64_t value) {
  uint64_t *at = (uint64_t *)(uintptr_t)register_of(cpu, reg);
  if (!at) return;
  *at = value;
  if (reg == NST_REG_CR3) tlb_flush_all(&cpu->tlb);
  if (reg >= NST_REG_CR0) cpu_retag(cpu);
  cpu->isa.code_valid = false;
}

enum nst_status nst_mem_read(struct nst_machine *machine, uint64_t physical, void *out,
                             size_t size) {
  if (!memory_has(machine, physical, size))
    return machine_fail(machine, NST_E_RANGE, "0x%llx is outside memory",
                        (unsigned long long)physical);
  memcpy(out, machine->memory + physical, size);
  return NST_OK;
}

enum nst_status nst_mem_write(struct nst_machine *machine, uint64_t physical, const void *bytes,
                              size_t size) {
  if (!memory_has(machine, physical, size))
    return machine_fail(machine, NST_E_RANGE, "0x%llx is outside memory",
                        (unsigned long long)physical);
  for (uint64_t page = physical & ~UINT64_C(0xfff); page < physical + size; page += PAGE_BYTES)
    memory_touched(machine, page);
  memcpy(machine->memory + physical, bytes, size);
  return NST_OK;
}

enum nst_status nst_translate(struct nst_cpu *cpu, uint64_t linear, uint64_t *physical) {
  return cpu_probe(cpu, linear, WALK_READ, physical) ? NST_OK : NST_E_RANGE;
}

enum nst_status nst_mem_read_linear(struct nst_cpu *cpu, uint64_t linear, void *out, size_t size) {
  uint8_t *to = out;
  while (size) {
    uint64_t physical;
    uint64_t part = PAGE_BYTES - (linear & (PAGE_BYTES - 1));
    if (part > size) part = size;
    if (!cpu_probe(cpu, linear, WALK_READ, &physical) || !memory_has(cpu->machine, physical, part))
      return machine_fail(cpu->machine, NST_E_RANGE, "linear address 0x%llx is not mapped",
                          (unsigned long long)linear);
    memcpy(to, cpu->machine->memory + physical, part);
    to += part;
    linear += part;
    size -= part;
  }
  return NST_OK;
}

/* ---- running */

void nst_stop_at(struct nst_cpu *cpu, uint64_t linear) {
  cpu->mark = linear;
}
void nst_interrupt(struct nst_cpu *cpu) {
  cpu->interrupted = 1;
}

/* What the driven level finds when it gets control. */
static void describe_stop(struct nst_cpu *cpu) {
  struct nst_stop *stop = &cpu->stop;
  const struct nst_machine *machine = cpu->machine;
  if (machine->stack_owner.describe) {
    machine->stack_owner.describe(machine->stack, cpu, stop);
  } else if (cpu->vmx.current != VMCS_NONE) {
    bool exited = stop->kind == NST_STOP_EXIT;
    stop->reason = (uint32_t)vmcs_get(&cpu->vmx.vmcs,
                                      exited ? FIELD_VM_EXIT_REASON : FIELD_VM_INSTRUCTION_ERROR);
    stop->qualification = vmcs_get(&cpu->vmx.vmcs, FIELD_EXIT_QUALIFICATION);
  }
}

enum nst_status nst_run(struct nst_cpu *cpu, uint64_t budget, struct nst_stop *stop) {
  if (cpu->stop.kind == NST_STOP_ERROR) {
    *stop = cpu->stop;
    return NST_E_STATE;
  }
  cpu->stop = (struct nst_stop){NST_STOP_NONE, 0, 0};
  cpu->interrupted = 0;
  cpu->driven_control = false;
  uint64_t start = cpu->isa.instructions;
  cpu->budget_end = budget > UINT64_MAX - start ? UINT64_MAX : start + budget;
  const uint64_t patience = 1 << 20;
  cpu->stalled = 0;
  cpu->stalled_limit = budget > UINT64_MAX - patience ? UINT64_MAX : budget + patience;
  cpu->floor = cpu->nesting;
  cpu_run(cpu);
  if (cpu->driven_control) {
    const struct x86_state *state = &cpu->isa.state;
    memcpy(cpu->driven_gpr, state->gpr, sizeof cpu->driven_gpr);
    cpu->driven_control = false;
    cpu->stop.kind =
        (state->rip & 0xfff) == NST_NATIVE_OFFSET_EXIT ? NST_STOP_EXIT : NST_STOP_ENTRY_FAILED;
    describe_stop(cpu);
    if (cpu->stop.kind == NST_STOP_EXIT) cpu->stop.reason &= UINT16_MAX; /* the basic reason */
  }
  *stop = cpu->stop;
  if (cpu->stop.kind != NST_STOP_ERROR) cpu->stop.kind = NST_STOP_NONE; /* instructions run again */
  return cpu->stop.kind == NST_STOP_ERROR ? NST_E_STATE : NST_OK;
}

/* ---- asking why */

struct check_list {
  const char **texts;
  size_t limit, count;
};

static bool collect_check(void *context, enum vmcs_check check) {
  struct check_list *list = context;
  if (list->count < list->limit) list->texts[list->count] = vmcs_check_info[check].text;
  list->count++;
  return true;
}

size_t nst_check_entry(struct nst_cpu *cpu, uint64_t vmcs, const char **texts, size_t limit) {
  struct vmcs view = {memory_page(cpu->machine, vmcs), &cpu->machine->layout};
  if (!view.region) return 0;
  struct vmcs_check_environment environment = {
      .capability = &cpu->machine->capability,
      .efer = cpu->isa.state.efer,
      .current_pointer = vmcs,
      .read32 = memory_read32,
      .context = cpu->machine,
  };
  struct check_list list = {texts, limit, 0};
  vmcs_check_all(&view, &environment, collect_check, &list);
  return list.count;
}

uint64_t nst_peek_vmcs(const struct nst_cpu *cpu, uint64_t vmcs, uint32_t field) {
  uint64_t physical = vmcs == UINT64_MAX ? cpu->vmx.current : vmcs;
  enum vmcs_field index = vmcs_field_of(field);
  struct vmcs view = {memory_page(cpu->machine, physical), &cpu->machine->layout};
  return view.region && index != FIELD_NONE ? vmcs_read_encoding(&view, field) : 0;
}

/* ---- names */

const char *nst_exit_name(uint32_t reason) {
  return vmcs_reason_name(reason & 0xffff);
}

const char *nst_field_name(uint32_t encoding) {
  enum vmcs_field field = vmcs_field_of(encoding);
  return field == FIELD_NONE ? "?" : vmcs_field_info[field].name;
}

const char *nst_vmx_error_text(uint32_t number) {
  return vmcs_error_text(number);
}
