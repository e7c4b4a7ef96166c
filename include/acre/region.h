/* region.h - many blocks, given back together: a pointer that moves up, and back down to a mark.
 *
 * Also called an arena, an obstack or a bump allocator (D. R. Hanson: Fast allocation and deallocation of memory based on object
 * lifetimes, Software: Practice and Experience 20(1), 1990). For what lives as long as a request, a frame, a parse.
 *
 *     acre_region region;
 *     if (acre_region_create(&(acre_region_options){.name = "request", .space = &pages}, &region) != ACRE_OK) puts(acre_last_error());
 *     char *text = acre_region_alloc(&region, 100);
 *     acre_region_mark mark = acre_region_position(&region);
 *     ...                                        blocks that are not needed for long
 *     acre_region_rewind(&region, mark);         they are gone, text is still there
 *     acre_region_destroy(&region);
 *
 * A region never reads or writes the memory that it manages, and all that it knows stands in the acre_region: so it works over every
 * space, also where addresses are no pointers. It grows by chunks, each at least twice as long as the one before.
 *
 * Costs. acre_region_alloc is inline: 10 instructions, no call. A block that the chunk has no room for takes the next chunk: one reserve
 * and one commit of the space, or one block of the parent, and none where an earlier chunk is there again after a rewind. Rewind and
 * reset are O(1). Blocks are rounded up to 16 bytes; no other memory is used beside them, but a chunk's end that was too short.
 *
 * Thread safety: none, one thread at a time. Regions share nothing but their space, which is thread safe.
 *
 * Example: examples/regions.c.
 */
#ifndef ACRE_REGION_H
#define ACRE_REGION_H

#include <acre/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_REGION_CHUNK_COUNT_MAX 64    /* since they double, no region gets there that has memory for half of them */
#define ACRE_REGION_CHUNK_BYTES     65536 /* the first chunk, unless told */

typedef struct acre_region_options {
    acre_space *space;      /* where chunks come from. With a parent: whose memory it is, NULL for memory of the host */
    acre_allocator *parent; /* NULL: chunks are ranges of the space. Else they are blocks of this one, of a heap for example */
    uint64_t chunk_bytes;   /* the first chunk, rounded up to the grain of the space; 0: ACRE_REGION_CHUNK_BYTES */
    const char *name;       /* for messages, not copied; NULL: "region" */
} acre_region_options;

typedef struct acre_region_chunk {
    acre_addr base;      /* as it was taken */
    uint64_t size_bytes; /* as it was taken */
    uint64_t used_bytes; /* of a chunk below the current one: up to its last block */
} acre_region_chunk;

/* Lives in memory of the caller. The fields are for the inline functions and for implementations. */
typedef struct acre_region {
    acre_addr next;       /* where the next block goes; a multiple of 16 */
    acre_addr end;        /* of the current chunk; where addresses are no pointers it is `next`, so that nothing fits inline */
    uint32_t current;     /* the chunk that `next` lies in */
    uint32_t chunk_count; /* at least 1; those above `current` are held for later. 0: not made, or destroyed */
    bool is_host;         /* addresses are pointers */
    acre_space *space;
    acre_allocator *parent;
    const char *name;
    acre_region_chunk chunks[ACRE_REGION_CHUNK_COUNT_MAX];
} acre_region;

/* A place in a region. Good until the region is rewound to a place below it. */
typedef struct acre_region_mark {
    acre_addr next;
    uint32_t chunk;
} acre_region_mark;

/* Makes an empty region with one chunk. Space and parent must stay until it is destroyed.
 * ACRE_INVALID: an argument is NULL, or there is neither space nor parent, or chunk_bytes is above 2^60.
 * ACRE_NO_MEMORY: there is no room for 16 bytes. (Where there is no room for the whole chunk, it is a shorter one.) */
ACRE_API acre_status acre_region_create(const acre_region_options *options, acre_region *region);

/* Gives all chunks back, the last one first. No block may be used any more. NULL, and one that is not made, are ignored. O(chunks). */
ACRE_API void acre_region_destroy(acre_region *region);

/* `size` bytes at a multiple of `alignment`, a power of two; size 0 counts as 1. Works for every space. 0 when it cannot be had, and
 * nothing was changed: ACRE_INVALID for a region that is not made or a bad alignment, ACRE_NO_MEMORY. O(1), and at most
 * one chunk is taken. */
ACRE_API acre_addr acre_region_alloc_address(acre_region *region, uint64_t size, uint64_t alignment) ACRE_MUST_USE;

/* The part of acre_region_alloc that is not inline. */
ACRE_API ACRE_SELDOM void *acre_region_alloc_slowly(acre_region *region, size_t size);

/* `size` bytes aligned to 16; size 0 counts as 1. NULL as in acre_region_alloc_address, and where addresses are no pointers
 * (ACRE_UNSUPPORTED). */
static inline ACRE_MUST_USE void *acre_region_alloc(acre_region *region, size_t size)
{
    const acre_addr start = region->next;
    const uint64_t last = (uint64_t)size - 1; /* of size 0 the largest number, which fits nowhere */
    if (last >= region->end - start) return acre_region_alloc_slowly(region, size);
    region->next = start + (last | 15) + 1; /* not above the end, which is a multiple of 16 too */
    return (void *)(uintptr_t)start;
}

/* Where the next block goes. O(1). */
static inline acre_region_mark acre_region_position(const acre_region *region)
{
    acre_region_mark mark;
    mark.next = region->next;
    mark.chunk = region->current;
    return mark;
}

/* Gives back all blocks that came after the mark. Chunks are held for the blocks to come: see acre_region_purge. O(1).
 * ACRE_INVALID, and nothing was changed: a NULL, or the mark is no place in the used part of this region. (A mark above a place that
 * the region was rewound to is not found out once the region has grown over it again.) */
ACRE_API acre_status acre_region_rewind(acre_region *region, acre_region_mark mark);

/* Gives back all blocks. O(1). ACRE_INVALID: NULL, or not made. */
ACRE_API acre_status acre_region_reset(acre_region *region);

/* Gives chunks back that hold no block, the last one first, but for `keep_bytes` of them. Returns how many bytes went. O(chunks). */
ACRE_API uint64_t acre_region_purge(acre_region *region, uint64_t keep_bytes);

/* block_bytes: up to the current place; committed_bytes: all chunks; dirty_bytes: the rest of the chunks; meta_bytes: 0. O(chunks).
 * ACRE_INVALID for a NULL. */
ACRE_API acre_status acre_region_read_figures(const acre_region *region, acre_allocator_figures *figures);

/* The region behind the interface of allocator.h: alloc, figures, purge. Its free has no effect: blocks go together. `allocator` is
 * the caller's memory and lives no longer than the region. */
ACRE_API void acre_region_allocator(acre_region *region, acre_allocator *allocator);

/* True when every invariant of the region holds. O(chunks). For tests. */
ACRE_API bool acre_region_is_valid(const acre_region *region);

/* ---- a scope: blocks that are made in it are gone behind it ---- */

typedef struct acre_region_scope {
    acre_region *region;
    acre_region_mark mark;
    bool is_left;
} acre_region_scope;

static inline acre_region_scope acre_region_scope_begin(acre_region *region)
{
    acre_region_scope scope;
    scope.region = region;
    scope.mark = acre_region_position(region);
    scope.is_left = false;
    return scope;
}

static inline void acre_region_scope_end(acre_region_scope *scope) { (void)acre_region_rewind(scope->region, scope->mark); }

/* ACRE_REGION_SCOPE(&region) { ... } - as ACRE_SCOPE of stack.h, with the same limits. */
#define ACRE_REGION_SCOPE(region)          ACRE_REGION_SCOPE_AT(region, __LINE__)
#define ACRE_REGION_SCOPE_AT(region, line) ACRE_REGION_SCOPE_IN(region, line) /* so that __LINE__ becomes a number first */
#define ACRE_REGION_SCOPE_IN(region, line) ACRE_REGION_SCOPE_NAMED(region, acre_region_scope_in_##line)
#define ACRE_REGION_SCOPE_NAMED(region, scope)                                                                                             \
    for (__attribute__((cleanup(acre_region_scope_end))) acre_region_scope scope = acre_region_scope_begin(region); !(scope).is_left;      \
         (scope).is_left = true)

#ifdef __cplusplus
}
#endif
#endif
