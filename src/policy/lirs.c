/* lirs.c - LIRS: entries with a short time between their last two uses (LIR) hold the cache but 1 %, the others (HIR) pass through that.
 *
 * The stack has every LIR entry, and the HIR ones, in the cache or not, that were used since the LIR entry at its bottom was; one of those
 * that is asked for again has a shorter time between its uses than the bottom entry has since its last, so they change places. The queue
 * has the HIR entries in the cache, the next victim first. Those not in the cache are ghosts: 7/8 as many as the cache has slots; their
 * nodes are used in turn, so a new one takes the place of the oldest. Invariant: the bottom of the stack is LIR.
 *
 * Added to the paper: LIR entries that nobody uses any longer would keep the cache for ever when the others come back too seldom to be in
 * the stack still. So what is at the bottom and was not used while the cache missed some 20 times as often as it has slots is demoted, and
 * the newcomer is LIR.
 *
 * As LRU it has no LIR entries: then the stack is empty, and the queue is in the order of use. */
#include "policy/lirs.h"
#include "policy/list.h"

enum { LIR = 1, HIR = 2, IN_STACK = 4 }; /* where a slot is; LIR is always in the stack */
enum { NEW, REMEMBERED };                /* origins */
enum { HIR_PARTS = 100, GHOST_EIGHTHS = 7 };

/* The time of a LIR entry's last use, in spans of misses, in the bits above. */
enum { SPAN_SHIFT = 3, SPAN_MASK = 7 << SPAN_SHIFT, SPAN_MISSES_PER_SLOT = 4, SPANS_MAX = 5 };

/* Nodes of the stack: slots, ghosts, its head. */
typedef struct lirs {
    acre_policy base;
    acre_link *stack;
    acre_link *queue; /* slots, its head */
    acre_index index; /* of ghosts; a fingerprint of 0 stands for no key */
    acre_policy_slot next_ghost, ghost_count, lir_count;
    bool is_lru;
    uint8_t span;         /* in SPAN_MASK */
    uint32_t span_misses; /* in this span so far */
} lirs;

static acre_policy_slot lir_limit(const lirs *self)
{
    acre_policy_slot hir = (acre_policy_slot)(self->base.capacity / HIR_PARTS);
    if (self->is_lru) return 0;
    return (acre_policy_slot)(self->base.capacity - (hir == 0 ? 1 : hir));
}

static bool is_lir(const lirs *self, acre_policy_slot slot) { return (self->base.where[slot] & LIR) != 0; }
static acre_policy_slot queue_head(const lirs *self) { return self->base.capacity_max; }
static acre_policy_slot ghost_limit(acre_policy_slot capacity) { return (acre_policy_slot)((uint64_t)capacity * GHOST_EIGHTHS / 8 + 1); }
static acre_policy_slot stack_head(const lirs *self)
{
    return (acre_policy_slot)(self->base.capacity_max + ghost_limit(self->base.capacity_max));
}
static acre_policy_slot ghost_node(const lirs *self, acre_policy_slot ghost) { return (acre_policy_slot)(self->base.capacity_max + ghost); }

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    lirs *self = (lirs *)(void *)policy;
    self->stack = acre_carve(carver, (size_t)stack_head(self) + 1, sizeof *self->stack);
    self->queue = acre_carve(carver, (size_t)policy->capacity_max + 1, sizeof *self->queue);
    acre_index_lay_out(&self->index, carver, ghost_limit(policy->capacity_max), ghost_limit(policy->capacity_max));
}

static void init(acre_policy *policy)
{
    lirs *self = (lirs *)(void *)policy;
    acre_list_init(self->queue, queue_head(self));
    acre_list_init(self->stack, stack_head(self));
}

static void drop_ghost(lirs *self, acre_policy_slot ghost)
{
    acre_index_remove(&self->index, ghost);
    acre_list_remove(self->stack, ghost_node(self, ghost));
    self->index.nodes[ghost].fingerprint = 0;
    self->ghost_count--;
}

/* A ghost for a key, in the stack in front of `slot`. */
static void put_ghost(lirs *self, uint32_t fingerprint, acre_policy_slot slot)
{
    acre_policy_slot ghost = self->next_ghost < ghost_limit(self->base.capacity) ? self->next_ghost : 0;
    if (self->index.nodes[ghost].fingerprint != 0) drop_ghost(self, ghost);
    acre_index_insert(&self->index, ghost, acre_fingerprint_word(fingerprint));
    acre_list_insert_before(self->stack, slot, ghost_node(self, ghost));
    self->ghost_count++;
    self->next_ghost = (acre_policy_slot)(ghost + 1);
}

/* Takes HIR entries off the bottom of the stack. */
static void prune(lirs *self)
{
    const acre_policy_slot head = stack_head(self);
    for (acre_policy_slot node; (node = acre_list_last(self->stack, head)) != head;) {
        if (node >= self->base.capacity_max) {
            drop_ghost(self, (acre_policy_slot)(node - self->base.capacity_max));
        } else if (is_lir(self, node)) {
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
    assert(slot != stack_head(self) && is_lir(self, slot));
    acre_list_remove(self->stack, slot);
    acre_list_push_last(self->queue, queue_head(self), slot);
    self->base.where[slot] = HIR;
    self->lir_count--;
    prune(self);
}

static void push_lir(lirs *self, acre_policy_slot slot)
{
    acre_list_push_first(self->stack, stack_head(self), slot);
    self->base.where[slot] = LIR | self->span;
    self->lir_count++;
    while (self->lir_count > lir_limit(self)) demote(self);
}

static void take_out(lirs *self, acre_policy_slot slot)
{
    uint8_t where = self->base.where[slot];
    self->base.where[slot] = 0;
    if (where & LIR)
        self->lir_count--;
    else
        acre_list_remove(self->queue, slot);
    if (where & (LIR | IN_STACK)) acre_list_remove(self->stack, slot);
}

static void push_hir(lirs *self, acre_policy_slot slot)
{
    acre_list_push_last(self->queue, queue_head(self), slot);
    self->base.where[slot] = HIR;
    if (!self->is_lru) {
        acre_list_push_first(self->stack, stack_head(self), slot);
        self->base.where[slot] = HIR | IN_STACK;
    }
}

/* A use of a HIR entry, or of any under LRU. */
static void use_hir(lirs *self, acre_policy_slot slot)
{
    bool comes_back_soon = !self->is_lru && (self->base.where[slot] & IN_STACK) != 0;
    take_out(self, slot);
    if (comes_back_soon)
        push_lir(self, slot);
    else
        push_hir(self, slot);
    prune(self);
}

static void touch(acre_policy *policy, acre_policy_slot slot)
{
    lirs *self = (lirs *)(void *)policy;
    if (self->is_lru ? acre_list_last(self->queue, queue_head(self)) == slot : acre_list_first(self->stack, stack_head(self)) == slot) {
        return; /* the last one used, too */
    } else if (is_lir(self, slot) && !self->is_lru) {
        bool was_bottom = acre_list_last(self->stack, stack_head(self)) == slot;
        policy->where[slot] = LIR | self->span;
        acre_list_move_first(self->stack, stack_head(self), slot);
        if (was_bottom) prune(self);
    } else {
        use_hir(self, slot);
    }
}

static acre_policy_origin miss(acre_policy *policy, uint32_t fingerprint)
{
    lirs *self = (lirs *)(void *)policy;
    acre_policy_slot ghost = acre_index_find(&self->index, acre_fingerprint_word(fingerprint));
    if (ghost == ACRE_POLICY_NO_SLOT) return NEW;
    drop_ghost(self, ghost);
    return REMEMBERED;
}

static void forget(acre_policy *policy, acre_policy_slot slot)
{
    lirs *self = (lirs *)(void *)policy;
    take_out(self, slot);
    prune(self);
}

/* A HIR entry leaves the cache; in the stack a ghost stands for it. It is not the bottom of the stack, so there is nothing to prune. */
static void leave(lirs *self, acre_policy_slot slot)
{
    uint8_t where = self->base.where[slot];
    self->base.where[slot] = 0;
    acre_list_remove(self->queue, slot);
    if ((where & IN_STACK) == 0) return;
    put_ghost(self, acre_policy_fingerprint(&self->base, slot), slot);
    acre_list_remove(self->stack, slot);
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    lirs *self = (lirs *)(void *)policy;
    (void)origin;
    acre_policy_slot queue_count = (acre_policy_slot)(policy->count - self->lir_count);
    uint32_t kept = 0;
    do {
        /* When those of the queue are kept, the bottom of the stack has its turn. */
        bool from_stack = self->lir_count > 0 && kept >= acre_policy_patience(policy, queue_count);
        acre_policy_slot slot = from_stack ? acre_list_last(self->stack, stack_head(self)) : acre_list_first(self->queue, queue_head(self));
        if (acre_policy_may_take(look, context, slot, &kept)) {
            if (from_stack) demote(self);
            leave(self, slot);
            return slot;
        }
        if (from_stack) {
            touch(policy, slot);
        } else {
            acre_list_remove(self->queue, slot);
            acre_list_push_last(self->queue, queue_head(self), slot);
        }
    } while (!acre_policy_gives_up(policy, kept));
    return ACRE_POLICY_NO_SLOT;
}

/* Counts a miss, and demotes what is at the bottom of the stack if it has not been used for long: then there is a place for a newcomer. */
static bool age(lirs *self)
{
    if (++self->span_misses >= (uint32_t)self->base.capacity * SPAN_MISSES_PER_SLOT) {
        self->span_misses = 0;
        self->span = (uint8_t)((self->span + (1 << SPAN_SHIFT)) & SPAN_MASK);
    }
    acre_policy_slot bottom = acre_list_last(self->stack, stack_head(self));
    if (bottom == stack_head(self)) return false;
    unsigned spans = (unsigned)((self->span - (self->base.where[bottom] & SPAN_MASK)) & SPAN_MASK) >> SPAN_SHIFT;
    if (spans < SPANS_MAX) return false;
    demote(self);
    return true;
}

static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    lirs *self = (lirs *)(void *)policy;
    bool has_place = age(self) || policy->count < lir_limit(self);
    if (lir_limit(self) > 0 && (origin == REMEMBERED || has_place)) {
        push_lir(self, slot);
    } else {
        push_hir(self, slot);
        if (self->lir_count == 0) prune(self); /* else the bottom of the stack is what it was */
    }
}

void acre_lirs_be_lru(acre_policy *policy, bool is_lru) { ((lirs *)(void *)policy)->is_lru = is_lru; }

bool acre_lirs_turn(acre_policy *policy)
{
    lirs *self = (lirs *)(void *)policy;
    if (self->is_lru) {
        if (self->lir_count == 0) return false;
        demote(self);
    } else {
        acre_policy_slot slot = acre_list_first(self->queue, queue_head(self));
        if (self->lir_count >= lir_limit(self) || slot == queue_head(self)) return false;
        take_out(self, slot);
        push_lir(self, slot);
    }
    return true;
}

static void resize(acre_policy *policy)
{
    lirs *self = (lirs *)(void *)policy;
    for (acre_policy_slot ghost = ghost_limit(policy->capacity); ghost < ghost_limit(policy->capacity_max); ghost++) {
        if (self->index.nodes[ghost].fingerprint != 0) drop_ghost(self, ghost);
    }
    while (self->lir_count > lir_limit(self) && !self->is_lru) demote(self);
}

static bool is_valid(const acre_policy *policy)
{
    const lirs *self = (const lirs *)(const void *)policy;
    size_t in_stack = 0, lir_count = 0;
    for (acre_policy_slot slot = 0; slot < policy->capacity_max; slot++) {
        in_stack += (policy->where[slot] & (LIR | IN_STACK)) != 0;
        lir_count += is_lir(self, slot);
    }
    size_t ghost_count = 0;
    for (acre_policy_slot ghost = 0; ghost < ghost_limit(policy->capacity_max); ghost++) {
        ghost_count += self->index.nodes[ghost].fingerprint != 0;
        if (self->index.nodes[ghost].fingerprint != 0 &&
            acre_index_find(&self->index, self->index.nodes[ghost].fingerprint) == ACRE_POLICY_NO_SLOT)
            return false;
    }
    acre_policy_slot bottom = acre_list_last(self->stack, stack_head(self));
    return lir_count == self->lir_count && (self->is_lru || lir_count <= lir_limit(self)) && ghost_count == self->ghost_count &&
           acre_list_count(self->queue, queue_head(self), policy->capacity_max) == policy->count - lir_count &&
           acre_list_count(self->stack, stack_head(self), stack_head(self)) == in_stack + ghost_count &&
           (bottom == stack_head(self) || (bottom < policy->capacity_max && is_lir(self, bottom)));
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
