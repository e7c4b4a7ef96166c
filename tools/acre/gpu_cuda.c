/* gpu_cuda.c - see gpu_devices.h: devices of CUDA's driver API. */
#include "gpu_devices.h"

#include "command.h"
#include "cuda/driver.h"

#include <string.h>

enum { NAME_BYTES = 100, REGISTER_BYTES = 4 };

/* Those that are needed here; a driver that is too old for libacre-cuda can still be asked. */
static bool find_calls(cu_driver *driver, void *library)
{
    *driver = (cu_driver){.init = NULL};
    (void)gpu_find_symbol(library, "cuGetErrorName", &driver->error_name, sizeof driver->error_name);
    return gpu_find_symbol(library, "cuInit", &driver->init, sizeof driver->init) &&
           gpu_find_symbol(library, "cuDriverGetVersion", &driver->driver_version, sizeof driver->driver_version) &&
           gpu_find_symbol(library, "cuDeviceGetCount", &driver->device_count, sizeof driver->device_count) &&
           gpu_find_symbol(library, "cuDeviceGet", &driver->device_get, sizeof driver->device_get) &&
           gpu_find_symbol(library, "cuDeviceGetName", &driver->device_name, sizeof driver->device_name) &&
           gpu_find_symbol(library, "cuDeviceTotalMem_v2", &driver->device_total_mem, sizeof driver->device_total_mem) &&
           gpu_find_symbol(library, "cuDeviceGetAttribute", &driver->device_attribute, sizeof driver->device_attribute) &&
           gpu_find_symbol(library, "cuDevicePrimaryCtxRetain", &driver->context_retain, sizeof driver->context_retain) &&
           gpu_find_symbol(library, "cuDevicePrimaryCtxRelease_v2", &driver->context_release, sizeof driver->context_release) &&
           gpu_find_symbol(library, "cuCtxPushCurrent_v2", &driver->context_push, sizeof driver->context_push) &&
           gpu_find_symbol(library, "cuCtxPopCurrent_v2", &driver->context_pop, sizeof driver->context_pop) &&
           gpu_find_symbol(library, "cuMemGetInfo_v2", &driver->mem_info, sizeof driver->mem_info);
}

/* 0 where the driver does not know. */
static uint64_t attribute(const cu_driver *driver, cu_device device, int which)
{
    int value = 0;
    return driver->device_attribute(&value, which, device) == CU_OK && value > 0 ? (uint64_t)value : 0;
}

/* What is free can only be asked in a context. */
static void read_budget(const cu_driver *driver, cu_device device, acre_gpu_heap_figures *heap)
{
    cu_context context, popped;
    size_t free_bytes, total_bytes;
    if (driver->context_retain(&context, device) != CU_OK) return;
    if (driver->context_push(context) == CU_OK) {
        if (driver->mem_info(&free_bytes, &total_bytes) == CU_OK && free_bytes <= total_bytes)
            heap->limit_bytes = (acre_figure){.value = free_bytes, .source = ACRE_SOURCE_REPORTED};
        (void)driver->context_pop(&popped);
    }
    (void)driver->context_release(device);
}

static void read_levels(const cu_driver *driver, cu_device device, acre_gpu_hierarchy *h)
{
    const uint64_t width = attribute(driver, device, CU_ATTRIBUTE_TEXTURE2D_WIDTH);
    const uint64_t height = attribute(driver, device, CU_ATTRIBUTE_TEXTURE2D_HEIGHT);
    const uint64_t memory_khz = attribute(driver, device, CU_ATTRIBUTE_MEMORY_CLOCK_KHZ);
    const uint64_t bus_bits = attribute(driver, device, CU_ATTRIBUTE_MEMORY_BUS_BITS);
    const uint64_t unit_local = attribute(driver, device, CU_ATTRIBUTE_SHARED_BYTES_OF_MULTIPROCESSOR);
    const uint64_t unit_registers = attribute(driver, device, CU_ATTRIBUTE_REGISTERS_OF_MULTIPROCESSOR);
    gpu_report(h, ACRE_GPU_LEVEL_L2, ACRE_GPU_CAPACITY_BYTES, attribute(driver, device, CU_ATTRIBUTE_L2_BYTES));
    gpu_report(h, ACRE_GPU_LEVEL_CONSTANT, ACRE_GPU_CAPACITY_BYTES, attribute(driver, device, CU_ATTRIBUTE_CONSTANT_BYTES));
    gpu_report(h, ACRE_GPU_LEVEL_LOCAL, ACRE_GPU_CAPACITY_BYTES,
               unit_local > 0 ? unit_local : attribute(driver, device, CU_ATTRIBUTE_SHARED_BYTES_OF_BLOCK));
    if (unit_local > 0) gpu_set_text(h->levels[ACRE_GPU_LEVEL_LOCAL].note, "of one multiprocessor");
    gpu_report(h, ACRE_GPU_LEVEL_REGISTERS, ACRE_GPU_CAPACITY_BYTES, unit_registers * REGISTER_BYTES);
    if (unit_registers > 0) gpu_set_text(h->levels[ACRE_GPU_LEVEL_REGISTERS].note, "of one multiprocessor");
    if (width > 0 && height > 0)
        gpu_set_text(h->levels[ACRE_GPU_LEVEL_IMAGE].note, "up to %llu x %llu", (unsigned long long)width, (unsigned long long)height);
    /* Two words a clock: what the driver's clock counts, of every kind of DRAM. */
    gpu_report(h, ACRE_GPU_LEVEL_GLOBAL, ACRE_GPU_BYTES_PER_S, 2 * memory_khz * 1000 * (bus_bits / 8));
    if (memory_khz > 0 && bus_bits > 0)
        gpu_set_text(h->levels[ACRE_GPU_LEVEL_GLOBAL].note, "%llu bits at twice %llu MHz", (unsigned long long)bus_bits,
                     (unsigned long long)memory_khz / 1000);
}

static void read_device(gpu_devices *found, const cu_driver *driver, cu_device device, int version, gpu_depth depth)
{
    acre_gpu_hierarchy *const h = &gpu_device_add(found, GPU_CUDA)->hierarchy;
    char name[NAME_BYTES] = "";
    size_t total_bytes = 0;
    const uint64_t units = attribute(driver, device, CU_ATTRIBUTE_MULTIPROCESSORS);
    const uint64_t warp = attribute(driver, device, CU_ATTRIBUTE_WARP_ITEMS);
    if (driver->device_name(name, NAME_BYTES - 1, device) != CU_OK) name[0] = 0;
    gpu_set_text(h->name, "%s", name);
    gpu_set_text(h->api, "CUDA %d.%d", version / 1000, version % 1000 / 10);
    h->is_integrated = attribute(driver, device, CU_ATTRIBUTE_INTEGRATED) != 0;
    if (units > 0) h->unit_count = (acre_figure){.value = units, .source = ACRE_SOURCE_REPORTED};
    if (warp > 0) h->warp_items = (acre_figure){.value = warp, .source = ACRE_SOURCE_REPORTED};
    if (driver->device_total_mem(&total_bytes, device) == CU_OK) {
        gpu_report(h, ACRE_GPU_LEVEL_GLOBAL, ACRE_GPU_CAPACITY_BYTES, total_bytes);
        h->heap_count = 1;
        h->heaps[0] = (acre_gpu_heap_figures){.size_bytes = {total_bytes, ACRE_SOURCE_REPORTED}, .flags = ACRE_GPU_DEVICE_LOCAL};
        if (depth != GPU_QUICK) read_budget(driver, device, &h->heaps[0]);
    }
    read_levels(driver, device, h);
}

static char *error_text(const cu_driver *driver, const char *call, cu_result result)
{
    const char *name = NULL;
    if (driver->error_name == NULL || driver->error_name(result, &name) != CU_OK || name == NULL) name = "unknown";
    return must_print("%s: %s (%d)", call, name, result);
}

void gpu_find_cuda(gpu_devices *found, gpu_depth depth)
{
    void *const library = gpu_open_library(found, GPU_CUDA, "libcuda.so.1");
    cu_driver driver;
    int count = 0, version = 0;
    if (library == NULL) return;
    if (!find_calls(&driver, library)) {
        gpu_set_reason(found, GPU_CUDA, must_copy("libcuda.so.1: the driver is too old"));
        return;
    }
    cu_result result = driver.init(0);
    if (result != CU_OK) {
        gpu_set_reason(found, GPU_CUDA, error_text(&driver, "cuInit", result));
        return;
    }
    result = driver.device_count(&count);
    if (driver.driver_version(&version) != CU_OK) version = 0;
    if (result != CU_OK || count <= 0) {
        gpu_set_reason(found, GPU_CUDA, result != CU_OK ? error_text(&driver, "cuDeviceGetCount", result) : must_copy("no device"));
        return;
    }
    for (int i = 0; i < count; i++) {
        cu_device device;
        if (driver.device_get(&device, i) == CU_OK) read_device(found, &driver, device, version, depth);
    }
}
