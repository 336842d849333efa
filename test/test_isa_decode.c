/* SPDX-License-Identifier: MIT
 * Every row of the instruction table has a sample here, decoded by our decoder and compared between
 * Zydis and Capstone. */
#include <stdio.h>
#include <string.h>

#include "isa/x86/disasm.h"
#include "isa/x86/uop.h"
#include "test/expect.h"
#include "test/fake_isa.h"

struct sample {
  const char *name; /* of the row */
  const char *bytes;
  unsigned size;
};

#define SAMPLE(name, bytes) \
  { name, bytes, sizeof bytes - 1 }

static const struct sample samples[] = {
    SAMPLE("MOV", "\x48\x89\xd8"),
    SAMPLE("MOV", "\x48\xb8\1\2\3\4\5\6\7\x08"),
    SAMPLE("MOV", "\xa0\0\x40\0\0\0\0\0\0"),
    SAMPLE("MOV", "\x48\xc7\xc0\xff\xff\xff\xff"),
    SAMPLE("MOVZX", "\x0f\xb6\xc3"),
    SAMPLE("MOVSX", "\x48\x0f\xbe\xc3"),
    SAMPLE("MOVSXD", "\x48\x63\xc3"),
    SAMPLE("MOVNTI", "\x48\x0f\xc3\x03"),
    SAMPLE("LEA", "\x48\x8d\x44\x4b\x10"),
    SAMPLE("XCHG", "\x48\x87\x03"),
    SAMPLE("PUSH", "\x50"),
    SAMPLE("PUSH", "\x0f\xa0"),
    SAMPLE("PUSH", "\x6a\xff"),
    SAMPLE("POP", "\x58"),
    SAMPLE("LEAVE", "\xc9"),
    SAMPLE("PUSHF", "\x66\x9c"),
    SAMPLE("PUSHFQ", "\x9c"),
    SAMPLE("POPF", "\x66\x9d"),
    SAMPLE("POPFQ", "\x9d"),
    SAMPLE("CBW", "\x66\x98"),
    SAMPLE("CWDE", "\x98"),
    SAMPLE("CDQE", "\x48\x98"),
    SAMPLE("CWD", "\x66\x99"),
    SAMPLE("CDQ", "\x99"),
    SAMPLE("CQO", "\x48\x99"),
    SAMPLE("CMOVO", "\x0f\x40\xc3"),
    SAMPLE("CMOVNO", "\x0f\x41\xc3"),
    SAMPLE("CMOVB", "\x0f\x42\xc3"),
    SAMPLE("CMOVNB", "\x0f\x43\xc3"),
    SAMPLE("CMOVZ", "\x0f\x44\xc3"),
    SAMPLE("CMOVNZ", "\x0f\x45\xc3"),
    SAMPLE("CMOVBE", "\x0f\x46\xc3"),
    SAMPLE("CMOVNBE", "\x0f\x47\xc3"),
    SAMPLE("CMOVS", "\x0f\x48\xc3"),
    SAMPLE("CMOVNS", "\x0f\x49\xc3"),
    SAMPLE("CMOVP", "\x0f\x4a\xc3"),
    SAMPLE("CMOVNP", "\x0f\x4b\xc3"),
    SAMPLE("CMOVL", "\x0f\x4c\xc3"),
    SAMPLE("CMOVNL", "\x0f\x4d\xc3"),
    SAMPLE("CMOVLE", "\x0f\x4e\xc3"),
    SAMPLE("CMOVNLE", "\x0f\x4f\xc3"),
    SAMPLE("ADD", "\x00\xd8"),
    SAMPLE("OR", "\x09\xd8"),
    SAMPLE("ADC", "\x11\xd8"),
    SAMPLE("SBB", "\x19\xd8"),
    SAMPLE("AND", "\x21\xd8"),
    SAMPLE("SUB", "\x29\xd8"),
    SAMPLE("XOR", "\x31\xd8"),
    SAMPLE("CMP", "\x39\xd8"),
    SAMPLE("TEST", "\x85\xd8"),
    SAMPLE("INC", "\xff\xc0"),
    SAMPLE("DEC", "\xff\xc8"),
    SAMPLE("NEG", "\xf7\xd8"),
    SAMPLE("NOT", "\xf7\xd0"),
    SAMPLE("CMPXCHG", "\xf0\x48\x0f\xb1\x0b"),
    SAMPLE("XADD", "\xf0\x48\x0f\xc1\x03"),
    SAMPLE("MUL", "\xf7\xe3"),
    SAMPLE("IMUL", "\xf7\xeb"),
    SAMPLE("IMUL", "\x0f\xaf\xc3"),
    SAMPLE("IMUL", "\x6b\xc3\x05"),
    SAMPLE("DIV", "\xf7\xf3"),
    SAMPLE("IDIV", "\xf7\xfb"),
    SAMPLE("ROL", "\xd1\xc0"),
    SAMPLE("ROR", "\xd1\xc8"),
    SAMPLE("RCL", "\xd1\xd0"),
    SAMPLE("RCR", "\xd1\xd8"),
    SAMPLE("SHL", "\xd1\xe0"),
    SAMPLE("SHR", "\xc1\xe8\x05"),
    SAMPLE("SAR", "\xd3\xf8"),
    SAMPLE("SHLD", "\x0f\xa4\xd8\x03"),
    SAMPLE("SHRD", "\x0f\xad\xd8"),
    SAMPLE("BT", "\x0f\xa3\xd8"),
    SAMPLE("BTS", "\x0f\xab\xd8"),
    SAMPLE("BTR", "\x0f\xb3\xd8"),
    SAMPLE("BTC", "\x0f\xba\xf8\x03"),
    SAMPLE("BSF", "\x0f\xbc\xc3"),
    SAMPLE("BSR", "\x0f\xbd\xc3"),
    SAMPLE("TZCNT", "\xf3\x0f\xbc\xc3"),
    SAMPLE("LZCNT", "\xf3\x0f\xbd\xc3"),
    SAMPLE("POPCNT", "\xf3\x0f\xb8\xc3"),
    SAMPLE("BSWAP", "\x0f\xc8"),
    SAMPLE("SETO", "\x0f\x90\xc0"),
    SAMPLE("SETNO", "\x0f\x91\xc0"),
    SAMPLE("SETB", "\x0f\x92\xc0"),
    SAMPLE("SETNB", "\x0f\x93\xc0"),
    SAMPLE("SETZ", "\x0f\x94\xc0"),
    SAMPLE("SETNZ", "\x0f\x95\xc0"),
    SAMPLE("SETBE", "\x0f\x96\xc0"),
    SAMPLE("SETNBE", "\x0f\x97\xc0"),
    SAMPLE("SETS", "\x0f\x98\xc0"),
    SAMPLE("SETNS", "\x0f\x99\xc0"),
    SAMPLE("SETP", "\x0f\x9a\xc0"),
    SAMPLE("SETNP", "\x0f\x9b\xc0"),
    SAMPLE("SETL", "\x0f\x9c\xc0"),
    SAMPLE("SETNL", "\x0f\x9d\xc0"),
    SAMPLE("SETLE", "\x0f\x9e\xc0"),
    SAMPLE("SETNLE", "\x0f\x9f\xc0"),
    SAMPLE("JO", "\x70\0"),
    SAMPLE("JNO", "\x71\0"),
    SAMPLE("JB", "\x72\0"),
    SAMPLE("JNB", "\x73\0"),
    SAMPLE("JZ", "\x74\0"),
    SAMPLE("JNZ", "\x75\0"),
    SAMPLE("JBE", "\x76\0"),
    SAMPLE("JNBE", "\x77\0"),
    SAMPLE("JS", "\x78\0"),
    SAMPLE("JNS", "\x79\0"),
    SAMPLE("JP", "\x7a\0"),
    SAMPLE("JNP", "\x7b\0"),
    SAMPLE("JL", "\x7c\0"),
    SAMPLE("JNL", "\x7d\0"),
    SAMPLE("JLE", "\x7e\0"),
    SAMPLE("JNLE", "\x0f\x8f\0\0\0\0"),
    SAMPLE("JMP", "\xeb\0"),
    SAMPLE("CALL", "\xe8\0\0\0\0"),
    SAMPLE("RET", "\xc3"),
    SAMPLE("RET_FAR", "\x48\xcb"),
    SAMPLE("LOOP", "\xe2\0"),
    SAMPLE("LOOPE", "\xe1\0"),
    SAMPLE("LOOPNE", "\xe0\0"),
    SAMPLE("JRCXZ", "\xe3\0"),
    SAMPLE("JECXZ", "\x67\xe3\0"),
    SAMPLE("INT", "\xcd\x80"),
    SAMPLE("INT3", "\xcc"),
    SAMPLE("INT1", "\xf1"),
    SAMPLE("IRET", "\x66\xcf"),
    SAMPLE("IRETD", "\xcf"),
    SAMPLE("IRETQ", "\x48\xcf"),
    SAMPLE("UD0", "\x0f\xff\xc0"),
    SAMPLE("UD1", "\x0f\xb9\xc0"),
    SAMPLE("UD2", "\x0f\x0b"),
    SAMPLE("MOVSB", "\xf3\xa4"),
    SAMPLE("MOVSW", "\x66\xa5"),
    SAMPLE("MOVSD", "\xa5"),
    SAMPLE("MOVSQ", "\x48\xa5"),
    SAMPLE("STOSB", "\xaa"),
    SAMPLE("STOSW", "\x66\xab"),
    SAMPLE("STOSD", "\xab"),
    SAMPLE("STOSQ", "\xf3\x48\xab"),
    SAMPLE("LODSB", "\xac"),
    SAMPLE("LODSW", "\x66\xad"),
    SAMPLE("LODSD", "\xad"),
    SAMPLE("LODSQ", "\x48\xad"),
    SAMPLE("SCASB", "\xf2\xae"),
    SAMPLE("SCASW", "\x66\xaf"),
    SAMPLE("SCASD", "\xaf"),
    SAMPLE("SCASQ", "\x48\xaf"),
    SAMPLE("CMPSB", "\xf3\xa6"),
    SAMPLE("CMPSW", "\x66\xa7"),
    SAMPLE("CMPSD", "\xa7"),
    SAMPLE("CMPSQ", "\x48\xa7"),
    SAMPLE("IN", "\xe4\x60"),
    SAMPLE("OUT", "\xee"),
    SAMPLE("INSB", "\xf3\x6c"),
    SAMPLE("INSW", "\x66\x6d"),
    SAMPLE("INSD", "\x6d"),
    SAMPLE("OUTSB", "\xf3\x6e"),
    SAMPLE("OUTSW", "\x66\x6f"),
    SAMPLE("OUTSD", "\x6f"),
    SAMPLE("CLC", "\xf8"),
    SAMPLE("STC", "\xf9"),
    SAMPLE("CMC", "\xf5"),
    SAMPLE("CLD", "\xfc"),
    SAMPLE("STD", "\xfd"),
    SAMPLE("CLAC", "\x0f\x01\xca"),
    SAMPLE("STAC", "\x0f\x01\xcb"),
    SAMPLE("LAHF", "\x9f"),
    SAMPLE("SAHF", "\x9e"),
    SAMPLE("CLI", "\xfa"),
    SAMPLE("STI", "\xfb"),
    SAMPLE("NOP", "\x90"),
    SAMPLE("NOP", "\x0f\x1f\x44\0\0"),
    SAMPLE("ENDBR32", "\xf3\x0f\x1e\xfb"),
    SAMPLE("ENDBR64", "\xf3\x0f\x1e\xfa"),
    SAMPLE("MFENCE", "\x0f\xae\xf0"),
    SAMPLE("LFENCE", "\x0f\xae\xe8"),
    SAMPLE("SFENCE", "\x0f\xae\xf8"),
    SAMPLE("PREFETCHNTA", "\x0f\x18\x03"),
    SAMPLE("PREFETCHT0", "\x0f\x18\x0b"),
    SAMPLE("PREFETCHT1", "\x0f\x18\x13"),
    SAMPLE("PREFETCHT2", "\x0f\x18\x1b"),
    SAMPLE("PREFETCHW", "\x0f\x0d\x0b"),
    SAMPLE("PAUSE", "\xf3\x90"),
    SAMPLE("CPUID", "\x0f\xa2"),
    SAMPLE("HLT", "\xf4"),
    SAMPLE("INVD", "\x0f\x08"),
    SAMPLE("WBINVD", "\x0f\x09"),
    SAMPLE("INVLPG", "\x0f\x01\x3b"),
    SAMPLE("RDTSC", "\x0f\x31"),
    SAMPLE("RDTSCP", "\x0f\x01\xf9"),
    SAMPLE("RDMSR", "\x0f\x32"),
    SAMPLE("WRMSR", "\x0f\x30"),
    SAMPLE("CLTS", "\x0f\x06"),
    SAMPLE("LMSW", "\x0f\x01\xf0"),
    SAMPLE("SMSW", "\x0f\x01\xe0"),
    SAMPLE("XSETBV", "\x0f\x01\xd1"),
    SAMPLE("XGETBV", "\x0f\x01\xd0"),
    SAMPLE("SWAPGS", "\x0f\x01\xf8"),
    SAMPLE("SGDT", "\x0f\x01\x03"),
    SAMPLE("SIDT", "\x0f\x01\x0b"),
    SAMPLE("LGDT", "\x0f\x01\x13"),
    SAMPLE("LIDT", "\x0f\x01\x1b"),
    SAMPLE("SLDT", "\x0f\x00\xc0"),
    SAMPLE("STR", "\x0f\x00\xc8"),
    SAMPLE("LLDT", "\x0f\x00\xd0"),
    SAMPLE("LTR", "\x0f\x00\xd8"),
    SAMPLE("MONITOR", "\x0f\x01\xc8"),
    SAMPLE("MWAIT", "\x0f\x01\xc9"),
    SAMPLE("RDPMC", "\x0f\x33"),
    SAMPLE("RDRAND", "\x0f\xc7\xf0"),
    SAMPLE("RDSEED", "\x0f\xc7\xf8"),
    SAMPLE("INVPCID", "\x66\x0f\x38\x82\x03"),
    SAMPLE("VMCALL", "\x0f\x01\xc1"),
    SAMPLE("VMCLEAR", "\x66\x0f\xc7\x33"),
    SAMPLE("VMLAUNCH", "\x0f\x01\xc2"),
    SAMPLE("VMPTRLD", "\x0f\xc7\x33"),
    SAMPLE("VMPTRST", "\x0f\xc7\x3b"),
    SAMPLE("VMREAD", "\x0f\x78\xc3"),
    SAMPLE("VMRESUME", "\x0f\x01\xc3"),
    SAMPLE("VMWRITE", "\x0f\x79\xc3"),
    SAMPLE("VMXOFF", "\x0f\x01\xc4"),
    SAMPLE("VMXON", "\xf3\x0f\xc7\x33"),
    SAMPLE("INVEPT", "\x66\x0f\x38\x80\x03"),
    SAMPLE("INVVPID", "\x66\x0f\x38\x81\x03"),
    SAMPLE("VMFUNC", "\x0f\x01\xd4"),
    SAMPLE("MOV_TO_CR", "\x0f\x22\xd8"),
    SAMPLE("MOV_FROM_CR", "\x44\x0f\x20\xc0"),
    SAMPLE("MOV_TO_DR", "\x0f\x23\xf8"),
    SAMPLE("MOV_FROM_DR", "\x0f\x21\xf0"),
    SAMPLE("MOV_TO_SEGMENT", "\x8e\xd8"),
    SAMPLE("MOV_FROM_SEGMENT", "\x8c\xd8"),
    SAMPLE("POP_SEGMENT", "\x0f\xa1"),
};

enum { SAMPLE_COUNT = sizeof samples / sizeof *samples };

static void every_row_has_a_sample(void) {
#define ISA_INSN(name, handler, argument, privilege, check, intercept) #name,
#define ISA_FORM ISA_INSN
  static const char *const rows[] = {
#include "isa/x86/insn.def"
  };
#undef ISA_INSN
#undef ISA_FORM
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    bool found = false;
    for (size_t j = 0; j < SAMPLE_COUNT && !found; j++)
      found = strcmp(rows[i], samples[j].name) == 0;
    EXPECT_TRUE(rows[i], found);
  }
}

static void samples_decode_to_their_length(void) {
  static struct fake_isa fake;
  fake_init(&fake);
  for (size_t i = 0; i < SAMPLE_COUNT; i++) {
    struct isa_uop uop;
    EXPECT_EQ(samples[i].name,
              isa_decode(&fake.isa, (const uint8_t *)samples[i].bytes, samples[i].size, &uop),
              samples[i].size);
  }
  fake_fini(&fake);
}

/* A sample whose row is FORM_SUBFORM has the mnemonic FORM. */
static void samples_have_the_mnemonic_of_their_row(void) {
  for (size_t i = 0; i < SAMPLE_COUNT; i++) {
    struct isa_decoders_report report;
    char row[32];
    snprintf(row, sizeof row, "%s", samples[i].name);
    row[strcspn(row, "_")] = '\0';
    for (char *c = row; *c; c++)
      if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    isa_decoders_agree((const uint8_t *)samples[i].bytes, samples[i].size, &report);
    EXPECT_STRING(samples[i].name, report.zydis, row);
  }
}

static void samples_agree_between_decoders(void) {
  for (size_t i = 0; i < SAMPLE_COUNT; i++)
    fake_expect_decoders(samples[i].name, (const uint8_t *)samples[i].bytes, samples[i].size);
}

/* Differences that we know are asserted: when a decoder is updated, this says so. */
static void known_differences_still_exist(void) {
  static const struct sample known[] = {
      SAMPLE("SEAMCALL", "\x66\x0f\x01\xcf"), SAMPLE("SENDUIPI", "\xf3\x0f\xc7\xf0"),
      SAMPLE("UMWAIT", "\xf2\x0f\xae\xf0"),   SAMPLE("TPAUSE", "\x66\x0f\xae\xf0"),
      SAMPLE("PCONFIG", "\x0f\x01\xc5"),      SAMPLE("UD0", "\x0f\xff\xc0"),
      SAMPLE("UD1", "\x0f\xb9\xc0"),
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    struct isa_decoders_report report;
    char what[128];
    bool agree = isa_decoders_agree((const uint8_t *)known[i].bytes, known[i].size, &report);
    snprintf(what, sizeof what, "%s: Zydis %s %u, Capstone %s %u", known[i].name, report.zydis,
             report.zydis_length, report.capstone, report.capstone_length);
    EXPECT_TRUE(what, !agree && report.known);
  }
}

static void unknown_bytes_return_zero_with_text(void) {
  static struct fake_isa fake;
  struct isa_uop uop;
  fake_init(&fake);
  EXPECT_EQ("vector", isa_decode(&fake.isa, (const uint8_t *)"\x0f\x28\xc1", 3, &uop), 0);
  EXPECT_CONTAINS("vector", fake.isa.stop, "not modelled at 0x1000: bytes 0f 28 c1: movaps");
  EXPECT_EQ("invalid", isa_decode(&fake.isa, (const uint8_t *)"\x06\x90", 2, &uop), 0);
  EXPECT_CONTAINS("invalid", fake.isa.stop, "not an instruction");
  EXPECT_EQ("short", isa_decode(&fake.isa, (const uint8_t *)"\x48", 1, &uop), 0);
  EXPECT_CONTAINS("short", fake.isa.stop, "more bytes");
  fake_fini(&fake);
}

/* No byte string may crash the decoders. */
static void random_bytes_do_not_crash(void) {
  static struct fake_isa fake;
  uint64_t seed = 1;
  fake_init(&fake);
  for (unsigned i = 0; i < 200000; i++) {
    uint8_t bytes[15];
    struct isa_uop uop;
    for (unsigned j = 0; j < sizeof bytes; j++) {
      seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
      bytes[j] = (uint8_t)(seed >> 56);
    }
    unsigned length = isa_decode(&fake.isa, bytes, sizeof bytes, &uop);
    if (length > 15) EXPECT_EQ("length", length, 15);
  }
  fake_fini(&fake);
}

CU_TestInfo isa_decode_tests[] = {
    {"rows_each_have_a_sample", every_row_has_a_sample},
    {"samples_decode_to_their_length", samples_decode_to_their_length},
    {"samples_have_the_mnemonic_of_their_row", samples_have_the_mnemonic_of_their_row},
    {"samples_agree_between_decoders", samples_agree_between_decoders},
    {"known_differences_still_exist", known_differences_still_exist},
    {"unknown_bytes_return_zero_with_text", unknown_bytes_return_zero_with_text},
    {"random_bytes_do_not_crash", random_bytes_do_not_crash},
    CU_TEST_INFO_NULL,
};
