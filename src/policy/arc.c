/* arc.c - ARC: T1 and T2 are LRU lists. */
#include "policy/arc_lists.h"

static void touch(acre_policy *policy, acre_policy_slot slot)
{
    acre_arc_lists *self = (acre_arc_lists *)(void *)policy;
    if (policy->where[slot] == ACRE_ARC_T2 + 1) {
        acre_list_move_first(self->ghosts.links, acre_arc_head(self, ACRE_ARC_T2), slot);
    } else {
        acre_arc_take(policy, slot);
        acre_arc_put(self, ACRE_ARC_T2, slot);
    }
}

static acre_policy_origin miss(acre_policy *policy, uint32_t fingerprint)
{
    acre_arc_lists *self = (acre_arc_lists *)(void *)policy;
    acre_policy_slot b1_count = self->counts[ACRE_ARC_B1], b2_count = self->counts[ACRE_ARC_B2];
    acre_policy_origin origin = acre_arc_recall(self, fingerprint);
    acre_arc_adapt(self, origin, b1_count, b2_count);
    return origin;
}

/* Whether T1 gives the next victim: the paper's REPLACE. */
static bool is_t1_next(const acre_arc_lists *self, acre_policy_origin origin)
{
    uint64_t length = self->counts[ACRE_ARC_T1] * ACRE_ARC_ONE;
    if (self->counts[ACRE_ARC_T1] == 0 || self->counts[ACRE_ARC_T2] == 0) return self->counts[ACRE_ARC_T1] != 0;
    return length > self->target || (origin == ACRE_ARC_FROM_B2 && length == self->target);
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    acre_arc_lists *self = (acre_arc_lists *)(void *)policy;
    bool forgets = false;
    if (origin == ACRE_ARC_NEW && self->counts[ACRE_ARC_T1] + self->counts[ACRE_ARC_B1] >= policy->capacity) {
        if (self->counts[ACRE_ARC_B1] > 0)
            acre_arc_drop(self, acre_arc_last(self, ACRE_ARC_B1));
        else
            forgets = true; /* T1 is the whole cache: its oldest leaves without a trace */
    } else if (origin == ACRE_ARC_NEW && policy->count + self->ghosts.count >= 2 * policy->capacity && self->counts[ACRE_ARC_B2] > 0) {
        acre_arc_drop(self, acre_arc_last(self, ACRE_ARC_B2));
    }
    for (uint32_t kept = 0; !acre_policy_gives_up(policy, kept);) {
        bool from_t1 = is_t1_next(self, origin);
        acre_policy_slot length = self->counts[from_t1 ? ACRE_ARC_T1 : ACRE_ARC_T2];
        if (kept >= acre_policy_patience(policy, length) && kept > 0 && length != policy->count) from_t1 = !from_t1;
        unsigned list = from_t1 ? ACRE_ARC_T1 : ACRE_ARC_T2;
        acre_policy_slot slot = acre_arc_last(self, list);
        if (acre_policy_may_take(look, context, slot, &kept)) {
            if (forgets)
                acre_arc_take(policy, slot);
            else
                acre_arc_remember(self, slot);
            return slot;
        }
        acre_list_move_first(self->ghosts.links, acre_arc_head(self, list), slot);
    }
    return ACRE_POLICY_NO_SLOT;
}

const acre_policy_operations acre_policy_arc = {.struct_bytes = sizeof(acre_arc_lists),
                                                .needs_keys = true,
                                                .lay_out = acre_arc_lay_out,
                                                .init = acre_arc_init,
                                                .touch = touch,
                                                .miss = miss,
                                                .evict = evict,
                                                .admit = acre_arc_admit,
                                                .forget = acre_arc_take,
                                                .resize = acre_arc_resize,
                                                .is_valid = acre_arc_is_valid};
