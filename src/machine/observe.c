/* SPDX-License-Identifier: MIT
 * Observers: told of every VM exit and entry, able to change nothing. */
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

enum nst_status nst_observe(struct nst_machine *machine, const struct nst_observer *observer) {
  if (machine->observer_count == NST_OBSERVERS)
    return machine_fail(machine, NST_E_RANGE, "at most %d observers", NST_OBSERVERS);
  machine->observer[machine->observer_count++] = *observer;
  return NST_OK;
}

void nst_unobserve(struct nst_machine *machine, const void *context) {
  for (unsigned i = 0; i < machine->observer_count; i++) {
    if (machine->observer[i].context != context) continue;
    machine->observer[i] = machine->observer[--machine->observer_count];
    return;
  }
}
