/* SPDX-License-Identifier: MIT
 * Importer of ftrace text. Event fields are found by name, so lines of Linux 4.x to 6.x are read
 * alike; a line that is no trace record is counted and passed over, a record of the kvm events that
 * lacks what it must have is an error. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "traces/ftrace_line.h"
#include "traces/reader.h"

/* A file of so many lines without a record is none. */
enum { BARREN_LINES = 1 << 20 };

struct words {
  size_t count;
  struct text_part word[FTRACE_WORDS];
};

/* The first word after the key that is a number; `skip` words in between. */
static bool number_after(const struct words *words, const char *key, size_t skip, unsigned base,
                         uint64_t *value) {
  for (size_t i = 0; i + skip + 1 < words->count; i++) {
    if (!text_is(words->word[i], key)) continue;
    if (text_number(words->word[i + skip + 1], base, value)) return true;
  }
  return false;
}

static size_t find_word(const struct words *words, const char *key) {
  size_t i = 0;
  while (i < words->count && !text_is(words->word[i], key)) i++;
  return i;
}

/* Arm: "TRAP: HSR_EC: 0x0016 (HVC64), PC: 0x...": why the guest was left, and the class. */
static bool read_arm_class(struct record *record, const struct words *words) {
  uint64_t class;
  if (!number_after(words, "HSR_EC", 0, 16, &class) &&
      !number_after(words, "ESR_EC", 0, 16, &class)) {
    return false;
  }
  record->arch = TRACE_ARCH_ARM64;
  record_set(record, SLOT_REASON, class & UINT32_MAX);
  bool is_interrupt = find_word(words, "IRQ") == 0;
  record_set(record, SLOT_CODE, is_interrupt ? ARM_CODE_IRQ : ARM_CODE_TRAP);
  return true;
}

/* Words up to the next key: a reason can have two ("UD excp", "CPUID FAILED_VMENTRY"). */
static struct text_part reason_text(const struct words *words, size_t first) {
  static const char *const keys[] = {"rip", "info", "info1", "ext_inf1"};
  size_t last = first;
  for (size_t i = first + 1; i < words->count; i++) {
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
      if (text_is(words->word[i], keys[k])) {
        const char *end = words->word[last].text + words->word[last].length;
        return (struct text_part){words->word[first].text, (size_t)(end - words->word[first].text)};
      }
    }
    last = i;
  }
  return words->word[first];
}

static bool read_reason(struct trace_reader *reader, struct record *record,
                        const struct words *words) {
  size_t key = find_word(words, "reason");
  uint64_t number;
  if (key + 1 >= words->count) return read_arm_class(record, words);
  struct text_part first = words->word[key + 1], text = reason_text(words, key + 1);
  if (text_number(first, 0, &number)) {
    record->arch = reader->arch;
    record->row = reason_by_number(&reader->reasons, reader->arch, (uint32_t)number);
    record_set(record, SLOT_REASON, number & UINT32_MAX);
    return true;
  }
  struct reason_found found = reason_by_name(&reader->reasons, text.text, text.length);
  if (found.arch == TRACE_ARCH_NONE) {
    found = reason_by_name(&reader->reasons, first.text, first.length);
  }
  record->row = found.row;
  record->arch = found.arch;
  if (found.arch != TRACE_ARCH_NONE) reader->arch = found.arch;
  if (found.number != REASON_NONE) record_set(record, SLOT_REASON, found.number);
  return true;
}

static bool read_exception(const struct words *words, uint64_t *value) {
  for (uint64_t vector = 0; vector < 32 && words->count > 0; vector++) {
    const char *name = trace_exception_name(vector);
    *value = vector;
    if (name && text_is(words->word[0], name)) return true;
  }
  return false;
}

static bool read_mmio(const struct words *words, const char *key, uint64_t *value) {
  static const char *const types[] = {"unsatisfied-read", "read", "write"};
  size_t at = find_word(words, key) + 1;
  for (*value = 0; at < words->count && *value < 3; ++*value) {
    if (text_is(words->word[at], types[*value])) return true;
  }
  return false;
}

/* "KVM_EXIT_IO (2)"; the others are "restart (4)", "error (-14)" and KVM_EXIT_INTR: signals. */
static bool read_user(const struct words *words, const char *key, uint64_t *value) {
  static const char prefix[] = "KVM_EXIT_";
  size_t at = find_word(words, key) + 1;
  if (at >= words->count) return false;
  struct text_part name = words->word[at];
  bool is_exit =
      name.length >= sizeof prefix - 1 && memcmp(name.text, prefix, sizeof prefix - 1) == 0;
  *value = is_exit && !text_is(name, "KVM_EXIT_INTR");
  return true;
}

static bool read_field(struct trace_reader *reader, struct record *record,
                       const struct record_field *field, const struct words *words) {
  uint64_t value = 0;
  bool is_found = false;
  switch ((enum record_form)field->form) {
    case FORM_HEX:
      is_found = number_after(words, field->key, 0, 16, &value);
      break;
    case FORM_DEC:
      is_found = number_after(words, field->key, 0, 10, &value);
      break;
    case FORM_AUTO:
      is_found = number_after(words, field->key, 0, 0, &value);
      break;
    case FORM_SECOND:
      is_found = number_after(words, field->key, 1, 16, &value);
      break;
    case FORM_WORD:
      value = find_word(words, field->key) < words->count;
      is_found = true;
      break;
    case FORM_EXCEPTION:
      is_found = read_exception(words, &value);
      break;
    case FORM_MMIO:
      is_found = read_mmio(words, field->key, &value);
      break;
    case FORM_USER:
      is_found = read_user(words, field->key, &value);
      break;
    case FORM_REASON:
      return read_reason(reader, record, words);
  }
  if (is_found) record_set(record, field->slot, value);
  return is_found;
}

/* The field that is missing, or NULL. */
static const struct record_field *read_fields(struct trace_reader *reader, struct record *record,
                                              const struct record_type *type,
                                              struct text_part arguments) {
  struct words words;
  uint32_t found = 0;
  words.count = ftrace_words(arguments, words.word);
  for (size_t i = 0; i < type->field_count; i++) {
    const struct record_field *field = &type->fields[i];
    if (!field->key || found >> field->slot & 1) continue;
    if (read_field(reader, record, field, &words)) found |= 1u << field->slot;
  }
  for (size_t i = 0; i < type->field_count; i++) {
    const struct record_field *field = &type->fields[i];
    if (field->need == FIELD_MUST && !(found >> field->slot & 1)) return field;
  }
  return NULL;
}

static const char *expected_value(const struct record_field *field) {
  if (field->form == FORM_REASON) return "NAME";
  return field->form == FORM_MMIO ? "read|write|unsatisfied-read" : "NUMBER";
}

static int malformed(struct trace_reader *reader, const struct ftrace_line *line,
                     const struct record_field *field) {
  char got[64];
  size_t length = line->arguments.length < sizeof got - 1 ? line->arguments.length : sizeof got - 1;
  for (size_t i = 0; i < length; i++) {
    char c = line->arguments.text[i];
    got[i] = c >= ' ' && c < 0x7f ? c : '?';
  }
  got[length] = '\0';
  snprintf(reader->error, sizeof reader->error, "%s:%" PRIu64 ": %.*s: expected '%s %s', got '%s'",
           source_path(reader->source), reader->loss.lines, (int)line->name.length, line->name.text,
           field->key, expected_value(field), got);
  if (!reader->salvage) return -1;
  reader->loss.lines_rejected++;
  if (reader->loss.problem[0] == '\0') {
    snprintf(reader->loss.problem, sizeof reader->loss.problem, "%.500s", reader->error);
  }
  return 1;
}

static int take_record(struct trace_reader *reader, const struct ftrace_line *line) {
  const struct record_type *type;
  struct record record = {.time = line->time, .thread = line->thread, .cpu = line->cpu};
  record.name = loss_find(&reader->names, &reader->loss, line->name.text, line->name.length, &type);
  if (line->is_counter) reader->about.is_counter = true;
  if (type) record.id = type->id;
  if (type && type->field_count > 0) {
    const struct record_field *missing = read_fields(reader, &record, type, line->arguments);
    if (missing) return malformed(reader, line, missing);
  }
  if (record.arch == TRACE_ARCH_ARM64) reader_name_arm(reader, &record);
  reader->loss.records++;
  assembler_feed(reader->assembler, type, &record);
  return 1;
}

static void take_other(struct trace_reader *reader, const char *text, size_t length) {
  uint32_t cpu;
  uint64_t count;
  if (ftrace_line_is_gap(text, length, &cpu, &count)) {
    reader->loss.gap_count++;
    reader->loss.gap_records += count;
    assembler_gap(reader->assembler, cpu);
    return;
  }
  reader->loss.lines_other++;
  if (ftrace_line_is_count(text, length, &count)) reader->loss.overwritten += count;
}

static int end_of_text(struct trace_reader *reader) {
  if (reader->loss.records > 0) return 0;
  return reader_fail(reader, source_path(reader->source),
                     "no trace record in %" PRIu64
                     " lines; expected lines like "
                     "'TASK-PID [CPU] TIME: kvm_exit: reason NAME ...'",
                     reader->loss.lines);
}

int ftrace_import_step(struct trace_reader *reader) {
  const char *text;
  size_t length;
  bool has_newline;
  int result = source_line(reader->source, &text, &length, &has_newline);
  if (result == 0) return end_of_text(reader);
  if (result < 0) {
    snprintf(reader->error, sizeof reader->error,
             "%s; nothing imported. --salvage keeps the first %" PRIu64 " lines",
             source_error(reader->source), reader->loss.lines);
    return -1;
  }
  if (!has_newline) {
    return reader_fail(reader, source_path(reader->source),
                       "truncated at byte %" PRIu64 " (line %" PRIu64
                       " has no end); nothing imported. --salvage keeps the first %" PRIu64,
                       source_offset(reader->source), reader->loss.lines + 1, reader->loss.lines);
  }
  reader->loss.lines++;
  struct ftrace_line line;
  if (ftrace_line_split(&line, text, length)) return take_record(reader, &line);
  take_other(reader, text, length);
  bool is_barren = reader->loss.records == 0 && reader->loss.lines == BARREN_LINES;
  return is_barren ? end_of_text(reader) : 1;
}
