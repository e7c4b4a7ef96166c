/* cache_replay.h - traces given to policies: one job is one policy with one capacity over a whole trace. Jobs run side by side, one a core.
 */
#ifndef ACRE_TOOL_CACHE_REPLAY_H
#define ACRE_TOOL_CACHE_REPLAY_H

#include "cache_keys.h"

#include <acre/policy.h>

/* The kinds of acre/policy.h and behind them Belady's, which looks ahead. */
enum { CACHE_RULE_OPT = ACRE_POLICY_KIND_COUNT, CACHE_RULE_COUNT };

/* "lru", ..., "opt". */
const char *cache_rule_name(unsigned rule);
bool cache_rule_named(const char *name, unsigned *rule);

typedef struct cache_job {
    const cache_keys *keys;
    const uint32_t *next_uses; /* of keys->objects, as acre_belady_next_uses; for opt, else NULL */
    unsigned rule;
    uint32_t capacity;
    bool counts_squares; /* square_sum is wanted */
    bool reads_ahead;    /* with a prefetcher as a buffer pool has it; not opt */
    uint64_t miss_count;
    uint64_t read_count; /* misses, and what was read ahead */
    double square_sum;   /* of the misses of each object */
    const char *failure; /* NULL: it was done */
} cache_job;

/* "lru, 1,024 entries" of the job that is under way, and how much of all is done, from 0 to 1. In the calling thread. */
typedef void cache_progress(void *context, double share, const cache_job *job);

/* Runs all of them in `thread_count` threads, and asks `progress`, which may be NULL, about ten times a second. */
void cache_replay(cache_job *jobs, size_t count, unsigned thread_count, cache_progress *progress, void *context);

/* The array that opt needs, to be freed. */
uint32_t *cache_next_uses(const cache_keys *keys);

#endif
