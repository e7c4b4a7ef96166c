/* stack_cache.c - see stack_cache.h. */
#include "meter/stack_cache.h"
#include "os/shared_file.h"

#include <string.h>

#define OUTERMOST UINT64_MAX

static size_t index_of(uintptr_t slot, uint64_t return_address)
{
    const uint64_t mixed = (return_address ^ (uint64_t)slot << 20) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 40) % STACK_CACHE_STEP_COUNT;
}

static uint64_t word_at(uintptr_t address) { return *(const uint64_t *)address; }

static const stack_step *find(const stack_cache *cache, uintptr_t slot, uint64_t return_address)
{
    const stack_step *const step = &cache->steps[index_of(slot, return_address)];
    return step->slot == slot && step->return_address == return_address && step->distance != 0 ? step : NULL;
}

size_t stack_cache_walk(const stack_cache *cache, uintptr_t slot, void **pcs, size_t count_max)
{
    for (size_t count = 0; count < count_max;) {
        const uint64_t return_address = word_at(slot);
        const stack_step *const step = find(cache, slot, return_address);
        if (step == NULL) return 0;
        pcs[count++] = (void *)(uintptr_t)return_address;
        if (step->distance == OUTERMOST) return count;
        slot += step->distance;
    }
    return count_max;
}

/* Makes [begin, end) part of the known stack; false when some of it is not mapped. An address far from the known range is on
 * another stack (a coroutine's, a signal's): knowledge begins anew there. */
static bool is_readable(stack_cache *cache, uintptr_t begin, uintptr_t end)
{
    enum { STEP_BYTES = 4096, NEAR_BYTES = 48 * STEP_BYTES };
    if (begin >= cache->mapped_begin && end <= cache->mapped_end) return true;

    const bool is_near = begin <= cache->mapped_end && begin + NEAR_BYTES >= cache->mapped_begin;
    if (!is_near) cache->mapped_begin = cache->mapped_end = begin;
    if (begin < cache->mapped_begin) {
        if (!acre_is_mapped(begin, cache->mapped_begin - begin)) return false;
        cache->mapped_begin = begin;
    }
    while (end > cache->mapped_end) {
        const uintptr_t next = (cache->mapped_end + STEP_BYTES) & ~(uintptr_t)(STEP_BYTES - 1);
        if (!acre_is_mapped(cache->mapped_end, next - cache->mapped_end)) return false;
        cache->mapped_end = next;
    }
    return true;
}

/* The first slot above `slot` that holds `return_address`, 0 when it is not near. */
static uintptr_t search(stack_cache *cache, uintptr_t slot, uint64_t return_address)
{
    for (uintptr_t at = slot + sizeof(uint64_t); at - slot < STACK_CACHE_FRAME_BYTES_MAX; at += sizeof(uint64_t)) {
        if (!is_readable(cache, at, at + sizeof(uint64_t))) return 0;
        if (word_at(at) == return_address) return at;
    }
    return 0;
}

void stack_cache_learn(stack_cache *cache, uintptr_t slot, void *const *pcs, size_t count, bool is_whole)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t return_address = (uint64_t)(uintptr_t)pcs[i];
        const stack_step *const known = find(cache, slot, return_address);
        uint64_t distance = OUTERMOST;
        if (i + 1 < count) {
            const uint64_t wanted = (uint64_t)(uintptr_t)pcs[i + 1];
            const bool fits = known != NULL && known->distance != OUTERMOST && word_at(slot + known->distance) == wanted;
            const uintptr_t next = fits ? slot + known->distance : search(cache, slot, wanted);
            if (next == 0) return;
            distance = next - slot;
        } else if (!is_whole) {
            return;
        }
        cache->steps[index_of(slot, return_address)] =
            (stack_step){.slot = slot, .return_address = return_address, .distance = distance};
        slot += distance;
    }
}

uint32_t stack_cache_id(const stack_cache *cache, uint64_t hash)
{
    const stack_id *const entry = &cache->ids[hash % STACK_CACHE_ID_COUNT];
    return entry->hash == hash ? entry->id : 0;
}

void stack_cache_keep_id(stack_cache *cache, uint64_t hash, uint32_t id)
{
    cache->ids[hash % STACK_CACHE_ID_COUNT] = (stack_id){.hash = hash, .id = id};
}

void stack_cache_clear(stack_cache *cache) { memset(cache, 0, sizeof *cache); }
