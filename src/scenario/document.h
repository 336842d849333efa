/* SPDX-License-Identifier: MIT
 * A scenario file as an XML tree, and the one sentence that says what is wrong with it. Inside
 * src/scenario only: nothing else sees libxml2. */
#ifndef SCENARIO_DOCUMENT_H
#define SCENARIO_DOCUMENT_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "src/scenario/scenario.h"

/* The first fault wins: later ones are mostly its consequences. */
struct document {
  const char *path;
  xmlDoc *tree;
  char *error; /* caller's; "" as long as there is no fault */
  size_t error_size;
};

/* Reads and parses the file: at most SCENARIO_FILE_LIMIT bytes, no document type, no entities but
 * XML's own five, no namespaces, nothing fetched from anywhere. False with a sentence otherwise. */
bool document_read(struct document *document);
void document_free(struct document *document);

/* Checks the tree against nestor.xsd; false with a sentence. */
bool document_check_schema(struct document *document);

/* Writes "path:line: <element attribute="value">: text"; `attribute` may be NULL. Returns false, so
 * that a check can end with it. */
bool document_fault(struct document *document, const xmlNode *element, const char *attribute,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same for a line without an element; line 0 leaves it out. */
bool document_fault_line(struct document *document, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

unsigned element_line(const xmlNode *element);
/* First or next child element of that name, NULL at the end. */
const xmlNode *element_child(const xmlNode *parent, const char *name);
const xmlNode *element_next(const xmlNode *element, const char *name);
bool element_has(const xmlNode *element, const char *attribute);
/* The attribute (NULL: the text inside) with white space collapsed, cut to size; "" without it. */
const char *element_get(const xmlNode *element, const char *attribute, char *value, size_t size);

/* Copies printable ASCII, anything else as '?', cut to size with "..." at the end. */
void printable(const char *text, char *out, size_t size);

/* Fills in the scenario from a tree that the schema accepts. */
void scenario_build(struct scenario *scenario, const struct document *document);
/* The rules that a schema cannot state; false with a sentence. */
bool scenario_validate(const struct scenario *scenario, struct document *document);

/* mix.c: a guest's <mix>, and whether trace_open_mix would take it. */
void scenario_build_mix(struct scenario_guest *guest, const xmlNode *mix);
bool scenario_validate_mix(const struct scenario_guest *guest, const xmlNode *mix,
                           struct document *document);

/* claim.c, for scenario_validate: the elements that speak of a part of the comparison. */
bool scenario_validate_claim(const struct scenario *scenario, const struct scenario_claim *claim,
                             const xmlNode *element, struct document *document);
bool scenario_validate_where(const struct scenario *scenario,
                             const unsigned where[SCENARIO_AXIS_COUNT], const xmlNode *element,
                             struct document *document);

#endif
