/* SPDX-License-Identifier: MIT
 * Banks: what VM entries and exits move of a VMCS, kept beside its region in the form in which the
 * processor uses it, while the fields that it was made from are unchanged.
 *
 * The region stays the VMCS: fields are written to it at once. The bits of enum bank_part in its
 * header say what of the bank mirrors it; VMWRITE of another value clears them, any other store
 * into the region takes the bank away. */
#include "src/machine/machine.h"

#define SEGMENT(name)                                                                      \
  [FIELD_GUEST_##name##_SELECTOR] = BANK_GUEST, [FIELD_GUEST_##name##_LIMIT] = BANK_GUEST, \
  [FIELD_GUEST_##name##_AR_BYTES] = BANK_GUEST, [FIELD_GUEST_##name##_BASE] = BANK_GUEST

const uint32_t bank_parts[FIELD_COUNT] = {
    [FIELD_PIN_BASED_VM_EXEC_CONTROL] = BANK_CONTROLS,
    [FIELD_CPU_BASED_VM_EXEC_CONTROL] = BANK_CONTROLS,
    [FIELD_SECONDARY_VM_EXEC_CONTROL] = BANK_CONTROLS,
    [FIELD_VM_EXIT_CONTROLS] = BANK_CONTROLS | BANK_HOST,
    [FIELD_VM_ENTRY_CONTROLS] = BANK_CONTROLS | BANK_GUEST,
    [FIELD_IO_BITMAP_A] = BANK_CONTROLS,
    [FIELD_IO_BITMAP_B] = BANK_CONTROLS,
    [FIELD_MSR_BITMAP] = BANK_CONTROLS,
    [FIELD_VMREAD_BITMAP] = BANK_CONTROLS,
    [FIELD_VMWRITE_BITMAP] = BANK_CONTROLS,
    [FIELD_VMCS_LINK_POINTER] = BANK_CONTROLS,
    [FIELD_EPT_POINTER] = BANK_CONTROLS,
    [FIELD_VIRTUAL_PROCESSOR_ID] = BANK_CONTROLS,

    SEGMENT(ES),
    SEGMENT(CS),
    SEGMENT(SS),
    SEGMENT(DS),
    SEGMENT(FS),
    SEGMENT(GS),
    SEGMENT(LDTR),
    SEGMENT(TR),
    [FIELD_GUEST_GDTR_BASE] = BANK_GUEST,
    [FIELD_GUEST_GDTR_LIMIT] = BANK_GUEST,
    [FIELD_GUEST_IDTR_BASE] = BANK_GUEST,
    [FIELD_GUEST_IDTR_LIMIT] = BANK_GUEST,
    [FIELD_GUEST_DR7] = BANK_GUEST,
    [FIELD_GUEST_IA32_DEBUGCTL] = BANK_GUEST,
    [FIELD_GUEST_IA32_PAT] = BANK_GUEST,
    [FIELD_GUEST_IA32_EFER] = BANK_GUEST,
    [FIELD_GUEST_SYSENTER_CS] = BANK_GUEST,
    [FIELD_GUEST_SYSENTER_ESP] = BANK_GUEST,
    [FIELD_GUEST_SYSENTER_EIP] = BANK_GUEST,

    [FIELD_HOST_ES_SELECTOR] = BANK_HOST,
    [FIELD_HOST_CS_SELECTOR] = BANK_HOST,
    [FIELD_HOST_SS_SELECTOR] = BANK_HOST,
    [FIELD_HOST_DS_SELECTOR] = BANK_HOST,
    [FIELD_HOST_FS_SELECTOR] = BANK_HOST,
    [FIELD_HOST_GS_SELECTOR] = BANK_HOST,
    [FIELD_HOST_TR_SELECTOR] = BANK_HOST,
    [FIELD_HOST_FS_BASE] = BANK_HOST,
    [FIELD_HOST_GS_BASE] = BANK_HOST,
    [FIELD_HOST_TR_BASE] = BANK_HOST,
    [FIELD_HOST_GDTR_BASE] = BANK_HOST,
    [FIELD_HOST_IDTR_BASE] = BANK_HOST,
    [FIELD_HOST_IA32_PAT] = BANK_HOST,
    [FIELD_HOST_IA32_EFER] = BANK_HOST,
    [FIELD_HOST_IA32_SYSENTER_CS] = BANK_HOST,
    [FIELD_HOST_IA32_SYSENTER_ESP] = BANK_HOST,
    [FIELD_HOST_IA32_SYSENTER_EIP] = BANK_HOST,
};

/* The header is memory that software can write: only under a bank are its bits to be trusted. */
struct bank *bank_claim(struct nst_machine *machine, uint64_t vmcs) {
  struct bank *bank = bank_slot(machine, vmcs);
  if (bank->vmcs != vmcs) {
    struct vmcs view = {memory_page(machine, vmcs), &machine->layout};
    vmcs_header(&view)->checked = 0;
    bank->vmcs = vmcs;
  }
  return bank;
}

void bank_drop(struct nst_machine *machine, uint64_t vmcs) {
  struct bank *bank = bank_slot(machine, vmcs);
  if (bank->vmcs == vmcs) bank->vmcs = VMCS_NONE;
}
