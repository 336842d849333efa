/* SPDX-License-Identifier: MIT
 * Nestor's own trace format, little-endian:
 *
 *   header  8 bytes magic, u16 version, u16 flags (bit 0: time stamps are ticks), u32 size of the
 *           strings; name, kernel, provenance, each ended by 0; u64 checksum of all before it
 *   block   u32 'B', u32 events, u32 size of the records, u32 size compressed, u64 checksum of
 *           the 16 bytes before it and of the compressed bytes; the records, compressed with zstd
 *   end     u32 'E', u64 events in all, u64 checksum of the 12 bytes before it
 *
 * A record is a kind's letter (event.def), then varints: flags; arch, vcpu and level one byte each;
 * reason and hardware reason if TRACE_HAS_REASON; time and RIP as differences from the record
 * before, in the block; the injected vector if there is one; the arguments that are known. Blocks
 * do not depend on each other. The checksum is 64-bit FNV-1a: any change of a single byte shows. */
#ifndef TRACES_NATIVE_H
#define TRACES_NATIVE_H

#include "traces/event.h"

#define NATIVE_VERSION 1
#define NATIVE_MAGIC_SIZE 8
#define NATIVE_HEADER_SIZE 16
#define NATIVE_STRINGS_MAX 1024
#define NATIVE_BLOCK_HEAD 24
#define NATIVE_END_SIZE 20
#define NATIVE_BLOCK 'B'
#define NATIVE_END 'E'
/* Records of a block: it is ended once it holds NATIVE_BLOCK_FULL bytes. */
#define NATIVE_BLOCK_FULL 65536
#define NATIVE_RECORD_MAX 96
#define NATIVE_BLOCK_MAX (NATIVE_BLOCK_FULL + NATIVE_RECORD_MAX)

#define NATIVE_CHECKSUM_SEED 14695981039346656037u
extern const uint8_t native_magic[NATIVE_MAGIC_SIZE];

uint64_t native_checksum(uint64_t checksum, const void *bytes, size_t size);

/* What one record is relative to; all 0 at the start of a block. */
struct native_base {
  uint64_t time, rip;
};

/* Writes at most NATIVE_RECORD_MAX bytes; returns their number. */
size_t native_encode(uint8_t *to, const struct trace_event *event, struct native_base *base);
/* Bytes taken, or 0 if they are no record. */
size_t native_decode(const uint8_t *from, size_t size, struct trace_event *event,
                     struct native_base *base);

/* Little-endian numbers. */
void native_put(uint8_t *to, uint64_t value, unsigned bytes);
uint64_t native_get(const uint8_t *from, unsigned bytes);

#endif
