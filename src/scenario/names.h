/* SPDX-License-Identifier: MIT
 * The words that a scenario may use, each list once in C (nestor.xsd has them too; a test
 * compares), and the nearest of several words for "did you mean". */
#ifndef SCENARIO_NAMES_H
#define SCENARIO_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "src/scenario/scenario.h"

enum scenario_list {
  LIST_DEPTH, /* "1" first */
  LIST_GUEST, /* empty: the words are each scenario's own */
  LIST_PROCESSOR,
  LIST_HYPERVISOR,
  LIST_SCHEME,      /* index = enum scenario_scheme */
  LIST_VMCS_ACCESS, /* index = enum scenario_vmcs_access */
  LIST_SWITCH,      /* SCENARIO_OFF, SCENARIO_ON */
  LIST_BACKING,     /* index = enum scenario_backing */
  LIST_MARK,        /* index = enum scenario_mark */
  LIST_AXIS,        /* index = enum scenario_axis_name */
  LIST_CLAIM,       /* index = enum scenario_claim_type */
  LIST_COUNT
};
/* The words of a list, ending with NULL. Static storage. */
const char *const *scenario_words(enum scenario_list list);
/* Index of a word in the list, or -1. */
int scenario_word_index(enum scenario_list list, const char *word);

/* What does an axis describe: something of every stack, or of its guest hypervisors alone? */
enum scenario_scope { SCENARIO_SCOPE_STACK, SCENARIO_SCOPE_GUESTS };
struct scenario_axis_info {
  const char *name, *title, *option;
  const char *values; /* what it allows: "depths from 1 to 6" */
  enum scenario_list list;
  enum scenario_scope scope;
  unsigned first; /* value of the first word */
};
const struct scenario_axis_info *scenario_axis_info(enum scenario_axis_name axis);
/* Value of an axis from its word ("2", "on"); false if it has no such value. */
bool scenario_axis_value(const struct scenario *scenario, enum scenario_axis_name axis,
                         const char *word, unsigned *value);
/* The word of a value: "2", "on"; "" of the one guest without a name, "?" if there is no such
 * value. Valid as long as the scenario. */
const char *scenario_axis_word(const struct scenario *scenario, enum scenario_axis_name axis,
                               unsigned value);
/* "depths from 1 to 6", or the words of the axis: "trap, memory or shadow"; the scenario may be
 * NULL. Returns `text`. */
const char *scenario_axis_expected(const struct scenario *scenario, enum scenario_axis_name axis,
                                   char *text, size_t size);

/* What is counted for a claim of a type, and whether it is a law or a figure. */
enum scenario_subject {
  SCENARIO_SUBJECT_OPERATION,
  SCENARIO_SUBJECT_ANYTHING,
  SCENARIO_SUBJECT_ROUND,
  SCENARIO_SUBJECT_NOTHING
};
enum scenario_subject scenario_claim_subject(enum scenario_claim_type type);
bool scenario_claim_is_figure(enum scenario_claim_type type);

/* Insertions, deletions, substitutions and neighbour swaps that turn `a` into `b`, letter case
 * aside; words are compared up to 63 characters. */
unsigned suggest_distance(const char *a, const char *b);
/* The word nearest to `given` if it is near enough to be what was meant, else NULL. */
const char *suggest_word(const char *given, const char *const *words);
/* The file nearest to `given` in its own folder and in `folders` (NULL-terminated); only names that
 * end in `suffix` if that is not NULL. Writes its path; false if none is near enough. */
bool suggest_file(const char *given, const char *const *folders, const char *suffix, char *path,
                  size_t size);

/* "a, b or c" of the words, cut to size. Returns `text`. */
const char *join_words(const char *const *words, const char *last, char *text, size_t size);

#endif
