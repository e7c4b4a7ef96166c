/* tlsf.c - REFERENCE MODEL of TLSF, written from the published description (Masmano, Ripoll, Crespo, Real: TLSF, a new dynamic memory
 * allocator for real-time systems, ECRTS 2004), with the parameters that implementations for 32-bit machines have: 32 lists for each power
 * of two, lists 4 bytes apart below 128 bytes, headers of 4 bytes, blocks of at least 16, a control block of 3188 bytes.
 *
 * Good fit: a request is rounded up to where the next list begins, and the first block of the first list from there on that has one is
 * taken and cut to what the request needs. */
#include "model.h"

enum { LISTS_OF_POWER = 32, SMALL_BYTES = 128 };

static uint32_t log2_of(uint32_t value) { return 31 - (uint32_t)__builtin_clz(value); }

/* Of what a block has for its owner. */
static uint32_t list_of(uint32_t bytes)
{
    if (bytes < SMALL_BYTES) return bytes / 4;
    const uint32_t power = log2_of(bytes);
    return (power - 6) * LISTS_OF_POWER + ((bytes >> (power - 5)) - LISTS_OF_POWER);
}

static uint32_t block_bytes(size_t size) { return (size < 12 ? 12 : ((uint32_t)size + 3) / 4 * 4) + 4; }

static model_block *find(model *m, uint32_t bytes)
{
    uint32_t wanted = bytes - 4;
    if (wanted >= SMALL_BYTES) wanted += (1u << (log2_of(wanted) - 5)) - 1;
    for (uint32_t i = list_of(wanted); i < sizeof m->lists / sizeof *m->lists; i++) {
        if (m->lists[i] != NULL) return m->lists[i];
    }
    return NULL;
}

static void list(model *m, model_block *block) { model_push(&m->lists[list_of(block->bytes - 4)], block); }
static void unlist(model *m, model_block *block) { model_pull(&m->lists[list_of(block->bytes - 4)], block); }

void model_tlsf(model *m)
{
    *m = (model){.name = "TLSF model",
                 .header_bytes = 4,
                 .control_bytes = 3188,
                 .rest_bytes_min = 16,
                 .block_bytes = block_bytes,
                 .find = find,
                 .list = list,
                 .unlist = unlist};
}
