/* SPDX-License-Identifier: MIT
 * Who copies on demand copies what changed. Of the guest hypervisor's VMCS, as cached, this keeps
 * which fields the shadow VMCS lacks (a word in hv_state) and which the guest hypervisor has
 * changed since they were merged (flags). Both may name too many, never too few. Profiles that are
 * lists copy what their rows say and ask nothing of this. */
#include "src/hypervisor/hv.h"

enum { SHADOWED = HV_SHADOW_RW | HV_SHADOW_RO };

/* Shadowed fields are numbered in the order of group.def: the next row takes a number up only if
 * this one is shadowed. */
enum {
#define HV_GROUP(field, groups) \
  NUMBER_##field, PAST_##field = NUMBER_##field - !((groups)&SHADOWED),
#include "src/hypervisor/group.def"
  SHADOWED_COUNT
};
_Static_assert(SHADOWED_COUNT <= 64, "a bit of one word each");

static const struct {
  uint16_t field;
  uint8_t number;
  bool shadowed;
} row[] = {
#define HV_GROUP(field, groups) {FIELD_##field, NUMBER_##field, ((groups)&SHADOWED) != 0},
#include "src/hypervisor/group.def"
};

static const uint8_t number_of[FIELD_COUNT] = {
#define HV_GROUP(field, groups) [FIELD_##field] = NUMBER_##field,
#include "src/hypervisor/group.def"
};

/* Guest state that a merge passes on as it is: a flag each, HV_MERGE_FIRST << its place here. */
static const uint16_t passed[] = {FIELD_GUEST_RIP,
                                  FIELD_GUEST_RSP,
                                  FIELD_GUEST_RFLAGS,
                                  FIELD_GUEST_CR3,
                                  FIELD_GUEST_INTERRUPTIBILITY_INFO,
                                  FIELD_VM_ENTRY_INTR_INFO_FIELD,
                                  FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE,
                                  FIELD_VM_ENTRY_INSTRUCTION_LEN};
enum { PASSED_COUNT = sizeof passed / sizeof passed[0] };
#define HV_MERGE_PASSED (HV_MERGE_FIRST * ((UINT64_C(1) << PASSED_COUNT) - 1))

static uint64_t *unpushed(struct hv *hv) {
  if (!hv->has_unpushed) hv->unpushed = hv_load(hv, HV_AT(unpushed));
  hv->has_unpushed = true;
  return &hv->unpushed;
}

void hv_change_vmcs12(struct hv *hv, enum vmcs_field field, uint64_t value) {
  if (hv_vmcs12(hv, field) == value) return;
  hv_store(hv, HV_AT(vmcs12) + 8 * (size_t)field, value);
  if (hv_field_group[field] & SHADOWED) *unpushed(hv) |= UINT64_C(1) << number_of[field];
}

void hv_note_change(struct hv *hv, enum vmcs_field field) {
  for (unsigned i = 0; i < PASSED_COUNT; i++) {
    if (passed[i] != field) continue;
    hv->flags |= HV_MERGE_FIRST << i;
    return;
  }
  hv->flags |= HV_MERGE_ALL;
}

void hv_note_current(struct hv *hv) {
  if (!hv->profile->on_demand) return;
  hv->unpushed = UINT64_MAX;
  hv->has_unpushed = true;
  hv->flags |= HV_MERGE_ALL;
}

void hv_keep_changes(struct hv *hv) {
  if (hv->has_unpushed) hv_store(hv, HV_AT(unpushed), hv->unpushed);
}

bool hv_take_unpushed(struct hv *hv) {
  uint64_t left = *unpushed(hv) & (UINT64_MAX >> (64 - SHADOWED_COUNT));
  bool any = false;
  hv->unpushed = 0;
  for (unsigned i = 0; left; i++) {
    uint64_t bit = UINT64_C(1) << row[i].number;
    enum vmcs_field field = (enum vmcs_field)row[i].field;
    if (!row[i].shadowed || !(left & bit)) continue;
    left &= ~bit;
    if (!hv_field_exists(hv, field)) continue;
    hv_set_in(hv, HV_REGION_SHADOW, field, hv_vmcs12(hv, field));
    any = true;
  }
  return any;
}

bool hv_merge_changes(struct hv *hv) {
  /* Without EPT, CR3 and the tables behind it are this hypervisor's to choose. */
  if (!hv->profile->on_demand || hv->flags & (HV_MERGE_ALL | HV_RARE_DIRTY) ||
      !hv_has(hv, VMCS_HAS_EPT) || hv->flags & HV_ACTIVITY_SET ||
      hv_vmcs12(hv, FIELD_GUEST_ACTIVITY_STATE))
    return false;
  for (unsigned i = 0; i < PASSED_COUNT; i++) {
    enum vmcs_field field = (enum vmcs_field)passed[i];
    if (hv->flags & HV_MERGE_FIRST << i)
      hv_set_in(hv, HV_REGION_MERGED, field, hv_vmcs12(hv, field));
  }
  return true;
}

void hv_merged_now(struct hv *hv) {
  hv->flags &= ~(HV_MERGE_ALL | HV_MERGE_PASSED);
}
