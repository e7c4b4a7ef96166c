/* test_meter.c - counting in many threads, and contracts that are kept and broken. */
#include <acre/meter.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { THREAD_COUNT = 4, ROUNDS = 50000 };

static acre_meter meter;

static void *count_in_thread(void *argument)
{
    static _Thread_local acre_meter_thread mine;
    (void)argument;
    if (acre_meter_join(&meter, &mine) != ACRE_OK) return (void *)1;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        acre_meter_count_alloc(&mine, 10, i % 100);
        if (i % 2 == 0) acre_meter_count_free(&mine, 10, 5);
    }
    acre_meter_count_failure(&mine);
    return acre_meter_leave(&meter, &mine) == ACRE_OK ? NULL : (void *)1;
}

static void the_sum_over_threads_is_exact_also_for_those_that_left(void **state)
{
    (void)state;
    static acre_meter_thread mine;
    static acre_meter_figures figures;
    pthread_t threads[THREAD_COUNT];
    acre_meter_init(&meter, "test");
    assert_int_equal(acre_meter_join(&meter, &mine), ACRE_OK);
    for (int i = 0; i < THREAD_COUNT; i++) pthread_create(&threads[i], NULL, count_in_thread, NULL);
    acre_meter_count_alloc(&mine, 7, 123456);
    for (int i = 0; i < 20; i++) acre_meter_read(&meter, &figures); /* while the others count */
    for (int i = 0; i < THREAD_COUNT; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    acre_meter_read(&meter, &figures);
    assert_int_equal(figures.counts.alloc_count, THREAD_COUNT * ROUNDS + 1);
    assert_int_equal(figures.counts.free_count, THREAD_COUNT * ROUNDS / 2);
    assert_int_equal(figures.counts.failed_count, THREAD_COUNT);
    assert_int_equal(figures.live_bytes, THREAD_COUNT * ROUNDS / 2 * 10 + 7);
    assert_int_equal(figures.live_count, THREAD_COUNT * ROUNDS / 2 + 1);
    assert_int_equal(figures.alloc_ns.count, figures.counts.alloc_count);
    assert_int_equal(figures.alloc_ns.max, 123456);
    assert_true(acre_histogram_is_valid(&figures.alloc_ns));
    assert_int_equal(acre_meter_leave(&meter, &mine), ACRE_OK);
}

static void joining_twice_and_leaving_unasked_are_refused(void **state)
{
    (void)state;
    static acre_meter_thread mine;
    acre_meter_init(&meter, "test");
    assert_int_equal(acre_meter_leave(&meter, &mine), ACRE_INVALID);
    assert_int_equal(acre_meter_join(&meter, &mine), ACRE_OK);
    acre_meter_count_alloc(&mine, 3, 1);
    assert_int_equal(acre_meter_join(&meter, &mine), ACRE_INVALID);
    assert_int_equal(mine.counts.alloc_count, 1); /* nothing was changed */
    assert_int_equal(acre_meter_leave(&meter, &mine), ACRE_OK);
}

static void fragmentation_is_the_share_of_committed_bytes_that_are_not_live(void **state)
{
    (void)state;
    static acre_meter_thread mine;
    static acre_meter_figures figures;
    acre_meter_init(&meter, "test");
    assert_int_equal(acre_meter_join(&meter, &mine), ACRE_OK);
    acre_meter_count_alloc(&mine, 750, 1);
    acre_meter_read(&meter, &figures);
    assert_int_equal(figures.fragmentation, 0);
    acre_meter_set_committed(&meter, 1000);
    acre_meter_read(&meter, &figures);
    assert_int_equal(figures.fragmentation, 250);
    acre_meter_set_committed(&meter, UINT64_MAX);
    acre_meter_read(&meter, &figures);
    assert_in_range(figures.fragmentation, 999, 1000);
    assert_int_equal(acre_meter_leave(&meter, &mine), ACRE_OK);
}

static int breach_count;
static char last_breach[256];

static void note_breach(void *context, const char *sentence)
{
    assert_ptr_equal(context, &breach_count);
    breach_count++;
    strncpy(last_breach, sentence, sizeof last_breach - 1);
}

static void each_limit_is_broken_by_one_more_and_kept_by_its_value(void **state)
{
    (void)state;
    static acre_meter_figures figures;
    acre_contract contract = {.alloc_ns_max = 10, .free_ns_max = 10, .fragmentation_max = 10, .leak_count_max = 10,
                              .live_bytes_max = 10, .failed_count_max = 10, .on_breach = note_breach, .context = &breach_count};
    for (uint32_t bit = 1; bit < ACRE_LIMIT_ALL; bit <<= 1) {
        for (uint64_t value = 10; value <= 11; value++) {
            memset(&figures, 0, sizeof figures);
            figures.alloc_ns.max = figures.free_ns.max = figures.live_count = figures.live_bytes = value;
            figures.counts.failed_count = value;
            figures.fragmentation = (uint32_t)value;
            contract.limits = bit;
            breach_count = 0;
            assert_int_equal(acre_contract_check_figures(&contract, "rx", &figures), value == 10 ? ACRE_OK : ACRE_BREACH);
            assert_int_equal(breach_count, value == 10 ? 0 : 1);
        }
    }
    contract.limits = ACRE_LIMIT_ALL;
    breach_count = 0;
    assert_int_equal(acre_contract_check_figures(&contract, "rx", &figures), ACRE_BREACH);
    assert_int_equal(breach_count, 6);
    contract.limits = 0;
    assert_int_equal(acre_contract_check_figures(&contract, "rx", &figures), ACRE_OK);
}

static void a_breach_is_told_with_names_and_values(void **state)
{
    (void)state;
    static acre_meter_thread mine;
    const acre_contract contract = {.limits = ACRE_LIMIT_ALLOC_NS, .alloc_ns_max = 2000, .on_breach = note_breach,
                                    .context = &breach_count};
    acre_meter_init(&meter, "packets");
    assert_int_equal(acre_meter_join(&meter, &mine), ACRE_OK);
    acre_meter_count_alloc(&mine, 100, 5376);
    assert_int_equal(acre_contract_check(&contract, &meter), ACRE_BREACH);
    assert_string_equal(acre_last_error(), "meter 'packets': the slowest allocation took 5376 ns, allowed are 2000");
    assert_string_equal(last_breach, acre_last_error());
    assert_int_equal(acre_meter_leave(&meter, &mine), ACRE_OK);
}

static void a_contract_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const acre_meter_figures figures;
    const acre_contract unknown_bit = {.limits = 1u << 20};
    const acre_contract too_much = {.limits = ACRE_LIMIT_FRAGMENTATION, .fragmentation_max = 1001};
    assert_int_equal(acre_contract_check_figures(&unknown_bit, "x", &figures), ACRE_INVALID);
    assert_int_equal(acre_contract_check_figures(&too_much, "x", &figures), ACRE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_over_threads_is_exact_also_for_those_that_left),
        cmocka_unit_test(joining_twice_and_leaving_unasked_are_refused),
        cmocka_unit_test(fragmentation_is_the_share_of_committed_bytes_that_are_not_live),
        cmocka_unit_test(each_limit_is_broken_by_one_more_and_kept_by_its_value),
        cmocka_unit_test(a_breach_is_told_with_names_and_values),
        cmocka_unit_test(a_contract_that_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
