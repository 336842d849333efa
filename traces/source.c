/* SPDX-License-Identifier: MIT
 * Bytes of a file, decompressed if they are zstd. */
#include "traces/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { BUFFER_SIZE = 1 << 17, INPUT_SIZE = 1 << 16 };
_Static_assert(BUFFER_SIZE >= 2 * SOURCE_LINE_MAX && BUFFER_SIZE >= SOURCE_PEEK_MAX,
               "a line and a peek fit");

struct source {
  FILE *file;
  ZSTD_DStream *zstd; /* NULL: not compressed */
  ZSTD_inBuffer in;
  size_t frame_hint; /* 0: between two frames of compressed data */
  uint64_t taken;    /* bytes of the data before buffer[begin] */
  size_t begin, end;
  bool is_ended, is_failed;
  char *path;
  char error[512];
  uint8_t buffer[BUFFER_SIZE];
  uint8_t input[INPUT_SIZE];
};

static int fail(struct source *source, const char *what) {
  source->is_failed = true;
  snprintf(source->error, sizeof source->error, "%s: %s", source->path, what);
  return -1;
}

static bool is_zstd(const uint8_t *bytes, size_t size) {
  static const uint8_t magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
  return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

static int fill_input(struct source *source) {
  source->in.size = fread(source->input, 1, INPUT_SIZE, source->file);
  source->in.src = source->input;
  source->in.pos = 0;
  return ferror(source->file) ? fail(source, strerror(errno)) : 0;
}

static int fill_plain(struct source *source) {
  size_t count = source->in.size - source->in.pos, room = BUFFER_SIZE - source->end;
  if (count == 0) {
    count = fread(source->buffer + source->end, 1, room, source->file);
    if (ferror(source->file)) return fail(source, strerror(errno));
    if (count == 0) source->is_ended = true;
  } else {
    if (count > room) count = room;
    memcpy(source->buffer + source->end, source->input + source->in.pos, count);
    source->in.pos += count;
  }
  source->end += count;
  return 0;
}

static int fill_zstd(struct source *source) {
  ZSTD_outBuffer out = {source->buffer, BUFFER_SIZE, source->end};
  if (source->in.pos == source->in.size) {
    if (fill_input(source) != 0) return -1;
    if (source->in.size == 0) {
      source->is_ended = true;
      if (source->frame_hint == 0) return 0;
      char what[96];
      snprintf(what, sizeof what,
               "truncated: the compressed data end at byte %" PRIu64 " of the data",
               source->taken + (source->end - source->begin));
      return fail(source, what);
    }
  }
  size_t hint = ZSTD_decompressStream(source->zstd, &out, &source->in);
  source->end = out.pos;
  if (ZSTD_isError(hint)) {
    char what[160];
    snprintf(what, sizeof what, "damaged compressed data after byte %" PRIu64 " of the data (%s)",
             source->taken + (source->end - source->begin), ZSTD_getErrorName(hint));
    return fail(source, what);
  }
  source->frame_hint = hint;
  return 0;
}

/* Makes at least `need` bytes available, or all that are left. */
static int fill(struct source *source, size_t need) {
  if (source->end - source->begin >= need || source->is_ended) return source->is_failed ? -1 : 0;
  memmove(source->buffer, source->buffer + source->begin, source->end - source->begin);
  source->end -= source->begin;
  source->begin = 0;
  while (source->end < need && !source->is_ended && !source->is_failed) {
    if (source->zstd ? fill_zstd(source) : fill_plain(source)) return -1;
  }
  return source->is_failed ? -1 : 0;
}

struct source *source_open(const char *path, char *error, size_t error_size) {
  struct source *source = calloc(1, sizeof *source);
  char *copy = source ? strdup(path) : NULL;
  if (!copy) {
    snprintf(error, error_size, "%s: out of memory", path);
    free(source);
    return NULL;
  }
  source->path = copy;
  source->file = fopen(path, "rbe");
  if (!source->file || fill_input(source) != 0) {
    snprintf(error, error_size, "%s: %s", path, strerror(errno));
    source_close(source);
    return NULL;
  }
  if (is_zstd(source->input, source->in.size)) {
    source->frame_hint = 1;
    source->zstd = ZSTD_createDStream();
    if (!source->zstd) {
      snprintf(error, error_size, "%s: out of memory", path);
      source_close(source);
      return NULL;
    }
  }
  return source;
}

void source_close(struct source *source) {
  if (!source) return;
  if (source->file) fclose(source->file);
  ZSTD_freeDStream(source->zstd);
  free(source->path);
  free(source);
}

const char *source_path(const struct source *source) {
  return source->path;
}

uint64_t source_offset(const struct source *source) {
  return source->taken;
}

const char *source_error(const struct source *source) {
  return source->error;
}

static void take(struct source *source, size_t count) {
  source->begin += count;
  source->taken += count;
}

int64_t source_read(struct source *source, void *bytes, size_t size) {
  uint8_t *to = bytes;
  size_t done = 0;
  while (done < size) {
    int failed = fill(source, 1);
    size_t count = source->end - source->begin;
    if (count == 0) return failed ? -1 : (int64_t)done;
    if (count > size - done) count = size - done;
    memcpy(to + done, source->buffer + source->begin, count);
    take(source, count);
    done += count;
  }
  return (int64_t)done;
}

int64_t source_peek(struct source *source, const uint8_t **bytes, size_t size) {
  int failed = fill(source, size);
  size_t count = source->end - source->begin;
  *bytes = source->buffer + source->begin;
  if (failed && count == 0) return -1;
  return (int64_t)(count < size ? count : size);
}

int source_line(struct source *source, const char **line, size_t *length, bool *has_newline) {
  const uint8_t *start = source->buffer + source->begin;
  size_t available = source->end - source->begin;
  const uint8_t *newline = memchr(start, '\n', available);
  if (!newline && available < SOURCE_LINE_MAX) {
    int failed = fill(source, SOURCE_LINE_MAX);
    start = source->buffer + source->begin;
    available = source->end - source->begin;
    if (available == 0) return failed ? -1 : 0;
    newline = memchr(start, '\n', available);
    /* What comes before damaged compressed data is still whole lines; then the failure is told. */
    if (!newline && failed) return -1;
  }
  *line = (const char *)start;
  *has_newline = newline != NULL;
  *length = newline ? (size_t)(newline - start) : available;
  if (*length > SOURCE_LINE_MAX || (!newline && available == SOURCE_LINE_MAX)) {
    *length = SOURCE_LINE_MAX;
    *has_newline = true;
    take(source, *length);
    return 1;
  }
  take(source, *length + (newline ? 1 : 0));
  return 1;
}
