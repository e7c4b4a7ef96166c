/* guarded.c - see guarded.h: alloc, free and resize of a heap that checks, and its guard as a whole. */
#include "heap/guarded.h"
#include "base/status.h"
#include "guard/canary.h"
#include "guard/fault.h"
#include "heap/bounds.h"
#include "heap/cache.h"
#include "heap/guarded_block.h"
#include "heap/registry.h"
#include "heap/sample.h"

#include <string.h>

enum {
    QUARANTINE_COUNT = 64 * 1024, /* blocks that wait at most */
    CLOCK_STEP = 64,              /* frees between two looks at the clock */
    PAGES_ONE_IN_DEFAULT = 1000,
};
#define QUARANTINE_BYTES_DEFAULT ((uint64_t)8 << 20)
#define QUARANTINE_NS_DEFAULT    ((uint64_t)60 * 1000000000)

/* ---- alloc ---- */

/* From each unit of a large block its beginning is found in one step: acre_check is asked of any address. */
static void mark_units(const acre_heap *heap, const acre_known_block *block, uint64_t size)
{
    block->span->size_bytes = size;
    for (uint32_t unit = 1; unit < block->span->unit_count; unit++)
        acre_page_map_span(heap->map, block->base + ((acre_addr)unit << ACRE_UNIT_SHIFT))->units_before = unit;
}

/* The block is the caller's from here on. */
static void hand_out(acre_heap *heap, const acre_known_block *block, uint64_t size, acre_heap_op op, bool is_fresh)
{
    acre_heap_guard *const guard = heap->guard;
    if (block->is_large)
        mark_units(heap, block, size);
    else
        acre_bounds_set((uintptr_t)block->base, (size_t)size);
    if (guard->has_quarantine) {
        if (!block->is_large && acre_state_of(*block->states) == ACRE_BLOCK_POISONED) (void)acre_check_poison(heap, block, "write");
        if (guard->is_host && is_fresh && op != ACRE_HEAP_OP_CALLOC)
            (void)memset(acre_block_pointer(block->base), ACRE_FRESH_BYTE, acre_min_size((size_t)size, ACRE_GUARD_POISON_BYTES_MAX));
        uint32_t *const sites = acre_sites_at(heap, block->base, true);
        if (sites != NULL) sites[0] = acre_site_keep(guard->site_table);
    }
    if (guard->is_host) acre_canary_put(acre_block_pointer(block->base + size), (size_t)(acre_canary_end(guard, block, size) - size));
    const acre_block_state state = op == ACRE_HEAP_OP_NEW ? ACRE_BLOCK_LIVE_NEW : ACRE_BLOCK_LIVE;
    const uint64_t slack = block->is_large ? 0 : block->room - size;
    __atomic_store_n(block->states, acre_state_encode(block->states, block->room, state, slack), __ATOMIC_RELEASE);
}

/* What L1 does for nearly every call; 0: it is another case. */
static acre_addr alloc_small(acre_heap *heap, acre_cache *cache, uint64_t size, acre_heap_op op)
{
    if (acre_unlikely(cache == NULL || heap->is_recording)) return 0;
    const unsigned class = acre_class_table[(size + 15) / 16];
    const acre_addr base = acre_magazine_pop(&cache->magazines[class]);
    if (acre_unlikely(base == 0)) return 0;
    uint8_t *const states = acre_states_made(heap, base);
    if (acre_unlikely(states == NULL)) return base;
    const uint64_t room = acre_size_classes[class].block_bytes;
    if (heap->guard->is_host) acre_canary_put(acre_block_pointer(base + size), (size_t)(room - size));
    acre_bounds_set((uintptr_t)base, (size_t)size);
    const acre_block_state state = op == ACRE_HEAP_OP_NEW ? ACRE_BLOCK_LIVE_NEW : ACRE_BLOCK_LIVE;
    __atomic_store_n(states, acre_state_encode(states, room, state, room - size), __ATOMIC_RELEASE);
    return base;
}

acre_addr acre_guard_alloc(acre_heap *heap, uint64_t size, uint64_t alignment, acre_heap_op op, bool *is_zero)
{
    acre_heap_guard *const guard = heap->guard;
    acre_cache *const cache = acre_cache_of(heap);
    *is_zero = false;
    if (acre_likely(guard->is_quick && size <= ACRE_TABLE_BYTES_MAX && alignment <= ACRE_BLOCK_BYTES_MIN)) {
        const acre_addr small = alloc_small(heap, cache, size, op);
        if (acre_likely(small != 0)) return small;
    }
    if (acre_unlikely(guard->pages_one_in != 0) && acre_guard_is_page_due(heap, cache)) {
        const acre_addr paged = acre_guard_page_alloc(heap, size, alignment, op);
        if (paged != 0 && heap->observer != NULL && heap->is_recording) acre_guard_tell(heap, op, paged, size);
        if (paged != 0) return paged;
    }
    const uint64_t padded = guard->has_quarantine && size < UINT64_MAX / 2 ? size + ACRE_GUARD_PAD_BYTES : size;
    acre_known_block block = {.base = 0};
    if (acre_likely(padded <= ACRE_TABLE_BYTES_MAX && alignment <= ACRE_BLOCK_BYTES_MIN && cache != NULL && !heap->is_recording)) {
        const unsigned class = acre_class_table[(padded + 15) / 16];
        block.base = acre_magazine_pop(&cache->magazines[class]);
        block.room = acre_size_classes[class].block_bytes;
    }
    if (block.base == 0) {
        block.base = acre_alloc_plain(heap, padded, size, alignment, op, is_zero);
        if (block.base == 0 || acre_guard_has_page(heap, block.base)) return block.base;
        const unsigned class = acre_page_map_class(heap->map, block.base);
        block.is_large = class == ACRE_CLASS_LARGE;
        if (block.is_large) block.span = acre_page_map_span(heap->map, block.base);
        block.room = block.is_large ? acre_room_of(block.span) : acre_size_classes[class & (ACRE_CLASS_WATCHED - 1)].block_bytes;
    }
    block.states = acre_states_made(heap, block.base);
    if (acre_likely(block.states != NULL)) hand_out(heap, &block, size, op, true);
    return block.base; /* without memory for its state the block is one of those that nobody checks */
}

/* ---- free ---- */

/* Takes a block that is in use out of use. False: it is free, which is reported; `*first` is UNKNOWN when nothing is known of it. */
static bool claim(acre_heap *heap, const acre_known_block *block, acre_block_state to, const char *operation, uint8_t *first)
{
    *first = block->states == NULL ? (uint8_t)ACRE_BLOCK_UNKNOWN : __atomic_load_n(block->states, __ATOMIC_ACQUIRE);
    for (;;) {
        const acre_block_state state = acre_state_of(*first);
        if (state == ACRE_BLOCK_UNKNOWN) return true;
        if (state == ACRE_BLOCK_BUSY) { /* another thread looks at it, or reallocates it, which is soon over */
            acre_os_sleep_ns(1000);
            *first = __atomic_load_n(block->states, __ATOMIC_ACQUIRE);
            continue;
        }
        if (state != ACRE_BLOCK_LIVE && state != ACRE_BLOCK_LIVE_NEW) {
            acre_report_at_block(heap, block, ACRE_FAULT_DOUBLE_FREE, operation, 0, ACRE_TOUCH_UNKNOWN);
            return false;
        }
        const uint8_t changed = acre_state_changed(*first, to);
        if (__atomic_compare_exchange_n(block->states, first, changed, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return true;
    }
}

static void set_state(const acre_known_block *block, acre_block_state state)
{
    const uint8_t first = __atomic_load_n(block->states, __ATOMIC_RELAXED);
    __atomic_store_n(block->states, acre_state_changed(first, state), __ATOMIC_RELEASE);
}

/* A block leaves the quarantine. */
static void let_go(acre_heap *heap, acre_addr base)
{
    acre_fault_kind kind;
    acre_span *const span = acre_block_at(heap, base, &kind);
    assert(span != NULL);
    const acre_known_block block = acre_known_of(heap, span, base);
    const bool is_damaged = acre_check_poison(heap, &block, "write");
    set_state(&block, heap->guard->is_host && !block.is_large && !is_damaged ? ACRE_BLOCK_POISONED : ACRE_BLOCK_FREE);
    acre_free_plain(heap, base, "free", true);
}

static bool take_waiting(acre_heap_guard *guard, bool everybody, acre_waiting_block *left)
{
    acre_lock_take(&guard->lock);
    const bool is_due = acre_quarantine_take(&guard->quarantine, guard->now_ns, everybody, left);
    acre_lock_drop(&guard->lock);
    return is_due;
}

static void let_wait(acre_heap *heap, const acre_known_block *block)
{
    acre_heap_guard *const guard = heap->guard;
    acre_waiting_block left;
    for (bool is_in = false; !is_in;) {
        acre_lock_take(&guard->lock);
        if (guard->put_count++ % CLOCK_STEP == 0) guard->now_ns = acre_os_now_ns();
        is_in = acre_quarantine_count(&guard->quarantine) < guard->quarantine.capacity;
        if (is_in) {
            acre_quarantine_put(&guard->quarantine,
                                (acre_waiting_block){.block = block->base, .size_bytes = block->room, .since_ns = guard->now_ns});
        }
        acre_lock_drop(&guard->lock);
        while (take_waiting(guard, false, &left)) let_go(heap, left.block);
    }
}

/* The block has been claimed, and is nobody's. */
static void finish_free(acre_heap *heap, const acre_known_block *block, const char *operation)
{
    acre_heap_guard *const guard = heap->guard;
    if (!block->is_large) acre_bounds_clear((uintptr_t)block->base, (size_t)block->room);
    if (heap->observer != NULL && (heap->is_recording || acre_span_is_watched(block->span)))
        acre_guard_tell(heap, ACRE_HEAP_OP_FREE, block->base, 0);
    if (guard->has_quarantine && block->room <= guard->quarantine.bytes_max / 2) {
        uint32_t *const sites = block->room > ACRE_GRANULE_BYTES ? acre_sites_at(heap, block->base, false) : NULL;
        if (sites != NULL) sites[1] = acre_site_keep(guard->site_table);
        if (guard->is_host) (void)memset(acre_block_pointer(block->base), ACRE_FREED_BYTE, acre_poison_bytes(block));
        set_state(block, ACRE_BLOCK_WAITING);
        let_wait(heap, block);
    } else {
        set_state(block, ACRE_BLOCK_FREE);
        acre_free_plain(heap, block->base, operation, true);
    }
}

/* What L1 does for nearly every call: a live block of malloc's begins here, its canary is whole, and nobody wants to be told of it. False:
 * nothing was done. The leaf is this heap's own, so a state in it says that the block is. */
static bool free_small(acre_heap *heap, acre_addr address, const char *operation)
{
    const unsigned class = acre_page_map_class(heap->map, address);
    if (class == ACRE_CLASS_NONE || class > ACRE_CLASS_COUNT || heap->observer != NULL || address % ACRE_BLOCK_BYTES_MIN != 0) return false;
    acre_cache *const cache = acre_cache_of(heap);
    uint8_t *const states = acre_states_at(heap, address);
    if (acre_unlikely(cache == NULL || states == NULL)) return false;
    uint8_t first = __atomic_load_n(states, __ATOMIC_ACQUIRE);
    if (acre_unlikely(acre_state_of(first) != ACRE_BLOCK_LIVE || acre_is_delete(operation))) return false;
    const uint64_t room = acre_size_classes[class].block_bytes, slack = acre_slack_decode(states, room, first);
    if (heap->guard->is_host && !acre_run_is_whole(acre_block_pointer(address + room - slack), (size_t)slack, ACRE_CANARY_BYTE))
        return false;
    const uint8_t freed = acre_state_changed(first, ACRE_BLOCK_FREE);
    if (acre_os_is_single_threaded())
        __atomic_store_n(states, freed, __ATOMIC_RELAXED);
    else if (!__atomic_compare_exchange_n(states, &first, freed, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return false;
    acre_bounds_clear((uintptr_t)address, (size_t)(room - slack));
    acre_cache_push(cache, class, address);
    return true;
}

void acre_guard_free(acre_heap *heap, acre_addr address, const char *operation, const acre_free_claim *told)
{
    if (acre_likely(heap->guard->is_quick && told == NULL) && free_small(heap, address, operation)) return;
    if (acre_guard_has_page(heap, address)) {
        acre_guard_page_free(heap, address, operation, told);
        return;
    }
    acre_fault_kind kind;
    acre_span *const span = acre_block_at(heap, address, &kind);
    if (span == NULL) {
        acre_report_no_block(heap, kind, address, operation);
        return;
    }
    const acre_known_block block = acre_known_of(heap, span, address);
    uint8_t first;
    if (!claim(heap, &block, ACRE_BLOCK_FREE, operation, &first)) return;
    if (acre_state_of(first) == ACRE_BLOCK_UNKNOWN) {
        acre_free_plain(heap, address, operation, false);
        return;
    }
    const uint64_t asked = acre_asked_of(&block, first);
    const bool is_new = acre_state_of(first) == ACRE_BLOCK_LIVE_NEW;
    (void)acre_check_canary(heap, &block, asked, operation);
    if (heap->index == 0 && acre_unlikely(told != NULL || is_new != acre_is_delete(operation))) {
        acre_fault fault = acre_fault_of_block(heap, &block, ACRE_FAULT_KIND_MISMATCH, operation);
        acre_check_claim(&fault, operation, is_new, told);
    }
    finish_free(heap, &block, operation);
}

/* ---- resize ---- */

static void resize_told(acre_heap *heap, const acre_known_block *block, bool was_told, uint64_t size)
{
    if (!was_told) return;
    const uint64_t weight = heap->is_recording ? 0 : acre_sample_weight(size, block->room, heap->sample_bytes);
    acre_tell_resized(heap, block->base, true, block->base, size, weight);
}

static void *resize_by_copy(acre_heap *heap, acre_addr from, uint64_t kept, size_t size)
{
    bool is_zero;
    const acre_addr to = acre_guard_alloc(heap, size, 1, ACRE_HEAP_OP_ALLOC, &is_zero);
    if (to != 0) memcpy(acre_block_pointer(to), acre_block_pointer(from), (size_t)acre_min_size((size_t)kept, size));
    return acre_block_pointer(to);
}

static void *resize_page(acre_heap *heap, acre_addr from, size_t size, const char *operation)
{
    const acre_page_slot *const slot = acre_page_pool_slot(&heap->guard->pool, from);
    void *to = NULL;
    if (slot->block == from && slot->state == ACRE_SLOT_LIVE) {
        bool is_zero;
        const uint64_t kept = acre_min_size(slot->asked_bytes, size);
        to = acre_block_pointer(acre_alloc_aligned(heap, size, 1, ACRE_HEAP_OP_ALLOC, &is_zero));
        if (to == NULL) return NULL;
        memcpy(to, acre_block_pointer(from), (size_t)kept);
    }
    acre_guard_page_free(heap, from, operation, NULL); /* which reports what is wrong */
    return to;
}

void *acre_guard_resize(acre_heap *heap, void *old, size_t size, const char *operation)
{
    const acre_addr from = (uintptr_t)old;
    if (acre_guard_has_page(heap, from)) return resize_page(heap, from, size, operation);
    acre_fault_kind kind;
    acre_span *const span = acre_block_at(heap, from, &kind);
    if (span == NULL) {
        acre_report_no_block(heap, kind, from, operation);
        return NULL;
    }
    acre_known_block block = acre_known_of(heap, span, from);
    uint8_t first;
    if (!claim(heap, &block, ACRE_BLOCK_BUSY, operation, &first)) return NULL;
    if (acre_state_of(first) == ACRE_BLOCK_UNKNOWN) {
        void *const to = resize_by_copy(heap, from, block.room, size);
        if (to != NULL) acre_free_plain(heap, from, operation, false);
        return to;
    }
    const uint64_t asked = acre_asked_of(&block, first);
    (void)acre_check_canary(heap, &block, asked, operation);
    if (heap->index == 0 && acre_state_of(first) == ACRE_BLOCK_LIVE_NEW) {
        const acre_fault fault = acre_fault_of_block(heap, &block, ACRE_FAULT_KIND_MISMATCH, operation);
        acre_fault_report(&fault);
    }
    const bool was_told = heap->observer != NULL && (heap->is_recording || acre_span_is_watched(span));
    const bool has_quarantine = heap->guard->has_quarantine;
    if (!block.is_large && size <= ACRE_SMALL_BYTES_MAX && acre_stays(block.room, size + (has_quarantine ? ACRE_GUARD_PAD_BYTES : 0))) {
        acre_bounds_clear((uintptr_t)from, (size_t)asked);
        if (has_quarantine && size > asked) (void)memset(acre_block_pointer(from + asked), ACRE_FRESH_BYTE, (size_t)(size - asked));
        hand_out(heap, &block, size, ACRE_HEAP_OP_REALLOC, false);
        resize_told(heap, &block, was_told, size);
        return old;
    }
    if (block.is_large && size > ACRE_SMALL_BYTES_MAX && !has_quarantine) {
        set_state(&block, ACRE_BLOCK_FREE); /* where it moves, the old place is another thread's at once */
        const acre_addr to = acre_resize_large(heap, span, size, was_told);
        if (to != 0) {
            block = (acre_known_block){
                .base = to, .span = acre_page_map_span(heap->map, to), .is_large = true, .states = acre_states_made(heap, to)};
            block.room = acre_room_of(block.span);
            if (block.states != NULL) hand_out(heap, &block, size, ACRE_HEAP_OP_REALLOC, false);
            return acre_block_pointer(to);
        }
        set_state(&block, ACRE_BLOCK_BUSY);
    }
    void *const to = resize_by_copy(heap, from, asked, size);
    if (to != NULL)
        finish_free(heap, &block, operation);
    else
        __atomic_store_n(block.states, first, __ATOMIC_RELEASE);
    return to;
}

/* ---- questions ---- */

uint64_t acre_guard_asked(const acre_heap *heap, acre_addr base)
{
    /* The leaf is this heap's own, so a state that is live says that a block of its begins here. */
    const unsigned class = acre_page_map_class(heap->map, base);
    if (acre_likely(class != ACRE_CLASS_NONE && class <= ACRE_CLASS_COUNT && base % ACRE_BLOCK_BYTES_MIN == 0)) {
        const uint8_t *const states = acre_states_at(heap, base);
        const uint8_t first = states == NULL ? 0 : __atomic_load_n(states, __ATOMIC_ACQUIRE);
        const uint64_t room = acre_size_classes[class].block_bytes;
        if (acre_likely(acre_state_of(first) == ACRE_BLOCK_LIVE)) return room - acre_slack_decode(states, room, first);
    }
    acre_fault_kind kind;
    acre_span *const span = acre_block_at(heap, base, &kind);
    if (span == NULL) return 0;
    const acre_known_block block = acre_known_of(heap, span, base);
    const uint8_t first = block.states == NULL ? 0 : __atomic_load_n(block.states, __ATOMIC_ACQUIRE);
    return acre_state_of(first) == ACRE_BLOCK_UNKNOWN ? block.room : acre_asked_of(&block, first);
}

bool acre_guard_is_out(const acre_heap *heap, acre_addr block)
{
    const uint8_t *const states = acre_states_at(heap, block);
    return states == NULL || acre_state_is_out(acre_state_of(__atomic_load_n(states, __ATOMIC_ACQUIRE)));
}

void acre_guard_forget(acre_heap *heap, acre_addr base, uint64_t unit_count)
{
    for (uint64_t unit = 0; unit < unit_count; unit++) { /* one by one, since a run may go on in the next leaf */
        uint8_t *const states = acre_states_made(heap, base + (unit << ACRE_UNIT_SHIFT));
        if (states != NULL) (void)memset(states, ACRE_BLOCK_FREE, ACRE_GRANULES_PER_UNIT);
    }
}

/* ---- the guard as a whole ---- */

static acre_status open_checks(acre_heap *heap, acre_heap_guard *guard, const acre_guard_limits *limits)
{
    const size_t root_bytes = heap->map->slot_count * sizeof(void *);
    guard->states = acre_meta_alloc(&heap->meta, root_bytes);
    if (guard->states == NULL) return ACRE_NO_MEMORY;
    if (heap->map == &acre_host_map) acre_bounds_open();
    if (!guard->has_quarantine) return ACRE_OK;
    uint32_t capacity = QUARANTINE_COUNT;
    if ((heap->meta.space->info.capabilities & ACRE_CAP_FIXED) != 0) capacity = 64; /* all of it would be taken at once */
    guard->quarantine = (acre_quarantine){
        .ring = acre_meta_alloc(&heap->meta, capacity * sizeof(acre_waiting_block)),
        .capacity = capacity,
        .bytes_max = limits->quarantine_bytes != 0 ? limits->quarantine_bytes : QUARANTINE_BYTES_DEFAULT,
        .ns_max = limits->quarantine_ns != 0 ? limits->quarantine_ns : QUARANTINE_NS_DEFAULT,
    };
    if (guard->quarantine.ring == NULL) return ACRE_NO_MEMORY;
    if (!acre_sites_are_kept()) return ACRE_OK;
    guard->sites = acre_meta_alloc(&heap->meta, root_bytes);
    guard->site_table = acre_meta_alloc(&heap->meta, ACRE_SITE_TABLE_COUNT * sizeof(acre_site_entry));
    return guard->sites != NULL && guard->site_table != NULL ? ACRE_OK : ACRE_NO_MEMORY;
}

acre_status acre_guard_open(acre_heap *heap, acre_guard_level level, const acre_guard_limits *limits)
{
    if ((unsigned)level > ACRE_GUARD_L3 || limits->pages_one_in > ACRE_PAGES_ONE_IN_MAX) {
        return acre_fail(ACRE_INVALID, "heap '%s': guard level %u with pages for one in %u: levels go to %d, the other to %d", heap->name,
                         (unsigned)level, (unsigned)limits->pages_one_in, (int)ACRE_GUARD_L3, (int)ACRE_PAGES_ONE_IN_MAX);
    }
    if (level == ACRE_GUARD_L0) return ACRE_OK;
    acre_heap_guard *const guard = acre_meta_alloc(&heap->meta, sizeof *guard);
    if (guard == NULL) return ACRE_NO_MEMORY;
    guard->has_checks = level == ACRE_GUARD_L1 || level == ACRE_GUARD_L2;
    guard->has_quarantine = level == ACRE_GUARD_L2;
    guard->is_host = (heap->space->info.capabilities & ACRE_CAP_HOST_ACCESS) != 0;
    guard->pages_one_in = limits->pages_one_in;
    if (level == ACRE_GUARD_L3 && guard->pages_one_in == 0) guard->pages_one_in = PAGES_ONE_IN_DEFAULT;
    acre_status status = guard->has_checks ? open_checks(heap, guard, limits) : ACRE_OK;
    if (status == ACRE_OK && guard->pages_one_in != 0) status = acre_guard_pages_open(heap, guard);
    if (status != ACRE_OK) return status;
    guard->is_quick = level == ACRE_GUARD_L1 && guard->pages_one_in == 0;
    heap->guard = guard;
    if (!guard->has_checks) heap->guard_stop_blocks = guard->pages_one_in;
    acre_heap_follow_switches(heap);
    return ACRE_OK;
}

/* The blocks that are still out go with the heap, and their addresses to somebody else. */
static void forget_bounds(const acre_heap *heap)
{
    const acre_bounds *const bounds = &acre_bounds_of_window;
    for (const acre_region *region = heap->arena.regions; region != NULL; region = region->next) {
        for (uint64_t i = 0; i < region->used_count; i++) {
            const acre_addr unit = region->base + (i << ACRE_UNIT_SHIFT);
            const unsigned class = acre_page_map_class(heap->map, unit) & (ACRE_CLASS_WATCHED - 1);
            if (class == ACRE_CLASS_NONE || class > ACRE_CLASS_COUNT || unit - bounds->base >= bounds->bytes) continue;
            (void)memset(bounds->reach + ((unit - bounds->base) >> ACRE_GRANULE_SHIFT), 0, ACRE_GRANULES_PER_UNIT);
        }
    }
}

void acre_guard_close(acre_heap *heap)
{
    if (heap->guard == NULL) return;
    if (heap->guard->has_checks) forget_bounds(heap);
    (void)acre_guard_check_waiting(heap);
    if (heap->guard->pages_one_in != 0) acre_guard_pages_close(heap);
}
