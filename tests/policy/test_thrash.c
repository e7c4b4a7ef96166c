/* test_thrash.c - three events throttle, ten waits pin, and a lapse without an event forgives. */
#include "policy/thrash.h"

#include "support/test.h"

enum { LAPSE_NS = 500000, SHORT_NS = 1000 };

static void a_page_that_goes_to_and_fro_is_pinned(void **state)
{
    acre_thrash page = {0};
    uint64_t now = 1;
    unsigned moves = 0, waits = 0;
    for (unsigned i = 0; i < 100; i++, now += SHORT_NS) {
        const acre_thrash_verdict verdict = acre_thrash_fault(&page, i % 2, now, LAPSE_NS);
        if (verdict == ACRE_THRASH_MOVE) moves++;
        if (verdict == ACRE_THRASH_WAIT) {
            waits++;
            now += LAPSE_NS;
        }
        if (verdict == ACRE_THRASH_PIN) assert_true(moves == 3 && waits == 10); /* the first fault is no event */
    }
    assert_int_equal(moves, 3);
    assert_int_equal(waits, ACRE_THRASH_WAITS);
    assert_true(acre_thrash_is_pinned(&page, now));
    now += ACRE_THRASH_PIN_LAPSES * (uint64_t)LAPSE_NS;
    assert_false(acre_thrash_is_pinned(&page, now));
    assert_int_equal(acre_thrash_fault(&page, 1, now, LAPSE_NS), ACRE_THRASH_MOVE);
}

static void one_place_alone_never_thrashes(void **state)
{
    acre_thrash page = {0};
    for (unsigned i = 0; i < 1000; i++) assert_int_equal(acre_thrash_fault(&page, 2, 1 + i, LAPSE_NS), ACRE_THRASH_MOVE);
    assert_int_equal(page.event_count, 0);
}

static void a_lapse_without_an_event_forgives(void **state)
{
    acre_thrash page = {0};
    uint64_t now = 1;
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(acre_thrash_fault(&page, i % 2, now, LAPSE_NS), ACRE_THRASH_MOVE);
        now += i % 3 == 2 ? LAPSE_NS : SHORT_NS;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_that_goes_to_and_fro_is_pinned),
        cmocka_unit_test(one_place_alone_never_thrashes),
        cmocka_unit_test(a_lapse_without_an_event_forgives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
