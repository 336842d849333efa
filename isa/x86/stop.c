/* SPDX-License-Identifier: MIT
 * The sentence that says why the interpreter cannot go on. */
#include <inttypes.h>
#include <stdio.h>

#include "isa/x86/disasm.h"
#include "isa/x86/exec.h"

enum isa_step isa_stop(struct isa_x86 *isa, const char *why, const uint8_t *bytes, size_t size) {
  char hex[3 * ISA_LENGTH_MAX + 1] = "", text[128] = "";
  uint64_t rip = isa->state.rip;
  if (size > ISA_LENGTH_MAX) size = ISA_LENGTH_MAX;
  for (size_t i = 0; i < size; i++) snprintf(hex + 3 * i, 4, " %02x", bytes[i]);
  if (size) isa_disassemble_zydis(bytes, size, rip, text, sizeof text);
  if (!size)
    snprintf(isa->stop, sizeof isa->stop, "%s at 0x%" PRIx64, why, rip);
  else
    snprintf(isa->stop, sizeof isa->stop, "%s at 0x%" PRIx64 ": bytes%s: %s", why, rip, hex,
             text[0] ? text : "no disassembly");
  return ISA_STOP;
}
