/* model.h - heaps as their authors describe them, for comparison: where blocks would lie, without memory. Each model is written from the
 * published description named in its file, not from its source; it says what the memory of that design comes to, and nothing of its speed.
 *
 * A model keeps its blocks in order of address, in records of its own. Addresses are numbers from MODEL_BASE on that nobody may use. */
#ifndef ACRE_BENCH_MODEL_H
#define ACRE_BENCH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_BASE ((uintptr_t)1 << 20)

typedef struct model_block {
    uint32_t offset; /* in bytes from the beginning of the heap, header included */
    uint32_t bytes;
    bool is_free;
    struct model_block *below; /* in order of address */
    struct model_block *above;
    struct model_block *next; /* of its list of free blocks, or of unused records */
    struct model_block *previous;
} model_block;

typedef struct model model;
struct model {
    const char *name;
    uint32_t header_bytes;  /* of a block in use */
    uint32_t control_bytes; /* taken from the arena once */
    uint32_t rest_bytes_min; /* what is left of a block is split off when it has as much */
    uint32_t (*block_bytes)(size_t size);
    model_block *(*find)(model *m, uint32_t bytes);
    void (*list)(model *m, model_block *block); /* it is free from now on */
    void (*unlist)(model *m, model_block *block);

    uint32_t heap_bytes;
    model_block **by_offset; /* one for each 4 bytes */
    model_block *unused;
    model_block *first;
    void *records;
    model_block *lists[32 * 32];
};

/* An empty heap in an arena of so many bytes; false when there is no room for control data and a block. */
bool model_open(model *m, size_t arena_bytes);
void model_close(model *m);

/* Addresses, or NULL. */
void *model_alloc(model *m, size_t size);
void model_free(model *m, void *block);

/* Lists of which the last block that came is the first. */
void model_push(model_block **list, model_block *block);
void model_pull(model_block **list, model_block *block);

void model_tlsf(model *m);
void model_o1heap(model *m);
void model_heap_4(model *m);

#endif
