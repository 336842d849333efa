/* SPDX-License-Identifier: MIT
 * Does this instruction exit? Decided from controls, masks and bitmaps; and the words that a VM
 * exit records about it. SDM 3C "VMX Non-Root Operation" and "VM Exits". */
#ifndef VMCS_INTERCEPT_H
#define VMCS_INTERCEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmcs/region.h"

/* What a VM exit is about, before it is written into the VMCS. */
struct vmcs_exit {
  uint32_t reason; /* basic reason, plus EXIT_REASON_FAILED_ENTRY */
  uint32_t length; /* instruction length, 0 if undefined for this exit */
  uint64_t qualification;
  uint32_t instruction_information;
  uint32_t interruption_information, interruption_error;
  uint32_t idt_vectoring_information, idt_vectoring_error;
  uint64_t guest_linear_address, guest_physical_address;
  /* For observers only, not in the VMCS: MSR or port or field encoding or linear address of a
   * memory operand, as the reason says. */
  uint64_t detail;
};

/* Writes the exit-information fields. SDM 3C "Recording VM-Exit Information and Updating
 * VM-Entry Control Fields": also clears bit 31 of the VM-entry interruption information. */
void vmcs_exit_record(const struct vmcs *vmcs, const struct vmcs_exit *exit);

/* The bitmaps that a decision may need, as host pointers of 4096 bytes each or NULL when the
 * corresponding control is off (or the page cannot be read: then everything intercepts). */
struct vmcs_bitmaps {
  const uint8_t *io_a, *io_b, *msr, *vmread, *vmwrite;
};

bool vmcs_intercepts_io(const struct vmcs *vmcs, const struct vmcs_bitmaps *bitmaps, uint16_t port,
                        unsigned size);
bool vmcs_intercepts_msr(const struct vmcs *vmcs, const struct vmcs_bitmaps *bitmaps, uint32_t msr,
                         bool write);
/* MOV to CRn with `value`. */
bool vmcs_intercepts_cr_write(const struct vmcs *vmcs, unsigned cr, uint64_t value);
bool vmcs_intercepts_cr_read(const struct vmcs *vmcs, unsigned cr);
bool vmcs_intercepts_clts(const struct vmcs *vmcs);
bool vmcs_intercepts_lmsw(const struct vmcs *vmcs, uint16_t source);
/* What MOV from CR0/CR4 returns: guest-owned bits from `actual`, the others from the shadow. */
uint64_t vmcs_cr_visible(const struct vmcs *vmcs, unsigned cr, uint64_t actual);
/* What MOV to CR0/CR4 leaves in the register: only guest-owned bits change. */
uint64_t vmcs_cr_written(const struct vmcs *vmcs, unsigned cr, uint64_t actual, uint64_t value);
/* Exception bitmap, with the page-fault error-code mask and match. */
bool vmcs_intercepts_exception(const struct vmcs *vmcs, unsigned vector, uint32_t error_code);
/* VMREAD or VMWRITE in non-root operation: true = exits, false = served by the shadow VMCS. */
bool vmcs_intercepts_vmcs_access(const struct vmcs *vmcs, const struct vmcs_bitmaps *bitmaps,
                                 uint64_t encoding, bool write);

/* Exit qualifications, SDM 3C "Basic VM-Exit Information". */
uint64_t vmcs_qualify_cr(unsigned cr, unsigned access, unsigned gpr, uint16_t lmsw, bool memory);
uint64_t vmcs_qualify_dr(unsigned dr, bool from, unsigned gpr);
uint64_t vmcs_qualify_io(uint16_t port, unsigned size, bool in, bool string, bool rep,
                         bool immediate);

/* VM-exit instruction information of a VMX instruction; the operands as in SDM 3C "VM-Exit
 * Instruction Information". index/base 0xff = absent; scale 0 to 3 = times 1, 2, 4, 8;
 * address_size in bytes: 2, 4 or 8. */
struct vmcs_operand {
  bool memory;
  uint8_t reg1, reg2, segment, base, index, scale, address_size;
};
uint32_t vmcs_instruction_information(const struct vmcs_operand *operand);

#endif
