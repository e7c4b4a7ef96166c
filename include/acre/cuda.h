/* cuda.h - memory of CUDA devices: device, managed, pinned and mapped host memory, pools in the order of streams, growth without copying.
 *
 *     acre_cuda *cuda;
 *     if (acre_cuda_open(NULL, &cuda) != ACRE_OK) puts(acre_last_error());       no driver: ACRE_UNSUPPORTED, with the reason
 *     acre_cuda_pool *pool;
 *     acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.release_threshold_bytes = 64 << 20}, &pool);
 *     acre_cuda_pool_alloc(pool, stream, 1 << 20, &block);     work on it is queued in the stream, then
 *     acre_cuda_pool_free(pool, stream, block.address);        at once: the next block of this stream may be this one
 *
 * The driver is loaded when a device is opened (libcuda.so.1, CUDA 11.2 or later); nothing of CUDA is needed to build or to link. The
 * device's primary context is used, which is the one that the CUDA runtime uses; each call makes it current and takes it back, so the
 * caller's context is left as it is. A stream is a CUstream or cudaStream_t; NULL is the default stream.
 *
 * Every call ran on an NVIDIA H100 with driver 580.159.04 (CUDA 13.0), where kernels wrote and compared the contents (bench/gpu/cuda); the
 * tests run over a driver that they build, which keeps account of each call.
 *
 * Thread safety: every call, on any thread; open and close of one device excepted. A call costs a few calls of the driver; what a pool
 * reuses costs one (the event of a free).
 *
 * Errors of the driver: out of memory is ACRE_NO_MEMORY, what it lacks ACRE_UNSUPPORTED, an argument that it refuses ACRE_INVALID, all else
 * (a lost device among it) ACRE_IO; acre_last_error() has the driver's name for it.
 *
 * Example: examples/cuda.c.
 */
#ifndef ACRE_CUDA_H
#define ACRE_CUDA_H

#include <acre/gpu.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_cuda acre_cuda;

typedef struct acre_cuda_options {
    int device;               /* its number, from 0 */
    const char *library_path; /* NULL: libcuda.so.1 */
} acre_cuda_options;

/* Loads the driver and opens a device. `options` NULL means all defaults. ACRE_UNSUPPORTED: there is no driver, it is too old, or it finds
 * no device; ACRE_INVALID: no device has that number. */
ACRE_API acre_status acre_cuda_open(const acre_cuda_options *options, acre_cuda **cuda);

/* ACRE_BUSY, with nothing done, while memory, a pool or a growth of it is in use; the sentence says what. */
ACRE_API acre_status acre_cuda_close(acre_cuda *cuda);

typedef struct acre_cuda_facts {
    char name[128];
    uint64_t total_bytes;
    uint64_t granule_bytes; /* of growth; 0: not supported */
    int driver_version;     /* 12040 is 12.4 */
    bool is_integrated;     /* it has the host's memory */
    bool has_managed;       /* ACRE_CUDA_MANAGED */
    bool migrates_managed;  /* advice and prefetch have an effect: device and host may use managed memory at the same time */
    bool maps_host;         /* ACRE_CUDA_MAPPED and acre_cuda_register */
    bool has_pools;         /* pools of the driver */
    bool has_growth;
    bool has_export; /* between processes */
} acre_cuda_facts;

ACRE_API acre_status acre_cuda_query(acre_cuda *cuda, acre_cuda_facts *facts);

/* Bytes of the device that are free, and all, as the driver says: others use them, too. */
ACRE_API acre_status acre_cuda_budget(acre_cuda *cuda, uint64_t *free_bytes, uint64_t *total_bytes);

/* The device as a driver of acre/gpu.h, as long as it is open: type 0 is device memory; managed memory and memory of the host that the
 * device maps follow, where there are such. A handle is an address of the device. NULL for NULL. */
ACRE_API acre_gpu_driver *acre_cuda_gpu_driver(acre_cuda *cuda);

/* ---- memory ---- */

typedef enum acre_cuda_kind {
    ACRE_CUDA_DEVICE,
    ACRE_CUDA_MANAGED,    /* host and device, at one address; pages move to who uses them */
    ACRE_CUDA_PINNED,     /* of the host, for fast copies */
    ACRE_CUDA_MAPPED,     /* of the host, pinned; the device reads and writes it there */
    ACRE_CUDA_REGISTERED, /* the caller's, pinned and mapped by acre_cuda_register */
    ACRE_CUDA_IMPORTED,   /* another process's device memory */
} acre_cuda_kind;

typedef struct acre_cuda_memory {
    acre_cuda_kind kind;
    uint64_t address;    /* of the device (CUdeviceptr); 0 for ACRE_CUDA_PINNED */
    void *host;          /* NULL for ACRE_CUDA_DEVICE and ACRE_CUDA_IMPORTED */
    uint64_t size_bytes; /* 0 for ACRE_CUDA_IMPORTED: the driver does not say */
} acre_cuda_memory;

/* Memory of a kind from DEVICE to MAPPED. ACRE_INVALID: size 0, another kind. ACRE_UNSUPPORTED: the device has no such memory. */
ACRE_API acre_status acre_cuda_alloc(acre_cuda *cuda, acre_cuda_kind kind, uint64_t size_bytes, acre_cuda_memory *memory);

/* Pins memory of the caller, which stays the caller's, and maps it for the device. ACRE_INVALID: NULL, size 0, registered already. */
ACRE_API acre_status acre_cuda_register(acre_cuda *cuda, void *host, uint64_t size_bytes, acre_cuda_memory *memory);

/* Memory of any kind goes back; REGISTERED is the caller's alone again. Waits for the device, as cuMemFree does. ACRE_BAD_POINTER: it is
 * none of these, or was freed already. `*memory` is cleared. */
ACRE_API acre_status acre_cuda_free(acre_cuda *cuda, acre_cuda_memory *memory);

typedef enum acre_cuda_advice {
    ACRE_CUDA_READ_MOSTLY, /* copies may be kept on both sides */
    ACRE_CUDA_NOT_READ_MOSTLY,
    ACRE_CUDA_PREFER_DEVICE, /* pages stay there */
    ACRE_CUDA_PREFER_HOST,
    ACRE_CUDA_PREFER_NONE,
    ACRE_CUDA_DEVICE_USES, /* mapped for the device, wherever they are */
    ACRE_CUDA_DEVICE_USES_NOT,
} acre_cuda_advice;

/* Of managed memory, from `offset` for `size_bytes`. ACRE_INVALID: other memory, or beyond its end. ACRE_UNSUPPORTED: !migrates_managed. */
ACRE_API acre_status acre_cuda_advise(acre_cuda *cuda, const acre_cuda_memory *memory, uint64_t offset, uint64_t size_bytes,
                                      acre_cuda_advice advice);

/* Queues in the stream that pages move to the device, or to the host. Errors as acre_cuda_advise. */
ACRE_API acre_status acre_cuda_prefetch(acre_cuda *cuda, const acre_cuda_memory *memory, uint64_t offset, uint64_t size_bytes, bool to_host,
                                        void *stream);

/* ---- between processes ---- */

#define ACRE_CUDA_EXPORT_BYTES 64

/* What another process imports a block of ACRE_CUDA_DEVICE with; the block stays in use until that one has freed it. */
ACRE_API acre_status acre_cuda_export(acre_cuda *cuda, const acre_cuda_memory *memory, unsigned char bytes[ACRE_CUDA_EXPORT_BYTES]);
ACRE_API acre_status acre_cuda_import(acre_cuda *cuda, const unsigned char bytes[ACRE_CUDA_EXPORT_BYTES], acre_cuda_memory *memory);

/* ---- growth: addresses are reserved once, memory comes behind them in steps ---- */

typedef struct acre_cuda_growth acre_cuda_growth;

/* Reserves addresses for up to `size_bytes_max`; no memory. Memory comes in multiples of `step_bytes`; 0: facts.granule_bytes. Steps need
 * not lie together in the device, so that no free range of that length is needed. ACRE_UNSUPPORTED: !has_growth. */
ACRE_API acre_status acre_cuda_growth_open(acre_cuda *cuda, uint64_t size_bytes_max, uint64_t step_bytes, acre_cuda_growth **growth);

/* Where it begins, for as long as it is open, and the bytes behind it. */
ACRE_API uint64_t acre_cuda_growth_address(const acre_cuda_growth *growth);
ACRE_API uint64_t acre_cuda_growth_size(const acre_cuda_growth *growth);

/* Longer or shorter, to a multiple of the step; contents up to the shorter length stay where they are. The caller sees to it that the
 * device has done with what goes. ACRE_INVALID: beyond size_bytes_max. ACRE_NO_MEMORY, ACRE_IO: it is as long as it was. Not thread safe
 * for one growth. O(steps). */
ACRE_API acre_status acre_cuda_growth_resize(acre_cuda_growth *growth, uint64_t size_bytes);

ACRE_API acre_status acre_cuda_growth_close(acre_cuda_growth *growth);

/* ---- pools: blocks are freed in the order of a stream ---- */

#define ACRE_CUDA_REUSE_FOLLOWED                                                                                                           \
    (1u << 0) /* by a stream that waits for the free: acre_cuda_pool_wait, or an event through the driver's pool */
#define ACRE_CUDA_REUSE_PASSED (1u << 1) /* by any stream after the device has got there */
#define ACRE_CUDA_REUSE_WAIT   (1u << 2) /* by any stream, which is made to wait */
#define ACRE_CUDA_REUSE_ALL    7u

typedef struct acre_cuda_pool_options {
    uint64_t release_threshold_bytes; /* more than this is not kept, in use and free, beyond the next synchronisation */
    uint64_t limit_bytes;             /* never holds more; 0: no limit. Not with is_drivers before CUDA 12.2 */
    uint32_t reuse;                   /* beyond the same stream, ACRE_CUDA_REUSE_...; 0: all */
    bool reuses_same_stream_only;
    bool is_drivers;           /* blocks are those of a pool of the driver (cuMemAllocFromPoolAsync), which orders by itself */
    uint32_t stream_count_max; /* 0: 64; at most 256 */
    uint32_t free_count_max;   /* free blocks that are kept; 0: 4096 */
} acre_cuda_pool_options;

typedef struct acre_cuda_pool acre_cuda_pool;

typedef struct acre_cuda_block {
    uint64_t address;
    uint64_t size_bytes; /* at least what was asked for */
} acre_cuda_block;

typedef struct acre_cuda_mark acre_cuda_mark;

/* `options` NULL means all defaults. ACRE_UNSUPPORTED: is_drivers, and the driver has none. */
ACRE_API acre_status acre_cuda_pool_create(acre_cuda *cuda, const acre_cuda_pool_options *options, acre_cuda_pool **pool);

/* ACRE_BUSY, with nothing done, while blocks are in use. */
ACRE_API acre_status acre_cuda_pool_destroy(acre_cuda_pool *pool);

/* A block for what is queued in `stream` hence, at a multiple of 256. When the device has no more, what is free and has passed goes back to
 * it, and then the host waits for what is free and has not. O(1) on average. */
ACRE_API acre_status acre_cuda_pool_alloc(acre_cuda_pool *pool, void *stream, uint64_t size_bytes, acre_cuda_block *block);

/* The block is free behind what is queued in `stream`, which comes behind all that uses it. Does not wait. ACRE_BAD_POINTER: no block in
 * use begins there; it was freed already, or is another's. */
ACRE_API acre_status acre_cuda_pool_free(acre_cuda_pool *pool, void *stream, uint64_t address);

/* The caller has recorded an event in `stream`: *mark (NULL: a new one, else one to use again) stands for it. */
ACRE_API acre_status acre_cuda_pool_record(acre_cuda_pool *pool, void *stream, acre_cuda_mark **mark);

/* The caller has made `stream` wait for that event. */
ACRE_API acre_status acre_cuda_pool_wait(acre_cuda_pool *pool, void *stream, const acre_cuda_mark *mark);
ACRE_API void acre_cuda_mark_free(acre_cuda_mark *mark);

/* Waits for the stream; what is held beyond the release threshold goes back. */
ACRE_API acre_status acre_cuda_pool_synchronise(acre_cuda_pool *pool, void *stream);

/* The same, before the caller destroys the stream. */
ACRE_API acre_status acre_cuda_pool_forget(acre_cuda_pool *pool, void *stream);

/* Gives back what is free and has passed, until no more than `keep_bytes` are held, in use and free. */
ACRE_API acre_status acre_cuda_pool_trim(acre_cuda_pool *pool, uint64_t keep_bytes);
ACRE_API acre_status acre_cuda_pool_set_threshold(acre_cuda_pool *pool, uint64_t bytes);

typedef struct acre_cuda_pool_figures {
    uint64_t used_bytes, used_bytes_max; /* handed out */
    uint64_t held_bytes, held_bytes_max; /* with what is free */
    /* The rest is 0 for a pool of the driver. */
    uint64_t used_count, free_count;
    uint64_t same_count, followed_count, passed_count, waited_count; /* blocks that were reused, and how */
    uint64_t driver_count;                                           /* that came from the driver */
    uint64_t released_count;                                         /* that went back */
    uint64_t stall_count;                                            /* times that the host waited for room */
} acre_cuda_pool_figures;

ACRE_API acre_status acre_cuda_pool_read_figures(acre_cuda_pool *pool, acre_cuda_pool_figures *figures);

#ifdef __cplusplus
}
#endif
#endif
