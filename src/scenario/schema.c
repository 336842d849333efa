/* SPDX-License-Identifier: MIT
 * Validation by nestor.xsd, and a sentence for what it refuses. The schema itself says what was
 * expected: the values that a type enumerates, or else the type's documentation. */

#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nestor_xsd.h"
#include "src/scenario/document.h"
#include "src/scenario/names.h"

enum { NAME_LIMIT = 16, NAME_SIZE = 64, LIST_SIZE = 400 };

struct checker {
  struct document *document;
  const xmlNode *schema; /* <xs:schema> */
};

/* Up to NAME_LIMIT words, as a NULL-terminated list. */
struct word_list {
  char text[NAME_LIMIT][NAME_SIZE];
  const char *words[NAME_LIMIT + 1];
  unsigned count;
};

static void add_word(struct word_list *list, const char *text, size_t length) {
  if (list->count == NAME_LIMIT) return;
  char *word = list->text[list->count];
  snprintf(word, NAME_SIZE, "%.*s", (int)length, text);
  list->words[list->count++] = word;
  list->words[list->count] = NULL;
}

/* ---- Looking things up in the schema -------------------------------------------------------- */

/* The child element of that kind whose attribute has that value. */
static const xmlNode *find(const xmlNode *parent, const char *kind, const char *attribute,
                           const char *value) {
  char text[NAME_SIZE];
  const xmlNode *node = element_child(parent, kind);
  while (node != NULL && strcmp(element_get(node, attribute, text, sizeof text), value) != 0) {
    node = element_next(node, kind);
  }
  return node;
}

/* The declaration <xs:element name="..."> of an element; its names are unique in the schema. */
static const xmlNode *declaration(const struct checker *checker, const char *name) {
  const xmlNode *found = find(checker->schema, "element", "name", name);
  const xmlNode *type = element_child(checker->schema, "complexType");
  for (; found == NULL && type != NULL; type = element_next(type, "complexType")) {
    found = find(element_child(type, "sequence"), "element", "name", name);
  }
  return found;
}

static const xmlNode *complex_type(const struct checker *checker, const char *element) {
  char type[NAME_SIZE];
  const xmlNode *node = declaration(checker, element);
  if (node == NULL) return NULL;
  return find(checker->schema, "complexType", "name", element_get(node, "type", type, sizeof type));
}

/* The simple type of an attribute, or of the element's text if `attribute` is NULL. */
static const xmlNode *simple_type(const struct checker *checker, const char *element,
                                  const char *attribute) {
  char type[NAME_SIZE];
  const xmlNode *node = attribute == NULL
                            ? declaration(checker, element)
                            : find(complex_type(checker, element), "attribute", "name", attribute);
  if (node == NULL) return NULL;
  return find(checker->schema, "simpleType", "name", element_get(node, "type", type, sizeof type));
}

/* "shadow-on-shadow, shadow-on-ept or ept-on-ept", or the type's documentation. */
static const char *describe(const xmlNode *type, char *text, size_t size) {
  struct word_list list = {.words = {NULL}};
  char value[LIST_SIZE];
  if (type == NULL) return "another value";
  const xmlNode *node = element_child(element_child(type, "restriction"), "enumeration");
  for (; node != NULL; node = element_next(node, "enumeration")) {
    element_get(node, "value", value, sizeof value);
    add_word(&list, value, strlen(value));
  }
  if (list.count > 0) return join_words(list.words, " or ", text, size);
  return element_get(element_child(element_child(type, "annotation"), "documentation"), NULL, text,
                     size);
}

static void attribute_names(const struct checker *checker, const char *element,
                            struct word_list *list) {
  char name[NAME_SIZE];
  list->count = 0;
  list->words[0] = NULL;
  const xmlNode *node = element_child(complex_type(checker, element), "attribute");
  for (; node != NULL; node = element_next(node, "attribute")) {
    element_get(node, "name", name, sizeof name);
    add_word(list, name, strlen(name));
  }
}

/* ---- Sentences ------------------------------------------------------------------------------ */

static void say_value(struct checker *checker, const xmlNode *element, const char *attribute) {
  char text[LIST_SIZE];
  const xmlNode *type = simple_type(checker, (const char *)element->name, attribute);
  document_fault(checker->document, element, attribute, "expected %s",
                 describe(type, text, sizeof text));
}

static void say_unknown_attribute(struct checker *checker, const xmlNode *element,
                                  const char *attribute) {
  struct word_list list;
  char text[LIST_SIZE];
  attribute_names(checker, (const char *)element->name, &list);
  const char *near = suggest_word(attribute, list.words);
  if (near != NULL) {
    document_fault(checker->document, element, attribute, "unknown attribute; did you mean %s?",
                   near);
  } else if (list.count == 0) {
    document_fault(checker->document, element, attribute, "expected no attributes");
  } else {
    document_fault(checker->document, element, attribute, "unknown attribute; expected %s",
                   join_words(list.words, " or ", text, sizeof text));
  }
}

/* The first required attribute that is not there. */
static void say_missing_attribute(struct checker *checker, const xmlNode *element) {
  char name[NAME_SIZE], use[NAME_SIZE], text[LIST_SIZE];
  const char *owner = (const char *)element->name;
  const xmlNode *node = element_child(complex_type(checker, owner), "attribute");
  for (; node != NULL; node = element_next(node, "attribute")) {
    element_get(node, "name", name, sizeof name);
    bool required = strcmp(element_get(node, "use", use, sizeof use), "required") == 0;
    if (!required || element_has(element, name)) continue;
    document_fault(checker->document, element, NULL, "lacks the attribute %s; expected %s", name,
                   describe(simple_type(checker, owner, name), text, sizeof text));
    return;
  }
}

/* The names in "Expected is ( a )." or "Expected is one of ( a, b )." as "<a> or <b>". */
static bool expected_elements(const char *message, char *text, size_t size) {
  struct word_list list = {.words = {NULL}};
  const char *at = strstr(message, "Expected is");
  at = at == NULL ? NULL : strchr(at, '(');
  if (at == NULL) return false;
  char names[LIST_SIZE], name[NAME_SIZE], *rest = NULL;
  snprintf(names, sizeof names, "%.*s", (int)strcspn(at + 1, ")"), at + 1);
  char *word = strtok_r(names, " ,", &rest);
  for (; word != NULL; word = strtok_r(NULL, " ,", &rest)) {
    int length = snprintf(name, sizeof name, "<%.60s>", word);
    add_word(&list, name, length > 0 ? (size_t)length : 0);
  }
  join_words(list.words, " or ", text, size);
  return list.count > 0;
}

/* The name of a child of `parent` that is near to the one given, or NULL. */
static const char *near_child(const struct checker *checker, const xmlNode *parent,
                              const char *given, char *name, size_t size) {
  struct word_list list = {.words = {NULL}};
  const xmlNode *type = complex_type(checker, parent == NULL ? "" : (const char *)parent->name);
  const xmlNode *node = element_child(element_child(type, "sequence"), "element");
  for (; node != NULL; node = element_next(node, "element")) {
    element_get(node, "name", name, size);
    add_word(&list, name, strlen(name));
  }
  const char *near = suggest_word(given, list.words);
  if (near == NULL || strcmp(near, given) == 0) return NULL;
  snprintf(name, size, "%s", near);
  return name;
}

static void say_content(struct checker *checker, const xmlNode *element, const char *message) {
  char text[LIST_SIZE], name[NAME_SIZE];
  bool known = expected_elements(message, text, sizeof text);
  const xmlNode *parent = element->parent;
  if (strstr(message, "Missing child") != NULL) {
    document_fault(checker->document, element, NULL, "ends too early; expected %s",
                   known ? text : "more elements");
  } else if (known) {
    document_fault(checker->document, element, NULL, "not expected here; expected %s", text);
  } else if (near_child(checker, parent, (const char *)element->name, name, sizeof name) != NULL) {
    document_fault(checker->document, element, NULL, "unknown element; did you mean <%s>?", name);
  } else {
    document_fault(checker->document, element, NULL, "not expected here; <%s> has enough elements",
                   parent == NULL ? "?" : (const char *)parent->name);
  }
}

/* Two elements with the same key: the schema's xs:unique names the attribute. */
static void say_duplicate(struct checker *checker, const xmlNode *element) {
  char field[NAME_SIZE], selector[NAME_SIZE];
  const xmlNode *unique = element_child(declaration(checker, "scenario"), "unique");
  for (; unique != NULL; unique = element_next(unique, "unique")) {
    element_get(element_child(unique, "selector"), "xpath", selector, sizeof selector);
    const char *last = strrchr(selector, '/');
    if (last == NULL || strcmp(last + 1, (const char *)element->name) != 0) continue;
    element_get(element_child(unique, "field"), "xpath", field, sizeof field);
    document_fault(checker->document, element, field + 1, "expected every <%s> to have another %s",
                   element->name, field + 1);
    return;
  }
}

/* The attribute at fault, which libxml2 says in its message only: "Element 'a', attribute 'b': ..."
 */
static const char *attribute_of(const char *message, char *name, size_t size) {
  static const char before[] = "', attribute '";
  const char *at = strstr(message, before), *end = strstr(message, "': ");
  if (at == NULL || end == NULL || end <= at) return NULL;
  at += sizeof before - 1;
  snprintf(name, size, "%.*s", (int)(end - at), at);
  return name;
}

static void on_refusal(void *context, xmlErrorPtr error) {
  struct checker *checker = context;
  const xmlNode *node = error->node;
  const char *message = error->message == NULL ? "" : error->message;
  if (checker->document->error[0] != '\0' || node == NULL) return;
  char name[SCENARIO_TEXT_SIZE];
  const char *attribute = attribute_of(message, name, sizeof name);
  switch (error->code) {
    case XML_SCHEMAV_CVC_ELT_1:
      document_fault(checker->document, node, NULL, "expected <scenario name=\"...\">");
      break;
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_3_2_1:
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_3_2_2:
      say_unknown_attribute(checker, node, attribute == NULL ? "" : attribute);
      break;
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_4:
      say_missing_attribute(checker, node);
      break;
    case XML_SCHEMAV_ELEMENT_CONTENT:
      say_content(checker, node, message);
      break;
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_2_1:
      document_fault(checker->document, node, NULL, "expected nothing inside it");
      break;
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_2_3:
      document_fault(checker->document, node, NULL, "expected elements inside it, and no text");
      break;
    case XML_SCHEMAV_CVC_TYPE_3_1_2:
      document_fault(checker->document, node, NULL, "expected text inside it, and no elements");
      break;
    case XML_SCHEMAV_CVC_IDC:
      say_duplicate(checker, node);
      break;
    default: /* a value: facets and data types */
      say_value(checker, node, attribute);
      break;
  }
}

/* nestor.xsd is ours: a fault in it is a bug. */
static void on_broken_schema(void *context, xmlErrorPtr error) {
  (void)context;
  fprintf(stderr, "nestor.xsd:%d: %s", error->line, error->message);
  abort();
}

static bool validate_with(struct checker *checker, xmlDoc *schema_tree) {
  xmlSchemaParserCtxt *parser = xmlSchemaNewDocParserCtxt(schema_tree);
  xmlSchemaSetParserStructuredErrors(parser, on_broken_schema, NULL);
  xmlSchema *schema = xmlSchemaParse(parser);
  xmlSchemaValidCtxt *validator = schema == NULL ? NULL : xmlSchemaNewValidCtxt(schema);
  int result = -1;
  if (validator != NULL) {
    xmlSchemaSetValidStructuredErrors(validator, on_refusal, checker);
    result = xmlSchemaValidateDoc(validator, checker->document->tree);
  }
  if (result != 0) document_fault_line(checker->document, 0, "does not follow nestor.xsd");
  xmlSchemaFreeValidCtxt(validator);
  xmlSchemaFree(schema);
  xmlSchemaFreeParserCtxt(parser);
  return result == 0;
}

bool document_check_schema(struct document *document) {
  xmlDoc *schema =
      xmlReadMemory(nestor_xsd, (int)(sizeof nestor_xsd - 1), NULL, NULL, XML_PARSE_NONET);
  if (schema == NULL) return document_fault_line(document, 0, "no memory to check it");
  struct checker checker = {document, xmlDocGetRootElement(schema)};
  bool good = validate_with(&checker, schema);
  xmlFreeDoc(schema);
  return good;
}
