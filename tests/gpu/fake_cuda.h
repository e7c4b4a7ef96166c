/* fake_cuda.h - what a test says to the CUDA driver that tests/gpu/fake_cuda.c is, and what it asks it. */
#ifndef ACRE_TESTS_GPU_FAKE_CUDA_H
#define ACRE_TESTS_GPU_FAKE_CUDA_H

#include "cuda/driver.h"

#include <stdbool.h>

#define FAKE __attribute__((visibility("default")))

typedef struct fake_options {
    int device_count, driver_version;
    uint64_t memory_bytes;
    const char *name;                                             /* of each device; NULL: "fake 0", ... */
    bool lacks_managed, lacks_mapping, lacks_pools, lacks_growth; /* attributes of the device */
} fake_options;

/* All that is out; a test ends with zeros. */
typedef struct fake_live {
    unsigned device, managed, host, registered, events, streams, pools, pool_blocks, reservations, handles, mappings, imports, contexts;
} fake_live;

/* Everything anew: nothing is out, no failure is due. */
FAKE void fake_reset(const fake_options *options);

/* The k-th call from here on (from 1) that can fail, and no other, fails with `result`; 0: none. fake_calls counts them. */
FAKE void fake_fail_at(unsigned long call, cu_result result);
FAKE unsigned long fake_calls(void);

/* From here on all calls fail, as when the device is lost; or no longer. */
FAKE void fake_lose_device(bool is_lost);

FAKE fake_live fake_read_live(void);
FAKE bool fake_is_nothing_live(void);

/* How often the driver was called in a way that a real one need not forgive, and the last sentence about it: memory used that is not mapped
 * or not accessible, freed twice or by the wrong call, freed while a stream uses it, a call without a context, a context that was not given
 * back. */
FAKE unsigned fake_misuse_count(void);
FAKE const char *fake_misuse(void);

/* The context of the calling thread; NULL: none. */
FAKE cu_context fake_context(void);

FAKE cu_stream fake_stream_create(void);
FAKE void fake_stream_destroy(cu_stream stream);

/* What a program does: an event is recorded in one stream, and another one waits for it. */
FAKE void fake_record_and_wait(cu_stream stream, cu_stream waiter);

/* Work that uses `bytes` from `pointer` is queued; `tag` grows with each use of other contents of that memory. That tags of one address are
 * seen in order, when the work runs, is what the fake checks. */
FAKE void fake_use(cu_stream stream, cu_pointer pointer, size_t bytes, uint64_t tag);

/* One piece of work of a stream runs; false: there is none, or it waits for another stream. */
FAKE bool fake_step(cu_stream stream);
FAKE bool fake_step_any(uint64_t random);

/* What the device would see: NULL, and a misuse, if it may not. */
FAKE void *fake_device_view(cu_pointer pointer, size_t bytes);

/* Preferred location, read mostly, used by, and prefetches of managed memory. */
FAKE int fake_preferred(cu_pointer pointer);
FAKE unsigned fake_advice_count(int advice);
FAKE unsigned fake_prefetch_count(cu_device device);

#endif
