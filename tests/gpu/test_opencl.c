/* test_opencl.c - libacre-opencl on a device of OpenCL (PoCL's processor, where there is no other), through failing_opencl.c. */
#include "failing_malloc.h"
#include "support/test.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <acre/opencl.h>
#include <acre/um.h>
#include <dlfcn.h>
#include <stdio.h>

static const char *const source = "__kernel void add(__global int *to, const int what) { to[get_global_id(0)] += what; }\n"
                                  "__kernel void heavy(__global int *to, __local int *scratch) { __local int own[256]; int i = "
                                  "get_local_id(0); own[i] = to[i]; scratch[i] = i;\n"
                                  "    barrier(CLK_LOCAL_MEM_FENCE); to[i] = own[255 - i] + scratch[i]; }\n"
                                  "__kernel void copy(__read_only image2d_t from, __global float4 *to, const int width) { int2 at = "
                                  "(int2)(get_global_id(0), get_global_id(1));\n"
                                  "    const sampler_t s = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP | CLK_FILTER_NEAREST; to[at.y * "
                                  "width + at.x] = read_imagef(from, s, at); }\n";

static struct {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue, other;
    cl_program program;
    const char *shim;
} fixture;

/* Of failing_opencl.c. */
static void (*failing_opencl_at)(unsigned long call, int error);
static unsigned long (*failing_opencl_calls)(void);
static int (*failing_opencl_live)(void);

static bool find(void *library, const char *symbol, void *place)
{
    void *const found = dlsym(library, symbol);
    memcpy(place, &found, sizeof found);
    return found != NULL;
}

static bool find_shim(void)
{
    void *const library = dlopen(fixture.shim, RTLD_NOW | RTLD_LOCAL);
    return library != NULL && find(library, "failing_opencl_at", &failing_opencl_at) &&
           find(library, "failing_opencl_calls", &failing_opencl_calls) && find(library, "failing_opencl_live", &failing_opencl_live);
}

static int open_fixture(void **state)
{
    (void)state;
    cl_platform_id platform;
    cl_uint count = 0;
    cl_int error = clGetPlatformIDs(1, &platform, &count);
    if (error != CL_SUCCESS || count == 0) exit(77); /* no OpenCL here: skipped */
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &fixture.device, NULL) != CL_SUCCESS) exit(77);
    fixture.context = clCreateContext(NULL, 1, &fixture.device, NULL, NULL, &error);
    if (fixture.context == NULL) return -1;
    fixture.queue = clCreateCommandQueue(fixture.context, fixture.device, 0, &error);
    fixture.other = clCreateCommandQueue(fixture.context, fixture.device, 0, &error);
    fixture.program = clCreateProgramWithSource(fixture.context, 1, (const char **)(uintptr_t)&source, NULL, &error);
    return clBuildProgram(fixture.program, 1, &fixture.device, "", NULL, NULL) == CL_SUCCESS ? 0 : -1;
}

static int close_fixture(void **state)
{
    (void)state;
    clReleaseProgram(fixture.program);
    clReleaseCommandQueue(fixture.queue);
    clReleaseCommandQueue(fixture.other);
    clReleaseContext(fixture.context);
    return 0;
}

static acre_opencl *open_context(void)
{
    acre_opencl *cl;
    failing_opencl_at(0, 0);
    const acre_opencl_options options = {
        .context = fixture.context, .device = fixture.device, .library_path = fixture.shim, .block_bytes = 1 << 20};
    assert_int_equal(acre_opencl_open(&options, &cl), ACRE_OK);
    return cl;
}

static void close_context(acre_opencl *cl)
{
    assert_int_equal(acre_opencl_close(cl), ACRE_OK);
    assert_int_equal(failing_opencl_live(), 0);
}

static void fill(cl_mem mem, int value, size_t count)
{
    assert_int_equal(clEnqueueFillBuffer(fixture.queue, mem, &value, sizeof value, 0, count * sizeof value, 0, NULL, NULL), CL_SUCCESS);
}

static void add(cl_mem mem, int what, size_t count)
{
    cl_kernel kernel = clCreateKernel(fixture.program, "add", NULL);
    assert_int_equal(clSetKernelArg(kernel, 0, sizeof mem, &mem), CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, 1, sizeof what, &what), CL_SUCCESS);
    assert_int_equal(clEnqueueNDRangeKernel(fixture.queue, kernel, 1, NULL, &count, NULL, 0, NULL, NULL), CL_SUCCESS);
    clReleaseKernel(kernel);
}

static bool is_filled(cl_mem mem, int value, size_t count)
{
    int *const values = malloc(count * sizeof value);
    bool is_good = clEnqueueReadBuffer(fixture.queue, mem, CL_TRUE, 0, count * sizeof value, values, 0, NULL, NULL) == CL_SUCCESS;
    for (size_t i = 0; i < count; i++) is_good = is_good && values[i] == value;
    free(values);
    return is_good;
}

/* ---- */

static void a_device_tells_its_facts(void **state)
{
    (void)state;
    acre_opencl *const cl = open_context();
    acre_opencl_facts facts;
    assert_int_equal(acre_opencl_query(cl, &facts), ACRE_OK);
    assert_true(facts.global_bytes > 0 && facts.block_bytes_max > 0 && facts.local_bytes >= 16384 && facts.constant_bytes >= 16384);
    assert_true(facts.alignment_bytes >= 4 && facts.group_items > 0);
    close_context(cl);
}

static void buffers_of_one_block_do_not_overlap(void **state)
{
    (void)state;
    enum { BUFFER_COUNT = 60, INT_COUNT = 1000 };
    acre_opencl *const cl = open_context();
    acre_opencl_buffer buffers[BUFFER_COUNT];
    for (int i = 0; i < BUFFER_COUNT; i++) {
        assert_int_equal(acre_opencl_alloc(cl, INT_COUNT * sizeof(int), &buffers[i]), ACRE_OK);
        fill(buffers[i].mem, i, INT_COUNT);
    }
    for (int i = 0; i < BUFFER_COUNT; i++) add(buffers[i].mem, 1000, INT_COUNT);
    for (int i = 0; i < BUFFER_COUNT; i++) assert_true(is_filled(buffers[i].mem, 1000 + i, INT_COUNT));
    acre_gpu_figures figures;
    assert_int_equal(acre_gpu_read_figures(acre_opencl_manager(cl), 0, &figures), ACRE_OK);
    assert_int_equal(figures.memory_count, BUFFER_COUNT);
    assert_true(figures.block_count <= 3);
    assert_int_equal(acre_opencl_close(cl), ACRE_BUSY);
    for (int i = 0; i < BUFFER_COUNT; i++) {
        acre_opencl_buffer copy = buffers[i];
        assert_int_equal(acre_opencl_free(cl, &buffers[i]), ACRE_OK);
        assert_int_equal(acre_opencl_free(cl, &copy), ACRE_BAD_POINTER);
    }
    close_context(cl);
}

static void memory_of_the_host_is_used_where_it_is(void **state)
{
    (void)state;
    acre_opencl *const cl = open_context();
    acre_opencl_facts facts;
    acre_opencl_buffer buffer;
    assert_int_equal(acre_opencl_query(cl, &facts), ACRE_OK);
    const size_t bytes = 64 * (size_t)facts.alignment_bytes;
    int *const host = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    for (size_t i = 0; i < bytes / sizeof *host; i++) host[i] = 7;
    assert_int_equal(acre_opencl_wrap(cl, (char *)host + 4, bytes, &buffer), ACRE_INVALID);
    assert_int_equal(acre_opencl_wrap(cl, host, bytes + 4, &buffer), ACRE_INVALID);
    assert_int_equal(acre_opencl_wrap(cl, host, 0, &buffer), ACRE_INVALID);
    assert_int_equal(acre_opencl_wrap(cl, NULL, bytes, &buffer), ACRE_INVALID);
    assert_int_equal(acre_opencl_wrap(cl, host, bytes, &buffer), ACRE_OK);
    add(buffer.mem, 3, bytes / sizeof *host);
    void *const mapped = clEnqueueMapBuffer(fixture.queue, buffer.mem, CL_TRUE, CL_MAP_READ, 0, bytes, 0, NULL, NULL, NULL);
    assert_ptr_equal(mapped, host);
    for (size_t i = 0; i < bytes / sizeof *host; i++) assert_int_equal(host[i], 10);
    assert_int_equal(clEnqueueUnmapMemObject(fixture.queue, buffer.mem, mapped, 0, NULL, NULL), CL_SUCCESS);
    assert_int_equal(clFinish(fixture.queue), CL_SUCCESS);
    assert_int_equal(acre_opencl_free(cl, &buffer), ACRE_OK);
    free(host);
    close_context(cl);
}

static void shared_virtual_memory_is_given_and_taken_back(void **state)
{
    (void)state;
    acre_opencl *const cl = open_context();
    acre_opencl_facts facts;
    assert_int_equal(acre_opencl_query(cl, &facts), ACRE_OK);
    for (unsigned is_fine = 0; is_fine < 2; is_fine++) {
        void *pointer;
        if (is_fine ? !facts.has_fine_svm : !facts.has_coarse_svm) {
            assert_int_equal(acre_opencl_svm_alloc(cl, 4096, 0, is_fine, &pointer), ACRE_UNSUPPORTED);
            continue;
        }
        acre_opencl_figures figures;
        assert_int_equal(acre_opencl_svm_alloc(cl, 4096, 64, is_fine, &pointer), ACRE_OK);
        assert_int_equal((uintptr_t)pointer % 64, 0);
        if (is_fine) memset(pointer, 1, 4096);
        assert_int_equal(acre_opencl_read_figures(cl, &figures), ACRE_OK);
        assert_int_equal(figures.svm_bytes, 4096);
        assert_int_equal(acre_opencl_close(cl), ACRE_BUSY);
        assert_int_equal(acre_opencl_svm_free(cl, pointer), ACRE_OK);
        assert_int_equal(acre_opencl_svm_free(cl, pointer), ACRE_BAD_POINTER);
        assert_int_equal(acre_opencl_svm_alloc(cl, 0, 0, is_fine, &pointer), ACRE_INVALID);
        assert_int_equal(acre_opencl_svm_alloc(cl, 64, 48, is_fine, &pointer), ACRE_INVALID);
        assert_int_equal(acre_opencl_svm_alloc(cl, 64, 256, is_fine, &pointer), ACRE_INVALID);
        assert_int_equal(acre_opencl_svm_alloc(cl, UINT64_MAX, 0, is_fine, &pointer), ACRE_NO_MEMORY);
    }
    assert_int_equal(acre_opencl_svm_free(cl, NULL), ACRE_BAD_POINTER);
    close_context(cl);
}

static void an_image_has_the_contents_that_its_pitch_says(void **state)
{
    (void)state;
    enum { WIDTH = 20, HEIGHT = 10, PITCH = 24 };
    acre_opencl *const cl = open_context();
    static float host[HEIGHT][PITCH][4], seen[HEIGHT][WIDTH][4];
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < PITCH; x++) host[y][x][0] = host[y][x][3] = (float)(y * 100 + x);
    acre_opencl_image shape = {.channel_order = CL_RGBA,
                               .channel_type = CL_FLOAT,
                               .width = WIDTH,
                               .height = HEIGHT,
                               .host = host,
                               .row_pitch_bytes = sizeof host[0]};
    acre_opencl_buffer image, to, volume;
    assert_int_equal(acre_opencl_image_alloc(cl, &shape, &image), ACRE_OK);
    assert_int_equal(acre_opencl_alloc(cl, sizeof seen, &to), ACRE_OK);
    cl_kernel kernel = clCreateKernel(fixture.program, "copy", NULL);
    const cl_int width = WIDTH;
    const size_t sizes[2] = {WIDTH, HEIGHT};
    assert_int_equal(clSetKernelArg(kernel, 0, sizeof image.mem, &image.mem), CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, 1, sizeof to.mem, &to.mem), CL_SUCCESS);
    assert_int_equal(clSetKernelArg(kernel, 2, sizeof width, &width), CL_SUCCESS);
    assert_int_equal(clEnqueueNDRangeKernel(fixture.queue, kernel, 2, NULL, sizes, NULL, 0, NULL, NULL), CL_SUCCESS);
    assert_int_equal(clEnqueueReadBuffer(fixture.queue, to.mem, CL_TRUE, 0, sizeof seen, seen, 0, NULL, NULL), CL_SUCCESS);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) assert_true(seen[y][x][0] == host[y][x][0] && seen[y][x][3] == host[y][x][3]);
    clReleaseKernel(kernel);
    const acre_opencl_image cube = {.channel_order = CL_RGBA, .channel_type = CL_FLOAT, .width = 8, .height = 8, .depth = 8};
    assert_int_equal(acre_opencl_image_alloc(cl, &cube, &volume), ACRE_OK);
    assert_int_equal(acre_opencl_free(cl, &volume), ACRE_OK);
    assert_int_equal(acre_opencl_free(cl, &image), ACRE_OK);
    assert_int_equal(acre_opencl_free(cl, &to), ACRE_OK);
    shape.row_pitch_bytes = 16;
    assert_int_equal(acre_opencl_image_alloc(cl, &shape, &image), ACRE_INVALID);
    shape.host = NULL;
    assert_int_equal(acre_opencl_image_alloc(cl, &shape, &image), ACRE_INVALID);
    shape.row_pitch_bytes = 0;
    shape.width = (uint64_t)1 << 40;
    assert_int_equal(acre_opencl_image_alloc(cl, &shape, &image), ACRE_UNSUPPORTED);
    shape.width = 0;
    assert_int_equal(acre_opencl_image_alloc(cl, &shape, &image), ACRE_INVALID);
    shape.width = 8;
    shape.channel_type = 0x7777;
    assert_int_equal(acre_opencl_image_alloc(cl, &shape, &image), ACRE_UNSUPPORTED);
    close_context(cl);
}

static void a_block_of_a_queue_is_reused_there_at_once(void **state)
{
    (void)state;
    acre_opencl *const cl = open_context();
    acre_opencl_buffer first, second;
    acre_opencl_figures figures;
    int expected = 0;
    assert_int_equal(acre_opencl_queue_alloc(cl, fixture.queue, 4000, &first), ACRE_OK);
    assert_int_equal(first.block_bytes, 4096);
    fill(first.mem, 0, 1000);
    for (int round = 0; round < 50; round++) {
        add(first.mem, round, 1000);
        expected += round;
        cl_mem mem = first.mem;
        acre_opencl_buffer copy = first;
        assert_int_equal(acre_opencl_queue_free(cl, fixture.queue, &first), ACRE_OK);
        assert_int_equal(acre_opencl_queue_free(cl, fixture.queue, &copy), ACRE_BAD_POINTER);
        assert_int_equal(acre_opencl_queue_alloc(cl, fixture.queue, 4000, &first), ACRE_OK);
        assert_ptr_equal(first.mem, mem);
    }
    assert_true(is_filled(first.mem, expected, 1000));
    assert_int_equal(acre_opencl_queue_free(cl, fixture.queue, &first), ACRE_OK);
    /* Another queue gets it behind a barrier, or after the event. */
    assert_int_equal(acre_opencl_queue_alloc(cl, fixture.other, 4000, &second), ACRE_OK);
    assert_int_equal(acre_opencl_read_figures(cl, &figures), ACRE_OK);
    assert_int_equal(figures.driver_count, 1);
    assert_int_equal(figures.same_count, 50);
    assert_int_equal(figures.passed_count + figures.waited_count, 1);
    assert_int_equal(acre_opencl_close(cl), ACRE_BUSY);
    assert_int_equal(acre_opencl_queue_free(cl, fixture.other, &second), ACRE_OK);
    assert_int_equal(acre_opencl_queue_finish(cl, fixture.other), ACRE_OK);
    assert_int_equal(acre_opencl_read_figures(cl, &figures), ACRE_OK);
    assert_int_equal(figures.held_bytes, 0); /* the threshold is 0 */
    assert_int_equal(acre_opencl_queue_forget(cl, fixture.other), ACRE_OK);
    assert_int_equal(acre_opencl_queue_trim(cl, 0), ACRE_OK);
    close_context(cl);
}

/* Contents of a space that OpenCL does not map: the context is the space. */
static cl_mem buffer_at(acre_space *space, acre_opencl *cl, acre_addr address, size_t *offset)
{
    acre_gpu_memory memory;
    acre_gpu_memory_info info;
    uint64_t in_memory;
    assert_int_equal(acre_gpu_space_find(space, address, &memory, &in_memory), ACRE_OK);
    assert_int_equal(acre_gpu_read_memory(acre_opencl_manager(cl), memory, &info), ACRE_OK);
    *offset = info.offset_bytes + in_memory;
    return (cl_mem)(uintptr_t)info.handle;
}

typedef struct device_space {
    acre_space space;
    acre_opencl *cl;
} device_space;

static acre_status write_contents(void *context, acre_addr to, const void *bytes, uint64_t size)
{
    device_space *const device = context;
    size_t offset;
    cl_mem buffer = buffer_at(&device->space, device->cl, to, &offset);
    return clEnqueueWriteBuffer(fixture.queue, buffer, CL_TRUE, offset, size, bytes, 0, NULL, NULL) == CL_SUCCESS ? ACRE_OK : ACRE_IO;
}

static acre_status read_contents(void *context, acre_addr from, void *bytes, uint64_t size)
{
    device_space *const device = context;
    size_t offset;
    cl_mem buffer = buffer_at(&device->space, device->cl, from, &offset);
    return clEnqueueReadBuffer(fixture.queue, buffer, CL_TRUE, offset, size, bytes, 0, NULL, NULL) == CL_SUCCESS ? ACRE_OK : ACRE_IO;
}

/* A kernel works on blocks of unified memory where they are in the device, which has room for three of eight. */
static void unified_memory_is_in_frames_of_the_device(void **state)
{
    (void)state;
    enum { BLOCK = ACRE_UM_BLOCK_BYTES, BLOCKS = 8, PAGE = ACRE_UM_PAGE_BYTES };
    acre_opencl *const cl = open_context();
    device_space device = {.cl = cl};
    acre_space home;
    acre_um *um;
    unsigned place;
    uint64_t at;
    assert_int_equal(acre_gpu_open_space(acre_opencl_manager(cl), 0, &device.space), ACRE_OK);
    assert_int_equal(acre_space_open_pages(&home, NULL), ACRE_OK);
    assert_int_equal(acre_um_open(&(acre_um_options){.bytes_max = BLOCKS * BLOCK, .home = &home}, &um), ACRE_OK);
    acre_um_place options = {.name = "device", .capacity_bytes = 3 * BLOCK, .space = &device.space};
    assert_int_equal(acre_um_add_place(um, &options, &place), ACRE_INVALID); /* it cannot be mapped */
    options.contents = (acre_um_contents){.write = write_contents, .read = read_contents, .context = &device};
    assert_int_equal(acre_um_add_place(um, &options, &place), ACRE_OK);
    assert_int_equal(acre_um_allocate(um, BLOCKS * BLOCK, &at), ACRE_OK);
    for (unsigned pass = 1; pass <= 2; pass++) {
        for (uint64_t i = 0; i < BLOCKS; i++) {
            acre_addr frame;
            size_t offset;
            assert_int_equal(acre_um_touch(um, place, at + i * BLOCK, BLOCK, true), ACRE_OK);
            assert_int_equal(acre_um_frame(um, place, at + i * BLOCK, &frame), ACRE_OK);
            cl_mem buffer = buffer_at(&device.space, cl, frame, &offset);
            const cl_buffer_region region = {.origin = offset, .size = BLOCK};
            cl_mem part = clCreateSubBuffer(buffer, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, NULL);
            assert_non_null(part);
            add(part, (int)(i + 1) * 10, BLOCK / sizeof(int));
            assert_int_equal(clFinish(fixture.queue), CL_SUCCESS);
            assert_int_equal(clReleaseMemObject(part), CL_SUCCESS);
        }
    }
    for (uint64_t i = 0; i < BLOCKS * BLOCK; i += PAGE) {
        assert_int_equal(acre_um_touch(um, ACRE_UM_HOME, at + i, PAGE, false), ACRE_OK);
        const int *const numbers = acre_um_pointer(um, ACRE_UM_HOME, at + i);
        for (unsigned n = 0; n < PAGE / sizeof(int); n++) assert_int_equal(numbers[n], (int)(i / BLOCK + 1) * 20);
    }
    assert_true(acre_um_is_valid(um));
    acre_um_close(um);
    acre_space_close(&home);
    acre_space_close(&device.space);
    close_context(cl);
}

static void a_queue_that_runs_out_of_order_is_refused(void **state)
{
    (void)state;
    acre_opencl *const cl = open_context();
    acre_opencl_buffer buffer;
    cl_command_queue queue = clCreateCommandQueue(fixture.context, fixture.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, NULL);
    if (queue != NULL) {
        assert_int_equal(acre_opencl_queue_alloc(cl, queue, 4000, &buffer), ACRE_UNSUPPORTED);
        clReleaseCommandQueue(queue);
    }
    close_context(cl);
}

static void a_kernel_that_does_not_fit_is_refused_with_both_numbers(void **state)
{
    (void)state;
    acre_opencl *const cl = open_context();
    acre_opencl_facts facts;
    acre_opencl_need need;
    char number[32];
    assert_int_equal(acre_opencl_query(cl, &facts), ACRE_OK);
    cl_kernel kernel = clCreateKernel(fixture.program, "heavy", NULL);
    acre_opencl_launch launch = {.dimension_count = 1, .group_items = {256}, .local_bytes = 1024};
    assert_int_equal(acre_opencl_check_kernel(cl, kernel, &launch, &need), ACRE_OK);
    assert_true(need.local_bytes >= 2048 && need.group_items_max >= 256);
    launch.local_bytes = facts.local_bytes;
    assert_int_equal(acre_opencl_check_kernel(cl, kernel, &launch, &need), ACRE_NO_MEMORY);
    assert_non_null(strstr(acre_last_error(), "heavy"));
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)need.local_bytes);
    assert_non_null(strstr(acre_last_error(), number));
    (void)snprintf(number, sizeof number, "has %llu", (unsigned long long)facts.local_bytes);
    assert_non_null(strstr(acre_last_error(), number));
    launch.local_bytes = UINT64_MAX;
    assert_int_equal(acre_opencl_check_kernel(cl, kernel, &launch, NULL), ACRE_NO_MEMORY);
    launch.local_bytes = 0;
    const uint64_t constants[] = {16, facts.constant_bytes + 1};
    launch.constant_bytes = constants;
    launch.constant_count = 2;
    assert_int_equal(acre_opencl_check_kernel(cl, kernel, &launch, NULL), ACRE_NO_MEMORY);
    assert_non_null(strstr(acre_last_error(), "constant"));
    launch.constant_count = 1;
    assert_int_equal(acre_opencl_check_kernel(cl, kernel, &launch, NULL), ACRE_OK);
    launch.constant_count = 0;
    launch.group_items[0] = need.group_items_max + 1;
    assert_int_equal(acre_opencl_check_kernel(cl, kernel, &launch, NULL), ACRE_NO_MEMORY);
    launch.dimension_count = 3;
    launch.group_items[0] = launch.group_items[1] = launch.group_items[2] = UINT64_MAX / 2;
    assert_int_equal(acre_opencl_check_kernel(cl, kernel, &launch, NULL), ACRE_NO_MEMORY);
    launch.group_items[0] = 0;
    assert_int_equal(acre_opencl_check_kernel(cl, kernel, &launch, NULL), ACRE_INVALID);
    launch.dimension_count = 4;
    assert_int_equal(acre_opencl_check_kernel(cl, kernel, &launch, NULL), ACRE_INVALID);
    assert_int_equal(acre_opencl_check_kernel(cl, NULL, &launch, NULL), ACRE_INVALID);
    clReleaseKernel(kernel);
    close_context(cl);
}

static void bad_input_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    acre_opencl *const cl = open_context();
    acre_opencl *other = NULL;
    acre_opencl_buffer buffer = {.mem = NULL}, foreign = {.mem = (cl_mem)(uintptr_t)0x1234560};
    assert_int_equal(acre_opencl_open(NULL, &other), ACRE_INVALID);
    assert_int_equal(acre_opencl_open(&(acre_opencl_options){.context = fixture.context}, &other), ACRE_INVALID);
    assert_int_equal(
        acre_opencl_open(&(acre_opencl_options){.context = fixture.context, .device = fixture.device, .library_path = "libnowhere.so"},
                         &other),
        ACRE_UNSUPPORTED);
    assert_int_equal(
        acre_opencl_open(&(acre_opencl_options){.context = fixture.context, .device = fixture.device, .library_path = "libm.so.6"}, &other),
        ACRE_UNSUPPORTED);
    assert_int_equal(acre_opencl_alloc(NULL, 1, &buffer), ACRE_INVALID);
    assert_int_equal(acre_opencl_alloc(cl, 0, &buffer), ACRE_INVALID);
    assert_int_not_equal(acre_opencl_alloc(cl, UINT64_MAX / 4, &buffer), ACRE_OK);
    assert_int_equal(acre_opencl_alloc(cl, 1, NULL), ACRE_INVALID);
    assert_int_equal(acre_opencl_free(cl, &buffer), ACRE_BAD_POINTER);
    assert_int_equal(acre_opencl_free(cl, &foreign), ACRE_BAD_POINTER);
    assert_int_equal(acre_opencl_queue_alloc(cl, NULL, 1, &buffer), ACRE_INVALID);
    assert_int_equal(acre_opencl_queue_alloc(cl, fixture.queue, 0, &buffer), ACRE_INVALID);
    assert_int_equal(acre_opencl_queue_alloc(cl, fixture.queue, UINT64_MAX, &buffer), ACRE_NO_MEMORY);
    assert_int_equal(acre_opencl_queue_alloc(cl, fixture.queue, 1, NULL), ACRE_INVALID);
    assert_int_equal(acre_opencl_queue_free(cl, fixture.queue, &foreign), ACRE_BAD_POINTER);
    assert_int_equal(acre_opencl_image_alloc(cl, NULL, &buffer), ACRE_INVALID);
    assert_int_equal(acre_opencl_query(cl, NULL), ACRE_INVALID);
    assert_int_equal(acre_opencl_close(NULL), ACRE_INVALID);
    assert_null(other);
    close_context(cl);
}

/* ---- each call fails once ---- */

static acre_status do_everything(acre_opencl *cl, const acre_opencl_facts *facts)
{
    static _Alignas(4096) char host[65536];
    const acre_opencl_image shape = {.channel_order = CL_RGBA, .channel_type = CL_FLOAT, .width = 8, .height = 8};
    acre_opencl_buffer buffers[3], blocks[2];
    unsigned buffer_count = 0, block_count = 0;
    void *pointer = NULL;
    cl_kernel kernel = clCreateKernel(fixture.program, "heavy", NULL);
    acre_status status = acre_opencl_alloc(cl, 1000, &buffers[0]);
    buffer_count += status == ACRE_OK;
    if (status == ACRE_OK) buffer_count += (status = acre_opencl_wrap(cl, host, facts->alignment_bytes, &buffers[buffer_count])) == ACRE_OK;
    if (status == ACRE_OK && facts->has_images)
        buffer_count += (status = acre_opencl_image_alloc(cl, &shape, &buffers[buffer_count])) == ACRE_OK;
    if (status == ACRE_OK && facts->has_coarse_svm) status = acre_opencl_svm_alloc(cl, 4096, 0, false, &pointer);
    if (status == ACRE_OK) status = acre_opencl_check_kernel(cl, kernel, &(acre_opencl_launch){.local_bytes = 64}, NULL);
    if (status == ACRE_OK) block_count += (status = acre_opencl_queue_alloc(cl, fixture.queue, 4000, &blocks[0])) == ACRE_OK;
    if (status == ACRE_OK) block_count -= (status = acre_opencl_queue_free(cl, fixture.queue, &blocks[0])) == ACRE_OK;
    if (status == ACRE_OK) block_count += (status = acre_opencl_queue_alloc(cl, fixture.other, 4000, &blocks[0])) == ACRE_OK;
    if (status == ACRE_OK) block_count -= (status = acre_opencl_queue_free(cl, fixture.other, &blocks[0])) == ACRE_OK;
    if (status == ACRE_OK) status = acre_opencl_queue_finish(cl, fixture.other);
    if (status == ACRE_OK) status = acre_opencl_queue_trim(cl, 0);
    const acre_status first = status;
    if (block_count > 0 && acre_opencl_queue_free(cl, fixture.queue, &blocks[0]) != ACRE_OK)
        assert_int_equal(acre_opencl_queue_free(cl, fixture.queue, &blocks[0]), ACRE_OK);
    if (pointer != NULL) assert_int_equal(acre_opencl_svm_free(cl, pointer), ACRE_OK);
    while (buffer_count > 0) {
        acre_opencl_buffer *const buffer = &buffers[--buffer_count];
        if (acre_opencl_free(cl, buffer) != ACRE_OK) assert_int_equal(acre_opencl_free(cl, buffer), ACRE_OK);
    }
    clReleaseKernel(kernel);
    return first;
}

static void whatever_call_of_opencl_fails_nothing_is_lost(void **state)
{
    (void)state;
    unsigned failure_count = 0;
    for (unsigned long at = 1;; at++) {
        const acre_opencl_options options = {
            .context = fixture.context, .device = fixture.device, .library_path = fixture.shim, .block_bytes = 1 << 20};
        acre_opencl *cl = NULL;
        acre_opencl_facts facts;
        failing_opencl_at(at, CL_OUT_OF_RESOURCES);
        const acre_status opened = acre_opencl_open(&options, &cl);
        if (opened == ACRE_OK) {
            assert_int_equal(acre_opencl_query(cl, &facts), ACRE_OK);
            failure_count += do_everything(cl, &facts) != ACRE_OK;
            if (acre_opencl_close(cl) != ACRE_OK) assert_int_equal(acre_opencl_close(cl), ACRE_OK);
        } else
            failure_count++;
        if (failing_opencl_live() != 0) print_error("call %lu: %d are out\n", at, failing_opencl_live());
        assert_int_equal(failing_opencl_live(), 0);
        if (failing_opencl_calls() < at) break;
    }
    assert_true(failure_count > 20);
}

static void without_host_memory_nothing_is_lost_either(void **state)
{
    (void)state;
    unsigned failure_count = 0;
    failing_opencl_at(0, 0);
    for (unsigned long at = 1;; at++) {
        const acre_opencl_options options = {
            .context = fixture.context, .device = fixture.device, .library_path = fixture.shim, .block_bytes = 1 << 20};
        acre_opencl *cl = NULL;
        acre_opencl_facts facts;
        fail_malloc_at(at);
        acre_status status = acre_opencl_open(&options, &cl);
        if (status == ACRE_OK) {
            assert_int_equal(acre_opencl_query(cl, &facts), ACRE_OK);
            status = do_everything(cl, &facts);
            assert_int_equal(acre_opencl_close(cl), ACRE_OK);
        }
        const bool is_over = malloc_calls < at;
        fail_malloc_at(0);
        assert_true(status == ACRE_OK || status == ACRE_NO_MEMORY);
        failure_count += status != ACRE_OK;
        assert_int_equal(failing_opencl_live(), 0);
        if (is_over) break;
    }
    assert_true(failure_count >= 6);
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    fixture.shim = argv[1];
    if (!find_shim()) return 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_tells_its_facts),
        cmocka_unit_test(buffers_of_one_block_do_not_overlap),
        cmocka_unit_test(memory_of_the_host_is_used_where_it_is),
        cmocka_unit_test(shared_virtual_memory_is_given_and_taken_back),
        cmocka_unit_test(an_image_has_the_contents_that_its_pitch_says),
        cmocka_unit_test(a_block_of_a_queue_is_reused_there_at_once),
        cmocka_unit_test(unified_memory_is_in_frames_of_the_device),
        cmocka_unit_test(a_queue_that_runs_out_of_order_is_refused),
        cmocka_unit_test(a_kernel_that_does_not_fit_is_refused_with_both_numbers),
        cmocka_unit_test(bad_input_is_refused_and_changes_nothing),
        cmocka_unit_test(whatever_call_of_opencl_fails_nothing_is_lost),
        cmocka_unit_test(without_host_memory_nothing_is_lost_either),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
