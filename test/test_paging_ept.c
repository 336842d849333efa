/* SPDX-License-Identifier: MIT
 * EPT alone and under guest tables: violations, misconfigurations, accessed and dirty flags. */
#include "paging/ept.h"

#include "paging/walk.h"
#include "test/expect.h"
#include "test/test_paging_memory.h"

enum { R = WALK_READ, W = WALK_WRITE, X = WALK_EXECUTE };
/* Entry bits: EPT, then guest tables. */
enum { WB = 6 << 3, IPAT = 0x40, PS = 0x80, A = 0x100, D = 0x200, RWX = 7 };
enum { GP = 1, GRW = 2, GA = 0x20, GD = 0x40 };

/* The guest sees its memory TWIST away from where it is. */
enum { TWIST = 0x80000, EPT_ROOT = 0x1000, EPT_TABLES = 0x2000 };
enum { GUEST_ROOT = 0x10000, GUEST_TABLES = 0x90000, LINEAR = 0x40201abc, GUEST = 0x30000 };
#define HOST (GUEST ^ TWIST)

struct ept_state {
  struct fake_memory memory;
  struct walk_request request;
  struct walk_result result;
};

static struct ept_state state;

static uint64_t *ept_entry(uint64_t guest, unsigned level) {
  return fake_entry(&state.memory, EPT_ROOT, guest, level, RWX, 0);
}

static uint64_t *guest_entry(unsigned level) {
  return fake_entry(&state.memory, GUEST_ROOT ^ TWIST, LINEAR, level, GP | GRW, TWIST);
}

/* Guest-physical address of the guest's entry of a level. */
static uint64_t guest_entry_address(unsigned level) {
  return (uint64_t)(guest_entry(level) - state.memory.word) * 8 ^ TWIST;
}

/* LINEAR -> GUEST -> HOST, all permitted, all of the guest's memory mapped. */
static void prepare(void) {
  fake_clear(&state.memory, EPT_TABLES);
  for (uint64_t page = 0; page < TWIST; page += 0x1000)
    *ept_entry(page, 1) = (page ^ TWIST) | RWX | WB;
  state.memory.free_page = GUEST_TABLES + 0x1000;
  *guest_entry(1) = GUEST | GP | GRW;
  state.request = (struct walk_request){.cr3 = GUEST_ROOT,
                                        .eptp = EPT_ROOT | 3 << 3 | 6,
                                        .access = R,
                                        .physical_bits = 40,
                                        .paging = true,
                                        .write_protect = true,
                                        .no_execute = true};
}

static enum walk_outcome run(void) {
  struct walk_memory memory = fake_walk_memory(&state.memory);
  return walk_run(&memory, &state.request, linear_addr_make(LINEAR), &state.result);
}

static enum walk_outcome run_guest_physical(void) {
  struct walk_memory memory = fake_walk_memory(&state.memory);
  return walk_guest_physical(&memory, &state.request, guest_phys_make(GUEST | 0xabc),
                             &state.result);
}

static void complete_walk_reads_24_entries(void) {
  prepare();
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("host", state.result.host.value, HOST | 0xabc);
  EXPECT_EQ("guest", state.result.guest.value, GUEST | 0xabc);
  EXPECT_EQ("steps", state.result.steps, 24);
  for (unsigned i = 0; i < 24; i++) {
    bool ept = i >= 20 || i % 5 != 4;
    EXPECT_EQ("which table", state.result.step[i].ept, ept);
    EXPECT_EQ("level", state.result.step[i].level, !ept ? 4 - i / 5 : i >= 20 ? 24 - i : 4 - i % 5);
  }
  EXPECT_EQ("a guest entry's address", state.result.step[4].entry_address, guest_entry_address(4));
  state.memory.loads = 0;
  run();
  EXPECT_EQ("loads", state.memory.loads, 24);
}

static void violation_tells_access_and_permissions(void) {
  static const struct {
    const char *name;
    unsigned permissions, access;
    bool violates;
  } cases[] = {
      {"absent, read", 0, R, true},  {"absent, write", 0, W, true},
      {"absent, fetch", 0, X, true}, {"R, read", R, R, false},
      {"R, write", R, W, true},      {"R, read-modify-write", R, R | W, true},
      {"R, fetch", R, X, true},      {"RW, write", R | W, W, false},
      {"RW, fetch", R | W, X, true}, {"X, fetch", X, X, false},
      {"X, read", X, R, true},       {"X, write", X, W, true},
      {"RX, write", R | X, W, true}, {"RX, fetch", R | X, X, false},
      {"RWX, write", RWX, W, false},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (unsigned level = 1; level <= 4; level++) {
      prepare();
      uint64_t *entry = fake_entry(&state.memory, EPT_ROOT, GUEST, level, RWX, 0);
      *entry = (*entry & ~UINT64_C(7)) | cases[i].permissions;
      state.request.access = cases[i].access;
      EXPECT_EQ(cases[i].name, run_guest_physical(), cases[i].violates ? WALK_EPT_VIOLATION : 0);
      EXPECT_EQ(cases[i].name, state.result.qualification,
                cases[i].violates ? cases[i].access | cases[i].permissions << 3 : 0);
      EXPECT_EQ(cases[i].name, state.result.fault.value, cases[i].violates ? GUEST | 0xabc : 0);
    }
  }
}

static void violation_permissions_are_anded_over_the_walk(void) {
  prepare();
  *ept_entry(GUEST, 2) = (*ept_entry(GUEST, 2) & ~UINT64_C(7)) | R | X;
  *ept_entry(GUEST, 1) = HOST | R | W | WB;
  state.request.access = X;
  EXPECT_EQ("outcome", run_guest_physical(), WALK_EPT_VIOLATION);
  EXPECT_EQ("only R is left", state.result.qualification, X | R << 3);
}

static void violation_of_final_access_sets_bits_7_and_8(void) {
  prepare();
  *ept_entry(GUEST, 1) = HOST | R | WB;
  *guest_entry(1) |= GA | GD;
  state.request.access = W;
  EXPECT_EQ("outcome", run(), WALK_EPT_VIOLATION);
  EXPECT_EQ("qualification", state.result.qualification, 0x182 | R << 3);
  EXPECT_EQ("address", state.result.fault.value, GUEST | 0xabc);
  EXPECT_EQ("guest is known", state.result.guest.value, GUEST | 0xabc);
}

static void violation_without_paging_sets_bits_7_and_8(void) {
  prepare();
  state.request.paging = false;
  struct walk_memory memory = fake_walk_memory(&state.memory);
  EXPECT_EQ("outcome",
            walk_run(&memory, &state.request, linear_addr_make(0x123456789), &state.result),
            WALK_EPT_VIOLATION);
  EXPECT_EQ("qualification", state.result.qualification, 0x181);
  EXPECT_EQ("address", state.result.fault.value, 0x123456789);
}

static void violation_of_guest_entry_sets_bit_7_only(void) {
  for (unsigned level = 1; level <= 4; level++) {
    prepare();
    uint64_t address = guest_entry_address(level);
    *ept_entry(address, 1) = 0;
    state.request.access = X;
    EXPECT_EQ("outcome", run(), WALK_EPT_VIOLATION);
    EXPECT_EQ("a read, whatever the access", state.result.qualification, 0x81);
    EXPECT_EQ("address of the entry", state.result.fault.value, address);
  }
}

static void guest_entry_with_ept_flags_counts_as_write(void) {
  prepare();
  state.request.eptp |= EPTP_ACCESSED_DIRTY;
  uint64_t address = guest_entry_address(4);
  *ept_entry(address, 1) = (address & ~UINT64_C(0xfff)) ^ (TWIST | R | WB);
  EXPECT_EQ("outcome", run(), WALK_EPT_VIOLATION);
  EXPECT_EQ("read and write", state.result.qualification, 0x83 | R << 3);
}

static void guest_flag_update_needs_ept_write_permission(void) {
  for (unsigned level = 1; level <= 4; level++) {
    prepare();
    uint64_t address = guest_entry_address(level);
    *ept_entry(address, 1) = (*ept_entry(address, 1) & ~UINT64_C(7)) | R;
    EXPECT_EQ("outcome", run(), WALK_EPT_VIOLATION);
    EXPECT_EQ("read and write", state.result.qualification, 0x83 | R << 3);
    EXPECT_EQ("address of the entry", state.result.fault.value, address);
    EXPECT_EQ("flag stays clear", *guest_entry(level) & GA, 0);
    *guest_entry(level) |= GA;
    EXPECT_EQ("already accessed: no write", run(), WALK_OK);
  }
}

static void guest_page_fault_comes_before_final_violation(void) {
  prepare();
  *ept_entry(GUEST, 1) = 0;
  *guest_entry(1) = GUEST | GP;
  state.request.access = W;
  EXPECT_EQ("outcome", run(), WALK_PAGE_FAULT);
  EXPECT_EQ("error code", state.result.error_code, 3);
}

static const struct {
  const char *name;
  unsigned level;
  uint64_t entry;
  bool misconfigured;
} misconfiguration_cases[] = {
    {"010", 1, HOST | WB | 2, true},
    {"110", 1, HOST | WB | 6, true},
    {"100 is execute-only", 1, HOST | WB | 4, false},
    {"010 in a table entry", 2, 0x3000 | 2, true},
    {"110 in the PML4E", 4, 0x2000 | 6, true},
    {"memory type 0", 1, HOST | RWX | 0 << 3, false},
    {"memory type 1", 1, HOST | RWX | 1 << 3, false},
    {"memory type 2", 1, HOST | RWX | 2 << 3, true},
    {"memory type 3", 1, HOST | RWX | 3 << 3, true},
    {"memory type 4", 1, HOST | RWX | 4 << 3, false},
    {"memory type 5", 1, HOST | RWX | 5 << 3, false},
    {"memory type 7", 1, HOST | RWX | 7 << 3, true},
    {"memory type 3 in 2 MiB", 2, PS | RWX | 3 << 3, true},
    {"memory type 7 in 1 GiB", 3, PS | RWX | 7 << 3, true},
    {"ignore PAT in a leaf", 1, HOST | RWX | WB | IPAT, false},
    {"bit 7 in a PTE is ignored", 1, HOST | RWX | WB | PS, false},
    {"bits 8 to 11 are not reserved", 1, HOST | RWX | WB | 0xf00, false},
    {"bits 52 to 63 are ignored", 1, HOST | RWX | WB | UINT64_C(0xfff) << 52, false},
    {"PTE: address bit 40", 1, HOST | RWX | WB | UINT64_C(1) << 40, true},
    {"PTE: address bit 51", 1, HOST | RWX | WB | UINT64_C(1) << 51, true},
    {"PDE, table: bit 3", 2, 0x3000 | RWX | 1 << 3, true},
    {"PDE, table: bit 6", 2, 0x3000 | RWX | IPAT, true},
    {"PDPTE, table: bit 5", 3, 0x3000 | RWX | 1 << 5, true},
    {"PML4E: bit 7", 4, 0x2000 | RWX | PS, true},
    {"PML4E: bit 3", 4, 0x2000 | RWX | 1 << 3, true},
    {"PDE, 2 MiB: bit 12", 2, PS | RWX | WB | 1 << 12, true},
    {"PDE, 2 MiB: bit 20", 2, PS | RWX | WB | 1 << 20, true},
    {"PDE, 2 MiB: bit 21 is address", 2, PS | RWX | WB | 1 << 21, false},
    {"PDPTE, 1 GiB: bit 12", 3, PS | RWX | WB | 1 << 12, true},
    {"PDPTE, 1 GiB: bit 29", 3, PS | RWX | WB | 1 << 29, true},
    {"PDPTE, 1 GiB: bit 30 is address", 3, PS | RWX | WB | 1 << 30, false},
    {"all ones", 1, UINT64_MAX, true},
    {"all ones but absent", 1, UINT64_MAX - 7, false},
};

static void misconfigurations_are_told_from_violations(void) {
  for (unsigned i = 0; i < sizeof misconfiguration_cases / sizeof *misconfiguration_cases; i++) {
    prepare();
    *ept_entry(GUEST, misconfiguration_cases[i].level) = misconfiguration_cases[i].entry;
    state.request.access = X;
    enum walk_outcome expected = misconfiguration_cases[i].misconfigured  ? WALK_EPT_MISCONFIG
                                 : !(misconfiguration_cases[i].entry & 7) ? WALK_EPT_VIOLATION
                                                                          : WALK_OK;
    EXPECT_EQ(misconfiguration_cases[i].name, run_guest_physical(), expected);
    if (!misconfiguration_cases[i].misconfigured) continue;
    EXPECT_EQ(misconfiguration_cases[i].name, state.result.fault.value, GUEST | 0xabc);
    EXPECT_EQ(misconfiguration_cases[i].name, state.result.qualification, 0);
  }
}

static void guest_address_above_48_bits_violates(void) {
  prepare();
  state.request.physical_bits = 52;
  *guest_entry(1) = UINT64_C(1) << 48 | GP | GRW;
  EXPECT_EQ("outcome", run(), WALK_EPT_VIOLATION);
  EXPECT_EQ("qualification", state.result.qualification, 0x181);
  EXPECT_EQ("address", state.result.fault.value, UINT64_C(1) << 48 | 0xabc);
}

static void flags_off_leave_ept_untouched(void) {
  prepare();
  state.request.access = W;
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("leaf", *ept_entry(GUEST, 1), HOST | RWX | WB);
  EXPECT_EQ("only the guest's four entries", state.memory.stores, 4);
  EXPECT_EQ("nothing left to set", state.result.dirty, true);
}

static void flags_on_read_sets_accessed(void) {
  prepare();
  state.request.eptp |= EPTP_ACCESSED_DIRTY;
  EXPECT_EQ("outcome", run(), WALK_OK);
  for (unsigned level = 1; level <= 4; level++) {
    EXPECT_EQ("accessed", *ept_entry(GUEST, level) & A, A);
    EXPECT_EQ("not dirty", *ept_entry(GUEST, level) & D, 0);
    EXPECT_EQ("page of a guest table is dirty", *ept_entry(guest_entry_address(level), 1) & (A | D),
              A | D);
  }
  EXPECT_EQ("not dirty", state.result.dirty, false);
}

static void flags_on_write_sets_dirty_in_the_leaf(void) {
  prepare();
  state.request.eptp |= EPTP_ACCESSED_DIRTY;
  state.request.access = W;
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("leaf", *ept_entry(GUEST, 1), HOST | RWX | WB | A | D);
  EXPECT_EQ("above", *ept_entry(GUEST, 2) & (A | D), A);
  EXPECT_EQ("guest leaf", *guest_entry(1), GUEST | GP | GRW | GA | GD);
  EXPECT_EQ("dirty", state.result.dirty, true);
  *ept_entry(GUEST, 1) &= ~(uint64_t)D;
  state.request.access = R;
  run();
  EXPECT_EQ("one of two is not dirty", state.result.dirty, false);
}

static void failed_access_sets_no_ept_flags(void) {
  prepare();
  state.request.eptp |= EPTP_ACCESSED_DIRTY;
  *ept_entry(GUEST, 1) = HOST | R | WB;
  state.request.access = W;
  EXPECT_EQ("outcome", run_guest_physical(), WALK_EPT_VIOLATION);
  EXPECT_EQ("stores", state.memory.stores, 0);
}

static void probe_stores_nothing(void) {
  prepare();
  state.request.eptp |= EPTP_ACCESSED_DIRTY;
  state.request.access = W;
  state.request.probe = true;
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("stores", state.memory.stores, 0);
  EXPECT_EQ("dirty", state.result.dirty, false);
}

static void smaller_page_of_both_counts(void) {
  prepare();
  *guest_entry(2) = 0x200000 | GP | GRW | PS;
  *ept_entry(0x201000, 1) = 0x7000 | R | X | WB;
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("host", state.result.host.value, 0x7abc);
  EXPECT_EQ("page bits", state.result.page_bits, 12);
  EXPECT_EQ("linear page bits", state.result.linear_page_bits, 21);
  EXPECT_EQ("permissions", state.result.permissions, R | X);
  *ept_entry(0x40000000, 3) = UINT64_C(0x80000000) | RWX | WB | PS;
  *guest_entry(2) = 0x40000000 | GP | GRW | PS;
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("host", state.result.host.value, UINT64_C(0x80001abc));
  EXPECT_EQ("page bits", state.result.page_bits, 21);
}

static void table_outside_memory_is_bus_error(void) {
  prepare();
  *ept_entry(GUEST, 2) = UINT64_C(0x80000000) | RWX;
  EXPECT_EQ("EPT table", run_guest_physical(), WALK_BUS_ERROR);
  prepare();
  *ept_entry(guest_entry_address(3), 1) = UINT64_C(0x80000000) | RWX | WB;
  EXPECT_EQ("guest table", run(), WALK_BUS_ERROR);
}

static void no_eptp_is_identity(void) {
  prepare();
  state.request.eptp = 0;
  EXPECT_EQ("outcome", run_guest_physical(), WALK_OK);
  EXPECT_EQ("host", state.result.host.value, GUEST | 0xabc);
  EXPECT_EQ("steps", state.result.steps, 0);
}

CU_TestInfo paging_ept_tests[] = {
    {"complete_walk_reads_24_entries", complete_walk_reads_24_entries},
    {"violation_tells_access_and_permissions", violation_tells_access_and_permissions},
    {"violation_permissions_are_anded_over_the_walk",
     violation_permissions_are_anded_over_the_walk},
    {"violation_of_final_access_sets_bits_7_and_8", violation_of_final_access_sets_bits_7_and_8},
    {"violation_without_paging_sets_bits_7_and_8", violation_without_paging_sets_bits_7_and_8},
    {"violation_of_guest_entry_sets_bit_7_only", violation_of_guest_entry_sets_bit_7_only},
    {"guest_entry_with_ept_flags_counts_as_write", guest_entry_with_ept_flags_counts_as_write},
    {"guest_flag_update_needs_ept_write_permission", guest_flag_update_needs_ept_write_permission},
    {"guest_page_fault_comes_before_final_violation",
     guest_page_fault_comes_before_final_violation},
    {"misconfigurations_are_told_from_violations", misconfigurations_are_told_from_violations},
    {"guest_address_above_48_bits_violates", guest_address_above_48_bits_violates},
    {"flags_off_leave_ept_untouched", flags_off_leave_ept_untouched},
    {"flags_on_read_sets_accessed", flags_on_read_sets_accessed},
    {"flags_on_write_sets_dirty_in_the_leaf", flags_on_write_sets_dirty_in_the_leaf},
    {"failed_access_sets_no_ept_flags", failed_access_sets_no_ept_flags},
    {"probe_stores_nothing", probe_stores_nothing},
    {"smaller_page_of_both_counts", smaller_page_of_both_counts},
    {"table_outside_memory_is_bus_error", table_outside_memory_is_bus_error},
    {"no_eptp_is_identity", no_eptp_is_identity},
    CU_TEST_INFO_NULL,
};
