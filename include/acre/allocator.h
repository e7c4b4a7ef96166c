/* allocator.h - how a space is carved into blocks: one interface for every engine, where a caller wants to be free to choose.
 *
 * It costs an indirect call a block, so a program that knows its allocator calls that one (heap.h, ...) directly; the
 * interface is for tools, for systems that are put together at run time, and for tests that compare allocators.
 *
 *     acre_allocator allocator;
 *     acre_heap_allocator(heap, &allocator);
 *     acre_addr block = acre_allocator_alloc(&allocator, 100, 16, NULL);
 *     acre_allocator_free(&allocator, block);
 *
 * Example: examples/allocator.c.
 */
#ifndef ACRE_ALLOCATOR_H
#define ACRE_ALLOCATOR_H

#include <acre/space.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_block {
    acre_addr base;
    uint64_t size_bytes; /* what it has room for */
    bool is_out;         /* false: free. True: in use, or held ready by a thread */
} acre_block;

/* Returns false to end a walk. */
typedef bool acre_block_visitor(void *context, const acre_block *block);

typedef struct acre_allocator_figures {
    uint64_t block_bytes;     /* in blocks that are out */
    uint64_t committed_bytes; /* memory that the allocator holds */
    uint64_t dirty_bytes;     /* of it, free but not given back to the space */
    uint64_t meta_bytes;      /* beside the blocks */
} acre_allocator_figures;

typedef struct acre_allocator acre_allocator;

/* What an engine implements. Begins with its own size and is never copied, as acre_space_ops. `alloc` and `free` are required,
 * the others may be NULL. */
typedef struct acre_allocator_ops {
    size_t size_bytes;
    acre_addr (*alloc)(acre_allocator *allocator, uint64_t size, uint64_t alignment, const acre_hints *hints);
    void (*free)(acre_allocator *allocator, acre_addr block);
    acre_addr (*resize)(acre_allocator *allocator, acre_addr block, uint64_t size);
    uint64_t (*usable_size)(acre_allocator *allocator, acre_addr block);
    acre_status (*where)(acre_allocator *allocator, acre_addr address, acre_block *block);
    void (*walk)(acre_allocator *allocator, acre_block_visitor *visit, void *context);
    void (*read_figures)(acre_allocator *allocator, acre_allocator_figures *figures);
    uint64_t (*purge)(acre_allocator *allocator, uint64_t keep_bytes);
} acre_allocator_ops;

/* Lives in memory of the caller. The fields are for implementations. */
struct acre_allocator {
    const acre_allocator_ops *ops;
    const char *name;
    void *implementation;
};

/* What an engine over one range of fixed size holds: the range, and a second one for its records. For implementations. */
typedef struct acre_ranges {
    acre_space *space;
    acre_space *meta_space;
    acre_addr base;
    uint64_t size_bytes;
    acre_addr record_base;
    uint64_t record_bytes;
} acre_ranges;

/* Each does what its namesake in heap.h says. An allocator without the operation: resize gives 0, where and the figures
 * ACRE_UNSUPPORTED, purge 0, usable size 0. A NULL allocator is ACRE_INVALID. Thread safety and cost are the engine's. */
ACRE_API acre_addr acre_allocator_alloc(acre_allocator *allocator, uint64_t size, uint64_t alignment,
                                        const acre_hints *hints) ACRE_MUST_USE;
ACRE_API void acre_allocator_free(acre_allocator *allocator, acre_addr block);
ACRE_API acre_addr acre_allocator_resize(acre_allocator *allocator, acre_addr block, uint64_t size) ACRE_MUST_USE;
ACRE_API uint64_t acre_allocator_usable_size(acre_allocator *allocator, acre_addr block);
ACRE_API acre_status acre_allocator_where(acre_allocator *allocator, acre_addr address, acre_block *block);
ACRE_API acre_status acre_allocator_walk(acre_allocator *allocator, acre_block_visitor *visit, void *context);
ACRE_API acre_status acre_allocator_read_figures(acre_allocator *allocator, acre_allocator_figures *figures);
ACRE_API uint64_t acre_allocator_purge(acre_allocator *allocator, uint64_t keep_bytes);

#ifdef __cplusplus
}
#endif
#endif
