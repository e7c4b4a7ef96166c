/* offset_allocator.h - carves a range of numbers into blocks: memory of a device, a file, another node, an address space.
 *
 * Nothing that is managed is touched, and it need not be memory: a block is an offset and a size. What the allocator notes, 32 bytes for
 * each block and each free extent between them, lies in a space of the caller's choice.
 *
 *     acre_offset_allocator offsets;
 *     acre_offset_allocator_open(&offsets, &(acre_offset_options){.space = &pages, .size_bytes = 256 << 20, .granule_bytes = 256});
 *     acre_offset_block block;
 *     uint64_t offset;
 *     if (acre_offset_alloc(&offsets, 5000, 256, ACRE_OFFSET_GOOD_FIT, &block, &offset) == ACRE_OK) {
 *         ...
 *         acre_offset_free(&offsets, block);
 *     }
 *     acre_offset_allocator_close(&offsets);
 *
 * The idea. Free extents stand in lists by size: a row for each power of two, 32 lists a row, so that the sizes in a list differ by 1/32 at
 * most; sizes below 64 granules have a list each (two-level segregated fit, Masmano 2004). The range is cut into 16 *regions*, each with
 * lists of its own for the extents that begin in it. A small block, if it has less than 128 granules, goes into an extent of its very list
 * when any region has one; else to the lowest region that has room, there into the list that fits best; a large one, from 1/256 of the
 * range on, to the list that fits best of all regions, at the upper end of the extent. So small blocks gather below, and what is free above
 * stays whole: in the mix of a GPU (256 B to 64 MiB) the first allocation fails some 14 points of occupancy later than under VMA's
 * two-level segregated fit (bench/gpu).
 *
 * Four strategies. *Good fit*: as above. *Best fit*: the smallest free extent that holds the block, up to 1/32 of its size, and among some
 * of the same list the smallest; of equals one in the lowest region. *Lowest*: the lowest offset of all, which takes a look at each extent.
 * *Next*: behind the last block, or at the beginning of the range: for blocks that are freed in the order of a stack or of a queue.
 *
 * Costs. alloc and free look at the same few words however many blocks there are: instructions in bench/gpu. Lowest is O(extents).
 * Freed blocks join their free neighbours at once.
 *
 * A block's name has a generation in it, so that a block that was freed is refused, unless its record has been used 2^29 times since.
 *
 * Limits: less than 2^32 granules, 2^24 blocks.
 *
 * Thread safety: none, one thread at a time.
 *
 * Example: examples/offset_allocator.c.
 */
#ifndef ACRE_OFFSET_ALLOCATOR_H
#define ACRE_OFFSET_ALLOCATOR_H

#include <acre/space.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_OFFSET_BLOCKS_MAX ((uint32_t)1 << 24)
#define ACRE_OFFSET_REGIONS    16u
#define ACRE_OFFSET_ROW_LISTS  32u
#define ACRE_OFFSET_ROWS_MAX   28u

typedef struct acre_offset_options {
    acre_space *space;        /* for the records; needs ACRE_CAP_HOST_ACCESS, and has to stay open */
    uint64_t size_bytes;      /* of the range; what is over a multiple of the granule is not used */
    uint64_t granule_bytes;   /* a power of two: offsets and sizes are multiples of it; 0: 16 */
    uint32_t block_count_max; /* blocks at one time that there are records for whatever is free between them; more where less is. Up to
                               * ACRE_OFFSET_BLOCKS_MAX; 0: 2^20, or one for each granule. Reserved, not committed */
    const char *name;         /* for messages, not copied; NULL: "offsets" */
} acre_offset_options;

/* The name of a block. 0 is none. */
typedef uint64_t acre_offset_block;

typedef enum acre_offset_strategy {
    ACRE_OFFSET_GOOD_FIT,
    ACRE_OFFSET_BEST_FIT,
    ACRE_OFFSET_LOWEST,
    ACRE_OFFSET_NEXT, /* not to be mixed with the others */
} acre_offset_strategy;

typedef struct acre_offset_extent {
    uint64_t offset;
    uint64_t size_bytes;
    bool is_out;             /* false: free */
    acre_offset_block block; /* 0 when free */
    uint64_t user;           /* of the block, as acre_offset_set_user said; else 0 */
} acre_offset_extent;

typedef struct acre_offset_figures {
    uint64_t size_bytes;
    uint64_t block_bytes; /* in blocks, rounded up to granules */
    uint32_t block_count;
    uint32_t free_extent_count;
    uint64_t largest_free_bytes;
    uint64_t record_bytes; /* committed for records */
} acre_offset_figures;

struct acre_offset_node;

/* Lives in memory of the caller. The fields are for the implementation. */
typedef struct acre_offset_allocator {
    struct acre_offset_node *nodes;            /* NULL: not open. Node 1 is the lowest; 0 stands for none */
    uint32_t *lists;                           /* the first node of each: by region, row and list */
    uint32_t *region_lists;                    /* bit: the list has an extent; by region and row */
    uint16_t *list_regions;                    /* bit: the region has one in the list; by row and list */
    uint32_t region_rows[ACRE_OFFSET_REGIONS]; /* bit: the region has one in the row */
    uint32_t row_lists[ACRE_OFFSET_ROWS_MAX];
    uint16_t row_regions[ACRE_OFFSET_ROWS_MAX];
    uint32_t rows;
    uint32_t row_count;
    uint32_t region_shift;
    uint32_t granule_shift;
    uint32_t granule_count;
    uint32_t large_count; /* from so many granules on a block is large */
    uint32_t last;        /* the block that ACRE_OFFSET_NEXT made last and that is still there */
    uint32_t spare;       /* first of the nodes that stand for nothing, through their `next` */
    uint32_t node_count;  /* made so far ... */
    uint32_t node_count_committed;
    uint32_t node_count_max;
    uint32_t node_room; /* how many nodes can be made without a commit */
    uint32_t block_count;
    uint32_t free_count;
    uint64_t used_count; /* granules in blocks */
    acre_space *space;
    acre_addr base; /* of the records */
    uint64_t reserved_bytes;
    uint64_t committed_bytes;
    const char *name;
} acre_offset_allocator;

/* One free extent of the whole range. ACRE_INVALID: an argument is NULL or out of its range, or the space has no host access;
 * ACRE_NO_MEMORY: the space has no room. On failure nothing is held. */
ACRE_API acre_status acre_offset_allocator_open(acre_offset_allocator *offsets, const acre_offset_options *options);

/* Gives the records back; blocks that are out are forgotten. NULL, or not open, does nothing. */
ACRE_API void acre_offset_allocator_close(acre_offset_allocator *offsets);

/* A block of `size` bytes, rounded up to granules (0: one), at a multiple of `alignment`, a power of two. ACRE_INVALID; ACRE_NO_MEMORY: no
 * free extent will do, or its records are used up (block_count_max), or their space is full; nothing was changed. Good and best fit
 * look at eight of the extents that are long enough but not for every offset of the alignment: of more, one that will do may be missed. No
 * sentence is written for ACRE_NO_MEMORY: a caller with another range tries that one next. */
ACRE_API acre_status acre_offset_alloc(acre_offset_allocator *offsets, uint64_t size, uint64_t alignment, acre_offset_strategy strategy,
                                       acre_offset_block *block, uint64_t *offset);

/* The block at a place of the caller's choice, within one free extent: ACRE_NO_MEMORY, it is not free; ACRE_INVALID, it is no multiple of
 * the granule. O(extents). */
ACRE_API acre_status acre_offset_alloc_at(acre_offset_allocator *offsets, uint64_t offset, uint64_t size, acre_offset_block *block);

/* ACRE_BAD_POINTER: no block of this allocator, or freed already; nothing was changed. */
ACRE_API acre_status acre_offset_free(acre_offset_allocator *offsets, acre_offset_block block);

/* Makes the block longer, into the free extent behind it, or shorter, where it is. ACRE_NO_MEMORY: what is behind it does not suffice. */
ACRE_API acre_status acre_offset_resize(acre_offset_allocator *offsets, acre_offset_block block, uint64_t size);

/* What is known of a block, and a word of the caller's for it, 0 at first. ACRE_BAD_POINTER. O(1). */
ACRE_API acre_status acre_offset_read(const acre_offset_allocator *offsets, acre_offset_block block, acre_offset_extent *extent);
ACRE_API acre_status acre_offset_set_user(acre_offset_allocator *offsets, acre_offset_block block, uint64_t user);

/* Calls `visit` for each block and each free extent in order of offsets, until it says false. `visit` must not change the allocator. */
typedef bool acre_offset_visitor(void *context, const acre_offset_extent *extent);
ACRE_API acre_status acre_offset_walk(const acre_offset_allocator *offsets, acre_offset_visitor *visit, void *context);

/* The largest free extent takes a look at those of its list. */
ACRE_API acre_status acre_offset_read_figures(const acre_offset_allocator *offsets, acre_offset_figures *figures);

/* True when every invariant holds. O(extents). */
ACRE_API bool acre_offset_allocator_is_valid(const acre_offset_allocator *offsets);

#ifdef __cplusplus
}
#endif
#endif
