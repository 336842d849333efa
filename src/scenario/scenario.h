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
  SCENARIO_NAME_SIZE = 64,
  SCENARIO_TEXT_SIZE = 512,
  SCENARIO_PATH_SIZE = 4096,
  SCENARIO_FILE_LIMIT = 1 << 20, /* bytes of a scenario file */
  SCENARIO_ERROR_SIZE = 1024     /* room for any sentence that a function here writes */
};

/* What a level's guest uses for its address translation, on what its parent uses. */
enum scenario_scheme { SCENARIO_SHADOW_ON_SHADOW, SCENARIO_SHADOW_ON_EPT, SCENARIO_EPT_ON_EPT };
/* How a guest hypervisor's VMREADs and VMWRITEs are served: from a shadow VMCS, or by an exit. */
enum scenario_vmcs_access { SCENARIO_VMCS_SHADOW, SCENARIO_VMCS_EXIT };
/* When a parent gives its child memory. */
enum scenario_backing { SCENARIO_EAGER, SCENARIO_FIRST_TOUCH };

/* The hypervisor at one level. At level 0 only `hypervisor` means something. */
struct scenario_level {
  char hypervisor[SCENARIO_NAME_SIZE]; /* profile: "kvm-6.1", "minimal" */
  enum scenario_scheme scheme;
  enum scenario_vmcs_access vmcs_access;
  enum scenario_backing backing;
};

enum scenario_axis_name {
#define SCENARIO_AXIS(name, text, values) SCENARIO_AXIS_##name,
#include "src/scenario/axis.def"
#undef SCENARIO_AXIS
  SCENARIO_AXIS_COUNT
};

/* Values in the order of the file. Depth: the level of the innermost guest; vmcs-shadowing: 1 on,
 * 0 off. */
struct scenario_axis {
  bool compared; /* the file has this axis; otherwise it has the one value that the stack gives */
  unsigned value_count;
  unsigned values[SCENARIO_VALUE_LIMIT];
};

/* One point of the comparison. At depth 1 no hypervisor is nested: that depth comes once, with the
 * first value of each axis that describes guest hypervisors. */
struct scenario_variant {
  unsigned depth;
  bool vmcs_shadowing;
  unsigned value[SCENARIO_AXIS_COUNT]; /* the same, by axis */
};

enum scenario_claim_type {
  SCENARIO_CLAIM_EXITS,      /* typical exits to L0 per `operation` are `figure` */
  SCENARIO_CLAIM_UNLISTED,   /* VMCS accesses that the profiles do not list are `figure` */
  SCENARIO_CLAIM_REFLECTED,  /* reflected exits equal those at depth 1, reason by reason */
  SCENARIO_CLAIM_KEPT,       /* an exit that L0 keeps costs the same at every depth */
  SCENARIO_CLAIM_TRANSPARENT /* the guest ends in the same state in every variant */
};
enum scenario_mark { SCENARIO_INPUT, SCENARIO_CHECKED, SCENARIO_PREDICTED };
enum { SCENARIO_ANY = 255 }; /* a claim's value on an axis that it does not name */

struct scenario_claim {
  enum scenario_claim_type type;
  unsigned line;                      /* of the scenario file, 0 if there is none */
  char operation[SCENARIO_NAME_SIZE]; /* label, or "*" for every operation; EXITS only */
  unsigned where[SCENARIO_AXIS_COUNT];
  uint64_t figure;
  enum scenario_mark mark;
  char source[SCENARIO_NAME_SIZE]; /* what a checked figure was checked against, or "" */
};

/* Plain data of fixed size. The caller owns it and may change it before the replay. */
struct scenario {
  char path[SCENARIO_PATH_SIZE]; /* the scenario file as given; "" if made for a trace */
  char name[SCENARIO_NAME_SIZE];
  char question[SCENARIO_TEXT_SIZE]; /* one line, white space collapsed */
  char trace[SCENARIO_PATH_SIZE];    /* of the guest's recording, ready to open */
  unsigned guest_line;               /* where the file names the trace, 0 if it does not */
  enum scenario_backing guest_backing;
  char processor[SCENARIO_NAME_SIZE];
  struct scenario_level level[SCENARIO_DEPTH_LIMIT]; /* set up to the deepest depth - 1 */
  struct scenario_axis axis[SCENARIO_AXIS_COUNT];
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
/* 0 if the trace is a file that can be read; otherwise 2 and a sentence. */
int scenario_check_trace(const struct scenario *scenario, char *error, size_t error_size);
void scenario_free(struct scenario *scenario); /* NULL is fine */

/* Lists the points of the comparison, the first axis slowest; returns how many (at most
 * SCENARIO_VARIANT_LIMIT, which every valid scenario respects). */
unsigned scenario_expand(const struct scenario *scenario,
                         struct scenario_variant variants[SCENARIO_VARIANT_LIMIT]);
/* True if the claim speaks about this variant. At depth 1 only the claim's depth counts. */
bool scenario_claim_covers(const struct scenario_claim *claim,
                           const struct scenario_variant *variant);

/* Changes from the command line. They return 0, or 2 and a sentence; the scenario is unchanged
 * then. Afterwards the claims that speak of no variant any more are dropped, and with another
 * processor or hypervisor those that state a figure. */
int scenario_set_axis(struct scenario *scenario, enum scenario_axis_name axis, const char *values,
                      char *error, size_t error_size);
int scenario_set_processor(struct scenario *scenario, const char *name, char *error,
                           size_t error_size);
int scenario_set_hypervisor(struct scenario *scenario, const char *name, char *error,
                            size_t error_size);

#endif
