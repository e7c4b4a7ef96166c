/* rocks_cache.h - RocksDB's caches as peers of a replay. */
#ifndef ACRE_BENCH_ROCKS_CACHE_H
#define ACRE_BENCH_ROCKS_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rocks_cache rocks_cache;

/* Of `entry_count` entries in one shard, empty. NULL: there is none. */
rocks_cache *rocks_cache_open(bool is_hyper_clock, uint64_t entry_count);

/* Finds the key and lets go of it, true; or puts it in, false. */
bool rocks_cache_ask(rocks_cache *cache, uint64_t key);
void rocks_cache_close(rocks_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
