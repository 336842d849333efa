/* SPDX-License-Identifier: MIT
 * Our cells beside the recordings of real nested KVM in traces/recorded. */
#include "src/report/part.h"
#include "test/expect.h"
#include "test/test_report_replay.h"

#ifndef NESTOR_TEST_SOURCE_DIR
#define NESTOR_TEST_SOURCE_DIR "."
#endif

static struct replay *make_recorded(const char *trace) {
  struct replay *replay = make_replay();
  struct scenario *scenario = (struct scenario *)(uintptr_t)replay->scenario;
  snprintf(scenario->guest[0].trace, sizeof scenario->guest[0].trace, "%s/traces/recorded/%s",
           NESTOR_TEST_SOURCE_DIR, trace);
  return replay;
}

/* The synthetic CPUID takes 3 exits with shadowing, as recorded, and 6 without: 11 were recorded.
 */
static void cells_are_found_by_label_and_counted(void) {
  struct replay *replay = make_recorded("vmx-l1-micro.txt.zst");
  struct compare *compare = compare_make(replay);
  EXPECT_EQ("recordings", compare->recording_count, 2);
  EXPECT_EQ("cells", compare->count, 2);
  EXPECT_EQ("equal", compare->equal, 1);
  EXPECT_TRUE("depth 1 has none", !compare_has(compare, 0));
  EXPECT_TRUE("shadowing on has one", compare_has(compare, 1));
  EXPECT_EQ("depth 1", compare_find(compare, 0, "CPUID"), COMPARE_NONE);
  EXPECT_EQ("shadowing on", compare_find(compare, 1, "CPUID"), COMPARE_EQUAL);
  EXPECT_EQ("shadowing off", compare_find(compare, 2, "CPUID"), COMPARE_DIFFERENT);
  EXPECT_EQ("recorded, off", compare->cell[1].recorded, 11);
  EXPECT_EQ("ours, off", compare->cell[1].ours, 6);
  EXPECT_EQ("not recorded", compare_find(compare, 1, "nonsense"), COMPARE_NONE);
  free(compare);
  free_replay(replay);
}

struct stack_case {
  const char *name, *trace, *processor, *hypervisor;
  enum scenario_scheme scheme;
  unsigned recordings;
};

static const struct stack_case stack_cases[] = {
    {"as recorded", "vmx-l1-micro.txt.zst", "broadwell-pml", "kvm-6.1", SCENARIO_EPT_ON_EPT, 2},
    {"skylake", "vmx-l1-micro.txt.zst", "skylake-x", "kvm-6.1", SCENARIO_EPT_ON_EPT, 2},
    {"shadow on EPT", "vmx-l1-micro.txt.zst", "broadwell-pml", "kvm-6.1", SCENARIO_SHADOW_ON_EPT,
     2},
    {"guest recorded without EPT", "vmx-l1-micro-ept0.txt.zst", "broadwell-pml", "kvm-6.1",
     SCENARIO_SHADOW_ON_EPT, 2},
    {"other scheme", "vmx-l1-micro.txt.zst", "broadwell-pml", "kvm-6.1", SCENARIO_SHADOW_ON_SHADOW,
     0},
    {"other processor", "vmx-l1-micro.txt.zst", "haswell", "kvm-6.1", SCENARIO_EPT_ON_EPT, 0},
    {"other hypervisor", "vmx-l1-micro.txt.zst", "broadwell-pml", "minimal", SCENARIO_EPT_ON_EPT,
     0},
    {"other trace", "vmx-cpuid.txt.zst", "broadwell-pml", "kvm-6.1", SCENARIO_EPT_ON_EPT, 0},
    {"no such trace", "vmx-l1-none.txt", "broadwell-pml", "kvm-6.1", SCENARIO_EPT_ON_EPT, 0},
    {"no ending", "vmx-l1-micro", "broadwell-pml", "kvm-6.1", SCENARIO_EPT_ON_EPT, 0},
};

static void recording_is_used_for_its_own_stack_alone(void) {
  for (size_t i = 0; i < sizeof stack_cases / sizeof *stack_cases; i++) {
    const struct stack_case *c = &stack_cases[i];
    struct replay *replay = make_recorded(c->trace);
    struct scenario *scenario = (struct scenario *)(uintptr_t)replay->scenario;
    strcpy(scenario->processor, c->processor);
    strcpy(scenario->level[1].hypervisor, c->hypervisor);
    scenario->level[1].scheme = c->scheme;
    remake_variants(replay);
    struct compare *compare = compare_make(replay);
    EXPECT_EQ(c->name, compare->recording_count, c->recordings);
    free(compare);
    free_replay(replay);
  }
}

CU_TestInfo report_compare_tests[] = {
    {"cells_are_found_by_label_and_counted", cells_are_found_by_label_and_counted},
    {"recording_is_used_for_its_own_stack_alone", recording_is_used_for_its_own_stack_alone},
    CU_TEST_INFO_NULL};
