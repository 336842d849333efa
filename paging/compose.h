/* SPDX-License-Identifier: MIT
 * Composition of two EPTs, as the host of a guest hypervisor needs it: the inner table (the guest
 * hypervisor's: guest-physical of the nested VM to guest-physical of the guest hypervisor) and the
 * outer one (the host's: the latter to host-physical) give one merged table. */
#ifndef PAGING_COMPOSE_H
#define PAGING_COMPOSE_H

#include "paging/walk.h"

/* What one EPT says about one address. */
struct compose_mapping {
  uint64_t target;      /* translation of the very address, not of its page */
  unsigned permissions; /* WALK_READ, WALK_WRITE, WALK_EXECUTE, and'ed over its entries */
  unsigned page_bits;   /* 12, 21 or 30 */
  unsigned memory_type; /* of the leaf, 0 to 7 */
  bool ignore_pat;      /* of the leaf */
  bool dirty;           /* no dirty flag is left to set: a write needs no walk of this table */
};

/* A leaf for the merged table. */
struct compose_leaf {
  uint64_t entry;     /* accessed and dirty clear */
  uint64_t first;     /* guest-physical address of the nested VM where its page starts */
  unsigned level;     /* of the table it belongs into: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB */
  unsigned page_bits; /* the smaller page of both */
};

/* Whose fault it is that there is no merged entry. */
enum compose_outcome {
  COMPOSE_OK,
  COMPOSE_INNER, /* the guest hypervisor's table: reflect */
  COMPOSE_OUTER, /* the host's table: handle */
  COMPOSE_BUS_ERROR
};

struct compose_request {
  uint64_t inner_eptp; /* its address is guest-physical of the guest hypervisor */
  uint64_t outer_eptp; /* 0: the guest hypervisor's memory is host-physical */
  unsigned access;     /* WALK_READ, WALK_WRITE or WALK_EXECUTE by the nested VM */
  unsigned physical_bits;
  bool probe; /* set no accessed or dirty flags */
};

struct compose_result {
  enum compose_outcome outcome;
  struct compose_leaf leaf; /* COMPOSE_OK */
  struct walk_result inner; /* how the inner walk ended; COMPOSE_INNER: what to reflect. Addresses
                             * of its steps are guest-physical of the guest hypervisor. */
  struct walk_result outer; /* the last outer walk; COMPOSE_OUTER: what the host must mend */
};

/* The leaf in the outcome of walk_guest_physical. False: no EPT leaf was reached. */
bool compose_mapping_of_walk(const struct walk_result *walk, struct compose_mapping *mapping);

/* Merges what both tables say about the nested VM's address `guest`. Permissions are and'ed, and
 * writing is withheld while a dirty flag must still be set; memory type and ignore-PAT are the
 * inner leaf's, since the merged one stands in its place. The entry is 0, not present, where
 * nothing is permitted. */
struct compose_leaf compose_leaf_make(struct guest_phys guest, const struct compose_mapping *inner,
                                      const struct compose_mapping *outer);

/* Walks both tables for one access of the nested VM, as a processor that had two levels of EPT
 * would, and merges. The inner table itself is read through the outer one. Always fills *result. */
enum compose_outcome compose_walk(const struct walk_memory *memory,
                                  const struct compose_request *request, struct guest_phys guest,
                                  struct compose_result *result);

#endif
