/* shadow.h - a cache without entries: a policy over slots that hold nothing but fingerprints of keys, to learn what a policy would keep.
 *
 * Made of memory of the caller, of acre_shadow_bytes bytes. acre_shadow_access is O(1) amortised. */
#ifndef ACRE_POLICY_SHADOW_H
#define ACRE_POLICY_SHADOW_H

#include "policy/policy.h"

typedef struct acre_shadow {
    acre_policy *policy;
    acre_index index;      /* of slots */
    acre_policy_slot used; /* slots that have been in use */
    acre_policy_slot gave; /* the slot that the last miss took from another key, or ACRE_POLICY_NO_SLOT */
} acre_shadow;

static inline void acre_shadow_lay_out(acre_shadow *shadow, acre_carver *carver, acre_policy_kind kind, acre_policy_slot capacity)
{
    *shadow = (acre_shadow){.used = 0, .gave = ACRE_POLICY_NO_SLOT};
    acre_index_lay_out(&shadow->index, carver, capacity, capacity);
    acre_policy_options options = {.kind = kind,
                                   .capacity = capacity,
                                   .keys = shadow->index.nodes,
                                   .has_fingerprints = true,
                                   .key_stride_bytes = sizeof *shadow->index.nodes};
    shadow->policy = acre_policy_carve(&options, carver, NULL);
}

static inline size_t acre_shadow_bytes(acre_policy_kind kind, acre_policy_slot capacity)
{
    acre_carver carver = {NULL, 0};
    acre_shadow shadow;
    acre_shadow_lay_out(&shadow, &carver, kind, capacity);
    return carver.used_bytes;
}

/* In `memory`, aligned to 8 and all zero. */
static inline void acre_shadow_init(acre_shadow *shadow, acre_policy_kind kind, acre_policy_slot capacity, void *memory)
{
    acre_carver carver = {memory, 0};
    acre_shadow_lay_out(shadow, &carver, kind, capacity);
}

/* The slot of a key, or ACRE_POLICY_NO_SLOT. */
static inline acre_policy_slot acre_shadow_find(const acre_shadow *shadow, uint32_t fingerprint)
{
    return acre_index_find(&shadow->index, fingerprint);
}

/* The key is asked for and found in no slot: it is in one afterwards. */
static inline acre_policy_slot acre_shadow_bring(acre_shadow *shadow, uint32_t fingerprint)
{
    acre_policy *policy = shadow->policy;
    const acre_policy_operations *operations = policy->operations;
    acre_policy_origin origin = operations->miss == NULL ? 0 : operations->miss(policy, fingerprint);
    acre_policy_slot slot = shadow->used;
    if (policy->count < policy->capacity && slot < policy->capacity) {
        shadow->used++;
    } else {
        slot = acre_policy_evict(policy, origin, NULL, NULL);
        acre_index_remove(&shadow->index, slot);
        shadow->gave = slot;
    }
    acre_index_insert(&shadow->index, slot, fingerprint);
    acre_policy_admit(policy, slot, origin);
    return slot;
}

/* A use of a key; true when it was there. */
static inline bool acre_shadow_access(acre_shadow *shadow, uint32_t fingerprint)
{
    acre_policy_slot slot = acre_shadow_find(shadow, fingerprint);
    if (slot != ACRE_POLICY_NO_SLOT) {
        acre_policy_hit(shadow->policy, slot);
        return true;
    }
    (void)acre_shadow_bring(shadow, fingerprint);
    return false;
}

#endif
