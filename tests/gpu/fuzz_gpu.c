/* fuzz_gpu.c - libFuzzer: no sequence of calls makes an offset allocator or a device memory manager give bytes twice, lose a block, or
 * break an invariant; whatever the driver refuses. */
#include "fake_driver.h"

#include <acre/offset_allocator.h>
#include <stdlib.h>

enum { BLOCKS_MAX = 48, MOVES_MAX = 16, GRANULE = 64 };

typedef struct input {
    const uint8_t *bytes;
    size_t left;
} input;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static unsigned next(input *from)
{
    if (from->left == 0) return 0;
    from->left--;
    return *from->bytes++;
}

/* Mostly short, sometimes longer than there is room for, sometimes absurd. */
static uint64_t next_size(input *from)
{
    const unsigned kind = next(from);
    const uint64_t number = next(from) + 1;
    return kind < 160 ? number * GRANULE / 4 : kind < 250 ? number << 12 : kind == 254 ? number << 40 : UINT64_MAX - number;
}

/* ---- offsets ---- */

static void use_offsets(input *from)
{
    struct {
        acre_offset_block name;
        uint64_t at, size;
    } all[BLOCKS_MAX];
    uint32_t count = 0;
    acre_space pages;
    acre_offset_allocator offsets;
    const acre_offset_options options = {
        .space = &pages, .size_bytes = (uint64_t)GRANULE * (1 + next(from) * 64), .granule_bytes = GRANULE};
    const bool is_next = next(from) % 4 == 0;
    must(acre_space_open_pages(&pages, NULL) == ACRE_OK && acre_offset_allocator_open(&offsets, &options) == ACRE_OK);
    while (from->left > 0) {
        const unsigned operation = next(from);
        if (operation < 150 && count < BLOCKS_MAX) {
            const acre_offset_strategy strategy = is_next ? ACRE_OFFSET_NEXT : (acre_offset_strategy)(operation % 3);
            const uint64_t alignment = (uint64_t)1 << next(from) % 20;
            const uint64_t size = next_size(from);
            if (acre_offset_alloc(&offsets, size, alignment, strategy, &all[count].name, &all[count].at) != ACRE_OK) continue;
            must(all[count].at % alignment == 0);
            all[count].size = size;
        } else if (operation < 170 && count < BLOCKS_MAX) {
            all[count].at = next_size(from);
            all[count].size = next_size(from);
            if (acre_offset_alloc_at(&offsets, all[count].at, all[count].size, &all[count].name) != ACRE_OK) continue;
        } else if (operation < 190 && count > 0) {
            const uint32_t which = next(from) % count;
            const uint64_t size = next_size(from);
            if (acre_offset_resize(&offsets, all[which].name, size) == ACRE_OK) all[which].size = size;
            continue;
        } else if (operation < 250 && count > 0) {
            const uint32_t which = next(from) % count;
            must(acre_offset_free(&offsets, all[which].name) == ACRE_OK);
            must(acre_offset_free(&offsets, all[which].name) == ACRE_BAD_POINTER);
            all[which] = all[--count];
            continue;
        } else {
            must(acre_offset_allocator_is_valid(&offsets));
            continue;
        }
        must(all[count].size <= options.size_bytes && all[count].at <= options.size_bytes - all[count].size);
        for (uint32_t i = 0; i < count; i++) must(all[count].at + all[count].size <= all[i].at || all[i].at + all[i].size <= all[count].at);
        count++;
    }
    must(acre_offset_allocator_is_valid(&offsets));
    acre_offset_allocator_close(&offsets);
    acre_space_close(&pages);
}

/* ---- the manager ---- */

static fake_driver fake;

static void end_plan(acre_gpu *gpu, acre_gpu_pool *pool, acre_gpu_move *moves, uint32_t move_count, acre_gpu_memory *all, uint32_t *count,
                     input *from)
{
    for (uint32_t i = 0; i < move_count; i++) {
        moves[i].outcome = (uint8_t)(next(from) % 3);
        if (moves[i].outcome != ACRE_GPU_MOVE_FREED) continue;
        for (uint32_t j = 0; j < *count; j++)
            if (all[j] == moves[i].memory) all[j--] = all[--*count];
    }
    must(acre_gpu_end_moves(gpu, pool, 0, moves, move_count) == ACRE_OK);
}

static void use_manager(input *from)
{
    acre_gpu_memory all[BLOCKS_MAX];
    acre_gpu_move moves[MOVES_MAX];
    uint32_t count = 0;
    acre_gpu *gpu = NULL;
    acre_gpu_pool *pool = NULL;
    fake_driver_init(&fake, (uint64_t)(next(from) + 1) << 16);
    fake.device.granularity_bytes = (uint64_t)1 << next(from) % 14;
    fake.device.atom_bytes = (uint64_t)1 << next(from) % 9;
    if (next(from) % 2 == 0) fake.device.types[0].flags = ACRE_GPU_DEVICE_LOCAL | ACRE_GPU_HOST_VISIBLE;
    fake.failing_call = next(from);
    fake.has_budget = next(from) % 2 == 0;
    must(acre_gpu_open(&fake.driver, &(acre_gpu_options){.block_bytes = 65536, .memory_count_max = BLOCKS_MAX}, &gpu) == ACRE_OK);
    const acre_gpu_pool_options options = {
        .kind = (uint8_t)(next(from) % 4), .slot_bytes = next(from), .block_bytes = (uint64_t)next(from) << 10};
    (void)acre_gpu_pool_open(gpu, &options, &pool);
    while (from->left > 0) {
        const unsigned operation = next(from);
        if (operation < 120 && count < BLOCKS_MAX) {
            const unsigned bits = next(from);
            const acre_gpu_request request = {.size_bytes = next_size(from),
                                              .alignment_bytes = (uint64_t)1 << operation % 16,
                                              .content = (uint8_t)(bits % 3),
                                              .strategy = (uint8_t)(bits / 4 % 3),
                                              .lifetime = (uint8_t)(bits / 16 % 4),
                                              .flags = next(from),
                                              .name = bits % 5 == 0 ? "named" : NULL,
                                              .pool = operation % 3 == 0 ? pool : NULL};
            if (acre_gpu_alloc(gpu, &request, &all[count]) == ACRE_OK) count++;
        } else if (operation < 200 && count > 0) {
            const uint32_t which = next(from) % count;
            must(acre_gpu_free(gpu, all[which]) == ACRE_OK);
            must(acre_gpu_free(gpu, all[which]) == ACRE_BAD_POINTER);
            all[which] = all[--count];
        } else if (operation < 225 && count > 0) {
            void *pointer;
            const acre_gpu_memory memory = all[next(from) % count];
            if (operation % 3 == 0)
                (void)acre_gpu_map(gpu, memory, &pointer);
            else if (operation % 3 == 1)
                (void)acre_gpu_unmap(gpu, memory);
            else if (acre_gpu_map(gpu, memory, &pointer) == ACRE_OK)
                (void)acre_gpu_flush(gpu, memory, next(from), next_size(from));
        } else if (operation < 240) {
            uint32_t move_count = MOVES_MAX;
            acre_gpu_pool *const of = operation % 2 == 0 && pool != NULL && options.kind == ACRE_GPU_POOL_GENERAL ? pool : NULL;
            const uint64_t wanted = operation % 3 == 0 ? 0 : next_size(from);
            must(acre_gpu_plan_moves(gpu, of, 0, next_size(from), wanted % ((uint64_t)1 << 32), moves, &move_count, NULL) == ACRE_OK);
            must(acre_gpu_check(gpu) == ACRE_OK);
            /* A call of the driver that fails would leave a move undone, which is right, but not what this expects. */
            fake.failing_call = 0;
            end_plan(gpu, of, moves, move_count, all, &count, from);
        } else {
            if (operation < 248) (void)acre_gpu_trim(gpu, operation % 2 == 0 ? pool : NULL);
            must(acre_gpu_check(gpu) == ACRE_OK);
        }
    }
    must(acre_gpu_check(gpu) == ACRE_OK);
    while (count > 0) must(acre_gpu_free(gpu, all[--count]) == ACRE_OK);
    must(acre_gpu_pool_close(pool) == ACRE_OK && acre_gpu_close(gpu) == ACRE_OK);
    must(fake_driver_block_count(&fake) == 0 && fake.mistakes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input from = {.bytes = data, .left = size};
    if (next(&from) % 3 == 0)
        use_offsets(&from);
    else
        use_manager(&from);
    return 0;
}
