/* test_offset_bound.c - no alloc and no free of a million takes more than four times as long as the median one: counted in basic blocks of
 * the allocator's code, which the compiler has made to call a function each (-fsanitize-coverage=trace-pc). */
#include "../support/test.h"

#include <acre/offset_allocator.h>
#include <math.h>

enum { BLOCKS_MAX = 131072, COUNT_MAX = 2048, OPERATIONS = 1000000, TIMES_MAX = 4 };

static uint64_t passed_count;
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) { passed_count++; }

static uint64_t random_state;
static double unit_random(void) { return (double)(next_random(&random_state) >> 11) / 9007199254740992.0; }

static uint64_t device_size(void)
{
    const double which = unit_random();
    const double low = which < 0.6 ? 256 : which < 0.95 ? 65536 : 4194304;
    const double high = which < 0.6 ? 65536 : which < 0.95 ? 4194304 : 67108864;
    return (uint64_t)(low * exp(unit_random() * log(high / low)));
}

static uint64_t small_size(void) { return 1 + next_random(&random_state) % 2056; }

typedef struct counts {
    uint64_t of[COUNT_MAX];
    uint64_t total, most;
} counts;

static void note(counts *c)
{
    c->of[passed_count < COUNT_MAX ? passed_count : COUNT_MAX - 1]++;
    c->total++;
    if (passed_count > c->most) c->most = passed_count;
}

static void check(const counts *c)
{
    uint64_t seen = 0;
    uint64_t median = 0;
    while (seen + c->of[median] <= c->total / 2) seen += c->of[median++];
    assert_true(median > 3); /* the code is counted at all */
    if (c->most > TIMES_MAX * median) fail_msg("most %llu, median %llu", (unsigned long long)c->most, (unsigned long long)median);
}

static void run(uint64_t (*size)(void), uint64_t range, uint64_t granule, acre_offset_strategy strategy)
{
    static acre_offset_block blocks[BLOCKS_MAX];
    static uint64_t sizes[BLOCKS_MAX];
    static counts allocs, frees;
    acre_space pages;
    acre_offset_allocator offsets;
    const acre_offset_options options = {.space = &pages, .size_bytes = range, .granule_bytes = granule};
    uint64_t live = 0;
    uint64_t offset = 0;
    uint32_t count = 0;
    allocs = frees = (counts){.total = 0};
    random_state = 88172645463325252U;
    assert_int_equal(acre_space_open_pages(&pages, NULL), ACRE_OK);
    assert_int_equal(acre_offset_allocator_open(&offsets, &options), ACRE_OK);
    for (int i = 0; i < OPERATIONS; i++) {
        acre_status status = ACRE_NO_MEMORY;
        if (live < range / 10 * 8 && count < BLOCKS_MAX) {
            sizes[count] = size();
            passed_count = 0;
            status = acre_offset_alloc(&offsets, sizes[count], granule, strategy, &blocks[count], &offset);
            note(&allocs); /* refused ones, too */
        }
        if (status == ACRE_OK) {
            live += sizes[count++];
            continue;
        }
        const uint32_t which = (uint32_t)(next_random(&random_state) % count);
        passed_count = 0;
        assert_int_equal(acre_offset_free(&offsets, blocks[which]), ACRE_OK);
        note(&frees);
        live -= sizes[which];
        sizes[which] = sizes[--count];
        blocks[which] = blocks[count];
    }
    check(&allocs);
    check(&frees);
    acre_offset_allocator_close(&offsets);
    acre_space_close(&pages);
}

static void no_operation_takes_four_times_the_median(void **state)
{
    (void)state;
    run(device_size, (uint64_t)2 << 30, 256, ACRE_OFFSET_GOOD_FIT);
    run(device_size, (uint64_t)2 << 30, 256, ACRE_OFFSET_BEST_FIT);
    run(small_size, 64 << 20, 16, ACRE_OFFSET_GOOD_FIT);
    run(small_size, 64 << 20, 16, ACRE_OFFSET_BEST_FIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_operation_takes_four_times_the_median)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
