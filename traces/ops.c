/* SPDX-License-Identifier: MIT
 * Reader of operation logs, line by line. Whether a guest's instruction exited shows in the line
 * after it, so one event is read ahead. */
#include "traces/ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/ftrace_line.h"
#include "traces/source.h"

enum { OPS_NUMBERS = 6 };

static const struct {
  const char *name, *reason;
  char letter;
  bool has_field, has_type;
} rows[] = {
#define FIELD true, false
#define TYPE false, true
#define NONE false, false
#define OPS(name, letter, reason, argument) {#name, reason, letter, argument},
#include "traces/ops.def"
#undef FIELD
#undef TYPE
#undef NONE
};
_Static_assert(sizeof rows / sizeof rows[0] == OPS_INSTRUCTIONS, "one row per instruction");

struct ops_reader {
  struct source *source;
  uint64_t lines;
  int reason[OPS_INSTRUCTIONS];
  bool is_begun, is_on; /* a log is switched on at its first line and off at its last */
  bool has_ahead;
  int ahead_result;
  struct ops_event ahead;
  char error[640];
};

const char *ops_kind_name(unsigned kind) {
  static const char *const others[] = {"exit", "entry", "switch"};
  if (kind < OPS_INSTRUCTIONS) return rows[kind].name;
  return kind < OPS_KIND_COUNT ? others[kind - OPS_INSTRUCTIONS] : NULL;
}

bool ops_has_field(unsigned kind) {
  return kind < OPS_INSTRUCTIONS && rows[kind].has_field;
}

bool ops_recognises(const uint8_t *bytes, size_t size) {
  return size >= 4 && memcmp(bytes, "M 1 ", 4) == 0;
}

struct ops_reader *ops_open(const char *path, int (*vmx_reason)(const char *name), char *error,
                            size_t error_size) {
  struct ops_reader *reader = calloc(1, sizeof *reader);
  if (!reader) {
    snprintf(error, error_size, "%s: out of memory", path);
    return NULL;
  }
  for (unsigned i = 0; i < OPS_INSTRUCTIONS; i++) reader->reason[i] = vmx_reason(rows[i].reason);
  reader->source = source_open(path, error, error_size);
  if (!reader->source) {
    free(reader);
    return NULL;
  }
  return reader;
}

void ops_close(struct ops_reader *reader) {
  if (!reader) return;
  source_close(reader->source);
  free(reader);
}

const char *ops_error(const struct ops_reader *reader) {
  return reader->error;
}

uint64_t ops_lines(const struct ops_reader *reader) {
  return reader->lines;
}

/* ---- one line */

static int malformed(struct ops_reader *reader, const char *expected, const char *text,
                     size_t length) {
  char got[64];
  if (length > sizeof got - 1) length = sizeof got - 1;
  for (size_t i = 0; i < length; i++) got[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
  got[length] = '\0';
  snprintf(reader->error, sizeof reader->error, "%s:%" PRIu64 ": expected %s, got '%s'",
           source_path(reader->source), reader->lines, expected, got);
  return -1;
}

/* The numbers behind the letter; the last one is decimal in lines that count instructions. */
static bool read_numbers(const struct text_part *words, size_t count, bool counts,
                         uint64_t numbers[OPS_NUMBERS]) {
  for (size_t i = 0; i < count; i++) {
    unsigned base = counts && i + 1 == count ? 10 : 16;
    if (!text_number(words[i], base, &numbers[i])) return false;
  }
  return true;
}

static unsigned instruction_of(char letter) {
  unsigned kind = 0;
  while (kind < OPS_INSTRUCTIONS && rows[kind].letter != letter) kind++;
  return kind;
}

static bool parse_exit(const struct text_part *words, size_t count, struct ops_event *event) {
  uint64_t n[OPS_NUMBERS];
  if (count != 7 || !read_numbers(words + 1, 6, true, n) || n[0] > UINT32_MAX) return false;
  event->kind = OPS_EXIT;
  event->reason = (uint32_t)n[0];
  event->qualification = n[1];
  event->rip = n[2];
  event->vmcs = n[3];
  event->rcx = n[4];
  return true;
}

static bool parse_entry(const struct text_part *words, size_t count, struct ops_event *event) {
  uint64_t n[OPS_NUMBERS];
  if (count != 6 || !read_numbers(words + 1, 5, true, n)) return false;
  event->kind = OPS_ENTRY;
  event->rip = n[1];
  event->vmcs = n[2];
  return true;
}

static bool parse_switch(const struct text_part *words, size_t count, struct ops_event *event) {
  uint64_t n[OPS_NUMBERS];
  if (count != 4 || !read_numbers(words + 1, 3, true, n) || n[0] > 1) return false;
  event->kind = OPS_SWITCH;
  event->on = n[0] == 1;
  return true;
}

static bool parse_instruction(const struct text_part *words, size_t count,
                              struct ops_event *event) {
  uint64_t n[OPS_NUMBERS] = {0};
  event->guest = words[0].length == 2 && words[0].text[0] == 'g';
  if (words[0].length != (event->guest ? 2u : 1u)) return false;
  unsigned kind = instruction_of(words[0].text[event->guest]);
  size_t numbers = event->guest ? 3 : 2;
  if (kind == OPS_INSTRUCTIONS || count != numbers + 1) return false;
  if (!read_numbers(words + 1, numbers, false, n)) return false;
  event->kind = (enum ops_kind)kind;
  if (rows[kind].has_field || rows[kind].has_type) event->field = n[0];
  if (kind == OPS_VMWRITE) event->value = n[1];
  event->rip = n[2];
  return true;
}

static bool parse(const struct text_part *words, size_t count, struct ops_event *event) {
  *event = (struct ops_event){0};
  if (count == 0) return false;
  if (text_is(words[0], "X")) return parse_exit(words, count, event);
  if (text_is(words[0], "N")) return parse_entry(words, count, event);
  if (text_is(words[0], "M")) return parse_switch(words, count, event);
  return parse_instruction(words, count, event);
}

/* ---- the file */

static int end_of_log(struct ops_reader *reader) {
  if (reader->is_begun && !reader->is_on) return 0;
  snprintf(reader->error, sizeof reader->error,
           "%s: truncated after line %" PRIu64 "; expected 'M 0 RCX COUNT' at its end",
           source_path(reader->source), reader->lines);
  return -1;
}

static int read_event(struct ops_reader *reader, struct ops_event *event) {
  struct text_part words[FTRACE_WORDS];
  const char *text;
  size_t length;
  bool has_newline;
  int result = source_line(reader->source, &text, &length, &has_newline);
  if (result < 0) {
    snprintf(reader->error, sizeof reader->error, "%s", source_error(reader->source));
    return -1;
  }
  if (result == 0) return end_of_log(reader);
  reader->lines++;
  size_t count = ftrace_words((struct text_part){text, length}, words);
  const char *expected = reader->is_on ? "a line of an operation log such as 'R FIELD 0' or "
                                         "'X REASON QUALIFICATION RIP VMCS RCX COUNT'"
                                       : "'M 1 RCX COUNT', with which an operation log begins";
  bool is_good = has_newline && parse(words, count, event);
  bool is_switch = is_good && event->kind == OPS_SWITCH;
  if (is_good && reader->is_on) is_good = !is_switch || !event->on;
  if (is_good && !reader->is_on) is_good = is_switch && event->on;
  if (!is_good) return malformed(reader, expected, text, length);
  if (is_switch) reader->is_on = event->on;
  reader->is_begun = true;
  return 1;
}

int ops_next(struct ops_reader *reader, struct ops_event *event) {
  if (!reader->has_ahead) reader->ahead_result = read_event(reader, &reader->ahead);
  reader->has_ahead = false;
  int result = reader->ahead_result;
  *event = reader->ahead;
  if (result != 1) {
    reader->has_ahead = true; /* an end stays the end, an error stays an error */
    return result;
  }
  if (event->kind >= OPS_INSTRUCTIONS || !event->guest) return 1;
  reader->ahead_result = read_event(reader, &reader->ahead);
  reader->has_ahead = true;
  event->exits = reader->ahead_result == 1 && reader->ahead.kind == OPS_EXIT &&
                 reader->reason[event->kind] == (int64_t)reader->ahead.reason;
  return 1;
}
