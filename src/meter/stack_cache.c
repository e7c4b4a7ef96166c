/* stack_cache.c - see stack_cache.h. */
#include "meter/stack_cache.h"
#include "meter/stack_table.h"
#include "os/shared_file.h"

#include <string.h>

_Static_assert(STACK_CACHE_FRAME_BYTES_MAX / sizeof(uint64_t) < STACK_CACHE_OUTERMOST, "a step can hold every distance");

static size_t index_of(uintptr_t slot, uint64_t return_address)
{
    const uint64_t mixed = (return_address ^ (uint64_t)slot << 20) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 40) % STACK_CACHE_STEP_COUNT;
}

static uint64_t word_at(uintptr_t address) { return *(const uint64_t *)address; }

static const stack_step *find(const stack_cache *cache, uintptr_t slot, uint64_t return_address)
{
    const stack_step *const step = &cache->steps[index_of(slot, return_address)];
    return step->slot == slot && step->return_address == return_address && step->distance_words != 0 ? step : NULL;
}

/* The first frame from `from` on whose return address is not the one of the last walk any more; count when all are. */
static size_t first_changed(const stack_walk *last, size_t from)
{
    size_t at = from;
    while (at < last->count && word_at(last->slots[at]) == (uint64_t)(uintptr_t)last->pcs[at]) at++;
    return at;
}

/* Makes the last walk the one with `count` frames given, whose outer frames are those of the last walk from `join` on. */
static const stack_walk *keep(stack_walk *last, const uintptr_t *slots, const uint64_t *pcs, size_t count, size_t join)
{
    const size_t kept = last->count - join;
    if (join != count) {
        memmove(last->slots + count, last->slots + join, kept * sizeof last->slots[0]);
        memmove(last->pcs + count, last->pcs + join, kept * sizeof last->pcs[0]);
        memmove(last->hashes + count, last->hashes + join, kept * sizeof last->hashes[0]);
    }
    last->count = count + kept;
    uint64_t hash = kept > 0 ? last->hashes[count] : 0;
    for (size_t i = count; i-- > 0;) {
        last->slots[i] = slots[i];
        last->pcs[i] = (void *)(uintptr_t)pcs[i];
        last->hashes[i] = hash = stack_hash_step(hash, last->pcs[i]);
    }
    return last;
}

const stack_walk *stack_cache_walk(stack_cache *cache, uintptr_t slot)
{
    stack_walk *const last = &cache->last;
    uintptr_t slots[STACK_CACHE_FRAMES_MAX];
    uint64_t pcs[STACK_CACHE_FRAMES_MAX];
    /* A stack that was cut has no outermost frame to which the hashes could lead. */
    size_t at = last->is_whole ? 0 : last->count;
    bool is_whole = false;
    size_t count = 0;
    while (count < STACK_CACHE_FRAMES_MAX && !is_whole) {
        const uint64_t return_address = word_at(slot);
        while (at < last->count && last->slots[at] < slot) at++;
        if (at < last->count && last->slots[at] == slot && (uint64_t)(uintptr_t)last->pcs[at] == return_address &&
            last->count - at <= STACK_CACHE_FRAMES_MAX - count) {
            const size_t changed = first_changed(last, at + 1);
            if (changed == last->count) return keep(last, slots, pcs, count, at);
            at = changed + 1;
        }
        const stack_step *const step = find(cache, slot, return_address);
        if (step == NULL) return NULL;
        slots[count] = slot;
        pcs[count++] = return_address;
        is_whole = step->distance_words == STACK_CACHE_OUTERMOST;
        slot += (uintptr_t)step->distance_words * sizeof(uint64_t);
    }
    last->is_whole = is_whole;
    return keep(last, slots, pcs, count, last->count);
}

/* ---- whole stacks ---- */

static size_t whole_hash(uintptr_t slot, uint64_t innermost, uint64_t second)
{
    const uint64_t mixed = ((uint64_t)slot ^ innermost << 17 ^ second << 32) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 40);
}

static size_t whole_set(uintptr_t slot, uint64_t innermost, uint64_t second)
{
    return whole_hash(slot, innermost, second) % (STACK_CACHE_WHOLE_COUNT / STACK_CACHE_WHOLE_WAYS) * STACK_CACHE_WHOLE_WAYS;
}

static bool is_standing(const stack_cache *cache, const stack_whole *whole, uintptr_t slot)
{
    if (whole->slot != slot || whole->epoch != cache->epoch) return false;
    for (uint32_t i = 0; i < whole->count; i++) {
        const stack_whole_frame frame = whole->frames[i];
        if ((uint32_t)word_at(slot + (uintptr_t)frame.words * sizeof(uint64_t)) != frame.pc) return false;
    }
    return true;
}

uint32_t stack_cache_whole(stack_cache *cache, uintptr_t slot)
{
    const uint64_t innermost = word_at(slot);
    uint16_t *const recent = &cache->recent[whole_hash(slot, innermost, 0) % STACK_CACHE_RECENT_COUNT];
    if (*recent != 0 && is_standing(cache, &cache->wholes[*recent - 1], slot)) return cache->wholes[*recent - 1].id;

    const stack_step *const step = find(cache, slot, innermost);
    if (step == NULL || step->distance_words == STACK_CACHE_OUTERMOST) return 0;
    const uint64_t second = word_at(slot + (uintptr_t)step->distance_words * sizeof(uint64_t));
    const size_t set = whole_set(slot, innermost, second);
    for (size_t at = set; at < set + STACK_CACHE_WHOLE_WAYS; at++) {
        if (!is_standing(cache, &cache->wholes[at], slot)) continue;
        *recent = (uint16_t)(at + 1);
        return cache->wholes[at].id;
    }
    return 0;
}

void stack_cache_keep_whole(stack_cache *cache, const stack_walk *walk, uint32_t id)
{
    if (walk->count < 2 || id == 0) return;
    const uintptr_t slot = walk->slots[0];
    const size_t set = whole_set(slot, (uint64_t)(uintptr_t)walk->pcs[0], (uint64_t)(uintptr_t)walk->pcs[1]);
    stack_whole *const whole = &cache->wholes[set + cache->next_way];
    cache->next_way = (cache->next_way + 1) % STACK_CACHE_WHOLE_WAYS;
    whole->slot = slot;
    whole->id = id;
    whole->count = (uint32_t)walk->count;
    whole->epoch = cache->epoch;
    for (size_t i = 0; i < walk->count; i++) {
        whole->frames[i] = (stack_whole_frame){
            .pc = (uint32_t)(uintptr_t)walk->pcs[i],
            .words = (uint32_t)((walk->slots[i] - slot) / sizeof(uint64_t)),
        };
    }
}

/* ---- learning ---- */

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
        uint64_t distance_words = STACK_CACHE_OUTERMOST;
        if (return_address >> 48 != 0) return; /* no code of a program on the machines that are known */
        if (i + 1 < count) {
            const uint64_t wanted = (uint64_t)(uintptr_t)pcs[i + 1];
            const bool leads_on = known != NULL && known->distance_words != STACK_CACHE_OUTERMOST;
            const uintptr_t guess = leads_on ? slot + (uintptr_t)known->distance_words * sizeof(uint64_t) : 0;
            const uintptr_t next = leads_on && word_at(guess) == wanted ? guess : search(cache, slot, wanted);
            if (next == 0) return;
            distance_words = (next - slot) / sizeof(uint64_t);
        } else if (!is_whole) {
            return;
        }
        cache->steps[index_of(slot, return_address)] =
            (stack_step){.slot = slot, .return_address = return_address & 0xFFFFFFFFFFFF, .distance_words = distance_words & 0xFFFF};
        slot += distance_words * sizeof(uint64_t);
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

void stack_cache_clear(stack_cache *cache)
{
    const uint32_t epoch = cache->epoch + 1;
    memset(cache, 0, offsetof(stack_cache, epoch)); /* touching the whole stacks would cost more than a thread that ends soon */
    cache->epoch = epoch;
}
