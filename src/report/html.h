/* SPDX-License-Identifier: MIT
 * The parts of the HTML page; for src/report only. */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "src/report/part.h"

/* The text between, escaped. */
void html_element(FILE *out, const char *element, const char *attributes, const char *text);
/* A row of a table, its first cell the heading of the row; ends with NULL. */
void html_row(FILE *out, const char *heading, ...) __attribute__((sentinel));

/* html_chart.c: exits of each operation side by side, a chart for each depth; exits by level. */
void html_charts(const struct text *text);
void html_levels(const struct text *text);
/* html_table.c */
void html_table(const struct text *text);
void html_why(const struct text *text);
void html_claims(const struct text *text);
void html_compare(const struct text *text);
void html_loss(const struct text *text);
void html_costs(const struct text *text);
/* html_tree.c */
void html_trees(const struct text *text);

#endif
