/* histogram.h - how often which value occurred, for latencies: log-linear buckets, after HdrHistogram (Gil Tene).
 *
 * Every power of two is cut into 32 equal buckets, so a value is known to 1 part in 32 (3 %), from 0 to 2^64 - 1. Values below
 * 32 are exact. Adding is a few instructions; histograms of several threads are
 * added up by acre_histogram_merge. 15 KiB each; zeroed memory is an empty histogram.
 *
 * Freestanding. One writer; others may read meanwhile and see each bucket as it was at some moment.
 *
 * Example: examples/meter.c.
 */
#ifndef ACRE_HISTOGRAM_H
#define ACRE_HISTOGRAM_H

#include <acre/status.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ACRE_HISTOGRAM_SPLIT_BITS = 5, /* 2^5 buckets a power of two */
    ACRE_HISTOGRAM_BUCKETS = (64 - ACRE_HISTOGRAM_SPLIT_BITS + 1) << ACRE_HISTOGRAM_SPLIT_BITS,
};

typedef struct acre_histogram {
    uint64_t count; /* sum of counts */
    uint64_t sum;   /* of the values; wraps around at 2^64 */
    uint64_t max;   /* exact; 0 when empty */
    uint64_t counts[ACRE_HISTOGRAM_BUCKETS];
} acre_histogram;

/* A counter that one thread writes and any may read: a plain load, addition and store. (A 32-bit machine without threads has no
 * 64-bit store that is seen whole, and needs none.) */
static inline void acre_count_set(uint64_t *counter, uint64_t value)
{
#if __SIZEOF_POINTER__ >= 8
    __atomic_store_n(counter, value, __ATOMIC_RELAXED);
#else
    *counter = value;
#endif
}

static inline uint64_t acre_count_read(const uint64_t *counter)
{
#if __SIZEOF_POINTER__ >= 8
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
#else
    return *counter;
#endif
}

static inline void acre_count_add(uint64_t *counter, uint64_t amount) { acre_count_set(counter, acre_count_read(counter) + amount); }

static inline uint32_t acre_histogram_bucket(uint64_t value)
{
    /* With the lowest split bit set, values below 32 fall into bucket `value` like all others. */
    const uint32_t log2 = 63u - (uint32_t)__builtin_clzll(value | 1u << ACRE_HISTOGRAM_SPLIT_BITS);
    const uint32_t shift = log2 - ACRE_HISTOGRAM_SPLIT_BITS;
    return (shift << ACRE_HISTOGRAM_SPLIT_BITS) + (uint32_t)(value >> shift);
}

/* O(1). */
static inline void acre_histogram_add(acre_histogram *histogram, uint64_t value)
{
    acre_count_add(&histogram->count, 1);
    acre_count_add(&histogram->sum, value);
    if (value > acre_count_read(&histogram->max)) acre_count_set(&histogram->max, value);
    acre_count_add(&histogram->counts[acre_histogram_bucket(value)], 1);
}

/* True when every invariant holds. O(buckets). */
ACRE_API bool acre_histogram_is_valid(const acre_histogram *histogram);

/* Adds what `from` counted to `into`. O(buckets). */
ACRE_API void acre_histogram_merge(acre_histogram *into, const acre_histogram *from);

/* The least value of the bucket, and the greatest. `bucket` is below ACRE_HISTOGRAM_BUCKETS. O(1). */
ACRE_API uint64_t acre_histogram_least(uint32_t bucket);
ACRE_API uint64_t acre_histogram_greatest(uint32_t bucket);

/* A value that at least `per_million` of a million values do not exceed (500000 is the median, 999000 is p99.9): the greatest
 * value of the bucket in which it lies, at most 3 % too high and never above max. per_million is 0 ... 1000000; an empty
 * histogram gives 0. O(buckets). */
ACRE_API uint64_t acre_histogram_percentile(const acre_histogram *histogram, uint32_t per_million);

#ifdef __cplusplus
}
#endif
#endif
