/* SPDX-License-Identifier: MIT
 * A hypervisor's habits as data: named, dated tables of routines. A routine is an ordered list of
 * instructions, each with a condition on the engine's own state; the engine runs it row by row,
 * every row being a real instruction. Whether a row exits, the processor alone decides. */
#ifndef HYPERVISOR_PROFILE_H
#define HYPERVISOR_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

/* When a row applies. */
enum hv_condition {
  HV_ALWAYS,
  HV_DIRTY,     /* the guest hypervisor changed a field of its VMCS that is copied rarely */
  HV_SHADOW,    /* the guest hypervisor's VMCS accesses are served by a shadow VMCS */
  HV_PENDING,   /* the engine has a new value for the field */
  HV_CHANGED,   /* and it is not what its copy holds */
  HV_USER,      /* the exit was completed in user space */
  HV_DEBUG,     /* the guest has the debug registers to itself */
  HV_LAZY,      /* rarely copied state is fetched when asked for, not at every reflected exit */
  HV_APICV,     /* the processor has what a hypervisor needs to use virtual-interrupt delivery */
  HV_EPT,       /* this hypervisor uses EPT for its guest */
  HV_NO_EPT,    /* it uses shadow page tables, and so no unrestricted guest either */
  HV_RESTRICTED /* the guest hypervisor enters its guest without 'unrestricted guest' */
};

enum hv_operation {
  HV_END,
  HV_READ,      /* VMREAD, every time */
  HV_READ_ONCE, /* VMREAD unless this exit has read the field already */
  HV_WRITE,     /* VMWRITE of the engine's new value, or of the value that its copy holds */
  HV_VMPTRLD,   /* argument: enum hv_region */
  HV_VMCLEAR,
  HV_RDMSR,    /* argument: MSR, see hv_msr_number */
  HV_WRMSR,    /* of the value that the last HV_RDMSR of this MSR found */
  HV_READ_CR,  /* MOV from a control register; argument: its number */
  HV_SET_VMXE, /* MOV from and to CR4; argument: the new CR4.VMXE */
  HV_VMXON,
  HV_VMXOFF,
  HV_LOOK_DR,  /* MOV from a debug register, for its value alone */
  HV_READ_DR,  /* MOV from a debug register into the guest's saved one; argument: its number */
  HV_WRITE_DR, /* and back */
  HV_RESET_DR, /* MOV of the value after reset */
  HV_ZERO,     /* VMWRITE of 0 */
  HV_IN,       /* argument: port, one byte */
  HV_OUT       /* of what the engine has for this port */
};

/* The VMCS regions that a hypervisor of our kind keeps for one virtual processor. */
enum hv_region {
  HV_REGION_OWN,    /* its direct guest */
  HV_REGION_MERGED, /* whatever guest that guest runs */
  HV_REGION_SHADOW, /* what the direct guest's VMREAD and VMWRITE touch */
  HV_REGION_COUNT,
  HV_REGION_CURRENT = HV_REGION_COUNT /* in a row: the one that is or was current last */
};

struct hv_row {
  uint8_t operation;
  uint8_t condition;
  uint16_t argument; /* enum vmcs_field, enum hv_region, MSR, register or port number */
};

/* An MSR number in the argument of a row: up to 0x1fff, or 0xc0000000 to 0xc0001fff. */
#define HV_MSR_ARGUMENT(number) (uint16_t)(((number)&0x1fff) | ((number) >> 31) << 15)
static inline uint32_t hv_msr_number(uint16_t argument) {
  return (argument & 0x1fffu) | (argument >> 15 ? UINT32_C(0xc0000000) : 0);
}

enum hv_routine {
#define HV_ROUTINE(name, text) ROUTINE_##name,
#include "src/hypervisor/routine.def"
  ROUTINE_COUNT
};

struct hv_profile {
  const char *name;
  const char *date;
  const char *source;
  bool on_demand;     /* reads and writes what it needs without a list: nothing is unlisted */
  bool saves_all;     /* all general registers are saved and restored, not only those it uses */
  bool lends_debug;   /* a guest that touches a debug register gets them all until its next exit */
  bool retries;       /* before emulating an access to memory it lets the guest try once more */
  bool no_shadowing;  /* offers its guest hypervisors no shadow VMCS */
  bool no_mmio_entry; /* an access to a device is an EPT violation every time */
  const char *flat;   /* why it cannot be a nesting hypervisor, a sentence; NULL: it can */
  const struct hv_row *routine[ROUTINE_COUNT]; /* NULL: empty */
};

/* The profile of a name, or NULL. */
const struct hv_profile *hv_profile_find(const char *name);
/* The i-th profile, NULL past the end. */
const struct hv_profile *hv_profile_at(unsigned index);

#endif
