/* manager.c - the life of a device memory manager, and its allocations. */
#include "gpu/manager.h"
#include "gpu/totals.h"
#include "gpu/type_choice.h"

#include "alloc/backing.h"
#include "base/bits.h"
#include "base/format.h"
#include "base/status.h"

#include <string.h>

enum { ENTRIES_DEFAULT = 1 << 20, SMALL_HEAP_PARTS = 8 };
#define BLOCK_BYTES_DEFAULT ((uint64_t)256 << 20)
#define SMALL_HEAP_BYTES    ((uint64_t)1 << 30)

/* ---- the life of a manager ---- */

static acre_status check_device(const acre_gpu_driver *driver, const acre_gpu_device *device)
{
    if (device->heap_count == 0 || device->heap_count > ACRE_GPU_HEAPS_MAX || device->type_count == 0 ||
        device->type_count > ACRE_GPU_TYPES_MAX) {
        return acre_fail(ACRE_INVALID, "gpu '%s': %u heaps and %u types: there are 1 to %u and 1 to %u", driver->name, device->heap_count,
                         device->type_count, ACRE_GPU_HEAPS_MAX, ACRE_GPU_TYPES_MAX);
    }
    for (uint32_t i = 0; i < device->type_count; i++) {
        if (device->types[i].heap >= device->heap_count) {
            return acre_fail(ACRE_INVALID, "gpu '%s': type %u is of heap %u, of which there are %u", driver->name, i, device->types[i].heap,
                             device->heap_count);
        }
    }
    if (!acre_is_power_of_two(device->granularity_bytes) || !acre_is_power_of_two(device->atom_bytes)) {
        return acre_fail(ACRE_INVALID, "gpu '%s': granularity %llu and atom %llu have to be powers of two", driver->name,
                         (unsigned long long)device->granularity_bytes, (unsigned long long)device->atom_bytes);
    }
    return ACRE_OK;
}

static bool is_driver(const acre_gpu_driver *driver)
{
    const acre_gpu_driver_ops *const ops = driver == NULL ? NULL : driver->ops;
    if (ops == NULL || ops->size_bytes < offsetof(acre_gpu_driver_ops, map)) return false;
    return ops->query != NULL && ops->allocate != NULL && ops->free != NULL;
}

static acre_gpu_pool *add_pool(acre_gpu *gpu, const acre_gpu_pool_options *options, bool is_own)
{
    acre_lock_take(&gpu->lock);
    acre_gpu_pool *const pool = acre_record_take(&gpu->pools);
    acre_lock_drop(&gpu->lock);
    if (pool == NULL) return NULL;
    pool->gpu = gpu;
    pool->type = options->type;
    pool->options = *options;
    pool->is_own = is_own;
    pool->is_size_fixed = options->block_bytes != 0;
    pool->block_bytes = options->block_bytes;
    if (pool->block_bytes == 0) pool->block_bytes = gpu->options.block_bytes;
    if (pool->block_bytes == 0) {
        const uint64_t heap = gpu->device.heaps[gpu->device.types[options->type].heap].size_bytes;
        pool->block_bytes = heap <= SMALL_HEAP_BYTES ? acre_align_up(heap / SMALL_HEAP_PARTS, ACRE_GPU_GRANULE_BYTES) : BLOCK_BYTES_DEFAULT;
    }
    (void)acre_format(pool->name, sizeof pool->name, "%s", options->name == NULL ? "" : options->name);
    if (is_own) return pool;
    acre_lock_take(&gpu->opened_lock);
    pool->next = gpu->opened;
    if (pool->next != NULL) pool->next->previous = pool;
    gpu->opened = pool;
    acre_lock_drop(&gpu->opened_lock);
    return pool;
}

static void drop_pool(acre_gpu_pool *pool)
{
    acre_gpu *const gpu = pool->gpu;
    assert(!pool->is_own);
    acre_lock_take(&gpu->opened_lock);
    if (pool->previous != NULL)
        pool->previous->next = pool->next;
    else
        gpu->opened = pool->next;
    if (pool->next != NULL) pool->next->previous = pool->previous;
    acre_lock_drop(&gpu->opened_lock);
    acre_lock_take(&gpu->lock);
    acre_record_drop(&gpu->pools, pool);
    acre_lock_drop(&gpu->lock);
}

static void close_records(acre_gpu *gpu)
{
    acre_records_close(&gpu->entries);
    acre_records_close(&gpu->names);
    acre_records_close(&gpu->blocks);
    acre_records_close(&gpu->partings);
    acre_records_close(&gpu->pools);
}

static acre_status open_records(acre_gpu *gpu)
{
    const uint32_t count = gpu->options.memory_count_max == 0 ? ENTRIES_DEFAULT : gpu->options.memory_count_max;
    acre_status status = acre_records_open(&gpu->entries, gpu->space, sizeof(acre_gpu_entry), count);
    if (status == ACRE_OK) status = acre_records_open(&gpu->names, gpu->space, sizeof(acre_record) + ACRE_GPU_NAME_MAX, count);
    if (status == ACRE_OK) status = acre_records_open(&gpu->blocks, gpu->space, sizeof(acre_gpu_block), ACRE_GPU_BLOCKS_MAX);
    if (status == ACRE_OK) status = acre_records_open(&gpu->partings, gpu->space, (uint32_t)acre_gpu_parting_bytes(), count);
    if (status == ACRE_OK) status = acre_records_open(&gpu->pools, gpu->space, sizeof(acre_gpu_pool), ACRE_GPU_POOLS_MAX);
    if (status != ACRE_OK) close_records(gpu);
    return status;
}

/* Closes the space when it is the manager's own, which may lie in it. */
static void give_back(acre_gpu *gpu)
{
    acre_space own = gpu->own_space;
    const bool is_own = gpu->space == &gpu->own_space;
    const acre_addr base = gpu->base;
    const uint64_t bytes = gpu->reserved_bytes;
    acre_backing_give(is_own ? &own : gpu->space, base, bytes);
    if (is_own) acre_space_close(&own);
}

/* NULL with `*status` when it cannot be had. */
static acre_gpu *take_manager(const acre_gpu_options *options, acre_status *status)
{
    acre_space own = {0};
    acre_space *space = options->space;
    acre_addr base = 0;
    if (space == NULL) {
        *status = acre_space_open_pages(&own, NULL);
        if (*status != ACRE_OK) return NULL;
        space = &own;
    }
    if (space->ops == NULL || (space->info.capabilities & ACRE_CAP_HOST_ACCESS) == 0) {
        *status = acre_fail(ACRE_INVALID, "gpu: the space for notes is not open, or has no host access");
        return NULL;
    }
    const uint64_t bytes = acre_backing_round(space, sizeof(acre_gpu));
    *status = acre_backing_take(space, bytes, &base);
    if (*status != ACRE_OK) {
        if (space == &own) acre_space_close(&own);
        return NULL;
    }
    acre_gpu *const gpu = acre_space_pointer(space, base);
    memset(gpu, 0, sizeof *gpu);
    gpu->own_space = own;
    gpu->space = space == &own ? &gpu->own_space : space;
    gpu->base = base;
    gpu->reserved_bytes = bytes;
    gpu->options = *options;
    return gpu;
}

acre_status acre_gpu_open(acre_gpu_driver *driver, const acre_gpu_options *options, acre_gpu **out)
{
    static const acre_gpu_options defaults = {0};
    if (out == NULL || !is_driver(driver)) return acre_fail(ACRE_INVALID, "gpu: open: a NULL, or a driver without query, allocate or free");
    *out = NULL;
    if (options == NULL) options = &defaults;
    if ((options->block_bytes != 0 && options->block_bytes < ACRE_GPU_BLOCK_BYTES_MIN) ||
        options->memory_count_max > ACRE_OFFSET_BLOCKS_MAX) {
        return acre_fail(ACRE_INVALID, "gpu '%s': blocks of %llu bytes, at least %u; %u allocations, at most %u", driver->name,
                         (unsigned long long)options->block_bytes, (unsigned)ACRE_GPU_BLOCK_BYTES_MIN, options->memory_count_max,
                         ACRE_OFFSET_BLOCKS_MAX);
    }
    acre_status status = ACRE_OK;
    acre_gpu *const gpu = take_manager(options, &status);
    if (gpu == NULL) return status;
    gpu->driver = driver;
    status = driver->ops->query(driver, &gpu->device);
    if (status == ACRE_OK) status = check_device(driver, &gpu->device);
    if (status == ACRE_OK) status = open_records(gpu);
    if (status != ACRE_OK) {
        give_back(gpu);
        return status;
    }
    for (uint32_t type = 0; type < gpu->device.type_count && status == ACRE_OK; type++) {
        gpu->by_type[type] = add_pool(gpu, &(acre_gpu_pool_options){.type = type}, true);
        if (gpu->by_type[type] == NULL) status = acre_fail(ACRE_NO_MEMORY, "gpu '%s': no room for its pools", driver->name);
    }
    if (status != ACRE_OK) {
        close_records(gpu);
        give_back(gpu);
        return status;
    }
    *out = gpu;
    return ACRE_OK;
}

acre_status acre_gpu_close(acre_gpu *gpu)
{
    if (gpu == NULL) return ACRE_OK;
    (void)acre_gpu_collect(gpu);
    if (gpu->entries.used_count > 0 || gpu->opened != NULL) {
        return acre_fail(ACRE_BUSY, "gpu '%s': close: %u allocations are out%s", gpu->driver->name, gpu->entries.used_count,
                         gpu->opened != NULL ? " and a pool is open" : "");
    }
    for (uint32_t type = 0; type < gpu->device.type_count; type++) (void)acre_gpu_drop_empty(gpu->by_type[type], 0);
    assert(gpu->block_count == 0);
    close_records(gpu);
    give_back(gpu);
    return ACRE_OK;
}

const acre_gpu_device *acre_gpu_read_device(const acre_gpu *gpu) { return gpu == NULL ? NULL : &gpu->device; }

acre_gpu_pool *acre_gpu_next_pool(acre_gpu *gpu, const acre_gpu_pool *pool)
{
    if (pool == NULL) return gpu->by_type[0];
    if (!pool->is_own) return pool->next;
    return pool->type + 1 < gpu->device.type_count ? gpu->by_type[pool->type + 1] : gpu->opened;
}

/* ---- allocations ---- */

acre_gpu_entry *acre_gpu_find(acre_gpu *gpu, acre_gpu_memory memory, const char *operation)
{
    if (gpu == NULL) {
        (void)acre_fail(ACRE_INVALID, "gpu: %s: the manager is NULL", operation);
        return NULL;
    }
    acre_gpu_entry *entry = acre_record_find(&gpu->entries, memory);
    if (entry != NULL && (__atomic_load_n(&entry->flags, __ATOMIC_RELAXED) & ACRE_GPU_PARTING) != 0) entry = NULL;
    if (entry == NULL) {
        (void)acre_fail(ACRE_BAD_POINTER, "gpu '%s': %s: memory %llx is none of this manager, or was freed", gpu->driver->name, operation,
                        (unsigned long long)memory);
    }
    return entry;
}

static acre_status status_of_gate(const acre_gpu *gpu) { return gpu == NULL ? ACRE_INVALID : ACRE_BAD_POINTER; }

static acre_status check_request(const acre_gpu *gpu, const acre_gpu_request *request)
{
    if (request->size_bytes == 0 || request->size_bytes > ACRE_BACKING_BYTES_MAX)
        return acre_fail(ACRE_INVALID, "gpu '%s': %llu bytes asked for", gpu->driver->name, (unsigned long long)request->size_bytes);
    if (request->alignment_bytes != 0 && !acre_is_power_of_two(request->alignment_bytes)) {
        return acre_fail(ACRE_INVALID, "gpu '%s': alignment %llu is no power of two", gpu->driver->name,
                         (unsigned long long)request->alignment_bytes);
    }
    if (request->host_access > ACRE_GPU_HOST_WRITES_OR_COPY || request->prefer > ACRE_GPU_PREFER_HOST ||
        request->content > ACRE_GPU_UNKNOWN || request->strategy > ACRE_GPU_LOWEST || request->lifetime > ACRE_LIFETIME_PHASE ||
        !(request->priority >= 0.0F && request->priority <= 1.0F)) {
        return acre_fail(ACRE_INVALID,
                         "gpu '%s': host access %u, preference %u, content %u, strategy %u, lifetime %u, or the priority, is out of range",
                         gpu->driver->name, request->host_access, request->prefer, request->content, request->strategy, request->lifetime);
    }
    if (request->pool == NULL) return ACRE_OK;
    const acre_gpu_pool_options *const pool = &request->pool->options;
    if (request->pool->gpu != gpu) return acre_fail(ACRE_INVALID, "gpu '%s': the pool is another manager's", gpu->driver->name);
    const bool is_for_one_block = (request->flags & ACRE_GPU_DEDICATED) != 0 || request->extension != NULL;
    if (pool->kind == ACRE_GPU_POOL_SLABS && (request->size_bytes > pool->slot_bytes || is_for_one_block)) {
        return acre_fail(ACRE_INVALID, "gpu '%s': %llu bytes asked for of pool '%s', whose slots have %llu", gpu->driver->name,
                         (unsigned long long)request->size_bytes, request->pool->name, (unsigned long long)pool->slot_bytes);
    }
    const uint64_t alignment = acre_gpu_need_of(request->pool, request).alignment_bytes;
    if (pool->kind == ACRE_GPU_POOL_SLABS && pool->slot_bytes % alignment != 0) {
        return acre_fail(ACRE_INVALID, "gpu '%s': alignment %llu needed of pool '%s', whose slots have %llu bytes", gpu->driver->name,
                         (unsigned long long)alignment, request->pool->name, (unsigned long long)pool->slot_bytes);
    }
    return ACRE_OK;
}

/* The types that a request may be given, the best first. */
static acre_status order_types(const acre_gpu *gpu, const acre_gpu_request *request, uint8_t order[ACRE_GPU_TYPES_MAX], uint32_t *count)
{
    const acre_status status = check_request(gpu, request);
    if (status != ACRE_OK) return status;
    if (request->pool != NULL) {
        order[0] = (uint8_t)request->pool->type;
        *count = 1;
        return ACRE_OK;
    }
    *count = acre_gpu_order_types(&gpu->device, request, order);
    if (*count > 0) return ACRE_OK;
    return acre_fail(ACRE_INVALID, "gpu '%s': no memory type of mask %x has the flags %x for %llu bytes with host access %u",
                     gpu->driver->name, request->type_mask == 0 ? UINT32_MAX : request->type_mask, request->required,
                     (unsigned long long)request->size_bytes, request->host_access);
}

acre_status acre_gpu_choose_type(const acre_gpu *gpu, const acre_gpu_request *request, uint32_t *type)
{
    uint8_t order[ACRE_GPU_TYPES_MAX];
    uint32_t count = 0;
    if (gpu == NULL || request == NULL || type == NULL) return acre_fail(ACRE_INVALID, "gpu: choose type: a NULL");
    const acre_status status = order_types(gpu, request, order, &count);
    if (status == ACRE_OK) *type = order[0];
    return status;
}

static acre_status out_of_memory(acre_gpu *gpu, const acre_gpu_request *request, uint32_t type)
{
    acre_gpu_figures figures = {0};
    const uint32_t heap = gpu->device.types[type].heap;
    if (acre_gpu_read_figures(gpu, heap, &figures) != ACRE_OK) return ACRE_NO_MEMORY;
    return acre_fail(
        ACRE_NO_MEMORY,
        "gpu '%s': %llu bytes asked for: of heap %u %llu bytes are taken, %llu of them in use, the largest free extent has %llu, "
        "fragmentation is %u permille; used %llu of a budget of %llu",
        gpu->driver->name, (unsigned long long)request->size_bytes, heap, (unsigned long long)figures.block_bytes,
        (unsigned long long)figures.memory_bytes, (unsigned long long)figures.free_extent_largest_bytes, figures.fragmentation_permille,
        (unsigned long long)figures.used_bytes, (unsigned long long)figures.limit_bytes);
}

static acre_gpu_entry *take_entry(acre_gpu *gpu)
{
    acre_lock_take(&gpu->lock);
    acre_gpu_entry *const entry = acre_record_take(&gpu->entries);
    acre_lock_drop(&gpu->lock);
    return entry;
}

static void drop_record(acre_gpu *gpu, acre_gpu_entry *entry)
{
    acre_lock_take(&gpu->lock);
    if (entry->name != NULL) acre_record_drop(&gpu->names, (acre_record *)(void *)entry->name - 1);
    acre_record_drop(&gpu->entries, entry);
    acre_lock_drop(&gpu->lock);
}

void acre_gpu_drop_entry(acre_gpu *gpu, acre_gpu_entry *entry)
{
    acre_gpu_count_memory(-(int64_t)entry->size_bytes);
    if (acre_unlikely(acre_gpu_observer_of_process != NULL)) acre_gpu_observer_of_process((uintptr_t)entry, 0, NULL);
    drop_record(gpu, entry);
}

/* Keeps a name, "" and NULL being none. */
static acre_status name_entry(acre_gpu *gpu, acre_gpu_entry *entry, const char *name)
{
    const bool has_name = name != NULL && name[0] != 0;
    acre_lock_take(&gpu->lock);
    acre_record *record = entry->name == NULL ? NULL : (acre_record *)(void *)entry->name - 1;
    if (has_name && record == NULL) record = acre_record_take(&gpu->names);
    if (!has_name && record != NULL) {
        acre_record_drop(&gpu->names, record);
        record = NULL;
    }
    acre_lock_drop(&gpu->lock);
    entry->name = record == NULL ? NULL : (char *)(record + 1);
    if (has_name && record == NULL) return acre_fail(ACRE_NO_MEMORY, "gpu '%s': no room for the name '%s'", gpu->driver->name, name);
    if (record != NULL) (void)acre_format(entry->name, ACRE_GPU_NAME_MAX, "%s", name);
    return ACRE_OK;
}

/* A place in one pool, mapped when that is asked for. */
static acre_status place_of_type(acre_gpu_pool *pool, const acre_gpu_request *request, acre_gpu_entry *entry)
{
    const bool is_mapped = (request->flags & ACRE_GPU_MAPPED) != 0;
    const acre_gpu_need need = acre_gpu_need_of(pool, request);
    if (is_mapped && !ACRE_GPU_HAS(pool->gpu, map))
        return acre_fail(ACRE_UNSUPPORTED, "gpu '%s': its driver maps nothing", pool->gpu->driver->name);
    acre_lock_take(&pool->lock);
    acre_status status = acre_gpu_place(pool, &need, entry);
    if (status == ACRE_OK && is_mapped && (acre_gpu_type_of(pool)->flags & ACRE_GPU_HOST_VISIBLE) != 0) {
        status = acre_gpu_map_block(entry->block);
        if (status == ACRE_OK)
            entry->map_count = 1;
        else
            acre_gpu_leave(entry);
    }
    acre_lock_drop(&pool->lock);
    return status;
}

acre_status acre_gpu_alloc(acre_gpu *gpu, const acre_gpu_request *request, acre_gpu_memory *memory)
{
    uint8_t order[ACRE_GPU_TYPES_MAX];
    uint32_t count = 0;
    if (gpu == NULL || request == NULL || memory == NULL) return acre_fail(ACRE_INVALID, "gpu: alloc: a NULL");
    *memory = 0;
    acre_status status = order_types(gpu, request, order, &count);
    if (status != ACRE_OK) return status;
    acre_gpu_collect_some(gpu);
    acre_gpu_entry *entry = take_entry(gpu);
    if (entry == NULL && acre_gpu_collect(gpu) > 0) entry = take_entry(gpu);
    if (entry == NULL) {
        return acre_fail(ACRE_NO_MEMORY, "gpu '%s': all of its %u allocations are in use, or the space for its notes is full",
                         gpu->driver->name, gpu->entries.count_max);
    }
    entry->size_bytes = request->size_bytes;
    entry->user = request->user;
    entry->site = __builtin_return_address(0);
    entry->flags = request->flags;
    entry->content = request->content;
    status = name_entry(gpu, entry, request->name);
    if (status == ACRE_OK) {
        do { /* again when memory was out that the device is done with */
            status = ACRE_NO_MEMORY;
            for (uint32_t i = 0; i < count && status == ACRE_NO_MEMORY; i++)
                status = place_of_type(request->pool != NULL ? request->pool : gpu->by_type[order[i]], request, entry);
        } while (status == ACRE_NO_MEMORY && acre_gpu_collect(gpu) > 0);
        if (status == ACRE_NO_MEMORY) status = out_of_memory(gpu, request, order[0]);
    }
    if (status != ACRE_OK) {
        drop_record(gpu, entry);
        return status;
    }
    *memory = acre_record_name(&gpu->entries, entry);
    acre_gpu_count_memory((int64_t)request->size_bytes);
    if (acre_unlikely(acre_gpu_observer_of_process != NULL))
        acre_gpu_observer_of_process((uintptr_t)entry, request->size_bytes, __builtin_frame_address(0));
    return ACRE_OK;
}

/* The pool's lock is held. */
static void leave(acre_gpu_entry *entry)
{
    while (entry->map_count > 0) {
        entry->map_count--;
        acre_gpu_unmap_block(entry->block);
    }
    acre_gpu_leave(entry);
}

void acre_gpu_free_entry(acre_gpu *gpu, acre_gpu_entry *entry)
{
    acre_gpu_pool *const pool = entry->block->pool;
    acre_lock_take(&pool->lock);
    leave(entry);
    acre_lock_drop(&pool->lock);
    acre_gpu_drop_entry(gpu, entry);
}

acre_status acre_gpu_free(acre_gpu *gpu, acre_gpu_memory memory)
{
    if (memory == 0 && gpu != NULL) return ACRE_OK;
    acre_gpu_entry *const entry = acre_gpu_find(gpu, memory, "free");
    if (entry == NULL) return status_of_gate(gpu);
    acre_gpu_pool *const pool = entry->block->pool;
    acre_lock_take(&pool->lock);
    if (entry->to_block != NULL) {
        acre_lock_drop(&pool->lock);
        return acre_fail(ACRE_BUSY, "gpu '%s': free: memory %llx is part of a plan of moves", gpu->driver->name,
                         (unsigned long long)memory);
    }
    leave(entry);
    acre_lock_drop(&pool->lock);
    acre_gpu_drop_entry(gpu, entry);
    return ACRE_OK;
}

acre_status acre_gpu_read_memory(acre_gpu *gpu, acre_gpu_memory memory, acre_gpu_memory_info *info)
{
    if (info == NULL) return acre_fail(ACRE_INVALID, "gpu: read memory: a NULL");
    const acre_gpu_entry *const entry = acre_gpu_find(gpu, memory, "read memory");
    if (entry == NULL) return status_of_gate(gpu);
    acre_gpu_pool *const pool = entry->block->pool;
    acre_lock_take(&pool->lock);
    const acre_gpu_block *const block = entry->block;
    *info = (acre_gpu_memory_info){.handle = block->handle,
                                   .offset_bytes = entry->offset,
                                   .size_bytes = entry->size_bytes,
                                   .alignment_bytes = (uint64_t)1 << entry->alignment_shift,
                                   .type = pool->type,
                                   .flags = acre_gpu_type_of(pool)->flags,
                                   .is_dedicated = block->is_dedicated,
                                   .pointer = entry->map_count == 0 ? NULL : (unsigned char *)block->pointer + entry->offset,
                                   .user = entry->user,
                                   .name = entry->name == NULL ? "" : entry->name,
                                   .site = entry->site};
    acre_lock_drop(&pool->lock);
    return ACRE_OK;
}

acre_status acre_gpu_set_user(acre_gpu *gpu, acre_gpu_memory memory, void *user)
{
    acre_gpu_entry *const entry = acre_gpu_find(gpu, memory, "set user");
    if (entry == NULL) return status_of_gate(gpu);
    acre_gpu_pool *const pool = entry->block->pool;
    acre_lock_take(&pool->lock);
    entry->user = user;
    acre_lock_drop(&pool->lock);
    return ACRE_OK;
}

acre_status acre_gpu_set_name(acre_gpu *gpu, acre_gpu_memory memory, const char *name)
{
    acre_gpu_entry *const entry = acre_gpu_find(gpu, memory, "set name");
    if (entry == NULL) return status_of_gate(gpu);
    acre_gpu_pool *const pool = entry->block->pool;
    acre_lock_take(&pool->lock); /* reports read names under it */
    const acre_status status = name_entry(gpu, entry, name);
    acre_lock_drop(&pool->lock);
    return status;
}

/* ---- what the host sees ---- */

acre_status acre_gpu_map(acre_gpu *gpu, acre_gpu_memory memory, void **pointer)
{
    if (pointer == NULL) return acre_fail(ACRE_INVALID, "gpu: map: a NULL");
    acre_gpu_entry *const entry = acre_gpu_find(gpu, memory, "map");
    if (entry == NULL) return status_of_gate(gpu);
    acre_gpu_pool *const pool = entry->block->pool;
    if ((acre_gpu_type_of(pool)->flags & ACRE_GPU_HOST_VISIBLE) == 0 || !ACRE_GPU_HAS(gpu, map))
        return acre_fail(ACRE_UNSUPPORTED, "gpu '%s': map: type %u is not visible to the host", gpu->driver->name, pool->type);
    acre_lock_take(&pool->lock);
    const acre_status status = acre_gpu_map_block(entry->block);
    if (status == ACRE_OK) {
        entry->map_count++;
        *pointer = (unsigned char *)entry->block->pointer + entry->offset;
    }
    acre_lock_drop(&pool->lock);
    return status;
}

acre_status acre_gpu_unmap(acre_gpu *gpu, acre_gpu_memory memory)
{
    acre_gpu_entry *const entry = acre_gpu_find(gpu, memory, "unmap");
    if (entry == NULL) return status_of_gate(gpu);
    acre_gpu_pool *const pool = entry->block->pool;
    acre_lock_take(&pool->lock);
    const uint32_t lasting = (entry->flags & ACRE_GPU_MAPPED) != 0 ? 1 : 0;
    const bool is_mapped = entry->map_count > lasting;
    if (is_mapped) {
        entry->map_count--;
        acre_gpu_unmap_block(entry->block);
    }
    acre_lock_drop(&pool->lock);
    if (is_mapped) return ACRE_OK;
    return acre_fail(ACRE_INVALID, "gpu '%s': unmap: memory %llx is not mapped by acre_gpu_map", gpu->driver->name,
                     (unsigned long long)memory);
}

typedef acre_status sync_operation(acre_gpu_driver *driver, acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes);

static acre_status sync(acre_gpu *gpu, acre_gpu_memory memory, uint64_t offset, uint64_t size, const char *name, sync_operation *operation)
{
    const acre_gpu_entry *const entry = acre_gpu_find(gpu, memory, name);
    if (entry == NULL) return status_of_gate(gpu);
    if (offset > entry->size_bytes || (size != UINT64_MAX && size > entry->size_bytes - offset)) {
        return acre_fail(ACRE_OUT_OF_BOUNDS, "gpu '%s': %s of %llu bytes at %llu of memory of %llu", gpu->driver->name, name,
                         (unsigned long long)size, (unsigned long long)offset, (unsigned long long)entry->size_bytes);
    }
    const acre_gpu_block *const block = entry->block;
    const uint64_t atom = acre_gpu_atom_of(block->pool);
    const uint64_t end_in_it = size == UINT64_MAX ? entry->size_bytes : offset + size;
    if (atom == 1 || operation == NULL || end_in_it == offset) return ACRE_OK;
    const uint64_t begin = acre_align_down(entry->offset + offset, atom);
    uint64_t end = acre_align_up(entry->offset + end_in_it, atom);
    if (end > block->size_bytes) end = block->size_bytes;
    return operation(gpu->driver, block->handle, begin, end - begin);
}

acre_status acre_gpu_flush(acre_gpu *gpu, acre_gpu_memory memory, uint64_t offset, uint64_t size_bytes)
{
    return sync(gpu, memory, offset, size_bytes, "flush", gpu != NULL && ACRE_GPU_HAS(gpu, flush) ? gpu->driver->ops->flush : NULL);
}

acre_status acre_gpu_invalidate(acre_gpu *gpu, acre_gpu_memory memory, uint64_t offset, uint64_t size_bytes)
{
    return sync(gpu, memory, offset, size_bytes, "invalidate",
                gpu != NULL && ACRE_GPU_HAS(gpu, invalidate) ? gpu->driver->ops->invalidate : NULL);
}

/* ---- pools ---- */

static acre_status check_pool(const acre_gpu *gpu, const acre_gpu_pool_options *options)
{
    if (options->type >= gpu->device.type_count || options->kind > ACRE_GPU_POOL_SLABS ||
        !(options->priority >= 0.0F && options->priority <= 1.0F)) {
        return acre_fail(ACRE_INVALID, "gpu '%s': pool of kind %u and type %u of %u, or its priority, is out of range", gpu->driver->name,
                         options->kind, options->type, gpu->device.type_count);
    }
    if ((options->alignment_bytes != 0 && !acre_is_power_of_two(options->alignment_bytes)) ||
        (options->block_bytes != 0 && options->block_bytes < ACRE_GPU_GRANULE_BYTES) ||
        (options->block_count_max != 0 && options->block_count_min > options->block_count_max)) {
        return acre_fail(ACRE_INVALID, "gpu '%s': pool with alignment %llu, blocks of %llu bytes, %u to %u of them", gpu->driver->name,
                         (unsigned long long)options->alignment_bytes, (unsigned long long)options->block_bytes, options->block_count_min,
                         options->block_count_max);
    }
    if (options->kind == ACRE_GPU_POOL_LINEAR && (options->block_count_max > 1 || options->block_count_min > 1))
        return acre_fail(ACRE_INVALID, "gpu '%s': a linear pool has one block", gpu->driver->name);
    if (options->kind != ACRE_GPU_POOL_SLABS) return ACRE_OK;
    const uint64_t alignment = options->alignment_bytes == 0 ? 1 : options->alignment_bytes;
    if (options->slot_bytes == 0 || options->slot_bytes % alignment != 0 ||
        (options->block_bytes != 0 && options->slot_bytes > options->block_bytes)) {
        return acre_fail(ACRE_INVALID, "gpu '%s': slabs of %llu bytes: a multiple of the alignment %llu, not more than a block",
                         gpu->driver->name, (unsigned long long)options->slot_bytes, (unsigned long long)alignment);
    }
    return ACRE_OK;
}

acre_status acre_gpu_pool_open(acre_gpu *gpu, const acre_gpu_pool_options *options, acre_gpu_pool **out)
{
    if (gpu == NULL || options == NULL || out == NULL) return acre_fail(ACRE_INVALID, "gpu: open pool: a NULL");
    *out = NULL;
    acre_status status = check_pool(gpu, options);
    if (status != ACRE_OK) return status;
    acre_gpu_pool_options settled = *options;
    if (settled.kind == ACRE_GPU_POOL_LINEAR) settled.block_count_max = 1;
    acre_gpu_pool *const pool = add_pool(gpu, &settled, false);
    if (pool == NULL) return acre_fail(ACRE_NO_MEMORY, "gpu '%s': there are %u pools already", gpu->driver->name, gpu->pools.count_max);
    /* No slab block is longer than its slots, nor shorter than one. */
    if (settled.kind == ACRE_GPU_POOL_SLABS) {
        const uint64_t most = settled.slot_bytes * ACRE_POOL_COUNT_MAX;
        if (pool->block_bytes > most) pool->block_bytes = most;
        if (pool->block_bytes < settled.slot_bytes) pool->block_bytes = settled.slot_bytes;
        pool->is_size_fixed = true;
    }
    const acre_gpu_request any = {.size_bytes = 1};
    const acre_gpu_need need = acre_gpu_need_of(pool, &any);
    acre_lock_take(&pool->lock);
    for (uint32_t i = 0; i < settled.block_count_min && status == ACRE_OK; i++) {
        acre_gpu_block *block = NULL;
        status = acre_gpu_add_block(pool, pool->block_bytes, &need, &block);
    }
    if (status != ACRE_OK) {
        pool->options.block_count_min = 0;
        (void)acre_gpu_drop_empty(pool, 0);
    }
    acre_lock_drop(&pool->lock);
    if (status != ACRE_OK) {
        drop_pool(pool);
        return acre_fail(status, "gpu '%s': pool '%s': %u blocks of %llu bytes are not to be had", gpu->driver->name,
                         options->name == NULL ? "" : options->name, options->block_count_min, (unsigned long long)options->block_bytes);
    }
    *out = pool;
    return ACRE_OK;
}

acre_status acre_gpu_pool_close(acre_gpu_pool *pool)
{
    if (pool == NULL) return ACRE_OK;
    (void)acre_gpu_collect(pool->gpu);
    acre_lock_take(&pool->lock);
    const uint32_t in_use = pool->block_count + pool->dedicated_count - pool->empty_count;
    if (in_use == 0) {
        pool->options.block_count_min = 0;
        (void)acre_gpu_drop_empty(pool, 0);
    }
    acre_lock_drop(&pool->lock);
    if (in_use > 0) return acre_fail(ACRE_BUSY, "gpu '%s': pool '%s' has %u blocks in use", pool->gpu->driver->name, pool->name, in_use);
    drop_pool(pool);
    return ACRE_OK;
}

static uint64_t trim_pool(acre_gpu_pool *pool)
{
    acre_lock_take(&pool->lock);
    const uint64_t bytes = acre_gpu_drop_empty(pool, 0);
    acre_lock_drop(&pool->lock);
    return bytes;
}

uint64_t acre_gpu_trim(acre_gpu *gpu, acre_gpu_pool *pool)
{
    uint64_t bytes = 0;
    if (gpu == NULL) return 0;
    (void)acre_gpu_collect(gpu);
    if (pool != NULL) return trim_pool(pool);
    acre_lock_take(&gpu->opened_lock);
    for (acre_gpu_pool *each = acre_gpu_next_pool(gpu, NULL); each != NULL; each = acre_gpu_next_pool(gpu, each)) bytes += trim_pool(each);
    acre_lock_drop(&gpu->opened_lock);
    return bytes;
}
