/* SPDX-License-Identifier: MIT
 * nestor bench: what this build reaches on this machine. Every line is measured, none is a test;
 * compare ratios of one run, absolute figures drift with the machine. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "src/cli/cli.h"
#include "src/hypervisor/player.h"
#include "src/hypervisor/stack.h"
#include "src/nestor.h"
#include "traces/trace.h"
#include "vmcs/reason.h"

enum { ROUNDS = 3, FIRST_EVENTS = 20000, MORE_EVENTS = 200000 };
static const double slice = 0.25; /* seconds that one round aims at */

struct bench {
  bool csv;
  int status;
};

static int fail(struct bench *bench, const char *sentence) {
  fprintf(stderr, "nestor: bench: %s\n", sentence);
  return bench->status = CLI_SETUP;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void print(const struct bench *bench, const char *name, double value, const char *unit) {
  if (bench->csv)
    printf("%s,%.0f,%s\n", name, value, unit);
  else
    printf("%-22s %16.0f  %s\n", name, value, unit);
  fflush(stdout);
}

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* Runs `work(context, count)` with a count that takes about one slice; median of rates a second,
 * where work returns how much it did. */
static double rate(double (*work)(void *context, uint64_t count), void *context) {
  uint64_t count = 64;
  double rates[ROUNDS], elapsed = 0;
  for (;; count *= 4) {
    double start = now();
    work(context, count);
    elapsed = now() - start;
    if (elapsed > slice / 8) break;
  }
  count = (uint64_t)((double)count * slice / elapsed) + 1;
  for (unsigned i = 0; i < ROUNDS; i++) {
    double start = now(), done = work(context, count);
    rates[i] = done / (now() - start);
  }
  qsort(rates, ROUNDS, sizeof rates[0], compare);
  return rates[ROUNDS / 2];
}

/* ---- stacks */

static struct nst_machine *boot(struct bench *bench, unsigned depth, const char *profile,
                                bool driven) {
  struct nst_config config;
  struct nst_stack_config stack;
  struct nst_machine *machine;
  nst_config_init(&config);
  nst_stack_config_init(&stack);
  config.processor = "broadwell-pml";
  stack.depth = depth;
  stack.driven = driven;
  for (unsigned i = 0; i < depth; i++) stack.profile[i] = profile;
  if (nst_stack_create(&machine, &config, &stack) == NST_OK) return machine;
  fail(bench, machine ? nst_error(machine) : "out of memory");
  nst_machine_destroy(machine);
  return NULL;
}

static void place(struct nst_machine *machine, const void *code, size_t size) {
  struct nst_cpu *cpu = nst_cpu(machine, 0);
  uint64_t rip = nst_reg_read(cpu, NST_REG_RIP);
  nst_mem_write(machine, nst_level_memory(cpu, nst_stack_depth(machine), rip), code, size);
}

/* The guest loops over `cpuid; jmp`: one counted instruction, the jump, per exit of the guest. */
static double run_exits(void *context, uint64_t count) {
  struct nst_cpu *cpu = context;
  struct nst_stop stop;
  uint64_t before = nst_exits_to(cpu, 0);
  nst_run(cpu, count, &stop);
  return (double)(nst_exits_to(cpu, 0) - before);
}

static void bench_exits(struct bench *bench, const char *name, unsigned depth,
                        const char *profile) {
  static const uint8_t loop[] = {0x0f, 0xa2, 0xeb, 0xfc};
  struct nst_machine *machine = boot(bench, depth, profile, false);
  if (!machine) return;
  place(machine, loop, sizeof loop);
  print(bench, name, rate(run_exits, nst_cpu(machine, 0)), "exits/s");
  nst_machine_destroy(machine);
}

static double run_vmread(void *context, uint64_t count) {
  uint64_t value;
  for (uint64_t i = 0; i < count; i++) nst_vmread(context, NST_FIELD_GUEST_RIP, &value);
  return (double)count;
}

static void bench_vmread(struct bench *bench) {
  static const uint8_t code[] = {0xf4};
  struct nst_machine *machine = boot(bench, 1, "minimal", true);
  if (!machine) return;
  nst_guest_prepare(nst_cpu(machine, 0), 1, code, sizeof code);
  print(bench, "vmread_l0", rate(run_vmread, nst_cpu(machine, 0)), "VMREAD/s");
  nst_machine_destroy(machine);
}

/* The guest stays at a CPUID: each entry ends in its exit. */
static double run_entries(void *context, uint64_t count) {
  struct nst_stop stop;
  for (uint64_t i = 0; i < count; i++) {
    nst_vmresume(context);
    nst_run(context, 1, &stop);
  }
  return (double)count;
}

static void bench_entries(struct bench *bench) {
  static const uint8_t code[] = {0x0f, 0xa2};
  struct nst_machine *machine = boot(bench, 1, "minimal", true);
  if (!machine) return;
  struct nst_cpu *cpu = nst_cpu(machine, 0);
  struct nst_stop stop;
  nst_guest_prepare(cpu, 1, code, sizeof code);
  nst_vmlaunch(cpu);
  nst_run(cpu, 1, &stop);
  print(bench, "entries_l0", rate(run_entries, cpu), "entries/s");
  nst_machine_destroy(machine);
}

static double run_instructions(void *context, uint64_t count) {
  struct nst_stop stop;
  nst_run(context, count, &stop);
  return (double)count;
}

static double run_walks(void *context, uint64_t count) {
  uint64_t physical, rip = nst_reg_read(context, NST_REG_RIP);
  for (uint64_t i = 0; i < count; i++) nst_translate(context, rip, &physical);
  return (double)count;
}

static void bench_guest(struct bench *bench) {
  /* add rax, rbx; xor rcx, rax; dec rdx; jnz back; jmp back */
  static const uint8_t loop[] = {0x48, 0x01, 0xd8, 0x48, 0x31, 0xc1, 0x48,
                                 0xff, 0xca, 0x75, 0xf5, 0xeb, 0xf3};
  struct nst_machine *machine = boot(bench, 1, "minimal", false);
  if (!machine) return;
  place(machine, loop, sizeof loop);
  print(bench, "instructions", rate(run_instructions, nst_cpu(machine, 0)), "instructions/s");
  print(bench, "walks_2d", rate(run_walks, nst_cpu(machine, 0)), "walks/s");
  nst_machine_destroy(machine);
}

/* ---- traces */

static double import(struct bench *bench, const char *path) {
  struct trace_options options = {.vmx_reason = vmcs_reason_number};
  char error[512];
  struct trace_reader *reader = trace_open(path, &options, error, sizeof error);
  struct trace_event event;
  if (!reader) {
    fail(bench, error);
    return 0;
  }
  while (trace_next(reader, &event) > 0) continue;
  double records = (double)trace_loss(reader)->records;
  trace_close(reader);
  return records;
}

struct import {
  struct bench *bench;
  char path[SCENARIO_PATH_SIZE];
};

/* From the source tree, else from where the program is installed. */
static bool find_recording(struct import *job) {
  const char *const name = "traces/recorded/vmx-l2-micro-noshadow.txt.zst", *share = cli_share();
  snprintf(job->path, sizeof job->path, "%s", name);
  if (access(job->path, R_OK) == 0) return true;
  if (!share) return false;
  snprintf(job->path, sizeof job->path, "%s/%s", share, name);
  return access(job->path, R_OK) == 0;
}

static double run_import(void *context, uint64_t count) {
  struct import *job = context;
  double records = 0;
  for (uint64_t i = 0; i < count / 64 + 1; i++) records += import(job->bench, job->path);
  return records;
}

static void bench_import(struct bench *bench) {
  struct import job = {.bench = bench};
  if (!find_recording(&job)) {
    fprintf(stderr, "nestor: bench: no recording found, trace_import is left out\n");
    return;
  }
  print(bench, "trace_import", rate(run_import, &job), "events/s");
}

/* ---- memory of a long replay */

static long peak_kib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

static bool play(struct player *player, struct ledger *ledger, uint64_t count) {
  static const uint16_t kinds[] = {TRACE_CPUID, TRACE_RDMSR, TRACE_VMCALL, TRACE_IO_OUT};
  for (uint64_t i = 0; i < count; i++) {
    struct trace_event event = {.kind = kinds[i % 4], .level = 1, .flags = 0xf, .b = 1};
    event.a = event.kind == TRACE_RDMSR ? 0x1b : event.kind == TRACE_IO_OUT ? 0x80 : i % 8;
    char label[TRACE_LABEL_MAX];
    trace_event_label(&event, label, sizeof label);
    ledger_begin(ledger, ledger_label(ledger, label));
    if (player_play(player, &event) != PLAYER_DONE) return false;
    ledger_end(ledger);
  }
  return true;
}

/* Peak memory after many events less that after few: what a longer trace costs. */
static void bench_memory(struct bench *bench) {
  struct nst_machine *machine = boot(bench, 2, "kvm-6.1", false);
  if (!machine) return;
  struct player *player = calloc(1, sizeof *player);
  struct ledger *ledger = ledger_create(machine, 2);
  bool good =
      player && ledger && player_init(player, machine) && play(player, ledger, FIRST_EVENTS);
  long before = peak_kib();
  double start = now();
  good = good && play(player, ledger, MORE_EVENTS);
  if (good) {
    print(bench, "replay_depth2_kvm", MORE_EVENTS / (now() - start), "events/s");
    print(bench, "replay_rss", (double)(peak_kib() - before), "KiB_per_200000_events");
    print(bench, "replay_rss_peak", (double)peak_kib(), "KiB");
  }
  ledger_free(ledger);
  free(player);
  nst_machine_destroy(machine);
}

/* ---- the command */

static void run(struct bench *bench) {
  bench_exits(bench, "exits_depth1_minimal", 1, "minimal");
  bench_exits(bench, "exits_depth1_kvm", 1, "kvm-6.1");
  bench_exits(bench, "exits_depth2_minimal", 2, "minimal");
  bench_exits(bench, "exits_depth2_kvm", 2, "kvm-6.1");
  bench_exits(bench, "exits_depth3_kvm", 3, "kvm-6.1");
  bench_exits(bench, "exits_depth4_kvm", 4, "kvm-6.1");
  bench_entries(bench);
  bench_vmread(bench);
  bench_guest(bench);
  bench_import(bench);
  bench_memory(bench);
}

int cli_bench(int argc, char **argv) {
  struct bench bench = {false, CLI_FINE};
  if (argc == 3 && strcmp(argv[1], "--format") == 0 && strcmp(argv[2], "csv") == 0) {
    bench.csv = true;
    printf("name,value,unit\n");
  } else if (argc != 1 &&
             !(argc == 3 && strcmp(argv[1], "--format") == 0 && strcmp(argv[2], "text") == 0)) {
    fprintf(stderr, "nestor: bench: expected nothing or --format text|csv\n");
    return CLI_USAGE;
  }
  signal(SIGINT, SIG_DFL); /* every line is out once measured: the first Ctrl-C ends it */
  run(&bench);
  return bench.status;
}
