/* SPDX-License-Identifier: MIT
 * The walker against a second translation, written recursively and straight from the manual's
 * prose, over random tables; and against garbage, which it must survive. */
#include "paging/walk.h"
#include "test/expect.h"
#include "test/test_paging_memory.h"

/* ---- the reference */

enum { ALL = 15 };

struct answer {
  enum walk_outcome outcome;
  uint64_t guest, host, fault, qualification;
  unsigned permissions, bits, guest_bits, error;
  bool dirty;
};

/* What one table says. `stop` is WALK_OK when a leaf was reached; `entries` lists where, in host
 * memory, the entries were found, and `seen` where the table's owner sees them. */
struct found {
  enum walk_outcome stop;
  unsigned rights, bits, count;
  bool absent;
  uint64_t address, leaf;
  uint64_t entries[4], seen[4];
  unsigned entry_rights[4];
};

struct reference {
  struct fake_memory *memory;
  const struct walk_request *request;
  struct answer answer;
};

static bool reference_ept(struct reference *r, uint64_t guest, unsigned access, uint64_t high_bits,
                          struct found *found);

static uint64_t ones(unsigned from, unsigned to) { /* bits from..to */
  return from > to ? 0 : (UINT64_MAX >> (63 - to)) & (UINT64_MAX << from);
}

static bool fetch(struct reference *r, uint64_t at, uint64_t *value) {
  if (at >= FAKE_MEMORY_BYTES) return false;
  *value = r->memory->word[at / 8];
  return true;
}

/* EPT entries: is this one a misconfiguration? */
static bool bad_ept(uint64_t e, unsigned level, unsigned physical_bits) {
  unsigned rwx = e & 7, type = e >> 3 & 7;
  if (rwx == 2 || rwx == 6) return true;
  if (e & ones(physical_bits, 51)) return true;
  if (level == 4) return e & ones(3, 7);
  bool is_page = level == 1 || (e & 0x80);
  if (!is_page) return e & ones(3, 6);
  if (type == 2 || type == 3 || type == 7) return true;
  return (level == 2 && (e & ones(12, 20))) || (level == 3 && (e & ones(12, 29)));
}

static void ept_level(struct reference *r, uint64_t table, unsigned level, uint64_t guest,
                      struct found *found) {
  uint64_t e, at = table + (guest >> (3 + 9 * level) & 0x1ff) * 8;
  if (!fetch(r, at, &e)) {
    found->stop = WALK_BUS_ERROR;
    return;
  }
  found->entries[found->count++] = at;
  if ((e & 7) == 0) {
    found->stop = WALK_EPT_VIOLATION;
    found->rights = 0;
    return;
  }
  if (bad_ept(e, level, r->request->physical_bits)) {
    found->stop = WALK_EPT_MISCONFIG;
    return;
  }
  found->rights &= 8 | (e & 7);
  if (level > 1 && !(level < 4 && (e & 0x80))) {
    ept_level(r, e & ones(12, 51), level - 1, guest, found);
    return;
  }
  found->bits = 3 + 9 * level;
  found->leaf = at;
  found->address = (e & ones(found->bits, 51)) + (guest & ones(0, found->bits - 1));
}

static bool answer_violation(struct reference *r, uint64_t guest, unsigned access, unsigned rights,
                             uint64_t high_bits) {
  r->answer.outcome = WALK_EPT_VIOLATION;
  r->answer.fault = guest;
  r->answer.qualification = (access & 7) + (rights & 7) * 8 + high_bits;
  return false;
}

static bool reference_ept(struct reference *r, uint64_t guest, unsigned access, uint64_t high_bits,
                          struct found *found) {
  *found = (struct found){.stop = WALK_OK, .rights = ALL};
  if (guest >= UINT64_C(1) << 48) return answer_violation(r, guest, access, 0, high_bits);
  ept_level(r, r->request->eptp & ones(12, 51), 4, guest, found);
  if (found->stop == WALK_EPT_VIOLATION) return answer_violation(r, guest, access, 0, high_bits);
  if (found->stop != WALK_OK) {
    r->answer.outcome = found->stop;
    if (found->stop == WALK_EPT_MISCONFIG) r->answer.fault = guest;
    return false;
  }
  if ((access & 7 & found->rights) != (access & 7))
    return answer_violation(r, guest, access, found->rights, high_bits);
  if ((r->request->eptp & 0x40) && !r->request->probe) {
    for (unsigned i = 0; i < found->count; i++) r->memory->word[found->entries[i] / 8] |= 0x100;
    if (access & 2) r->memory->word[found->leaf / 8] |= 0x200;
  }
  return true;
}

static bool bad_guest(uint64_t e, unsigned level, const struct walk_request *request) {
  if (e & ones(request->physical_bits, 51)) return true;
  if ((e >> 63) && !request->no_execute) return true;
  if (level == 4) return e & 0x80;
  if (level == 3 && (e & 0x80)) return e & ones(13, 29);
  if (level == 2 && (e & 0x80)) return e & ones(13, 20);
  return false;
}

static void guest_level(struct reference *r, uint64_t table, unsigned level, uint64_t linear,
                        struct found *found) {
  uint64_t e, at = table + (linear >> (3 + 9 * level) & 0x1ff) * 8, host = at;
  unsigned rights = ALL;
  if (r->request->eptp) {
    struct found ept;
    unsigned access = r->request->eptp & 0x40 ? 3 : 1;
    if (!reference_ept(r, at, access, 0x80, &ept)) {
      found->stop = r->answer.outcome;
      return;
    }
    host = ept.address;
    rights = ept.rights;
  }
  if (!fetch(r, host, &e)) {
    found->stop = r->answer.outcome = WALK_BUS_ERROR;
    return;
  }
  found->entry_rights[found->count] = rights;
  found->seen[found->count] = at;
  found->entries[found->count++] = host;
  if (!(e & 1) || bad_guest(e, level, r->request)) {
    found->stop = r->answer.outcome = WALK_PAGE_FAULT;
    r->answer.error = e & 1 ? 9 : 0;
    return;
  }
  if (!(e & 2)) found->rights &= ~2u;
  if (!(e & 4)) found->rights &= ~8u;
  if (e >> 63) found->rights &= ~4u;
  if (level > 1 && !(level < 4 && (e & 0x80))) {
    guest_level(r, e & ones(12, 51), level - 1, linear, found);
    return;
  }
  found->bits = 3 + 9 * level;
  found->leaf = host;
  found->address = (e & ones(found->bits, 51)) + (linear & ones(0, found->bits - 1));
}

/* May this one kind of access (1, 2 or 4) be made? */
static bool is_granted(const struct walk_request *q, unsigned rights, unsigned kind, bool ac) {
  bool user_page = rights & 8, user = q->access & 8;
  if (user) return user_page && (rights & kind);
  if (kind == 4) return (rights & 4) && !(user_page && q->smep);
  if (user_page && q->smap && !ac) return false;
  return kind == 1 || (rights & 2) || !q->write_protect;
}

static bool is_all_granted(const struct walk_request *q, unsigned rights) {
  for (unsigned kind = 1; kind <= 4; kind *= 2)
    if ((q->access & kind) && !is_granted(q, rights, kind, q->alignment_override)) return false;
  return true;
}

static void add_error_bits(struct reference *r) {
  const struct walk_request *q = r->request;
  if (q->access & 2) r->answer.error |= 2;
  if (q->access & 8) r->answer.error |= 4;
  if ((q->access & 4) && (q->no_execute || q->smep)) r->answer.error |= 16;
}

static bool mark_guest(struct reference *r, const struct found *found) {
  for (unsigned i = 0; i < found->count; i++) {
    uint64_t *entry = &r->memory->word[found->entries[i] / 8];
    uint64_t flags = found->entries[i] == found->leaf && (r->request->access & 2) ? 0x60 : 0x20;
    if ((*entry & flags) == flags) continue;
    if (!(found->entry_rights[i] & 2))
      return answer_violation(r, found->seen[i], 3, found->entry_rights[i], 0x80);
    if (!r->request->probe) *entry |= flags;
  }
  return true;
}

static bool reference_guest(struct reference *r, uint64_t linear) {
  const struct walk_request *q = r->request;
  struct found found = {.stop = WALK_OK, .rights = ALL};
  guest_level(r, q->cr3 & ones(12, 51), 4, linear, &found);
  if (found.stop == WALK_OK && !is_all_granted(q, found.rights)) {
    found.stop = r->answer.outcome = WALK_PAGE_FAULT;
    r->answer.error = 1;
  }
  if (found.stop == WALK_PAGE_FAULT) add_error_bits(r);
  if (found.stop != WALK_OK || !mark_guest(r, &found)) return false;
  r->answer.guest = found.address;
  r->answer.bits = r->answer.guest_bits = found.bits;
  r->answer.dirty = r->memory->word[found.leaf / 8] & 0x40;
  r->answer.permissions = found.rights & 8;
  for (unsigned kind = 1; kind <= 4; kind *= 2)
    if (is_granted(q, found.rights, kind, false)) r->answer.permissions |= kind;
  return true;
}

static struct answer reference_walk(struct fake_memory *memory, const struct walk_request *request,
                                    uint64_t linear) {
  struct reference r = {
      memory,
      request,
      {.guest = linear, .permissions = ALL, .bits = 30, .guest_bits = 12, .dirty = true}};
  if (request->paging && !reference_guest(&r, linear)) return r.answer;
  r.answer.host = r.answer.guest;
  struct found ept;
  if (!request->eptp) return r.answer;
  if (!reference_ept(&r, r.answer.guest, request->access, 0x180, &ept)) return r.answer;
  r.answer.host = ept.address;
  r.answer.permissions &= ept.rights;
  if (ept.bits < r.answer.bits) r.answer.bits = ept.bits;
  if (request->eptp & 0x40) r.answer.dirty = r.answer.dirty && (memory->word[ept.leaf / 8] & 0x200);
  return r.answer;
}

/* ---- random tables */

enum { EPT_ROOT = 0x80000, GUEST_ROOT = 0x1000, LINEARS = 24 };

struct world {
  struct fake_memory memory, copy;
  uint64_t linear[LINEARS];
  uint64_t seed;
  uint64_t twist; /* between the guest's view of its tables and where they are */
  bool ept;
  unsigned count[WALK_BUS_ERROR + 1];
};
static struct world world;

static uint64_t draw(void) {
  return fake_random(&world.seed);
}
static bool chance(unsigned one_in) {
  return draw() % one_in == 0;
}

/* Few indexes at every level, so that addresses share tables. */
static uint64_t draw_address(void) {
  static const uint64_t index[] = {0, 1, 2, 511};
  uint64_t address = 0;
  for (unsigned level = 1; level <= 4; level++)
    address |= index[draw() % (level == 4 ? 2 : 4)] << (3 + 9 * level);
  return address;
}

static uint64_t draw_guest_bits(void) {
  return 1 | (chance(4) ? 0 : 2) | (chance(3) ? 0 : 4) | (chance(8) ? UINT64_C(1) << 63 : 0) |
         (draw() & 0x60);
}

static uint64_t draw_ept_bits(void) {
  static const uint64_t rights[] = {7, 7, 7, 7, 7, 7, 3, 5, 1, 4};
  return rights[draw() % 10] | 6 << 3 | (draw() & 0x340);
}

static void map_by_ept(uint64_t guest, uint64_t bits) {
  unsigned level = chance(2) ? 1 : 2 + (unsigned)(draw() % 2);
  uint64_t *entry = fake_entry(&world.memory, EPT_ROOT, guest, level, 7, 0);
  if (!entry || *entry) return;
  *entry = (draw() & ones(3 + 9 * level, 35)) | bits | (level > 1 ? 0x80 : 0);
}

/* The guest's own tables, in the lower half of memory: all mapped, by 4-KiB pages that are moved
 * about, or by one 2-MiB page. */
static void map_guest_tables(void) {
  if (world.twist == 0) {
    *fake_entry(&world.memory, EPT_ROOT, 0, 2, 7, 0) = 7 | 6 << 3 | 0x80;
    return;
  }
  for (uint64_t page = 0; page < 0x40000; page += 0x1000)
    *fake_entry(&world.memory, EPT_ROOT, page, 1, 7, 0) =
        (page ^ world.twist) | (chance(12) ? 5 : 7) | 6 << 3;
}

/* Flips a bit that does not make tables overlap: flags, or an address far outside memory. */
static void damage(void) {
  for (unsigned tries = 0; tries < 10000; tries++) {
    uint64_t *entry = &world.memory.word[draw() % FAKE_MEMORY_WORDS];
    if (*entry == 0) continue;
    unsigned bit = (unsigned)(draw() % 40);
    *entry ^= UINT64_C(1) << (bit < 12 ? bit : bit + 24);
    return;
  }
}

static void build_world(void) {
  memset(&world.memory, 0, sizeof world.memory);
  world.ept = !chance(3);
  world.twist = world.ept && chance(2) ? 0x20000 : 0;
  uint64_t guest[LINEARS];
  world.memory.free_page = (GUEST_ROOT ^ world.twist) + 0x1000;
  for (unsigned i = 0; i < LINEARS; i++) {
    unsigned level = chance(2) ? 1 : 2 + (unsigned)(draw() % 2);
    world.linear[i] = draw_address();
    guest[i] = draw_address() & ones(3 + 9 * level, 35);
    if (world.memory.free_page >= 0x3c000) continue;
    uint64_t *entry = fake_entry(&world.memory, GUEST_ROOT ^ world.twist, world.linear[i], level,
                                 7 | (draw() & 0x20), world.twist);
    if (entry && !*entry) *entry = guest[i] | draw_guest_bits() | (level > 1 ? 0x80 : 0);
  }
  world.memory.free_page = EPT_ROOT + 0x1000;
  map_guest_tables();
  for (unsigned i = 0; i < LINEARS; i++) map_by_ept(guest[i], draw_ept_bits());
  for (unsigned i = 0; chance(2) && i < 8; i++) damage();
}

static struct walk_request draw_request(void) {
  static const unsigned physical_bits[] = {36, 40, 46, 52};
  static const unsigned access[] = {1, 2, 3, 4};
  return (struct walk_request){
      .cr3 = GUEST_ROOT | (draw() & 0xfff),
      .eptp = world.ept ? EPT_ROOT | 3 << 3 | 6 | (draw() & 0x40) : 0,
      .access = access[draw() % 4] | (unsigned)(draw() & 8),
      .physical_bits = physical_bits[draw() % 4],
      .paging = !chance(16),
      .write_protect = !chance(3),
      .no_execute = !chance(4),
      .smep = chance(3),
      .smap = chance(3),
      .alignment_override = chance(2),
      .probe = chance(4),
  };
}

static bool agree(const struct walk_result *result, const struct answer *answer) {
  bool same = EXPECT_EQ("outcome", result->outcome, answer->outcome) &&
              EXPECT_EQ("error code", result->error_code, answer->error) &&
              EXPECT_EQ("qualification", result->qualification, answer->qualification) &&
              EXPECT_EQ("fault address", result->fault.value, answer->fault);
  if (!same || answer->outcome != WALK_OK) return same;
  return EXPECT_EQ("guest", result->guest.value, answer->guest) &&
         EXPECT_EQ("host", result->host.value, answer->host) &&
         EXPECT_EQ("permissions", result->permissions, answer->permissions) &&
         EXPECT_EQ("page bits", result->page_bits, answer->bits) &&
         EXPECT_EQ("linear page bits", result->linear_page_bits, answer->guest_bits) &&
         EXPECT_EQ("dirty", result->dirty, answer->dirty);
}

static bool compare_one(void) {
  struct walk_request request = draw_request();
  uint64_t linear = chance(16) ? draw() >> 16 : world.linear[draw() % LINEARS];
  linear ^= draw() & (chance(3) ? 0x1fffff : 0xfff);
  struct walk_memory memory = fake_walk_memory(&world.memory);
  struct walk_result result;
  struct answer answer = reference_walk(&world.copy, &request, linear);
  walk_run(&memory, &request, linear_addr_make(linear), &result);
  world.count[result.outcome]++;
  return agree(&result, &answer) &&
         EXPECT_TRUE("accessed and dirty flags",
                     memcmp(world.memory.word, world.copy.word, sizeof world.copy.word) == 0);
}

static void random_tables_translate_as_the_reference_does(void) {
  memset(&world, 0, sizeof world);
  world.seed = 0x853c49e6748fea9b;
  for (unsigned round = 0; round < 250; round++) {
    build_world();
    world.copy = world.memory;
    for (unsigned i = 0; i < 40; i++)
      if (!compare_one()) return;
  }
  for (unsigned i = 0; i <= WALK_BUS_ERROR; i++)
    EXPECT_TRUE("every outcome came up often", world.count[i] > 40);
}

static void random_walk_and_its_probe_end_alike(void) {
  world.seed = 0xda3e39cb94b95bdb;
  for (unsigned round = 0; round < 100; round++) {
    build_world();
    struct walk_memory memory = fake_walk_memory(&world.memory);
    for (unsigned i = 0; i < 40; i++) {
      struct walk_request request = draw_request();
      struct walk_result probe, walk;
      struct linear_addr linear = linear_addr_make(world.linear[draw() % LINEARS]);
      request.probe = true;
      walk_run(&memory, &request, linear, &probe);
      if (!EXPECT_EQ("a probe stores nothing", world.memory.stores, 0)) return;
      request.probe = false;
      walk_run(&memory, &request, linear, &walk);
      world.memory.stores = 0;
      EXPECT_EQ("outcome", probe.outcome, walk.outcome);
      EXPECT_EQ("host", probe.host.value, walk.host.value);
      EXPECT_EQ("permissions", probe.permissions, walk.permissions);
    }
  }
}

/* ---- hostile tables */

enum garbage { GARBAGE_ONES, GARBAGE_SELF, GARBAGE_POINTERS, GARBAGE_RANDOM, GARBAGE_KINDS };

static uint64_t draw_garbage(enum garbage kind, unsigned index) {
  switch (kind) {
    case GARBAGE_ONES:
      return UINT64_MAX;
    case GARBAGE_SELF: /* every entry points to its own table, accessible in both formats */
      return ((uint64_t)index * 8 & ~UINT64_C(0xfff)) | 7;
    case GARBAGE_POINTERS:
      return (draw() & 0xff000) | 7 | (draw() & draw() & draw() & 0x3e0);
    case GARBAGE_RANDOM:
      return draw();
    case GARBAGE_KINDS:
      break;
  }
  return 0;
}

static bool survive(void) {
  struct walk_request request = draw_request();
  struct walk_memory memory = fake_walk_memory(&world.memory);
  struct walk_result result;
  request.cr3 = chance(4) ? draw() : draw() & 0xfffff;
  request.eptp = chance(4) ? draw() : chance(3) ? 0 : (draw() & 0xff040) | 0x1e;
  request.access = (unsigned)draw();
  request.physical_bits = chance(4) ? (unsigned)draw() : 52;
  world.memory.loads = world.memory.stores = 0;
  if (chance(2))
    walk_run(&memory, &request, linear_addr_make(draw()), &result);
  else
    walk_guest_physical(&memory, &request, guest_phys_make(draw() >> (draw() & 31)), &result);
  return EXPECT_TRUE("outcome", (unsigned)result.outcome <= WALK_BUS_ERROR) &&
         EXPECT_TRUE("steps", result.steps <= 24) &&
         EXPECT_TRUE("loads: each entry at most once, and once more for its flags",
                     world.memory.loads <= 48) &&
         EXPECT_TRUE("stores", world.memory.stores <= 24);
}

static void hostile_tables_end_within_bounds(void) {
  world.seed = 0x94d049bb133111eb;
  for (unsigned round = 0; round < 5 * GARBAGE_KINDS; round++) {
    for (unsigned i = 0; i < FAKE_MEMORY_WORDS; i++)
      world.memory.word[i] = draw_garbage((enum garbage)(round % GARBAGE_KINDS), i);
    for (unsigned i = 0; i < 2000; i++)
      if (!survive()) return;
  }
}

CU_TestInfo paging_property_tests[] = {
    {"random_tables_translate_as_the_reference_does",
     random_tables_translate_as_the_reference_does},
    {"random_walk_and_its_probe_end_alike", random_walk_and_its_probe_end_alike},
    {"hostile_tables_end_within_bounds", hostile_tables_end_within_bounds},
    CU_TEST_INFO_NULL,
};
