/* test_system.c - the five parts together: a system over memory and one over numbers, metered, with a contract. */
#include "support/spaces.h"
#include "support/test.h"

#include <acre/region.h>
#include <acre/ring.h>
#include <acre/stack.h>
#include <acre/system.h>

#include "os/os.h"

static void a_system_counts_and_judges_what_goes_through_it(void **state)
{
    (void)state;
    static acre_system system;
    const acre_system_options options = {
        .name = "judged",
        .is_metered = true,
        .contract = {.limits = ACRE_LIMIT_LIVE_BYTES | ACRE_LIMIT_LEAK_COUNT, .live_bytes_max = 10000, .leak_count_max = 3},
    };
    assert_int_equal(acre_system_create(&options, &system), ACRE_OK);
    assert_int_equal(acre_system_check(&system), ACRE_OK);
    acre_addr blocks[4];
    for (int i = 0; i < 4; i++) blocks[i] = acre_system_alloc(&system, 1000, 16, NULL);
    assert_int_equal(acre_system_check(&system), ACRE_BREACH);
    assert_non_null(strstr(acre_last_error(), "judged"));
    acre_system_free(&system, blocks[0]);
    assert_int_equal(acre_system_check(&system), ACRE_OK);
    const acre_addr large = acre_system_alloc(&system, 20000, 16, NULL);
    assert_int_equal(acre_system_check(&system), ACRE_BREACH);
    acre_system_free(&system, large);

    acre_meter_figures figures;
    acre_system_read_meter(&system, &figures);
    assert_int_equal(figures.counts.alloc_count, 5);
    assert_int_equal(figures.counts.free_count, 2);
    assert_int_equal(figures.live_count, 3);
    assert_true(figures.live_bytes == 3 * 1024 && figures.committed_bytes > figures.live_bytes);
    acre_system_destroy(&system);
}

static int breach_count;

static void note_breach(void *context, const char *sentence)
{
    (void)context;
    assert_non_null(strstr(sentence, "watched"));
    __atomic_fetch_add(&breach_count, 1, __ATOMIC_RELAXED);
}

static void the_scheduler_watches_the_contract(void **state)
{
    (void)state;
    static acre_system system;
    const acre_system_options options = {
        .name = "watched",
        .is_metered = true,
        .contract = {.limits = ACRE_LIMIT_LIVE_BYTES, .live_bytes_max = 100, .on_breach = note_breach},
        .contract_period_ns = 1000000,
        .uses_thread = true,
    };
    assert_int_equal(acre_system_create(&options, &system), ACRE_OK);
    assert_true(acre_system_alloc(&system, 5000, 16, NULL) != 0);
    for (int i = 0; i < 5000 && __atomic_load_n(&breach_count, __ATOMIC_RELAXED) == 0; i++) acre_os_sleep_ns(1000000);
    assert_true(__atomic_load_n(&breach_count, __ATOMIC_RELAXED) > 0);
    acre_system_destroy(&system);
}

static void a_system_works_where_addresses_are_no_pointers(void **state)
{
    (void)state;
    static acre_system system;
    acre_space space;
    acre_space_open_handles(&space, (acre_addr)1 << 50, 4 << 20);
    assert_int_equal(acre_system_create(&(acre_system_options){.space = &space, .is_metered = true}, &system), ACRE_OK);
    assert_true(acre_system_alloc(&system, 5 << 20, 16, NULL) == 0);
    const acre_addr block = acre_system_alloc(&system, 1 << 20, 65536, NULL);
    assert_true(block >= (acre_addr)1 << 50 && block % 65536 == 0);
    acre_system_free(&system, block);
    acre_meter_figures figures;
    acre_system_read_meter(&system, &figures);
    assert_true(figures.counts.failed_count == 1 && figures.live_bytes == 0);
    (void)acre_system_step(&system, 1000000);
    acre_system_destroy(&system);
    acre_space_close(&space);
}

/* What a system over an allocator counts: `blocks` of 100 bytes, each of which takes 112 where the allocator knows. */
static void count_over(acre_allocator *allocator, bool is_first_first, uint64_t known_bytes)
{
    static acre_system system;
    const acre_system_options options = {
        .name = "over", .allocator = allocator, .is_metered = true, .contract = {.limits = ACRE_LIMIT_LIVE_BYTES, .live_bytes_max = 300}};
    assert_int_equal(acre_system_create(&options, &system), ACRE_OK);
    assert_null(system.heap);
    acre_addr blocks[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(acre_system_check(&system), ACRE_OK);
        blocks[i] = acre_system_alloc(&system, 100, 16, NULL);
        assert_true(blocks[i] != 0);
    }
    acre_meter_figures figures;
    acre_system_read_meter(&system, &figures);
    assert_true(figures.live_bytes == 3 * (known_bytes != 0 ? known_bytes : 100) && figures.committed_bytes > 0);
    assert_int_equal(acre_system_check(&system), known_bytes != 0 ? ACRE_BREACH : ACRE_OK);
    for (int i = 0; i < 3; i++) acre_system_free(&system, blocks[is_first_first ? i : 2 - i]);
    acre_system_read_meter(&system, &figures);
    assert_int_equal(figures.live_count, known_bytes != 0 ? 0 : 3);
    (void)acre_system_step(&system, 1000000);
    acre_system_destroy(&system);
    assert_int_equal(acre_system_check(&system), ACRE_INVALID);
}

static void a_system_works_over_a_region_a_stack_and_a_ring(void **state)
{
    (void)state;
    acre_space pages;
    acre_region region;
    acre_stack stack;
    acre_ring ring;
    acre_allocator allocator;
    assert_int_equal(acre_space_open_pages(&pages, NULL), ACRE_OK);
    assert_int_equal(acre_region_create(&(acre_region_options){.space = &pages}, &region), ACRE_OK);
    acre_region_allocator(&region, &allocator);
    count_over(&allocator, true, 0);
    acre_region_destroy(&region);
    assert_int_equal(acre_stack_create(&(acre_stack_options){.space = &pages, .size_bytes = 65536}, &stack), ACRE_OK);
    acre_stack_allocator(&stack, &allocator);
    count_over(&allocator, false, 112);
    acre_stack_destroy(&stack);
    assert_int_equal(acre_ring_create(&(acre_ring_options){.space = &pages, .size_bytes = 65536}, &ring), ACRE_OK);
    acre_ring_allocator(&ring, &allocator);
    count_over(&allocator, true, 112);
    acre_ring_destroy(&ring);
    acre_space_close(&pages);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    static acre_system system;
    acre_space pages = {0};
    acre_allocator none = {0};
    assert_int_equal(acre_system_create(&(acre_system_options){.allocator = &none}, &system), ACRE_INVALID);
    assert_int_equal(acre_system_create(&(acre_system_options){.allocator = &none, .space = &pages}, &system), ACRE_INVALID);
    assert_int_equal(acre_system_create(NULL, &system), ACRE_INVALID);
    assert_int_equal(acre_system_create(&(acre_system_options){.guard = (acre_guard_level)9}, &system), ACRE_INVALID);
    assert_int_equal(acre_system_create(&(acre_system_options){.contract = {.limits = ACRE_LIMIT_LIVE_BYTES}}, &system), ACRE_INVALID);
    assert_int_equal(acre_system_check(NULL), ACRE_INVALID);
    acre_system_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_system_counts_and_judges_what_goes_through_it),
        cmocka_unit_test(the_scheduler_watches_the_contract),
        cmocka_unit_test(a_system_works_where_addresses_are_no_pointers),
        cmocka_unit_test(a_system_works_over_a_region_a_stack_and_a_ring),
        cmocka_unit_test(bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
