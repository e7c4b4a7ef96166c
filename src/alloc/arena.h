/* arena.h - runs of 16 KiB units out of the ranges of one space: spans for small blocks, and large blocks.
 *
 * The arena reserves *regions* from its space and commits them from the bottom up, as they are first used. A run that comes
 * back is joined with its free neighbours at once (their descriptors are boundary tags) and put into a list by its length:
 * one list a length up to 64 units, then eight a doubling. A bitmap tells which lists have runs, so finding a run
 * is O(1): the shortest that fits up to 1 MiB, at most 1/8 longer than that above. What was never used is taken last, so
 * that memory which is already there is used first.
 *
 * Freed units stay *dirty* until purged. A run says whether all of it reads as zero.
 *
 * Thread safe: one lock an arena; system calls other than commit and reserve are made outside of it.
 */
#ifndef ACRE_ALLOC_ARENA_H
#define ACRE_ALLOC_ARENA_H

#include "alloc/demand.h"
#include "alloc/span.h"

enum {
    ACRE_BIN_EXACT_MAX = 64, /* runs up to here have a list of their own length */
    ACRE_BIN_STEPS = 8,      /* lists a doubling above */
    ACRE_BIN_DOUBLINGS = 26, /* up to 2^32 units, 64 TiB */
    ACRE_BIN_COUNT = ACRE_BIN_EXACT_MAX + ACRE_BIN_STEPS * ACRE_BIN_DOUBLINGS,
    ACRE_BIN_TRIES_MAX = 8,  /* runs of the very list of a long request that are looked at */
};

typedef struct acre_arena acre_arena;

struct acre_region {
    acre_region *next;
    acre_arena *arena;
    acre_addr base;
    uint64_t unit_count;
    uint64_t used_count;      /* units below have been handed out at least once */
    uint64_t committed_count; /* used_count <= committed_count <= unit_count */
};

typedef struct acre_arena_figures {
    uint64_t reserved_bytes;
    uint64_t committed_bytes;
    uint64_t run_bytes;   /* in runs that are handed out */
    uint64_t dirty_bytes; /* free, but not given back */
    uint64_t purged_bytes; /* given back since the beginning */
} acre_arena_figures;

struct acre_arena {
    acre_space *space;
    acre_page_map *map;
    acre_meta *meta;
    acre_region *regions; /* the one in use first */
    acre_region *unused_regions; /* descriptors without a region */
    uint64_t region_bytes; /* how much to reserve at a time */
    acre_lock lock;
    acre_arena_figures figures; /* changed under the lock, atomically: some are read without */
    acre_demand demand;         /* of run_bytes */
    uint64_t take_count;
    uint32_t purging_count; /* parts of free runs that are on their way to the space */
    acre_word bin_words[ACRE_WORDS(ACRE_BIN_COUNT)];       /* bit set: the list is not empty */
    acre_word dirty_bin_words[ACRE_WORDS(ACRE_BIN_COUNT)]; /* bit clear: no run of the list is dirty */
    acre_span *bins[ACRE_BIN_COUNT];
};

/* Takes nothing from the space. `region_bytes` is a multiple of the unit; the arena halves it when the space refuses. */
void acre_arena_init(acre_arena *arena, acre_space *space, acre_page_map *map, acre_meta *meta, uint64_t region_bytes);

/* A run of `unit_count` committed units whose address is a multiple of `alignment` (a power of two), SMALL or LARGE. NULL: the
 * space or the meta space is exhausted, and nothing has changed. The class bytes of the run are ACRE_CLASS_NONE. `*is_zero` says whether
 * all of it reads as zero. O(1) but for commit and a byte a unit. */
acre_span *acre_arena_take(acre_arena *arena, uint64_t unit_count, uint64_t alignment, acre_span_kind kind,
                           bool *is_zero);

/* Gives a run back, joined with its neighbours. `is_clean`: it reads as zero and has no memory behind it. O(units / 8). */
void acre_arena_give(acre_arena *arena, acre_span *run, bool is_clean);

/* Makes a run longer in place, if what follows it is free. The new units are part of the run, class byte NONE. */
bool acre_arena_extend(acre_arena *arena, acre_span *run, uint64_t unit_count, bool *is_zero);

/* Cuts a run to its first `unit_count` units and gives the rest back. */
void acre_arena_shrink(acre_arena *arena, acre_span *run, uint64_t unit_count);

/* Gives dirty free memory back to the space, longest runs first, until no more than `keep_bytes` are dirty or only runs
 * shorter than `run_bytes_min` are left. Returns how many bytes it gave back. 0 where the space cannot purge. Where nothing can be
 * given back it is O(1) in the long run, however many clean runs there are: a list is looked through once for each dirty run in it. */
uint64_t acre_arena_purge(acre_arena *arena, uint64_t keep_bytes, uint64_t run_bytes_min);

/* Releases every region. No run may be used any more. */
void acre_arena_destroy(acre_arena *arena);

acre_arena_figures acre_arena_read_figures(acre_arena *arena);

/* The most that was handed out at one time in the last two seconds; `*run_bytes` is what is handed out now. */
uint64_t acre_arena_demand(acre_arena *arena, uint64_t now_ns, uint64_t *run_bytes);

/* Without the lock: as old as the call. */
static inline uint64_t acre_arena_dirty_bytes(const acre_arena *arena) { return acre_load_figure(&arena->figures.dirty_bytes); }
static inline uint64_t acre_arena_run_bytes(const acre_arena *arena) { return acre_load_figure(&arena->figures.run_bytes); }
static inline uint64_t acre_arena_take_count(const acre_arena *arena) { return acre_load_figure(&arena->take_count); }

/* True when every free run is in the list it belongs to, joined with its neighbours, and the figures add up. O(units). */
bool acre_arena_is_valid(acre_arena *arena);

/* The list for runs of `unit_count` units. O(1). */
unsigned acre_bin_of(uint64_t unit_count);

#endif
