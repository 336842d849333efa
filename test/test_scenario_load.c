/* SPDX-License-Identifier: MIT
 * Scenario files: good ones load, each broken one gives its one sentence, hostile ones are refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/scenario/names.h"
#include "src/scenario/scenario.h"
#include "test/expect.h"

/* ---- Files of a test ------------------------------------------------------------------------ */

struct folder {
  char path[64];
  char file[96];
};

static bool folder_init(struct folder *folder) {
  snprintf(folder->path, sizeof folder->path, "/tmp/nestor-scenario-XXXXXX");
  bool made = mkdtemp(folder->path) != NULL;
  snprintf(folder->file, sizeof folder->file, "%s/x.xml", folder->path);
  return EXPECT_TRUE("a temporary folder", made);
}

static void folder_fini(const struct folder *folder) {
  unlink(folder->file);
  rmdir(folder->path);
}

static void write_bytes(const char *path, const char *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  EXPECT_TRUE("the file can be written", file != NULL && fwrite(bytes, 1, size, file) == size);
  if (file != NULL) fclose(file);
}

/* Loads the text; on failure *error is the sentence without the folder. */
static int load_text(const char *text, size_t size, struct scenario **scenario, char *error) {
  struct folder folder;
  char sentence[SCENARIO_ERROR_SIZE];
  *scenario = NULL;
  error[0] = '\0';
  if (!folder_init(&folder)) return -1;
  write_bytes(folder.file, text, size);
  int status = scenario_load(scenario, folder.file, sentence, sizeof sentence);
  size_t prefix = strlen(folder.path) + 1;
  bool named = status == 0 || strncmp(sentence, folder.file, strlen(folder.file)) == 0;
  if (EXPECT_TRUE(sentence, named) && status != 0) strcpy(error, sentence + prefix);
  folder_fini(&folder);
  return status;
}

/* ---- A good file ---------------------------------------------------------------------------- */

/* Lines: 1 scenario, 2 question, 3 guest, 4 stack, 5 and 6 level, 8 compare, 9 and 10 axis,
 * 12 claims, 13 to 15 claim. */
static const char good[] =
    "<scenario name=\"x\">\n"
    "  <question> what\n  is  it? </question><guest trace=\"../t/a.txt\"/>\n"
    "  <stack processor=\"haswell\">\n"
    "    <level number=\"0\" hypervisor=\"minimal\"/>\n"
    "    <level hypervisor=\"kvm-6.1\" scheme=\"ept-on-ept\" vmcs-access=\"trap\"/>\n"
    "  </stack>\n"
    "  <compare>\n"
    "    <axis name=\"depth\" values=\"1 2\"/>\n"
    "    <axis name=\"vmcs-shadowing\" values=\"on off\"/>\n"
    "  </compare><claims>\n"
    "    <claim operation=\"CPUID\" depth=\"2\" vmcs-shadowing=\"on\" exits=\"3\" kind=\"checked\""
    " source=\"A0\"/>\n"
    "    <claim reflected=\"equal\"/>\n"
    "    <claim unlisted=\"0\" depth=\"2\"/>\n"
    "  </claims>\n"
    "</scenario>\n";

/* The good file with the first `from` replaced; NULL if it is not in there. */
static char *changed(const char *from, const char *to) {
  const char *at = strstr(good, from);
  if (at == NULL) return NULL;
  size_t size = sizeof good + strlen(to) + 1;
  char *text = malloc(size);
  if (text != NULL) {
    snprintf(text, size, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
  }
  return text;
}

static void good_file_loads(void) {
  struct scenario *scenario;
  char error[SCENARIO_ERROR_SIZE];
  if (!EXPECT_EQ(error, load_text(good, strlen(good), &scenario, error), 0)) return;
  EXPECT_STRING("name", scenario->name, "x");
  EXPECT_STRING("question", scenario->question, "what is it?");
  EXPECT_CONTAINS("trace", scenario->guest[0].trace, "/../t/a.txt");
  EXPECT_STRING("processor", scenario->processor, "haswell");
  EXPECT_STRING("L0", scenario->level[0].hypervisor, "minimal");
  EXPECT_STRING("L1", scenario->level[1].hypervisor, "kvm-6.1");
  EXPECT_STRING("L5", scenario->level[5].hypervisor, "kvm-6.1");
  EXPECT_EQ("access", scenario->level[1].vmcs_access, SCENARIO_VMCS_TRAP);
  EXPECT_EQ("scheme", scenario->level[1].scheme, SCENARIO_EPT_ON_EPT);
  EXPECT_EQ("depths", scenario->axis[SCENARIO_AXIS_DEPTH].value_count, 2);
  EXPECT_EQ("second depth", scenario->axis[SCENARIO_AXIS_DEPTH].values[1], 2);
  EXPECT_EQ("first switch", scenario->axis[SCENARIO_AXIS_VMCS_SHADOWING].values[0], 1);
  EXPECT_EQ("claims", scenario->claim_count, 3);
  const struct scenario_claim *claim = &scenario->claim[0];
  EXPECT_EQ("type", claim->type, SCENARIO_CLAIM_EXITS);
  EXPECT_STRING("operation", claim->operation, "CPUID");
  EXPECT_EQ("exits", claim->figure, 3);
  EXPECT_EQ("mark", claim->mark, SCENARIO_CHECKED);
  EXPECT_STRING("source", claim->source, "A0");
  EXPECT_EQ("line", claim->line, 12);
  EXPECT_EQ("any depth", scenario->claim[1].where[SCENARIO_AXIS_DEPTH], SCENARIO_ANY);
  EXPECT_EQ("depth of unlisted", scenario->claim[2].where[SCENARIO_AXIS_DEPTH], 2);
  EXPECT_EQ("any switch", scenario->claim[2].where[SCENARIO_AXIS_VMCS_SHADOWING], SCENARIO_ANY);
  scenario_free(scenario);
}

static void mix_loads_with_its_arguments(void) {
  struct scenario *scenario;
  char error[SCENARIO_ERROR_SIZE];
  char *text = changed("<guest trace=\"../t/a.txt\"/>",
                       "<guest><mix events=\"900\" seed=\"7\" period=\"50\" units=\"100\" "
                       "unit=\"segment\"><event kind=\"CPUID\" weight=\"3\" leaf=\"0x40000000\"/>"
                       "<event kind=\"MMIO_WRITE\" weight=\"6\" gpa=\"0xfeb00000\" size=\"4\" "
                       "value=\"1\" stride=\"8\" span=\"2\" user=\"yes\"/></mix></guest>");
  if (EXPECT_EQ(error, load_text(text, strlen(text), &scenario, error), 0)) {
    const struct scenario_guest *guest = &scenario->guest[0];
    const struct trace_mix_entry *write = &guest->mix.entry[1];
    EXPECT_STRING("no trace", guest->trace, "");
    EXPECT_EQ("nothing to open", scenario_check_trace(scenario, error, sizeof error), 0);
    EXPECT_EQ("events", guest->mix.events, 900);
    EXPECT_EQ("seed", guest->mix.seed, 7);
    EXPECT_EQ("period", guest->mix.period_ns, 50);
    EXPECT_EQ("units", guest->units, 100);
    EXPECT_STRING("unit", guest->unit, "segment");
    EXPECT_EQ("entries", guest->mix.count, 2);
    EXPECT_EQ("leaf", guest->mix.entry[0].a, 0x40000000);
    EXPECT_EQ("only the leaf", guest->mix.entry[0].flags, TRACE_HAS_A);
    EXPECT_EQ("kind", write->kind, TRACE_MMIO_WRITE);
    EXPECT_EQ("weight", write->weight, 6);
    EXPECT_EQ("gpa", write->a, 0xfeb00000);
    EXPECT_EQ("value", write->c, 1);
    EXPECT_EQ("stride", write->stride, 8);
    EXPECT_EQ("span", write->span, 2);
    EXPECT_EQ("flags", write->flags, TRACE_HAS_A | TRACE_HAS_B | TRACE_HAS_C | TRACE_USER);
  }
  scenario_free(scenario);
  free(text);
}

static void missing_shadowing_axis_follows_vmcs_access(void) {
  struct scenario *scenario;
  char error[SCENARIO_ERROR_SIZE];
  char *text = changed("    <axis name=\"vmcs-shadowing\" values=\"on off\"/>\n", "");
  char *end = strstr(text, "vmcs-shadowing=\"on\"");
  memset(end, ' ', strlen("vmcs-shadowing=\"on\""));
  if (EXPECT_EQ(error, load_text(text, strlen(text), &scenario, error), 0)) {
    const struct scenario_axis *axis = &scenario->axis[SCENARIO_AXIS_VMCS_SHADOWING];
    unsigned values[SCENARIO_VALUE_LIMIT];
    EXPECT_TRUE("not compared", !axis->compared);
    EXPECT_EQ("one value", scenario_axis_list(scenario, SCENARIO_AXIS_VMCS_SHADOWING, 2, values),
              1);
    EXPECT_EQ("off", values[0], SCENARIO_OFF);
  }
  scenario_free(scenario);
  free(text);
}

static void shipped_scenarios_load(void) {
  static const char *const names[] = {
      "turtles",          "depth",       "netperf-mix",        "recorded-nested",
      "hypercall-growth", "vmcs-access", "handler-chattiness", "memory-schemes",
      "spt-vs-ept"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct scenario *scenario;
    char path[512], error[SCENARIO_ERROR_SIZE];
    snprintf(path, sizeof path, "%s/scenarios/%s.xml", NESTOR_TEST_SOURCE_DIR, names[i]);
    EXPECT_EQ(names[i], scenario_load(&scenario, path, error, sizeof error), 0);
    if (!EXPECT_STRING(names[i], error, "")) continue;
    EXPECT_STRING("its file's name", scenario->name, names[i]);
    EXPECT_TRUE("claims", scenario->claim_count > 0);
    scenario_free(scenario);
  }
}

/* ---- Broken files --------------------------------------------------------------------------- */

static const struct broken {
  const char *name, *from, *to, *sentence;
} broken[] = {
    {"unknown scheme", "scheme=\"ept-on-ept\"", "scheme=\"ept-on-spt\"",
     "x.xml:6: <level scheme=\"ept-on-spt\">: expected shadow-on-shadow, shadow-on-ept or "
     "ept-on-ept"},
    {"scheme that no parent gives", "values=\"1 2\"/>",
     "values=\"1 2 3\"/><axis name=\"scheme\" values=\"shadow-on-shadow\"/>",
     "x.xml:8: <compare>: depth 3: the scheme shadow-on-shadow of level 2 expects shadow paging of "
     "level 1, which does not give it that; say the scheme of each <level>"},
    {"unknown processor", "haswell", "hasswell",
     "x.xml:4: <stack processor=\"hasswell\">: expected nehalem, haswell, broadwell-pml, "
     "skylake-x, minimal or everything"},
    {"unknown hypervisor", "\"minimal\"", "\"xen\"",
     "x.xml:5: <level hypervisor=\"xen\">: expected kvm-6.1, kvm-6.12, kvm-2.6.34, haxm-2018 or "
     "minimal"},
    {"hypervisor missing", " hypervisor=\"minimal\"", "",
     "x.xml:5: <level>: lacks the attribute hypervisor; expected kvm-6.1, kvm-6.12, kvm-2.6.34, "
     "haxm-2018 or minimal"},
    {"attribute misspelt", "scheme=", "schema=",
     "x.xml:6: <level schema=\"ept-on-ept\">: unknown attribute; did you mean scheme?"},
    {"attribute unknown", "<compare>", "<compare depth=\"1\">",
     "x.xml:8: <compare depth=\"1\">: expected no attributes"},
    {"attribute like none", "trace=", "zzzzzzzz=\"1\" trace=",
     "x.xml:3: <guest zzzzzzzz=\"1\">: unknown attribute; expected name, trace or backing"},
    {"element misspelt", "<claim reflected", "<clam reflected",
     "x.xml:13: <clam>: unknown element; did you mean <claim>?"},
    {"element too many", "</stack>\n", "</stack><stack/>\n",
     "x.xml:7: <stack>: not expected here; expected <compare>"},
    {"element after the last", "  </claims>\n", "  </claims><more/>\n",
     "x.xml:15: <more>: not expected here; <scenario> has enough elements"},
    {"element missing",
     "    <level number=\"0\" hypervisor=\"minimal\"/>\n"
     "    <level hypervisor=\"kvm-6.1\" scheme=\"ept-on-ept\" vmcs-access=\"trap\"/>\n",
     "", "x.xml:4: <stack>: ends too early; expected <level>"},
    {"another root", "<scenario name=\"x\">", "<scenary name=\"x\">",
     "x.xml:16: </scenario>: expected </scenary>, which line 1 opens"},
    {"text between elements", "<compare>", "<compare>depth",
     "x.xml:8: <compare>: expected elements inside it, and no text"},
    {"something inside an empty element", "<level number=\"0\" hypervisor=\"minimal\"/>",
     "<level number=\"0\" hypervisor=\"minimal\">a</level>",
     "x.xml:5: <level>: expected nothing inside it"},
    {"empty question", "> what\n  is  it? <", ">\n <",
     "x.xml:2: <question>: expected one to 400 characters of text"},
    {"element in the question", "is  it?", "<b/>",
     "x.xml:2: <question>: expected text inside it, and no elements"},
    {"bad scenario name", "name=\"x\"", "name=\"a/b\"",
     "x.xml:1: <scenario name=\"a/b\">: expected a name of up to 63 letters, digits, dots, "
     "hyphens and underscores"},
    {"escape sequence in a value", "haswell", "has&#10;&#195;well",
     "x.xml:4: <stack processor=\"has ??well\">: expected nehalem, haswell, broadwell-pml, "
     "skylake-x, minimal or everything"},
    {"number that overflows", "exits=\"3\"", "exits=\"99999999999999999999999\"",
     "x.xml:12: <claim exits=\"99999999999999999999999\">: expected a whole number from 0 to "
     "1000000000"},
    {"negative number", "exits=\"3\"", "exits=\"-3\"",
     "x.xml:12: <claim exits=\"-3\">: expected a whole number from 0 to 1000000000"},
    {"two levels of a number", "<level hypervisor=\"kvm-6.1\"",
     "<level number=\"0\" "
     "hypervisor=\"kvm-6.1\"",
     "x.xml:6: <level number=\"0\">: expected every <level> to have another number"},
    {"two axes of a name", "\"vmcs-shadowing\" values=\"on off\"", "\"depth\" values=\"3\"",
     "x.xml:10: <axis name=\"depth\">: expected every <axis> to have another name"},
    {"depth out of range", "values=\"1 2\"", "values=\"1 7\"",
     "x.xml:9: <axis values=\"1 7\">: expected depths from 1 to 6"},
    {"depth twice", "values=\"1 2\"", "values=\"1 2 1\"",
     "x.xml:9: <axis values=\"1 2 1\">: expected 1 only once"},
    {"depth for a switch", "values=\"on off\"", "values=\"on 1\"",
     "x.xml:10: <axis values=\"on 1\">: expected off or on"},
    {"no axis depth", "    <axis name=\"depth\" values=\"1 2\"/>\n", "",
     "x.xml:8: <compare>: expected <axis name=\"depth\" values=\"...\">"},
    {"level deeper than the guest", "<level hypervisor=\"kvm-6.1\"",
     "<level number=\"2\" "
     "hypervisor=\"kvm-6.1\"",
     "x.xml:6: <level number=\"2\">: expected at most 1, the level below the deepest guest of "
     "the comparison"},
    {"level 0 missing", "<level number=\"0\"", "<level number=\"1\"",
     "x.xml:4: <stack>: expected <level number=\"0\">: nothing says which hypervisor runs there"},
    {"level 1 missing",
     "    <level hypervisor=\"kvm-6.1\" scheme=\"ept-on-ept\" "
     "vmcs-access=\"trap\"/>\n",
     "",
     "x.xml:4: <stack>: expected <level number=\"1\">: nothing says which hypervisor runs there"},
    {"two levels without a number", "<level number=\"0\" hyper", "<level hyper",
     "x.xml:6: <level>: expected a number; line 5 has the <level> without one"},
    {"scheme at level 0", "<level number=\"0\"", "<level scheme=\"ept-on-ept\" number=\"0\"",
     "x.xml:5: <level scheme=\"ept-on-ept\">: expected at guest hypervisors only; level 0 has no "
     "parent"},
    {"levels that differ", "vmcs-access=\"trap\"/>",
     "vmcs-access=\"trap\"/><level number=\"1\" hypervisor=\"minimal\" vmcs-access=\"shadow\"/>",
     "x.xml:6: <level vmcs-access=\"shadow\">: levels that differ are not modelled yet; expected "
     "trap as in line 6"},
    {"claim about no depth", "depth=\"2\" vmcs", "depth=\"3\" vmcs",
     "x.xml:12: <claim depth=\"3\">: expected a value of the comparison: 1 or 2"},
    {"claim about no switch", "values=\"on off\"", "values=\"off\"",
     "x.xml:12: <claim vmcs-shadowing=\"on\">: expected a value of the comparison: off"},
    {"claim of nothing", "reflected=\"equal\"", "depth=\"2\"",
     "x.xml:13: <claim>: expected one of the attributes exits, at-most, at-least, more-than, "
     "reads, "
     "writes, unlisted, recorded, reflected, kept or transparent"},
    {"claim of two things", "reflected=\"equal\"", "reflected=\"equal\" kept=\"equal\"",
     "x.xml:13: <claim kept=\"equal\">: expected a <claim> of its own beside reflected"},
    {"exits of no operation", "operation=\"CPUID\"", "",
     "x.xml:12: <claim exits=\"3\">: expected an operation beside it, such as CPUID, or * for "
     "all, or a reason"},
    {"operation without exits", "reflected=\"equal\"", "operation=\"CPUID\" reflected=\"equal\"",
     "x.xml:13: <claim operation=\"CPUID\">: not expected beside what this claim states"},
    {"reason without exits", "reflected=\"equal\"", "reason=\"CPUID\" reflected=\"equal\"",
     "x.xml:13: <claim reason=\"CPUID\">: not expected beside what this claim states"},
    {"unknown reason", "operation=\"CPUID\"", "reason=\"CPUIT\"",
     "x.xml:12: <claim reason=\"CPUIT\">: expected an exit reason, such as CPUID or "
     "EPT_VIOLATION"},
    {"operation and reason", "operation=\"CPUID\"", "operation=\"CPUID\" reason=\"CPUID\"",
     "x.xml:12: <claim reason=\"CPUID\">: expected an operation or a reason, not both"},
    {"more than nothing", "reflected=\"equal\"", "more-than=\"scheme=ept-on-spt\"",
     "x.xml:13: <claim more-than=\"scheme=ept-on-spt\">: expected an axis of the comparison and "
     "one of its values, such as depth=1"},
    {"more than a value that is not compared", "reflected=\"equal\"", "more-than=\"depth=3\"",
     "x.xml:13: <claim more-than=\"depth=3\">: expected an axis of the comparison and one of its "
     "values, such as depth=1"},
    {"more than itself", "reflected=\"equal\"", "depth=\"2\" more-than=\"depth=2\"",
     "x.xml:13: <claim more-than=\"depth=2\">: expected another value than the claim's own"},
    {"no point", "reflected=\"equal\"", "more-than=\"depth\"",
     "x.xml:13: <claim more-than=\"depth\">: expected an axis and one of its values, such as "
     "vmcs-shadowing=on"},
    {"times without more", "reflected=\"equal\"", "reflected=\"equal\" times=\"2..\"",
     "x.xml:13: <claim times=\"2..\">: expected with more-than only"},
    {"times backwards", "reflected=\"equal\"", "more-than=\"depth=1\" times=\"4..2\"",
     "x.xml:13: <claim times=\"4..2\">: expected the smaller number first"},
    {"range backwards", "reflected=\"equal\"", "reads=\"4..2\"",
     "x.xml:13: <claim reads=\"4..2\">: expected the smaller number first"},
    {"reads that no exit shows", "reflected=\"equal\"",
     "depth=\"2\" vmcs-shadowing=\"on\" reads=\"6..10\"",
     "x.xml:13: <claim reads=\"6..10\">: expected at depth 2 where each VMCS access exits; others "
     "are not counted"},
    {"recorded nowhere", "reflected=\"equal\"", "recorded=\"equal\"",
     "x.xml:13: <claim recorded=\"equal\">: expected a <recorded> of a variant that the claim "
     "speaks of"},
    {"recording of no variant", "values=\"on off\"/>",
     "values=\"on off\"/><recorded trace=\"a\" depth=\"3\"/>",
     "x.xml:10: <recorded depth=\"3\">: expected a value of the comparison: 1 or 2"},
    {"exception without a reason", "values=\"on off\"/>",
     "values=\"on off\"/><recorded trace=\"a\"><except operation=\"HLT\"/></recorded>",
     "x.xml:10: <except>: lacks the attribute because; expected one to 400 characters of text"},
    {"guest of nothing", "<guest trace=\"../t/a.txt\"/>", "<guest/>",
     "x.xml:3: <guest>: expected a trace, or a <mix> in it"},
    {"guest of two things", "<guest trace=\"../t/a.txt\"/>",
     "<guest trace=\"a\"><mix><event kind=\"CPUID\" weight=\"1\"/></mix></guest>",
     "x.xml:3: <guest trace=\"a\">: expected no <mix> beside it"},
    {"unknown kind of event", "<guest trace=\"../t/a.txt\"/>",
     "<guest><mix><event kind=\"CPUIT\" weight=\"1\"/></mix></guest>",
     "x.xml:3: <event kind=\"CPUIT\">: unknown kind of event; did you mean CPUID?"},
    {"kind like none", "<guest trace=\"../t/a.txt\"/>",
     "<guest><mix><event kind=\"ZZZZZZZZZZ\" weight=\"1\"/></mix></guest>",
     "x.xml:3: <event kind=\"ZZZZZZZZZZ\">: expected a kind of event, such as CPUID or MMIO_WRITE"},
    {"argument of another kind", "<guest trace=\"../t/a.txt\"/>",
     "<guest><mix><event kind=\"CPUID\" weight=\"1\" port=\"1\"/></mix></guest>",
     "x.xml:3: <event port=\"1\">: CPUID has no such argument; expected leaf or subleaf"},
    {"stride of nothing", "<guest trace=\"../t/a.txt\"/>",
     "<guest><mix><event kind=\"MEM_TOUCH\" weight=\"1\" stride=\"4096\"/></mix></guest>",
     "x.xml:3: <event stride=\"4096\">: expected its first argument beside it"},
    {"no number", "<guest trace=\"../t/a.txt\"/>",
     "<guest><mix><event kind=\"CPUID\" weight=\"1\" leaf=\"0x\"/></mix></guest>",
     "x.xml:3: <event leaf=\"0x\">: expected a number of up to 64 bits, in decimal or as 0x1f"},
    {"units of what", "<guest trace=\"../t/a.txt\"/>",
     "<guest><mix units=\"4\"><event kind=\"CPUID\" weight=\"1\"/></mix></guest>",
     "x.xml:3: <mix>: expected units and unit, or neither"},
    {"guests without names", "<guest trace=\"../t/a.txt\"/>",
     "<guest trace=\"a\"/><guest trace=\"b\"/>",
     "x.xml:3: <guest>: expected a name: there are several guests"},
    {"guests that nothing compares", "<guest trace=\"../t/a.txt\"/>",
     "<guest name=\"a\" trace=\"a\"/><guest name=\"b\" trace=\"b\"/>",
     "x.xml:8: <compare>: expected <axis name=\"guest\" values=\"...\">: there are several "
     "guests"},
    {"checked without a source", " source=\"A0\"", "",
     "x.xml:12: <claim kind=\"checked\">: expected a source, what the figure was checked against"},
    {"reflected without depth 1", "values=\"1 2\"", "values=\"2 3\"",
     "x.xml:13: <claim reflected=\"equal\">: expected a comparison of depth 1 with another "
     "depth"},
    {"not well-formed", "depth=\"2\"/>", "depth=\"2\" depth=\"2\"/>",
     "x.xml:14: not well-formed XML: Attribute depth redefined"},
    {"unknown entity", "it?", "&it;", "x.xml:3: not well-formed XML: Entity 'it' not defined"},
    {"namespace", "<scenario ", "<scenario xmlns=\"urn:x\" ",
     "x.xml:1: a scenario has no namespaces"},
    {"schema from elsewhere", "<scenario ",
     "<scenario xmlns:s=\"http://www.w3.org/2001/XMLSchema-instance\" "
     "s:noNamespaceSchemaLocation=\"http://localhost/x.xsd\" ",
     "x.xml:1: a scenario has no namespaces"},
};

static void broken_file_gives_its_sentence(void) {
  for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    struct scenario *scenario;
    char error[SCENARIO_ERROR_SIZE];
    char *text = changed(broken[i].from, broken[i].to);
    if (!EXPECT_TRUE(broken[i].name, text != NULL)) continue;
    EXPECT_EQ(broken[i].name, load_text(text, strlen(text), &scenario, error), 2);
    EXPECT_STRING(broken[i].name, error, broken[i].sentence);
    scenario_free(scenario);
    free(text);
  }
}

static void whole_broken_file_gives_its_sentence(void) {
  static const struct {
    const char *name, *text, *sentence;
  } cases[] = {
      {"empty", "", "x.xml: empty file; expected a scenario"},
      {"junk",
       "\x7f"
       "ELF\x01\x02",
       "x.xml:1: not XML; expected <scenario name=\"...\">"},
      {"plain text", "hello", "x.xml:1: not XML; expected <scenario name=\"...\">"},
      {"another root", "<html><body/></html>", "x.xml:1: <html>: expected <scenario name=\"...\">"},
      {"empty root", "<scenario name='x'/>",
       "x.xml:1: <scenario>: ends too early; expected <question>"},
      {"two roots", "<scenario name='x'/><scenario/>",
       "x.xml:1: not well-formed XML: Extra content at the end of the document"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct scenario *scenario;
    char error[SCENARIO_ERROR_SIZE];
    EXPECT_EQ(cases[i].name, load_text(cases[i].text, strlen(cases[i].text), &scenario, error), 2);
    EXPECT_STRING(cases[i].name, error, cases[i].sentence);
  }
}

/* Wherever the file is cut, it is refused with a line, and nothing crashes. */
static void truncated_file_is_refused(void) {
  for (size_t size = 1; size < sizeof good - 3; size++) {
    struct scenario *scenario;
    char error[SCENARIO_ERROR_SIZE];
    EXPECT_EQ("status", load_text(good, size, &scenario, error), 2);
    if (!EXPECT_TRUE(error, strncmp(error, "x.xml:", 6) == 0)) break;
  }
  struct scenario *scenario;
  char error[SCENARIO_ERROR_SIZE];
  size_t half = (size_t)(strstr(good, "    <axis") - good);
  load_text(good, half, &scenario, error);
  EXPECT_STRING("sentence", error, "x.xml:9: the file ends before </compare>, which line 8 opens");
}

/* Every byte of the file replaced by a few others: accepted or refused, never worse. */
static void damaged_file_does_no_harm(void) {
  static const char bytes[] = {'\0', '<', '"', '&', '\x80', '9'};
  for (size_t at = 0; at < sizeof good - 1; at++) {
    struct scenario *scenario;
    char error[SCENARIO_ERROR_SIZE], text[sizeof good];
    memcpy(text, good, sizeof good);
    text[at] = bytes[at % sizeof bytes];
    int status = load_text(text, sizeof good - 1, &scenario, error);
    EXPECT_TRUE(error, status == 0 || (status == 2 && error[0] != '\0'));
    scenario_free(scenario);
  }
}

/* ---- Hostile files -------------------------------------------------------------------------- */

static void hostile_document_type_is_refused(void) {
  static const struct {
    const char *name, *text;
  } cases[] = {
      {"entity bomb",
       "<!DOCTYPE s [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;\">\n"
       "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;\">]><scenario name=\"&c;\"/>"},
      {"external entity",
       "<!DOCTYPE s [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>"
       "<scenario name='x'><question>&a;</question></scenario>"},
      {"external subset", "<!DOCTYPE s SYSTEM \"file:///etc/passwd\"><scenario name='x'/>"},
      {"parameter entity", "<!DOCTYPE s [<!ENTITY % a SYSTEM \"http://localhost/\"> %a;]><s/>"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct scenario *scenario;
    char error[SCENARIO_ERROR_SIZE];
    EXPECT_EQ(cases[i].name, load_text(cases[i].text, strlen(cases[i].text), &scenario, error), 2);
    EXPECT_STRING(cases[i].name, error,
                  "x.xml:1: a scenario has no DOCTYPE and no entities of its own");
  }
}

static char *repeated(const char *head, const char *middle, size_t count, const char *tail) {
  size_t length = strlen(middle), used = strlen(head);
  char *text = malloc(used + length * count + strlen(tail) + 1);
  if (text == NULL) return NULL;
  memcpy(text, head, used);
  for (size_t i = 0; i < count; i++, used += length) memcpy(text + used, middle, length);
  strcpy(text + used, tail);
  return text;
}

static void hostile_size_is_refused(void) {
  static const struct {
    const char *name, *head, *middle, *tail, *sentence;
    size_t count;
  } cases[] = {
      {"deep nesting", "", "<a>", "", "x.xml:1: elements are nested too deep; expected a scenario",
       100000},
      {"100 MB attribute", "<scenario name=\"", "aaaaaaaaaa", "\"/>",
       "x.xml: larger than 1 MiB; expected a scenario", 10000000},
      {"900 kB attribute", "<scenario name=\"", "aaaaaaaaaa", "\"/>",
       "x.xml:1: <scenario name=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
       "\">: expected a name of up to 63 letters, digits, dots, hyphens and underscores",
       90000},
      {"many siblings", "<scenario name='x'>", "<question>q</question>", "</scenario>",
       "x.xml:1: <question>: not expected here; expected <guest>", 40000},
      {"many attributes", "<scenario", " a=\"\"", "/>",
       "x.xml:1: not well-formed XML: Attribute a redefined", 100000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct scenario *scenario;
    char error[SCENARIO_ERROR_SIZE];
    char *text = repeated(cases[i].head, cases[i].middle, cases[i].count, cases[i].tail);
    if (!EXPECT_TRUE("memory", text != NULL)) return;
    EXPECT_EQ(cases[i].name, load_text(text, strlen(text), &scenario, error), 2);
    EXPECT_STRING(cases[i].name, error, cases[i].sentence);
    free(text);
  }
}

static void too_many_claims_are_refused(void) {
  struct scenario *scenario;
  char error[SCENARIO_ERROR_SIZE];
  char *text = repeated("", "<claim unlisted='0'/>", 257, "");
  char *whole = changed("<claim reflected=\"equal\"/>", text);
  EXPECT_EQ("status", load_text(whole, strlen(whole), &scenario, error), 2);
  EXPECT_CONTAINS("sentence", error, "<claim>: not expected here; <claims> has enough elements");
  free(whole);
  free(text);
}

static void unreadable_file_gives_a_sentence(void) {
  struct scenario *scenario;
  char error[SCENARIO_ERROR_SIZE];
  EXPECT_EQ("missing", scenario_load(&scenario, "no/such.xml", error, sizeof error), 2);
  EXPECT_STRING("missing", error, "no/such.xml: cannot be opened: No such file or directory");
  EXPECT_EQ("folder", scenario_load(&scenario, "/tmp", error, sizeof error), 2);
  EXPECT_STRING("folder", error, "/tmp: is a directory; expected a scenario (.xml)");
  EXPECT_TRUE("nothing comes out", scenario == NULL);
}

static void short_error_buffer_is_respected(void) {
  struct scenario *scenario;
  char error[16] = "0123456789abcde";
  EXPECT_EQ("missing", scenario_load(&scenario, "no/such.xml", error, 8), 2);
  EXPECT_STRING("cut", error, "no/such");
  EXPECT_STRING("what is behind it", error + 8, "89abcde");
}

/* ---- The trace ------------------------------------------------------------------------------ */

static void trace_that_cannot_be_read_gives_a_sentence(void) {
  struct folder folder;
  struct scenario *scenario;
  char error[SCENARIO_ERROR_SIZE], path[160], expected[512];
  if (!folder_init(&folder)) return;
  write_bytes(folder.file, good, strlen(good));
  snprintf(path, sizeof path, "%s/y.xml", folder.path);
  EXPECT_EQ("a trace", scenario_for_trace(&scenario, path, error, sizeof error), 0);
  EXPECT_EQ("missing", scenario_check_trace(scenario, error, sizeof error), 2);
  snprintf(expected, sizeof expected, "%s: no such file; did you mean %s?", path, folder.file);
  EXPECT_STRING("missing", error, expected);
  snprintf(scenario->guest[0].trace, sizeof scenario->guest[0].trace, "%s", folder.path);
  EXPECT_EQ("folder", scenario_check_trace(scenario, error, sizeof error), 2);
  EXPECT_CONTAINS("folder", error, ": is a directory; expected a trace");
  scenario_free(scenario);
  EXPECT_EQ("load", scenario_load(&scenario, folder.file, error, sizeof error), 0);
  EXPECT_EQ("of a file", scenario_check_trace(scenario, error, sizeof error), 2);
  EXPECT_CONTAINS("of a file", error, "/x.xml:3: <guest>: trace ");
  EXPECT_CONTAINS("of a file", error, "/../t/a.txt: no such file");
  snprintf(scenario->guest[0].trace, sizeof scenario->guest[0].trace, "%s", folder.file);
  EXPECT_EQ("readable", scenario_check_trace(scenario, error, sizeof error), 0);
  scenario_free(scenario);
  folder_fini(&folder);
}

CU_TestInfo scenario_load_tests[] = {
    {"good_file_loads", good_file_loads},
    {"mix_loads_with_its_arguments", mix_loads_with_its_arguments},
    {"missing_shadowing_axis_follows_vmcs_access", missing_shadowing_axis_follows_vmcs_access},
    {"shipped_scenarios_load", shipped_scenarios_load},
    {"broken_file_gives_its_sentence", broken_file_gives_its_sentence},
    {"whole_broken_file_gives_its_sentence", whole_broken_file_gives_its_sentence},
    {"truncated_file_is_refused", truncated_file_is_refused},
    {"damaged_file_does_no_harm", damaged_file_does_no_harm},
    {"hostile_document_type_is_refused", hostile_document_type_is_refused},
    {"hostile_size_is_refused", hostile_size_is_refused},
    {"too_many_claims_are_refused", too_many_claims_are_refused},
    {"unreadable_file_gives_a_sentence", unreadable_file_gives_a_sentence},
    {"short_error_buffer_is_respected", short_error_buffer_is_respected},
    {"trace_that_cannot_be_read_gives_a_sentence", trace_that_cannot_be_read_gives_a_sentence},
    CU_TEST_INFO_NULL,
};
