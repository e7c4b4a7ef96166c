/* test_mesh.c - spans that are laid over each other: contents, figures, walks, callers who break the rules. */
#include "support/test.h"

#include <acre/guard.h>
#include <acre/heap.h>

#include <sys/stat.h>

enum { BLOCKS = 40000, SIZE = 240, KEPT_ONE_IN = 10 };
#define SPACE_BYTES ((uint64_t)64 << 20)

typedef struct fixture {
    acre_space space;
    acre_heap *heap;
    char *blocks[BLOCKS];
} fixture;

static fixture f;
static acre_fault last_fault;
static int fault_count;

static bool note_fault(void *context, const acre_fault *fault)
{
    (void)context;
    last_fault = *fault;
    fault_count++;
    return true;
}

static uint64_t memory_bytes(void)
{
    struct stat status;
    assert_int_equal(fstat(f.space.descriptor, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

static char mark_of(size_t i) { return (char)(i * 7 + 1); }

/* A heap of which one block in ten is left, at random. */
static int set_up(void **state)
{
    (void)state;
    assert_int_equal(acre_space_open_shared(&f.space, "mesh", SPACE_BYTES), ACRE_OK);
    assert_int_equal(acre_heap_create(&(acre_heap_options){.space = &f.space, .name = "mesh"}, &f.heap), ACRE_OK);
    uint64_t random = 77;
    for (size_t i = 0; i < BLOCKS; i++) {
        f.blocks[i] = acre_heap_alloc(f.heap, SIZE);
        assert_non_null(f.blocks[i]);
        memset(f.blocks[i], mark_of(i), SIZE);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if ((next_random(&random) >> 20) % KEPT_ONE_IN == 0) continue;
        acre_heap_free(f.heap, f.blocks[i]);
        f.blocks[i] = NULL;
    }
    acre_heap_flush(f.heap);
    (void)acre_heap_purge(f.heap, 0);
    fault_count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    acre_guard_set_handler(NULL, NULL);
    acre_heap_destroy(f.heap);
    acre_space_close(&f.space);
    return 0;
}

static void check_contents(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        for (size_t byte = 0; f.blocks[i] != NULL && byte < SIZE; byte++) {
            if (f.blocks[i][byte] != mark_of(i)) assert_int_equal(f.blocks[i][byte], mark_of(i));
        }
    }
}

static void free_all(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        acre_heap_free(f.heap, f.blocks[i]);
        f.blocks[i] = NULL;
    }
    acre_heap_flush(f.heap);
}

static uint64_t mesh(void)
{
    uint64_t returned_bytes;
    assert_int_equal(acre_heap_mesh(f.heap, &returned_bytes), ACRE_OK);
    assert_true(acre_heap_is_valid(f.heap));
    return returned_bytes;
}

static void most_of_the_memory_goes_back_and_the_contents_stay(void **state)
{
    (void)state;
    const uint64_t before = memory_bytes();
    const uint64_t returned_bytes = mesh();
    acre_heap_figures figures;
    acre_heap_read_figures(f.heap, &figures);
    assert_true(figures.meshed_bytes == returned_bytes && returned_bytes > before / 2);
    assert_true(memory_bytes() <= before - returned_bytes);
    check_contents();
    assert_true(mesh() < before / 8); /* little is left to do */
    check_contents();
}

static void writes_reach_one_block_only(void **state)
{
    (void)state;
    (void)mesh();
    for (size_t i = 0; i < BLOCKS; i++) {
        if (f.blocks[i] != NULL) memset(f.blocks[i], mark_of(i), SIZE);
    }
    check_contents();
}

static void later_blocks_are_nobody_elses(void **state)
{
    (void)state;
    (void)mesh();
    for (size_t i = 0; i < BLOCKS; i++) {
        if (f.blocks[i] != NULL) continue;
        f.blocks[i] = acre_heap_alloc(f.heap, SIZE);
        assert_non_null(f.blocks[i]);
        memset(f.blocks[i], mark_of(i), SIZE);
    }
    check_contents();
    assert_true(acre_heap_is_valid(f.heap));
}

static void when_all_is_freed_every_span_has_its_own_memory_again(void **state)
{
    (void)state;
    assert_true(mesh() > 0);
    free_all();
    acre_heap_figures figures;
    acre_heap_read_figures(f.heap, &figures);
    assert_true(figures.meshed_bytes == 0 && figures.block_bytes == 0);
    assert_true(acre_heap_is_valid(f.heap));
    (void)acre_heap_purge(f.heap, 0);
    assert_true(memory_bytes() == 0);
    for (size_t i = 0; i < BLOCKS; i++) {
        f.blocks[i] = acre_heap_alloc(f.heap, SIZE);
        memset(f.blocks[i], mark_of(i), SIZE);
    }
    check_contents();
}

static bool count_if_ours(void *context, const acre_block *block)
{
    acre_block where;
    assert_int_equal(acre_heap_where(f.heap, block->base + 1, &where), ACRE_OK);
    assert_true(where.base == block->base && where.is_out);
    ++*(size_t *)context;
    return true;
}

static void a_walk_finds_each_block_once_where_it_is(void **state)
{
    (void)state;
    (void)mesh();
    size_t walked = 0, kept = 0;
    acre_heap_walk(f.heap, count_if_ours, &walked);
    for (size_t i = 0; i < BLOCKS; i++) kept += f.blocks[i] != NULL;
    assert_int_equal(walked, kept);
}

/* At either of the addresses that show the same memory. */
static void a_second_free_is_noticed(void **state)
{
    (void)state;
    (void)mesh();
    acre_guard_set_handler(note_fault, NULL);
    size_t tried = 0;
    for (size_t i = 0; i < BLOCKS && tried < 2000; i++) {
        if (f.blocks[i] == NULL) continue;
        char *const block = f.blocks[i];
        acre_heap_free(f.heap, block);
        acre_heap_flush(f.heap);
        f.blocks[i] = NULL;
        acre_block where;
        if (acre_heap_where(f.heap, (uintptr_t)block, &where) != ACRE_OK) continue; /* the last of its span */
        assert_false(where.is_out);
        const int before = fault_count;
        acre_heap_free(f.heap, block);
        acre_heap_flush(f.heap);
        assert_int_equal(fault_count, before + 1);
        assert_int_equal(last_fault.kind, ACRE_FAULT_DOUBLE_FREE);
        tried++;
    }
    assert_true(tried > 1000);
    check_contents();
    assert_true(acre_heap_is_valid(f.heap));
}

static void what_cannot_mesh_says_so(void **state)
{
    (void)state;
    acre_heap *other;
    assert_int_equal(acre_heap_mesh(NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_heap_create(&(acre_heap_options){.name = "plain"}, &other), ACRE_OK);
    assert_int_equal(acre_heap_mesh(other, NULL), ACRE_UNSUPPORTED);
    assert_non_null(strstr(acre_last_error(), "plain"));
    acre_heap_destroy(other);
    acre_space space;
    assert_int_equal(acre_space_open_shared(&space, "checked", SPACE_BYTES), ACRE_OK);
    assert_int_equal(acre_heap_create(&(acre_heap_options){.space = &space, .name = "checked", .guard = ACRE_GUARD_L1}, &other), ACRE_OK);
    assert_int_equal(acre_heap_mesh(other, NULL), ACRE_UNSUPPORTED);
    acre_heap_destroy(other);
    acre_space_close(&space);
}

static void a_destroyed_heap_leaves_a_space_as_it_was(void **state)
{
    (void)state;
    assert_true(mesh() > 0);
    acre_heap_destroy(f.heap);
    assert_int_equal(acre_heap_create(&(acre_heap_options){.space = &f.space, .name = "mesh"}, &f.heap), ACRE_OK);
    for (size_t i = 0; i < BLOCKS; i++) {
        f.blocks[i] = acre_heap_alloc(f.heap, SIZE);
        assert_non_null(f.blocks[i]);
        memset(f.blocks[i], mark_of(i), SIZE);
    }
    check_contents();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(most_of_the_memory_goes_back_and_the_contents_stay),
        TEST(writes_reach_one_block_only),
        TEST(later_blocks_are_nobody_elses),
        TEST(when_all_is_freed_every_span_has_its_own_memory_again),
        TEST(a_walk_finds_each_block_once_where_it_is),
        TEST(a_second_free_is_noticed),
        TEST(what_cannot_mesh_says_so),
        TEST(a_destroyed_heap_leaves_a_space_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
