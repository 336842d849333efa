/* SPDX-License-Identifier: MIT
 * The replay side of `nestor trace compare`: an observer that turns exits, entries and VMX
 * instructions of every level into the events of an operation log. */
#include <string.h>

#include "src/cli/trace.h"
#include "src/ledger/path.h"

enum { OPEN_LIMIT = 16, LOG_ON = 0x5eef0001, LOG_OFF = 0x5eef0000 };

struct watch {
  struct ops_rounds *rounds;
  unsigned depth;
  uint64_t exits;
  struct path path;
  /* Exits whose guest was not entered again yet. */
  unsigned open_count;
  struct {
    uint64_t id;
    uint32_t reason;
    unsigned level;
  } open[OPEN_LIMIT];
};

/* The recorded guest switches the log on and off by a CPUID leaf. */
static void watch_switch(struct watch *watch, struct nst_cpu *cpu, uint32_t reason) {
  uint64_t leaf = nst_reg_read(cpu, NST_REG_RAX);
  if (reason != NST_EXIT_CPUID || (leaf != LOG_ON && leaf != LOG_OFF)) return;
  struct ops_event event = {.kind = OPS_SWITCH, .on = leaf == LOG_ON};
  ops_rounds_add(watch->rounds, &event, 0);
}

/* The log has the number of an MSR, or the mark that a recorded guest writes to a port, as RCX. */
static uint64_t rcx_of(struct nst_cpu *cpu, const struct nst_exit_event *event) {
  if (event->reason == NST_EXIT_IO_INSTRUCTION) return nst_reg_read(cpu, NST_REG_RAX);
  return event->detail;
}

static void watch_exit(void *context, struct nst_cpu *cpu, const struct nst_exit_event *event) {
  struct watch *watch = context;
  uint64_t id = ++watch->exits;
  unsigned level = path_exit(&watch->path, event, id);
  if (level == watch->depth) watch_switch(watch, cpu, event->reason);
  struct ops_event told = {.kind = OPS_EXIT,
                           .reason = event->reason,
                           .qualification = event->qualification,
                           .rip = event->rip,
                           .vmcs = event->context,
                           .rcx = rcx_of(cpu, event)};
  ops_rounds_add(watch->rounds, &told, level);
  if (watch->open_count == OPEN_LIMIT) return;
  unsigned at = watch->open_count++;
  watch->open[at].id = id;
  watch->open[at].reason = event->reason;
  watch->open[at].level = level;
}

static void watch_entry(void *context, struct nst_cpu *cpu, const struct nst_entry_event *event) {
  struct watch *watch = context;
  (void)cpu;
  unsigned level = path_entry(&watch->path, event), left = 0;
  while (left < watch->open_count && watch->open[left].level > level) left++;
  watch->open_count = left;
  if (left > 0) {
    path_reflect(&watch->path, level, watch->open[left - 1].id, watch->open[left - 1].reason);
  }
  struct ops_event told = {.kind = OPS_ENTRY, .rip = event->rip, .vmcs = event->context};
  ops_rounds_add(watch->rounds, &told, level);
}

/* OPS_INSTRUCTIONS if logs have no such instruction. */
static unsigned kind_of(uint32_t instruction) {
  unsigned kind = 0;
  while (kind < OPS_INSTRUCTIONS && strcmp(ops_kind_name(kind), nst_exit_name(instruction)) != 0)
    kind++;
  return kind;
}

static void watch_vmx(void *context, struct nst_cpu *cpu, const struct nst_vmx_event *event) {
  struct watch *watch = context;
  unsigned kind = kind_of(event->instruction);
  (void)cpu;
  if (kind == OPS_INSTRUCTIONS) return;
  struct ops_event told = {.kind = (enum ops_kind)kind,
                           .guest = !event->root,
                           .exits = event->exits,
                           .field = event->field,
                           .value = event->value,
                           .rip = event->rip};
  ops_rounds_add(watch->rounds, &told, event->root ? 0 : watch->path.running);
}

/* ---- one variant of the scenario */

static int load(const struct cli *cli, const char *path, struct scenario **scenario) {
  char error[SCENARIO_ERROR_SIZE];
  int status = cli_is_scenario(path) ? scenario_load(scenario, path, error, sizeof error)
                                     : scenario_for_trace(scenario, path, error, sizeof error);
  return status == 0 ? CLI_GO_ON : cli_fail_at(cli, status, error);
}

/* From the command line. */
static int set_axis(const struct cli *cli, struct scenario *scenario, enum scenario_axis_name axis,
                    const char *option, const char *value) {
  char error[SCENARIO_ERROR_SIZE];
  if (scenario_set_axis(scenario, axis, value, error, sizeof error) == 0) return CLI_GO_ON;
  return cli_fail(cli, "%s %s: %s", option, value, error);
}

static int narrow(const struct cli *cli, const struct trace_compare *compare,
                  struct scenario *scenario) {
  char error[SCENARIO_ERROR_SIZE], depth[16];
  snprintf(depth, sizeof depth, "%u", compare->depth);
  const char *shadowing = compare->shadowing ? "on" : "off";
  bool is_set = scenario_set_axis(scenario, SCENARIO_AXIS_DEPTH, depth, error, sizeof error) == 0 &&
                scenario_set_axis(scenario, SCENARIO_AXIS_VMCS_SHADOWING, shadowing, error,
                                  sizeof error) == 0;
  if (!is_set) return cli_fail(cli, "%s: %s", compare->guest, error);
  int status = CLI_GO_ON;
  if (compare->processor != NULL) {
    status = set_axis(cli, scenario, SCENARIO_AXIS_PROCESSOR, "--processor", compare->processor);
  }
  if (status == CLI_GO_ON && compare->scheme != NULL)
    status = set_axis(cli, scenario, SCENARIO_AXIS_SCHEME, "--scheme", compare->scheme);
  if (status != CLI_GO_ON) return status;
  if (scenario_check_trace(scenario, error, sizeof error) != 0)
    return cli_fail_at(cli, CLI_USAGE, error);
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  unsigned count = scenario_expand(scenario, variants);
  if (count == 1) return CLI_GO_ON;
  return cli_fail(cli,
                  "%s: compares %u variants at this depth and shadowing; expected one, as "
                  "--processor or --scheme chooses",
                  compare->guest, count);
}

int trace_replay(const struct cli *cli, const struct trace_compare *compare,
                 struct ops_rounds *rounds) {
  struct watch watch = {.rounds = rounds, .depth = compare->depth};
  const struct nst_observer observer = {
      .context = &watch, .exit = watch_exit, .entry = watch_entry, .vmx = watch_vmx};
  const struct replay_options replay_options = {
      .progress = cli->progress, .interrupted = cli->interrupted, .observer = &observer};
  struct scenario *scenario = NULL;
  struct replay *replay = NULL;
  char error[SCENARIO_ERROR_SIZE] = "";
  path_init(&watch.path, compare->depth);
  int status = load(cli, compare->guest, &scenario);
  if (status == CLI_GO_ON) status = narrow(cli, compare, scenario);
  if (status == CLI_GO_ON) {
    int result = cli->engine->replay_run(&replay, scenario, &replay_options, error, sizeof error);
    if (result != CLI_FINE) status = cli_fail_at(cli, result, error);
    cli->engine->replay_free(replay);
  }
  scenario_free(scenario);
  return status;
}
