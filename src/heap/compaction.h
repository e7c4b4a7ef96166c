/* compaction.h - when a thread lets sparse spans drain, and how fast.
 *
 * A program that frees most of its blocks at random leaves each span a few. What it frees from then on it is handed out again, so
 * that no span ever becomes free. While much of a heap's spans is free, and has been for a while, a thread therefore gives some arrays of
 * freed blocks back instead, the more the sparser, and takes others from the fullest of some spans: the emptier ones drain. That costs
 * time, so it goes on only while it helps: where spans stay sparse in spite of it, it rests most of the time.
 */
#ifndef ACRE_HEAP_COMPACTION_H
#define ACRE_HEAP_COMPACTION_H

#include "base/bits.h"

#define ACRE_COMPACTION_WAIT_NS ((uint64_t)1 << 28) /* shorter swings of a program's memory are none of its business */
#define ACRE_COMPACTION_RUN_NS  ((uint64_t)1 << 29) /* between two looks at whether it helps */
#define ACRE_COMPACTION_REST_NS ((uint64_t)1 << 33) /* 16 times as long */

enum {
    ACRE_COMPACTION_BYTES_MIN = 1024 * 1024, /* of free blocks: less is not worth it */
    ACRE_COMPACTION_FREE_SHARE = 16,         /* sparse: one part in so many of the spans is free */
    ACRE_COMPACTION_GAIN_SHARE = 32,         /* it helps when spans become smaller by one part in so many */
};

typedef enum acre_compaction_phase {
    ACRE_COMPACTION_DENSE,
    ACRE_COMPACTION_WAITS,
    ACRE_COMPACTION_RUNS,
    ACRE_COMPACTION_RESTS,
} acre_compaction_phase;

/* All zeros: nothing was sparse yet. */
typedef struct acre_compaction {
    acre_compaction_phase phase;
    uint64_t since_ns;   /* the phase, or the run's last look */
    uint64_t span_bytes; /* then */
    uint64_t free_bytes;
} acre_compaction;

static inline acre_compaction_phase acre_compaction_next(const acre_compaction *c, uint64_t now_ns, uint64_t span_bytes,
                                                         uint64_t free_bytes)
{
    const uint64_t length_ns = now_ns - c->since_ns;
    const bool helps = span_bytes <= c->span_bytes - c->span_bytes / ACRE_COMPACTION_GAIN_SHARE;
    switch (c->phase) {
    case ACRE_COMPACTION_DENSE:
        return ACRE_COMPACTION_WAITS;
    case ACRE_COMPACTION_WAITS:
        return length_ns < ACRE_COMPACTION_WAIT_NS ? ACRE_COMPACTION_WAITS : ACRE_COMPACTION_RUNS;
    case ACRE_COMPACTION_RUNS:
        return length_ns < ACRE_COMPACTION_RUN_NS || helps ? ACRE_COMPACTION_RUNS : ACRE_COMPACTION_RESTS;
    case ACRE_COMPACTION_RESTS: /* unless there is much more to gain than before */
        return length_ns < ACRE_COMPACTION_REST_NS && free_bytes / 2 <= c->free_bytes ? ACRE_COMPACTION_RESTS : ACRE_COMPACTION_WAITS;
    }
    return ACRE_COMPACTION_DENSE;
}

/* One array in how many is to go back; 0: none. `span_bytes` are in spans now, `free_bytes` of them in no block that is out. O(1). */
static inline unsigned acre_compaction_every(acre_compaction *c, uint64_t now_ns, uint64_t span_bytes, uint64_t free_bytes)
{
    const bool is_sparse = free_bytes > ACRE_COMPACTION_BYTES_MIN && free_bytes > span_bytes / ACRE_COMPACTION_FREE_SHARE;
    const acre_compaction_phase next = is_sparse ? acre_compaction_next(c, now_ns, span_bytes, free_bytes) : ACRE_COMPACTION_DENSE;
    const bool is_run_over = next == ACRE_COMPACTION_RUNS && now_ns - c->since_ns >= ACRE_COMPACTION_RUN_NS;
    if (next != c->phase || is_run_over) {
        *c = (acre_compaction){.phase = next, .since_ns = now_ns, .span_bytes = span_bytes, .free_bytes = free_bytes};
    }
    if (next != ACRE_COMPACTION_RUNS) return 0;
    return free_bytes > span_bytes / 2 ? 1 : free_bytes > span_bytes / 4 ? 2 : free_bytes > span_bytes / 8 ? 4 : 8;
}

#endif
