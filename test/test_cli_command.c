/* SPDX-License-Identifier: MIT
 * The command line from outside: what is printed where, which status, what the engine is told. The
 * engine is a fake that notes its arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/cli.h"
#include "src/cli/lists.h"
#include "src/scenario/scenario.h"
#include "test/expect.h"

enum { ARGUMENT_LIMIT = 16, FOLDER_FILES = 3 };

/* ---- The fake engine ------------------------------------------------------------------------ */

/* What the last run was asked for. The engine's functions have no context, as the real ones. */
static struct {
  struct scenario scenario;
  struct replay_options replay;
  struct report_options report;
  const char *format;
  char steps[32];
  const char *error; /* sentence to answer with, NULL: none */
  int status;        /* of the replay */
  int verdict;       /* of the report */
  bool partial;      /* hand out a replay although the status is not 0 */
  unsigned runs, frees, benches;
} fake;

static int fake_run(struct replay **out, const struct scenario *scenario,
                    const struct replay_options *options, char *error, size_t error_size) {
  fake.runs++;
  fake.scenario = *scenario;
  fake.replay = *options;
  *out = fake.status == 0 || fake.partial ? calloc(1, sizeof(struct replay)) : NULL;
  if (fake.error != NULL) snprintf(error, error_size, "%s", fake.error);
  return fake.status;
}

static void fake_free(struct replay *replay) {
  fake.frees += replay != NULL;
  free(replay);
}

static int fake_report(FILE *out, const struct replay *replay, const struct report_options *options,
                       enum report_format format) {
  if (replay == NULL) return 99;
  fake.report = *options;
  fake.format = report_format_names[format];
  snprintf(fake.steps, sizeof fake.steps, "%s", options->steps == NULL ? "" : options->steps);
  fprintf(out, "report in %s\n", fake.format);
  return fake.verdict;
}

static int fake_bench(int argc, char **argv) {
  fake.benches++;
  return strcmp(argv[0], "bench") == 0 ? argc : 99;
}

static const struct cli_engine fake_engine = {fake_run, fake_free, fake_report, fake_bench};

/* ---- A run ---------------------------------------------------------------------------------- */

struct run {
  int status;
  char *out, *err; /* freed by run_fini */
};

/* Runs "nestor" with the words of `line`; '~' stands for a space inside a word. */
static void run_line(struct run *run, const char *line) {
  char words[1024], *arguments[ARGUMENT_LIMIT + 1], *rest = NULL;
  char program[] = "nestor";
  int count = 0;
  size_t size;
  arguments[count++] = program;
  snprintf(words, sizeof words, "%s", line);
  for (char *word = strtok_r(words, " ", &rest); word != NULL && count < ARGUMENT_LIMIT;
       word = strtok_r(NULL, " ", &rest)) {
    for (char *at = word; (at = strchr(at, '~')) != NULL;) *at = ' ';
    arguments[count++] = word;
  }
  arguments[count] = NULL;
  FILE *out = open_memstream(&run->out, &size), *err = open_memstream(&run->err, &size);
  struct cli cli = {out, err, &fake_engine, NULL, 77, false};
  run->status = cli_run(&cli, count, arguments);
  fclose(out);
  fclose(err);
}

static void run_fini(struct run *run) {
  free(run->out);
  free(run->err);
}

static void forget(void) {
  memset(&fake, 0, sizeof fake);
}

/* ---- A folder to run in --------------------------------------------------------------------- */

struct place {
  char folder[64], before[4096];
};

static const char *const place_files[] = {"scenarios/turtles.xml", "my.dat", "junk"};

static void write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (!EXPECT_TRUE(path, file != NULL)) return;
  fputs(text, file);
  fclose(file);
}

/* The current folder becomes one with a scenario, a trace, junk and an empty file. */
static bool place_init(struct place *place) {
  snprintf(place->folder, sizeof place->folder, "/tmp/nestor-cli-XXXXXX");
  bool made = getcwd(place->before, sizeof place->before) != NULL &&
              mkdtemp(place->folder) != NULL && chdir(place->folder) == 0;
  if (!EXPECT_TRUE("a folder", made)) return false;
  mkdir("scenarios", 0700);
  write_text("scenarios/turtles.xml",
             "<scenario name='turtles'><question>why?</question><guest trace='../my.dat'/>"
             "<stack processor='haswell'><level number='0' hypervisor='kvm-6.1'/>"
             "<level hypervisor='kvm-6.1'/></stack>"
             "<compare><axis name='depth' values='1 2'/></compare>"
             "<claims><claim operation='CPUID' depth='2' exits='3'/>"
             "<claim reflected='equal'/></claims></scenario>");
  write_text("my.dat", "a trace");
  write_text("junk", "\x01\x02\x03");
  write_text("empty", "");
  forget();
  return true;
}

static void place_fini(const struct place *place) {
  for (size_t i = 0; i < FOLDER_FILES; i++) unlink(place_files[i]);
  unlink("empty");
  rmdir("scenarios");
  EXPECT_EQ("back", chdir(place->before), 0);
  EXPECT_EQ("nothing is left in the folder", rmdir(place->folder), 0);
}

/* ---- Usage ---------------------------------------------------------------------------------- */

static void no_command_prints_usage(void) {
  struct run run;
  run_line(&run, "");
  EXPECT_EQ("status", run.status, 2);
  EXPECT_CONTAINS("usage", run.err, "usage: nestor COMMAND");
  EXPECT_CONTAINS("commands", run.err, "  replay ");
  EXPECT_STRING("nothing on standard output", run.out, "");
  run_fini(&run);
}

static void help_goes_to_standard_output(void) {
  static const char *const lines[] = {"--help", "-h", "help"};
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    struct run run;
    run_line(&run, lines[i]);
    EXPECT_EQ(lines[i], run.status, 0);
    EXPECT_CONTAINS(lines[i], run.out, "usage: nestor COMMAND");
    EXPECT_STRING(lines[i], run.err, "");
    run_fini(&run);
  }
}

/* Every command is explained in two ways, which agree. */
static void each_command_has_help(void) {
  for (size_t i = 0; cli_commands[i] != NULL; i++) {
    struct run by_name, by_option;
    char line[64], expected[64];
    snprintf(line, sizeof line, "help %s", cli_commands[i]->name);
    run_line(&by_name, line);
    snprintf(line, sizeof line, "%s --help", cli_commands[i]->name);
    run_line(&by_option, line);
    snprintf(expected, sizeof expected, "usage: nestor %s ", cli_commands[i]->name);
    EXPECT_EQ(line, by_name.status, 0);
    EXPECT_EQ(line, by_option.status, 0);
    EXPECT_CONTAINS(line, by_name.out, expected);
    EXPECT_STRING(line, by_option.out, by_name.out);
    run_fini(&by_name);
    run_fini(&by_option);
  }
}

static void version_is_printed(void) {
  struct run run;
  run_line(&run, "--version");
  EXPECT_EQ("status", run.status, 0);
  EXPECT_STRING("version", run.out, "nestor 0.1.0\n");
  run_fini(&run);
}

static const struct {
  const char *line, *sentence;
} wrong_usage[] = {
    {"reply x", "nestor: unknown command 'reply'; did you mean replay?"},
    {"scenarios/turtles.xml",
     "nestor: unknown command 'scenarios/turtles.xml'; did you mean nestor replay "
     "scenarios/turtles.xml?"},
    {"zzzzzz",
     "nestor: unknown command 'zzzzzz'; expected replay, import, trace, bench, explain, list or "
     "help"},
    {"help reply", "nestor: unknown command 'reply'; did you mean replay?"},
    {"help replay import", "nestor: help expects one command"},
    {"--hlep", "nestor: unknown option '--hlep'; did you mean --help?"},
    {"--depth 2 replay",
     "nestor: unknown option '--depth'; a command comes first, see nestor --help"},
    {"replay x --dept 2", "nestor: unknown option '--dept' for replay; did you mean --depth?"},
    {"replay --dept=2 x", "nestor: unknown option '--dept' for replay; did you mean --depth?"},
    {"replay --quux x", "nestor: unknown option '--quux' for replay; see nestor help replay"},
    {"replay -d x", "nestor: unknown option '-d' for replay; see nestor help replay"},
    {"replay x --depth", "nestor: option --depth of replay lacks its value: --depth LIST"},
    {"replay x --claims=3", "nestor: option --claims of replay takes no value"},
    {"replay x --help=3", "nestor: option --help of replay takes no value"},
    {"replay",
     "nestor: replay expects one scenario (.xml) or trace, 0 given; see nestor help replay"},
    {"replay a b",
     "nestor: replay expects one scenario (.xml) or trace, 2 given; see nestor help replay"},
    {"replay x --tree 0", "nestor: --tree 0: expected a number from 1 to 1000000000"},
    {"replay x --tree -1", "nestor: --tree -1: expected a number from 1 to 1000000000"},
    {"replay x --tree 1x", "nestor: --tree 1x: expected a number from 1 to 1000000000"},
    {"replay x --tree 99999999999999999999",
     "nestor: --tree 99999999999999999999: expected a number from 1 to 1000000000"},
    {"replay x --format xml", "nestor: --format xml: did you mean html?"},
    {"replay x --html scenarios",
     "nestor: --html scenarios: that is a directory; expected the file to write"},
    {"replay x --junit no/such/file",
     "nestor: --junit no/such/file: cannot write into 'no/such': No such file or directory"},
    {"replay x --junit a --tap a", "nestor: --junit and --tap name the same file, a"},
    {"replay x --html - --format csv",
     "nestor: --html - and --format csv both want standard output"},
    {"replay x --html - --tap -", "nestor: --html and --tap name the same file, -"},
    {"replay \x1b[31m\xc2\x9b", "nestor: no scenario or trace '\\x1b[31m\\xc2\\x9b'"},
    {"replay turtle.xml", "nestor: no scenario 'turtle.xml'; did you mean scenarios/turtles.xml?"},
    {"replay turtles.xml",
     "nestor: no scenario 'turtles.xml'; did you mean scenarios/turtles.xml?"},
    {"replay scenarios/turtels.xml",
     "nestor: no scenario 'scenarios/turtels.xml'; did you mean scenarios/turtles.xml?"},
    {"replay turtles",
     "nestor: no scenario or trace 'turtles'; did you mean scenarios/turtles.xml?"},
    {"replay qqqqqqqqq.xml", "nestor: no scenario 'qqqqqqqqq.xml'"},
    {"replay my.dta", "nestor: no trace 'my.dta'; did you mean my.dat?"},
    {"replay my.dat/x.dat", "nestor: no trace 'my.dat/x.dat'"},
    {"replay scenarios",
     "nestor: 'scenarios' is a directory; expected a scenario (.xml) or a trace"},
    {"replay empty", "nestor: 'empty' is an empty file; expected a scenario (.xml) or a trace"},
    {"replay my.dat --depth 9",
     "nestor: --depth 9: expected depths from 1 to 6, each once, such as 2, 1..3 or 1,2,4"},
    {"replay my.dat --shadowing maybe", "nestor: --shadowing maybe: expected on, off or both"},
    {"replay my.dat --processor hasswel",
     "nestor: --processor hasswel: expected nehalem, haswell, broadwell-pml, skylake-x, minimal "
     "or everything; did you mean haswell?"},
    {"replay my.dat --hypervisor virtualbox",
     "nestor: --hypervisor virtualbox: expected kvm-6.1, kvm-6.12, kvm-2.6.34, haxm-2018 or "
     "minimal"},
    {"import my.dat",
     "nestor: import expects a trace and the file to write, 1 given; see nestor help import"},
    {"import my.dta out.nst", "nestor: no trace 'my.dta'; did you mean my.dat?"},
    {"import my.dat scenarios/../my.dat", "nestor: 'my.dat' would be written over itself"},
    {"import scenarios out.nst", "nestor: 'scenarios' is a directory; expected a trace"},
    {"import --salvag my.dat out.nst",
     "nestor: unknown option '--salvag' for import; did you mean --salvage?"},
    {"explain",
     "nestor: explain expects one name or number, such as PML_INDEX or 0x4402, and at most one "
     "value of it"},
    {"explain GUEST_RIP 5",
     "nestor: 'GUEST_RIP' takes no value; expected a VMX control word "
     "(PIN_BASED_VM_EXEC_CONTROL), VM_EXIT_REASON, or an exit reason with a qualification"},
    {"explain CR_ACCES 5", "nestor: nothing is called 'CR_ACCES'; did you mean CR_ACCESS?"},
    {"explain CR_ACCESS five", "nestor: 'five' is no value; expected a number such as 0x1f"},
    {"explain CR_ACCESS 0x10000000000000000",
     "nestor: '0x10000000000000000' is no value; expected a number such as 0x1f"},
    {"explain EXIT_QUALIFICATOIN",
     "nestor: nothing is called 'EXIT_QUALIFICATOIN'; did you mean EXIT_QUALIFICATION?"},
    {"explain 0xffff", "nestor: 0xffff is no VMCS field, exit reason, VM-instruction error or MSR"},
    {"explain 12abc", "nestor: 12abc is no VMCS field, exit reason, VM-instruction error or MSR"},
    {"list no/such",
     "nestor: no list or folder 'no/such'; the lists are fields, reasons, qualifications, "
     "controls, errors, checks, features, not-modelled, msrs, processors, hypervisors, axes, "
     "events, operations, costs, routines and formats"},
    {"list feilds", "nestor: no list or folder 'feilds'; did you mean nestor list fields?"},
    {"list my.dat", "nestor: 'my.dat' is a file; expected a list or a folder with scenarios"},
    {"list fields checks", "nestor: list expects at most one list or folder"},
    {"list --format json fields", "nestor: --format json: expected text or csv"},
    {"list --format csv scenarios",
     "nestor: --format csv: 'scenarios' is no list; see nestor list"},
};

static void wrong_usage_gives_one_sentence(void) {
  struct place place;
  if (!place_init(&place)) return;
  for (size_t i = 0; i < sizeof wrong_usage / sizeof wrong_usage[0]; i++) {
    struct run run;
    char expected[512];
    run_line(&run, wrong_usage[i].line);
    snprintf(expected, sizeof expected, "%s\n", wrong_usage[i].sentence);
    EXPECT_EQ(wrong_usage[i].line, run.status, 2);
    EXPECT_STRING(wrong_usage[i].line, run.err, expected);
    EXPECT_STRING(wrong_usage[i].line, run.out, "");
    run_fini(&run);
  }
  EXPECT_EQ("nothing was replayed", fake.runs, 0);
  place_fini(&place);
}

/* ---- replay --------------------------------------------------------------------------------- */

static void replay_of_a_scenario_tells_the_engine(void) {
  struct place place;
  struct run run;
  if (!place_init(&place)) return;
  run_line(&run,
           "replay scenarios/turtles.xml --claims --compare --loss --tree 3 --steps CR0~write "
           "--salvage");
  EXPECT_EQ(run.err, run.status, 0);
  EXPECT_STRING("out", run.out, "report in text\n");
  EXPECT_STRING("name", fake.scenario.name, "turtles");
  EXPECT_STRING("trace", fake.scenario.guest[0].trace, "scenarios/../my.dat");
  EXPECT_EQ("claims of it", fake.scenario.claim_count, 2);
  EXPECT_TRUE("claims", fake.report.claims && fake.report.compare && fake.report.loss);
  EXPECT_EQ("tree", fake.report.tree, 3);
  EXPECT_STRING("steps", fake.steps, "CR0 write");
  EXPECT_EQ("columns", fake.report.columns, 77);
  EXPECT_TRUE("salvage", fake.replay.salvage);
  EXPECT_TRUE("no progress", !fake.replay.progress);
  EXPECT_EQ("freed", fake.frees, 1);
  run_fini(&run);
  place_fini(&place);
}

static void replay_of_a_trace_needs_no_scenario(void) {
  struct place place;
  struct run run;
  if (!place_init(&place)) return;
  run_line(&run,
           "replay my.dat --depth 3..2 --shadowing=both --hypervisor minimal --host minimal "
           "--processor skylake-x --format json");
  EXPECT_EQ(run.err, run.status, 0);
  EXPECT_STRING("no word about claims", run.err, "");
  EXPECT_STRING("format", fake.format, "json");
  EXPECT_STRING("name", fake.scenario.name, "my");
  EXPECT_STRING("trace", fake.scenario.guest[0].trace, "my.dat");
  EXPECT_EQ("depths", fake.scenario.axis[SCENARIO_AXIS_DEPTH].value_count, 2);
  EXPECT_EQ("first", fake.scenario.axis[SCENARIO_AXIS_DEPTH].values[0], 3);
  EXPECT_EQ("both", fake.scenario.axis[SCENARIO_AXIS_VMCS_SHADOWING].value_count, 2);
  EXPECT_STRING("host", fake.scenario.level[0].hypervisor, "minimal");
  EXPECT_EQ("hypervisor", fake.scenario.axis[SCENARIO_AXIS_HYPERVISOR].values[0], 4);
  EXPECT_EQ("processor", fake.scenario.axis[SCENARIO_AXIS_PROCESSOR].values[0], 3);
  run_fini(&run);
  run_line(&run, "replay --format csv -- junk");
  EXPECT_EQ("csv", run.status, 0);
  EXPECT_STRING("csv", fake.format, "csv");
  run_fini(&run);
  place_fini(&place);
}

static void another_processor_says_which_claims_it_drops(void) {
  struct place place;
  struct run run;
  if (!place_init(&place)) return;
  run_line(&run, "replay scenarios/turtles.xml --processor everything");
  EXPECT_EQ("status", run.status, 0);
  EXPECT_STRING("note", run.err,
                "nestor: 1 claim is left out: it states a figure of another processor\n");
  EXPECT_EQ("left", fake.scenario.claim_count, 1);
  run_fini(&run);
  place_fini(&place);
}

static void replay_status_is_passed_on(void) {
  static const struct {
    const char *name;
    int status, verdict;
    bool partial;
    const char *error;
    int expected;
    const char *out, *err;
  } cases[] = {
      {"fine", 0, 0, false, NULL, 0, "report in text\n", ""},
      {"claim fails", 0, 1, false, NULL, 1, "report in text\n", ""},
      {"bad trace", 2, 0, false, "my.dat: truncated", 2, "", "my.dat: truncated\n"},
      {"no memory", 3, 0, false, "no memory", 3, "", "no memory\n"},
      {"interrupted at once", 130, 0, false, NULL, 130, "", "nestor: interrupted\n"},
      {"interrupted", 130, 1, true, "stopped", 130, "report in text\n", "stopped\n"},
  };
  struct place place;
  if (!place_init(&place)) return;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct run run;
    forget();
    fake.status = cases[i].status;
    fake.verdict = cases[i].verdict;
    fake.partial = cases[i].partial;
    fake.error = cases[i].error;
    run_line(&run, "replay my.dat");
    EXPECT_EQ(cases[i].name, run.status, cases[i].expected);
    EXPECT_STRING(cases[i].name, run.out, cases[i].out);
    EXPECT_STRING(cases[i].name, run.err, cases[i].err);
    run_fini(&run);
  }
  place_fini(&place);
}

static char *read_text(const char *path) {
  char *text = calloc(1, 4096);
  FILE *file = fopen(path, "r");
  if (file == NULL) return text;
  size_t size = fread(text, 1, 4095, file);
  text[size] = '\0';
  fclose(file);
  unlink(path);
  return text;
}

static void reports_are_written_into_files(void) {
  struct place place;
  struct run run;
  if (!place_init(&place)) return;
  write_text("page", "from before");
  run_line(&run, "replay my.dat --html page --junit results --tap ./points");
  EXPECT_EQ(run.err, run.status, 0);
  EXPECT_STRING("printed", run.out, "report in text\n");
  run_fini(&run);
  static const char *const files[][2] = {{"page", "html"}, {"results", "junit"}, {"points", "tap"}};
  for (size_t i = 0; i < 3; i++) {
    char expected[64], *text = read_text(files[i][0]);
    snprintf(expected, sizeof expected, "report in %s\n", files[i][1]);
    EXPECT_STRING(files[i][0], text, expected);
    free(text);
  }
  run_line(&run, "replay my.dat --html - --tap /dev/null");
  EXPECT_STRING("printed", run.out, "report in html\n");
  run_fini(&run);
  forget();
  fake.status = 2;
  fake.error = "my.dat: truncated";
  run_line(&run, "replay my.dat --html page");
  EXPECT_EQ("no replay", run.status, 2);
  EXPECT_TRUE("no file", access("page", F_OK) != 0);
  run_fini(&run);
  fake.status = 130;
  fake.partial = true;
  run_line(&run, "replay my.dat --html page");
  EXPECT_EQ("interrupted", run.status, 130);
  char *text = read_text("page");
  EXPECT_STRING("what there is", text, "report in html\n");
  free(text);
  run_fini(&run);
  place_fini(&place); /* fails if anything else is left in the folder */
}

static void report_that_cannot_be_written_leaves_nothing(void) {
  struct run run;
  struct place place;
  if (access("/dev/full", W_OK) != 0 || !place_init(&place)) return;
  run_line(&run, "replay my.dat --html /dev/full");
  EXPECT_EQ("status", run.status, 3);
  EXPECT_STRING("sentence", run.err,
                "nestor: '/dev/full' cannot be written: No space left on device\n");
  EXPECT_STRING("nothing else", run.out, "");
  run_fini(&run);
  place_fini(&place);
}

static void broken_scenario_is_not_replayed(void) {
  struct place place;
  struct run run;
  if (!place_init(&place)) return;
  write_text("scenarios/turtles.xml", "<scenario>\n<stack/></scenario>");
  run_line(&run, "replay scenarios/turtles.xml");
  EXPECT_EQ("status", run.status, 2);
  EXPECT_STRING("sentence", run.err,
                "scenarios/turtles.xml:1: <scenario>: lacks the attribute name; expected a name of "
                "up to 63 letters, digits, dots, hyphens and underscores\n");
  run_fini(&run);
  write_text("junk", "\n  <scenary/>");
  run_line(&run, "replay junk");
  EXPECT_STRING("XML of another name", run.err,
                "junk:2: <scenary>: expected <scenario name=\"...\">\n");
  EXPECT_EQ("no run", fake.runs, 0);
  run_fini(&run);
  place_fini(&place);
}

static void scenario_without_its_trace_is_not_replayed(void) {
  struct place place;
  struct run run;
  if (!place_init(&place)) return;
  unlink("my.dat");
  run_line(&run, "replay scenarios/turtles.xml");
  EXPECT_EQ("status", run.status, 2);
  EXPECT_STRING("sentence", run.err,
                "scenarios/turtles.xml:1: <guest>: trace scenarios/../my.dat: no such file\n");
  EXPECT_EQ("no run", fake.runs, 0);
  run_fini(&run);
  place_fini(&place);
}

static void full_output_is_reported(void) {
  FILE *full = fopen("/dev/full", "w");
  char *text = NULL;
  size_t size;
  if (full == NULL) return; /* no such device here */
  char program[] = "nestor", option[] = "--version";
  char *arguments[] = {program, option, NULL};
  FILE *err = open_memstream(&text, &size);
  struct cli cli = {full, err, &fake_engine, NULL, 80, false};
  EXPECT_EQ("status", cli_run(&cli, 2, arguments), 3);
  fclose(err);
  fclose(full);
  EXPECT_STRING("sentence", text,
                "nestor: the output cannot be written: No space left on device\n");
  free(text);
}

/* ---- The other commands --------------------------------------------------------------------- */

static void bench_gets_its_own_arguments(void) {
  struct run run;
  forget();
  run_line(&run, "bench --format csv");
  EXPECT_EQ("argc comes back", run.status, 3);
  EXPECT_EQ("called", fake.benches, 1);
  run_fini(&run);
}

static void list_shows_scenarios_and_questions(void) {
  struct place place;
  struct run run;
  if (!place_init(&place)) return;
  run_line(&run, "list");
  EXPECT_EQ("status", run.status, 0);
  EXPECT_CONTAINS("list", run.out, "scenarios/turtles.xml\n    why?\n\nnestor list LIST");
  run_fini(&run);
  place_fini(&place);
}

/* Columns of a record; commas inside quotes separate nothing. */
static unsigned count_columns(const char *line) {
  unsigned columns = 1;
  bool quoted = false;
  for (; *line != '\0' && *line != '\n'; line++) {
    if (*line == '"') quoted = !quoted;
    columns += *line == ',' && !quoted;
  }
  return columns;
}

static void every_list_is_a_table(void) {
  for (const struct cli_list *list = cli_lists; list->name != NULL; list++) {
    struct run as_text, as_csv;
    char line[64];
    unsigned rows = 0, lines = 0;
    snprintf(line, sizeof line, "list %s", list->name);
    run_line(&as_text, line);
    snprintf(line, sizeof line, "list %s --format csv", list->name);
    run_line(&as_csv, line);
    EXPECT_EQ(line, as_text.status, 0);
    EXPECT_EQ(line, as_csv.status, 0);
    unsigned columns = count_columns(as_csv.out);
    for (const char *at = as_csv.out; *at != '\0'; at = strchr(at, '\n') + 1, rows++)
      EXPECT_EQ(line, count_columns(at), columns);
    for (const char *at = as_text.out; *at != '\0'; at++) lines += *at == '\n';
    EXPECT_TRUE(line, rows > 1);
    EXPECT_EQ(line, lines, rows);
    run_fini(&as_text);
    run_fini(&as_csv);
  }
}

static void lists_have_what_reports_say(void) {
  static const struct {
    const char *line, *part;
  } cases[] = {
      {"list fields --format csv", "\nGUEST_RIP,0x681e,natural,guest,,"},
      {"list reasons --format csv", "\nCPUID,10,none,none,CPUID\n"},
      {"list controls --format csv", "\nCPU_BASED_HLT_EXITING,primary processor-based"},
      {"list errors --format csv", "\nVMXERR_VMRESUME_NONLAUNCHED_VMCS,5,"},
      {"list checks --format csv", "\nCONTROL_VPID_ZERO,controls,7,0,"},
      {"list operations --format csv", "\nCR4 write,MOV_TO_CR\n"},
      {"list operations --format csv", "\nOUT user,IO_OUT\n"},
      {"list operations --format csv", "\n#PF,EXCEPTION\n"},
      {"list events --format csv", "\nCPUID,c,guest,leaf subleaf,CPUID\n"},
      {"list processors --format csv", "\nnehalem,yes,yes,no,40,"},
      {"list hypervisors", "\nkvm-6.1 "},
      {"list axes", "\nvmcs-shadowing"},
      {"list costs", "\nVMREAD "},
      {"list msrs", "\nIA32_DEBUGCTL "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct run run;
    run_line(&run, cases[i].line);
    EXPECT_EQ(cases[i].line, run.status, 0);
    EXPECT_CONTAINS(cases[i].line, run.out, cases[i].part);
    run_fini(&run);
  }
}

static void explain_finds_by_name_and_number(void) {
  static const struct {
    const char *line, *part;
  } cases[] = {
      {"explain GUEST_RIP", "GUEST_RIP  VMCS field 0x681e: "},
      {"explain guest_rip", "natural width, guest state\n"},
      {"explain 0x681e", "GUEST_RIP  VMCS field 0x681e: "},
      {"explain PML_INDEX", "GUEST_PML_INDEX  VMCS field 0x0812: "},
      {"explain PML_INDEX", "there if the processor allows SECONDARY_EXEC_ENABLE_PML"},
      {"explain 0x2001", "0x2001 is the high half of\nIO_BITMAP_A  VMCS field 0x2000"},
      {"explain CPU_BASED_HLT_EXITING",
       "bit 7 of the primary processor-based VM-execution controls: HLT exiting"},
      {"explain PIN_BASED_VIRTUAL_NMIS", "needs PIN_BASED_NMI_EXITING"},
      {"explain CPUID", "EXIT_REASON_CPUID  exit reason 10: "},
      {"explain exit_reason_cpuid", "EXIT_REASON_CPUID  exit reason 10: "},
      {"explain 10", "EXIT_REASON_CPUID  exit reason 10: "},
      {"explain 10", "VMXERR_VMPTRLD_VMXON_POINTER  VM-instruction error 10: "},
      {"explain VMRESUME_NONLAUNCHED_VMCS", "VM-instruction error 5: "},
      {"explain GUEST", "and "},
      {"explain 0x80000021", "failed VM entry (bit 31): EXIT_REASON_INVALID_STATE, 33\n"},
      {"explain 0x480", "IA32_VMX_BASIC  MSR 0x0480\n"},
      {"explain IA32_DEBUGCTL", "IA32_DEBUGCTL  MSR 0x01d9\n"},
      {"explain CHECK_CONTROL_VPID_ZERO", "CONTROL_VPID_ZERO  check of a VM entry, controls: "},
      {"explain CONTROL_VPID_ZERO", "fails as VM-instruction error 7; SDM 3C"},
      {"explain GUEST_RFLAGS_RESERVED", "fails as exit reason 33 with qualification 0"},
      {"explain MOV_TO_CR", "trace event 'C', caused by guest: counted as \"CR write\""},
      {"explain CR_ACCESS 0x14", "    control register: CR4\n    access: MOV from CR\n"},
      {"explain exit_reason_hlt 0", "the qualification of this reason has no meaning"},
      {"explain PIN_BASED_VM_EXEC_CONTROL 0x17", "     0  1  PIN_BASED_EXT_INTR_MASK "},
      {"explain PIN_BASED_VM_EXEC_CONTROL 0x17", "     3  0  PIN_BASED_NMI_EXITING "},
      {"explain PIN_BASED_VM_EXEC_CONTROL 0x17", "reserved or default1): 1 2 4\n"},
      {"explain vm_exit_reason 0x80000021", "    bit 31: the VM entry failed\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct run run;
    run_line(&run, cases[i].line);
    EXPECT_EQ(cases[i].line, run.status, 0);
    EXPECT_CONTAINS(cases[i].line, run.out, cases[i].part);
    EXPECT_STRING(cases[i].line, run.err, "");
    run_fini(&run);
  }
}

CU_TestInfo cli_command_tests[] = {
    {"no_command_prints_usage", no_command_prints_usage},
    {"help_goes_to_standard_output", help_goes_to_standard_output},
    {"each_command_has_help", each_command_has_help},
    {"version_is_printed", version_is_printed},
    {"wrong_usage_gives_one_sentence", wrong_usage_gives_one_sentence},
    {"replay_of_a_scenario_tells_the_engine", replay_of_a_scenario_tells_the_engine},
    {"replay_of_a_trace_needs_no_scenario", replay_of_a_trace_needs_no_scenario},
    {"another_processor_says_which_claims_it_drops", another_processor_says_which_claims_it_drops},
    {"replay_status_is_passed_on", replay_status_is_passed_on},
    {"reports_are_written_into_files", reports_are_written_into_files},
    {"report_that_cannot_be_written_leaves_nothing", report_that_cannot_be_written_leaves_nothing},
    {"broken_scenario_is_not_replayed", broken_scenario_is_not_replayed},
    {"scenario_without_its_trace_is_not_replayed", scenario_without_its_trace_is_not_replayed},
    {"full_output_is_reported", full_output_is_reported},
    {"bench_gets_its_own_arguments", bench_gets_its_own_arguments},
    {"list_shows_scenarios_and_questions", list_shows_scenarios_and_questions},
    {"every_list_is_a_table", every_list_is_a_table},
    {"lists_have_what_reports_say", lists_have_what_reports_say},
    {"explain_finds_by_name_and_number", explain_finds_by_name_and_number},
    CU_TEST_INFO_NULL,
};
