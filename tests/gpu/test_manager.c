/* test_manager.c - device memory over a driver of the tests: contents stay whole through allocs, frees, maps and moves, and each promise of
 * acre/gpu.h about blocks, budgets, pages, maps, pools and reports. */
#include "../support/test.h"
#include "fake_driver.h"

#include <pthread.h>
#include <stdio.h>

enum { MEMORIES_MAX = 300, MOVES_MAX = 200 };
#define MIB ((uint64_t)1 << 20)

static fake_driver fake;
static acre_gpu *gpu;

static void open_with(const acre_gpu_options *options) { assert_int_equal(acre_gpu_open(&fake.driver, options, &gpu), ACRE_OK); }

static void begin(uint64_t heap_bytes)
{
    fake_driver_init(&fake, heap_bytes);
    fake.has_bytes = true;
}

static void finish(void)
{
    assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
    assert_int_equal(acre_gpu_close(gpu), ACRE_OK);
    assert_int_equal(fake_driver_block_count(&fake), 0);
    assert_int_equal(fake.mistakes, 0);
}

static acre_gpu_memory_info info_of(acre_gpu_memory memory)
{
    acre_gpu_memory_info info;
    assert_int_equal(acre_gpu_read_memory(gpu, memory, &info), ACRE_OK);
    return info;
}

static acre_gpu_memory alloc(const acre_gpu_request *request)
{
    acre_gpu_memory memory = 0;
    assert_int_equal(acre_gpu_alloc(gpu, request, &memory), ACRE_OK);
    return memory;
}

static acre_gpu_memory alloc_bytes(uint64_t size) { return alloc(&(acre_gpu_request){.size_bytes = size}); }

static void free_memory(acre_gpu_memory memory) { assert_int_equal(acre_gpu_free(gpu, memory), ACRE_OK); }

static acre_gpu_figures figures_of(uint32_t heap)
{
    acre_gpu_figures figures;
    assert_int_equal(acre_gpu_read_figures(gpu, heap, &figures), ACRE_OK);
    return figures;
}

/* ---- contents ---- */

typedef struct filled {
    acre_gpu_memory memory;
    unsigned char byte;
    bool is_mapped;
} filled;

static filled memories[MEMORIES_MAX];
static uint32_t memory_count;

static void fill(filled *f, unsigned char byte)
{
    const acre_gpu_memory_info info = info_of(f->memory);
    f->byte = byte;
    memset(fake_driver_bytes(&fake, info.handle, info.offset_bytes), byte, info.size_bytes);
}

static void check_contents(const filled *f)
{
    const acre_gpu_memory_info info = info_of(f->memory);
    const unsigned char *const bytes = fake_driver_bytes(&fake, info.handle, info.offset_bytes);
    for (uint64_t i = 0; i < info.size_bytes; i++)
        if (bytes[i] != f->byte) fail_msg("byte %llu of %llu", (unsigned long long)i, (unsigned long long)info.size_bytes);
    assert_int_equal(info.offset_bytes % info.alignment_bytes, 0);
    if (f->is_mapped) assert_ptr_equal(info.pointer, bytes);
}

/* Copies what the plan says, all but some that are not moved or not wanted any more. */
static void execute(acre_gpu_move *moves, uint32_t count, uint64_t *random)
{
    for (uint32_t i = 0; i < count; i++) {
        const acre_gpu_memory_info info = info_of(moves[i].memory);
        const unsigned which = (unsigned)(next_random(random) % 16);
        assert_int_equal(acre_gpu_free(gpu, moves[i].memory), ACRE_BUSY);
        assert_int_equal(moves[i].to_offset_bytes % info.alignment_bytes, 0);
        moves[i].outcome = which == 0 ? ACRE_GPU_MOVE_NOT : which == 1 ? ACRE_GPU_MOVE_FREED : ACRE_GPU_MOVE_DONE;
        memcpy(fake_driver_bytes(&fake, moves[i].to, moves[i].to_offset_bytes), fake_driver_bytes(&fake, info.handle, info.offset_bytes),
               info.size_bytes);
        if (moves[i].outcome == ACRE_GPU_MOVE_DONE) memset(fake_driver_bytes(&fake, info.handle, info.offset_bytes), 0xEE, info.size_bytes);
    }
}

static void forget_freed(const acre_gpu_move *moves, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (moves[i].outcome != ACRE_GPU_MOVE_FREED) continue;
        for (uint32_t j = 0; j < memory_count; j++) {
            if (memories[j].memory != moves[i].memory) continue;
            memories[j] = memories[--memory_count];
            break;
        }
    }
}

static void defragment(acre_gpu_pool *pool, uint64_t bytes_max, uint64_t wanted, uint64_t *random)
{
    static acre_gpu_move moves[MOVES_MAX];
    acre_gpu_gain gain;
    uint32_t count = MOVES_MAX;
    assert_int_equal(acre_gpu_plan_moves(gpu, pool, 0, bytes_max, wanted, moves, &count, &gain), ACRE_OK);
    assert_true(gain.moved_bytes <= bytes_max && count <= MOVES_MAX);
    assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
    if (count > 0) {
        uint32_t other = 1;
        acre_gpu_move more;
        assert_int_equal(acre_gpu_plan_moves(gpu, pool, 0, bytes_max, 0, &more, &other, NULL), ACRE_BUSY);
    }
    execute(moves, count, random);
    assert_int_equal(acre_gpu_end_moves(gpu, pool, 0, moves, count), ACRE_OK);
    forget_freed(moves, count);
}

static uint64_t random_size(uint64_t *random)
{
    const uint64_t value = next_random(random);
    return 1 + (value >> 20) % (value % 8 == 0 ? 60000 : value % 64 == 1 ? 200000 : 3000);
}

static void step(uint64_t *random, acre_gpu_pool *pool)
{
    const uint64_t number = next_random(random);
    if (memory_count > 0 && (memory_count == MEMORIES_MAX || number % 100 < 45)) {
        const uint32_t which = (uint32_t)(number >> 32) % memory_count;
        check_contents(&memories[which]);
        free_memory(memories[which].memory);
        assert_int_equal(acre_gpu_free(gpu, memories[which].memory), ACRE_BAD_POINTER);
        memories[which] = memories[--memory_count];
        return;
    }
    const acre_gpu_request request = {.size_bytes = random_size(random),
                                      .alignment_bytes = (uint64_t)1 << (number >> 16) % 13,
                                      .content = (uint8_t)((number >> 24) % 3),
                                      .strategy = (uint8_t)((number >> 28) % 3),
                                      .lifetime = (uint8_t)((number >> 32) % 4),
                                      .flags = (number >> 36) % 4 == 0    ? ACRE_GPU_MAPPED
                                               : (number >> 36) % 64 == 1 ? ACRE_GPU_DEDICATED
                                                                          : 0,
                                      .name = (number >> 44) % 4 == 0 ? "named" : NULL,
                                      .pool = pool};
    filled *const f = &memories[memory_count];
    const acre_status status = acre_gpu_alloc(gpu, &request, &f->memory);
    if (status != ACRE_OK) {
        assert_int_equal(status, ACRE_NO_MEMORY);
        return;
    }
    f->is_mapped = request.flags == ACRE_GPU_MAPPED;
    fill(f, (unsigned char)number);
    memory_count++;
}

static void run_model(uint64_t granularity, bool has_pool, uint64_t seed)
{
    uint64_t random = seed;
    acre_gpu_pool *pool = NULL;
    begin(2 * MIB);
    fake.device.granularity_bytes = granularity;
    open_with(&(acre_gpu_options){.block_bytes = 256 << 10});
    if (has_pool) {
        const acre_gpu_pool_options options = {
            .block_bytes = 300 << 10, .block_count_min = 1, .block_count_max = 5, .alignment_bytes = 128};
        assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    }
    for (int i = 0; i < 3000; i++) {
        step(&random, pool);
        if (i % 100 == 0) assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
        if (i % 50 == 49) defragment(pool, 100000, i % 100 == 49 ? 0 : 50000 + (uint64_t)i * 10, &random);
        if (i % 500 == 499) (void)acre_gpu_trim(gpu, NULL);
    }
    for (uint32_t i = 0; i < memory_count; i++) check_contents(&memories[i]);
    while (memory_count > 0) free_memory(memories[--memory_count].memory);
    if (has_pool) assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

static void contents_stay_whole_through_allocs_frees_and_moves(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_model(1, false, seed);
        run_model(1024, false, seed + 10);
        run_model(1, true, seed + 20);
    }
}

/* ---- blocks ---- */

static void a_small_program_takes_small_blocks(void **state)
{
    (void)state;
    begin(1024 * MIB);
    fake.has_bytes = false;
    open_with(NULL); /* blocks of 128 MiB: an eighth of the heap */
    const acre_gpu_memory first = alloc_bytes(1000);
    assert_int_equal(figures_of(0).block_bytes, 8 * MIB);
    const acre_gpu_memory second = alloc_bytes(8 * MIB); /* room for two of them */
    assert_int_equal(figures_of(0).block_bytes, 24 * MIB);
    const acre_gpu_memory large = alloc_bytes(9 * MIB); /* above a sixteenth of a block: one of its own */
    assert_true(info_of(large).is_dedicated);
    assert_int_equal(figures_of(0).block_bytes, (24 + 9) * MIB);
    free_memory(first);
    free_memory(second);
    free_memory(large);
    assert_int_equal(figures_of(0).block_count, 1); /* one empty block is kept */
    const uint64_t kept = figures_of(0).block_bytes;
    assert_int_equal(acre_gpu_trim(gpu, NULL), kept);
    assert_int_equal(figures_of(0).block_count, 0);
    finish();
}

static void a_block_halves_when_the_driver_refuses(void **state)
{
    (void)state;
    begin(4096 * MIB);
    fake.has_bytes = false;
    fake.size_bytes_max = 20 * MIB;
    open_with(&(acre_gpu_options){.block_bytes = 256 * MIB});
    const acre_gpu_memory memory = alloc_bytes(10 * MIB); /* 32 are refused */
    assert_int_equal(figures_of(0).block_bytes, 16 * MIB);
    const acre_gpu_memory alone = alloc_bytes(18 * MIB); /* no block holds it, but one of its own is to be had */
    assert_true(info_of(alone).is_dedicated);
    acre_gpu_memory none = 0;
    assert_int_equal(acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = 21 * MIB}, &none), ACRE_NO_MEMORY);
    assert_int_equal(none, 0);
    assert_non_null(strstr(acre_last_error(), "largest free extent"));
    free_memory(memory);
    free_memory(alone);
    finish();
}

static void flags_say_where_memory_comes_from(void **state)
{
    (void)state;
    acre_gpu_memory memory = 0;
    begin(64 * MIB);
    fake.has_bytes = false;
    open_with(NULL);
    acre_gpu_request request = {.size_bytes = 1000, .flags = ACRE_GPU_NO_NEW_BLOCK};
    assert_int_equal(acre_gpu_alloc(gpu, &request, &memory), ACRE_NO_MEMORY);
    request.flags |= ACRE_GPU_DEDICATED;
    assert_int_equal(acre_gpu_alloc(gpu, &request, &memory), ACRE_NO_MEMORY);
    int resource = 0;
    request = (acre_gpu_request){.size_bytes = 1000, .flags = ACRE_GPU_PREFER_OWN, .dedicated_to = &resource, .priority = 0.5F};
    memory = alloc(&request);
    const acre_gpu_memory_info info = info_of(memory);
    assert_true(info.is_dedicated);
    assert_int_equal(fake.blocks[info.handle - 1].size_bytes, 1000);
    assert_ptr_equal(fake.blocks[info.handle - 1].request.dedicated_to, &resource);
    assert_true(fake.blocks[info.handle - 1].request.priority > 0.49F);
    const acre_gpu_memory one = alloc(&(acre_gpu_request){.size_bytes = 100});
    const acre_gpu_memory other = alloc(&(acre_gpu_request){.size_bytes = 100, .priority = 1.0F});
    assert_int_not_equal(info_of(one).handle, info_of(other).handle); /* two priorities, two blocks */
    free_memory(memory);
    free_memory(one);
    free_memory(other);
    finish();
}

/* ---- budgets ---- */

static void no_block_goes_beyond_the_budget(void **state)
{
    (void)state;
    uint64_t random = 5;
    acre_gpu_memory memory = 0;
    begin(400 * MIB);
    fake.has_bytes = false;
    fake.has_budget = true;
    fake.used_by_others[0] = 100 * MIB; /* 200 of 300 are left */
    open_with(&(acre_gpu_options){.block_bytes = 32 * MIB});
    memory_count = 0;
    for (int i = 0; i < 4000; i++) {
        const acre_gpu_request request = {.size_bytes = 1 + next_random(&random) % (i % 5 == 0 ? 40 * MIB : MIB),
                                          .flags = ACRE_GPU_WITHIN_BUDGET | (i % 7 == 0 ? ACRE_GPU_DEDICATED : 0)};
        if (memory_count < MEMORIES_MAX && acre_gpu_alloc(gpu, &request, &memory) == ACRE_OK) memories[memory_count++].memory = memory;
        assert_true(figures_of(0).used_bytes <= figures_of(0).limit_bytes);
        if (memory_count > 0 && (memory_count == MEMORIES_MAX || next_random(&random) % 3 == 0)) {
            const uint32_t which = (uint32_t)(next_random(&random) % memory_count);
            free_memory(memories[which].memory);
            memories[which] = memories[--memory_count];
        }
    }
    memory = alloc(&(acre_gpu_request){.size_bytes = 30 * MIB, .flags = ACRE_GPU_DEDICATED}); /* not asked for: may go beyond */
    free_memory(memory);
    while (memory_count > 0) free_memory(memories[--memory_count].memory);
    finish();
}

static void a_heap_gives_no_more_than_the_options_allow(void **state)
{
    (void)state;
    acre_gpu_memory memory = 0;
    begin(400 * MIB);
    fake.has_bytes = false;
    open_with(&(acre_gpu_options){.block_bytes = 32 * MIB, .heap_bytes_max = {40 * MIB}});
    const acre_gpu_memory one = alloc_bytes(30 * MIB);
    assert_int_equal(acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = 11 * MIB}, &memory), ACRE_NO_MEMORY);
    assert_int_equal(figures_of(0).limit_bytes, 320 * MIB); /* no budget is told: 80 % of the heap */
    free_memory(one);
    finish();
}

/* ---- types ---- */

static void another_type_is_taken_when_the_best_heap_is_full(void **state)
{
    (void)state;
    begin(16 * MIB);
    fake.has_bytes = false;
    fake.device.heap_count = 2;
    fake.device.type_count = 2;
    fake.device.heaps[0].size_bytes = 80 * MIB;
    fake.device.heaps[1] = (acre_gpu_heap){.size_bytes = 100 * MIB};
    fake.device.types[1] = (acre_gpu_type){.heap = 1, .flags = ACRE_GPU_HOST_VISIBLE | ACRE_GPU_HOST_COHERENT};
    open_with(NULL);
    uint32_t type = 9;
    const acre_gpu_request request = {.size_bytes = 60 * MIB};
    assert_int_equal(acre_gpu_choose_type(gpu, &request, &type), ACRE_OK);
    assert_int_equal(type, 0);
    const acre_gpu_memory one = alloc(&request);
    const acre_gpu_memory other = alloc(&request);
    assert_int_equal(info_of(one).type, 0);
    assert_int_equal(info_of(other).type, 1);
    acre_gpu_memory memory = 0;
    acre_gpu_request impossible = {.size_bytes = 100, .required = ACRE_GPU_PROTECTED};
    assert_int_equal(acre_gpu_alloc(gpu, &impossible, &memory), ACRE_INVALID);
    free_memory(one);
    free_memory(other);
    finish();
}

/* ---- pages of the device ---- */

static void buffers_and_images_share_no_page_of_the_device(void **state)
{
    (void)state;
    enum { COUNT = 200, GRANULARITY = 4096 };
    uint64_t random = 9;
    acre_gpu_memory list[COUNT];
    uint8_t contents[COUNT];
    begin(64 * MIB);
    fake.has_bytes = false;
    fake.device.granularity_bytes = GRANULARITY;
    open_with(NULL);
    for (int i = 0; i < COUNT; i++) {
        contents[i] = (uint8_t)(next_random(&random) % 2);
        list[i] = alloc(&(acre_gpu_request){.size_bytes = 1 + next_random(&random) % 9000, .content = contents[i]});
    }
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            const acre_gpu_memory_info one = info_of(list[i]);
            const acre_gpu_memory_info other = info_of(list[j]);
            if (contents[i] == contents[j] || one.handle != other.handle) continue;
            const uint64_t first = one.offset_bytes / GRANULARITY;
            const uint64_t last = (one.offset_bytes + one.size_bytes - 1) / GRANULARITY;
            assert_false(other.offset_bytes / GRANULARITY <= last && (other.offset_bytes + other.size_bytes - 1) / GRANULARITY >= first);
        }
    }
    for (int i = 0; i < COUNT; i++) free_memory(list[i]);
    finish();
}

/* ---- maps ---- */

static void a_block_is_mapped_once_however_often_its_allocations_are(void **state)
{
    (void)state;
    void *pointer = NULL;
    void *again = NULL;
    begin(8 * MIB);
    open_with(NULL);
    const acre_gpu_memory one = alloc_bytes(100);
    const acre_gpu_memory lasting = alloc(&(acre_gpu_request){.size_bytes = 100, .flags = ACRE_GPU_MAPPED});
    const acre_gpu_memory_info info = info_of(one);
    assert_null(info.pointer);
    assert_ptr_equal(info_of(lasting).pointer, fake_driver_bytes(&fake, info.handle, info_of(lasting).offset_bytes));
    assert_int_equal(acre_gpu_map(gpu, one, &pointer), ACRE_OK);
    assert_int_equal(acre_gpu_map(gpu, one, &again), ACRE_OK);
    assert_ptr_equal(pointer, fake_driver_bytes(&fake, info.handle, info.offset_bytes));
    assert_ptr_equal(again, pointer);
    assert_int_equal(acre_gpu_unmap(gpu, one), ACRE_OK);
    assert_ptr_equal(info_of(one).pointer, pointer);
    assert_int_equal(acre_gpu_unmap(gpu, one), ACRE_OK);
    assert_int_equal(acre_gpu_unmap(gpu, one), ACRE_INVALID);
    assert_int_equal(acre_gpu_unmap(gpu, lasting), ACRE_INVALID); /* mapped all its life */
    free_memory(lasting);
    assert_false(fake.blocks[info.handle - 1].is_mapped);
    assert_int_equal(acre_gpu_map(gpu, one, &pointer), ACRE_OK);
    free_memory(one); /* still mapped: that ends with it */
    finish();
}

static void flushes_are_of_whole_atoms_within_the_block(void **state)
{
    (void)state;
    void *pointer = NULL;
    begin(8 * MIB);
    fake.device.types[0].flags = ACRE_GPU_DEVICE_LOCAL | ACRE_GPU_HOST_VISIBLE;
    fake.device.atom_bytes = 256;
    open_with(NULL);
    const acre_gpu_memory first = alloc_bytes(1);
    const acre_gpu_memory memory = alloc_bytes(1000);
    const acre_gpu_memory own = alloc(&(acre_gpu_request){.size_bytes = 1000, .flags = ACRE_GPU_DEDICATED});
    const uint64_t offset = info_of(memory).offset_bytes;
    assert_int_equal(acre_gpu_map(gpu, memory, &pointer), ACRE_OK);
    assert_int_equal(acre_gpu_map(gpu, own, &pointer), ACRE_OK);
    assert_int_equal(acre_gpu_flush(gpu, memory, 300, 10), ACRE_OK);
    assert_int_equal(fake.flush_offset, offset + 256);
    assert_int_equal(fake.flush_size, 256);
    assert_int_equal(acre_gpu_flush(gpu, memory, 0, UINT64_MAX), ACRE_OK);
    assert_int_equal(fake.flush_size, 1024);
    assert_int_equal(acre_gpu_flush(gpu, own, 900, 100), ACRE_OK);
    assert_int_equal(fake.flush_offset, 768);
    assert_int_equal(fake.flush_size, 232); /* to the end of the block */
    assert_int_equal(acre_gpu_invalidate(gpu, memory, 5, 0), ACRE_OK);
    assert_int_equal(fake.invalidate_count, 0);
    assert_int_equal(acre_gpu_invalidate(gpu, memory, 5, 1), ACRE_OK);
    assert_int_equal(fake.invalidate_count, 1);
    assert_int_equal(acre_gpu_flush(gpu, memory, 990, 11), ACRE_OUT_OF_BOUNDS);
    assert_int_equal(acre_gpu_flush(gpu, memory, 1001, UINT64_MAX), ACRE_OUT_OF_BOUNDS);
    assert_int_equal(fake.mistakes, 0);
    assert_int_equal(acre_gpu_close(gpu), ACRE_BUSY);
    free_memory(memory);
    free_memory(own);
    assert_int_equal(acre_gpu_close(gpu), ACRE_BUSY);
    assert_non_null(strstr(acre_last_error(), "1 allocations"));
    free_memory(first);
    finish();
}

/* ---- pools ---- */

static void a_linear_pool_serves_as_a_ring(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    acre_gpu_pool *pool = NULL;
    acre_gpu_memory frames[COUNT];
    acre_gpu_memory memory = 0;
    begin(8 * MIB);
    open_with(NULL);
    const acre_gpu_pool_options options = {.kind = ACRE_GPU_POOL_LINEAR, .block_bytes = COUNT * 1024, .name = "frames"};
    assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    const acre_gpu_request request = {.size_bytes = 1024, .pool = pool};
    for (int i = 0; i < COUNT; i++) frames[i] = alloc(&request);
    assert_int_equal(acre_gpu_alloc(gpu, &request, &memory), ACRE_NO_MEMORY);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(info_of(frames[i % COUNT]).offset_bytes, i % COUNT * 1024);
        free_memory(frames[i % COUNT]);
        frames[i % COUNT] = alloc(&request);
    }
    acre_gpu_figures figures;
    assert_int_equal(acre_gpu_pool_read_figures(pool, &figures), ACRE_OK);
    assert_int_equal(figures.memory_count, COUNT);
    assert_int_equal(figures.block_bytes, COUNT * 1024);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_BUSY);
    for (int i = 0; i < COUNT; i++) free_memory(frames[i]);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

static void slabs_hand_out_every_slot(void **state)
{
    (void)state;
    enum { SLOTS = 5000, SLOT = 256 };
    static acre_gpu_memory slots[SLOTS];
    static bool is_seen[2][SLOTS];
    acre_gpu_pool *pool = NULL;
    begin(8 * MIB);
    open_with(NULL);
    const acre_gpu_pool_options options = {.kind = ACRE_GPU_POOL_SLABS, .slot_bytes = SLOT, .alignment_bytes = 64, .block_count_max = 2};
    assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    const acre_gpu_request request = {.size_bytes = 200, .pool = pool};
    acre_gpu_memory memory = 0;
    assert_int_equal(acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = SLOT + 1, .pool = pool}, &memory), ACRE_INVALID);
    assert_int_equal(acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = 1, .alignment_bytes = 512, .pool = pool}, &memory),
                     ACRE_INVALID);
    for (int round = 0; round < 2; round++) {
        memset(is_seen, 0, sizeof is_seen);
        for (int i = 0; i < SLOTS; i++) {
            slots[i] = alloc(&request);
            const acre_gpu_memory_info info = info_of(slots[i]);
            bool *const seen = &is_seen[info.handle - 1][info.offset_bytes / SLOT];
            assert_int_equal(info.offset_bytes % SLOT, 0);
            assert_false(*seen);
            *seen = true;
        }
        assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
        for (int i = 0; i < SLOTS; i++) free_memory(slots[i]);
    }
    uint32_t none = 4;
    acre_gpu_move moves[4];
    assert_int_equal(acre_gpu_plan_moves(gpu, pool, 0, MIB, 0, moves, &none, NULL), ACRE_UNSUPPORTED);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

/* A slot has to be whole atoms, and whole pages where buffers and images lie in one pool. */
static void slabs_keep_atoms_and_pages_apart(void **state)
{
    (void)state;
    acre_gpu_pool *pool = NULL;
    acre_gpu_memory memory = 0;
    begin(8 * MIB);
    fake.device.granularity_bytes = 1024;
    fake.device.atom_bytes = 256;
    fake.device.types[0].flags = ACRE_GPU_DEVICE_LOCAL | ACRE_GPU_HOST_VISIBLE;
    open_with(NULL);
    acre_gpu_pool_options options = {.kind = ACRE_GPU_POOL_SLABS, .slot_bytes = 64};
    assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    assert_int_equal(acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = 64, .pool = pool}, &memory), ACRE_INVALID);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    options.slot_bytes = 256;
    assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    const acre_gpu_request image = {.size_bytes = 256, .content = ACRE_GPU_OPTIMAL, .pool = pool};
    assert_int_equal(acre_gpu_alloc(gpu, &image, &memory), ACRE_INVALID);
    memory = alloc(&(acre_gpu_request){.size_bytes = 200, .pool = pool});
    free_memory(memory);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    options.is_of_one_content = true;
    assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    memory = alloc(&(acre_gpu_request){.size_bytes = 256, .content = ACRE_GPU_OPTIMAL, .pool = pool});
    free_memory(memory);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

static void a_block_may_be_one_slot(void **state)
{
    (void)state;
    acre_gpu_pool *pool = NULL;
    begin(8 * MIB);
    open_with(NULL);
    const acre_gpu_pool_options options = {.kind = ACRE_GPU_POOL_SLABS, .slot_bytes = 100, .block_bytes = 100};
    assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    const acre_gpu_memory memory = alloc(&(acre_gpu_request){.size_bytes = 100, .pool = pool});
    free_memory(memory);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

static void a_pool_keeps_its_least_number_of_blocks(void **state)
{
    (void)state;
    acre_gpu_pool *pool = NULL;
    begin(8 * MIB);
    open_with(NULL);
    const acre_gpu_pool_options options = {.block_bytes = MIB, .block_count_min = 3, .block_count_max = 4};
    assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    assert_int_equal(fake_driver_block_count(&fake), 3);
    acre_gpu_memory all[4];
    acre_gpu_memory memory = 0;
    const acre_gpu_request request = {.size_bytes = MIB, .pool = pool};
    for (int i = 0; i < 4; i++) all[i] = alloc(&request);
    assert_int_equal(acre_gpu_alloc(gpu, &request, &memory), ACRE_NO_MEMORY);
    for (int i = 0; i < 4; i++) free_memory(all[i]);
    assert_int_equal(fake_driver_block_count(&fake), 3);
    (void)acre_gpu_trim(gpu, pool);
    assert_int_equal(fake_driver_block_count(&fake), 3);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    const acre_gpu_pool_options too_many = {.block_bytes = MIB, .block_count_min = 9};
    assert_int_equal(acre_gpu_pool_open(gpu, &too_many, &pool), ACRE_NO_MEMORY);
    assert_null(pool);
    finish();
}

/* Nor does a request that would share a block get one of its own instead. */
static void a_pool_takes_no_more_than_its_most_blocks(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    acre_gpu_pool *pool = NULL;
    acre_gpu_memory list[COUNT];
    acre_gpu_figures figures;
    uint32_t count = 0;
    begin(1024 * MIB);
    fake.has_bytes = false;
    open_with(NULL);
    assert_int_equal(acre_gpu_pool_open(gpu, &(acre_gpu_pool_options){.block_count_max = 2}, &pool), ACRE_OK);
    const acre_gpu_request request = {.size_bytes = MIB, .pool = pool};
    while (count < COUNT && acre_gpu_alloc(gpu, &request, &list[count]) == ACRE_OK) count++;
    assert_int_equal(count, 256); /* in blocks of an eighth of the heap */
    assert_int_equal(acre_gpu_pool_read_figures(pool, &figures), ACRE_OK);
    assert_int_equal(figures.block_count, 2);
    while (count > 0) free_memory(list[--count]);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

static void an_empty_block_makes_room_for_a_longer_one(void **state)
{
    (void)state;
    acre_gpu_pool *pool = NULL;
    begin(1024 * MIB);
    fake.has_bytes = false;
    fake.size_bytes_max = 20 * MIB;
    open_with(NULL);
    assert_int_equal(acre_gpu_pool_open(gpu, &(acre_gpu_pool_options){.kind = ACRE_GPU_POOL_LINEAR}, &pool), ACRE_OK);
    free_memory(alloc(&(acre_gpu_request){.size_bytes = MIB, .pool = pool})); /* of 128 MiB the driver gives 16 */
    fake.size_bytes_max = 0;
    free_memory(alloc(&(acre_gpu_request){.size_bytes = 100 * MIB, .pool = pool}));
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

static void an_extension_is_for_a_block_of_its_own_in_a_pool_too(void **state)
{
    (void)state;
    int of_pool = 0;
    int of_request = 0;
    acre_gpu_pool *pool = NULL;
    acre_gpu_memory memory = 0;
    begin(8 * MIB);
    open_with(NULL);
    acre_gpu_pool_options options = {.block_bytes = 1 << 16, .extension = &of_pool};
    acre_gpu_request request = {.size_bytes = 100, .extension = &of_request};
    assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    request.pool = pool;
    memory = alloc(&request);
    const acre_gpu_memory other = alloc(&(acre_gpu_request){.size_bytes = 100, .pool = pool});
    assert_true(info_of(memory).is_dedicated);
    assert_ptr_equal(fake.blocks[info_of(memory).handle - 1].request.extension, &of_request);
    assert_ptr_equal(fake.blocks[info_of(other).handle - 1].request.extension, &of_pool);
    free_memory(memory);
    free_memory(other);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    options = (acre_gpu_pool_options){.kind = ACRE_GPU_POOL_SLABS, .slot_bytes = 128};
    assert_int_equal(acre_gpu_pool_open(gpu, &options, &pool), ACRE_OK);
    request.pool = pool;
    assert_int_equal(acre_gpu_alloc(gpu, &request, &memory), ACRE_INVALID);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

/* ---- moves ---- */

static void a_plan_empties_the_emptiest_blocks(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    acre_gpu_memory list[COUNT];
    acre_gpu_move moves[COUNT];
    acre_gpu_gain gain;
    uint32_t count = COUNT;
    begin(64 * MIB);
    open_with(&(acre_gpu_options){.block_bytes = MIB});
    acre_gpu_pool *pool = NULL;
    assert_int_equal(acre_gpu_pool_open(gpu, &(acre_gpu_pool_options){.block_bytes = MIB}, &pool), ACRE_OK);
    for (int i = 0; i < COUNT; i++) list[i] = alloc(&(acre_gpu_request){.size_bytes = MIB / 8, .pool = pool});
    for (int i = 0; i < COUNT; i++) {
        if (i % 4 == 0) continue;
        free_memory(list[i]);
        list[i] = 0;
    }
    const uint32_t before = fake_driver_block_count(&fake);
    assert_int_equal(before, 8); /* each with two of eight */
    assert_int_equal(acre_gpu_plan_moves(gpu, pool, 0, 64 * MIB, 0, moves, &count, &gain), ACRE_OK);
    assert_int_equal(gain.freed_block_bytes, 6 * MIB);
    assert_int_equal(gain.moved_bytes, 12 * MIB / 8);
    for (uint32_t i = 0; i < count; i++) moves[i].outcome = ACRE_GPU_MOVE_DONE;
    assert_int_equal(acre_gpu_end_moves(gpu, pool, 0, moves, count), ACRE_OK);
    assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
    assert_int_equal(fake_driver_block_count(&fake), 2);
    acre_gpu_figures figures;
    assert_int_equal(acre_gpu_pool_read_figures(pool, &figures), ACRE_OK);
    assert_int_equal(figures.free_extent_largest_bytes, gain.largest_extent_after_bytes);
    assert_int_equal(acre_gpu_end_moves(gpu, pool, 0, moves, 1), ACRE_INVALID); /* it has ended */
    for (int i = 0; i < COUNT; i++) free_memory(list[i]);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

static void a_plan_makes_the_wished_extent(void **state)
{
    (void)state;
    enum { COUNT = 64, SIZE = 16384 };
    acre_gpu_memory list[COUNT];
    acre_gpu_move moves[COUNT];
    acre_gpu_gain gain;
    begin(MIB);
    acre_gpu_pool *pool = NULL;
    open_with(NULL);
    assert_int_equal(acre_gpu_pool_open(gpu, &(acre_gpu_pool_options){.block_bytes = MIB, .block_count_max = 1}, &pool), ACRE_OK);
    for (int i = 0; i < COUNT; i++)
        list[i] = alloc(&(acre_gpu_request){.size_bytes = SIZE, .pool = pool, .flags = i == 20 ? ACRE_GPU_PINNED : 0});
    for (int i = 0; i < COUNT; i += 2) {
        if (i == 20) continue;
        free_memory(list[i]);
        list[i] = 0;
    }
    acre_gpu_memory memory = 0;
    const acre_gpu_request large = {.size_bytes = 10 * SIZE, .pool = pool};
    assert_int_equal(acre_gpu_alloc(gpu, &large, &memory), ACRE_NO_MEMORY);
    uint32_t count = COUNT;
    assert_int_equal(acre_gpu_plan_moves(gpu, pool, 0, 4 * SIZE, 10 * SIZE, moves, &count, &gain), ACRE_OK);
    assert_int_equal(count, 0); /* it takes five moves */
    count = COUNT;
    assert_int_equal(acre_gpu_plan_moves(gpu, pool, 0, 5 * SIZE, 10 * SIZE, moves, &count, &gain), ACRE_OK);
    assert_int_equal(count, 5);
    assert_int_equal(gain.moved_bytes, 5 * SIZE);
    assert_int_equal(gain.largest_extent_bytes, SIZE);
    assert_int_equal(gain.largest_extent_after_bytes, 10 * SIZE);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_not_equal(moves[i].memory, list[20]);
        moves[i].outcome = ACRE_GPU_MOVE_DONE;
    }
    const uint64_t planned = moves[0].to_offset_bytes;
    moves[0].to_offset_bytes += 64; /* the owner's copy of the plan does not decide where memory is */
    assert_int_equal(acre_gpu_end_moves(gpu, pool, 0, moves, count), ACRE_OK);
    assert_int_equal(info_of(moves[0].memory).offset_bytes, planned);
    assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
    memory = alloc(&large);
    free_memory(memory);
    for (int i = 0; i < COUNT; i++) free_memory(list[i]);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

static void no_plan_makes_an_extent_that_no_block_holds(void **state)
{
    (void)state;
    acre_gpu_gain gain;
    acre_gpu_move move;
    uint32_t count = 1;
    begin(8 * MIB);
    open_with(NULL);
    const acre_gpu_memory memory = alloc_bytes(1000);
    assert_int_equal(acre_gpu_plan_moves(gpu, NULL, 0, MIB, UINT64_MAX, &move, &count, &gain), ACRE_OK);
    assert_int_equal(count, 0);
    assert_int_equal(gain.largest_extent_after_bytes, gain.largest_extent_bytes);
    free_memory(memory);
    finish();
}

static void what_the_host_does_not_see_is_moved_though_it_was_to_be_mapped(void **state)
{
    (void)state;
    acre_gpu_memory list[4];
    acre_gpu_move moves[4];
    uint32_t count = 4;
    begin(8 * MIB);
    fake.device.types[0].flags = ACRE_GPU_DEVICE_LOCAL;
    acre_gpu_pool *pool = NULL;
    open_with(NULL);
    assert_int_equal(acre_gpu_pool_open(gpu, &(acre_gpu_pool_options){.block_bytes = MIB}, &pool), ACRE_OK);
    for (int i = 0; i < 4; i++) list[i] = alloc(&(acre_gpu_request){.size_bytes = MIB / 2, .flags = ACRE_GPU_MAPPED, .pool = pool});
    free_memory(list[1]);
    free_memory(list[2]);
    assert_int_equal(acre_gpu_plan_moves(gpu, pool, 0, MIB, 0, moves, &count, NULL), ACRE_OK);
    assert_int_equal(count, 1);
    moves[0].outcome = ACRE_GPU_MOVE_DONE;
    assert_int_equal(acre_gpu_end_moves(gpu, pool, 0, moves, count), ACRE_OK);
    free_memory(list[0]);
    free_memory(list[3]);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

static void what_cannot_be_mapped_where_it_goes_stays(void **state)
{
    (void)state;
    acre_gpu_memory list[4];
    acre_gpu_move moves[4];
    uint32_t count = 4;
    begin(8 * MIB);
    acre_gpu_pool *pool = NULL;
    open_with(NULL);
    assert_int_equal(acre_gpu_pool_open(gpu, &(acre_gpu_pool_options){.block_bytes = MIB}, &pool), ACRE_OK);
    for (int i = 0; i < 4; i++) list[i] = alloc(&(acre_gpu_request){.size_bytes = MIB / 2, .pool = pool});
    free_memory(list[1]);
    free_memory(list[2]);
    assert_int_equal(acre_gpu_plan_moves(gpu, pool, 0, MIB, 0, moves, &count, NULL), ACRE_OK);
    assert_int_equal(count, 1);
    const acre_gpu_memory_info before = info_of(moves[0].memory);
    void *pointer = NULL;
    assert_int_equal(acre_gpu_map(gpu, moves[0].memory, &pointer), ACRE_OK);
    fake.failing_call = fake.calls + 1;
    moves[0].outcome = ACRE_GPU_MOVE_DONE;
    assert_int_equal(acre_gpu_end_moves(gpu, pool, 0, moves, count), ACRE_IO);
    assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
    const acre_gpu_memory_info after = info_of(moves[0].memory);
    assert_int_equal(after.handle, before.handle);
    assert_ptr_equal(after.pointer, pointer);
    assert_int_equal(acre_gpu_unmap(gpu, moves[0].memory), ACRE_OK);
    free_memory(list[0]);
    free_memory(list[3]);
    assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    finish();
}

/* ---- reports ---- */

typedef struct text {
    char bytes[200000];
    size_t length;
    size_t room;
} text;

static text written;

static bool append(void *context, const char *bytes, size_t count)
{
    text *const t = context;
    if (t->length + count > t->room) return false;
    memcpy(t->bytes + t->length, bytes, count);
    t->length += count;
    t->bytes[t->length] = 0;
    return true;
}

static void reports_name_the_owners(void **state)
{
    (void)state;
    begin(64 * MIB);
    open_with(NULL);
    acre_gpu_memory list[40];
    for (int i = 0; i < 40; i++)
        list[i] = alloc(&(acre_gpu_request){.size_bytes = i < 30 ? 10000 : 100, .name = i < 30 ? "tex\"ture\\s" : NULL});
    free_memory(list[3]);
    list[3] = 0;
    assert_int_equal(acre_gpu_set_name(gpu, list[35], "the only one"), ACRE_OK);
    assert_string_equal(info_of(list[35]).name, "the only one");
    assert_int_equal(acre_gpu_set_name(gpu, list[36], "x"), ACRE_OK);
    assert_int_equal(acre_gpu_set_name(gpu, list[36], NULL), ACRE_OK);
    assert_string_equal(info_of(list[36]).name, "");
    written = (text){.room = sizeof written.bytes - 1};
    assert_int_equal(acre_gpu_write_report(gpu, append, &written), ACRE_OK);
    assert_non_null(strstr(written.bytes, "290000 bytes in 29 allocations: tex\"ture\\s\n"));
    assert_non_null(strstr(written.bytes, "100 bytes in 1 allocations: the only one\n"));
    assert_non_null(strstr(written.bytes, "fragmentation"));
    assert_true(strstr(written.bytes, "290000") < strstr(written.bytes, "the only one"));
    written = (text){.room = sizeof written.bytes - 1};
    assert_int_equal(acre_gpu_write_json(gpu, append, &written), ACRE_OK);
    assert_non_null(strstr(written.bytes, "tex\\u0022ture\\u005cs"));
    assert_non_null(strstr(written.bytes, "\"state\":\"free\""));
    for (size_t room = 0; room < 400; room += 37) {
        written = (text){.room = room};
        assert_int_equal(acre_gpu_write_json(gpu, append, &written), ACRE_IO);
        written = (text){.room = room / 2};
        assert_int_equal(acre_gpu_write_report(gpu, append, &written), ACRE_IO);
    }
    for (int i = 0; i < 40; i++) free_memory(list[i]);
    finish();
}

/* ---- in the order of streams ---- */

enum { STREAMS = 3, STREAM_OPERATIONS = 4 };

/* What a device has done: fences pass in the order in which they were made, `lag` operations later. */
typedef struct stream_scene {
    acre_gpu_pool *pool;
    uint64_t operation_count, lag;
    acre_gpu_memory held[STREAMS];
    struct {
        uint64_t offset, passes_at; /* of what was freed behind work that is not done */
    } leaving[STREAMS * STREAM_OPERATIONS];
    unsigned leaving_count;
    uint64_t full_count, run_count;
} stream_scene;

static bool has_come(void *context, uint64_t value) { return ((const stream_scene *)context)->operation_count >= value; }

/* A stream uses a slot, then frees it behind that; twice. */
static void do_operation(stream_scene *s, unsigned stream)
{
    s->operation_count++;
    if (s->held[stream] == 0) {
        const acre_gpu_request request = {.size_bytes = 16384, .pool = s->pool};
        const acre_status status = acre_gpu_alloc(gpu, &request, &s->held[stream]);
        if (status != ACRE_OK) {
            assert_int_equal(status, ACRE_NO_MEMORY);
            s->full_count++;
            return;
        }
        const uint64_t offset = info_of(s->held[stream]).offset_bytes;
        for (unsigned i = 0; i < s->leaving_count; i++)
            if (s->leaving[i].passes_at > s->operation_count) assert_int_not_equal(s->leaving[i].offset, offset);
        return;
    }
    const uint64_t passes_at = s->operation_count + s->lag;
    s->leaving[s->leaving_count].offset = info_of(s->held[stream]).offset_bytes;
    s->leaving[s->leaving_count++].passes_at = passes_at;
    const acre_gpu_fence fence = {has_come, s, passes_at};
    assert_int_equal(acre_gpu_free_after(gpu, s->held[stream], &fence), ACRE_OK);
    acre_gpu_memory_info info;
    assert_int_equal(acre_gpu_read_memory(gpu, s->held[stream], &info), ACRE_BAD_POINTER);
    assert_int_equal(acre_gpu_free(gpu, s->held[stream]), ACRE_BAD_POINTER);
    assert_int_equal(acre_gpu_free_after(gpu, s->held[stream], &fence), ACRE_BAD_POINTER);
    s->held[stream] = 0;
}

static void end_run(stream_scene *s)
{
    for (unsigned i = 0; i < STREAMS; i++) free_memory(s->held[i]);
    s->operation_count += 1000;
    (void)acre_gpu_collect(gpu);
    assert_int_equal(figures_of(0).memory_count, 0);
    memset(s->held, 0, sizeof s->held);
    s->leaving_count = 0;
    s->run_count++;
}

/* Every order of the operations of three streams, and a device that is up to date, behind, or far behind. */
static void no_place_is_given_again_before_its_fence_in_any_order(void **state)
{
    static const uint64_t lags[] = {0, 2, 5, 500};
    begin(MIB);
    open_with(NULL);
    stream_scene s = {0};
    assert_int_equal(acre_gpu_pool_open(gpu, &(acre_gpu_pool_options){.block_bytes = 65536, .block_count_max = 1}, &s.pool), ACRE_OK);
    for (unsigned l = 0; l < 4; l++) {
        unsigned order[STREAMS * STREAM_OPERATIONS];
        for (unsigned i = 0; i < STREAMS * STREAM_OPERATIONS; i++) order[i] = i / STREAM_OPERATIONS;
        s.lag = lags[l];
        for (;;) {
            for (unsigned i = 0; i < STREAMS * STREAM_OPERATIONS; i++) do_operation(&s, order[i]);
            end_run(&s);
            /* The next permutation: the longest falling end is turned round, behind one more. */
            unsigned at = STREAMS * STREAM_OPERATIONS - 1, other = at;
            while (at > 0 && order[at - 1] >= order[at]) at--;
            if (at == 0) break;
            while (order[other] <= order[at - 1]) other--;
            unsigned swapped = order[at - 1];
            order[at - 1] = order[other];
            order[other] = swapped;
            for (unsigned low = at, high = STREAMS * STREAM_OPERATIONS - 1; low < high; low++, high--) {
                swapped = order[low];
                order[low] = order[high];
                order[high] = swapped;
            }
#ifdef __SANITIZE_THREAD__
            if (s.run_count % 2000 == 0) break;
#endif
        }
    }
    assert_true(s.run_count == 4 * 34650 || s.run_count < 10000);
    assert_true(s.full_count > 0); /* where the device is far behind */
    assert_int_equal(acre_gpu_pool_close(s.pool), ACRE_OK);
    finish();
}

static bool has_passed_now(void *context, uint64_t value) { return *(const bool *)context || value == 0; }

static void what_is_used_still_is_neither_moved_nor_closed(void **state)
{
    bool is_done = false;
    acre_gpu_move moves[8];
    acre_gpu_gain gain;
    uint32_t count = 8;
    begin(8 * MIB);
    open_with(&(acre_gpu_options){.block_bytes = MIB});
    const acre_gpu_memory first = alloc_bytes(MIB / 2), second = alloc_bytes(MIB / 4), third = alloc_bytes(MIB / 2);
    assert_int_equal(acre_gpu_free_after(gpu, third, &(acre_gpu_fence){has_passed_now, &is_done, 7}), ACRE_OK);
    free_memory(second);
    assert_int_equal(acre_gpu_plan_moves(gpu, NULL, 0, UINT64_MAX, 0, moves, &count, &gain), ACRE_OK);
    for (uint32_t i = 0; i < count; i++) assert_int_not_equal(moves[i].memory, third);
    for (uint32_t i = 0; i < count; i++) moves[i].outcome = ACRE_GPU_MOVE_NOT;
    assert_int_equal(acre_gpu_end_moves(gpu, NULL, 0, moves, count), ACRE_OK);
    free_memory(first);
    assert_int_equal(acre_gpu_close(gpu), ACRE_BUSY);
    assert_int_equal(acre_gpu_collect(gpu), 0);
    assert_int_equal(figures_of(0).memory_count, 1);
    is_done = true;
    assert_int_equal(acre_gpu_collect(gpu), MIB / 2);
    assert_int_equal(acre_gpu_collect(NULL), 0);
    assert_int_equal(acre_gpu_free_after(gpu, third, &(acre_gpu_fence){has_passed_now, &is_done, 7}), ACRE_BAD_POINTER);
    assert_int_equal(acre_gpu_free_after(gpu, 0, &(acre_gpu_fence){has_passed_now, &is_done, 7}), ACRE_OK);
    assert_int_equal(acre_gpu_free_after(gpu, 0, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_free_after(NULL, 0, &(acre_gpu_fence){has_passed_now, &is_done, 7}), ACRE_INVALID);
    assert_int_equal(acre_gpu_free_after(gpu, 0, &(acre_gpu_fence){.context = &is_done}), ACRE_INVALID);
    finish();
}

/* Memory that is out comes back from what the device is done with, though an older one is not. */
static void an_alloc_goes_behind_a_fence_that_has_not_passed(void **state)
{
    bool never = false, done = true;
    begin(MIB);
    open_with(&(acre_gpu_options){.block_bytes = MIB});
    const acre_gpu_memory old = alloc_bytes(MIB / 2), young = alloc_bytes(MIB / 2);
    acre_gpu_memory memory;
    assert_int_equal(acre_gpu_free_after(gpu, old, &(acre_gpu_fence){has_passed_now, &never, 1}), ACRE_OK);
    assert_int_equal(acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = MIB / 2}, &memory), ACRE_NO_MEMORY);
    assert_int_equal(acre_gpu_free_after(gpu, young, &(acre_gpu_fence){has_passed_now, &done, 1}), ACRE_OK);
    assert_int_equal(acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = MIB / 2}, &memory), ACRE_OK);
    free_memory(memory);
    never = true;
    finish();
}

static void names_in_json_are_utf8_whatever_they_were(void **state)
{
    (void)state;
    static const struct {
        const char *name, *shown;
    } cases[] = {
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xae", "\"name\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xae\""}, /* as it is */
        {"a\xffz", "\"name\":\"a\\ufffdz\""},
        {"\xc0\xaf", "\"name\":\"\\ufffd\\ufffd\""},            /* overlong */
        {"\xed\xa0\x80", "\"name\":\"\\ufffd\\ufffd\\ufffd\""}, /* a surrogate */
        {"\xf4\x90\x80\x80", "\"name\":\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"\xe2\x82", "\"name\":\"\\ufffd\\ufffd\""}, /* cut */
        {"\x7f\n", "\"name\":\"\\u007f\\u000a\""},
    };
    begin(64 * MIB);
    open_with(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const acre_gpu_memory memory = alloc(&(acre_gpu_request){.size_bytes = 10000, .content = ACRE_GPU_OPTIMAL, .name = cases[i].name});
        written = (text){.room = sizeof written.bytes - 1};
        assert_int_equal(acre_gpu_write_json(gpu, append, &written), ACRE_OK);
        assert_non_null(strstr(written.bytes, cases[i].shown));
        assert_non_null(strstr(written.bytes, "\"content\":\"optimal\""));
        free_memory(memory);
    }
    finish();
}

/* ---- as a space ---- */

static void a_type_is_a_space(void **state)
{
    (void)state;
    acre_space space;
    acre_addr one = 0;
    acre_addr other = 0;
    void *pointer = NULL;
    acre_gpu_memory memory = 0;
    uint64_t offset = 0;
    uint64_t used = 0;
    uint64_t limit = 0;
    begin(64 * MIB);
    open_with(NULL);
    assert_int_equal(acre_gpu_open_space(gpu, 0, &space), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, MIB, 4096, NULL, &one), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, MIB, 4096, NULL, &other), ACRE_OK);
    assert_int_equal(acre_space_map(&space, one, MIB, &pointer), ACRE_OK);
    memset(pointer, 7, MIB);
    assert_int_equal(acre_space_unmap(&space, pointer, MIB), ACRE_OK);
    const acre_gpu_memory foreign = alloc_bytes(1000);
    const acre_gpu_memory alone = alloc(&(acre_gpu_request){.size_bytes = 1000, .flags = ACRE_GPU_DEDICATED});
    assert_int_equal(acre_gpu_map(gpu, foreign, &pointer), ACRE_OK);
    assert_int_equal(acre_space_unmap(&space, pointer, 1000), ACRE_BAD_POINTER);
    assert_int_equal(acre_gpu_map(gpu, alone, &pointer), ACRE_OK);
    assert_int_equal(acre_space_unmap(&space, pointer, 1000), ACRE_BAD_POINTER);
    free_memory(foreign);
    free_memory(alone);
    assert_int_equal(acre_space_copy(&space, other + 100, one, 1000), ACRE_OK);
    assert_int_equal(acre_gpu_space_find(&space, other + 100, &memory, &offset), ACRE_OK);
    assert_int_equal(offset, 100);
    const acre_gpu_memory_info info = info_of(memory);
    assert_int_equal(*fake_driver_bytes(&fake, info.handle, info.offset_bytes + 99), 0);
    assert_int_equal(*fake_driver_bytes(&fake, info.handle, info.offset_bytes + 100), 7);
    assert_int_equal(*fake_driver_bytes(&fake, info.handle, info.offset_bytes + 1100), 0);
    assert_int_equal(acre_space_copy(&space, other + MIB - 10, one, 11), ACRE_BAD_POINTER);
    assert_int_equal(acre_space_flush(&space, one, MIB, ACRE_DOMAIN_DEVICE), ACRE_OK);
    assert_int_equal(acre_space_flush(&space, one, MIB, ACRE_DOMAIN_PERSISTENT), ACRE_UNSUPPORTED);
    assert_int_equal(acre_space_budget(&space, &used, &limit), ACRE_OK);
    assert_true(used >= 2 * MIB && limit > used);
    assert_int_equal(acre_space_release(&space, one, MIB / 2), ACRE_BAD_POINTER);
    assert_int_equal(acre_space_release(&space, one, MIB), ACRE_OK);
    assert_int_equal(acre_space_release(&space, one, MIB), ACRE_BAD_POINTER);
    assert_int_equal(acre_gpu_space_find(&space, one, &memory, &offset), ACRE_BAD_POINTER);
    assert_int_equal(acre_space_release(&space, other, MIB), ACRE_OK);
    acre_space_close(&space);
    finish();
}

/* Whoever maps memory that is not coherent sees what the device has written. */
static void a_map_of_a_space_is_up_to_date(void **state)
{
    (void)state;
    for (unsigned is_coherent = 0; is_coherent < 2; is_coherent++) {
        acre_space space;
        acre_addr address;
        void *pointer;
        begin(64 * MIB);
        fake.device.atom_bytes = 64;
        if (!is_coherent) fake.device.types[0].flags &= ~(uint32_t)ACRE_GPU_HOST_COHERENT;
        open_with(NULL);
        assert_int_equal(acre_gpu_open_space(gpu, 0, &space), ACRE_OK);
        assert_int_equal(acre_space_reserve(&space, MIB, 65536, NULL, &address), ACRE_OK);
        for (unsigned i = 1; i < 4; i++) {
            assert_int_equal(acre_space_map(&space, address + 65536, 65536, &pointer), ACRE_OK);
            assert_int_equal(acre_space_unmap(&space, pointer, 65536), ACRE_OK);
            assert_int_equal(fake.invalidate_count, is_coherent ? 0 : i);
        }
        assert_int_equal(acre_space_release(&space, address, MIB), ACRE_OK);
        acre_space_close(&space);
        finish();
    }
}

/* An address has 40 bits for the byte in a range: no more of them can be zero. */
static void an_address_is_a_multiple_of_the_alignment(void **state)
{
    (void)state;
    acre_space space;
    acre_addr address = 0;
    begin(8 * MIB);
    open_with(NULL);
    assert_int_equal(acre_gpu_open_space(gpu, 0, &space), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, MIB, (uint64_t)1 << 41, NULL, &address), ACRE_NO_MEMORY);
    assert_int_equal(acre_space_reserve(&space, MIB, (uint64_t)1 << 40, NULL, &address), ACRE_OK);
    assert_int_equal(address % ((uint64_t)1 << 40), 0);
    assert_int_equal(acre_space_release(&space, address, MIB), ACRE_OK);
    acre_space_close(&space);
    finish();
}

/* ---- threads ---- */

static void *allocate_and_free(void *context)
{
    static char failed[] = "a call failed";
    uint64_t random = (uint64_t)(uintptr_t)context;
    acre_gpu_memory own[50] = {0};
    for (int i = 0; i < 4000; i++) {
        acre_gpu_memory *const memory = &own[next_random(&random) % 50];
        if (*memory != 0) {
            if (acre_gpu_free(gpu, *memory) != ACRE_OK) return failed;
            *memory = 0;
        } else {
            const acre_gpu_request request = {
                .size_bytes = 1 + next_random(&random) % 20000, .flags = i % 3 == 0 ? ACRE_GPU_MAPPED : 0, .name = i % 4 == 0 ? "t" : NULL};
            if (acre_gpu_alloc(gpu, &request, memory) != ACRE_OK) return failed;
            acre_gpu_memory_info info;
            if (acre_gpu_read_memory(gpu, *memory, &info) != ACRE_OK) return failed;
            if (info.pointer != NULL) memset(info.pointer, i, info.size_bytes);
        }
    }
    for (int i = 0; i < 50; i++)
        if (acre_gpu_free(gpu, own[i]) != ACRE_OK) return failed;
    return NULL;
}

static void threads_share_a_manager(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    begin(256 * MIB);
    open_with(&(acre_gpu_options){.block_bytes = MIB});
    for (uintptr_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, allocate_and_free, (void *)(i + 3)), 0);
    for (int i = 0; i < 50; i++) (void)figures_of(0);
    for (int i = 0; i < THREADS; i++) {
        void *fault = NULL;
        assert_int_equal(pthread_join(threads[i], &fault), 0);
        assert_null(fault);
    }
    finish();
}

static int is_looked_at;

/* Changes all that figures, JSON, reports and checks show, in a manager that is full now and then. */
static void *change_and_look(void *context)
{
    static char failed[] = "a call failed";
    acre_gpu_memory memory = 0;
    uint32_t round = 0;
    acre_gpu_memory_info info;
    (void)context;
    if (acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = 1000, .name = "first"}, &memory) != ACRE_OK) return failed;
    for (; __atomic_load_n(&is_looked_at, __ATOMIC_RELAXED) != 0; round++) {
        acre_gpu_pool *pool = NULL;
        acre_gpu_memory other = 0;
        const acre_gpu_pool_options options = {.block_bytes = 1 << 16, .name = "a pool"};
        if (acre_gpu_set_name(gpu, memory, round % 3 == 0 ? NULL : round % 3 == 1 ? "one" : "another") != ACRE_OK) return failed;
        if (acre_gpu_set_user(gpu, memory, &round) != ACRE_OK) return failed;
        if (acre_gpu_pool_open(gpu, &options, &pool) != ACRE_OK) return failed;
        if (acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = 100, .flags = ACRE_GPU_DEDICATED, .pool = pool}, &other) != ACRE_OK)
            return failed;
        if (acre_gpu_free(gpu, other) != ACRE_OK || acre_gpu_pool_close(pool) != ACRE_OK) return failed;
        if (acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = 8 * MIB}, &other) != ACRE_NO_MEMORY) return failed;
        if (acre_gpu_read_memory(gpu, memory, &info) != ACRE_OK) return failed;
    }
    return acre_gpu_free(gpu, memory) == ACRE_OK ? NULL : failed;
}

static void figures_names_and_pools_change_while_others_look(void **state)
{
    (void)state;
    enum { THREADS = 2, ROUNDS = 200 };
    pthread_t threads[THREADS];
    begin(8 * MIB);
    open_with(NULL);
    __atomic_store_n(&is_looked_at, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, change_and_look, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
        written = (text){.room = sizeof written.bytes - 1};
        assert_int_equal(acre_gpu_write_json(gpu, append, &written), ACRE_OK);
        written = (text){.room = sizeof written.bytes - 1};
        assert_int_equal(acre_gpu_write_report(gpu, append, &written), ACRE_OK);
        (void)acre_gpu_trim(gpu, NULL);
    }
    __atomic_store_n(&is_looked_at, 0, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++) {
        void *fault = NULL;
        assert_int_equal(pthread_join(threads[i], &fault), 0);
        assert_null(fault);
    }
    finish();
}

/* ---- what is refused, and what fails ---- */

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    acre_gpu_memory memory = 0;
    acre_gpu_pool *pool = NULL;
    acre_gpu_figures figures;
    acre_space space;
    void *pointer = NULL;
    uint32_t type = 0;
    uint32_t count = 1;
    acre_gpu_move move = {0};
    acre_gpu *other = NULL;
    begin(64 * MIB);
    fake_driver broken = fake;
    acre_gpu_driver_ops ops = *fake.driver.ops;
    broken.driver.ops = &ops;
    ops.free = NULL;
    assert_int_equal(acre_gpu_open(&broken.driver, NULL, &other), ACRE_INVALID);
    assert_int_equal(acre_gpu_open(NULL, NULL, &other), ACRE_INVALID);
    assert_int_equal(acre_gpu_open(&fake.driver, NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_open(&fake.driver, &(acre_gpu_options){.block_bytes = 100}, &other), ACRE_INVALID);
    broken = fake;
    broken.device.types[0].heap = 1;
    assert_int_equal(acre_gpu_open(&broken.driver, NULL, &other), ACRE_INVALID);
    broken = fake;
    broken.device.heap_count = 0;
    assert_int_equal(acre_gpu_open(&broken.driver, NULL, &other), ACRE_INVALID);
    broken = fake;
    broken.device.atom_bytes = 3;
    assert_int_equal(acre_gpu_open(&broken.driver, NULL, &other), ACRE_INVALID);
    assert_null(other);

    open_with(NULL);
    const acre_gpu_request requests[] = {
        {.size_bytes = 0},
        {.size_bytes = UINT64_MAX},
        {.size_bytes = 1, .alignment_bytes = 3},
        {.size_bytes = 1, .host_access = 9},
        {.size_bytes = 1, .prefer = 9},
        {.size_bytes = 1, .content = 9},
        {.size_bytes = 1, .strategy = 9},
        {.size_bytes = 1, .lifetime = 9},
        {.size_bytes = 1, .priority = 1.5F},
        {.size_bytes = 1, .priority = -1.0F},
        {.size_bytes = 1, .type_mask = 2},
        {.size_bytes = 65 * MIB},
    };
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        assert_int_equal(acre_gpu_alloc(gpu, &requests[i], &memory), ACRE_INVALID);
        assert_int_equal(acre_gpu_choose_type(gpu, &requests[i], &type), ACRE_INVALID);
    }
    const acre_gpu_request good = {.size_bytes = 1};
    assert_int_equal(acre_gpu_alloc(NULL, &good, &memory), ACRE_INVALID);
    assert_int_equal(acre_gpu_alloc(gpu, NULL, &memory), ACRE_INVALID);
    assert_int_equal(acre_gpu_alloc(gpu, &good, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_choose_type(gpu, &good, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_free(NULL, 5), ACRE_INVALID);
    assert_int_equal(acre_gpu_free(gpu, 0), ACRE_OK);
    const acre_gpu_memory wrong[] = {1, 77, (uint64_t)1 << 32 | 1, UINT64_MAX};
    acre_gpu_memory_info info;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(acre_gpu_free(gpu, wrong[i]), ACRE_BAD_POINTER);
        assert_int_equal(acre_gpu_read_memory(gpu, wrong[i], &info), ACRE_BAD_POINTER);
        assert_int_equal(acre_gpu_map(gpu, wrong[i], &pointer), ACRE_BAD_POINTER);
        assert_int_equal(acre_gpu_unmap(gpu, wrong[i]), ACRE_BAD_POINTER);
        assert_int_equal(acre_gpu_flush(gpu, wrong[i], 0, 1), ACRE_BAD_POINTER);
        assert_int_equal(acre_gpu_invalidate(gpu, wrong[i], 0, 1), ACRE_BAD_POINTER);
        assert_int_equal(acre_gpu_set_user(gpu, wrong[i], NULL), ACRE_BAD_POINTER);
        assert_int_equal(acre_gpu_set_name(gpu, wrong[i], "x"), ACRE_BAD_POINTER);
    }
    const acre_gpu_pool_options pools[] = {
        {.type = 1},
        {.kind = 9},
        {.priority = 2.0F},
        {.alignment_bytes = 3},
        {.block_bytes = 1},
        {.block_count_min = 2, .block_count_max = 1},
        {.kind = ACRE_GPU_POOL_LINEAR, .block_count_max = 2},
        {.kind = ACRE_GPU_POOL_SLABS},
        {.kind = ACRE_GPU_POOL_SLABS, .slot_bytes = 100, .alignment_bytes = 8},
        {.kind = ACRE_GPU_POOL_SLABS, .slot_bytes = 128, .block_bytes = 64},
    };
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) assert_int_equal(acre_gpu_pool_open(gpu, &pools[i], &pool), ACRE_INVALID);
    assert_int_equal(acre_gpu_pool_open(gpu, NULL, &pool), ACRE_INVALID);
    assert_int_equal(acre_gpu_pool_close(NULL), ACRE_OK);
    assert_int_equal(acre_gpu_close(NULL), ACRE_OK);
    assert_int_equal(acre_gpu_trim(NULL, NULL), 0);
    assert_null(acre_gpu_read_device(NULL));
    assert_int_equal(acre_gpu_read_figures(gpu, 1, &figures), ACRE_INVALID);
    assert_int_equal(acre_gpu_read_figures(gpu, 0, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_pool_read_figures(NULL, &figures), ACRE_INVALID);
    assert_int_equal(acre_gpu_write_json(gpu, NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_write_report(NULL, append, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_check(NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_plan_moves(gpu, NULL, 1, 1, 0, &move, &count, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_plan_moves(gpu, NULL, 0, 1, 0, NULL, &count, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_plan_moves(NULL, NULL, 0, 1, 0, &move, &count, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_end_moves(gpu, NULL, 0, &move, 1), ACRE_INVALID);
    assert_int_equal(acre_gpu_end_moves(gpu, NULL, 0, NULL, 1), ACRE_INVALID);
    assert_int_equal(acre_gpu_open_space(gpu, 1, &space), ACRE_INVALID);
    assert_int_equal(acre_gpu_open_space(gpu, 0, NULL), ACRE_INVALID);
    finish();
}

/* A request on a device that the host does not see cannot be mapped. */
static void what_the_host_does_not_see_is_not_mapped(void **state)
{
    (void)state;
    void *pointer = NULL;
    begin(64 * MIB);
    fake.device.types[0].flags = ACRE_GPU_DEVICE_LOCAL;
    open_with(NULL);
    const acre_gpu_memory memory = alloc(&(acre_gpu_request){.size_bytes = 100, .flags = ACRE_GPU_MAPPED});
    assert_null(info_of(memory).pointer);
    assert_int_equal(acre_gpu_map(gpu, memory, &pointer), ACRE_UNSUPPORTED);
    assert_int_equal(acre_gpu_flush(gpu, memory, 0, 10), ACRE_OK);
    assert_int_equal(fake.flush_count, 0);
    free_memory(memory);
    finish();
}

/* Each call of the driver fails once: the manager says so, and is as it was. */
static void nothing_is_lost_when_the_driver_fails(void **state)
{
    (void)state;
    for (uint64_t call = 1; call < 60; call++) {
        uint64_t random = 3;
        begin(8 * MIB);
        open_with(&(acre_gpu_options){.block_bytes = 128 << 10});
        fake.failing_call = call;
        memory_count = 0;
        for (int i = 0; i < 200; i++) {
            const uint64_t number = next_random(&random);
            if (memory_count > 0 && number % 3 == 0) {
                free_memory(memories[--memory_count].memory);
                continue;
            }
            const acre_gpu_request request = {.size_bytes = 1 + number % 50000,
                                              .flags = number % 5 == 0   ? ACRE_GPU_MAPPED
                                                       : number % 7 == 0 ? ACRE_GPU_DEDICATED
                                                                         : 0};
            const acre_status status = acre_gpu_alloc(gpu, &request, &memories[memory_count].memory);
            assert_true(status == ACRE_OK || status == ACRE_NO_MEMORY || status == ACRE_IO);
            if (status == ACRE_OK) memory_count++;
        }
        assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
        while (memory_count > 0) free_memory(memories[--memory_count].memory);
        finish();
    }
}

static acre_status map_second_type(acre_gpu_driver *driver, acre_gpu_handle handle, void **pointer)
{
    (void)driver;
    if (fake.blocks[handle - 1].type == 0) return ACRE_NO_MEMORY;
    fake.blocks[handle - 1].is_mapped = true;
    *pointer = fake.blocks[handle - 1].bytes;
    return ACRE_OK;
}

/* In a block of the first type it has a place, on the second type a block of its own. */
static void a_type_that_cannot_be_mapped_leaves_nothing_to_the_next(void **state)
{
    (void)state;
    begin(64 * MIB);
    acre_gpu_driver_ops ops = *fake.driver.ops;
    ops.map = map_second_type;
    fake.driver.ops = &ops;
    fake.device.heap_count = 2;
    fake.device.type_count = 2;
    fake.device.heaps[1].size_bytes = 3000;
    fake.device.types[1] = (acre_gpu_type){.heap = 1, .flags = ACRE_GPU_HOST_VISIBLE | ACRE_GPU_HOST_COHERENT};
    open_with(NULL);
    const acre_gpu_memory memory = alloc(&(acre_gpu_request){.size_bytes = 2500, .flags = ACRE_GPU_MAPPED});
    assert_int_equal(info_of(memory).type, 1);
    assert_true(info_of(memory).is_dedicated);
    assert_int_equal(acre_gpu_check(gpu), ACRE_OK);
    free_memory(memory);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_stay_whole_through_allocs_frees_and_moves),
        cmocka_unit_test(no_place_is_given_again_before_its_fence_in_any_order),
        cmocka_unit_test(what_is_used_still_is_neither_moved_nor_closed),
        cmocka_unit_test(an_alloc_goes_behind_a_fence_that_has_not_passed),
        cmocka_unit_test(a_small_program_takes_small_blocks),
        cmocka_unit_test(a_block_halves_when_the_driver_refuses),
        cmocka_unit_test(flags_say_where_memory_comes_from),
        cmocka_unit_test(no_block_goes_beyond_the_budget),
        cmocka_unit_test(a_heap_gives_no_more_than_the_options_allow),
        cmocka_unit_test(another_type_is_taken_when_the_best_heap_is_full),
        cmocka_unit_test(buffers_and_images_share_no_page_of_the_device),
        cmocka_unit_test(a_block_is_mapped_once_however_often_its_allocations_are),
        cmocka_unit_test(flushes_are_of_whole_atoms_within_the_block),
        cmocka_unit_test(a_linear_pool_serves_as_a_ring),
        cmocka_unit_test(slabs_hand_out_every_slot),
        cmocka_unit_test(slabs_keep_atoms_and_pages_apart),
        cmocka_unit_test(a_block_may_be_one_slot),
        cmocka_unit_test(a_pool_keeps_its_least_number_of_blocks),
        cmocka_unit_test(a_pool_takes_no_more_than_its_most_blocks),
        cmocka_unit_test(an_empty_block_makes_room_for_a_longer_one),
        cmocka_unit_test(an_extension_is_for_a_block_of_its_own_in_a_pool_too),
        cmocka_unit_test(a_plan_empties_the_emptiest_blocks),
        cmocka_unit_test(a_plan_makes_the_wished_extent),
        cmocka_unit_test(no_plan_makes_an_extent_that_no_block_holds),
        cmocka_unit_test(what_the_host_does_not_see_is_moved_though_it_was_to_be_mapped),
        cmocka_unit_test(what_cannot_be_mapped_where_it_goes_stays),
        cmocka_unit_test(reports_name_the_owners),
        cmocka_unit_test(names_in_json_are_utf8_whatever_they_were),
        cmocka_unit_test(a_type_is_a_space),
        cmocka_unit_test(a_map_of_a_space_is_up_to_date),
        cmocka_unit_test(an_address_is_a_multiple_of_the_alignment),
        cmocka_unit_test(threads_share_a_manager),
        cmocka_unit_test(figures_names_and_pools_change_while_others_look),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(what_the_host_does_not_see_is_not_mapped),
        cmocka_unit_test(nothing_is_lost_when_the_driver_fails),
        cmocka_unit_test(a_type_that_cannot_be_mapped_leaves_nothing_to_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
