/* curve.h - how often a running cache would miss at any other size: its miss-ratio curve under LRU, live.
 *
 *     acre_curve_options options = {.keys_max = 8192, .share = 100};
 *     acre_curve *curve;
 *     acre_curve_init(&curve, &options, memory, bytes);      memory of acre_curve_bytes(&options) bytes
 *     ...
 *     acre_curve_access(curve, key);                         each time that the cache is asked for a key, hit or miss
 *     ...
 *     acre_curve_read(curve, sizes, misses, count);          misses in a million requests with so many entries
 *
 * A key is looked at when its hash is below a threshold, which comes down until no more than `keys_max` keys are met (SHARDS of fixed size;
 * Waldspurger and others 2015): all others cost one multiplication, one comparison and one count. Of the keys in the sample the stack
 * distance is exact, so as long as there are no more than `keys_max` of them, so is the curve.
 *
 * A sample of few keys can still be a large part of all requests. So the curve looks for a while, of 16 * keys_max sampled requests, and
 * then lets as many requests pass unseen as it takes to have looked at no more than one in `share` altogether; then it begins afresh with
 * another sample. What a key's distance was before that is not known, only that it is longer than what was seen since: such requests count
 * up to that distance and are left out beyond it (Kaplan, Meier 1958). Only while the first look lasts, when the cache begins empty, a key
 * that is new counts as a miss at every size. Older looks weigh less and less, so the curve follows what the program does.
 *
 * Threads: one call at a time, under the cache's lock or in shards of their own; acre_curve_wants may be asked by any thread at any time,
 * so that a hit without a lock only takes it for the sample.
 *
 * Costs: see acre_curve_access. Memory: about 49 bytes for each of keys_max. Freestanding, never allocates, no floating point.
 *
 * Example: examples/curve.c.
 */
#ifndef ACRE_CURVE_H
#define ACRE_CURVE_H

#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_CURVE_KEYS_MIN 64u
#if UINTPTR_MAX > 0xffffffffu
#define ACRE_CURVE_KEYS_MAX 0x10000u
#else
#define ACRE_CURVE_KEYS_MAX 0x1000u
#endif
#define ACRE_CURVE_SHARE_MAX 1000000u
#define ACRE_CURVE_MILLION   1000000u

typedef struct acre_curve_options {
    uint32_t keys_max; /* keys in the sample: ACRE_CURVE_KEYS_MIN to ACRE_CURVE_KEYS_MAX. What is exact as long as that many are used;
                        * beyond it 16,384 keep a smooth curve within 0.01 and know a cliff's place to 2 % */
    uint32_t share;    /* look at no more than one request in so many, in the long run; 0: at every request of a key in the sample. At most
                        * ACRE_CURVE_SHARE_MAX */
} acre_curve_options;

/* Lies at the beginning of the memory that it was given. The fields are for the implementation. */
typedef struct acre_curve {
    uint64_t limit; /* a key is in the sample when key * factor is below it */
    uint64_t factor;
    uint64_t left;      /* requests until something is to be done */
    uint64_t left_then; /* what it was when `threshold` was set: the difference has passed since */
    uint64_t threshold; /* of 2^32: the share of keys in the sample */
    uint64_t random;
    uint64_t look_passed;   /* requests of this look before `threshold` was set */
    uint64_t sampled_count; /* requests that were looked at, in this look */
    uint64_t expected;      /* weight that the sample would have if it had its share of all requests, without those that passed since */
    uint64_t sampled;       /* weight that it has */
    uint64_t look_count;
    uint32_t keys_max, share;
    uint32_t key_count, slot_count, next_slot, table_bits;
    uint64_t *keys;     /* [slot]: slots are in the order of last use */
    uint64_t *words;    /* a bit a slot: it is its key's last use */
    uint32_t *sums;     /* of bits, a Fenwick tree of the words */
    uint32_t *table;    /* open addressing: slot + 1, 0: free */
    uint32_t *places;   /* [slot]: in `table` */
    uint32_t *hits;     /* [distance]: weight of requests with so many other keys of the sample between */
    uint32_t *censored; /* [distance]: weight of requests of which only is known that it was at least that */
} acre_curve;

/* The memory that a curve of these options takes, 0 when they are not valid. O(1). */
ACRE_API size_t acre_curve_bytes(const acre_curve_options *options);

/* A curve that has seen nothing, in `bytes` bytes at `memory`, aligned to 8, which are the curve's until nobody calls it. ACRE_INVALID, and
 * nothing was changed: a NULL, options out of their ranges, memory that is too small or not aligned. O(bytes). */
ACRE_API acre_status acre_curve_init(acre_curve **curve, const acre_curve_options *options, void *memory, size_t bytes);

/* True: the next request has to be given to acre_curve_access. False: it may be counted by acre_curve_pass instead. Any thread, at any
 * time. O(1): in a pause, which with a `share` of 1,000 nearly always is, one comparison. */
static inline bool acre_curve_wants(const acre_curve *curve, uint64_t key)
{
#if UINTPTR_MAX > 0xffffffffu
    const uint64_t limit = __atomic_load_n(&curve->limit, __ATOMIC_RELAXED);
    return limit != 0 && key * __atomic_load_n(&curve->factor, __ATOMIC_RELAXED) < limit;
#else
    return key * curve->factor < curve->limit; /* under the lock there */
#endif
}

/* A request for a key in the sample, or when something is due. Called by acre_curve_access. O(log keys_max) amortised; at most
 * O(keys_max), when the sample is thinned out or its slots are counted anew. */
ACRE_API void acre_curve_take(acre_curve *curve, uint64_t key);

/* The cache was asked for `key`: any 64-bit number or hash, need not be well mixed. Under the lock. */
static inline void acre_curve_access(acre_curve *curve, uint64_t key)
{
    const uint64_t left = curve->left - 1;
    curve->left = left;
    if (left == 0 || key * curve->factor < curve->limit) acre_curve_take(curve, key);
}

/* `count` requests that acre_curve_wants did not want. Under the lock. O(1). */
ACRE_API void acre_curve_pass(acre_curve *curve, uint64_t count);

/* misses[i]: of a million requests those that would miss with sizes[i] entries; sizes ascend. A million everywhere when nothing was seen.
 * ACRE_INVALID: a NULL, or sizes that do not ascend; `misses` is then undefined. Under the lock. O(keys_max + count). */
ACRE_API acre_status acre_curve_read(const acre_curve *curve, const uint64_t *sizes, uint32_t *misses, size_t count);

/* Which share of all keys is in the sample: so many in a million, at least 1. O(1). */
ACRE_API uint32_t acre_curve_rate(const acre_curve *curve);

/* Every invariant of its memory. For tests. O(keys_max). */
ACRE_API bool acre_curve_is_valid(const acre_curve *curve);

#ifdef __cplusplus
}
#endif
#endif
