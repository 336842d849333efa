/* SPDX-License-Identifier: MIT
 * The walker. One loop follows a table of any format; a 2-dimensional walk is that loop over the
 * guest's tables, in which each entry's address first takes the same loop over EPT:
 *
 *   CR3 -EPT-> PML4E -EPT-> PDPTE -EPT-> PDE -EPT-> PTE -EPT-> page      4 * (4 + 1) + 4 reads
 */
#include "paging/walk.h"

#include "paging/fmt_ept.h"
#include "paging/fmt_ia32e.h"

/* Copies that the compiler sees through: their functions are inlined into each loop. */
static const struct walk_format guest_format = WALK_FORMAT_IA32E;
static const struct walk_format ept_format = WALK_FORMAT_EPT;

enum {
  ACCESS = WALK_READ | WALK_WRITE | WALK_EXECUTE,
  EVERYTHING = ACCESS | WALK_USER,
  LARGEST_PAGE_BITS = 30,
  EPT_REACH_BITS = 48
};

/* SDM 3A "Page-Fault Exceptions": the error code. */
enum page_fault_bit {
  PAGE_FAULT_PRESENT = 1,
  PAGE_FAULT_WRITE = 2,
  PAGE_FAULT_USER = 4,
  PAGE_FAULT_RESERVED = 8,
  PAGE_FAULT_FETCH = 16
};

/* A walk in progress. Functions that return false have set result->outcome. */
struct walk {
  const struct walk_memory *memory;
  const struct walk_request *request;
  struct walk_result *result;
};

/* Where an address leads through one kind of table. */
struct mapping {
  uint64_t address;
  unsigned permissions;
  unsigned page_bits;
  bool dirty; /* no dirty flag left to set */
};

/* One table entry on the way. */
struct entry {
  uint64_t value;
  uint64_t address; /* as the table's owner sees it */
  uint64_t host;
  unsigned permissions; /* that EPT grants on it */
};

/* The way through one table, by level; kept to set accessed and dirty flags at its end. */
struct trail {
  unsigned level; /* of the last entry read */
  unsigned permissions;
  uint64_t common; /* bits that all entries have */
  struct entry entry[WALK_LEVELS];
};

enum trail_end {
  TRAIL_LEAF,
  TRAIL_ABSENT,
  TRAIL_MALFORMED, /* reserved bits, EPT misconfiguration */
  TRAIL_FAILED     /* an entry could not be read; the outcome is set */
};

static bool translate_by_ept(const struct walk *walk, uint64_t guest, unsigned access,
                             uint64_t origin, struct mapping *mapping);

static bool fail(const struct walk *walk, enum walk_outcome outcome) {
  walk->result->outcome = outcome;
  return false;
}

static void record(struct walk_result *result, const struct entry *entry, unsigned level, bool ept,
                   bool leaf) {
  if (result->steps == WALK_STEPS) return;
  result->step[result->steps++] =
      (struct walk_step){entry->address, entry->value, (uint8_t)level, ept, leaf};
}

/* SDM 3C "Accessed and Dirty Flags for EPT": with them, reading a guest entry is also a write. */
static unsigned entry_access(const struct walk_request *request) {
  return request->eptp & EPTP_ACCESSED_DIRTY ? WALK_READ | WALK_WRITE : WALK_READ;
}

/* Reads the entry at entry->address; that of a guest's table through EPT. */
static inline bool read_entry(const struct walk *walk, bool through_ept, struct entry *entry) {
  entry->host = entry->address;
  if (through_ept) {
    struct mapping mapping;
    if (!translate_by_ept(walk, entry->address, entry_access(walk->request),
                          EPT_QUALIFICATION_LINEAR_VALID, &mapping))
      return false;
    entry->host = mapping.address;
    entry->permissions = mapping.permissions;
  }
  const struct walk_memory *memory = walk->memory;
  return memory->load(memory->context, host_phys_make(entry->host), &entry->value) ||
         fail(walk, WALK_BUS_ERROR);
}

/* Whether a present entry breaks the format. `also_reserved` = bits the request adds. */
static inline bool is_malformed(const struct walk_format *format, uint64_t entry, unsigned level,
                                unsigned physical_bits, uint64_t also_reserved) {
  if (entry & (format->reserved(entry, level, physical_bits) | also_reserved)) return true;
  return format->misconfigured && format->misconfigured(entry, level);
}

/* Follows `address` from the root down to a leaf or to what stops it. Inlined once per format: the
 * format's functions become part of the loop. */
__attribute__((always_inline)) static inline enum trail_end follow(const struct walk *walk,
                                                                   const struct walk_format *format,
                                                                   uint64_t root, uint64_t address,
                                                                   struct trail *trail) {
  const struct walk_request *request = walk->request;
  bool is_ept = format == &ept_format;
  bool through_ept = !is_ept && request->eptp;
  uint64_t also_reserved = is_ept || request->no_execute ? 0 : IA32E_EXECUTE_DISABLE;
  uint64_t table = root & TABLE_ADDRESS;
  trail->permissions = EVERYTHING;
  trail->common = UINT64_MAX;
  for (unsigned level = format->levels; level > 0; level--) {
    struct entry *entry = &trail->entry[level - 1];
    trail->level = level;
    entry->address = table + table_offset(address, level);
    entry->permissions = EVERYTHING;
    if (!read_entry(walk, through_ept, entry)) return TRAIL_FAILED;
    uint64_t value = entry->value;
    bool present = format->present(value);
    bool leaf = present && format->leaf(value, level);
    record(walk->result, entry, level, is_ept, leaf);
    if (!present) return TRAIL_ABSENT;
    if (is_malformed(format, value, level, request->physical_bits, also_reserved))
      return TRAIL_MALFORMED;
    trail->permissions &= format->permissions(value);
    trail->common &= value;
    if (leaf) return TRAIL_LEAF;
    table = value & TABLE_ADDRESS;
  }
  return TRAIL_ABSENT; /* not reached: level 1 is always a leaf */
}

/* Sets flags in an entry as a locked operation would: on its present value, since an entry may have
 * been reached twice. */
static bool set_flags(const struct walk *walk, struct entry *entry, uint64_t flags) {
  const struct walk_memory *memory = walk->memory;
  if (!memory->load(memory->context, host_phys_make(entry->host), &entry->value))
    return fail(walk, WALK_BUS_ERROR);
  entry->value |= flags;
  return memory->store(memory->context, host_phys_make(entry->host), entry->value) ||
         fail(walk, WALK_BUS_ERROR);
}

static bool ept_violation(const struct walk *walk, uint64_t guest, unsigned access,
                          unsigned permissions, uint64_t origin) {
  walk->result->fault = guest_phys_make(guest);
  walk->result->qualification = (access & ACCESS) | (permissions & ACCESS) << 3 | origin;
  return fail(walk, WALK_EPT_VIOLATION);
}

/* Sets what an access of this kind must set, from the root down so that a dirty flag comes last.
 * Writing to a guest's entry needs EPT's permission. */
static inline bool mark(const struct walk *walk, const struct walk_format *format,
                        struct trail *trail, bool dirty) {
  bool is_dirty = trail->entry[trail->level - 1].value & format->dirty;
  if ((trail->common & format->accessed) && (is_dirty || !dirty)) return true;
  for (unsigned level = format->levels; level >= trail->level; level--) {
    struct entry *entry = &trail->entry[level - 1];
    uint64_t flags = format->accessed | (dirty && level == trail->level ? format->dirty : 0);
    if ((entry->value & flags) == flags) continue;
    if (!(entry->permissions & WALK_WRITE))
      return ept_violation(walk, entry->address, WALK_READ | WALK_WRITE, entry->permissions,
                           EPT_QUALIFICATION_LINEAR_VALID);
    if (!walk->request->probe && !set_flags(walk, entry, flags)) return false;
  }
  return true;
}

static inline void fill_mapping(const struct trail *trail, uint64_t address,
                                struct mapping *mapping) {
  unsigned bits = table_page_bits(trail->level);
  uint64_t offset = (UINT64_C(1) << bits) - 1;
  uint64_t leaf = trail->entry[trail->level - 1].value;
  mapping->address = (leaf & TABLE_ADDRESS & ~offset) | (address & offset);
  mapping->permissions = trail->permissions;
  mapping->page_bits = bits;
}

/* `origin` = bits 7 and 8 of the qualification. Kept out of line: a walk comes here five times. */
__attribute__((noinline)) static bool translate_by_ept(const struct walk *walk, uint64_t guest,
                                                       unsigned access, uint64_t origin,
                                                       struct mapping *mapping) {
  struct trail trail;
  if (guest >> EPT_REACH_BITS) return ept_violation(walk, guest, access, 0, origin);
  switch (follow(walk, &ept_format, walk->request->eptp, guest, &trail)) {
    case TRAIL_LEAF:
      break;
    case TRAIL_ABSENT:
      return ept_violation(walk, guest, access, 0, origin);
    case TRAIL_MALFORMED:
      walk->result->fault = guest_phys_make(guest);
      return fail(walk, WALK_EPT_MISCONFIG);
    case TRAIL_FAILED:
      return false;
  }
  if (access & ACCESS & ~trail.permissions)
    return ept_violation(walk, guest, access, trail.permissions, origin);
  mapping->dirty = true;
  if (walk->request->eptp & EPTP_ACCESSED_DIRTY) {
    if (!mark(walk, &ept_format, &trail, access & WALK_WRITE)) return false;
    mapping->dirty = trail.entry[trail.level - 1].value & EPT_DIRTY;
  }
  fill_mapping(&trail, guest, mapping);
  return true;
}

/* SDM 3A "Determination of Access Rights": what the privilege of the request may do with a page on
 * which the entries grant `permissions`. `override` = RFLAGS.AC. */
static unsigned access_rights(const struct walk_request *request, unsigned permissions,
                              bool override) {
  bool user_page = permissions & WALK_USER;
  if (request->access & WALK_USER) return user_page ? permissions : 0;
  unsigned rights = permissions;
  if (!request->write_protect) rights |= WALK_WRITE;
  if (user_page && request->smep) rights &= ~(unsigned)WALK_EXECUTE;
  if (user_page && request->smap && !override) rights &= ~(unsigned)(WALK_READ | WALK_WRITE);
  return rights;
}

/* `cause` = PAGE_FAULT_PRESENT, PAGE_FAULT_RESERVED. */
static bool page_fault(const struct walk *walk, unsigned cause) {
  const struct walk_request *request = walk->request;
  bool tells_fetch = request->smep || request->no_execute;
  walk->result->error_code =
      cause | (request->access & WALK_WRITE ? (unsigned)PAGE_FAULT_WRITE : 0) |
      (request->access & WALK_USER ? (unsigned)PAGE_FAULT_USER : 0) |
      (request->access & WALK_EXECUTE && tells_fetch ? (unsigned)PAGE_FAULT_FETCH : 0);
  return fail(walk, WALK_PAGE_FAULT);
}

static bool translate_by_guest(const struct walk *walk, uint64_t linear, struct mapping *mapping) {
  const struct walk_request *request = walk->request;
  struct trail trail;
  switch (follow(walk, &guest_format, request->cr3, linear, &trail)) {
    case TRAIL_LEAF:
      break;
    case TRAIL_ABSENT:
      return page_fault(walk, 0);
    case TRAIL_MALFORMED:
      return page_fault(walk, PAGE_FAULT_PRESENT | PAGE_FAULT_RESERVED);
    case TRAIL_FAILED:
      return false;
  }
  unsigned rights = access_rights(request, trail.permissions, request->alignment_override);
  if (request->access & ACCESS & ~rights) return page_fault(walk, PAGE_FAULT_PRESENT);
  if (!mark(walk, &guest_format, &trail, request->access & WALK_WRITE)) return false;
  fill_mapping(&trail, linear, mapping);
  mapping->permissions = access_rights(request, trail.permissions, false);
  mapping->dirty = trail.entry[trail.level - 1].value & IA32E_DIRTY;
  return true;
}

static struct walk begin(const struct walk_memory *memory, const struct walk_request *request,
                         struct walk_result *result) {
  result->outcome = WALK_OK;
  result->guest = guest_phys_make(0);
  result->host = host_phys_make(0);
  result->permissions = 0;
  result->page_bits = result->linear_page_bits = 12;
  result->dirty = false;
  result->error_code = 0;
  result->qualification = 0;
  result->fault = guest_phys_make(0);
  result->steps = 0;
  return (struct walk){memory, request, result};
}

/* From the guest-physical address on; `guest` = how it was reached. */
static enum walk_outcome finish(const struct walk *walk, const struct mapping *guest,
                                uint64_t origin) {
  struct walk_result *result = walk->result;
  struct mapping host = *guest;
  result->guest = guest_phys_make(guest->address);
  if (walk->request->eptp &&
      !translate_by_ept(walk, guest->address, walk->request->access, origin, &host))
    return result->outcome;
  result->host = host_phys_make(host.address);
  result->permissions = guest->permissions & host.permissions;
  result->page_bits = guest->page_bits < host.page_bits ? guest->page_bits : host.page_bits;
  result->dirty = guest->dirty && host.dirty;
  return WALK_OK;
}

enum walk_outcome walk_run(const struct walk_memory *memory, const struct walk_request *request,
                           struct linear_addr linear, struct walk_result *result) {
  struct walk walk = begin(memory, request, result);
  struct mapping guest = {linear.value, EVERYTHING, LARGEST_PAGE_BITS, true};
  if (request->paging) {
    if (!translate_by_guest(&walk, linear.value, &guest)) return result->outcome;
    result->linear_page_bits = guest.page_bits;
  }
  return finish(&walk, &guest, EPT_QUALIFICATION_LINEAR_VALID | EPT_QUALIFICATION_TRANSLATED);
}

enum walk_outcome walk_guest_physical(const struct walk_memory *memory,
                                      const struct walk_request *request, struct guest_phys guest,
                                      struct walk_result *result) {
  struct walk walk = begin(memory, request, result);
  struct mapping identity = {guest.value, EVERYTHING, LARGEST_PAGE_BITS, true};
  return finish(&walk, &identity, 0);
}
