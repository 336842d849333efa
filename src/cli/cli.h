/* SPDX-License-Identifier: MIT
 * The command line: a table of commands, one file each. Exit status everywhere: 0 fine, 1 a claim
 * fails, 2 bad input or usage, 3 set-up, 130 interrupted. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "src/report/report.h"
#include "src/scenario/replay.h"

enum cli_status {
  CLI_GO_ON = -1, /* not an exit status: nothing to stop for */
  CLI_FINE = 0,
  CLI_CLAIM_FAILS = 1,
  CLI_USAGE = 2,
  CLI_SETUP = 3,
  CLI_INTERRUPTED = 130
};

/* What commands reach beyond this folder; a test puts its own in place. */
struct cli_engine {
  int (*replay_run)(struct replay **out, const struct scenario *scenario,
                    const struct replay_options *options, char *error, size_t error_size);
  void (*replay_free)(struct replay *replay);
  int (*report)(FILE *out, const struct replay *replay, const struct report_options *options,
                enum report_format format);
  int (*bench)(int argc, char **argv); /* argv[0] is "bench" */
};

struct cli {
  FILE *out, *err;
  const struct cli_engine *engine;
  volatile sig_atomic_t *interrupted; /* set by a signal handler; may be NULL */
  unsigned columns;                   /* width of the report */
  bool progress;                      /* err is a terminal */
};

struct cli_option {
  const char *name;     /* without the hyphens */
  const char *argument; /* "LIST"; NULL if it takes none */
  const char *help;     /* one line, or lines with \n between them */
  int key;              /* above 255, or the short option's letter */
};

struct cli_command {
  const char *name;
  const char *arguments; /* "SCENARIO|TRACE" */
  const char *summary;
  const struct cli_option *options; /* ends with a NULL name; NULL: it reads its own */
  int (*run)(const struct cli *cli, int argc, char **argv);
};

extern const struct cli_command cli_replay_command;
extern const struct cli_command cli_import_command;
extern const struct cli_command cli_trace_command;
extern const struct cli_command cli_bench_command;
extern const struct cli_command cli_explain_command;
extern const struct cli_command cli_list_command;
extern const struct cli_command cli_help_command;

/* All commands, ends with NULL. */
extern const struct cli_command *const cli_commands[];
const struct cli_command *cli_command_find(const char *name);

/* Runs argv[1] with what follows; returns the exit status. */
int cli_run(const struct cli *cli, int argc, char **argv);

/* bench.c */
int cli_bench(int argc, char **argv);

/* ---- Sentences and help --------------------------------------------------------------------- */

/* Prints "nestor: sentence" and returns CLI_USAGE. */
int cli_fail(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints a sentence that names its file itself and returns the status. */
int cli_fail_at(const struct cli *cli, int status, const char *sentence);
void cli_print_usage(FILE *out);
void cli_print_help(FILE *out, const struct cli_command *command);
int cli_unknown_command(const struct cli *cli, const char *name);
/* Flushes what the command printed: `status`, or CLI_SETUP with a sentence if that fails. */
int cli_finish(const struct cli *cli, int status);

/* ---- Options -------------------------------------------------------------------------------- */

/* Takes one option; CLI_GO_ON, or an exit status after a sentence. `value` is NULL without one. */
typedef int (*cli_take_fn)(const struct cli *cli, void *request, int key, const char *value);

struct cli_taker {
  cli_take_fn take;
  void *request; /* handed to take */
};

/* Parses the options of a command, whose names must be written out; --help is taken here. On
 * CLI_GO_ON argv[*first] and on are the arguments. */
int cli_parse(const struct cli *cli, const struct cli_command *command, int argc, char **argv,
              struct cli_taker taker, int *first);

/* ---- Files ---------------------------------------------------------------------------------- */

/* The folder with installed scenarios and traces: $NESTOR_SHARE, or where the program was built to
 * be installed, or NULL. */
const char *cli_share(void);
/* CLI_GO_ON if there is a non-empty file; otherwise a sentence, with a suggestion if it is missing,
 * and CLI_USAGE. `expected` is what it should be: "a scenario (.xml) or a trace". */
int cli_check_file(const struct cli *cli, const char *path, const char *expected);
bool cli_is_scenario(const char *path);

/* ---- Reports in files ----------------------------------------------------------------------- */

struct cli_report {
  enum report_format format;
  const struct report_options *options;
};
/* "-" */
bool cli_is_stdout(const char *path);
/* CLI_GO_ON if a file can be written there, as far as can be seen beforehand. */
int cli_check_output(const struct cli *cli, const char *option, const char *path);
/* CLI_GO_ON, or CLI_SETUP after a sentence; then there is no file, or the one from before. */
int cli_write_report(const struct cli *cli, const char *path, const struct replay *replay,
                     const struct cli_report *report);

#endif
