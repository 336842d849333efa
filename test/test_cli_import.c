/* SPDX-License-Identifier: MIT
 * nestor import, from the command line to the file that it writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/cli.h"
#include "test/expect.h"

static const char trace[] =
    "# tracer: nop\n"
    "      kvm-vcpu-0-209     [000] d..1.     4.496650: kvm_entry: vcpu 0, rip 0x10\n"
    "      kvm-vcpu-0-209     [000] d..1.     4.496663: kvm_exit: vcpu 0 reason CPUID rip 0x10 "
    "info1 0x0000000000000000 info2 0x0000000000000000 intr_info 0x00000000 error_code 0x00000000\n"
    "      kvm-vcpu-0-209     [000] d..1.     4.496670: kvm_entry: vcpu 0, rip 0x12\n"
    "      kvm-vcpu-0-209     [000] d..1.     4.496683: kvm_exit: vcpu 0 reason HLT rip 0x12 "
    "info1 0x0000000000000000 info2 0x0000000000000000 intr_info 0x00000000 error_code 0x00000000\n"
    "      kvm-vcpu-0-209     [000] d..1.     4.496690: kvm_entry: vcpu 0, rip 0x13\n";

struct place {
  char folder[64], in[96], out[96], again[96];
};

static void write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (!EXPECT_TRUE(path, file != NULL)) return;
  fputs(text, file);
  fclose(file);
}

static bool place_init(struct place *place) {
  snprintf(place->folder, sizeof place->folder, "/tmp/nestor-import-XXXXXX");
  if (!EXPECT_TRUE("a folder", mkdtemp(place->folder) != NULL)) return false;
  snprintf(place->in, sizeof place->in, "%s/in.txt", place->folder);
  snprintf(place->out, sizeof place->out, "%s/out.nst", place->folder);
  snprintf(place->again, sizeof place->again, "%s/again.nst", place->folder);
  write_text(place->in, trace);
  return true;
}

static void place_fini(const struct place *place) {
  unlink(place->in);
  unlink(place->out);
  unlink(place->again);
  EXPECT_EQ("nothing is left in the folder", rmdir(place->folder), 0);
}

static int run_import(const char *in, const char *out, char *text, size_t size, bool interrupt) {
  char program[] = "nestor", command[] = "import", first[256], second[256];
  char *arguments[] = {program, command, first, second, NULL}, *printed, *complaint;
  volatile sig_atomic_t interrupted = interrupt;
  size_t length;
  snprintf(first, sizeof first, "%s", in);
  snprintf(second, sizeof second, "%s", out);
  FILE *out_file = open_memstream(&printed, &length),
       *err_file = open_memstream(&complaint, &length);
  struct cli cli = {out_file, err_file, NULL, &interrupted, 80, false};
  int status = cli_run(&cli, 4, arguments);
  fclose(out_file);
  fclose(err_file);
  snprintf(text, size, "%s%s", printed, complaint);
  free(printed);
  free(complaint);
  return status;
}

static long file_size(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

static void text_trace_is_written_natively(void) {
  struct place place;
  char text[1024], again[1024];
  if (!place_init(&place)) return;
  EXPECT_EQ("text", run_import(place.in, place.out, text, sizeof text, false), 0);
  EXPECT_CONTAINS("summary", text, "/out.nst: ");
  EXPECT_CONTAINS("summary", text, " events of ");
  EXPECT_TRUE("there is a file", file_size(place.out) > 0);
  EXPECT_EQ("native", run_import(place.out, place.again, again, sizeof again, false), 0);
  unsigned events = 0, events_again = 1;
  sscanf(text + strlen(place.out), ": %u events", &events);
  sscanf(again + strlen(place.again), ": %u events", &events_again);
  EXPECT_TRUE("events", events >= 2);
  EXPECT_EQ("the same events", events_again, events);
  place_fini(&place);
}

static void failed_import_leaves_no_file(void) {
  struct place place;
  char text[1024], nowhere[128];
  if (!place_init(&place)) return;
  snprintf(nowhere, sizeof nowhere, "%s/no/out.nst", place.folder);
  EXPECT_EQ("no such folder", run_import(place.in, nowhere, text, sizeof text, false), 3);
  EXPECT_CONTAINS("no such folder", text, "no/out.nst");
  EXPECT_EQ("interrupted", run_import(place.in, place.out, text, sizeof text, true), 130);
  EXPECT_STRING("interrupted", text, "nestor: interrupted; nothing imported\n");
  EXPECT_EQ("no file", file_size(place.out), -1);
  EXPECT_EQ("a pipe", mkfifo(place.out, 0600), 0);
  EXPECT_EQ("a pipe stays one", run_import(place.in, place.out, text, sizeof text, false), 2);
  EXPECT_CONTAINS("a pipe stays one", text, "is a device or pipe");
  unlink(place.out);
  write_text(place.in, "\x01\x02\x03 junk");
  EXPECT_EQ("junk", run_import(place.in, place.out, text, sizeof text, false), 2);
  EXPECT_CONTAINS("junk", text, "/in.txt");
  EXPECT_EQ("no file", file_size(place.out), -1);
  place_fini(&place);
}

CU_TestInfo cli_import_tests[] = {
    {"text_trace_is_written_natively", text_trace_is_written_natively},
    {"failed_import_leaves_no_file", failed_import_leaves_no_file},
    CU_TEST_INFO_NULL,
};
