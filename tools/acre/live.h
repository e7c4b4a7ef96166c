/* live.h - the heaps of a running process, read from outside: see heap/live.h.
 *
 * Nothing is sent to the process and nothing runs in it, so one that is stopped or hangs is read as well. While it works, a
 * heap's figures may stand for moments that are microseconds apart, and need not add up to the last block.
 */
#ifndef ACRE_TOOL_LIVE_H
#define ACRE_TOOL_LIVE_H

#include "alloc/size_class.h"

#include <acre/status.h>

#include <stddef.h>
#include <stdint.h>

typedef struct live_class {
    uint64_t block_bytes;
    uint64_t live_count;  /* blocks that the program has */
    uint64_t ready_count; /* blocks that threads hold ready */
    uint64_t free_count;  /* the other blocks of the spans */
    uint64_t span_count;
} live_class;

typedef struct live_heap {
    char name[64];
    unsigned index;      /* stays the same while the heap exists */
    uint64_t live_bytes; /* in blocks that the program has, as large as they were made */
    uint64_t ready_bytes;
    uint64_t used_bytes; /* in spans and large blocks */
    uint64_t reserved_bytes, committed_bytes, dirty_bytes, metadata_bytes;
    uint64_t purged_bytes_total; /* given back since the beginning */
    uint64_t run_count_total;    /* spans and large blocks taken since the beginning */
    uint64_t large_count, large_bytes;
    uint64_t thread_count;
    live_class classes[ACRE_CLASS_COUNT + 1]; /* from ACRE_CLASS_FIRST on */
} live_heap;

typedef struct live_figures {
    uint64_t time_ns; /* of the monotonic clock */
    uint64_t resident_bytes;
    uint64_t map_bytes; /* reserved for the page map that all heaps over pages share */
    size_t heap_count;
    live_heap *heaps; /* to be freed by live_free */
} live_figures;

typedef struct live_process live_process;

/* Finds acre in a process. ACRE_INVALID: there is no such process; ACRE_DENIED: it is another user's, or the kernel forbids;
 * ACRE_UNSUPPORTED: it does not run on acre, or on a version of it that this tool can't read. The sentence says which. */
acre_status live_open(live_process **process, uint64_t pid);

/* What the heaps are now. ACRE_UNREACHABLE: the process has ended, or has started another program. O(units of its heaps). */
acre_status live_read(live_process *process, live_figures *figures);

/* The program's name. */
const char *live_name(const live_process *process);
uint64_t live_id(const live_process *process);

/* What has changed in a second, between two readings. */
typedef struct live_rates {
    double live_bytes;      /* more, or less than 0: fewer */
    double committed_bytes; /* the same */
    double purged_bytes;
    double run_count;
} live_rates;

/* The rates of a heap of `after`, from the same heap in `before`; all 0 when it was not there. */
live_rates live_rates_of(const live_figures *before, const live_figures *after, const live_heap *heap);

void live_free(live_figures *figures);
void live_close(live_process *process);

#endif
