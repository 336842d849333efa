/* SPDX-License-Identifier: MIT
 * Reads trace.dat with libtracecmd. It runs in a process of its own, since the library trusts its
 * input: whatever a damaged file does to it ends there. */
#include <event-parse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <trace-cmd.h>
#include <unistd.h>

#include "traces/dat.h"

enum { EVENT_ID_LIMIT = 65536, FIELD_LIMIT = 16, PATIENCE_SECONDS = 60, RECORDS_PER_WATCH = 4096 };

/* How to read one event type of this file. */
struct dat_type {
  struct tep_format_field *field[FIELD_LIMIT];
  const struct record_type *type; /* NULL: only the name counts */
  uint32_t name;
  bool is_arm;
};

struct dat_child {
  FILE *out;
  uint32_t name_count;
  uint64_t record_count;
  struct tep_handle *tep;
  struct dat_type *types[EVENT_ID_LIMIT];
};

/* A damaged file may send the library round in circles: after a minute of processor time without
 * progress, SIGPROF ends this process. Time that it waits for its reader does not count. */
static void watch_progress(void) {
  const struct itimerval limit = {.it_value = {.tv_sec = PATIENCE_SECONDS}};
  setitimer(ITIMER_PROF, &limit, NULL);
}

static const struct record_type *find_type(const char *name) {
  for (size_t i = 0; i < record_type_count; i++) {
    if (strcmp(record_types[i].name, name) == 0) return &record_types[i];
  }
  return NULL;
}

static struct dat_type *learn_type(struct dat_child *child, struct tep_event *event) {
  struct dat_type *type = calloc(1, sizeof *type);
  if (!type) return NULL;
  struct dat_message message = {.type = DAT_NAME};
  snprintf(message.text, sizeof message.text, "%s", event->name);
  fwrite(&message, sizeof message, 1, child->out);
  type->name = child->name_count++;
  type->type = find_type(event->name);
  size_t count = type->type ? type->type->field_count : 0;
  for (size_t i = 0; i < count && i < FIELD_LIMIT; i++) {
    const char *name = type->type->fields[i].dat;
    if (name) type->field[i] = tep_find_field(event, name);
  }
  type->is_arm = type->type && type->type->id == RECORD_EXIT && tep_find_field(event, "esr_ec");
  child->types[event->id] = type;
  return type;
}

static bool read_number(struct tep_format_field *field, const struct tep_record *record,
                        uint64_t *value) {
  unsigned long long number;
  if (field->offset < 0 || field->size <= 0 || field->offset > record->size - field->size) {
    return false;
  }
  if (tep_read_number_field(field, record->data, &number) != 0) return false;
  *value = number;
  return true;
}

static void read_fields(const struct dat_type *type, const struct tep_record *record,
                        struct dat_message *message) {
  size_t count = type->type ? type->type->field_count : 0;
  for (size_t i = 0; i < count && i < FIELD_LIMIT; i++) {
    unsigned slot = type->type->fields[i].slot;
    uint64_t value;
    if (!type->field[i] || message->known >> slot & 1) continue;
    if (!read_number(type->field[i], record, &value)) continue;
    message->value[slot] = value;
    message->known |= 1u << slot;
  }
  if (type->is_arm) {
    message->value[SLOT_ISA] = TRACE_ARCH_ARM64;
    message->known |= 1u << SLOT_ISA;
  }
}

static int send_record(struct tracecmd_input *input, struct tep_record *record, int cpu,
                       void *data) {
  struct dat_child *child = data;
  (void)input;
  struct dat_message message = {.type = DAT_GAP, .cpu = (uint32_t)cpu};
  if (++child->record_count % RECORDS_PER_WATCH == 0) watch_progress();
  if (record->missed_events != 0) {
    if (record->missed_events > 0) message.time = (uint64_t)record->missed_events;
    fwrite(&message, sizeof message, 1, child->out);
  }
  struct tep_event *event = tep_find_event_by_record(child->tep, record);
  if (!event || event->id < 0 || event->id >= EVENT_ID_LIMIT) return 0;
  struct dat_type *type = child->types[event->id];
  if (!type) type = learn_type(child, event);
  if (!type) return -1;
  message.type = DAT_RECORD;
  message.name = type->name;
  message.time = record->ts;
  message.thread = (uint32_t)tep_data_pid(child->tep, record);
  read_fields(type, record, &message);
  return fwrite(&message, sizeof message, 1, child->out) == 1 ? 0 : -1;
}

void dat_child_run(int descriptor, FILE *out) {
  struct dat_message last = {.type = DAT_REFUSED};
  struct dat_child *child = calloc(1, sizeof *child);
  watch_progress();
  tracecmd_set_loglevel(TEP_LOG_NONE);
  tep_set_loglevel(TEP_LOG_NONE);
  lseek(descriptor, 0, SEEK_SET);
  /* No plugins: they only change how events print. */
  struct tracecmd_input *input =
      child ? tracecmd_open_fd(descriptor, TRACECMD_FL_LOAD_NO_PLUGINS) : NULL;
  if (input) {
    child->out = out;
    child->tep = tracecmd_get_tep(input);
    if (tracecmd_iterate_events(input, NULL, 0, send_record, child) == 0) last.type = DAT_END;
  }
  fwrite(&last, sizeof last, 1, out);
  fflush(out);
  /* The rest is not freed: the process ends here. */
  free(child);
}
