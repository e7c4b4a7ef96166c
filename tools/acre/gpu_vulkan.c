/* gpu_vulkan.c - see gpu_devices.h: devices of Vulkan, which are asked through an instance; no device is made. */
#include "gpu_devices.h"

#include "command.h"

#if WITH_VULKAN
#include <stdlib.h>
#include <string.h>
#define VK_NO_PROTOTYPES
#include <vulkan/vulkan_core.h>

enum { DEVICES_MAX = 32 };

#define CALLS(CALL)                                                                                                                        \
    CALL(vkDestroyInstance)                                                                                                                \
    CALL(vkEnumeratePhysicalDevices)                                                                                                       \
    CALL(vkEnumerateDeviceExtensionProperties)                                                                                             \
    CALL(vkGetPhysicalDeviceProperties)                                                                                                    \
    CALL(vkGetPhysicalDeviceProperties2)                                                                                                   \
    CALL(vkGetPhysicalDeviceMemoryProperties)                                                                                              \
    CALL(vkGetPhysicalDeviceMemoryProperties2)

typedef struct vulkan {
    PFN_vkGetInstanceProcAddr get;
    VkInstance instance;
#define FIELD(name) PFN_##name name;
    CALLS(FIELD)
#undef FIELD
} vulkan;

static acre_figure reported(uint64_t value) { return (acre_figure){.value = value, .source = ACRE_SOURCE_REPORTED}; }

static char *error_text(const char *call, VkResult result)
{
    return must_print("%s: %s (VkResult %d)", call, result == VK_ERROR_INCOMPATIBLE_DRIVER ? "no driver is installed" : "failed",
                      (int)result);
}

/* NULL, or why there is no instance of Vulkan 1.1. */
static char *open_instance(vulkan *vk, void *library)
{
    if (!gpu_find_symbol(library, "vkGetInstanceProcAddr", &vk->get, sizeof vk->get))
        return must_copy("libvulkan.so.1 has no vkGetInstanceProcAddr");
    const PFN_vkEnumerateInstanceVersion version_of = (PFN_vkEnumerateInstanceVersion)vk->get(NULL, "vkEnumerateInstanceVersion");
    const PFN_vkCreateInstance create = (PFN_vkCreateInstance)vk->get(NULL, "vkCreateInstance");
    uint32_t version = 0;
    if (version_of == NULL || create == NULL || version_of(&version) != VK_SUCCESS || version < VK_API_VERSION_1_1)
        return must_copy("libvulkan.so.1 is older than Vulkan 1.1");
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = "acre", .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
    const VkResult result = create(&info, NULL, &vk->instance);
    if (result != VK_SUCCESS) return error_text("vkCreateInstance", result);
#define FIND(name)                                                                                                                         \
    vk->name = (PFN_##name)vk->get(vk->instance, #name);                                                                                   \
    if (vk->name == NULL) return must_copy("Vulkan has no " #name);
    CALLS(FIND)
#undef FIND
    return NULL;
}

static bool has_extension(const vulkan *vk, VkPhysicalDevice device, const char *name)
{
    uint32_t count = 0;
    if (vk->vkEnumerateDeviceExtensionProperties(device, NULL, &count, NULL) != VK_SUCCESS || count == 0) return false;
    VkExtensionProperties *const list = must_calloc(count, sizeof *list);
    bool is_there = false;
    const VkResult result = vk->vkEnumerateDeviceExtensionProperties(device, NULL, &count, list);
    if (result == VK_SUCCESS || result == VK_INCOMPLETE)
        for (uint32_t i = 0; i < count && !is_there; i++) is_there = strcmp(list[i].extensionName, name) == 0;
    free(list);
    return is_there;
}

static void read_memory(const vulkan *vk, VkPhysicalDevice device, bool is_11, acre_gpu_hierarchy *h)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    const bool has_budget = is_11 && has_extension(vk, device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    if (has_budget) memory.pNext = &budget;
    if (is_11)
        vk->vkGetPhysicalDeviceMemoryProperties2(device, &memory);
    else
        vk->vkGetPhysicalDeviceMemoryProperties(device, &memory.memoryProperties);

    uint64_t local_bytes = 0;
    const VkPhysicalDeviceMemoryProperties *const m = &memory.memoryProperties;
    for (uint32_t i = 0; i < m->memoryHeapCount && i < ACRE_GPU_HEAPS_MAX; i++) {
        const bool is_local = (m->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
        acre_gpu_heap_figures *const heap = &h->heaps[h->heap_count++];
        *heap = (acre_gpu_heap_figures){.size_bytes = reported(m->memoryHeaps[i].size), .flags = is_local ? ACRE_GPU_DEVICE_LOCAL : 0};
        if (is_local) local_bytes += m->memoryHeaps[i].size;
        if (!has_budget) continue;
        heap->used_bytes = reported(budget.heapUsage[i]);
        heap->limit_bytes = reported(budget.heapBudget[i]);
    }
    for (uint32_t i = 0; i < m->memoryTypeCount && i < ACRE_GPU_TYPES_MAX; i++)
        h->types[h->type_count++] = (acre_gpu_type){.heap = m->memoryTypes[i].heapIndex, .flags = m->memoryTypes[i].propertyFlags};
    gpu_report(h, ACRE_GPU_LEVEL_GLOBAL, ACRE_GPU_CAPACITY_BYTES, local_bytes);
}

static void read_device(gpu_devices *found, const vulkan *vk, VkPhysicalDevice device)
{
    VkPhysicalDeviceDriverProperties driver = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceSubgroupProperties subgroup = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
    VkPhysicalDeviceProperties2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    acre_gpu_hierarchy *const h = &gpu_device_add(found, GPU_VULKAN)->hierarchy;
    vk->vkGetPhysicalDeviceProperties(device, &all.properties);
    const VkPhysicalDeviceProperties *const p = &all.properties;
    const uint32_t version = p->apiVersion;
    const bool is_11 = version >= VK_API_VERSION_1_1;
    if (is_11) {
        all.pNext = &subgroup;
        if (version >= VK_API_VERSION_1_2) subgroup.pNext = &driver;
        vk->vkGetPhysicalDeviceProperties2(device, &all);
        if (subgroup.subgroupSize > 0) h->warp_items = reported(subgroup.subgroupSize);
        if (driver.driverName[0] != 0) gpu_set_text(h->driver, "%s %s", driver.driverName, driver.driverInfo);
    }
    gpu_set_text(h->name, "%s", p->deviceName);
    gpu_set_text(h->api, "Vulkan %u.%u.%u", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version), VK_API_VERSION_PATCH(version));
    h->is_software = p->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    h->is_integrated = p->deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || h->is_software;
    h->granularity_bytes = reported(p->limits.bufferImageGranularity);
    h->atom_bytes = reported(p->limits.nonCoherentAtomSize);
    gpu_report(h, ACRE_GPU_LEVEL_LOCAL, ACRE_GPU_CAPACITY_BYTES, p->limits.maxComputeSharedMemorySize);
    gpu_set_text(h->levels[ACRE_GPU_LEVEL_LOCAL].note, "of one work-group");
    gpu_report(h, ACRE_GPU_LEVEL_CONSTANT, ACRE_GPU_CAPACITY_BYTES, p->limits.maxUniformBufferRange);
    gpu_set_text(h->levels[ACRE_GPU_LEVEL_CONSTANT].note, "of one uniform buffer; %u bytes of push constants",
                 p->limits.maxPushConstantsSize);
    gpu_set_text(h->levels[ACRE_GPU_LEVEL_IMAGE].note, "up to %u x %u, 3D up to %u", p->limits.maxImageDimension2D,
                 p->limits.maxImageDimension2D, p->limits.maxImageDimension3D);
    read_memory(vk, device, is_11, h);
}

void gpu_find_vulkan(gpu_devices *found)
{
    void *const library = gpu_open_library(found, GPU_VULKAN, "libvulkan.so.1");
    vulkan vk = {.instance = VK_NULL_HANDLE};
    if (library == NULL) return;
    char *const reason = open_instance(&vk, library);
    if (reason != NULL) {
        gpu_set_reason(found, GPU_VULKAN, reason);
    } else {
        VkPhysicalDevice devices[DEVICES_MAX];
        uint32_t count = DEVICES_MAX;
        const VkResult result = vk.vkEnumeratePhysicalDevices(vk.instance, &count, devices);
        if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
            gpu_set_reason(found, GPU_VULKAN, error_text("vkEnumeratePhysicalDevices", result));
        } else {
            if (count == 0) gpu_set_reason(found, GPU_VULKAN, must_copy("no device"));
            for (uint32_t i = 0; i < count; i++) read_device(found, &vk, devices[i]);
        }
    }
    if (vk.instance != VK_NULL_HANDLE && vk.vkDestroyInstance != NULL) vk.vkDestroyInstance(vk.instance, NULL);
}
#else
void gpu_find_vulkan(gpu_devices *found)
{
    gpu_set_reason(found, GPU_VULKAN, must_copy("this acre was built without the headers of Vulkan"));
}
#endif
