/* SPDX-License-Identifier: MIT
 * Disassembly by Zydis and by Capstone, and where the two differ. */
#include "isa/x86/disasm.h"

#include <stdio.h>
#include <string.h>

#include <capstone/capstone.h>
#include <Zydis/Zydis.h>

unsigned isa_disassemble_zydis(const uint8_t *bytes, size_t size, uint64_t rip, char *text,
                               size_t text_size) {
  ZydisDisassembledInstruction instruction;
  text[0] = '\0';
  if (ZYAN_FAILED(
          ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, rip, bytes, size, &instruction)))
    return 0;
  snprintf(text, text_size, "%s", instruction.text);
  return instruction.info.length;
}

unsigned isa_disassemble_capstone(const uint8_t *bytes, size_t size, uint64_t rip, char *text,
                                  size_t text_size) {
  csh handle;
  cs_insn *instruction = NULL;
  unsigned length = 0;
  text[0] = '\0';
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return 0;
  if (cs_disasm(handle, bytes, size, rip, 1, &instruction) == 1) {
    bool operands = instruction->op_str[0];
    snprintf(text, text_size, "%s%s%s", instruction->mnemonic, operands ? " " : "",
             instruction->op_str);
    length = instruction->size;
    cs_free(instruction, 1);
  }
  cs_close(&handle);
  return length;
}

/* Two names of one instruction. */
struct synonym {
  const char *zydis, *capstone;
};

static const struct synonym synonyms[] = {
    {"jz", "je"},         {"jnz", "jne"},       {"jb", "jb"},         {"jnb", "jae"},
    {"jnbe", "ja"},       {"jnl", "jge"},       {"jnle", "jg"},       {"jbe", "jbe"},
    {"setz", "sete"},     {"setnz", "setne"},   {"setnb", "setae"},   {"setnbe", "seta"},
    {"setnl", "setge"},   {"setnle", "setg"},   {"cmovz", "cmove"},   {"cmovnz", "cmovne"},
    {"cmovnb", "cmovae"}, {"cmovnbe", "cmova"}, {"cmovnl", "cmovge"}, {"cmovnle", "cmovg"},
    {"ret", "retf"},      {"ret", "retfq"},     {"mov", "movabs"},    {"int3", "int3"},
    {"jmp", "ljmp"},      {"call", "lcall"},    {"shl", "sal"},       {"xchg", "nop"},
};

/* Capstone 4.0.2 against Zydis 4.0.0, as measured. An empty name: the decoder refuses. */
struct difference {
  const char *zydis, *capstone, *why;
};

static const struct difference differences[] = {
    {"seamcall", "encls", "Capstone misnames SEAMCALL"},
    {"senduipi", "rdrand", "Capstone misnames SENDUIPI"},
    {"umwait", "mfence", "Capstone does not know UMWAIT"},
    {"tpause", "mfence", "Capstone does not know TPAUSE"},
    {"pconfig", "", "Capstone refuses PCONFIG"},
    {"ud0", "ud0", "Capstone takes UD0 to have no ModRM byte"},
    {"ud1", "ud2b", "Capstone takes UD1 to have no ModRM byte"},
};

static bool is_prefix(const char *word) {
  static const char *const prefixes[] = {"rep",  "repe",     "repz",     "repne", "repnz",
                                         "lock", "xrelease", "xacquire", "bnd",   "notrack"};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    if (strcmp(word, prefixes[i]) == 0) return true;
  return false;
}

/* The first word of the text that is no prefix. */
static void take_mnemonic(const char *text, char *word, size_t size) {
  word[0] = '\0';
  do {
    size_t length = strcspn(text, " ");
    snprintf(word, size, "%.*s", (int)length, text);
    text += length + (text[length] == ' ');
  } while (is_prefix(word) && *text);
}

static bool same_name(const char *zydis, const char *capstone) {
  if (strcmp(zydis, capstone) == 0) return true;
  for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
    if (strcmp(zydis, synonyms[i].zydis) == 0 && strcmp(capstone, synonyms[i].capstone) == 0)
      return true;
  return false;
}

static const char *find_reason(const struct isa_decoders_report *report) {
  for (size_t i = 0; i < sizeof differences / sizeof *differences; i++)
    if (strcmp(report->zydis, differences[i].zydis) == 0 &&
        strcmp(report->capstone, differences[i].capstone) == 0)
      return differences[i].why;
  return NULL;
}

bool isa_decoders_agree(const uint8_t *bytes, size_t size, struct isa_decoders_report *report) {
  char zydis[128], capstone[256];
  memset(report, 0, sizeof *report);
  report->zydis_length = isa_disassemble_zydis(bytes, size, 0, zydis, sizeof zydis);
  report->capstone_length = isa_disassemble_capstone(bytes, size, 0, capstone, sizeof capstone);
  take_mnemonic(zydis, report->zydis, sizeof report->zydis);
  take_mnemonic(capstone, report->capstone, sizeof report->capstone);
  bool agree =
      report->zydis_length == report->capstone_length && same_name(report->zydis, report->capstone);
  if (!agree) report->known = find_reason(report);
  return agree;
}
