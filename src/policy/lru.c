/* lru.c - LRU, and FIFO, which is LRU that hears of no hits: one list, the next victim last. */
#include "policy/list.h"
#include "policy/policy.h"

enum { IN_USE = 1 };

typedef struct lru {
    acre_policy base;
    acre_link *links;
} lru;

static acre_policy_slot head(const lru *self) { return self->base.capacity_max; }

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    lru *self = (lru *)(void *)policy;
    self->links = acre_carve(carver, (size_t)policy->capacity_max + 1, sizeof *self->links);
}

static void init(acre_policy *policy)
{
    lru *self = (lru *)(void *)policy;
    acre_list_init(self->links, head(self));
}

static void touch(acre_policy *policy, acre_policy_slot slot)
{
    lru *self = (lru *)(void *)policy;
    acre_list_move_first(self->links, head(self), slot);
}

static void forget(acre_policy *policy, acre_policy_slot slot)
{
    acre_list_remove(((lru *)(void *)policy)->links, slot);
    policy->where[slot] = 0;
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    lru *self = (lru *)(void *)policy;
    (void)origin;
    for (uint32_t kept = 0; !acre_policy_gives_up(policy, kept);) {
        acre_policy_slot slot = acre_list_last(self->links, head(self));
        if (acre_policy_may_take(look, context, slot, &kept)) {
            forget(policy, slot);
            return slot;
        }
        acre_list_move_first(self->links, head(self), slot);
    }
    return ACRE_POLICY_NO_SLOT;
}

static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    lru *self = (lru *)(void *)policy;
    (void)origin;
    acre_list_push_first(self->links, head(self), slot);
    policy->where[slot] = IN_USE;
}

static bool is_valid(const acre_policy *policy)
{
    const lru *self = (const lru *)(const void *)policy;
    return acre_list_count(self->links, head(self), policy->capacity_max) == policy->count;
}

static void touch_nothing(acre_policy *policy, acre_policy_slot slot)
{
    (void)policy;
    (void)slot;
}

const acre_policy_operations acre_policy_lru = {.struct_bytes = sizeof(lru),
                                                .lay_out = lay_out,
                                                .init = init,
                                                .touch = touch,
                                                .evict = evict,
                                                .admit = admit,
                                                .forget = forget,
                                                .is_valid = is_valid};

const acre_policy_operations acre_policy_fifo = {.struct_bytes = sizeof(lru),
                                                 .hit_limit = 1,
                                                 .lay_out = lay_out,
                                                 .init = init,
                                                 .touch = touch_nothing,
                                                 .evict = evict,
                                                 .admit = admit,
                                                 .forget = forget,
                                                 .is_valid = is_valid};
