/* SPDX-License-Identifier: MIT
 * VM exits, step by step: information recorded, guest state saved, MSRs stored, host state loaded,
 * MSRs loaded. SDM 3C "VM Exits". */
#include "src/machine/machine.h"

enum { BLOCKED_BY_STI = 1, BLOCKED_BY_MOV_SS = 2, BLOCKED_BY_NMI = 8, TYPE_NMI = 2 };

/* VMCS fields of segment register i are consecutive in field.def, ES to TR. */
static enum vmcs_field segment_field(enum vmcs_field first, unsigned index) {
  return (enum vmcs_field)((unsigned)first + index);
}

static void save_segments(const struct vmcs *vmcs, const struct x86_state *state) {
  /* The manual's order in the VMCS is ES CS SS DS FS GS LDTR TR, ours too. */
  for (unsigned i = 0; i < X86_SEGMENT_COUNT; i++) {
    const struct x86_segment *segment = &state->segment[i];
    vmcs_set(vmcs, segment_field(FIELD_GUEST_ES_SELECTOR, i), segment->selector);
    vmcs_set(vmcs, segment_field(FIELD_GUEST_ES_LIMIT, i), segment->limit);
    vmcs_set(vmcs, segment_field(FIELD_GUEST_ES_AR_BYTES, i), segment->access_rights);
    vmcs_set(vmcs, segment_field(FIELD_GUEST_ES_BASE, i), segment->base);
  }
  vmcs_set(vmcs, FIELD_GUEST_GDTR_BASE, state->gdtr.base);
  vmcs_set(vmcs, FIELD_GUEST_GDTR_LIMIT, state->gdtr.limit);
  vmcs_set(vmcs, FIELD_GUEST_IDTR_BASE, state->idtr.base);
  vmcs_set(vmcs, FIELD_GUEST_IDTR_LIMIT, state->idtr.limit);
}

/* The state that banks hold. */
static void save_fields(struct nst_cpu *cpu) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  const struct x86_state *state = &cpu->isa.state;
  uint64_t controls = cpu->vmx.exit_controls;
  vmcs_set(vmcs, FIELD_GUEST_SYSENTER_CS, state->sysenter_cs);
  vmcs_set(vmcs, FIELD_GUEST_SYSENTER_ESP, state->sysenter_esp);
  vmcs_set(vmcs, FIELD_GUEST_SYSENTER_EIP, state->sysenter_eip);
  if (controls & VMCS_BIT(VM_EXIT_SAVE_DEBUG_CONTROLS)) {
    vmcs_set(vmcs, FIELD_GUEST_DR7, state->dr[7]);
    vmcs_set(vmcs, FIELD_GUEST_IA32_DEBUGCTL, state->debugctl);
  }
  if (controls & VMCS_BIT(VM_EXIT_SAVE_IA32_PAT)) vmcs_set(vmcs, FIELD_GUEST_IA32_PAT, state->pat);
  if (controls & VMCS_BIT(VM_EXIT_SAVE_IA32_EFER))
    vmcs_set(vmcs, FIELD_GUEST_IA32_EFER, state->efer);
  save_segments(vmcs, state);
  if (vmcs_has_feature(&cpu->machine->capability, VMCS_HAS_UNRESTRICTED_GUEST))
    vmcs_set(vmcs, FIELD_VM_ENTRY_CONTROLS,
             (vmcs_get(vmcs, FIELD_VM_ENTRY_CONTROLS) & ~VMCS_BIT(VM_ENTRY_IA32E_MODE)) |
                 (state->efer & X86_EFER_LMA ? VMCS_BIT(VM_ENTRY_IA32E_MODE) : 0));
}

/* Usually the guest has changed nothing of that: the fields, and the bank, hold it already. */
static void save_bank(struct nst_cpu *cpu, struct bank *bank) {
  const uint64_t all = VMCS_BIT(VM_EXIT_SAVE_DEBUG_CONTROLS) | VMCS_BIT(VM_EXIT_SAVE_IA32_EFER) |
                       VMCS_BIT(VM_EXIT_SAVE_IA32_PAT);
  struct vmcs_header *header = vmcs_header(&cpu->vmx.vmcs);
  bool mirrors = bank && header->checked & BANK_GUEST;
  if (mirrors && memcmp(bank->guest, bank_state(cpu), BANK_STATE_SIZE) == 0) return;
  uint64_t entry = vmcs_get(&cpu->vmx.vmcs, FIELD_VM_ENTRY_CONTROLS);
  save_fields(cpu);
  header->checked &= ~(UINT32_C(1) << GROUP_GUEST);
  if (entry != vmcs_get(&cpu->vmx.vmcs, FIELD_VM_ENTRY_CONTROLS))
    header->checked &= ~cpu->vmx.stale[FIELD_VM_ENTRY_CONTROLS];
  else if (mirrors && (cpu->vmx.exit_controls & all) == all)
    bank_copy(bank->guest, bank_state(cpu));
  else
    header->checked &= ~(uint32_t)BANK_GUEST;
}

/* Stores a register that checks of guest state read; returns the bits that changed. */
static uint64_t save_register(const struct vmcs *vmcs, enum vmcs_field field, uint64_t value) {
  uint64_t changed = vmcs_get(vmcs, field) ^ value;
  vmcs_set(vmcs, field, value);
  return changed;
}

/* SDM 3C "Saving Guest State". */
static void save_guest(struct nst_cpu *cpu, struct bank *bank) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  const struct x86_state *state = &cpu->isa.state;
  uint64_t changed = save_register(vmcs, FIELD_GUEST_CR0, state->cr0);
  changed |= save_register(vmcs, FIELD_GUEST_CR3, state->cr3);
  changed |= save_register(vmcs, FIELD_GUEST_CR4, state->cr4);
  changed |= save_register(vmcs, FIELD_GUEST_RFLAGS, state->rflags) & X86_RFLAGS_VM;
  if (changed) vmcs_header(vmcs)->checked &= ~(UINT32_C(1) << GROUP_GUEST);
  save_bank(cpu, bank);
  vmcs_set(vmcs, FIELD_GUEST_RIP, state->rip);
  vmcs_set(vmcs, FIELD_GUEST_RSP, state->gpr[X86_RSP]);
  vmcs_set(vmcs, FIELD_GUEST_INTERRUPTIBILITY_INFO, state->interruptibility);
  vmcs_set(vmcs, FIELD_GUEST_ACTIVITY_STATE, state->activity);
  vmcs_set(vmcs, FIELD_GUEST_PENDING_DBG_EXCEPTIONS, state->pending_debug_exceptions);
  if (cpu->vmx.exit_controls & VMCS_BIT(VM_EXIT_SAVE_VMX_PREEMPTION_TIMER))
    vmcs_set(vmcs, FIELD_VMX_PREEMPTION_TIMER_VALUE, cpu_timer_value(cpu));
}

static void load_flat_segment(struct x86_segment *segment, uint16_t selector, uint64_t base,
                              uint32_t limit, uint32_t access_rights) {
  *segment = (struct x86_segment){base, limit, access_rights, selector};
}

/* SDM 3C "Loading Host Segment and Descriptor-Table Registers". */
static void load_host_segments(const struct vmcs *vmcs, struct x86_state *state) {
  enum { CODE64 = 0xa09b, DATA = 0xc093, UNUSABLE = 0x10000, TSS_BUSY = 0x8b };
  static const struct {
    uint8_t segment;
    uint16_t selector;
  } data[] = {{X86_SS, FIELD_HOST_SS_SELECTOR},
              {X86_DS, FIELD_HOST_DS_SELECTOR},
              {X86_ES, FIELD_HOST_ES_SELECTOR},
              {X86_FS, FIELD_HOST_FS_SELECTOR},
              {X86_GS, FIELD_HOST_GS_SELECTOR}};
  for (unsigned i = 0; i < sizeof data / sizeof data[0]; i++) {
    uint16_t selector = (uint16_t)vmcs_get(vmcs, (enum vmcs_field)data[i].selector);
    bool usable = selector != 0 || data[i].segment == X86_SS;
    load_flat_segment(&state->segment[data[i].segment], selector, 0, UINT32_MAX,
                      usable ? DATA : (uint32_t)UNUSABLE | DATA);
  }
  load_flat_segment(&state->segment[X86_CS], (uint16_t)vmcs_get(vmcs, FIELD_HOST_CS_SELECTOR), 0,
                    UINT32_MAX, CODE64);
  state->segment[X86_FS].base = vmcs_get(vmcs, FIELD_HOST_FS_BASE);
  state->segment[X86_GS].base = vmcs_get(vmcs, FIELD_HOST_GS_BASE);
  load_flat_segment(&state->segment[X86_TR], (uint16_t)vmcs_get(vmcs, FIELD_HOST_TR_SELECTOR),
                    vmcs_get(vmcs, FIELD_HOST_TR_BASE), 0x67, TSS_BUSY);
  load_flat_segment(&state->segment[X86_LDTR], 0, 0, 0, UNUSABLE);
  state->gdtr = (struct x86_table){vmcs_get(vmcs, FIELD_HOST_GDTR_BASE), 0xffff};
  state->idtr = (struct x86_table){vmcs_get(vmcs, FIELD_HOST_IDTR_BASE), 0xffff};
}

/* The state that banks hold. */
static void load_host_fields(struct nst_cpu *cpu, uint64_t controls) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  struct x86_state *state = &cpu->isa.state;
  state->dr[7] = 0x400;
  state->debugctl = 0;
  state->sysenter_cs = vmcs_get(vmcs, FIELD_HOST_IA32_SYSENTER_CS);
  state->sysenter_esp = vmcs_get(vmcs, FIELD_HOST_IA32_SYSENTER_ESP);
  state->sysenter_eip = vmcs_get(vmcs, FIELD_HOST_IA32_SYSENTER_EIP);
  if (controls & VMCS_BIT(VM_EXIT_LOAD_IA32_EFER))
    state->efer = vmcs_get(vmcs, FIELD_HOST_IA32_EFER);
  else if (controls & VMCS_BIT(VM_EXIT_HOST_ADDR_SPACE_SIZE))
    state->efer |= X86_EFER_LMA | X86_EFER_LME;
  if (controls & VMCS_BIT(VM_EXIT_LOAD_IA32_PAT)) state->pat = vmcs_get(vmcs, FIELD_HOST_IA32_PAT);
  load_host_segments(vmcs, state);
}

static void load_host_bank(struct nst_cpu *cpu, struct bank *bank) {
  const uint64_t all = VMCS_BIT(VM_EXIT_LOAD_IA32_EFER) | VMCS_BIT(VM_EXIT_LOAD_IA32_PAT);
  struct vmcs_header *header = vmcs_header(&cpu->vmx.vmcs);
  if (bank && header->checked & BANK_HOST) {
    bank_copy(bank_state(cpu), bank->host);
    return;
  }
  uint64_t controls = vmcs_get(&cpu->vmx.vmcs, FIELD_VM_EXIT_CONTROLS);
  load_host_fields(cpu, controls);
  if (!bank || (controls & all) != all) return; /* some of it is the guest's */
  bank_copy(bank->host, bank_state(cpu));
  header->checked |= BANK_HOST;
}

/* SDM 3C "Loading Host State". */
void cpu_load_host(struct nst_cpu *cpu, struct bank *bank) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  struct x86_state *state = &cpu->isa.state;
  const uint64_t kept = X86_CR0_ET | X86_CR0_CD | X86_CR0_NW;
  state->cr0 = (vmcs_get(vmcs, FIELD_HOST_CR0) & ~kept) | (state->cr0 & kept);
  state->cr3 = vmcs_get(vmcs, FIELD_HOST_CR3);
  state->cr4 = vmcs_get(vmcs, FIELD_HOST_CR4);
  load_host_bank(cpu, bank);
  state->rip = vmcs_get(vmcs, FIELD_HOST_RIP);
  state->gpr[X86_RSP] = vmcs_get(vmcs, FIELD_HOST_RSP);
  state->rflags = X86_RFLAGS_FIXED;
  state->interruptibility = 0;
  state->activity = 0;
  state->pending_debug_exceptions = 0;
}

/* MSR areas: 16-byte rows of index, reserved, value. SDM 3C "Saving MSRs", "Loading MSRs". */
static bool store_msrs(struct nst_cpu *cpu, uint64_t area, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    uint64_t index, value;
    struct host_phys row = host_phys_make(area + i * 16);
    if (!memory_load64(cpu->machine, row, &index) || index >> 32 ||
        cpu_read_msr(cpu, (uint32_t)index, &value) != ISA_NEXT ||
        !memory_store64(cpu->machine, host_phys_make(row.value + 8), value))
      return false;
  }
  return true;
}

static bool load_msrs(struct nst_cpu *cpu, uint64_t area, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    uint64_t index, value;
    if (!memory_load64(cpu->machine, host_phys_make(area + i * 16), &index) || index >> 32 ||
        !memory_load64(cpu->machine, host_phys_make(area + i * 16 + 8), &value) ||
        cpu_write_msr(cpu, (uint32_t)index, value) != ISA_NEXT)
      return false;
  }
  return true;
}

/* SDM 3C "VMX Aborts": the indicator is written and the processor shuts down. */
static enum isa_step abort_vmx(struct nst_cpu *cpu, uint32_t indicator) {
  vmcs_header(&cpu->vmx.vmcs)->abort = indicator;
  return cpu_die(cpu, "VMX abort %u: the MSR area of a VM exit could not be processed", indicator);
}

/* SDM 3C "Information for VM Exits During Event Delivery". What the event itself does to the state
 * has happened, only its frame and handler are missing: "Architectural State Before a VM Exit". */
static void record_in_delivery(struct nst_cpu *cpu, const struct vmcs_exit *exit) {
  const struct isa_delivery *delivery = &cpu->isa.delivery;
  struct vmcs_exit vectoring = *exit;
  vectoring.idt_vectoring_information = delivery->event.vector | (uint32_t)delivery->type << 8 |
                                        (delivery->event.has_error_code ? UINT32_C(1) << 11 : 0) |
                                        UINT32_C(1) << 31;
  vectoring.idt_vectoring_error = delivery->event.error_code;
  if (delivery->type >= 4) vectoring.length = delivery->length;
  vmcs_exit_record(&cpu->vmx.vmcs, &vectoring);
  /* The flags saved are those of its frame: "Saving RIP, RSP, RFLAGS, and SSP". */
  if (delivery->resumes) cpu->isa.state.rflags |= X86_RFLAGS_RF;
  cpu->isa.state.interruptibility &= ~(uint32_t)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
  if (delivery->type == TYPE_NMI) cpu->isa.state.interruptibility |= BLOCKED_BY_NMI;
  cpu->isa.delivery.active = false;
}

/* SDM 3C "Updating Non-Register State": an NMI that exits blocks those that follow; other exits
 * leave that blocking alone, which the guest's state shows unless its NMIs are virtual. */
static uint32_t blocking_after(const struct nst_cpu *cpu, const struct vmcs_exit *exit) {
  bool is_nmi = exit->reason == EXIT_REASON_EXCEPTION_NMI &&
                (exit->interruption_information >> 8 & 7) == TYPE_NMI;
  if (is_nmi) return BLOCKED_BY_NMI;
  bool is_virtual = cpu->vmx.pin & VMCS_BIT(PIN_BASED_VIRTUAL_NMIS);
  return is_virtual ? 0 : cpu->isa.state.interruptibility & BLOCKED_BY_NMI;
}

enum isa_step cpu_exit(struct nst_cpu *cpu, const struct vmcs_exit *exit) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  uint64_t rip = cpu->isa.state.rip;
  if (cpu->isa.delivery.active)
    record_in_delivery(cpu, exit);
  else
    vmcs_exit_record(vmcs, exit);
  cpu->isa.system_access = false;
  struct bank *bank = bank_find(cpu);
  save_guest(cpu, bank);
  uint64_t stores = vmcs_get(vmcs, FIELD_VM_EXIT_MSR_STORE_COUNT);
  if (stores && !store_msrs(cpu, vmcs_get(vmcs, FIELD_VM_EXIT_MSR_STORE_ADDR), stores))
    return abort_vmx(cpu, 1);
  uint32_t blocking = blocking_after(cpu, exit);
  cpu->vmx.nonroot = false;
  cpu->timer_end = TIMER_OFF;
  if (cpu->events) cpu_watch_windows(cpu);
  cpu_load_host(cpu, bank);
  cpu->isa.state.interruptibility = blocking;
  /* SDM 3C "Operations That Invalidate Cached Mappings": without VPIDs an exit drops those of 0. */
  if (!cpu->vmx.vpid) tlb_flush_vpid(&cpu->tlb, 0);
  cpu_retag(cpu);
  uint64_t loads = vmcs_get(vmcs, FIELD_VM_EXIT_MSR_LOAD_COUNT);
  if (loads && !load_msrs(cpu, vmcs_get(vmcs, FIELD_VM_EXIT_MSR_LOAD_ADDR), loads))
    return abort_vmx(cpu, 4);
  cpu->counters.exits++;
  if (cpu->machine->observer_count) observe_exit(cpu, exit, rip);
  return ISA_EXIT;
}
