/* SPDX-License-Identifier: MIT
 * Control registers, MSRs, CPUID and the time-stamp counter of one processor. What VMX adds to them
 * (masks, shadows, offsets) is applied here too; whether an access exits is intercept.c's. */
#include "src/machine/machine.h"

enum {
  MSR_TSC = 0x10,
  MSR_APICBASE = 0x1b,
  MSR_FEATURE_CONTROL = 0x3a,
  MSR_SYSENTER_CS = 0x174,
  MSR_SYSENTER_ESP = 0x175,
  MSR_SYSENTER_EIP = 0x176,
  MSR_MISC_ENABLE = 0x1a0,
  MSR_DEBUGCTL = 0x1d9,
  MSR_PAT = 0x277,
  MSR_VMX_FIRST = 0x480,
  MSR_VMX_LAST = 0x493
};
#define MSR_EFER UINT32_C(0xc0000080)
#define MSR_STAR UINT32_C(0xc0000081)
#define MSR_LSTAR UINT32_C(0xc0000082)
#define MSR_CSTAR UINT32_C(0xc0000083)
#define MSR_FMASK UINT32_C(0xc0000084)
#define MSR_FS_BASE UINT32_C(0xc0000100)
#define MSR_GS_BASE UINT32_C(0xc0000101)
#define MSR_KERNEL_GS_BASE UINT32_C(0xc0000102)
#define MSR_TSC_AUX UINT32_C(0xc0000103)

static enum isa_step general_protection(struct nst_cpu *cpu) {
  return isa_raise(&cpu->isa, X86_EXCEPTION_GP, true, 0);
}

static bool is_canonical(const struct nst_cpu *cpu, uint64_t address) {
  unsigned shift = 64 - cpu->machine->capability.linear_bits;
  return (uint64_t)((int64_t)(address << shift) >> shift) == address;
}

/* ---- control registers */

/* The task priority is in the virtual-APIC page. SDM 3C "Virtualizing CR8-Based TPR Accesses". */
static bool has_shadow_tpr(const struct nst_cpu *cpu) {
  return cpu->vmx.nonroot && (cpu->vmx.primary & VMCS_BIT(CPU_BASED_TPR_SHADOW));
}

static struct host_phys shadow_tpr(const struct nst_cpu *cpu) {
  enum { VTPR = 0x80 };
  return host_phys_make(vmcs_get(&cpu->vmx.vmcs, FIELD_VIRTUAL_APIC_PAGE_ADDR) + VTPR);
}

/* No memory there reads as ones. */
static uint64_t read_cr8(struct nst_cpu *cpu) {
  uint64_t word = UINT64_MAX;
  if (!has_shadow_tpr(cpu)) return cpu->isa.state.cr8;
  memory_load64(cpu->machine, shadow_tpr(cpu), &word);
  return word >> 4 & 15;
}

/* The exit is a trap: the instruction has completed. SDM 3C "TPR Virtualization". */
static enum isa_step leave_below_threshold(struct nst_cpu *cpu) {
  enum { BLOCKED_BY_STI_OR_MOV_SS = 3 };
  struct x86_state *state = &cpu->isa.state;
  struct vmcs_exit exit = {.reason = EXIT_REASON_TPR_BELOW_THRESHOLD};
  state->rip = cpu->isa.next_rip;
  state->rflags &= ~(uint64_t)X86_RFLAGS_RF;
  state->interruptibility &= ~(uint32_t)BLOCKED_BY_STI_OR_MOV_SS;
  return cpu_exit(cpu, &exit);
}

static enum isa_step write_cr8(struct nst_cpu *cpu, uint64_t value) {
  uint64_t word;
  if (value >> 4) return general_protection(cpu);
  if (!has_shadow_tpr(cpu)) {
    cpu->isa.state.cr8 = value;
    return ISA_NEXT;
  }
  if (!memory_load64(cpu->machine, shadow_tpr(cpu), &word)) return ISA_NEXT;
  memory_store64(cpu->machine, shadow_tpr(cpu), (word & ~(uint64_t)UINT32_MAX) | value << 4);
  bool below = value < (vmcs_get(&cpu->vmx.vmcs, FIELD_TPR_THRESHOLD) & 15);
  return below ? leave_below_threshold(cpu) : ISA_NEXT;
}

enum isa_step cpu_read_cr(void *context, unsigned cr, uint64_t *value) {
  struct nst_cpu *cpu = context;
  const struct x86_state *state = &cpu->isa.state;
  switch (cr) {
    case 0:
    case 4: {
      uint64_t actual = cr ? state->cr4 : state->cr0;
      *value = cpu->vmx.nonroot ? vmcs_cr_visible(&cpu->vmx.vmcs, cr, actual) : actual;
      return ISA_NEXT;
    }
    case 2:
      *value = state->cr2;
      return ISA_NEXT;
    case 3:
      *value = state->cr3;
      return ISA_NEXT;
    case 8:
      *value = read_cr8(cpu);
      return ISA_NEXT;
  }
  return isa_raise(&cpu->isa, X86_EXCEPTION_UD, false, 0);
}

/* SDM 3C "Restrictions on VMX Operation": bits fixed while VMXON is in force. */
static bool violates_fixed(const struct nst_cpu *cpu, uint64_t value, uint64_t fixed0,
                           uint64_t fixed1) {
  return cpu->vmx.on && ((value & fixed0) != fixed0 || (value & ~fixed1));
}

static enum isa_step write_cr0(struct nst_cpu *cpu, uint64_t value) {
  struct x86_state *state = &cpu->isa.state;
  const struct vmcs_capability *cap = &cpu->machine->capability;
  uint64_t fixed0 = cap->cr0_fixed0;
  if (cpu->vmx.nonroot && (cpu->vmx.secondary & VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST)))
    fixed0 &= ~(X86_CR0_PE | X86_CR0_PG);
  value |= X86_CR0_ET;
  if (value >> 32 || (!(value & X86_CR0_PE) && (value & X86_CR0_PG)) ||
      (!(value & X86_CR0_CD) && (value & X86_CR0_NW)) ||
      violates_fixed(cpu, value, fixed0, cap->cr0_fixed1))
    return general_protection(cpu);
  if ((value ^ state->cr0) & (X86_CR0_PE | X86_CR0_PG))
    return cpu_die(cpu, "MOV to CR0 changes PE or PG: only 64-bit mode is modelled yet");
  if ((value ^ state->cr0) & X86_CR0_WP) tlb_flush_all(&cpu->tlb);
  state->cr0 = value;
  cpu_retag(cpu);
  return ISA_NEXT;
}

static enum isa_step write_cr3(struct nst_cpu *cpu, uint64_t value) {
  struct x86_state *state = &cpu->isa.state;
  bool keep = (state->cr4 & X86_CR4_PCIDE) && value >> 63;
  value &= ~(UINT64_C(1) << 63);
  if (value >> cpu->machine->capability.physical_bits) return general_protection(cpu);
  state->cr3 = value;
  if (!keep) {
    uint16_t vpid = cpu->vmx.nonroot && cpu->vmx.vpid
                        ? (uint16_t)vmcs_get(&cpu->vmx.vmcs, FIELD_VIRTUAL_PROCESSOR_ID)
                        : 0;
    tlb_flush_vpid(&cpu->tlb, vpid);
  }
  cpu_retag(cpu);
  return ISA_NEXT;
}

static enum isa_step write_cr4(struct nst_cpu *cpu, uint64_t value) {
  struct x86_state *state = &cpu->isa.state;
  const struct vmcs_capability *cap = &cpu->machine->capability;
  if (value & ~cap->cr4_fixed1) return general_protection(cpu);
  if (violates_fixed(cpu, value, cap->cr4_fixed0, cap->cr4_fixed1) || !(value & X86_CR4_PAE))
    return general_protection(cpu);
  if ((value & X86_CR4_PCIDE) && !(state->cr4 & X86_CR4_PCIDE) && (state->cr3 & 0xfff))
    return general_protection(cpu);
  state->cr4 = value;
  tlb_flush_all(&cpu->tlb);
  cpu_retag(cpu);
  return ISA_NEXT;
}

enum isa_step cpu_write_cr(void *context, unsigned cr, uint64_t value) {
  struct nst_cpu *cpu = context;
  struct x86_state *state = &cpu->isa.state;
  switch (cr) {
    case 0:
      if (cpu->vmx.nonroot) value = vmcs_cr_written(&cpu->vmx.vmcs, 0, state->cr0, value);
      return write_cr0(cpu, value);
    case 2:
      state->cr2 = value;
      return ISA_NEXT;
    case 3:
      return write_cr3(cpu, value);
    case 4:
      if (cpu->vmx.nonroot) value = vmcs_cr_written(&cpu->vmx.vmcs, 4, state->cr4, value);
      return write_cr4(cpu, value);
    case 8:
      return write_cr8(cpu, value);
  }
  return isa_raise(&cpu->isa, X86_EXCEPTION_UD, false, 0);
}

/* ---- MSRs */

/* Where a plain read-write MSR lives in the state, or NULL. */
static uint64_t *plain_msr(struct nst_cpu *cpu, uint32_t msr) {
  struct x86_state *state = &cpu->isa.state;
  switch (msr) {
    case MSR_APICBASE:
      return &cpu->apic_base;
    case MSR_FEATURE_CONTROL:
      return &cpu->feature_control;
    case MSR_MISC_ENABLE:
      return &cpu->misc_enable;
    case MSR_SYSENTER_CS:
      return &state->sysenter_cs;
    case MSR_SYSENTER_ESP:
      return &state->sysenter_esp;
    case MSR_SYSENTER_EIP:
      return &state->sysenter_eip;
    case MSR_DEBUGCTL:
      return &state->debugctl;
    case MSR_PAT:
      return &state->pat;
    case MSR_EFER:
      return &state->efer;
    case MSR_STAR:
      return &state->star;
    case MSR_LSTAR:
      return &state->lstar;
    case MSR_CSTAR:
      return &state->cstar;
    case MSR_FMASK:
      return &state->fmask;
    case MSR_FS_BASE:
      return &state->segment[X86_FS].base;
    case MSR_GS_BASE:
      return &state->segment[X86_GS].base;
    case MSR_KERNEL_GS_BASE:
      return &state->kernel_gs_base;
    case MSR_TSC_AUX:
      return &state->tsc_aux;
  }
  return 0;
}

enum isa_step cpu_read_msr(void *context, uint32_t msr, uint64_t *value) {
  struct nst_cpu *cpu = context;
  if (msr == MSR_TSC) {
    *value = cpu_tsc(cpu);
    return ISA_NEXT;
  }
  if (msr >= MSR_VMX_FIRST && msr <= MSR_VMX_LAST)
    return vmcs_capability_msr(&cpu->machine->capability, msr, value) ? ISA_NEXT
                                                                      : general_protection(cpu);
  const uint64_t *plain = plain_msr(cpu, msr);
  if (!plain) return general_protection(cpu);
  *value = *plain;
  return ISA_NEXT;
}

static bool is_valid_pat(uint64_t value) {
  for (unsigned i = 0; i < 8; i++) {
    unsigned type = (unsigned)(value >> i * 8) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

/* Values that the MSR refuses. SDM 4 "Architectural MSRs". */
static bool refuses(const struct nst_cpu *cpu, uint32_t msr, uint64_t value) {
  const uint64_t efer = X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
  switch (msr) {
    case MSR_PAT:
      return !is_valid_pat(value);
    case MSR_EFER:
      return (value & ~efer) || ((value ^ cpu->isa.state.efer) & X86_EFER_LME);
    case MSR_FEATURE_CONTROL:
      return cpu->feature_control & 1;
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
    case MSR_LSTAR:
    case MSR_CSTAR:
      return !is_canonical(cpu, value);
    case MSR_DEBUGCTL:
      return value & ~UINT64_C(0xffc3);
    case MSR_TSC_AUX:
      return value >> 32;
    case MSR_APICBASE:
      return value >> cpu->machine->capability.physical_bits;
  }
  return false;
}

enum isa_step cpu_write_msr(void *context, uint32_t msr, uint64_t value) {
  struct nst_cpu *cpu = context;
  uint64_t *plain = plain_msr(cpu, msr);
  if (!plain || refuses(cpu, msr, value)) return general_protection(cpu);
  if (msr == MSR_EFER) {
    value = (value & ~X86_EFER_LMA) | (cpu->isa.state.efer & X86_EFER_LMA);
    if ((value ^ *plain) & X86_EFER_NXE) tlb_flush_all(&cpu->tlb);
    cpu->isa.code_valid = false;
  }
  *plain = value;
  return ISA_NEXT;
}

/* ---- CPUID and time */

void cpu_cpuid(void *context, uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
  struct nst_cpu *cpu = context;
  const struct vmcs_capability *cap = &cpu->machine->capability;
  memset(out, 0, 4 * sizeof *out);
  for (size_t i = 0; i < cap->cpuid_count; i++) {
    const uint32_t *row = cap->cpuid[i];
    if (row[0] != leaf || row[1] != subleaf) continue;
    memcpy(out, row + 2, 4 * sizeof *out);
  }
  if (leaf == 1) {
    out[1] = (out[1] & 0x00ffffff) | cpu->index << 24;
    out[2] &= ~(UINT32_C(1) << 27);
    if (cpu->isa.state.cr4 & X86_CR4_OSXSAVE) out[2] |= UINT32_C(1) << 27;
  }
}

/* One count per instruction of guest time, plus the offsets in force. */
uint64_t cpu_tsc(void *context) {
  struct nst_cpu *cpu = context;
  uint64_t tsc = cpu->isa.instructions;
  if (cpu->vmx.nonroot && (cpu->vmx.primary & VMCS_BIT(CPU_BASED_USE_TSC_OFFSETTING)))
    tsc += vmcs_get(&cpu->vmx.vmcs, FIELD_TSC_OFFSET);
  return tsc;
}
