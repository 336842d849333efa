/* SPDX-License-Identifier: MIT
 * Guest tables without EPT: access rights, error codes, reserved bits, flags. */
#include "paging/walk.h"

#include "test/expect.h"
#include "test/test_paging_memory.h"

enum { R = WALK_READ, W = WALK_WRITE, X = WALK_EXECUTE, U = WALK_USER };
/* Bits of guest entries and of the error code. */
enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80 };
enum { F_P = 1, F_W = 2, F_U = 4, F_RSVD = 8, F_I = 16 };
#define XD (UINT64_C(1) << 63)

enum { ROOT = 0x1000, TABLES = 0x2000, LINEAR = 0x40201abc, FRAME = 0x7000 };

struct walk_state {
  struct fake_memory memory;
  struct walk_request request;
  struct walk_result result;
};

static struct walk_state state;

/* One page at LINEAR, mapped by an entry at `level`; upper entries grant everything. */
static uint64_t *prepare(unsigned level, uint64_t leaf) {
  fake_clear(&state.memory, TABLES);
  state.request = (struct walk_request){.cr3 = ROOT,
                                        .access = R,
                                        .physical_bits = 40,
                                        .paging = true,
                                        .write_protect = true,
                                        .no_execute = true};
  uint64_t *entry = fake_entry(&state.memory, ROOT, LINEAR, level, P | RW | US, 0);
  *entry = leaf;
  return entry;
}

static enum walk_outcome run(void) {
  struct walk_memory memory = fake_walk_memory(&state.memory);
  return walk_run(&memory, &state.request, linear_addr_make(LINEAR), &state.result);
}

struct rights_case {
  const char *name;
  uint64_t leaf;
  unsigned access;
  bool wp, nxe, smep, smap, ac;
  int error; /* -1 = granted */
};

static const struct rights_case rights_cases[] = {
    {"supervisor reads supervisor page", P, R, 1, 1, 0, 0, 0, -1},
    {"supervisor reads user page", P | US, R, 1, 1, 0, 0, 0, -1},
    {"user reads user page", P | US, R | U, 1, 1, 0, 0, 0, -1},
    {"user reads supervisor page", P, R | U, 1, 1, 0, 0, 0, F_P | F_U},
    {"user writes read-only user page", P | US, W | U, 1, 1, 0, 0, 0, F_P | F_W | F_U},
    {"user writes read-only user page, WP clear", P | US, W | U, 0, 1, 0, 0, 0, F_P | F_W | F_U},
    {"user writes writable user page", P | RW | US, W | U, 1, 1, 0, 0, 0, -1},
    {"user writes writable supervisor page", P | RW, W | U, 1, 1, 0, 0, 0, F_P | F_W | F_U},
    {"supervisor writes read-only page", P, W, 1, 1, 0, 0, 0, F_P | F_W},
    {"supervisor writes read-only page, WP clear", P, W, 0, 1, 0, 0, 0, -1},
    {"supervisor modifies read-only page", P, R | W, 1, 1, 0, 0, 0, F_P | F_W},
    {"supervisor fetches", P, X, 1, 1, 0, 0, 0, -1},
    {"supervisor fetches from XD page", P | XD, X, 1, 1, 0, 0, 0, F_P | F_I},
    {"user fetches from XD page", P | US | XD, X | U, 1, 1, 0, 0, 0, F_P | F_U | F_I},
    {"XD page is readable", P | XD, R, 1, 1, 0, 0, 0, -1},
    {"XD without NXE is reserved", P | XD, R, 1, 0, 0, 0, 0, F_P | F_RSVD},
    {"XD without NXE, fetch", P | XD, X, 1, 0, 0, 0, 0, F_P | F_RSVD},
    {"XD without NXE with SMEP, fetch", P | XD, X, 1, 0, 1, 0, 0, F_P | F_RSVD | F_I},
    {"user fetches supervisor page, neither NXE nor SMEP", P, X | U, 1, 0, 0, 0, 0, F_P | F_U},
    {"supervisor fetches user page", P | US, X, 1, 1, 0, 0, 0, -1},
    {"supervisor fetches user page under SMEP", P | US, X, 1, 1, 1, 0, 0, F_P | F_I},
    {"the same without NXE", P | US, X, 1, 0, 1, 0, 0, F_P | F_I},
    {"user fetches user page under SMEP", P | US, X | U, 1, 1, 1, 0, 0, -1},
    {"supervisor fetches supervisor page under SMEP", P, X, 1, 1, 1, 0, 0, -1},
    {"supervisor reads user page under SMAP", P | US, R, 1, 1, 0, 1, 0, F_P},
    {"supervisor reads user page under SMAP with AC", P | US, R, 1, 1, 0, 1, 1, -1},
    {"supervisor writes user page under SMAP", P | RW | US, W, 1, 1, 0, 1, 0, F_P | F_W},
    {"supervisor writes user page under SMAP, WP clear", P | US, W, 0, 1, 0, 1, 0, F_P | F_W},
    {"the same with AC", P | US, W, 0, 1, 0, 1, 1, -1},
    {"supervisor fetches user page under SMAP", P | US, X, 1, 1, 0, 1, 0, -1},
    {"user reads user page under SMAP", P | US, R | U, 1, 1, 0, 1, 0, -1},
    {"supervisor reads supervisor page under SMAP", P, R, 1, 1, 0, 1, 0, -1},
    {"supervisor reads absent page", 0, R, 1, 1, 0, 0, 0, 0},
    {"user writes absent page with other bits set", ~UINT64_C(1), W | U, 1, 1, 0, 0, 0, F_W | F_U},
    {"user fetches absent page", 0, X | U, 1, 1, 0, 0, 0, F_U | F_I},
};

static void rights_each_case_faults_as_specified(void) {
  for (unsigned i = 0; i < sizeof rights_cases / sizeof *rights_cases; i++) {
    const struct rights_case *c = &rights_cases[i];
    prepare(1, c->leaf | (c->leaf & P ? FRAME : 0));
    state.request.access = c->access;
    state.request.write_protect = c->wp;
    state.request.no_execute = c->nxe;
    state.request.smep = c->smep;
    state.request.smap = c->smap;
    state.request.alignment_override = c->ac;
    enum walk_outcome outcome = run();
    EXPECT_EQ(c->name, outcome, c->error < 0 ? WALK_OK : WALK_PAGE_FAULT);
    EXPECT_EQ(c->name, state.result.error_code, c->error < 0 ? 0 : c->error);
    EXPECT_EQ(c->name, state.result.host.value, c->error < 0 ? FRAME | 0xabc : 0);
    if (c->error >= 0) EXPECT_EQ(c->name, state.memory.stores, 0);
  }
}

static void rights_of_upper_entries_are_combined(void) {
  static const struct {
    const char *name;
    uint64_t cleared, set;
    unsigned access;
    int error;
  } cases[] = {
      {"read-only above", RW, 0, W | U, F_P | F_W | F_U},
      {"supervisor above", US, 0, R | U, F_P | F_U},
      {"XD above", 0, XD, X | U, F_P | F_U | F_I},
      {"absent above", P, 0, W | U, F_W | F_U},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (unsigned level = 2; level <= 4; level++) {
      prepare(1, FRAME | P | RW | US);
      uint64_t *entry = fake_entry(&state.memory, ROOT, LINEAR, level, 0, 0);
      *entry = (*entry & ~cases[i].cleared) | cases[i].set;
      state.request.access = cases[i].access;
      EXPECT_EQ(cases[i].name, run(), WALK_PAGE_FAULT);
      EXPECT_EQ(cases[i].name, state.result.error_code, cases[i].error);
      EXPECT_EQ(cases[i].name, state.result.steps, cases[i].cleared == P ? 5 - level : 4);
    }
  }
}

static void permissions_are_those_of_privilege_and_state(void) {
  static const struct {
    const char *name;
    uint64_t leaf;
    unsigned access;
    bool wp, smep, smap, ac;
    unsigned permissions;
  } cases[] = {
      {"user, all", P | RW | US, R | U, 1, 1, 1, 0, R | W | X | U},
      {"user, read-only XD", P | US | XD, R | U, 0, 0, 0, 0, R | U},
      {"supervisor page", P | RW, R, 1, 1, 1, 0, R | W | X},
      {"supervisor page, read-only", P, R, 1, 0, 0, 0, R | X},
      {"supervisor page, read-only, WP clear", P, R, 0, 0, 0, 0, R | W | X},
      {"user page under SMEP", P | RW | US, R, 1, 1, 0, 0, R | W | U},
      {"user page under SMAP, fetch", P | RW | US, X, 1, 0, 1, 0, X | U},
      {"user page under SMAP with AC: not to be cached", P | RW | US, R, 1, 0, 1, 1, X | U},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    prepare(1, cases[i].leaf | FRAME);
    state.request.access = cases[i].access;
    state.request.write_protect = cases[i].wp;
    state.request.smep = cases[i].smep;
    state.request.smap = cases[i].smap;
    state.request.alignment_override = cases[i].ac;
    EXPECT_EQ(cases[i].name, run(), WALK_OK);
    EXPECT_EQ(cases[i].name, state.result.permissions, cases[i].permissions);
  }
}

static void reserved_bits_fault_with_rsvd(void) {
  static const struct {
    const char *name;
    unsigned level;
    uint64_t bits;
    bool faults;
  } cases[] = {
      {"PML4E: PS", 4, PS, true},
      {"PML4E: first address bit too many", 4, UINT64_C(1) << 40, true},
      {"PML4E: bit 51", 4, UINT64_C(1) << 51, true},
      {"PML4E: ignored bit 52", 4, UINT64_C(1) << 52, false},
      {"PML4E: ignored bits 6, 8 to 11", 4, 0xf40, false},
      {"PDPTE, 1 GiB: PAT is bit 12", 3, PS | 0x1000, false},
      {"PDPTE, 1 GiB: bit 13", 3, PS | 0x2000, true},
      {"PDPTE, 1 GiB: bit 29", 3, PS | 1 << 29, true},
      {"PDPTE, 1 GiB: bit 30 is address", 3, PS | 1 << 30, false},
      {"PDE, 2 MiB: PAT is bit 12", 2, PS | 0x1000, false},
      {"PDE, 2 MiB: bit 13", 2, PS | 0x2000, true},
      {"PDE, 2 MiB: bit 20", 2, PS | 1 << 20, true},
      {"PDE, 2 MiB: bit 21 is address", 2, PS | 1 << 21, false},
      {"PDE, 2 MiB: bit 40", 2, PS | UINT64_C(1) << 40, true},
      {"PDE, table: bit 40", 2, UINT64_C(1) << 40, true},
      {"PTE: PAT is bit 7", 1, PS, false},
      {"PTE: bit 39 is address", 1, UINT64_C(1) << 39, false},
      {"PTE: bit 40", 1, UINT64_C(1) << 40, true},
      {"PTE: ignored bits 52 to 62", 1, UINT64_C(0x7ff) << 52, false},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool large = cases[i].level == 2 || cases[i].level == 3;
    prepare(large && (cases[i].bits & PS) ? cases[i].level : 1, P | RW | US);
    *fake_entry(&state.memory, ROOT, LINEAR, cases[i].level, 0, 0) |= cases[i].bits;
    EXPECT_EQ(cases[i].name, run(), cases[i].faults ? WALK_PAGE_FAULT : WALK_OK);
    EXPECT_EQ(cases[i].name, state.result.error_code, cases[i].faults ? F_P | F_RSVD : 0);
  }
}

static void reserved_bit_below_52_physical_bits_is_address(void) {
  prepare(1, P | UINT64_C(1) << 51);
  state.request.physical_bits = 52;
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("host", state.result.host.value, UINT64_C(1) << 51 | 0xabc);
}

static void page_sizes_give_offset_bits_and_steps(void) {
  static const struct {
    unsigned level;
    uint64_t leaf, host;
    unsigned bits, steps;
  } cases[] = {
      {1, FRAME | P, FRAME | 0xabc, 12, 4},
      {2, 0x600000 | P | PS, 0x601abc, 21, 3},
      {3, UINT64_C(0x80000000) | P | PS, UINT64_C(0x80201abc), 30, 2},
  };
  for (unsigned i = 0; i < 3; i++) {
    prepare(cases[i].level, cases[i].leaf);
    EXPECT_EQ("outcome", run(), WALK_OK);
    EXPECT_EQ("host", state.result.host.value, cases[i].host);
    EXPECT_EQ("guest", state.result.guest.value, cases[i].host);
    EXPECT_EQ("page bits", state.result.page_bits, cases[i].bits);
    EXPECT_EQ("linear page bits", state.result.linear_page_bits, cases[i].bits);
    EXPECT_EQ("steps", state.result.steps, cases[i].steps);
  }
}

static void steps_record_addresses_entries_and_levels(void) {
  uint64_t *leaf = prepare(1, FRAME | P);
  run();
  uint64_t expected[4];
  for (unsigned level = 4; level > 0; level--)
    expected[4 - level] =
        (uint64_t)(fake_entry(&state.memory, ROOT, LINEAR, level, 0, 0) - state.memory.word) * 8;
  for (unsigned i = 0; i < 4; i++) {
    const struct walk_step *step = &state.result.step[i];
    EXPECT_EQ("address", step->entry_address, expected[i]);
    EXPECT_EQ("level", step->level, 4 - i);
    EXPECT_EQ("accessed is recorded as it was", step->entry & A, 0);
    EXPECT_EQ("leaf", step->leaf, i == 3);
    EXPECT_EQ("ept", step->ept, false);
  }
  EXPECT_EQ("leaf entry", *leaf, FRAME | P | A);
}

static unsigned count_flag(uint64_t flag) {
  unsigned count = 0;
  for (unsigned level = 4; level > 0; level--)
    count += (*fake_entry(&state.memory, ROOT, LINEAR, level, 0, 0) & flag) != 0;
  return count;
}

static void read_sets_accessed_everywhere_and_dirty_nowhere(void) {
  prepare(1, FRAME | P | RW);
  run();
  EXPECT_EQ("accessed", count_flag(A), 4);
  EXPECT_EQ("dirty", count_flag(D), 0);
  EXPECT_EQ("not dirty", state.result.dirty, false);
}

static void write_sets_dirty_in_the_leaf_only(void) {
  uint64_t *leaf = prepare(1, FRAME | P | RW);
  state.request.access = W;
  run();
  EXPECT_EQ("accessed", count_flag(A), 4);
  EXPECT_EQ("dirty", count_flag(D), 1);
  EXPECT_EQ("leaf", *leaf, FRAME | P | RW | A | D);
  EXPECT_EQ("dirty result", state.result.dirty, true);
}

static void second_write_stores_nothing(void) {
  prepare(1, FRAME | P | RW);
  state.request.access = W;
  run();
  state.memory.stores = state.memory.loads = 0;
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("stores", state.memory.stores, 0);
  EXPECT_EQ("loads", state.memory.loads, 4);
  EXPECT_EQ("dirty", state.result.dirty, true);
}

static void probe_changes_nothing_and_translates_alike(void) {
  prepare(1, FRAME | P | RW);
  state.request.access = W;
  state.request.probe = true;
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("host", state.result.host.value, FRAME | 0xabc);
  EXPECT_EQ("stores", state.memory.stores, 0);
  EXPECT_EQ("dirty is as it is", state.result.dirty, false);
}

static void table_outside_memory_is_bus_error(void) {
  for (unsigned level = 2; level <= 4; level++) {
    prepare(1, FRAME | P);
    *fake_entry(&state.memory, ROOT, LINEAR, level, 0, 0) = UINT64_C(0x80000000) | P;
    EXPECT_EQ("outcome", run(), WALK_BUS_ERROR);
  }
  prepare(1, FRAME | P);
  state.request.cr3 = UINT64_C(0xfffffffffff000);
  EXPECT_EQ("CR3", run(), WALK_BUS_ERROR);
}

static void self_referencing_root_ends_and_keeps_both_flags(void) {
  prepare(4, 0);
  state.memory.word[(ROOT + 8) / 8] = ROOT | P | RW;
  state.request.access = W;
  struct walk_memory memory = fake_walk_memory(&state.memory);
  uint64_t linear = UINT64_C(1) << 39 | 1 << 30 | 1 << 21 | 1 << 12;
  EXPECT_EQ("outcome", walk_run(&memory, &state.request, linear_addr_make(linear), &state.result),
            WALK_OK);
  EXPECT_EQ("host", state.result.host.value, ROOT);
  EXPECT_EQ("entry", state.memory.word[(ROOT + 8) / 8], ROOT | P | RW | A | D);
}

static void cr3_low_bits_are_ignored(void) {
  prepare(1, FRAME | P);
  state.request.cr3 |= 0xfff;
  EXPECT_EQ("outcome", run(), WALK_OK);
}

static void paging_off_is_identity(void) {
  prepare(1, 0);
  state.request.paging = false;
  state.request.access = W | U;
  EXPECT_EQ("outcome", run(), WALK_OK);
  EXPECT_EQ("host", state.result.host.value, LINEAR);
  EXPECT_EQ("permissions", state.result.permissions, R | W | X | U);
  EXPECT_EQ("dirty", state.result.dirty, true);
  EXPECT_EQ("loads", state.memory.loads, 0);
}

static void formats_describe_themselves(void) {
  EXPECT_STRING("name", walk_format_ia32e.name, "4-level paging");
  EXPECT_STRING("name", walk_format_ept.name, "EPT");
  EXPECT_TRUE("no misconfigurations", !walk_format_ia32e.misconfigured);
  for (unsigned level = 1; level <= 4; level++) {
    bool large = walk_format_ia32e.leaf_levels >> level & 1;
    EXPECT_EQ("leaf levels", walk_format_ia32e.leaf(P | PS, level), large);
    EXPECT_EQ("leaf levels", walk_format_ept.leaf(P | PS, level), large);
  }
}

CU_TestInfo paging_walk_tests[] = {
    {"rights_each_case_faults_as_specified", rights_each_case_faults_as_specified},
    {"rights_of_upper_entries_are_combined", rights_of_upper_entries_are_combined},
    {"permissions_are_those_of_privilege_and_state", permissions_are_those_of_privilege_and_state},
    {"reserved_bits_fault_with_rsvd", reserved_bits_fault_with_rsvd},
    {"reserved_bit_below_52_physical_bits_is_address",
     reserved_bit_below_52_physical_bits_is_address},
    {"page_sizes_give_offset_bits_and_steps", page_sizes_give_offset_bits_and_steps},
    {"steps_record_addresses_entries_and_levels", steps_record_addresses_entries_and_levels},
    {"read_sets_accessed_everywhere_and_dirty_nowhere",
     read_sets_accessed_everywhere_and_dirty_nowhere},
    {"write_sets_dirty_in_the_leaf_only", write_sets_dirty_in_the_leaf_only},
    {"second_write_stores_nothing", second_write_stores_nothing},
    {"probe_changes_nothing_and_translates_alike", probe_changes_nothing_and_translates_alike},
    {"table_outside_memory_is_bus_error", table_outside_memory_is_bus_error},
    {"self_referencing_root_ends_and_keeps_both_flags",
     self_referencing_root_ends_and_keeps_both_flags},
    {"cr3_low_bits_are_ignored", cr3_low_bits_are_ignored},
    {"paging_off_is_identity", paging_off_is_identity},
    {"formats_describe_themselves", formats_describe_themselves},
    CU_TEST_INFO_NULL,
};
