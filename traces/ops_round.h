/* SPDX-License-Identifier: MIT
 * Rounds of a run, from an operation log or from anything else that tells the same events: what
 * each level's software executed from an exit of the innermost guest until that guest ran again,
 * grouped by what the guest did. */
#ifndef TRACES_OPS_ROUND_H
#define TRACES_OPS_ROUND_H

#include "traces/ops.h"

enum {
  OPS_LEVELS = 8,
  OPS_GROUPS = 256,        /* kinds of round, each level counted by itself */
  OPS_VARIANTS = 48,       /* different sequences kept of each */
  OPS_ROUND_ITEMS = 16384, /* longer rounds are compared by hash */
  OPS_KEPT_ITEMS = 1 << 21 /* of all sequences together; later ones are only counted */
};
#define OPS_LABEL_MAX 64

/* How the caller's architecture calls its numbers. */
struct ops_names {
  const char *(*field)(uint32_t encoding);
  const char *(*reason)(uint32_t number);
  int (*number)(const char *reason); /* < 0 if unknown */
};

/* One step of one level. */
struct ops_item {
  uint8_t kind;    /* enum ops_kind: an instruction, or in the sequence of L0 an exit or entry; in
                    * that of another level an exit that no VMX instruction caused */
  uint8_t level;   /* exits and entries: of the guest */
  uint8_t exits;   /* instructions: it exited */
  uint8_t unused;  /* 0: items are compared as bytes */
  uint32_t reason; /* exits */
  uint32_t detail; /* instructions: field or type; exits: MSR, port, register */
};

struct ops_sequence {
  uint64_t hash;
  uint64_t rounds; /* that were exactly so */
  size_t length;
  size_t kept; /* items; fewer than length if it is longer than OPS_ROUND_ITEMS */
  struct ops_item *items;
};

struct ops_group {
  char label[OPS_LABEL_MAX]; /* "CPUID", "OUT 0x80", "EPT_VIOLATION store, mark 0xb0 (kept)" */
  unsigned level;            /* whose software it was */
  bool is_host;              /* begins with an exit that the guest did not cause */
  uint64_t rounds;
  uint64_t unkept; /* rounds of further sequences */
  unsigned count;
  struct ops_sequence sequence[OPS_VARIANTS];
};

struct ops_rounds;

/* depth: level of the innermost guest, below OPS_LEVELS. NULL without memory. */
struct ops_rounds *ops_rounds_create(unsigned depth, const struct ops_names *names);
void ops_rounds_destroy(struct ops_rounds *rounds); /* NULL is allowed */
/* level: of the guest that exits or is entered, or of the software that executes. Switching on
 * forgets what came before; after switching off nothing is added. */
void ops_rounds_add(struct ops_rounds *rounds, const struct ops_event *event, unsigned level);

/* Groups in order of first occurrence; NULL beyond the last. */
const struct ops_group *ops_rounds_group(const struct ops_rounds *rounds, unsigned index);
const struct ops_group *ops_rounds_find(const struct ops_rounds *rounds, const char *label,
                                        unsigned level);
uint64_t ops_rounds_ungrouped(const struct ops_rounds *rounds);
/* Instructions of the kind that software of the level executed, and of those that exited. */
uint64_t ops_rounds_executed(const struct ops_rounds *rounds, unsigned level, unsigned kind);
uint64_t ops_rounds_exited(const struct ops_rounds *rounds, unsigned level, unsigned kind);
/* The most frequent sequence, of equals the first; NULL if none was kept. */
const struct ops_sequence *ops_group_typical(const struct ops_group *group);

/* VMREADs of L0 that are left out of a comparison. */
struct ops_ignored {
  unsigned count;
  uint32_t field[8];
};
/* True if both are the same steps; otherwise *left_at and *right_at are where they part. ignored
 * may be NULL. */
bool ops_sequence_equal(const struct ops_sequence *left, const struct ops_sequence *right,
                        const struct ops_ignored *ignored, size_t *left_at, size_t *right_at);
/* "VMREAD GUEST_RIP", "exit of L1: MSR_READ 0x1d9". Returns text. */
const char *ops_item_text(const struct ops_item *item, const struct ops_names *names, char *text,
                          size_t size);

#endif
