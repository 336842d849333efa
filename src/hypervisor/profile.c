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
#define MSR(condition, number) {HV_RDMSR, HV_##condition, HV_MSR_ARGUMENT(number)},
#define WMSR(condition, number) {HV_WRMSR, HV_##condition, HV_MSR_ARGUMENT(number)},
#define RCR(condition, number) {HV_READ_CR, HV_##condition, (number)},
#define LOOKDR(number) {HV_LOOK_DR, HV_ALWAYS, (number)},
/* IA32_FEATURE_CONTROL is looked at in between: is VMX allowed? */
#define VMX_ON {HV_SET_VMXE, HV_ALWAYS, 1}, {HV_RDMSR, HV_ALWAYS, 0x3a}, {HV_VMXON, HV_ALWAYS, 0},
#define VMX_OFF {HV_VMXOFF, HV_ALWAYS, 0}, {HV_SET_VMXE, HV_ALWAYS, 0},
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

#define SAME(name)
#define ROUTINE(name) static const struct hv_row kvm_6_12_##name[] = {
#include "src/hypervisor/kvm_6_12.def"
#undef ROUTINE

#define ROUTINE(name) static const struct hv_row kvm_2_6_34_##name[] = {
#include "src/hypervisor/kvm_2_6_34.def"
#undef ROUTINE

#define ROUTINE(name) static const struct hv_row haxm_2018_##name[] = {
#include "src/hypervisor/haxm_2018.def"
#undef ROUTINE
#undef SAME

/* The tables once more, now for the routines that they have. */
#undef R
#undef R1
#undef W
#undef LOAD
#undef CLEAR
#undef MSR
#undef WMSR
#undef RCR
#undef ZERO
#undef IN
#undef OUT
#undef RDR
#undef WDR
#undef RESETDR
#undef LOOKDR
#undef VMX_ON
#undef VMX_OFF
#undef END
#define R(condition, field)
#define R1(condition, field)
#define W(condition, field)
#define LOAD(condition, region)
#define CLEAR(condition, region)
#define MSR(condition, number)
#define WMSR(condition, number)
#define RCR(condition, number)
#define WDR(condition, number)
#define RESETDR(condition, number)
#define LOOKDR(number)
#define OUT(port)
#define VMX_ON
#define VMX_OFF
#define END

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
        .name = "kvm-6.12",
        .date = "2024-11",
        .source = "derived: Linux v6.12 source, arch/x86/kvm; reflecting and merging as kvm-6.1",
        .saves_all = true,
        .lends_debug = true,
        .retries = true,
        .routine =
            {
#define SAME(name) [ROUTINE_##name] = kvm_6_1_##name,
#define ROUTINE(name) [ROUTINE_##name] = kvm_6_12_##name,
#include "src/hypervisor/kvm_6_12.def"
#undef ROUTINE
#undef SAME
            },
    },
    {
        .name = "kvm-2.6.34",
        .date = "2010-05",
        .source = "derived: Linux 2.6.34 source, arch/x86/kvm; nesting on demand",
        .saves_all = true,
        .no_shadowing = true,
        .no_mmio_entry = true,
        .routine =
            {
#define ROUTINE(name) [ROUTINE_##name] = kvm_2_6_34_##name,
#include "src/hypervisor/kvm_2_6_34.def"
#undef ROUTINE
            },
    },
    {
        .name = "haxm-2018",
        .date = "2018-11",
        .source = "derived: HAXM source of 2018-11-18, core; innermost hypervisor only",
        .saves_all = true,
        .no_mmio_entry = true,
        .flat = "haxm-2018 does not nest: it can only be the innermost hypervisor",
        .routine =
            {
#define ROUTINE(name) [ROUTINE_##name] = haxm_2018_##name,
#include "src/hypervisor/haxm_2018.def"
#undef ROUTINE
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
