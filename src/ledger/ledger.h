/* SPDX-License-Identifier: MIT
 * The causal ledger: an observer that hangs every exit under the exit that was open when it came,
 * and counts them per kind of guest operation. It changes nothing and allocates nothing per exit
 * in steady state. */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/nestor.h"

enum { EXIT_REASONS = 128, LEDGER_LEVELS = 8 };
enum {
  LEDGER_LABELS = 128,        /* kinds of operation, with LEDGER_OUTSIDE and LEDGER_OTHERS */
  LEDGER_LABEL_SIZE = 48,     /* bytes of a label with its end; longer ones are cut */
  LEDGER_HISTOGRAM = 1 << 20, /* operations by exits; the last row counts all with more */
  LEDGER_ROUND = 255, /* reflected exits by what they cost; the last row counts all with more */
  LEDGER_TREE_NODES = 4096, /* of one operation; counting goes on beyond */
  LEDGER_CAUSES = 1 << 16   /* distinct causes; more are counted without their detail */
};
/* Labels that are always there: exits outside any operation, and of labels beyond the limit. */
enum { LEDGER_OUTSIDE = 0, LEDGER_OTHERS = 1, LEDGER_FIRST = 2 };

/* What hypervisor software does between an exit that it is given and the entry that ends it. */
enum ledger_routine {
#define LEDGER_ROUTINE(name, low, typical, high, samples, title) LEDGER_ROUTINE_##name,
#include "src/ledger/routine.def"
  LEDGER_ROUTINES
};

struct ledger;

/* ---- Counting ------------------------------------------------------------------------------ */

/* Attaches to the machine, whose innermost guest is at level `depth` (1 to LEDGER_LEVELS - 1).
 * Attached after the stack was booted, it takes the innermost guest for the one that runs. NULL: no
 * memory, or too many observers. The caller frees it, before the machine goes. */
struct ledger *ledger_create(struct nst_machine *machine, unsigned depth);
/* Detaches and frees; NULL is fine. */
void ledger_free(struct ledger *ledger);
/* Detaches; the counts stay. For a ledger that outlives its machine. */
void ledger_detach(struct ledger *ledger);

/* The number of a label, the same for the same text; LEDGER_OTHERS when there are too many. */
unsigned ledger_label(struct ledger *ledger, const char *text);
/* From here to ledger_end, all exits on processor 0 belong to one operation of the guest. */
void ledger_begin(struct ledger *ledger, unsigned label);
void ledger_end(struct ledger *ledger);
/* Ends it without counting it as one, for operations that were cut off. Its exits so far stay
 * counted as exits of the label, in no histogram. */
void ledger_abandon(struct ledger *ledger);

/* ---- What was counted ---------------------------------------------------------------------- */

unsigned ledger_depth(const struct ledger *ledger);

/* The operations of one label, or of all. "Guest" is the innermost one, at level `depth`. An exit
 * is reflected if software of level 1 or deeper ran before its guest did again, otherwise L0 kept
 * it. */
struct ledger_row {
  const char *label; /* valid as long as the ledger */
  uint64_t operations;
  uint64_t exits;                    /* to L0, all levels */
  unsigned typical;                  /* exits of most operations; the smallest of equals */
  uint64_t typical_operations;       /* that had exactly so many */
  double mean;                       /* exits per operation; 0 without operations */
  uint64_t by_level[LEDGER_LEVELS];  /* exits, by the level of the guest that exited */
  uint64_t reflected[LEDGER_LEVELS]; /* of those, reflected */
  uint64_t kept_subtree; /* exits that kept exits of the guest cost in all, themselves included */
  /* A round: an exit of the guest that was reflected, and all exits until the guest ran again. */
  uint64_t rounds;
  unsigned round_typical;
  /* Of each level's native software: instructions that did not exit, and routines. */
  struct nst_counters executed[LEDGER_LEVELS];
  uint64_t routines[LEDGER_LEVELS][LEDGER_ROUTINES];
  /* Estimated per operation; 0 without operations. */
  double cycles_low, cycles_typical, cycles_high;
  double cycles_switch;               /* of the typical ones, exits with their entries */
  double cycles_at[LEDGER_LEVELS];    /* and what each level's software executes; adds up to it */
  double instructions[LEDGER_LEVELS]; /* of hypervisor software, at each level: typical */
};

/* The number of a label, LEDGER_LABELS if there is none of that text. */
unsigned ledger_find(const struct ledger *ledger, const char *text);
/* One past the highest label number; labels are in order of first use. */
unsigned ledger_label_count(const struct ledger *ledger);
/* False: no such label. */
bool ledger_row(const struct ledger *ledger, unsigned label, struct ledger_row *row);
/* All operations; exits outside any operation are not in it. */
void ledger_total(const struct ledger *ledger, struct ledger_row *row);
/* Operations of the label that took so many exits. */
uint64_t ledger_histogram(const struct ledger *ledger, unsigned label, unsigned exits);

/* Exits of guests at `level` by basic exit reason, over everything, the outside included. */
struct ledger_reason {
  uint64_t exits, reflected;
};
void ledger_reasons(const struct ledger *ledger, unsigned level,
                    struct ledger_reason reasons[EXIT_REASONS]);

/* A cause of exits: who, why, about what. Detail: the MSR, field encoding or port; for CR_ACCESS
 * the register | access type << 4 (SDM 3C "Exit Qualification for Control-Register Accesses");
 * otherwise 0. */
struct ledger_cause {
  unsigned label;
  uint8_t level; /* of the guest that exited */
  bool folded;   /* detail lost: too many causes */
  uint32_t reason;
  uint64_t detail;
  uint64_t exits, reflected;
};
/* In order of first occurrence. */
size_t ledger_cause_count(const struct ledger *ledger);
const struct ledger_cause *ledger_cause(const struct ledger *ledger, size_t index);

/* One exit in the tree of an operation. */
struct ledger_node {
  int16_t parent; /* index of the exit that was open; -1: none of this operation */
  uint8_t level;  /* of the guest that exited */
  uint8_t
      handler; /* highest level of software that ran before the guest did again; 0: L0 kept it */
  uint8_t entered; /* level of the guest that L0 entered next */
  uint8_t subject; /* VMX instructions: level of the guest whose VMCS the exiting software holds as
                    * current (VMCS12: 2 at level 1); 0: none or not known */
  uint32_t reason; /* basic exit reason, bit 31: failed entry */
  uint64_t detail; /* as in struct ledger_cause */
};
struct ledger_tree {
  const struct ledger_node *nodes; /* in the order they came; valid until the next operation */
  size_t count;
  uint64_t exits; /* of the operation; more than count if the tree was cut */
};
/* The first operation that took the typical number of exits. False: there is none. */
bool ledger_tree(const struct ledger *ledger, unsigned label, struct ledger_tree *tree);

/* ---- Estimated cost: drives nothing -------------------------------------------------------- */

struct ledger_cost {
  const char *name;
  const char *unit;
  double low, typical, high; /* cycles */
  const char *mark;          /* SEEN, DERIVED, RECALLED */
  const char *source;
};
size_t ledger_cost_count(void);
const struct ledger_cost *ledger_cost(size_t index);

/* Instructions of hypervisor software that a routine takes. */
struct ledger_routine_cost {
  const char *name, *title;
  unsigned low, typical, high; /* 10th percentile, median, 90th */
  unsigned samples;            /* how often it was measured */
};
/* NULL beyond LEDGER_ROUTINES. */
const struct ledger_routine_cost *ledger_routine(unsigned routine);

/* A published figure that an estimate is shown beside; never a bound. */
enum ledger_anchor_unit {
  LEDGER_ANCHOR_FIT,         /* ns: fixes the one scale from cycles to ns */
  LEDGER_ANCHOR_NS,          /* per operation */
  LEDGER_ANCHOR_NS_KEPT,     /* per exit that L0 keeps, of any operation */
  LEDGER_ANCHOR_CYCLES,      /* per operation */
  LEDGER_ANCHOR_EXITS_L1,    /* exits of L1 per operation */
  LEDGER_ANCHOR_INSTRUCTION, /* that L0 executes per operation */
  LEDGER_ANCHOR_RATIO        /* the same, VMCS shadowing off over on */
};
enum { LEDGER_ANCHOR_ANY = 2 };
struct ledger_anchor {
  const char *id;
  enum ledger_anchor_unit unit;
  const char *operation; /* label; "" of NS_KEPT */
  unsigned depth;
  unsigned shadowing;     /* 1 on, 0 off, LEDGER_ANCHOR_ANY */
  const char *hypervisor; /* what the names of the profiles at all levels begin with */
  double low, high;       /* the same, but for a published range */
  const char *mark;       /* SEEN, DERIVED, RECALLED */
  const char *source;
};
size_t ledger_anchor_count(void);
/* NULL beyond. */
const struct ledger_anchor *ledger_anchor(size_t index);
/* How far a prediction lies from the figure: 0 within its range, -0.25 a quarter below it. */
double ledger_anchor_deviation(const struct ledger_anchor *anchor, double predicted);

#endif
