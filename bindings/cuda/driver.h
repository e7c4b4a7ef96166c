/* driver.h - the part of CUDA's driver API that libacre-cuda calls: names, numbers and layouts of its ABI (CUDA 11.2 and later), so that no
 * header and no library of CUDA is needed to build. The calls are found in libcuda.so.1 at run time. */
#ifndef ACRE_BINDINGS_CUDA_DRIVER_H
#define ACRE_BINDINGS_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

typedef int cu_result;
typedef int cu_device;
typedef unsigned long long cu_pointer, cu_handle;
typedef struct cu_context_object *cu_context;
typedef struct cu_stream_object *cu_stream;
typedef struct cu_event_object *cu_event;
typedef struct cu_pool_object *cu_pool;

enum {
    CU_OK = 0,
    CU_INVALID_VALUE = 1,
    CU_OUT_OF_MEMORY = 2,
    CU_NOT_INITIALIZED = 3,
    CU_NO_DEVICE = 100,
    CU_INVALID_DEVICE = 101,
    CU_INVALID_CONTEXT = 201,
    CU_INVALID_HANDLE = 400,
    CU_NOT_READY = 600,
    CU_ILLEGAL_ADDRESS = 700,
    CU_HOST_MEMORY_ALREADY_REGISTERED = 712,
    CU_HOST_MEMORY_NOT_REGISTERED = 713,
    CU_LAUNCH_FAILED = 719,
    CU_NOT_PERMITTED = 800,
    CU_NOT_SUPPORTED = 801,
    CU_UNKNOWN = 999,
};

/* Attributes of a device. */
enum {
    CU_ATTRIBUTE_SHARED_BYTES_OF_BLOCK = 8,
    CU_ATTRIBUTE_CONSTANT_BYTES = 9,
    CU_ATTRIBUTE_WARP_ITEMS = 10,
    CU_ATTRIBUTE_MULTIPROCESSORS = 16,
    CU_ATTRIBUTE_INTEGRATED = 18,
    CU_ATTRIBUTE_CAN_MAP_HOST_MEMORY = 19,
    CU_ATTRIBUTE_TEXTURE2D_WIDTH = 22,
    CU_ATTRIBUTE_TEXTURE2D_HEIGHT = 23,
    CU_ATTRIBUTE_MEMORY_CLOCK_KHZ = 36,
    CU_ATTRIBUTE_MEMORY_BUS_BITS = 37,
    CU_ATTRIBUTE_L2_BYTES = 38,
    CU_ATTRIBUTE_SHARED_BYTES_OF_MULTIPROCESSOR = 81,
    CU_ATTRIBUTE_REGISTERS_OF_MULTIPROCESSOR = 82,
    CU_ATTRIBUTE_MANAGED_MEMORY = 83,
    CU_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS = 89,
    CU_ATTRIBUTE_HOST_REGISTER_SUPPORTED = 99,
    CU_ATTRIBUTE_VIRTUAL_MEMORY_SUPPORTED = 102,
    CU_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115,
};

/* Attributes of a pool: the first three are int, the rest 64 bits. */
enum {
    CU_POOL_REUSE_FOLLOW_EVENT_DEPENDENCIES = 1,
    CU_POOL_REUSE_ALLOW_OPPORTUNISTIC = 2,
    CU_POOL_REUSE_ALLOW_INTERNAL_DEPENDENCIES = 3,
    CU_POOL_RELEASE_THRESHOLD = 4,
    CU_POOL_RESERVED_CURRENT = 5,
    CU_POOL_RESERVED_HIGH = 6,
    CU_POOL_USED_CURRENT = 7,
    CU_POOL_USED_HIGH = 8,
};

enum {
    CU_ADVISE_SET_READ_MOSTLY = 1,
    CU_ADVISE_UNSET_READ_MOSTLY = 2,
    CU_ADVISE_SET_PREFERRED_LOCATION = 3,
    CU_ADVISE_UNSET_PREFERRED_LOCATION = 4,
    CU_ADVISE_SET_ACCESSED_BY = 5,
    CU_ADVISE_UNSET_ACCESSED_BY = 6,
};

enum {
    CU_DEVICE_CPU = -1,
    CU_HOST_ALLOC_PORTABLE = 1,
    CU_HOST_ALLOC_DEVICE_MAP = 2,
    CU_HOST_REGISTER_PORTABLE = 1,
    CU_HOST_REGISTER_DEVICE_MAP = 2,
    CU_ATTACH_GLOBAL = 1,
    CU_EVENT_DISABLE_TIMING = 2,
    CU_STREAM_NON_BLOCKING = 1,
    CU_ALLOCATION_PINNED = 1,
    CU_LOCATION_DEVICE = 1,
    CU_ACCESS_READ_WRITE = 3,
    CU_GRANULARITY_MINIMUM = 0,
    CU_IPC_LAZY_PEER_ACCESS = 1,
};

typedef struct cu_location {
    int type, id;
} cu_location;

typedef struct cu_allocation_prop {
    int type, handle_types;
    cu_location location;
    void *win32_meta_data;
    struct {
        unsigned char compression, rdma;
        unsigned short usage;
        unsigned char reserved[4];
    } flags;
} cu_allocation_prop;

typedef struct cu_access_desc {
    cu_location location;
    int flags;
} cu_access_desc;

typedef struct cu_pool_props {
    int type, handle_types;
    cu_location location;
    void *win32_security;
    size_t max_bytes; /* CUDA 12.2 and later; 0: the driver's own bound */
    unsigned char reserved[56];
} cu_pool_props;

typedef struct cu_ipc_handle {
    char reserved[64];
} cu_ipc_handle;

_Static_assert(sizeof(cu_allocation_prop) == 32 && sizeof(cu_access_desc) == 12 && sizeof(cu_pool_props) == 88, "the driver's layout");

/* Whether a driver without it is refused (1) or lacks a feature (0); our name, the driver's, its arguments. */
#define ACRE_CUDA_CALLS(CALL)                                                                                                             \
    CALL(1, init, cuInit, (unsigned flags))                                                                                               \
    CALL(1, driver_version, cuDriverGetVersion, (int *version))                                                                           \
    CALL(0, error_name, cuGetErrorName, (cu_result result, const char **name))                                                            \
    CALL(1, device_count, cuDeviceGetCount, (int *count))                                                                                 \
    CALL(1, device_get, cuDeviceGet, (cu_device *device, int ordinal))                                                                    \
    CALL(1, device_name, cuDeviceGetName, (char *name, int length, cu_device device))                                                     \
    CALL(1, device_total_mem, cuDeviceTotalMem_v2, (size_t *bytes, cu_device device))                                                     \
    CALL(1, device_attribute, cuDeviceGetAttribute, (int *value, int attribute, cu_device device))                                        \
    CALL(1, context_retain, cuDevicePrimaryCtxRetain, (cu_context *context, cu_device device))                                            \
    CALL(1, context_release, cuDevicePrimaryCtxRelease_v2, (cu_device device))                                                            \
    CALL(1, context_push, cuCtxPushCurrent_v2, (cu_context context))                                                                      \
    CALL(1, context_pop, cuCtxPopCurrent_v2, (cu_context *context))                                                                       \
    CALL(1, mem_info, cuMemGetInfo_v2, (size_t *free_bytes, size_t *total_bytes))                                                         \
    CALL(1, mem_alloc, cuMemAlloc_v2, (cu_pointer *pointer, size_t bytes))                                                                \
    CALL(1, mem_free, cuMemFree_v2, (cu_pointer pointer))                                                                                 \
    CALL(1, copy, cuMemcpyDtoD_v2, (cu_pointer to, cu_pointer from, size_t bytes))                                                        \
    CALL(1, mem_alloc_managed, cuMemAllocManaged, (cu_pointer *pointer, size_t bytes, unsigned flags))                                    \
    CALL(1, host_alloc, cuMemHostAlloc, (void **pointer, size_t bytes, unsigned flags))                                                   \
    CALL(1, host_free, cuMemFreeHost, (void *pointer))                                                                                    \
    CALL(1, host_device_pointer, cuMemHostGetDevicePointer_v2, (cu_pointer *pointer, void *host, unsigned flags))                         \
    CALL(1, host_register, cuMemHostRegister_v2, (void *pointer, size_t bytes, unsigned flags))                                           \
    CALL(1, host_unregister, cuMemHostUnregister, (void *pointer))                                                                        \
    CALL(1, event_create, cuEventCreate, (cu_event *event, unsigned flags))                                                               \
    CALL(1, event_destroy, cuEventDestroy_v2, (cu_event event))                                                                           \
    CALL(1, event_record, cuEventRecord, (cu_event event, cu_stream stream))                                                              \
    CALL(1, event_query, cuEventQuery, (cu_event event))                                                                                  \
    CALL(1, event_synchronize, cuEventSynchronize, (cu_event event))                                                                      \
    CALL(1, stream_wait_event, cuStreamWaitEvent, (cu_stream stream, cu_event event, unsigned flags))                                     \
    CALL(1, stream_synchronize, cuStreamSynchronize, (cu_stream stream))                                                                  \
    CALL(0, pool_create, cuMemPoolCreate, (cu_pool *pool, const cu_pool_props *props))                                                    \
    CALL(0, pool_destroy, cuMemPoolDestroy, (cu_pool pool))                                                                               \
    CALL(0, pool_set, cuMemPoolSetAttribute, (cu_pool pool, int attribute, void *value))                                                  \
    CALL(0, pool_get, cuMemPoolGetAttribute, (cu_pool pool, int attribute, void *value))                                                  \
    CALL(0, pool_trim, cuMemPoolTrimTo, (cu_pool pool, size_t keep_bytes))                                                                \
    CALL(0, pool_alloc, cuMemAllocFromPoolAsync, (cu_pointer *pointer, size_t bytes, cu_pool pool, cu_stream stream))                     \
    CALL(0, free_async, cuMemFreeAsync, (cu_pointer pointer, cu_stream stream))                                                           \
    CALL(0, granularity, cuMemGetAllocationGranularity, (size_t *bytes, const cu_allocation_prop *prop, int option))                      \
    CALL(0, address_reserve, cuMemAddressReserve,                                                                                         \
         (cu_pointer *pointer, size_t bytes, size_t alignment, cu_pointer wanted, unsigned long long flags))                              \
    CALL(0, address_free, cuMemAddressFree, (cu_pointer pointer, size_t bytes))                                                           \
    CALL(0, handle_create, cuMemCreate, (cu_handle *handle, size_t bytes, const cu_allocation_prop *prop, unsigned long long flags))      \
    CALL(0, handle_release, cuMemRelease, (cu_handle handle))                                                                             \
    CALL(0, map, cuMemMap, (cu_pointer pointer, size_t bytes, size_t offset, cu_handle handle, unsigned long long flags))                 \
    CALL(0, unmap, cuMemUnmap, (cu_pointer pointer, size_t bytes))                                                                        \
    CALL(0, set_access, cuMemSetAccess, (cu_pointer pointer, size_t bytes, const cu_access_desc *desc, size_t count))                     \
    CALL(0, advise, cuMemAdvise, (cu_pointer pointer, size_t bytes, int advice, cu_device device))                                        \
    CALL(0, prefetch, cuMemPrefetchAsync, (cu_pointer pointer, size_t bytes, cu_device device, cu_stream stream))                         \
    CALL(0, ipc_get, cuIpcGetMemHandle, (cu_ipc_handle *handle, cu_pointer pointer))                                                      \
    CALL(0, ipc_open, cuIpcOpenMemHandle_v2, (cu_pointer *pointer, cu_ipc_handle handle, unsigned flags))                                 \
    CALL(0, ipc_close, cuIpcCloseMemHandle, (cu_pointer pointer))

typedef struct cu_driver {
#define ACRE_CUDA_FIELD(is_needed, name, symbol, arguments) cu_result (*name) arguments;
    ACRE_CUDA_CALLS(ACRE_CUDA_FIELD)
#undef ACRE_CUDA_FIELD
} cu_driver;

#endif
