/* guarded.c - see guarded.h. From top to bottom: what is kept of a block, faults, guard pages, alloc, free, resize, looking at everything,
 * checking an access, and the guard as a whole. */
#include "heap/guarded.h"
#include "base/status.h"
#include "guard/block_state.h"
#include "guard/canary.h"
#include "guard/fault.h"
#include "heap/bounds.h"
#include "heap/cache.h"
#include "heap/registry.h"
#include "heap/sample.h"

#include <string.h>

enum {
    QUARANTINE_COUNT = 64 * 1024,   /* blocks that wait at most */
    CLOCK_STEP = 64,                /* frees between two looks at the clock */
    PAD_BYTES = 16,                 /* at L2 each block is this much larger, so that each has a canary */
    POISON_BYTES_MAX = 64 * 1024,   /* of one block */
    CANARY_PAGE_BYTES = 4096,
    GRANULES_PER_UNIT = ACRE_UNIT_BYTES / ACRE_GRANULE_BYTES,
    PAGES_ONE_IN_DEFAULT = 1000,
    PAGES_ONE_IN_LIMITED = 100,     /* from here on ... */
    PAGES_PERIOD_NS = 10 * 1000000, /* ... at most 1000 a second */
    PAGES_PER_PERIOD = 10,
};
#define QUARANTINE_BYTES_DEFAULT ((uint64_t)8 << 20)
#define QUARANTINE_NS_DEFAULT    ((uint64_t)60 * 1000000000)

static char *pointer_of(acre_addr address) { return (char *)(uintptr_t)address; }

/* ---- what is kept of a block ---- */

/* The place of a granule in its leaf. O(1). */
static size_t granule_of(const acre_page_map *map, acre_addr address, uint64_t *slot)
{
    const uint64_t offset = address - map->base;
    *slot = offset >> map->slot_shift;
    return (size_t)((offset - (*slot << map->slot_shift)) >> ACRE_GRANULE_SHIFT);
}

/* A leaf of `bytes` a granule; NULL when there is no memory. */
static void *make_leaf(acre_heap *heap, void **place, size_t bytes)
{
    acre_heap_guard *const guard = heap->guard;
    acre_lock_take(&guard->lock);
    if (*place == NULL) {
        void *const leaf = acre_meta_alloc(&heap->meta, heap->map->slot_units * GRANULES_PER_UNIT * bytes);
        if (leaf != NULL) acre_store_pointer(place, leaf);
    }
    acre_lock_drop(&guard->lock);
    return *place;
}

/* The bytes of a block; NULL when there is no leaf and none may be made. */
static uint8_t *states_at(const acre_heap *heap, acre_addr block)
{
    uint64_t slot;
    const size_t granule = granule_of(heap->map, block, &slot);
    uint8_t *const leaf = acre_load_pointer(&heap->guard->states[slot]);
    return leaf == NULL ? NULL : leaf + granule;
}

static uint8_t *states_made(acre_heap *heap, acre_addr block)
{
    uint64_t slot;
    const size_t granule = granule_of(heap->map, block, &slot);
    uint8_t *leaf = acre_load_pointer(&heap->guard->states[slot]);
    if (acre_unlikely(leaf == NULL)) leaf = make_leaf(heap, (void **)&heap->guard->states[slot], sizeof(uint8_t));
    return leaf == NULL ? NULL : leaf + granule;
}

/* The two numbers of a block; NULL where none are kept. The smallest blocks have one only. */
static uint32_t *sites_at(acre_heap *heap, acre_addr block, bool may_make)
{
    acre_heap_guard *const guard = heap->guard;
    if (guard->sites == NULL || guard->site_table == NULL) return NULL;
    uint64_t slot;
    const size_t granule = granule_of(heap->map, block, &slot);
    uint32_t *leaf = acre_load_pointer(&guard->sites[slot]);
    if (leaf == NULL && may_make) leaf = make_leaf(heap, (void **)&guard->sites[slot], sizeof *leaf);
    return leaf == NULL ? NULL : leaf + granule;
}

/* A block of the heap's own memory as it stands in the map. */
typedef struct known_block {
    acre_addr base;
    acre_span *span;
    uint64_t room;
    uint8_t *states;
    bool is_large;
} known_block;

static uint64_t asked_of(const known_block *block, uint8_t first)
{
    return block->is_large ? block->span->size_bytes : block->room - acre_slack_decode(block->states, block->room, first);
}

/* Where the canary ends: behind a large block it takes a page of its own only at L2. */
static uint64_t canary_end(const acre_heap_guard *guard, const known_block *block, uint64_t asked)
{
    if (!block->is_large) return block->room;
    const uint64_t end = acre_align_up(asked, CANARY_PAGE_BYTES);
    return acre_min_size(block->room, acre_max_size(end, guard->has_quarantine ? asked + PAD_BYTES : 0));
}

static known_block known_of(const acre_heap *heap, acre_span *span, acre_addr base)
{
    return (known_block){.base = base,
                         .span = span,
                         .room = acre_room_of(span),
                         .states = states_at(heap, base),
                         .is_large = span->kind == ACRE_SPAN_LARGE};
}

/* ---- faults ---- */

static acre_fault fault_of(acre_heap *heap, const known_block *block, acre_fault_kind kind, const char *operation)
{
    acre_fault fault = {.kind = kind, .heap_name = heap->name, .address = block->base, .block = block->base, .size_bytes = block->room,
                        .operation = operation};
    const uint8_t first = block->states == NULL ? 0 : __atomic_load_n(block->states, __ATOMIC_ACQUIRE);
    if (acre_state_of(first) != ACRE_BLOCK_UNKNOWN) {
        fault.has_asked = true;
        fault.asked_bytes = asked_of(block, first);
    }
    const uint32_t *const sites = sites_at(heap, block->base, false);
    if (sites != NULL) {
        fault.alloc_site = acre_site_get(heap->guard->site_table, sites[0]);
        if (block->room > ACRE_GRANULE_BYTES && !acre_state_is_out(acre_state_of(first)))
            fault.free_site = acre_site_get(heap->guard->site_table, sites[1]);
    }
    return fault;
}

static void report_at(acre_heap *heap, const known_block *block, acre_fault_kind kind, const char *operation, uint64_t offset,
                      acre_touch touch)
{
    acre_fault fault = fault_of(heap, block, kind, operation);
    fault.address = block->base + offset;
    fault.offset = (int64_t)offset;
    fault.touch = touch;
    acre_fault_report(&fault);
}

/* What free got is no block. */
static void report_no_block(acre_heap *heap, acre_fault_kind kind, acre_addr address, const char *operation)
{
    acre_fault fault = {.kind = kind, .heap_name = heap->name, .address = address, .operation = operation};
    acre_block block;
    if (kind == ACRE_FAULT_INTERIOR_FREE && acre_heap_block_of(heap, address, &block, NULL)) {
        acre_span *const span = acre_page_map_span(heap->map, block.base);
        known_block known = {.base = block.base, .span = span, .room = block.size_bytes, .states = states_at(heap, block.base),
                             .is_large = span->kind == ACRE_SPAN_LARGE};
        fault = fault_of(heap, &known, kind, operation);
        fault.address = address;
        fault.offset = (int64_t)(address - block.base);
    }
    acre_fault_report(&fault);
}

/* Damage that begins behind intact bytes and reaches the end came from the next block, which begins there. */
static acre_fault_kind kind_of_damage(uint64_t size, size_t first, size_t last)
{
    return first >= 4 && last == size - 1 ? ACRE_FAULT_UNDERFLOW : ACRE_FAULT_OVERFLOW;
}

/* Returns true when the canary was damaged. */
static bool check_canary(acre_heap *heap, const known_block *block, uint64_t asked, const char *operation)
{
    if (!heap->guard->is_host) return false;
    const uint64_t size = canary_end(heap->guard, block, asked) - asked;
    if (acre_likely(acre_run_is_whole(pointer_of(block->base + asked), (size_t)size, ACRE_CANARY_BYTE))) return false;
    size_t first, last;
    if (!acre_run_damage(pointer_of(block->base + asked), (size_t)size, ACRE_CANARY_BYTE, &first, &last)) return false;
    const acre_fault_kind kind = kind_of_damage(size, first, last);
    report_at(heap, block, kind, operation, asked + (kind == ACRE_FAULT_UNDERFLOW ? last : first), ACRE_TOUCH_WRITE);
    return true;
}

static size_t poison_bytes(const known_block *block) { return acre_min_size((size_t)block->room, POISON_BYTES_MAX); }

static bool check_poison(acre_heap *heap, const known_block *block, const char *operation)
{
    size_t first, last;
    if (!heap->guard->is_host || acre_run_is_whole(pointer_of(block->base), poison_bytes(block), ACRE_FREED_BYTE)) return false;
    if (!acre_run_damage(pointer_of(block->base), poison_bytes(block), ACRE_FREED_BYTE, &first, &last)) return false;
    report_at(heap, block, ACRE_FAULT_USE_AFTER_FREE, operation, first, ACRE_TOUCH_WRITE);
    return true;
}

/* `__builtin_frame_address` belongs to a function that the allocation leads through. */
__attribute__((always_inline)) static inline void tell(acre_heap *heap, acre_heap_op op, acre_addr address, uint64_t size)
{
    heap->observer(&(acre_heap_event){.op = op, .address = address, .size_bytes = size, .frame = __builtin_frame_address(0)});
}

/* ---- guard pages ---- */

/* The canary between the block's end and the page without access, which alignment leaves. */
static size_t page_gap(const acre_page_slot *slot)
{
    const acre_addr end = slot->block + slot->asked_bytes;
    return (size_t)(acre_align_up(acre_max_size((size_t)end, (size_t)slot->block + 1), acre_os_page_size()) - end);
}

/* A block in guard pages costs some 10 us, so a program that allocates millions a second gets fewer than one in so many. */
static bool may_choose(acre_heap_guard *guard)
{
    if (guard->pages_one_in < PAGES_ONE_IN_LIMITED) return true;
    const uint64_t period = acre_os_now_ns() / PAGES_PERIOD_NS;
    acre_lock_take(&guard->lock);
    if (guard->pages_period != period) guard->pages_in_period = 0;
    guard->pages_period = period;
    const bool may = guard->pages_in_period < PAGES_PER_PERIOD;
    guard->pages_in_period += may;
    acre_lock_drop(&guard->lock);
    return may;
}

acre_addr acre_guard_page_alloc(acre_heap *heap, uint64_t size, uint64_t alignment, acre_heap_op op)
{
    if (!may_choose(heap->guard)) return 0;
    acre_page_slot *const slot = acre_page_pool_alloc(&heap->guard->pool, size, acre_max_size(alignment, ACRE_BLOCK_BYTES_MIN));
    if (slot == NULL) return 0;
    slot->is_new = op == ACRE_HEAP_OP_NEW;
    slot->free_site.count = 0;
    acre_site_capture(&slot->alloc_site);
    if (heap->guard->has_quarantine && op != ACRE_HEAP_OP_CALLOC) (void)memset(pointer_of(slot->block), ACRE_FRESH_BYTE, (size_t)size);
    acre_canary_put(pointer_of(slot->block + size), page_gap(slot));
    return slot->block;
}

bool acre_guard_is_page_due(const acre_heap *heap, acre_cache *cache)
{
    const uint32_t one_in = heap->guard->pages_one_in;
    if (one_in == 0 || cache == NULL) return false;
    cache->random ^= cache->random << 13;
    cache->random ^= cache->random >> 7;
    cache->random ^= cache->random << 17;
    return cache->random % one_in == 0;
}

static acre_fault fault_of_slot(const acre_heap *heap, const acre_page_slot *slot, acre_fault_kind kind, acre_addr address,
                                const char *operation)
{
    return (acre_fault){.kind = kind, .heap_name = heap->name, .address = address, .block = slot->block, .size_bytes = slot->asked_bytes,
                        .operation = operation, .has_asked = true, .asked_bytes = slot->asked_bytes,
                        .offset = (int64_t)(address - slot->block), .alloc_site = slot->alloc_site, .free_site = slot->free_site};
}

static bool is_delete(const char *operation) { return operation[0] == 'o'; }

static void check_claim(acre_fault *fault, const char *operation, bool is_new, const acre_free_claim *claim)
{
    if (is_new != is_delete(operation)) {
        fault->kind = ACRE_FAULT_KIND_MISMATCH;
        acre_fault_report(fault);
    } else if (claim != NULL && claim->size_bytes != 0 && claim->size_bytes != fault->asked_bytes) {
        fault->kind = ACRE_FAULT_SIZE_MISMATCH;
        fault->told_bytes = claim->size_bytes;
        acre_fault_report(fault);
    } else if (claim != NULL && claim->alignment > 1 && fault->block % claim->alignment != 0) {
        fault->kind = ACRE_FAULT_SIZE_MISMATCH;
        fault->told_bytes = claim->alignment;
        acre_fault_report(fault);
    }
}

static void page_free(acre_heap *heap, acre_addr address, const char *operation, const acre_free_claim *claim)
{
    acre_page_slot *const slot = acre_page_pool_slot(&heap->guard->pool, address);
    uint32_t state = ACRE_SLOT_LIVE;
    if (address != slot->block || __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == ACRE_SLOT_UNUSED) {
        const bool is_inside = address - slot->block < slot->asked_bytes;
        const acre_fault fault =
            fault_of_slot(heap, slot, is_inside ? ACRE_FAULT_INTERIOR_FREE : ACRE_FAULT_FOREIGN_FREE, address, operation);
        acre_fault_report(&fault);
        return;
    }
    if (!__atomic_compare_exchange_n(&slot->state, &state, ACRE_SLOT_FREED, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        const acre_fault fault = fault_of_slot(heap, slot, ACRE_FAULT_DOUBLE_FREE, address, operation);
        acre_fault_report(&fault);
        return;
    }
    size_t first, last;
    if (acre_run_damage(pointer_of(slot->block + slot->asked_bytes), page_gap(slot), ACRE_CANARY_BYTE, &first, &last)) {
        acre_fault fault = fault_of_slot(heap, slot, ACRE_FAULT_OVERFLOW, slot->block + slot->asked_bytes + first, operation);
        fault.touch = ACRE_TOUCH_WRITE;
        acre_fault_report(&fault);
    }
    if (heap->index == 0) {
        acre_fault fault = fault_of_slot(heap, slot, ACRE_FAULT_KIND_MISMATCH, address, operation);
        check_claim(&fault, operation, slot->is_new, claim);
    }
    acre_site_capture(&slot->free_site);
    if (heap->observer != NULL && heap->is_recording) tell(heap, ACRE_HEAP_OP_FREE, address, 0);
    acre_page_pool_free(&heap->guard->pool, slot);
}

bool acre_guard_page_block(const acre_heap *heap, acre_addr address, acre_block *block)
{
    if (!acre_guard_has_page(heap, address)) return false;
    const acre_page_slot *const slot = acre_page_pool_slot(&heap->guard->pool, address);
    const bool is_live = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == ACRE_SLOT_LIVE;
    if (!is_live || address - slot->block >= acre_max_size(slot->asked_bytes, 1)) return false;
    *block = (acre_block){.base = slot->block, .size_bytes = slot->asked_bytes, .is_out = true};
    return true;
}

/* Whose pages a refused access may lie in. */
static acre_heap *paged_heaps[ACRE_HEAP_COUNT_MAX];

static void on_fault(uintptr_t address, char access)
{
    for (unsigned i = 0; i < ACRE_HEAP_COUNT_MAX; i++) {
        const acre_heap *const heap = acre_load_pointer(&paged_heaps[i]);
        if (heap == NULL || !acre_guard_has_page(heap, address)) continue;
        const acre_page_slot *const slot = acre_page_pool_slot(&heap->guard->pool, address);
        if (slot->state == ACRE_SLOT_UNUSED) return;
        const acre_fault_kind kind = slot->state == ACRE_SLOT_FREED   ? ACRE_FAULT_USE_AFTER_FREE
                                     : address < slot->block ? ACRE_FAULT_UNDERFLOW
                                                             : ACRE_FAULT_OVERFLOW;
        acre_fault fault = fault_of_slot(heap, slot, kind, address, access == 'w' ? "write" : access == 'r' ? "read" : "access");
        fault.touch = access == 'w' ? ACRE_TOUCH_WRITE : access == 'r' ? ACRE_TOUCH_READ : ACRE_TOUCH_UNKNOWN;
        acre_fault_announce(&fault);
        return;
    }
}

/* ---- alloc ---- */

/* From each unit of a large block its beginning is found in one step: acre_check is asked of any address. */
static void mark_units(const acre_heap *heap, const known_block *block, uint64_t size)
{
    block->span->size_bytes = size;
    for (uint32_t unit = 1; unit < block->span->unit_count; unit++)
        acre_page_map_span(heap->map, block->base + ((acre_addr)unit << ACRE_UNIT_SHIFT))->units_before = unit;
}

/* The block is the caller's from here on. */
static void hand_out(acre_heap *heap, const known_block *block, uint64_t size, acre_heap_op op, bool is_fresh)
{
    acre_heap_guard *const guard = heap->guard;
    if (block->is_large)
        mark_units(heap, block, size);
    else
        acre_bounds_set((uintptr_t)block->base, (size_t)size);
    if (guard->has_quarantine) {
        if (!block->is_large && acre_state_of(*block->states) == ACRE_BLOCK_POISONED) (void)check_poison(heap, block, "write");
        if (guard->is_host && is_fresh && op != ACRE_HEAP_OP_CALLOC)
            (void)memset(pointer_of(block->base), ACRE_FRESH_BYTE, acre_min_size((size_t)size, POISON_BYTES_MAX));
        uint32_t *const sites = sites_at(heap, block->base, true);
        if (sites != NULL) sites[0] = acre_site_keep(guard->site_table);
    }
    if (guard->is_host) acre_canary_put(pointer_of(block->base + size), (size_t)(canary_end(guard, block, size) - size));
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
    uint8_t *const states = states_made(heap, base);
    if (acre_unlikely(states == NULL)) return base;
    const uint64_t room = acre_size_classes[class].block_bytes;
    if (heap->guard->is_host) acre_canary_put(pointer_of(base + size), (size_t)(room - size));
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
        if (paged != 0 && heap->observer != NULL && heap->is_recording) tell(heap, op, paged, size);
        if (paged != 0) return paged;
    }
    const uint64_t padded = guard->has_quarantine && size < UINT64_MAX / 2 ? size + PAD_BYTES : size;
    known_block block = {.base = 0};
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
    block.states = states_made(heap, block.base);
    if (acre_likely(block.states != NULL)) hand_out(heap, &block, size, op, true);
    return block.base; /* without memory for its state the block is one of those that nobody checks */
}

/* ---- free ---- */

/* Takes a block that is in use out of use. False: it is free, which is reported; `*first` is UNKNOWN when nothing is known of it. */
static bool claim(acre_heap *heap, const known_block *block, acre_block_state to, const char *operation, uint8_t *first)
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
            report_at(heap, block, ACRE_FAULT_DOUBLE_FREE, operation, 0, ACRE_TOUCH_UNKNOWN);
            return false;
        }
        const uint8_t changed = acre_state_changed(*first, to);
        if (__atomic_compare_exchange_n(block->states, first, changed, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return true;
    }
}

static void set_state(const known_block *block, acre_block_state state)
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
    const known_block block = known_of(heap, span, base);
    const bool is_damaged = check_poison(heap, &block, "write");
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

static void let_wait(acre_heap *heap, const known_block *block)
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
static void finish_free(acre_heap *heap, const known_block *block, const char *operation)
{
    acre_heap_guard *const guard = heap->guard;
    if (!block->is_large) acre_bounds_clear((uintptr_t)block->base, (size_t)block->room);
    if (heap->observer != NULL && (heap->is_recording || (block->span->class & ACRE_CLASS_WATCHED) != 0))
        tell(heap, ACRE_HEAP_OP_FREE, block->base, 0);
    if (guard->has_quarantine && block->room <= guard->quarantine.bytes_max / 2) {
        uint32_t *const sites = block->room > ACRE_GRANULE_BYTES ? sites_at(heap, block->base, false) : NULL;
        if (sites != NULL) sites[1] = acre_site_keep(guard->site_table);
        if (guard->is_host) (void)memset(pointer_of(block->base), ACRE_FREED_BYTE, poison_bytes(block));
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
    uint8_t *const states = states_at(heap, address);
    if (acre_unlikely(cache == NULL || states == NULL)) return false;
    uint8_t first = __atomic_load_n(states, __ATOMIC_ACQUIRE);
    if (acre_unlikely(acre_state_of(first) != ACRE_BLOCK_LIVE || is_delete(operation))) return false;
    const uint64_t room = acre_size_classes[class].block_bytes, slack = acre_slack_decode(states, room, first);
    if (heap->guard->is_host && !acre_run_is_whole(pointer_of(address + room - slack), (size_t)slack, ACRE_CANARY_BYTE)) return false;
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
        page_free(heap, address, operation, told);
        return;
    }
    acre_fault_kind kind;
    acre_span *const span = acre_block_at(heap, address, &kind);
    if (span == NULL) {
        report_no_block(heap, kind, address, operation);
        return;
    }
    const known_block block = known_of(heap, span, address);
    uint8_t first;
    if (!claim(heap, &block, ACRE_BLOCK_FREE, operation, &first)) return;
    if (acre_state_of(first) == ACRE_BLOCK_UNKNOWN) {
        acre_free_plain(heap, address, operation, false);
        return;
    }
    const uint64_t asked = asked_of(&block, first);
    const bool is_new = acre_state_of(first) == ACRE_BLOCK_LIVE_NEW;
    (void)check_canary(heap, &block, asked, operation);
    if (heap->index == 0 && acre_unlikely(told != NULL || is_new != is_delete(operation))) {
        acre_fault fault = fault_of(heap, &block, ACRE_FAULT_KIND_MISMATCH, operation);
        check_claim(&fault, operation, is_new, told);
    }
    finish_free(heap, &block, operation);
}

/* ---- resize ---- */

static void resize_told(acre_heap *heap, const known_block *block, bool was_told, uint64_t size)
{
    if (!was_told) return;
    const uint64_t weight = heap->is_recording ? 0 : acre_sample_weight(size, block->room, heap->sample_bytes);
    acre_tell_resized(heap, block->base, true, block->base, size, weight);
}

static void *resize_by_copy(acre_heap *heap, acre_addr from, uint64_t kept, size_t size)
{
    bool is_zero;
    const acre_addr to = acre_guard_alloc(heap, size, 1, ACRE_HEAP_OP_ALLOC, &is_zero);
    if (to != 0) memcpy(pointer_of(to), pointer_of(from), (size_t)acre_min_size((size_t)kept, size));
    return pointer_of(to);
}

static void *resize_page(acre_heap *heap, acre_addr from, size_t size, const char *operation)
{
    const acre_page_slot *const slot = acre_page_pool_slot(&heap->guard->pool, from);
    void *to = NULL;
    if (slot->block == from && slot->state == ACRE_SLOT_LIVE) {
        bool is_zero;
        const uint64_t kept = acre_min_size(slot->asked_bytes, size);
        to = pointer_of(acre_alloc_aligned(heap, size, 1, ACRE_HEAP_OP_ALLOC, &is_zero));
        if (to == NULL) return NULL;
        memcpy(to, pointer_of(from), (size_t)kept);
    }
    page_free(heap, from, operation, NULL); /* which reports what is wrong */
    return to;
}

void *acre_guard_resize(acre_heap *heap, void *old, size_t size, const char *operation)
{
    const acre_addr from = (uintptr_t)old;
    if (acre_guard_has_page(heap, from)) return resize_page(heap, from, size, operation);
    acre_fault_kind kind;
    acre_span *const span = acre_block_at(heap, from, &kind);
    if (span == NULL) {
        report_no_block(heap, kind, from, operation);
        return NULL;
    }
    known_block block = known_of(heap, span, from);
    uint8_t first;
    if (!claim(heap, &block, ACRE_BLOCK_BUSY, operation, &first)) return NULL;
    if (acre_state_of(first) == ACRE_BLOCK_UNKNOWN) {
        void *const to = resize_by_copy(heap, from, block.room, size);
        if (to != NULL) acre_free_plain(heap, from, operation, false);
        return to;
    }
    const uint64_t asked = asked_of(&block, first);
    (void)check_canary(heap, &block, asked, operation);
    if (heap->index == 0 && acre_state_of(first) == ACRE_BLOCK_LIVE_NEW) {
        const acre_fault fault = fault_of(heap, &block, ACRE_FAULT_KIND_MISMATCH, operation);
        acre_fault_report(&fault);
    }
    const bool was_told = heap->observer != NULL && (heap->is_recording || (span->class & ACRE_CLASS_WATCHED) != 0);
    const bool has_quarantine = heap->guard->has_quarantine;
    if (!block.is_large && size <= ACRE_SMALL_BYTES_MAX && acre_stays(block.room, size + (has_quarantine ? PAD_BYTES : 0))) {
        acre_bounds_clear((uintptr_t)from, (size_t)asked);
        if (has_quarantine && size > asked) (void)memset(pointer_of(from + asked), ACRE_FRESH_BYTE, (size_t)(size - asked));
        hand_out(heap, &block, size, ACRE_HEAP_OP_REALLOC, false);
        resize_told(heap, &block, was_told, size);
        return old;
    }
    if (block.is_large && size > ACRE_SMALL_BYTES_MAX && !has_quarantine) {
        set_state(&block, ACRE_BLOCK_FREE); /* where it moves, the old place is another thread's at once */
        const acre_addr to = acre_resize_large(heap, span, size, was_told);
        if (to != 0) {
            block = (known_block){.base = to, .span = acre_page_map_span(heap->map, to), .is_large = true, .states = states_made(heap, to)};
            block.room = acre_room_of(block.span);
            if (block.states != NULL) hand_out(heap, &block, size, ACRE_HEAP_OP_REALLOC, false);
            return pointer_of(to);
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

uint64_t acre_guard_asked(const acre_heap *heap, acre_addr base, uint64_t room)
{
    acre_fault_kind kind;
    acre_span *const span = acre_block_at(heap, base, &kind);
    if (span == NULL) return room;
    const known_block block = known_of(heap, span, base);
    const uint8_t first = block.states == NULL ? 0 : __atomic_load_n(block.states, __ATOMIC_ACQUIRE);
    return acre_state_of(first) == ACRE_BLOCK_UNKNOWN ? room : asked_of(&block, first);
}

bool acre_guard_is_out(const acre_heap *heap, acre_addr block)
{
    const uint8_t *const states = states_at(heap, block);
    return states == NULL || acre_state_is_out(acre_state_of(__atomic_load_n(states, __ATOMIC_ACQUIRE)));
}

void acre_guard_forget(acre_heap *heap, acre_addr base, uint64_t unit_count)
{
    for (uint64_t unit = 0; unit < unit_count; unit++) { /* one by one, since a run may go on in the next leaf */
        uint8_t *const states = states_made(heap, base + (unit << ACRE_UNIT_SHIFT));
        if (states != NULL) (void)memset(states, ACRE_BLOCK_FREE, GRANULES_PER_UNIT);
    }
}

/* ---- looking at everything ---- */

/* One block, which is held meanwhile. Others may free it before or after. */
static uint64_t look_at(acre_heap *heap, acre_addr base, unsigned class)
{
    known_block block = {.base = base, .states = states_at(heap, base)};
    if (block.states == NULL) return 0;
    uint8_t first = __atomic_load_n(block.states, __ATOMIC_ACQUIRE);
    const acre_block_state state = acre_state_of(first);
    if (state != ACRE_BLOCK_LIVE && state != ACRE_BLOCK_LIVE_NEW) return 0;
    const uint8_t held = acre_state_changed(first, ACRE_BLOCK_BUSY);
    if (!__atomic_compare_exchange_n(block.states, &first, held, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return 0;
    acre_fault_kind kind;
    block.span = acre_block_at(heap, base, &kind);
    uint64_t fault_count = 0;
    if (block.span != NULL && acre_page_map_class(heap->map, base) == class) {
        block = known_of(heap, block.span, base);
        fault_count = check_canary(heap, &block, asked_of(&block, first), "check");
    }
    __atomic_store_n(block.states, first, __ATOMIC_RELEASE);
    return fault_count;
}

static uint64_t look_at_unit(acre_heap *heap, acre_addr unit)
{
    const unsigned class = acre_page_map_class(heap->map, unit), size_class = class & (ACRE_CLASS_WATCHED - 1);
    if (class == ACRE_CLASS_LARGE) return look_at(heap, unit, class);
    if (size_class == ACRE_CLASS_NONE || size_class > ACRE_CLASS_COUNT) return 0;
    const uint64_t size = acre_size_classes[size_class].block_bytes;
    const uint64_t before = (uint64_t)__atomic_load_n(&acre_page_map_span(heap->map, unit)->units_before, __ATOMIC_RELAXED)
                            << ACRE_UNIT_SHIFT;
    uint64_t fault_count = 0;
    for (uint64_t at = (before + size - 1) / size * size; at < before + ACRE_UNIT_BYTES; at += size)
        fault_count += look_at(heap, unit - before + at, class);
    return fault_count;
}

/* Under the lock none of those that wait leaves; the report is made without it. */
static bool look_at_waiting(acre_heap *heap, uint32_t *place, uint64_t *fault_count)
{
    acre_heap_guard *const guard = heap->guard;
    acre_fault_kind kind;
    known_block block = {.base = 0};
    bool is_whole = true;
    acre_lock_take(&guard->lock);
    if ((int32_t)(*place - guard->quarantine.first) < 0) *place = guard->quarantine.first;
    const bool is_there = *place != guard->quarantine.next;
    if (is_there) {
        const acre_addr base = acre_quarantine_at(&guard->quarantine, (*place)++)->block;
        acre_span *const span = acre_block_at(heap, base, &kind);
        if (span != NULL) block = known_of(heap, span, base);
        is_whole = span == NULL || !guard->is_host || acre_run_is_whole(pointer_of(base), poison_bytes(&block), ACRE_FREED_BYTE);
    }
    acre_lock_drop(&guard->lock);
    if (!is_whole) *fault_count += check_poison(heap, &block, "write");
    return is_there;
}

uint64_t acre_heap_check(acre_heap *heap)
{
    uint64_t fault_count = 0;
    if (heap == NULL || heap->guard == NULL || !heap->guard->has_checks) return 0;
    for (const acre_region *region = heap->arena.regions; region != NULL; region = region->next) {
        const acre_addr end = region->base + (__atomic_load_n(&region->used_count, __ATOMIC_RELAXED) << ACRE_UNIT_SHIFT);
        for (acre_addr unit = region->base; unit < end; unit += ACRE_UNIT_BYTES) fault_count += look_at_unit(heap, unit);
    }
    uint32_t place = heap->guard->quarantine.first;
    while (heap->guard->has_quarantine && look_at_waiting(heap, &place, &fault_count)) {}
    return fault_count;
}

/* ---- checking an access ---- */

static acre_heap *heap_of(const acre_region *region)
{
    return (acre_heap *)(void *)((char *)region->arena - offsetof(acre_heap, arena));
}

/* The heap that a unit of the map of all heaps belongs to; NULL: none. */
static acre_heap *heap_at(acre_addr address)
{
    const acre_span *const span = acre_page_map_span(&acre_host_map, address);
    const acre_region *const region = acre_load_pointer(&span->region);
    return region == NULL ? NULL : heap_of(region);
}

/* The heap and block of an address, as far as one is there. */
static acre_heap *block_there(acre_addr address, acre_block *block)
{
    const acre_addr unit = acre_page_map_first_unit(&acre_host_map, address);
    if (acre_page_map_class(&acre_host_map, unit) == ACRE_CLASS_NONE) return NULL;
    acre_heap *heap = heap_at(unit);
    if (heap == NULL) heap = heap_at(unit - ((acre_addr)acre_page_map_span(&acre_host_map, unit)->units_before << ACRE_UNIT_SHIFT));
    return heap != NULL && acre_heap_block_of(heap, address, block, NULL) ? heap : NULL;
}

/* Of a heap that does not check, or a block from before it did. */
static bool is_in_room(acre_addr address, size_t size)
{
    acre_block block;
    if (block_there(address, &block) == NULL) return true;
    const uint64_t offset = address - block.base;
    return block.is_out && offset <= block.size_bytes && size <= block.size_bytes - offset;
}

static bool is_access_good(acre_addr address, size_t size, unsigned class)
{
    const bool is_large = class == ACRE_CLASS_LARGE || class == ACRE_CLASS_LARGE_REST;
    acre_addr base = acre_page_map_first_unit(&acre_host_map, address);
    acre_span *span = acre_page_map_span(&acre_host_map, base);
    if (!is_large && span->units_before != 0) {
        base -= (acre_addr)span->units_before << ACRE_UNIT_SHIFT;
        span = acre_page_map_span(&acre_host_map, base);
    }
    const acre_region *const region = acre_load_pointer(&span->region);
    if (region == NULL) return true;
    const acre_heap *const heap = heap_of(region);
    if (heap->guard == NULL || !heap->guard->has_checks) return is_in_room(address, size);
    known_block block = {.base = base, .span = span, .is_large = is_large};
    if (is_large) {
        block.room = acre_room_of(span);
    } else {
        block.room = acre_size_classes[class & (ACRE_CLASS_WATCHED - 1)].block_bytes;
        block.base = base + acre_block_index(class & (ACRE_CLASS_WATCHED - 1), address - base) * block.room;
    }
    block.states = states_at(heap, block.base);
    const uint8_t first = block.states == NULL ? 0 : __atomic_load_n(block.states, __ATOMIC_ACQUIRE);
    if (acre_state_of(first) == ACRE_BLOCK_UNKNOWN) return is_in_room(address, size);
    const uint64_t asked = asked_of(&block, first), offset = address - block.base;
    return acre_state_is_out(acre_state_of(first)) && offset <= asked && size <= asked - offset;
}

__attribute__((noinline)) static bool check_in_full(uintptr_t at, size_t size)
{
    const unsigned class = acre_page_map_class(&acre_host_map, at);
    return class == ACRE_CLASS_NONE || size == 0 || is_access_good(at, size, class);
}

bool acre_check(const void *address, size_t size)
{
    return acre_likely(acre_bounds_allow(&acre_bounds_of_window, (uintptr_t)address, size)) || check_in_full((uintptr_t)address, size);
}

bool acre_check_access(const void *address, size_t size, acre_touch touch, const char *operation)
{
    if (acre_check(address, size)) return true;
    acre_block block;
    acre_heap *const heap = block_there((uintptr_t)address, &block);
    if (heap == NULL) return true; /* another thread has just given it back */
    const uint64_t offset = (uintptr_t)address - block.base;
    acre_fault fault = {.kind = block.is_out ? ACRE_FAULT_OVERFLOW : ACRE_FAULT_USE_AFTER_FREE, .heap_name = heap->name,
                        .address = (uintptr_t)address, .block = block.base, .size_bytes = block.size_bytes, .operation = operation};
    if (heap->guard != NULL && heap->guard->has_checks) {
        acre_span *const span = acre_page_map_span(heap->map, block.base);
        const known_block known = {.base = block.base, .span = span, .room = block.size_bytes, .states = states_at(heap, block.base),
                                   .is_large = span->kind == ACRE_SPAN_LARGE};
        const acre_fault_kind kind = fault.kind;
        fault = fault_of(heap, &known, kind, operation);
        fault.address = (uintptr_t)address;
    }
    fault.touch = touch;
    fault.offset = (int64_t)offset;
    fault.told_bytes = size;
    acre_fault_report(&fault);
    return false;
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

static acre_status open_pages(acre_heap *heap, acre_heap_guard *guard)
{
    if (heap->space->info.kind != ACRE_SPACE_PAGES) {
        return acre_fail(ACRE_UNSUPPORTED, "heap '%s': guard pages are there over pages only", heap->name);
    }
    acre_page_slot *const slots = acre_meta_alloc(&heap->meta, ACRE_SLOT_COUNT * sizeof *slots);
    if (slots == NULL) return ACRE_NO_MEMORY;
    acre_status status = acre_page_pool_open(&guard->pool, slots);
    if (status == ACRE_OK) status = acre_os_on_fault(on_fault);
    if (status != ACRE_OK) acre_page_pool_close(&guard->pool);
    return status;
}

static void list_paged(acre_heap *heap, const acre_heap *in_place_of)
{
    for (unsigned i = 0; i < ACRE_HEAP_COUNT_MAX; i++) {
        acre_heap *expected = (acre_heap *)(uintptr_t)in_place_of;
        if (__atomic_compare_exchange_n(&paged_heaps[i], &expected, heap, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return;
    }
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
    if (status == ACRE_OK && guard->pages_one_in != 0) status = open_pages(heap, guard);
    if (status != ACRE_OK) return status;
    guard->is_quick = level == ACRE_GUARD_L1 && guard->pages_one_in == 0;
    heap->guard = guard;
    if (guard->pages_one_in != 0) list_paged(heap, NULL);
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
            (void)memset(bounds->reach + ((unit - bounds->base) >> ACRE_GRANULE_SHIFT), 0, GRANULES_PER_UNIT);
        }
    }
}

void acre_guard_close(acre_heap *heap)
{
    if (heap->guard == NULL) return;
    if (heap->guard->has_checks) forget_bounds(heap);
    uint64_t fault_count = 0;
    uint32_t place = heap->guard->quarantine.first;
    while (heap->guard->has_quarantine && look_at_waiting(heap, &place, &fault_count)) {}
    if (heap->guard->pages_one_in != 0) list_paged(NULL, heap);
    acre_page_pool_close(&heap->guard->pool);
}
