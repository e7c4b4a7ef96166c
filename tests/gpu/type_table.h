/* type_table.h - which memory type is chosen on six made-up devices and one that there is for twelve uses, and what VulkanMemoryAllocator
 * 3.2.1 chooses with VMA_MEMORY_USAGE_AUTO. test_type_choice.c checks one column against acre, test_vma_types.cpp the other against VMA
 * itself. */
#ifndef ACRE_TESTS_GPU_TYPE_TABLE_H
#define ACRE_TESTS_GPU_TYPE_TABLE_H

#include <acre/gpu.h>

enum { TABLE_DEVICES = 7, TABLE_USES = 12, TABLE_NONE = -1 };

#define TABLE_MIB ((uint64_t)1 << 20)

enum {
    DL = ACRE_GPU_DEVICE_LOCAL,
    HV = ACRE_GPU_HOST_VISIBLE,
    HC = ACRE_GPU_HOST_COHERENT,
    CA = ACRE_GPU_HOST_CACHED,
    LAZY = ACRE_GPU_LAZY,
    AMD = ACRE_GPU_DEVICE_COHERENT | ACRE_GPU_DEVICE_UNCACHED,
};

/* Members in the order of their declaration, so that it is C++ too. */
typedef struct table_device {
    const char *name;
    uint32_t heap_count;
    acre_gpu_heap heaps[3];
    uint32_t type_count;
    acre_gpu_type types[8];
    bool is_integrated;
} table_device;

static const table_device table_devices[TABLE_DEVICES] = {
    {"discrete, the host sees none of its memory",
     2,
     {{8192 * TABLE_MIB, DL}, {16384 * TABLE_MIB, 0}},
     4,
     {{1, 0}, {0, DL}, {1, HV | HC}, {1, HV | HC | CA}},
     false},
    {"discrete, the host sees all of its memory (resizable BAR)",
     2,
     {{16384 * TABLE_MIB, 0}, {8192 * TABLE_MIB, DL}},
     8,
     {{1, DL},
      {0, HV | HC},
      {1, DL | HV | HC},
      {0, HV | HC | CA},
      {1, DL | AMD},
      {0, HV | HC | AMD},
      {1, DL | HV | HC | AMD},
      {0, HV | HC | CA | AMD}},
     false},
    {"discrete, the host sees 256 MiB of its memory",
     3,
     {{7936 * TABLE_MIB, DL}, {16384 * TABLE_MIB, 0}, {256 * TABLE_MIB, DL}},
     4,
     {{0, DL}, {1, HV | HC}, {2, DL | HV | HC}, {1, HV | HC | CA}},
     false},
    {"integrated, one heap", 1, {{12288 * TABLE_MIB, DL}}, 3, {{0, DL}, {0, DL | HV | HC}, {0, DL | HV | HC | CA}}, true},
    /* VulkanMemoryAllocator's issue 157 */
    {"integrated, a first heap of 16 MiB (RADV)",
     3,
     {{16 * TABLE_MIB, DL}, {8176 * TABLE_MIB, DL}, {8176 * TABLE_MIB, 0}},
     5,
     {{0, DL}, {1, DL}, {2, HV | HC}, {1, DL | HV | HC}, {2, HV | HC | CA}},
     true},
    {"mobile, with lazy memory, and cached memory that is not coherent",
     1,
     {{4096 * TABLE_MIB, DL}},
     4,
     {{0, DL | HV | CA}, {0, DL | HV | HC}, {0, DL | LAZY}, {0, DL | HV | HC | CA}},
     true},
    /* as `acre gpu info` shows it */
    {"NVIDIA H100 80GB HBM3, driver 580.159.04",
     2,
     {{81559 * TABLE_MIB, DL}, {96666 * TABLE_MIB, 0}},
     5,
     {{1, 0}, {0, DL}, {1, HV | HC}, {1, HV | HC | CA}, {0, DL | HV | HC}},
     false},
};

typedef struct table_use {
    const char *name;
    uint64_t size_bytes;
    acre_gpu_host_access host_access;
    acre_gpu_prefer prefer;
    bool is_transfer_only;
    bool is_transient; /* an image; the others are buffers */
} table_use;

static const table_use table_uses[TABLE_USES] = {
    {"vertices of 64 MiB", 64 * TABLE_MIB, ACRE_GPU_HOST_NONE, ACRE_GPU_PREFER_AUTO, false, false},
    {"vertices of 1 MiB", TABLE_MIB, ACRE_GPU_HOST_NONE, ACRE_GPU_PREFER_AUTO, false, false},
    {"the device's, better in the host's memory", TABLE_MIB, ACRE_GPU_HOST_NONE, ACRE_GPU_PREFER_HOST, false, false},
    {"a copy that is kept", TABLE_MIB, ACRE_GPU_HOST_NONE, ACRE_GPU_PREFER_AUTO, true, false},
    {"a copy that is kept in the host's memory", TABLE_MIB, ACRE_GPU_HOST_NONE, ACRE_GPU_PREFER_HOST, true, false},
    {"staging", TABLE_MIB, ACRE_GPU_HOST_WRITES, ACRE_GPU_PREFER_AUTO, true, false},
    {"staging in the device's memory", TABLE_MIB, ACRE_GPU_HOST_WRITES, ACRE_GPU_PREFER_DEVICE, true, false},
    {"uniforms of each frame", TABLE_MIB, ACRE_GPU_HOST_WRITES, ACRE_GPU_PREFER_AUTO, false, false},
    {"uniforms in the host's memory", TABLE_MIB, ACRE_GPU_HOST_WRITES, ACRE_GPU_PREFER_HOST, false, false},
    {"written in place or by a copy", TABLE_MIB, ACRE_GPU_HOST_WRITES_OR_COPY, ACRE_GPU_PREFER_AUTO, false, false},
    {"read back", TABLE_MIB, ACRE_GPU_HOST_READS, ACRE_GPU_PREFER_AUTO, true, false},
    {"an attachment that need not be stored", TABLE_MIB, ACRE_GPU_HOST_NONE, ACRE_GPU_PREFER_AUTO, false, true},
};

typedef struct table_choice {
    int acre, vma;
    const char *reason; /* why they differ; NULL where they do not */
} table_choice;

/* clang-format off */
#define SAME(type) {type, type, NULL}
/* clang-format on */
#define SMALL  "the first heap is so small that the first few allocations fill it"
#define LARGER "the heap is smaller than the request, and Vulkan forbids to ask"

static const table_choice table_choices[TABLE_DEVICES][TABLE_USES] = {
    {SAME(1), SAME(1), SAME(0), SAME(1), SAME(0), SAME(2), SAME(2), SAME(2), SAME(2), SAME(1), SAME(3), SAME(1)},
    {SAME(0), SAME(0), SAME(1), SAME(0), SAME(1), SAME(1), SAME(2), SAME(2), SAME(1), SAME(2), SAME(3), SAME(0)},
    {SAME(0), SAME(0), SAME(1), SAME(0), SAME(1), SAME(1), SAME(2), SAME(2), SAME(1), SAME(2), SAME(3), SAME(0)},
    {SAME(0), SAME(0), SAME(0), SAME(0), SAME(0), SAME(1), SAME(1), SAME(1), SAME(1), SAME(1), SAME(2), SAME(0)},
    {{1, 0, LARGER}, {1, 0, SMALL}, SAME(2), {1, 0, SMALL}, SAME(2), SAME(2), SAME(3), SAME(3), SAME(2), SAME(3), SAME(4), {1, 0, SMALL}},
    {SAME(0), SAME(0), SAME(0), SAME(0), SAME(0), SAME(1), SAME(1), SAME(1), SAME(1), SAME(1), SAME(0), SAME(2)},
    {SAME(1), SAME(1), SAME(0), SAME(1), SAME(0), SAME(2), SAME(4), SAME(4), SAME(2), SAME(4), SAME(3), SAME(1)},
};

#endif
