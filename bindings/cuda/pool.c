/* pool.c - pools in the order of streams: acre's own over cuMemAlloc, or the driver's. */
#include "cuda/device.h"
#include "gpu/stream_pool.h"

#include <stdlib.h>
#include <string.h>

enum { GRANULE_BYTES = 512, ALIGNMENT_BYTES = 256, STREAM_COUNT_MAX = 64, FREE_COUNT_MAX = 4096 };

struct acre_cuda_pool {
    acre_cuda *cuda;
    acre_stream_pool *ours; /* NULL: it is the driver's */
    cu_pool theirs;
    pthread_mutex_t lock; /* of what follows: blocks of the driver's pool in use */
    acre_block_table used;
};

struct acre_cuda_mark {
    acre_stream_mark times;
};

/* ---- the driver below acre's own ---- */

static acre_status take(void *context, uint64_t size_bytes, uint64_t *address, void **owner)
{
    acre_cuda *const cuda = context;
    cu_pointer pointer = 0;
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuMemAlloc", cuda->driver.mem_alloc(&pointer, size_bytes));
    acre_cuda_leave(cuda);
    *address = pointer;
    *owner = NULL;
    return status;
}

static acre_status give(void *context, uint64_t address, void *owner)
{
    acre_cuda *const cuda = context;
    (void)owner;
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuMemFree", cuda->driver.mem_free(address));
    acre_cuda_leave(cuda);
    return status;
}

static cu_event event_of(uint64_t number) { return (cu_event)(uintptr_t)number; }

static acre_status record(void *context, void *stream, uint64_t *number)
{
    acre_cuda *const cuda = context;
    cu_event event = event_of(*number);
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    if (event == NULL) status = acre_cuda_status(cuda, "cuEventCreate", cuda->driver.event_create(&event, CU_EVENT_DISABLE_TIMING));
    if (status == ACRE_OK) {
        *number = (uintptr_t)event;
        status = acre_cuda_status(cuda, "cuEventRecord", cuda->driver.event_record(event, stream));
    }
    acre_cuda_leave(cuda);
    return status;
}

static bool has_passed(void *context, uint64_t event)
{
    acre_cuda *const cuda = context;
    if (acre_cuda_enter(cuda) != ACRE_OK) return false;
    const cu_result result = cuda->driver.event_query(event_of(event));
    acre_cuda_leave(cuda);
    return result == CU_OK;
}

static acre_status stream_wait(void *context, void *stream, uint64_t event)
{
    acre_cuda *const cuda = context;
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuStreamWaitEvent", cuda->driver.stream_wait_event(stream, event_of(event), 0));
    acre_cuda_leave(cuda);
    return status;
}

static acre_status host_wait(void *context, uint64_t event)
{
    acre_cuda *const cuda = context;
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuEventSynchronize", cuda->driver.event_synchronize(event_of(event)));
    acre_cuda_leave(cuda);
    return status;
}

static acre_status synchronise(void *context, void *stream)
{
    acre_cuda *const cuda = context;
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuStreamSynchronize", cuda->driver.stream_synchronize(stream));
    acre_cuda_leave(cuda);
    return status;
}

static acre_status drop_event(void *context, uint64_t event)
{
    acre_cuda *const cuda = context;
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuEventDestroy", cuda->driver.event_destroy(event_of(event)));
    acre_cuda_leave(cuda);
    return status;
}

static const acre_stream_pool_ops ops = {take, give, record, has_passed, stream_wait, host_wait, synchronise, drop_event, true};

/* ---- the driver's pools ---- */

static acre_status set(const acre_cuda_pool *pool, int attribute, void *value)
{
    return acre_cuda_status(pool->cuda, "cuMemPoolSetAttribute", pool->cuda->driver.pool_set(pool->theirs, attribute, value));
}

static acre_status set_all(const acre_cuda_pool *pool, const acre_cuda_pool_options *options, uint32_t reuse)
{
    int follows = (reuse & ACRE_CUDA_REUSE_FOLLOWED) != 0, asks = (reuse & ACRE_CUDA_REUSE_PASSED) != 0,
        waits = (reuse & ACRE_CUDA_REUSE_WAIT) != 0;
    uint64_t threshold = options->release_threshold_bytes;
    acre_status status = set(pool, CU_POOL_RELEASE_THRESHOLD, &threshold);
    if (status == ACRE_OK) status = set(pool, CU_POOL_REUSE_FOLLOW_EVENT_DEPENDENCIES, &follows);
    if (status == ACRE_OK) status = set(pool, CU_POOL_REUSE_ALLOW_OPPORTUNISTIC, &asks);
    if (status == ACRE_OK) status = set(pool, CU_POOL_REUSE_ALLOW_INTERNAL_DEPENDENCIES, &waits);
    return status;
}

static acre_status create_theirs(acre_cuda_pool *pool, const acre_cuda_pool_options *options, uint32_t reuse)
{
    acre_cuda *const cuda = pool->cuda;
    if (!cuda->facts.has_pools) return acre_fail(ACRE_UNSUPPORTED, "cuda: device '%s' has no pools of the driver", cuda->facts.name);
    const cu_pool_props props = {
        .type = CU_ALLOCATION_PINNED, .location = {CU_LOCATION_DEVICE, cuda->device}, .max_bytes = options->limit_bytes};
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuMemPoolCreate", cuda->driver.pool_create(&pool->theirs, &props));
    if (status == ACRE_OK) {
        status = set_all(pool, options, reuse);
        if (status != ACRE_OK) (void)cuda->driver.pool_destroy(pool->theirs);
    }
    acre_cuda_leave(cuda);
    return status;
}

static acre_status alloc_theirs(acre_cuda_pool *pool, void *stream, uint64_t size_bytes, acre_cuda_block *block)
{
    acre_cuda *const cuda = pool->cuda;
    if (size_bytes == 0 || size_bytes > SIZE_MAX / 2)
        return acre_fail(ACRE_INVALID, "cuda pool: a block of %llu bytes", (unsigned long long)size_bytes);
    cu_pointer pointer = 0;
    pthread_mutex_lock(&pool->lock);
    acre_status status = acre_block_table_grow(&pool->used) ? acre_cuda_enter(cuda)
                                                            : acre_fail(ACRE_NO_MEMORY, "cuda pool: no host memory for one more block");
    if (status == ACRE_OK) {
        status = acre_cuda_status(cuda, "cuMemAllocFromPoolAsync", cuda->driver.pool_alloc(&pointer, size_bytes, pool->theirs, stream));
        acre_cuda_leave(cuda);
        if (status == ACRE_OK) acre_block_table_insert(&pool->used, &(acre_device_block){.address = pointer, .size_bytes = size_bytes});
    }
    pthread_mutex_unlock(&pool->lock);
    if (status == ACRE_OK) *block = (acre_cuda_block){pointer, size_bytes};
    return status;
}

static acre_status free_theirs(acre_cuda_pool *pool, void *stream, uint64_t address)
{
    acre_cuda *const cuda = pool->cuda;
    pthread_mutex_lock(&pool->lock);
    acre_device_block *const block = acre_block_table_find(&pool->used, address);
    acre_status status = block != NULL
                             ? acre_cuda_enter(cuda)
                             : acre_fail(ACRE_BAD_POINTER, "cuda pool: no block in use begins at 0x%llx", (unsigned long long)address);
    if (status == ACRE_OK) {
        status = acre_cuda_status(cuda, "cuMemFreeAsync", cuda->driver.free_async(address, stream));
        acre_cuda_leave(cuda);
        if (status == ACRE_OK && block != NULL) acre_block_table_remove(&pool->used, block);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

static acre_status destroy_theirs(acre_cuda_pool *pool)
{
    acre_cuda *const cuda = pool->cuda;
    pthread_mutex_lock(&pool->lock);
    acre_status status =
        pool->used.count == 0 ? acre_cuda_enter(cuda) : acre_fail(ACRE_BUSY, "cuda pool: %zu blocks are in use", pool->used.count);
    pthread_mutex_unlock(&pool->lock);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuMemPoolDestroy", cuda->driver.pool_destroy(pool->theirs));
    acre_cuda_leave(cuda);
    if (status == ACRE_OK) free(pool->used.slots);
    return status;
}

static acre_status read_theirs(const acre_cuda_pool *pool, acre_cuda_pool_figures *figures)
{
    const struct {
        int attribute;
        uint64_t *value;
    } wanted[] = {{CU_POOL_USED_CURRENT, &figures->used_bytes},
                  {CU_POOL_USED_HIGH, &figures->used_bytes_max},
                  {CU_POOL_RESERVED_CURRENT, &figures->held_bytes},
                  {CU_POOL_RESERVED_HIGH, &figures->held_bytes_max}};
    acre_cuda *const cuda = pool->cuda;
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0] && status == ACRE_OK; i++)
        status = acre_cuda_status(cuda, "cuMemPoolGetAttribute", cuda->driver.pool_get(pool->theirs, wanted[i].attribute, wanted[i].value));
    acre_cuda_leave(cuda);
    return status;
}

/* ---- pools ---- */

static acre_status create_ours(acre_cuda_pool *pool, const acre_cuda_pool_options *options, uint32_t reuse)
{
    return acre_stream_pool_create(
        &(acre_stream_pool_options){.name = "cuda pool",
                                    .granule_bytes = GRANULE_BYTES,
                                    .alignment_bytes = ALIGNMENT_BYTES,
                                    .release_threshold_bytes = options->release_threshold_bytes,
                                    .limit_bytes = options->limit_bytes,
                                    .reuse = reuse,
                                    .stream_count_max = options->stream_count_max == 0 ? STREAM_COUNT_MAX : options->stream_count_max,
                                    .free_count_max = options->free_count_max == 0 ? FREE_COUNT_MAX : options->free_count_max},
        &ops, pool->cuda, &pool->ours);
}

acre_status acre_cuda_pool_create(acre_cuda *cuda, const acre_cuda_pool_options *options, acre_cuda_pool **out)
{
    static const acre_cuda_pool_options defaults = {.reuse = ACRE_CUDA_REUSE_ALL};
    if (cuda == NULL || out == NULL) return acre_fail(ACRE_INVALID, "cuda pool: NULL");
    if (options == NULL) options = &defaults;
    if ((options->reuse & ~ACRE_CUDA_REUSE_ALL) != 0)
        return acre_fail(ACRE_INVALID, "cuda pool: reuse 0x%x has bits that mean nothing", options->reuse);
    const uint32_t reuse = options->reuses_same_stream_only ? 0 : options->reuse == 0 ? ACRE_CUDA_REUSE_ALL : options->reuse;
    acre_cuda_pool *const pool = calloc(1, sizeof *pool);
    if (pool == NULL) return acre_fail(ACRE_NO_MEMORY, "cuda pool: no host memory");
    *pool = (acre_cuda_pool){.cuda = cuda, .lock = PTHREAD_MUTEX_INITIALIZER};
    const acre_status status = options->is_drivers ? create_theirs(pool, options, reuse) : create_ours(pool, options, reuse);
    if (status != ACRE_OK) {
        free(pool);
        return status;
    }
    acre_cuda_count(cuda, &cuda->pool_count, 1);
    *out = pool;
    return ACRE_OK;
}

static acre_status is_null(void) { return acre_fail(ACRE_INVALID, "cuda pool: NULL"); }

acre_status acre_cuda_pool_destroy(acre_cuda_pool *pool)
{
    if (pool == NULL) return is_null();
    const acre_status status = pool->ours == NULL ? destroy_theirs(pool) : acre_stream_pool_destroy(pool->ours);
    if (status != ACRE_OK) return status;
    acre_cuda_count(pool->cuda, &pool->cuda->pool_count, -1);
    free(pool);
    return ACRE_OK;
}

acre_status acre_cuda_pool_alloc(acre_cuda_pool *pool, void *stream, uint64_t size_bytes, acre_cuda_block *block)
{
    if (pool == NULL || block == NULL) return is_null();
    if (pool->ours == NULL) return alloc_theirs(pool, stream, size_bytes, block);
    acre_device_block found;
    const acre_status status = acre_stream_pool_alloc(pool->ours, stream, size_bytes, &found);
    if (status == ACRE_OK) *block = (acre_cuda_block){found.address, found.size_bytes};
    return status;
}

acre_status acre_cuda_pool_free(acre_cuda_pool *pool, void *stream, uint64_t address)
{
    if (pool == NULL) return is_null();
    return pool->ours == NULL ? free_theirs(pool, stream, address) : acre_stream_pool_free(pool->ours, stream, address);
}

acre_status acre_cuda_pool_record(acre_cuda_pool *pool, void *stream, acre_cuda_mark **mark)
{
    if (pool == NULL || mark == NULL) return is_null();
    acre_cuda_mark *const place = *mark != NULL ? *mark : calloc(1, sizeof *place);
    if (place == NULL) return acre_fail(ACRE_NO_MEMORY, "cuda pool: no host memory for a mark");
    const acre_status status = pool->ours == NULL ? ACRE_OK : acre_stream_pool_record(pool->ours, stream, &place->times);
    if (status == ACRE_OK)
        *mark = place;
    else if (*mark == NULL)
        free(place);
    return status;
}

acre_status acre_cuda_pool_wait(acre_cuda_pool *pool, void *stream, const acre_cuda_mark *mark)
{
    if (pool == NULL || mark == NULL) return is_null();
    return pool->ours == NULL ? ACRE_OK : acre_stream_pool_wait(pool->ours, stream, &mark->times);
}

void acre_cuda_mark_free(acre_cuda_mark *mark) { free(mark); }

acre_status acre_cuda_pool_synchronise(acre_cuda_pool *pool, void *stream)
{
    if (pool == NULL) return is_null();
    return pool->ours == NULL ? synchronise(pool->cuda, stream) : acre_stream_pool_synchronise(pool->ours, stream);
}

acre_status acre_cuda_pool_forget(acre_cuda_pool *pool, void *stream)
{
    if (pool == NULL) return is_null();
    return pool->ours == NULL ? synchronise(pool->cuda, stream) : acre_stream_pool_forget(pool->ours, stream);
}

acre_status acre_cuda_pool_trim(acre_cuda_pool *pool, uint64_t keep_bytes)
{
    if (pool == NULL) return is_null();
    if (pool->ours != NULL) {
        (void)acre_stream_pool_trim(pool->ours, keep_bytes);
        return ACRE_OK;
    }
    acre_status status = acre_cuda_enter(pool->cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(pool->cuda, "cuMemPoolTrimTo", pool->cuda->driver.pool_trim(pool->theirs, keep_bytes));
    acre_cuda_leave(pool->cuda);
    return status;
}

acre_status acre_cuda_pool_set_threshold(acre_cuda_pool *pool, uint64_t bytes)
{
    if (pool == NULL) return is_null();
    if (pool->ours != NULL) return acre_stream_pool_set_threshold(pool->ours, bytes);
    acre_status status = acre_cuda_enter(pool->cuda);
    if (status != ACRE_OK) return status;
    status = set(pool, CU_POOL_RELEASE_THRESHOLD, &bytes);
    acre_cuda_leave(pool->cuda);
    return status;
}

acre_status acre_cuda_pool_read_figures(acre_cuda_pool *pool, acre_cuda_pool_figures *figures)
{
    if (pool == NULL || figures == NULL) return is_null();
    memset(figures, 0, sizeof *figures);
    if (pool->ours == NULL) return read_theirs(pool, figures);
    acre_stream_pool_numbers n;
    acre_stream_pool_read(pool->ours, &n);
    *figures = (acre_cuda_pool_figures){.used_bytes = n.used_bytes,
                                        .used_bytes_max = n.used_bytes_max,
                                        .held_bytes = n.used_bytes + n.free_bytes,
                                        .held_bytes_max = n.held_bytes_max,
                                        .used_count = n.used_count,
                                        .free_count = n.free_count,
                                        .same_count = n.reuse_counts[ACRE_REUSED_SAME],
                                        .followed_count = n.reuse_counts[ACRE_REUSED_FOLLOWED],
                                        .passed_count = n.reuse_counts[ACRE_REUSED_PASSED],
                                        .waited_count = n.reuse_counts[ACRE_REUSED_WAIT],
                                        .driver_count = n.driver_count,
                                        .released_count = n.released_count,
                                        .stall_count = n.wait_count};
    return ACRE_OK;
}
