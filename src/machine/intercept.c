/* SPDX-License-Identifier: MIT
 * Does this instruction exit? isa asks, vmcs decides, and this file joins the two. SDM 3C
 * "Instructions That Cause VM Exits". */
#include "src/machine/machine.h"

static bool has_primary(const struct nst_cpu *cpu, uint64_t bits) {
  return cpu->vmx.primary & bits;
}
static bool has_secondary(const struct nst_cpu *cpu, uint64_t bits) {
  return cpu->vmx.secondary & bits;
}

/* Decides one request and prepares the exit that it would be. */
static bool decides_cr(struct nst_cpu *cpu, const struct isa_request *r, struct vmcs_exit *exit) {
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  exit->reason = EXIT_REASON_CR_ACCESS;
  exit->detail = r->cr;
  exit->qualification = vmcs_qualify_cr(r->cr, r->cr_access, r->gpr, r->lmsw,
                                        r->cr_access == ISA_CR_LMSW && r->memory_form);
  switch (r->cr_access) {
    case ISA_CR_TO:
      return vmcs_intercepts_cr_write(vmcs, r->cr, cpu->isa.state.gpr[r->gpr]);
    case ISA_CR_FROM:
      return vmcs_intercepts_cr_read(vmcs, r->cr);
    case ISA_CR_CLTS:
      return vmcs_intercepts_clts(vmcs);
    case ISA_CR_LMSW:
      return vmcs_intercepts_lmsw(vmcs, r->lmsw);
  }
  return false;
}

static bool decides_io(struct nst_cpu *cpu, const struct isa_request *r, struct vmcs_exit *exit) {
  exit->reason = EXIT_REASON_IO_INSTRUCTION;
  exit->detail = r->port;
  exit->qualification = vmcs_qualify_io(r->port, r->size, r->in, r->string, r->rep, r->immediate);
  if (r->string) exit->guest_linear_address = r->memory.linear;
  return vmcs_intercepts_io(&cpu->vmx.vmcs, &cpu->vmx.bitmaps, r->port, r->size);
}

static bool decides_msr(struct nst_cpu *cpu, const struct isa_request *r, struct vmcs_exit *exit) {
  bool write = r->intercept == ISA_INTERCEPT_WRMSR;
  exit->reason = write ? EXIT_REASON_MSR_WRITE : EXIT_REASON_MSR_READ;
  exit->detail = r->msr;
  return vmcs_intercepts_msr(&cpu->vmx.vmcs, &cpu->vmx.bitmaps, r->msr, write);
}

static struct vmcs_operand operand_of(const struct isa_request *r) {
  return (struct vmcs_operand){
      .memory = r->memory_form,
      .reg1 = r->reg1,
      .reg2 = r->reg2,
      .segment = r->memory.segment,
      .base = r->memory.base,
      .index = r->memory.index,
      .scale = r->memory.scale,
      .address_size = r->memory.address_size,
  };
}

static bool decides_table(struct nst_cpu *cpu, const struct isa_request *r,
                          struct vmcs_exit *exit) {
  exit->reason = r->table_local ? EXIT_REASON_LDTR_TR : EXIT_REASON_GDTR_IDTR;
  struct vmcs_operand operand = operand_of(r);
  exit->instruction_information = vmcs_instruction_information(&operand) | (uint32_t)r->table << 28;
  exit->qualification = r->memory_form ? r->memory.displacement : 0;
  return has_secondary(cpu, VMCS_BIT(SECONDARY_EXEC_DESC));
}

/* Kinds that depend on one control bit, or exit always: reason and condition. */
static bool decides_simple(struct nst_cpu *cpu, const struct isa_request *r,
                           struct vmcs_exit *exit) {
  switch (r->intercept) {
    case ISA_INTERCEPT_CPUID:
      exit->reason = EXIT_REASON_CPUID;
      return true;
    case ISA_INTERCEPT_INVD:
      exit->reason = EXIT_REASON_INVD;
      return true;
    case ISA_INTERCEPT_XSETBV:
      exit->reason = EXIT_REASON_XSETBV;
      return true;
    case ISA_INTERCEPT_HLT:
      exit->reason = EXIT_REASON_HLT;
      return has_primary(cpu, VMCS_BIT(CPU_BASED_HLT_EXITING));
    case ISA_INTERCEPT_WBINVD:
      exit->reason = EXIT_REASON_WBINVD;
      return has_secondary(cpu, VMCS_BIT(SECONDARY_EXEC_WBINVD_EXITING));
    case ISA_INTERCEPT_INVLPG:
      exit->reason = EXIT_REASON_INVLPG;
      exit->qualification = exit->detail = r->memory.linear;
      return has_primary(cpu, VMCS_BIT(CPU_BASED_INVLPG_EXITING));
    case ISA_INTERCEPT_RDTSC:
    case ISA_INTERCEPT_RDTSCP:
      exit->reason = r->intercept == ISA_INTERCEPT_RDTSC ? EXIT_REASON_RDTSC : EXIT_REASON_RDTSCP;
      return has_primary(cpu, VMCS_BIT(CPU_BASED_RDTSC_EXITING));
    case ISA_INTERCEPT_RDPMC:
      exit->reason = EXIT_REASON_RDPMC;
      return has_primary(cpu, VMCS_BIT(CPU_BASED_RDPMC_EXITING));
    case ISA_INTERCEPT_PAUSE:
      exit->reason = EXIT_REASON_PAUSE_INSTRUCTION;
      return has_primary(cpu, VMCS_BIT(CPU_BASED_PAUSE_EXITING));
    case ISA_INTERCEPT_MWAIT:
      exit->reason = EXIT_REASON_MWAIT_INSTRUCTION;
      return has_primary(cpu, VMCS_BIT(CPU_BASED_MWAIT_EXITING));
    case ISA_INTERCEPT_MONITOR:
      exit->reason = EXIT_REASON_MONITOR_INSTRUCTION;
      return has_primary(cpu, VMCS_BIT(CPU_BASED_MONITOR_EXITING));
    case ISA_INTERCEPT_RDRAND:
      exit->reason = EXIT_REASON_RDRAND;
      return has_secondary(cpu, VMCS_BIT(SECONDARY_EXEC_RDRAND_EXITING));
    case ISA_INTERCEPT_RDSEED:
      exit->reason = EXIT_REASON_RDSEED;
      return has_secondary(cpu, VMCS_BIT(SECONDARY_EXEC_RDSEED_EXITING));
    case ISA_INTERCEPT_INVPCID:
      exit->reason = EXIT_REASON_INVPCID;
      return has_secondary(cpu, VMCS_BIT(SECONDARY_EXEC_ENABLE_INVPCID)) &&
             has_primary(cpu, VMCS_BIT(CPU_BASED_INVLPG_EXITING));
    case ISA_INTERCEPT_MOV_DR:
      exit->reason = EXIT_REASON_DR_ACCESS;
      exit->detail = r->cr;
      exit->qualification = vmcs_qualify_dr(r->cr, r->cr_access == ISA_CR_FROM, r->gpr);
      return has_primary(cpu, VMCS_BIT(CPU_BASED_MOV_DR_EXITING));
    case ISA_INTERCEPT_MOV_CR:
      return decides_cr(cpu, r, exit);
    case ISA_INTERCEPT_IO:
      return decides_io(cpu, r, exit);
    case ISA_INTERCEPT_RDMSR:
    case ISA_INTERCEPT_WRMSR:
      return decides_msr(cpu, r, exit);
    case ISA_INTERCEPT_DESCRIPTOR_TABLE:
      return decides_table(cpu, r, exit);
    case ISA_INTERCEPT_NONE:
    case ISA_INTERCEPT_VMX:
      return false;
  }
  return false;
}

/* Instructions that do not exist for a guest until a control enables them. */
static bool is_disabled(const struct nst_cpu *cpu, enum isa_intercept intercept) {
  if (intercept == ISA_INTERCEPT_RDTSCP)
    return !has_secondary(cpu, VMCS_BIT(SECONDARY_EXEC_ENABLE_RDTSCP));
  return intercept == ISA_INTERCEPT_INVPCID &&
         !has_secondary(cpu, VMCS_BIT(SECONDARY_EXEC_ENABLE_INVPCID));
}

enum isa_step cpu_intercept(void *context, const struct isa_request *request) {
  struct nst_cpu *cpu = context;
  if (!cpu->vmx.nonroot) return ISA_NEXT;
  if (is_disabled(cpu, request->intercept)) return isa_raise(&cpu->isa, X86_EXCEPTION_UD, false, 0);
  struct vmcs_exit exit = {.length = request->length};
  if (!decides_simple(cpu, request, &exit)) return ISA_NEXT;
  return cpu_exit(cpu, &exit);
}

enum isa_step cpu_exception(void *context, const struct isa_fault *fault) {
  struct nst_cpu *cpu = context;
  if (!cpu->vmx.nonroot) return ISA_NEXT;
  uint32_t error = fault->has_error_code ? fault->error_code : 0;
  if (!vmcs_intercepts_exception(&cpu->vmx.vmcs, fault->vector, error)) return ISA_NEXT;
  /* SDM 3C "Information for VM Exits During Event Delivery": a double fault that exits counts as
   * the event itself, not as met in the delivery of what led to it. */
  if (fault->vector == X86_EXCEPTION_DF) cpu->isa.delivery.active = false;
  /* SDM 3C "Information for VM Exits Due to Vectored Events": type 3 hardware, 5 INT1, 6 INT3. */
  uint32_t type = !fault->software ? 3 : fault->vector == X86_EXCEPTION_DB ? 5 : 6;
  struct vmcs_exit exit = {
      .reason = EXIT_REASON_EXCEPTION_NMI,
      .length = fault->software && cpu->isa.uop ? cpu->isa.uop->length : 0,
      .qualification = fault->vector == X86_EXCEPTION_PF || fault->vector == X86_EXCEPTION_DB
                           ? fault->address
                           : 0,
      .interruption_information = (uint32_t)fault->vector | type << 8 |
                                  (fault->has_error_code ? UINT32_C(1) << 11 : 0) |
                                  UINT32_C(1) << 31,
      .interruption_error = error,
      .detail = fault->vector,
  };
  return cpu_exit(cpu, &exit);
}
