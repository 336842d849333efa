/* SPDX-License-Identifier: MIT
 * Nestor's own format and the .dat importer: round trips, truncation, damage. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "test/expect.h"
#include "traces/source.h"
#include "traces/trace.h"

#ifndef NESTOR_TEST_SOURCE_DIR
#define NESTOR_TEST_SOURCE_DIR "."
#endif
#define GOLDEN NESTOR_TEST_SOURCE_DIR "/test/golden/traces/"

enum { BYTES_MAX = 1 << 18 };

/* A folder of its own for each test, and the bytes of a file in it. */
struct fixture {
  char folder[64], path[80], error[700];
  uint8_t *bytes;
  size_t size;
};

static bool set_up(struct fixture *fixture) {
  memset(fixture, 0, sizeof *fixture);
  strcpy(fixture->folder, "/tmp/nestor-test-XXXXXX");
  fixture->bytes = malloc(BYTES_MAX);
  bool is_there = fixture->bytes && mkdtemp(fixture->folder);
  snprintf(fixture->path, sizeof fixture->path, "%s/t.nst", fixture->folder);
  return EXPECT_TRUE("temporary folder", is_there);
}

static void tear_down(struct fixture *fixture) {
  unlink(fixture->path);
  EXPECT_EQ("nothing is left behind", rmdir(fixture->folder), 0);
  free(fixture->bytes);
}

static void load(struct fixture *fixture) {
  FILE *file = fopen(fixture->path, "rb");
  if (!EXPECT_TRUE("file is there", file != NULL)) return;
  fixture->size = fread(fixture->bytes, 1, BYTES_MAX, file);
  fclose(file);
}

static void store(struct fixture *fixture, size_t size) {
  FILE *file = fopen(fixture->path, "wb");
  if (!EXPECT_TRUE("file is written", file != NULL)) return;
  fwrite(fixture->bytes, 1, size, file);
  fclose(file);
}

static const struct trace_source about = {
    .name = "a.txt", .kernel = "6.1.0", .provenance = "written by a test", .is_counter = true};

/* Event number i of a trace that has all kinds, flags and extreme values. */
static struct trace_event event_at(unsigned i) {
  const uint64_t extreme = i % 3 == 0 ? UINT64_MAX : i % 3 == 1 ? 0 : i * 2654435761u;
  struct trace_event event = {.time_ns = i % 7 == 0 ? extreme : 1000 + i,
                              .kind = (uint16_t)(i % TRACE_KIND_COUNT),
                              .arch = (uint8_t)(i % TRACE_ARCH_COUNT),
                              .vcpu = (uint8_t)i,
                              .level = (uint8_t)(1 + i % 2),
                              .flags = i * 40503u & TRACE_FLAGS_ALL};
  if (event.flags & TRACE_HAS_RIP) event.rip = extreme;
  if (event.flags & TRACE_HAS_REASON) {
    event.reason = i;
    event.hardware_reason = UINT32_MAX - i;
  }
  if (event.flags & TRACE_INJECTED) event.injected = (uint8_t)(i * 3);
  uint64_t *const arguments[4] = {&event.a, &event.b, &event.c, &event.d};
  for (unsigned k = 0; k < 4; k++) {
    if (event.flags & TRACE_HAS_A << k) *arguments[k] = extreme - k;
  }
  return event;
}

static void write_events(struct fixture *fixture, unsigned count) {
  struct trace_writer *writer =
      trace_writer_create(fixture->path, &about, fixture->error, sizeof fixture->error);
  if (!EXPECT_TRUE("writer", writer != NULL)) return;
  for (unsigned i = 0; i < count; i++) {
    struct trace_event event = event_at(i);
    EXPECT_EQ("write", trace_write(writer, &event), 0);
  }
  EXPECT_EQ("commit", trace_writer_commit(writer, fixture->error, sizeof fixture->error), 0);
}

/* Number of events read, all equal to those written; *status is the last result. */
static unsigned read_events(struct fixture *fixture, bool salvage, int *status) {
  struct trace_options options = {NULL, salvage};
  struct trace_event event;
  unsigned count = 0;
  struct trace_reader *reader =
      trace_open(fixture->path, &options, fixture->error, sizeof fixture->error);
  *status = -2;
  if (!reader) return 0;
  while ((*status = trace_next(reader, &event)) == 1) {
    struct trace_event expected = event_at(count++);
    if (!trace_event_equal(&event, &expected)) EXPECT_EQ("same event as written", count, 0);
  }
  if (*status < 0) snprintf(fixture->error, sizeof fixture->error, "%s", trace_error(reader));
  if (trace_loss(reader)->is_salvaged) *status = -1;
  trace_close(reader);
  return count;
}

static void events_of_many_blocks_come_back_equal(void) {
  struct fixture fixture;
  int status;
  if (!set_up(&fixture)) return;
  write_events(&fixture, 20000);
  EXPECT_EQ("count", read_events(&fixture, false, &status), 20000);
  EXPECT_EQ("end", status, 0);
  tear_down(&fixture);
}

static void an_empty_trace_is_a_trace(void) {
  struct fixture fixture;
  int status;
  if (!set_up(&fixture)) return;
  write_events(&fixture, 0);
  EXPECT_EQ("count", read_events(&fixture, false, &status), 0);
  EXPECT_EQ("end", status, 0);
  tear_down(&fixture);
}

static void the_header_comes_back(void) {
  struct fixture fixture;
  if (!set_up(&fixture)) return;
  write_events(&fixture, 1);
  struct trace_reader *reader = trace_open(fixture.path, NULL, fixture.error, sizeof fixture.error);
  if (EXPECT_TRUE("opens", reader != NULL)) {
    EXPECT_EQ("format", trace_format(reader), TRACE_FORMAT_NATIVE);
    EXPECT_STRING("name", trace_source(reader)->name, about.name);
    EXPECT_STRING("kernel", trace_source(reader)->kernel, about.kernel);
    EXPECT_STRING("provenance", trace_source(reader)->provenance, about.provenance);
    EXPECT_TRUE("clock", trace_source(reader)->is_counter);
  }
  trace_close(reader);
  tear_down(&fixture);
}

static void a_native_trace_may_be_compressed_again(void) {
  struct fixture fixture;
  int status;
  if (!set_up(&fixture)) return;
  write_events(&fixture, 500);
  load(&fixture);
  uint8_t *packed = malloc(BYTES_MAX);
  size_t size = ZSTD_compress(packed, BYTES_MAX, fixture.bytes, fixture.size, 1);
  memcpy(fixture.bytes, packed, size);
  free(packed);
  store(&fixture, size);
  EXPECT_EQ("count", read_events(&fixture, false, &status), 500);
  EXPECT_EQ("end", status, 0);
  store(&fixture, size - 1);
  read_events(&fixture, false, &status);
  EXPECT_EQ("cut in the compressed data", status, -1);
  EXPECT_CONTAINS("sentence", fixture.error, "truncated");
  tear_down(&fixture);
}

static void native_cut_at_any_byte_is_told_and_salvaged(void) {
  struct fixture fixture;
  int status;
  if (!set_up(&fixture)) return;
  write_events(&fixture, 300);
  load(&fixture);
  size_t whole = fixture.size;
  for (size_t size = 0; size < whole; size++) {
    store(&fixture, size);
    unsigned count = read_events(&fixture, false, &status);
    if (!EXPECT_TRUE("an error", status < 0)) break;
    unsigned saved = read_events(&fixture, true, &status);
    EXPECT_TRUE("salvage gives the same events", saved == count && status < 0);
  }
  store(&fixture, whole - 1);
  EXPECT_EQ("only the end record is cut", read_events(&fixture, true, &status), 300);
  read_events(&fixture, false, &status);
  EXPECT_CONTAINS("sentence", fixture.error,
                  "(event 301); nothing imported. --salvage keeps the first 300");
  EXPECT_CONTAINS("sentence", fixture.error, "t.nst: truncated at byte ");
  tear_down(&fixture);
}

static void native_with_any_bit_flipped_is_detected(void) {
  struct fixture fixture;
  int status;
  if (!set_up(&fixture)) return;
  write_events(&fixture, 60);
  load(&fixture);
  size_t whole = fixture.size;
  for (size_t i = 0; i < whole * 8; i++) {
    fixture.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    store(&fixture, whole);
    read_events(&fixture, false, &status);
    fixture.bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    if (!EXPECT_TRUE("an error", status < 0)) break;
  }
  tear_down(&fixture);
}

static void bytes_after_the_end_are_an_error(void) {
  struct fixture fixture;
  int status;
  if (!set_up(&fixture)) return;
  write_events(&fixture, 5);
  load(&fixture);
  fixture.bytes[fixture.size] = 0;
  store(&fixture, fixture.size + 1);
  EXPECT_EQ("events", read_events(&fixture, false, &status), 5);
  EXPECT_EQ("error", status, -1);
  EXPECT_CONTAINS("sentence", fixture.error, "bytes follow the end record");
  tear_down(&fixture);
}

static void another_version_is_refused_by_number(void) {
  struct fixture fixture;
  int status;
  if (!set_up(&fixture)) return;
  write_events(&fixture, 1);
  load(&fixture);
  fixture.bytes[8] = 9;
  store(&fixture, fixture.size);
  read_events(&fixture, false, &status);
  EXPECT_EQ("not opened", status, -2);
  EXPECT_CONTAINS("sentence", fixture.error, "version 9 of the format; expected 1");
  tear_down(&fixture);
}

static void an_aborted_write_leaves_the_old_file(void) {
  struct fixture fixture;
  int status;
  if (!set_up(&fixture)) return;
  write_events(&fixture, 3);
  struct trace_writer *writer =
      trace_writer_create(fixture.path, &about, fixture.error, sizeof fixture.error);
  struct trace_event event = event_at(0);
  for (unsigned i = 0; writer && i < 10000; i++) trace_write(writer, &event);
  trace_writer_abort(writer);
  EXPECT_EQ("old file", read_events(&fixture, false, &status), 3);
  tear_down(&fixture); /* which also finds no temporary file */
}

static void writer_failures_are_told(void) {
  struct fixture fixture;
  if (!set_up(&fixture)) return;
  EXPECT_TRUE("no such folder", !trace_writer_create("/nonexistent/t.nst", &about, fixture.error,
                                                     sizeof fixture.error));
  EXPECT_CONTAINS("sentence", fixture.error, "/nonexistent/t.nst: No such file");
  struct trace_writer *writer =
      trace_writer_create(fixture.path, &about, fixture.error, sizeof fixture.error);
  struct trace_event event = {.kind = TRACE_KIND_COUNT};
  if (EXPECT_TRUE("writer", writer != NULL)) {
    EXPECT_EQ("no such kind", trace_write(writer, &event), -1);
    EXPECT_CONTAINS("sentence", trace_writer_error(writer), "does not exist");
    EXPECT_EQ("commit", trace_writer_commit(writer, fixture.error, sizeof fixture.error), -1);
  }
  EXPECT_EQ("no file", access(fixture.path, F_OK), -1);
  tear_down(&fixture);
}

/* The data of a compressed golden file. */
static void load_golden(struct fixture *fixture, const char *path) {
  struct source *source = source_open(path, fixture->error, sizeof fixture->error);
  if (!EXPECT_TRUE("golden file", source != NULL)) return;
  int64_t size = source_read(source, fixture->bytes, BYTES_MAX);
  fixture->size = size > 0 ? (size_t)size : 0;
  source_close(source);
}

struct summary {
  unsigned count;
  uint64_t kind[TRACE_KIND_COUNT];
  int status;
  struct trace_loss loss;
};

static int vmx_cpuid(const char *name) {
  return strcmp(name, "CPUID") == 0 ? 10 : -1;
}

static void summarise(struct fixture *fixture, const char *path, bool salvage,
                      struct summary *summary) {
  struct trace_options options = {vmx_cpuid, salvage};
  struct trace_event event;
  memset(summary, 0, sizeof *summary);
  struct trace_reader *reader = trace_open(path, &options, fixture->error, sizeof fixture->error);
  summary->status = -2;
  if (!reader) return;
  while ((summary->status = trace_next(reader, &event)) == 1) {
    summary->count++;
    summary->kind[event.kind]++;
  }
  if (summary->status < 0) {
    snprintf(fixture->error, sizeof fixture->error, "%s", trace_error(reader));
  }
  summary->loss = *trace_loss(reader);
  trace_close(reader);
}

static void dat_and_text_of_one_recording_give_the_same_events(void) {
  struct fixture fixture;
  if (!set_up(&fixture)) return;
  struct trace_reader *dat =
      trace_open(GOLDEN "svm-micro-start.dat.zst", NULL, fixture.error, sizeof fixture.error);
  if (!dat) puts(fixture.error);
  struct trace_reader *text =
      trace_open(GOLDEN "svm-micro-start.txt.zst", NULL, fixture.error, sizeof fixture.error);
  if (EXPECT_TRUE("both open", dat && text)) {
    struct trace_event left, right;
    unsigned count = 0;
    int status = 1, other = 1;
    while (status == 1 && status == other) {
      status = trace_next(dat, &left);
      other = trace_next(text, &right);
      /* Text has microseconds. */
      left.time_ns = right.time_ns;
      if (status == 1 && other == 1) count += trace_event_equal(&left, &right);
    }
    EXPECT_EQ(".dat ends", status, 0);
    EXPECT_EQ("text ends", other, 0);
    EXPECT_EQ("equal events", count, 408);
    EXPECT_EQ("records", trace_loss(dat)->records, 2054);
    EXPECT_STRING("kernel", trace_source(dat)->kernel, "6.1.0-56-cloud-amd64");
  }
  trace_close(dat);
  trace_close(text);
  tear_down(&fixture);
}

/* There is no .dat recording of VMX: this one is the SVM recording with the exits renamed. */
static void vmx_numbers_in_dat_find_their_kind(void) {
  struct fixture fixture;
  struct summary summary;
  if (!set_up(&fixture)) return;
  load_golden(&fixture, GOLDEN "svm-micro-start.dat.zst");
  unsigned patched = 0;
  for (size_t i = 0; i + 28 <= fixture.size; i++) {
    /* exit_reason CPUID of SVM, a rip below 64 KiB, isa SVM */
    uint8_t *at = fixture.bytes + i;
    static const uint8_t svm_cpuid[4] = {0x72, 0, 0, 0}, svm[4] = {2, 0, 0, 0};
    bool is_exit = memcmp(at, svm_cpuid, 4) == 0 && memcmp(at + 16, svm, 4) == 0;
    if (!is_exit) continue;
    at[0] = 10;
    at[16] = 1;
    patched++;
  }
  store(&fixture, fixture.size);
  summarise(&fixture, fixture.path, false, &summary);
  EXPECT_EQ("exits renamed", patched, 200);
  EXPECT_EQ("CPUID", summary.kind[TRACE_CPUID], 200);
  tear_down(&fixture);
}

static void dat_cut_anywhere_is_told_and_salvaged(void) {
  static const struct {
    size_t from_end;
    const char *sentence;
    unsigned at_least, at_most;
  } cases[] = {
      {1, "truncated at byte ", 408, 408},
      {10, "truncated at byte ", 390, 408},
      {41000, "of CPU 0); nothing imported. --salvage keeps the first ", 150, 250},
      {100000, "truncated at byte ", 0, 0},
  };
  struct fixture fixture;
  struct summary summary;
  if (!set_up(&fixture)) return;
  load_golden(&fixture, GOLDEN "svm-micro-start.dat.zst");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    store(&fixture, fixture.size - cases[i].from_end);
    summarise(&fixture, fixture.path, false, &summary);
    EXPECT_TRUE("an error", summary.status < 0);
    EXPECT_CONTAINS("sentence", fixture.error, cases[i].sentence);
    summarise(&fixture, fixture.path, true, &summary);
    EXPECT_TRUE("salvaged", summary.count <= cases[i].at_most);
    EXPECT_TRUE("salvaged enough", summary.count >= cases[i].at_least);
  }
  for (size_t size = 12; size < fixture.size; size += fixture.size / 40) {
    store(&fixture, size);
    summarise(&fixture, fixture.path, false, &summary);
    EXPECT_TRUE("an error at any length", summary.status < 0);
    summarise(&fixture, fixture.path, true, &summary);
  }
  tear_down(&fixture);
}

static void damaged_dat_never_ends_the_program(void) {
  struct fixture fixture;
  struct summary summary;
  if (!set_up(&fixture)) return;
  load_golden(&fixture, GOLDEN "svm-micro-start.dat.zst");
  for (size_t i = 0; i < 60; i++) {
    size_t at = 12 + i * 2654435761u % (fixture.size - 12);
    uint8_t before = fixture.bytes[at];
    fixture.bytes[at] = (uint8_t)(before ^ 0xff);
    store(&fixture, fixture.size);
    summarise(&fixture, fixture.path, true, &summary);
    EXPECT_TRUE("ends", summary.status <= 0);
    fixture.bytes[at] = before;
  }
  tear_down(&fixture);
}

static void a_dat_reader_may_be_closed_in_the_middle(void) {
  char error[700];
  struct trace_event event;
  struct trace_reader *reader =
      trace_open(GOLDEN "svm-micro-start.dat.zst", NULL, error, sizeof error);
  if (!EXPECT_TRUE("opens", reader != NULL)) return;
  EXPECT_EQ("first event", trace_next(reader, &event), 1);
  trace_close(reader);
}

CU_TestInfo traces_native_tests[] = {
    {"events_of_many_blocks_come_back_equal", events_of_many_blocks_come_back_equal},
    {"an_empty_trace_is_a_trace", an_empty_trace_is_a_trace},
    {"the_header_comes_back", the_header_comes_back},
    {"a_native_trace_may_be_compressed_again", a_native_trace_may_be_compressed_again},
    {"native_cut_at_any_byte_is_told_and_salvaged", native_cut_at_any_byte_is_told_and_salvaged},
    {"native_with_any_bit_flipped_is_detected", native_with_any_bit_flipped_is_detected},
    {"bytes_after_the_end_are_an_error", bytes_after_the_end_are_an_error},
    {"another_version_is_refused_by_number", another_version_is_refused_by_number},
    {"an_aborted_write_leaves_the_old_file", an_aborted_write_leaves_the_old_file},
    {"writer_failures_are_told", writer_failures_are_told},
    {"dat_and_text_of_one_recording_give_the_same_events",
     dat_and_text_of_one_recording_give_the_same_events},
    {"vmx_numbers_in_dat_find_their_kind", vmx_numbers_in_dat_find_their_kind},
    {"dat_cut_anywhere_is_told_and_salvaged", dat_cut_anywhere_is_told_and_salvaged},
    {"damaged_dat_never_ends_the_program", damaged_dat_never_ends_the_program},
    {"a_dat_reader_may_be_closed_in_the_middle", a_dat_reader_may_be_closed_in_the_middle},
    CU_TEST_INFO_NULL};
