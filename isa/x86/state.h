/* SPDX-License-Identifier: MIT
 * The architectural registers of one x86 logical processor, as a plain struct. */
#ifndef ISA_X86_STATE_H
#define ISA_X86_STATE_H

#include <stdint.h>

enum x86_gpr {
  X86_RAX,
  X86_RCX,
  X86_RDX,
  X86_RBX,
  X86_RSP,
  X86_RBP,
  X86_RSI,
  X86_RDI,
  X86_R8,
  X86_R9,
  X86_R10,
  X86_R11,
  X86_R12,
  X86_R13,
  X86_R14,
  X86_R15,
  X86_GPR_COUNT
};

/* Segment registers in the order of the VMCS guest-state area. */
enum x86_segment_index {
  X86_ES,
  X86_CS,
  X86_SS,
  X86_DS,
  X86_FS,
  X86_GS,
  X86_LDTR,
  X86_TR,
  X86_SEGMENT_COUNT
};

/* Access rights are kept in the VMCS format (SDM 3C "Guest Register State"), bit 16 = unusable. */
struct x86_segment {
  uint64_t base;
  uint32_t limit;
  uint32_t access_rights;
  uint16_t selector;
};

struct x86_table {
  uint64_t base;
  uint32_t limit;
};

struct x86_state {
  uint64_t gpr[X86_GPR_COUNT];
  uint64_t rip;
  uint64_t rflags;
  uint64_t cr0, cr2, cr3, cr4, cr8;
  uint64_t xcr0;
  uint64_t dr[8]; /* 0 to 3, 6 and 7 used */
  struct x86_segment segment[X86_SEGMENT_COUNT];
  struct x86_table gdtr, idtr;
  /* MSRs that VM entry and exit move, or that instructions consult. */
  uint64_t efer, pat, debugctl;
  uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
  uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
  uint32_t interruptibility;         /* VMCS format: bit 0 STI, 1 MOV SS, 2 SMI, 3 NMI */
  uint32_t activity;                 /* VMCS format: 0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI */
  uint64_t pending_debug_exceptions; /* VMCS format */
};

enum {
  X86_RFLAGS_CF = 1 << 0,
  X86_RFLAGS_FIXED = 1 << 1,
  X86_RFLAGS_PF = 1 << 2,
  X86_RFLAGS_AF = 1 << 4,
  X86_RFLAGS_ZF = 1 << 6,
  X86_RFLAGS_SF = 1 << 7,
  X86_RFLAGS_TF = 1 << 8,
  X86_RFLAGS_IF = 1 << 9,
  X86_RFLAGS_DF = 1 << 10,
  X86_RFLAGS_OF = 1 << 11,
  X86_RFLAGS_IOPL = 3 << 12,
  X86_RFLAGS_NT = 1 << 14,
  X86_RFLAGS_RF = 1 << 16,
  X86_RFLAGS_VM = 1 << 17,
  X86_RFLAGS_AC = 1 << 18,
};

#define X86_CR0_PE (UINT64_C(1) << 0)
#define X86_CR0_MP (UINT64_C(1) << 1)
#define X86_CR0_EM (UINT64_C(1) << 2)
#define X86_CR0_TS (UINT64_C(1) << 3)
#define X86_CR0_ET (UINT64_C(1) << 4)
#define X86_CR0_NE (UINT64_C(1) << 5)
#define X86_CR0_WP (UINT64_C(1) << 16)
#define X86_CR0_AM (UINT64_C(1) << 18)
#define X86_CR0_NW (UINT64_C(1) << 29)
#define X86_CR0_CD (UINT64_C(1) << 30)
#define X86_CR0_PG (UINT64_C(1) << 31)
#define X86_CR4_PSE (UINT64_C(1) << 4)
#define X86_CR4_PAE (UINT64_C(1) << 5)
#define X86_CR4_MCE (UINT64_C(1) << 6)
#define X86_CR4_PGE (UINT64_C(1) << 7)
#define X86_CR4_VMXE (UINT64_C(1) << 13)
#define X86_CR4_SMXE (UINT64_C(1) << 14)
#define X86_CR4_PCIDE (UINT64_C(1) << 17)
#define X86_CR4_OSXSAVE (UINT64_C(1) << 18)
#define X86_CR4_SMEP (UINT64_C(1) << 20)
#define X86_CR4_SMAP (UINT64_C(1) << 21)
#define X86_EFER_SCE (UINT64_C(1) << 0)
#define X86_EFER_LME (UINT64_C(1) << 8)
#define X86_EFER_LMA (UINT64_C(1) << 10)
#define X86_EFER_NXE (UINT64_C(1) << 11)

enum {
  X86_EXCEPTION_DE = 0,
  X86_EXCEPTION_DB = 1,
  X86_EXCEPTION_BP = 3,
  X86_EXCEPTION_OF = 4,
  X86_EXCEPTION_UD = 6,
  X86_EXCEPTION_NM = 7,
  X86_EXCEPTION_DF = 8,
  X86_EXCEPTION_TS = 10,
  X86_EXCEPTION_NP = 11,
  X86_EXCEPTION_SS = 12,
  X86_EXCEPTION_GP = 13,
  X86_EXCEPTION_PF = 14,
  X86_EXCEPTION_AC = 17,
};

#endif
