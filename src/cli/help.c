/* SPDX-License-Identifier: MIT
 * nestor help [COMMAND], and what stands on standard error when nothing was asked. */
#include <string.h>

#include "src/cli/cli.h"

enum { COLUMN = 22 };

static void print_commands(FILE *out) {
  for (size_t i = 0; cli_commands[i] != NULL; i++) {
    fprintf(out, "  %-9s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
  }
}

void cli_print_usage(FILE *out) {
  fputs("usage: nestor COMMAND [OPTION...] [ARGUMENT...]\n\n", out);
  print_commands(out);
  fputs("\nTo begin: nestor replay scenarios/turtles.xml, or nestor help replay\n", out);
}

/* Later lines of a help text stand under its first. */
static void print_indented(FILE *out, const char *text) {
  for (; *text != '\0'; text++) {
    fputc(*text, out);
    if (*text == '\n') fprintf(out, "%*s", COLUMN + 2, "");
  }
  fputc('\n', out);
}

static void print_option(FILE *out, const struct cli_option *option) {
  char left[64];
  snprintf(left, sizeof left, "--%s%s%s", option->name, option->argument == NULL ? "" : " ",
           option->argument == NULL ? "" : option->argument);
  fprintf(out, "  %-*s ", COLUMN - 1, left);
  print_indented(out, option->help);
}

static void print_general(FILE *out) {
  fputs("nestor: what nested virtualization costs, exit by exit, on an emulated VMX processor\n\n",
        out);
  cli_print_usage(out);
  fputs(
      "\nnestor --version prints the version.\n"
      "Exit status: 0 fine, 1 a claim fails, 2 bad input or usage, 3 set-up, 130 interrupted.\n",
      out);
}

void cli_print_help(FILE *out, const struct cli_command *command) {
  if (command == NULL) {
    print_general(out);
    return;
  }
  fprintf(out, "usage: nestor %s %s%s\n", command->name,
          command->options == NULL || command->options->name == NULL ? "" : "[OPTION...] ",
          command->arguments);
  fprintf(out, "%s\n", command->summary);
  if (command->options == NULL || command->options->name == NULL) return;
  fputc('\n', out);
  for (const struct cli_option *option = command->options; option->name != NULL; option++) {
    print_option(out, option);
  }
}

static const struct cli_option no_options[] = {{NULL, NULL, NULL, 0}};

static int take_nothing(const struct cli *cli, void *request, int key, const char *value) {
  (void)cli, (void)request, (void)key, (void)value;
  return CLI_GO_ON;
}

static int run_help(const struct cli *cli, int argc, char **argv) {
  int first, status = cli_parse(cli, &cli_help_command, argc, argv,
                                (struct cli_taker){take_nothing, NULL}, &first);
  if (status != CLI_GO_ON) return status;
  if (argc - first > 1) return cli_fail(cli, "help expects one command");
  const struct cli_command *command = NULL;
  if (first < argc) {
    command = cli_command_find(argv[first]);
    if (command == NULL) return cli_unknown_command(cli, argv[first]);
  }
  cli_print_help(cli->out, command);
  return CLI_FINE;
}

const struct cli_command cli_help_command = {"help", "[COMMAND]", "explain a command", no_options,
                                             run_help};
