/* device.h - where pages are kept: a file, a disk, whatever reads and writes blocks and can be told to make them durable.
 *
 * A device takes *requests* (read, write, flush), many at a time, and says for each when it is done, through a function of the request.
 * A request that has begun is the device's until then.
 *
 *     acre_device device;
 *     acre_device_open_file(&device, "pages", NULL);
 *     acre_device_part part = {.bytes = page, .size_bytes = 4096};
 *     acre_device_request read = {.verb = ACRE_DEVICE_READ, .offset = 8192, .parts = &part, .part_count = 1};
 *     if (acre_device_do(&device, &read) != ACRE_OK) puts(acre_last_error());
 *     acre_device_close(&device);
 *
 * What a device promises:
 * - Requests in flight happen in any order. Who wants an order waits for the one before he submits the other.
 * - A write that is done is seen by every read that is submitted afterwards. It is *durable* only when a flush that was submitted after it
 * was done is done with ACRE_OK. Until then a power failure may leave all of it, nothing, or some of its pieces of 512 bytes.
 * - A request is done with ACRE_OK only if all of its bytes were moved. What lies beyond the end reads as zeros; a write there makes the
 *   device longer.
 * - After a flush that failed nobody knows what is durable of the writes before it; a later flush says nothing of them.
 *
 * Example: examples/buffer_pool.c.
 */
#ifndef ACRE_DEVICE_H
#define ACRE_DEVICE_H

#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum acre_device_verb { ACRE_DEVICE_READ, ACRE_DEVICE_WRITE, ACRE_DEVICE_FLUSH } acre_device_verb;

/* A piece of memory that takes part in a request; as POSIX has it in struct iovec. */
typedef struct acre_device_part {
    void *bytes;
    size_t size_bytes;
} acre_device_part;

#define ACRE_DEVICE_PARTS_MAX 64u

/* Must stay where it is, with its parts, until it is done. */
typedef struct acre_device_request acre_device_request;
struct acre_device_request {
    acre_device_verb verb;
    uint32_t part_count;                        /* at most ACRE_DEVICE_PARTS_MAX; 0 for a flush */
    const acre_device_part *parts;              /* addresses and sizes are multiples of the device's alignment */
    uint64_t offset;                            /* bytes from the beginning of the device; a multiple of the alignment */
    void (*done)(acre_device_request *request); /* called once, by a thread that submits or polls, which holds no lock of the device; may
                                                 * submit, must not poll */
    void *context;                              /* the caller's */
    /* The result, there when `done` is called. */
    acre_status status;        /* ACRE_OK; ACRE_NO_MEMORY: the device is full; ACRE_IO: it failed */
    int system_error;          /* the number of the system's error, 0 when it has none */
    uint64_t done_bytes;       /* how many were moved, from the first on */
    acre_device_request *next; /* the device's own */
};

typedef struct acre_device acre_device;

/* What a kind of device implements. The table is static and begins with its own size: what lies past that counts as NULL. */
typedef struct acre_device_ops {
    size_t size_bytes;
    /* Begins all of them. Never fails: what cannot be begun is done with an error. May take as long as the device does. */
    void (*submit)(acre_device *device, acre_device_request *const *requests, size_t count);
    /* Calls `done` for what has come to an end, waiting for the first up to `wait_ns`; returns how many. Returns at once if nothing is in
     * flight. Any thread may poll for all. NULL: requests are done when submit returns. */
    size_t (*poll)(acre_device *device, uint64_t wait_ns);
    acre_status (*size)(acre_device *device, uint64_t *bytes);
    acre_status (*resize)(acre_device *device, uint64_t bytes);
    /* Parts will often lie in this memory: it may be made ready for the hardware. At most 16 times. NULL: no use. */
    acre_status (*use_memory)(acre_device *device, void *memory, size_t bytes);
    void (*close)(acre_device *device);
} acre_device_ops;

/* Lives in memory of the caller and must not move while it is open. */
struct acre_device {
    const acre_device_ops *ops;
    const char *name;         /* for messages; not owned */
    uint32_t alignment_bytes; /* of addresses, sizes and offsets: a power of two */
    int descriptor;           /* a file's, else -1 */
    void *implementation;
};

typedef enum acre_device_way {
    ACRE_DEVICE_BEST = 0, /* a ring where there can be one, else calls */
    ACRE_DEVICE_RING,     /* io_uring: many requests at a time */
    ACRE_DEVICE_CALLS,    /* preadv and pwritev, one request after the other, in the thread that submits */
} acre_device_way;

typedef struct acre_device_file_options {
    acre_device_way way;
    bool is_cached; /* through the cache of the operating system (no O_DIRECT) */
    uint32_t depth; /* how many requests of a ring are given to the kernel at a time: 0 means 128, at most 1024 */
} acre_device_file_options;

/* The file or block device at `path`, which is made if there is none; `options` may be NULL. O_DIRECT with an alignment of 4096 bytes, or
 * the cache of the system where the file system has no O_DIRECT. ACRE_INVALID: a NULL, options out of range. ACRE_IO: it cannot be opened.
 * ACRE_UNSUPPORTED: ACRE_DEVICE_RING, and the system grants none (old kernel, container). ACRE_NO_MEMORY. */
ACRE_API acre_status acre_device_open_file(acre_device *device, const char *path, const acre_device_file_options *options);

/* A device of another kind: fills in `device`. `name` is not copied. ACRE_INVALID: a NULL, an alignment that is no power of two, or a table
 * without submit, size or close. */
ACRE_API acre_status acre_device_init(acre_device *device, const acre_device_ops *ops, const char *name, uint32_t alignment_bytes);

/* Nothing is in flight. Does not flush. NULL and a device that is closed are left alone. */
ACRE_API void acre_device_close(acre_device *device);

/* Begins requests, each with its `done`. ACRE_INVALID, and none was begun: a NULL, a verb, a count of parts, an alignment that is not
 * right, or an offset above 2^62. Any thread. */
ACRE_API acre_status acre_device_submit(acre_device *device, acre_device_request *const *requests, size_t count);

/* See acre_device_ops. Any thread. */
ACRE_API size_t acre_device_poll(acre_device *device, uint64_t wait_ns);

/* Does one request and waits for it; sets `done` and `context` itself. Returns its status. Any thread. */
ACRE_API acre_status acre_device_do(acre_device *device, acre_device_request *request);

/* All writes that are done become durable. The same as doing a request ACRE_DEVICE_FLUSH. */
ACRE_API acre_status acre_device_flush(acre_device *device);

ACRE_API acre_status acre_device_size(acre_device *device, uint64_t *bytes);
/* Makes it longer (reads as zeros) or shorter. ACRE_UNSUPPORTED: it has a fixed size. */
ACRE_API acre_status acre_device_resize(acre_device *device, uint64_t bytes);
ACRE_API acre_status acre_device_use_memory(acre_device *device, void *memory, size_t bytes);

/* True for a device of acre_device_open_file that has a ring. */
ACRE_API bool acre_device_has_ring(const acre_device *device);

#ifdef __cplusplus
}
#endif
#endif
