/* SPDX-License-Identifier: MIT
 * EPT on EPT: a nested guest runs on a merged table, composed entry by entry, on demand, from the
 * table that the guest hypervisor built and the memory that this hypervisor gave it. */
#include "src/hypervisor/hv.h"

#define ADDRESS_MASK UINT64_C(0x000ffffffffff000)

/* The guest hypervisor's leaf for an address. */
struct leaf {
  uint64_t slot;        /* own address of the entry, or UINT64_MAX: the walk ended above a leaf */
  uint64_t entry;       /* last entry read */
  uint64_t permissions; /* and'ed over the walk */
  unsigned level;
};

static bool is_misconfigured(uint64_t entry, unsigned level) {
  uint64_t access = entry & HV_EPT_RWX;
  if (access == HV_EPT_W || access == HV_EPT_MMIO) return true;
  bool leaf = level == 1 || (entry & HV_EPT_LARGE);
  unsigned type = entry >> 3 & 7;
  return leaf && (type == 2 || type == 3 || type == 7);
}

static enum hv_fault walk(struct hv *hv, uint64_t eptp, uint64_t address, struct leaf *leaf) {
  uint64_t table = eptp;
  bool tracks = eptp & HV_EPT_AD_ENABLE;
  leaf->permissions = HV_EPT_RWX;
  for (leaf->level = 4; leaf->level; leaf->level--) {
    uint64_t index = address >> (12 + 9 * (leaf->level - 1)) & 511;
    leaf->slot = hv_guest_memory(hv, (table & ADDRESS_MASK) + 8 * index);
    if (leaf->slot == UINT64_MAX) {
      leaf->permissions = 0;
      return HV_FAULT_VIOLATION;
    }
    leaf->entry = nst_load(hv->cpu, leaf->slot, 8);
    if (!(leaf->entry & HV_EPT_RWX)) {
      leaf->permissions = 0;
      return HV_FAULT_VIOLATION;
    }
    if (is_misconfigured(leaf->entry, leaf->level)) return HV_FAULT_MISCONFIG;
    leaf->permissions &= leaf->entry;
    if (tracks && !(leaf->entry & HV_EPT_ACCESSED)) {
      leaf->entry |= HV_EPT_ACCESSED;
      nst_store(hv->cpu, leaf->slot, 8, leaf->entry);
    }
    if (leaf->level == 1 || (leaf->entry & HV_EPT_LARGE)) return HV_FAULT_MAPPED;
    table = leaf->entry;
  }
  return HV_FAULT_MAPPED;
}

/* Page-modification logging for the guest hypervisor. SDM 3C "Page-Modification Logging". */
static bool log_write(struct hv *hv, uint64_t address) {
  uint64_t secondary = hv_vmcs12(hv, FIELD_SECONDARY_VM_EXEC_CONTROL);
  if (!(secondary & VMCS_BIT(SECONDARY_EXEC_ENABLE_PML))) return true;
  uint64_t index = hv_vmcs12(hv, FIELD_GUEST_PML_INDEX);
  if (index > 511) return false;
  uint64_t slot = hv_guest_memory(hv, hv_vmcs12(hv, FIELD_PML_ADDRESS) + 8 * index);
  if (slot != UINT64_MAX) nst_store(hv->cpu, slot, 8, address & ADDRESS_MASK);
  hv_set_vmcs12(hv, FIELD_GUEST_PML_INDEX, (index - 1) & 0xffff);
  return true;
}

/* Dirty flags of the guest hypervisor's table: a page is writable in the merged table only once its
 * dirty flag is set. */
static bool mark_dirty(struct hv *hv, uint64_t eptp, uint64_t address, bool write,
                       struct leaf *leaf) {
  if (!(eptp & HV_EPT_AD_ENABLE) || (leaf->entry & HV_EPT_DIRTY)) return true;
  if (!write) {
    leaf->permissions &= ~(uint64_t)HV_EPT_W;
    return true;
  }
  if (!log_write(hv, address)) return false;
  nst_store(hv->cpu, leaf->slot, 8, leaf->entry | HV_EPT_DIRTY);
  return true;
}

enum hv_fault hv_compose(struct hv *hv, uint64_t address, uint64_t *qualification) {
  uint64_t access = *qualification & HV_EPT_RWX;
  uint64_t eptp = hv_vmcs12(hv, FIELD_EPT_POINTER);
  struct leaf leaf;
  enum hv_fault fault = walk(hv, eptp, address, &leaf);
  if (fault == HV_FAULT_MISCONFIG) return fault;
  if (fault == HV_FAULT_VIOLATION || (access & ~leaf.permissions)) {
    *qualification = (*qualification & ~UINT64_C(0x38)) | leaf.permissions << 3;
    return HV_FAULT_VIOLATION;
  }
  if (!mark_dirty(hv, eptp, address, access & HV_EPT_W, &leaf)) return HV_FAULT_LOG_FULL;
  uint64_t size = UINT64_C(0x1000) << 9 * (leaf.level - 1);
  uint64_t target = (leaf.entry & ADDRESS_MASK & ~(size - 1)) | (address & (size - 1));
  uint64_t own = hv_guest_memory(hv, target);
  if (own == UINT64_MAX) { /* the guest hypervisor maps what it does not have */
    *qualification &= ~UINT64_C(0x38);
    return HV_FAULT_VIOLATION;
  }
  if (hv_pool_is_low(hv)) hv_merged_invalidate(hv, 0);
  unsigned level = leaf.level > 2 ? 2 : leaf.level;
  uint64_t attributes = leaf.permissions | (leaf.entry & UINT64_C(0x78));
  hv_ept_map(hv, hv_merged_eptp(hv, eptp), address, own, level, attributes);
  return HV_FAULT_MAPPED;
}

static uint64_t merged_slot(struct hv *hv, unsigned slot) {
  return hv_load(hv, HV_AT(merged_eptp) + 8 * slot);
}

uint64_t hv_merged_eptp(struct hv *hv, uint64_t nested_eptp) {
  for (unsigned i = 0; i < HV_EPT_SLOTS; i++)
    if (hv_load(hv, HV_AT(nested_eptp) + 8 * i) == nested_eptp) return merged_slot(hv, i);
  unsigned slot = (unsigned)(hv_load(hv, HV_AT(next_slot)) % HV_EPT_SLOTS);
  hv_store(hv, HV_AT(next_slot), slot + 1);
  uint64_t eptp = merged_slot(hv, slot);
  if (eptp) {
    hv_ept_zap(hv, eptp);
    nst_invept(hv->cpu, 1, eptp);
  } else {
    eptp = hv_ept_new(hv, false);
    hv_store(hv, HV_AT(merged_eptp) + 8 * slot, eptp);
  }
  hv_store(hv, HV_AT(nested_eptp) + 8 * slot, nested_eptp);
  return eptp;
}

void hv_merged_invalidate(struct hv *hv, uint64_t nested_eptp) {
  for (unsigned i = 0; i < HV_EPT_SLOTS; i++) {
    uint64_t eptp = merged_slot(hv, i);
    uint64_t key = hv_load(hv, HV_AT(nested_eptp) + 8 * i);
    if (!eptp || (nested_eptp && (key ^ nested_eptp) & ADDRESS_MASK)) continue;
    hv_ept_zap(hv, eptp);
    nst_invept(hv->cpu, 1, eptp);
  }
}
