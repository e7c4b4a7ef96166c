/* ring.h - blocks of any size that go in the order in which they came, over a range of fixed size: packets, log records, messages.
 *
 *     producer                                             consumer
 *     char *packet = acre_ring_alloc(&ring, 1500);         acre_block packet;
 *     ... fill it ...                                      while (acre_ring_peek(&ring, 0, &packet)) {
 *     acre_ring_publish(&ring);                                ... use packet.base, packet.size_bytes ...
 *                                                              acre_ring_free(&ring, packet.base);
 *                                                          }
 *
 * A block is never split: one that does not fit before the end of the range goes to its beginning. Where it fits is decided by who the
 * oldest block is, and what a ring knows of its blocks stands apart from them: it never reads or writes a block, and works over every
 * space, also where addresses are no pointers.
 *
 * Costs. acre_ring_alloc is inline: 20 instructions, no atomic one; publish, peek and free are 2 to 12. Every few blocks, when the room
 * that was seen last is used up, alloc looks how far the consumer has come: O(1). 16 bytes a block beside the blocks; blocks are rounded
 * up to 16 bytes.
 *
 * Thread safety: one thread allocates and publishes, one peeks and frees, without a lock (L. Lamport: Specifying concurrent program
 * modules, TOPLAS 5(2), 1983). They may be the same. Create, destroy, figures, walk and validity: no other thread meanwhile.
 *
 * Example: examples/regions.c.
 */
#ifndef ACRE_RING_H
#define ACRE_RING_H

#include <acre/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_RING_BYTES_MAX ((uint64_t)1 << 48) /* of blocks */

typedef struct acre_ring_options {
    acre_space *space;        /* where blocks lie */
    acre_space *meta_space;   /* where their records lie; needs ACRE_CAP_HOST_ACCESS. NULL: in `space` too, which then needs it */
    uint64_t size_bytes;      /* for blocks, rounded up to the grain of the space; 0: all that a space of fixed size has left */
    uint32_t block_count_max; /* blocks at one time, rounded up to a power of two; 0: one for each 64 bytes, at least 16 */
    const char *name;         /* for messages, not copied; NULL: "ring" */
} acre_ring_options;

typedef struct acre_ring_record {
    acre_addr base;
    uint64_t size_bytes; /* as it was asked for */
} acre_ring_record;

/* Lives in memory of the caller. The fields are for the inline functions and for implementations. Numbers of blocks count on for ever
 * and wrap; the record of block i is records[i & mask]. */
typedef struct acre_ring {
    /* Both sides read. */
    acre_ring_record *records; /* NULL: not made, or destroyed */
    size_t mask;
    acre_addr base;  /* of the range */
    acre_addr limit; /* where it ends */
    bool is_host;    /* addresses are pointers */
    const char *name;
    acre_ranges ranges;
    char apart_from_producer[64]; /* the two sides write to lines of their own */
    /* The producer's. */
    acre_addr next;   /* where the next block goes */
    acre_addr end;    /* up to here room and records are enough for any blocks; it is `next` where addresses are no pointers */
    size_t allocated; /* the number of the next block */
    size_t published; /* those below it are the consumer's: stored with release */
    char apart_from_consumer[64];
    /* The consumer's. */
    size_t freed; /* the number of the oldest block: stored with release */
    char apart_from_others[64];
} acre_ring;

/* Makes an empty ring. Both spaces must stay open until it is destroyed.
 * ACRE_INVALID: an argument is NULL, the space is not open, the records' space has no host access, more than ACRE_RING_BYTES_MAX bytes or
 * 2^28 blocks are asked for, or no size, of a space without a fixed one. ACRE_NO_MEMORY: a space has no room. On failure nothing is held.
 */
ACRE_API acre_status acre_ring_create(const acre_ring_options *options, acre_ring *ring);

/* Gives the range back, blocks in use included. NULL, and one that is not made, are ignored. */
ACRE_API void acre_ring_destroy(acre_ring *ring);

/* ---- the producer ---- */

/* `size` bytes at a multiple of `alignment`, a power of two; size 0 is a block of no bytes, which takes 16. Works for every space. 0 when
 * it cannot be had, and nothing was changed: ACRE_BUSY when the ring is full and the consumer's frees will make room, the sentence has what
 * was asked for and what is left; ACRE_NO_MEMORY for more than the whole ring; ACRE_INVALID for a bad alignment or a ring that is not made.
 * O(1). */
ACRE_API acre_addr acre_ring_alloc_address(acre_ring *ring, uint64_t size, uint64_t alignment) ACRE_MUST_USE;

/* The part of acre_ring_alloc that is not inline. */
ACRE_API ACRE_SELDOM void *acre_ring_alloc_slowly(acre_ring *ring, size_t size);

/* `size` bytes aligned to 16. NULL as in acre_ring_alloc_address, and where addresses are no pointers (ACRE_UNSUPPORTED). */
static inline ACRE_MUST_USE void *acre_ring_alloc(acre_ring *ring, size_t size)
{
    const acre_addr start = ring->next;
    const uint64_t last = (uint64_t)size - 1; /* of size 0 the largest number, which fits nowhere */
    acre_ring_record *record;
    if (last >= ring->end - start) return acre_ring_alloc_slowly(ring, size);
    record = &ring->records[ring->allocated & ring->mask];
    record->base = start;
    record->size_bytes = size;
    ring->allocated++;
    ring->next = start + (last | 15) + 1;
    return (void *)(uintptr_t)start;
}

/* Lets the consumer see all blocks that were allocated; what was written to them before it sees too. */
static inline void acre_ring_publish(acre_ring *ring) { __atomic_store_n(&ring->published, ring->allocated, __ATOMIC_RELEASE); }

/* ---- the consumer ---- */

/* The oldest block (ahead = 0), or the one that came `ahead` blocks later, with the size that was asked for. False: no such block is
 * published. O(1). */
static inline bool acre_ring_peek(const acre_ring *ring, size_t ahead, acre_block *block)
{
    const acre_ring_record *record;
    if (__atomic_load_n(&ring->published, __ATOMIC_ACQUIRE) - ring->freed <= ahead) return false;
    record = &ring->records[(ring->freed + ahead) & ring->mask];
    block->base = record->base;
    block->size_bytes = record->size_bytes;
    block->is_out = true;
    return true;
}

/* The part of acre_ring_free that is not inline. */
ACRE_API ACRE_SELDOM acre_status acre_ring_refuse(const acre_ring *ring, acre_addr block);

/* Gives the oldest block back. 0 is ignored. ACRE_BAD_POINTER, and nothing was changed: it is not the oldest block that is published. O(1).
 */
static inline acre_status acre_ring_free(acre_ring *ring, acre_addr block)
{
    const size_t oldest = ring->freed;
    if (__atomic_load_n(&ring->published, __ATOMIC_ACQUIRE) == oldest || ring->records[oldest & ring->mask].base != block) {
        return acre_ring_refuse(ring, block);
    }
    __atomic_store_n(&ring->freed, oldest + 1, __ATOMIC_RELEASE);
    return ACRE_OK;
}

/* ---- either ---- */

/* block_bytes: from the oldest block to the newest, as they were asked for; committed_bytes: the range; dirty_bytes: the rest of it;
 * meta_bytes: the records. O(blocks). ACRE_INVALID for a NULL. */
ACRE_API acre_status acre_ring_read_figures(const acre_ring *ring, acre_allocator_figures *figures);

/* The ring behind the interface of allocator.h, for one thread: alloc (which publishes), free, usable size, walk, figures. A free of
 * another than the oldest block is a fault (see guard.h). Usable size is O(1) for the oldest and the newest block, O(blocks) for
 * others. `allocator` is the caller's memory and lives no longer than the ring. */
ACRE_API void acre_ring_allocator(acre_ring *ring, acre_allocator *allocator);

/* True when every invariant of the ring holds. O(blocks). For tests. */
ACRE_API bool acre_ring_is_valid(const acre_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
