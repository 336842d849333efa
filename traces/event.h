/* SPDX-License-Identifier: MIT
 * The event vocabulary: one trace event is one recorded exit and what caused it. */
#ifndef TRACES_EVENT_H
#define TRACES_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_kind {
#define TRACE_KIND(name, tag, cause, a, b, c, d, title) TRACE_##name,
#include "traces/event.def"
  TRACE_KIND_COUNT
};

enum trace_cause {
  TRACE_CAUSE_GUEST,   /* the guest's own instruction or access */
  TRACE_CAUSE_HOST,    /* interrupts and timers: events, never replayed as guest operations */
  TRACE_CAUSE_NEITHER, /* unknown */
  TRACE_CAUSE_COUNT
};

enum trace_arch {
  TRACE_ARCH_NONE, /* the trace did not tell */
  TRACE_ARCH_VMX,
  TRACE_ARCH_SVM,
  TRACE_ARCH_ARM64,
  TRACE_ARCH_COUNT
};

/* Flags. What the trace did not tell is not set and its field is 0: nothing is guessed. */
#define TRACE_HAS_A 0x1u
#define TRACE_HAS_B 0x2u
#define TRACE_HAS_C 0x4u
#define TRACE_HAS_D 0x8u
#define TRACE_HAS_RIP 0x10u
#define TRACE_HAS_REASON 0x20u /* reason and hardware_reason are numbers of the architecture */
/* The recording hypervisor went to its own user space because of this exit. */
#define TRACE_USER 0x100u
/* The guest was resumed at the same instruction with nothing done yet: it executes it again (a
 * MOV_DR usually without a further exit). Never set on MEM_TOUCH, EXCEPTION and host-caused kinds,
 * where that is the rule. */
#define TRACE_RETRY 0x200u
/* Level 2: the hypervisor at level 1 received this exit; without it, the recording one kept it. */
#define TRACE_REFLECTED 0x400u
/* Level 1: a VMRESUME, VMLAUNCH or VMRUN that entered the level-2 guest; the round ends here. */
#define TRACE_ENTERS 0x800u
/* Level 2: delivered to level 1 before level 2 ran at all, so the hardware saw no exit. */
#define TRACE_NO_EXIT 0x1000u
#define TRACE_STRING 0x2000u    /* string I/O */
#define TRACE_FAULTED 0x4000u   /* the instruction ended in a fault (an unknown MSR, say) */
#define TRACE_INJECTED 0x8000u  /* `injected` is the vector injected at the entry that followed */
#define TRACE_EMULATED 0x10000u /* the recording hypervisor emulated the instruction */
#define TRACE_GAP 0x20000u /* records were lost just before or inside: arguments may be missing */
#define TRACE_FLAGS_ALL 0x3ff3fu

struct trace_event {
  uint64_t
      time_ns;  /* of the exit; in ticks if the trace clock is a counter (struct trace_source) */
  uint64_t rip; /* guest RIP at the exit */
  uint64_t a, b, c, d;      /* arguments as event.def names them */
  uint32_t reason;          /* VMX basic exit reason, SVM exit code, Arm exception class */
  uint32_t hardware_reason; /* what the hardware gave; differs from reason only if reflected so */
  uint32_t flags;           /* TRACE_HAS_x and the others */
  uint16_t kind;            /* enum trace_kind */
  uint8_t arch;             /* enum trace_arch */
  uint8_t vcpu;
  uint8_t level;    /* 1 = the recording hypervisor's own guest, 2 = nested, at any depth below */
  uint8_t injected; /* vector, with TRACE_INJECTED */
};

/* Longest text that trace_event_label and trace_event_text write, with its end. */
#define TRACE_LABEL_MAX 32
#define TRACE_TEXT_MAX 256

/* Names of a kind; NULL if kind is out of range, and for an argument (0 to 3) that it lacks. */
const char *trace_kind_name(unsigned kind);
const char *trace_kind_argument(unsigned kind, unsigned index);
/* TRACE_CAUSE_NEITHER for a kind out of range. */
enum trace_cause trace_kind_cause(unsigned kind);

/* The letter that stands for the kind in files, and back; TRACE_KIND_COUNT if no kind has it. */
char trace_kind_tag(unsigned kind);
unsigned trace_kind_of_tag(char tag);

/* "#PF" and the like; NULL if the vector has no name. */
const char *trace_exception_name(uint64_t vector);

/* "DABT_LOW" and the like: an Arm exception class; NULL if the class has no name. */
const char *trace_arm_class_name(uint64_t number);

/* TRACE_HAS_x of all arguments that the kind has. */
uint32_t trace_kind_arguments(unsigned kind);

/* The group that reports count the event in: "CPUID", "CR4 write", "OUT user", "LAPIC load" ...
 * Returns text. A level-2 port access shows no user space: there the ports of PIC and PIT count as
 * "kernel" and all others as "user". */
const char *trace_event_label(const struct trace_event *event, char *text, size_t size);

/* One line for people: time, vcpu, level, rip, kind, arguments that are known. Returns text. */
const char *trace_event_text(const struct trace_event *event, char *text, size_t size);

/* Field by field. */
bool trace_event_equal(const struct trace_event *left, const struct trace_event *right);

#endif
