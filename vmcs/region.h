/* SPDX-License-Identifier: MIT
 * A VMCS is its 4-KiB region: revision identifier, VMX-abort indicator, then fields at offsets
 * that come from a layout table. Every field takes an 8-byte slot. */
#ifndef VMCS_REGION_H
#define VMCS_REGION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vmcs/field.h"

enum { VMCS_REGION_SIZE = 4096, VMCS_FIRST_FIELD_OFFSET = 64 };
#define VMCS_SHADOW_INDICATOR (UINT32_C(1) << 31)

/* Where each field lies in the region. A processor has one; a test permutes it. */
struct vmcs_layout {
  uint32_t revision; /* bits 30:0 of the first four bytes */
  uint16_t offset[FIELD_COUNT];
};

/* The default layout: fields in the order of field.def. */
void vmcs_layout_init(struct vmcs_layout *layout, uint32_t revision);
/* A layout permuted by `seed`; same revision, other offsets. */
void vmcs_layout_permute(struct vmcs_layout *layout, uint64_t seed);

/* Header words of a region; the rest of the first 64 bytes is the processor's own. */
struct vmcs_header {
  uint32_t revision; /* bit 31: shadow VMCS */
  uint32_t abort;
  uint32_t launch_state; /* enum vmcs_launch_state */
  uint32_t checked;      /* entry-check groups passed and not touched since (check.h); bits from 8
                            on are the processor's */
};
enum vmcs_launch_state { VMCS_CLEAR, VMCS_LAUNCHED };

/* A processor's view of one region: host memory of the 4 KiB and the layout that applies. */
struct vmcs {
  uint8_t *region;
  const struct vmcs_layout *layout;
};

static inline struct vmcs_header *vmcs_header(const struct vmcs *vmcs) {
  return (struct vmcs_header *)(void *)vmcs->region;
}

static inline uint64_t vmcs_get(const struct vmcs *vmcs, enum vmcs_field field) {
  uint64_t value;
  memcpy(&value, vmcs->region + vmcs->layout->offset[field], sizeof value);
  return value;
}

/* Stores without width truncation: callers pass values that fit. */
static inline void vmcs_set(const struct vmcs *vmcs, enum vmcs_field field, uint64_t value) {
  memcpy(vmcs->region + vmcs->layout->offset[field], &value, sizeof value);
}

/* Access by encoding as VMREAD and VMWRITE do: the high-access form touches bits 63:32 of a 64-bit
 * field; values are truncated to the field's width. The caller has looked the field up. */
uint64_t vmcs_read_encoding(const struct vmcs *vmcs, uint32_t encoding);
void vmcs_write_encoding(const struct vmcs *vmcs, uint32_t encoding, uint64_t value);

#endif
