/* page_pool.h - blocks that end at a page without access, and lose their own pages when they are freed.
 *
 * A range of address space in *slots* of 32 KiB. The last page of a slot never has access; a block ends where that page begins, or up to
 * alignment - 1 bytes earlier, and what is in front of its first page has no access either. A freed slot has none at all, and waits
 * until all that were freed before it have been used again. So an access beyond the block, or to a freed one, is a fault of the processor,
 * and the slot's record tells which block it was.
 *
 * One lock a pool. Alloc and free are two system calls at most.
 */
#ifndef ACRE_GUARD_PAGE_POOL_H
#define ACRE_GUARD_PAGE_POOL_H

#include "os/os.h"

#include <acre/guard.h>

enum {
    ACRE_SLOT_SHIFT = 15,
    ACRE_SLOT_BYTES = 1 << ACRE_SLOT_SHIFT,
    ACRE_SLOT_COUNT = 2048,
    ACRE_SLOT_FRESH_COUNT = 256, /* as many are used before the first is used again */
    ACRE_SLOT_BLOCK_BYTES_MAX = ACRE_SLOT_BYTES - 4096,
};

typedef enum acre_slot_state { ACRE_SLOT_UNUSED, ACRE_SLOT_LIVE, ACRE_SLOT_FREED } acre_slot_state;

typedef struct acre_page_slot {
    acre_addr block;
    uint32_t asked_bytes;
    uint32_t state; /* acre_slot_state */
    uint32_t next;  /* that was freed after this one */
    bool is_new;    /* by operator new */
    acre_site alloc_site;
    acre_site free_site;
} acre_page_slot;

typedef struct acre_page_pool {
    acre_addr base; /* 0: not open */
    acre_page_slot *slots;
    acre_lock lock;
    uint32_t used_count; /* slots that were ever used: those below */
    uint32_t freed_count;
    uint32_t first_freed, last_freed;
} acre_page_pool;

/* `slots`: ACRE_SLOT_COUNT records of zeroed memory. */
acre_status acre_page_pool_open(acre_page_pool *pool, acre_page_slot *slots);
void acre_page_pool_close(acre_page_pool *pool);

static inline bool acre_page_pool_has(const acre_page_pool *pool, acre_addr address)
{
    return pool->base != 0 && address - pool->base < (acre_addr)ACRE_SLOT_BYTES * ACRE_SLOT_COUNT;
}

/* The record of the slot at an address that the pool has. */
static inline acre_page_slot *acre_page_pool_slot(const acre_page_pool *pool, acre_addr address)
{
    return &pool->slots[(address - pool->base) >> ACRE_SLOT_SHIFT];
}

/* A block that reads as zero; NULL when it does not fit a slot or none is left. */
acre_page_slot *acre_page_pool_alloc(acre_page_pool *pool, uint64_t size, uint64_t alignment);

/* The slot was LIVE, and the caller has made it FREED. */
void acre_page_pool_free(acre_page_pool *pool, acre_page_slot *slot);

#endif
