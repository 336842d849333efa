/* SPDX-License-Identifier: MIT
 * The interpreter's world in tests. */
#include "test/fake_isa.h"

#include <stdio.h>
#include <string.h>

#include "isa/x86/disasm.h"
#include "test/expect.h"

static void note(struct fake_isa *fake, const char *what, unsigned long long number) {
  size_t used = strlen(fake->log);
  snprintf(fake->log + used, sizeof fake->log - used, "%s:%llx ", what, number);
}

static enum isa_step page_fault(struct fake_isa *fake, uint64_t linear, bool write) {
  isa_raise(&fake->isa, X86_EXCEPTION_PF, true, write ? 2 : 0);
  fake->isa.fault.address = linear;
  return ISA_FAULT;
}

static bool is_mapped(uint64_t linear, unsigned size) {
  return linear <= FAKE_MEMORY - size;
}

static enum isa_step load(void *context, uint64_t linear, unsigned size, uint64_t *value) {
  struct fake_isa *fake = context;
  if (!is_mapped(linear, size)) return page_fault(fake, linear, false);
  *value = 0;
  memcpy(value, fake->memory + linear, size);
  return ISA_NEXT;
}

static enum isa_step load_for_write(void *context, uint64_t linear, unsigned size,
                                    uint64_t *value) {
  struct fake_isa *fake = context;
  if (!is_mapped(linear, size)) return page_fault(fake, linear, true);
  return load(context, linear, size, value);
}

static enum isa_step store(void *context, uint64_t linear, unsigned size, uint64_t value) {
  struct fake_isa *fake = context;
  if (!is_mapped(linear, size)) return page_fault(fake, linear, true);
  memcpy(fake->memory + linear, &value, size);
  isa_forget_page(&fake->isa, linear >> 12);
  isa_forget_page(&fake->isa, (linear + size - 1) >> 12);
  return ISA_NEXT;
}

static enum isa_step fetch(void *context, uint64_t linear, const uint8_t **bytes, uint64_t *frame) {
  struct fake_isa *fake = context;
  if (fake->fetch_answer != ISA_NEXT) return fake->fetch_answer;
  if (!is_mapped(linear, 1)) return page_fault(fake, linear, false);
  *frame = (linear >> 12) + fake->frame_base;
  *bytes = fake->memory + (linear & ~UINT64_C(0xfff));
  return ISA_NEXT;
}

static enum isa_step intercept(void *context, const struct isa_request *request) {
  struct fake_isa *fake = context;
  fake->request = *request;
  note(fake, "intercept", request->intercept);
  return fake->intercept_answer;
}

static enum isa_step exception(void *context, const struct isa_fault *fault) {
  struct fake_isa *fake = context;
  fake->fault = *fault;
  fake->was_delivering = fake->isa.delivery.active;
  note(fake, "exception", fault->vector);
  return fake->exception_answer;
}

static enum isa_step vmx(void *context, const struct isa_request *request) {
  struct fake_isa *fake = context;
  fake->request = *request;
  note(fake, "vmx", request->vmx);
  return fake->vmx_answer;
}

static enum isa_step read_cr(void *context, unsigned cr, uint64_t *value) {
  struct fake_isa *fake = context;
  note(fake, "read_cr", cr);
  *value = fake->cr_value;
  return ISA_NEXT;
}

static enum isa_step write_cr(void *context, unsigned cr, uint64_t value) {
  struct fake_isa *fake = context;
  note(fake, "write_cr", cr);
  fake->cr_value = value;
  return ISA_NEXT;
}

static enum isa_step read_msr(void *context, uint32_t msr, uint64_t *value) {
  struct fake_isa *fake = context;
  note(fake, "read_msr", msr);
  *value = fake->msr_value;
  return ISA_NEXT;
}

static enum isa_step write_msr(void *context, uint32_t msr, uint64_t value) {
  struct fake_isa *fake = context;
  note(fake, "write_msr", msr);
  fake->msr_value = value;
  return ISA_NEXT;
}

static enum isa_step port_in(void *context, uint16_t port, unsigned size, uint32_t *value) {
  struct fake_isa *fake = context;
  note(fake, "in", (unsigned long long)port << 4 | size);
  *value = (uint32_t)fake->port_value++;
  return ISA_NEXT;
}

static enum isa_step port_out(void *context, uint16_t port, unsigned size, uint32_t value) {
  struct fake_isa *fake = context;
  note(fake, "out", (unsigned long long)port << 4 | size);
  fake->port_value = value;
  fake->port_count++;
  return ISA_NEXT;
}

static enum isa_step invlpg(void *context, uint64_t linear) {
  note(context, "invlpg", linear);
  return ISA_NEXT;
}

static void cpuid(void *context, uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
  note(context, "cpuid", leaf);
  for (unsigned i = 0; i < 4; i++) out[i] = leaf + subleaf + i;
}

static uint64_t tsc(void *context) {
  (void)context;
  return UINT64_C(0x123456789abcdef0);
}

static const struct isa_ops ops = {
    .load = load,
    .store = store,
    .load_for_write = load_for_write,
    .fetch = fetch,
    .intercept = intercept,
    .exception = exception,
    .vmx = vmx,
    .read_cr = read_cr,
    .write_cr = write_cr,
    .read_msr = read_msr,
    .write_msr = write_msr,
    .port_in = port_in,
    .port_out = port_out,
    .invlpg = invlpg,
    .cpuid = cpuid,
    .tsc = tsc,
};

static void set_segments(struct x86_state *state, uint16_t cs, uint16_t ss) {
  uint32_t dpl = (uint32_t)(cs & 3) << 5;
  state->segment[X86_CS] = (struct x86_segment){0, 0xffffffff, 0xa09b | dpl, cs};
  for (unsigned i = X86_ES; i <= X86_GS; i++)
    if (i != X86_CS) state->segment[i] = (struct x86_segment){0, 0xffffffff, 0xc093 | dpl, ss};
}

static void set_tables(struct fake_isa *fake) {
  static const uint64_t gdt[] = {
      0,
      UINT64_C(0x00af9b000000ffff),                            /* 08 kernel code */
      UINT64_C(0x00cf93000000ffff),                            /* 10 kernel data */
      UINT64_C(0x00affb000000ffff),                            /* 18 user code */
      UINT64_C(0x00cff3000000ffff),                            /* 20 user data */
      UINT64_C(0x000089000000ffff) | (uint64_t)FAKE_TSS << 16, /* 28 TSS */
      0,
      UINT64_C(0x00cf9b000000ffff), /* 38 32-bit code */
      UINT64_C(0x00cf13000000ffff), /* 40 data, not present */
  };
  struct x86_state *state = &fake->isa.state;
  memcpy(fake->memory + FAKE_GDT, gdt, sizeof gdt);
  state->gdtr = (struct x86_table){FAKE_GDT, sizeof gdt - 1};
  state->idtr = (struct x86_table){FAKE_IDT, 0xfff};
  state->segment[X86_TR] = (struct x86_segment){FAKE_TSS, 0x67, 0x8b, FAKE_TR};
  state->segment[X86_LDTR] = (struct x86_segment){0, 0, 0x10000, 0};
  fake_store64(fake, FAKE_TSS + 4, FAKE_RSP0);
  fake_store64(fake, FAKE_TSS + 0x24, FAKE_IST1);
  fake->memory[FAKE_TSS + 0x66] = 0x68; /* the I/O permission bitmap would begin beyond the limit */
}

void fake_init(struct fake_isa *fake) {
  memset(fake, 0, sizeof *fake);
  if (!isa_init(&fake->isa, &ops, fake)) return;
  struct x86_state *state = &fake->isa.state;
  state->efer = X86_EFER_LME | X86_EFER_LMA;
  state->cr0 = X86_CR0_PE | X86_CR0_PG;
  state->rip = FAKE_CODE;
  state->gpr[X86_RSP] = FAKE_STACK;
  set_segments(state, FAKE_KERNEL_CS, FAKE_KERNEL_SS);
  set_tables(fake);
}

void fake_fini(struct fake_isa *fake) {
  isa_fini(&fake->isa);
}

void fake_user(struct fake_isa *fake) {
  set_segments(&fake->isa.state, FAKE_USER_CS, FAKE_USER_SS);
  fake->isa.state.rip = FAKE_USER_CODE;
  fake->isa.code_valid = false;
}

void fake_code(struct fake_isa *fake, const char *bytes, unsigned size) {
  uint64_t at = fake->isa.state.rip;
  memcpy(fake->memory + at, bytes, size);
  isa_forget_page(&fake->isa, at >> 12);
  isa_forget_page(&fake->isa, (at + size) >> 12);
}

void fake_gate(struct fake_isa *fake, unsigned vector, uint64_t target, unsigned ist,
               unsigned type_and_rights) {
  uint64_t low = (target & 0xffff) | (uint64_t)FAKE_KERNEL_CS << 16 | (uint64_t)ist << 32 |
                 (uint64_t)type_and_rights << 40 | (target >> 16 & 0xffff) << 48;
  fake_store64(fake, FAKE_IDT + 16 * (uint64_t)vector, low);
  fake_store64(fake, FAKE_IDT + 16 * (uint64_t)vector + 8, target >> 32);
}

uint64_t fake_load64(const struct fake_isa *fake, uint64_t address) {
  uint64_t value;
  memcpy(&value, fake->memory + address, sizeof value);
  return value;
}

void fake_store64(struct fake_isa *fake, uint64_t address, uint64_t value) {
  memcpy(fake->memory + address, &value, sizeof value);
}

void fake_expect_decoders(const char *name, const uint8_t *bytes, unsigned size) {
  struct isa_decoders_report report;
  char what[256];
  if (isa_decoders_agree(bytes, size, &report) || report.known) return;
  snprintf(what, sizeof what, "%s: Zydis says %s (%u bytes), Capstone %s (%u bytes)", name,
           report.zydis, report.zydis_length, report.capstone, report.capstone_length);
  EXPECT_TRUE(what, false);
}

enum isa_step fake_run(struct fake_isa *fake, unsigned budget) {
  for (; budget; budget--) {
    uint64_t rip = fake->isa.state.rip;
    if (rip + 15 < FAKE_MEMORY) fake_expect_decoders("executed", fake->memory + rip, 15);
    enum isa_step step = isa_run(&fake->isa, 1);
    if (step != ISA_NEXT) return step;
  }
  return ISA_NEXT;
}
