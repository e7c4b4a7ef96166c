/* hierarchy.c - see acre/gpu_hierarchy.h: names, what a driver of acre/gpu.h tells, and one hierarchy over another. */
#include <acre/gpu_hierarchy.h>

#include "base/status.h"

#include <string.h>

static const char *const level_texts[] = {"global", "cache", "L3", "L2", "L1", "local", "constant", "image", "private", "registers"};
static const char *const figure_texts[] = {"capacity_bytes", "banks", "line_bytes", "sector_bytes", "bytes_per_s", "latency_ns"};
static const char *const source_texts[] = {"unknown", "reported", "measured", "profile"};

_Static_assert(sizeof level_texts / sizeof level_texts[0] == ACRE_GPU_LEVEL_COUNT, "each level has a name");
_Static_assert(sizeof figure_texts / sizeof figure_texts[0] == ACRE_GPU_FIGURE_COUNT, "each figure has a name");
_Static_assert(sizeof source_texts / sizeof source_texts[0] == ACRE_SOURCE_PROFILE + 1, "each source has a name");

const char *acre_gpu_level_text(acre_gpu_level_kind level) { return (unsigned)level < ACRE_GPU_LEVEL_COUNT ? level_texts[level] : NULL; }

const char *acre_gpu_figure_text(acre_gpu_figure_kind figure)
{
    return (unsigned)figure < ACRE_GPU_FIGURE_COUNT ? figure_texts[figure] : NULL;
}

const char *acre_source_text(acre_source source) { return (unsigned)source <= ACRE_SOURCE_PROFILE ? source_texts[source] : NULL; }

static acre_figure reported(uint64_t value) { return (acre_figure){.value = value, .source = ACRE_SOURCE_REPORTED}; }

static acre_status check_device(const acre_gpu_device *device)
{
    if (device->heap_count > ACRE_GPU_HEAPS_MAX || device->type_count > ACRE_GPU_TYPES_MAX)
        return acre_fail(ACRE_INVALID, "gpu: the device has %u heaps and %u types, at most %u and %u can be", device->heap_count,
                         device->type_count, ACRE_GPU_HEAPS_MAX, ACRE_GPU_TYPES_MAX);
    for (uint32_t i = 0; i < device->type_count; i++)
        if (device->types[i].heap >= device->heap_count)
            return acre_fail(ACRE_INVALID, "gpu: type %u is of heap %u, but there are %u", i, device->types[i].heap, device->heap_count);
    return ACRE_OK;
}

static void read_heap(acre_gpu_driver *driver, uint32_t index, const acre_gpu_heap *heap, acre_gpu_heap_figures *figures)
{
    uint64_t used_bytes, limit_bytes;
    *figures = (acre_gpu_heap_figures){.size_bytes = reported(heap->size_bytes), .flags = heap->flags};
    if (driver->ops->budget == NULL || driver->ops->budget(driver, index, &used_bytes, &limit_bytes) != ACRE_OK) return;
    figures->used_bytes = reported(used_bytes);
    figures->limit_bytes = reported(limit_bytes);
}

acre_status acre_gpu_hierarchy_read(acre_gpu_driver *driver, acre_gpu_hierarchy *hierarchy)
{
    if (driver == NULL || hierarchy == NULL) return acre_fail(ACRE_INVALID, "gpu: hierarchy: NULL");
    if (driver->ops == NULL || driver->ops->query == NULL) return acre_fail(ACRE_INVALID, "gpu: hierarchy: the driver has no query");
    acre_gpu_device device = {.heap_count = 0};
    acre_status status = driver->ops->query(driver, &device);
    if (status == ACRE_OK) status = check_device(&device);
    if (status != ACRE_OK) return status;

    uint64_t local_bytes = 0;
    memcpy(hierarchy->name, device.name, sizeof device.name);
    hierarchy->name[sizeof device.name - 1] = 0;
    hierarchy->is_integrated = device.is_integrated;
    hierarchy->granularity_bytes = reported(device.granularity_bytes);
    hierarchy->atom_bytes = reported(device.atom_bytes);
    hierarchy->heap_count = device.heap_count;
    hierarchy->type_count = device.type_count;
    memcpy(hierarchy->types, device.types, sizeof device.types);
    for (uint32_t i = 0; i < device.heap_count; i++) {
        read_heap(driver, i, &device.heaps[i], &hierarchy->heaps[i]);
        if ((device.heaps[i].flags & ACRE_GPU_DEVICE_LOCAL) != 0) local_bytes += device.heaps[i].size_bytes;
    }
    if (local_bytes > 0) hierarchy->levels[ACRE_GPU_LEVEL_GLOBAL].figures[ACRE_GPU_CAPACITY_BYTES] = reported(local_bytes);
    return ACRE_OK;
}

static void fill_figure(acre_figure *figure, acre_figure from)
{
    if (figure->source == ACRE_SOURCE_UNKNOWN) *figure = from;
}

acre_status acre_gpu_hierarchy_fill(acre_gpu_hierarchy *hierarchy, const acre_gpu_hierarchy *from)
{
    if (hierarchy == NULL || from == NULL) return acre_fail(ACRE_INVALID, "gpu: hierarchy: NULL");
    fill_figure(&hierarchy->unit_count, from->unit_count);
    fill_figure(&hierarchy->warp_items, from->warp_items);
    for (size_t i = 0; i < ACRE_GPU_LEVEL_COUNT; i++) {
        acre_gpu_level *const level = &hierarchy->levels[i];
        for (size_t k = 0; k < ACRE_GPU_FIGURE_COUNT; k++) fill_figure(&level->figures[k], from->levels[i].figures[k]);
        if (level->note[0] == 0) memcpy(level->note, from->levels[i].note, sizeof level->note);
    }
    return ACRE_OK;
}

bool acre_gpu_level_is_known(const acre_gpu_level *level)
{
    if (level == NULL) return false;
    for (size_t k = 0; k < ACRE_GPU_FIGURE_COUNT; k++)
        if (level->figures[k].source != ACRE_SOURCE_UNKNOWN) return true;
    return level->note[0] != 0;
}
