/* SPDX-License-Identifier: MIT
 * VM entries, step by step: checks, guest state loaded, MSRs loaded, event injected. SDM 3C
 * "VM Entries". */
#include "src/machine/machine.h"
#include "vmcs/not_modelled.h"

enum { OTHER_EVENT = 7 }; /* type of an event to inject */

static const uint8_t *bitmap_page(const struct nst_cpu *cpu, bool used, enum vmcs_field field) {
  return used ? memory_page(cpu->machine, vmcs_get(&cpu->vmx.vmcs, field)) : 0;
}

static void find_controls(struct nst_cpu *cpu) {
  struct vmx *vmx = &cpu->vmx;
  const struct vmcs *vmcs = &vmx->vmcs;
  vmx->pin = vmcs_get(vmcs, FIELD_PIN_BASED_VM_EXEC_CONTROL);
  vmx->primary = vmcs_get(vmcs, FIELD_CPU_BASED_VM_EXEC_CONTROL);
  vmx->secondary = vmx->primary & VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
                       ? vmcs_get(vmcs, FIELD_SECONDARY_VM_EXEC_CONTROL)
                       : 0;
  vmx->exit_controls = vmcs_get(vmcs, FIELD_VM_EXIT_CONTROLS);
  vmx->entry_controls = vmcs_get(vmcs, FIELD_VM_ENTRY_CONTROLS);
  vmx->ept = vmx->secondary & VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT);
  vmx->vpid = vmx->secondary & VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID);
  bool io = vmx->primary & VMCS_BIT(CPU_BASED_USE_IO_BITMAPS);
  bool shadow = vmx->secondary & VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS);
  vmx->bitmaps.io_a = bitmap_page(cpu, io, FIELD_IO_BITMAP_A);
  vmx->bitmaps.io_b = bitmap_page(cpu, io, FIELD_IO_BITMAP_B);
  vmx->bitmaps.msr =
      bitmap_page(cpu, vmx->primary & VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS), FIELD_MSR_BITMAP);
  vmx->bitmaps.vmread = bitmap_page(cpu, shadow, FIELD_VMREAD_BITMAP);
  vmx->bitmaps.vmwrite = bitmap_page(cpu, shadow, FIELD_VMWRITE_BITMAP);
  uint64_t link = vmcs_get(vmcs, FIELD_VMCS_LINK_POINTER);
  vmx->shadow.layout = &cpu->machine->layout;
  vmx->shadow.region = shadow && link != VMCS_NONE ? memory_page(cpu->machine, link) : 0;
  vmx->ep4ta = vmx->ept ? (vmcs_get(vmcs, FIELD_EPT_POINTER) & ~UINT64_C(0xfff)) | 1 : 0;
  vmx->vpid_used = vmx->vpid ? (uint16_t)vmcs_get(vmcs, FIELD_VIRTUAL_PROCESSOR_ID) : 0;
}

static void load_segments(const struct vmcs *vmcs, struct x86_state *state) {
  for (unsigned i = 0; i < X86_SEGMENT_COUNT; i++) {
    struct x86_segment *segment = &state->segment[i];
    segment->selector = (uint16_t)vmcs_get(vmcs, (enum vmcs_field)(FIELD_GUEST_ES_SELECTOR + i));
    segment->limit = (uint32_t)vmcs_get(vmcs, (enum vmcs_field)(FIELD_GUEST_ES_LIMIT + i));
    segment->access_rights =
        (uint32_t)vmcs_get(vmcs, (enum vmcs_field)(FIELD_GUEST_ES_AR_BYTES + i));
    segment->base = vmcs_get(vmcs, (enum vmcs_field)(FIELD_GUEST_ES_BASE + i));
  }
  state->gdtr.base = vmcs_get(vmcs, FIELD_GUEST_GDTR_BASE);
  state->gdtr.limit = (uint32_t)vmcs_get(vmcs, FIELD_GUEST_GDTR_LIMIT);
  state->idtr.base = vmcs_get(vmcs, FIELD_GUEST_IDTR_BASE);
  state->idtr.limit = (uint32_t)vmcs_get(vmcs, FIELD_GUEST_IDTR_LIMIT);
}

/* EFER where no control says that it is loaded. */
static void adjust_efer(struct nst_cpu *cpu) {
  struct x86_state *state = &cpu->isa.state;
  bool long_mode = cpu->vmx.entry_controls & VMCS_BIT(VM_ENTRY_IA32E_MODE);
  state->efer &= ~(X86_EFER_LMA | (state->cr0 & X86_CR0_PG ? X86_EFER_LME : 0));
  if (long_mode) state->efer |= X86_EFER_LMA | X86_EFER_LME;
}

/* The state that banks hold. */
static void load_fields(struct nst_cpu *cpu) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  struct x86_state *state = &cpu->isa.state;
  uint64_t controls = cpu->vmx.entry_controls;
  if (controls & VMCS_BIT(VM_ENTRY_LOAD_DEBUG_CONTROLS)) {
    state->dr[7] = (vmcs_get(vmcs, FIELD_GUEST_DR7) & ~UINT64_C(0xd000)) | 0x400;
    state->debugctl = vmcs_get(vmcs, FIELD_GUEST_IA32_DEBUGCTL);
  }
  state->sysenter_cs = vmcs_get(vmcs, FIELD_GUEST_SYSENTER_CS);
  state->sysenter_esp = vmcs_get(vmcs, FIELD_GUEST_SYSENTER_ESP);
  state->sysenter_eip = vmcs_get(vmcs, FIELD_GUEST_SYSENTER_EIP);
  if (controls & VMCS_BIT(VM_ENTRY_LOAD_IA32_EFER))
    state->efer = vmcs_get(vmcs, FIELD_GUEST_IA32_EFER);
  else
    adjust_efer(cpu);
  if (controls & VMCS_BIT(VM_ENTRY_LOAD_IA32_PAT))
    state->pat = vmcs_get(vmcs, FIELD_GUEST_IA32_PAT);
  load_segments(vmcs, state);
}

static void load_bank(struct nst_cpu *cpu, struct bank *bank) {
  const uint64_t all = VMCS_BIT(VM_ENTRY_LOAD_DEBUG_CONTROLS) | VMCS_BIT(VM_ENTRY_LOAD_IA32_EFER) |
                       VMCS_BIT(VM_ENTRY_LOAD_IA32_PAT);
  struct vmcs_header *header = vmcs_header(&cpu->vmx.vmcs);
  if (header->checked & BANK_GUEST) {
    bank_copy(bank_state(cpu), bank->guest);
    return;
  }
  load_fields(cpu);
  if ((cpu->vmx.entry_controls & all) != all) return; /* some of it is the host's */
  bank_copy(bank->guest, bank_state(cpu));
  header->checked |= BANK_GUEST;
}

/* SDM 3C "Loading Guest State". */
static void load_guest(struct nst_cpu *cpu, struct bank *bank) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  struct x86_state *state = &cpu->isa.state;
  const uint64_t kept = X86_CR0_ET | X86_CR0_CD | X86_CR0_NW;
  state->cr0 = (vmcs_get(vmcs, FIELD_GUEST_CR0) & ~kept) | (state->cr0 & kept);
  state->cr3 = vmcs_get(vmcs, FIELD_GUEST_CR3);
  state->cr4 = vmcs_get(vmcs, FIELD_GUEST_CR4);
  load_bank(cpu, bank);
  state->rip = vmcs_get(vmcs, FIELD_GUEST_RIP);
  state->gpr[X86_RSP] = vmcs_get(vmcs, FIELD_GUEST_RSP);
  state->rflags = vmcs_get(vmcs, FIELD_GUEST_RFLAGS);
  state->interruptibility = (uint32_t)vmcs_get(vmcs, FIELD_GUEST_INTERRUPTIBILITY_INFO);
  state->activity = (uint32_t)vmcs_get(vmcs, FIELD_GUEST_ACTIVITY_STATE);
  state->pending_debug_exceptions = vmcs_get(vmcs, FIELD_GUEST_PENDING_DBG_EXCEPTIONS);
}

/* A failed entry after the host checks: an exit without guest state saved. SDM 3C "VM-Entry
 * Failures During or After Loading Guest State". */
static enum isa_step fail_entry(struct nst_cpu *cpu, uint32_t reason, uint64_t qualification) {
  struct vmcs_exit exit = {.reason = reason | EXIT_REASON_FAILED_ENTRY,
                           .qualification = qualification};
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  uint64_t rip = vmcs_get(vmcs, FIELD_GUEST_RIP);
  vmcs_set(vmcs, FIELD_VM_EXIT_REASON, exit.reason);
  vmcs_set(vmcs, FIELD_EXIT_QUALIFICATION, qualification);
  cpu->vmx.nonroot = false;
  cpu_load_host(cpu, bank_find(cpu));
  if (!cpu->vmx.vpid) tlb_flush_vpid(&cpu->tlb, 0);
  cpu_retag(cpu);
  cpu->counters.exits++;
  if (cpu->machine->observer_count) observe_exit(cpu, &exit, rip);
  return ISA_EXIT;
}

/* MSRs of the VM-entry area; returns the 1-based number of the row that failed, or 0. */
static uint64_t load_entry_msrs(struct nst_cpu *cpu) {
  uint64_t area = vmcs_get(&cpu->vmx.vmcs, FIELD_VM_ENTRY_MSR_LOAD_ADDR);
  uint64_t count = vmcs_get(&cpu->vmx.vmcs, FIELD_VM_ENTRY_MSR_LOAD_COUNT);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t index, value;
    uint64_t row = area + i * 16;
    if (!memory_load64(cpu->machine, host_phys_make(row), &index) ||
        !memory_load64(cpu->machine, host_phys_make(row + 8), &value) || index >> 32)
      return i + 1;
    uint32_t msr = (uint32_t)index;
    /* SDM 3C "Loading MSRs": FS and GS base, x2APIC and SMM-only MSRs are refused. */
    if (msr == 0xc0000100 || msr == 0xc0000101 || msr >> 8 == 8) return i + 1;
    if (cpu_write_msr(cpu, msr, value) != ISA_NEXT) return i + 1;
  }
  return 0;
}

/* SDM 3C "Event Injection". */
static enum isa_step inject(struct nst_cpu *cpu) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  uint32_t info = (uint32_t)vmcs_get(vmcs, FIELD_VM_ENTRY_INTR_INFO_FIELD);
  if (!(info >> 31)) return ISA_EXIT;
  unsigned type = info >> 8 & 7;
  if (type == OTHER_EVENT) { /* a pending MTF VM exit, before everything else */
    struct vmcs_exit exit = {.reason = EXIT_REASON_MONITOR_TRAP_FLAG};
    return cpu_exit(cpu, &exit);
  }
  struct isa_fault event = {
      .vector = (uint8_t)info,
      .has_error_code = info >> 11 & 1,
      .software = type == 4 || type >= 5,
      .error_code = (uint32_t)vmcs_get(vmcs, FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE)};
  event.address = cpu->isa.state.cr2;
  cpu->isa.state.activity = 0;
  cpu->isa.uop = 0;
  cpu->isa.next_rip = cpu->isa.state.rip;
  if (event.software) cpu->isa.next_rip += vmcs_get(vmcs, FIELD_VM_ENTRY_INSTRUCTION_LEN);
  enum isa_step step = isa_deliver(&cpu->isa, &event, type);
  return step == ISA_NEXT ? ISA_EXIT : step;
}

/* Asking for a control whose effect this processor does not have stops the machine: better than a
 * guest that runs as if it had been granted. */
static const char *first_not_modelled(const struct nst_cpu *cpu) {
  const uint64_t value[] = {cpu->vmx.pin, cpu->vmx.primary, cpu->vmx.secondary};
  for (unsigned i = 0; i < vmcs_control_count; i++) {
    const struct vmcs_control_info *info = &vmcs_control_info[i];
    if (info->word > WORD_SECONDARY) continue;
    uint64_t asked = value[info->word] & vmcs_not_modelled((enum vmcs_control_word)info->word);
    if (asked >> info->bit & 1) return info->name;
  }
  return 0;
}

static bool asks_too_much(const struct nst_cpu *cpu) {
  return (cpu->vmx.pin & vmcs_not_modelled(WORD_PIN)) |
         (cpu->vmx.primary & vmcs_not_modelled(WORD_PRIMARY)) |
         (cpu->vmx.secondary & vmcs_not_modelled(WORD_SECONDARY));
}

/* The controls in force from now on; false: one of them is not modelled. */
static bool take_controls(struct nst_cpu *cpu, struct bank *bank) {
  struct vmcs_header *header = vmcs_header(&cpu->vmx.vmcs);
  uint8_t *controls = (uint8_t *)&cpu->vmx + VMX_CONTROLS_FIRST;
  if (header->checked & BANK_CONTROLS) {
    memcpy(controls, bank->controls, VMX_CONTROLS_SIZE);
    return true;
  }
  find_controls(cpu);
  if (asks_too_much(cpu)) return false;
  memcpy(bank->controls, controls, VMX_CONTROLS_SIZE);
  header->checked |= BANK_CONTROLS;
  return true;
}

enum isa_step cpu_enter(struct nst_cpu *cpu, bool launch) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  struct vmcs_check_environment environment = {
      .capability = &cpu->machine->capability,
      .efer = cpu->isa.state.efer,
      .current_pointer = cpu->vmx.current,
      .read32 = memory_read32,
      .context = cpu->machine,
  };
  struct bank *bank = bank_claim(cpu->machine, cpu->vmx.current);
  enum vmcs_check check = vmcs_check_first(vmcs, &environment);
  cpu->isa.code_valid = false;
  if (check != CHECK_NONE && vmcs_check_info[check].stage != STAGE_GUEST) {
    vmcs_set(vmcs, FIELD_VM_INSTRUCTION_ERROR, vmcs_check_info[check].outcome);
    return ISA_NEXT;
  }
  if (!take_controls(cpu, bank))
    return cpu_die(cpu, "VM entry with %s, which is not modelled yet", first_not_modelled(cpu));
  if (check != CHECK_NONE)
    return fail_entry(cpu, EXIT_REASON_INVALID_STATE, vmcs_check_info[check].qualification);
  load_guest(cpu, bank);
  cpu->vmx.nonroot = true;
  if (!cpu->vmx.vpid) tlb_flush_vpid(&cpu->tlb, 0);
  cpu_retag(cpu);
  if (vmcs_get(vmcs, FIELD_VM_ENTRY_MSR_LOAD_COUNT)) {
    uint64_t failed = load_entry_msrs(cpu);
    if (failed) return fail_entry(cpu, EXIT_REASON_MSR_LOAD_FAIL, failed);
  }
  cpu_watch_windows(cpu);
  if (cpu->vmx.pin & VMCS_BIT(PIN_BASED_VMX_PREEMPTION_TIMER)) cpu_start_timer(cpu);
  if (launch) vmcs_header(vmcs)->launch_state = VMCS_LAUNCHED;
  if (cpu->machine->observer_count) observe_entry(cpu, launch);
  return inject(cpu);
}
