/* SPDX-License-Identifier: MIT
 * Opening a trace of any format and giving out its events. */
#include "traces/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/ops.h"
#include "traces/reader.h"

int reader_fail(struct trace_reader *reader, const char *path, const char *format, ...) {
  int length = snprintf(reader->error, sizeof reader->error, "%s: ", path);
  if (length < 0 || (size_t)length >= sizeof reader->error) return -1;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reader->error + length, sizeof reader->error - (size_t)length, format, arguments);
  va_end(arguments);
  return -1;
}

void reader_name_arm(struct trace_reader *reader, struct record *record) {
  const struct record_type *ignored;
  char name[TRACE_NAME_MAX];
  uint64_t class = record->value[SLOT_REASON];
  const char *text = trace_arm_class_name(class);
  bool is_interrupt = RECORD_KNOWS(record, SLOT_CODE) && record->value[SLOT_CODE] == ARM_CODE_IRQ;
  if (is_interrupt) {
    snprintf(name, sizeof name, "kvm_exit IRQ");
  } else if (text) {
    snprintf(name, sizeof name, "kvm_exit %s", text);
  } else {
    snprintf(name, sizeof name, "kvm_exit of an unknown class");
  }
  record->name = loss_find(&reader->names, &reader->loss, name, strlen(name), &ignored);
}

static void set_name(struct trace_reader *reader, const char *path) {
  const char *slash = strrchr(path, '/');
  snprintf(reader->about.name, sizeof reader->about.name, "%s", slash ? slash + 1 : path);
}

/* Text has no magic number: it is what holds no NUL byte and begins with a printable character. */
static bool is_text(const uint8_t *bytes, size_t size) {
  return size > 0 && !memchr(bytes, '\0', size) &&
         (bytes[0] >= ' ' || bytes[0] == '\n' || bytes[0] == '\t') && bytes[0] < 0x7f;
}

static int open_importer(struct trace_reader *reader, const char *path) {
  reader->assembler = assembler_create(&reader->loss);
  if (!reader->assembler) return reader_fail(reader, path, "out of memory");
  if (reader->format == TRACE_FORMAT_TEXT) {
    snprintf(reader->about.provenance, sizeof reader->about.provenance,
             "imported from ftrace text");
    return 0;
  }
  source_close(reader->source);
  reader->source = NULL;
  snprintf(reader->about.provenance, sizeof reader->about.provenance, "imported from trace.dat");
  return dat_import_open(reader, path);
}

static int open_format(struct trace_reader *reader, const char *path) {
  const uint8_t *bytes;
  int64_t size = source_peek(reader->source, &bytes, SOURCE_PEEK_MAX);
  if (size < 0) {
    snprintf(reader->error, sizeof reader->error, "%s", source_error(reader->source));
    return -1;
  }
  set_name(reader, path);
  if (native_recognises(bytes, (size_t)size)) {
    reader->format = TRACE_FORMAT_NATIVE;
    return native_reader_open(reader);
  }
  if (ops_recognises(bytes, (size_t)size)) {
    return reader_fail(reader, path,
                       "an operation log holds VMX instructions, not what a guest did; "
                       "nestor trace compare reads it");
  }
  if (dat_recognises(bytes, (size_t)size)) {
    reader->format = TRACE_FORMAT_DAT;
  } else if (is_text(bytes, (size_t)size)) {
    reader->format = TRACE_FORMAT_TEXT;
  } else {
    return reader_fail(reader, path,
                       size == 0 ? "the file is empty; expected a trace"
                                 : "not a trace; expected Nestor's format, ftrace text or "
                                   "trace.dat, each also compressed with zstd");
  }
  return open_importer(reader, path);
}

struct trace_reader *trace_open(const char *path, const struct trace_options *options, char *error,
                                size_t error_size) {
  struct trace_reader *reader = calloc(1, sizeof *reader);
  if (!reader) {
    snprintf(error, error_size, "%s: out of memory", path);
    return NULL;
  }
  reader->salvage = options && options->salvage;
  reason_map_init(&reader->reasons, options ? options->vmx_reason : NULL);
  reader->source = source_open(path, error, error_size);
  if (!reader->source) {
    free(reader);
    return NULL;
  }
  if (open_format(reader, path) != 0) {
    snprintf(error, error_size, "%s", reader->error);
    trace_close(reader);
    return NULL;
  }
  return reader;
}

/* The input ended in an error. With salvage, what came before it still counts. */
static int give_up(struct trace_reader *reader) {
  reader->is_ended = true;
  if (reader->assembler) assembler_finish(reader->assembler);
  if (!reader->salvage) {
    reader->is_failed = true;
    return -1;
  }
  reader->loss.is_salvaged = true;
  snprintf(reader->loss.problem, sizeof reader->loss.problem, "%.500s", reader->error);
  return 0;
}

static int next_imported(struct trace_reader *reader, struct trace_event *event) {
  while (!assembler_take(reader->assembler, event)) {
    if (reader->is_ended) return 0;
    int result =
        reader->format == TRACE_FORMAT_TEXT ? ftrace_import_step(reader) : dat_import_step(reader);
    if (result < 0 && give_up(reader) < 0) return -1;
    if (result == 0) {
      reader->is_ended = true;
      assembler_finish(reader->assembler);
    }
  }
  return 1;
}

static int next_native(struct trace_reader *reader, struct trace_event *event) {
  if (reader->is_ended) return 0;
  int result = native_reader_next(reader, event);
  if (result == 0) reader->is_ended = true;
  return result < 0 ? give_up(reader) : result;
}

int trace_next(struct trace_reader *reader, struct trace_event *event) {
  if (reader->is_failed) return -1;
  int result = reader->format == TRACE_FORMAT_MIX      ? mix_reader_next(reader, event)
               : reader->format == TRACE_FORMAT_NATIVE ? next_native(reader, event)
                                                       : next_imported(reader, event);
  if (result == 1) loss_count_event(&reader->loss, event);
  return result;
}

const char *trace_error(const struct trace_reader *reader) {
  return reader->error;
}

const struct trace_loss *trace_loss(const struct trace_reader *reader) {
  return &reader->loss;
}

const struct trace_source *trace_source(const struct trace_reader *reader) {
  return &reader->about;
}

enum trace_format trace_format(const struct trace_reader *reader) {
  return reader->format;
}

void trace_close(struct trace_reader *reader) {
  if (!reader) return;
  mix_reader_close(reader);
  native_reader_close(reader);
  dat_import_close(reader);
  assembler_destroy(reader->assembler);
  source_close(reader->source);
  free(reader);
}
