/* SPDX-License-Identifier: MIT
 * The profiles, expanded from their .def tables. */
#include "src/hypervisor/profile.h"

#include <stddef.h>
#include <string.h>

#include "vmcs/field.h"

#define R(condition, field) {HV_READ, HV_##condition, FIELD_##field},
#define R1(condition, field) {HV_READ_ONCE, HV_##condition, FIELD_##field},
#define W(condition, field) {HV_WRITE, HV_##condition, FIELD_##field},
#define LOAD(condition, region) {HV_VMPTRLD, HV_##condition, HV_REGION_##region},
#define CLEAR(condition, region) {HV_VMCLEAR, HV_##condition, HV_REGION_##region},
#define MSR(condition, number) {HV_RDMSR, HV_##condition, (number)},
#define ZERO(condition, field) {HV_ZERO, HV_##condition, FIELD_##field},
#define IN(port) {HV_IN, HV_ALWAYS, (port)},
#define OUT(port) {HV_OUT, HV_ALWAYS, (port)},
#define RDR(number) {HV_READ_DR, HV_ALWAYS, (number)},
#define WDR(condition, number) {HV_WRITE_DR, HV_##condition, (number)},
#define RESETDR(condition, number) {HV_RESET_DR, HV_##condition, (number)},
#define END                \
  { HV_END, HV_ALWAYS, 0 } \
  }                        \
  ;

#define ROUTINE(name) static const struct hv_row kvm_6_1_##name[] = {
#include "src/hypervisor/kvm_6_1.def"
#undef ROUTINE

#define ROUTINE(name) static const struct hv_row minimal_##name[] = {
#include "src/hypervisor/minimal.def"
#undef ROUTINE

static const struct hv_profile profiles[] = {
    {
        .name = "kvm-6.1",
        .date = "2026-08",
        .source = "recorded: Debian kernel 6.1.0-56 in both roles (traces/recorded/README.md)",
        .saves_all = true,
        .lends_debug = true,
        .retries = true,
        .routine =
            {
#define HV_ROUTINE(name, text) [ROUTINE_##name] = kvm_6_1_##name,
#include "src/hypervisor/routine.def"
            },
    },
    {
        .name = "minimal",
        .date = "2026-11",
        .source = "what the semantics need, nothing else",
        .on_demand = true,
        .routine =
            {
                [ROUTINE_EXIT] = minimal_EXIT,
                [ROUTINE_HOST_TIMER] = minimal_HOST_TIMER,
                [ROUTINE_HOST_IDLE] = minimal_HOST_IDLE,
            },
    },
};

const struct hv_profile *hv_profile_at(unsigned index) {
  return index < sizeof profiles / sizeof profiles[0] ? &profiles[index] : NULL;
}

const struct hv_profile *hv_profile_find(const char *name) {
  for (unsigned i = 0; hv_profile_at(i); i++)
    if (strcmp(profiles[i].name, name) == 0) return &profiles[i];
  return NULL;
}
