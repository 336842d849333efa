/* SPDX-License-Identifier: MIT
 * Interrupts: the 8259 PIC and 8254 PIT that the guest has, the hypervisor's own timer, waiting,
 * and giving the guest what is due. Time passes while a hypervisor waits for its own timer, by what
 * it set that timer to; nothing else here knows the time. */
#include "src/hypervisor/hv.h"

enum {
  PIT_HZ = 1193182,
  TICK = PIT_HZ / 250,   /* of the hypervisor's own kernel */
  LONGEST_WAIT = 0x7fff, /* what a kernel sets a 16-bit timer to at most */
  INTERRUPT_FLAG = 1 << 9,
  BLOCKED_BY_STI_OR_MOV_SS = 3
};
#define VALID (UINT64_C(1) << 31)

/* ---- the guest's PIC: one line, the timer's, is ever raised. Intel 8259A data sheet. */

enum { PIC_READY, PIC_ICW2, PIC_ICW3, PIC_ICW4 };
enum { TIMER_LINE = 1 };

static void pic_command(struct hv *hv, uint64_t value) {
  if (value >> 4 & 1) { /* ICW1 */
    hv_store(hv, HV_AT(pic_step), PIC_ICW2);
    hv_store(hv, HV_AT(pic_needs_icw4), value & 1);
    hv_store(hv, HV_AT(port_irq_mask), 0);
    hv_store(hv, HV_AT(pic_in_service), 0);
    hv_store(hv, HV_AT(pic_auto_end), 0);
  } else if (value >> 5 == 1 || value >> 5 == 3) { /* end of interrupt, of the highest or of one */
    hv_store(hv, HV_AT(pic_in_service), 0);
  }
}

static void pic_data(struct hv *hv, uint64_t value) {
  uint64_t step = hv_load(hv, HV_AT(pic_step));
  bool last = step == PIC_ICW4 || (step == PIC_ICW3 && !hv_load(hv, HV_AT(pic_needs_icw4)));
  if (step == PIC_READY) {
    hv_store(hv, HV_AT(port_irq_mask), value & 0xff);
    return;
  }
  if (step == PIC_ICW4) hv_store(hv, HV_AT(pic_auto_end), value >> 1 & 1);
  if (step == PIC_ICW2) hv_store(hv, HV_AT(pic_base), value & 0xf8);
  hv_store(hv, HV_AT(pic_step), last ? (uint64_t)PIC_READY : step + 1);
}

/* A request that is masked, or behind one in service, waits. */
static bool is_requested(struct hv *hv) {
  return hv->flags & HV_TIMER_LINE && !(hv_load(hv, HV_AT(port_irq_mask)) & TIMER_LINE) &&
         !hv_load(hv, HV_AT(pic_in_service));
}

static uint64_t acknowledge(struct hv *hv) {
  hv->flags &= ~(uint64_t)HV_TIMER_LINE;
  hv_store(hv, HV_AT(pic_in_service), hv_load(hv, HV_AT(pic_auto_end)) ? 0 : TIMER_LINE);
  return hv_load(hv, HV_AT(pic_base));
}

/* ---- its PIT: counter 0, loaded low byte first. Intel 8254 data sheet. */

static void pit_control(struct hv *hv, uint64_t value) {
  unsigned mode = value >> 1 & 7;
  if (value >> 6) return; /* another counter */
  hv_store(hv, HV_AT(pit_periodic), mode == 2 || mode == 3 || mode == 6 || mode == 7);
  hv_store(hv, HV_AT(pit_has_low), 0);
  hv_store(hv, HV_AT(pit_left), 0);
}

static void pit_count(struct hv *hv, uint64_t value) {
  if (!hv_load(hv, HV_AT(pit_has_low))) {
    hv_store(hv, HV_AT(pit_low), value & 0xff);
    hv_store(hv, HV_AT(pit_has_low), 1);
    return;
  }
  uint64_t count = (value & 0xff) << 8 | hv_load(hv, HV_AT(pit_low));
  hv_store(hv, HV_AT(pit_has_low), 0);
  hv_store(hv, HV_AT(pit_count), count ? count : 0x10000);
  hv_store(hv, HV_AT(pit_left), count ? count : 0x10000);
}

/* `counts` of the PIT's clock go by. */
static void pass_time(struct hv *hv, uint64_t counts) {
  uint64_t left = hv_load(hv, HV_AT(pit_left));
  if (!left) return;
  if (left > counts) {
    hv_store(hv, HV_AT(pit_left), left - counts);
    return;
  }
  bool periodic = hv_load(hv, HV_AT(pit_periodic));
  hv_store(hv, HV_AT(pit_left), periodic ? hv_load(hv, HV_AT(pit_count)) : 0);
  hv->flags |= HV_TIMER_LINE;
}

bool hv_interrupt_port(unsigned port) {
  return port == 0x20 || port == 0x21 || port == 0x40 || port == 0x43;
}

void hv_write_interrupt_port(struct hv *hv, unsigned port, uint64_t value) {
  switch (port) {
    case 0x20:
      pic_command(hv, value);
      break;
    case 0x21:
      pic_data(hv, value);
      break;
    case 0x40:
      pit_count(hv, value);
      break;
    case 0x43:
      pit_control(hv, value);
      break;
    default: /* hv_interrupt_port knows no other */
      break;
  }
}

/* ---- the hypervisor's own timer, on a PIC and a PIT as well */

static void set_own_timer(struct hv *hv, enum hv_routine routine, uint64_t counts) {
  hv_store(hv, HV_AT(own_left), counts);
  hv->count_bytes = hv->mask_writes = 0;
  hv_run(hv, routine);
}

/* What a row that writes a port writes: the mask of its own PIC with the timer's line masked and
 * then not, the timer's end of interrupt, the two bytes of the count. */
uint8_t hv_own_port(struct hv *hv, unsigned port) {
  enum { END_OF_TIMER = 0x60, MASKED = 0xe9, UNMASKED = 0xe8 };
  if (port == 0x20) return END_OF_TIMER;
  if (port == 0x21) return hv->mask_writes++ & 1 ? UNMASKED : MASKED;
  uint64_t left = hv_load(hv, HV_AT(own_left));
  return (uint8_t)(hv->count_bytes++ & 1 ? left >> 8 : left);
}

void hv_init_timer(struct hv *hv) {
  enum { ICW1 = 0x11, CASCADE = 4, ICW4 = 1, UNMASKED = 0xe8, ONE_SHOT = 0x38 };
  nst_out(hv->cpu, 0x20, 1, ICW1);
  nst_out(hv->cpu, 0x21, 1, HV_TIMER_VECTOR);
  nst_out(hv->cpu, 0x21, 1, CASCADE);
  nst_out(hv->cpu, 0x21, 1, ICW4);
  nst_out(hv->cpu, 0x21, 1, UNMASKED);
  nst_out(hv->cpu, 0x43, 1, ONE_SHOT);
  hv_store(hv, HV_AT(own_left), TICK);
  nst_out(hv->cpu, 0x40, 1, TICK & 0xff);
  nst_out(hv->cpu, 0x40, 1, TICK >> 8);
}

void hv_host_interrupt(struct hv *hv, unsigned vector) {
  if (vector != HV_TIMER_VECTOR)
    return; /* a device of its own: nothing that its guest would notice */
  pass_time(hv, hv_load(hv, HV_AT(own_left)));
  set_own_timer(hv, ROUTINE_HOST_TIMER, TICK);
}

/* Idle, its kernel lets the tick that is set already come, and then stops it until the guest's
 * timer is due. A guest that no timer will wake goes on at once, as after a poll. */
void hv_block(struct hv *hv) {
  while (!is_requested(hv)) {
    uint64_t left = hv_load(hv, HV_AT(pit_left)), own = hv_load(hv, HV_AT(own_left));
    if (!left || hv->flags & HV_TIMER_LINE) return;
    if (!nst_wait_interrupt(hv->cpu)) return; /* the machine has stopped */
    pass_time(hv, own);
    set_own_timer(hv, ROUTINE_HOST_TIMER, TICK);
    left = hv_load(hv, HV_AT(pit_left));
    bool stays = !is_requested(hv) && left;
    set_own_timer(hv, ROUTINE_HOST_IDLE,
                  !stays                ? (uint64_t)TICK
                  : left < LONGEST_WAIT ? left
                                        : (uint64_t)LONGEST_WAIT);
  }
  hv_run(hv, ROUTINE_WAKE);
}

/* ---- giving the guest its interrupt */

static void set_window(struct hv *hv, bool open) {
  const uint64_t window = VMCS_BIT(CPU_BASED_INTR_WINDOW_EXITING);
  uint64_t controls = hv_copy(hv, hv->region, FIELD_CPU_BASED_VM_EXEC_CONTROL);
  if ((controls & window) == (open ? window : 0)) return;
  hv_set(hv, FIELD_CPU_BASED_VM_EXEC_CONTROL, open ? controls | window : controls & ~window);
  hv_run(hv, ROUTINE_INTERRUPT_WINDOW);
}

void hv_close_window(struct hv *hv) {
  set_window(hv, false);
}

static bool can_take(struct hv *hv) {
  if (hv_is_injecting(hv)) return false;
  hv_run(hv, ROUTINE_INTERRUPT_CHECK);
  return hv_get(hv, FIELD_GUEST_RFLAGS) & INTERRUPT_FLAG &&
         !(hv_get(hv, FIELD_GUEST_INTERRUPTIBILITY_INFO) & BLOCKED_BY_STI_OR_MOV_SS);
}

bool hv_wants_interrupt(struct hv *hv) {
  return hv->flags & HV_TIMER_LINE &&
         hv_vmcs12(hv, FIELD_PIN_BASED_VM_EXEC_CONTROL) & VMCS_BIT(PIN_BASED_EXT_INTR_MASK) &&
         is_requested(hv);
}

uint64_t hv_take_interrupt(struct hv *hv) {
  bool acknowledges = hv_vmcs12(hv, FIELD_VM_EXIT_CONTROLS) & VMCS_BIT(VM_EXIT_ACK_INTR_ON_EXIT);
  return acknowledges ? VALID | acknowledge(hv) : 0;
}

void hv_deliver(struct hv *hv) {
  if (!(hv->flags & HV_TIMER_LINE) || !is_requested(hv)) return;
  if (hv->flags & HV_IN_NESTED && hv_wants_interrupt(hv)) {
    hv_reflect(hv, EXIT_REASON_EXTERNAL_INTERRUPT, 0, 0);
    hv_set_vmcs12(hv, FIELD_VM_EXIT_INTR_INFO, hv_take_interrupt(hv));
    if (hv->flags & HV_GRANTS_VMCS) hv_region_push_field(hv, FIELD_VM_EXIT_INTR_INFO);
  } else if (can_take(hv)) {
    hv_set(hv, FIELD_VM_ENTRY_INTR_INFO_FIELD, VALID | acknowledge(hv));
    hv_run(hv, ROUTINE_INTERRUPT);
  } else {
    set_window(hv, true);
  }
}
