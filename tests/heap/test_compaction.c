/* test_compaction.c - when sparse spans are made to drain: the clock and the figures are the test's. */
#include "support/test.h"

#include "heap/compaction.h"

enum { MIB = 1024 * 1024 };

static const uint64_t WAIT = ACRE_COMPACTION_WAIT_NS, RUN = ACRE_COMPACTION_RUN_NS, REST = ACRE_COMPACTION_REST_NS;

/* Goes on in steps of a 64th of a second up to `until_ns`, and returns how many of them ran. */
static unsigned go_on(acre_compaction *c, uint64_t *now_ns, uint64_t until_ns, uint64_t span_bytes, uint64_t free_bytes)
{
    unsigned count = 0;
    for (; *now_ns < until_ns; *now_ns += (uint64_t)1 << 24) count += acre_compaction_every(c, *now_ns, span_bytes, free_bytes) != 0;
    return count;
}

static void dense_spans_are_left_alone(void **state)
{
    (void)state;
    acre_compaction c = {0};
    uint64_t now_ns = 12345;
    assert_int_equal(go_on(&c, &now_ns, 4 * REST, 160 * MIB, 10 * MIB), 0);
    assert_int_equal(go_on(&c, &now_ns, 8 * REST, 2 * MIB, MIB), 0); /* too little */
}

static void swings_shorter_than_the_wait_are_left_alone(void **state)
{
    (void)state;
    acre_compaction c = {0};
    uint64_t now_ns = 0;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(go_on(&c, &now_ns, now_ns + WAIT / 2, 160 * MIB, 100 * MIB), 0);
        assert_int_equal(go_on(&c, &now_ns, now_ns + WAIT / 2, 160 * MIB, MIB), 0);
    }
}

static void the_sparser_the_faster(void **state)
{
    (void)state;
    static const struct { unsigned free_mib, every; } rows[] = {{11, 8}, {21, 4}, {41, 2}, {81, 1}, {160, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        acre_compaction c = {0};
        (void)acre_compaction_every(&c, 7, 160 * MIB, (uint64_t)rows[i].free_mib * MIB);
        assert_int_equal(acre_compaction_every(&c, 7 + WAIT - 1, 160 * MIB, (uint64_t)rows[i].free_mib * MIB), 0);
        assert_int_equal(acre_compaction_every(&c, 7 + WAIT, 160 * MIB, (uint64_t)rows[i].free_mib * MIB), rows[i].every);
    }
}

static void it_goes_on_while_it_helps_and_rests_when_not(void **state)
{
    (void)state;
    acre_compaction c = {0};
    uint64_t now_ns = 0, span_bytes = 640 * MIB;
    (void)go_on(&c, &now_ns, WAIT, span_bytes, span_bytes / 2);
    for (unsigned i = 0; i < 20; i++, span_bytes -= span_bytes / 20) {
        const uint64_t start_ns = now_ns;
        assert_int_equal(go_on(&c, &now_ns, start_ns + RUN, span_bytes, span_bytes / 2), 32);
    }
    const unsigned idle_count = go_on(&c, &now_ns, now_ns + 4 * REST, span_bytes, span_bytes / 2);
    assert_in_range(idle_count, 32, 6 * 33); /* of 2048 steps */
}

static void a_rest_ends_when_there_is_much_more_to_gain(void **state)
{
    (void)state;
    acre_compaction c = {.phase = ACRE_COMPACTION_RESTS, .since_ns = 0, .span_bytes = 160 * MIB, .free_bytes = 20 * MIB};
    uint64_t now_ns = 1;
    assert_int_equal(go_on(&c, &now_ns, REST / 2, 160 * MIB, 39 * MIB), 0);
    assert_true(go_on(&c, &now_ns, now_ns + 2 * WAIT, 160 * MIB, 100 * MIB) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_spans_are_left_alone),
        cmocka_unit_test(swings_shorter_than_the_wait_are_left_alone),
        cmocka_unit_test(the_sparser_the_faster),
        cmocka_unit_test(it_goes_on_while_it_helps_and_rests_when_not),
        cmocka_unit_test(a_rest_ends_when_there_is_much_more_to_gain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
