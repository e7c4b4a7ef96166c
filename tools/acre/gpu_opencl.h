/* gpu_opencl.h - the calls of OpenCL that are made here, found at run time, and what is measured with them. */
#ifndef ACRE_TOOL_GPU_OPENCL_H
#define ACRE_TOOL_GPU_OPENCL_H

#include "gpu_devices.h"

#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl_icd.h>

#define GPU_OPENCL_CALLS(CALL)                                                                                                             \
    CALL(clGetPlatformIDs)                                                                                                                 \
    CALL(clGetPlatformInfo)                                                                                                                \
    CALL(clGetDeviceIDs)                                                                                                                   \
    CALL(clGetDeviceInfo)                                                                                                                  \
    CALL(clCreateContext)                                                                                                                  \
    CALL(clReleaseContext)                                                                                                                 \
    CALL(clCreateCommandQueue)                                                                                                             \
    CALL(clReleaseCommandQueue)                                                                                                            \
    CALL(clCreateProgramWithSource)                                                                                                        \
    CALL(clBuildProgram)                                                                                                                   \
    CALL(clReleaseProgram)                                                                                                                 \
    CALL(clCreateKernel)                                                                                                                   \
    CALL(clReleaseKernel)                                                                                                                  \
    CALL(clSetKernelArg)                                                                                                                   \
    CALL(clCreateBuffer)                                                                                                                   \
    CALL(clReleaseMemObject)                                                                                                               \
    CALL(clEnqueueWriteBuffer)                                                                                                             \
    CALL(clEnqueueNDRangeKernel)                                                                                                           \
    CALL(clWaitForEvents)                                                                                                                  \
    CALL(clGetEventProfilingInfo)                                                                                                          \
    CALL(clReleaseEvent)

typedef struct gpu_opencl {
#define GPU_OPENCL_FIELD(name) cl_api_##name name;
    GPU_OPENCL_CALLS(GPU_OPENCL_FIELD)
#undef GPU_OPENCL_FIELD
} gpu_opencl;

/* Runs kernels on the device: bandwidth and latency of global memory, latency over sizes, both of local memory, latency of constant
 * memory. A second or two. What fails stays unknown, and the first failure is told in not_measured. */
void gpu_measure_opencl(const gpu_opencl *cl, cl_device_id id, gpu_device *device);

#endif
