/* stream_pool.c - blocks in use by address, streams by handle, and a driver behind the order of streams. */
#include "gpu/stream_pool.h"

#include "base/bits.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_EVENT_COUNT_MAX = 64 };

/* What the driver did not take back: it is offered again at each trim and at the end. */
typedef struct orphan {
    uint64_t address; /* 0: it is an event */
    void *owner;
    uint64_t event;
} orphan;

struct acre_stream_pool {
    acre_stream_pool_options options;
    const acre_stream_pool_ops *ops;
    void *context;
    pthread_mutex_t lock;
    acre_stream_order order;
    void *order_memory;
    void **streams; /* handle by number */
    bool *has_stream;
    acre_block_table used;
    uint64_t idle_events[IDLE_EVENT_COUNT_MAX];
    size_t idle_event_count;
    orphan *orphans;
    size_t orphan_count;
    uint64_t driver_count, wait_count;
};

/* ---- streams ---- */

#define NO_STREAM UINT32_MAX

static uint32_t known_number(const acre_stream_pool *pool, const void *stream)
{
    for (uint32_t i = 0; i < pool->options.stream_count_max; i++)
        if (pool->has_stream[i] && pool->streams[i] == stream) return i;
    return NO_STREAM;
}

static uint32_t number_of(acre_stream_pool *pool, void *stream)
{
    uint32_t number = known_number(pool, stream);
    for (uint32_t i = 0; number == NO_STREAM && i < pool->options.stream_count_max; i++) {
        if (pool->has_stream[i]) continue;
        pool->has_stream[i] = true;
        pool->streams[i] = stream;
        number = i;
    }
    return number;
}

static acre_status too_many_streams(const acre_stream_pool *pool)
{
    return acre_fail(ACRE_NO_MEMORY, "%s: more than %u streams", pool->options.name, (unsigned)pool->options.stream_count_max);
}

/* ---- events ---- */

static uint64_t idle_event(acre_stream_pool *pool) { return pool->idle_event_count == 0 ? 0 : pool->idle_events[--pool->idle_event_count]; }

static acre_status offer(acre_stream_pool *pool, const orphan *o)
{
    return o->address != 0 ? pool->ops->give(pool->context, o->address, o->owner) : pool->ops->drop_event(pool->context, o->event);
}

/* To the driver, now or later. Without host memory for a note of it, it is lost. */
static void offer_or_note(acre_stream_pool *pool, const orphan *o)
{
    if (offer(pool, o) == ACRE_OK) return;
    orphan *const more = realloc(pool->orphans, (pool->orphan_count + 1) * sizeof *more);
    if (more == NULL) return;
    pool->orphans = more;
    more[pool->orphan_count++] = *o;
}

static acre_status offer_again(acre_stream_pool *pool)
{
    acre_status status = ACRE_OK;
    size_t kept = 0;
    for (size_t i = 0; i < pool->orphan_count; i++) {
        const acre_status one = offer(pool, &pool->orphans[i]);
        if (one == ACRE_OK) continue;
        status = one;
        pool->orphans[kept++] = pool->orphans[i];
    }
    pool->orphan_count = kept;
    return status;
}

static void drop(acre_stream_pool *pool, uint64_t event)
{
    if (event == 0) return;
    if (pool->ops->are_events_used_again && pool->idle_event_count < IDLE_EVENT_COUNT_MAX)
        pool->idle_events[pool->idle_event_count++] = event;
    else
        offer_or_note(pool, &(orphan){.event = event});
}

/* Event 0 was waited for when the block was freed. */
static bool has_passed(void *context, uint64_t event)
{
    const acre_stream_pool *const pool = context;
    return event == 0 || pool->ops->has_passed(pool->context, event);
}

/* ---- memory of the driver ---- */

static void give_back(void *context, const acre_stream_block *block)
{
    acre_stream_pool *const pool = context;
    offer_or_note(pool, &(orphan){.address = block->address, .owner = block->owner});
    drop(pool, block->event);
}

static bool is_within_limit(const acre_stream_pool *pool, uint64_t size_bytes)
{
    const uint64_t held_bytes = pool->order.used_bytes + pool->order.free_bytes, limit = pool->options.limit_bytes;
    return limit == 0 || (size_bytes <= limit && held_bytes <= limit - size_bytes);
}

static acre_status take_new(acre_stream_pool *pool, uint64_t size_bytes, acre_device_block *block)
{
    if (!is_within_limit(pool, size_bytes)) return ACRE_NO_MEMORY;
    block->size_bytes = size_bytes;
    const acre_status status = pool->ops->take(pool->context, size_bytes, &block->address, &block->owner);
    if (status == ACRE_OK) pool->driver_count++;
    return status;
}

/* Another try is worth it: something went back to the driver, after waiting for it if need be. */
static bool has_made_room(acre_stream_pool *pool)
{
    if (acre_stream_order_trim(&pool->order, 0, give_back, pool) > 0) return true;
    acre_stream_block oldest;
    if (!acre_stream_order_oldest(&pool->order, &oldest)) return false;
    pool->wait_count++;
    return pool->ops->host_wait(pool->context, oldest.event) == ACRE_OK && acre_stream_order_trim(&pool->order, 0, give_back, pool) > 0;
}

/* A block that was free; false: none serves. */
static bool take_free(acre_stream_pool *pool, uint32_t number, uint64_t size_bytes, acre_device_block *block)
{
    acre_stream_block found;
    acre_stream_reuse reuse;
    if (!acre_stream_order_take(&pool->order, number, size_bytes, pool->options.alignment_bytes, &found, &reuse)) return false;
    *block = (acre_device_block){.address = found.address, .size_bytes = found.size_bytes, .owner = found.owner};
    if (reuse == ACRE_REUSED_WAIT && found.event != 0 &&
        pool->ops->stream_wait(pool->context, pool->streams[number], found.event) != ACRE_OK &&
        pool->ops->host_wait(pool->context, found.event) != ACRE_OK) {
        acre_stream_order_drop_used(&pool->order, found.size_bytes); /* nobody knows when it may be used: it is lost with the device */
        return false;
    }
    drop(pool, found.event);
    return true;
}

static acre_status alloc_locked(acre_stream_pool *pool, void *stream, uint64_t size_bytes, acre_device_block *block)
{
    const uint32_t number = number_of(pool, stream);
    if (number == NO_STREAM) return too_many_streams(pool);
    if (!acre_block_table_grow(&pool->used)) return acre_fail(ACRE_NO_MEMORY, "%s: no host memory for one more block", pool->options.name);
    if (!take_free(pool, number, size_bytes, block)) {
        acre_status status = take_new(pool, size_bytes, block);
        while (status == ACRE_NO_MEMORY && has_made_room(pool)) status = take_new(pool, size_bytes, block);
        if (status == ACRE_NO_MEMORY)
            return acre_fail(ACRE_NO_MEMORY, "%s: %llu bytes: the device has no more; %llu bytes in use in %zu blocks, %llu free ones wait",
                             pool->options.name, (unsigned long long)size_bytes, (unsigned long long)pool->order.used_bytes,
                             pool->used.count, (unsigned long long)pool->order.free_bytes);
        if (status != ACRE_OK) return status;
        acre_stream_order_add_used(&pool->order, block->size_bytes);
    }
    acre_block_table_insert(&pool->used, block);
    return ACRE_OK;
}

acre_status acre_stream_pool_alloc(acre_stream_pool *pool, void *stream, uint64_t size_bytes, acre_device_block *block)
{
    const uint64_t granule = pool->options.granule_bytes;
    if (size_bytes == 0 || size_bytes > UINT64_MAX / 2)
        return acre_fail(ACRE_INVALID, "%s: a block of %llu bytes", pool->options.name, (unsigned long long)size_bytes);
    pthread_mutex_lock(&pool->lock);
    const acre_status status = alloc_locked(pool, stream, acre_align_up(size_bytes, granule), block);
    pthread_mutex_unlock(&pool->lock);
    return status;
}

/* Where no event can be recorded, or the table is full, the block goes back to the driver after all of the stream. */
static acre_status free_locked(acre_stream_pool *pool, void *stream, uint64_t address)
{
    acre_device_block *const used = acre_block_table_find(&pool->used, address);
    if (used == NULL)
        return acre_fail(ACRE_BAD_POINTER, "%s: no block in use begins at 0x%llx", pool->options.name, (unsigned long long)address);
    const uint32_t number = number_of(pool, stream);
    if (number == NO_STREAM) return too_many_streams(pool);
    const acre_device_block block = *used;
    uint64_t event = idle_event(pool);
    if (pool->ops->record(pool->context, stream, &event) != ACRE_OK) {
        drop(pool, event);
        event = 0;
        const acre_status status = pool->ops->synchronise(pool->context, stream);
        if (status != ACRE_OK) return status;
        acre_stream_order_synchronise(&pool->order, number);
    }
    const acre_stream_block freed = {block.address, block.size_bytes, event, block.owner, number};
    if (!acre_stream_order_free(&pool->order, &freed)) {
        const acre_status status = event == 0 ? ACRE_OK : pool->ops->host_wait(pool->context, event);
        drop(pool, event);
        if (status != ACRE_OK) return status;
        offer_or_note(pool, &(orphan){.address = block.address, .owner = block.owner});
        acre_stream_order_drop_used(&pool->order, block.size_bytes);
    }
    acre_block_table_remove(&pool->used, used);
    return ACRE_OK;
}

acre_status acre_stream_pool_free(acre_stream_pool *pool, void *stream, uint64_t address)
{
    pthread_mutex_lock(&pool->lock);
    const acre_status status = free_locked(pool, stream, address);
    pthread_mutex_unlock(&pool->lock);
    return status;
}

bool acre_stream_pool_find(acre_stream_pool *pool, uint64_t address, acre_device_block *block)
{
    pthread_mutex_lock(&pool->lock);
    const acre_device_block *const found = acre_block_table_find(&pool->used, address);
    if (found != NULL) *block = *found;
    pthread_mutex_unlock(&pool->lock);
    return found != NULL;
}

bool acre_stream_pool_any(acre_stream_pool *pool, acre_device_block *block)
{
    pthread_mutex_lock(&pool->lock);
    const acre_device_block *const found = acre_block_table_any(&pool->used);
    if (found != NULL) *block = *found;
    pthread_mutex_unlock(&pool->lock);
    return found != NULL;
}

/* ---- what comes before what ---- */

acre_status acre_stream_pool_record(acre_stream_pool *pool, void *stream, acre_stream_mark *mark)
{
    pthread_mutex_lock(&pool->lock);
    const uint32_t number = number_of(pool, stream);
    if (number != NO_STREAM) acre_stream_order_record(&pool->order, number, mark->times);
    pthread_mutex_unlock(&pool->lock);
    return number == NO_STREAM ? too_many_streams(pool) : ACRE_OK;
}

acre_status acre_stream_pool_wait(acre_stream_pool *pool, void *stream, const acre_stream_mark *mark)
{
    pthread_mutex_lock(&pool->lock);
    const uint32_t number = number_of(pool, stream);
    if (number != NO_STREAM) acre_stream_order_wait(&pool->order, number, mark->times);
    pthread_mutex_unlock(&pool->lock);
    return number == NO_STREAM ? too_many_streams(pool) : ACRE_OK;
}

/* What was queued when the wait began has passed after it. */
static acre_status synchronise(acre_stream_pool *pool, void *stream, bool is_the_end)
{
    acre_stream_mark mark;
    pthread_mutex_lock(&pool->lock);
    const uint32_t number = known_number(pool, stream);
    if (number != NO_STREAM) acre_stream_order_record(&pool->order, number, mark.times);
    pthread_mutex_unlock(&pool->lock);
    const acre_status status = pool->ops->synchronise(pool->context, stream);
    if (status != ACRE_OK || number == NO_STREAM) return status;
    pthread_mutex_lock(&pool->lock);
    acre_stream_order_reached(&pool->order, mark.times);
    if (is_the_end) pool->has_stream[number] = false;
    (void)acre_stream_order_trim(&pool->order, pool->order.options.release_threshold_bytes, give_back, pool);
    pthread_mutex_unlock(&pool->lock);
    return ACRE_OK;
}

acre_status acre_stream_pool_synchronise(acre_stream_pool *pool, void *stream) { return synchronise(pool, stream, false); }
acre_status acre_stream_pool_forget(acre_stream_pool *pool, void *stream) { return synchronise(pool, stream, true); }

uint64_t acre_stream_pool_trim(acre_stream_pool *pool, uint64_t keep_bytes)
{
    pthread_mutex_lock(&pool->lock);
    (void)offer_again(pool);
    const uint64_t given_bytes = acre_stream_order_trim(&pool->order, keep_bytes, give_back, pool);
    pthread_mutex_unlock(&pool->lock);
    return given_bytes;
}

acre_status acre_stream_pool_set_threshold(acre_stream_pool *pool, uint64_t bytes)
{
    pthread_mutex_lock(&pool->lock);
    pool->order.options.release_threshold_bytes = bytes;
    pthread_mutex_unlock(&pool->lock);
    return ACRE_OK;
}

void acre_stream_pool_read(acre_stream_pool *pool, acre_stream_pool_numbers *numbers)
{
    pthread_mutex_lock(&pool->lock);
    const acre_stream_order *const order = &pool->order;
    *numbers = (acre_stream_pool_numbers){.used_bytes = order->used_bytes,
                                          .free_bytes = order->free_bytes,
                                          .used_bytes_max = order->used_bytes_max,
                                          .held_bytes_max = order->held_bytes_max,
                                          .used_count = pool->used.count,
                                          .free_count = order->options.block_count_max - order->unused_count,
                                          .released_count = order->released_count,
                                          .driver_count = pool->driver_count,
                                          .wait_count = pool->wait_count};
    memcpy(numbers->reuse_counts, order->reuse_counts, sizeof numbers->reuse_counts);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- the pool ---- */

static void release(acre_stream_pool *pool)
{
    free(pool->orphans);
    free(pool->used.slots);
    free(pool->streams);
    free(pool->has_stream);
    free(pool->order_memory);
    free(pool);
}

acre_status acre_stream_pool_create(const acre_stream_pool_options *options, const acre_stream_pool_ops *ops, void *context,
                                    acre_stream_pool **out)
{
    assert(acre_is_power_of_two(options->granule_bytes) && acre_is_power_of_two(options->alignment_bytes));
    const acre_stream_order_options wanted = {.stream_count = options->stream_count_max,
                                              .block_count_max = options->free_count_max,
                                              .reuse = options->reuse,
                                              .release_threshold_bytes = options->release_threshold_bytes,
                                              .has_passed = has_passed};
    const size_t bytes = acre_stream_order_bytes(&wanted);
    if (bytes == 0)
        return acre_fail(ACRE_INVALID, "%s: %u streams (1 to %d), %u free blocks (1 to %u), reuse 0x%x", options->name,
                         options->stream_count_max, ACRE_STREAM_ORDER_STREAMS_MAX, options->free_count_max, ACRE_STREAM_ORDER_BLOCKS_MAX,
                         options->reuse);
    acre_stream_pool *const pool = calloc(1, sizeof *pool);
    if (pool == NULL) return acre_fail(ACRE_NO_MEMORY, "%s: no host memory for a pool", options->name);
    *pool = (acre_stream_pool){.options = *options, .ops = ops, .context = context, .lock = PTHREAD_MUTEX_INITIALIZER};
    pool->order_memory = malloc(bytes);
    pool->streams = calloc(options->stream_count_max, sizeof *pool->streams);
    pool->has_stream = calloc(options->stream_count_max, sizeof *pool->has_stream);
    if (pool->order_memory == NULL || pool->streams == NULL || pool->has_stream == NULL) {
        release(pool);
        return acre_fail(ACRE_NO_MEMORY, "%s: no host memory for %zu bytes", options->name, bytes);
    }
    acre_stream_order_options own = wanted;
    own.context = pool;
    (void)acre_stream_order_init(&pool->order, &own, pool->order_memory);
    *out = pool;
    return ACRE_OK;
}

acre_status acre_stream_pool_destroy(acre_stream_pool *pool)
{
    if (pool->used.count > 0)
        return acre_fail(ACRE_BUSY, "%s: %zu blocks of %llu bytes are in use", pool->options.name, pool->used.count,
                         (unsigned long long)pool->order.used_bytes);
    acre_stream_block oldest;
    for (uint32_t i = 0; i < pool->options.free_count_max && acre_stream_order_oldest(&pool->order, &oldest); i++) {
        const acre_status status = pool->ops->host_wait(pool->context, oldest.event);
        if (status != ACRE_OK) return status;
    }
    (void)acre_stream_order_trim(&pool->order, 0, give_back, pool);
    while (pool->idle_event_count > 0) offer_or_note(pool, &(orphan){.event = pool->idle_events[--pool->idle_event_count]});
    const acre_status status = offer_again(pool);
    if (status == ACRE_OK) release(pool);
    return status;
}
