/* prefetch.h - what will be asked for next: keys that a cache may bring before they are.
 *
 *     acre_prefetcher *prefetcher;
 *     acre_prefetch_init(&prefetcher, &options, memory, bytes);
 *     for each key that is asked for:
 *         count = acre_prefetch_access(prefetcher, key, context, was_missing, keys, 16);
 *         bring those of keys[0 .. count - 1] that are not there
 *
 * There are three sources. A *sequence* is a run of keys that grow by one, any number of them mixed with each other. A *stride* is a
 * constant distance between the keys of one context: a file, a cursor, a call site. A *pair* is a key that has followed another one closely
 * more than once, wherever both are. What the caller knows by itself (a list of pages that a query is going to read) needs no prediction:
 * it goes to acre_prefetch_expect, so that it counts and is not predicted again.
 *
 * Each source is judged by its own counts. What it predicts is remembered until it is asked for (useful), or until as many more
 * predictions have been made as options.outstanding (polluting: it took the place of something else). A source of which less than a
 * quarter was useful is switched off; it goes on predicting for itself, and is switched on when half of that would have been useful. The
 * number of keys ahead of a sequence grows from 1 to depth_max as long as they are used, and to half of the sequence so far; more are
 * predicted when half of them have been used, so that several come in one request. Strides are followed 16 keys ahead at most.
 *
 * No I/O, no clock, no allocation. One call at a time on one prefetcher. Costs: O(1) and some 100 instructions an access, and what is
 * predicted. Memory: 72 bytes a stream, 40 a context, 56 a pair, 14 an outstanding key.
 *
 * Example: examples/prefetch.c.
 */
#ifndef ACRE_PREFETCH_H
#define ACRE_PREFETCH_H

#include <acre/policy.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum acre_prefetch_source {
    ACRE_PREFETCH_SEQUENCE = 0,
    ACRE_PREFETCH_STRIDE,
    ACRE_PREFETCH_PAIR,
    ACRE_PREFETCH_EXPECTED, /* by the caller; never switched off */
} acre_prefetch_source;

#define ACRE_PREFETCH_SOURCE_COUNT 4

typedef struct acre_prefetch_options {
    acre_policy_slot stream_count;  /* sequences that are followed at one time: 0 means 64 */
    acre_policy_slot context_count; /* contexts whose strides are known: 0 means 64 */
    acre_policy_slot pair_count;    /* keys whose followers are known: 0 means 1024 */
    acre_policy_slot outstanding;   /* predictions that may still turn out useful: 0 means 256. An eighth of the cache is a good measure */
    uint8_t depth_max;              /* keys ahead of a sequence or along a stride, 1 to
                                     * ACRE_PREFETCH_DEPTH_MAX: 0 means 16 */
} acre_prefetch_options;

#define ACRE_PREFETCH_DEPTH_MAX 128u

/* Each of the four counts is at most this. */
#define ACRE_PREFETCH_COUNT_MAX ((acre_policy_slot)(ACRE_POLICY_CAPACITY_MAX / 2))

typedef struct acre_prefetcher acre_prefetcher;

/* The memory that a prefetcher of these options takes; 0 when they are not valid. `options` NULL means all defaults. O(1). */
ACRE_API size_t acre_prefetch_bytes(const acre_prefetch_options *options);

/* A prefetcher in `bytes` bytes at `memory`, aligned to 8. Nothing has to be closed. ACRE_INVALID, and nothing was changed: a NULL, options
 * out of range, memory too small or not aligned. O(bytes). */
ACRE_API acre_status acre_prefetch_init(acre_prefetcher **prefetcher, const acre_prefetch_options *options, void *memory, size_t bytes);

/* `key` was asked for in `context` (0 where there are none). `was_missing`: the cache had to bring it. Writes at most `count_max` keys that
 * should be brought, the soonest first, and returns how many. None of them is `key`. */
ACRE_API size_t acre_prefetch_access(acre_prefetcher *prefetcher, uint64_t key, uint32_t context, bool was_missing, uint64_t *keys,
                                     size_t count_max);

/* The caller brings `key` because it knows that it will be asked for. */
ACRE_API void acre_prefetch_expect(acre_prefetcher *prefetcher, uint64_t key);

typedef struct acre_prefetch_figures {
    uint64_t issued_count;    /* keys handed out (or expected) */
    uint64_t useful_count;    /* of these, asked for in time */
    uint64_t polluting_count; /* of these, not */
    bool is_on;
} acre_prefetch_figures;

/* One source's counts, from the beginning. ACRE_INVALID: a NULL, or no such source. O(1). */
ACRE_API acre_status acre_prefetch_read_figures(const acre_prefetcher *prefetcher, acre_prefetch_source source,
                                                acre_prefetch_figures *figures);

/* Every invariant of its tables. For tests. O(size). */
ACRE_API bool acre_prefetch_is_valid(const acre_prefetcher *prefetcher);

#ifdef __cplusplus
}
#endif
#endif
