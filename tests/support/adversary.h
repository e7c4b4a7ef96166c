/* adversary.h - programs that are made to fragment a heap, for tests and benchmarks. Each has at most ADVERSARY_LIVE_BYTES in use at a
 * time, headers included, and asks for at most ADVERSARY_REQUEST_BYTES. What they return is the span: how far from the beginning of the
 * heap the farthest block ended. */
#ifndef ACRE_TESTS_ADVERSARY_H
#define ACRE_TESTS_ADVERSARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { ADVERSARY_LIVE_BYTES = 65536, ADVERSARY_REQUEST_BYTES = 4096 };

typedef struct adversary {
    void *(*alloc)(void *heap, size_t size);
    void (*free)(void *heap, void *block);
    void *heap;
    const unsigned char *base; /* the first byte that blocks can have */
    size_t header_bytes;       /* what a block takes beyond its size */
    size_t live_bytes;
    size_t span;
    bool has_failed; /* a request got NULL */
} adversary;

static inline void *adversary_take(adversary *a, size_t size)
{
    unsigned char *const block = a->alloc(a->heap, size);
    if (block == NULL) {
        a->has_failed = true;
        return NULL;
    }
    const size_t end = (size_t)(block + size - a->base);
    if (end > a->span) a->span = end;
    a->live_bytes += size + a->header_bytes;
    return block;
}

static inline void adversary_give(adversary *a, void *block, size_t size)
{
    if (block == NULL) return;
    a->free(a->heap, block);
    a->live_bytes -= size + a->header_bytes;
}

/* Pin the remainder: of `hole` + `pin` bytes, which a guard of the same length keeps apart from what is behind, a block of `hole` is taken
 * and one of `pin`, of which the small one stays. A heap that rounds a request up before it looks for a hole does not find what is left
 * when it is asked for `hole` + `pin` bytes again: seven calls in a loop. */
static inline size_t adversary_pin_remainder(adversary *a, size_t hole, size_t pin)
{
    static void *pins[ADVERSARY_LIVE_BYTES / 8];
    const size_t both_bytes = hole + a->header_bytes + pin;
    size_t count = 0;
    a->live_bytes = a->span = 0;
    a->has_failed = false;
    while (!a->has_failed && a->live_bytes + 2 * (both_bytes + a->header_bytes) <= ADVERSARY_LIVE_BYTES) {
        void *const both = adversary_take(a, both_bytes);
        void *const guard = adversary_take(a, both_bytes);
        adversary_give(a, both, both_bytes);
        void *const filler = adversary_take(a, hole);
        pins[count] = adversary_take(a, pin);
        if (pins[count] != NULL) count++;
        adversary_give(a, filler, hole);
        adversary_give(a, guard, both_bytes);
    }
    while (count > 0) a->free(a->heap, pins[--count]);
    return a->span;
}

typedef struct adversary_block {
    unsigned char *at;
    size_t size;
} adversary_block;

/* Does the block have a byte at `offset` of some cell of `cell` bytes? */
static inline bool adversary_pins(const adversary *a, const adversary_block *block, size_t cell, size_t offset)
{
    const size_t begin = (size_t)(block->at - a->base);
    const size_t to_pin = (offset + cell - begin % cell) % cell;
    return to_pin < block->size + a->header_bytes;
}

/* Robson's doubling: fill up with blocks of a size, keep those that have a byte at one place of each cell of twice the size, free the
 * others, and go on with twice the size. It looks at real addresses to choose the place. */
static inline size_t adversary_doubling(adversary *a)
{
    static adversary_block blocks[ADVERSARY_LIVE_BYTES / 8];
    size_t count = 0;
    size_t offset = 0;
    a->live_bytes = a->span = 0;
    a->has_failed = false;
    for (size_t cell = 16; cell <= ADVERSARY_REQUEST_BYTES; cell *= 2) {
        const size_t size = cell - a->header_bytes;
        if (cell > 16) {
            size_t waste[2] = {0, 0}; /* of cells that stay pinned, at the old place and half a cell behind it */
            for (size_t i = 0; i < count; i++) {
                for (size_t k = 0; k < 2; k++) {
                    const size_t block_bytes = blocks[i].size + a->header_bytes;
                    if (adversary_pins(a, &blocks[i], cell, offset + k * cell / 2)) waste[k] += cell > block_bytes ? cell - block_bytes : 0;
                }
            }
            if (waste[1] > waste[0]) offset += cell / 2;
            for (size_t i = count; i-- > 0;) {
                if (adversary_pins(a, &blocks[i], cell, offset)) continue;
                adversary_give(a, blocks[i].at, blocks[i].size);
                blocks[i] = blocks[--count];
            }
        }
        while (!a->has_failed && a->live_bytes + cell <= ADVERSARY_LIVE_BYTES) {
            unsigned char *const at = adversary_take(a, size);
            if (at != NULL) blocks[count++] = (adversary_block){.at = at, .size = size};
        }
    }
    while (count > 0) {
        count--;
        a->free(a->heap, blocks[count].at);
    }
    return a->span;
}

#endif
