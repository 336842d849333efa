/* SPDX-License-Identifier: MIT
 * The words that a VM exit records. SDM 3C "Recording VM-Exit Information and Updating VM-Entry
 * Control Fields". */
#include "vmcs/intercept.h"
#include "vmcs/reason.h"

#define VALID (UINT32_C(1) << 31)
#define ERROR_CODE_VALID (UINT32_C(1) << 11)
#define REASON_BIT(name) (UINT64_C(1) << EXIT_REASON_##name)

/* 1 where the reason has VM-exit instruction information, that is any kind but "none". */
static const uint8_t has_information[EXIT_REASON_LIMIT] = {
#define EXIT_REASON(name, number, qualification, information, length_valid, title) \
  [number] = sizeof(information) != sizeof "none",
#include "vmcs/reason.def"
};

static void record_addresses(const struct vmcs *vmcs, const struct vmcs_exit *exit) {
  const uint64_t linear = REASON_BIT(CR_ACCESS) | REASON_BIT(IO_INSTRUCTION) | REASON_BIT(IO_SMI) |
                          REASON_BIT(EPT_VIOLATION);
  const uint64_t physical = REASON_BIT(EPT_VIOLATION) | REASON_BIT(EPT_MISCONFIG);
  if (exit->reason >= 64) return;
  if (linear >> exit->reason & 1)
    vmcs_set(vmcs, FIELD_GUEST_LINEAR_ADDRESS, exit->guest_linear_address);
  if (physical >> exit->reason & 1)
    vmcs_set(vmcs, FIELD_GUEST_PHYSICAL_ADDRESS, exit->guest_physical_address);
}

void vmcs_exit_record(const struct vmcs *vmcs, const struct vmcs_exit *exit) {
  vmcs_set(vmcs, FIELD_VM_EXIT_REASON, exit->reason);
  vmcs_set(vmcs, FIELD_EXIT_QUALIFICATION, exit->qualification);
  /* SDM 3C "VM-Entry Failures During or After Loading Guest State": nothing else is touched. */
  if (exit->reason & EXIT_REASON_FAILED_ENTRY) return;
  vmcs_set(vmcs, FIELD_VM_EXIT_INTR_INFO, exit->interruption_information);
  if (exit->interruption_information & ERROR_CODE_VALID)
    vmcs_set(vmcs, FIELD_VM_EXIT_INTR_ERROR_CODE, exit->interruption_error);
  vmcs_set(vmcs, FIELD_IDT_VECTORING_INFO_FIELD, exit->idt_vectoring_information);
  if (exit->idt_vectoring_information & ERROR_CODE_VALID)
    vmcs_set(vmcs, FIELD_IDT_VECTORING_ERROR_CODE, exit->idt_vectoring_error);
  vmcs_set(vmcs, FIELD_VM_EXIT_INSTRUCTION_LEN, exit->length);
  if (exit->reason < EXIT_REASON_LIMIT && has_information[exit->reason])
    vmcs_set(vmcs, FIELD_VMX_INSTRUCTION_INFO, exit->instruction_information);
  record_addresses(vmcs, exit);
  uint64_t injected = vmcs_get(vmcs, FIELD_VM_ENTRY_INTR_INFO_FIELD);
  if (injected & VALID) vmcs_set(vmcs, FIELD_VM_ENTRY_INTR_INFO_FIELD, injected & ~(uint64_t)VALID);
}

uint64_t vmcs_qualify_cr(unsigned cr, unsigned access, unsigned gpr, uint16_t lmsw, bool memory) {
  return (cr & 15) | (access & 3) << 4 | (unsigned)memory << 6 | (gpr & 15) << 8 |
         (uint32_t)lmsw << 16;
}

uint64_t vmcs_qualify_dr(unsigned dr, bool from, unsigned gpr) {
  return (dr & 7) | (unsigned)from << 4 | (gpr & 15) << 8;
}

uint64_t vmcs_qualify_io(uint16_t port, unsigned size, bool in, bool string, bool rep,
                         bool immediate) {
  return ((size - 1) & 7) | (unsigned)in << 3 | (unsigned)string << 4 | (unsigned)rep << 5 |
         (unsigned)immediate << 6 | (uint32_t)port << 16;
}

/* Bits that the form at hand leaves undefined are 0. */
uint32_t vmcs_instruction_information(const struct vmcs_operand *operand) {
  uint32_t information = (operand->reg2 & UINT32_C(15)) << 28;
  if (!operand->memory)
    return information | UINT32_C(1) << 10 | (operand->reg1 & UINT32_C(15)) << 3;
  information |= (operand->address_size >> 2 & UINT32_C(3)) << 7; /* 2, 4, 8 bytes: 0, 1, 2 */
  information |= (operand->segment & UINT32_C(7)) << 15;
  if (operand->index == 0xff)
    information |= UINT32_C(1) << 22;
  else
    information |= (operand->index & UINT32_C(15)) << 18 | (operand->scale & UINT32_C(3));
  if (operand->base == 0xff) return information | UINT32_C(1) << 27;
  return information | (operand->base & UINT32_C(15)) << 23;
}
