/* context.c - finds OpenCL, asks what a device can, and says what its errors mean. */
#include "opencl/context.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_COUNT_MAX = 64, FREE_COUNT_MAX = 4096 };

/* ---- errors ---- */

static acre_status meaning_of(cl_int error)
{
    switch (error) {
    case CL_SUCCESS:
        return ACRE_OK;
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
        return ACRE_NO_MEMORY;
    case CL_IMAGE_FORMAT_NOT_SUPPORTED:
    case CL_INVALID_OPERATION:
        return ACRE_UNSUPPORTED;
    case CL_DEVICE_NOT_AVAILABLE:
        return ACRE_IO;
    default:
        return error <= CL_INVALID_VALUE ? ACRE_INVALID : ACRE_IO;
    }
}

acre_status acre_opencl_status(const char *call, cl_int error)
{
    return error == CL_SUCCESS ? ACRE_OK : acre_fail(meaning_of(error), "opencl: %s: error %d", call, error);
}

/* ---- opening ---- */

/* A function pointer from dlsym, without a cast that ISO C does not know. */
static void *symbol_of(void *library, const char *symbol, void *place, size_t size)
{
    void *const found = dlsym(library, symbol);
    memcpy(place, &found, size);
    return found;
}

static acre_status find_calls(acre_opencl *cl, const char *path)
{
    cl->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (cl->library == NULL) {
        const char *const reason = dlerror();
        return acre_fail(ACRE_UNSUPPORTED, "opencl: not here: %s", reason == NULL ? path : reason);
    }
#define FIND(is_needed, name)                                                                                                              \
    if (symbol_of(cl->library, #name, &cl->calls.name, sizeof cl->calls.name) == NULL && (is_needed))                                      \
        return acre_fail(ACRE_UNSUPPORTED, "opencl: '%s' has no %s", path, #name);
    ACRE_OPENCL_CALLS(FIND)
#undef FIND
    return ACRE_OK;
}

/* A number of the device; 0 if it does not say. */
static uint64_t number_of(const acre_opencl *cl, cl_device_info info, size_t size)
{
    uint64_t long_number = 0;
    cl_uint number = 0;
    void *const place = size == sizeof number ? (void *)&number : (void *)&long_number;
    if (cl->calls.clGetDeviceInfo(cl->device, info, size, place, NULL) != CL_SUCCESS) return 0;
    return size == sizeof number ? number : long_number;
}

static acre_status read_facts(acre_opencl *cl)
{
    acre_opencl_facts *const facts = &cl->facts;
    const cl_int error = cl->calls.clGetDeviceInfo(cl->device, CL_DEVICE_NAME, sizeof facts->name - 1, facts->name, NULL);
    if (error != CL_SUCCESS) return acre_opencl_status("clGetDeviceInfo", error);
    facts->global_bytes = number_of(cl, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
    facts->block_bytes_max = number_of(cl, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
    facts->local_bytes = number_of(cl, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(cl_ulong));
    facts->constant_bytes = number_of(cl, CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, sizeof(cl_ulong));
    facts->constant_count = (uint32_t)number_of(cl, CL_DEVICE_MAX_CONSTANT_ARGS, sizeof(cl_uint));
    facts->alignment_bytes = (uint32_t)number_of(cl, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(cl_uint)) / 8;
    facts->group_items = number_of(cl, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(size_t));
    facts->has_images = number_of(cl, CL_DEVICE_IMAGE_SUPPORT, sizeof(cl_bool)) != 0;
    facts->image_width = number_of(cl, CL_DEVICE_IMAGE2D_MAX_WIDTH, sizeof(size_t));
    facts->image_height = number_of(cl, CL_DEVICE_IMAGE2D_MAX_HEIGHT, sizeof(size_t));
    facts->volume_width = number_of(cl, CL_DEVICE_IMAGE3D_MAX_WIDTH, sizeof(size_t));
    facts->volume_height = number_of(cl, CL_DEVICE_IMAGE3D_MAX_HEIGHT, sizeof(size_t));
    facts->volume_depth = number_of(cl, CL_DEVICE_IMAGE3D_MAX_DEPTH, sizeof(size_t));
    facts->pitch_alignment_pixels = (uint32_t)number_of(cl, CL_DEVICE_IMAGE_PITCH_ALIGNMENT, sizeof(cl_uint));
    facts->shares_host_memory = number_of(cl, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(cl_bool)) != 0;
    const uint64_t svm =
        cl->calls.clSVMAlloc == NULL || cl->calls.clSVMFree == NULL ? 0 : number_of(cl, CL_DEVICE_SVM_CAPABILITIES, sizeof(cl_ulong));
    facts->has_coarse_svm = (svm & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER) != 0;
    facts->has_fine_svm = (svm & CL_DEVICE_SVM_FINE_GRAIN_BUFFER) != 0;
    facts->has_svm_atomics = (svm & CL_DEVICE_SVM_ATOMICS) != 0;
    if (facts->global_bytes == 0 || facts->alignment_bytes == 0 || (facts->alignment_bytes & (facts->alignment_bytes - 1)) != 0)
        return acre_fail(ACRE_UNSUPPORTED, "opencl: device '%s' says %llu bytes of memory, aligned to %u", facts->name,
                         (unsigned long long)facts->global_bytes, facts->alignment_bytes);
    return ACRE_OK;
}

static acre_status open_pool(acre_opencl *cl, const acre_opencl_options *options)
{
    return acre_stream_pool_create(
        &(acre_stream_pool_options){.name = "opencl queue",
                                    .granule_bytes = 512,
                                    .alignment_bytes = 1, /* an address is a handle */
                                    .release_threshold_bytes = options->release_threshold_bytes,
                                    .reuse = options->reuses_same_queue_only ? 0 : ACRE_REUSE_PASSED | ACRE_REUSE_WAIT,
                                    .stream_count_max = STREAM_COUNT_MAX,
                                    .free_count_max = FREE_COUNT_MAX},
        &acre_opencl_pool_ops, cl, &cl->pool);
}

static acre_status open_context(acre_opencl *cl, const acre_opencl_options *options)
{
    if (cl->calls.clGetDeviceInfo == NULL) return acre_fail(ACRE_UNSUPPORTED, "opencl: there is no clGetDeviceInfo");
    acre_status status = read_facts(cl);
    if (status == ACRE_OK) status = acre_opencl_status("clRetainContext", cl->calls.clRetainContext(options->context));
    if (status != ACRE_OK) return status;
    cl->context = options->context;
    cl->gpu_driver = (acre_gpu_driver){&acre_opencl_driver_ops, "opencl"};
    status = acre_gpu_open(&cl->gpu_driver, &(acre_gpu_options){.block_bytes = options->block_bytes}, &cl->gpu);
    if (status == ACRE_OK) status = open_pool(cl, options);
    return status;
}

static void release(acre_opencl *cl)
{
    if (cl->gpu != NULL) (void)acre_gpu_close(cl->gpu);
    if (cl->context != NULL && cl->calls.clReleaseContext(cl->context) != CL_SUCCESS)
        (void)cl->calls.clReleaseContext(cl->context); /* a want of memory may be over */
    if (cl->library != NULL) (void)dlclose(cl->library);
    free(cl->buffers.slots);
    free(cl->svm.slots);
    free(cl);
}

static acre_status open_with(const opencl_calls *calls, const acre_opencl_options *options, acre_opencl **out)
{
    if (options == NULL || out == NULL || options->context == NULL || options->device == NULL)
        return acre_fail(ACRE_INVALID, "opencl: open: options, context, device or place for the result is NULL");
    acre_opencl *const cl = calloc(1, sizeof *cl);
    if (cl == NULL) return acre_fail(ACRE_NO_MEMORY, "opencl: no host memory for a context");
    cl->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    cl->device = options->device;
    acre_status status = ACRE_OK;
    if (calls != NULL)
        cl->calls = *calls;
    else
        status = find_calls(cl, options->library_path == NULL ? "libOpenCL.so.1" : options->library_path);
    if (status == ACRE_OK) status = open_context(cl, options);
    if (status != ACRE_OK) {
        release(cl);
        return status;
    }
    *out = cl;
    return ACRE_OK;
}

acre_status acre_opencl_open(const acre_opencl_options *options, acre_opencl **cl) { return open_with(NULL, options, cl); }

acre_status acre_opencl_open_over(const opencl_calls *calls, const acre_opencl_options *options, acre_opencl **cl)
{
    return open_with(calls, options, cl);
}

acre_status acre_opencl_close(acre_opencl *cl)
{
    if (cl == NULL) return acre_fail(ACRE_INVALID, "opencl: close: NULL");
    pthread_mutex_lock(&cl->lock);
    const size_t buffer_count = cl->buffers.count, svm_count = cl->svm.count;
    pthread_mutex_unlock(&cl->lock);
    if (buffer_count + svm_count > 0)
        return acre_fail(ACRE_BUSY, "opencl: %zu buffers and %zu blocks of shared memory are in use", buffer_count, svm_count);
    if (cl->pool != NULL) {
        const acre_status status = acre_stream_pool_destroy(cl->pool);
        if (status != ACRE_OK) return status;
        cl->pool = NULL;
    }
    release(cl);
    return ACRE_OK;
}

acre_status acre_opencl_query(acre_opencl *cl, acre_opencl_facts *facts)
{
    if (cl == NULL || facts == NULL) return acre_fail(ACRE_INVALID, "opencl: query: NULL");
    *facts = cl->facts;
    return ACRE_OK;
}

acre_gpu *acre_opencl_manager(acre_opencl *cl) { return cl == NULL ? NULL : cl->gpu; }

acre_status acre_opencl_read_figures(acre_opencl *cl, acre_opencl_figures *figures)
{
    if (cl == NULL || figures == NULL) return acre_fail(ACRE_INVALID, "opencl: figures: NULL");
    acre_stream_pool_numbers n;
    acre_stream_pool_read(cl->pool, &n);
    *figures = (acre_opencl_figures){.used_bytes = n.used_bytes,
                                     .held_bytes = n.used_bytes + n.free_bytes,
                                     .used_bytes_max = n.used_bytes_max,
                                     .held_bytes_max = n.held_bytes_max,
                                     .same_count = n.reuse_counts[ACRE_REUSED_SAME],
                                     .passed_count = n.reuse_counts[ACRE_REUSED_PASSED],
                                     .waited_count = n.reuse_counts[ACRE_REUSED_WAIT],
                                     .driver_count = n.driver_count,
                                     .released_count = n.released_count,
                                     .stall_count = n.wait_count};
    pthread_mutex_lock(&cl->lock);
    figures->buffer_count = cl->buffers.count;
    figures->svm_count = cl->svm.count;
    figures->svm_bytes = cl->svm_bytes;
    pthread_mutex_unlock(&cl->lock);
    return ACRE_OK;
}
