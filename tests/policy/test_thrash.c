/* test_thrash.c - three events throttle, ten waits pin, and a lapse without an event forgives; the lapse adapts, and waits are
 * remembered for an epoch. */
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

/* Two places take a page from each other, each `after_ns` after it came: the lapse after so many faults. */
static uint64_t lapse_after(uint64_t after_ns, unsigned faults, uint64_t lapse_ns)
{
    acre_thrash_lapse lapse = {.ns = lapse_ns};
    acre_thrash page = {0};
    uint64_t now = 1;
    for (unsigned i = 0; i < faults; i++) {
        acre_thrash_vote(&lapse, &page, i % 2, now);
        page = (acre_thrash){.moved_ns = now, .place = (uint8_t)(i % 2 + 1)};
        now += after_ns;
        assert_in_range(lapse.ns, ACRE_THRASH_LAPSE_NS_MIN, ACRE_THRASH_LAPSE_NS_MAX);
    }
    return lapse.ns;
}

static void the_lapse_settles_between_once_and_twice_of_what_it_has_to_catch(void **state)
{
    assert_int_equal(lapse_after(SHORT_NS * 700, 32, LAPSE_NS), LAPSE_NS);                /* 31 votes: the first fault has none */
    assert_int_equal(lapse_after(SHORT_NS * 700, 33, LAPSE_NS), LAPSE_NS + LAPSE_NS / 8); /* an eighth more */
    assert_int_equal(lapse_after(SHORT_NS * 200, 33, LAPSE_NS), LAPSE_NS - LAPSE_NS / 8);
    for (uint64_t after = 10 * SHORT_NS; after < 100 * 1000 * (uint64_t)SHORT_NS; after = after * 3 / 2) {
        assert_in_range(lapse_after(after, 10000, after * 4), after, 2 * after);
        assert_in_range(lapse_after(after, 10000, after / 2 + 1), after, 2 * after);
        assert_in_range(lapse_after(after, 10000, after * 3 / 2), after * 3 / 2, after * 3 / 2); /* it stays */
    }
    assert_int_equal(lapse_after(1, 10000, LAPSE_NS), ACRE_THRASH_LAPSE_NS_MIN);
    assert_int_equal(lapse_after(600000000, 10000, 400000000), ACRE_THRASH_LAPSE_NS_MAX);
    assert_int_equal(lapse_after(10 * LAPSE_NS, 10000, LAPSE_NS), LAPSE_NS); /* that is no thrashing */
}

static void nobody_votes_alone(void **state)
{
    acre_thrash_lapse lapse = {.ns = LAPSE_NS};
    const acre_thrash own = {.moved_ns = 1000, .place = 1}, pinned = {.moved_ns = 1000, .place = 1, .is_pinned = true};
    for (unsigned i = 0; i < 1000; i++) {
        acre_thrash_vote(&lapse, &own, 0, 1001);
        acre_thrash_vote(&lapse, &pinned, 1, 1001);
        acre_thrash_vote(&lapse, &own, 1, 999); /* it is being waited for */
        acre_thrash_vote(&lapse, &own, 1, 1000 + LAPSE_NS / 2);
    }
    assert_int_equal(lapse.votes, 0);
}

/* How many faults move the page or wait until it is pinned. */
static unsigned faults_until_pinned(acre_thrash *page, uint64_t *now)
{
    unsigned count = 0;
    for (;; *now += SHORT_NS, count++) {
        const acre_thrash_verdict verdict = acre_thrash_fault_remembering(page, count % 2, *now, LAPSE_NS);
        if (verdict == ACRE_THRASH_PIN) return count;
        if (verdict == ACRE_THRASH_WAIT) *now += LAPSE_NS;
    }
}

static void a_page_that_thrashes_again_is_pinned_sooner(void **state)
{
    acre_thrash page = {0};
    uint64_t now = 1;
    assert_int_equal(faults_until_pinned(&page, &now), 13);
    now += ACRE_THRASH_PIN_LAPSES * (uint64_t)LAPSE_NS;
    assert_int_equal(faults_until_pinned(&page, &now), 3);
    now += (ACRE_THRASH_PIN_LAPSES + 100) * (uint64_t)LAPSE_NS;
    assert_int_equal(faults_until_pinned(&page, &now), 3);
    now += (ACRE_THRASH_PIN_LAPSES + 100) * (uint64_t)LAPSE_NS;
    page.wait_count = 0; /* as its block forgets */
    page.is_pinned = false;
    assert_int_equal(faults_until_pinned(&page, &now), 13);
}

static void a_block_forgets_after_a_quiet_epoch_four_times(void **state)
{
    const uint64_t quiet = ACRE_THRASH_EPOCH_LAPSES * (uint64_t)LAPSE_NS;
    acre_thrash_epoch epoch = {0};
    uint64_t now = 1 + 2 * quiet;
    assert_false(acre_thrash_forgets(&epoch, false, now, quiet)); /* there is nothing to be forgotten */
    for (unsigned i = 0; i < 10; i++) {
        assert_false(acre_thrash_forgets(&epoch, true, now, quiet));
        assert_false(acre_thrash_forgets(&epoch, true, now + quiet - 1, quiet));
        now += 2 * quiet - 1;
        assert_int_equal(acre_thrash_forgets(&epoch, false, now, quiet), i < ACRE_THRASH_RESETS);
        now += quiet;
        if (i < ACRE_THRASH_RESETS) assert_false(acre_thrash_forgets(&epoch, false, now, quiet)); /* once */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_that_goes_to_and_fro_is_pinned),
        cmocka_unit_test(one_place_alone_never_thrashes),
        cmocka_unit_test(a_lapse_without_an_event_forgives),
        cmocka_unit_test(the_lapse_settles_between_once_and_twice_of_what_it_has_to_catch),
        cmocka_unit_test(nobody_votes_alone),
        cmocka_unit_test(a_page_that_thrashes_again_is_pinned_sooner),
        cmocka_unit_test(a_block_forgets_after_a_quiet_epoch_four_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
