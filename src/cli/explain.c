/* SPDX-License-Identifier: MIT
 * nestor explain NAME|NUMBER: a VMCS field, a control bit, an exit reason or a VM-instruction
 * error. A number is looked up as all that it can be; part of a name finds what contains it. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/cli.h"
#include "src/scenario/names.h"
#include "vmcs/capability.h"
#include "vmcs/control.h"
#include "vmcs/field.h"
#include "vmcs/reason.h"

enum { PART_LIMIT = 20, NAME_LIMIT = 1024 };

static const struct {
  const char *name;
  unsigned number;
  const char *text;
} errors[] = {
#define VMX_ERROR(name, number, text) {"VMXERR_" #name, number, text},
#include "vmcs/error.def"
#undef VMX_ERROR
};
enum { ERROR_COUNT = sizeof errors / sizeof errors[0] };

/* The control that brings a feature, by enum vmcs_feature. */
static const char *const feature_control[] = {
    [VMCS_ALWAYS] = NULL,
#define VMCS_FEATURE(name, word, control) [VMCS_HAS_##name] = #control,
#include "vmcs/feature.def"
#undef VMCS_FEATURE
};

static const char *const word_names[WORD_COUNT] = {
    [WORD_PIN] = "pin-based VM-execution controls",
    [WORD_PRIMARY] = "primary processor-based VM-execution controls",
    [WORD_SECONDARY] = "secondary processor-based VM-execution controls",
    [WORD_TERTIARY] = "tertiary processor-based VM-execution controls",
    [WORD_EXIT] = "VM-exit controls",
    [WORD_ENTRY] = "VM-entry controls"};

/* ---- Printing ------------------------------------------------------------------------------- */

static void print_field(FILE *out, unsigned field) {
  static const char *const widths[] = {"16 bits", "64 bits", "32 bits", "natural width"};
  static const char *const kinds[] = {"control", "VM-exit information, read-only", "guest state",
                                      "host state"};
  const struct vmcs_field_info *info = &vmcs_field_info[field];
  fprintf(out, "%s  VMCS field 0x%04x: %s\n", info->name, info->encoding, info->title);
  fprintf(out, "    %s, %s", widths[info->width & 3], kinds[info->kind & 3]);
  const char *control = feature_control[info->present];
  if (control != NULL) fprintf(out, "; there if the processor allows %s", control);
  fputc('\n', out);
}

static void print_control(FILE *out, unsigned row) {
  const struct vmcs_control_info *info = &vmcs_control_info[row];
  fprintf(out, "%s  bit %u of the %s: %s\n", info->name, info->bit, word_names[info->word],
          info->title);
  if (info->requires[0] != '\0') fprintf(out, "    needs %s\n", info->requires);
  if (info->default1 != 0) fprintf(out, "    in the default1 class\n");
}

static void print_reason(FILE *out, unsigned number) {
  const struct vmcs_reason_info *info = &vmcs_reason_info[number];
  fprintf(out, "EXIT_REASON_%s  exit reason %u: %s\n", info->name, number, info->title);
  fprintf(out, "    qualification: %s; instruction information: %s\n", info->qualification,
          info->information);
}

static void print_error(FILE *out, size_t row) {
  fprintf(out, "%s  VM-instruction error %u: %s\n", errors[row].name, errors[row].number,
          errors[row].text);
}

/* ---- Looking up ----------------------------------------------------------------------------- */

typedef bool (*match_fn)(const char *name, const char *wanted);

static bool same(const char *name, const char *wanted) {
  return strcasecmp(name, wanted) == 0;
}

static bool contains(const char *name, const char *wanted) {
  return strcasestr(name, wanted) != NULL;
}

static bool reason_matches(unsigned number, const char *wanted, match_fn match) {
  char name[64];
  const char *bare = vmcs_reason_info[number].name;
  if (bare == NULL) return false;
  snprintf(name, sizeof name, "EXIT_REASON_%s", bare);
  return match(bare, wanted) || match(name, wanted);
}

static bool error_matches(size_t row, const char *wanted, match_fn match) {
  const char *bare = errors[row].name + strlen("VMXERR_");
  return match(errors[row].name, wanted) || match(bare, wanted);
}

/* Prints up to `limit` matches; returns how many there are. */
static unsigned print_names(FILE *out, const char *wanted, match_fn match, unsigned limit) {
  unsigned count = 0;
  for (unsigned i = 0; i < FIELD_COUNT; i++) {
    if (match(vmcs_field_info[i].name, wanted) && count++ < limit) print_field(out, i);
  }
  for (unsigned i = 0; i < vmcs_control_count; i++) {
    if (match(vmcs_control_info[i].name, wanted) && count++ < limit) print_control(out, i);
  }
  for (unsigned i = 0; i < EXIT_REASON_LIMIT; i++) {
    if (reason_matches(i, wanted, match) && count++ < limit) print_reason(out, i);
  }
  for (size_t i = 0; i < ERROR_COUNT; i++) {
    if (error_matches(i, wanted, match) && count++ < limit) print_error(out, i);
  }
  return count;
}

static unsigned print_number(FILE *out, uint64_t number) {
  unsigned count = 0;
  enum vmcs_field field = number <= UINT32_MAX ? vmcs_field_of((uint32_t)number) : FIELD_NONE;
  /* The high half is an encoding of its own, but only 64-bit fields have one. */
  bool high = vmcs_encoding_is_high((uint32_t)number);
  if (field != FIELD_NONE && (!high || vmcs_field_info[field].width == VMCS_WIDTH_64)) {
    if (high) fprintf(out, "0x%04x is the high half of\n", (unsigned)number);
    print_field(out, field);
    count++;
  }
  if (number < EXIT_REASON_LIMIT && vmcs_reason_info[number].name != NULL) {
    print_reason(out, (unsigned)number);
    count++;
  }
  for (size_t i = 0; i < ERROR_COUNT; i++) {
    if (errors[i].number != number) continue;
    print_error(out, i);
    count++;
  }
  return count;
}

static const char *nearest(const char *wanted) {
  const char *names[NAME_LIMIT];
  size_t count = 0;
  for (unsigned i = 0; i < FIELD_COUNT && count < NAME_LIMIT - 1; i++) {
    names[count++] = vmcs_field_info[i].name;
  }
  for (unsigned i = 0; i < vmcs_control_count && count < NAME_LIMIT - 1; i++) {
    names[count++] = vmcs_control_info[i].name;
  }
  for (unsigned i = 0; i < EXIT_REASON_LIMIT && count < NAME_LIMIT - 1; i++) {
    if (vmcs_reason_info[i].name != NULL) names[count++] = vmcs_reason_info[i].name;
  }
  names[count] = NULL;
  return suggest_word(wanted, names);
}

static int explain_number(const struct cli *cli, const char *word) {
  char *end;
  uint64_t number = strtoull(word, &end, 0);
  if (*end == '\0' && print_number(cli->out, number) > 0) return CLI_FINE;
  return cli_fail(cli, "%s is no VMCS field, exit reason or VM-instruction error", word);
}

static int explain_name(const struct cli *cli, const char *word) {
  if (print_names(cli->out, word, same, PART_LIMIT) > 0) return CLI_FINE;
  unsigned count = strlen(word) < 3 ? 0 : print_names(cli->out, word, contains, PART_LIMIT);
  if (count > PART_LIMIT) fprintf(cli->out, "and %u more\n", count - PART_LIMIT);
  if (count > 0) return CLI_FINE;
  const char *near = nearest(word);
  if (near != NULL) return cli_fail(cli, "nothing is called '%s'; did you mean %s?", word, near);
  return cli_fail(cli,
                  "nothing is called '%s'; expected a VMCS field, control, exit reason or "
                  "VM-instruction error",
                  word);
}

/* ---- The command ---------------------------------------------------------------------------- */

static const struct cli_option options[] = {{NULL, NULL, NULL, 0}};

static int take(const struct cli *cli, void *request, int key, const char *value) {
  (void)cli, (void)request, (void)key, (void)value;
  return CLI_GO_ON;
}

static int run_explain(const struct cli *cli, int argc, char **argv) {
  int first, status = cli_parse(cli, &cli_explain_command, argc, argv,
                                (struct cli_taker){take, NULL}, &first);
  if (status != CLI_GO_ON) return status;
  if (argc - first != 1) {
    return cli_fail(cli, "explain expects one name or number, such as PML_INDEX or 0x4402");
  }
  bool number = isdigit((unsigned char)argv[first][0]);
  return number ? explain_number(cli, argv[first]) : explain_name(cli, argv[first]);
}

const struct cli_command cli_explain_command = {
    "explain", "NAME|NUMBER", "say what a VMCS field, control, exit reason or error number is",
    options, run_explain};
