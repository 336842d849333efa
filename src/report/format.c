/* SPDX-License-Identifier: MIT
 * The forms of the report by name. */
#include <string.h>

#include "src/report/report.h"

static const struct {
  const char *name;
  int (*print)(FILE *out, const struct replay *replay, const struct report_options *options);
} formats[] = {
#define REPORT_FORMAT(NAME, name, function) [REPORT_AS_##NAME] = {(name), (function)},
#include "src/report/format.def"
};

const char *const report_format_names[] = {
#define REPORT_FORMAT(NAME, name, function) [REPORT_AS_##NAME] = (name),
#include "src/report/format.def"
    NULL};

int report_print(FILE *out, const struct replay *replay, const struct report_options *options,
                 enum report_format format) {
  return formats[format].print(out, replay, options);
}

bool report_format_find(const char *name, enum report_format *format) {
  for (unsigned i = 0; report_format_names[i]; i++) {
    if (strcmp(report_format_names[i], name) != 0) continue;
    *format = (enum report_format)i;
    return true;
  }
  return false;
}
