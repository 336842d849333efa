/* SPDX-License-Identifier: MIT
 * Escaping for XML, JSON and terminals. */
#include "src/report/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The character at `text` of `length` bytes (from utf8_length). */
static uint32_t code_of(const unsigned char *text, unsigned length) {
  uint32_t code = length == 1 ? text[0] : text[0] & (0xffu >> (length + 1));
  for (unsigned i = 1; i < length; i++) code = code << 6 | (text[i] & 0x3f);
  return code;
}

unsigned utf8_length(const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  unsigned length = at[0] < 0x80 ? 1 : at[0] >> 5 == 6 ? 2 : at[0] >> 4 == 14 ? 3 : 4;
  if (length == 4 && at[0] >> 3 != 30) return 0;
  for (unsigned i = 1; i < length; i++) {
    if (at[i] >> 6 != 2) return 0;
  }
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  uint32_t code = code_of(at, length);
  bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < least[length] || code > 0x10ffff || is_surrogate ? 0 : length;
}

static bool is_control(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/* ---- XML ----------------------------------------------------------------------------------- */

static void put_xml(FILE *out, const char *at, unsigned length) {
  uint32_t code = length ? code_of((const unsigned char *)at, length) : 0xfffd;
  if (code < 0x20)
    fprintf(out, "&#x%x;", 0x2400 + code);
  else if (is_control(code) || code == 0xfffe || code == 0xffff)
    fputs("&#xfffd;", out);
  else if (strchr("<>&\"'", (int)code) && code < 0x80)
    fprintf(out, "&#%u;", code);
  else if (length)
    fwrite(at, 1, length, out);
  else
    fputs("&#xfffd;", out);
}

void escape_xml(FILE *out, const char *text) {
  while (*text) {
    unsigned length = utf8_length(text);
    put_xml(out, text, length);
    text += length ? length : 1;
  }
}

/* ---- JSON ---------------------------------------------------------------------------------- */

void escape_json(FILE *out, const char *text) {
  while (*text) {
    unsigned length = utf8_length(text);
    if (length == 0)
      fputs("\\ufffd", out);
    else if (*text == '"' || *text == '\\')
      fprintf(out, "\\%c", *text);
    else if ((unsigned char)*text < 0x20)
      fprintf(out, "\\u%04x", (unsigned)*text);
    else
      fwrite(text, 1, length, out);
    text += length ? length : 1;
  }
}

/* ---- CSV ----------------------------------------------------------------------------------- */

void escape_csv(FILE *out, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, out);
    return;
  }
  fputc('"', out);
  for (; *text; text++) {
    if (*text == '"') fputc('"', out);
    fputc(*text, out);
  }
  fputc('"', out);
}

/* ---- Terminals ----------------------------------------------------------------------------- */

static void put_bytes(FILE *out, const char *at, unsigned count) {
  for (unsigned i = 0; i < count; i++) fprintf(out, "\\x%02x", (unsigned char)at[i]);
}

static void put_safe(FILE *out, const char *at, unsigned length) {
  if (length == 0 || is_control(code_of((const unsigned char *)at, length)))
    put_bytes(out, at, length ? length : 1);
  else
    fwrite(at, 1, length, out);
}

void escape_line(FILE *out, const char *text) {
  while (*text) {
    unsigned length = utf8_length(text);
    if (*text == '\n')
      fputs("\\n", out);
    else
      put_safe(out, text, length);
    text += length ? length : 1;
  }
}

/* What a write ended in the middle of. */
struct stream {
  FILE *out;
  unsigned held;
  char bytes[5]; /* with a NUL at the end */
};

/* Bytes that the character begun in `first` has, if what follows continues it. */
static unsigned wanted_length(char first) {
  unsigned char byte = (unsigned char)first;
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf8 ? 4 : 1;
}

/* Puts the first character of what is held. */
static void put_held(struct stream *stream) {
  unsigned length = utf8_length(stream->bytes);
  if (stream->bytes[0] == '\n')
    fputc('\n', stream->out);
  else
    put_safe(stream->out, stream->bytes, length);
  unsigned used = length ? length : 1;
  stream->held -= used;
  memmove(stream->bytes, stream->bytes + used, stream->held + 1);
}

static ssize_t stream_write(void *cookie, const char *bytes, size_t size) {
  struct stream *stream = cookie;
  for (size_t i = 0; i < size; i++) {
    stream->bytes[stream->held++] = bytes[i];
    stream->bytes[stream->held] = '\0';
    while (stream->held && stream->held >= wanted_length(stream->bytes[0])) put_held(stream);
  }
  return ferror(stream->out) ? 0 : (ssize_t)size;
}

static int stream_close(void *cookie) {
  struct stream *stream = cookie;
  while (stream->held) put_held(stream);
  free(stream);
  return 0;
}

FILE *escape_stream(FILE *out) {
  static const cookie_io_functions_t functions = {.write = stream_write, .close = stream_close};
  struct stream *stream = calloc(1, sizeof *stream);
  if (!stream) return NULL;
  stream->out = out;
  FILE *file = fopencookie(stream, "w", functions);
  if (!file) free(stream);
  return file;
}
