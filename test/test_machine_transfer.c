/* SPDX-License-Identifier: MIT
 * State that VM entries load and VM exits save, both ways: what VMWRITE put there is what the guest
 * reads, what the guest changed is what VMREAD finds; and the host state that an exit loads.
 * SDM 3C "Loading Guest State", "Saving Guest State", "Loading Host State". */
#include "test/test_machine_driven.h"

#define CODE(...) {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})
#define CR3 (GUEST_IMAGE + UINT64_C(0x2000))

enum { CODE_LIMIT = 24, UNUSABLE = 1 << 16 };

/* Code that leaves the value in RAX, and code that takes it from there; RCX is GUEST_DATA. */
struct transfer_case {
  const char *name;
  uint32_t field;
  uint8_t get[CODE_LIMIT];
  uint8_t get_size;
  uint8_t put[CODE_LIMIT];
  uint8_t put_size;          /* 0: a guest in 64-bit mode has no simple way */
  uint64_t written, changed; /* by VMWRITE; by the guest */
};

#define GET_MSR(a, b, c, d) \
  CODE(0xb9, a, b, c, d, 0x0f, 0x32, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0)
#define PUT_MSR(a, b, c, d) \
  CODE(0x48, 0x89, 0xc2, 0x48, 0xc1, 0xea, 0x20, 0xb9, a, b, c, d, 0x0f, 0x30)
#define MSR_ROW(name, field, a, b, c, d, ...) \
  { name, field, GET_MSR(a, b, c, d), PUT_MSR(a, b, c, d), __VA_ARGS__ }
#define BASE_OF(opcode) CODE(0x0f, 0x01, opcode, 0x48, 0x8b, 0x41, 0x02)
#define LIMIT_OF(opcode) CODE(0x0f, 0x01, opcode, 0x0f, 0xb7, 0x01)
#define PUT_BASE(opcode) CODE(0x48, 0x89, 0x41, 0x02, 0x0f, 0x01, opcode)
#define PUT_LIMIT(opcode) CODE(0x66, 0x89, 0x01, 0x0f, 0x01, opcode)

/* clang-format off */
static const struct transfer_case cases[] = {
  {"CR0", NST_FIELD_GUEST_CR0, CODE(0x0f, 0x20, 0xc0), CODE(0x0f, 0x22, 0xc0),
   0x80010039, 0x80010033},
  {"CR3", NST_FIELD_GUEST_CR3, CODE(0x0f, 0x20, 0xd8), CODE(0x0f, 0x22, 0xd8), CR3 | 8, CR3 | 16},
  {"CR4", NST_FIELD_GUEST_CR4, CODE(0x0f, 0x20, 0xe0), CODE(0x0f, 0x22, 0xe0), 0x20a4, 0x20a8},
  {"DR7", NST_FIELD_GUEST_DR7, CODE(0x0f, 0x21, 0xf8), CODE(0x0f, 0x23, 0xf8), 0x500, 0x600},
  {"RSP", NST_FIELD_GUEST_RSP, CODE(0x48, 0x89, 0xe0), CODE(0x48, 0x89, 0xc4),
   GUEST_DATA + 0x800, UINT64_C(0x123456789abc)},
  {"RFLAGS", NST_FIELD_GUEST_RFLAGS, CODE(0x9c, 0x58), CODE(0x50, 0x9d), 0x200042, 0x403},
  {"ES", NST_FIELD_GUEST_ES_SELECTOR, CODE(0x8c, 0xc0), CODE(0x8e, 0xc0), 0x28, 0},
  {"DS", NST_FIELD_GUEST_DS_SELECTOR, CODE(0x8c, 0xd8), CODE(0x8e, 0xd8), 0x28, 0},
  {"FS", NST_FIELD_GUEST_FS_SELECTOR, CODE(0x8c, 0xe0), CODE(0x8e, 0xe0), 0x28, 0},
  {"GS", NST_FIELD_GUEST_GS_SELECTOR, CODE(0x8c, 0xe8), CODE(0x8e, 0xe8), 0x28, 0},
  {"CS", NST_FIELD_GUEST_CS_SELECTOR, CODE(0x8c, 0xc8), {0}, 0, 0x28, 0},
  {"SS", NST_FIELD_GUEST_SS_SELECTOR, CODE(0x8c, 0xd0), CODE(0x8e, 0xd0), 0x30, 0},
  {"LDTR", NST_FIELD_GUEST_LDTR_SELECTOR, CODE(0x0f, 0x00, 0xc0), CODE(0x0f, 0x00, 0xd0), 0x38, 0},
  {"TR", NST_FIELD_GUEST_TR_SELECTOR, CODE(0x0f, 0x00, 0xc8), {0}, 0, 0x40, 0},
  {"GDTR base", NST_FIELD_GUEST_GDTR_BASE, BASE_OF(0x01), PUT_BASE(0x11), 0x12345678,
   UINT64_C(0xffff800012345678)},
  {"IDTR base", NST_FIELD_GUEST_IDTR_BASE, BASE_OF(0x09), PUT_BASE(0x19), 0x12345678,
   UINT64_C(0xffff800012345678)},
  {"GDTR limit", NST_FIELD_GUEST_GDTR_LIMIT, LIMIT_OF(0x01), PUT_LIMIT(0x11), 0x1234, 0x7f},
  {"IDTR limit", NST_FIELD_GUEST_IDTR_LIMIT, LIMIT_OF(0x09), PUT_LIMIT(0x19), 0x1234, 0x7f},
  MSR_ROW("FS base", NST_FIELD_GUEST_FS_BASE, 0x00, 0x01, 0x00, 0xc0, UINT64_C(0x7f0000001000),
          UINT64_C(0xffff900000000000)),
  MSR_ROW("GS base", NST_FIELD_GUEST_GS_BASE, 0x01, 0x01, 0x00, 0xc0, UINT64_C(0x7f0000001000),
          UINT64_C(0xffff900000000000)),
  MSR_ROW("SYSENTER_CS", NST_FIELD_GUEST_SYSENTER_CS, 0x74, 0x01, 0, 0, 0x10, 0x20),
  MSR_ROW("SYSENTER_ESP", NST_FIELD_GUEST_SYSENTER_ESP, 0x75, 0x01, 0, 0,
          UINT64_C(0xffff880000001000), 0x20),
  MSR_ROW("SYSENTER_EIP", NST_FIELD_GUEST_SYSENTER_EIP, 0x76, 0x01, 0, 0,
          UINT64_C(0xffff880000001000), 0x20),
  MSR_ROW("PAT", NST_FIELD_GUEST_IA32_PAT, 0x77, 0x02, 0, 0, UINT64_C(0x0606060606060606),
          UINT64_C(0x0007010600070106)),
  MSR_ROW("EFER", NST_FIELD_GUEST_IA32_EFER, 0x80, 0x00, 0x00, 0xc0, 0xd01, 0x501),
  MSR_ROW("DEBUGCTL", NST_FIELD_GUEST_IA32_DEBUGCTL, 0xd9, 0x01, 0, 0, 1, 2),
};
/* clang-format on */

/* Nothing of the guest's own exits but its HLT: no masks, no CR3 or DR exits, an empty bitmap. */
static void give_everything(struct driven *d) {
  const uint64_t cr3_and_dr = UINT64_C(1) << 15 | UINT64_C(1) << 16 | UINT64_C(1) << 23;
  driven_change(d, NST_FIELD_CPU_BASED_VM_EXEC_CONTROL, UINT64_C(1) << 28, cr3_and_dr);
  driven_write(d, NST_FIELD_MSR_BITMAP, SCRATCH);
  driven_write(d, NST_FIELD_CR0_GUEST_HOST_MASK, 0);
  driven_write(d, NST_FIELD_CR4_GUEST_HOST_MASK, 0);
}

static void load(struct driven *d, const uint8_t *code, uint8_t size) {
  uint8_t bytes[CODE_LIMIT + 1];
  memcpy(bytes, code, size);
  bytes[size] = 0xf4;
  driven_load(d, bytes, size + 1u);
  give_everything(d);
  driven_set(d, NST_REG_RCX, GUEST_DATA);
}

static void entry_loads(const struct transfer_case *c, unsigned level) {
  char text[96];
  struct driven d;
  snprintf(text, sizeof text, "%s from VMCS to guest, by L%u", c->name, level - 1);
  if (driven_open(&d, text, &(struct setting){.level = level})) {
    load(&d, c->get, c->get_size);
    driven_write(&d, c->field, c->written);
    DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
    DRIVEN_EQ(&d, driven_get(&d, NST_REG_RAX), c->written);
    DRIVEN_EQ(&d, driven_read(&d, c->field), c->written);
  }
  driven_close(&d);
}

static void exit_saves(const struct transfer_case *c, unsigned level) {
  char text[96];
  struct driven d;
  if (!c->put_size) return;
  snprintf(text, sizeof text, "%s from guest to VMCS, by L%u", c->name, level - 1);
  if (driven_open(&d, text, &(struct setting){.level = level})) {
    load(&d, c->put, c->put_size);
    driven_set(&d, NST_REG_RAX, c->changed);
    DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
    DRIVEN_EQ(&d, driven_read(&d, c->field), c->changed);
  }
  driven_close(&d);
}

static void run_all(void (*one)(const struct transfer_case *, unsigned)) {
  for (unsigned level = 1; level <= 3; level++)
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) one(&cases[i], level);
}

static void entry_loads_what_vmwrite_wrote(void) {
  run_all(entry_loads);
}
static void exit_saves_what_the_guest_changed(void) {
  run_all(exit_saves);
}

/* ---- what has no instruction that reads it */

static void null_selector_is_saved_as_unusable(void) {
  for (unsigned level = 1; level <= 2; level++) {
    struct driven d;
    if (driven_open(&d, "mov fs, 0", &(struct setting){.level = level})) {
      DRIVEN_LOAD(&d, {0x8e, 0xe0, 0xf4});
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_FS_AR_BYTES) & UNUSABLE, UNUSABLE);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_GS_AR_BYTES) & UNUSABLE, 0);
    }
    driven_close(&d);
  }
}

static void sti_blocks_for_one_instruction(void) {
  for (unsigned level = 1; level <= 2; level++) {
    struct driven d;
    if (driven_open(&d, "sti", &(struct setting){.level = level})) {
      DRIVEN_LOAD(&d, {0xfb, 0xf4, 0x90, 0xf4}); /* sti; hlt; nop; hlt */
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_INTERRUPTIBILITY_INFO), 1);
      driven_set(&d, NST_REG_RIP, driven_read(&d, NST_FIELD_GUEST_RIP) + 1);
      DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_HLT);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_INTERRUPTIBILITY_INFO), 0);
    }
    driven_close(&d);
  }
}

static void general_registers_are_not_touched(void) {
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (driven_open(&d, "registers", &(struct setting){.level = level})) {
      DRIVEN_LOAD(&d, {0xf4});
      for (unsigned reg = NST_REG_RAX; reg <= NST_REG_R15; reg++)
        if (reg != NST_REG_RSP) driven_set(&d, (enum nst_reg)reg, 0x1111 * (reg + 1));
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
      for (unsigned reg = NST_REG_RAX; reg <= NST_REG_R15; reg++)
        if (reg != NST_REG_RSP)
          DRIVEN_EQ(&d, driven_get(&d, (enum nst_reg)reg), 0x1111 * (reg + 1));
    }
    driven_close(&d);
  }
}

/* ---- host state */

static const struct host_msr {
  uint32_t host, guest; /* fields */
  uint32_t msr;
  uint64_t value;
} host_msrs[] = {
    {NST_FIELD_HOST_IA32_SYSENTER_CS, NST_FIELD_GUEST_SYSENTER_CS, 0x174, 0x18},
    {NST_FIELD_HOST_IA32_SYSENTER_ESP, NST_FIELD_GUEST_SYSENTER_ESP, 0x175, 0x4321},
    {NST_FIELD_HOST_IA32_SYSENTER_EIP, NST_FIELD_GUEST_SYSENTER_EIP, 0x176, 0x8765},
    {NST_FIELD_HOST_FS_BASE, NST_FIELD_GUEST_FS_BASE, 0xc0000100, 0x5000},
    {NST_FIELD_HOST_GS_BASE, NST_FIELD_GUEST_GS_BASE, 0xc0000101, 0x6000},
    {NST_FIELD_HOST_IA32_PAT, NST_FIELD_GUEST_IA32_PAT, 0x277, UINT64_C(0x0606060606060606)},
    {NST_FIELD_HOST_IA32_EFER, NST_FIELD_GUEST_IA32_EFER, 0xc0000080, 0xd01},
};
enum { HOST_MSRS = sizeof host_msrs / sizeof host_msrs[0] };

static void exit_loads_the_host_state(void) {
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (driven_open(&d, "host state", &(struct setting){.level = level})) {
      DRIVEN_LOAD(&d, {0xf9, 0xf4}); /* stc; hlt */
      for (unsigned i = 0; i < HOST_MSRS; i++)
        driven_write(&d, host_msrs[i].host, host_msrs[i].value);
      uint64_t rsp = driven_read(&d, NST_FIELD_HOST_RSP), cr0 = nst_read_cr(d.cpu, 0);
      uint64_t cr3 = nst_read_cr(d.cpu, 3), cr4 = nst_read_cr(d.cpu, 4);
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
      uint64_t rip = nst_reg_read(d.cpu, NST_REG_RIP); /* before the next instruction moves it */
      DRIVEN_EQ(&d, rip, driven_read(&d, NST_FIELD_HOST_RIP));
      DRIVEN_EQ(&d, nst_reg_read(d.cpu, NST_REG_RSP), rsp);
      DRIVEN_EQ(&d, nst_read_cr(d.cpu, 0), cr0);
      DRIVEN_EQ(&d, nst_read_cr(d.cpu, 3), cr3);
      DRIVEN_EQ(&d, nst_read_cr(d.cpu, 4), cr4);
      for (unsigned i = 0; i < HOST_MSRS; i++) {
        uint64_t value = 0;
        DRIVEN_EQ(&d, nst_rdmsr(d.cpu, host_msrs[i].msr, &value), true);
        DRIVEN_EQ(&d, value, host_msrs[i].value);
      }
    }
    driven_close(&d);
  }
}

/* ---- MSR areas. SDM 3C "Loading MSRs", "Saving MSRs" */

enum { ENTRY_ROW = SCRATCH, STORE_ROW = SCRATCH + 0x100, LOAD_ROW = SCRATCH + 0x200 };

static void make_row(struct driven *d, uint32_t address, uint32_t count, uint64_t row,
                     uint64_t value) {
  nst_store(d->cpu, row, 8, 0xc0000102); /* KERNEL_GS_BASE */
  nst_store(d->cpu, row + 8, 8, value);
  driven_write(d, address, row);
  driven_write(d, count, 1);
}

static void msr_areas_are_processed(void) {
  for (unsigned level = 1; level <= 3; level++) {
    struct driven d;
    if (driven_open(&d, "MSR areas", &(struct setting){.level = level})) {
      /* mov ecx, 0xc0000102; rdmsr; mov ebx, eax; mov eax, 0x77; wrmsr; hlt */
      DRIVEN_LOAD(&d, {0xb9, 0x02, 0x01, 0x00, 0xc0, 0x0f, 0x32, 0x89, 0xc3, 0xb8, 0x77, 0x00, 0x00,
                       0x00, 0x0f, 0x30, 0xf4});
      make_row(&d, NST_FIELD_VM_ENTRY_MSR_LOAD_ADDR, NST_FIELD_VM_ENTRY_MSR_LOAD_COUNT, ENTRY_ROW,
               0x1000);
      make_row(&d, NST_FIELD_VM_EXIT_MSR_STORE_ADDR, NST_FIELD_VM_EXIT_MSR_STORE_COUNT, STORE_ROW,
               0x2000);
      make_row(&d, NST_FIELD_VM_EXIT_MSR_LOAD_ADDR, NST_FIELD_VM_EXIT_MSR_LOAD_COUNT, LOAD_ROW,
               0x3000);
      driven_write(&d, NST_FIELD_MSR_BITMAP, SCRATCH_2);
      DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_HLT);
      DRIVEN_EQ(&d, driven_get(&d, NST_REG_RBX), 0x1000);
      DRIVEN_EQ(&d, nst_load(d.cpu, STORE_ROW + 8, 8), 0x77);
      uint64_t value = 0;
      DRIVEN_EQ(&d, nst_rdmsr(d.cpu, 0xc0000102, &value), true);
      DRIVEN_EQ(&d, value, 0x3000);
    }
    driven_close(&d);
  }
}

CU_TestInfo machine_transfer_tests[] = {
    {"entry_loads_what_vmwrite_wrote", entry_loads_what_vmwrite_wrote},
    {"exit_saves_what_the_guest_changed", exit_saves_what_the_guest_changed},
    {"null_selector_is_saved_as_unusable", null_selector_is_saved_as_unusable},
    {"sti_blocks_for_one_instruction", sti_blocks_for_one_instruction},
    {"general_registers_are_not_touched", general_registers_are_not_touched},
    {"exit_loads_the_host_state", exit_loads_the_host_state},
    {"msr_areas_are_processed", msr_areas_are_processed},
    CU_TEST_INFO_NULL,
};
