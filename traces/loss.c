/* SPDX-License-Identifier: MIT
 * Counting into a loss report. */
#include "traces/loss.h"

#include <string.h>

const char *trace_fate_name(unsigned fate) {
  static const char *const names[TRACE_FATE_COUNT] = {[TRACE_FATE_OPERATION] = "operation",
                                                      [TRACE_FATE_HOST] = "host-caused exit",
                                                      [TRACE_FATE_UNKNOWN] = "unknown",
                                                      [TRACE_FATE_DETAIL] = "detail of an exit",
                                                      [TRACE_FATE_BOUNDARY] = "boundary",
                                                      [TRACE_FATE_INTERRUPT] = "timer or interrupt",
                                                      [TRACE_FATE_BOOKKEEPING] = "bookkeeping",
                                                      [TRACE_FATE_ARM] = "Arm: information only",
                                                      [TRACE_FATE_EARLY] = "before the first exit",
                                                      [TRACE_FATE_UNUSED] = "of no open exit"};
  return fate < TRACE_FATE_COUNT ? names[fate] : NULL;
}

static bool is_name(const char *known, const char *name, size_t length) {
  return strlen(known) == length && memcmp(known, name, length) == 0;
}

static const struct record_type *find_type(const char *name, size_t length) {
  for (size_t i = 0; i < record_type_count; i++) {
    if (is_name(record_types[i].name, name, length)) return &record_types[i];
  }
  return NULL;
}

uint16_t loss_find(struct loss_index *index, struct trace_loss *loss, const char *name,
                   size_t length, const struct record_type **type) {
  uint32_t hash = 2166136261u;
  if (length > TRACE_NAME_MAX - 1) length = TRACE_NAME_MAX - 1;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
  size_t slot = hash % LOSS_HASH_SIZE;
  while (index->hash[slot] != 0) {
    uint16_t found = (uint16_t)(index->hash[slot] - 1);
    if (is_name(loss->names[found].name, name, length)) {
      *type = index->type[found];
      return found;
    }
    slot = (slot + 1) % LOSS_HASH_SIZE;
  }
  *type = find_type(name, length);
  if (loss->name_count == TRACE_LOSS_NAMES) return LOSS_NAME_NONE;
  uint16_t added = (uint16_t)loss->name_count++;
  memcpy(loss->names[added].name, name, length);
  loss->names[added].name[length] = '\0';
  index->type[added] = *type;
  index->hash[slot] = (uint16_t)(added + 1);
  return added;
}

void loss_count_record(struct trace_loss *loss, uint16_t name, enum trace_fate fate) {
  if (name == LOSS_NAME_NONE) {
    loss->records_unnamed++;
  } else {
    loss->names[name].fate[fate]++;
  }
}

void loss_count_event(struct trace_loss *loss, const struct trace_event *event) {
  uint32_t untold = trace_kind_arguments(event->kind) & ~event->flags;
  loss->events++;
  loss->kind[event->kind]++;
  for (unsigned i = 0; i < 4 && untold != 0; i++) {
    if (untold & TRACE_HAS_A << i) loss->untold[event->kind][i]++;
  }
}
