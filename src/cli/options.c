/* SPDX-License-Identifier: MIT
 * Options by getopt_long, with our own sentences. Names must be written out: getopt_long would take
 * --dept for --depth, and a name that comes to mean something else with the next option is no name.
 */
#include <getopt.h>
#include <string.h>

#include "src/cli/cli.h"
#include "src/scenario/names.h"

enum { OPTION_LIMIT = 24, WORD_SIZE = 32 };

static const struct cli_option *find_key(const struct cli_command *command, int key) {
  const struct cli_option *option = command->options;
  while (option->name != NULL && option->key != key) option++;
  return option->name == NULL ? NULL : option;
}

static int say_unknown(const struct cli *cli, const struct cli_command *command,
                       const char *given) {
  char words[OPTION_LIMIT][WORD_SIZE];
  const char *list[OPTION_LIMIT + 1];
  size_t count = 0;
  for (const struct cli_option *option = command->options; option->name != NULL; option++) {
    snprintf(words[count], WORD_SIZE, "--%s", option->name);
    list[count] = words[count];
    count++;
  }
  list[count++] = "--help";
  list[count] = NULL;
  const char *near = suggest_word(given, list);
  if (near != NULL) {
    return cli_fail(cli, "unknown option '%s' for %s; did you mean %s?", given, command->name,
                    near);
  }
  return cli_fail(cli, "unknown option '%s' for %s; see nestor help %s", given, command->name,
                  command->name);
}

/* The option "--name" or "--name=value" in full, or NULL. */
static const struct option *find_name(const struct option *options, const char *word) {
  size_t length = strcspn(word + 2, "=");
  for (; options->name != NULL; options++) {
    bool same = strlen(options->name) == length && memcmp(options->name, word + 2, length) == 0;
    if (same) return options;
  }
  return NULL;
}

static int check_names(const struct cli *cli, const struct cli_command *command,
                       const struct option *options, int argc, char **argv) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strncmp(argv[i], "--", 2) != 0) continue;
    const struct option *option = find_name(options, argv[i]);
    if (option == NULL) {
      char given[WORD_SIZE * 2];
      snprintf(given, sizeof given, "%.*s", (int)strcspn(argv[i], "="), argv[i]);
      return say_unknown(cli, command, given);
    }
    bool value_follows = option->has_arg == required_argument && strchr(argv[i], '=') == NULL;
    if (value_follows) i++;
  }
  return CLI_GO_ON;
}

static void fill_options(struct option *long_options, const struct cli_command *command) {
  size_t count = 0;
  for (const struct cli_option *option = command->options; option->name != NULL; option++) {
    int has_argument = option->argument == NULL ? no_argument : required_argument;
    long_options[count++] = (struct option){option->name, has_argument, NULL, option->key};
  }
  long_options[count++] = (struct option){"help", no_argument, NULL, 'h'};
  long_options[count] = (struct option){NULL, 0, NULL, 0};
}

/* getopt returned '?' or ':'. */
static int say_wrong(const struct cli *cli, const struct cli_command *command, int result,
                     const char *word) {
  const struct cli_option *option = find_key(command, optopt);
  if (result == ':' && option != NULL) {
    return cli_fail(cli, "option --%s of %s lacks its value: --%s %s", option->name, command->name,
                    option->name, option->argument);
  }
  if (optopt == 0 || (option == NULL && optopt != 'h')) {
    char given[3] = {'-', (char)optopt, '\0'};
    return say_unknown(cli, command, optopt == 0 ? word : given);
  }
  return cli_fail(cli, "option --%s of %s takes no value", option == NULL ? "help" : option->name,
                  command->name);
}

int cli_parse(const struct cli *cli, const struct cli_command *command, int argc, char **argv,
              struct cli_taker taker, int *first) {
  struct option options[OPTION_LIMIT + 2];
  fill_options(options, command);
  int status = check_names(cli, command, options, argc, argv);
  optind = 0; /* start afresh */
  opterr = 0;
  while (status == CLI_GO_ON) {
    int result = getopt_long(argc, argv, ":h", options, NULL);
    if (result == -1) break;
    if (result == '?' || result == ':') {
      status = say_wrong(cli, command, result, argv[optind - 1]);
    } else if (result == 'h') {
      cli_print_help(cli->out, command);
      status = CLI_FINE;
    } else {
      status = taker.take(cli, taker.request, result, optarg);
    }
  }
  *first = optind;
  return status;
}
