/* SPDX-License-Identifier: MIT
 * Generated workloads: exact shares, the same order for the same seed, refusals. */
#include <string.h>

#include "test/expect.h"
#include "traces/mix.h"

static const struct trace_mix boot = {
    .events = 1000,
    .seed = 7,
    .count = 4,
    .entry = {{.kind = TRACE_CPUID, .weight = 132076, .a = 1, .flags = TRACE_HAS_A},
              {.kind = TRACE_MEM_TOUCH,
               .weight = 35708,
               .a = 0x100000,
               .b = 2,
               .flags = TRACE_HAS_A | TRACE_HAS_B,
               .stride = 4096,
               .span = 16},
              {.kind = TRACE_INTERRUPT, .weight = 25481, .a = 0x20, .flags = TRACE_HAS_A},
              {.kind = TRACE_IO_OUT,
               .weight = 132365,
               .a = 0x3f8,
               .b = 1,
               .c = 'x',
               .d = 1,
               .flags = 0xf | TRACE_USER}}};

static struct trace_reader *open_mix(const struct trace_mix *mix) {
  char error[256] = "";
  struct trace_reader *reader = trace_open_mix(mix, error, sizeof error);
  EXPECT_STRING("no complaint", error, "");
  return reader;
}

/* Events by kind. */
static uint64_t count_kinds(struct trace_reader *reader, uint64_t counts[TRACE_KIND_COUNT]) {
  struct trace_event event;
  uint64_t total = 0;
  memset(counts, 0, TRACE_KIND_COUNT * sizeof counts[0]);
  while (trace_next(reader, &event) == 1) counts[event.kind]++, total++;
  return total;
}

static void shares_are_exact(void) {
  uint64_t counts[TRACE_KIND_COUNT];
  struct trace_reader *reader = open_mix(&boot);
  if (!reader) return;
  EXPECT_EQ("events", count_kinds(reader, counts), 1000);
  /* 405.60, 109.66, 78.25 and 406.49: two are missing after rounding down. */
  const unsigned expected[] = {406, 110, 78, 406};
  for (unsigned i = 0; i < 4; i++) {
    EXPECT_EQ(trace_kind_name(boot.entry[i].kind), counts[boot.entry[i].kind], expected[i]);
  }
  EXPECT_EQ("counted by the loss report", trace_loss(reader)->events, 1000);
  EXPECT_EQ("format", trace_format(reader), TRACE_FORMAT_MIX);
  EXPECT_CONTAINS("source", trace_source(reader)->provenance, "seed 7");
  trace_close(reader);
}

static void weights_without_a_number_are_counts(void) {
  struct trace_mix mix = {.count = 3,
                          .entry = {{.kind = TRACE_HLT, .weight = 3},
                                    {.kind = TRACE_WBINVD, .weight = 0},
                                    {.kind = TRACE_CLTS, .weight = 4}}};
  uint64_t counts[TRACE_KIND_COUNT];
  struct trace_reader *reader = open_mix(&mix);
  if (!reader) return;
  EXPECT_EQ("events", count_kinds(reader, counts), 7);
  EXPECT_EQ("HLT", counts[TRACE_HLT], 3);
  EXPECT_EQ("WBINVD", counts[TRACE_WBINVD], 0);
  EXPECT_EQ("CLTS", counts[TRACE_CLTS], 4);
  trace_close(reader);
}

static void same_seed_gives_same_order(void) {
  struct trace_mix other = boot;
  other.seed = 8;
  struct trace_reader *first = open_mix(&boot), *second = open_mix(&boot),
                      *third = open_mix(&other);
  unsigned different = 0;
  for (unsigned i = 0; i < 1000 && first && second && third; i++) {
    struct trace_event a, b, c;
    EXPECT_TRUE("all have an event", trace_next(first, &a) == 1 && trace_next(second, &b) == 1 &&
                                         trace_next(third, &c) == 1);
    if (!EXPECT_TRUE("same", trace_event_equal(&a, &b))) break;
    different += a.kind != c.kind;
  }
  EXPECT_TRUE("another seed, another order", different > 300);
  trace_close(first);
  trace_close(second);
  trace_close(third);
}

static void arguments_step_through_their_span(void) {
  struct trace_reader *reader = open_mix(&boot);
  struct trace_event event;
  uint64_t touched = 0, number = 0;
  while (reader && trace_next(reader, &event) == 1) {
    EXPECT_EQ("time", event.time_ns, number++ * TRACE_MIX_PERIOD);
    EXPECT_EQ("level", event.level, 1);
    bool is_host = event.kind == TRACE_INTERRUPT;
    EXPECT_EQ("cause", trace_kind_cause(event.kind),
              is_host ? TRACE_CAUSE_HOST : TRACE_CAUSE_GUEST);
    if (event.kind != TRACE_MEM_TOUCH) continue;
    if (!EXPECT_EQ("page", event.a, 0x100000 + 4096 * (touched++ % 16))) break;
    EXPECT_EQ("access", event.b, 2);
  }
  trace_close(reader);
}

/* Kinds are spread over the whole run, not left over for its end. */
static void order_is_mixed(void) {
  struct trace_mix mix = {
      .events = 1000000,
      .seed = 1,
      .count = 2,
      .entry = {{.kind = TRACE_HLT, .weight = 1}, {.kind = TRACE_CLTS, .weight = 1}}};
  struct trace_reader *reader = open_mix(&mix);
  struct trace_event event;
  uint64_t first_half = 0, changes = 0, total = 0;
  unsigned before = TRACE_HLT;
  while (reader && trace_next(reader, &event) == 1) {
    first_half += total < 500000 && event.kind == TRACE_HLT;
    changes += event.kind != before;
    before = event.kind;
    total++;
  }
  EXPECT_EQ("events", total, 1000000);
  EXPECT_TRUE("half of each in the first half", first_half > 249000 && first_half < 251000);
  EXPECT_TRUE("they alternate at random", changes > 499000 && changes < 501000);
  trace_close(reader);
}

static void bad_mixes_are_refused(void) {
  const struct {
    const char *name;
    struct trace_mix mix;
    const char *sentence;
  } cases[] = {
      {"no entries", {.events = 5}, "0 entries; expected 1 to 32"},
      {"too many", {.count = 33}, "33 entries"},
      {"unknown kind",
       {.count = 1, .entry = {{.kind = TRACE_UNKNOWN, .weight = 1}}},
       "entry 1: expected a kind"},
      {"no kind",
       {.count = 1, .entry = {{.kind = (enum trace_kind)250, .weight = 1}}},
       "entry 1: expected a kind"},
      {"no weight", {.count = 1, .entry = {{.kind = TRACE_HLT, .weight = 0}}}, "add up to 0"},
      {"huge weight",
       {.count = 1, .entry = {{.kind = TRACE_HLT, .weight = UINT64_MAX}}},
       "entry 1 (HLT): weight"},
      {"huge sum",
       {.count = 2,
        .entry = {{.kind = TRACE_HLT, .weight = TRACE_MIX_LIMIT - 1},
                  {.kind = TRACE_CLTS, .weight = 1}}},
       "add up to 4294967296"},
      {"huge number",
       {.events = TRACE_MIX_LIMIT, .count = 1, .entry = {{.kind = TRACE_HLT, .weight = 1}}},
       "4294967296 events"},
      {"argument that HLT lacks",
       {.count = 1, .entry = {{.kind = TRACE_HLT, .weight = 1, .flags = TRACE_HAS_A}}},
       "entry 1 (HLT): flags 0x1"},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char error[256] = "";
    struct trace_reader *reader = trace_open_mix(&cases[i].mix, error, sizeof error);
    EXPECT_TRUE(cases[i].name, reader == NULL);
    EXPECT_CONTAINS(cases[i].name, error, cases[i].sentence);
    trace_close(reader);
  }
}

CU_TestInfo traces_mix_tests[] = {
    {"shares_are_exact", shares_are_exact},
    {"weights_without_a_number_are_counts", weights_without_a_number_are_counts},
    {"same_seed_gives_same_order", same_seed_gives_same_order},
    {"arguments_step_through_their_span", arguments_step_through_their_span},
    {"order_is_mixed", order_is_mixed},
    {"bad_mixes_are_refused", bad_mixes_are_refused},
    CU_TEST_INFO_NULL,
};
