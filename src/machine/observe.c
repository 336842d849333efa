/* SPDX-License-Identifier: MIT
 * Observers: told of every VM exit, entry and VMX instruction, able to change nothing. */
#include "src/machine/machine.h"

void observe_exit(struct nst_cpu *cpu, const struct vmcs_exit *exit, uint64_t rip) {
  struct nst_exit_event event = {
      .arch = NST_ARCH_VMX,
      .cpu = cpu->index,
      .context = cpu->vmx.current,
      .reason = exit->reason,
      .qualification = exit->qualification,
      .rip = rip,
      .detail = exit->detail,
      .operand = cpu->observed_operand,
      .instructions = cpu->isa.instructions,
  };
  for (unsigned i = 0; i < cpu->machine->observer_count; i++) {
    const struct nst_observer *observer = &cpu->machine->observer[i];
    if (observer->exit) observer->exit(observer->context, cpu, &event);
  }
  cpu->observed_operand = 0;
}

void observe_entry(struct nst_cpu *cpu, bool launch) {
  struct nst_entry_event event = {
      .arch = NST_ARCH_VMX,
      .cpu = cpu->index,
      .context = cpu->vmx.current,
      .launch = launch,
      .rip = cpu->isa.state.rip,
      .rflags = cpu->isa.state.rflags,
      .instructions = cpu->isa.instructions,
  };
  for (unsigned i = 0; i < cpu->machine->observer_count; i++) {
    const struct nst_observer *observer = &cpu->machine->observer[i];
    if (observer->entry) observer->entry(observer->context, cpu, &event);
  }
}

/* ---- VMX instructions: out of the way of runs that nobody watches so closely */

static uint64_t look(struct nst_cpu *cpu, uint64_t linear) {
  uint64_t value = 0;
  return nst_mem_read_linear(cpu, linear, &value, sizeof value) == NST_OK ? value : 0;
}

/* What is known before it is executed, which may overwrite the registers that say so. */
static struct nst_vmx_event describe(struct nst_cpu *cpu, const struct isa_request *r,
                                     uint32_t reason) {
  const uint64_t *gpr = cpu->isa.state.gpr;
  struct nst_vmx_event event = {
      .arch = NST_ARCH_VMX,
      .cpu = cpu->index,
      .context = cpu->vmx.current,
      .root = !cpu->vmx.nonroot,
      .instruction = reason,
      .rip = cpu->isa.state.rip,
      .instructions = cpu->isa.instructions,
  };
  bool is_access = r->vmx == ISA_VMREAD || r->vmx == ISA_VMWRITE;
  bool is_invalidation = r->vmx == ISA_INVEPT || r->vmx == ISA_INVVPID;
  bool is_pointer = r->vmx == ISA_VMPTRLD || r->vmx == ISA_VMCLEAR || r->vmx == ISA_VMXON;
  if (is_access || is_invalidation) event.field = gpr[r->reg2];
  if (is_pointer) event.operand = look(cpu, r->memory.linear);
  if (r->vmx == ISA_VMWRITE)
    event.value = r->memory_form ? look(cpu, r->memory.linear) : gpr[r->reg1];
  return event;
}

static void tell(struct nst_cpu *cpu, const struct nst_vmx_event *event) {
  for (unsigned i = 0; i < cpu->machine->observer_count; i++) {
    const struct nst_observer *observer = &cpu->machine->observer[i];
    if (observer->vmx) observer->vmx(observer->context, cpu, event);
  }
}

void observe_vmx_exit(struct nst_cpu *cpu, const struct isa_request *r, uint32_t reason) {
  struct nst_vmx_event event = describe(cpu, r, reason);
  event.exits = true;
  tell(cpu, &event);
}

enum isa_step observe_vmx(struct nst_cpu *cpu, const struct isa_request *r, uint32_t reason,
                          enum isa_step (*execute)(struct nst_cpu *cpu,
                                                   const struct isa_request *r)) {
  struct nst_vmx_event event = describe(cpu, r, reason);
  bool enters = r->vmx == ISA_VMLAUNCH || r->vmx == ISA_VMRESUME;
  if (enters) tell(cpu, &event);
  enum isa_step step = execute(cpu, r);
  if (enters || step != ISA_NEXT) return step;
  event.failed = cpu->isa.state.rflags & (X86_RFLAGS_CF | X86_RFLAGS_ZF);
  if (r->vmx == ISA_VMREAD && !event.failed)
    event.value = r->memory_form ? look(cpu, r->memory.linear) : cpu->isa.state.gpr[r->reg1];
  tell(cpu, &event);
  return step;
}

/* ---- attaching */

enum nst_status nst_observe(struct nst_machine *machine, const struct nst_observer *observer) {
  if (machine->observer_count == NST_OBSERVERS)
    return machine_fail(machine, NST_E_RANGE, "at most %d observers", NST_OBSERVERS);
  machine->observer[machine->observer_count++] = *observer;
  if (observer->vmx) machine->vmx_observers++;
  return NST_OK;
}

void nst_unobserve(struct nst_machine *machine, const void *context) {
  for (unsigned i = 0; i < machine->observer_count; i++) {
    if (machine->observer[i].context != context) continue;
    if (machine->observer[i].vmx) machine->vmx_observers--;
    machine->observer[i] = machine->observer[--machine->observer_count];
    return;
  }
}
