/* SPDX-License-Identifier: MIT
 * The table of commands, and the sentences that all of them share. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli.h"
#include "src/nestor.h"
#include "src/report/escape.h"
#include "src/scenario/names.h"

const struct cli_command *const cli_commands[] = {
    &cli_replay_command,  &cli_import_command, &cli_trace_command, &cli_bench_command,
    &cli_explain_command, &cli_list_command,   &cli_help_command,  NULL,
};
enum { COMMAND_COUNT = sizeof cli_commands / sizeof cli_commands[0] };

const struct cli_command *cli_command_find(const char *name) {
  for (size_t i = 0; cli_commands[i] != NULL; i++) {
    if (strcmp(cli_commands[i]->name, name) == 0) return cli_commands[i];
  }
  return NULL;
}

int cli_fail(const struct cli *cli, const char *format, ...) {
  va_list arguments;
  char *sentence = NULL;
  va_start(arguments, format);
  int length = vasprintf(&sentence, format, arguments);
  va_end(arguments);
  fputs("nestor: ", cli->err);
  cli_fail_at(cli, CLI_USAGE, length < 0 ? format : sentence);
  if (length >= 0) free(sentence);
  return CLI_USAGE;
}

int cli_fail_at(const struct cli *cli, int status, const char *sentence) {
  escape_line(cli->err, sentence); /* arguments and names in files may hold what terminals obey */
  fputc('\n', cli->err);
  return status;
}

int cli_finish(const struct cli *cli, int status) {
  if (fflush(cli->out) == 0 && !ferror(cli->out)) return status;
  cli_fail(cli, "the output cannot be written: %s", strerror(errno));
  return CLI_SETUP;
}

int cli_unknown_command(const struct cli *cli, const char *name) {
  const char *names[COMMAND_COUNT];
  char text[SCENARIO_TEXT_SIZE];
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    names[i] = cli_commands[i] == NULL ? NULL : cli_commands[i]->name;
  }
  const char *near = suggest_word(name, names);
  if (near != NULL) return cli_fail(cli, "unknown command '%s'; did you mean %s?", name, near);
  if (cli_is_scenario(name)) {
    return cli_fail(cli, "unknown command '%s'; did you mean nestor replay %s?", name, name);
  }
  return cli_fail(cli, "unknown command '%s'; expected %s", name,
                  join_words(names, " or ", text, sizeof text));
}

static int unknown_option(const struct cli *cli, const char *option) {
  static const char *const options[] = {"--help", "--version", NULL};
  const char *near = suggest_word(option, options);
  if (near != NULL) return cli_fail(cli, "unknown option '%s'; did you mean %s?", option, near);
  return cli_fail(cli, "unknown option '%s'; a command comes first, see nestor --help", option);
}

#define TEXT(x) #x
#define NUMBER_TEXT(x) TEXT(x)

static int print_version(const struct cli *cli) {
  fprintf(cli->out, "nestor %s.%s.%s\n", NUMBER_TEXT(NST_VERSION_MAJOR),
          NUMBER_TEXT(NST_VERSION_MINOR), NUMBER_TEXT(NST_VERSION_PATCH));
  return cli_finish(cli, CLI_FINE);
}

static bool is_one_of(const char *word, const char *a, const char *b) {
  return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int cli_run(const struct cli *cli, int argc, char **argv) {
  if (argc < 2) {
    cli_print_usage(cli->err);
    return CLI_USAGE;
  }
  if (is_one_of(argv[1], "--help", "-h")) {
    cli_print_help(cli->out, NULL);
    return cli_finish(cli, CLI_FINE);
  }
  if (is_one_of(argv[1], "--version", "-V")) return print_version(cli);
  if (argv[1][0] == '-') return unknown_option(cli, argv[1]);
  const struct cli_command *command = cli_command_find(argv[1]);
  if (command == NULL) return cli_unknown_command(cli, argv[1]);
  return cli_finish(cli, command->run(cli, argc - 1, argv + 1));
}

/* ---- bench ---------------------------------------------------------------------------------- */

static int run_bench(const struct cli *cli, int argc, char **argv) {
  bool help = argc > 1 && is_one_of(argv[1], "--help", "-h");
  if (!help) return cli->engine->bench(argc, argv);
  cli_print_help(cli->out, &cli_bench_command);
  return CLI_FINE;
}

const struct cli_command cli_bench_command = {"bench", "[--format text|csv]",
                                              "measure how fast this machine runs the emulator",
                                              NULL, run_bench};
