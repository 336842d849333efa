/* SPDX-License-Identifier: MIT
 * A machine whose upper hypervisor is the test: what the tests of the processor share. The driven
 * level's own physical and linear addresses are the same; its guest's memory begins at GUEST_BASE.
 */
#ifndef TEST_MACHINE_DRIVEN_H
#define TEST_MACHINE_DRIVEN_H

#include <stdio.h>
#include <string.h>

#include "src/nestor.h"
#include "test/expect.h"

enum {
  GUEST_BASE = 0x4000000,
  GUEST_SIZE = 0x4000000,
  GUEST_IMAGE = GUEST_SIZE - 0x200000, /* mapped from the start; the rest of the guest is not */
  GUEST_PD = GUEST_IMAGE + 0x4000,     /* the guest's page directory: 2-MiB pages, one to one */
  GUEST_CODE = GUEST_IMAGE + 0x10000,
  GUEST_DATA = GUEST_IMAGE + 0x40000, /* unused by anybody */
  VMXON_REGION = 0xd000,
  OWN_REGION = 0xe000,
  SCRATCH = 0x40000, /* pages of the driven level that nobody uses */
  SCRATCH_2 = 0x41000,
  SCRATCH_3 = 0x42000
};

/* Zero in every member is the usual: guest at level 1, "haswell", everything on. */
struct setting {
  const char *processor;
  unsigned level; /* of the guest */
  bool no_shadowing, no_tlb;
  uint64_t layout_seed;
  enum nst_vmcs_access access; /* of guest hypervisors */
};

struct driven {
  const char *name; /* of the case, for messages */
  struct nst_machine *machine;
  struct nst_cpu *cpu;
  unsigned level; /* of the guest */
  bool quiet;     /* nothing is asserted */
  struct nst_stop stop;
};

/* EXPECT_EQ under the name of the case. */
static inline bool driven_expect_at(const char *file, unsigned line, const struct driven *d,
                                    uint64_t actual, uint64_t expected) {
  if (d->quiet) return actual == expected;
  return expect_equal(file, line, d->name, actual, expected);
}
#define DRIVEN_EQ(d, actual, expected) \
  driven_expect_at(__FILE__, __LINE__, (d), (uint64_t)(actual), (uint64_t)(expected))

/* False, and a failed assertion, if it cannot be made. driven_close in any case. */
static inline bool driven_open(struct driven *d, const char *name, const struct setting *setting) {
  struct nst_config config;
  struct nst_stack_config stack;
  nst_config_init(&config);
  nst_stack_config_init(&stack);
  if (setting->processor) config.processor = setting->processor;
  config.vmcs_shadowing = !setting->no_shadowing;
  config.tlb = !setting->no_tlb;
  config.layout_seed = setting->layout_seed;
  stack.depth = setting->level ? setting->level : 1;
  stack.guest_memory = GUEST_SIZE;
  stack.driven = true;
  stack.vmcs_access = setting->access;
  *d = (struct driven){.name = name, .level = stack.depth};
  if (!EXPECT_EQ(name, nst_stack_create(&d->machine, &config, &stack), NST_OK)) return false;
  d->cpu = nst_cpu(d->machine, 0);
  return true;
}

static inline void driven_close(struct driven *d) {
  nst_machine_destroy(d->machine);
  d->machine = NULL;
}

static inline void driven_load(struct driven *d, const void *code, size_t size) {
  DRIVEN_EQ(d, nst_guest_prepare(d->cpu, d->level, code, size), NST_OK);
}
#define DRIVEN_LOAD(d, ...)                     \
  do {                                          \
    static const uint8_t code_[] = __VA_ARGS__; \
    driven_load((d), code_, sizeof code_);      \
  } while (0)

/* A field as the driven level reads it, by VMREAD. */
static inline uint64_t driven_read(struct driven *d, uint32_t field) {
  uint64_t value = 0;
  DRIVEN_EQ(d, nst_vmread(d->cpu, field, &value), NST_VMX_SUCCEED);
  return value;
}

static inline void driven_write(struct driven *d, uint32_t field, uint64_t value) {
  DRIVEN_EQ(d, nst_vmwrite(d->cpu, field, value), NST_VMX_SUCCEED);
}

static inline void driven_change(struct driven *d, uint32_t field, uint64_t set, uint64_t clear) {
  driven_write(d, field, (driven_read(d, field) & ~clear) | set);
}

/* A register of the guest before its next entry; RIP, RSP and RFLAGS too. */
static inline void driven_set(struct driven *d, enum nst_reg reg, uint64_t value) {
  if (reg == NST_REG_RSP)
    driven_write(d, NST_FIELD_GUEST_RSP, value);
  else if (reg == NST_REG_RIP)
    driven_write(d, NST_FIELD_GUEST_RIP, value);
  else if (reg == NST_REG_RFLAGS)
    driven_write(d, NST_FIELD_GUEST_RFLAGS, value);
  else
    nst_poke_reg(d->cpu, d->level, reg, value);
}

static inline uint64_t driven_get(struct driven *d, enum nst_reg reg) {
  return nst_peek_reg(d->cpu, d->level, reg);
}

static inline void guest_store(struct driven *d, uint64_t address, uint64_t value) {
  uint64_t host = nst_level_memory(d->cpu, d->level, address);
  DRIVEN_EQ(d, nst_mem_write(d->machine, host, &value, sizeof value), NST_OK);
}

static inline uint64_t guest_load(struct driven *d, uint64_t address) {
  uint64_t value = 0, host = nst_level_memory(d->cpu, d->level, address);
  DRIVEN_EQ(d, nst_mem_read(d->machine, host, &value, sizeof value), NST_OK);
  return value;
}

/* Enters the guest and runs it; the basic exit reason, or UINT32_MAX and a failed assertion if no
 * exit arrived. */
static inline uint32_t driven_run(struct driven *d, bool launch) {
  char text[160];
  enum nst_vmx_result result = launch ? nst_vmlaunch(d->cpu) : nst_vmresume(d->cpu);
  if (!DRIVEN_EQ(d, result, NST_VMX_SUCCEED)) return UINT32_MAX;
  enum nst_status status = nst_run(d->cpu, 10000, &d->stop);
  snprintf(text, sizeof text, "%s: stop kind %d %s", d->name, d->stop.kind, nst_error(d->machine));
  bool exited = status == NST_OK && d->stop.kind == NST_STOP_EXIT;
  if (!d->quiet) EXPECT_TRUE(text, exited);
  if (!exited) return UINT32_MAX;
  return d->stop.reason;
}

#endif
