/* opencl.c - buffers out of one block, a block that a queue reuses, and a kernel that is checked before it is launched. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <acre/opencl.h>
#include <inttypes.h>
#include <stdio.h>

enum { COUNT = 1024, ROUNDS = 10 };

static const char *source = "__kernel void add(__global int *to, __local int *scratch) {\n"
                            "    int i = get_local_id(0); scratch[i] = to[get_global_id(0)]; to[get_global_id(0)] = scratch[i] + 1; }\n";

static int use_context(cl_context context, cl_device_id device, cl_command_queue queue, cl_kernel kernel)
{
    acre_opencl *cl;
    acre_opencl_buffer buffer, temporary;
    acre_opencl_need need;
    acre_opencl_figures figures;
    int values[COUNT] = {0}, failures = 0;
    const size_t count = COUNT, group = 64;
    if (acre_opencl_open(&(acre_opencl_options){.context = context, .device = device, .release_threshold_bytes = 1 << 20}, &cl) != ACRE_OK)
        return 1;
    failures += acre_opencl_alloc(cl, sizeof values, &buffer) != ACRE_OK;

    const acre_opencl_launch launch = {.dimension_count = 1, .group_items = {group}, .local_bytes = group * sizeof(int)};
    failures += acre_opencl_check_kernel(cl, kernel, &launch, &need) != ACRE_OK;
    printf("the kernel needs %" PRIu64 " bytes of local memory\n", need.local_bytes);
    const acre_opencl_launch absurd = {.local_bytes = (uint64_t)1 << 40};
    if (acre_opencl_check_kernel(cl, kernel, &absurd, NULL) != ACRE_OK) printf("%s\n", acre_last_error());

    failures += clEnqueueWriteBuffer(queue, buffer.mem, CL_TRUE, 0, sizeof values, values, 0, NULL, NULL) != CL_SUCCESS;
    failures += clSetKernelArg(kernel, 0, sizeof buffer.mem, &buffer.mem) != CL_SUCCESS;
    failures += clSetKernelArg(kernel, 1, launch.local_bytes, NULL) != CL_SUCCESS;
    for (int round = 0; round < ROUNDS; round++) {
        failures += acre_opencl_queue_alloc(cl, queue, sizeof values, &temporary) != ACRE_OK;
        failures += clEnqueueCopyBuffer(queue, buffer.mem, temporary.mem, 0, 0, sizeof values, 0, NULL, NULL) != CL_SUCCESS;
        failures += clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &count, &group, 0, NULL, NULL) != CL_SUCCESS;
        failures += acre_opencl_queue_free(cl, queue, &temporary) != ACRE_OK; /* without waiting */
    }
    failures += clEnqueueReadBuffer(queue, buffer.mem, CL_TRUE, 0, sizeof values, values, 0, NULL, NULL) != CL_SUCCESS;
    for (int i = 0; i < COUNT; i++) failures += values[i] != ROUNDS;
    failures += acre_opencl_read_figures(cl, &figures) != ACRE_OK;
    printf("%d blocks: %" PRIu64 " of OpenCL, %" PRIu64 " reused\n", ROUNDS, figures.driver_count, figures.same_count);
    failures += acre_opencl_free(cl, &buffer) != ACRE_OK;
    failures += acre_opencl_close(cl) != ACRE_OK;
    return failures;
}

int main(void)
{
    cl_platform_id platform;
    cl_device_id device;
    cl_uint count = 0;
    if (clGetPlatformIDs(1, &platform, &count) != CL_SUCCESS || count == 0 ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) != CL_SUCCESS) {
        printf("no device of OpenCL here\n");
        return 0;
    }
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, NULL);
    cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, NULL);
    int failures = clBuildProgram(program, 1, &device, "", NULL, NULL) != CL_SUCCESS;
    cl_kernel kernel = failures == 0 ? clCreateKernel(program, "add", NULL) : NULL;
    if (kernel != NULL) {
        failures += use_context(context, device, queue, kernel);
        clReleaseKernel(kernel);
    }
    clReleaseProgram(program);
    clReleaseCommandQueue(queue);
    clReleaseContext(context);
    return failures != 0;
}
