/* complexity.c - one heap operation, many times, beside a heap state of a chosen size: what scripts/steps/complexity counts the
 * instructions of.
 *
 *     complexity OPERATION SIZE REPEAT
 *
 * The cost of one operation is the difference of two runs with different REPEAT, divided by the difference: making the
 * state and ending it drop out. Where O(1) is promised, it does not grow with SIZE.
 */
#include <acre/heap.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNIT_BYTES = 16 * 1024, BATCH = 256 /* more than a magazine holds, so that each passes refill and flush */ };

static void *must(void *block)
{
    if (block == NULL) abort();
    return block;
}

static void alloc_and_free_batch(acre_heap *heap, size_t size)
{
    void *blocks[BATCH];
    for (size_t i = 0; i < BATCH; i++) blocks[i] = must(acre_heap_alloc(heap, size));
    for (size_t i = 0; i < BATCH; i++) acre_heap_free(heap, blocks[i]);
}

static void alloc_and_free_large(acre_heap *heap, size_t size)
{
    void *const block = must(acre_heap_alloc(heap, size));
    acre_heap_free(heap, block);
}

/* `count` blocks, of which every second goes back: as many isolated holes as can be. */
static void make_holes(acre_heap *heap, size_t count, size_t size, bool has_holes)
{
    void **const blocks = malloc(count * sizeof *blocks);
    if (blocks == NULL) abort();
    for (size_t i = 0; i < count; i++) blocks[i] = must(acre_heap_alloc(heap, size));
    for (size_t i = 0; i < count && has_holes; i += 2) acre_heap_free(heap, blocks[i]);
    free(blocks);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 4) return 2;
    const char *const operation = arguments[1];
    const size_t size = strtoull(arguments[2], NULL, 10);
    const size_t repeat = strtoull(arguments[3], NULL, 10);
    acre_heap *heap = NULL;
    if (acre_heap_create(NULL, &heap) != ACRE_OK) return 1;

    if (strcmp(operation, "small_beside_blocks") == 0) {
        make_holes(heap, size, 64, false);
        for (size_t i = 0; i < repeat; i++) alloc_and_free_batch(heap, 64);
    } else if (strcmp(operation, "small_beside_holes") == 0) {
        make_holes(heap, size, 4096, true);
        for (size_t i = 0; i < repeat; i++) alloc_and_free_batch(heap, 4096);
    } else if (strcmp(operation, "large_beside_blocks") == 0) {
        make_holes(heap, size, 3 * UNIT_BYTES, false);
        for (size_t i = 0; i < repeat; i++) alloc_and_free_large(heap, 5 * UNIT_BYTES);
    } else if (strcmp(operation, "large_beside_holes") == 0) {
        /* The holes are too short for what is asked for: a list searched from its beginning would walk all of them. */
        make_holes(heap, size, 3 * UNIT_BYTES, true);
        for (size_t i = 0; i < repeat; i++) alloc_and_free_large(heap, 5 * UNIT_BYTES);
    } else if (strcmp(operation, "small_beside_heaps") == 0) {
        for (size_t i = 0; i < size; i++) {
            acre_heap *other = NULL;
            if (acre_heap_create(NULL, &other) != ACRE_OK) return 1;
            must(acre_heap_alloc(other, 64));
        }
        for (size_t i = 0; i < repeat; i++) alloc_and_free_batch(heap, 64);
    } else {
        fprintf(stderr, "complexity: '%s' is no operation\n", operation);
        return 2;
    }
    return 0;
}
