/* SPDX-License-Identifier: MIT
 * The engine: runs a profile's routines row by row, keeps what rows read for the rest of the exit,
 * and sees to it that whatever must be written is written before the guest is entered. What it
 * needs and no row brought is read or written on demand and counted as unlisted. */
#include <string.h>

#include "src/hypervisor/hv.h"

/* What the engine asks about a field at every access, close together. */
static const struct {
  uint16_t encoding;
  uint8_t present; /* enum vmcs_feature */
  bool is_durable;
} trait[FIELD_COUNT] = {
#define HV_DURABLE(name, kind)                                                          \
  (((kind) == VMCS_KIND_CONTROL && (name) != VM_ENTRY_INTR_INFO_FIELD) ||               \
   (kind) == VMCS_KIND_HOST || (name) == GUEST_IA32_PAT || (name) == GUEST_IA32_EFER || \
   (name) == GUEST_DR7 || (name) == GUEST_IA32_DEBUGCTL)
#define VMCS_FIELD(name, encoding, width, kind, present, title) \
  [FIELD_##name] = {encoding, present, HV_DURABLE(name, kind)},
#include "vmcs/field.def"
#undef HV_DURABLE
};

/* Kept out of what every row runs through. */
#define SELDOM __attribute__((noinline)) static

static void count_unlisted(struct hv *hv) {
  if (!hv->profile->on_demand) hv->level->unlisted++;
}

/* Control and host fields stay as written, and so do the guest's debug controls, PAT and EFER,
 * whose changes always exit; the processor changes the others. It also clears the valid bit of the
 * VM-entry interruption information at every exit: SDM 3C "Recording VM-Exit Information and
 * Updating VM-entry Control Fields". */
static bool is_durable(enum vmcs_field field) {
  return trait[field].is_durable;
}

/* Of the current region, which is not the shadow. */
static inline uint64_t load_copy(struct hv *hv, enum vmcs_field field) {
  return nst_load(hv->cpu, hv->copies + 8 * (uint64_t)field, 8);
}

bool hv_field_exists(const struct hv *hv, enum vmcs_field field) {
  return hv->features >> trait[field].present & 1; /* bit 0, VMCS_ALWAYS, is set */
}

static void forget(struct hv_fields *fields) {
  _Static_assert(offsetof(struct hv_fields, value) == HV_SET_SIZE + HV_MARKS, "sets, then marks");
  for (size_t at = 0; at < HV_SET_SIZE + HV_MARKS; at += HV_FORGET_PIECE)
    memset((uint8_t *)fields + at, 0, HV_FORGET_PIECE);
}

void hv_begin(struct hv *hv, struct nst_cpu *cpu, struct hv_level *level) {
  hv->cpu = cpu;
  hv->level = level;
  hv->profile = level->profile;
  hv->base = HV_STATE;
  hv->user = hv->has_unpushed = false;
  hv->dirty = 0;
  hv->saved = hv->profile->saves_all ? HV_ALL : HV_SCRATCH;
  for (unsigned i = 0; i < HV_REGION_COUNT; i++) forget(&hv->field[i]);
}

/* ---- a region that the parent grants: loads and stores in place of VMREAD and VMWRITE */

static uint64_t granted_slot(const struct hv *hv, enum vmcs_field field) {
  return hv_region_address(hv->region) + HV_REGION_FIELDS + 8 * (uint64_t)field;
}

static void store_granted(struct hv *hv, enum vmcs_field field, uint64_t value) {
  uint8_t bit = (uint8_t)(1u << hv->region);
  nst_store(hv->cpu, granted_slot(hv, field), 8, value & vmcs_field_mask(field));
  if ((hv_field_group[field] & HV_SHADOW_RW) || (hv->dirty & bit)) return;
  hv->dirty |= bit;
  nst_store(hv->cpu, hv_region_address(hv->region) + HV_REGION_DIRTY, 8, 1);
}

/* VMX operation, if this hypervisor has left it, with the region current that was so before. */
static void need_vmx(struct hv *hv) {
  if (hv->flags & HV_VMX_LEFT) hv_run(hv, ROUTINE_VMX_RETURN);
}

/* VMREAD and VMWRITE do not reach the current region as it is. */
enum { INDIRECT = HV_VMX_LEFT | HV_VMCS_GRANTED };

SELDOM bool read_seldom(struct hv *hv, enum vmcs_field field, uint64_t *value) {
  need_vmx(hv);
  if (!(hv->flags & HV_VMCS_GRANTED))
    return nst_vmread(hv->cpu, trait[field].encoding, value) == NST_VMX_SUCCEED;
  *value = nst_load(hv->cpu, granted_slot(hv, field), 8);
  return true;
}

SELDOM void write_seldom(struct hv *hv, enum vmcs_field field, uint64_t value) {
  need_vmx(hv);
  if (hv->flags & HV_VMCS_GRANTED)
    store_granted(hv, field, value);
  else
    nst_vmwrite(hv->cpu, trait[field].encoding, value);
}

static inline void read_now(struct hv *hv, enum vmcs_field field) {
  struct hv_fields *fields = hv->now;
  uint64_t *value = &fields->value[field];
  bool done = hv->flags & INDIRECT
                  ? read_seldom(hv, field, value)
                  : nst_vmread(hv->cpu, trait[field].encoding, value) == NST_VMX_SUCCEED;
  if (!done) *value = 0;
  fields->mark[field] |= HV_KNOWN;
}

/* The instruction alone. */
static inline void put_now(struct hv *hv, enum vmcs_field field, uint64_t value) {
  if (hv->flags & INDIRECT)
    write_seldom(hv, field, value);
  else
    nst_vmwrite(hv->cpu, trait[field].encoding, value);
}

static inline void write_now(struct hv *hv, enum vmcs_field field, uint64_t value) {
  struct hv_fields *fields = hv->now;
  put_now(hv, field, value);
  fields->value[field] = value;
  fields->mark[field] = HV_KNOWN;
  if (hv->region == HV_REGION_SHADOW || !is_durable(field)) return;
  nst_store(hv->cpu, hv->copies + 8 * (uint64_t)field, 8, value);
  hv->flags |= HV_MERGE_ALL; /* it is a source of the merged region, or in it */
}

uint64_t hv_read_on_demand(struct hv *hv, enum vmcs_field field) {
  if (!hv_field_exists(hv, field)) return 0;
  count_unlisted(hv);
  read_now(hv, field);
  return hv->now->value[field];
}

uint64_t hv_copy(struct hv *hv, enum hv_region region, enum vmcs_field field) {
  const struct hv_fields *fields = &hv->field[region];
  if (fields->mark[field] & HV_IS_PENDING) return fields->next[field];
  return hv_load(hv, HV_AT(copy) + 8 * ((size_t)region * FIELD_COUNT + (size_t)field));
}

bool hv_knows(const struct hv *hv, enum hv_region region, enum vmcs_field field) {
  return hv->field[region].mark[field] & HV_KNOWN;
}

bool hv_is_injecting(const struct hv *hv) {
  const enum vmcs_field info = FIELD_VM_ENTRY_INTR_INFO_FIELD;
  unsigned mark = hv->now->mark[info];
  if (mark & HV_IS_PENDING) return hv->now->next[info] >> 31;
  return mark && hv->now->value[info] >> 31;
}

bool hv_is_pending(const struct hv *hv, enum hv_region region) {
  const struct hv_fields *fields = &hv->field[region];
  for (unsigned word = 0; word < HV_SET_WORDS; word++)
    for (uint64_t left = fields->set[word]; left; left &= left - 1)
      if (fields->mark[word * 64 + (unsigned)__builtin_ctzll(left)] & HV_IS_PENDING) return true;
  return false;
}

/* The value that a row writes which no one has set, read or written during this exit. */
static uint64_t kept_value(struct hv *hv, enum vmcs_field field) {
  if (is_durable(field) && hv->region != HV_REGION_SHADOW) return load_copy(hv, field);
  if (field == FIELD_GUEST_CR3 && !hv_has(hv, VMCS_HAS_EPT)) /* its own shadow's, then */
    return hv_load(hv, HV_AT(root) + 8 * (size_t)hv->region);
  return hv_get(hv, field);
}

/* A row that writes a field: the new value, or what the software copy holds. */
static void write_row(struct hv *hv, enum vmcs_field field) {
  const struct hv_fields *fields = hv->now;
  unsigned mark = fields->mark[field];
  uint64_t value = mark & HV_IS_PENDING ? fields->next[field]
                   : mark               ? fields->value[field]
                                        : kept_value(hv, field);
  write_now(hv, field, value);
}

uint64_t hv_region_address(enum hv_region region) {
  return HV_FIRST_REGION + (uint64_t)region * 0x1000;
}

static void load_region(struct hv *hv, enum hv_region region) {
  nst_vmptrld(hv->cpu, hv_region_address(region));
  hv_at(hv, region);
}

void hv_need_region(struct hv *hv, enum hv_region region) {
  if (hv->region == region) return;
  count_unlisted(hv);
  load_region(hv, region);
}

/* True if the region already holds this value. */
static bool holds(struct hv *hv, enum vmcs_field field, uint64_t value) {
  const struct hv_fields *fields = hv->now;
  if (fields->mark[field] & HV_KNOWN) return fields->value[field] == value;
  if (hv->region == HV_REGION_SHADOW || !is_durable(field)) return false;
  return load_copy(hv, field) == value;
}

static bool applies(struct hv *hv, const struct hv_row *row) {
  switch ((enum hv_condition)row->condition) {
    case HV_ALWAYS:
      return true;
    case HV_DIRTY:
      return hv->flags & HV_RARE_DIRTY;
    case HV_SHADOW:
      return hv_shadows(hv);
    case HV_LAZY:
      return !(hv->flags & HV_GRANTS_VMCS);
    case HV_PENDING:
      return hv->now->mark[row->argument] & HV_IS_PENDING;
    case HV_CHANGED:
      return hv->now->mark[row->argument] & HV_IS_PENDING &&
             !holds(hv, (enum vmcs_field)row->argument, hv->now->next[row->argument]);
    case HV_USER:
      return hv->user;
    case HV_APICV:
      return hv_has_apicv(hv);
    case HV_DEBUG:
      return hv->flags & HV_DEBUG_LENT;
    case HV_EPT:
      return hv_has(hv, VMCS_HAS_EPT);
    case HV_NO_EPT:
      return !hv_has(hv, VMCS_HAS_EPT);
    case HV_RESTRICTED:
      return hv->flags & HV_GUEST_RESTRICTED;
  }
  return false;
}

/* Where a debug register of the guest is kept; DR7 is in the VMCS. */
static size_t debug_offset(unsigned dr) {
  return dr == 6 ? HV_AT(dr6) : HV_AT(dr) + 8 * (dr & 3);
}

/* ---- rows that are no VMCS access */

static enum hv_region row_region(const struct hv *hv, const struct hv_row *row) {
  return row->argument == HV_REGION_CURRENT ? hv->region : (enum hv_region)row->argument;
}

/* Where the value of an MSR is kept between a row that reads it and one that writes it; 0: nowhere,
 * no row writes this one. */
static size_t row_msr(uint32_t number) {
  static const uint32_t kept[HV_ROW_MSRS] = {0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083,
                                             0xc0000084, 0xc0000102, 0xc0000103};
  for (unsigned i = 0; i < HV_ROW_MSRS; i++)
    if (kept[i] == number) return HV_AT(row_msr) + 8 * (size_t)i;
  return 0;
}

static void read_msr(struct hv *hv, uint32_t number) {
  uint64_t value;
  size_t offset = row_msr(number);
  if (nst_rdmsr(hv->cpu, number, &value) && offset) hv_store(hv, offset, value);
}

static void write_msr(struct hv *hv, uint32_t number) {
  size_t offset = row_msr(number);
  if (offset) nst_wrmsr(hv->cpu, number, hv_load(hv, offset));
}

static void clear_region(struct hv *hv, enum hv_region region) {
  nst_vmclear(hv->cpu, hv_region_address(region));
  if (region != HV_REGION_SHADOW) hv->flags &= ~((uint64_t)HV_LAUNCHED << region);
}

static void set_vmxe(struct hv *hv, uint64_t on) {
  const uint64_t vmxe = 1 << 13;
  uint64_t cr4 = nst_read_cr(hv->cpu, 4);
  nst_write_cr(hv->cpu, 4, on ? cr4 | vmxe : cr4 & ~vmxe);
}

static bool is_access(const struct hv_row *row) {
  return row->operation == HV_READ || row->operation == HV_READ_ONCE || row->operation == HV_WRITE;
}

/* Most rows: VMREAD or VMWRITE of a field. */
static void run_access(struct hv *hv, const struct hv_row *row) {
  enum vmcs_field field = (enum vmcs_field)row->argument;
  if (!hv_field_exists(hv, field)) return;
  if (row->operation == HV_WRITE)
    write_row(hv, field);
  else if (row->operation == HV_READ || !(hv->now->mark[field] & HV_KNOWN))
    read_now(hv, field);
}

SELDOM void run_other(struct hv *hv, const struct hv_row *row) {
  switch ((enum hv_operation)row->operation) {
    case HV_END:
    case HV_READ:
    case HV_READ_ONCE:
    case HV_WRITE:
      break;
    case HV_VMPTRLD:
      load_region(hv, row_region(hv, row));
      break;
    case HV_VMCLEAR:
      clear_region(hv, row_region(hv, row));
      break;
    case HV_VMXON:
      nst_vmxon(hv->cpu, HV_VMXON_REGION);
      hv->flags &= ~(uint64_t)HV_VMX_LEFT;
      break;
    case HV_VMXOFF:
      nst_vmxoff(hv->cpu);
      hv->flags |= HV_VMX_LEFT;
      break;
    case HV_SET_VMXE:
      set_vmxe(hv, row->argument);
      break;
    case HV_RDMSR:
      read_msr(hv, hv_msr_number(row->argument));
      break;
    case HV_WRMSR:
      write_msr(hv, hv_msr_number(row->argument));
      break;
    case HV_READ_CR:
      nst_read_cr(hv->cpu, row->argument);
      break;
    case HV_LOOK_DR:
      nst_read_dr(hv->cpu, row->argument);
      break;
    case HV_READ_DR:
      hv_store(hv, debug_offset(row->argument), nst_read_dr(hv->cpu, row->argument));
      break;
    case HV_WRITE_DR:
      nst_write_dr(hv->cpu, row->argument, hv_load(hv, debug_offset(row->argument)));
      break;
    case HV_ZERO:
      put_now(hv, (enum vmcs_field)row->argument, 0);
      break;
    case HV_IN:
      nst_in(hv->cpu, row->argument, 1);
      break;
    case HV_OUT:
      nst_out(hv->cpu, row->argument, 1, hv_own_port(hv, row->argument));
      break;
    case HV_RESET_DR:
      nst_write_dr(hv->cpu, row->argument, row->argument == 6 ? HV_DR6_RESET : 0x400);
      break;
  }
}

void hv_run(struct hv *hv, enum hv_routine routine) {
  const struct hv_row *row = hv->profile->routine[routine];
  if (!row) return;
  for (; row->operation != HV_END; row++) {
    if (row->condition != HV_ALWAYS && !applies(hv, row)) continue;
    if (is_access(row))
      run_access(hv, row);
    else
      run_other(hv, row);
  }
}

void hv_flush(struct hv *hv) {
  struct hv_fields *fields = hv->now;
  for (unsigned word = 0; word < HV_SET_WORDS; word++) {
    for (; fields->set[word]; fields->set[word] &= fields->set[word] - 1) {
      unsigned bit = (unsigned)__builtin_ctzll(fields->set[word]);
      enum vmcs_field field = (enum vmcs_field)(word * 64 + bit);
      if (!(fields->mark[field] & HV_IS_PENDING)) continue; /* a row wrote it */
      fields->mark[field] &= (uint8_t)~HV_IS_PENDING;
      uint64_t value = fields->next[field];
      if (!hv_field_exists(hv, field) || holds(hv, field, value)) continue;
      count_unlisted(hv);
      write_now(hv, field, value);
    }
  }
}

void hv_entry_failed(struct hv *hv) {
  if (hv->flags & HV_FIRST_ENTRY) hv->flags &= ~((uint64_t)HV_LAUNCHED << hv->region);
}

/* XCR0 is in no VMCS: it is switched by XSETBV, if the guest has enabled it and has another value.
 */
static void give_xcr0(struct hv *hv) {
  const uint64_t osxsave = 1 << 18;
  if (!(hv->flags & HV_XCR0_DIFFERS)) return;
  if (!(hv_copy(hv, hv->region, FIELD_CR4_READ_SHADOW) & osxsave)) return;
  nst_xsetbv(hv->cpu, 0, hv_load(hv, HV_AT(guest_xcr0)));
  hv->flags |= HV_XCR0_LOADED;
}

void hv_take_xcr0(struct hv *hv) {
  if (!(hv->flags & HV_XCR0_LOADED)) return;
  nst_xsetbv(hv->cpu, 0, hv_load(hv, HV_AT(host_xcr0)));
  hv->flags &= ~(uint64_t)HV_XCR0_LOADED;
}

static void restore_registers(struct hv *hv) {
  if (hv->profile->saves_all) nst_write_cr(hv->cpu, 2, hv_load(hv, HV_AT(cr2)));
  nst_restore_regs(hv->cpu, hv->saved);
}

enum nst_native_end hv_enter(struct hv *hv) {
  if (hv->flags & HV_PUSH_DUE && hv->region == HV_REGION_OWN) hv_nested_push(hv);
  need_vmx(hv);
  hv_use_shadow(hv, hv->region);
  hv_flush_translations(hv);
  hv_run(hv, ROUTINE_ENTER);
  hv_flush(hv);
  give_xcr0(hv);
  uint64_t launched = (uint64_t)HV_LAUNCHED << hv->region;
  bool resume = hv->flags & launched;
  hv->flags = (hv->flags & ~(uint64_t)HV_FIRST_ENTRY) | launched | (resume ? 0 : HV_FIRST_ENTRY);
  hv_store(hv, HV_AT(flags), hv->flags);
  hv_keep_changes(hv);
  restore_registers(hv);
  return resume ? NST_NATIVE_RESUME : NST_NATIVE_LAUNCH;
}
