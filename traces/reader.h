/* SPDX-License-Identifier: MIT
 * The inside of a trace reader, and the importers that it chooses from. */
#ifndef TRACES_READER_H
#define TRACES_READER_H

#include "traces/assemble.h"
#include "traces/loss.h"
#include "traces/source.h"
#include "traces/trace.h"

struct native_reader;
struct dat_import;
struct mix_reader;

struct trace_reader {
  struct source
      *source; /* NULL for .dat, which its importer opens itself, and for generated mixes */
  enum trace_format format;
  bool salvage;
  bool is_ended;                /* no more input: what is left is in the assembler */
  bool is_failed;               /* trace_next has returned an error */
  struct assembler *assembler;  /* text and .dat */
  struct native_reader *native; /* native */
  struct dat_import *dat;       /* .dat */
  struct mix_reader *mix;       /* generated */
  uint8_t
      arch; /* of the last exit whose reason had a name: for reasons that are printed as numbers */
  struct reason_map reasons;
  struct loss_index names;
  struct trace_loss loss;
  struct trace_source about;
  char error[640];
};

/* Each gives one step of its input to the reader: 1 = went on, 0 = end, < 0 = error in
 * reader->error. Text and .dat feed the assembler, the others fill in *event (1 = has). */
int ftrace_import_step(struct trace_reader *reader);
int dat_import_open(struct trace_reader *reader, const char *path); /* 0 or < 0 */
int dat_import_step(struct trace_reader *reader);
void dat_import_close(struct trace_reader *reader);
int native_reader_open(struct trace_reader *reader); /* 0 or < 0 */
int native_reader_next(struct trace_reader *reader, struct trace_event *event);
void native_reader_close(struct trace_reader *reader);
int mix_reader_next(struct trace_reader *reader, struct trace_event *event);
void mix_reader_close(struct trace_reader *reader);

/* Arm exits are counted by their class: in the loss report each class is a name of its own. */
void reader_name_arm(struct trace_reader *reader, struct record *record);

/* What files of each format begin with. */
bool native_recognises(const uint8_t *bytes, size_t size);
bool dat_recognises(const uint8_t *bytes, size_t size);

/* Sets reader->error to "PATH: " and the sentence; returns -1. */
int reader_fail(struct trace_reader *reader, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
