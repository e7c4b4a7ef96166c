/* test_buddy.c - the buddy system against a model that looks through an array of cells for the lowest place. */
#include "alloc/buddy.h"
#include "carved.h"

static void *alloc(void *heap, size_t size) { return acre_buddy_alloc(heap, size); }
static acre_status free_block(void *heap, void *block) { return acre_buddy_free(heap, block); }
static acre_status resize(void *heap, void *block, size_t size) { return acre_buddy_resize(heap, block, size); }
static bool is_valid(const void *heap) { return acre_buddy_is_valid(heap); }
static const carved_ops ops = {
    .alloc = alloc, .free = free_block, .resize = resize, .is_valid = is_valid, .alignment = 32, .heap_bytes = sizeof(acre_buddy)};

#define BYTES_MAX ((size_t)128 << 10)
static _Alignas(32) unsigned char memory[BYTES_MAX];
static unsigned char owners[BYTES_MAX / 32];
static acre_buddy heap;
static carved blocks;

static void begin(size_t offset, size_t bytes)
{
    assert_int_equal(acre_buddy_init(&heap, memory + offset, bytes), ACRE_OK);
    assert_true(heap.tree + heap.node_count <= memory + offset + bytes);
    carved_begin(&blocks, &ops, &heap, memory + offset, bytes);
    memset(owners, 0, sizeof owners);
}

static uint32_t cell_of(const void *block) { return (uint32_t)((const unsigned char *)block - heap.cells) / 32; }

static bool is_free(uint32_t cell, uint32_t cells)
{
    for (uint32_t i = 0; i < cells; i++) {
        if (cell + i >= heap.cell_count || owners[cell + i] != 0) return false;
    }
    return true;
}

static uint32_t model_find(uint32_t cells)
{
    uint32_t cell = 0;
    while (cell < heap.cell_count && !is_free(cell, cells)) cell += cells;
    return cell < heap.cell_count ? cell : heap.cell_count;
}

static void mark(const carved_block *block, unsigned char owner)
{
    memset(owners + cell_of(block->at), owner, acre_buddy_cells(block->size));
}

static void run_model(size_t offset, size_t bytes, int step_count, uint64_t seed)
{
    uint64_t random = seed;
    begin(offset, bytes);
    for (int step = 0; step < step_count; step++) {
        const uint64_t number = next_random(&random);
        const uint64_t value = number >> 24;
        const size_t size = (size_t)(number % 8 == 0 ? value % (bytes / 2) : number % 8 == 1 ? value % 3000 : value % 200);
        if (blocks.count == 0 || number % 100 < (step / 300 % 2 == 0 ? 65u : 35u)) {
            const uint32_t expected = model_find(acre_buddy_cells(size));
            const bool is_made = carved_alloc(&blocks, size, (unsigned char)number);
            assert_true(is_made == (expected != heap.cell_count));
            if (is_made) {
                assert_int_equal(cell_of(blocks.blocks[blocks.count - 1].at), expected);
                assert_int_equal(acre_buddy_cells_of(&heap, blocks.blocks[blocks.count - 1].at), acre_buddy_cells(size));
                mark(&blocks.blocks[blocks.count - 1], 1);
            }
        } else if (number % 100 > 90) {
            const size_t index = (size_t)(number >> 40) % blocks.count;
            carved_block *const block = &blocks.blocks[index];
            const uint32_t cells = acre_buddy_cells(size);
            mark(block, 0);
            const bool fits = cell_of(block->at) % cells == 0 && is_free(cell_of(block->at), cells);
            const size_t size_before = block->size;
            carved_resize(&blocks, index, size);
            assert_true((block->size == size) == fits || size == size_before);
            mark(block, 1);
        } else {
            const size_t index = (size_t)(number >> 8) % blocks.count;
            mark(&blocks.blocks[index], 0);
            carved_free(&blocks, index);
        }
        uint32_t longest = 1;
        while (model_find(longest) != heap.cell_count) longest *= 2;
        assert_int_equal(acre_buddy_longest(&heap), longest / 2);
        if (step % 16 == 0 || bytes < 2000) assert_true(acre_buddy_is_valid(&heap));
    }
    while (blocks.count > 0) carved_free(&blocks, 0);
    assert_true(acre_buddy_is_valid(&heap));
    assert_int_equal(heap.live_cells, 0);
}

static void blocks_lie_at_the_lowest_multiple_of_their_size(void **state)
{
    (void)state;
    static const size_t bytes[] = {128, 160, 300, 512, 1000, 1024, 5000, 16 << 10, 40000, BYTES_MAX};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) run_model(0, bytes[i], 5000, 3 + i);
    for (size_t i = 1; i < 32; i += 3) run_model(i, 4000 + 3 * i, 2000, 30 + i);
}

static void every_sequence_of_seven_operations_on_512_bytes_is_right(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 40, 100, 200};
    begin(0, 512);
    carved_try_every_sequence(&blocks, sizes, 4);
}

static void every_free_of_what_is_no_block_is_refused(void **state)
{
    (void)state;
    begin(0, 64 << 10);
    uint64_t random = 9;
    for (int i = 0; i < 100000; i++) {
        const uint64_t number = next_random(&random);
        while (blocks.count < 40) assert_true(carved_alloc(&blocks, (size_t)(next_random(&random) % 700), 1));
        const uint64_t grain = number % 2 == 0 ? 32 : 1;
        unsigned char *const wrong = (unsigned char *)((uintptr_t)memory + (number >> 8) % (3 * blocks.bytes) / grain * grain - 128);
        bool is_block = false;
        for (size_t k = 0; k < blocks.count; k++) is_block = is_block || blocks.blocks[k].at == wrong;
        if (!is_block) assert_int_equal(acre_buddy_free(&heap, wrong), ACRE_BAD_POINTER);
        if (!is_block) assert_int_equal(acre_buddy_resize(&heap, wrong, 10), ACRE_BAD_POINTER);
        unsigned char *const last = blocks.blocks[number % blocks.count].at;
        carved_free(&blocks, (size_t)(number % blocks.count));
        assert_int_equal(acre_buddy_free(&heap, last), ACRE_BAD_POINTER);
    }
    assert_int_equal(acre_buddy_free(&heap, NULL), ACRE_BAD_POINTER);
    assert_true(acre_buddy_is_valid(&heap));
}

static void bad_sizes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(acre_buddy_init(&heap, memory, ACRE_BUDDY_BYTES_MIN - 1), ACRE_INVALID);
    assert_int_equal(acre_buddy_init(&heap, memory, (size_t)ACRE_REALTIME_REGION_BYTES_MAX + 1), ACRE_INVALID);
    assert_int_equal(acre_buddy_init(&heap, memory, SIZE_MAX), ACRE_INVALID);
    assert_int_equal(acre_buddy_cell_count(1), 0);
    begin(0, 1024);
    assert_int_equal(heap.cell_count, acre_buddy_cell_count(1024));
    void *const block = acre_buddy_alloc(&heap, 0);
    assert_non_null(block);
    static const size_t sizes[] = {1024, ACRE_REALTIME_REGION_BYTES_MAX, (size_t)ACRE_REALTIME_REGION_BYTES_MAX + 1, SIZE_MAX - 4,
        SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_null(acre_buddy_alloc(&heap, sizes[i]));
        assert_int_equal(acre_buddy_resize(&heap, block, sizes[i]), ACRE_NO_MEMORY);
    }
    for (size_t i = 0; i < heap.node_count; i++) { /* every node counts */
        heap.tree[i] ^= 1;
        assert_false(acre_buddy_is_valid(&heap));
        heap.tree[i] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_lie_at_the_lowest_multiple_of_their_size),
        cmocka_unit_test(every_sequence_of_seven_operations_on_512_bytes_is_right),
        cmocka_unit_test(every_free_of_what_is_no_block_is_refused),
        cmocka_unit_test(bad_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
