/* index.h - finds the number that a 32-bit fingerprint belongs to: open addressing in an array of any size.
 *
 * The fingerprints themselves are in an array of the owner's, by number; the table has the numbers alone, each with as many bits of its
 * fingerprint as are left over, so that a probe that finds another entry seldom looks at the owner's array. An entry lies at or behind
 * the place that its fingerprint says (linear probing), and no empty place is in between: a removal moves what follows back. The table
 * is at most 2/3 full, which makes 1.5 looks for an entry that is there and 5 for one that is not, on average.
 *
 * A fingerprint is a bijection of the lower 32 bits of a key, mixed with the upper ones; so keys below 2^32 are told apart for certain, and
 * of others one pair in 2^32 is taken for the same. */
#ifndef ACRE_POLICY_INDEX_H
#define ACRE_POLICY_INDEX_H

#include "policy/carve.h"

#include <assert.h>

typedef struct acre_index {
    acre_policy_slot *table; /* number + 1, and above `mask` bits of the fingerprint; 0: empty */
    const uint32_t *fingerprints;
    acre_policy_slot size; /* places */
    acre_policy_slot mask; /* of number + 1 */
} acre_index;

/* Mixes 32 bits; a bijection (Wellons, "Prospecting for Hash Functions", 2018). */
static inline uint32_t acre_mix32(uint32_t value)
{
    value = (value ^ value >> 16) * 0x7feb352du;
    value = (value ^ value >> 15) * 0x846ca68bu;
    return value ^ value >> 16;
}

static inline uint32_t acre_fingerprint(uint64_t key)
{
    uint32_t upper = (uint32_t)(key >> 32);
    return acre_mix32((uint32_t)key ^ (upper == 0 ? 0 : acre_mix32(upper + 0x9e3779b9u)));
}

static inline acre_policy_slot acre_index_size(acre_policy_slot count_max)
{
    return (acre_policy_slot)(count_max + count_max / 2 + 2);
}

/* For up to `count_max` numbers below `numbers`, in the memory of `carver`. */
static inline void acre_index_lay_out(acre_index *index, acre_carver *carver, acre_policy_slot count_max, acre_policy_slot numbers)
{
    index->size = acre_index_size(count_max);
    index->table = acre_carve(carver, index->size, sizeof *index->table);
    index->mask = 1;
    while (index->mask < numbers)
        index->mask = (acre_policy_slot)(index->mask * 2 + 1);
}

static inline acre_policy_slot acre_index_home(const acre_index *index, uint32_t fingerprint)
{
    return (acre_policy_slot)((uint64_t)fingerprint * index->size >> 32);
}

static inline acre_policy_slot acre_index_after(const acre_index *index, acre_policy_slot place)
{
    return (acre_policy_slot)(place + 1 == index->size ? 0 : place + 1);
}

static inline acre_policy_slot acre_index_entry(const acre_index *index, uint32_t fingerprint, acre_policy_slot number)
{
    return (acre_policy_slot)(((acre_policy_slot)fingerprint & (acre_policy_slot)~index->mask) | (acre_policy_slot)(number + 1));
}

/* The number of a fingerprint, or ACRE_POLICY_NO_SLOT. */
static inline acre_policy_slot acre_index_find(const acre_index *index, uint32_t fingerprint)
{
    for (acre_policy_slot place = acre_index_home(index, fingerprint);; place = acre_index_after(index, place)) {
        acre_policy_slot entry = index->table[place];
        if (entry == 0)
            return ACRE_POLICY_NO_SLOT;
        if (((entry ^ (acre_policy_slot)fingerprint) & (acre_policy_slot)~index->mask) == 0) {
            acre_policy_slot number = (acre_policy_slot)((entry & index->mask) - 1);
            if (index->fingerprints[number] == fingerprint)
                return number;
        }
    }
}

/* `number`, whose fingerprint the owner has written, and which is not in the table. */
static inline void acre_index_insert(acre_index *index, acre_policy_slot number)
{
    uint32_t fingerprint = index->fingerprints[number];
    acre_policy_slot place = acre_index_home(index, fingerprint);
    while (index->table[place] != 0)
        place = acre_index_after(index, place);
    index->table[place] = acre_index_entry(index, fingerprint, number);
}

/* `number`, which is in the table. */
static inline void acre_index_remove(acre_index *index, acre_policy_slot number)
{
    uint32_t fingerprint = index->fingerprints[number];
    acre_policy_slot wanted = acre_index_entry(index, fingerprint, number), hole = acre_index_home(index, fingerprint);
    while (index->table[hole] != wanted) {
        assert(index->table[hole] != 0);
        hole = acre_index_after(index, hole);
    }
    for (acre_policy_slot place = acre_index_after(index, hole);; place = acre_index_after(index, place)) {
        acre_policy_slot entry = index->table[place];
        if (entry == 0)
            break;
        /* It may move to the hole if its home is not between there and here. */
        acre_policy_slot home = acre_index_home(index, index->fingerprints[(entry & index->mask) - 1]);
        if (hole <= place ? home <= hole || home > place : home <= hole && home > place) {
            index->table[hole] = entry;
            hole = place;
        }
    }
    index->table[hole] = 0;
}

#endif
