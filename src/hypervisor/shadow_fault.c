/* SPDX-License-Identifier: MIT
 * Page faults of a guest on shadow tables: its own fault, which it or its hypervisor is told, or an
 * entry that the shadow lacks. And the other exits that keep shadow and guest in step. */
#include "src/hypervisor/shadow.h"

enum {
  VECTOR_DF = 8,
  VECTOR_PF = 14,
  ERROR_WRITE = 2,
  ERROR_USER = 4,
  ERROR_RESERVED = 8,
  ERROR_FETCH = 16,
  ALIGNMENT_CHECK = 18 /* bit of RFLAGS */
};
enum { CR0_WP = 16, CR4_SMEP = 20, CR4_SMAP = 21, EFER_NXE = 11 };

/* ---- what the guest's translations depend on */

/* A control register as the nested guest's hypervisor set it up, or as the guest wrote it since. */
static uint64_t nested_cr(struct hv *hv, unsigned cr) {
  uint64_t theirs = hv_vmcs12(hv, cr ? FIELD_CR4_GUEST_HOST_MASK : FIELD_CR0_GUEST_HOST_MASK);
  uint64_t value = hv_vmcs12(hv, cr ? FIELD_GUEST_CR4 : FIELD_GUEST_CR0);
  uint64_t shadow =
      hv_copy(hv, HV_REGION_MERGED, cr ? FIELD_CR4_READ_SHADOW : FIELD_CR0_READ_SHADOW);
  return (value & theirs) | (shadow & ~theirs);
}

static struct hv_context context_of(struct hv *hv, enum hv_region region) {
  bool nested = region == HV_REGION_MERGED;
  uint64_t cr0 = nested ? nested_cr(hv, 0) : hv_copy(hv, region, FIELD_CR0_READ_SHADOW);
  uint64_t cr4 = nested ? nested_cr(hv, 4) : hv_copy(hv, region, FIELD_CR4_READ_SHADOW);
  return (struct hv_context){
      .cr3 = nested ? hv_vmcs12(hv, FIELD_GUEST_CR3) : hv_load(hv, HV_AT(guest_cr3)),
      .write_protect = cr0 >> CR0_WP & 1,
      .no_execute = hv_copy(hv, region, FIELD_GUEST_IA32_EFER) >> EFER_NXE & 1,
      .smep = cr4 >> CR4_SMEP & 1,
      .smap = cr4 >> CR4_SMAP & 1};
}

uint64_t hv_get_cr3(struct hv *hv) {
  if (hv_has(hv, VMCS_HAS_EPT)) return hv_get(hv, FIELD_GUEST_CR3);
  return context_of(hv, hv->region).cr3;
}

void hv_set_cr3(struct hv *hv, enum hv_region region, uint64_t value) {
  if (hv_has(hv, VMCS_HAS_EPT)) {
    hv_set_in(hv, region, FIELD_GUEST_CR3, value);
    return;
  }
  if (region == HV_REGION_MERGED)
    hv_set_vmcs12(hv, FIELD_GUEST_CR3, value);
  else
    hv_store(hv, HV_AT(guest_cr3), value);
}

void hv_use_shadow(struct hv *hv, enum hv_region region) {
  if (hv_has(hv, VMCS_HAS_EPT)) return;
  struct hv_context context = context_of(hv, region);
  hv_shadow_root(hv, region, &context);
}

bool hv_is_valid_cr3(struct hv *hv, uint64_t value) {
  if (hv_has(hv, VMCS_HAS_EPT)) return true; /* the processor checks it */
  return !(value >> hv_load(hv, HV_AT(physical_bits)));
}

/* ---- invalidation by the guest */

void hv_translations_dropped(struct hv *hv) {
  if (hv_has(hv, VMCS_HAS_EPT)) return;
  hv_shadow_sync(hv, true);
  hv->flags |= HV_FLUSH_DUE;
}

void hv_translation_dropped(struct hv *hv, uint64_t linear) {
  if (hv_has(hv, VMCS_HAS_EPT)) return;
  bool canonical = (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
  if (!canonical) return;
  if (hv->flags & HV_VMX_LEFT)
    hv->flags |= HV_FLUSH_DUE; /* INVVPID needs VMX operation */
  else if (hv_has(hv, VMCS_HAS_VPID))
    nst_invvpid(hv->cpu, 0, hv_vpid(hv->region), linear);
  hv_shadow_sync(hv, false);
}

/* Without VPIDs every entry drops what is cached. */
void hv_flush_translations(struct hv *hv) {
  enum { ONE_CONTEXT = 1, ALL_CONTEXTS = 2 };
  if (!(hv->flags & HV_FLUSH_DUE)) return;
  hv->flags &= ~(uint64_t)HV_FLUSH_DUE;
  if (!hv_has(hv, VMCS_HAS_VPID)) return;
  bool both = hv->flags & HV_GUEST_IS_VMX;
  nst_invvpid(hv->cpu, both ? ALL_CONTEXTS : ONE_CONTEXT, both ? 0 : hv_vpid(hv->region), 0);
}

/* ---- the guest's tables, read and marked in its memory */

static bool load_entry(void *context, struct host_phys address, uint64_t *entry) {
  struct hv *hv = context;
  uint64_t own = hv_guest_memory(hv, address.value);
  if (own == UINT64_MAX) return false;
  *entry = nst_load(hv->cpu, own, 8);
  return true;
}

static bool store_entry(void *context, struct host_phys address, uint64_t entry) {
  struct hv *hv = context;
  uint64_t own = hv_guest_memory(hv, address.value);
  if (own == UINT64_MAX) return false;
  nst_store(hv->cpu, own, 8, entry);
  return true;
}

static unsigned access_of(uint64_t error) {
  unsigned access = error & ERROR_FETCH   ? (unsigned)WALK_EXECUTE
                    : error & ERROR_WRITE ? (unsigned)WALK_WRITE
                                          : (unsigned)WALK_READ;
  return access | (error & ERROR_USER ? (unsigned)WALK_USER : 0);
}

static bool walk(struct hv *hv, const struct hv_context *context, uint64_t linear, unsigned access,
                 struct walk_result *result) {
  struct walk_memory memory = {hv, load_entry, store_entry};
  bool checks_alignment = context->smap && (hv_get(hv, FIELD_GUEST_RFLAGS) >> ALIGNMENT_CHECK & 1);
  struct walk_request request = {.cr3 = context->cr3,
                                 .access = access,
                                 .physical_bits = (unsigned)hv_load(hv, HV_AT(physical_bits)),
                                 .paging = true,
                                 .write_protect = context->write_protect,
                                 .no_execute = context->no_execute,
                                 .smep = context->smep,
                                 .smap = context->smap,
                                 .alignment_override = checks_alignment};
  return walk_run(&memory, &request, linear_addr_make(linear), result) == WALK_OK;
}

/* ---- the guest's own faults */

/* Into the guest that runs. While another exception was being delivered it may make a double fault,
 * or the third one: SDM 3A "Interrupt 8 - Double Fault Exception". Of a first contributory one
 * nothing is left: the instruction comes again. */
static void inject_page_fault(struct hv *hv, uint64_t linear, uint32_t error) {
  enum { HARDWARE_EXCEPTION = 3 };
  uint64_t first = hv_get(hv, FIELD_IDT_VECTORING_INFO_FIELD);
  bool during = first >> 31 && (first >> 8 & 7) == HARDWARE_EXCEPTION;
  unsigned vector = first & 0xff;
  if (hv->profile->saves_all)
    hv_store(hv, HV_AT(cr2), linear);
  else
    nst_write_cr(hv->cpu, 2, linear);
  if (during && vector == VECTOR_DF)
    hv_triple_fault(hv);
  else if (during && vector == VECTOR_PF)
    hv_inject(hv, VECTOR_DF, true, 0);
  else
    hv_inject(hv, VECTOR_PF, true, error);
}

static void tell_fault(struct hv *hv, uint64_t linear, uint32_t error) {
  if (!(hv->flags & HV_IN_NESTED) || !hv_wants_exception(hv, VECTOR_PF, error)) {
    inject_page_fault(hv, linear, error);
    return;
  }
  hv_reflect(hv, EXIT_REASON_EXCEPTION_NMI, linear, 0);
  hv_set_vmcs12(hv, FIELD_VM_EXIT_INTR_ERROR_CODE, error);
}

void hv_handle_page_fault(struct hv *hv) {
  hv_run(hv, ROUTINE_PAGE_FAULT);
  uint64_t error = hv_get(hv, FIELD_VM_EXIT_INTR_ERROR_CODE);
  uint64_t linear = hv_get(hv, FIELD_EXIT_QUALIFICATION);
  struct hv_context context = context_of(hv, hv->region);
  struct walk_result result;
  unsigned access = access_of(error);
  if (!(error & ERROR_RESERVED)) hv_run(hv, ROUTINE_PAGE_FAULT_WALK);
  if (!walk(hv, &context, linear, access, &result)) {
    /* A table where there is no memory holds nothing. */
    bool outside = result.outcome == WALK_BUS_ERROR;
    tell_fault(hv, linear,
               outside ? error & (ERROR_WRITE | ERROR_USER | ERROR_FETCH) : result.error_code);
  } else if (!hv_shadow_map(hv, &context, linear, access, &result)) {
    hv_emulate_access(hv, result.guest.value);
  }
}
