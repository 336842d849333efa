/* SPDX-License-Identifier: MIT
 * The parts of the trace.dat importer: the file, the process that reads it, and what it sends. */
#ifndef TRACES_DAT_H
#define TRACES_DAT_H

#include <stdio.h>

#include "traces/reader.h"

/* A trace.dat as a plain file that can be mapped. */
struct dat_file {
  int descriptor;    /* of the file, or of a temporary copy without name */
  uint64_t size;     /* of the data; where they end too early, if is_truncated */
  bool is_truncated; /* the table that says where events are lies after the end */
  bool is_repaired;  /* is_truncated, and the copy has a table for the whole pages that are there */
  char kernel[128];
};

/* Decompresses to a temporary file if need be. 0, or < 0 with the sentence in reader->error. */
int dat_file_open(struct dat_file *file, struct trace_reader *reader, const char *path);

enum dat_message_type { DAT_NAME, DAT_RECORD, DAT_GAP, DAT_END, DAT_REFUSED };

/* What the reading process sends, as it is in memory: both ends are the same program. */
struct dat_message {
  uint32_t type;
  uint32_t cpu;
  uint32_t thread;
  uint32_t name;  /* DAT_RECORD: number of the DAT_NAME message before, from 0 */
  uint32_t known; /* bit per slot */
  uint64_t time;  /* DAT_GAP: records lost, 0 if not told */
  uint64_t value[SLOT_TOTAL];
  char text[TRACE_NAME_MAX]; /* DAT_NAME */
};

/* Reads the trace.dat with the trace library and writes messages, up to DAT_END or DAT_REFUSED. */
void dat_child_run(int descriptor, FILE *out);

#endif
