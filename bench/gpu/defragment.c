/* defragment.c - how full a block of 2 GiB gets on the mix of a GPU when an allocation that finds no extent may have others moved away for
 * it. In all not more than `percent` of the block's bytes are moved.
 *
 *     defragment [PERCENT [SEEDS]]        5 %, nine seeds
 *
 * After the churn of mixes.c allocations go on until one fails for good. Prints for each manager and seed: what is in use without and with
 * moves, what was moved, and the time of the plans. No API is behind it: a move costs nothing here, its bytes are counted. VMA, where
 * scripts/get-vma has fetched it, does not know of the size that is waited for: its passes move on until there is room. */
#include "movers.h"
#include "sizes.h"

#include <acre/gpu.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MEMORIES_MAX = 65536, MOVES_MAX = 4096, STEPS = 20000, ALIGNMENT_BYTES = 256 };
#define RANGE_BYTES ((uint64_t)2 << 30)

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

/* ---- acre as a mover ---- */

static acre_gpu *gpu;
static acre_gpu_pool *pool;
static uint64_t alignment;

static void must(acre_status status)
{
    if (status == ACRE_OK) return;
    fprintf(stderr, "%s\n", acre_last_error());
    exit(1);
}

static bool open_pool(uint64_t range_bytes, uint64_t alignment_bytes)
{
    static const acre_gpu_driver_ops ops = {
        .size_bytes = sizeof(acre_gpu_driver_ops), .query = query, .allocate = allocate, .free = give_back};
    static acre_gpu_driver driver = {.ops = &ops, .name = "bench"};
    const acre_gpu_pool_options options = {.block_bytes = range_bytes, .block_count_max = 1};
    alignment = alignment_bytes;
    return acre_gpu_open(&driver, NULL, &gpu) == ACRE_OK && acre_gpu_pool_open(gpu, &options, &pool) == ACRE_OK;
}

static bool alloc_one(uint64_t size, uint64_t *handle)
{
    const acre_gpu_request request = {.size_bytes = size, .alignment_bytes = alignment, .pool = pool};
    return acre_gpu_alloc(gpu, &request, handle) == ACRE_OK;
}

static void free_one(uint64_t handle) { must(acre_gpu_free(gpu, handle)); }

static uint64_t make_room(uint64_t size, uint64_t bytes_max)
{
    static acre_gpu_move moves[MOVES_MAX];
    acre_gpu_gain gain;
    uint32_t move_count = MOVES_MAX;
    must(acre_gpu_plan_moves(gpu, pool, 0, bytes_max, size, moves, &move_count, &gain));
    for (uint32_t i = 0; i < move_count; i++) moves[i].outcome = ACRE_GPU_MOVE_DONE;
    must(acre_gpu_end_moves(gpu, pool, 0, moves, move_count));
    return gain.moved_bytes;
}

static void close_pool(void)
{
    must(acre_gpu_check(gpu));
    must(acre_gpu_pool_close(pool));
    must(acre_gpu_close(gpu));
}

static const mover acre_mover = {"acre", open_pool, alloc_one, free_one, make_room, close_pool};

static const mover *const movers[] = {
    &acre_mover,
#ifdef WITH_VMA
    &vma_mover,
#endif
};

/* ---- the mix ---- */

typedef struct live {
    uint64_t handle, size_bytes;
} live;

static const mover *now;
static live lives[MEMORIES_MAX];
static uint32_t count;
static uint64_t live_bytes, moved_bytes, planning_ns, plan_count;

static bool take(uint64_t size)
{
    if (count == MEMORIES_MAX || !now->alloc(size, &lives[count].handle)) return false;
    lives[count++].size_bytes = size;
    live_bytes += size;
    return true;
}

static void drop(uint32_t which)
{
    now->free(lives[which].handle);
    live_bytes -= lives[which].size_bytes;
    lives[which] = lives[--count];
}

static uint64_t now_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Takes it after as many moves as that needs; false: that many may not be, or do not help. */
static bool take_by_moves(uint64_t size, uint64_t bytes_max)
{
    for (;;) {
        const uint64_t before = now_ns();
        const uint64_t moved = now->make_room(size, bytes_max - moved_bytes);
        planning_ns += now_ns() - before;
        plan_count++;
        moved_bytes += moved;
        if (moved_bytes > bytes_max) {
            fprintf(stderr, "%s: %llu bytes moved of %llu at most\n", now->name, (unsigned long long)moved_bytes,
                    (unsigned long long)bytes_max);
            exit(1);
        }
        if (take(size)) return true;
        if (moved == 0) return false;
    }
}

/* Percent in use when an allocation fails for good. */
static double run(uint64_t seed, unsigned percent)
{
    const uint64_t bytes_max = RANGE_BYTES / 100 * percent;
    uint64_t random_state = 88172645463325252U + seed * 1000003;
    count = 0;
    live_bytes = moved_bytes = planning_ns = plan_count = 0;
    if (!now->open(RANGE_BYTES, ALIGNMENT_BYTES)) {
        fprintf(stderr, "%s could not be opened\n", now->name);
        exit(1);
    }
    for (int step = 0; step < STEPS; step++) {
        while (live_bytes < RANGE_BYTES / 10 * 8 && take(draw_gpu(&random_state))) {}
        drop((uint32_t)(next_random(&random_state) % count));
    }
    for (;;) {
        const uint64_t size = draw_gpu(&random_state);
        if (take(size)) continue;
        if (percent == 0 || !take_by_moves(size, bytes_max)) break;
    }
    const double fill = (double)live_bytes / (double)RANGE_BYTES * 100.0;
    while (count > 0) drop(count - 1);
    now->close();
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
    printf("%-5s %4s %12s %12s %10s %8s %12s\n", "", "seed", "in use %", "with moves %", "moved MiB", "plans", "us per plan");
    for (size_t m = 0; m < sizeof movers / sizeof *movers; m++) {
        now = movers[m];
        for (unsigned seed = 0; seed < seeds; seed++) {
            fills[0][seed] = run(seed, 0);
            fills[1][seed] = run(seed, percent);
            printf("%-5s %4u %12.1f %12.1f %10.1f %8llu %12.0f\n", now->name, seed, fills[0][seed], fills[1][seed],
                   (double)moved_bytes / 1048576.0, (unsigned long long)plan_count,
                   plan_count == 0 ? 0.0 : (double)planning_ns / (double)plan_count / 1000.0);
        }
        qsort(fills[0], seeds, sizeof **fills, compare);
        qsort(fills[1], seeds, sizeof **fills, compare);
        printf("%s: median in use %.1f %%, with %u %% of the bytes moved at most %.1f %%\n", now->name, fills[0][seeds / 2], percent,
               fills[1][seeds / 2]);
    }
    return 0;
}
