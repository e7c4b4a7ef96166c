/* defragment.c - how full a block of 2 GiB gets on the mix of a GPU when an allocation that finds no extent may have others moved away for
 * it. In all not more than `percent` of the block's bytes are moved.
 *
 * After the churn of mixes.c allocations go on until one fails for good. Prints for each seed: permille in use without and with moves, what
 * was moved, and the time of the plans. No API is behind it: a move costs nothing here, its bytes are counted. */
#include "sizes.h"

#include <acre/gpu.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MEMORIES_MAX = 65536, MOVES_MAX = 4096, STEPS = 20000 };
#define RANGE_BYTES ((uint64_t)2 << 30)

static acre_gpu *gpu;
static acre_gpu_pool *pool;
static acre_gpu_memory memories[MEMORIES_MAX];
static uint32_t count;
static uint64_t live_bytes, moved_bytes, planning_ns, plan_count;

static uint64_t random_state;

/* ---- a device without memory ---- */

static acre_status query(acre_gpu_driver *driver, acre_gpu_device *device)
{
    (void)driver;
    *device = (acre_gpu_device){.name = "none",
                                .heap_count = 1,
                                .type_count = 1,
                                .heaps = {{.size_bytes = RANGE_BYTES, .flags = ACRE_GPU_DEVICE_LOCAL}},
                                .types = {{.heap = 0, .flags = ACRE_GPU_DEVICE_LOCAL}},
                                .granularity_bytes = 1,
                                .atom_bytes = 1};
    return ACRE_OK;
}

static acre_status allocate(acre_gpu_driver *driver, const acre_gpu_block_request *request, acre_gpu_handle *handle)
{
    (void)driver, (void)request;
    *handle = 1;
    return ACRE_OK;
}

static void give_back(acre_gpu_driver *driver, acre_gpu_handle handle, uint32_t type, uint64_t size_bytes)
{
    (void)driver, (void)handle, (void)type, (void)size_bytes;
}

/* ---- the mix ---- */

static void must(acre_status status)
{
    if (status == ACRE_OK) return;
    fprintf(stderr, "%s\n", acre_last_error());
    exit(1);
}

static bool take(uint64_t size)
{
    const acre_gpu_request request = {.size_bytes = size, .alignment_bytes = 256, .pool = pool};
    if (count == MEMORIES_MAX || acre_gpu_alloc(gpu, &request, &memories[count]) != ACRE_OK) return false;
    count++;
    live_bytes += size;
    return true;
}

static void drop(uint32_t which)
{
    acre_gpu_memory_info info;
    must(acre_gpu_read_memory(gpu, memories[which], &info));
    must(acre_gpu_free(gpu, memories[which]));
    live_bytes -= info.size_bytes;
    memories[which] = memories[--count];
}

static uint64_t now_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Moves others away; true when an extent of that size is there. */
static bool make_room(uint64_t size, uint64_t bytes_max)
{
    static acre_gpu_move moves[MOVES_MAX];
    acre_gpu_gain gain;
    uint32_t move_count = MOVES_MAX;
    const uint64_t before = now_ns();
    must(acre_gpu_plan_moves(gpu, pool, 0, bytes_max - moved_bytes, size, moves, &move_count, &gain));
    planning_ns += now_ns() - before;
    plan_count++;
    for (uint32_t i = 0; i < move_count; i++) moves[i].outcome = ACRE_GPU_MOVE_DONE;
    must(acre_gpu_end_moves(gpu, pool, 0, moves, move_count));
    moved_bytes += gain.moved_bytes;
    return gain.largest_extent_after_bytes >= size;
}

static double run(uint64_t seed, unsigned percent)
{
    static const acre_gpu_driver_ops ops = {
        .size_bytes = sizeof(acre_gpu_driver_ops), .query = query, .allocate = allocate, .free = give_back};
    acre_gpu_driver driver = {.ops = &ops, .name = "bench"};
    const uint64_t bytes_max = RANGE_BYTES / 100 * percent;
    random_state = 88172645463325252U + seed * 1000003;
    count = 0;
    live_bytes = moved_bytes = planning_ns = plan_count = 0;
    must(acre_gpu_open(&driver, NULL, &gpu));
    must(acre_gpu_pool_open(gpu, &(acre_gpu_pool_options){.block_bytes = RANGE_BYTES, .block_count_max = 1}, &pool));
    for (int step = 0; step < STEPS; step++) {
        while (live_bytes < RANGE_BYTES / 10 * 8 && take(draw_gpu(&random_state))) {}
        drop((uint32_t)(next_random(&random_state) % count));
    }
    for (;;) {
        const uint64_t size = draw_gpu(&random_state);
        if (take(size)) continue;
        if (percent == 0 || !make_room(size, bytes_max) || !take(size)) break;
    }
    must(acre_gpu_check(gpu));
    const double fill = (double)live_bytes / (double)RANGE_BYTES * 100.0;
    while (count > 0) drop(count - 1);
    must(acre_gpu_pool_close(pool));
    must(acre_gpu_close(gpu));
    return fill;
}

static int compare(const void *one, const void *other)
{
    const double a = *(const double *)one;
    const double b = *(const double *)other;
    return a < b ? -1 : a > b;
}

int main(int argument_count, char **arguments)
{
    enum { SEEDS_MAX = 100 };
    static double fills[2][SEEDS_MAX];
    const char *const quick = getenv("ACRE_BENCH_QUICK");
    const unsigned percent = argument_count > 1 ? (unsigned)strtoul(arguments[1], NULL, 10) : 5;
    unsigned seeds = argument_count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : quick != NULL && quick[0] == '1' ? 1 : 9;
    if (seeds == 0 || seeds > SEEDS_MAX || percent > 100) {
        fprintf(stderr, "usage: defragment [PERCENT [SEEDS]]\n");
        return 2;
    }
    printf("%4s %12s %12s %10s %8s %12s\n", "seed", "in use %", "with moves %", "moved MiB", "plans", "us per plan");
    for (unsigned seed = 0; seed < seeds; seed++) {
        fills[0][seed] = run(seed, 0);
        fills[1][seed] = run(seed, percent);
        printf("%4u %12.1f %12.1f %10.1f %8llu %12.0f\n", seed, fills[0][seed], fills[1][seed], (double)moved_bytes / 1048576.0,
               (unsigned long long)plan_count, plan_count == 0 ? 0.0 : (double)planning_ns / (double)plan_count / 1000.0);
    }
    qsort(fills[0], seeds, sizeof **fills, compare);
    qsort(fills[1], seeds, sizeof **fills, compare);
    printf("median in use: %.1f %%, with %u %% of the bytes moved at most: %.1f %%\n", fills[0][seeds / 2], percent, fills[1][seeds / 2]);
    return 0;
}
