/* SPDX-License-Identifier: MIT
 * Profiles are habits, not semantics: whatever row is missing, the guest sees the same. */
#include <stdlib.h>
#include <string.h>

#include "test/test_hypervisor_stack.h"
#include "vmcs/field.h"

enum { ROWS = 96, DATA_PAGE = 0x100000 };
#define ARGUMENTS (TRACE_HAS_A | TRACE_HAS_B | TRACE_HAS_C | TRACE_HAS_D)
#define EVENT(kind_name, ...) \
  { .kind = TRACE_##kind_name, .level = 1, .flags = ARGUMENTS, __VA_ARGS__ }

static const struct trace_event events[] = {
    EVENT(CPUID, .a = 1),
    EVENT(RDMSR, .a = 0x1b),
    EVENT(WRMSR, .a = 0x277, .b = 0x0606060606060606),
    EVENT(WRMSR, .a = 0x174, .b = 0x33),
    EVENT(RDMSR, .a = 0x277),
    EVENT(RDMSR, .a = 0x174),
    EVENT(RDMSR, .a = 0x1d9),
    EVENT(VMCALL, .a = 1),
    EVENT(MOV_TO_CR, .a = 0, .b = 0x80010033),
    EVENT(MOV_TO_CR, .a = 4, .b = 0x400e0),
    EVENT(XSETBV, .a = 0, .b = 7),
    EVENT(WBINVD, .a = 0),
    EVENT(HLT, .a = 0),
    EVENT(MOV_DR, .a = 0, .b = 0x1234),
    EVENT(MOV_DR, .a = 7, .c = 1),
    EVENT(IO_OUT, .a = 0x21, .b = 1, .c = 0xfe, .d = 1),
    EVENT(IO_IN, .a = 0x21, .b = 1, .d = 1),
    EVENT(IO_IN, .a = 0x61, .b = 1, .d = 1),
    EVENT(MEM_TOUCH, .a = DATA_PAGE, .b = 2),
    EVENT(MMIO_WRITE, .a = 0xd8000000, .b = 4, .c = 5),
    EVENT(MMIO_READ, .a = 0xd8000004, .b = 4),
    EVENT(APIC_READ, .a = 0x30),
    EVENT(CPUID, .a = 0),
};

/* Hash of what the guest has seen after each event; false if it did not get through. Both
 * hypervisors boot with `original`, the innermost alone if that one does not nest, and go on with
 * `profile`. */
static bool play_all(const struct hv_profile *original, const struct hv_profile *profile,
                     const struct variant *switches, uint64_t *hash, const char *what) {
  struct variant variant = {.depth = 2,
                            .profile = original->flat ? "kvm-6.1" : original->name,
                            .innermost = original->name,
                            .no_shadowing = switches->no_shadowing,
                            .shadows = switches->shadows};
  struct guest guest;
  bool fine = guest_open(&guest, &variant);
  for (unsigned i = original->flat ? 1 : 0; fine && i < 2; i++)
    guest.stack->level[i].profile = profile;
  *hash = 0;
  for (unsigned i = 0; fine && i < sizeof events / sizeof events[0]; i++) {
    fine = EXPECT_EQ(what, player_play(&guest.player, &events[i]), PLAYER_DONE);
    for (unsigned reg = 0; fine && reg <= NST_REG_CR4; reg++)
      *hash = *hash * 31 + nst_reg_read(guest.cpu, (enum nst_reg)reg);
  }
  if (fine) *hash ^= player_hash(&guest.player);
  guest_close(&guest);
  return fine;
}

static unsigned length_of(const struct hv_row *row) {
  unsigned length = 0;
  while (row && row[length].operation != HV_END) length++;
  return length;
}

/* A profile with one row less. */
static void without_row(struct hv_profile *profile, struct hv_row *rows,
                        const struct hv_profile *original, unsigned routine, unsigned row) {
  unsigned length = length_of(original->routine[routine]), kept = 0;
  *profile = *original;
  for (unsigned i = 0; i <= length && kept < ROWS * 2; i++)
    if (i != row) rows[kept++] = original->routine[routine][i];
  profile->routine[routine] = rows;
}

static const char *const routine_names[] = {
#define HV_ROUTINE(name, text) #name,
#include "src/hypervisor/routine.def"
};

/* A row that another profile lent is tried with that one; rows that are no VMCS access (VMXON, say)
 * are no habit that can be given up. */
static bool is_tried(const struct hv_profile *profile, unsigned routine, unsigned row) {
  const struct hv_row *rows = profile->routine[routine];
  const struct hv_profile *first = hv_profile_at(0);
  if (profile != first && rows == first->routine[routine]) return false;
  return !profile->flat || rows[row].operation == HV_READ || rows[row].operation == HV_WRITE;
}

static void expect_rows_do_not_matter(const struct hv_profile *original, bool no_shadowing,
                                      unsigned shadows) {
  const struct variant switches = {.no_shadowing = no_shadowing, .shadows = shadows};
  uint64_t expected, found;
  if (!play_all(original, original, &switches, &expected, "all rows")) return;
  for (unsigned routine = 0; routine < ROUTINE_COUNT; routine++)
    for (unsigned row = 0; row < length_of(original->routine[routine]); row++) {
      struct hv_profile profile;
      struct hv_row rows[ROWS * 2];
      char what[96];
      if (!is_tried(original, routine, row)) continue;
      without_row(&profile, rows, original, routine, row);
      snprintf(what, sizeof what, "%s: %s without row %u, shadowing %s", original->name,
               routine_names[routine], row, no_shadowing ? "off" : "on");
      if (play_all(original, &profile, &switches, &found, what)) EXPECT_EQ(what, found, expected);
    }
}

static void missing_row_changes_nothing_that_the_guest_sees(void) {
  for (unsigned i = 0; hv_profile_at(i); i++) expect_rows_do_not_matter(hv_profile_at(i), false, 0);
}

static void missing_row_changes_nothing_without_shadowing(void) {
  expect_rows_do_not_matter(hv_profile_at(0), true, 0);
}

static void missing_row_changes_nothing_with_shadow_paging(void) {
  expect_rows_do_not_matter(hv_profile_at(0), true, 2);
}

static void every_row_is_well_formed(void) {
  for (unsigned p = 0; hv_profile_at(p); p++)
    for (unsigned routine = 0; routine < ROUTINE_COUNT; routine++) {
      const struct hv_row *row = hv_profile_at(p)->routine[routine];
      for (; row && row->operation != HV_END; row++) {
        bool access = row->operation == HV_READ || row->operation == HV_READ_ONCE ||
                      row->operation == HV_WRITE;
        bool region = row->operation == HV_VMPTRLD || row->operation == HV_VMCLEAR;
        const char *name = routine_names[routine];
        EXPECT_TRUE(name, row->condition <= HV_RESTRICTED && row->operation <= HV_OUT);
        if (access) EXPECT_TRUE(name, row->argument < FIELD_COUNT);
        if (access)
          EXPECT_EQ(name, vmcs_field_of(vmcs_field_info[row->argument].encoding), row->argument);
        if (region) EXPECT_TRUE(name, row->argument <= HV_REGION_CURRENT);
      }
    }
}

static bool reads_msr(const struct hv_profile *profile, uint16_t msr) {
  for (unsigned routine = 0; routine < ROUTINE_COUNT; routine++) {
    const struct hv_row *row = profile->routine[routine];
    for (; row && row->operation != HV_END; row++)
      if (row->operation == HV_RDMSR && row->argument == msr) return true;
  }
  return false;
}

/* Rows of what every exit runs that write an MSR; each writes what another one read. */
static unsigned rows_that_write_msrs(const struct hv_profile *profile) {
  unsigned rows = 0;
  for (unsigned i = 0; i < 2; i++) {
    const struct hv_row *row = profile->routine[i ? ROUTINE_ENTER : ROUTINE_EXIT];
    for (; row && row->operation != HV_END; row++) {
      if (row->operation != HV_WRMSR) continue;
      EXPECT_TRUE(profile->name, reads_msr(profile, row->argument));
      rows += row->condition == HV_ALWAYS;
    }
  }
  return rows;
}

static void every_row_that_writes_an_msr_is_executed(void) {
  for (unsigned i = 0; hv_profile_at(i); i++) {
    const struct hv_profile *profile = hv_profile_at(i);
    struct variant variant = {.depth = 1, .profile = profile->name};
    struct trace_event cpuid = EVENT(CPUID, .a = 1);
    struct guest guest;
    if (guest_open(&guest, &variant)) {
      uint64_t before = nst_counters(guest.cpu).wrmsr;
      guest_play(&guest, profile->name, &cpuid);
      EXPECT_EQ(profile->name, nst_counters(guest.cpu).wrmsr - before,
                rows_that_write_msrs(profile));
    }
    guest_close(&guest);
  }
}

static void names_find_their_profile(void) {
  for (unsigned i = 0; hv_profile_at(i); i++)
    EXPECT_TRUE(hv_profile_at(i)->name,
                hv_profile_find(hv_profile_at(i)->name) == hv_profile_at(i));
  EXPECT_TRUE("kvm-6.1", hv_profile_find("kvm-6.1") != NULL);
  EXPECT_TRUE("minimal", hv_profile_find("minimal") != NULL);
}

static void unknown_name_is_refused(void) {
  static const char *const names[] = {"", "kvm", "kvm-6.1 ", "KVM-6.1"};
  for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct nst_config config;
    struct nst_stack_config stack;
    struct nst_machine *machine = NULL;
    nst_config_init(&config);
    nst_stack_config_init(&stack);
    stack.depth = 2;
    stack.profile[1] = names[i];
    EXPECT_EQ(names[i], nst_stack_create(&machine, &config, &stack), NST_E_INVAL);
    EXPECT_TRUE(names[i], machine == NULL);
    nst_machine_destroy(machine);
  }
}

extern CU_TestInfo hypervisor_profile_tests[];
CU_TestInfo hypervisor_profile_tests[] = {
    {"every_row_is_well_formed", every_row_is_well_formed},
    {"every_row_that_writes_an_msr_is_executed", every_row_that_writes_an_msr_is_executed},
    {"names_find_their_profile", names_find_their_profile},
    {"unknown_name_is_refused", unknown_name_is_refused},
    {"missing_row_changes_nothing_that_the_guest_sees",
     missing_row_changes_nothing_that_the_guest_sees},
    {"missing_row_changes_nothing_without_shadowing",
     missing_row_changes_nothing_without_shadowing},
    {"missing_row_changes_nothing_with_shadow_paging",
     missing_row_changes_nothing_with_shadow_paging},
    CU_TEST_INFO_NULL};
