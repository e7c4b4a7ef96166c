/* sizes.h - the two mixes of sizes of bench/gpu, and the random numbers that they are drawn by.
 *
 * small: 1 to 2056 bytes, each as likely. gpu: 60 % of 256 bytes to 64 KiB, 35 % up to 4 MiB, 5 % up to 64 MiB, in each range as likely by
 * logarithm. */
#ifndef ACRE_BENCH_GPU_SIZES_H
#define ACRE_BENCH_GPU_SIZES_H

#include <math.h>
#include <stdint.h>

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline double fraction(uint64_t *random) { return (double)(next_random(random) >> 11) / 9007199254740992.0; }

static inline uint64_t by_logarithm(uint64_t *random, double low, double high)
{
    return (uint64_t)exp(log(low) + fraction(random) * (log(high) - log(low)));
}

static inline uint64_t draw_small(uint64_t *random) { return 1 + next_random(random) % 2056; }

static inline uint64_t draw_gpu(uint64_t *random)
{
    const double which = fraction(random);
    if (which < 0.60) return by_logarithm(random, 256, 65536);
    if (which < 0.95) return by_logarithm(random, 65536, 4 << 20);
    return by_logarithm(random, 4 << 20, 64 << 20);
}

#endif
