/* o1heap.c - REFERENCE MODEL of o1heap 3, written from the description in its manual and from the paper of its method (Ogasawara: An
 * algorithm with constant execution time for dynamic storage allocation, RTCSA 1995): half-fit with headers of 8 bytes on 32-bit machines,
 * requests rounded up to a power of two, header included and at least 16, and 160 bytes of control data. */
#include "model.h"

static uint32_t log2_of(uint32_t value) { return 31 - (uint32_t)__builtin_clz(value); }

static uint32_t block_bytes(size_t size)
{
    const uint32_t bytes = (uint32_t)size + 8;
    return bytes <= 16 ? 16 : 1u << (log2_of(bytes - 1) + 1);
}

static model_block *find(model *m, uint32_t bytes)
{
    for (uint32_t i = log2_of(bytes); i < 32; i++) {
        if (m->lists[i] != NULL) return m->lists[i];
    }
    return NULL;
}

static void list(model *m, model_block *block) { model_push(&m->lists[log2_of(block->bytes)], block); }
static void unlist(model *m, model_block *block) { model_pull(&m->lists[log2_of(block->bytes)], block); }

void model_o1heap(model *m)
{
    *m = (model){.name = "o1heap model",
                 .header_bytes = 8,
                 .control_bytes = 160,
                 .rest_bytes_min = 16,
                 .block_bytes = block_bytes,
                 .find = find,
                 .list = list,
                 .unlist = unlist};
}
