/* SPDX-License-Identifier: MIT
 * Reader of Nestor's own trace format. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "traces/native.h"
#include "traces/reader.h"

enum { PACKED_MAX = ZSTD_COMPRESSBOUND(NATIVE_BLOCK_MAX) };

struct native_reader {
  ZSTD_DCtx *zstd;
  uint64_t events; /* given out */
  uint32_t left;   /* records left in the block */
  size_t used, size;
  struct native_base base;
  uint8_t block[NATIVE_BLOCK_MAX];
  uint8_t packed[PACKED_MAX];
};

bool native_recognises(const uint8_t *bytes, size_t size) {
  return size >= NATIVE_MAGIC_SIZE && memcmp(bytes, native_magic, NATIVE_MAGIC_SIZE) == 0;
}

static const char *path_of(const struct trace_reader *reader) {
  return source_path(reader->source);
}

/* 0 if all bytes came. */
static int take(struct trace_reader *reader, void *bytes, size_t size) {
  uint64_t done = reader->native ? reader->native->events : 0;
  int64_t count = source_read(reader->source, bytes, size);
  if (count == (int64_t)size) return 0;
  if (count < 0) {
    return reader_fail(reader, path_of(reader),
                       "%s; nothing imported. --salvage keeps the first %" PRIu64,
                       source_error(reader->source) + strlen(path_of(reader)) + 2, done);
  }
  return reader_fail(reader, path_of(reader),
                     "truncated at byte %" PRIu64 " (event %" PRIu64
                     "); nothing imported. --salvage keeps the first %" PRIu64,
                     source_offset(reader->source), done + 1, done);
}

static int damaged(struct trace_reader *reader, const char *what) {
  uint64_t done = reader->native ? reader->native->events : 0;
  return reader_fail(reader, path_of(reader),
                     "%s before byte %" PRIu64 " (event %" PRIu64
                     "); nothing imported. --salvage keeps the first %" PRIu64,
                     what, source_offset(reader->source), done + 1, done);
}

static bool take_string(const uint8_t **at, const uint8_t *end, char *to, size_t limit) {
  const uint8_t *zero = memchr(*at, '\0', (size_t)(end - *at));
  if (!zero || (size_t)(zero - *at) >= limit) return false;
  memcpy(to, *at, (size_t)(zero - *at) + 1);
  *at = zero + 1;
  return true;
}

static int read_header(struct trace_reader *reader) {
  uint8_t header[NATIVE_HEADER_SIZE + NATIVE_STRINGS_MAX + 8];
  struct trace_source *about = &reader->about;
  if (take(reader, header, NATIVE_HEADER_SIZE) != 0) return -1;
  uint64_t version = native_get(header + 8, 2), flags = native_get(header + 10, 2);
  uint64_t size = native_get(header + 12, 4);
  if (version != NATIVE_VERSION) {
    return reader_fail(reader, path_of(reader), "version %" PRIu64 " of the format; expected %d",
                       version, NATIVE_VERSION);
  }
  if (size > NATIVE_STRINGS_MAX) return damaged(reader, "damaged header");
  if (take(reader, header + NATIVE_HEADER_SIZE, (size_t)size + 8) != 0) return -1;
  const uint8_t *at = header + NATIVE_HEADER_SIZE, *end = at + size;
  uint64_t checksum = native_checksum(NATIVE_CHECKSUM_SEED, header, (size_t)(end - header));
  if (checksum != native_get(end, 8)) return damaged(reader, "damaged header");
  bool is_whole = take_string(&at, end, about->name, sizeof about->name) &&
                  take_string(&at, end, about->kernel, sizeof about->kernel) &&
                  take_string(&at, end, about->provenance, sizeof about->provenance) && at == end;
  about->is_counter = flags & 1;
  return is_whole && flags < 2 ? 0 : damaged(reader, "damaged header");
}

int native_reader_open(struct trace_reader *reader) {
  struct native_reader *native = calloc(1, sizeof *native);
  if (native) native->zstd = ZSTD_createDCtx();
  if (!native || !native->zstd) {
    free(native);
    return reader_fail(reader, path_of(reader), "out of memory");
  }
  reader->native = native;
  return read_header(reader);
}

void native_reader_close(struct trace_reader *reader) {
  if (!reader->native) return;
  ZSTD_freeDCtx(reader->native->zstd);
  free(reader->native);
  reader->native = NULL;
}

static int read_end(struct trace_reader *reader, uint8_t head[NATIVE_BLOCK_HEAD]) {
  const uint8_t *bytes;
  if (take(reader, head + 4, NATIVE_END_SIZE - 4) != 0) return -1;
  if (native_checksum(NATIVE_CHECKSUM_SEED, head, 12) != native_get(head + 12, 8)) {
    return damaged(reader, "damaged end record");
  }
  if (native_get(head + 4, 8) != reader->native->events) {
    return damaged(reader, "blocks are missing");
  }
  if (source_peek(reader->source, &bytes, 1) != 0) {
    return damaged(reader, "bytes follow the end record");
  }
  return 0;
}

static int read_block(struct trace_reader *reader, uint8_t head[NATIVE_BLOCK_HEAD]) {
  struct native_reader *native = reader->native;
  if (take(reader, head + 4, NATIVE_BLOCK_HEAD - 4) != 0) return -1;
  uint64_t records = native_get(head + 4, 4), size = native_get(head + 8, 4);
  uint64_t packed = native_get(head + 12, 4);
  if (size > NATIVE_BLOCK_MAX || packed > PACKED_MAX || records == 0 || records > size) {
    return damaged(reader, "damaged block head");
  }
  if (take(reader, native->packed, (size_t)packed) != 0) return -1;
  uint64_t checksum = native_checksum(NATIVE_CHECKSUM_SEED, head, 16);
  if (native_checksum(checksum, native->packed, (size_t)packed) != native_get(head + 16, 8)) {
    return damaged(reader, "block with a wrong checksum");
  }
  size_t got = ZSTD_decompressDCtx(native->zstd, native->block, sizeof native->block,
                                   native->packed, (size_t)packed);
  if (ZSTD_isError(got) || got != size) return damaged(reader, "damaged block");
  native->left = (uint32_t)records;
  native->size = got;
  native->used = 0;
  native->base = (struct native_base){0, 0};
  return 1;
}

static int next_block(struct trace_reader *reader) {
  uint8_t head[NATIVE_BLOCK_HEAD];
  if (take(reader, head, 4) != 0) return -1;
  uint64_t tag = native_get(head, 4);
  if (tag == NATIVE_END) return read_end(reader, head);
  return tag == NATIVE_BLOCK ? read_block(reader, head) : damaged(reader, "neither block nor end");
}

int native_reader_next(struct trace_reader *reader, struct trace_event *event) {
  struct native_reader *native = reader->native;
  if (native->left == 0) {
    int result = next_block(reader);
    if (result != 1) return result;
  }
  size_t size = native_decode(native->block + native->used, native->size - native->used, event,
                              &native->base);
  native->used += size;
  native->left--;
  bool is_last = native->left == 0;
  if (size == 0 || (is_last && native->used != native->size)) {
    return damaged(reader, "a record that is none");
  }
  native->events++;
  reader->loss.lines++;
  reader->loss.records++;
  return 1;
}
