/* test_histogram.c - percentiles against the simplest model: the sorted list of all values. */

#include <acre/histogram.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VALUE_COUNT = 5000 };

static uint64_t random_value(void)
{
    const uint64_t wide = (uint64_t)rand() << 33 ^ (uint64_t)rand() << 13 ^ (uint64_t)rand();
    return wide >> (rand() % 64);
}

static int compare(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void each_value_lies_in_its_bucket_and_buckets_join_without_gap(void **state)
{
    (void)state;
    assert_int_equal(acre_histogram_least(0), 0);
    assert_int_equal(acre_histogram_greatest(ACRE_HISTOGRAM_BUCKETS - 1), UINT64_MAX);
    assert_int_equal(acre_histogram_bucket(UINT64_MAX), ACRE_HISTOGRAM_BUCKETS - 1);
    for (uint32_t i = 0; i < ACRE_HISTOGRAM_BUCKETS; i++) {
        assert_int_equal(acre_histogram_bucket(acre_histogram_least(i)), i);
        assert_int_equal(acre_histogram_bucket(acre_histogram_greatest(i)), i);
        if (i > 0) assert_int_equal(acre_histogram_least(i), acre_histogram_greatest(i - 1) + 1);
        const uint64_t width = acre_histogram_greatest(i) - acre_histogram_least(i);
        assert_true(width <= acre_histogram_least(i) / 32);
    }
}

static void percentiles_are_those_of_the_sorted_values_to_three_percent(void **state)
{
    (void)state;
    static uint64_t values[VALUE_COUNT];
    static const uint32_t asked[] = {0, 1, 10000, 250000, 500000, 900000, 990000, 999000, 999999, 1000000};
    static acre_histogram histogram;
    srand(4);
    for (int round = 0; round < 20; round++) {
        memset(&histogram, 0, sizeof histogram);
        const size_t count = 1 + (size_t)rand() % VALUE_COUNT;
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            values[i] = random_value();
            sum += values[i];
            acre_histogram_add(&histogram, values[i]);
        }
        qsort(values, count, sizeof values[0], compare);
        assert_true(acre_histogram_is_valid(&histogram));
        assert_int_equal(histogram.sum, sum);
        assert_int_equal(histogram.max, values[count - 1]);
        for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
            size_t rank = (size_t)(((uint64_t)count * asked[i] + 999999) / 1000000);
            if (rank == 0) rank = 1;
            const uint64_t exact = values[rank - 1], told = acre_histogram_percentile(&histogram, asked[i]);
            assert_true(told >= exact);
            assert_true(told - exact <= exact / 32);
        }
    }
}

static void merging_is_the_same_as_adding_all_values_to_one(void **state)
{
    (void)state;
    static acre_histogram all, parts[3];
    srand(5);
    for (int i = 0; i < VALUE_COUNT; i++) {
        const uint64_t value = random_value();
        acre_histogram_add(&all, value);
        acre_histogram_add(&parts[i % 3], value);
    }
    acre_histogram_merge(&parts[0], &parts[1]);
    acre_histogram_merge(&parts[0], &parts[2]);
    assert_memory_equal(&all, &parts[0], sizeof all);
}

static void an_empty_histogram_answers_zero(void **state)
{
    (void)state;
    static const acre_histogram empty;
    assert_true(acre_histogram_is_valid(&empty));
    assert_int_equal(acre_histogram_percentile(&empty, 500000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_lies_in_its_bucket_and_buckets_join_without_gap),
        cmocka_unit_test(percentiles_are_those_of_the_sorted_values_to_three_percent),
        cmocka_unit_test(merging_is_the_same_as_adding_all_values_to_one),
        cmocka_unit_test(an_empty_histogram_answers_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
