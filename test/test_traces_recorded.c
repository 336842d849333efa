/* SPDX-License-Identifier: MIT
 * The recordings of traces/recorded: counts as their README states them, rounds as published,
 * round trips through the native format. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/expect.h"
#include "traces/trace.h"

#ifndef NESTOR_TEST_SOURCE_DIR
#define NESTOR_TEST_SOURCE_DIR "."
#endif
#define RECORDED NESTOR_TEST_SOURCE_DIR "/traces/recorded/"

struct vmx_reason {
  const char *name;
  uint32_t number;
};

static const struct vmx_reason reasons[] = {
#define EXIT_REASON(name, number, qualification, information, length, title) {#name, number},
#include "vmcs/reason.def"
};

static int vmx_reason(const char *name) {
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if (strcmp(reasons[i].name, name) == 0) return (int)reasons[i].number;
  }
  return -1;
}

static struct trace_reader *open_recording(const char *name) {
  char path[512], error[700];
  struct trace_options options = {vmx_reason, false};
  snprintf(path, sizeof path, "%s%s.txt.zst", RECORDED, name);
  struct trace_reader *reader = trace_open(path, &options, error, sizeof error);
  if (!EXPECT_TRUE(name, reader != NULL)) puts(error);
  return reader;
}

/* Exits by reason: all, at level 2 (hardware reasons), and as level 1 was given them. */
struct counts {
  uint64_t all[128], nested[128], reflected[128];
  uint64_t events;
};

static void count_exits(const char *name, struct counts *counts) {
  struct trace_event event;
  struct trace_reader *reader = open_recording(name);
  memset(counts, 0, sizeof *counts);
  if (!reader) return;
  int status;
  while ((status = trace_next(reader, &event)) == 1) {
    EXPECT_TRUE(name, event.flags & TRACE_HAS_REASON && event.arch == TRACE_ARCH_VMX);
    counts->events++;
    counts->all[event.hardware_reason & 127]++;
    if (event.level == 2) counts->nested[event.hardware_reason & 127]++;
    if (event.flags & TRACE_REFLECTED) counts->reflected[event.reason & 127]++;
  }
  EXPECT_EQ(name, status, 0);
  EXPECT_EQ(name, trace_loss(reader)->kind[TRACE_UNKNOWN], 0);
  EXPECT_EQ(name, trace_loss(reader)->gap_count, 0);
  EXPECT_EQ(name, trace_loss(reader)->closed_early, 0);
  trace_close(reader);
}

/* "REASON COUNT, ..." as the README writes it, and nothing besides. */
static void expect_counts(const char *name, const uint64_t actual[128], const char *expected) {
  uint64_t wanted[128] = {0};
  char text[1024];
  snprintf(text, sizeof text, "%s", expected);
  for (char *save = NULL, *part = strtok_r(text, ",", &save); part;
       part = strtok_r(NULL, ",", &save)) {
    char reason[32];
    unsigned count;
    if (!EXPECT_EQ("entry", sscanf(part, "%31s %u", reason, &count), 2)) return;
    int number = vmx_reason(reason);
    if (EXPECT_TRUE(reason, number >= 0)) wanted[number] = count;
  }
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    char what[128];
    snprintf(what, sizeof what, "%s: %s", name, reasons[i].name);
    EXPECT_EQ(what, actual[reasons[i].number], wanted[reasons[i].number]);
  }
}

static void imports_have_the_counts_of_the_readme(void) {
  static const struct {
    const char *name;
    unsigned lines, exits;
    const char *all, *nested, *reflected;
  } cases[] = {
      {"vmx-l1-micro", 3245, 720,
       "IO_INSTRUCTION 178, EPT_VIOLATION 164, CR_ACCESS 84, EPT_MISCONFIG 79, CPUID 54, MSR_READ "
       "41, MSR_WRITE 40, VMCALL 40, DR_ACCESS 10, WBINVD 10, XSETBV 10, HLT 10",
       "", ""},
      {"vmx-l1-micro-ept0", 3757, 877,
       "EXCEPTION_NMI 270, IO_INSTRUCTION 178, CR_ACCESS 164, CPUID 54, INVLPG 50, MSR_READ 41, "
       "MSR_WRITE 40, VMCALL 40, DR_ACCESS 10, WBINVD 10, XSETBV 10, HLT 10",
       "", ""},
      {"vmx-l2-micro-shadow", 22115, 5845,
       "IO_INSTRUCTION 1817, VMREAD 1143, MSR_READ 779, VMRESUME 728, VMWRITE 397, EPT_VIOLATION "
       "339, CPUID 262, CR_ACCESS 86, DR_ACCESS 60, HLT 51, INTERRUPT_WINDOW 43, MSR_WRITE 40, "
       "VMCALL 40, XSETBV 16, EXTERNAL_INTERRUPT 15, WBINVD 10, PREEMPTION_TIMER 7, INVEPT 5, "
       "VMCLEAR 2, VMON 1, VMPTRLD 1, INVVPID 1, VMLAUNCH 1, VMOFF 1",
       "EPT_VIOLATION 326, IO_INSTRUCTION 178, CR_ACCESS 84, CPUID 54, MSR_READ 41, MSR_WRITE 40, "
       "VMCALL 40, DR_ACCESS 20, WBINVD 10, XSETBV 10, HLT 10, PREEMPTION_TIMER 7",
       "IO_INSTRUCTION 178, EPT_VIOLATION 164, CR_ACCESS 84, EPT_MISCONFIG 79, CPUID 54, MSR_READ "
       "41, MSR_WRITE 40, VMCALL 40, DR_ACCESS 10, WBINVD 10, XSETBV 10, HLT 10, "
       "EXTERNAL_INTERRUPT 9"},
      {"vmx-l2-micro-noshadow", 36764, 13043,
       "VMREAD 7191, IO_INSTRUCTION 1871, VMWRITE 1363, MSR_READ 780, VMRESUME 729, EPT_VIOLATION "
       "449, CPUID 262, CR_ACCESS 86, DR_ACCESS 60, INTERRUPT_WINDOW 50, HLT 49, MSR_WRITE 40, "
       "VMCALL 40, EXTERNAL_INTERRUPT 27, XSETBV 16, WBINVD 10, PREEMPTION_TIMER 8, INVEPT 5, "
       "VMCLEAR 2, VMON 1, VMPTRLD 1, INVVPID 1, VMLAUNCH 1, VMOFF 1",
       "EPT_VIOLATION 326, IO_INSTRUCTION 178, CR_ACCESS 84, CPUID 54, MSR_READ 41, MSR_WRITE 40, "
       "VMCALL 40, DR_ACCESS 20, WBINVD 10, XSETBV 10, HLT 10, PREEMPTION_TIMER 8",
       "IO_INSTRUCTION 178, EPT_VIOLATION 164, CR_ACCESS 84, EPT_MISCONFIG 79, CPUID 54, MSR_READ "
       "41, MSR_WRITE 40, VMCALL 40, EXTERNAL_INTERRUPT 10, DR_ACCESS 10, WBINVD 10, XSETBV 10, "
       "HLT 10"},
      {"vmx-l2-micro-l1ept0-shadow", 26848, 7938,
       "VMREAD 2468, IO_INSTRUCTION 1833, MSR_READ 939, VMRESUME 888, VMWRITE 451, EXCEPTION_NMI "
       "270, CPUID 262, EPT_VIOLATION 206, CR_ACCESS 166, INVVPID 109, DR_ACCESS 65, INVLPG 50, "
       "HLT 48, INTERRUPT_WINDOW 44, MSR_WRITE 40, VMCALL 40, EXTERNAL_INTERRUPT 18, XSETBV 16, "
       "WBINVD 10, PREEMPTION_TIMER 9, VMCLEAR 2, VMON 1, VMPTRLD 1, VMLAUNCH 1, VMOFF 1",
       "EXCEPTION_NMI 270, IO_INSTRUCTION 178, CR_ACCESS 164, EPT_VIOLATION 90, CPUID 54, INVLPG "
       "50, MSR_READ 41, MSR_WRITE 40, VMCALL 40, DR_ACCESS 21, WBINVD 10, XSETBV 10, HLT 10, "
       "PREEMPTION_TIMER 9, EXTERNAL_INTERRUPT 1",
       "EXCEPTION_NMI 270, IO_INSTRUCTION 178, CR_ACCESS 164, CPUID 54, INVLPG 50, MSR_READ 41, "
       "MSR_WRITE 40, VMCALL 40, EXTERNAL_INTERRUPT 11, DR_ACCESS 11, WBINVD 10, XSETBV 10, HLT "
       "10"},
      {"vmx-l2-micro-l1ept0-noshadow", 42198, 15587,
       "VMREAD 9015, IO_INSTRUCTION 1901, VMWRITE 1596, MSR_READ 936, VMRESUME 885, EXCEPTION_NMI "
       "270, CPUID 262, CR_ACCESS 166, INVVPID 109, EPT_VIOLATION 90, DR_ACCESS 60, "
       "INTERRUPT_WINDOW 50, INVLPG 50, HLT 47, MSR_WRITE 40, VMCALL 40, EXTERNAL_INTERRUPT 29, "
       "XSETBV 16, WBINVD 10, PREEMPTION_TIMER 9, VMCLEAR 2, VMON 1, VMPTRLD 1, VMLAUNCH 1, VMOFF "
       "1",
       "EXCEPTION_NMI 270, IO_INSTRUCTION 178, CR_ACCESS 164, EPT_VIOLATION 90, CPUID 54, INVLPG "
       "50, MSR_READ 41, MSR_WRITE 40, VMCALL 40, DR_ACCESS 20, WBINVD 10, XSETBV 10, HLT 10, "
       "PREEMPTION_TIMER 9",
       "EXCEPTION_NMI 270, IO_INSTRUCTION 178, CR_ACCESS 164, CPUID 54, INVLPG 50, MSR_READ 41, "
       "MSR_WRITE 40, VMCALL 40, DR_ACCESS 10, WBINVD 10, XSETBV 10, HLT 10, EXTERNAL_INTERRUPT "
       "9"},
      {"vmx-l2-micro-shadow-skylake", 20767, 5322,
       "IO_INSTRUCTION 1799, VMREAD 743, MSR_READ 696, VMRESUME 645, VMWRITE 406, EPT_VIOLATION "
       "374, CPUID 282, CR_ACCESS 86, DR_ACCESS 60, HLT 51, INTERRUPT_WINDOW 45, MSR_WRITE 40, "
       "VMCALL 40, XSETBV 16, EXTERNAL_INTERRUPT 12, WBINVD 10, INVEPT 5, PREEMPTION_TIMER 5, "
       "VMCLEAR 2, VMON 1, VMPTRLD 1, INVVPID 1, VMLAUNCH 1, VMOFF 1",
       "EPT_VIOLATION 248, IO_INSTRUCTION 178, CR_ACCESS 84, CPUID 54, MSR_READ 41, MSR_WRITE 40, "
       "VMCALL 40, DR_ACCESS 20, WBINVD 10, XSETBV 10, HLT 10, PREEMPTION_TIMER 5",
       "IO_INSTRUCTION 178, EPT_VIOLATION 85, CR_ACCESS 84, EPT_MISCONFIG 79, CPUID 54, MSR_READ "
       "41, MSR_WRITE 40, VMCALL 40, DR_ACCESS 10, WBINVD 10, XSETBV 10, HLT 10, "
       "EXTERNAL_INTERRUPT 5"},
      {"vmx-l2-micro-noshadow-skylake", 32832, 11334,
       "VMREAD 5885, IO_INSTRUCTION 1851, VMWRITE 1293, MSR_READ 697, VMRESUME 646, EPT_VIOLATION "
       "283, CPUID 282, CR_ACCESS 86, DR_ACCESS 60, INTERRUPT_WINDOW 53, HLT 49, MSR_WRITE 40, "
       "VMCALL 40, EXTERNAL_INTERRUPT 26, XSETBV 16, WBINVD 10, INVEPT 5, PREEMPTION_TIMER 5, "
       "VMCLEAR 2, VMON 1, VMPTRLD 1, INVVPID 1, VMLAUNCH 1, VMOFF 1",
       "EPT_VIOLATION 248, IO_INSTRUCTION 178, CR_ACCESS 84, CPUID 54, MSR_READ 41, MSR_WRITE 40, "
       "VMCALL 40, DR_ACCESS 20, WBINVD 10, XSETBV 10, HLT 10, PREEMPTION_TIMER 5",
       "IO_INSTRUCTION 178, EPT_VIOLATION 85, CR_ACCESS 84, EPT_MISCONFIG 79, CPUID 54, MSR_READ "
       "41, MSR_WRITE 40, VMCALL 40, DR_ACCESS 10, WBINVD 10, XSETBV 10, HLT 10, "
       "EXTERNAL_INTERRUPT 6"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct counts counts;
    count_exits(cases[i].name, &counts);
    EXPECT_EQ(cases[i].name, counts.events, cases[i].exits);
    expect_counts(cases[i].name, counts.all, cases[i].all);
    expect_counts(cases[i].name, counts.nested, cases[i].nested);
    expect_counts(cases[i].name, counts.reflected, cases[i].reflected);
    struct trace_reader *reader = open_recording(cases[i].name);
    struct trace_event event;
    while (reader && trace_next(reader, &event) == 1) {
    }
    if (reader) EXPECT_EQ(cases[i].name, trace_loss(reader)->lines, cases[i].lines);
    trace_close(reader);
  }
}

static void the_small_runs_have_one_kind_of_exit_each(void) {
  static const struct {
    const char *name, *all;
  } cases[] = {
      {"vmx-cpuid", "CPUID 3000, HLT 1, EPT_VIOLATION 1"},
      {"vmx-mmio", "EPT_MISCONFIG 2999, EPT_VIOLATION 2, HLT 1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct counts counts;
    count_exits(cases[i].name, &counts);
    expect_counts(cases[i].name, counts.all, cases[i].all);
  }
  static const char *const others[] = {"vmx-vmcall",    "vmx-msr",          "vmx-io",
                                       "vmx-hlt",       "vmx-nested-cpuid", "vmx-nested-cpuidept",
                                       "vmx-nested-ept"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    struct counts counts;
    count_exits(others[i], &counts);
    EXPECT_TRUE(others[i], counts.events >= 3000);
  }
}

struct mode {
  const char *label;
  unsigned shadow, noshadow;
};

static void expect_modes(const char *shadow, const char *noshadow, const struct mode *modes) {
  const char *names[2] = {shadow, noshadow};
  for (unsigned side = 0; side < 2; side++) {
    struct trace_rounds *rounds = malloc(sizeof *rounds);
    struct trace_reader *reader = open_recording(names[side]);
    if (!reader || !rounds) {
      free(rounds);
      continue;
    }
    trace_rounds_init(rounds);
    EXPECT_EQ(names[side], trace_count_rounds(reader, rounds), 0);
    trace_close(reader);
    EXPECT_EQ("groups", rounds->ungrouped, 0);
    for (const struct mode *mode = modes; mode->label; mode++) {
      char what[128];
      const struct trace_round_group *group = trace_round_find(rounds, mode->label);
      snprintf(what, sizeof what, "%s: %s", names[side], mode->label);
      if (!EXPECT_TRUE(what, group != NULL)) continue;
      EXPECT_EQ(what, trace_round_mode(group), side ? mode->noshadow : mode->shadow);
      EXPECT_TRUE(what, trace_round_mean(group) > 0.8 * trace_round_mode(group));
    }
    free(rounds);
  }
}

/* ANCHORS A0; the first touch without shadowing is 8 where L0 had backed L1's page, 9 here. */
static void rounds_have_the_published_modes(void) {
  static const struct mode ept[] = {
      {"CPUID", 3, 11},      {"RDMSR", 3, 11},     {"WRMSR", 4, 12},      {"VMCALL", 3, 12},
      {"CR4 write", 3, 15},  {"CR0 write", 3, 15}, {"WBINVD", 3, 11},     {"XSETBV", 3, 12},
      {"OUT user", 5, 14},   {"IN user", 5, 14},   {"OUT kernel", 3, 12}, {"MMIO store", 11, 24},
      {"MMIO load", 11, 24}, {"HLT", 21, 40},      {NULL, 0, 0}};
  static const struct mode shadow_paging[] = {
      {"CPUID", 3, 10},     {"RDMSR", 3, 10},      {"WRMSR", 4, 11},      {"VMCALL", 3, 11},
      {"CR4 write", 3, 14}, {"CR0 write", 33, 46}, {"CR3 write", 4, 12},  {"CR3 read", 3, 11},
      {"INVLPG", 4, 12},    {"OUT user", 5, 13},   {"OUT kernel", 3, 11}, {"HLT", 21, 39},
      {NULL, 0, 0}};
  expect_modes("vmx-l2-micro-shadow", "vmx-l2-micro-noshadow", ept);
  expect_modes("vmx-l2-micro-l1ept0-shadow", "vmx-l2-micro-l1ept0-noshadow", shadow_paging);
}

/* The guest's exits at level 1 and those reflected at level 2 are one sequence of operations. */
static bool next_operation(struct trace_reader *reader, unsigned level, struct trace_event *event) {
  while (trace_next(reader, event) == 1) {
    if (event->level != level || trace_kind_cause(event->kind) == TRACE_CAUSE_HOST) continue;
    if (level == 2 && !(event->flags & TRACE_REFLECTED)) continue;
    return true;
  }
  return false;
}

static void a_guest_has_the_same_operations_at_both_levels(void) {
  static const struct {
    const char *one, *two;
    unsigned operations;
  } cases[] = {{"vmx-l1-micro", "vmx-l2-micro-shadow", 720},
               {"vmx-l1-micro", "vmx-l2-micro-noshadow", 720},
               {"vmx-l1-micro-ept0", "vmx-l2-micro-l1ept0-noshadow", 877}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct trace_reader *one = open_recording(cases[i].one), *two = open_recording(cases[i].two);
    struct trace_event left, right;
    unsigned count = 0, retries = 0;
    while (one && two && next_operation(one, 1, &left)) {
      if (!EXPECT_TRUE("level 2 has it too", next_operation(two, 2, &right))) break;
      EXPECT_EQ("reason", right.reason, left.reason);
      EXPECT_EQ("rip", right.rip, left.rip);
      bool is_mmio = left.kind == TRACE_MMIO_READ || left.kind == TRACE_MMIO_WRITE;
      /* Level 2 does not show what level 1 did with a page it had not seen, or emulated. */
      if (!is_mmio) EXPECT_EQ("kind", right.kind, left.kind);
      count++;
      retries += (right.flags & TRACE_RETRY) != 0;
    }
    if (two) EXPECT_TRUE("level 2 has no more", !next_operation(two, 2, &right));
    EXPECT_EQ("operations", count, cases[i].operations);
    if (i < 2) EXPECT_EQ("LAPIC loads and debug registers tried twice", retries, 40 + 10);
    trace_close(one);
    trace_close(two);
  }
}

static void local_apic_loads_are_two_events_of_which_the_first_is_a_retry(void) {
  struct trace_reader *reader = open_recording("vmx-l1-micro");
  struct trace_event event;
  unsigned loads = 0;
  while (reader && trace_next(reader, &event) == 1) {
    char label[TRACE_LABEL_MAX];
    if (strcmp(trace_event_label(&event, label, sizeof label), "LAPIC load") != 0) continue;
    bool is_first = loads++ % 2 == 0;
    EXPECT_EQ("retry", (event.flags & TRACE_RETRY) != 0, is_first);
    EXPECT_EQ("address", event.a, 0xfee00030);
    EXPECT_EQ("value told by the second", event.flags & TRACE_HAS_C, is_first ? 0 : TRACE_HAS_C);
  }
  EXPECT_EQ("exits of 40 loads", loads, 80);
  trace_close(reader);
}

static void marks_of_the_micro_guest_come_in_order(void) {
  static const uint8_t marks[] = {0x01, 0x10, 0x11, 0x80, 0x81, 0x82, 0x83, 0x90};
  struct trace_reader *reader = open_recording("vmx-l1-micro");
  struct trace_event event;
  size_t i = 0;
  while (reader && i < sizeof marks && trace_next(reader, &event) == 1) {
    if (event.kind == TRACE_IO_OUT && event.a == 0x5e0) EXPECT_EQ("mark", event.c, marks[i++]);
  }
  EXPECT_EQ("marks", i, sizeof marks);
  trace_close(reader);
}

static void recordings_survive_the_native_format(void) {
  static const char *const names[] = {"vmx-l1-micro", "vmx-l1-micro-ept0", "vmx-l2-micro-noshadow",
                                      "vmx-l2-micro-l1ept0-shadow", "vmx-mmio"};
  char path[64] = "/tmp/nestor-test-XXXXXX", file[80], error[700];
  if (!EXPECT_TRUE("temporary folder", mkdtemp(path))) return;
  snprintf(file, sizeof file, "%s/r.nst", path);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct trace_reader *text = open_recording(names[i]);
    if (!text) continue;
    struct trace_writer *writer =
        trace_writer_create(file, trace_source(text), error, sizeof error);
    struct trace_event event, back;
    while (trace_next(text, &event) == 1) EXPECT_EQ("write", trace_write(writer, &event), 0);
    EXPECT_EQ("commit", trace_writer_commit(writer, error, sizeof error), 0);
    trace_close(text);
    text = open_recording(names[i]);
    struct trace_reader *native = trace_open(file, NULL, error, sizeof error);
    if (!EXPECT_TRUE("opens", native != NULL)) puts(error);
    while (native && trace_next(text, &event) == 1) {
      if (!EXPECT_EQ("as many", trace_next(native, &back), 1)) break;
      EXPECT_TRUE("equal", trace_event_equal(&event, &back));
    }
    if (native) EXPECT_EQ("no more", trace_next(native, &back), 0);
    if (native) EXPECT_CONTAINS("source", trace_source(native)->name, names[i]);
    trace_close(text);
    trace_close(native);
    unlink(file);
  }
  rmdir(path);
}

CU_TestInfo traces_recorded_tests[] = {
    {"imports_have_the_counts_of_the_readme", imports_have_the_counts_of_the_readme},
    {"the_small_runs_have_one_kind_of_exit_each", the_small_runs_have_one_kind_of_exit_each},
    {"rounds_have_the_published_modes", rounds_have_the_published_modes},
    {"a_guest_has_the_same_operations_at_both_levels",
     a_guest_has_the_same_operations_at_both_levels},
    {"local_apic_loads_are_two_events_of_which_the_first_is_a_retry",
     local_apic_loads_are_two_events_of_which_the_first_is_a_retry},
    {"marks_of_the_micro_guest_come_in_order", marks_of_the_micro_guest_come_in_order},
    {"recordings_survive_the_native_format", recordings_survive_the_native_format},
    CU_TEST_INFO_NULL};
