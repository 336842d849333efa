/* SPDX-License-Identifier: MIT
 * Bytes of a file, decompressed if they are zstd, with constant memory. */
#ifndef TRACES_SOURCE_H
#define TRACES_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source;

/* NULL on failure, with one sentence in error. */
struct source *source_open(const char *path, char *error, size_t error_size);
void source_close(struct source *source);

const char *source_path(const struct source *source);
/* Offset of the next byte to be read, in the decompressed data. */
uint64_t source_offset(const struct source *source);

/* Up to size bytes; fewer only at the end. < 0 on failure, with a sentence in source_error. */
int64_t source_read(struct source *source, void *bytes, size_t size);
/* The next bytes without taking them; fewer than size only at the end. size <= SOURCE_PEEK_MAX. */
#define SOURCE_PEEK_MAX 4096
int64_t source_peek(struct source *source, const uint8_t **bytes, size_t size);

/* The next line without its newline; *has_newline is false at an unended last one. Longer lines
 * than SOURCE_LINE_MAX come in pieces. 1 = a line, 0 = end, < 0 = failure. The bytes stay until
 * the next call. */
#define SOURCE_LINE_MAX 16384
int source_line(struct source *source, const char **line, size_t *length, bool *has_newline);

const char *source_error(const struct source *source);

#endif
