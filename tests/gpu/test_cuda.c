/* test_cuda.c - libacre-cuda over the driver of fake_cuda.c: each call of the driver, in its order, and what happens when one fails. */
#include "failing_malloc.h"
#include "fake_cuda.h"
#include "support/test.h"

#include <acre/cuda.h>
#include <acre/um.h>
#include <pthread.h>

static const fake_options good = {.device_count = 2, .driver_version = 12040, .memory_bytes = 64 << 20};

static acre_cuda *open_device(void)
{
    acre_cuda *cuda;
    fake_reset(&good);
    assert_int_equal(acre_cuda_open(NULL, &cuda), ACRE_OK);
    return cuda;
}

/* Nothing is out, and the driver was never called in a wrong way. */
static void close_device(acre_cuda *cuda)
{
    assert_int_equal(acre_cuda_close(cuda), ACRE_OK);
    if (fake_misuse_count() > 0) print_error("%s\n", fake_misuse());
    assert_int_equal(fake_misuse_count(), 0);
    assert_true(fake_is_nothing_live());
}

/* ---- opening ---- */

static void a_device_tells_its_facts(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    acre_cuda_facts facts;
    assert_int_equal(acre_cuda_query(cuda, &facts), ACRE_OK);
    assert_string_equal(facts.name, "fake 0");
    assert_int_equal(facts.total_bytes, 64 << 20);
    assert_int_equal(facts.granule_bytes, 65536);
    assert_true(facts.has_managed && facts.maps_host && facts.has_pools && facts.has_growth && facts.has_export && facts.migrates_managed);
    uint64_t free_bytes, total_bytes;
    assert_int_equal(acre_cuda_budget(cuda, &free_bytes, &total_bytes), ACRE_OK);
    assert_int_equal(free_bytes, 64 << 20);
    close_device(cuda);
}

static void a_device_that_is_not_there_is_refused(void **state)
{
    (void)state;
    acre_cuda *cuda = NULL;
    fake_reset(&good);
    assert_int_equal(acre_cuda_open(&(acre_cuda_options){.device = 2}, &cuda), ACRE_INVALID);
    assert_int_equal(acre_cuda_open(&(acre_cuda_options){.device = -1}, &cuda), ACRE_INVALID);
    fake_reset(&(fake_options){.device_count = 0, .driver_version = 12040});
    assert_int_equal(acre_cuda_open(NULL, &cuda), ACRE_UNSUPPORTED);
    fake_reset(&(fake_options){.device_count = 1, .driver_version = 11010});
    assert_int_equal(acre_cuda_open(NULL, &cuda), ACRE_UNSUPPORTED);
    assert_non_null(strstr(acre_last_error(), "11010"));
    assert_null(cuda);
}

static void what_a_device_lacks_is_not_supported(void **state)
{
    (void)state;
    acre_cuda *cuda;
    fake_options less = good;
    less.lacks_managed = less.lacks_mapping = less.lacks_pools = less.lacks_growth = true;
    fake_reset(&less);
    assert_int_equal(acre_cuda_open(NULL, &cuda), ACRE_OK);
    acre_cuda_memory memory;
    acre_cuda_growth *growth;
    acre_cuda_pool *pool;
    unsigned char bytes[16];
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_MANAGED, 4096, &memory), ACRE_UNSUPPORTED);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_MAPPED, 4096, &memory), ACRE_UNSUPPORTED);
    assert_int_equal(acre_cuda_register(cuda, bytes, sizeof bytes, &memory), ACRE_UNSUPPORTED);
    assert_int_equal(acre_cuda_growth_open(cuda, 1 << 20, 0, &growth), ACRE_UNSUPPORTED);
    assert_int_equal(acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.is_drivers = true}, &pool), ACRE_UNSUPPORTED);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, 4096, &memory), ACRE_OK);
    assert_int_equal(acre_cuda_advise(cuda, &memory, 0, 1, ACRE_CUDA_READ_MOSTLY), ACRE_UNSUPPORTED);
    assert_int_equal(acre_cuda_free(cuda, &memory), ACRE_OK);
    close_device(cuda);
}

/* ---- memory ---- */

static void memory_of_every_kind_is_where_it_should_be(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    for (acre_cuda_kind kind = ACRE_CUDA_DEVICE; kind <= ACRE_CUDA_MAPPED; kind++) {
        acre_cuda_memory memory;
        assert_int_equal(acre_cuda_alloc(cuda, kind, 10000, &memory), ACRE_OK);
        assert_int_equal(memory.size_bytes, 10000);
        assert_int_equal(memory.host != NULL, kind != ACRE_CUDA_DEVICE);
        assert_int_equal(memory.address != 0, kind != ACRE_CUDA_PINNED);
        if (memory.host != NULL) memset(memory.host, (int)kind, 10000);
        if (memory.host != NULL && memory.address != 0) assert_memory_equal(fake_device_view(memory.address, 10000), memory.host, 10000);
        assert_int_equal(acre_cuda_close(cuda), ACRE_BUSY);
        acre_cuda_memory copy = memory;
        assert_int_equal(acre_cuda_free(cuda, &memory), ACRE_OK);
        assert_int_equal(acre_cuda_free(cuda, &copy), ACRE_BAD_POINTER);
        assert_int_equal(acre_cuda_free(cuda, &memory), ACRE_BAD_POINTER);
    }
    close_device(cuda);
}

static void memory_of_the_caller_is_registered_once(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    static unsigned char bytes[8192];
    acre_cuda_memory memory, again;
    assert_int_equal(acre_cuda_register(cuda, bytes, sizeof bytes, &memory), ACRE_OK);
    assert_ptr_equal(fake_device_view(memory.address, sizeof bytes), bytes);
    assert_int_equal(acre_cuda_register(cuda, bytes, sizeof bytes, &again), ACRE_INVALID);
    assert_int_equal(acre_cuda_free(cuda, &memory), ACRE_OK);
    assert_int_equal(acre_cuda_register(cuda, bytes, sizeof bytes, &memory), ACRE_OK);
    assert_int_equal(acre_cuda_free(cuda, &memory), ACRE_OK);
    close_device(cuda);
}

static void bad_input_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    acre_cuda_memory memory = {.kind = ACRE_CUDA_DEVICE, .address = 0x7f0000000000};
    unsigned char bytes[ACRE_CUDA_EXPORT_BYTES] = {0};
    acre_cuda_growth *growth;
    acre_cuda_pool *pool;
    uint64_t number;
    assert_int_equal(acre_cuda_alloc(NULL, ACRE_CUDA_DEVICE, 1, &memory), ACRE_INVALID);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, 1, NULL), ACRE_INVALID);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, 0, &memory), ACRE_INVALID);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, UINT64_MAX, &memory), ACRE_INVALID);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_REGISTERED, 1, &memory), ACRE_INVALID);
    assert_int_equal(acre_cuda_alloc(cuda, (acre_cuda_kind)77, 1, &memory), ACRE_INVALID);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, 65 << 20, &memory), ACRE_NO_MEMORY);
    assert_non_null(strstr(acre_last_error(), "CUDA_ERROR_OUT_OF_MEMORY"));
    assert_int_equal(acre_cuda_free(cuda, &memory), ACRE_BAD_POINTER);
    assert_int_equal(acre_cuda_free(cuda, &(acre_cuda_memory){.kind = (acre_cuda_kind)77, .address = 1}), ACRE_BAD_POINTER);
    assert_int_equal(acre_cuda_free(cuda, NULL), ACRE_INVALID);
    assert_int_equal(acre_cuda_free(NULL, &memory), ACRE_INVALID);
    assert_int_equal(acre_cuda_register(cuda, NULL, 1, &memory), ACRE_INVALID);
    assert_int_equal(acre_cuda_register(cuda, bytes, 0, &memory), ACRE_INVALID);
    assert_int_equal(acre_cuda_export(cuda, &memory, bytes), ACRE_BAD_POINTER);
    assert_int_equal(acre_cuda_import(cuda, bytes, &memory), ACRE_INVALID);
    assert_int_equal(acre_cuda_query(cuda, NULL), ACRE_INVALID);
    assert_int_equal(acre_cuda_budget(cuda, &number, NULL), ACRE_INVALID);
    assert_int_equal(acre_cuda_growth_open(cuda, 0, 0, &growth), ACRE_INVALID);
    assert_int_equal(acre_cuda_growth_open(cuda, 1 << 20, 4096, &growth), ACRE_INVALID);
    assert_int_equal(acre_cuda_growth_open(cuda, UINT64_MAX, 0, &growth), ACRE_INVALID);
    assert_int_equal(acre_cuda_growth_resize(NULL, 0), ACRE_INVALID);
    assert_int_equal(acre_cuda_growth_close(NULL), ACRE_INVALID);
    assert_int_equal(acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.reuse = 8}, &pool), ACRE_INVALID);
    assert_int_equal(acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.stream_count_max = 257}, &pool), ACRE_INVALID);
    assert_int_equal(acre_cuda_pool_create(NULL, NULL, &pool), ACRE_INVALID);
    assert_int_equal(acre_cuda_close(NULL), ACRE_INVALID);
    assert_null(acre_cuda_gpu_driver(NULL));
    close_device(cuda);
}

static void advice_and_prefetch_reach_the_driver_for_managed_memory_alone(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    acre_cuda_memory managed, device;
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_MANAGED, 1 << 20, &managed), ACRE_OK);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, 1 << 20, &device), ACRE_OK);
    assert_int_equal(acre_cuda_advise(cuda, &managed, 0, 1 << 20, ACRE_CUDA_PREFER_DEVICE), ACRE_OK);
    assert_int_equal(fake_preferred(managed.address), 0);
    assert_int_equal(acre_cuda_advise(cuda, &managed, 0, 1 << 20, ACRE_CUDA_PREFER_HOST), ACRE_OK);
    assert_int_equal(fake_preferred(managed.address), CU_DEVICE_CPU);
    for (acre_cuda_advice advice = ACRE_CUDA_READ_MOSTLY; advice <= ACRE_CUDA_DEVICE_USES_NOT; advice++)
        assert_int_equal(acre_cuda_advise(cuda, &managed, 4096, 4096, advice), ACRE_OK);
    for (int advice = CU_ADVISE_SET_READ_MOSTLY; advice <= CU_ADVISE_UNSET_ACCESSED_BY; advice++)
        assert_int_equal(fake_advice_count(advice), advice == CU_ADVISE_SET_PREFERRED_LOCATION ? 4 : 1);
    assert_int_equal(acre_cuda_prefetch(cuda, &managed, 0, 4096, false, NULL), ACRE_OK);
    assert_int_equal(acre_cuda_prefetch(cuda, &managed, 4096, (1 << 20) - 4096, true, NULL), ACRE_OK);
    assert_int_equal(fake_prefetch_count(0), 1);
    assert_int_equal(fake_prefetch_count(CU_DEVICE_CPU), 1);
    assert_int_equal(acre_cuda_advise(cuda, &managed, 4096, 1 << 20, ACRE_CUDA_READ_MOSTLY), ACRE_INVALID);
    assert_int_equal(acre_cuda_advise(cuda, &managed, UINT64_MAX, 2, ACRE_CUDA_READ_MOSTLY), ACRE_INVALID);
    assert_int_equal(acre_cuda_advise(cuda, &managed, 0, 0, ACRE_CUDA_READ_MOSTLY), ACRE_INVALID);
    assert_int_equal(acre_cuda_advise(cuda, &managed, 0, 1, (acre_cuda_advice)99), ACRE_INVALID);
    assert_int_equal(acre_cuda_advise(cuda, &device, 0, 1, ACRE_CUDA_READ_MOSTLY), ACRE_INVALID);
    assert_int_equal(acre_cuda_prefetch(cuda, &device, 0, 1, true, NULL), ACRE_INVALID);
    assert_int_equal(acre_cuda_free(cuda, &managed), ACRE_OK);
    assert_int_equal(acre_cuda_free(cuda, &device), ACRE_OK);
    assert_int_equal(acre_cuda_advise(cuda, &managed, 0, 1, ACRE_CUDA_READ_MOSTLY), ACRE_BAD_POINTER);
    close_device(cuda);
}

static void another_process_sees_exported_memory(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    acre_cuda_memory ours, theirs, pinned;
    unsigned char bytes[ACRE_CUDA_EXPORT_BYTES];
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, 4096, &ours), ACRE_OK);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_PINNED, 4096, &pinned), ACRE_OK);
    assert_int_equal(acre_cuda_export(cuda, &pinned, bytes), ACRE_INVALID);
    assert_int_equal(acre_cuda_export(cuda, &ours, bytes), ACRE_OK);
    assert_int_equal(acre_cuda_import(cuda, bytes, &theirs), ACRE_OK);
    memset(fake_device_view(ours.address, 4096), 7, 4096);
    assert_memory_equal(fake_device_view(theirs.address, 4096), fake_device_view(ours.address, 4096), 4096);
    assert_int_equal(acre_cuda_free(cuda, &theirs), ACRE_OK);
    assert_int_equal(acre_cuda_free(cuda, &ours), ACRE_OK);
    assert_int_equal(acre_cuda_free(cuda, &pinned), ACRE_OK);
    close_device(cuda);
}

/* ---- growth ---- */

static void a_growth_keeps_its_address_and_contents(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    acre_cuda_growth *growth;
    assert_int_equal(acre_cuda_growth_open(cuda, 32 << 20, 1 << 20, &growth), ACRE_OK);
    const uint64_t address = acre_cuda_growth_address(growth);
    assert_int_equal(acre_cuda_growth_size(growth), 0);
    for (uint64_t size = 1; size <= 32; size *= 2) {
        assert_int_equal(acre_cuda_growth_resize(growth, size << 20), ACRE_OK);
        assert_int_equal(acre_cuda_growth_size(growth), size << 20);
        assert_int_equal(acre_cuda_growth_address(growth), address);
        for (uint64_t step = 0; step < size; step++) {
            uint64_t *const view = fake_device_view(address + (step << 20), 1 << 20);
            assert_non_null(view);
            if (step >= size / 2) *view = step;
            assert_int_equal(*view, step);
        }
    }
    assert_int_equal(acre_cuda_growth_resize(growth, (32 << 20) + 1), ACRE_INVALID);
    assert_int_equal(acre_cuda_growth_resize(growth, 100), ACRE_OK);
    assert_int_equal(acre_cuda_growth_size(growth), 1 << 20);
    uint64_t free_bytes, total_bytes;
    assert_int_equal(acre_cuda_budget(cuda, &free_bytes, &total_bytes), ACRE_OK);
    assert_int_equal(free_bytes, 63 << 20);
    assert_int_equal(acre_cuda_close(cuda), ACRE_BUSY);
    assert_int_equal(acre_cuda_growth_close(growth), ACRE_OK);
    close_device(cuda);
}

static void a_growth_needs_no_free_range_of_its_length(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    acre_cuda_growth *growth;
    acre_cuda_memory memory;
    assert_int_equal(acre_cuda_growth_open(cuda, 128 << 20, 0, &growth), ACRE_OK);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, 60 << 20, &memory), ACRE_OK);
    assert_int_equal(acre_cuda_growth_resize(growth, 2 << 20), ACRE_OK);
    assert_int_equal(acre_cuda_growth_resize(growth, 5 << 20), ACRE_NO_MEMORY);
    assert_int_equal(acre_cuda_growth_size(growth), 2 << 20);
    assert_int_equal(acre_cuda_growth_resize(growth, 4 << 20), ACRE_OK);
    assert_int_equal(acre_cuda_growth_close(growth), ACRE_OK);
    assert_int_equal(acre_cuda_free(cuda, &memory), ACRE_OK);
    close_device(cuda);
}

/* ---- pools ---- */

static acre_cuda_pool_figures figures_of(acre_cuda_pool *pool)
{
    acre_cuda_pool_figures figures;
    assert_int_equal(acre_cuda_pool_read_figures(pool, &figures), ACRE_OK);
    return figures;
}

static void a_block_is_reused_in_its_stream_at_once_and_in_another_after_the_event(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    cu_stream a = fake_stream_create(), b = fake_stream_create();
    acre_cuda_pool *pool;
    acre_cuda_block first, second, third;
    assert_int_equal(
        acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.reuse = ACRE_CUDA_REUSE_PASSED, .release_threshold_bytes = 1 << 20}, &pool),
        ACRE_OK);
    assert_int_equal(acre_cuda_pool_alloc(pool, a, 1000, &first), ACRE_OK);
    assert_int_equal(first.size_bytes, 1024);
    assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_BUSY);
    assert_int_equal(acre_cuda_pool_free(pool, a, first.address), ACRE_OK);
    assert_int_equal(acre_cuda_pool_free(pool, a, first.address), ACRE_BAD_POINTER);
    assert_int_equal(acre_cuda_pool_free(pool, a, first.address + 256), ACRE_BAD_POINTER);
    assert_int_equal(acre_cuda_pool_alloc(pool, b, 1000, &second), ACRE_OK);
    assert_int_not_equal(second.address, first.address);
    assert_int_equal(acre_cuda_pool_alloc(pool, a, 1000, &third), ACRE_OK);
    assert_int_equal(third.address, first.address);
    assert_int_equal(acre_cuda_pool_free(pool, a, third.address), ACRE_OK);
    while (fake_step(a)) continue;
    assert_int_equal(acre_cuda_pool_alloc(pool, b, 1000, &third), ACRE_OK);
    assert_int_equal(third.address, first.address);
    assert_int_equal(acre_cuda_pool_free(pool, b, second.address), ACRE_OK);
    assert_int_equal(acre_cuda_pool_free(pool, b, third.address), ACRE_OK);
    const acre_cuda_pool_figures figures = figures_of(pool);
    assert_int_equal(figures.driver_count, 2);
    assert_int_equal(figures.same_count, 1);
    assert_int_equal(figures.passed_count, 1);
    assert_int_equal(figures.used_bytes, 0);
    assert_int_equal(figures.held_bytes, 2048);
    assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_OK);
    fake_stream_destroy(a);
    fake_stream_destroy(b);
    close_device(cuda);
}

static void a_stream_that_waits_for_the_free_reuses_the_block(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    cu_stream a = fake_stream_create(), b = fake_stream_create();
    acre_cuda_pool *pool;
    acre_cuda_mark *mark = NULL;
    acre_cuda_block first, second;
    assert_int_equal(acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.reuse = ACRE_CUDA_REUSE_FOLLOWED}, &pool), ACRE_OK);
    assert_int_equal(acre_cuda_pool_alloc(pool, a, 4096, &first), ACRE_OK);
    assert_int_equal(acre_cuda_pool_free(pool, a, first.address), ACRE_OK);
    assert_int_equal(acre_cuda_pool_record(pool, a, &mark), ACRE_OK);
    assert_int_equal(acre_cuda_pool_wait(pool, b, mark), ACRE_OK);
    assert_int_equal(acre_cuda_pool_alloc(pool, b, 4096, &second), ACRE_OK);
    assert_int_equal(second.address, first.address);
    assert_int_equal(acre_cuda_pool_free(pool, b, second.address), ACRE_OK);
    acre_cuda_mark_free(mark);
    assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_OK);
    fake_stream_destroy(a);
    fake_stream_destroy(b);
    close_device(cuda);
}

static void what_is_beyond_the_threshold_goes_back_at_synchronisation(void **state)
{
    (void)state;
    for (unsigned is_drivers = 0; is_drivers < 2; is_drivers++) {
        acre_cuda *const cuda = open_device();
        cu_stream a = fake_stream_create();
        acre_cuda_pool *pool;
        acre_cuda_block blocks[8];
        uint64_t free_bytes, total_bytes;
        const acre_cuda_pool_options options = {.release_threshold_bytes = 3 << 20, .is_drivers = is_drivers};
        assert_int_equal(acre_cuda_pool_create(cuda, &options, &pool), ACRE_OK);
        for (unsigned i = 0; i < 8; i++) assert_int_equal(acre_cuda_pool_alloc(pool, a, 1 << 20, &blocks[i]), ACRE_OK);
        for (unsigned i = 0; i < 8; i++) assert_int_equal(acre_cuda_pool_free(pool, a, blocks[i].address), ACRE_OK);
        assert_int_equal(acre_cuda_pool_free(pool, a, blocks[0].address), ACRE_BAD_POINTER);
        assert_int_equal(figures_of(pool).held_bytes, 8 << 20);
        assert_int_equal(acre_cuda_pool_synchronise(pool, a), ACRE_OK);
        assert_int_equal(figures_of(pool).held_bytes, 3 << 20);
        assert_int_equal(acre_cuda_budget(cuda, &free_bytes, &total_bytes), ACRE_OK);
        assert_int_equal(free_bytes, 61 << 20);
        assert_int_equal(acre_cuda_pool_set_threshold(pool, 2 << 20), ACRE_OK);
        assert_int_equal(acre_cuda_pool_synchronise(pool, a), ACRE_OK);
        assert_int_equal(figures_of(pool).held_bytes, 2 << 20);
        assert_int_equal(acre_cuda_pool_trim(pool, 1 << 20), ACRE_OK);
        assert_int_equal(figures_of(pool).held_bytes, 1 << 20);
        assert_int_equal(figures_of(pool).held_bytes_max, 8 << 20);
        assert_int_equal(acre_cuda_pool_alloc(pool, a, 0, &blocks[0]), ACRE_INVALID);
        assert_int_equal(acre_cuda_pool_forget(pool, a), ACRE_OK);
        assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_OK);
        fake_stream_destroy(a);
        close_device(cuda);
    }
}

static void out_of_memory_waits_for_what_is_free_before_it_fails(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    cu_stream a = fake_stream_create(), b = fake_stream_create();
    acre_cuda_pool *pool;
    acre_cuda_block first, second;
    assert_int_equal(acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.reuses_same_stream_only = true}, &pool), ACRE_OK);
    assert_int_equal(acre_cuda_pool_alloc(pool, a, 40 << 20, &first), ACRE_OK);
    fake_use(a, first.address, 4096, 1);
    assert_int_equal(acre_cuda_pool_free(pool, a, first.address), ACRE_OK);
    assert_int_equal(acre_cuda_pool_alloc(pool, b, 30 << 20, &second), ACRE_OK);
    assert_int_equal(figures_of(pool).stall_count, 1);
    assert_int_equal(acre_cuda_pool_alloc(pool, b, 40 << 20, &first), ACRE_NO_MEMORY);
    assert_int_equal(acre_cuda_pool_free(pool, b, second.address), ACRE_OK);
    assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_OK);
    assert_int_equal(acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.limit_bytes = 1 << 20}, &pool), ACRE_OK);
    assert_int_equal(acre_cuda_pool_alloc(pool, b, (1 << 20) + 1, &second), ACRE_NO_MEMORY);
    assert_int_equal(acre_cuda_pool_alloc(pool, b, 1 << 20, &second), ACRE_OK);
    assert_int_equal(acre_cuda_pool_free(pool, b, second.address), ACRE_OK);
    assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_OK);
    fake_stream_destroy(a);
    fake_stream_destroy(b);
    close_device(cuda);
}

enum { STREAM_COUNT = 3, HELD_MAX = 40 };

/* Random work on random streams, which run at random: uses of one address must come in the order in which its blocks were handed out. */
static void uses_of_one_address_run_in_the_order_of_its_blocks(void **state)
{
    (void)state;
    uint64_t seed = 0x9e3779b97f4a7c15u;
    for (uint32_t reuse = 1; reuse <= ACRE_CUDA_REUSE_ALL; reuse++) {
        acre_cuda *const cuda = open_device();
        cu_stream streams[STREAM_COUNT];
        acre_cuda_pool *pool;
        acre_cuda_mark *mark = NULL;
        struct {
            acre_cuda_block block;
            unsigned stream;
            uint64_t tag;
        } held[HELD_MAX];
        unsigned held_count = 0;
        uint64_t tag = 0;
        for (unsigned i = 0; i < STREAM_COUNT; i++) streams[i] = fake_stream_create();
        assert_int_equal(
            acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.reuse = reuse, .release_threshold_bytes = 1 << 20, .free_count_max = 20},
                                  &pool),
            ACRE_OK);
        for (unsigned step = 0; step < 4000; step++) {
            const unsigned s = (unsigned)(next_random(&seed) % STREAM_COUNT),
                           k = held_count == 0 ? 0 : (unsigned)(next_random(&seed) % held_count);
            switch (next_random(&seed) % 12) {
            case 0:
            case 1:
            case 2:
                if (held_count == HELD_MAX) break;
                held[held_count].stream = s;
                held[held_count].tag = ++tag;
                assert_int_equal(acre_cuda_pool_alloc(pool, streams[s], 1 + next_random(&seed) % 8192, &held[held_count].block), ACRE_OK);
                fake_use(streams[s], held[held_count].block.address, 512, tag);
                held_count++;
                break;
            case 3:
            case 4:
            case 5:
                if (held_count == 0) break;
                fake_use(streams[held[k].stream], held[k].block.address, 512, held[k].tag);
                assert_int_equal(acre_cuda_pool_free(pool, streams[held[k].stream], held[k].block.address), ACRE_OK);
                held[k] = held[--held_count];
                break;
            case 6: { /* s waits for an event of the next stream, as a program does it */
                const unsigned other = (s + 1) % STREAM_COUNT;
                fake_record_and_wait(streams[other], streams[s]);
                assert_int_equal(acre_cuda_pool_record(pool, streams[other], &mark), ACRE_OK);
                assert_int_equal(acre_cuda_pool_wait(pool, streams[s], mark), ACRE_OK);
                break;
            }
            case 7:
                if (next_random(&seed) % 20 == 0) assert_int_equal(acre_cuda_pool_synchronise(pool, streams[s]), ACRE_OK);
                break;
            default:
                (void)fake_step_any(next_random(&seed));
                break;
            }
        }
        while (held_count > 0) {
            held_count--;
            assert_int_equal(acre_cuda_pool_free(pool, streams[held[held_count].stream], held[held_count].block.address), ACRE_OK);
        }
        assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_OK);
        acre_cuda_mark_free(mark);
        for (unsigned i = 0; i < STREAM_COUNT; i++) fake_stream_destroy(streams[i]);
        close_device(cuda);
    }
}
enum { THREAD_COUNT = 4, THREAD_STEPS = 500 };

typedef struct worker {
    acre_cuda_pool *pool;
    cu_stream stream;
    uint64_t seed;
    unsigned failure_count;
} worker;

/* Every block is used by the stream that it was taken for, with a tag that no other use has. */
static void *work_on_stream(void *argument)
{
    worker *const self = argument;
    for (unsigned i = 0; i < THREAD_STEPS; i++) {
        static uint64_t tag;
        acre_cuda_block block;
        self->failure_count += acre_cuda_pool_alloc(self->pool, self->stream, 1 + next_random(&self->seed) % 4096, &block) != ACRE_OK;
        fake_use(self->stream, block.address, 512, __atomic_add_fetch(&tag, 1, __ATOMIC_RELAXED));
        self->failure_count += acre_cuda_pool_free(self->pool, self->stream, block.address) != ACRE_OK;
        if (next_random(&self->seed) % 3 == 0) (void)fake_step(self->stream);
        if (i % 100 == 99) self->failure_count += acre_cuda_pool_synchronise(self->pool, self->stream) != ACRE_OK;
    }
    return NULL;
}

static void threads_share_a_pool(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    acre_cuda_pool *pool;
    pthread_t threads[THREAD_COUNT];
    worker workers[THREAD_COUNT];
    assert_int_equal(acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.release_threshold_bytes = 1 << 16}, &pool), ACRE_OK);
    for (unsigned i = 0; i < THREAD_COUNT; i++) {
        workers[i] = (worker){.pool = pool, .stream = fake_stream_create(), .seed = 77 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, work_on_stream, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].failure_count, 0);
        assert_int_equal(acre_cuda_pool_forget(pool, workers[i].stream), ACRE_OK);
    }
    const acre_cuda_pool_figures figures = figures_of(pool);
    assert_int_equal(figures.used_bytes, 0);
    assert_true(figures.same_count + figures.passed_count + figures.waited_count > 0);
    assert_int_equal(figures.same_count + figures.followed_count + figures.passed_count + figures.waited_count + figures.driver_count,
                     THREAD_COUNT * THREAD_STEPS);
    assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_OK);
    for (unsigned i = 0; i < THREAD_COUNT; i++) fake_stream_destroy(workers[i].stream);
    close_device(cuda);
}

/* ---- each call fails once ---- */

/* All that the library can do, as far as it comes; what it got it gives back. Returns what failed first. */
static acre_status do_everything(acre_cuda *cuda, cu_stream a, cu_stream b, void *bytes)
{
    acre_cuda_memory memories[6];
    acre_cuda_growth *growth = NULL;
    acre_cuda_pool *pools[2] = {NULL, NULL};
    acre_cuda_block blocks[2][2] = {{{.address = 0}}};
    unsigned char handle[ACRE_CUDA_EXPORT_BYTES];
    uint64_t free_bytes, total_bytes;
    unsigned memory_count = 0, block_counts[2] = {0, 0};
    acre_status status = acre_cuda_budget(cuda, &free_bytes, &total_bytes);
    for (acre_cuda_kind kind = ACRE_CUDA_DEVICE; kind <= ACRE_CUDA_MAPPED && status == ACRE_OK; kind++) {
        status = acre_cuda_alloc(cuda, kind, 4096, &memories[memory_count]);
        memory_count += status == ACRE_OK;
    }
    if (status == ACRE_OK) status = acre_cuda_register(cuda, bytes, 64, &memories[memory_count]);
    memory_count += status == ACRE_OK;
    if (status == ACRE_OK) status = acre_cuda_export(cuda, &memories[0], handle);
    if (status == ACRE_OK) status = acre_cuda_import(cuda, handle, &memories[memory_count]);
    memory_count += status == ACRE_OK;
    if (status == ACRE_OK) status = acre_cuda_advise(cuda, &memories[1], 0, 4096, ACRE_CUDA_PREFER_HOST);
    if (status == ACRE_OK) status = acre_cuda_prefetch(cuda, &memories[1], 0, 4096, true, a);
    if (status == ACRE_OK) status = acre_cuda_growth_open(cuda, 1 << 20, 0, &growth);
    if (status == ACRE_OK) status = acre_cuda_growth_resize(growth, 3 << 16);
    if (status == ACRE_OK) status = acre_cuda_growth_resize(growth, 1 << 16);
    for (unsigned i = 0; i < 2 && status == ACRE_OK; i++) {
        status = acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.reuse = ACRE_CUDA_REUSE_WAIT, .is_drivers = i == 1}, &pools[i]);
        for (unsigned k = 0; k < 2 && status == ACRE_OK; k++) {
            status = acre_cuda_pool_alloc(pools[i], k == 0 ? a : b, 4096, &blocks[i][k]);
            block_counts[i] += status == ACRE_OK;
            if (k == 0 && status == ACRE_OK) status = acre_cuda_pool_free(pools[i], a, blocks[i][0].address);
            if (k == 0 && status == ACRE_OK) block_counts[i] = 0, blocks[i][0] = blocks[i][1];
        }
        if (status == ACRE_OK) status = acre_cuda_pool_trim(pools[i], 0);
        if (status == ACRE_OK) status = acre_cuda_pool_synchronise(pools[i], b);
        if (status == ACRE_OK) status = acre_cuda_pool_read_figures(pools[i], &(acre_cuda_pool_figures){.used_bytes = 0});
    }
    const acre_status first = status;
    for (unsigned i = 0; i < 2; i++) {
        /* What a failure left in use is freed again: the second try succeeds. */
        for (unsigned k = 0; k < 2 && pools[i] != NULL; k++) {
            const uint64_t address = k < block_counts[i] || k == 1 ? blocks[i][k].address : blocks[i][0].address;
            if (acre_cuda_pool_free(pools[i], k == 0 ? a : b, address) == ACRE_IO)
                assert_int_equal(acre_cuda_pool_free(pools[i], a, address), ACRE_OK);
        }
        if (pools[i] != NULL && (status = acre_cuda_pool_destroy(pools[i])) != ACRE_OK) {
            assert_int_equal(status, ACRE_IO);
            assert_int_equal(acre_cuda_pool_destroy(pools[i]), ACRE_OK);
        }
    }
    if (growth != NULL && acre_cuda_growth_close(growth) != ACRE_OK) assert_int_equal(acre_cuda_growth_close(growth), ACRE_OK);
    while (memory_count > 0) {
        acre_cuda_memory *const memory = &memories[--memory_count];
        if (acre_cuda_free(cuda, memory) != ACRE_OK) assert_int_equal(acre_cuda_free(cuda, memory), ACRE_OK);
    }
    return first;
}

static void whatever_call_of_the_driver_fails_nothing_is_lost(void **state)
{
    (void)state;
    static unsigned char bytes[64];
    unsigned failure_count = 0;
    for (unsigned long at = 1;; at++) {
        acre_cuda *cuda = NULL;
        fake_reset(&good);
        fake_fail_at(at, CU_UNKNOWN);
        const acre_status opened = acre_cuda_open(NULL, &cuda);
        if (opened != ACRE_OK) {
            assert_int_equal(opened, ACRE_IO);
            assert_true(fake_is_nothing_live());
            assert_int_equal(fake_misuse_count(), 0);
            failure_count++;
            continue;
        }
        acre_cuda_facts facts;
        assert_int_equal(acre_cuda_query(cuda, &facts), ACRE_OK);
        const bool has_all = facts.has_managed && facts.migrates_managed && facts.maps_host && facts.has_pools && facts.has_growth;
        cu_stream a = fake_stream_create(), b = fake_stream_create();
        const acre_status status = do_everything(cuda, a, b, bytes);
        assert_true(status == ACRE_OK || status == ACRE_IO || !has_all);
        failure_count += status != ACRE_OK;
        fake_stream_destroy(a);
        fake_stream_destroy(b);
        if (acre_cuda_close(cuda) != ACRE_OK) assert_int_equal(acre_cuda_close(cuda), ACRE_OK);
        if (fake_misuse_count() > 0 || !fake_is_nothing_live()) print_error("call %lu: %s\n", at, fake_misuse());
        assert_int_equal(fake_misuse_count(), 0);
        assert_true(fake_is_nothing_live());
        if (fake_calls() < at) break;
    }
    assert_true(failure_count > 60);
}

static void without_host_memory_nothing_is_lost_either(void **state)
{
    (void)state;
    static unsigned char bytes[64];
    unsigned failure_count = 0;
    for (unsigned long at = 1;; at++) {
        acre_cuda *cuda = NULL;
        fake_reset(&good);
        fail_malloc_at(at);
        acre_status status = acre_cuda_open(NULL, &cuda);
        if (status == ACRE_OK) {
            cu_stream a = fake_stream_create(), b = fake_stream_create();
            status = do_everything(cuda, a, b, bytes);
            fake_stream_destroy(a);
            fake_stream_destroy(b);
            assert_int_equal(acre_cuda_close(cuda), ACRE_OK);
        }
        const bool is_over = malloc_calls < at;
        fail_malloc_at(0);
        assert_true(status == ACRE_OK || status == ACRE_NO_MEMORY);
        failure_count += status != ACRE_OK;
        assert_int_equal(fake_misuse_count(), 0);
        assert_true(fake_is_nothing_live());
        if (is_over) break;
    }
    assert_true(failure_count >= 8);
}

static void a_lost_device_gives_errors_and_the_process_goes_on(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    acre_cuda_memory memory, other;
    acre_cuda_pool *pool;
    acre_cuda_block block, more;
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, 4096, &memory), ACRE_OK);
    assert_int_equal(acre_cuda_pool_create(cuda, NULL, &pool), ACRE_OK);
    assert_int_equal(acre_cuda_pool_alloc(pool, NULL, 4096, &block), ACRE_OK);
    fake_lose_device(true);
    assert_int_equal(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, 4096, &other), ACRE_IO);
    assert_non_null(strstr(acre_last_error(), "CUDA_ERROR_LAUNCH_FAILED"));
    assert_int_equal(acre_cuda_pool_alloc(pool, NULL, 4096, &more), ACRE_IO);
    assert_int_equal(acre_cuda_pool_free(pool, NULL, block.address), ACRE_IO);
    assert_int_equal(acre_cuda_pool_synchronise(pool, NULL), ACRE_IO);
    assert_int_equal(acre_cuda_free(cuda, &memory), ACRE_IO);
    assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_BUSY);
    assert_int_equal(acre_cuda_close(cuda), ACRE_BUSY);
    fake_lose_device(false);
    assert_int_equal(acre_cuda_pool_free(pool, NULL, block.address), ACRE_OK);
    assert_int_equal(acre_cuda_pool_destroy(pool), ACRE_OK);
    assert_int_equal(acre_cuda_free(cuda, &memory), ACRE_OK);
    close_device(cuda);
}

/* ---- below the manager ---- */

static void the_manager_of_device_memory_works_over_it(void **state)
{
    (void)state;
    acre_cuda *const cuda = open_device();
    acre_gpu *gpu;
    assert_int_equal(acre_gpu_open(acre_cuda_gpu_driver(cuda), NULL, &gpu), ACRE_OK);
    const acre_gpu_device *const device = acre_gpu_read_device(gpu);
    assert_int_equal(device->type_count, 3);
    acre_gpu_memory local, shared;
    acre_gpu_memory_info info;
    assert_int_equal(acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = 10000, .alignment_bytes = 256}, &local), ACRE_OK);
    assert_int_equal(acre_gpu_read_memory(gpu, local, &info), ACRE_OK);
    assert_int_equal(info.type, 0);
    assert_non_null(fake_device_view(info.handle + info.offset_bytes, 10000));
    assert_int_equal(acre_gpu_alloc(gpu,
                                    &(acre_gpu_request){.size_bytes = 10000, .host_access = ACRE_GPU_HOST_READS, .flags = ACRE_GPU_MAPPED},
                                    &shared),
                     ACRE_OK);
    assert_int_equal(acre_gpu_read_memory(gpu, shared, &info), ACRE_OK);
    memset(info.pointer, 5, 10000);
    assert_memory_equal(fake_device_view(info.handle + info.offset_bytes, 10000), info.pointer, 10000);
    assert_int_equal(acre_gpu_free(gpu, local), ACRE_OK);
    assert_int_equal(acre_gpu_free(gpu, shared), ACRE_OK);
    assert_int_equal(acre_gpu_close(gpu), ACRE_OK);
    close_device(cuda);
}

typedef struct device_space {
    acre_space space;
    acre_gpu *gpu;
} device_space;

static unsigned char *bytes_at(device_space *device, acre_addr address, uint64_t size)
{
    acre_gpu_memory memory;
    acre_gpu_memory_info info;
    uint64_t offset;
    assert_int_equal(acre_gpu_space_find(&device->space, address, &memory, &offset), ACRE_OK);
    assert_int_equal(acre_gpu_read_memory(device->gpu, memory, &info), ACRE_OK);
    return fake_device_view(info.handle + info.offset_bytes + offset, size);
}

/* As cuMemcpyHtoD and cuMemcpyDtoH: the host does not map memory of the device. */
static acre_status write_contents(void *context, acre_addr to, const void *bytes, uint64_t size)
{
    memcpy(bytes_at(context, to, size), bytes, size);
    return ACRE_OK;
}

static acre_status read_contents(void *context, acre_addr from, void *bytes, uint64_t size)
{
    memcpy(bytes, bytes_at(context, from, size), size);
    return ACRE_OK;
}

/* Of each type that the device has, those of the host mapped: eight blocks, of which it has room for three. */
static void unified_memory_is_in_frames_of_the_device(void **state)
{
    (void)state;
    enum { BLOCK = ACRE_UM_BLOCK_BYTES, BLOCKS = 8 };
    for (uint32_t type = 0; type < 3; type++) {
        acre_cuda *const cuda = open_device();
        device_space device;
        acre_space home;
        acre_um *um;
        unsigned place;
        uint64_t at;
        assert_int_equal(acre_gpu_open(acre_cuda_gpu_driver(cuda), NULL, &device.gpu), ACRE_OK);
        assert_int_equal(acre_gpu_open_space(device.gpu, type, &device.space), ACRE_OK);
        assert_int_equal(acre_space_open_pages(&home, NULL), ACRE_OK);
        assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = BLOCKS * BLOCK, .home = &home}, &um), ACRE_OK);
        acre_um_place options = {.name = "device", .capacity_bytes = 3 * BLOCK, .space = &device.space};
        if (type == 0) options.contents = (acre_um_contents){.write = write_contents, .read = read_contents, .context = &device};
        assert_int_equal(acre_um_add_place(um, &options, &place), ACRE_OK);
        assert_int_equal(acre_um_allocate(um, BLOCKS * BLOCK, &at), ACRE_OK);
        for (unsigned pass = 0; pass < 2; pass++) {
            for (uint64_t i = 0; i < BLOCKS; i++) {
                acre_addr frame;
                assert_int_equal(acre_um_touch(um, place, at + i * BLOCK, BLOCK, true), ACRE_OK);
                assert_int_equal(acre_um_frame(um, place, at + i * BLOCK, &frame), ACRE_OK);
                unsigned char *const bytes = bytes_at(&device, frame, BLOCK);
                for (unsigned byte = 0; byte < BLOCK; byte += 512) bytes[byte] += (unsigned char)(i + byte / 512 + 1);
            }
        }
        for (uint64_t i = 0; i < BLOCKS * BLOCK; i += 512) {
            assert_int_equal(acre_um_touch(um, ACRE_UM_HOME, at + i, 512, false), ACRE_OK);
            const unsigned char *const byte = acre_um_pointer(um, ACRE_UM_HOME, at + i);
            assert_int_equal(byte[0], (unsigned char)(2 * (i / BLOCK + i % BLOCK / 512 + 1)));
            assert_int_equal(byte[1], 0);
        }
        assert_true(acre_um_is_valid(um));
        acre_um_close(um);
        acre_space_close(&home);
        acre_space_close(&device.space);
        assert_int_equal(acre_gpu_close(device.gpu), ACRE_OK);
        close_device(cuda);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_tells_its_facts),
        cmocka_unit_test(a_device_that_is_not_there_is_refused),
        cmocka_unit_test(what_a_device_lacks_is_not_supported),
        cmocka_unit_test(memory_of_every_kind_is_where_it_should_be),
        cmocka_unit_test(memory_of_the_caller_is_registered_once),
        cmocka_unit_test(bad_input_is_refused_and_changes_nothing),
        cmocka_unit_test(advice_and_prefetch_reach_the_driver_for_managed_memory_alone),
        cmocka_unit_test(another_process_sees_exported_memory),
        cmocka_unit_test(a_growth_keeps_its_address_and_contents),
        cmocka_unit_test(a_growth_needs_no_free_range_of_its_length),
        cmocka_unit_test(a_block_is_reused_in_its_stream_at_once_and_in_another_after_the_event),
        cmocka_unit_test(a_stream_that_waits_for_the_free_reuses_the_block),
        cmocka_unit_test(what_is_beyond_the_threshold_goes_back_at_synchronisation),
        cmocka_unit_test(out_of_memory_waits_for_what_is_free_before_it_fails),
        cmocka_unit_test(uses_of_one_address_run_in_the_order_of_its_blocks),
        cmocka_unit_test(threads_share_a_pool),
        cmocka_unit_test(whatever_call_of_the_driver_fails_nothing_is_lost),
        cmocka_unit_test(without_host_memory_nothing_is_lost_either),
        cmocka_unit_test(a_lost_device_gives_errors_and_the_process_goes_on),
        cmocka_unit_test(the_manager_of_device_memory_works_over_it),
        cmocka_unit_test(unified_memory_is_in_frames_of_the_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
