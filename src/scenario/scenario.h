/* SPDX-License-Identifier: MIT
 * A scenario: which guest, on which stack of hypervisors and processor, compared along which axes,
 * and what is claimed of it. Read from XML that scenarios/nestor.xsd describes. */
#ifndef SCENARIO_SCENARIO_H
#define SCENARIO_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SCENARIO_DEPTH_LIMIT = 6, /* deepest level of the innermost guest */
  SCENARIO_CLAIM_LIMIT = 256,
  SCENARIO_VALUE_LIMIT = 6, /* values of one axis */
  SCENARIO_VARIANT_LIMIT = 64,
  SCENARIO_GUEST_LIMIT = 4,
  SCENARIO_RECORDED_LIMIT = 8, /* recordings to compare with */
  SCENARIO_EXCEPTION_LIMIT = 12,
  SCENARIO_NAME_SIZE = 64,
  SCENARIO_TEXT_SIZE = 512,
  SCENARIO_PATH_SIZE = 4096,
  SCENARIO_FILE_LIMIT = 1 << 20, /* bytes of a scenario file */
  SCENARIO_ERROR_SIZE = 1024     /* room for any sentence that a function here writes */
};

/* What the guest of a hypervisor uses for its address translation, on what the hypervisor's own
 * parent gives that. */
enum scenario_scheme { SCENARIO_SHADOW_ON_SHADOW, SCENARIO_SHADOW_ON_EPT, SCENARIO_EPT_ON_EPT };
/* How a guest hypervisor's VMREADs and VMWRITEs are served: from a shadow VMCS, by an exit each, or
 * from memory without any such instruction. */
enum scenario_vmcs_access { SCENARIO_VMCS_SHADOW, SCENARIO_VMCS_TRAP, SCENARIO_VMCS_MEMORY };
/* When a parent gives its child memory. */
enum scenario_backing { SCENARIO_EAGER, SCENARIO_FIRST_TOUCH };

/* The hypervisor at one level. At level 0 only `hypervisor` means something. */
struct scenario_level {
  char hypervisor[SCENARIO_NAME_SIZE]; /* profile: "kvm-6.1", "minimal" */
  enum scenario_scheme scheme;
  enum scenario_vmcs_access vmcs_access;
  enum scenario_backing backing;
};

/* The innermost guest. */
struct scenario_guest {
  char name[SCENARIO_NAME_SIZE];  /* as the axis `guest` calls it; "" if it has none */
  char trace[SCENARIO_PATH_SIZE]; /* its recording, ready to open */
  unsigned line;                  /* where the file describes it, 0 if it does not */
  enum scenario_backing backing;
};

enum scenario_axis_name {
#define SCENARIO_AXIS(name, text, title, list, first, scope, option, values) SCENARIO_AXIS_##name,
#include "src/scenario/axis.def"
#undef SCENARIO_AXIS
  SCENARIO_AXIS_COUNT
};

/* Values in the order of the file: a depth is itself, any other is the index of its word. */
struct scenario_axis {
  bool compared; /* otherwise it has the one value that guest and stack give it */
  unsigned value_count;
  unsigned values[SCENARIO_VALUE_LIMIT];
};
enum { SCENARIO_OFF, SCENARIO_ON }; /* values of a switch */

/* What a point of the comparison comes to, in bytes that can be compared: indexes of words, and of
 * the guest. Levels from `depth` on are 0. */
struct scenario_stack {
  uint8_t depth, guest, processor;
  uint8_t vmcs_access; /* enum scenario_vmcs_access; 0 where there is no guest hypervisor */
  uint8_t hypervisor[SCENARIO_DEPTH_LIMIT];
  bool shadow_paging[SCENARIO_DEPTH_LIMIT]; /* the level shadows its guest's page tables */
};

/* One point of the comparison. Points that come to the same stack, as those that differ in guest
 * hypervisors at depth 1, come once, with the first of their values. */
struct scenario_variant {
  const struct scenario *scenario;
  unsigned depth;
  unsigned value[SCENARIO_AXIS_COUNT];
  uint32_t covers[SCENARIO_AXIS_COUNT]; /* bit per value that it stands for */
  uint32_t named;                       /* bit per axis that tells it from other variants */
  struct scenario_stack stack;
};

enum scenario_claim_type {
#define SCENARIO_CLAIM(name, attribute, subject, figure) SCENARIO_CLAIM_##name,
#include "src/scenario/claim.def"
#undef SCENARIO_CLAIM
  SCENARIO_CLAIM_TYPES
};
enum scenario_mark { SCENARIO_INPUT, SCENARIO_CHECKED, SCENARIO_PREDICTED };
enum { SCENARIO_ANY = 255 }; /* a claim's value on an axis that it does not name */

struct scenario_claim {
  enum scenario_claim_type type;
  unsigned line;                      /* of the scenario file, 0 if there is none */
  char operation[SCENARIO_NAME_SIZE]; /* label, "*" for every operation, or "" */
  bool by_reason; /* instead of an operation: exits of the innermost guest for `reason` count */
  unsigned reason;
  unsigned where[SCENARIO_AXIS_COUNT];
  uint64_t figure, most; /* a range has both ends */
  /* MORE_THAN: the same point of the comparison but for one value, and how many times its count. */
  enum scenario_axis_name than_axis;
  unsigned than_value;
  double times_low, times_high; /* 0: no bound but "more" */
  enum scenario_mark mark;
  char source[SCENARIO_NAME_SIZE]; /* what a checked figure was checked against, or "" */
};

/* An operation whose typical round is known to differ from a recording's, and why. */
struct scenario_exception {
  char operation[SCENARIO_NAME_SIZE];
  char because[SCENARIO_TEXT_SIZE];
};
/* A recording of real nested virtualization, of the variants that `where` covers. */
struct scenario_recorded {
  char trace[SCENARIO_PATH_SIZE];
  unsigned line;
  unsigned where[SCENARIO_AXIS_COUNT];
  unsigned exception_count;
  struct scenario_exception exception[SCENARIO_EXCEPTION_LIMIT];
};

/* Plain data of fixed size. The caller owns it and may change it before the replay. */
struct scenario {
  char path[SCENARIO_PATH_SIZE]; /* the scenario file as given; "" if made for a trace */
  char name[SCENARIO_NAME_SIZE];
  char question[SCENARIO_TEXT_SIZE]; /* one line, white space collapsed */
  unsigned guest_count;
  struct scenario_guest guest[SCENARIO_GUEST_LIMIT];
  char processor[SCENARIO_NAME_SIZE];
  struct scenario_level level[SCENARIO_DEPTH_LIMIT]; /* set up to the deepest depth - 1 */
  struct scenario_axis axis[SCENARIO_AXIS_COUNT];
  unsigned recorded_count;
  struct scenario_recorded recorded[SCENARIO_RECORDED_LIMIT];
  struct scenario_claim claim[SCENARIO_CLAIM_LIMIT];
  unsigned claim_count;
  unsigned dropped_count; /* behind those: claims that the command line made void */
};

/* Reads, validates and returns a scenario that the caller frees. Returns 0; 2 for bad input and 3
 * for lack of memory, with *out NULL and one sentence naming file, line and element in `error`
 * (cut to error_size). The trace itself is not looked for: scenario_check_trace does. */
int scenario_load(struct scenario **out, const char *path, char *error, size_t error_size);
/* The scenario of `nestor replay TRACE`: kvm-6.1 at every level, EPT on EPT, shadow VMCS, processor
 * broadwell-pml, depth 1 and 2, no claims. Same results as scenario_load. */
int scenario_for_trace(struct scenario **out, const char *trace, char *error, size_t error_size);
/* 0 if each guest's trace is a file that can be read; otherwise 2 and a sentence. */
int scenario_check_trace(const struct scenario *scenario, char *error, size_t error_size);
void scenario_free(struct scenario *scenario); /* NULL is fine */

/* Values of an axis: those that are compared, else the one that guest and stack give at that
 * depth. Returns how many. */
unsigned scenario_axis_list(const struct scenario *scenario, enum scenario_axis_name axis,
                            unsigned depth, unsigned values[SCENARIO_VALUE_LIMIT]);
/* Lists the points of the comparison, the first axis slowest; returns how many (at most
 * SCENARIO_VARIANT_LIMIT, which every valid scenario respects). */
unsigned scenario_expand(const struct scenario *scenario,
                         struct scenario_variant variants[SCENARIO_VARIANT_LIMIT]);
/* False if a point of the comparison is no stack that can be, with what was expected instead. */
bool scenario_check_variants(const struct scenario *scenario, char *error, size_t error_size);
/* True if values on axes, SCENARIO_ANY for any, cover this variant. */
bool scenario_covers(const unsigned where[SCENARIO_AXIS_COUNT],
                     const struct scenario_variant *variant);
bool scenario_claim_covers(const struct scenario_claim *claim,
                           const struct scenario_variant *variant);

/* True if a MORE_THAN claim compares `variant` with `other`: the same but for that one axis. */
bool scenario_is_other(const struct scenario_claim *claim, const struct scenario_variant *variant,
                       const struct scenario_variant *other);

/* Changes from the command line. They return 0, or 2 and a sentence; the scenario is unchanged
 * then. Claims about figures were made of the values that the scenario had: afterwards those that
 * speak of no variant any more are dropped. */
int scenario_set_axis(struct scenario *scenario, enum scenario_axis_name axis, const char *values,
                      char *error, size_t error_size);
/* The hypervisor at level 0. */
int scenario_set_host(struct scenario *scenario, const char *name, char *error, size_t error_size);

#endif
