/* sieve.c - SIEVE: newcomers join a list at its beginning; a hand goes from its end to its beginning and over again, takes away the mark of
 * what was used, leaves that where it is, and evicts the first entry without a mark. */
#include "policy/list.h"
#include "policy/policy.h"

enum { IN_USE = 1 };

typedef struct sieve {
    acre_policy base;
    acre_link *links;
    acre_policy_slot hand; /* the slot that is looked at next, or the head: the last one */
} sieve;

static acre_policy_slot head(const sieve *self) { return self->base.capacity_max; }

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    sieve *self = (sieve *)(void *)policy;
    self->links = acre_carve(carver, (size_t)policy->capacity_max + 1, sizeof *self->links);
}

static void init(acre_policy *policy)
{
    sieve *self = (sieve *)(void *)policy;
    acre_list_init(self->links, head(self));
    self->hand = head(self);
}

static void touch(acre_policy *policy, acre_policy_slot slot) { acre_policy_set_hits(policy, slot, 1); }

static void forget(acre_policy *policy, acre_policy_slot slot)
{
    sieve *self = (sieve *)(void *)policy;
    if (self->hand == slot) self->hand = self->links[slot].previous;
    acre_list_remove(self->links, slot);
    policy->where[slot] = 0;
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    sieve *self = (sieve *)(void *)policy;
    (void)origin;
    for (uint32_t kept = 0; !acre_policy_gives_up(policy, kept);) {
        acre_policy_slot slot = self->hand == head(self) ? acre_list_last(self->links, head(self)) : self->hand;
        self->hand = self->links[slot].previous;
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
    sieve *self = (sieve *)(void *)policy;
    (void)origin;
    acre_list_push_first(self->links, head(self), slot);
    policy->where[slot] = IN_USE;
}

static bool is_valid(const acre_policy *policy)
{
    const sieve *self = (const sieve *)(const void *)policy;
    return acre_list_count(self->links, head(self), policy->capacity_max) == policy->count &&
           (self->hand == head(self) || (self->hand < policy->capacity_max && policy->where[self->hand] == IN_USE));
}

const acre_policy_operations acre_policy_sieve = {.struct_bytes = sizeof(sieve),
                                                  .hit_limit = 1,
                                                  .lay_out = lay_out,
                                                  .init = init,
                                                  .touch = touch,
                                                  .evict = evict,
                                                  .admit = admit,
                                                  .forget = forget,
                                                  .is_valid = is_valid};
