/* gpu_opencl.c - see gpu_devices.h: devices of all platforms of OpenCL. */
#include "gpu_devices.h"

#include "command.h"

#if WITH_OPENCL
#include "gpu_opencl.h"

#include <CL/cl_ext.h>
#include <stdlib.h>
#include <string.h>

enum { PLATFORMS_MAX = 16, DEVICES_MAX = 32, AMD_HEAPS = 2, VERSION_START = 7 };

static bool find_calls(gpu_opencl *cl, void *library)
{
    bool is_there = true;
#define FIND(name) is_there = gpu_find_symbol(library, #name, &cl->name, sizeof cl->name) && is_there;
    GPU_OPENCL_CALLS(FIND)
#undef FIND
    return is_there;
}

/* A number of the device, of any size that OpenCL has; 0 if it does not say. */
static uint64_t number_of(const gpu_opencl *cl, cl_device_id id, cl_device_info info)
{
    cl_ulong long_number = 0;
    cl_uint number = 0;
    size_t size = 0;
    if (cl->clGetDeviceInfo(id, info, 0, NULL, &size) != CL_SUCCESS) return 0;
    if (size == sizeof number && cl->clGetDeviceInfo(id, info, size, &number, NULL) == CL_SUCCESS) return number;
    if (size == sizeof long_number && cl->clGetDeviceInfo(id, info, size, &long_number, NULL) == CL_SUCCESS) return long_number;
    return 0;
}

static void text_of(const gpu_opencl *cl, cl_device_id id, cl_device_info info, char text[ACRE_GPU_TEXT_MAX])
{
    size_t size = 0;
    text[0] = 0;
    if (cl->clGetDeviceInfo(id, info, 0, NULL, &size) != CL_SUCCESS || size == 0) return;
    char *const whole = must_calloc(1, size + 1);
    if (cl->clGetDeviceInfo(id, info, size, whole, NULL) == CL_SUCCESS) gpu_set_text(text, "%s", whole);
    free(whole);
}

static void read_levels(const gpu_opencl *cl, cl_device_id id, acre_gpu_hierarchy *h)
{
    const uint64_t local_type = number_of(cl, id, CL_DEVICE_LOCAL_MEM_TYPE);
    const uint64_t registers = number_of(cl, id, CL_DEVICE_REGISTERS_PER_BLOCK_NV);
    gpu_report(h, ACRE_GPU_LEVEL_GLOBAL, ACRE_GPU_CAPACITY_BYTES, number_of(cl, id, CL_DEVICE_GLOBAL_MEM_SIZE));
    gpu_report(h, ACRE_GPU_LEVEL_GLOBAL, ACRE_GPU_BANKS,
               number_of(cl, id, CL_DEVICE_GLOBAL_MEM_CHANNELS_AMD) * number_of(cl, id, CL_DEVICE_GLOBAL_MEM_CHANNEL_BANKS_AMD));
    gpu_report(h, ACRE_GPU_LEVEL_CACHE, ACRE_GPU_CAPACITY_BYTES, number_of(cl, id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE));
    gpu_report(h, ACRE_GPU_LEVEL_CACHE, ACRE_GPU_LINE_BYTES, number_of(cl, id, CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE));
    gpu_report(h, ACRE_GPU_LEVEL_LOCAL, ACRE_GPU_CAPACITY_BYTES, number_of(cl, id, CL_DEVICE_LOCAL_MEM_SIZE));
    gpu_report(h, ACRE_GPU_LEVEL_LOCAL, ACRE_GPU_BANKS, number_of(cl, id, CL_DEVICE_LOCAL_MEM_BANKS_AMD));
    gpu_set_text(h->levels[ACRE_GPU_LEVEL_LOCAL].note, "of one work-group%s", local_type == CL_GLOBAL ? ", in global memory" : "");
    gpu_report(h, ACRE_GPU_LEVEL_CONSTANT, ACRE_GPU_CAPACITY_BYTES, number_of(cl, id, CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE));
    gpu_set_text(h->levels[ACRE_GPU_LEVEL_CONSTANT].note, "of one buffer, in up to %llu arguments",
                 (unsigned long long)number_of(cl, id, CL_DEVICE_MAX_CONSTANT_ARGS));
    gpu_report(h, ACRE_GPU_LEVEL_REGISTERS, ACRE_GPU_CAPACITY_BYTES, registers * sizeof(cl_uint));
    if (registers > 0) gpu_set_text(h->levels[ACRE_GPU_LEVEL_REGISTERS].note, "of one work-group");
    if (number_of(cl, id, CL_DEVICE_IMAGE_SUPPORT) != 0)
        gpu_set_text(h->levels[ACRE_GPU_LEVEL_IMAGE].note, "up to %llu x %llu",
                     (unsigned long long)number_of(cl, id, CL_DEVICE_IMAGE2D_MAX_WIDTH),
                     (unsigned long long)number_of(cl, id, CL_DEVICE_IMAGE2D_MAX_HEIGHT));
}

/* OpenCL has one heap, and no budget but an extension of AMD's. */
static void read_heap(const gpu_opencl *cl, cl_device_id id, acre_gpu_hierarchy *h)
{
    size_t free_kib[AMD_HEAPS] = {0};
    h->heap_count = 1;
    h->heaps[0] = (acre_gpu_heap_figures){.size_bytes = h->levels[ACRE_GPU_LEVEL_GLOBAL].figures[ACRE_GPU_CAPACITY_BYTES],
                                          .flags = ACRE_GPU_DEVICE_LOCAL};
    if (cl->clGetDeviceInfo(id, CL_DEVICE_GLOBAL_FREE_MEMORY_AMD, sizeof free_kib, free_kib, NULL) == CL_SUCCESS && free_kib[0] > 0)
        h->heaps[0].limit_bytes = (acre_figure){.value = (uint64_t)free_kib[0] * 1024, .source = ACRE_SOURCE_REPORTED};
}

static void read_device(gpu_devices *found, const gpu_opencl *cl, cl_device_id id, gpu_depth depth)
{
    gpu_device *const device = gpu_device_add(found, GPU_OPENCL);
    acre_gpu_hierarchy *const h = &device->hierarchy;
    const uint64_t units = number_of(cl, id, CL_DEVICE_MAX_COMPUTE_UNITS);
    const uint64_t warp_nv = number_of(cl, id, CL_DEVICE_WARP_SIZE_NV);
    const uint64_t warp = warp_nv > 0 ? warp_nv : number_of(cl, id, CL_DEVICE_WAVEFRONT_WIDTH_AMD);
    text_of(cl, id, CL_DEVICE_NAME, h->name);
    text_of(cl, id, CL_DEVICE_VERSION, h->api);
    if (strlen(h->api) > VERSION_START)
        h->api[VERSION_START + strcspn(h->api + VERSION_START, " ")] = 0; /* what stands behind "OpenCL 3.0" is the vendor's */
    text_of(cl, id, CL_DRIVER_VERSION, h->driver);
    h->is_software = (number_of(cl, id, CL_DEVICE_TYPE) & CL_DEVICE_TYPE_CPU) != 0;
    h->is_integrated = number_of(cl, id, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    if (units > 0) h->unit_count = (acre_figure){.value = units, .source = ACRE_SOURCE_REPORTED};
    if (warp > 0) h->warp_items = (acre_figure){.value = warp, .source = ACRE_SOURCE_REPORTED};
    read_levels(cl, id, h);
    read_heap(cl, id, h);
    if (depth == GPU_MEASURED) gpu_measure_opencl(cl, id, device);
}

void gpu_find_opencl(gpu_devices *found, gpu_depth depth)
{
    void *const library = gpu_open_library(found, GPU_OPENCL, "libOpenCL.so.1");
    gpu_opencl cl;
    cl_platform_id platforms[PLATFORMS_MAX];
    cl_uint platform_count = 0;
    if (library == NULL) return;
    if (!find_calls(&cl, library)) {
        gpu_set_reason(found, GPU_OPENCL, must_copy("libOpenCL.so.1 lacks functions of OpenCL 1.1"));
        return;
    }
    const cl_int error = cl.clGetPlatformIDs(PLATFORMS_MAX, platforms, &platform_count);
    if (error != CL_SUCCESS || platform_count == 0) {
        gpu_set_reason(found, GPU_OPENCL,
                       error == CL_SUCCESS || error == CL_PLATFORM_NOT_FOUND_KHR ? must_copy("no platform is installed")
                                                                                 : must_print("clGetPlatformIDs: error %d", error));
        return;
    }
    const size_t before = found->count;
    for (cl_uint i = 0; i < platform_count && i < PLATFORMS_MAX; i++) {
        cl_device_id devices[DEVICES_MAX];
        cl_uint count = 0;
        if (cl.clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, DEVICES_MAX, devices, &count) != CL_SUCCESS) continue;
        for (cl_uint k = 0; k < count && k < DEVICES_MAX; k++) read_device(found, &cl, devices[k], depth);
    }
    if (found->count == before) gpu_set_reason(found, GPU_OPENCL, must_copy("no device"));
}
#else
void gpu_find_opencl(gpu_devices *found, gpu_depth depth)
{
    (void)depth;
    gpu_set_reason(found, GPU_OPENCL, must_copy("this acre was built without the headers of OpenCL"));
}
#endif
