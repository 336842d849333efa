/* SPDX-License-Identifier: MIT
 * Whose exit is it? The processor knows no levels: a guest is identified by the VMCS region that L0
 * runs, then by each level's own current-VMCS pointer, followed through its VMPTRLDs. */
#ifndef LEDGER_PATH_H
#define LEDGER_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "src/ledger/ledger.h"

enum {
  PATH_REGIONS = 32, /* marked regions remembered per level; the oldest is forgotten first */
  PATH_RUNS_NOTHING = 0
};
/* Pointers that nobody loads, since they are not aligned: never seen, and none. */
#define PATH_UNKNOWN UINT64_MAX
#define PATH_NONE (UINT64_MAX - 1)

/* What a region is to the software that enters it. */
enum path_mark {
  PATH_UNMARKED, /* not entered yet */
  PATH_OWN,      /* its direct guest */
  PATH_MERGED    /* a nested guest, run on behalf of its direct guest */
};

struct path_region {
  uint64_t pointer; /* as the software of the level writes it */
  enum path_mark mark;
};

/* What is known about the hypervisor of one level. */
struct path_tracker {
  uint64_t current; /* its current-VMCS pointer, PATH_UNKNOWN or PATH_NONE */
  struct path_region region[PATH_REGIONS];
  unsigned region_count, oldest;
  /* The exit that it handles. */
  uint64_t handled_id;
  uint64_t handled_region;
  uint32_t handled_reason;
  /* A VMPTRLD or the like that takes effect if the software finds success in its flags. */
  bool is_pending;
  bool is_load;
  bool is_start; /* VMXON: what was known of its regions is void */
  uint64_t pending_pointer;
  uint64_t pending_rip;
};

/* Of one processor. */
struct path {
  unsigned depth;   /* level of the innermost guest */
  unsigned start;   /* level of the guest that runs before the first event; the same, if not said */
  unsigned running; /* level of the guest that runs; PATH_RUNS_NOTHING: L0 does */
  bool is_started;  /* an event was seen */
  struct path_tracker tracker[LEDGER_LEVELS];
};

void path_init(struct path *path, unsigned depth);
/* The level of the guest that exited. `id` names the exit, it is above 0 and never the same. */
unsigned path_exit(struct path *path, const struct nst_exit_event *event, uint64_t id);
/* The level of the guest that L0 entered. */
unsigned path_entry(struct path *path, const struct nst_entry_event *event);
/* The software of `level` was entered while the exit `id` of a deeper guest was open. False: it
 * handled that one already. */
bool path_reflect(struct path *path, unsigned level, uint64_t id, uint32_t reason);
/* The level of the guest whose VMCS the software of `level` has, or with a VMPTRLD gets, as its
 * current one; 0 if it has none or never entered it. To be asked after path_exit. */
unsigned path_subject(const struct path *path, unsigned level);

#endif
