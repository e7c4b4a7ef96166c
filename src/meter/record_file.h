/* record_file.h - the file through which a program under observation and the collector talk: <pid>-<n>.events.
 *
 *     [0, 64 KiB)          record_file: who the process is, gauges, the state of every chunk
 *     64 KiB + i * 64 KiB  chunk i: record_chunk and then encoded events (event.h)
 *
 * A chunk goes FREE -> WRITING (one thread owns it) -> FULL (the collector owns it) -> FREE. `used` is stored with release
 * order after each event, so that what a killed process has written is whole. Only reserved chunks (< chunk_count) exist.
 * Everything in it is a claim of another process: the collector checks `used` against the chunk before it reads, and leaves it to the
 * trace's reader to decode events.
 */
#ifndef ACRE_METER_RECORD_FILE_H
#define ACRE_METER_RECORD_FILE_H

#include "meter/gauges.h"
#include "meter/event.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
    RECORD_VERSION = 2,
    RECORD_HEADER_BYTES = 64 * 1024,
    RECORD_CHUNK_BYTES = 64 * 1024,
    RECORD_CHUNK_COUNT_MIN = 4,
    RECORD_CHUNK_COUNT_MAX = 1024, /* 64 MiB: more threads than this at once record nothing */
    RECORD_COMMAND_BYTES = 2048,
    RECORD_PROGRAM_BYTES = 1024,
};

#define RECORD_MAGIC UINT64_C(0x32764552434552) /* "RECREv2" */
#define RECORD_FILE_BYTES ((size_t)RECORD_HEADER_BYTES + (size_t)RECORD_CHUNK_COUNT_MAX * RECORD_CHUNK_BYTES)

typedef enum record_chunk_state { RECORD_CHUNK_FREE = 0, RECORD_CHUNK_WRITING = 1, RECORD_CHUNK_FULL = 2 } record_chunk_state;

typedef struct record_file {
    _Atomic uint64_t magic; /* written last: the rest of this struct is there when it is RECORD_MAGIC */
    uint32_t version;
    uint32_t clock; /* acre_clock */
    uint32_t process_id;
    uint32_t parent_process_id;
    uint32_t is_fork;             /* began as a copy of its parent: blocks may be older than the recording */
    _Atomic uint32_t is_finished; /* said goodbye: it was not killed */
    uint64_t start_ticks;
    _Atomic uint32_t chunk_count;         /* reserved so far */
    _Atomic uint32_t chunk_touched_count; /* highest chunk ever used + 1 */
    _Atomic uint64_t dropped_count;       /* events that found no room */
    _Atomic uint64_t collector_beat;      /* the collector adds 1 each round; the program sees by it that it lives */
    _Atomic uint64_t stack_audit_count;   /* cached stacks that were unwound again for a check ... */
    _Atomic uint64_t stack_wrong_count;   /* ... and that differed */
    acre_recorder_gauges gauges;
    char command[RECORD_COMMAND_BYTES]; /* arguments, one after the other, each ending in 0 */
    uint32_t command_bytes;
    char program[RECORD_PROGRAM_BYTES]; /* path of the executable */
    _Atomic uint32_t chunk_states[RECORD_CHUNK_COUNT_MAX];
} record_file;

typedef struct record_chunk {
    _Atomic uint32_t used; /* bytes of events after this struct */
    uint32_t thread;
    uint64_t start_ticks;       /* what the first event's time refers to */
    _Atomic uint64_t end_ticks; /* of the last event */
    uint64_t padding[5];
} record_chunk;

enum { RECORD_CHUNK_ROOM = RECORD_CHUNK_BYTES - (int)sizeof(record_chunk) };

static_assert(sizeof(record_file) <= RECORD_HEADER_BYTES, "the header has its room");
static_assert(sizeof(record_chunk) == 64, "events begin on a cache line");

static inline record_chunk *record_chunk_at(const record_file *file, uint32_t index)
{
    return (record_chunk *)((uintptr_t)file + RECORD_HEADER_BYTES + (uintptr_t)index * RECORD_CHUNK_BYTES);
}

static inline uint8_t *record_chunk_events(record_chunk *chunk) { return (uint8_t *)(chunk + 1); }

#endif
