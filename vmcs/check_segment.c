/* SPDX-License-Identifier: MIT
 * SDM 3C "Checks on Guest Segment Registers". Segments are numbered as the fields are: ES, CS, SS,
 * DS, FS, GS, LDTR, TR; rows of check.def that repeat per segment follow that order. */
#include "vmcs/check_run.h"

enum { ES, CS, SS, DS, FS, GS, LDTR, TR, SEGMENT_COUNT };
enum { RFLAGS_VM = 1 << 17, AR_V86 = 0xf3, TYPE_DATA_RW = 3 };

struct segment {
  uint64_t selector, base, limit, ar;
  bool usable;
};

/* What the rules on one segment say about others. */
struct segments {
  struct segment at[SEGMENT_COUNT];
  bool v86, ia32e, unrestricted, protected_mode;
};

static unsigned type_of(const struct segment *segment) {
  return segment->ar & 15;
}
static unsigned dpl_of(const struct segment *segment) {
  return segment->ar >> 5 & 3;
}
static unsigned rpl_of(const struct segment *segment) {
  return segment->selector & 3;
}
static bool has_ti(const struct segment *segment) {
  return segment->selector & 4;
}

static void load_segments(const struct check_run *run, struct segments *segments) {
  for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
    struct segment *segment = &segments->at[i];
    segment->selector = check_get(run, field_nth(FIELD_GUEST_ES_SELECTOR, i));
    segment->base = check_get(run, field_nth(FIELD_GUEST_ES_BASE, i));
    segment->limit = check_get(run, field_nth(FIELD_GUEST_ES_LIMIT, i));
    segment->ar = check_get(run, field_nth(FIELD_GUEST_ES_AR_BYTES, i));
    segment->usable = !(segment->ar >> 16 & 1);
  }
  segments->v86 = check_get(run, FIELD_GUEST_RFLAGS) & RFLAGS_VM;
  segments->ia32e = run->entry & VMCS_BIT(VM_ENTRY_IA32E_MODE);
  segments->unrestricted = run->secondary & VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST);
  segments->protected_mode = check_get(run, FIELD_GUEST_CR0) & CHECK_CR0_PE;
}

static void check_selectors(struct check_run *run, const struct segments *segments) {
  const struct segment *at = segments->at;
  check_require(run, CHECK_GUEST_TR_SELECTOR_TI, !has_ti(&at[TR]));
  check_require(run, CHECK_GUEST_LDTR_SELECTOR_TI, !at[LDTR].usable || !has_ti(&at[LDTR]));
  if (!segments->v86 && !segments->unrestricted)
    check_require(run, CHECK_GUEST_SS_SELECTOR_RPL, rpl_of(&at[SS]) == rpl_of(&at[CS]));
}

static void check_bases(struct check_run *run, const struct segments *segments) {
  const struct segment *at = segments->at;
  for (unsigned i = ES; segments->v86 && i <= GS; i++)
    check_require(run, check_nth(CHECK_GUEST_ES_BASE_V86, i), at[i].base == at[i].selector << 4);
  check_require(run, CHECK_GUEST_TR_BASE_CANONICAL, check_is_canonical(run, at[TR].base));
  check_require(run, CHECK_GUEST_FS_BASE_CANONICAL, check_is_canonical(run, at[FS].base));
  check_require(run, CHECK_GUEST_GS_BASE_CANONICAL, check_is_canonical(run, at[GS].base));
  check_require(run, CHECK_GUEST_LDTR_BASE_CANONICAL,
                !at[LDTR].usable || check_is_canonical(run, at[LDTR].base));
  check_require(run, CHECK_GUEST_CS_BASE_HIGH, at[CS].base <= UINT32_MAX);
  check_require(run, CHECK_GUEST_SS_BASE_HIGH, !at[SS].usable || at[SS].base <= UINT32_MAX);
  check_require(run, CHECK_GUEST_DS_BASE_HIGH, !at[DS].usable || at[DS].base <= UINT32_MAX);
  check_require(run, CHECK_GUEST_ES_BASE_HIGH, !at[ES].usable || at[ES].base <= UINT32_MAX);
}

static void check_v86(struct check_run *run, const struct segments *segments) {
  for (unsigned i = ES; i <= GS; i++)
    check_require(run, check_nth(CHECK_GUEST_ES_LIMIT_V86, i), segments->at[i].limit == 0xffff);
  for (unsigned i = ES; i <= GS; i++)
    check_require(run, check_nth(CHECK_GUEST_ES_AR_V86, i), segments->at[i].ar == AR_V86);
}

/* Accessed code, or read/write data for an unrestricted guest. */
static bool is_cs_type(const struct segments *segments) {
  unsigned type = type_of(&segments->at[CS]);
  return (type & 9) == 9 || (type == TYPE_DATA_RW && segments->unrestricted);
}

/* Accessed, and if code then readable. */
static bool is_data_type(unsigned type) {
  return (type & 1) && (!(type & 8) || (type & 2));
}

static void check_types(struct check_run *run, const struct segments *segments) {
  static const uint8_t data[] = {DS, ES, FS, GS};
  const struct segment *at = segments->at;
  check_require(run, CHECK_GUEST_CS_TYPE, is_cs_type(segments));
  check_require(run, CHECK_GUEST_SS_TYPE,
                !at[SS].usable || type_of(&at[SS]) == 3 || type_of(&at[SS]) == 7);
  for (unsigned i = 0; i < sizeof data; i++)
    check_require(run, check_nth(CHECK_GUEST_DS_TYPE, i),
                  !at[data[i]].usable || is_data_type(type_of(&at[data[i]])));
}

static bool is_cs_dpl(const struct segments *segments) {
  unsigned type = type_of(&segments->at[CS]), dpl = dpl_of(&segments->at[CS]);
  unsigned stack = dpl_of(&segments->at[SS]);
  if (type == TYPE_DATA_RW) return dpl == 0;
  if ((type & 9) != 9) return true; /* the type is wrong already */
  return type & 4 ? dpl <= stack : dpl == stack;
}

static void check_dpls(struct check_run *run, const struct segments *segments) {
  static const uint8_t data[] = {DS, ES, FS, GS};
  const struct segment *at = segments->at;
  check_require(run, CHECK_GUEST_CS_DPL, is_cs_dpl(segments));
  check_require(run, CHECK_GUEST_SS_DPL_RPL,
                segments->unrestricted || dpl_of(&at[SS]) == rpl_of(&at[SS]));
  if (type_of(&at[CS]) == TYPE_DATA_RW || !segments->protected_mode)
    check_require(run, CHECK_GUEST_SS_DPL_ZERO, dpl_of(&at[SS]) == 0);
  if (segments->unrestricted) return;
  for (unsigned i = 0; i < sizeof data; i++) {
    const struct segment *segment = &at[data[i]];
    bool ruled = segment->usable && type_of(segment) <= 11;
    check_require(run, check_nth(CHECK_GUEST_DS_DPL, i),
                  !ruled || dpl_of(segment) >= rpl_of(segment));
  }
}

static bool is_granularity(const struct segment *segment) {
  bool granular = segment->ar >> 15 & 1;
  if ((segment->limit & 0xfff) != 0xfff && granular) return false;
  return !(segment->limit & 0xfff00000) || granular;
}

static bool has_reserved(const struct segment *segment) {
  return segment->ar & UINT64_C(0xfffe0f00);
}

/* S, P, reserved bits and G of the six segments of code and data; CS is always in use. */
static void check_common(struct check_run *run, const struct segments *segments) {
  const struct segment *at = segments->at;
  bool skip[GS + 1];
  for (unsigned i = ES; i <= GS; i++) skip[i] = i != CS && !at[i].usable;
  for (unsigned i = ES; i <= GS; i++)
    check_require(run, check_nth(CHECK_GUEST_ES_S, i), skip[i] || (at[i].ar >> 4 & 1));
  check_dpls(run, segments);
  for (unsigned i = ES; i <= GS; i++)
    check_require(run, check_nth(CHECK_GUEST_ES_P, i), skip[i] || (at[i].ar >> 7 & 1));
  for (unsigned i = ES; i <= GS; i++)
    check_require(run, check_nth(CHECK_GUEST_ES_AR_RESERVED, i), skip[i] || !has_reserved(&at[i]));
  bool both = (at[CS].ar >> 13 & 1) && (at[CS].ar >> 14 & 1); /* L and D/B */
  check_require(run, CHECK_GUEST_CS_DB, !segments->ia32e || !both);
  for (unsigned i = ES; i <= GS; i++)
    check_require(run, check_nth(CHECK_GUEST_ES_G, i), skip[i] || is_granularity(&at[i]));
}

static void check_tr(struct check_run *run, const struct segments *segments) {
  const struct segment *tr = &segments->at[TR];
  unsigned type = type_of(tr);
  check_require(run, CHECK_GUEST_TR_TYPE, type == 11 || (type == 3 && !segments->ia32e));
  check_require(run, CHECK_GUEST_TR_S, !(tr->ar >> 4 & 1));
  check_require(run, CHECK_GUEST_TR_P, tr->ar >> 7 & 1);
  check_require(run, CHECK_GUEST_TR_AR_RESERVED, !has_reserved(tr));
  check_require(run, CHECK_GUEST_TR_G, is_granularity(tr));
  check_require(run, CHECK_GUEST_TR_UNUSABLE, tr->usable);
}

static void check_ldtr(struct check_run *run, const struct segments *segments) {
  const struct segment *ldtr = &segments->at[LDTR];
  if (!ldtr->usable) return;
  check_require(run, CHECK_GUEST_LDTR_TYPE, type_of(ldtr) == 2);
  check_require(run, CHECK_GUEST_LDTR_S, !(ldtr->ar >> 4 & 1));
  check_require(run, CHECK_GUEST_LDTR_P, ldtr->ar >> 7 & 1);
  check_require(run, CHECK_GUEST_LDTR_AR_RESERVED, !has_reserved(ldtr));
  check_require(run, CHECK_GUEST_LDTR_G, is_granularity(ldtr));
}

void check_guest_segments(struct check_run *run) {
  struct segments segments;
  load_segments(run, &segments);
  check_selectors(run, &segments);
  check_bases(run, &segments);
  if (segments.v86) {
    check_v86(run, &segments);
  } else {
    check_types(run, &segments);
    check_common(run, &segments);
  }
  check_tr(run, &segments);
  check_ldtr(run, &segments);
}
