/* hyper_clock.h - RocksDB's HyperClockCache as a peer of the buffer pool's hits. */
#ifndef ACRE_BENCH_HYPER_CLOCK_H
#define ACRE_BENCH_HYPER_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hyper_clock hyper_clock;

/* With pages 0 to entry_count - 1 in it. NULL: it did not take them. */
hyper_clock *hyper_clock_open(uint64_t entry_count);

/* Finds, pins and unpins a page; 0: it is not there. */
int hyper_clock_touch(hyper_clock *cache, uint64_t page);
void hyper_clock_close(hyper_clock *cache);

#ifdef __cplusplus
}
#endif
#endif
