/* gpu.c - a manager over a device that is a few arrays: what a driver has to do, and what a program gets. For real devices see
 * acre/vulkan.h, acre/opencl.h and acre/cuda.h. */
#include <acre/gpu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAP_BYTES = 64 << 20 };

static acre_status query(acre_gpu_driver *driver, acre_gpu_device *device)
{
    (void)driver;
    *device = (acre_gpu_device){.name = "64 MiB of the host",
                                .heap_count = 1,
                                .type_count = 1,
                                .heaps = {{.size_bytes = HEAP_BYTES, .flags = ACRE_GPU_DEVICE_LOCAL}},
                                .types = {{.heap = 0, .flags = ACRE_GPU_DEVICE_LOCAL | ACRE_GPU_HOST_VISIBLE | ACRE_GPU_HOST_COHERENT}},
                                .granularity_bytes = 1,
                                .atom_bytes = 1};
    return ACRE_OK;
}

static acre_status allocate(acre_gpu_driver *driver, const acre_gpu_block_request *request, acre_gpu_handle *handle)
{
    (void)driver;
    void *const bytes = malloc(request->size_bytes);
    *handle = (uintptr_t)bytes;
    return bytes == NULL ? ACRE_NO_MEMORY : ACRE_OK;
}

static void give_back(acre_gpu_driver *driver, acre_gpu_handle handle, uint32_t type, uint64_t size_bytes)
{
    (void)driver, (void)type, (void)size_bytes;
    free((void *)(uintptr_t)handle);
}

static acre_status map(acre_gpu_driver *driver, acre_gpu_handle handle, void **pointer)
{
    (void)driver;
    *pointer = (void *)(uintptr_t)handle;
    return ACRE_OK;
}

static bool print(void *context, const char *text, size_t bytes) { return fwrite(text, 1, bytes, context) == bytes; }

int main(void)
{
    static const acre_gpu_driver_ops ops = {
        .size_bytes = sizeof(acre_gpu_driver_ops), .query = query, .allocate = allocate, .free = give_back, .map = map};
    acre_gpu_driver driver = {.ops = &ops, .name = "example"};
    acre_gpu *gpu;
    if (acre_gpu_open(&driver, NULL, &gpu) != ACRE_OK) return 1;

    const acre_gpu_request request = {
        .size_bytes = 65536, .alignment_bytes = 256, .host_access = ACRE_GPU_HOST_WRITES, .flags = ACRE_GPU_MAPPED, .name = "vertices"};
    acre_gpu_memory memory;
    acre_gpu_memory_info info;
    if (acre_gpu_alloc(gpu, &request, &memory) != ACRE_OK || acre_gpu_read_memory(gpu, memory, &info) != ACRE_OK) {
        printf("%s\n", acre_last_error());
        return 1;
    }
    memset(info.pointer, 0, info.size_bytes);
    if (acre_gpu_flush(gpu, memory, 0, UINT64_MAX) != ACRE_OK) return 1;

    if (acre_gpu_close(gpu) == ACRE_OK) return 1;                       /* refused: something is out ... */
    if (acre_gpu_write_report(gpu, print, stdout) != ACRE_OK) return 1; /* ... and this tells what */
    if (acre_gpu_free(gpu, memory) != ACRE_OK) return 1;
    if (acre_gpu_free(gpu, memory) != ACRE_BAD_POINTER) return 1; /* freed twice: refused */
    return acre_gpu_close(gpu) == ACRE_OK ? 0 : 1;
}
