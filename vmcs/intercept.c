/* SPDX-License-Identifier: MIT
 * Which instructions exit: SDM 3C "Instructions That Cause VM Exits Conditionally". */
#include "vmcs/intercept.h"

#include <stddef.h>

#include "vmcs/control.h"

enum { CR0_PE = 1 << 0, CR0_TS = 1 << 3, VECTOR_PF = 14, CR3_TARGET_LIMIT = 4 };

static bool has_primary(const struct vmcs *vmcs, uint64_t bit) {
  return vmcs_get(vmcs, FIELD_CPU_BASED_VM_EXEC_CONTROL) & bit;
}

static bool has_secondary(const struct vmcs *vmcs, uint64_t bit) {
  return has_primary(vmcs, VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)) &&
         (vmcs_get(vmcs, FIELD_SECONDARY_VM_EXEC_CONTROL) & bit);
}

static bool bitmap_test(const uint8_t *bitmap, uint32_t bit) {
  return bitmap[bit >> 3] >> (bit & 7) & 1;
}

static bool io_bit(const struct vmcs_bitmaps *bitmaps, uint32_t port) {
  const uint8_t *bitmap = port < 0x8000 ? bitmaps->io_a : bitmaps->io_b;
  return !bitmap || bitmap_test(bitmap, port & 0x7fff);
}

/* SDM 3C "I/O-Bitmap Addresses"; with bitmaps in use "unconditional I/O exiting" is ignored. */
bool vmcs_intercepts_io(const struct vmcs *vmcs, const struct vmcs_bitmaps *bitmaps, uint16_t port,
                        unsigned size) {
  if (!has_primary(vmcs, VMCS_BIT(CPU_BASED_USE_IO_BITMAPS)))
    return has_primary(vmcs, VMCS_BIT(CPU_BASED_UNCOND_IO_EXITING));
  for (uint32_t byte = port; byte < (uint32_t)port + size; byte++)
    if (byte > UINT16_MAX || io_bit(bitmaps, byte)) return true; /* wrapping around exits */
  return false;
}

/* SDM 3C "MSR-Bitmap Address": four bitmaps of 1 KiB, reads before writes, low before high. */
bool vmcs_intercepts_msr(const struct vmcs *vmcs, const struct vmcs_bitmaps *bitmaps, uint32_t msr,
                         bool write) {
  if (!has_primary(vmcs, VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS)) || !bitmaps->msr) return true;
  uint32_t index = msr & 0x1fff;
  bool high = msr == (0xc0000000 | index);
  if (!high && msr != index) return true;
  return bitmap_test(bitmaps->msr + (write ? 2048 : 0) + (high ? 1024 : 0), index);
}

static enum vmcs_field mask_field(unsigned cr) {
  return cr == 0 ? FIELD_CR0_GUEST_HOST_MASK : FIELD_CR4_GUEST_HOST_MASK;
}

static enum vmcs_field shadow_field(unsigned cr) {
  return cr == 0 ? FIELD_CR0_READ_SHADOW : FIELD_CR4_READ_SHADOW;
}

static bool is_cr3_target(const struct vmcs *vmcs, uint64_t value) {
  uint64_t count = vmcs_get(vmcs, FIELD_CR3_TARGET_COUNT);
  for (unsigned i = 0; i < count && i < CR3_TARGET_LIMIT; i++)
    if (vmcs_get(vmcs, (enum vmcs_field)(FIELD_CR3_TARGET_VALUE0 + i)) == value) return true;
  return false;
}

bool vmcs_intercepts_cr_write(const struct vmcs *vmcs, unsigned cr, uint64_t value) {
  if (cr == 3)
    return has_primary(vmcs, VMCS_BIT(CPU_BASED_CR3_LOAD_EXITING)) && !is_cr3_target(vmcs, value);
  if (cr == 8) return has_primary(vmcs, VMCS_BIT(CPU_BASED_CR8_LOAD_EXITING));
  if (cr != 0 && cr != 4) return false;
  return (value ^ vmcs_get(vmcs, shadow_field(cr))) & vmcs_get(vmcs, mask_field(cr));
}

bool vmcs_intercepts_cr_read(const struct vmcs *vmcs, unsigned cr) {
  if (cr == 3) return has_primary(vmcs, VMCS_BIT(CPU_BASED_CR3_STORE_EXITING));
  return cr == 8 && has_primary(vmcs, VMCS_BIT(CPU_BASED_CR8_STORE_EXITING));
}

bool vmcs_intercepts_clts(const struct vmcs *vmcs) {
  return vmcs_get(vmcs, FIELD_CR0_GUEST_HOST_MASK) & vmcs_get(vmcs, FIELD_CR0_READ_SHADOW) & CR0_TS;
}

/* LMSW cannot clear PE, so a 0 in its place asks for no change. */
bool vmcs_intercepts_lmsw(const struct vmcs *vmcs, uint16_t source) {
  uint64_t mask = vmcs_get(vmcs, FIELD_CR0_GUEST_HOST_MASK);
  uint64_t changes = source ^ vmcs_get(vmcs, FIELD_CR0_READ_SHADOW);
  if (!(source & CR0_PE)) changes &= ~(uint64_t)CR0_PE;
  return mask & changes & 0xf;
}

uint64_t vmcs_cr_visible(const struct vmcs *vmcs, unsigned cr, uint64_t actual) {
  if (cr != 0 && cr != 4) return actual;
  uint64_t mask = vmcs_get(vmcs, mask_field(cr));
  return (mask & vmcs_get(vmcs, shadow_field(cr))) | (~mask & actual);
}

uint64_t vmcs_cr_written(const struct vmcs *vmcs, unsigned cr, uint64_t actual, uint64_t value) {
  if (cr != 0 && cr != 4) return value;
  uint64_t mask = vmcs_get(vmcs, mask_field(cr));
  return (mask & actual) | (~mask & value);
}

/* SDM 3C "Exception Bitmap": a page fault whose error code does not match inverts bit 14. */
bool vmcs_intercepts_exception(const struct vmcs *vmcs, unsigned vector, uint32_t error_code) {
  if (vector > 31) return false;
  bool exits = vmcs_get(vmcs, FIELD_EXCEPTION_BITMAP) >> vector & 1;
  if (vector != VECTOR_PF) return exits;
  uint64_t masked = error_code & vmcs_get(vmcs, FIELD_PAGE_FAULT_ERROR_CODE_MASK);
  return masked == vmcs_get(vmcs, FIELD_PAGE_FAULT_ERROR_CODE_MATCH) ? exits : !exits;
}

/* SDM 3C "VMCS Shadowing Bitmap Addresses": encodings above 15 bits always exit. */
bool vmcs_intercepts_vmcs_access(const struct vmcs *vmcs, const struct vmcs_bitmaps *bitmaps,
                                 uint64_t encoding, bool write) {
  const uint8_t *bitmap = write ? bitmaps->vmwrite : bitmaps->vmread;
  if (!has_secondary(vmcs, VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS)) || !bitmap) return true;
  return encoding > 0x7fff || bitmap_test(bitmap, (uint32_t)encoding);
}
