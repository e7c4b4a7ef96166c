/* half_fit.h - half-fit (Ogasawara 1995): the engine of real-time heaps that is fast.
 *
 * A request is rounded up to a power of two, header included. Free blocks are kept by the power of two that they reach, in one list each,
 * and a bit of one word says which lists have a block: so the first set bit from the request's own on is a list of which any block has
 * room. What a block is too long comes back as a free one. Blocks that are freed join their neighbours, and go to the front of their list.
 *
 * Costs. acre_half_fit_alloc and acre_half_fit_free have no loop and make no call. Control data is 8 bytes for each power of two, and 50.
 * The price is memory: a block takes up to twice what was asked for. The need in the worst case is said to be 2 M (1 + ceil(log2 n)) units
 * for M units in use and blocks of n at most (Herter 2014, for heaps of this kind); M and n here are rounded already.
 *
 * Blocks are as in block.h, and all of an even number of units. A free one has the units of the next and the previous one of its list
 * behind its header. The ends of the lists stand before the first block, as units. These links are not checked: what a caller writes
 * into a block that was freed can do harm, other than in tight.c.
 *
 * Thread safety: none, one thread at a time. */
#ifndef ACRE_ALLOC_HALF_FIT_H
#define ACRE_ALLOC_HALF_FIT_H

#include "alloc/block.h"

#define ACRE_HALF_FIT_BYTES_MIN 256u

typedef struct acre_half_fit {
    uint32_t live_units;   /* in use, headers and rounding included */
    unsigned char *base;   /* unit 0; what follows a header is at a multiple of 16 */
    uint32_t end_unit;     /* of the last header */
    uint32_t filled_lists; /* bit i: the list of 2^i to 2^(i + 1) - 1 units has a block */
} acre_half_fit;

/* Makes an empty heap of `bytes` bytes at `memory`, which are the heap's from now on. ACRE_INVALID, and nothing was changed: `bytes` is
 * more than ACRE_REALTIME_REGION_BYTES_MAX or less than ACRE_HALF_FIT_BYTES_MIN. O(1). */
acre_status acre_half_fit_init(acre_half_fit *heap, void *memory, size_t bytes);

/* How many units a heap has in `bytes` bytes that begin at a multiple of 16; 0 where acre_half_fit_init refuses them. Elsewhere two less
 * are certain. O(1). */
uint32_t acre_half_fit_unit_count(size_t bytes);

/* How many units a block for `size` bytes takes; size <= ACRE_REALTIME_REGION_BYTES_MAX. */
uint32_t acre_half_fit_units(size_t size);

/* `size` bytes at a multiple of 16; size 0 counts as 1. NULL: no list has a block that is certain to have them. O(1). */
void *acre_half_fit_alloc(acre_half_fit *heap, size_t size);

/* Gives a block back. As acre_block_look says; nothing was changed then. O(1). */
acre_status acre_half_fit_free(acre_half_fit *heap, void *block);

/* Makes a block longer or shorter where it is. ACRE_NO_MEMORY: the memory behind it is in use. Else as acre_half_fit_free. O(1). */
acre_status acre_half_fit_resize(acre_half_fit *heap, void *block, size_t size);

/* As acre_tight_cut_front, for an even number of units. */
void *acre_half_fit_cut_front(acre_half_fit *heap, void *block, uint32_t units);

/* As acre_block_look. */
acre_status acre_half_fit_look(const acre_half_fit *heap, const void *block, acre_block_around *at);

/* The header of the first block. */
unsigned char *acre_half_fit_first(const acre_half_fit *heap);

/* How many units the heap has. */
uint32_t acre_half_fit_capacity(const acre_half_fit *heap);

/* For how many units, rounded, there is room: the power of two that the longest free block reaches; 0 when there is none. O(1). */
uint32_t acre_half_fit_longest(const acre_half_fit *heap);

/* True when every invariant of the heap holds. O(blocks). For tests. */
bool acre_half_fit_is_valid(const acre_half_fit *heap);

#endif
