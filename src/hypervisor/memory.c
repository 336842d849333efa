/* SPDX-License-Identifier: MIT
 * The guest's memory as its hypervisor reaches it, and the EPTs that it builds: ordinary loads and
 * stores in its own memory. SDM 3C "The Extended Page Table Mechanism". */
#include "src/hypervisor/hv.h"

#define ADDRESS_MASK UINT64_C(0x000ffffffffff000)

uint64_t hv_guest_memory(struct hv *hv, uint64_t guest_physical) {
  uint64_t size = hv_load(hv, HV_AT(guest_size));
  return guest_physical < size ? HV_CHILD_BASE + guest_physical : UINT64_MAX;
}

static uint64_t entry_address(uint64_t table, uint64_t address, unsigned level) {
  return (table & ADDRESS_MASK) + 8 * (address >> (12 + 9 * (level - 1)) & 511);
}

uint64_t hv_ept_new(struct hv *hv, bool accessed_dirty) {
  enum { WALK_LENGTH_4 = 3 << 3, MEMORY_WB = 6 };
  return hv_page_alloc(hv) | WALK_LENGTH_4 | MEMORY_WB | (accessed_dirty ? HV_EPT_AD_ENABLE : 0);
}

void hv_ept_map(struct hv *hv, uint64_t eptp, uint64_t guest_physical, uint64_t target,
                unsigned level, uint64_t attributes) {
  uint64_t table = eptp;
  for (unsigned at = 4; at > level; at--) {
    uint64_t slot = entry_address(table, guest_physical, at);
    uint64_t entry = nst_load(hv->cpu, slot, 8);
    if (!(entry & HV_EPT_RWX)) {
      entry = hv_page_alloc(hv) | HV_EPT_RWX;
      nst_store(hv->cpu, slot, 8, entry);
    } else if (entry & HV_EPT_LARGE) {
      return; /* covered by a larger page already */
    }
    table = entry;
  }
  uint64_t size = UINT64_C(0x1000) << 9 * (level - 1);
  nst_store(hv->cpu, entry_address(table, guest_physical, level), 8,
            (target & ~(size - 1)) | attributes | (level > 1 ? HV_EPT_LARGE : 0));
}

static void free_tables(struct hv *hv, uint64_t table, unsigned level) {
  for (unsigned i = 0; i < 512; i++) {
    uint64_t slot = (table & ADDRESS_MASK) + 8 * i;
    uint64_t entry = nst_load(hv->cpu, slot, 8);
    if (!entry) continue;
    nst_store(hv->cpu, slot, 8, 0);
    if (level == 1 || (entry & HV_EPT_LARGE)) continue;
    free_tables(hv, entry, level - 1);
    hv_page_free(hv, entry & ADDRESS_MASK);
  }
}

void hv_ept_zap(struct hv *hv, uint64_t eptp) {
  free_tables(hv, eptp, 4);
}

/* ---- the guest's own page tables, 4-level */

/* Own address of an address in the memory of whoever runs: a nested guest's goes through the EPT
 * that its hypervisor gave it. */
static uint64_t runner_memory(struct hv *hv, uint64_t physical) {
  bool nested = hv->flags & HV_IN_NESTED;
  if (nested &&
      (hv_vmcs12(hv, FIELD_SECONDARY_VM_EXEC_CONTROL) & VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT))) {
    uint64_t table = hv_vmcs12(hv, FIELD_EPT_POINTER);
    for (unsigned level = 4; level; level--) {
      uint64_t slot = hv_guest_memory(hv, entry_address(table, physical, level));
      if (slot == UINT64_MAX) return UINT64_MAX;
      uint64_t entry = nst_load(hv->cpu, slot, 8);
      if ((entry & HV_EPT_RWX) == 0 || (entry & HV_EPT_RWX) == HV_EPT_MMIO) return UINT64_MAX;
      uint64_t size = UINT64_C(0x1000) << 9 * (level - 1);
      table = entry;
      if (level == 1 || (entry & HV_EPT_LARGE)) {
        physical = (entry & ADDRESS_MASK & ~(size - 1)) | (physical & (size - 1));
        break;
      }
    }
  }
  return hv_guest_memory(hv, physical);
}

bool hv_guest_linear(struct hv *hv, uint64_t linear, uint64_t *own) {
  enum { PRESENT = 1, LARGE = 1 << 7 };
  uint64_t table = hv_get_cr3(hv);
  for (unsigned level = 4; level; level--) {
    uint64_t slot = runner_memory(hv, entry_address(table, linear, level));
    if (slot == UINT64_MAX) return false;
    uint64_t entry = nst_load(hv->cpu, slot, 8);
    if (!(entry & PRESENT)) return false;
    uint64_t size = UINT64_C(0x1000) << 9 * (level - 1);
    table = entry;
    if (level == 1 || (level < 4 && (entry & LARGE))) {
      *own = runner_memory(hv, (entry & ADDRESS_MASK & ~(size - 1)) | (linear & (size - 1)));
      return *own != UINT64_MAX;
    }
  }
  return false;
}

bool hv_read_guest(struct hv *hv, uint64_t linear, unsigned size, uint64_t *value) {
  uint64_t own;
  *value = 0;
  if ((linear & 0xfff) + size <= 0x1000) {
    if (!hv_guest_linear(hv, linear, &own)) return false;
    *value = nst_load(hv->cpu, own, size);
    return true;
  }
  for (unsigned i = 0; i < size; i++) {
    if (!hv_guest_linear(hv, linear + i, &own)) return false;
    *value |= nst_load(hv->cpu, own, 1) << 8 * i;
  }
  return true;
}

bool hv_write_guest(struct hv *hv, uint64_t linear, unsigned size, uint64_t value) {
  uint64_t own;
  for (unsigned i = 0; i < size; i++)
    if (!hv_guest_linear(hv, linear + i, &own)) return false;
  if ((linear & 0xfff) + size <= 0x1000 && hv_guest_linear(hv, linear, &own)) {
    nst_store(hv->cpu, own, size, value);
    hv_shadow_written(hv, own);
    return true;
  }
  for (unsigned i = 0; i < size && hv_guest_linear(hv, linear + i, &own); i++) {
    nst_store(hv->cpu, own, 1, value >> 8 * i & 0xff);
    hv_shadow_written(hv, own);
  }
  return true;
}
