/* fake_driver.c - see fake_driver.h. A handle is the block's number and 1. */
#include "fake_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fake_driver *fake_of(acre_gpu_driver *driver) { return (fake_driver *)(void *)driver; }

static acre_status query(acre_gpu_driver *driver, acre_gpu_device *device)
{
    *device = fake_of(driver)->device;
    return ACRE_OK;
}

static bool fails(fake_driver *fake) { return ++fake->calls == fake->failing_call; }

static acre_status allocate(acre_gpu_driver *driver, const acre_gpu_block_request *request, acre_gpu_handle *handle)
{
    fake_driver *const fake = fake_of(driver);
    acre_status status = ACRE_NO_MEMORY;
    pthread_mutex_lock(&fake->lock);
    if (request->type >= fake->device.type_count || request->size_bytes == 0) fake->mistakes++;
    const uint32_t heap = fake->device.types[request->type].heap;
    const bool has_room = request->size_bytes <= fake->device.heaps[heap].size_bytes - fake->taken_bytes[heap] &&
                          (fake->size_bytes_max == 0 || request->size_bytes <= fake->size_bytes_max);
    if (!fails(fake) && has_room) {
        for (uint32_t i = 0; i < FAKE_BLOCKS_MAX && status != ACRE_OK; i++) {
            if (fake->blocks[i].bytes != NULL) continue;
            unsigned char *const bytes = calloc(fake->has_bytes ? request->size_bytes : 1, 1);
            if (bytes == NULL) break;
            fake->blocks[i] = (fake_block){.bytes = bytes, .size_bytes = request->size_bytes, .type = request->type, .request = *request};
            fake->taken_bytes[heap] += request->size_bytes;
            *handle = i + 1;
            status = ACRE_OK;
        }
    }
    pthread_mutex_unlock(&fake->lock);
    return status;
}

static fake_block *block_of(fake_driver *fake, acre_gpu_handle handle)
{
    if (handle == 0 || handle > FAKE_BLOCKS_MAX || fake->blocks[handle - 1].bytes == NULL) {
        fprintf(stderr, "fake driver: handle %llu is none\n", (unsigned long long)handle);
        abort();
    }
    return &fake->blocks[handle - 1];
}

static void free_block(acre_gpu_driver *driver, acre_gpu_handle handle, uint32_t type, uint64_t size_bytes)
{
    fake_driver *const fake = fake_of(driver);
    pthread_mutex_lock(&fake->lock);
    fake_block *const block = block_of(fake, handle);
    if (block->is_mapped || block->type != type || block->size_bytes != size_bytes) fake->mistakes++;
    fake->taken_bytes[fake->device.types[type].heap] -= size_bytes;
    free(block->bytes);
    block->bytes = NULL;
    pthread_mutex_unlock(&fake->lock);
}

static acre_status map(acre_gpu_driver *driver, acre_gpu_handle handle, void **pointer)
{
    fake_driver *const fake = fake_of(driver);
    pthread_mutex_lock(&fake->lock);
    fake_block *const block = block_of(fake, handle);
    if (block->is_mapped || (fake->device.types[block->type].flags & ACRE_GPU_HOST_VISIBLE) == 0) fake->mistakes++;
    const bool is_mapped = !fails(fake);
    if (is_mapped) {
        block->is_mapped = true;
        *pointer = block->bytes;
    }
    pthread_mutex_unlock(&fake->lock);
    return is_mapped ? ACRE_OK : ACRE_IO;
}

static void unmap(acre_gpu_driver *driver, acre_gpu_handle handle)
{
    fake_driver *const fake = fake_of(driver);
    pthread_mutex_lock(&fake->lock);
    fake_block *const block = block_of(fake, handle);
    if (!block->is_mapped) fake->mistakes++;
    block->is_mapped = false;
    pthread_mutex_unlock(&fake->lock);
}

static void check_range(fake_driver *fake, acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes)
{
    const fake_block *const block = block_of(fake, handle);
    const uint64_t atom = fake->device.atom_bytes;
    const bool is_inside = offset <= block->size_bytes && size_bytes <= block->size_bytes - offset;
    const bool is_whole = offset % atom == 0 && (size_bytes % atom == 0 || offset + size_bytes == block->size_bytes);
    if (!is_inside || !is_whole || !block->is_mapped) fake->mistakes++;
}

static acre_status flush(acre_gpu_driver *driver, acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes)
{
    fake_driver *const fake = fake_of(driver);
    pthread_mutex_lock(&fake->lock);
    check_range(fake, handle, offset, size_bytes);
    fake->flush_count++;
    fake->flush_offset = offset;
    fake->flush_size = size_bytes;
    pthread_mutex_unlock(&fake->lock);
    return ACRE_OK;
}

static acre_status invalidate(acre_gpu_driver *driver, acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes)
{
    fake_driver *const fake = fake_of(driver);
    pthread_mutex_lock(&fake->lock);
    check_range(fake, handle, offset, size_bytes);
    fake->invalidate_count++;
    pthread_mutex_unlock(&fake->lock);
    return ACRE_OK;
}

static acre_status budget(acre_gpu_driver *driver, uint32_t heap, uint64_t *used_bytes, uint64_t *limit_bytes)
{
    fake_driver *const fake = fake_of(driver);
    if (!fake->has_budget) return ACRE_UNSUPPORTED;
    pthread_mutex_lock(&fake->lock);
    *used_bytes = fake->taken_bytes[heap] + fake->used_by_others[heap];
    *limit_bytes = fake->device.heaps[heap].size_bytes / 4 * 3;
    pthread_mutex_unlock(&fake->lock);
    return ACRE_OK;
}

static acre_status copy(acre_gpu_driver *driver, acre_gpu_handle to, uint64_t to_offset, acre_gpu_handle from, uint64_t from_offset,
                        uint64_t size_bytes)
{
    fake_driver *const fake = fake_of(driver);
    memmove(block_of(fake, to)->bytes + to_offset, block_of(fake, from)->bytes + from_offset, size_bytes);
    return ACRE_OK;
}

void fake_driver_init(fake_driver *fake, uint64_t size_bytes)
{
    static const acre_gpu_driver_ops ops = {.size_bytes = sizeof(acre_gpu_driver_ops),
                                            .query = query,
                                            .allocate = allocate,
                                            .free = free_block,
                                            .map = map,
                                            .unmap = unmap,
                                            .flush = flush,
                                            .invalidate = invalidate,
                                            .budget = budget,
                                            .copy = copy};
    *fake = (fake_driver){
        .driver = {.ops = &ops, .name = "fake"},
        .device = {.name = "a device of the tests",
                   .heap_count = 1,
                   .type_count = 1,
                   .heaps = {{.size_bytes = size_bytes, .flags = ACRE_GPU_DEVICE_LOCAL}},
                   .types = {{.heap = 0, .flags = ACRE_GPU_DEVICE_LOCAL | ACRE_GPU_HOST_VISIBLE | ACRE_GPU_HOST_COHERENT}},
                   .granularity_bytes = 1,
                   .atom_bytes = 1},
    };
    pthread_mutex_init(&fake->lock, NULL);
}

uint32_t fake_driver_block_count(const fake_driver *fake)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < FAKE_BLOCKS_MAX; i++) count += fake->blocks[i].bytes != NULL;
    return count;
}

unsigned char *fake_driver_bytes(fake_driver *fake, acre_gpu_handle handle, uint64_t offset)
{
    return block_of(fake, handle)->bytes + offset;
}
