/* SPDX-License-Identifier: MIT
 * The VMCS fields: encodings, dense indexes and what is known of each, all from field.def. */
#ifndef VMCS_FIELD_H
#define VMCS_FIELD_H

#include <stdbool.h>
#include <stdint.h>

/* Encodings, spelt as Linux spells them: GUEST_RIP == 0x681e. */
enum vmcs_encoding {
#define VMCS_FIELD(name, encoding, width, kind, present, title) name = (encoding),
#include "vmcs/field.def"
};

/* Dense indexes, in the order of field.def: FIELD_GUEST_RIP. */
enum vmcs_field {
#define VMCS_FIELD(name, encoding, width, kind, present, title) FIELD_##name,
#include "vmcs/field.def"
  FIELD_COUNT,
  FIELD_NONE = 0xffff
};

enum vmcs_width { VMCS_WIDTH_16, VMCS_WIDTH_64, VMCS_WIDTH_32, VMCS_WIDTH_NATURAL };
enum vmcs_kind { VMCS_KIND_CONTROL, VMCS_KIND_INFO, VMCS_KIND_GUEST, VMCS_KIND_HOST };

struct vmcs_field_info {
  const char *name;
  const char *title; /* SDM 3D Appendix B heading of the row */
  uint32_t encoding;
  uint8_t width;    /* enum vmcs_width: bits 14:13 of the encoding */
  uint8_t kind;     /* enum vmcs_kind: bits 11:10 */
  uint16_t present; /* enum vmcs_feature (capability.h) that brings the field, 0 = always */
};

extern const struct vmcs_field_info vmcs_field_info[FIELD_COUNT];

/* [width << 2 | kind][index]: FIELD_x + 1, or 0 if the encoding names no field. */
extern const uint16_t vmcs_field_table[16][64];

/* The field of an encoding; bit 0 (high half of a 64-bit field) is ignored. FIELD_NONE if the
 * encoding names no field. Arithmetic and one table look-up. */
static inline enum vmcs_field vmcs_field_of(uint32_t encoding) {
  uint32_t index = encoding >> 1 & 0x1ff;
  if ((encoding & ~UINT32_C(0x6fff)) != 0 || index >= 64) return FIELD_NONE;
  uint16_t entry = vmcs_field_table[(encoding >> 13 & 3) << 2 | (encoding >> 10 & 3)][index];
  return (enum vmcs_field)(uint16_t)(entry - 1); /* 0 becomes FIELD_NONE */
}

/* Encodings with the high-access bit are valid for 64-bit fields only. */
static inline bool vmcs_encoding_is_high(uint32_t encoding) {
  return encoding & 1;
}

/* Significant bits of a field's value. */
uint64_t vmcs_field_mask(enum vmcs_field field);

#endif
