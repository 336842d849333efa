/* SPDX-License-Identifier: MIT
 * Lines of ftrace text taken apart. */
#include "traces/ftrace_line.h"

#include <string.h>

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
static bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}
static bool is_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool text_is(struct text_part part, const char *word) {
  size_t length = strlen(word);
  return part.length == length && memcmp(part.text, word, length) == 0;
}

static unsigned digit_of(char c) {
  if (is_digit(c)) return (unsigned)(c - '0');
  if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return (unsigned)(c - 'A') + 10;
  return 16;
}

bool text_number(struct text_part part, unsigned base, uint64_t *value) {
  const char *at = part.text, *end = part.text + part.length;
  bool has_prefix = part.length > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
  if (has_prefix && base == 10) return false;
  if (has_prefix) at += 2;
  if (base == 0) base = has_prefix ? 16 : 10;
  if (at == end) return false;
  uint64_t number = 0;
  for (; at < end; at++) {
    unsigned digit = digit_of(*at);
    if (digit >= base || number > (UINT64_MAX - digit) / base) return false;
    number = number * base + digit;
  }
  *value = number;
  return true;
}

/* "[012]" with a blank before it; NULL if there is none. */
static const char *find_cpu(const char *text, const char *end, uint64_t *cpu, const char **after) {
  const char *at = text;
  while (at < end && (at = memchr(at, '[', (size_t)(end - at))) != NULL) {
    const char *digit = at + 1;
    while (digit < end && is_digit(*digit)) digit++;
    struct text_part number = {at + 1, (size_t)(digit - at - 1)};
    bool is_bracket = at > text && is_space(at[-1]) && digit < end && *digit == ']';
    if (is_bracket && number.length < 6 && text_number(number, 10, cpu)) {
      *after = digit + 1;
      return at;
    }
    at++;
  }
  return NULL;
}

/* The process number before "[CPU]" and a thread group in brackets. */
static bool find_thread(const char *text, const char *end, uint64_t *thread) {
  while (end > text && is_space(end[-1])) end--;
  if (end > text && end[-1] == ')') {
    while (end > text && end[-1] != '(') end--;
    if (end > text) end--;
    while (end > text && is_space(end[-1])) end--;
  }
  const char *start = end;
  while (start > text && is_digit(start[-1])) start--;
  if (start > text && start[-1] != '-' && !is_space(start[-1])) return false;
  struct text_part number = {start, (size_t)(end - start)};
  return number.length < 10 && text_number(number, 10, thread);
}

static bool parse_time(struct text_part part, struct ftrace_line *line) {
  const char *point = memchr(part.text, '.', part.length);
  struct text_part whole = {part.text, point ? (size_t)(point - part.text) : part.length};
  uint64_t seconds, fraction = 0;
  if (!text_number(whole, 10, &seconds)) return false;
  line->is_counter = point == NULL;
  line->time = seconds;
  if (!point) return true;
  struct text_part rest = {point + 1, part.length - whole.length - 1};
  if (rest.length > 9 || !text_number(rest, 10, &fraction)) return false;
  for (size_t i = rest.length; i < 9; i++) fraction *= 10;
  if (seconds > UINT64_MAX / 1000000000 - 1) return false;
  line->time = seconds * 1000000000 + fraction;
  return true;
}

static struct text_part next_word(const char **at, const char *end) {
  while (*at < end && is_space(**at)) ++*at;
  const char *start = *at;
  while (*at < end && !is_space(**at)) ++*at;
  return (struct text_part){start, (size_t)(*at - start)};
}

/* Latency flags, then the time stamp with a colon. */
static bool find_time(const char **at, const char *end, struct ftrace_line *line) {
  for (unsigned i = 0; i < 3; i++) {
    struct text_part word = next_word(at, end);
    if (word.length < 2) continue;
    if (word.text[word.length - 1] == ':' && is_digit(word.text[0])) {
      word.length--;
      return parse_time(word, line);
    }
  }
  return false;
}

/* "kvm_exit:", or "kvm:kvm_exit:" of perf script. */
static bool find_name(const char **at, const char *end, struct ftrace_line *line) {
  while (*at < end && is_space(**at)) ++*at;
  for (unsigned i = 0; i < 2; i++) {
    const char *start = *at;
    while (*at < end && is_name(**at)) ++*at;
    if (*at == end || **at != ':' || *at == start) return false;
    line->name = (struct text_part){start, (size_t)(*at - start)};
    ++*at;
    if (*at == end || !is_name(**at)) return true;
  }
  return true;
}

bool ftrace_line_split(struct ftrace_line *line, const char *text, size_t length) {
  const char *end = text + length, *at = NULL;
  uint64_t cpu, thread;
  const char *bracket = find_cpu(text, end, &cpu, &at);
  if (!bracket || !find_thread(text, bracket, &thread)) return false;
  line->cpu = (uint32_t)cpu;
  line->thread = (uint32_t)thread;
  if (!find_time(&at, end, line) || !find_name(&at, end, line)) return false;
  while (at < end && is_space(*at)) at++;
  while (end > at && is_space(end[-1])) end--;
  line->arguments = (struct text_part){at, (size_t)(end - at)};
  return true;
}

bool ftrace_line_is_gap(const char *text, size_t length, uint32_t *cpu, uint64_t *count) {
  static const char mark[] = "CPU:";
  const char *at = text, *end = text + length;
  uint64_t number;
  struct text_part word = next_word(&at, end);
  if (word.length <= sizeof mark - 1 || memcmp(word.text, mark, sizeof mark - 1) != 0) return false;
  struct text_part digits = {word.text + sizeof mark - 1, word.length - (sizeof mark - 1)};
  if (!text_number(digits, 10, &number) || number > UINT32_MAX) return false;
  *cpu = (uint32_t)number;
  *count = 0;
  bool is_gap = false;
  while ((word = next_word(&at, end)).length != 0) {
    while (word.length > 0 && *word.text == '[') word.text++, word.length--;
    while (word.length > 0 && word.text[word.length - 1] == ']') word.length--;
    if (text_is(word, "LOST") || text_is(word, "DROPPED")) is_gap = true;
    text_number(word, 10, count);
  }
  return is_gap;
}

bool ftrace_line_is_count(const char *text, size_t length, uint64_t *dropped) {
  const char *at = text, *end = text + length;
  uint64_t kept, written;
  if (length == 0 || text[0] != '#') return false;
  next_word(&at, end);
  if (!text_is(next_word(&at, end), "entries-in-buffer/entries-written:")) return false;
  struct text_part word = next_word(&at, end);
  const char *slash = memchr(word.text, '/', word.length);
  if (!slash) return false;
  struct text_part left = {word.text, (size_t)(slash - word.text)};
  struct text_part right = {slash + 1, word.length - left.length - 1};
  if (!text_number(left, 10, &kept) || !text_number(right, 10, &written)) return false;
  *dropped = written > kept ? written - kept : 0;
  return true;
}

size_t ftrace_words(struct text_part arguments, struct text_part words[FTRACE_WORDS]) {
  const char *at = arguments.text, *end = arguments.text + arguments.length;
  size_t count = 0;
  while (count < FTRACE_WORDS) {
    struct text_part word = next_word(&at, end);
    if (word.length == 0) break;
    char last = word.text[word.length - 1];
    if (last == ',' || last == ':') word.length--;
    const char *equals = word.length > 1 ? memchr(word.text, '=', word.length) : NULL;
    if (equals && count + 1 < FTRACE_WORDS) {
      size_t left = (size_t)(equals - word.text);
      words[count++] = (struct text_part){word.text, left};
      word.text += left + 1;
      word.length -= left + 1;
    }
    words[count++] = word;
  }
  return count;
}
