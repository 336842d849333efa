/* SPDX-License-Identifier: MIT
 * nestor list: the scenarios at hand, each with its question; or the unit costs. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli.h"

static const struct cli_option options[] = {{NULL, NULL, NULL, 0}};

static int take(const struct cli *cli, void *request, int key, const char *value) {
  (void)cli, (void)request, (void)key, (void)value;
  return CLI_GO_ON;
}

static int is_xml(const struct dirent *entry) {
  size_t length = strlen(entry->d_name);
  return length > 4 && entry->d_name[0] != '.' && strcmp(entry->d_name + length - 4, ".xml") == 0;
}

static void print_scenario(const struct cli *cli, const char *path) {
  char error[SCENARIO_ERROR_SIZE];
  struct scenario *scenario;
  if (scenario_load(&scenario, path, error, sizeof error) != 0) {
    fprintf(cli->err, "%s\n", error);
    return;
  }
  fprintf(cli->out, "%s\n    %s\n", path, scenario->question);
  scenario_free(scenario);
}

/* Returns how many files there are. */
static int list_folder(const struct cli *cli, const char *folder) {
  struct dirent **entries;
  int count = scandir(folder, &entries, is_xml, alphasort);
  for (int i = 0; i < count; i++) {
    char path[SCENARIO_PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
    if (length > 0 && (size_t)length < sizeof path) print_scenario(cli, path);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return count;
}

static int run_list(const struct cli *cli, int argc, char **argv) {
  int first, status = cli_parse(cli, &cli_list_command, argc, argv, (struct cli_taker){take, NULL},
                                &first);
  if (status != CLI_GO_ON) return status;
  if (argc - first > 1) return cli_fail(cli, "list expects at most one folder");
  if (first < argc && strcmp(argv[first], "costs") == 0) {
    report_unit_costs(cli->out);
    return CLI_FINE;
  }
  if (first < argc) {
    if (list_folder(cli, argv[first]) >= 0) return CLI_FINE;
    return cli_fail(cli, "no folder '%s'", argv[first]);
  }
  if (list_folder(cli, "scenarios") > 0) return CLI_FINE;
  char folder[SCENARIO_PATH_SIZE];
  const char *share = cli_share();
  snprintf(folder, sizeof folder, "%s/scenarios", share == NULL ? "." : share);
  if (list_folder(cli, folder) > 0) return CLI_FINE;
  return cli_fail(cli, "no scenarios in this folder; name theirs: nestor list FOLDER");
}

const struct cli_command cli_list_command = {
    "list", "[FOLDER|costs]", "list scenarios with their questions, or the unit costs", options,
    run_list};
