/* gpu.h - device memory: one manager over the heaps and memory types of a device, whatever API the device speaks.
 *
 * A GPU's driver gives memory in few, large and slow pieces: a *block*, of one *memory type*, out of one *heap*. The manager chooses the
 * type from what the memory is for, takes blocks, carves them into *allocations*, and never touches what it manages:
 *
 *     acre_gpu *gpu;
 *     acre_gpu_open(driver, NULL, &gpu);                  driver: acre/vulkan.h, acre/opencl.h, acre/cuda.h, or the program's own
 *
 *     acre_gpu_request request = {.size_bytes = 65536, .alignment_bytes = 256, .host_access = ACRE_GPU_HOST_WRITES};
 *     acre_gpu_memory memory;
 *     acre_gpu_memory_info info;
 *     if (acre_gpu_alloc(gpu, &request, &memory) == ACRE_OK) {
 *         acre_gpu_read_memory(gpu, memory, &info);            info.handle and info.offset_bytes: what the API binds
 *         ...
 *         acre_gpu_free(gpu, memory);
 *     }
 *     acre_gpu_close(gpu);                                ACRE_BUSY while memory is out, with the names of it in the report
 *
 * Blocks. A new block has up to `block_bytes` (256 MiB; an eighth of a heap of 1 GiB or less): a sixteenth of that at first, and later no
 * more than a sixteenth of what its pool has. When the driver refuses, half of that is tried, and so on down to a sixteenth, or what the
 * request needs. One empty block of each type is kept until another size is needed, so that a program that frees and takes the same does
 * not go to the driver each time. A request above a sixteenth of block_bytes, or one whose driver wishes it, gets a block of its own
 * (*dedicated*); where a dedicated one is refused, a place in a block is tried, and the other way round. No new block, dedicated or not, is
 * taken beyond the heap's budget by a request with ACRE_GPU_WITHIN_BUDGET.
 *
 * Inside a block the engine of acre/offset_allocator.h places: small ones from below, large ones from above, as
 * its good fit does. Buffers and images that must not lie in one page of the device (`granularity_bytes`) are kept apart.
 *
 * Mapping. The whole block is mapped once, when the first of its allocations is, and stays so while one is; a pointer is that of the block
 * plus the offset. Memory that is not coherent has to be flushed after writes of the host and invalidated before reads: the range is
 * widened to whole atoms of the device and clipped to the block.
 *
 * Defragmentation. acre_gpu_plan_moves says which allocations should go where, how many bytes that moves and what it gains, and holds the
 * new places. The owner (or acre_vulkan_begin_moves for it) copies and binds anew, then ends each move by acre_gpu_end_moves.
 *
 * Threads: all functions may be called by any thread at any time, open and close excepted; two calls about one allocation are the caller's
 * to order, and so are calls about a pool and its close. Each pool of blocks has a lock of its own, held while the driver allocates.
 *
 * Costs: alloc and free within a block are O(1); see bench/gpu. 112 bytes for each allocation, 72 for its name and 32 for each extent, on
 * the host.
 *
 * Limits: ACRE_GPU_HEAPS_MAX heaps, ACRE_GPU_TYPES_MAX types; `memory_count_max` allocations at a time.
 *
 * Example: examples/gpu.c.
 */
#ifndef ACRE_GPU_H
#define ACRE_GPU_H

#include <acre/hints.h>
#include <acre/space.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_GPU_HEAPS_MAX 16u
#define ACRE_GPU_TYPES_MAX 32u
#define ACRE_GPU_NAME_MAX  64u /* bytes of a name that are kept, with the 0 at its end */

typedef struct acre_gpu acre_gpu;           /* the manager of one device */
typedef struct acre_gpu_pool acre_gpu_pool; /* blocks of one type that a program keeps apart */
typedef uint64_t acre_gpu_memory;           /* an allocation: number of its record and generation. 0 is none */

/* ---- What a driver says and does ---- */

/* Of a memory type; the bits of VkMemoryPropertyFlagBits. */
#define ACRE_GPU_DEVICE_LOCAL    (1u << 0)
#define ACRE_GPU_HOST_VISIBLE    (1u << 1)
#define ACRE_GPU_HOST_COHERENT   (1u << 2)
#define ACRE_GPU_HOST_CACHED     (1u << 3)
#define ACRE_GPU_LAZY            (1u << 4) /* backed when a tile is spilled, if ever */
#define ACRE_GPU_PROTECTED       (1u << 5)
#define ACRE_GPU_DEVICE_COHERENT (1u << 6)
#define ACRE_GPU_DEVICE_UNCACHED (1u << 7)

typedef struct acre_gpu_heap {
    uint64_t size_bytes;
    uint32_t flags; /* ACRE_GPU_DEVICE_LOCAL */
} acre_gpu_heap;

typedef struct acre_gpu_type {
    uint32_t heap;
    uint32_t flags;
} acre_gpu_type;

typedef struct acre_gpu_device {
    char name[ACRE_GPU_NAME_MAX];
    uint32_t heap_count;
    uint32_t type_count;
    acre_gpu_heap heaps[ACRE_GPU_HEAPS_MAX];
    acre_gpu_type types[ACRE_GPU_TYPES_MAX]; /* as the API orders them: of two that fit alike the first is better */
    uint64_t granularity_bytes;              /* linear and optimal resources may not share a page of this size; 1: they may */
    uint64_t atom_bytes;                     /* of flush and invalidate of memory that is not coherent; 1: every byte */
    uint64_t block_bytes_max;                /* of one block; 0: the heap's size */
    uint32_t block_count_max;                /* blocks at a time; 0: no limit */
    bool is_integrated;                      /* device and host share their memory */
} acre_gpu_device;

/* A block, as the driver knows it: a VkDeviceMemory, a cl_mem, a CUdeviceptr. 0 is none. */
typedef uint64_t acre_gpu_handle;

typedef struct acre_gpu_block_request {
    uint32_t type;
    uint64_t size_bytes;
    float priority;        /* 0 to 1 */
    bool is_dedicated;     /* for one allocation ... */
    void *dedicated_to;    /* ... of this resource (the driver's own structure), or NULL */
    const void *extension; /* the pool's or the request's, for the driver: export, import, device address */
} acre_gpu_block_request;

typedef struct acre_gpu_driver acre_gpu_driver;

/* The table is static and begins with its own size. query, allocate and free are required, the others NULL where there is no such thing.
 * The functions are called by any thread; two calls about one block are ordered by the manager. `allocate` gives ACRE_NO_MEMORY when
 * another heap, or a smaller block, may succeed; whatever else it gives ends the request. */
typedef struct acre_gpu_driver_ops {
    size_t size_bytes;
    acre_status (*query)(acre_gpu_driver *driver, acre_gpu_device *device);
    acre_status (*allocate)(acre_gpu_driver *driver, const acre_gpu_block_request *request, acre_gpu_handle *handle);
    void (*free)(acre_gpu_driver *driver, acre_gpu_handle handle, uint32_t type, uint64_t size_bytes);
    acre_status (*map)(acre_gpu_driver *driver, acre_gpu_handle handle, void **pointer); /* the whole block */
    void (*unmap)(acre_gpu_driver *driver, acre_gpu_handle handle);
    acre_status (*flush)(acre_gpu_driver *driver, acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes); /* size: whole atoms */
    acre_status (*invalidate)(acre_gpu_driver *driver, acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes);
    acre_status (*budget)(acre_gpu_driver *driver, uint32_t heap, uint64_t *used_bytes, uint64_t *limit_bytes);
    acre_status (*copy)(acre_gpu_driver *driver, acre_gpu_handle to, uint64_t to_offset, acre_gpu_handle from, uint64_t from_offset,
                        uint64_t size_bytes); /* done when it returns */
} acre_gpu_driver_ops;

/* Lives in memory of the driver, which may put its own fields behind it. */
struct acre_gpu_driver {
    const acre_gpu_driver_ops *ops;
    const char *name; /* for messages and reports */
};

/* ---- The manager ---- */

typedef struct acre_gpu_options {
    uint64_t block_bytes;                        /* of a new block; 0: 256 MiB, or an eighth of a heap of 1 GiB or less. At least 64 KiB */
    uint32_t memory_count_max;                   /* allocations at a time; 0: 2^20. Takes address space, not memory */
    uint64_t heap_bytes_max[ACRE_GPU_HEAPS_MAX]; /* of each heap, at most so much is taken; 0: all of it */
    acre_space *space;                           /* for what the manager notes, with host access; NULL: pages of its own */
} acre_gpu_options;

/* What is asked for. All zero but the size is a request for memory of the device that the host does not see. */
typedef enum acre_gpu_host_access {
    ACRE_GPU_HOST_NONE,           /* the host never maps it */
    ACRE_GPU_HOST_WRITES,         /* written in order, never read: may be write-combined */
    ACRE_GPU_HOST_READS,          /* read and written in any order: cached */
    ACRE_GPU_HOST_WRITES_OR_COPY, /* as HOST_WRITES, but memory that the host does not see is welcome where it is faster: the program then
                                   * copies through a staging buffer. info.flags tells what it got */
} acre_gpu_host_access;

typedef enum acre_gpu_prefer { ACRE_GPU_PREFER_AUTO, ACRE_GPU_PREFER_DEVICE, ACRE_GPU_PREFER_HOST } acre_gpu_prefer;

/* What lies in it, for granularity_bytes. */
typedef enum acre_gpu_content { ACRE_GPU_LINEAR, ACRE_GPU_OPTIMAL, ACRE_GPU_UNKNOWN } acre_gpu_content;

/* How a place is looked for. */
typedef enum acre_gpu_strategy {
    ACRE_GPU_GOOD_FIT, /* O(1); the default */
    ACRE_GPU_BEST_FIT, /* the smallest free extent of the first block that has one */
    ACRE_GPU_LOWEST,   /* the lowest address of the fullest block: O(extents) */
} acre_gpu_strategy;

#define ACRE_GPU_MAPPED        (1u << 0) /* mapped all its life: info.pointer */
#define ACRE_GPU_DEDICATED     (1u << 1) /* a block of its own */
#define ACRE_GPU_NO_NEW_BLOCK  (1u << 2) /* ACRE_NO_MEMORY rather than a call of the driver */
#define ACRE_GPU_WITHIN_BUDGET (1u << 3) /* ACRE_NO_MEMORY rather than more than the heap's budget */
#define ACRE_GPU_TRANSFER_ONLY (1u << 4) /* the device does no more with it than copy */
#define ACRE_GPU_PINNED        (1u << 5) /* never part of a plan of moves */
#define ACRE_GPU_PREFER_OWN    (1u << 6) /* the driver says that a block of its own is better: taken if one can be had */

typedef struct acre_gpu_request {
    uint64_t size_bytes;
    uint64_t alignment_bytes; /* a power of two; 0: 1 */
    uint8_t host_access;      /* acre_gpu_host_access */
    uint8_t prefer;           /* acre_gpu_prefer */
    uint8_t content;          /* acre_gpu_content */
    uint8_t strategy;         /* acre_gpu_strategy */
    uint8_t lifetime;         /* acre_lifetime (acre/hints.h): what is short-lived is placed apart from what stays */
    uint32_t flags;           /* ACRE_GPU_MAPPED ... */
    uint32_t type_mask;       /* bit i: type i will do; 0: any */
    uint32_t required;        /* ACRE_GPU_DEVICE_LOCAL ...: what the type must have ... */
    uint32_t preferred;       /* ... and what it should have */
    float priority;           /* of its block, where the driver has such a thing: 0 to 1. Two priorities do not share a block */
    acre_gpu_pool *pool;      /* NULL: the manager's own blocks, by type */
    void *dedicated_to;       /* the resource, for the driver, when it gets a block of its own */
    const void *extension;    /* for the driver; implies ACRE_GPU_DEDICATED */
    void *user;               /* the caller's, in info */
    const char *name;         /* for reports; copied, cut to ACRE_GPU_NAME_MAX. NULL: none */
} acre_gpu_request;

typedef struct acre_gpu_memory_info {
    acre_gpu_handle handle;
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint64_t alignment_bytes;
    uint32_t type;
    uint32_t flags; /* of the type */
    bool is_dedicated;
    void *pointer; /* where the host sees it, NULL if it is not mapped */
    void *user;
    const char *name; /* "" if it has none; valid until it is freed or named anew */
    const void *site; /* where acre_gpu_alloc was called */
} acre_gpu_memory_info;

/* Opens a manager on a driver, which stays the caller's and has to outlive it. `options` may be NULL. ACRE_INVALID: an argument out of its
 * range, or a device that contradicts itself (a type of a heap that is not there); ACRE_NO_MEMORY. Cost: no call of the driver but query.
 */
ACRE_API acre_status acre_gpu_open(acre_gpu_driver *driver, const acre_gpu_options *options, acre_gpu **gpu);

/* Gives all blocks back. ACRE_BUSY while there are allocations or pools: nothing is closed; acre_gpu_write_report tells whose they are.
 * Closing NULL is ACRE_OK. */
ACRE_API acre_status acre_gpu_close(acre_gpu *gpu);

/* Allocates. ACRE_INVALID: an argument out of its range, or no type that has what is required; ACRE_NO_MEMORY: the sentence says for each
 * heap what is used, what is free and how large the largest free extent is. */
ACRE_API acre_status acre_gpu_alloc(acre_gpu *gpu, const acre_gpu_request *request, acre_gpu_memory *memory);

/* Frees. 0 is ACRE_OK. ACRE_BAD_POINTER: no allocation of this manager, or freed already; ACRE_BUSY: part of a plan of moves. */
ACRE_API acre_status acre_gpu_free(acre_gpu *gpu, acre_gpu_memory memory);

/* Work of the device that may still use memory, in the caller's words: a value of a timeline semaphore, a fence, an event of a queue. */
typedef struct acre_gpu_fence {
    bool (*has_passed)(void *context, uint64_t value); /* never blocks; once true, always true. Any thread; may not call the manager */
    void *context;
    uint64_t value;
} acre_gpu_fence;

/* Frees in the order of a stream: for the caller the memory is gone at once, and its place is given to nobody before the fence has passed.
 * Fences are asked by the calls that need to know: acre_gpu_alloc asks up to four, the oldest first, and all when memory is out; trim and
 * the two closes ask all. What has not passed is neither moved nor closed (ACRE_BUSY). ACRE_INVALID: a NULL; ACRE_NO_MEMORY: no room for
 * the note, and nothing was freed; else as acre_gpu_free. */
ACRE_API acre_status acre_gpu_free_after(acre_gpu *gpu, acre_gpu_memory memory, const acre_gpu_fence *fence);

/* Gives back all that was freed so and has passed; returns its bytes. For a loop that has time. */
ACRE_API uint64_t acre_gpu_collect(acre_gpu *gpu);

/* These three, and map to invalidate, give ACRE_BAD_POINTER as acre_gpu_free does. */
ACRE_API acre_status acre_gpu_read_memory(acre_gpu *gpu, acre_gpu_memory memory, acre_gpu_memory_info *info);

/* Which type a request would be given first, without allocating. ACRE_INVALID: none has what is required. O(types). */
ACRE_API acre_status acre_gpu_choose_type(const acre_gpu *gpu, const acre_gpu_request *request, uint32_t *type);

ACRE_API acre_status acre_gpu_set_user(acre_gpu *gpu, acre_gpu_memory memory, void *user);
ACRE_API acre_status acre_gpu_set_name(acre_gpu *gpu, acre_gpu_memory memory, const char *name);

/* Maps, counted: as many calls of unmap end it. ACRE_UNSUPPORTED: the type is not visible to the host; ACRE_INVALID: unmap without map. */
ACRE_API acre_status acre_gpu_map(acre_gpu *gpu, acre_gpu_memory memory, void **pointer);
ACRE_API acre_status acre_gpu_unmap(acre_gpu *gpu, acre_gpu_memory memory);

/* Make writes of the host visible to the device, and writes of the device to the host, in `size_bytes` from `offset` within the allocation
 * (UINT64_MAX: to its end). On coherent memory they do nothing. ACRE_OUT_OF_BOUNDS, ACRE_IO. */
ACRE_API acre_status acre_gpu_flush(acre_gpu *gpu, acre_gpu_memory memory, uint64_t offset, uint64_t size_bytes);
ACRE_API acre_status acre_gpu_invalidate(acre_gpu *gpu, acre_gpu_memory memory, uint64_t offset, uint64_t size_bytes);

/* ---- Pools ---- */

typedef enum acre_gpu_pool_kind {
    ACRE_GPU_POOL_GENERAL, /* any order of frees */
    ACRE_GPU_POOL_LINEAR,  /* one block: each behind the last one, or at the beginning: what is freed in the order of a stack or a queue
                            * makes room at once */
    ACRE_GPU_POOL_SLABS,   /* slots of one size: 1 bit each, O(1) */
} acre_gpu_pool_kind;

typedef struct acre_gpu_pool_options {
    uint8_t kind; /* acre_gpu_pool_kind */
    uint32_t type;
    uint64_t block_bytes;     /* 0: as the manager's; then a request above a sixteenth of it gets a block of its own */
    uint32_t block_count_min; /* taken at once and kept */
    uint32_t block_count_max; /* those of one allocation not counted; 0: no limit. LINEAR: 1 */
    uint64_t slot_bytes;      /* SLABS: of each slot: whole atoms, and whole granularity_bytes for images, else they are refused */
    uint64_t alignment_bytes; /* at least this for each allocation; 0: 1 */
    float priority;
    bool is_of_one_content; /* only buffers, or only images: granularity_bytes does not matter */
    const void *extension;  /* for the driver, for each block; has to stay as long as the pool */
    const char *name;
} acre_gpu_pool_options;

ACRE_API acre_status acre_gpu_pool_open(acre_gpu *gpu, const acre_gpu_pool_options *options, acre_gpu_pool **pool);
/* ACRE_BUSY while something is allocated from it. */
ACRE_API acre_status acre_gpu_pool_close(acre_gpu_pool *pool);

/* Gives empty blocks back to the driver, those kept for the next request too; returns how many bytes. `pool` NULL: all of the manager. */
ACRE_API uint64_t acre_gpu_trim(acre_gpu *gpu, acre_gpu_pool *pool);

/* ---- What there is ---- */

typedef struct acre_gpu_figures {
    uint64_t block_count;
    uint64_t block_bytes;  /* taken from the driver */
    uint64_t memory_count; /* allocations */
    uint64_t memory_bytes; /* of them, as asked for */
    uint64_t free_extent_count;
    uint64_t free_extent_largest_bytes;
    uint32_t fragmentation_permille; /* of the free bytes in blocks, how many lie outside the largest free extent; 0: none is free */
    uint64_t used_bytes;             /* budget of the heap: what all programs use of it, as far as the driver tells, else block_bytes ... */
    uint64_t limit_bytes;            /* ... and what this one should not exceed, else 80 % of the heap */
} acre_gpu_figures;

/* The figures of a heap: those of its blocks, dedicated ones and pools included. O(blocks). ACRE_INVALID: there is no such heap. */
ACRE_API acre_status acre_gpu_read_figures(acre_gpu *gpu, uint32_t heap, acre_gpu_figures *figures);
/* The same of a pool; budget 0. */
ACRE_API acre_status acre_gpu_pool_read_figures(acre_gpu_pool *pool, acre_gpu_figures *figures);

ACRE_API const acre_gpu_device *acre_gpu_read_device(const acre_gpu *gpu);

/* Takes `bytes` of text; false ends the writing. Locks are held: it may not call the manager. */
typedef bool acre_gpu_writer(void *context, const char *text, size_t bytes);

/* Everything as JSON (UTF-8; what is none in a name is U+FFFD): device, heaps with budgets, pools, blocks, and each extent of each block
 * with its owner. `acre gpu picture FILE` draws it. ACRE_IO: the writer said false. */
ACRE_API acre_status acre_gpu_write_json(acre_gpu *gpu, acre_gpu_writer *write, void *context);

/* For people, when memory is out or leaked: each heap's used and reserved bytes, budget, largest free extent and fragmentation, and the
 * biggest owners by name or call site. */
ACRE_API acre_status acre_gpu_write_report(acre_gpu *gpu, acre_gpu_writer *write, void *context);

/* Whether all that the manager notes is as it must be: ACRE_CORRUPT, with what is not. O(extents). */
ACRE_API acre_status acre_gpu_check(acre_gpu *gpu);

/* ---- Defragmentation ---- */

typedef struct acre_gpu_move {
    acre_gpu_memory memory; /* where it is: acre_gpu_read_memory */
    acre_gpu_handle to;     /* where it is to go: a place that is held for it */
    uint64_t to_offset_bytes;
    uint8_t outcome; /* acre_gpu_outcome; said by the owner before acre_gpu_end_moves */
} acre_gpu_move;

typedef enum acre_gpu_outcome {
    ACRE_GPU_MOVE_DONE,  /* copied: `memory` is there from now on, the old place is free */
    ACRE_GPU_MOVE_NOT,   /* stays; the new place is free */
    ACRE_GPU_MOVE_FREED, /* not needed any more: both are free, `memory` is gone */
} acre_gpu_outcome;

typedef struct acre_gpu_gain {
    uint64_t moved_bytes;                /* what the plan costs */
    uint64_t freed_block_bytes;          /* blocks that are empty after it and go back to the driver */
    uint64_t largest_extent_bytes;       /* largest free extent before ... */
    uint64_t largest_extent_after_bytes; /* ... and after it */
} acre_gpu_gain;

/* Plans at most `*count` moves of at most `bytes_max` bytes together among the blocks of a pool (NULL: those of the manager for `type`), so
 * that blocks become empty, or, with `wanted_bytes` not 0, a free extent of so many bytes arises. `*count` is how many there are; 0:
 * nothing to gain. Until acre_gpu_end_moves the new places are held, and none of the memory may be freed but by the outcome. ACRE_BUSY: a
 * plan of this pool is not ended. O(extents). */
ACRE_API acre_status acre_gpu_plan_moves(acre_gpu *gpu, acre_gpu_pool *pool, uint32_t type, uint64_t bytes_max, uint64_t wanted_bytes,
                                         acre_gpu_move *moves, uint32_t *count, acre_gpu_gain *gain);
ACRE_API acre_status acre_gpu_end_moves(acre_gpu *gpu, acre_gpu_pool *pool, uint32_t type, const acre_gpu_move *moves, uint32_t count);

/* ---- As a space ---- */

/* A memory type as a space (acre/space.h) of kind HANDLE: reserve is an allocation. An address is no pointer, and no device's either, but
 * acre_gpu_space_find tells of whose bytes; map, flush, copy and budget as far as the driver has them. What is mapped is what the device
 * has written, also where memory is not coherent: whoever wrote it flushes before it is mapped again. Ranges that are not released when the
 * space is closed are the manager's allocations still. */
ACRE_API acre_status acre_gpu_open_space(acre_gpu *gpu, uint32_t type, acre_space *space);
ACRE_API acre_status acre_gpu_space_find(acre_space *space, acre_addr address, acre_gpu_memory *memory, uint64_t *offset_bytes);

#ifdef __cplusplus
}
#endif
#endif
