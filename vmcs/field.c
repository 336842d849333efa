/* SPDX-License-Identifier: MIT
 * The field tables, expanded from field.def. */
#include "vmcs/field.h"

#include "vmcs/capability.h"

/* SDM 3D Appendix B "Field Encoding in VMCS": the encoding says width and kind. */
#define VMCS_FIELD(name, encoding, width, kind, present, title)                                \
  _Static_assert(((encoding) >> 13 & 3) == (int)(width), #name ": width and encoding differ"); \
  _Static_assert(((encoding) >> 10 & 3) == (int)(kind), #name ": kind and encoding differ");   \
  _Static_assert(((encoding)&0x9001) == 0 && ((encoding)&0x3ff) < 128, #name ": encoding");
#include "vmcs/field.def"

const struct vmcs_field_info vmcs_field_info[FIELD_COUNT] = {
#define VMCS_FIELD(name, encoding, width, kind, present, title) \
  {#name, (title), (encoding), (width), (kind), (present)},
#include "vmcs/field.def"
};

const uint16_t vmcs_field_table[16][64] = {
#define VMCS_FIELD(name, encoding, width, kind, present, title) \
  [(width) << 2 | (kind)][(encoding) >> 1 & 0x3f] = FIELD_##name + 1,
#include "vmcs/field.def"
};

uint64_t vmcs_field_mask(enum vmcs_field field) {
  static const uint64_t mask[] = {
      [VMCS_WIDTH_16] = UINT16_MAX,
      [VMCS_WIDTH_64] = UINT64_MAX,
      [VMCS_WIDTH_32] = UINT32_MAX,
      [VMCS_WIDTH_NATURAL] = UINT64_MAX,
  };
  return mask[vmcs_field_info[field].width];
}
