/* guarded_look.c - looking at what is there: all blocks of a heap that checks, or the one that an access touches. */
#include "guard/canary.h"
#include "guard/fault.h"
#include "heap/bounds.h"
#include "heap/guarded_block.h"

/* ---- looking at everything ---- */

/* One block, which is held meanwhile. Others may free it before or after. */
static uint64_t look_at(acre_heap *heap, acre_addr base, unsigned class)
{
    acre_known_block block = {.base = base, .states = acre_states_at(heap, base)};
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
        block = acre_known_of(heap, block.span, base);
        fault_count = acre_check_canary(heap, &block, acre_asked_of(&block, first), "check");
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
    acre_known_block block = {.base = 0};
    bool is_whole = true;
    acre_lock_take(&guard->lock);
    if ((int32_t)(*place - guard->quarantine.first) < 0) *place = guard->quarantine.first;
    const bool is_there = *place != guard->quarantine.next;
    if (is_there) {
        const acre_addr base = acre_quarantine_at(&guard->quarantine, (*place)++)->block;
        acre_span *const span = acre_block_at(heap, base, &kind);
        if (span != NULL) block = acre_known_of(heap, span, base);
        is_whole =
            span == NULL || !guard->is_host || acre_run_is_whole(acre_block_pointer(base), acre_poison_bytes(&block), ACRE_FREED_BYTE);
    }
    acre_lock_drop(&guard->lock);
    if (!is_whole) *fault_count += acre_check_poison(heap, &block, "write");
    return is_there;
}

uint64_t acre_guard_check_waiting(acre_heap *heap)
{
    uint64_t fault_count = 0;
    uint32_t place = heap->guard->quarantine.first;
    while (heap->guard->has_quarantine && look_at_waiting(heap, &place, &fault_count)) {}
    return fault_count;
}

uint64_t acre_heap_check(acre_heap *heap)
{
    uint64_t fault_count = 0;
    if (heap == NULL || heap->guard == NULL || !heap->guard->has_checks) return 0;
    for (const acre_region *region = heap->arena.regions; region != NULL; region = region->next) {
        const acre_addr end = region->base + (__atomic_load_n(&region->used_count, __ATOMIC_RELAXED) << ACRE_UNIT_SHIFT);
        for (acre_addr unit = region->base; unit < end; unit += ACRE_UNIT_BYTES) fault_count += look_at_unit(heap, unit);
    }
    return fault_count + acre_guard_check_waiting(heap);
}

/* ---- checking an access ---- */

static acre_heap *heap_of(const acre_region *region) { return (acre_heap *)(void *)((char *)region->arena - offsetof(acre_heap, arena)); }

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
    acre_known_block block = {.base = base, .span = span, .is_large = is_large};
    if (is_large) {
        block.room = acre_room_of(span);
    } else {
        block.room = acre_size_classes[class & (ACRE_CLASS_WATCHED - 1)].block_bytes;
        block.base = base + acre_block_index(class & (ACRE_CLASS_WATCHED - 1), address - base) * block.room;
    }
    block.states = acre_states_at(heap, block.base);
    const uint8_t first = block.states == NULL ? 0 : __atomic_load_n(block.states, __ATOMIC_ACQUIRE);
    if (acre_state_of(first) == ACRE_BLOCK_UNKNOWN) return is_in_room(address, size);
    const uint64_t asked = acre_asked_of(&block, first), offset = address - block.base;
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
    acre_fault fault = {.kind = block.is_out ? ACRE_FAULT_OVERFLOW : ACRE_FAULT_USE_AFTER_FREE,
                        .heap_name = heap->name,
                        .address = (uintptr_t)address,
                        .block = block.base,
                        .size_bytes = block.size_bytes,
                        .operation = operation};
    if (heap->guard != NULL && heap->guard->has_checks) {
        acre_span *const span = acre_page_map_span(heap->map, block.base);
        const acre_known_block known = {.base = block.base,
                                        .span = span,
                                        .room = block.size_bytes,
                                        .states = acre_states_at(heap, block.base),
                                        .is_large = span->kind == ACRE_SPAN_LARGE};
        const acre_fault_kind kind = fault.kind;
        fault = acre_fault_of_block(heap, &known, kind, operation);
        fault.address = (uintptr_t)address;
    }
    fault.touch = touch;
    fault.offset = (int64_t)offset;
    fault.told_bytes = size;
    acre_fault_report(&fault);
    return false;
}
