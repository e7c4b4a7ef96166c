/* opencl_program.c - a program of plain OpenCL that knows nothing of acre: buffers, parts of them, images, questions about them, releases
 * while commands run. Ends with 0 when all is as the standard says, which not all drivers are; 77: there is no device. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_COUNT = 40, INT_COUNT = 5000, ROUND_COUNT = 200, THREAD_COUNT = 4, WIDTH = 32, HEIGHT = 16 };

static cl_device_id device;
static cl_context context;
static cl_command_queue queue;
static int failures;

static void check(bool holds, const char *what)
{
    if (holds) return;
    if (__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED) < 10) (void)fprintf(stderr, "not so: %s\n", what);
}

/* What is made although it should not be is not kept. `wanted` CL_SUCCESS: any error will do. */
static void check_refused(cl_mem made, const cl_int *error, cl_int wanted, const char *what)
{
    check(made == NULL && (wanted == CL_SUCCESS ? *error != CL_SUCCESS : *error == wanted), what);
    if (made != NULL) (void)clReleaseMemObject(made);
}

static cl_mem buffer_of(size_t bytes, cl_mem_flags flags, void *host)
{
    cl_int error = 1;
    cl_mem buffer = clCreateBuffer(context, flags, bytes, host, &error);
    check(buffer != NULL && error == CL_SUCCESS, "a buffer is made");
    return buffer;
}

static void fill(cl_command_queue q, cl_mem buffer, int value, size_t bytes)
{
    check(clEnqueueFillBuffer(q, buffer, &value, sizeof value, 0, bytes, 0, NULL, NULL) == CL_SUCCESS, "a fill is queued");
}

static bool is_filled(cl_command_queue q, cl_mem buffer, int value, size_t bytes)
{
    int *const values = malloc(bytes);
    bool is_good = clEnqueueReadBuffer(q, buffer, CL_TRUE, 0, bytes, values, 0, NULL, NULL) == CL_SUCCESS;
    for (size_t i = 0; i < bytes / sizeof value; i++) is_good = is_good && values[i] == value;
    free(values);
    return is_good;
}

static void buffers_are_apart(void)
{
    cl_mem buffers[BUFFER_COUNT];
    const size_t bytes = INT_COUNT * sizeof(int);
    for (int i = 0; i < BUFFER_COUNT; i++) fill(queue, buffers[i] = buffer_of(bytes, i % 2 ? CL_MEM_READ_WRITE : 0, NULL), i, bytes);
    for (int i = 0; i < BUFFER_COUNT; i++) check(is_filled(queue, buffers[i], i, bytes), "a buffer has its own contents");
    for (int i = 0; i < BUFFER_COUNT; i++) check(clReleaseMemObject(buffers[i]) == CL_SUCCESS, "a buffer is released");
}

/* A released buffer's memory may be another's only when the commands have run. */
static void releases_wait_for_commands(void)
{
    const size_t bytes = INT_COUNT * sizeof(int);
    cl_mem sum = buffer_of(bytes, CL_MEM_READ_WRITE, NULL);
    for (int i = 0; i < ROUND_COUNT; i++) {
        cl_mem from = buffer_of(bytes, CL_MEM_READ_WRITE, NULL);
        fill(queue, from, i, bytes);
        check(clEnqueueCopyBuffer(queue, from, sum, 0, 0, bytes, 0, NULL, NULL) == CL_SUCCESS, "a copy is queued");
        check(clReleaseMemObject(from) == CL_SUCCESS, "a buffer in use is released");
        if (i % 16 == 0) check(is_filled(queue, sum, i, bytes), "a copy has what was there before the release");
    }
    check(is_filled(queue, sum, ROUND_COUNT - 1, bytes), "the last copy has what was there before the release");
    check(clReleaseMemObject(sum) == CL_SUCCESS, "a buffer is released");
}

static void parts_of_buffers_work(void)
{
    cl_int error = 1;
    cl_mem parent = NULL;
    size_t offset = 0, bytes = 0;
    cl_mem whole = buffer_of(1 << 16, CL_MEM_READ_WRITE, NULL);
    const cl_buffer_region region = {.origin = 4096, .size = 8192}, beyond = {.origin = 1 << 15, .size = 1 << 16},
                           none = {.origin = 0, .size = 0};
    check_refused(clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &beyond, &error), &error, CL_INVALID_VALUE,
                  "a part beyond the end is refused");
    check_refused(clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &none, &error), &error, CL_INVALID_BUFFER_SIZE,
                  "an empty part is refused");
    cl_mem part = clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    check(part != NULL && error == CL_SUCCESS, "a part is made");
    check_refused(clCreateSubBuffer(part, 0, CL_BUFFER_CREATE_TYPE_REGION, &(cl_buffer_region){0, 128}, &error), &error, CL_SUCCESS,
                  "a part of a part is refused");
    check(clGetMemObjectInfo(part, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof parent, &parent, NULL) == CL_SUCCESS && parent == whole,
          "a part tells its whole");
    check(clGetMemObjectInfo(part, CL_MEM_OFFSET, sizeof offset, &offset, NULL) == CL_SUCCESS && offset == 4096, "a part tells its offset");
    check(clGetMemObjectInfo(part, CL_MEM_SIZE, sizeof bytes, &bytes, NULL) == CL_SUCCESS && bytes == 8192, "a part tells its size");
    fill(queue, whole, 1, 1 << 16);
    fill(queue, part, 2, 8192);
    int values[3];
    for (int i = 0; i < 3; i++) {
        const size_t at[] = {4092, 4096, 4096 + 8192};
        check(clEnqueueReadBuffer(queue, whole, CL_TRUE, at[i], sizeof values[i], &values[i], 0, NULL, NULL) == CL_SUCCESS, "a read");
    }
    check(values[0] == 1 && values[1] == 2 && values[2] == 1, "a part lies where it should in its whole");
    check(clReleaseMemObject(whole) == CL_SUCCESS, "the whole is released before its part");
    cl_mem other = buffer_of(1 << 16, CL_MEM_READ_WRITE, NULL);
    fill(queue, other, 3, 1 << 16);
    check(is_filled(queue, part, 2, 8192), "a part outlives its whole");
    check(clReleaseMemObject(part) == CL_SUCCESS && clReleaseMemObject(other) == CL_SUCCESS, "the rest is released");
}

static void questions_are_answered_as_for_an_object_of_its_own(void)
{
    cl_mem buffer = buffer_of(1000, CL_MEM_READ_ONLY, NULL);
    cl_mem parent = buffer;
    cl_mem_flags flags = 0;
    size_t bytes = 0, offset = 1;
    void *host = &bytes;
    cl_context its_context = NULL;
    cl_uint count = 0;
    check(clGetMemObjectInfo(buffer, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof parent, &parent, NULL) == CL_SUCCESS && parent == NULL,
          "a buffer is part of nothing");
    check(clGetMemObjectInfo(buffer, CL_MEM_OFFSET, sizeof offset, &offset, NULL) == CL_SUCCESS && offset == 0, "a buffer begins at 0");
    check(clGetMemObjectInfo(buffer, CL_MEM_FLAGS, sizeof flags, &flags, NULL) == CL_SUCCESS && flags == CL_MEM_READ_ONLY,
          "a buffer has its flags");
    check(clGetMemObjectInfo(buffer, CL_MEM_HOST_PTR, sizeof host, &host, NULL) == CL_SUCCESS && host == NULL,
          "a buffer has no memory of the program");
    check(clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof bytes, &bytes, NULL) == CL_SUCCESS && bytes == 1000, "a buffer has its size");
    check(clGetMemObjectInfo(buffer, CL_MEM_CONTEXT, sizeof its_context, &its_context, NULL) == CL_SUCCESS && its_context == context,
          "a buffer has its context");
    check(clGetMemObjectInfo(buffer, CL_MEM_SIZE, 1, &bytes, NULL) == CL_INVALID_VALUE, "too little room is refused");
    check(clRetainMemObject(buffer) == CL_SUCCESS, "a buffer is retained");
    check(clGetMemObjectInfo(buffer, CL_MEM_REFERENCE_COUNT, sizeof count, &count, NULL) == CL_SUCCESS && count == 2,
          "references are counted");
    for (int i = 0; i < 2; i++) check(clReleaseMemObject(buffer) == CL_SUCCESS, "both are released");
    cl_int error = 0;
    check(clCreateBuffer(context, 0, 0, NULL, &error) == NULL && error == CL_INVALID_BUFFER_SIZE, "no bytes are refused");
    check(clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 8, NULL, &error) == NULL && error == CL_INVALID_HOST_PTR,
          "no contents to copy are refused");
    check(clCreateBuffer(NULL, 0, 8, NULL, &error) == NULL && error == CL_INVALID_CONTEXT, "no context is refused");
    check(clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 8, NULL, &error) == NULL && error == CL_INVALID_VALUE,
          "flags that contradict are refused");
}

static void contents_come_along(void)
{
    int values[256];
    for (int i = 0; i < 256; i++) values[i] = 77;
    cl_mem copied = buffer_of(sizeof values, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, values),
           used = buffer_of(sizeof values, CL_MEM_USE_HOST_PTR, values);
    check(is_filled(queue, copied, 77, sizeof values) && is_filled(queue, used, 77, sizeof values), "contents come along");
    fill(queue, copied, 5, sizeof values);
    check(clFinish(queue) == CL_SUCCESS && values[0] == 77, "a copy is a copy");
    check(clReleaseMemObject(copied) == CL_SUCCESS && clReleaseMemObject(used) == CL_SUCCESS, "both are released");
}

static bool are_equal(const float *seen, const float *pixels)
{
    bool are = true;
    for (int i = 0; i < HEIGHT * WIDTH * 4; i++) are = are && seen[i] == pixels[i];
    return are;
}

static void images_work(void)
{
    static float pixels[HEIGHT][WIDTH][4], seen[HEIGHT][WIDTH][4];
    const cl_image_format format = {CL_RGBA, CL_FLOAT};
    const cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = WIDTH, .image_height = HEIGHT};
    const size_t origin[3] = {0, 0, 0}, size[3] = {WIDTH, HEIGHT, 1};
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) pixels[y][x][0] = (float)(y * WIDTH + x);
    for (int with_contents = 0; with_contents < 2; with_contents++) {
        cl_int error = 1;
        size_t width = 0;
        void *host = &width;
        cl_mem image =
            clCreateImage(context, with_contents ? CL_MEM_COPY_HOST_PTR : 0, &format, &desc, with_contents ? pixels : NULL, &error);
        check(image != NULL && error == CL_SUCCESS, "an image is made");
        if (!with_contents)
            check(clEnqueueWriteImage(queue, image, CL_TRUE, origin, size, 0, 0, pixels, 0, NULL, NULL) == CL_SUCCESS,
                  "an image is written");
        memset(seen, 0, sizeof seen);
        check(clEnqueueReadImage(queue, image, CL_TRUE, origin, size, 0, 0, seen, 0, NULL, NULL) == CL_SUCCESS, "an image is read");
        check(are_equal(&seen[0][0][0], &pixels[0][0][0]), "an image has what was written");
        check(clGetImageInfo(image, CL_IMAGE_WIDTH, sizeof width, &width, NULL) == CL_SUCCESS && width == WIDTH, "an image has its width");
        check(clGetMemObjectInfo(image, CL_MEM_HOST_PTR, sizeof host, &host, NULL) == CL_SUCCESS && host == NULL,
              "an image has no memory of the program");
        check(clReleaseMemObject(image) == CL_SUCCESS, "an image is released");
    }
}

static void *use_buffers(void *argument)
{
    cl_command_queue own = clCreateCommandQueue(context, device, 0, NULL);
    const int base = (int)(size_t)argument * ROUND_COUNT;
    for (int i = 0; i < ROUND_COUNT; i++) {
        const size_t bytes = 64 + (size_t)(i * 977 % 20000) / 4 * 4;
        cl_mem buffer = buffer_of(bytes, 0, NULL);
        fill(own, buffer, base + i, bytes);
        check(is_filled(own, buffer, base + i, bytes), "a thread's buffer is its own");
        check(clReleaseMemObject(buffer) == CL_SUCCESS, "a thread's buffer is released");
    }
    check(clReleaseCommandQueue(own) == CL_SUCCESS, "a queue is released");
    return NULL;
}

int main(void)
{
    cl_platform_id platform;
    cl_uint count = 0;
    if (clGetPlatformIDs(1, &platform, &count) != CL_SUCCESS || count == 0 ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL) != CL_SUCCESS)
        return 77;
    context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
    queue = clCreateCommandQueue(context, device, 0, NULL);
    buffers_are_apart();
    releases_wait_for_commands();
    parts_of_buffers_work();
    questions_are_answered_as_for_an_object_of_its_own();
    contents_come_along();
    cl_bool has_images = CL_FALSE;
    if (clGetDeviceInfo(device, CL_DEVICE_IMAGE_SUPPORT, sizeof has_images, &has_images, NULL) == CL_SUCCESS && has_images) images_work();
    pthread_t threads[THREAD_COUNT];
    for (size_t i = 0; i < THREAD_COUNT; i++) check(pthread_create(&threads[i], NULL, use_buffers, (void *)i) == 0, "a thread begins");
    for (size_t i = 0; i < THREAD_COUNT; i++) (void)pthread_join(threads[i], NULL);
    check(clFinish(queue) == CL_SUCCESS && clReleaseCommandQueue(queue) == CL_SUCCESS && clReleaseContext(context) == CL_SUCCESS,
          "all is released");
    return failures != 0;
}
