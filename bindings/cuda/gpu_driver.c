/* gpu_driver.c - a CUDA device below the manager of acre/gpu.h: device memory, managed memory, and memory of the host that the device maps.
 */
#include "cuda/device.h"

#include <string.h>
#include <unistd.h>

enum { HEAP_DEVICE, HEAP_HOST };

static acre_cuda *cuda_of(acre_gpu_driver *driver) { return (acre_cuda *)(void *)((char *)driver - offsetof(acre_cuda, gpu_driver)); }

static void add_type(acre_cuda *cuda, acre_gpu_device *device, acre_cuda_kind kind, uint32_t heap, uint32_t flags)
{
    cuda->kind_of_type[device->type_count] = kind;
    device->types[device->type_count++] = (acre_gpu_type){.heap = heap, .flags = flags};
}

static acre_status query(acre_gpu_driver *driver, acre_gpu_device *device)
{
    acre_cuda *const cuda = cuda_of(driver);
    const acre_cuda_facts *const facts = &cuda->facts;
    const uint32_t host_flags = ACRE_GPU_HOST_VISIBLE | ACRE_GPU_HOST_COHERENT | ACRE_GPU_HOST_CACHED;
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    memset(device, 0, sizeof *device);
    const size_t length = strnlen(facts->name, sizeof device->name - 1);
    memcpy(device->name, facts->name, length);
    device->granularity_bytes = device->atom_bytes = 1;
    device->is_integrated = facts->is_integrated;
    device->heap_count = 2;
    device->heaps[HEAP_DEVICE] = (acre_gpu_heap){facts->total_bytes, ACRE_GPU_DEVICE_LOCAL};
    device->heaps[HEAP_HOST].size_bytes = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : facts->total_bytes;
    add_type(cuda, device, ACRE_CUDA_DEVICE, HEAP_DEVICE, ACRE_GPU_DEVICE_LOCAL);
    if (facts->has_managed) add_type(cuda, device, ACRE_CUDA_MANAGED, HEAP_DEVICE, ACRE_GPU_DEVICE_LOCAL | host_flags);
    if (facts->maps_host) add_type(cuda, device, ACRE_CUDA_MAPPED, HEAP_HOST, host_flags);
    return ACRE_OK;
}

static acre_status allocate(acre_gpu_driver *driver, const acre_gpu_block_request *request, acre_gpu_handle *handle)
{
    acre_cuda *const cuda = cuda_of(driver);
    acre_cuda_memory memory;
    const acre_status status = acre_cuda_alloc(cuda, cuda->kind_of_type[request->type], request->size_bytes, &memory);
    if (status == ACRE_OK) *handle = memory.address;
    return status;
}

/* The memory that a block is; address 0: it is none of ours. */
static acre_cuda_memory memory_of(acre_cuda *cuda, acre_gpu_handle handle)
{
    acre_cuda_memory memory = {.address = 0};
    pthread_mutex_lock(&cuda->lock);
    const acre_device_block *const block = acre_block_table_find(&cuda->device_blocks, handle);
    if (block != NULL) memory = (acre_cuda_memory){(acre_cuda_kind)block->kind, block->address, block->owner, block->size_bytes};
    pthread_mutex_unlock(&cuda->lock);
    return memory;
}

static void release(acre_gpu_driver *driver, acre_gpu_handle handle, uint32_t type, uint64_t size_bytes)
{
    acre_cuda *const cuda = cuda_of(driver);
    acre_cuda_memory memory = memory_of(cuda, handle);
    (void)type;
    (void)size_bytes;
    (void)acre_cuda_free(cuda, &memory); /* what the driver refuses is in use still, and acre_cuda_close says so */
}

static acre_status map(acre_gpu_driver *driver, acre_gpu_handle handle, void **pointer)
{
    const acre_cuda_memory memory = memory_of(cuda_of(driver), handle);
    if (memory.host == NULL)
        return acre_fail(ACRE_UNSUPPORTED, "cuda: the memory at 0x%llx is not the host's to see", (unsigned long long)handle);
    *pointer = memory.host;
    return ACRE_OK;
}

static void unmap(acre_gpu_driver *driver, acre_gpu_handle handle)
{
    (void)driver;
    (void)handle;
}

static acre_status budget(acre_gpu_driver *driver, uint32_t heap, uint64_t *used_bytes, uint64_t *limit_bytes)
{
    uint64_t free_bytes, total_bytes;
    if (heap != HEAP_DEVICE) return acre_fail(ACRE_UNSUPPORTED, "cuda: the driver tells nothing about memory of the host");
    const acre_status status = acre_cuda_budget(cuda_of(driver), &free_bytes, &total_bytes);
    if (status != ACRE_OK) return status;
    *used_bytes = total_bytes - free_bytes;
    *limit_bytes = total_bytes;
    return ACRE_OK;
}

/* The driver does not wait for a copy within the device: the default stream does. */
static acre_status copy(acre_gpu_driver *driver, acre_gpu_handle to, uint64_t to_offset, acre_gpu_handle from, uint64_t from_offset,
                        uint64_t size_bytes)
{
    acre_cuda *const cuda = cuda_of(driver);
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuMemcpyDtoD", cuda->driver.copy(to + to_offset, from + from_offset, size_bytes));
    if (status == ACRE_OK) status = acre_cuda_status(cuda, "cuStreamSynchronize", cuda->driver.stream_synchronize(NULL));
    acre_cuda_leave(cuda);
    return status;
}

acre_gpu_driver *acre_cuda_gpu_driver(acre_cuda *cuda)
{
    static const acre_gpu_driver_ops ops = {.size_bytes = sizeof ops,
                                            .query = query,
                                            .allocate = allocate,
                                            .free = release,
                                            .map = map,
                                            .unmap = unmap,
                                            .budget = budget,
                                            .copy = copy};
    if (cuda == NULL) return NULL;
    cuda->gpu_driver = (acre_gpu_driver){&ops, "cuda"};
    return &cuda->gpu_driver;
}
