/* cache_keys.h - a trace in memory: its keys as numbers from 0 in the order of first use, or a sample of them.
 *
 * A sample has all requests of the keys whose hash is below a threshold (SHARDS; Waldspurger and others 2015). The threshold is given, or
 * comes down as often as more objects than wanted were met; objects that are above it by then are taken out again, so the outcome is the
 * same as if it had been that low from the beginning. Memory: 4 bytes for each request that is in the sample, about 40 for each object.
 */
#ifndef ACRE_TOOL_CACHE_KEYS_H
#define ACRE_TOOL_CACHE_KEYS_H

#include "cache_trace.h"

typedef struct cache_keys_slot {
    uint64_t key;
    uint32_t object; /* number + 1; 0: free */
} cache_keys_slot;

typedef struct cache_keys {
    uint32_t *objects; /* of each request in the sample */
    size_t count, capacity;
    uint32_t object_count;
    uint64_t request_count; /* of the trace */
    uint64_t threshold;     /* of 2^32: hashes below it are in the sample */
    uint32_t object_max;
    bool is_too_long; /* there were more requests than CACHE_KEYS_MAX */
    uint64_t *keys;   /* of each object */
    size_t keys_capacity;
    cache_keys_slot *slots; /* open addressing */
    size_t slot_count;
} cache_keys;

#define CACHE_KEYS_MAX 0xf0000000u /* requests, and objects */

/* `rate`: above 0, at most 1; `object_max`: 0 for as many as there are. */
void cache_keys_begin(cache_keys *keys, double rate, uint32_t object_max);

/* A cache_trace_take; context: the cache_keys. False when there is no room for more. */
bool cache_keys_take(void *context, uint64_t key);

/* The object of a key, or UINT32_MAX. */
uint32_t cache_keys_object(const cache_keys *keys, uint64_t key);

void cache_keys_end(cache_keys *keys);

/* Which share of all keys is in the sample; 1: all. */
double cache_keys_rate(const cache_keys *keys);

#endif
