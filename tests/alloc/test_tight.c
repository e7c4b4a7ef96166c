/* test_tight.c - the engine tight against the simplest model of first, best and worst fit: an array with the owner of each unit, looked
 * through from its beginning. Compiled twice: with the headers that this machine has, and with those of small machines. */
#include "alloc/tight.h"
#include "carved.h"

static void *alloc(void *heap, size_t size) { return acre_tight_alloc(heap, size); }
static acre_status free_block(void *heap, void *block) { return acre_tight_free(heap, block); }
static acre_status resize(void *heap, void *block, size_t size) { return acre_tight_resize(heap, block, size); }
static bool is_valid(const void *heap) { return acre_tight_is_valid(heap); }
static const carved_ops ops = {
    .alloc = alloc, .free = free_block, .resize = resize, .is_valid = is_valid, .alignment = 8, .heap_bytes = sizeof(acre_tight)};

#define BYTES_MAX ((size_t)256 << 10)
static _Alignas(8) unsigned char memory[BYTES_MAX];
static unsigned char owners[BYTES_MAX / 8];
static acre_tight heap;
static carved blocks;

static void begin(size_t offset, size_t bytes)
{
    assert_int_equal(acre_tight_init(&heap, memory + offset, bytes), ACRE_OK);
    carved_begin(&blocks, &ops, &heap, memory + offset, bytes);
    memset(owners, 0, sizeof owners);
}

static uint32_t unit_of(const void *block) { return (uint32_t)((const unsigned char *)block - 4 - heap.base) / 8; }

typedef enum fit { FIRST, BEST, WORST } fit;

/* Where the model puts a block, or unit_count; and how long the longest free block is. */
static uint32_t model_find(uint32_t units, fit how, uint32_t *longest)
{
    uint32_t found = heap.unit_count;
    uint32_t found_length = 0;
    *longest = 0;
    for (uint32_t unit = 0, length; unit < heap.unit_count; unit += length + 1) {
        for (length = 0; unit + length < heap.unit_count && owners[unit + length] == 0;) length++;
        if (length > *longest) *longest = length;
        if (length < units) continue;
        if (found == heap.unit_count || (how == BEST && length < found_length) || (how == WORST && length > found_length)) {
            found = unit;
            found_length = length;
        }
    }
    return found;
}

static void model_mark(const void *block, size_t size, unsigned char owner)
{
    memset(owners + unit_of(block), owner, acre_block_units(size));
}

static void compare_alloc(size_t size, fit how, unsigned char seed)
{
    uint32_t longest;
    const uint32_t expected = model_find(acre_block_units(size), how, &longest);
    assert_int_equal(acre_tight_longest(&heap), longest > 1 ? longest : 0);
    if (how != FIRST) {
        void *const block = how == BEST ? acre_tight_alloc_best(&heap, size) : acre_tight_alloc_worst(&heap, size);
        assert_true((block == NULL) == (expected == heap.unit_count));
        if (block == NULL) return;
        assert_int_equal(unit_of(block), expected);
        blocks.blocks[blocks.count] = (carved_block){.at = block, .size = size, .seed = seed};
        carved_fill(&blocks.blocks[blocks.count++]);
    } else {
        const bool is_made = carved_alloc(&blocks, size, seed);
        assert_true(is_made == (expected != heap.unit_count));
        if (!is_made) return;
        assert_int_equal(unit_of(blocks.blocks[blocks.count - 1].at), expected);
    }
    model_mark(blocks.blocks[blocks.count - 1].at, size, 1);
}

static void compare_free(size_t index)
{
    model_mark(blocks.blocks[index].at, blocks.blocks[index].size, 0);
    carved_free(&blocks, index);
}

static void compare_resize(size_t index, size_t size)
{
    const carved_block before = blocks.blocks[index];
    const uint32_t unit = unit_of(before.at);
    uint32_t length = acre_block_units(before.size);
    while (unit + length < heap.unit_count && owners[unit + length] == 0) length++;
    carved_resize(&blocks, index, size);
    assert_true((blocks.blocks[index].size == size) == (acre_block_units(size) <= length) || size == before.size);
    model_mark(before.at, before.size, 0);
    model_mark(before.at, blocks.blocks[index].size, 1);
}

static size_t any_size(uint64_t number, size_t bytes)
{
    const uint64_t value = number >> 16;
    switch (number % 8) {
    case 0: return (size_t)(value % (bytes / 3));
    case 1: return (size_t)(value % 3000);
    case 2: return (size_t)1 << value % 12;
    default: return (size_t)(value % 120);
    }
}

static void run_model(size_t offset, size_t bytes, fit how, int step_count, uint64_t seed)
{
    uint64_t random = seed;
    begin(offset, bytes);
    for (int step = 0; step < step_count; step++) {
        const uint64_t number = next_random(&random);
        const bool is_growing = step / 300 % 2 == 0;
        if (blocks.count == 0 || (blocks.count < CARVED_BLOCK_COUNT_MAX && number % 100 < (is_growing ? 65u : 35u)))
            compare_alloc(any_size(number >> 8, bytes), how, (unsigned char)number);
        else if (number % 100 > 92)
            compare_resize((size_t)(number >> 40) % blocks.count, any_size(number >> 8, bytes));
        else
            compare_free((size_t)(number >> 8) % blocks.count);
        if (step % 16 == 0 || bytes < 2000) assert_true(acre_tight_is_valid(&heap));
    }
    while (blocks.count > 0) compare_free(0);
    assert_true(acre_tight_is_valid(&heap));
    assert_int_equal(heap.live_units, 0);
    assert_int_equal(acre_tight_longest(&heap), heap.unit_count);
}

static void blocks_go_where_a_linear_first_fit_puts_them(void **state)
{
    (void)state;
    static const size_t bytes[] = {256,  264,      300,   512,   1000,  1024,     2112,   2500,
                                   5000, 16 << 10, 17000, 18000, 40000, 66 << 10, 200000, BYTES_MAX};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) run_model(0, bytes[i], FIRST, 6000, 3 + i);
    for (size_t i = 1; i < 8; i++) run_model(i, 4000 + 3 * i, FIRST, 3000, 30 + i);
}

static void the_smallest_and_the_largest_hole_are_found(void **state)
{
    (void)state;
    run_model(0, 512, BEST, 6000, 5);
    run_model(0, 70000, BEST, 12000, 6);
    run_model(0, BYTES_MAX, BEST, 6000, 7);
    run_model(0, 512, WORST, 6000, 8);
    run_model(0, 70000, WORST, 12000, 9);
    run_model(0, BYTES_MAX, WORST, 6000, 10);
}

static void many_holes_of_all_lengths_are_found_in_order(void **state)
{
    (void)state;
    begin(0, BYTES_MAX);
    while (blocks.count < CARVED_BLOCK_COUNT_MAX && carved_alloc(&blocks, 4 + blocks.count * 29 % 90, 1)) {
        model_mark(blocks.blocks[blocks.count - 1].at, blocks.blocks[blocks.count - 1].size, 1);
    }
    for (size_t i = blocks.count; i-- > 0;) {
        if (i % 3 != 0) compare_free(i);
    }
    for (int i = 0; i < 2000; i++) compare_alloc((size_t)(i * 37 % 200), FIRST, 2);
    assert_true(acre_tight_is_valid(&heap));
}

/* A window that has a block of 255 units or more, and what comes and goes beside it. */
static void a_long_block_of_a_window_is_known_exactly(void **state)
{
    (void)state;
    begin(0, 64 << 10);
    for (size_t length = 250; length < 262; length++) {
        for (size_t before = 0; before < 40; before++) {
            compare_alloc(before * 8 + 1, FIRST, 1);  /* 0: pushes the next ones away from the beginning of the window */
            compare_alloc(length * 8 - 4, FIRST, 2);  /* 1: the long one */
            compare_alloc(20, FIRST, 3);              /* 2 */
            compare_alloc(100, FIRST, 4);             /* 3: another hole, maybe in the same window */
            compare_alloc(20, FIRST, 5);              /* 4 */
            compare_free(1);
            assert_true(acre_tight_is_valid(&heap));
            for (size_t i = 0; i < blocks.count; i++) {
                if (blocks.blocks[i].seed == 4) compare_free(i);
            }
            assert_true(acre_tight_is_valid(&heap));
            compare_alloc(length * 8 - 3, FIRST, 6); /* one unit more than the long one */
            compare_alloc(length * 8 - 4, FIRST, 7);
            while (blocks.count > 0) compare_free(blocks.count - 1);
        }
    }
}

static void every_sequence_of_seven_operations_on_512_bytes_is_right(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 20, 60, 150};
    begin(0, 512);
    carved_try_every_sequence(&blocks, sizes, 4);
}

static void the_front_of_a_block_is_cut_off(void **state)
{
    (void)state;
    begin(0, 4096);
    for (uint32_t units = 1; units < 30; units++) {
        void *const first = acre_tight_alloc(&heap, 10);
        void *const block = acre_tight_alloc(&heap, 300);
        unsigned char *const moved = acre_tight_cut_front(&heap, block, units);
        assert_ptr_equal(moved, (unsigned char *)block + (size_t)units * 8);
        assert_true(acre_tight_is_valid(&heap));
        assert_int_equal(acre_tight_free(&heap, first), ACRE_OK);
        assert_true(acre_tight_is_valid(&heap));
        assert_int_equal(acre_tight_free(&heap, block), ACRE_BAD_POINTER);
        assert_int_equal(acre_tight_free(&heap, moved), ACRE_OK);
        assert_int_equal(acre_tight_longest(&heap), heap.unit_count);
    }
}

static void frees_of_what_is_no_block_are_refused(void **state)
{
    (void)state;
    uint64_t random = 77;
    memset(memory, 0, sizeof memory); /* no headers of other tests */
    begin(0, 64 << 10);
    const uint64_t accepted = carved_free_invalid(&blocks, &random);
    print_message("%llu of 100000 invalid frees were not refused\n", (unsigned long long)accepted);
    assert_true(accepted <= 100);
}

static void a_neighbour_that_was_overwritten_is_noticed_before_anything_changes(void **state)
{
    (void)state;
    begin(0, 4096);
    for (int i = 0; i < 6; i++) assert_true(carved_alloc(&blocks, 40, (unsigned char)i));
    carved_block *const b = blocks.blocks;
    assert_int_equal(acre_tight_free(&heap, b[1].at), ACRE_OK);
    assert_int_equal(acre_tight_free(&heap, b[3].at), ACRE_OK);
    /* Around block 2: header and last word of 3, which is free, and those of 1, which is free, too. */
    unsigned char *const places[] = {b[3].at - 4, b[3].at - 1, b[4].at - 8, b[4].at - 5,
                                     b[1].at - 4, b[1].at - 2, b[2].at - 8, b[2].at - 6};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (int value = 1; value < 256; value++) {
            unsigned char before[4096];
            const acre_tight heap_before = heap;
            *places[i] ^= (unsigned char)value;
            memcpy(before, memory, sizeof before);
            assert_int_equal(acre_tight_free(&heap, b[2].at), ACRE_CORRUPT);
            assert_int_equal(acre_tight_resize(&heap, b[2].at, 60), ACRE_CORRUPT);
            assert_memory_equal(before, memory, sizeof before);
            assert_memory_equal(&heap_before, &heap, sizeof heap);
            *places[i] ^= (unsigned char)value;
        }
    }
    assert_int_equal(acre_tight_free(&heap, b[2].at), ACRE_OK);
    assert_true(acre_tight_is_valid(&heap));
}

static void bad_sizes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(acre_tight_init(&heap, memory, ACRE_TIGHT_BYTES_MIN - 1), ACRE_INVALID);
    assert_int_equal(acre_tight_init(&heap, memory, 0), ACRE_INVALID);
    assert_int_equal(acre_tight_init(&heap, memory, (size_t)ACRE_REALTIME_REGION_BYTES_MAX + 1), ACRE_INVALID);
    assert_int_equal(acre_tight_init(&heap, memory, SIZE_MAX), ACRE_INVALID);
    assert_int_equal(acre_tight_unit_count(ACRE_TIGHT_BYTES_MIN - 1), 0);
    begin(0, 1024);
    assert_int_equal(heap.unit_count, acre_tight_unit_count(1024));
    static const size_t sizes[] = {1024, 2000, ACRE_REALTIME_REGION_BYTES_MAX, (size_t)ACRE_REALTIME_REGION_BYTES_MAX + 1,
                                   SIZE_MAX / 2, SIZE_MAX - 12, SIZE_MAX - 4, SIZE_MAX};
    void *const block = acre_tight_alloc(&heap, 0);
    assert_non_null(block);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_null(acre_tight_alloc(&heap, sizes[i]));
        assert_null(acre_tight_alloc_best(&heap, sizes[i]));
        assert_null(acre_tight_alloc_worst(&heap, sizes[i]));
        assert_int_equal(acre_tight_resize(&heap, block, sizes[i]), ACRE_NO_MEMORY);
    }
    assert_int_equal(acre_tight_free(&heap, NULL), ACRE_BAD_POINTER);
    assert_int_equal(acre_tight_resize(&heap, NULL, 1), ACRE_BAD_POINTER);
    assert_int_equal(acre_tight_free(&heap, block), ACRE_OK);
    assert_true(acre_tight_is_valid(&heap));
}

/* Every single byte of control data that is changed is noticed by acre_tight_is_valid, or stands where nothing is kept. */
static void a_wrong_state_is_not_valid(void **state)
{
    (void)state;
    begin(0, 3000);
    for (int i = 0; i < 20; i++) assert_true(carved_alloc(&blocks, 50, (unsigned char)i));
    for (size_t i = 0; i < 20; i += 3) assert_int_equal(acre_tight_free(&heap, blocks.blocks[i].at), ACRE_OK);
    assert_true(acre_tight_is_valid(&heap));
    size_t noticed = 0;
    const size_t control_bytes = (size_t)(heap.base - memory);
    for (size_t i = 0; i < control_bytes; i++) {
        memory[i] ^= 1;
        noticed += acre_tight_is_valid(&heap) ? 0 : 1;
        memory[i] ^= 1;
    }
    assert_true(noticed > control_bytes / 2);
    heap.live_units++;
    assert_false(acre_tight_is_valid(&heap));
    heap.live_units--;
    assert_true(acre_tight_is_valid(&heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_go_where_a_linear_first_fit_puts_them),
        cmocka_unit_test(the_smallest_and_the_largest_hole_are_found),
        cmocka_unit_test(many_holes_of_all_lengths_are_found_in_order),
        cmocka_unit_test(a_long_block_of_a_window_is_known_exactly),
        cmocka_unit_test(every_sequence_of_seven_operations_on_512_bytes_is_right),
        cmocka_unit_test(the_front_of_a_block_is_cut_off),
        cmocka_unit_test(frees_of_what_is_no_block_are_refused),
        cmocka_unit_test(a_neighbour_that_was_overwritten_is_noticed_before_anything_changes),
        cmocka_unit_test(bad_sizes_are_refused),
        cmocka_unit_test(a_wrong_state_is_not_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
