/* um_opencl.c - 32 MiB of numbers for a device of OpenCL that has 8 MiB for them: a kernel works on blocks where they are in the device. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <acre/opencl.h>
#include <acre/um.h>
#include <stdio.h>

enum { BLOCK = ACRE_UM_BLOCK_BYTES, BLOCKS = 16, PAGE = ACRE_UM_PAGE_BYTES };

static const char *source = "__kernel void add(__global int *to, int what) { to[get_global_id(0)] += what; }\n";

typedef struct device {
    acre_opencl *cl;
    acre_space space;
    cl_command_queue queue;
} device;

/* The buffer, and the offset in it, of an address of the space. */
static cl_mem find(device *d, acre_addr address, size_t *offset)
{
    acre_gpu_memory memory;
    acre_gpu_memory_info info;
    uint64_t in_memory;
    if (acre_gpu_space_find(&d->space, address, &memory, &in_memory) != ACRE_OK ||
        acre_gpu_read_memory(acre_opencl_manager(d->cl), memory, &info) != ACRE_OK)
        return NULL;
    *offset = info.offset_bytes + in_memory;
    return (cl_mem)(uintptr_t)info.handle;
}

static acre_status write_contents(void *context, acre_addr to, const void *bytes, uint64_t size)
{
    device *const d = context;
    size_t offset = 0;
    cl_mem buffer = find(d, to, &offset);
    return clEnqueueWriteBuffer(d->queue, buffer, CL_TRUE, offset, size, bytes, 0, NULL, NULL) == CL_SUCCESS ? ACRE_OK : ACRE_IO;
}

static acre_status read_contents(void *context, acre_addr from, void *bytes, uint64_t size)
{
    device *const d = context;
    size_t offset = 0;
    cl_mem buffer = find(d, from, &offset);
    return clEnqueueReadBuffer(d->queue, buffer, CL_TRUE, offset, size, bytes, 0, NULL, NULL) == CL_SUCCESS ? ACRE_OK : ACRE_IO;
}

/* The kernel on one block, at its frame. */
static int work(device *d, cl_kernel kernel, acre_addr frame, int what)
{
    const size_t count = BLOCK / sizeof(int);
    size_t offset = 0;
    cl_mem buffer = find(d, frame, &offset);
    const cl_buffer_region region = {.origin = offset, .size = BLOCK};
    cl_mem part = clCreateSubBuffer(buffer, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, NULL);
    int failures = clSetKernelArg(kernel, 0, sizeof(cl_mem), &part) != CL_SUCCESS;
    failures += clSetKernelArg(kernel, 1, sizeof what, &what) != CL_SUCCESS;
    failures += clEnqueueNDRangeKernel(d->queue, kernel, 1, NULL, &count, NULL, 0, NULL, NULL) != CL_SUCCESS;
    failures += clFinish(d->queue) != CL_SUCCESS; /* the next call may move the block */
    return failures + (clReleaseMemObject(part) != CL_SUCCESS);
}

static int use_device(device *d, cl_kernel kernel)
{
    acre_space home;
    acre_um *um;
    unsigned place;
    uint64_t at, wrong = 0;
    acre_um_figures figures;
    const acre_um_place options = {.name = "device",
                                   .capacity_bytes = 4 * BLOCK,
                                   .space = &d->space,
                                   .contents = {.write = write_contents, .read = read_contents, .context = d}};
    if (acre_gpu_open_space(acre_opencl_manager(d->cl), 0, &d->space) != ACRE_OK || acre_space_open_pages(&home, NULL) != ACRE_OK ||
        acre_um_open(&(acre_um_options){.bytes_max = BLOCKS * BLOCK, .home = &home}, &um) != ACRE_OK ||
        acre_um_add_place(um, &options, &place) != ACRE_OK || acre_um_allocate(um, BLOCKS * BLOCK, &at) != ACRE_OK) {
        (void)fprintf(stderr, "%s\n", acre_last_error());
        return 1;
    }
    int failures = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < BLOCKS; i++) {
            acre_addr frame;
            if (acre_um_touch(um, place, at + (uint64_t)i * BLOCK, BLOCK, true) != ACRE_OK ||
                acre_um_frame(um, place, at + (uint64_t)i * BLOCK, &frame) != ACRE_OK)
                return 1;
            failures += work(d, kernel, frame, i + 1);
        }
    }
    for (uint64_t i = 0; i < BLOCKS * BLOCK; i += PAGE) {
        if (acre_um_touch(um, ACRE_UM_HOME, at + i, PAGE, false) != ACRE_OK) return 1;
        const int *const numbers = acre_um_pointer(um, ACRE_UM_HOME, at + i);
        wrong += numbers[0] != 2 * (int)(i / BLOCK + 1);
    }
    failures += acre_um_read_figures(um, place, &figures) != ACRE_OK;
    printf("%llu pages are wrong; %llu blocks had to go, at most %llu MiB were there\n", (unsigned long long)wrong,
           (unsigned long long)figures.evicted_units, (unsigned long long)(figures.used_bytes_max >> 20));
    acre_um_close(um);
    acre_space_close(&home);
    acre_space_close(&d->space);
    return failures + (wrong != 0);
}

int main(void)
{
    cl_platform_id platform;
    cl_device_id id;
    cl_uint count = 0;
    device d;
    if (clGetPlatformIDs(1, &platform, &count) != CL_SUCCESS || count == 0 ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &id, NULL) != CL_SUCCESS) {
        printf("no device of OpenCL here\n");
        return 0;
    }
    cl_context context = clCreateContext(NULL, 1, &id, NULL, NULL, NULL);
    d.queue = clCreateCommandQueue(context, id, 0, NULL);
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, NULL);
    if (clBuildProgram(program, 1, &id, "", NULL, NULL) != CL_SUCCESS) return 1;
    cl_kernel kernel = clCreateKernel(program, "add", NULL);
    if (acre_opencl_open(&(acre_opencl_options){.context = context, .device = id}, &d.cl) != ACRE_OK) return 1;
    int failures = use_device(&d, kernel);
    failures += acre_opencl_close(d.cl) != ACRE_OK;
    clReleaseKernel(kernel);
    clReleaseProgram(program);
    clReleaseCommandQueue(d.queue);
    clReleaseContext(context);
    return failures;
}
