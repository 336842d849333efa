/* SPDX-License-Identifier: MIT
 * Writes nst_encodings.h, the public spelling of the VMCS fields, exit reasons and VM-instruction
 * errors, from the same lists that the library is compiled from.
 * Usage: gen_encodings OUTPUT */
#include <stddef.h>
#include <stdio.h>

struct row {
  const char *name;
  unsigned number;
  const char *text;
};

static const struct row fields[] = {
#define VMCS_FIELD(name, encoding, width, kind, present, title) {#name, (encoding), (title)},
#include "vmcs/field.def"
};

static const struct row reasons[] = {
#define EXIT_REASON(name, number, qualification, information, length_valid, title) \
  {#name, (number), (title)},
#include "vmcs/reason.def"
};

static const struct row errors[] = {
#define VMX_ERROR(name, number, text) {#name, (number), (text)},
#include "vmcs/error.def"
};

static void write_enum(FILE *out, const char *tag, const char *prefix, const char *format,
                       const struct row *rows, size_t count) {
  fprintf(out, "\nenum %s {\n", tag);
  for (size_t i = 0; i < count; i++) {
    char number[16];
    snprintf(number, sizeof number, format[0] == 'x' ? "0x%04x" : "%u", rows[i].number);
    fprintf(out, "  %s%s = %s%s /* %s */\n", prefix, rows[i].name, number, i + 1 < count ? "," : "",
            rows[i].text);
  }
  fprintf(out, "};\n");
}

static void write_header(FILE *out) {
  fprintf(out,
          "/* SPDX-License-Identifier: MIT\n"
          " * Generated from vmcs/field.def, reason.def and error.def. Do not edit.\n"
          " * Names and numbers of the Intel manual (SDM), spelt as Linux spells them. */\n"
          "#ifndef NST_ENCODINGS_H\n#define NST_ENCODINGS_H\n");
  fprintf(out, "\n/* VMCS fields: encodings for VMREAD and VMWRITE. */");
  write_enum(out, "nst_field", "NST_FIELD_", "x", fields, sizeof fields / sizeof *fields);
  fprintf(out, "\n/* Basic exit reasons. */");
  write_enum(out, "nst_exit", "NST_EXIT_", "u", reasons, sizeof reasons / sizeof *reasons);
  fprintf(out, "\n/* VM-instruction errors. */");
  write_enum(out, "nst_vmx_error", "NST_VMXERR_", "u", errors, sizeof errors / sizeof *errors);
  fprintf(out, "\n#endif\n");
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: gen_encodings OUTPUT\n");
    return 2;
  }
  FILE *out = fopen(argv[1], "w");
  if (out == NULL) {
    perror(argv[1]);
    return 1;
  }
  write_header(out);
  int failed = ferror(out);
  failed |= fclose(out);
  if (failed) perror(argv[1]);
  return failed ? 1 : 0;
}
