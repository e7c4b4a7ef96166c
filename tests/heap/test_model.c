/* test_model.c - random calls on a heap over every kind of space, against the simplest model: a sorted list of the blocks.
 *
 * The same operations in the same order over memory, a file, secret pages, a range that faults when touched, and numbers that
 * are no addresses. Where there is memory, every block is filled and its contents are checked when it goes.
 */
#include "support/spaces.h"
#include "support/test.h"

#include <acre/heap.h>

#include "base/bits.h"

enum { BLOCK_COUNT_MAX = 3000, STEP_COUNT = 60000 };
#define SPACE_BYTES ((uint64_t)96 << 20)

typedef struct model_block {
    acre_addr base;
    uint64_t size;
    uint8_t fill;
} model_block;

typedef struct model {
    model_block blocks[BLOCK_COUNT_MAX]; /* by base */
    size_t count;
    acre_heap *heap;
    acre_space *space;
    bool has_memory;
} model;

static size_t place_of(const model *m, acre_addr base)
{
    size_t low = 0;
    size_t high = m->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (m->blocks[middle].base < base)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The checks that say what an allocator is: in the space, aligned, large enough, and nobody else's. */
static void model_insert(model *m, acre_addr base, uint64_t size, uint64_t alignment, uint8_t fill)
{
    assert_true(base % alignment == 0);
    if (m->space->size_bytes != 0) {
        assert_true(base >= m->space->base && base + size <= m->space->base + m->space->size_bytes);
    }
    const size_t at = place_of(m, base);
    if (at < m->count) assert_true(base + (size > 0 ? size : 1) <= m->blocks[at].base);
    if (at > 0) assert_true(m->blocks[at - 1].base + m->blocks[at - 1].size <= base);
    memmove(&m->blocks[at + 1], &m->blocks[at], (m->count - at) * sizeof *m->blocks);
    m->blocks[at] = (model_block){.base = base, .size = size, .fill = fill};
    m->count++;
    assert_true(acre_heap_usable_size(m->heap, base) >= size);
    if (m->has_memory) memset((void *)(uintptr_t)base, fill, (size_t)size);
}

static model_block model_remove(model *m, size_t at, uint64_t checked_size)
{
    const model_block block = m->blocks[at];
    if (m->has_memory) {
        const uint8_t *const bytes = (const uint8_t *)(uintptr_t)block.base;
        for (uint64_t i = 0; i < checked_size; i++) {
            if (bytes[i] != block.fill) assert_int_equal(bytes[i], block.fill);
        }
    }
    m->count--;
    memmove(&m->blocks[at], &m->blocks[at + 1], (m->count - at) * sizeof *m->blocks);
    return block;
}

/* Mostly small, sometimes across all classes, sometimes many units. */
static uint64_t random_size(uint64_t *random)
{
    const uint64_t number = next_random(random);
    switch (number % 16) {
    case 0:
        return number % 7 == 0 ? 0 : (number >> 8) % 300000;
    case 1:
    case 2:
        return (number >> 8) % 40000;
    case 3:
        return 16u << ((number >> 8) % 12);
    default:
        return 1 + (number >> 8) % 600;
    }
}

static void random_step(model *m, uint64_t *random)
{
    const uint64_t number = next_random(random);
    /* Waves: for a while more comes than goes, then the other way round. */
    const bool is_growing = (number >> 40) % 100 < ((m->count * 2 < BLOCK_COUNT_MAX) ? 60u : 45u);
    if (m->count == 0 || (is_growing && m->count < BLOCK_COUNT_MAX)) {
        const uint64_t size = random_size(random);
        const uint64_t alignment = number % 10 == 0 ? (uint64_t)16 << (number >> 20) % 13 : 16;
        const acre_addr base = acre_heap_alloc_address(m->heap, size, alignment, NULL);
        if (base != 0)
            model_insert(m, base, size, alignment, (uint8_t)number);
        else
            assert_int_equal(acre_last_status(), ACRE_NO_MEMORY);
        return;
    }
    const size_t at = (size_t)((number >> 8) % m->count);
    if (m->has_memory && number % 5 == 0) {
        const uint64_t size = random_size(random) + 1;
        const model_block old = m->blocks[at];
        void *const moved = acre_heap_resize(m->heap, (void *)(uintptr_t)old.base, (size_t)size);
        if (moved == NULL) return;
        const uint64_t kept = size < old.size ? size : old.size;
        for (uint64_t i = 0; i < kept; i++) {
            if (((uint8_t *)moved)[i] != old.fill) assert_int_equal(((uint8_t *)moved)[i], old.fill);
        }
        (void)model_remove(m, at, 0);
        model_insert(m, (uintptr_t)moved, size, 16, (uint8_t)(number >> 3));
        return;
    }
    const model_block gone = model_remove(m, at, m->blocks[at].size);
    acre_block where;
    assert_int_equal(acre_heap_where(m->heap, gone.base + (gone.size > 0 ? (number >> 16) % gone.size : 0), &where), ACRE_OK);
    assert_true(where.base == gone.base && where.is_out);
    acre_heap_free_address(m->heap, gone.base);
}

static bool count_block(void *context, const acre_block *block)
{
    const model *const m = context;
    const size_t at = place_of(m, block->base);
    /* After a flush, what is out is exactly what the model has. */
    assert_true(at < m->count && m->blocks[at].base == block->base);
    return true;
}

static void the_heap_behaves_like_the_model_over(acre_space_kind kind, acre_guard_level level)
{
    acre_space space;
    const acre_status opened = test_space_open(&space, kind, SPACE_BYTES);
    if (kind == ACRE_SPACE_SECRET && opened == ACRE_UNSUPPORTED) skip();
    assert_int_equal(opened, ACRE_OK);

    model *const m = calloc(1, sizeof *m);
    m->space = &space;
    m->has_memory = (space.info.capabilities & ACRE_CAP_HOST_ACCESS) != 0;
    assert_int_equal(acre_heap_create(&(acre_heap_options){.space = &space, .name = "model", .guard = level}, &m->heap), ACRE_OK);

    uint64_t random = 0x1234567 + (uint64_t)kind;
    for (int step = 0; step < STEP_COUNT; step++) {
        random_step(m, &random);
        if (step % 5000 == 0) assert_true(acre_heap_is_valid(m->heap));
        const bool can_mesh = (space.info.capabilities & ACRE_CAP_ALIAS) != 0 && level == ACRE_GUARD_L0;
        if (can_mesh && step % 2500 == 0) assert_int_equal(acre_heap_mesh(m->heap, NULL), ACRE_OK);
        if (step % 20000 == 10000) {
            acre_heap_flush(m->heap);
            acre_heap_walk(m->heap, count_block, m);
            (void)acre_heap_purge(m->heap, 0);
            assert_true(acre_heap_is_valid(m->heap));
        }
    }
    while (m->count > 0) acre_heap_free_address(m->heap, model_remove(m, m->count - 1, m->blocks[m->count - 1].size).base);
    acre_heap_flush(m->heap);
    acre_heap_figures figures;
    acre_heap_read_figures(m->heap, &figures);
    if (level != ACRE_GUARD_L2) assert_true(figures.block_bytes == 0 && figures.large_bytes == 0); /* some wait in the quarantine */
    assert_int_equal(acre_heap_check(m->heap), 0);
    assert_true(acre_heap_is_valid(m->heap));

    acre_heap_destroy(m->heap);
    test_space_close(&space);
    free(m);
}

#define OVER_AT(kind, name, level)                                                                                                         \
    static void name(void **state)                                                                                                         \
    {                                                                                                                                      \
        (void)state;                                                                                                                       \
        the_heap_behaves_like_the_model_over(kind, level);                                                                                 \
    }

#define OVER(kind, name)                                                                                                                   \
    OVER_AT(kind, random_calls_over_##name, ACRE_GUARD_L0)                                                                                 \
    OVER_AT(kind, random_calls_at_l1_over_##name, ACRE_GUARD_L1)                                                                           \
    OVER_AT(kind, random_calls_at_l2_over_##name, ACRE_GUARD_L2)

OVER(ACRE_SPACE_PAGES, pages)
OVER(ACRE_SPACE_STATIC, a_static_array)
OVER(ACRE_SPACE_FILE, a_file)
OVER(ACRE_SPACE_SHARED, shared_memory)
OVER(ACRE_SPACE_SECRET, secret_memory)
OVER(ACRE_SPACE_RESERVED, memory_that_may_not_be_touched)
OVER(ACRE_SPACE_HANDLE, addresses_that_are_no_pointers)

#define TESTS(name)                                                                                                                        \
    cmocka_unit_test(random_calls_over_##name), cmocka_unit_test(random_calls_at_l1_over_##name),                                          \
        cmocka_unit_test(random_calls_at_l2_over_##name)

OVER_AT(ACRE_SPACE_PAGES, random_calls_with_guard_pages, ACRE_GUARD_L3)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS(pages),
        TESTS(a_static_array),
        TESTS(a_file),
        TESTS(shared_memory),
        TESTS(secret_memory),
        TESTS(memory_that_may_not_be_touched),
        TESTS(addresses_that_are_no_pointers),
        cmocka_unit_test(random_calls_with_guard_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
