/* SPDX-License-Identifier: MIT
 * Which instructions exit, and what an exit records. */
#include <stdio.h>
#include <string.h>

#include "test/expect.h"
#include "vmcs/control.h"
#include "vmcs/intercept.h"
#include "vmcs/reason.h"

struct fixture {
  _Alignas(8) uint8_t region[VMCS_REGION_SIZE];
  struct vmcs_layout layout;
  struct vmcs vmcs;
  uint8_t pages[5][4096];
  struct vmcs_bitmaps bitmaps;
};

static void start(struct fixture *f, uint64_t primary, uint64_t secondary) {
  memset(f, 0, sizeof *f);
  vmcs_layout_init(&f->layout, 0x12);
  f->vmcs = (struct vmcs){f->region, &f->layout};
  f->bitmaps =
      (struct vmcs_bitmaps){f->pages[0], f->pages[1], f->pages[2], f->pages[3], f->pages[4]};
  vmcs_set(&f->vmcs, FIELD_CPU_BASED_VM_EXEC_CONTROL, primary);
  vmcs_set(&f->vmcs, FIELD_SECONDARY_VM_EXEC_CONTROL, secondary);
}

static void io_exits_by_control_and_bitmap(void) {
  static const struct {
    const char *name;
    uint64_t primary;
    unsigned port, size;
    bool exits;
  } rows[] = {
      {"no control", 0, 0x80, 1, false},
      {"unconditional", VMCS_BIT(CPU_BASED_UNCOND_IO_EXITING), 0x81, 1, true},
      {"bitmap, bit set", VMCS_BIT(CPU_BASED_USE_IO_BITMAPS), 0x80, 1, true},
      {"bitmap, bit clear", VMCS_BIT(CPU_BASED_USE_IO_BITMAPS), 0x81, 1, false},
      {"bitmap overrides unconditional",
       VMCS_BIT(CPU_BASED_USE_IO_BITMAPS) | VMCS_BIT(CPU_BASED_UNCOND_IO_EXITING), 0x81, 1, false},
      {"last byte of the access", VMCS_BIT(CPU_BASED_USE_IO_BITMAPS), 0x7d, 4, true},
      {"just below", VMCS_BIT(CPU_BASED_USE_IO_BITMAPS), 0x7c, 4, false},
      {"bitmap B", VMCS_BIT(CPU_BASED_USE_IO_BITMAPS), 0x8001, 1, true},
      {"from A into B", VMCS_BIT(CPU_BASED_USE_IO_BITMAPS), 0x7ffe, 4, true},
      {"up to the end", VMCS_BIT(CPU_BASED_USE_IO_BITMAPS), 0xfffc, 4, false},
      {"wraps around", VMCS_BIT(CPU_BASED_USE_IO_BITMAPS), 0xfffd, 4, true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct fixture f;
    start(&f, rows[i].primary, 0);
    f.pages[0][0x80 / 8] = 1;
    f.pages[1][0] = 2;
    bool exits = vmcs_intercepts_io(&f.vmcs, &f.bitmaps, (uint16_t)rows[i].port, rows[i].size);
    EXPECT_EQ(rows[i].name, exits, rows[i].exits);
  }
}

static void msr_exits_by_bitmap(void) {
  static const struct {
    const char *name;
    uint32_t msr;
    bool write, exits;
  } rows[] = {
      {"low read, set", 0x10, false, true},        {"low read, clear", 0x11, false, false},
      {"low write, set", 0x1b, true, true},        {"low write, clear", 0x10, true, false},
      {"high read, set", 0xc0000080, false, true}, {"high read, clear", 0xc0000081, false, false},
      {"high write, set", 0xc0000082, true, true}, {"high write, clear", 0xc0000080, true, false},
      {"last low", 0x1fff, false, false},          {"first above low", 0x2000, false, true},
      {"last high", 0xc0001fff, true, false},      {"first above high", 0xc0002000, true, true},
      {"between", 0x40000000, false, true},
  };
  struct fixture f;
  start(&f, VMCS_BIT(CPU_BASED_USE_MSR_BITMAPS), 0);
  f.pages[2][0x10 / 8] |= 1 << (0x10 % 8);
  f.pages[2][2048 + 0x1b / 8] |= 1 << (0x1b % 8);
  f.pages[2][1024 + 0x80 / 8] |= 1 << (0x80 % 8);
  f.pages[2][3072 + 0x82 / 8] |= 1 << (0x82 % 8);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    EXPECT_EQ(rows[i].name, vmcs_intercepts_msr(&f.vmcs, &f.bitmaps, rows[i].msr, rows[i].write),
              rows[i].exits);
  f.bitmaps.msr = NULL;
  EXPECT_TRUE("unreadable", vmcs_intercepts_msr(&f.vmcs, &f.bitmaps, 0x11, false));
  start(&f, 0, 0);
  EXPECT_TRUE("no bitmaps", vmcs_intercepts_msr(&f.vmcs, &f.bitmaps, 0x11, false));
}

static void cr_writes_exit_on_masked_difference(void) {
  struct fixture f;
  start(&f, VMCS_BIT(CPU_BASED_CR3_LOAD_EXITING), 0);
  vmcs_set(&f.vmcs, FIELD_CR0_GUEST_HOST_MASK, 0x20);
  vmcs_set(&f.vmcs, FIELD_CR0_READ_SHADOW, 0x20);
  vmcs_set(&f.vmcs, FIELD_CR4_GUEST_HOST_MASK, 0x2000);
  vmcs_set(&f.vmcs, FIELD_CR3_TARGET_COUNT, 2);
  for (unsigned i = 0; i < 4; i++)
    vmcs_set(&f.vmcs, (enum vmcs_field)(FIELD_CR3_TARGET_VALUE0 + i), 0x1000 * (i + 1));
  EXPECT_TRUE("CR0 as the shadow", !vmcs_intercepts_cr_write(&f.vmcs, 0, 0x31));
  EXPECT_TRUE("CR0 unlike the shadow", vmcs_intercepts_cr_write(&f.vmcs, 0, 0x11));
  EXPECT_TRUE("CR4 as the shadow", !vmcs_intercepts_cr_write(&f.vmcs, 4, 0x20));
  EXPECT_TRUE("CR4 unlike the shadow", vmcs_intercepts_cr_write(&f.vmcs, 4, 0x2020));
  EXPECT_TRUE("CR3 target", !vmcs_intercepts_cr_write(&f.vmcs, 3, 0x2000));
  EXPECT_TRUE("CR3 target beyond the count", vmcs_intercepts_cr_write(&f.vmcs, 3, 0x3000));
  EXPECT_TRUE("CR8", !vmcs_intercepts_cr_write(&f.vmcs, 8, 1));
  EXPECT_TRUE("CR3 read", !vmcs_intercepts_cr_read(&f.vmcs, 3));
  start(&f, VMCS_BIT(CPU_BASED_CR3_STORE_EXITING) | VMCS_BIT(CPU_BASED_CR8_LOAD_EXITING), 0);
  EXPECT_TRUE("CR3 read exits", vmcs_intercepts_cr_read(&f.vmcs, 3));
  EXPECT_TRUE("CR8 write exits", vmcs_intercepts_cr_write(&f.vmcs, 8, 1));
  EXPECT_TRUE("CR8 read", !vmcs_intercepts_cr_read(&f.vmcs, 8));
  EXPECT_TRUE("CR0 read", !vmcs_intercepts_cr_read(&f.vmcs, 0));
  EXPECT_TRUE("CR3 write", !vmcs_intercepts_cr_write(&f.vmcs, 3, 0x3000));
}

static void clts_and_lmsw_exit_by_mask_and_shadow(void) {
  static const struct {
    const char *name;
    uint64_t mask, shadow;
    uint16_t source;
    bool clts, lmsw;
  } rows[] = {
      {"guest owns", 0, 0xf, 0, false, false},
      {"TS masked, shadow 1", 8, 8, 8, true, false},
      {"TS masked, shadow 0", 8, 0, 8, false, true},
      {"PE would be cleared", 1, 1, 0, false, false},
      {"PE would be set", 1, 0, 1, false, true},
      {"MP differs", 2, 2, 0, false, true},
      {"bits above 3 do not count", 0xfff0, 0, 0xfff0, false, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct fixture f;
    start(&f, 0, 0);
    vmcs_set(&f.vmcs, FIELD_CR0_GUEST_HOST_MASK, rows[i].mask);
    vmcs_set(&f.vmcs, FIELD_CR0_READ_SHADOW, rows[i].shadow);
    EXPECT_EQ(rows[i].name, vmcs_intercepts_clts(&f.vmcs), rows[i].clts);
    EXPECT_EQ(rows[i].name, vmcs_intercepts_lmsw(&f.vmcs, rows[i].source), rows[i].lmsw);
  }
}

static void masked_bits_are_the_hosts(void) {
  struct fixture f;
  start(&f, 0, 0);
  vmcs_set(&f.vmcs, FIELD_CR4_GUEST_HOST_MASK, 0xf0);
  vmcs_set(&f.vmcs, FIELD_CR4_READ_SHADOW, 0xaa);
  EXPECT_EQ("visible", vmcs_cr_visible(&f.vmcs, 4, 0x55), 0xa5);
  EXPECT_EQ("written", vmcs_cr_written(&f.vmcs, 4, 0x55, 0xaa), 0x5a);
  EXPECT_EQ("CR3 visible", vmcs_cr_visible(&f.vmcs, 3, 0x55), 0x55);
  EXPECT_EQ("CR3 written", vmcs_cr_written(&f.vmcs, 3, 0x55, 0xaa), 0xaa);
}

static void exceptions_exit_by_bitmap_and_error_code(void) {
  static const struct {
    const char *name;
    uint64_t bitmap, mask, match;
    unsigned vector;
    uint32_t error_code;
    bool exits;
  } rows[] = {
      {"bit set", 1 << 13, 0, 0, 13, 0, true},
      {"bit clear", 1 << 13, 0, 0, 6, 0, false},
      {"page fault, match, set", 1 << 14, 0, 0, 14, 7, true},
      {"page fault, match, clear", 0, 0, 0, 14, 7, false},
      {"page fault, no match, set", 1 << 14, 1, 1, 14, 2, false},
      {"page fault, no match, clear", 0, 1, 1, 14, 2, true},
      {"mask and match 0 and ~0", 0, 0, 0xffffffff, 14, 2, true},
      {"no such vector", UINT32_MAX, 0, 0, 46, 0, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct fixture f;
    start(&f, 0, 0);
    vmcs_set(&f.vmcs, FIELD_EXCEPTION_BITMAP, rows[i].bitmap);
    vmcs_set(&f.vmcs, FIELD_PAGE_FAULT_ERROR_CODE_MASK, rows[i].mask);
    vmcs_set(&f.vmcs, FIELD_PAGE_FAULT_ERROR_CODE_MATCH, rows[i].match);
    EXPECT_EQ(rows[i].name, vmcs_intercepts_exception(&f.vmcs, rows[i].vector, rows[i].error_code),
              rows[i].exits);
  }
}

static void shadowing_serves_clear_bits_only(void) {
  const uint64_t on = VMCS_BIT(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS);
  struct fixture f;
  start(&f, on, VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS));
  f.pages[3][GUEST_RIP / 8] = 1 << (GUEST_RIP % 8);
  f.pages[4][GUEST_RSP / 8] = 1 << (GUEST_RSP % 8);
  const struct vmcs *v = &f.vmcs;
  EXPECT_TRUE("read, set", vmcs_intercepts_vmcs_access(v, &f.bitmaps, GUEST_RIP, false));
  EXPECT_TRUE("read, clear", !vmcs_intercepts_vmcs_access(v, &f.bitmaps, GUEST_RSP, false));
  EXPECT_TRUE("write, set", vmcs_intercepts_vmcs_access(v, &f.bitmaps, GUEST_RSP, true));
  EXPECT_TRUE("write, clear", !vmcs_intercepts_vmcs_access(v, &f.bitmaps, GUEST_RIP, true));
  EXPECT_TRUE("last", !vmcs_intercepts_vmcs_access(v, &f.bitmaps, 0x7fff, true));
  EXPECT_TRUE("bit 15", vmcs_intercepts_vmcs_access(v, &f.bitmaps, 0x8000, true));
  EXPECT_TRUE("bit 32", vmcs_intercepts_vmcs_access(v, &f.bitmaps, UINT64_C(1) << 32, true));
  start(&f, 0, VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS));
  EXPECT_TRUE("secondary controls off", vmcs_intercepts_vmcs_access(v, &f.bitmaps, 0, true));
  start(&f, on, 0);
  EXPECT_TRUE("control off", vmcs_intercepts_vmcs_access(v, &f.bitmaps, 0, true));
}

static void qualifications_are_packed_as_in_the_manual(void) {
  EXPECT_EQ("MOV to CR4 from R9", vmcs_qualify_cr(4, 0, 9, 0, false), 0x904);
  EXPECT_EQ("MOV from CR3 to RBX", vmcs_qualify_cr(3, 1, 3, 0, false), 0x313);
  EXPECT_EQ("CLTS", vmcs_qualify_cr(0, 2, 0, 0, false), 0x20);
  EXPECT_EQ("LMSW memory", vmcs_qualify_cr(0, 3, 0, 0x1234, true), 0x12340070);
  EXPECT_EQ("MOV from DR7 to RDX", vmcs_qualify_dr(7, true, 2), 0x217);
  EXPECT_EQ("OUT 0x5e0 by DX", vmcs_qualify_io(0x5e0, 1, false, false, false, false), 0x05e00000);
  EXPECT_EQ("IN EAX, 0x21", vmcs_qualify_io(0x21, 4, true, false, false, true), 0x0021004b);
  EXPECT_EQ("REP INSW", vmcs_qualify_io(0x80, 2, true, true, true, false), 0x00800039);
}

static void instruction_information_is_packed_as_in_the_manual(void) {
  struct vmcs_operand reg = {.reg1 = 3, .reg2 = 9, .base = 0xff, .index = 0xff, .address_size = 8};
  EXPECT_EQ("VMREAD RBX, R9", vmcs_instruction_information(&reg), 0x90000418);
  struct vmcs_operand memory = {.memory = true,
                                .reg2 = 2,
                                .segment = 3,
                                .base = 5,
                                .index = 12,
                                .scale = 3,
                                .address_size = 8};
  EXPECT_EQ("[RBP + R12 * 8]", vmcs_instruction_information(&memory), 0x22b18103);
  memory.index = memory.base = 0xff;
  memory.address_size = 4;
  EXPECT_EQ("absolute", vmcs_instruction_information(&memory), 0x28418080);
}

static void exit_records_what_its_reason_defines(void) {
  struct fixture f;
  start(&f, 0, 0);
  vmcs_set(&f.vmcs, FIELD_VM_ENTRY_INTR_INFO_FIELD, 0x80000b0e);
  vmcs_set(&f.vmcs, FIELD_VMX_INSTRUCTION_INFO, 0x77);
  vmcs_set(&f.vmcs, FIELD_GUEST_PHYSICAL_ADDRESS, 0x88);
  struct vmcs_exit exit = {.reason = EXIT_REASON_EPT_VIOLATION,
                           .length = 3,
                           .qualification = 0x181,
                           .instruction_information = 1,
                           .idt_vectoring_information = 0x80000b0e,
                           .idt_vectoring_error = 4,
                           .guest_linear_address = 0x1000,
                           .guest_physical_address = 0x2000};
  vmcs_exit_record(&f.vmcs, &exit);
  EXPECT_EQ("reason", vmcs_get(&f.vmcs, FIELD_VM_EXIT_REASON), 48);
  EXPECT_EQ("qualification", vmcs_get(&f.vmcs, FIELD_EXIT_QUALIFICATION), 0x181);
  EXPECT_EQ("length", vmcs_get(&f.vmcs, FIELD_VM_EXIT_INSTRUCTION_LEN), 3);
  EXPECT_EQ("vectoring", vmcs_get(&f.vmcs, FIELD_IDT_VECTORING_INFO_FIELD), 0x80000b0e);
  EXPECT_EQ("vectoring error", vmcs_get(&f.vmcs, FIELD_IDT_VECTORING_ERROR_CODE), 4);
  EXPECT_EQ("linear", vmcs_get(&f.vmcs, FIELD_GUEST_LINEAR_ADDRESS), 0x1000);
  EXPECT_EQ("physical", vmcs_get(&f.vmcs, FIELD_GUEST_PHYSICAL_ADDRESS), 0x2000);
  EXPECT_EQ("no instruction information", vmcs_get(&f.vmcs, FIELD_VMX_INSTRUCTION_INFO), 0x77);
  EXPECT_EQ("injection done", vmcs_get(&f.vmcs, FIELD_VM_ENTRY_INTR_INFO_FIELD), 0xb0e);
  exit = (struct vmcs_exit){.reason = EXIT_REASON_VMREAD, .instruction_information = 5};
  vmcs_exit_record(&f.vmcs, &exit);
  EXPECT_EQ("instruction information", vmcs_get(&f.vmcs, FIELD_VMX_INSTRUCTION_INFO), 5);
  EXPECT_EQ("vectoring over", vmcs_get(&f.vmcs, FIELD_IDT_VECTORING_INFO_FIELD), 0);
  EXPECT_EQ("physical stays", vmcs_get(&f.vmcs, FIELD_GUEST_PHYSICAL_ADDRESS), 0x2000);
}

static void failed_entry_records_reason_and_qualification_only(void) {
  struct fixture f;
  start(&f, 0, 0);
  vmcs_set(&f.vmcs, FIELD_VM_ENTRY_INTR_INFO_FIELD, 0x80000020);
  vmcs_set(&f.vmcs, FIELD_VM_EXIT_INSTRUCTION_LEN, 9);
  struct vmcs_exit exit = {.reason = EXIT_REASON_INVALID_STATE | EXIT_REASON_FAILED_ENTRY,
                           .qualification = 4};
  vmcs_exit_record(&f.vmcs, &exit);
  EXPECT_EQ("reason", vmcs_get(&f.vmcs, FIELD_VM_EXIT_REASON), 0x80000021);
  EXPECT_EQ("qualification", vmcs_get(&f.vmcs, FIELD_EXIT_QUALIFICATION), 4);
  EXPECT_EQ("length stays", vmcs_get(&f.vmcs, FIELD_VM_EXIT_INSTRUCTION_LEN), 9);
  EXPECT_EQ("event stays", vmcs_get(&f.vmcs, FIELD_VM_ENTRY_INTR_INFO_FIELD), 0x80000020);
}

CU_TestInfo vmcs_intercept_tests[] = {
    {"io_exits_by_control_and_bitmap", io_exits_by_control_and_bitmap},
    {"msr_exits_by_bitmap", msr_exits_by_bitmap},
    {"cr_writes_exit_on_masked_difference", cr_writes_exit_on_masked_difference},
    {"clts_and_lmsw_exit_by_mask_and_shadow", clts_and_lmsw_exit_by_mask_and_shadow},
    {"masked_bits_are_the_hosts", masked_bits_are_the_hosts},
    {"exceptions_exit_by_bitmap_and_error_code", exceptions_exit_by_bitmap_and_error_code},
    {"shadowing_serves_clear_bits_only", shadowing_serves_clear_bits_only},
    {"qualifications_are_packed_as_in_the_manual", qualifications_are_packed_as_in_the_manual},
    {"instruction_information_is_packed_as_in_the_manual",
     instruction_information_is_packed_as_in_the_manual},
    {"exit_records_what_its_reason_defines", exit_records_what_its_reason_defines},
    {"failed_entry_records_reason_and_qualification_only",
     failed_entry_records_reason_and_qualification_only},
    CU_TEST_INFO_NULL,
};
