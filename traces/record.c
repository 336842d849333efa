/* SPDX-License-Identifier: MIT
 * ftrace.def as tables. */
#include "traces/record.h"

#include "traces/trace.h"

/* Each row's fields are an array of their own, ended by a row without slot. */
#define FIELD(slot, form, need, key, dat) {SLOT_##slot, FORM_##form, FIELD_##need, key, dat},
#define FTRACE(name, id, fate, fields) \
  static const struct record_field fields_##name[] = {fields{SLOT_TOTAL, 0, 0, NULL, NULL}};
#include "traces/ftrace.def"

#define FTRACE(name, id, fate, fields)                                                        \
  {#name, RECORD_##id, TRACE_FATE_##fate, sizeof fields_##name / sizeof fields_##name[0] - 1, \
   fields_##name},
const struct record_type record_types[] = {
#include "traces/ftrace.def"
};
const size_t record_type_count = sizeof record_types / sizeof record_types[0];
