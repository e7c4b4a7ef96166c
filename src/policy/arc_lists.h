/* arc_lists.h - what ARC and CAR share: two lists of slots, T1 for what was asked for once lately and T2 for more often; behind each what
 * has left it, B1 and B2; and the target for the length of T1, which a hit in B1 makes larger and one in B2 smaller. Invariants, with c the
 * capacity: no more than c ghosts, T1 and B1 together at most c once the cache is within its size. The target is in units of 2^-32. */
#ifndef ACRE_POLICY_ARC_LISTS_H
#define ACRE_POLICY_ARC_LISTS_H

#include "policy/ghosts.h"
#include "policy/policy.h"

enum { ACRE_ARC_T1, ACRE_ARC_T2, ACRE_ARC_B1, ACRE_ARC_B2, ACRE_ARC_LIST_COUNT };
enum { ACRE_ARC_NEW, ACRE_ARC_FROM_B1, ACRE_ARC_FROM_B2 }; /* origins */

typedef struct acre_arc_lists {
    acre_policy base;
    acre_ghosts ghosts;
    acre_policy_slot counts[ACRE_ARC_LIST_COUNT];
    uint8_t *lists; /* of a ghost: ACRE_ARC_B1 or ACRE_ARC_B2. Of a slot, policy->where has list + 1 */
    uint64_t target;
} acre_arc_lists;

#define ACRE_ARC_ONE ((uint64_t)1 << 32)

static inline acre_policy_slot acre_arc_head(const acre_arc_lists *self, unsigned list) { return acre_ghosts_head(&self->ghosts, list); }
static inline acre_policy_slot acre_arc_last(const acre_arc_lists *self, unsigned list)
{
    return acre_list_last(self->ghosts.links, acre_arc_head(self, list));
}

static inline void acre_arc_lay_out(acre_policy *policy, acre_carver *carver)
{
    acre_arc_lists *self = (acre_arc_lists *)(void *)policy;
    acre_ghosts_lay_out(&self->ghosts, carver, policy->capacity_max, policy->capacity_max, ACRE_ARC_LIST_COUNT);
    self->lists = acre_carve(carver, policy->capacity_max, 1);
}

static inline void acre_arc_init(acre_policy *policy)
{
    acre_ghosts_init(&((acre_arc_lists *)(void *)policy)->ghosts, ACRE_ARC_LIST_COUNT);
}

static inline void acre_arc_put(acre_arc_lists *self, unsigned list, acre_policy_slot slot)
{
    acre_list_push_first(self->ghosts.links, acre_arc_head(self, list), slot);
    self->base.where[slot] = (uint8_t)(list + 1);
    self->counts[list]++;
}

static inline void acre_arc_take(acre_policy *policy, acre_policy_slot slot)
{
    acre_arc_lists *self = (acre_arc_lists *)(void *)policy;
    acre_list_remove(self->ghosts.links, slot);
    self->counts[policy->where[slot] - 1]--;
    policy->where[slot] = 0;
}

static inline void acre_arc_drop(acre_arc_lists *self, acre_policy_slot node)
{
    self->counts[self->lists[node - self->ghosts.first]]--;
    acre_ghosts_drop(&self->ghosts, node);
}

/* The slot leaves T1 or T2 for the ghosts behind it. */
static inline void acre_arc_remember(acre_arc_lists *self, acre_policy_slot slot)
{
    unsigned list = self->base.where[slot] == ACRE_ARC_T1 + 1 ? ACRE_ARC_B1 : ACRE_ARC_B2;
    acre_arc_take(&self->base, slot);
    if (self->ghosts.count >= self->base.capacity)
        acre_arc_drop(self, acre_arc_last(self, self->counts[ACRE_ARC_B1] > self->counts[ACRE_ARC_B2] ? ACRE_ARC_B1 : ACRE_ARC_B2));
    acre_policy_slot node = acre_ghosts_take(&self->ghosts, acre_policy_fingerprint(&self->base, slot));
    self->lists[node - self->ghosts.first] = (uint8_t)list;
    acre_list_push_first(self->ghosts.links, acre_arc_head(self, list), node);
    self->counts[list]++;
}

/* Changes the target after a hit in B1 or B2, when they had so many ghosts. */
static inline void acre_arc_adapt(acre_arc_lists *self, acre_policy_origin origin, acre_policy_slot b1_count, acre_policy_slot b2_count)
{
    uint64_t most = self->base.capacity * ACRE_ARC_ONE;
    if (origin == ACRE_ARC_FROM_B1) {
        uint64_t step = b2_count > b1_count ? b2_count * ACRE_ARC_ONE / b1_count : ACRE_ARC_ONE;
        self->target = self->target + step > most ? most : self->target + step;
    } else if (origin == ACRE_ARC_FROM_B2) {
        uint64_t step = b1_count > b2_count ? b1_count * ACRE_ARC_ONE / b2_count : ACRE_ARC_ONE;
        self->target = self->target > step ? self->target - step : 0;
    }
}

/* Which ghosts a key was among; it is there no longer. */
static inline acre_policy_origin acre_arc_recall(acre_arc_lists *self, uint32_t fingerprint)
{
    acre_policy_slot node = acre_ghosts_find(&self->ghosts, fingerprint);
    if (node == ACRE_POLICY_NO_SLOT) return ACRE_ARC_NEW;
    acre_policy_origin origin = self->lists[node - self->ghosts.first] == ACRE_ARC_B1 ? ACRE_ARC_FROM_B1 : ACRE_ARC_FROM_B2;
    acre_arc_drop(self, node);
    return origin;
}

static inline void acre_arc_admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    acre_arc_lists *self = (acre_arc_lists *)(void *)policy;
    acre_arc_put(self, origin == ACRE_ARC_NEW ? ACRE_ARC_T1 : ACRE_ARC_T2, slot);
    while (self->counts[ACRE_ARC_B1] > 0 && self->counts[ACRE_ARC_T1] + self->counts[ACRE_ARC_B1] > policy->capacity)
        acre_arc_drop(self, acre_arc_last(self, ACRE_ARC_B1));
}

static inline void acre_arc_resize(acre_policy *policy)
{
    acre_arc_lists *self = (acre_arc_lists *)(void *)policy;
    uint64_t most = policy->capacity * ACRE_ARC_ONE;
    self->target = self->target > most ? most : self->target;
    while (self->ghosts.count > policy->capacity)
        acre_arc_drop(self, acre_arc_last(self, self->counts[ACRE_ARC_B1] > self->counts[ACRE_ARC_B2] ? ACRE_ARC_B1 : ACRE_ARC_B2));
    while (self->counts[ACRE_ARC_B1] > 0 && self->counts[ACRE_ARC_T1] + self->counts[ACRE_ARC_B1] > policy->capacity)
        acre_arc_drop(self, acre_arc_last(self, ACRE_ARC_B1));
}

static inline bool acre_arc_is_valid(const acre_policy *policy)
{
    const acre_arc_lists *self = (const acre_arc_lists *)(const void *)policy;
    for (unsigned list = 0; list < ACRE_ARC_LIST_COUNT; list++) {
        if (acre_list_count(self->ghosts.links, acre_arc_head(self, list), policy->capacity_max) != self->counts[list]) return false;
    }
    return self->counts[ACRE_ARC_T1] + self->counts[ACRE_ARC_T2] == policy->count &&
           self->counts[ACRE_ARC_B1] + self->counts[ACRE_ARC_B2] == self->ghosts.count && self->ghosts.count <= policy->capacity &&
           acre_ghosts_are_valid(&self->ghosts) && self->target <= policy->capacity * ACRE_ARC_ONE;
}

#endif
