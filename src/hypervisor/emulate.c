/* SPDX-License-Identifier: MIT
 * EPT violations and misconfigurations of the direct guest: memory is backed on first touch; an
 * access to where there is no memory is emulated, MOV forms only, as device registers see it. */
#include "src/hypervisor/hv.h"

enum { VECTOR_UD = 6, APIC_PAGE = 0xfee00 };

/* A decoded MOV between a register or immediate and memory. */
struct move {
  unsigned length;
  unsigned size;
  unsigned reg;
  bool store, immediate, zero_extend;
  bool high_byte; /* AH, CH, DH, BH */
  uint64_t value; /* immediate */
};

struct bytes {
  uint8_t at[15];
  unsigned next;
  unsigned rex;
  bool operand16;
};

static uint64_t take(struct bytes *bytes, unsigned count) {
  uint64_t value = 0;
  for (unsigned i = 0; i < count && bytes->next < sizeof bytes->at; i++)
    value |= (uint64_t)bytes->at[bytes->next++] << 8 * i;
  return value;
}

static void take_prefixes(struct bytes *bytes) {
  for (;;) {
    uint8_t byte = bytes->at[bytes->next];
    if (byte == 0x66)
      bytes->operand16 = true;
    else if (byte >> 4 == 4)
      bytes->rex = byte;
    else if (byte != 0x67 && byte != 0x2e && byte != 0x3e && byte != 0x26 && byte != 0x36 &&
             byte != 0x64 && byte != 0x65)
      return;
    if (++bytes->next >= sizeof bytes->at) return;
  }
}

/* Skips ModRM, SIB and displacement: where the access went, the exit has told. */
static unsigned take_modrm(struct bytes *bytes) {
  unsigned modrm = (unsigned)take(bytes, 1), mod = modrm >> 6, rm = modrm & 7;
  bool displacement32 = mod == 2 || (mod == 0 && rm == 5);
  if (rm == 4) {
    unsigned base = (unsigned)take(bytes, 1) & 7;
    if (mod == 0 && base == 5) displacement32 = true;
  }
  take(bytes, displacement32 ? 4 : mod == 1 ? 1 : 0);
  return (modrm >> 3 & 7) | (bytes->rex & 4) << 1;
}

static bool decode(struct bytes *bytes, struct move *move) {
  take_prefixes(bytes);
  unsigned opcode = (unsigned)take(bytes, 1);
  if (opcode == 0x0f) opcode = 0x0f00 | (unsigned)take(bytes, 1);
  unsigned wide = bytes->rex & 8 ? 8 : bytes->operand16 ? 2 : 4;
  bool byte = !(opcode & 1);
  move->size = byte ? 1 : wide;
  switch (opcode) {
    case 0x88:
    case 0x89:
    case 0x8a:
    case 0x8b:
      move->store = opcode < 0x8a;
      move->reg = take_modrm(bytes);
      break;
    case 0xc6:
    case 0xc7:
      move->store = move->immediate = true;
      take_modrm(bytes);
      move->value = take(bytes, byte ? 1 : wide == 8 ? 4 : wide);
      if (wide == 8) move->value = (uint64_t)(int64_t)(int32_t)(uint32_t)move->value;
      break;
    case 0xa0: /* moffs */
    case 0xa1:
    case 0xa2:
    case 0xa3:
      move->store = opcode >= 0xa2;
      move->reg = NST_REG_RAX;
      take(bytes, 8);
      break;
    case 0x0fb6: /* MOVZX */
    case 0x0fb7:
      move->zero_extend = true;
      move->size = byte ? 1 : 2;
      move->reg = take_modrm(bytes);
      break;
    default:
      return false;
  }
  if (move->size == 1 && !bytes->rex && move->reg >= 4 && move->reg < 8 && !move->zero_extend) {
    move->high_byte = true;
    move->reg -= 4;
  }
  move->length = bytes->next;
  return true;
}

static void load_register(struct hv *hv, const struct move *move, uint64_t value) {
  uint64_t old = move->reg == NST_REG_RSP ? hv_get(hv, FIELD_GUEST_RSP) : hv_gpr(hv, move->reg);
  unsigned shift = move->high_byte ? 8 : 0;
  if (move->size < 4 && !move->zero_extend) {
    uint64_t mask = ((UINT64_C(1) << 8 * move->size) - 1) << shift;
    value = (old & ~mask) | (value << shift & mask);
  }
  if (move->reg == NST_REG_RSP)
    hv_set(hv, FIELD_GUEST_RSP, value);
  else
    hv_set_gpr(hv, move->reg, value);
}

/* The local APIC's version register; everything else reads as ones. */
static uint64_t read_device(uint64_t address, unsigned size) {
  uint64_t value =
      address >> 12 == APIC_PAGE ? ((address & 0xff0) == 0x30 ? 0x50014 : 0) : UINT64_MAX;
  return size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1);
}

/* True the first time that this instruction comes with this address: the guest is to try again, in
 * case what stood in its way is gone. */
static bool lets_retry(struct hv *hv, uint64_t rip, uint64_t address) {
  bool again = hv_load(hv, HV_AT(retry_rip)) == rip && hv_load(hv, HV_AT(retry_address)) == address;
  hv_store(hv, HV_AT(retry_rip), again ? 0 : rip);
  hv_store(hv, HV_AT(retry_address), again ? 0 : address);
  return !again;
}

/* The instruction at RIP, in software. The local APIC's page is memory to a hypervisor whose
 * processor can virtualize accesses to it: it may have to be tried again. */
void hv_emulate_access(struct hv *hv, uint64_t address) {
  hv_run(hv, ROUTINE_EMULATE);
  uint64_t rip = hv_get(hv, FIELD_GUEST_RIP);
  struct bytes bytes = {{0}, 0, 0, false};
  struct move move = {0, 0, 0, false, false, false, false, 0};
  for (unsigned i = 0; i < sizeof bytes.at; i++) {
    uint64_t byte;
    if (!hv_read_guest(hv, rip + i, 1, &byte)) break;
    bytes.at[i] = (uint8_t)byte;
  }
  if (!decode(&bytes, &move)) {
    hv_inject(hv, VECTOR_UD, false, 0);
    return;
  }
  bool device = address >> 12 != APIC_PAGE;
  if (!device && hv->profile->retries && lets_retry(hv, rip, address)) return;
  hv_run(hv, ROUTINE_EMULATE_OPERAND);
  if (!move.store) load_register(hv, &move, read_device(address, move.size));
  hv_run(hv, ROUTINE_EMULATED);
  hv_set(hv, FIELD_GUEST_RIP, rip + move.length);
  hv->user = device;
}

void hv_handle_ept_violation(struct hv *hv) {
  hv_run(hv, ROUTINE_MEMORY_FAULT);
  uint64_t address = hv_get(hv, FIELD_GUEST_PHYSICAL_ADDRESS);
  uint64_t own = hv_guest_memory(hv, address), eptp = hv_load(hv, HV_AT(eptp));
  if (own != UINT64_MAX) {
    nst_load(hv->cpu, own, 8); /* its own parent backs the page now, if it has not yet */
    hv_ept_map(hv, eptp, address, own, 1, HV_EPT_RWX | HV_EPT_WB);
    return;
  }
  if (address >> 12 != APIC_PAGE && !hv->profile->no_mmio_entry && !hv_pool_is_low(hv))
    hv_ept_map(hv, eptp, address, 0, 1, HV_EPT_MMIO);
  hv_emulate_access(hv, address);
}

void hv_handle_ept_misconfig(struct hv *hv) {
  hv_run(hv, ROUTINE_MMIO_FAULT);
  hv_emulate_access(hv, hv_get(hv, FIELD_GUEST_PHYSICAL_ADDRESS));
}
