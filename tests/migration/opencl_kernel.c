/* opencl_kernel.c - see opencl_kernel.h. */
#include "opencl_kernel.h"

#define CL_TARGET_OPENCL_VERSION 200
#include <CL/cl.h>
#include <stdio.h>
#include <time.h>

static const char *const source = "__kernel void triple(__global uint *a) { const size_t i = get_global_id(0); a[i] = a[i] * 3 + 1; }\n";

static struct {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_kernel kernel;
    cl_mem buffer;
    size_t count;
    cl_uint threads;
    char name[256];
} cl;

bool kernel_find(void)
{
    cl_platform_id platform;
    cl_uint count = 0;
    if (clGetPlatformIDs(1, &platform, &count) != CL_SUCCESS || count == 0) return false;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_CPU, 1, &cl.device, NULL) != CL_SUCCESS) return false;
    (void)clGetDeviceInfo(cl.device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof cl.threads, &cl.threads, NULL);
    char device[128] = "", version[128] = "";
    (void)clGetDeviceInfo(cl.device, CL_DEVICE_NAME, sizeof device - 1, device, NULL);
    (void)clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof version - 1, version, NULL);
    (void)snprintf(cl.name, sizeof cl.name, "%s, %s", version, device);
    return true;
}

bool kernel_open(void)
{
    cl_int error;
    cl.context = clCreateContext(NULL, 1, &cl.device, NULL, NULL, &error);
    if (cl.context == NULL) return false;
    cl.queue = clCreateCommandQueueWithProperties(cl.context, cl.device, NULL, &error);
    cl.program = clCreateProgramWithSource(cl.context, 1, (const char **)(uintptr_t)&source, NULL, &error);
    if (cl.program == NULL || clBuildProgram(cl.program, 1, &cl.device, "", NULL, NULL) != CL_SUCCESS) return false;
    cl.kernel = clCreateKernel(cl.program, "triple", &error);
    return cl.kernel != NULL;
}

void kernel_close(void)
{
    (void)clReleaseKernel(cl.kernel);
    (void)clReleaseProgram(cl.program);
    (void)clReleaseCommandQueue(cl.queue);
    (void)clReleaseContext(cl.context);
}

unsigned kernel_threads(void) { return cl.threads; }
const char *kernel_device_name(void) { return cl.name; }

bool kernel_bind(enum kernel_binding binding, uint32_t *numbers, size_t count)
{
    cl_int error;
    cl.count = count;
    if (binding == BOUND_AS_SVM) return clSetKernelArgSVMPointer(cl.kernel, 0, numbers) == CL_SUCCESS;
    cl.buffer = clCreateBuffer(cl.context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, count * sizeof *numbers, numbers, &error);
    return cl.buffer != NULL && clSetKernelArg(cl.kernel, 0, sizeof cl.buffer, &cl.buffer) == CL_SUCCESS;
}

void kernel_unbind(void)
{
    if (cl.buffer != NULL) (void)clReleaseMemObject(cl.buffer);
    cl.buffer = NULL;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t kernel_run(void)
{
    const uint64_t start_ns = now_ns();
    if (clEnqueueNDRangeKernel(cl.queue, cl.kernel, 1, NULL, &cl.count, NULL, 0, NULL, NULL) != CL_SUCCESS) return 0;
    return clFinish(cl.queue) == CL_SUCCESS ? now_ns() - start_ns : 0;
}
