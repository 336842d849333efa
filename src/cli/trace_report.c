/* SPDX-License-Identifier: MIT
 * What `nestor trace compare` prints: kinds of round side by side, and where they part. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/trace.h"

enum { CONTEXT = 3, REASONS = 4, TEXT_SIZE = 96 };

/* The recording of kvm_exit reads these after every exit of a guest; KVM itself reads them where it
 * needs them, unless they were read already. */
static const struct ops_ignored recorder_reads = {
    4,
    {NST_FIELD_GUEST_RIP, NST_FIELD_EXIT_QUALIFICATION, NST_FIELD_VM_EXIT_INTR_INFO,
     NST_FIELD_VM_EXIT_INTR_ERROR_CODE}};

enum verdict { EQUAL, EQUAL_BUT_RECORDER, DIFFERENT, ONLY_LOG, ONLY_REPLAY, HOST, VERDICTS };

static const char *const verdict_text[VERDICTS] = {"equal",
                                                   "equal, recorder's reads aside",
                                                   "different",
                                                   "only in the log",
                                                   "only in the replay",
                                                   "not compared: the host's"};

/* One kind of round at one level. */
struct pair {
  const struct ops_group *log, *replay;
  const struct ops_sequence *log_typical, *replay_typical;
  enum verdict verdict;
  uint64_t equal_rounds; /* of the log, that some round of the replay is equal to */
  size_t log_at, replay_at;
};

struct totals {
  uint64_t groups[VERDICTS], rounds[VERDICTS];
  uint64_t equal_rounds, compared_rounds;
};

static enum verdict judge(struct pair *pair) {
  if (pair->log && pair->log->is_host) return HOST;
  if (pair->replay && pair->replay->is_host) return HOST;
  if (pair->replay_typical == NULL) return ONLY_LOG;
  if (pair->log_typical == NULL) return ONLY_REPLAY;
  bool equal = ops_sequence_equal(pair->log_typical, pair->replay_typical, NULL, &pair->log_at,
                                  &pair->replay_at);
  if (equal) return EQUAL;
  if (pair->log->level > 0) return DIFFERENT;
  /* Where the recorder's reads are not what differs first, show what is. */
  equal = ops_sequence_equal(pair->log_typical, pair->replay_typical, &recorder_reads,
                             &pair->log_at, &pair->replay_at);
  return equal ? EQUAL_BUT_RECORDER : DIFFERENT;
}

static bool has_equal(const struct ops_sequence *sequence, const struct ops_group *group) {
  size_t left, right;
  const struct ops_ignored *ignored = group->level == 0 ? &recorder_reads : NULL;
  for (unsigned i = 0; i < group->count; i++) {
    if (ops_sequence_equal(sequence, &group->sequence[i], ignored, &left, &right)) return true;
  }
  return false;
}

static struct pair make_pair(const struct ops_group *log, const struct ops_group *replay) {
  struct pair pair = {.log = log, .replay = replay};
  if (log) pair.log_typical = ops_group_typical(log);
  if (replay) pair.replay_typical = ops_group_typical(replay);
  pair.verdict = judge(&pair);
  for (unsigned i = 0; log && replay && i < log->count; i++) {
    if (has_equal(&log->sequence[i], replay)) pair.equal_rounds += log->sequence[i].rounds;
  }
  return pair;
}

/* ---- the table */

static void print_head(FILE *out) {
  fprintf(out, "%-38s %15s %15s %13s\n", "", "rounds", "typical", "steps");
  fprintf(out, "%-38s %7s %7s %7s %7s %6s %6s\n", "", "log", "replay", "log", "replay", "log",
          "replay");
}

static void print_count(FILE *out, int width, bool is_there, uint64_t count) {
  if (is_there) {
    fprintf(out, " %*" PRIu64, width, count);
  } else {
    fprintf(out, " %*s", width, "-");
  }
}

static void print_pair(FILE *out, const struct pair *pair) {
  const struct ops_group *group = pair->log ? pair->log : pair->replay;
  const struct ops_sequence *log = pair->log_typical, *replay = pair->replay_typical;
  fprintf(out, "L%u %-35s", group->level, group->label);
  print_count(out, 7, pair->log, pair->log ? pair->log->rounds : 0);
  print_count(out, 7, pair->replay, pair->replay ? pair->replay->rounds : 0);
  print_count(out, 7, log, log ? log->rounds : 0);
  print_count(out, 7, replay, replay ? replay->rounds : 0);
  print_count(out, 6, log, log ? log->length : 0);
  print_count(out, 6, replay, replay ? replay->length : 0);
  fprintf(out, "  %s\n", verdict_text[pair->verdict]);
}

/* ---- what differs */

static int compare_items(const void *left, const void *right) {
  return memcmp(left, right, sizeof(struct ops_item));
}

static struct ops_item *sorted_copy(const struct ops_sequence *sequence) {
  struct ops_item *items = malloc((sequence->kept + 1) * sizeof *items);
  if (items == NULL) return NULL;
  memcpy(items, sequence->items, sequence->kept * sizeof *items);
  qsort(items, sequence->kept, sizeof *items, compare_items);
  return items;
}

static bool is_recorder_read(const struct ops_item *item) {
  for (unsigned i = 0; item->kind == OPS_VMREAD && i < recorder_reads.count; i++) {
    if (item->detail == recorder_reads.field[i]) return true;
  }
  return false;
}

/* A step and how much more often one side has it. */
struct surplus {
  struct ops_item item;
  int64_t more; /* above 0: in the log */
};

static size_t count_run(const struct ops_item *items, size_t at, size_t end) {
  size_t run = at;
  while (run < end && compare_items(&items[at], &items[run]) == 0) run++;
  return run - at;
}

static size_t find_surplus(const struct ops_item *log, size_t log_count,
                           const struct ops_item *replay, size_t replay_count, bool is_host,
                           struct surplus *surplus) {
  size_t l = 0, r = 0, count = 0;
  while (l < log_count || r < replay_count) {
    int order = l == log_count ? 1 : r == replay_count ? -1 : compare_items(&log[l], &replay[r]);
    const struct ops_item *item = order <= 0 ? &log[l] : &replay[r];
    size_t in_log = order <= 0 ? count_run(log, l, log_count) : 0;
    size_t in_replay = order >= 0 ? count_run(replay, r, replay_count) : 0;
    if (in_log != in_replay && !(is_host && is_recorder_read(item)))
      surplus[count++] = (struct surplus){*item, (int64_t)in_log - (int64_t)in_replay};
    l += in_log;
    r += in_replay;
  }
  return count;
}

static void print_side(FILE *out, const char *side, const struct surplus *surplus, size_t count,
                       int sign) {
  size_t shown = 0, more = 0;
  char text[TEXT_SIZE];
  for (size_t i = 0; i < count; i++) {
    int64_t times = surplus[i].more * sign;
    if (times <= 0) continue;
    if (shown == REASONS) {
      more++;
      continue;
    }
    fprintf(out, "%s%" PRId64 " %s", shown++ ? ", " : side, times,
            ops_item_text(&surplus[i].item, &trace_names, text, sizeof text));
  }
  if (more > 0) fprintf(out, " and %zu others", more);
  if (shown > 0) fputc('\n', out);
}

/* Which steps one side has more of. */
static void print_reason(FILE *out, const struct pair *pair) {
  const struct ops_sequence *log = pair->log_typical, *replay = pair->replay_typical;
  struct ops_item *left = sorted_copy(log), *right = sorted_copy(replay);
  struct surplus *surplus = calloc(log->kept + replay->kept + 1, sizeof *surplus);
  if (left && right && surplus) {
    size_t count =
        find_surplus(left, log->kept, right, replay->kept, pair->log->level == 0, surplus);
    print_side(out, "    more in the log:    ", surplus, count, 1);
    print_side(out, "    more in the replay: ", surplus, count, -1);
    if (count == 0) fputs("    the same steps in another order\n", out);
  }
  free(left);
  free(right);
  free(surplus);
}

static void print_around(FILE *out, const char *side, const struct ops_sequence *sequence,
                         size_t at) {
  char text[TEXT_SIZE];
  size_t first = at < CONTEXT ? 0 : at - CONTEXT;
  fprintf(out, "    %s\n", side);
  for (size_t i = first; i < sequence->kept && i <= at + CONTEXT; i++) {
    fprintf(out, "    %s%5zu  %s\n", i == at ? ">" : " ", i + 1,
            ops_item_text(&sequence->items[i], &trace_names, text, sizeof text));
  }
  if (at >= sequence->kept) fprintf(out, "    >%5s  the round ends\n", "");
}

static void print_difference(FILE *out, const struct pair *pair, bool in_steps) {
  fprintf(out, "\nL%u %s\n", pair->log->level, pair->log->label);
  print_reason(out, pair);
  if (!in_steps) return;
  print_around(out, "log", pair->log_typical, pair->log_at);
  print_around(out, "replay", pair->replay_typical, pair->replay_at);
}

/* ---- all of it */

static void add_total(struct totals *totals, const struct pair *pair) {
  uint64_t rounds = pair->log ? pair->log->rounds : pair->replay->rounds;
  totals->groups[pair->verdict]++;
  totals->rounds[pair->verdict] += rounds;
  if (pair->verdict > DIFFERENT) return;
  totals->compared_rounds += rounds;
  totals->equal_rounds += pair->equal_rounds;
}

static void print_totals(FILE *out, const struct totals *totals) {
  fputc('\n', out);
  for (unsigned i = 0; i < VERDICTS; i++) {
    if (totals->groups[i] == 0) continue;
    fprintf(out, "%-32s %4" PRIu64 " kinds of round, %6" PRIu64 " rounds\n", verdict_text[i],
            totals->groups[i], totals->rounds[i]);
  }
  fprintf(out,
          "%" PRIu64 " rounds of the log compared, each level by itself: %" PRIu64
          " equal to a round of the replay, %" PRIu64 " not\n",
          totals->compared_rounds, totals->equal_rounds,
          totals->compared_rounds - totals->equal_rounds);
}

static void print_executed(FILE *out, const struct ops_rounds *log, const struct ops_rounds *replay,
                           unsigned level) {
  for (unsigned kind = 0; kind < OPS_INSTRUCTIONS; kind++) {
    uint64_t in_log = ops_rounds_executed(log, level, kind);
    uint64_t in_replay = ops_rounds_executed(replay, level, kind);
    if (in_log == 0 && in_replay == 0) continue;
    fprintf(out, "L%u %-35s %7" PRIu64 " %7" PRIu64, level, ops_kind_name(kind), in_log, in_replay);
    if (level > 0) {
      fprintf(out, "  of them exit %" PRIu64 " and %" PRIu64, ops_rounds_exited(log, level, kind),
              ops_rounds_exited(replay, level, kind));
    }
    fputc('\n', out);
  }
}

static bool is_wanted(const struct trace_compare *compare, unsigned level) {
  return compare->level == TRACE_ALL_LEVELS || compare->level == level;
}

/* Calls visit for every kind of round: those of the log first. */
static void visit_pairs(const struct trace_compare *compare, const struct ops_rounds *log,
                        const struct ops_rounds *replay,
                        void (*visit)(void *context, const struct pair *pair), void *context) {
  const struct ops_group *group;
  for (unsigned level = compare->depth; level-- > 0;) {
    if (!is_wanted(compare, level)) continue;
    for (unsigned i = 0; (group = ops_rounds_group(log, i)) != NULL; i++) {
      if (group->level != level) continue;
      struct pair pair = make_pair(group, ops_rounds_find(replay, group->label, level));
      visit(context, &pair);
    }
    for (unsigned i = 0; (group = ops_rounds_group(replay, i)) != NULL; i++) {
      if (group->level != level || ops_rounds_find(log, group->label, level)) continue;
      struct pair pair = make_pair(NULL, group);
      visit(context, &pair);
    }
  }
}

struct printer {
  FILE *out;
  struct totals totals;
  unsigned in_steps; /* differences that are still to be shown step by step */
};

static void visit_row(void *context, const struct pair *pair) {
  struct printer *printer = context;
  print_pair(printer->out, pair);
  add_total(&printer->totals, pair);
}

static void visit_difference(void *context, const struct pair *pair) {
  struct printer *printer = context;
  if (pair->verdict != DIFFERENT) return;
  print_difference(printer->out, pair, printer->in_steps > 0);
  if (printer->in_steps > 0) printer->in_steps--;
}

int trace_report(const struct cli *cli, const struct trace_compare *compare,
                 const struct ops_rounds *log, const struct ops_rounds *replay) {
  struct printer printer = {.out = cli->out, .in_steps = compare->differences};
  const struct totals *totals = &printer.totals;
  print_head(cli->out);
  visit_pairs(compare, log, replay, visit_row, &printer);
  if (totals->groups[DIFFERENT] > 0) {
    fputs("\nWhere typical rounds part (at L0 the recorder's reads are passed over):\n", cli->out);
    visit_pairs(compare, log, replay, visit_difference, &printer);
  }
  fprintf(cli->out, "\n%-38s %7s %7s\n", "Instructions executed", "log", "replay");
  for (unsigned level = compare->depth; level-- > 0;) {
    if (is_wanted(compare, level)) print_executed(cli->out, log, replay, level);
  }
  print_totals(cli->out, totals);
  uint64_t unequal =
      totals->groups[DIFFERENT] + totals->groups[ONLY_LOG] + totals->groups[ONLY_REPLAY];
  return unequal == 0 ? CLI_FINE : CLI_CLAIM_FAILS;
}
