/* policy.c - a cache of squares: which of them to keep is the policy's business. */
#include <acre/policy.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOT_COUNT = 100, KEY_COUNT = 1000 };

static uint64_t keys[SLOT_COUNT], squares[SLOT_COUNT];
static acre_policy_slot slot_of[KEY_COUNT]; /* slot + 1; 0: not in the cache */
static unsigned long miss_count;

static uint64_t square(acre_policy *policy, uint64_t key)
{
    if (slot_of[key] != 0) {
        acre_policy_hit(policy, slot_of[key] - 1);
        return squares[slot_of[key] - 1];
    }
    acre_policy_origin origin = acre_policy_miss(policy, key);
    acre_policy_slot slot = policy->count;
    if (slot == SLOT_COUNT) {
        slot = acre_policy_evict(policy, origin, NULL, NULL);
        slot_of[keys[slot]] = 0;
    }
    miss_count++;
    keys[slot] = key;
    squares[slot] = key * key;
    slot_of[key] = slot + 1;
    acre_policy_admit(policy, slot, origin);
    return squares[slot];
}

int main(void)
{
    acre_policy_options options = {.kind = ACRE_POLICY_ADAPTIVE, .capacity = SLOT_COUNT, .keys = keys};
    size_t bytes = acre_policy_bytes(&options);
    void *memory = malloc(bytes);
    acre_policy *policy;
    if (memory == NULL || acre_policy_init(&policy, &options, memory, bytes) != ACRE_OK) {
        fprintf(stderr, "%s\n", acre_last_error());
        return 1;
    }
    /* Round and round over more keys than there is room for: LRU would miss each of them. */
    uint64_t sum = 0;
    for (unsigned long i = 0; i < 100000; i++) sum += square(policy, i % (2 * SLOT_COUNT));
    printf("sum %" PRIu64 ", %lu of 100000 missed, by the rule of %s, in %zu bytes\n", sum, miss_count,
           acre_policy_name(acre_policy_rule(policy)), bytes);
    free(memory);
    return 0;
}
