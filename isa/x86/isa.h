/* SPDX-License-Identifier: MIT
 * The x86 interpreter: decode once into a micro-operation, execute many times.
 *
 * It knows registers, flags, exceptions and what instructions mean. Memory, ports, MSRs, control
 * registers and VMX are somebody else's: it reaches them only through struct isa_ops, so it can be
 * tested with a fake of a few lines. It knows neither VMCS nor page tables nor levels. */
#ifndef ISA_X86_ISA_H
#define ISA_X86_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isa/x86/state.h"

/* How one step of an instruction ended. */
enum isa_step {
  ISA_NEXT,   /* done (or, from a callback: go on) */
  ISA_FAULT,  /* an exception is in isa->fault and has not been delivered yet */
  ISA_EXIT,   /* the environment moved control elsewhere (VM exit, VM entry): state.rip is final */
  ISA_NATIVE, /* fetch hit a page whose code is native: the run loop takes over, nothing executed */
  ISA_HALTED, /* activity state is no longer active */
  ISA_STOP    /* cannot go on: isa->stop tells why in a sentence */
};

struct isa_fault {
  uint8_t vector;
  bool has_error_code;
  bool software; /* INT n, INT3, INTO: type and length matter for delivery and IDT-vectoring */
  uint32_t error_code;
  uint64_t address; /* new CR2 for #PF; DR6 bits (exit qualification) for #DB */
};

enum isa_access { ISA_ACCESS_READ, ISA_ACCESS_WRITE, ISA_ACCESS_EXECUTE };

/* What an instruction asks the environment before it acts; the `intercept` column of insn.def.
 * One kind per group of exit reasons that is decided alike. */
enum isa_intercept {
  ISA_INTERCEPT_NONE,
  ISA_INTERCEPT_CPUID,
  ISA_INTERCEPT_HLT,
  ISA_INTERCEPT_INVD,
  ISA_INTERCEPT_WBINVD,
  ISA_INTERCEPT_INVLPG,
  ISA_INTERCEPT_RDTSC,
  ISA_INTERCEPT_RDTSCP,
  ISA_INTERCEPT_RDPMC,
  ISA_INTERCEPT_RDMSR,
  ISA_INTERCEPT_WRMSR,
  ISA_INTERCEPT_IO,
  ISA_INTERCEPT_MOV_CR,
  ISA_INTERCEPT_MOV_DR,
  ISA_INTERCEPT_XSETBV,
  ISA_INTERCEPT_PAUSE,
  ISA_INTERCEPT_MWAIT,
  ISA_INTERCEPT_MONITOR,
  ISA_INTERCEPT_DESCRIPTOR_TABLE, /* LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR */
  ISA_INTERCEPT_RDRAND,
  ISA_INTERCEPT_RDSEED,
  ISA_INTERCEPT_INVPCID,
  ISA_INTERCEPT_VMX /* VMCALL, VMXON, VMREAD, ...: the operation is in isa_request.vmx */
};

enum isa_vmx_operation {
  ISA_VMCALL,
  ISA_VMCLEAR,
  ISA_VMLAUNCH,
  ISA_VMPTRLD,
  ISA_VMPTRST,
  ISA_VMREAD,
  ISA_VMRESUME,
  ISA_VMWRITE,
  ISA_VMXOFF,
  ISA_VMXON,
  ISA_INVEPT,
  ISA_INVVPID,
  ISA_VMFUNC
};

enum isa_cr_access { ISA_CR_TO, ISA_CR_FROM, ISA_CR_CLTS, ISA_CR_LMSW };

/* A memory operand as the exit's instruction information wants it. */
struct isa_memory_operand {
  uint64_t linear;       /* segment base + effective address, truncated by address size */
  uint64_t displacement; /* sign-extended */
  uint8_t segment;       /* enum x86_segment_index */
  uint8_t base, index;   /* enum x86_gpr, or ISA_NO_REGISTER */
  uint8_t scale;         /* 0 to 3 = times 1, 2, 4, 8 */
  uint8_t address_size;  /* 2, 4 or 8 bytes */
};
enum { ISA_NO_REGISTER = 0xff };

/* Everything about one instruction that its interception or its VMX execution needs. */
struct isa_request {
  enum isa_intercept intercept;
  uint8_t length; /* bytes */
  uint8_t size;   /* operand size in bytes */
  /* VMX, INVPCID, descriptor-table instructions */
  enum isa_vmx_operation vmx;
  bool memory_form; /* VMREAD/VMWRITE and table instructions: memory[] holds the operand */
  uint8_t reg1;     /* ModRM.rm register (register form), enum x86_gpr */
  uint8_t reg2;     /* ModRM.reg register */
  uint8_t table;    /* 0 SGDT 1 SIDT 2 LGDT 3 LIDT; 0 SLDT 1 STR 2 LLDT 3 LTR with table_local */
  bool table_local;
  struct isa_memory_operand memory; /* also INVLPG and string I/O */
  /* CR and DR */
  enum isa_cr_access cr_access;
  uint8_t cr;    /* control or debug register number */
  uint8_t gpr;   /* the general register involved */
  uint16_t lmsw; /* LMSW source data */
  /* MSR, port */
  uint32_t msr;
  uint16_t port;
  bool in, string, rep, immediate;
};

/* The world as the interpreter sees it. `context` is what isa_init got. All return ISA_NEXT to go
 * on, or what ended the instruction. Sizes are in bytes. */
struct isa_ops {
  /* Data access at a linear address, current privilege from state; sizes 1, 2, 4, 8; may cross a
   * page (nothing is stored unless all of it can be). */
  enum isa_step (*load)(void *context, uint64_t linear, unsigned size, uint64_t *value);
  enum isa_step (*store)(void *context, uint64_t linear, unsigned size, uint64_t value);
  /* True write access check and store in one for read-modify-write operands. */
  enum isa_step (*load_for_write)(void *context, uint64_t linear, unsigned size, uint64_t *value);
  /* Page of code that holds `linear`. *bytes: its 4096 bytes; *frame: a number unique to that
   * physical page (key of the decode cache). */
  enum isa_step (*fetch)(void *context, uint64_t linear, const uint8_t **bytes, uint64_t *frame);
  /* Asked before an instruction whose row names an intercept takes effect, after the faults that
   * come first (#UD, privilege #GP). ISA_NEXT: not intercepted. ISA_EXIT: a VM exit happened. */
  enum isa_step (*intercept)(void *context, const struct isa_request *request);
  /* Asked before an exception is delivered through the IDT. */
  enum isa_step (*exception)(void *context, const struct isa_fault *fault);
  enum isa_step (*vmx)(void *context, const struct isa_request *request);
  enum isa_step (*read_cr)(void *context, unsigned cr, uint64_t *value);
  enum isa_step (*write_cr)(void *context, unsigned cr, uint64_t value); /* faults checked there */
  enum isa_step (*read_msr)(void *context, uint32_t msr, uint64_t *value);
  enum isa_step (*write_msr)(void *context, uint32_t msr, uint64_t value);
  enum isa_step (*port_in)(void *context, uint16_t port, unsigned size, uint32_t *value);
  enum isa_step (*port_out)(void *context, uint16_t port, unsigned size, uint32_t value);
  enum isa_step (*invlpg)(void *context, uint64_t linear);
  void (*cpuid)(void *context, uint32_t leaf, uint32_t subleaf, uint32_t out[4]); /* a, b, c, d */
  uint64_t (*tsc)(void *context); /* as the guest sees it, offset applied */
};

/* An event on its way through the IDT. While `active`, a VM exit reports it as IDT-vectoring
 * information; an environment that takes such an exit copies it and clears `active`. */
struct isa_delivery {
  bool active;
  uint8_t type;   /* as in the VM-entry interruption-information field */
  uint8_t length; /* instruction length in bytes, for software events */
  bool resumes;   /* its frame would have RFLAGS.RF set */
  struct isa_fault event;
};

struct isa_uop;  /* one decoded instruction, isa/x86/uop.h */
struct isa_page; /* decoded instructions of one physical page */

struct isa_x86 {
  struct x86_state state;
  const struct isa_ops *ops;
  void *context;
  uint64_t next_rip;         /* during an instruction: where it will continue */
  const struct isa_uop *uop; /* the instruction being executed */
  struct isa_fault fault;
  uint64_t
      instructions; /* executed to completion, those aside that may be intercepted; guest time */
  char stop[256];   /* why ISA_STOP: address, bytes, disassembly */
  /* The page that state.rip is in, valid while code_valid; the environment clears code_valid
   * whenever translation, mode or the page's bytes may have changed. */
  bool code_valid;
  uint64_t code_linear; /* page-aligned linear address */
  struct isa_page *code_page;
  struct isa_cache *cache;
  bool code_retired; /* forgotten pages wait to be freed */
  /* Set during implicit supervisor accesses (descriptor tables, TSS, stack of an inner privilege
   * level): ops->load and ops->store then check as for CPL 0. Otherwise CPL is SS.DPL. An
   * environment that takes a VM exit inside such an access clears it. */
  bool system_access;
  struct isa_delivery delivery;
};

/* Prepares storage that the caller owns; returns false if out of memory. */
bool isa_init(struct isa_x86 *isa, const struct isa_ops *ops, void *context);
void isa_fini(struct isa_x86 *isa);

/* Executes up to `budget` instructions at state.rip. Returns ISA_NEXT when the budget is used up,
 * otherwise why it stopped. Exceptions are delivered inside, after ops->exception was asked. */
enum isa_step isa_run(struct isa_x86 *isa, uint64_t budget);

/* Executes exactly one instruction that was decoded before with isa_decode: state.rip must be its
 * address. No exception is delivered: ISA_FAULT comes back with isa->fault set. It is not counted
 * in isa->instructions, which is the guest's time. */
enum isa_step isa_execute(struct isa_x86 *isa, const struct isa_uop *uop);

/* Decodes one 64-bit-mode instruction from at most 15 bytes into *uop (caller-owned).
 * Returns its length, or 0 with isa->stop set when it is not known. */
unsigned isa_decode(struct isa_x86 *isa, const uint8_t *bytes, size_t size, struct isa_uop *uop);

/* Delivers an event through the IDT (VM-entry injection, external interrupt): 64-bit mode.
 * `type` as in the VM-entry interruption-information field (0 external interrupt, 2 NMI,
 * 3 hardware exception, 4 software interrupt, 5 privileged software exception, 6 software
 * exception). Pushes state.rip, for the software types (4 to 6) isa->next_rip, which the caller
 * sets to state.rip + instruction length first. CR2 and DR6 stay as they are. Faults on the way
 * are handled inside (ops->exception, double fault, shutdown). Returns ISA_NEXT when delivered,
 * ISA_EXIT, ISA_STOP, or ISA_HALTED with state.activity = 2 after a triple fault. */
enum isa_step isa_deliver(struct isa_x86 *isa, const struct isa_fault *event, unsigned type);

/* A store changed bytes of this physical page: forget its decoded instructions. */
void isa_forget_page(struct isa_x86 *isa, uint64_t frame);
/* True if decoded instructions of this frame are cached. */
bool isa_has_page(const struct isa_x86 *isa, uint64_t frame);

/* Raises an exception from inside a callback: fills isa->fault, returns ISA_FAULT. */
enum isa_step isa_raise(struct isa_x86 *isa, unsigned vector, bool has_error_code,
                        uint32_t error_code);

#endif
