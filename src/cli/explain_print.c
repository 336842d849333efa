/* SPDX-License-Identifier: MIT
 * Names and values in words, from the rows of lists.c and the tables of vmcs/. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "src/cli/explain.h"
#include "vmcs/control.h"
#include "vmcs/field.h"
#include "vmcs/qualification.h"
#include "vmcs/reason.h"

/* ---- Rows ---------------------------------------------------------------------------------- */

void explain_field(FILE *out, const struct list_row *row) {
  bool is_natural = strcmp(row->cell[2], "natural") == 0;
  const char *kind = row->cell[3];
  fprintf(out, "%s  VMCS field %s: %s\n", row->cell[0], row->cell[1], row->cell[5]);
  fprintf(out, "    %s %s, ", row->cell[2], is_natural ? "width" : "bits");
  if (strcmp(kind, "information") == 0)
    fputs("VM-exit information, read-only", out);
  else
    fprintf(out, "%s%s", kind, strcmp(kind, "control") == 0 ? "" : " state");
  if (row->cell[4][0]) fprintf(out, "; there if the processor allows %s", row->cell[4]);
  fputc('\n', out);
}

void explain_control(FILE *out, const struct list_row *row) {
  fprintf(out, "%s  bit %s of the %s: %s\n", row->cell[0], row->cell[2], row->cell[1],
          row->cell[5]);
  if (row->cell[4][0]) fprintf(out, "    needs %s\n", row->cell[4]);
  if (row->cell[3][0] == '1') fprintf(out, "    in the default1 class\n");
}

void explain_reason(FILE *out, const struct list_row *row) {
  fprintf(out, "EXIT_REASON_%s  exit reason %s: %s\n", row->cell[0], row->cell[1], row->cell[4]);
  fprintf(out, "    qualification: %s; instruction information: %s\n", row->cell[2], row->cell[3]);
}

void explain_error(FILE *out, const struct list_row *row) {
  fprintf(out, "%s  VM-instruction error %s: %s\n", row->cell[0], row->cell[1], row->cell[2]);
}

void explain_msr(FILE *out, const struct list_row *row) {
  fprintf(out, "%s  MSR %s\n", row->cell[0], row->cell[1]);
}

void explain_check(FILE *out, const struct list_row *row) {
  bool is_guest = strcmp(row->cell[1], "guest state") == 0;
  fprintf(out, "%s  check of a VM entry, %s: %s\n", row->cell[0], row->cell[1], row->cell[5]);
  if (is_guest)
    fprintf(out, "    fails as exit reason %s with qualification %s", row->cell[2], row->cell[3]);
  else
    fprintf(out, "    fails as VM-instruction error %s", row->cell[2]);
  fprintf(out, "; SDM 3C \"%s\"\n", row->cell[4]);
}

void explain_event(FILE *out, const struct list_row *row) {
  fprintf(out, "%s  trace event '%s', caused by %s: counted as \"%s\"\n", row->cell[0],
          row->cell[1], strcmp(row->cell[2], "unknown") == 0 ? "nobody knows whom" : row->cell[2],
          row->cell[4]);
  if (row->cell[3][0]) fprintf(out, "    arguments: %s\n", row->cell[3]);
}

/* ---- Numbers and values -------------------------------------------------------------------- */

static unsigned print_failed_entry(FILE *out, uint64_t number) {
  if (number > UINT32_MAX || !(number & EXIT_REASON_FAILED_ENTRY)) return 0;
  const char *name = vmcs_reason_name((uint32_t)number & UINT16_MAX);
  if (name[0] == '?') return 0;
  fprintf(out, "0x%" PRIx64 "  exit reason of a failed VM entry (bit 31): EXIT_REASON_%s, %u\n",
          number, name, (unsigned)number & UINT16_MAX);
  return 1;
}

/* Only 64-bit fields have a high half. */
static unsigned print_high_half(FILE *out, uint64_t number) {
  if (number > UINT32_MAX || !vmcs_encoding_is_high((uint32_t)number)) return 0;
  enum vmcs_field field = vmcs_field_of((uint32_t)number);
  if (field == FIELD_NONE || vmcs_field_info[field].width != VMCS_WIDTH_64) return 0;
  struct list_row row;
  fprintf(out, "0x%04x is the high half of\n", (unsigned)number);
  cli_list_find("fields")->row(field, &row);
  explain_field(out, &row);
  return 1;
}

unsigned explain_derived(FILE *out, uint64_t number) {
  return print_high_half(out, number) + print_failed_entry(out, number);
}

static void print_bits(FILE *out, unsigned word, uint64_t value) {
  uint64_t named = 0;
  for (unsigned i = 0; i < vmcs_control_count; i++) {
    const struct vmcs_control_info *info = &vmcs_control_info[i];
    if (info->word != word) continue;
    named |= UINT64_C(1) << info->bit;
    fprintf(out, "    %2u  %u  %-40s %s\n", info->bit, (unsigned)(value >> info->bit & 1),
            info->name, info->title);
  }
  uint64_t others = value & ~named;
  if (others == 0) return;
  fputs("    set, but without a name (reserved or default1):", out);
  for (unsigned bit = 0; bit < 64; bit++) {
    if (others >> bit & 1) fprintf(out, " %u", bit);
  }
  fputc('\n', out);
}

static void print_reason_value(FILE *out, uint64_t value) {
  fprintf(out, "VM_EXIT_REASON 0x%" PRIx64 "\n    basic reason %u: EXIT_REASON_%s\n", value,
          (unsigned)value & UINT16_MAX, vmcs_reason_name((uint32_t)value & UINT16_MAX));
  if (value & EXIT_REASON_FAILED_ENTRY) fputs("    bit 31: the VM entry failed\n", out);
  if (value >> 27 & 1) fputs("    bit 27: from enclave mode\n", out);
}

bool explain_word(FILE *out, const char *name, uint64_t value) {
  static const enum vmcs_field fields[WORD_COUNT] = {
      [WORD_PIN] = FIELD_PIN_BASED_VM_EXEC_CONTROL,
      [WORD_PRIMARY] = FIELD_CPU_BASED_VM_EXEC_CONTROL,
      [WORD_SECONDARY] = FIELD_SECONDARY_VM_EXEC_CONTROL,
      [WORD_TERTIARY] = FIELD_TERTIARY_VM_EXEC_CONTROL,
      [WORD_EXIT] = FIELD_VM_EXIT_CONTROLS,
      [WORD_ENTRY] = FIELD_VM_ENTRY_CONTROLS};
  if (strcasecmp(name, vmcs_field_info[FIELD_VM_EXIT_REASON].name) == 0) {
    print_reason_value(out, value);
    return true;
  }
  for (unsigned word = 0; word < WORD_COUNT; word++) {
    if (strcasecmp(name, vmcs_field_info[fields[word]].name) != 0) continue;
    fprintf(out, "%s 0x%" PRIx64 ": %s\n", vmcs_field_info[fields[word]].name, value,
            cli_word_names[word]);
    print_bits(out, word, value);
    return true;
  }
  return false;
}

bool explain_qualification(FILE *out, const char *name, uint64_t value) {
  static const char prefix[] = "EXIT_REASON_";
  unsigned parts = 0, number = 0;
  if (strncasecmp(name, prefix, sizeof prefix - 1) == 0) name += sizeof prefix - 1;
  for (; number < EXIT_REASON_LIMIT; number++) {
    const char *own = vmcs_reason_info[number].name;
    if (own && strcasecmp(own, name) == 0) break;
  }
  if (number == EXIT_REASON_LIMIT) return false;
  const struct vmcs_reason_info *info = &vmcs_reason_info[number];
  fprintf(out, "EXIT_REASON_%s with qualification 0x%" PRIx64 "\n", info->name, value);
  for (unsigned i = 0; i < vmcs_qualification_count; i++) {
    const struct vmcs_qualification_part *part = &vmcs_qualification_part[i];
    char text[LIST_TEXT];
    if (strcmp(part->kind, info->qualification) != 0) continue;
    fprintf(out, "    %s: %s\n", part->name,
            vmcs_qualification_text(part, value, text, sizeof text));
    parts++;
  }
  if (parts == 0) fputs("    the qualification of this reason has no meaning\n", out);
  return true;
}
