/* SPDX-License-Identifier: MIT
 * Events through the IDT of IA-32e mode. SDM 3A "Exception and Interrupt Handling in 64-bit Mode".
 *
 * Everything is checked and pushed before a register changes: a fault, or a VM exit inside a
 * callback, finds the state as it was before the delivery. */
#include "isa/x86/exec.h"

enum {
  GATE_INTERRUPT = 14,
  GATE_TRAP = 15,
  ERROR_EXTERNAL = 1,
  ERROR_IDT = 2,
  TSS_RSP0 = 4,
  TSS_IST1 = 0x24,
  CHAIN_LIMIT = 8
};

#define DR6_BS (UINT64_C(1) << 14)
#define DR7_GD (UINT64_C(1) << 13)

/* One delivery: the event, and what the gate led to. */
struct delivery {
  struct isa_fault event;
  unsigned type; /* enum isa_event_type */
  bool resumes;  /* RF is set in the saved image */
  uint32_t external;
  uint64_t target; /* RIP of the handler */
  uint16_t selector;
  uint8_t gate_type, ist;
  struct isa_descriptor code;
  unsigned cpl; /* of the handler */
  uint64_t rsp; /* before the pushes, aligned */
};

static bool is_software(unsigned type) {
  return type == EVENT_SOFTWARE_INTERRUPT || type == EVENT_PRIVILEGED_SOFTWARE ||
         type == EVENT_SOFTWARE_EXCEPTION;
}

static enum isa_step read_gate(struct isa_x86 *isa, struct delivery *d) {
  uint32_t offset = d->event.vector * 16u, error = d->event.vector * 8u | ERROR_IDT | d->external;
  uint64_t low, high;
  if (offset + 15 > isa->state.idtr.limit) return isa_raise(isa, X86_EXCEPTION_GP, true, error);
  enum isa_step step = isa_system_load(isa, isa->state.idtr.base + offset, 8, &low);
  if (step == ISA_NEXT) step = isa_system_load(isa, isa->state.idtr.base + offset + 8, 8, &high);
  if (step != ISA_NEXT) return step;
  d->gate_type = low >> 40 & 0x1f;
  d->ist = low >> 32 & 7;
  d->selector = (uint16_t)(low >> 16);
  d->target = (low & 0xffff) | (low >> 32 & 0xffff0000) | high << 32;
  bool is_gate = d->gate_type == GATE_INTERRUPT || d->gate_type == GATE_TRAP;
  /* INT n, INT3 and INTO may use only gates of their level; INT1 and hardware any. */
  bool checked = is_software(d->type) && d->type != EVENT_PRIVILEGED_SOFTWARE;
  if (!is_gate || (checked && (low >> 45 & 3) < isa_cpl(isa)))
    return isa_raise(isa, X86_EXCEPTION_GP, true, error);
  return low >> 47 & 1 ? ISA_NEXT : isa_raise(isa, X86_EXCEPTION_NP, true, error);
}

static enum isa_step read_code(struct isa_x86 *isa, struct delivery *d) {
  enum isa_step step =
      isa_descriptor_load(isa, d->selector, X86_EXCEPTION_GP, d->external, &d->code);
  if (step != ISA_NEXT) return step;
  uint32_t rights = isa_descriptor_rights(&d->code), error = (d->selector & ~3u) | d->external;
  unsigned dpl = rights >> 5 & 3, cpl = isa_cpl(isa);
  bool is_code = (rights & 0x18) == 0x18, is_long = (rights & 0x6000) == 0x2000;
  if (!is_code || !is_long || dpl > cpl) return isa_raise(isa, X86_EXCEPTION_GP, true, error);
  if (!(rights & 0x80)) return isa_raise(isa, X86_EXCEPTION_NP, true, error);
  d->cpl = rights & 4 ? cpl : dpl; /* conforming code keeps CPL */
  if (!isa_is_canonical(isa, d->target)) return isa_raise(isa, X86_EXCEPTION_GP, true, d->external);
  return ISA_NEXT;
}

/* The stack of the IST entry, of the inner level, or the one in use. */
static enum isa_step find_stack(struct isa_x86 *isa, struct delivery *d) {
  const struct x86_segment *tss = &isa->state.segment[X86_TR];
  enum isa_step step = ISA_NEXT;
  d->rsp = isa->state.gpr[X86_RSP];
  if (d->ist || d->cpl != isa_cpl(isa)) {
    uint32_t offset = d->ist ? TSS_IST1 + 8u * (d->ist - 1u) : TSS_RSP0 + 8u * d->cpl;
    if (offset + 7 > tss->limit)
      return isa_raise(isa, X86_EXCEPTION_TS, true, (tss->selector & ~3u) | d->external);
    step = isa_system_load(isa, tss->base + offset, 8, &d->rsp);
  }
  if (step == ISA_NEXT && !isa_is_canonical(isa, d->rsp))
    return isa_raise(isa, X86_EXCEPTION_SS, true, d->external);
  d->rsp &= ~UINT64_C(15);
  return step;
}

static enum isa_step push_frame(struct isa_x86 *isa, struct delivery *d) {
  const struct x86_state *state = &isa->state;
  uint64_t frame[6] = {state->segment[X86_SS].selector,
                       state->gpr[X86_RSP],
                       state->rflags | (d->resumes ? X86_RFLAGS_RF : 0),
                       state->segment[X86_CS].selector,
                       is_software(d->type) ? isa->next_rip : state->rip,
                       d->event.error_code};
  unsigned count = d->event.has_error_code ? 6 : 5;
  for (unsigned i = 0; i < count; i++) {
    uint64_t at = d->rsp - 8 * (i + 1);
    if (!isa_is_canonical(isa, at)) return isa_raise(isa, X86_EXCEPTION_SS, true, d->external);
    enum isa_step step = d->cpl != isa_cpl(isa) ? isa_system_store(isa, at, 8, frame[i])
                                                : isa_store(isa, X86_SS, at, 8, frame[i]);
    if (step != ISA_NEXT) return step;
  }
  d->rsp -= 8 * (uint64_t)count;
  return ISA_NEXT;
}

/* Nothing can fail any more. */
static void enter_handler(struct isa_x86 *isa, struct delivery *d) {
  struct x86_state *state = &isa->state;
  uint64_t cleared = X86_RFLAGS_TF | X86_RFLAGS_NT | X86_RFLAGS_RF | X86_RFLAGS_VM;
  if (d->gate_type == GATE_INTERRUPT) cleared |= X86_RFLAGS_IF;
  if (d->cpl != isa_cpl(isa)) {
    struct isa_descriptor null = {.selector = (uint16_t)d->cpl};
    isa_stack_set(isa, &null, d->cpl);
    isa->code_valid = false;
  }
  d->code.selector = (uint16_t)((d->selector & ~3u) | d->cpl);
  isa_segment_set(isa, X86_CS, &d->code);
  state->rflags &= ~cleared;
  state->gpr[X86_RSP] = d->rsp;
  state->rip = isa->next_rip = d->target;
  state->interruptibility &= ~3u;
  if (d->type == EVENT_NMI) state->interruptibility |= 8;
  if (d->event.vector == X86_EXCEPTION_DB && d->type == EVENT_HARDWARE_EXCEPTION)
    state->dr[7] &= ~DR7_GD;
  state->activity = 0;
}

static enum isa_step deliver_once(struct isa_x86 *isa, struct delivery *d) {
  d->external = is_software(d->type) ? 0 : ERROR_EXTERNAL;
  enum isa_step step = read_gate(isa, d);
  if (step == ISA_NEXT) step = read_code(isa, d);
  if (step == ISA_NEXT) step = find_stack(isa, d);
  if (step == ISA_NEXT) step = push_frame(isa, d);
  if (step == ISA_NEXT) enter_handler(isa, d);
  return step;
}

/* SDM 3A "Interrupt 8 - Double Fault Exception". */
enum fault_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE, CLASS_DOUBLE };

static enum fault_class classify(unsigned vector, unsigned type) {
  enum { VIRTUALIZATION = 20, CONTROL_PROTECTION = 21 };
  if (type != EVENT_HARDWARE_EXCEPTION) return CLASS_BENIGN;
  if (vector == X86_EXCEPTION_DF) return CLASS_DOUBLE;
  if (vector == X86_EXCEPTION_PF || vector == VIRTUALIZATION) return CLASS_PAGE;
  bool contributory = vector == X86_EXCEPTION_DE || vector == CONTROL_PROTECTION ||
                      (vector >= X86_EXCEPTION_TS && vector <= X86_EXCEPTION_GP);
  return contributory ? CLASS_CONTRIBUTORY : CLASS_BENIGN;
}

static bool makes_double(enum fault_class first, enum fault_class second) {
  if (first == CLASS_PAGE) return second == CLASS_CONTRIBUTORY || second == CLASS_PAGE;
  return first == CLASS_CONTRIBUTORY && second == CLASS_CONTRIBUTORY;
}

/* CR2 and DR6 are written whether or not the exception gets through, but not when it exits. */
static void record(struct isa_x86 *isa, const struct isa_fault *fault) {
  if (fault->vector == X86_EXCEPTION_PF) isa->state.cr2 = fault->address;
  if (fault->vector == X86_EXCEPTION_DB && !fault->software) isa->state.dr[6] |= fault->address;
}

static enum isa_step ask(struct isa_x86 *isa, const struct isa_fault *fault) {
  enum isa_step step = isa->ops->exception(isa->context, fault);
  if (step == ISA_NEXT) record(isa, fault);
  return step;
}

static enum isa_step shut_down(struct isa_x86 *isa) {
  isa->state.activity = 2;
  return ISA_HALTED;
}

/* A fault met while `d` was delivered: ISA_NEXT with the next event in *d, or what ended it. */
static enum isa_step escalate(struct isa_x86 *isa, struct delivery *d) {
  struct isa_fault second = isa->fault;
  enum fault_class first_class = classify(d->event.vector, d->type);
  enum fault_class second_class = classify(second.vector, EVENT_HARDWARE_EXCEPTION);
  isa->delivery.active = true;
  enum isa_step step = ask(isa, &second);
  if (step != ISA_NEXT) return step;
  if (first_class == CLASS_DOUBLE && second_class != CLASS_BENIGN) return shut_down(isa);
  if (makes_double(first_class, second_class)) {
    second = (struct isa_fault){.vector = X86_EXCEPTION_DF, .has_error_code = true};
    step = ask(isa, &second);
  }
  *d = (struct delivery){.event = second, .type = EVENT_HARDWARE_EXCEPTION, .resumes = true};
  return step;
}

static enum isa_step deliver(struct isa_x86 *isa, struct delivery *d) {
  uint64_t length = isa->next_rip - isa->state.rip;
  for (unsigned i = 0; i < CHAIN_LIMIT; i++) {
    isa->delivery = (struct isa_delivery){.active = true,
                                          .type = (uint8_t)d->type,
                                          .length = is_software(d->type) ? (uint8_t)length : 0,
                                          .resumes = d->resumes,
                                          .event = d->event};
    enum isa_step step = deliver_once(isa, d);
    if (step == ISA_FAULT) {
      step = escalate(isa, d);
      isa->delivery.active = false;
      if (step == ISA_NEXT) continue;
    }
    isa->delivery.active = false;
    return step;
  }
  return shut_down(isa); /* only an environment that faults without end comes here */
}

enum isa_step isa_deliver(struct isa_x86 *isa, const struct isa_fault *event, unsigned type) {
  struct delivery d = {.event = *event, .type = type};
  if (!(isa->state.efer & X86_EFER_LMA))
    return isa_stop(isa, "event delivery outside IA-32e mode not modelled", NULL, 0);
  return deliver(isa, &d);
}

/* Exceptions of INT n never exit, so ops->exception is not asked about them. */
enum isa_step isa_take_fault(struct isa_x86 *isa) {
  struct isa_fault fault = isa->fault;
  unsigned type = fault.software ? isa->uop->argument : EVENT_HARDWARE_EXCEPTION;
  if (type != EVENT_SOFTWARE_INTERRUPT) {
    enum isa_step step = ask(isa, &fault);
    if (step != ISA_NEXT) return step;
  }
  struct delivery d = {.event = fault, .type = type};
  d.resumes = type == EVENT_HARDWARE_EXCEPTION && fault.vector != X86_EXCEPTION_DB;
  return deliver(isa, &d);
}

enum isa_step isa_raise_single_step(struct isa_x86 *isa) {
  isa_raise(isa, X86_EXCEPTION_DB, false, 0);
  isa->fault.address = DR6_BS;
  return ISA_FAULT;
}

enum isa_step isa_raise(struct isa_x86 *isa, unsigned vector, bool has_error_code,
                        uint32_t error_code) {
  isa->fault = (struct isa_fault){
      .vector = (uint8_t)vector, .has_error_code = has_error_code, .error_code = error_code};
  return ISA_FAULT;
}
