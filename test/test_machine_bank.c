/* SPDX-License-Identifier: MIT
 * What the processor keeps of a VMCS beside its region (src/machine/bank.c) shows nowhere: the same
 * run with the kept state taken away before every entry ends alike, whatever field is written. */
#include "src/machine/machine.h"
#include "test/test_machine_driven.h"

/* Everything that one entry and its exit show. */
struct record {
  unsigned entries;
  uint8_t state[sizeof(struct x86_state)];
  uint8_t controls[VMX_CONTROLS_SIZE];
  enum nst_vmx_result result;
  uint32_t reason;
  uint64_t field[FIELD_COUNT];
};

static void note_entry(void *context, struct nst_cpu *cpu, const struct nst_entry_event *event) {
  struct record *record = context;
  (void)event;
  record->entries++;
  memcpy(record->state, &cpu->isa.state, sizeof record->state);
  memcpy(record->controls, (uint8_t *)&cpu->vmx + VMX_CONTROLS_FIRST, VMX_CONTROLS_SIZE);
  memset(record->controls, 0, sizeof(struct vmcs) + sizeof(struct vmcs_bitmaps)); /* pointers */
}

/* A store into the region that changes nothing. */
static void touch_region(struct driven *d) {
  uint64_t word = 0;
  nst_mem_read(d->machine, OWN_REGION, &word, sizeof word);
  nst_mem_write(d->machine, OWN_REGION, &word, sizeof word);
}

static void enter(struct driven *d, struct record *record) {
  record->result = nst_vmresume(d->cpu);
  if (record->result == NST_VMX_SUCCEED && nst_run(d->cpu, 10000, &d->stop) == NST_OK)
    record->reason = d->stop.reason;
  for (unsigned i = 0; i < FIELD_COUNT; i++)
    nst_vmread(d->cpu, vmcs_field_info[i].encoding, &record->field[i]);
}

/* Two rounds, then one with a bit of a field inverted. */
static bool run(struct record *record, enum vmcs_field field, unsigned bit, bool touched) {
  char text[96];
  struct driven d;
  memset(record, 0, sizeof *record);
  snprintf(text, sizeof text, "%s bit %u", vmcs_field_info[field].name, bit);
  bool open = driven_open(&d, text, &(struct setting){.processor = "everything"});
  if (open) {
    struct nst_observer observer = {.context = record, .entry = note_entry};
    uint32_t encoding = vmcs_field_info[field].encoding;
    uint64_t value = 0;
    DRIVEN_LOAD(&d, {0x0f, 0xa2}); /* cpuid */
    DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_CPUID);
    DRIVEN_EQ(&d, driven_run(&d, false), NST_EXIT_CPUID);
    nst_observe(d.machine, &observer);
    if (nst_vmread(d.cpu, encoding, &value) == NST_VMX_SUCCEED)
      nst_vmwrite(d.cpu, encoding, value ^ UINT64_C(1) << bit);
    if (touched) touch_region(&d);
    enter(&d, record);
  }
  driven_close(&d);
  return open;
}

static void any_field_written_counts_at_next_entry(void) {
  static const unsigned bits[] = {0, 3, 7, 8, 12, 15, 21, 31, 40};
  for (unsigned field = 0; field < FIELD_COUNT; field++) {
    for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++) {
      static struct record kept, fresh;
      if (!run(&kept, (enum vmcs_field)field, bits[i], false)) return;
      if (!run(&fresh, (enum vmcs_field)field, bits[i], true)) return;
      char text[96];
      snprintf(text, sizeof text, "%s bit %u", vmcs_field_info[field].name, bits[i]);
      EXPECT_EQ(text, kept.entries, fresh.entries);
      EXPECT_EQ(text, memcmp(&kept, &fresh, sizeof kept), 0);
    }
  }
}

/* Without an exit, by WRMSR: mov ecx, 0xc0000101; xor edx, edx; wrmsr; cpuid; inc eax; jmp to xor
 */
static void guest_base_changed_by_guest_is_saved(void) {
  struct driven d;
  if (driven_open(&d, "GS base", &(struct setting){.level = 1})) {
    DRIVEN_LOAD(&d, {0xb9, 0x01, 0x01, 0x00, 0xc0, 0x31, 0xd2, 0x0f, 0x30, 0x0f, 0xa2, 0xff, 0xc0,
                     0xeb, 0xf6});
    for (unsigned i = 0; i < 4; i++) {
      driven_set(&d, NST_REG_RAX, i ? 0x1000 * i - 1 : 0);
      DRIVEN_EQ(&d, driven_run(&d, i == 0), NST_EXIT_CPUID);
      DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_GS_BASE), 0x1000 * i);
      driven_write(&d, NST_FIELD_GUEST_RIP, driven_read(&d, NST_FIELD_GUEST_RIP) + 2);
    }
  }
  driven_close(&d);
}

/* The processor's own words of the header are memory too: what software puts there is not believed.
 */
static void header_written_by_software_skips_no_check(void) {
  struct driven d;
  if (driven_open(&d, "header", &(struct setting){.level = 1})) {
    uint32_t all = UINT32_MAX;
    DRIVEN_LOAD(&d, {0x0f, 0xa2});
    DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_CPUID);
    driven_write(&d, NST_FIELD_HOST_CR3, UINT64_MAX);
    nst_mem_write(d.machine, OWN_REGION + offsetof(struct vmcs_header, checked), &all, sizeof all);
    DRIVEN_EQ(&d, nst_vmresume(d.cpu), NST_VMX_FAIL_VALID);
  }
  driven_close(&d);
}

CU_TestInfo machine_bank_tests[] = {
    {"any_field_written_counts_at_next_entry", any_field_written_counts_at_next_entry},
    {"guest_base_changed_by_guest_is_saved", guest_base_changed_by_guest_is_saved},
    {"header_written_by_software_skips_no_check", header_written_by_software_skips_no_check},
    CU_TEST_INFO_NULL,
};
