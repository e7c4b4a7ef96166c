/* fuzz_realtime.c - any sequence of operations on a real-time heap of any engine: blocks lie in the heap and do not overlap, contents stay,
 * what is no block is refused, and the heap is valid after every step. */
#undef NDEBUG
#include <acre/realtime.h>
#include <assert.h>
#include <string.h>

enum { BLOCKS = 32, BYTES = 4096 };

typedef struct block {
    unsigned char *at;
    size_t size;
    unsigned char seed;
} block;

static _Alignas(64) unsigned char memory[BYTES];

static void check(const block *b)
{
    for (size_t i = 0; i < b->size; i++) assert(b->at[i] == b->seed);
}

/* A block that has just come lies in the heap, and in none of the others. */
static void note(block *blocks, size_t which, unsigned char *at, size_t size, unsigned char seed)
{
    assert(at >= memory && at + size <= memory + BYTES);
    for (size_t i = 0; i < BLOCKS; i++)
        assert(i == which || blocks[i].at == NULL || at + size <= blocks[i].at || blocks[i].at + blocks[i].size <= at);
    blocks[which] = (block){at, size, seed};
    memset(at, seed, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    if (length < 2) return 0;
    acre_realtime heap;
    block blocks[BLOCKS] = {{NULL, 0, 0}};
    const acre_realtime_options options = {.name = "fuzz", .engine = (acre_realtime_engine)(data[0] % ACRE_REALTIME_ENGINE_COUNT)};
    memset(memory, 0, sizeof memory); /* headers of an earlier heap look like headers */
    assert(acre_realtime_init(&heap, &options, memory, 512 + (size_t)data[1] * 14) == ACRE_OK);
    for (size_t i = 2; i + 3 <= length; i += 3) {
        const size_t which = data[i] % BLOCKS, size = (size_t)data[i + 1] * (data[i + 2] % 8 == 0 ? 8 : 1);
        block *const b = &blocks[which];
        const unsigned char seed = (unsigned char)(i + 1);
        if (b->at == NULL) {
            const size_t alignment = (size_t)1 << data[i + 2] % 6;
            unsigned char *const at = data[i] & 64 ? acre_realtime_alloc_aligned(&heap, size, alignment) : acre_realtime_alloc(&heap, size);
            if (at == NULL) continue;
            assert((data[i] & 64) == 0 || (uintptr_t)at % alignment == 0);
            note(blocks, which, at, size, seed);
        } else if (data[i] & 64) {
            check(b);
            unsigned char *const at = acre_realtime_realloc(&heap, b->at, size > 0 ? size : 1);
            if (at == NULL) {
                check(b);
                continue;
            }
            for (size_t k = 0; k < b->size && k < size; k++) assert(at[k] == b->seed);
            note(blocks, which, at, size > 0 ? size : 1, seed);
        } else if (data[i] & 128 && b->size > 1) {
            /* Inside of it. Where headers lie between blocks, contents may look like one; but none lies at an odd address. */
            const size_t odd = options.engine == ACRE_REALTIME_BUDDY ? 0 : 1;
            assert(acre_realtime_free(&heap, b->at + ((1 + data[i + 2] % (b->size - 1)) | odd)) != ACRE_OK);
        } else {
            check(b);
            assert(acre_realtime_free(&heap, b->at) == ACRE_OK);
            assert(acre_realtime_free(&heap, b->at) != ACRE_OK);
            b->at = NULL;
        }
        assert(acre_realtime_is_valid(&heap));
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i].at == NULL) continue;
        check(&blocks[i]);
        assert(acre_realtime_free(&heap, blocks[i].at) == ACRE_OK);
    }
    acre_realtime_figures figures;
    assert(acre_realtime_read_figures(&heap, &figures) == ACRE_OK && figures.live_bytes == 0 && figures.block_count == 0);
    return 0;
}
