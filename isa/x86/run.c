/* SPDX-License-Identifier: MIT
 * The run loop: find the micro-operation at RIP, run its handler, retire it. */
#include <string.h>

#include "isa/x86/exec.h"

enum { PAGE_SIZE = 4096, BLOCKED = 3, RIGHTS_LONG = 1 << 13 };

bool isa_init(struct isa_x86 *isa, const struct isa_ops *ops, void *context) {
  memset(isa, 0, sizeof *isa);
  isa->ops = ops;
  isa->context = context;
  isa->state.rflags = X86_RFLAGS_FIXED;
  return isa_cache_init(isa);
}

void isa_fini(struct isa_x86 *isa) {
  isa_cache_fini(isa);
}

/* Rows with a check, a privilege or an intercept: in this order, then the effect. */
enum isa_step exec_guarded(struct isa_x86 *isa, const struct isa_uop *uop) {
  enum isa_step step = ISA_NEXT;
  /* String I/O with nothing left to do touches no port. */
  if (uop->intercept == ISA_INTERCEPT_IO && uop->argument && isa_rep_is_done(isa, uop))
    return ISA_NEXT;
  if (uop->check) step = uop->check(isa, uop);
  if (step != ISA_NEXT) return step;
  if (isa_cpl(isa) > uop->privilege) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  if (uop->intercept != ISA_INTERCEPT_NONE) {
    struct isa_request request;
    step = isa_request_fill(isa, uop, &request);
    if (step == ISA_NEXT) step = isa->ops->intercept(isa->context, &request);
    if (step != ISA_NEXT) return step;
  }
  return uop->effect(isa, uop);
}

/* The seldom things after an instruction. `special`: RFLAGS.TF and RF and the blocking by STI and
 * MOV SS as they were before it. */
static enum isa_step retire_special(struct isa_x86 *isa, const struct isa_uop *uop,
                                    uint64_t special) {
  isa->state.interruptibility &= ~(uint32_t)(special & BLOCKED);
  /* RF holds for one instruction; IRET has just loaded a new one. */
  if (special & X86_RFLAGS_RF && uop->handler != exec_iret)
    isa->state.rflags &= ~(uint64_t)X86_RFLAGS_RF;
  bool after_mov_ss = isa->state.interruptibility & 2;
  if (special & X86_RFLAGS_TF && !after_mov_ss) return isa_raise_single_step(isa);
  return isa->state.activity ? ISA_HALTED : ISA_NEXT;
}

/* What a hypervisor may intercept, and then emulate, is never counted: guest time is the same
 * whatever it chooses. */
static inline enum isa_step execute_one(struct isa_x86 *isa, const struct isa_uop *uop,
                                        bool counts) {
  uint64_t special = (isa->state.rflags & (X86_RFLAGS_TF | X86_RFLAGS_RF)) |
                     (isa->state.interruptibility & BLOCKED);
  isa->uop = uop;
  isa->next_rip = isa->state.rip + uop->length;
  enum isa_step step = uop->handler(isa, uop);
  if (step != ISA_NEXT) return step;
  isa->state.rip = isa->next_rip;
  isa->instructions += counts && uop->intercept == ISA_INTERCEPT_NONE;
  if (__builtin_expect((special | isa->state.activity) != 0, 0))
    return retire_special(isa, uop, special);
  return ISA_NEXT;
}

enum isa_step isa_execute(struct isa_x86 *isa, const struct isa_uop *uop) {
  return execute_one(isa, uop, false);
}

/* The instruction begins `have` bytes before the end of its page: the rest comes from the next
 * one. It is never cached, for it would have to be forgotten with either page. */
static enum isa_step fetch_crossing(struct isa_x86 *isa, const uint8_t *first, size_t have,
                                    struct isa_uop *scratch, enum isa_decode_status *status) {
  uint8_t joined[ISA_LENGTH_MAX];
  const uint8_t *second;
  uint64_t frame;
  memcpy(joined, first, have);
  enum isa_step step = isa->ops->fetch(isa->context, isa->state.rip + have, &second, &frame);
  if (step == ISA_NATIVE) return isa_stop(isa, "instruction runs into a native page", joined, have);
  if (step != ISA_NEXT) return step;
  memcpy(joined + have, second, ISA_LENGTH_MAX - have);
  *status = isa_decode_bytes(joined, ISA_LENGTH_MAX, scratch);
  return ISA_NEXT;
}

static enum isa_step stop_without_memory(struct isa_x86 *isa) {
  return isa_stop(isa, "out of memory for decoded instructions", NULL, 0);
}

/* Decodes at RIP, whose page is isa->code_page with these bytes. */
static enum isa_step decode_here(struct isa_x86 *isa, const uint8_t *bytes, struct isa_uop *scratch,
                                 const struct isa_uop **uop) {
  unsigned offset = isa->state.rip & (PAGE_SIZE - 1);
  size_t have = PAGE_SIZE - offset;
  if (have > ISA_LENGTH_MAX) have = ISA_LENGTH_MAX;
  enum isa_decode_status status = isa_decode_bytes(bytes + offset, have, scratch);
  bool crosses = status == DECODE_TRUNCATED;
  if (crosses) {
    enum isa_step step = fetch_crossing(isa, bytes + offset, have, scratch, &status);
    if (step != ISA_NEXT) return step;
  }
  if (status == DECODE_NOT_MODELLED)
    return isa_stop(isa, "instruction not modelled", scratch->bytes, scratch->length);
  *uop = scratch;
  if (crosses) return ISA_NEXT;
  *uop = isa_cache_slot(isa->code_page, scratch, offset);
  return *uop ? ISA_NEXT : stop_without_memory(isa);
}

/* The way when the page is new or the instruction was not decoded yet. */
static enum isa_step fetch_uop(struct isa_x86 *isa, struct isa_uop *scratch,
                               const struct isa_uop **uop) {
  const struct x86_state *state = &isa->state;
  const uint8_t *bytes;
  uint64_t frame;
  isa_reap(isa);
  if (!(state->efer & X86_EFER_LMA) || !(state->segment[X86_CS].access_rights & RIGHTS_LONG))
    return isa_stop(isa, "execution outside 64-bit mode not modelled", NULL, 0);
  enum isa_step step = isa->ops->fetch(isa->context, state->rip, &bytes, &frame);
  if (step != ISA_NEXT) return step;
  struct isa_page *page = isa_cache_page(isa, frame);
  if (!page) return stop_without_memory(isa);
  isa->code_page = page;
  isa->code_linear = state->rip & ~(uint64_t)(PAGE_SIZE - 1);
  isa->code_valid = true;
  *uop = page->slot[state->rip & (PAGE_SIZE - 1)];
  return *uop ? ISA_NEXT : decode_here(isa, bytes, scratch, uop);
}

static inline const struct isa_uop *cached_uop(const struct isa_x86 *isa) {
  uint64_t offset = isa->state.rip - isa->code_linear;
  return isa->code_valid && offset < PAGE_SIZE ? isa->code_page->slot[offset] : NULL;
}

static enum isa_step run_loop(struct isa_x86 *isa, uint64_t budget) {
  struct isa_uop scratch;
  for (; budget; budget--) {
    const struct isa_uop *uop = cached_uop(isa);
    enum isa_step step = uop ? ISA_NEXT : fetch_uop(isa, &scratch, &uop);
    if (step == ISA_NEXT) step = execute_one(isa, uop, true);
    if (step == ISA_NEXT) continue;
    if (step == ISA_FAULT) step = isa_take_fault(isa);
    if (step != ISA_NEXT) return step;
  }
  return ISA_NEXT;
}

enum isa_step isa_run(struct isa_x86 *isa, uint64_t budget) {
  if (isa->state.activity) return ISA_HALTED;
  isa_cache_enter(isa);
  enum isa_step step = run_loop(isa, budget);
  isa_cache_leave(isa);
  return step;
}
