/* index.h - finds the number that a 32-bit fingerprint belongs to: chains of numbers, one on average when all are in use.
 *
 * A number has a node with its fingerprint and the next number of its chain; as many heads as nodes make 12 bytes a number. With half as
 * many, misses of lirs, arc and adaptive take a tenth to a fifth more time, since where a chain ends is not foreseen; microcontrollers
 * foresee nothing and have half as many. All operations are O(1) on average, and a look at one node takes one line of the cache.
 *
 * A fingerprint is a bijection of the lower 32 bits of a key, mixed with the upper ones; so keys below 2^32 are told apart for certain, and
 * of others one pair in 2^32 is taken for the same. */
#ifndef ACRE_POLICY_INDEX_H
#define ACRE_POLICY_INDEX_H

#include "policy/carve.h"

#include <assert.h>

typedef struct acre_index_node {
    uint32_t fingerprint;
    acre_policy_slot next; /* number + 1 of the next one of the chain; 0: it is the last */
} acre_index_node;

typedef struct acre_index {
    acre_index_node *nodes;  /* by number; the owner reads fingerprints of numbers that it has put in */
    acre_policy_slot *heads; /* number + 1; 0: the chain is empty */
    acre_policy_slot head_count;
} acre_index;

/* Mixes 32 bits; a bijection (Wellons, "Prospecting for Hash Functions", 2018). */
static inline uint32_t acre_mix32(uint32_t value)
{
    value = (value ^ value >> 16) * 0x7feb352du;
    value = (value ^ value >> 15) * 0x846ca68bu;
    return value ^ value >> 16;
}

/* The other way round: multiplications by inverses modulo 2^32, and each shift undone from the top. */
static inline uint32_t acre_unmix32(uint32_t value)
{
    value = (value ^ value >> 16) * 0x43021123u;
    value = (value ^ value >> 15 ^ value >> 30) * 0x1d69e2a5u;
    return value ^ value >> 16;
}

static inline uint32_t acre_mix_upper(uint32_t upper) { return upper == 0 ? 0 : acre_mix32(upper + 0x9e3779b9u); }

static inline uint32_t acre_fingerprint(uint64_t key) { return acre_mix32((uint32_t)key ^ acre_mix_upper((uint32_t)(key >> 32))); }

/* The key with these upper bits. */
static inline uint64_t acre_fingerprint_key(uint32_t fingerprint, uint32_t upper)
{
    return (uint64_t)upper << 32 | (acre_unmix32(fingerprint) ^ acre_mix_upper(upper));
}

/* The same where 0 means none: the one key in 2^32 that has it goes as 1. */
static inline uint32_t acre_fingerprint_word(uint32_t fingerprint) { return fingerprint == 0 ? 1 : fingerprint; }

/* For up to `count_max` of the numbers below `numbers`, in the memory of `carver`. */
static inline void acre_index_lay_out(acre_index *index, acre_carver *carver, acre_policy_slot count_max, acre_policy_slot numbers)
{
    index->head_count = (acre_policy_slot)((sizeof *index->heads < sizeof(uint32_t) ? count_max / 2 : count_max) + 1);
    index->heads = acre_carve(carver, index->head_count, sizeof *index->heads);
    index->nodes = acre_carve(carver, numbers, sizeof *index->nodes);
}

static inline acre_policy_slot *acre_index_head(const acre_index *index, uint32_t fingerprint)
{
    return index->heads + ((uint64_t)fingerprint * index->head_count >> 32);
}

/* The number of a fingerprint, or ACRE_POLICY_NO_SLOT. */
static inline acre_policy_slot acre_index_find(const acre_index *index, uint32_t fingerprint)
{
    acre_policy_slot entry = *acre_index_head(index, fingerprint);
    while (entry != 0 && index->nodes[entry - 1].fingerprint != fingerprint) entry = index->nodes[entry - 1].next;
    return (acre_policy_slot)(entry - 1);
}

/* `number`, which is not in the index, belongs to a fingerprint. */
static inline void acre_index_insert(acre_index *index, acre_policy_slot number, uint32_t fingerprint)
{
    acre_policy_slot *head = acre_index_head(index, fingerprint);
    index->nodes[number] = (acre_index_node){fingerprint, *head};
    *head = (acre_policy_slot)(number + 1);
}

/* `number`, which is in the index. */
static inline void acre_index_remove(acre_index *index, acre_policy_slot number)
{
    acre_policy_slot *place = acre_index_head(index, index->nodes[number].fingerprint);
    while (*place != number + 1) {
        assert(*place != 0);
        place = &index->nodes[*place - 1].next;
    }
    *place = index->nodes[number].next;
}

#endif
