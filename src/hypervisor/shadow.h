/* SPDX-License-Identifier: MIT
 * Shadow paging: the hypervisor's own page tables for a guest that has no EPT. */
#ifndef HYPERVISOR_SHADOW_H
#define HYPERVISOR_SHADOW_H

#include "paging/walk.h"
#include "src/hypervisor/hv.h"

enum { WALK_TOP = 4 };

/* What a guest's translations depend on, as the guest sees it. */
struct hv_context {
  uint64_t cr3;
  bool write_protect, no_execute, smep, smap;
};

/* Has the guest of a region run on the shadow of its tables: GUEST_CR3 is left to be written. */
void hv_shadow_root(struct hv *hv, enum hv_region region, const struct hv_context *context);
/* Enters a translation that a walk of the guest's tables gave (accessed and dirty flags set) into
 * the shadow. False: no memory is there; walk->guest is the address. */
bool hv_shadow_map(struct hv *hv, const struct hv_context *context, uint64_t linear,
                   unsigned access, const struct walk_result *walk);
/* Drops what the guest's tables in doubt no longer say. */
void hv_shadow_sync(struct hv *hv, bool protect_again);
void hv_shadow_drop(struct hv *hv);

#endif
