/* SPDX-License-Identifier: MIT
 * The report for people. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/escape.h"
#include "src/report/part.h"
#include "src/scenario/names.h"

enum { LEAST_COLUMNS = 60, MOST_COLUMNS = 240 };

static unsigned deepest(const struct replay *replay) {
  unsigned depth = 1;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].variant.depth > depth) depth = replay->variant[i].variant.depth;
  }
  return depth;
}

/* "kvm-6.1", "kvm-6.1 or minimal": what runs there in any variant. */
static void print_hypervisors(const struct text *text, unsigned level) {
  uint32_t seen = 0;
  for (unsigned i = 0; i < text->replay->variant_count; i++) {
    const struct scenario_stack *stack = &text->replay->variant[i].variant.stack;
    bool is_new = level < stack->depth && !(seen >> stack->hypervisor[level] & 1);
    if (!is_new) continue;
    fprintf(text->out, "%s%s", seen ? " or " : "",
            scenario_words(LIST_HYPERVISOR)[stack->hypervisor[level]]);
    seen |= 1u << stack->hypervisor[level];
  }
}

static void print_processors(const struct text *text) {
  uint32_t seen = 0;
  for (unsigned i = 0; i < text->replay->variant_count; i++) {
    unsigned processor = text->replay->variant[i].variant.stack.processor;
    if (seen >> processor & 1) continue;
    fprintf(text->out, "%s%s", seen ? " or " : "", scenario_words(LIST_PROCESSOR)[processor]);
    seen |= 1u << processor;
  }
}

/* Every guest hypervisor of every variant has the profile of its L0. */
static bool is_uniform(const struct replay *replay) {
  for (unsigned i = 0; i < replay->variant_count; i++) {
    const struct scenario_stack *stack = &replay->variant[i].variant.stack;
    for (unsigned level = 1; level < stack->depth; level++) {
      if (stack->hypervisor[level] != stack->hypervisor[0]) return false;
    }
  }
  return true;
}

static void print_stack(const struct text *text) {
  unsigned depth = deepest(text->replay);
  bool is_same = is_uniform(text->replay);
  fprintf(text->out, "Stack     ");
  print_hypervisors(text, 0);
  fprintf(text->out, " at L0");
  if (is_same && depth > 1) fprintf(text->out, " and at every guest hypervisor");
  for (unsigned level = 1; !is_same && level < depth; level++) {
    fprintf(text->out, ", ");
    print_hypervisors(text, level);
    fprintf(text->out, " at L%u", level);
  }
  fprintf(text->out, "; processor ");
  print_processors(text);
  fprintf(text->out, "\n");
}

/* The first variant that this guest ran in. */
static const struct replay_variant *variant_of(const struct replay *replay, unsigned guest) {
  for (unsigned i = 0; i < replay->variant_count; i++) {
    if (replay->variant[i].variant.stack.guest == guest) return &replay->variant[i];
  }
  return NULL;
}

static void print_guest(const struct text *text, const struct scenario_guest *guest,
                        unsigned index) {
  const struct replay *replay = text->replay;
  const struct replay_variant *variant = variant_of(replay, index);
  char path[SCENARIO_PATH_SIZE];
  if (!variant) return;
  fprintf(text->out, "Guest     %s%s%" PRIu64, guest->name, guest->name[0] ? ": " : "",
          variant->recorded_exits);
  name_guest(guest, path, sizeof path);
  if (guest->mix.count) {
    fprintf(text->out, " events, %s", path);
    if (guest->units) fprintf(text->out, ", for %" PRIu64 " %ss", guest->units, guest->unit);
    fprintf(text->out, "\n");
    return;
  }
  fprintf(text->out, " exits recorded");
  if (index == 0 && replay->source.kernel[0])
    fprintf(text->out, " under real KVM, Linux %s", replay->source.kernel);
  fprintf(text->out, ", depth 1 (%s)\n", path);
}

static void print_head(const struct text *text) {
  const struct replay *replay = text->replay;
  const struct scenario *scenario = replay->scenario;
  const char *path = scenario->path[0] ? scenario->path : scenario->guest[0].trace;
  fprintf(text->out, "%s: %s\n", name_file(path), scenario->question);
  for (unsigned i = 0; i < scenario->guest_count; i++) print_guest(text, &scenario->guest[i], i);
  print_stack(text);
  if (replay->partial) fprintf(text->out, "Partial   interrupted: what follows is not the whole\n");
  fprintf(text->out, "\n");
}

static void print_checked(const struct text *text) {
  const struct compare *compare = text->compare;
  if (compare && compare->count)
    fprintf(
        text->out,
        "Checked   %u of %u cells of depth 2 equal a recording of real nested KVM (--compare)\n",
        compare->equal, compare->count);
  else
    fprintf(text->out, "Checked   nothing: no recording of this guest as a nested one\n");
}

static void print_counts(const struct text *text) {
  uint64_t unlisted = 0, assumed = 0, faulted = 0, timer, other;
  for (unsigned i = 0; i < text->replay->variant_count; i++) {
    unlisted += text->replay->variant[i].unlisted;
    if (text->replay->variant[i].assumed > assumed) assumed = text->replay->variant[i].assumed;
    if (text->replay->variant[i].faulted > faulted) faulted = text->replay->variant[i].faulted;
  }
  loss_count(text->replay, &timer, &other);
  fprintf(text->out,
          "Left out  %" PRIu64 " of %" PRIu64 " trace records became no operation: timer %" PRIu64
          ", other %" PRIu64 " (--loss)\n",
          timer + other, text->replay->loss.records, timer, other);
  fprintf(text->out,
          "Unlisted  %" PRIu64 " VMCS accesses that the profiles do not list, all variants\n",
          unlisted);
  fprintf(text->out,
          "Assumed   %" PRIu64 " arguments and causes that the trace does not tell, per variant\n",
          assumed);
  if (faulted)
    fprintf(text->out,
            "Faulted   %" PRIu64
            " operations ended in an exception that the trace does not have, "
            "per variant\n",
            faulted);
}

static void print_foot(const struct text *text, unsigned holding) {
  const struct scenario *scenario = text->replay->scenario;
  fprintf(text->out, "\n");
  print_checked(text);
  if (scenario->claim_count)
    fprintf(text->out, "Claims    %u of %u hold%s (--claims)\n", holding, scenario->claim_count,
            holding < scenario->claim_count ? ", the others FAIL" : "");
  else
    fprintf(text->out, "Claims    none made\n");
  print_counts(text);
  fprintf(text->out,
          "More      --tree 1   --steps cpuid   --format json   nestor explain GUEST_PML_INDEX\n");
}

static void print_costs(const struct text *text) {
  const struct ledger_cost *exit = ledger_cost(0);
  fprintf(
      text->out,
      "Cycles    estimated: %s %g-%g (%s), VMX instructions, what a real KVM executes; --costs\n",
      exit->name, exit->low, exit->high, exit->mark);
}

static int print_report(FILE *out, const struct replay *replay,
                        const struct report_options *options) {
  struct compare *compare = compare_make(replay);
  struct text text = {.out = out, .replay = replay, .options = options, .compare = compare};
  text.columns = options->columns ? options->columns : REPORT_COLUMNS;
  if (text.columns < LEAST_COLUMNS) text.columns = LEAST_COLUMNS;
  if (text.columns > MOST_COLUMNS) text.columns = MOST_COLUMNS;
  unsigned holding = claims_count(replay);
  print_head(&text);
  table_print(&text);
  print_costs(&text);
  why_print(&text);
  print_foot(&text, holding);
  if (options->claims) claims_print(out, replay);
  if (options->costs) costs_print(out, replay);
  if (options->compare && compare) compare_print(out, replay, compare);
  if (options->loss) loss_print(&text);
  if (options->tree) trees_print(&text);
  if (options->steps) steps_print(&text);
  free(compare);
  return holding == replay->scenario->claim_count ? 0 : 1;
}

/* Names in traces and scenarios may hold what a terminal obeys. */
int report_text(FILE *out, const struct replay *replay, const struct report_options *options) {
  FILE *safe = escape_stream(out);
  if (!safe) {
    fputs("out of memory\n", out);
    return 1;
  }
  int verdict = print_report(safe, replay, options);
  fclose(safe);
  return verdict;
}
