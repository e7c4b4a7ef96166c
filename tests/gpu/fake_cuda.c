/* fake_cuda.c - a CUDA driver without a device: keeps account of memory, streams and events, and runs what is queued when a test says so.
 *
 * It is built as libcuda.so.1 beside the tests, which find it by that name. Device memory is memory of the host that nobody but the fake
 * looks at. A stream is a queue of work: events, waits, uses, frees. Work runs when a test makes a step, or when a call waits for it. */
#include "fake_cuda.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANGES_MAX = 8192,
    EVENTS_MAX = 8192,
    STREAMS_MAX = 32,
    WORK_MAX = 4096,
    POOLS_MAX = 16,
    HANDLES_MAX = 256,
    MAPS_MAX = 256,
    STACK_MAX = 8
};
enum { GRANULE_BYTES = 65536, POOL_GRANULE_BYTES = 512, LOST_BYTE = 0x5a };

typedef enum range_kind {
    RANGE_NONE,
    RANGE_DEVICE,
    RANGE_MANAGED,
    RANGE_HOST,
    RANGE_REGISTERED,
    RANGE_POOL,
    RANGE_RESERVED,
    RANGE_IMPORT
} range_kind;

typedef struct range {
    range_kind kind;
    cu_pointer pointer;
    size_t bytes;
    unsigned char *view;
    bool is_mapped;   /* host memory: for the device */
    bool is_free;     /* pool: kept by the pool */
    unsigned pending; /* uses that are queued */
    int pool;
    cu_stream freed_in;
    unsigned import_count; /* device memory that others have opened */
    int preferred;
} range;

typedef enum work_kind { WORK_RECORD, WORK_WAIT, WORK_USE, WORK_FREE } work_kind;

typedef struct work {
    work_kind kind;
    unsigned stream; /* WAIT: for this one ... */
    uint64_t place;  /* ... to have done so much */
    cu_pointer pointer;
    size_t bytes;
    uint64_t tag;
} work;

struct cu_stream_object {
    bool is_live;
    work queue[WORK_MAX];
    unsigned head, count;
    uint64_t queued, done; /* pieces of work, in all lives of its number */
};

struct cu_event_object {
    bool is_live;
    unsigned stream; /* where it was recorded last, */
    uint64_t place;  /* behind so much work; 0: nowhere yet */
};

struct cu_pool_object {
    bool is_live;
    int reuse[4];
    uint64_t threshold, reserved, reserved_high, used, used_high, limit;
};

typedef struct handle {
    bool is_live;
    size_t bytes;
    unsigned map_count;
    bool is_released;
} handle;

typedef struct mapping {
    bool is_live, is_accessible;
    cu_pointer pointer;
    size_t bytes;
    unsigned handle;
} mapping;

static struct {
    pthread_mutex_t lock;
    fake_options options;
    bool is_initialised, is_lost;
    unsigned long calls, fail_at;
    cu_result fail_with;
    range ranges[RANGES_MAX];
    unsigned range_count;
    struct cu_event_object events[EVENTS_MAX];
    struct cu_stream_object streams[STREAMS_MAX]; /* 0 is the default stream */
    struct cu_pool_object pools[POOLS_MAX];
    handle handles[HANDLES_MAX];
    mapping maps[MAPS_MAX];
    uint64_t used_bytes;
    cu_pointer next_pointer;
    unsigned retain_count, misuse_count, advice_counts[7], prefetch_counts[2];
    char misuse[200];
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread unsigned context_depth;

/* ---- account ---- */

static void misuse(const char *what, unsigned long long value)
{
    fake.misuse_count++;
    (void)snprintf(fake.misuse, sizeof fake.misuse, "%s (0x%llx)", what, value);
}

/* Each call that can fail begins here: not if a failure is due, or without a context where one is needed. */
static bool begin(bool needs_context, cu_result *result)
{
    pthread_mutex_lock(&fake.lock);
    *result = CU_OK;
    if (++fake.calls == fake.fail_at) *result = fake.fail_with;
    if (fake.is_lost) *result = CU_LAUNCH_FAILED;
    if (*result == CU_OK && !fake.is_initialised) *result = CU_NOT_INITIALIZED;
    if (*result == CU_OK && needs_context && context_depth == 0) {
        misuse("a call without a context", 0);
        *result = CU_INVALID_CONTEXT;
    }
    if (*result != CU_OK) pthread_mutex_unlock(&fake.lock);
    return *result == CU_OK;
}

static cu_result end(cu_result result)
{
    pthread_mutex_unlock(&fake.lock);
    return result;
}

#define BEGIN(needs_context)                                                                                                               \
    cu_result begin_result;                                                                                                                \
    if (!begin(needs_context, &begin_result)) return begin_result

static range *range_at(cu_pointer pointer, size_t bytes)
{
    for (unsigned i = 0; i < fake.range_count; i++) {
        range *const r = &fake.ranges[i];
        if (r->kind != RANGE_NONE && pointer >= r->pointer && pointer - r->pointer + bytes <= r->bytes) return r;
    }
    return NULL;
}

static range *range_of(cu_pointer pointer, range_kind kind)
{
    for (unsigned i = 0; i < fake.range_count; i++)
        if (fake.ranges[i].kind == kind && fake.ranges[i].pointer == pointer) return &fake.ranges[i];
    return NULL;
}

static range *new_range(range_kind kind, size_t bytes)
{
    unsigned i = 0;
    while (i < fake.range_count && fake.ranges[i].kind != RANGE_NONE) i++;
    if (i == RANGES_MAX) abort();
    if (i == fake.range_count) fake.range_count++;
    fake.ranges[i] = (range){.kind = kind, .bytes = bytes, .pool = -1, .preferred = -2};
    return &fake.ranges[i];
}

static cu_pointer new_addresses(size_t bytes)
{
    const cu_pointer pointer = fake.next_pointer;
    fake.next_pointer += (bytes + GRANULE_BYTES) / GRANULE_BYTES * GRANULE_BYTES;
    return pointer;
}

static bool has_room(size_t bytes) { return bytes <= fake.options.memory_bytes && fake.used_bytes <= fake.options.memory_bytes - bytes; }

/* The mapping that has the byte, if the device may use it. */
static const mapping *mapping_at(cu_pointer pointer)
{
    for (unsigned i = 0; i < MAPS_MAX; i++) {
        const mapping *const m = &fake.maps[i];
        if (m->is_live && m->is_accessible && pointer >= m->pointer && pointer - m->pointer < m->bytes) return m;
    }
    return NULL;
}

static bool is_mapped(cu_pointer pointer, size_t bytes)
{
    const cu_pointer end = pointer + bytes;
    for (const mapping *m; pointer < end; pointer = m->pointer + m->bytes)
        if ((m = mapping_at(pointer)) == NULL) return false;
    return true;
}

static void *device_view(cu_pointer pointer, size_t bytes)
{
    const range *const r = range_at(pointer, bytes);
    const bool is_hosts = r != NULL && (r->kind == RANGE_HOST || r->kind == RANGE_REGISTERED);
    if (r == NULL || r->is_free || (is_hosts && !r->is_mapped) || (r->kind == RANGE_RESERVED && !is_mapped(pointer, bytes))) {
        misuse("memory is used that is not there, not mapped or not accessible", pointer);
        return NULL;
    }
    return r->view + (pointer - r->pointer);
}

/* ---- streams ---- */

static struct cu_stream_object *stream_of(cu_stream stream)
{
    struct cu_stream_object *const s = stream == NULL ? &fake.streams[0] : stream;
    if (!s->is_live) misuse("a stream that is not there", (uintptr_t)stream);
    return s->is_live ? s : NULL;
}

static void queue(struct cu_stream_object *s, const work *w)
{
    if (s->count == WORK_MAX) abort();
    s->queue[(s->head + s->count++) % WORK_MAX] = *w;
    s->queued++;
}

static void pool_trim(struct cu_pool_object *pool, uint64_t keep_bytes)
{
    for (unsigned i = 0; i < fake.range_count && pool->reserved > keep_bytes; i++) {
        range *const r = &fake.ranges[i];
        if (r->kind != RANGE_POOL || r->pool != pool - fake.pools || !r->is_free || r->pending > 0) continue;
        pool->reserved -= r->bytes;
        fake.used_bytes -= r->bytes;
        free(r->view);
        r->kind = RANGE_NONE;
    }
}

/* Tags are kept in the first bytes of the memory. */
static void run_use(const work *w)
{
    range *const r = range_at(w->pointer, w->bytes);
    if (r == NULL || device_view(w->pointer, w->bytes) == NULL) return;
    uint64_t last;
    memcpy(&last, device_view(w->pointer, sizeof last), sizeof last);
    if (last > w->tag) misuse("a use runs after one that it was to come before", w->pointer);
    if (last < w->tag) memcpy(device_view(w->pointer, sizeof last), &w->tag, sizeof w->tag);
    r->pending--;
}

static bool step(struct cu_stream_object *s)
{
    if (s->count == 0) return false;
    const work *const w = &s->queue[s->head];
    range *freed = NULL;
    switch (w->kind) {
    case WORK_WAIT:
        if (fake.streams[w->stream].done < w->place) return false;
        break;
    case WORK_RECORD:
        break;
    case WORK_USE:
        run_use(w);
        break;
    case WORK_FREE:
        freed = range_of(w->pointer, RANGE_POOL);
        if (freed != NULL) freed->pending--;
        break;
    }
    s->head = (s->head + 1) % WORK_MAX;
    s->count--;
    s->done++;
    return true;
}

static bool step_any(void)
{
    bool is_any = false;
    for (unsigned i = 0; i < STREAMS_MAX; i++) is_any |= fake.streams[i].is_live && step(&fake.streams[i]);
    return is_any;
}

static void run_stream(const struct cu_stream_object *s)
{
    while (s->count > 0)
        if (!step_any()) {
            misuse("a stream waits for ever", 0);
            return;
        }
}

static void run_all(void)
{
    while (step_any()) continue;
}

/* ---- what a test says ---- */

void fake_reset(const fake_options *options)
{
    pthread_mutex_lock(&fake.lock);
    for (unsigned i = 0; i < fake.range_count; i++) {
        const range *const r = &fake.ranges[i];
        if (r->kind == RANGE_DEVICE || r->kind == RANGE_MANAGED || r->kind == RANGE_HOST || r->kind == RANGE_POOL ||
            r->kind == RANGE_RESERVED)
            free(r->view);
    }
    memset(&fake.options, 0, sizeof fake - offsetof(__typeof__(fake), options));
    fake.options = *options;
    fake.next_pointer = 0x7f0000000000;
    fake.streams[0].is_live = true;
    pthread_mutex_unlock(&fake.lock);
    context_depth = 0;
}

void fake_fail_at(unsigned long call, cu_result result)
{
    fake.calls = 0;
    fake.fail_at = call;
    fake.fail_with = result;
}

unsigned long fake_calls(void) { return fake.calls; }
void fake_lose_device(bool is_lost) { fake.is_lost = is_lost; }
unsigned fake_misuse_count(void) { return fake.misuse_count + (context_depth != 0); }
const char *fake_misuse(void) { return context_depth != 0 ? "a context was not given back" : fake.misuse; }

cu_context fake_context(void) { return context_depth == 0 ? NULL : (cu_context)(uintptr_t)0x100; }

fake_live fake_read_live(void)
{
    fake_live live = {.contexts = fake.retain_count};
    for (unsigned i = 0; i < fake.range_count; i++) {
        const range *const r = &fake.ranges[i];
        live.device += r->kind == RANGE_DEVICE;
        live.managed += r->kind == RANGE_MANAGED;
        live.host += r->kind == RANGE_HOST;
        live.registered += r->kind == RANGE_REGISTERED;
        live.pool_blocks += r->kind == RANGE_POOL && !r->is_free;
        live.reservations += r->kind == RANGE_RESERVED;
        live.imports += r->kind == RANGE_IMPORT;
    }
    for (unsigned i = 0; i < EVENTS_MAX; i++) live.events += fake.events[i].is_live;
    for (unsigned i = 1; i < STREAMS_MAX; i++) live.streams += fake.streams[i].is_live;
    for (unsigned i = 0; i < POOLS_MAX; i++) live.pools += fake.pools[i].is_live;
    for (unsigned i = 0; i < HANDLES_MAX; i++) live.handles += fake.handles[i].is_live;
    for (unsigned i = 0; i < MAPS_MAX; i++) live.mappings += fake.maps[i].is_live;
    return live;
}

bool fake_is_nothing_live(void)
{
    const fake_live live = fake_read_live(), none = {0};
    return memcmp(&live, &none, sizeof live) == 0;
}

cu_stream fake_stream_create(void)
{
    pthread_mutex_lock(&fake.lock);
    unsigned i = 1;
    while (i < STREAMS_MAX && fake.streams[i].is_live) i++;
    if (i == STREAMS_MAX) abort();
    fake.streams[i].is_live = true;
    pthread_mutex_unlock(&fake.lock);
    return &fake.streams[i];
}

void fake_stream_destroy(cu_stream stream)
{
    pthread_mutex_lock(&fake.lock);
    run_stream(stream);
    stream->is_live = false;
    pthread_mutex_unlock(&fake.lock);
}

void fake_use(cu_stream stream, cu_pointer pointer, size_t bytes, uint64_t tag)
{
    pthread_mutex_lock(&fake.lock);
    range *const r = range_at(pointer, bytes);
    struct cu_stream_object *const s = stream_of(stream);
    if (r == NULL || r->is_free)
        misuse("work is queued for memory that is not there", pointer);
    else if (s != NULL) {
        r->pending++;
        queue(s, &(work){.kind = WORK_USE, .pointer = pointer, .bytes = bytes, .tag = tag});
    }
    pthread_mutex_unlock(&fake.lock);
}

bool fake_step(cu_stream stream)
{
    pthread_mutex_lock(&fake.lock);
    const bool is_done = step(stream == NULL ? &fake.streams[0] : stream);
    pthread_mutex_unlock(&fake.lock);
    return is_done;
}

bool fake_step_any(uint64_t random)
{
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        if (fake_step(&fake.streams[(random + i) % STREAMS_MAX])) return true;
    return false;
}

void *fake_device_view(cu_pointer pointer, size_t bytes)
{
    pthread_mutex_lock(&fake.lock);
    void *const view = device_view(pointer, bytes);
    pthread_mutex_unlock(&fake.lock);
    return view;
}

int fake_preferred(cu_pointer pointer)
{
    const range *const r = range_of(pointer, RANGE_MANAGED);
    return r == NULL ? -2 : r->preferred;
}

unsigned fake_advice_count(int advice) { return fake.advice_counts[advice]; }
unsigned fake_prefetch_count(cu_device device) { return fake.prefetch_counts[device == CU_DEVICE_CPU]; }

/* ---- the driver: device and context ---- */

#define DRIVER __attribute__((visibility("default"))) cu_result

#define DECLARE(is_needed, name, symbol) FAKE __typeof__(*(cu_api_##name)0)(symbol);
ACRE_CUDA_CALLS(DECLARE)

DRIVER cuInit(unsigned flags)
{
    pthread_mutex_lock(&fake.lock);
    const bool fails = ++fake.calls == fake.fail_at || flags != 0;
    if (!fails) fake.is_initialised = true;
    return end(fails ? flags != 0 ? CU_INVALID_VALUE : fake.fail_with : fake.options.device_count == 0 ? CU_NO_DEVICE : CU_OK);
}

DRIVER cuDriverGetVersion(int *version)
{
    BEGIN(false);
    *version = fake.options.driver_version;
    return end(CU_OK);
}

DRIVER cuGetErrorName(cu_result result, const char **name)
{
    static const struct {
        cu_result result;
        const char *name;
    } names[] = {{CU_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
                 {CU_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
                 {CU_NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
                 {CU_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},
                 {CU_UNKNOWN, "CUDA_ERROR_UNKNOWN"}};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].result == result) {
            *name = names[i].name;
            return CU_OK;
        }
    return CU_INVALID_VALUE;
}

DRIVER cuDeviceGetCount(int *count)
{
    BEGIN(false);
    *count = fake.options.device_count;
    return end(CU_OK);
}

DRIVER cuDeviceGet(cu_device *device, int ordinal)
{
    BEGIN(false);
    *device = ordinal;
    return end(ordinal < 0 || ordinal >= fake.options.device_count ? CU_INVALID_DEVICE : CU_OK);
}

DRIVER cuDeviceGetName(char *name, int length, cu_device device)
{
    BEGIN(false);
    if (fake.options.name != NULL) (void)snprintf(name, (size_t)length, "%s", fake.options.name);
    else (void)snprintf(name, (size_t)length, "fake %d", device);
    return end(CU_OK);
}

DRIVER cuDeviceTotalMem_v2(size_t *bytes, cu_device device)
{
    BEGIN(false);
    (void)device;
    *bytes = fake.options.memory_bytes;
    return end(CU_OK);
}

DRIVER cuDeviceGetAttribute(int *value, int attribute, cu_device device)
{
    BEGIN(false);
    (void)device;
    switch (attribute) {
    case CU_ATTRIBUTE_MANAGED_MEMORY:
    case CU_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS:
        *value = !fake.options.lacks_managed;
        break;
    case CU_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
        *value = !fake.options.lacks_mapping;
        break;
    case CU_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
        *value = !fake.options.lacks_pools;
        break;
    case CU_ATTRIBUTE_VIRTUAL_MEMORY_SUPPORTED:
        *value = !fake.options.lacks_growth;
        break;
    case CU_ATTRIBUTE_SHARED_BYTES_OF_MULTIPROCESSOR:
        *value = 100 << 10;
        break;
    case CU_ATTRIBUTE_REGISTERS_OF_MULTIPROCESSOR:
        *value = 65536;
        break;
    case CU_ATTRIBUTE_CONSTANT_BYTES:
        *value = 64 << 10;
        break;
    case CU_ATTRIBUTE_L2_BYTES:
        *value = 5 << 20;
        break;
    case CU_ATTRIBUTE_WARP_ITEMS:
        *value = 32;
        break;
    case CU_ATTRIBUTE_MULTIPROCESSORS:
        *value = 68;
        break;
    case CU_ATTRIBUTE_MEMORY_CLOCK_KHZ:
        *value = 9501000;
        break;
    case CU_ATTRIBUTE_MEMORY_BUS_BITS:
        *value = 320;
        break;
    default:
        *value = 0;
        break;
    }
    return end(CU_OK);
}

DRIVER cuDevicePrimaryCtxRetain(cu_context *context, cu_device device)
{
    BEGIN(false);
    fake.retain_count++;
    *context = (cu_context)(uintptr_t)(0x100 + (unsigned)device);
    return end(CU_OK);
}

DRIVER cuDevicePrimaryCtxRelease_v2(cu_device device)
{
    BEGIN(false);
    (void)device;
    if (fake.retain_count == 0) misuse("a context is released that nobody has", 0);
    if (fake.retain_count > 0) fake.retain_count--;
    return end(CU_OK);
}

DRIVER cuCtxPushCurrent_v2(cu_context context)
{
    BEGIN(false);
    if (context == NULL || fake.retain_count == 0) {
        misuse("a context that is not there is made current", (uintptr_t)context);
        return end(CU_INVALID_CONTEXT);
    }
    context_depth++;
    return end(CU_OK);
}

/* Does not fail: what was made current can be given back. */
DRIVER cuCtxPopCurrent_v2(cu_context *context)
{
    *context = (cu_context)(uintptr_t)0x100;
    if (context_depth == 0) return CU_INVALID_CONTEXT;
    context_depth--;
    return CU_OK;
}

/* ---- memory ---- */

DRIVER cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
    BEGIN(true);
    *free_bytes = fake.options.memory_bytes - fake.used_bytes;
    *total_bytes = fake.options.memory_bytes;
    return end(CU_OK);
}

static cu_result alloc_device(cu_pointer *pointer, size_t bytes)
{
    if (bytes == 0) return CU_INVALID_VALUE;
    if (!has_room(bytes)) return CU_OUT_OF_MEMORY;
    range *const r = new_range(RANGE_DEVICE, bytes);
    r->view = calloc(1, bytes < 16 ? 16 : bytes);
    *pointer = r->pointer = new_addresses(bytes);
    fake.used_bytes += bytes;
    return CU_OK;
}

DRIVER cuMemAlloc_v2(cu_pointer *pointer, size_t bytes)
{
    BEGIN(true);
    return end(alloc_device(pointer, bytes));
}

DRIVER cuMemAllocManaged(cu_pointer *pointer, size_t bytes, unsigned flags)
{
    BEGIN(true);
    if (bytes == 0 || flags != CU_ATTACH_GLOBAL) return end(CU_INVALID_VALUE);
    if (fake.options.lacks_managed) return end(CU_NOT_SUPPORTED);
    range *const r = new_range(RANGE_MANAGED, bytes);
    r->view = calloc(1, bytes);
    *pointer = r->pointer = (uintptr_t)r->view;
    return end(CU_OK);
}

/* Waits for all that is queued, as the real one does. */
DRIVER cuMemFree_v2(cu_pointer pointer)
{
    BEGIN(true);
    range *r = range_of(pointer, RANGE_DEVICE);
    if (r == NULL) r = range_of(pointer, RANGE_MANAGED);
    if (r == NULL) {
        misuse("cuMemFree of what is no device or managed memory", pointer);
        return end(CU_INVALID_VALUE);
    }
    if (r->pending > 0) misuse("memory is freed while a stream uses it", pointer);
    if (r->import_count > 0) misuse("memory is freed while another process has it", pointer);
    if (r->kind == RANGE_DEVICE) fake.used_bytes -= r->bytes;
    run_all();
    free(r->view);
    r->kind = RANGE_NONE;
    return end(CU_OK);
}

DRIVER cuMemcpyDtoD_v2(cu_pointer to, cu_pointer from, size_t bytes)
{
    BEGIN(true);
    void *const target = device_view(to, bytes);
    const void *const source = device_view(from, bytes);
    if (target == NULL || source == NULL) return end(CU_ILLEGAL_ADDRESS);
    memmove(target, source, bytes);
    return end(CU_OK);
}

DRIVER cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags)
{
    BEGIN(true);
    if (bytes == 0 || flags > 7) return end(CU_INVALID_VALUE);
    range *const r = new_range(RANGE_HOST, bytes);
    *pointer = r->view = calloc(1, bytes);
    r->pointer = (uintptr_t)r->view;
    r->is_mapped = (flags & CU_HOST_ALLOC_DEVICE_MAP) != 0;
    return end(CU_OK);
}

DRIVER cuMemFreeHost(void *pointer)
{
    BEGIN(true);
    range *const r = range_of((uintptr_t)pointer, RANGE_HOST);
    if (r == NULL) {
        misuse("cuMemFreeHost of what is no host memory", (uintptr_t)pointer);
        return end(CU_INVALID_VALUE);
    }
    free(r->view);
    r->kind = RANGE_NONE;
    return end(CU_OK);
}

DRIVER cuMemHostGetDevicePointer_v2(cu_pointer *pointer, void *host, unsigned flags)
{
    BEGIN(true);
    const range *r = range_of((uintptr_t)host, RANGE_HOST);
    if (r == NULL) r = range_of((uintptr_t)host, RANGE_REGISTERED);
    if (r == NULL || !r->is_mapped || flags != 0) return end(CU_INVALID_VALUE);
    *pointer = r->pointer;
    return end(CU_OK);
}

DRIVER cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned flags)
{
    BEGIN(true);
    if (pointer == NULL || bytes == 0) return end(CU_INVALID_VALUE);
    if (range_of((uintptr_t)pointer, RANGE_REGISTERED) != NULL) return end(CU_HOST_MEMORY_ALREADY_REGISTERED);
    range *const r = new_range(RANGE_REGISTERED, bytes);
    r->view = pointer;
    r->pointer = (uintptr_t)pointer;
    r->is_mapped = (flags & CU_HOST_REGISTER_DEVICE_MAP) != 0;
    return end(CU_OK);
}

DRIVER cuMemHostUnregister(void *pointer)
{
    BEGIN(true);
    range *const r = range_of((uintptr_t)pointer, RANGE_REGISTERED);
    if (r == NULL) return end(CU_HOST_MEMORY_NOT_REGISTERED);
    r->kind = RANGE_NONE;
    return end(CU_OK);
}

/* ---- managed memory ---- */

DRIVER cuMemAdvise(cu_pointer pointer, size_t bytes, int advice, cu_device device)
{
    BEGIN(true);
    range *const r = range_at(pointer, bytes);
    if (r == NULL || r->kind != RANGE_MANAGED || advice < 1 || advice > 6 || bytes == 0) return end(CU_INVALID_VALUE);
    if (advice == CU_ADVISE_SET_PREFERRED_LOCATION) r->preferred = device;
    if (advice == CU_ADVISE_UNSET_PREFERRED_LOCATION) r->preferred = -2;
    fake.advice_counts[advice]++;
    return end(CU_OK);
}

DRIVER cuMemPrefetchAsync(cu_pointer pointer, size_t bytes, cu_device device, cu_stream stream)
{
    BEGIN(true);
    const range *const r = range_at(pointer, bytes);
    if (r == NULL || r->kind != RANGE_MANAGED || bytes == 0 || stream_of(stream) == NULL) return end(CU_INVALID_VALUE);
    fake.prefetch_counts[device == CU_DEVICE_CPU]++;
    return end(CU_OK);
}

/* ---- events and streams ---- */

static struct cu_event_object *event_of(cu_event event)
{
    const bool is_live = event >= fake.events && event < fake.events + EVENTS_MAX && event->is_live;
    if (!is_live) misuse("an event that is not there", (uintptr_t)event);
    return is_live ? event : NULL;
}

static bool is_reached(const struct cu_event_object *event) { return fake.streams[event->stream].done >= event->place; }

DRIVER cuEventCreate(cu_event *event, unsigned flags)
{
    BEGIN(true);
    if (flags > 7) return end(CU_INVALID_VALUE);
    unsigned i = 0;
    while (i < EVENTS_MAX && fake.events[i].is_live) i++;
    if (i == EVENTS_MAX) return end(CU_OUT_OF_MEMORY);
    fake.events[i] = (struct cu_event_object){.is_live = true};
    *event = &fake.events[i];
    return end(CU_OK);
}

DRIVER cuEventDestroy_v2(cu_event event)
{
    BEGIN(true);
    struct cu_event_object *const e = event_of(event);
    if (e == NULL) return end(CU_INVALID_HANDLE);
    e->is_live = false;
    return end(CU_OK);
}

DRIVER cuEventRecord(cu_event event, cu_stream stream)
{
    BEGIN(true);
    struct cu_event_object *const e = event_of(event);
    struct cu_stream_object *const s = stream_of(stream);
    if (e == NULL || s == NULL) return end(CU_INVALID_HANDLE);
    queue(s, &(work){.kind = WORK_RECORD});
    e->stream = (unsigned)(s - fake.streams);
    e->place = s->queued;
    return end(CU_OK);
}

void fake_record_and_wait(cu_stream stream, cu_stream waiter)
{
    cu_event event;
    context_depth++;
    if (cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CU_OK || cuEventRecord(event, stream) != CU_OK ||
        cuStreamWaitEvent(waiter, event, 0) != CU_OK || cuEventDestroy_v2(event) != CU_OK)
        abort();
    context_depth--;
}

DRIVER cuEventQuery(cu_event event)
{
    BEGIN(true);
    const struct cu_event_object *const e = event_of(event);
    return end(e == NULL ? CU_INVALID_HANDLE : is_reached(e) ? CU_OK : CU_NOT_READY);
}

DRIVER cuEventSynchronize(cu_event event)
{
    BEGIN(true);
    const struct cu_event_object *const e = event_of(event);
    if (e == NULL) return end(CU_INVALID_HANDLE);
    while (!is_reached(e))
        if (!step_any()) {
            misuse("an event is never reached", (uintptr_t)event);
            return end(CU_UNKNOWN);
        }
    return end(CU_OK);
}

DRIVER cuStreamWaitEvent(cu_stream stream, cu_event event, unsigned flags)
{
    BEGIN(true);
    const struct cu_event_object *const e = event_of(event);
    struct cu_stream_object *const s = stream_of(stream);
    if (e == NULL || s == NULL || flags != 0) return end(CU_INVALID_HANDLE);
    queue(s, &(work){.kind = WORK_WAIT, .stream = e->stream, .place = e->place});
    return end(CU_OK);
}

DRIVER cuStreamSynchronize(cu_stream stream)
{
    BEGIN(true);
    const struct cu_stream_object *const s = stream_of(stream);
    if (s == NULL) return end(CU_INVALID_HANDLE);
    run_stream(s);
    for (unsigned i = 0; i < POOLS_MAX; i++)
        if (fake.pools[i].is_live) pool_trim(&fake.pools[i], fake.pools[i].threshold);
    return end(CU_OK);
}

/* ---- pools ---- */

static struct cu_pool_object *pool_of(cu_pool pool)
{
    const bool is_live = pool >= fake.pools && pool < fake.pools + POOLS_MAX && pool->is_live;
    if (!is_live) misuse("a pool that is not there", (uintptr_t)pool);
    return is_live ? pool : NULL;
}

DRIVER cuMemPoolCreate(cu_pool *pool, const cu_pool_props *props)
{
    BEGIN(true);
    if (props->type != CU_ALLOCATION_PINNED || props->location.type != CU_LOCATION_DEVICE || props->win32_security != NULL)
        return end(CU_INVALID_VALUE);
    unsigned i = 0;
    while (i < POOLS_MAX && fake.pools[i].is_live) i++;
    if (i == POOLS_MAX) return end(CU_OUT_OF_MEMORY);
    fake.pools[i] = (struct cu_pool_object){.is_live = true, .reuse = {0, 1, 1, 1}, .limit = props->max_bytes};
    *pool = &fake.pools[i];
    return end(CU_OK);
}

DRIVER cuMemPoolDestroy(cu_pool pool)
{
    BEGIN(true);
    struct cu_pool_object *const p = pool_of(pool);
    if (p == NULL) return end(CU_INVALID_HANDLE);
    if (p->used > 0) misuse("a pool is destroyed while blocks of it are in use", (uintptr_t)pool);
    run_all();
    pool_trim(p, 0);
    p->is_live = false;
    return end(CU_OK);
}

DRIVER cuMemPoolSetAttribute(cu_pool pool, int attribute, void *value)
{
    BEGIN(true);
    struct cu_pool_object *const p = pool_of(pool);
    if (p == NULL || attribute < 1 || attribute > CU_POOL_RELEASE_THRESHOLD) return end(CU_INVALID_VALUE);
    if (attribute == CU_POOL_RELEASE_THRESHOLD)
        memcpy(&p->threshold, value, sizeof p->threshold);
    else
        memcpy(&p->reuse[attribute], value, sizeof(int));
    return end(CU_OK);
}

DRIVER cuMemPoolGetAttribute(cu_pool pool, int attribute, void *value)
{
    BEGIN(true);
    const struct cu_pool_object *const p = pool_of(pool);
    if (p == NULL || attribute < 1 || attribute > CU_POOL_USED_HIGH) return end(CU_INVALID_VALUE);
    const uint64_t values[] = {[CU_POOL_RELEASE_THRESHOLD] = p->threshold,
                               [CU_POOL_RESERVED_CURRENT] = p->reserved,
                               [CU_POOL_RESERVED_HIGH] = p->reserved_high,
                               [CU_POOL_USED_CURRENT] = p->used,
                               [CU_POOL_USED_HIGH] = p->used_high};
    if (attribute >= CU_POOL_RELEASE_THRESHOLD)
        memcpy(value, &values[attribute], sizeof values[0]);
    else
        memcpy(value, &p->reuse[attribute], sizeof(int));
    return end(CU_OK);
}

DRIVER cuMemPoolTrimTo(cu_pool pool, size_t keep_bytes)
{
    BEGIN(true);
    struct cu_pool_object *const p = pool_of(pool);
    if (p == NULL) return end(CU_INVALID_HANDLE);
    pool_trim(p, keep_bytes);
    return end(CU_OK);
}

/* A block that was freed in the same stream is used again; all else is new. */
DRIVER cuMemAllocFromPoolAsync(cu_pointer *pointer, size_t bytes, cu_pool pool, cu_stream stream)
{
    BEGIN(true);
    struct cu_pool_object *const p = pool_of(pool);
    if (p == NULL || bytes == 0 || stream_of(stream) == NULL) return end(CU_INVALID_VALUE);
    const size_t length = (bytes + POOL_GRANULE_BYTES - 1) / POOL_GRANULE_BYTES * POOL_GRANULE_BYTES;
    range *found = NULL;
    for (unsigned i = 0; i < fake.range_count && found == NULL; i++) {
        range *const r = &fake.ranges[i];
        if (r->kind == RANGE_POOL && r->pool == p - fake.pools && r->is_free && r->bytes == length && r->freed_in == stream) found = r;
    }
    if (found == NULL) {
        if (!has_room(length) || (p->limit != 0 && p->reserved + length > p->limit)) return end(CU_OUT_OF_MEMORY);
        found = new_range(RANGE_POOL, length);
        found->view = calloc(1, length);
        found->pointer = new_addresses(length);
        found->pool = (int)(p - fake.pools);
        fake.used_bytes += length;
        p->reserved += length;
        if (p->reserved > p->reserved_high) p->reserved_high = p->reserved;
    }
    found->is_free = false;
    p->used += length;
    if (p->used > p->used_high) p->used_high = p->used;
    *pointer = found->pointer;
    return end(CU_OK);
}

DRIVER cuMemFreeAsync(cu_pointer pointer, cu_stream stream)
{
    BEGIN(true);
    range *const r = range_of(pointer, RANGE_POOL);
    struct cu_stream_object *const s = stream_of(stream);
    if (r == NULL || r->is_free || s == NULL) {
        misuse("cuMemFreeAsync of what is no block in use of a pool", pointer);
        return end(CU_INVALID_VALUE);
    }
    r->is_free = true;
    r->freed_in = stream;
    r->pending++;
    fake.pools[r->pool].used -= r->bytes;
    queue(s, &(work){.kind = WORK_FREE, .pointer = pointer});
    return end(CU_OK);
}

/* ---- addresses and memory apart ---- */

DRIVER cuMemGetAllocationGranularity(size_t *bytes, const cu_allocation_prop *prop, int option)
{
    BEGIN(false);
    if (prop->type != CU_ALLOCATION_PINNED || option != CU_GRANULARITY_MINIMUM) return end(CU_INVALID_VALUE);
    *bytes = GRANULE_BYTES;
    return end(CU_OK);
}

DRIVER cuMemAddressReserve(cu_pointer *pointer, size_t bytes, size_t alignment, cu_pointer wanted, unsigned long long flags)
{
    BEGIN(true);
    if (bytes == 0 || bytes % GRANULE_BYTES != 0 || flags != 0 || alignment != 0 || wanted != 0) return end(CU_INVALID_VALUE);
    unsigned char *const view = calloc(1, bytes);
    if (view == NULL) return end(CU_OUT_OF_MEMORY);
    range *const r = new_range(RANGE_RESERVED, bytes);
    r->view = view;
    *pointer = r->pointer = new_addresses(bytes);
    return end(CU_OK);
}

static bool overlaps(const mapping *m, cu_pointer pointer, size_t bytes)
{
    return m->is_live && pointer < m->pointer + m->bytes && m->pointer < pointer + bytes;
}

DRIVER cuMemAddressFree(cu_pointer pointer, size_t bytes)
{
    BEGIN(true);
    range *const r = range_of(pointer, RANGE_RESERVED);
    if (r == NULL || r->bytes != bytes) {
        misuse("cuMemAddressFree of what was not reserved like that", pointer);
        return end(CU_INVALID_VALUE);
    }
    for (unsigned i = 0; i < MAPS_MAX; i++)
        if (overlaps(&fake.maps[i], pointer, bytes)) {
            misuse("addresses are freed while memory is mapped there", pointer);
            return end(CU_INVALID_VALUE);
        }
    free(r->view);
    r->kind = RANGE_NONE;
    return end(CU_OK);
}

DRIVER cuMemCreate(cu_handle *out, size_t bytes, const cu_allocation_prop *prop, unsigned long long flags)
{
    BEGIN(true);
    if (bytes == 0 || bytes % GRANULE_BYTES != 0 || flags != 0 || prop->type != CU_ALLOCATION_PINNED ||
        prop->location.type != CU_LOCATION_DEVICE)
        return end(CU_INVALID_VALUE);
    unsigned i = 1;
    while (i < HANDLES_MAX && fake.handles[i].is_live) i++;
    if (i == HANDLES_MAX || !has_room(bytes)) return end(CU_OUT_OF_MEMORY);
    fake.handles[i] = (handle){.is_live = true, .bytes = bytes};
    fake.used_bytes += bytes;
    *out = i;
    return end(CU_OK);
}

/* Memory goes when it is released and mapped nowhere. */
static void drop_handle(handle *h)
{
    if (!h->is_released || h->map_count > 0) return;
    fake.used_bytes -= h->bytes;
    *h = (handle){.is_live = false};
}

DRIVER cuMemRelease(cu_handle number)
{
    BEGIN(true);
    handle *const h = number < HANDLES_MAX ? &fake.handles[number] : NULL;
    if (h == NULL || !h->is_live || h->is_released) {
        misuse("cuMemRelease of what is no memory", number);
        return end(CU_INVALID_VALUE);
    }
    h->is_released = true;
    drop_handle(h);
    return end(CU_OK);
}

DRIVER cuMemMap(cu_pointer pointer, size_t bytes, size_t offset, cu_handle number, unsigned long long flags)
{
    BEGIN(true);
    const range *const r = range_at(pointer, bytes);
    handle *const h = number < HANDLES_MAX ? &fake.handles[number] : NULL;
    if (r == NULL || r->kind != RANGE_RESERVED || h == NULL || !h->is_live || h->bytes != bytes || offset != 0 || flags != 0)
        return end(CU_INVALID_VALUE);
    unsigned place = MAPS_MAX;
    for (unsigned i = 0; i < MAPS_MAX; i++) {
        if (overlaps(&fake.maps[i], pointer, bytes)) {
            misuse("memory is mapped over other memory", pointer);
            return end(CU_INVALID_VALUE);
        }
        if (!fake.maps[i].is_live) place = i;
    }
    if (place == MAPS_MAX) return end(CU_OUT_OF_MEMORY);
    fake.maps[place] = (mapping){.is_live = true, .pointer = pointer, .bytes = bytes, .handle = (unsigned)number};
    h->map_count++;
    memset(r->view + (pointer - r->pointer), LOST_BYTE, bytes); /* what was there before is gone */
    return end(CU_OK);
}

DRIVER cuMemUnmap(cu_pointer pointer, size_t bytes)
{
    BEGIN(true);
    for (unsigned i = 0; i < MAPS_MAX; i++) {
        mapping *const m = &fake.maps[i];
        if (!m->is_live || m->pointer != pointer || m->bytes != bytes) continue;
        m->is_live = false;
        fake.handles[m->handle].map_count--;
        drop_handle(&fake.handles[m->handle]);
        return end(CU_OK);
    }
    misuse("cuMemUnmap of what is not mapped", pointer);
    return end(CU_INVALID_VALUE);
}

DRIVER cuMemSetAccess(cu_pointer pointer, size_t bytes, const cu_access_desc *desc, size_t count)
{
    BEGIN(true);
    if (count != 1 || desc->location.type != CU_LOCATION_DEVICE || desc->flags != CU_ACCESS_READ_WRITE) return end(CU_INVALID_VALUE);
    for (unsigned i = 0; i < MAPS_MAX; i++) {
        mapping *const m = &fake.maps[i];
        if (!m->is_live || m->pointer != pointer || m->bytes != bytes) continue;
        m->is_accessible = true;
        return end(CU_OK);
    }
    return end(CU_INVALID_VALUE);
}

/* ---- between processes: the other process is this one ---- */

DRIVER cuIpcGetMemHandle(cu_ipc_handle *handle_bytes, cu_pointer pointer)
{
    BEGIN(true);
    if (range_of(pointer, RANGE_DEVICE) == NULL) return end(CU_INVALID_VALUE);
    memset(handle_bytes, 0, sizeof *handle_bytes);
    memcpy(handle_bytes, &pointer, sizeof pointer);
    return end(CU_OK);
}

DRIVER cuIpcOpenMemHandle_v2(cu_pointer *pointer, cu_ipc_handle handle_bytes, unsigned flags)
{
    BEGIN(true);
    cu_pointer exported;
    memcpy(&exported, &handle_bytes, sizeof exported);
    range *const source = range_of(exported, RANGE_DEVICE);
    if (source == NULL || flags != CU_IPC_LAZY_PEER_ACCESS) return end(CU_INVALID_VALUE);
    source->import_count++;
    const size_t number = (size_t)(source - fake.ranges);
    range *const r = new_range(RANGE_IMPORT, source->bytes);
    r->view = fake.ranges[number].view;
    r->pool = (int)number;
    *pointer = r->pointer = new_addresses(r->bytes);
    return end(CU_OK);
}

DRIVER cuIpcCloseMemHandle(cu_pointer pointer)
{
    BEGIN(true);
    range *const r = range_of(pointer, RANGE_IMPORT);
    if (r == NULL) {
        misuse("cuIpcCloseMemHandle of what is not open", pointer);
        return end(CU_INVALID_VALUE);
    }
    fake.ranges[r->pool].import_count--;
    r->kind = RANGE_NONE;
    return end(CU_OK);
}
