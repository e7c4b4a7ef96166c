/* meter.h - what did it cost, and is the promise kept?
 *
 * A meter counts the operations of one memory system. Each thread counts for itself, with plain loads and stores, and a
 * reader adds the threads up. A contract is a set of limits that is checked against what was counted:
 *
 *     acre_meter meter;
 *     acre_meter_thread mine;
 *     acre_meter_init(&meter, "packets");
 *     acre_meter_join(&meter, &mine);
 *     ... acre_meter_count_alloc(&mine, 1500, nanoseconds); ...
 *
 *     const acre_contract contract = {.limits = ACRE_LIMIT_ALLOC_NS | ACRE_LIMIT_LIVE_BYTES,
 *                                     .alloc_ns_max = 2000, .live_bytes_max = 64 << 20};
 *     if (acre_contract_check(&contract, &meter) == ACRE_BREACH) puts(acre_last_error());
 *     -> meter 'packets': the slowest allocation took 5376 ns, allowed are 2000
 *
 * Meter and threads live in the caller's memory; nothing here allocates. A meter has 16 KiB, a thread 31 KiB, most of it
 * latency histograms (acre/histogram.h).
 *
 * Example: examples/meter.c.
 */
#ifndef ACRE_METER_H
#define ACRE_METER_H

#include <acre/histogram.h>
#include <acre/status.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_meter_counts {
    uint64_t alloc_count;  /* that succeeded */
    uint64_t free_count;
    uint64_t failed_count; /* allocations that got nothing */
    uint64_t alloc_bytes;
    uint64_t free_bytes;
} acre_meter_counts;

/* What one thread counts. Its owner alone writes it. */
typedef struct acre_meter_thread {
    acre_meter_counts counts;
    acre_histogram alloc_ns, free_ns;
    struct acre_meter_thread *next; /* in the meter's list, which the meter's lock guards */
} acre_meter_thread;

typedef struct acre_meter {
    const char *name;
    uint32_t lock;             /* of `threads` and `left` */
    acre_meter_thread *threads;
    acre_meter_thread left;    /* sum of the threads that have left */
    uint64_t committed_bytes;  /* as told by acre_meter_set_committed; 0: not told */
} acre_meter;

typedef struct acre_meter_figures {
    acre_meter_counts counts;
    uint64_t live_bytes;      /* allocated less freed */
    uint64_t live_count;
    uint64_t committed_bytes;
    uint32_t fragmentation;   /* per mille of the committed bytes that are not live; 0 when they are not told */
    acre_histogram alloc_ns, free_ns;
} acre_meter_figures;

/* Makes `meter` empty. `name` stands in messages and must stay valid. Not thread safe. O(1) but for zeroing it. */
ACRE_API void acre_meter_init(acre_meter *meter, const char *name);

/* Adds a thread, empty. It must stay valid until acre_meter_leave. ACRE_INVALID: it has joined already. Thread safe.
 * O(threads). */
ACRE_API acre_status acre_meter_join(acre_meter *meter, acre_meter_thread *thread) ACRE_MUST_USE;

/* Takes a thread out; what it counted stays counted. ACRE_INVALID: it has not joined. Thread safe. O(threads). */
ACRE_API acre_status acre_meter_leave(acre_meter *meter, acre_meter_thread *thread);

/* Count one operation of `bytes` bytes that took `ns` nanoseconds. Called by the thread's owner only. O(1), no atomic
 * read-modify-write: about 4 ns. */
static inline void acre_meter_count_alloc(acre_meter_thread *thread, uint64_t bytes, uint64_t ns)
{
    acre_count_add(&thread->counts.alloc_count, 1);
    acre_count_add(&thread->counts.alloc_bytes, bytes);
    acre_histogram_add(&thread->alloc_ns, ns);
}

static inline void acre_meter_count_free(acre_meter_thread *thread, uint64_t bytes, uint64_t ns)
{
    acre_count_add(&thread->counts.free_count, 1);
    acre_count_add(&thread->counts.free_bytes, bytes);
    acre_histogram_add(&thread->free_ns, ns);
}

static inline void acre_meter_count_failure(acre_meter_thread *thread) { acre_count_add(&thread->counts.failed_count, 1); }

/* Tells how many bytes the system holds for its blocks. Thread safe. O(1). */
ACRE_API void acre_meter_set_committed(acre_meter *meter, uint64_t bytes);

/* Sums all threads up. Exact when none of them counts meanwhile, else off by what goes on. Thread safe. O(threads). */
ACRE_API void acre_meter_read(acre_meter *meter, acre_meter_figures *figures);

/* ---- contracts ---- */

/* Which limits of a contract hold. */
enum {
    ACRE_LIMIT_ALLOC_NS = 1 << 0,
    ACRE_LIMIT_FREE_NS = 1 << 1,
    ACRE_LIMIT_FRAGMENTATION = 1 << 2,
    ACRE_LIMIT_LEAK_COUNT = 1 << 3,
    ACRE_LIMIT_LIVE_BYTES = 1 << 4,
    ACRE_LIMIT_FAILED_COUNT = 1 << 5,
    ACRE_LIMIT_ALL = (1 << 6) - 1,
};

typedef struct acre_contract {
    uint32_t limits;             /* ACRE_LIMIT_... of those below that count */
    uint32_t fragmentation_max;  /* per mille, 0 to 1000; met while nobody told the committed bytes */
    uint64_t alloc_ns_max;       /* of the slowest allocation */
    uint64_t free_ns_max;
    uint64_t leak_count_max;     /* blocks not freed: check it when all should be */
    uint64_t live_bytes_max;
    uint64_t failed_count_max;
    /* Called for every limit that is broken, with a sentence that is valid during the call; may be NULL. */
    void (*on_breach)(void *context, const char *sentence);
    void *context;
} acre_contract;

/* Compares what the meter counted with the contract. ACRE_OK: all limits hold. ACRE_BREACH: acre_last_error() tells the first
 * one that is broken, on_breach was called for each. ACRE_INVALID: unknown bits in `limits`, or fragmentation_max above 1000.
 * Thread safe. O(threads). */
ACRE_API acre_status acre_contract_check(const acre_contract *contract, acre_meter *meter) ACRE_MUST_USE;

/* The same for figures that have been read before. O(1). */
ACRE_API acre_status acre_contract_check_figures(const acre_contract *contract, const char *name,
                                                 const acre_meter_figures *figures) ACRE_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
