/* test_heap.c - what the header of the heap promises, call by call, and what happens to callers who break the rules. */
#include "heap/heap.h"
#include "support/spaces.h"
#include "support/test.h"

#include "os/os.h"

#include <acre/guard.h>
#include <acre/heap.h>
#include <errno.h>

static acre_fault last_fault;
static int fault_count;

static bool note_fault(void *context, const acre_fault *fault)
{
    (void)context;
    last_fault = *fault;
    fault_count++;
    return true;
}

static int set_up(void **state)
{
    fault_count = 0;
    acre_guard_set_handler(note_fault, NULL);
    return acre_heap_create(&(acre_heap_options){.name = "test"}, (acre_heap **)state) != ACRE_OK;
}

static int tear_down(void **state)
{
    acre_guard_set_handler(NULL, NULL);
    acre_heap_destroy(*state);
    return 0;
}

static void bad_options_are_refused_with_a_sentence(void **state)
{
    (void)state;
    acre_heap *heap = NULL;
    assert_int_equal(acre_heap_create(NULL, NULL), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "nowhere"));

    acre_space closed;
    memset(&closed, 0, sizeof closed);
    assert_int_equal(acre_heap_create(&(acre_heap_options){.space = &closed}, &heap), ACRE_INVALID);

    acre_space handles;
    acre_space_open_handles(&handles, 65536, 1 << 20);
    assert_int_equal(acre_heap_create(&(acre_heap_options){.meta_space = &handles}, &heap), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "handles"));
    acre_space_close(&handles);
}

static void there_are_at_most_so_many_heaps(void **state)
{
    (void)state;
    acre_heap *heaps[ACRE_HEAP_COUNT_MAX];
    int count = 0;
    while (count < ACRE_HEAP_COUNT_MAX && acre_heap_create(NULL, &heaps[count]) == ACRE_OK) count++;
    assert_in_range(count, ACRE_HEAP_COUNT_MAX - 4, ACRE_HEAP_COUNT_MAX - 1);
    acre_heap *one_more = NULL;
    assert_int_equal(acre_heap_create(NULL, &one_more), ACRE_INVALID);
    while (count > 0) acre_heap_destroy(heaps[--count]);
    assert_int_equal(acre_heap_create(NULL, &one_more), ACRE_OK);
    acre_heap_destroy(one_more);
}

static void sizes_and_alignments_at_the_edges(void **state)
{
    acre_heap *const heap = *state;
    void *const nothing = acre_heap_alloc(heap, 0);
    assert_non_null(nothing);
    acre_heap_free(heap, nothing);
    acre_heap_free(heap, NULL);

    errno = 0;
    assert_null(acre_heap_alloc(heap, SIZE_MAX));
    assert_int_equal(errno, ENOMEM);
    assert_null(acre_heap_alloc(heap, SIZE_MAX / 2 + 1));
    assert_true(acre_heap_alloc_address(heap, 10, 3, NULL) == 0);
    assert_int_equal(acre_last_status(), ACRE_INVALID);
    assert_true(acre_heap_alloc_address(heap, 10, 0, NULL) == 0);

    for (uint64_t alignment = 1; alignment <= (uint64_t)1 << 30; alignment *= 2) {
        const acre_addr block = acre_heap_alloc_address(heap, 100, alignment, NULL);
        assert_true(block != 0 && block % alignment == 0);
        acre_heap_free_address(heap, block);
    }
    assert_true(acre_heap_alloc_address(heap, 10, (uint64_t)1 << 62, NULL) == 0);
    assert_int_equal(fault_count, 0);
    assert_true(acre_heap_is_valid(heap));
}

static void a_block_freed_twice_is_reported_once_and_freed_once(void **state)
{
    acre_heap *const heap = *state;
    void *const block = acre_heap_alloc(heap, 100);
    acre_heap_free(heap, block);
    acre_heap_free(heap, block);
    acre_heap_flush(heap);
    assert_int_equal(fault_count, 1);
    assert_int_equal(last_fault.kind, ACRE_FAULT_DOUBLE_FREE);
    assert_true(last_fault.address == (uintptr_t)block && last_fault.size_bytes == 112);
    assert_true(acre_heap_is_valid(heap));

    char text[200];
    assert_true(acre_fault_text(&last_fault, text, sizeof text) < sizeof text);
    assert_non_null(strstr(text, "heap 'test'"));
    assert_non_null(strstr(text, "free already"));
}

/* A row of neighbours goes back all at once: not so that a double free in it is missed, or that what is no block passes for one. */
static void a_double_free_in_a_row_is_reported(void **state)
{
    enum { COUNT = 40 };
    acre_heap *const heap = *state;
    for (int direction = -1; direction <= 1; direction += 2) {
        for (int again = 0; again < COUNT; again++) {
            char *blocks[COUNT];
            for (int i = 0; i < COUNT; i++) blocks[i] = acre_heap_alloc(heap, 100);
            acre_heap_free(heap, blocks[again]);
            acre_heap_flush(heap); /* from now on its bit says that it is free */
            for (int i = 0; i < COUNT; i++) acre_heap_free(heap, blocks[direction > 0 ? i : COUNT - 1 - i]);
            for (int i = 0; i < COUNT; i++) acre_heap_free(heap, blocks[i] + 16); /* a row, and none of it is a block */
            fault_count = 0;
            acre_heap_flush(heap);
            assert_int_equal(fault_count, 1 + COUNT);
            assert_true(acre_heap_is_valid(heap));
        }
    }
}

static void a_block_freed_again_after_its_word_went_back_is_reported(void **state)
{
    acre_heap *const heap = *state;
    void *const block = acre_heap_alloc(heap, 100);
    acre_heap_free(heap, block);
    acre_heap_flush(heap);
    assert_int_equal(fault_count, 0);
    acre_heap_free(heap, block);
    acre_heap_flush(heap);
    assert_int_equal(fault_count, 1);
    assert_true(acre_heap_is_valid(heap));
}

static void pointers_that_are_no_blocks_are_reported_and_change_nothing(void **state)
{
    acre_heap *const heap = *state;
    char *const small = acre_heap_alloc(heap, 100);
    char *const large = acre_heap_alloc(heap, 100000);
    int local = 0;
    const acre_addr bad[] = {(uintptr_t)&local, 1, 0xdeadbeefdeadbeef, UINT64_MAX, (uintptr_t)large + 16, (uintptr_t)large + 40000};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fault_count = 0;
        acre_heap_free_address(heap, bad[i]);
        assert_int_equal(fault_count, 1);
        assert_true(last_fault.address == bad[i]);
    }
    fault_count = 0;
    acre_heap_free(heap, small + 8); /* the class is known at once, the place in the span when it goes back */
    acre_heap_flush(heap);
    assert_int_equal(fault_count, 1);
    assert_int_equal(last_fault.kind, ACRE_FAULT_INTERIOR_FREE);
    assert_true(last_fault.block == (uintptr_t)small);

    acre_heap_free(heap, small);
    acre_heap_free(heap, large);
    acre_heap_flush(heap);
    assert_int_equal(fault_count, 1);
    assert_true(acre_heap_is_valid(heap));
}

static void a_block_of_another_heap_is_foreign(void **state)
{
    acre_heap *other = NULL;
    assert_int_equal(acre_heap_create(NULL, &other), ACRE_OK);
    void *const small = acre_heap_alloc(other, 100);
    void *const large = acre_heap_alloc(other, 100000);
    acre_heap_free(*state, large);
    assert_int_equal(fault_count, 1);
    acre_heap_free(*state, small);
    acre_heap_flush(*state);
    assert_int_equal(fault_count, 2);
    assert_int_equal(last_fault.kind, ACRE_FAULT_FOREIGN_FREE);
    acre_heap_free(other, small);
    acre_heap_free(other, large);
    acre_heap_flush(other);
    assert_int_equal(fault_count, 2);
    assert_true(acre_heap_is_valid(other) && acre_heap_is_valid(*state));
    acre_heap_destroy(other);
}

static void resizing_what_is_no_block_of_the_heap_is_a_fault(void **state)
{
    acre_heap *other = NULL;
    assert_int_equal(acre_heap_create(NULL, &other), ACRE_OK);
    char *const blocks[] = {acre_heap_alloc(other, 100), acre_heap_alloc(other, 100000), acre_heap_alloc(*state, 100),
                            acre_heap_alloc(*state, 100000)};
    void *const wrong[] = {blocks[0], blocks[1], blocks[2] + 16, blocks[3] + 16, blocks[3] + 20000};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fault_count = 0;
        assert_true(acre_heap_usable_size(*state, (uintptr_t)wrong[i]) == 0);
        assert_null(acre_heap_resize(*state, wrong[i], 200000));
        assert_int_equal(fault_count, 1);
        assert_true(last_fault.address == (uintptr_t)wrong[i]);
        assert_int_equal(last_fault.kind, i < 2 ? ACRE_FAULT_FOREIGN_FREE : ACRE_FAULT_INTERIOR_FREE);
    }
    assert_true(acre_heap_is_valid(other) && acre_heap_is_valid(*state));
    acre_heap_destroy(other);
}

static void resizing_keeps_the_contents(void **state)
{
    acre_heap *const heap = *state;
    static const size_t sizes[] = {10, 100, 5000, 40000, 2000000, 30000000, 5000000, 200000, 70000, 300, 20};
    uint8_t *block = acre_heap_resize(heap, NULL, sizes[0]);
    for (size_t j = 0; j < sizes[0]; j++) block[j] = (uint8_t)(j * 7);
    for (size_t i = 1; i < sizeof sizes / sizeof *sizes; i++) {
        void *const in_the_way = acre_heap_alloc(heap, sizes[i]); /* so that growing in place is not always possible */
        block = acre_heap_resize(heap, block, sizes[i]);
        assert_non_null(block);
        const size_t kept = sizes[i] < sizes[i - 1] ? sizes[i] : sizes[i - 1];
        for (size_t j = 0; j < kept; j++) {
            if (block[j] != (uint8_t)(j * 7)) assert_int_equal(block[j], (uint8_t)(j * 7));
        }
        for (size_t j = kept; j < sizes[i]; j++) block[j] = (uint8_t)(j * 7);
        acre_heap_free(heap, in_the_way);
        assert_true(acre_heap_is_valid(heap));
    }
    assert_null(acre_heap_resize(heap, block, SIZE_MAX / 2));
    assert_int_equal(block[19], (uint8_t)(19 * 7));
    acre_heap_free(heap, block);
}

static void freed_memory_is_dirty_until_it_is_purged(void **state)
{
    acre_heap *const heap = *state;
    acre_heap_figures figures;
    void *blocks[8];
    for (int i = 0; i < 8; i++) {
        blocks[i] = acre_heap_alloc(heap, 300000);
        memset(blocks[i], 1, 300000);
    }
    acre_heap_read_figures(heap, &figures);
    assert_true(figures.large_bytes >= 8 * 300000 && figures.dirty_bytes == 0);
    for (int i = 0; i < 8; i++) acre_heap_free(heap, blocks[i]);
    acre_heap_read_figures(heap, &figures);
    assert_true(figures.large_bytes == 0 && figures.dirty_bytes >= 8 * 300000);
    const uint64_t dirty_bytes = figures.dirty_bytes;
    assert_true(acre_heap_purge(heap, 0) == dirty_bytes);
    acre_heap_read_figures(heap, &figures);
    assert_true(figures.dirty_bytes == 0 && figures.purged_bytes == dirty_bytes);
    assert_true(acre_heap_is_valid(heap));
}

static void what_a_thread_holds_ready_is_told_apart_from_what_is_live(void **state)
{
    enum { COUNT = 1000, KEPT = 300, BYTES = 64 };
    acre_heap *const heap = *state;
    acre_heap_figures figures;
    void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) blocks[i] = acre_heap_alloc(heap, BYTES);
    for (int i = KEPT; i < COUNT; i++) acre_heap_free(heap, blocks[i]);
    acre_heap_read_figures(heap, &figures);
    assert_true(figures.block_bytes > KEPT * BYTES);
    assert_int_equal(figures.block_bytes - acre_heap_ready_bytes(heap), KEPT * BYTES);
    for (int i = 0; i < KEPT; i++) acre_heap_free(heap, blocks[i]);
    acre_heap_read_figures(heap, &figures);
    assert_int_equal(acre_heap_ready_bytes(heap), figures.block_bytes);
    acre_heap_flush(heap);
    assert_int_equal(acre_heap_ready_bytes(heap), 0);
}

static bool stop_at_third(void *context, const acre_block *block)
{
    assert_true(block->is_out && block->size_bytes > 0);
    return ++*(int *)context < 3;
}

static void a_walk_ends_when_the_visitor_says_so(void **state)
{
    for (int i = 0; i < 10; i++) assert_non_null(acre_heap_alloc(*state, 1000));
    int visited = 0;
    acre_heap_walk(*state, stop_at_third, &visited);
    assert_int_equal(visited, 3);
}

/* Random pointers into blocks of two heaps, and beside them, against what was handed out. */
static void where_knows_the_heap_and_the_block_of_any_pointer(void **state)
{
    enum { BLOCKS = 3000, POINTERS = 1000000 };
    static char *blocks[BLOCKS];
    static size_t sizes[BLOCKS];
    acre_heap *heaps[2] = {*state, NULL};
    assert_int_equal(acre_heap_create(&(acre_heap_options){.name = "other"}, &heaps[1]), ACRE_OK);
    uint64_t random = 3;
    for (size_t i = 0; i < BLOCKS; i++) {
        const uint64_t number = next_random(&random);
        sizes[i] = 1 + (size_t)(number >> 20) % (number % 50 == 0 ? 200000u : number % 7 == 0 ? 9000u : 500u);
        blocks[i] = acre_heap_alloc(heaps[i % 2], sizes[i]);
        assert_non_null(blocks[i]);
    }
    for (size_t i = 0; i < POINTERS; i++) {
        const uint64_t number = next_random(&random);
        const size_t at = (size_t)(number >> 32) % BLOCKS;
        acre_place place = {0};
        assert_int_equal(acre_where(blocks[at] + number % sizes[at], &place), ACRE_OK);
        assert_true(place.heap == heaps[at % 2] && place.base == (uintptr_t)blocks[at] && place.size_bytes >= sizes[at]);
        assert_true(place.space != NULL && place.size_bytes == acre_heap_usable_size(place.heap, place.base));
    }
    static int global;
    int local = 0;
    acre_place before = {.base = 77};
    const void *const foreign[] = {NULL, &local, &global, blocks, (void *)(uintptr_t)UINT64_C(0x123456789abcdef0), (void *)UINTPTR_MAX};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        assert_int_equal(acre_where(foreign[i], &before), ACRE_BAD_POINTER);
        assert_int_equal(before.base, 77);
    }
    for (size_t i = 0; i < POINTERS; i++) { /* any number: an answer only where it is right */
        acre_place place;
        const void *const pointer = (void *)(uintptr_t)(next_random(&random) >> (i % 20));
        if (acre_where(pointer, &place) == ACRE_OK) {
            assert_true((uintptr_t)pointer >= place.base && (uintptr_t)pointer - place.base < place.size_bytes);
        }
    }
    acre_heap_destroy(heaps[1]);
    assert_int_equal(acre_where(blocks[1], &before), ACRE_BAD_POINTER);
}

/* Nine of ten blocks are freed at random, so that each span keeps a few; then the others are replaced again and again. */
static void spans_that_are_sparse_drain_while_the_program_goes_on(void **state)
{
    enum { BLOCKS = 240000, SIZE = 100, KEPT = BLOCKS / 10 };
    static void *blocks[BLOCKS];
    acre_heap *const heap = *state;
    uint64_t random = 5;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = acre_heap_alloc(heap, SIZE);
        assert_non_null(blocks[i]);
    }
    for (size_t i = BLOCKS; i > KEPT; i--) { /* the last of those that are left takes the place of one of them */
        const size_t at = (size_t)(next_random(&random) >> 20) % i;
        acre_heap_free(heap, blocks[at]);
        blocks[at] = blocks[i - 1];
    }
    acre_heap_figures before;
    acre_heap_read_figures(heap, &before);
    assert_true(before.run_bytes > (uint64_t)BLOCKS * SIZE * 9 / 10);
    acre_heap_figures after = before;
    const uint64_t end_ns = acre_os_now_ns() + 60 * (uint64_t)1000000000; /* it takes a second */
    while (after.run_bytes > before.run_bytes / 2 && acre_os_now_ns() < end_ns) {
        for (size_t i = 0; i < KEPT; i++) {
            void **const block = &blocks[(size_t)(next_random(&random) >> 20) % KEPT];
            acre_heap_free(heap, *block);
            *block = acre_heap_alloc(heap, SIZE);
        }
        acre_heap_read_figures(heap, &after);
    }
    assert_true(after.run_bytes <= before.run_bytes / 2);
    assert_true(acre_heap_is_valid(heap));
}

static void where_says_no_for_what_is_not_ours(void **state)
{
    acre_block block;
    int local = 0;
    assert_int_equal(acre_heap_where(*state, (uintptr_t)&local, &block), ACRE_BAD_POINTER);
    assert_int_equal(acre_heap_where(*state, 0, &block), ACRE_BAD_POINTER);
    assert_int_equal(acre_heap_where(*state, 16, NULL), ACRE_INVALID);
    assert_true(acre_heap_usable_size(*state, 12345) == 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bad_options_are_refused_with_a_sentence),
        TEST(there_are_at_most_so_many_heaps),
        TEST(sizes_and_alignments_at_the_edges),
        TEST(a_block_freed_twice_is_reported_once_and_freed_once),
        TEST(a_double_free_in_a_row_is_reported),
        TEST(a_block_freed_again_after_its_word_went_back_is_reported),
        TEST(pointers_that_are_no_blocks_are_reported_and_change_nothing),
        TEST(a_block_of_another_heap_is_foreign),
        TEST(resizing_what_is_no_block_of_the_heap_is_a_fault),
        TEST(resizing_keeps_the_contents),
        TEST(freed_memory_is_dirty_until_it_is_purged),
        TEST(what_a_thread_holds_ready_is_told_apart_from_what_is_live),
        TEST(a_walk_ends_when_the_visitor_says_so),
        TEST(where_knows_the_heap_and_the_block_of_any_pointer),
        TEST(spans_that_are_sparse_drain_while_the_program_goes_on),
        TEST(where_says_no_for_what_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
