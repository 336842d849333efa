/* SPDX-License-Identifier: MIT
 * nestor trace compare LOG SCENARIO|TRACE: what a replay's hypervisors execute, instruction by
 * instruction, beside the operation log of a real run. */
#include "src/cli/trace.h"

#include <stdlib.h>
#include <string.h>

#include "vmcs/reason.h"

enum trace_key {
  KEY_DEPTH = 256,
  KEY_SHADOWING,
  KEY_PROCESSOR,
  KEY_SCHEME,
  KEY_LEVEL,
  KEY_DIFFERENCES
};
enum { SHOWN = 3, ERROR_SIZE = 1024 };

static const struct cli_option options[] = {
    {"depth", "N", "level of the innermost guest, 1 or 2; as in the log if not given", KEY_DEPTH},
    {"vmcs-shadowing", "WHICH", "on or off; as in the log if not given", KEY_SHADOWING},
    {"processor", "NAME", "the emulated processor; the scenario's if not given", KEY_PROCESSOR},
    {"scheme", "NAME", "memory of the innermost guest; the scenario's if not given", KEY_SCHEME},
    {"level", "N", "compare what the software of this level executes; else of all", KEY_LEVEL},
    {"differences", "N", "show the first N differences step by step (3)", KEY_DIFFERENCES},
    {NULL, NULL, NULL, 0}};

const struct ops_names trace_names = {nst_field_name, nst_exit_name, vmcs_reason_number};

static int take_number(const struct cli *cli, const char *option, const char *value, unsigned limit,
                       unsigned *number) {
  char *end;
  unsigned long taken = strtoul(value, &end, 10);
  bool good = value[0] >= '0' && value[0] <= '9' && *end == '\0' && taken <= limit;
  if (!good) return cli_fail(cli, "--%s %s: expected a number up to %u", option, value, limit);
  *number = (unsigned)taken;
  return CLI_GO_ON;
}

static int take_depth(const struct cli *cli, struct trace_compare *compare, const char *value) {
  int status = take_number(cli, "depth", value, 2, &compare->depth);
  if (status != CLI_GO_ON || compare->depth > 0) return status;
  return cli_fail(cli, "--depth 0: expected 1 or 2");
}

static int take(const struct cli *cli, void *data, int key, const char *value) {
  struct trace_compare *compare = data;
  switch ((enum trace_key)key) {
    case KEY_DEPTH:
      return take_depth(cli, compare, value);
    case KEY_SHADOWING:
      if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return cli_fail(cli, "--vmcs-shadowing %s: expected on or off", value);
      compare->shadowing = strcmp(value, "on") == 0;
      break;
    case KEY_PROCESSOR:
      compare->processor = value;
      break;
    case KEY_SCHEME:
      compare->scheme = value;
      break;
    case KEY_LEVEL:
      return take_number(cli, "level", value, 1, &compare->level);
    case KEY_DIFFERENCES:
      return take_number(cli, "differences", value, 1000, &compare->differences);
  }
  return CLI_GO_ON;
}

/* ---- the log */

static int open_log(const struct cli *cli, const char *path, struct ops_reader **reader) {
  char error[ERROR_SIZE];
  *reader = ops_open(path, vmcs_reason_number, error, sizeof error);
  return *reader != NULL ? CLI_GO_ON : cli_fail_at(cli, CLI_USAGE, error);
}

/* The first exit is the innermost guest's, which switched the log on. */
static void survey_event(struct trace_survey *survey, const struct ops_event *event) {
  bool is_access = event->guest && (event->kind == OPS_VMREAD || event->kind == OPS_VMWRITE);
  if (is_access) survey->accesses = true;
  if (is_access && !event->exits) survey->shadowing = true;
  if (event->kind != OPS_EXIT) return;
  if (survey->depth == 0) {
    survey->depth = 1;
    survey->guest = event->vmcs;
  } else if (event->vmcs != survey->guest) {
    survey->depth = 2;
  }
}

int trace_survey_log(const struct cli *cli, const char *path, struct trace_survey *survey) {
  struct ops_reader *reader;
  struct ops_event event;
  *survey = (struct trace_survey){0};
  int status = open_log(cli, path, &reader), result;
  if (status != CLI_GO_ON) return status;
  while ((result = ops_next(reader, &event)) == 1) survey_event(survey, &event);
  if (result < 0) {
    status = cli_fail_at(cli, CLI_USAGE, ops_error(reader));
  } else if (survey->depth == 0) {
    status = cli_fail(cli, "%s: the log has no VM exit; expected 'X REASON ...'", path);
  }
  ops_close(reader);
  return status;
}

int trace_read_log(const struct cli *cli, const char *path, const struct trace_survey *survey,
                   struct ops_rounds *rounds) {
  struct ops_reader *reader;
  struct ops_event event;
  int status = open_log(cli, path, &reader), result;
  if (status != CLI_GO_ON) return status;
  while ((result = ops_next(reader, &event)) == 1) {
    bool is_frame = event.kind == OPS_EXIT || event.kind == OPS_ENTRY;
    unsigned level = is_frame ? 1 : event.guest;
    if (is_frame && event.vmcs == survey->guest) level = survey->depth;
    ops_rounds_add(rounds, &event, level);
  }
  if (result < 0) status = cli_fail_at(cli, CLI_USAGE, ops_error(reader));
  ops_close(reader);
  return status;
}

/* ---- the comparison */

static const char *on_off(bool on) {
  return on ? "on" : "off";
}

static int settle(const struct cli *cli, struct trace_compare *compare,
                  const struct trace_survey *survey) {
  if (compare->depth != 0 && compare->depth != survey->depth) {
    return cli_fail(cli, "--depth %u: the log is of a guest at depth %u", compare->depth,
                    survey->depth);
  }
  compare->depth = survey->depth;
  if (compare->level != TRACE_ALL_LEVELS && compare->level >= compare->depth) {
    return cli_fail(cli, "--level %u: the log has hypervisors at levels 0 to %u", compare->level,
                    compare->depth - 1);
  }
  if (compare->shadowing < 0) compare->shadowing = !survey->accesses || survey->shadowing;
  fprintf(cli->out, "log     %s: depth %u", compare->log, survey->depth);
  if (survey->accesses) fprintf(cli->out, ", VMCS shadowing %s", on_off(survey->shadowing));
  fprintf(cli->out, "\nreplay  %s: depth %u, VMCS shadowing %s\n\n", compare->guest, compare->depth,
          on_off(compare->shadowing));
  return CLI_GO_ON;
}

static int compare_log(const struct cli *cli, struct trace_compare *compare) {
  struct trace_survey survey;
  int status = trace_survey_log(cli, compare->log, &survey);
  if (status == CLI_GO_ON) status = settle(cli, compare, &survey);
  if (status != CLI_GO_ON) return status;
  struct ops_rounds *log = ops_rounds_create(compare->depth, &trace_names);
  struct ops_rounds *replay = ops_rounds_create(compare->depth, &trace_names);
  if (log == NULL || replay == NULL) status = cli_fail_at(cli, CLI_SETUP, "out of memory");
  if (status == CLI_GO_ON) status = trace_read_log(cli, compare->log, &survey, log);
  if (status == CLI_GO_ON) status = trace_replay(cli, compare, replay);
  if (status == CLI_GO_ON) status = trace_report(cli, compare, log, replay);
  ops_rounds_destroy(log);
  ops_rounds_destroy(replay);
  return status;
}

static int run_compare(const struct cli *cli, int argc, char **argv) {
  struct trace_compare compare = {.shadowing = -1, .level = TRACE_ALL_LEVELS, .differences = SHOWN};
  int first, status = cli_parse(cli, &cli_trace_command, argc, argv,
                                (struct cli_taker){take, &compare}, &first);
  if (status != CLI_GO_ON) return status;
  if (argc - first != 2) {
    return cli_fail(cli,
                    "trace compare expects an operation log and a scenario (.xml) or trace, %d "
                    "given; see nestor help trace",
                    argc - first);
  }
  compare.log = argv[first];
  compare.guest = argv[first + 1];
  status = cli_check_file(cli, compare.log, "an operation log");
  if (status == CLI_GO_ON)
    status = cli_check_file(cli, compare.guest, "a scenario (.xml) or a trace");
  return status == CLI_GO_ON ? compare_log(cli, &compare) : status;
}

static int run_trace(const struct cli *cli, int argc, char **argv) {
  bool is_help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
  if (is_help) {
    cli_print_help(cli->out, &cli_trace_command);
    return CLI_FINE;
  }
  if (argc < 2) return cli_fail(cli, "trace expects compare; see nestor help trace");
  if (strcmp(argv[1], "compare") == 0) return run_compare(cli, argc - 1, argv + 1);
  return cli_fail(cli, "unknown command 'trace %s'; expected trace compare", argv[1]);
}

const struct cli_command cli_trace_command = {
    "trace", "compare LOG SCENARIO|TRACE",
    "compare VMX instructions of a recorded operation log with a replay's", options, run_trace};
