/* two_queue.c - 2Q, full version: a FIFO of a quarter for what was asked for once; what leaves it is remembered, half as many as the cache
 * has; what is asked for again by then goes to an LRU list. */
#include "policy/ghosts.h"
#include "policy/policy.h"

enum { IN_FIFO = 1, IN_LRU = 2 };    /* where a slot is */
enum { FIFO, OUT, HOT, LIST_COUNT }; /* A1in, A1out, Am */
enum { NEW, REMEMBERED };            /* origins */

typedef struct two_queue {
    acre_policy base;
    acre_ghosts ghosts;
    acre_policy_slot fifo_count;
} two_queue;

static acre_policy_slot at_least_one(acre_policy_slot value) { return value == 0 ? 1 : value; }
static acre_policy_slot fifo_limit(const two_queue *self) { return at_least_one(self->base.capacity / 4); }
static acre_policy_slot out_limit(const two_queue *self) { return at_least_one(self->base.capacity / 2); }

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    two_queue *self = (two_queue *)(void *)policy;
    acre_ghosts_lay_out(&self->ghosts, carver, policy->capacity_max, at_least_one(policy->capacity_max / 2), LIST_COUNT);
}

static void init(acre_policy *policy) { acre_ghosts_init(&((two_queue *)(void *)policy)->ghosts, LIST_COUNT); }

static void touch(acre_policy *policy, acre_policy_slot slot)
{
    acre_ghosts *ghosts = &((two_queue *)(void *)policy)->ghosts;
    if (policy->where[slot] == IN_LRU) acre_list_move_first(ghosts->links, acre_ghosts_head(ghosts, HOT), slot);
}

static acre_policy_origin miss(acre_policy *policy, uint32_t fingerprint)
{
    acre_ghosts *ghosts = &((two_queue *)(void *)policy)->ghosts;
    acre_policy_slot node = acre_ghosts_find(ghosts, fingerprint);
    if (node == ACRE_POLICY_NO_SLOT) return NEW;
    acre_ghosts_drop(ghosts, node);
    return REMEMBERED;
}

static void forget(acre_policy *policy, acre_policy_slot slot)
{
    two_queue *self = (two_queue *)(void *)policy;
    self->fifo_count = (acre_policy_slot)(self->fifo_count - (policy->where[slot] == IN_FIFO));
    acre_list_remove(self->ghosts.links, slot);
    policy->where[slot] = 0;
}

static void trim_ghosts(two_queue *self, acre_policy_slot count_max)
{
    while (self->ghosts.count > count_max)
        acre_ghosts_drop(&self->ghosts, acre_list_last(self->ghosts.links, acre_ghosts_head(&self->ghosts, OUT)));
}

static void remember(two_queue *self, acre_policy_slot slot)
{
    trim_ghosts(self, (acre_policy_slot)(out_limit(self) - 1));
    acre_policy_slot node = acre_ghosts_take(&self->ghosts, acre_policy_fingerprint(&self->base, slot));
    acre_list_push_first(self->ghosts.links, acre_ghosts_head(&self->ghosts, OUT), node);
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    two_queue *self = (two_queue *)(void *)policy;
    (void)origin;
    for (uint32_t kept = 0; !acre_policy_gives_up(policy, kept);) {
        bool from_fifo = self->fifo_count > fifo_limit(self) || self->fifo_count == policy->count;
        acre_policy_slot length = (acre_policy_slot)(from_fifo ? self->fifo_count : policy->count - self->fifo_count);
        if (kept >= acre_policy_patience(policy, length) && kept > 0 && length != policy->count) from_fifo = !from_fifo;
        acre_policy_slot head = acre_ghosts_head(&self->ghosts, from_fifo ? FIFO : HOT), slot = acre_list_last(self->ghosts.links, head);
        if (acre_policy_may_take(look, context, slot, &kept)) {
            forget(policy, slot);
            if (from_fifo) remember(self, slot);
            return slot;
        }
        acre_list_move_first(self->ghosts.links, head, slot);
    }
    return ACRE_POLICY_NO_SLOT;
}

static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    two_queue *self = (two_queue *)(void *)policy;
    acre_list_push_first(self->ghosts.links, acre_ghosts_head(&self->ghosts, origin == NEW ? FIFO : HOT), slot);
    policy->where[slot] = origin == NEW ? IN_FIFO : IN_LRU;
    self->fifo_count = (acre_policy_slot)(self->fifo_count + (origin == NEW));
}

static void resize(acre_policy *policy)
{
    two_queue *self = (two_queue *)(void *)policy;
    trim_ghosts(self, out_limit(self));
}

static bool is_valid(const acre_policy *policy)
{
    const two_queue *self = (const two_queue *)(const void *)policy;
    const acre_link *links = self->ghosts.links;
    size_t fifo_count = acre_list_count(links, acre_ghosts_head(&self->ghosts, FIFO), policy->capacity_max);
    size_t hot_count = acre_list_count(links, acre_ghosts_head(&self->ghosts, HOT), policy->capacity_max);
    return fifo_count == self->fifo_count && fifo_count + hot_count == policy->count && acre_ghosts_are_valid(&self->ghosts) &&
           self->ghosts.count <= out_limit(self) &&
           acre_list_count(links, acre_ghosts_head(&self->ghosts, OUT), self->ghosts.count_max) == self->ghosts.count;
}

const acre_policy_operations acre_policy_two_queue = {.struct_bytes = sizeof(two_queue),
                                                      .needs_keys = true,
                                                      .lay_out = lay_out,
                                                      .init = init,
                                                      .touch = touch,
                                                      .miss = miss,
                                                      .evict = evict,
                                                      .admit = admit,
                                                      .forget = forget,
                                                      .resize = resize,
                                                      .is_valid = is_valid};
