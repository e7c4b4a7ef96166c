/* clock.c - Clock: a hand goes round over the slots in the order of their numbers; one that was used since it last came by is passed over.
 * A hit sets a byte. A newcomer that takes the slot of the victim lies right behind the hand, so that it is looked at last. */
#include "policy/policy.h"

enum { IN_USE = 1 };

typedef struct clock_hand {
    acre_policy base;
    acre_policy_slot hand; /* the slot that is looked at next */
} clock_hand;

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    (void)policy;
    (void)carver;
}

static void init(acre_policy *policy) { ((clock_hand *)(void *)policy)->hand = 0; }

static void touch(acre_policy *policy, acre_policy_slot slot) { acre_policy_set_hits(policy, slot, 1); }

static void forget(acre_policy *policy, acre_policy_slot slot) { policy->where[slot] = 0; }

/* In two rounds each byte is cleared, so one of the slots in use is a victim or kept. */
static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    clock_hand *self = (clock_hand *)(void *)policy;
    (void)origin;
    for (uint32_t kept = 0; !acre_policy_gives_up(policy, kept);) {
        acre_policy_slot slot = self->hand;
        self->hand = (acre_policy_slot)(slot + 1 == policy->capacity_max ? 0 : slot + 1);
        if (policy->where[slot] == 0) continue;
        if (acre_policy_hits_of(policy, slot) != 0) {
            acre_policy_set_hits(policy, slot, 0);
        } else if (acre_policy_may_take(look, context, slot, &kept)) {
            forget(policy, slot);
            return slot;
        }
    }
    return ACRE_POLICY_NO_SLOT;
}

static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    (void)origin;
    policy->where[slot] = IN_USE;
}

static bool is_valid(const acre_policy *policy) { return ((const clock_hand *)(const void *)policy)->hand < policy->capacity_max; }

const acre_policy_operations acre_policy_clock = {.struct_bytes = sizeof(clock_hand),
                                                  .hit_limit = 1,
                                                  .lay_out = lay_out,
                                                  .init = init,
                                                  .touch = touch,
                                                  .evict = evict,
                                                  .admit = admit,
                                                  .forget = forget,
                                                  .is_valid = is_valid};
