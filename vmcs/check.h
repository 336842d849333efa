/* SPDX-License-Identifier: MIT
 * VM-entry consistency checks: one row each in check.def, one small function per group, in the
 * manual's order. SDM 3C "VM Entries". */
#ifndef VMCS_CHECK_H
#define VMCS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmcs/capability.h"
#include "vmcs/region.h"

enum vmcs_check {
#define VMCS_CHECK(id, ...) CHECK_##id,
#include "vmcs/check.def"
  CHECK_COUNT,
  CHECK_NONE = 0xffff
};

/* When a rule is looked at, in this order. */
enum vmcs_stage {
  STAGE_INSTRUCTION, /* by a VMX instruction, before anything else */
  STAGE_CONTROL,
  STAGE_HOST,
  STAGE_GUEST,
  STAGE_MSR_LOAD,      /* once the guest state is loaded */
  STAGE_MACHINE_CHECK, /* at any time during the entry */
  STAGE_COUNT
};

/* How a broken rule shows. */
enum vmcs_refusal {
  REFUSAL_FAULT,   /* an exception */
  REFUSAL_INVALID, /* VMfailInvalid */
  REFUSAL_VALID,   /* VMfailValid; VMfailInvalid where there is no current VMCS */
  REFUSAL_EXIT     /* a VM exit, of a failed entry unless VMFUNC caused it */
};

enum { CHECK_FIELDS = 8 };

struct vmcs_check_info {
  const char *id;
  const char *title;             /* manual section title */
  const char *text;              /* the rule in a sentence a person understands */
  uint8_t stage;                 /* enum vmcs_stage */
  uint8_t refusal;               /* enum vmcs_refusal */
  uint16_t outcome;              /* exception vector, 0, VMXERR_ number or basic exit reason */
  uint16_t qualification;        /* exit qualification; of MSR loads it is the entry's number */
  uint16_t fields[CHECK_FIELDS]; /* what the rule reads, the one at fault first, then FIELD_NONE */
  uint64_t bits[CHECK_FIELDS];   /* of each field, those that matter; 0 = all of it */
};
extern const struct vmcs_check_info vmcs_check_info[CHECK_COUNT];

/* Groups of checks whose inputs are VMCS fields only: skipped while untouched since they passed. */
enum vmcs_check_group { GROUP_CONTROLS, GROUP_HOST, GROUP_GUEST, GROUP_COUNT };
/* Groups (bit mask of 1 << enum vmcs_check_group) that a write to this field makes stale. */
extern const uint8_t vmcs_field_groups[FIELD_COUNT];

/* What the checks read that is not in the VMCS. */
struct vmcs_check_environment {
  const struct vmcs_capability *capability;
  uint64_t efer;            /* for host address-space size */
  uint64_t current_pointer; /* physical address of this VMCS, for the link-pointer check */
  bool in_smm;
  /* Reads physical memory (link-pointed VMCS revision, PDPTEs, TPR page); may be NULL. */
  bool (*read32)(void *context, uint64_t physical, uint32_t *value);
  void *context;
};

/* Called per failed check; returning false stops at this one. */
typedef bool (*vmcs_check_report)(void *context, enum vmcs_check id);

/* Runs all checks of the stages, in order, reporting each failure; returns how many failed.
 * A check whose inputs make no sense because an earlier one failed may be left out. */
size_t vmcs_check_all(const struct vmcs *vmcs, const struct vmcs_check_environment *environment,
                      vmcs_check_report report, void *context);

/* The first failed check of the stages that hardware would evaluate, or CHECK_NONE. Uses and
 * updates vmcs_header()->checked to skip groups; host and control groups run first. */
enum vmcs_check vmcs_check_first(const struct vmcs *vmcs,
                                 const struct vmcs_check_environment *environment);

/* Parts of it, for software that judges a VMCS which it enters in another shape: the control and
 * host stages, with the same skipping; and the VMCS link pointer alone. */
enum vmcs_check vmcs_check_first_before_guest(const struct vmcs *vmcs,
                                              const struct vmcs_check_environment *environment);
enum vmcs_check vmcs_check_link(const struct vmcs *vmcs,
                                const struct vmcs_check_environment *environment);

#endif
