/* SPDX-License-Identifier: MIT
 * Text from traces, files and arguments on its way out: nothing in it is taken for markup or for a
 * terminal's control sequence. */
#ifndef REPORT_ESCAPE_H
#define REPORT_ESCAPE_H

#include <stdio.h>

/* Bytes of the UTF-8 character at `text`, 0 if it is none. Ends at a NUL. */
unsigned utf8_length(const char *text);
/* For XML and HTML, inside elements and attributes. Control characters become their pictures
 * (U+2400 and on), what is no UTF-8 or no XML character becomes U+FFFD. */
void escape_xml(FILE *out, const char *text);
/* Without the quotes, for JSON; what is no UTF-8 becomes U+FFFD. */
void escape_json(FILE *out, const char *text);
/* A field of comma-separated values, in quotes where it needs them. */
void escape_csv(FILE *out, const char *text);
/* For a terminal: control characters and what is no UTF-8 become \xNN, line feeds \n. */
void escape_line(FILE *out, const char *text);
/* A stream that writes to `out`, control characters other than line feeds as \xNN. The caller
 * closes it, which leaves `out` open; errors show in ferror(out). NULL: no memory. */
FILE *escape_stream(FILE *out);

#endif
