/* lirs.c - LIRS: entries with a short time between their last two uses (LIR) hold the cache but 1 %, the others (HIR) pass through that.
 *
 * The stack has every LIR entry, and the HIR ones, in the cache or not, that were used since the LIR entry at its bottom was; one of those that
 * is asked for again has a shorter time between its uses than the bottom entry has since its last, so they change places. The queue has
 * the HIR entries in the cache, the next victim first. Of those not in the cache twice the capacity are remembered at most, and the oldest is
 * dropped. Invariant: the bottom of the stack is LIR.
 *
 * Two links a node: one for the stack, one for the queue or, of those not in the cache, the order of their leaving. */
#include "policy/ghosts.h"
#include "policy/policy.h"

enum { LIR = 1, HIR = 2, IN_STACK = 4 }; /* where a slot is; LIR is always in the stack */
enum { QUEUE, GONE, LIST_COUNT };        /* lists of ghosts.links */
enum { NEW, REMEMBERED };                /* origins */
enum { HIR_PARTS = 100, GHOSTS_PER_SLOT = 2 };

typedef struct lirs {
    acre_policy base;
    acre_ghosts ghosts;
    acre_link *stack; /* by node, and its head */
    acre_policy_slot lir_count;
} lirs;

static acre_policy_slot lir_limit(const lirs *self)
{
    acre_policy_slot hir = (acre_policy_slot)(self->base.capacity / HIR_PARTS);
    return (acre_policy_slot)(self->base.capacity - (hir == 0 ? 1 : hir));
}

static acre_policy_slot ghost_limit(const lirs *self) { return (acre_policy_slot)(self->base.capacity * GHOSTS_PER_SLOT); }
static acre_policy_slot queue_head(const lirs *self) { return acre_ghosts_head(&self->ghosts, QUEUE); }
static acre_policy_slot gone_head(const lirs *self) { return acre_ghosts_head(&self->ghosts, GONE); }
static acre_policy_slot stack_head(const lirs *self) { return self->ghosts.free_head; }

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    lirs *self = (lirs *)policy;
    acre_ghosts_lay_out(&self->ghosts, carver, policy->capacity_max, (acre_policy_slot)(policy->capacity_max * GHOSTS_PER_SLOT), LIST_COUNT);
    self->stack = acre_carve(carver, (size_t)self->ghosts.free_head + 1, sizeof *self->stack);
}

static void init(acre_policy *policy)
{
    lirs *self = (lirs *)policy;
    acre_ghosts_init(&self->ghosts, LIST_COUNT);
    acre_list_init(self->stack, stack_head(self));
}

static void drop_ghost(lirs *self, acre_policy_slot node)
{
    acre_list_remove(self->stack, node);
    acre_ghosts_drop(&self->ghosts, node);
}

/* Takes HIR entries off the bottom of the stack. */
static void prune(lirs *self)
{
    for (;;) {
        acre_policy_slot node = acre_list_last(self->stack, stack_head(self));
        if (node == stack_head(self)) {
            return;
        } else if (acre_ghosts_is_ghost(&self->ghosts, node)) {
            drop_ghost(self, node);
        } else if (self->base.where[node] == LIR) {
            return;
        } else {
            acre_list_remove(self->stack, node);
            self->base.where[node] = HIR;
        }
    }
}

/* The bottom entry of the stack is HIR from now on, and the last of the queue. */
static void demote(lirs *self)
{
    acre_policy_slot slot = acre_list_last(self->stack, stack_head(self));
    assert(slot != stack_head(self) && self->base.where[slot] == LIR);
    acre_list_remove(self->stack, slot);
    acre_list_push_last(self->ghosts.links, queue_head(self), slot);
    self->base.where[slot] = HIR;
    self->lir_count--;
    prune(self);
}

static void push_lir(lirs *self, acre_policy_slot slot)
{
    acre_list_push_first(self->stack, stack_head(self), slot);
    self->base.where[slot] = LIR;
    self->lir_count++;
    while (self->lir_count > lir_limit(self))
        demote(self);
}

static void touch(acre_policy *policy, acre_policy_slot slot)
{
    lirs *self = (lirs *)policy;
    if (policy->where[slot] == LIR) {
        acre_list_move_first(self->stack, stack_head(self), slot);
        prune(self);
    } else if (policy->where[slot] & IN_STACK) {
        acre_list_remove(self->stack, slot);
        acre_list_remove(self->ghosts.links, slot);
        push_lir(self, slot);
    } else {
        acre_list_push_first(self->stack, stack_head(self), slot);
        policy->where[slot] = HIR | IN_STACK;
        acre_list_remove(self->ghosts.links, slot);
        acre_list_push_last(self->ghosts.links, queue_head(self), slot);
        prune(self);
    }
}

static acre_policy_origin miss(acre_policy *policy, uint32_t fingerprint)
{
    lirs *self = (lirs *)policy;
    acre_policy_slot node = acre_ghosts_find(&self->ghosts, fingerprint);
    if (node == ACRE_POLICY_NO_SLOT)
        return NEW;
    drop_ghost(self, node);
    return REMEMBERED;
}

static void trim_ghosts(lirs *self, acre_policy_slot count_max)
{
    while (self->ghosts.count > count_max)
        drop_ghost(self, acre_list_last(self->ghosts.links, gone_head(self)));
}

static void forget(acre_policy *policy, acre_policy_slot slot)
{
    lirs *self = (lirs *)policy;
    uint8_t where = policy->where[slot];
    policy->where[slot] = 0;
    if (where == LIR)
        self->lir_count--;
    else
        acre_list_remove(self->ghosts.links, slot);
    if (where != HIR)
        acre_list_remove(self->stack, slot);
    prune(self);
}

/* A HIR entry leaves the cache; in the stack its key stands for it. */
static void leave(lirs *self, acre_policy_slot slot)
{
    if (self->base.where[slot] & IN_STACK) {
        trim_ghosts(self, (acre_policy_slot)(ghost_limit(self) - 1));
        acre_policy_slot node = acre_ghosts_take(&self->ghosts, acre_policy_fingerprint(&self->base, slot));
        acre_list_push_first(self->ghosts.links, gone_head(self), node);
        acre_list_insert_before(self->stack, slot, node);
    }
    forget(&self->base, slot);
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    lirs *self = (lirs *)policy;
    (void)origin;
    for (uint32_t kept = 0; !acre_policy_gives_up(policy, kept);) {
        if (acre_list_is_empty(self->ghosts.links, queue_head(self)))
            demote(self);
        acre_policy_slot slot = acre_list_first(self->ghosts.links, queue_head(self));
        if (acre_policy_may_take(look, context, slot, &kept)) {
            leave(self, slot);
            return slot;
        }
        acre_list_remove(self->ghosts.links, slot);
        acre_list_push_last(self->ghosts.links, queue_head(self), slot);
        if (self->lir_count > 0)
            demote(self); /* so that a queue of nothing but kept slots is not all that is looked at */
    }
    return ACRE_POLICY_NO_SLOT;
}

static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    lirs *self = (lirs *)policy;
    if (lir_limit(self) > 0 && (origin == REMEMBERED || self->lir_count < lir_limit(self))) {
        push_lir(self, slot);
    } else {
        acre_list_push_first(self->stack, stack_head(self), slot);
        acre_list_push_last(self->ghosts.links, queue_head(self), slot);
        policy->where[slot] = HIR | IN_STACK;
        prune(self);
    }
}

static void resize(acre_policy *policy)
{
    lirs *self = (lirs *)policy;
    trim_ghosts(self, ghost_limit(self));
    while (self->lir_count > lir_limit(self))
        demote(self);
}

static bool is_valid(const acre_policy *policy)
{
    const lirs *self = (const lirs *)policy;
    size_t in_stack = 0, lir_count = 0;
    for (acre_policy_slot slot = 0; slot < policy->capacity_max; slot++) {
        in_stack += policy->where[slot] == LIR || (policy->where[slot] & IN_STACK) != 0;
        lir_count += policy->where[slot] == LIR;
    }
    acre_policy_slot bottom = acre_list_last(self->stack, stack_head(self));
    return lir_count == self->lir_count && lir_count <= lir_limit(self) && acre_ghosts_are_valid(&self->ghosts) &&
           acre_list_count(self->ghosts.links, queue_head(self), policy->capacity_max) == policy->count - lir_count &&
           acre_list_count(self->ghosts.links, gone_head(self), self->ghosts.count_max) == self->ghosts.count &&
           acre_list_count(self->stack, stack_head(self), stack_head(self)) == in_stack + self->ghosts.count &&
           (bottom == stack_head(self) || (bottom < policy->capacity_max && policy->where[bottom] == LIR));
}

const acre_policy_operations acre_policy_lirs = {.struct_bytes = sizeof(lirs),
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
