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
  HV_DIRTY,   /* the guest hypervisor changed a field of its VMCS that is copied rarely */
  HV_SHADOW,  /* the guest hypervisor's VMCS accesses are served by a shadow VMCS */
  HV_PENDING, /* the engine has a new value for the field */
  HV_USER,    /* the exit was completed in user space */
  HV_DEBUG,   /* the guest has the debug registers to itself */
  HV_LAZY     /* rarely copied state is fetched when asked for, not at every reflected exit */
};

enum hv_operation {
  HV_END,
  HV_READ,      /* VMREAD, every time */
  HV_READ_ONCE, /* VMREAD unless this exit has read the field already */
  HV_WRITE,     /* VMWRITE of the engine's new value, or of the value that its copy holds */
  HV_VMPTRLD,   /* argument: enum hv_region */
  HV_VMCLEAR,
  HV_RDMSR,    /* argument: MSR number */
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
  HV_REGION_COUNT
};

struct hv_row {
  uint8_t operation;
  uint8_t condition;
  uint16_t argument; /* enum vmcs_field, enum hv_region, MSR, register or port number */
};

enum hv_routine {
#define HV_ROUTINE(name, text) ROUTINE_##name,
#include "src/hypervisor/routine.def"
  ROUTINE_COUNT
};

struct hv_profile {
  const char *name;
  const char *date;
  const char *source;
  bool on_demand;   /* reads and writes what it needs without a list: nothing is unlisted */
  bool saves_all;   /* all general registers are saved and restored, not only those it uses */
  bool lends_debug; /* a guest that touches a debug register gets them all until its next exit */
  bool retries;     /* before emulating an access to memory it lets the guest try once more */
  const struct hv_row *routine[ROUTINE_COUNT]; /* NULL: empty */
};

/* The profile of a name, or NULL. */
const struct hv_profile *hv_profile_find(const char *name);
/* The i-th profile, NULL past the end. */
const struct hv_profile *hv_profile_at(unsigned index);

#endif
