/* SPDX-License-Identifier: MIT
 * Kind and arguments of an exit, from its reason, exit information and detail records. Layouts:
 * SDM 3C "Basic VM-Exit Information" (exit qualification), APM Volume 2 "SVM Intercept Exit
 * Codes" (EXITINFO1, EXITINFO2). */
#include "traces/decode.h"

#include <string.h>

enum { INFO1, INFO2, INTR, ERROR_CODE };

static bool has_info(const struct pending_exit *exit, unsigned which) {
  return exit->info_known >> which & 1u;
}

static void set_argument(struct trace_event *event, unsigned index, uint64_t value) {
  uint64_t *const arguments[4] = {&event->a, &event->b, &event->c, &event->d};
  *arguments[index] = value;
  event->flags |= TRACE_HAS_A << index;
}

static bool detail_has(const struct exit_detail *detail, unsigned slot) {
  return detail->known >> slot & 1u;
}

static uint64_t detail_value(const struct exit_detail *detail, unsigned slot) {
  return detail->value[slot - SLOT_INFO1];
}

static void set_from(struct trace_event *event, unsigned index, const struct exit_detail *detail,
                     unsigned slot) {
  if (detail_has(detail, slot)) set_argument(event, index, detail_value(detail, slot));
}

void exit_detail_set(struct exit_detail *detail, const struct record *record) {
  memcpy(detail->value, record->value + SLOT_INFO1, sizeof detail->value);
  detail->known = record->known;
  detail->id = record->id;
}

void pending_exit_reason(struct pending_exit *exit, const struct record *record) {
  struct trace_event *event = &exit->event;
  exit->row = record->row;
  if (record->arch != TRACE_ARCH_NONE) event->arch = record->arch;
  event->flags &= ~TRACE_HAS_REASON;
  event->reason = 0;
  if (RECORD_KNOWS(record, SLOT_REASON)) {
    event->reason = (uint32_t)record->value[SLOT_REASON];
    event->flags |= TRACE_HAS_REASON;
  }
  exit->is_arm_interrupt =
      RECORD_KNOWS(record, SLOT_CODE) && record->value[SLOT_CODE] == ARM_CODE_IRQ;
  exit->info_known = record->known >> SLOT_INFO1 & 15u;
  memcpy(exit->info, record->value + SLOT_INFO1, sizeof exit->info);
  /* Before Linux 5.10 the second of two values was the interruption information on VMX. */
  if (event->arch == TRACE_ARCH_VMX && has_info(exit, INFO2) && !has_info(exit, INTR)) {
    exit->info[INTR] = exit->info[INFO2];
    exit->info_known = (exit->info_known & ~(1u << INFO2)) | 1u << INTR;
  }
}

static bool is_apic_page(uint64_t gpa) {
  return gpa >> 12 == 0xfee00;
}

/* The access that the hypervisor emulated. WRITE: 0 or 1 load, 2 store. */
static void decode_emulated_access(struct pending_exit *exit) {
  const struct exit_detail *mmio = &exit->mmio;
  bool is_write = mmio->id == RECORD_FAST_MMIO || detail_value(mmio, SLOT_WRITE) == 2;
  exit->event.kind = is_write ? TRACE_MMIO_WRITE : TRACE_MMIO_READ;
  set_from(&exit->event, 0, mmio, SLOT_NUMBER);
  set_from(&exit->event, 1, mmio, SLOT_SIZE);
  /* A load that user space has not answered yet shows 0. */
  if (is_write || detail_value(mmio, SLOT_WRITE) == 1) {
    set_from(&exit->event, 2, mmio, SLOT_VALUE);
  }
}

static void decode_access_at(struct pending_exit *exit, bool is_write) {
  exit->event.kind = is_write ? TRACE_MMIO_WRITE : TRACE_MMIO_READ;
  set_argument(&exit->event, 0, exit->gpa);
  if (exit->has_apic_value && exit->apic_write == is_write) {
    set_argument(&exit->event, 2, exit->apic_value);
  }
}

/* access: bit 0 read, bit 1 write, bit 2 fetch, as in the qualification. */
static void decode_touch(struct pending_exit *exit, bool has_access, uint64_t access) {
  if (exit->mmio.id != RECORD_NONE) {
    decode_emulated_access(exit);
  } else if (exit->has_gpa && is_apic_page(exit->gpa) && has_access) {
    decode_access_at(exit, access & 2);
  } else {
    if (exit->has_gpa) set_argument(&exit->event, 0, exit->gpa);
    if (has_access) set_argument(&exit->event, 1, access);
  }
}

static void decode_touch_svm(struct pending_exit *exit) {
  if (!exit->has_gpa && has_info(exit, INFO2)) {
    exit->gpa = exit->info[INFO2];
    exit->has_gpa = true;
  }
  uint64_t error = exit->info[INFO1];
  decode_touch(exit, has_info(exit, INFO1), error & 0x10 ? 4 : error & 2 ? 2 : 1);
}

/* An EPT misconfiguration says nothing itself. One that level 1 was given in place of the
 * hardware's EPT violation has that one's direction. */
static void decode_mmio(struct pending_exit *exit) {
  bool is_violation =
      exit->hardware_row && exit->hardware_row->decode == DECODE_TOUCH && exit->has_hardware_info1;
  if (exit->mmio.id != RECORD_NONE) {
    decode_emulated_access(exit);
  } else if (exit->has_gpa && exit->has_gpa_write) {
    decode_access_at(exit, exit->gpa_write);
  } else if (exit->has_gpa && is_violation) {
    decode_access_at(exit, exit->hardware_info1 & 2);
  }
}

static void decode_exception(struct pending_exit *exit) {
  uint64_t information = exit->info[INTR];
  if (exit->mmio.id != RECORD_NONE) {
    decode_emulated_access(exit);
    return;
  }
  if (!has_info(exit, INTR)) return;
  if ((information >> 8 & 7) == 2) {
    exit->event.kind = TRACE_NMI;
    return;
  }
  set_argument(&exit->event, 0, information & 0xff);
  bool has_error = information >> 11 & 1;
  if (has_error && has_info(exit, ERROR_CODE))
    set_argument(&exit->event, 1, exit->info[ERROR_CODE]);
  if ((information & 0xff) == 14 && has_info(exit, INFO1)) {
    set_argument(&exit->event, 2, exit->info[INFO1]);
  }
}

static void decode_exception_named(struct pending_exit *exit) {
  if (exit->mmio.id != RECORD_NONE) {
    decode_emulated_access(exit);
    return;
  }
  set_argument(&exit->event, 0, exit->row->argument);
  if (exit->row->argument != 14) return;
  if (has_info(exit, INFO1)) set_argument(&exit->event, 1, exit->info[INFO1]);
  if (has_info(exit, INFO2)) set_argument(&exit->event, 2, exit->info[INFO2]);
}

static void decode_cr(struct pending_exit *exit) {
  static const uint16_t kinds[4] = {TRACE_MOV_TO_CR, TRACE_MOV_FROM_CR, TRACE_CLTS, TRACE_LMSW};
  uint64_t qualification = exit->info[INFO1];
  if (!has_info(exit, INFO1)) {
    exit->event.kind = TRACE_UNKNOWN;
    return;
  }
  unsigned type = qualification >> 4 & 3;
  exit->event.kind = kinds[type];
  if (type == 3) set_argument(&exit->event, 0, qualification >> 16 & 0xffff);
  if (type > 1) return;
  set_argument(&exit->event, 0, qualification & 15);
  if (exit->main.id == RECORD_CR) set_from(&exit->event, 1, &exit->main, SLOT_VALUE);
}

static void decode_cr_named(struct pending_exit *exit) {
  set_argument(&exit->event, 0, exit->row->argument);
  if (exit->main.id == RECORD_CR) set_from(&exit->event, 1, &exit->main, SLOT_VALUE);
}

static void decode_dr(struct pending_exit *exit) {
  if (!has_info(exit, INFO1)) return;
  set_argument(&exit->event, 0, exit->info[INFO1] & 7);
  set_argument(&exit->event, 2, exit->info[INFO1] >> 4 & 1);
}

/* Port accesses: the qualification or EXITINFO1 first, then what kvm_pio adds. */
static void decode_io(struct pending_exit *exit) {
  struct trace_event *event = &exit->event;
  bool is_svm = exit->row->decode == DECODE_IO_SVM, is_in = false;
  uint64_t info = exit->info[INFO1];
  if (has_info(exit, INFO1)) {
    is_in = is_svm ? info & 1 : info >> 3 & 1;
    if (is_svm ? info >> 2 & 1 : info >> 4 & 1) event->flags |= TRACE_STRING;
    set_argument(event, 0, info >> 16 & 0xffff);
    set_argument(event, 1, is_svm ? info >> 4 & 7 : (info & 7) + 1);
  }
  if (exit->main.id == RECORD_PIO) {
    is_in = detail_value(&exit->main, SLOT_WRITE) == 0;
    set_from(event, 0, &exit->main, SLOT_NUMBER);
    set_from(event, 1, &exit->main, SLOT_SIZE);
    set_from(event, 2, &exit->main, SLOT_VALUE);
    set_from(event, 3, &exit->main, SLOT_COUNT);
  }
  bool is_told = has_info(exit, INFO1) || exit->main.id == RECORD_PIO;
  event->kind = !is_told ? TRACE_UNKNOWN : is_in ? TRACE_IO_IN : TRACE_IO_OUT;
}

static void decode_msr(struct pending_exit *exit) {
  bool is_write = exit->event.kind == TRACE_WRMSR;
  if (exit->row->decode == DECODE_MSR_SVM) {
    if (has_info(exit, INFO1)) is_write = exit->info[INFO1] & 1;
    if (!has_info(exit, INFO1) && exit->main.id != RECORD_MSR) exit->event.kind = TRACE_UNKNOWN;
  }
  if (exit->main.id == RECORD_MSR) {
    is_write = detail_value(&exit->main, SLOT_WRITE) != 0;
    set_from(&exit->event, 0, &exit->main, SLOT_NUMBER);
    if (detail_value(&exit->main, SLOT_FAULT)) exit->event.flags |= TRACE_FAULTED;
    bool has_value = is_write || !detail_value(&exit->main, SLOT_FAULT);
    if (has_value) set_from(&exit->event, 1, &exit->main, SLOT_VALUE);
  }
  if (exit->event.kind != TRACE_UNKNOWN) exit->event.kind = is_write ? TRACE_WRMSR : TRACE_RDMSR;
}

static void decode_apic_access(struct pending_exit *exit) {
  uint64_t type = exit->info[INFO1] >> 12 & 15;
  if (!has_info(exit, INFO1) || type > 1) {
    exit->event.kind = TRACE_UNKNOWN;
    return;
  }
  exit->event.kind = type ? TRACE_APIC_WRITE : TRACE_APIC_READ;
  set_argument(&exit->event, 0, exit->info[INFO1] & 0xfff);
  if (exit->has_apic_value && exit->apic_write == (type == 1)) {
    set_argument(&exit->event, 1, exit->apic_value);
  }
}

static void decode_apic_write(struct pending_exit *exit) {
  if (has_info(exit, INFO1)) set_argument(&exit->event, 0, exit->info[INFO1] & 0xfff);
  if (exit->has_apic_value && exit->apic_write) set_argument(&exit->event, 1, exit->apic_value);
}

static void decode_call(struct pending_exit *exit) {
  static const uint8_t slots[] = {SLOT_NUMBER, SLOT_INFO1, SLOT_INFO2, SLOT_INTR};
  if (exit->main.id != RECORD_HYPERCALL) return;
  for (unsigned i = 0; i < 4; i++) set_from(&exit->event, i, &exit->main, slots[i]);
}

static void decode_plain(struct pending_exit *exit) {
  struct trace_event *event = &exit->event;
  const struct reason_row *row = exit->row;
  bool has_info1 = has_info(exit, INFO1);
  if (row->decode == DECODE_REASON && event->flags & TRACE_HAS_REASON) {
    set_argument(event, 0, event->reason);
  } else if (row->decode == DECODE_CPUID && exit->main.id == RECORD_CPUID) {
    set_from(event, 0, &exit->main, SLOT_NUMBER);
    set_from(event, 1, &exit->main, SLOT_VALUE);
  } else if (row->decode == DECODE_DR_READ || row->decode == DECODE_DR_WRITE) {
    set_argument(event, 0, row->argument);
    set_argument(event, 2, row->decode == DECODE_DR_READ);
  } else if (row->decode == DECODE_VECTOR && has_info(exit, INTR) && exit->info[INTR] >> 31 & 1) {
    set_argument(event, 0, exit->info[INTR] & 0xff);
  } else if (row->decode == DECODE_EOI && has_info1) {
    set_argument(event, 0, exit->info[INFO1] & 0xff);
  } else if (row->decode == DECODE_ADDRESS && has_info1) {
    set_argument(event, 0, exit->info[INFO1]);
  } else if (row->decode == DECODE_ADDRESS_ASSIST && has_info1 && exit->info[INFO1] != 0) {
    set_argument(event, 0, exit->info[INFO1]);
  }
}

static void decode_arm(struct pending_exit *exit) {
  struct trace_event *event = &exit->event;
  event->kind = exit->is_arm_interrupt ? TRACE_INTERRUPT : TRACE_ARM_EXIT;
  if (!exit->is_arm_interrupt) set_argument(event, 0, event->reason);
}

void pending_exit_decode(struct pending_exit *exit) {
  if (exit->event.arch == TRACE_ARCH_ARM64 && exit->event.flags & TRACE_HAS_REASON) {
    decode_arm(exit);
    return;
  }
  if (!exit->row) {
    exit->event.kind = TRACE_UNKNOWN;
    return;
  }
  exit->event.kind = exit->row->kind;
  switch ((enum reason_decode)exit->row->decode) {
    case DECODE_PLAIN:
    case DECODE_REASON:
    case DECODE_CPUID:
    case DECODE_DR_READ:
    case DECODE_DR_WRITE:
    case DECODE_VECTOR:
    case DECODE_EOI:
    case DECODE_ADDRESS:
    case DECODE_ADDRESS_ASSIST:
      decode_plain(exit);
      break;
    case DECODE_MSR:
    case DECODE_MSR_SVM:
      decode_msr(exit);
      break;
    case DECODE_VMCALL:
      decode_call(exit);
      break;
    case DECODE_CR:
      decode_cr(exit);
      break;
    case DECODE_CR_NAMED:
      decode_cr_named(exit);
      break;
    case DECODE_DR:
      decode_dr(exit);
      break;
    case DECODE_IO:
    case DECODE_IO_SVM:
      decode_io(exit);
      break;
    case DECODE_EXCEPTION:
      decode_exception(exit);
      break;
    case DECODE_EXCEPTION_NAMED:
      decode_exception_named(exit);
      break;
    case DECODE_TOUCH:
      decode_touch(exit, has_info(exit, INFO1), exit->info[INFO1] & 7);
      break;
    case DECODE_TOUCH_SVM:
      decode_touch_svm(exit);
      break;
    case DECODE_MMIO:
      decode_mmio(exit);
      break;
    case DECODE_APIC_ACCESS:
      decode_apic_access(exit);
      break;
    case DECODE_APIC_WRITE:
      decode_apic_write(exit);
      break;
  }
}

/* Kinds whose guest always goes on where it exited. */
static bool stays_in_place(unsigned kind) {
  return kind == TRACE_MEM_TOUCH || kind == TRACE_EXCEPTION || kind == TRACE_APIC_WRITE ||
         kind == TRACE_EOI || kind == TRACE_TPR || kind == TRACE_TASK_SWITCH ||
         kind == TRACE_TRIPLE_FAULT;
}

void pending_exit_resume(struct pending_exit *exit, uint64_t rip) {
  struct trace_event *event = &exit->event;
  bool has_effect = exit->main.id != RECORD_NONE || exit->mmio.id != RECORD_NONE;
  uint32_t not_here = TRACE_FAULTED | TRACE_ENTERS | TRACE_NO_EXIT;
  if (trace_kind_cause(event->kind) != TRACE_CAUSE_GUEST || stays_in_place(event->kind)) return;
  if (has_effect || event->flags & not_here || !(event->flags & TRACE_HAS_RIP)) return;
  if (event->rip == rip) event->flags |= TRACE_RETRY;
}
