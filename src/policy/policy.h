/* policy.h - what each kind of replacement policy is behind the gate in policy.c.
 *
 * A kind is a struct that begins with an acre_policy, and a table of operations. The gate has checked the arguments: slots are below
 * capacity_max, touch, forget and evict come for slots in use, admit for others. policy->where has a byte a slot: 0 when it is not in use,
 * else what its kind wants to know of it, below ACRE_POLICY_GONE; a kind that has `holds` keeps that elsewhere. The gate counts the slots
 * in use. */
#ifndef ACRE_POLICY_POLICY_H
#define ACRE_POLICY_POLICY_H

#include "policy/carve.h"
#include "policy/index.h"

#define ACRE_POLICY_GONE             0x80u /* in where: not in use, but a queue still has the slot */
#define ACRE_POLICY_STRUCT_BYTES_MAX 640

typedef struct acre_policy_operations {
    size_t struct_bytes;
    bool needs_keys;
    uint8_t hit_limit;
    /* Takes the memory of the arrays for capacity_max slots; options are in the policy. Called twice: once to count. */
    void (*lay_out)(acre_policy *policy, acre_carver *carver);
    void (*init)(acre_policy *policy); /* memory is all zero */
    void (*touch)(acre_policy *policy, acre_policy_slot slot);
    acre_policy_origin (*miss)(acre_policy *policy, uint32_t fingerprint);
    acre_policy_slot (*evict)(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context);
    void (*admit)(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin);
    void (*forget)(acre_policy *policy, acre_policy_slot slot);
    void (*resize)(acre_policy *policy);                             /* capacity is the new one */
    bool (*holds)(const acre_policy *policy, acre_policy_slot slot); /* NULL: policy->where tells it */
    bool (*is_valid)(const acre_policy *policy);
} acre_policy_operations;

extern const acre_policy_operations acre_policy_fifo, acre_policy_lru, acre_policy_clock, acre_policy_two_queue, acre_policy_arc,
    acre_policy_car, acre_policy_lirs, acre_policy_s3_fifo, acre_policy_sieve, acre_policy_w_tinylfu, acre_policy_adaptive;

static inline uint32_t acre_policy_fingerprint(const acre_policy *policy, acre_policy_slot slot)
{
    const unsigned char *key = policy->keys + slot * policy->key_stride_bytes;
    if (policy->has_fingerprints) return *(const uint32_t *)(const void *)key;
    return acre_fingerprint(*(const uint64_t *)(const void *)key);
}

/* Whether a slot below capacity_max is in use. */
static inline bool acre_policy_is_used(const acre_policy *policy, acre_policy_slot slot)
{
    if (policy->where == NULL) return policy->operations->holds(policy, slot);
    return (uint8_t)(policy->where[slot] - 1) < ACRE_POLICY_GONE - 1;
}

static inline uint8_t acre_policy_hits_of(const acre_policy *policy, acre_policy_slot slot)
{
    return (uint8_t)(__atomic_load_n(policy->hits + slot, __ATOMIC_RELAXED) & ~ACRE_POLICY_NOTED);
}

static inline void acre_policy_set_hits(acre_policy *policy, acre_policy_slot slot, unsigned hits)
{
    __atomic_store_n(policy->hits + slot, (uint8_t)hits, __ATOMIC_RELAXED);
}

/* Whether the cache gives the slot up. One that it keeps is counted in `*kept`. */
static inline bool acre_policy_may_take(acre_policy_look *look, void *context, acre_policy_slot slot, uint32_t *kept)
{
    if (look == NULL || look(context, slot) == ACRE_EVICT) return true;
    ++*kept;
    return false;
}

/* Whether so many slots were kept that the search ends: as many as the caller allows, or all, as often as others may be passed over that
 * are not. */
static inline bool acre_policy_gives_up(const acre_policy *policy, uint32_t kept)
{
    return kept >= policy->effort || kept >= (policy->hit_limit + 4u) * policy->count;
}

/* How many of `count` slots that would go first may turn out kept before a policy takes one that it would rather not. */
static inline uint32_t acre_policy_patience(const acre_policy *policy, acre_policy_slot count)
{
    uint32_t half = policy->effort / 2;
    return count < half ? count : half;
}

/* A policy that is part of another one, in the memory of `carver`, which is all zero; NULL if that only counts. `hits`: the bytes of the
 * other policy, if it is over the same slots, else NULL. The options are valid. */
acre_policy *acre_policy_carve(const acre_policy_options *options, acre_carver *carver, uint8_t *hits);

/* A policy whose memory has come to lie at another address, `memory`, as has the code, or the keys: it goes on as it was. The options are
 * those that it was made with, but for the keys. For kinds that have no other policy within: all but adaptive. */
acre_policy *acre_policy_at(const acre_policy_options *options, void *memory);

#endif
