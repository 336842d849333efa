/* SPDX-License-Identifier: MIT
 * First control: VMXON, what the processor can do, the guest's VMCS and memory, and its launch.
 * Every step is an instruction at this hypervisor's own level, exits and all. */
#include "src/hypervisor/hv.h"

enum {
  MSR_VMX_BASIC = 0x480,
  MSR_VMX_MISC = 0x485,
  MSR_VMX_CR0_FIXED0 = 0x486,
  MSR_VMX_PROCBASED2 = 0x48b,
  MSR_VMX_EPT_VPID = 0x48c,
  MSR_VMX_TRUE_PIN = 0x48d,
  MSR_VMX_TERTIARY = 0x492,
  MSR_COUNT = 20,
  HOST_CS = 0x08,
  HOST_DATA = 0x10,
  HOST_TSS = 0x18
};

static uint64_t capability(struct hv *hv, unsigned msr) {
  uint64_t value = 0;
  if (!nst_rdmsr(hv->cpu, msr, &value)) return 0;
  return value;
}

/* MSR that says which bits of a control word may be 1: in its high half, or all 64 for tertiary. */
static uint64_t may_be_one(struct hv *hv, enum vmcs_control_word word) {
  static const unsigned msr[] = {
      [WORD_PIN] = MSR_VMX_TRUE_PIN,         [WORD_PRIMARY] = MSR_VMX_TRUE_PIN + 1,
      [WORD_SECONDARY] = MSR_VMX_PROCBASED2, [WORD_TERTIARY] = MSR_VMX_TERTIARY,
      [WORD_EXIT] = MSR_VMX_TRUE_PIN + 2,    [WORD_ENTRY] = MSR_VMX_TRUE_PIN + 3};
  if (word == WORD_TERTIARY) return 0; /* never activated here */
  return capability(hv, msr[word]) >> 32;
}

static uint64_t adjust(struct hv *hv, enum vmcs_control_word word, uint64_t wanted) {
  static const unsigned msr[] = {
      [WORD_PIN] = MSR_VMX_TRUE_PIN,         [WORD_PRIMARY] = MSR_VMX_TRUE_PIN + 1,
      [WORD_SECONDARY] = MSR_VMX_PROCBASED2, [WORD_TERTIARY] = MSR_VMX_TERTIARY,
      [WORD_EXIT] = MSR_VMX_TRUE_PIN + 2,    [WORD_ENTRY] = MSR_VMX_TRUE_PIN + 3};
  uint64_t value = capability(hv, msr[word]);
  return (wanted | (value & UINT32_MAX)) & value >> 32;
}

/* What there is only with EPT, as features and as secondary controls. */
#define WITH_EPT                                                                            \
  (UINT64_C(1) << VMCS_HAS_EPT | UINT64_C(1) << VMCS_HAS_UNRESTRICTED_GUEST |               \
   UINT64_C(1) << VMCS_HAS_VM_FUNCTIONS | UINT64_C(1) << VMCS_HAS_PML |                     \
   UINT64_C(1) << VMCS_HAS_EPT_VIOLATION_VE | UINT64_C(1) << VMCS_HAS_MODE_BASED_EPT_EXEC | \
   UINT64_C(1) << VMCS_HAS_SUB_PAGE_WRITE)
#define CONTROLS_WITH_EPT                                                                     \
  (VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT) | VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST) |        \
   VMCS_BIT(SECONDARY_EXEC_ENABLE_VMFUNC) | VMCS_BIT(SECONDARY_EXEC_ENABLE_PML) |             \
   VMCS_BIT(SECONDARY_EXEC_EPT_VIOLATION_VE) | VMCS_BIT(SECONDARY_EXEC_MODE_BASED_EPT_EXEC) | \
   VMCS_BIT(SECONDARY_EXEC_SUB_PAGE_WRITE))

static void find_features(struct hv *hv) {
  static const struct {
    uint8_t word, bit;
  } feature[] = {
#define VMCS_FEATURE(name, word, control) {word, control##_BIT},
#include "vmcs/feature.def"
  };
  uint64_t may[WORD_COUNT];
  for (unsigned i = 0; i < WORD_COUNT; i++) may[i] = may_be_one(hv, (enum vmcs_control_word)i);
  hv->features = 1;
  for (unsigned i = 0; i < sizeof feature / sizeof feature[0]; i++)
    if (may[feature[i].word] >> feature[i].bit & 1) hv->features |= UINT64_C(2) << i;
  if (hv->flags & HV_SHADOW_PAGING) hv->features &= ~WITH_EPT;
  hv_store(hv, HV_AT(features), hv->features);
}

/* CR0.WP stays set, or the guest could write what its shadow protects. */
static void prepare_shadows(struct hv *hv) {
  const uint64_t write_protect = 1 << 16;
  uint32_t sizes[4];
  hv_store(hv, HV_AT(own_cr_fixed), hv_load(hv, HV_AT(own_cr_fixed)) | write_protect);
  nst_cpuid(hv->cpu, 0x80000008, 0, sizes);
  hv_store(hv, HV_AT(physical_bits), sizes[0] & 0xff);
}

/* A guest hypervisor whose own guest's memory this one shadows gets no EPT. */
static uint64_t without_ept(unsigned msr, uint64_t value) {
  const uint64_t invvpid = UINT64_C(0xfff) << 32, stores_lma = 1 << 5;
  if (msr == MSR_VMX_PROCBASED2) return value & ~(CONTROLS_WITH_EPT << 32);
  if (msr == MSR_VMX_EPT_VPID) return value & invvpid;
  return msr == MSR_VMX_MISC ? value & ~stores_lma : value;
}

/* What the guest is offered: what this level has, with a VMCS format of its own. */
static void offer_capabilities(struct hv *hv) {
  const uint64_t basic = UINT64_C(0x00d8) << 48 | UINT64_C(0x1000) << 32 | HV_REVISION;
  for (unsigned i = 0; i < MSR_COUNT; i++) {
    uint64_t value = capability(hv, MSR_VMX_BASIC + i);
    if (MSR_VMX_BASIC + i == MSR_VMX_BASIC) value = basic;
    if (MSR_VMX_BASIC + i == MSR_VMX_TERTIARY) value = 0;
    if (!hv_has(hv, VMCS_HAS_EPT)) value = without_ept(MSR_VMX_BASIC + i, value);
    hv_store(hv, HV_AT(capability) + 8 * i, value);
  }
  for (unsigned i = 0; i < 4; i++)
    hv_store(hv, HV_AT(own_cr_fixed) + 8 * i,
             hv_load(hv, HV_AT(capability) + 8 * (MSR_VMX_CR0_FIXED0 - MSR_VMX_BASIC + i)));
  if (!hv_has(hv, VMCS_HAS_EPT)) prepare_shadows(hv);
}

static void enter_vmx(struct hv *hv) {
  const uint64_t vmxe = 1 << 13, osxsave = 1 << 18, xsave = 1 << 26;
  uint32_t features[4], components[4];
  nst_cpuid(hv->cpu, 1, 0, features);
  if (features[2] & xsave) {
    nst_cpuid(hv->cpu, 0xd, 0, components);
    nst_write_cr(hv->cpu, 4, nst_read_cr(hv->cpu, 4) | osxsave);
    nst_xsetbv(hv->cpu, 0, components[0] & 7);
    hv_store(hv, HV_AT(host_xcr0), components[0] & 7);
    hv_store(hv, HV_AT(guest_xcr0), 1);
    hv->flags |= HV_XCR0_DIFFERS;
  }
  uint64_t revision = capability(hv, MSR_VMX_BASIC) & 0x7fffffff;
  nst_write_cr(hv->cpu, 4, nst_read_cr(hv->cpu, 4) | vmxe);
  nst_store(hv->cpu, HV_VMXON_REGION, 4, revision);
  nst_vmxon(hv->cpu, HV_VMXON_REGION);
  for (unsigned i = 0; i < HV_REGION_COUNT; i++) {
    uint64_t region = hv_region_address((enum hv_region)i);
    bool shadow = i == HV_REGION_SHADOW;
    if (shadow && !hv_has(hv, VMCS_HAS_SHADOW_VMCS)) continue;
    nst_store(hv->cpu, region, 4, revision | (shadow ? UINT64_C(1) << 31 : 0));
    nst_vmclear(hv->cpu, region);
  }
}

/* ---- bitmaps: every MSR exits but FS and GS base; shadowed fields do not */

static void fill(struct hv *hv, uint64_t page) {
  for (unsigned i = 0; i < 512; i++) nst_store(hv->cpu, page + 8 * i, 8, UINT64_MAX);
}

static void clear_bit(struct hv *hv, uint64_t page, unsigned bit) {
  uint64_t byte = page + bit / 8;
  nst_store(hv->cpu, byte, 1, nst_load(hv->cpu, byte, 1) & ~(UINT64_C(1) << bit % 8));
}

static void make_bitmaps(struct hv *hv) {
  enum {
    READ_HIGH = 0x400 * 8,
    WRITE_HIGH = 0xc00 * 8,
    FS_BASE = 0x100,
    GS_BASE = 0x101,
    KERNEL_GS_BASE = 0x102
  };
  fill(hv, HV_MSR_BITMAP);
  fill(hv, HV_MERGED_MSR_BITMAP);
  for (unsigned msr = FS_BASE; msr <= KERNEL_GS_BASE; msr++) {
    clear_bit(hv, HV_MSR_BITMAP, READ_HIGH + msr);
    clear_bit(hv, HV_MSR_BITMAP, WRITE_HIGH + msr);
  }
  if (!hv_has(hv, VMCS_HAS_SHADOW_VMCS)) return;
  fill(hv, HV_VMREAD_BITMAP);
  fill(hv, HV_VMWRITE_BITMAP);
  for (unsigned i = 0; i < FIELD_COUNT; i++) {
    unsigned group = hv_field_group[i], encoding = vmcs_field_info[i].encoding;
    if (!hv_field_exists(hv, (enum vmcs_field)i)) continue;
    if (i == FIELD_GUEST_INTR_STATUS && !hv_has_apicv(hv)) continue;
    if (group & (HV_SHADOW_RW | HV_SHADOW_RO)) clear_bit(hv, HV_VMREAD_BITMAP, encoding);
    if (group & HV_SHADOW_RW) clear_bit(hv, HV_VMWRITE_BITMAP, encoding);
  }
}

/* ---- the guest's memory */

static void back_memory(struct hv *hv) {
  enum { LARGE = 1 << 21 };
  if (!hv_has(hv, VMCS_HAS_EPT)) return; /* shadows are always filled on demand */
  uint64_t eptp = hv_ept_new(hv, false), size = hv_load(hv, HV_AT(guest_size));
  /* The boot image is always there. */
  for (uint64_t at = hv->flags & HV_EAGER ? 0 : size - HV_GUEST_IMAGE; at < size; at += LARGE)
    hv_ept_map(hv, eptp, at, HV_CHILD_BASE + at, 2, HV_EPT_RWX | HV_EPT_WB);
  hv_store(hv, HV_AT(eptp), eptp);
}

/* ---- the VMCS of the direct guest */

static void set_controls(struct hv *hv) {
  uint64_t primary = VMCS_BIT(CPU_BASED_HLT_EXITING) | VMCS_BIT(CPU_BASED_MOV_DR_EXITING) |
                     VMCS_BIT(CPU_BASED_UNCOND_IO_EXITING) | VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS) |
                     VMCS_BIT(CPU_BASED_USE_TSC_OFFSETTING) | VMCS_BIT(CPU_BASED_MWAIT_EXITING) |
                     VMCS_BIT(CPU_BASED_MONITOR_EXITING) | VMCS_BIT(CPU_BASED_RDPMC_EXITING) |
                     VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS);
  uint64_t secondary = VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID) |
                       VMCS_BIT(SECONDARY_EXEC_WBINVD_EXITING) |
                       VMCS_BIT(SECONDARY_EXEC_ENABLE_RDTSCP);
  uint64_t exit = VMCS_BIT(VM_EXIT_HOST_ADDR_SPACE_SIZE) | VMCS_BIT(VM_EXIT_ACK_INTR_ON_EXIT) |
                  VMCS_BIT(VM_EXIT_SAVE_DEBUG_CONTROLS) | VMCS_BIT(VM_EXIT_LOAD_IA32_PAT) |
                  VMCS_BIT(VM_EXIT_SAVE_IA32_PAT) | VMCS_BIT(VM_EXIT_LOAD_IA32_EFER) |
                  VMCS_BIT(VM_EXIT_SAVE_IA32_EFER);
  uint64_t entry = VMCS_BIT(VM_ENTRY_IA32E_MODE) | VMCS_BIT(VM_ENTRY_LOAD_DEBUG_CONTROLS) |
                   VMCS_BIT(VM_ENTRY_LOAD_IA32_PAT) | VMCS_BIT(VM_ENTRY_LOAD_IA32_EFER);
  hv_set(hv, FIELD_PIN_BASED_VM_EXEC_CONTROL,
         adjust(hv, WORD_PIN, VMCS_BIT(PIN_BASED_EXT_INTR_MASK) | VMCS_BIT(PIN_BASED_NMI_EXITING)));
  const uint64_t cr3 = VMCS_BIT(CPU_BASED_CR3_LOAD_EXITING) | VMCS_BIT(CPU_BASED_CR3_STORE_EXITING);
  bool ept = hv_has(hv, VMCS_HAS_EPT);
  if (ept) secondary |= VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT);
  if (ept) secondary |= VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST);
  if (!ept) primary |= cr3 | VMCS_BIT(CPU_BASED_INVLPG_EXITING);
  hv_set(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL,
         adjust(hv, WORD_PRIMARY, primary) & (ept ? ~cr3 : UINT64_MAX));
  hv_set(hv, FIELD_SECONDARY_VM_EXEC_CONTROL, adjust(hv, WORD_SECONDARY, secondary));
  hv_set(hv, FIELD_VM_EXIT_CONTROLS, adjust(hv, WORD_EXIT, exit));
  hv_set(hv, FIELD_VM_ENTRY_CONTROLS, adjust(hv, WORD_ENTRY, entry));
  /* #UD, #AC, #MC; without EPT #PF, whatever its error code. */
  hv_set(hv, FIELD_EXCEPTION_BITMAP, 1 << 6 | 1 << 17 | 1 << 18 | (ept ? 0 : 1 << 14));
  hv_set(hv, FIELD_PAGE_FAULT_ERROR_CODE_MASK, 0);
  hv_set(hv, FIELD_PAGE_FAULT_ERROR_CODE_MATCH, 0);
  hv_set(hv, FIELD_TSC_OFFSET, 0);
  hv_set(hv, FIELD_MSR_BITMAP, HV_MSR_BITMAP);
  hv_set(hv, FIELD_VMREAD_BITMAP, HV_VMREAD_BITMAP);
  hv_set(hv, FIELD_VMWRITE_BITMAP, HV_VMWRITE_BITMAP);
  hv_set(hv, FIELD_EPT_POINTER, hv_load(hv, HV_AT(eptp)));
  hv_set(hv, FIELD_VIRTUAL_PROCESSOR_ID, hv_vpid(HV_REGION_OWN));
  hv_set(hv, FIELD_VMCS_LINK_POINTER, UINT64_MAX);
  /* The guest owns what KVM lets it own: CR0.TS; PVI, TSD, DE, OSFXSR, OSXMMEXCPT, and with EPT
   * PGE, of CR4. */
  hv_set(hv, FIELD_CR0_GUEST_HOST_MASK, ~UINT64_C(8));
  hv_set(hv, FIELD_CR4_GUEST_HOST_MASK, ept ? ~UINT64_C(0x68e) : ~UINT64_C(0x60e));
}

static void set_host(struct hv *hv) {
  uint64_t pat = 0, efer = 0;
  nst_rdmsr(hv->cpu, 0x277, &pat);
  nst_rdmsr(hv->cpu, 0xc0000080, &efer);
  hv_set(hv, FIELD_HOST_CR0, nst_read_cr(hv->cpu, 0));
  hv_set(hv, FIELD_HOST_CR3, nst_read_cr(hv->cpu, 3));
  hv_set(hv, FIELD_HOST_CR4, nst_read_cr(hv->cpu, 4));
  static const uint16_t data[] = {FIELD_HOST_ES_SELECTOR, FIELD_HOST_SS_SELECTOR,
                                  FIELD_HOST_DS_SELECTOR};
  for (unsigned i = 0; i < 3; i++) hv_set(hv, (enum vmcs_field)data[i], HOST_DATA);
  hv_set(hv, FIELD_HOST_CS_SELECTOR, HOST_CS);
  hv_set(hv, FIELD_HOST_TR_SELECTOR, HOST_TSS);
  hv_set(hv, FIELD_HOST_TR_BASE, (uint64_t)HV_TSS);
  hv_set(hv, FIELD_HOST_GDTR_BASE, HV_GDT);
  hv_set(hv, FIELD_HOST_IDTR_BASE, (uint64_t)HV_IDT);
  hv_set(hv, FIELD_HOST_IA32_PAT, pat);
  hv_set(hv, FIELD_HOST_IA32_EFER, efer);
  hv_set(hv, FIELD_HOST_RSP, HV_STATE);
  hv_set(hv, FIELD_HOST_RIP, HV_NATIVE_PAGE + NST_NATIVE_OFFSET_EXIT);
}

static void set_segments(struct hv *hv, uint64_t tss) {
  enum {
    CS = 1,
    LDTR = 6,
    TR = 7,
    CODE64 = 0xa09b,
    DATA = 0xc093,
    UNUSABLE = 0x10000,
    BUSY_TSS = 0x8b
  };
  for (unsigned i = 0; i < 8; i++) {
    uint64_t rights = i == CS ? CODE64 : i == LDTR ? UNUSABLE : i == TR ? BUSY_TSS : DATA;
    uint64_t selector = i == CS ? HOST_CS : i == LDTR ? 0 : i == TR ? HOST_TSS : HOST_DATA;
    hv_set(hv, (enum vmcs_field)(FIELD_GUEST_ES_SELECTOR + i), selector);
    hv_set(hv, (enum vmcs_field)(FIELD_GUEST_ES_AR_BYTES + i), rights);
    hv_set(hv, (enum vmcs_field)(FIELD_GUEST_ES_LIMIT + i),
           i == TR     ? 0x67
           : i == LDTR ? 0
                       : UINT32_MAX);
    hv_set(hv, (enum vmcs_field)(FIELD_GUEST_ES_BASE + i), i == TR ? tss : 0);
  }
}

static void set_guest(struct hv *hv) {
  const uint64_t cr0 = 0x80010031, cr4_visible = 0x000000a0, efer = 0xd00;
  bool hypervisor = hv->flags & HV_GUEST_IS_VMX;
  uint64_t image = hypervisor ? 0 : hv_load(hv, HV_AT(guest_size)) - HV_GUEST_IMAGE;
  hv_set(hv, FIELD_GUEST_CR0, cr0 | hv_load(hv, HV_AT(own_cr_fixed)));
  hv_set(hv, FIELD_CR0_READ_SHADOW, cr0);
  hv_set(hv, FIELD_GUEST_CR4, cr4_visible | hv_load(hv, HV_AT(own_cr_fixed) + 16));
  hv_set(hv, FIELD_CR4_READ_SHADOW, cr4_visible);
  hv_set_cr3(hv, HV_REGION_OWN, hypervisor ? (uint64_t)HV_PML4 : image + HV_GUEST_PML4);
  set_segments(hv, hypervisor ? (uint64_t)HV_TSS : image + HV_GUEST_TSS);
  hv_set(hv, FIELD_GUEST_GDTR_BASE, hypervisor ? (uint64_t)HV_GDT : image + HV_GUEST_GDT);
  hv_set(hv, FIELD_GUEST_GDTR_LIMIT, 0xffff);
  hv_set(hv, FIELD_GUEST_IDTR_BASE, hypervisor ? (uint64_t)HV_IDT : image + HV_GUEST_IDT);
  hv_set(hv, FIELD_GUEST_IDTR_LIMIT, 0xfff);
  hv_set(hv, FIELD_GUEST_RFLAGS, 2);
  hv_set(hv, FIELD_GUEST_DR7, 0x400);
  hv_set(hv, FIELD_GUEST_IA32_DEBUGCTL, 0);
  hv_set(hv, FIELD_GUEST_IA32_PAT, UINT64_C(0x0007040600070406));
  hv_set(hv, FIELD_GUEST_IA32_EFER, efer);
  hv_set(hv, FIELD_GUEST_PML_INDEX, 511);
  hv_set(hv, FIELD_GUEST_RIP,
         hypervisor ? HV_NATIVE_PAGE + NST_NATIVE_OFFSET_START : image + HV_GUEST_CODE);
  hv_set(hv, FIELD_GUEST_RSP, hypervisor ? (uint64_t)HV_STATE : image + HV_GUEST_STACK);
}

/* Host state and bitmaps of the merged VMCS never change: they are written once. */
static void prepare_merged(struct hv *hv) {
  if (!(hv->flags & HV_GUEST_IS_VMX)) return;
  hv_need_region(hv, HV_REGION_MERGED);
  set_host(hv);
  hv_set(hv, FIELD_MSR_BITMAP, HV_MERGED_MSR_BITMAP);
  hv_set(hv, FIELD_VMCS_LINK_POINTER, UINT64_MAX);
  hv_set(hv, FIELD_GUEST_PML_INDEX, 511);
  hv_flush(hv);
  hv_need_region(hv, HV_REGION_OWN);
  hv->flags |= HV_RARE_DIRTY;
}

static void start(struct hv *hv) {
  enum { LAST_GATE = 0xfff, LAST_DESCRIPTOR = 0x27 };
  nst_lgdt(hv->cpu, HV_GDT, LAST_DESCRIPTOR);
  nst_lidt(hv->cpu, HV_IDT, LAST_GATE);
  hv->flags = hv_load(hv, HV_AT(flags));
  hv->features = 0;
  find_features(hv);
  offer_capabilities(hv);
  enter_vmx(hv);
}

static void make_guest(struct hv *hv) {
  hv_at(hv, HV_REGION_SHADOW); /* none is current yet */
  hv_need_region(hv, HV_REGION_OWN);
  make_bitmaps(hv);
  back_memory(hv);
  prepare_merged(hv);
  set_controls(hv);
  set_host(hv);
  set_guest(hv);
}

enum nst_native_end hv_boot(struct hv *hv) {
  start(hv);
  hv_cpuid_init(hv);
  hv_msr_init(hv);
  hv_store(hv, HV_AT(current), HV_NO_VMCS);
  hv_store(hv, HV_AT(port_irq_mask), 0xff);
  hv_init_timer(hv);
  hv_store(hv, HV_AT(dr6), HV_DR6_RESET);
  make_guest(hv);
  enum nst_native_end end = hv_enter(hv);
  hv->level->unlisted = 0; /* booting has no profile */
  return end;
}

void hv_boot_driven(struct nst_cpu *cpu, struct hv_level *level) {
  struct hv hv;
  hv_begin(&hv, cpu, level);
  start(&hv);
}

void hv_prepare_guest(struct nst_cpu *cpu, struct hv_level *level) {
  struct hv hv;
  hv_begin(&hv, cpu, level);
  hv.flags = hv_load(&hv, HV_AT(flags));
  hv.features = hv_load(&hv, HV_AT(features));
  nst_vmclear(cpu, hv_region_address(HV_REGION_OWN));
  make_guest(&hv);
  hv_flush(&hv);
}
