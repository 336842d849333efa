/* SPDX-License-Identifier: MIT
 * Names and labels of trace events. */
#include "traces/event.h"

#include <inttypes.h>
#include <stdio.h>

struct kind_row {
  const char *name;
  const char *title;
  const char *argument[4];
  char tag;
  uint8_t cause;
};

static const struct kind_row kinds[] = {
#define TRACE_KIND(name, tag, cause, a, b, c, d, title) \
  {#name, title, {a, b, c, d}, tag, TRACE_CAUSE_##cause},
#include "traces/event.def"
};
_Static_assert(sizeof kinds / sizeof kinds[0] == TRACE_KIND_COUNT, "one row per kind");

const char *trace_kind_name(unsigned kind) {
  return kind < TRACE_KIND_COUNT ? kinds[kind].name : NULL;
}

const char *trace_kind_argument(unsigned kind, unsigned index) {
  if (kind >= TRACE_KIND_COUNT || index > 3) return NULL;
  return kinds[kind].argument[index][0] != '\0' ? kinds[kind].argument[index] : NULL;
}

enum trace_cause trace_kind_cause(unsigned kind) {
  return kind < TRACE_KIND_COUNT ? (enum trace_cause)kinds[kind].cause : TRACE_CAUSE_NEITHER;
}

char trace_kind_tag(unsigned kind) {
  return kind < TRACE_KIND_COUNT ? kinds[kind].tag : '?';
}

unsigned trace_kind_of_tag(char tag) {
  unsigned kind = 0;
  while (kind < TRACE_KIND_COUNT && kinds[kind].tag != tag) kind++;
  return kind;
}

uint32_t trace_kind_arguments(unsigned kind) {
  uint32_t flags = 0;
  for (unsigned i = 0; i < 4; i++) {
    if (trace_kind_argument(kind, i)) flags |= TRACE_HAS_A << i;
  }
  return flags;
}

/* The ports that KVM's in-kernel interrupt controller and timer answer. */
static bool is_kernel_port(uint64_t port) {
  return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 ||
         (port >= 0x40 && port <= 0x43) || port == 0x4d0 || port == 0x4d1;
}

static const char *port_side(const struct trace_event *event) {
  if (event->level > 1) return is_kernel_port(event->a) ? "kernel" : "user";
  return event->flags & TRACE_USER ? "user" : "kernel";
}

static bool is_local_apic(uint64_t gpa) {
  return gpa >> 12 == 0xfee00;
}

const char *trace_exception_name(uint64_t vector) {
  static const char *const names[] = {"#DE", "#DB", NULL,  "#BP", "#OF", "#BR", "#UD",
                                      "#NM", "#DF", NULL,  "#TS", "#NP", "#SS", "#GP",
                                      "#PF", NULL,  "#MF", "#AC", "#MC", "#XM", "#VE"};
  return vector < sizeof names / sizeof names[0] ? names[vector] : NULL;
}

const char *trace_arm_class_name(uint64_t number) {
  static const char *const names[64] = {
#define ARM64_CLASS(number, name) [number] = #name,
#include "traces/reason_arm64.def"
  };
  return number < sizeof names / sizeof names[0] ? names[number] : NULL;
}

static const char *title_of(const struct trace_event *event) {
  if (event->kind >= TRACE_KIND_COUNT) return "unknown";
  bool has_a = event->flags & TRACE_HAS_A;
  if (has_a && is_local_apic(event->a)) {
    if (event->kind == TRACE_MMIO_READ) return "LAPIC load";
    if (event->kind == TRACE_MMIO_WRITE) return "LAPIC store";
  }
  if (event->kind == TRACE_EXCEPTION && has_a && trace_exception_name(event->a)) {
    return trace_exception_name(event->a);
  }
  if (event->kind == TRACE_ARM_EXIT && has_a && trace_arm_class_name(event->a)) {
    return trace_arm_class_name(event->a);
  }
  if (event->kind == TRACE_MOV_DR && event->flags & TRACE_HAS_C) {
    return event->c ? "DR read" : "DR write";
  }
  return kinds[event->kind].title;
}

const char *trace_event_label(const struct trace_event *event, char *text, size_t size) {
  bool has_a = event->flags & TRACE_HAS_A;
  if (has_a && (event->kind == TRACE_MOV_TO_CR || event->kind == TRACE_MOV_FROM_CR)) {
    snprintf(text, size, "CR%u %s", (unsigned)(event->a & 15),
             event->kind == TRACE_MOV_TO_CR ? "write" : "read");
  } else if (event->kind == TRACE_IO_IN || event->kind == TRACE_IO_OUT) {
    snprintf(text, size, "%s %s", title_of(event), port_side(event));
  } else {
    snprintf(text, size, "%s", title_of(event));
  }
  return text;
}

const char *trace_event_text(const struct trace_event *event, char *text, size_t size) {
  const uint64_t values[4] = {event->a, event->b, event->c, event->d};
  const char *name = trace_kind_name(event->kind);
  int length = snprintf(text, size, "%" PRIu64 " vcpu %u level %u rip 0x%" PRIx64 " %s",
                        event->time_ns, event->vcpu, event->level, event->rip, name ? name : "?");
  for (unsigned i = 0; i < 4; i++) {
    const char *argument = trace_kind_argument(event->kind, i);
    if (length < 0 || (size_t)length >= size) return text;
    if (!argument || !(event->flags & (TRACE_HAS_A << i))) continue;
    length += snprintf(text + length, size - (size_t)length, " %s 0x%" PRIx64, argument, values[i]);
  }
  if (length < 0 || (size_t)length >= size) return text;
  snprintf(text + length, size - (size_t)length, "%s%s%s",
           event->flags & TRACE_REFLECTED ? " reflected" : "",
           event->flags & TRACE_RETRY ? " retry" : "", event->flags & TRACE_USER ? " user" : "");
  return text;
}

static bool same_source(const struct trace_event *left, const struct trace_event *right) {
  return left->time_ns == right->time_ns && left->rip == right->rip &&
         left->reason == right->reason && left->hardware_reason == right->hardware_reason &&
         left->flags == right->flags && left->arch == right->arch && left->vcpu == right->vcpu &&
         left->level == right->level && left->injected == right->injected;
}

bool trace_event_equal(const struct trace_event *left, const struct trace_event *right) {
  return same_source(left, right) && left->kind == right->kind && left->a == right->a &&
         left->b == right->b && left->c == right->c && left->d == right->d;
}
