/* SPDX-License-Identifier: MIT
 * The causal tree of one typical operation of each kind, for viewers of stacks: folded stacks as
 * flame graphs take them, and the trace-event JSON of Chrome and Perfetto. The unit is the exit,
 * there is no time in it. */
#include <inttypes.h>
#include <string.h>

#include "src/report/escape.h"
#include "src/report/part.h"

enum { FRAME = 2 * REPORT_WORD };

/* "L1 VMREAD GUEST_RIP" */
static const char *frame_name(const struct ledger_node *node, char *text, size_t size) {
  char name[REPORT_WORD];
  snprintf(text, size, "L%u %s", node->level,
           name_exit(node->reason, node->detail, name, sizeof name));
  if (name_detail(node->reason, node->detail, name, sizeof name)[0])
    text_append(text, size, " %s", name);
  return text;
}

typedef void (*tree_fn)(FILE *out, const struct replay *replay, unsigned variant, unsigned label,
                        const char *name, const struct ledger_tree *tree);

static void each_tree(FILE *out, const struct replay *replay, tree_fn print) {
  const char *labels[LEDGER_LABELS];
  unsigned count = rows_labels(replay, labels);
  for (unsigned i = 0; i < replay->variant_count; i++) {
    for (unsigned k = 0; k < count; k++) {
      struct ledger_tree tree;
      if (rows_tree(&replay->variant[i], labels[k], &tree))
        print(out, replay, i, k, labels[k], &tree);
    }
  }
}

static int verdict(const struct replay *replay) {
  return claims_count(replay) == replay->scenario->claim_count ? 0 : 1;
}

/* ---- Folded stacks ------------------------------------------------------------------------- */

/* A frame, in which a semicolon would end it. */
static void print_frame(FILE *out, const char *text) {
  char part[REPORT_TEXT];
  snprintf(part, sizeof part, "%s", text);
  for (char *at = part; (at = strchr(at, ';')) != NULL;) *at = ':';
  escape_line(out, part);
}

static void print_stack(FILE *out, const struct ledger_tree *tree, size_t index) {
  char name[FRAME];
  unsigned depth = tree_depth(tree, index);
  for (unsigned above = depth + 1; above-- > 0;) {
    int at = (int)index;
    for (unsigned i = 0; i < above; i++) at = tree->nodes[at].parent;
    fputc(';', out);
    print_frame(out, frame_name(&tree->nodes[at], name, sizeof name));
  }
}

static void print_folded(FILE *out, const struct replay *replay, unsigned variant, unsigned label,
                         const char *name, const struct ledger_tree *tree) {
  char word[REPORT_WORD];
  (void)label;
  for (size_t i = 0; i < tree->count; i++) {
    print_frame(out, name_variant(&replay->variant[variant].variant, word, sizeof word));
    fputc(';', out);
    print_frame(out, name);
    print_stack(out, tree, i);
    fputs(" 1\n", out);
  }
}

int report_folded(FILE *out, const struct replay *replay, const struct report_options *options) {
  (void)options;
  each_tree(out, replay, print_folded);
  return verdict(replay);
}

/* ---- Trace events -------------------------------------------------------------------------- */

static void print_string(FILE *out, const char *name, const char *text) {
  fprintf(out, "\"%s\":\"", name);
  escape_json(out, text);
  fputc('"', out);
}

/* Exits of a node and of all that hang under it. */
static size_t subtree(const struct ledger_tree *tree, size_t index) {
  size_t end = index + 1;
  unsigned depth = tree_depth(tree, index);
  while (end < tree->count && tree_depth(tree, end) > depth) end++;
  return end - index;
}

static void print_name(FILE *out, const char *kind, unsigned process, unsigned thread,
                       const char *text) {
  fprintf(out, ",\n{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%u,\"tid\":%u,\"args\":{", kind, process,
          thread);
  print_string(out, "name", text);
  fputs("}}", out);
}

static void print_events(FILE *out, const struct replay *replay, unsigned variant, unsigned label,
                         const char *name, const struct ledger_tree *tree) {
  char word[FRAME];
  unsigned process = variant + 1, thread = label + 1;
  if (label == 0)
    print_name(out, "process_name", process, 0,
               name_variant(&replay->variant[variant].variant, word, sizeof word));
  print_name(out, "thread_name", process, thread, name);
  for (size_t i = 0; i < tree->count; i++) {
    fputs(",\n{\"ph\":\"X\",", out);
    print_string(out, "name", frame_name(&tree->nodes[i], word, sizeof word));
    fprintf(out, ",\"pid\":%u,\"tid\":%u,\"ts\":%zu,\"dur\":%zu,\"args\":{\"exits\":%zu}}", process,
            thread, i, subtree(tree, i), subtree(tree, i));
  }
}

int report_perfetto(FILE *out, const struct replay *replay, const struct report_options *options) {
  (void)options;
  fputs(
      "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"unit\":\"one microsecond is one exit to L0\",",
      out);
  print_string(out, "question", replay->scenario->question);
  fprintf(out, ",\"partial\":%s},\n\"traceEvents\":[\n", replay->partial ? "true" : "false");
  fputs("{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":1,\"args\":{\"sort_index\":1}}",
        out);
  each_tree(out, replay, print_events);
  fputs("\n]}\n", out);
  return verdict(replay);
}
