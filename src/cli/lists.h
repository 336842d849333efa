/* SPDX-License-Identifier: MIT
 * The lists of the architecture and of this program as tables of text, for nestor list. */
#ifndef CLI_LISTS_H
#define CLI_LISTS_H

#include <stdbool.h>
#include <stddef.h>

enum { LIST_COLUMNS = 8, LIST_TEXTS = 4, LIST_TEXT = 128 };

struct list_row {
  const char *cell[LIST_COLUMNS];   /* as many as the list has columns */
  char text[LIST_TEXTS][LIST_TEXT]; /* room for cells that are not there as text */
};

struct cli_list {
  const char *name;                      /* "fields" */
  const char *about;                     /* one line */
  const char *columns[LIST_COLUMNS + 1]; /* ends with NULL; names that a script can use */
  /* Fills in the row; false past the end. */
  bool (*row)(size_t index, struct list_row *row);
};

/* Ends with a NULL name. */
extern const struct cli_list cli_lists[];
const struct cli_list *cli_list_find(const char *name);

/* The name of a VMX control word's field, and what the word is. */
extern const char *const cli_word_names[];
/* The control that brings a feature by its number, NULL for VMCS_ALWAYS. */
const char *cli_feature_control(unsigned feature);

#endif
