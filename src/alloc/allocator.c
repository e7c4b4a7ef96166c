/* allocator.c - see acre/allocator.h: the gate in front of an engine's table. */
#include <acre/allocator.h>

#include "base/bits.h"
#include "base/status.h"

#define OPERATION(allocator, name)                                                                                                         \
    ((allocator)->ops->size_bytes >= offsetof(acre_allocator_ops, name) + sizeof((allocator)->ops->name) ? (allocator)->ops->name : NULL)

static bool is_open(const acre_allocator *allocator, const char *operation)
{
    if (allocator != NULL && allocator->ops != NULL) return true;
    (void)acre_fail(ACRE_INVALID, "%s: the allocator is NULL or has no table", operation);
    return false;
}

static acre_status unsupported(const acre_allocator *allocator, const char *operation)
{
    return acre_fail(ACRE_UNSUPPORTED, "allocator '%s': no %s", allocator->name, operation);
}

acre_addr acre_allocator_alloc(acre_allocator *allocator, uint64_t size, uint64_t alignment, const acre_hints *hints)
{
    if (!is_open(allocator, "alloc")) return 0;
    if (!acre_is_power_of_two(alignment)) {
        (void)acre_fail(ACRE_INVALID, "allocator '%s': alignment %llu is no power of two", allocator->name, (unsigned long long)alignment);
        return 0;
    }
    return allocator->ops->alloc(allocator, size, alignment, hints);
}

void acre_allocator_free(acre_allocator *allocator, acre_addr block)
{
    if (block != 0 && is_open(allocator, "free")) allocator->ops->free(allocator, block);
}

acre_addr acre_allocator_resize(acre_allocator *allocator, acre_addr block, uint64_t size)
{
    if (!is_open(allocator, "resize")) return 0;
    if (OPERATION(allocator, resize) != NULL) return allocator->ops->resize(allocator, block, size);
    (void)unsupported(allocator, "resize");
    return 0;
}

uint64_t acre_allocator_usable_size(acre_allocator *allocator, acre_addr block)
{
    if (!is_open(allocator, "usable size") || OPERATION(allocator, usable_size) == NULL) return 0;
    return allocator->ops->usable_size(allocator, block);
}

acre_status acre_allocator_where(acre_allocator *allocator, acre_addr address, acre_block *block)
{
    if (!is_open(allocator, "where")) return ACRE_INVALID;
    if (block == NULL) return acre_fail(ACRE_INVALID, "allocator '%s': where into NULL", allocator->name);
    if (OPERATION(allocator, where) == NULL) return unsupported(allocator, "where");
    return allocator->ops->where(allocator, address, block);
}

acre_status acre_allocator_walk(acre_allocator *allocator, acre_block_visitor *visit, void *context)
{
    if (!is_open(allocator, "walk")) return ACRE_INVALID;
    if (visit == NULL) return acre_fail(ACRE_INVALID, "allocator '%s': walk without a visitor", allocator->name);
    if (OPERATION(allocator, walk) == NULL) return unsupported(allocator, "walk");
    allocator->ops->walk(allocator, visit, context);
    return ACRE_OK;
}

acre_status acre_allocator_read_figures(acre_allocator *allocator, acre_allocator_figures *figures)
{
    if (!is_open(allocator, "figures")) return ACRE_INVALID;
    if (figures == NULL) return acre_fail(ACRE_INVALID, "allocator '%s': figures into NULL", allocator->name);
    if (OPERATION(allocator, read_figures) == NULL) return unsupported(allocator, "figures");
    allocator->ops->read_figures(allocator, figures);
    return ACRE_OK;
}

uint64_t acre_allocator_purge(acre_allocator *allocator, uint64_t keep_bytes)
{
    if (!is_open(allocator, "purge") || OPERATION(allocator, purge) == NULL) return 0;
    return allocator->ops->purge(allocator, keep_bytes);
}
