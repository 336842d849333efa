/* SPDX-License-Identifier: MIT
 * The native handler: what happens at a hypervisor's three entry points. */
#include "src/hypervisor/hv.h"

enum { TYPE_NMI = 2, BLOCKED_BY_NMI = 8 };

static void save_registers(struct hv *hv) {
  nst_save_regs(hv->cpu, hv->saved);
  if (hv->profile->saves_all) hv_store(hv, HV_AT(cr2), nst_read_cr(hv->cpu, 2));
}

/* The event whose delivery the exit interrupted has an error code. */
static bool has_vectoring_error(struct hv *hv) {
  uint64_t info = hv_get(hv, FIELD_IDT_VECTORING_INFO_FIELD);
  return info >> 31 && (info >> 11 & 1);
}

/* An event whose delivery the exit interrupted is delivered again. */
static void requeue_event(struct hv *hv, uint32_t reason) {
  bool possible = reason == EXIT_REASON_EPT_VIOLATION || reason == EXIT_REASON_EPT_MISCONFIG ||
                  reason == EXIT_REASON_EXCEPTION_NMI || reason == EXIT_REASON_PML_FULL;
  bool asked = hv_knows(hv, hv->region, FIELD_IDT_VECTORING_INFO_FIELD);
  if (!asked && !(possible && hv->profile->on_demand)) return;
  uint64_t info = hv_get(hv, FIELD_IDT_VECTORING_INFO_FIELD);
  if (!(info >> 31) || hv_is_injecting(hv)) return;
  hv_set(hv, FIELD_VM_ENTRY_INTR_INFO_FIELD, info & ~UINT64_C(0x7000));
  if (has_vectoring_error(hv))
    hv_set(hv, FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE, hv_get(hv, FIELD_IDT_VECTORING_ERROR_CODE));
  /* The first try has blocked NMIs already. */
  if ((info >> 8 & 7) == TYPE_NMI)
    hv_set(hv, FIELD_GUEST_INTERRUPTIBILITY_INFO,
           hv_get(hv, FIELD_GUEST_INTERRUPTIBILITY_INFO) & ~(uint64_t)BLOCKED_BY_NMI);
  if ((info >> 8 & 7) >= 4)
    hv_set(hv, FIELD_VM_ENTRY_INSTRUCTION_LEN, hv_get(hv, FIELD_VM_EXIT_INSTRUCTION_LEN));
}

/* The processor has acknowledged it: its handler is called. */
static void take_interrupt(struct hv *hv) {
  hv_run(hv, ROUTINE_EXIT_EVENT);
  hv_host_interrupt(hv, hv_get(hv, FIELD_VM_EXIT_INTR_INFO) & 0xff);
}

static enum nst_native_end handle_exit(struct hv *hv) {
  hv->flags = hv_load(hv, HV_AT(flags));
  hv->features = hv_load(hv, HV_AT(features));
  hv_at(hv, hv->flags & HV_IN_NESTED ? HV_REGION_MERGED : HV_REGION_OWN);
  hv_take_xcr0(hv);
  hv_run(hv, ROUTINE_EXIT);
  if (hv_knows(hv, hv->region, FIELD_IDT_VECTORING_INFO_FIELD) && has_vectoring_error(hv))
    hv_run(hv, ROUTINE_EXIT_VECTORING);
  hv_take_debug(hv);
  uint32_t reason = (uint32_t)hv_get(hv, FIELD_VM_EXIT_REASON);
  if (hv->flags & HV_IN_NESTED) {
    if (reason == EXIT_REASON_EXTERNAL_INTERRUPT) take_interrupt(hv);
    hv_nested_exit(hv, reason);
    if (hv->flags & HV_IN_NESTED) requeue_event(hv, reason);
    hv_deliver(hv);
    return hv_enter(hv);
  }
  if (reason & EXIT_REASON_FAILED_ENTRY) return NST_NATIVE_STOP; /* our own VMCS is broken */
  hv->level->own_exits[reason % EXIT_REASON_LIMIT]++;
  if (reason == EXIT_REASON_EXTERNAL_INTERRUPT) take_interrupt(hv);
  hv_run(hv, ROUTINE_EXIT_OWN);
  requeue_event(hv, reason);
  hv_handle(hv, reason);
  hv_deliver(hv);
  return hv_enter(hv);
}

/* VMLAUNCH or VMRESUME was refused: of the merged VMCS, the guest hypervisor is told. */
static enum nst_native_end handle_refusal(struct hv *hv) {
  hv->flags = hv_load(hv, HV_AT(flags));
  hv->features = hv_load(hv, HV_AT(features));
  if (!(hv->flags & HV_IN_NESTED)) return NST_NATIVE_STOP;
  hv_at(hv, HV_REGION_MERGED);
  hv_take_xcr0(hv);
  hv_entry_failed(hv);
  hv_nested_refused(hv);
  return hv_enter(hv);
}

enum nst_native_end hv_native(struct nst_cpu *cpu, void *context, enum nst_native_entry entry) {
  struct hv hv;
  hv_begin(&hv, cpu, context);
  switch (entry) {
    case NST_NATIVE_START:
      return hv_boot(&hv);
    case NST_NATIVE_EXIT:
      save_registers(&hv);
      return handle_exit(&hv);
    case NST_NATIVE_FAILED:
      save_registers(&hv);
      return handle_refusal(&hv);
  }
  return NST_NATIVE_STOP;
}
