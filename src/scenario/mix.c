/* SPDX-License-Identifier: MIT
 * A guest's <mix>: events by kind, weight and the arguments that traces/event.def names. */
#include <stdlib.h>
#include <string.h>

#include "src/scenario/document.h"
#include "src/scenario/names.h"

enum { ARGUMENTS = 4 };
static const char *const own_attributes[] = {"kind", "weight",  "stride", "span",
                                             "user", "faulted", NULL};

static uint64_t number_of(const xmlNode *element, const char *attribute) {
  char text[SCENARIO_NAME_SIZE];
  return strtoull(element_get(element, attribute, text, sizeof text), NULL, 0);
}

/* TRACE_KIND_COUNT if there is none of that name. */
static unsigned kind_of(const xmlNode *event) {
  char text[SCENARIO_NAME_SIZE];
  unsigned kind = 0;
  element_get(event, "kind", text, sizeof text);
  while (kind < TRACE_KIND_COUNT && strcmp(trace_kind_name(kind), text) != 0) kind++;
  return kind;
}

static bool has_argument(unsigned kind, unsigned index) {
  const char *name = trace_kind_argument(kind, index);
  return name != NULL && name[0] != '\0';
}

static void build_event(struct trace_mix_entry *entry, const xmlNode *event) {
  uint64_t *const arguments[ARGUMENTS] = {&entry->a, &entry->b, &entry->c, &entry->d};
  static const uint32_t flags[ARGUMENTS] = {TRACE_HAS_A, TRACE_HAS_B, TRACE_HAS_C, TRACE_HAS_D};
  unsigned kind = kind_of(event);
  entry->kind = kind < TRACE_KIND_COUNT ? (enum trace_kind)kind : TRACE_UNKNOWN;
  entry->weight = number_of(event, "weight");
  entry->stride = number_of(event, "stride");
  entry->span = number_of(event, "span");
  if (element_has(event, "user")) entry->flags |= TRACE_USER;
  if (element_has(event, "faulted")) entry->flags |= TRACE_FAULTED;
  for (unsigned i = 0; i < ARGUMENTS; i++) {
    const char *name = has_argument(entry->kind, i) ? trace_kind_argument(entry->kind, i) : NULL;
    if (name == NULL || !element_has(event, name)) continue;
    *arguments[i] = number_of(event, name);
    entry->flags |= flags[i];
  }
}

void scenario_build_mix(struct scenario_guest *guest, const xmlNode *mix) {
  guest->mix.events = number_of(mix, "events");
  guest->mix.seed = number_of(mix, "seed");
  guest->mix.period_ns = number_of(mix, "period");
  guest->units = number_of(mix, "units");
  element_get(mix, "unit", guest->unit, sizeof guest->unit);
  const xmlNode *event = element_child(mix, "event");
  for (; event != NULL && guest->mix.count < TRACE_MIX_ENTRIES;
       event = element_next(event, "event")) {
    build_event(&guest->mix.entry[guest->mix.count++], event);
  }
}

/* ---- Rules ---------------------------------------------------------------------------------- */

static bool check_kind(const xmlNode *event, struct document *document) {
  const char *names[TRACE_KIND_COUNT + 1] = {NULL};
  char text[SCENARIO_NAME_SIZE];
  unsigned kind = kind_of(event);
  if (kind < TRACE_KIND_COUNT && kind != TRACE_UNKNOWN) return true;
  for (unsigned i = 0; i < TRACE_UNKNOWN; i++) names[i] = trace_kind_name(i);
  const char *near = suggest_word(element_get(event, "kind", text, sizeof text), names);
  if (near != NULL)
    return document_fault(document, event, "kind", "unknown kind of event; did you mean %s?", near);
  return document_fault(document, event, "kind",
                        "expected a kind of event, such as CPUID or MMIO_WRITE");
}

static bool is_own(const char *name) {
  for (size_t i = 0; own_attributes[i] != NULL; i++) {
    if (strcmp(own_attributes[i], name) == 0) return true;
  }
  return false;
}

/* Each argument is one that this kind of event has. */
static bool check_arguments(const xmlNode *event, struct document *document) {
  const char *names[ARGUMENTS + 1] = {NULL};
  char text[SCENARIO_TEXT_SIZE];
  unsigned kind = kind_of(event), count = 0;
  for (unsigned i = 0; i < ARGUMENTS; i++) {
    if (has_argument(kind, i)) names[count++] = trace_kind_argument(kind, i);
  }
  for (const xmlAttr *at = event->properties; at != NULL; at = at->next) {
    const char *name = (const char *)at->name;
    bool known = is_own(name);
    for (unsigned i = 0; i < count && !known; i++) known = strcmp(names[i], name) == 0;
    if (known) continue;
    return document_fault(document, event, name, "%s has no such argument; expected %s",
                          trace_kind_name(kind),
                          count ? join_words(names, " or ", text, sizeof text) : "none");
  }
  bool strides = number_of(event, "stride") > 0;
  if (strides && (count == 0 || !element_has(event, names[0])))
    return document_fault(document, event, "stride", "expected its first argument beside it");
  return true;
}

bool scenario_validate_mix(const struct scenario_guest *guest, const xmlNode *mix,
                           struct document *document) {
  char error[SCENARIO_TEXT_SIZE];
  const xmlNode *event = element_child(mix, "event");
  for (; event != NULL; event = element_next(event, "event")) {
    if (!check_kind(event, document) || !check_arguments(event, document)) return false;
  }
  if ((guest->units > 0) != (guest->unit[0] != '\0'))
    return document_fault(document, mix, NULL, "expected units and unit, or neither");
  struct trace_reader *reader = trace_open_mix(&guest->mix, error, sizeof error);
  if (reader == NULL) return document_fault(document, mix, NULL, "%s", error);
  trace_close(reader);
  return true;
}
