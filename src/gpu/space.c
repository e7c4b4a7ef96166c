/* space.c - a memory type of a device as a space: what a range is, is an allocation.
 *
 * An address is the number of the allocation's record above 40 bits for the byte in it. So an address leads to its allocation in O(1), and
 * is a multiple of whatever alignment was asked for, up to 2^40.
 */
#include "gpu/manager.h"

#include "alloc/offset_allocator.h"
#include "base/bits.h"
#include "base/status.h"
#include "space/space.h"

enum { OFFSET_BITS = 40, GRAIN_BYTES = 65536 };
#define OFFSET_MASK (((uint64_t)1 << OFFSET_BITS) - 1)

static acre_gpu_pool *pool_of(const acre_space *space) { return space->implementation; }

static acre_status refuse(const acre_space *space, acre_addr address)
{
    return acre_fail(ACRE_BAD_POINTER, "space '%s': 0x%llx lies in no range of it", space->name, (unsigned long long)address);
}

static acre_gpu_memory memory_at(const acre_space *space, acre_addr address)
{
    const acre_gpu *const gpu = pool_of(space)->gpu;
    const acre_gpu_entry *const entry = acre_record_at(&gpu->entries, (uint32_t)(address >> OFFSET_BITS));
    if (entry == NULL || entry->user != space) return 0;
    return acre_record_name(&gpu->entries, entry);
}

/* The allocation at an address that has `size` bytes from there on; 0: none. */
static acre_gpu_memory range_at(const acre_space *space, acre_addr address, uint64_t size, uint64_t *offset, acre_gpu_memory_info *info)
{
    const acre_gpu_memory memory = memory_at(space, address);
    *offset = address & OFFSET_MASK;
    if (memory == 0 || acre_gpu_read_memory(pool_of(space)->gpu, memory, info) != ACRE_OK) return 0;
    return *offset <= info->size_bytes && size <= info->size_bytes - *offset ? memory : 0;
}

static acre_status query(acre_space *space, acre_space_info *info)
{
    *info = space->info;
    return ACRE_OK;
}

static acre_status reserve(acre_space *space, uint64_t size, uint64_t alignment, const acre_hints *hints, acre_addr *address)
{
    acre_gpu_pool *const pool = pool_of(space);
    acre_gpu_memory memory = 0;
    const acre_gpu_request request = {.size_bytes = size,
                                      .alignment_bytes = alignment,
                                      .lifetime = hints == NULL ? ACRE_LIFETIME_UNKNOWN : hints->lifetime,
                                      .pool = pool,
                                      .user = space,
                                      .name = space->name};
    if (size > OFFSET_MASK || alignment > OFFSET_MASK + 1) {
        return acre_fail(ACRE_NO_MEMORY, "space '%s': a range of %llu bytes aligned to %llu", space->name, (unsigned long long)size,
                         (unsigned long long)alignment);
    }
    const acre_status status = acre_gpu_alloc(pool->gpu, &request, &memory);
    if (status == ACRE_OK) *address = (memory & UINT32_MAX) << OFFSET_BITS;
    return status;
}

static acre_status release(acre_space *space, acre_addr address, uint64_t size)
{
    acre_gpu_memory_info info;
    uint64_t offset = 0;
    const acre_gpu_memory memory = range_at(space, address, size, &offset, &info);
    if (memory == 0 || offset != 0 || size != info.size_bytes) return refuse(space, address);
    return acre_gpu_free(pool_of(space)->gpu, memory);
}

static acre_status map(acre_space *space, acre_addr address, uint64_t size, void **pointer)
{
    acre_gpu_memory_info info;
    uint64_t offset = 0;
    const acre_gpu_memory memory = range_at(space, address, size, &offset, &info);
    if (memory == 0) return refuse(space, address);
    acre_gpu *const gpu = pool_of(space)->gpu;
    acre_status status = acre_gpu_map(gpu, memory, pointer);
    if (status != ACRE_OK) return status;
    if ((space->info.capabilities & ACRE_CAP_COHERENT) == 0) status = acre_gpu_invalidate(gpu, memory, offset, size);
    if (status == ACRE_OK) {
        *pointer = (unsigned char *)*pointer + offset;
    } else {
        (void)acre_gpu_unmap(gpu, memory);
    }
    return status;
}

static acre_gpu_memory name_of_ours(const acre_space *space, const acre_gpu_entry *entry)
{
    return entry->user == space ? acre_record_name(&pool_of(space)->gpu->entries, entry) : 0;
}

/* The range in which a pointer into a mapped block lies; 0: none of this space. O(extents). */
static acre_gpu_memory memory_of_pointer(const acre_space *space, const void *pointer)
{
    acre_gpu_pool *const pool = pool_of(space);
    acre_gpu_memory memory = 0;
    acre_lock_take(&pool->lock);
    for (const acre_gpu_block *block = pool->first; block != NULL && memory == 0; block = block->next) {
        acre_offset_extent extent;
        const uintptr_t at = (uintptr_t)pointer - (uintptr_t)block->pointer;
        if (block->pointer == NULL || at >= block->size_bytes) continue;
        if (block->is_dedicated) memory = name_of_ours(space, block->entries);
        if (block->offsets.nodes == NULL) continue;
        for (uint32_t i = acre_offset_step(&block->offsets, 0, &extent); i != 0; i = acre_offset_step(&block->offsets, i, &extent)) {
            const acre_gpu_entry *const entry = acre_gpu_entry_of(&extent);
            if (entry == NULL || at < extent.offset || at - extent.offset >= extent.size_bytes) continue;
            memory = name_of_ours(space, entry);
            break;
        }
    }
    acre_lock_drop(&pool->lock);
    return memory;
}

static acre_status unmap(acre_space *space, void *pointer, uint64_t size)
{
    (void)size;
    const acre_gpu_memory memory = memory_of_pointer(space, pointer);
    return memory == 0 ? refuse(space, (uintptr_t)pointer) : acre_gpu_unmap(pool_of(space)->gpu, memory);
}

static acre_status flush(acre_space *space, acre_addr address, uint64_t size, acre_domain domain)
{
    acre_gpu_memory_info info;
    uint64_t offset = 0;
    const acre_gpu_memory memory = range_at(space, address, size, &offset, &info);
    if (memory == 0) return refuse(space, address);
    if (domain != ACRE_DOMAIN_DEVICE) return acre_fail(ACRE_UNSUPPORTED, "space '%s': it is not persistent", space->name);
    return acre_gpu_flush(pool_of(space)->gpu, memory, offset, size);
}

static acre_status copy(acre_space *space, acre_addr to, acre_addr from, uint64_t size)
{
    acre_gpu_memory_info to_info;
    acre_gpu_memory_info from_info;
    uint64_t to_offset = 0;
    uint64_t from_offset = 0;
    acre_gpu_driver *const driver = pool_of(space)->gpu->driver;
    if (range_at(space, to, size, &to_offset, &to_info) == 0) return refuse(space, to);
    if (range_at(space, from, size, &from_offset, &from_info) == 0) return refuse(space, from);
    return driver->ops->copy(driver, to_info.handle, to_info.offset_bytes + to_offset, from_info.handle,
                             from_info.offset_bytes + from_offset, size);
}

static acre_status budget(acre_space *space, uint64_t *used_bytes, uint64_t *limit_bytes)
{
    acre_gpu_pool *const pool = pool_of(space);
    acre_gpu_read_budget(pool->gpu, acre_gpu_type_of(pool)->heap, used_bytes, limit_bytes);
    return ACRE_OK;
}

/* One table for each set of what a type may lack. */
#define TABLE(can_map, can_copy)                                                                                                           \
    {                                                                                                                                      \
        .size_bytes = sizeof(acre_space_ops), .query = query, .reserve = reserve, .release = release, .flush = flush, .budget = budget,    \
        .map = (can_map) ? map : NULL, .unmap = (can_map) ? unmap : NULL, .copy = (can_copy) ? copy : NULL                                 \
    }
static const acre_space_ops tables[2][2] = {{TABLE(false, false), TABLE(false, true)}, {TABLE(true, false), TABLE(true, true)}};

acre_status acre_gpu_open_space(acre_gpu *gpu, uint32_t type, acre_space *space)
{
    if (gpu == NULL || space == NULL) return acre_fail(ACRE_INVALID, "gpu: open space: a NULL");
    if (type >= gpu->device.type_count)
        return acre_fail(ACRE_INVALID, "gpu '%s': open space: type %u of %u", gpu->driver->name, type, gpu->device.type_count);
    const uint32_t flags = gpu->device.types[type].flags;
    const bool can_map = (flags & ACRE_GPU_HOST_VISIBLE) != 0 && ACRE_GPU_HAS(gpu, map);
    const bool can_copy = ACRE_GPU_HAS(gpu, copy);
    uint32_t capabilities = ACRE_CAP_DEVICE_ACCESS | ACRE_CAP_FLUSH | ACRE_CAP_BUDGET;
    if (can_map) capabilities |= ACRE_CAP_MAP;
    if (can_copy) capabilities |= ACRE_CAP_COPY;
    if ((flags & ACRE_GPU_HOST_COHERENT) != 0) capabilities |= ACRE_CAP_COHERENT;
    const acre_space_info info = {
        .kind = ACRE_SPACE_HANDLE,
        .capabilities = capabilities,
        .page_bytes = GRAIN_BYTES,
        .grain_bytes = GRAIN_BYTES,
        .capacity_bytes = {.value = gpu->device.heaps[gpu->device.types[type].heap].size_bytes, .source = ACRE_SOURCE_REPORTED}};
    const acre_status status = acre_space_init(space, &tables[can_map][can_copy], gpu->driver->name, &info);
    if (status == ACRE_OK) space->implementation = gpu->by_type[type];
    return status;
}

acre_status acre_gpu_space_find(acre_space *space, acre_addr address, acre_gpu_memory *memory, uint64_t *offset_bytes)
{
    acre_gpu_memory_info info;
    if (space == NULL || memory == NULL || offset_bytes == NULL || space->ops == NULL || space->ops->reserve != reserve)
        return acre_fail(ACRE_INVALID, "gpu: space find: a NULL, or the space is no device's");
    *memory = range_at(space, address, 1, offset_bytes, &info);
    return *memory == 0 ? refuse(space, address) : ACRE_OK;
}
