/* driver.c - a VkDevice as a driver of acre/gpu.h, and how it is opened. A block is a VkDeviceMemory. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of device memory";
    case VK_ERROR_TOO_MANY_OBJECTS:
        return "too many allocations";
    case VK_ERROR_MEMORY_MAP_FAILED:
        return "the memory cannot be mapped";
    case VK_ERROR_DEVICE_LOST:
        return "the device is lost";
    case VK_ERROR_INVALID_EXTERNAL_HANDLE:
        return "the handle is not one of that kind";
    case VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS:
        return "the address cannot be had again";
    case VK_ERROR_FEATURE_NOT_PRESENT:
        return "the device has no such feature";
    default:
        return "error";
    }
}

static acre_status status_of(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_TOO_MANY_OBJECTS:
    case VK_ERROR_FRAGMENTATION:
    case VK_ERROR_MEMORY_MAP_FAILED:
        return ACRE_NO_MEMORY;
    case VK_ERROR_INVALID_EXTERNAL_HANDLE:
        return ACRE_INVALID;
    case VK_ERROR_FEATURE_NOT_PRESENT:
    case VK_ERROR_FORMAT_NOT_SUPPORTED:
        return ACRE_UNSUPPORTED;
    default:
        return ACRE_IO;
    }
}

acre_status acre_vulkan_fail(VkResult result, const char *what)
{
    return acre_fail(status_of(result), "vulkan: %s: %s (%d)", what, text_of(result), (int)result);
}

static acre_vulkan *vulkan_of(acre_gpu_driver *driver) { return (acre_vulkan *)driver; }

/* ---- the table ---- */

static acre_status query(acre_gpu_driver *driver, acre_gpu_device *device)
{
    const acre_vulkan *const v = vulkan_of(driver);
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    VkPhysicalDeviceMaintenance3Properties limits = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    properties.pNext = &limits;
    v->GetPhysicalDeviceProperties2(v->physical_device, &properties);
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    v->GetPhysicalDeviceMemoryProperties2(v->physical_device, &memory);

    *device = (acre_gpu_device){
        .heap_count = memory.memoryProperties.memoryHeapCount,
        .type_count = memory.memoryProperties.memoryTypeCount,
        .granularity_bytes = properties.properties.limits.bufferImageGranularity,
        .atom_bytes = properties.properties.limits.nonCoherentAtomSize,
        .block_bytes_max = limits.maxMemoryAllocationSize,
        .block_count_max = properties.properties.limits.maxMemoryAllocationCount,
        .is_integrated = properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU ||
                         properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU,
    };
    (void)snprintf(device->name, sizeof device->name, "%.*s", (int)sizeof device->name - 1, properties.properties.deviceName);
    for (uint32_t i = 0; i < device->heap_count; i++)
        device->heaps[i] = (acre_gpu_heap){
            .size_bytes = memory.memoryProperties.memoryHeaps[i].size,
            .flags = (memory.memoryProperties.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0 ? ACRE_GPU_DEVICE_LOCAL : 0,
        };
    for (uint32_t i = 0; i < device->type_count; i++)
        device->types[i] = (acre_gpu_type){.heap = memory.memoryProperties.memoryTypes[i].heapIndex,
                                           .flags = memory.memoryProperties.memoryTypes[i].propertyFlags};
    return ACRE_OK;
}

static acre_status allocate(acre_gpu_driver *driver, const acre_gpu_block_request *request, acre_gpu_handle *handle)
{
    const acre_vulkan *const v = vulkan_of(driver);
    VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = request->size_bytes, .memoryTypeIndex = request->type};
    info.pNext = request->extension;
    VkMemoryPriorityAllocateInfoEXT priority = {.sType = VK_STRUCTURE_TYPE_MEMORY_PRIORITY_ALLOCATE_INFO_EXT,
                                                .priority = request->priority};
    if ((v->enabled & ACRE_VULKAN_PRIORITY) != 0) {
        priority.pNext = info.pNext;
        info.pNext = &priority;
    }
    VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                       .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    if ((v->enabled & ACRE_VULKAN_ADDRESS) != 0) {
        flags.pNext = info.pNext;
        info.pNext = &flags;
    }
    VkMemoryDedicatedAllocateInfo dedicated = {.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO};
    if (request->is_dedicated && request->dedicated_to != NULL) {
        const acre_vulkan_dedicated *const to = request->dedicated_to;
        dedicated.pNext = info.pNext;
        dedicated.buffer = to->buffer;
        dedicated.image = to->image;
        info.pNext = &dedicated;
    }
    VkDeviceMemory memory = VK_NULL_HANDLE;
    const VkResult result = v->AllocateMemory(v->device, &info, v->callbacks, &memory);
    if (result != VK_SUCCESS)
        return acre_fail(status_of(result), "vulkan: vkAllocateMemory of %llu bytes of type %u: %s (%d)",
                         (unsigned long long)request->size_bytes, request->type, text_of(result), (int)result);
    *handle = acre_vulkan_handle_of(memory);
    return ACRE_OK;
}

static void free_block(acre_gpu_driver *driver, acre_gpu_handle handle, uint32_t type, uint64_t size_bytes)
{
    (void)type;
    (void)size_bytes;
    const acre_vulkan *const v = vulkan_of(driver);
    v->FreeMemory(v->device, acre_vulkan_memory_of(handle), v->callbacks);
}

static acre_status map(acre_gpu_driver *driver, acre_gpu_handle handle, void **pointer)
{
    const acre_vulkan *const v = vulkan_of(driver);
    const VkResult result = v->MapMemory(v->device, acre_vulkan_memory_of(handle), 0, VK_WHOLE_SIZE, 0, pointer);
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkMapMemory");
}

static void unmap(acre_gpu_driver *driver, acre_gpu_handle handle)
{
    const acre_vulkan *const v = vulkan_of(driver);
    v->UnmapMemory(v->device, acre_vulkan_memory_of(handle));
}

static VkMappedMemoryRange range_of(acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes)
{
    return (VkMappedMemoryRange){
        .sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE, .memory = acre_vulkan_memory_of(handle), .offset = offset, .size = size_bytes};
}

static acre_status flush(acre_gpu_driver *driver, acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes)
{
    const acre_vulkan *const v = vulkan_of(driver);
    const VkMappedMemoryRange range = range_of(handle, offset, size_bytes);
    const VkResult result = v->FlushMappedMemoryRanges(v->device, 1, &range);
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkFlushMappedMemoryRanges");
}

static acre_status invalidate(acre_gpu_driver *driver, acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes)
{
    const acre_vulkan *const v = vulkan_of(driver);
    const VkMappedMemoryRange range = range_of(handle, offset, size_bytes);
    const VkResult result = v->InvalidateMappedMemoryRanges(v->device, 1, &range);
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkInvalidateMappedMemoryRanges");
}

static acre_status budget(acre_gpu_driver *driver, uint32_t heap, uint64_t *used_bytes, uint64_t *limit_bytes)
{
    const acre_vulkan *const v = vulkan_of(driver);
    VkPhysicalDeviceMemoryBudgetPropertiesEXT told = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = &told};
    v->GetPhysicalDeviceMemoryProperties2(v->physical_device, &memory);
    if (heap >= memory.memoryProperties.memoryHeapCount) return acre_fail(ACRE_INVALID, "vulkan: no heap %u", heap);
    const uint64_t heap_bytes = memory.memoryProperties.memoryHeaps[heap].size;
    *used_bytes = told.heapUsage[heap];
    /* Drivers were seen that tell nothing, or more than there is. */
    *limit_bytes = told.heapBudget[heap] == 0 ? heap_bytes / 10 * 8 : told.heapBudget[heap];
    if (*limit_bytes > heap_bytes) *limit_bytes = heap_bytes;
    return ACRE_OK;
}

/* `budget` and `copy` are left out where there is none. */
static const acre_gpu_driver_ops all_ops = {
    .size_bytes = sizeof(acre_gpu_driver_ops),
    .query = query,
    .allocate = allocate,
    .free = free_block,
    .map = map,
    .unmap = unmap,
    .flush = flush,
    .invalidate = invalidate,
    .budget = budget,
    .copy = acre_vulkan_copy,
};

/* ---- open and close ---- */

/* The name of the first function that is not there, NULL if all are. */
static const char *load_functions(acre_vulkan *v, const acre_vulkan_options *options)
{
    PFN_vkGetDeviceProcAddr get = options->get_device_proc_addr;
    if (get == NULL) get = (PFN_vkGetDeviceProcAddr)options->get_instance_proc_addr(options->instance, "vkGetDeviceProcAddr");
    if (get == NULL) return "vkGetDeviceProcAddr";
#define F(name)                                                                                                                            \
    v->name = (PFN_vk##name)options->get_instance_proc_addr(options->instance, "vk" #name);                                                \
    if (v->name == NULL) return "vk" #name;
    ACRE_VULKAN_INSTANCE_FUNCTIONS(F)
#undef F
#define F(name)                                                                                                                            \
    v->name = (PFN_vk##name)get(options->device, "vk" #name);                                                                              \
    if (v->name == NULL) return "vk" #name;
    ACRE_VULKAN_FUNCTIONS(F)
#undef F
#define F(name, bit)                                                                                                                       \
    if ((v->enabled & (bit)) != 0) {                                                                                                       \
        v->name = (PFN_vk##name)get(options->device, "vk" #name);                                                                          \
        if (v->name == NULL) return "vk" #name;                                                                                            \
    }
    ACRE_VULKAN_EXTENSION_FUNCTIONS(F)
#undef F
    return NULL;
}

static acre_status look_at_device(acre_vulkan *v)
{
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
    if ((v->enabled & ACRE_VULKAN_HOST_POINTER) != 0) properties.pNext = &host;
    v->GetPhysicalDeviceProperties2(v->physical_device, &properties);
    memcpy(v->name, properties.properties.deviceName, sizeof v->name);
    v->host_pointer_alignment_bytes = host.minImportedHostPointerAlignment;
    if (properties.properties.apiVersion < VK_API_VERSION_1_1)
        return acre_fail(ACRE_UNSUPPORTED, "vulkan: '%s' has Vulkan 1.0 alone", v->name);
    return ACRE_OK;
}

acre_status acre_vulkan_open(const acre_vulkan_options *options, acre_vulkan **vulkan)
{
    if (options == NULL || vulkan == NULL || options->instance == NULL || options->physical_device == NULL || options->device == NULL ||
        options->get_instance_proc_addr == NULL)
        return acre_fail(ACRE_INVALID, "vulkan: instance, physical device, device and vkGetInstanceProcAddr are needed to open");
    acre_vulkan *const v = calloc(1, sizeof *v);
    if (v == NULL) return acre_fail(ACRE_NO_MEMORY, "vulkan: no host memory to open");
    v->physical_device = options->physical_device;
    v->device = options->device;
    v->enabled = options->enabled;
    v->callbacks = options->callbacks;
    v->queue = options->queue;
    v->queue_family = options->queue_family;
    v->ops = all_ops;
    if ((v->enabled & ACRE_VULKAN_BUDGET) == 0) v->ops.budget = NULL;
    if (v->queue == NULL) v->ops.copy = NULL;
    v->driver.ops = &v->ops;
    v->driver.name = v->name;
    const char *const missing = load_functions(v, options);
    if (missing != NULL) {
        free(v);
        return acre_fail(ACRE_UNSUPPORTED, "vulkan: there is no %s: Vulkan 1.1, and what is said to be enabled, have it", missing);
    }
    acre_status status = look_at_device(v);
    if (status == ACRE_OK && v->queue != NULL) status = acre_vulkan_prepare_copies(v);
    if (status == ACRE_OK) status = acre_gpu_open(&v->driver, options->gpu, &v->gpu);
    if (status != ACRE_OK) {
        acre_vulkan_end_copies(v);
        free(v);
        return status;
    }
    (void)pthread_mutex_init(&v->queue_lock, NULL);
    (void)pthread_mutex_init(&v->copy_lock, NULL);
    *vulkan = v;
    return ACRE_OK;
}

acre_status acre_vulkan_close(acre_vulkan *vulkan)
{
    if (vulkan == NULL) return ACRE_OK;
    const acre_status status = acre_gpu_close(vulkan->gpu);
    if (status != ACRE_OK) return status;
    acre_vulkan_end_copies(vulkan);
    (void)pthread_mutex_destroy(&vulkan->queue_lock);
    (void)pthread_mutex_destroy(&vulkan->copy_lock);
    free(vulkan);
    return ACRE_OK;
}

acre_gpu *acre_vulkan_gpu(const acre_vulkan *vulkan) { return vulkan->gpu; }
