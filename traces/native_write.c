/* SPDX-License-Identifier: MIT
 * Writer of Nestor's own trace format. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "traces/native.h"
#include "traces/trace.h"

enum { LEVEL = 3, PACKED_MAX = ZSTD_COMPRESSBOUND(NATIVE_BLOCK_MAX) };

struct trace_writer {
  FILE *file;
  ZSTD_CCtx *zstd;
  char *path, *temporary;
  uint64_t events;
  uint32_t block_events;
  size_t used;
  struct native_base base;
  bool is_failed;
  char error[512];
  uint8_t block[NATIVE_BLOCK_MAX];
  uint8_t packed[NATIVE_BLOCK_HEAD + PACKED_MAX];
};

static int fail(struct trace_writer *writer, const char *what) {
  writer->is_failed = true;
  snprintf(writer->error, sizeof writer->error, "%s: %s", writer->path, what);
  return -1;
}

static int put(struct trace_writer *writer, const void *bytes, size_t size) {
  if (fwrite(bytes, 1, size, writer->file) == size) return 0;
  return fail(writer, strerror(errno));
}

static size_t put_string(uint8_t *to, const char *text, size_t limit) {
  size_t length = strnlen(text, limit - 1);
  memcpy(to, text, length);
  to[length] = '\0';
  return length + 1;
}

static int put_header(struct trace_writer *writer, const struct trace_source *source) {
  uint8_t header[NATIVE_HEADER_SIZE + NATIVE_STRINGS_MAX + 8];
  uint8_t *strings = header + NATIVE_HEADER_SIZE;
  size_t size = put_string(strings, source->name, sizeof source->name);
  size += put_string(strings + size, source->kernel, sizeof source->kernel);
  size += put_string(strings + size, source->provenance, sizeof source->provenance);
  memcpy(header, native_magic, NATIVE_MAGIC_SIZE);
  native_put(header + 8, NATIVE_VERSION, 2);
  native_put(header + 10, source->is_counter, 2);
  native_put(header + 12, size, 4);
  size += NATIVE_HEADER_SIZE;
  native_put(header + size, native_checksum(NATIVE_CHECKSUM_SEED, header, size), 8);
  return put(writer, header, size + 8);
}

static int put_block(struct trace_writer *writer) {
  if (writer->block_events == 0) return 0;
  uint8_t *body = writer->packed + NATIVE_BLOCK_HEAD;
  size_t size =
      ZSTD_compressCCtx(writer->zstd, body, PACKED_MAX, writer->block, writer->used, LEVEL);
  if (ZSTD_isError(size)) return fail(writer, ZSTD_getErrorName(size));
  native_put(writer->packed, NATIVE_BLOCK, 4);
  native_put(writer->packed + 4, writer->block_events, 4);
  native_put(writer->packed + 8, writer->used, 4);
  native_put(writer->packed + 12, size, 4);
  uint64_t checksum = native_checksum(NATIVE_CHECKSUM_SEED, writer->packed, 16);
  native_put(writer->packed + 16, native_checksum(checksum, body, size), 8);
  writer->events += writer->block_events;
  writer->block_events = 0;
  writer->used = 0;
  writer->base = (struct native_base){0, 0};
  return put(writer, writer->packed, NATIVE_BLOCK_HEAD + size);
}

static int put_end(struct trace_writer *writer) {
  uint8_t end[NATIVE_END_SIZE];
  native_put(end, NATIVE_END, 4);
  native_put(end + 4, writer->events, 8);
  native_put(end + 12, native_checksum(NATIVE_CHECKSUM_SEED, end, 12), 8);
  return put(writer, end, sizeof end);
}

static int open_temporary(struct trace_writer *writer) {
  static const char suffix[] = ".XXXXXX";
  size_t length = strlen(writer->path);
  char *name = malloc(length + sizeof suffix);
  if (!name) return fail(writer, "out of memory");
  memcpy(name, writer->path, length);
  memcpy(name + length, suffix, sizeof suffix);
  int descriptor = mkstemp(name);
  if (descriptor < 0) {
    int problem = errno;
    free(name);
    return fail(writer, strerror(problem));
  }
  writer->temporary = name;
  fchmod(descriptor, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
  writer->file = fdopen(descriptor, "wb");
  if (writer->file) return 0;
  close(descriptor);
  return fail(writer, strerror(errno));
}

struct trace_writer *trace_writer_create(const char *path, const struct trace_source *source,
                                         char *error, size_t error_size) {
  struct trace_writer *writer = calloc(1, sizeof *writer);
  if (writer) writer->path = strdup(path);
  if (writer) writer->zstd = ZSTD_createCCtx();
  if (!writer || !writer->path || !writer->zstd) {
    snprintf(error, error_size, "%s: out of memory", path);
    trace_writer_abort(writer);
    return NULL;
  }
  if (open_temporary(writer) != 0 || put_header(writer, source) != 0) {
    snprintf(error, error_size, "%s", writer->error);
    trace_writer_abort(writer);
    return NULL;
  }
  return writer;
}

int trace_write(struct trace_writer *writer, const struct trace_event *event) {
  if (writer->is_failed) return -1;
  if (event->kind >= TRACE_KIND_COUNT || event->arch >= TRACE_ARCH_COUNT ||
      event->flags & ~TRACE_FLAGS_ALL) {
    return fail(writer, "event of a kind, architecture or flag that does not exist");
  }
  writer->used += native_encode(writer->block + writer->used, event, &writer->base);
  writer->block_events++;
  return writer->used >= NATIVE_BLOCK_FULL ? put_block(writer) : 0;
}

int trace_writer_commit(struct trace_writer *writer, char *error, size_t error_size) {
  int result = writer->is_failed ? -1 : 0;
  if (result == 0) result = put_block(writer);
  if (result == 0) result = put_end(writer);
  if (result == 0) {
    FILE *file = writer->file;
    writer->file = NULL;
    if (fclose(file) != 0 || rename(writer->temporary, writer->path) != 0) {
      result = fail(writer, strerror(errno));
    }
  }
  if (result == 0) {
    free(writer->temporary);
    writer->temporary = NULL;
  } else {
    snprintf(error, error_size, "%s", writer->error);
  }
  trace_writer_abort(writer);
  return result;
}

void trace_writer_abort(struct trace_writer *writer) {
  if (!writer) return;
  if (writer->file) fclose(writer->file);
  if (writer->temporary) unlink(writer->temporary);
  ZSTD_freeCCtx(writer->zstd);
  free(writer->temporary);
  free(writer->path);
  free(writer);
}

const char *trace_writer_error(const struct trace_writer *writer) {
  return writer->error;
}
