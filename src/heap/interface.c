/* interface.c - a heap behind the interface of allocators. */
#include "heap/heap.h"

static acre_heap *heap_of(const acre_allocator *allocator) { return allocator->implementation; }

static acre_addr heap_alloc(acre_allocator *allocator, uint64_t size, uint64_t alignment, const acre_hints *hints)
{
    return acre_heap_alloc_address(heap_of(allocator), size, alignment, hints);
}

static void heap_free(acre_allocator *allocator, acre_addr block) { acre_heap_free_address(heap_of(allocator), block); }

static acre_addr heap_resize(acre_allocator *allocator, acre_addr block, uint64_t size)
{
    return (uintptr_t)acre_heap_resize(heap_of(allocator), (void *)(uintptr_t)block, (size_t)size);
}

static uint64_t heap_usable_size(acre_allocator *allocator, acre_addr block) { return acre_heap_usable_size(heap_of(allocator), block); }

static acre_status heap_where(acre_allocator *allocator, acre_addr address, acre_block *block)
{
    return acre_heap_where(heap_of(allocator), address, block);
}

static void heap_walk(acre_allocator *allocator, acre_block_visitor *visit, void *context)
{
    acre_heap_walk(heap_of(allocator), visit, context);
}

static void heap_read_figures(acre_allocator *allocator, acre_allocator_figures *figures)
{
    acre_heap_figures all;
    acre_heap_read_figures(heap_of(allocator), &all);
    *figures = (acre_allocator_figures){.block_bytes = all.block_bytes,
                                        .committed_bytes = all.committed_bytes,
                                        .dirty_bytes = all.dirty_bytes,
                                        .meta_bytes = all.meta_bytes};
}

static uint64_t heap_purge(acre_allocator *allocator, uint64_t keep_bytes) { return acre_heap_purge(heap_of(allocator), keep_bytes); }

void acre_heap_allocator(acre_heap *heap, acre_allocator *allocator)
{
    static const acre_allocator_ops ops = {
        .size_bytes = sizeof(acre_allocator_ops),
        .alloc = heap_alloc,
        .free = heap_free,
        .resize = heap_resize,
        .usable_size = heap_usable_size,
        .where = heap_where,
        .walk = heap_walk,
        .read_figures = heap_read_figures,
        .purge = heap_purge,
    };
    *allocator = (acre_allocator){.ops = &ops, .name = heap->name, .implementation = heap};
}
