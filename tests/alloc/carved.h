/* carved.h - what the tests of tight.c and half_fit.c share: blocks with contents that must stay, every short sequence of operations, and
 * frees that must be refused. */
#ifndef ACRE_TESTS_CARVED_H
#define ACRE_TESTS_CARVED_H

#include "support/test.h"

#include <acre/status.h>

typedef struct carved_ops {
    void *(*alloc)(void *heap, size_t size);
    acre_status (*free)(void *heap, void *block);
    acre_status (*resize)(void *heap, void *block, size_t size);
    bool (*is_valid)(const void *heap);
    size_t alignment;
    size_t heap_bytes; /* of the engine's struct */
} carved_ops;

typedef struct carved_block {
    unsigned char *at;
    size_t size;
    unsigned char seed;
} carved_block;

enum { CARVED_BLOCK_COUNT_MAX = 4096 };

typedef struct carved {
    const carved_ops *ops;
    void *heap;
    unsigned char *memory;
    size_t bytes;
    size_t count;
    carved_block blocks[CARVED_BLOCK_COUNT_MAX];
} carved;

static inline void carved_begin(carved *c, const carved_ops *ops, void *heap, unsigned char *memory, size_t bytes)
{
    c->ops = ops;
    c->heap = heap;
    c->memory = memory;
    c->bytes = bytes;
    c->count = 0;
}

static inline void carved_fill(const carved_block *block)
{
    for (size_t i = 0; i < block->size; i++) block->at[i] = (unsigned char)(block->seed + 7 * i);
}

static inline void carved_check(const carved_block *block)
{
    for (size_t i = 0; i < block->size; i++) assert_int_equal(block->at[i], (unsigned char)(block->seed + 7 * i));
}

/* Allocates and notes a block; false when there is none. */
static inline bool carved_alloc(carved *c, size_t size, unsigned char seed)
{
    unsigned char *const at = c->ops->alloc(c->heap, size);
    if (at == NULL) return false;
    assert_true((uintptr_t)at % c->ops->alignment == 0);
    assert_true(at >= c->memory && at + size <= c->memory + c->bytes);
    assert_true(c->count < CARVED_BLOCK_COUNT_MAX);
    c->blocks[c->count] = (carved_block){.at = at, .size = size, .seed = seed};
    carved_fill(&c->blocks[c->count++]);
    return true;
}

static inline void carved_free(carved *c, size_t index)
{
    carved_check(&c->blocks[index]);
    assert_int_equal(c->ops->free(c->heap, c->blocks[index].at), ACRE_OK);
    c->blocks[index] = c->blocks[--c->count];
}

static inline void carved_resize(carved *c, size_t index, size_t size)
{
    carved_block *const block = &c->blocks[index];
    const acre_status status = c->ops->resize(c->heap, block->at, size);
    assert_true(status == ACRE_OK || (status == ACRE_NO_MEMORY && size > block->size));
    carved_check(&(carved_block){.at = block->at, .size = size < block->size ? size : block->size, .seed = block->seed});
    if (status != ACRE_OK) return;
    block->size = size;
    carved_fill(block);
}

/* Every sequence of up to `depth` operations: an allocation of one of the sizes, or a free of any block in use. `c` has no blocks. */
static inline void carved_try_all(carved *c, const size_t *sizes, size_t size_count, int depth, uint64_t *sequence_count)
{
    unsigned char memory[512];
    unsigned char heap[256];
    carved_block blocks[16];
    const size_t count = c->count;
    ++*sequence_count;
    assert_true(c->ops->is_valid(c->heap));
    if (depth == 0) return;
    assert_true(c->bytes <= sizeof memory && c->ops->heap_bytes <= sizeof heap && count < 16);
    memcpy(memory, c->memory, c->bytes);
    memcpy(heap, c->heap, c->ops->heap_bytes);
    memcpy(blocks, c->blocks, count * sizeof *blocks);
    for (size_t i = 0; i < size_count + count; i++) {
        if (i < size_count)
            (void)carved_alloc(c, sizes[i], (unsigned char)(31 * i + (size_t)depth));
        else
            carved_free(c, i - size_count);
        carved_try_all(c, sizes, size_count, depth - 1, sequence_count);
        memcpy(c->memory, memory, c->bytes);
        memcpy(c->heap, heap, c->ops->heap_bytes);
        memcpy(c->blocks, blocks, count * sizeof *blocks);
        c->count = count;
    }
}

/* 10^5 frees of what is no block: of other memory, between two units, in the middle of blocks with random contents, of blocks that were
 * freed, and of blocks whose header has one byte changed. Returns how many were not refused. */
static inline uint64_t carved_free_invalid(carved *c, uint64_t *random)
{
    uint64_t accepted = 0;
    for (int i = 0; i < 100000; i++) {
        const uint64_t number = next_random(random);
        while (c->count < 40) assert_true(carved_alloc(c, 1 + (size_t)(next_random(random) % 500), (unsigned char)next_random(random)));
        const size_t index = (size_t)(number >> 8) % c->count;
        carved_block *const block = &c->blocks[index];
        for (size_t k = 0; k < block->size; k++) block->at[k] = (unsigned char)(next_random(random) >> 20);
        unsigned char *wrong = NULL;
        unsigned char *changed = NULL;
        unsigned char before = 0;
        switch (number % 5) {
        case 0: wrong = (unsigned char *)((uintptr_t)c->memory + (number >> 32) % (4 * c->bytes) - c->bytes); break;
        case 1: wrong = block->at + 1 + (number >> 32) % 7; break;
        case 2: wrong = block->at + (block->size > 8 ? 8 * (1 + (number >> 32) % ((block->size + 7) / 8 - 1)) : 3); break;
        case 3:
            wrong = block->at;
            assert_int_equal(c->ops->free(c->heap, wrong), ACRE_OK);
            break;
        default:
            wrong = block->at;
            changed = block->at - 1 - (number >> 32) % 4;
            before = *changed;
            *changed ^= (unsigned char)(1 + (number >> 40) % 255);
        }
        bool is_block = false;
        for (size_t k = 0; k < c->count; k++) is_block = is_block || (c->blocks[k].at == wrong && number % 5 < 3);
        if (!is_block && c->ops->free(c->heap, wrong) == ACRE_OK) accepted++;
        if (changed != NULL) *changed = before;
        if (number % 5 == 3)
            *block = c->blocks[--c->count];
        else
            carved_fill(block);
        if (i % 64 == 0 && accepted == 0) assert_true(c->ops->is_valid(c->heap));
        if (number % 3 == 0 && c->count > 0) carved_free(c, (size_t)(number >> 16) % c->count);
    }
    return accepted;
}

/* All sequences of seven operations with these sizes, on the empty heap that the test has begun. */
static inline void carved_try_every_sequence(carved *c, const size_t *sizes, size_t size_count)
{
    uint64_t count = 0;
    carved_try_all(c, sizes, size_count, 7, &count);
    assert_true(count > 100000);
}

#endif
