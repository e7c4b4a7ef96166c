/* vulkan_help.h - a Vulkan device with validation on, whose messages are counted, and with calls that fail when a test says so. */
#ifndef ACRE_TESTS_GPU_VULKAN_HELP_H
#define ACRE_TESTS_GPU_VULKAN_HELP_H

#include "support/test.h"

#include <acre/vulkan.h>
#include <stdio.h>
#include <vulkan/vulkan.h>

typedef struct vulkan_device {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkCommandPool pool;
    VkFence fence;
    VkDebugUtilsMessengerEXT messenger;
    uint32_t enabled; /* ACRE_VULKAN_BUDGET ... */
    uint32_t message_count;
    bool is_quiet; /* messages are wanted: they are not printed */
} vulkan_device;

/* The one of this program. */
extern vulkan_device vulkan;

/* False: there is no Vulkan here, or no validation layer. */
bool vulkan_open(void);
void vulkan_close(void);

/* Records, submits and waits. */
VkCommandBuffer vulkan_begin(void);
void vulkan_submit(VkCommandBuffer commands);

/* ---- calls that fail, and are counted ---- */

typedef struct vulkan_calls {
    uint32_t fail_at;     /* the so-manyth call that can fail does, counted from 1; 0: none */
    VkResult failure;     /* and gives this */
    uint32_t call_count;  /* of those that can fail */
    int32_t object_count; /* buffers, images, memories and fences that are there */
    uint32_t flush_count;
    VkMappedMemoryRange last_range;
    bool is_alone;            /* each resource requires a block of its own */
    uint32_t type_bits;       /* that each resource can have; 0: as it is */
    uint64_t alignment_bytes; /* that each resource asks for at least */
    bool is_incoherent;       /* no memory type is coherent */
    uint32_t dedicated_count; /* blocks that were allocated for one resource */
    uint64_t budget_bytes;    /* of each heap, as told with VK_EXT_memory_budget; 0: as it is */
    uint64_t allocated_bytes; /* by all calls; what is freed stays in it */
    uint32_t allocate_count;
    float last_priority;
    VkBuffer last_buffer; /* that was created */
} vulkan_calls;

extern vulkan_calls calls;

/* Gives wrappers of device functions, and of vkGetPhysicalDeviceMemoryProperties2. */
PFN_vkVoidFunction VKAPI_CALL vulkan_get_device(VkDevice device, const char *name);
PFN_vkVoidFunction VKAPI_CALL vulkan_get_instance(VkInstance instance, const char *name);

/* Opens acre on the device, with the wrappers between. */
acre_vulkan *open_acre(void);
acre_vulkan *open_acre_with(uint32_t enabled);

#endif
