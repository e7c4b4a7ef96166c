/* gpu_devices.h - the devices that Vulkan, OpenCL and CUDA find, each with its hierarchy, and what profiles add.
 *
 * Each API is loaded by dlopen when it is asked, so that the tool starts without any of them.
 */
#ifndef ACRE_TOOL_GPU_DEVICES_H
#define ACRE_TOOL_GPU_DEVICES_H

#include <acre/gpu_hierarchy.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { GPU_CURVE_POINTS_MAX = 16, GPU_TITLES_MAX = 16, GPU_MATCHES_MAX = 8 };

typedef enum gpu_api { GPU_VULKAN, GPU_OPENCL, GPU_CUDA, GPU_API_COUNT } gpu_api;

/* A profile: figures, each from a published text. */
typedef struct gpu_profile {
    char *path;
    acre_gpu_hierarchy hierarchy; /* name: the device it is about */
    char *matches[GPU_MATCHES_MAX];
    size_t match_count;
    char *keys[GPU_TITLES_MAX]; /* what figures call a text */
    char *titles[GPU_TITLES_MAX];
    size_t title_count;
    unsigned char level_titles[ACRE_GPU_LEVEL_COUNT][ACRE_GPU_FIGURE_COUNT]; /* 1 + title; 0: no such figure */
    unsigned char unit_title, warp_title;
} gpu_profile;

typedef struct gpu_curve_point {
    uint64_t bytes;
    uint64_t latency_ps;
} gpu_curve_point;

typedef struct gpu_device {
    gpu_api api;
    acre_gpu_hierarchy hierarchy;
    gpu_profile *profile;                        /* that filled figures of it; NULL: none */
    gpu_curve_point curve[GPU_CURVE_POINTS_MAX]; /* latency of reads in so many bytes of global memory */
    size_t curve_count;
    char *not_measured; /* why; NULL: it was, or was not to be */
} gpu_device;

typedef struct gpu_devices {
    gpu_device *items;
    size_t count, capacity;
    char *reasons[GPU_API_COUNT]; /* why an API has no device; NULL: it has one */
} gpu_devices;

/* How much is asked: QUICK opens no context and measures nothing. */
typedef enum gpu_depth { GPU_QUICK, GPU_FULL, GPU_MEASURED } gpu_depth;

const char *gpu_api_text(gpu_api api);

/* All devices of all three. To be freed. */
gpu_devices gpu_find(gpu_depth depth);
void gpu_devices_free(gpu_devices *found);

/* Parts of gpu_find. Each adds devices, or says why there are none. */
void gpu_find_vulkan(gpu_devices *found);
void gpu_find_opencl(gpu_devices *found, gpu_depth depth);
void gpu_find_cuda(gpu_devices *found, gpu_depth depth);
gpu_device *gpu_device_add(gpu_devices *found, gpu_api api);        /* valid until the next one is added */
void gpu_set_reason(gpu_devices *found, gpu_api api, char *reason); /* takes it */

/* Loads a library; NULL after gpu_set_reason. It stays loaded: some drivers do not survive to be unloaded. */
void *gpu_open_library(gpu_devices *found, gpu_api api, const char *name);
/* A function pointer from dlsym, without a cast that ISO C does not know. */
bool gpu_find_symbol(void *library, const char *symbol, void *place, size_t size);

void gpu_set_text(char to[ACRE_GPU_TEXT_MAX], const char *format, ...) ACRE_PRINTF(2, 3);
/* A figure of the driver; 0 is unknown. */
void gpu_report(acre_gpu_hierarchy *hierarchy, acre_gpu_level_kind level, acre_gpu_figure_kind figure, uint64_t value);

/* Reads a profile. NULL after a message "PATH:LINE: what is wrong". */
gpu_profile *gpu_profile_read(const char *command_name, const char *path);
void gpu_profile_free(gpu_profile *profile);
/* The profile beside the tool that matches a device by its name and the size of its memory; NULL: there is none. False after a message
 * about a file that has errors. */
bool gpu_profile_find(const char *command_name, const acre_gpu_hierarchy *device, gpu_profile **profile);
/* Gives a device the profile, and the profile's figures where it has none of its own. */
void gpu_profile_apply(gpu_device *device, gpu_profile *profile);

/* As text on standard output, and as JSON. */
void gpu_print(const gpu_devices *found);
json_t *gpu_json(const gpu_devices *found);

/* "device-local, host-visible"; to be freed. */
char *gpu_flags_text(uint32_t flags);

#endif
