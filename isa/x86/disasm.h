/* SPDX-License-Identifier: MIT
 * Text of instructions, by two decoders that know nothing of each other. */
#ifndef ISA_X86_DISASM_H
#define ISA_X86_DISASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the first instruction of `bytes` at address `rip` as text, always terminated, cut to
 * text_size (at least 1). Returns its length in bytes, or 0 if the decoder refuses it. */
unsigned isa_disassemble_zydis(const uint8_t *bytes, size_t size, uint64_t rip, char *text,
                               size_t text_size);
unsigned isa_disassemble_capstone(const uint8_t *bytes, size_t size, uint64_t rip, char *text,
                                  size_t text_size);

struct isa_decoders_report {
  unsigned zydis_length, capstone_length; /* bytes; 0: refused */
  char zydis[32], capstone[32];           /* mnemonics without prefixes, empty: refused */
  const char *known; /* why they differ, if the table of known differences says so, else NULL */
};

/* True if both decoders give the same length and the same mnemonic, taking for the same what is
 * only another name (JZ, JE). A difference that is known leaves its reason in report->known. */
bool isa_decoders_agree(const uint8_t *bytes, size_t size, struct isa_decoders_report *report);

#endif
