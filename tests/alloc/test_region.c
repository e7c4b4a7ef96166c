/* test_region.c - regions over every kind of space against the simplest model, their scopes, their errors. */
#include "support/blocks.h"
#include "support/spaces.h"
#include "support/test.h"

#include <acre/heap.h>
#include <acre/region.h>

enum { STEP_COUNT = 20000, MARK_COUNT_MAX = 40 };
#define SPACE_BYTES ((uint64_t)8 << 20)

typedef struct fixture {
    acre_space space;
    acre_region region;
    model_blocks model;
    acre_region_mark marks[MARK_COUNT_MAX];
    size_t counts[MARK_COUNT_MAX]; /* blocks that there were at the mark */
    size_t mark_count;
} fixture;

static uint64_t random_size(uint64_t number)
{
    switch (number % 16) {
    case 0:
        return number % 5 == 0 ? 0 : (number >> 8) % 300000;
    case 1:
        return (number >> 8) % 20000;
    default:
        return 1 + (number >> 8) % 300;
    }
}

static void alloc_one(fixture *f, uint64_t number)
{
    const uint64_t size = random_size(number >> 5);
    const bool is_plain = f->model.has_memory && number % 4 != 0;
    const uint64_t alignment = is_plain ? 16 : (uint64_t)1 << (number >> 50) % 14;
    const acre_addr block = is_plain ? (acre_addr)(uintptr_t)acre_region_alloc(&f->region, (size_t)size)
                                     : acre_region_alloc_address(&f->region, size, alignment);
    if (block == 0)
        assert_int_equal(acre_last_status(), ACRE_NO_MEMORY);
    else
        model_add(&f->model, block, size, alignment > 16 ? alignment : 16, (uint8_t)number);
}

static void random_step(fixture *f, uint64_t number)
{
    if (number % 100 < 85 && f->model.count < MODEL_BLOCK_COUNT_MAX) {
        alloc_one(f, number >> 8);
    } else if (number % 100 < 92 && f->mark_count < MARK_COUNT_MAX) {
        f->marks[f->mark_count] = acre_region_position(&f->region);
        f->counts[f->mark_count++] = f->model.count;
    } else if (f->mark_count > 0 && number % 1000 < 995) {
        const size_t at = (size_t)((number >> 20) % f->mark_count);
        model_cut(&f->model, f->counts[at]);
        assert_int_equal(acre_region_rewind(&f->region, f->marks[at]), ACRE_OK);
        f->mark_count = at;
        if (number % 7 == 0) (void)acre_region_purge(&f->region, (number >> 30) % 200000);
    } else {
        model_cut(&f->model, 0);
        f->mark_count = 0;
        assert_int_equal(acre_region_reset(&f->region), ACRE_OK);
    }
}

static void a_region_behaves_like_the_model_over(acre_space_kind kind)
{
    fixture *const f = calloc(1, sizeof *f);
    assert_int_equal(test_space_open(&f->space, kind, SPACE_BYTES), ACRE_OK);
    model_open(&f->model, &f->space);
    assert_int_equal(acre_region_create(&(acre_region_options){.space = &f->space, .chunk_bytes = 4096}, &f->region), ACRE_OK);
    uint64_t random = 99 + (uint64_t)kind;
    for (int step = 0; step < STEP_COUNT; step++) {
        random_step(f, next_random(&random));
        assert_true(acre_region_is_valid(&f->region));
    }
    model_cut(&f->model, 0);
    acre_region_destroy(&f->region);
    if (f->space.size_bytes != 0) assert_int_equal(f->space.reserved_bytes, 0);
    test_space_close(&f->space);
    free(f);
}

#define OVER(kind, name)                                                                                                                   \
    static void a_region_behaves_like_the_model_over_##name(void **state)                                                                  \
    {                                                                                                                                      \
        (void)state;                                                                                                                       \
        a_region_behaves_like_the_model_over(kind);                                                                                        \
    }
OVER(ACRE_SPACE_PAGES, pages)
OVER(ACRE_SPACE_STATIC, a_static_array)
OVER(ACRE_SPACE_FILE, a_file)
OVER(ACRE_SPACE_SHARED, shared_memory)
OVER(ACRE_SPACE_RESERVED, memory_that_faults)
OVER(ACRE_SPACE_HANDLE, numbers_that_are_no_addresses)

static void a_region_grows_out_of_a_heap_and_gives_everything_back(void **state)
{
    (void)state;
    acre_heap *heap = NULL;
    acre_allocator parent;
    acre_region region;
    assert_int_equal(acre_heap_create(NULL, &heap), ACRE_OK);
    acre_heap_allocator(heap, &parent);
    assert_int_equal(acre_region_create(&(acre_region_options){.parent = &parent, .chunk_bytes = 100}, &region), ACRE_OK);
    for (int i = 0; i < 1000; i++) memset(acre_region_alloc(&region, 1000), i, 1000);
    acre_heap_figures figures;
    acre_heap_read_figures(heap, &figures);
    assert_true(figures.block_bytes + figures.large_bytes >= 1000 * 1000);
    acre_region_destroy(&region);
    acre_heap_flush(heap);
    acre_heap_read_figures(heap, &figures);
    assert_true(figures.block_bytes == 0 && figures.large_bytes == 0);
    acre_heap_destroy(heap);
}

static void chunks_are_used_again_after_a_rewind_and_purge_gives_them_back(void **state)
{
    (void)state;
    failing_space failing;
    failing_space_open(&failing, 1 << 20);
    acre_region region;
    assert_int_equal(acre_region_create(&(acre_region_options){.space = &failing.space, .chunk_bytes = 4096}, &region), ACRE_OK);
    const acre_region_mark mark = acre_region_position(&region);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 100; i++) assert_non_null(acre_region_alloc(&region, 1000));
        assert_int_equal(acre_region_rewind(&region, mark), ACRE_OK);
        if (round == 0) failing.failing_call = failing.calls + 1; /* none comes */
    }
    assert_true(failing.reserved > 100 * 1000);
    assert_int_equal(acre_region_purge(&region, failing.reserved), 0);
    const uint64_t before = failing.reserved;
    assert_int_equal(before, 4096 + 8192 + 16384 + 32768 + 65536);
    assert_int_equal(acre_region_purge(&region, 57344 + 1), 0); /* without the last chunk there would be one byte too little */
    assert_int_equal(acre_region_purge(&region, 57344), 65536);
    assert_int_equal(acre_region_purge(&region, 10000), 32768);
    assert_int_equal(acre_region_purge(&region, 0), 8192 + 16384);
    assert_int_equal(failing.reserved, 4096);
    acre_region_destroy(&region);
    assert_int_equal(failing.reserved, 0);
    failing_space_close(&failing);
}

static void a_mark_in_a_chunk_that_is_only_held_is_refused(void **state)
{
    (void)state;
    acre_space numbers;
    acre_region region;
    assert_int_equal(acre_space_open_handles(&numbers, (acre_addr)1 << 40, 1 << 20), ACRE_OK);
    assert_int_equal(acre_region_create(&(acre_region_options){.space = &numbers, .chunk_bytes = 4096}, &region), ACRE_OK);
    assert_true(acre_region_alloc_address(&region, 5000, 16) != 0);
    const acre_region_mark above = acre_region_position(&region);
    assert_int_equal(above.chunk, 1);
    assert_true(acre_region_alloc_address(&region, 10000, 16) != 0); /* in the next chunk, so that the one of the mark is full */
    assert_int_equal(acre_region_reset(&region), ACRE_OK);
    assert_int_equal(acre_region_rewind(&region, above), ACRE_INVALID);
    assert_int_equal(acre_region_position(&region).chunk, 0);
    acre_region_destroy(&region);
    acre_space_close(&numbers);
}

static void the_last_byte_of_a_fixed_space_can_be_had(void **state)
{
    (void)state;
    static _Alignas(16) char bytes[100000];
    acre_space space;
    acre_region region;
    assert_int_equal(acre_space_open_static(&space, bytes, sizeof bytes), ACRE_OK);
    assert_int_equal(acre_region_create(&(acre_region_options){.space = &space, .chunk_bytes = 1000}, &region), ACRE_OK);
    size_t count = 0;
    while (acre_region_alloc(&region, 16) != NULL) count++;
    assert_int_equal(acre_last_status(), ACRE_NO_MEMORY);
    assert_int_equal(count, sizeof bytes / 16);
    assert_true(acre_region_is_valid(&region));
    acre_region_destroy(&region);
    acre_space_close(&space);
}

static void figures_tell_blocks_and_chunks(void **state)
{
    (void)state;
    acre_space space;
    acre_region region;
    acre_allocator allocator;
    acre_allocator_figures figures;
    assert_int_equal(acre_space_open_handles(&space, 0, 1 << 20), ACRE_OK); /* its first address is 0, which is no block */
    assert_int_equal(acre_region_create(&(acre_region_options){.space = &space, .chunk_bytes = 4096, .name = "told"}, &region), ACRE_OK);
    acre_region_allocator(&region, &allocator);
    assert_string_equal(allocator.name, "told");
    for (int i = 0; i < 10; i++) assert_true(acre_allocator_alloc(&allocator, 1000, 16, NULL) != 0);
    assert_int_equal(acre_allocator_read_figures(&allocator, &figures), ACRE_OK);
    assert_true(figures.block_bytes >= 10 * 1000 && figures.block_bytes < 11 * 1000);
    assert_true(figures.committed_bytes == 4096 + 8192 && figures.dirty_bytes == figures.committed_bytes - figures.block_bytes);
    const acre_addr block = acre_allocator_alloc(&allocator, 100, 16, NULL);
    acre_allocator_free(&allocator, block);
    assert_int_equal(acre_allocator_usable_size(&allocator, block), 0);
    assert_true(acre_allocator_resize(&allocator, block, 5) == 0);
    assert_int_equal(acre_region_reset(&region), ACRE_OK);
    assert_int_equal(acre_allocator_purge(&allocator, 0), 8192);
    acre_region_destroy(&region);
    acre_space_close(&space);
}

static int sum_of_scopes(acre_region *region, int depth, bool returns)
{
    int sum = 0;
    ACRE_REGION_SCOPE(region)
    {
        int *const numbers = acre_region_alloc(region, 1000 * sizeof *numbers);
        assert_non_null(numbers);
        numbers[999] = depth;
        ACRE_REGION_SCOPE(region)
        {
            assert_non_null(acre_region_alloc(region, 100000));
            if (returns) return numbers[999];
            break;
        }
        sum += numbers[999] + (depth > 0 ? sum_of_scopes(region, depth - 1, false) : 0);
    }
    return sum;
}

static void a_scope_ends_at_its_brace_at_break_and_at_return(void **state)
{
    (void)state;
    acre_space pages;
    acre_region region;
    assert_int_equal(acre_space_open_pages(&pages, NULL), ACRE_OK);
    assert_int_equal(acre_region_create(&(acre_region_options){.space = &pages}, &region), ACRE_OK);
    void *const first = acre_region_alloc(&region, 1);
    assert_int_equal(sum_of_scopes(&region, 4, false), 10);
    assert_int_equal(sum_of_scopes(&region, 4, true), 4);
    assert_ptr_equal((char *)first + 16, acre_region_alloc(&region, 1));
    acre_region_destroy(&region);
    acre_space_close(&pages);
}

static void a_failure_at_any_point_leaves_the_region_as_it_was(void **state)
{
    (void)state;
    for (uint64_t at = 1; at < 20; at++) {
        failing_space failing;
        failing_space_open(&failing, 1 << 20);
        failing.failing_call = at;
        acre_region region;
        bool has_failed = false;
        if (acre_region_create(&(acre_region_options){.space = &failing.space, .chunk_bytes = 4096}, &region) == ACRE_OK) {
            for (int i = 0; i < 300; i++) {
                if (acre_region_alloc(&region, 1000) == NULL) has_failed = true;
                assert_true(acre_region_is_valid(&region));
            }
            /* A wish that failed became a smaller one: everything that was asked for is there. */
            assert_false(has_failed);
        }
        acre_region_destroy(&region);
        assert_int_equal(failing.reserved, 0);
        failing_space_close(&failing);
    }
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    acre_space space;
    acre_space closed = {0};
    acre_region region;
    acre_region other = {0};
    acre_allocator_figures figures;
    assert_int_equal(acre_space_open_handles(&space, (acre_addr)1 << 40, 1 << 20), ACRE_OK);
    const acre_region_options good = {.space = &space, .chunk_bytes = 4096, .name = "mine"};
    assert_int_equal(acre_region_create(NULL, &region), ACRE_INVALID);
    assert_int_equal(acre_region_create(&good, NULL), ACRE_INVALID);
    assert_int_equal(acre_region_create(&(acre_region_options){.name = "poor"}, &region), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "'poor'"));
    assert_int_equal(acre_region_create(&(acre_region_options){.space = &closed}, &region), ACRE_INVALID);
    assert_int_equal(acre_region_create(&(acre_region_options){.space = &space, .chunk_bytes = UINT64_MAX}, &region), ACRE_INVALID);
    assert_int_equal(acre_region_create(&good, &region), ACRE_OK);

    assert_null(acre_region_alloc(&region, 100));
    assert_int_equal(acre_last_status(), ACRE_UNSUPPORTED);
    static const uint64_t bad_alignments[] = {0, 3, 24};
    for (size_t i = 0; i < 3; i++) {
        assert_true(acre_region_alloc_address(&region, 100, bad_alignments[i]) == 0);
        assert_int_equal(acre_last_status(), ACRE_INVALID);
    }
    static const uint64_t large[][2] = {
        {UINT64_MAX, 16}, {UINT64_MAX - 15, 1}, {1, (uint64_t)1 << 63}, {(uint64_t)1 << 59, 16}, {1 << 21, 16}};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        assert_true(acre_region_alloc_address(&region, large[i][0], large[i][1]) == 0);
        assert_int_equal(acre_last_status(), ACRE_NO_MEMORY);
        assert_true(acre_region_is_valid(&region));
    }

    const acre_region_mark here = acre_region_position(&region);
    const acre_region_mark bad_marks[] = {
        {.next = here.next + 16, .chunk = 0}, {.next = here.next - 16, .chunk = 0}, {.next = here.next, .chunk = 1},
        {.next = here.next + 1, .chunk = 0},  {.next = 0, .chunk = UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof bad_marks / sizeof *bad_marks; i++) {
        assert_int_equal(acre_region_rewind(&region, bad_marks[i]), ACRE_INVALID);
        assert_non_null(strstr(acre_last_error(), "'mine'"));
    }
    assert_int_equal(acre_region_read_figures(&region, NULL), ACRE_INVALID);
    acre_region_destroy(&region);

    /* Neither one that is destroyed, nor one of zeros, nor NULL. */
    acre_region *const bad[] = {&region, &other, NULL};
    for (size_t i = 0; i < 3; i++) {
        if (bad[i] != NULL) assert_null(acre_region_alloc(bad[i], 1));
        assert_true(acre_region_alloc_address(bad[i], 1, 1) == 0);
        assert_int_equal(acre_region_rewind(bad[i], here), ACRE_INVALID);
        assert_int_equal(acre_region_reset(bad[i]), ACRE_INVALID);
        assert_int_equal(acre_region_purge(bad[i], 0), 0);
        assert_int_equal(acre_region_read_figures(bad[i], &figures), ACRE_INVALID);
        acre_region_destroy(bad[i]);
    }
    acre_space_close(&space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_behaves_like_the_model_over_pages),
        cmocka_unit_test(a_region_behaves_like_the_model_over_a_static_array),
        cmocka_unit_test(a_region_behaves_like_the_model_over_a_file),
        cmocka_unit_test(a_region_behaves_like_the_model_over_shared_memory),
        cmocka_unit_test(a_region_behaves_like_the_model_over_memory_that_faults),
        cmocka_unit_test(a_region_behaves_like_the_model_over_numbers_that_are_no_addresses),
        cmocka_unit_test(a_region_grows_out_of_a_heap_and_gives_everything_back),
        cmocka_unit_test(chunks_are_used_again_after_a_rewind_and_purge_gives_them_back),
        cmocka_unit_test(a_mark_in_a_chunk_that_is_only_held_is_refused),
        cmocka_unit_test(the_last_byte_of_a_fixed_space_can_be_had),
        cmocka_unit_test(figures_tell_blocks_and_chunks),
        cmocka_unit_test(a_scope_ends_at_its_brace_at_break_and_at_return),
        cmocka_unit_test(a_failure_at_any_point_leaves_the_region_as_it_was),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
