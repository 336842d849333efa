/* SPDX-License-Identifier: MIT
 * Exit reasons of recordings: names and numbers to kinds. */
#include "traces/reason.h"

#include <stdbool.h>
#include <string.h>

#include "traces/event.h"

static const struct reason_row rows[] = {
#define VMX_REASON(name, kind, decode) {#name, NULL, 0, TRACE_##kind, DECODE_##decode, 0},
#include "traces/reason_vmx.def"
#define SVM_REASON(number, name, report, kind, decode, argument) \
  {name, report, number, TRACE_##kind, DECODE_##decode, argument},
#include "traces/reason_svm.def"
};

enum {
#define VMX_REASON(name, kind, decode) VMX_ROW_##name,
#include "traces/reason_vmx.def"
  VMX_ROW_COUNT,
  ROW_COUNT = sizeof rows / sizeof rows[0]
};
_Static_assert(VMX_ROW_COUNT <= REASON_VMX_LIMIT, "the map has a number per VMX row");
_Static_assert(2 * ROW_COUNT < REASON_HASH_SIZE, "the hash holds every name and alias sparsely");

static size_t hash_of(const char *name, size_t length) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
  return hash % REASON_HASH_SIZE;
}

static bool is_name(const char *known, const char *name, size_t length) {
  return known && strlen(known) == length && memcmp(known, name, length) == 0;
}

static const struct reason_row *find_row(const struct reason_map *map, const char *name,
                                         size_t length, size_t *free_slot) {
  size_t slot = hash_of(name, length);
  while (map->hash[slot] != 0) {
    const struct reason_row *row = &rows[map->hash[slot] - 1];
    if (is_name(row->name, name, length)) return row;
    slot = (slot + 1) % REASON_HASH_SIZE;
  }
  if (free_slot) *free_slot = slot;
  return NULL;
}

void reason_map_init(struct reason_map *map, int (*vmx_reason)(const char *name)) {
  memset(map, 0, sizeof *map);
  map->vmx_reason = vmx_reason;
  for (size_t i = 0; i < ROW_COUNT; i++) {
    size_t slot = 0;
    if (!find_row(map, rows[i].name, strlen(rows[i].name), &slot)) {
      map->hash[slot] = (uint16_t)(i + 1);
    }
    if (i >= VMX_ROW_COUNT) {
      map->svm[rows[i].number] = &rows[i];
      continue;
    }
    int number = vmx_reason ? vmx_reason(rows[i].name) : -1;
    map->vmx_number[i] = number >= 0 ? (uint32_t)number : REASON_NONE;
    if (number >= 0 && number < REASON_VMX_LIMIT) map->vmx[number] = &rows[i];
  }
}

static const struct reason_row *svm_by_report_name(const char *name, size_t length) {
  for (size_t i = VMX_ROW_COUNT; i < ROW_COUNT; i++) {
    if (is_name(rows[i].alias, name, length)) return &rows[i];
  }
  return NULL;
}

/* A VMX reason without a row may still have a number. */
static struct reason_found ask_caller(const struct reason_map *map, const char *name,
                                      size_t length) {
  struct reason_found found = {NULL, REASON_NONE, TRACE_ARCH_NONE};
  char copy[48];
  if (!map->vmx_reason || length >= sizeof copy) return found;
  memcpy(copy, name, length);
  copy[length] = '\0';
  int number = map->vmx_reason(copy);
  if (number < 0) return found;
  return (struct reason_found){NULL, (uint32_t)number, TRACE_ARCH_VMX};
}

struct reason_found reason_by_name(const struct reason_map *map, const char *name, size_t length) {
  static const char older[] = "PENDING_INTERRUPT", report[] = "EXIT_";
  if (is_name(older, name, length)) {
    name = "INTERRUPT_WINDOW";
    length = strlen(name);
  }
  const struct reason_row *row = find_row(map, name, length, NULL);
  if (!row && length > sizeof report - 1 && memcmp(name, report, sizeof report - 1) == 0) {
    row = svm_by_report_name(name + sizeof report - 1, length - (sizeof report - 1));
  }
  if (!row) return ask_caller(map, name, length);
  if (row - rows >= VMX_ROW_COUNT) return (struct reason_found){row, row->number, TRACE_ARCH_SVM};
  return (struct reason_found){row, map->vmx_number[row - rows], TRACE_ARCH_VMX};
}

const struct reason_row *reason_by_number(const struct reason_map *map, unsigned arch,
                                          uint32_t number) {
  if (arch == TRACE_ARCH_VMX && number < REASON_VMX_LIMIT) return map->vmx[number];
  if (arch == TRACE_ARCH_SVM && number < REASON_SVM_LIMIT) return map->svm[number];
  return NULL;
}
