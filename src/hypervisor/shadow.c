/* SPDX-License-Identifier: MIT
 * Shadow page tables: what a guest without EPT runs on. A table of the guest, seen with the rights
 * of the way to it, has a shadow whose entries lead to this hypervisor's own addresses, and beside
 * it a snapshot of the guest's entries that they were made from.
 *
 * The guest's tables are write-protected in the shadow. The first write to one takes the protection
 * off and puts it in doubt; where the guest's processor would drop cached translations (INVLPG, MOV
 * to CR3, INVVPID, ...) tables in doubt are compared with their snapshots, and entries that differ
 * are dropped. In between a shadow is as stale as a TLB may be. SDM 3A "Caching Translation
 * Information". Whatever runs short, all shadows are dropped: they fill up again on demand. */
#include "src/hypervisor/shadow.h"

#include "paging/fmt_ia32e.h"

/* A shadow's key: what it is made from, and for whom. The low bits of the address are free. */
enum shadow_key {
  KEY_LEVEL = 3, /* level - 1 */
  KEY_WRITE = 1 << 2,
  KEY_USER = 1 << 3,
  KEY_EXECUTE = 1 << 4,
  KEY_RIGHTS = KEY_WRITE | KEY_USER | KEY_EXECUTE,
  KEY_DIRTY = 1 << 5,  /* of the large page */
  KEY_DIRECT = 1 << 6, /* part of a large page: no table of the guest */
  KEY_WP = 1 << 7,
  KEY_NXE = 1 << 8,
  KEY_SMEP = 1 << 9,
  KEY_VALID = 1 << 10
};

/* A shadow's row: four words at HV_SHADOW_ROWS. The snapshot is 0 if it has none. */
enum { ROW_KEY = 0, ROW_PAGE = 8, ROW_SNAPSHOT = 16, ROW_NEXT = 24, ROW_SIZE = 32 };

/* What is kept about a page of the guest's memory: four words at HV_PAGE_INFO. The first one is the
 * row of the first shadow made from it and flags, the others are where it is mapped writable. */
enum { INFO_WRITABLE = 8, INFO_SLOTS = 3, INFO_SIZE = 32, INFO_TABLE = 1, INFO_DOUBT = 2 };

enum {
  ENTRIES = 512,
  ONE_WALK = 4 /* shadows that one translation may need */
};
#define ENTRY_FLAGS (IA32E_ACCESSED | IA32E_DIRTY)
#define LINK (IA32E_PRESENT | IA32E_WRITE | IA32E_USER | IA32E_ACCESSED)

static uint64_t get(struct hv *hv, uint64_t address) {
  return nst_load(hv->cpu, address, 8);
}
static void put(struct hv *hv, uint64_t address, uint64_t value) {
  nst_store(hv->cpu, address, 8, value);
}

/* ---- pages of the guest's memory */

/* Large pages and tables may lie where there is no memory: their shadows are kept with others'. */
static uint64_t info_of(struct hv *hv, uint64_t guest) {
  uint64_t size = hv_load(hv, HV_AT(guest_size));
  return HV_PAGE_INFO + INFO_SIZE * ((size ? guest % size : 0) >> 12);
}

static bool is_memory(struct hv *hv, uint64_t guest) {
  return hv_guest_memory(hv, guest) != UINT64_MAX;
}

/* The shadow entry at `slot` lets the guest write this page. */
static bool maps_writable(struct hv *hv, uint64_t slot, uint64_t guest) {
  uint64_t entry = slot ? get(hv, slot) : 0;
  return (entry & IA32E_PRESENT) && (entry & IA32E_WRITE) &&
         (entry & TABLE_ADDRESS) == hv_guest_memory(hv, guest);
}

static void take_write(struct hv *hv, uint64_t slot, uint64_t guest) {
  if (!maps_writable(hv, slot, guest)) return;
  put(hv, slot, get(hv, slot) & ~(IA32E_WRITE | IA32E_DIRTY));
  hv->flags |= HV_FLUSH_DUE;
}

static void protect(struct hv *hv, uint64_t guest) {
  uint64_t info = info_of(hv, guest);
  for (unsigned i = 0; i < INFO_SLOTS; i++) {
    uint64_t at = info + INFO_WRITABLE + 8 * i, slot = get(hv, at);
    if (!slot) continue;
    take_write(hv, slot, guest);
    put(hv, at, 0);
  }
}

/* An instruction may need a page writable at two addresses at once, if its operand crosses from one
 * to the other; more than INFO_SLOTS take turns. */
static void note_writable(struct hv *hv, uint64_t guest, uint64_t slot) {
  uint64_t info = info_of(hv, guest) + INFO_WRITABLE, free = 0;
  for (unsigned i = 0; i < INFO_SLOTS; i++) {
    uint64_t noted = get(hv, info + 8 * i);
    if (noted == slot) return;
    if (!free && !maps_writable(hv, noted, guest)) free = info + 8 * i;
  }
  if (!free) {
    take_write(hv, get(hv, info), guest);
    for (unsigned i = 1; i < INFO_SLOTS; i++) put(hv, info + 8 * (i - 1), get(hv, info + 8 * i));
    free = info + 8 * (INFO_SLOTS - 1);
  }
  put(hv, free, slot);
}

/* ---- shadows */

static uint64_t row_address(uint64_t index) {
  return HV_SHADOW_ROWS + ROW_SIZE * index;
}

static bool is_short(struct hv *hv) {
  return hv_load(hv, HV_AT(shadow_count)) + ONE_WALK > HV_SHADOW_LIMIT ||
         hv_load(hv, HV_AT(doubt_count)) >= HV_DOUBT_LIMIT || hv_pool_is_low(hv);
}

static uint64_t page_address(uint64_t key) {
  return key & TABLE_ADDRESS;
}

static void forget_writable(struct hv *hv, uint64_t page) {
  for (unsigned i = 0; i < ENTRIES; i++) {
    uint64_t entry = get(hv, page + 8 * i);
    if (!(entry & IA32E_PRESENT) || !(entry & IA32E_WRITE)) continue;
    uint64_t info = info_of(hv, (entry & TABLE_ADDRESS) - HV_CHILD_BASE);
    for (unsigned slot = 0; slot < INFO_SLOTS; slot++) put(hv, info + INFO_WRITABLE + 8 * slot, 0);
  }
}

void hv_shadow_drop(struct hv *hv) {
  uint64_t count = hv_load(hv, HV_AT(shadow_count));
  for (uint64_t i = 0; i < count && i < HV_SHADOW_LIMIT; i++) {
    uint64_t row = row_address(i), key = get(hv, row + ROW_KEY), page = get(hv, row + ROW_PAGE);
    uint64_t snapshot = get(hv, row + ROW_SNAPSHOT);
    if (!(key & KEY_LEVEL)) forget_writable(hv, page);
    put(hv, info_of(hv, page_address(key)), 0);
    hv_page_free(hv, page);
    if (snapshot) hv_page_free(hv, snapshot);
  }
  hv_store(hv, HV_AT(shadow_count), 0);
  hv_store(hv, HV_AT(doubt_count), 0);
  for (unsigned i = 0; i < 2; i++) hv_store(hv, HV_AT(root_key) + 8 * i, 0);
  hv->flags |= HV_FLUSH_DUE;
}

static uint64_t make_row(struct hv *hv, uint64_t key) {
  uint64_t info = info_of(hv, page_address(key)), word = get(hv, info);
  uint64_t count = hv_load(hv, HV_AT(shadow_count)), row = row_address(count);
  bool table = !(key & KEY_DIRECT);
  put(hv, row + ROW_KEY, key);
  put(hv, row + ROW_PAGE, hv_page_alloc(hv));
  put(hv, row + ROW_SNAPSHOT, table ? hv_page_alloc(hv) : 0);
  put(hv, row + ROW_NEXT, word & ~(uint64_t)(INFO_TABLE | INFO_DOUBT));
  word = row | (word & (INFO_TABLE | INFO_DOUBT));
  if (table && is_memory(hv, page_address(key))) {
    if (!(word & INFO_TABLE)) protect(hv, page_address(key));
    word |= INFO_TABLE;
  }
  put(hv, info, word);
  hv_store(hv, HV_AT(shadow_count), count + 1);
  return row;
}

/* The row of a key's shadow, which is made if there is none. */
static uint64_t row_of(struct hv *hv, uint64_t key) {
  uint64_t row = get(hv, info_of(hv, page_address(key))) & ~(uint64_t)(INFO_TABLE | INFO_DOUBT);
  for (unsigned i = 0; row && i < HV_SHADOW_LIMIT; i++, row = get(hv, row + ROW_NEXT))
    if (get(hv, row + ROW_KEY) == key) return row;
  return make_row(hv, key);
}

static uint64_t key_mode(const struct hv_context *context) {
  return KEY_VALID | (context->write_protect ? (uint64_t)KEY_WP : 0) |
         (context->no_execute ? (uint64_t)KEY_NXE : 0) | (context->smep ? (uint64_t)KEY_SMEP : 0);
}

static uint64_t root_key(const struct hv_context *context) {
  return page_address(context->cr3) | KEY_RIGHTS | 3 | key_mode(context);
}

void hv_shadow_root(struct hv *hv, enum hv_region region, const struct hv_context *context) {
  uint64_t key = root_key(context);
  if (hv_load(hv, HV_AT(root_key) + 8 * (size_t)region) == key) return;
  if (is_short(hv)) hv_shadow_drop(hv);
  uint64_t page = get(hv, row_of(hv, key) + ROW_PAGE);
  hv_store(hv, HV_AT(root_key) + 8 * (size_t)region, key);
  hv_store(hv, HV_AT(root) + 8 * (size_t)region, page);
  hv_set_in(hv, region, FIELD_GUEST_CR3, page);
}

/* ---- tables in doubt */

/* Accessed and dirty flags that the guest has cleared must be set again; ones that it has set
 * change nothing. */
static bool is_stale(uint64_t snapshot, uint64_t entry) {
  return ((snapshot ^ entry) & ~ENTRY_FLAGS) || (snapshot & ENTRY_FLAGS & ~entry);
}

static bool compare(struct hv *hv, uint64_t row) {
  uint64_t key = get(hv, row + ROW_KEY), page = get(hv, row + ROW_PAGE);
  uint64_t snapshot = get(hv, row + ROW_SNAPSHOT), own = hv_guest_memory(hv, page_address(key));
  bool changed = false;
  for (unsigned i = 0; i < ENTRIES; i++) {
    uint64_t old = get(hv, snapshot + 8 * i);
    if (!old || !is_stale(old, get(hv, own + 8 * i))) continue;
    put(hv, page + 8 * i, 0);
    put(hv, snapshot + 8 * i, 0);
    changed = true;
  }
  return changed;
}

static void compare_table(struct hv *hv, uint64_t guest) {
  uint64_t row = get(hv, info_of(hv, guest)) & ~(uint64_t)(INFO_TABLE | INFO_DOUBT);
  for (unsigned i = 0; row && i < HV_SHADOW_LIMIT; i++, row = get(hv, row + ROW_NEXT)) {
    uint64_t key = get(hv, row + ROW_KEY);
    if ((key & KEY_DIRECT) || page_address(key) != guest) continue;
    if (compare(hv, row)) hv->flags |= HV_FLUSH_DUE;
  }
}

void hv_shadow_sync(struct hv *hv, bool protect_again) {
  uint64_t count = hv_load(hv, HV_AT(doubt_count));
  for (uint64_t i = 0; i < count && i < HV_DOUBT_LIMIT; i++) {
    uint64_t guest = get(hv, HV_DOUBT_LIST + 8 * i);
    compare_table(hv, guest);
    if (!protect_again) continue;
    uint64_t info = info_of(hv, guest);
    put(hv, info, get(hv, info) & ~(uint64_t)INFO_DOUBT);
    protect(hv, guest);
  }
  if (protect_again) hv_store(hv, HV_AT(doubt_count), 0);
}

static bool is_protected(struct hv *hv, uint64_t guest) {
  return (get(hv, info_of(hv, guest)) & (INFO_TABLE | INFO_DOUBT)) == INFO_TABLE;
}

static void doubt(struct hv *hv, uint64_t guest) {
  uint64_t count = hv_load(hv, HV_AT(doubt_count)), info = info_of(hv, guest);
  put(hv, info, get(hv, info) | INFO_DOUBT);
  put(hv, HV_DOUBT_LIST + 8 * count, guest & TABLE_ADDRESS);
  hv_store(hv, HV_AT(doubt_count), count + 1);
}

void hv_shadow_written(struct hv *hv, uint64_t own) {
  uint64_t guest = own - HV_CHILD_BASE;
  if (hv_has(hv, VMCS_HAS_EPT) || !is_protected(hv, guest)) return;
  if (is_short(hv))
    hv_shadow_drop(hv);
  else
    doubt(hv, guest);
}

/* ---- one translation */

struct fill {
  const struct hv_context *context;
  uint64_t linear;
  const struct walk_result *walk;
  unsigned access;
  uint64_t row; /* shadow at hand */
  uint64_t rights;
  bool direct, dirty;
};

static uint64_t rights_of(uint64_t entry) {
  return (entry & IA32E_WRITE ? (uint64_t)KEY_WRITE : 0) |
         (entry & IA32E_USER ? (uint64_t)KEY_USER : 0) |
         (entry & IA32E_EXECUTE_DISABLE ? 0 : (uint64_t)KEY_EXECUTE);
}

/* The guest's entry of a level as the walk left it. */
static uint64_t entry_after(const struct fill *fill, unsigned level) {
  const struct walk_step *step = &fill->walk->step[WALK_TOP - level];
  bool writes = step->leaf && (fill->access & WALK_WRITE);
  return step->entry | IA32E_ACCESSED | (writes ? IA32E_DIRTY : 0);
}

/* Writes an entry of the shadow at hand. What another translation may have been cached from is
 * dropped from the processor. */
static void set_entry(struct hv *hv, const struct fill *fill, unsigned level, uint64_t entry,
                      uint64_t source) {
  uint64_t offset = table_offset(fill->linear, level);
  uint64_t slot = get(hv, fill->row + ROW_PAGE) + offset, old = get(hv, slot);
  uint64_t snapshot = get(hv, fill->row + ROW_SNAPSHOT);
  if ((old & IA32E_PRESENT) && ((old ^ entry) & TABLE_ADDRESS)) hv->flags |= HV_FLUSH_DUE;
  if (old != entry) put(hv, slot, entry);
  if (snapshot) put(hv, snapshot + offset, source);
}

/* From the shadow of one level to that of the next. */
static void descend(struct hv *hv, struct fill *fill, unsigned level) {
  uint64_t entry = 0, base;
  if (!fill->direct) {
    entry = entry_after(fill, level);
    fill->rights &= rights_of(entry);
    fill->direct = fill->walk->step[WALK_TOP - level].leaf;
    fill->dirty = fill->direct && (entry & IA32E_DIRTY);
  }
  if (fill->direct)
    base = fill->walk->guest.value & ~((UINT64_C(1) << table_page_bits(level)) - 1);
  else
    base = entry & TABLE_ADDRESS;
  uint64_t kind = fill->direct ? KEY_DIRECT | (fill->dirty ? (uint64_t)KEY_DIRTY : 0) : 0;
  uint64_t key = base | (level - 2) | fill->rights | kind | key_mode(fill->context);
  uint64_t next = row_of(hv, key);
  set_entry(hv, fill, level, get(hv, next + ROW_PAGE) | LINK, entry);
  fill->row = next;
}

/* The last entry. SDM 3A "Determination of Access Rights": with CR0.WP clear the guest's supervisor
 * writes to read-only pages; the processor's CR0.WP is set, so the page becomes the supervisor's
 * until the user comes back. */
static uint64_t leaf_rights(struct hv *hv, const struct fill *fill, uint64_t guest) {
  bool write = fill->access & WALK_WRITE, user = fill->rights & KEY_USER;
  bool writable = (fill->rights & KEY_WRITE) && fill->dirty;
  bool execute = fill->rights & KEY_EXECUTE;
  if (write && !(fill->rights & KEY_WRITE)) {
    writable = true;
    execute = execute && !(user && fill->context->smep);
    user = false;
  }
  if (writable && is_protected(hv, guest)) {
    if (write)
      doubt(hv, guest);
    else
      writable = false;
  }
  return IA32E_PRESENT | IA32E_ACCESSED | (writable ? IA32E_WRITE | IA32E_DIRTY : 0) |
         (user ? IA32E_USER : 0) | (execute ? 0 : IA32E_EXECUTE_DISABLE);
}

/* An address without memory: an entry with a reserved bit, so that the next access tells at once.
 * The local APIC's page is not marked, as it is not under EPT. */
static void mark_device(struct hv *hv, const struct fill *fill, uint64_t source) {
  enum { HIGHEST_ADDRESS_BIT = 51, APIC_PAGE = 0xfee00 };
  bool has_reserved = hv_load(hv, HV_AT(physical_bits)) <= HIGHEST_ADDRESS_BIT;
  if (!has_reserved || fill->walk->guest.value >> 12 == APIC_PAGE) return;
  set_entry(hv, fill, 1, UINT64_C(1) << HIGHEST_ADDRESS_BIT | IA32E_PRESENT, source);
}

bool hv_shadow_map(struct hv *hv, const struct hv_context *context, uint64_t linear,
                   unsigned access, const struct walk_result *walk) {
  struct fill fill = {.context = context, .linear = linear, .walk = walk, .access = access};
  uint64_t guest = walk->guest.value & TABLE_ADDRESS, own = hv_guest_memory(hv, guest), source = 0;
  if (is_short(hv)) hv_shadow_drop(hv);
  fill.rights = KEY_RIGHTS;
  fill.row = row_of(hv, root_key(context));
  for (unsigned level = WALK_TOP; level > 1; level--) descend(hv, &fill, level);
  if (!fill.direct) {
    source = entry_after(&fill, 1);
    fill.rights &= rights_of(source);
    fill.dirty = source & IA32E_DIRTY;
  }
  if (own == UINT64_MAX) {
    mark_device(hv, &fill, source);
    return false;
  }
  get(hv, own); /* its own parent backs the page now, if it has not yet */
  uint64_t entry = leaf_rights(hv, &fill, guest);
  if (!context->no_execute) entry &= ~IA32E_EXECUTE_DISABLE;
  if (entry & IA32E_WRITE)
    note_writable(hv, guest, get(hv, fill.row + ROW_PAGE) + table_offset(linear, 1));
  set_entry(hv, &fill, 1, own | entry, source);
  return true;
}
