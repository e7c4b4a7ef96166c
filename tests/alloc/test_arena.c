/* test_arena.c - runs against the simplest model: who has each unit. Over numbers that are no addresses, in several regions. */
#include "support/spaces.h"
#include "support/test.h"

#include "alloc/arena.h"

enum { REGION_UNITS = 256, REGION_COUNT = 4, RUN_COUNT_MAX = 200 };

typedef struct fixture {
    acre_space space;
    acre_space meta_space;
    acre_meta meta;
    acre_page_map map;
    uint8_t *root;
    acre_arena arena;
    acre_span *runs[RUN_COUNT_MAX];
    size_t run_count;
    uint16_t owners[REGION_UNITS * REGION_COUNT]; /* 0: free */
} fixture;

static int set_up_over(void **state, acre_space_kind kind)
{
    fixture *const f = calloc(1, sizeof *f);
    const uint64_t size = (uint64_t)REGION_UNITS * REGION_COUNT * ACRE_UNIT_BYTES;
    assert_int_equal(test_space_open(&f->space, kind, size), ACRE_OK);
    assert_int_equal(acre_space_open_pages(&f->meta_space, NULL), ACRE_OK);
    assert_int_equal(acre_meta_init(&f->meta, &f->meta_space), ACRE_OK);
    const acre_addr base = f->space.base & ~(acre_addr)(ACRE_UNIT_BYTES - 1); /* mapped memory begins at any page */
    acre_page_map_init_range(&f->map, &f->root, &f->meta, base, size + ACRE_UNIT_BYTES);
    acre_arena_init(&f->arena, &f->space, &f->map, &f->meta, (uint64_t)REGION_UNITS * ACRE_UNIT_BYTES);
    *state = f;
    return 0;
}

static int set_up(void **state) { return set_up_over(state, ACRE_SPACE_HANDLE); }
static int set_up_purgeable(void **state) { return set_up_over(state, ACRE_SPACE_SHARED); }

static int tear_down(void **state)
{
    fixture *const f = *state;
    acre_arena_destroy(&f->arena);
    acre_meta_destroy(&f->meta);
    test_space_close(&f->space);
    free(f);
    return 0;
}

static void set_owner(fixture *f, const acre_span *run, uint64_t first, uint64_t end, uint16_t before, uint16_t owner)
{
    const uint64_t base = (run->base - f->space.base) >> ACRE_UNIT_SHIFT;
    for (uint64_t unit = first; unit < end; unit++) {
        assert_int_equal(f->owners[base + unit], before);
        f->owners[base + unit] = owner;
    }
}

static void random_runs_never_overlap(void **state)
{
    fixture *const f = *state;
    uint64_t random = 7;
    uint16_t next_owner = 1;
    uint16_t owner_of[RUN_COUNT_MAX];
    for (int step = 0; step < 30000; step++) {
        const uint64_t number = next_random(&random);
        const size_t at = f->run_count == 0 ? 0 : (size_t)((number >> 20) % f->run_count);
        const uint64_t count = 1 + ((number >> 30) % 8 == 0 ? (number >> 40) % 150 : (number >> 40) % 9);
        bool is_zero;
        if (f->run_count == 0 || (number % 100 < 50 && f->run_count < RUN_COUNT_MAX)) {
            const uint64_t alignment = (uint64_t)1 << (number >> 8) % 19;
            acre_span *const run = acre_arena_take(&f->arena, count, alignment, ACRE_SPAN_LARGE, &is_zero);
            if (run == NULL) continue;
            assert_true(run->base % alignment == 0 && run->unit_count == count);
            set_owner(f, run, 0, count, 0, next_owner);
            f->runs[f->run_count] = run;
            owner_of[f->run_count++] = next_owner++;
            if (next_owner == 0) next_owner = 1;
        } else if (number % 100 < 90) {
            set_owner(f, f->runs[at], 0, f->runs[at]->unit_count, owner_of[at], 0);
            acre_arena_give(&f->arena, f->runs[at], number % 3 == 0);
            f->runs[at] = f->runs[--f->run_count];
            owner_of[at] = owner_of[f->run_count];
        } else if (number % 100 < 95) {
            const uint64_t before = f->runs[at]->unit_count;
            if (acre_arena_extend(&f->arena, f->runs[at], before + count, &is_zero)) {
                set_owner(f, f->runs[at], before, before + count, 0, owner_of[at]);
            }
        } else if (f->runs[at]->unit_count > 1) {
            const uint64_t before = f->runs[at]->unit_count;
            const uint64_t kept = 1 + (number >> 50) % (before - 1);
            set_owner(f, f->runs[at], kept, before, owner_of[at], 0);
            acre_arena_shrink(&f->arena, f->runs[at], kept);
        }
        if (step % 100 == 0) assert_true(acre_arena_is_valid(&f->arena));
    }
    while (f->run_count > 0) acre_arena_give(&f->arena, f->runs[--f->run_count], false);
    assert_true(acre_arena_is_valid(&f->arena));
    assert_int_equal(acre_arena_read_figures(&f->arena).run_bytes, 0);
}

static void the_shortest_run_that_fits_is_taken(void **state)
{
    fixture *const f = *state;
    bool is_zero;
    acre_span *holes[3];
    acre_span *walls[3];
    static const uint64_t lengths[] = {20, 7, 12};
    for (int i = 0; i < 3; i++) {
        holes[i] = acre_arena_take(&f->arena, lengths[i], 1, ACRE_SPAN_LARGE, &is_zero);
        walls[i] = acre_arena_take(&f->arena, 1, 1, ACRE_SPAN_LARGE, &is_zero);
    }
    const acre_addr bases[] = {holes[0]->base, holes[1]->base, holes[2]->base};
    for (int i = 0; i < 3; i++) acre_arena_give(&f->arena, holes[i], false);
    assert_true(acre_arena_take(&f->arena, 10, 1, ACRE_SPAN_LARGE, &is_zero)->base == bases[2]);
    assert_true(acre_arena_take(&f->arena, 6, 1, ACRE_SPAN_LARGE, &is_zero)->base == bases[1]);
    assert_true(acre_arena_take(&f->arena, 20, 1, ACRE_SPAN_LARGE, &is_zero)->base == bases[0]);
    (void)walls;
}

static void every_length_has_a_list_and_longer_ones_never_an_earlier_one(void **state)
{
    (void)state;
    unsigned before = acre_bin_of(1);
    assert_int_equal(before, 0);
    for (uint64_t count = 2; count < 5000; count++) {
        const unsigned bin = acre_bin_of(count);
        assert_in_range(bin, before, before + 1);
        if (count <= ACRE_BIN_EXACT_MAX) assert_int_equal(bin, count - 1);
        before = bin;
    }
    assert_in_range(acre_bin_of(UINT32_MAX), before, ACRE_BIN_COUNT - 1);
    assert_int_equal(acre_bin_of(UINT64_MAX), ACRE_BIN_COUNT - 1);
}

static void a_full_space_gives_nothing_and_keeps_what_it_has(void **state)
{
    fixture *const f = *state;
    bool is_zero;
    acre_span *const all = acre_arena_take(&f->arena, REGION_UNITS * REGION_COUNT, 1, ACRE_SPAN_LARGE, &is_zero);
    assert_non_null(all);
    assert_null(acre_arena_take(&f->arena, 1, 1, ACRE_SPAN_LARGE, &is_zero));
    assert_null(acre_arena_take(&f->arena, (uint64_t)1 << 40, 1, ACRE_SPAN_LARGE, &is_zero));
    assert_false(acre_arena_extend(&f->arena, all, REGION_UNITS * REGION_COUNT + 1, &is_zero));
    assert_true(acre_arena_is_valid(&f->arena));
    acre_arena_give(&f->arena, all, false);
    assert_non_null(acre_arena_take(&f->arena, 1, 1, ACRE_SPAN_LARGE, &is_zero));
}

static void dirty_runs_are_purged_wherever_clean_ones_stand(void **state)
{
    enum { COUNT = 24, UNITS = 2 };
    fixture *const f = *state;
    bool is_zero;
    acre_span *holes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        holes[i] = acre_arena_take(&f->arena, UNITS, ACRE_UNIT_BYTES, ACRE_SPAN_LARGE, &is_zero);
        assert_non_null(acre_arena_take(&f->arena, 1, ACRE_UNIT_BYTES, ACRE_SPAN_LARGE, &is_zero)); /* keeps them apart */
    }
    for (int i = 0; i < COUNT; i++) acre_arena_give(&f->arena, holes[i], i % 2 != 0);
    assert_true(acre_arena_is_valid(&f->arena));
    const uint64_t hole_bytes = (uint64_t)UNITS * ACRE_UNIT_BYTES;
    assert_int_equal(acre_arena_read_figures(&f->arena).dirty_bytes, COUNT / 2 * hole_bytes);

    assert_int_equal(acre_arena_purge(&f->arena, 0, 2 * hole_bytes), 0); /* none is that long */
    assert_int_equal(acre_arena_purge(&f->arena, 3 * hole_bytes, hole_bytes), (COUNT / 2 - 3) * hole_bytes);
    assert_true(acre_arena_is_valid(&f->arena));
    assert_int_equal(acre_arena_purge(&f->arena, 0, 0), 3 * hole_bytes);
    assert_int_equal(acre_arena_read_figures(&f->arena).dirty_bytes, 0);
    assert_true(acre_arena_is_valid(&f->arena));
}

static void a_purge_takes_no_more_of_a_long_run_than_it_was_asked_for(void **state)
{
    enum { UNITS = 200, KEPT = 120 };
    fixture *const f = *state;
    bool is_zero;
    acre_span *const run = acre_arena_take(&f->arena, UNITS, ACRE_UNIT_BYTES, ACRE_SPAN_LARGE, &is_zero);
    const acre_addr base = run->base;
    assert_non_null(acre_arena_take(&f->arena, 1, ACRE_UNIT_BYTES, ACRE_SPAN_LARGE, &is_zero)); /* so that the run does not grow */
    acre_arena_give(&f->arena, run, false);
    assert_int_equal(acre_arena_purge(&f->arena, (uint64_t)KEPT * ACRE_UNIT_BYTES, 0), (uint64_t)(UNITS - KEPT) * ACRE_UNIT_BYTES);
    assert_int_equal(acre_arena_dirty_bytes(&f->arena), (uint64_t)KEPT * ACRE_UNIT_BYTES);
    assert_true(acre_arena_is_valid(&f->arena));
    /* It is one run still, and its lower end is what is dirty. */
    acre_span *const again = acre_arena_take(&f->arena, UNITS, ACRE_UNIT_BYTES, ACRE_SPAN_LARGE, &is_zero);
    assert_true(again->base == base && !is_zero);
    acre_arena_shrink(&f->arena, again, KEPT);
    assert_int_equal(acre_arena_dirty_bytes(&f->arena), (uint64_t)(UNITS - KEPT) * ACRE_UNIT_BYTES); /* all of it was handed out */
    assert_true(acre_arena_is_valid(&f->arena));
}

static void demand_is_the_peak_of_the_last_two_seconds(void **state)
{
    fixture *const f = *state;
    bool is_zero;
    uint64_t run_bytes = 1;
    uint64_t now_ns = 100 * ACRE_DEMAND_WINDOW_NS;
    assert_int_equal(acre_arena_demand(&f->arena, now_ns, &run_bytes), 0);
    assert_int_equal(run_bytes, 0);
    acre_span *const run = acre_arena_take(&f->arena, 50, ACRE_UNIT_BYTES, ACRE_SPAN_LARGE, &is_zero);
    acre_arena_give(&f->arena, run, false);
    for (int window = 0; window < ACRE_DEMAND_WINDOWS; window++) {
        assert_int_equal(acre_arena_demand(&f->arena, now_ns, &run_bytes), 50 * ACRE_UNIT_BYTES);
        now_ns += ACRE_DEMAND_WINDOW_NS;
    }
    assert_int_equal(acre_arena_demand(&f->arena, now_ns, &run_bytes), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(random_runs_never_overlap),
        TEST(the_shortest_run_that_fits_is_taken),
        TEST(every_length_has_a_list_and_longer_ones_never_an_earlier_one),
        TEST(a_full_space_gives_nothing_and_keeps_what_it_has),
        TEST(demand_is_the_peak_of_the_last_two_seconds),
        cmocka_unit_test_setup_teardown(a_purge_takes_no_more_of_a_long_run_than_it_was_asked_for, set_up_purgeable, tear_down),
        cmocka_unit_test_setup_teardown(dirty_runs_are_purged_wherever_clean_ones_stand, set_up_purgeable, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
