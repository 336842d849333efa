/* SPDX-License-Identifier: MIT
 * The lists as tables of text, each expanded from its .def table. */
#include "src/cli/lists.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/hypervisor/profile.h"
#include "src/ledger/ledger.h"
#include "src/report/report.h"
#include "src/scenario/names.h"
#include "traces/event.h"
#include "vmcs/capability.h"
#include "vmcs/check.h"
#include "vmcs/control.h"
#include "vmcs/field.h"
#include "vmcs/not_modelled.h"
#include "vmcs/qualification.h"
#include "vmcs/reason.h"

#define ROWS(array) (sizeof(array) / sizeof(array)[0])

const char *const cli_word_names[WORD_COUNT] = {
    [WORD_PIN] = "pin-based VM-execution controls",
    [WORD_PRIMARY] = "primary processor-based VM-execution controls",
    [WORD_SECONDARY] = "secondary processor-based VM-execution controls",
    [WORD_TERTIARY] = "tertiary processor-based VM-execution controls",
    [WORD_EXIT] = "VM-exit controls",
    [WORD_ENTRY] = "VM-entry controls"};

static const char *decimal(char text[LIST_TEXT], uint64_t number) {
  snprintf(text, LIST_TEXT, "%" PRIu64, number);
  return text;
}

static const char *hexadecimal(char text[LIST_TEXT], uint64_t number) {
  snprintf(text, LIST_TEXT, "0x%04" PRIx64, number);
  return text;
}

/* ---- VMX ----------------------------------------------------------------------------------- */

const char *cli_feature_control(unsigned feature) {
  static const char *const controls[] = {
      [VMCS_ALWAYS] = NULL,
#define VMCS_FEATURE(name, word, control) [VMCS_HAS_##name] = #control,
#include "vmcs/feature.def"
#undef VMCS_FEATURE
  };
  return feature < ROWS(controls) ? controls[feature] : NULL;
}

static bool field_row(size_t index, struct list_row *row) {
  static const char *const widths[] = {"16", "64", "32", "natural"};
  static const char *const kinds[] = {"control", "information", "guest", "host"};
  if (index >= FIELD_COUNT) return false;
  const struct vmcs_field_info *info = &vmcs_field_info[index];
  const char *control = cli_feature_control(info->present);
  row->cell[0] = info->name;
  row->cell[1] = hexadecimal(row->text[0], info->encoding);
  row->cell[2] = widths[info->width & 3];
  row->cell[3] = kinds[info->kind & 3];
  row->cell[4] = control ? control : "";
  row->cell[5] = info->title;
  return true;
}

static bool reason_row(size_t index, struct list_row *row) {
  size_t number = 0;
  for (size_t left = index + 1; number < EXIT_REASON_LIMIT; number++) {
    if (vmcs_reason_info[number].name && --left == 0) break;
  }
  if (number == EXIT_REASON_LIMIT) return false;
  const struct vmcs_reason_info *info = &vmcs_reason_info[number];
  row->cell[0] = info->name;
  row->cell[1] = decimal(row->text[0], number);
  row->cell[2] = info->qualification;
  row->cell[3] = info->information;
  row->cell[4] = info->title;
  return true;
}

static bool qualification_row(size_t index, struct list_row *row) {
  if (index >= vmcs_qualification_count) return false;
  const struct vmcs_qualification_part *part = &vmcs_qualification_part[index];
  row->cell[0] = part->kind;
  row->cell[1] = decimal(row->text[0], part->low);
  row->cell[2] = decimal(row->text[1], part->width);
  row->cell[3] = part->name;
  row->cell[4] = part->values;
  return true;
}

static bool control_row(size_t index, struct list_row *row) {
  if (index >= vmcs_control_count) return false;
  const struct vmcs_control_info *info = &vmcs_control_info[index];
  row->cell[0] = info->name;
  row->cell[1] = cli_word_names[info->word];
  row->cell[2] = decimal(row->text[0], info->bit);
  row->cell[3] = info->default1 ? "1" : "0";
  row->cell[4] = info->requires;
  row->cell[5] = info->title;
  return true;
}

static bool error_row(size_t index, struct list_row *row) {
  static const struct {
    const char *name;
    unsigned number;
  } errors[] = {
#define VMX_ERROR(name, number, text) {"VMXERR_" #name, (number)},
#include "vmcs/error.def"
#undef VMX_ERROR
  };
  if (index >= ROWS(errors)) return false;
  row->cell[0] = errors[index].name;
  row->cell[1] = decimal(row->text[0], errors[index].number);
  row->cell[2] = vmcs_error_text(errors[index].number);
  return true;
}

static bool check_row(size_t index, struct list_row *row) {
  static const char *const stages[] = {
      [STAGE_INSTRUCTION] = "instruction", [STAGE_CONTROL] = "controls",
      [STAGE_HOST] = "host state",         [STAGE_GUEST] = "guest state",
      [STAGE_MSR_LOAD] = "MSR loading",    [STAGE_MACHINE_CHECK] = "machine check"};
  if (index >= CHECK_COUNT) return false;
  const struct vmcs_check_info *info = &vmcs_check_info[index];
  row->cell[0] = info->id;
  row->cell[1] = stages[info->stage];
  row->cell[2] = decimal(row->text[0], info->outcome);
  row->cell[3] = decimal(row->text[1], info->qualification);
  row->cell[4] = info->title;
  row->cell[5] = info->text;
  return true;
}

static bool feature_row(size_t index, struct list_row *row) {
  static const struct {
    const char *name;
    unsigned word;
  } features[] = {
#define VMCS_FEATURE(name, word, control) {#name, (word)},
#include "vmcs/feature.def"
#undef VMCS_FEATURE
  };
  if (index >= ROWS(features)) return false;
  row->cell[0] = features[index].name;
  row->cell[1] = cli_feature_control((unsigned)index + 1);
  row->cell[2] = cli_word_names[features[index].word];
  return true;
}

static bool not_modelled_row(size_t index, struct list_row *row) {
  if (index >= vmcs_not_modelled_count) return false;
  const struct vmcs_not_modelled *info = &vmcs_not_modelled_info[index];
  row->cell[0] = info->kind;
  row->cell[1] = info->name;
  row->cell[2] = info->reason;
  return true;
}

static bool msr_row(size_t index, struct list_row *row) {
  static const struct {
    const char *name;
    uint64_t number;
  } names[] = {
#define MSR_NAME(name, number) {#name, (number)},
#include "src/report/msr.def"
  };
  if (index >= ROWS(names)) return false;
  row->cell[0] = names[index].name;
  row->cell[1] = hexadecimal(row->text[0], names[index].number);
  return true;
}

/* ---- What runs ----------------------------------------------------------------------------- */

static bool processor_row(size_t index, struct list_row *row) {
  struct vmcs_capability capability;
  const char *name = vmcs_capability_name(index);
  if (!name || !vmcs_capability_find(&capability, name)) return false;
  row->cell[0] = name;
  row->cell[1] = vmcs_has_feature(&capability, VMCS_HAS_EPT) ? "yes" : "no";
  row->cell[2] = vmcs_has_feature(&capability, VMCS_HAS_VPID) ? "yes" : "no";
  row->cell[3] = vmcs_has_feature(&capability, VMCS_HAS_SHADOW_VMCS) ? "yes" : "no";
  row->cell[4] = decimal(row->text[0], capability.physical_bits);
  row->cell[5] = capability.source;
  return true;
}

static bool hypervisor_row(size_t index, struct list_row *row) {
  const struct hv_profile *profile = index < UINT16_MAX ? hv_profile_at((unsigned)index) : NULL;
  if (!profile) return false;
  row->cell[0] = profile->name;
  row->cell[1] = profile->date;
  row->cell[2] = profile->source;
  return true;
}

static bool axis_row(size_t index, struct list_row *row) {
  if (index >= SCENARIO_AXIS_COUNT) return false;
  enum scenario_axis_name axis = (enum scenario_axis_name)index;
  row->cell[0] = scenario_axis_info(axis)->name;
  row->cell[1] = scenario_axis_expected(NULL, axis, row->text[0], sizeof row->text[0]);
  return true;
}

/* ---- Traces and reports -------------------------------------------------------------------- */

static bool event_row(size_t index, struct list_row *row) {
  static const char *const causes[] = {[TRACE_CAUSE_GUEST] = "guest",
                                       [TRACE_CAUSE_HOST] = "host",
                                       [TRACE_CAUSE_NEITHER] = "unknown"};
  const struct trace_event event = {.kind = (uint16_t)index};
  if (index >= TRACE_KIND_COUNT) return false;
  unsigned kind = (unsigned)index;
  char *arguments = row->text[1];
  arguments[0] = '\0';
  for (unsigned i = 0; i < 4; i++) {
    const char *argument = trace_kind_argument(kind, i);
    size_t used = strlen(arguments);
    if (argument) snprintf(arguments + used, LIST_TEXT - used, "%s%s", used ? " " : "", argument);
  }
  snprintf(row->text[0], LIST_TEXT, "%c", trace_kind_tag(kind));
  row->cell[0] = trace_kind_name(kind);
  row->cell[1] = row->text[0];
  row->cell[2] = causes[trace_kind_cause(kind)];
  row->cell[3] = arguments;
  row->cell[4] = trace_event_label(&event, row->text[2], LIST_TEXT);
  return true;
}

enum { VECTORS = 32, VARIANTS = VECTORS + 5 };

/* The i-th event that might have a label of its own; false past the end. */
static bool labelled_event(size_t index, struct trace_event *event) {
  static const uint32_t flags = TRACE_HAS_A | TRACE_HAS_B | TRACE_HAS_C;
  size_t variant = index % VARIANTS;
  *event = (struct trace_event){.kind = (uint16_t)(index / VARIANTS), .level = 1, .flags = flags};
  if (variant < VECTORS)
    event->a = variant;
  else if (variant < VECTORS + 2)
    event->c = variant & 1;
  else if (variant == VECTORS + 2)
    event->flags |= TRACE_USER;
  else if (variant == VECTORS + 3)
    event->a = 0xfee00000; /* the local APIC's page */
  else
    event->flags = 0;
  return event->kind < TRACE_KIND_COUNT;
}

/* Labels in order of event.def, each once: what a label is, trace_event_label alone knows. */
static bool operation_row(size_t index, struct list_row *row) {
  struct trace_event event, other;
  char text[TRACE_LABEL_MAX];
  size_t left = index + 1;
  for (size_t i = 0; labelled_event(i, &event); i++) {
    trace_event_label(&event, row->text[0], LIST_TEXT);
    bool is_new = trace_kind_cause(event.kind) == TRACE_CAUSE_GUEST;
    for (size_t k = i - i % VARIANTS; k < i && is_new; k++) {
      labelled_event(k, &other);
      is_new = strcmp(trace_event_label(&other, text, sizeof text), row->text[0]) != 0;
    }
    if (!is_new || --left > 0) continue;
    row->cell[0] = row->text[0];
    row->cell[1] = trace_kind_name(event.kind);
    return true;
  }
  return false;
}

static const char *cycles(char text[LIST_TEXT], double value) {
  snprintf(text, LIST_TEXT, "%g", value);
  return text;
}

static bool cost_row(size_t index, struct list_row *row) {
  const struct ledger_cost *cost = ledger_cost(index);
  if (!cost) return false;
  row->cell[0] = cost->name;
  row->cell[1] = cycles(row->text[0], cost->low);
  row->cell[2] = cycles(row->text[1], cost->typical);
  row->cell[3] = cycles(row->text[2], cost->high);
  row->cell[4] = cost->mark;
  row->cell[5] = cost->unit;
  row->cell[6] = cost->source;
  return true;
}

static bool routine_row(size_t index, struct list_row *row) {
  const struct ledger_routine_cost *cost = ledger_routine((unsigned)index);
  if (!cost) return false;
  row->cell[0] = cost->name;
  row->cell[1] = decimal(row->text[0], cost->low);
  row->cell[2] = decimal(row->text[1], cost->typical);
  row->cell[3] = decimal(row->text[2], cost->high);
  row->cell[4] = decimal(row->text[3], cost->samples);
  row->cell[5] = cost->title;
  return true;
}

static bool format_row(size_t index, struct list_row *row) {
  if (index >= REPORT_FORMAT_COUNT) return false;
  row->cell[0] = report_format_names[index];
  return true;
}

const struct cli_list cli_lists[] = {
    {"fields", "VMCS fields", {"name", "encoding", "width", "kind", "control", "title"}, field_row},
    {"reasons",
     "exit reasons",
     {"name", "number", "qualification", "information", "title"},
     reason_row},
    {"qualifications",
     "parts of exit qualifications",
     {"qualification", "low_bit", "width", "name", "values"},
     qualification_row},
    {"controls",
     "bits of the VMX controls",
     {"name", "word", "bit", "default1", "requires", "title"},
     control_row},
    {"errors", "VM-instruction errors", {"name", "number", "text"}, error_row},
    {"checks",
     "consistency checks of VM entries",
     {"name", "stage", "outcome", "qualification", "section", "text"},
     check_row},
    {"features", "features that bring VMCS fields", {"name", "control", "word"}, feature_row},
    {"not-modelled",
     "what of the architecture is not modelled, and why",
     {"kind", "name", "reason"},
     not_modelled_row},
    {"msrs", "MSRs that reports name", {"name", "number"}, msr_row},
    {"processors",
     "processors to emulate",
     {"name", "ept", "vpid", "vmcs_shadowing", "physical_bits", "source"},
     processor_row},
    {"hypervisors", "profiles of hypervisors", {"name", "date", "source"}, hypervisor_row},
    {"axes", "what scenarios compare", {"name", "values"}, axis_row},
    {"events", "kinds of trace event", {"name", "tag", "cause", "arguments", "label"}, event_row},
    {"operations", "kinds of guest operation in reports", {"label", "event"}, operation_row},
    {"costs",
     "unit costs in cycles",
     {"name", "low", "typical", "high", "mark", "what", "source"},
     cost_row},
    {"routines",
     "instructions of hypervisor software, as measured: 10th percentile, median, 90th",
     {"name", "low", "typical", "high", "samples", "what"},
     routine_row},
    {"formats", "forms of the report", {"name"}, format_row},
    {NULL, NULL, {NULL}, NULL}};

const struct cli_list *cli_list_find(const char *name) {
  for (const struct cli_list *list = cli_lists; list->name; list++) {
    if (strcmp(list->name, name) == 0) return list;
  }
  return NULL;
}
