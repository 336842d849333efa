/* SPDX-License-Identifier: MIT
 * Files named on the command line: are they there, what are they, and if not, what was meant. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/cli.h"
#include "src/scenario/names.h"

const char *cli_share(void) {
  const char *share = getenv("NESTOR_SHARE");
  if (share != NULL && share[0] != '\0') return share;
#ifdef NESTOR_SHARE_DIR
  return NESTOR_SHARE_DIR;
#else
  return NULL;
#endif
}

static bool ends_in_xml(const char *path) {
  size_t length = strlen(path);
  return length >= 4 && strcmp(path + length - 4, ".xml") == 0;
}

/* XML by its name or by its first character; no kind of trace begins with "<". */
bool cli_is_scenario(const char *path) {
  if (ends_in_xml(path)) return true;
  struct stat status; /* beforehand: opening a pipe waits for its writer, closing it ends that */
  if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  FILE *file = fopen(path, "rb");
  if (file == NULL) return false;
  int character;
  do character = fgetc(file);
  while (isspace(character));
  fclose(file);
  return character == '<';
}

/* A scenario, a trace, or with neither in its name whatever is near. */
static int say_missing(const struct cli *cli, const char *path) {
  const char *slash = strrchr(path, '/');
  bool bare = strchr(slash == NULL ? path : slash + 1, '.') == NULL;
  bool scenario = ends_in_xml(path);
  const char *what = scenario ? "scenario" : bare ? "scenario or trace" : "trace";
  const char *share = cli_share();
  char installed[SCENARIO_PATH_SIZE] = "", near[SCENARIO_PATH_SIZE];
  if (share != NULL) {
    snprintf(installed, sizeof installed, "%s/%s", share,
             scenario || bare ? "scenarios" : "traces/recorded");
  }
  const char *const folders[] = {scenario || bare ? "scenarios" : "traces/recorded",
                                 installed[0] == '\0' ? NULL : installed, NULL};
  const char *suffix = scenario || bare ? ".xml" : NULL;
  if (suggest_file(path, folders, suffix, near, sizeof near)) {
    return cli_fail(cli, "no %s '%s'; did you mean %s?", what, path, near);
  }
  return cli_fail(cli, "no %s '%s'", what, path);
}

int cli_check_file(const struct cli *cli, const char *path, const char *expected) {
  struct stat status;
  if (path[0] == '\0') return cli_fail(cli, "'' names no file; expected %s", expected);
  if (stat(path, &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return say_missing(cli, path);
    return cli_fail(cli, "'%s' cannot be opened: %s", path, strerror(errno));
  }
  if (S_ISDIR(status.st_mode)) {
    return cli_fail(cli, "'%s' is a directory; expected %s", path, expected);
  }
  if (S_ISREG(status.st_mode) && status.st_size == 0) {
    return cli_fail(cli, "'%s' is an empty file; expected %s", path, expected);
  }
  if (access(path, R_OK) != 0) {
    return cli_fail(cli, "'%s' cannot be opened: %s", path, strerror(errno));
  }
  return CLI_GO_ON;
}
