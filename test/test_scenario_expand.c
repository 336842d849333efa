/* SPDX-License-Identifier: MIT
 * The points of a comparison, changes from the command line, words and suggestions. */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/scenario/names.h"
#include "src/scenario/scenario.h"
#include "test/expect.h"

static struct scenario *create(void) {
  struct scenario *scenario;
  char error[SCENARIO_ERROR_SIZE];
  EXPECT_EQ("a scenario", scenario_for_trace(&scenario, "a/b.txt.zst", error, sizeof error), 0);
  return scenario;
}

static void set(struct scenario *scenario, enum scenario_axis_name axis, const char *values) {
  char error[SCENARIO_ERROR_SIZE] = "";
  EXPECT_EQ(values, scenario_set_axis(scenario, axis, values, error, sizeof error), 0);
  EXPECT_STRING(values, error, "");
}

/* "1+ 2+ 2-": depth and shadowing of each variant. */
static const char *variants_text(const struct scenario *scenario, char *text, size_t size) {
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  unsigned count = scenario_expand(scenario, variants);
  size_t used = 0;
  text[0] = '\0';
  for (unsigned i = 0; i < count && used < size; i++) {
    EXPECT_EQ("value", variants[i].value[SCENARIO_AXIS_DEPTH], variants[i].depth);
    bool is_on = variants[i].value[SCENARIO_AXIS_VMCS_SHADOWING] == SCENARIO_ON;
    used += (size_t)snprintf(text + used, size - used, "%s%u%c", i > 0 ? " " : "",
                             variants[i].depth, is_on ? '+' : '-');
  }
  return text;
}

static void expansion_has_the_first_axis_slowest(void) {
  static const struct {
    const char *depth, *shadowing, *expected;
  } cases[] = {
      {"1", "on", "1+"},
      {"2", "both", "2+ 2-"},
      {"1..3", "both", "1+ 2+ 2- 3+ 3-"},
      {"3..1", "off,on", "3- 3+ 2- 2+ 1-"},
      {"1,2,4", "off", "1- 2- 4-"},
      {"2,1,3..4", "on", "2+ 1+ 3+ 4+"},
      {"1..6", "both", "1+ 2+ 2- 3+ 3- 4+ 4- 5+ 5- 6+ 6-"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[256];
    struct scenario *scenario = create();
    set(scenario, SCENARIO_AXIS_DEPTH, cases[i].depth);
    set(scenario, SCENARIO_AXIS_VMCS_SHADOWING, cases[i].shadowing);
    EXPECT_STRING(cases[i].depth, variants_text(scenario, text, sizeof text), cases[i].expected);
    scenario_free(scenario);
  }
}

static void bad_values_leave_the_scenario_alone(void) {
  static const struct {
    enum scenario_axis_name axis;
    const char *values;
  } cases[] = {{SCENARIO_AXIS_DEPTH, ""},
               {SCENARIO_AXIS_DEPTH, "0"},
               {SCENARIO_AXIS_DEPTH, "7"},
               {SCENARIO_AXIS_DEPTH, "1.."},
               {SCENARIO_AXIS_DEPTH, "..2"},
               {SCENARIO_AXIS_DEPTH, "1,,2"},
               {SCENARIO_AXIS_DEPTH, "1,"},
               {SCENARIO_AXIS_DEPTH, ",1"},
               {SCENARIO_AXIS_DEPTH, "2,2"},
               {SCENARIO_AXIS_DEPTH, "2,1..3"},
               {SCENARIO_AXIS_VMCS_SHADOWING, "on,on"},
               {SCENARIO_AXIS_DEPTH, "1...3"},
               {SCENARIO_AXIS_DEPTH, "1..2..3"},
               {SCENARIO_AXIS_DEPTH, "both"},
               {SCENARIO_AXIS_DEPTH, "-1"},
               {SCENARIO_AXIS_DEPTH, "two"},
               {SCENARIO_AXIS_VMCS_SHADOWING, "yes"},
               {SCENARIO_AXIS_VMCS_SHADOWING, "1"},
               {SCENARIO_AXIS_DEPTH,
                "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
                "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
                "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char error[SCENARIO_ERROR_SIZE] = "", text[64];
    struct scenario *scenario = create();
    EXPECT_EQ(cases[i].values,
              scenario_set_axis(scenario, cases[i].axis, cases[i].values, error, sizeof error), 2);
    EXPECT_STRING(cases[i].values, error,
                  cases[i].axis == SCENARIO_AXIS_DEPTH
                      ? "expected depths from 1 to 6, each once, such as 2, 1..3 or 1,2,4"
                      : "expected on, off or both");
    EXPECT_STRING(cases[i].values, variants_text(scenario, text, sizeof text), "1+ 2+");
    scenario_free(scenario);
  }
}

static struct scenario *load_turtles(void) {
  struct scenario *scenario;
  char path[512], error[SCENARIO_ERROR_SIZE];
  snprintf(path, sizeof path, "%s/scenarios/turtles.xml", NESTOR_TEST_SOURCE_DIR);
  EXPECT_EQ("turtles", scenario_load(&scenario, path, error, sizeof error), 0);
  return scenario;
}

static unsigned count_claims(const struct scenario *scenario, enum scenario_claim_type type) {
  unsigned count = 0;
  for (unsigned i = 0; i < scenario->claim_count; i++) count += scenario->claim[i].type == type;
  return count;
}

/* Claims about that value. */
static unsigned count_about(const struct scenario *scenario, enum scenario_axis_name axis,
                            unsigned value) {
  unsigned count = 0;
  for (unsigned i = 0; i < scenario->claim_count; i++)
    count += scenario->claim[i].where[axis] == value;
  return count;
}

static void change_drops_the_claims_it_makes_void(void) {
  struct scenario *scenario = load_turtles();
  unsigned all = scenario->claim_count;
  unsigned off = count_about(scenario, SCENARIO_AXIS_VMCS_SHADOWING, SCENARIO_OFF);
  EXPECT_TRUE("some are about off", off > 0);
  set(scenario, SCENARIO_AXIS_VMCS_SHADOWING, "on");
  EXPECT_EQ("off dropped", scenario->claim_count, all - off);
  EXPECT_EQ("kept behind", scenario->dropped_count, off);
  EXPECT_EQ("two depths", count_claims(scenario, SCENARIO_CLAIM_REFLECTED), 1);
  set(scenario, SCENARIO_AXIS_DEPTH, "2");
  EXPECT_EQ("depth 1 dropped", count_about(scenario, SCENARIO_AXIS_DEPTH, 1), 0);
  EXPECT_EQ("nothing to compare", count_claims(scenario, SCENARIO_CLAIM_REFLECTED), 0);
  EXPECT_EQ("unlisted", count_claims(scenario, SCENARIO_CLAIM_UNLISTED), 1);
  unsigned left = scenario->claim_count;
  set(scenario, SCENARIO_AXIS_PROCESSOR, "broadwell-pml");
  EXPECT_EQ("same processor", scenario->claim_count, left);
  set(scenario, SCENARIO_AXIS_PROCESSOR, "haswell");
  EXPECT_EQ("figures dropped, a direction stays", scenario->claim_count, 1);
  EXPECT_EQ("all others behind", scenario->dropped_count, all - 1);
  scenario_free(scenario);
}

/* Claims about figures were made of the scenario's own processor: beside another they speak of that
 * alone. */
static void figure_stays_with_the_value_it_was_claimed_for(void) {
  struct scenario *scenario = load_turtles();
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  set(scenario, SCENARIO_AXIS_PROCESSOR, "skylake-x,broadwell-pml");
  unsigned count = scenario_expand(scenario, variants), covered = 0;
  for (unsigned i = 0; i < count; i++) {
    if (!scenario_claim_covers(&scenario->claim[0], &variants[i])) continue;
    EXPECT_STRING("own",
                  scenario_axis_word(scenario, SCENARIO_AXIS_PROCESSOR,
                                     variants[i].value[SCENARIO_AXIS_PROCESSOR]),
                  "broadwell-pml");
    covered++;
  }
  EXPECT_EQ("one variant", covered, 1);
  scenario_free(scenario);
}

static void another_hypervisor_makes_figures_void(void) {
  struct scenario *scenario = load_turtles();
  char error[SCENARIO_ERROR_SIZE];
  unsigned all = scenario->claim_count;
  set(scenario, SCENARIO_AXIS_HYPERVISOR, "kvm-6.1");
  EXPECT_EQ("claims stay", scenario->claim_count, all);
  scenario_free(scenario);
  scenario = load_turtles();
  unsigned flat = count_about(scenario, SCENARIO_AXIS_DEPTH, 1);
  unsigned flat_figures = flat - 1; /* one is about unlisted accesses */
  set(scenario, SCENARIO_AXIS_HYPERVISOR, "minimal");
  EXPECT_EQ("figures of depth 1 are of L0", count_claims(scenario, SCENARIO_CLAIM_EXITS),
            flat_figures);
  EXPECT_EQ("comparison stays", count_claims(scenario, SCENARIO_CLAIM_REFLECTED), 1);
  EXPECT_EQ("unknown",
            scenario_set_axis(scenario, SCENARIO_AXIS_HYPERVISOR, "xen", error, sizeof error), 2);
  EXPECT_CONTAINS("unknown", error, "expected kvm-6.1");
  EXPECT_EQ("host", scenario_set_host(scenario, "kvm-6.1", error, sizeof error), 0);
  EXPECT_EQ("the same", count_claims(scenario, SCENARIO_CLAIM_EXITS), flat_figures);
  EXPECT_EQ("host", scenario_set_host(scenario, "minimal", error, sizeof error), 0);
  EXPECT_EQ("figures dropped", count_claims(scenario, SCENARIO_CLAIM_EXITS), 0);
  EXPECT_EQ("unknown", scenario_set_host(scenario, "xen", error, sizeof error), 2);
  EXPECT_STRING("unchanged", scenario->level[0].hypervisor, "minimal");
  EXPECT_EQ("unknown",
            scenario_set_axis(scenario, SCENARIO_AXIS_PROCESSOR, "z80", error, sizeof error), 2);
  EXPECT_CONTAINS("unknown", error, "expected nehalem, haswell");
  scenario_free(scenario);
}

/* ---- Stacks --------------------------------------------------------------------------------- */

/* "1:s 2:es" of each variant: depth, and for each level whether it shadows or uses EPT. */
static const char *stacks_text(const struct scenario *scenario, char *text, size_t size) {
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  unsigned count = scenario_expand(scenario, variants);
  size_t used = 0;
  text[0] = '\0';
  for (unsigned i = 0; i < count && used < size; i++) {
    used +=
        (size_t)snprintf(text + used, size - used, "%s%u:", i > 0 ? " " : "", variants[i].depth);
    for (unsigned k = 0; k < variants[i].depth && used + 1 < size; k++)
      text[used++] = variants[i].stack.shadow_paging[k] ? 's' : 'e';
    text[used] = '\0';
  }
  return text;
}

static void scheme_says_who_shadows(void) {
  static const struct {
    const char *depth, *scheme, *expected;
  } cases[] = {
      {"1", "ept-on-ept", "1:e"},
      {"1", "shadow-on-ept", "1:e"},
      {"1", "shadow-on-shadow", "1:s"},
      {"1", "ept-on-ept,shadow-on-ept,shadow-on-shadow", "1:e 1:s"},
      {"2", "ept-on-ept,shadow-on-ept,shadow-on-shadow", "2:ee 2:es 2:ss"},
      {"3", "ept-on-ept,shadow-on-ept", "3:eee 3:ees"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[128];
    struct scenario *scenario = create();
    set(scenario, SCENARIO_AXIS_DEPTH, cases[i].depth);
    set(scenario, SCENARIO_AXIS_SCHEME, cases[i].scheme);
    EXPECT_STRING(cases[i].scheme, stacks_text(scenario, text, sizeof text), cases[i].expected);
    scenario_free(scenario);
  }
}

static void scheme_that_no_parent_gives_is_refused(void) {
  struct scenario *scenario = create();
  char error[SCENARIO_ERROR_SIZE], text[64];
  set(scenario, SCENARIO_AXIS_DEPTH, "3");
  EXPECT_EQ(
      "status",
      scenario_set_axis(scenario, SCENARIO_AXIS_SCHEME, "shadow-on-shadow", error, sizeof error),
      2);
  EXPECT_STRING("sentence", error,
                "depth 3: the scheme shadow-on-shadow of level 2 expects shadow paging of level "
                "1, which does not give it that; say the scheme of each <level>");
  EXPECT_STRING("unchanged", stacks_text(scenario, text, sizeof text), "3:eee");
  scenario->level[1].scheme = SCENARIO_SHADOW_ON_SHADOW;
  set(scenario, SCENARIO_AXIS_SCHEME, "shadow-on-shadow");
  EXPECT_STRING("each level says it", stacks_text(scenario, text, sizeof text), "3:sss");
  scenario_free(scenario);
}

static void access_falls_back_where_the_processor_lacks_shadowing(void) {
  struct scenario *scenario = create();
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  set(scenario, SCENARIO_AXIS_DEPTH, "2");
  set(scenario, SCENARIO_AXIS_VMCS_ACCESS, "shadow,trap,memory");
  set(scenario, SCENARIO_AXIS_VMCS_SHADOWING, "both");
  EXPECT_EQ("shadow off is trap", scenario_expand(scenario, variants), 3);
  EXPECT_EQ("shadow", variants[0].stack.vmcs_access, SCENARIO_VMCS_SHADOW);
  EXPECT_EQ("trap", variants[1].stack.vmcs_access, SCENARIO_VMCS_TRAP);
  EXPECT_EQ("memory", variants[2].stack.vmcs_access, SCENARIO_VMCS_MEMORY);
  unsigned where[SCENARIO_AXIS_COUNT];
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) where[i] = SCENARIO_ANY;
  where[SCENARIO_AXIS_VMCS_ACCESS] = SCENARIO_VMCS_TRAP;
  where[SCENARIO_AXIS_VMCS_SHADOWING] = SCENARIO_ON;
  EXPECT_TRUE("stands for both", scenario_covers(where, &variants[1]));
  EXPECT_TRUE("and no other", !scenario_covers(where, &variants[0]));
  scenario_free(scenario);
}

static void too_many_combinations_are_refused(void) {
  struct scenario *scenario = create();
  char error[SCENARIO_ERROR_SIZE];
  set(scenario, SCENARIO_AXIS_DEPTH, "1..6");
  set(scenario, SCENARIO_AXIS_PROCESSOR,
      "nehalem,haswell,broadwell-pml,skylake-x,minimal,everything");
  EXPECT_EQ("status",
            scenario_set_axis(scenario, SCENARIO_AXIS_VMCS_SHADOWING, "both", error, sizeof error),
            2);
  EXPECT_STRING("sentence", error, "expected at most 64 combinations of values");
  scenario_free(scenario);
}

static void deeper_axis_fills_the_levels(void) {
  struct scenario *scenario = create();
  memset(&scenario->level[2], 0, sizeof scenario->level - 2 * sizeof scenario->level[0]);
  set(scenario, SCENARIO_AXIS_DEPTH, "6");
  EXPECT_STRING("level 5", scenario->level[5].hypervisor, "kvm-6.1");
  EXPECT_EQ("scheme", scenario->level[5].scheme, SCENARIO_EPT_ON_EPT);
  scenario_free(scenario);
}

static void claim_covers_what_it_names(void) {
  struct scenario *scenario = create();
  struct scenario_variant variants[SCENARIO_VARIANT_LIMIT];
  struct scenario_claim claim;
  set(scenario, SCENARIO_AXIS_VMCS_SHADOWING, "both");
  EXPECT_EQ("variants", scenario_expand(scenario, variants), 3);
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) claim.where[i] = SCENARIO_ANY;
  EXPECT_TRUE("any", scenario_claim_covers(&claim, &variants[2]));
  claim.where[SCENARIO_AXIS_DEPTH] = 2;
  claim.where[SCENARIO_AXIS_VMCS_SHADOWING] = SCENARIO_ON;
  EXPECT_TRUE("same", scenario_claim_covers(&claim, &variants[1]));
  EXPECT_TRUE("other switch", !scenario_claim_covers(&claim, &variants[2]));
  EXPECT_TRUE("other depth", !scenario_claim_covers(&claim, &variants[0]));
  claim.where[SCENARIO_AXIS_DEPTH] = 1;
  claim.where[SCENARIO_AXIS_VMCS_SHADOWING] = SCENARIO_OFF;
  EXPECT_TRUE("depth 1 stands for both", scenario_claim_covers(&claim, &variants[0]));
  claim.where[SCENARIO_AXIS_DEPTH] = SCENARIO_ANY;
  claim.than_axis = SCENARIO_AXIS_DEPTH;
  claim.than_value = 1;
  EXPECT_TRUE("other", scenario_is_other(&claim, &variants[2], &variants[0]));
  EXPECT_TRUE("not the other", !scenario_is_other(&claim, &variants[2], &variants[1]));
  scenario_free(scenario);
}

/* ---- Words ---------------------------------------------------------------------------------- */

static const xmlNode *next_named(const xmlNode *node, const char *name) {
  while (node != NULL && (node->type != XML_ELEMENT_NODE || strcmp((const char *)node->name, name)))
    node = node->next;
  return node;
}

/* The enumeration of a simple type of the schema equals the list of words. */
static void compare_type(const xmlNode *schema, const char *type, enum scenario_list list) {
  const xmlNode *node = next_named(schema->children, "simpleType");
  for (; node != NULL; node = next_named(node->next, "simpleType")) {
    xmlChar *name = xmlGetProp(node, (const xmlChar *)"name");
    bool found = strcmp((const char *)name, type) == 0;
    xmlFree(name);
    if (found) break;
  }
  if (!EXPECT_TRUE(type, node != NULL)) return;
  unsigned count = 0;
  const xmlNode *row = next_named(node->children, "restriction")->children;
  for (row = next_named(row, "enumeration"); row != NULL;
       row = next_named(row->next, "enumeration")) {
    xmlChar *value = xmlGetProp(row, (const xmlChar *)"value");
    EXPECT_EQ((const char *)value, scenario_word_index(list, (const char *)value), count);
    xmlFree(value);
    count++;
  }
  EXPECT_TRUE(type, count > 0 && scenario_words(list)[count] == NULL);
}

static void schema_and_tables_have_the_same_words(void) {
  char path[512];
  snprintf(path, sizeof path, "%s/scenarios/nestor.xsd", NESTOR_TEST_SOURCE_DIR);
  xmlDoc *tree = xmlReadFile(path, NULL, XML_PARSE_NONET);
  if (!EXPECT_TRUE("the schema", tree != NULL)) return;
  const xmlNode *schema = xmlDocGetRootElement(tree);
  compare_type(schema, "processor", LIST_PROCESSOR);
  compare_type(schema, "hypervisor", LIST_HYPERVISOR);
  compare_type(schema, "scheme", LIST_SCHEME);
  compare_type(schema, "vmcsAccess", LIST_VMCS_ACCESS);
  compare_type(schema, "backing", LIST_BACKING);
  compare_type(schema, "mark", LIST_MARK);
  compare_type(schema, "switch", LIST_SWITCH);
  compare_type(schema, "axisName", LIST_AXIS);
  xmlFreeDoc(tree);
}

static void distance_counts_edits(void) {
  static const struct {
    const char *a, *b;
    unsigned distance;
  } cases[] = {
      {"", "", 0},       {"abc", "", 3},           {"", "abc", 3},          {"abc", "abc", 0},
      {"ABC", "abc", 0}, {"abc", "acb", 1},        {"abc", "abd", 1},       {"abc", "abcd", 1},
      {"ca", "abc", 3},  {"turtle", "turtles", 1}, {"kitten", "sitting", 3}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    EXPECT_EQ(cases[i].a, suggest_distance(cases[i].a, cases[i].b), cases[i].distance);
  }
  char longer[200];
  memset(longer, 'a', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  EXPECT_EQ("long words", suggest_distance(longer, "b"), 63);
}

static void suggestion_is_near_or_absent(void) {
  static const char *const words[] = {"replay", "import", "bench", "help", NULL};
  EXPECT_STRING("one letter", suggest_word("reply", words), "replay");
  EXPECT_STRING("swap", suggest_word("hlep", words), "help");
  EXPECT_TRUE("nothing like it", suggest_word("zzz", words) == NULL);
  EXPECT_TRUE("nothing", suggest_word("", words) == NULL);
}

static void touch(const char *folder, const char *name) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  if (EXPECT_TRUE(path, file != NULL)) fclose(file);
}

static void file_suggestion_comes_from_both_folders(void) {
  char own[] = "/tmp/nestor-own-XXXXXX", other[] = "/tmp/nestor-other-XXXXXX";
  char given[256], path[SCENARIO_PATH_SIZE], expected[256], command[256];
  if (!EXPECT_TRUE("folders", mkdtemp(own) != NULL && mkdtemp(other) != NULL)) return;
  const char *const folders[] = {"/no/such/folder", other, NULL};
  touch(own, "turtles.txt");
  touch(other, "turtles.xml");
  touch(other, "depth.xml");

  snprintf(given, sizeof given, "%s/turtle.xml", own);
  snprintf(expected, sizeof expected, "%s/turtles.xml", other);
  EXPECT_TRUE("other folder", suggest_file(given, folders, ".xml", path, sizeof path));
  EXPECT_STRING("other folder", path, expected);
  snprintf(given, sizeof given, "%s/turtle", own);
  EXPECT_TRUE("no suffix", suggest_file(given, folders, ".xml", path, sizeof path));
  EXPECT_STRING("no suffix", path, expected);
  snprintf(given, sizeof given, "%s/turtel.txt", own);
  snprintf(expected, sizeof expected, "%s/turtles.txt", own);
  EXPECT_TRUE("own folder", suggest_file(given, NULL, NULL, path, sizeof path));
  EXPECT_STRING("own folder", path, expected);
  EXPECT_TRUE("nothing near", !suggest_file("/no/qqqqqqq", folders, NULL, path, sizeof path));

  const char *const files[][2] = {
      {own, "turtles.txt"}, {other, "turtles.xml"}, {other, "depth.xml"}};
  for (size_t i = 0; i < 3; i++) {
    snprintf(command, sizeof command, "%s/%s", files[i][0], files[i][1]);
    unlink(command);
  }
  rmdir(own);
  rmdir(other);
}

static void trace_gives_a_scenario_of_its_name(void) {
  struct scenario *scenario = create();
  EXPECT_STRING("name", scenario->name, "b");
  EXPECT_STRING("trace", scenario->guest[0].trace, "a/b.txt.zst");
  EXPECT_STRING("path", scenario->path, "");
  EXPECT_EQ("claims", scenario->claim_count, 0);
  scenario_free(scenario);
}

CU_TestInfo scenario_expand_tests[] = {
    {"expansion_has_the_first_axis_slowest", expansion_has_the_first_axis_slowest},
    {"bad_values_leave_the_scenario_alone", bad_values_leave_the_scenario_alone},
    {"change_drops_the_claims_it_makes_void", change_drops_the_claims_it_makes_void},
    {"figure_stays_with_the_value_it_was_claimed_for",
     figure_stays_with_the_value_it_was_claimed_for},
    {"another_hypervisor_makes_figures_void", another_hypervisor_makes_figures_void},
    {"scheme_says_who_shadows", scheme_says_who_shadows},
    {"scheme_that_no_parent_gives_is_refused", scheme_that_no_parent_gives_is_refused},
    {"access_falls_back_where_the_processor_lacks_shadowing",
     access_falls_back_where_the_processor_lacks_shadowing},
    {"too_many_combinations_are_refused", too_many_combinations_are_refused},
    {"deeper_axis_fills_the_levels", deeper_axis_fills_the_levels},
    {"claim_covers_what_it_names", claim_covers_what_it_names},
    {"schema_and_tables_have_the_same_words", schema_and_tables_have_the_same_words},
    {"distance_counts_edits", distance_counts_edits},
    {"suggestion_is_near_or_absent", suggestion_is_near_or_absent},
    {"file_suggestion_comes_from_both_folders", file_suggestion_comes_from_both_folders},
    {"trace_gives_a_scenario_of_its_name", trace_gives_a_scenario_of_its_name},
    CU_TEST_INFO_NULL,
};
