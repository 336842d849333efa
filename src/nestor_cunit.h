/* SPDX-License-Identifier: MIT
 * nestor_cunit.h: for people who test hypervisor logic with CUnit. A fixture, and assertions that
 * say what was expected and what came. Header-only, on top of nestor.h and CUnit.
 *
 * The assertions record a failure and go on, as CU_ASSERT does; each is an expression that is true
 * if it held, so that a loop over cases can stop at the first failure. Arguments are evaluated
 * once. */
#ifndef NESTOR_CUNIT_H
#define NESTOR_CUNIT_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "nestor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Fixture ------------------------------------------------------------------------------- */

/* A stack of hypervisors whose uppermost one is the test itself. */
struct nst_fixture {
  struct nst_machine *machine;
  struct nst_cpu *cpu;  /* its processor 0 */
  struct nst_stop stop; /* for nst_run */
};

/* ---- Names of outcomes --------------------------------------------------------------------- */
/* Static storage; "?" for a number that is none of them. */

static inline const char *nst_cunit_status_text(enum nst_status status) {
  switch (status) {
    case NST_OK:
      return "NST_OK";
    case NST_E_INVAL:
      return "NST_E_INVAL";
    case NST_E_NOMEM:
      return "NST_E_NOMEM";
    case NST_E_RANGE:
      return "NST_E_RANGE";
    case NST_E_STATE:
      return "NST_E_STATE";
  }
  return "?";
}

static inline const char *nst_cunit_vmx_text(enum nst_vmx_result result) {
  switch (result) {
    case NST_VMX_SUCCEED:
      return "NST_VMX_SUCCEED";
    case NST_VMX_FAIL_INVALID:
      return "NST_VMX_FAIL_INVALID";
    case NST_VMX_FAIL_VALID:
      return "NST_VMX_FAIL_VALID";
    case NST_VMX_FAULT:
      return "NST_VMX_FAULT";
  }
  return "?";
}

static inline const char *nst_cunit_stop_text(enum nst_stop_kind kind) {
  switch (kind) {
    case NST_STOP_NONE:
      return "NST_STOP_NONE";
    case NST_STOP_EXIT:
      return "NST_STOP_EXIT";
    case NST_STOP_ENTRY_FAILED:
      return "NST_STOP_ENTRY_FAILED";
    case NST_STOP_MARK:
      return "NST_STOP_MARK";
    case NST_STOP_HALT:
      return "NST_STOP_HALT";
    case NST_STOP_SHUTDOWN:
      return "NST_STOP_SHUTDOWN";
    case NST_STOP_BUDGET:
      return "NST_STOP_BUDGET";
    case NST_STOP_ERROR:
      return "NST_STOP_ERROR";
  }
  return "?";
}

/* What the reason of a stop means: that of an exit, or the error of a refused entry. */
static inline const char *nst_cunit_reason_text(enum nst_stop_kind kind, uint32_t reason) {
  if (kind == NST_STOP_EXIT) return nst_exit_name(reason);
  return kind == NST_STOP_ENTRY_FAILED ? nst_vmx_error_text(reason) : "-";
}

/* ---- Assertions ---------------------------------------------------------------------------- */

enum { NST_CUNIT_MESSAGE = 512 };

/* Passes `message` to CUnit, which copies it; returns `holds`. */
static inline bool nst_cunit_report(bool holds, const char *file, unsigned line,
                                    const char *message) {
  CU_assertImplementation(holds ? CU_TRUE : CU_FALSE, line, message, file, "", CU_FALSE);
  return holds;
}

static inline bool nst_cunit_status(const char *file, unsigned line, const char *what,
                                    enum nst_status status) {
  char message[NST_CUNIT_MESSAGE];
  const int number = status;
  snprintf(message, sizeof message, "%s: expected NST_OK, got %s (%d)", what,
           nst_cunit_status_text(status), number);
  return nst_cunit_report(status == NST_OK, file, line, message);
}

static inline bool nst_cunit_vmx(const char *file, unsigned line, const char *what,
                                 enum nst_vmx_result result, enum nst_vmx_result expected) {
  char message[NST_CUNIT_MESSAGE];
  snprintf(message, sizeof message, "%s: expected %s, got %s", what, nst_cunit_vmx_text(expected),
           nst_cunit_vmx_text(result));
  return nst_cunit_report(result == expected, file, line, message);
}

/* The reason counts where a stop has one: NST_STOP_EXIT and NST_STOP_ENTRY_FAILED. */
static inline bool nst_cunit_stop(const char *file, unsigned line, enum nst_status status,
                                  const struct nst_stop *stop, enum nst_stop_kind kind,
                                  uint32_t reason) {
  char message[NST_CUNIT_MESSAGE];
  bool has_reason = kind == NST_STOP_EXIT || kind == NST_STOP_ENTRY_FAILED;
  bool holds = status == NST_OK && stop->kind == kind && (!has_reason || stop->reason == reason);
  snprintf(message, sizeof message,
           "stop: expected %s, reason %" PRIu32 " (%s); got %s, reason %" PRIu32
           " (%s), qualification 0x%" PRIx64 ", status %s",
           nst_cunit_stop_text(kind), reason, nst_cunit_reason_text(kind, reason),
           nst_cunit_stop_text(stop->kind), stop->reason,
           nst_cunit_reason_text(stop->kind, stop->reason), stop->qualification,
           nst_cunit_status_text(status));
  return nst_cunit_report(holds, file, line, message);
}

static inline bool nst_cunit_at_most(const char *file, unsigned line, const char *what,
                                     uint64_t value, uint64_t limit) {
  char message[NST_CUNIT_MESSAGE];
  snprintf(message, sizeof message, "%s: expected at most %" PRIu64 ", got %" PRIu64, what, limit,
           value);
  return nst_cunit_report(value <= limit, file, line, message);
}

/* What a broken budget says: the sentence, all counts by level and reason, and the causal tree.
 * NULL: no memory. The caller frees it. */
static inline char *nst_cunit_exits_text(const struct nst_budget *budget, const char *sentence) {
  const size_t length = strlen(sentence), more = nst_budget_text(budget, NULL, 0);
  char *text = (char *)malloc(length + more + 2);
  if (!text) return NULL;
  memcpy(text, sentence, length);
  text[length] = '\n';
  nst_budget_text(budget, text + length + 1, more + 1);
  text[length + 1 + more] = '\0';
  return text;
}

/* What a budget is asked for. */
struct nst_cunit_budget {
  unsigned level;
  uint32_t reason;
  uint64_t figure;
  bool at_most; /* otherwise exactly */
};

static inline bool nst_cunit_exits(const char *file, unsigned line, const struct nst_budget *budget,
                                   struct nst_cunit_budget asked) {
  char sentence[NST_CUNIT_MESSAGE];
  struct nst_exit_counts *counts = (struct nst_exit_counts *)malloc(sizeof *counts);
  if (!budget || !counts) {
    free(counts);
    return nst_cunit_report(false, file, line, "exits: there is no budget, or no memory");
  }
  nst_exit_counts(budget, counts);
  const uint64_t exits = nst_exit_counts_to(counts, asked.level, asked.reason);
  const bool holds = asked.at_most ? exits <= asked.figure : exits == asked.figure;
  free(counts);
  snprintf(sentence, sizeof sentence, "exits to L%u, %s: expected %s %" PRIu64 ", got %" PRIu64,
           asked.level, asked.reason == NST_ANY_REASON ? "any reason" : nst_exit_name(asked.reason),
           asked.at_most ? "at most" : "exactly", asked.figure, exits);
  char *text = holds ? NULL : nst_cunit_exits_text(budget, sentence);
  nst_cunit_report(holds, file, line, text ? text : sentence);
  free(text);
  return holds;
}

static inline struct nst_cunit_budget nst_cunit_ask(unsigned level, uint32_t reason,
                                                    uint64_t figure, bool at_most) {
  struct nst_cunit_budget asked;
  asked.level = level;
  asked.reason = reason;
  asked.figure = figure;
  asked.at_most = at_most;
  return asked;
}

/* The call returned NST_OK. */
#define NST_ASSERT_OK(status) nst_cunit_status(__FILE__, __LINE__, #status, (status))
/* The VMX instruction had this outcome. */
#define NST_ASSERT_VMX(result, expected) \
  nst_cunit_vmx(__FILE__, __LINE__, #result, (result), (expected))
/* `status` is nst_run's, `stop` what it filled in: the call succeeded and stopped so. `reason` is
 * an exit reason or a VM-instruction error; give 0 for a kind that has none. */
#define NST_ASSERT_STOP(status, stop, kind, reason) \
  nst_cunit_stop(__FILE__, __LINE__, (status), (stop), (kind), (reason))
/* For budgets: an unsigned value up to and including the limit. */
#define NST_ASSERT_AT_MOST(value, limit) \
  nst_cunit_at_most(__FILE__, __LINE__, #value, (value), (limit))
/* The budget's block caused exactly so many exits to the software of `level` (0: all exits of the
 * processor), of an exit reason or NST_ANY_REASON. A failure prints all counts by level and reason
 * and the causal tree. */
#define NST_ASSERT_EXITS(budget, level, reason, exactly) \
  nst_cunit_exits(__FILE__, __LINE__, (budget), nst_cunit_ask((level), (reason), (exactly), false))
/* The same, up to and including the limit. */
#define NST_ASSERT_EXITS_AT_MOST(budget, level, reason, limit) \
  nst_cunit_exits(__FILE__, __LINE__, (budget), nst_cunit_ask((level), (reason), (limit), true))

/* ---- Set-up and end ------------------------------------------------------------------------ */

/* Frees the machine; a second call does nothing. */
static inline void nst_fixture_fini(struct nst_fixture *fixture) {
  nst_machine_destroy(fixture->machine);
  memset(fixture, 0, sizeof *fixture);
}

/* A machine with a guest at `level` (1 to NST_DEPTH_LIMIT): processor "haswell", the hypervisor
 * "kvm-6.1" at L0 and every level up to level - 2, and the test itself as the hypervisor at
 * level - 1, in 64-bit mode with VMXON done. Ends the test if it cannot be created. The caller ends
 * it with nst_fixture_fini. */
static inline void nst_fixture_init(struct nst_fixture *fixture, unsigned level) {
  struct nst_config config;
  struct nst_stack_config stack;
  char message[NST_CUNIT_MESSAGE];
  enum nst_status status;
  nst_config_init(&config);
  nst_stack_config_init(&stack);
  config.processor = "haswell";
  stack.depth = level;
  stack.driven = true;
  memset(fixture, 0, sizeof *fixture);
  status = nst_stack_create(&fixture->machine, &config, &stack);
  if (status == NST_OK) {
    fixture->cpu = nst_cpu(fixture->machine, 0);
    return;
  }
  snprintf(message, sizeof message, "nst_fixture_init, guest at level %u: expected NST_OK, got %s",
           level, nst_cunit_status_text(status));
  nst_fixture_fini(fixture);
  CU_assertImplementation(CU_FALSE, __LINE__, message, __FILE__, "", CU_TRUE);
}

#ifdef __cplusplus
}
#endif

#endif
