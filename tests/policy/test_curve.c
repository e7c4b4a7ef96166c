/* test_curve.c - the live miss-ratio curve against exact stack distances. */
#include "support/test.h"

#include <acre/curve.h>

typedef struct opened {
    acre_curve *curve;
    void *memory;
} opened;

static opened open_curve(uint32_t keys_max, uint32_t share)
{
    const acre_curve_options options = {.keys_max = keys_max, .share = share};
    opened self = {.memory = malloc(acre_curve_bytes(&options))};
    assert_non_null(self.memory);
    assert_int_equal(acre_curve_init(&self.curve, &options, self.memory, acre_curve_bytes(&options)), ACRE_OK);
    return self;
}

/* Misses with `capacity` entries by a list of the last used ones. */
static uint32_t lru_misses(const uint64_t *keys, uint32_t count, uint32_t capacity)
{
    uint64_t *const list = malloc((capacity + 1) * sizeof *list); /* the last used first */
    uint32_t held = 0, misses = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (at < held && list[at] != keys[i]) at++;
        if (at == held) {
            misses++;
            if (held < capacity)
                held++;
            else
                at--;
        }
        memmove(list + 1, list, at * sizeof *list);
        list[0] = keys[i];
    }
    free(list);
    return misses;
}

static void expect_exact(const opened *self, const uint64_t *keys, uint32_t count, uint32_t most)
{
    for (uint64_t size = 1; size <= most; size += 1 + size / 4) {
        uint32_t found;
        const uint64_t exact = (uint64_t)lru_misses(keys, count, (uint32_t)size) * ACRE_CURVE_MILLION / count;
        assert_int_equal(acre_curve_read(self->curve, &size, &found, 1), ACRE_OK);
        assert_in_range(found + 20, exact, exact + 40); /* parts of a million */
    }
}

static void the_curve_is_exact_while_all_keys_fit(void **state)
{
    uint64_t seed = 3;
    enum { COUNT = 1000 };
    uint64_t keys[COUNT];
    for (int round = 0; round < 60; round++) {
        const opened self = open_curve(64 + (uint32_t)round, (uint32_t)round % 3);
        const uint64_t objects = 1 + next_random(&seed) % 64, stride = next_random(&seed) | 1;
        for (uint32_t i = 0; i < COUNT; i++) {
            const uint64_t a = next_random(&seed) % objects, b = round % 2 == 0 ? i % objects : next_random(&seed) % objects;
            keys[i] = (a < b ? a : b) * stride;
            acre_curve_access(self.curve, keys[i]);
            if (i % 50 == 0) assert_true(acre_curve_is_valid(self.curve));
        }
        assert_true(acre_curve_is_valid(self.curve));
        assert_int_equal(acre_curve_rate(self.curve), ACRE_CURVE_MILLION);
        expect_exact(&self, keys, COUNT, 80);
        free(self.memory);
    }
}

/* Skewed requests for far more objects than keys_max: object n * u^3. */
static uint64_t skewed(uint64_t *seed, uint64_t objects)
{
    const uint64_t u = next_random(seed) >> 44; /* 20 bits */
    return ((u * u >> 20) * u >> 20) * objects >> 20;
}

enum { OBJECTS = 60000, LONG = 600000 };

/* Exact misses at the sizes, in parts of a million, by counting distances with a tree. */
static void exact_curve(const uint64_t *keys, uint32_t count, const uint64_t *sizes, uint32_t *misses, size_t size_count)
{
    uint32_t *const tree = calloc(count + 2, sizeof *tree), *const last = calloc(OBJECTS + 1, sizeof *last);
    uint64_t *const hits = calloc(OBJECTS + 2, sizeof *hits);
    uint64_t sum = 0, size = 0;
    uint32_t live = 0;
    for (uint32_t i = 1; i <= count; i++) {
        uint32_t *const old = &last[keys[i - 1]];
        if (*old != 0) {
            uint32_t before = 0;
            for (uint32_t k = *old; k > 0; k -= k & (0u - k)) before += tree[k];
            hits[live - before]++;
            for (uint32_t k = *old; k <= count; k += k & (0u - k)) tree[k]--;
            live--;
        }
        for (uint32_t k = i; k <= count; k += k & (0u - k)) tree[k]++;
        live++;
        *old = i;
    }
    for (size_t i = 0; i < size_count; i++) {
        for (; size < sizes[i] && size <= OBJECTS; size++) sum += hits[size];
        misses[i] = (uint32_t)((count - sum) * ACRE_CURVE_MILLION / count);
    }
    free(hits);
    free(last);
    free(tree);
}

static uint32_t difference(uint32_t a, uint32_t b) { return a > b ? a - b : b - a; }

static void a_sample_is_within_a_fiftieth_of_the_exact_curve(void **state)
{
    static const uint64_t sizes[] = {300, 600, 1200, 2500, 5000, 10000, 20000, 40000, 90000};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    uint32_t exact[SIZES], found[SIZES];
    uint64_t *const keys = malloc(LONG * sizeof *keys);
    uint64_t seed = 11;
    for (uint32_t i = 0; i < LONG; i++) keys[i] = i % 3 == 0 ? i / 3 % OBJECTS : skewed(&seed, OBJECTS);
    exact_curve(keys, LONG, sizes, exact, SIZES);
    for (uint32_t keys_max = 8192; keys_max <= 16384; keys_max *= 2) {
        const opened self = open_curve(keys_max, 0);
        for (uint32_t i = 0; i < LONG; i++) acre_curve_access(self.curve, keys[i]);
        assert_true(acre_curve_is_valid(self.curve));
        assert_in_range(acre_curve_rate(self.curve), keys_max * 800ull * 1000 / OBJECTS, keys_max * 1000ull * 1000 / OBJECTS);
        assert_int_equal(acre_curve_read(self.curve, sizes, found, SIZES), ACRE_OK);
        for (size_t i = 0; i < SIZES; i++)
            if (difference(exact[i], found[i]) > 20000)
                fail_msg("%u keys, %u entries: %u and not %u", keys_max, (unsigned)sizes[i], found[i], exact[i]);
        free(self.memory);
    }
    free(keys);
}

/* A curve that looks at one request in fifty, over many looks and pauses, finds what one that looks at all of them does. */
static void pauses_keep_the_curve_and_the_share(void **state)
{
    enum { REQUESTS = 8000000, KEYS_MAX = 512, KEYS = 400, SHARE = 50 };
    static const uint64_t sizes[] = {10, 50, 100, 200, 300, 399, 400};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    uint32_t exact[SIZES], found[SIZES];
    const opened all = open_curve(KEYS_MAX, 0), some = open_curve(KEYS_MAX, SHARE);
    uint64_t seed = 17, looked_at = 0;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const uint64_t key = i % 4 == 0 ? i / 4 % KEYS : skewed(&seed, KEYS);
        looked_at += acre_curve_wants(some.curve, key);
        acre_curve_access(some.curve, key);
        if (i < 100000) acre_curve_access(all.curve, key);
    }
    assert_true(some.curve->look_count > 10);
    assert_in_range(looked_at, REQUESTS / SHARE * 9 / 10, REQUESTS / SHARE * 11 / 10 + 16 * KEYS_MAX);
    assert_true(acre_curve_is_valid(some.curve));
    assert_int_equal(acre_curve_read(all.curve, sizes, exact, SIZES), ACRE_OK);
    assert_int_equal(acre_curve_read(some.curve, sizes, found, SIZES), ACRE_OK);
    for (size_t i = 0; i < SIZES; i++)
        if (difference(exact[i], found[i]) > 15000) fail_msg("%u entries: %u and not %u", (unsigned)sizes[i], found[i], exact[i]);
    free(all.memory);
    free(some.memory);
}

/* After a change the old looks fade. */
static void the_curve_follows_the_program(void **state)
{
    const opened self = open_curve(256, 0);
    const uint64_t size = 120;
    uint32_t misses;
    for (uint64_t i = 0; i < 300000; i++) acre_curve_access(self.curve, i % 200);
    assert_int_equal(acre_curve_read(self.curve, &size, &misses, 1), ACRE_OK);
    assert_true(misses > 990000);
    for (uint64_t i = 0; i < 300000; i++) acre_curve_access(self.curve, i % 100);
    assert_int_equal(acre_curve_read(self.curve, &size, &misses, 1), ACRE_OK);
    assert_true(misses < 10000);
    free(self.memory);
}

static void requests_may_be_counted_in_lots(void **state)
{
    const opened each = open_curve(64, 10), lots = open_curve(64, 10);
    uint64_t seed = 5;
    uint32_t passed = 0;
    for (int i = 0; i < 400000; i++) {
        const uint64_t key = next_random(&seed) % 500;
        acre_curve_access(each.curve, key);
        if (acre_curve_wants(lots.curve, key)) {
            acre_curve_pass(lots.curve, passed);
            passed = 0;
            acre_curve_access(lots.curve, key);
        } else if (++passed == 10) {
            acre_curve_pass(lots.curve, passed);
            passed = 0;
        }
    }
    for (uint64_t size = 16; size < 600; size *= 2) {
        uint32_t a, b;
        assert_int_equal(acre_curve_read(each.curve, &size, &a, 1), ACRE_OK);
        assert_int_equal(acre_curve_read(lots.curve, &size, &b, 1), ACRE_OK);
        assert_true(difference(a, b) < 60000);
    }
    free(each.memory);
    free(lots.memory);
}

static void a_scan_without_end_stays_in_its_memory(void **state)
{
    const opened self = open_curve(2048, 3);
    const uint64_t sizes[] = {1, 1000000, UINT64_MAX};
    uint32_t misses[3];
    for (uint64_t i = 0; i < 2000000; i++) {
        acre_curve_access(self.curve, i << 20);
        if (i % 262144 == 0) assert_true(acre_curve_is_valid(self.curve));
    }
    assert_int_equal(acre_curve_read(self.curve, sizes, misses, 3), ACRE_OK);
    for (int i = 0; i < 3; i++) assert_true(misses[i] > 930000); /* some 1,500 keys are in the sample */
    free(self.memory);
}

static void bad_arguments_are_refused(void **state)
{
    acre_curve_options options = {.keys_max = 64, .share = 1};
    acre_curve *curve = NULL;
    const size_t bytes = acre_curve_bytes(&options);
    uint64_t *const memory = malloc(bytes + 8);
    const uint64_t sizes[] = {5, 4};
    uint32_t misses[2];
    assert_true(bytes > 0);
    assert_int_equal(acre_curve_bytes(NULL), 0);
    assert_int_equal(acre_curve_init(NULL, &options, memory, bytes), ACRE_INVALID);
    assert_int_equal(acre_curve_init(&curve, NULL, memory, bytes), ACRE_INVALID);
    assert_int_equal(acre_curve_init(&curve, &options, NULL, bytes), ACRE_INVALID);
    assert_int_equal(acre_curve_init(&curve, &options, memory, bytes - 1), ACRE_INVALID);
    assert_int_equal(acre_curve_init(&curve, &options, (char *)memory + 4, bytes), ACRE_INVALID);
    for (int i = 0; i < 3; i++) {
        const acre_curve_options bad[] = {{63, 0}, {ACRE_CURVE_KEYS_MAX + 1, 0}, {64, ACRE_CURVE_SHARE_MAX + 1}};
        assert_int_equal(acre_curve_bytes(&bad[i]), 0);
        assert_int_equal(acre_curve_init(&curve, &bad[i], memory, bytes), ACRE_INVALID);
    }
    assert_null(curve);
    assert_int_equal(acre_curve_init(&curve, &options, memory, bytes), ACRE_OK);
    assert_int_equal(acre_curve_read(NULL, sizes, misses, 1), ACRE_INVALID);
    assert_int_equal(acre_curve_read(curve, NULL, misses, 1), ACRE_INVALID);
    assert_int_equal(acre_curve_read(curve, sizes, NULL, 1), ACRE_INVALID);
    assert_int_equal(acre_curve_read(curve, sizes, misses, 2), ACRE_INVALID);
    assert_string_equal(acre_last_error(), "curve: size 4 stands behind 5");
    assert_int_equal(acre_curve_read(curve, NULL, NULL, 0), ACRE_OK);
    assert_int_equal(acre_curve_read(curve, sizes, misses, 1), ACRE_OK);
    assert_int_equal(misses[0], ACRE_CURVE_MILLION);
    acre_curve_pass(NULL, 1);
    free(memory);
}

static void damage_is_seen_by_is_valid(void **state)
{
    const opened self = open_curve(64, 0);
    for (uint64_t i = 0; i < 1000; i++) acre_curve_access(self.curve, i % 50);
    assert_true(acre_curve_is_valid(self.curve));
    self.curve->words[0] ^= 2;
    self.curve->words[1] ^= 2;
    assert_false(acre_curve_is_valid(self.curve));
    self.curve->words[0] ^= 2;
    self.curve->words[1] ^= 2;
    self.curve->sums[1]++;
    assert_false(acre_curve_is_valid(self.curve));
    free(self.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_curve_is_exact_while_all_keys_fit),
        cmocka_unit_test(a_sample_is_within_a_fiftieth_of_the_exact_curve),
        cmocka_unit_test(pauses_keep_the_curve_and_the_share),
        cmocka_unit_test(the_curve_follows_the_program),
        cmocka_unit_test(requests_may_be_counted_in_lots),
        cmocka_unit_test(a_scan_without_end_stays_in_its_memory),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(damage_is_seen_by_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
