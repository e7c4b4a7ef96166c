/* s3_fifo.c - S3-FIFO: newcomers wait in a FIFO of a tenth of the cache; one that was hit more than once while it waited goes to the main
 * queue, a clock of two bits, the others leave and are remembered, 0.9 c of them; who comes back while remembered goes to the main queue at
 * once.
 *
 * Both queues are singly linked. A slot that is forgotten stays where it is, marked, until it is its turn; if it comes into use before
 * that, it is where it was. */
#include "policy/ghost_ring.h"
#include "policy/policy.h"

enum { IN_SMALL = 1, IN_MAIN = 2 }; /* where a slot is; with ACRE_POLICY_GONE: was */
enum { NEW, REMEMBERED };           /* origins */
enum { HIT_LIMIT = 3, HITS_TO_STAY = 2 };

typedef struct queue {
    acre_policy_slot first, last; /* ACRE_POLICY_NO_SLOT: it is empty */
    acre_policy_slot count;       /* without those that are gone */
} queue;

typedef struct s3_fifo {
    acre_policy base;
    acre_policy_slot *next;
    acre_ghost_ring ghosts;
    queue small, main;
} s3_fifo;

static acre_policy_slot at_least_one(uint64_t value) { return (acre_policy_slot)(value == 0 ? 1 : value); }
static acre_policy_slot small_limit(const s3_fifo *self) { return at_least_one(self->base.capacity / 10); }
static acre_policy_slot ghost_limit(acre_policy_slot capacity) { return at_least_one((uint64_t)capacity * 9 / 10); }

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    self->next = acre_carve(carver, policy->capacity_max, sizeof *self->next);
    acre_ghost_ring_lay_out(&self->ghosts, carver, ghost_limit(policy->capacity_max));
}

static void init(acre_policy *policy)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    self->small = self->main = (queue){ACRE_POLICY_NO_SLOT, ACRE_POLICY_NO_SLOT, 0};
}

static void push(s3_fifo *self, queue *to, acre_policy_slot slot)
{
    self->next[slot] = ACRE_POLICY_NO_SLOT;
    if (to->last == ACRE_POLICY_NO_SLOT)
        to->first = slot;
    else
        self->next[to->last] = slot;
    to->last = slot;
    to->count++;
    self->base.where[slot] = to == &self->small ? IN_SMALL : IN_MAIN;
}

/* The first slot of a queue that is not gone, taken out; there is one. */
static acre_policy_slot pop(s3_fifo *self, queue *from)
{
    for (;;) {
        acre_policy_slot slot = from->first;
        assert(slot != ACRE_POLICY_NO_SLOT);
        from->first = self->next[slot];
        if (from->first == ACRE_POLICY_NO_SLOT) from->last = ACRE_POLICY_NO_SLOT;
        bool is_gone = (self->base.where[slot] & ACRE_POLICY_GONE) != 0;
        self->base.where[slot] = 0;
        if (!is_gone) {
            from->count--;
            return slot;
        }
    }
}

static void touch(acre_policy *policy, acre_policy_slot slot)
{
    uint8_t hits = acre_policy_hits_of(policy, slot);
    if (hits < HIT_LIMIT) acre_policy_set_hits(policy, slot, hits + 1u);
}

static acre_policy_origin miss(acre_policy *policy, uint32_t fingerprint)
{
    return acre_ghost_ring_take(&((s3_fifo *)(void *)policy)->ghosts, fingerprint) ? REMEMBERED : NEW;
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    (void)origin;
    for (uint32_t kept = 0; !acre_policy_gives_up(policy, kept);) {
        bool from_main = self->main.count > policy->capacity - small_limit(self) || self->small.count == 0;
        acre_policy_slot slot = pop(self, from_main ? &self->main : &self->small);
        uint8_t hits = acre_policy_hits_of(policy, slot);
        bool stays = from_main ? hits > 0 : hits >= HITS_TO_STAY;
        if (!stays && acre_policy_may_take(look, context, slot, &kept)) {
            if (!from_main) acre_ghost_ring_push(&self->ghosts, acre_policy_fingerprint(policy, slot), ghost_limit(policy->capacity));
            return slot;
        }
        acre_policy_set_hits(policy, slot, from_main && hits > 0 ? hits - 1u : 0u);
        push(self, &self->main, slot);
    }
    return ACRE_POLICY_NO_SLOT;
}

static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    if (policy->where[slot] != 0) { /* gone, but in its place still */
        policy->where[slot] &= (uint8_t)~ACRE_POLICY_GONE;
        (policy->where[slot] == IN_SMALL ? &self->small : &self->main)->count++;
        return;
    }
    push(self, origin == REMEMBERED ? &self->main : &self->small, slot);
}

static void forget(acre_policy *policy, acre_policy_slot slot)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    (policy->where[slot] == IN_SMALL ? &self->small : &self->main)->count--;
    policy->where[slot] |= ACRE_POLICY_GONE;
}

static void resize(acre_policy *policy) { acre_ghost_ring_trim(&((s3_fifo *)(void *)policy)->ghosts, ghost_limit(policy->capacity)); }

static bool is_queue_valid(const s3_fifo *self, const queue *list, uint8_t in)
{
    acre_policy_slot count = 0, length = 0, last = ACRE_POLICY_NO_SLOT;
    for (acre_policy_slot slot = list->first; slot != ACRE_POLICY_NO_SLOT; last = slot, slot = self->next[slot]) {
        if ((self->base.where[slot] & ~ACRE_POLICY_GONE) != in || length++ > self->base.capacity_max) return false;
        count = (acre_policy_slot)(count + ((self->base.where[slot] & ACRE_POLICY_GONE) == 0));
    }
    return count == list->count && list->last == last;
}

static bool is_valid(const acre_policy *policy)
{
    const s3_fifo *self = (const s3_fifo *)(const void *)policy;
    return is_queue_valid(self, &self->small, IN_SMALL) && is_queue_valid(self, &self->main, IN_MAIN) &&
           self->small.count + self->main.count == policy->count && acre_ghost_ring_is_valid(&self->ghosts);
}

const acre_policy_operations acre_policy_s3_fifo = {.struct_bytes = sizeof(s3_fifo),
                                                    .needs_keys = true,
                                                    .hit_limit = HIT_LIMIT,
                                                    .lay_out = lay_out,
                                                    .init = init,
                                                    .touch = touch,
                                                    .miss = miss,
                                                    .evict = evict,
                                                    .admit = admit,
                                                    .forget = forget,
                                                    .resize = resize,
                                                    .is_valid = is_valid};
