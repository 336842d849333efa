/* SPDX-License-Identifier: MIT
 * Layouts of the VMCS region, and access by encoding. */
#include "vmcs/region.h"

#include "vmcs/check.h"

enum { SLOT_SIZE = 8, SLOT_COUNT = (VMCS_REGION_SIZE - VMCS_FIRST_FIELD_OFFSET) / SLOT_SIZE };
_Static_assert((int)FIELD_COUNT <= (int)SLOT_COUNT, "the fields do not fit into the region");
_Static_assert((int)sizeof(struct vmcs_header) <= (int)VMCS_FIRST_FIELD_OFFSET, "header");

static uint16_t slot_offset(unsigned slot) {
  return (uint16_t)(VMCS_FIRST_FIELD_OFFSET + slot * SLOT_SIZE);
}

void vmcs_layout_init(struct vmcs_layout *layout, uint32_t revision) {
  layout->revision = revision & ~VMCS_SHADOW_INDICATOR;
  for (unsigned field = 0; field < FIELD_COUNT; field++) layout->offset[field] = slot_offset(field);
}

/* Next number of a splitmix64 sequence. */
static uint64_t next_random(uint64_t *state) {
  *state += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t mixed = *state;
  mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
  return mixed ^ mixed >> 31;
}

void vmcs_layout_permute(struct vmcs_layout *layout, uint64_t seed) {
  uint16_t slots[SLOT_COUNT];
  for (unsigned slot = 0; slot < SLOT_COUNT; slot++) slots[slot] = (uint16_t)slot;
  for (unsigned slot = SLOT_COUNT - 1; slot > 0; slot--) {
    unsigned other = (unsigned)(next_random(&seed) % (slot + 1));
    uint16_t saved = slots[slot];
    slots[slot] = slots[other];
    slots[other] = saved;
  }
  for (unsigned field = 0; field < FIELD_COUNT; field++)
    layout->offset[field] = slot_offset(slots[field]);
}

uint64_t vmcs_read_encoding(const struct vmcs *vmcs, uint32_t encoding) {
  enum vmcs_field field = vmcs_field_of(encoding);
  uint64_t value = vmcs_get(vmcs, field) & vmcs_field_mask(field);
  return vmcs_encoding_is_high(encoding) ? value >> 32 : value;
}

void vmcs_write_encoding(const struct vmcs *vmcs, uint32_t encoding, uint64_t value) {
  enum vmcs_field field = vmcs_field_of(encoding);
  if (vmcs_encoding_is_high(encoding)) value = value << 32 | (vmcs_get(vmcs, field) & UINT32_MAX);
  vmcs_set(vmcs, field, value & vmcs_field_mask(field));
  vmcs_header(vmcs)->checked &= ~(uint32_t)vmcs_field_groups[field];
}
