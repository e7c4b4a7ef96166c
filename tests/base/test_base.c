/* test_base.c - words as sets, powers of two, messages, the last error. */
#include "support/test.h"

#include "base/bits.h"
#include "base/format.h"
#include "base/status.h"

#include <pthread.h>
#include <stdio.h>

static void words_are_small_sets(void **state)
{
    (void)state;
    for (unsigned count = 0; count <= ACRE_WORD_BITS; count++) {
        assert_int_equal(acre_word_count(acre_word_first(count)), count);
        if (count > 0) assert_int_equal(acre_word_leading_zeros(acre_word_first(count)), ACRE_WORD_BITS - count);
    }
    uint64_t random = 3;
    for (int i = 0; i < 1000; i++) {
        const uint64_t first = next_random(&random);
        const acre_word word = (acre_word)(first & next_random(&random)); /* about a quarter of the bits */
        unsigned count = 0;
        for (unsigned bit = 0; bit < ACRE_WORD_BITS; bit++) count += (word >> bit & 1) != 0;
        assert_int_equal(acre_word_count(word), count);
        if (word != 0) assert_true((word >> acre_word_lowest(word) & 1) != 0 && (word & acre_word_first(acre_word_lowest(word))) == 0);
    }
}

static void logarithms_and_alignments(void **state)
{
    (void)state;
    for (unsigned exponent = 0; exponent < 63; exponent++) {
        const uint64_t power = (uint64_t)1 << exponent;
        assert_true(acre_is_power_of_two(power));
        assert_int_equal(acre_log2_floor(power), exponent);
        assert_int_equal(acre_log2_ceil(power), exponent);
        assert_int_equal(acre_log2_ceil(power + 1), exponent + 1);
        assert_true(acre_align_up(1, power) == power && acre_align_down(power + power / 2, power) == power);
    }
    assert_false(acre_is_power_of_two(0));
    assert_false(acre_is_power_of_two(12));
}

static void messages_are_formatted_as_printf_would(void **state)
{
    (void)state;
    char ours[200];
    char expected[200];
    const size_t length =
        acre_format(ours, sizeof ours, "%s %c %d %u %x %zu %zx %lld %llu %llx %%", "text", 'c', -5, 7u, 0xabcu, (size_t)123456789012,
                    (size_t)0xdeadbeef, -9000000000000LL, 18446744073709551615ULL, 0x123456789abcdefULL);
    snprintf(expected, sizeof expected, "%s %c %d %u %x %zu %zx %lld %llu %llx %%", "text", 'c', -5, 7u, 0xabcu, (size_t)123456789012,
             (size_t)0xdeadbeef, -9000000000000LL, 18446744073709551615ULL, 0x123456789abcdefULL);
    assert_string_equal(ours, expected);
    assert_int_equal(length, strlen(expected));
    (void)acre_format(ours, sizeof ours, "%d %p", -2147483647 - 1, (void *)0x1234);
    assert_string_equal(ours, "-2147483648 0x1234");
}

static void a_message_that_does_not_fit_is_cut(void **state)
{
    (void)state;
    char text[8];
    memset(text, 'x', sizeof text);
    assert_int_equal(acre_format(text, 6, "%s", "a long text"), 5);
    assert_string_equal(text, "a lon");
    assert_int_equal(text[6], 'x');
}

static void *fail_in_a_thread(void *argument)
{
    assert_string_equal(acre_last_error(), "");
    assert_int_equal(acre_fail(ACRE_BUSY, "thread %d", *(int *)argument), ACRE_BUSY);
    assert_string_equal(acre_last_error(), "thread 5");
    return NULL;
}

static void each_thread_keeps_its_last_error(void **state)
{
    (void)state;
    int number = 5;
    pthread_t thread;
    (void)acre_fail(ACRE_IO, "main");
    assert_int_equal(pthread_create(&thread, NULL, fail_in_a_thread, &number), 0);
    pthread_join(thread, NULL);
    assert_string_equal(acre_last_error(), "main");
    assert_int_equal(acre_last_status(), ACRE_IO);
}

static void every_status_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < ACRE_STATUS_COUNT; a++) {
        for (int b = 0; b < a; b++) assert_string_not_equal(acre_status_text((acre_status)a), acre_status_text((acre_status)b));
    }
    assert_string_equal(acre_status_text((acre_status)1000), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_small_sets),
        cmocka_unit_test(logarithms_and_alignments),
        cmocka_unit_test(messages_are_formatted_as_printf_would),
        cmocka_unit_test(a_message_that_does_not_fit_is_cut),
        cmocka_unit_test(each_thread_keeps_its_last_error),
        cmocka_unit_test(every_status_has_a_text_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
