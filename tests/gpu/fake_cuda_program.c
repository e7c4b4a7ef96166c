/* fake_cuda_program.c - what programs call of the driver of fake_cuda.c beside libacre-cuda: streams, copies, and the kernels of
 * bench/gpu/cuda_kernels.h, which are known by their names and run when they are launched, after all that their stream has waited for. A
 * program that called the driver in a wrong way ends with 3. */
#include "fake_cuda.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef enum kernel { FILL, STEP, SUM, COMPARE, WAIT, TOUCH, KERNEL_COUNT } kernel;

static const char *const names[KERNEL_COUNT] = {"fill", "step", "sum", "compare", "wait", "touch"};

#define DRIVER FAKE cu_result

DRIVER cuStreamSynchronize(cu_stream stream);

DRIVER cuCtxGetCurrent(cu_context *context);
DRIVER cuCtxGetCurrent(cu_context *context)
{
    *context = fake_context();
    return CU_OK;
}

DRIVER cuStreamCreate(cu_stream *stream, unsigned flags);
DRIVER cuStreamCreate(cu_stream *stream, unsigned flags)
{
    *stream = fake_stream_create();
    return flags <= CU_STREAM_NON_BLOCKING ? CU_OK : CU_INVALID_VALUE;
}

DRIVER cuStreamDestroy_v2(cu_stream stream);
DRIVER cuStreamDestroy_v2(cu_stream stream)
{
    fake_stream_destroy(stream);
    return CU_OK;
}

DRIVER cuMemcpyHtoD_v2(cu_pointer to, const void *from, size_t bytes);
DRIVER cuMemcpyHtoD_v2(cu_pointer to, const void *from, size_t bytes)
{
    void *const view = fake_device_view(to, bytes);
    if (view == NULL) return CU_ILLEGAL_ADDRESS;
    memcpy(view, from, bytes);
    return CU_OK;
}

DRIVER cuMemcpyDtoH_v2(void *to, cu_pointer from, size_t bytes);
DRIVER cuMemcpyDtoH_v2(void *to, cu_pointer from, size_t bytes)
{
    const void *const view = fake_device_view(from, bytes);
    if (view == NULL) return CU_ILLEGAL_ADDRESS;
    memcpy(to, view, bytes);
    return CU_OK;
}

/* ---- kernels ---- */

DRIVER cuModuleLoadDataEx(void **module, const void *image, unsigned option_count, int *options, void **values);
DRIVER cuModuleLoadDataEx(void **module, const void *image, unsigned option_count, int *options, void **values)
{
    static char one;
    (void)options;
    (void)values;
    *module = &one;
    return strncmp(image, ".version", 8) == 0 && option_count == 0 ? CU_OK : CU_INVALID_VALUE;
}

DRIVER cuModuleUnload(void *module);
DRIVER cuModuleUnload(void *module) { return module != NULL ? CU_OK : CU_INVALID_HANDLE; }

DRIVER cuModuleGetFunction(const char *const **function, void *module, const char *name);
DRIVER cuModuleGetFunction(const char *const **function, void *module, const char *name)
{
    if (module == NULL) return CU_INVALID_HANDLE;
    for (int i = 0; i < KERNEL_COUNT; i++)
        if (strcmp(names[i], name) == 0) {
            *function = &names[i];
            return CU_OK;
        }
    return CU_INVALID_VALUE;
}

static uint64_t number(void *argument) { return *(const uint64_t *)argument; }

static uint32_t *words(void *argument, uint64_t count) { return fake_device_view(number(argument), count * sizeof(uint32_t)); }

static cu_result sum_up(kernel which, void **arguments)
{
    const uint64_t count = number(arguments[1]);
    const uint32_t *const a = words(arguments[0], count);
    uint64_t *const total = fake_device_view(number(arguments[which == SUM ? 2 : 3]), sizeof *total);
    uint64_t own = 0;
    if (a == NULL || total == NULL) return CU_ILLEGAL_ADDRESS;
    for (uint64_t i = 0; i < count; i++) own += which == SUM ? a[i] : a[i] != *(const uint32_t *)arguments[2] + (uint32_t)i;
    (void)__atomic_fetch_add(total, own, __ATOMIC_RELAXED);
    return CU_OK;
}

static cu_result touch(void **arguments)
{
    const uint64_t stride = number(arguments[1]), count = number(arguments[2]);
    uint32_t *const a = words(arguments[0], stride * (count - 1) + 1);
    uint64_t *const ns = fake_device_view(number(arguments[3]), count * sizeof *ns);
    if (a == NULL || ns == NULL) return CU_ILLEGAL_ADDRESS;
    for (uint64_t i = 0; i < count; i++) {
        a[i * stride]++;
        ns[i] = 1;
    }
    return CU_OK;
}

static cu_result run(kernel which, void **arguments)
{
    if (which == SUM || which == COMPARE) return sum_up(which, arguments);
    if (which == TOUCH) return touch(arguments);
    if (which == WAIT) return CU_OK;
    const uint64_t count = number(arguments[1]);
    uint32_t *const a = words(arguments[0], count);
    if (a == NULL) return CU_ILLEGAL_ADDRESS;
    for (uint64_t i = 0; i < count; i++) a[i] = which == FILL ? *(const uint32_t *)arguments[2] + (uint32_t)i : a[i] * 3 + 1;
    return CU_OK;
}

DRIVER cuLaunchKernel(const char *const *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                      unsigned block_z, unsigned shared_bytes, cu_stream stream, void **arguments, void **extra);
DRIVER cuLaunchKernel(const char *const *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                      unsigned block_z, unsigned shared_bytes, cu_stream stream, void **arguments, void **extra)
{
    if (grid_x == 0 || grid_y != 1 || grid_z != 1 || block_x == 0 || block_y != 1 || block_z != 1 || shared_bytes != 0 || extra != NULL)
        return CU_INVALID_VALUE;
    while (fake_step(stream)) continue;
    const cu_result waited = cuStreamSynchronize(stream);
    return waited == CU_OK ? run((kernel)(function - names), arguments) : waited;
}

__attribute__((destructor)) static void end(void)
{
    if (fake_misuse_count() == 0) return;
    (void)fprintf(stderr, "the fake driver was misused: %s\n", fake_misuse());
    _exit(3);
}
