/* SPDX-License-Identifier: MIT
 * A guest hypervisor's VMCS region in its memory. While it is current, the copy in struct hv_state
 * is the VMCS; or, where this hypervisor grants it, the region is: the guest hypervisor loads and
 * stores its fields, and they are copied in one batch before its guest is entered and before it
 * gets control after an exit. */
#include "src/hypervisor/hv.h"
#include "vmcs/check.h"

static uint64_t slot(uint64_t region, enum vmcs_field field) {
  return region + HV_REGION_FIELDS + 8 * (uint64_t)field;
}

/* Whoever stores there is not bound to a field's width. */
static void read_field(struct hv *hv, uint64_t region, enum vmcs_field field) {
  uint64_t value = nst_load(hv->cpu, slot(region, field), 8) & vmcs_field_mask(field);
  if (value == hv_vmcs12(hv, field)) return;
  if (vmcs_field_groups[field]) hv_check_again(hv, field);
  hv_set_vmcs12(hv, field, value);
  hv_note_change(hv, field);
}

static void write_field(struct hv *hv, uint64_t region, enum vmcs_field field) {
  nst_store(hv->cpu, slot(region, field), 8, hv_vmcs12(hv, field));
}

static uint64_t current_region(struct hv *hv) {
  return hv_guest_memory(hv, hv_load(hv, HV_AT(current)));
}

void hv_region_read(struct hv *hv, uint64_t region) {
  hv_store(hv, HV_AT(launch_state), nst_load(hv->cpu, region + HV_REGION_LAUNCHED, 4));
  hv_store(hv, HV_AT(checked), 0);
  if (hv->flags & HV_GRANTS_VMCS) return;
  for (unsigned i = 0; i < FIELD_COUNT; i++) read_field(hv, region, (enum vmcs_field)i);
  hv_note_current(hv);
}

void hv_region_write_back(struct hv *hv, uint64_t region) {
  nst_store(hv->cpu, region + HV_REGION_LAUNCHED, 4, hv_load(hv, HV_AT(launch_state)));
  if (hv->flags & HV_GRANTS_VMCS) return;
  for (unsigned i = 0; i < FIELD_COUNT; i++) write_field(hv, region, (enum vmcs_field)i);
}

void hv_region_pull(struct hv *hv) {
  uint64_t region = current_region(hv);
  if (nst_load(hv->cpu, region + HV_REGION_DIRTY, 8)) {
    nst_store(hv->cpu, region + HV_REGION_DIRTY, 8, 0);
    hv->flags |= HV_RARE_DIRTY;
  }
  for (unsigned i = 0; i < FIELD_COUNT; i++) {
    enum vmcs_field field = (enum vmcs_field)i;
    bool due = hv->flags & HV_RARE_DIRTY ? vmcs_field_info[i].kind != VMCS_KIND_INFO
                                         : hv_field_group[i] & HV_SHADOW_RW;
    if (due && hv_field_exists(hv, field)) read_field(hv, region, field);
  }
}

/* SDM 3C "VM Exits": guest state, exit information, and the valid bit of the event at the entry. */
void hv_region_push(struct hv *hv) {
  uint64_t region = current_region(hv);
  for (unsigned i = 0; i < FIELD_COUNT; i++) {
    enum vmcs_field field = (enum vmcs_field)i;
    bool changes =
        vmcs_field_info[i].kind == VMCS_KIND_GUEST || vmcs_field_info[i].kind == VMCS_KIND_INFO;
    if ((changes || field == FIELD_VM_ENTRY_INTR_INFO_FIELD) && hv_field_exists(hv, field))
      write_field(hv, region, field);
  }
}

void hv_region_pull_field(struct hv *hv, enum vmcs_field field) {
  read_field(hv, current_region(hv), field);
}

void hv_region_push_field(struct hv *hv, enum vmcs_field field) {
  write_field(hv, current_region(hv), field);
}
