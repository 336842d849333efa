/* SPDX-License-Identifier: MIT
 * Records of Nestor's own trace format. */
#include "traces/native.h"

#include <string.h>

const uint8_t native_magic[NATIVE_MAGIC_SIZE] = {0x8e, 'N', 'S', 'T', 'T', 'R', 'C', '\n'};

uint64_t native_checksum(uint64_t checksum, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  for (size_t i = 0; i < size; i++) checksum = (checksum ^ at[i]) * 1099511628211u;
  return checksum;
}

void native_put(uint8_t *to, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * i);
}

uint64_t native_get(const uint8_t *from, unsigned bytes) {
  uint64_t value = 0;
  for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)from[i] << 8 * i;
  return value;
}

static uint8_t *put_varint(uint8_t *to, uint64_t value) {
  while (value >= 0x80) {
    *to++ = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  *to++ = (uint8_t)value;
  return to;
}

/* Small differences of either sign become small numbers. */
static uint64_t fold(uint64_t difference) {
  return difference << 1 ^ (0 - (difference >> 63));
}
static uint64_t unfold(uint64_t folded) {
  return folded >> 1 ^ (0 - (folded & 1));
}

size_t native_encode(uint8_t *to, const struct trace_event *event, struct native_base *base) {
  const uint64_t arguments[4] = {event->a, event->b, event->c, event->d};
  uint8_t *at = to;
  *at++ = (uint8_t)trace_kind_tag(event->kind);
  at = put_varint(at, event->flags);
  *at++ = event->arch;
  *at++ = event->vcpu;
  *at++ = event->level;
  if (event->flags & TRACE_HAS_REASON) {
    at = put_varint(at, event->reason);
    at = put_varint(at, event->hardware_reason);
  }
  at = put_varint(at, fold(event->time_ns - base->time));
  base->time = event->time_ns;
  if (event->flags & TRACE_HAS_RIP) {
    at = put_varint(at, fold(event->rip - base->rip));
    base->rip = event->rip;
  }
  if (event->flags & TRACE_INJECTED) *at++ = event->injected;
  for (unsigned i = 0; i < 4; i++) {
    if (event->flags & TRACE_HAS_A << i) at = put_varint(at, arguments[i]);
  }
  return (size_t)(at - to);
}

/* Bytes being taken; `failed` once they do not suffice or make no sense. */
struct cursor {
  const uint8_t *at, *end;
  bool failed;
};

static uint8_t get_byte(struct cursor *cursor) {
  if (cursor->at == cursor->end) {
    cursor->failed = true;
    return 0;
  }
  return *cursor->at++;
}

static uint64_t get_varint(struct cursor *cursor, uint64_t limit) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    uint8_t byte = get_byte(cursor);
    if (shift == 63 && byte > 1) cursor->failed = true;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      if (value > limit) cursor->failed = true;
      return value;
    }
    if (shift == 63) break;
  }
  cursor->failed = true;
  return 0;
}

static void get_arguments(struct cursor *cursor, struct trace_event *event) {
  uint64_t *const arguments[4] = {&event->a, &event->b, &event->c, &event->d};
  for (unsigned i = 0; i < 4; i++) {
    if (event->flags & TRACE_HAS_A << i) *arguments[i] = get_varint(cursor, UINT64_MAX);
  }
}

size_t native_decode(const uint8_t *from, size_t size, struct trace_event *event,
                     struct native_base *base) {
  struct cursor cursor = {from, from + size, false};
  memset(event, 0, sizeof *event);
  unsigned kind = trace_kind_of_tag((char)get_byte(&cursor));
  event->kind = (uint16_t)kind;
  event->flags = (uint32_t)get_varint(&cursor, UINT32_MAX);
  event->arch = get_byte(&cursor);
  event->vcpu = get_byte(&cursor);
  event->level = get_byte(&cursor);
  if (event->flags & TRACE_HAS_REASON) {
    event->reason = (uint32_t)get_varint(&cursor, UINT32_MAX);
    event->hardware_reason = (uint32_t)get_varint(&cursor, UINT32_MAX);
  }
  base->time += unfold(get_varint(&cursor, UINT64_MAX));
  event->time_ns = base->time;
  if (event->flags & TRACE_HAS_RIP) {
    base->rip += unfold(get_varint(&cursor, UINT64_MAX));
    event->rip = base->rip;
  }
  if (event->flags & TRACE_INJECTED) event->injected = get_byte(&cursor);
  get_arguments(&cursor, event);
  bool is_valid = kind < TRACE_KIND_COUNT && event->arch < TRACE_ARCH_COUNT &&
                  !(event->flags & ~TRACE_FLAGS_ALL);
  return cursor.failed || !is_valid ? 0 : (size_t)(cursor.at - from);
}
