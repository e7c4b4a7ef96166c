/* gpu_measure.c - see gpu_opencl.h: bandwidth and latency by kernels of OpenCL, timed by the events of the queue.
 *
 * Latency is the time of a read whose place the read before it tells: one work-item follows a ring of lines in random order, so that
 * neither a prefetcher nor other items help. A run goes on where the one before has ended: else all would read the same lines, which the
 * first one left in a cache. Bandwidth is that of all items, each of which reads and writes 16 bytes beside the next
 * one's; bytes read and bytes written both count. The best of several passes is taken, as in `acre topology`.
 */
#if WITH_OPENCL
#include "gpu_opencl.h"

#include "command.h"

#include <stdlib.h>
#include <string.h>

enum {
    PASSES = 4,
    STEPS = 100000,
    VECTOR_BYTES = 16,
    LINE_BYTES = 64,
    GROUP_ITEMS = 64,
    LOCAL_GROUPS = 256,
    LOCAL_ROUNDS = 4096,
    LOCAL_BYTES_MAX = 16 << 10,
    CONSTANT_BYTES_MAX = 16 << 10,
    CURVE_BYTES_MIN = 4 << 10,
    GLOBAL_BYTES_MIN = 64 << 20,
    GLOBAL_BYTES_MAX = 256 << 20, /* also the least for a GPU, of which OpenCL often tells a smaller cache than it has */
};

static const char source[] =
    "__kernel void copy(__global const uint4 *from, __global uint4 *to) { size_t i = get_global_id(0); to[i] = from[i]; }\n"
    "__kernel void chase(__global const uint *ring, __global uint *out, uint steps)\n"
    "{ uint at = *out; for (uint i = 0; i < steps; i++) at = ring[at]; *out = at; }\n"
    "__kernel void chase_constant(__constant uint *ring, __global uint *out, uint steps)\n"
    "{ uint at = 0; for (uint i = 0; i < steps; i++) at = ring[at]; *out = at; }\n"
    "__kernel void chase_local(__global const uint *ring, __global uint *out, uint steps, __local uint *here, uint count)\n"
    "{ uint at = 0; for (uint i = 0; i < count; i++) here[i] = ring[i]; for (uint i = 0; i < steps; i++) at = here[at]; *out = at; }\n"
    "__kernel void read_local(__global const uint4 *from, __global uint4 *out, uint rounds, __local uint4 *here, uint mask)\n"
    "{ uint me = get_local_id(0); uint4 sum = (uint4)(0);\n"
    "  for (uint i = me; i <= mask; i += get_local_size(0)) here[i] = from[i];\n"
    "  barrier(CLK_LOCAL_MEM_FENCE);\n"
    "  for (uint i = 0; i < rounds; i++) sum += here[(me + i) & mask];\n"
    "  out[get_global_id(0)] = sum; }\n";

typedef struct bench {
    const gpu_opencl *cl;
    gpu_device *device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_mem from, to;
    size_t size_bytes;
    uint32_t *ring; /* the host's, as large as a buffer */
} bench;

/* The first failure is kept. */
static bool is_done(bench *self, const char *call, cl_int error)
{
    if (error != CL_SUCCESS && self->device->not_measured == NULL) self->device->not_measured = must_print("%s: error %d", call, error);
    return error == CL_SUCCESS;
}

/* The shortest time of several runs in ns; 0 when it fails. `group` 0: as OpenCL likes. */
static uint64_t run(bench *self, cl_kernel kernel, size_t items, size_t group)
{
    uint64_t best = 0;
    for (int pass = 0; pass <= PASSES; pass++) { /* the first one compiles, and touches memory */
        cl_event event;
        cl_ulong start = 0, end = 0;
        cl_int error = self->cl->clEnqueueNDRangeKernel(self->queue, kernel, 1, NULL, &items, group == 0 ? NULL : &group, 0, NULL, &event);
        if (!is_done(self, "clEnqueueNDRangeKernel", error)) return 0;
        error = self->cl->clWaitForEvents(1, &event);
        if (error == CL_SUCCESS) error = self->cl->clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
        if (error == CL_SUCCESS) error = self->cl->clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
        (void)self->cl->clReleaseEvent(event);
        if (!is_done(self, "a kernel", error)) return 0;
        if (pass > 0 && end > start && (best == 0 || end - start < best)) best = end - start;
    }
    return best;
}

typedef struct argument {
    size_t size_bytes;
    const void *value;
} argument;

/* run() of the kernel of that name, with arguments. */
static uint64_t run_named(bench *self, const char *name, const argument *arguments, cl_uint count, size_t items, size_t group)
{
    cl_int error;
    uint64_t ns = 0;
    cl_kernel kernel = self->cl->clCreateKernel(self->program, name, &error);
    if (!is_done(self, "clCreateKernel", error)) return 0;
    for (cl_uint i = 0; i < count && error == CL_SUCCESS; i++)
        error = self->cl->clSetKernelArg(kernel, i, arguments[i].size_bytes, arguments[i].value);
    if (is_done(self, "clSetKernelArg", error)) ns = run(self, kernel, items, group);
    (void)self->cl->clReleaseKernel(kernel);
    return ns;
}

static void set_measured(bench *self, acre_gpu_level_kind level, acre_gpu_figure_kind figure, uint64_t value)
{
    if (value > 0) self->device->hierarchy.levels[level].figures[figure] = (acre_figure){.value = value, .source = ACRE_SOURCE_MEASURED};
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A ring through all lines of `bytes` in random order (Sattolo's shuffle has one cycle), in the buffer that is read. */
static bool write_ring(bench *self, size_t bytes)
{
    const size_t words = LINE_BYTES / sizeof *self->ring, lines = bytes / LINE_BYTES;
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < lines; i++) self->ring[i * words] = (uint32_t)(i * words);
    for (size_t i = lines - 1; i > 0; i--) {
        const size_t other = (size_t)(next_random(&state) % i);
        const uint32_t place = self->ring[i * words];
        self->ring[i * words] = self->ring[other * words];
        self->ring[other * words] = place;
    }
    return is_done(self, "clEnqueueWriteBuffer",
                   self->cl->clEnqueueWriteBuffer(self->queue, self->from, CL_TRUE, 0, bytes, self->ring, 0, NULL, NULL));
}

/* In picoseconds; 0 when it fails. */
static uint64_t chase(bench *self, const char *name, size_t bytes)
{
    const cl_uint steps = STEPS, words = (cl_uint)(bytes / sizeof *self->ring);
    const bool is_local = strcmp(name, "chase_local") == 0;
    const argument arguments[] = {
        {sizeof self->from, &self->from}, {sizeof self->to, &self->to}, {sizeof steps, &steps}, {bytes, NULL}, {sizeof words, &words}};
    const cl_uint start = 0;
    if (!write_ring(self, bytes) ||
        !is_done(self, "clEnqueueWriteBuffer",
                 self->cl->clEnqueueWriteBuffer(self->queue, self->to, CL_TRUE, 0, sizeof start, &start, 0, NULL, NULL)))
        return 0;
    return run_named(self, name, arguments, is_local ? 5 : 3, 1, 1) * 1000 / STEPS;
}

static uint64_t nanoseconds(uint64_t ps) { return ps == 0 ? 0 : ps < 1500 ? 1 : (ps + 500) / 1000; }

static void measure_global(bench *self)
{
    const size_t items = self->size_bytes / VECTOR_BYTES;
    const argument arguments[] = {{sizeof self->from, &self->from}, {sizeof self->to, &self->to}};
    const uint64_t ns = run_named(self, "copy", arguments, 2, items, 0);
    if (ns > 0) set_measured(self, ACRE_GPU_LEVEL_GLOBAL, ACRE_GPU_BYTES_PER_S, (uint64_t)((double)self->size_bytes * 2e9 / (double)ns));
    for (size_t bytes = CURVE_BYTES_MIN; self->device->curve_count < GPU_CURVE_POINTS_MAX; bytes *= 4) {
        const size_t size = bytes < self->size_bytes ? bytes : self->size_bytes;
        const uint64_t ps = chase(self, "chase", size);
        if (ps == 0) return;
        self->device->curve[self->device->curve_count++] = (gpu_curve_point){.bytes = size, .latency_ps = ps};
        if (size == self->size_bytes) {
            set_measured(self, ACRE_GPU_LEVEL_GLOBAL, ACRE_GPU_LATENCY_NS, nanoseconds(ps));
            return;
        }
    }
}

/* Half of what OpenCL calls the cache, so that it stays there. */
static void measure_cache(bench *self)
{
    const uint64_t cache_bytes = self->device->hierarchy.levels[ACRE_GPU_LEVEL_CACHE].figures[ACRE_GPU_CAPACITY_BYTES].value;
    const size_t bytes = (size_t)cache_bytes / 2 / LINE_BYTES * LINE_BYTES;
    if (bytes < CURVE_BYTES_MIN || bytes > self->size_bytes / 2) return;
    set_measured(self, ACRE_GPU_LEVEL_CACHE, ACRE_GPU_LATENCY_NS, nanoseconds(chase(self, "chase", bytes)));
}

/* The largest power of two that is at most half of `bytes` and at most `most`. */
static size_t half_of(uint64_t bytes, size_t most)
{
    size_t size = most;
    while (size > bytes / 2) size /= 2;
    return size;
}

static void measure_local(bench *self)
{
    const size_t bytes =
        half_of(self->device->hierarchy.levels[ACRE_GPU_LEVEL_LOCAL].figures[ACRE_GPU_CAPACITY_BYTES].value, LOCAL_BYTES_MAX);
    const cl_uint rounds = LOCAL_ROUNDS, mask = (cl_uint)(bytes / VECTOR_BYTES - 1);
    if (bytes < LINE_BYTES * 2) return;
    const argument arguments[] = {
        {sizeof self->from, &self->from}, {sizeof self->to, &self->to}, {sizeof rounds, &rounds}, {bytes, NULL}, {sizeof mask, &mask}};
    set_measured(self, ACRE_GPU_LEVEL_LOCAL, ACRE_GPU_LATENCY_NS, nanoseconds(chase(self, "chase_local", bytes)));
    const uint64_t ns = run_named(self, "read_local", arguments, 5, (size_t)LOCAL_GROUPS * GROUP_ITEMS, GROUP_ITEMS);
    const double read_bytes = (double)LOCAL_GROUPS * GROUP_ITEMS * LOCAL_ROUNDS * VECTOR_BYTES;
    if (ns > 0) set_measured(self, ACRE_GPU_LEVEL_LOCAL, ACRE_GPU_BYTES_PER_S, (uint64_t)(read_bytes * 1e9 / (double)ns));
}

static void measure_constant(bench *self)
{
    const size_t bytes =
        half_of(self->device->hierarchy.levels[ACRE_GPU_LEVEL_CONSTANT].figures[ACRE_GPU_CAPACITY_BYTES].value, CONSTANT_BYTES_MAX);
    cl_int error;
    if (bytes < LINE_BYTES * 2) return;
    /* A buffer of its own: constant memory may be no larger. */
    cl_mem whole = self->from;
    self->from = self->cl->clCreateBuffer(self->context, CL_MEM_READ_ONLY, bytes, NULL, &error);
    if (is_done(self, "clCreateBuffer", error)) {
        set_measured(self, ACRE_GPU_LEVEL_CONSTANT, ACRE_GPU_LATENCY_NS, nanoseconds(chase(self, "chase_constant", bytes)));
        (void)self->cl->clReleaseMemObject(self->from);
    }
    self->from = whole;
}

/* Four times the cache, so that it holds little of it, and enough for a GPU, but no more than an eighth of the memory. */
static size_t buffer_bytes(const acre_gpu_hierarchy *h)
{
    const uint64_t wanted = 4 * h->levels[ACRE_GPU_LEVEL_CACHE].figures[ACRE_GPU_CAPACITY_BYTES].value;
    const uint64_t most = h->levels[ACRE_GPU_LEVEL_GLOBAL].figures[ACRE_GPU_CAPACITY_BYTES].value / 8;
    const size_t least = h->is_software ? GLOBAL_BYTES_MIN : GLOBAL_BYTES_MAX;
    const size_t size = wanted < least ? least : wanted < GLOBAL_BYTES_MAX ? (size_t)wanted : GLOBAL_BYTES_MAX;
    return (size < most ? size : (size_t)most) / 4096 * 4096;
}

static bool open_bench(bench *self, cl_device_id id)
{
    const gpu_opencl *const cl = self->cl;
    const char *text = source;
    cl_int error;
    self->context = cl->clCreateContext(NULL, 1, &id, NULL, NULL, &error);
    if (!is_done(self, "clCreateContext", error)) return false;
    self->queue = cl->clCreateCommandQueue(self->context, id, CL_QUEUE_PROFILING_ENABLE, &error);
    if (!is_done(self, "clCreateCommandQueue", error)) return false;
    self->program = cl->clCreateProgramWithSource(self->context, 1, &text, NULL, &error);
    if (!is_done(self, "clCreateProgramWithSource", error)) return false;
    if (!is_done(self, "clBuildProgram", cl->clBuildProgram(self->program, 1, &id, "", NULL, NULL))) return false;
    self->from = cl->clCreateBuffer(self->context, CL_MEM_READ_WRITE, self->size_bytes, NULL, &error);
    if (!is_done(self, "clCreateBuffer", error)) return false;
    self->to = cl->clCreateBuffer(self->context, CL_MEM_READ_WRITE, self->size_bytes, NULL, &error);
    return is_done(self, "clCreateBuffer", error);
}

static void close_bench(bench *self)
{
    const gpu_opencl *const cl = self->cl;
    if (self->to != NULL) (void)cl->clReleaseMemObject(self->to);
    if (self->from != NULL) (void)cl->clReleaseMemObject(self->from);
    if (self->program != NULL) (void)cl->clReleaseProgram(self->program);
    if (self->queue != NULL) (void)cl->clReleaseCommandQueue(self->queue);
    if (self->context != NULL) (void)cl->clReleaseContext(self->context);
    free(self->ring);
}

void gpu_measure_opencl(const gpu_opencl *cl, cl_device_id id, gpu_device *device)
{
    bench self = {.cl = cl, .device = device, .size_bytes = buffer_bytes(&device->hierarchy)};
    if (self.size_bytes < GLOBAL_BYTES_MIN / 16) {
        device->not_measured = must_copy("too little memory");
        return;
    }
    self.ring = must_calloc(1, self.size_bytes);
    if (open_bench(&self, id)) {
        measure_global(&self);
        measure_cache(&self);
        measure_local(&self);
        measure_constant(&self);
    }
    close_bench(&self);
}
#else
typedef int gpu_measure_is_empty; /* a file has something in it */
#endif
