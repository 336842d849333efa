/* SPDX-License-Identifier: MIT
 * The VMX instructions of a guest hypervisor, emulated. SDM 3C "VMX Instruction Reference"; the
 * same rules as the processor's own, applied to a VMCS that is a copy in this hypervisor's memory.
 */
#include "src/hypervisor/hv.h"

enum { VECTOR_UD = 6, VECTOR_GP = 13 };

/* ---- outcome */

void hv_vmx_done(struct hv *hv, enum hv_outcome outcome, uint32_t error) {
  const uint64_t status = 0x8d5, carry = 1, zero = 1 << 6;
  if (outcome == HV_FAIL_VALID && hv_load(hv, HV_AT(current)) == HV_NO_VMCS)
    outcome = HV_FAIL_INVALID;
  if (outcome == HV_FAIL_VALID) {
    hv_set_vmcs12(hv, FIELD_VM_INSTRUCTION_ERROR, error);
    if (hv->flags & HV_GRANTS_VMCS) hv_region_push_field(hv, FIELD_VM_INSTRUCTION_ERROR);
  }
  hv_run(hv, ROUTINE_VMX_FLAGS);
  uint64_t flags = hv_get(hv, FIELD_GUEST_RFLAGS) & ~status;
  if (outcome == HV_FAIL_INVALID) flags |= carry;
  if (outcome == HV_FAIL_VALID) flags |= zero;
  hv_set(hv, FIELD_GUEST_RFLAGS, flags);
  hv_run(hv, ROUTINE_VMX_DONE);
  hv_skip(hv);
}

static void fail(struct hv *hv, uint32_t error) {
  hv_vmx_done(hv, HV_FAIL_VALID, error);
}
static void succeed(struct hv *hv) {
  hv_vmx_done(hv, HV_SUCCEED, 0);
}

/* ---- operands, from the VM-exit instruction information */

static uint64_t register_value(struct hv *hv, unsigned reg) {
  return reg == NST_REG_RSP ? hv_get(hv, FIELD_GUEST_RSP) : hv_gpr(hv, reg);
}

static uint64_t operand_address(struct hv *hv, uint64_t info) {
  unsigned segment = info >> 15 & 7;
  uint64_t address = hv_get(hv, FIELD_EXIT_QUALIFICATION);
  if (!(info >> 22 & 1)) address += register_value(hv, info >> 18 & 15) << (info & 3);
  if (!(info >> 27 & 1)) address += register_value(hv, info >> 23 & 15);
  if ((info >> 7 & 7) == 1) address &= UINT32_MAX;
  if (segment == 4) address += hv_get(hv, FIELD_GUEST_FS_BASE);
  if (segment == 5) address += hv_get(hv, FIELD_GUEST_GS_BASE);
  return address;
}

/* A word of the memory operand; false: a page fault was injected. */
static bool load_operand(struct hv *hv, uint64_t offset, uint64_t *value) {
  enum { VECTOR_PF = 14 };
  hv_run(hv, ROUTINE_VMX_OPERAND);
  uint64_t address = operand_address(hv, hv_get(hv, FIELD_VMX_INSTRUCTION_INFO)) + offset;
  if (hv_read_guest(hv, address, 8, value)) return true;
  hv_inject(hv, VECTOR_PF, true, 0);
  return false;
}

static bool store_operand(struct hv *hv, uint64_t value) {
  enum { VECTOR_PF = 14, WRITE = 2 };
  hv_run(hv, ROUTINE_VMX_OPERAND);
  uint64_t address = operand_address(hv, hv_get(hv, FIELD_VMX_INSTRUCTION_INFO));
  if (hv_write_guest(hv, address, 8, value)) return true;
  hv_inject(hv, VECTOR_PF, true, WRITE);
  return false;
}

static bool is_memory_form(uint64_t info) {
  return !(info >> 10 & 1);
}

/* ---- the guest hypervisor's current VMCS */

static bool is_region(struct hv *hv, uint64_t pointer) {
  return !(pointer & 0xfff) && hv_guest_memory(hv, pointer) != UINT64_MAX;
}

/* The shadow VMCS serves the guest hypervisor only while it has a current VMCS. */
static void use_shadow(struct hv *hv, bool on) {
  if (!hv_shadows(hv)) return;
  uint64_t control = hv_copy(hv, HV_REGION_OWN, FIELD_SECONDARY_VM_EXEC_CONTROL);
  const uint64_t bit = VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS);
  hv_set(hv, FIELD_SECONDARY_VM_EXEC_CONTROL, on ? control | bit : control & ~bit);
  hv_set(hv, FIELD_VMCS_LINK_POINTER, on ? hv_region_address(HV_REGION_SHADOW) : UINT64_MAX);
  hv_run(hv, ROUTINE_VMX_CURRENT);
  if (on) hv->flags |= HV_PUSH_DUE;
}

void hv_release_current(struct hv *hv) {
  uint64_t pointer = hv_load(hv, HV_AT(current));
  if (pointer == HV_NO_VMCS) return;
  hv_nested_pull(hv);
  hv_rare_fetch(hv);
  hv_region_write_back(hv, hv_guest_memory(hv, pointer));
  hv_store(hv, HV_AT(current), HV_NO_VMCS);
  hv->flags &= ~(uint64_t)HV_PUSH_DUE;
}

/* ---- instructions */

static void handle_vmxon(struct hv *hv) {
  uint64_t pointer;
  if (hv->flags & HV_GUEST_VMXON) {
    fail(hv, 15);
    return;
  }
  if (!load_operand(hv, 0, &pointer)) return;
  bool valid =
      is_region(hv, pointer) && nst_load(hv->cpu, hv_guest_memory(hv, pointer), 4) == HV_REVISION;
  if (!valid) {
    hv_vmx_done(hv, HV_FAIL_INVALID, 0);
    return;
  }
  hv->flags |= HV_GUEST_VMXON;
  hv_store(hv, HV_AT(guest_vmxon), pointer);
  hv_store(hv, HV_AT(current), HV_NO_VMCS);
  succeed(hv);
}

static void handle_vmxoff(struct hv *hv) {
  hv_release_current(hv);
  use_shadow(hv, false);
  hv->flags &= ~(uint64_t)HV_GUEST_VMXON;
  succeed(hv);
}

static void handle_vmptrld(struct hv *hv) {
  uint64_t pointer;
  if (!load_operand(hv, 0, &pointer)) return;
  if (!is_region(hv, pointer)) {
    fail(hv, 9);
    return;
  }
  if (pointer == hv_load(hv, HV_AT(guest_vmxon))) {
    fail(hv, 10);
    return;
  }
  uint64_t region = hv_guest_memory(hv, pointer);
  uint64_t revision = nst_load(hv->cpu, region, 4);
  uint64_t shadow = hv_has(hv, VMCS_HAS_SHADOW_VMCS) ? UINT64_C(0x80000000) : 0;
  if ((revision & ~shadow) != HV_REVISION) {
    fail(hv, 11);
    return;
  }
  if (pointer != hv_load(hv, HV_AT(current))) {
    hv_release_current(hv);
    hv_region_read(hv, region);
    hv_store(hv, HV_AT(current), pointer);
    hv_store(hv, HV_AT(current_revision), revision);
    hv->flags = (hv->flags & ~(uint64_t)HV_RARE_STALE) | HV_RARE_DIRTY;
    use_shadow(hv, true);
  }
  succeed(hv);
}

static void handle_vmclear(struct hv *hv) {
  uint64_t pointer;
  if (!load_operand(hv, 0, &pointer)) return;
  if (!is_region(hv, pointer)) {
    fail(hv, 2);
    return;
  }
  if (pointer == hv_load(hv, HV_AT(guest_vmxon))) {
    fail(hv, 3);
    return;
  }
  if (pointer == hv_load(hv, HV_AT(current))) {
    hv_release_current(hv);
    use_shadow(hv, false);
  }
  nst_store(hv->cpu, hv_guest_memory(hv, pointer) + 8, 4, 0);
  succeed(hv);
}

static void handle_vmptrst(struct hv *hv) {
  if (store_operand(hv, hv_load(hv, HV_AT(current)))) succeed(hv);
}

/* The field that an encoding names on the processor offered to the guest; FIELD_NONE if none. */
static enum vmcs_field field_of(const struct hv *hv, uint64_t encoding) {
  if (encoding >> 32) return FIELD_NONE;
  enum vmcs_field field = vmcs_field_of((uint32_t)encoding);
  if (field == FIELD_NONE || !hv_field_exists(hv, field)) return FIELD_NONE;
  bool high = vmcs_encoding_is_high((uint32_t)encoding);
  return high && vmcs_field_info[field].width != VMCS_WIDTH_64 ? FIELD_NONE : field;
}

static uint64_t merge_half(uint64_t old, uint64_t value, bool high, uint64_t mask) {
  return high ? (old & UINT32_MAX) | value << 32 : value & mask;
}

static void handle_vmread(struct hv *hv) {
  uint64_t info = hv_get(hv, FIELD_VMX_INSTRUCTION_INFO);
  if (hv_load(hv, HV_AT(current)) == HV_NO_VMCS) {
    hv_vmx_done(hv, HV_FAIL_INVALID, 0);
    return;
  }
  uint64_t encoding = register_value(hv, info >> 28 & 15);
  enum vmcs_field field = field_of(hv, encoding);
  if (field == FIELD_NONE) {
    fail(hv, 12);
    return;
  }
  if (hv_field_group[field] & HV_RARE) hv_rare_fetch(hv);
  if (hv->flags & HV_GRANTS_VMCS) hv_region_pull_field(hv, field);
  uint64_t value = hv_vmcs12(hv, field) >> (encoding & 1 ? 32 : 0);
  unsigned reg = info >> 3 & 15;
  if (is_memory_form(info)) {
    if (!store_operand(hv, value)) return;
  } else if (reg == NST_REG_RSP) {
    hv_set(hv, FIELD_GUEST_RSP, value);
  } else {
    hv_set_gpr(hv, reg, value);
  }
  succeed(hv);
}

static void handle_vmwrite(struct hv *hv) {
  uint64_t info = hv_get(hv, FIELD_VMX_INSTRUCTION_INFO), value;
  if (hv_load(hv, HV_AT(current)) == HV_NO_VMCS) {
    hv_vmx_done(hv, HV_FAIL_INVALID, 0);
    return;
  }
  if (!is_memory_form(info))
    value = register_value(hv, info >> 3 & 15);
  else if (!load_operand(hv, 0, &value))
    return;
  uint64_t encoding = register_value(hv, info >> 28 & 15);
  enum vmcs_field field = field_of(hv, encoding);
  if (field == FIELD_NONE) {
    fail(hv, 12);
    return;
  }
  bool any_field = hv_load(hv, HV_AT(capability) + 8 * 5) >> 29 & 1;
  if (vmcs_field_info[field].kind == VMCS_KIND_INFO && !any_field) {
    fail(hv, 13);
    return;
  }
  if (!(hv_field_group[field] & HV_SHADOW_RW)) {
    hv_rare_fetch(hv);
    hv->flags |= HV_RARE_DIRTY;
  }
  if (hv->flags & HV_GRANTS_VMCS) hv_region_pull_field(hv, field);
  hv_set_vmcs12(hv, field,
                merge_half(hv_vmcs12(hv, field), value, encoding & 1, vmcs_field_mask(field)));
  hv_note_change(hv, field);
  hv_check_again(hv, field);
  if (hv->flags & HV_GRANTS_VMCS) hv_region_push_field(hv, field);
  succeed(hv);
}

static void handle_entry(struct hv *hv, bool launch) {
  enum { MOV_SS_BLOCKING = 2 };
  hv_run(hv, ROUTINE_VMX_ENTRY);
  bool none = hv_load(hv, HV_AT(current)) == HV_NO_VMCS;
  if (none || hv_load(hv, HV_AT(current_revision)) != HV_REVISION) {
    hv_vmx_done(hv, HV_FAIL_INVALID, 0);
    return;
  }
  if (hv_get(hv, FIELD_GUEST_INTERRUPTIBILITY_INFO) & MOV_SS_BLOCKING) {
    fail(hv, 26);
    return;
  }
  bool launched = hv_load(hv, HV_AT(launch_state));
  if (launch == launched) {
    fail(hv, launch ? 4 : 5);
    return;
  }
  if (hv->flags & HV_GRANTS_VMCS)
    hv_region_pull(hv);
  else
    hv_nested_pull(hv);
  if (!hv_check_entry(hv)) return;
  if (hv_wants_interrupt(hv))
    hv_exit_at_once(hv);
  else
    hv_nested_enter(hv);
}

/* What VM entry accepts: uncacheable or write-back, four levels, reserved bits clear. */
static bool is_valid_eptp(uint64_t eptp) {
  uint64_t type = eptp & 7, reserved = UINT64_C(0xf80) | UINT64_C(0xfff) << 52;
  return (type == 0 || type == 6) && (eptp >> 3 & 7) == 3 && !(eptp & reserved);
}

static void handle_invept(struct hv *hv) {
  uint64_t type = register_value(hv, hv_get(hv, FIELD_VMX_INSTRUCTION_INFO) >> 28 & 15), eptp;
  if (!hv_has(hv, VMCS_HAS_EPT)) { /* not offered */
    hv_inject(hv, VECTOR_UD, false, 0);
    return;
  }
  if (type < 1 || type > 2) {
    fail(hv, 28);
    return;
  }
  if (!load_operand(hv, 0, &eptp)) return;
  if (type == 1 && !is_valid_eptp(eptp)) {
    fail(hv, 28);
    return;
  }
  hv_merged_invalidate(hv, type == 1 ? eptp : 0);
  succeed(hv);
}

static void handle_invvpid(struct hv *hv) {
  uint64_t type = register_value(hv, hv_get(hv, FIELD_VMX_INSTRUCTION_INFO) >> 28 & 15);
  uint64_t vpid, linear;
  if (type > 3) {
    fail(hv, 28);
    return;
  }
  if (!load_operand(hv, 0, &vpid) || !load_operand(hv, 8, &linear)) return;
  bool canonical = (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
  if (vpid >> 16 || (type != 2 && !vpid) || (type == 0 && !canonical)) {
    fail(hv, 28);
    return;
  }
  nst_invvpid(hv->cpu, type == 0 ? 0 : 1, hv_vpid(HV_REGION_MERGED), linear);
  hv_translations_dropped(hv);
  succeed(hv);
}

void hv_handle_vmx(struct hv *hv, uint32_t reason) {
  bool entry = reason == EXIT_REASON_VMLAUNCH || reason == EXIT_REASON_VMRESUME;
  const uint64_t vmxe = 1 << 13; /* never the guest's own: its read shadow is what it wrote */
  bool exists = reason == EXIT_REASON_VMON
                    ? hv_copy(hv, HV_REGION_OWN, FIELD_CR4_READ_SHADOW) & vmxe
                    : hv->flags & HV_GUEST_VMXON;
  if (!exists) {
    hv_inject(hv, VECTOR_UD, false, 0);
    return;
  }
  if (entry) {
    handle_entry(hv, reason == EXIT_REASON_VMLAUNCH);
    return;
  }
  hv_run(hv, ROUTINE_VMX_INSTRUCTION);
  if (hv_get(hv, FIELD_GUEST_SS_AR_BYTES) >> 5 & 3) {
    hv_inject(hv, VECTOR_GP, true, 0);
    return;
  }
  static void (*const handlers[])(struct hv *) = {
      [EXIT_REASON_VMCLEAR] = handle_vmclear, [EXIT_REASON_VMPTRLD] = handle_vmptrld,
      [EXIT_REASON_VMPTRST] = handle_vmptrst, [EXIT_REASON_VMREAD] = handle_vmread,
      [EXIT_REASON_VMWRITE] = handle_vmwrite, [EXIT_REASON_VMOFF] = handle_vmxoff,
      [EXIT_REASON_VMON] = handle_vmxon,      [EXIT_REASON_INVEPT] = handle_invept,
      [EXIT_REASON_INVVPID] = handle_invvpid};
  handlers[reason](hv);
}

/* ---- shadowing offered to the guest hypervisor: its guest's accesses, served from its memory */

bool hv_shadowed_access(struct hv *hv, uint32_t reason) {
  bool write = reason == EXIT_REASON_VMWRITE;
  uint64_t secondary = hv_vmcs12(hv, FIELD_SECONDARY_VM_EXEC_CONTROL);
  if (!(secondary & VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS))) return false;
  hv_run(hv, ROUTINE_VMX_INSTRUCTION);
  uint64_t info = hv_get(hv, FIELD_VMX_INSTRUCTION_INFO);
  uint64_t encoding = register_value(hv, info >> 28 & 15);
  if (encoding >> 15 || is_memory_form(info)) return false;
  uint64_t page = hv_vmcs12(hv, write ? FIELD_VMWRITE_BITMAP : FIELD_VMREAD_BITMAP);
  uint64_t byte = hv_guest_memory(hv, page + encoding / 8);
  if (byte == UINT64_MAX || (nst_load(hv->cpu, byte, 1) >> encoding % 8 & 1)) return false;
  uint64_t shadow = hv_guest_memory(hv, hv_vmcs12(hv, FIELD_VMCS_LINK_POINTER));
  enum vmcs_field field = field_of(hv, encoding);
  if (shadow == UINT64_MAX || field == FIELD_NONE) return false;
  uint64_t slot = shadow + HV_REGION_FIELDS + 8 * (uint64_t)field;
  unsigned reg = info >> 3 & 15;
  uint64_t value = nst_load(hv->cpu, slot, 8);
  if (write)
    nst_store(hv->cpu, slot, 8,
              merge_half(value, register_value(hv, reg), encoding & 1, vmcs_field_mask(field)));
  else if (reg == NST_REG_RSP)
    hv_set(hv, FIELD_GUEST_RSP, value >> (encoding & 1 ? 32 : 0));
  else
    hv_set_gpr(hv, reg, value >> (encoding & 1 ? 32 : 0));
  succeed(hv);
  return true;
}
