/* policy.c - the gate of the replacement policies: checks what the cache says, keeps the count of slots, and calls the kind. */
#include "policy/policy.h"

#include "base/status.h"

#include <string.h>

static const struct {
    const char *name;
    const acre_policy_operations *operations;
} kinds[ACRE_POLICY_KIND_COUNT] = {
    [ACRE_POLICY_ADAPTIVE] = {"adaptive", &acre_policy_adaptive},
    [ACRE_POLICY_FIFO] = {"fifo", &acre_policy_fifo},
    [ACRE_POLICY_LRU] = {"lru", &acre_policy_lru},
    [ACRE_POLICY_CLOCK] = {"clock", &acre_policy_clock},
    [ACRE_POLICY_TWO_QUEUE] = {"2q", &acre_policy_two_queue},
    [ACRE_POLICY_ARC] = {"arc", &acre_policy_arc},
    [ACRE_POLICY_CAR] = {"car", &acre_policy_car},
    [ACRE_POLICY_LIRS] = {"lirs", &acre_policy_lirs},
    [ACRE_POLICY_S3_FIFO] = {"s3-fifo", &acre_policy_s3_fifo},
    [ACRE_POLICY_SIEVE] = {"sieve", &acre_policy_sieve},
    [ACRE_POLICY_W_TINYLFU] = {"w-tinylfu", &acre_policy_w_tinylfu},
};

#define EFFORT_DEFAULT 64u

const char *acre_policy_name(acre_policy_kind kind) { return (unsigned)kind < ACRE_POLICY_KIND_COUNT ? kinds[kind].name : NULL; }

uint32_t acre_policy_fingerprint_of(uint64_t key) { return acre_fingerprint(key); }

uint64_t acre_policy_key_of(uint32_t fingerprint, uint32_t upper) { return acre_fingerprint_key(fingerprint, upper); }

static bool is_same(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

acre_status acre_policy_named(const char *name, acre_policy_kind *kind)
{
    if (name == NULL || kind == NULL) return acre_fail(ACRE_INVALID, "policy: name or kind is NULL");
    for (unsigned i = 0; i < ACRE_POLICY_KIND_COUNT; i++) {
        if (is_same(name, kinds[i].name)) {
            *kind = (acre_policy_kind)i;
            return ACRE_OK;
        }
    }
    return acre_fail(ACRE_INVALID, "policy: there is none called '%s'", name);
}

static unsigned bytes_of_key(const acre_policy_options *options) { return options->has_fingerprints ? sizeof(uint32_t) : sizeof(uint64_t); }

static acre_status check_options(const acre_policy_options *options)
{
    if (options == NULL) return acre_fail(ACRE_INVALID, "policy: options are NULL");
    if ((unsigned)options->kind >= ACRE_POLICY_KIND_COUNT)
        return acre_fail(ACRE_INVALID, "policy: kind %u is not below %u", (unsigned)options->kind, ACRE_POLICY_KIND_COUNT);
    const char *name = kinds[options->kind].name;
    if (options->capacity == 0 || options->capacity > ACRE_POLICY_CAPACITY_MAX)
        return acre_fail(ACRE_INVALID, "policy %s: capacity %u is not in 1 to %u", name, (unsigned)options->capacity,
                         (unsigned)ACRE_POLICY_CAPACITY_MAX);
    if (options->capacity_max != 0 && (options->capacity_max < options->capacity || options->capacity_max > ACRE_POLICY_CAPACITY_MAX))
        return acre_fail(ACRE_INVALID, "policy %s: capacity_max %u is not in %u (the capacity) to %u", name,
                         (unsigned)options->capacity_max, (unsigned)options->capacity, (unsigned)ACRE_POLICY_CAPACITY_MAX);
    if (options->keys == NULL && kinds[options->kind].operations->needs_keys)
        return acre_fail(ACRE_INVALID, "policy %s: needs keys, which are NULL", name);
    const unsigned key_bytes = bytes_of_key(options);
    if (options->key_stride_bytes % key_bytes != 0)
        return acre_fail(ACRE_INVALID, "policy %s: key_stride_bytes %zu is not a multiple of %u", name, options->key_stride_bytes,
                         key_bytes);
    if ((uintptr_t)options->keys % key_bytes != 0)
        return acre_fail(ACRE_INVALID, "policy %s: keys at %p are not aligned to %u", name, options->keys, key_bytes);
    return ACRE_OK;
}

/* Sets the policy up to where its arrays lie; they are in the memory of `carver`, or nowhere. `hits`: of the policy that this one is a part
 * of, or NULL. */
static void lay_out(acre_policy *policy, const acre_policy_options *options, acre_carver *carver, uint8_t *hits)
{
    const acre_policy_operations *operations = kinds[options->kind].operations;
    *policy = (acre_policy){
        .hit_limit = operations->hit_limit,
        .kind = (uint8_t)options->kind,
        .touch = operations->touch,
        .operations = operations,
        .keys = options->keys,
        .has_fingerprints = options->has_fingerprints,
        .key_stride_bytes = options->key_stride_bytes == 0 ? bytes_of_key(options) : options->key_stride_bytes,
        .capacity = options->capacity,
        .capacity_max = options->capacity_max == 0 ? options->capacity : options->capacity_max,
        .effort = options->effort == 0 ? EFFORT_DEFAULT : options->effort,
    };
    (void)acre_carve(carver, 1, operations->struct_bytes);
    operations->lay_out(policy, carver);
    if (policy->kind != ACRE_POLICY_ADAPTIVE) policy->hits = hits != NULL ? hits : acre_carve(carver, policy->capacity_max, 1);
    if (operations->holds == NULL) policy->where = acre_carve(carver, policy->capacity_max, 1);
}

static size_t needed_bytes(const acre_policy_options *options, uint8_t *hits)
{
    uint64_t any[ACRE_POLICY_STRUCT_BYTES_MAX / sizeof(uint64_t)];
    acre_carver carver = {NULL, 0};
    assert(kinds[options->kind].operations->struct_bytes <= sizeof any);
    memset(any, 0, sizeof any);
    lay_out((acre_policy *)(void *)any, options, &carver, hits);
    return carver.used_bytes;
}

/* In memory that is all zero. */
static acre_policy *set_up(const acre_policy_options *options, void *memory, uint8_t *hits)
{
    acre_carver carver = {memory, 0};
    acre_policy *policy = memory;
    lay_out(policy, options, &carver, hits);
    policy->operations->init(policy);
    return policy;
}

size_t acre_policy_bytes(const acre_policy_options *options) { return check_options(options) != ACRE_OK ? 0 : needed_bytes(options, NULL); }

acre_policy *acre_policy_carve(const acre_policy_options *options, acre_carver *carver, uint8_t *hits)
{
    void *memory = acre_carve(carver, needed_bytes(options, hits), 1);
    return memory == NULL ? NULL : set_up(options, memory, hits);
}

acre_policy *acre_policy_at(const acre_policy_options *options, void *memory)
{
    acre_carver carver = {memory, 0};
    acre_policy *policy = memory;
    const acre_policy_slot count = policy->count, capacity = policy->capacity;
    assert(policy->kind != ACRE_POLICY_ADAPTIVE);
    lay_out(policy, options, &carver, NULL);
    policy->count = count;
    policy->capacity = capacity;
    return policy;
}

acre_status acre_policy_init(acre_policy **policy, const acre_policy_options *options, void *memory, size_t bytes)
{
    if (policy == NULL || memory == NULL) return acre_fail(ACRE_INVALID, "policy: the place for it, or its memory, is NULL");
    acre_status status = check_options(options);
    if (status != ACRE_OK) return status;
    size_t needed = needed_bytes(options, NULL);
    if (bytes < needed || (uintptr_t)memory % sizeof(uint64_t) != 0)
        return acre_fail(ACRE_INVALID, "policy %s: %zu bytes at %p are not %zu bytes aligned to 8", kinds[options->kind].name, bytes,
                         memory, needed);
    memset(memory, 0, needed);
    *policy = set_up(options, memory, NULL);
    return ACRE_OK;
}

bool acre_policy_holds(const acre_policy *policy, acre_policy_slot slot)
{
    return slot < policy->capacity_max && acre_policy_is_used(policy, slot);
}

void acre_policy_touch(acre_policy *policy, acre_policy_slot slot)
{
    if (acre_policy_holds(policy, slot)) policy->operations->touch(policy, slot);
}

void acre_policy_deliver(acre_policy *policy, acre_policy_hits *mine)
{
    for (uint32_t i = 0; i < mine->count && i < ACRE_POLICY_HITS_MAX; i++) {
        acre_policy_slot slot = mine->slots[i];
        if (slot < policy->capacity_max) acre_policy_set_hits(policy, slot, acre_policy_hits_of(policy, slot));
        acre_policy_touch(policy, slot);
    }
    mine->count = 0;
}

acre_policy_origin acre_policy_miss(acre_policy *policy, uint64_t key)
{
    return policy->operations->miss == NULL ? 0 : policy->operations->miss(policy, acre_fingerprint(key));
}

acre_policy_slot acre_policy_evict(acre_policy *policy, acre_policy_origin origin, acre_policy_look *look, void *context)
{
    if (policy->count == 0) return ACRE_POLICY_NO_SLOT;
    acre_policy_slot slot = policy->operations->evict(policy, origin, look, context);
    if (slot != ACRE_POLICY_NO_SLOT) policy->count--;
    return slot;
}

size_t acre_policy_evict_many(acre_policy *policy, acre_policy_slot *slots, size_t count, acre_policy_look *look, void *context)
{
    size_t taken = 0;
    while (taken < count && (slots[taken] = acre_policy_evict(policy, 0, look, context)) != ACRE_POLICY_NO_SLOT) taken++;
    return taken;
}

void acre_policy_admit(acre_policy *policy, acre_policy_slot slot, acre_policy_origin origin)
{
    if (slot >= policy->capacity_max || acre_policy_is_used(policy, slot)) return;
    acre_policy_set_hits(policy, slot, 0);
    policy->operations->admit(policy, slot, origin);
    policy->count++;
}

void acre_policy_forget(acre_policy *policy, acre_policy_slot slot)
{
    if (!acre_policy_holds(policy, slot)) return;
    policy->operations->forget(policy, slot);
    policy->count--;
}

acre_status acre_policy_resize(acre_policy *policy, acre_policy_slot capacity)
{
    if (policy == NULL) return acre_fail(ACRE_INVALID, "policy: NULL");
    if (capacity == 0 || capacity > policy->capacity_max)
        return acre_fail(ACRE_INVALID, "policy %s: capacity %u is not in 1 to %u", kinds[policy->kind].name, (unsigned)capacity,
                         (unsigned)policy->capacity_max);
    policy->capacity = capacity;
    if (policy->operations->resize != NULL) policy->operations->resize(policy);
    return ACRE_OK;
}

bool acre_policy_is_valid(const acre_policy *policy)
{
    acre_policy_slot count = 0;
    for (acre_policy_slot slot = 0; slot < policy->capacity_max; slot++)
        count = (acre_policy_slot)(count + acre_policy_holds(policy, slot));
    return count == policy->count && policy->capacity >= 1 && policy->capacity <= policy->capacity_max &&
           policy->operations->is_valid(policy);
}
