/* stream_pool.h - blocks of device memory that are freed in the order of a stream: what libacre-cuda and libacre-opencl share.
 *
 * The order of streams (src/gpu/stream_order.h) decides; this has the blocks that are in use, the streams' numbers, and the calls of a
 * driver. What no free block serves comes from the driver; when that has no memory, what has passed goes back to it and it is asked again,
 * and then the host waits for the oldest event, as often as there is one. Thread safe: one lock, which is held while the host waits for
 * room, and not while it waits for a stream. */
#ifndef ACRE_BINDINGS_GPU_STREAM_POOL_H
#define ACRE_BINDINGS_GPU_STREAM_POOL_H

#include "gpu/block_table.h"
#include "gpu/stream_order.h"

#include <acre/status.h>

/* Calls of the driver. `stream` is the driver's handle. */
typedef struct acre_stream_pool_ops {
    acre_status (*take)(void *context, uint64_t size_bytes, uint64_t *address, void **owner); /* ACRE_NO_MEMORY: there is none */
    acre_status (*give)(void *context, uint64_t address, void *owner);
    acre_status (*record)(void *context, void *stream, uint64_t *event); /* `*event` is one to use again, or 0 */
    bool (*has_passed)(void *context, uint64_t event);
    acre_status (*stream_wait)(void *context, void *stream, uint64_t event);
    acre_status (*host_wait)(void *context, uint64_t event);
    acre_status (*synchronise)(void *context, void *stream);
    acre_status (*drop_event)(void *context, uint64_t event);
    bool are_events_used_again;
} acre_stream_pool_ops;

typedef struct acre_stream_pool_options {
    const char *name;                        /* for messages; not copied */
    uint64_t granule_bytes, alignment_bytes; /* sizes are rounded up to the one; the driver's memory is at multiples of the other */
    uint64_t release_threshold_bytes, limit_bytes;
    uint32_t reuse, stream_count_max, free_count_max;
} acre_stream_pool_options;

typedef struct acre_stream_pool acre_stream_pool;

/* What an event that was recorded through the pool stands for. */
typedef struct acre_stream_mark {
    uint64_t times[ACRE_STREAM_ORDER_STREAMS_MAX];
} acre_stream_mark;

typedef struct acre_stream_pool_numbers {
    uint64_t used_bytes, free_bytes, used_bytes_max, held_bytes_max, used_count, free_count, released_count, driver_count, wait_count;
    uint64_t reuse_counts[ACRE_STREAM_REUSE_COUNT];
} acre_stream_pool_numbers;

acre_status acre_stream_pool_create(const acre_stream_pool_options *options, const acre_stream_pool_ops *ops, void *context,
                                    acre_stream_pool **pool);

/* ACRE_BUSY, with nothing done, while blocks are in use. Waits for all streams that free blocks were freed in. A
 * failure of the driver: the pool is there still, and may be destroyed again. */
acre_status acre_stream_pool_destroy(acre_stream_pool *pool);

/* The block's size is what was asked for, rounded up, or that of a longer block that was free. */
acre_status acre_stream_pool_alloc(acre_stream_pool *pool, void *stream, uint64_t size_bytes, acre_device_block *block);

/* ACRE_BAD_POINTER: no block in use begins there. If the driver cannot record an event, the host waits for the stream instead. */
acre_status acre_stream_pool_free(acre_stream_pool *pool, void *stream, uint64_t address);

/* The block in use that begins there; false: none does. */
bool acre_stream_pool_find(acre_stream_pool *pool, uint64_t address, acre_device_block *block);

/* Some block in use, for a report of leaks; false: there is none. */
bool acre_stream_pool_any(acre_stream_pool *pool, acre_device_block *block);

acre_status acre_stream_pool_record(acre_stream_pool *pool, void *stream, acre_stream_mark *mark);
acre_status acre_stream_pool_wait(acre_stream_pool *pool, void *stream, const acre_stream_mark *mark);
acre_status acre_stream_pool_synchronise(acre_stream_pool *pool, void *stream);

/* The stream is about to be destroyed: the host waits for it, and its number is free. */
acre_status acre_stream_pool_forget(acre_stream_pool *pool, void *stream);

uint64_t acre_stream_pool_trim(acre_stream_pool *pool, uint64_t keep_bytes);
acre_status acre_stream_pool_set_threshold(acre_stream_pool *pool, uint64_t bytes);
void acre_stream_pool_read(acre_stream_pool *pool, acre_stream_pool_numbers *numbers);

#endif
