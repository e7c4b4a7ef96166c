/* driver.c - a context below the manager of acre/gpu.h: blocks are buffers, a handle is a cl_mem. One heap and one type: OpenCL does not
 * say where a buffer lies, and does not say what is used. */
#include "opencl/context.h"

#include <string.h>

static acre_status query(acre_gpu_driver *driver, acre_gpu_device *device)
{
    const acre_opencl *const cl = (const acre_opencl *)(const void *)driver;
    memset(device, 0, sizeof *device);
    memcpy(device->name, cl->facts.name, strnlen(cl->facts.name, sizeof device->name - 1));
    device->heap_count = device->type_count = 1;
    device->heaps[0] = (acre_gpu_heap){cl->facts.global_bytes, ACRE_GPU_DEVICE_LOCAL};
    device->types[0].flags = ACRE_GPU_DEVICE_LOCAL;
    device->granularity_bytes = device->atom_bytes = 1;
    device->block_bytes_max = cl->facts.block_bytes_max;
    device->is_integrated = cl->facts.shares_host_memory;
    return ACRE_OK;
}

static acre_status allocate(acre_gpu_driver *driver, const acre_gpu_block_request *request, acre_gpu_handle *handle)
{
    const acre_opencl *const cl = (const acre_opencl *)(const void *)driver;
    cl_int error;
    cl_mem mem = cl->calls.clCreateBuffer(cl->context, CL_MEM_READ_WRITE, request->size_bytes, NULL, &error);
    *handle = (uintptr_t)mem;
    /* A buffer that is too long for the device is one that a smaller block may serve. */
    if (mem == NULL && error == CL_INVALID_BUFFER_SIZE) error = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return acre_opencl_status("clCreateBuffer", error);
}

static void release(acre_gpu_driver *driver, acre_gpu_handle handle, uint32_t type, uint64_t size_bytes)
{
    const acre_opencl *const cl = (const acre_opencl *)(const void *)driver;
    (void)type;
    (void)size_bytes;
    cl_mem mem = (cl_mem)(uintptr_t)handle;
    if (cl->calls.clReleaseMemObject(mem) != CL_SUCCESS) (void)cl->calls.clReleaseMemObject(mem); /* a want of memory may be over */
}

const acre_gpu_driver_ops acre_opencl_driver_ops = {
    .size_bytes = sizeof(acre_gpu_driver_ops), .query = query, .allocate = allocate, .free = release};
