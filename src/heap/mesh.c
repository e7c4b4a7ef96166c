/* mesh.c - see mesh.h. */
#include "heap/mesh.h"
#include "base/status.h"
#include "heap/cache.h"
#include "heap/depot.h"
#include "heap/guarded.h"

#include <string.h>

enum { TRIES = 256 }; /* spans that one is compared with: with the tenth of the blocks left, nearly all find a partner */

static uint32_t number_of(const acre_heap *heap, const acre_span *span)
{
    return (uint32_t)((span->base - heap->map->base) >> ACRE_UNIT_SHIFT) + 1;
}

static acre_span *span_of(const acre_heap *heap, uint32_t number)
{
    return number == 0 ? NULL : acre_page_map_span(heap->map, heap->map->base + ((acre_addr)(number - 1) << ACRE_UNIT_SHIFT));
}

static uint64_t bytes_of(const acre_span *span) { return (uint64_t)span->unit_count << ACRE_UNIT_SHIFT; }

/* ---- apart ---- */

void acre_mesh_part(acre_heap *heap, acre_span *span)
{
    acre_span *next;
    for (acre_span *meshed = span_of(heap, span->meshed); meshed != NULL; meshed = next) {
        next = span_of(heap, meshed->meshed);
        meshed->meshed = 0;
        acre_page_map_set_class(heap->map, meshed->base, meshed->unit_count, ACRE_CLASS_NONE);
        /* Where the kernel does not give them their memory, addresses are lost, and nothing else. */
        if (acre_space_alias(heap->space, meshed->base, meshed->base, bytes_of(meshed)) != ACRE_OK) continue;
        __atomic_fetch_sub(&heap->meshed_bytes, bytes_of(meshed), __ATOMIC_RELAXED);
        acre_arena_give(&heap->arena, meshed, true);
    }
    span->meshed = 0;
}

void acre_mesh_part_all(acre_heap *heap)
{
    for (const acre_region *region = heap->arena.regions; region != NULL && heap->meshed_bytes != 0; region = region->next) {
        const acre_addr end = region->base + (region->used_count << ACRE_UNIT_SHIFT);
        for (acre_addr at = region->base; at < end;) {
            acre_span *const run = acre_page_map_span(heap->map, at);
            if (run->kind == ACRE_SPAN_MESHED) (void)acre_space_alias(heap->space, at, at, bytes_of(run));
            run->meshed = 0;
            at += bytes_of(run);
        }
    }
}

acre_word acre_mesh_out(const acre_heap *heap, const acre_span *span, size_t word)
{
    acre_word out = 0;
    if (span->kind == ACRE_SPAN_MESHED) return out;
    for (const acre_span *meshed = span_of(heap, span->meshed); meshed != NULL; meshed = span_of(heap, meshed->meshed)) {
        out |= acre_span_out(meshed, word);
    }
    return out;
}

/* ---- together ---- */

static void copy_blocks(const acre_span *into, const acre_span *span)
{
    const uint64_t size = acre_size_classes[acre_span_size_class(span)].block_bytes;
    for (size_t word = 0; word < acre_span_word_count(span); word++) {
        for (acre_word out = acre_span_out(span, word); out != 0; out &= out - 1) {
            const uint64_t offset = (word * ACRE_WORD_BITS + acre_word_lowest(out)) * size;
            memcpy((void *)(uintptr_t)(into->base + offset), (const void *)(uintptr_t)(span->base + offset), (size_t)size);
        }
    }
}

/* Copying comes first: it changes nothing that anybody has, so that what fails leaves all as it was. */
static acre_status lay_over(acre_heap *heap, acre_depot *depot, acre_span *into, acre_span *span)
{
    copy_blocks(into, span);
    const acre_status status = acre_space_alias(heap->space, span->base, into->base, bytes_of(span));
    if (status != ACRE_OK) return status;
    acre_depot_remove(depot, span);
    if (acre_span_mesh(into, span, number_of(heap, span))) acre_depot_remove(depot, into);
    acre_page_map_set_dirty(heap->map, span->base, span->unit_count, false);
    heap->meshed_bytes += bytes_of(span);
    return ACRE_OK;
}

/* Of two spans with so many blocks out hardly any are apart. */
static bool is_too_full(const acre_span *span)
{
    const uint64_t capacity = acre_span_capacity(span);
    const uint64_t out_count = capacity - (uint64_t)acre_span_free_count(span->state);
    return out_count * out_count > 8 * capacity;
}

/* Lays over `into` what fits of the spans after it in the list, of which the first is `span`. */
static acre_status fill(acre_heap *heap, acre_depot *depot, acre_span *into, acre_span *span)
{
    acre_span *next;
    for (unsigned tries = 0; span != NULL && tries < TRIES && !is_too_full(into); span = next, tries++) {
        next = span->next;
        if (span->meshed != 0 || is_too_full(span) || !acre_span_may_mesh(into, span)) continue;
        const acre_status status = lay_over(heap, depot, into, span);
        if (status != ACRE_OK) return status;
    }
    return ACRE_OK;
}

static acre_status mesh_class(acre_heap *heap, acre_depot *depot)
{
    acre_status status = ACRE_OK;
    acre_lock_take(&depot->lock);
    acre_span *next;
    for (acre_span *into = depot->first; into != NULL && status == ACRE_OK; into = next) {
        status = fill(heap, depot, into, into->next);
        next = into->next; /* also when it has left the list: its neighbour has not changed since */
    }
    acre_lock_drop(&depot->lock);
    return status;
}

acre_status acre_heap_mesh(acre_heap *heap, uint64_t *returned_bytes)
{
    if (returned_bytes != NULL) *returned_bytes = 0;
    if (heap == NULL) return acre_fail(ACRE_INVALID, "mesh: the heap is NULL");
    if ((heap->space->info.capabilities & ACRE_CAP_ALIAS) == 0) {
        return acre_fail(ACRE_UNSUPPORTED, "heap '%s': in space '%s' two addresses can't show the same memory; in shared memory they can",
                         heap->name, heap->space->name);
    }
    if (heap->guard != NULL) return acre_fail(ACRE_UNSUPPORTED, "heap '%s': meshing needs guard level L0", heap->name);
    acre_cache *const cache = acre_cache_of(heap);
    if (cache != NULL) acre_cache_let_go(cache);
    const uint64_t before = heap->meshed_bytes;
    acre_status status = ACRE_OK;
    for (unsigned class = ACRE_CLASS_FIRST; class <= ACRE_CLASS_COUNT && status == ACRE_OK; class++) {
        status = mesh_class(heap, &heap->depots[class]);
    }
    const uint64_t meshed_bytes = heap->meshed_bytes - before;
    if (returned_bytes != NULL) *returned_bytes = meshed_bytes;
    /* A process has only so many mappings: what is reached stays. */
    return status == ACRE_NO_MEMORY && meshed_bytes > 0 ? ACRE_OK : status;
}
