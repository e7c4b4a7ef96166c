/* malloc.c - the C allocation functions, over the process's heap. See acre/heap.h for what they cost.
 *
 * Where the standards leave a choice, it is glibc's, since that is what programs were tested with: a size of 0 gives a block of
 * its own, realloc(p, 0) frees, memalign rounds its alignment up to a power of two.
 */
#include "heap/heap.h"
#include "heap/purge.h"
#include "heap/registry.h"
#include "options.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* C23; glibc 2.36 does not declare them. */
EXPORT void free_sized(void *block, size_t size);
EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size);

EXPORT void *malloc(size_t size) { return acre_fast_alloc(size, ACRE_HEAP_OP_ALLOC); }

EXPORT void free(void *block) { acre_fast_free(block, "free"); }

EXPORT void free_sized(void *block, size_t size)
{
    acre_fast_free_sized(block, "free_sized", size, 0);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    acre_fast_free_sized(block, "free_aligned_sized", size, alignment);
}

static void *aligned(size_t size, size_t alignment, acre_heap_op op)
{
    bool is_zero;
    acre_heap *const heap = acre_process_heap();
    const acre_addr address = heap == NULL ? 0 : acre_alloc_aligned(heap, size, alignment, op, &is_zero);
    if (address == 0) errno = ENOMEM;
    return (void *)(uintptr_t)address;
}

enum { ZEROED_HERE_MAX = 128 };

/* A call of memset costs more than the zeros where there are few. Stores overlap rather than branch. */
static inline void zero(void *block, size_t bytes)
{
    char *const at = block;
    if (acre_unlikely(bytes - 16 > ZEROED_HERE_MAX - 16)) {
        memset(at, 0, bytes);
        return;
    }
    memset(at, 0, 16);
    memset(at + bytes - 16, 0, 16);
    if (bytes <= 32) return;
    memset(at + 16, 0, 16);
    memset(at + bytes - 32, 0, 16);
    if (bytes <= 64) return;
    memset(at + 32, 0, 32);
    memset(at + bytes - 64, 0, 32);
}

static __attribute__((noinline)) void *calloc_slow(size_t bytes)
{
    if (bytes <= ACRE_TABLE_BYTES_MAX) {
        void *const block = acre_alloc_slow(bytes, ACRE_HEAP_OP_CALLOC);
        if (block != NULL) memset(block, 0, bytes);
        return block;
    }
    bool is_zero = false;
    acre_heap *const heap = acre_process_heap();
    const acre_addr address = heap == NULL ? 0 : acre_alloc_aligned(heap, bytes, ACRE_BLOCK_BYTES_MIN, ACRE_HEAP_OP_CALLOC, &is_zero);
    if (address == 0)
        errno = ENOMEM;
    else if (!is_zero)
        memset((void *)(uintptr_t)address, 0, bytes);
    return (void *)(uintptr_t)address;
}

static __attribute__((noinline)) void *fail_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (acre_unlikely(__builtin_mul_overflow(count, size, &bytes))) return fail_of_memory();
    if (acre_likely(bytes <= ACRE_TABLE_BYTES_MAX)) {
        const acre_addr address = acre_magazine_pop(acre_magazine_for(acre_fast_cache, bytes));
        if (acre_likely(address != 0)) {
            zero((void *)(uintptr_t)address, bytes);
            return (void *)(uintptr_t)address;
        }
    }
    return calloc_slow(bytes);
}

/* What realloc does most of the time: a small block that stays, or moves to one that is held ready. NULL: it is neither. */
static inline void *resize_quickly(void *block, size_t size)
{
    const unsigned class = acre_fast_class(block);
    if (class == 0) return NULL;
    const size_t room = acre_size_classes[class].block_bytes;
    if (acre_stays(room, size)) return block;
    if (size > ACRE_TABLE_BYTES_MAX) return NULL;
    const acre_addr moved = acre_magazine_pop(acre_magazine_for(acre_fast_cache, size));
    if (moved == 0) return NULL;
    memcpy((void *)(uintptr_t)moved, block, acre_min_size(room, size));
    acre_fast_free(block, "realloc");
    return (void *)(uintptr_t)moved;
}

EXPORT void *realloc(void *block, size_t size)
{
    if (block == NULL) return malloc(size);
    if (size == 0) {
        acre_fast_free(block, "realloc");
        return NULL;
    }
    void *const quick = resize_quickly(block, size);
    if (acre_likely(quick != NULL)) return quick;
    acre_heap *const heap = acre_process_heap();
    void *const moved = heap == NULL ? NULL : acre_resize_any(heap, block, size, "realloc");
    if (moved == NULL)
        errno = ENOMEM;
    else
        acre_purge_ask(heap);
    return moved;
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (!acre_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return aligned(size, alignment, ACRE_HEAP_OP_ALIGNED);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    if (!acre_is_power_of_two(alignment) || alignment % sizeof(void *) != 0) return EINVAL;
    const int saved_errno = errno; /* the result is the return value alone */
    void *const made = aligned(size, alignment, ACRE_HEAP_OP_ALIGNED);
    errno = saved_errno;
    if (made == NULL) return ENOMEM;
    *block = made;
    return 0;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    if (alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!acre_is_power_of_two(alignment)) alignment = (size_t)1 << acre_log2_ceil(acre_max_size(alignment, 1));
    return aligned(size, alignment, ACRE_HEAP_OP_ALIGNED);
}

EXPORT void *valloc(size_t size) { return aligned(size, acre_os_page_size(), ACRE_HEAP_OP_ALIGNED); }

EXPORT void *pvalloc(size_t size)
{
    const size_t page = acre_os_page_size();
    if (size > SIZE_MAX - page) {
        errno = ENOMEM;
        return NULL;
    }
    return aligned((size_t)acre_align_up(size, page), page, ACRE_HEAP_OP_ALIGNED);
}

EXPORT size_t malloc_usable_size(void *block)
{
    const unsigned class = acre_fast_class(block);
    if (acre_likely(class != 0)) return acre_size_classes[class].block_bytes;
    acre_heap *const heap = block == NULL ? NULL : acre_process_heap();
    return heap == NULL ? 0 : (size_t)acre_heap_usable_size(heap, (uintptr_t)block);
}

EXPORT int malloc_trim(size_t keep_bytes)
{
    acre_heap *const heap = acre_process_heap();
    if (heap == NULL) return 0;
    acre_heap_flush(heap);
    return acre_heap_purge(heap, keep_bytes) > 0;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
    struct mallinfo2 info;
    memset(&info, 0, sizeof info);
    acre_heap *const heap = acre_process_heap();
    if (heap == NULL) return info;
    acre_heap_figures figures;
    acre_heap_read_figures(heap, &figures);
    info.arena = (size_t)(figures.committed_bytes - figures.large_bytes);
    info.hblkhd = (size_t)figures.large_bytes;
    info.uordblks = (size_t)figures.block_bytes;
    info.fordblks = (size_t)(figures.committed_bytes - figures.block_bytes);
    info.keepcost = (size_t)figures.dirty_bytes;
    return info;
}

/* fork handlers are set first of all, so that they run last before a fork and first after it: others' may allocate. */
__attribute__((constructor(101))) static void start(void)
{
    (void)acre_registry_handle_forks();
    acre_follow_options();
}

/* A process that ends needs no thread that purges; its guard looks at what it has not seen yet. */
__attribute__((destructor(101))) static void end(void)
{
    acre_heap *const heap = acre_process_heap();
    if (heap == NULL) return;
    acre_purge_stop_thread(heap);
    if (heap->guard != NULL) (void)acre_heap_check(heap); /* what was damaged and never freed */
    acre_heap_flush(heap);       /* what was freed twice a short while ago */
}
