/* buddy.h - the binary buddy system, lowest address first: the engine for heaps whose sizes are powers of two anyway.
 *
 * The heap is a row of cells of 32 bytes. A block is 2^k cells at a multiple of 2^k cells, the lowest such place that is free. A heap of
 * M (1 + log2(n) / 2) - n + 1 cells then always has room for M cells in use, in blocks of at most n cells, when n divides it (Robson 1974).
 * M counts the cells that blocks have, not what was asked for: that is up to half as much.
 *
 * The state is a tree of bytes beside the cells, two for each: node i of level k says what the largest free block in cells i 2^k to
 * (i + 1) 2^k - 1 is, 1 + k for 2^k cells, 0 for none. A block in use is a node of 0 whose children are wholly free. Nothing is kept in
 * cells: so every pointer that is no block in use is found out, whatever callers wrote.
 *
 * Costs. Every operation is O(log cells): at most 20 steps.
 *
 * Thread safety: none, one thread at a time. */
#ifndef ACRE_ALLOC_BUDDY_H
#define ACRE_ALLOC_BUDDY_H

#include "alloc/block.h"

#define ACRE_BUDDY_CELL_BYTES 32u
#define ACRE_BUDDY_BYTES_MIN  128u

typedef struct acre_buddy {
    uint32_t live_cells;  /* in use */
    unsigned char *cells; /* at a multiple of ACRE_BUDDY_CELL_BYTES */
    unsigned char *tree;  /* the nodes of level 0, then those of level 1, up to the level with one node */
    uint32_t cell_count;
    uint32_t node_count;
    uint32_t top_level;
} acre_buddy;

/* Makes an empty heap of `bytes` bytes at `memory`, which are the heap's from now on. ACRE_INVALID, and nothing was changed: `bytes` is
 * more than ACRE_REALTIME_REGION_BYTES_MAX or less than ACRE_BUDDY_BYTES_MIN. O(cells). */
acre_status acre_buddy_init(acre_buddy *heap, void *memory, size_t bytes);

/* How many cells a heap has in `bytes` bytes that begin at a multiple of ACRE_BUDDY_CELL_BYTES; 0 where acre_buddy_init refuses them.
 * Elsewhere one less is certain. O(1). */
uint32_t acre_buddy_cell_count(size_t bytes);

/* How many cells a block for `size` bytes takes; size <= ACRE_REALTIME_REGION_BYTES_MAX. */
uint32_t acre_buddy_cells(size_t size);

/* `size` bytes at a multiple of ACRE_BUDDY_CELL_BYTES; size 0 counts as 1. NULL: there is no room. */
void *acre_buddy_alloc(acre_buddy *heap, size_t size);

/* Gives a block back. ACRE_BAD_POINTER, and nothing was changed: it is no block in use of this heap. */
acre_status acre_buddy_free(acre_buddy *heap, void *block);

/* Makes a block longer or shorter where it is. ACRE_NO_MEMORY: it cannot be that long there. Else as acre_buddy_free. */
acre_status acre_buddy_resize(acre_buddy *heap, void *block, size_t size);

/* How many cells a block in use has; 0 for what is none. */
uint32_t acre_buddy_cells_of(const acre_buddy *heap, const void *block);

/* Cells of the largest free block. O(1). */
uint32_t acre_buddy_longest(const acre_buddy *heap);

/* True when every invariant of the heap holds. O(cells). For tests. */
bool acre_buddy_is_valid(const acre_buddy *heap);

#endif
