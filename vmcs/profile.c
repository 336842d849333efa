/* SPDX-License-Identifier: MIT
 * Processor profiles: which controls may be 1, and what CPUID says.
 *
 * All leave out what Nestor does not model: VM functions, SGX, Intel PT, SMM transfer monitor,
 * MPX, PKU, AVX-512, and of the activity states all but HLT. */
#include "vmcs/profile.h"

#define ARRAY_LEN(array) (sizeof(array) / sizeof(array)[0])

/* Revision 0x12, 4096 bytes, write-back, INS and OUTS reported, "TRUE" control MSRs. */
#define BASIC_VALUE                                                                \
  (UINT64_C(0x12) | UINT64_C(4096) << 32 | UINT64_C(6) << 50 | UINT64_C(1) << 54 | \
   UINT64_C(1) << 55)

/* IA32_VMX_MISC */
enum {
  MISC_STORES_LMA = 1 << 5, /* with unrestricted guest */
  MISC_HLT = 1 << 6,
  MISC_CR3_TARGETS = 4 << 16,
  MISC_VMWRITE_ANY = 1 << 29,
  MISC_INJECT_LENGTH_0 = 1 << 30,
};

/* IA32_VMX_EPT_VPID_CAP */
#define EPT_EXECUTE_ONLY (UINT64_C(1) << 0)
#define EPT_COMMON                                                                            \
  (UINT64_C(1) << 6 /* 4 levels */ | UINT64_C(1) << 8 /* UC */ | UINT64_C(1) << 14 /* WB */ | \
   UINT64_C(1) << 16 /* 2 MB */)
#define EPT_1GB (UINT64_C(1) << 17)
#define EPT_ACCESSED_DIRTY (UINT64_C(1) << 21)
#define EPT_ADVANCED_EXIT (UINT64_C(1) << 22)
#define EPT_INVEPT (UINT64_C(1) << 20 | UINT64_C(1) << 25 | UINT64_C(1) << 26)
#define VPID_INVVPID (UINT64_C(1) << 32 | UINT64_C(15) << 40)

#define PIN_COMMON                                                       \
  (VMCS_BIT(PIN_BASED_EXT_INTR_MASK) | VMCS_BIT(PIN_BASED_NMI_EXITING) | \
   VMCS_BIT(PIN_BASED_VIRTUAL_NMIS) | VMCS_BIT(PIN_BASED_VMX_PREEMPTION_TIMER))

/* All of the primary controls but "activate tertiary controls" have been there since 2008. */
#define PRIMARY_COMMON                                                                \
  (VMCS_BIT(CPU_BASED_INTR_WINDOW_EXITING) | VMCS_BIT(CPU_BASED_USE_TSC_OFFSETTING) | \
   VMCS_BIT(CPU_BASED_HLT_EXITING) | VMCS_BIT(CPU_BASED_INVLPG_EXITING) |             \
   VMCS_BIT(CPU_BASED_MWAIT_EXITING) | VMCS_BIT(CPU_BASED_RDPMC_EXITING) |            \
   VMCS_BIT(CPU_BASED_RDTSC_EXITING) | VMCS_BIT(CPU_BASED_CR3_LOAD_EXITING) |         \
   VMCS_BIT(CPU_BASED_CR3_STORE_EXITING) | VMCS_BIT(CPU_BASED_CR8_LOAD_EXITING) |     \
   VMCS_BIT(CPU_BASED_CR8_STORE_EXITING) | VMCS_BIT(CPU_BASED_TPR_SHADOW) |           \
   VMCS_BIT(CPU_BASED_NMI_WINDOW_EXITING) | VMCS_BIT(CPU_BASED_MOV_DR_EXITING) |      \
   VMCS_BIT(CPU_BASED_UNCOND_IO_EXITING) | VMCS_BIT(CPU_BASED_USE_IO_BITMAPS) |       \
   VMCS_BIT(CPU_BASED_MONITOR_TRAP_FLAG) | VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS) |      \
   VMCS_BIT(CPU_BASED_MONITOR_EXITING) | VMCS_BIT(CPU_BASED_PAUSE_EXITING) |          \
   VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))

#define SECONDARY_NEHALEM                                                                    \
  (VMCS_BIT(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) | VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT) | \
   VMCS_BIT(SECONDARY_EXEC_DESC) | VMCS_BIT(SECONDARY_EXEC_ENABLE_RDTSCP) |                  \
   VMCS_BIT(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE) | VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID) |  \
   VMCS_BIT(SECONDARY_EXEC_WBINVD_EXITING))

#define SECONDARY_HASWELL                                                                  \
  (SECONDARY_NEHALEM | VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST) |                       \
   VMCS_BIT(SECONDARY_EXEC_PAUSE_LOOP_EXITING) | VMCS_BIT(SECONDARY_EXEC_RDRAND_EXITING) | \
   VMCS_BIT(SECONDARY_EXEC_ENABLE_INVPCID) | VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS))

#define SECONDARY_BROADWELL                                                                   \
  (SECONDARY_HASWELL | VMCS_BIT(SECONDARY_EXEC_APIC_REGISTER_VIRT) |                          \
   VMCS_BIT(SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY) | VMCS_BIT(SECONDARY_EXEC_RDSEED_EXITING) | \
   VMCS_BIT(SECONDARY_EXEC_ENABLE_PML))

#define SECONDARY_SKYLAKE                                         \
  (SECONDARY_BROADWELL | VMCS_BIT(SECONDARY_EXEC_ENABLE_XSAVES) | \
   VMCS_BIT(SECONDARY_EXEC_MODE_BASED_EPT_EXEC) | VMCS_BIT(SECONDARY_EXEC_TSC_SCALING))

#define EXIT_COMMON                                                                    \
  (VMCS_BIT(VM_EXIT_SAVE_DEBUG_CONTROLS) | VMCS_BIT(VM_EXIT_HOST_ADDR_SPACE_SIZE) |    \
   VMCS_BIT(VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL) | VMCS_BIT(VM_EXIT_ACK_INTR_ON_EXIT) | \
   VMCS_BIT(VM_EXIT_SAVE_IA32_PAT) | VMCS_BIT(VM_EXIT_LOAD_IA32_PAT) |                 \
   VMCS_BIT(VM_EXIT_SAVE_IA32_EFER) | VMCS_BIT(VM_EXIT_LOAD_IA32_EFER) |               \
   VMCS_BIT(VM_EXIT_SAVE_VMX_PREEMPTION_TIMER))

#define ENTRY_COMMON                                                                  \
  (VMCS_BIT(VM_ENTRY_LOAD_DEBUG_CONTROLS) | VMCS_BIT(VM_ENTRY_IA32E_MODE) |           \
   VMCS_BIT(VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL) | VMCS_BIT(VM_ENTRY_LOAD_IA32_PAT) | \
   VMCS_BIT(VM_ENTRY_LOAD_IA32_EFER))

/* "GenuineIntel" */
#define VENDOR 0x756e6547, 0x6c65746e, 0x49656e69
/* Leaf 1 EDX: FPU to SSE2 without APIC thermal and debug-store features. */
#define LEAF1_EDX 0x078bfbff
/* Leaf 1 ECX: SSE3, MONITOR, VMX, SSSE3, CX16, SSE4.1, SSE4.2, x2APIC, POPCNT. */
#define LEAF1_ECX_NEHALEM 0x00b82229
/* PCLMUL, FMA, PCID, MOVBE, TSC deadline, AES, XSAVE, AVX, F16C and RDRAND more. OSXSAVE (bit 27)
 * and the APIC identifier are the machine's to add. */
#define LEAF1_ECX_HASWELL (LEAF1_ECX_NEHALEM | 0x77421002)
/* Leaf 7 EBX: FSGSBASE, BMI1, AVX2, SMEP, BMI2, ERMS, INVPCID; then RDSEED, ADX, SMAP. */
#define LEAF7_EBX_HASWELL 0x000007a9
#define LEAF7_EBX_BROADWELL (LEAF7_EBX_HASWELL | 0x001c0000)
/* 0x80000001 EDX: SYSCALL, NX, 1-GB pages, RDTSCP, long mode. ECX: LAHF, LZCNT. */
#define EXTENDED_EDX_NEHALEM 0x28100800
#define EXTENDED_EDX 0x2c100800

static const uint32_t cpuid_nehalem[][6] = {
    {0x00000000, 0, 0x0000000b, VENDOR},
    {0x00000001, 0, 0x000106a5, 0x00010800, LEAF1_ECX_NEHALEM, LEAF1_EDX},
    {0x00000002, 0, 0x55035a01, 0x00f0b2e4, 0, 0x09ca212c},
    {0x80000000, 0, 0x80000008, 0, 0, 0},
    {0x80000001, 0, 0, 0, 0x00000001, EXTENDED_EDX_NEHALEM},
    {0x80000008, 0, 0x00003028, 0, 0, 0},
};

/* XCR0 may have x87, SSE and AVX; the area is 576 + 256 bytes. */
#define CPUID_XSAVE(features)                                                                     \
  {0x0000000d, 0, 0x00000007, 0x00000340, 0x00000340, 0}, {0x0000000d, 1, (features), 0, 0, 0}, { \
    0x0000000d, 2, 0x00000100, 0x00000240, 0, 0                                                   \
  }

#define CPUID_COMMON(signature, top, leaf7_ebx, xsave, physical)                   \
  {0x00000000, 0, (top), VENDOR},                                                  \
      {0x00000001, 0, (signature), 0x00010800, LEAF1_ECX_HASWELL, LEAF1_EDX},      \
      {0x00000002, 0, 0x76036301, 0x00f0b5ff, 0, 0x00c10000},                      \
      {0x00000006, 0, 0x00000004, 0, 0, 0}, {0x00000007, 0, 0, (leaf7_ebx), 0, 0}, \
      CPUID_XSAVE(xsave), {0x80000000, 0, 0x80000008, 0, 0, 0},                    \
      {0x80000001, 0, 0, 0, 0x00000021, EXTENDED_EDX}, {                           \
    0x80000008, 0, 0x3000 | (physical), 0, 0, 0                                    \
  }

static const uint32_t cpuid_haswell[][6] = {
    CPUID_COMMON(0x000306c3, 0xd, LEAF7_EBX_HASWELL, 0x1, 39),
};
static const uint32_t cpuid_broadwell[][6] = {
    CPUID_COMMON(0x000306d4, 0x14, LEAF7_EBX_BROADWELL, 0x1, 39),
};
/* XSAVEOPT, XSAVEC, XGETBV with ECX = 1, XSAVES. */
static const uint32_t cpuid_skylake[][6] = {
    CPUID_COMMON(0x00050654, 0x16, LEAF7_EBX_BROADWELL, 0xf, 46),
};

#define WITH_CPUID(table) .cpuid = (table), .cpuid_count = ARRAY_LEN(table)

/* CR0: PE, NE and PG must be 1. CR4: VMXE must be 1. */
#define CR_FIXED(cr4_one) \
  .cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff, .cr4_fixed0 = 0x2000, .cr4_fixed1 = (cr4_one)

#define EPT_HASWELL \
  (EPT_EXECUTE_ONLY | EPT_COMMON | EPT_1GB | EPT_ACCESSED_DIRTY | EPT_INVEPT | VPID_INVVPID)
#define MISC_HASWELL (5 | MISC_STORES_LMA | MISC_HLT | MISC_CR3_TARGETS | MISC_VMWRITE_ANY)

#define SKYLAKE_BODY                                                                   \
  .basic = BASIC_VALUE, .misc = MISC_HASWELL | MISC_INJECT_LENGTH_0,                   \
  .may_be_one = {[WORD_PIN] = PIN_COMMON | VMCS_BIT(PIN_BASED_POSTED_INTR),            \
                 [WORD_PRIMARY] = PRIMARY_COMMON,                                      \
                 [WORD_SECONDARY] = SECONDARY_SKYLAKE,                                 \
                 [WORD_EXIT] = EXIT_COMMON,                                            \
                 [WORD_ENTRY] = ENTRY_COMMON},                                         \
  .ept_vpid = EPT_HASWELL | EPT_ADVANCED_EXIT, .physical_bits = 46, .linear_bits = 48, \
  CR_FIXED(0x3727ff), WITH_CPUID(cpuid_skylake)

const struct vmcs_capability vmcs_profiles[] = {
    {
        .name = "nehalem",
        .source =
            "first EPT generation: pin, primary, exit and entry words, CR0 and EPT capabilities as "
            "in a published MSR dump of a first-generation Core laptop (HP 2540p); that dump has "
            "unrestricted guest, which the step before it lacked (from memory)",
        .basic = BASIC_VALUE,
        .misc = MISC_HLT | MISC_CR3_TARGETS,
        .may_be_one = {[WORD_PIN] = PIN_COMMON,
                       [WORD_PRIMARY] = PRIMARY_COMMON,
                       [WORD_SECONDARY] = SECONDARY_NEHALEM,
                       [WORD_EXIT] = EXIT_COMMON,
                       [WORD_ENTRY] = ENTRY_COMMON},
        .ept_vpid = EPT_EXECUTE_ONLY | EPT_COMMON | EPT_INVEPT | VPID_INVVPID,
        .physical_bits = 40,
        .linear_bits = 48,
        CR_FIXED(0x27ff),
        WITH_CPUID(cpuid_nehalem),
    },
    {
        .name = "haswell",
        .source = "first generation with VMCS shadowing: EPT capabilities as in a published MSR "
                  "table of a later Core; the secondary controls from memory, not checked "
                  "against a dump",
        .basic = BASIC_VALUE,
        .misc = MISC_HASWELL,
        .may_be_one = {[WORD_PIN] = PIN_COMMON,
                       [WORD_PRIMARY] = PRIMARY_COMMON,
                       [WORD_SECONDARY] = SECONDARY_HASWELL,
                       [WORD_EXIT] = EXIT_COMMON,
                       [WORD_ENTRY] = ENTRY_COMMON},
        .ept_vpid = EPT_HASWELL,
        .physical_bits = 39,
        .linear_bits = 48,
        CR_FIXED(0x1727ff),
        WITH_CPUID(cpuid_haswell),
    },
    {
        .name = "broadwell-pml",
        .source = "the processor of the recordings in traces/recorded (their README): APICv "
                  "without posted interrupts, PML, no TSC scaling",
        .basic = BASIC_VALUE,
        .misc = MISC_HASWELL,
        .may_be_one = {[WORD_PIN] = PIN_COMMON,
                       [WORD_PRIMARY] = PRIMARY_COMMON,
                       [WORD_SECONDARY] = SECONDARY_BROADWELL,
                       [WORD_EXIT] = EXIT_COMMON,
                       [WORD_ENTRY] = ENTRY_COMMON},
        .ept_vpid = EPT_HASWELL,
        .physical_bits = 39,
        .linear_bits = 48,
        CR_FIXED(0x3727ff),
        WITH_CPUID(cpuid_broadwell),
    },
    {
        .name = "skylake-x",
        .source = "the second processor of the recordings (their README): posted interrupts, TSC "
                  "scaling; mode-based execute control, XSAVES and widths from memory",
        SKYLAKE_BODY,
    },
    {
        .name = "minimal",
        .source = "made up: the least that runs any guest with EPT, namely EPT, VPID, "
                  "unrestricted guest and nothing else of the secondary controls",
        .basic = BASIC_VALUE,
        .misc = MISC_STORES_LMA | MISC_HLT | MISC_CR3_TARGETS,
        .may_be_one = {[WORD_PIN] = PIN_COMMON,
                       [WORD_PRIMARY] = PRIMARY_COMMON,
                       [WORD_SECONDARY] = VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT) |
                                          VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID) |
                                          VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST),
                       [WORD_EXIT] = EXIT_COMMON,
                       [WORD_ENTRY] = ENTRY_COMMON},
        .ept_vpid = EPT_COMMON | EPT_INVEPT | VPID_INVVPID,
        .physical_bits = 40,
        .linear_bits = 48,
        CR_FIXED(0x27ff),
        WITH_CPUID(cpuid_nehalem),
    },
    {
        .name = "everything",
        .source = "made up: all that Nestor models; the same as skylake-x for now",
        SKYLAKE_BODY,
    },
};

const size_t vmcs_profile_count = ARRAY_LEN(vmcs_profiles);
