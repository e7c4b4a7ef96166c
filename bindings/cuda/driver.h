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
    CU_STUB_LIBRARY = 34, /* what a program is linked to where there is no driver */
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
    CU_DRIVER_MISMATCH = 803, /* of its two parts */
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

/* The calls, by our names. */
typedef cu_result (*cu_api_init)(unsigned flags);
typedef cu_result (*cu_api_driver_version)(int *version);
typedef cu_result (*cu_api_error_name)(cu_result result, const char **name);
typedef cu_result (*cu_api_device_count)(int *count);
typedef cu_result (*cu_api_device_get)(cu_device *device, int ordinal);
typedef cu_result (*cu_api_device_name)(char *name, int length, cu_device device);
typedef cu_result (*cu_api_device_total_mem)(size_t *bytes, cu_device device);
typedef cu_result (*cu_api_device_attribute)(int *value, int attribute, cu_device device);
typedef cu_result (*cu_api_context_retain)(cu_context *context, cu_device device);
typedef cu_result (*cu_api_context_release)(cu_device device);
typedef cu_result (*cu_api_context_push)(cu_context context);
typedef cu_result (*cu_api_context_pop)(cu_context *context);
typedef cu_result (*cu_api_mem_info)(size_t *free_bytes, size_t *total_bytes);
typedef cu_result (*cu_api_mem_alloc)(cu_pointer *pointer, size_t bytes);
typedef cu_result (*cu_api_mem_free)(cu_pointer pointer);
typedef cu_result (*cu_api_copy)(cu_pointer to, cu_pointer from, size_t bytes);
typedef cu_result (*cu_api_mem_alloc_managed)(cu_pointer *pointer, size_t bytes, unsigned flags);
typedef cu_result (*cu_api_host_alloc)(void **pointer, size_t bytes, unsigned flags);
typedef cu_result (*cu_api_host_free)(void *pointer);
typedef cu_result (*cu_api_host_device_pointer)(cu_pointer *pointer, void *host, unsigned flags);
typedef cu_result (*cu_api_host_register)(void *pointer, size_t bytes, unsigned flags);
typedef cu_result (*cu_api_host_unregister)(void *pointer);
typedef cu_result (*cu_api_event_create)(cu_event *event, unsigned flags);
typedef cu_result (*cu_api_event_destroy)(cu_event event);
typedef cu_result (*cu_api_event_record)(cu_event event, cu_stream stream);
typedef cu_result (*cu_api_event_query)(cu_event event);
typedef cu_result (*cu_api_event_synchronize)(cu_event event);
typedef cu_result (*cu_api_stream_wait_event)(cu_stream stream, cu_event event, unsigned flags);
typedef cu_result (*cu_api_stream_synchronize)(cu_stream stream);
typedef cu_result (*cu_api_pool_create)(cu_pool *pool, const cu_pool_props *props);
typedef cu_result (*cu_api_pool_destroy)(cu_pool pool);
typedef cu_result (*cu_api_pool_set)(cu_pool pool, int attribute, void *value);
typedef cu_result (*cu_api_pool_get)(cu_pool pool, int attribute, void *value);
typedef cu_result (*cu_api_pool_trim)(cu_pool pool, size_t keep_bytes);
typedef cu_result (*cu_api_pool_alloc)(cu_pointer *pointer, size_t bytes, cu_pool pool, cu_stream stream);
typedef cu_result (*cu_api_free_async)(cu_pointer pointer, cu_stream stream);
typedef cu_result (*cu_api_granularity)(size_t *bytes, const cu_allocation_prop *prop, int option);
typedef cu_result (*cu_api_address_reserve)(cu_pointer *pointer, size_t bytes, size_t alignment, cu_pointer wanted,
                                             unsigned long long flags);
typedef cu_result (*cu_api_address_free)(cu_pointer pointer, size_t bytes);
typedef cu_result (*cu_api_handle_create)(cu_handle *handle, size_t bytes, const cu_allocation_prop *prop, unsigned long long flags);
typedef cu_result (*cu_api_handle_release)(cu_handle handle);
typedef cu_result (*cu_api_map)(cu_pointer pointer, size_t bytes, size_t offset, cu_handle handle, unsigned long long flags);
typedef cu_result (*cu_api_unmap)(cu_pointer pointer, size_t bytes);
typedef cu_result (*cu_api_set_access)(cu_pointer pointer, size_t bytes, const cu_access_desc *desc, size_t count);
typedef cu_result (*cu_api_advise)(cu_pointer pointer, size_t bytes, int advice, cu_device device);
typedef cu_result (*cu_api_prefetch)(cu_pointer pointer, size_t bytes, cu_device device, cu_stream stream);
typedef cu_result (*cu_api_ipc_get)(cu_ipc_handle *handle, cu_pointer pointer);
typedef cu_result (*cu_api_ipc_open)(cu_pointer *pointer, cu_ipc_handle handle, unsigned flags);
typedef cu_result (*cu_api_ipc_close)(cu_pointer pointer);

/* Whether a driver without it is refused (1) or lacks a feature (0); our name, the driver's. */
#define ACRE_CUDA_CALLS(CALL)                                  \
    CALL(1, init, cuInit)                                      \
    CALL(1, driver_version, cuDriverGetVersion)                \
    CALL(0, error_name, cuGetErrorName)                        \
    CALL(1, device_count, cuDeviceGetCount)                    \
    CALL(1, device_get, cuDeviceGet)                           \
    CALL(1, device_name, cuDeviceGetName)                      \
    CALL(1, device_total_mem, cuDeviceTotalMem_v2)             \
    CALL(1, device_attribute, cuDeviceGetAttribute)            \
    CALL(1, context_retain, cuDevicePrimaryCtxRetain)          \
    CALL(1, context_release, cuDevicePrimaryCtxRelease_v2)     \
    CALL(1, context_push, cuCtxPushCurrent_v2)                 \
    CALL(1, context_pop, cuCtxPopCurrent_v2)                   \
    CALL(1, mem_info, cuMemGetInfo_v2)                         \
    CALL(1, mem_alloc, cuMemAlloc_v2)                          \
    CALL(1, mem_free, cuMemFree_v2)                            \
    CALL(1, copy, cuMemcpyDtoD_v2)                             \
    CALL(1, mem_alloc_managed, cuMemAllocManaged)              \
    CALL(1, host_alloc, cuMemHostAlloc)                        \
    CALL(1, host_free, cuMemFreeHost)                          \
    CALL(1, host_device_pointer, cuMemHostGetDevicePointer_v2) \
    CALL(1, host_register, cuMemHostRegister_v2)               \
    CALL(1, host_unregister, cuMemHostUnregister)              \
    CALL(1, event_create, cuEventCreate)                       \
    CALL(1, event_destroy, cuEventDestroy_v2)                  \
    CALL(1, event_record, cuEventRecord)                       \
    CALL(1, event_query, cuEventQuery)                         \
    CALL(1, event_synchronize, cuEventSynchronize)             \
    CALL(1, stream_wait_event, cuStreamWaitEvent)              \
    CALL(1, stream_synchronize, cuStreamSynchronize)           \
    CALL(0, pool_create, cuMemPoolCreate)                      \
    CALL(0, pool_destroy, cuMemPoolDestroy)                    \
    CALL(0, pool_set, cuMemPoolSetAttribute)                   \
    CALL(0, pool_get, cuMemPoolGetAttribute)                   \
    CALL(0, pool_trim, cuMemPoolTrimTo)                        \
    CALL(0, pool_alloc, cuMemAllocFromPoolAsync)               \
    CALL(0, free_async, cuMemFreeAsync)                        \
    CALL(0, granularity, cuMemGetAllocationGranularity)        \
    CALL(0, address_reserve, cuMemAddressReserve)              \
    CALL(0, address_free, cuMemAddressFree)                    \
    CALL(0, handle_create, cuMemCreate)                        \
    CALL(0, handle_release, cuMemRelease)                      \
    CALL(0, map, cuMemMap)                                     \
    CALL(0, unmap, cuMemUnmap)                                 \
    CALL(0, set_access, cuMemSetAccess)                        \
    CALL(0, advise, cuMemAdvise)                               \
    CALL(0, prefetch, cuMemPrefetchAsync)                      \
    CALL(0, ipc_get, cuIpcGetMemHandle)                        \
    CALL(0, ipc_open, cuIpcOpenMemHandle_v2)                   \
    CALL(0, ipc_close, cuIpcCloseMemHandle)

typedef struct cu_driver {
#define ACRE_CUDA_FIELD(is_needed, name, symbol) cu_api_##name name;
    ACRE_CUDA_CALLS(ACRE_CUDA_FIELD)
#undef ACRE_CUDA_FIELD
} cu_driver;

#endif
