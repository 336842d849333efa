/* SPDX-License-Identifier: MIT
 * Scenarios from a file, or made for a trace. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/scenario/document.h"
#include "src/scenario/names.h"

static int no_memory(char *error, size_t error_size) {
  snprintf(error, error_size, "no memory for a scenario");
  return 3;
}

int scenario_load(struct scenario **out, const char *path, char *error, size_t error_size) {
  struct document document = {path, NULL, error, error_size};
  *out = NULL;
  error[0] = '\0';
  if (strlen(path) >= SCENARIO_PATH_SIZE) {
    snprintf(error, error_size, "the path of the scenario is too long");
    return 2;
  }
  struct scenario *scenario = calloc(1, sizeof *scenario);
  if (scenario == NULL) return no_memory(error, error_size);
  bool good = document_read(&document) && document_check_schema(&document);
  if (good) {
    scenario_build(scenario, &document);
    good = scenario_validate(scenario, &document);
  }
  document_free(&document);
  if (!good) {
    scenario_free(scenario);
    return 2;
  }
  *out = scenario;
  return 0;
}

/* "my-trace" of "folder/my-trace.txt.zst" */
static void name_after(const char *trace, char *name, size_t size) {
  const char *slash = strrchr(trace, '/');
  printable(slash == NULL ? trace : slash + 1, name, size);
  char *dot = strchr(name + 1, '.');
  if (name[0] != '\0' && dot != NULL) *dot = '\0';
}

int scenario_for_trace(struct scenario **out, const char *trace, char *error, size_t error_size) {
  *out = NULL;
  if (strlen(trace) >= SCENARIO_PATH_SIZE) {
    snprintf(error, error_size, "the path of the trace is too long");
    return 2;
  }
  struct scenario *scenario = calloc(1, sizeof *scenario);
  if (scenario == NULL) return no_memory(error, error_size);
  name_after(trace, scenario->name, sizeof scenario->name);
  scenario->guest_count = 1;
  scenario->guest[0].backing = SCENARIO_FIRST_TOUCH;
  snprintf(scenario->guest[0].trace, sizeof scenario->guest[0].trace, "%s", trace);
  snprintf(scenario->question, sizeof scenario->question, "%s",
           "what does one guest operation cost in exits to the host hypervisor, L0?");
  snprintf(scenario->processor, sizeof scenario->processor, "broadwell-pml");
  for (unsigned i = 0; i < SCENARIO_DEPTH_LIMIT; i++) {
    struct scenario_level *level = &scenario->level[i];
    snprintf(level->hypervisor, sizeof level->hypervisor, "kvm-6.1");
    level->scheme = SCENARIO_EPT_ON_EPT;
    level->vmcs_access = SCENARIO_VMCS_SHADOW;
    level->backing = SCENARIO_EAGER;
  }
  scenario->axis[SCENARIO_AXIS_DEPTH] = (struct scenario_axis){true, 2, {1, 2}};
  scenario->axis[SCENARIO_AXIS_VMCS_SHADOWING] = (struct scenario_axis){true, 1, {SCENARIO_ON}};
  *out = scenario;
  return 0;
}

static const char *trouble_with(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0) return errno == ENOENT ? "no such file" : strerror(errno);
  if (S_ISDIR(status.st_mode)) return "is a directory; expected a trace";
  if (!S_ISREG(status.st_mode)) return "is a device or pipe; expected a file, read once a variant";
  if (status.st_size == 0) return "empty file; expected a trace";
  return access(path, R_OK) == 0 ? NULL : strerror(errno);
}

static int check_guest(const struct scenario *scenario, const struct scenario_guest *guest,
                       char *error, size_t error_size) {
  if (guest->mix.count > 0) return 0;
  const char *trouble = trouble_with(guest->trace);
  if (trouble == NULL) return 0;
  char near[SCENARIO_PATH_SIZE];
  bool missing = access(guest->trace, F_OK) != 0;
  bool suggested = missing && suggest_file(guest->trace, NULL, NULL, near, sizeof near);
  int used = guest->line == 0 ? snprintf(error, error_size, "%s: %s", guest->trace, trouble)
                              : snprintf(error, error_size, "%s:%u: <guest>: trace %s: %s",
                                         scenario->path, guest->line, guest->trace, trouble);
  if (suggested && used > 0 && (size_t)used < error_size) {
    snprintf(error + used, error_size - (size_t)used, "; did you mean %s?", near);
  }
  return 2;
}

int scenario_check_trace(const struct scenario *scenario, char *error, size_t error_size) {
  int status = 0;
  for (unsigned i = 0; status == 0 && i < scenario->guest_count; i++)
    status = check_guest(scenario, &scenario->guest[i], error, error_size);
  return status;
}

void scenario_free(struct scenario *scenario) {
  free(scenario);
}
