/* SPDX-License-Identifier: MIT
 * SDM 3C "Checks on the Guest-State Area", all but the segments (check_segment.c). */
#include "vmcs/check_run.h"

enum {
  RFLAGS_TF = 1 << 8,
  RFLAGS_IF = 1 << 9,
  DEBUGCTL_BTF = 1 << 1,
  BLOCKED_BY_STI = 1 << 0,
  BLOCKED_BY_MOV_SS = 1 << 1,
  BLOCKED_BY_SMI = 1 << 2,
  BLOCKED_BY_NMI = 1 << 3,
  PENDING_BS = 1 << 14,
  PENDING_RTM = 1 << 16,
};
#define DEBUGCTL_BITS UINT64_C(0xffc3)
#define PENDING_BITS UINT64_C(0x1500f) /* B3 to B0, enabled breakpoint, BS, RTM */

enum activity { ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_FOR_SIPI };

static bool is_ia32e(const struct check_run *run) {
  return run->entry & VMCS_BIT(VM_ENTRY_IA32E_MODE);
}

static void require_canonical(struct check_run *run, enum vmcs_check id, enum vmcs_field field) {
  check_require(run, id, check_is_canonical(run, check_get(run, field)));
}

/* ---- SDM 3C "Checks on Guest Control Registers, Debug Registers, and MSRs" */

static void check_control_registers(struct check_run *run) {
  const struct vmcs_capability *capability = run->environment->capability;
  uint64_t cr0 = check_get(run, FIELD_GUEST_CR0), cr4 = check_get(run, FIELD_GUEST_CR4);
  uint64_t fixed0 = capability->cr0_fixed0;
  if (run->secondary & VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST))
    fixed0 &= ~(CHECK_CR0_PE | CHECK_CR0_PG);
  check_require(run, CHECK_GUEST_CR0_FIXED, check_is_fixed(cr0, fixed0, capability->cr0_fixed1));
  check_require(run, CHECK_GUEST_CR0_PG_PE, !(cr0 & CHECK_CR0_PG) || (cr0 & CHECK_CR0_PE));
  check_require(run, CHECK_GUEST_CR4_FIXED,
                check_is_fixed(cr4, capability->cr4_fixed0, capability->cr4_fixed1));
  if (run->entry & VMCS_BIT(VM_ENTRY_LOAD_DEBUG_CONTROLS))
    check_require(run, CHECK_GUEST_DEBUGCTL_RESERVED,
                  !(check_get(run, FIELD_GUEST_IA32_DEBUGCTL) & ~DEBUGCTL_BITS));
  if (is_ia32e(run)) {
    check_require(run, CHECK_GUEST_CR0_PG_IA32E, cr0 & CHECK_CR0_PG);
    check_require(run, CHECK_GUEST_CR4_PAE_IA32E, cr4 & CHECK_CR4_PAE);
  } else {
    check_require(run, CHECK_GUEST_CR4_PCIDE, !(cr4 & CHECK_CR4_PCIDE));
  }
  check_require(run, CHECK_GUEST_CR3_WIDTH, check_in_width(run, check_get(run, FIELD_GUEST_CR3)));
}

static void check_efer(struct check_run *run) {
  uint64_t efer = check_get(run, FIELD_GUEST_IA32_EFER);
  bool lma = efer & CHECK_EFER_LMA, lme = efer & CHECK_EFER_LME;
  check_require(run, CHECK_GUEST_EFER_RESERVED, !(efer & ~CHECK_EFER_BITS));
  check_require(run, CHECK_GUEST_EFER_LMA, lma == is_ia32e(run));
  if (check_get(run, FIELD_GUEST_CR0) & CHECK_CR0_PG)
    check_require(run, CHECK_GUEST_EFER_LME, lme == lma);
}

static void check_debug_and_msrs(struct check_run *run) {
  if (run->entry & VMCS_BIT(VM_ENTRY_LOAD_DEBUG_CONTROLS))
    check_require(run, CHECK_GUEST_DR7_HIGH, check_get(run, FIELD_GUEST_DR7) <= UINT32_MAX);
  require_canonical(run, CHECK_GUEST_SYSENTER_ESP_CANONICAL, FIELD_GUEST_SYSENTER_ESP);
  require_canonical(run, CHECK_GUEST_SYSENTER_EIP_CANONICAL, FIELD_GUEST_SYSENTER_EIP);
  if (run->entry & VMCS_BIT(VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL))
    check_require(
        run, CHECK_GUEST_PERF_GLOBAL_CTRL_RESERVED,
        !(check_get(run, FIELD_GUEST_IA32_PERF_GLOBAL_CTRL) & ~CHECK_PERF_GLOBAL_CTRL_BITS));
  if (run->entry & VMCS_BIT(VM_ENTRY_LOAD_IA32_PAT))
    check_require(run, CHECK_GUEST_PAT_TYPE, check_is_pat(check_get(run, FIELD_GUEST_IA32_PAT)));
  if (run->entry & VMCS_BIT(VM_ENTRY_LOAD_IA32_EFER)) check_efer(run);
}

void check_guest_registers(struct check_run *run) {
  check_control_registers(run);
  check_debug_and_msrs(run);
}

/* ---- SDM 3C "Checks on Guest Descriptor-Table Registers" */

void check_guest_tables(struct check_run *run) {
  require_canonical(run, CHECK_GUEST_GDTR_BASE_CANONICAL, FIELD_GUEST_GDTR_BASE);
  require_canonical(run, CHECK_GUEST_IDTR_BASE_CANONICAL, FIELD_GUEST_IDTR_BASE);
  check_require(run, CHECK_GUEST_GDTR_LIMIT, check_get(run, FIELD_GUEST_GDTR_LIMIT) <= UINT16_MAX);
  check_require(run, CHECK_GUEST_IDTR_LIMIT, check_get(run, FIELD_GUEST_IDTR_LIMIT) <= UINT16_MAX);
}

/* ---- SDM 3C "Checks on Guest RIP, RFLAGS, and SSP" */

/* Not "canonical" in the usual sense: SDM asks that the bits above the linear-address width be
 * equal to one another, not to the highest bit of the address. */
static bool is_linear(const struct check_run *run, uint64_t rip) {
  unsigned width = run->environment->capability->linear_bits;
  uint64_t high = rip >> width;
  return high == 0 || high == UINT64_MAX >> width;
}

static void check_rip(struct check_run *run) {
  uint64_t rip = check_get(run, FIELD_GUEST_RIP);
  if (is_ia32e(run) && (check_get(run, FIELD_GUEST_CS_AR_BYTES) & CHECK_CS_AR_L))
    check_require(run, CHECK_GUEST_RIP_CANONICAL, is_linear(run, rip));
  else
    check_require(run, CHECK_GUEST_RIP_HIGH, rip <= UINT32_MAX);
}

static void check_rflags(struct check_run *run, uint64_t event) {
  uint64_t rflags = check_get(run, FIELD_GUEST_RFLAGS);
  check_require(run, CHECK_GUEST_RFLAGS_RESERVED, !(rflags & ~CHECK_RFLAGS_BITS) && (rflags & 2));
  if (rflags & CHECK_RFLAGS_VM)
    check_require(run, CHECK_GUEST_RFLAGS_VM,
                  !is_ia32e(run) && (check_get(run, FIELD_GUEST_CR0) & CHECK_CR0_PE));
  if (check_injects(event) && check_event_type(event) == EVENT_EXTERNAL_INTERRUPT)
    check_require(run, CHECK_GUEST_RFLAGS_IF, rflags & RFLAGS_IF);
}

/* ---- SDM 3C "Checks on Guest Non-Register State" */

static bool lets_through(uint64_t activity, uint64_t event) {
  enum check_event_type type = check_event_type(event);
  uint64_t vector = event & 0xff;
  bool machine_check = type == EVENT_HARDWARE_EXCEPTION && vector == 18;
  if (activity == ACTIVITY_SHUTDOWN) return type == EVENT_NMI || machine_check;
  if (activity != ACTIVITY_HLT) return activity == ACTIVITY_ACTIVE;
  return type == EVENT_EXTERNAL_INTERRUPT || type == EVENT_NMI || machine_check ||
         (type == EVENT_HARDWARE_EXCEPTION && vector == 1) || (type == EVENT_OTHER && vector == 0);
}

/* IA32_VMX_MISC bits 8:6 report HLT, shutdown and wait-for-SIPI. */
static void check_activity(struct check_run *run, uint64_t activity, uint64_t blocking,
                           uint64_t event) {
  if (activity == ACTIVITY_ACTIVE) return;
  uint64_t misc = run->environment->capability->misc;
  check_require(run, CHECK_GUEST_ACTIVITY_SUPPORTED,
                activity <= ACTIVITY_WAIT_FOR_SIPI && (misc >> (5 + activity) & 1));
  if (activity == ACTIVITY_HLT)
    check_require(run, CHECK_GUEST_ACTIVITY_HLT_DPL,
                  (check_get(run, FIELD_GUEST_SS_AR_BYTES) >> 5 & 3) == 0);
  check_require(run, CHECK_GUEST_ACTIVITY_BLOCKING,
                !(blocking & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)));
  if (check_injects(event))
    check_require(run, CHECK_GUEST_ACTIVITY_EVENT,
                  activity > ACTIVITY_WAIT_FOR_SIPI || lets_through(activity, event));
}

static void check_blocking_of_event(struct check_run *run, uint64_t blocking, uint64_t event) {
  if (!check_injects(event)) return;
  enum check_event_type type = check_event_type(event);
  if (type == EVENT_EXTERNAL_INTERRUPT)
    check_require(run, CHECK_GUEST_INTERRUPTIBILITY_EXT_INTR,
                  !(blocking & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)));
  if (type == EVENT_NMI)
    check_require(run, CHECK_GUEST_INTERRUPTIBILITY_NMI_MOV_SS, !(blocking & BLOCKED_BY_MOV_SS));
}

static void check_blocking_of_nmi(struct check_run *run, uint64_t blocking, uint64_t event) {
  if (!check_injects(event) || check_event_type(event) != EVENT_NMI) return;
  /* The manual lets a processor choose; this one refuses. */
  check_require(run, CHECK_GUEST_INTERRUPTIBILITY_NMI_STI, !(blocking & BLOCKED_BY_STI));
  if (run->pin & VMCS_BIT(PIN_BASED_VIRTUAL_NMIS))
    check_require(run, CHECK_GUEST_INTERRUPTIBILITY_VIRTUAL_NMI, !(blocking & BLOCKED_BY_NMI));
}

static void check_interruptibility(struct check_run *run, uint64_t blocking, uint64_t event) {
  if (blocking == 0) return;
  check_require(run, CHECK_GUEST_INTERRUPTIBILITY_RESERVED, blocking <= 15);
  check_require(run, CHECK_GUEST_INTERRUPTIBILITY_STI_MOV_SS,
                !(blocking & BLOCKED_BY_STI) || !(blocking & BLOCKED_BY_MOV_SS));
  check_require(run, CHECK_GUEST_INTERRUPTIBILITY_STI_IF,
                !(blocking & BLOCKED_BY_STI) || (check_get(run, FIELD_GUEST_RFLAGS) & RFLAGS_IF));
  check_blocking_of_event(run, blocking, event);
  check_require(run, CHECK_GUEST_INTERRUPTIBILITY_SMI,
                run->environment->in_smm || !(blocking & BLOCKED_BY_SMI));
  check_blocking_of_nmi(run, blocking, event);
}

static void check_pending_debug(struct check_run *run, uint64_t activity, uint64_t blocking) {
  uint64_t pending = check_get(run, FIELD_GUEST_PENDING_DBG_EXCEPTIONS);
  if (pending) {
    check_require(run, CHECK_GUEST_PENDING_DBG_RESERVED, !(pending & ~PENDING_BITS));
    check_require(run, CHECK_GUEST_PENDING_DBG_RTM, !(pending & PENDING_RTM));
  }
  if (!(blocking & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)) && activity != ACTIVITY_HLT) return;
  bool steps = (check_get(run, FIELD_GUEST_RFLAGS) & RFLAGS_TF) &&
               !(check_get(run, FIELD_GUEST_IA32_DEBUGCTL) & DEBUGCTL_BTF);
  if (steps)
    check_require(run, CHECK_GUEST_PENDING_DBG_BS_SET, pending & PENDING_BS);
  else
    check_require(run, CHECK_GUEST_PENDING_DBG_BS_CLEAR, !(pending & PENDING_BS));
}

void check_link_pointer(struct check_run *run) {
  const struct vmcs_check_environment *environment = run->environment;
  uint64_t link = check_get(run, FIELD_VMCS_LINK_POINTER);
  if (link == CHECK_NO_LINK) return;
  bool is_page = (link & 0xfff) == 0 && check_in_width(run, link);
  check_require(run, CHECK_GUEST_LINK_POINTER_ADDRESS, is_page);
  if (!is_page) return;
  uint32_t revision;
  if (environment->read32) {
    bool shadow = run->secondary & VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS);
    uint32_t wanted = (uint32_t)environment->capability->basic & ~VMCS_SHADOW_INDICATOR;
    if (shadow) wanted |= VMCS_SHADOW_INDICATOR;
    check_require(run, CHECK_GUEST_LINK_POINTER_REVISION,
                  environment->read32(environment->context, link, &revision) && revision == wanted);
  }
  check_require(run, CHECK_GUEST_LINK_POINTER_CURRENT,
                environment->in_smm || link != environment->current_pointer);
}

/* ---- SDM 3C "Checks on Guest Page-Directory-Pointer-Table Entries" */

/* From the VMCS with EPT; from the memory that CR3 points to without. False: cannot be read. */
static bool read_pdpte(const struct check_run *run, unsigned i, uint64_t *entry) {
  const struct vmcs_check_environment *environment = run->environment;
  if (run->secondary & VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT)) {
    *entry = check_get(run, field_nth(FIELD_GUEST_PDPTR0, i));
    return true;
  }
  uint64_t address = (check_get(run, FIELD_GUEST_CR3) & UINT64_C(0xffffffe0)) + 8 * i;
  uint32_t low, high;
  if (!environment->read32 || !environment->read32(environment->context, address, &low) ||
      !environment->read32(environment->context, address + 4, &high))
    return false;
  *entry = (uint64_t)high << 32 | low;
  return true;
}

static void check_pdptes(struct check_run *run) {
  if (is_ia32e(run) || !(check_get(run, FIELD_GUEST_CR4) & CHECK_CR4_PAE) ||
      !(check_get(run, FIELD_GUEST_CR0) & CHECK_CR0_PG))
    return;
  for (unsigned i = 0; i < 4; i++) {
    uint64_t entry;
    if (!read_pdpte(run, i, &entry) || !(entry & 1)) continue;
    check_require(run, check_nth(CHECK_GUEST_PDPTE0_RESERVED, i),
                  !(entry & 0x1e6) && check_in_width(run, entry));
  }
}

void check_guest_now(struct check_run *run) {
  uint64_t event = check_get(run, FIELD_VM_ENTRY_INTR_INFO_FIELD);
  uint64_t blocking = check_get(run, FIELD_GUEST_INTERRUPTIBILITY_INFO);
  uint64_t activity = check_get(run, FIELD_GUEST_ACTIVITY_STATE);
  check_rip(run);
  check_rflags(run, event);
  check_activity(run, activity, blocking, event);
  check_interruptibility(run, blocking, event);
  check_pending_debug(run, activity, blocking);
  check_link_pointer(run);
  check_pdptes(run);
}
