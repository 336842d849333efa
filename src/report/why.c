/* SPDX-License-Identifier: MIT
 * "Why": the exits of one operation by who and what, with the variants of one depth side by side.
 * The operation is the first one that a guest hypervisor handles. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/part.h"
#include "src/scenario/names.h"

enum { LINES = WHY_LINES, VARIANTS = WHY_VARIANTS, DETAILS = 24, NAME = 48, ALL_DETAILS = 400 };

/* All exits of one level for one reason. */
struct line {
  struct ledger_node node; /* the first of them */
  uint64_t exits[VARIANTS];
  unsigned detail_count, details_left;
  char detail[DETAILS][NAME];
};
struct why {
  const struct text *text;
  const char *label;
  unsigned depth, variant_count, column; /* characters of a column */
  enum scenario_axis_name axis;          /* that heads the columns */
  const struct replay_variant *variant[VARIANTS];
  unsigned line_count;
  struct line line[LINES];
};

static struct line *find_line(struct why *why, const struct ledger_node *node) {
  for (unsigned i = 0; i < why->line_count; i++) {
    struct line *line = &why->line[i];
    if (line->node.level == node->level && line->node.reason == node->reason) return line;
  }
  if (why->line_count == LINES) return NULL;
  struct line *line = &why->line[why->line_count++];
  line->node = *node;
  return line;
}

static void add_detail(struct line *line, const struct ledger_node *node) {
  char name[NAME];
  if (!name_detail(node->reason, node->detail, name, sizeof name)[0]) return;
  for (unsigned i = 0; i < line->detail_count; i++) {
    if (strcmp(line->detail[i], name) == 0) return;
  }
  if (line->detail_count < DETAILS)
    memcpy(line->detail[line->detail_count++], name, sizeof name);
  else
    line->details_left++;
}

static void add_tree(struct why *why, unsigned column) {
  struct ledger_tree tree;
  if (!rows_tree(why->variant[column], why->label, &tree)) return;
  for (size_t i = 0; i < tree.count; i++) {
    struct line *line = find_line(why, &tree.nodes[i]);
    if (!line) continue;
    line->exits[column]++;
    add_detail(line, &tree.nodes[i]);
  }
}

/* The variant with the most exits sets the order: its round holds those of the others. */
static void add_trees(struct why *why) {
  unsigned longest = 0;
  uint64_t most = 0;
  for (unsigned i = 0; i < why->variant_count; i++) {
    struct ledger_tree tree;
    if (!rows_tree(why->variant[i], why->label, &tree) || tree.exits <= most) continue;
    most = tree.exits;
    longest = i;
  }
  add_tree(why, longest);
  for (unsigned i = 0; i < why->variant_count; i++) {
    if (i != longest) add_tree(why, i);
  }
}

/* What becomes of an exit, in words. */
static void explain(const struct why *why, const struct ledger_node *node, char *text,
                    size_t size) {
  bool is_entry =
      (node->reason & 0xffff) == NST_EXIT_VMRESUME || (node->reason & 0xffff) == NST_EXIT_VMLAUNCH;
  text[0] = '\0';
  if (node->level == why->depth && node->handler)
    snprintf(text, size, "exits; L0 reflects it to L1 through VMCS1%u", node->level);
  else if (node->level == why->depth)
    snprintf(text, size, "exits; L0 handles it");
  else if (node->handler)
    snprintf(text, size, "exits; L0 reflects it to L1 through VMCS1%u", node->level);
  else if (is_entry && node->entered > node->level)
    snprintf(text, size, "exits; L0 merges VMCS01 and VMCS1%u into VMCS0%u, enters L%u",
             node->entered, node->entered, node->entered);
}

static void print_details(const struct line *line, unsigned room, char *text, size_t size) {
  unsigned shown = 0;
  text[0] = '\0';
  while (shown < line->detail_count) {
    size_t used = strlen(text), next = strlen(line->detail[shown]) + 2;
    bool is_last = shown + 1 == line->detail_count && !line->details_left;
    if (shown && used + next + (is_last ? 0 : 5) > room) break;
    text_append(text, size, "%s%s", shown ? ", " : "", line->detail[shown]);
    shown++;
  }
  unsigned left = line->detail_count - shown + line->details_left;
  if (left) text_append(text, size, ", +%u", left);
}

/* What exits, and about what in at most `room` characters or what becomes of it. */
static void describe(const struct why *why, const struct line *line, unsigned room,
                     struct why_row *row) {
  char name[NAME];
  uint64_t most = 0;
  for (unsigned i = 0; i < why->variant_count; i++) {
    row->exits[i] = line->exits[i];
    if (line->exits[i] > most) most = line->exits[i];
  }
  row->level = line->node.level;
  name_exit(line->node.reason, line->node.detail, name, sizeof name);
  snprintf(row->what, sizeof row->what, most > 1 ? "%.20s x%" PRIu64 : "%.20s", name, most);
  print_details(line, room, row->about, sizeof row->about);
  if (!row->about[0]) explain(why, &line->node, row->about, sizeof row->about);
}

static void print_line(const struct why *why, const struct line *line) {
  struct why_row row;
  unsigned room = why->text->columns - 19 - why->column * why->variant_count;
  describe(why, line, room, &row);
  unsigned what = (unsigned)strlen(row.what), over = what > 12 ? what - 12 : 0;
  int used = fprintf(why->text->out, "  L%u  %-12s %-*s", row.level, row.what, (int)(room - over),
                     row.about);
  unsigned start = why->text->columns - why->column * why->variant_count;
  if (used > (int)start) fprintf(why->text->out, "\n%*s", (int)start, "");
  for (unsigned i = 0; i < why->variant_count; i++)
    fprintf(why->text->out, "%*" PRIu64, (int)why->column, line->exits[i]);
  fprintf(why->text->out, "\n");
}

/* "Why: one CPUID at depth 2, EPT on EPT", and what else all columns have. */
static void name_head(const struct why *why, char *text, size_t size) {
  const struct scenario_variant *variant = &why->variant[0]->variant;
  snprintf(text, size, "Why: one %s at depth %u", why->label, why->depth);
  if (why->axis != SCENARIO_AXIS_SCHEME)
    text_append(text, size, ", %s", name_value(variant, SCENARIO_AXIS_SCHEME));
  for (unsigned i = 0; i < SCENARIO_AXIS_COUNT; i++) {
    enum scenario_axis_name axis = (enum scenario_axis_name)i;
    bool is_said = axis == SCENARIO_AXIS_DEPTH || axis == SCENARIO_AXIS_SCHEME || axis == why->axis;
    if (!is_said && name_is_shown(variant, axis))
      text_append(text, size, ", %s", name_value(variant, axis));
  }
}

static void print_heading(const struct why *why) {
  FILE *out = why->text->out;
  char head[REPORT_TEXT];
  const char *title = scenario_axis_info(why->axis)->title;
  const char *word = strrchr(title, ' ') ? strrchr(title, ' ') + 1 : title;
  int width = (int)(why->text->columns - why->column * why->variant_count);
  name_head(why, head, sizeof head);
  int room = width - 4 > (int)strlen(head) ? width - 4 : (int)strlen(head) + 1;
  int used = fprintf(out, "\n%-*s%s", room, head, why->axis == SCENARIO_AXIS_DEPTH ? "" : word) - 1;
  for (unsigned i = 0; i < why->variant_count; i++) {
    const struct scenario_variant *variant = &why->variant[i]->variant;
    int end = width + (int)(why->column * (i + 1));
    const char *text = why->axis == SCENARIO_AXIS_DEPTH ? "exits" : name_value(variant, why->axis);
    used += fprintf(out, "%*s", end - used > (int)strlen(text) ? end - used : (int)strlen(text) + 1,
                    text);
  }
  fprintf(out, "\n");
}

static void print_why(const struct why *why) {
  FILE *out = why->text->out;
  int width = (int)(why->text->columns - why->column * why->variant_count);
  print_heading(why);
  for (unsigned i = 0; i < why->line_count; i++) print_line(why, &why->line[i]);
  fprintf(out, "%*s", width, "");
  for (unsigned i = 0; i < why->variant_count; i++) {
    struct ledger_tree tree = {0};
    rows_tree(why->variant[i], why->label, &tree);
    fprintf(out, "%*" PRIu64, (int)why->column, tree.exits);
  }
  fprintf(out, "\n");
}

/* The operation to explain: one that is handled by a guest hypervisor. */
static bool choose(struct why *why) {
  const char *labels[LEDGER_LABELS];
  unsigned count = rows_labels(why->text->replay, labels);
  why->label = NULL;
  for (unsigned i = 0; i < count; i++) {
    struct ledger_tree tree;
    if (!rows_tree(why->variant[0], labels[i], &tree) || !tree.count) continue;
    if (!tree.nodes[0].handler || tree.nodes[0].level != why->depth) continue;
    if (!why->label || strcmp(labels[i], "CPUID") == 0) why->label = labels[i];
  }
  return why->label != NULL;
}

/* Columns: the variants of the smallest nested depth that differ from its first in the last axis
 * that is compared. */
static void add_column(struct why *why, const struct replay_variant *variant) {
  const struct scenario_variant *point = &variant->variant;
  if (why->variant_count == VARIANTS) return;
  for (unsigned i = 0; why->variant_count && i < SCENARIO_AXIS_COUNT; i++) {
    bool is_same = point->value[i] == why->variant[0]->variant.value[i];
    if (!is_same && i != why->axis) return;
  }
  for (unsigned i = 1; i < SCENARIO_AXIS_COUNT && !why->variant_count; i++) {
    if (name_is_shown(point, (enum scenario_axis_name)i)) why->axis = (enum scenario_axis_name)i;
  }
  unsigned length = (unsigned)strlen(name_value(point, why->axis)) + 2;
  if (length > why->column) why->column = length;
  why->variant[why->variant_count++] = variant;
}

/* False if there is nothing to explain. */
static bool prepare(struct why *why, const struct text *text) {
  enum { COLUMN = 8 };
  *why = (struct why){.text = text, .depth = rows_nested_depth(text->replay), .column = COLUMN};
  for (unsigned i = 0; i < text->replay->variant_count; i++) {
    const struct replay_variant *variant = &text->replay->variant[i];
    if (variant->ledger && variant->variant.depth == why->depth) add_column(why, variant);
  }
  if (why->depth == 1 || why->variant_count == 0 || !choose(why)) return false;
  add_trees(why);
  return true;
}

void why_print(const struct text *text) {
  struct why why;
  if (prepare(&why, text)) print_why(&why);
}

struct why_view *why_make(const struct text *text) {
  struct why why;
  if (!prepare(&why, text)) return NULL;
  struct why_view *view = calloc(1, sizeof *view);
  if (!view) return NULL;
  view->label = why.label;
  view->depth = why.depth;
  view->axis = why.axis;
  view->variant_count = why.variant_count;
  view->row_count = why.line_count;
  memcpy(view->variant, why.variant, sizeof view->variant);
  for (unsigned i = 0; i < why.line_count; i++)
    describe(&why, &why.line[i], ALL_DETAILS, &view->row[i]);
  return view;
}
