/* Proofs of alloc/buddy.c on a heap of 5 cells, in any valid state. */
#include "../proof.h"
#include "alloc/buddy.c"

enum { CELLS = 5, NODES = 5 + 3 + 2 + 1 };

static unsigned char cells[CELLS * ACRE_BUDDY_CELL_BYTES];
static unsigned char tree[NODES];
static acre_buddy heap;
static acre_buddy before;
static unsigned char tree_before[NODES];

static void any_heap(void)
{
    for (uint32_t i = 0; i < NODES; i++) tree_before[i] = tree[i] = (unsigned char)nondet_u32();
    heap = (acre_buddy){.cells = cells, .tree = tree, .cell_count = CELLS, .node_count = NODES, .top_level = 3, .live_cells = nondet_u32()};
    assume(acre_buddy_is_valid(&heap));
    before = heap;
}

/* Does the node of `level` that begins at the cell say that all of its cells are free, or does one above it? */
static bool was_free(uint32_t cell, uint32_t level)
{
    const acre_buddy *const h = &before;
    place at = {.nodes = tree_before, .level = 0, .number = cell};
    bool is_free = false;
    for (uint32_t i = 0; i <= h->top_level; i++) {
        /* A node that is free under one in use is no free memory. */
        if (*value_of(&at) == 0) is_free = false;
        if (at.level == level) is_free = is_wholly_free(&at);
        if (at.level > level && is_wholly_free(&at)) is_free = true;
        if (at.level < h->top_level) go_up(h, &at);
    }
    return is_free;
}

/* PROOF buddy_alloc
 *   property: a block lies at the lowest free multiple of its size, is refused only when there is none, and the heap stays valid
 *   bound:    5 cells, any state
 *   assumes:  nothing
 *   options:  --unwind 12
 */
void prove_buddy_alloc(void)
{
    any_heap();
    const uint32_t level = nondet_u32();
    assume(level <= 3);
    const unsigned char *const block = acre_buddy_alloc(&heap, (size_t)ACRE_BUDDY_CELL_BYTES << level);
    uint32_t lowest = CELLS;
    for (uint32_t cell = 0; cell < CELLS; cell++) {
        const uint32_t size = 1u << level;
        if (lowest == CELLS && cell % size == 0 && cell + size <= heap.cell_count && was_free(cell, level)) lowest = cell;
    }
    assert(lowest == CELLS ? block == NULL : block == cells + lowest * ACRE_BUDDY_CELL_BYTES);
    assert(heap.live_cells == before.live_cells + (block == NULL ? 0 : 1u << level));
    assert(acre_buddy_is_valid(&heap));
}

/* Does a block in use begin at the cell? It has a node of 0 of its own, and below that all is free. */
static bool was_block(uint32_t cell)
{
    const acre_buddy *const h = &before;
    place at = {.nodes = tree_before, .level = 0, .number = cell};
    bool is_block = *value_of(&at) == 0;
    for (uint32_t level = 1; level <= h->top_level; level++) {
        place left = at;
        left.number &= ~1u;
        const bool is_whole = is_wholly_free(&left) && right_of(h, &left) == level;
        go_up(h, &at);
        if (cell % (1u << level) == 0 && *value_of(&at) == 0 && is_whole) is_block = true;
    }
    return is_block;
}

/* PROOF buddy_size
 *   property: a block has the least power of two of cells that holds what is asked for
 *   bound:    unbounded
 *   assumes:  the size is one that acre_buddy_alloc lets through
 *   options:  --unwind 2
 */
void prove_buddy_size(void)
{
    const size_t size = nondet_size();
    assume(size <= ACRE_REALTIME_REGION_BYTES_MAX);
    const size_t bytes = (size_t)acre_buddy_cells(size) * ACRE_BUDDY_CELL_BYTES;
    assert(bytes >= size && (bytes & (bytes - 1)) == 0);
    assert(bytes == ACRE_BUDDY_CELL_BYTES || bytes / 2 < size);
}

/* PROOF buddy_free
 *   property: a free takes back exactly a block that is in use and begins there; any other pointer is refused and changes nothing; the heap
 *             stays valid
 *   bound:    5 cells, any state
 *   assumes:  nothing
 *   options:  --unwind 12
 */
void prove_buddy_free(void)
{
    any_heap();
    const uintptr_t offset = nondet_word();
    void *const block = (void *)((uintptr_t)cells + offset);
    const uint32_t size = acre_buddy_cells_of(&heap, block);
    const acre_status status = acre_buddy_free(&heap, block);
    const uintptr_t cell = offset / ACRE_BUDDY_CELL_BYTES;
    assert((status == ACRE_OK) == (offset % ACRE_BUDDY_CELL_BYTES == 0 && cell < CELLS && was_block((uint32_t)cell)));
    assert((status == ACRE_OK) == (size > 0));
    assert(heap.live_cells == before.live_cells - size);
    assert(acre_buddy_is_valid(&heap));
    assert(acre_buddy_cells_of(&heap, block) == 0);
    if (status == ACRE_OK) return;
    for (uint32_t i = 0; i < NODES; i++) assert(tree[i] == tree_before[i]);
}
