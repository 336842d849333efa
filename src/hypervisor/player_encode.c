/* SPDX-License-Identifier: MIT
 * From a traced event to an instruction, encoded by Zydis. */
#include <Zydis/Zydis.h>

#include "src/hypervisor/hv.h"
#include "src/hypervisor/player.h"

/* One Zydis request: mnemonic and at most two operands. */
struct request {
  ZydisEncoderRequest encoder;
};

static struct request make(ZydisMnemonic mnemonic) {
  struct request request = {
      .encoder = {.machine_mode = ZYDIS_MACHINE_MODE_LONG_64, .mnemonic = mnemonic}};
  return request;
}

static void add_register(struct request *request, ZydisRegister reg) {
  ZydisEncoderOperand *operand = &request->encoder.operands[request->encoder.operand_count++];
  operand->type = ZYDIS_OPERAND_TYPE_REGISTER;
  operand->reg.value = reg;
}

static void add_memory(struct request *request, unsigned size) {
  ZydisEncoderOperand *operand = &request->encoder.operands[request->encoder.operand_count++];
  operand->type = ZYDIS_OPERAND_TYPE_MEMORY;
  operand->mem.base = ZYDIS_REGISTER_RAX;
  operand->mem.size = (ZyanU16)size;
}

static bool finish(const struct request *request, struct player_step *step) {
  ZyanUSize length = sizeof step->bytes;
  if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request->encoder, step->bytes, &length)))
    return false;
  step->length = (unsigned)length;
  return true;
}

static bool plain(ZydisMnemonic mnemonic, struct player_step *step) {
  struct request request = make(mnemonic);
  return finish(&request, step);
}

/* RBX in the width of an access. */
static ZydisRegister data_register(unsigned size) {
  switch (size) {
    case 1:
      return ZYDIS_REGISTER_BL;
    case 2:
      return ZYDIS_REGISTER_BX;
    case 8:
      return ZYDIS_REGISTER_RBX;
    default:
      return ZYDIS_REGISTER_EBX;
  }
}

static bool move(bool store, uint64_t address, unsigned size, uint64_t value,
                 struct player_step *step) {
  struct request request = make(ZYDIS_MNEMONIC_MOV);
  if (size != 1 && size != 2 && size != 8) size = 4;
  if (store) add_memory(&request, size);
  add_register(&request, data_register(size));
  if (!store) add_memory(&request, size);
  step->rax = address;
  step->rbx = value;
  return finish(&request, step);
}

static bool touch(const struct player *player, const struct trace_event *event,
                  struct player_step *step) {
  enum { FETCH = 4, WRITE = 2 };
  uint64_t address = event->a;
  if (address >= player->image) return false;
  if (!(event->b & FETCH)) return move(event->b & WRITE, address, 4, 0, step);
  struct request request = make(ZYDIS_MNEMONIC_CALL);
  add_register(&request, ZYDIS_REGISTER_RAX);
  step->rax = step->call = address;
  step->calls = true;
  return finish(&request, step);
}

static bool device(const struct player *player, bool store, uint64_t address, unsigned size,
                   uint64_t value, struct player_step *step) {
  bool mapped = address < UINT64_C(1) << 32; /* the guest's own tables reach 4 GiB */
  return mapped && address >= player->memory && move(store, address, size, value, step);
}

static ZydisRegister accumulator(unsigned size) {
  return size == 1 ? ZYDIS_REGISTER_AL : size == 2 ? ZYDIS_REGISTER_AX : ZYDIS_REGISTER_EAX;
}

static bool string_port(bool in, unsigned size, struct request *request) {
  static const ZydisMnemonic names[2][3] = {
      {ZYDIS_MNEMONIC_OUTSB, ZYDIS_MNEMONIC_OUTSW, ZYDIS_MNEMONIC_OUTSD},
      {ZYDIS_MNEMONIC_INSB, ZYDIS_MNEMONIC_INSW, ZYDIS_MNEMONIC_INSD}};
  *request = make(names[in][size / 2]);
  request->encoder.prefixes = ZYDIS_ATTRIB_HAS_REP;
  return true;
}

static bool port(const struct player *player, const struct trace_event *event,
                 struct player_step *step) {
  bool in = event->kind == TRACE_IO_IN, string = event->flags & TRACE_STRING;
  unsigned size = event->b == 2 || event->b == 4 ? (unsigned)event->b : 1;
  struct request request = make(in ? ZYDIS_MNEMONIC_IN : ZYDIS_MNEMONIC_OUT);
  step->rdx = event->a & 0xffff;
  step->rax = event->c;
  step->rcx = event->d && event->d <= 0x1000 ? event->d : 1;
  step->rsi = step->rdi = player->image + HV_GUEST_BUFFER;
  if (string) {
    string_port(in, size, &request);
  } else {
    if (in) add_register(&request, accumulator(size));
    add_register(&request, ZYDIS_REGISTER_DX);
    if (!in) add_register(&request, accumulator(size));
  }
  return finish(&request, step);
}

/* The recorded guest may have been in another mode: what 64-bit mode needs stays set, and the
 * tables that CR3 names are those of the boot image. */
static bool write_cr(const struct player *player, const struct trace_event *event,
                     struct player_step *step) {
  static const ZydisRegister names[] = {
      [0] = ZYDIS_REGISTER_CR0, [3] = ZYDIS_REGISTER_CR3, [4] = ZYDIS_REGISTER_CR4};
  const uint64_t paging = UINT64_C(0x80000021), pae = 0x20, vmxe = 0x2000;
  struct request request = make(ZYDIS_MNEMONIC_MOV);
  if (event->a != 0 && event->a != 3 && event->a != 4) return false;
  add_register(&request, names[event->a]);
  add_register(&request, ZYDIS_REGISTER_RAX);
  step->rax = event->a == 0   ? event->b | paging
              : event->a == 3 ? player->image + HV_GUEST_PML4
                              : (event->b | pae) & ~vmxe;
  return finish(&request, step);
}

static bool read_cr(const struct trace_event *event, struct player_step *step) {
  struct request request = make(ZYDIS_MNEMONIC_MOV);
  if (event->a != 3 && event->a != 8) return false; /* the others do not exit */
  add_register(&request, ZYDIS_REGISTER_RAX);
  add_register(&request, event->a == 3 ? ZYDIS_REGISTER_CR3 : ZYDIS_REGISTER_CR8);
  return finish(&request, step);
}

/* PE cannot be cleared by LMSW, and is set already. */
static bool lmsw(const struct trace_event *event, struct player_step *step) {
  struct request request = make(ZYDIS_MNEMONIC_LMSW);
  add_register(&request, ZYDIS_REGISTER_AX);
  step->rax = (event->a & 15) | 1;
  return finish(&request, step);
}

static bool invlpg(const struct trace_event *event, struct player_step *step) {
  struct request request = make(ZYDIS_MNEMONIC_INVLPG);
  add_memory(&request, 1);
  step->rax = event->a & UINT32_MAX; /* the guest's own tables reach 4 GiB */
  return finish(&request, step);
}

/* A fault of the guest's own comes from an address that its tables do not map. Any other page fault
 * was its hypervisor's, which had no translation for the page: that is a touch. */
static bool exception(const struct player *player, const struct trace_event *event,
                      struct player_step *step) {
  enum { INVALID_OPCODE = 6, PAGE_FAULT = 14, WRITE = 2, FETCH = 16 };
  const uint64_t hole = UINT64_C(1) << 40;
  step->faults = true;
  if (event->a == INVALID_OPCODE) return plain(ZYDIS_MNEMONIC_UD2, step);
  if (event->a != PAGE_FAULT) return false;
  if (event->flags & TRACE_FAULTED)
    return move(event->b & WRITE, hole | (event->c & UINT32_MAX), 4, 0, step);
  step->faults = false;
  struct trace_event as_touch = {.a = event->c, .b = event->b & FETCH ? 4 : event->b & WRITE};
  return touch(player, &as_touch, step);
}

static bool move_dr(const struct trace_event *event, struct player_step *step) {
  struct request request = make(ZYDIS_MNEMONIC_MOV);
  if (event->a > 7 || event->a == 4 || event->a == 5) return false;
  ZydisRegister dr = (ZydisRegister)(ZYDIS_REGISTER_DR0 + (int)event->a);
  add_register(&request, event->c ? ZYDIS_REGISTER_RAX : dr);
  add_register(&request, event->c ? dr : ZYDIS_REGISTER_RAX);
  step->rax = event->a >= 6 ? event->b & 0xffff0fff & ~UINT64_C(0x2000) : event->b;
  return finish(&request, step);
}

/* One of the host's own: some device's, for L0's timer is L0's to set. The guest does nothing. */
static bool interrupt(const struct trace_event *event, struct player_step *step) {
  enum { DEVICE = 0xec };
  bool told = event->flags & TRACE_HAS_A && event->a >= 32 && event->a <= 255;
  step->interrupt = told && event->a != HV_TIMER_VECTOR ? (unsigned)event->a : DEVICE;
  return plain(ZYDIS_MNEMONIC_NOP, step);
}

static void set_pair(uint64_t value, struct player_step *step) {
  step->rax = value & UINT32_MAX;
  step->rdx = value >> 32;
}

bool player_encode(const struct player *player, const struct trace_event *event,
                   struct player_step *step) {
  const uint64_t apic = UINT64_C(0xfee00000);
  *step = (struct player_step){.rcx = event->a};
  switch ((enum trace_kind)event->kind) {
    case TRACE_CPUID:
      step->rax = event->a;
      step->rcx = event->b;
      return plain(ZYDIS_MNEMONIC_CPUID, step);
    case TRACE_RDMSR:
      return plain(ZYDIS_MNEMONIC_RDMSR, step);
    case TRACE_WRMSR:
      set_pair(event->b, step);
      return plain(ZYDIS_MNEMONIC_WRMSR, step);
    case TRACE_XSETBV:
      /* Not told: what the host has, x87, SSE and AVX, as an operating system enables it. */
      set_pair(event->flags & TRACE_HAS_B ? event->b : 7, step);
      return plain(ZYDIS_MNEMONIC_XSETBV, step);
    case TRACE_VMCALL:
      step->rax = event->a;
      step->rbx = event->b;
      return plain(ZYDIS_MNEMONIC_VMCALL, step);
    case TRACE_WBINVD:
      return plain(ZYDIS_MNEMONIC_WBINVD, step);
    case TRACE_INVD:
      return plain(ZYDIS_MNEMONIC_INVD, step);
    case TRACE_HLT:
      return plain(ZYDIS_MNEMONIC_HLT, step);
    case TRACE_MOV_TO_CR:
      return write_cr(player, event, step);
    case TRACE_MOV_DR:
      return move_dr(event, step);
    case TRACE_IO_IN:
    case TRACE_IO_OUT:
      return port(player, event, step);
    case TRACE_MEM_TOUCH:
      return touch(player, event, step);
    case TRACE_MMIO_READ:
    case TRACE_MMIO_WRITE:
      return device(player, event->kind == TRACE_MMIO_WRITE, event->a, (unsigned)event->b, event->c,
                    step);
    case TRACE_APIC_READ:
    case TRACE_APIC_WRITE:
      return device(player, event->kind == TRACE_APIC_WRITE, apic + event->a, 4, event->b, step);
    case TRACE_MOV_FROM_CR:
      return read_cr(event, step);
    case TRACE_CLTS:
      return plain(ZYDIS_MNEMONIC_CLTS, step);
    case TRACE_LMSW:
      return lmsw(event, step);
    case TRACE_INVLPG:
      return invlpg(event, step);
    case TRACE_RDTSC:
      return plain(ZYDIS_MNEMONIC_RDTSC, step);
    case TRACE_PAUSE:
      return plain(ZYDIS_MNEMONIC_PAUSE, step);
    case TRACE_EXCEPTION:
      return exception(player, event, step);
    case TRACE_RDPMC:
    case TRACE_RDRAND:
    case TRACE_INVPCID:
    case TRACE_MONITOR:
    case TRACE_MWAIT:
    case TRACE_DESCRIPTOR_TABLE:
    case TRACE_TASK_SWITCH:
    case TRACE_SMM_INSN:
    case TRACE_VMX_INSN:
    case TRACE_SVM_INSN:
    case TRACE_EOI:
    case TRACE_TPR:
    case TRACE_TRIPLE_FAULT:
    case TRACE_INTERRUPT:
      return interrupt(event, step);
    case TRACE_INTERRUPT_WINDOW:
    case TRACE_NMI:
    case TRACE_NMI_WINDOW:
    case TRACE_PREEMPTION_TIMER:
    case TRACE_PML_FULL:
    case TRACE_SIGNAL:
    case TRACE_ARM_EXIT:
    case TRACE_UNKNOWN:
    case TRACE_KIND_COUNT:
      return false;
  }
  return false;
}
