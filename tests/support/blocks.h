/* blocks.h - the simplest model of an allocator: the blocks that are out, in the order in which they came. */
#ifndef ACRE_TESTS_SUPPORT_BLOCKS_H
#define ACRE_TESTS_SUPPORT_BLOCKS_H

#include "support/test.h"

#include <acre/space.h>

enum { MODEL_BLOCK_COUNT_MAX = 400 };

typedef struct model_block {
    acre_addr base;
    uint64_t size;
    uint8_t fill;
} model_block;

typedef struct model_blocks {
    model_block blocks[MODEL_BLOCK_COUNT_MAX];
    size_t count;
    const acre_space *space;
    bool has_memory;
} model_blocks;

void model_open(model_blocks *model, const acre_space *space);

/* The checks that say what an allocator is: in the space, aligned, and nobody else's. Fills the block where there is memory. */
void model_add(model_blocks *model, acre_addr base, uint64_t size, uint64_t alignment, uint8_t fill);

/* The block still has what it was filled with. */
void model_check(const model_blocks *model, size_t at);

/* Takes the last blocks away, all but `count`; or the first one. Their contents are checked. */
void model_cut(model_blocks *model, size_t count);
void model_shift(model_blocks *model);

#endif
