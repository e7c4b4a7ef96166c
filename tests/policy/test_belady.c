/* test_belady.c - Belady's rule against one that looks through the rest of the trace at each miss. */
#include "support/test.h"

#include "policy/belady.h"

enum { OBJECTS_MAX = 40, REQUESTS_MAX = 3000 };

/* Misses with `capacity` entries, the plain way: the entry goes that is not found again, or last. */
static uint32_t misses_by_looking(const uint32_t *objects, uint32_t count, uint32_t capacity)
{
    uint32_t held[OBJECTS_MAX], held_count = 0, misses = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0, farthest = 0, victim = 0;
        while (at < held_count && held[at] != objects[i]) at++;
        if (at < held_count) continue;
        misses++;
        if (held_count < capacity) {
            held[held_count++] = objects[i];
            continue;
        }
        for (uint32_t k = 0; k < held_count; k++) {
            uint32_t next = i + 1;
            while (next < count && objects[next] != held[k]) next++;
            if (next > farthest) {
                farthest = next;
                victim = k;
            }
        }
        held[victim] = objects[i];
    }
    return misses;
}

static uint32_t misses_of(const uint32_t *objects, uint32_t count, uint32_t object_count, uint32_t capacity)
{
    uint32_t *const next = malloc((count + 1) * sizeof *next);
    uint32_t *const last = malloc((object_count + 1) * sizeof *last);
    acre_word *const memory = malloc(acre_belady_bytes(count));
    acre_belady belady;
    uint32_t misses = 0;
    acre_belady_next_uses(next, objects, count, last, object_count);
    acre_belady_init(&belady, count, capacity, memory);
    for (uint32_t i = 0; i < count; i++) {
        misses += !acre_belady_access(&belady, i, next[i]);
        if (i % 64 == 0) assert_true(acre_belady_is_valid(&belady));
    }
    assert_true(acre_belady_is_valid(&belady));
    free(memory);
    free(last);
    free(next);
    return misses;
}

static void no_fewer_and_no_more_misses_than_by_looking(void **state)
{
    uint64_t seed = 7;
    uint32_t objects[REQUESTS_MAX];
    for (int round = 0; round < 300; round++) {
        const uint32_t count = 1 + (uint32_t)(next_random(&seed) % (round < 280 ? 300 : REQUESTS_MAX));
        const uint32_t object_count = 1 + (uint32_t)(next_random(&seed) % OBJECTS_MAX);
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t a = (uint32_t)(next_random(&seed) % object_count), b = (uint32_t)(next_random(&seed) % object_count);
            objects[i] = a < b ? a : b;
        }
        const uint32_t capacity = 1 + (uint32_t)(next_random(&seed) % object_count);
        assert_int_equal(misses_of(objects, count, object_count, capacity), misses_by_looking(objects, count, capacity));
    }
}

static void next_uses_are_where_an_object_comes_again(void **state)
{
    const uint32_t objects[] = {2, 0, 2, 1, 0}, expected[] = {2, 4, ACRE_BELADY_NEVER, ACRE_BELADY_NEVER, ACRE_BELADY_NEVER};
    uint32_t next[5], last[3];
    acre_belady_next_uses(next, objects, 5, last, 3);
    assert_memory_equal(next, expected, sizeof next);
    acre_belady_next_uses(next, objects, 0, last, 3);
}

static void an_empty_trace_takes_a_word(void **state)
{
    acre_belady belady;
    acre_word word[1];
    assert_int_equal(acre_belady_bytes(0), sizeof word);
    acre_belady_init(&belady, 0, 1, word);
    assert_true(acre_belady_is_valid(&belady));
}

/* A million requests are an eighth of a byte each and a little. */
static void memory_is_a_bit_a_request_and_its_summaries(void **state)
{
    assert_in_range(acre_belady_bytes(1u << 20), 1u << 17, (1u << 17) + (1u << 12));
    assert_true(acre_belady_bytes(ACRE_BELADY_REQUEST_MAX) < (size_t)600 << 20);
}

static void is_valid_sees_damage(void **state)
{
    acre_word words[200];
    acre_belady belady;
    assert_true(acre_belady_bytes(8000) <= sizeof words);
    acre_belady_init(&belady, 8000, 4, words);
    assert_false(acre_belady_access(&belady, 0, 5000));
    assert_true(acre_belady_is_valid(&belady));
    words[0] |= 1; /* an entry more than was counted */
    assert_false(acre_belady_is_valid(&belady));
    words[0] &= ~(acre_word)1;
    assert_true(acre_belady_is_valid(&belady));
    belady.levels[1][0] ^= 1;
    assert_false(acre_belady_is_valid(&belady));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_fewer_and_no_more_misses_than_by_looking),
        cmocka_unit_test(next_uses_are_where_an_object_comes_again),
        cmocka_unit_test(an_empty_trace_takes_a_word),
        cmocka_unit_test(memory_is_a_bit_a_request_and_its_summaries),
        cmocka_unit_test(is_valid_sees_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
