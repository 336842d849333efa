/* SPDX-License-Identifier: MIT
 * Replaying: per variant a stack is booted, the trace streamed into its innermost guest and every
 * operation counted by a ledger of its own. Memory does not grow with the trace. */
#include "src/scenario/replay.h"
#include "src/scenario/variant.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/hypervisor/player.h"
#include "src/hypervisor/stack.h"
#include "src/scenario/progress.h"
#include "vmcs/reason.h"

enum { BAD_INPUT = 2, SETUP = 3, INTERRUPTED = 130 };

/* What one call of replay_run carries around. */
struct run {
  struct replay *replay;
  const struct scenario *scenario;
  const struct replay_options *options;
  char *error;
  size_t error_size;
  struct progress progress;
};

static int __attribute__((format(printf, 3, 4)))
fail(struct run *run, int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(run->error, run->error_size, format, arguments);
  va_end(arguments);
  return status;
}

static bool is_interrupted(const struct run *run) {
  return run->options->interrupted && *run->options->interrupted;
}

/* ---- one variant */

static const struct scenario_guest *guest_of(const struct run *run, unsigned index) {
  return &run->scenario->guest[run->replay->variant[index].variant.stack.guest];
}

/* Depth 1 of a first-touch guest backs nothing beforehand; the default of a trace without a say is
 * first touch, as recorded. */
static struct trace_reader *open_trace(struct run *run, unsigned index) {
  struct trace_options options = {.vmx_reason = vmcs_reason_number,
                                  .salvage = run->options->salvage};
  const struct scenario_guest *guest = guest_of(run, index);
  if (guest->mix.count > 0) return trace_open_mix(&guest->mix, run->error, run->error_size);
  return trace_open(guest->trace, &options, run->error, run->error_size);
}

/* Counts the events beforehand, so that the progress line can say how long it takes still. */
static uint64_t count_events(struct run *run, unsigned index) {
  struct trace_event event;
  struct stat status;
  uint64_t events = 0;
  const struct scenario_guest *guest = guest_of(run, index);
  bool is_file = stat(guest->trace, &status) == 0 && S_ISREG(status.st_mode);
  if (guest->mix.count == 0 && !is_file) return 0;
  struct trace_reader *reader = open_trace(run, index);
  if (!reader) return 0; /* playing it says why */
  while (!is_interrupted(run) && trace_next(reader, &event) > 0) events++;
  trace_close(reader);
  return events;
}

/* The machine looks at the interrupt while it boots a deep stack, too. */
static int boot(struct run *run, unsigned index, struct nst_machine **machine) {
  struct scenario_variant *variant = &run->replay->variant[index].variant;
  int status =
      variant_boot(machine, variant, run->options->interrupted, run->error, run->error_size);
  return status && is_interrupted(run) ? INTERRUPTED : status;
}

static void count_recorded(struct run *run, unsigned index, const struct trace_event *event) {
  if (event->level != 1) return;
  run->replay->variant[index].recorded_exits++;
  if (index > 0) return;
  run->replay->recorded_exits++;
  if (event->flags & TRACE_HAS_REASON && event->reason < EXIT_REASONS)
    run->replay->recorded_by_reason[event->reason]++;
}

/* An exit whose guest tried the same instruction again and exited again: the later exit is the
 * operation. Whether an access is let try again, the replay's own hypervisors decide. */
static bool is_tried_again(const struct trace_event *event, const struct trace_event *next) {
  return event->flags & TRACE_RETRY && next->flags & TRACE_HAS_RIP && next->rip == event->rip &&
         next->vcpu == event->vcpu && next->level == event->level &&
         trace_kind_cause(next->kind) == TRACE_CAUSE_GUEST;
}

/* Plays one event; false when the machine stopped. */
static bool play(struct player *player, struct replay_variant *variant,
                 const struct trace_event *event) {
  char label[TRACE_LABEL_MAX];
  struct player_step step;
  bool is_played =
      trace_kind_cause(event->kind) == TRACE_CAUSE_GUEST || event->kind == TRACE_INTERRUPT;
  if (event->level != 1 || !is_played) return true;
  if (!player_encode(player, event, &step)) {
    variant->left_out++;
    return true;
  }
  trace_event_label(event, label, sizeof label);
  ledger_begin(variant->ledger, ledger_label(variant->ledger, label));
  enum player_outcome outcome = player_play(player, event);
  if (outcome == PLAYER_FAULTED) variant->faulted++;
  if (outcome != PLAYER_DONE && outcome != PLAYER_FAULTED) {
    ledger_abandon(variant->ledger);
    return false;
  }
  ledger_end(variant->ledger);
  variant->operations++;
  return true;
}

static int fail_event(struct run *run, unsigned index, uint64_t number,
                      const struct trace_event *event, const struct nst_machine *machine) {
  char label[TRACE_LABEL_MAX];
  const char *why = nst_error(machine), *trace = guest_of(run, index)->trace;
  trace_event_label(event, label, sizeof label);
  return fail(run, BAD_INPUT, "%s: event %llu (%s, 0x%llx) stopped the machine: %s",
              trace[0] ? trace : run->scenario->path, (unsigned long long)number, label,
              (unsigned long long)event->a, why[0] ? why : "the guest did not come back from it");
}

static int play_trace(struct run *run, unsigned index, struct player *player) {
  struct replay_variant *variant = &run->replay->variant[index];
  struct trace_reader *reader = open_trace(run, index);
  if (!reader) return is_interrupted(run) ? INTERRUPTED : BAD_INPUT;
  struct trace_event event, next;
  uint64_t events = 0;
  int more = trace_next(reader, &event), status = 0;
  while (status == 0 && !is_interrupted(run) && more > 0) {
    progress_show(&run->progress, events++);
    more = trace_next(reader, &next);
    count_recorded(run, index, &event);
    bool is_operation = more <= 0 || !is_tried_again(&event, &next);
    if (is_operation && !play(player, variant, &event) && !is_interrupted(run))
      status = fail_event(run, index, events, &event, player->machine);
    event = next;
  }
  if (status == 0 && more < 0 && !is_interrupted(run))
    status = fail(run, BAD_INPUT, "%s", trace_error(reader));
  if (index == 0) {
    run->replay->loss = *trace_loss(reader);
    run->replay->source = *trace_source(reader);
  }
  variant->complete = status == 0 && more == 0 && !is_interrupted(run);
  trace_close(reader);
  progress_clear(&run->progress);
  return status;
}

static void collect(struct replay_variant *variant, const struct player *player,
                    const struct stack *stack) {
  const struct hv_level *parent = &stack->level[stack->depth - 1];
  for (unsigned i = 0; i < EXIT_REASONS && i < EXIT_REASON_LIMIT; i++)
    variant->guest_exits[i] = parent->own_exits[i];
  for (unsigned i = 0; i < stack->depth; i++) variant->unlisted += stack->level[i].unlisted;
  variant->assumed = player->assumed;
  variant->state_hash = player_hash(player);
}

static int run_variant(struct run *run, unsigned index) {
  struct replay_variant *variant = &run->replay->variant[index];
  struct nst_machine *machine;
  struct player player;
  progress_begin(&run->progress, index, run->replay->variant_count);
  if (run->progress.is_shown) run->progress.total = count_events(run, index);
  int status = boot(run, index, &machine);
  if (status) return status;
  if (!player_init(&player, machine)) {
    status = is_interrupted(run) ? INTERRUPTED : SETUP;
    if (status == SETUP)
      status = fail(run, SETUP, "the innermost guest does not run: %s", nst_error(machine));
  } else {
    struct stack *stack = stack_of(machine);
    for (unsigned i = 0; i < stack->depth; i++)
      stack->level[i] = (struct hv_level){.profile = stack->level[i].profile};
    if (run->options->observer) nst_observe(machine, run->options->observer);
    variant->ledger = ledger_create(machine, variant->variant.depth);
    status = variant->ledger ? play_trace(run, index, &player) : fail(run, SETUP, "out of memory");
    if (!is_interrupted(run)) collect(variant, &player, stack);
    ledger_detach(variant->ledger);
  }
  nst_machine_destroy(machine);
  return status;
}

/* ---- all variants */

int replay_run(struct replay **out, const struct scenario *scenario,
               const struct replay_options *options, char *error, size_t error_size) {
  *out = NULL;
  struct replay *replay = calloc(1, sizeof *replay);
  struct run run = {replay, scenario, options, error, error_size, {0}};
  if (!replay) return fail(&run, SETUP, "out of memory");
  run.progress.is_shown = options->progress && isatty(STDERR_FILENO);
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  replay->scenario = scenario;
  replay->variant_count = scenario_expand(scenario, variants);
  for (unsigned i = 0; i < replay->variant_count; i++) replay->variant[i].variant = variants[i];
  int status = 0;
  for (unsigned i = 0; i < replay->variant_count && status == 0 && !is_interrupted(&run); i++)
    status = run_variant(&run, i);
  if (status && status != INTERRUPTED) {
    replay_free(replay);
    return status;
  }
  replay->partial = is_interrupted(&run);
  *out = replay;
  if (!replay->partial) return 0;
  return fail(&run, INTERRUPTED, "interrupted: the report covers what was done until then");
}

void replay_free(struct replay *replay) {
  if (!replay) return;
  for (unsigned i = 0; i < replay->variant_count; i++) ledger_free(replay->variant[i].ledger);
  free(replay);
}
