/* SPDX-License-Identifier: MIT
 * Reading a scenario file into a tree. What could fetch, expand or recurse is refused while
 * parsing: a DOCTYPE, namespaces (xsi:schemaLocation makes libxml2 load files) and deep nesting. */
#include "src/scenario/document.h"

#include <errno.h>
#include <libxml/parser.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_LIMIT = 16, ATTRIBUTE_LIMIT = 64, QUOTED = 64 };

void printable(const char *text, char *out, size_t size) {
  size_t i = 0;
  for (; text[i] != '\0' && i + 1 < size; i++) {
    out[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
  }
  out[i] = '\0';
  if (text[i] != '\0' && size > 4) memcpy(out + size - 4, "...", 4);
}

__attribute__((format(printf, 4, 0))) static void write_fault(struct document *document,
                                                              unsigned line, const char *subject,
                                                              const char *format,
                                                              va_list arguments) {
  if (document->error[0] != '\0') return;
  char text[SCENARIO_ERROR_SIZE], where[16] = "";
  vsnprintf(text, sizeof text, format, arguments);
  if (line != 0) snprintf(where, sizeof where, ":%u", line);
  snprintf(document->error, document->error_size, "%s%s: %s%s", document->path, where, subject,
           text);
}

bool document_fault(struct document *document, const xmlNode *element, const char *attribute,
                    const char *format, ...) {
  char name[QUOTED], value[QUOTED], raw[SCENARIO_TEXT_SIZE], subject[4 * QUOTED];
  printable((const char *)element->name, name, sizeof name);
  if (attribute != NULL && element_has(element, attribute)) {
    char attribute_name[QUOTED];
    printable(attribute, attribute_name, sizeof attribute_name);
    printable(element_get(element, attribute, raw, sizeof raw), value, sizeof value);
    snprintf(subject, sizeof subject, "<%s %s=\"%s\">: ", name, attribute_name, value);
  } else {
    snprintf(subject, sizeof subject, "<%s>: ", name);
  }
  va_list arguments;
  va_start(arguments, format);
  write_fault(document, element_line(element), subject, format, arguments);
  va_end(arguments);
  return false;
}

bool document_fault_line(struct document *document, unsigned line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  write_fault(document, line, "", format, arguments);
  va_end(arguments);
  return false;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static bool read_bytes(struct document *document, FILE *file, char **bytes, size_t *size) {
  *bytes = malloc(SCENARIO_FILE_LIMIT + 1);
  if (*bytes == NULL) return document_fault_line(document, 0, "no memory to read it");
  *size = fread(*bytes, 1, SCENARIO_FILE_LIMIT + 1, file);
  if (ferror(file)) return document_fault_line(document, 0, "cannot be read: %s", strerror(errno));
  if (*size == 0) return document_fault_line(document, 0, "empty file; expected a scenario");
  if (*size > SCENARIO_FILE_LIMIT) {
    return document_fault_line(document, 0, "larger than 1 MiB; expected a scenario");
  }
  return true;
}

static bool read_file(struct document *document, char **bytes, size_t *size) {
  struct stat status; /* beforehand: opening a pipe waits for its writer */
  if (stat(document->path, &status) == 0 && S_ISFIFO(status.st_mode)) {
    return document_fault_line(document, 0, "is a pipe; expected a scenario (.xml)");
  }
  FILE *file = fopen(document->path, "rb");
  if (file == NULL) {
    return document_fault_line(document, 0, "cannot be opened: %s", strerror(errno));
  }
  bool good = fstat(fileno(file), &status) == 0 && !S_ISDIR(status.st_mode);
  if (good) {
    good = read_bytes(document, file, bytes, size);
  } else {
    document_fault_line(document, 0, "is a directory; expected a scenario (.xml)");
  }
  fclose(file);
  return good;
}

/* ---- Parsing -------------------------------------------------------------------------------- */

static struct document *document_of(void *context) {
  return ((xmlParserCtxt *)context)->_private;
}

static void refuse(void *context, const char *what) {
  xmlParserCtxt *parser = context;
  int line = parser->input == NULL ? 0 : parser->input->line;
  document_fault_line(document_of(context), (unsigned)line, "%s", what);
  xmlStopParser(parser);
}

static void on_doctype(void *context, const xmlChar *name, const xmlChar *external,
                       const xmlChar *system) {
  (void)name, (void)external, (void)system;
  refuse(context, "a scenario has no DOCTYPE and no entities of its own");
}

static xmlParserInput *on_entity(void *context, const xmlChar *public_id,
                                 const xmlChar *system_id) {
  (void)public_id, (void)system_id;
  refuse(context, "a scenario has no DOCTYPE and no entities of its own");
  return NULL;
}

/* NOLINTNEXTLINE(readability-function-size): libxml2's signature */
static void on_start(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespace_count, const xmlChar **namespaces, int attribute_count,
                     int defaulted_count, const xmlChar **attributes) {
  const xmlParserCtxt *parser = context;
  if (namespace_count > 0) {
    refuse(context, "a scenario has no namespaces");
  } else if (parser->nodeNr >= DEPTH_LIMIT) {
    refuse(context, "elements are nested too deep; expected a scenario");
  } else if (attribute_count > ATTRIBUTE_LIMIT) {
    refuse(context, "an element has too many attributes; expected a scenario");
  } else {
    xmlSAX2StartElementNs(context, name, prefix, uri, namespace_count, namespaces, attribute_count,
                          defaulted_count, attributes);
  }
}

/* The first line of libxml2's message, without the punctuation at its end. */
static void plain_message(const xmlError *error, char *text, size_t size) {
  char line[256];
  const char *message = error->message == NULL ? "?" : error->message;
  snprintf(line, sizeof line, "%.*s", (int)strcspn(message, "\r\n"), message);
  printable(line, text, size);
  size_t length = strlen(text);
  while (length > 0 && strchr("!. ", text[length - 1]) != NULL) text[--length] = '\0';
}

static void on_error(void *context, xmlErrorPtr error) {
  struct document *document = document_of(context);
  unsigned line = error->line > 0 ? (unsigned)error->line : 0;
  char text[256], first[QUOTED], second[QUOTED];
  plain_message(error, text, sizeof text);
  printable(error->str1 == NULL ? "?" : error->str1, first, sizeof first);
  printable(error->str2 == NULL ? "?" : error->str2, second, sizeof second);
  if (error->code == XML_ERR_TAG_NOT_FINISHED) {
    document_fault_line(document, line, "the file ends before </%s>, which line %d opens", first,
                        error->int1);
  } else if (error->code == XML_ERR_TAG_NAME_MISMATCH) {
    document_fault_line(document, line, "</%s>: expected </%s>, which line %d opens", second, first,
                        error->int1);
  } else if (error->code == XML_ERR_DOCUMENT_EMPTY) {
    document_fault_line(document, line, "not XML; expected <scenario name=\"...\">");
  } else {
    document_fault_line(document, line, "not well-formed XML: %s", text);
  }
}

static xmlParserCtxt *create_parser(struct document *document) {
  xmlParserCtxt *parser = xmlNewParserCtxt();
  if (parser == NULL) return NULL;
  parser->_private = document;
  parser->sax->internalSubset = on_doctype;
  parser->sax->externalSubset = on_doctype;
  parser->sax->resolveEntity = on_entity;
  parser->sax->startElementNs = on_start;
  parser->sax->serror = on_error;
  return parser;
}

bool document_read(struct document *document) {
  char *bytes = NULL;
  size_t size = 0;
  document->tree = NULL;
  if (!read_file(document, &bytes, &size)) {
    free(bytes);
    return false;
  }
  xmlParserCtxt *parser = create_parser(document);
  if (parser == NULL) {
    free(bytes);
    return document_fault_line(document, 0, "no memory to read it");
  }
  document->tree = xmlCtxtReadMemory(parser, bytes, (int)size, NULL, NULL,
                                     XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_BIG_LINES);
  if (document->tree == NULL) document_fault_line(document, 0, "not XML; expected a scenario");
  xmlFreeParserCtxt(parser);
  free(bytes);
  return document->error[0] == '\0';
}

void document_free(struct document *document) {
  xmlFreeDoc(document->tree);
  document->tree = NULL;
}

/* ---- Looking at the tree -------------------------------------------------------------------- */

unsigned element_line(const xmlNode *element) {
  long line = xmlGetLineNo(element);
  return line > 0 ? (unsigned)line : 0;
}

static const xmlNode *named_from(const xmlNode *node, const char *name) {
  for (; node != NULL; node = node->next) {
    bool matches = node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
    if (matches) return node;
  }
  return NULL;
}

const xmlNode *element_child(const xmlNode *parent, const char *name) {
  return parent == NULL ? NULL : named_from(parent->children, name);
}

const xmlNode *element_next(const xmlNode *element, const char *name) {
  return named_from(element->next, name);
}

bool element_has(const xmlNode *element, const char *attribute) {
  return xmlHasProp(element, (const xmlChar *)attribute) != NULL;
}

/* White space at the ends goes, white space inside becomes one space. */
static void collapse(const char *text, char *out, size_t size) {
  size_t used = 0;
  for (; *text != '\0' && used + 1 < size; text++) {
    bool space = strchr(" \t\r\n", *text) != NULL;
    if (space && (used == 0 || out[used - 1] == ' ')) continue;
    out[used++] = (char)(space ? ' ' : *text);
  }
  if (used > 0 && out[used - 1] == ' ') used--;
  out[used] = '\0';
}

const char *element_get(const xmlNode *element, const char *attribute, char *value, size_t size) {
  value[0] = '\0';
  xmlChar *text = attribute == NULL ? xmlNodeGetContent(element)
                                    : xmlGetProp(element, (const xmlChar *)attribute);
  if (text != NULL) collapse((const char *)text, value, size);
  xmlFree(text);
  return value;
}
