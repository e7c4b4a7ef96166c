/* test_prefetch.c - what is predicted of sequences, strides and pairs, how each source is judged, any sequence of calls. */
#include "support/test.h"

#include <acre/prefetch.h>

enum { OUT_MAX = 64, STEP_COUNT = 300000 };

static void *memory;

static acre_prefetcher *open_prefetcher(const acre_prefetch_options *options)
{
    acre_prefetcher *p;
    const size_t bytes = acre_prefetch_bytes(options);
    free(memory);
    memory = malloc(bytes);
    assert_int_equal(acre_prefetch_init(&p, options, memory, bytes), ACRE_OK);
    return p;
}

static acre_prefetch_figures figures_of(const acre_prefetcher *p, acre_prefetch_source source)
{
    acre_prefetch_figures figures;
    assert_int_equal(acre_prefetch_read_figures(p, source, &figures), ACRE_OK);
    return figures;
}

static void a_sequence_is_predicted_from_its_second_step_and_further_and_further_in_lots(void **state)
{
    (void)state;
    uint64_t keys[OUT_MAX], reached = 0;
    acre_prefetcher *p = open_prefetcher(&(acre_prefetch_options){.depth_max = 8});
    assert_int_equal(acre_prefetch_access(p, 100, 0, true, keys, OUT_MAX), 0);
    for (uint64_t key = 101; key < 200; key++) {
        const size_t count = acre_prefetch_access(p, key, 0, true, keys, OUT_MAX);
        for (size_t i = 0; i < count; i++) {
            assert_true(keys[i] > key && keys[i] > reached);
            reached = keys[i];
        }
        assert_true(reached > key);
        if (key > 130) assert_true(count == 0 ? reached > key + 4 : count == 4 && reached == key + 8);
    }
}

static void a_hundred_mixed_sequences_are_all_followed(void **state)
{
    enum { SEQUENCES = 100, LENGTH = 200 };
    (void)state;
    uint64_t keys[OUT_MAX];
    acre_prefetcher *p = open_prefetcher(&(acre_prefetch_options){.stream_count = 128, .outstanding = 4096});
    for (uint64_t i = 0; i < LENGTH; i++)
        for (uint64_t s = 0; s < SEQUENCES; s++) acre_prefetch_access(p, s * 1000003 + i, 0, true, keys, OUT_MAX);
    const acre_prefetch_figures figures = figures_of(p, ACRE_PREFETCH_SEQUENCE);
    assert_true(figures.useful_count > SEQUENCES * (LENGTH - 10) && figures.polluting_count == 0);
}

static void strides_are_those_of_a_context(void **state)
{
    (void)state;
    uint64_t keys[OUT_MAX];
    acre_prefetcher *p = open_prefetcher(NULL);
    for (uint64_t i = 0; i < 10; i++) {
        const size_t up = acre_prefetch_access(p, 1000 + 7 * i, 1, true, keys, OUT_MAX);
        if (i >= 3) assert_true(up >= 1 && keys[up - 1] % 7 == 1000 % 7 && keys[up - 1] > 1000 + 7 * i);
        const size_t down = acre_prefetch_access(p, 90000 - i, 2, true, keys, OUT_MAX);
        if (i >= 3) assert_true(down >= 1 && keys[down - 1] < 90000 - i);
    }
}

static void a_key_that_followed_twice_is_predicted(void **state)
{
    (void)state;
    uint64_t keys[OUT_MAX];
    acre_prefetcher *p = open_prefetcher(NULL);
    for (unsigned round = 0; round < 4; round++) {
        const size_t count = acre_prefetch_access(p, 5000, round, true, keys, OUT_MAX);
        if (round >= 2) assert_true(count >= 1 && keys[0] == 77);
        acre_prefetch_access(p, 77, round, true, keys, OUT_MAX);
        for (uint64_t other = 0; other < 5; other++)
            acre_prefetch_access(p, 1000 * (round + 1) + 11 * other * other, round, true, keys, OUT_MAX);
    }
}

/* Runs of two that end there: what is predicted of them is never used. */
static void a_source_that_does_not_help_is_off_until_it_would_again(void **state)
{
    (void)state;
    uint64_t keys[OUT_MAX], random = 9;
    acre_prefetcher *p = open_prefetcher(&(acre_prefetch_options){.outstanding = 32});
    size_t count = 0;
    for (unsigned i = 0; i < 2000; i++) {
        const uint64_t key = next_random(&random) << 8;
        count = acre_prefetch_access(p, key, 0, true, keys, OUT_MAX);
        count += acre_prefetch_access(p, key + 1, 0, true, keys, OUT_MAX);
    }
    acre_prefetch_figures figures = figures_of(p, ACRE_PREFETCH_SEQUENCE);
    assert_false(figures.is_on);
    assert_in_range(figures.issued_count, 1, 32 + 64);
    assert_int_equal(count, 0);
    const uint64_t issued_before = figures.issued_count;
    for (uint64_t key = 1; key < 2000; key++) acre_prefetch_access(p, key, 0, true, keys, OUT_MAX);
    figures = figures_of(p, ACRE_PREFETCH_SEQUENCE);
    assert_true(figures.is_on && figures.issued_count > issued_before + 1000);
}

static void what_the_caller_expects_is_not_predicted_again(void **state)
{
    (void)state;
    uint64_t keys[OUT_MAX];
    acre_prefetcher *p = open_prefetcher(NULL);
    for (uint64_t key = 10; key < 30; key++) acre_prefetch_expect(p, key);
    for (uint64_t key = 10; key < 25; key++)
        for (size_t i = acre_prefetch_access(p, key, 0, true, keys, OUT_MAX); i-- > 0;) assert_true(keys[i] >= 30);
    const acre_prefetch_figures figures = figures_of(p, ACRE_PREFETCH_EXPECTED);
    assert_int_equal(figures.issued_count, 20);
    assert_int_equal(figures.useful_count, 15);
    assert_true(figures.is_on);
}

static void any_sequence_of_calls_leaves_it_valid(void **state)
{
    static const acre_prefetch_options options[] = {
        {.depth_max = 0},
        {.stream_count = 1, .context_count = 1, .pair_count = 1, .outstanding = 1, .depth_max = 1},
        {.stream_count = 3, .context_count = 2, .pair_count = 5, .outstanding = 7, .depth_max = 64}};
    (void)state;
    for (unsigned o = 0; o < 3; o++) {
        uint64_t random = 1 + o, key = 0;
        acre_prefetcher *p = open_prefetcher(&options[o]);
        for (unsigned step = 0; step < STEP_COUNT / 10; step++) {
            uint64_t keys[OUT_MAX];
            const uint64_t r = next_random(&random);
            key = r % 8 == 0 ? r >> 8 & 0xff : r % 8 == 1 ? UINT64_MAX - (r >> 8 & 3) : r % 8 == 2 ? key - 3 : key + 1;
            const size_t count_max = (r >> 32) % OUT_MAX;
            const size_t count = acre_prefetch_access(p, key, (uint32_t)(r >> 40 & 3), r & 64, keys, count_max);
            assert_true(count <= count_max);
            for (size_t i = 0; i < count; i++) assert_int_not_equal(keys[i], key);
            if (r % 97 == 0) acre_prefetch_expect(p, r >> 50);
            if (step % 64 == 0) assert_true(acre_prefetch_is_valid(p));
        }
        assert_true(acre_prefetch_is_valid(p));
    }
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    acre_prefetcher *p = NULL;
    acre_prefetch_figures figures;
    uint64_t words[4];
    const acre_prefetch_options deep = {.depth_max = ACRE_PREFETCH_DEPTH_MAX + 1}, many = {.pair_count = ACRE_PREFETCH_COUNT_MAX + 1};
    assert_int_equal(acre_prefetch_bytes(&deep), 0);
    assert_int_equal(acre_prefetch_bytes(&many), 0);
    assert_int_equal(acre_prefetch_init(&p, &deep, words, sizeof words), ACRE_INVALID);
    assert_int_equal(acre_prefetch_init(&p, &many, words, sizeof words), ACRE_INVALID);
    assert_int_equal(acre_prefetch_init(&p, NULL, words, sizeof words), ACRE_INVALID);
    assert_int_equal(acre_prefetch_init(&p, NULL, NULL, SIZE_MAX), ACRE_INVALID);
    assert_int_equal(acre_prefetch_init(NULL, NULL, words, SIZE_MAX), ACRE_INVALID);
    assert_int_equal(acre_prefetch_init(&p, NULL, (char *)words + 4, SIZE_MAX), ACRE_INVALID);
    assert_null(p);
    p = open_prefetcher(NULL);
    assert_int_equal(acre_prefetch_read_figures(NULL, ACRE_PREFETCH_PAIR, &figures), ACRE_INVALID);
    assert_int_equal(acre_prefetch_read_figures(p, ACRE_PREFETCH_PAIR, NULL), ACRE_INVALID);
    assert_int_equal(acre_prefetch_read_figures(p, (acre_prefetch_source)ACRE_PREFETCH_SOURCE_COUNT, &figures), ACRE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sequence_is_predicted_from_its_second_step_and_further_and_further_in_lots),
        cmocka_unit_test(a_hundred_mixed_sequences_are_all_followed),
        cmocka_unit_test(strides_are_those_of_a_context),
        cmocka_unit_test(a_key_that_followed_twice_is_predicted),
        cmocka_unit_test(a_source_that_does_not_help_is_off_until_it_would_again),
        cmocka_unit_test(what_the_caller_expects_is_not_predicted_again),
        cmocka_unit_test(any_sequence_of_calls_leaves_it_valid),
        cmocka_unit_test(bad_options_are_refused),
    };
    const int failures = cmocka_run_group_tests(tests, NULL, NULL);
    free(memory);
    return failures;
}
