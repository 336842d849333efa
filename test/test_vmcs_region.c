/* SPDX-License-Identifier: MIT
 * VMCS regions: layouts, access by encoding, what a write makes stale. */
#include <string.h>

#include "test/expect.h"
#include "vmcs/check.h"
#include "vmcs/region.h"

struct fixture {
  _Alignas(8) uint8_t region[VMCS_REGION_SIZE];
  struct vmcs_layout layout;
  struct vmcs vmcs;
};

static void start(struct fixture *fixture) {
  memset(fixture, 0, sizeof *fixture);
  vmcs_layout_init(&fixture->layout, 0x12);
  fixture->vmcs = (struct vmcs){fixture->region, &fixture->layout};
}

/* Every slot lies in the region behind the header, aligned, and no two are the same. */
static void expect_sound(const struct vmcs_layout *layout, const char *what) {
  bool used[VMCS_REGION_SIZE / 8] = {false};
  for (unsigned field = 0; field < FIELD_COUNT; field++) {
    unsigned offset = layout->offset[field];
    bool inside = offset >= VMCS_FIRST_FIELD_OFFSET && offset <= VMCS_REGION_SIZE - 8;
    if (!EXPECT_TRUE(what, inside && offset % 8 == 0 && !used[offset / 8])) return;
    used[offset / 8] = true;
  }
}

static void layouts_give_each_field_a_slot(void) {
  struct vmcs_layout plain, permuted;
  vmcs_layout_init(&plain, 0x80000012);
  EXPECT_EQ("revision without the shadow indicator", plain.revision, 0x12);
  expect_sound(&plain, "default");
  for (uint64_t seed = 0; seed < 20; seed++) {
    permuted = plain;
    vmcs_layout_permute(&permuted, seed);
    expect_sound(&permuted, "permuted");
    EXPECT_EQ("revision", permuted.revision, 0x12);
    EXPECT_TRUE("moved", memcmp(permuted.offset, plain.offset, sizeof plain.offset) != 0);
  }
}

static void same_seed_gives_same_layout(void) {
  struct vmcs_layout first, second;
  memset(&first, 0, sizeof first);
  memset(&second, 0, sizeof second);
  vmcs_layout_permute(&first, 42);
  vmcs_layout_permute(&second, 42);
  EXPECT_TRUE("seed 42", memcmp(&first, &second, sizeof first) == 0);
}

static void write_truncates_to_width(void) {
  struct fixture f;
  start(&f);
  static const struct {
    const char *name;
    uint32_t encoding;
    uint64_t expected;
  } rows[] = {
      {"16 bits", GUEST_CS_SELECTOR, 0xcdef},
      {"32 bits", GUEST_CS_LIMIT, 0x89abcdef},
      {"64 bits", EPT_POINTER, UINT64_C(0x0123456789abcdef)},
      {"natural width", GUEST_RIP, UINT64_C(0x0123456789abcdef)},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    vmcs_write_encoding(&f.vmcs, rows[i].encoding, UINT64_C(0x0123456789abcdef));
    EXPECT_EQ(rows[i].name, vmcs_read_encoding(&f.vmcs, rows[i].encoding), rows[i].expected);
  }
}

static void high_access_touches_high_half(void) {
  struct fixture f;
  start(&f);
  vmcs_write_encoding(&f.vmcs, TSC_OFFSET, UINT64_C(0x1111111122222222));
  vmcs_write_encoding(&f.vmcs, TSC_OFFSET | 1, UINT64_C(0xffffffff33333333));
  EXPECT_EQ("whole", vmcs_read_encoding(&f.vmcs, TSC_OFFSET), UINT64_C(0x3333333322222222));
  EXPECT_EQ("high", vmcs_read_encoding(&f.vmcs, TSC_OFFSET | 1), 0x33333333);
}

static void fields_do_not_disturb_each_other_or_the_header(void) {
  struct fixture f;
  start(&f);
  vmcs_layout_permute(&f.layout, 3);
  vmcs_header(&f.vmcs)->launch_state = VMCS_LAUNCHED;
  for (unsigned i = 0; i < FIELD_COUNT; i++)
    vmcs_write_encoding(&f.vmcs, vmcs_field_info[i].encoding, i + 1);
  for (unsigned i = 0; i < FIELD_COUNT; i++)
    EXPECT_EQ(vmcs_field_info[i].name, vmcs_read_encoding(&f.vmcs, vmcs_field_info[i].encoding),
              i + 1);
  EXPECT_EQ("launch state", vmcs_header(&f.vmcs)->launch_state, VMCS_LAUNCHED);
  EXPECT_EQ("revision", vmcs_header(&f.vmcs)->revision, 0);
}

static void write_makes_its_groups_stale(void) {
  struct fixture f;
  start(&f);
  static const struct {
    const char *name;
    uint32_t encoding, left;
  } rows[] = {
      {"HOST_CR3", HOST_CR3, 7 & ~(1 << GROUP_HOST)},
      {"GUEST_CR3", GUEST_CR3, 7 & ~(1 << GROUP_GUEST)},
      {"PML_ADDRESS", PML_ADDRESS, 7 & ~(1 << GROUP_CONTROLS)},
      {"VM_ENTRY_CONTROLS", VM_ENTRY_CONTROLS, 1 << GROUP_HOST},
      {"GUEST_RIP", GUEST_RIP, 7},
      {"HOST_RSP", HOST_RSP, 7},
      {"high half of IO_BITMAP_A", IO_BITMAP_A | 1, 7 & ~(1 << GROUP_CONTROLS)},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    vmcs_header(&f.vmcs)->checked = 7;
    vmcs_write_encoding(&f.vmcs, rows[i].encoding, 0);
    EXPECT_EQ(rows[i].name, vmcs_header(&f.vmcs)->checked, rows[i].left);
  }
}

CU_TestInfo vmcs_region_tests[] = {
    {"layouts_give_each_field_a_slot", layouts_give_each_field_a_slot},
    {"same_seed_gives_same_layout", same_seed_gives_same_layout},
    {"write_truncates_to_width", write_truncates_to_width},
    {"high_access_touches_high_half", high_access_touches_high_half},
    {"fields_do_not_disturb_each_other_or_the_header",
     fields_do_not_disturb_each_other_or_the_header},
    {"write_makes_its_groups_stale", write_makes_its_groups_stale},
    CU_TEST_INFO_NULL,
};
