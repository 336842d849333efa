/* SPDX-License-Identifier: MIT
 * nestor explain NAME|NUMBER [VALUE]: what a name or number of the architecture, of an entry check
 * or of a trace event means; a control word, an exit qualification and an exit reason are taken
 * apart. A number is looked up as all that it can be; part of a name finds what contains it. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/cli/cli.h"
#include "src/cli/explain.h"
#include "src/cli/lists.h"
#include "src/scenario/names.h"

enum { PART_LIMIT = 20, NAME_LIMIT = 2048 };

/* Where names are looked up, and how what is found is told. */
struct kind {
  const char *list;       /* of lists.c */
  const char *prefix;     /* that the name may be written with or without */
  unsigned number_column; /* that a number is looked for in; 0: none */
  void (*print)(FILE *out, const struct list_row *row);
};

static const struct kind kinds[] = {
    {"fields", "", 1, explain_field},
    {"controls", "", 0, explain_control},
    {"reasons", "EXIT_REASON_", 1, explain_reason},
    {"errors", "VMXERR_", 1, explain_error},
    {"msrs", "MSR_", 1, explain_msr},
    {"checks", "CHECK_", 0, explain_check},
    {"events", "TRACE_", 0, explain_event},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

/* ---- Looking up by name -------------------------------------------------------------------- */

typedef bool (*match_fn)(const char *name, const char *wanted);

static bool same(const char *name, const char *wanted) {
  return strcasecmp(name, wanted) == 0;
}

static bool contains(const char *name, const char *wanted) {
  return strcasestr(name, wanted) != NULL;
}

/* The name as the table has it, without its prefix, and with it. */
static bool matches(const struct kind *kind, const char *name, const char *wanted, match_fn match) {
  char full[LIST_TEXT];
  size_t prefix = strlen(kind->prefix);
  if (match(name, wanted)) return true;
  if (prefix > 0 && strncmp(name, kind->prefix, prefix) == 0) return match(name + prefix, wanted);
  snprintf(full, sizeof full, "%s%s", kind->prefix, name);
  return match(full, wanted);
}

/* Prints up to `limit` matches; returns how many there are. */
static unsigned print_names(FILE *out, const char *wanted, match_fn match, unsigned limit) {
  unsigned count = 0;
  for (size_t i = 0; i < KIND_COUNT; i++) {
    const struct cli_list *list = cli_list_find(kinds[i].list);
    struct list_row row;
    for (size_t k = 0; list->row(k, &row); k++) {
      if (!matches(&kinds[i], row.cell[0], wanted, match)) continue;
      if (count++ < limit) kinds[i].print(out, &row);
    }
  }
  return count;
}

/* Names of the lists are static text. */
static const char *nearest(const char *wanted) {
  const char *names[NAME_LIMIT];
  size_t count = 0;
  for (size_t i = 0; i < KIND_COUNT; i++) {
    const struct cli_list *list = cli_list_find(kinds[i].list);
    struct list_row row;
    for (size_t k = 0; count < NAME_LIMIT - 1 && list->row(k, &row); k++)
      names[count++] = row.cell[0];
  }
  names[count] = NULL;
  return suggest_word(wanted, names);
}

static int say_unknown(const struct cli *cli, const char *word) {
  const char *near = nearest(word);
  if (near != NULL) return cli_fail(cli, "nothing is called '%s'; did you mean %s?", word, near);
  return cli_fail(cli,
                  "nothing is called '%s'; expected a VMCS field, control, exit reason, "
                  "VM-instruction error, MSR, entry check or trace event",
                  word);
}

static int explain_name(const struct cli *cli, const char *word) {
  if (print_names(cli->out, word, same, PART_LIMIT) > 0) return CLI_FINE;
  unsigned count = strlen(word) < 3 ? 0 : print_names(cli->out, word, contains, PART_LIMIT);
  if (count > PART_LIMIT) fprintf(cli->out, "and %u more\n", count - PART_LIMIT);
  return count > 0 ? CLI_FINE : say_unknown(cli, word);
}

/* ---- Numbers ------------------------------------------------------------------------------- */

static bool parse_number(const char *word, uint64_t *number) {
  char *end;
  errno = 0;
  *number = strtoull(word, &end, 0);
  return isdigit((unsigned char)word[0]) && *end == '\0' && errno == 0;
}

static unsigned print_number(FILE *out, uint64_t number) {
  unsigned count = 0;
  for (size_t i = 0; i < KIND_COUNT; i++) {
    const struct cli_list *list = cli_list_find(kinds[i].list);
    struct list_row row;
    if (kinds[i].number_column == 0) continue;
    for (size_t k = 0; list->row(k, &row); k++) {
      if (strtoull(row.cell[kinds[i].number_column], NULL, 0) != number) continue;
      kinds[i].print(out, &row);
      count++;
    }
  }
  return count + explain_derived(out, number);
}

static int explain_number(const struct cli *cli, const char *word) {
  uint64_t number;
  if (parse_number(word, &number) && print_number(cli->out, number) > 0) return CLI_FINE;
  return cli_fail(cli, "%s is no VMCS field, exit reason, VM-instruction error or MSR", word);
}

/* ---- A name with its value ----------------------------------------------------------------- */

static int explain_value(const struct cli *cli, const char *name, const char *word) {
  uint64_t value;
  if (!parse_number(word, &value))
    return cli_fail(cli, "'%s' is no value; expected a number such as 0x1f", word);
  if (explain_word(cli->out, name, value) || explain_qualification(cli->out, name, value))
    return CLI_FINE;
  if (print_names(cli->out, name, same, 0) == 0) return say_unknown(cli, name);
  return cli_fail(cli,
                  "'%s' takes no value; expected a VMX control word (PIN_BASED_VM_EXEC_CONTROL), "
                  "VM_EXIT_REASON, or an exit reason with a qualification",
                  name);
}

/* ---- The command --------------------------------------------------------------------------- */

static const struct cli_option options[] = {{NULL, NULL, NULL, 0}};

static int take(const struct cli *cli, void *request, int key, const char *value) {
  (void)cli, (void)request, (void)key, (void)value;
  return CLI_GO_ON;
}

static int run_explain(const struct cli *cli, int argc, char **argv) {
  int first, status = cli_parse(cli, &cli_explain_command, argc, argv,
                                (struct cli_taker){take, NULL}, &first);
  if (status != CLI_GO_ON) return status;
  if (argc - first < 1 || argc - first > 2) {
    return cli_fail(cli,
                    "explain expects one name or number, such as PML_INDEX or 0x4402, and at most "
                    "one value of it");
  }
  if (argc - first == 2) return explain_value(cli, argv[first], argv[first + 1]);
  bool number = isdigit((unsigned char)argv[first][0]);
  return number ? explain_number(cli, argv[first]) : explain_name(cli, argv[first]);
}

const struct cli_command cli_explain_command = {
    "explain", "NAME|NUMBER [VALUE]",
    "say what a field, control, exit reason, error, MSR, check or event is", options, run_explain};
