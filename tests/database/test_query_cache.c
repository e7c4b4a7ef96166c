/* test_query_cache.c - the query cache by itself: what is given and what is not, against a model; turns, old values, budget, failures. */
#include "support/test.h"

#include <acre/budget.h>
#include <acre/query_cache.h>

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { SECOND = 1000000000 };

/* --- memory that can run out, and is counted --- */

static uint64_t allocation_count, failing_allocation, live_count; /* failing_allocation: 0 is none */
static pthread_mutex_t allocation_lock = PTHREAD_MUTEX_INITIALIZER;

static void *counted_allocate(void *context, size_t bytes)
{
    pthread_mutex_lock(&allocation_lock);
    const bool fails = ++allocation_count == failing_allocation;
    live_count += !fails;
    pthread_mutex_unlock(&allocation_lock);
    return fails ? NULL : malloc(bytes);
}

static void counted_deallocate(void *context, void *memory)
{
    pthread_mutex_lock(&allocation_lock);
    live_count--;
    pthread_mutex_unlock(&allocation_lock);
    free(memory);
}

static acre_query_cache_options usual(void)
{
    allocation_count = failing_allocation = live_count = 0;
    return (acre_query_cache_options){
        .bytes_max = 1 << 16, .shard_count = 1, .version_count = 4096, .allocate = counted_allocate, .deallocate = counted_deallocate};
}

static acre_query_cache *open_cache(const acre_query_cache_options *options)
{
    acre_query_cache *cache = NULL;
    if (acre_query_cache_open(&cache, options) != ACRE_OK) fail_msg("%s", acre_last_error());
    return cache;
}

static void close_cache(acre_query_cache *cache)
{
    assert_true(acre_query_cache_is_valid(cache));
    acre_query_cache_close(cache);
    assert_int_equal(live_count, 0);
}

static acre_query query_of(const char *statement, const char *parameters)
{
    return (acre_query){statement, strlen(statement), parameters, strlen(parameters)};
}

static acre_query_answer get(acre_query_cache *cache, const char *statement, uint64_t now, uint64_t stale)
{
    const acre_query query = query_of(statement, "");
    const acre_query_wishes wishes = {.stale_ns = stale};
    acre_query_answer answer;
    assert_int_equal(acre_query_cache_get(cache, &query, now, &wishes, &answer), ACRE_OK);
    return answer;
}

static acre_status fill(acre_query_cache *cache, acre_query_answer *answer, const char *value, uint64_t object, uint64_t ttl, uint64_t now)
{
    const acre_query_result result = {
        .value = value, .value_bytes = strlen(value), .objects = &object, .object_count = object != 0, .cost_ns = 1000, .ttl_ns = ttl};
    return acre_query_cache_fill(cache, answer, &result, now);
}

/* A miss that is filled in. */
static void put(acre_query_cache *cache, const char *statement, const char *value, uint64_t object, uint64_t ttl, uint64_t now)
{
    acre_query_answer answer = get(cache, statement, now, 0);
    assert_int_equal(answer.outcome, ACRE_QUERY_MISS);
    assert_true(answer.has_turn);
    assert_int_equal(fill(cache, &answer, value, object, ttl, now), ACRE_OK);
    assert_false(answer.has_turn);
}

static void expect(acre_query_cache *cache, const char *statement, uint64_t now, const char *value)
{
    acre_query_answer answer = get(cache, statement, now, 0);
    if (value == NULL) {
        assert_int_equal(answer.outcome, ACRE_QUERY_MISS);
        acre_query_cache_abandon(cache, &answer);
        return;
    }
    assert_int_equal(answer.outcome, ACRE_QUERY_HIT);
    assert_int_equal(answer.value_bytes, strlen(value));
    assert_memory_equal(answer.value, value, answer.value_bytes);
    assert_int_equal((uintptr_t)answer.value % 16, 0);
    acre_query_cache_release(cache, &answer);
}

/* --- what is given --- */

static void a_value_is_given_until_its_object_changes(void **state)
{
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    put(cache, "a", "1", 10, 0, 0);
    put(cache, "b", "2", 20, 0, 0);
    put(cache, "c", "3", 0, 0, 0); /* made from nothing */
    expect(cache, "a", 0, "1");
    acre_query_cache_invalidate(cache, 10);
    expect(cache, "a", 0, NULL);
    expect(cache, "b", 0, "2");
    expect(cache, "c", 0, "3");
    put(cache, "a", "one", 10, 0, 0);
    expect(cache, "a", 0, "one");
    close_cache(cache);
}

static void keys_are_compared_in_full(void **state)
{
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    const acre_query queries[] = {query_of("ab", "c"), query_of("a", "bc"), query_of("abc", ""), query_of("ab", "d"), query_of("ab", "c ")};
    enum { COUNT = sizeof queries / sizeof queries[0] };
    for (int i = 0; i < COUNT; i++) {
        acre_query_answer answer;
        const acre_query_result result = {.value = &i, .value_bytes = sizeof i};
        assert_int_equal(acre_query_cache_get(cache, &queries[i], 0, NULL, &answer), ACRE_OK);
        assert_int_equal(answer.outcome, ACRE_QUERY_MISS);
        assert_int_equal(acre_query_cache_fill(cache, &answer, &result, 0), ACRE_OK);
    }
    for (int i = 0; i < COUNT; i++) {
        acre_query_answer answer;
        assert_int_equal(acre_query_cache_get(cache, &queries[i], 0, NULL, &answer), ACRE_OK);
        assert_int_equal(answer.outcome, ACRE_QUERY_HIT);
        assert_memory_equal(answer.value, &i, sizeof i);
        acre_query_cache_release(cache, &answer);
    }
    close_cache(cache);
}

static void a_value_that_was_read_across_a_change_is_refused(void **state)
{
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    acre_query_answer answer = get(cache, "a", 0, 0);
    acre_query_cache_invalidate(cache, 10);
    assert_int_equal(fill(cache, &answer, "old", 10, 0, 0), ACRE_MOVED);
    expect(cache, "a", 0, NULL);
    answer = get(cache, "a", 0, 0);
    acre_query_cache_invalidate(cache, 11); /* of another object: nothing to it */
    assert_int_equal(fill(cache, &answer, "fresh", 10, 0, 0), ACRE_OK);
    expect(cache, "a", 0, "fresh");
    close_cache(cache);
}

static void while_an_object_is_written_nothing_of_it_is_given_or_kept(void **state)
{
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    put(cache, "a", "1", 10, 0, 0);
    acre_query_cache_begin_write(cache, 10);
    expect(cache, "a", 0, NULL);
    acre_query_answer answer = get(cache, "a", 0, 0);
    assert_int_equal(fill(cache, &answer, "2", 10, 0, 0), ACRE_MOVED);
    acre_query_cache_begin_write(cache, 10); /* another writer */
    acre_query_cache_end_write(cache, 10);
    expect(cache, "a", 0, NULL);
    answer = get(cache, "a", 0, 0);
    acre_query_cache_end_write(cache, 10);
    assert_int_equal(fill(cache, &answer, "3", 10, 0, 0), ACRE_MOVED);
    put(cache, "a", "4", 10, 0, 0);
    expect(cache, "a", 0, "4");
    acre_query_cache_end_write(cache, 10); /* one too many counts as a change */
    expect(cache, "a", 0, NULL);
    put(cache, "a", "5", 10, 0, 0);
    expect(cache, "a", 0, "5");
    close_cache(cache);
}

static void values_expire(void **state)
{
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    put(cache, "a", "1", 10, SECOND, 5);
    put(cache, "b", "2", 10, UINT64_MAX, 5);
    expect(cache, "a", SECOND + 4, "1");
    expect(cache, "a", SECOND + 5, NULL);
    expect(cache, "b", UINT64_MAX - 1, "2");
    close_cache(cache);
}

static void old_values_are_given_only_to_who_asks_for_them(void **state)
{
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    put(cache, "a", "1", 10, SECOND, 0);
    acre_query_answer first = get(cache, "a", SECOND + 10, 100);
    assert_int_equal(first.outcome, ACRE_QUERY_STALE);
    assert_true(first.has_turn);
    acre_query_answer second = get(cache, "a", SECOND + 20, 100);
    assert_int_equal(second.outcome, ACRE_QUERY_STALE);
    assert_false(second.has_turn);
    assert_memory_equal(second.value, "1", 1);
    acre_query_cache_release(cache, &second);
    second = get(cache, "a", SECOND + 20, 0);
    assert_int_equal(second.outcome, ACRE_QUERY_BUSY);
    assert_int_equal(get(cache, "a", SECOND + 200, 100).outcome, ACRE_QUERY_BUSY); /* too old, and somebody renews it */
    assert_int_equal(fill(cache, &first, "2", 10, SECOND, SECOND + 30), ACRE_OK);
    assert_memory_equal(first.value, "1", 1); /* still held */
    acre_query_cache_release(cache, &first);
    expect(cache, "a", SECOND + 40, "2");

    acre_query_cache_invalidate(cache, 10);
    first = get(cache, "a", SECOND + 50, 100);
    assert_int_equal(first.outcome, ACRE_QUERY_STALE);
    acre_query_cache_release(cache, &first);
    acre_query_cache_abandon(cache, &first);
    first = get(cache, "a", SECOND + 151, 100); /* counted since it was found */
    assert_int_equal(first.outcome, ACRE_QUERY_MISS);
    acre_query_cache_abandon(cache, &first);
    close_cache(cache);
}

/* --- turns --- */

static void one_thread_fills_in_at_a_time(void **state)
{
    acre_query_cache_options options = usual();
    options.fill_ns_max = 1000;
    acre_query_cache *const cache = open_cache(&options);
    acre_query_answer slow = get(cache, "a", 0, 0);
    acre_query_answer other = get(cache, "a", 999, 0);
    assert_int_equal(other.outcome, ACRE_QUERY_BUSY);
    assert_false(other.has_turn);
    other = get(cache, "a", 1000, 0); /* the turn took too long */
    assert_int_equal(other.outcome, ACRE_QUERY_MISS);
    assert_true(other.has_turn);
    assert_int_equal(fill(cache, &slow, "slow", 10, 0, 1001), ACRE_BUSY);
    assert_int_equal(fill(cache, &other, "other", 10, 0, 1002), ACRE_OK);
    expect(cache, "a", 1003, "other");
    slow = get(cache, "b", 0, 0);
    acre_query_cache_abandon(cache, &slow);
    acre_query_cache_abandon(cache, &slow); /* does nothing */
    expect(cache, "b", 0, NULL);
    close_cache(cache);
}

typedef struct waiter {
    acre_query_cache *cache;
    acre_query_outcome outcome;
    char value;
} waiter;

static void *wait_for_value(void *context)
{
    waiter *const self = context;
    const acre_query query = query_of("a", "");
    const acre_query_wishes wishes = {.wait_ns = 20 * (uint64_t)SECOND};
    acre_query_answer answer;
    if (acre_query_cache_get(self->cache, &query, 0, &wishes, &answer) != ACRE_OK) abort();
    self->outcome = answer.outcome;
    if (answer.outcome == ACRE_QUERY_HIT) self->value = *(const char *)answer.value;
    acre_query_cache_release(self->cache, &answer);
    acre_query_cache_abandon(self->cache, &answer);
    return NULL;
}

static void who_waits_gets_the_value_or_the_next_turn(void **state)
{
    enum { WAITERS = 3 };
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    for (int is_filled = 0; is_filled <= 1; is_filled++) {
        pthread_t threads[WAITERS];
        waiter waiters[WAITERS];
        acre_query_answer answer = get(cache, "a", 0, 0);
        assert_true(answer.has_turn);
        for (int i = 0; i < WAITERS; i++) {
            waiters[i] = (waiter){.cache = cache};
            assert_int_equal(pthread_create(&threads[i], NULL, wait_for_value, &waiters[i]), 0);
        }
        (void)usleep(20000);
        if (is_filled)
            assert_int_equal(fill(cache, &answer, "x", 0, 0, 0), ACRE_OK);
        else
            acre_query_cache_abandon(cache, &answer);
        for (int i = 0; i < WAITERS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_int_equal(waiters[i].outcome, is_filled ? ACRE_QUERY_HIT : ACRE_QUERY_MISS);
            if (is_filled) assert_int_equal(waiters[i].value, 'x');
        }
    }
    close_cache(cache);
}

static void a_wait_ends_by_itself(void **state)
{
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    const acre_query query = query_of("a", "");
    const acre_query_wishes wishes = {.wait_ns = 1000000};
    acre_query_answer mine = get(cache, "a", 0, 0), other;
    assert_int_equal(acre_query_cache_get(cache, &query, 0, &wishes, &other), ACRE_OK);
    assert_int_equal(other.outcome, ACRE_QUERY_BUSY);
    acre_query_cache_abandon(cache, &mine);
    close_cache(cache);
}

/* --- the budget --- */

static void put_number(acre_query_cache *cache, uint64_t key, size_t bytes, uint64_t cost)
{
    static const char zeros[20000];
    const acre_query query = {"number", 6, &key, sizeof key};
    acre_query_answer answer;
    assert_int_equal(acre_query_cache_get(cache, &query, 0, NULL, &answer), ACRE_OK);
    if (answer.outcome == ACRE_QUERY_HIT) {
        acre_query_cache_release(cache, &answer);
        return;
    }
    const acre_query_result result = {.value = zeros, .value_bytes = bytes, .cost_ns = cost};
    const acre_status status = acre_query_cache_fill(cache, &answer, &result, 0);
    assert_true(status == ACRE_OK || status == ACRE_DENIED);
}

static bool has_number(acre_query_cache *cache, uint64_t key)
{
    const acre_query query = {"number", 6, &key, sizeof key};
    acre_query_answer answer;
    assert_int_equal(acre_query_cache_get(cache, &query, 0, NULL, &answer), ACRE_OK);
    const bool is_there = answer.outcome == ACRE_QUERY_HIT;
    acre_query_cache_release(cache, &answer);
    acre_query_cache_abandon(cache, &answer);
    return is_there;
}

static void the_budget_is_kept_with_every_policy(void **state)
{
    for (int kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        acre_query_cache_options options = usual();
        options.policy = (acre_policy_kind)kind;
        acre_query_cache *const cache = open_cache(&options);
        uint64_t seed = 3;
        acre_query_figures figures;
        for (int i = 0; i < 20000; i++) {
            put_number(cache, next_random(&seed) % 1000, next_random(&seed) % 600, 1000);
            assert_int_equal(acre_query_cache_read_figures(cache, &figures), ACRE_OK);
            assert_true(figures.bytes <= figures.bytes_max);
            if (i == 10000) assert_int_equal(acre_query_cache_resize(cache, 30000), 30000);
            if (i % 5000 == 0) assert_true(acre_query_cache_is_valid(cache));
        }
        assert_int_equal(figures.bytes_max, 30000);
        assert_true(figures.evictions > 1000 && figures.entries > 30);
        close_cache(cache);
    }
}

static void what_is_held_stays_when_it_is_evicted(void **state)
{
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    put(cache, "held", "value", 10, 0, 0);
    acre_query_answer held = get(cache, "held", 0, 0);
    for (uint64_t key = 0; key < 2000; key++) put_number(cache, key, 300, 1000);
    assert_memory_equal(held.value, "value", 5);
    expect(cache, "held", 0, "value"); /* pinned ones stay in */
    acre_query_cache_invalidate(cache, 10);
    put(cache, "held", "another", 10, 0, 0);
    assert_memory_equal(held.value, "value", 5);
    acre_query_cache_release(cache, &held);
    acre_query_cache_release(cache, &held); /* does nothing */
    assert_null(held.value);
    close_cache(cache);
}

static void what_is_dear_stays_longer_and_what_is_too_large_is_not_taken(void **state)
{
    acre_query_cache_options options = usual();
    options.policy = ACRE_POLICY_FIFO;
    acre_query_cache *const cache = open_cache(&options);
    for (uint64_t key = 0; key < 120; key++) put_number(cache, key, 200, key % 6 == 5 ? 100000 : 1000);
    for (uint64_t key = 200; key < 450; key++) put_number(cache, key, 200, 1000); /* all that the cache has room for, and a little more */
    int dear = 0, cheap = 0;
    for (uint64_t key = 0; key < 120; key++) *(key % 6 == 5 ? &dear : &cheap) += has_number(cache, key);
    assert_true(dear >= 18);
    assert_int_equal(cheap, 0);
    acre_query_figures before, after;
    assert_int_equal(acre_query_cache_read_figures(cache, &before), ACRE_OK);
    put_number(cache, 1000, 17000, 1000000);
    put_number(cache, 1001, 200, 1); /* cheap, and never asked for before */
    assert_int_equal(acre_query_cache_read_figures(cache, &after), ACRE_OK);
    assert_int_equal(after.refused_policy, before.refused_policy + 2);
    assert_int_equal(after.evictions, before.evictions);
    close_cache(cache);
}

/* One cache is asked for 100 results again and again, the other for 400 that cost a third: the first one's all fit, the rest is the
 * other's. */
static void a_budget_divides_memory_between_caches(void **state)
{
    enum { BUDGET = 100000, BYTES_EACH = 200 };
    acre_query_cache_options options = usual();
    options.bytes_max = BUDGET;
    options.curve_keys_max = 1024;
    acre_query_cache *const dear = open_cache(&options), *const cheap = open_cache(&options);
    acre_budget budget;
    acre_budget_member members[2] = {{.name = "dear"}, {.name = "cheap"}};
    uint64_t seed = 3;
    assert_int_equal(acre_budget_init(&budget, BUDGET), ACRE_OK);
    for (int i = 0; i < 2; i++) {
        members[i].read = acre_query_cache_read_costs;
        members[i].resize = acre_query_cache_resize;
        members[i].context = i == 0 ? dear : cheap;
        members[i].bytes_min = 5000;
        assert_int_equal(acre_budget_add(&budget, &members[i]), ACRE_OK);
    }
    for (int i = 0; i < 60000; i++) {
        put_number(dear, next_random(&seed) % 100, BYTES_EACH, 30000);
        put_number(cheap, next_random(&seed) % 400, BYTES_EACH, 10000);
        if (i % 1000 == 0) (void)acre_budget_step(&budget);
    }
    acre_query_figures figures;
    assert_int_equal(acre_query_cache_read_figures(dear, &figures), ACRE_OK);
    assert_in_range(figures.entries, 98, 100); /* 31 KB of the budget: 314 bytes each */
    assert_true(members[0].bytes < BUDGET / 2 && members[1].bytes > BUDGET / 2);
    assert_true(budget.change_count < 10);
    acre_query_cache_read_costs(NULL, NULL, NULL, 0);
    assert_true(acre_query_cache_is_valid(dear));
    acre_query_cache_close(dear);
    close_cache(cheap);
}

/* --- a model --- */

enum { MODEL_KEYS = 60, MODEL_OBJECTS = 7 };

/* Random calls of one thread. The model knows of each key what was filled in and whether it may be given; the cache may forget, never
 * invent. */
static void the_cache_behaves_like_the_model(void **state)
{
    for (uint64_t round = 1; round <= 40; round++) {
        struct {
            bool is_known;
            uint64_t value, object, expires;
        } model[MODEL_KEYS] = {{0}};
        uint64_t seed = round * 7919, now = 0, serial = 0, hits = 0;
        uint32_t writers[MODEL_OBJECTS] = {0};
        acre_query_cache_options options = usual();
        options.bytes_max = round % 2 == 0 ? 1 << 16 : 6000; /* all fit, or not */
        options.policy = (acre_policy_kind)(round % ACRE_POLICY_KIND_COUNT);
        options.shard_count = 1;
        acre_query_cache *const cache = open_cache(&options);
        for (int step = 0; step < 3000; step++) {
            const uint64_t what = next_random(&seed) % 16, object = next_random(&seed) % MODEL_OBJECTS,
                           key = next_random(&seed) % MODEL_KEYS;
            now += next_random(&seed) % 3;
            if (what == 0 || (what == 1 && writers[object] > 0)) {
                if (what == 0)
                    acre_query_cache_invalidate(cache, object);
                else
                    acre_query_cache_end_write(cache, object);
                writers[object] -= what == 1;
                for (int i = 0; i < MODEL_KEYS; i++) model[i].is_known &= model[i].object != object;
                continue;
            }
            if (what == 2 && writers[object] < 3) {
                acre_query_cache_begin_write(cache, object);
                writers[object]++;
                continue;
            }
            const acre_query query = {"model", 5, &key, sizeof key};
            acre_query_answer answer;
            assert_int_equal(acre_query_cache_get(cache, &query, now, NULL, &answer), ACRE_OK);
            const bool may_hit =
                model[key].is_known && writers[model[key].object] == 0 && (model[key].expires == 0 || now < model[key].expires);
            if (answer.outcome == ACRE_QUERY_HIT) {
                assert_true(may_hit);
                assert_memory_equal(answer.value, &model[key].value, 8);
                acre_query_cache_release(cache, &answer);
                hits++;
                continue;
            }
            assert_int_equal(answer.outcome, ACRE_QUERY_MISS);
            assert_true(!may_hit || options.bytes_max == 6000);
            if (what == 3) {
                acre_query_cache_abandon(cache, &answer);
                continue;
            }
            const bool is_changed = what == 4; /* between the question and the result */
            if (is_changed) {
                acre_query_cache_invalidate(cache, object);
                for (int i = 0; i < MODEL_KEYS; i++) model[i].is_known &= model[i].object != object;
            }
            const uint64_t value = ++serial, ttl = what == 5 ? 20 : 0;
            const acre_query_result result = {
                .value = &value, .value_bytes = 8, .objects = &object, .object_count = 1, .cost_ns = 5, .ttl_ns = ttl};
            const acre_status status = acre_query_cache_fill(cache, &answer, &result, now);
            if (is_changed || writers[object] > 0) {
                assert_int_equal(status, ACRE_MOVED);
            } else {
                assert_true(status == ACRE_OK || (status == ACRE_DENIED && options.bytes_max == 6000));
                if (status == ACRE_OK) {
                    model[key].is_known = true;
                    model[key].value = value;
                    model[key].object = object;
                    model[key].expires = ttl == 0 ? 0 : now + ttl;
                }
            }
            if (step % 200 == 0) assert_true(acre_query_cache_is_valid(cache));
        }
        assert_true(hits > 50);
        close_cache(cache);
    }
}

/* --- failures --- */

static void allocation_may_fail_anywhere(void **state)
{
    for (uint64_t failing = 1; failing < 60; failing++) {
        acre_query_cache_options options = usual();
        options.shard_count = 2;
        options.bytes_max = 2 << 16;
        options.curve_keys_max = 64;
        failing_allocation = failing;
        acre_query_cache *cache = NULL;
        const acre_status status = acre_query_cache_open(&cache, &options);
        if (status != ACRE_OK) {
            assert_int_equal(status, ACRE_NO_MEMORY);
            assert_null(cache);
            assert_int_equal(live_count, 0);
            continue;
        }
        for (uint64_t key = 0; key < 30; key++) {
            const acre_query query = {"fails", 5, &key, sizeof key};
            acre_query_answer answer;
            assert_int_equal(acre_query_cache_get(cache, &query, 0, NULL, &answer), ACRE_OK);
            assert_int_equal(answer.outcome, ACRE_QUERY_MISS);
            const acre_query_result result = {.value = &key, .value_bytes = sizeof key};
            const acre_status filled = acre_query_cache_fill(cache, &answer, &result, 0);
            assert_true(filled == ACRE_OK || filled == ACRE_NO_MEMORY || filled == ACRE_INVALID); /* the last: it had no turn */
            assert_int_equal(acre_query_cache_get(cache, &query, 0, NULL, &answer), ACRE_OK);
            assert_int_equal(answer.outcome, filled == ACRE_OK ? ACRE_QUERY_HIT : ACRE_QUERY_MISS);
            acre_query_cache_release(cache, &answer);
            acre_query_cache_abandon(cache, &answer);
        }
        close_cache(cache);
    }
}

static void bad_options_are_refused(void **state)
{
    const acre_query_cache_options good = usual();
    acre_query_cache *cache = NULL;
    acre_query_cache_options bad[8];
    for (int i = 0; i < 8; i++) bad[i] = good;
    bad[0].bytes_max = 4095;
    bad[1].shard_count = 3;
    bad[2].shard_count = 128;
    bad[3].version_count = 1000;
    bad[4].entries_max = (1 << 20) + 1;
    bad[5].policy = (acre_policy_kind)99;
    bad[6].shard_count = 2;
    bad[6].entries_max = 1;
    bad[7].curve_keys_max = 1;
    for (int i = 0; i < 8; i++) assert_int_equal(acre_query_cache_open(&cache, &bad[i]), ACRE_INVALID);
    assert_int_equal(live_count, 0);
    assert_int_equal(acre_query_cache_open(NULL, &good), ACRE_INVALID);
    assert_int_equal(acre_query_cache_open(&cache, NULL), ACRE_INVALID);
    assert_null(cache);
    const acre_query_cache_options least = {.bytes_max = 1 << 20}; /* malloc, and everything else as usual */
    assert_int_equal(acre_query_cache_open(&cache, &least), ACRE_OK);
    acre_query_cache_close(cache);
}

static void bad_arguments_are_refused(void **state)
{
    const acre_query_cache_options options = usual();
    acre_query_cache *const cache = open_cache(&options);
    const acre_query good = query_of("a", "b");
    const acre_query bad[] = {{NULL, 1, NULL, 0},
                              {"a", 0, NULL, 0},
                              {"a", 1, NULL, 1},
                              {"a", ACRE_QUERY_KEY_BYTES_MAX + 1, NULL, 0},
                              {"a", 1, "b", ACRE_QUERY_KEY_BYTES_MAX}};
    acre_query_answer answer;
    acre_query_figures figures;
    for (int i = 0; i < 5; i++) {
        answer.has_turn = true;
        assert_int_equal(acre_query_cache_get(cache, &bad[i], 0, NULL, &answer), ACRE_INVALID);
        assert_false(answer.has_turn);
    }
    assert_int_equal(acre_query_cache_get(NULL, &good, 0, NULL, &answer), ACRE_INVALID);
    assert_int_equal(acre_query_cache_get(cache, NULL, 0, NULL, &answer), ACRE_INVALID);
    assert_int_equal(acre_query_cache_get(cache, &good, 0, NULL, NULL), ACRE_INVALID);

    uint64_t objects[ACRE_QUERY_OBJECTS_MAX + 1] = {0};
    const acre_query_result results[] = {{.value_bytes = 1},
                                         {.object_count = 1},
                                         {.objects = objects, .object_count = ACRE_QUERY_OBJECTS_MAX + 1},
                                         {.value = "a", .value_bytes = ACRE_QUERY_VALUE_BYTES_MAX + 1}};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(acre_query_cache_get(cache, &good, 0, NULL, &answer), ACRE_OK);
        assert_true(answer.has_turn);
        assert_int_equal(acre_query_cache_fill(cache, &answer, i < 4 ? &results[i] : NULL, 0), ACRE_INVALID);
        assert_false(answer.has_turn);
        assert_int_equal(acre_query_cache_fill(cache, &answer, &results[0], 0), ACRE_INVALID); /* no turn */
    }
    assert_int_equal(acre_query_cache_get(cache, &good, 0, NULL, &answer), ACRE_OK);
    const acre_query_result most = {.objects = objects, .object_count = ACRE_QUERY_OBJECTS_MAX};
    assert_int_equal(acre_query_cache_fill(cache, &answer, &most, 0), ACRE_OK);
    assert_int_equal(acre_query_cache_get(cache, &good, 0, NULL, &answer), ACRE_OK);
    assert_int_equal(answer.outcome, ACRE_QUERY_HIT);
    assert_int_equal(answer.value_bytes, 0);
    acre_query_cache_release(cache, &answer);

    assert_int_equal(acre_query_cache_fill(NULL, &answer, &most, 0), ACRE_INVALID);
    assert_int_equal(acre_query_cache_fill(cache, NULL, &most, 0), ACRE_INVALID);
    assert_int_equal(acre_query_cache_read_figures(NULL, &figures), ACRE_INVALID);
    assert_int_equal(acre_query_cache_read_figures(cache, NULL), ACRE_INVALID);
    assert_int_equal(acre_query_cache_resize(NULL, 1), 0);
    acre_query_cache_release(NULL, &answer);
    acre_query_cache_release(cache, NULL);
    acre_query_cache_abandon(NULL, &answer);
    acre_query_cache_abandon(cache, NULL);
    acre_query_cache_invalidate(NULL, 1);
    acre_query_cache_begin_write(NULL, 1);
    acre_query_cache_end_write(NULL, 1);
    close_cache(cache);
    acre_query_cache_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_given_until_its_object_changes),
        cmocka_unit_test(keys_are_compared_in_full),
        cmocka_unit_test(a_value_that_was_read_across_a_change_is_refused),
        cmocka_unit_test(while_an_object_is_written_nothing_of_it_is_given_or_kept),
        cmocka_unit_test(values_expire),
        cmocka_unit_test(old_values_are_given_only_to_who_asks_for_them),
        cmocka_unit_test(one_thread_fills_in_at_a_time),
        cmocka_unit_test(who_waits_gets_the_value_or_the_next_turn),
        cmocka_unit_test(a_wait_ends_by_itself),
        cmocka_unit_test(the_budget_is_kept_with_every_policy),
        cmocka_unit_test(what_is_held_stays_when_it_is_evicted),
        cmocka_unit_test(what_is_dear_stays_longer_and_what_is_too_large_is_not_taken),
        cmocka_unit_test(a_budget_divides_memory_between_caches),
        cmocka_unit_test(the_cache_behaves_like_the_model),
        cmocka_unit_test(allocation_may_fail_anywhere),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
