/* SPDX-License-Identifier: MIT
 * Exits that the hypervisor handles itself: for its direct guest, or for a nested guest whose own
 * hypervisor did not ask for them. One small function per exit reason. */
#include "src/hypervisor/hv.h"

enum { VECTOR_DB = 1, VECTOR_UD = 6, VECTOR_GP = 13, BLOCKED_BY_STI_OR_MOV_SS = 3 };

void hv_skip(struct hv *hv) {
  hv_run(hv, ROUTINE_SKIP);
  hv_set(hv, FIELD_GUEST_RIP,
         hv_get(hv, FIELD_GUEST_RIP) + hv_get(hv, FIELD_VM_EXIT_INSTRUCTION_LEN));
  uint64_t blocking = hv_get(hv, FIELD_GUEST_INTERRUPTIBILITY_INFO);
  if (blocking & BLOCKED_BY_STI_OR_MOV_SS)
    hv_set(hv, FIELD_GUEST_INTERRUPTIBILITY_INFO, blocking & ~(uint64_t)BLOCKED_BY_STI_OR_MOV_SS);
}

void hv_inject(struct hv *hv, unsigned vector, bool has_error, uint32_t error) {
  enum { HARDWARE_EXCEPTION = 3 << 8, DELIVER_ERROR = 1 << 11, RESUME_FLAG = 1 << 16 };
  uint64_t info = UINT64_C(1) << 31 | HARDWARE_EXCEPTION | vector;
  if (has_error) {
    info |= DELIVER_ERROR;
    hv_set(hv, FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE, error);
  }
  hv_set(hv, FIELD_VM_ENTRY_INTR_INFO_FIELD, info);
  /* The saved image of a fault's RFLAGS has RF; the processor sees to that only for its own. */
  hv_run(hv, ROUTINE_INJECT_FLAGS);
  if (vector != VECTOR_DB)
    hv_set(hv, FIELD_GUEST_RFLAGS, hv_get(hv, FIELD_GUEST_RFLAGS) | RESUME_FLAG);
  hv_run(hv, ROUTINE_INJECT);
}

/* ---- control and debug registers */

/* Changes of these drop cached translations: SDM 3A "Operations that Invalidate TLBs and
 * Paging-Structure Caches". */
#define FLUSHING_CR0 UINT64_C(0x80010000) /* PG, WP */
#define FLUSHING_CR4 UINT64_C(0x3200b0)   /* PSE, PAE, PGE, PCIDE, SMEP, SMAP */

/* Bits that the guest itself may change without an exit stay as the processor has them. */
static void set_control_register(struct hv *hv, unsigned cr, uint64_t value) {
  enum vmcs_field shadow = cr ? FIELD_CR4_READ_SHADOW : FIELD_CR0_READ_SHADOW;
  enum vmcs_field guest = cr ? FIELD_GUEST_CR4 : FIELD_GUEST_CR0;
  uint64_t must = hv_load(hv, HV_AT(own_cr_fixed) + (cr ? 16 : 0));
  /* Nobody here switches paging or protection off: the guest is in 64-bit mode. */
  uint64_t changed = value ^ hv_copy(hv, hv->region, shadow);
  hv_set(hv, shadow, value);
  hv_set(hv, guest, value | must);
  hv_run(hv, cr ? ROUTINE_SET_CR4 : ROUTINE_SET_CR0);
  if (changed & (cr ? FLUSHING_CR4 : FLUSHING_CR0)) hv_translations_dropped(hv);
}

static bool is_valid_cr(struct hv *hv, unsigned cr, uint64_t value) {
  const uint64_t pe_pg = UINT64_C(0x80000001), pae = 1 << 5, vmxe = 1 << 13;
  uint64_t may = hv_load(hv, HV_AT(own_cr_fixed) + (cr ? 24 : 8));
  if (cr == 0) return !(value >> 32) && (value & pe_pg) == pe_pg;
  if ((value & vmxe) && !(hv->flags & HV_GUEST_IS_VMX)) return false;
  if (!(value & vmxe) && (hv->flags & HV_GUEST_VMXON)) return false;
  return !(value & ~may) && (value & pae);
}

static uint64_t operand_gpr(struct hv *hv, unsigned reg) {
  return reg == NST_REG_RSP ? hv_get(hv, FIELD_GUEST_RSP) : hv_gpr(hv, reg);
}

static void set_operand_gpr(struct hv *hv, unsigned reg, uint64_t value) {
  if (reg == NST_REG_RSP)
    hv_set(hv, FIELD_GUEST_RSP, value);
  else
    hv_set_gpr(hv, reg, value);
}

static void write_cr(struct hv *hv, unsigned cr, uint64_t value) {
  const uint64_t keep = UINT64_C(1) << 63;
  if (cr == 3 && hv_is_valid_cr3(hv, value & ~keep)) {
    hv_set_cr3(hv, hv->region, value & ~keep);
    hv_translations_dropped(hv);
  } else if (cr != 3 && is_valid_cr(hv, cr, value)) {
    set_control_register(hv, cr, value);
  } else {
    hv_inject(hv, VECTOR_GP, true, 0);
    return;
  }
  hv_skip(hv);
}

static void handle_cr(struct hv *hv) {
  hv_run(hv, ROUTINE_QUALIFICATION);
  uint64_t qualification = hv_get(hv, FIELD_EXIT_QUALIFICATION);
  unsigned cr = qualification & 15, access = qualification >> 4 & 3;
  unsigned reg = qualification >> 8 & 15;
  uint64_t shadow;
  switch (access) {
    case 0:
      write_cr(hv, cr, operand_gpr(hv, reg));
      return;
    case 1:
      set_operand_gpr(hv, reg, cr == 3 ? hv_get_cr3(hv) : 0);
      hv_skip(hv);
      return;
    case 2: /* CLTS */
      shadow = hv_get(hv, FIELD_CR0_READ_SHADOW);
      write_cr(hv, 0, shadow & ~UINT64_C(8));
      return;
    case 3: /* LMSW: PE can be set, not cleared */
      shadow = hv_get(hv, FIELD_CR0_READ_SHADOW);
      write_cr(hv, 0, (shadow & ~UINT64_C(14)) | (qualification >> 16 & 15) | (shadow & 1));
      return;
  }
}

/* The guest gets the registers themselves and tries again; its next exit takes them back. */
static void lend_debug(struct hv *hv) {
  hv_set(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL,
         hv_copy(hv, hv->region, FIELD_CPU_BASED_VM_EXEC_CONTROL) &
             ~VMCS_BIT(CPU_BASED_MOV_DR_EXITING));
  hv->flags |= HV_DEBUG_LENT;
  hv_run(hv, ROUTINE_DEBUG_REGISTER);
}

void hv_take_debug(struct hv *hv) {
  if (!(hv->flags & HV_DEBUG_LENT)) return;
  hv->flags &= ~(uint64_t)HV_DEBUG_LENT;
  hv_set(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL,
         hv_copy(hv, hv->region, FIELD_CPU_BASED_VM_EXEC_CONTROL) |
             VMCS_BIT(CPU_BASED_MOV_DR_EXITING));
  hv_run(hv, ROUTINE_DEBUG_SYNC);
}

static void handle_dr(struct hv *hv) {
  hv_run(hv, ROUTINE_QUALIFICATION);
  uint64_t qualification = hv_get(hv, FIELD_EXIT_QUALIFICATION);
  unsigned dr = qualification & 7, reg = qualification >> 8 & 15;
  bool from = qualification >> 4 & 1;
  if (hv->profile->lends_debug) {
    lend_debug(hv);
    return;
  }
  hv_run(hv, ROUTINE_DEBUG_REGISTER);
  if (dr == 4 || dr == 5) dr += 2;
  size_t offset = dr == 6 ? HV_AT(dr6) : HV_AT(dr) + 8 * (dr & 3);
  if (from) {
    set_operand_gpr(hv, reg, dr == 7 ? hv_get(hv, FIELD_GUEST_DR7) : hv_load(hv, offset));
  } else {
    uint64_t value = operand_gpr(hv, reg);
    if (dr >= 6 && value >> 32) {
      hv_inject(hv, VECTOR_GP, true, 0);
      return;
    }
    /* Bits that are fixed: SDM 3B "Debug Registers". */
    if (dr == 7)
      hv_set(hv, FIELD_GUEST_DR7, (value & ~UINT64_C(0xd000)) | 0x400);
    else
      hv_store(hv, offset, dr == 6 ? (value & ~UINT64_C(0x1000)) | HV_DR6_RESET : value);
  }
  hv_skip(hv);
}

/* ---- the rest */

/* Whether the guest is at privilege level 0. Some look at SS, where the processor has it, some at
 * CS, which says the same outside real mode. */
static bool is_privileged(struct hv *hv) {
  hv_run(hv, ROUTINE_PRIVILEGE);
  bool by_cs = !hv_knows(hv, hv->region, FIELD_GUEST_SS_AR_BYTES) &&
               hv_knows(hv, hv->region, FIELD_GUEST_CS_SELECTOR);
  return by_cs ? !(hv_get(hv, FIELD_GUEST_CS_SELECTOR) & 3)
               : !(hv_get(hv, FIELD_GUEST_SS_AR_BYTES) >> 5 & 3);
}

static void handle_xsetbv(struct hv *hv) {
  bool privileged = is_privileged(hv);
  uint64_t value = hv_gpr(hv, NST_REG_RDX) << 32 | (hv_gpr(hv, NST_REG_RAX) & UINT32_MAX);
  if (!privileged || (hv_gpr(hv, NST_REG_RCX) & UINT32_MAX) || !(value & 1) ||
      (value & ~UINT64_C(7)) || (value & 6) == 4) {
    hv_inject(hv, VECTOR_GP, true, 0);
    return;
  }
  hv_store(hv, HV_AT(guest_xcr0), value);
  hv->flags &= ~(uint64_t)HV_XCR0_DIFFERS;
  if (value != hv_load(hv, HV_AT(host_xcr0))) hv->flags |= HV_XCR0_DIFFERS;
  hv_skip(hv);
}

static void handle_vmcall(struct hv *hv) {
  hv_run(hv, ROUTINE_HYPERCALL);
  /* EPERM, or no such hypercall */
  hv_set_gpr(hv, NST_REG_RAX, is_privileged(hv) ? (uint64_t)-1000 : (uint64_t)-1);
  hv_skip(hv);
}

static void handle_hlt(struct hv *hv) {
  hv_skip(hv);
  hv_run(hv, ROUTINE_HALT);
  hv_block(hv);
}

static void handle_event(struct hv *hv) {
  hv_run(hv, ROUTINE_EXIT_EVENT);
  uint64_t info = hv_get(hv, FIELD_VM_EXIT_INTR_INFO);
  if (hv_is_page_fault(info) && !hv_has(hv, VMCS_HAS_EPT)) {
    hv_handle_page_fault(hv);
    return;
  }
  bool has_error = info >> 11 & 1;
  uint64_t error = has_error ? hv_get(hv, FIELD_VM_EXIT_INTR_ERROR_CODE) : 0;
  hv_inject(hv, info & 0xff, has_error, (uint32_t)error);
}

void hv_shut_down(struct hv *hv) {
  hv_set(hv, FIELD_GUEST_ACTIVITY_STATE, 1);
  hv->user = true;
}

static void handle_invlpg(struct hv *hv) {
  hv_run(hv, ROUTINE_QUALIFICATION);
  hv_translation_dropped(hv, hv_get(hv, FIELD_EXIT_QUALIFICATION));
  hv_skip(hv);
}

static bool is_vmx_instruction(uint32_t reason) {
  return (reason >= EXIT_REASON_VMCLEAR && reason <= EXIT_REASON_VMON) ||
         reason == EXIT_REASON_INVEPT || reason == EXIT_REASON_INVVPID;
}

void hv_handle(struct hv *hv, uint32_t reason) {
  if (is_vmx_instruction(reason)) {
    if (hv->flags & HV_GUEST_IS_VMX)
      hv_handle_vmx(hv, reason);
    else
      hv_inject(hv, VECTOR_UD, false, 0);
    return;
  }
  switch (reason) {
    case EXIT_REASON_CPUID:
      hv_handle_cpuid(hv);
      break;
    case EXIT_REASON_MSR_READ:
      hv_handle_rdmsr(hv);
      break;
    case EXIT_REASON_MSR_WRITE:
      hv_handle_wrmsr(hv);
      break;
    case EXIT_REASON_IO_INSTRUCTION:
      hv_handle_io(hv);
      break;
    case EXIT_REASON_CR_ACCESS:
      handle_cr(hv);
      break;
    case EXIT_REASON_DR_ACCESS:
      handle_dr(hv);
      break;
    case EXIT_REASON_EPT_VIOLATION:
      hv_handle_ept_violation(hv);
      break;
    case EXIT_REASON_EPT_MISCONFIG:
      hv_handle_ept_misconfig(hv);
      break;
    case EXIT_REASON_VMCALL:
      handle_vmcall(hv);
      break;
    case EXIT_REASON_XSETBV:
      handle_xsetbv(hv);
      break;
    case EXIT_REASON_HLT:
      handle_hlt(hv);
      break;
    case EXIT_REASON_INVLPG:
      handle_invlpg(hv);
      break;
    case EXIT_REASON_EXCEPTION_NMI:
      handle_event(hv);
      break;
    case EXIT_REASON_TRIPLE_FAULT:
      hv_shut_down(hv);
      break;
    case EXIT_REASON_INTERRUPT_WINDOW:
      hv_close_window(hv);
      break;
    case EXIT_REASON_EXTERNAL_INTERRUPT: /* its interrupt handler has run */
      break;
    case EXIT_REASON_GDTR_IDTR:
    case EXIT_REASON_LDTR_TR:
    case EXIT_REASON_RDRAND:
    case EXIT_REASON_RDSEED:
      hv_inject(hv, VECTOR_UD, false, 0);
      break;
    case EXIT_REASON_RDPMC: /* no performance counter is offered */
      hv_inject(hv, VECTOR_GP, true, 0);
      break;
    default: /* WBINVD, INVD, PAUSE, RDTSC and others: nothing to emulate */
      hv_skip(hv);
      break;
  }
}
