/* gpu_hierarchy.h - which memories a device has, from its registers to its global memory, and where each figure comes from.
 *
 * A hierarchy is a struct of fixed size that whoever asks a device fills in. A figure is known with its source, or unknown: then it is 0
 * and means nothing. None is guessed.
 *
 *     acre_gpu_hierarchy device = {0};
 *     acre_gpu_hierarchy_read(driver, &device);         heaps, types and budgets of any driver of acre/gpu.h
 *     device.levels[ACRE_GPU_LEVEL_LOCAL].figures[ACRE_GPU_CAPACITY_BYTES] = (acre_figure){49152, ACRE_SOURCE_REPORTED};
 *     acre_gpu_hierarchy_fill(&device, &profile);       what is unknown yet, from another one
 *
 * `acre gpu info` asks Vulkan, OpenCL and CUDA in this way, measures, and reads profiles: docs/gpu-info.md.
 *
 * Threads: the functions keep nothing; a struct is its owner's. Costs: O(levels), O(heaps), and the calls of the driver that are named.
 *
 * Example: examples/gpu_hierarchy.c.
 */
#ifndef ACRE_GPU_HIERARCHY_H
#define ACRE_GPU_HIERARCHY_H

#include <acre/gpu.h>
#include <acre/space.h>
#include <acre/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACRE_GPU_TEXT_MAX 128u /* bytes of a name or a note, with the 0 at its end */

typedef enum acre_gpu_level_kind {
    ACRE_GPU_LEVEL_GLOBAL, /* what all work-items of the device see: its DRAM, or the host's */
    ACRE_GPU_LEVEL_CACHE,  /* of global memory, where nobody says which */
    ACRE_GPU_LEVEL_L3,     /* also called infinity cache */
    ACRE_GPU_LEVEL_L2,
    ACRE_GPU_LEVEL_L1,
    ACRE_GPU_LEVEL_LOCAL, /* of one work-group; CUDA calls it shared */
    ACRE_GPU_LEVEL_CONSTANT,
    ACRE_GPU_LEVEL_IMAGE,   /* textures and images, and what caches them */
    ACRE_GPU_LEVEL_PRIVATE, /* of one work-item, beyond its registers */
    ACRE_GPU_LEVEL_REGISTERS,
    ACRE_GPU_LEVEL_COUNT,
} acre_gpu_level_kind;

typedef enum acre_gpu_figure_kind {
    ACRE_GPU_CAPACITY_BYTES, /* of the unit that the note names; without a note, of the whole device */
    ACRE_GPU_BANKS,          /* that answer at the same time */
    ACRE_GPU_LINE_BYTES,
    ACRE_GPU_SECTOR_BYTES, /* the part of a line that is moved at least */
    ACRE_GPU_BYTES_PER_S,  /* of the whole device */
    ACRE_GPU_LATENCY_NS,   /* of one read that depends on the read before it */
    ACRE_GPU_FIGURE_COUNT,
} acre_gpu_figure_kind;

typedef struct acre_gpu_level {
    acre_figure figures[ACRE_GPU_FIGURE_COUNT];
    char note[ACRE_GPU_TEXT_MAX]; /* what a number cannot say; "": nothing */
} acre_gpu_level;

typedef struct acre_gpu_heap_figures {
    acre_figure size_bytes;
    acre_figure used_bytes;  /* by this process, as far as the driver counts */
    acre_figure limit_bytes; /* the budget: what this process can have without hurting others */
    uint32_t flags;          /* ACRE_GPU_DEVICE_LOCAL */
} acre_gpu_heap_figures;

typedef struct acre_gpu_hierarchy {
    char api[ACRE_GPU_TEXT_MAX];    /* "Vulkan 1.3.230" */
    char name[ACRE_GPU_TEXT_MAX];   /* the device's */
    char driver[ACRE_GPU_TEXT_MAX]; /* its name and version; "": not told */
    bool is_software;               /* the processor computes */
    bool is_integrated;             /* device and host share their memory */
    acre_figure unit_count;         /* compute units, multiprocessors */
    acre_figure warp_items;         /* that go in step: a warp, a wavefront, a subgroup */
    acre_figure granularity_bytes;  /* acre_gpu_device has these two */
    acre_figure atom_bytes;
    acre_gpu_level levels[ACRE_GPU_LEVEL_COUNT]; /* by acre_gpu_level_kind */
    uint32_t heap_count;
    uint32_t type_count;
    acre_gpu_heap_figures heaps[ACRE_GPU_HEAPS_MAX];
    acre_gpu_type types[ACRE_GPU_TYPES_MAX];
} acre_gpu_hierarchy;

/* "global", "L2", ...; "capacity_bytes", ...; "unknown", "reported", "measured", "profile". NULL beyond the last one. */
ACRE_API const char *acre_gpu_level_text(acre_gpu_level_kind level);
ACRE_API const char *acre_gpu_figure_text(acre_gpu_figure_kind figure);
ACRE_API const char *acre_source_text(acre_source source);

/* Reads name, heaps, types, budgets, granularity and atom of a driver, over what the struct has of these; the capacity of global memory is
 * that of all device-local heaps. Calls query, and budget for each heap where the driver has it; a budget that the driver refuses stays
 * unknown. ACRE_INVALID: NULL, a driver without query, or more heaps or types than there can be, or a type of a heap that is not there;
 * what query gives. On an error the struct is as it was. */
ACRE_API acre_status acre_gpu_hierarchy_read(acre_gpu_driver *driver, acre_gpu_hierarchy *hierarchy);

/* Takes from `from` each figure of the levels, the unit and the warp that `hierarchy` does not know, with its source, and notes of levels
 * that have none. Heaps and types are not touched. ACRE_INVALID: NULL. */
ACRE_API acre_status acre_gpu_hierarchy_fill(acre_gpu_hierarchy *hierarchy, const acre_gpu_hierarchy *from);

/* Whether a level has any figure or note. False for NULL. */
ACRE_API bool acre_gpu_level_is_known(const acre_gpu_level *level);

#ifdef __cplusplus
}
#endif
#endif
