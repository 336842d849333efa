/* SPDX-License-Identifier: MIT
 * Records in, events out. Events leave in the order of their exits, through a queue: an event waits
 * there until its guest was entered again, a reflected one until the nested guest was. */
#include "traces/assemble.h"

#include <stdlib.h>
#include <string.h>

#include "traces/decode.h"
#include "traces/loss.h"

enum { QUEUE_SIZE = 4096, THREAD_LIMIT = 512, THREAD_SLOTS = 1024 };
#define NO_EXIT_OPEN UINT64_MAX

/* A thread of the hypervisor that runs a virtual processor. */
struct vcpu_thread {
  uint32_t id, cpu;
  uint64_t open;      /* number of its exit whose records still come in, or NO_EXIT_OPEN */
  uint64_t reflected; /* number of its exit that level 1 is handling, or NO_EXIT_OPEN */
  uint64_t told_vcpu; /* UINT64_MAX: not told */
  uint8_t vcpu;
  bool is_used, has_vcpu, is_nested, has_exit, has_gap;
};

struct assembler {
  struct trace_loss *loss;
  uint64_t first, next; /* numbers of the oldest queued exit and of the next one */
  size_t thread_count;
  bool vcpu_used[256];
  struct vcpu_thread threads[THREAD_SLOTS];
  struct pending_exit queue[QUEUE_SIZE];
};

struct assembler *assembler_create(struct trace_loss *loss) {
  struct assembler *assembler = calloc(1, sizeof *assembler);
  if (assembler) assembler->loss = loss;
  return assembler;
}

void assembler_destroy(struct assembler *assembler) {
  free(assembler);
}

static struct pending_exit *exit_at(struct assembler *assembler, uint64_t number) {
  if (number == NO_EXIT_OPEN || number < assembler->first) return NULL;
  return &assembler->queue[number % QUEUE_SIZE];
}

/* NULL if the thread is new and there is no room for one more. */
static struct vcpu_thread *find_thread(struct assembler *assembler, uint32_t id, bool create) {
  size_t slot = id * 2654435761u % THREAD_SLOTS;
  while (assembler->threads[slot].is_used) {
    if (assembler->threads[slot].id == id) return &assembler->threads[slot];
    slot = (slot + 1) % THREAD_SLOTS;
  }
  if (!create || assembler->thread_count == THREAD_LIMIT) return NULL;
  assembler->thread_count++;
  struct vcpu_thread *thread = &assembler->threads[slot];
  *thread = (struct vcpu_thread){.id = id,
                                 .open = NO_EXIT_OPEN,
                                 .reflected = NO_EXIT_OPEN,
                                 .told_vcpu = UINT64_MAX,
                                 .is_used = true};
  return thread;
}

/* The told number if no other thread has it, else the first free one; 255 when all are taken. A
 * number that was chosen before the trace told one is given back. */
static void number_vcpu(struct assembler *assembler, struct vcpu_thread *thread,
                        const struct record *record) {
  bool is_told = RECORD_KNOWS(record, SLOT_VCPU);
  uint64_t told = is_told ? record->value[SLOT_VCPU] : UINT64_MAX;
  if (thread->has_vcpu && (!is_told || told == thread->told_vcpu)) return;
  if (thread->has_vcpu) assembler->vcpu_used[thread->vcpu] = false;
  unsigned number = told < 256 ? (unsigned)told : 0;
  if (told >= 256 || assembler->vcpu_used[number]) {
    if (is_told) assembler->loss->vcpus_renamed++;
    for (number = 0; number < 255 && assembler->vcpu_used[number]; number++) {
    }
  }
  thread->told_vcpu = told;
  thread->vcpu = (uint8_t)number;
  thread->has_vcpu = true;
  assembler->vcpu_used[number] = true;
}

static void complete(struct assembler *assembler, struct pending_exit *exit, const uint64_t *rip) {
  if (exit->is_done) return;
  pending_exit_decode(exit);
  if (rip) pending_exit_resume(exit, *rip);
  if (!(exit->event.flags & TRACE_NO_EXIT)) {
    static const enum trace_fate fates[TRACE_CAUSE_COUNT] = {
        [TRACE_CAUSE_GUEST] = TRACE_FATE_OPERATION,
        [TRACE_CAUSE_HOST] = TRACE_FATE_HOST,
        [TRACE_CAUSE_NEITHER] = TRACE_FATE_UNKNOWN};
    enum trace_fate fate = fates[trace_kind_cause(exit->event.kind)];
    if (exit->event.kind == TRACE_ARM_EXIT) fate = TRACE_FATE_ARM;
    loss_count_record(assembler->loss, exit->name, fate);
  }
  exit->is_done = true;
}

/* There is room: assembler_feed sees to it. */
static struct pending_exit *append(struct assembler *assembler) {
  struct pending_exit *exit = &assembler->queue[assembler->next++ % QUEUE_SIZE];
  memset(exit, 0, sizeof *exit);
  return exit;
}

/* One record adds one exit at most. The oldest exit is given up waiting for when the queue is
 * almost full; the reader takes it before it feeds the next record. */
static void keep_room(struct assembler *assembler) {
  if (assembler->next - assembler->first < QUEUE_SIZE - 1) return;
  struct pending_exit *oldest = &assembler->queue[assembler->first % QUEUE_SIZE];
  if (!oldest->is_done) assembler->loss->closed_early++;
  complete(assembler, oldest, NULL);
}

static void close_open(struct assembler *assembler, struct vcpu_thread *thread,
                       const uint64_t *rip) {
  struct pending_exit *exit = exit_at(assembler, thread->open);
  if (exit) complete(assembler, exit, rip);
  thread->open = NO_EXIT_OPEN;
}

static void close_reflected(struct assembler *assembler, struct vcpu_thread *thread,
                            const struct record *entry) {
  struct pending_exit *exit = exit_at(assembler, thread->reflected);
  thread->reflected = NO_EXIT_OPEN;
  if (!exit) return;
  if (entry && RECORD_KNOWS(entry, SLOT_INTR) && entry->value[SLOT_INTR] >> 31 & 1) {
    exit->event.flags |= TRACE_INJECTED;
    exit->event.injected = (uint8_t)entry->value[SLOT_INTR];
    if ((entry->value[SLOT_INTR] >> 8 & 7) == 3) exit->event.flags |= TRACE_FAULTED;
  }
  bool has_rip = entry && RECORD_KNOWS(entry, SLOT_RIP);
  complete(assembler, exit, has_rip ? &entry->value[SLOT_RIP] : NULL);
}

static void fill_common(struct vcpu_thread *thread, struct pending_exit *exit,
                        const struct record *record) {
  exit->event.time_ns = record->time;
  exit->event.vcpu = thread->vcpu;
  exit->name = record->name;
  if (thread->has_gap) exit->event.flags |= TRACE_GAP;
  thread->has_gap = false;
}

static enum trace_fate feed_exit(struct assembler *assembler, struct vcpu_thread *thread,
                                 const struct record *record) {
  close_open(assembler, thread, NULL);
  number_vcpu(assembler, thread, record);
  thread->cpu = record->cpu;
  thread->has_exit = true;
  struct pending_exit *exit = append(assembler);
  thread->open = assembler->next - 1;
  fill_common(thread, exit, record);
  exit->event.level = thread->is_nested ? 2 : 1;
  if (thread->is_nested) close_reflected(assembler, thread, NULL);
  pending_exit_reason(exit, record);
  exit->event.hardware_reason = exit->event.reason;
  exit->hardware_row = exit->row;
  exit->hardware_info1 = record->value[SLOT_INFO1];
  exit->has_hardware_info1 = RECORD_KNOWS(record, SLOT_INFO1);
  if (RECORD_KNOWS(record, SLOT_RIP)) {
    exit->event.rip = record->value[SLOT_RIP];
    exit->event.flags |= TRACE_HAS_RIP;
  }
  return TRACE_FATE_COUNT; /* counted when its kind is known */
}

static void feed_nested_exit(struct assembler *assembler, struct vcpu_thread *thread) {
  struct pending_exit *exit = exit_at(assembler, thread->open);
  if (exit && !thread->is_nested) {
    exit->event.level = 2;
    close_reflected(assembler, thread, NULL);
  }
  thread->is_nested = true;
}

/* Level 1 is given an exit: the open one, or, if the open one just entered the nested guest, one
 * that the hardware never saw. */
static enum trace_fate feed_inject(struct assembler *assembler, struct vcpu_thread *thread,
                                   const struct record *record) {
  struct pending_exit *exit = exit_at(assembler, thread->open);
  thread->is_nested = false;
  if (!exit) return TRACE_FATE_UNUSED;
  if (exit->event.flags & TRACE_ENTERS) {
    close_open(assembler, thread, NULL);
    exit = append(assembler);
    thread->open = assembler->next - 1;
    fill_common(thread, exit, record);
    exit->event.flags |= TRACE_NO_EXIT;
  }
  uint32_t hardware_reason = exit->event.hardware_reason;
  close_reflected(assembler, thread, NULL);
  pending_exit_reason(exit, record);
  bool is_synthetic = exit->event.flags & TRACE_NO_EXIT;
  exit->event.hardware_reason = is_synthetic ? exit->event.reason : hardware_reason;
  exit->event.level = 2;
  exit->event.flags |= TRACE_REFLECTED;
  thread->reflected = thread->open;
  thread->open = NO_EXIT_OPEN;
  return TRACE_FATE_BOUNDARY;
}

static void feed_nested_enter(struct assembler *assembler, struct vcpu_thread *thread,
                              const struct record *record) {
  struct pending_exit *exit = exit_at(assembler, thread->open);
  if (exit && exit->event.level == 1) exit->event.flags |= TRACE_ENTERS;
  close_reflected(assembler, thread, record);
  thread->is_nested = true;
}

static bool add_mmio(struct pending_exit *exit, const struct record *record) {
  if (exit->mmio.id == RECORD_NONE) {
    exit_detail_set(&exit->mmio, record);
    return true;
  }
  /* A load is recorded once when it goes to user space and again with its value. */
  bool is_answer = record->value[SLOT_WRITE] == 1 &&
                   exit->mmio.value[SLOT_WRITE - SLOT_INFO1] == 0 &&
                   exit->mmio.value[SLOT_NUMBER - SLOT_INFO1] == record->value[SLOT_NUMBER];
  if (is_answer) exit_detail_set(&exit->mmio, record);
  return is_answer;
}

static void add_gpa(struct pending_exit *exit, const struct record *record) {
  if (!exit->has_gpa) {
    exit->gpa = record->value[SLOT_NUMBER];
    exit->has_gpa = true;
  }
  if (record->id == RECORD_MATCH_MMIO && exit->gpa == record->value[SLOT_NUMBER]) {
    exit->gpa_write = record->value[SLOT_WRITE] != 0;
    exit->has_gpa_write = true;
  }
}

static void add_injection(struct pending_exit *exit, const struct record *record) {
  exit->event.flags |= TRACE_INJECTED;
  exit->event.injected = (uint8_t)record->value[SLOT_NUMBER];
  if (record->id == RECORD_INJECT_EXCEPTION) exit->event.flags |= TRACE_FAULTED;
}

/* Whether user space was left for because of the guest, not because of a signal (10: KVM_EXIT_INTR
 * of the KVM API). */
static bool is_guest_request(const struct record *record) {
  if (RECORD_KNOWS(record, SLOT_VALUE)) return record->value[SLOT_VALUE] != 0;
  if ((int32_t)record->value[SLOT_ERROR] < 0) return false;
  return RECORD_KNOWS(record, SLOT_NUMBER) && record->value[SLOT_NUMBER] != 10;
}

static bool add_detail(struct pending_exit *exit, const struct record *record) {
  switch ((enum record_id)record->id) {
    case RECORD_CPUID:
    case RECORD_MSR:
    case RECORD_CR:
    case RECORD_PIO:
    case RECORD_HYPERCALL:
      if (exit->main.id != RECORD_NONE) return false;
      exit_detail_set(&exit->main, record);
      return true;
    case RECORD_MMIO:
    case RECORD_FAST_MMIO:
      return add_mmio(exit, record);
    case RECORD_MATCH_MMIO:
    case RECORD_PAGE_FAULT:
      add_gpa(exit, record);
      return true;
    case RECORD_APIC:
      if (exit->has_apic_value) return false;
      exit->has_apic_value = RECORD_KNOWS(record, SLOT_VALUE);
      exit->apic_value = record->value[SLOT_VALUE];
      exit->apic_write = record->value[SLOT_WRITE] != 0;
      return true;
    case RECORD_EMULATE:
      exit->event.flags |= TRACE_EMULATED;
      return true;
    case RECORD_INJECT_VIRQ:
    case RECORD_INJECT_EXCEPTION:
      if (!RECORD_KNOWS(record, SLOT_NUMBER)) return false;
      add_injection(exit, record);
      return true;
    case RECORD_USER_EXIT:
      if (is_guest_request(record)) exit->event.flags |= TRACE_USER;
      return true;
    case RECORD_NONE:
    case RECORD_EXIT:
    case RECORD_ENTRY:
    case RECORD_NESTED_EXIT:
    case RECORD_NESTED_INJECT:
    case RECORD_NESTED_ENTER:
      return false;
  }
  return false;
}

static enum trace_fate feed_thread(struct assembler *assembler, const struct record_type *type,
                                   const struct record *record) {
  bool creates = record->id == RECORD_EXIT || record->id == RECORD_ENTRY;
  struct vcpu_thread *thread = find_thread(assembler, record->thread, creates);
  if (!thread) return creates ? TRACE_FATE_UNUSED : TRACE_FATE_EARLY;
  if (record->id == RECORD_EXIT) return feed_exit(assembler, thread, record);
  if (record->id == RECORD_ENTRY) {
    number_vcpu(assembler, thread, record);
    bool has_rip = RECORD_KNOWS(record, SLOT_RIP);
    close_open(assembler, thread, has_rip ? &record->value[SLOT_RIP] : NULL);
    return TRACE_FATE_BOUNDARY;
  }
  if (!thread->has_exit) return TRACE_FATE_EARLY;
  if (record->id == RECORD_NESTED_EXIT) {
    feed_nested_exit(assembler, thread);
  } else if (record->id == RECORD_NESTED_INJECT) {
    return feed_inject(assembler, thread, record);
  } else if (record->id == RECORD_NESTED_ENTER) {
    feed_nested_enter(assembler, thread, record);
  } else {
    struct pending_exit *exit = exit_at(assembler, thread->open);
    if (!exit || exit->is_done || !add_detail(exit, record)) return (enum trace_fate)type->fate;
    return TRACE_FATE_DETAIL;
  }
  return TRACE_FATE_BOUNDARY;
}

void assembler_feed(struct assembler *assembler, const struct record_type *type,
                    const struct record *record) {
  enum trace_fate fate = TRACE_FATE_UNKNOWN;
  if (type && type->id == RECORD_NONE) {
    fate = (enum trace_fate)type->fate;
  } else if (type) {
    fate = feed_thread(assembler, type, record);
  }
  if (fate != TRACE_FATE_COUNT) loss_count_record(assembler->loss, record->name, fate);
  keep_room(assembler);
}

void assembler_gap(struct assembler *assembler, uint32_t cpu) {
  for (size_t i = 0; i < THREAD_SLOTS; i++) {
    struct vcpu_thread *thread = &assembler->threads[i];
    if (!thread->is_used || thread->cpu != cpu) continue;
    struct pending_exit *exit = exit_at(assembler, thread->open);
    if (exit && !exit->is_done) exit->event.flags |= TRACE_GAP;
    thread->has_gap = true;
  }
}

void assembler_finish(struct assembler *assembler) {
  for (uint64_t i = assembler->first; i < assembler->next; i++) {
    complete(assembler, exit_at(assembler, i), NULL);
  }
}

bool assembler_take(struct assembler *assembler, struct trace_event *event) {
  if (assembler->first == assembler->next) return false;
  struct pending_exit *exit = &assembler->queue[assembler->first % QUEUE_SIZE];
  if (!exit->is_done) return false;
  *event = exit->event;
  assembler->first++;
  if (assembler->first == assembler->next) {
    /* Empty: keep to the same memory. Numbers go on rising, in steps of the queue. */
    assembler->first = assembler->next += (QUEUE_SIZE - assembler->next % QUEUE_SIZE) % QUEUE_SIZE;
  }
  return true;
}
