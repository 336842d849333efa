/* SPDX-License-Identifier: MIT
 * Hostile traces: small samples of every format, changed at random from a seed, go through the
 * importers. Each must end, in events that make sense or in one sentence that names the file.
 * usage: fuzz_importers [CASES [SEED]] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "traces/ops.h"
#include "traces/ops_round.h"
#include "traces/source.h"
#include "traces/trace.h"

enum { SAMPLE_MAX = 1 << 19, CASES = 3000, DAT_SHARE = 60, EVENT_LIMIT = 1 << 22 };

static int vmx_reason(const char *name) {
  static const struct {
    const char *name;
    int number;
  } reasons[] = {
#define EXIT_REASON(name, number, qualification, information, length, title) {#name, number},
#include "vmcs/reason.def"
  };
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if (strcmp(reasons[i].name, name) == 0) return reasons[i].number;
  }
  return -1;
}

static const char *reason_name(uint32_t number) {
  return number < 70 ? "REASON" : "?";
}
static const char *field_name(uint32_t encoding) {
  return encoding ? "FIELD" : "?";
}

/* ---- samples */

#define LINE "  kvm-9 [000] d..1. 4.500001: "

static const char text_sample[] =
    "# entries-in-buffer/entries-written: 10/10   #P:1\n" LINE "kvm_entry: vcpu 0, rip 0x10\n" LINE
    "kvm_exit: vcpu 0 reason CPUID rip 0x10 info1 0x0 info2 0x0 intr_info 0x0 error_code 0x0\n" LINE
    "kvm_cpuid: func d idx 1 rax 0 rbx 0 rcx 0 rdx 0, found\n" LINE
    "kvm_entry: vcpu 0, rip 0x12\n" LINE
    "kvm_exit: reason IO_INSTRUCTION rip 0x12 info 5e00000 0\n" LINE
    "kvm_pio: pio_write at 0x5e0 size 1 count 1 val 0x10 \n" LINE
    "kvm_userspace_exit: reason KVM_EXIT_IO (2)\nCPU:0 [LOST 12 EVENTS]\n" LINE
    "kvm_exit: vcpu 0 reason EPT_VIOLATION rip 0x10 info1 0x182 info2 0x0 intr_info 0x0\n" LINE
    "kvm_page_fault: vcpu 0 rip 0x10 address 0xd8000000 error_code 0x181\n" LINE
    "kvm_mmio: mmio write len 4 gpa 0xd8000000 val 0xb0\n" LINE
    "kvm_exit: vcpu 0 reason CPUID rip 0x10 info1 0x0 info2 0x0\n" LINE
    "kvm_nested_vmexit: rip: 0x10 reason: CPUID ext_inf1: 0x0\n" LINE
    "kvm_nested_vmexit_inject: reason: CPUID ext_inf1: 0x0 ext_inf2: 0x0 ext_int: 0x0\n" LINE
    "kvm_entry: vcpu 0\n" LINE "kvm_exit: vcpu 0 reason VMRESUME rip 0x99 info1 0x0\n" LINE
    "kvm_nested_vmenter: rip: 0x1 vmcs: 0x2 nested_rip: 0x12 event_inj: 0x80000b0e\n" LINE
    "kvm_exit: vcpu 0 reason npf rip 0x10 info1 0x100000006 info2 0x21000\n" LINE
    "kvm_exit: reason EXIT_WRITE_CR4 rip 0x7 info 0 0\n" LINE "kvm_msr: msr_write 277 = 0x7\n" LINE
    "kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0x80\n" LINE
    "kvm_exit: IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0x84\n";

static const char ops_sample[] =
    "M 1 0 1\nX a 0 100df fc5d000 0 2\nR 4402 0\nW 681e 10\nP 0 0\n"
    "V 0 0\nN 0 f00 dfbf000 0 3\ngR 4402 0 f10\ngW 681e 12 f18\n"
    "gR 6400 0 f20\nX 17 0 f20 dfbf000 0 4\nR 440e 0\nV 0 0\n"
    "N 0 f24 dfbf000 0 5\nX 1f 0 f30 dfbf000 1d9 6\nV 0 0\n"
    "N 0 f32 dfbf000 0 7\ngV 0 0 f40\nX 18 0 f40 dfbf000 0 8\nC 0 0\n"
    "I 2 0\nL 0 0\nN 1 12 fc5d000 0 9\nX 1e 5e00000 14 fc5d000 b0 10\n"
    "V 0 0\nN 0 15 fc5d000 0 11\nM 0 0 12\n";

enum format { TEXT, OPS, NATIVE, DAT, FORMATS };

struct fuzz {
  uint64_t random;
  char path[64];
  uint8_t *sample[FORMATS];
  size_t size[FORMATS];
  uint8_t *bytes; /* SAMPLE_MAX */
  uint64_t events, errors;
};

static uint64_t next_random(struct fuzz *fuzz, uint64_t limit) {
  fuzz->random = fuzz->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return limit ? (fuzz->random >> 24) % limit : 0;
}

static bool store(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  bool is_written = file && fwrite(bytes, 1, size, file) == size;
  if (file) fclose(file);
  return is_written;
}

/* Decompressed, so that changes reach the format itself. */
static bool load(struct fuzz *fuzz, enum format format, const char *path) {
  char error[700];
  struct source *source = source_open(path, error, sizeof error);
  fuzz->sample[format] = malloc(SAMPLE_MAX);
  int64_t size =
      source && fuzz->sample[format] ? source_read(source, fuzz->sample[format], SAMPLE_MAX) : -1;
  source_close(source);
  fuzz->size[format] = size > 0 ? (size_t)size : 0;
  return size > 0 && size < SAMPLE_MAX;
}

/* The text as Nestor's own format. */
static bool make_native(struct fuzz *fuzz) {
  struct trace_options options = {vmx_reason, false};
  char error[700];
  struct trace_event event;
  struct trace_reader *reader = trace_open(fuzz->path, &options, error, sizeof error);
  if (!reader) return false;
  struct trace_writer *writer =
      trace_writer_create(fuzz->path, trace_source(reader), error, sizeof error);
  while (writer && trace_next(reader, &event) == 1) trace_write(writer, &event);
  trace_close(reader);
  return writer && trace_writer_commit(writer, error, sizeof error) == 0 &&
         load(fuzz, NATIVE, fuzz->path);
}

static bool prepare(struct fuzz *fuzz, const char *dat) {
  strcpy(fuzz->path, "/tmp/nestor-fuzz-XXXXXX");
  int descriptor = mkstemp(fuzz->path);
  if (descriptor < 0) return false;
  close(descriptor);
  fuzz->bytes = malloc(SAMPLE_MAX);
  return fuzz->bytes && store(fuzz->path, ops_sample, sizeof ops_sample - 1) &&
         load(fuzz, OPS, fuzz->path) && store(fuzz->path, text_sample, sizeof text_sample - 1) &&
         load(fuzz, TEXT, fuzz->path) && make_native(fuzz) && load(fuzz, DAT, dat);
}

/* ---- mutations */

static size_t change_bytes(struct fuzz *fuzz, size_t size) {
  static const uint8_t liked[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '\n', '[', ']', ':', '0', 'f', 'x'};
  for (uint64_t i = next_random(fuzz, 8) + 1; size > 0 && i > 0; i--) {
    uint8_t *at = &fuzz->bytes[next_random(fuzz, size)];
    uint8_t flipped = (uint8_t)(*at ^ 1u << next_random(fuzz, 8));
    *at = next_random(fuzz, 2) ? flipped : liked[next_random(fuzz, sizeof liked)];
  }
  return size;
}

static size_t remove_some(struct fuzz *fuzz, size_t size) {
  if (size == 0) return 0;
  size_t at = next_random(fuzz, size), count = next_random(fuzz, size - at) + 1;
  memmove(fuzz->bytes + at, fuzz->bytes + at + count, size - at - count);
  return size - count;
}

/* A piece again, or one byte very often: lines and numbers without end. */
static size_t insert_some(struct fuzz *fuzz, size_t size) {
  size_t at = next_random(fuzz, size + 1), room = SAMPLE_MAX - size;
  size_t count = next_random(fuzz, next_random(fuzz, 8) ? 64 : 40000);
  if (count > room) count = room;
  memmove(fuzz->bytes + at + count, fuzz->bytes + at, size - at);
  uint64_t way = next_random(fuzz, 3), byte = next_random(fuzz, 256);
  for (size_t i = 0; i < count; i++) {
    uint64_t other =
        way == 2 && size ? fuzz->bytes[(at + count + i) % (size + count)] : next_random(fuzz, 256);
    fuzz->bytes[at + i] = (uint8_t)(way == 0 ? byte : other);
  }
  return size + count;
}

static size_t mutate(struct fuzz *fuzz, size_t size) {
  for (uint64_t i = next_random(fuzz, 4) + 1; i > 0; i--) {
    switch (next_random(fuzz, 6)) {
      case 0:
        size = remove_some(fuzz, size);
        break;
      case 1:
        size = insert_some(fuzz, size);
        break;
      case 2:
        size = next_random(fuzz, 8) ? size : next_random(fuzz, size + 1); /* cut off */
        break;
      default:
        size = change_bytes(fuzz, size);
        break;
    }
  }
  return size;
}

/* ---- one case */

static bool check_sentence(const struct fuzz *fuzz, const char *error) {
  return strncmp(error, fuzz->path, strlen(fuzz->path)) == 0 && strlen(error) > strlen(fuzz->path);
}

static bool is_sane(const struct trace_event *event) {
  char text[TRACE_TEXT_MAX], label[TRACE_LABEL_MAX];
  trace_event_text(event, text, sizeof text);
  trace_event_label(event, label, sizeof label);
  return event->kind < TRACE_KIND_COUNT && event->arch < TRACE_ARCH_COUNT &&
         !(event->flags & ~TRACE_FLAGS_ALL);
}

static bool read_trace(struct fuzz *fuzz, bool salvage) {
  struct trace_options options = {vmx_reason, salvage};
  char error[700] = "";
  struct trace_event event;
  struct trace_reader *reader = trace_open(fuzz->path, &options, error, sizeof error);
  fuzz->errors += !reader;
  if (!reader) return check_sentence(fuzz, error);
  int status;
  uint64_t count = 0;
  bool is_good = true;
  while (is_good && (status = trace_next(reader, &event)) == 1)
    is_good = is_sane(&event) && ++count < EVENT_LIMIT;
  fuzz->events += count;
  if (is_good && status < 0) {
    fuzz->errors++;
    is_good = check_sentence(fuzz, trace_error(reader));
  }
  trace_close(reader);
  return is_good;
}

static bool read_ops(struct fuzz *fuzz) {
  static const struct ops_names names = {field_name, reason_name, vmx_reason};
  char error[700] = "";
  struct ops_event event;
  struct ops_reader *reader = ops_open(fuzz->path, vmx_reason, error, sizeof error);
  if (!reader) return check_sentence(fuzz, error);
  struct ops_rounds *rounds = ops_rounds_create(2, &names);
  int status;
  while ((status = ops_next(reader, &event)) == 1) {
    unsigned level = event.kind < OPS_INSTRUCTIONS ? event.guest : 1 + (event.vmcs == 0xfc5d000);
    if (rounds) ops_rounds_add(rounds, &event, level);
    fuzz->events++;
  }
  bool is_good = status == 0 || check_sentence(fuzz, ops_error(reader));
  fuzz->errors += status != 0;
  ops_rounds_destroy(rounds);
  ops_close(reader);
  return is_good;
}

/* A case in 32 is noise from the first byte, or behind the first bytes of a format. */
static size_t make_case(struct fuzz *fuzz, enum format format) {
  size_t size = fuzz->size[format];
  memcpy(fuzz->bytes, fuzz->sample[format], size);
  if (next_random(fuzz, 32)) return mutate(fuzz, size);
  size_t kept = next_random(fuzz, 2) ? 0 : next_random(fuzz, 24);
  size = next_random(fuzz, 4096);
  for (size_t i = kept; i < size; i++) fuzz->bytes[i] = (uint8_t)next_random(fuzz, 256);
  return size;
}

static bool run_case(struct fuzz *fuzz, uint64_t number) {
  enum format format = number % DAT_SHARE == 0 ? DAT : (enum format)(number % DAT);
  size_t size = make_case(fuzz, format);
  if (!store(fuzz->path, fuzz->bytes, size)) return false;
  bool is_good = format == OPS ? read_ops(fuzz) : read_trace(fuzz, next_random(fuzz, 2));
  if (!is_good) {
    fprintf(stderr, "fuzz_importers: case %" PRIu64 ", format %d, kept in %s\n", number,
            (int)format, fuzz->path);
  }
  return is_good;
}

int main(int argc, char **argv) {
  struct fuzz fuzz = {0};
  uint64_t cases = argc > 1 ? strtoull(argv[1], NULL, 10) : CASES;
  fuzz.random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
  bool is_good =
      prepare(&fuzz, NESTOR_TEST_SOURCE_DIR "/test/golden/traces/svm-micro-start.dat.zst");
  if (!is_good) fputs("fuzz_importers: the samples cannot be made\n", stderr);
  for (uint64_t i = 0; is_good && i < cases; i++) is_good = run_case(&fuzz, i);
  if (is_good) {
    unlink(fuzz.path);
    printf("%" PRIu64 " cases: %" PRIu64 " events, %" PRIu64 " refused or cut off\n", cases,
           fuzz.events, fuzz.errors);
  }
  for (unsigned i = 0; i < FORMATS; i++) free(fuzz.sample[i]);
  free(fuzz.bytes);
  return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
