/* steps.c - the instructions of each single alloc and free of the offset allocator, counted by the processor's single-step trap, and how
 * far the most expensive one is from the median.
 *
 *     steps [OPERATIONS [EVERY]]     so many operations of each mix (1,000,000), of which every so many is counted (1: all; 200)
 *
 * The mixes are those of mixes.c. A trap costs 1 to 20 us, and an operation has hundreds, so counting all of a million takes
 * minutes to hours: tests/alloc/test_offset_bound.c counts basic blocks of all of them. x86-64 only. Exits with 1 when an operation costs
 * more than 4 times the median of its kind. */
#include "sizes.h"

#include <acre/offset_allocator.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__x86_64__) && defined(__linux__)

enum { BLOCKS_MAX = 131072, COUNT_MAX = 4096, TIMES_MAX = 4 };

static volatile sig_atomic_t steps;
static void count_step(int signal)
{
    (void)signal;
    steps = steps + 1;
}

static inline void begin_steps(void) { __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc"); }
static inline void end_steps(void) { __asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc"); }

static uint64_t random_state;

/* How many operations took so many instructions. */
typedef struct counts {
    uint64_t of[COUNT_MAX];
    uint64_t total;
} counts;

static void note(counts *c, long count)
{
    c->of[count < COUNT_MAX ? count : COUNT_MAX - 1]++;
    c->total++;
}

static int at_rank(const counts *c, uint64_t rank)
{
    uint64_t seen = 0;
    for (int i = 0; i < COUNT_MAX; i++) {
        seen += c->of[i];
        if (seen > rank) return i;
    }
    return COUNT_MAX;
}

static bool print(const char *mix, const char *what, const counts *c)
{
    if (c->total == 0) return true;
    const int median = at_rank(c, c->total / 2);
    const int most = at_rank(c, c->total - 1);
    printf("%-7s %-6s %10llu %8d %8d %8d %8.2f\n", mix, what, (unsigned long long)c->total, median,
           at_rank(c, c->total - 1 - c->total / 1000), most, (double)most / median);
    return most <= TIMES_MAX * median;
}

static bool run(const char *name, uint64_t (*size)(uint64_t *random), uint64_t range, uint64_t granule, acre_offset_strategy strategy,
                long operations, long every)
{
    static acre_offset_block blocks[BLOCKS_MAX];
    static uint64_t sizes[BLOCKS_MAX];
    static counts allocs, frees, failures;
    acre_space pages;
    acre_offset_allocator offsets;
    const acre_offset_options options = {.space = &pages, .size_bytes = range, .granule_bytes = granule};
    uint64_t live = 0;
    uint64_t offset = 0;
    uint32_t count = 0;
    allocs = frees = failures = (counts){.total = 0};
    random_state = 88172645463325252U;
    if (acre_space_open_pages(&pages, NULL) != ACRE_OK || acre_offset_allocator_open(&offsets, &options) != ACRE_OK) return false;
    for (long i = 0; i < operations; i++) {
        const bool is_counted = i % every == 0;
        acre_status status;
        steps = 0;
        if (live < range / 10 * 8 && count < BLOCKS_MAX) {
            sizes[count] = size(&random_state);
            if (is_counted) begin_steps();
            status = acre_offset_alloc(&offsets, sizes[count], granule, strategy, &blocks[count], &offset);
            if (is_counted) end_steps();
            if (is_counted) note(status == ACRE_OK ? &allocs : &failures, (long)steps);
            if (status == ACRE_OK) {
                live += sizes[count++];
                continue;
            }
        }
        steps = 0;
        if (count == 0) return false;
        const uint32_t which = (uint32_t)(next_random(&random_state) % count);
        if (is_counted) begin_steps();
        status = acre_offset_free(&offsets, blocks[which]);
        if (is_counted) end_steps();
        if (is_counted) note(&frees, (long)steps);
        if (status != ACRE_OK) return false;
        live -= sizes[which];
        sizes[which] = sizes[--count];
        blocks[which] = blocks[count];
    }
    const bool are_allocs_even = print(name, "alloc", &allocs);
    const bool are_frees_even = print(name, "free", &frees);
    const bool are_failures_even = print(name, "refuse", &failures);
    acre_offset_allocator_close(&offsets);
    acre_space_close(&pages);
    return are_allocs_even && are_frees_even && are_failures_even;
}

int main(int argument_count, char **arguments)
{
    const char *const quick = getenv("ACRE_BENCH_QUICK");
    const bool is_quick = quick != NULL && quick[0] == '1';
    const long operations = argument_count > 1 ? strtol(arguments[1], NULL, 10) : is_quick ? 100000 : 1000000;
    const long every = argument_count > 2 ? strtol(arguments[2], NULL, 10) : is_quick ? 10000 : 200;
    if (operations <= 0 || every <= 0) {
        fprintf(stderr, "usage: steps [OPERATIONS [EVERY]]\n");
        return 2;
    }
    (void)signal(SIGTRAP, count_step);
    printf("%-7s %-6s %10s %8s %8s %8s %8s\n", "mix", "what", "counted", "median", "99.9 %", "most", "times");
    const bool is_device_even = run("device", draw_gpu, (uint64_t)2 << 30, 256, ACRE_OFFSET_GOOD_FIT, operations, every);
    const bool is_small_even = run("small", draw_small, 64 << 20, 16, ACRE_OFFSET_GOOD_FIT, operations, every);
    const bool is_best_even = run("best", draw_small, 64 << 20, 16, ACRE_OFFSET_BEST_FIT, operations, every);
    return is_device_even && is_small_even && is_best_even ? 0 : 1;
}

#else
int main(void)
{
    printf("skip: no single steps on this machine\n");
    return 0;
}
#endif
