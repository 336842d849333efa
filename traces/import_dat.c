/* SPDX-License-Identifier: MIT
 * Importer of trace.dat: starts the reading process and turns its messages into records. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "traces/dat.h"

enum { NAME_LIMIT = 4096, CPU_LIMIT = 4096 };

struct dat_import {
  struct dat_file file;
  char *path;
  FILE *in;
  pid_t child;
  uint32_t name_count;
  uint32_t last_cpu;
  uint64_t cpu_records[CPU_LIMIT];
  uint16_t names[NAME_LIMIT];
  const struct record_type *types[NAME_LIMIT];
};

/* In the new process: never returns. */
static void run_child(int descriptor, int out_descriptor) {
  int nothing = open("/dev/null", O_RDWR);
  if (nothing >= 0) {
    dup2(nothing, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
  }
  struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(SIGSEGV, SIG_DFL);
  signal(SIGBUS, SIG_DFL);
  signal(SIGABRT, SIG_DFL);
  signal(SIGPROF, SIG_DFL);
  FILE *out = fdopen(out_descriptor, "wb");
  if (out) dat_child_run(descriptor, out);
  _exit(0);
}

static int start_child(struct trace_reader *reader, struct dat_import *dat) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return reader_fail(reader, dat->path, "%s", strerror(errno));
  dat->child = fork();
  if (dat->child == 0) {
    close(ends[0]);
    run_child(dat->file.descriptor, ends[1]);
  }
  close(ends[1]);
  dat->in = dat->child > 0 ? fdopen(ends[0], "rb") : NULL;
  if (dat->in) return 0;
  close(ends[0]);
  return reader_fail(reader, dat->path, "no process to read it: %s", strerror(errno));
}

int dat_import_open(struct trace_reader *reader, const char *path) {
  struct dat_import *dat = calloc(1, sizeof *dat);
  if (!dat) return reader_fail(reader, path, "out of memory");
  reader->dat = dat;
  dat->file.descriptor = -1;
  dat->path = strdup(path);
  if (!dat->path) return reader_fail(reader, path, "out of memory");
  if (dat_file_open(&dat->file, reader, path) != 0) return -1;
  snprintf(reader->about.kernel, sizeof reader->about.kernel, "%s", dat->file.kernel);
  if (dat->file.is_truncated && !dat->file.is_repaired) {
    return reader_fail(reader, path,
                       "truncated at byte %" PRIu64
                       ", and the table of events at the end is lost; nothing imported",
                       dat->file.size);
  }
  return start_child(reader, dat);
}

void dat_import_close(struct trace_reader *reader) {
  struct dat_import *dat = reader->dat;
  if (!dat) return;
  if (dat->in) fclose(dat->in);
  if (dat->child > 0) {
    kill(dat->child, SIGKILL);
    while (waitpid(dat->child, NULL, 0) < 0 && errno == EINTR) {
    }
  }
  if (dat->file.descriptor >= 0) close(dat->file.descriptor);
  free(dat->path);
  free(dat);
  reader->dat = NULL;
}

static int stopped(struct trace_reader *reader, const char *what) {
  struct dat_import *dat = reader->dat;
  uint64_t done = dat->cpu_records[dat->last_cpu % CPU_LIMIT];
  if (reader->loss.records == 0) {
    return reader_fail(reader, dat->path,
                       "%s at byte %" PRIu64 ", before its first event; nothing imported", what,
                       dat->file.size);
  }
  return reader_fail(reader, dat->path,
                     "%s at byte %" PRIu64 " (event %" PRIu64 " of CPU %" PRIu32
                     "); nothing imported. --salvage keeps the first %" PRIu64,
                     what, dat->file.size, done + 1, dat->last_cpu, reader->loss.records);
}

static int take_name(struct trace_reader *reader, struct dat_message *message) {
  struct dat_import *dat = reader->dat;
  if (dat->name_count == NAME_LIMIT) return reader_fail(reader, dat->path, "too many event types");
  message->text[TRACE_NAME_MAX - 1] = '\0';
  uint32_t number = dat->name_count++;
  dat->names[number] = loss_find(&reader->names, &reader->loss, message->text,
                                 strlen(message->text), &dat->types[number]);
  return 1;
}

/* The reason number of a record, which holds no name. Bit 31 of a VMX one is "failed entry". */
static void find_reason(struct trace_reader *reader, struct record *record) {
  if (!RECORD_KNOWS(record, SLOT_REASON)) return;
  uint64_t isa = record->value[SLOT_ISA], reason = record->value[SLOT_REASON];
  bool has_isa = RECORD_KNOWS(record, SLOT_ISA) && isa > 0 && isa < TRACE_ARCH_COUNT;
  record->arch = has_isa ? (uint8_t)isa : reader->arch;
  reader->arch = record->arch;
  if (record->arch == TRACE_ARCH_VMX) reason &= 0xffff;
  record->value[SLOT_REASON] = reason & UINT32_MAX;
  record->row = reason_by_number(&reader->reasons, record->arch, (uint32_t)reason);
}

static int take_record(struct trace_reader *reader, const struct dat_message *message) {
  struct dat_import *dat = reader->dat;
  if (message->name >= dat->name_count) return stopped(reader, "damaged");
  const struct record_type *type = dat->types[message->name];
  struct record record = {.time = message->time,
                          .thread = message->thread,
                          .cpu = message->cpu,
                          .known = message->known,
                          .name = dat->names[message->name],
                          .id = type ? type->id : RECORD_NONE};
  memcpy(record.value, message->value, sizeof record.value);
  find_reason(reader, &record);
  if (record.arch == TRACE_ARCH_ARM64) reader_name_arm(reader, &record);
  dat->last_cpu = message->cpu;
  dat->cpu_records[message->cpu % CPU_LIMIT]++;
  reader->loss.lines++;
  reader->loss.records++;
  assembler_feed(reader->assembler, type, &record);
  return 1;
}

static int take_end(struct trace_reader *reader) {
  struct dat_import *dat = reader->dat;
  if (dat->file.is_truncated) return stopped(reader, "truncated");
  if (reader->loss.records == 0) {
    return reader_fail(reader, dat->path, "no trace record; expected a recording of kvm events");
  }
  return 0;
}

int dat_import_step(struct trace_reader *reader) {
  struct dat_import *dat = reader->dat;
  struct dat_message message;
  if (fread(&message, sizeof message, 1, dat->in) != 1) {
    return stopped(reader, dat->file.is_truncated ? "truncated" : "damaged, in a file that ends");
  }
  switch ((enum dat_message_type)message.type) {
    case DAT_NAME:
      return take_name(reader, &message);
    case DAT_RECORD:
      return take_record(reader, &message);
    case DAT_GAP:
      reader->loss.gap_count++;
      reader->loss.gap_records += message.time;
      assembler_gap(reader->assembler, message.cpu);
      return 1;
    case DAT_END:
      return take_end(reader);
    case DAT_REFUSED:
      break;
  }
  return stopped(reader, "the trace library refused it, in a file that ends");
}
