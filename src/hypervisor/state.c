/* SPDX-License-Identifier: MIT
 * The hypervisor's own memory. */
#include "src/hypervisor/hv.h"

uint64_t hv_load(struct hv *hv, size_t offset) {
  return nst_load(hv->cpu, hv->base + offset, 8);
}

void hv_store(struct hv *hv, size_t offset, uint64_t value) {
  nst_store(hv->cpu, hv->base + offset, 8, value);
}

bool hv_has(const struct hv *hv, enum vmcs_feature feature) {
  return hv->features >> feature & 1;
}

bool hv_shadows(const struct hv *hv) {
  return hv_has(hv, VMCS_HAS_SHADOW_VMCS) && !(hv->flags & (HV_TRAPS_VMCS | HV_GRANTS_VMCS));
}

/* What is left then is for the tables of the guest's own memory, which are few. */
bool hv_pool_is_low(struct hv *hv) {
  enum { RESERVE = 0x400000 };
  return hv_load(hv, HV_AT(pool_next)) > HV_POOL_END - RESERVE && !hv_load(hv, HV_AT(pool_free));
}

uint64_t hv_page_alloc(struct hv *hv) {
  uint64_t page = hv_load(hv, HV_AT(pool_free));
  if (page) {
    hv_store(hv, HV_AT(pool_free), nst_load(hv->cpu, page, 8));
    for (unsigned i = 0; i < 512; i++) nst_store(hv->cpu, page + 8 * i, 8, 0);
    return page;
  }
  page = hv_load(hv, HV_AT(pool_next));
  hv_store(hv, HV_AT(pool_next), page + 0x1000);
  return page;
}

void hv_page_free(struct hv *hv, uint64_t page) {
  nst_store(hv->cpu, page, 8, hv_load(hv, HV_AT(pool_free)));
  hv_store(hv, HV_AT(pool_free), page);
}
