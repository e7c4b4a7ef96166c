/* device.c - finds the driver, opens a device, and says what its errors mean. */
#include "cuda/device.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { DRIVER_VERSION_MIN = 11020 };

/* ---- errors ---- */

static acre_status meaning_of(cu_result result)
{
    switch (result) {
    case CU_OK:
        return ACRE_OK;
    case CU_OUT_OF_MEMORY:
        return ACRE_NO_MEMORY;
    case CU_INVALID_VALUE:
    case CU_INVALID_DEVICE:
    case CU_INVALID_HANDLE:
    case CU_HOST_MEMORY_ALREADY_REGISTERED:
    case CU_HOST_MEMORY_NOT_REGISTERED:
        return ACRE_INVALID;
    case CU_STUB_LIBRARY:
    case CU_DRIVER_MISMATCH:
    case CU_NO_DEVICE:
    case CU_NOT_SUPPORTED:
    case CU_NOT_PERMITTED:
        return ACRE_UNSUPPORTED;
    default:
        return ACRE_IO;
    }
}

acre_status acre_cuda_status(const acre_cuda *cuda, const char *call, cu_result result)
{
    const char *name = NULL;
    if (result == CU_OK) return ACRE_OK;
    if (cuda->driver.error_name == NULL || cuda->driver.error_name(result, &name) != CU_OK || name == NULL) name = "unknown";
    return acre_fail(meaning_of(result), "cuda: %s: %s (%d)", call, name, result);
}

acre_status acre_cuda_enter(acre_cuda *cuda)
{
    return acre_cuda_status(cuda, "cuCtxPushCurrent", cuda->driver.context_push(cuda->context));
}

void acre_cuda_leave(acre_cuda *cuda)
{
    cu_context context;
    (void)cuda->driver.context_pop(&context);
}

void acre_cuda_count(acre_cuda *cuda, unsigned *count, int by)
{
    pthread_mutex_lock(&cuda->lock);
    *count = (unsigned)((int)*count + by);
    pthread_mutex_unlock(&cuda->lock);
}

/* ---- opening ---- */

/* A function pointer from dlsym, without a cast that ISO C does not know. */
static void *symbol_of(void *library, const char *symbol, void *place, size_t size)
{
    void *const found = dlsym(library, symbol);
    memcpy(place, &found, size);
    return found;
}

static acre_status find_calls(acre_cuda *cuda)
{
#define FIND(is_needed, name, symbol)                                                                                                      \
    if (symbol_of(cuda->library, #symbol, &cuda->driver.name, sizeof cuda->driver.name) == NULL && (is_needed))                            \
        return acre_fail(ACRE_UNSUPPORTED, "cuda: the driver is too old: it has no %s", #symbol);
    ACRE_CUDA_CALLS(FIND)
#undef FIND
    return ACRE_OK;
}

static bool has(const acre_cuda *cuda, int attribute)
{
    int value = 0;
    return cuda->driver.device_attribute(&value, attribute, cuda->device) == CU_OK && value != 0;
}

static void read_growth(acre_cuda *cuda)
{
    const cu_driver *const d = &cuda->driver;
    const cu_allocation_prop prop = {.type = CU_ALLOCATION_PINNED, .location = {CU_LOCATION_DEVICE, cuda->device}};
    size_t granule_bytes = 0;
    const bool has_calls = d->granularity != NULL && d->address_reserve != NULL && d->address_free != NULL && d->handle_create != NULL &&
                           d->handle_release != NULL && d->map != NULL && d->unmap != NULL && d->set_access != NULL;
    if (!has_calls || !has(cuda, CU_ATTRIBUTE_VIRTUAL_MEMORY_SUPPORTED)) return;
    if (d->granularity(&granule_bytes, &prop, CU_GRANULARITY_MINIMUM) != CU_OK || granule_bytes == 0) return;
    cuda->facts.has_growth = true;
    cuda->facts.granule_bytes = granule_bytes;
}

static acre_status read_facts(acre_cuda *cuda)
{
    const cu_driver *const d = &cuda->driver;
    acre_cuda_facts *const facts = &cuda->facts;
    size_t total_bytes;
    acre_status status = acre_cuda_status(cuda, "cuDeviceGetName", d->device_name(facts->name, (int)sizeof facts->name - 1, cuda->device));
    if (status == ACRE_OK) status = acre_cuda_status(cuda, "cuDeviceTotalMem", d->device_total_mem(&total_bytes, cuda->device));
    if (status != ACRE_OK) return status;
    facts->total_bytes = total_bytes;
    facts->is_integrated = has(cuda, CU_ATTRIBUTE_INTEGRATED);
    facts->has_managed = has(cuda, CU_ATTRIBUTE_MANAGED_MEMORY);
    facts->migrates_managed = has(cuda, CU_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS) && d->advise != NULL && d->prefetch != NULL;
    facts->maps_host = has(cuda, CU_ATTRIBUTE_CAN_MAP_HOST_MEMORY);
    facts->has_pools = has(cuda, CU_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) && d->pool_create != NULL && d->pool_destroy != NULL &&
                       d->pool_set != NULL && d->pool_get != NULL && d->pool_trim != NULL && d->pool_alloc != NULL && d->free_async != NULL;
    facts->has_export = d->ipc_get != NULL && d->ipc_open != NULL && d->ipc_close != NULL;
    return ACRE_OK;
}

static acre_status find_device(acre_cuda *cuda, int number)
{
    const cu_driver *const d = &cuda->driver;
    int count = 0;
    acre_status status = acre_cuda_status(cuda, "cuInit", d->init(0));
    if (status == ACRE_OK) status = acre_cuda_status(cuda, "cuDriverGetVersion", d->driver_version(&cuda->facts.driver_version));
    if (status == ACRE_OK && cuda->facts.driver_version < DRIVER_VERSION_MIN)
        return acre_fail(ACRE_UNSUPPORTED, "cuda: the driver is version %d, %d is the oldest that will do", cuda->facts.driver_version,
                         DRIVER_VERSION_MIN);
    if (status == ACRE_OK) status = acre_cuda_status(cuda, "cuDeviceGetCount", d->device_count(&count));
    if (status != ACRE_OK) return status;
    if (count == 0) return acre_fail(ACRE_UNSUPPORTED, "cuda: the driver finds no device");
    if (number < 0 || number >= count) return acre_fail(ACRE_INVALID, "cuda: device %d: there are %d, from 0", number, count);
    return acre_cuda_status(cuda, "cuDeviceGet", d->device_get(&cuda->device, number));
}

/* The context is retained at the end, so that what fails before has nothing to give back. */
static acre_status open_device(acre_cuda *cuda, const acre_cuda_options *options)
{
    const char *const path = options->library_path == NULL ? "libcuda.so.1" : options->library_path;
    cuda->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (cuda->library == NULL) {
        const char *const reason = dlerror();
        return acre_fail(ACRE_UNSUPPORTED, "cuda: no driver: %s", reason == NULL ? path : reason);
    }
    acre_status status = find_calls(cuda);
    if (status == ACRE_OK) status = find_device(cuda, options->device);
    if (status == ACRE_OK) status = read_facts(cuda);
    if (status == ACRE_OK) read_growth(cuda);
    if (status == ACRE_OK)
        status = acre_cuda_status(cuda, "cuDevicePrimaryCtxRetain", cuda->driver.context_retain(&cuda->context, cuda->device));
    return status;
}

acre_status acre_cuda_open(const acre_cuda_options *options, acre_cuda **out)
{
    static const acre_cuda_options defaults = {.device = 0};
    if (out == NULL) return acre_fail(ACRE_INVALID, "cuda: the place for the device is NULL");
    acre_cuda *const cuda = calloc(1, sizeof *cuda);
    if (cuda == NULL) return acre_fail(ACRE_NO_MEMORY, "cuda: no host memory for a device");
    cuda->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    const acre_status status = open_device(cuda, options == NULL ? &defaults : options);
    if (status != ACRE_OK) {
        if (cuda->library != NULL) (void)dlclose(cuda->library);
        free(cuda);
        return status;
    }
    *out = cuda;
    return ACRE_OK;
}

static const char *kind_text(uint32_t kind)
{
    static const char *const texts[] = {"device", "managed", "pinned", "mapped", "registered", "imported"};
    return texts[kind];
}

/* What keeps the device open, if anything does. */
static acre_status what_is_in_use(const acre_cuda *cuda)
{
    const size_t count = cuda->device_blocks.count + cuda->host_blocks.count;
    if (cuda->pool_count > 0) return acre_fail(ACRE_BUSY, "cuda: %u pools are open", cuda->pool_count);
    if (cuda->growth_count > 0) return acre_fail(ACRE_BUSY, "cuda: %u growths are open", cuda->growth_count);
    const acre_device_block *const block = acre_block_table_any(cuda->device_blocks.count > 0 ? &cuda->device_blocks : &cuda->host_blocks);
    if (block == NULL) return ACRE_OK;
    return acre_fail(ACRE_BUSY, "cuda: %zu blocks are in use, one of %llu bytes of %s memory at 0x%llx", count,
                     (unsigned long long)block->size_bytes, kind_text(block->kind), (unsigned long long)block->address);
}

acre_status acre_cuda_close(acre_cuda *cuda)
{
    if (cuda == NULL) return acre_fail(ACRE_INVALID, "cuda: the device is NULL");
    pthread_mutex_lock(&cuda->lock);
    acre_status status = what_is_in_use(cuda);
    pthread_mutex_unlock(&cuda->lock);
    if (status == ACRE_OK) status = acre_cuda_status(cuda, "cuDevicePrimaryCtxRelease", cuda->driver.context_release(cuda->device));
    if (status != ACRE_OK) return status;
    free(cuda->device_blocks.slots);
    free(cuda->host_blocks.slots);
    (void)dlclose(cuda->library);
    free(cuda);
    return ACRE_OK;
}

acre_status acre_cuda_query(acre_cuda *cuda, acre_cuda_facts *facts)
{
    if (cuda == NULL || facts == NULL) return acre_fail(ACRE_INVALID, "cuda: query: NULL");
    *facts = cuda->facts;
    return ACRE_OK;
}

acre_status acre_cuda_budget(acre_cuda *cuda, uint64_t *free_bytes, uint64_t *total_bytes)
{
    if (cuda == NULL || free_bytes == NULL || total_bytes == NULL) return acre_fail(ACRE_INVALID, "cuda: budget: NULL");
    size_t free_now, total;
    acre_status status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    status = acre_cuda_status(cuda, "cuMemGetInfo", cuda->driver.mem_info(&free_now, &total));
    acre_cuda_leave(cuda);
    if (status != ACRE_OK) return status;
    *free_bytes = free_now;
    *total_bytes = total;
    return ACRE_OK;
}
