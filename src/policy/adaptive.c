/* adaptive.c - follows the rule that would have missed least lately: LRU, S3-FIFO or LIRS.
 *
 * Shadows (caches without entries, one for each rule) see the uses of a sample of the keys, chosen by their hash: 1 in 2^k, so that a
 * shadow has 32 to 63 entries; smaller caches have shadows of their own size. By Waldspurger and others (2017) a cache a 2^k-th as long
 * misses as often on such a sample as the cache does. Each shadow's misses are counted with an exponential memory of 64 times its length. A
 * rule takes over when its shadow has missed at least 1/33 less than that of the rule in force.
 *
 * The entries are in the lists of the rule in force, or still in those of the one before: with each miss one of these moves, in the order
 * in which the rule before would have evicted them, so a change of rules needs no pause. There is no further change until they have all
 * moved. Victims are taken from what has not moved.
 *
 * Over the reference traces: see docs/policies.md. */
#include "policy/lirs.h"
#include "policy/shadow.h"

#include "base/bits.h"

#include <string.h>

enum { IN_USE = 1, IS_SAMPLED = 2 }; /* where a slot is */
enum { SHADOW_ENTRIES = 32, MEMORY = 64, MARGIN_PARTS = 33 };
enum { LRU, S3_FIFO, LIRS, RULE_COUNT };
enum { STACK, QUEUES, PART_COUNT }; /* what has the entries: a LIRS that can be LRU, an S3-FIFO */
#define MISS ((uint64_t)1 << 32)

static const uint8_t rule_kinds[RULE_COUNT] = {ACRE_POLICY_LRU, ACRE_POLICY_S3_FIFO, ACRE_POLICY_LIRS};
static const uint8_t part_of_rule[RULE_COUNT] = {STACK, QUEUES, STACK};
static const uint8_t part_kinds[PART_COUNT] = {ACRE_POLICY_LIRS, ACRE_POLICY_S3_FIFO};

typedef struct adaptive {
    acre_policy base;
    acre_policy *parts[PART_COUNT]; /* each over all slots */
    acre_policy *part;              /* the one that the rule in force works on */
    acre_shadow shadows[RULE_COUNT];
    uint64_t misses[RULE_COUNT]; /* of the shadows lately, in units of 1 / MISS */
    uint8_t *shadow_memory;
    size_t shadow_bytes;
    uint8_t rule;         /* in force */
    bool is_moving;       /* entries are as under the rule before still */
    uint8_t newcomer;     /* where the key goes that was missing last, which is the one that comes, as a rule; 0: it has come */
    uint8_t sample_shift; /* one key in 2^this is in the sample */
    uint8_t memory_shift; /* a miss counts for 2^this uses */
} adaptive;

static uint8_t shift_for(acre_policy_slot capacity)
{
    uint8_t shift = 0;
    while (capacity >> shift >= 2 * SHADOW_ENTRIES) shift++;
    return shift;
}

/* Shadows of a length that goes with the capacity, all empty. */
static void lay_out_shadows(adaptive *self, acre_carver *carver, acre_policy_slot capacity)
{
    for (unsigned i = 0; i < RULE_COUNT; i++) acre_shadow_lay_out(self->shadows + i, carver, (acre_policy_kind)rule_kinds[i], capacity);
}

static void lay_out(acre_policy *policy, acre_carver *carver)
{
    adaptive *self = (adaptive *)(void *)policy;
    policy->hits = acre_carve(carver, policy->capacity_max, 1);
    for (unsigned i = 0; i < PART_COUNT; i++) {
        acre_policy_options options = {.kind = (acre_policy_kind)part_kinds[i],
                                       .capacity = policy->capacity,
                                       .capacity_max = policy->capacity_max,
                                       .keys = policy->keys,
                                       .has_fingerprints = policy->has_fingerprints,
                                       .key_stride_bytes = policy->key_stride_bytes,
                                       .effort = policy->effort};
        uint8_t none;
        self->parts[i] = acre_policy_carve(&options, carver, policy->hits == NULL ? &none : policy->hits);
    }
    acre_carver counter = {NULL, 0};
    acre_policy_slot longest = 2 * SHADOW_ENTRIES - 1;
    lay_out_shadows(self, &counter, policy->capacity_max < longest ? policy->capacity_max : longest);
    self->shadow_bytes = counter.used_bytes;
    self->shadow_memory = acre_carve(carver, self->shadow_bytes, 1);
}

static void resize(acre_policy *policy)
{
    adaptive *self = (adaptive *)(void *)policy;
    self->sample_shift = shift_for(policy->capacity);
    acre_policy_slot length = (acre_policy_slot)(policy->capacity >> self->sample_shift);
    acre_carver carver = {self->shadow_memory, 0};
    memset(self->shadow_memory, 0, self->shadow_bytes);
    lay_out_shadows(self, &carver, length);
    assert(carver.used_bytes <= self->shadow_bytes);
    memset(self->misses, 0, sizeof self->misses);
    self->memory_shift = 0;
    while ((uint32_t)length * MEMORY >> self->memory_shift > 1) self->memory_shift++;
    for (unsigned i = 0; i < PART_COUNT; i++) {
        if (self->parts[i]->capacity != policy->capacity) (void)acre_policy_resize(self->parts[i], policy->capacity);
    }
}

static void init(acre_policy *policy)
{
    adaptive *self = (adaptive *)(void *)policy;
    self->part = self->parts[STACK];
    acre_lirs_be_lru(self->part, true);
    resize(policy);
}

/* By other bits of the fingerprint than an index goes by. */
static bool is_in_sample(const adaptive *self, uint32_t fingerprint)
{
    return (fingerprint * 0x9e3779b1u & 0xffffffffu) >> 1 >> (31 - self->sample_shift) == 0;
}

/* The part that the rule in force does not work on, and the one that has a slot which is in use. */
static acre_policy *other_part(const adaptive *self) { return self->parts[PART_COUNT - 1 - part_of_rule[self->rule]]; }
static acre_policy *holder(const adaptive *self, acre_policy_slot slot)
{
    return acre_unlikely(self->is_moving) && acre_policy_holds(other_part(self), slot) ? other_part(self) : self->part;
}

/* S3-FIFO takes what has been in the cache for a while in its main queue, as if it had remembered it. */
static void move(adaptive *self, acre_policy_slot slot) { acre_policy_admit(self->part, slot, self->rule == S3_FIFO); }

static void move_one(adaptive *self)
{
    acre_policy_slot slot = acre_policy_evict(other_part(self), 0, NULL, NULL);
    if (slot != ACRE_POLICY_NO_SLOT)
        move(self, slot);
    else
        self->is_moving = self->rule != S3_FIFO && acre_lirs_turn(self->parts[STACK]);
}

static void follow(adaptive *self, unsigned rule)
{
    self->rule = (uint8_t)rule;
    self->part = self->parts[part_of_rule[rule]];
    self->is_moving = true;
    if (rule != S3_FIFO) acre_lirs_be_lru(self->parts[STACK], rule == LRU);
}

/* The shadows hear of a use of a key of the sample. */
static void judge(adaptive *self, uint32_t fingerprint)
{
    unsigned best = self->rule;
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        bool is_hit = acre_shadow_access(self->shadows + i, fingerprint);
        self->misses[i] -= self->misses[i] >> self->memory_shift;
        self->misses[i] += is_hit ? 0 : MISS;
    }
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        if (self->misses[i] < self->misses[best]) best = i;
    }
    uint64_t misses = self->misses[self->rule];
    if (self->misses[best] < misses - misses / MARGIN_PARTS && !self->is_moving) follow(self, best);
}

static void touch(acre_policy *policy, acre_policy_slot slot)
{
    adaptive *self = (adaptive *)(void *)policy;
    acre_policy *has = holder(self, slot);
    if (acre_unlikely(has != self->part)) {
        acre_policy_forget(has, slot);
        move(self, slot);
    }
    self->part->touch(self->part, slot);
    if (policy->where[slot] & IS_SAMPLED) judge(self, acre_policy_fingerprint(policy, slot));
}

static acre_policy_origin miss(acre_policy *policy, uint32_t fingerprint)
{
    adaptive *self = (adaptive *)(void *)policy;
    if (self->is_moving) move_one(self);
    bool is_sampled = is_in_sample(self, fingerprint);
    if (is_sampled) judge(self, fingerprint);
    self->newcomer = is_sampled ? IN_USE | IS_SAMPLED : IN_USE;
    return self->part->operations->miss(self->part, fingerprint);
}

static acre_policy_slot evict_from(acre_policy *part, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    if (part->count == 0) return ACRE_POLICY_NO_SLOT;
    acre_policy_slot slot = part->operations->evict(part, origin, look, context);
    part->count = (acre_policy_slot)(part->count - (slot != ACRE_POLICY_NO_SLOT));
    return slot;
}

static acre_policy_slot evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    adaptive *self = (adaptive *)(void *)policy;
    acre_policy_slot slot = ACRE_POLICY_NO_SLOT;
    if (acre_unlikely(self->is_moving)) slot = evict_from(other_part(self), 0, look, context);
    if (slot == ACRE_POLICY_NO_SLOT) slot = evict_from(self->part, origin, look, context);
    if (slot != ACRE_POLICY_NO_SLOT) policy->where[slot] = 0;
    return slot;
}

/* No part has the slot, and its hits are none: the gate has seen to that. */
static void admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    adaptive *self = (adaptive *)(void *)policy;
    self->part->operations->admit(self->part, slot, origin);
    self->part->count++;
    if (acre_unlikely(self->newcomer == 0)) /* nobody has asked for it */
        self->newcomer = is_in_sample(self, acre_policy_fingerprint(policy, slot)) ? IN_USE | IS_SAMPLED : IN_USE;
    policy->where[slot] = self->newcomer;
    self->newcomer = 0;
}

static void forget(acre_policy *policy, acre_policy_slot slot)
{
    acre_policy_forget(holder((adaptive *)(void *)policy, slot), slot);
    policy->where[slot] = 0;
}

static bool is_valid(const acre_policy *policy)
{
    const adaptive *self = (const adaptive *)(const void *)policy;
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        if (!acre_policy_is_valid(self->shadows[i].policy)) return false;
    }
    return acre_policy_is_valid(self->part) && acre_policy_is_valid(other_part(self)) &&
           self->part->count + other_part(self)->count == policy->count && (self->is_moving || other_part(self)->count == 0);
}

acre_policy_kind acre_policy_rule(const acre_policy *policy)
{
    return (acre_policy_kind)(policy->kind == ACRE_POLICY_ADAPTIVE ? rule_kinds[((const adaptive *)(const void *)policy)->rule]
                                                                   : policy->kind);
}

const acre_policy_operations acre_policy_adaptive = {.struct_bytes = sizeof(adaptive),
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
