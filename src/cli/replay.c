/* SPDX-License-Identifier: MIT
 * nestor replay SCENARIO|TRACE: play a recorded guest on a stack of hypervisors and report. */
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli.h"
#include "src/scenario/names.h"

enum replay_key {
  KEY_AXIS = 256, /* the first of the axes' keys */
  KEY_HOST = KEY_AXIS + SCENARIO_AXIS_COUNT,
  KEY_CLAIMS,
  KEY_COMPARE,
  KEY_LOSS,
  KEY_COSTS,
  KEY_TREE,
  KEY_STEPS,
  KEY_FORMAT,
  KEY_HTML,
  KEY_JUNIT,
  KEY_TAP,
  KEY_SALVAGE
};

static const struct cli_option options[] = {
    {"depth", "LIST", "level of the innermost guest, 1 to 6: 2, 1..3 or 1,2,4",
     KEY_AXIS + SCENARIO_AXIS_DEPTH},
    {"guest", "LIST", "guests of the scenario, by name", KEY_AXIS + SCENARIO_AXIS_GUEST},
    {"processor", "LIST",
     "nehalem, haswell, broadwell-pml, skylake-x, minimal or everything;\n"
     "claims about figures are left out if it is not the scenario's own",
     KEY_AXIS + SCENARIO_AXIS_PROCESSOR},
    {"hypervisor", "LIST", "of the guest hypervisors: kvm-6.1, ... (see list); same for claims",
     KEY_AXIS + SCENARIO_AXIS_HYPERVISOR},
    {"host", "NAME", "the hypervisor at L0; same for claims", KEY_HOST},
    {"scheme", "LIST",
     "memory of the innermost guest: ept-on-ept, shadow-on-ept or\n"
     "shadow-on-shadow",
     KEY_AXIS + SCENARIO_AXIS_SCHEME},
    {"vmcs-access", "LIST", "of guest hypervisors: trap, memory or shadow",
     KEY_AXIS + SCENARIO_AXIS_VMCS_ACCESS},
    {"shadowing", "WHICH", "VMCS shadowing: on, off or both",
     KEY_AXIS + SCENARIO_AXIS_VMCS_SHADOWING},
    {"claims", NULL, "show every claim and whether it holds", KEY_CLAIMS},
    {"compare", NULL, "show every checked figure beside the recorded one", KEY_COMPARE},
    {"costs", NULL, "show estimated costs, savings, published figures beside them, unit costs",
     KEY_COSTS},
    {"loss", NULL, "show what of the trace became no operation", KEY_LOSS},
    {"tree", "N", "show the exit trees of the first N kinds of operation", KEY_TREE},
    {"steps", "OPERATION", "tell one such operation step by step: --steps cpuid", KEY_STEPS},
    {"format", "FORMAT",
     "text, csv (a table of operations), csv-causes (of causes), json, html,\n"
     "junit or tap (the claims), folded or perfetto (stacks of exits)",
     KEY_FORMAT},
    {"html", "FILE", "write a page with tables and charts too; - for standard output", KEY_HTML},
    {"junit", "FILE", "write the claims as JUnit XML too", KEY_JUNIT},
    {"tap", "FILE", "write the claims as TAP too", KEY_TAP},
    {"salvage", NULL, "replay what a damaged trace still holds", KEY_SALVAGE},
    {NULL, NULL, NULL, 0}};

struct request {
  const char *axis[SCENARIO_AXIS_COUNT], *host;
  const char *html, *junit, *tap;
  enum report_format format;
  bool salvage;
  struct report_options report;
};

static int take_tree(const struct cli *cli, struct request *request, const char *value) {
  char *end;
  unsigned long number = strtoul(value, &end, 10);
  bool good =
      value[0] >= '0' && value[0] <= '9' && *end == '\0' && number >= 1 && number <= 1000000000;
  if (!good) {
    return cli_fail(cli, "--tree %s: expected a number from 1 to 1000000000", value);
  }
  request->report.tree = (unsigned)number;
  return CLI_GO_ON;
}

static int take_format(const struct cli *cli, struct request *request, const char *value) {
  char text[SCENARIO_TEXT_SIZE];
  if (report_format_find(value, &request->format)) return CLI_GO_ON;
  const char *near = suggest_word(value, report_format_names);
  if (near != NULL) return cli_fail(cli, "--format %s: did you mean %s?", value, near);
  return cli_fail(cli, "--format %s: expected %s", value,
                  join_words(report_format_names, " or ", text, sizeof text));
}

static int take(const struct cli *cli, void *data, int key, const char *value) {
  struct request *request = data;
  if (key >= KEY_AXIS && key < KEY_HOST) {
    request->axis[key - KEY_AXIS] = value;
    return CLI_GO_ON;
  }
  switch ((enum replay_key)key) {
    case KEY_AXIS: /* taken above */
      break;
    case KEY_HOST:
      request->host = value;
      break;
    case KEY_CLAIMS:
      request->report.claims = true;
      break;
    case KEY_COMPARE:
      request->report.compare = true;
      break;
    case KEY_COSTS:
      request->report.costs = true;
      break;
    case KEY_LOSS:
      request->report.loss = true;
      break;
    case KEY_TREE:
      return take_tree(cli, request, value);
    case KEY_STEPS:
      request->report.steps = value;
      break;
    case KEY_FORMAT:
      return take_format(cli, request, value);
    case KEY_HTML:
      request->html = value;
      break;
    case KEY_JUNIT:
      request->junit = value;
      break;
    case KEY_TAP:
      request->tap = value;
      break;
    case KEY_SALVAGE:
      request->salvage = true;
      break;
  }
  return CLI_GO_ON;
}

/* ---- The scenario --------------------------------------------------------------------------- */

static int load(const struct cli *cli, const char *path, struct scenario **scenario) {
  char error[SCENARIO_ERROR_SIZE];
  int status = cli_check_file(cli, path, "a scenario (.xml) or a trace");
  if (status != CLI_GO_ON) return status;
  bool xml = cli_is_scenario(path);
  status = xml ? scenario_load(scenario, path, error, sizeof error)
               : scenario_for_trace(scenario, path, error, sizeof error);
  return status == 0 ? CLI_GO_ON : cli_fail_at(cli, status, error);
}

static int fail_value(const struct cli *cli, const char *option, const char *value,
                      enum scenario_list list, const char *error) {
  const char *near = suggest_word(value, scenario_words(list));
  if (near == NULL) return cli_fail(cli, "--%s %s: %s", option, value, error);
  return cli_fail(cli, "--%s %s: %s; did you mean %s?", option, value, error, near);
}

/* Says how many claims were about something else. */
static void tell_dropped(const struct cli *cli, const struct scenario *scenario, unsigned before,
                         const char *what) {
  unsigned count = before - scenario->claim_count;
  if (count == 0) return;
  cli_fail(cli, "%u claim%s left out: %s of another %s", count, count == 1 ? " is" : "s are",
           count == 1 ? "it states a figure" : "they state figures", what);
}

static int set_axis(const struct cli *cli, struct scenario *scenario, enum scenario_axis_name axis,
                    const char *values) {
  char error[SCENARIO_ERROR_SIZE];
  const struct scenario_axis_info *info = scenario_axis_info(axis);
  bool was_compared = scenario->axis[axis].compared;
  unsigned before = scenario->claim_count;
  if (values == NULL) return CLI_GO_ON;
  if (scenario_set_axis(scenario, axis, values, error, sizeof error) != 0)
    return fail_value(cli, info->option, values, info->list, error);
  if (!was_compared) tell_dropped(cli, scenario, before, info->name);
  return CLI_GO_ON;
}

static int set_host(const struct cli *cli, struct scenario *scenario, const char *name) {
  char error[SCENARIO_ERROR_SIZE];
  unsigned before = scenario->claim_count;
  if (name == NULL) return CLI_GO_ON;
  if (scenario_set_host(scenario, name, error, sizeof error) != 0)
    return fail_value(cli, "host", name, LIST_HYPERVISOR, error);
  tell_dropped(cli, scenario, before, "host hypervisor");
  return CLI_GO_ON;
}

static int change(const struct cli *cli, struct scenario *scenario, const struct request *request) {
  int status = CLI_GO_ON;
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT && status == CLI_GO_ON; i++)
    status = set_axis(cli, scenario, (enum scenario_axis_name)i, request->axis[i]);
  if (status == CLI_GO_ON) status = set_host(cli, scenario, request->host);
  return status;
}

/* ---- Replay and report ---------------------------------------------------------------------- */

struct target {
  const char *option, *path;
  enum report_format format;
};
enum { TARGETS = 3 };

static void find_targets(const struct request *request, struct target targets[TARGETS]) {
  targets[0] = (struct target){"html", request->html, REPORT_AS_HTML};
  targets[1] = (struct target){"junit", request->junit, REPORT_AS_JUNIT};
  targets[2] = (struct target){"tap", request->tap, REPORT_AS_TAP};
}

/* Before the replay, which may take long. "-" takes the place of the report that is printed. */
static int check_targets(const struct cli *cli, struct request *request) {
  struct target targets[TARGETS];
  const char *printed = NULL;
  find_targets(request, targets);
  for (unsigned i = 0; i < TARGETS; i++) {
    const struct target *target = &targets[i];
    if (target->path == NULL) continue;
    int status = cli_check_output(cli, target->option, target->path);
    if (status != CLI_GO_ON) return status;
    for (unsigned k = 0; k < i; k++) {
      if (targets[k].path != NULL && strcmp(targets[k].path, target->path) == 0)
        return cli_fail(cli, "--%s and --%s name the same file, %s", targets[k].option,
                        target->option, target->path);
    }
    if (!cli_is_stdout(target->path)) continue;
    if (request->format != REPORT_AS_TEXT)
      return cli_fail(cli, "--%s - and --format %s both want standard output", target->option,
                      report_format_names[request->format]);
    printed = target->option;
  }
  if (printed != NULL) report_format_find(printed, &request->format);
  return CLI_GO_ON;
}

/* The files first: what is printed may end in a closed pipe. */
static int report(const struct cli *cli, const struct replay *replay,
                  const struct request *request) {
  struct target targets[TARGETS];
  char sentence[SCENARIO_ERROR_SIZE];
  if (request->report.steps != NULL &&
      !report_has_operation(replay, request->report.steps, sentence, sizeof sentence))
    return cli_fail(cli, "--steps %s: %s", request->report.steps, sentence);
  find_targets(request, targets);
  for (unsigned i = 0; i < TARGETS; i++) {
    if (targets[i].path == NULL || cli_is_stdout(targets[i].path)) continue;
    const struct cli_report file = {targets[i].format, &request->report};
    int status = cli_write_report(cli, targets[i].path, replay, &file);
    if (status != CLI_GO_ON) return status;
  }
  return cli->engine->report(cli->out, replay, &request->report, request->format);
}

/* An interrupted replay reports what it has and still says that it was interrupted. */
static int replay_and_report(const struct cli *cli, const struct scenario *scenario,
                             const struct request *request) {
  char error[SCENARIO_ERROR_SIZE] = "";
  struct replay *replay = NULL;
  const struct replay_options replay_options = {
      .salvage = request->salvage, .progress = cli->progress, .interrupted = cli->interrupted};
  int status = cli->engine->replay_run(&replay, scenario, &replay_options, error, sizeof error);
  if (status == CLI_FINE || (status == CLI_INTERRUPTED && replay != NULL)) {
    int verdict = report(cli, replay, request);
    if (status == CLI_FINE || verdict > CLI_CLAIM_FAILS) status = verdict;
  }
  if (error[0] != '\0') cli_fail_at(cli, status, error);
  if (status == CLI_INTERRUPTED && error[0] == '\0') cli_fail(cli, "interrupted");
  cli->engine->replay_free(replay);
  return status;
}

static int run_replay(const struct cli *cli, int argc, char **argv) {
  struct request request = {.format = REPORT_AS_TEXT, .report = {.columns = cli->columns}};
  struct scenario *scenario = NULL;
  char error[SCENARIO_ERROR_SIZE];
  int first, status = cli_parse(cli, &cli_replay_command, argc, argv,
                                (struct cli_taker){take, &request}, &first);
  if (status != CLI_GO_ON) return status;
  if (argc - first != 1) {
    return cli_fail(cli,
                    "replay expects one scenario (.xml) or trace, %d given; see nestor help "
                    "replay",
                    argc - first);
  }
  status = check_targets(cli, &request);
  if (status == CLI_GO_ON) status = load(cli, argv[first], &scenario);
  if (status == CLI_GO_ON) status = change(cli, scenario, &request);
  if (status == CLI_GO_ON && scenario_check_trace(scenario, error, sizeof error) != 0) {
    status = cli_fail_at(cli, CLI_USAGE, error);
  }
  if (status == CLI_GO_ON) status = replay_and_report(cli, scenario, &request);
  scenario_free(scenario);
  return status;
}

const struct cli_command cli_replay_command = {
    "replay", "SCENARIO|TRACE", "play a recorded guest on a stack of hypervisors, count its exits",
    options, run_replay};
