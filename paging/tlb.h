/* SPDX-License-Identifier: MIT
 * A translation look-aside buffer tagged by VPID, EP4TA and PCID. Translations are found only
 * under the tag they were made with; INVEPT, INVVPID, INVLPG and CR3 loads drop what SDM 3C
 * "Caching Translation Information" demands, in time independent of the TLB's size. */
#ifndef PAGING_TLB_H
#define PAGING_TLB_H

#include <stdbool.h>
#include <stdint.h>

enum { TLB_ENTRY_BITS = 12, TLB_ENTRIES = 1 << TLB_ENTRY_BITS, TLB_CONTEXTS = 64 };

/* What translations are tagged with. */
struct tlb_tag {
  uint64_t ep4ta; /* bits 51:12 of the EPTP, 0 = no EPT; bit 0 may be set beside, for an EPT at 0 */
  uint16_t vpid;  /* 0 = VMX root operation, or VPIDs not enabled */
  uint16_t pcid;
};

/* A permission beside enum walk_permission: the guest's own tables map the address by a 4-KiB page
 * (walk_result.linear_page_bits is 12). Insertions without it are taken for pieces of larger
 * pages, of which INVLPG of one address drops all. Not to be asked of tlb_find. */
enum { TLB_SMALL_PAGE = 32 };

/* One direct-mapped entry. */
struct tlb_entry {
  uint64_t key;         /* linear address with bits 11:0 replaced by the context's id, 0 = empty */
  uint64_t frame;       /* host-physical address of the 4-KiB page */
  uint8_t *host;        /* its memory, or NULL when accesses must take the slow path */
  uint32_t permissions; /* enum walk_permission; WALK_WRITE only if dirty bits are set already */
};

/* All translations of one tag. Giving it a new id, or none, drops them at once. */
struct tlb_context {
  struct tlb_tag tag;
  uint32_t id;   /* 1 to 4095, 0 = unused */
  bool filled;   /* something was inserted under this id */
  bool large;    /* something that may be a piece of a large page was */
  uint64_t used; /* for replacement */
};

struct tlb {
  bool enabled;
  uint32_t id; /* of the context in force */
  uint32_t next_id;
  unsigned current;  /* index of the context in force */
  unsigned contexts; /* that were ever in use */
  uint64_t clock;
  uint8_t hint[TLB_CONTEXTS]; /* by hash of the tag: index of a context to try first */
  struct tlb_context context[TLB_CONTEXTS];
  struct tlb_entry entry[TLB_ENTRIES];
};

/* Empty, with the tag of all zeros in force. Disabled, it never holds anything. */
void tlb_init(struct tlb *tlb, bool enabled);
static inline bool tlb_is_same_tag(const struct tlb_tag *a, const struct tlb_tag *b) {
  return a->ep4ta == b->ep4ta && a->vpid == b->vpid && a->pcid == b->pcid;
}
static inline unsigned tlb_hash_tag(const struct tlb_tag *tag) {
  uint64_t mixed = (tag->ep4ta >> 12) + tag->vpid * UINT64_C(5) + tag->pcid * UINT64_C(3);
  return (unsigned)(mixed ^ mixed >> 6) % TLB_CONTEXTS;
}
/* Index of the context of a tag, found or made. */
unsigned tlb_context_of(struct tlb *tlb, struct tlb_tag tag);
/* Makes `tag` the one in force; sets tlb->id. */
static inline void tlb_select(struct tlb *tlb, const struct tlb_tag *tag) {
  uint8_t *hint = &tlb->hint[tlb_hash_tag(tag)];
  const struct tlb_context *hinted = &tlb->context[*hint];
  if (!hinted->id || !tlb_is_same_tag(&hinted->tag, tag))
    *hint = (uint8_t)tlb_context_of(tlb, *tag);
  tlb->current = *hint;
  tlb->id = tlb->context[tlb->current].id;
  tlb->context[tlb->current].used = ++tlb->clock;
}

static inline uint64_t tlb_key(uint64_t linear, uint32_t id) {
  return (linear & ~UINT64_C(0xfff)) | id;
}
/* Multiplicative hashing: the factor's low 52 bits spread page numbers (the golden ratio), the
 * others ids, so that neighbours do not collide, nor the same page of several contexts. */
static inline struct tlb_entry *tlb_slot_of_key(struct tlb *tlb, uint64_t key) {
  return &tlb->entry[key * UINT64_C(0x9e39e3779b97f4a7) >> (64 - TLB_ENTRY_BITS)];
}
static inline struct tlb_entry *tlb_slot(struct tlb *tlb, uint64_t linear) {
  return tlb_slot_of_key(tlb, tlb_key(linear, tlb->id));
}
/* The entry of a linear address under the tag in force that grants all of `permissions`, or NULL.
 * Valid until the next call that changes the TLB. */
static inline struct tlb_entry *tlb_find(struct tlb *tlb, uint64_t linear, unsigned permissions) {
  uint64_t key = tlb_key(linear, tlb->id);
  struct tlb_entry *entry = tlb_slot_of_key(tlb, key);
  if (entry->key == key && (permissions & ~entry->permissions) == 0) return entry;
  return 0;
}
/* Stores a translation under the tag in force, in place of what its slot held. */
void tlb_insert(struct tlb *tlb, uint64_t linear, uint64_t frame, unsigned permissions,
                uint8_t *host);

void tlb_flush_all(struct tlb *tlb);
/* INVLPG, INVVPID type 0: the page of one linear address, in all of VPID's contexts. A context with
 * pieces of large pages is dropped whole. */
void tlb_flush_address(struct tlb *tlb, uint16_t vpid, uint64_t linear);
/* MOV to CR3 without PCID, INVVPID types 1 and 3. */
void tlb_flush_vpid(struct tlb *tlb, uint16_t vpid);
/* INVVPID type 2: every VPID but 0. */
void tlb_flush_all_vpids(struct tlb *tlb);
/* INVEPT type 1; bits 11:0 are ignored. */
void tlb_flush_ep4ta(struct tlb *tlb, uint64_t ep4ta);
/* INVEPT type 2: every translation made with EPT. */
void tlb_flush_all_ept(struct tlb *tlb);
/* The memory of this physical page must be reached by the slow path from now on. */
void tlb_flush_frame(struct tlb *tlb, uint64_t frame);

#endif
