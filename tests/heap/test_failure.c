/* test_failure.c - every reserve and commit, of blocks and of descriptors, fails in turn: no crash, no leak, a valid heap. */
#include "support/spaces.h"
#include "support/test.h"

#include <acre/heap.h>

enum { BLOCK_COUNT = 400, SPACE_BYTES = 64 << 20, CALLS_MAX = 500 };

static const uint64_t sizes[] = {1, 24, 100, 1000, 4104, 20000, 40000, 300000};

/* A little of everything a heap does. Allocations may fail; whatever succeeds is freed. */
static void use(acre_heap *heap)
{
    acre_addr blocks[BLOCK_COUNT] = {0};
    for (int i = 0; i < BLOCK_COUNT; i++) {
        const uint64_t size = sizes[(size_t)i % (sizeof sizes / sizeof *sizes)];
        blocks[i] = acre_heap_alloc_address(heap, size, i % 9 == 0 ? 4096 : 16, NULL);
        if (blocks[i] == 0)
            assert_int_equal(acre_last_status(), ACRE_NO_MEMORY);
        else
            memset((void *)(uintptr_t)blocks[i], i, (size_t)size);
        if (i % 3 == 2) {
            acre_heap_free_address(heap, blocks[i - 1]);
            blocks[i - 1] = 0;
        }
        if (i % 10 == 9 && blocks[i] != 0) {
            void *const moved = acre_heap_resize(heap, (void *)(uintptr_t)blocks[i], (size_t)size * 3);
            if (moved != NULL) blocks[i] = (uintptr_t)moved;
            assert_int_equal(*(uint8_t *)(uintptr_t)blocks[i], (uint8_t)i);
        }
    }
    for (int i = 0; i < BLOCK_COUNT; i++) acre_heap_free_address(heap, blocks[i]);
    acre_heap_flush(heap);
    acre_heap_figures figures;
    acre_heap_read_figures(heap, &figures);
    assert_int_equal(figures.block_bytes, 0);
    assert_true(acre_heap_is_valid(heap));
}

/* Returns how many calls the space that was told to fail has seen. */
static uint64_t run_with_failure(uint64_t failing_call, bool in_meta)
{
    failing_space blocks;
    failing_space meta;
    failing_space_open(&blocks, SPACE_BYTES);
    failing_space_open(&meta, SPACE_BYTES);
    failing_space *const told = in_meta ? &meta : &blocks;
    told->failing_call = failing_call;

    acre_heap *heap = NULL;
    const acre_heap_options options = {.space = &blocks.space, .meta_space = &meta.space, .name = "failing"};
    const acre_status status = acre_heap_create(&options, &heap);
    if (status == ACRE_OK) {
        use(heap);
        acre_heap_destroy(heap);
    } else {
        assert_int_equal(status, ACRE_NO_MEMORY);
    }
    assert_int_equal(blocks.reserved, 0);
    assert_int_equal(meta.reserved, 0);
    assert_int_equal(meta.space.reserved_bytes, 0);
    const uint64_t calls = told->calls;
    failing_space_close(&blocks);
    failing_space_close(&meta);
    return calls;
}

static void fail_each_call_in_turn(bool in_meta)
{
    uint64_t failing_call = 1;
    while (run_with_failure(failing_call, in_meta) >= failing_call) {
        failing_call++;
        assert_in_range(failing_call, 1, CALLS_MAX);
    }
    assert_in_range(failing_call, 3, CALLS_MAX); /* the scenario must have made the space work */
}

static void failing_to_get_memory_for_blocks_loses_nothing(void **state)
{
    (void)state;
    fail_each_call_in_turn(false);
}

static void failing_to_get_memory_for_descriptors_loses_nothing(void **state)
{
    (void)state;
    fail_each_call_in_turn(true);
}

static void a_full_space_says_so_and_works_again_after_a_free(void **state)
{
    (void)state;
    acre_space space;
    acre_space_open_handles(&space, 1 << 20, 1 << 20);
    acre_heap *heap = NULL;
    assert_int_equal(acre_heap_create(&(acre_heap_options){.space = &space}, &heap), ACRE_OK);
    for (int round = 0; round < 3; round++) {
        acre_addr blocks[4096];
        int count = 0;
        while ((blocks[count] = acre_heap_alloc_address(heap, 1024, 16, NULL)) != 0) count++;
        assert_int_equal(acre_last_status(), ACRE_NO_MEMORY);
        assert_true(count == 1024); /* every unit is used to its end, in every round */
        while (count > 0) acre_heap_free_address(heap, blocks[--count]);
        assert_true(acre_heap_is_valid(heap));
    }
    acre_heap_destroy(heap);
    acre_space_close(&space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_to_get_memory_for_blocks_loses_nothing),
        cmocka_unit_test(failing_to_get_memory_for_descriptors_loses_nothing),
        cmocka_unit_test(a_full_space_says_so_and_works_again_after_a_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
