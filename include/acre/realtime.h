/* realtime.h - a heap for firmware: memory of the caller, a constant number of instructions, and a size that is proved to be enough.
 *
 *     static _Alignas(32) char bytes[16384];
 *     static acre_realtime heap;
 *     acre_realtime_init(&heap, &(acre_realtime_options){.name = "radio", .engine = ACRE_REALTIME_TIGHT}, bytes, sizeof bytes);
 *     void *frame = acre_realtime_alloc(&heap, 200);
 *     if (acre_realtime_free(&heap, frame) != ACRE_OK) ...         refused: it is no block, or memory around it was overwritten
 *
 * or, with nothing to call before the first block:
 *
 *     ACRE_STATIC_ARENA(heap, 16384, ACRE_REALTIME_TIGHT);
 *
 * The engine is chosen for each heap:
 *
 *     tight    address-ordered first fit, exact. Wastes little; the larger part of the work is a constant number of steps in trees
 *     fast     half-fit: sizes are rounded up to powers of two, less work
 *     best     the smallest free block that fits; looks at all of them, so not for code that has a deadline
 *     worst    the largest free block, in constant time
 *     buddy    powers of two from 32 bytes on, at the lowest address; finds out every invalid pointer
 *
 * How much memory is enough. M is how many bytes are in use at one time at most, n how many the largest block has; both with headers and
 * rounding, as acre_realtime_block_bytes says. A heap of acre_realtime_bound(engine, M, n) bytes never fails, in whatever order blocks come
 * and go: tight M (1 + ceil(log2 n)) (Robson 1977), fast 2 M (1 + ceil(log2 n)) (said of half-fit, Herter 2014), buddy M (1 + log2(n) / 2)
 * - n + 1 (Robson 1974), with M and n in units of 8 or, buddy, 32 bytes. For all of them but buddy, and the only one for best and worst,
 * there is a bound that needs no theory: when a block of n does not fit, each hole is shorter than n, and there is at most one more hole
 * than blocks; so M + (M / 2 + 1) (n - 1) is enough. The smaller one counts. The heap keeps M and n of what it has seen, so that
 * acre_realtime_is_proved tells whether it can fail a program that goes on as it has.
 * The first kind of bound is for alloc and free; once acre_realtime_realloc has changed a block where it is, or an alignment beyond the
 * engine's own was asked for, the second kind is what acre_realtime_is_proved goes by (buddy: (M + 1) n).
 *
 * Costs, in instructions of a Cortex-M3 with -Os, in a region of 256 KiB: the longest path through the machine code of the engine is 297
 * for alloc and 263 for free (tight), 66 and 109 (fast). The functions here add some 75 with one region, an alarm 100 more. Of the memory
 * tight takes 1/32 for its trees, buddy 1/17; headers are 4 bytes (none with buddy).
 *
 * Errors are told by what a function returns alone; there is no sentence for acre_last_error, since writing one takes long.
 *
 * Threads and interrupts: one call at a time on one heap. Every function may be called at any interrupt level, and while a
 * call on the same heap is interrupted it is refused (ACRE_BUSY, or NULL) before it reads anything. Whoever shares a heap with an interrupt
 * masks that for the time of the call.
 *
 * Example: examples/realtime.c.
 */
#ifndef ACRE_REALTIME_H
#define ACRE_REALTIME_H

#include <acre/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum acre_realtime_engine {
    ACRE_REALTIME_TIGHT = 0, /* 8-byte alignment */
    ACRE_REALTIME_FIRST = ACRE_REALTIME_TIGHT,
    ACRE_REALTIME_FAST,      /* 16-byte alignment */
    ACRE_REALTIME_BEST,      /* 8-byte alignment */
    ACRE_REALTIME_WORST,     /* 8-byte alignment */
    ACRE_REALTIME_BUDDY,     /* 32-byte alignment */
} acre_realtime_engine;

#define ACRE_REALTIME_ENGINE_COUNT     5
#define ACRE_REALTIME_REGION_COUNT_MAX 4
#define ACRE_REALTIME_BYTES_MIN        ((size_t)512) /* of a region */
#define ACRE_REALTIME_PER_MILLE        1000u

struct acre_realtime;

/* Hears that the fragmentation of a heap has become greater than its limit: once, until it has been at the limit or below again. Called at
 * the end of the operation that crossed it, in its context, and must not call into the heap (that is refused). */
typedef void acre_realtime_alarm(void *context, const struct acre_realtime *heap, uint32_t fragmentation_per_mille);

typedef struct acre_realtime_options {
    const char *name; /* for reports, not copied; NULL: "realtime" */
    acre_realtime_engine engine;
    acre_realtime_alarm *alarm; /* may be NULL */
    void *alarm_context;
    uint32_t fragmentation_limit_per_mille; /* for the alarm */
} acre_realtime_options;

/* Lives in memory of the caller. The fields are for the implementation. */
typedef struct acre_realtime {
    acre_realtime_options options;
    void *unused_memory; /* of ACRE_STATIC_ARENA, until the first block is asked for */
    size_t unused_bytes;
    uint32_t region_count;
    void *regions[ACRE_REALTIME_REGION_COUNT_MAX];
    size_t capacity_bytes;
    size_t live_bytes;
    size_t live_bytes_peak;
    size_t request_bytes_max;
    size_t block_count;
    size_t failure_count;
    volatile bool is_inside;
    bool is_over_limit;
    bool has_odd_edges; /* blocks were changed where they are */
} acre_realtime;

/* Bytes of a heap. A block counts with its header and what it was rounded up by. */
typedef struct acre_realtime_figures {
    size_t capacity_bytes;    /* for blocks: without control data */
    size_t live_bytes;        /* in use */
    size_t live_bytes_peak;   /* M: the most that was in use, or would have been if a request had not failed */
    size_t request_bytes_max; /* n: the largest block that was asked for */
    size_t free_bytes;
    size_t largest_bytes;     /* the largest block that can be had */
    uint32_t fragmentation_per_mille; /* 1000 (1 - largest / free); 0 when nothing is free */
    size_t block_count;       /* in use */
    size_t failure_count;     /* requests that got NULL for want of memory */
    bool is_proved;           /* see acre_realtime_is_proved */
} acre_realtime_figures;

/* An empty heap over one region. `bytes` bytes at `memory`, of any alignment, are the heap's from now on: at least ACRE_REALTIME_BYTES_MIN,
 * at most what the library was built for (ACRE_REALTIME_REGION_BYTES_MAX in src/alloc/block.h: 256 KiB where addresses have 32 bits, else
 * 32 MiB). ACRE_INVALID, and nothing was changed: a NULL, an unknown engine, a size outside that range. Any level. O(bytes / 512), with
 * buddy O(bytes). */
ACRE_API acre_status acre_realtime_init(acre_realtime *heap, const acre_realtime_options *options, void *memory, size_t bytes);

/* Further memory for the same heap, which need not be next to the first; blocks go there when none before has room. ACRE_INVALID as
 * above, and for memory that overlaps a region; ACRE_NO_MEMORY: there are ACRE_REALTIME_REGION_COUNT_MAX regions already. Any level. */
ACRE_API acre_status acre_realtime_add_region(acre_realtime *heap, void *memory, size_t bytes);

/* A heap that needs no init: `name` is a static acre_realtime over a static array of `bytes` bytes, which is set up by the first request.
 *     ACRE_STATIC_ARENA(frames, 8192, ACRE_REALTIME_FAST); */
#define ACRE_STATIC_ARENA(name, bytes, strategy)                                                                                           \
    static uint64_t name##_memory[((bytes) + 31) / 8];                                                                                     \
    static acre_realtime name = ACRE_REALTIME_INITIALIZER(#name, name##_memory, strategy)
#define ACRE_REALTIME_INITIALIZER(text, memory, strategy)                                                                                  \
    {                                                                                                                                      \
        {text, strategy, NULL, NULL, 0}, memory, sizeof(memory), 0, {NULL, NULL, NULL, NULL}, 0, 0, 0, 0, 0, 0, false, false, false        \
    }

/* `size` bytes at the engine's alignment; size 0 counts as 1. NULL: no region has room, `heap` is NULL or not made, or a call on it is
 * interrupted. Any level. A constant number of steps a region; with best O(free blocks). */
ACRE_API void *acre_realtime_alloc(acre_realtime *heap, size_t size) ACRE_MUST_USE;

/* `size` bytes at a multiple of `alignment`, a power of two. A free block must have room for both: alignment - 8 bytes more (fast: 16), and
 * what is not needed comes back. Buddy has no alignment beyond 32. NULL also for a bad alignment. Steps as two allocs and a free. */
ACRE_API void *acre_realtime_alloc_aligned(acre_realtime *heap, size_t size, size_t alignment) ACRE_MUST_USE;

/* Gives a block back. NULL is ignored. ACRE_BAD_POINTER: not a block in use: foreign, misaligned, inside of a block, freed already, or its
 * header was overwritten. ACRE_CORRUPT: what stands in front of the block or behind it was overwritten. ACRE_BUSY: see above. ACRE_INVALID:
 * `heap` is NULL. Nothing was changed then. Any level. A constant number of steps, and a comparison a region. */
ACRE_API acre_status acre_realtime_free(acre_realtime *heap, void *block);

/* Makes a block longer or shorter, where it is when that can be; else a new one takes its contents and it is freed. NULL for `block` is an
 * alloc. NULL: as acre_realtime_alloc and acre_realtime_free say; the block is as it was. Copies at most as many bytes as both have. */
ACRE_API void *acre_realtime_realloc(acre_realtime *heap, void *block, size_t size) ACRE_MUST_USE;

/* How many bytes a block has for its owner: what was asked for, or more. 0 for what is no block in use. Any level. O(1). */
ACRE_API size_t acre_realtime_usable_size(const acre_realtime *heap, const void *block);

/* What a block for `size` bytes takes, header and rounding included: what it adds to M. 0: no region can have it. */
ACRE_API size_t acre_realtime_block_bytes(acre_realtime_engine engine, size_t size);

/* How many bytes at a multiple of 32 a region needs to never fail, control data included; see above. 0: more than one region can have, or
 * an unknown engine, or M is less than n. O(log). */
ACRE_API size_t acre_realtime_bound(acre_realtime_engine engine, size_t live_bytes_max, size_t request_bytes_max);

/* True when a region of the heap is large enough for any program with the M and the n that it has seen. Any level. O(1). */
ACRE_API bool acre_realtime_is_proved(const acre_realtime *heap);

/* All figures as they are. ACRE_INVALID: a NULL. Any level. O(regions). */
ACRE_API acre_status acre_realtime_read_figures(const acre_realtime *heap, acre_realtime_figures *figures);

/* Hears of a block in use and of what it has for its owner; false ends the walk. Must not call into the heap (that is refused). */
typedef bool acre_realtime_visitor(void *context, void *block, size_t usable_bytes);

/* Visits all blocks in use, region by region in order of address: for a report of what was not freed, with what the program keeps in its
 * blocks or beside them. ACRE_INVALID: a NULL. ACRE_BUSY: see above. ACRE_CORRUPT: a header was overwritten; what is behind it in its
 * region is not visited. O(blocks); with buddy O(bytes). */
ACRE_API acre_status acre_realtime_walk(acre_realtime *heap, acre_realtime_visitor *visit, void *context);

/* True when every invariant of the heap holds. O(bytes). For tests. */
ACRE_API bool acre_realtime_is_valid(const acre_realtime *heap);

#ifdef __cplusplus
}
#endif
#endif
