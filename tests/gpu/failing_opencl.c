/* failing_opencl.c - an OpenCL that hands each call on to the real one, but for the k-th that can fail, and counts what is out. */
#include "failing_opencl.h"

#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl_icd.h>
#include <dlfcn.h>
#include <string.h>

static unsigned long calls, fail_at;
static int fail_with, live_count;

void failing_opencl_at(unsigned long call, int error)
{
    calls = 0;
    fail_at = call;
    fail_with = error;
}

unsigned long failing_opencl_calls(void) { return calls; }
int failing_opencl_live(void) { return live_count; }

static bool is_due(void) { return ++calls == fail_at; }

static void find(const char *symbol, void *place, size_t size)
{
    static void *library;
    if (library == NULL) library = dlopen("libOpenCL.so.1", RTLD_NOW);
    void *const found = library == NULL ? NULL : dlsym(library, symbol);
    memcpy(place, &found, size);
}

#define REAL(name)                                                                                                                         \
    static cl_api_##name real;                                                                                                             \
    if (real == NULL) find(#name, &real, sizeof real)

#define PASS(name, parameters, arguments)                                                                                                  \
    FAILING cl_int CL_API_CALL name parameters                                                                                             \
    {                                                                                                                                      \
        REAL(name);                                                                                                                        \
        return is_due() ? fail_with : real arguments;                                                                                      \
    }

/* What takes something: it is out, if it succeeds. */
#define MAKE(name, parameters, arguments)                                                                                                  \
    FAILING cl_mem CL_API_CALL name parameters                                                                                             \
    {                                                                                                                                      \
        REAL(name);                                                                                                                        \
        if (is_due()) {                                                                                                                    \
            *error = fail_with;                                                                                                            \
            return NULL;                                                                                                                   \
        }                                                                                                                                  \
        cl_mem mem = real arguments;                                                                                                       \
        live_count += mem != NULL;                                                                                                         \
        return mem;                                                                                                                        \
    }

#define DROP(name, parameters, arguments)                                                                                                  \
    FAILING cl_int CL_API_CALL name parameters                                                                                             \
    {                                                                                                                                      \
        REAL(name);                                                                                                                        \
        if (is_due()) return fail_with;                                                                                                    \
        live_count--;                                                                                                                      \
        return real arguments;                                                                                                             \
    }

PASS(clGetContextInfo, (cl_context c, cl_context_info i, size_t n, void *v, size_t *r), (c, i, n, v, r))
PASS(clGetDeviceInfo, (cl_device_id d, cl_device_info i, size_t n, void *v, size_t *r), (d, i, n, v, r))
PASS(clGetSupportedImageFormats, (cl_context c, cl_mem_flags f, cl_mem_object_type t, cl_uint n, cl_image_format *v, cl_uint *r),
     (c, f, t, n, v, r))
PASS(clGetCommandQueueInfo, (cl_command_queue q, cl_command_queue_info i, size_t n, void *v, size_t *r), (q, i, n, v, r))
PASS(clGetEventInfo, (cl_event e, cl_event_info i, size_t n, void *v, size_t *r), (e, i, n, v, r))
PASS(clGetKernelInfo, (cl_kernel k, cl_kernel_info i, size_t n, void *v, size_t *r), (k, i, n, v, r))
PASS(clGetKernelWorkGroupInfo, (cl_kernel k, cl_device_id d, cl_kernel_work_group_info i, size_t n, void *v, size_t *r), (k, d, i, n, v, r))
PASS(clEnqueueBarrierWithWaitList, (cl_command_queue q, cl_uint n, const cl_event *w, cl_event *e), (q, n, w, e))
PASS(clWaitForEvents, (cl_uint n, const cl_event *e), (n, e))
PASS(clFlush, (cl_command_queue q), (q))
PASS(clFinish, (cl_command_queue q), (q))
MAKE(clCreateBuffer, (cl_context c, cl_mem_flags f, size_t n, void *h, cl_int *error), (c, f, n, h, error))
MAKE(clCreateSubBuffer, (cl_mem m, cl_mem_flags f, cl_buffer_create_type t, const void *i, cl_int *error), (m, f, t, i, error))
MAKE(clCreateImage, (cl_context c, cl_mem_flags f, const cl_image_format *t, const cl_image_desc *d, void *h, cl_int *error),
     (c, f, t, d, h, error))
DROP(clReleaseMemObject, (cl_mem m), (m))
DROP(clReleaseEvent, (cl_event e), (e))
DROP(clReleaseContext, (cl_context c), (c))

FAILING cl_int CL_API_CALL clRetainContext(cl_context context)
{
    REAL(clRetainContext);
    if (is_due()) return fail_with;
    live_count++;
    return real(context);
}

FAILING cl_int CL_API_CALL clEnqueueMarkerWithWaitList(cl_command_queue queue, cl_uint count, const cl_event *events, cl_event *event)
{
    REAL(clEnqueueMarkerWithWaitList);
    if (is_due()) return fail_with;
    live_count++;
    return real(queue, count, events, event);
}

FAILING void *CL_API_CALL clSVMAlloc(cl_context context, cl_svm_mem_flags flags, size_t bytes, cl_uint alignment)
{
    REAL(clSVMAlloc);
    if (is_due()) return NULL;
    void *const pointer = real(context, flags, bytes, alignment);
    live_count += pointer != NULL;
    return pointer;
}

FAILING void CL_API_CALL clSVMFree(cl_context context, void *pointer)
{
    REAL(clSVMFree);
    live_count--;
    real(context, pointer);
}
