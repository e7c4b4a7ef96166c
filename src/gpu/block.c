/* block.c - what the driver gives in large pieces, and places in them. */
#include "gpu/manager.h"
#include "gpu/totals.h"

#include "alloc/backing.h"
#include "base/bits.h"
#include "base/status.h"

#include <string.h>

enum { FIRST_SHRINKS = 4, REFUSED_SHRINKS = 4, OWN_PARTS = 16, GROWTH_PARTS = 16, FIRST_BYTES_MIN = 4 << 20 };

static uint64_t align_up(uint64_t value, uint64_t alignment) { return (value + alignment - 1) & ~(alignment - 1); }

acre_gpu_need acre_gpu_need_of(const acre_gpu_pool *pool, const acre_gpu_request *request)
{
    const acre_gpu_device *const device = &pool->gpu->device;
    const uint64_t atom = acre_gpu_atom_of(pool);
    const float wish = pool->is_own ? request->priority : pool->options.priority;
    acre_gpu_need need = {.request = request,
                          .size_bytes = align_up(request->size_bytes, atom),
                          .alignment_bytes = request->alignment_bytes == 0 ? 1 : request->alignment_bytes,
                          .priority_permille = (uint32_t)(wish * 1000.0F)};
    if (need.alignment_bytes < pool->options.alignment_bytes) need.alignment_bytes = pool->options.alignment_bytes;
    if (need.alignment_bytes < atom) need.alignment_bytes = atom;
    if (device->granularity_bytes > ACRE_GPU_GRANULE_BYTES && request->content != ACRE_GPU_LINEAR && !pool->options.is_of_one_content) {
        need.size_bytes = align_up(need.size_bytes, device->granularity_bytes);
        if (need.alignment_bytes < device->granularity_bytes) need.alignment_bytes = device->granularity_bytes;
    }
    return need;
}

acre_offset_strategy acre_gpu_strategy_of(const acre_gpu_pool *pool, const acre_gpu_request *request)
{
    if (pool->options.kind == ACRE_GPU_POOL_LINEAR) return ACRE_OFFSET_NEXT;
    if (request->strategy == ACRE_GPU_BEST_FIT) return ACRE_OFFSET_BEST_FIT;
    return request->strategy == ACRE_GPU_LOWEST ? ACRE_OFFSET_LOWEST : ACRE_OFFSET_GOOD_FIT;
}

void acre_gpu_read_budget(acre_gpu *gpu, uint32_t heap, uint64_t *used_bytes, uint64_t *limit_bytes)
{
    const acre_gpu_driver_ops *const ops = gpu->driver->ops;
    if (ACRE_GPU_HAS(gpu, budget) && ops->budget(gpu->driver, heap, used_bytes, limit_bytes) == ACRE_OK) return;
    *used_bytes = __atomic_load_n(&gpu->heap_bytes[heap], __ATOMIC_RELAXED);
    *limit_bytes = gpu->device.heaps[heap].size_bytes / 10 * 8;
}

/* Takes `size_bytes` of the heap's account, if its maximum and, when asked, its budget allow. The manager's lock is held. */
static bool may_take(acre_gpu *gpu, uint32_t heap, uint64_t size_bytes, bool is_within_budget)
{
    const acre_gpu_device *const device = &gpu->device;
    const uint64_t max = gpu->options.heap_bytes_max[heap] == 0 ? device->heaps[heap].size_bytes : gpu->options.heap_bytes_max[heap];
    const uint64_t taken = gpu->heap_bytes[heap];
    if (size_bytes > max || taken > max - size_bytes) return false;
    if (device->block_bytes_max != 0 && size_bytes > device->block_bytes_max) return false;
    if (device->block_count_max != 0 && gpu->block_count >= device->block_count_max) return false;
    if (!is_within_budget) return true;
    uint64_t used = 0;
    uint64_t limit = 0;
    acre_gpu_read_budget(gpu, heap, &used, &limit);
    return size_bytes <= limit && used <= limit - size_bytes;
}

/* ---- the list of a pool ---- */

static void link_block(acre_gpu_pool *pool, acre_gpu_block *block)
{
    block->previous = pool->last;
    block->next = NULL;
    if (pool->last != NULL)
        pool->last->next = block;
    else
        pool->first = block;
    pool->last = block;
    pool->bytes += block->size_bytes;
    if (block->is_dedicated)
        pool->dedicated_count++;
    else
        pool->block_count++;
}

static void unlink_block(acre_gpu_pool *pool, acre_gpu_block *block)
{
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        pool->first = block->next;
    if (block->next != NULL)
        block->next->previous = block->previous;
    else
        pool->last = block->previous;
    pool->bytes -= block->size_bytes;
    if (block->is_dedicated)
        pool->dedicated_count--;
    else
        pool->block_count--;
}

static uint64_t room_of(const acre_gpu_block *block) { return block->is_dedicated ? 0 : block->size_bytes - block->used_bytes; }

/* A step towards the order of the list: fuller blocks first, so that the others become empty. */
static void sort_step(acre_gpu_pool *pool, acre_gpu_block *block)
{
    acre_gpu_block *const before = block->previous;
    acre_gpu_block *const after = block->next;
    acre_gpu_block *later = NULL;
    if (before != NULL && room_of(before) > room_of(block))
        later = before;
    else if (after != NULL && room_of(block) > room_of(after))
        later = block;
    if (later == NULL) return;
    acre_gpu_block *const sooner = later->next; /* the two change places */
    acre_gpu_block *const outer = later->previous;
    later->next = sooner->next;
    if (sooner->next != NULL)
        sooner->next->previous = later;
    else
        pool->last = later;
    sooner->next = later;
    sooner->previous = outer;
    later->previous = sooner;
    if (outer != NULL)
        outer->next = sooner;
    else
        pool->first = sooner;
}

/* ---- slabs: the slots of acre/pool.h at addresses of nothing ---- */

static acre_status open_slots(acre_gpu_block *block)
{
    acre_gpu_pool *const pool = block->pool;
    const uint64_t slot = pool->options.slot_bytes;
    uint64_t count = block->size_bytes / slot;
    if (count > ACRE_POOL_COUNT_MAX) count = ACRE_POOL_COUNT_MAX;
    acre_space *const space = pool->gpu->space;
    block->words_bytes = acre_align_up((count / ACRE_POOL_WORD_BITS + 1) * sizeof(acre_pool_word), space->info.grain_bytes);
    const acre_status status = acre_backing_take(space, block->words_bytes, &block->words_base);
    if (status != ACRE_OK) return status;
    void *const words = acre_space_pointer(space, block->words_base);
    memset(words, 0, (size_t)block->words_bytes);
    block->slots = (acre_pool){.count = {ACRE_POOL_NEAR(count), count - ACRE_POOL_NEAR(count)},
                               .words = words,
                               .base = slot, /* not 0, which is no slot */
                               .slot_bytes = slot,
                               .inverse = ACRE_POOL_INVERSE(ACRE_POOL_ODD(slot)),
                               .shift = (acre_pool_word)__builtin_ctzll(slot),
                               .name = pool->name};
    return ACRE_OK;
}

/* ---- blocks ---- */

static acre_status open_places(acre_gpu_block *block)
{
    if (block->is_dedicated) return ACRE_OK;
    if (block->pool->options.kind == ACRE_GPU_POOL_SLABS) return open_slots(block);
    const acre_offset_options options = {.space = block->pool->gpu->space,
                                         .size_bytes = block->size_bytes,
                                         .granule_bytes = ACRE_GPU_GRANULE_BYTES,
                                         .name = block->pool->name};
    return acre_offset_allocator_open(&block->offsets, &options);
}

static void close_places(acre_gpu_block *block)
{
    acre_offset_allocator_close(&block->offsets);
    if (block->words_bytes != 0) acre_backing_give(block->pool->gpu->space, block->words_base, block->words_bytes);
}

/* The driver's part: under the manager's lock, so that no two requests pass the same budget. */
static acre_status take_from_driver(acre_gpu_pool *pool, uint64_t size_bytes, const acre_gpu_need *need, bool is_dedicated,
                                    acre_gpu_block **out)
{
    acre_gpu *const gpu = pool->gpu;
    const uint32_t heap = acre_gpu_type_of(pool)->heap;
    acre_gpu_block *block = NULL;
    const acre_gpu_block_request request = {.type = pool->type,
                                            .size_bytes = size_bytes,
                                            .priority = (float)need->priority_permille / 1000.0F,
                                            .is_dedicated = is_dedicated,
                                            .dedicated_to = is_dedicated ? need->request->dedicated_to : NULL,
                                            .extension =
                                                need->request->extension != NULL ? need->request->extension : pool->options.extension};
    acre_lock_take(&gpu->lock);
    acre_status status = ACRE_NO_MEMORY;
    if (may_take(gpu, heap, size_bytes, (need->request->flags & ACRE_GPU_WITHIN_BUDGET) != 0)) block = acre_record_take(&gpu->blocks);
    if (block != NULL) {
        status = gpu->driver->ops->allocate(gpu->driver, &request, &block->handle);
        if (status == ACRE_OK) {
            __atomic_store_n(&gpu->heap_bytes[heap], gpu->heap_bytes[heap] + size_bytes, __ATOMIC_RELAXED);
            gpu->block_count++;
        } else {
            acre_record_drop(&gpu->blocks, block);
        }
    }
    acre_lock_drop(&gpu->lock);
    if (status != ACRE_OK) return status;
    acre_gpu_count_block((int64_t)size_bytes);
    *out = block;
    return ACRE_OK;
}

static void give_to_driver(acre_gpu_block *block)
{
    acre_gpu_pool *const pool = block->pool;
    acre_gpu *const gpu = pool->gpu;
    const uint32_t heap = acre_gpu_type_of(pool)->heap;
    gpu->driver->ops->free(gpu->driver, block->handle, pool->type, block->size_bytes);
    acre_gpu_count_block(-(int64_t)block->size_bytes);
    acre_lock_take(&gpu->lock);
    __atomic_store_n(&gpu->heap_bytes[heap], gpu->heap_bytes[heap] - block->size_bytes, __ATOMIC_RELAXED);
    gpu->block_count--;
    acre_record_drop(&gpu->blocks, block);
    acre_lock_drop(&gpu->lock);
}

static acre_status add_block(acre_gpu_pool *pool, uint64_t size_bytes, const acre_gpu_need *need, bool is_dedicated, acre_gpu_block **out)
{
    acre_gpu_block *block = NULL;
    acre_status status = take_from_driver(pool, size_bytes, need, is_dedicated, &block);
    if (status != ACRE_OK) return status;
    block->pool = pool;
    block->size_bytes = size_bytes;
    block->is_dedicated = is_dedicated;
    block->priority_permille = need->priority_permille;
    block->lifetime = need->request->lifetime;
    status = open_places(block);
    if (status != ACRE_OK) {
        give_to_driver(block);
        return status;
    }
    link_block(pool, block);
    pool->empty_count++;
    *out = block;
    return ACRE_OK;
}

acre_status acre_gpu_add_block(acre_gpu_pool *pool, uint64_t size_bytes, const acre_gpu_need *need, acre_gpu_block **block)
{
    return add_block(pool, size_bytes, need, false, block);
}

void acre_gpu_drop_block(acre_gpu_block *block)
{
    assert(block->entry_count == 0 && block->map_count == 0);
    block->pool->empty_count--;
    unlink_block(block->pool, block);
    close_places(block);
    give_to_driver(block);
}

uint64_t acre_gpu_drop_empty(acre_gpu_pool *pool, uint32_t keep)
{
    uint64_t bytes = 0;
    acre_gpu_block *before = NULL;
    for (acre_gpu_block *block = pool->last; block != NULL && pool->empty_count > keep; block = before) {
        before = block->previous;
        if (block->entry_count > 0 || block->used_bytes > 0 || (!block->is_dedicated && pool->block_count <= pool->options.block_count_min))
            continue;
        bytes += block->size_bytes;
        acre_gpu_drop_block(block);
    }
    return bytes;
}

acre_status acre_gpu_map_block(acre_gpu_block *block)
{
    acre_gpu_driver *const driver = block->pool->gpu->driver;
    if (block->map_count == 0) {
        const acre_status status = driver->ops->map(driver, block->handle, &block->pointer);
        if (status != ACRE_OK) return status;
    }
    block->map_count++;
    return ACRE_OK;
}

void acre_gpu_unmap_block(acre_gpu_block *block)
{
    acre_gpu_driver *const driver = block->pool->gpu->driver;
    assert(block->map_count > 0);
    if (--block->map_count > 0) return;
    if (driver->ops->unmap != NULL) driver->ops->unmap(driver, block->handle);
    block->pointer = NULL;
}

/* ---- places ---- */

acre_status acre_gpu_place_in(acre_gpu_block *block, const acre_gpu_need *need, acre_offset_strategy strategy, acre_offset_block *place,
                              uint64_t *offset)
{
    if (room_of(block) < need->size_bytes) return ACRE_NO_MEMORY;
    const acre_status status = acre_offset_alloc(&block->offsets, need->size_bytes, need->alignment_bytes, strategy, place, offset);
    if (status == ACRE_OK) block->used_bytes += align_up(need->size_bytes, ACRE_GPU_GRANULE_BYTES);
    return status;
}

void acre_gpu_leave_place(acre_gpu_block *block, acre_offset_block place)
{
    acre_offset_extent extent;
    acre_gpu_must(acre_offset_read(&block->offsets, place, &extent));
    block->used_bytes -= extent.size_bytes;
    acre_gpu_must(acre_offset_free(&block->offsets, place));
}

static acre_status place_in_slab(acre_gpu_block *block, acre_gpu_entry *entry)
{
    const uint64_t slot_bytes = block->pool->options.slot_bytes;
    const void *const slot = acre_pool_alloc(&block->slots);
    if (slot == NULL) return ACRE_NO_MEMORY;
    entry->offset = (uintptr_t)slot - block->slots.base;
    block->used_bytes += slot_bytes;
    return ACRE_OK;
}

static void link_entry(acre_gpu_block *block, acre_gpu_entry *entry)
{
    entry->next = block->entries;
    if (entry->next != NULL) entry->next->previous = entry;
    block->entries = entry;
}

static void unlink_entry(acre_gpu_block *block, const acre_gpu_entry *entry)
{
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        block->entries = entry->next;
    if (entry->next != NULL) entry->next->previous = entry->previous;
}

static acre_status enter(acre_gpu_block *block, const acre_gpu_need *need, acre_gpu_entry *entry)
{
    acre_gpu_pool *const pool = block->pool;
    acre_status status = ACRE_OK;
    if (block->is_dedicated) {
        block->used_bytes = block->size_bytes;
        entry->offset = 0;
    } else if (pool->options.kind == ACRE_GPU_POOL_SLABS) {
        status = place_in_slab(block, entry);
    } else {
        status = acre_gpu_place_in(block, need, acre_gpu_strategy_of(pool, need->request), &entry->place, &entry->offset);
    }
    if (status != ACRE_OK) return status;
    entry->block = block;
    entry->alignment_shift = (uint8_t)__builtin_ctzll(need->alignment_bytes);
    block->asked_bytes += entry->size_bytes;
    if (entry->place != 0) {
        acre_gpu_must(acre_offset_set_user(&block->offsets, entry->place, (uintptr_t)entry));
    } else {
        link_entry(block, entry);
    }
    if (block->entry_count++ == 0) pool->empty_count--;
    sort_step(pool, block);
    return ACRE_OK;
}

/* One entry fewer: a block that becomes empty goes, if another one is empty. */
static void count_down(acre_gpu_block *block)
{
    acre_gpu_pool *const pool = block->pool;
    if (--block->entry_count > 0) {
        sort_step(pool, block);
        return;
    }
    pool->empty_count++;
    if (block->is_dedicated)
        acre_gpu_drop_block(block);
    else
        (void)acre_gpu_drop_empty(pool, 1);
}

acre_status acre_gpu_change_place(acre_gpu_entry *entry)
{
    acre_gpu_block *const from = entry->block;
    acre_gpu_block *const to = entry->to_block;
    acre_offset_extent extent;
    for (uint32_t i = 0; i < entry->map_count; i++) {
        const acre_status status = acre_gpu_map_block(to);
        if (status == ACRE_OK) continue;
        for (; i > 0; i--) acre_gpu_unmap_block(to);
        return status;
    }
    for (uint32_t i = 0; i < entry->map_count; i++) acre_gpu_unmap_block(from);
    if (to->entry_count++ == 0) to->pool->empty_count--;
    to->asked_bytes += entry->size_bytes;
    from->asked_bytes -= entry->size_bytes;
    acre_gpu_must(acre_offset_read(&to->offsets, entry->to_place, &extent));
    acre_gpu_leave_place(from, entry->place);
    entry->block = to;
    entry->place = entry->to_place;
    entry->offset = extent.offset;
    acre_gpu_must(acre_offset_set_user(&to->offsets, entry->place, (uintptr_t)entry));
    count_down(from);
    return ACRE_OK;
}

void acre_gpu_leave(acre_gpu_entry *entry)
{
    acre_gpu_block *const block = entry->block;
    acre_gpu_pool *const pool = block->pool;
    block->asked_bytes -= entry->size_bytes;
    if (entry->place != 0) {
        acre_gpu_leave_place(block, entry->place);
        entry->place = 0; /* an allocation that could not be mapped tries another type */
    } else {
        unlink_entry(block, entry);
        if (block->is_dedicated) {
            block->used_bytes = 0;
        } else {
            acre_gpu_must(acre_pool_free(&block->slots, (void *)(uintptr_t)(block->slots.base + entry->offset)));
            block->used_bytes -= pool->options.slot_bytes;
        }
    }
    count_down(block);
}

static bool may_share(const acre_gpu_block *block, const acre_gpu_need *need)
{
    return !block->is_dedicated && !block->is_kept_free && block->priority_permille == need->priority_permille;
}

/* In a block that is there: first those that were taken for the same lifetime. */
static acre_status place_in_any(acre_gpu_pool *pool, const acre_gpu_need *need, acre_gpu_entry *entry)
{
    for (unsigned pass = 0; pass < 2; pass++) {
        for (acre_gpu_block *block = pool->first; block != NULL; block = block->next) {
            const bool is_of_lifetime = block->lifetime == need->request->lifetime;
            if (!may_share(block, need) || is_of_lifetime != (pass == 0)) continue;
            if (enter(block, need, entry) == ACRE_OK) return ACRE_OK;
        }
    }
    return ACRE_NO_MEMORY;
}

/* What a new block should have: no more than a sixteenth of what the pool has, so that what is left of the last one counts little, but room
 * for a few such requests, and at least a sixteenth of the full size, and 4 MiB. */
static uint64_t first_size(const acre_gpu_pool *pool, uint64_t needed)
{
    uint64_t size = pool->block_bytes;
    if (pool->is_size_fixed || pool->options.block_count_max != 0) return size;
    for (unsigned i = 0; i < FIRST_SHRINKS && size > pool->bytes / GROWTH_PARTS && size / 2 >= 2 * needed && size / 2 >= FIRST_BYTES_MIN;
         i++)
        size /= 2;
    return size < needed ? needed : size;
}

static acre_status place_in_new(acre_gpu_pool *pool, const acre_gpu_need *need, acre_gpu_entry *entry)
{
    acre_gpu_block *block = NULL;
    if ((need->request->flags & ACRE_GPU_NO_NEW_BLOCK) != 0) return ACRE_NO_MEMORY;
    (void)acre_gpu_drop_empty(pool, 0); /* one that was kept is too short for this */
    if (pool->options.block_count_max != 0 && pool->block_count >= pool->options.block_count_max) return ACRE_NO_MEMORY;
    const bool is_of_slabs = pool->options.kind == ACRE_GPU_POOL_SLABS;
    const uint64_t needed = is_of_slabs ? pool->options.slot_bytes : align_up(need->size_bytes, ACRE_GPU_GRANULE_BYTES);
    uint64_t size = first_size(pool, needed);
    if (size < needed) return ACRE_NO_MEMORY;
    acre_status status = acre_gpu_add_block(pool, size, need, &block);
    for (unsigned i = 0; i < REFUSED_SHRINKS && status == ACRE_NO_MEMORY && !pool->is_size_fixed && size / 2 >= needed; i++) {
        size = align_up(size / 2, ACRE_GPU_GRANULE_BYTES);
        status = acre_gpu_add_block(pool, size, need, &block);
    }
    if (status != ACRE_OK) return status;
    status = enter(block, need, entry);
    if (status != ACRE_OK) acre_gpu_drop_block(block);
    return status;
}

static acre_status place_alone(acre_gpu_pool *pool, const acre_gpu_need *need, acre_gpu_entry *entry)
{
    acre_gpu_block *block = NULL;
    if ((need->request->flags & ACRE_GPU_NO_NEW_BLOCK) != 0) return ACRE_NO_MEMORY;
    const acre_status status = add_block(pool, need->request->size_bytes, need, true, &block);
    return status == ACRE_OK ? enter(block, need, entry) : status;
}

acre_status acre_gpu_place(acre_gpu_pool *pool, const acre_gpu_need *need, acre_gpu_entry *entry)
{
    const acre_gpu_request *const request = need->request;
    const bool may_be_alone = !pool->is_size_fixed && pool->options.kind == ACRE_GPU_POOL_GENERAL;
    if ((request->flags & ACRE_GPU_DEDICATED) != 0 || request->extension != NULL) return place_alone(pool, need, entry);
    const bool is_better_alone =
        may_be_alone && ((request->flags & ACRE_GPU_PREFER_OWN) != 0 || need->size_bytes > pool->block_bytes / OWN_PARTS);
    acre_status status = ACRE_NO_MEMORY;
    if (is_better_alone) status = place_alone(pool, need, entry);
    if (status == ACRE_NO_MEMORY) status = place_in_any(pool, need, entry);
    if (status == ACRE_NO_MEMORY) status = place_in_new(pool, need, entry);
    const bool may_be_alone_at_last = may_be_alone && !is_better_alone && pool->options.block_count_max == 0;
    if (status == ACRE_NO_MEMORY && may_be_alone_at_last) status = place_alone(pool, need, entry);
    return status;
}
