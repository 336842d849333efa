/* SPDX-License-Identifier: MIT
 * The player drives the innermost guest: each traced event becomes a real instruction in the
 * guest's code page, with registers and memory set up as recorded, and the processor executes it.
 */
#ifndef HYPERVISOR_PLAYER_H
#define HYPERVISOR_PLAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/nestor.h"
#include "traces/event.h"

enum { PLAYER_BYTES = 15, PLAYER_SLOTS = 512, PLAYER_SLOT_SIZE = 32 };

/* One instruction to play and the registers that it needs. */
struct player_step {
  uint8_t bytes[PLAYER_BYTES];
  unsigned length;
  uint64_t rax, rbx, rcx, rdx, rsi, rdi;
  bool calls;         /* `call` is to hold a RET before it is called */
  uint64_t call;      /* guest-physical */
  unsigned interrupt; /* vector that a device of the host raises before it, 0 = none */
  bool faults;        /* an exception of the guest's own is what was recorded */
};

enum player_outcome {
  PLAYER_DONE,
  PLAYER_FAULTED,  /* done, but with an exception of the guest that the recording does not have */
  PLAYER_LEFT_OUT, /* no guest operation, or one that the player has no instruction for */
  PLAYER_STOPPED   /* the machine stopped: nst_error tells why */
};

struct player {
  struct nst_machine *machine;
  struct nst_cpu *cpu;
  uint64_t memory;      /* bytes of guest memory */
  uint64_t image;       /* where its boot image begins */
  uint64_t memory_base; /* host-physical address of its memory */
  unsigned slot_count;
  struct {
    uint8_t bytes[PLAYER_BYTES];
    uint8_t length;
  } slot[PLAYER_SLOTS];
  uint64_t assumed; /* arguments that the trace did not tell and a default stands for */
};

/* A player for a machine made by nst_stack_create without a driven level; guest code that gets the
 * translations of the boot image into place runs now, so that what follows counts only itself. */
bool player_init(struct player *player, struct nst_machine *machine);
/* Plays one event: runs until the guest has completed the instruction, or its exception handler has
 * given up on it. */
enum player_outcome player_play(struct player *player, const struct trace_event *event);
/* Fills *step; false where the event is no guest operation that can be played. */
bool player_encode(const struct player *player, const struct trace_event *event,
                   struct player_step *step);
/* FNV-1a over registers, control registers and memory of the guest. */
uint64_t player_hash(const struct player *player);

#endif
