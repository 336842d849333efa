/* SPDX-License-Identifier: MIT
 * The page and the test results as other programs read them: well-formed whatever the names hold,
 * with nothing that is fetched or run. */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/escape.h"
#include "src/report/part.h"
#include "test/expect.h"
#include "test/test_report_replay.h"

typedef int (*report_function)(FILE *out, const struct replay *replay,
                               const struct report_options *options);

static const char hostile[] = "<script>alert('x')</script>&amp;\"'\x1b[31m\x07\xc2\x9b]]>--\xff#\\";

static char *print_report(report_function report, const struct replay *replay, int *status) {
  struct report_options options = {.tree = 9, .steps = "CPUID"};
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  *status = report(out, replay, &options);
  fclose(out);
  return text;
}

static void spoil(struct replay *replay) {
  struct scenario *scenario = (struct scenario *)(uintptr_t)replay->scenario;
  snprintf(scenario->path, sizeof scenario->path, "%s", hostile);
  snprintf(scenario->name, sizeof scenario->name, "%.60s", hostile);
  snprintf(scenario->question, sizeof scenario->question, "%s", hostile);
  snprintf(scenario->guest[0].trace, sizeof scenario->guest[0].trace, "%s", hostile);
  snprintf(scenario->claim[1].source, sizeof scenario->claim[1].source, "%.60s", hostile);
  snprintf(scenario->claim[0].operation, sizeof scenario->claim[0].operation, "%.60s", hostile);
  snprintf(replay->loss.names[1].name, sizeof replay->loss.names[1].name, "%.30s", hostile);
  snprintf(replay->source.kernel, sizeof replay->source.kernel, "%s", hostile);
  snprintf(replay->loss.problem, sizeof replay->loss.problem, "%s", hostile);
  replay->loss.is_salvaged = true;
  struct ledger *ledger = replay->variant[0].ledger;
  SCRIPT_OPERATION(ledger, hostile, replay_flat);
}

static xmlDoc *parse(const char *what, const char *text) {
  xmlDoc *document = xmlReadMemory(text, (int)strlen(text), "report", NULL,
                                   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
  EXPECT_TRUE(what, document != NULL);
  return document;
}

static unsigned count_elements(const xmlNode *node, const char *name) {
  unsigned count = 0;
  for (; node; node = node->next) {
    if (node->type != XML_ELEMENT_NODE) continue;
    count += strcmp((const char *)node->name, name) == 0;
    count += count_elements(node->children, name);
  }
  return count;
}

static bool has_attribute(const xmlNode *node, const char *element, const char *attribute) {
  for (; node; node = node->next) {
    if (node->type != XML_ELEMENT_NODE) continue;
    bool is_wanted = strcmp((const char *)node->name, element) == 0;
    if (is_wanted && !xmlHasProp(node, (const xmlChar *)attribute)) return false;
    if (!has_attribute(node->children, element, attribute)) return false;
  }
  return true;
}

/* ---- The page ------------------------------------------------------------------------------- */

static void page_is_well_formed_and_by_itself(void) {
  for (unsigned pass = 0; pass < 3; pass++) {
    struct replay *replay = make_replay();
    int status;
    if (pass > 0) spoil(replay);
    replay->partial = pass == 2;
    char *text = print_report(report_html, replay, &status);
    xmlDoc *document = parse("page", text);
    const xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    EXPECT_EQ("scripts", count_elements(root, "script"), 0);
    EXPECT_EQ("links", count_elements(root, "link") + count_elements(root, "img"), 0);
    EXPECT_TRUE("nothing to fetch", !strstr(text, "http") && !strstr(text, "url(") &&
                                        !strstr(text, "src=") && !strstr(text, "href="));
    EXPECT_TRUE("headings of columns and rows", has_attribute(root, "th", "scope"));
    EXPECT_TRUE("tables have captions",
                count_elements(root, "table") == count_elements(root, "caption"));
    EXPECT_TRUE("charts are described", count_elements(root, "desc") >= 2);
    EXPECT_TRUE("trees", count_elements(root, "details") >= 3);
    EXPECT_TRUE("partial", (strstr(text, "Partial:") != NULL) == (pass == 2));
    xmlFreeDoc(document);
    free(text);
    free_replay(replay);
  }
}

static void page_of_nothing_is_well_formed(void) {
  struct replay *replay = make_replay();
  int status;
  for (unsigned i = 0; i < replay->variant_count; i++) {
    ledger_free(replay->variant[i].ledger);
    replay->variant[i].ledger = NULL;
    replay->variant[i].complete = false;
  }
  replay->partial = true;
  char *text = print_report(report_html, replay, &status);
  xmlFreeDoc(parse("page", text));
  EXPECT_CONTAINS("skipped claims", text, "skipped");
  free(text);
  free_replay(replay);
}

static void page_has_every_row_and_claim(void) {
  struct replay *replay = make_replay();
  int status;
  char *text = print_report(report_html, replay, &status);
  EXPECT_CONTAINS("question", text, "what does a caf\xc3\xa9 cost");
  EXPECT_CONTAINS("label", text, "odd &#34;label&#34;, with comma");
  EXPECT_CONTAINS("holding claim", text, "3 exits claimed from A0, 3 counted");
  EXPECT_CONTAINS("failing claim", text, "7 exits claimed from A0, 6 counted");
  EXPECT_CONTAINS("bar", text, "CPUID, depth 2, VMCS shadowing off: 6</title>");
  EXPECT_CONTAINS("loss", text, "kvm_fpu");
  EXPECT_CONTAINS("unit cost", text, "VMREAD that does not exit");
  EXPECT_CONTAINS("step", text, "reads VM_EXIT_REASON of VMCS12");
  free(text);
  free_replay(replay);
}

/* ---- Test results --------------------------------------------------------------------------- */

static void junit_counts_holding_failing_and_skipped_claims(void) {
  struct replay *replay = make_replay();
  struct scenario *scenario = (struct scenario *)(uintptr_t)replay->scenario;
  int status;
  scenario->claim[2] = make_claim("CPUID", 3, 0, 9);
  scenario->dropped_count = 1;
  char *text = print_report(report_junit, replay, &status);
  xmlDoc *document = parse("JUnit", text);
  const xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
  EXPECT_EQ("cases", count_elements(root, "testcase"), 3);
  EXPECT_EQ("failures", count_elements(root, "failure"), 1);
  EXPECT_EQ("skipped", count_elements(root, "skipped"), 1);
  EXPECT_CONTAINS("totals", text, "tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\"");
  EXPECT_CONTAINS("numbers", text, "message=\"expected 7, counted 6\"");
  EXPECT_CONTAINS("why skipped", text, "left out: the command line changed");
  EXPECT_EQ("status", status, 1);
  xmlFreeDoc(document);
  free(text);
  text = print_report(report_tap, replay, &status);
  EXPECT_CONTAINS("plan", text, "TAP version 13\n1..3\nok 1 - CPUID, depth 2");
  EXPECT_CONTAINS("failure", text, "\nnot ok 2 - ");
  EXPECT_CONTAINS("numbers", text, "  expected: \"7\"\n  counted: \"6\"\n");
  EXPECT_CONTAINS("skipped", text,
                  "\nok 3 - CPUID, depth 3, vmcs-shadowing off: 9 exits to L0 # S");
  free(text);
  free_replay(replay);
}

static void hostile_names_do_not_break_test_results(void) {
  struct replay *replay = make_replay();
  int status;
  spoil(replay);
  char *text = print_report(report_junit, replay, &status);
  xmlFreeDoc(parse("JUnit", text));
  free(text);
  text = print_report(report_tap, replay, &status);
  unsigned lines = 0;
  for (const char *at = text; *at; at++) {
    lines += *at == '\n';
    EXPECT_TRUE("no control character", *at == '\n' || (unsigned char)*at >= 0x20);
  }
  EXPECT_EQ("lines", lines, 12);
  EXPECT_CONTAINS("a number sign", text, "\\#");
  free(text);
  text = print_report(report_text, replay, &status);
  for (const char *at = text; *at; at++)
    EXPECT_TRUE("text report", *at == '\n' || (unsigned char)*at >= 0x20);
  EXPECT_CONTAINS("text report", text, "\\x1b[31m\\x07\\xc2\\x9b");
  free(text);
  free_replay(replay);
}

/* ---- Escaping ------------------------------------------------------------------------------- */

static void text_is_escaped_for_its_reader(void) {
  static const struct {
    void (*escape)(FILE *out, const char *text);
    const char *text, *expected;
  } cases[] = {
      {escape_xml, "a<b>&\"'", "a&#60;b&#62;&#38;&#34;&#39;"},
      {escape_xml, "\x1b\n\x7f", "&#x241b;&#x240a;&#xfffd;"},
      {escape_xml, "\xc3\xa9\xff\xc3", "\xc3\xa9&#xfffd;&#xfffd;"},
      {escape_xml, "\xef\xbf\xbf\xc2\x85", "&#xfffd;&#xfffd;"},
      {escape_json, "\"\\\n\xff\xc3\xa9", "\\\"\\\\\\u000a\\ufffd\xc3\xa9"},
      {escape_line, "a\x1b[0m\n\xc2\x9b\x80\xc3\xa9", "a\\x1b[0m\\n\\xc2\\x9b\\x80\xc3\xa9"},
      {escape_line, "\xed\xa0\x80\xf4\x90\x80\x80", "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cases[i].escape(out, cases[i].text);
    fclose(out);
    EXPECT_STRING(cases[i].text, text, cases[i].expected);
    free(text);
  }
}

/* Characters come in parts of any size. */
static void stream_escapes_across_writes(void) {
  static const char text[] = "\xc3\xa9\x1b\xe2\x82\xac\xe2\x82x\xc2\x9b\n\xf0\x9f\x98\x80\xff\xc3";
  static const char expected[] =
      "\xc3\xa9\\x1b\xe2\x82\xac\\xe2\\x82x\\xc2\\x9b\n\xf0\x9f\x98\x80\\xff\\xc3";
  for (size_t part = 1; part < sizeof text; part++) {
    char *copy = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&copy, &size), *safe = escape_stream(out);
    for (size_t at = 0; at < sizeof text - 1; at += part) {
      size_t left = sizeof text - 1 - at;
      fwrite(text + at, 1, left < part ? left : part, safe);
      fflush(safe);
    }
    fclose(safe);
    fclose(out);
    EXPECT_STRING("stream", copy, expected);
    free(copy);
  }
}

CU_TestInfo report_page_tests[] = {
    {"page_is_well_formed_and_by_itself", page_is_well_formed_and_by_itself},
    {"page_of_nothing_is_well_formed", page_of_nothing_is_well_formed},
    {"page_has_every_row_and_claim", page_has_every_row_and_claim},
    {"junit_counts_holding_failing_and_skipped_claims",
     junit_counts_holding_failing_and_skipped_claims},
    {"hostile_names_do_not_break_test_results", hostile_names_do_not_break_test_results},
    {"text_is_escaped_for_its_reader", text_is_escaped_for_its_reader},
    {"stream_escapes_across_writes", stream_escapes_across_writes},
    CU_TEST_INFO_NULL};
