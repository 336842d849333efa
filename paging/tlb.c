/* SPDX-License-Identifier: MIT
 * The TLB's contexts: handing out ids, flushing by taking them away. */
#include "paging/tlb.h"

#include <string.h>

/* Ids are handed out in steps of an odd number, which spreads the same page of successive contexts
 * over the slots; all of 1 to 4095 come once before the next round, which starts empty. */
enum { ID_MASK = 0xfff, ID_STEP = 61 };

#define PAGE_MASK (~UINT64_C(0xfff))

/* A fresh id. When all have been used, everything is forgotten, so that none comes back to life. */
static uint32_t make_id(struct tlb *tlb) {
  tlb->next_id = (tlb->next_id + ID_STEP) & ID_MASK;
  if (tlb->next_id == 0) {
    memset(tlb->entry, 0, sizeof tlb->entry);
    for (unsigned i = 0; i < tlb->contexts; i++) tlb->context[i].id = 0;
    tlb->next_id = ID_STEP;
  }
  return tlb->next_id;
}

/* Puts the context in force on a fresh id. */
static void renew_current(struct tlb *tlb) {
  struct tlb_context *context = &tlb->context[tlb->current];
  context->id = tlb->id = make_id(tlb);
  context->filled = context->large = false;
}

static void drop_context(struct tlb *tlb, unsigned index) {
  struct tlb_context *context = &tlb->context[index];
  if (!context->filled) return;
  if (index == tlb->current)
    renew_current(tlb);
  else
    context->id = 0;
}

/* The context to give to a new tag: one without an id, one never used, or the least recently used,
 * which the one in force never is. */
static unsigned choose_context(struct tlb *tlb) {
  unsigned oldest = 0;
  for (unsigned i = 0; i < tlb->contexts; i++) {
    if (tlb->context[i].id == 0) return i;
    if (tlb->context[i].used < tlb->context[oldest].used) oldest = i;
  }
  return tlb->contexts < TLB_CONTEXTS ? tlb->contexts++ : oldest;
}

/* The live context of a tag, or TLB_CONTEXTS. */
static unsigned find_context(const struct tlb *tlb, const struct tlb_tag *tag) {
  for (unsigned i = 0; i < tlb->contexts; i++)
    if (tlb->context[i].id && tlb_is_same_tag(&tlb->context[i].tag, tag)) return i;
  return TLB_CONTEXTS;
}

void tlb_init(struct tlb *tlb, bool enabled) {
  memset(tlb, 0, sizeof *tlb);
  tlb->enabled = enabled;
  tlb_select(tlb, &(struct tlb_tag){0, 0, 0});
}

unsigned tlb_context_of(struct tlb *tlb, struct tlb_tag tag) {
  unsigned index = find_context(tlb, &tag);
  if (index < TLB_CONTEXTS) return index;
  tlb->current = index = choose_context(tlb);
  tlb->context[index].tag = tag;
  renew_current(tlb);
  return index;
}

void tlb_insert(struct tlb *tlb, uint64_t linear, uint64_t frame, unsigned permissions,
                uint8_t *host) {
  if (!tlb->enabled) return;
  struct tlb_context *context = &tlb->context[tlb->current];
  context->filled = true;
  if (!(permissions & TLB_SMALL_PAGE)) context->large = true;
  *tlb_slot(tlb, linear) = (struct tlb_entry){
      .key = tlb_key(linear, tlb->id),
      .frame = frame & PAGE_MASK,
      .host = host,
      .permissions = permissions,
  };
}

void tlb_flush_all(struct tlb *tlb) {
  for (unsigned i = 0; i < tlb->contexts; i++) drop_context(tlb, i);
}

void tlb_flush_address(struct tlb *tlb, uint16_t vpid, uint64_t linear) {
  for (unsigned i = 0; i < tlb->contexts; i++) {
    struct tlb_context *context = &tlb->context[i];
    if (context->id == 0 || context->tag.vpid != vpid) continue;
    if (context->large) {
      drop_context(tlb, i);
      continue;
    }
    uint64_t key = tlb_key(linear, context->id);
    struct tlb_entry *entry = tlb_slot_of_key(tlb, key);
    if (entry->key == key) entry->key = 0;
  }
}

void tlb_flush_vpid(struct tlb *tlb, uint16_t vpid) {
  for (unsigned i = 0; i < tlb->contexts; i++)
    if (tlb->context[i].tag.vpid == vpid) drop_context(tlb, i);
}

void tlb_flush_all_vpids(struct tlb *tlb) {
  for (unsigned i = 0; i < tlb->contexts; i++)
    if (tlb->context[i].tag.vpid != 0) drop_context(tlb, i);
}

void tlb_flush_ep4ta(struct tlb *tlb, uint64_t ep4ta) {
  for (unsigned i = 0; i < tlb->contexts; i++) {
    uint64_t tag = tlb->context[i].tag.ep4ta;
    if (tag != 0 && (tag ^ ep4ta) >> 12 == 0) drop_context(tlb, i);
  }
}

void tlb_flush_all_ept(struct tlb *tlb) {
  for (unsigned i = 0; i < tlb->contexts; i++)
    if (tlb->context[i].tag.ep4ta != 0) drop_context(tlb, i);
}

void tlb_flush_frame(struct tlb *tlb, uint64_t frame) {
  for (unsigned i = 0; i < TLB_ENTRIES; i++)
    if (tlb->entry[i].frame == (frame & PAGE_MASK)) tlb->entry[i].key = 0;
}
