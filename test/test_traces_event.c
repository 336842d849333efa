/* SPDX-License-Identifier: MIT
 * The event vocabulary: names, letters, labels. */
#include <string.h>

#include "test/expect.h"
#include "traces/event.h"

static void every_kind_has_a_name_and_a_letter_of_its_own(void) {
  for (unsigned kind = 0; kind < TRACE_KIND_COUNT; kind++) {
    const char *name = trace_kind_name(kind);
    EXPECT_TRUE("a kind has a name", name && *name);
    EXPECT_EQ(name, trace_kind_of_tag(trace_kind_tag(kind)), kind);
  }
  EXPECT_TRUE("no name outside the list", !trace_kind_name(TRACE_KIND_COUNT));
  EXPECT_EQ("no kind for an unused letter", trace_kind_of_tag('!'), TRACE_KIND_COUNT);
}

static void argument_flags_match_the_argument_names(void) {
  EXPECT_EQ("HLT has none", trace_kind_arguments(TRACE_HLT), 0);
  EXPECT_EQ("CPUID has two", trace_kind_arguments(TRACE_CPUID), TRACE_HAS_A | TRACE_HAS_B);
  EXPECT_EQ("IO_OUT has four", trace_kind_arguments(TRACE_IO_OUT), 15);
  EXPECT_STRING("third of IO_OUT", trace_kind_argument(TRACE_IO_OUT, 2), "value");
  EXPECT_TRUE("no fifth", !trace_kind_argument(TRACE_IO_OUT, 4));
}

static void only_host_kinds_are_host_caused(void) {
  EXPECT_EQ("CPUID", trace_kind_cause(TRACE_CPUID), TRACE_CAUSE_GUEST);
  EXPECT_EQ("INTERRUPT", trace_kind_cause(TRACE_INTERRUPT), TRACE_CAUSE_HOST);
  EXPECT_EQ("PREEMPTION_TIMER", trace_kind_cause(TRACE_PREEMPTION_TIMER), TRACE_CAUSE_HOST);
  EXPECT_EQ("UNKNOWN", trace_kind_cause(TRACE_UNKNOWN), TRACE_CAUSE_NEITHER);
  EXPECT_EQ("out of range", trace_kind_cause(60000), TRACE_CAUSE_NEITHER);
}

#define A TRACE_HAS_A
#define C TRACE_HAS_C

static void labels_group_as_reports_do(void) {
  static const struct {
    const char *label;
    struct trace_event event;
  } cases[] = {
      {"CPUID", {.kind = TRACE_CPUID, .level = 1}},
      {"CR0 write", {.kind = TRACE_MOV_TO_CR, .a = 0, .flags = A}},
      {"CR3 write", {.kind = TRACE_MOV_TO_CR, .a = 3, .flags = A}},
      {"CR3 read", {.kind = TRACE_MOV_FROM_CR, .a = 3, .flags = A}},
      {"CR write", {.kind = TRACE_MOV_TO_CR, .a = 3}},
      {"DR write", {.kind = TRACE_MOV_DR, .flags = A | C, .c = 0}},
      {"DR read", {.kind = TRACE_MOV_DR, .flags = A | C, .c = 1}},
      {"DR access", {.kind = TRACE_MOV_DR}},
      {"OUT user", {.kind = TRACE_IO_OUT, .level = 1, .a = 0x21, .flags = A | TRACE_USER}},
      {"OUT kernel", {.kind = TRACE_IO_OUT, .level = 1, .a = 0x80, .flags = A}},
      {"OUT kernel", {.kind = TRACE_IO_OUT, .level = 2, .a = 0x21, .flags = A}},
      {"OUT user", {.kind = TRACE_IO_OUT, .level = 2, .a = 0x80, .flags = A}},
      {"IN kernel", {.kind = TRACE_IO_IN, .level = 2, .a = 0x43, .flags = A}},
      {"IN user", {.kind = TRACE_IO_IN, .level = 2, .a = 0x61, .flags = A}},
      {"MMIO load", {.kind = TRACE_MMIO_READ, .a = 0xd8000000, .flags = A}},
      {"LAPIC load", {.kind = TRACE_MMIO_READ, .a = 0xfee00030, .flags = A}},
      {"LAPIC store", {.kind = TRACE_MMIO_WRITE, .a = 0xfee000b0, .flags = A}},
      {"MMIO store", {.kind = TRACE_MMIO_WRITE, .a = 0xfee01000, .flags = A}},
      {"LAPIC store", {.kind = TRACE_APIC_WRITE}},
      {"first touch", {.kind = TRACE_MEM_TOUCH, .a = 0x1000, .flags = A}},
      {"#PF", {.kind = TRACE_EXCEPTION, .a = 14, .flags = A}},
      {"exception", {.kind = TRACE_EXCEPTION, .a = 15, .flags = A}},
      {"exception", {.kind = TRACE_EXCEPTION, .a = UINT64_MAX, .flags = A}},
      {"exception", {.kind = TRACE_EXCEPTION}},
      {"unknown", {.kind = 999}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[TRACE_LABEL_MAX];
    EXPECT_STRING("label", trace_event_label(&cases[i].event, text, sizeof text), cases[i].label);
  }
}

static void every_title_fits_a_label(void) {
  for (unsigned kind = 0; kind < TRACE_KIND_COUNT; kind++) {
    struct trace_event event = {.kind = (uint16_t)kind, .flags = TRACE_FLAGS_ALL};
    char text[TRACE_LABEL_MAX], wide[4 * TRACE_LABEL_MAX];
    trace_event_label(&event, text, sizeof text);
    EXPECT_STRING("not cut", text, trace_event_label(&event, wide, sizeof wide));
  }
}

static void text_too_long_for_the_buffer_is_cut(void) {
  struct trace_event event = {.kind = TRACE_IO_OUT, .flags = TRACE_FLAGS_ALL};
  char text[TRACE_TEXT_MAX], small[40];
  trace_event_text(&event, text, sizeof text);
  EXPECT_CONTAINS("arguments", text, "port 0x0 size 0x0 value 0x0 count 0x0");
  for (size_t size = 1; size <= sizeof small; size++) {
    trace_event_text(&event, small, size);
    EXPECT_EQ("cut at the buffer's end", strlen(small), size - 1);
  }
}

static void a_difference_in_any_field_makes_events_differ(void) {
  struct trace_event left = {.kind = TRACE_CPUID}, right;
  EXPECT_TRUE("equal", trace_event_equal(&left, &left));
#define DIFFERENT(field) \
  right = left;          \
  right.field++;         \
  EXPECT_TRUE(#field " counts", !trace_event_equal(&left, &right))
  DIFFERENT(time_ns);
  DIFFERENT(rip);
  DIFFERENT(a);
  DIFFERENT(b);
  DIFFERENT(c);
  DIFFERENT(d);
  DIFFERENT(reason);
  DIFFERENT(hardware_reason);
  DIFFERENT(flags);
  DIFFERENT(kind);
  DIFFERENT(arch);
  DIFFERENT(vcpu);
  DIFFERENT(level);
  DIFFERENT(injected);
}

CU_TestInfo traces_event_tests[] = {
    {"every_kind_has_a_name_and_a_letter_of_its_own",
     every_kind_has_a_name_and_a_letter_of_its_own},
    {"argument_flags_match_the_argument_names", argument_flags_match_the_argument_names},
    {"only_host_kinds_are_host_caused", only_host_kinds_are_host_caused},
    {"labels_group_as_reports_do", labels_group_as_reports_do},
    {"every_title_fits_a_label", every_title_fits_a_label},
    {"text_too_long_for_the_buffer_is_cut", text_too_long_for_the_buffer_is_cut},
    {"a_difference_in_any_field_makes_events_differ",
     a_difference_in_any_field_makes_events_differ},
    CU_TEST_INFO_NULL};
