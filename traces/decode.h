/* SPDX-License-Identifier: MIT
 * One exit while its records still come in, and how kind and arguments follow from them. */
#ifndef TRACES_DECODE_H
#define TRACES_DECODE_H

#include "traces/event.h"
#include "traces/record.h"

/* The record that says what an instruction was about, reduced to what events need. */
struct exit_detail {
  uint64_t value[SLOT_TOTAL - SLOT_INFO1]; /* by slot, from SLOT_INFO1 on */
  uint32_t known;
  uint8_t id; /* enum record_id; RECORD_NONE: there was none */
};

struct pending_exit {
  struct trace_event event;
  const struct reason_row *row;          /* of the reason that was delivered; may be NULL */
  const struct reason_row *hardware_row; /* of the hardware exit */
  uint64_t info[4];                      /* info1, info2, interruption information, error code */
  uint64_t hardware_info1;
  uint64_t gpa;
  uint64_t apic_value;
  uint32_t info_known;
  uint16_t name; /* of the exit record, index into the loss report */
  bool has_hardware_info1, has_gpa, has_apic_value, apic_write, gpa_write, has_gpa_write;
  bool is_arm_interrupt;
  bool is_done;
  struct exit_detail main; /* kvm_cpuid, kvm_msr, kvm_cr, kvm_pio, kvm_hypercall */
  struct exit_detail mmio; /* kvm_mmio, kvm_fast_mmio */
};

void exit_detail_set(struct exit_detail *detail, const struct record *record);

/* Takes reason and exit information from the record. */
void pending_exit_reason(struct pending_exit *exit, const struct record *record);

/* Fills in kind and arguments of exit->event from everything that came. */
void pending_exit_decode(struct pending_exit *exit);

/* After decoding: sets TRACE_RETRY if the guest goes on at `rip` with nothing done. */
void pending_exit_resume(struct pending_exit *exit, uint64_t rip);

#endif
