/* SPDX-License-Identifier: MIT
 * Events between two instructions: NMIs, external interrupts, and the exits that software asked for
 * when it can take one. SDM 3A "Priority Among Concurrent Events", 3C "Other Causes of VM Exits".
 */
#include "src/machine/machine.h"

enum {
  HLT_STATE = 1,
  BLOCKED_BY_STI = 1,
  BLOCKED_BY_MOV_SS = 2,
  BLOCKED_BY_NMI = 8,
  TYPE_INTERRUPT = 0,
  TYPE_NMI = 2,
  VECTOR_NMI = 2
};
#define VALID UINT32_C(0x80000000) /* of an interruption information */

enum nst_status nst_raise_interrupt(struct nst_cpu *cpu, unsigned vector) {
  if (vector < 16 || vector > 255)
    return machine_fail(cpu->machine, NST_E_INVAL, "interrupt vector %u: expected 16 to 255",
                        vector);
  cpu->request[vector / 64] |= UINT64_C(1) << vector % 64;
  cpu->events |= EVENT_INTERRUPT;
  return NST_OK;
}

void nst_raise_nmi(struct nst_cpu *cpu) {
  cpu->events |= EVENT_NMI;
}

void nst_on_idle(struct nst_machine *machine, bool (*idle)(void *context, struct nst_cpu *cpu),
                 void *context) {
  machine->idle = idle;
  machine->idle_context = context;
}

void cpu_watch_windows(struct nst_cpu *cpu) {
  cpu->events &= ~(unsigned)(EVENT_WINDOW | EVENT_NMI_WINDOW | EVENT_TIMER);
  if (!cpu->vmx.nonroot) return;
  if (cpu->vmx.primary & VMCS_BIT(CPU_BASED_INTR_WINDOW_EXITING)) cpu->events |= EVENT_WINDOW;
  if (cpu->vmx.primary & VMCS_BIT(CPU_BASED_NMI_WINDOW_EXITING)) cpu->events |= EVENT_NMI_WINDOW;
}

/* Its clock: one count per change of a bit of the TSC without offset. SDM 3C "VMX-Preemption
 * Timer". */
static unsigned timer_shift(const struct nst_cpu *cpu) {
  return cpu->machine->capability.misc & 31;
}

void cpu_start_timer(struct nst_cpu *cpu) {
  uint64_t value = vmcs_get(&cpu->vmx.vmcs, FIELD_VMX_PREEMPTION_TIMER_VALUE);
  unsigned shift = timer_shift(cpu);
  cpu->timer_end = ((cpu->isa.instructions >> shift) + value) << shift;
  if (!value) cpu->timer_end = 0;
}

uint32_t cpu_timer_value(const struct nst_cpu *cpu) {
  unsigned shift = timer_shift(cpu);
  bool is_due = cpu->events & EVENT_TIMER || cpu->timer_end <= cpu->isa.instructions;
  return is_due ? 0 : (uint32_t)((cpu->timer_end >> shift) - (cpu->isa.instructions >> shift));
}

/* The highest vector requested; the request goes. */
static unsigned take_request(struct nst_cpu *cpu) {
  unsigned word = 3;
  while (!cpu->request[word]) word--; /* EVENT_INTERRUPT says that there is one */
  unsigned bit = 63 - (unsigned)__builtin_clzll(cpu->request[word]);
  cpu->request[word] &= ~(UINT64_C(1) << bit);
  if (!(cpu->request[0] | cpu->request[1] | cpu->request[2] | cpu->request[3]))
    cpu->events &= ~(unsigned)EVENT_INTERRUPT;
  return word * 64 + bit;
}

static void leave(struct nst_cpu *cpu, uint32_t reason, uint32_t information) {
  struct vmcs_exit exit = {.reason = reason, .interruption_information = information};
  cpu->isa.code_valid = false;
  if (cpu_exit(cpu, &exit) == ISA_STOP && cpu->stop.kind == NST_STOP_NONE)
    cpu_die(cpu, "%s", cpu->isa.stop);
}

static void deliver(struct nst_cpu *cpu, unsigned vector, unsigned type) {
  struct isa_fault event = {.vector = (uint8_t)vector};
  cpu->isa.state.activity = 0;
  if (isa_deliver(&cpu->isa, &event, type) == ISA_STOP && cpu->stop.kind == NST_STOP_NONE)
    cpu_die(cpu, "%s", cpu->isa.stop);
}

static bool take_timer(struct nst_cpu *cpu) {
  if (!(cpu->events & EVENT_TIMER)) return false;
  leave(cpu, EXIT_REASON_PREEMPTION_TIMER, 0);
  return true;
}

static bool take_nmi_window(struct nst_cpu *cpu, uint32_t blocking) {
  if (!(cpu->events & EVENT_NMI_WINDOW)) return false;
  if (blocking & (BLOCKED_BY_NMI | BLOCKED_BY_MOV_SS)) return false;
  leave(cpu, EXIT_REASON_NMI_WINDOW, 0);
  return true;
}

/* With virtual NMIs the bit of the interruptibility state blocks those, not the processor's own. */
static bool take_nmi(struct nst_cpu *cpu, uint32_t blocking) {
  bool exits = cpu->vmx.nonroot && cpu->vmx.pin & VMCS_BIT(PIN_BASED_NMI_EXITING);
  bool is_virtual = exits && cpu->vmx.pin & VMCS_BIT(PIN_BASED_VIRTUAL_NMIS);
  if (!(cpu->events & EVENT_NMI) || blocking & BLOCKED_BY_MOV_SS) return false;
  if (blocking & BLOCKED_BY_NMI && !is_virtual) return false;
  cpu->events &= ~(unsigned)EVENT_NMI;
  if (exits)
    leave(cpu, EXIT_REASON_EXCEPTION_NMI, VALID | TYPE_NMI << 8 | VECTOR_NMI);
  else
    deliver(cpu, VECTOR_NMI, TYPE_NMI);
  return true;
}

static bool take_window(struct nst_cpu *cpu, bool open) {
  if (!(cpu->events & EVENT_WINDOW) || !open) return false;
  leave(cpu, EXIT_REASON_INTERRUPT_WINDOW, 0);
  return true;
}

/* RFLAGS.IF does not mask what exits. SDM 3C "Changes to Instruction Behavior in VMX Non-Root
 * Operation", "External-interrupt exiting". */
static bool take_interrupt(struct nst_cpu *cpu, uint32_t blocking, bool open) {
  bool exits = cpu->vmx.nonroot && cpu->vmx.pin & VMCS_BIT(PIN_BASED_EXT_INTR_MASK);
  if (!(cpu->events & EVENT_INTERRUPT)) return false;
  if (exits && !(blocking & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))) {
    bool acknowledges = cpu->vmx.exit_controls & VMCS_BIT(VM_EXIT_ACK_INTR_ON_EXIT);
    leave(cpu, EXIT_REASON_EXTERNAL_INTERRUPT, acknowledges ? VALID | take_request(cpu) : 0);
    return true;
  }
  if (exits || !open) return false;
  deliver(cpu, take_request(cpu), TYPE_INTERRUPT);
  return true;
}

/* Native software of L0 has control: it runs to its next entry, or waits, before anything is taken.
 */
static bool is_in_native(struct nst_cpu *cpu) {
  uint64_t physical;
  return !cpu->vmx.nonroot && !cpu->isa.state.activity &&
         cpu_code_page(cpu, cpu->isa.state.rip, &physical) && native_find(cpu->machine, physical);
}

bool cpu_take_event(struct nst_cpu *cpu) {
  uint32_t blocking = cpu->isa.state.interruptibility;
  bool open =
      cpu->isa.state.rflags & X86_RFLAGS_IF && !(blocking & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
  if (cpu->isa.state.activity > HLT_STATE || is_in_native(cpu)) return false;
  return take_timer(cpu) || take_nmi_window(cpu, blocking) || take_nmi(cpu, blocking) ||
         take_window(cpu, open) || take_interrupt(cpu, blocking, open);
}

bool cpu_wake(struct nst_cpu *cpu) {
  struct nst_machine *machine = cpu->machine;
  if (cpu->events && cpu_take_event(cpu)) return true;
  if (cpu->timer_end != TIMER_OFF) { /* what is left of it passes in the HLT state */
    cpu->events |= EVENT_TIMER;
    return cpu_take_event(cpu);
  }
  if (!machine->idle || !machine->idle(machine->idle_context, cpu)) return false;
  return cpu->events && cpu_take_event(cpu);
}
