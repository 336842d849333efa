/* SPDX-License-Identifier: MIT
 * Lines of ftrace text taken apart: head, name, words. */
#ifndef TRACES_FTRACE_LINE_H
#define TRACES_FTRACE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text_part {
  const char *text; /* not ended by 0 */
  size_t length;
};

struct ftrace_line {
  uint32_t thread, cpu;
  uint64_t time;   /* nanoseconds; ticks if is_counter */
  bool is_counter; /* the time stamp has no decimal point */
  struct text_part name;
  struct text_part arguments;
};

/* "TASK-PID (TGID) [CPU] FLAGS TIME: NAME: ARGUMENTS", of tracefs, trace-cmd report or perf script.
 * false: the line is none. */
bool ftrace_line_split(struct ftrace_line *line, const char *text, size_t length);

/* "CPU:0 [LOST 12 EVENTS]", "CPU:0 [12 EVENTS DROPPED]". *count is 0 if the marker has none. */
bool ftrace_line_is_gap(const char *text, size_t length, uint32_t *cpu, uint64_t *count);

/* "# entries-in-buffer/entries-written: A/B": *dropped = B - A. */
bool ftrace_line_is_count(const char *text, size_t length, uint64_t *dropped);

/* The words of arguments: without ',' and ':' at their end, "name=value" split in two. */
#define FTRACE_WORDS 48
size_t ftrace_words(struct text_part arguments, struct text_part words[FTRACE_WORDS]);

bool text_is(struct text_part part, const char *word);
/* The whole part is a number; base 16 with or without 0x, base 0: 16 with 0x, else 10. */
bool text_number(struct text_part part, unsigned base, uint64_t *value);

#endif
