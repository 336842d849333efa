/* SPDX-License-Identifier: MIT
 * nestor import TRACE OUT: any trace that can be read, written in the native format. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "src/cli/cli.h"
#include "src/report/escape.h"
#include "traces/trace.h"
#include "vmcs/reason.h"

enum { KEY_SALVAGE = 256, ERROR_SIZE = 1024 };

static const struct cli_option options[] = {
    {"salvage", NULL, "keep what comes before damage, leave out lines that cannot be read",
     KEY_SALVAGE},
    {NULL, NULL, NULL, 0}};

static int take(const struct cli *cli, void *data, int key, const char *value) {
  (void)cli, (void)key, (void)value;
  *(bool *)data = true;
  return CLI_GO_ON;
}

static bool is_interrupted(const struct cli *cli) {
  return cli->interrupted != NULL && *cli->interrupted;
}

static int say_interrupted(const struct cli *cli) {
  cli_fail(cli, "interrupted; nothing imported");
  return CLI_INTERRUPTED;
}

/* Copies all events. CLI_GO_ON, or a status after a sentence. */
static int copy(const struct cli *cli, struct trace_reader *reader, struct trace_writer *writer) {
  struct trace_event event;
  int result = 0;
  while (!is_interrupted(cli) && (result = trace_next(reader, &event)) > 0) {
    if (trace_write(writer, &event) < 0) {
      return cli_fail_at(cli, CLI_SETUP, trace_writer_error(writer));
    }
  }
  if (is_interrupted(cli)) return say_interrupted(cli);
  return result < 0 ? cli_fail_at(cli, CLI_USAGE, trace_error(reader)) : CLI_GO_ON;
}

/* Arm exits are information: nothing of them is played. */
static void print_arm(const struct cli *cli, const struct trace_loss *loss) {
  static const char prefix[] = "kvm_exit ";
  const char *before = "Arm exits, for information: ";
  for (size_t i = 0; i < loss->name_count; i++) {
    const struct trace_loss_name *name = &loss->names[i];
    uint64_t count = name->fate[TRACE_FATE_ARM];
    if (count == 0 || strncmp(name->name, prefix, sizeof prefix - 1) != 0) continue;
    fprintf(cli->out, "%s%s %" PRIu64, before, name->name + sizeof prefix - 1, count);
    before = ", ";
  }
  if (before[0] == ',') fputc('\n', cli->out);
}

static void summarize(const struct cli *cli, const char *path, const struct trace_loss *loss) {
  escape_line(cli->out, path);
  fprintf(cli->out, ": %" PRIu64 " events of %" PRIu64 " records\n", loss->events, loss->records);
  if (loss->gap_count > 0) {
    fprintf(cli->out, "%" PRIu64 " gaps, where the recorder lost at least %" PRIu64 " records\n",
            loss->gap_count, loss->gap_records);
  }
  if (loss->overwritten > 0) {
    fprintf(cli->out, "%" PRIu64 " records were overwritten before they were read\n",
            loss->overwritten);
  }
  if (loss->lines_rejected > 0) {
    fprintf(cli->out, "%" PRIu64 " malformed records left out\n", loss->lines_rejected);
  }
  print_arm(cli, loss);
  if (!loss->is_salvaged) return;
  fputs("salvaged: ", cli->out);
  escape_line(cli->out, loss->problem);
  fputc('\n', cli->out);
}

static int convert(const struct cli *cli, const char *in, const char *out, bool salvage) {
  char error[ERROR_SIZE] = "";
  const struct trace_options trace_options = {.vmx_reason = vmcs_reason_number, .salvage = salvage};
  struct trace_reader *reader = trace_open(in, &trace_options, error, sizeof error);
  if (reader == NULL) {
    return is_interrupted(cli) ? say_interrupted(cli) : cli_fail_at(cli, CLI_USAGE, error);
  }
  int status = CLI_GO_ON;
  struct trace_writer *writer = trace_writer_create(out, trace_source(reader), error, sizeof error);
  if (writer == NULL) {
    status = cli_fail_at(cli, CLI_SETUP, error);
  } else {
    status = copy(cli, reader, writer);
  }
  if (status != CLI_GO_ON) {
    trace_writer_abort(writer);
  } else if (trace_writer_commit(writer, error, sizeof error) < 0) {
    status = cli_fail_at(cli, CLI_SETUP, error);
  } else {
    summarize(cli, out, trace_loss(reader));
    status = CLI_FINE;
  }
  trace_close(reader);
  return status;
}

static bool is_same_file(const char *a, const char *b) {
  struct stat first, second;
  bool both = stat(a, &first) == 0 && stat(b, &second) == 0;
  return both && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/* A finished trace is renamed to its place, which would put a file where a device was. */
static bool is_special(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

static int run_import(const struct cli *cli, int argc, char **argv) {
  bool salvage = false;
  int first, status = cli_parse(cli, &cli_import_command, argc, argv,
                                (struct cli_taker){take, &salvage}, &first);
  if (status != CLI_GO_ON) return status;
  if (argc - first != 2) {
    return cli_fail(cli,
                    "import expects a trace and the file to write, %d given; "
                    "see nestor help import",
                    argc - first);
  }
  const char *in = argv[first], *out = argv[first + 1];
  status = cli_check_file(cli, in, "a trace");
  if (status != CLI_GO_ON) return status;
  if (out[0] == '\0') return cli_fail(cli, "'' names no file; expected the file to write");
  if (is_same_file(in, out)) return cli_fail(cli, "'%s' would be written over itself", in);
  if (is_special(out))
    return cli_fail(cli, "'%s' is a device or pipe; expected a file to write", out);
  return convert(cli, in, out, salvage);
}

const struct cli_command cli_import_command = {
    "import", "TRACE OUT.nst", "read a KVM trace (ftrace text, trace.dat), write the native format",
    options, run_import};
