/* fuzz_policy.c - any sequence of operations on a policy of any kind and on a prefetcher: each stays valid, no slot is handed out that is
 * not in use or that the cache keeps. */
#undef NDEBUG
#include <acre/policy.h>
#include <acre/prefetch.h>
#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MAX = 16, OUT_MAX = 8 };

typedef struct cache {
    acre_policy *policy;
    uint64_t keys[CAPACITY_MAX];
    unsigned char is_used[CAPACITY_MAX], is_kept[CAPACITY_MAX];
} cache;

static acre_verdict look(void *context, acre_policy_slot slot)
{
    const cache *c = context;
    assert(slot < CAPACITY_MAX && c->is_used[slot]);
    return c->is_kept[slot] ? ACRE_KEEP : ACRE_EVICT;
}

static acre_policy_slot evict(cache *c, acre_policy_origin origin)
{
    const acre_policy_slot slot = acre_policy_evict(c->policy, origin, look, c);
    if (slot != ACRE_POLICY_NO_SLOT) {
        assert(slot < CAPACITY_MAX && c->is_used[slot] && !c->is_kept[slot]);
        c->is_used[slot] = 0;
    }
    return slot;
}

static void ask(cache *c, uint64_t key)
{
    acre_policy_slot slot = 0;
    while (slot < CAPACITY_MAX && !(c->is_used[slot] && c->keys[slot] == key)) slot++;
    if (slot < CAPACITY_MAX) {
        acre_policy_hit(c->policy, slot);
        return;
    }
    const acre_policy_origin origin = acre_policy_miss(c->policy, key);
    for (slot = 0; slot < CAPACITY_MAX && c->is_used[slot]; slot++) {}
    if (c->policy->count >= c->policy->capacity || slot == CAPACITY_MAX) slot = evict(c, origin);
    if (slot == ACRE_POLICY_NO_SLOT) return;
    c->keys[slot] = key;
    c->is_used[slot] = 1;
    c->is_kept[slot] = 0;
    acre_policy_admit(c->policy, slot, origin);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length < 3) return 0;
    cache c = {.policy = NULL};
    acre_policy_hits mine = {0};
    const acre_policy_options options = {.kind = (acre_policy_kind)(data[0] % ACRE_POLICY_KIND_COUNT),
                                         .capacity = (acre_policy_slot)(1 + data[1] % CAPACITY_MAX),
                                         .capacity_max = CAPACITY_MAX,
                                         .keys = c.keys,
                                         .effort = data[2] % 20};
    const acre_prefetch_options ahead = {.stream_count = 3, .context_count = 2, .pair_count = 4, .outstanding = 5};
    const size_t bytes = acre_policy_bytes(&options), ahead_bytes = acre_prefetch_bytes(&ahead);
    void *const memory = malloc(bytes), *const ahead_memory = malloc(ahead_bytes);
    acre_prefetcher *prefetcher;
    assert(acre_policy_init(&c.policy, &options, memory, bytes) == ACRE_OK);
    assert(acre_prefetch_init(&prefetcher, &ahead, ahead_memory, ahead_bytes) == ACRE_OK);
    for (size_t i = 3; i + 1 < length; i += 2) {
        const acre_policy_slot slot = data[i + 1] % CAPACITY_MAX;
        uint64_t out[OUT_MAX];
        switch (data[i] % 8) {
        case 0:
            acre_policy_forget(c.policy, slot);
            c.is_used[slot] = 0;
            break;
        case 1:
            c.is_kept[slot] ^= 1;
            break;
        case 2:
            assert(acre_policy_resize(c.policy, (acre_policy_slot)(1 + slot)) == ACRE_OK);
            break;
        case 3:
            evict(&c, data[i + 1] % 3);
            break;
        case 4:
            if (acre_policy_note(c.policy, slot, &mine)) acre_policy_deliver(c.policy, &mine);
            break;
        case 5:
            acre_policy_deliver(c.policy, &mine);
            break;
        default:
            ask(&c, data[i + 1] % 48);
        }
        assert(acre_policy_is_valid(c.policy));
        assert(acre_prefetch_access(prefetcher, data[i + 1], data[i] & 3, data[i] & 4, out, OUT_MAX) <= OUT_MAX);
        assert(acre_prefetch_is_valid(prefetcher));
    }
    free(memory);
    free(ahead_memory);
    return 0;
}
