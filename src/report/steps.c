/* SPDX-License-Identifier: MIT
 * One operation told step by step, in the order of the textbook: which VMCS each guest runs on, who
 * reads and writes which, who is entered. Told from the tree that was counted, nothing else. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "src/report/part.h"
#include "src/scenario/names.h"

enum { NAME = 64 };

static bool is_reason(const struct ledger_node *node, unsigned reason) {
  return node->reason == reason;
}
static bool is_entry(const struct ledger_node *node) {
  return is_reason(node, NST_EXIT_VMRESUME) || is_reason(node, NST_EXIT_VMLAUNCH);
}

/* The VMCS that the software of node->level works on: VMCS12. */
static void name_subject(const struct ledger_node *node, char *text, size_t size) {
  if (node->subject)
    snprintf(text, size, "VMCS%u%u", node->level, node->subject);
  else
    snprintf(text, size, "its current VMCS");
}

void steps_action(const struct ledger_node *node, char *text, size_t size) {
  char vmcs[NAME], name[NAME], detail[NAME];
  name_subject(node, vmcs, sizeof vmcs);
  name_exit(node->reason, node->detail, name, sizeof name);
  name_detail(node->reason, node->detail, detail, sizeof detail);
  snprintf(text, size, "L%u, on VMCS0%u, ", node->level, node->level);
  if (is_reason(node, NST_EXIT_VMREAD))
    text_append(text, size, "reads %s of %s: VMREAD exits", detail, vmcs);
  else if (is_reason(node, NST_EXIT_VMWRITE))
    text_append(text, size, "writes %s of %s: VMWRITE exits", detail, vmcs);
  else if (is_reason(node, NST_EXIT_VMPTRLD) && node->subject)
    text_append(text, size, "makes %s its current VMCS: VMPTRLD exits", vmcs);
  else if (is_reason(node, NST_EXIT_VMPTRLD))
    text_append(text, size, "loads a VMCS that it never enters: VMPTRLD exits");
  else if (is_entry(node))
    text_append(text, size, "enters the guest of %s: %s exits", vmcs, name);
  else if (node->reason >> 31)
    text_append(text, size, "cannot be entered (%s): it exits", name);
  else
    text_append(text, size, "executes %s%s%s: it exits", name, detail[0] ? " of " : "", detail);
}

/* The deepest guest's exit that software at `level` has to handle now, 0 if none. */
static unsigned handled_level(const struct ledger_tree *tree, size_t index, unsigned level) {
  for (int at = (int)index; at >= 0; at = tree->nodes[at].parent) {
    if (tree->nodes[at].level > level) return tree->nodes[at].level;
  }
  return 0;
}

void steps_answer(const struct ledger_tree *tree, size_t index, char *text, size_t size) {
  const struct ledger_node *node = &tree->nodes[index];
  unsigned entered = node->entered;
  text[0] = '\0';
  if (!entered) {
    snprintf(text, size, "L0 enters no guest before the operation ends.");
  } else if (entered < node->level) {
    snprintf(text, size,
             "L0 reflects it: it copies the exit from VMCS0%u into VMCS%u%u and enters ",
             node->level, entered, node->level);
    text_append(text, size, "L%u on VMCS0%u.", entered, entered);
  } else if (entered > node->level && is_entry(node)) {
    snprintf(text, size, "L0 merges VMCS01 and VMCS1%u into VMCS0%u and enters L%u on it", entered,
             entered, entered);
    unsigned open = handled_level(tree, index, entered);
    if (open) text_append(text, size, ": L%u gets the exit of L%u", entered, open);
    text_append(text, size, ".");
  } else if (entered > node->level) {
    snprintf(text, size, "L0 enters L%u on VMCS0%u.", entered, entered);
  } else {
    bool is_access = is_reason(node, NST_EXIT_VMREAD) || is_reason(node, NST_EXIT_VMWRITE);
    snprintf(text, size, "L0 %s and enters L%u on VMCS0%u again.",
             is_access ? "does it in its copy" : "handles it", entered, entered);
  }
}

/* "L0 runs L1 on VMCS01 and L2 on VMCS02 ..." */
static void tell_stage(FILE *out, const struct replay_variant *variant) {
  unsigned depth = variant->variant.depth;
  fprintf(out, "  On the processor: ");
  for (unsigned level = 1; level <= depth; level++)
    fprintf(out, "%sVMCS0%u runs L%u", level > 1 ? ", " : "", level, level);
  fprintf(out, ".\n");
  for (unsigned level = 1; level < depth; level++) {
    fprintf(out, "  In the memory of L%u: VMCS%u%u for its guest L%u", level, level, level + 1,
            level + 1);
    for (unsigned deeper = level + 2; deeper <= depth; deeper++)
      fprintf(out, ", VMCS%u%u merged for L%u", level, deeper, deeper);
    fprintf(out, ".\n");
  }
  if (depth > 1 && variant->variant.stack.vmcs_access == SCENARIO_VMCS_SHADOW)
    fprintf(out, "  VMREADs and VMWRITEs of L1 that a shadow VMCS serves do not exit.\n");
}

static void tell_tree(const struct text *text, const char *label,
                      const struct replay_variant *variant) {
  FILE *out = text->out;
  struct ledger_tree tree;
  char name[NAME_VARIANT], line[REPORT_TEXT];
  if (!rows_tree(variant, label, &tree)) return;
  fprintf(out, "\nOne %s at %s, step by step: %" PRIu64 " exit%s to L0\n", label,
          name_variant(&variant->variant, name, sizeof name), tree.exits,
          REPORT_PLURAL(tree.exits));
  tell_stage(out, variant);
  for (size_t i = 0; i < tree.count; i++) {
    steps_action(&tree.nodes[i], line, sizeof line);
    fprintf(out, "  %3zu. %s to L0.\n", i + 1, line);
    steps_answer(&tree, i, line, sizeof line);
    fprintf(out, "       %s\n", line);
  }
  if (tree.exits > tree.count)
    fprintf(out, "  %" PRIu64 " more were counted, but not kept.\n", tree.exits - tree.count);
}

const char *steps_label(const struct replay *replay, const char *wanted) {
  const char *labels[LEDGER_LABELS];
  unsigned count = rows_labels(replay, labels);
  for (unsigned i = 0; i < count; i++) {
    if (strcasecmp(labels[i], wanted) == 0) return labels[i];
  }
  return NULL;
}

bool report_has_operation(const struct replay *replay, const char *wanted, char *sentence,
                          size_t size) {
  const char *labels[LEDGER_LABELS + 1];
  char text[REPORT_TEXT];
  unsigned count = rows_labels(replay, labels);
  if (count == 0 || steps_label(replay, wanted)) return true;
  labels[count] = NULL;
  const char *near = suggest_word(wanted, labels);
  if (near)
    snprintf(sentence, size, "the trace has no operation '%s'; did you mean '%s'?", wanted, near);
  else
    snprintf(sentence, size, "the trace has no operation '%s'; there are %s", wanted,
             join_words(labels, " and ", text, sizeof text));
  return false;
}

void steps_print(const struct text *text) {
  unsigned depth = rows_nested_depth(text->replay);
  const char *label = steps_label(text->replay, text->options->steps);
  if (!label) {
    fprintf(text->out, "\nNo operation %s in this trace\n", text->options->steps);
    return;
  }
  for (unsigned k = 0; k < text->replay->variant_count; k++) {
    if (text->replay->variant[k].variant.depth == depth)
      tell_tree(text, label, &text->replay->variant[k]);
  }
}
