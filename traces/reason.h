/* SPDX-License-Identifier: MIT
 * Exit reasons of recordings: names and numbers to kinds, and how arguments are found. */
#ifndef TRACES_REASON_H
#define TRACES_REASON_H

#include <stddef.h>
#include <stdint.h>

enum reason_decode {
  DECODE_PLAIN,  /* no arguments */
  DECODE_REASON, /* the reason is the argument */
  DECODE_CPUID,  /* arguments from kvm_cpuid alone; likewise the next two */
  DECODE_MSR,
  DECODE_VMCALL,
  DECODE_MSR_SVM,  /* read or write by info1 */
  DECODE_CR,       /* VMX qualification for control-register accesses */
  DECODE_CR_NAMED, /* the reason names the register */
  DECODE_DR,       /* VMX qualification for MOV DR */
  DECODE_DR_READ,  /* the reason names the register and the direction */
  DECODE_DR_WRITE,
  DECODE_IO,              /* VMX qualification for I/O instructions */
  DECODE_IO_SVM,          /* EXITINFO1 of IOIO */
  DECODE_EXCEPTION,       /* interruption information */
  DECODE_EXCEPTION_NAMED, /* the reason names the vector; EXITINFO1 error code, EXITINFO2 address */
  DECODE_VECTOR,          /* external interrupt: interruption information */
  DECODE_EOI,             /* the qualification is the vector */
  DECODE_ADDRESS,         /* the qualification is a linear address */
  DECODE_ADDRESS_ASSIST,  /* EXITINFO1 is a linear address where decode assists exist, else 0 */
  DECODE_TOUCH,           /* VMX qualification for EPT violations */
  DECODE_TOUCH_SVM,       /* EXITINFO1 error code, EXITINFO2 guest-physical address */
  DECODE_MMIO,            /* EPT misconfiguration: nothing in the exit itself */
  DECODE_APIC_ACCESS,     /* VMX qualification for APIC accesses */
  DECODE_APIC_WRITE       /* the qualification is the page offset */
};

#define REASON_NONE UINT32_MAX

struct reason_row {
  const char *name;
  const char *alias; /* name in trace-cmd's reports, or of older kernels; NULL if the same */
  uint32_t number;   /* SVM rows only */
  uint16_t kind;     /* enum trace_kind, where the arguments do not refine it */
  uint8_t decode;
  uint8_t argument;
};

/* Numbers that a kvm_exit record of a .dat file can hold, by row; VMX numbers are the caller's. */
#define REASON_VMX_LIMIT 256
#define REASON_SVM_LIMIT 0x401
#define REASON_HASH_SIZE 512

struct reason_map {
  uint32_t vmx_number[REASON_VMX_LIMIT]; /* by row index; REASON_NONE: the caller does not know */
  const struct reason_row *vmx[REASON_VMX_LIMIT]; /* by number */
  const struct reason_row *svm[REASON_SVM_LIMIT]; /* by number */
  uint16_t hash[REASON_HASH_SIZE];                /* row index + 1; 0 = free */
  int (*vmx_reason)(const char *name);
};

/* vmx_reason: number of a VMX exit reason by the name KVM prints, < 0 if unknown; may be NULL. */
void reason_map_init(struct reason_map *map, int (*vmx_reason)(const char *name));

struct reason_found {
  const struct reason_row *row; /* NULL: no row has this name */
  uint32_t number;              /* REASON_NONE if not known */
  uint8_t arch;                 /* enum trace_arch; TRACE_ARCH_NONE if neither list has the name */
};

/* name need not end in 0. */
struct reason_found reason_by_name(const struct reason_map *map, const char *name, size_t length);

/* NULL if no row has the number. */
const struct reason_row *reason_by_number(const struct reason_map *map, unsigned arch,
                                          uint32_t number);

#endif
