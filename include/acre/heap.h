/* heap.h - blocks of any size out of any space, by any number of threads.
 *
 * A heap never reads or writes the memory that it manages: what it knows lies in the meta space. So the same heap works
 * over pages, a file, a static array, secret memory, a range that faults when touched, and addresses that are no pointers.
 *
 *     acre_heap *heap;
 *     if (acre_heap_create(&(acre_heap_options){.name = "parser"}, &heap) != ACRE_OK) puts(acre_last_error());
 *     char *text = acre_heap_alloc(heap, 100);
 *     acre_heap_free(heap, text);
 *     acre_heap_destroy(heap);
 *
 * Costs. A block of at most 8 KiB: alloc and free pop and push in an array of the thread, 16 and 18 instructions behind malloc, no lock,
 * no atomic instruction. When the array runs empty or full (every 1 to 256 calls) whole words of a bitmap are claimed or
 * given back without a lock; a span that runs out costs one lock. Larger blocks: one lock, O(1), and a byte a 16 KiB.
 * Memory beside the blocks: 1.2 % for descriptors, and at most 72 KiB a thread.
 * Blocks of 128 bytes to 8 KiB are at most 12.5 % larger than asked for; all are aligned to 16.
 *
 * Example: examples/static_array.c.
 */
#ifndef ACRE_HEAP_H
#define ACRE_HEAP_H

#include <acre/allocator.h>
#include <acre/guard.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_heap acre_heap;

typedef struct acre_heap_options {
    acre_space *space;      /* where blocks come from; NULL: pages of the heap's own */
    acre_space *meta_space; /* where descriptors lie; needs ACRE_CAP_HOST_ACCESS. NULL: pages of the heap's own */
    const char *name;       /* for messages and reports, not copied; NULL: "heap" */
    acre_guard_level guard; /* what is checked: see guard.h */
    acre_guard_limits guard_limits;
} acre_heap_options;

#define ACRE_HEAP_COUNT_MAX 64 /* heaps that exist at one time, the one behind malloc included */

/* Makes an empty heap. Both spaces must stay open until it is destroyed. `options` NULL means all defaults.
 * ACRE_INVALID: `heap` is NULL, the meta space has no host access, there are ACRE_HEAP_COUNT_MAX heaps, or the guard level or a limit
 * is unknown. ACRE_UNSUPPORTED: guard pages over anything but pages. ACRE_NO_MEMORY: the meta space is exhausted, or a space of fixed
 * size has not even one 16 KiB unit. */
ACRE_API acre_status acre_heap_create(const acre_heap_options *options, acre_heap **heap);

/* The heap that malloc uses where libacre-malloc is loaded, and that anybody may use elsewhere. Never destroyed. NULL: there
 * is no memory for it. Thread safe. */
ACRE_API acre_heap *acre_heap_of_process(void);

/* Gives everything back, blocks in use included. No thread may use the heap or its blocks any more. NULL is ignored. */
ACRE_API void acre_heap_destroy(acre_heap *heap);

/* `size` bytes aligned to 16; size 0 gives the smallest block. NULL with errno ENOMEM when the space is exhausted or has no
 * host access. Thread safe. */
ACRE_API void *acre_heap_alloc(acre_heap *heap, size_t size) ACRE_MUST_USE;

/* `size` bytes at a multiple of `alignment`, a power of two. 0 when it cannot be had: see acre_last_error(). Works for
 * every space. `hints` may be NULL; of them, this heap follows huge_pages, for blocks of 2 MiB and more. Thread safe. */
ACRE_API acre_addr acre_heap_alloc_address(acre_heap *heap, uint64_t size, uint64_t alignment, const acre_hints *hints)
    ACRE_MUST_USE;

/* Gives a block back. NULL and 0 are ignored. An address that is not a block of the heap, or that is free already, is a
 * fault (see guard.h): it is reported and, unless a handler says otherwise, the process aborts. A double free may be found
 * only when the block's word is given back. Thread safe. */
ACRE_API void acre_heap_free(acre_heap *heap, void *block);
ACRE_API void acre_heap_free_address(acre_heap *heap, acre_addr block);

/* Makes a block larger or smaller, in place where that is possible, else by moving pages or copying. NULL leaves the block
 * as it was. `block` NULL is an alloc. Thread safe. */
ACRE_API void *acre_heap_resize(acre_heap *heap, void *block, size_t size) ACRE_MUST_USE;

/* How many bytes a block has room for, 0 when it is no block of this heap. At level L1 and L2 what was asked for: what lies behind is
 * the canary's. O(1). Thread safe. */
ACRE_API uint64_t acre_heap_usable_size(acre_heap *heap, acre_addr block);

/* The block that holds the byte at any address, free or not. ACRE_BAD_POINTER: no block of this heap. O(1) for blocks of up
 * to 8 KiB, O(size / 16 KiB) above. Thread safe; the answer is as old as the call. */
ACRE_API acre_status acre_heap_where(acre_heap *heap, acre_addr address, acre_block *block);

typedef struct acre_place {
    acre_space *space;
    acre_heap *heap;
    acre_addr base;      /* of the block that holds the byte */
    uint64_t size_bytes; /* that the block has room for */
} acre_place;

/* The block that holds the byte at any pointer, of whichever heap over pages, and whether free or not: acre_heap_where says that.
 * ACRE_BAD_POINTER, without a sentence: no block of any such heap; `*place` is as it was. `place` is not NULL. About 50 instructions for
 * blocks of up to 8 KiB, O(size / 16 KiB) above. Thread safe; the answer is as old as the call, and holds as long as the block does. */
ACRE_API acre_status acre_where(const void *pointer, acre_place *place);

/* Calls `visit` for every block that is out, in no order, until it returns false. Blocks that threads hold ready are among
 * them: call acre_heap_flush in each thread first for an exact list. No other thread may use the heap meanwhile. */
ACRE_API void acre_heap_walk(acre_heap *heap, acre_block_visitor *visit, void *context);

/* Returns what the calling thread holds ready, so that others can use it. Happens by itself when a thread ends. */
ACRE_API void acre_heap_flush(acre_heap *heap);

/* Gives free memory back to the space, but for `keep_bytes` of it. Returns how many bytes went. O(free runs). */
ACRE_API uint64_t acre_heap_purge(acre_heap *heap, uint64_t keep_bytes);

/* Lays spans with few blocks over each other, so that the blocks of several lie in the memory of one: what programs leave behind that free
 * their blocks at random. No block changes its address or its contents; later ones are given out and freed as ever, and spans all of whose
 * blocks are freed have their own memory again. Small blocks only. `*returned_bytes`, which may be NULL: how much memory went back.
 *
 * ACRE_UNSUPPORTED: the space has no ACRE_CAP_ALIAS (shared memory has it), or the heap is not at level L0. ACRE_NO_MEMORY: nothing went
 * back, since the process has no mappings left (Linux: 65,530 unless told otherwise; a span takes up to two). No other thread may use the
 * heap or write to its blocks meanwhile. O(spans x 256). */
ACRE_API acre_status acre_heap_mesh(acre_heap *heap, uint64_t *returned_bytes);

typedef struct acre_heap_figures {
    uint64_t block_bytes;     /* in blocks that are out, rounded up to their class */
    uint64_t large_bytes;     /* of these, in blocks above 8 KiB */
    uint64_t run_bytes;       /* in spans and large blocks */
    uint64_t dirty_bytes;     /* free, but not given back to the space */
    uint64_t committed_bytes;
    uint64_t reserved_bytes;
    uint64_t purged_bytes;    /* given back since the beginning */
    uint64_t meta_bytes;      /* reserved for descriptors */
    uint64_t thread_count;    /* that hold blocks ready */
    uint64_t meshed_bytes;    /* of run_bytes, without memory of their own: see acre_heap_mesh */
} acre_heap_figures;

/* O(threads). Exact while no other thread uses the heap, else off by what is going on meanwhile. Thread safe. */
ACRE_API void acre_heap_read_figures(acre_heap *heap, acre_heap_figures *figures);

/* The heap behind the interface of allocator.h. `allocator` is the caller's memory and lives no longer than the heap. */
ACRE_API void acre_heap_allocator(acre_heap *heap, acre_allocator *allocator);

typedef struct acre_scheduler acre_scheduler;
typedef struct acre_job acre_job;

/* Fills in `job` so that it gives free memory back, every quarter second: what is more than was in use at one time within the last two
 * seconds, and, once the heap is idle, all but 64 KiB of what is left. Add it to a scheduler; take it out before the heap is destroyed. */
ACRE_API void acre_heap_purge_job(acre_heap *heap, acre_job *job);

/* Looks at the canary of every block in use and at the poison of every freed one that waits, and reports what is damaged. Returns how many
 * were; 0 at L0 and L3. Other threads may use the heap. O(blocks). */
ACRE_API uint64_t acre_heap_check(acre_heap *heap);

/* True when every invariant of the heap holds. No other thread may use it meanwhile. O(memory / 16 KiB). For tests. */
ACRE_API bool acre_heap_is_valid(acre_heap *heap);

#ifdef __cplusplus
}
#endif
#endif
