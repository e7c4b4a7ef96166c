/* meta.c - see meta.h. A bump through the newest chunk; a piece larger than a quarter chunk gets a chunk of its own. */
#include "alloc/meta.h"
#include "base/bits.h"
#include "base/status.h"

#include <string.h>

enum { ALIGNMENT_BYTES = 64, CHUNK_BYTES = 256 * 1024 };

/* Stands at the beginning of its chunk. */
struct acre_meta_chunk {
    acre_meta_chunk *next;
    uint64_t size_bytes;
    uint64_t used_bytes; /* this header included */
};

acre_status acre_meta_init(acre_meta *meta, acre_space *space)
{
    if (space == NULL || (space->info.capabilities & ACRE_CAP_HOST_ACCESS) == 0) {
        return acre_fail(ACRE_INVALID, "meta space '%s': descriptors must lie where the host can reach them",
                         space == NULL ? "NULL" : space->name);
    }
    *meta = (acre_meta){.space = space};
    return ACRE_OK;
}

static acre_meta_chunk *new_chunk(acre_meta *meta, uint64_t size)
{
    acre_addr address = 0;
    const uint64_t grain = meta->space->info.grain_bytes;
    const uint64_t whole = acre_align_up(size, grain);
    if (acre_space_reserve(meta->space, whole, acre_max_size((size_t)grain, ALIGNMENT_BYTES), NULL, &address) != ACRE_OK) {
        return NULL;
    }
    if (acre_space_commit(meta->space, address, whole) != ACRE_OK) {
        (void)acre_space_release(meta->space, address, whole);
        return NULL;
    }
    acre_meta_chunk *const chunk = acre_space_pointer(meta->space, address);
    if ((meta->space->info.capabilities & ACRE_CAP_ZEROED) == 0) memset(chunk, 0, (size_t)whole);
    chunk->size_bytes = whole;
    chunk->used_bytes = acre_align_up(sizeof *chunk, ALIGNMENT_BYTES);
    meta->reserved_bytes += whole;
    return chunk;
}

static uint64_t room_in(const acre_meta_chunk *chunk) { return chunk->size_bytes - chunk->used_bytes; }

/* A space of fixed size is an array that somebody counted out: it gets chunks that fit exactly. */
static uint64_t chunk_bytes_for(const acre_meta *meta, uint64_t size)
{
    const uint64_t needed = acre_align_up(sizeof(acre_meta_chunk), ALIGNMENT_BYTES) + size;
    const bool is_counted_out = (meta->space->info.capabilities & ACRE_CAP_FIXED) != 0;
    return is_counted_out || size > CHUNK_BYTES / 4 ? needed : CHUNK_BYTES;
}

void *acre_meta_alloc(acre_meta *meta, size_t size)
{
    assert(size > 0 && size <= SIZE_MAX / 2);
    const uint64_t whole = acre_align_up(size, ALIGNMENT_BYTES);
    void *piece = NULL;
    acre_lock_take(&meta->lock);
    acre_meta_chunk *chunk = meta->current;
    if (chunk == NULL || room_in(chunk) < whole) {
        chunk = new_chunk(meta, chunk_bytes_for(meta, whole));
        if (chunk != NULL) {
            chunk->next = meta->chunks;
            meta->chunks = chunk;
        }
    }
    if (chunk != NULL) {
        piece = (char *)chunk + chunk->used_bytes;
        chunk->used_bytes += whole;
        if (meta->current == NULL || room_in(chunk) > room_in(meta->current)) meta->current = chunk;
    }
    acre_lock_drop(&meta->lock);
    return piece;
}

const acre_meta_chunk *acre_meta_next_chunk(const acre_meta *meta, const acre_meta_chunk *chunk, size_t *bytes)
{
    const acre_meta_chunk *const next = chunk == NULL ? meta->chunks : chunk->next;
    *bytes = next == NULL ? 0 : (size_t)next->size_bytes;
    return next;
}

void acre_meta_destroy(acre_meta *meta)
{
    acre_meta_chunk *next;
    for (acre_meta_chunk *chunk = meta->chunks; chunk != NULL; chunk = next) {
        next = chunk->next;
        (void)acre_space_release(meta->space, (uintptr_t)chunk, chunk->size_bytes);
    }
    meta->chunks = meta->current = NULL;
    meta->reserved_bytes = 0;
}
