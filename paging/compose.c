/* SPDX-License-Identifier: MIT
 * Composition of two EPTs. */
#include "paging/compose.h"

#include "paging/ept.h"
#include "paging/fmt_ia32e.h"

enum { ACCESS = WALK_READ | WALK_WRITE | WALK_EXECUTE };

bool compose_mapping_of_walk(const struct walk_result *walk, struct compose_mapping *mapping) {
  if (walk->outcome != WALK_OK || walk->steps == 0) return false;
  const struct walk_step *last = &walk->step[walk->steps - 1];
  if (!last->ept || !last->leaf) return false;
  *mapping = (struct compose_mapping){
      .target = walk->host.value,
      .permissions = walk->permissions & ACCESS,
      .page_bits = walk->page_bits,
      .memory_type = ept_memory_type(last->entry),
      .ignore_pat = last->entry & EPT_IGNORE_PAT,
      .dirty = walk->dirty,
  };
  return true;
}

static unsigned smaller(unsigned a, unsigned b) {
  return a < b ? a : b;
}

struct compose_leaf compose_leaf_make(struct guest_phys guest, const struct compose_mapping *inner,
                                      const struct compose_mapping *outer) {
  unsigned bits = smaller(inner->page_bits, outer->page_bits);
  uint64_t offset = (UINT64_C(1) << bits) - 1;
  unsigned permissions = inner->permissions & outer->permissions & ACCESS;
  if (!inner->dirty || !outer->dirty) permissions &= ~(unsigned)WALK_WRITE;
  struct compose_leaf leaf = {0, guest.value & ~offset, (bits - 12) / 9 + 1, bits};
  if (permissions == 0) return leaf;
  leaf.entry = (outer->target & TABLE_ADDRESS & ~offset) | permissions |
               (uint64_t)inner->memory_type << EPT_MEMORY_TYPE_SHIFT |
               (inner->ignore_pat ? (uint64_t)EPT_IGNORE_PAT : 0) |
               (leaf.level > 1 ? (uint64_t)EPT_LARGE : 0);
  return leaf;
}

/* The guest hypervisor's memory, as its own tables are found in it. */
struct outer_view {
  const struct walk_memory *memory;
  struct walk_request request;
  struct walk_result *walk; /* the last one */
};

static bool view_address(struct outer_view *view, uint64_t address, unsigned access) {
  view->request.access = access;
  return walk_guest_physical(view->memory, &view->request, guest_phys_make(address), view->walk) ==
         WALK_OK;
}

static bool view_load(void *context, struct host_phys address, uint64_t *entry) {
  struct outer_view *view = context;
  return view_address(view, address.value, WALK_READ) &&
         view->memory->load(view->memory->context, view->walk->host, entry);
}

static bool view_store(void *context, struct host_phys address, uint64_t entry) {
  struct outer_view *view = context;
  return view_address(view, address.value, WALK_READ | WALK_WRITE) &&
         view->memory->store(view->memory->context, view->walk->host, entry);
}

/* How an outer walk's end looks from above. */
static enum compose_outcome outer_outcome(const struct walk_result *outer) {
  return outer->outcome == WALK_EPT_VIOLATION || outer->outcome == WALK_EPT_MISCONFIG
             ? COMPOSE_OUTER
             : COMPOSE_BUS_ERROR;
}

static enum compose_outcome merge(const struct compose_request *request, struct guest_phys guest,
                                  struct compose_result *result) {
  struct compose_mapping inner;
  struct compose_mapping outer = {result->inner.host.value, ACCESS, 30, 0, false, true};
  if (!compose_mapping_of_walk(&result->inner, &inner)) return COMPOSE_BUS_ERROR;
  if (request->outer_eptp && !compose_mapping_of_walk(&result->outer, &outer))
    return COMPOSE_BUS_ERROR;
  result->leaf = compose_leaf_make(guest, &inner, &outer);
  return COMPOSE_OK;
}

static enum compose_outcome walk_both(struct outer_view *view,
                                      const struct compose_request *request,
                                      struct guest_phys guest, struct compose_result *result) {
  struct walk_memory above = {view, view_load, view_store};
  struct walk_request inner = {.eptp = request->inner_eptp,
                               .access = request->access,
                               .physical_bits = request->physical_bits,
                               .probe = request->probe};
  switch (walk_guest_physical(&above, &inner, guest, &result->inner)) {
    case WALK_OK:
      break;
    case WALK_EPT_VIOLATION:
    case WALK_EPT_MISCONFIG:
      return COMPOSE_INNER;
    case WALK_BUS_ERROR:
    case WALK_PAGE_FAULT:
      return outer_outcome(view->walk);
  }
  if (!view_address(view, result->inner.host.value, request->access))
    return outer_outcome(view->walk);
  return merge(request, guest, result);
}

enum compose_outcome compose_walk(const struct walk_memory *memory,
                                  const struct compose_request *request, struct guest_phys guest,
                                  struct compose_result *result) {
  struct outer_view view = {.memory = memory,
                            .request = {.eptp = request->outer_eptp,
                                        .physical_bits = request->physical_bits,
                                        .probe = request->probe},
                            .walk = &result->outer};
  result->leaf = (struct compose_leaf){0, 0, 1, 12};
  result->outer.outcome = WALK_OK;
  result->outer.steps = 0;
  result->outcome = walk_both(&view, request, guest, result);
  return result->outcome;
}
