/* SPDX-License-Identifier: MIT
 * Decoded instructions by physical page.
 *
 * A page is found by its frame in a hash table. Forgetting takes it out of the table at once but
 * frees it later, when no run loop is inside an instruction: a store that changes its own page is
 * executed from the very micro-operation that it makes stale. */
#include <stdlib.h>
#include <string.h>

#include "isa/x86/exec.h"

enum { BUCKET_COUNT = 4096, PAGE_LIMIT = 2048, CHUNK_UOPS = 32 };

/* Micro-operations never move, so that slots can point to them. */
struct isa_uop_chunk {
  struct isa_uop_chunk *next;
  unsigned used;
  struct isa_uop uop[CHUNK_UOPS];
};

struct isa_cache {
  struct isa_page *bucket[BUCKET_COUNT];
  struct isa_page *retired;
  unsigned page_count; /* in the table */
  unsigned depth;      /* run loops under way, one inside a callback of the other */
};

static struct isa_page **bucket_of(struct isa_cache *cache, uint64_t frame) {
  /* Multiplicative hashing; frames may be page numbers, addresses or host pointers. */
  uint64_t hash = frame * UINT64_C(0x9e3779b97f4a7c15);
  return &cache->bucket[hash >> 52 & (BUCKET_COUNT - 1)];
}

static void free_page(struct isa_page *page) {
  for (struct isa_uop_chunk *chunk = page->chunk, *next; chunk; chunk = next) {
    next = chunk->next;
    free(chunk);
  }
  free(page);
}

static void free_list(struct isa_page *page) {
  for (struct isa_page *next; page; page = next) {
    next = page->next;
    free_page(page);
  }
}

bool isa_cache_init(struct isa_x86 *isa) {
  isa->cache = calloc(1, sizeof *isa->cache);
  return isa->cache != NULL;
}

void isa_cache_fini(struct isa_x86 *isa) {
  if (!isa->cache) return;
  for (unsigned i = 0; i < BUCKET_COUNT; i++) free_list(isa->cache->bucket[i]);
  free_list(isa->cache->retired);
  free(isa->cache);
  isa->cache = NULL;
  isa->code_valid = false;
  isa->code_page = NULL;
}

/* Moves *link from its bucket to the retired list. */
static void retire(struct isa_x86 *isa, struct isa_page **link) {
  struct isa_page *page = *link;
  *link = page->next;
  page->next = isa->cache->retired;
  isa->cache->retired = page;
  isa->code_retired = true;
  isa->cache->page_count--;
  if (isa->code_page == page) {
    isa->code_page = NULL;
    isa->code_valid = false;
  }
}

static void retire_all(struct isa_x86 *isa) {
  for (unsigned i = 0; i < BUCKET_COUNT; i++)
    while (isa->cache->bucket[i]) retire(isa, &isa->cache->bucket[i]);
}

static struct isa_page **find_page(struct isa_cache *cache, uint64_t frame) {
  struct isa_page **link = bucket_of(cache, frame);
  while (*link && (*link)->frame != frame) link = &(*link)->next;
  return link;
}

struct isa_page *isa_cache_page(struct isa_x86 *isa, uint64_t frame) {
  struct isa_page *found = *find_page(isa->cache, frame);
  if (found) return found;
  if (isa->cache->page_count >= PAGE_LIMIT) retire_all(isa);
  struct isa_page *page = calloc(1, sizeof *page);
  if (!page) return NULL;
  struct isa_page **bucket = bucket_of(isa->cache, frame);
  page->frame = frame;
  page->next = *bucket;
  *bucket = page;
  isa->cache->page_count++;
  return page;
}

struct isa_uop *isa_cache_slot(struct isa_page *page, const struct isa_uop *uop, unsigned offset) {
  if (!page->chunk || page->chunk->used == CHUNK_UOPS) {
    struct isa_uop_chunk *chunk = malloc(sizeof *chunk);
    if (!chunk) return NULL;
    chunk->next = page->chunk;
    chunk->used = 0;
    page->chunk = chunk;
  }
  struct isa_uop *kept = &page->chunk->uop[page->chunk->used++];
  *kept = *uop;
  page->slot[offset] = kept;
  return kept;
}

void isa_cache_enter(struct isa_x86 *isa) {
  isa->cache->depth++;
}

void isa_cache_leave(struct isa_x86 *isa) {
  isa->cache->depth--;
  isa_reap(isa);
}

/* Between two instructions of the outermost run loop, or outside of all. */
void isa_reap_retired(struct isa_x86 *isa) {
  if (isa->cache->depth > 1) return;
  free_list(isa->cache->retired);
  isa->cache->retired = NULL;
  isa->code_retired = false;
}

void isa_forget_page(struct isa_x86 *isa, uint64_t frame) {
  if (isa->cache->page_count == 0) return;
  struct isa_page **link = find_page(isa->cache, frame);
  if (*link) retire(isa, link);
}

bool isa_has_page(const struct isa_x86 *isa, uint64_t frame) {
  return isa->cache->page_count && *find_page(isa->cache, frame);
}
