/* cuda_program.h - what a program does with a CUDA device beside acre: streams, copies and kernels, by calls of the driver of its own; and
 * the driver's ways to allocate, which acre is compared with.
 *
 * The primary context is used, as acre and the CUDA runtime do. Each thread enters it once. What fails is said on standard error, by the
 * name of the call, and the caller ends. */
#ifndef ACRE_BENCH_GPU_CUDA_PROGRAM_H
#define ACRE_BENCH_GPU_CUDA_PROGRAM_H

#include "cuda/driver.h"

#include <acre/status.h>
#include <stdbool.h>

/* Of a[], 32 bits each: fill sets a[i] = first + i, step a[i] = a[i] * 3 + 1; see cuda_kernels.h. */
typedef enum program_kernel {
    KERNEL_FILL,    /* (a, count, first) */
    KERNEL_STEP,    /* (a, count) */
    KERNEL_SUM,     /* (a, count, 64 bits of device memory that it is added to) */
    KERNEL_COMPARE, /* (a, count, first, 64 bits that the wrong ones are counted in) */
    KERNEL_WAIT,    /* (nanoseconds) */
    KERNEL_TOUCH,   /* (a, stride in a[], count, nanoseconds of each of them) */
    KERNEL_COUNT
} program_kernel;

/* Calls that libacre-cuda has not. */
typedef struct cu_module_object *cu_module;
typedef struct cu_function_object *cu_function;
typedef cu_result (*cu_api_context_current)(cu_context *context);
typedef cu_result (*cu_api_stream_create)(cu_stream *stream, unsigned flags);
typedef cu_result (*cu_api_stream_destroy)(cu_stream stream);
typedef cu_result (*cu_api_copy_to)(cu_pointer to, const void *from, size_t bytes);
typedef cu_result (*cu_api_copy_from)(void *to, cu_pointer from, size_t bytes);
typedef cu_result (*cu_api_module_load)(cu_module *module, const void *image, unsigned option_count, int *options, void **values);
typedef cu_result (*cu_api_module_unload)(cu_module module);
typedef cu_result (*cu_api_module_function)(cu_function *function, cu_module module, const char *name);
typedef cu_result (*cu_api_launch)(cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                                   unsigned block_y, unsigned block_z, unsigned shared_bytes, cu_stream stream, void **arguments,
                                   void **extra);
typedef cu_result (*cu_api_alloc_async)(cu_pointer *pointer, size_t bytes, cu_stream stream);
typedef cu_result (*cu_api_default_pool)(cu_pool *pool, cu_device device);

/* As ACRE_CUDA_CALLS: those with 0 are peers that an older driver lacks. */
#define PROGRAM_CALLS(CALL)                                                                                                                \
    CALL(1, init, cuInit)                                                                                                                  \
    CALL(1, device_get, cuDeviceGet)                                                                                                       \
    CALL(1, context_retain, cuDevicePrimaryCtxRetain)                                                                                      \
    CALL(1, context_release, cuDevicePrimaryCtxRelease_v2)                                                                                 \
    CALL(1, context_push, cuCtxPushCurrent_v2)                                                                                             \
    CALL(1, context_pop, cuCtxPopCurrent_v2)                                                                                               \
    CALL(1, context_current, cuCtxGetCurrent)                                                                                              \
    CALL(1, mem_info, cuMemGetInfo_v2)                                                                                                     \
    CALL(1, mem_alloc, cuMemAlloc_v2)                                                                                                      \
    CALL(1, mem_free, cuMemFree_v2)                                                                                                        \
    CALL(1, copy, cuMemcpyDtoD_v2)                                                                                                         \
    CALL(1, copy_to, cuMemcpyHtoD_v2)                                                                                                      \
    CALL(1, copy_from, cuMemcpyDtoH_v2)                                                                                                    \
    CALL(1, stream_create, cuStreamCreate)                                                                                                 \
    CALL(1, stream_destroy, cuStreamDestroy_v2)                                                                                            \
    CALL(1, stream_synchronize, cuStreamSynchronize)                                                                                       \
    CALL(1, event_create, cuEventCreate)                                                                                                   \
    CALL(1, event_destroy, cuEventDestroy_v2)                                                                                              \
    CALL(1, event_record, cuEventRecord)                                                                                                   \
    CALL(1, stream_wait_event, cuStreamWaitEvent)                                                                                          \
    CALL(1, module_load, cuModuleLoadDataEx)                                                                                               \
    CALL(1, module_unload, cuModuleUnload)                                                                                                 \
    CALL(1, module_function, cuModuleGetFunction)                                                                                          \
    CALL(1, launch, cuLaunchKernel)                                                                                                        \
    CALL(0, alloc_async, cuMemAllocAsync)                                                                                                  \
    CALL(0, free_async, cuMemFreeAsync)                                                                                                    \
    CALL(0, default_pool, cuDeviceGetDefaultMemPool)                                                                                       \
    CALL(0, pool_create, cuMemPoolCreate)                                                                                                  \
    CALL(0, pool_destroy, cuMemPoolDestroy)                                                                                                \
    CALL(0, pool_set, cuMemPoolSetAttribute)                                                                                               \
    CALL(0, pool_get, cuMemPoolGetAttribute)                                                                                               \
    CALL(0, pool_trim, cuMemPoolTrimTo)                                                                                                    \
    CALL(0, pool_alloc, cuMemAllocFromPoolAsync)

typedef struct program_calls {
#define PROGRAM_FIELD(is_needed, name, symbol) cu_api_##name name;
    PROGRAM_CALLS(PROGRAM_FIELD)
#undef PROGRAM_FIELD
} program_calls;

typedef struct cuda_program {
    program_calls calls;
    cu_device device;
    cu_context context;
} cuda_program;

extern cuda_program program;

/* Finds the calls, takes the context, which the calling thread has entered then, and loads the kernels. */
bool program_open(void);
void program_close(void);

bool program_enter(void);
void program_leave(void);

/* Whether a call of the driver succeeded. */
bool program_has(cu_result result, const char *call);
#define DRIVER(call, ...) program_has(program.calls.call(__VA_ARGS__), #call)

/* Whether a call of acre succeeded, and left the program's context current. */
bool program_is_ok(acre_status status, const char *call);
#define ACRE(call) program_is_ok(call, #call)

/* Says what is wrong. Returns false. */
__attribute__((format(printf, 1, 2))) bool program_wrong(const char *format, ...);

/* Queues a kernel over `count` items, or in one thread (WAIT, TOUCH). */
bool program_launch(cu_stream stream, program_kernel kernel, void **arguments);

bool program_fill(cu_stream stream, cu_pointer a, uint64_t count, uint32_t first);
bool program_step(cu_stream stream, cu_pointer a, uint64_t count);

/* Wait for the stream: the sum of a[], and how many are not first + i. */
bool program_sum(cu_stream stream, cu_pointer a, uint64_t count, uint64_t *sum);
bool program_compare(cu_stream stream, cu_pointer a, uint64_t count, uint32_t first, uint64_t *wrong);

/* Queues a comparison; the wrong ones of all are counted, for program_wrong_count, which waits for nothing. */
bool program_compare_later(cu_stream stream, cu_pointer a, uint64_t count, uint32_t first);
bool program_wrong_count(uint64_t *wrong);

/* Of first + i, and of what a step makes of it. */
uint64_t program_sum_of(uint64_t count, uint32_t first, bool is_stepped);

double program_seconds(void);

/* Bytes of the device that are free. */
uint64_t program_free_bytes(void);

#endif
