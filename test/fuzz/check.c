/* SPDX-License-Identifier: MIT
 * Fuzz target: a VMCS of any content, judged with any processor's capabilities. The first failed
 * check is the first of all failed ones, however much of the VMCS was judged before. */
#include <string.h>

#include "test/fuzz/machine.h"
#include "vmcs/check.h"
#include "vmcs/profile.h"

enum { MEMORY = 64 };

struct all {
  size_t count;
  enum vmcs_check first;
};

static bool take_all(void *context, enum vmcs_check id) {
  struct all *all = context;
  FUZZ_REQUIRE(id < CHECK_COUNT);
  if (all->count++ == 0) all->first = id;
  return true;
}

static bool read_memory(void *context, uint64_t physical, uint32_t *value) {
  const uint8_t *memory = context;
  if (physical % 3 == 2) return false; /* some addresses have none */
  memcpy(value, memory + physical % (MEMORY - sizeof *value), sizeof *value);
  return true;
}

/* What a stack's hypervisor set up for its guest: a VMCS that would be entered. */
static void load_valid(const struct vmcs *vmcs) {
  static const uint8_t code[] = {0xf4};
  unsigned left;
  struct fuzz_machine m = fuzz_open(0, code, sizeof code, &left);
  uint64_t current = 0;
  nst_vmptrst(m.cpu, &current);
  for (unsigned i = 0; i < FIELD_COUNT; i++)
    vmcs_set(vmcs, (enum vmcs_field)i, nst_peek_vmcs(m.cpu, current, vmcs_field_info[i].encoding));
  nst_machine_destroy(m.machine);
}

static void change(const struct vmcs *vmcs, struct fuzz_input *input) {
  enum vmcs_field field = (enum vmcs_field)(fuzz_take(input, 1) % FIELD_COUNT);
  uint32_t encoding = vmcs_field_info[field].encoding;
  uint64_t how = fuzz_take(input, 1);
  uint64_t flipped = vmcs_get(vmcs, field) ^ UINT64_C(1) << (how & 63);
  vmcs_write_encoding(vmcs, encoding, how & 0x40 ? fuzz_number(input) : flipped);
  vmcs_header(vmcs)->checked &= ~(uint32_t)vmcs_field_groups[field];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static uint8_t valid[VMCS_REGION_SIZE], memory[MEMORY];
  static struct vmcs_layout layout;
  uint8_t region[VMCS_REGION_SIZE];
  if (!layout.revision) {
    vmcs_layout_init(&layout, 1);
    load_valid(&(struct vmcs){valid, &layout});
  }
  memcpy(region, valid, sizeof region);
  struct vmcs vmcs = {region, &layout};
  struct fuzz_input input = {bytes, size, 0};
  struct vmcs_capability capability;
  unsigned profile = 0, how = (unsigned)fuzz_take(&input, 1);
  while (vmcs_capability_name(profile + 1)) profile++;
  vmcs_capability_find(&capability, vmcs_capability_name(how % (profile + 1)));
  struct vmcs_check_environment environment = {.capability = &capability,
                                               .efer = how & 0x40 ? 0x500 : 0x100,
                                               .current_pointer = 0x1000,
                                               .in_smm = how > 0xf0,
                                               .read32 = how & 0x20 ? read_memory : NULL,
                                               .context = memory};
  while (fuzz_left(&input) > 0) {
    struct all all = {0, CHECK_NONE};
    change(&vmcs, &input);
    FUZZ_REQUIRE(vmcs_check_all(&vmcs, &environment, take_all, &all) == all.count);
    FUZZ_REQUIRE(vmcs_check_first(&vmcs, &environment) == all.first);
  }
  return 0;
}
