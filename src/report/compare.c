/* SPDX-License-Identifier: MIT
 * Our counts beside a recording of real nested virtualization, cell by cell: the exits of the
 * typical round, from an exit that L0 reflects to the next entry of its guest. The recording is
 * named by the scenario, or found by its name: beside the guest's own vmx-l1-NAME.txt lies
 * vmx-l2-NAME-shadow.txt. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/report/part.h"
#include "src/scenario/names.h"

enum { RECORDED_DEPTH = 2 };

/* ---- Which recording ----------------------------------------------------------------------- */

static bool is_word(enum scenario_list list, unsigned value, const char *word) {
  return strcmp(scenario_words(list)[value], word) == 0;
}

/* What the recorded stack was: KVM of Linux 6.1 at both levels, EPT at L0. */
static bool is_recorded_stack(const struct scenario_stack *stack, const char **suffix) {
  if (stack->depth != RECORDED_DEPTH || stack->shadow_paging[0]) return false;
  for (unsigned level = 0; level < RECORDED_DEPTH; level++) {
    if (!is_word(LIST_HYPERVISOR, stack->hypervisor[level], "kvm-6.1")) return false;
  }
  bool is_skylake = is_word(LIST_PROCESSOR, stack->processor, "skylake-x");
  *suffix = is_skylake ? "-skylake" : "";
  return is_skylake || is_word(LIST_PROCESSOR, stack->processor, "broadwell-pml");
}

/* False where there is no such recording by name. A guest recorded without EPT is the same guest.
 */
static bool path_by_name(const struct scenario_variant *point, char *path, size_t size) {
  static const char mark[] = "vmx-l1-", without_ept[] = "-ept0";
  const char *access_names[] = {[SCENARIO_VMCS_SHADOW] = "-shadow",
                                [SCENARIO_VMCS_TRAP] = "-noshadow",
                                [SCENARIO_VMCS_MEMORY] = NULL};
  const char *trace = point->scenario->guest[point->stack.guest].trace, *file = name_file(trace);
  const char *dot = strchr(file, '.'), *how = access_names[point->stack.vmcs_access], *suffix;
  if (!is_recorded_stack(&point->stack, &suffix) || !how) return false;
  if (strncmp(file, mark, sizeof mark - 1) != 0 || !dot) return false;
  const char *name = file + sizeof mark - 1;
  size_t length = (size_t)(dot - name), cut = sizeof without_ept - 1;
  if (length > cut && strncmp(dot - cut, without_ept, cut) == 0) length -= cut;
  int used =
      snprintf(path, size, "%.*svmx-l2-%.*s%s%s%s%s", (int)(file - trace), trace, (int)length, name,
               point->stack.shadow_paging[1] ? "-l1ept0" : "", how, suffix, dot);
  return used > 0 && (size_t)used < size && access(path, F_OK) == 0;
}

static const struct scenario_recorded *find_recorded(const struct scenario_variant *point) {
  const struct scenario *scenario = point->scenario;
  for (unsigned i = 0; i < scenario->recorded_count; i++) {
    if (scenario_covers(scenario->recorded[i].where, point)) return &scenario->recorded[i];
  }
  return NULL;
}

static bool recording_path(const struct scenario_variant *point, char *path, size_t size) {
  const struct scenario_recorded *recorded = find_recorded(point);
  if (!recorded) return path_by_name(point, path, size);
  snprintf(path, size, "%s", recorded->trace);
  return true;
}

/* Why the scenario expects this cell to differ, or NULL. */
static const char *exception_of(const struct scenario_variant *point, const char *label) {
  const struct scenario_recorded *recorded = find_recorded(point);
  for (unsigned i = 0; recorded && i < recorded->exception_count; i++) {
    const struct scenario_exception *exception = &recorded->exception[i];
    if (strcmp(exception->operation, label) == 0) return exception->because;
  }
  return NULL;
}

/* ---- Cells --------------------------------------------------------------------------------- */

static void add_cells(const struct replay *replay, unsigned variant,
                      const struct trace_rounds *rounds, struct compare *compare) {
  const char *labels[LEDGER_LABELS];
  unsigned count = rows_labels(replay, labels);
  for (unsigned i = 0; i < count; i++) {
    const struct trace_round_group *group = trace_round_find(rounds, labels[i]);
    struct ledger_row row;
    if (!group || !rows_find(&replay->variant[variant], labels[i], &row)) continue;
    struct compare_cell *cell = &compare->cell[compare->count++];
    *cell = (struct compare_cell){.label = labels[i],
                                  .variant = variant,
                                  .ours = row.round_typical,
                                  .recorded = trace_round_mode(group),
                                  .our_rounds = row.rounds,
                                  .recorded_rounds = group->rounds};
    cell->because = exception_of(&replay->variant[variant].variant, labels[i]);
    if (cell->ours == cell->recorded) compare->equal++;
  }
}

static void read_recording(const struct replay *replay, unsigned variant,
                           struct trace_rounds *rounds, struct compare *compare) {
  unsigned index = compare->recording_count++;
  char *problem = compare->problem[index];
  compare->variant[index] = variant;
  struct trace_reader *reader = trace_open(compare->recording[index], NULL, problem, REPORT_TEXT);
  if (!reader) return;
  trace_rounds_init(rounds);
  if (trace_count_rounds(reader, rounds) < 0)
    snprintf(problem, REPORT_TEXT, "%s", trace_error(reader));
  else
    add_cells(replay, variant, rounds, compare);
  trace_close(reader);
}

struct compare *compare_make(const struct replay *replay) {
  struct compare *compare = calloc(1, sizeof *compare);
  struct trace_rounds *rounds = malloc(sizeof *rounds);
  for (unsigned i = 0; compare && rounds && i < replay->variant_count; i++) {
    const struct replay_variant *variant = &replay->variant[i];
    if (!variant->ledger || !variant->complete || compare->recording_count == COMPARE_RECORDINGS)
      continue;
    char *path = compare->recording[compare->recording_count];
    if (recording_path(&variant->variant, path, SCENARIO_PATH_SIZE))
      read_recording(replay, i, rounds, compare);
  }
  free(rounds);
  return compare;
}

enum compare_result compare_find(const struct compare *compare, unsigned variant,
                                 const char *label) {
  for (unsigned i = 0; i < compare->count; i++) {
    const struct compare_cell *cell = &compare->cell[i];
    if (cell->variant != variant || strcmp(cell->label, label) != 0) continue;
    return cell->ours == cell->recorded ? COMPARE_EQUAL : COMPARE_DIFFERENT;
  }
  return COMPARE_NONE;
}

bool compare_has(const struct compare *compare, unsigned variant) {
  for (unsigned i = 0; i < compare->recording_count; i++) {
    if (compare->variant[i] == variant && !compare->problem[i][0]) return true;
  }
  return false;
}

static void print_recording(FILE *out, const struct replay *replay, const struct compare *compare,
                            unsigned index) {
  unsigned variant = compare->variant[index];
  char name[NAME_VARIANT], path[SCENARIO_PATH_SIZE];
  fprintf(out, "  %s: %s\n", name_variant(&replay->variant[variant].variant, name, sizeof name),
          name_path(compare->recording[index], path, sizeof path));
  if (compare->problem[index][0]) {
    fprintf(out, "    not used: %s\n", compare->problem[index]);
    return;
  }
  for (unsigned i = 0; i < compare->count; i++) {
    const struct compare_cell *cell = &compare->cell[i];
    if (cell->variant != variant) continue;
    bool is_equal = cell->ours == cell->recorded;
    fprintf(out, "    %-24s ours %4u (%llu rounds)   recorded %4u (%llu rounds)%s\n", cell->label,
            cell->ours, (unsigned long long)cell->our_rounds, cell->recorded,
            (unsigned long long)cell->recorded_rounds, is_equal ? "" : "   DIFFERENT");
    if (!is_equal && cell->because) fprintf(out, "      as expected: %s\n", cell->because);
  }
}

void compare_print(FILE *out, const struct replay *replay, const struct compare *compare) {
  fprintf(out, "\nCompared with real nested KVM: exits to L0 per reflected exit, typical round; ");
  fprintf(out, "%u of %u cells equal\n", compare->equal, compare->count);
  if (compare->recording_count == 0)
    fprintf(out, "  no recording of this guest as a nested one lies beside its own\n");
  for (unsigned i = 0; i < compare->recording_count; i++) print_recording(out, replay, compare, i);
}
