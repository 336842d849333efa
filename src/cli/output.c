/* SPDX-License-Identifier: MIT
 * Reports that go into files: written beside their place and renamed, so that there is never half
 * of one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/cli.h"

bool cli_is_stdout(const char *path) {
  return strcmp(path, "-") == 0;
}

/* A device or pipe is written to; a new file renamed to its place would do away with it. */
static bool is_special(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static void folder_of(const char *path, char *folder, size_t size) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL)
    snprintf(folder, size, ".");
  else
    snprintf(folder, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

int cli_check_output(const struct cli *cli, const char *option, const char *path) {
  char folder[SCENARIO_PATH_SIZE];
  struct stat status;
  if (cli_is_stdout(path)) return CLI_GO_ON;
  if (path[0] == '\0') return cli_fail(cli, "--%s '': expected the file to write", option);
  if (strlen(path) >= SCENARIO_PATH_SIZE)
    return cli_fail(cli, "--%s: the path is too long", option);
  if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
    return cli_fail(cli, "--%s %s: that is a directory; expected the file to write", option, path);
  folder_of(path, folder, sizeof folder);
  if (is_special(path) || access(folder, W_OK) == 0) return CLI_GO_ON;
  return cli_fail(cli, "--%s %s: cannot write into '%s': %s", option, path, folder,
                  strerror(errno));
}

static int fail(const struct cli *cli, const char *path, int error) {
  cli_fail(cli, "'%s' cannot be written: %s", path, strerror(error));
  return CLI_SETUP;
}

static int write_directly(const struct cli *cli, const char *path, const struct replay *replay,
                          const struct cli_report *report) {
  FILE *out = fopen(path, "w");
  if (out == NULL) return fail(cli, path, errno);
  cli->engine->report(out, replay, report->options, report->format);
  bool failed = ferror(out) != 0;
  failed = fclose(out) != 0 || failed;
  return failed ? fail(cli, path, errno) : CLI_GO_ON;
}

/* mkstemp makes files that nobody else can read; a report is none of those. */
static FILE *open_temporary(char *name) {
  int descriptor = mkstemp(name);
  if (descriptor < 0) return NULL;
  mode_t mask = umask(0);
  umask(mask);
  fchmod(descriptor, 0666 & ~mask);
  FILE *out = fdopen(descriptor, "w");
  if (out != NULL) return out;
  close(descriptor);
  unlink(name);
  return NULL;
}

int cli_write_report(const struct cli *cli, const char *path, const struct replay *replay,
                     const struct cli_report *report) {
  char name[SCENARIO_PATH_SIZE + 8];
  if (is_special(path)) return write_directly(cli, path, replay, report);
  snprintf(name, sizeof name, "%s.XXXXXX", path);
  FILE *out = open_temporary(name);
  if (out == NULL) return fail(cli, path, errno);
  errno = 0;
  cli->engine->report(out, replay, report->options, report->format);
  bool failed = fflush(out) != 0 || ferror(out) != 0;
  int error = errno;
  if (fclose(out) != 0 && !failed) failed = true, error = errno;
  if (!failed && rename(name, path) != 0) failed = true, error = errno;
  if (!failed) return CLI_GO_ON;
  unlink(name);
  return fail(cli, path, error);
}
