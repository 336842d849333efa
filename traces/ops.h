/* SPDX-License-Identifier: MIT
 * Operation logs: every VMX instruction, VM exit and VM entry of a run, in order, as the hardware
 * saw it. traces/recorded/README.md "Operation log" has the lines. */
#ifndef TRACES_OPS_H
#define TRACES_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ops_kind {
#define OPS(name, letter, reason, argument) OPS_##name,
#include "traces/ops.def"
  OPS_INSTRUCTIONS, /* the number of the above */
  OPS_EXIT = OPS_INSTRUCTIONS,
  OPS_ENTRY,
  OPS_SWITCH, /* the log was switched on or off */
  OPS_KIND_COUNT
};
const char *ops_kind_name(unsigned kind); /* "VMREAD", "exit"; NULL if out of range */
/* True if the instruction's field is an encoding of a VMCS field. */
bool ops_has_field(unsigned kind);

/* One line. What the kind does not have is 0. */
struct ops_event {
  enum ops_kind kind;
  bool guest;             /* instructions: executed in non-root operation */
  bool exits;             /* of those: it exited, which the next event tells */
  bool on;                /* OPS_SWITCH */
  uint64_t field;         /* instructions that have one: encoding or type */
  uint64_t value;         /* VMWRITE; 0xdead if it came from memory */
  uint64_t rip;           /* exits, entries, instructions of a guest */
  uint64_t vmcs;          /* exits, entries: address of the guest's */
  uint64_t qualification; /* exits */
  uint64_t rcx;           /* exits: MSR number, mark of the guest */
  uint32_t reason;        /* exits */
};

struct ops_reader;

/* Opens a log, also compressed with zstd. vmx_reason as in struct trace_options, it must know the
 * names of VMX instructions. NULL on failure, with one sentence in error (error_size > 0). */
struct ops_reader *ops_open(const char *path, int (*vmx_reason)(const char *name), char *error,
                            size_t error_size);
/* 1 = *event filled in, 0 = end, < 0 = error, ops_error says which line. Memory use is constant. */
int ops_next(struct ops_reader *reader, struct ops_event *event);
const char *ops_error(const struct ops_reader *reader);
uint64_t ops_lines(const struct ops_reader *reader); /* read so far */
void ops_close(struct ops_reader *reader);           /* NULL is allowed */

/* Whether a file that begins with these bytes is an operation log. */
bool ops_recognises(const uint8_t *bytes, size_t size);

#endif
