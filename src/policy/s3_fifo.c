/* s3_fifo.c - S3-FIFO: newcomers wait in a FIFO of a tenth of the cache; one that was hit more than once while it waited goes to the main
 * queue, a clock of two bits, the others leave and are remembered, 0.9 c of them; who comes back while remembered goes to the main queue at
 * once.
 *
 * Both queues are singly linked. A slot that is forgotten stays where it is, marked, until it is its turn; if it comes into use before
 * that, it is where it was. What is remembered is nearly what the paper remembers, see ghost_table.h: so a slot takes 10 bytes in all. */
#include "policy/ghost_table.h"
#include "policy/policy.h"

enum { NEW, REMEMBERED }; /* origins */
enum { HIT_LIMIT = 3, HITS_TO_STAY = 2 };

/* A slot's link has the slot that comes behind it in its queue, and in its three upper bits where it is; 0: in no queue. */
#define LINK_SHIFT (sizeof(acre_policy_slot) * 8 - 3)
#define IN_SMALL   ((acre_policy_slot)((acre_policy_slot)1 << LINK_SHIFT))
#define IN_MAIN    ((acre_policy_slot)((acre_policy_slot)2 << LINK_SHIFT))
#define IS_GONE    ((acre_policy_slot)((acre_policy_slot)4 << LINK_SHIFT)) /* not in use, but the queue still has it */
#define SLOT_MASK  ((acre_policy_slot)(IN_SMALL - 1))

_Static_assert(ACRE_POLICY_CAPACITY_MAX == (uint32_t)SLOT_MASK + 1, "a slot's number leaves three bits");

typedef struct queue {
    acre_policy_slot first, last; /* ACRE_POLICY_NO_SLOT: it is empty */
    acre_policy_slot count;       /* without those that are gone */
} queue;

typedef struct s3_fifo {
    acre_policy base;
    acre_policy_slot *links;
    acre_ghost_table ghosts;
    queue small, main;
    acre_policy_slot small_limit, main_limit, ghost_limit;
} s3_fifo;

static acre_policy_slot at_least_one(uint64_t value) { return (acre_policy_slot)(value == 0 ? 1 : value); }
static acre_policy_slot ghost_limit(acre_policy_slot capacity) { return at_least_one((uint64_t)capacity * 9 / 10); }

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    self->links = acre_carve(carver, policy->capacity_max, sizeof *self->links);
    acre_ghost_table_lay_out(&self->ghosts, carver, ghost_limit(policy->capacity_max));
}

static void resize(acre_policy *policy)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    self->small_limit = at_least_one(policy->capacity / 10);
    self->main_limit = (acre_policy_slot)(policy->capacity - self->small_limit);
    self->ghost_limit = ghost_limit(policy->capacity);
    acre_ghost_table_trim(&self->ghosts, self->ghost_limit);
}

static void init(acre_policy *policy)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    self->small = self->main = (queue){ACRE_POLICY_NO_SLOT, ACRE_POLICY_NO_SLOT, 0};
    acre_ghost_table_init(&self->ghosts);
    resize(policy);
}

static bool holds(const acre_policy *policy, acre_policy_slot slot)
{
    acre_policy_slot link = ((const s3_fifo *)(const void *)policy)->links[slot];
    return link != 0 && (link & IS_GONE) == 0;
}

static void push(s3_fifo *self, queue *to, acre_policy_slot in, acre_policy_slot slot)
{
    acre_policy_slot last = to->last;
    self->links[slot] = in;
    if (last == ACRE_POLICY_NO_SLOT)
        to->first = slot;
    else
        self->links[last] = (acre_policy_slot)((self->links[last] & ~SLOT_MASK) | slot);
    to->last = slot;
    to->count++;
}

/* The first slot of a queue that is not gone, taken out; there is one. */
static acre_policy_slot pop(s3_fifo *self, queue *from)
{
    for (;;) {
        acre_policy_slot slot = from->first, link = self->links[slot];
        self->links[slot] = 0;
        if (slot == from->last)
            from->first = from->last = ACRE_POLICY_NO_SLOT;
        else
            from->first = link & SLOT_MASK;
        if (acre_likely((link & IS_GONE) == 0)) {
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
    return acre_ghost_table_take(&((s3_fifo *)(void *)policy)->ghosts, fingerprint) ? REMEMBERED : NEW;
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    uint32_t kept = 0;
    (void)origin;
    for (;;) {
        bool from_main = self->main.count > self->main_limit || self->small.count == 0;
        acre_policy_slot slot = pop(self, from_main ? &self->main : &self->small);
        uint8_t hits = acre_policy_hits_of(policy, slot);
        if (from_main ? hits > 0 : hits >= HITS_TO_STAY) {
            acre_policy_set_hits(policy, slot, from_main ? hits - 1u : 0u);
        } else if (acre_policy_may_take(look, context, slot, &kept)) {
            if (!from_main) acre_ghost_table_push(&self->ghosts, acre_policy_fingerprint(policy, slot), self->ghost_limit);
            return slot;
        } else {
            acre_policy_set_hits(policy, slot, 0);
            if (acre_policy_gives_up(policy, kept)) {
                push(self, &self->main, IN_MAIN, slot);
                return ACRE_POLICY_NO_SLOT;
            }
        }
        push(self, &self->main, IN_MAIN, slot);
    }
}

static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    acre_policy_slot link = self->links[slot];
    if (acre_unlikely(link != 0)) { /* gone, but in its place still */
        self->links[slot] = (acre_policy_slot)(link & ~IS_GONE);
        ((link & IN_SMALL) != 0 ? &self->small : &self->main)->count++;
    } else if (origin == REMEMBERED) {
        push(self, &self->main, IN_MAIN, slot);
    } else {
        push(self, &self->small, IN_SMALL, slot);
    }
}

static void forget(acre_policy *policy, acre_policy_slot slot)
{
    s3_fifo *self = (s3_fifo *)(void *)policy;
    ((self->links[slot] & IN_SMALL) != 0 ? &self->small : &self->main)->count--;
    self->links[slot] |= IS_GONE;
}

static bool is_queue_valid(const s3_fifo *self, const queue *list, acre_policy_slot in)
{
    acre_policy_slot count = 0, length = 0;
    if ((list->first == ACRE_POLICY_NO_SLOT) != (list->last == ACRE_POLICY_NO_SLOT)) return false;
    for (acre_policy_slot slot = list->first; slot != ACRE_POLICY_NO_SLOT; slot = self->links[slot] & SLOT_MASK) {
        if (slot >= self->base.capacity_max || (self->links[slot] & (IN_SMALL | IN_MAIN)) != in || length++ > self->base.capacity_max)
            return false;
        count = (acre_policy_slot)(count + ((self->links[slot] & IS_GONE) == 0));
        if (slot == list->last) break;
    }
    return count == list->count;
}

static bool is_valid(const acre_policy *policy)
{
    const s3_fifo *self = (const s3_fifo *)(const void *)policy;
    return is_queue_valid(self, &self->small, IN_SMALL) && is_queue_valid(self, &self->main, IN_MAIN) &&
           self->small.count + self->main.count == policy->count && acre_ghost_table_is_valid(&self->ghosts);
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
                                                    .holds = holds,
                                                    .is_valid = is_valid};
