/* SPDX-License-Identifier: MIT
 * Our counts beside a recording of real nested virtualization, cell by cell: the exits of the
 * typical round, from an exit that L0 reflects to the next entry of its guest. The recording is
 * found by its name: beside the guest's own vmx-l1-NAME.txt lies vmx-l2-NAME-shadow.txt. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/report/part.h"

enum { RECORDINGS = 4, RECORDED_DEPTH = 2 };

/* What the recorded stack was: KVM of Linux 6.1 at both levels. */
static bool is_recorded_stack(const struct scenario *scenario, const char **suffix) {
  for (unsigned level = 0; level < RECORDED_DEPTH; level++) {
    if (strcmp(scenario->level[level].hypervisor, "kvm-6.1") != 0) return false;
  }
  *suffix = strcmp(scenario->processor, "skylake-x") == 0 ? "-skylake" : "";
  return **suffix || strcmp(scenario->processor, "broadwell-pml") == 0;
}

/* False where there is no such recording by name. */
static bool recording_path(const struct replay *replay, unsigned variant, char *path, size_t size) {
  static const char mark[] = "vmx-l1-";
  const struct scenario *scenario = replay->scenario;
  const struct scenario_variant *point = &replay->variant[variant].variant;
  const char *suffix;
  if (point->depth != RECORDED_DEPTH || !is_recorded_stack(scenario, &suffix)) return false;
  const char *file = name_file(scenario->trace);
  const char *dot = strchr(file, '.');
  if (strncmp(file, mark, sizeof mark - 1) != 0 || !dot) return false;
  enum scenario_scheme scheme = scenario->level[1].scheme;
  if (scheme == SCENARIO_SHADOW_ON_SHADOW) return false;
  const char *name = file + sizeof mark - 1;
  int length = snprintf(path, size, "%.*svmx-l2-%.*s%s%s%s%s", (int)(file - scenario->trace),
                        scenario->trace, (int)(dot - name), name,
                        scheme == SCENARIO_SHADOW_ON_EPT ? "-l1ept0" : "",
                        point->vmcs_shadowing ? "-shadow" : "-noshadow", suffix, dot);
  return length > 0 && (size_t)length < size && access(path, F_OK) == 0;
}

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
    if (!variant->ledger || !variant->complete || compare->recording_count == RECORDINGS) continue;
    char *path = compare->recording[compare->recording_count];
    if (recording_path(replay, i, path, SCENARIO_PATH_SIZE))
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
  char name[64], path[SCENARIO_PATH_SIZE];
  fprintf(out, "  %s: %s\n", name_variant(&replay->variant[variant].variant, name, sizeof name),
          name_path(compare->recording[index], path, sizeof path));
  if (compare->problem[index][0]) {
    fprintf(out, "    not used: %s\n", compare->problem[index]);
    return;
  }
  for (unsigned i = 0; i < compare->count; i++) {
    const struct compare_cell *cell = &compare->cell[i];
    if (cell->variant != variant) continue;
    fprintf(out, "    %-24s ours %4u (%llu rounds)   recorded %4u (%llu rounds)%s\n", cell->label,
            cell->ours, (unsigned long long)cell->our_rounds, cell->recorded,
            (unsigned long long)cell->recorded_rounds,
            cell->ours == cell->recorded ? "" : "   DIFFERENT");
  }
}

void compare_print(FILE *out, const struct replay *replay, const struct compare *compare) {
  fprintf(out, "\nCompared with real nested KVM: exits to L0 per reflected exit, typical round; ");
  fprintf(out, "%u of %u cells equal\n", compare->equal, compare->count);
  if (compare->recording_count == 0)
    fprintf(out, "  no recording of this guest as a nested one lies beside its own\n");
  for (unsigned i = 0; i < compare->recording_count; i++) print_recording(out, replay, compare, i);
}
