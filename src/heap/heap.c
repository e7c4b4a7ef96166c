/* heap.c - see acre/heap.h and heap/heap.h: making heaps, and blocks of any size. */
#include "heap/heap.h"
#include "base/atomic.h"
#include "base/status.h"
#include "guard/fault.h"
#include "heap/cache.h"
#include "heap/guarded.h"
#include "heap/mesh.h"
#include "heap/purge.h"
#include "heap/registry.h"
#include "heap/sample.h"
#include "space/window.h"

#include <errno.h>
#include <string.h>

enum {
    LARGE_SAMPLE = ACRE_CLASS_COUNT + 1, /* its place in acre_cache.sample_left */
    MOVE_BYTES_MIN = 1024 * 1024,        /* from here on moving pages to where no memory is yet is cheaper than copying */
    MOVE_OVER_BYTES_MIN = 4096 * 1024,   /* and from here on to where some is, which is lost */
    HEADROOM_BYTES_MIN = 1024 * 1024,    /* a block that has to move and is as large as this gets an eighth more */
    HUGE_BYTES_MIN = 2 * 1024 * 1024, /* no huge page fits into less */
};

/* ---- making a heap ---- */

static bool has(const acre_space *space, uint32_t capability) { return (space->info.capabilities & capability) != 0; }

static uint64_t region_bytes_for(const acre_space *space)
{
    if (has(space, ACRE_CAP_FIXED)) {
        const uint64_t left = space->size_bytes - space->reserved_bytes;
        return acre_max_size(acre_align_down(left, ACRE_UNIT_BYTES), ACRE_UNIT_BYTES);
    }
    return acre_window_of_process()->grain_bytes;
}

/* Pages of the host go into the map of all heaps; a space of fixed size has one of the heap's own. */
static void choose_map(acre_heap *heap)
{
    const acre_space *const space = heap->space;
    if (!has(space, ACRE_CAP_FIXED)) {
        heap->map = acre_host_map_ready();
        return;
    }
    acre_addr base = acre_align_down(space->base, ACRE_UNIT_BYTES);
    uint64_t size = space->size_bytes + (space->base - base);
    if (size < ACRE_UNIT_BYTES) size = ACRE_UNIT_BYTES;
    acre_page_map_init_range(&heap->own_map, &heap->own_root, &heap->meta, base, acre_align_up(size, ACRE_UNIT_BYTES));
    heap->map = &heap->own_map;
}

/* Address 0 means "no block", so a space that has it loses its first unit. */
static acre_status skip_address_zero(acre_space *space)
{
    acre_addr zero;
    if (!has(space, ACRE_CAP_FIXED) || space->base + space->reserved_bytes != 0) return ACRE_OK;
    return acre_space_reserve(space, ACRE_UNIT_BYTES, ACRE_UNIT_BYTES, NULL, &zero);
}

acre_status acre_heap_init(acre_heap *heap, const acre_heap_options *options, const acre_meta *meta)
{
    heap->meta = *meta;
    heap->name = options->name != NULL ? options->name : "heap";
    heap->space = options->space;
    if (heap->space == NULL) {
        const acre_status status = acre_space_open_pages(&heap->own_space, NULL);
        if (status != ACRE_OK) return status;
        heap->space = &heap->own_space;
    }
    const acre_status status = skip_address_zero(heap->space);
    if (status != ACRE_OK) return status;
    choose_map(heap);
    acre_arena_init(&heap->arena, heap->space, heap->map, &heap->meta, region_bytes_for(heap->space));
    const bool is_unguarded = options->guard == ACRE_GUARD_L0 && options->guard_limits.pages_one_in == 0;
    return is_unguarded ? ACRE_OK : acre_guard_open(heap, options->guard, &options->guard_limits);
}

acre_status acre_heap_create(const acre_heap_options *options, acre_heap **heap_out)
{
    static const acre_heap_options defaults;
    if (options == NULL) options = &defaults;
    if (heap_out == NULL) return acre_fail(ACRE_INVALID, "heap '%s': nowhere to return it", options->name ? options->name : "heap");
    if (options->space != NULL && options->space->ops == NULL) {
        return acre_fail(ACRE_INVALID, "heap '%s': its space is not open", options->name ? options->name : "heap");
    }
    /* The heap lies in its own meta space, which therefore comes first, and knows where that space itself is kept. */
    acre_space meta_space;
    acre_meta meta;
    acre_status status = options->meta_space != NULL ? ACRE_OK : acre_space_open_pages(&meta_space, NULL);
    if (status != ACRE_OK) return status;
    status = acre_meta_init(&meta, options->meta_space != NULL ? options->meta_space : &meta_space);
    if (status != ACRE_OK) return status;
    acre_heap *const heap = acre_meta_alloc(&meta, sizeof *heap);
    if (heap == NULL) return ACRE_NO_MEMORY;
    if (options->meta_space == NULL) {
        heap->own_meta_space = meta_space;
        meta.space = &heap->own_meta_space;
    }
    status = acre_heap_init(heap, options, &meta);
    if (status == ACRE_OK) status = acre_registry_add(heap);
    if (status != ACRE_OK) {
        acre_guard_close(heap);
        acre_space where = *meta.space; /* the heap, and maybe its meta space, lie in what is given back here */
        meta.space = &where;
        acre_meta_destroy(&meta);
        if (options->meta_space != NULL) options->meta_space->reserved_bytes = where.reserved_bytes;
        return status;
    }
    *heap_out = heap;
    return ACRE_OK;
}

void acre_heap_destroy(acre_heap *heap)
{
    if (heap == NULL) return;
    acre_registry_remove(heap);
    acre_guard_close(heap);
    acre_mesh_part_all(heap);
    acre_arena_destroy(&heap->arena);
    if (heap->space == &heap->own_space) acre_space_close(&heap->own_space);

    acre_meta meta = heap->meta;
    acre_space where = heap->own_meta_space;
    if (meta.space == &heap->own_meta_space) meta.space = &where;
    acre_meta_destroy(&meta);
}

/* ---- large blocks ---- */

static uint64_t units_for(uint64_t size) { return (size + ACRE_UNIT_BYTES - 1) >> ACRE_UNIT_SHIFT; }

static void mark_large(acre_heap *heap, const acre_span *run)
{
    acre_page_map_set_class(heap->map, run->base, run->unit_count, ACRE_CLASS_LARGE_REST);
    acre_page_map_set_class(heap->map, run->base, 1, ACRE_CLASS_LARGE);
}

static int64_t run_bytes(const acre_span *run) { return (int64_t)((uint64_t)run->unit_count << ACRE_UNIT_SHIFT); }

static void count_large(acre_heap *heap, int64_t bytes) { __atomic_fetch_add(&heap->large_bytes, bytes, __ATOMIC_RELAXED); }

static acre_addr take_large(acre_heap *heap, uint64_t size, uint64_t alignment, bool is_watched, bool *is_zero)
{
    if (size > (UINT64_MAX >> 1) || alignment > (UINT64_MAX >> 2)) {
        (void)acre_fail(ACRE_NO_MEMORY, "heap '%s': %llu bytes aligned to %llu are more than any space has", heap->name,
                        (unsigned long long)size, (unsigned long long)alignment);
        return 0;
    }
    const uint64_t unit_count = acre_max_size(units_for(size), 1);
    if (alignment < ACRE_UNIT_BYTES) alignment = ACRE_UNIT_BYTES;
    acre_span *run = acre_arena_take(&heap->arena, unit_count, alignment, ACRE_SPAN_LARGE, is_zero);
    if (run == NULL) return 0;
    run->class = (uint8_t)(is_watched ? ACRE_CLASS_WATCHED : 0);
    run->units_before = 0;
    run->size_bytes = size;
    mark_large(heap, run);
    count_large(heap, run_bytes(run));
    if (*is_zero) acre_purge_surplus(heap); /* what is dirty did not serve */
    return run->base;
}

/* `is_clean`: its pages went elsewhere. */
static void give_large(acre_heap *heap, acre_span *run, bool is_clean)
{
    count_large(heap, -run_bytes(run));
    acre_page_map_set_class(heap->map, run->base, run->unit_count, ACRE_CLASS_NONE);
    acre_arena_give(&heap->arena, run, is_clean);
    if (!is_clean) acre_purge_surplus(heap);
}

/* Longer or shorter without changing its address. What is new is dirty or zero: nobody asked for zeros. */
static bool resize_in_place(acre_heap *heap, acre_span *run, uint64_t size)
{
    const uint64_t unit_count = units_for(size);
    const int64_t before = run_bytes(run);
    if (unit_count > run->unit_count) {
        bool is_zero;
        if (unit_count > UINT32_MAX || !acre_arena_extend(&heap->arena, run, unit_count, &is_zero)) return false;
        mark_large(heap, run);
    } else if (unit_count < run->unit_count) {
        const acre_addr rest = run->base + (unit_count << ACRE_UNIT_SHIFT);
        acre_page_map_set_class(heap->map, rest, (size_t)(run->unit_count - unit_count), ACRE_CLASS_NONE);
        acre_arena_shrink(&heap->arena, run, unit_count);
        acre_purge_surplus(heap);
    }
    run->size_bytes = size;
    count_large(heap, run_bytes(run) - before);
    return true;
}

/* Moves the contents of a block to a longer run; the old one is still the caller's to give. NULL: it cannot be done this way. */
static acre_span *move_large(acre_heap *heap, acre_span *run, uint64_t size, bool *is_clean)
{
    const uint64_t old_bytes = (uint64_t)run_bytes(run);
    if (!has(heap->space, ACRE_CAP_MOVE) || old_bytes < MOVE_BYTES_MIN || size < old_bytes) return NULL;
    bool is_zero;
    const uint64_t room = size >= HEADROOM_BYTES_MIN ? size + size / 8 : size;
    acre_addr to = take_large(heap, room, ACRE_UNIT_BYTES, false, &is_zero);
    if (to == 0 && room > size) to = take_large(heap, size, ACRE_UNIT_BYTES, false, &is_zero);
    if (to == 0) return NULL;
    acre_span *const target = acre_page_map_span(heap->map, to);
    target->size_bytes = size;
    *is_clean = is_zero || old_bytes >= MOVE_OVER_BYTES_MIN || !has(heap->space, ACRE_CAP_HOST_ACCESS);
    if (!*is_clean) {
        memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)run->base, (size_t)old_bytes);
    } else if (acre_space_move(heap->space, to, run->base, old_bytes) != ACRE_OK) {
        give_large(heap, target, false);
        return NULL;
    }
    return target;
}

/* ---- blocks of any size ---- */

/* Inlined, so that the frame is that of a function which an allocation leads through. */
__attribute__((always_inline)) static inline void tell(acre_heap *heap, acre_heap_op op, acre_addr address, uint64_t size,
                                                       uint64_t alignment, uint64_t weight)
{
    heap->observer(&(acre_heap_event){.op = op,
                                      .address = address,
                                      .size_bytes = size,
                                      .alignment = alignment,
                                      .weight_bytes = weight,
                                      .frame = __builtin_frame_address(0)});
}

/* True when a large allocation is a sample. */
static bool is_large_sample(acre_heap *heap, acre_cache *cache, uint64_t size)
{
    if (heap->sample_bytes == 0 || cache == NULL) return false;
    cache->sample_left[LARGE_SAMPLE] -= (int64_t)acre_min_size(size, INT64_MAX / 4);
    if (cache->sample_left[LARGE_SAMPLE] > 0) return false;
    cache->sample_left[LARGE_SAMPLE] = acre_sample_distance(&cache->random, heap->sample_bytes);
    return true;
}

/* A stop may be a sample's or a guarded block's. */
static acre_addr take_at_stop(acre_heap *heap, acre_cache *cache, unsigned class, uint64_t size, uint64_t alignment, acre_heap_op op,
                              uint64_t *weight)
{
    if (acre_stop_is_guards(cache, class)) {
        const acre_addr paged = acre_guard_page_alloc(heap, size, alignment, op);
        return paged != 0 ? paged : acre_block_take(heap, class);
    }
    *weight = acre_sample_weight(size, acre_size_classes[class].block_bytes, heap->sample_bytes);
    return acre_block_take(heap, class | ACRE_CLASS_WATCHED);
}

/* A block of a small class; `*weight` is not 0 when it is a sample. */
static acre_addr take_small(acre_heap *heap, acre_cache *cache, unsigned class, uint64_t size, uint64_t alignment, acre_heap_op op,
                            uint64_t *weight)
{
    if (cache == NULL) return acre_block_take(heap, class);
    acre_addr address;
    switch (acre_cache_pop(cache, class, &address)) {
    case ACRE_POP_BLOCK:
        return address;
    case ACRE_POP_NO_MEMORY:
        return 0;
    case ACRE_POP_SAMPLE_DUE:
        break;
    }
    return take_at_stop(heap, cache, class, size, alignment, op, weight);
}

static inline acre_addr take(acre_heap *heap, acre_cache *cache, unsigned class, uint64_t size, uint64_t alignment, acre_heap_op op,
                             uint64_t *weight, bool *is_zero)
{
    *is_zero = false;
    if (class != ACRE_CLASS_LARGE) return take_small(heap, cache, class, size, alignment, op, weight);
    if (heap->guard_stop_blocks != 0 && acre_guard_is_page_due(heap, cache)) {
        const acre_addr paged = acre_guard_page_alloc(heap, size, alignment, op);
        if (paged != 0) return paged;
    }
    if (is_large_sample(heap, cache, size)) *weight = acre_sample_weight(size, size, heap->sample_bytes);
    return take_large(heap, size, alignment, *weight != 0, is_zero);
}

acre_addr acre_alloc_plain(acre_heap *heap, uint64_t room, uint64_t size, uint64_t alignment, acre_heap_op op, bool *is_zero)
{
    acre_cache *const cache = acre_cache_of(heap);
    const bool is_small = room <= ACRE_SMALL_BYTES_MAX && alignment <= ACRE_UNIT_BYTES;
    const unsigned class = is_small ? acre_class_of_aligned((size_t)room, (size_t)alignment) : (unsigned)ACRE_CLASS_LARGE;
    uint64_t weight = 0;
    acre_addr address = take(heap, cache, class, room, alignment, op, &weight, is_zero);
    if (address == 0 && cache != NULL) {
        acre_cache_flush(cache); /* what this thread holds ready may be what is missing */
        address = take(heap, cache, class, room, alignment, op, &weight, is_zero);
    }
    if (acre_unlikely(address != 0 && heap->observer != NULL && (heap->is_recording || weight != 0))) {
        tell(heap, op, address, size, op == ACRE_HEAP_OP_ALIGNED ? alignment : 0, weight);
    }
    return address;
}

acre_addr acre_alloc_aligned(acre_heap *heap, uint64_t size, uint64_t alignment, acre_heap_op op, bool *is_zero)
{
    if (acre_unlikely(heap->guard != NULL && heap->guard->has_checks)) return acre_guard_alloc(heap, size, alignment, op, is_zero);
    return acre_alloc_plain(heap, size, size, alignment, op, is_zero);
}

acre_span *acre_block_at(const acre_heap *heap, acre_addr address, acre_fault_kind *kind)
{
    const unsigned class = acre_page_map_class(heap->map, address);
    *kind = class == ACRE_CLASS_LARGE_REST ? ACRE_FAULT_INTERIOR_FREE : ACRE_FAULT_FOREIGN_FREE;
    if (class == ACRE_CLASS_NONE || class == ACRE_CLASS_LARGE_REST) return NULL;
    acre_span *const span = class == ACRE_CLASS_LARGE ? acre_page_map_span(heap->map, address) : acre_span_of(heap, address);
    if (span->region->arena != &heap->arena) return NULL;
    *kind = ACRE_FAULT_INTERIOR_FREE;
    const uint64_t offset = address - span->base;
    if (class == ACRE_CLASS_LARGE) return offset == 0 ? span : NULL;
    const unsigned size_class = acre_span_size_class(span);
    const unsigned index = acre_block_index(size_class, offset);
    const bool is_start = (uint64_t)index * acre_size_classes[size_class].block_bytes == offset;
    return is_start && index < acre_span_capacity(span) ? span : NULL;
}

static void report(const acre_heap *heap, acre_fault_kind kind, acre_addr address, const char *operation)
{
    acre_fault_report(&(acre_fault){.kind = kind, .heap_name = heap->name, .address = address, .operation = operation});
}

void acre_free_any(acre_heap *heap, acre_addr address, const char *operation, bool is_told)
{
    if (acre_unlikely(heap->guard != NULL && (heap->guard->has_checks || acre_guard_has_page(heap, address)))) {
        acre_guard_free(heap, address, operation, NULL);
        return;
    }
    acre_free_plain(heap, address, operation, is_told);
}

/* A small block is only looked up here; its place in the span is checked when its word is given back. */
void acre_free_plain(acre_heap *heap, acre_addr address, const char *operation, bool is_told)
{
    const unsigned class = acre_page_map_class(heap->map, address);
    acre_span *run = NULL;
    if (class > ACRE_CLASS_COUNT || class == ACRE_CLASS_NONE || heap->is_recording) {
        acre_fault_kind kind;
        run = acre_block_at(heap, address, &kind);
        if (run == NULL) {
            report(heap, kind, address, operation);
            return;
        }
        if (heap->observer != NULL && !is_told && (heap->is_recording || acre_span_is_watched(run))) {
            tell(heap, ACRE_HEAP_OP_FREE, address, 0, 0, 0);
        }
    }
    if (run != NULL && class == ACRE_CLASS_LARGE) {
        give_large(heap, run, false);
        return;
    }
    acre_cache *const cache = (class & ACRE_CLASS_WATCHED) != 0 ? NULL : acre_cache_of(heap);
    if (cache != NULL)
        acre_cache_push(cache, class, address);
    else
        (void)acre_block_give(heap, address, operation);
}

uint64_t acre_room_of(const acre_span *span)
{
    return span->kind == ACRE_SPAN_LARGE ? (uint64_t)run_bytes(span) : acre_size_classes[acre_span_size_class(span)].block_bytes;
}

uint64_t acre_heap_usable_size(acre_heap *heap, acre_addr block)
{
    acre_fault_kind kind;
    acre_block paged;
    if (heap != NULL && acre_guard_page_block(heap, block, &paged)) return paged.base == block ? paged.size_bytes : 0;
    if (heap != NULL && heap->guard != NULL && heap->guard->has_checks) return acre_guard_asked(heap, block);
    const acre_span *const span = heap == NULL ? NULL : acre_block_at(heap, block, &kind);
    return span == NULL ? 0 : acre_room_of(span);
}

/* ---- resizing ---- */

void acre_tell_resized(acre_heap *heap, acre_addr from, bool was_told, acre_addr to, uint64_t size, uint64_t weight)
{
    if (heap->is_recording || weight != 0) {
        heap->observer(&(acre_heap_event){.op = ACRE_HEAP_OP_REALLOC,
                                          .address = to,
                                          .old_address = was_told ? from : 0,
                                          .size_bytes = size,
                                          .weight_bytes = weight});
    } else if (was_told) {
        tell(heap, ACRE_HEAP_OP_FREE, from, 0, 0, 0);
    }
}

acre_addr acre_resize_large(acre_heap *heap, acre_span *run, uint64_t size, bool was_told)
{
    const acre_addr from = run->base;
    bool is_clean = false;
    acre_span *const target = resize_in_place(heap, run, size) ? run : move_large(heap, run, size, &is_clean);
    if (target == NULL) return 0;
    const bool is_sample = is_large_sample(heap, acre_cache_of(heap), size);
    target->class = (uint8_t)(is_sample ? ACRE_CLASS_WATCHED : 0);
    acre_tell_resized(heap, from, was_told, target->base, size, is_sample ? acre_sample_weight(size, size, heap->sample_bytes) : 0);
    if (target != run) give_large(heap, run, is_clean);
    return target->base;
}

void *acre_resize_any(acre_heap *heap, void *block, size_t size, const char *operation)
{
    if (acre_unlikely(heap->guard != NULL && (heap->guard->has_checks || acre_guard_has_page(heap, (uintptr_t)block)))) {
        return acre_guard_resize(heap, block, size, operation);
    }
    const acre_addr from = (uintptr_t)block;
    acre_fault_kind kind;
    acre_span *const span = acre_block_at(heap, from, &kind);
    if (span == NULL) {
        report(heap, kind, from, operation);
        return NULL;
    }
    const bool was_told = heap->observer != NULL && (heap->is_recording || acre_span_is_watched(span));
    const bool is_large = span->kind == ACRE_SPAN_LARGE;
    const uint64_t room = acre_room_of(span);
    if (!is_large && acre_stays(room, size)) { /* nothing was allocated: a sample goes on to stand for what it stood for */
        const uint64_t weight = heap->is_recording ? 0 : acre_sample_weight(size, room, heap->sample_bytes);
        if (was_told) acre_tell_resized(heap, from, true, from, size, weight);
        return block;
    }
    if (is_large && size > ACRE_SMALL_BYTES_MAX) {
        const acre_addr resized = acre_resize_large(heap, span, size, was_told);
        if (resized != 0) return (void *)(uintptr_t)resized;
    }
    bool is_zero;
    uint64_t weight = 0;
    const unsigned to_class = size <= ACRE_SMALL_BYTES_MAX ? acre_class_of_size(size) : (unsigned)ACRE_CLASS_LARGE;
    const acre_addr to = take(heap, acre_cache_of(heap), to_class, size, 1, ACRE_HEAP_OP_REALLOC, &weight, &is_zero);
    if (to == 0) return NULL;
    memcpy((void *)(uintptr_t)to, block, acre_min_size((size_t)room, size));
    acre_tell_resized(heap, from, was_told, to, size, weight);
    acre_free_any(heap, from, operation, true);
    return (void *)(uintptr_t)to;
}

/* ---- the public calls of a heap ---- */

static void *pointer_or_enomem(acre_addr address)
{
    if (address == 0) errno = ENOMEM;
    return (void *)(uintptr_t)address;
}

static __attribute__((noinline)) void *alloc_slow(acre_heap *heap, size_t size)
{
    if (!has(heap->space, ACRE_CAP_HOST_ACCESS)) {
        (void)acre_fail(ACRE_UNSUPPORTED, "heap '%s': its addresses are no pointers; use acre_heap_alloc_address", heap->name);
        return pointer_or_enomem(0);
    }
    acre_cache *const cache = acre_fast_cache_of(heap);
    if (acre_likely(size <= ACRE_TABLE_BYTES_MAX && cache != &acre_no_cache)) {
        const acre_addr ready = acre_cache_change_round(cache, acre_class_table[(size + 15) / 16]);
        if (ready != 0) return (void *)(uintptr_t)ready;
    }
    bool is_zero;
    return pointer_or_enomem(acre_alloc_aligned(heap, size, ACRE_BLOCK_BYTES_MIN, ACRE_HEAP_OP_ALLOC, &is_zero));
}

void *acre_heap_alloc(acre_heap *heap, size_t size)
{
    if (acre_likely(size <= ACRE_TABLE_BYTES_MAX)) {
        const acre_addr address = acre_magazine_pop(acre_magazine_for(acre_fast_cache_of(heap), size));
        if (acre_likely(address != 0)) return (void *)(uintptr_t)address;
    }
    return alloc_slow(heap, size);
}

/* A hint never fails: a space or a kernel without huge pages gives plain ones. */
static void advise_huge(acre_heap *heap, acre_addr address, uint64_t size, unsigned huge_pages)
{
    if (huge_pages == ACRE_HUGE_DEFAULT || !has(heap->space, ACRE_CAP_ADVISE)) return;
    const acre_advice advice = huge_pages == ACRE_HUGE_PREFER ? ACRE_ADVISE_HUGE_PAGES : ACRE_ADVISE_NO_HUGE_PAGES;
    (void)acre_space_advise(heap->space, address, acre_align_up(size, ACRE_UNIT_BYTES), advice);
}

acre_addr acre_heap_alloc_address(acre_heap *heap, uint64_t size, uint64_t alignment, const acre_hints *hints)
{
    if (heap == NULL || !acre_is_power_of_two(alignment)) {
        (void)acre_fail(ACRE_INVALID, "heap '%s': alignment %llu is no power of two", heap == NULL ? "NULL" : heap->name,
                        (unsigned long long)alignment);
        return 0;
    }
    bool is_zero;
    const acre_heap_op op = alignment > ACRE_BLOCK_BYTES_MIN ? ACRE_HEAP_OP_ALIGNED : ACRE_HEAP_OP_ALLOC;
    const acre_addr address = acre_alloc_aligned(heap, size, alignment, op, &is_zero);
    if (address != 0 && hints != NULL && size >= HUGE_BYTES_MIN) advise_huge(heap, address, size, hints->huge_pages);
    return address;
}

void acre_heap_free_address(acre_heap *heap, acre_addr block)
{
    unsigned class;
    if (acre_likely(acre_window_class(heap->map, block, &class)) &&
        acre_likely(acre_magazine_push(acre_magazine_of(acre_fast_cache_of(heap), class), block))) {
        return;
    }
    if (block != 0) acre_free_any(heap, block, "free", false);
}

void acre_heap_free(acre_heap *heap, void *block) { acre_heap_free_address(heap, (uintptr_t)block); }

void *acre_heap_resize(acre_heap *heap, void *block, size_t size)
{
    if (block == NULL) return acre_heap_alloc(heap, size);
    if (!has(heap->space, ACRE_CAP_HOST_ACCESS)) {
        (void)acre_fail(ACRE_UNSUPPORTED, "heap '%s': resize copies, which needs host access", heap->name);
        return NULL;
    }
    void *const moved = acre_resize_any(heap, block, size, "resize");
    if (moved == NULL) errno = ENOMEM;
    return moved;
}

void acre_heap_flush(acre_heap *heap)
{
    acre_cache *const cache = acre_cache_of(heap);
    if (cache != NULL) acre_cache_flush(cache);
}

uint64_t acre_heap_purge(acre_heap *heap, uint64_t keep_bytes) { return acre_arena_purge(&heap->arena, keep_bytes, 0); }
