/* test_ahead.c - a buffer pool that reads ahead, and one that knows what more frames would be worth. */
#include "database/devices.h"

#include <acre/budget.h>
#include <acre/buffer_pool.h>
#include <pthread.h>

enum { PAGE_BYTES = 4096, PAGE_COUNT = 3000 };

typedef struct fixture {
    test_device device;
    acre_buffer_pool *pool;
    uint32_t file;
} fixture;

/* The device has PAGE_COUNT pages, with their numbers in them; the pool thinks that there may be twice as many. */
static bool open_fixture(fixture *f, test_device_kind kind, const acre_buffer_pool_options *options)
{
    static uint32_t pages[PAGE_COUNT][PAGE_BYTES / sizeof(uint32_t)];
    memset(f, 0, sizeof *f);
    if (!test_device_open(&f->device, kind, sizeof pages)) return false;
    for (uint32_t i = 0; i < PAGE_COUNT; i++) pages[i][0] = pages[i][PAGE_BYTES / sizeof(uint32_t) - 1] = i;
    for (uint32_t i = 0; i < PAGE_COUNT; i += 100) {
        void *aligned;
        assert_int_equal(posix_memalign(&aligned, PAGE_BYTES, 100 * PAGE_BYTES), 0);
        memcpy(aligned, pages[i], 100 * PAGE_BYTES);
        const acre_device_part part = {.bytes = aligned, .size_bytes = 100 * PAGE_BYTES};
        acre_device_request write = {.verb = ACRE_DEVICE_WRITE, .parts = &part, .part_count = 1, .offset = (uint64_t)i * PAGE_BYTES};
        assert_int_equal(acre_device_do(f->device.device, &write), ACRE_OK);
        free(aligned);
    }
    assert_int_equal(acre_buffer_pool_open(options, &f->pool), ACRE_OK);
    assert_int_equal(acre_buffer_pool_add_file(f->pool, f->device.device, 2 * PAGE_COUNT, &f->file), ACRE_OK);
    return true;
}

static void close_fixture(fixture *f)
{
    while (acre_buffer_pool_poll(f->pool) > 0) continue;
    assert_int_equal(acre_buffer_pool_close(f->pool), ACRE_OK);
    test_device_close(&f->device);
}

static acre_buffer_pool_figures figures_of(const fixture *f)
{
    acre_buffer_pool_figures figures;
    assert_int_equal(acre_buffer_pool_read_figures(f->pool, &figures), ACRE_OK);
    return figures;
}

static bool is_page_right(const fixture *f, uint32_t page)
{
    acre_page_ref ref;
    acre_status status;
    while ((status = acre_buffer_pool_fix(f->pool, acre_page(f->file, page), ACRE_FIX_SHARED, &ref)) == ACRE_BUSY) continue;
    if (status != ACRE_OK) return false;
    const uint32_t *const words = (const uint32_t *)(const void *)ref.page;
    const bool is_right = words[0] == page && words[PAGE_BYTES / sizeof *words - 1] == page;
    return acre_buffer_pool_unfix(&ref, 0) == ACRE_OK && is_right;
}

static void a_scan_is_read_ahead_in_long_requests_and_not_beyond_the_end(void **state)
{
    (void)state;
    for (test_device_kind kind = 0; kind < DEVICE_KIND_COUNT; kind++) {
        for (unsigned is_ahead = 0; is_ahead < 2; is_ahead++) {
            fixture f;
            if (!open_fixture(&f, kind, &(acre_buffer_pool_options){.frame_count = 2048, .reads_ahead = is_ahead})) continue;
            for (uint32_t page = 0; page < PAGE_COUNT; page++) assert_true(is_page_right(&f, page));
            const acre_buffer_pool_figures figures = figures_of(&f);
            if (is_ahead) {
                assert_in_range(figures.read_request_count, PAGE_COUNT / 64, PAGE_COUNT / 64 + 40);
                assert_int_equal(figures.read_count, PAGE_COUNT);
                assert_in_range(figures.miss_count, 2, 8);
                assert_in_range(figures.useful_count, PAGE_COUNT - 10, PAGE_COUNT);
            } else {
                assert_int_equal(figures.read_request_count, PAGE_COUNT);
                assert_int_equal(figures.foreseen_count, 0);
            }
            assert_true(acre_buffer_pool_is_valid(f.pool));
            close_fixture(&f);
        }
    }
}

static void what_does_not_help_costs_little(void **state)
{
    (void)state;
    fixture f;
    uint64_t random = 3;
    assert_true(open_fixture(&f, DEVICE_SIMULATED, &(acre_buffer_pool_options){.frame_count = 64, .reads_ahead = true}));
    for (unsigned i = 0; i < 20000; i++) assert_true(is_page_right(&f, (uint32_t)(next_random(&random) % PAGE_COUNT)));
    const acre_buffer_pool_figures figures = figures_of(&f);
    assert_true(figures.miss_count > 19000);
    assert_true(figures.read_count < figures.miss_count + 200);
    close_fixture(&f);
}

typedef struct scan {
    const fixture *f;
    uint32_t begin, step;
    bool is_right;
} scan;

static void *run_scan(void *context)
{
    scan *const s = context;
    s->is_right = true;
    for (unsigned round = 0; round < 3; round++)
        for (uint32_t i = 0; i < 1000; i++) s->is_right = is_page_right(s->f, s->begin + i * s->step) && s->is_right;
    return NULL;
}

static void scans_of_several_threads_are_read_ahead(void **state)
{
    enum { THREADS = 4 };
    (void)state;
    for (test_device_kind kind = 0; kind < DEVICE_KIND_COUNT; kind++) {
        fixture f;
        pthread_t threads[THREADS];
        scan scans[THREADS];
        if (!open_fixture(&f, kind, &(acre_buffer_pool_options){.frame_count = 512, .reads_ahead = true, .curve_keys_max = 256})) continue;
        for (unsigned i = 0; i < THREADS; i++) {
            scans[i] = (scan){&f, i == 3 ? 0 : i * 1000, i == 3 ? 2 : 1, false};
            assert_int_equal(pthread_create(&threads[i], NULL, run_scan, &scans[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_true(scans[i].is_right);
        }
        const acre_buffer_pool_figures figures = figures_of(&f);
        assert_true(figures.useful_count > 4000 && figures.miss_count < 8000); /* of 12,000 */
        close_fixture(&f);
    }
}

static void loop_over(const fixture *f, uint32_t pages, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++)
        for (uint32_t page = 0; page < pages; page++) assert_true(is_page_right(f, page));
}

static void the_curve_knows_where_a_loop_fits(void **state)
{
    static const uint64_t sizes[] = {64, 90, 110, 200};
    (void)state;
    fixture f;
    uint32_t misses[4];
    assert_true(open_fixture(&f, DEVICE_SIMULATED, &(acre_buffer_pool_options){.frame_count = 32, .curve_keys_max = 1024}));
    loop_over(&f, 100, 1000);
    assert_int_equal(acre_buffer_pool_read_curve(f.pool, sizes, misses, 4), ACRE_OK);
    assert_true(misses[0] > 990000 && misses[1] > 990000 && misses[2] < 10000 && misses[3] < 10000);
    assert_int_equal(acre_buffer_pool_read_curve(f.pool, NULL, misses, 4), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_read_curve(NULL, sizes, misses, 4), ACRE_INVALID);
    close_fixture(&f);
}

/* Two loops, of which each fits its share, but not half of the budget. */
static void one_budget_is_divided_between_two_pools(void **state)
{
    (void)state;
    fixture f[2];
    acre_budget budget;
    acre_budget_member members[2] = {{.name = "long"}, {.name = "short"}};
    assert_int_equal(acre_budget_init(&budget, 640 * PAGE_BYTES), ACRE_OK);
    for (unsigned i = 0; i < 2; i++) {
        const acre_buffer_pool_options options = {
            .frame_count = 320, .frame_count_max = 640, .policy = ACRE_POLICY_LRU, .curve_keys_max = 1024};
        assert_true(open_fixture(&f[i], DEVICE_SIMULATED, &options));
        members[i].read = acre_buffer_pool_read_costs;
        members[i].resize = acre_buffer_pool_resize_bytes;
        members[i].context = f[i].pool;
        members[i].bytes_min = 64 * PAGE_BYTES;
        assert_int_equal(acre_budget_add(&budget, &members[i]), ACRE_OK);
    }
    for (unsigned round = 0; round < 20; round++) {
        loop_over(&f[0], 450, 3);
        loop_over(&f[1], 120, 10);
        (void)acre_budget_step(&budget);
        (void)acre_budget_step(&budget);
    }
    const uint64_t misses_before = figures_of(&f[0]).miss_count + figures_of(&f[1]).miss_count;
    loop_over(&f[0], 450, 3);
    loop_over(&f[1], 120, 10);
    assert_int_equal(figures_of(&f[0]).miss_count + figures_of(&f[1]).miss_count, misses_before);
    assert_true(figures_of(&f[0]).frame_count >= 450 && figures_of(&f[1]).frame_count >= 120);
    assert_true(acre_budget_is_valid(&budget));
    for (unsigned i = 0; i < 2; i++) close_fixture(&f[i]);
}

static void without_them_there_is_nothing_to_tell(void **state)
{
    (void)state;
    fixture f;
    const uint64_t sizes[] = {16, 32};
    uint64_t costs[] = {9, 9};
    uint32_t misses[2];
    acre_buffer_pool *none = NULL;
    assert_true(open_fixture(&f, DEVICE_SIMULATED, &(acre_buffer_pool_options){.frame_count = 32, .frame_count_max = 64}));
    assert_int_equal(acre_buffer_pool_read_curve(f.pool, sizes, misses, 2), ACRE_UNSUPPORTED);
    acre_buffer_pool_read_costs(f.pool, sizes, costs, 2);
    assert_true(costs[0] == 0 && costs[1] == 0);
    acre_buffer_pool_read_costs(NULL, sizes, costs, 2);
    acre_buffer_pool_read_costs(f.pool, sizes, NULL, 2);
    assert_int_equal(acre_buffer_pool_resize_bytes(NULL, 5), 0);
    assert_int_equal(acre_buffer_pool_resize_bytes(f.pool, 48 * PAGE_BYTES), 48 * PAGE_BYTES);
    assert_int_equal(figures_of(&f).frame_count, 48);
    assert_int_equal(acre_buffer_pool_resize_bytes(f.pool, 1), 16 * PAGE_BYTES); /* the least */
    assert_int_equal(acre_buffer_pool_resize_bytes(f.pool, 1000 * PAGE_BYTES), 1000 * PAGE_BYTES);
    assert_int_equal(figures_of(&f).frame_count, 64); /* the most */
    close_fixture(&f);
    const acre_buffer_pool_options deep = {.frame_count = 16, .reads_ahead = true, .ahead.depth_max = ACRE_PREFETCH_DEPTH_MAX + 1};
    const acre_buffer_pool_options many = {.frame_count = 16, .curve_keys_max = ACRE_CURVE_KEYS_MAX + 1};
    assert_int_equal(acre_buffer_pool_open(&deep, &none), ACRE_INVALID);
    assert_int_equal(acre_buffer_pool_open(&many, &none), ACRE_INVALID);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_is_read_ahead_in_long_requests_and_not_beyond_the_end),
        cmocka_unit_test(what_does_not_help_costs_little),
        cmocka_unit_test(scans_of_several_threads_are_read_ahead),
        cmocka_unit_test(the_curve_knows_where_a_loop_fits),
        cmocka_unit_test(one_budget_is_divided_between_two_pools),
        cmocka_unit_test(without_them_there_is_nothing_to_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
