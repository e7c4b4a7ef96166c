/* context.h - what the files of libacre-opencl share: an open context, and how OpenCL is called. */
#ifndef ACRE_BINDINGS_OPENCL_CONTEXT_H
#define ACRE_BINDINGS_OPENCL_CONTEXT_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl_icd.h>

#include "gpu/block_table.h"
#include "gpu/stream_pool.h"

#include <acre/opencl.h>
#include <pthread.h>

/* Whether an OpenCL without it is refused (1) or lacks a feature (0), and the call. */
#define ACRE_OPENCL_CALLS(CALL)                                                                                                            \
    CALL(1, clGetContextInfo)                                                                                                              \
    CALL(1, clRetainContext)                                                                                                               \
    CALL(1, clReleaseContext)                                                                                                              \
    CALL(1, clGetDeviceInfo)                                                                                                               \
    CALL(1, clCreateBuffer)                                                                                                                \
    CALL(1, clCreateSubBuffer)                                                                                                             \
    CALL(1, clCreateImage)                                                                                                                 \
    CALL(1, clGetSupportedImageFormats)                                                                                                    \
    CALL(1, clReleaseMemObject)                                                                                                            \
    CALL(1, clGetCommandQueueInfo)                                                                                                         \
    CALL(1, clEnqueueMarkerWithWaitList)                                                                                                   \
    CALL(1, clEnqueueBarrierWithWaitList)                                                                                                  \
    CALL(1, clGetEventInfo)                                                                                                                \
    CALL(1, clWaitForEvents)                                                                                                               \
    CALL(1, clReleaseEvent)                                                                                                                \
    CALL(1, clFlush)                                                                                                                       \
    CALL(1, clFinish)                                                                                                                      \
    CALL(1, clGetKernelInfo)                                                                                                               \
    CALL(1, clGetKernelWorkGroupInfo)                                                                                                      \
    CALL(0, clSVMAlloc)                                                                                                                    \
    CALL(0, clSVMFree)

typedef struct opencl_calls {
#define FIELD(is_needed, name) cl_api_##name name;
    ACRE_OPENCL_CALLS(FIELD)
#undef FIELD
} opencl_calls;

struct acre_opencl {
    acre_gpu_driver gpu_driver; /* first: the manager hands it back */
    opencl_calls calls;
    void *library;
    cl_context context;
    cl_device_id device;
    acre_opencl_facts facts;
    acre_gpu *gpu;
    acre_stream_pool *pool;
    pthread_mutex_t lock;          /* of what follows */
    acre_block_table buffers, svm; /* in use: by handle, by address */
    uint64_t svm_bytes;
};

/* What an error of OpenCL means, with a sentence; CL_SUCCESS is ACRE_OK. */
acre_status acre_opencl_status(const char *call, cl_int error);

/* As acre_opencl_open, over calls that were found elsewhere. */
acre_status acre_opencl_open_over(const opencl_calls *calls, const acre_opencl_options *options, acre_opencl **cl);

/* Bytes of a pixel; 0: a format that is not known here. */
uint64_t acre_opencl_pixel_bytes(uint32_t order, uint32_t type);

/* The context as a driver of the manager. */
extern const acre_gpu_driver_ops acre_opencl_driver_ops;
extern const acre_stream_pool_ops acre_opencl_pool_ops;

#endif
