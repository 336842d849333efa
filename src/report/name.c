/* SPDX-License-Identifier: MIT
 * Words for exits, details, schemes and numbers. */
#include <inttypes.h>
#include <string.h>

#include "src/report/part.h"

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

const char *name_variant(const struct scenario_variant *variant, char *text, size_t size) {
  if (variant->depth == 1)
    snprintf(text, size, "depth 1");
  else
    snprintf(text, size, "depth %u, VMCS shadowing %s", variant->depth,
             variant->vmcs_shadowing ? "on" : "off");
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
