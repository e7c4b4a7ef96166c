/* tight.h - address-ordered first fit, exact, in a constant number of steps: the engine of real-time heaps that wastes little.
 *
 * A block goes where the lowest free block is that has room for it. Whatever was freed in which order, a heap of M (1 + ceil(log2 n)) units
 * then always has room for what is in use at one time, M units, in blocks of at most n units (Robson 1977).
 *
 * Blocks are as in block.h. What finds them:
 *
 *     chunk    16 units: a bit for each unit where a free block of at least 2 units begins, at most 4 of them
 *     window   16 chunks: a record of 64 bytes. Its first half is a tree of bytes, node 1 on top (not kept), nodes 16 to 31 the chunks: how
 *              long the longest free block is that begins there, 255 for that and more; its second half has the chunks' bits
 *     tops     a forest of 8 trees over the windows, with exact lengths: nodes 8 to 15 are the roots, node i is above 2 i and 2 i + 1
 *
 * A byte is enough below a window, because no two blocks of 255 units or more begin in one: the second would begin at least 257 units
 * behind the first. So where a window has room for such a block, one chunk of it has 255, and that is the one. Free blocks of one unit
 * are in no chunk's bits; they wait for a neighbour to be freed.
 *
 * Costs. Control data is 1/32 of the heap, and some 60 bytes. acre_tight_alloc and acre_tight_free have no loop and make no call
 * through a pointer: the levels of the trees are written out, as many as ACRE_REALTIME_REGION_BYTES_MAX asks for. The 8 roots
 * tell how long the longest free block is.
 *
 * Other places for a block in the same heap: acre_tight_alloc_best and acre_tight_alloc_worst, for which no such bound holds.
 *
 * Thread safety: none, one thread at a time. */
#ifndef ACRE_ALLOC_TIGHT_H
#define ACRE_ALLOC_TIGHT_H

#include "alloc/block.h"

#define ACRE_TIGHT_ROOT_COUNT 8u
#define ACRE_TIGHT_BYTES_MIN  256u

/* A length in units. */
#if ACRE_REALTIME_REGION_BYTES_MAX <= (256 << 10)
typedef uint16_t acre_tight_length;
#else
typedef uint32_t acre_tight_length;
#endif

typedef struct acre_tight {
    uint32_t live_units;     /* in use, headers included */
    unsigned char *base;     /* the header at unit 0 */
    unsigned char *windows;  /* their records */
    acre_tight_length *tops; /* nodes 4 to 7 are greater than any length, so that a way up ends there; below are none */
    uint32_t unit_count;
    uint32_t level_count; /* of the forest, below its roots; even */
} acre_tight;

/* Makes an empty heap of `bytes` bytes at `memory`, which are the heap's from now on. ACRE_INVALID, and nothing was changed: `bytes` is
 * more than ACRE_REALTIME_REGION_BYTES_MAX or less than ACRE_TIGHT_BYTES_MIN. O(bytes / 1024). */
acre_status acre_tight_init(acre_tight *tight, void *memory, size_t bytes);

/* `size` bytes at a multiple of 8 in the lowest free block that has them; size 0 counts as 1. NULL: none has. O(1). */
void *acre_tight_alloc(acre_tight *tight, size_t size);

/* The same in the smallest free block that has them, the lowest of equal ones. O(free blocks). */
void *acre_tight_alloc_best(acre_tight *tight, size_t size);

/* The same in the largest free block, the lowest of equal ones. O(1). */
void *acre_tight_alloc_worst(acre_tight *tight, size_t size);

/* Gives a block back. As acre_block_look says; nothing was changed then. O(1). */
acre_status acre_tight_free(acre_tight *tight, void *block);

/* Makes a block longer or shorter where it is. ACRE_NO_MEMORY: the memory behind it is in use. Else as acre_tight_free. O(1). */
acre_status acre_tight_resize(acre_tight *tight, void *block, size_t size);

/* Gives back the first `units` units of a block of more than that: the block begins behind them. `block` is one that an alloc returned just
 * now. Returns what it is called from now on. O(1). */
void *acre_tight_cut_front(acre_tight *tight, void *block, uint32_t units);

/* The longest free block, in units; 0 when none has 2. O(1). */
uint32_t acre_tight_longest(const acre_tight *tight);

/* How many units a heap has in `bytes` bytes that begin at a multiple of 8; 0 where acre_tight_init refuses them. Elsewhere one less is
 * certain. O(1). */
uint32_t acre_tight_unit_count(size_t bytes);

/* True when every invariant of the heap holds. O(units). For tests. */
bool acre_tight_is_valid(const acre_tight *tight);

#endif
