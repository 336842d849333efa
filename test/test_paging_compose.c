/* SPDX-License-Identifier: MIT
 * Composition of two EPTs: the merged leaf, and whose fault a missing one is. */
#include "paging/compose.h"

#include "paging/ept.h"
#include "test/expect.h"
#include "test/test_paging_memory.h"

enum { R = WALK_READ, W = WALK_WRITE, X = WALK_EXECUTE, RWX = 7, WB = 6 << 3, UC = 0, PS = 0x80 };
enum { A = 0x100, D = 0x200, IPAT = 0x40 };
enum { TWIST = 0x80000, OUTER_ROOT = 0x1000, OUTER_TABLES = 0x2000, INNER_ROOT = 0x10000 };
enum { GUEST = 0x40201abc, PARENT = 0x30000 };

struct compose_state {
  struct fake_memory memory;
  struct compose_request request;
  struct compose_result result;
};

static struct compose_state state;

static const struct {
  const char *name;
  struct compose_mapping inner, outer;
  uint64_t guest, entry, first;
  unsigned level;
} leaf_cases[] = {
    {"4 KiB on 4 KiB",
     {0x3abc, RWX, 12, 6, false, true},
     {0x7abc, RWX, 12, 6, false, true},
     0x1abc,
     0x7000 | RWX | WB,
     0x1000,
     1},
    {"2 MiB on 2 MiB",
     {0x401abc, RWX, 21, 6, false, true},
     {0x801abc, RWX, 21, 6, false, true},
     0x201abc,
     0x800000 | RWX | WB | PS,
     0x200000,
     2},
    {"2 MiB on 4 KiB",
     {0x401abc, RWX, 21, 6, false, true},
     {0x9abc, RWX, 12, 6, false, true},
     0x201abc,
     0x9000 | RWX | WB,
     0x201000,
     1},
    {"4 KiB on 1 GiB",
     {0x401abc, RWX, 12, 6, false, true},
     {0x40401abc, RWX, 30, 6, false, true},
     0x201abc,
     0x40401000 | RWX | WB,
     0x201000,
     1},
    {"1 GiB on 2 MiB",
     {0x80401abc, RWX, 30, 6, false, true},
     {0xc0601abc, RWX, 21, 6, false, true},
     0x40401abc,
     0xc0600000 | RWX | WB | PS,
     0x40400000,
     2},
    {"1 GiB on 1 GiB",
     {0x80401abc, RWX, 30, 6, false, true},
     {0xc0401abc, RWX, 30, 6, false, true},
     0x40401abc,
     0xc0000000 | RWX | WB | PS,
     0x40000000,
     3},
    {"permissions are and'ed",
     {0x3000, R | W, 12, 6, false, true},
     {0x7000, R | X, 12, 6, false, true},
     0x1000,
     0x7000 | R | WB,
     0x1000,
     1},
    {"nothing in common",
     {0x3000, X, 12, 6, false, true},
     {0x7000, R | W, 12, 6, false, true},
     0x1000,
     0,
     0x1000,
     1},
    {"type and ignore-PAT are the inner's",
     {0x3000, R, 12, 0, true, true},
     {0x7000, R, 12, 6, false, true},
     0x1000,
     0x7000 | R | UC | IPAT,
     0x1000,
     1},
    {"the outer's ignore-PAT is not",
     {0x3000, R, 12, 4, false, true},
     {0x7000, R, 12, 6, true, true},
     0x1000,
     0x7000 | R | 4 << 3,
     0x1000,
     1},
    {"inner dirty flag to set",
     {0x3000, RWX, 12, 6, false, false},
     {0x7000, RWX, 12, 6, false, true},
     0x1000,
     0x7000 | R | X | WB,
     0x1000,
     1},
    {"outer dirty flag to set",
     {0x3000, RWX, 12, 6, false, true},
     {0x7000, RWX, 12, 6, false, false},
     0x1000,
     0x7000 | R | X | WB,
     0x1000,
     1},
};

static void leaf_combines_address_size_permissions_and_type(void) {
  for (unsigned i = 0; i < sizeof leaf_cases / sizeof *leaf_cases; i++) {
    struct compose_leaf leaf = compose_leaf_make(guest_phys_make(leaf_cases[i].guest),
                                                 &leaf_cases[i].inner, &leaf_cases[i].outer);
    EXPECT_EQ(leaf_cases[i].name, leaf.entry, leaf_cases[i].entry);
    EXPECT_EQ(leaf_cases[i].name, leaf.first, leaf_cases[i].first);
    EXPECT_EQ(leaf_cases[i].name, leaf.level, leaf_cases[i].level);
    EXPECT_EQ(leaf_cases[i].name, leaf.page_bits, 3 + 9 * leaf.level);
  }
}

static void leaf_of_valid_entries_is_never_misconfigured(void) {
  static const unsigned valid[] = {0, R, R | W, X, R | X, RWX};
  for (unsigned i = 0; i < 6; i++) {
    for (unsigned j = 0; j < 6; j++) {
      struct compose_mapping inner = {0x3000, valid[i], 12, 6, false, i & 1};
      struct compose_mapping outer = {0x7000, valid[j], 12, 6, false, true};
      struct compose_leaf leaf = compose_leaf_make(guest_phys_make(0x1000), &inner, &outer);
      EXPECT_EQ("writable but not readable", (leaf.entry & (R | W)) == W, false);
    }
  }
}

/* ---- walking both */

static uint64_t *outer_entry(uint64_t parent, unsigned level) {
  return fake_entry(&state.memory, OUTER_ROOT, parent, level, RWX, 0);
}

static uint64_t *inner_entry(unsigned level) {
  return fake_entry(&state.memory, INNER_ROOT ^ TWIST, GUEST, level, RWX, TWIST);
}

/* Where the guest hypervisor sees its entry of a level. */
static uint64_t inner_entry_address(unsigned level) {
  return (uint64_t)(inner_entry(level) - state.memory.word) * 8 ^ TWIST;
}

/* GUEST -> PARENT -> PARENT ^ TWIST; all of the guest hypervisor's memory is mapped. */
static void prepare(unsigned access) {
  fake_clear(&state.memory, OUTER_TABLES);
  for (uint64_t page = 0; page < TWIST; page += 0x1000)
    *outer_entry(page, 1) = (page ^ TWIST) | RWX | WB;
  state.memory.free_page = (INNER_ROOT ^ TWIST) + 0x1000;
  *inner_entry(1) = PARENT | RWX | WB;
  state.request = (struct compose_request){.inner_eptp = INNER_ROOT | 3 << 3 | 6,
                                           .outer_eptp = OUTER_ROOT | 3 << 3 | 6,
                                           .access = access,
                                           .physical_bits = 40};
}

static enum compose_outcome run(void) {
  struct walk_memory memory = fake_walk_memory(&state.memory);
  return compose_walk(&memory, &state.request, guest_phys_make(GUEST), &state.result);
}

static void walk_of_mapped_address_gives_leaf(void) {
  prepare(R);
  EXPECT_EQ("outcome", run(), COMPOSE_OK);
  EXPECT_EQ("entry", state.result.leaf.entry, (PARENT ^ TWIST) | RWX | WB);
  EXPECT_EQ("first", state.result.leaf.first, GUEST & ~0xfff);
  EXPECT_EQ("parent", state.result.inner.host.value, PARENT | 0xabc);
  EXPECT_EQ("host", state.result.outer.host.value, (PARENT ^ TWIST) | 0xabc);
  EXPECT_EQ("the inner table's address", state.result.inner.step[3].entry_address,
            inner_entry_address(1));
}

static void walk_without_outer_table_takes_inner_address(void) {
  prepare(R);
  state.request.outer_eptp = 0;
  state.request.inner_eptp = OUTER_ROOT | 3 << 3 | 6;
  struct walk_memory memory = fake_walk_memory(&state.memory);
  EXPECT_EQ("outcome",
            compose_walk(&memory, &state.request, guest_phys_make(PARENT), &state.result),
            COMPOSE_OK);
  EXPECT_EQ("entry", state.result.leaf.entry, (PARENT ^ TWIST) | RWX | WB);
}

static void inner_fault_is_reflected(void) {
  static const struct {
    const char *name;
    uint64_t entry;
    unsigned access;
    enum walk_outcome outcome;
    uint64_t qualification;
  } cases[] = {
      {"absent", 0, R, WALK_EPT_VIOLATION, R},
      {"not writable", PARENT | R | X | WB, W, WALK_EPT_VIOLATION, W | (R | X) << 3},
      {"misconfigured", PARENT | W | WB, R, WALK_EPT_MISCONFIG, 0},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    prepare(cases[i].access);
    *inner_entry(1) = cases[i].entry;
    *outer_entry(PARENT, 1) = 0; /* comes second */
    EXPECT_EQ(cases[i].name, run(), COMPOSE_INNER);
    EXPECT_EQ(cases[i].name, state.result.inner.outcome, cases[i].outcome);
    EXPECT_EQ(cases[i].name, state.result.inner.fault.value, GUEST);
    EXPECT_EQ(cases[i].name, state.result.inner.qualification, cases[i].qualification);
    EXPECT_EQ(cases[i].name, state.result.leaf.entry, 0);
  }
}

static void outer_fault_is_the_hosts(void) {
  prepare(W);
  *outer_entry(PARENT, 1) = (PARENT ^ TWIST) | R | WB;
  EXPECT_EQ("page", run(), COMPOSE_OUTER);
  EXPECT_EQ("address", state.result.outer.fault.value, PARENT | 0xabc);
  EXPECT_EQ("qualification", state.result.outer.qualification, W | R << 3);
  for (unsigned level = 1; level <= 4; level++) {
    prepare(X);
    uint64_t address = inner_entry_address(level);
    *outer_entry(address, 1) = 0;
    EXPECT_EQ("inner table", run(), COMPOSE_OUTER);
    EXPECT_EQ("address", state.result.outer.fault.value, address);
    EXPECT_EQ("a read", state.result.outer.qualification, R);
  }
  prepare(R);
  *outer_entry(PARENT, 1) = W;
  EXPECT_EQ("misconfigured", run(), COMPOSE_OUTER);
  EXPECT_EQ("misconfigured", state.result.outer.outcome, WALK_EPT_MISCONFIG);
}

static void outer_tables_outside_memory_are_bus_error(void) {
  prepare(R);
  *outer_entry(PARENT, 2) = UINT64_C(0x80000000) | RWX;
  EXPECT_EQ("outer table", run(), COMPOSE_BUS_ERROR);
  prepare(R);
  *outer_entry(inner_entry_address(2), 1) = UINT64_C(0x80000000) | RWX | WB;
  EXPECT_EQ("inner table", run(), COMPOSE_BUS_ERROR);
}

static void inner_dirty_flag_withholds_write_until_written(void) {
  prepare(R);
  state.request.inner_eptp |= EPTP_ACCESSED_DIRTY;
  EXPECT_EQ("read", run(), COMPOSE_OK);
  EXPECT_EQ("read-only so far", state.result.leaf.entry, (PARENT ^ TWIST) | R | X | WB);
  EXPECT_EQ("accessed", *inner_entry(1), PARENT | RWX | WB | A);
  state.request.access = W;
  EXPECT_EQ("write", run(), COMPOSE_OK);
  EXPECT_EQ("writable", state.result.leaf.entry, (PARENT ^ TWIST) | RWX | WB);
  EXPECT_EQ("dirty", *inner_entry(1), PARENT | RWX | WB | A | D);
}

static void inner_flag_in_write_protected_page_is_the_hosts(void) {
  prepare(R);
  state.request.inner_eptp |= EPTP_ACCESSED_DIRTY;
  uint64_t address = inner_entry_address(4);
  *outer_entry(address, 1) = (address & ~UINT64_C(0xfff)) ^ (TWIST | R | WB);
  EXPECT_EQ("outcome", run(), COMPOSE_OUTER);
  EXPECT_EQ("address", state.result.outer.fault.value, address);
  EXPECT_EQ("read and write", state.result.outer.qualification, R | W | R << 3);
  EXPECT_EQ("flag stays clear", *inner_entry(4) & A, 0);
}

static void probe_stores_nothing(void) {
  prepare(W);
  state.request.inner_eptp |= EPTP_ACCESSED_DIRTY;
  state.request.probe = true;
  EXPECT_EQ("outcome", run(), COMPOSE_OK);
  EXPECT_EQ("stores", state.memory.stores, 0);
}

static void mapping_of_failed_or_identical_walk_is_refused(void) {
  static const struct walk_result nothing; /* a walk without tables */
  struct compose_mapping mapping;
  EXPECT_EQ("no steps", compose_mapping_of_walk(&nothing, &mapping), false);
  prepare(R);
  *inner_entry(1) = 0;
  run();
  EXPECT_EQ("failed", compose_mapping_of_walk(&state.result.inner, &mapping), false);
}

static void garbage_tables_end(void) {
  uint64_t seed = 0xa0761d6478bd642f;
  for (unsigned round = 0; round < 20; round++) {
    fake_clear(&state.memory, 0);
    for (unsigned i = 0; i < FAKE_MEMORY_WORDS; i++)
      state.memory.word[i] = (fake_random(&seed) & 0xff000) | (fake_random(&seed) & 0x347) | R;
    for (unsigned i = 0; i < 200; i++) {
      uint64_t random = fake_random(&seed);
      state.request = (struct compose_request){random & 0xff058, random >> 20 & 0xff058,
                                               1u << random % 3, 40, false};
      struct walk_memory memory = fake_walk_memory(&state.memory);
      state.memory.loads = 0;
      enum compose_outcome outcome = compose_walk(
          &memory, &state.request, guest_phys_make(fake_random(&seed) >> 16), &state.result);
      if (!EXPECT_TRUE("outcome", outcome <= COMPOSE_BUS_ERROR)) return;
      if (!EXPECT_TRUE("loads are bounded", state.memory.loads < 200)) return;
    }
  }
}

CU_TestInfo paging_compose_tests[] = {
    {"leaf_combines_address_size_permissions_and_type",
     leaf_combines_address_size_permissions_and_type},
    {"leaf_of_valid_entries_is_never_misconfigured", leaf_of_valid_entries_is_never_misconfigured},
    {"walk_of_mapped_address_gives_leaf", walk_of_mapped_address_gives_leaf},
    {"walk_without_outer_table_takes_inner_address", walk_without_outer_table_takes_inner_address},
    {"inner_fault_is_reflected", inner_fault_is_reflected},
    {"outer_fault_is_the_hosts", outer_fault_is_the_hosts},
    {"outer_tables_outside_memory_are_bus_error", outer_tables_outside_memory_are_bus_error},
    {"inner_dirty_flag_withholds_write_until_written",
     inner_dirty_flag_withholds_write_until_written},
    {"inner_flag_in_write_protected_page_is_the_hosts",
     inner_flag_in_write_protected_page_is_the_hosts},
    {"probe_stores_nothing", probe_stores_nothing},
    {"mapping_of_failed_or_identical_walk_is_refused",
     mapping_of_failed_or_identical_walk_is_refused},
    {"garbage_tables_end", garbage_tables_end},
    CU_TEST_INFO_NULL,
};
