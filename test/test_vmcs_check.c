/* SPDX-License-Identifier: MIT
 * Consistency checks: valid states pass, and each row of check.def has a case that breaks this
 * rule and no other. Cases are applied by VMWRITE after a clean pass, so that a field missing from
 * vmcs_field_groups fails here too. */
#include <stdio.h>
#include <string.h>

#include "test/expect.h"
#include "vmcs/check.h"
#include "vmcs/reason.h"

enum { MEMORY_SIZE = 0x8000, SHADOW_PAGE = 0x2000, PLAIN_PAGE = 0x3000, CURRENT_PAGE = 0x5000 };
#define BIT(n) (UINT64_C(1) << (n))

struct setup {
  _Alignas(8) uint8_t region[VMCS_REGION_SIZE];
  uint32_t memory[MEMORY_SIZE / 4];
  struct vmcs_layout layout;
  struct vmcs vmcs;
  struct vmcs_capability capability;
  struct vmcs_check_environment environment;
};

static bool read_memory(void *context, uint64_t physical, uint32_t *value) {
  const struct setup *setup = context;
  if (physical >= MEMORY_SIZE) return false;
  *value = setup->memory[physical / 4];
  return true;
}

static void put(struct setup *setup, enum vmcs_encoding field, uint64_t value) {
  vmcs_write_encoding(&setup->vmcs, field, value);
}

static uint64_t peek(const struct setup *setup, enum vmcs_encoding field) {
  return vmcs_read_encoding(&setup->vmcs, field);
}

static void flip(struct setup *setup, enum vmcs_encoding field, uint64_t bits) {
  put(setup, field, peek(setup, field) ^ bits);
}

struct value {
  enum vmcs_encoding field;
  uint64_t value;
};

static void put_all(struct setup *setup, const struct value *values, size_t count) {
  for (size_t i = 0; i < count; i++) put(setup, values[i].field, values[i].value);
}
#define PUT_ALL(setup, values) put_all((setup), (values), sizeof(values) / sizeof(values)[0])

static void put_controls(struct setup *setup) {
  const uint64_t *must = setup->capability.must_be_one;
  const struct value values[] = {
      {PIN_BASED_VM_EXEC_CONTROL,
       must[WORD_PIN] | VMCS_BIT(PIN_BASED_EXT_INTR_MASK) | VMCS_BIT(PIN_BASED_NMI_EXITING) |
           VMCS_BIT(PIN_BASED_VIRTUAL_NMIS) | VMCS_BIT(PIN_BASED_VMX_PREEMPTION_TIMER)},
      {CPU_BASED_VM_EXEC_CONTROL, must[WORD_PRIMARY] | VMCS_BIT(CPU_BASED_USE_IO_BITMAPS) |
                                      VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS) |
                                      VMCS_BIT(CPU_BASED_TPR_SHADOW) |
                                      VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)},
      {SECONDARY_VM_EXEC_CONTROL,
       VMCS_BIT(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) | VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT) |
           VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID) | VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST) |
           VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS) | VMCS_BIT(SECONDARY_EXEC_ENABLE_PML) |
           VMCS_BIT(SECONDARY_EXEC_MODE_BASED_EPT_EXEC)},
      {VM_EXIT_CONTROLS, must[WORD_EXIT] | VMCS_BIT(VM_EXIT_HOST_ADDR_SPACE_SIZE) |
                             VMCS_BIT(VM_EXIT_ACK_INTR_ON_EXIT) | VMCS_BIT(VM_EXIT_LOAD_IA32_PAT) |
                             VMCS_BIT(VM_EXIT_LOAD_IA32_EFER) |
                             VMCS_BIT(VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL) |
                             VMCS_BIT(VM_EXIT_SAVE_VMX_PREEMPTION_TIMER)},
      {VM_ENTRY_CONTROLS, must[WORD_ENTRY] | VMCS_BIT(VM_ENTRY_LOAD_DEBUG_CONTROLS) |
                              VMCS_BIT(VM_ENTRY_IA32E_MODE) | VMCS_BIT(VM_ENTRY_LOAD_IA32_PAT) |
                              VMCS_BIT(VM_ENTRY_LOAD_IA32_EFER) |
                              VMCS_BIT(VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL)},
      {IO_BITMAP_A, 0x11000},
      {IO_BITMAP_B, 0x12000},
      {MSR_BITMAP, 0x13000},
      {VIRTUAL_APIC_PAGE_ADDR, 0x4000},
      {APIC_ACCESS_ADDR, 0x15000},
      {VMREAD_BITMAP, 0x16000},
      {VMWRITE_BITMAP, 0x17000},
      {PML_ADDRESS, 0x18000},
      {EPT_POINTER, 0x1905e},
      {VIRTUAL_PROCESSOR_ID, 1},
  };
  PUT_ALL(setup, values);
}

static void put_host(struct setup *setup) {
  static const struct value values[] = {
      {HOST_CR0, 0x80000031},   {HOST_CR3, 0x1000},
      {HOST_CR4, 0x2020},       {HOST_IA32_PAT, 0x0007040600070406},
      {HOST_IA32_EFER, 0xd01},  {HOST_ES_SELECTOR, 0x10},
      {HOST_CS_SELECTOR, 0x8},  {HOST_SS_SELECTOR, 0x10},
      {HOST_DS_SELECTOR, 0x10}, {HOST_FS_SELECTOR, 0},
      {HOST_GS_SELECTOR, 0},    {HOST_TR_SELECTOR, 0x18},
      {HOST_RIP, 0x1000},
  };
  PUT_ALL(setup, values);
}

struct segment {
  uint64_t selector, ar, base, limit;
};

/* ES, CS, SS, DS, FS and GS alike; encodings of the same kind are 2 apart. */
static void put_segments(struct setup *setup, const struct segment *segment) {
  for (unsigned step = 0; step < 12; step += 2) {
    put(setup, (enum vmcs_encoding)(GUEST_ES_SELECTOR + step), segment->selector);
    put(setup, (enum vmcs_encoding)(GUEST_ES_AR_BYTES + step), segment->ar);
    put(setup, (enum vmcs_encoding)(GUEST_ES_BASE + step), segment->base);
    put(setup, (enum vmcs_encoding)(GUEST_ES_LIMIT + step), segment->limit);
  }
}

static void put_guest(struct setup *setup) {
  static const struct value values[] = {
      {GUEST_CR0, 0x80000031},
      {GUEST_CR3, 0x1000},
      {GUEST_CR4, 0x2020},
      {GUEST_IA32_PAT, 0x0007040600070406},
      {GUEST_IA32_EFER, 0xd01},
      {GUEST_DR7, 0x400},
      {GUEST_GDTR_LIMIT, 0xffff},
      {GUEST_IDTR_LIMIT, 0xffff},
      {GUEST_RIP, 0x1000},
      {GUEST_RFLAGS, 0x202},
      {VMCS_LINK_POINTER, UINT64_MAX},
      {GUEST_CS_SELECTOR, 0x8},
      {GUEST_CS_AR_BYTES, 0xa09b},
      {GUEST_CS_LIMIT, 0xffffffff},
      {GUEST_CS_BASE, 0},
      {GUEST_LDTR_SELECTOR, 0x28},
      {GUEST_LDTR_AR_BYTES, 0x82},
      {GUEST_LDTR_LIMIT, 0xffff},
      {GUEST_TR_SELECTOR, 0x18},
      {GUEST_TR_AR_BYTES, 0x8b},
      {GUEST_TR_LIMIT, 0x67},
  };
  put_segments(setup, &(struct segment){.selector = 0x10, .ar = 0xc093, .limit = 0xffffffff});
  PUT_ALL(setup, values);
}

/* A 64-bit guest under a 64-bit host with most controls on. */
static void base_64(struct setup *setup) {
  vmcs_layout_init(&setup->layout, (uint32_t)setup->capability.basic);
  put_controls(setup);
  put_host(setup);
  put_guest(setup);
}

/* Neither EPT nor what stands on it. */
static void base_no_ept(struct setup *setup) {
  base_64(setup);
  put(setup, SECONDARY_VM_EXEC_CONTROL,
      VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID) | VMCS_BIT(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES));
}

/* A 32-bit guest with PAE paging. */
static void base_pae(struct setup *setup) {
  base_64(setup);
  flip(setup, VM_ENTRY_CONTROLS, VMCS_BIT(VM_ENTRY_IA32E_MODE));
  put(setup, GUEST_IA32_EFER, 0x801);
  put(setup, GUEST_CS_AR_BYTES, 0xc09b);
  for (unsigned i = 0; i < 4; i++)
    put(setup, (enum vmcs_encoding)(GUEST_PDPTR0 + 2 * i), 0x4000 * i | 1);
}

static void base_v86(struct setup *setup) {
  base_pae(setup);
  put(setup, GUEST_RFLAGS, 0x20202);
  put_segments(setup, &(struct segment){0x100, 0xf3, 0x1000, 0xffff});
}

/* A 32-bit host, so a 32-bit guest. */
static void base_host_32(struct setup *setup) {
  base_pae(setup);
  flip(setup, VM_EXIT_CONTROLS, VMCS_BIT(VM_EXIT_HOST_ADDR_SPACE_SIZE));
  put(setup, HOST_IA32_EFER, 0x801);
  setup->environment.efer = 0x801;
}

/* Processors that differ from skylake-x. */
static void with_tertiary(struct setup *setup) {
  setup->capability.may_be_one[WORD_PRIMARY] |= VMCS_BIT(CPU_BASED_ACTIVATE_TERTIARY_CONTROLS);
  base_64(setup);
}
static void without_dirty_flags(struct setup *setup) {
  setup->capability.ept_vpid &= ~BIT(21);
  base_64(setup);
  flip(setup, EPT_POINTER, 0x40);
}
static void with_smm_controls(struct setup *setup) {
  setup->capability.may_be_one[WORD_ENTRY] |=
      VMCS_BIT(VM_ENTRY_SMM) | VMCS_BIT(VM_ENTRY_DEACT_DUAL_MONITOR);
  base_64(setup);
}

static void start(struct setup *setup, void (*base)(struct setup *)) {
  memset(setup, 0, sizeof *setup);
  vmcs_capability_find(&setup->capability, "skylake-x");
  setup->vmcs = (struct vmcs){setup->region, &setup->layout};
  setup->environment = (struct vmcs_check_environment){
      .capability = &setup->capability,
      .efer = 0xd01,
      .current_pointer = CURRENT_PAGE,
      .read32 = read_memory,
      .context = setup,
  };
  uint32_t revision = (uint32_t)setup->capability.basic;
  setup->memory[SHADOW_PAGE / 4] = revision | VMCS_SHADOW_INDICATOR;
  setup->memory[CURRENT_PAGE / 4] = revision | VMCS_SHADOW_INDICATOR;
  setup->memory[PLAIN_PAGE / 4] = revision;
  base(setup);
}

struct change {
  enum vmcs_encoding field;
  bool flips; /* exclusive or, else replace */
  uint64_t value;
};

struct check_case {
  enum vmcs_check check;
  void (*base)(struct setup *);
  struct change changes[4]; /* ends at an all-zero row */
};

#define SET(field, value) \
  { field, false, (value) }
#define PIN(name) \
  { PIN_BASED_VM_EXEC_CONTROL, true, VMCS_BIT(PIN_BASED_##name) }
#define PRIMARY(name) \
  { CPU_BASED_VM_EXEC_CONTROL, true, VMCS_BIT(CPU_BASED_##name) }
#define SECONDARY(bits) \
  { SECONDARY_VM_EXEC_CONTROL, true, (bits) }
#define SECOND(name) VMCS_BIT(SECONDARY_EXEC_##name)
#define EXIT(name) \
  { VM_EXIT_CONTROLS, true, VMCS_BIT(VM_EXIT_##name) }
#define ENTRY(name) \
  { VM_ENTRY_CONTROLS, true, VMCS_BIT(VM_ENTRY_##name) }
#define FLIP(field, bits) \
  { field, true, (bits) }
#define EACH_DATA(row) row(DS) row(ES) row(FS) row(GS)
#define EACH_BUT_CS(row) row(SS) EACH_DATA(row)
#define EACH(row) row(CS) EACH_BUT_CS(row)

#define CASE_HOST_SELECTOR(s) \
  {CHECK_HOST_##s##_SELECTOR, base_64, {SET(HOST_##s##_SELECTOR, 0x24)}},
#define CASE_HOST_BASE(s) \
  {CHECK_HOST_##s##_BASE_CANONICAL, base_64, {SET(HOST_##s##_BASE, BIT(47))}},
#define CASE_BASE_V86(s) {CHECK_GUEST_##s##_BASE_V86, base_v86, {SET(GUEST_##s##_BASE, 0x1010)}},
#define CASE_BASE(s) {CHECK_GUEST_##s##_BASE_CANONICAL, base_64, {SET(GUEST_##s##_BASE, BIT(47))}},
#define CASE_BASE_HIGH(s) {CHECK_GUEST_##s##_BASE_HIGH, base_64, {SET(GUEST_##s##_BASE, BIT(32))}},
#define CASE_LIMIT_V86(s) {CHECK_GUEST_##s##_LIMIT_V86, base_v86, {SET(GUEST_##s##_LIMIT, 0xfffe)}},
#define CASE_AR_V86(s) {CHECK_GUEST_##s##_AR_V86, base_v86, {SET(GUEST_##s##_AR_BYTES, 0xf1)}},
#define CASE_TYPE(s) {CHECK_GUEST_##s##_TYPE, base_64, {SET(GUEST_##s##_AR_BYTES, 0xc092)}},
#define CASE_S(s) {CHECK_GUEST_##s##_S, base_64, {FLIP(GUEST_##s##_AR_BYTES, 0x10)}},
#define CASE_DPL(s) {CHECK_GUEST_##s##_DPL, base_no_ept, {SET(GUEST_##s##_SELECTOR, 0x13)}},
#define CASE_P(s) {CHECK_GUEST_##s##_P, base_64, {FLIP(GUEST_##s##_AR_BYTES, 0x80)}},
#define CASE_RESERVED(s) \
  {CHECK_GUEST_##s##_AR_RESERVED, base_64, {FLIP(GUEST_##s##_AR_BYTES, 0x100)}},
#define CASE_G(s) {CHECK_GUEST_##s##_G, base_64, {SET(GUEST_##s##_LIMIT, 0xffffff00)}},

/* clang-format off: one case per line */
static const struct check_case cases[] = {
    {CHECK_CONTROL_PIN_RESERVED, base_64, {FLIP(PIN_BASED_VM_EXEC_CONTROL, BIT(8))}},
    {CHECK_CONTROL_PRIMARY_RESERVED, base_64, {FLIP(CPU_BASED_VM_EXEC_CONTROL, BIT(0))}},
    {CHECK_CONTROL_SECONDARY_RESERVED, base_64, {SECONDARY(SECOND(ENABLE_VMFUNC))}},
    {CHECK_CONTROL_TERTIARY_RESERVED,
     with_tertiary,
     {PRIMARY(ACTIVATE_TERTIARY_CONTROLS), SET(TERTIARY_VM_EXEC_CONTROL, 1)}},
    {CHECK_CONTROL_CR3_TARGET_COUNT, base_64, {SET(CR3_TARGET_COUNT, 5)}},
    {CHECK_CONTROL_IO_BITMAP_A_ADDRESS, base_64, {SET(IO_BITMAP_A, 0x11800)}},
    {CHECK_CONTROL_IO_BITMAP_B_ADDRESS, base_64, {SET(IO_BITMAP_B, BIT(46))}},
    {CHECK_CONTROL_MSR_BITMAP_ADDRESS, base_64, {SET(MSR_BITMAP, 0x13001)}},
    {CHECK_CONTROL_VIRTUAL_APIC_ADDRESS, base_64, {SET(VIRTUAL_APIC_PAGE_ADDR, 0x4010)}},
    {CHECK_CONTROL_TPR_THRESHOLD_RESERVED, base_64, {SET(TPR_THRESHOLD, 0x10)}},
    {CHECK_CONTROL_TPR_THRESHOLD_VTPR,
     base_64,
     {SECONDARY(SECOND(VIRTUALIZE_APIC_ACCESSES)), SET(TPR_THRESHOLD, 1)}},
    {CHECK_CONTROL_X2APIC_MODE_TPR_SHADOW,
     base_64,
     {PRIMARY(TPR_SHADOW),
      SECONDARY(SECOND(VIRTUALIZE_APIC_ACCESSES) | SECOND(VIRTUALIZE_X2APIC_MODE))}},
    {CHECK_CONTROL_APIC_REGISTER_VIRT_TPR_SHADOW,
     base_64,
     {PRIMARY(TPR_SHADOW), SECONDARY(SECOND(APIC_REGISTER_VIRT))}},
    {CHECK_CONTROL_INTR_DELIVERY_TPR_SHADOW,
     base_64,
     {PRIMARY(TPR_SHADOW), SECONDARY(SECOND(VIRTUAL_INTR_DELIVERY))}},
    {CHECK_CONTROL_VIRTUAL_NMIS_NMI_EXITING, base_64, {PIN(NMI_EXITING)}},
    {CHECK_CONTROL_NMI_WINDOW_VIRTUAL_NMIS,
     base_64,
     {PIN(VIRTUAL_NMIS), PRIMARY(NMI_WINDOW_EXITING)}},
    {CHECK_CONTROL_APIC_ACCESS_ADDRESS, base_64, {SET(APIC_ACCESS_ADDR, 0x15800)}},
    {CHECK_CONTROL_X2APIC_MODE_APIC_ACCESSES, base_64, {SECONDARY(SECOND(VIRTUALIZE_X2APIC_MODE))}},
    {CHECK_CONTROL_INTR_DELIVERY_EXT_INTR,
     base_64,
     {PIN(EXT_INTR_MASK), SECONDARY(SECOND(VIRTUAL_INTR_DELIVERY))}},
    {CHECK_CONTROL_POSTED_INTR_INTR_DELIVERY, base_64, {PIN(POSTED_INTR)}},
    {CHECK_CONTROL_POSTED_INTR_ACK_INTR,
     base_64,
     {PIN(POSTED_INTR), SECONDARY(SECOND(VIRTUAL_INTR_DELIVERY)), EXIT(ACK_INTR_ON_EXIT)}},
    {CHECK_CONTROL_POSTED_INTR_VECTOR,
     base_64,
     {PIN(POSTED_INTR), SECONDARY(SECOND(VIRTUAL_INTR_DELIVERY)), SET(POSTED_INTR_NV, 0x100)}},
    {CHECK_CONTROL_POSTED_INTR_DESCRIPTOR,
     base_64,
     {PIN(POSTED_INTR), SECONDARY(SECOND(VIRTUAL_INTR_DELIVERY)),
      SET(POSTED_INTR_DESC_ADDR, 0x20)}},
    {CHECK_CONTROL_VPID_ZERO, base_64, {SET(VIRTUAL_PROCESSOR_ID, 0)}},
    {CHECK_CONTROL_EPTP_MEMORY_TYPE, base_64, {SET(EPT_POINTER, 0x1905c)}},
    {CHECK_CONTROL_EPTP_WALK_LENGTH, base_64, {SET(EPT_POINTER, 0x19066)}},
    {CHECK_CONTROL_EPTP_ACCESSED_DIRTY, without_dirty_flags, {FLIP(EPT_POINTER, 0x40)}},
    {CHECK_CONTROL_EPTP_RESERVED, base_64, {FLIP(EPT_POINTER, 0x800)}},
    {CHECK_CONTROL_PML_EPT, base_no_ept, {SECONDARY(SECOND(ENABLE_PML))}},
    {CHECK_CONTROL_PML_ADDRESS, base_64, {SET(PML_ADDRESS, 0x18008)}},
    {CHECK_CONTROL_UNRESTRICTED_GUEST_EPT, base_no_ept, {SECONDARY(SECOND(UNRESTRICTED_GUEST))}},
    {CHECK_CONTROL_MODE_BASED_EXEC_EPT, base_no_ept, {SECONDARY(SECOND(MODE_BASED_EPT_EXEC))}},
    {CHECK_CONTROL_VMREAD_BITMAP_ADDRESS, base_64, {SET(VMREAD_BITMAP, 0x16004)}},
    {CHECK_CONTROL_VMWRITE_BITMAP_ADDRESS, base_64, {SET(VMWRITE_BITMAP, BIT(50))}},
    {CHECK_CONTROL_EXIT_RESERVED, base_64, {EXIT(CLEAR_BNDCFGS)}},
    {CHECK_CONTROL_SAVE_TIMER_TIMER, base_64, {PIN(VMX_PREEMPTION_TIMER)}},
    {CHECK_CONTROL_EXIT_MSR_STORE_ADDRESS,
     base_64,
     {SET(VM_EXIT_MSR_STORE_COUNT, 1), SET(VM_EXIT_MSR_STORE_ADDR, 8)}},
    {CHECK_CONTROL_EXIT_MSR_STORE_END,
     base_64,
     {SET(VM_EXIT_MSR_STORE_COUNT, 2), SET(VM_EXIT_MSR_STORE_ADDR, BIT(46) - 16)}},
    {CHECK_CONTROL_EXIT_MSR_LOAD_ADDRESS,
     base_64,
     {SET(VM_EXIT_MSR_LOAD_COUNT, 1), SET(VM_EXIT_MSR_LOAD_ADDR, BIT(46))}},
    {CHECK_CONTROL_EXIT_MSR_LOAD_END,
     base_64,
     {SET(VM_EXIT_MSR_LOAD_COUNT, 2), SET(VM_EXIT_MSR_LOAD_ADDR, BIT(46) - 16)}},
    {CHECK_CONTROL_ENTRY_RESERVED, base_64, {ENTRY(LOAD_BNDCFGS)}},
    {CHECK_CONTROL_INJECT_TYPE, base_64, {SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000120)}},
    {CHECK_CONTROL_INJECT_VECTOR, base_64, {SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000203)}},
    {CHECK_CONTROL_INJECT_ERROR_CODE, base_64, {SET(VM_ENTRY_INTR_INFO_FIELD, 0x8000030d)}},
    {CHECK_CONTROL_INJECT_RESERVED, base_64, {SET(VM_ENTRY_INTR_INFO_FIELD, 0x80001020)}},
    {CHECK_CONTROL_INJECT_ERROR_CODE_RESERVED,
     base_64,
     {SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000b0d), SET(VM_ENTRY_EXCEPTION_ERROR_CODE, 0x10000)}},
    {CHECK_CONTROL_INJECT_LENGTH,
     base_64,
     {SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000480), SET(VM_ENTRY_INSTRUCTION_LEN, 16)}},
    {CHECK_CONTROL_ENTRY_MSR_LOAD_ADDRESS,
     base_64,
     {SET(VM_ENTRY_MSR_LOAD_COUNT, 1), SET(VM_ENTRY_MSR_LOAD_ADDR, 0x1001)}},
    {CHECK_CONTROL_ENTRY_MSR_LOAD_END,
     base_64,
     {SET(VM_ENTRY_MSR_LOAD_COUNT, 2), SET(VM_ENTRY_MSR_LOAD_ADDR, BIT(46) - 16)}},
    {CHECK_CONTROL_ENTRY_SMM, with_smm_controls, {ENTRY(SMM)}},
    {CHECK_CONTROL_ENTRY_DUAL_MONITOR, with_smm_controls, {ENTRY(DEACT_DUAL_MONITOR)}},

    {CHECK_HOST_CR0_FIXED, base_64, {SET(HOST_CR0, 0x80000011)}},
    {CHECK_HOST_CR4_FIXED, base_64, {SET(HOST_CR4, 0x20)}},
    {CHECK_HOST_CR3_WIDTH, base_64, {SET(HOST_CR3, BIT(46))}},
    {CHECK_HOST_SYSENTER_ESP_CANONICAL, base_64, {SET(HOST_IA32_SYSENTER_ESP, BIT(47))}},
    {CHECK_HOST_SYSENTER_EIP_CANONICAL, base_64, {SET(HOST_IA32_SYSENTER_EIP, BIT(63))}},
    {CHECK_HOST_PERF_GLOBAL_CTRL_RESERVED, base_64, {SET(HOST_IA32_PERF_GLOBAL_CTRL, 0x100)}},
    {CHECK_HOST_PAT_TYPE, base_64, {SET(HOST_IA32_PAT, 0x0007040600070402)}},
    {CHECK_HOST_EFER_RESERVED, base_64, {FLIP(HOST_IA32_EFER, BIT(2))}},
    {CHECK_HOST_EFER_LMA, base_64, {FLIP(HOST_IA32_EFER, BIT(10))}},
    {CHECK_HOST_EFER_LME, base_64, {FLIP(HOST_IA32_EFER, BIT(8))}},
    EACH(CASE_HOST_SELECTOR)
        CASE_HOST_SELECTOR(TR){CHECK_HOST_CS_NULL, base_64, {SET(HOST_CS_SELECTOR, 0)}},
    {CHECK_HOST_TR_NULL, base_64, {SET(HOST_TR_SELECTOR, 0)}},
    {CHECK_HOST_SS_NULL, base_host_32, {SET(HOST_SS_SELECTOR, 0)}},
    CASE_HOST_BASE(FS) CASE_HOST_BASE(GS) CASE_HOST_BASE(TR) CASE_HOST_BASE(GDTR)
        CASE_HOST_BASE(IDTR){CHECK_HOST_MODE_GUEST_IA32E,
                             base_host_32,
                             {ENTRY(IA32E_MODE), SET(GUEST_IA32_EFER, 0xd01)}},
    {CHECK_HOST_MODE_SPACE_64,
     base_host_32,
     {EXIT(HOST_ADDR_SPACE_SIZE), SET(HOST_IA32_EFER, 0xd01)}},
    {CHECK_HOST_MODE_SPACE_32, base_64, {EXIT(HOST_ADDR_SPACE_SIZE), SET(HOST_IA32_EFER, 0x801)}},
    {CHECK_HOST_CR4_PCIDE, base_host_32, {FLIP(HOST_CR4, BIT(17))}},
    {CHECK_HOST_RIP_HIGH, base_host_32, {SET(HOST_RIP, BIT(32))}},
    {CHECK_HOST_CR4_PAE, base_64, {FLIP(HOST_CR4, BIT(5))}},
    {CHECK_HOST_RIP_CANONICAL, base_64, {SET(HOST_RIP, BIT(47))}},

    {CHECK_GUEST_CR0_FIXED, base_64, {FLIP(GUEST_CR0, BIT(5))}},
    {CHECK_GUEST_CR0_PG_PE, base_64, {FLIP(GUEST_CR0, BIT(0))}},
    {CHECK_GUEST_CR4_FIXED, base_64, {FLIP(GUEST_CR4, BIT(11))}},
    {CHECK_GUEST_DEBUGCTL_RESERVED, base_64, {SET(GUEST_IA32_DEBUGCTL, 0x4)}},
    {CHECK_GUEST_CR0_PG_IA32E, base_64, {FLIP(GUEST_CR0, BIT(31))}},
    {CHECK_GUEST_CR4_PAE_IA32E, base_64, {FLIP(GUEST_CR4, BIT(5))}},
    {CHECK_GUEST_CR4_PCIDE, base_pae, {FLIP(GUEST_CR4, BIT(17))}},
    {CHECK_GUEST_CR3_WIDTH, base_64, {SET(GUEST_CR3, BIT(46))}},
    {CHECK_GUEST_DR7_HIGH, base_64, {FLIP(GUEST_DR7, BIT(32))}},
    {CHECK_GUEST_SYSENTER_ESP_CANONICAL, base_64, {SET(GUEST_SYSENTER_ESP, BIT(47))}},
    {CHECK_GUEST_SYSENTER_EIP_CANONICAL, base_64, {SET(GUEST_SYSENTER_EIP, BIT(47))}},
    {CHECK_GUEST_PERF_GLOBAL_CTRL_RESERVED, base_64, {SET(GUEST_IA32_PERF_GLOBAL_CTRL, BIT(35))}},
    {CHECK_GUEST_PAT_TYPE, base_64, {SET(GUEST_IA32_PAT, UINT64_C(0x0807040600070406))}},
    {CHECK_GUEST_EFER_RESERVED, base_64, {FLIP(GUEST_IA32_EFER, BIT(12))}},
    {CHECK_GUEST_EFER_LMA, base_64, {FLIP(GUEST_IA32_EFER, BIT(10) | BIT(8))}},
    {CHECK_GUEST_EFER_LME, base_64, {FLIP(GUEST_IA32_EFER, BIT(8))}},
    {CHECK_GUEST_TR_SELECTOR_TI, base_64, {FLIP(GUEST_TR_SELECTOR, 4)}},
    {CHECK_GUEST_LDTR_SELECTOR_TI, base_64, {FLIP(GUEST_LDTR_SELECTOR, 4)}},
    {CHECK_GUEST_SS_SELECTOR_RPL, base_no_ept, {SET(GUEST_CS_SELECTOR, 0xb)}},
    EACH(CASE_BASE_V86) CASE_BASE(TR) CASE_BASE(FS) CASE_BASE(GS) CASE_BASE(LDTR) CASE_BASE_HIGH(CS)
        CASE_BASE_HIGH(SS) CASE_BASE_HIGH(DS) CASE_BASE_HIGH(ES) EACH(CASE_LIMIT_V86)
            EACH(CASE_AR_V86){CHECK_GUEST_CS_TYPE, base_64, {SET(GUEST_CS_AR_BYTES, 0xa09a)}},
    {CHECK_GUEST_SS_TYPE, base_64, {SET(GUEST_SS_AR_BYTES, 0xc091)}},
    EACH_DATA(CASE_TYPE)
        EACH(CASE_S){CHECK_GUEST_CS_DPL, base_64, {SET(GUEST_CS_AR_BYTES, 0xa0fb)}},
    {CHECK_GUEST_SS_DPL_RPL,
     base_no_ept,
     {SET(GUEST_CS_AR_BYTES, 0xa09f), SET(GUEST_SS_AR_BYTES, 0xc0f3)}},
    {CHECK_GUEST_SS_DPL_ZERO,
     base_64,
     {SET(GUEST_CS_AR_BYTES, 0xa093), SET(GUEST_SS_AR_BYTES, 0xc0f3)}},
    EACH_DATA(CASE_DPL) EACH(CASE_P)
        EACH(CASE_RESERVED){CHECK_GUEST_CS_DB, base_64, {FLIP(GUEST_CS_AR_BYTES, BIT(14))}},
    EACH(CASE_G){CHECK_GUEST_TR_TYPE, base_64, {SET(GUEST_TR_AR_BYTES, 0x83)}},
    {CHECK_GUEST_TR_UNUSABLE, base_64, {FLIP(GUEST_TR_AR_BYTES, BIT(16))}},
    CASE_S(TR) CASE_P(TR)
        CASE_RESERVED(TR){CHECK_GUEST_TR_G, base_64, {FLIP(GUEST_TR_AR_BYTES, BIT(15))}},
    {CHECK_GUEST_LDTR_TYPE, base_64, {SET(GUEST_LDTR_AR_BYTES, 0x83)}},
    CASE_S(LDTR) CASE_P(LDTR)
        CASE_RESERVED(LDTR){CHECK_GUEST_LDTR_G, base_64, {SET(GUEST_LDTR_LIMIT, BIT(20) | 0xfff)}},
    CASE_BASE(GDTR)
        CASE_BASE(IDTR){CHECK_GUEST_GDTR_LIMIT, base_64, {SET(GUEST_GDTR_LIMIT, 0x10000)}},
    {CHECK_GUEST_IDTR_LIMIT, base_64, {SET(GUEST_IDTR_LIMIT, 0x10000)}},
    {CHECK_GUEST_RIP_HIGH, base_pae, {SET(GUEST_RIP, BIT(32))}},
    {CHECK_GUEST_RIP_CANONICAL, base_64, {SET(GUEST_RIP, BIT(48))}},
    {CHECK_GUEST_RFLAGS_RESERVED, base_64, {SET(GUEST_RFLAGS, 0x200)}},
    {CHECK_GUEST_RFLAGS_VM, base_v86, {ENTRY(IA32E_MODE), SET(GUEST_IA32_EFER, 0xd01)}},
    {CHECK_GUEST_RFLAGS_IF,
     base_64,
     {SET(GUEST_RFLAGS, 0x2), SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000020)}},
    {CHECK_GUEST_ACTIVITY_SUPPORTED, base_64, {SET(GUEST_ACTIVITY_STATE, 2)}},
    {CHECK_GUEST_ACTIVITY_HLT_DPL,
     base_64,
     {SET(GUEST_ACTIVITY_STATE, 1), SET(GUEST_CS_AR_BYTES, 0xa09f),
      SET(GUEST_SS_AR_BYTES, 0xc0f3)}},
    {CHECK_GUEST_ACTIVITY_BLOCKING,
     base_64,
     {SET(GUEST_ACTIVITY_STATE, 1), SET(GUEST_INTERRUPTIBILITY_INFO, 1)}},
    {CHECK_GUEST_ACTIVITY_EVENT,
     base_64,
     {SET(GUEST_ACTIVITY_STATE, 1), SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000303)}},
    {CHECK_GUEST_INTERRUPTIBILITY_RESERVED, base_64, {SET(GUEST_INTERRUPTIBILITY_INFO, 0x10)}},
    {CHECK_GUEST_INTERRUPTIBILITY_STI_MOV_SS, base_64, {SET(GUEST_INTERRUPTIBILITY_INFO, 3)}},
    {CHECK_GUEST_INTERRUPTIBILITY_STI_IF,
     base_64,
     {SET(GUEST_INTERRUPTIBILITY_INFO, 1), SET(GUEST_RFLAGS, 2)}},
    {CHECK_GUEST_INTERRUPTIBILITY_EXT_INTR,
     base_64,
     {SET(GUEST_INTERRUPTIBILITY_INFO, 2), SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000020)}},
    {CHECK_GUEST_INTERRUPTIBILITY_NMI_MOV_SS,
     base_64,
     {SET(GUEST_INTERRUPTIBILITY_INFO, 2), SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000202)}},
    {CHECK_GUEST_INTERRUPTIBILITY_SMI, base_64, {SET(GUEST_INTERRUPTIBILITY_INFO, 4)}},
    {CHECK_GUEST_INTERRUPTIBILITY_NMI_STI,
     base_64,
     {SET(GUEST_INTERRUPTIBILITY_INFO, 1), SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000202)}},
    {CHECK_GUEST_INTERRUPTIBILITY_VIRTUAL_NMI,
     base_64,
     {SET(GUEST_INTERRUPTIBILITY_INFO, 8), SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000202)}},
    {CHECK_GUEST_PENDING_DBG_RESERVED, base_64, {SET(GUEST_PENDING_DBG_EXCEPTIONS, 0x10)}},
    {CHECK_GUEST_PENDING_DBG_BS_SET,
     base_64,
     {SET(GUEST_INTERRUPTIBILITY_INFO, 1), SET(GUEST_RFLAGS, 0x302)}},
    {CHECK_GUEST_PENDING_DBG_BS_CLEAR,
     base_64,
     {SET(GUEST_ACTIVITY_STATE, 1), SET(GUEST_PENDING_DBG_EXCEPTIONS, 0x4000)}},
    {CHECK_GUEST_PENDING_DBG_RTM, base_64, {SET(GUEST_PENDING_DBG_EXCEPTIONS, 0x10000)}},
    {CHECK_GUEST_LINK_POINTER_ADDRESS, base_64, {SET(VMCS_LINK_POINTER, SHADOW_PAGE + 8)}},
    {CHECK_GUEST_LINK_POINTER_REVISION, base_64, {SET(VMCS_LINK_POINTER, PLAIN_PAGE)}},
    {CHECK_GUEST_LINK_POINTER_CURRENT, base_64, {SET(VMCS_LINK_POINTER, CURRENT_PAGE)}},
    {CHECK_GUEST_PDPTE0_RESERVED, base_pae, {SET(GUEST_PDPTR0, 3)}},
    {CHECK_GUEST_PDPTE1_RESERVED, base_pae, {SET(GUEST_PDPTR1, 0x21)}},
    {CHECK_GUEST_PDPTE2_RESERVED, base_pae, {SET(GUEST_PDPTR2, 0x101)}},
    {CHECK_GUEST_PDPTE3_RESERVED, base_pae, {SET(GUEST_PDPTR3, BIT(46) | 1)}},
};
/* clang-format on */

enum { CASE_COUNT = sizeof cases / sizeof cases[0], ALL_GROUPS = (1 << GROUP_COUNT) - 1 };

struct failures {
  unsigned count;
  enum vmcs_check last[4];
};

static bool collect(void *context, enum vmcs_check id) {
  struct failures *failures = context;
  if (failures->count < 4) failures->last[failures->count] = id;
  failures->count++;
  return true;
}

static const char *name_of(enum vmcs_check check) {
  return check < CHECK_COUNT ? vmcs_check_info[check].id : "none";
}

static struct failures all_failures(struct setup *setup) {
  struct failures failures = {0};
  size_t count = vmcs_check_all(&setup->vmcs, &setup->environment, collect, &failures);
  EXPECT_EQ("vmcs_check_all's count and its reports", count, failures.count);
  return failures;
}

static bool expect_clean(struct setup *setup, const char *what) {
  struct failures failures = all_failures(setup);
  enum vmcs_check first = vmcs_check_first(&setup->vmcs, &setup->environment);
  char message[128];
  snprintf(message, sizeof message, "%s: first failure", what);
  bool clean = EXPECT_STRING(message, name_of(first), "none");
  return EXPECT_EQ(what, failures.count, 0) && clean;
}

static bool is_change(const struct check_case *row, unsigned i) {
  const struct change *change = &row->changes[i];
  return i == 0 || change->field != 0 || change->value != 0; /* 0 names the VPID */
}

static void apply_one(struct setup *setup, const struct change *change) {
  if (change->flips)
    flip(setup, change->field, change->value);
  else
    put(setup, change->field, change->value);
}

static void apply(struct setup *setup, const struct check_case *row) {
  for (unsigned i = 0; i < 4 && is_change(row, i); i++) apply_one(setup, &row->changes[i]);
}

static void valid_states_pass(void) {
  static const struct {
    const char *name;
    void (*base)(struct setup *);
  } bases[] = {
      {"64-bit", base_64},
      {"without EPT", base_no_ept},
      {"PAE", base_pae},
      {"v86", base_v86},
      {"32-bit host", base_host_32},
      {"tertiary", with_tertiary},
      {"no A/D", without_dirty_flags},
      {"SMM", with_smm_controls},
  };
  for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
    struct setup setup;
    start(&setup, bases[i].base);
    expect_clean(&setup, bases[i].name);
    EXPECT_EQ(bases[i].name, vmcs_header(&setup.vmcs)->checked, ALL_GROUPS);
  }
}

static void broken_rule_yields_its_id_alone(void) {
  for (size_t i = 0; i < CASE_COUNT; i++) {
    const char *name = name_of(cases[i].check);
    struct setup setup;
    start(&setup, cases[i].base);
    if (!expect_clean(&setup, name)) continue;
    apply(&setup, &cases[i]);
    enum vmcs_check first = vmcs_check_first(&setup.vmcs, &setup.environment);
    EXPECT_STRING("first failure after VMWRITE", name_of(first), name);
    struct failures failures = all_failures(&setup);
    for (unsigned j = 0; j < failures.count && j < 4; j++)
      EXPECT_STRING("failure among all", name_of(failures.last[j]), name);
    EXPECT_EQ(name, failures.count, 1);
    first = vmcs_check_first(&setup.vmcs, &setup.environment);
    EXPECT_STRING("asked again", name_of(first), name);
  }
}

static bool fails(struct setup *setup, enum vmcs_check check) {
  struct failures failures = all_failures(setup);
  for (unsigned i = 0; i < failures.count && i < 4; i++)
    if (failures.last[i] == check) return true;
  return failures.count > 4;
}

/* If the rule holds without one of the changes, then this write alone must make it run again. */
static void each_write_that_matters_reruns_the_rule(void) {
  for (size_t i = 0; i < CASE_COUNT; i++) {
    for (unsigned late = 0; late < 4 && is_change(&cases[i], late); late++) {
      struct setup setup;
      start(&setup, cases[i].base);
      for (unsigned j = 0; j < 4 && is_change(&cases[i], j); j++)
        if (j != late) apply_one(&setup, &cases[i].changes[j]);
      if (fails(&setup, cases[i].check)) continue;
      vmcs_header(&setup.vmcs)->checked = ALL_GROUPS;
      apply_one(&setup, &cases[i].changes[late]);
      enum vmcs_check first = vmcs_check_first(&setup.vmcs, &setup.environment);
      EXPECT_STRING("after the last write", name_of(first), name_of(cases[i].check));
    }
  }
}

static void base_real_mode(struct setup *setup) {
  base_pae(setup);
  flip(setup, GUEST_CR0, BIT(31) | BIT(0));
}

/* Inputs of more than one rule, where the cases above stop at another group. */
static void write_of_a_shared_input_reruns_its_groups(void) {
  static const struct check_case rows[] = {
      {CHECK_HOST_EFER_LMA, base_64, {EXIT(HOST_ADDR_SPACE_SIZE)}},
      {CHECK_GUEST_ES_BASE_V86, base_pae, {SET(GUEST_RFLAGS, 0x20202)}},
      {CHECK_GUEST_CR0_FIXED, base_real_mode, {PRIMARY(ACTIVATE_SECONDARY_CONTROLS)}},
      {CHECK_GUEST_CR0_FIXED, base_real_mode, {SECONDARY(SECOND(UNRESTRICTED_GUEST))}},
      {CHECK_GUEST_EFER_LMA, base_64, {ENTRY(IA32E_MODE)}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct setup setup;
    start(&setup, rows[i].base);
    expect_clean(&setup, name_of(rows[i].check));
    apply(&setup, &rows[i]);
    enum vmcs_check first = vmcs_check_first(&setup.vmcs, &setup.environment);
    EXPECT_STRING("first failure", name_of(first), name_of(rows[i].check));
  }
}

static void every_row_has_a_case(void) {
  for (unsigned check = 0; check < CHECK_COUNT; check++) {
    unsigned found = 0;
    for (size_t i = 0; i < CASE_COUNT; i++) found += (unsigned)cases[i].check == check;
    EXPECT_EQ(vmcs_check_info[check].id, found, 1);
  }
}

static void rows_agree_with_their_stage(void) {
  static const char *const prefix[STAGE_COUNT] = {
      [STAGE_CONTROL] = "CONTROL_", [STAGE_HOST] = "HOST_", [STAGE_GUEST] = "GUEST_"};
  static const unsigned outcome[STAGE_COUNT] = {
      [STAGE_CONTROL] = VMXERR_ENTRY_INVALID_CONTROL_FIELD,
      [STAGE_HOST] = VMXERR_ENTRY_INVALID_HOST_STATE_FIELD,
      [STAGE_GUEST] = EXIT_REASON_INVALID_STATE};
  for (unsigned i = 0; i < CHECK_COUNT; i++) {
    const struct vmcs_check_info *info = &vmcs_check_info[i];
    EXPECT_TRUE(info->id, strncmp(info->id, prefix[info->stage], strlen(prefix[info->stage])) == 0);
    EXPECT_EQ(info->id, info->outcome, outcome[info->stage]);
    EXPECT_TRUE(info->id, i == 0 || info->stage >= vmcs_check_info[i - 1].stage);
  }
  EXPECT_EQ("PDPTE", vmcs_check_info[CHECK_GUEST_PDPTE0_RESERVED].qualification, 2);
  EXPECT_EQ("NMI", vmcs_check_info[CHECK_GUEST_INTERRUPTIBILITY_NMI_STI].qualification, 3);
  EXPECT_EQ("link", vmcs_check_info[CHECK_GUEST_LINK_POINTER_ADDRESS].qualification, 4);
}

static void permuted_layout_yields_same(void) {
  for (size_t i = 0; i < CASE_COUNT; i++) {
    struct setup plain, permuted;
    start(&plain, cases[i].base);
    apply(&plain, &cases[i]);
    permuted = plain;
    permuted.vmcs = (struct vmcs){permuted.region, &permuted.layout};
    permuted.environment.capability = &permuted.capability;
    permuted.environment.context = &permuted;
    memset(permuted.region, 0, sizeof permuted.region);
    vmcs_layout_permute(&permuted.layout, 7 + i);
    for (unsigned field = 0; field < FIELD_COUNT; field++)
      vmcs_set(&permuted.vmcs, (enum vmcs_field)field,
               vmcs_get(&plain.vmcs, (enum vmcs_field)field));
    enum vmcs_check first = vmcs_check_first(&permuted.vmcs, &permuted.environment);
    EXPECT_STRING("permuted", name_of(first), name_of(cases[i].check));
  }
}

static void expect_first(struct setup *setup, const char *expected) {
  enum vmcs_check first = vmcs_check_first(&setup->vmcs, &setup->environment);
  EXPECT_STRING("first failure", name_of(first), expected);
}

static void memory_change_is_seen_without_vmwrite(void) {
  struct setup setup;
  start(&setup, base_64);
  put(&setup, VMCS_LINK_POINTER, SHADOW_PAGE);
  expect_clean(&setup, "linked to a shadow VMCS");
  setup.memory[SHADOW_PAGE / 4] ^= 1;
  expect_first(&setup, "GUEST_LINK_POINTER_REVISION");
  start(&setup, base_64);
  flip(&setup, SECONDARY_VM_EXEC_CONTROL, SECOND(VIRTUALIZE_APIC_ACCESSES));
  put(&setup, TPR_THRESHOLD, 1);
  setup.memory[(0x4000 + 0x80) / 4] = 0x10;
  expect_clean(&setup, "threshold not above VTPR");
  setup.memory[(0x4000 + 0x80) / 4] = 0x0f;
  expect_first(&setup, "CONTROL_TPR_THRESHOLD_VTPR");
}

static void mode_change_is_seen_without_vmwrite(void) {
  struct setup setup;
  start(&setup, base_64);
  expect_clean(&setup, "64-bit host");
  setup.environment.efer = 0x801;
  expect_first(&setup, "HOST_MODE_GUEST_IA32E");
  start(&setup, base_host_32);
  put(&setup, GUEST_CR4, 0x2000);
  expect_clean(&setup, "32-bit host");
  setup.environment.efer = 0xd01;
  expect_first(&setup, "HOST_MODE_SPACE_32");
  start(&setup, with_smm_controls);
  setup.environment.in_smm = true;
  flip(&setup, VM_ENTRY_CONTROLS, VMCS_BIT(VM_ENTRY_SMM));
  expect_clean(&setup, "in SMM");
  setup.environment.in_smm = false;
  expect_first(&setup, "CONTROL_ENTRY_SMM");
}

static void high_rip_outside_64_bit_mode_fails(void) {
  struct setup setup;
  start(&setup, base_64);
  put(&setup, GUEST_CS_AR_BYTES, 0xc09b);
  expect_clean(&setup, "compatibility mode");
  put(&setup, GUEST_RIP, UINT64_C(0xffff800000000000));
  expect_first(&setup, "GUEST_RIP_HIGH");
  start(&setup, base_pae);
  put(&setup, GUEST_CR4, 0x2000);
  expect_clean(&setup, "32-bit paging");
  put(&setup, GUEST_RIP, BIT(32));
  expect_first(&setup, "GUEST_RIP_HIGH");
}

static void pdptes_without_ept_come_from_memory(void) {
  struct setup setup;
  start(&setup, base_no_ept);
  flip(&setup, VM_ENTRY_CONTROLS, VMCS_BIT(VM_ENTRY_IA32E_MODE));
  put(&setup, GUEST_IA32_EFER, 0x801);
  put(&setup, GUEST_CS_AR_BYTES, 0xc09b);
  put(&setup, GUEST_PDPTR1, 3);
  expect_clean(&setup, "the fields do not count");
  setup.memory[(0x1000 + 8) / 4] = 3;
  EXPECT_STRING("memory", name_of(vmcs_check_first(&setup.vmcs, &setup.environment)),
                "GUEST_PDPTE1_RESERVED");
}

/* Near misses: what looks wrong and is right. */
static void allowed_oddities_pass(void) {
  static const struct check_case odd[] = {
      {CHECK_NONE, base_64, {SET(GUEST_RIP, BIT(47))}}, /* bits above the width agree */
      {CHECK_NONE, base_64, {SET(GUEST_ES_AR_BYTES, 0x10000), SET(GUEST_ES_LIMIT, 5)}},
      {CHECK_NONE, base_64, {SET(GUEST_LDTR_AR_BYTES, 0x10000), SET(GUEST_LDTR_BASE, BIT(47))}},
      {CHECK_NONE, base_64, {SET(GUEST_CS_AR_BYTES, 0xa093)}},
      {CHECK_NONE, base_64, {SET(HOST_SS_SELECTOR, 0)}},
      {CHECK_NONE, base_64, {SET(VM_EXIT_MSR_LOAD_ADDR, 7)}}, /* count 0 */
      {CHECK_NONE, base_64, {SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000b0e)}},
      {CHECK_NONE, base_64, {SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000603)}}, /* length 0 */
      {CHECK_NONE,
       base_64,
       {SET(GUEST_ACTIVITY_STATE, 1), SET(VM_ENTRY_INTR_INFO_FIELD, 0x80000700)}},
      {CHECK_NONE, base_pae, {FLIP(GUEST_CR0, BIT(31) | BIT(0))}}, /* real mode */
      {CHECK_NONE, base_pae, {SET(GUEST_TR_AR_BYTES, 0x83)}},
      {CHECK_NONE, base_pae, {SET(GUEST_PDPTR0, 0x1e6)}}, /* not present */
      {CHECK_NONE, base_64, {PRIMARY(ACTIVATE_SECONDARY_CONTROLS), SET(EPT_POINTER, 1)}},
      {CHECK_NONE, base_64, {FLIP(GUEST_CR0, BIT(30) | BIT(29))}}, /* CD, NW */
  };
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
    struct setup setup;
    start(&setup, odd[i].base);
    apply(&setup, &odd[i]);
    char name[32];
    snprintf(name, sizeof name, "oddity %zu", i);
    expect_clean(&setup, name);
  }
}

CU_TestInfo vmcs_check_tests[] = {
    {"valid_states_pass", valid_states_pass},
    {"broken_rule_yields_its_id_alone", broken_rule_yields_its_id_alone},
    {"each_write_that_matters_reruns_the_rule", each_write_that_matters_reruns_the_rule},
    {"write_of_a_shared_input_reruns_its_groups", write_of_a_shared_input_reruns_its_groups},
    {"every_row_has_a_case", every_row_has_a_case},
    {"rows_agree_with_their_stage", rows_agree_with_their_stage},
    {"permuted_layout_yields_same", permuted_layout_yields_same},
    {"memory_change_is_seen_without_vmwrite", memory_change_is_seen_without_vmwrite},
    {"mode_change_is_seen_without_vmwrite", mode_change_is_seen_without_vmwrite},
    {"high_rip_outside_64_bit_mode_fails", high_rip_outside_64_bit_mode_fails},
    {"pdptes_without_ept_come_from_memory", pdptes_without_ept_come_from_memory},
    {"allowed_oddities_pass", allowed_oddities_pass},
    CU_TEST_INFO_NULL,
};
