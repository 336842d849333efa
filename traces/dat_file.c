/* SPDX-License-Identifier: MIT
 * trace.dat files: decompression, and the table of a file of version 7 that was cut off. Version 7
 * (trace-cmd 3) is a head that points to a chain of option sections; the one that says where each
 * processor's events are comes after the events, so a truncated file has lost it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "traces/dat.h"
#include "traces/native.h"

static const uint8_t dat_magic[10] = {0x17, 0x08, 0x44, 't', 'r', 'a', 'c', 'i', 'n', 'g'};

enum {
  PAGE = 4096,
  SECTION_HEAD = 16, /* u16 id, u16 flags, u32 name, u64 size */
  SECTION_BUFFER = 3,
  OPTION_HEAD = 6, /* u16 id, u32 size */
  OPTION_DONE = 0,
  OPTION_BUFFER = 3,
  OPTION_CLOCK = 4,
  OPTION_KERNEL = 5,
  OPTION_CPU_COUNT = 8,
  OPTIONS_MAX = 1 << 16
};

/* Of a decompressed copy: recordings shrink to a tenth or so, bombs to a thousandth. */
#define COPY_LEAST ((uint64_t)1 << 30)
#define COPY_RATIO 64
#define COPY_LIMIT ((uint64_t)16 << 30)

bool dat_recognises(const uint8_t *bytes, size_t size) {
  return size >= sizeof dat_magic && memcmp(bytes, dat_magic, sizeof dat_magic) == 0;
}

/* What the first option section says. */
struct dat_layout {
  uint64_t section, next; /* offsets of the first option section, and of the one after */
  uint64_t section_size;
  uint32_t name, cpu_count;
  char clock[32];
};

static int temporary(struct trace_reader *reader, const char *path) {
  const char *folder = getenv("TMPDIR");
  char name[512];
  snprintf(name, sizeof name, "%s/nestor-XXXXXX", folder && *folder ? folder : "/tmp");
  int descriptor = mkstemp(name);
  if (descriptor < 0) {
    return reader_fail(reader, path, "no temporary file in %.200s: %s", name, strerror(errno));
  }
  unlink(name);
  return descriptor;
}

static bool write_all(int descriptor, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    ssize_t count = write(descriptor, bytes, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count;
    size -= (size_t)count;
  }
  return true;
}

static uint64_t copy_limit(const char *path) {
  struct stat status;
  uint64_t size = stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
  uint64_t limit = size < COPY_LIMIT / COPY_RATIO ? size * COPY_RATIO : COPY_LIMIT;
  return limit > COPY_LEAST ? limit : COPY_LEAST;
}

/* The data of path in a temporary file; compressed data that end early count as truncated. */
static int copy_data(struct dat_file *file, struct trace_reader *reader, const char *path) {
  uint8_t bytes[PAGE];
  struct source *source = source_open(path, reader->error, sizeof reader->error);
  if (!source) return -1;
  file->descriptor = temporary(reader, path);
  int64_t count = file->descriptor < 0 ? -1 : 1;
  bool is_written = true;
  uint64_t limit = copy_limit(path);
  while (count > 0 && is_written) {
    count = source_read(source, bytes, sizeof bytes);
    if (count > 0) is_written = write_all(file->descriptor, bytes, (size_t)count);
    if (source_offset(source) > limit) break;
  }
  file->size = source_offset(source);
  source_close(source);
  if (file->descriptor < 0) return -1;
  if (!is_written) return reader_fail(reader, path, "temporary copy: %s", strerror(errno));
  if (file->size > limit) {
    return reader_fail(reader, path, "more than %" PRIu64 " bytes when decompressed", limit);
  }
  if (count < 0) file->is_truncated = true;
  return 0;
}

static bool read_at(const struct dat_file *file, uint64_t offset, void *bytes, size_t size) {
  return offset <= INT64_MAX &&
         pread(file->descriptor, bytes, size, (off_t)offset) == (ssize_t)size;
}

/* The bytes of a string that end in 0 within limit; 0 if there are none. */
static size_t string_size(const uint8_t *at, const uint8_t *end) {
  const uint8_t *zero = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
  return zero ? (size_t)(zero - at) + 1 : 0;
}

/* Magic, version, byte order, size of long, page size, compression and its version, first options.
 * 0 if the file is not of version 7, little-endian and uncompressed. */
static uint64_t first_section(const struct dat_file *file) {
  uint8_t head[128] = {0};
  if (pread(file->descriptor, head, sizeof head, 0) < 40) return 0;
  const uint8_t *at = head + sizeof dat_magic, *end = head + sizeof head;
  if (strcmp((const char *)at, "7") != 0) return 0;
  at += 2;
  if (at[0] != 0) return 0;
  at += 6;
  size_t size = string_size(at, end);
  if (size != 5 || memcmp(at, "none", 4) != 0) return 0;
  at += size;
  size = string_size(at, end);
  if (size == 0 || at + size + 8 > end) return 0;
  return native_get(at + size, 8);
}

static void take_option(struct dat_file *file, struct dat_layout *layout, unsigned id,
                        const uint8_t *body, size_t size) {
  if (id == OPTION_DONE && size >= 8) layout->next = native_get(body, 8);
  if (id == OPTION_CPU_COUNT && size >= 4) layout->cpu_count = (uint32_t)native_get(body, 4);
  if (id == OPTION_KERNEL && size > 0) {
    /* "Linux HOST RELEASE MACHINE": the host's name is nobody's business. */
    char text[128] = "";
    memcpy(text, body, size < sizeof text ? size : sizeof text - 1);
    sscanf(text, "%*s %*s %127s", file->kernel);
  }
  if (id == OPTION_CLOCK) {
    const uint8_t *open = memchr(body, '[', size);
    const uint8_t *close = open ? memchr(open, ']', size - (size_t)(open - body)) : NULL;
    size_t length = close ? (size_t)(close - open) - 1 : 0;
    if (close && length < sizeof layout->clock) memcpy(layout->clock, open + 1, length);
  }
}

static bool read_layout(struct dat_file *file, struct dat_layout *layout) {
  uint8_t head[SECTION_HEAD];
  memset(layout, 0, sizeof *layout);
  layout->section = first_section(file);
  if (layout->section == 0 || !read_at(file, layout->section, head, sizeof head)) return false;
  layout->name = (uint32_t)native_get(head + 4, 4);
  layout->section_size = native_get(head + 8, 8);
  if (native_get(head, 2) != 0 || layout->section_size > OPTIONS_MAX) return false;
  uint8_t *options = malloc(OPTIONS_MAX);
  size_t size = (size_t)layout->section_size;
  bool is_read = options && read_at(file, layout->section + SECTION_HEAD, options, size);
  for (size_t at = 0; is_read && at + OPTION_HEAD <= size;) {
    unsigned id = (unsigned)native_get(options + at, 2);
    uint64_t length = native_get(options + at + 2, 4);
    at += OPTION_HEAD;
    if (length > size - at) break;
    take_option(file, layout, id, options + at, (size_t)length);
    at += (size_t)length;
  }
  free(options);
  return is_read;
}

/* A table of one processor for the whole pages that are there, where the lost one would be. */
static bool write_table(struct dat_file *file, const struct dat_layout *layout, uint64_t buffer,
                        uint64_t data) {
  uint8_t table[SECTION_HEAD + 128] = {0};
  uint8_t *at = table + SECTION_HEAD, *body = at + OPTION_HEAD;
  size_t clock = strlen(layout->clock) + 1, size = 8 + 1 + clock + 4 + 4 + 4 + 8 + 8;
  native_put(at, OPTION_BUFFER, 2);
  native_put(at + 2, size, 4);
  native_put(body, buffer, 8);
  memcpy(body + 9, layout->clock, clock);
  body += 9 + clock;
  native_put(body, PAGE, 4);
  native_put(body + 4, 1, 4);
  native_put(body + 12, data, 8);
  uint64_t end = file->size < layout->next ? file->size : layout->next;
  native_put(body + 20, (end - data) / PAGE * PAGE, 8);
  at += OPTION_HEAD + size;
  native_put(at, OPTION_DONE, 2);
  native_put(at + 2, 8, 4);
  size += OPTION_HEAD + OPTION_HEAD + 8;
  native_put(table + 4, layout->name, 4);
  native_put(table + 8, size, 8);
  return pwrite(file->descriptor, table, SECTION_HEAD + size, (off_t)layout->next) ==
         (ssize_t)(SECTION_HEAD + size);
}

/* Only with one processor is it known whose events are whose. */
static bool repair(struct dat_file *file, const struct dat_layout *layout) {
  uint8_t head[SECTION_HEAD];
  uint64_t buffer = layout->section + SECTION_HEAD + layout->section_size;
  uint64_t data = (buffer + SECTION_HEAD + PAGE - 1) / PAGE * PAGE;
  if (layout->cpu_count != 1 || layout->next > COPY_LIMIT) return false;
  if (data + PAGE > file->size || data + PAGE > layout->next) return false;
  if (!read_at(file, buffer, head, sizeof head) || native_get(head, 2) != SECTION_BUFFER) {
    return false;
  }
  return write_table(file, layout, buffer, data);
}

/* Whether the section at this offset is there to its end. */
static bool has_section(const struct dat_file *file, uint64_t offset) {
  uint8_t head[SECTION_HEAD];
  if (!read_at(file, offset, head, sizeof head)) return false;
  uint64_t size = native_get(head + 8, 8);
  return size <= file->size && offset + SECTION_HEAD <= file->size - size;
}

static int make_private(struct dat_file *file, struct trace_reader *reader, const char *path) {
  close(file->descriptor);
  file->descriptor = -1;
  return copy_data(file, reader, path);
}

static bool is_compressed(int descriptor) {
  uint8_t magic[4] = {0};
  return pread(descriptor, magic, sizeof magic, 0) == sizeof magic &&
         native_get(magic, 4) == 0xfd2fb528;
}

int dat_file_open(struct dat_file *file, struct trace_reader *reader, const char *path) {
  struct dat_layout layout;
  struct stat status;
  memset(file, 0, sizeof *file);
  file->descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (file->descriptor < 0 || fstat(file->descriptor, &status) != 0) {
    return reader_fail(reader, path, "%s", strerror(errno));
  }
  file->size = (uint64_t)status.st_size;
  bool is_private = is_compressed(file->descriptor);
  if (is_private && make_private(file, reader, path) != 0) return -1;
  bool has_layout = read_layout(file, &layout);
  uint64_t last = has_layout ? layout.next : layout.section;
  if (last != 0 && !has_section(file, last)) file->is_truncated = true;
  if (!has_layout || !file->is_truncated) return 0;
  if (!is_private && make_private(file, reader, path) != 0) return -1;
  file->is_truncated = true;
  file->is_repaired = repair(file, &layout);
  return 0;
}
