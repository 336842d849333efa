/* SPDX-License-Identifier: MIT
 * The VMX instructions in root operation, and their exits in non-root operation. SDM 3C "VMX
 * Instruction Reference". */
#include "src/machine/machine.h"

/* ---- outcomes, SDM 3C "Conventions" */

static enum isa_step set_outcome(struct nst_cpu *cpu, uint64_t flag) {
  const uint64_t status =
      X86_RFLAGS_CF | X86_RFLAGS_PF | X86_RFLAGS_AF | X86_RFLAGS_ZF | X86_RFLAGS_SF | X86_RFLAGS_OF;
  cpu->isa.state.rflags = (cpu->isa.state.rflags & ~status) | flag;
  return ISA_NEXT;
}

static enum isa_step succeed(struct nst_cpu *cpu) {
  return set_outcome(cpu, 0);
}
static enum isa_step fail_invalid(struct nst_cpu *cpu) {
  return set_outcome(cpu, X86_RFLAGS_CF);
}

static enum isa_step fail(struct nst_cpu *cpu, enum vmcs_error number) {
  if (cpu->vmx.current == VMCS_NONE) return fail_invalid(cpu);
  vmcs_set(&cpu->vmx.vmcs, FIELD_VM_INSTRUCTION_ERROR, number);
  return set_outcome(cpu, X86_RFLAGS_ZF);
}

/* ---- operands */

static enum isa_step load_operand(struct nst_cpu *cpu, const struct isa_request *r, uint64_t offset,
                                  uint64_t *value) {
  return cpu_load(cpu, r->memory.linear + offset, 8, value);
}

static bool is_region(const struct nst_cpu *cpu, uint64_t physical) {
  return !(physical & 0xfff) && !(physical >> cpu->machine->capability.physical_bits) &&
         memory_has(cpu->machine, physical, VMCS_REGION_SIZE);
}

static struct vmcs view_of(const struct nst_cpu *cpu, uint64_t physical) {
  return (struct vmcs){memory_page(cpu->machine, physical), &cpu->machine->layout};
}

/* ---- VMXON, VMXOFF */

static bool may_enter_vmx(const struct nst_cpu *cpu) {
  const struct x86_state *state = &cpu->isa.state;
  const struct vmcs_capability *cap = &cpu->machine->capability;
  bool locked_on = (cpu->feature_control & 5) == 5;
  return locked_on && (state->cr0 & cap->cr0_fixed0) == cap->cr0_fixed0 &&
         !(state->cr0 & ~cap->cr0_fixed1) && (state->cr4 & cap->cr4_fixed0) == cap->cr4_fixed0 &&
         !(state->cr4 & ~cap->cr4_fixed1);
}

static enum isa_step exec_vmxon(struct nst_cpu *cpu, const struct isa_request *r) {
  if (cpu->vmx.on) return fail(cpu, VMXERR_VMXON_IN_VMX_ROOT_OPERATION);
  if (!may_enter_vmx(cpu)) return isa_raise(&cpu->isa, X86_EXCEPTION_GP, true, 0);
  uint64_t pointer;
  enum isa_step step = load_operand(cpu, r, 0, &pointer);
  if (step != ISA_NEXT) return step;
  uint32_t revision;
  if (!is_region(cpu, pointer) || !memory_read32(cpu->machine, pointer, &revision) ||
      revision != cpu->machine->layout.revision)
    return fail_invalid(cpu);
  cpu->vmx.on = true;
  cpu->vmx.vmxon_pointer = pointer;
  cpu->vmx.current = VMCS_NONE;
  return succeed(cpu);
}

static enum isa_step exec_vmxoff(struct nst_cpu *cpu, const struct isa_request *r) {
  (void)r;
  cpu->vmx.on = false;
  cpu->vmx.current = VMCS_NONE;
  return succeed(cpu);
}

/* ---- VMCS maintenance */

static enum isa_step exec_vmptrld(struct nst_cpu *cpu, const struct isa_request *r) {
  uint64_t pointer;
  enum isa_step step = load_operand(cpu, r, 0, &pointer);
  if (step != ISA_NEXT) return step;
  if (!is_region(cpu, pointer)) return fail(cpu, VMXERR_VMPTRLD_INVALID_ADDRESS);
  if (pointer == cpu->vmx.vmxon_pointer) return fail(cpu, VMXERR_VMPTRLD_VMXON_POINTER);
  struct vmcs vmcs = view_of(cpu, pointer);
  uint32_t revision = vmcs_header(&vmcs)->revision;
  bool shadow_known =
      vmcs_can(&cpu->machine->capability, WORD_SECONDARY, VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS));
  if ((revision & ~VMCS_SHADOW_INDICATOR) != cpu->machine->layout.revision ||
      ((revision & VMCS_SHADOW_INDICATOR) && !shadow_known))
    return fail(cpu, VMXERR_VMPTRLD_INCORRECT_VMCS_REVISION_ID);
  memory_flag(cpu->machine, pointer, PAGE_VMCS);
  cpu->machine->page_flag[pointer >> PAGE_BITS] |= PAGE_ACTIVE;
  cpu->vmx.current = pointer;
  cpu->vmx.vmcs = vmcs;
  return succeed(cpu);
}

static enum isa_step exec_vmclear(struct nst_cpu *cpu, const struct isa_request *r) {
  uint64_t pointer;
  enum isa_step step = load_operand(cpu, r, 0, &pointer);
  if (step != ISA_NEXT) return step;
  if (!is_region(cpu, pointer)) return fail(cpu, VMXERR_VMCLEAR_INVALID_ADDRESS);
  if (pointer == cpu->vmx.vmxon_pointer) return fail(cpu, VMXERR_VMCLEAR_VMXON_POINTER);
  struct vmcs vmcs = view_of(cpu, pointer);
  vmcs_header(&vmcs)->launch_state = VMCS_CLEAR;
  vmcs_header(&vmcs)->checked = 0;
  bank_drop(cpu->machine, pointer);
  memory_unflag(cpu->machine, pointer, PAGE_ACTIVE);
  if (cpu->vmx.current == pointer) cpu->vmx.current = VMCS_NONE;
  return succeed(cpu);
}

static enum isa_step exec_vmptrst(struct nst_cpu *cpu, const struct isa_request *r) {
  enum isa_step step = cpu_store(cpu, r->memory.linear, 8, cpu->vmx.current);
  return step == ISA_NEXT ? succeed(cpu) : step;
}

/* ---- VMREAD, VMWRITE: in root operation on the current VMCS, else on the shadow VMCS */

/* The VMCS accessed, or NULL for VMfailInvalid. */
static const struct vmcs *accessed(const struct nst_cpu *cpu) {
  if (cpu->vmx.nonroot) return cpu->vmx.shadow.region ? &cpu->vmx.shadow : 0;
  return cpu->vmx.current == VMCS_NONE ? 0 : &cpu->vmx.vmcs;
}

static enum isa_step fail_access(struct nst_cpu *cpu, const struct vmcs *vmcs,
                                 enum vmcs_error number) {
  vmcs_set(vmcs, FIELD_VM_INSTRUCTION_ERROR, number);
  return set_outcome(cpu, X86_RFLAGS_ZF);
}

static enum vmcs_field supported_field(const struct nst_cpu *cpu, uint64_t encoding) {
  if (encoding >> 32) return FIELD_NONE;
  enum vmcs_field field = vmcs_field_of((uint32_t)encoding);
  if (field == FIELD_NONE) return FIELD_NONE;
  const struct vmcs_field_info *info = &vmcs_field_info[field];
  if (vmcs_encoding_is_high((uint32_t)encoding) && info->width != VMCS_WIDTH_64) return FIELD_NONE;
  return cpu->vmx.readable[field] ? field : FIELD_NONE;
}

static enum isa_step exec_vmread(struct nst_cpu *cpu, const struct isa_request *r) {
  const struct vmcs *vmcs = accessed(cpu);
  if (!vmcs) return fail_invalid(cpu);
  uint64_t encoding = cpu->isa.state.gpr[r->reg2];
  enum vmcs_field field = supported_field(cpu, encoding);
  if (field == FIELD_NONE) return fail_access(cpu, vmcs, VMXERR_UNSUPPORTED_VMCS_COMPONENT);
  uint64_t value = encoding & 1 ? vmcs_get(vmcs, field) >> 32 : vmcs_get(vmcs, field);
  if (!r->memory_form) {
    cpu->isa.state.gpr[r->reg1] = value;
    return succeed(cpu);
  }
  enum isa_step step = cpu_store(cpu, r->memory.linear, 8, value);
  return step == ISA_NEXT ? succeed(cpu) : step;
}

static enum isa_step exec_vmwrite(struct nst_cpu *cpu, const struct isa_request *r) {
  const struct vmcs *vmcs = accessed(cpu);
  if (!vmcs) return fail_invalid(cpu);
  uint64_t value;
  if (r->memory_form) {
    enum isa_step step = cpu_load(cpu, r->memory.linear, 8, &value);
    if (step != ISA_NEXT) return step;
  } else {
    value = cpu->isa.state.gpr[r->reg1];
  }
  uint64_t encoding = cpu->isa.state.gpr[r->reg2];
  enum vmcs_field field = supported_field(cpu, encoding);
  if (field == FIELD_NONE) return fail_access(cpu, vmcs, VMXERR_UNSUPPORTED_VMCS_COMPONENT);
  if (!cpu->vmx.writable[field])
    return fail_access(cpu, vmcs, VMXERR_VMWRITE_READ_ONLY_VMCS_COMPONENT);
  vmcs_write_encoding(vmcs, (uint32_t)encoding, value);
  vmcs_header(vmcs)->checked &= ~cpu->vmx.stale[field];
  return succeed(cpu);
}

/* ---- invalidation */

/* What VM entry accepts: uncacheable or write-back, four levels, reserved bits clear. */
static bool is_valid_eptp(const struct nst_cpu *cpu, uint64_t eptp) {
  uint64_t cap = cpu->machine->capability.ept_vpid, type = eptp & 7;
  bool type_exists = (type == 0 && (cap >> 8 & 1)) || (type == 6 && (cap >> 14 & 1));
  bool flags_exist = !(eptp >> 6 & 1) || (cap >> 21 & 1);
  return type_exists && flags_exist && (eptp >> 3 & 7) == 3 && !(eptp & 0xf80) &&
         !(eptp >> cpu->machine->capability.physical_bits);
}

static enum isa_step exec_invept(struct nst_cpu *cpu, const struct isa_request *r) {
  uint64_t cap = cpu->machine->capability.ept_vpid;
  uint64_t type = cpu->isa.state.gpr[r->reg2], eptp;
  if (type < 1 || type > 2 || !(cap >> (24 + type) & 1))
    return fail(cpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
  enum isa_step step = load_operand(cpu, r, 0, &eptp);
  if (step != ISA_NEXT) return step;
  if (type == 1 && !is_valid_eptp(cpu, eptp))
    return fail(cpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
  if (type == 1)
    tlb_flush_ep4ta(&cpu->tlb, eptp & ~UINT64_C(0xfff));
  else
    tlb_flush_all_ept(&cpu->tlb);
  cpu->isa.code_valid = false;
  return succeed(cpu);
}

static enum isa_step exec_invvpid(struct nst_cpu *cpu, const struct isa_request *r) {
  uint64_t cap = cpu->machine->capability.ept_vpid;
  uint64_t type = cpu->isa.state.gpr[r->reg2], vpid = 0, linear = 0;
  if (type > 3 || !(cap >> (40 + type) & 1))
    return fail(cpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
  enum isa_step step = load_operand(cpu, r, 0, &vpid);
  if (step == ISA_NEXT) step = load_operand(cpu, r, 8, &linear);
  if (step != ISA_NEXT) return step;
  unsigned shift = 64 - cpu->machine->capability.linear_bits;
  bool canonical = (uint64_t)((int64_t)(linear << shift) >> shift) == linear;
  if (vpid >> 16 || (type != 2 && !vpid) || (type == 0 && !canonical))
    return fail(cpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
  if (type == 0)
    tlb_flush_address(&cpu->tlb, (uint16_t)vpid, linear);
  else if (type == 2)
    tlb_flush_all_vpids(&cpu->tlb);
  else
    tlb_flush_vpid(&cpu->tlb, (uint16_t)vpid);
  cpu->isa.code_valid = false;
  return succeed(cpu);
}

/* ---- VMLAUNCH, VMRESUME, VMCALL */

static enum isa_step exec_enter(struct nst_cpu *cpu, const struct isa_request *r) {
  bool launch = r->vmx == ISA_VMLAUNCH;
  const struct vmcs *vmcs = &cpu->vmx.vmcs;
  if (cpu->vmx.current == VMCS_NONE || (vmcs_header(vmcs)->revision & VMCS_SHADOW_INDICATOR))
    return fail_invalid(cpu);
  if (cpu->isa.state.interruptibility & 2) return fail(cpu, VMXERR_ENTRY_EVENTS_BLOCKED_BY_MOV_SS);
  bool launched = vmcs_header(vmcs)->launch_state == VMCS_LAUNCHED;
  if (launch && launched) return fail(cpu, VMXERR_VMLAUNCH_NONCLEAR_VMCS);
  if (!launch && !launched) return fail(cpu, VMXERR_VMRESUME_NONLAUNCHED_VMCS);
  enum isa_step step = cpu_enter(cpu, launch);
  /* ISA_NEXT: refused with VMfailValid; the number is in the VMCS already. */
  return step == ISA_NEXT ? set_outcome(cpu, X86_RFLAGS_ZF) : step;
}

static enum isa_step exec_vmcall(struct nst_cpu *cpu, const struct isa_request *r) {
  (void)r;
  return fail(cpu, VMXERR_VMCALL_IN_VMX_ROOT_OPERATION);
}

static enum isa_step exec_vmfunc(struct nst_cpu *cpu, const struct isa_request *r) {
  (void)r;
  return isa_raise(&cpu->isa, X86_EXCEPTION_UD, false, 0);
}

/* ---- one row per operation: exit reason in non-root operation, and the effect in root */

static const struct {
  uint16_t reason;
  bool has_information; /* instruction information and a displacement are recorded */
  enum isa_step (*execute)(struct nst_cpu *cpu, const struct isa_request *r);
} operation[] = {
    [ISA_VMCALL] = {EXIT_REASON_VMCALL, false, exec_vmcall},
    [ISA_VMCLEAR] = {EXIT_REASON_VMCLEAR, true, exec_vmclear},
    [ISA_VMLAUNCH] = {EXIT_REASON_VMLAUNCH, false, exec_enter},
    [ISA_VMPTRLD] = {EXIT_REASON_VMPTRLD, true, exec_vmptrld},
    [ISA_VMPTRST] = {EXIT_REASON_VMPTRST, true, exec_vmptrst},
    [ISA_VMREAD] = {EXIT_REASON_VMREAD, true, exec_vmread},
    [ISA_VMRESUME] = {EXIT_REASON_VMRESUME, false, exec_enter},
    [ISA_VMWRITE] = {EXIT_REASON_VMWRITE, true, exec_vmwrite},
    [ISA_VMXOFF] = {EXIT_REASON_VMOFF, false, exec_vmxoff},
    [ISA_VMXON] = {EXIT_REASON_VMON, true, exec_vmxon},
    [ISA_INVEPT] = {EXIT_REASON_INVEPT, true, exec_invept},
    [ISA_INVVPID] = {EXIT_REASON_INVVPID, true, exec_invvpid},
    [ISA_VMFUNC] = {0, false, exec_vmfunc},
};

/* The pointer that an instruction names, for observers: a look without side effects. */
static void observe_operand(struct nst_cpu *cpu, const struct isa_request *r) {
  bool names_vmcs = r->vmx == ISA_VMPTRLD || r->vmx == ISA_VMCLEAR || r->vmx == ISA_VMXON;
  if (!cpu->machine->observer_count || !names_vmcs) return;
  if (nst_mem_read_linear(cpu, r->memory.linear, &cpu->observed_operand, 8) != NST_OK)
    cpu->observed_operand = 0;
}

static enum isa_step exit_on(struct nst_cpu *cpu, const struct isa_request *r) {
  if (cpu->machine->vmx_observers) observe_vmx_exit(cpu, r, operation[r->vmx].reason);
  struct vmcs_exit exit = {.reason = operation[r->vmx].reason, .length = r->length};
  if (operation[r->vmx].has_information) {
    struct vmcs_operand operand = {
        .memory = r->memory_form,
        .reg1 = r->reg1,
        .reg2 = r->reg2,
        .segment = r->memory.segment,
        .base = r->memory.base,
        .index = r->memory.index,
        .scale = r->memory.scale,
        .address_size = r->memory.address_size,
    };
    exit.instruction_information = vmcs_instruction_information(&operand);
    if (r->memory_form) exit.qualification = r->memory.displacement;
    bool access = r->vmx == ISA_VMREAD || r->vmx == ISA_VMWRITE;
    exit.detail = access ? cpu->isa.state.gpr[r->reg2] : r->memory.linear;
    observe_operand(cpu, r);
  }
  return cpu_exit(cpu, &exit);
}

enum isa_step cpu_vmx(void *context, const struct isa_request *r) {
  struct nst_cpu *cpu = context;
  const struct x86_state *state = &cpu->isa.state;
  bool is_vmxon = r->vmx == ISA_VMXON;
  if (is_vmxon ? !(state->cr4 & X86_CR4_VMXE) : !cpu->vmx.on)
    return isa_raise(&cpu->isa, X86_EXCEPTION_UD, false, 0);
  if (cpu->vmx.nonroot && r->vmx != ISA_VMFUNC) {
    bool access = r->vmx == ISA_VMREAD || r->vmx == ISA_VMWRITE;
    if (!access || vmcs_intercepts_vmcs_access(&cpu->vmx.vmcs, &cpu->vmx.bitmaps,
                                               state->gpr[r->reg2], r->vmx == ISA_VMWRITE))
      return exit_on(cpu, r);
  }
  if (state->segment[X86_SS].access_rights >> 5 & 3)
    return isa_raise(&cpu->isa, X86_EXCEPTION_GP, true, 0);
  if (cpu->machine->vmx_observers)
    return observe_vmx(cpu, r, operation[r->vmx].reason, operation[r->vmx].execute);
  return operation[r->vmx].execute(cpu, r);
}
