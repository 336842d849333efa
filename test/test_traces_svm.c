/* SPDX-License-Identifier: MIT
 * The recordings of AMD SVM and of Arm: counts as traces/recorded/README.md states them, the same
 * guest operations as on VMX, rounds as published. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/expect.h"
#include "traces/trace.h"

#ifndef NESTOR_TEST_SOURCE_DIR
#define NESTOR_TEST_SOURCE_DIR "."
#endif
#define RECORDED NESTOR_TEST_SOURCE_DIR "/traces/recorded/"

static const struct {
  const char *name;
  uint32_t number;
} reasons[] = {
#define SVM_REASON(number, name, report, kind, decode, argument) {name, number},
#include "traces/reason_svm.def"
};
enum { REASONS = sizeof reasons / sizeof reasons[0], CODES = 0x402 };

static struct trace_reader *open_recording(const char *name) {
  char path[512], error[700];
  snprintf(path, sizeof path, "%s%s", RECORDED, name);
  struct trace_reader *reader = trace_open(path, NULL, error, sizeof error);
  if (!EXPECT_TRUE(name, reader != NULL)) puts(error);
  return reader;
}

struct counts {
  uint64_t all[CODES], nested[CODES], reflected[CODES];
};

static void count_exits(const char *name, struct counts *counts) {
  struct trace_event event;
  struct trace_reader *reader = open_recording(name);
  memset(counts, 0, sizeof *counts);
  int status = 0;
  while (reader && (status = trace_next(reader, &event)) == 1) {
    EXPECT_TRUE(name, event.flags & TRACE_HAS_REASON && event.arch == TRACE_ARCH_SVM);
    counts->all[event.hardware_reason % CODES]++;
    if (event.level == 2) counts->nested[event.hardware_reason % CODES]++;
    if (event.flags & TRACE_REFLECTED) counts->reflected[event.reason % CODES]++;
  }
  EXPECT_EQ(name, status, 0);
  if (reader) EXPECT_EQ(name, trace_loss(reader)->kind[TRACE_UNKNOWN], 0);
  trace_close(reader);
}

/* "reason COUNT, ..." as the README writes it, and nothing besides. */
static void expect_counts(const char *name, const uint64_t actual[CODES], const char *expected) {
  for (size_t i = 0; i < REASONS; i++) {
    char key[40], what[128];
    unsigned count = 0;
    snprintf(key, sizeof key, " %s ", reasons[i].name);
    const char *at = strstr(expected, key);
    if (at) sscanf(at + strlen(key), "%u", &count);
    snprintf(what, sizeof what, "%s: %s", name, reasons[i].name);
    EXPECT_EQ(what, actual[reasons[i].number], count);
  }
}

static void imports_have_the_counts_of_the_readme(void) {
  static const struct {
    const char *name, *all, *nested, *reflected;
  } cases[] = {
      {"svm-l1-micro.txt.zst",
       " npf 615, io 337, msr 201, cpuid 200, hypercall 100, read_cr4 50, write_cr4 50, hlt 50, "
       "interrupt 5, write_cr0 2, read_cr0 1",
       "", ""},
      {"svm-l2-micro.txt.zst",
       " vmload 3276, io 2754, npf 2213, vmsave 2120, msr 1848, vmrun 1638, cpuid 296, hlt 173, "
       "hypercall 100, vintr 71, write_cr4 52, interrupt 51, read_cr4 50, write_cr0 2, read_cr0 1",
       " npf 1130, io 337, msr 201, cpuid 200, hypercall 100, read_cr4 50, write_cr4 50, hlt 50, "
       "interrupt 36, write_cr0 2, read_cr0 1",
       " npf 615, io 337, msr 201, cpuid 200, hypercall 100, read_cr4 50, write_cr4 50, hlt 50, "
       "interrupt 32, write_cr0 2, read_cr0 1"},
      {"svm-l2-micro-k612.txt.zst",
       " io 2600, vmload 2206, vmsave 1584, msr 1305, vmrun 1103, cpuid 295, hlt 178, npf 144, "
       "hypercall 100, write_cr4 54, vintr 51, read_cr4 50, interrupt 30, write_cr0 2, read_cr0 1",
       " io 337, msr 201, cpuid 200, npf 104, hypercall 100, read_cr4 50, write_cr4 50, hlt 50, "
       "interrupt 12, write_cr0 2, read_cr0 1",
       " io 337, msr 201, cpuid 200, npf 102, hypercall 100, read_cr4 50, write_cr4 50, hlt 50, "
       "interrupt 10, write_cr0 2, read_cr0 1"},
      {"svm-l2-pair-l1.txt.zst",
       " npf 615, io 337, msr 201, cpuid 200, hypercall 100, read_cr4 50, write_cr4 50, hlt 50, "
       "interrupt 33, write_cr0 2, read_cr0 1",
       "", ""},
      {"svm-l1-linux-k612.txt.zst",
       " io 12615, cpuid 3823, interrupt 1029, npf 962, msr 774, hypercall 250, vintr 140, "
       "write_cr4 128, hlt 31, read_cr4 9, read_cr0 2, write_cr0 2, cr0_sel_write 2, write_dr7 1, "
       "UD excp 1, read_dr0 1",
       "", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct counts *counts = malloc(sizeof *counts);
    if (!EXPECT_TRUE("memory", counts != NULL)) return;
    count_exits(cases[i].name, counts);
    expect_counts(cases[i].name, counts->all, cases[i].all);
    expect_counts(cases[i].name, counts->nested, cases[i].nested);
    expect_counts(cases[i].name, counts->reflected, cases[i].reflected);
    free(counts);
  }
}

struct label_count {
  const char *label;
  unsigned events;
};

static unsigned count_label(const char *name, const char *label) {
  struct trace_reader *reader = open_recording(name);
  struct trace_event event;
  unsigned count = 0;
  while (reader && trace_next(reader, &event) == 1) {
    char text[TRACE_LABEL_MAX];
    count += strcmp(trace_event_label(&event, text, sizeof text), label) == 0;
  }
  trace_close(reader);
  return count;
}

/* The guest's source says what it does: 200 CPUID, 512 pages and so on. */
static void exits_name_the_operations_of_the_guest(void) {
  static const struct label_count labels[] = {
      {"CPUID", 200},      {"RDMSR", 101},    {"WRMSR", 100},    {"VMCALL", 100},
      {"CR4 read", 50},    {"CR4 write", 50}, {"CR0 write", 2},  {"CR0 read", 1},
      {"MMIO store", 100}, {"HLT", 50},       {"interrupt", 5},  {"first touch", 515},
      {"IN user", 100},    {"OUT user", 228}, {"OUT kernel", 9}, {"unknown", 0}};
  for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
    EXPECT_EQ(labels[i].label, count_label("svm-l1-micro.txt.zst", labels[i].label),
              labels[i].events);
  }
}

static void arguments_are_those_of_the_guest(void) {
  struct trace_reader *reader = open_recording("svm-l1-micro.txt.zst");
  struct trace_event event;
  unsigned out = 0, in = 0, touched = 0, stores = 0;
  while (reader && trace_next(reader, &event) == 1) {
    if (event.kind == TRACE_IO_OUT && event.a == 0x80) {
      EXPECT_EQ("size of OUT", event.b, 1);
      out++;
    }
    in += event.kind == TRACE_IO_IN && event.a == 0x61;
    touched += event.kind == TRACE_MEM_TOUCH && (event.flags & 3) == 3 && event.b == 2;
    stores += event.kind == TRACE_MMIO_WRITE && (event.flags & 7) == 7;
    if (event.kind == TRACE_RDMSR) EXPECT_TRUE("MSR", event.a == 0x1b || event.a == 0x277);
    if (event.kind == TRACE_WRMSR) EXPECT_EQ("MSR", event.a, 0x277);
  }
  EXPECT_EQ("OUT 0x80", out, 200);
  EXPECT_EQ("IN 0x61", in, 100);
  EXPECT_TRUE("pages written first", touched >= 512);
  EXPECT_EQ("MMIO stores with address, size and value", stores, 100);
  trace_close(reader);
}

/* ANCHORS A0, column SVM (vGIF). */
static void nested_rounds_have_the_published_modes(void) {
  static const struct label_count modes[] = {{"CPUID", 6},      {"RDMSR", 6},       {"WRMSR", 6},
                                             {"VMCALL", 6},     {"CR4 write", 6},   {"OUT user", 7},
                                             {"OUT kernel", 6}, {"first touch", 7}, {"HLT", 25}};
  struct trace_rounds *rounds = malloc(sizeof *rounds);
  struct trace_reader *reader = open_recording("svm-l2-micro.txt.zst");
  if (reader && rounds) {
    trace_rounds_init(rounds);
    EXPECT_EQ("read", trace_count_rounds(reader, rounds), 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
      const struct trace_round_group *group = trace_round_find(rounds, modes[i].label);
      if (EXPECT_TRUE(modes[i].label, group != NULL))
        EXPECT_EQ(modes[i].label, trace_round_mode(group), modes[i].events);
    }
  }
  free(rounds);
  trace_close(reader);
}

static void names_of_the_report_plugin_are_read(void) {
  struct trace_reader *reader = open_recording("svm-l2-sample-report-plugin.txt.zst");
  struct trace_event event;
  unsigned events = 0, nested = 0;
  while (reader && trace_next(reader, &event) == 1) {
    EXPECT_TRUE("known", event.kind != TRACE_UNKNOWN && event.arch == TRACE_ARCH_SVM);
    events++;
    nested += event.level == 2;
  }
  EXPECT_TRUE("exits of both levels", events > 100 && nested > 10 && nested < events);
  trace_close(reader);
}

static void arm_exits_are_counted_and_named_by_class(void) {
  static const char *const names[] = {"arm64-l1-micro.txt.zst", "arm64-l1-micro.dat.zst"};
  static const struct label_count classes[] = {{"kvm_exit DABT_LOW", 218},
                                               {"kvm_exit HVC64", 201},
                                               {"kvm_exit SYS64", 200},
                                               {"kvm_exit IABT_LOW", 1}};
  for (size_t i = 0; i < 2; i++) {
    struct trace_reader *reader = open_recording(names[i]);
    struct trace_event event;
    unsigned arm = 0, interrupts = 0;
    while (reader && trace_next(reader, &event) == 1) {
      EXPECT_EQ(names[i], event.arch, TRACE_ARCH_ARM64);
      EXPECT_TRUE("never a guest operation", trace_kind_cause(event.kind) != TRACE_CAUSE_GUEST);
      arm += event.kind == TRACE_ARM_EXIT;
      interrupts += event.kind == TRACE_INTERRUPT;
    }
    EXPECT_EQ(names[i], arm, 620);
    EXPECT_EQ(names[i], interrupts, 4);
    const struct trace_loss *loss = reader ? trace_loss(reader) : NULL;
    for (size_t k = 0; loss && k < sizeof classes / sizeof classes[0]; k++) {
      uint64_t count = 0;
      for (size_t n = 0; n < loss->name_count; n++) {
        if (strcmp(loss->names[n].name, classes[k].label) == 0)
          count = loss->names[n].fate[TRACE_FATE_ARM];
      }
      EXPECT_EQ(classes[k].label, count, classes[k].events);
    }
    trace_close(reader);
  }
}

extern CU_TestInfo traces_svm_tests[];
CU_TestInfo traces_svm_tests[] = {
    {"imports_have_the_counts_of_the_readme", imports_have_the_counts_of_the_readme},
    {"exits_name_the_operations_of_the_guest", exits_name_the_operations_of_the_guest},
    {"arguments_are_those_of_the_guest", arguments_are_those_of_the_guest},
    {"nested_rounds_have_the_published_modes", nested_rounds_have_the_published_modes},
    {"names_of_the_report_plugin_are_read", names_of_the_report_plugin_are_read},
    {"arm_exits_are_counted_and_named_by_class", arm_exits_are_counted_and_named_by_class},
    CU_TEST_INFO_NULL};
