/* test_stream_order.c - what the order of streams promises beside safety, which test_stream_order_model.c has: sizes, threshold, limits. */
#include "gpu/stream_order.h"

#include "support/test.h"

enum { BLOCKS = 100 };

typedef struct fixture {
    acre_stream_order order;
    void *memory;
    uint64_t event_passed; /* events up to this have passed */
    unsigned ask_count;
} fixture;

static bool has_passed(void *context, uint64_t event)
{
    fixture *const f = context;
    f->ask_count++;
    return event <= f->event_passed;
}

static void open_fixture(fixture *f, uint32_t reuse)
{
    memset(f, 0, sizeof *f);
    const acre_stream_order_options options = {.stream_count = 4,
                                               .block_count_max = BLOCKS,
                                               .reuse = reuse,
                                               .release_threshold_bytes = 1000,
                                               .has_passed = has_passed,
                                               .context = f};
    f->memory = malloc(acre_stream_order_bytes(&options));
    assert_non_null(f->memory);
    assert_true(acre_stream_order_init(&f->order, &options, f->memory));
}

static void close_fixture(fixture *f)
{
    assert_true(acre_stream_order_is_valid(&f->order));
    free(f->memory);
}

/* A block of this size becomes free in a stream, with an event. */
static bool give(fixture *f, uint32_t stream, uint64_t address, uint64_t size_bytes, uint64_t event)
{
    acre_stream_order_add_used(&f->order, size_bytes);
    return acre_stream_order_free(&f->order,
                                  &(acre_stream_block){.address = address, .size_bytes = size_bytes, .event = event, .stream = stream});
}

static uint64_t take(fixture *f, uint32_t stream, uint64_t size_bytes, uint64_t alignment)
{
    acre_stream_block block;
    acre_stream_reuse reuse;
    return acre_stream_order_take(&f->order, stream, size_bytes, alignment, &block, &reuse) ? block.address : 0;
}

static void options_outside_their_ranges_are_refused(void **state)
{
    (void)state;
    const acre_stream_order_options bad[] = {{.stream_count = 0, .block_count_max = 1},
                                             {.stream_count = ACRE_STREAM_ORDER_STREAMS_MAX + 1, .block_count_max = 1},
                                             {.stream_count = 1, .block_count_max = 0},
                                             {.stream_count = 1, .block_count_max = ACRE_STREAM_ORDER_BLOCKS_MAX + 1},
                                             {.stream_count = 1, .block_count_max = 1, .reuse = 8}};
    acre_stream_order order;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(acre_stream_order_bytes(&bad[i]), 0);
        assert_false(acre_stream_order_init(&order, &bad[i], NULL));
    }
}

static void the_shortest_block_that_is_long_enough_is_taken(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0);
    const uint64_t sizes[] = {1200, 1024, 1100, 1023, 1250, 900};
    for (unsigned i = 0; i < 6; i++) assert_true(give(&f, 0, (i + 1) * 4096, sizes[i], i));
    assert_int_equal(take(&f, 0, 1024, 256), 2 * 4096);
    assert_int_equal(take(&f, 0, 1024, 256), 3 * 4096);
    assert_int_equal(take(&f, 0, 1024, 256), 1 * 4096);
    assert_int_equal(take(&f, 0, 1024, 256), 5 * 4096);
    assert_int_equal(take(&f, 0, 1024, 256), 0);
    assert_int_equal(f.order.free_bytes, 1023 + 900);
    assert_int_equal(f.order.miss_count, 1);
    close_fixture(&f);
}

static void a_block_more_than_a_quarter_longer_or_not_aligned_is_left(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0);
    assert_true(give(&f, 0, 4096, 1281, 1));
    assert_true(give(&f, 0, 4096 + 256, 1024, 2));
    assert_int_equal(take(&f, 0, 1024, 512), 0);
    assert_int_equal(take(&f, 0, 1024, 256), 4096 + 256);
    assert_int_equal(take(&f, 0, 1025, 512), 4096);
    assert_true(give(&f, 0, 4096, UINT64_MAX / 2, 3));
    assert_int_equal(take(&f, 0, UINT64_MAX - 8, 1), 0);
    assert_int_equal(take(&f, 0, UINT64_MAX / 2, 1), 4096);
    close_fixture(&f);
}

static void sizes_of_all_magnitudes_come_back_in_order(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0);
    uint64_t seed = 88172645463325252u;
    for (unsigned round = 0; round < 2000; round++) {
        uint64_t sizes[BLOCKS];
        for (unsigned i = 0; i < 20; i++) {
            sizes[i] = next_random(&seed) >> (8 + next_random(&seed) % 56) | 1;
            assert_true(give(&f, 0, i + 1, sizes[i], 0));
        }
        assert_true(acre_stream_order_is_valid(&f.order));
        for (unsigned i = 0; i < 20; i++) {
            const uint64_t wanted = sizes[next_random(&seed) % 20];
            uint64_t best = 0;
            if (wanted == 0) continue; /* that one is taken */
            for (unsigned k = 0; k < 20; k++) {
                const bool is_fit = sizes[k] >= wanted && sizes[k] <= wanted + wanted / 4;
                if (is_fit && (best == 0 || sizes[k] < sizes[best - 1])) best = k + 1;
            }
            const uint64_t found = take(&f, 0, wanted, 1);
            acre_stream_order_drop_used(&f.order, f.order.used_bytes);
            assert_int_equal(found == 0, best == 0);
            if (found == 0) continue;
            assert_int_equal(sizes[found - 1], sizes[best - 1]);
            sizes[found - 1] = 0;
        }
        f.event_passed = UINT64_MAX;
        acre_stream_order_synchronise(&f.order, 0);
        while (f.order.free_bytes > 0) {
            acre_stream_block block;
            acre_stream_reuse reuse;
            for (unsigned k = 0; k < 20; k++)
                if (sizes[k] != 0) (void)acre_stream_order_take(&f.order, 0, sizes[k], 1, &block, &reuse);
            acre_stream_order_drop_used(&f.order, f.order.used_bytes);
        }
    }
    close_fixture(&f);
}

static void a_full_table_refuses_and_the_block_stays_in_use(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0);
    for (unsigned i = 0; i < BLOCKS; i++) assert_true(give(&f, 1, i + 1, 512, i));
    assert_false(give(&f, 1, 1000, 512, 1));
    assert_int_equal(f.order.used_bytes, 512);
    acre_stream_order_drop_used(&f.order, 512);
    assert_int_not_equal(take(&f, 1, 512, 1), 0);
    assert_int_equal(f.order.used_bytes, 512);
    close_fixture(&f);
}

typedef struct given {
    uint64_t addresses[BLOCKS];
    unsigned count;
} given;

static void note_given(void *context, const acre_stream_block *block)
{
    given *const g = context;
    g->addresses[g->count++] = block->address;
}

static void what_is_held_beyond_the_threshold_goes_at_synchronisation_oldest_first(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, 0);
    for (unsigned i = 0; i < 6; i++) assert_true(give(&f, i % 2, (i + 1) * 512, 500, i + 1));
    acre_stream_order_add_used(&f.order, 300);
    given g = {.count = 0};
    acre_stream_order_synchronise(&f.order, 0);
    assert_int_equal(acre_stream_order_trim(&f.order, f.order.options.release_threshold_bytes, note_given, &g), 1500);
    assert_int_equal(g.count, 3);
    for (unsigned i = 0; i < 3; i++) assert_int_equal(g.addresses[i], (2 * i + 1) * 512);
    assert_int_equal(f.ask_count, 1); /* of stream 1, which has not got there: once for all of its blocks */
    acre_stream_order_synchronise(&f.order, 1);
    assert_int_equal(acre_stream_order_trim(&f.order, f.order.options.release_threshold_bytes, note_given, &g), 1000);
    assert_int_equal(f.order.used_bytes + f.order.free_bytes, 800);
    assert_int_equal(f.order.released_count, 5);
    assert_int_equal(f.order.held_bytes_max, 3300);
    close_fixture(&f);
}

static void a_waiter_for_memory_is_told_the_oldest_event(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, ACRE_REUSE_PASSED);
    acre_stream_block block;
    assert_false(acre_stream_order_oldest(&f.order, &block));
    assert_true(give(&f, 2, 512, 512, 7));
    assert_true(give(&f, 3, 1024, 512, 8));
    assert_true(acre_stream_order_oldest(&f.order, &block));
    assert_int_equal(block.event, 7);
    f.event_passed = 7;
    assert_true(acre_stream_order_oldest(&f.order, &block));
    assert_int_equal(block.event, 8);
    assert_int_equal(take(&f, 0, 512, 1), 512);
    assert_int_equal(take(&f, 0, 512, 1), 0);
    f.event_passed = 8;
    assert_false(acre_stream_order_oldest(&f.order, &block));
    assert_int_equal(take(&f, 0, 512, 1), 1024);
    assert_int_equal(f.order.reuse_counts[ACRE_REUSED_PASSED], 2);
    close_fixture(&f);
}

static void what_is_not_allowed_is_not_used(void **state)
{
    (void)state;
    for (uint32_t reuse = 0; reuse < 8; reuse++) {
        fixture f;
        open_fixture(&f, reuse);
        uint64_t times[4];
        assert_true(give(&f, 0, 512, 512, 1));
        acre_stream_order_record(&f.order, 0, times);
        acre_stream_order_wait(&f.order, 1, times);
        assert_true(give(&f, 0, 1024, 512, 2));
        f.event_passed = 2;
        acre_stream_block block;
        acre_stream_reuse how = ACRE_REUSED_SAME;
        const bool is_found = acre_stream_order_take(&f.order, 1, 512, 1, &block, &how);
        assert_int_equal(is_found, reuse != 0);
        if (is_found)
            assert_int_equal(how, reuse & ACRE_REUSE_FOLLOWED ? ACRE_REUSED_FOLLOWED
                                  : reuse & ACRE_REUSE_PASSED ? ACRE_REUSED_PASSED
                                                              : ACRE_REUSED_WAIT);
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_outside_their_ranges_are_refused),
        cmocka_unit_test(the_shortest_block_that_is_long_enough_is_taken),
        cmocka_unit_test(a_block_more_than_a_quarter_longer_or_not_aligned_is_left),
        cmocka_unit_test(sizes_of_all_magnitudes_come_back_in_order),
        cmocka_unit_test(a_full_table_refuses_and_the_block_stays_in_use),
        cmocka_unit_test(what_is_held_beyond_the_threshold_goes_at_synchronisation_oldest_first),
        cmocka_unit_test(a_waiter_for_memory_is_told_the_oldest_event),
        cmocka_unit_test(what_is_not_allowed_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
