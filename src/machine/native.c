/* SPDX-License-Identifier: MIT
 * Native software and the run loop.
 *
 * A native page holds real instructions. Its two entry points hand control to a C handler, which
 * executes the page's instructions one at a time through native_execute. When such an instruction
 * exits, the handler has simply not come back yet: native_execute runs the lower levels, whose
 * handlers open and close on top of it, until the instruction has completed. The handler's own last
 * instruction, VMLAUNCH or VMRESUME, is issued here after it returned, so the C stack is as deep as
 * the nesting and no deeper. */
#include <stdarg.h>
#include <stdio.h>

#include "src/machine/machine.h"

enum { INSN_BYTES = 6, BLOCKED_BY_NMI = 8 };

static const struct {
  uint16_t offset;
  uint8_t bytes[INSN_BYTES];
} native_insn[] = {
#define NATIVE_INSN(name, offset, ...) {offset, {__VA_ARGS__}},
#include "src/machine/native.def"
};

bool native_init(struct nst_cpu *cpu) {
  for (unsigned i = 0; i < INSN_COUNT; i++) {
    uint8_t bytes[16] = {0};
    memcpy(bytes, native_insn[i].bytes, INSN_BYTES);
    if (!isa_decode(&cpu->isa, bytes, sizeof bytes, &cpu->native_uop[i])) return false;
  }
  return true;
}

struct native_page *native_find(struct nst_machine *machine, uint64_t physical) {
  for (unsigned i = 0; i < machine->native_count; i++)
    if (machine->native[i].page == (physical & ~UINT64_C(0xfff))) return &machine->native[i];
  return 0;
}

enum nst_status nst_native_register(struct nst_machine *machine, uint64_t page,
                                    nst_native_fn handler, void *context) {
  uint8_t *bytes = memory_page(machine, page);
  if (!bytes || (page & 0xfff))
    return machine_fail(machine, NST_E_RANGE, "native page 0x%llx: expected a 4-KiB page in memory",
                        (unsigned long long)page);
  if (machine->native_count == NATIVE_PAGES)
    return machine_fail(machine, NST_E_RANGE, "at most %d native pages", NATIVE_PAGES);
  memory_touched(machine, page);
  for (unsigned i = 0; i < INSN_COUNT; i++)
    memcpy(bytes + native_insn[i].offset, native_insn[i].bytes, INSN_BYTES);
  machine->native[machine->native_count++] = (struct native_page){page, handler, context};
  memory_flag(machine, page, PAGE_NATIVE);
  return NST_OK;
}

enum isa_step cpu_die(struct nst_cpu *cpu, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(cpu->machine->error, sizeof cpu->machine->error, format, arguments);
  va_end(arguments);
  cpu->stop.kind = NST_STOP_ERROR;
  return ISA_STOP;
}

/* ---- the run loop */

/* Issues the last instruction of a handler that returned. */
static void finish(struct nst_cpu *cpu, uint64_t base, enum nst_native_end end) {
  if (end == NST_NATIVE_STOP) {
    if (cpu->stop.kind == NST_STOP_NONE) cpu->stop.kind = NST_STOP_EXIT;
    return;
  }
  enum native_insn insn = end == NST_NATIVE_LAUNCH ? INSN_VMLAUNCH : INSN_VMRESUME;
  cpu->counters.vmentry++;
  cpu->isa.state.rip = base + native_insn[insn].offset;
  enum isa_step step = isa_execute(&cpu->isa, &cpu->native_uop[insn]);
  if (step == ISA_FAULT)
    cpu_die(cpu, "native software faulted (vector %u) at its VM entry", cpu->isa.fault.vector);
}

/* The fetch hit a native page: calls its handler, or reports that an open handler has control. */
static bool call_native(struct nst_cpu *cpu, uint64_t physical) {
  struct native_page *page = native_find(cpu->machine, physical);
  uint64_t rip = cpu->isa.state.rip;
  uint64_t base = rip & ~UINT64_C(0xfff);
  enum nst_native_entry entry;
  switch (rip & 0xfff) {
    case NST_NATIVE_OFFSET_START:
      entry = NST_NATIVE_START;
      break;
    case NST_NATIVE_OFFSET_EXIT:
      entry = NST_NATIVE_EXIT;
      break;
    case 0x23: /* behind VMLAUNCH and VMRESUME */
    case 0x33:
      entry = NST_NATIVE_FAILED;
      break;
    default:
      return false;
  }
  if (!page->handler) { /* the caller's own level: nst_run gives control back */
    cpu->driven_control = true;
    return true;
  }
  if (cpu->nesting == NATIVE_NESTING) {
    cpu_die(cpu, "native handlers nest deeper than %d", NATIVE_NESTING);
    return true;
  }
  cpu->native_base[cpu->nesting] = base;
  cpu->native_frame[cpu->nesting] = physical & ~UINT64_C(0xfff);
  cpu->nesting++;
  enum nst_native_end end = page->handler(cpu, page->context, entry);
  cpu->nesting--;
  if (cpu->stop.kind == NST_STOP_NONE || end == NST_NATIVE_STOP) finish(cpu, base, end);
  return true;
}

static void stop_running(struct nst_cpu *cpu, enum nst_stop_kind kind) {
  if (cpu->stop.kind == NST_STOP_NONE) cpu->stop.kind = kind;
}

/* A guest without an exit for it halted or shut down. A triple fault in non-root exits. */
static void halted(struct nst_cpu *cpu) {
  if (cpu->isa.state.activity == 2 && cpu->vmx.nonroot) {
    struct vmcs_exit exit = {.reason = EXIT_REASON_TRIPLE_FAULT};
    cpu->isa.state.activity = 0;
    cpu_exit(cpu, &exit);
    return;
  }
  if (cpu_wake(cpu)) return;
  stop_running(cpu, cpu->isa.state.activity == 2 ? NST_STOP_SHUTDOWN : NST_STOP_HALT);
}

/* Up to how many instructions may run before the loop must look up again. */
static uint64_t slice(struct nst_cpu *cpu) {
  enum { SLICE = 65536 };
  uint64_t left = cpu->budget_end - cpu->isa.instructions;
  if (cpu->isa.instructions >= cpu->budget_end || cpu->interrupted || *cpu->interrupt) {
    stop_running(cpu, NST_STOP_BUDGET);
    return 0;
  }
  if (cpu->mark || cpu->events) return 1;
  /* Not yet reached, and no instruction counts for more than one. */
  if (cpu->timer_end - cpu->isa.instructions < left) left = cpu->timer_end - cpu->isa.instructions;
  return left < SLICE ? left : SLICE;
}

/* A guest may exit or fault for ever without completing an instruction: that uses up a budget too.
 */
static void note_progress(struct nst_cpu *cpu, uint64_t before, uint64_t steps) {
  if (cpu->nesting > cpu->floor) return;
  cpu->stalled = cpu->isa.instructions != before ? 0 : cpu->stalled + steps;
  if (cpu->stalled > cpu->stalled_limit) stop_running(cpu, NST_STOP_BUDGET);
}

/* After a transition RIP is mostly in native code or was there lately: what isa_run would find by
 * fetching, by the TLB alone. False decides nothing. */
static bool is_at_native(struct nst_cpu *cpu) {
  enum { RIGHTS_LONG = 1 << 13 };
  const struct x86_state *state = &cpu->isa.state;
  if (cpu->isa.code_valid || state->activity || !(state->efer & X86_EFER_LMA) ||
      !(state->segment[X86_CS].access_rights & RIGHTS_LONG))
    return false;
  bool user = (state->segment[X86_SS].access_rights >> 5 & 3) == 3;
  unsigned privilege = user ? (unsigned)WALK_USER : (unsigned)TLB_SUPERVISOR;
  const struct tlb_entry *entry = tlb_find(&cpu->tlb, state->rip, WALK_EXECUTE | privilege);
  if (!entry || !(cpu->machine->page_flag[entry->frame >> PAGE_BITS] & PAGE_NATIVE)) return false;
  cpu->native_fetched = entry->frame;
  return true;
}

/* Runs until somebody stops, or until native code is fetched that is no entry point: then the
 * open handler on top has control again and *rip is where. */
static bool run_until_native(struct nst_cpu *cpu) {
  while (cpu->stop.kind == NST_STOP_NONE && !cpu->driven_control) {
    if (cpu->mark && cpu->isa.state.rip == cpu->mark) {
      stop_running(cpu, NST_STOP_MARK);
      break;
    }
    if (cpu->isa.instructions >= cpu->timer_end) cpu->events |= EVENT_TIMER;
    if (cpu->events && cpu_take_event(cpu)) {
      note_progress(cpu, cpu->isa.instructions, 1);
      continue;
    }
    uint64_t count = slice(cpu), before = cpu->isa.instructions;
    if (!count) break;
    if (is_at_native(cpu)) {
      note_progress(cpu, before, 1);
      if (!call_native(cpu, cpu->native_fetched)) return true;
      continue;
    }
    enum isa_step step = isa_run(&cpu->isa, count);
    note_progress(cpu, before, step == ISA_NEXT ? count : 1);
    switch (step) {
      case ISA_NEXT:
      case ISA_EXIT:
      case ISA_FAULT:
        break;
      case ISA_NATIVE:
        if (!call_native(cpu, cpu->native_fetched)) return true;
        break;
      case ISA_HALTED:
        halted(cpu);
        break;
      case ISA_STOP:
        if (cpu->stop.kind == NST_STOP_NONE) cpu_die(cpu, "%s", cpu->isa.stop);
        break;
    }
  }
  return false;
}

void cpu_run(struct nst_cpu *cpu) {
  if (run_until_native(cpu))
    cpu_die(cpu, "control reached 0x%llx inside a native page with no handler open there",
            (unsigned long long)cpu->isa.state.rip);
}

/* The instruction's exception came through the IDT of its level: the frame on the stack is taken
 * back and the fault is the call's result. SDM 3A "Exception- or Interrupt-Handler Procedures". */
static enum isa_step take_fault(struct nst_cpu *cpu) {
  struct x86_state *state = &cpu->isa.state;
  unsigned vector = (unsigned)((state->rip & 0xfff) - NST_NATIVE_OFFSET_FAULT) / 8;
  bool has_error = vector == X86_EXCEPTION_DF || vector == X86_EXCEPTION_AC ||
                   (vector >= X86_EXCEPTION_TS && vector <= X86_EXCEPTION_PF);
  uint64_t frame[6] = {0}, at = state->gpr[X86_RSP];
  for (unsigned i = has_error ? 0 : 1; i < 6; i++, at += 8) cpu_load(cpu, at, 8, &frame[i]);
  cpu->isa.fault = (struct isa_fault){
      .vector = (uint8_t)vector, .has_error_code = has_error, .error_code = (uint32_t)frame[0]};
  state->rip = frame[1];
  state->rflags = frame[3];
  state->gpr[X86_RSP] = frame[4];
  state->interruptibility &= ~(uint32_t)BLOCKED_BY_NMI; /* by the IRET of its handler */
  return ISA_FAULT;
}

static bool is_own_page(const struct nst_cpu *cpu, uint64_t physical) {
  return (physical & ~UINT64_C(0xfff)) == cpu->native_frame[cpu->nesting - 1];
}

/* The lower levels run until the handler on top of the stack has control again: at `after` when
 * the instruction at `at` was completed for it, at `at` when it must be tried again (ISA_NEXT), at
 * a fault entry when it had an exception. */
static enum isa_step wait_for_completion(struct nst_cpu *cpu, uint64_t at, uint64_t after) {
  for (;;) {
    uint64_t rip = cpu->isa.state.rip, physical;
    if (cpu->vmx.nonroot && (rip == after || rip == at) && cpu_code_page(cpu, rip, &physical) &&
        is_own_page(cpu, physical))
      return ISA_NEXT;
    if (!run_until_native(cpu)) return ISA_STOP;
    rip = cpu->isa.state.rip;
    bool event = (rip & 0xfff) - NST_NATIVE_OFFSET_FAULT < 8 * 256;
    if (event && is_own_page(cpu, cpu->native_fetched)) return take_fault(cpu);
    if (rip != at && rip != after)
      return cpu_die(cpu, "native software was resumed out of order at 0x%llx",
                     (unsigned long long)rip);
  }
}

enum isa_step native_execute(struct nst_cpu *cpu, enum native_insn insn) {
  if (cpu->stop.kind != NST_STOP_NONE) return ISA_STOP;
  const struct isa_uop *uop = &cpu->native_uop[insn];
  uint64_t at = cpu->native_base[cpu->nesting - 1] + native_insn[insn].offset;
  for (;;) {
    cpu->isa.state.rip = at;
    enum isa_step step = isa_execute(&cpu->isa, uop);
    /* A fault that the level below intercepts, as a page fault of a guest without EPT. */
    if (step == ISA_FAULT && cpu->vmx.nonroot && cpu_exception(cpu, &cpu->isa.fault) == ISA_EXIT)
      step = ISA_EXIT;
    if (step != ISA_EXIT) return step;
    step = wait_for_completion(cpu, at, at + uop->length);
    if (step != ISA_NEXT || cpu->isa.state.rip != at) return step;
  }
}

/* At L0 the processor itself halts; deeper the levels below may wait, and then it continues here.
 */
unsigned nst_wait_interrupt(struct nst_cpu *cpu) {
  cpu->counters.other += 3;
  enum isa_step step = native_execute(cpu, INSN_STI);
  if (step == ISA_NEXT) step = native_execute(cpu, INSN_HLT);
  if (step == ISA_HALTED && cpu_wake(cpu)) step = take_fault(cpu);
  unsigned vector = step == ISA_FAULT ? cpu->isa.fault.vector : 0;
  native_execute(cpu, INSN_CLI);
  return vector;
}

/* ---- the caller's own level */

enum nst_status nst_drive(struct nst_cpu *cpu, uint64_t base) {
  uint64_t physical;
  if (cpu->nesting || !cpu_probe(cpu, base, WALK_EXECUTE, &physical) ||
      !native_find(cpu->machine, physical))
    return machine_fail(cpu->machine, NST_E_STATE, "0x%llx: no native page that can be driven",
                        (unsigned long long)base);
  cpu->native_base[0] = base;
  cpu->native_frame[0] = physical & ~UINT64_C(0xfff);
  cpu->nesting = 1;
  cpu->driven_control = false;
  return NST_OK;
}

uint64_t *nst_guest_gpr(struct nst_cpu *cpu) {
  return cpu->driven_gpr;
}

/* The handlers of the levels below run until a guest or the driven level has control. A guest that
 * exits for ever without completing an instruction is left to nst_run and its budget. */
static void settle(struct nst_cpu *cpu) {
  enum { ROUNDS = 4096 };
  uint64_t physical;
  for (unsigned i = 0; i < ROUNDS && cpu->stop.kind == NST_STOP_NONE && !cpu->driven_control; i++) {
    if (!cpu_code_page(cpu, cpu->isa.state.rip, &physical) ||
        !native_find(cpu->machine, physical) || !call_native(cpu, physical))
      return;
  }
}

static enum nst_vmx_result enter_driven(struct nst_cpu *cpu, enum native_insn insn) {
  uint64_t rsp = cpu->isa.state.gpr[X86_RSP];
  if (!cpu->nesting || cpu->stop.kind == NST_STOP_ERROR) return NST_VMX_FAULT;
  cpu->stop.kind = NST_STOP_NONE;
  memcpy(cpu->isa.state.gpr, cpu->driven_gpr, sizeof cpu->driven_gpr);
  cpu->isa.state.gpr[X86_RSP] = rsp;
  cpu->isa.state.rip = cpu->native_base[0] + native_insn[insn].offset;
  cpu->counters.vmentry++;
  enum isa_step step = isa_execute(&cpu->isa, &cpu->native_uop[insn]);
  if (step == ISA_FAULT) return NST_VMX_FAULT;
  settle(cpu);
  bool refused = cpu->driven_control && (cpu->isa.state.rip & 0xfff) != NST_NATIVE_OFFSET_EXIT;
  cpu->driven_control = false;
  if (!refused) return cpu->stop.kind == NST_STOP_ERROR ? NST_VMX_FAULT : NST_VMX_SUCCEED;
  return cpu->isa.state.rflags & X86_RFLAGS_CF ? NST_VMX_FAIL_INVALID : NST_VMX_FAIL_VALID;
}

enum nst_vmx_result nst_vmlaunch(struct nst_cpu *cpu) {
  return enter_driven(cpu, INSN_VMLAUNCH);
}
enum nst_vmx_result nst_vmresume(struct nst_cpu *cpu) {
  return enter_driven(cpu, INSN_VMRESUME);
}
