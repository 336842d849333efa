/* SPDX-License-Identifier: MIT
 * Playing events into the innermost guest. */
#include "src/hypervisor/player.h"

#include <string.h>

#include "src/hypervisor/stack.h"

enum { BUDGET = 1 << 16, RET = 0xc3, RFLAGS_IF = 0x202 };

/* The slot of the code page that holds these bytes; written once, reused for every like event. */
static uint64_t slot_of(struct player *player, const struct player_step *step) {
  uint64_t code = player->image + HV_GUEST_CODE;
  unsigned i = 0;
  while (i < player->slot_count && (player->slot[i].length != step->length ||
                                    memcmp(player->slot[i].bytes, step->bytes, step->length) != 0))
    i++;
  uint64_t at = code + PLAYER_SLOT_SIZE * (uint64_t)(i % PLAYER_SLOTS);
  if (i < player->slot_count) return at;
  if (i == PLAYER_SLOTS) i = player->slot_count = 0;
  at = code + PLAYER_SLOT_SIZE * (uint64_t)i;
  player->slot_count = i + 1;
  player->slot[i].length = (uint8_t)step->length;
  memcpy(player->slot[i].bytes, step->bytes, step->length);
  nst_mem_write(player->machine, player->memory_base + at, step->bytes, step->length);
  return at;
}

static void set_registers(struct player *player, const struct player_step *step) {
  struct nst_cpu *cpu = player->cpu;
  nst_reg_write(cpu, NST_REG_RAX, step->rax);
  nst_reg_write(cpu, NST_REG_RBX, step->rbx);
  nst_reg_write(cpu, NST_REG_RCX, step->rcx);
  nst_reg_write(cpu, NST_REG_RDX, step->rdx);
  nst_reg_write(cpu, NST_REG_RSI, step->rsi);
  nst_reg_write(cpu, NST_REG_RDI, step->rdi);
  nst_reg_write(cpu, NST_REG_RSP, player->image + HV_GUEST_STACK);
  nst_reg_write(cpu, NST_REG_RFLAGS, RFLAGS_IF);
}

/* Where the guest's exception handler is to go on; no exception noted yet. */
static void set_resume(struct player *player, uint64_t address) {
  const uint64_t words[2] = {address, 0};
  _Static_assert(HV_GUEST_FAULTED == HV_GUEST_RESUME + 8, "the byte follows the address");
  nst_mem_write(player->machine, player->memory_base + player->image + HV_GUEST_RESUME, words,
                sizeof words);
}

static bool has_faulted(const struct player *player) {
  uint8_t vector = 0;
  nst_mem_read(player->machine, player->memory_base + player->image + HV_GUEST_FAULTED, &vector, 1);
  return vector;
}

static enum player_outcome play_step(struct player *player, const struct player_step *step) {
  uint64_t at = slot_of(player, step);
  struct nst_stop stop;
  if (step->calls) {
    const uint8_t ret = RET;
    nst_mem_write(player->machine, player->memory_base + step->call, &ret, 1);
  }
  set_registers(player, step);
  set_resume(player, at + step->length);
  nst_reg_write(player->cpu, NST_REG_RIP, at);
  nst_stop_at(player->cpu, at + step->length);
  if (step->interrupt) nst_raise_interrupt(player->cpu, step->interrupt);
  nst_run(player->cpu, BUDGET, &stop);
  nst_stop_at(player->cpu, 0);
  if (stop.kind != NST_STOP_MARK) return PLAYER_STOPPED;
  return has_faulted(player) != step->faults ? PLAYER_FAULTED : PLAYER_DONE;
}

static void count_assumed(struct player *player, const struct trace_event *event) {
  static const uint32_t has[] = {TRACE_HAS_A, TRACE_HAS_B, TRACE_HAS_C, TRACE_HAS_D};
  for (unsigned i = 0; i < 4; i++)
    if (trace_kind_argument(event->kind, i) && !(event->flags & has[i])) player->assumed++;
}

enum player_outcome player_play(struct player *player, const struct trace_event *event) {
  struct player_step step;
  if (!player_encode(player, event, &step)) return PLAYER_LEFT_OUT;
  count_assumed(player, event);
  return play_step(player, &step);
}

bool player_init(struct player *player, struct nst_machine *machine) {
  const struct stack *stack = stack_of(machine);
  *player = (struct player){.machine = machine, .cpu = nst_cpu(machine, 0)};
  player->memory = stack->guest_memory;
  player->image = stack->guest_memory - HV_GUEST_IMAGE;
  player->memory_base = nst_level_memory(player->cpu, stack->depth, 0);
  /* A load and a store into the boot image, twice: translations and flags are in place then. */
  struct player_step store = {.bytes = {0x48, 0x89, 0x18}, .length = 3}; /* mov [rax], rbx */
  store.rax = player->image + HV_GUEST_BUFFER;
  return play_step(player, &store) == PLAYER_DONE && play_step(player, &store) == PLAYER_DONE;
}

static uint64_t mix(uint64_t hash, uint64_t word) {
  return (hash ^ word) * UINT64_C(0x100000001b3);
}

uint64_t player_hash(const struct player *player) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (unsigned i = NST_REG_RAX; i <= NST_REG_RFLAGS; i++)
    hash = mix(hash, nst_reg_read(player->cpu, (enum nst_reg)i));
  hash = mix(hash, nst_reg_read(player->cpu, NST_REG_CR2));
  hash = mix(hash, nst_peek_reg(player->cpu, nst_stack_depth(player->machine), NST_REG_CR3));
  uint64_t words[512];
  for (uint64_t at = 0; at < player->memory; at += sizeof words) {
    nst_mem_read(player->machine, player->memory_base + at, words, sizeof words);
    for (unsigned i = 0; i < 512; i++) hash = mix(hash, words[i]);
  }
  return hash;
}
