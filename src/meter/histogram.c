/* histogram.c - see acre/histogram.h. */
#include <acre/histogram.h>

#include <assert.h>

enum { SPLIT = 1 << ACRE_HISTOGRAM_SPLIT_BITS };

uint64_t acre_histogram_least(uint32_t bucket)
{
    assert(bucket < ACRE_HISTOGRAM_BUCKETS);
    if (bucket < 2 * SPLIT) return bucket;
    const uint32_t shift = bucket / SPLIT - 1;
    return (uint64_t)(SPLIT + bucket % SPLIT) << shift;
}

uint64_t acre_histogram_greatest(uint32_t bucket)
{
    return bucket + 1 < ACRE_HISTOGRAM_BUCKETS ? acre_histogram_least(bucket + 1) - 1 : UINT64_MAX;
}

bool acre_histogram_is_valid(const acre_histogram *histogram)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < ACRE_HISTOGRAM_BUCKETS; i++) count += histogram->counts[i];
    if (count != histogram->count) return false;
    return count == 0 ? histogram->max == 0 : histogram->counts[acre_histogram_bucket(histogram->max)] > 0;
}

void acre_histogram_merge(acre_histogram *into, const acre_histogram *from)
{
    const uint64_t max = acre_count_read(&from->max);
    into->sum += acre_count_read(&from->sum);
    if (max > into->max) into->max = max;
    for (uint32_t i = 0; i < ACRE_HISTOGRAM_BUCKETS; i++) {
        /* Counted here and not taken from `from`, so that the sum is right also while its owner goes on. */
        const uint64_t count = acre_count_read(&from->counts[i]);
        into->counts[i] += count;
        into->count += count;
    }
}

uint64_t acre_histogram_percentile(const acre_histogram *histogram, uint32_t per_million)
{
    enum { MILLION = 1000000 };
    assert(per_million <= MILLION);
    if (histogram->count == 0) return 0;

    /* ceil(count * share) in two parts, since count * per_million may not fit 64 bits. */
    const uint64_t whole = histogram->count / MILLION * per_million;
    const uint64_t part = (histogram->count % MILLION * per_million + MILLION - 1) / MILLION;
    const uint64_t wanted = whole + part > 0 ? whole + part : 1;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < ACRE_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen < wanted) continue;
        const uint64_t greatest = acre_histogram_greatest(i);
        return greatest < histogram->max ? greatest : histogram->max;
    }
    return histogram->max;
}
