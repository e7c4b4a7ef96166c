/* gpu_devices.c - see gpu_devices.h: what the three APIs share. */
#include "gpu_devices.h"

#include "command.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *gpu_api_text(gpu_api api)
{
    static const char *const texts[GPU_API_COUNT] = {"Vulkan", "OpenCL", "CUDA"};
    return texts[api];
}

gpu_devices gpu_find(gpu_depth depth)
{
    gpu_devices found = {.count = 0};
    gpu_find_vulkan(&found);
    gpu_find_opencl(&found, depth);
    gpu_find_cuda(&found, depth);
    return found;
}

void gpu_devices_free(gpu_devices *found)
{
    for (size_t i = 0; i < found->count; i++) {
        gpu_profile_free(found->items[i].profile);
        free(found->items[i].not_measured);
    }
    for (size_t i = 0; i < GPU_API_COUNT; i++) free(found->reasons[i]);
    free(found->items);
    *found = (gpu_devices){.count = 0};
}

gpu_device *gpu_device_add(gpu_devices *found, gpu_api api)
{
    found->items = grow_array(found->items, found->count, &found->capacity, sizeof *found->items);
    gpu_device *const device = &found->items[found->count++];
    *device = (gpu_device){.api = api};
    return device;
}

void gpu_set_reason(gpu_devices *found, gpu_api api, char *reason)
{
    free(found->reasons[api]);
    found->reasons[api] = reason;
}

void *gpu_open_library(gpu_devices *found, gpu_api api, const char *name)
{
    void *const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *const reason = dlerror();
        gpu_set_reason(found, api, must_copy(reason == NULL ? name : reason));
    }
    return library;
}

bool gpu_find_symbol(void *library, const char *symbol, void *place, size_t size)
{
    void *const address = dlsym(library, symbol);
    memcpy(place, &address, size);
    return address != NULL;
}

void gpu_set_text(char to[ACRE_GPU_TEXT_MAX], const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(to, ACRE_GPU_TEXT_MAX, format, list); /* what is longer is cut */
    va_end(list);
}

void gpu_report(acre_gpu_hierarchy *hierarchy, acre_gpu_level_kind level, acre_gpu_figure_kind figure, uint64_t value)
{
    if (value > 0) hierarchy->levels[level].figures[figure] = (acre_figure){.value = value, .source = ACRE_SOURCE_REPORTED};
}

char *gpu_flags_text(uint32_t flags)
{
    static const char *const names[] = {"device-local", "host-visible", "host-coherent",   "host-cached",
                                        "lazy",         "protected",    "device-coherent", "device-uncached"};
    char *text = must_copy("");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((flags >> i & 1) == 0) continue;
        char *const longer = must_print("%s%s%s", text, *text != 0 ? ", " : "", names[i]);
        free(text);
        text = longer;
    }
    return text;
}
