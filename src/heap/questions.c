/* questions.c - see acre/heap.h and heap/heap.h: which block an address is in, what a heap holds, whether it is valid. */
#include "base/atomic.h"
#include "base/status.h"
#include "heap/cache.h"
#include "heap/guarded.h"
#include "heap/heap.h"
#include "heap/mesh.h"
#include "heap/purge.h"
#include "heap/registry.h"
#include "space/window.h"

static bool is_of(const acre_heap *heap, const acre_span *span)
{
    const acre_region *const region = acre_load_pointer(&span->region);
    return region != NULL && region->arena == &heap->arena;
}

static bool large_block_of(const acre_heap *heap, acre_addr address, acre_block *block, bool *is_told)
{
    const acre_addr unit = acre_page_map_first_unit(heap->map, address);
    if (acre_page_map_class(heap->map, unit) != ACRE_CLASS_LARGE) return false;
    const acre_span *const span = acre_page_map_span(heap->map, unit);
    if (!is_of(heap, span)) return false;
    if (is_told != NULL) *is_told = heap->observer != NULL && (heap->is_recording || acre_span_is_watched(span));
    *block = (acre_block){.base = unit, .size_bytes = acre_room_of(span), .is_out = true};
    if (heap->guard != NULL && heap->guard->has_checks) block->is_out = acre_guard_is_out(heap, unit);
    return true;
}

/* All that is read of a span is checked before it is used, and the words are found by the map: another thread may be making it, or
 * taking it apart. */
bool acre_heap_block_of(const acre_heap *heap, acre_addr address, acre_block *block, bool *is_told)
{
    const unsigned class = acre_page_map_class(heap->map, address), size_class = class & (ACRE_CLASS_WATCHED - 1);
    if (class == ACRE_CLASS_LARGE || class == ACRE_CLASS_LARGE_REST) return large_block_of(heap, address, block, is_told);
    if (size_class == ACRE_CLASS_NONE || size_class > ACRE_CLASS_COUNT) return false;

    const uint32_t units_before = __atomic_load_n(&acre_page_map_span(heap->map, address)->units_before, __ATOMIC_RELAXED);
    if (units_before >= acre_size_classes[size_class].unit_count) return false;
    const acre_addr base = acre_align_down(address, ACRE_UNIT_BYTES) - ((acre_addr)units_before << ACRE_UNIT_SHIFT);
    if (acre_page_map_class(heap->map, base) != class || !is_of(heap, acre_page_map_span(heap->map, base))) return false;
    const unsigned index = acre_block_index(size_class, address - base);
    if (index >= acre_size_classes[size_class].capacity) return false;

    const uint64_t size = acre_size_classes[size_class].block_bytes;
    const acre_word word = acre_load_relaxed(&acre_page_map_words(heap->map, base)[index / ACRE_WORD_BITS]);
    if (is_told != NULL) *is_told = heap->observer != NULL && (heap->is_recording || (class & ACRE_CLASS_WATCHED) != 0);
    *block = (acre_block){.base = base + index * size, .size_bytes = size, .is_out = (word >> (index % ACRE_WORD_BITS) & 1) == 0};
    if (acre_unlikely(heap->meshed_bytes != 0) && block->is_out) {
        const acre_word elsewhere = acre_mesh_out(heap, acre_page_map_span(heap->map, base), index / ACRE_WORD_BITS);
        block->is_out = (elsewhere >> (index % ACRE_WORD_BITS) & 1) == 0;
    }
    if (heap->guard != NULL && heap->guard->has_checks) block->is_out = block->is_out && acre_guard_is_out(heap, block->base);
    return true;
}

acre_status acre_heap_where(acre_heap *heap, acre_addr address, acre_block *block)
{
    if (heap == NULL || block == NULL) return acre_fail(ACRE_INVALID, "where: the heap or the place for the answer is NULL");
    if (acre_heap_block_of(heap, address, block, NULL) || acre_guard_page_block(heap, address, block)) return ACRE_OK;
    return acre_fail(ACRE_BAD_POINTER, "heap '%s': 0x%llx lies in none of its blocks", heap->name, (unsigned long long)address);
}

/* A large block begins some units before the one that was asked for. */
static acre_addr first_unit_of(acre_addr address)
{
    acre_addr unit = acre_align_down(address, ACRE_UNIT_BYTES);
    while (acre_page_map_class(&acre_host_map, unit) == ACRE_CLASS_LARGE_REST) unit -= ACRE_UNIT_BYTES;
    return unit;
}

/* The descriptor of a unit that is covered. */
static inline acre_span *host_span(acre_addr address)
{
    enum { SPANS_OFFSET = 2 * ACRE_HOST_SLOT_UNITS };
    uint8_t *const leaf = acre_load_pointer(&acre_host_root[address >> ACRE_HOST_SLOT_SHIFT]);
    return (acre_span *)(void *)(leaf + SPANS_OFFSET) + (address >> ACRE_UNIT_SHIFT) % ACRE_HOST_SLOT_UNITS;
}

static inline acre_status where_small(acre_addr address, unsigned class, acre_place *place)
{
    const acre_span *span = host_span(address);
    if (span->units_before != 0) span = host_span(address - ((acre_addr)span->units_before << ACRE_UNIT_SHIFT));
    const acre_size_class *const facts = &acre_size_classes[class];
    const uint64_t index = acre_block_index_by(facts->reciprocal, address - span->base);
    if (acre_unlikely(index >= facts->capacity)) return ACRE_BAD_POINTER; /* the rest of the span */
    place->size_bytes = facts->block_bytes;
    place->base = span->base + index * facts->block_bytes;
    place->heap = (acre_heap *)(void *)((char *)span->region->arena - offsetof(acre_heap, arena));
    place->space = place->heap->space;
    return ACRE_OK;
}

static acre_status where_beside(acre_addr address, unsigned class, acre_place *place)
{
    if ((class & ACRE_CLASS_WATCHED) != 0) return where_small(address, class - ACRE_CLASS_WATCHED, place);
    const acre_span *const run = host_span(first_unit_of(address));
    acre_heap *const heap = (acre_heap *)(void *)((char *)run->region->arena - offsetof(acre_heap, arena));
    *place = (acre_place){.space = heap->space, .heap = heap, .base = run->base, .size_bytes = acre_room_of(run)};
    return ACRE_OK;
}

acre_status acre_where(const void *pointer, acre_place *place)
{
    const acre_addr address = (uintptr_t)pointer;
    unsigned class;
    if (acre_unlikely(!acre_window_class(&acre_host_map, address, &class))) class = acre_page_map_class(&acre_host_map, address);
    if (acre_likely(class - ACRE_CLASS_FIRST < ACRE_CLASS_COUNT)) return where_small(address, class, place);
    return class == ACRE_CLASS_NONE ? ACRE_BAD_POINTER : where_beside(address, class, place);
}

/* Freed, but not given back: in the quarantine, or ready for a thread. */
static bool is_held_back(const acre_heap *heap, acre_addr block)
{
    return heap->guard != NULL && heap->guard->has_checks && !acre_guard_is_out(heap, block);
}

static bool visit_span(const acre_heap *heap, const acre_span *span, acre_block_visitor *visit, void *context)
{
    const uint64_t size = acre_size_classes[acre_span_size_class(span)].block_bytes;
    for (unsigned index = 0; index < acre_span_capacity(span); index++) {
        const size_t word = index / ACRE_WORD_BITS;
        const acre_word out = acre_span_out(span, word) & ~acre_mesh_out(heap, span, word);
        if ((out >> (index % ACRE_WORD_BITS) & 1) == 0) continue;
        const acre_block block = {.base = span->base + index * size, .size_bytes = size, .is_out = true};
        if (is_held_back(heap, block.base)) continue;
        if (!visit(context, &block)) return false;
    }
    return true;
}

void acre_heap_walk(acre_heap *heap, acre_block_visitor *visit, void *context)
{
    for (const acre_region *region = heap->arena.regions; region != NULL; region = region->next) {
        const acre_addr end = region->base + (region->used_count << ACRE_UNIT_SHIFT);
        for (acre_addr at = region->base; at < end;) {
            const acre_span *const run = acre_page_map_span(heap->map, at);
            if (run->kind == ACRE_SPAN_LARGE) {
                const acre_block block = {.base = at, .size_bytes = acre_room_of(run), .is_out = true};
                if (!is_held_back(heap, at) && !visit(context, &block)) return;
            } else if ((run->kind == ACRE_SPAN_SMALL || run->kind == ACRE_SPAN_MESHED) && !visit_span(heap, run, visit, context)) {
                return;
            }
            at += (uint64_t)run->unit_count << ACRE_UNIT_SHIFT;
        }
    }
}

void acre_heap_read_figures(acre_heap *heap, acre_heap_figures *figures)
{
    const acre_arena_figures arena = acre_arena_read_figures(&heap->arena);
    *figures = (acre_heap_figures){.run_bytes = arena.run_bytes,
                                   .dirty_bytes = arena.dirty_bytes,
                                   .committed_bytes = arena.committed_bytes,
                                   .reserved_bytes = arena.reserved_bytes,
                                   .purged_bytes = arena.purged_bytes,
                                   .meshed_bytes = __atomic_load_n(&heap->meshed_bytes, __ATOMIC_RELAXED),
                                   .meta_bytes = heap->meta.reserved_bytes};
    int64_t small = __atomic_load_n(&heap->direct_bytes, __ATOMIC_RELAXED);
    const int64_t large = __atomic_load_n(&heap->large_bytes, __ATOMIC_RELAXED);
    acre_lock_take(&heap->lock);
    for (const acre_cache *cache = heap->caches; cache != NULL; cache = cache->next) {
        small += __atomic_load_n(&cache->out_bytes, __ATOMIC_RELAXED);
        figures->thread_count += cache->is_used;
    }
    acre_lock_drop(&heap->lock);
    figures->large_bytes = large > 0 ? (uint64_t)large : 0;
    figures->block_bytes = figures->large_bytes + (small > 0 ? (uint64_t)small : 0);
}

uint64_t acre_heap_ready_bytes(const acre_heap *heap)
{
    uint64_t bytes = 0;
    for (const acre_cache *cache = acre_load_pointer(&heap->caches); cache != NULL; cache = cache->next)
        bytes += acre_cache_ready_bytes(cache);
    return bytes;
}

static bool depot_is_valid(acre_depot *depot, unsigned class)
{
    bool is_valid = true;
    acre_lock_take(&depot->lock);
    for (const acre_span *span = depot->first; span != NULL && is_valid; span = span->next) {
        const int free_count = acre_span_free_count(span->state);
        is_valid = acre_span_is_valid(span) && span->class == class && (span->state & ACRE_SPAN_LISTED) != 0 && free_count > 0 &&
                   free_count < (int)acre_span_capacity(span) && (span->next == NULL || span->next->previous == span);
    }
    acre_lock_drop(&depot->lock);
    return is_valid;
}

/* What is out at its addresses is out in the words of the span whose memory it shows. */
static bool is_meshed_well(const acre_span *span)
{
    const acre_span *const home = span->previous;
    bool is_well = home->kind == ACRE_SPAN_SMALL && home->class == span->class && span->unit_count == home->unit_count;
    for (size_t i = 0; is_well && i < acre_span_word_count(span); i++) is_well = (acre_span_out(span, i) & ~acre_span_out(home, i)) == 0;
    return is_well;
}

bool acre_heap_is_valid(acre_heap *heap)
{
    if (!acre_arena_is_valid(&heap->arena)) return false;
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT; class++) {
        if (!depot_is_valid(&heap->depots[class], class)) return false;
        if (!depot_is_valid(&heap->watched_depots[class], class | ACRE_CLASS_WATCHED)) return false;
    }
    for (const acre_cache *cache = heap->caches; cache != NULL; cache = cache->next) {
        if (!acre_cache_is_valid(cache)) return false;
    }
    /* Every span is valid, and every free block of it can be reached: by its owner or through a depot. */
    for (const acre_region *region = heap->arena.regions; region != NULL; region = region->next) {
        const acre_addr end = region->base + (region->used_count << ACRE_UNIT_SHIFT);
        for (acre_addr at = region->base; at < end;) {
            const acre_span *const run = acre_page_map_span(heap->map, at);
            const unsigned class = acre_page_map_class(heap->map, at);
            if (run->kind == ACRE_SPAN_SMALL) {
                if (class != run->class || !acre_span_is_valid(run)) return false;
                const bool is_reachable = (run->state & (ACRE_SPAN_OWNED | ACRE_SPAN_LISTED)) != 0;
                if (!is_reachable && acre_span_free_count(run->state) > 0) return false;
            } else if (run->kind == ACRE_SPAN_MESHED) {
                if (class != run->class || !is_meshed_well(run)) return false;
            } else if (class != (run->kind == ACRE_SPAN_LARGE ? (unsigned)ACRE_CLASS_LARGE : (unsigned)ACRE_CLASS_NONE)) {
                return false;
            }
            at += (uint64_t)run->unit_count << ACRE_UNIT_SHIFT;
        }
    }
    return true;
}
