/* SPDX-License-Identifier: MIT
 * The parts of a report, and what they share; for src/report only. */
#ifndef REPORT_PART_H
#define REPORT_PART_H

#include <stdarg.h>

#include "src/report/report.h"

enum {
  REPORT_COLUMNS = 100, /* default width */
  REPORT_WORD = 64,     /* bytes of a name with its end */
  REPORT_TEXT = 512     /* bytes of a sentence with its end */
};

/* ---- name.c: words for things */

/* Adds to the text in a buffer of `size` bytes; what does not fit is cut. */
void text_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "CPUID", "RDMSR", "MOV to CR3", "exception #PF" ...; writes into `text`, returns it. */
const char *name_exit(uint32_t reason, uint64_t detail, char *text, size_t size);
/* What the exit was about: "IA32_DEBUGCTL", "GUEST_RIP", "port 0x21"; "" if nothing. */
const char *name_detail(uint32_t reason, uint64_t detail, char *text, size_t size);
/* "EPT on EPT" */
const char *name_scheme(enum scenario_scheme scheme);
/* The part of a path behind its last slash. */
const char *name_file(const char *path);
/* The path without the folders that "/../" leaves again; links are not looked at. */
const char *name_path(const char *path, char *text, size_t size);
/* The path of its recording as name_path, or what its mix is. */
const char *name_guest(const struct scenario_guest *guest, char *text, size_t size);
/* The word of a variant's value on an axis, for people: "off", "EPT on EPT". */
const char *name_value(const struct scenario_variant *variant, enum scenario_axis_name axis);
/* The word of the file, for programs; of VMCS access what it comes to on the processor. */
const char *name_word(const struct scenario_variant *variant, enum scenario_axis_name axis);
/* True if the axis is compared and the variant does not stand for all of its values. */
bool name_is_shown(const struct scenario_variant *variant, enum scenario_axis_name axis);
enum { NAME_VARIANT = 128 }; /* bytes that name any variant */
/* "depth 2, VMCS shadowing off" */
const char *name_variant(const struct scenario_variant *variant, char *text, size_t size);
/* Cycles as people read them: "950", "9.5k", "12k", "1.2M". */
const char *name_cycles(double cycles, char *text, size_t size);

/* ---- rows.c: what was counted, by label */

/* The first variant that was begun, NULL if none. */
const struct replay_variant *rows_first(const struct replay *replay);
/* Labels of the operations that were played, in order of first occurrence; returns how many. */
unsigned rows_labels(const struct replay *replay, const char *labels[LEDGER_LABELS]);
/* The row of the first variant that has the operation; false if none has. */
bool rows_seen(const struct replay *replay, const char *label, struct ledger_row *row);
/* False: the variant was not begun or has no such operation. */
bool rows_find(const struct replay_variant *variant, const char *label, struct ledger_row *row);
bool rows_tree(const struct replay_variant *variant, const char *label, struct ledger_tree *tree);
/* The smallest depth above 1 in the replay, or 1. */
unsigned rows_nested_depth(const struct replay *replay);

/* ---- cost_rows.c: what was estimated, beside each other; the estimates are in struct ledger_row
 */

/* What one operation takes less in variant `to` than in `from`, which differs from it in one axis,
 * the depth aside, and is the dearest of those. Exact: with n exits of c cycles each,
 * n1 c1 - n2 c2 = (n1 - n2) c1 + n2 (c1 - c2). */
struct cost_saving {
  const char *label;                                   /* NULL: the whole trace */
  unsigned from, to;                                   /* variants */
  double exits_from, exits_to, cycles_from, cycles_to; /* per operation, cycles typical */
  double fewer, cheaper; /* cycles saved by fewer exits and by cheaper ones; below 0: lost */
};
/* Of the whole trace and of each label, for every such pair; the caller frees them. NULL: none or
 * no memory. */
struct cost_saving *cost_savings(const struct replay *replay, size_t *count);

/* A published figure that the replay has an estimate for. */
struct cost_prediction {
  const struct ledger_anchor *anchor;
  unsigned variant;
  double predicted; /* in the unit of the anchor */
  double deviation; /* see ledger_anchor_deviation */
};
/* In the order of anchor.def; the caller frees them. NULL: none or no memory. */
struct cost_prediction *cost_predictions(const struct replay *replay, size_t *count);
/* Nanoseconds a cycle: the figure of the row FIT over the cycles of its operation here; 0 if the
 * replay has none. */
double cost_scale(const struct replay *replay);
/* "ns", "cycles", "exits of L1" ... */
const char *cost_unit(enum ledger_anchor_unit unit);

/* ---- costs.c: the same as text and JSON, and the unit costs */
void costs_print(FILE *out, const struct replay *replay);
/* Members "savings" and "published" of an object, each with a comma behind it. */
void costs_print_json(FILE *out, const struct replay *replay);

/* ---- compare.c: recordings of real nested virtualization beside ours: those that the scenario
 * names, else those found by name beside the guest's own */

enum { COMPARE_RECORDINGS = 8 }; /* no more variants have a recording */
enum compare_result { COMPARE_NONE, COMPARE_EQUAL, COMPARE_DIFFERENT };
struct compare_cell {
  const char *label; /* of the replay */
  unsigned variant;
  unsigned ours, recorded; /* exits of the typical round */
  const char *because;     /* why the scenario expects them to differ, or NULL */
  uint64_t our_rounds, recorded_rounds;
};
struct compare {
  unsigned count, equal;
  struct compare_cell cell[LEDGER_LABELS * COMPARE_RECORDINGS];
  unsigned recording_count;
  char recording[COMPARE_RECORDINGS][SCENARIO_PATH_SIZE];
  char problem[COMPARE_RECORDINGS][REPORT_TEXT]; /* why one that is there was not used, or "" */
  unsigned variant[COMPARE_RECORDINGS];
};
/* Reads the recordings that belong to the replay. NULL: no memory. The caller frees it. */
struct compare *compare_make(const struct replay *replay);
enum compare_result compare_find(const struct compare *compare, unsigned variant,
                                 const char *label);
/* True if a recording of the variant was read. */
bool compare_has(const struct compare *compare, unsigned variant);
void compare_print(FILE *out, const struct replay *replay, const struct compare *compare);

/* ---- claims.c, claim_count.c */

struct claim_result {
  bool holds;
  bool applies; /* false: it could not be held against anything */
  char expected[REPORT_WORD], counted[REPORT_WORD]; /* "" where the claim is about no number */
  char text[REPORT_TEXT];                           /* the claim, and the numbers that decided */
};
void claims_evaluate(const struct replay *replay, const struct scenario_claim *claim,
                     struct claim_result *result);
/* Ends the claim's evaluation with a sentence. */
void claim_decide(struct claim_result *result, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The numbers of a claim about one. */
void claim_measure(struct claim_result *result, uint64_t expected, uint64_t counted);
/* The next variant from *index on that the claim speaks of and that was replayed to its end; NULL
 * if there is none. */
const struct replay_variant *claim_next(const struct replay *replay,
                                        const struct scenario_claim *claim, unsigned *index);
void claim_exits(const struct replay *replay, const struct scenario_claim *claim,
                 struct claim_result *result);
void claim_more_than(const struct replay *replay, const struct scenario_claim *claim,
                     struct claim_result *result);
void claim_accesses(const struct replay *replay, const struct scenario_claim *claim,
                    struct claim_result *result);
void claim_recorded(const struct replay *replay, const struct scenario_claim *claim,
                    struct claim_result *result);
/* Number of claims that hold. */
unsigned claims_count(const struct replay *replay);
void claims_print(FILE *out, const struct replay *replay);
/* "input", "checked", "predicted" */
const char *claims_mark(enum scenario_mark mark);
/* The claim alone, the same whatever was counted. */
void claims_sentence(const struct scenario *scenario, const struct scenario_claim *claim,
                     char *text, size_t size);

/* ---- the text report's parts */

struct text {
  FILE *out;
  const struct replay *replay;
  const struct report_options *options;
  const struct compare *compare;
  unsigned columns;
};
/* "1 exit", "2 exits" */
#define REPORT_PLURAL(count) ((count) == 1 ? "" : "s")
void table_print(const struct text *text);

/* The table as a grid, for other forms of the report: new rows appear there by themselves. */
enum { TABLE_CELL = 32 };
struct table;
/* Keeps `text`. NULL: no memory. The caller frees it. */
struct table *table_make(const struct text *text);
unsigned table_row_count(const struct table *table);
/* False: the row is not shown. `label` is valid as long as the replay. */
bool table_row(const struct table *table, unsigned row, const char **label, char seen[TABLE_CELL]);
/* The cell of a variant with its mark; writes into `cell` and returns it. */
const char *table_cell(const struct table *table, unsigned row, unsigned variant,
                       char cell[TABLE_CELL]);

void why_print(const struct text *text);
/* The same as rows: what exits at which level, about what, and how often in each variant. */
enum { WHY_LINES = 64, WHY_VARIANTS = 4 };
struct why_row {
  unsigned level;
  char what[REPORT_WORD], about[REPORT_TEXT];
  uint64_t exits[WHY_VARIANTS];
};
struct why_view {
  const char *label;
  unsigned depth, variant_count, row_count;
  enum scenario_axis_name axis; /* in which the variants differ */
  const struct replay_variant *variant[WHY_VARIANTS];
  struct why_row row[WHY_LINES];
};
/* NULL: there is nothing to explain, or no memory. The caller frees it. */
struct why_view *why_make(const struct text *text);

void trees_print(const struct text *text);
/* How many exits from this one on are leaves alike, and under how many open ones it hangs. */
size_t tree_run(const struct ledger_tree *tree, size_t index);
unsigned tree_depth(const struct ledger_tree *tree, size_t index);
void steps_print(const struct text *text);
/* The label that is meant by `wanted`, letter case aside; NULL if the trace has none such. */
const char *steps_label(const struct replay *replay, const char *wanted);
/* What an exit is, and what L0 does about it: a sentence each. */
void steps_action(const struct ledger_node *node, char *text, size_t size);
void steps_answer(const struct ledger_tree *tree, size_t index, char *text, size_t size);
void loss_print(const struct text *text);
/* True for records that became part of an operation. */
bool loss_is_used(unsigned fate);
/* Records of the trace that became nothing: caused by timers and interrupts, and others. */
void loss_count(const struct replay *replay, uint64_t *timer, uint64_t *other);

#endif
