/* Proofs of policy/ghost_ring.h: from any ring, holes and all, one operation leaves the youngest keys in their order, each of which is
 * found. */
#include "../proof.h"
#include "policy/ghost_ring.h"

enum { COUNT_MAX = 3, PLACE_COUNT = COUNT_MAX + 1, KEYS = 8 };

static acre_index_node nodes[PLACE_COUNT];
static acre_policy_slot heads[1];
static acre_ghost_ring ring = {.index = {nodes, heads, 1}, .size = PLACE_COUNT};
static uint32_t before[PLACE_COUNT + 1]; /* keys from the oldest on */
static unsigned before_count;

/* The keys that are in the ring, from the oldest on; each is found where it is. */
static unsigned read_keys(uint32_t *keys)
{
    unsigned count = 0;
    acre_policy_slot place = acre_ghost_ring_oldest(&ring);
    for (unsigned i = 0; i < PLACE_COUNT && i < ring.length; i++, place = acre_ghost_ring_after(&ring, place)) {
        if (nodes[place].fingerprint == 0) continue;
        assert(acre_index_find(&ring.index, nodes[place].fingerprint) == place);
        keys[count++] = nodes[place].fingerprint;
    }
    return count;
}

/* Any length, any place of its end, holes anywhere, keys that differ. */
static void any_ring(void)
{
    ring.length = nondet_u32();
    ring.newest = nondet_u32();
    assume(ring.length <= PLACE_COUNT && ring.newest < PLACE_COUNT);
    acre_policy_slot place = acre_ghost_ring_oldest(&ring);
    for (unsigned i = 0; i < PLACE_COUNT; i++, place = acre_ghost_ring_after(&ring, place)) {
        nodes[place] = (acre_index_node){nondet_u32(), nondet_u32()}; /* what is left there from earlier times, beyond its end */
        if (i >= ring.length || (nondet_bool() && (nodes[place].fingerprint = 0, true))) continue;
        assume(nodes[place].fingerprint != 0 && nodes[place].fingerprint < KEYS && ring.count < COUNT_MAX);
        for (unsigned k = 0; k < ring.count; k++) assume(before[k] != nodes[place].fingerprint);
        before[ring.count++] = nodes[place].fingerprint;
        acre_index_insert(&ring.index, place, nodes[place].fingerprint);
    }
    before_count = ring.count;
}

/* What is left are `count` keys: those before from `first` on, but for one that was taken, and then perhaps a new one. */
static void assert_keys(unsigned first, uint32_t taken, uint32_t pushed)
{
    uint32_t keys[PLACE_COUNT];
    const unsigned count = read_keys(keys);
    unsigned at = 0;
    for (unsigned i = 0; i < first; i++) assert(acre_index_find(&ring.index, before[i]) == ACRE_POLICY_NO_SLOT);
    for (unsigned i = first; i < before_count; i++) {
        if (before[i] == taken) continue;
        assert(at < count && keys[at] == before[i]);
        at++;
    }
    if (pushed != 0) {
        assert(at < count && keys[at] == pushed);
        at++;
    }
    assert(at == count && count == ring.count && ring.length <= ring.size && ring.newest < ring.size);
}

/* PROOF ghost_ring_push
 *   property: a new key is the youngest, and of the others the youngest stay in their order, as many as are wanted
 *   bound:    up to 3 keys in 4 places, any holes, 1 chain
 *   assumes:  keys differ, and are below 8: with one chain they are only compared
 *   options:  --unwind 6
 */
void prove_ghost_ring_push(void)
{
    any_ring();
    const uint32_t pushed = nondet_u32();
    const unsigned count_max = nondet_unsigned();
    assume(pushed != 0 && pushed < KEYS && count_max >= 1 && count_max <= COUNT_MAX);
    for (unsigned i = 0; i < before_count; i++) assume(before[i] != pushed);
    acre_ghost_ring_push(&ring, pushed, count_max);
    assert_keys(before_count > count_max - 1 ? before_count - (count_max - 1) : 0, 0, pushed);
}

/* PROOF ghost_ring_take
 *   property: a key is there just if it was remembered, is not afterwards, and all others are, in their order
 *   bound:    up to 3 keys in 4 places, any holes, 1 chain
 *   assumes:  keys differ, and are below 8: with one chain they are only compared
 *   options:  --unwind 6
 */
void prove_ghost_ring_take(void)
{
    any_ring();
    const uint32_t taken = nondet_u32();
    bool was_in = false;
    assume(taken != 0 && taken < KEYS);
    for (unsigned i = 0; i < before_count; i++) was_in |= before[i] == taken;
    assert(acre_ghost_ring_take(&ring, taken) == was_in);
    assert(acre_index_find(&ring.index, taken) == ACRE_POLICY_NO_SLOT);
    assert_keys(0, taken, 0);
}

/* PROOF ghost_ring_trim
 *   property: as many as are wanted stay, the youngest
 *   bound:    up to 3 keys in 4 places, any holes, 1 chain
 *   assumes:  keys differ, and are below 8: with one chain they are only compared
 *   options:  --unwind 6
 */
void prove_ghost_ring_trim(void)
{
    any_ring();
    const unsigned count_max = nondet_unsigned();
    acre_ghost_ring_trim(&ring, count_max);
    assert_keys(before_count > count_max ? before_count - count_max : 0, 0, 0);
}
