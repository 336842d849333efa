/* SPDX-License-Identifier: MIT
 * Words for exits, details, schemes and numbers. */
#include <inttypes.h>
#include <string.h>

#include "src/report/part.h"
#include "src/scenario/names.h"

void text_append(char *text, size_t size, const char *format, ...) {
  size_t used = strlen(text);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + used, size - used, format, arguments);
  va_end(arguments);
}

static const char *msr_name(uint64_t number) {
  static const struct {
    const char *name;
    uint64_t number;
  } names[] = {
#define MSR_NAME(name, number) {#name, (number)},
#include "src/report/msr.def"
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (names[i].number == number) return names[i].name;
  }
  return NULL;
}

/* SDM 3C "Exit Qualification for Control-Register Accesses" */
static void name_cr_access(uint64_t detail, char *text, size_t size) {
  unsigned cr = detail & 15;
  switch (detail >> 4 & 3) {
    case 0:
      snprintf(text, size, "MOV to CR%u", cr);
      return;
    case 1:
      snprintf(text, size, "MOV from CR%u", cr);
      return;
    case 2:
      snprintf(text, size, "CLTS");
      return;
    default: /* a field of two bits */
      snprintf(text, size, "LMSW");
  }
}

const char *name_exit(uint32_t reason, uint64_t detail, char *text, size_t size) {
  bool is_failed = reason >> 31;
  switch (reason & 0xffff) {
    case NST_EXIT_MSR_READ:
      snprintf(text, size, "RDMSR");
      break;
    case NST_EXIT_MSR_WRITE:
      snprintf(text, size, "WRMSR");
      break;
    case NST_EXIT_VMON:
      snprintf(text, size, "VMXON");
      break;
    case NST_EXIT_VMOFF:
      snprintf(text, size, "VMXOFF");
      break;
    case NST_EXIT_CR_ACCESS:
      name_cr_access(detail, text, size);
      break;
    case NST_EXIT_EXCEPTION_NMI:
      snprintf(text, size, "exception");
      break;
    default: /* of a number that comes from the machine, not of an enum of ours */
      snprintf(text, size, "%s%s", is_failed ? "failed entry: " : "", nst_exit_name(reason));
  }
  return text;
}

const char *name_detail(uint32_t reason, uint64_t detail, char *text, size_t size) {
  text[0] = '\0';
  switch (reason & 0xffff) {
    case NST_EXIT_VMREAD:
    case NST_EXIT_VMWRITE:
      if (nst_field_name((uint32_t)detail)[0] != '?')
        snprintf(text, size, "%s", nst_field_name((uint32_t)detail));
      else
        snprintf(text, size, "field 0x%" PRIx64, detail);
      break;
    case NST_EXIT_MSR_READ:
    case NST_EXIT_MSR_WRITE:
      if (msr_name(detail))
        snprintf(text, size, "%s", msr_name(detail));
      else
        snprintf(text, size, "MSR 0x%" PRIx64, detail);
      break;
    case NST_EXIT_IO_INSTRUCTION:
      snprintf(text, size, "port 0x%" PRIx64, detail);
      break;
    case NST_EXIT_EXCEPTION_NMI:
      if (trace_exception_name(detail))
        snprintf(text, size, "%s", trace_exception_name(detail));
      else
        snprintf(text, size, "vector %" PRIu64, detail);
      break;
    default: /* of a number that comes from the machine, not of an enum of ours */
      break;
  }
  return text;
}

const char *name_scheme(enum scenario_scheme scheme) {
  switch (scheme) {
    case SCENARIO_SHADOW_ON_SHADOW:
      return "shadow on shadow";
    case SCENARIO_SHADOW_ON_EPT:
      return "shadow on EPT";
    case SCENARIO_EPT_ON_EPT:
      return "EPT on EPT";
  }
  return "?";
}

const char *name_file(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

const char *name_path(const char *path, char *text, size_t size) {
  snprintf(text, size, "%s", path);
  for (char *up = strstr(text, "/../"); up && up != text; up = strstr(text, "/../")) {
    char *folder = up;
    while (folder > text && folder[-1] != '/') folder--;
    if (strncmp(folder, "..", 2) == 0 || strncmp(folder, "./", 2) == 0) break;
    memmove(folder, up + 4, strlen(up + 4) + 1);
  }
  return text;
}

const char *name_guest(const struct scenario_guest *guest, char *text, size_t size) {
  if (guest->mix.count == 0) return name_path(guest->trace, text, size);
  snprintf(text, size, "a generated mix of %u kinds of event, seed %" PRIu64, guest->mix.count,
           guest->mix.seed);
  return text;
}

const char *name_value(const struct scenario_variant *variant, enum scenario_axis_name axis) {
  if (axis == SCENARIO_AXIS_SCHEME)
    return name_scheme((enum scenario_scheme)variant->value[SCENARIO_AXIS_SCHEME]);
  return scenario_axis_word(variant->scenario, axis, variant->value[axis]);
}

const char *name_word(const struct scenario_variant *variant, enum scenario_axis_name axis) {
  if (axis == SCENARIO_AXIS_VMCS_ACCESS)
    return scenario_words(LIST_VMCS_ACCESS)[variant->stack.vmcs_access];
  return scenario_axis_word(variant->scenario, axis, variant->value[axis]);
}

bool name_is_shown(const struct scenario_variant *variant, enum scenario_axis_name axis) {
  return variant->named >> axis & 1;
}

const char *name_variant(const struct scenario_variant *variant, char *text, size_t size) {
  snprintf(text, size, "depth %u", variant->depth);
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    enum scenario_axis_name axis = (enum scenario_axis_name)i;
    const struct scenario_axis_info *info = scenario_axis_info(axis);
    if (axis == SCENARIO_AXIS_DEPTH || !name_is_shown(variant, axis)) continue;
    bool needs_title = info->list == LIST_SWITCH || axis == SCENARIO_AXIS_VMCS_ACCESS;
    text_append(text, size, ", %s%s%s", needs_title ? info->title : "", needs_title ? " " : "",
                name_value(variant, axis));
  }
  return text;
}

const char *name_cycles(double cycles, char *text, size_t size) {
  static const struct {
    double from, unit;
    int decimals;
    const char *suffix;
  } scales[] = {{999.5e6, 1e9, 1, "G"}, {9.95e6, 1e6, 0, "M"}, {999.5e3, 1e6, 1, "M"},
                {9.95e3, 1e3, 0, "k"},  {999.5, 1e3, 1, "k"},  {0, 1, 0, ""}};
  size_t i = 0;
  while (cycles < scales[i].from) i++;
  snprintf(text, size, "%.*f%s", scales[i].decimals, cycles / scales[i].unit, scales[i].suffix);
  return text;
}
