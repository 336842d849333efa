/* SPDX-License-Identifier: MIT
 * Causal trees: every exit under the one that was open when it came. Exits of one reason in a row
 * that nothing hangs under share a line. */
#include <string.h>

#include "src/report/part.h"

enum { INDENT = 2 };

static bool is_leaf(const struct ledger_tree *tree, size_t index) {
  return index + 1 == tree->count || tree->nodes[index + 1].parent != (int)index;
}

/* How many nodes from this one on are leaves alike. */
size_t tree_run(const struct ledger_tree *tree, size_t index) {
  const struct ledger_node *first = &tree->nodes[index];
  size_t end = index;
  while (end < tree->count && is_leaf(tree, end) && tree->nodes[end].parent == first->parent &&
         tree->nodes[end].level == first->level && tree->nodes[end].reason == first->reason &&
         tree->nodes[end].handler == first->handler && tree->nodes[end].entered == first->entered)
    end++;
  return end == index ? 1 : end - index;
}

unsigned tree_depth(const struct ledger_tree *tree, size_t index) {
  unsigned depth = 0;
  for (int at = tree->nodes[index].parent; at >= 0; at = tree->nodes[at].parent) depth++;
  return depth;
}

/* "VMREAD x3", and what they were about, wrapped under itself. */
static void print_run(const struct text *text, const struct ledger_tree *tree, size_t index,
                      size_t length) {
  const struct ledger_node *node = &tree->nodes[index];
  char name[NAME_VARIANT];
  unsigned indent = INDENT * (tree_depth(tree, index) + 1);
  int used = fprintf(text->out, "%*sL%u %s", (int)indent, "", node->level,
                     name_exit(node->reason, node->detail, name, sizeof name));
  if (length > 1) used += fprintf(text->out, " x%zu", length);
  int start = used + 2;
  for (size_t i = index; i < index + length; i++) {
    if (!name_detail(tree->nodes[i].reason, tree->nodes[i].detail, name, sizeof name)[0]) break;
    bool wraps = i > index && (size_t)used + strlen(name) + 2 > text->columns;
    if (i > index) used += fprintf(text->out, ",");
    if (wraps) {
      fprintf(text->out, "\n");
      used = fprintf(text->out, "%*s%s", start, "", name);
    } else {
      used += fprintf(text->out, "%s%s", i > index ? " " : "  ", name);
    }
  }
  if (node->handler)
    fprintf(text->out, "  handled by L%u", node->handler);
  else if (node->entered != node->level && node->entered)
    fprintf(text->out, "  L%u runs", node->entered);
  fprintf(text->out, "\n");
}

static void print_tree(const struct text *text, const char *label,
                       const struct replay_variant *variant) {
  struct ledger_tree tree;
  char name[NAME_VARIANT];
  if (!rows_tree(variant, label, &tree)) return;
  fprintf(text->out, "\n%s at %s: %llu exit%s to L0\n", label,
          name_variant(&variant->variant, name, sizeof name), (unsigned long long)tree.exits,
          REPORT_PLURAL(tree.exits));
  for (size_t i = 0; i < tree.count;) {
    size_t length = tree_run(&tree, i);
    print_run(text, &tree, i, length);
    i += length;
  }
  if (tree.exits > tree.count)
    fprintf(text->out, "  %llu more were counted, but not kept\n",
            (unsigned long long)(tree.exits - tree.count));
}

void trees_print(const struct text *text) {
  const char *labels[LEDGER_LABELS];
  unsigned count = rows_labels(text->replay, labels);
  for (unsigned i = 0; i < count && i < text->options->tree; i++) {
    for (unsigned k = 0; k < text->replay->variant_count; k++)
      print_tree(text, labels[i], &text->replay->variant[k]);
  }
}
