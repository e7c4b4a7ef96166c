/* test_span.c - a span against an array of booleans, and every transition of its protocol by hand. */
#include "support/test.h"

#include "alloc/span.h"

typedef struct fixture {
    acre_span span;
    acre_word words[ACRE_WORDS_PER_UNIT];
} fixture;

static void make_span(fixture *f, unsigned class)
{
    memset(f, 0, sizeof *f);
    f->span.kind = ACRE_SPAN_SMALL;
    f->span.unit_count = acre_size_classes[class].unit_count;
    acre_span_init(&f->span, class, f->words);
}

static unsigned claim_all(fixture *f)
{
    unsigned count = 0;
    for (size_t word = 0; word < acre_span_word_count(&f->span); word++) {
        count += acre_word_count(acre_span_claim(&f->span, word, ACRE_WORD_BITS));
    }
    return count;
}

static void a_fresh_span_has_every_block_free_in_every_class(void **state)
{
    (void)state;
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        fixture f;
        make_span(&f, class);
        assert_true(acre_span_is_valid(&f.span));
        assert_int_equal(acre_span_free_count(f.span.state), acre_size_classes[class].capacity);
        assert_int_equal(claim_all(&f), acre_size_classes[class].capacity);
        assert_int_equal(acre_span_free_count(f.span.state), 0);
        assert_true(acre_span_is_valid(&f.span));
    }
}

static void random_claims_and_returns_behave_like_an_array_of_booleans(void **state)
{
    (void)state;
    const unsigned class = acre_class_of_size(48);
    const unsigned capacity = acre_size_classes[class].capacity;
    fixture f;
    make_span(&f, class);
    bool *const is_out = calloc(capacity, sizeof *is_out);
    uint64_t random = 42;
    for (int step = 0; step < 20000; step++) {
        const uint64_t number = next_random(&random);
        const size_t word = (number >> 8) % acre_span_word_count(&f.span);
        if (number % 2 == 0) {
            const unsigned wanted = 1 + (unsigned)(number >> 20) % ACRE_WORD_BITS;
            acre_word taken = acre_span_claim(&f.span, word, wanted);
            assert_true(acre_word_count(taken) <= wanted);
            unsigned lowest_left = ACRE_WORD_BITS;
            for (unsigned bit = ACRE_WORD_BITS; bit-- > 0;) {
                const size_t block = word * ACRE_WORD_BITS + bit;
                const bool is_taken = (taken >> bit & 1) != 0;
                if (is_taken) {
                    assert_true(block < capacity && !is_out[block]);
                    assert_true(bit < lowest_left); /* nothing lower was left behind */
                    is_out[block] = true;
                } else if (block < capacity && !is_out[block]) {
                    lowest_left = bit;
                    assert_int_equal(acre_word_count(taken & ~acre_word_first(bit)), 0);
                }
            }
        } else {
            acre_word mask = 0;
            for (unsigned bit = 0; bit < ACRE_WORD_BITS; bit++) {
                const size_t block = word * ACRE_WORD_BITS + bit;
                if (block < capacity && is_out[block] && (number >> (bit % 40) & 1) != 0) {
                    mask |= (acre_word)1 << bit;
                    is_out[block] = false;
                }
            }
            if (mask == 0) continue;
            acre_word after;
            assert_true(acre_span_give_bits(&f.span, word, mask) == 0);
            assert_int_equal(acre_span_give_count(&f.span, acre_word_count(mask), &after), ACRE_DUTY_NONE);
        }
        assert_true(acre_span_is_valid(&f.span));
    }
    free(is_out);
}

static void giving_a_free_block_is_seen_and_changes_nothing(void **state)
{
    (void)state;
    fixture f;
    make_span(&f, 1);
    (void)acre_span_claim(&f.span, 0, 2);
    assert_true(acre_span_give_bits(&f.span, 0, 4) == 4);
    assert_true(acre_span_is_valid(&f.span));
    assert_true(acre_span_give_bits(&f.span, 0, 1) == 0);
    assert_true(acre_span_give_bits(&f.span, 0, 3) == 1);
}

static void the_first_block_back_makes_its_giver_list_the_span(void **state)
{
    (void)state;
    fixture f;
    make_span(&f, 1);
    (void)claim_all(&f);
    assert_int_equal(acre_span_disown(&f.span), ACRE_DUTY_NONE);

    acre_word after;
    (void)acre_span_give_bits(&f.span, 0, 1);
    assert_int_equal(acre_span_give_count(&f.span, 1, &after), ACRE_DUTY_LIST);
    (void)acre_span_give_bits(&f.span, 0, 2);
    assert_int_equal(acre_span_give_count(&f.span, 1, &after), ACRE_DUTY_NONE); /* one lister is enough */
    assert_true(acre_span_list(&f.span));
    acre_span_own(&f.span);
    assert_true((f.span.state & ACRE_SPAN_OWNED) != 0 && (f.span.state & ACRE_SPAN_LISTED) == 0);
    assert_true(acre_span_is_valid(&f.span));
    assert_int_equal(acre_span_disown(&f.span), ACRE_DUTY_LIST);
}

static void the_last_block_back_makes_its_giver_retire_a_listed_span(void **state)
{
    (void)state;
    fixture f;
    make_span(&f, ACRE_CLASS_COUNT); /* eight blocks */
    (void)claim_all(&f);
    (void)acre_span_disown(&f.span);
    acre_word after;
    (void)acre_span_give_bits(&f.span, 0, 1);
    assert_int_equal(acre_span_give_count(&f.span, 1, &after), ACRE_DUTY_LIST);
    assert_true(acre_span_list(&f.span));
    (void)acre_span_give_bits(&f.span, 0, 254);
    assert_int_equal(acre_span_give_count(&f.span, 7, &after), ACRE_DUTY_RETIRE);
    assert_true(acre_span_may_retire(&f.span, after));
    const acre_word state_before = f.span.state;
    acre_span_retire(&f.span);
    assert_true(f.span.state > state_before - ACRE_SPAN_GENERATION && f.span.state != state_before);
    assert_false(acre_span_may_retire(&f.span, after)); /* nobody retires it a second time */
    acre_span_init(&f.span, ACRE_CLASS_COUNT, f.words);
    assert_false(acre_span_may_retire(&f.span, after)); /* not even when it is in use again */
}

static void a_span_that_is_all_free_when_listed_is_retired_instead(void **state)
{
    (void)state;
    fixture f;
    make_span(&f, 1);
    assert_int_equal(acre_span_disown(&f.span), ACRE_DUTY_LIST);
    assert_false(acre_span_list(&f.span));
}

static void the_owner_may_take_blocks_before_they_are_counted(void **state)
{
    (void)state;
    fixture f;
    make_span(&f, 1);
    (void)claim_all(&f);
    (void)acre_span_give_bits(&f.span, 0, 7); /* another thread, which is then held up */
    assert_true(acre_span_claim(&f.span, 0, ACRE_WORD_BITS) == 7);
    assert_int_equal(acre_span_free_count(f.span.state), -3);
    assert_int_equal(acre_span_disown(&f.span), ACRE_DUTY_NONE);
    acre_word after;
    assert_int_equal(acre_span_give_count(&f.span, 3, &after), ACRE_DUTY_NONE);
    assert_int_equal(acre_span_free_count(f.span.state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_span_has_every_block_free_in_every_class),
        cmocka_unit_test(random_claims_and_returns_behave_like_an_array_of_booleans),
        cmocka_unit_test(giving_a_free_block_is_seen_and_changes_nothing),
        cmocka_unit_test(the_first_block_back_makes_its_giver_list_the_span),
        cmocka_unit_test(the_last_block_back_makes_its_giver_retire_a_listed_span),
        cmocka_unit_test(a_span_that_is_all_free_when_listed_is_retired_instead),
        cmocka_unit_test(the_owner_may_take_blocks_before_they_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
