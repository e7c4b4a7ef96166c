/* heap.h - the parts of a heap: see acre/heap.h for what it does.
 *
 *     magazine   two arrays of addresses a class and thread: malloc pops from one, free pushes on the other, and they change
 *                places when the one is empty or full. So the address just freed is not the next one handed out at
 *                once, which would make each malloc wait for the store of the free before it.
 *     cache      the magazines of one thread for one heap, and for each class the span that the thread takes blocks from
 *     depot      per class: a lock and the spans that have free blocks and no owner
 *     arena      runs of units: new spans, and large blocks
 *
 * Whatever must happen on every malloc or free (recording, guarding) makes the fast path find empty magazines: then every
 * call takes the slow path, which knows the thread's real ones. What is switched off costs nothing.
 */
#ifndef ACRE_HEAP_HEAP_INTERNAL_H
#define ACRE_HEAP_HEAP_INTERNAL_H

#include "alloc/arena.h"
#include "heap/compaction.h"

#include <acre/heap.h>

enum {
    ACRE_MAGAZINE_BLOCKS_MAX = 256,
    ACRE_MAGAZINE_BYTES_MAX = 32 * 1024,       /* of blocks in one array: what a class holds back from other threads */
    ACRE_MAGAZINE_BYTES_MAX_BEYOND = 8 * 1024, /* the same for sizes beyond the table, which no fast path serves */
    ACRE_REFILL_BLOCKS_FIRST = 4,              /* a class that a thread hardly uses touches few pages; each refill doubles it */
    ACRE_ROUND_BYTES = 4 * 1024,               /* with as many in an array, a thread that frees soon changes arrays seldom */
};

/* Every array has a 0 below its first address, so that popping needs no comparison of ends. */
typedef struct acre_magazine {
    acre_addr *top;    /* next to pop; points at a 0 when there is none */
    acre_addr *put;    /* where the next freed address goes */
    acre_addr *end;    /* put == end: full */
    acre_addr *bottom; /* the 0 below the array that is popped */
} acre_magazine;

typedef struct acre_cache {
    acre_magazine magazines[ACRE_CLASS_BYTES]; /* by class byte: what is no small class has one that is full and empty */
    acre_heap *heap;
    struct acre_cache *next; /* in the heap's list of all caches; never taken out */
    acre_span *current[ACRE_CLASS_COUNT + 1];
    uint16_t refill_count[ACRE_CLASS_COUNT + 1]; /* blocks to take at the next refill */
    uint16_t round_count[ACRE_CLASS_COUNT + 1];  /* freed blocks that are enough to change arrays */
    acre_addr *slots[ACRE_CLASS_COUNT + 1];      /* both arrays of a class, one after the other */
    int64_t sample_left[ACRE_CLASS_COUNT + 2];   /* bytes to allocate until the next sample; the last is for large blocks */
    uint32_t swept_marks[ACRE_CLASS_COUNT + 1];  /* what its magazine looked like at the last sweep */
    uint32_t fresh_unit_count;                   /* taken from the arena since then */
    uint32_t change_left;   /* changes of arrays until compaction is looked at */
    uint32_t compact_every; /* what it is set to then: while spans are to drain, one array of freed blocks in so many goes back */
    uint32_t look_count;    /* changes since the last look at how sparse spans are */
    bool is_compacted[ACRE_CLASS_COUNT + 1];
    acre_compaction compaction;
    uint64_t random;
    int64_t out_bytes; /* of small blocks: taken less given back by this thread. Read by others */
    uint32_t is_used;  /* a thread has it */
} acre_cache;

typedef struct acre_heap_guard acre_heap_guard; /* heap/guarded.h */

typedef struct acre_depot {
    acre_lock lock;
    acre_span *first; /* listed last: mostly the fullest */
    acre_span *last;
} acre_depot;

/* What a heap tells about single blocks, for recording and sampling. Called with no lock held; may not use the heap. */
typedef enum acre_heap_op {
    ACRE_HEAP_OP_ALLOC,
    ACRE_HEAP_OP_CALLOC,
    ACRE_HEAP_OP_REALLOC,
    ACRE_HEAP_OP_ALIGNED,
    ACRE_HEAP_OP_NEW,
    ACRE_HEAP_OP_FREE,
} acre_heap_op;

typedef struct acre_heap_event {
    acre_heap_op op;
    acre_addr address;
    acre_addr old_address; /* REALLOC */
    uint64_t size_bytes;   /* as asked for */
    uint64_t alignment;    /* ALIGNED */
    uint64_t weight_bytes; /* of a sample: the bytes that it stands for, else 0 */
    const void *frame;     /* __builtin_frame_address(0) of a function that the caller's stack has led through; NULL: not known */
} acre_heap_event;

typedef void acre_heap_observer(const acre_heap_event *event);

struct acre_heap {
    acre_space *space;
    acre_meta meta;
    acre_page_map *map;
    acre_arena arena;
    acre_depot depots[ACRE_CLASS_COUNT + 1];
    acre_depot watched_depots[ACRE_CLASS_COUNT + 1]; /* spans of blocks whose free must be seen */
    acre_cache *caches;
    acre_lock lock; /* of the list of caches */
    const char *name;
    uint64_t serial;      /* tells heaps apart that had the same index */
    unsigned index;       /* among the heaps of the process */
    ptrdiff_t slot_offset; /* of its entry in acre_thread, from acre_thread_base */
    int64_t direct_bytes; /* of small blocks that were taken and given without a cache */
    int64_t large_bytes;
    uint64_t meshed_bytes; /* of spans that show the memory of others */
    uint64_t take_count_at_purge;    /* how busy it was when the purge job last looked */
    uint32_t purge_steps;            /* of the job since it began */
    acre_scheduler *purge_scheduler; /* of the thread that purges; NULL: none does */
    uint32_t wants_purge;            /* somebody who may call malloc shall ask for the thread */
    uint32_t is_purge_asked;         /* and has done so; the thread takes it back */
    uint64_t sample_bytes;       /* mean distance of samples; 0: none */
    acre_heap_observer *observer;
    bool is_recording;    /* every event goes to the observer */
    bool is_slow;         /* every call takes the slow path: while recording, and with checks */
    bool has_lost_ready;  /* this process began as a fork, and other threads held blocks ready then: they are out, and nobody's */
    acre_heap_guard *guard;      /* NULL: level L0 */
    uint64_t guard_stop_blocks;  /* L3 alone: mean distance of blocks in guard pages, counted in blocks; 0: none */
    acre_space own_space; /* used when the caller gave none */
    acre_space own_meta_space;
    acre_page_map own_map; /* of a space of fixed size: its descriptors too come from the meta space given */
    uint8_t *own_root;
};

/* The map of all heaps over pages, so that a free finds the block by its address alone. Its leaves stay for good. */
extern acre_page_map acre_host_map;
extern uint8_t *acre_host_root[ACRE_HOST_SLOT_COUNT];

/* ---- the thread ---- */

/* Its cache of the process's heap: what malloc and free look at, and what is behind it. The first is acre_no_cache while the
 * thread has none, or while every call must take the slow path. */
#define ACRE_FAST_TLS __attribute__((tls_model("initial-exec")))
extern _Thread_local acre_cache *acre_fast_cache ACRE_FAST_TLS;
extern acre_cache acre_no_cache;

/* Its caches of all heaps, by the heap's index. Whether an entry is still the heap's is told by the serial number. */
typedef struct acre_thread_slot {
    acre_cache *fast; /* the cache, or acre_no_cache where every call must take the slow path */
    uint64_t serial;  /* 0: none */
    acre_cache *cache;
} acre_thread_slot;

typedef struct acre_thread_caches {
    acre_thread_slot slots[ACRE_HEAP_COUNT_MAX];
    bool is_ending;
} acre_thread_caches;

extern _Thread_local acre_thread_caches acre_thread ACRE_FAST_TLS;

/* The process's heap, made at the first call; NULL when there is no memory for it. */
acre_heap *acre_process_heap(void);

/* Sets what is told to whom: samples of about one in `sample_bytes` bytes, or with `is_recording` everything. Before the first
 * other thread starts. */
void acre_heap_observe(acre_heap *heap, acre_heap_observer *observer, uint64_t sample_bytes, bool is_recording);

/* After a change of what is recorded or checked: whether every call takes the slow path, and where the next stops are. */
void acre_heap_follow_switches(acre_heap *heap);

acre_status acre_heap_init(acre_heap *heap, const acre_heap_options *options, const acre_meta *meta);

/* The cache of the calling thread for a heap; NULL when the thread is ending, or there is no memory. */
acre_cache *acre_cache_of(acre_heap *heap);

/* The block in which an address lies, out or free; false: in none. `is_told`, if not NULL: the observer was told of it. Any number is
 * allowed, and so are other threads that change the heap meanwhile: then the answer may be of either state, or of none. O(1) but for large
 * blocks: O(units before the address). */
bool acre_heap_block_of(const acre_heap *heap, acre_addr address, acre_block *block, bool *is_told);

/* Of the heap's block_bytes: what threads hold ready, roughly. O(threads). */
uint64_t acre_heap_ready_bytes(const acre_heap *heap);

/* ---- the slow paths; `op` is for the observer ---- */

void *acre_alloc_slow(size_t size, acre_heap_op op);
acre_addr acre_alloc_aligned(acre_heap *heap, uint64_t size, uint64_t alignment, acre_heap_op op, bool *is_zero);
void acre_free_slow(acre_addr address, const char *operation);
void *acre_resize_any(acre_heap *heap, void *block, size_t size, const char *operation);

/* Any block but 0. `is_told`: the observer knows of it already. */
void acre_free_any(acre_heap *heap, acre_addr address, const char *operation, bool is_told);

/* As acre_free_slow, from a caller who says what the block is; 0: says nothing. */
void acre_free_slow_sized(acre_addr address, const char *operation, uint64_t size, uint64_t alignment);

/* ---- the heap without its guard ---- */

/* A block of `room` bytes; the observer is told of `size`. */
acre_addr acre_alloc_plain(acre_heap *heap, uint64_t room, uint64_t size, uint64_t alignment, acre_heap_op op, bool *is_zero);
void acre_free_plain(acre_heap *heap, acre_addr address, const char *operation, bool is_told);

/* The span of the block that begins at an address, NULL when no block of this heap does. `*kind` says why not. */
acre_span *acre_block_at(const acre_heap *heap, acre_addr address, acre_fault_kind *kind);
uint64_t acre_room_of(const acre_span *span);

/* A small block stays where it is if it has room and would not waste more than half of it. */
static inline bool acre_stays(uint64_t room, uint64_t size) { return size <= room && (size >= room / 2 || room <= 128); }

/* A large block that stays large, without copying or into memory that is there. 0: it has to be copied. */
acre_addr acre_resize_large(acre_heap *heap, acre_span *run, uint64_t size, bool was_told);

/* Tells that a block has become another (or has another size), before the old one can be anybody else's. While sampling each size is
 * an allocation of its own, sampled anew: the block is told of from here on only if `weight` says so. */
void acre_tell_resized(acre_heap *heap, acre_addr from, bool was_told, acre_addr to, uint64_t size, uint64_t weight);

/* ---- the fast paths ---- */

/* The magazine of a class byte. By bytes, because compilers otherwise work out the address of each field anew. */
static inline acre_magazine *acre_magazine_of(acre_cache *cache, unsigned class)
{
    return (acre_magazine *)(void *)((char *)cache + offsetof(acre_cache, magazines) + class * sizeof(acre_magazine));
}

/* For each multiple of 16, how far into a cache the magazine lies of the class that serves it. */
extern const uint16_t acre_magazine_offsets[ACRE_TABLE_BYTES_MAX / 16 + 1];

static inline acre_magazine *acre_magazine_for(acre_cache *cache, size_t size)
{
    return (acre_magazine *)(void *)((char *)cache + acre_magazine_offsets[(size + 15) / 16]);
}

/* From where a heap's slot is found by one addition, in every thread. */
static inline char *acre_thread_base(void) { return acre_os_thread_base(&acre_thread); }

/* What the thread's fast paths look at for a heap. */
static inline acre_cache *acre_fast_cache_of(const acre_heap *heap)
{
    const acre_thread_slot *const slot = (const acre_thread_slot *)(const void *)(acre_thread_base() + heap->slot_offset);
    return acre_likely(slot->serial == heap->serial) ? slot->fast : &acre_no_cache;
}

/* 0: the magazine is empty, or a sample is due. */
static inline acre_addr acre_magazine_pop(acre_magazine *magazine)
{
    const acre_addr address = *magazine->top;
    if (acre_likely(address != 0)) magazine->top--;
    return address;
}

static inline bool acre_magazine_push(acre_magazine *magazine, acre_addr address)
{
    acre_addr *const put = magazine->put;
    if (acre_unlikely(put == magazine->end)) return false;
    *put = address;
    magazine->put = put + 1;
    return true;
}

static inline void *acre_fast_alloc(size_t size, acre_heap_op op)
{
    if (acre_likely(size <= ACRE_TABLE_BYTES_MAX)) {
        const acre_addr address = acre_magazine_pop(acre_magazine_for(acre_fast_cache, size));
        if (acre_likely(address != 0)) return (void *)(uintptr_t)address;
    }
    return acre_alloc_slow(size, op);
}


static inline void acre_fast_free(void *block, const char *operation)
{
    unsigned class;
    if (acre_likely(acre_window_class(&acre_host_map, (uintptr_t)block, &class)) &&
        acre_likely(acre_magazine_push(acre_magazine_of(acre_fast_cache, class), (uintptr_t)block))) {
        return;
    }
    if (block != NULL) acre_free_slow((uintptr_t)block, operation);
}

/* The class of a block of the process's heap, where that can be told without its span: it is small, its span is one unit, and no call
 * has to take the slow path. 0 else, and when `block` is no place where a block begins. */
static inline unsigned acre_fast_class(const void *block)
{
    unsigned class;
    if (!acre_window_class(&acre_host_map, (uintptr_t)block, &class) || class - ACRE_CLASS_FIRST >= ACRE_CLASS_COUNT) return 0;
    const acre_size_class *const facts = &acre_size_classes[class];
    const uint64_t offset = (uintptr_t)block % ACRE_UNIT_BYTES;
    const uint64_t index = acre_block_index_by(facts->reciprocal, offset);
    if (facts->unit_count != 1 || index >= facts->capacity || index * facts->block_bytes != offset) return 0;
    return acre_fast_cache != &acre_no_cache ? class : 0;
}

/* The same where the caller says the size and the alignment: what it says is looked at on the slow path only. */
static inline void acre_fast_free_sized(void *block, const char *operation, uint64_t size, uint64_t alignment)
{
    const uint64_t unit = ((uintptr_t)block - acre_host_map.window_base) >> ACRE_UNIT_SHIFT;
    if (acre_likely(unit < acre_host_map.window_units) &&
        acre_magazine_push(acre_magazine_of(acre_fast_cache, acre_host_map.window_classes[unit]), (uintptr_t)block)) {
        return;
    }
    if (block != NULL) acre_free_slow_sized((uintptr_t)block, operation, size, alignment);
}

#endif
