/* test_partition.c - partitions: a greedy one harms nobody, contracts, rights, and reports of leaks that name owner and call site. */
#include "support/test.h"

#include <acre/partition.h>

enum { OWNER_COUNT = 4, SLOT_COUNT = 64, QUOTA = 32768 };
static _Alignas(64) unsigned char memory[1 << 20];
static acre_realtime heap;
static acre_partition partitions[OWNER_COUNT];

static acre_partition_options options_of(uint32_t owner)
{
    static const char *const names[OWNER_COUNT] = {"radio", "motor", "screen", "greedy"};
    return (acre_partition_options){
        .name = names[owner], .owner = owner, .quota_bytes = QUOTA, .contract = {.leak_count_max = SIZE_MAX}};
}

static void begin(acre_realtime_engine engine)
{
    assert_int_equal(acre_realtime_init(&heap, &(acre_realtime_options){.name = "all"}, memory, sizeof memory), ACRE_OK);
    for (uint32_t i = 0; i < OWNER_COUNT; i++) {
        acre_partition_options options = options_of(i);
        options.engine = engine;
        assert_int_equal(acre_partition_init(&partitions[i], &options, &heap), ACRE_OK);
    }
}

static void end(void)
{
    for (uint32_t i = 0; i < OWNER_COUNT; i++) assert_int_equal(acre_partition_end(&partitions[i]), ACRE_OK);
    assert_int_equal(heap.block_count, 0);
    assert_true(acre_realtime_is_valid(&heap));
}

/* ---- a greedy partition ---- */

/* A load of at most 40 blocks in three partitions; in the fourth all that can be had, between any two calls. Returns where blocks lay. */
static uint64_t run_load(acre_realtime_engine engine, bool with_greed)
{
    static void *slots[3][SLOT_COUNT];
    uint64_t random = 77, places = 14695981039346656037u, greed = 5;
    begin(engine);
    memset(slots, 0, sizeof slots);
    for (int i = 0; i < 60000; i++) {
        const uint64_t number = next_random(&random) >> 20;
        const uint32_t owner = (uint32_t)(number % 3);
        void **const slot = &slots[owner][number / 3 % 40];
        if (with_greed) (void)!acre_partition_alloc(&partitions[3], 3, (size_t)(next_random(&greed) >> 30) % 4000);
        if (*slot != NULL) {
            assert_int_equal(acre_partition_free(&partitions[owner], owner, *slot), ACRE_OK);
            *slot = NULL;
        } else {
            *slot = acre_partition_alloc(&partitions[owner], owner, (size_t)(number / 200) % 200);
            assert_non_null(*slot);
            places = (places ^ (uint64_t)((unsigned char *)*slot - memory)) * 1099511628211u;
        }
    }
    for (uint32_t i = 0; i < OWNER_COUNT; i++) {
        acre_partition_figures figures;
        assert_int_equal(acre_partition_read_figures(&partitions[i], &figures), ACRE_OK);
        if (i < 3) assert_int_equal(figures.heap.failure_count, 0);
        if (i == 3 && with_greed) assert_true(figures.heap.failure_count > 10000);
    }
    end();
    return places;
}

static void a_greedy_partition_changes_nothing_for_the_others(void **state)
{
    (void)state;
    for (int engine = 0; engine < ACRE_REALTIME_ENGINE_COUNT; engine++) {
        const uint64_t alone = run_load((acre_realtime_engine)engine, false);
        assert_true(alone == run_load((acre_realtime_engine)engine, true));
    }
}

/* ---- contracts ---- */

static uint64_t now;
static uint64_t call_cost;

static uint64_t read_clock(void)
{
    now += call_cost;
    return now;
}

static int heard[ACRE_PARTITION_BREACH_COUNT];
static uint64_t heard_figure;

static void note_breach(void *context, const acre_partition *partition, acre_partition_breach breach, uint64_t figure)
{
    acre_partition *const same = context;
    assert_ptr_equal(partition, same);
    assert_null(acre_partition_alloc(same, partition->options.owner, 1)); /* not from here */
    assert_int_equal(acre_partition_free(same, partition->options.owner, same), ACRE_BUSY);
    assert_int_equal(acre_partition_leaks(same, 0, &(acre_leak_report){.capacity = 0}), ACRE_BUSY);
    assert_int_equal(acre_partition_end(same), ACRE_BUSY);
    heard[breach]++;
    heard_figure = figure;
}

static void begin_contract(acre_partition_contract contract)
{
    acre_partition_options options = options_of(0);
    options.contract = contract;
    options.broken = note_breach;
    options.broken_context = &partitions[0];
    memset(heard, 0, sizeof heard);
    assert_int_equal(acre_realtime_init(&heap, &(acre_realtime_options){.name = "all"}, memory, sizeof memory), ACRE_OK);
    assert_int_equal(acre_partition_init(&partitions[0], &options, &heap), ACRE_OK);
}

static void a_call_above_its_limit_is_heard_of_with_its_cost(void **state)
{
    (void)state;
    acre_partition *const p = &partitions[0];
    acre_partition_figures figures;
    begin_contract((acre_partition_contract){.clock = read_clock, .alloc_cost_max = 100, .free_cost_max = 50, .leak_count_max = 1});
    call_cost = 100;
    void *block = acre_partition_alloc(p, 0, 10);
    assert_non_null(block);
    assert_int_equal(heard[ACRE_PARTITION_ALLOC_COST], 0);
    call_cost = 101;
    block = acre_partition_realloc(p, 0, block, 1000);
    assert_non_null(block);
    assert_int_equal(heard[ACRE_PARTITION_ALLOC_COST], 1);
    assert_int_equal(heard_figure, 101);
    call_cost = 50;
    assert_int_equal(acre_partition_free(p, 0, block), ACRE_OK);
    assert_int_equal(heard[ACRE_PARTITION_FREE_COST], 0);
    call_cost = 51;
    assert_int_equal(acre_partition_free(p, 0, block), ACRE_BAD_POINTER);
    assert_int_equal(heard[ACRE_PARTITION_FREE_COST], 1);
    assert_int_equal(acre_partition_read_figures(p, &figures), ACRE_OK);
    assert_int_equal(figures.alloc_cost_worst, 101);
    assert_int_equal(figures.free_cost_worst, 51);
    assert_int_equal(figures.breach_counts[ACRE_PARTITION_ALLOC_COST], 1);
    assert_int_equal(figures.breach_counts[ACRE_PARTITION_FREE_COST], 1);
}

static void fragmentation_above_its_limit_is_heard_of_once(void **state)
{
    (void)state;
    void *blocks[30];
    acre_partition *const p = &partitions[0];
    begin_contract((acre_partition_contract){.fragmentation_limit_per_mille = 300});
    for (int i = 0; i < 30; i++) blocks[i] = acre_partition_alloc(p, 0, 900);
    for (int i = 0; i < 30; i += 2) {
        const int before = heard[ACRE_PARTITION_FRAGMENTATION];
        acre_partition_figures figures;
        assert_int_equal(before, p->breach_counts[ACRE_PARTITION_FRAGMENTATION]);
        assert_int_equal(acre_partition_free(p, 0, blocks[i]), ACRE_OK);
        assert_int_equal(acre_partition_read_figures(p, &figures), ACRE_OK);
        const bool is_over = figures.heap.fragmentation_per_mille > 300;
        assert_int_equal(heard[ACRE_PARTITION_FRAGMENTATION], is_over);
        if (is_over && before == 0) assert_int_equal(heard_figure, figures.heap.fragmentation_per_mille);
    }
    assert_int_equal(heard[ACRE_PARTITION_FRAGMENTATION], 1);
}

static void a_partition_with_leaks_does_not_end(void **state)
{
    (void)state;
    acre_partition *const p = &partitions[0];
    size_t bytes;
    begin_contract((acre_partition_contract){.leak_count_max = 1});
    void *const first = acre_partition_alloc(p, 0, 10);
    void *const second = acre_partition_alloc(p, 0, 10);
    assert_int_equal(acre_partition_end(p), ACRE_BREACH);
    assert_int_equal(heard[ACRE_PARTITION_LEAK], 1);
    assert_int_equal(heard_figure, 2);
    assert_int_equal(acre_partition_free(p, 0, first), ACRE_OK);
    assert_ptr_equal(acre_partition_memory(p, &bytes), p->memory);
    assert_int_equal(bytes, QUOTA);
    assert_int_equal(acre_partition_end(p), ACRE_OK);
    assert_int_equal(heap.live_bytes, 0);
    assert_int_equal(acre_partition_end(p), ACRE_INVALID);
    assert_null(acre_partition_alloc(p, 0, 10));
    assert_int_equal(acre_partition_free(p, 0, second), ACRE_INVALID);
    assert_null(acre_partition_memory(p, &bytes));
    assert_int_equal(bytes, 0);
}

/* ---- rights ---- */

static void others_do_what_they_may(void **state)
{
    (void)state;
    for (uint32_t rights = 0; rights < 4; rights++) {
        acre_partition *const p = &partitions[0];
        acre_partition_options options = options_of(0);
        acre_partition_figures figures;
        options.others_may = rights;
        assert_int_equal(acre_realtime_init(&heap, &(acre_realtime_options){.name = "all"}, memory, sizeof memory), ACRE_OK);
        assert_int_equal(acre_partition_init(p, &options, &heap), ACRE_OK);
        const bool may_alloc = (rights & ACRE_PARTITION_ALLOC) != 0;
        const bool may_free = (rights & ACRE_PARTITION_FREE) != 0;
        void *const own = acre_partition_alloc(p, 0, 10);
        void *const other = acre_partition_alloc(p, 7, 10);
        assert_non_null(own);
        assert_true((other != NULL) == may_alloc);
        assert_true((acre_partition_realloc(p, 7, own, 12) != NULL) == may_alloc);
        assert_int_equal(acre_partition_free(p, 7, own), may_free ? ACRE_OK : ACRE_DENIED);
        assert_int_equal(acre_partition_free(p, 0, own), may_free ? ACRE_BAD_POINTER : ACRE_OK);
        assert_int_equal(acre_partition_read_figures(p, &figures), ACRE_OK);
        assert_int_equal(figures.denied_count, (may_alloc ? 0 : 2) + (may_free ? 0 : 1));
    }
}

/* ---- leaks ---- */

/* The call site of a block is in the function that asked. They count so that they are two functions, and the call is not their last act. */
static volatile unsigned good_count;
static volatile unsigned bad_count;

static __attribute__((noinline)) void *take_good(uint32_t owner, size_t size)
{
    void *const block = acre_partition_alloc(&partitions[owner], owner, size);
    good_count++;
    return block;
}

static __attribute__((noinline)) void *take_bad(uint32_t owner, size_t size)
{
    void *const block = acre_partition_alloc(&partitions[owner], owner, size);
    bad_count++;
    return block;
}

static acre_leak rows[8];

static acre_leak_report report_of(const uint32_t *marks, size_t capacity, acre_status expected)
{
    acre_leak_report report = {.leaks = rows, .capacity = capacity};
    for (uint32_t i = 0; i < OWNER_COUNT; i++) assert_int_equal(acre_partition_leaks(&partitions[i], marks[i], &report), expected);
    return report;
}

static void a_leak_of_1_in_1000_is_named_with_owner_and_call_site(void **state)
{
    (void)state;
    for (int engine = 0; engine < ACRE_REALTIME_ENGINE_COUNT; engine++) {
        void *kept[OWNER_COUNT];
        uint32_t marks[OWNER_COUNT];
        begin((acre_realtime_engine)engine);
        for (uint32_t i = 0; i < OWNER_COUNT; i++) {
            kept[i] = take_good(i, 100); /* before the mark: no leak */
            marks[i] = acre_partition_mark(&partitions[i]);
        }
        for (uint32_t i = 0; i < OWNER_COUNT; i++) {
            for (int k = 0; k < 1000; k++) {
                void *const block = k == 617 ? take_bad(i, 40 + i) : take_good(i, 40 + i);
                assert_non_null(block);
                if (k != 617) assert_int_equal(acre_partition_free(&partitions[i], i, block), ACRE_OK);
            }
        }
        const acre_leak_report report = report_of(marks, 8, ACRE_OK);
        assert_int_equal(report.count, OWNER_COUNT);
        assert_int_equal(report.left_out_count, 0);
        for (uint32_t i = 0; i < OWNER_COUNT; i++) {
            const acre_leak *const leak = &report.leaks[i];
            assert_int_equal(leak->owner, i);
            assert_string_equal(leak->partition, partitions[i].options.name);
            assert_int_equal(leak->block_count, 1);
            assert_true(leak->bytes >= 40 + i);
            assert_true((uintptr_t)leak->site - (uintptr_t)take_bad < 512); /* in that function */
            assert_ptr_equal(leak->site, report.leaks[0].site);
        }
        /* The table of the caller is full: what has no row is counted. */
        acre_leak_report small = {.leaks = rows, .capacity = 1};
        assert_int_equal(acre_partition_leaks(&partitions[0], 0, &small), ACRE_NO_MEMORY);
        assert_int_equal(small.count, 1);
        assert_int_equal(small.left_out_count, 1);
        for (uint32_t i = 0; i < OWNER_COUNT; i++) assert_int_equal(acre_partition_free(&partitions[i], i, kept[i]), ACRE_OK);
        end();
    }
}

static void blocks_of_one_call_site_are_told_apart_by_caller(void **state)
{
    (void)state;
    acre_partition *const p = &partitions[0];
    acre_partition_options options = options_of(0);
    acre_leak_report report = {.leaks = rows, .capacity = 8};
    options.others_may = ACRE_PARTITION_ALLOC;
    assert_int_equal(acre_realtime_init(&heap, &(acre_realtime_options){.name = "all"}, memory, sizeof memory), ACRE_OK);
    assert_int_equal(acre_partition_init(p, &options, &heap), ACRE_OK);
    for (uint32_t i = 0; i < 30; i++) assert_non_null(acre_partition_alloc_at(p, i % 3, 10, memory));
    assert_int_equal(acre_partition_leaks(p, 0, &report), ACRE_OK);
    assert_int_equal(report.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(report.leaks[i].owner, i);
        assert_int_equal(report.leaks[i].block_count, 10);
        assert_ptr_equal(report.leaks[i].site, memory);
    }
}

static void a_run_without_leaks_has_an_empty_report(void **state)
{
    (void)state;
    static struct {
        unsigned char *at;
        size_t size;
    } slots[OWNER_COUNT][SLOT_COUNT];
    uint32_t marks[OWNER_COUNT];
    uint64_t random = 99;
    begin(ACRE_REALTIME_TIGHT);
    memset(slots, 0, sizeof slots);
    for (int i = 0; i < 1000000; i++) {
        const uint64_t number = next_random(&random) >> 16;
        const uint32_t owner = (uint32_t)(number % OWNER_COUNT);
        const size_t index = (size_t)(number / OWNER_COUNT) % SLOT_COUNT;
        const size_t size = (size_t)(number >> 12) % 300;
        acre_partition *const p = &partitions[owner];
        unsigned char *const at = slots[owner][index].at;
        if (i == 1000) { /* what is out by then, stays: the lower half of the slots */
            for (uint32_t k = 0; k < OWNER_COUNT; k++) marks[k] = acre_partition_mark(&partitions[k]);
        }
        if (at == NULL && (i < 1000 || index >= SLOT_COUNT / 2)) {
            slots[owner][index].at = acre_partition_alloc(p, owner, size);
            assert_non_null(slots[owner][index].at);
            assert_true(acre_partition_usable_size(p, slots[owner][index].at) >= size);
            memset(slots[owner][index].at, (int)index, acre_partition_usable_size(p, slots[owner][index].at));
        } else if (at != NULL && i >= 1000 && index < SLOT_COUNT / 2) { /* changing its length makes it no new block */
            unsigned char *const moved = acre_partition_realloc(p, owner, at, 1 + size);
            assert_non_null(moved);
            assert_int_equal(*moved, index);
            memset(moved, (int)index, acre_partition_usable_size(p, moved));
            slots[owner][index].at = moved;
        } else if (at != NULL && i >= 1000) {
            assert_int_equal(acre_partition_free(p, owner, at), ACRE_OK);
            slots[owner][index].at = NULL;
        }
    }
    for (uint32_t owner = 0; owner < OWNER_COUNT; owner++) {
        for (size_t index = SLOT_COUNT / 2; index < SLOT_COUNT; index++) {
            if (slots[owner][index].at == NULL) continue;
            assert_int_equal(acre_partition_free(&partitions[owner], owner, slots[owner][index].at), ACRE_OK);
        }
        assert_true(partitions[owner].blocks.block_count > 20);
    }
    assert_int_equal(report_of(marks, 8, ACRE_OK).count, 0);
    const uint32_t since_the_beginning[OWNER_COUNT] = {0};
    assert_int_equal(report_of(since_the_beginning, 8, ACRE_OK).count, OWNER_COUNT);
    end();
}

static void a_leak_that_the_contract_forbids_is_a_breach(void **state)
{
    (void)state;
    acre_partition *const p = &partitions[0];
    acre_leak_report report = {.leaks = rows, .capacity = 8};
    begin_contract((acre_partition_contract){.leak_count_max = 0});
    void *const block = acre_partition_alloc_at(p, 0, 10, rows);
    assert_non_null(block);
    const uint32_t mark = acre_partition_mark(p);
    assert_int_equal(acre_partition_leaks(p, mark, &report), ACRE_OK);
    assert_int_equal(acre_partition_leaks(p, mark - 1, &report), ACRE_BREACH);
    assert_int_equal(heard[ACRE_PARTITION_LEAK], 1);
    assert_int_equal(report.count, 1);
    assert_ptr_equal(report.leaks[0].site, rows);
    ((unsigned char *)block)[-1] ^= 0x55;
    assert_int_equal(acre_partition_leaks(p, 0, &report), ACRE_CORRUPT);
}

/* ---- calls that are refused ---- */

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    acre_partition *const p = &partitions[0];
    acre_partition_options options = options_of(0);
    acre_leak_report report = {.leaks = rows, .capacity = 8};
    assert_int_equal(acre_realtime_init(&heap, &(acre_realtime_options){.name = "all"}, memory, sizeof memory), ACRE_OK);
    assert_int_equal(acre_partition_init(NULL, &options, &heap), ACRE_INVALID);
    assert_int_equal(acre_partition_init(p, NULL, &heap), ACRE_INVALID);
    assert_int_equal(acre_partition_init(p, &options, NULL), ACRE_INVALID);
    options.quota_bytes = ACRE_REALTIME_BYTES_MIN - 1;
    assert_int_equal(acre_partition_init(p, &options, &heap), ACRE_INVALID);
    options.quota_bytes = sizeof memory;
    assert_int_equal(acre_partition_init(p, &options, &heap), ACRE_NO_MEMORY);
    options.quota_bytes = 4096;
    options.alignment = 48;
    assert_int_equal(acre_partition_init(p, &options, &heap), ACRE_INVALID);
    options.alignment = 4096;
    options.engine = (acre_realtime_engine)ACRE_REALTIME_ENGINE_COUNT;
    assert_int_equal(acre_partition_init(p, &options, &heap), ACRE_INVALID);
    assert_int_equal(heap.live_bytes, 0);
    options.engine = ACRE_REALTIME_FAST;
    assert_int_equal(acre_partition_init(p, &options, &heap), ACRE_OK);
    assert_true((uintptr_t)acre_partition_memory(p, NULL) % 4096 == 0);
    assert_null(acre_partition_alloc(p, 0, SIZE_MAX));
    assert_null(acre_partition_alloc(p, 0, SIZE_MAX - 4));
    assert_null(acre_partition_alloc(NULL, 0, 1));
    assert_null(acre_partition_realloc(p, 0, rows, 8));
    assert_int_equal(acre_partition_free(p, 0, rows), ACRE_BAD_POINTER);
    assert_int_equal(acre_partition_free(p, 0, NULL), ACRE_OK);
    assert_int_equal(acre_partition_free(NULL, 0, rows), ACRE_INVALID);
    assert_int_equal(acre_partition_usable_size(p, rows), 0);
    assert_int_equal(acre_partition_usable_size(NULL, rows), 0);
    assert_int_equal(acre_partition_read_figures(p, NULL), ACRE_INVALID);
    assert_int_equal(acre_partition_leaks(p, 0, NULL), ACRE_INVALID);
    assert_int_equal(acre_partition_leaks(NULL, 0, &report), ACRE_INVALID);
    report.leaks = NULL;
    assert_int_equal(acre_partition_leaks(p, 0, &report), ACRE_INVALID);
    assert_int_equal(acre_partition_mark(NULL), 0);
    void *const block = acre_partition_alloc(p, 0, 100);
    const size_t taken = p->blocks.live_bytes;
    assert_non_null(block);
    assert_int_equal(acre_partition_block_bytes(ACRE_REALTIME_FAST, 100), taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greedy_partition_changes_nothing_for_the_others),
        cmocka_unit_test(a_call_above_its_limit_is_heard_of_with_its_cost),
        cmocka_unit_test(fragmentation_above_its_limit_is_heard_of_once),
        cmocka_unit_test(a_partition_with_leaks_does_not_end),
        cmocka_unit_test(others_do_what_they_may),
        cmocka_unit_test(a_leak_of_1_in_1000_is_named_with_owner_and_call_site),
        cmocka_unit_test(blocks_of_one_call_site_are_told_apart_by_caller),
        cmocka_unit_test(a_run_without_leaks_has_an_empty_report),
        cmocka_unit_test(a_leak_that_the_contract_forbids_is_a_breach),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
