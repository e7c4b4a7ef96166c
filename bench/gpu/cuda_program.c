/* cuda_program.c - see cuda_program.h. */
#include "cuda_program.h"

#include "cuda_kernels.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { GRID_BLOCKS = 2048, BLOCK_THREADS = 256 };

cuda_program program;

static void *library;
static cu_module modules[KERNEL_COUNT];
static cu_function functions[KERNEL_COUNT];
static cu_pointer totals; /* 64 bits for sums, and 64 for what is wrong in all */

bool program_wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return false;
}

bool program_has(cu_result result, const char *call) { return result == CU_OK || program_wrong("cuda: %s: error %d", call, result); }

bool program_is_ok(acre_status status, const char *call)
{
    cu_context current = NULL;
    if (status != ACRE_OK) return program_wrong("cuda: %s: %s", call, acre_last_error());
    if (!DRIVER(context_current, &current)) return false;
    return current == program.context || program_wrong("cuda: %s: the program's context is not current any more", call);
}

/* ---- the device ---- */

static bool find(const char *symbol, void *place, size_t size)
{
    void *const found = dlsym(library, symbol);
    memcpy(place, &found, size);
    return found != NULL;
}

static bool find_calls(void)
{
#define FIND(is_needed, name, symbol)                                                                                                      \
    if (!find(#symbol, &program.calls.name, sizeof program.calls.name) && (is_needed))                                                     \
        return program_wrong("cuda: the driver has no %s", #symbol);
    PROGRAM_CALLS(FIND)
#undef FIND
    return true;
}

static bool load_kernels(void)
{
    for (int i = 0; i < KERNEL_COUNT; i++)
        if (!DRIVER(module_load, &modules[i], cuda_kernels[i].text, 0, NULL, NULL) ||
            !DRIVER(module_function, &functions[i], modules[i], cuda_kernels[i].name))
            return false;
    const uint64_t zeros[2] = {0, 0};
    return DRIVER(mem_alloc, &totals, sizeof zeros) && DRIVER(copy_to, totals, zeros, sizeof zeros) && DRIVER(stream_synchronize, NULL);
}

bool program_open(void)
{
    library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return program_wrong("cuda: %s", dlerror());
    return find_calls() && DRIVER(init, 0) && DRIVER(device_get, &program.device, 0) &&
           DRIVER(context_retain, &program.context, program.device) && program_enter() && load_kernels();
}

void program_close(void)
{
    (void)DRIVER(mem_free, totals);
    for (int i = 0; i < KERNEL_COUNT; i++) (void)DRIVER(module_unload, modules[i]);
    program_leave();
    (void)DRIVER(context_release, program.device);
    (void)dlclose(library);
}

bool program_enter(void) { return DRIVER(context_push, program.context); }

void program_leave(void)
{
    cu_context context;
    (void)DRIVER(context_pop, &context);
}

uint64_t program_free_bytes(void)
{
    size_t free_bytes = 0, total_bytes;
    return DRIVER(mem_info, &free_bytes, &total_bytes) ? free_bytes : 0;
}

double program_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- kernels ---- */

bool program_launch(cu_stream stream, program_kernel kernel, void **arguments)
{
    const bool is_one = kernel == KERNEL_WAIT || kernel == KERNEL_TOUCH;
    uint64_t blocks = 1;
    if (!is_one) blocks = (*(const uint64_t *)arguments[1] + BLOCK_THREADS - 1) / BLOCK_THREADS;
    if (blocks > GRID_BLOCKS) blocks = GRID_BLOCKS;
    return DRIVER(launch, functions[kernel], (unsigned)blocks, 1, 1, is_one ? 1 : BLOCK_THREADS, 1, 1, 0, stream, arguments, NULL);
}

bool program_fill(cu_stream stream, cu_pointer a, uint64_t count, uint32_t first)
{
    return program_launch(stream, KERNEL_FILL, (void *[]){&a, &count, &first});
}

bool program_step(cu_stream stream, cu_pointer a, uint64_t count) { return program_launch(stream, KERNEL_STEP, (void *[]){&a, &count}); }

/* The copy is in the default stream, for which those of the program do not wait. */
static bool clear_total(void)
{
    const uint64_t zero = 0;
    return DRIVER(copy_to, totals, &zero, sizeof zero) && DRIVER(stream_synchronize, NULL);
}

static bool read_total(cu_stream stream, uint64_t *total)
{
    return DRIVER(stream_synchronize, stream) && DRIVER(copy_from, total, totals, sizeof *total);
}

bool program_sum(cu_stream stream, cu_pointer a, uint64_t count, uint64_t *sum)
{
    return clear_total() && program_launch(stream, KERNEL_SUM, (void *[]){&a, &count, &totals}) && read_total(stream, sum);
}

bool program_compare(cu_stream stream, cu_pointer a, uint64_t count, uint32_t first, uint64_t *wrong)
{
    return clear_total() && program_launch(stream, KERNEL_COMPARE, (void *[]){&a, &count, &first, &totals}) && read_total(stream, wrong);
}

bool program_compare_later(cu_stream stream, cu_pointer a, uint64_t count, uint32_t first)
{
    cu_pointer wrong = totals + sizeof(uint64_t);
    return program_launch(stream, KERNEL_COMPARE, (void *[]){&a, &count, &first, &wrong});
}

bool program_wrong_count(uint64_t *wrong) { return DRIVER(copy_from, wrong, totals + sizeof *wrong, sizeof *wrong); }

uint64_t program_sum_of(uint64_t count, uint32_t first, bool is_stepped)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t value = first + (uint32_t)i;
        sum += is_stepped ? value * 3 + 1 : value;
    }
    return sum;
}
