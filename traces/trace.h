/* SPDX-License-Identifier: MIT
 * Reading and writing traces, and what was lost on the way. Start here. */
#ifndef TRACES_TRACE_H
#define TRACES_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traces/event.h"

enum trace_format {
  TRACE_FORMAT_NATIVE,
  TRACE_FORMAT_TEXT, /* tracefs `trace`, trace-cmd report, perf script */
  TRACE_FORMAT_DAT,  /* trace-cmd's trace.dat */
  TRACE_FORMAT_MIX   /* no file: generated (traces/mix.h) */
};

/* What became of a record of the input. */
enum trace_fate {
  TRACE_FATE_OPERATION,   /* an exit that the guest caused */
  TRACE_FATE_HOST,        /* an exit that the host caused */
  TRACE_FATE_UNKNOWN,     /* an exit of a kind that is not clear, or a record of unknown name */
  TRACE_FATE_DETAIL,      /* told an argument of an exit */
  TRACE_FATE_BOUNDARY,    /* entry, nested exit, nested entry: frames the exits */
  TRACE_FATE_INTERRUPT,   /* timers and interrupts on their way */
  TRACE_FATE_BOOKKEEPING, /* the hypervisor's own */
  TRACE_FATE_ARM,         /* an Arm exit or what it was about: information only */
  TRACE_FATE_EARLY,       /* before the first exit of its thread */
  TRACE_FATE_UNUSED,      /* a detail that no open exit could use */
  TRACE_FATE_COUNT
};
const char *trace_fate_name(unsigned fate); /* NULL if out of range */

#define TRACE_LOSS_NAMES 192
#define TRACE_NAME_MAX 40

/* What a trace told and what it did not, since the reader was opened. */
struct trace_loss {
  uint64_t lines;          /* text: lines read; others: records read */
  uint64_t lines_other;    /* text: comments, headers and lines that are no trace record */
  uint64_t lines_rejected; /* salvage: malformed records that were left out */
  uint64_t records;
  uint64_t events;          /* given out by trace_next */
  uint64_t gap_count;       /* markers of lost records */
  uint64_t gap_records;     /* records lost there, as far as the markers say */
  uint64_t overwritten;     /* records that the ring buffer had dropped before it was read */
  uint64_t closed_early;    /* events given out before their entry was seen (queue full) */
  uint64_t vcpus_renamed;   /* threads whose vcpu number another thread already had */
  uint64_t records_unnamed; /* records whose name did not fit into `names` any more */
  uint64_t kind[TRACE_KIND_COUNT];
  uint64_t untold[TRACE_KIND_COUNT][4]; /* events of the kind that lack argument a, b, c, d */
  size_t name_count;
  struct trace_loss_name {
    char name[TRACE_NAME_MAX];
    uint64_t fate[TRACE_FATE_COUNT];
  } names[TRACE_LOSS_NAMES];
  bool is_salvaged; /* the input ended in an error; `problem` says which */
  char problem[512];
};

/* Where a trace comes from. Strings are empty if not known. */
struct trace_source {
  char name[128];       /* file name of the recording, without folders */
  char kernel[128];     /* "6.1.0-56-cloud-amd64" */
  char provenance[256]; /* how it was made: imported from which format */
  bool is_counter;      /* time stamps are ticks of a counter, not nanoseconds */
};

struct trace_options {
  /* Number of a VMX exit reason by the name that KVM prints ("EPT_VIOLATION"), < 0 if unknown.
   * NULL: events of text and .dat traces have no reason numbers (TRACE_HAS_REASON not set), and
   * VMX exits of .dat files, which hold numbers alone, are of unknown kind. */
  int (*vmx_reason)(const char *name);
  bool salvage; /* give what comes before damage, and leave out malformed lines of text */
};

struct trace_reader;

/* Opens a native, text or .dat trace, each also compressed with zstd, recognised by content.
 * options may be NULL. NULL on failure, with one sentence in error (error_size > 0). */
struct trace_reader *trace_open(const char *path, const struct trace_options *options, char *error,
                                size_t error_size);
/* 1 = *event filled in, 0 = end, < 0 = error, trace_error says which. Memory use is constant. */
int trace_next(struct trace_reader *reader, struct trace_event *event);
const char *trace_error(const struct trace_reader *reader);
const struct trace_loss *trace_loss(const struct trace_reader *reader);
const struct trace_source *trace_source(const struct trace_reader *reader);
enum trace_format trace_format(const struct trace_reader *reader);
void trace_close(struct trace_reader *reader); /* NULL is allowed */

struct trace_writer;

/* Writes the native format to a temporary file beside path, which trace_writer_commit renames to
 * path: there is never a half-written file. NULL on failure, with one sentence in error. */
struct trace_writer *trace_writer_create(const char *path, const struct trace_source *source,
                                         char *error, size_t error_size);
/* 0, or < 0 on a failure that trace_writer_error names. The event must be valid: kind, arch and
 * flags in range. */
int trace_write(struct trace_writer *writer, const struct trace_event *event);
/* Ends and renames. 0 or < 0; frees the writer in either case. */
int trace_writer_commit(struct trace_writer *writer, char *error, size_t error_size);
/* Removes the temporary file; NULL is allowed. */
void trace_writer_abort(struct trace_writer *writer);
const char *trace_writer_error(const struct trace_writer *writer);

/* Exits that reach the recording hypervisor per reflected exit of the nested guest: the nested
 * exit itself and all level-1 exits up to and with the VMRESUME that enters the guest again. */
#define TRACE_ROUND_LABELS 96
#define TRACE_ROUND_EXITS 256

struct trace_round_group {
  char label[TRACE_LABEL_MAX];
  uint64_t rounds;
  uint64_t exits;                        /* sum over all rounds */
  uint64_t histogram[TRACE_ROUND_EXITS]; /* rounds by exits; the last one counts all longer ones */
};

struct trace_rounds {
  size_t group_count;
  uint64_t ungrouped; /* rounds left out since TRACE_ROUND_LABELS labels were there already */
  uint64_t kept;      /* level-2 exits that the recording hypervisor kept */
  uint64_t open;      /* rounds that the end of the trace cut off */
  struct trace_round_group group[TRACE_ROUND_LABELS];
  struct trace_round_open {
    char label[TRACE_LABEL_MAX];
    uint64_t exits; /* 0: no round is open */
  } vcpu[256];
};

void trace_rounds_init(struct trace_rounds *rounds);
void trace_rounds_add(struct trace_rounds *rounds, const struct trace_event *event);
/* Feeds all that is left in reader. 0, or what trace_next returned. */
int trace_count_rounds(struct trace_reader *reader, struct trace_rounds *rounds);
/* NULL if no round has the label. */
const struct trace_round_group *trace_round_find(const struct trace_rounds *rounds,
                                                 const char *label);
/* The most frequent number of exits (the smallest of equals), and the mean; 0 without rounds. */
unsigned trace_round_mode(const struct trace_round_group *group);
double trace_round_mean(const struct trace_round_group *group);

#endif
