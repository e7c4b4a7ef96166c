/* sample.h - which allocations a profile looks at: each byte with the same small probability, independently (a Poisson
 * process). As it has no memory, every class of every thread may run its own, and together they are one. */
#ifndef ACRE_HEAP_SAMPLE_H
#define ACRE_HEAP_SAMPLE_H

#include <stdint.h>

/* Bytes until the next sample: exponential with the given mean. `random` is the generator's state, not 0. Mean 0: INT64_MAX.
 * O(1). */
int64_t acre_sample_draw(uint64_t *random, uint64_t mean_bytes);
static inline int64_t acre_sample_distance(uint64_t *random, uint64_t mean_bytes)
{
    return mean_bytes == 0 ? INT64_MAX : acre_sample_draw(random, mean_bytes);
}

/* How many bytes an allocation that was sampled stands for: `size` / its probability to be sampled. `counted` is the size by
 * which it ran down the distance, >= size. O(1). */
uint64_t acre_sample_weight(uint64_t size, uint64_t counted, uint64_t mean_bytes);

#endif
