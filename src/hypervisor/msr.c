/* SPDX-License-Identifier: MIT
 * CPUID and MSRs as the guest sees them. Both tables are filled at boot by executing CPUID and
 * RDMSR, so each level passes on what it was offered itself. */
#include "src/hypervisor/hv.h"

enum {
  VECTOR_GP = 13,
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
#define MSR_FS_BASE UINT32_C(0xc0000100)
#define MSR_GS_BASE UINT32_C(0xc0000101)
#define MSR_KERNEL_GS_BASE UINT32_C(0xc0000102)

/* ---- CPUID */

static const uint32_t leaves[][2] = {
    {0, 0},          {1, 0},          {2, 0},          {4, 0},          {4, 1},
    {4, 2},          {4, 3},          {7, 0},          {0xb, 0},        {0xb, 1},
    {0xd, 0},        {0xd, 1},        {0xd, 2},        {0x80000000, 0}, {0x80000001, 0},
    {0x80000002, 0}, {0x80000003, 0}, {0x80000004, 0}, {0x80000007, 0}, {0x80000008, 0}};

enum { LEAF_COUNT = sizeof leaves / sizeof leaves[0] };
_Static_assert(sizeof leaves / sizeof leaves[0] <= (size_t)HV_CPUID_ROWS, "a row per leaf");

void hv_cpuid_init(struct hv *hv) {
  for (unsigned i = 0; i < LEAF_COUNT; i++) {
    uint32_t out[4];
    nst_cpuid(hv->cpu, leaves[i][0], leaves[i][1], out);
    hv_store(hv, HV_AT(cpuid) + 16 * (size_t)i, out[0] | (uint64_t)out[1] << 32);
    hv_store(hv, HV_AT(cpuid) + 16 * (size_t)i + 8, out[2] | (uint64_t)out[3] << 32);
  }
}

static bool has_subleaves(uint32_t leaf) {
  return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;
}

/* What depends on the guest, not on the processor. */
static void adjust_cpuid(struct hv *hv, uint32_t leaf, uint64_t *high) {
  const uint64_t vmx = 1 << 5, osxsave = UINT64_C(1) << 27, hypervisor = UINT64_C(1) << 31;
  if (leaf != 1) return;
  if (!(hv->flags & HV_GUEST_IS_VMX)) *high &= ~vmx;
  *high = (*high & ~osxsave) | hypervisor;
  /* OSXSAVE is never the guest's own: its read shadow is what the guest wrote. */
  if (hv_copy(hv, hv->region, FIELD_CR4_READ_SHADOW) & (1 << 18)) *high |= osxsave;
}

void hv_cpuid_row(struct hv *hv, uint32_t leaf, uint32_t subleaf, uint64_t row[2]) {
  row[0] = row[1] = 0;
  for (unsigned i = 0; i < LEAF_COUNT; i++) {
    if (leaves[i][0] != leaf || leaves[i][1] != subleaf) continue;
    row[0] = hv_load(hv, HV_AT(cpuid) + 16 * (size_t)i);
    row[1] = hv_load(hv, HV_AT(cpuid) + 16 * (size_t)i + 8);
    return;
  }
}

void hv_handle_cpuid(struct hv *hv) {
  uint32_t leaf = (uint32_t)hv_gpr(hv, NST_REG_RAX);
  uint32_t subleaf = has_subleaves(leaf) ? (uint32_t)hv_gpr(hv, NST_REG_RCX) : 0;
  uint64_t row[2];
  hv_cpuid_row(hv, leaf, subleaf, row);
  adjust_cpuid(hv, leaf, &row[1]);
  hv_set_gpr(hv, NST_REG_RAX, row[0] & UINT32_MAX);
  hv_set_gpr(hv, NST_REG_RBX, row[0] >> 32);
  hv_set_gpr(hv, NST_REG_RCX, row[1] & UINT32_MAX);
  hv_set_gpr(hv, NST_REG_RDX, row[1] >> 32);
  hv_skip(hv);
}

/* ---- MSRs */

/* Plain storage: each has a slot in the hypervisor's memory, in this order. */
static const struct {
  uint32_t number;
  uint64_t reset;
} stored[HV_MSR_SLOTS] = {
    {MSR_APICBASE, UINT64_C(0xfee00900)},
    {MSR_MISC_ENABLE, 1},
    {MSR_STAR, 0},
    {MSR_STAR + 1, 0},         /* LSTAR */
    {MSR_STAR + 2, 0},         /* CSTAR */
    {MSR_STAR + 3, 0},         /* FMASK */
    {UINT32_C(0xc0000103), 0}, /* TSC_AUX */
    {MSR_FEATURE_CONTROL, 5},
};

void hv_msr_init(struct hv *hv) {
  for (unsigned i = 0; i < HV_MSR_SLOTS; i++) {
    hv_store(hv, HV_AT(msr_number) + 8 * i, stored[i].number);
    hv_store(hv, HV_AT(msr_value) + 8 * i, stored[i].reset);
  }
}

/* Offset of a stored MSR's value, or 0. */
static size_t stored_msr(uint32_t number) {
  for (unsigned i = 0; i < HV_MSR_SLOTS; i++)
    if (stored[i].number == number) return HV_AT(msr_value) + 8 * i;
  return 0;
}

/* MSRs that are VMCS fields; FIELD_NONE for the others. */
static enum vmcs_field msr_field(uint32_t number) {
  switch (number) {
    case MSR_SYSENTER_CS:
      return FIELD_GUEST_SYSENTER_CS;
    case MSR_SYSENTER_ESP:
      return FIELD_GUEST_SYSENTER_ESP;
    case MSR_SYSENTER_EIP:
      return FIELD_GUEST_SYSENTER_EIP;
    case MSR_DEBUGCTL:
      return FIELD_GUEST_IA32_DEBUGCTL;
    case MSR_PAT:
      return FIELD_GUEST_IA32_PAT;
    case MSR_EFER:
      return FIELD_GUEST_IA32_EFER;
    case MSR_FS_BASE:
      return FIELD_GUEST_FS_BASE;
    case MSR_GS_BASE:
      return FIELD_GUEST_GS_BASE;
  }
  return FIELD_NONE;
}

/* Fields that change only by a write of this hypervisor: the VMCS is not asked. */
static bool is_known_in_software(enum vmcs_field field) {
  return field == FIELD_GUEST_IA32_PAT || field == FIELD_GUEST_IA32_EFER;
}

bool hv_read_msr(struct hv *hv, uint32_t number, uint64_t *value) {
  size_t slot = stored_msr(number);
  enum vmcs_field field = msr_field(number);
  if (slot) {
    *value = hv_load(hv, slot);
    return number != MSR_FEATURE_CONTROL || (hv->flags & HV_GUEST_IS_VMX);
  }
  if (number >= MSR_VMX_FIRST && number <= MSR_VMX_LAST) {
    *value = hv_load(hv, HV_AT(capability) + 8 * (number - MSR_VMX_FIRST));
    return hv->flags & HV_GUEST_IS_VMX;
  }
  if (field != FIELD_NONE) {
    if (number == MSR_DEBUGCTL) hv_run(hv, ROUTINE_READ_DEBUGCTL);
    *value = is_known_in_software(field) ? hv_copy(hv, hv->region, field) : hv_get(hv, field);
    return true;
  }
  /* Switched by nobody: the register holds the guest's value. */
  return (number == MSR_TSC || number == MSR_KERNEL_GS_BASE) && nst_rdmsr(hv->cpu, number, value);
}

static bool is_valid_pat(uint64_t value) {
  for (unsigned i = 0; i < 64; i += 8) {
    unsigned type = value >> i & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

static bool is_canonical(uint64_t address) {
  return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool accepts(struct hv *hv, uint32_t number, uint64_t value) {
  const uint64_t long_mode = UINT64_C(0x500), efer = UINT64_C(0xd01);
  switch (number) {
    case MSR_PAT:
      return is_valid_pat(value);
    case MSR_EFER:
      return !(value & ~efer) && !((value ^ hv_copy(hv, hv->region, FIELD_GUEST_IA32_EFER)) &
                                   (long_mode & ~UINT64_C(0x400)));
    case MSR_DEBUGCTL:
      return !(value & ~UINT64_C(3));
    case MSR_FEATURE_CONTROL:
    case MSR_TSC:
      return false;
    case MSR_APICBASE:
      return !(value & ~UINT64_C(0xfffffffd00));
    case 0xc0000103:
      return !(value >> 32);
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
    case MSR_STAR + 1:
    case MSR_STAR + 2:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
      return is_canonical(value);
  }
  return true;
}

bool hv_write_msr(struct hv *hv, uint32_t number, uint64_t value) {
  size_t slot = stored_msr(number);
  enum vmcs_field field = msr_field(number);
  if (number == MSR_KERNEL_GS_BASE) return nst_wrmsr(hv->cpu, number, value);
  if ((!slot && field == FIELD_NONE) || !accepts(hv, number, value)) return false;
  if (slot) {
    hv_store(hv, slot, value);
    return true;
  }
  if (number == MSR_EFER) value |= hv_copy(hv, hv->region, field) & UINT64_C(0x400);
  uint64_t changed = number == MSR_EFER ? value ^ hv_copy(hv, hv->region, field) : 0;
  hv_set(hv, field, value);
  if (changed & (1 << 11)) hv_translations_dropped(hv); /* NXE */
  /* Not fetched at exits: the guest hypervisor's copy is kept in step here. */
  bool sysenter = number >= MSR_SYSENTER_CS && number <= MSR_SYSENTER_EIP;
  if (sysenter && (hv->flags & HV_IN_NESTED)) hv_set_vmcs12(hv, field, value);
  if (number == MSR_PAT) hv_run(hv, ROUTINE_SET_PAT);
  return true;
}

void hv_handle_rdmsr(struct hv *hv) {
  uint64_t value = 0;
  if (!hv_read_msr(hv, (uint32_t)hv_gpr(hv, NST_REG_RCX), &value)) {
    hv_inject(hv, VECTOR_GP, true, 0);
    return;
  }
  hv_set_gpr(hv, NST_REG_RAX, value & UINT32_MAX);
  hv_set_gpr(hv, NST_REG_RDX, value >> 32);
  hv_skip(hv);
}

void hv_handle_wrmsr(struct hv *hv) {
  uint64_t value = hv_gpr(hv, NST_REG_RDX) << 32 | (hv_gpr(hv, NST_REG_RAX) & UINT32_MAX);
  if (hv_write_msr(hv, (uint32_t)hv_gpr(hv, NST_REG_RCX), value))
    hv_skip(hv);
  else
    hv_inject(hv, VECTOR_GP, true, 0);
}
