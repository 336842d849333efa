/* SPDX-License-Identifier: MIT
 * One walker over const formats: 4-level guest tables and EPT, alone or one on the other. It
 * records each step as it goes; explanation and fault information come from that record. */
#ifndef PAGING_WALK_H
#define PAGING_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "paging/address.h"

enum { WALK_LEVELS = 5, WALK_STEPS = 32 };

/* Permissions of a translation, neutral over formats. */
enum walk_permission {
  WALK_READ = 1,
  WALK_WRITE = 2,
  WALK_EXECUTE = 4,
  WALK_USER = 8 /* guest tables only; EPT grants it always */
};

/* A page-table format as data: SDM 3A "Paging", SDM 3C "The EPT Translation Mechanism". */
struct walk_format {
  const char *name;
  unsigned levels; /* 4 */
  /* Bit mask, bit n = level n: which levels (1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB) may be leaves. */
  unsigned leaf_levels;
  bool (*present)(uint64_t entry);
  bool (*leaf)(uint64_t entry, unsigned level);
  unsigned (*permissions)(uint64_t entry); /* enum walk_permission bits this entry grants */
  uint64_t (*reserved)(uint64_t entry, unsigned level, unsigned physical_bits); /* must-be-0 mask */
  bool (*misconfigured)(uint64_t entry, unsigned level); /* EPT only, else NULL */
  uint64_t accessed, dirty; /* bits, 0 where the format (or EPTP bit 6) has none */
};
extern const struct walk_format walk_format_ia32e; /* 4-level guest paging */
extern const struct walk_format walk_format_ept;   /* 4-level EPT */

enum walk_outcome {
  WALK_OK,
  WALK_PAGE_FAULT,    /* guest tables: error code and linear address */
  WALK_EPT_VIOLATION, /* EPT: guest-physical address and qualification */
  WALK_EPT_MISCONFIG, /* EPT: guest-physical address */
  WALK_BUS_ERROR      /* a table lies outside memory */
};

/* One table entry that the walk read. */
struct walk_step {
  uint64_t entry_address; /* guest-physical for guest tables, host-physical for EPT */
  uint64_t entry;         /* as it was read, before accessed and dirty were set */
  uint8_t level;          /* 4 = PML4 ... 1 = PT */
  bool ept;               /* which of the two tables */
  bool leaf;
};

/* Physical memory as the walker sees it; host-physical 8-byte entries. */
struct walk_memory {
  void *context;
  bool (*load)(void *context, struct host_phys address, uint64_t *entry);
  bool (*store)(void *context, struct host_phys address, uint64_t entry); /* accessed, dirty */
};

/* What is being translated and under which state. */
struct walk_request {
  uint64_t cr3;
  uint64_t eptp;   /* 0 = no EPT in force */
  unsigned access; /* WALK_READ, WALK_WRITE or WALK_EXECUTE, or'ed with WALK_USER if CPL 3 */
  unsigned physical_bits;
  bool paging;                         /* false: linear = guest-physical (CR0.PG = 0) */
  bool write_protect;                  /* CR0.WP */
  bool no_execute;                     /* EFER.NXE */
  bool smep, smap, alignment_override; /* CR4.SMEP, CR4.SMAP, RFLAGS.AC */
  bool probe; /* set no accessed or dirty bits; outcome and translation are the same */
};

struct walk_result {
  enum walk_outcome outcome;
  struct guest_phys guest; /* translation of the linear address */
  struct host_phys host;
  /* Of the whole translation, guest tables and EPT combined: what the privilege and the CR0.WP,
   * NXE and SMEP of the request allow, and WALK_USER for a user page. Under SMAP data accesses to
   * user pages are left out, since RFLAGS.AC may change: all of it can be cached until one of the
   * other settings changes. */
  unsigned permissions;
  unsigned page_bits;        /* log2 of the smallest page on the way: 12, 21 or 30 */
  unsigned linear_page_bits; /* log2 of the guest tables' own page, which INVLPG drops; else 12 */
  bool dirty;                /* leaf dirty bits set everywhere they exist: writes need no walk */
  uint32_t error_code;       /* WALK_PAGE_FAULT */
  uint64_t qualification;  /* WALK_EPT_VIOLATION, SDM 3C "Exit Qualification for EPT Violations" */
  struct guest_phys fault; /* guest-physical address of an EPT fault */
  unsigned steps;          /* recorded; the rest of `step` is left as it was */
  struct walk_step step[WALK_STEPS];
};

/* Translates a linear address through guest tables and EPT. Always fills *result. Bits above the
 * 4-level reach of `linear` are ignored: that it is canonical is checked before. Accessed and dirty
 * bits of the guest's tables are set once its tables grant the access, before the final address
 * goes through EPT. Ends whatever the tables hold; reads at most 24 entries. */
enum walk_outcome walk_run(const struct walk_memory *memory, const struct walk_request *request,
                           struct linear_addr linear, struct walk_result *result);
/* Translates a guest-physical address through EPT alone (request->eptp); bits 7 and 8 of a
 * violation's qualification are 0. */
enum walk_outcome walk_guest_physical(const struct walk_memory *memory,
                                      const struct walk_request *request, struct guest_phys guest,
                                      struct walk_result *result);

#endif
