/* guarded.h - a heap that checks: see acre/guard.h for what the levels find.
 *
 * With L1 or L2 every call of the heap comes here: around the plain alloc and free of heap.c, which take and give blocks, it keeps what it
 * knows of each block apart from it (guard/block_state.h: a byte a granule, in leaves that cover what the page map's leaves cover; at L2
 * also the numbers of two call sites), and writes canary and poison where the heap's addresses are pointers.
 *
 * L3 alone leaves the fast path to the blocks that it does not choose: the choice is a stop in the magazine, as for samples.
 */
#ifndef ACRE_HEAP_GUARDED_H
#define ACRE_HEAP_GUARDED_H

#include "guard/page_pool.h"
#include "guard/quarantine.h"
#include "guard/site.h"
#include "heap/heap.h"

struct acre_heap_guard {
    bool has_checks;          /* L1, L2 */
    bool has_quarantine;      /* L2 */
    bool is_host;             /* canary and poison can be written */
    bool is_quick;            /* L1 alone */
    uint32_t pages_one_in;    /* 0: no guard pages */
    uint32_t pages_in_period; /* chosen in it */
    uint64_t pages_period;
    uint8_t **states; /* by slot of the page map: leaves of a byte a granule */
    uint32_t **sites; /* at L2: the same with a number; the first of a block is where it was allocated, the second where it was freed */
    acre_site_entry *site_table; /* NULL: not kept */
    acre_lock lock;              /* of the leaves and the quarantine */
    acre_quarantine quarantine;
    uint64_t now_ns; /* a moment ago */
    uint32_t put_count;
    acre_page_pool pool;
};

/* What a caller of free says about the block; 0: nothing. */
typedef struct acre_free_claim {
    uint64_t size_bytes;
    uint64_t alignment;
} acre_free_claim;

/* Turns the heap's guard on, for what is allocated from here on; limits of 0 get their defaults. Nothing changes on an error. */
acre_status acre_guard_open(acre_heap *heap, acre_guard_level level, const acre_guard_limits *limits);

/* Looks at what waits, and gives the guard pages back. NULL guard: nothing. */
void acre_guard_close(acre_heap *heap);

/* With checks: what acre_alloc_aligned, acre_free_any and acre_resize_any do. Free takes blocks in guard pages in any case. */
acre_addr acre_guard_alloc(acre_heap *heap, uint64_t size, uint64_t alignment, acre_heap_op op, bool *is_zero);
void acre_guard_free(acre_heap *heap, acre_addr address, const char *operation, const acre_free_claim *claim);
void *acre_guard_resize(acre_heap *heap, void *block, size_t size, const char *operation);

/* A block that ends at a guard page; 0: none is to be had. */
acre_addr acre_guard_page_alloc(acre_heap *heap, uint64_t size, uint64_t alignment, acre_heap_op op);

/* Gives one back, after the same looks as acre_guard_free. */
void acre_guard_page_free(acre_heap *heap, acre_addr address, const char *operation, const acre_free_claim *claim);

/* Its slots; and faults of the processor in them are heard. */
acre_status acre_guard_pages_open(acre_heap *heap, acre_heap_guard *guard);
void acre_guard_pages_close(acre_heap *heap);

/* True for one call in pages_one_in. */
bool acre_guard_is_page_due(const acre_heap *heap, acre_cache *cache);

/* True when the address lies in a slot of the heap's guard pages. */
static inline bool acre_guard_has_page(const acre_heap *heap, acre_addr address)
{
    return heap->guard != NULL && acre_page_pool_has(&heap->guard->pool, address);
}

/* The block in guard pages that holds the byte; false: none that is in use. */
bool acre_guard_page_block(const acre_heap *heap, acre_addr address, acre_block *block);

/* How many bytes of a block were asked for, its room where that is not known, 0 where no block begins. With checks. O(1). */
uint64_t acre_guard_asked(const acre_heap *heap, acre_addr block);

/* False: the block waits in the quarantine, or was freed and is held ready. With checks. */
bool acre_guard_is_out(const acre_heap *heap, acre_addr block);

/* Looks at the poison of every block that waits; returns how many were damaged. */
uint64_t acre_guard_check_waiting(acre_heap *heap);

/* Units have become a span of small blocks, none of which is out. */
void acre_guard_forget(acre_heap *heap, acre_addr base, uint64_t unit_count);

#endif
