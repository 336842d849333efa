/* SPDX-License-Identifier: MIT
 * Causal trees of the HTML page: nested lists that open, and the same told step by step. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/escape.h"
#include "src/report/html.h"

static void print_run(FILE *out, const struct ledger_tree *tree, size_t index, size_t length) {
  const struct ledger_node *node = &tree->nodes[index];
  char name[REPORT_WORD];
  fprintf(out, "<li><span class=\"exit\">L%u ", node->level);
  escape_xml(out, name_exit(node->reason, node->detail, name, sizeof name));
  fputs("</span>", out);
  if (length > 1) fprintf(out, " x%zu", length);
  for (size_t i = index; i < index + length; i++) {
    if (!name_detail(tree->nodes[i].reason, tree->nodes[i].detail, name, sizeof name)[0]) break;
    fputs(i > index ? ", " : " ", out);
    escape_xml(out, name);
  }
  if (node->handler)
    fprintf(out, " &#8211; handled by L%u", node->handler);
  else if (node->entered && node->entered != node->level)
    fprintf(out, " &#8211; L%u runs", node->entered);
}

/* Nested lists from the depths of nodes in their order. */
static void print_tree(FILE *out, const struct ledger_tree *tree) {
  unsigned open = 0; /* lists */
  for (size_t i = 0; i < tree->count;) {
    unsigned depth = tree_depth(tree, i) + 1;
    size_t length = tree_run(tree, i);
    if (depth > open) {
      fputs("\n<ul>\n", out);
      open++;
    } else {
      fputs("</li>\n", out);
      for (; open > depth; open--) fputs("</ul></li>\n", out);
    }
    print_run(out, tree, i, length);
    i += length;
  }
  for (; open > 0; open--) fputs(open > 1 ? "</li>\n</ul>" : "</li>\n</ul>\n", out);
}

static void print_steps(FILE *out, const struct ledger_tree *tree) {
  char line[REPORT_TEXT];
  fputs("<details><summary>Step by step</summary>\n<ol>\n", out);
  for (size_t i = 0; i < tree->count; i++) {
    steps_action(&tree->nodes[i], line, sizeof line);
    fputs("<li>", out);
    escape_xml(out, line);
    fputs(" to L0. ", out);
    steps_answer(tree, i, line, sizeof line);
    escape_xml(out, line);
    fputs("</li>\n", out);
  }
  fputs("</ol>\n</details>\n", out);
}

static void print_details(const struct text *text, const char *label,
                          const struct replay_variant *variant, bool has_steps) {
  struct ledger_tree tree;
  FILE *out = text->out;
  char name[REPORT_WORD];
  if (!rows_tree(variant, label, &tree) || tree.count == 0) return;
  fputs("<details><summary>", out);
  escape_xml(out, label);
  fputs(", ", out);
  escape_xml(out, name_variant(&variant->variant, name, sizeof name));
  fprintf(out, ": %" PRIu64 " exit%s to L0</summary>", tree.exits, REPORT_PLURAL(tree.exits));
  print_tree(out, &tree);
  if (tree.exits > tree.count)
    fprintf(out, "<p>%" PRIu64 " more were counted, but not kept.</p>\n", tree.exits - tree.count);
  if (has_steps) print_steps(out, &tree);
  fputs("</details>\n", out);
}

/* The operation that was asked for, or the first ones, or that of "Why". */
void html_trees(const struct text *text) {
  const char *labels[LEDGER_LABELS];
  unsigned count = rows_labels(text->replay, labels);
  const char *asked = text->options->steps ? steps_label(text->replay, text->options->steps) : NULL;
  struct why_view *view = why_make(text);
  const char *chosen = asked ? asked : view ? view->label : count ? labels[0] : NULL;
  if (chosen) fputs("<h2>Causal trees</h2>\n", text->out);
  for (unsigned i = 0; i < count; i++) {
    bool is_chosen = chosen && strcmp(labels[i], chosen) == 0;
    if (!is_chosen && i >= text->options->tree) continue;
    for (unsigned k = 0; k < text->replay->variant_count; k++)
      print_details(text, labels[i], &text->replay->variant[k], is_chosen);
  }
  free(view);
}
