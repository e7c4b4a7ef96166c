/* car.c - CAR: ARC's lists as clocks, so that a hit sets a byte. A slot of T1 that was used goes to T2, one of T2 goes round again. */
#include "policy/arc_lists.h"

static void touch(acre_policy *policy, acre_policy_slot slot) { acre_policy_set_hits(policy, slot, 1); }

static acre_policy_origin miss(acre_policy *policy, uint32_t fingerprint)
{
    return acre_arc_recall((acre_arc_lists *)(void *)policy, fingerprint);
}

/* A ghost goes for a new key when there are too many: one of B1 when T1 and B1 have all of the capacity, else one of B2. The paper does so
 * after the victim has become a ghost, which changes neither sum; false: that would be the one that goes. */
static bool make_room(acre_arc_lists *self)
{
    const uint32_t b1_count = self->counts[ACRE_ARC_B1], b2_count = self->counts[ACRE_ARC_B2];
    if (self->counts[ACRE_ARC_T1] + b1_count >= self->base.capacity) {
        if (b1_count == 0) return false;
        acre_arc_drop(self, acre_arc_last(self, ACRE_ARC_B1));
    } else if (b1_count + b2_count >= self->base.capacity) {
        acre_arc_drop(self, acre_arc_last(self, b2_count > 0 ? ACRE_ARC_B2 : ACRE_ARC_B1));
    }
    return true;
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    acre_arc_lists *self = (acre_arc_lists *)(void *)policy;
    for (uint32_t kept = 0; !acre_policy_gives_up(policy, kept);) {
        acre_policy_slot t1_count = self->counts[ACRE_ARC_T1];
        acre_policy_slot t2_count = self->counts[ACRE_ARC_T2];
        /* When those of T2 are kept, T1 has its turn all the same. */
        bool from_t1 = t1_count > 0 && (t1_count * ACRE_ARC_ONE >= self->target || kept >= acre_policy_patience(policy, t2_count));
        acre_policy_slot slot = acre_arc_last(self, from_t1 ? ACRE_ARC_T1 : ACRE_ARC_T2);
        bool was_used = acre_policy_hits_of(policy, slot) != 0;
        if (!was_used && acre_policy_may_take(look, context, slot, &kept)) {
            if (origin == ACRE_ARC_NEW && !make_room(self))
                acre_arc_take(policy, slot);
            else
                acre_arc_remember(self, slot);
            return slot;
        }
        acre_policy_set_hits(policy, slot, 0);
        acre_arc_take(policy, slot);
        acre_arc_put(self, ACRE_ARC_T2, slot);
    }
    return ACRE_POLICY_NO_SLOT;
}

/* The paper changes the target after the victim is gone; the key's own ghost still counts. */
static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    acre_arc_lists *self = (acre_arc_lists *)(void *)policy;
    acre_arc_adapt(self, origin, (acre_policy_slot)(self->counts[ACRE_ARC_B1] + (origin == ACRE_ARC_FROM_B1)),
                   (acre_policy_slot)(self->counts[ACRE_ARC_B2] + (origin == ACRE_ARC_FROM_B2)));
    acre_arc_admit(policy, slot, origin);
}

const acre_policy_operations acre_policy_car = {.struct_bytes = sizeof(acre_arc_lists),
                                                .needs_keys = true,
                                                .hit_limit = 1,
                                                .lay_out = acre_arc_lay_out,
                                                .init = acre_arc_init,
                                                .touch = touch,
                                                .miss = miss,
                                                .evict = evict,
                                                .admit = admit,
                                                .forget = acre_arc_take,
                                                .resize = acre_arc_resize,
                                                .is_valid = acre_arc_is_valid};
