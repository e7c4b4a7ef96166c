/* region.c - see acre/region.h. Chunks stand in the order in which blocks fill them: below `current` what is full, above it
 * what a rewind left behind. A chunk is at least twice as long as the one before, unless the space has no room for that;
 * then it is half of what was wanted, and half again: so 64 places are enough for any amount of memory. */
#include <acre/region.h>

#include "alloc/backing.h"
#include "base/bits.h"
#include "base/status.h"

static acre_addr chunk_first(const acre_region_chunk *chunk) { return acre_backing_first(chunk->base); }
static acre_addr chunk_end(const acre_region_chunk *chunk) { return chunk->base + chunk->size_bytes; }

static void set_position(acre_region *region, uint32_t chunk, acre_addr next)
{
    region->current = chunk;
    region->next = next;
    region->end = region->is_host ? chunk_end(&region->chunks[chunk]) : next;
}

static bool is_made(const acre_region *region, const char *operation)
{
    if (region != NULL && region->chunk_count != 0) return true;
    (void)acre_fail(ACRE_INVALID, "region: %s: the region is NULL or not made", operation);
    return false;
}

bool acre_region_is_valid(const acre_region *region)
{
    if (region->chunk_count == 0 || region->chunk_count > ACRE_REGION_CHUNK_COUNT_MAX || region->current >= region->chunk_count)
        return false;
    if (region->space == NULL && region->parent == NULL) return false;
    for (uint32_t i = 0; i < region->chunk_count; i++) {
        const acre_region_chunk *const chunk = &region->chunks[i];
        if (chunk->base % ACRE_BLOCK_GRAIN_BYTES != 0 || chunk->size_bytes % ACRE_BLOCK_GRAIN_BYTES != 0 || chunk->size_bytes == 0)
            return false;
        if (chunk->base > UINT64_MAX - chunk->size_bytes || chunk_first(chunk) > chunk_end(chunk)) return false;
        if (i < region->current && chunk->used_bytes > chunk->size_bytes) return false;
    }
    const acre_region_chunk *const current = &region->chunks[region->current];
    return region->next % ACRE_BLOCK_GRAIN_BYTES == 0 && region->next >= chunk_first(current) && region->next <= chunk_end(current) &&
           region->end == (region->is_host ? chunk_end(current) : region->next);
}

/* ---- chunks ---- */

static bool take_chunk(const acre_region *region, uint64_t size, acre_region_chunk *chunk)
{
    *chunk = (acre_region_chunk){.size_bytes = size};
    if (region->parent == NULL) return acre_backing_take(region->space, size, &chunk->base) == ACRE_OK;
    const acre_hints hints = {.lifetime = ACRE_LIFETIME_PHASE};
    chunk->base = acre_allocator_alloc(region->parent, size, ACRE_BLOCK_GRAIN_BYTES, &hints);
    return chunk->base != 0;
}

static void give_chunk(const acre_region *region, const acre_region_chunk *chunk)
{
    if (region->parent == NULL)
        acre_backing_give(region->space, chunk->base, chunk->size_bytes);
    else
        acre_allocator_free(region->parent, chunk->base);
}

static uint64_t round_chunk(const acre_region *region, uint64_t size)
{
    return region->parent == NULL ? acre_backing_round(region->space, size) : acre_align_up(size, ACRE_BLOCK_GRAIN_BYTES);
}

/* Puts a chunk of at least `needed` bytes behind all others; `wish` would be better. */
static bool add_chunk(acre_region *region, uint64_t needed, uint64_t wish)
{
    if (region->chunk_count == ACRE_REGION_CHUNK_COUNT_MAX) {
        (void)acre_fail(ACRE_NO_MEMORY, "region '%s': all of its %d chunks are in use", region->name, ACRE_REGION_CHUNK_COUNT_MAX);
        return false;
    }
    const uint64_t least = round_chunk(region, needed);
    uint64_t size = round_chunk(region, wish > needed ? wish : needed);
    acre_region_chunk *const chunk = &region->chunks[region->chunk_count];
    while (!take_chunk(region, size, chunk)) {
        if (size == least) return false;
        size = size / 2 > least ? round_chunk(region, size / 2) : least;
    }
    region->chunk_count++;
    return true;
}

static uint64_t twice_the_last(const acre_region *region)
{
    const uint64_t last = region->chunks[region->chunk_count - 1].size_bytes;
    return last < ACRE_BACKING_BYTES_MAX / 2 ? last * 2 : ACRE_BACKING_BYTES_MAX;
}

/* ---- the life of a region ---- */

acre_status acre_region_create(const acre_region_options *options, acre_region *region)
{
    if (options == NULL || region == NULL) return acre_fail(ACRE_INVALID, "region: the options or the region are NULL");
    const char *const name = options->name != NULL ? options->name : "region";
    region->chunk_count = 0;
    if ((options->space == NULL || options->space->ops == NULL) && options->parent == NULL) {
        return acre_fail(ACRE_INVALID, "region '%s': it has neither an open space nor a parent", name);
    }
    if (options->chunk_bytes > ACRE_BACKING_BYTES_MAX) {
        return acre_fail(ACRE_INVALID, "region '%s': a first chunk of %llu bytes: at most %llu", name,
                         (unsigned long long)options->chunk_bytes, (unsigned long long)ACRE_BACKING_BYTES_MAX);
    }
    region->name = name;
    region->space = options->space;
    region->parent = options->parent;
    region->is_host = options->space == NULL || (options->space->info.capabilities & ACRE_CAP_HOST_ACCESS) != 0;
    const uint64_t wish = options->chunk_bytes != 0 ? options->chunk_bytes : ACRE_REGION_CHUNK_BYTES;
    if (!add_chunk(region, ACRE_BLOCK_GRAIN_BYTES, wish)) return ACRE_NO_MEMORY;
    set_position(region, 0, chunk_first(&region->chunks[0]));
    assert(acre_region_is_valid(region));
    return ACRE_OK;
}

void acre_region_destroy(acre_region *region)
{
    if (region == NULL) return;
    while (region->chunk_count > 0) give_chunk(region, &region->chunks[--region->chunk_count]);
    region->next = region->end = 0;
}

/* ---- blocks ---- */

/* Where a block goes that begins at `from` or above, 0 when it does not fit. */
static acre_addr place_in(const acre_region_chunk *chunk, acre_addr from, uint64_t whole, uint64_t alignment)
{
    if (from > UINT64_MAX - (alignment - 1)) return 0;
    const acre_addr start = acre_align_up(from, alignment);
    return start <= chunk_end(chunk) && chunk_end(chunk) - start >= whole ? start : 0;
}

acre_addr acre_region_alloc_address(acre_region *region, uint64_t size, uint64_t alignment)
{
    if (!is_made(region, "alloc")) return 0;
    if (!acre_is_power_of_two(alignment)) {
        (void)acre_fail(ACRE_INVALID, "region '%s': alignment %llu is no power of two", region->name, (unsigned long long)alignment);
        return 0;
    }
    if (size > ACRE_BACKING_BYTES_MAX / 2 || alignment > ACRE_BACKING_BYTES_MAX / 2) {
        (void)acre_fail(ACRE_NO_MEMORY, "region '%s': %llu bytes aligned to %llu: there is no such block", region->name,
                        (unsigned long long)size, (unsigned long long)alignment);
        return 0;
    }
    const uint64_t whole = acre_align_up(size > 0 ? size : 1, ACRE_BLOCK_GRAIN_BYTES);
    if (alignment < ACRE_BLOCK_GRAIN_BYTES) alignment = ACRE_BLOCK_GRAIN_BYTES;

    uint32_t at = region->current;
    acre_addr start = place_in(&region->chunks[at], region->next, whole, alignment);
    while (start == 0) {
        /* In a chunk that is taken for this block it fits, unless that begins at address 0, which happens once. The alignment is not asked
         * of the space: what one of fixed size leaves out in front of an aligned range does not come back. */
        const uint64_t needed = whole + (alignment - ACRE_BLOCK_GRAIN_BYTES);
        if (++at == region->chunk_count && !add_chunk(region, needed, twice_the_last(region))) return 0;
        start = place_in(&region->chunks[at], chunk_first(&region->chunks[at]), whole, alignment);
    }
    if (at != region->current) region->chunks[region->current].used_bytes = region->next - region->chunks[region->current].base;
    for (uint32_t i = region->current + 1; i < at; i++) region->chunks[i].used_bytes = 0; /* too short for this block */
    set_position(region, at, start + whole);
    return start;
}

void *acre_region_alloc_slowly(acre_region *region, size_t size)
{
    if (!is_made(region, "alloc")) return NULL;
    if (!region->is_host) {
        (void)acre_fail(ACRE_UNSUPPORTED, "region '%s': its addresses are no pointers: use acre_region_alloc_address", region->name);
        return NULL;
    }
    return (void *)(uintptr_t)acre_region_alloc_address(region, size, ACRE_BLOCK_GRAIN_BYTES);
}

acre_status acre_region_rewind(acre_region *region, acre_region_mark mark)
{
    if (!is_made(region, "rewind")) return ACRE_INVALID;
    bool is_used = mark.chunk <= region->current && mark.next % ACRE_BLOCK_GRAIN_BYTES == 0;
    if (is_used) {
        const acre_region_chunk *const chunk = &region->chunks[mark.chunk];
        const acre_addr last = mark.chunk == region->current ? region->next : chunk->base + chunk->used_bytes;
        is_used = mark.next >= chunk_first(chunk) && mark.next <= last;
    }
    if (!is_used) {
        return acre_fail(
            ACRE_INVALID, "region '%s': rewind to 0x%llx in chunk %u: no place in use; the next block goes to 0x%llx in chunk %u",
            region->name, (unsigned long long)mark.next, (unsigned)mark.chunk, (unsigned long long)region->next, (unsigned)region->current);
    }
    set_position(region, mark.chunk, mark.next);
    return ACRE_OK;
}

acre_status acre_region_reset(acre_region *region)
{
    if (!is_made(region, "reset")) return ACRE_INVALID;
    set_position(region, 0, chunk_first(&region->chunks[0]));
    return ACRE_OK;
}

uint64_t acre_region_purge(acre_region *region, uint64_t keep_bytes)
{
    if (!is_made(region, "purge")) return 0;
    uint64_t held = 0;
    uint64_t gone = 0;
    for (uint32_t i = region->current + 1; i < region->chunk_count; i++) held += region->chunks[i].size_bytes;
    while (region->chunk_count > region->current + 1) {
        const acre_region_chunk *const last = &region->chunks[region->chunk_count - 1];
        if (held - gone < keep_bytes || held - gone - keep_bytes < last->size_bytes) break;
        gone += last->size_bytes;
        region->chunk_count--;
        give_chunk(region, last);
    }
    return gone;
}

acre_status acre_region_read_figures(const acre_region *region, acre_allocator_figures *figures)
{
    if (!is_made(region, "figures")) return ACRE_INVALID;
    if (figures == NULL) return acre_fail(ACRE_INVALID, "region '%s': figures into NULL", region->name);
    *figures = (acre_allocator_figures){.block_bytes = region->next - region->chunks[region->current].base};
    for (uint32_t i = 0; i < region->chunk_count; i++) {
        figures->committed_bytes += region->chunks[i].size_bytes;
        if (i < region->current) figures->block_bytes += region->chunks[i].used_bytes;
    }
    figures->dirty_bytes = figures->committed_bytes - figures->block_bytes;
    return ACRE_OK;
}

/* ---- as an allocator ---- */

static acre_addr region_alloc(acre_allocator *allocator, uint64_t size, uint64_t alignment, const acre_hints *hints)
{
    (void)hints;
    return acre_region_alloc_address(allocator->implementation, size, alignment);
}

static void region_free(acre_allocator *allocator, acre_addr block)
{
    (void)allocator; /* blocks go together, by rewind, reset or destroy */
    (void)block;
}

static void region_read_figures(acre_allocator *allocator, acre_allocator_figures *figures)
{
    (void)acre_region_read_figures(allocator->implementation, figures);
}

static uint64_t region_purge(acre_allocator *allocator, uint64_t keep_bytes)
{
    return acre_region_purge(allocator->implementation, keep_bytes);
}

void acre_region_allocator(acre_region *region, acre_allocator *allocator)
{
    static const acre_allocator_ops ops = {
        .size_bytes = sizeof(acre_allocator_ops),
        .alloc = region_alloc,
        .free = region_free,
        .read_figures = region_read_figures,
        .purge = region_purge,
    };
    *allocator = (acre_allocator){.ops = &ops, .name = region->name, .implementation = region};
}
