/* SPDX-License-Identifier: MIT
 * nestor list: the scenarios at hand, each with its question; or one of the lists in lists.c. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/cli/cli.h"
#include "src/cli/lists.h"
#include "src/report/escape.h"
#include "src/scenario/names.h"

enum { KEY_FORMAT = 256, KEY_NOT_MODELLED, LIST_LIMIT = 32 };

static const struct cli_option options[] = {
    {"format", "FORMAT", "text or csv, for the lists that are no folder", KEY_FORMAT},
    {"not-modelled", NULL, "the same as the list of that name", KEY_NOT_MODELLED},
    {NULL, NULL, NULL, 0}};

struct request {
  const char *list;
  bool csv;
};

static int take(const struct cli *cli, void *data, int key, const char *value) {
  struct request *request = data;
  if (key == KEY_NOT_MODELLED) {
    request->list = "not-modelled";
    return CLI_GO_ON;
  }
  request->csv = strcmp(value, "csv") == 0;
  if (strcmp(value, "csv") == 0 || strcmp(value, "text") == 0) return CLI_GO_ON;
  return cli_fail(cli, "--format %s: expected text or csv", value);
}

/* ---- Tables -------------------------------------------------------------------------------- */

static size_t column_count(const struct cli_list *list) {
  size_t count = 0;
  while (list->columns[count] != NULL) count++;
  return count;
}

static void print_csv(FILE *out, const struct cli_list *list) {
  size_t columns = column_count(list);
  struct list_row row;
  for (size_t i = 0; i < columns; i++) fprintf(out, "%s%s", i > 0 ? "," : "", list->columns[i]);
  fputc('\n', out);
  for (size_t index = 0; list->row(index, &row); index++) {
    for (size_t i = 0; i < columns; i++) {
      if (i > 0) fputc(',', out);
      escape_csv(out, row.cell[i]);
    }
    fputc('\n', out);
  }
}

/* The last column is as wide as it is. */
static void print_line(FILE *out, const char *const *cells, const size_t *widths, size_t columns) {
  for (size_t i = 0; i + 1 < columns; i++) fprintf(out, "%-*s  ", (int)widths[i], cells[i]);
  fprintf(out, "%s\n", cells[columns - 1]);
}

static void print_text(FILE *out, const struct cli_list *list) {
  size_t columns = column_count(list), widths[LIST_COLUMNS];
  struct list_row row;
  for (size_t i = 0; i < columns; i++) widths[i] = strlen(list->columns[i]);
  for (size_t index = 0; list->row(index, &row); index++) {
    for (size_t i = 0; i < columns; i++) {
      size_t length = strlen(row.cell[i]);
      if (length > widths[i]) widths[i] = length;
    }
  }
  print_line(out, list->columns, widths, columns);
  for (size_t index = 0; list->row(index, &row); index++)
    print_line(out, row.cell, widths, columns);
}

/* ---- Scenarios ----------------------------------------------------------------------------- */

static int is_xml(const struct dirent *entry) {
  size_t length = strlen(entry->d_name);
  return length > 4 && entry->d_name[0] != '.' && strcmp(entry->d_name + length - 4, ".xml") == 0;
}

static void print_scenario(const struct cli *cli, const char *path) {
  char error[SCENARIO_ERROR_SIZE];
  struct scenario *scenario;
  if (scenario_load(&scenario, path, error, sizeof error) != 0) {
    cli_fail_at(cli, CLI_USAGE, error);
    return;
  }
  escape_line(cli->out, path);
  fputs("\n    ", cli->out);
  escape_line(cli->out, scenario->question);
  fputc('\n', cli->out);
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

static int say_nothing_there(const struct cli *cli, const char *word) {
  const char *names[LIST_LIMIT];
  char text[SCENARIO_TEXT_SIZE];
  size_t count = 0;
  for (; cli_lists[count].name != NULL && count + 1 < LIST_LIMIT; count++)
    names[count] = cli_lists[count].name;
  names[count] = NULL;
  struct stat status;
  if (stat(word, &status) == 0 && !S_ISDIR(status.st_mode))
    return cli_fail(cli, "'%s' is a file; expected a list or a folder with scenarios", word);
  const char *near = suggest_word(word, names);
  if (near != NULL)
    return cli_fail(cli, "no list or folder '%s'; did you mean nestor list %s?", word, near);
  return cli_fail(cli, "no list or folder '%s'; the lists are %s", word,
                  join_words(names, " and ", text, sizeof text));
}

static int list_one(const struct cli *cli, const char *word, bool csv) {
  const struct cli_list *list = cli_list_find(word);
  if (list != NULL) {
    csv ? print_csv(cli->out, list) : print_text(cli->out, list);
    return CLI_FINE;
  }
  if (csv) return cli_fail(cli, "--format csv: '%s' is no list; see nestor list", word);
  int count = list_folder(cli, word);
  if (count > 0) return CLI_FINE;
  if (count == 0) return cli_fail(cli, "no scenario (.xml) in folder '%s'", word);
  return say_nothing_there(cli, word);
}

static void list_lists(const struct cli *cli) {
  fputs("\nnestor list LIST shows one of\n", cli->out);
  for (const struct cli_list *list = cli_lists; list->name != NULL; list++)
    fprintf(cli->out, "  %-14s  %s\n", list->name, list->about);
}

static int run_list(const struct cli *cli, int argc, char **argv) {
  struct request request = {NULL, false};
  int first, status = cli_parse(cli, &cli_list_command, argc, argv,
                                (struct cli_taker){take, &request}, &first);
  if (status != CLI_GO_ON) return status;
  if (argc - first > (request.list == NULL))
    return cli_fail(cli, "list expects at most one list or folder");
  if (first < argc) request.list = argv[first];
  if (request.list != NULL) return list_one(cli, request.list, request.csv);
  if (request.csv) return cli_fail(cli, "--format csv: name the list; see nestor list");
  if (list_folder(cli, "scenarios") <= 0) {
    char folder[SCENARIO_PATH_SIZE];
    const char *share = cli_share();
    snprintf(folder, sizeof folder, "%s/scenarios", share == NULL ? "." : share);
    if (list_folder(cli, folder) <= 0)
      fputs("no scenarios here; nestor list FOLDER shows those of a folder\n", cli->out);
  }
  list_lists(cli);
  return CLI_FINE;
}

const struct cli_command cli_list_command = {
    "list", "[LIST|FOLDER]", "list scenarios, or what the processor and reports have names for",
    options, run_list};
