/* partition.h - partitions of a real-time heap: a quota with an owner, a contract, and a report of what was not freed.
 *
 *     static acre_partition radio;
 *     const acre_partition_options options = {
 *         .name = "radio", .owner = 3, .engine = ACRE_REALTIME_TIGHT, .quota_bytes = 8192,
 *         .contract = {.clock = read_cycles, .alloc_cost_max = 600, .fragmentation_limit_per_mille = 400},
 *         .broken = contract_is_broken,
 *     };
 *     acre_partition_init(&radio, &options, &heap);
 *     void *frame = acre_partition_alloc(&radio, 3, 200);
 *
 * A partition is a heap (acre/realtime.h) in one block of another heap, which its owner has to itself: nothing that is done in one
 * partition changes where the blocks of another lie, whether its requests fail, or how many instructions they take. Its quota is the
 * length of that block, control data included: acre_realtime_bound says how long it has to be, with block lengths of
 * acre_partition_block_bytes.
 *
 * Each call names its caller, a number that the program gives to its tasks. The owner may do everything, others what `others_may` allows.
 * That is a check against mistakes; against code that writes where it likes, acre_partition_memory is a range for a wish of acre/domain.h.
 *
 * Leaks. Behind each block stand its caller, its call site and the number of the last mark: 12 bytes with addresses of 32 bits, else 16.
 * acre_partition_mark begins a new number; acre_partition_leaks visits the blocks that were allocated since a mark and are still out, and
 * adds them up by caller and call site, in rows that the caller gives. So marks are free, a free is as it is without them, and there is no
 * table that could be full.
 *
 * Errors are told by what a function returns alone. Threads and interrupts: as acre/realtime.h says, one call at a time on one partition,
 * at any interrupt level; while a call is interrupted, others on the same partition are refused (ACRE_BUSY, or NULL), calls on other
 * partitions are not. acre_partition_init and acre_partition_end are calls on the heap as well.
 *
 * Example: examples/partition.c.
 */
#ifndef ACRE_PARTITION_H
#define ACRE_PARTITION_H

#include <acre/realtime.h>

#ifdef __cplusplus
extern "C" {
#endif

struct acre_partition;

/* What callers that are not the owner may do: a set of these. */
enum {
    ACRE_PARTITION_ALLOC = 1, /* alloc, and realloc */
    ACRE_PARTITION_FREE = 2,  /* free, any block */
};

typedef enum acre_partition_breach {
    ACRE_PARTITION_ALLOC_COST = 0, /* alloc or realloc took longer than alloc_cost_max; the figure: how long */
    ACRE_PARTITION_FREE_COST,      /* free took longer than free_cost_max */
    ACRE_PARTITION_FRAGMENTATION,  /* the fragmentation became greater than its limit; the figure: per mille */
    ACRE_PARTITION_LEAK,           /* more blocks than leak_count_max are out; the figure: how many */
} acre_partition_breach;

#define ACRE_PARTITION_BREACH_COUNT 4

/* What the owner is promised, and promises. A limit of 0 is no limit, but for leaks. */
typedef struct acre_partition_contract {
    uint64_t (*clock)(void);  /* instructions, cycles or nanoseconds, growing; NULL: costs are not looked at */
    uint64_t alloc_cost_max;  /* by that clock, between two readings, one at each end of the call */
    uint64_t free_cost_max;
    uint32_t fragmentation_limit_per_mille;
    size_t leak_count_max;    /* so many blocks may be out in acre_partition_leaks and acre_partition_end; SIZE_MAX: any */
} acre_partition_contract;

/* Hears that a contract is broken, at the end of the call that broke it and in its context. Must not call into the partition (that is
 * refused). */
typedef void acre_partition_broken(void *context, const struct acre_partition *partition, acre_partition_breach breach, uint64_t figure);

typedef struct acre_partition_options {
    const char *name; /* for reports, not copied; NULL: "partition" */
    uint32_t owner;
    uint32_t others_may;
    acre_realtime_engine engine;
    size_t quota_bytes; /* ACRE_REALTIME_BYTES_MIN or more */
    size_t alignment;   /* of the whole partition, a power of two: as a protection unit wants it; 0: any */
    acre_partition_contract contract;
    acre_partition_broken *broken; /* may be NULL: breaches are counted */
    void *broken_context;
} acre_partition_options;

/* Lives in memory of the caller, at one address. The fields are for the implementation. */
typedef struct acre_partition {
    acre_partition_options options;
    acre_realtime *heap; /* of which it is a part */
    void *memory;
    acre_realtime blocks;
    uint32_t mark;
    uint32_t breach_counts[ACRE_PARTITION_BREACH_COUNT];
    uint64_t alloc_cost_worst;
    uint64_t free_cost_worst;
    size_t denied_count;
    uint32_t alarm_per_mille; /* the fragmentation that this call came to, when it crossed the limit */
    volatile bool is_inside;
} acre_partition;

typedef struct acre_partition_figures {
    acre_realtime_figures heap; /* bytes count with what stands behind each block */
    uint32_t breach_counts[ACRE_PARTITION_BREACH_COUNT];
    uint64_t alloc_cost_worst; /* 0 without a clock */
    uint64_t free_cost_worst;
    size_t denied_count; /* calls of callers who may not do that */
} acre_partition_figures;

/* An empty partition in a block of `heap`, which has room for the quota. ACRE_INVALID: a NULL, an unknown engine, a quota or alignment
 * that cannot be. ACRE_NO_MEMORY: the heap has no such block, or a call on it is interrupted. Nothing was changed then. Costs as
 * acre_realtime_init and one acre_realtime_alloc_aligned. */
ACRE_API acre_status acre_partition_init(acre_partition *partition, const acre_partition_options *options, acre_realtime *heap);

/* Gives the quota back to the heap. ACRE_BREACH: more than leak_count_max blocks are out (the contract is broken, and acre_partition_leaks
 * tells whose they are); ACRE_INVALID: NULL, or ended already; ACRE_BUSY; and what acre_realtime_free says of the block: nothing was
 * changed then. */
ACRE_API acre_status acre_partition_end(acre_partition *partition);

/* `size` bytes at the engine's alignment for `caller`; the call site is where this call returns to. NULL: no room, the caller may not
 * (counted), a call on the partition is interrupted, or NULL for `partition`. As many steps as acre_realtime_alloc, and a constant. */
ACRE_API void *acre_partition_alloc(acre_partition *partition, uint32_t caller, size_t size) ACRE_MUST_USE;

/* The same for functions that stand between: `site` is any address that tells where the block is from. */
ACRE_API void *acre_partition_alloc_at(acre_partition *partition, uint32_t caller, size_t size, const void *site) ACRE_MUST_USE;

/* Gives a block back. Returns what acre_realtime_free does, and ACRE_DENIED: the caller may not; nothing was changed then. */
ACRE_API acre_status acre_partition_free(acre_partition *partition, uint32_t caller, void *block);

/* As acre_realtime_realloc. The block stays of the caller, the call site and the mark that it was allocated with. NULL for `block` is an
 * alloc. */
ACRE_API void *acre_partition_realloc(acre_partition *partition, uint32_t caller, void *block, size_t size) ACRE_MUST_USE;

/* How many bytes a block has for its owner; 0 for what is no block in use. Any level. O(1). */
ACRE_API size_t acre_partition_usable_size(const acre_partition *partition, const void *block);

/* What a block of `size` bytes takes of a quota: for acre_realtime_bound. 0: more than any has. Any level. O(1). */
ACRE_API size_t acre_partition_block_bytes(acre_realtime_engine engine, size_t size);

/* Where the partition lies, and how many bytes it is long: for a wish of acre/domain.h. NULL and 0 for one that is not made. Any level.
 * O(1). */
ACRE_API void *acre_partition_memory(const acre_partition *partition, size_t *bytes);

/* ACRE_INVALID: a NULL. Any level. O(1). */
ACRE_API acre_status acre_partition_read_figures(const acre_partition *partition, acre_partition_figures *figures);

/* Marks this moment for acre_partition_leaks. Marks are numbers from 1 on; 0 is the beginning of the partition. 2^32 of them there
 * are. Any level. O(1). */
ACRE_API uint32_t acre_partition_mark(acre_partition *partition);

typedef struct acre_leak {
    const char *partition; /* its name */
    uint32_t owner;        /* the caller that allocated */
    const void *site;
    size_t block_count;
    size_t bytes; /* usable ones */
} acre_leak;

/* Rows of the caller; begin with count and left_out_count 0. Several partitions may add to one report. */
typedef struct acre_leak_report {
    acre_leak *leaks;
    size_t capacity;
    size_t count;
    size_t left_out_count; /* blocks for which there was no row */
} acre_leak_report;

/* Adds the blocks to `report` that were allocated since `mark` and are not freed, a row for each caller and call site. ACRE_BREACH: these
 * are more than leak_count_max; the report is complete. ACRE_NO_MEMORY: rows were missing. ACRE_CORRUPT: a header was overwritten, what
 * is behind it is not in the report. ACRE_BUSY. ACRE_INVALID: a NULL. O(blocks x rows), with buddy O(bytes) more; no calls on the
 * partition meanwhile, so not for code that has a deadline. */
ACRE_API acre_status acre_partition_leaks(acre_partition *partition, uint32_t mark, acre_leak_report *report);

#ifdef __cplusplus
}
#endif
#endif
