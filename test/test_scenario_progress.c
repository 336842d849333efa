/* SPDX-License-Identifier: MIT
 * A long replay says how long it takes still, and ends when it is interrupted, wherever it is. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "src/scenario/progress.h"
#include "src/scenario/replay.h"
#include "test/expect.h"

static void line_says_what_is_known(void) {
  static const struct {
    uint64_t total, events;
    double seconds;
    const char *expected;
  } cases[] = {
      {0, 500, 2, "variant 2 of 5: 500 events, 250 a second"},
      {1000, 500, 2, "variant 2 of 5: 500 of 1000 events, 250 a second, 2 s left"},
      {1000, 500, 0.5, "variant 2 of 5: 500 of 1000 events, 1000 a second"},
      {1000, 0, 3, "variant 2 of 5: 0 of 1000 events, 0 a second"},
      {1000, 0, 0, "variant 2 of 5: 0 of 1000 events, 0 a second"},
      {400, 500, 2, "variant 2 of 5: 500 of 400 events, 250 a second"},
      {200, 100, 65, "variant 2 of 5: 100 of 200 events, 2 a second, 1 min 05 s left"},
      {1000, 100, 1000, "variant 2 of 5: 100 of 1000 events, 0 a second, 2 h 30 min left"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct progress progress = {.total = cases[i].total, .variant = 1, .variant_count = 5};
    char text[128];
    EXPECT_STRING("line",
                  progress_text(&progress, cases[i].events, cases[i].seconds, text, sizeof text),
                  cases[i].expected);
  }
}

static volatile sig_atomic_t interrupted;

static void on_alarm(int number) {
  (void)number;
  interrupted = 1;
}

/* At depth 6 it is the boot that takes long, at 5 the operations, at 1 and 2 there is something to
 * report. */
static void interrupted_replay_ends_with_what_it_has(void) {
  static const struct {
    const char *depth;
    long microseconds;
    unsigned complete;
  } cases[] = {{"6", 50000, 0}, {"5", 400000, 0}, {"1,2,6", 900000, 2}};
  struct sigaction action = {.sa_handler = on_alarm}, before;
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, &before);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct itimerval timer = {{0, 0}, {0, cases[i].microseconds}};
    const struct replay_options options = {.interrupted = &interrupted};
    struct scenario *scenario;
    struct replay *replay = NULL;
    char error[SCENARIO_ERROR_SIZE] = "";
    interrupted = 0;
    scenario_for_trace(&scenario, NESTOR_TEST_SOURCE_DIR "/traces/recorded/vmx-l1-micro.txt.zst",
                       error, sizeof error);
    scenario_set_axis(scenario, SCENARIO_AXIS_DEPTH, cases[i].depth, error, sizeof error);
    setitimer(ITIMER_REAL, &timer, NULL);
    EXPECT_EQ(cases[i].depth, replay_run(&replay, scenario, &options, error, sizeof error), 130);
    EXPECT_CONTAINS(cases[i].depth, error, "interrupted");
    if (EXPECT_TRUE(cases[i].depth, replay != NULL)) {
      unsigned complete = 0;
      for (unsigned k = 0; k < replay->variant_count; k++) complete += replay->variant[k].complete;
      EXPECT_TRUE(cases[i].depth, complete <= cases[i].complete); /* a slow machine has less */
      EXPECT_TRUE("partial", replay->partial);
    }
    replay_free(replay);
    scenario_free(scenario);
  }
  sigaction(SIGALRM, &before, NULL);
}

CU_TestInfo scenario_progress_tests[] = {
    {"line_says_what_is_known", line_says_what_is_known},
    {"interrupted_replay_ends_with_what_it_has", interrupted_replay_ends_with_what_it_has},
    CU_TEST_INFO_NULL};
