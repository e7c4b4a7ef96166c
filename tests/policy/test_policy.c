/* test_policy.c - replacement policies: the exact ones against lists in arrays, all of them under any sequence of operations. */
#include "support/test.h"

#include "policy/policy.h"
#include "policy/shadow.h"

#include <pthread.h>
#include <stdio.h>

enum { CAPACITY_MAX = 64, KEY_COUNT = 256, STEP_COUNT = 60000 };

/* ---- the models: lists of keys in arrays, the newest first ---- */

typedef struct row {
    unsigned count;
    unsigned keys[4 * CAPACITY_MAX];
    unsigned hits[4 * CAPACITY_MAX];
} row;

static int place_of(const row *r, unsigned key)
{
    for (unsigned i = 0; i < r->count; i++)
        if (r->keys[i] == key) return (int)i;
    return -1;
}

static unsigned take_at(row *r, unsigned at)
{
    const unsigned key = r->keys[at];
    assert_true(at < r->count);
    r->count--;
    memmove(r->keys + at, r->keys + at + 1, (r->count - at) * sizeof *r->keys);
    memmove(r->hits + at, r->hits + at + 1, (r->count - at) * sizeof *r->hits);
    return key;
}

static void put_first(row *r, unsigned key, unsigned hits)
{
    memmove(r->keys + 1, r->keys, r->count * sizeof *r->keys);
    memmove(r->hits + 1, r->hits, r->count * sizeof *r->hits);
    r->keys[0] = key;
    r->hits[0] = hits;
    r->count++;
}

static bool take(row *r, unsigned key)
{
    const int at = place_of(r, key);
    if (at >= 0) take_at(r, (unsigned)at);
    return at >= 0;
}

typedef struct model {
    acre_policy_kind kind;
    unsigned c;
    row a, b, ghosts_a, ghosts_b;
    int hand;      /* of SIEVE: place in a, or -1 */
    double target; /* of ARC */
} model;

static bool one_list(model *m, unsigned key)
{
    const int at = place_of(&m->a, key);
    if (at >= 0) {
        if (m->kind == ACRE_POLICY_LRU)
            put_first(&m->a, take_at(&m->a, (unsigned)at), 0);
        else
            m->a.hits[at] = 1;
        return true;
    }
    if (m->a.count == m->c) {
        if (m->kind == ACRE_POLICY_SIEVE) {
            if (m->hand < 0) m->hand = (int)m->a.count - 1;
            while (m->a.hits[m->hand] != 0) {
                m->a.hits[m->hand] = 0;
                m->hand = m->hand == 0 ? (int)m->a.count - 1 : m->hand - 1;
            }
            take_at(&m->a, (unsigned)m->hand);
            m->hand--; /* the one before it, or none */
        } else {
            while (m->kind == ACRE_POLICY_CLOCK && m->a.hits[m->a.count - 1] != 0) put_first(&m->a, take_at(&m->a, m->a.count - 1), 0);
            take_at(&m->a, m->a.count - 1);
        }
    }
    put_first(&m->a, key, 0);
    if (m->kind == ACRE_POLICY_SIEVE && m->hand >= 0) m->hand++;
    return false;
}

static unsigned part(unsigned c, unsigned numerator, unsigned denominator)
{
    return c * numerator / denominator > 0 ? c * numerator / denominator : 1;
}

static bool two_queue(model *m, unsigned key)
{
    if (place_of(&m->a, key) >= 0) return true;
    if (take(&m->b, key)) {
        put_first(&m->b, key, 0);
        return true;
    }
    const bool was_out = take(&m->ghosts_a, key);
    if (m->a.count + m->b.count == m->c) {
        if (m->a.count > part(m->c, 1, 4) || m->b.count == 0) {
            put_first(&m->ghosts_a, take_at(&m->a, m->a.count - 1), 0);
            if (m->ghosts_a.count > part(m->c, 1, 2)) take_at(&m->ghosts_a, m->ghosts_a.count - 1);
        } else {
            take_at(&m->b, m->b.count - 1);
        }
    }
    put_first(was_out ? &m->b : &m->a, key, 0);
    return false;
}

static void arc_replace(model *m, bool was_in_b2)
{
    if (m->a.count > 0 && ((double)m->a.count > m->target || (was_in_b2 && (double)m->a.count == m->target)))
        put_first(&m->ghosts_a, take_at(&m->a, m->a.count - 1), 0);
    else
        put_first(&m->ghosts_b, take_at(&m->b, m->b.count - 1), 0);
}

static bool arc(model *m, unsigned key)
{
    if (take(&m->a, key) || take(&m->b, key)) {
        put_first(&m->b, key, 0);
        return true;
    }
    const double b1 = m->ghosts_a.count, b2 = m->ghosts_b.count;
    if (place_of(&m->ghosts_a, key) >= 0) {
        m->target += b2 > b1 ? b2 / b1 : 1;
        if (m->target > m->c) m->target = m->c;
        take(&m->ghosts_a, key);
        arc_replace(m, false);
        put_first(&m->b, key, 0);
    } else if (place_of(&m->ghosts_b, key) >= 0) {
        m->target -= b1 > b2 ? b1 / b2 : 1;
        if (m->target < 0) m->target = 0;
        take(&m->ghosts_b, key);
        arc_replace(m, true);
        put_first(&m->b, key, 0);
    } else {
        const unsigned all = m->a.count + m->b.count + m->ghosts_a.count + m->ghosts_b.count;
        if (m->a.count + m->ghosts_a.count == m->c) {
            if (m->a.count < m->c) {
                take_at(&m->ghosts_a, m->ghosts_a.count - 1);
                arc_replace(m, false);
            } else {
                take_at(&m->a, m->a.count - 1);
            }
        } else if (all >= m->c) {
            if (all == 2 * m->c) take_at(&m->ghosts_b, m->ghosts_b.count - 1);
            arc_replace(m, false);
        }
        put_first(&m->a, key, 0);
    }
    return false;
}

static bool s3_fifo(model *m, unsigned key)
{
    row *const rows[] = {&m->a, &m->b};
    for (unsigned i = 0; i < 2; i++) {
        const int at = place_of(rows[i], key);
        if (at < 0) continue;
        if (rows[i]->hits[at] < 3) rows[i]->hits[at]++;
        return true;
    }
    const bool was_out = take(&m->ghosts_a, key);
    for (bool is_done = m->a.count + m->b.count < m->c; !is_done;) {
        if (m->b.count > m->c - part(m->c, 1, 10) || m->a.count == 0) {
            const unsigned hits = m->b.hits[m->b.count - 1], old = take_at(&m->b, m->b.count - 1);
            is_done = hits == 0;
            if (hits > 0) put_first(&m->b, old, hits - 1);
        } else {
            const unsigned hits = m->a.hits[m->a.count - 1], old = take_at(&m->a, m->a.count - 1);
            is_done = hits < 2;
            put_first(is_done ? &m->ghosts_a : &m->b, old, 0);
            if (m->ghosts_a.count > part(m->c, 9, 10)) take_at(&m->ghosts_a, m->ghosts_a.count - 1);
        }
    }
    put_first(was_out ? &m->b : &m->a, key, 0);
    return false;
}

static bool model_access(model *m, unsigned key)
{
    switch (m->kind) {
    case ACRE_POLICY_TWO_QUEUE:
        return two_queue(m, key);
    case ACRE_POLICY_ARC:
        return arc(m, key);
    case ACRE_POLICY_S3_FIFO:
        return s3_fifo(m, key);
    default:
        return one_list(m, key);
    }
}

/* Keys as programs use them: some often, some in loops, some once. */
static unsigned any_key(uint64_t *state, unsigned step)
{
    const uint64_t r = next_random(state);
    switch (r >> 8 & 3) {
    case 0:
        return (unsigned)(r >> 16) % 8;
    case 1:
        return step % 100;
    case 2:
        return (unsigned)((r >> 16 & 0xff) * (r >> 24 & 0xff) >> 8) % KEY_COUNT;
    default:
        return (unsigned)(r >> 16) % KEY_COUNT;
    }
}

static void exact_policies_do_as_lists_in_arrays(void **state)
{
    static const acre_policy_kind kinds[] = {ACRE_POLICY_FIFO, ACRE_POLICY_LRU,     ACRE_POLICY_CLOCK, ACRE_POLICY_TWO_QUEUE,
                                             ACRE_POLICY_ARC,  ACRE_POLICY_S3_FIFO, ACRE_POLICY_SIEVE};
    static const acre_policy_slot capacities[] = {1, 2, 3, 10, 33, CAPACITY_MAX};
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
            uint64_t random = 7 + i;
            static model m;
            memset(&m, 0, sizeof m);
            m.kind = kinds[k];
            m.c = capacities[i];
            m.hand = -1;
            void *memory = calloc(1, acre_shadow_bytes(kinds[k], capacities[i]));
            acre_shadow shadow;
            acre_shadow_init(&shadow, kinds[k], capacities[i], memory);
            for (unsigned step = 0; step < STEP_COUNT / 10; step++) {
                const unsigned key = any_key(&random, step);
                const bool is_hit = acre_shadow_access(&shadow, acre_fingerprint(key));
                if (is_hit != model_access(&m, key))
                    fail_msg("%s of %u, step %u: key %u is %s", acre_policy_name(kinds[k]), capacities[i], step, key,
                             is_hit ? "there" : "missing");
                if (step % 50 == 0) assert_true(acre_policy_is_valid(shadow.policy));
            }
            free(memory);
        }
    }
}

/* ---- any sequence of operations ---- */

typedef struct cache {
    acre_policy *policy;
    void *memory;
    uint64_t keys[CAPACITY_MAX];
    bool is_used[CAPACITY_MAX];
    acre_verdict verdicts[CAPACITY_MAX];
    unsigned used, look_count;
} cache;

static void open_cache(cache *c, acre_policy_kind kind, acre_policy_slot capacity, uint32_t effort)
{
    memset(c, 0, sizeof *c);
    const acre_policy_options options = {
        .kind = kind, .capacity = capacity, .capacity_max = CAPACITY_MAX, .keys = c->keys, .effort = effort};
    const size_t bytes = acre_policy_bytes(&options);
    c->memory = malloc(bytes);
    assert_int_equal(acre_policy_init(&c->policy, &options, c->memory, bytes), ACRE_OK);
}

static acre_verdict look(void *context, acre_policy_slot slot)
{
    cache *c = context;
    c->look_count++;
    assert_true(slot < CAPACITY_MAX && c->is_used[slot]);
    return c->verdicts[slot];
}

static acre_policy_slot evict(cache *c, acre_policy_origin origin, bool looks)
{
    const acre_policy_slot slot = acre_policy_evict(c->policy, origin, looks ? look : NULL, c);
    if (slot == ACRE_POLICY_NO_SLOT) return slot;
    assert_true(slot < CAPACITY_MAX && c->is_used[slot]);
    assert_true(!looks || c->verdicts[slot] == ACRE_EVICT);
    c->is_used[slot] = false;
    c->used--;
    return slot;
}

static acre_policy_slot find(const cache *c, uint64_t key)
{
    for (acre_policy_slot slot = 0; slot < CAPACITY_MAX; slot++)
        if (c->is_used[slot] && c->keys[slot] == key) return slot;
    return ACRE_POLICY_NO_SLOT;
}

static void admit(cache *c, uint64_t key, acre_policy_origin origin)
{
    acre_policy_slot slot = 0;
    while (c->is_used[slot]) slot++;
    c->keys[slot] = key;
    c->is_used[slot] = true;
    c->verdicts[slot] = ACRE_EVICT;
    c->used++;
    acre_policy_admit(c->policy, slot, origin);
}

static void bring(cache *c, uint64_t key)
{
    const acre_policy_origin origin = acre_policy_miss(c->policy, key);
    while (c->used >= c->policy->capacity)
        if (evict(c, origin, true) == ACRE_POLICY_NO_SLOT) return;
    admit(c, key, origin);
}

static void any_operation(cache *c, uint64_t *random, unsigned step, acre_policy_hits *mine)
{
    const uint64_t r = next_random(random);
    const acre_policy_slot slot = (acre_policy_slot)(r >> 32) % CAPACITY_MAX;
    switch (r % 16) {
    case 0:
        acre_policy_forget(c->policy, slot); /* also one that is not in use */
        c->used -= c->is_used[slot];
        c->is_used[slot] = false;
        break;
    case 1:
        c->verdicts[slot] = (acre_verdict)(r >> 16 & 3) % 3;
        break;
    case 2:
        if ((r >> 16) % 64 == 0) assert_int_equal(acre_policy_resize(c->policy, (acre_policy_slot)(1 + (r >> 24) % CAPACITY_MAX)), ACRE_OK);
        break;
    case 3:
        evict(c, 0, true);
        break;
    case 4:
        evict(c, 0, false);
        break;
    case 5:
        acre_policy_deliver(c->policy, mine);
        break;
    case 6:
        if (acre_policy_note(c->policy, slot, mine)) acre_policy_deliver(c->policy, mine);
        break;
    default: {
        const uint64_t key = any_key(random, step);
        const acre_policy_slot has = find(c, key);
        if (has == ACRE_POLICY_NO_SLOT)
            bring(c, key);
        else if (r & 16)
            acre_policy_hit(c->policy, has);
        else if (acre_policy_note(c->policy, has, mine))
            mine->count = 0; /* hits may be lost */
    }
    }
}

static void every_policy_is_valid_after_any_operation(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        uint64_t random = 77 + kind;
        cache c;
        acre_policy_hits mine = {0};
        open_cache(&c, (acre_policy_kind)kind, 24, 0);
        for (unsigned step = 0; step < STEP_COUNT; step++) {
            any_operation(&c, &random, step, &mine);
            assert_int_equal(c.policy->count, c.used);
            if (!acre_policy_is_valid(c.policy)) fail_msg("%s is not valid after step %u", acre_policy_name((acre_policy_kind)kind), step);
        }
        for (acre_policy_slot slot = 0; slot < CAPACITY_MAX; slot++) assert_int_equal(acre_policy_holds(c.policy, slot), c.is_used[slot]);
        while (c.used > 0) assert_int_not_equal(evict(&c, 0, false), ACRE_POLICY_NO_SLOT);
        assert_int_equal(acre_policy_evict(c.policy, 0, NULL, NULL), ACRE_POLICY_NO_SLOT);
        free(c.memory);
    }
}

/* Memory and keys come to lie elsewhere, as in another process that maps them; what was there is no more. */
static void move(cache *c, cache *to)
{
    const acre_policy_options made = {
        .kind = (acre_policy_kind)c->policy->kind, .capacity = c->policy->capacity, .capacity_max = CAPACITY_MAX};
    acre_policy_options options = made;
    options.keys = c->keys;
    const size_t bytes = acre_policy_bytes(&options);
    *to = *c;
    to->memory = malloc(bytes);
    memcpy(to->memory, c->memory, bytes);
    memset(c->memory, 0xee, bytes);
    free(c->memory);
    memset(c, 0xee, sizeof *c);
    options.keys = to->keys;
    to->policy = acre_policy_at(&options, to->memory);
}

static void a_policy_that_lies_elsewhere_goes_on_as_it_was(void **state)
{
    static cache still, moved[2];
    (void)state;
    for (unsigned kind = ACRE_POLICY_ADAPTIVE + 1; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        uint64_t random = kind;
        unsigned at = 0;
        open_cache(&still, (acre_policy_kind)kind, 40, 0);
        open_cache(&moved[0], (acre_policy_kind)kind, 40, 0);
        for (unsigned step = 0; step < STEP_COUNT / 8; step++) {
            const uint64_t key = next_random(&random) % (1 + next_random(&random) % KEY_COUNT);
            const acre_policy_slot slot = find(&still, key);
            if (slot != ACRE_POLICY_NO_SLOT) {
                acre_policy_hit(still.policy, slot);
                acre_policy_hit(moved[at].policy, slot);
            } else {
                bring(&still, key);
                bring(&moved[at], key);
            }
            if (step % 100 == 0) {
                move(&moved[at], &moved[!at]);
                at = !at;
            }
            assert_memory_equal(still.keys, moved[at].keys, sizeof still.keys);
        }
        assert_true(acre_policy_is_valid(moved[at].policy));
        free(still.memory);
        free(moved[at].memory);
    }
}

static void an_evict_looks_at_no_more_kept_slots_than_its_effort(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        cache c;
        open_cache(&c, (acre_policy_kind)kind, CAPACITY_MAX, 5);
        for (unsigned key = 0; key < CAPACITY_MAX; key++) bring(&c, key);
        for (unsigned i = 0; i < CAPACITY_MAX; i++) c.verdicts[i] = i % 2 == 0 ? ACRE_KEEP : ACRE_WRITE_FIRST;
        assert_int_equal(evict(&c, 0, true), ACRE_POLICY_NO_SLOT);
        assert_int_equal(c.look_count, 5);
        /* One that can go is found in the end, wherever it is. */
        for (unsigned i = 0; i < CAPACITY_MAX; i += 7) {
            unsigned tries = 0;
            acre_policy_slot slot;
            c.verdicts[i] = ACRE_EVICT;
            while ((slot = evict(&c, 0, true)) == ACRE_POLICY_NO_SLOT && tries < 100) tries++;
            if (slot != i) fail_msg("%s does not find the one slot that can go, %u", acre_policy_name((acre_policy_kind)kind), i);
        }
        free(c.memory);
    }
}

static void several_victims_come_in_the_order_of_single_ones(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        cache one, many;
        acre_policy_slot slots[CAPACITY_MAX];
        open_cache(&one, (acre_policy_kind)kind, CAPACITY_MAX, 0);
        open_cache(&many, (acre_policy_kind)kind, CAPACITY_MAX, 0);
        for (unsigned key = 0; key < 40; key++) {
            bring(&one, key);
            bring(&many, key);
        }
        assert_int_equal(acre_policy_evict_many(many.policy, slots, CAPACITY_MAX, look, &many), 40);
        for (unsigned i = 0; i < 40; i++) assert_int_equal(evict(&one, 0, true), slots[i]);
        free(one.memory);
        free(many.memory);
    }
}

static void fingerprints_do_as_well_as_keys(void **state)
{
    enum { C = 40, UPPER = 3 };
    (void)state;
    for (uint64_t key = 0; key < 100000; key++) {
        const uint64_t spread = key * 0x9e3779b97f4a7c15u;
        assert_int_equal(acre_policy_key_of(acre_policy_fingerprint_of(spread), (uint32_t)(spread >> 32)), spread);
        assert_int_equal(acre_policy_key_of(acre_policy_fingerprint_of(key), 0), key);
    }
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        uint64_t keys[C], random = kind + 1;
        uint32_t fingerprints[C];
        void *memory[2];
        acre_policy *policy[2];
        for (unsigned i = 0; i < 2; i++) {
            const acre_policy_options options = {
                .kind = (acre_policy_kind)kind, .capacity = C, .keys = i == 0 ? (void *)keys : fingerprints, .has_fingerprints = i == 1};
            const size_t bytes = acre_policy_bytes(&options);
            memory[i] = calloc(1, bytes);
            assert_int_equal(acre_policy_init(&policy[i], &options, memory[i], bytes), ACRE_OK);
        }
        for (unsigned step = 0, used = 0; step < 20000; step++) {
            const uint64_t a = next_random(&random) % 100, b = next_random(&random) % 100;
            const uint64_t key = (uint64_t)UPPER << 32 | (a < b ? a : b);
            acre_policy_slot slot = 0;
            while (slot < used && keys[slot] != key) slot++;
            for (unsigned i = 0; i < 2 && slot < used; i++) acre_policy_hit(policy[i], slot);
            if (slot < used) continue;
            const acre_policy_origin origin = acre_policy_miss(policy[0], key);
            assert_int_equal(acre_policy_miss(policy[1], key), origin);
            if (used == C) {
                slot = acre_policy_evict(policy[0], origin, NULL, NULL);
                assert_int_equal(acre_policy_evict(policy[1], origin, NULL, NULL), slot);
            } else {
                slot = used++;
            }
            keys[slot] = key;
            fingerprints[slot] = acre_policy_fingerprint_of(key);
            for (unsigned i = 0; i < 2; i++) acre_policy_admit(policy[i], slot, origin);
        }
        for (unsigned i = 0; i < 2; i++) {
            assert_true(acre_policy_is_valid(policy[i]));
            free(memory[i]);
        }
    }
}

static void bad_options_are_refused_with_their_values(void **state)
{
    uint64_t keys[8], memory[1024];
    acre_policy *policy = NULL;
    acre_policy_kind kind;
    const acre_policy_options good = {.kind = ACRE_POLICY_ARC, .capacity = 8, .keys = keys};
    acre_policy_options bad[9];
    (void)state;
    for (unsigned i = 0; i < 9; i++) bad[i] = good;
    bad[0].kind = (acre_policy_kind)ACRE_POLICY_KIND_COUNT;
    bad[1].capacity = 0;
    bad[2].capacity = ACRE_POLICY_CAPACITY_MAX + 1;
    bad[3].capacity_max = 7;
    bad[4].keys = NULL;
    bad[5].key_stride_bytes = 12;
    bad[6].keys = (const char *)keys + 4;
    bad[7].has_fingerprints = bad[8].has_fingerprints = true;
    bad[7].key_stride_bytes = 6;
    bad[8].keys = (const char *)keys + 2;
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(acre_policy_bytes(&bad[i]), 0);
        assert_int_equal(acre_policy_init(&policy, &bad[i], memory, sizeof memory), ACRE_INVALID);
        assert_null(policy);
    }
    assert_non_null(strstr(acre_last_error(), "not aligned"));
    const size_t bytes = acre_policy_bytes(&good);
    assert_in_range(bytes, 1, sizeof memory);
    assert_int_equal(acre_policy_bytes(NULL), 0);
    assert_int_equal(acre_policy_init(NULL, &good, memory, bytes), ACRE_INVALID);
    assert_int_equal(acre_policy_init(&policy, NULL, memory, bytes), ACRE_INVALID);
    assert_int_equal(acre_policy_init(&policy, &good, NULL, bytes), ACRE_INVALID);
    assert_int_equal(acre_policy_init(&policy, &good, memory, bytes - 1), ACRE_INVALID);
    assert_int_equal(acre_policy_init(&policy, &good, (char *)memory + 4, bytes), ACRE_INVALID);
    assert_null(policy);
    assert_int_equal(acre_policy_init(&policy, &good, memory, bytes), ACRE_OK);
    assert_int_equal(acre_policy_resize(policy, 0), ACRE_INVALID);
    assert_int_equal(acre_policy_resize(policy, 9), ACRE_INVALID);
    assert_int_equal(acre_policy_resize(NULL, 1), ACRE_INVALID);
    assert_int_equal(acre_policy_named("mru", &kind), ACRE_INVALID);
    assert_int_equal(acre_policy_named(NULL, &kind), ACRE_INVALID);
    assert_int_equal(acre_policy_named("lru", NULL), ACRE_INVALID);
    assert_null(acre_policy_name((acre_policy_kind)ACRE_POLICY_KIND_COUNT));
    for (unsigned i = 0; i < ACRE_POLICY_KIND_COUNT; i++) {
        assert_int_equal(acre_policy_named(acre_policy_name((acre_policy_kind)i), &kind), ACRE_OK);
        assert_int_equal(kind, i);
    }
    /* A slot twice, one that is none: left alone. */
    acre_policy_admit(policy, 3, 0);
    acre_policy_admit(policy, 3, 0);
    acre_policy_admit(policy, 8, 0);
    acre_policy_forget(policy, 5);
    acre_policy_forget(policy, 8);
    acre_policy_touch(policy, 5);
    assert_int_equal(policy->count, 1);
    assert_true(acre_policy_is_valid(policy));
}

static void a_slot_costs_what_the_header_says(void **state)
{
    static const double bytes[ACRE_POLICY_KIND_COUNT] = {46, 10, 10, 2, 20, 31, 31, 36, 10, 10, 20.5};
    enum { MANY = 100000 };
    (void)state;
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        const acre_policy_options options = {.kind = (acre_policy_kind)kind, .capacity = MANY, .keys = bytes};
        const double each = (double)acre_policy_bytes(&options) / MANY;
        print_message("%s: %.1f bytes a slot\n", acre_policy_name((acre_policy_kind)kind), each);
        assert_true(each > bytes[kind] * 0.9 && each < bytes[kind] + 0.5);
    }
}

/* ---- the adaptive one ---- */

static unsigned misses_of(acre_policy_kind kind, acre_policy_slot capacity, const unsigned *keys, unsigned count)
{
    void *memory = calloc(1, acre_shadow_bytes(kind, capacity));
    acre_shadow shadow;
    unsigned misses = 0;
    acre_shadow_init(&shadow, kind, capacity, memory);
    for (unsigned i = 0; i < count; i++) misses += !acre_shadow_access(&shadow, acre_fingerprint(keys[i]));
    assert_true(acre_policy_is_valid(shadow.policy));
    free(memory);
    return misses;
}

/* Recency, then a loop over twice as much as fits, then recency: no fixed policy is good at both. */
static void the_adaptive_policy_follows_the_phases(void **state)
{
    enum { C = 2000, PHASE = 200000, COUNT = 3 * PHASE };
    static unsigned keys[COUNT];
    uint64_t random = 5;
    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        const unsigned back = (unsigned)(next_random(&random) % C);
        keys[i] = i / PHASE == 1 ? 10000000 + i % (2 * C) : i % 3 == 0 || i < C ? i : keys[i - 1 - back % (i % PHASE + 1)];
    }
    const unsigned lru = misses_of(ACRE_POLICY_LRU, C, keys, COUNT), lirs = misses_of(ACRE_POLICY_LIRS, C, keys, COUNT),
                   adaptive = misses_of(ACRE_POLICY_ADAPTIVE, C, keys, COUNT);
    print_message("misses: lru %u, lirs %u, adaptive %u\n", lru, lirs, adaptive);
    assert_true(adaptive < lru * 0.85 && adaptive < lirs * 0.9);
}

/* ---- threads ---- */

typedef struct reader {
    cache *c;
    volatile bool *stops;
} reader;

static void *note_hits(void *argument)
{
    const reader *r = argument;
    acre_policy_hits mine = {0};
    for (unsigned i = 0; !__atomic_load_n(r->stops, __ATOMIC_RELAXED); i++)
        if (acre_policy_note(r->c->policy, (acre_policy_slot)(i % CAPACITY_MAX), &mine)) mine.count = 0;
    return NULL;
}

static void hits_are_noted_by_other_threads_while_one_evicts(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ACRE_POLICY_KIND_COUNT; kind++) {
        cache c;
        volatile bool stops = false;
        pthread_t threads[2];
        open_cache(&c, (acre_policy_kind)kind, CAPACITY_MAX, 0);
        const reader r = {&c, &stops};
        for (unsigned i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, note_hits, (void *)&r), 0);
        for (unsigned i = 0; i < 20000; i++)
            if (find(&c, i % 97) == ACRE_POLICY_NO_SLOT) bring(&c, i % 97);
        __atomic_store_n(&stops, true, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < 2; i++) pthread_join(threads[i], NULL);
        assert_true(acre_policy_is_valid(c.policy));
        free(c.memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_policies_do_as_lists_in_arrays),
        cmocka_unit_test(every_policy_is_valid_after_any_operation),
        cmocka_unit_test(a_policy_that_lies_elsewhere_goes_on_as_it_was),
        cmocka_unit_test(an_evict_looks_at_no_more_kept_slots_than_its_effort),
        cmocka_unit_test(several_victims_come_in_the_order_of_single_ones),
        cmocka_unit_test(fingerprints_do_as_well_as_keys),
        cmocka_unit_test(bad_options_are_refused_with_their_values),
        cmocka_unit_test(a_slot_costs_what_the_header_says),
        cmocka_unit_test(the_adaptive_policy_follows_the_phases),
        cmocka_unit_test(hits_are_noted_by_other_threads_while_one_evicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
