/* SPDX-License-Identifier: MIT
 * Following VMCS pointers from level to level; see path.h. */
#include "src/ledger/path.h"

#include <string.h>

enum { RFLAGS_CF = 1 << 0, RFLAGS_ZF = 1 << 6 };
#define FAILED_ENTRY (UINT32_C(1) << 31)

void path_init(struct path *path, unsigned depth) {
  memset(path, 0, sizeof *path);
  path->depth = path->start = depth;
  for (unsigned level = 0; level < LEDGER_LEVELS; level++)
    path->tracker[level].current = PATH_UNKNOWN;
}

static enum path_mark mark_of(const struct path_tracker *tracker, uint64_t pointer) {
  for (unsigned i = 0; i < tracker->region_count; i++) {
    if (tracker->region[i].pointer == pointer) return tracker->region[i].mark;
  }
  return PATH_UNMARKED;
}

static void set_mark(struct path_tracker *tracker, uint64_t pointer, enum path_mark mark) {
  unsigned slot = tracker->region_count;
  if (slot < PATH_REGIONS) {
    tracker->region_count++;
  } else {
    slot = tracker->oldest;
    tracker->oldest = (tracker->oldest + 1) % PATH_REGIONS;
  }
  tracker->region[slot] = (struct path_region){.pointer = pointer, .mark = mark};
}

/* A hypervisor runs a nested guest when its direct guest asks for it; what it enters otherwise is
 * its direct guest. */
static enum path_mark mark_entered(struct path_tracker *tracker, uint64_t pointer) {
  enum path_mark mark = mark_of(tracker, pointer);
  if (mark != PATH_UNMARKED) return mark;
  bool asked = tracker->handled_id &&
               (tracker->handled_reason == NST_EXIT_VMLAUNCH ||
                tracker->handled_reason == NST_EXIT_VMRESUME) &&
               mark_of(tracker, tracker->handled_region) == PATH_OWN;
  mark = asked && tracker->handled_region != pointer ? PATH_MERGED : PATH_OWN;
  set_mark(tracker, pointer, mark);
  return mark;
}

/* The level of the guest that runs when L0 enters its current region. */
static unsigned resolve_entered(struct path *path) {
  unsigned level = 0;
  while (level + 2 < LEDGER_LEVELS &&
         mark_entered(&path->tracker[level], path->tracker[level].current) == PATH_MERGED)
    level++;
  return level + 1;
}

/* The first event is an exit: the stack was booted before, and one of its guests runs. */
static void start_inside(struct path *path, uint64_t context) {
  path->tracker[0].current = context;
  for (unsigned level = 0; level < path->start; level++) {
    enum path_mark mark = level + 1 < path->start ? PATH_MERGED : PATH_OWN;
    set_mark(&path->tracker[level], path->tracker[level].current, mark);
  }
  path->running = path->start;
}

/* Notes what an instruction does to the current-VMCS pointer of the software that executes it. */
static void note_instruction(struct path_tracker *tracker, const struct nst_exit_event *event) {
  bool is_load = event->reason == NST_EXIT_VMPTRLD;
  bool is_clear = event->reason == NST_EXIT_VMCLEAR && event->operand == tracker->current;
  bool is_switch = event->reason == NST_EXIT_VMON || event->reason == NST_EXIT_VMOFF;
  tracker->is_pending = is_load || is_clear || is_switch;
  tracker->is_load = is_load;
  tracker->is_start = event->reason == NST_EXIT_VMON;
  tracker->pending_pointer = is_load ? event->operand : PATH_NONE;
  tracker->pending_rip = event->rip;
}

/* SDM 3C "Conventions": VMsucceed clears CF and ZF. At the same RIP it was not executed at all. */
static void settle_instruction(struct path_tracker *tracker, const struct nst_entry_event *event) {
  bool is_done = event->rip != tracker->pending_rip && !(event->rflags & (RFLAGS_CF | RFLAGS_ZF));
  if (tracker->is_pending && is_done) {
    tracker->current = tracker->pending_pointer;
    if (tracker->is_start) tracker->region_count = tracker->oldest = 0;
  }
  tracker->is_pending = false;
}

unsigned path_exit(struct path *path, const struct nst_exit_event *event, uint64_t id) {
  struct path_tracker *host = &path->tracker[0];
  if (!path->is_started) start_inside(path, event->context);
  path->is_started = true;
  host->current = event->context;
  /* A failed entry: the guest exits without having been entered. */
  if (path->running == PATH_RUNS_NOTHING) path->running = resolve_entered(path);
  unsigned level = path->running;
  host->handled_id = id;
  host->handled_region = event->context;
  host->handled_reason = event->reason;
  if (!(event->reason & FAILED_ENTRY)) note_instruction(&path->tracker[level], event);
  path->running = PATH_RUNS_NOTHING;
  return level;
}

unsigned path_entry(struct path *path, const struct nst_entry_event *event) {
  path->is_started = true;
  path->tracker[0].current = event->context;
  path->running = resolve_entered(path);
  settle_instruction(&path->tracker[path->running], event);
  return path->running;
}

bool path_reflect(struct path *path, unsigned level, uint64_t id, uint32_t reason) {
  struct path_tracker *tracker = &path->tracker[level];
  if (tracker->handled_id == id) return false; /* perhaps with another VMCS by now */
  tracker->handled_id = id;
  tracker->handled_region = tracker->current;
  tracker->handled_reason = reason;
  return true;
}

unsigned path_subject(const struct path *path, unsigned level) {
  const struct path_tracker *tracker = &path->tracker[level];
  uint64_t pointer =
      tracker->is_pending && tracker->is_load ? tracker->pending_pointer : tracker->current;
  while (level + 2 < LEDGER_LEVELS && mark_of(&path->tracker[level], pointer) == PATH_MERGED)
    pointer = path->tracker[++level].current;
  return mark_of(&path->tracker[level], pointer) == PATH_OWN ? level + 1 : 0;
}
