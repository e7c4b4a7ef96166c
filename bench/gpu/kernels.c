/* kernels.c - a kernel of OpenCL over pooled buffers: temporary blocks in the order of two queues, results in buffers of shared blocks, and
 * each byte of the results compared.
 *
 *     kernels [COUNT] [--figures]
 *
 * COUNT results (1,000) of 1 to 16 KiB. Each is made of a temporary block: one kernel fills it, another one puts what lies there, changed,
 * into the result, and the block is given back without waiting, for the next one to have. A block that a queue is given too early spoils a
 * result. Ends with status 1 if a byte is wrong, 77 if there is no device. --figures: each figure as `name value` in a line of its own.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <acre/opencl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_MAX = 100000, WORDS_MIN = 256, WORDS_MAX = 4096, QUEUES = 2 };

static const char *const source =
    "__kernel void fill(__global uint *to, uint which) { uint i = get_global_id(0); to[i] = which * 2654435761u ^ i * 40503u; }\n"
    "__kernel void change(__global const uint *from, __global uint *to) { uint i = get_global_id(0); to[i] = from[i] * 3u + i; }\n";

static acre_opencl *cl;
static cl_context context;
static cl_device_id device;
static cl_command_queue queues[QUEUES];
static cl_kernel fill, change;

static void must(acre_status status)
{
    if (status == ACRE_OK) return;
    fprintf(stderr, "kernels: %s\n", acre_last_error());
    exit(1);
}

static void must_cl(cl_int error)
{
    if (error == CL_SUCCESS) return;
    fprintf(stderr, "kernels: OpenCL error %d\n", error);
    exit(1);
}

static bool open_device(void)
{
    cl_platform_id platform;
    cl_uint count = 0;
    cl_int error = CL_SUCCESS;
    if (clGetPlatformIDs(1, &platform, &count) != CL_SUCCESS || count == 0) return false;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) != CL_SUCCESS) return false;
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
    must_cl(error);
    for (int i = 0; i < QUEUES; i++) {
        queues[i] = clCreateCommandQueue(context, device, 0, &error);
        must_cl(error);
    }
    cl_program program = clCreateProgramWithSource(context, 1, (const char **)(uintptr_t)&source, NULL, &error);
    must_cl(error);
    must_cl(clBuildProgram(program, 1, &device, "", NULL, NULL));
    fill = clCreateKernel(program, "fill", &error);
    must_cl(error);
    change = clCreateKernel(program, "change", &error);
    must_cl(error);
    must_cl(clReleaseProgram(program));
    return true;
}

static size_t words_of(uint32_t which) { return WORDS_MIN + which * 2654435761U % (WORDS_MAX - WORDS_MIN + 1); }

static void make(uint32_t which, acre_opencl_buffer *result)
{
    cl_command_queue queue = queues[which % QUEUES];
    const size_t words = words_of(which);
    acre_opencl_buffer temporary;
    must(acre_opencl_alloc(cl, words * 4, result));
    must(acre_opencl_queue_alloc(cl, queue, words * 4, &temporary));
    must_cl(clSetKernelArg(fill, 0, sizeof temporary.mem, &temporary.mem));
    must_cl(clSetKernelArg(fill, 1, sizeof which, &which));
    must_cl(clEnqueueNDRangeKernel(queue, fill, 1, NULL, &words, NULL, 0, NULL, NULL));
    must_cl(clSetKernelArg(change, 0, sizeof temporary.mem, &temporary.mem));
    must_cl(clSetKernelArg(change, 1, sizeof result->mem, &result->mem));
    must_cl(clEnqueueNDRangeKernel(queue, change, 1, NULL, &words, NULL, 0, NULL, NULL));
    must(acre_opencl_queue_free(cl, queue, &temporary));
}

static bool is_wrong(uint32_t which, const acre_opencl_buffer *result)
{
    static uint32_t words[WORDS_MAX];
    const size_t count = words_of(which);
    must_cl(clEnqueueReadBuffer(queues[which % QUEUES], result->mem, CL_TRUE, 0, count * 4, words, 0, NULL, NULL));
    for (uint32_t i = 0; i < count; i++)
        if (words[i] != (which * 2654435761U ^ i * 40503U) * 3 + i) return true;
    return false;
}

int main(int argument_count, char **arguments)
{
    static char name[256];
    acre_opencl_figures pooled;
    acre_gpu_figures heap;
    uint64_t bytes = 0;
    uint32_t wrong = 0;
    const bool is_quick = getenv("ACRE_BENCH_QUICK") != NULL;
    const bool has_count = argument_count > 1 && arguments[1][0] != '-';
    const uint64_t asked = has_count ? strtoull(arguments[1], NULL, 10) : is_quick ? 100 : 1000;
    if (asked == 0 || asked > COUNT_MAX) return 2;
    const uint32_t count = (uint32_t)asked;
    if (!open_device()) {
        puts("there is no OpenCL device here");
        return 77;
    }
    acre_opencl_buffer *const results = calloc(count, sizeof *results);
    if (results == NULL) return 1;
    must_cl(clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof name - 1, name, NULL));
    must(acre_opencl_open(&(acre_opencl_options){.context = context, .device = device, .release_threshold_bytes = 1 << 20}, &cl));
    for (uint32_t i = 0; i < count; i++) make(i, &results[i]);
    for (int i = 0; i < QUEUES; i++) must(acre_opencl_queue_finish(cl, queues[i]));
    for (uint32_t i = 0; i < count; i++) {
        wrong += is_wrong(i, &results[i]);
        bytes += results[i].size_bytes;
    }
    must(acre_opencl_read_figures(cl, &pooled));
    must(acre_gpu_read_figures(acre_opencl_manager(cl), 0, &heap));
    const uint64_t reused_count = pooled.same_count + pooled.passed_count + pooled.waited_count;
    const bool is_plain = argument_count > 1 && strcmp(arguments[argument_count - 1], "--figures") == 0;
    if (is_plain)
        printf("device %s\nmade %u\nbytes %llu\nblock_bytes %llu\nof_driver %llu\nreused %llu\nwrong %u\n", name, count,
               (unsigned long long)bytes, (unsigned long long)heap.block_bytes, (unsigned long long)pooled.driver_count,
               (unsigned long long)reused_count, wrong);
    else
        printf("%s\n%u results of %.1f MiB in %.1f MiB of blocks; %llu temporary blocks were new, %llu reused\n%u have a wrong byte\n",
               name, count, (double)bytes / (1 << 20), (double)heap.block_bytes / (1 << 20), (unsigned long long)pooled.driver_count,
               (unsigned long long)reused_count, wrong);
    for (uint32_t i = 0; i < count; i++) must(acre_opencl_free(cl, &results[i]));
    for (int i = 0; i < QUEUES; i++) {
        must(acre_opencl_queue_forget(cl, queues[i]));
        must_cl(clReleaseCommandQueue(queues[i]));
    }
    must(acre_opencl_close(cl));
    must_cl(clReleaseKernel(fill));
    must_cl(clReleaseKernel(change));
    must_cl(clReleaseContext(context));
    free(results);
    return wrong != 0;
}
