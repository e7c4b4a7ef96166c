/* manager.h - what the files of the device memory manager share.
 *
 * Three levels: an *entry* is an allocation, it lies in a *block*, which the driver gave, and which stands in the list of a *pool*: one of
 * the manager's own, a pool for each type, or one that a program opened. A pool's lock guards its list, its blocks and their entries; the
 * manager's lock the records and what was taken of each heap; a third lock the list of the pools that programs opened. That one is taken
 * first, then a pool's, then the manager's.
 */
#ifndef ACRE_GPU_MANAGER_H
#define ACRE_GPU_MANAGER_H

#include <acre/gpu.h>
#include <acre/offset_allocator.h>
#include <acre/pool.h>

#include "base/bits.h"
#include "gpu/records.h"
#include "os/os.h"

enum {
    ACRE_GPU_GRANULE_BYTES = 64, /* of blocks: smaller allocations than that are none for a device */
    ACRE_GPU_POOLS_MAX = 4096,
    ACRE_GPU_BLOCKS_MAX = 65536,
    ACRE_GPU_BLOCK_BYTES_MIN = 65536,
};

typedef struct acre_gpu_block acre_gpu_block;

typedef struct acre_gpu_entry {
    acre_record record;
    acre_gpu_block *block;
    acre_offset_block place; /* 0: the block is dedicated, or of slabs */
    uint64_t offset;
    uint64_t size_bytes; /* as asked for */
    void *user;
    const void *site;
    char *name;                  /* a record of its own behind an acre_record; NULL: none */
    struct acre_gpu_entry *next; /* in its block, for slabs and dedicated ones: entries that no offset allocator knows */
    struct acre_gpu_entry *previous;
    acre_gpu_block *to_block; /* while it is to be moved */
    acre_offset_block to_place;
    uint32_t map_count;      /* of the owner's; one more when it is mapped all its life */
    uint32_t flags;          /* of the request */
    uint8_t alignment_shift; /* of its place */
    uint8_t content;         /* acre_gpu_content */
} acre_gpu_entry;

struct acre_gpu_block {
    acre_record record;
    acre_gpu_block *next; /* in its pool's list, those with less room first */
    acre_gpu_block *previous;
    acre_gpu_pool *pool;
    acre_gpu_handle handle;
    uint64_t size_bytes;
    uint64_t used_bytes;  /* as places take them */
    uint64_t asked_bytes; /* as entries asked for */
    uint32_t entry_count;
    uint32_t map_count;
    void *pointer; /* while map_count > 0 */
    uint32_t priority_permille;
    uint8_t lifetime; /* of the request it was taken for */
    bool is_dedicated;
    bool is_kept_free;             /* a plan empties it: nothing is placed here */
    acre_gpu_entry *entries;       /* of slabs and dedicated ones */
    acre_offset_allocator offsets; /* general and linear */
    acre_pool slots;               /* slabs: of addresses that nobody uses */
    acre_addr words_base;
    uint64_t words_bytes;
};

struct acre_gpu_pool {
    acre_record record;
    acre_gpu *gpu;
    acre_gpu_pool *next; /* of the pools that programs opened */
    acre_gpu_pool *previous;
    acre_lock lock;
    uint32_t type;
    uint64_t block_bytes;
    bool is_size_fixed; /* block_bytes is what the program said */
    bool is_own;        /* one of the manager's */
    uint32_t block_count;
    uint32_t dedicated_count;
    uint32_t empty_count; /* blocks without an entry */
    uint64_t bytes;       /* of all blocks */
    acre_gpu_block *first;
    acre_gpu_block *last;
    uint32_t move_count;        /* of a plan that is not ended; while it is not 0: */
    acre_gpu_block *hold_block; /* what is to become one free extent lies here ... */
    acre_offset_block hold;     /* ... free extents of it are held: the first, whose word names the next */
    acre_gpu_pool_options options;
    char name[ACRE_GPU_NAME_MAX];
};

struct acre_gpu {
    acre_gpu_driver *driver;
    acre_gpu_device device;
    acre_gpu_options options;
    acre_space own_space;
    acre_space *space;
    acre_lock lock;
    uint64_t heap_bytes[ACRE_GPU_HEAPS_MAX]; /* taken from the driver; changed under the lock, read without it */
    uint32_t block_count;
    acre_records entries;
    acre_records names;
    acre_records blocks;
    acre_records pools;
    acre_records partings;
    acre_lock partings_lock;
    struct parting *first_parting, *last_parting; /* freed behind work of the device, parting.c */
    acre_lock opened_lock;
    acre_gpu_pool *opened;                      /* pools of programs */
    acre_gpu_pool *by_type[ACRE_GPU_TYPES_MAX]; /* the manager's own */
    acre_addr base;                             /* of this structure, in the space */
    uint64_t reserved_bytes;
};

/* ---- blocks ---- */

/* What an allocation needs, once alignment and pages are settled. */
typedef struct acre_gpu_need {
    const acre_gpu_request *request;
    uint64_t size_bytes;
    uint64_t alignment_bytes;
    uint32_t priority_permille;
} acre_gpu_need;

acre_gpu_need acre_gpu_need_of(const acre_gpu_pool *pool, const acre_gpu_request *request);

/* Finds or takes a block and a place in it, and writes them to the entry. The pool's lock is held. ACRE_NO_MEMORY, or the driver's. */
acre_status acre_gpu_place(acre_gpu_pool *pool, const acre_gpu_need *need, acre_gpu_entry *entry);

/* Moves an entry to the place that is held for it. The pool's lock is held. */
acre_status acre_gpu_change_place(acre_gpu_entry *entry);

/* Takes the entry out of its place; an empty block goes back to the driver when another one is there. The pool's lock is held. */
void acre_gpu_leave(acre_gpu_entry *entry);

/* A place in this block, without an entry. ACRE_NO_MEMORY: it has no room. */
acre_status acre_gpu_place_in(acre_gpu_block *block, const acre_gpu_need *need, acre_offset_strategy strategy, acre_offset_block *place,
                              uint64_t *offset);
void acre_gpu_leave_place(acre_gpu_block *block, acre_offset_block place);

acre_status acre_gpu_add_block(acre_gpu_pool *pool, uint64_t size_bytes, const acre_gpu_need *need, acre_gpu_block **block);
void acre_gpu_drop_block(acre_gpu_block *block);

/* Gives empty blocks back until `keep` are left; returns how many bytes. */
uint64_t acre_gpu_drop_empty(acre_gpu_pool *pool, uint32_t keep);

acre_status acre_gpu_map_block(acre_gpu_block *block);
void acre_gpu_unmap_block(acre_gpu_block *block);

/* Used and limit of a heap, as the driver or the manager's own account say. */
void acre_gpu_read_budget(acre_gpu *gpu, uint32_t heap, uint64_t *used_bytes, uint64_t *limit_bytes);

/* The strategy of the engine that a request's stands for in this pool. */
acre_offset_strategy acre_gpu_strategy_of(const acre_gpu_pool *pool, const acre_gpu_request *request);

/* The pool behind this one, first the manager's own; NULL: none. The caller holds `opened_lock`, and takes each pool's. */
acre_gpu_pool *acre_gpu_next_pool(acre_gpu *gpu, const acre_gpu_pool *pool);

/* The word of an extent that is out: whose it is, and what for. */
enum { ACRE_GPU_WORD_ENTRY = 0, ACRE_GPU_WORD_TARGET = 1, ACRE_GPU_WORD_HOLD = 2, ACRE_GPU_WORD_BITS = 2 };

/* The entry that lies there; NULL: it is free, held, or the target of a move. */
static inline acre_gpu_entry *acre_gpu_entry_of(const acre_offset_extent *extent)
{
    const bool is_entry = extent->is_out && (extent->user & ((1u << ACRE_GPU_WORD_BITS) - 1)) == ACRE_GPU_WORD_ENTRY;
    return is_entry ? (acre_gpu_entry *)(uintptr_t)extent->user : NULL;
}

/* Whether the driver's table reaches to an operation and has it. */
#define ACRE_GPU_HAS(gpu, operation)                                                                                                       \
    ((gpu)->driver->ops->size_bytes >= offsetof(acre_gpu_driver_ops, operation) + sizeof(void (*)(void)) &&                                \
     (gpu)->driver->ops->operation != NULL)

/* For calls that cannot fail as long as our own notes are right. */
static inline void acre_gpu_must(acre_status status)
{
    assert(status == ACRE_OK);
    (void)status;
}

/* ---- parting.c ---- */

#define ACRE_GPU_PARTING (1u << 31) /* of an entry: freed, and not yet given back. Changed under the pool's lock, read without it */

size_t acre_gpu_parting_bytes(void);

/* Gives back a little of what the device is done with. */
void acre_gpu_collect_some(acre_gpu *gpu);

/* Gives an entry's place back, and the entry. No lock is held. */
void acre_gpu_free_entry(acre_gpu *gpu, acre_gpu_entry *entry);

/* ---- gates ---- */

/* The record and the name of an entry that has no place any more. A pool's lock may be held. */
void acre_gpu_drop_entry(acre_gpu *gpu, acre_gpu_entry *entry);

acre_gpu_entry *acre_gpu_find(acre_gpu *gpu, acre_gpu_memory memory, const char *operation);

static inline const acre_gpu_type *acre_gpu_type_of(const acre_gpu_pool *pool) { return &pool->gpu->device.types[pool->type]; }

/* The flush of this memory is needed, and its size has to be whole atoms. */
static inline uint64_t acre_gpu_atom_of(const acre_gpu_pool *pool)
{
    const uint32_t flags = acre_gpu_type_of(pool)->flags;
    const bool is_coherent = (flags & ACRE_GPU_HOST_COHERENT) != 0 || (flags & ACRE_GPU_HOST_VISIBLE) == 0;
    return is_coherent ? 1 : pool->gpu->device.atom_bytes;
}

#endif
