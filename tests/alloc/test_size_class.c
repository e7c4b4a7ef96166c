/* test_size_class.c - the tables and the formula against the rule that size_class.h states. */
#include "support/test.h"

#include "alloc/size_class.h"

static void every_size_gets_the_smallest_class_that_holds_it(void **state)
{
    (void)state;
    for (size_t size = 0; size <= ACRE_SMALL_BYTES_MAX; size++) {
        const unsigned class = acre_class_of_size(size);
        assert_in_range(class, ACRE_CLASS_FIRST, ACRE_CLASS_COUNT);
        assert_true(acre_size_classes[class].block_bytes >= size);
        if (class > ACRE_CLASS_FIRST) assert_true(acre_size_classes[class - 1].block_bytes < size);
    }
}

static void blocks_are_multiples_of_16_and_no_more_than_an_eighth_too_large(void **state)
{
    (void)state;
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        const uint32_t bytes = acre_size_classes[class].block_bytes;
        assert_int_equal(bytes % ACRE_BLOCK_BYTES_MIN, 0);
        if (class == ACRE_CLASS_FIRST) continue;
        const uint32_t before = acre_size_classes[class - 1].block_bytes;
        assert_true(bytes > before);
        assert_true(bytes - before <= 16 || (bytes - before) * 8 <= bytes);
    }
    assert_int_equal(acre_size_classes[ACRE_CLASS_COUNT].block_bytes, ACRE_SMALL_BYTES_MAX);
}

static void spans_hold_enough_blocks_and_waste_at_most_an_eighth(void **state)
{
    (void)state;
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        const acre_size_class *const c = &acre_size_classes[class];
        const uint32_t span_bytes = (uint32_t)c->unit_count * ACRE_UNIT_BYTES;
        assert_true(c->capacity >= 8);
        assert_true((span_bytes - c->capacity * c->block_bytes) * 8 <= span_bytes);
        assert_true(c->capacity * c->block_bytes + c->block_bytes > span_bytes);
        assert_true(c->capacity <= ACRE_UNIT_BYTES / ACRE_BLOCK_BYTES_MIN);
    }
}

static void the_index_of_a_block_is_exact_for_every_byte_of_a_span(void **state)
{
    (void)state;
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        const acre_size_class *const c = &acre_size_classes[class];
        for (uint32_t offset = 0; offset < (uint32_t)c->unit_count * ACRE_UNIT_BYTES; offset++) {
            if (acre_block_index(class, offset) != offset / c->block_bytes) {
                assert_int_equal(acre_block_index(class, offset), offset / c->block_bytes);
            }
        }
    }
}

static void an_aligned_class_is_the_smallest_whose_blocks_all_are_aligned(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= ACRE_UNIT_BYTES; alignment *= 2) {
        for (size_t size = 0; size <= ACRE_SMALL_BYTES_MAX + 1; size += 7) {
            unsigned expected = ACRE_CLASS_LARGE;
            for (unsigned class = ACRE_CLASS_COUNT; class >= ACRE_CLASS_FIRST; class --) {
                const uint32_t bytes = acre_size_classes[class].block_bytes;
                if (bytes >= size && bytes % alignment == 0) expected = class;
            }
            assert_int_equal(acre_class_of_aligned(size, alignment), expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_gets_the_smallest_class_that_holds_it),
        cmocka_unit_test(blocks_are_multiples_of_16_and_no_more_than_an_eighth_too_large),
        cmocka_unit_test(spans_hold_enough_blocks_and_waste_at_most_an_eighth),
        cmocka_unit_test(the_index_of_a_block_is_exact_for_every_byte_of_a_span),
        cmocka_unit_test(an_aligned_class_is_the_smallest_whose_blocks_all_are_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
