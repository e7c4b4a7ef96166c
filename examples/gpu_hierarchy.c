/* gpu_hierarchy.c - what a driver tells of its device, and a figure from elsewhere where it is silent. */
#include <acre/gpu_hierarchy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static acre_status query(acre_gpu_driver *driver, acre_gpu_device *device)
{
    (void)driver;
    *device = (acre_gpu_device){.heap_count = 1,
                                .type_count = 1,
                                .heaps = {{.size_bytes = 64u << 20, .flags = ACRE_GPU_DEVICE_LOCAL}},
                                .types = {{.heap = 0, .flags = ACRE_GPU_DEVICE_LOCAL}},
                                .granularity_bytes = 1,
                                .atom_bytes = 1};
    memcpy(device->name, "an example", sizeof "an example");
    return ACRE_OK;
}

int main(void)
{
    static const acre_gpu_driver_ops ops = {.size_bytes = sizeof ops, .query = query};
    acre_gpu_driver driver = {.ops = &ops, .name = "example"};
    acre_gpu_hierarchy device = {.heap_count = 0}, sheet = {.heap_count = 0};
    sheet.levels[ACRE_GPU_LEVEL_GLOBAL].figures[ACRE_GPU_BYTES_PER_S] = (acre_figure){.value = 100000000000, .source = ACRE_SOURCE_PROFILE};
    if (acre_gpu_hierarchy_read(&driver, &device) != ACRE_OK || acre_gpu_hierarchy_fill(&device, &sheet) != ACRE_OK) return EXIT_FAILURE;

    for (int i = 0; i < ACRE_GPU_LEVEL_COUNT; i++) {
        for (int k = 0; k < ACRE_GPU_FIGURE_COUNT; k++) {
            const acre_figure figure = device.levels[i].figures[k];
            if (figure.source == ACRE_SOURCE_UNKNOWN) continue;
            printf("%s: %s %s %llu (%s)\n", device.name, acre_gpu_level_text((acre_gpu_level_kind)i),
                   acre_gpu_figure_text((acre_gpu_figure_kind)k), (unsigned long long)figure.value, acre_source_text(figure.source));
        }
    }
    return device.levels[ACRE_GPU_LEVEL_GLOBAL].figures[ACRE_GPU_CAPACITY_BYTES].value == 64u << 20 ? EXIT_SUCCESS : EXIT_FAILURE;
}
