/* test_half_fit.c - the engine half-fit: blocks that keep their contents, the rule by which a list is chosen, and what is refused. Compiled
 * twice: with the headers that this machine has, and with those of small machines. */
#include "alloc/half_fit.h"
#include "carved.h"

static void *alloc(void *heap, size_t size) { return acre_half_fit_alloc(heap, size); }
static acre_status free_block(void *heap, void *block) { return acre_half_fit_free(heap, block); }
static acre_status resize(void *heap, void *block, size_t size) { return acre_half_fit_resize(heap, block, size); }
static bool is_valid(const void *heap) { return acre_half_fit_is_valid(heap); }
static const carved_ops ops = {
    .alloc = alloc, .free = free_block, .resize = resize, .is_valid = is_valid, .alignment = 16, .heap_bytes = sizeof(acre_half_fit)};

#define BYTES_MAX ((size_t)256 << 10)
static _Alignas(16) unsigned char memory[BYTES_MAX];
static acre_half_fit heap;
static carved blocks;

static void begin(size_t offset, size_t bytes)
{
    assert_int_equal(acre_half_fit_init(&heap, memory + offset, bytes), ACRE_OK);
    carved_begin(&blocks, &ops, &heap, memory + offset, bytes);
}

static uint32_t units_in_use(void)
{
    uint32_t units = 0;
    for (size_t i = 0; i < blocks.count; i++) units += acre_block_size(*((uint32_t *)(void *)blocks.blocks[i].at - 1));
    return units;
}

static void a_request_takes_the_power_of_two_that_holds_it(void **state)
{
    (void)state;
    begin(0, BYTES_MAX);
    for (size_t size = 0; size < 15000; size = size * 5 / 4 + 1) {
        uint32_t units = 2;
        while (units * 8 < size + 4) units *= 2;
        assert_int_equal(acre_half_fit_units(size), units);
        assert_true(carved_alloc(&blocks, size, 1));
        assert_int_equal(acre_block_size(*((uint32_t *)(void *)blocks.blocks[blocks.count - 1].at - 1)), units);
    }
}

static void run_model(size_t offset, size_t bytes, int step_count, uint64_t seed)
{
    uint64_t random = seed;
    begin(offset, bytes);
    for (int step = 0; step < step_count; step++) {
        const uint64_t number = next_random(&random);
        const uint64_t value = number >> 24;
        const size_t size = (size_t)(number % 8 == 0 ? value % (bytes / 3) : number % 8 == 1 ? value % 3000 : value % 120);
        if (blocks.count == 0 || (blocks.count < CARVED_BLOCK_COUNT_MAX && number % 100 < (step / 300 % 2 == 0 ? 65u : 35u))) {
            const bool has_room = acre_half_fit_longest(&heap) >= acre_half_fit_units(size);
            assert_true(carved_alloc(&blocks, size, (unsigned char)number) == has_room);
        } else if (number % 100 > 92) {
            carved_resize(&blocks, (size_t)(number >> 40) % blocks.count, size);
        } else {
            carved_free(&blocks, (size_t)(number >> 8) % blocks.count);
        }
        if (step % 16 == 0 || bytes < 2000) {
            assert_true(acre_half_fit_is_valid(&heap));
            assert_int_equal(units_in_use(), heap.live_units);
        }
    }
    while (blocks.count > 0) carved_free(&blocks, 0);
    assert_true(acre_half_fit_is_valid(&heap));
    assert_int_equal(heap.live_units, 0);
}

static void blocks_keep_their_contents_and_are_refused_only_without_room(void **state)
{
    (void)state;
    static const size_t bytes[] = {256, 264, 300, 512, 1000, 1024, 2500, 5000, 16 << 10, 66 << 10, 200000, BYTES_MAX};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) run_model(0, bytes[i], 10000, 3 + i);
    for (size_t i = 1; i < 16; i++) run_model(i, 4000 + 3 * i, 3000, 30 + i);
}

/* Of the list of the request's own size the block that was freed last, else of the next list that has one. */
static void the_shortest_list_that_is_long_enough_is_taken(void **state)
{
    (void)state;
    begin(0, 8192);
    static const size_t sizes[] = {12, 28, 60, 124, 252};
    void *large[5];
    for (size_t i = 0; i < 5; i++) {
        large[i] = acre_half_fit_alloc(&heap, sizes[i]);
        assert_non_null(acre_half_fit_alloc(&heap, 1)); /* keeps them apart */
    }
    for (size_t i = 0; i < 5; i++) assert_int_equal(acre_half_fit_free(&heap, large[i]), ACRE_OK);
    for (size_t i = 0; i < 5; i++) assert_ptr_equal(acre_half_fit_alloc(&heap, sizes[i]), large[i]);
    assert_int_equal(acre_half_fit_free(&heap, large[4]), ACRE_OK);
    assert_int_equal(acre_half_fit_free(&heap, large[1]), ACRE_OK);
    assert_ptr_equal(acre_half_fit_alloc(&heap, 29), large[4]); /* 28 is not long enough */
    assert_true(acre_half_fit_is_valid(&heap));
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
    for (uint32_t units = 2; units < 40; units += 2) {
        void *const block = acre_half_fit_alloc(&heap, 500);
        unsigned char *const moved = acre_half_fit_cut_front(&heap, block, units);
        assert_ptr_equal(moved, (unsigned char *)block + (size_t)units * 8);
        assert_true(acre_half_fit_is_valid(&heap));
        assert_int_equal(acre_half_fit_free(&heap, block), ACRE_BAD_POINTER);
        assert_int_equal(acre_half_fit_free(&heap, moved), ACRE_OK);
        assert_true(acre_half_fit_is_valid(&heap));
    }
    assert_int_equal(heap.live_units, 0);
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

static void bad_sizes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(acre_half_fit_init(&heap, memory, ACRE_HALF_FIT_BYTES_MIN - 1), ACRE_INVALID);
    assert_int_equal(acre_half_fit_init(&heap, memory, (size_t)ACRE_REALTIME_REGION_BYTES_MAX + 1), ACRE_INVALID);
    assert_int_equal(acre_half_fit_init(&heap, memory, SIZE_MAX), ACRE_INVALID);
    assert_int_equal(acre_half_fit_unit_count(0), 0);
    begin(0, 1024);
    void *const block = acre_half_fit_alloc(&heap, 0);
    assert_non_null(block);
    static const size_t sizes[] = {1024, ACRE_REALTIME_REGION_BYTES_MAX, (size_t)ACRE_REALTIME_REGION_BYTES_MAX + 1, SIZE_MAX - 4,
        SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_null(acre_half_fit_alloc(&heap, sizes[i]));
        assert_int_equal(acre_half_fit_resize(&heap, block, sizes[i]), ACRE_NO_MEMORY);
    }
    assert_int_equal(acre_half_fit_free(&heap, NULL), ACRE_BAD_POINTER);
    for (unsigned char *end = heap.base; end < heap.base + 24 * 8; end += 8) { /* the ends of lists */
        if (end + 4 != block) assert_int_equal(acre_half_fit_free(&heap, end + 4), ACRE_BAD_POINTER);
    }
    assert_int_equal(acre_half_fit_free(&heap, block), ACRE_OK);
    assert_true(acre_half_fit_is_valid(&heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_takes_the_power_of_two_that_holds_it),
        cmocka_unit_test(blocks_keep_their_contents_and_are_refused_only_without_room),
        cmocka_unit_test(the_shortest_list_that_is_long_enough_is_taken),
        cmocka_unit_test(every_sequence_of_seven_operations_on_512_bytes_is_right),
        cmocka_unit_test(the_front_of_a_block_is_cut_off),
        cmocka_unit_test(frees_of_what_is_no_block_are_refused),
        cmocka_unit_test(bad_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
