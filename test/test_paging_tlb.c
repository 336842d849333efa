/* SPDX-License-Identifier: MIT
 * The TLB: what each flush must drop and what it keeps, replacement, and random operations against
 * a plain list of what may still be cached. */
#include "paging/tlb.h"

#include "paging/walk.h"
#include "test/expect.h"
#include "test/test_paging_memory.h"

enum { RWX = WALK_READ | WALK_WRITE | WALK_EXECUTE, SMALL = TLB_SMALL_PAGE };
enum { EPT_A = 0x5000, EPT_B = 0x6000, LINEAR = 0x12345678, OTHER = 0x12346000 };

static struct tlb tlb;

static void select_tag(uint64_t ep4ta, unsigned vpid, unsigned pcid) {
  tlb_select(&tlb, &(struct tlb_tag){ep4ta, (uint16_t)vpid, (uint16_t)pcid});
}

static void found_only_with_enough_permissions(void) {
  tlb_init(&tlb, true);
  uint8_t host;
  tlb_insert(&tlb, LINEAR, 0x7123, WALK_READ | WALK_USER, &host);
  struct tlb_entry *entry = tlb_find(&tlb, LINEAR, WALK_READ);
  if (EXPECT_TRUE("found", entry)) {
    EXPECT_EQ("frame", entry->frame, 0x7000);
    EXPECT_TRUE("host", entry->host == &host);
  }
  EXPECT_TRUE("same page", tlb_find(&tlb, LINEAR ^ 0xfff, WALK_READ | WALK_USER) == entry);
  EXPECT_TRUE("write", !tlb_find(&tlb, LINEAR, WALK_WRITE));
  EXPECT_TRUE("read and write", !tlb_find(&tlb, LINEAR, WALK_READ | WALK_WRITE));
  EXPECT_TRUE("another page", !tlb_find(&tlb, OTHER, WALK_READ));
  EXPECT_TRUE("bit 63 counts", !tlb_find(&tlb, LINEAR | UINT64_C(1) << 63, WALK_READ));
}

static void empty_tlb_finds_nothing(void) {
  tlb_init(&tlb, true);
  for (uint64_t page = 0; page < TLB_ENTRIES; page++)
    if (!EXPECT_TRUE("nothing", !tlb_find(&tlb, page << 12, 0))) return;
}

static void disabled_tlb_stores_nothing(void) {
  tlb_init(&tlb, false);
  tlb_insert(&tlb, LINEAR, 0x7000, RWX, NULL);
  EXPECT_TRUE("nothing", !tlb_find(&tlb, LINEAR, 0));
  tlb_flush_all(&tlb);
  tlb_flush_address(&tlb, 0, LINEAR);
  EXPECT_TRUE("nothing", !tlb_find(&tlb, LINEAR, 0));
}

static void each_part_of_the_tag_separates(void) {
  static const struct tlb_tag tags[] = {{0, 0, 0}, {EPT_A, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 0, 0}};
  tlb_init(&tlb, true);
  for (unsigned i = 0; i < 5; i++) {
    tlb_select(&tlb, &tags[i]);
    EXPECT_TRUE("fresh", !tlb_find(&tlb, LINEAR, 0));
    tlb_insert(&tlb, LINEAR, (i + 1) << 12, RWX, NULL);
  }
  for (unsigned i = 0; i < 5; i++) {
    tlb_select(&tlb, &tags[i]);
    struct tlb_entry *entry = tlb_find(&tlb, LINEAR, RWX);
    if (EXPECT_TRUE("still there", entry)) EXPECT_EQ("its own", entry->frame, (i + 1) << 12);
  }
}

/* ---- what each flush does to a set of tags */

static const struct tlb_tag flush_tags[] = {{0, 0, 0},     {0, 0, 7},     {0, 1, 0},
                                            {EPT_A, 0, 0}, {EPT_A, 1, 0}, {EPT_A, 1, 7},
                                            {EPT_B, 1, 0}, {EPT_B, 2, 0}};
enum { FLUSH_TAGS = sizeof flush_tags / sizeof *flush_tags };

enum flush_kind {
  FLUSH_ALL,
  FLUSH_ADDRESS,
  FLUSH_VPID,
  FLUSH_ALL_VPIDS,
  FLUSH_EP4TA,
  FLUSH_ALL_EPT,
  FLUSH_FRAME,
  FLUSH_KINDS
};

static void flush(enum flush_kind kind, uint64_t argument, uint64_t linear) {
  switch (kind) {
    case FLUSH_ALL:
      tlb_flush_all(&tlb);
      break;
    case FLUSH_ADDRESS:
      tlb_flush_address(&tlb, (uint16_t)argument, linear);
      break;
    case FLUSH_VPID:
      tlb_flush_vpid(&tlb, (uint16_t)argument);
      break;
    case FLUSH_ALL_VPIDS:
      tlb_flush_all_vpids(&tlb);
      break;
    case FLUSH_EP4TA:
      tlb_flush_ep4ta(&tlb, argument);
      break;
    case FLUSH_ALL_EPT:
      tlb_flush_all_ept(&tlb);
      break;
    case FLUSH_FRAME:
      tlb_flush_frame(&tlb, argument);
      break;
    case FLUSH_KINDS:
      break;
  }
}

struct flush_case {
  const char *name;
  enum flush_kind kind;
  uint64_t argument;
  unsigned small; /* inserted as pages that the guest maps by 4 KiB */
  /* Which of flush_tags, as bit masks, must lose LINEAR and OTHER. */
  unsigned linear_goes, other_goes;
};

static const struct flush_case flush_cases[] = {
    {"all", FLUSH_ALL, 0, SMALL, 0xff, 0xff},
    {"INVLPG in root operation", FLUSH_ADDRESS, 0, SMALL, 0x0b, 0},
    {"INVVPID address: every EP4TA and PCID", FLUSH_ADDRESS, 1, SMALL, 0x74, 0},
    {"INVVPID address: pieces of large pages", FLUSH_ADDRESS, 1, 0, 0x74, 0x74},
    {"INVVPID address of an unused VPID", FLUSH_ADDRESS, 9, SMALL, 0, 0},
    {"MOV to CR3 in root operation", FLUSH_VPID, 0, SMALL, 0x0b, 0x0b},
    {"INVVPID single context", FLUSH_VPID, 1, SMALL, 0x74, 0x74},
    {"INVVPID all contexts", FLUSH_ALL_VPIDS, 0, SMALL, 0xf4, 0xf4},
    {"INVEPT single context", FLUSH_EP4TA, EPT_A, SMALL, 0x38, 0x38},
    {"INVEPT single context, whole EPTP given", FLUSH_EP4TA, EPT_A | 0x5e, SMALL, 0x38, 0x38},
    {"INVEPT of address 0 leaves those without EPT", FLUSH_EP4TA, 0, SMALL, 0, 0},
    {"INVEPT all contexts", FLUSH_ALL_EPT, 0, SMALL, 0xf8, 0xf8},
    {"frame", FLUSH_FRAME, 0x102000, SMALL, 0x04, 0},
    {"frame, any address in it", FLUSH_FRAME, 0x102fff, SMALL, 0x04, 0},
};

/* Tag i maps LINEAR to 0x10i000 and OTHER to 0x20i000. */
static void check_flush(const struct flush_case *c, unsigned in_force) {
  tlb_init(&tlb, true);
  for (unsigned i = 0; i < FLUSH_TAGS; i++) {
    tlb_select(&tlb, &flush_tags[i]);
    tlb_insert(&tlb, LINEAR, 0x100000 | i << 12, RWX | c->small, NULL);
    tlb_insert(&tlb, OTHER, 0x200000 | i << 12, RWX | c->small, NULL);
  }
  tlb_select(&tlb, &flush_tags[in_force]);
  flush(c->kind, c->argument, LINEAR);
  for (unsigned j = 0; j < FLUSH_TAGS; j++) {
    unsigned i = (in_force + j) % FLUSH_TAGS;
    if (j > 0) tlb_select(&tlb, &flush_tags[i]);
    EXPECT_EQ(c->name, tlb_find(&tlb, LINEAR, RWX) == NULL, c->linear_goes >> i & 1);
    EXPECT_EQ(c->name, tlb_find(&tlb, OTHER, RWX) == NULL, c->other_goes >> i & 1);
  }
}

static void each_flush_drops_what_it_must_and_keeps_the_rest(void) {
  unsigned kinds = 0;
  for (unsigned i = 0; i < sizeof flush_cases / sizeof *flush_cases; i++) {
    kinds |= 1u << flush_cases[i].kind;
    for (unsigned in_force = 0; in_force < FLUSH_TAGS; in_force++)
      check_flush(&flush_cases[i], in_force);
  }
  EXPECT_EQ("every kind has a case", kinds, (1u << FLUSH_KINDS) - 1);
}

static void ept_at_address_0_is_told_by_bit_0(void) {
  tlb_init(&tlb, true);
  tlb_insert(&tlb, LINEAR, 0x1000, RWX, NULL);
  select_tag(1, 0, 0);
  EXPECT_TRUE("apart", !tlb_find(&tlb, LINEAR, 0));
  tlb_insert(&tlb, LINEAR, 0x2000, RWX, NULL);
  tlb_flush_ep4ta(&tlb, 0);
  EXPECT_TRUE("dropped", !tlb_find(&tlb, LINEAR, 0));
  select_tag(0, 0, 0);
  EXPECT_TRUE("kept", tlb_find(&tlb, LINEAR, 0));
}

static void least_recently_used_context_is_replaced(void) {
  tlb_init(&tlb, true);
  for (unsigned i = 0; i < TLB_CONTEXTS; i++) {
    select_tag(0, i, 0);
    tlb_insert(&tlb, LINEAR, i << 12, RWX, NULL);
  }
  select_tag(0, 0, 0);
  select_tag(0, TLB_CONTEXTS, 0); /* takes the place of VPID 1 */
  EXPECT_TRUE("fresh", !tlb_find(&tlb, LINEAR, 0));
  select_tag(0, 0, 0);
  EXPECT_TRUE("lately used stays", tlb_find(&tlb, LINEAR, 0));
  select_tag(0, 2, 0);
  EXPECT_TRUE("second oldest stays", tlb_find(&tlb, LINEAR, 0));
  select_tag(0, 1, 0);
  EXPECT_TRUE("oldest went", !tlb_find(&tlb, LINEAR, 0));
}

static void ids_that_come_again_find_nothing_old(void) {
  tlb_init(&tlb, true);
  select_tag(0, 1, 0);
  tlb_insert(&tlb, OTHER, 0x1000, RWX, NULL);
  select_tag(0, 2, 0);
  for (unsigned i = 0; i < 3 * TLB_ENTRIES; i++) {
    tlb_insert(&tlb, LINEAR + ((uint64_t)i % 977 << 12), 0x2000, RWX, NULL);
    tlb_flush_vpid(&tlb, 2);
    if (!EXPECT_TRUE("an id", tlb.id != 0)) return;
    for (unsigned j = 0; j < 977; j += 61)
      if (!EXPECT_TRUE("nothing", !tlb_find(&tlb, LINEAR + ((uint64_t)j << 12), 0))) return;
    if (!EXPECT_TRUE("nothing of another", !tlb_find(&tlb, OTHER, 0))) return;
  }
}

static void ids_that_come_again_are_not_shared_by_tags(void) {
  tlb_init(&tlb, true);
  select_tag(0, 1, 0);
  uint32_t id = tlb.id;
  select_tag(0, 2, 0);
  for (unsigned i = 0; tlb.id != id && i <= TLB_ENTRIES; i++) {
    tlb_insert(&tlb, OTHER, 0x2000, RWX, NULL);
    tlb_flush_vpid(&tlb, 2);
  }
  EXPECT_EQ("VPID 2 has VPID 1's old id", tlb.id, id);
  tlb_insert(&tlb, LINEAR, 0x2000, RWX, NULL);
  select_tag(0, 1, 0);
  EXPECT_TRUE("nothing of VPID 2", !tlb_find(&tlb, LINEAR, 0));
}

static void flushed_context_forgets_its_large_pages(void) {
  tlb_init(&tlb, true);
  tlb_insert(&tlb, LINEAR, 0x1000, RWX, NULL);
  tlb_flush_vpid(&tlb, 0);
  tlb_insert(&tlb, OTHER, 0x2000, RWX | SMALL, NULL);
  tlb_flush_address(&tlb, 0, LINEAR);
  EXPECT_TRUE("kept", tlb_find(&tlb, OTHER, RWX));
}

static void flush_of_nothing_uses_no_id(void) {
  tlb_init(&tlb, true);
  uint32_t id = tlb.id;
  for (unsigned i = 0; i < 10; i++) tlb_flush_vpid(&tlb, 0);
  EXPECT_EQ("same", tlb.id, id);
}

/* ---- random operations against a list */

struct model_entry {
  struct tlb_tag tag;
  uint64_t linear, frame;
  unsigned permissions;
};
enum { MODEL_ENTRIES = 8192, MODEL_PAGES = 24 };

struct model {
  struct model_entry entry[MODEL_ENTRIES];
  unsigned count;
  struct tlb_tag tag;
  unsigned tag_count;
  uint64_t seed;
};
static struct model model;

static uint64_t pick(uint64_t below) {
  return fake_random(&model.seed) % below;
}

/* Pages that collide in the table on purpose, and pages that do not: Fibonacci numbers apart,
 * golden hashing tells pages least. */
static uint64_t pick_linear(void) {
  const uint64_t fibonacci = 317811;
  uint64_t i = pick(MODEL_PAGES);
  return (i % 3 == 0 ? (i * fibonacci) << 12 : i << 12) | (i & 1 ? UINT64_C(0xffff) << 48 : 0);
}

static struct tlb_tag pick_tag(void) {
  uint64_t i = pick(model.tag_count);
  return (struct tlb_tag){(i % 3) << 12, (uint16_t)(i / 3 % 5), (uint16_t)(i / 15)};
}

static bool same_tag(const struct tlb_tag *a, const struct tlb_tag *b) {
  return a->ep4ta == b->ep4ta && a->vpid == b->vpid && a->pcid == b->pcid;
}

static struct model_entry *model_find(uint64_t linear) {
  for (unsigned i = 0; i < model.count; i++)
    if (model.entry[i].linear >> 12 == linear >> 12 && same_tag(&model.entry[i].tag, &model.tag))
      return &model.entry[i];
  return NULL;
}

static bool model_drops(const struct model_entry *entry, enum flush_kind kind, uint64_t argument,
                        uint64_t linear) {
  switch (kind) {
    case FLUSH_ALL:
      return true;
    case FLUSH_ADDRESS: /* the whole 2-MiB page, as if all large ones were that */
      return entry->tag.vpid == argument &&
             (entry->permissions & SMALL ? entry->linear >> 12 == linear >> 12
                                         : entry->linear >> 21 == linear >> 21);
    case FLUSH_VPID:
      return entry->tag.vpid == argument;
    case FLUSH_ALL_VPIDS:
      return entry->tag.vpid != 0;
    case FLUSH_EP4TA:
      return entry->tag.ep4ta != 0 && entry->tag.ep4ta == argument;
    case FLUSH_ALL_EPT:
      return entry->tag.ep4ta != 0;
    case FLUSH_FRAME:
      return entry->frame == argument;
    case FLUSH_KINDS:
      break;
  }
  return false;
}

static void random_flush(void) {
  enum flush_kind kind = (enum flush_kind)pick(FLUSH_KINDS);
  if (kind == FLUSH_ALL && pick(4)) return;
  uint64_t linear = pick_linear();
  uint64_t argument = kind == FLUSH_EP4TA   ? pick(3) << 12
                      : kind == FLUSH_FRAME ? pick(64) << 12
                                            : pick(5);
  flush(kind, argument, linear);
  for (unsigned i = 0; i < model.count;) {
    if (model_drops(&model.entry[i], kind, argument, linear))
      model.entry[i] = model.entry[--model.count];
    else
      i++;
  }
}

static void random_insert(void) {
  uint64_t linear = pick_linear(), frame = pick(64) << 12;
  unsigned permissions = (unsigned)pick(16) | (pick(8) ? SMALL : 0);
  struct model_entry *entry = model_find(linear);
  if (!entry) {
    if (model.count == MODEL_ENTRIES) return;
    entry = &model.entry[model.count++];
  }
  *entry = (struct model_entry){model.tag, linear, frame, permissions};
  tlb_insert(&tlb, linear, frame, permissions, NULL);
  const struct tlb_entry *found = tlb_find(&tlb, linear, permissions & 15);
  EXPECT_TRUE("find after insert", found && found->frame == frame);
}

static bool check_find(uint64_t linear) {
  unsigned permissions = (unsigned)pick(16);
  const struct tlb_entry *found = tlb_find(&tlb, linear, permissions);
  if (!found) return true;
  const struct model_entry *entry = model_find(linear);
  return EXPECT_TRUE("nothing invalidated comes back", entry) &&
         EXPECT_EQ("frame", found->frame, entry->frame) &&
         EXPECT_EQ("permissions", permissions & ~entry->permissions, 0);
}

static void run_random(unsigned tag_count, unsigned operations, uint64_t seed) {
  tlb_init(&tlb, true);
  memset(&model, 0, sizeof model);
  model.tag_count = tag_count;
  model.seed = seed;
  for (unsigned i = 0; i < operations; i++) {
    uint64_t operation = pick(16);
    if (operation < 3) {
      model.tag = pick_tag();
      tlb_select(&tlb, &model.tag);
    } else if (operation < 8) {
      random_insert();
    } else if (operation == 8) {
      random_flush();
    } else if (!check_find(pick_linear())) {
      return;
    }
  }
}

static void random_operations_never_find_what_was_invalidated(void) {
  run_random(1, 20000, 0x9e3779b97f4a7c15);
  run_random(6, 60000, 0xd1b54a32d192ed03);
  run_random(30, 60000, 0x8cb92ba72f3d8dd7);
}

static void random_operations_with_more_tags_than_contexts_hold(void) {
  run_random(150, 60000, 0x2545f4914f6cdd1d);
}

CU_TestInfo paging_tlb_tests[] = {
    {"found_only_with_enough_permissions", found_only_with_enough_permissions},
    {"empty_tlb_finds_nothing", empty_tlb_finds_nothing},
    {"disabled_tlb_stores_nothing", disabled_tlb_stores_nothing},
    {"each_part_of_the_tag_separates", each_part_of_the_tag_separates},
    {"each_flush_drops_what_it_must_and_keeps_the_rest",
     each_flush_drops_what_it_must_and_keeps_the_rest},
    {"ept_at_address_0_is_told_by_bit_0", ept_at_address_0_is_told_by_bit_0},
    {"least_recently_used_context_is_replaced", least_recently_used_context_is_replaced},
    {"ids_that_come_again_find_nothing_old", ids_that_come_again_find_nothing_old},
    {"ids_that_come_again_are_not_shared_by_tags", ids_that_come_again_are_not_shared_by_tags},
    {"flushed_context_forgets_its_large_pages", flushed_context_forgets_its_large_pages},
    {"flush_of_nothing_uses_no_id", flush_of_nothing_uses_no_id},
    {"random_operations_never_find_what_was_invalidated",
     random_operations_never_find_what_was_invalidated},
    {"random_operations_with_more_tags_than_contexts_hold",
     random_operations_with_more_tags_than_contexts_hold},
    CU_TEST_INFO_NULL,
};
