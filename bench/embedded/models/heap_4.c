/* heap_4.c - REFERENCE MODEL of the heap_4 of FreeRTOS, written from the description in its manual: first fit in order of address, headers
 * of 8 bytes, blocks at multiples of 8, a rest is split off when it is longer than two headers, and 44 bytes of control data (36, and a
 * header that ends the heap). */
#include "model.h"

static uint32_t block_bytes(size_t size) { return ((uint32_t)(size == 0 ? 1 : size) + 8 + 7) / 8 * 8; }

static model_block *find(model *m, uint32_t bytes)
{
    for (model_block *block = m->first; block != NULL; block = block->above) {
        if (block->is_free && block->bytes >= bytes) return block;
    }
    return NULL;
}

static void nothing(model *m, model_block *block)
{
    (void)m;
    (void)block;
}

void model_heap_4(model *m)
{
    *m = (model){.name = "heap_4 model",
                 .header_bytes = 8,
                 .control_bytes = 44,
                 .rest_bytes_min = 24,
                 .block_bytes = block_bytes,
                 .find = find,
                 .list = nothing,
                 .unlist = nothing};
}
