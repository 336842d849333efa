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
    used += (size_t)snprintf(text + used, size - used, "%s%u%c", i > 0 ? " " : "",
                             variants[i].depth, variants[i].vmcs_shadowing ? '+' : '-');
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

static void change_drops_the_claims_it_makes_void(void) {
  struct scenario *scenario = load_turtles();
  char error[SCENARIO_ERROR_SIZE];
  EXPECT_EQ("all", count_claims(scenario, SCENARIO_CLAIM_EXITS), 27);
  set(scenario, SCENARIO_AXIS_VMCS_SHADOWING, "on");
  EXPECT_EQ("off dropped", count_claims(scenario, SCENARIO_CLAIM_EXITS), 18);
  EXPECT_EQ("two depths", count_claims(scenario, SCENARIO_CLAIM_REFLECTED), 1);
  set(scenario, SCENARIO_AXIS_DEPTH, "2");
  EXPECT_EQ("depth 1 dropped", count_claims(scenario, SCENARIO_CLAIM_EXITS), 9);
  EXPECT_EQ("nothing to compare", count_claims(scenario, SCENARIO_CLAIM_REFLECTED), 0);
  EXPECT_EQ("unlisted", count_claims(scenario, SCENARIO_CLAIM_UNLISTED), 1);
  EXPECT_EQ("same processor",
            scenario_set_processor(scenario, "broadwell-pml", error, sizeof error), 0);
  EXPECT_EQ("kept", scenario->claim_count, 10);
  EXPECT_EQ("another", scenario_set_processor(scenario, "haswell", error, sizeof error), 0);
  EXPECT_EQ("figures dropped", scenario->claim_count, 0);
  scenario_free(scenario);
}

static void another_hypervisor_replaces_every_level(void) {
  struct scenario *scenario = load_turtles();
  char error[SCENARIO_ERROR_SIZE];
  EXPECT_EQ("same", scenario_set_hypervisor(scenario, "kvm-6.1", error, sizeof error), 0);
  EXPECT_EQ("claims stay", count_claims(scenario, SCENARIO_CLAIM_EXITS), 27);
  EXPECT_EQ("other", scenario_set_hypervisor(scenario, "minimal", error, sizeof error), 0);
  for (unsigned i = 0; i < 3; i++) {
    EXPECT_STRING("level", scenario->level[i].hypervisor, "minimal");
  }
  EXPECT_EQ("figures dropped", count_claims(scenario, SCENARIO_CLAIM_EXITS), 0);
  EXPECT_EQ("comparison stays", count_claims(scenario, SCENARIO_CLAIM_REFLECTED), 1);
  EXPECT_EQ("unknown", scenario_set_hypervisor(scenario, "xen", error, sizeof error), 2);
  EXPECT_STRING("unknown", error, "expected kvm-6.1, kvm-6.12, kvm-2.6.34, haxm-2018 or minimal");
  EXPECT_STRING("unchanged", scenario->level[0].hypervisor, "minimal");
  EXPECT_EQ("unknown", scenario_set_processor(scenario, "z80", error, sizeof error), 2);
  EXPECT_CONTAINS("unknown", error, "expected nehalem, haswell");
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
  struct scenario_claim claim = {.where = {2, 1}};
  struct scenario_variant variant = {.depth = 2, .value = {2, 1}};
  EXPECT_TRUE("same", scenario_claim_covers(&claim, &variant));
  variant.value[SCENARIO_AXIS_VMCS_SHADOWING] = 0;
  EXPECT_TRUE("other switch", !scenario_claim_covers(&claim, &variant));
  claim.where[SCENARIO_AXIS_VMCS_SHADOWING] = SCENARIO_ANY;
  EXPECT_TRUE("any switch", scenario_claim_covers(&claim, &variant));
  claim.where[SCENARIO_AXIS_DEPTH] = 1;
  EXPECT_TRUE("other depth", !scenario_claim_covers(&claim, &variant));
  claim.where[SCENARIO_AXIS_VMCS_SHADOWING] = 1;
  variant = (struct scenario_variant){.depth = 1, .value = {1, 0}};
  EXPECT_TRUE("switches mean nothing at depth 1", scenario_claim_covers(&claim, &variant));
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
  EXPECT_STRING("trace", scenario->trace, "a/b.txt.zst");
  EXPECT_STRING("path", scenario->path, "");
  EXPECT_EQ("claims", scenario->claim_count, 0);
  scenario_free(scenario);
}

CU_TestInfo scenario_expand_tests[] = {
    {"expansion_has_the_first_axis_slowest", expansion_has_the_first_axis_slowest},
    {"bad_values_leave_the_scenario_alone", bad_values_leave_the_scenario_alone},
    {"change_drops_the_claims_it_makes_void", change_drops_the_claims_it_makes_void},
    {"another_hypervisor_replaces_every_level", another_hypervisor_replaces_every_level},
    {"deeper_axis_fills_the_levels", deeper_axis_fills_the_levels},
    {"claim_covers_what_it_names", claim_covers_what_it_names},
    {"schema_and_tables_have_the_same_words", schema_and_tables_have_the_same_words},
    {"distance_counts_edits", distance_counts_edits},
    {"suggestion_is_near_or_absent", suggestion_is_near_or_absent},
    {"file_suggestion_comes_from_both_folders", file_suggestion_comes_from_both_folders},
    {"trace_gives_a_scenario_of_its_name", trace_gives_a_scenario_of_its_name},
    CU_TEST_INFO_NULL,
};
