/* stack_cache.c - see stack_cache.h. Direct mapped: a newer stack at the same place takes an entry over. */
#include "meter/stack_cache.h"
#include "os/shared_file.h"

#include <string.h>

static size_t index_of(uint64_t pc, uintptr_t stack_pointer)
{
    const uint64_t mixed = (pc ^ (uint64_t)stack_pointer << 20) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 55) % STACK_CACHE_ENTRY_COUNT;
}

static uint64_t word_at(uintptr_t address) { return *(const uint64_t *)address; }

uint32_t stack_cache_find(const stack_cache *cache, uint64_t pc, uintptr_t stack_pointer)
{
    const stack_cache_entry *const entry = &cache->entries[index_of(pc, stack_pointer)];
    if (entry->pc != pc || entry->stack_pointer != stack_pointer) return 0;
    for (uint32_t i = 0; i < entry->frame_count; i++)
        if (word_at(stack_pointer + entry->slot_offsets[i]) != entry->return_addresses[i]) return 0;
    return entry->id;
}

/* Makes [begin, end) part of the known stack; false when some of it is not mapped. A stack pointer far from the known range
 * is another stack (a coroutine, a signal stack): knowledge begins anew there. */
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

void stack_cache_insert(stack_cache *cache, uint64_t pc, uintptr_t stack_pointer, void *const *pcs, size_t count, uint32_t id)
{
    if (count > STACK_CACHE_FRAMES_MAX || stack_pointer % sizeof(uint64_t) != 0) return;
    stack_cache_entry *const entry = &cache->entries[index_of(pc, stack_pointer)];

    entry->id = 0;
    uintptr_t at = stack_pointer;
    for (size_t i = 0; i < count; i++) {
        for (;; at += sizeof(uint64_t)) {
            if (at - stack_pointer >= STACK_CACHE_REACH_BYTES) return;
            if (!is_readable(cache, at, at + sizeof(uint64_t))) return;
            if (word_at(at) == (uint64_t)(uintptr_t)pcs[i]) break;
        }
        entry->slot_offsets[i] = (uint32_t)(at - stack_pointer);
        entry->return_addresses[i] = (uint64_t)(uintptr_t)pcs[i];
        at += sizeof(uint64_t);
    }
    entry->pc = pc;
    entry->stack_pointer = stack_pointer;
    entry->frame_count = (uint32_t)count;
    entry->id = id;
}

void stack_cache_clear(stack_cache *cache)
{
    for (size_t i = 0; i < STACK_CACHE_ENTRY_COUNT; i++) cache->entries[i].id = 0;
}
