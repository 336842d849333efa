/* SPDX-License-Identifier: MIT
 * Rounds of a run; see ops_round.h. */
#include "traces/ops_round.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARK_PORT = 0x5e0 }; /* where the recorded guests mark their phases */

struct open_round {
  bool is_open, is_host;
  bool is_reflected; /* a guest of another level ran in it */
  char label[OPS_LABEL_MAX];
  struct open_sequence {
    uint64_t hash;
    size_t length;
    struct ops_item items[OPS_ROUND_ITEMS];
  } level[OPS_LEVELS];
};

struct ops_rounds {
  unsigned depth;
  struct ops_names names;
  struct {
    int io, cr, dr, msr_read, msr_write, violation, misconfiguration, exception;
    int host[6]; /* what the guest did not cause */
    int vmx[OPS_INSTRUCTIONS];
  } number;
  unsigned mark;
  bool is_off;
  unsigned group_count;
  uint64_t ungrouped, kept_items;
  uint64_t executed[OPS_LEVELS][OPS_INSTRUCTIONS], exited[OPS_LEVELS][OPS_INSTRUCTIONS];
  struct ops_group group[OPS_GROUPS];
  struct open_round open;
};

struct ops_rounds *ops_rounds_create(unsigned depth, const struct ops_names *names) {
  static const char *const host[] = {"EXTERNAL_INTERRUPT", "INTERRUPT_WINDOW", "NMI_WINDOW",
                                     "PREEMPTION_TIMER",   "PML_FULL",         "INIT_SIGNAL"};
  struct ops_rounds *rounds = calloc(1, sizeof *rounds);
  if (!rounds) return NULL;
  rounds->depth = depth;
  rounds->names = *names;
  rounds->number.io = names->number("IO_INSTRUCTION");
  rounds->number.cr = names->number("CR_ACCESS");
  rounds->number.dr = names->number("DR_ACCESS");
  rounds->number.msr_read = names->number("MSR_READ");
  rounds->number.msr_write = names->number("MSR_WRITE");
  rounds->number.violation = names->number("EPT_VIOLATION");
  rounds->number.misconfiguration = names->number("EPT_MISCONFIG");
  rounds->number.exception = names->number("EXCEPTION_NMI");
  for (unsigned i = 0; i < sizeof host / sizeof host[0]; i++)
    rounds->number.host[i] = names->number(host[i]);
  for (unsigned i = 0; i < OPS_INSTRUCTIONS; i++)
    rounds->number.vmx[i] = names->number(ops_kind_name(i));
  return rounds;
}

static void forget(struct ops_rounds *rounds) {
  for (unsigned i = 0; i < rounds->group_count; i++) {
    for (unsigned k = 0; k < rounds->group[i].count; k++) free(rounds->group[i].sequence[k].items);
  }
  rounds->group_count = 0;
  rounds->ungrouped = rounds->kept_items = 0;
  rounds->open.is_open = false;
  rounds->mark = 0;
  memset(rounds->executed, 0, sizeof rounds->executed);
  memset(rounds->exited, 0, sizeof rounds->exited);
}

void ops_rounds_destroy(struct ops_rounds *rounds) {
  if (!rounds) return;
  forget(rounds);
  free(rounds);
}

/* ---- what the guest did */

static bool is_reason(const struct ops_event *event, int number) {
  return number >= 0 && event->reason == (uint32_t)number;
}

/* SDM 3C "Exit Qualification for I/O Instructions": bit 3 direction, from bit 16 the port. */
static uint32_t port_of(const struct ops_event *event) {
  return (uint32_t)(event->qualification >> 16 & 0xffff);
}

static uint32_t detail_of(const struct ops_rounds *rounds, const struct ops_event *event) {
  bool is_msr =
      is_reason(event, rounds->number.msr_read) || is_reason(event, rounds->number.msr_write);
  if (is_msr) return (uint32_t)event->rcx;
  if (is_reason(event, rounds->number.io)) return port_of(event);
  if (is_reason(event, rounds->number.cr)) return event->qualification & 0x3f;
  return 0;
}

static const char *access_of(uint64_t qualification) {
  if (qualification & 4) return "fetch";
  return qualification & 2 ? "store" : "load";
}

static void label_cr(uint64_t qualification, char *text, size_t size) {
  static const char *const access[] = {"write", "read"};
  unsigned type = qualification >> 4 & 3;
  if (type > 1) {
    snprintf(text, size, "%s", type == 2 ? "CLTS" : "LMSW");
  } else {
    snprintf(text, size, "CR%u %s", (unsigned)(qualification & 15), access[type]);
  }
}

/* An exit alone does not tell what an access to memory was about: the mark of the phase does. */
static void label_round(const struct ops_rounds *rounds, const struct ops_event *event, char *text,
                        size_t size) {
  const char *name = rounds->names.reason(event->reason & 0xffff);
  uint64_t qualification = event->qualification;
  if (is_reason(event, rounds->number.io)) {
    snprintf(text, size, "%s 0x%x", qualification & 8 ? "IN" : "OUT", port_of(event));
  } else if (is_reason(event, rounds->number.cr)) {
    label_cr(qualification, text, size);
  } else if (is_reason(event, rounds->number.dr)) {
    snprintf(text, size, "DR%u %s", (unsigned)(qualification & 7),
             qualification & 0x10 ? "read" : "write");
  } else if (is_reason(event, rounds->number.msr_read) ||
             is_reason(event, rounds->number.msr_write)) {
    snprintf(text, size, "%s 0x%x", name, (uint32_t)event->rcx);
  } else if (is_reason(event, rounds->number.violation)) {
    snprintf(text, size, "%s %s, mark 0x%x", name, access_of(qualification), rounds->mark);
  } else if (is_reason(event, rounds->number.misconfiguration) ||
             is_reason(event, rounds->number.exception)) {
    snprintf(text, size, "%s, mark 0x%x", name, rounds->mark);
  } else {
    snprintf(text, size, "%s", name);
  }
}

static bool is_host_caused(const struct ops_rounds *rounds, const struct ops_event *event) {
  for (unsigned i = 0; i < sizeof rounds->number.host / sizeof rounds->number.host[0]; i++) {
    if (is_reason(event, rounds->number.host[i])) return true;
  }
  return false;
}

/* ---- sequences */

static void add_item(struct ops_rounds *rounds, unsigned level, struct ops_item item) {
  struct open_sequence *open = &rounds->open.level[level];
  const uint8_t *bytes = (const uint8_t *)&item;
  if (!rounds->open.is_open) return;
  for (size_t i = 0; i < sizeof item; i++)
    open->hash = (open->hash ^ bytes[i]) * UINT64_C(1099511628211);
  if (open->length < OPS_ROUND_ITEMS) open->items[open->length] = item;
  open->length++;
}

static struct ops_group *group_for(struct ops_rounds *rounds, const char *label, unsigned level) {
  for (unsigned i = 0; i < rounds->group_count; i++) {
    struct ops_group *group = &rounds->group[i];
    if (group->level == level && strcmp(group->label, label) == 0) return group;
  }
  if (rounds->group_count == OPS_GROUPS) return NULL;
  struct ops_group *group = &rounds->group[rounds->group_count++];
  *group = (struct ops_group){.level = level, .is_host = rounds->open.is_host};
  snprintf(group->label, sizeof group->label, "%s", label);
  return group;
}

static void keep_sequence(struct ops_rounds *rounds, struct ops_group *group,
                          const struct open_sequence *open) {
  for (unsigned i = 0; i < group->count; i++) {
    struct ops_sequence *known = &group->sequence[i];
    if (known->hash != open->hash || known->length != open->length) continue;
    known->rounds++;
    return;
  }
  size_t kept = open->length < OPS_ROUND_ITEMS ? open->length : OPS_ROUND_ITEMS;
  bool has_room = group->count < OPS_VARIANTS && rounds->kept_items + kept <= OPS_KEPT_ITEMS;
  struct ops_item *items = has_room ? malloc((kept + 1) * sizeof *items) : NULL;
  if (!items) {
    group->unkept++;
    return;
  }
  memcpy(items, open->items, kept * sizeof *items);
  rounds->kept_items += kept;
  group->sequence[group->count++] = (struct ops_sequence){
      .hash = open->hash, .rounds = 1, .length = open->length, .kept = kept, .items = items};
}

static void begin_round(struct ops_rounds *rounds, const struct ops_event *event) {
  struct open_round *open = &rounds->open;
  open->is_open = true;
  open->is_reflected = false;
  open->is_host = is_host_caused(rounds, event);
  label_round(rounds, event, open->label, sizeof open->label);
  for (unsigned i = 0; i < rounds->depth; i++) {
    open->level[i].hash = UINT64_C(14695981039346656037);
    open->level[i].length = 0;
  }
  bool is_mark = is_reason(event, rounds->number.io) && port_of(event) == MARK_PORT;
  if (is_mark) rounds->mark = event->rcx & 0xff;
}

static void end_round(struct ops_rounds *rounds) {
  struct open_round *open = &rounds->open;
  char label[OPS_LABEL_MAX];
  bool is_kept = rounds->depth > 1 && !open->is_reflected;
  snprintf(label, sizeof label, "%.50s%s", open->label, is_kept ? " (kept)" : "");
  for (unsigned i = 0; i < rounds->depth; i++) {
    if (i > 0 && open->level[i].length == 0) continue;
    struct ops_group *group = group_for(rounds, label, i);
    if (group) {
      group->rounds++;
      keep_sequence(rounds, group, &open->level[i]);
    } else {
      rounds->ungrouped++;
    }
  }
  open->is_open = false;
}

static bool is_instruction_exit(const struct ops_rounds *rounds, const struct ops_event *event) {
  for (unsigned i = 0; i < OPS_INSTRUCTIONS; i++) {
    if (is_reason(event, rounds->number.vmx[i])) return true;
  }
  return false;
}

static void add_exit(struct ops_rounds *rounds, const struct ops_event *event, unsigned level) {
  if (level == rounds->depth) begin_round(rounds, event);
  struct ops_item item = {.kind = OPS_EXIT,
                          .level = (uint8_t)level,
                          .reason = event->reason,
                          .detail = detail_of(rounds, event)};
  add_item(rounds, 0, item);
  bool is_told = is_instruction_exit(rounds, event); /* by the instruction itself */
  if (level < rounds->depth && !is_told) add_item(rounds, level, item);
}

static void add_entry(struct ops_rounds *rounds, unsigned level) {
  add_item(rounds, 0, (struct ops_item){.kind = OPS_ENTRY, .level = (uint8_t)level});
  if (level < rounds->depth) {
    rounds->open.is_reflected = true;
  } else if (rounds->open.is_open) {
    end_round(rounds);
  }
}

static void add_instruction(struct ops_rounds *rounds, const struct ops_event *event,
                            unsigned level) {
  rounds->executed[level][event->kind]++;
  rounds->exited[level][event->kind] += event->exits;
  add_item(
      rounds, level,
      (struct ops_item){
          .kind = (uint8_t)event->kind, .exits = event->exits, .detail = (uint32_t)event->field});
}

void ops_rounds_add(struct ops_rounds *rounds, const struct ops_event *event, unsigned level) {
  if (event->kind == OPS_SWITCH) {
    if (event->on) forget(rounds);
    rounds->is_off = !event->on;
    return;
  }
  if (rounds->is_off || level > rounds->depth) return;
  if (event->kind == OPS_EXIT) {
    add_exit(rounds, event, level);
  } else if (event->kind == OPS_ENTRY) {
    add_entry(rounds, level);
  } else if (level < rounds->depth) {
    add_instruction(rounds, event, level);
  }
}

/* ---- what came of it */

const struct ops_group *ops_rounds_group(const struct ops_rounds *rounds, unsigned index) {
  return index < rounds->group_count ? &rounds->group[index] : NULL;
}

const struct ops_group *ops_rounds_find(const struct ops_rounds *rounds, const char *label,
                                        unsigned level) {
  for (unsigned i = 0; i < rounds->group_count; i++) {
    const struct ops_group *group = &rounds->group[i];
    if (group->level == level && strcmp(group->label, label) == 0) return group;
  }
  return NULL;
}

uint64_t ops_rounds_ungrouped(const struct ops_rounds *rounds) {
  return rounds->ungrouped;
}

uint64_t ops_rounds_executed(const struct ops_rounds *rounds, unsigned level, unsigned kind) {
  return level < OPS_LEVELS && kind < OPS_INSTRUCTIONS ? rounds->executed[level][kind] : 0;
}

uint64_t ops_rounds_exited(const struct ops_rounds *rounds, unsigned level, unsigned kind) {
  return level < OPS_LEVELS && kind < OPS_INSTRUCTIONS ? rounds->exited[level][kind] : 0;
}

const struct ops_sequence *ops_group_typical(const struct ops_group *group) {
  const struct ops_sequence *typical = NULL;
  for (unsigned i = 0; i < group->count; i++) {
    if (!typical || group->sequence[i].rounds > typical->rounds) typical = &group->sequence[i];
  }
  return typical;
}

static bool is_ignored(const struct ops_item *item, const struct ops_ignored *ignored) {
  if (!ignored || item->kind != OPS_VMREAD || item->exits) return false;
  for (unsigned i = 0; i < ignored->count; i++) {
    if (item->detail == ignored->field[i]) return true;
  }
  return false;
}

static size_t skip(const struct ops_sequence *sequence, size_t at,
                   const struct ops_ignored *ignored) {
  while (at < sequence->kept && is_ignored(&sequence->items[at], ignored)) at++;
  return at;
}

bool ops_sequence_equal(const struct ops_sequence *left, const struct ops_sequence *right,
                        const struct ops_ignored *ignored, size_t *left_at, size_t *right_at) {
  size_t l = skip(left, 0, ignored), r = skip(right, 0, ignored);
  while (l < left->kept && r < right->kept &&
         memcmp(&left->items[l], &right->items[r], sizeof left->items[l]) == 0) {
    l = skip(left, l + 1, ignored);
    r = skip(right, r + 1, ignored);
  }
  *left_at = l;
  *right_at = r;
  bool is_cut = left->kept < left->length || right->kept < right->length;
  if (is_cut && left->hash != right->hash) return false;
  return l == left->kept && r == right->kept;
}

const char *ops_item_text(const struct ops_item *item, const struct ops_names *names, char *text,
                          size_t size) {
  const char *name = ops_kind_name(item->kind);
  if (item->kind == OPS_ENTRY) {
    snprintf(text, size, "entry of L%u", item->level);
  } else if (item->kind == OPS_EXIT && item->detail) {
    snprintf(text, size, "exit of L%u: %s 0x%" PRIx32, item->level,
             names->reason(item->reason & 0xffff), item->detail);
  } else if (item->kind == OPS_EXIT) {
    snprintf(text, size, "exit of L%u: %s", item->level, names->reason(item->reason & 0xffff));
  } else if (ops_has_field(item->kind)) {
    snprintf(text, size, "%s %s%s", name, names->field(item->detail), item->exits ? ", exits" : "");
  } else {
    snprintf(text, size, "%s%s", name, item->exits ? ", exits" : "");
  }
  return text;
}
