/* Proofs of alloc/pool.c: what one call does, from any valid pool, while nobody else uses it. That no other call can come in between two
 * of its steps and do harm is the model proofs/spin/pool.pml. */
#include "../proof.h"
#include "base/bits.h"
#include "alloc/pool.c"

enum { WORD_COUNT_MAX = 2, SLOT_BYTES = 8 };

static acre_word words[WORD_COUNT_MAX];
static acre_pool pool;
static acre_pool before;
static acre_word words_before[WORD_COUNT_MAX];

acre_status acre_fail(acre_status status, const char *format, ...) { return status; }

/* Any valid pool of at most WORD_COUNT_MAX far words; slots lie anywhere where they end below the end of the address space. */
static void any_pool(acre_word slot_bytes)
{
    pool = (acre_pool){.first = nondet_word(),
                       .summary = nondet_word(),
                       .handed_out = {nondet_word(), nondet_word()},
                       .count = {nondet_word(), nondet_word()},
                       .words = words,
                       .base = nondet_word(),
                       .slot_bytes = slot_bytes,
                       .inverse = ACRE_POOL_INVERSE(ACRE_POOL_ODD(slot_bytes)),
                       .shift = ACRE_POOL_SHIFT(ACRE_POOL_EVEN(slot_bytes)),
                       .failed_count = nondet_word(),
                       .refused_count = nondet_word(),
                       .freed_count = nondet_word()};
    assume(pool.count[FAR] <= WORD_COUNT_MAX * ACRE_WORD_BITS);
    assume(pool.base <= ACRE_WORD_ALL - (WORD_COUNT_MAX + 1) * ACRE_WORD_BITS * slot_bytes);
    for (unsigned i = 0; i < WORD_COUNT_MAX; i++) words_before[i] = words[i] = nondet_word();
    assume(acre_pool_is_valid(&pool));
    before = pool;
}

static acre_word free_before(acre_word at) { return at == 0 ? before.first : words_before[at - 1]; }

static bool is_free(acre_word index) { return (free_in(&pool, index / ACRE_WORD_BITS) & LEADING >> index % ACRE_WORD_BITS) != 0; }
static bool was_free(acre_word index) { return (free_before(index / ACRE_WORD_BITS) & LEADING >> index % ACRE_WORD_BITS) != 0; }
static bool is_new(acre_word index)
{
    return index < ACRE_WORD_BITS ? index >= pool.handed_out[NEAR] : index - ACRE_WORD_BITS >= pool.handed_out[FAR];
}
static bool was_new(acre_word index)
{
    return index < ACRE_WORD_BITS ? index >= before.handed_out[NEAR] : index - ACRE_WORD_BITS >= before.handed_out[FAR];
}

static acre_word any_slot(void)
{
    const acre_word index = nondet_word();
    assume(index < pool.count[NEAR] + pool.count[FAR]);
    return index;
}

static void assert_same(acre_word index) { assert(is_free(index) == was_free(index) && is_new(index) == was_new(index)); }

/* What every way of getting a slot promises; `slot` is what it gave. */
static void assert_taken(void *slot)
{
    const acre_word other = any_slot();
    assert(acre_pool_is_valid(&pool));
    if (slot == NULL) {
        assert(!was_free(other) && !was_new(other)); /* so all are out */
        assert_same(other);
        return;
    }
    const acre_word distance = (uintptr_t)slot - pool.base;
    assert(distance % SLOT_BYTES == 0);
    const acre_word index = distance / SLOT_BYTES;
    assert(index < pool.count[NEAR] + pool.count[FAR]);
    assert(was_free(index) || was_new(index)); /* it was nobody's */
    assert(!is_free(index) && !is_new(index));
    if (other != index) assert_same(other);
    if (was_new(index)) assert(!was_free(other)); /* new ones only when none came back */
    if (was_free(other) && other / ACRE_WORD_BITS == index / ACRE_WORD_BITS) assert(index <= other); /* the lowest of its word */
}

static bool has_near_slot(void) { return pool.first != 0 || pool.handed_out[NEAR] < pool.count[NEAR]; }

/* PROOF pool_alloc_near
 *   property: where there is a near slot that is free or new, an alloc gives one, a free one before a new one, and changes no other
 *   bound:    pools of up to 192 slots, of 8 bytes (pool_index has others)
 *   assumes:  nobody else uses the pool (pool_protocol)
 *   options:  --unwind 4
 */
void prove_pool_alloc_near(void)
{
    any_pool(SLOT_BYTES);
    assume(has_near_slot());
    void *const slot = acre_pool_alloc(&pool);
    assert(slot != NULL && ((uintptr_t)slot - pool.base) / SLOT_BYTES < ACRE_WORD_BITS);
    assert_taken(slot);
}

/* PROOF pool_alloc_far
 *   property: where all near slots are out, an alloc gives a far one, a free one before a new one, and changes no other; and NULL only when
 *             all are out
 *   bound:    pools of up to 192 slots, of 8 bytes (pool_index has others)
 *   assumes:  nobody else uses the pool (pool_protocol)
 *   options:  --unwind 4 --unwindset alloc_slowly.0:1
 */
void prove_pool_alloc_far(void)
{
    any_pool(SLOT_BYTES);
    assume(!has_near_slot());
    assert_taken(acre_pool_alloc(&pool));
}

/* PROOF pool_try
 *   property: a try does what an alloc does; alone it is never busy, and it says that there is no memory exactly when it gives NULL
 *   bound:    pools of up to 192 slots, of 8 bytes (pool_index has others)
 *   assumes:  nobody else uses the pool (pool_protocol)
 *   options:  --unwind 4
 */
void prove_pool_try(void)
{
    void *slot = &pool;
    any_pool(SLOT_BYTES);
    const acre_status status = acre_pool_try(&pool, &slot);
    assert(status == (slot != NULL ? ACRE_OK : ACRE_NO_MEMORY));
    assert_taken(slot);
}

static void assert_index(acre_word slot_bytes)
{
    const acre_word distance = nondet_word();
    const acre_word other = nondet_word();
    pool.base = 4096;
    pool.inverse = ACRE_POOL_INVERSE(ACRE_POOL_ODD(slot_bytes));
    pool.shift = ACRE_POOL_SHIFT(ACRE_POOL_EVEN(slot_bytes));
    const acre_word index = index_of(&pool, (const void *)(pool.base + distance));
    if (index < ACRE_POOL_COUNT_MAX) assert(distance == index * slot_bytes);
    assume(other < ACRE_POOL_COUNT_MAX && distance == other * slot_bytes);
    assert(index == other);
}

/* PROOF pool_index
 *   property: the index of an address is that of the slot that begins there, and no index of a slot for any other address
 *   bound:    every distance of address and pool, on which alone it depends; slots of 1, 24 and 40 bytes
 *   assumes:  nothing
 */
void prove_pool_index(void)
{
    switch (nondet_unsigned() % 3) {
    case 0: assert_index(1); break;
    case 1: assert_index(24); break;
    default: assert_index(40); break;
    }
}

/* PROOF pool_free
 *   property: a free of a slot that is out makes it free and changes no other one; a free of anything else is refused and changes nothing
 *   bound:    every address; pools of up to 192 slots, of 8 bytes
 *   assumes:  nobody else uses the pool (pool_protocol); an address has the index of its slot (pool_index)
 *   options:  --unwind 4
 */
void prove_pool_free(void)
{
    any_pool(SLOT_BYTES);
    const uintptr_t address = nondet_word();
    const acre_word distance = address - pool.base;
    const acre_word index = distance / SLOT_BYTES;
    const bool is_slot = distance % SLOT_BYTES == 0 && index < pool.count[NEAR] + pool.count[FAR];
    const bool is_out = is_slot && !was_free(index) && !was_new(index);
    const acre_word other = any_slot();

    const acre_status status = acre_pool_free(&pool, (void *)address);
    assert(acre_pool_is_valid(&pool));
    assert(status == (is_out || address == 0 ? ACRE_OK : ACRE_BAD_POINTER));
    if (is_out) assert(is_free(index));
    if (!is_out || other != index) assert_same(other);
    assert(pool.refused_count == before.refused_count + (status == ACRE_BAD_POINTER));
}
