/* SPDX-License-Identifier: MIT
 * What the check files share: the run in progress and small predicates. Internal to vmcs. */
#ifndef VMCS_CHECK_RUN_H
#define VMCS_CHECK_RUN_H

#include "vmcs/check.h"

/* One run over the checks, with the controls in force: inactive words count as 0. */
struct check_run {
  const struct vmcs *vmcs;
  const struct vmcs_check_environment *environment;
  uint64_t pin, primary, secondary, exit, entry;
  vmcs_check_report report;
  void *context;
  size_t failed;
  bool stopped; /* the report function wants no more */
};

void check_fail(struct check_run *run, enum vmcs_check id);

static inline void check_require(struct check_run *run, enum vmcs_check id, bool holds) {
  if (!holds) check_fail(run, id);
}

static inline uint64_t check_get(const struct check_run *run, enum vmcs_field field) {
  return vmcs_get(run->vmcs, field);
}

/* The i-th row after `first`, for checks and fields that repeat per segment. */
static inline enum vmcs_check check_nth(enum vmcs_check first, unsigned i) {
  return (enum vmcs_check)((unsigned)first + i);
}
static inline enum vmcs_field field_nth(enum vmcs_field first, unsigned i) {
  return (enum vmcs_field)((unsigned)first + i);
}

static inline bool check_in_width(const struct check_run *run, uint64_t physical) {
  return physical >> run->environment->capability->physical_bits == 0;
}

static inline bool check_is_canonical(const struct check_run *run, uint64_t linear) {
  uint64_t high = linear >> (run->environment->capability->linear_bits - 1);
  return high == 0 || high == UINT64_MAX >> (run->environment->capability->linear_bits - 1);
}

/* Bits that may change lie between the two words that the FIXED MSRs report. */
static inline bool check_is_fixed(uint64_t value, uint64_t fixed0, uint64_t fixed1) {
  return (value & fixed0) == fixed0 && (value & ~fixed1) == 0;
}

/* Each byte of IA32_PAT is 0, 1, 4, 5, 6 or 7. */
static inline bool check_is_pat(uint64_t pat) {
  for (unsigned byte = 0; byte < 8; byte++) {
    uint64_t type = pat >> 8 * byte & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

/* CR0, CR4 and IA32_EFER bits that the checks name, and reserved bits of MSRs. */
enum {
  CHECK_CR0_PE = 1 << 0,
  CHECK_CR4_PAE = 1 << 5,
  CHECK_CR4_PCIDE = 1 << 17,
  CHECK_EFER_LME = 1 << 8,
  CHECK_EFER_LMA = 1 << 10
};
#define CHECK_CR0_PG (UINT64_C(1) << 31)
#define CHECK_RFLAGS_VM (UINT64_C(1) << 17)
#define CHECK_RFLAGS_BITS UINT64_C(0x3f7fd7) /* bit 1 is 1, the others may be */
#define CHECK_CS_AR_L (UINT64_C(1) << 13)
#define CHECK_NO_LINK UINT64_MAX
#define CHECK_EFER_BITS UINT64_C(0xd01) /* SCE, LME, LMA, NXE */
/* Eight general and three fixed counters: what an architectural PMU of this age has at most. */
#define CHECK_PERF_GLOBAL_CTRL_BITS UINT64_C(0x7000000ff)

/* An event to inject: SDM 3C "VM-Entry Controls for Event Injection". */
enum check_event_type {
  EVENT_EXTERNAL_INTERRUPT,
  EVENT_RESERVED,
  EVENT_NMI,
  EVENT_HARDWARE_EXCEPTION,
  EVENT_SOFTWARE_INTERRUPT,
  EVENT_PRIVILEGED_EXCEPTION,
  EVENT_SOFTWARE_EXCEPTION,
  EVENT_OTHER
};
static inline bool check_injects(uint64_t information) {
  return information >> 31 & 1;
}
static inline enum check_event_type check_event_type(uint64_t information) {
  return (enum check_event_type)(information >> 8 & 7);
}

/* The groups, in the manual's order. Those named _now read more than VMCS fields, or fields that
 * change at every entry, and always run. */
void check_controls(struct check_run *run);
void check_controls_now(struct check_run *run);
void check_host(struct check_run *run);
void check_host_now(struct check_run *run);
void check_guest_registers(struct check_run *run);
void check_guest_segments(struct check_run *run);
void check_guest_tables(struct check_run *run);
void check_guest_now(struct check_run *run);
void check_link_pointer(struct check_run *run); /* part of the last */

#endif
