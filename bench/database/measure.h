/* measure.h - time, random numbers and medians for the benchmarks of the buffer pool. */
#ifndef ACRE_BENCH_DATABASE_MEASURE_H
#define ACRE_BENCH_DATABASE_MEASURE_H

#include <acre/buffer_pool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline bool is_quick(void)
{
    const char *const quick = getenv("ACRE_BENCH_QUICK");
    return quick != NULL && quick[0] != 0 && strcmp(quick, "0") != 0;
}

static inline int by_value(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* Sorts them. */
static inline double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static inline void must(acre_status status)
{
    if (status == ACRE_OK) return;
    fprintf(stderr, "%s\n", acre_last_error());
    abort();
}

static inline acre_buffer_pool *open_pool(const acre_buffer_pool_options *options, acre_device *device, uint32_t page_count)
{
    acre_buffer_pool *pool;
    uint32_t file;
    must(acre_buffer_pool_open(options, &pool));
    must(acre_buffer_pool_add_file(pool, device, page_count, &file));
    return pool;
}

#endif
