/* SPDX-License-Identifier: MIT
 * Whose exit is it: following VMCS pointers, by hand-written sequences of exits and entries. */
#include "src/ledger/path.h"

#include "test/expect.h"
#include "test/test_ledger_script.h"

/* Regions of L1 and of L2, as they write them. */
enum { VMCS12 = 0x12000, VMCS13 = 0x13000, SHADOW12 = 0x14000, VMCS23 = 0x23000 };

static void follow(struct path *path, const struct script_event *events, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char what[32];
    snprintf(what, sizeof what, "level at event %zu", i);
    unsigned level;
    if (events[i].what == SCRIPT_EXIT) {
      struct nst_exit_event exit = script_exit(&events[i]);
      level = path_exit(path, &exit, i + 1);
      for (unsigned deeper = level; deeper > 1; deeper--) {
        /* Reflected to its parent at the next entry of that parent; enough for these sequences. */
        bool is_next = i + 1 < count && events[i + 1].level + 1 == deeper;
        if (is_next) path_reflect(path, deeper - 1, i + 1, events[i].reason);
      }
    } else {
      struct nst_entry_event entry = script_entry(&events[i]);
      level = path_entry(path, &entry);
    }
    if (!EXPECT_EQ(what, level, events[i].level)) return;
  }
}

/* From the boot on: L0 launches L1, which launches L2, which launches L3. */
static const struct script_event boot_to_three[] = {
    N(VMCS01, 1),
    X(VMCS01, VMON, 0, 1),
    N(VMCS01, 1),
    LOAD(VMCS01, VMCS12, 1),
    N(VMCS01, 1),
    X(VMCS01, VMWRITE, NST_FIELD_GUEST_RIP, 1),
    N(VMCS01, 1),
    X(VMCS01, VMLAUNCH, 0, 1),
    N(VMCS02, 2), /* the first nested guest: merged, and VMCS12 is L1's own */
    X(VMCS02, VMPTRLD, 0, 2),
    N(VMCS01, 1), /* reflected */
    X(VMCS01, VMRESUME, 0, 1),
    N(VMCS02, 2),
    X(VMCS02, VMLAUNCH, 0, 2),
    N(VMCS01, 1), /* reflected: L1 is to run a guest of L2 */
    LOAD(VMCS01, VMCS13, 1),
    N(VMCS01, 1),
    X(VMCS01, VMLAUNCH, 0, 1),
    N(VMCS02, 3), /* VMCS13 is merged for L1 */
    X(VMCS02, CPUID, 0, 3),
    N(VMCS02, 3), /* kept */
};

static void path_from_boot_names_three_levels(void) {
  struct path path;
  path_init(&path, 3);
  follow(&path, boot_to_three, sizeof boot_to_three / sizeof *boot_to_three);
}

static void path_attached_later_takes_innermost_guest(void) {
  static const struct script_event events[] = {
      X(VMCS02, CPUID, 0, 3),    N(VMCS01, 1),
      LOAD(VMCS01, VMCS12, 1),   N(VMCS01, 1),
      X(VMCS01, VMRESUME, 0, 1), N(VMCS02, 2),
      X(VMCS02, VMREAD, 0, 2),   N(VMCS02, 2), /* served by L0 */
      X(VMCS02, VMRESUME, 0, 2), N(VMCS01, 1),
      LOAD(VMCS01, VMCS13, 1),   N(VMCS01, 1),
      X(VMCS01, VMRESUME, 0, 1), N(VMCS02, 3),
  };
  struct path path;
  path_init(&path, 3);
  follow(&path, events, sizeof events / sizeof *events);
}

static void path_depth_one_is_the_direct_guest(void) {
  static const struct script_event events[] = {X(VMCS01, CPUID, 0, 1), N(VMCS01, 1)};
  struct path path;
  path_init(&path, 1);
  follow(&path, events, sizeof events / sizeof *events);
}

/* L1 loads a region; what it holds as current afterwards, by the flags that it finds. */
struct load_case {
  const char *name;
  uint32_t reason;
  uint64_t operand, rflags, rip;
  uint64_t expected;
};

static const struct load_case load_cases[] = {
    {"success", NST_EXIT_VMPTRLD, VMCS13, 0x2, 0x103, VMCS13},
    {"VMfailInvalid", NST_EXIT_VMPTRLD, VMCS13, 0x3, 0x103, VMCS12},
    {"VMfailValid", NST_EXIT_VMPTRLD, VMCS13, 0x42, 0x103, VMCS12},
    {"not executed yet", NST_EXIT_VMPTRLD, VMCS13, 0x2, 0x100, VMCS12},
    {"VMCLEAR of the current one", NST_EXIT_VMCLEAR, VMCS12, 0x2, 0x103, PATH_NONE},
    {"VMCLEAR of another", NST_EXIT_VMCLEAR, VMCS13, 0x2, 0x103, VMCS12},
    {"VMXOFF", NST_EXIT_VMOFF, 0, 0x2, 0x103, PATH_NONE},
    {"another instruction", NST_EXIT_CPUID, VMCS13, 0x2, 0x103, VMCS12},
};

static void vmptrld_takes_effect_if_it_succeeded(void) {
  for (size_t i = 0; i < sizeof load_cases / sizeof *load_cases; i++) {
    const struct load_case *c = &load_cases[i];
    struct path path;
    path_init(&path, 2);
    struct nst_entry_event first = {.context = SCRIPT_VMCS01};
    path_entry(&path, &first);
    path.tracker[1].current = VMCS12;
    struct nst_exit_event exit = {
        .context = SCRIPT_VMCS01, .reason = c->reason, .operand = c->operand, .rip = 0x100};
    path_exit(&path, &exit, 1);
    struct nst_entry_event entry = {.context = SCRIPT_VMCS01, .rflags = c->rflags, .rip = c->rip};
    path_entry(&path, &entry);
    EXPECT_EQ(c->name, path.tracker[1].current, c->expected);
  }
}

/* A shadow region that L1 loads and stores through, but never enters, is nobody's VMCS. */
static void subject_is_the_guest_of_the_current_region(void) {
  struct path path;
  path_init(&path, 3);
  follow(&path, boot_to_three, sizeof boot_to_three / sizeof *boot_to_three);
  EXPECT_EQ("L0 runs L3", path_subject(&path, 0), 3);
  EXPECT_EQ("L1 runs L3", path_subject(&path, 1), 3);
  struct nst_exit_event load = {
      .context = SCRIPT_VMCS01, .reason = NST_EXIT_VMPTRLD, .operand = VMCS12, .rip = 0x100};
  struct nst_entry_event entry = {.context = SCRIPT_VMCS01, .rip = 0x103};
  path_entry(&path, &entry);
  path_exit(&path, &load, 100);
  EXPECT_EQ("L1 loads the VMCS of L2", path_subject(&path, 1), 2);
  path_entry(&path, &entry);
  load.operand = SHADOW12;
  path_exit(&path, &load, 101);
  EXPECT_EQ("a region never entered", path_subject(&path, 1), 0);
}

static void many_regions_forget_the_oldest(void) {
  struct path path;
  path_init(&path, 1);
  for (uint64_t i = 0; i < 3 * PATH_REGIONS; i++) {
    struct nst_entry_event entry = {.context = (i + 1) << 12};
    path_entry(&path, &entry);
    struct nst_exit_event exit = {.context = (i + 1) << 12, .reason = NST_EXIT_CPUID};
    if (!EXPECT_EQ("level", path_exit(&path, &exit, i + 1), 1)) return;
  }
  EXPECT_EQ("regions", path.tracker[0].region_count, PATH_REGIONS);
}

CU_TestInfo ledger_path_tests[] = {
    {"path_from_boot_names_three_levels", path_from_boot_names_three_levels},
    {"path_attached_later_takes_innermost_guest", path_attached_later_takes_innermost_guest},
    {"path_depth_one_is_the_direct_guest", path_depth_one_is_the_direct_guest},
    {"vmptrld_takes_effect_if_it_succeeded", vmptrld_takes_effect_if_it_succeeded},
    {"subject_is_the_guest_of_the_current_region", subject_is_the_guest_of_the_current_region},
    {"many_regions_forget_the_oldest", many_regions_forget_the_oldest},
    CU_TEST_INFO_NULL};
