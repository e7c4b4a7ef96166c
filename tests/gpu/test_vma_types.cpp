/* test_vma_types.cpp - the column of VMA in type_table.h is what VMA chooses: VMA itself, on a Vulkan that is made up here. */
#include <cstdint>
#include <cstdio>
#include <cstring>

#define VMA_IMPLEMENTATION
#define VMA_STATIC_VULKAN_FUNCTIONS  0
#define VMA_DYNAMIC_VULKAN_FUNCTIONS 0
#if defined(__clang__)
#pragma clang diagnostic ignored "-Weverything"
#elif defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wall"
#endif
#include <vk_mem_alloc.h>

#include "type_table.h"

static const table_device *device_now; /* that Vulkan shows */
static VkDeviceSize size_now;          /* of the buffer or image that is asked about */
static bool is_transient_now;

static void VKAPI_CALL get_properties(VkPhysicalDevice, VkPhysicalDeviceProperties *properties)
{
    *properties = VkPhysicalDeviceProperties{};
    properties->apiVersion = VK_API_VERSION_1_0;
    properties->deviceType = device_now->is_integrated ? VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU : VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    properties->limits.bufferImageGranularity = 1;
    properties->limits.nonCoherentAtomSize = 64;
}

static void VKAPI_CALL get_memory_properties(VkPhysicalDevice, VkPhysicalDeviceMemoryProperties *properties)
{
    *properties = VkPhysicalDeviceMemoryProperties{};
    properties->memoryHeapCount = device_now->heap_count;
    properties->memoryTypeCount = device_now->type_count;
    for (uint32_t i = 0; i < device_now->heap_count; i++)
        properties->memoryHeaps[i] = VkMemoryHeap{device_now->heaps[i].size_bytes, device_now->heaps[i].flags};
    for (uint32_t i = 0; i < device_now->type_count; i++)
        properties->memoryTypes[i] = VkMemoryType{device_now->types[i].flags, device_now->types[i].heap};
}

/* Vulkan's rule: lazy memory is for transient images alone. */
static uint32_t types_that_will_do()
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < device_now->type_count; i++)
        if ((device_now->types[i].flags & ACRE_GPU_LAZY) == 0 || is_transient_now) mask |= 1u << i;
    return mask;
}

static VkResult VKAPI_CALL create_buffer(VkDevice, const VkBufferCreateInfo *, const VkAllocationCallbacks *, VkBuffer *buffer)
{
    *buffer = (VkBuffer)(uintptr_t)1;
    return VK_SUCCESS;
}
static VkResult VKAPI_CALL create_image(VkDevice, const VkImageCreateInfo *, const VkAllocationCallbacks *, VkImage *image)
{
    *image = (VkImage)(uintptr_t)1;
    return VK_SUCCESS;
}
static void VKAPI_CALL destroy_buffer(VkDevice, VkBuffer, const VkAllocationCallbacks *) {}
static void VKAPI_CALL destroy_image(VkDevice, VkImage, const VkAllocationCallbacks *) {}
static void VKAPI_CALL buffer_requirements(VkDevice, VkBuffer, VkMemoryRequirements *needs)
{
    *needs = {size_now, 256, types_that_will_do()};
}
static void VKAPI_CALL image_requirements(VkDevice, VkImage, VkMemoryRequirements *needs)
{
    *needs = {size_now, 256, types_that_will_do()};
}

/* VMA wants all of them to be there; to be called is an error. */
static VkResult VKAPI_CALL allocate(VkDevice, const VkMemoryAllocateInfo *, const VkAllocationCallbacks *, VkDeviceMemory *) { abort(); }
static void VKAPI_CALL free_memory(VkDevice, VkDeviceMemory, const VkAllocationCallbacks *) { abort(); }
static VkResult VKAPI_CALL map(VkDevice, VkDeviceMemory, VkDeviceSize, VkDeviceSize, VkMemoryMapFlags, void **) { abort(); }
static void VKAPI_CALL unmap(VkDevice, VkDeviceMemory) { abort(); }
static VkResult VKAPI_CALL ranges(VkDevice, uint32_t, const VkMappedMemoryRange *) { abort(); }
static VkResult VKAPI_CALL bind_buffer(VkDevice, VkBuffer, VkDeviceMemory, VkDeviceSize) { abort(); }
static VkResult VKAPI_CALL bind_image(VkDevice, VkImage, VkDeviceMemory, VkDeviceSize) { abort(); }
static void VKAPI_CALL copy_buffer(VkCommandBuffer, VkBuffer, VkBuffer, uint32_t, const VkBufferCopy *) { abort(); }

static VmaAllocator open_vma()
{
    VmaVulkanFunctions functions = {};
    functions.vkGetPhysicalDeviceProperties = get_properties;
    functions.vkGetPhysicalDeviceMemoryProperties = get_memory_properties;
    functions.vkAllocateMemory = allocate;
    functions.vkFreeMemory = free_memory;
    functions.vkMapMemory = map;
    functions.vkUnmapMemory = unmap;
    functions.vkFlushMappedMemoryRanges = ranges;
    functions.vkInvalidateMappedMemoryRanges = ranges;
    functions.vkBindBufferMemory = bind_buffer;
    functions.vkBindImageMemory = bind_image;
    functions.vkGetBufferMemoryRequirements = buffer_requirements;
    functions.vkGetImageMemoryRequirements = image_requirements;
    functions.vkCreateBuffer = create_buffer;
    functions.vkDestroyBuffer = destroy_buffer;
    functions.vkCreateImage = create_image;
    functions.vkDestroyImage = destroy_image;
    functions.vkCmdCopyBuffer = copy_buffer;
    VmaAllocatorCreateInfo info = {};
    info.physicalDevice = (VkPhysicalDevice)(uintptr_t)1;
    info.device = (VkDevice)(uintptr_t)1;
    info.instance = (VkInstance)(uintptr_t)1;
    info.pVulkanFunctions = &functions;
    info.vulkanApiVersion = VK_API_VERSION_1_0;
    VmaAllocator vma = nullptr;
    return vmaCreateAllocator(&info, &vma) == VK_SUCCESS ? vma : nullptr;
}

static int choice_of_vma(VmaAllocator vma, const table_use *use)
{
    VmaAllocationCreateInfo wish = {};
    wish.usage = use->prefer == ACRE_GPU_PREFER_DEVICE ? VMA_MEMORY_USAGE_AUTO_PREFER_DEVICE
                 : use->prefer == ACRE_GPU_PREFER_HOST ? VMA_MEMORY_USAGE_AUTO_PREFER_HOST
                                                       : VMA_MEMORY_USAGE_AUTO;
    if (use->host_access == ACRE_GPU_HOST_READS) wish.flags = VMA_ALLOCATION_CREATE_HOST_ACCESS_RANDOM_BIT;
    if (use->host_access == ACRE_GPU_HOST_WRITES) wish.flags = VMA_ALLOCATION_CREATE_HOST_ACCESS_SEQUENTIAL_WRITE_BIT;
    if (use->host_access == ACRE_GPU_HOST_WRITES_OR_COPY)
        wish.flags = VMA_ALLOCATION_CREATE_HOST_ACCESS_SEQUENTIAL_WRITE_BIT | VMA_ALLOCATION_CREATE_HOST_ACCESS_ALLOW_TRANSFER_INSTEAD_BIT;
    size_now = use->size_bytes;
    is_transient_now = use->is_transient;
    uint32_t type = UINT32_MAX;
    VkResult result;
    if (use->is_transient) {
        wish.preferredFlags = VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT;
        VkImageCreateInfo image = {VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO};
        image.imageType = VK_IMAGE_TYPE_2D;
        image.extent = {512, 512, 1};
        image.mipLevels = image.arrayLayers = 1;
        image.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSIENT_ATTACHMENT_BIT;
        result = vmaFindMemoryTypeIndexForImageInfo(vma, &image, &wish, &type);
    } else {
        VkBufferCreateInfo buffer = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
        buffer.size = use->size_bytes;
        buffer.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
        if (!use->is_transfer_only) buffer.usage |= VK_BUFFER_USAGE_VERTEX_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT;
        result = vmaFindMemoryTypeIndexForBufferInfo(vma, &buffer, &wish, &type);
    }
    return result == VK_SUCCESS ? (int)type : (int)TABLE_NONE;
}

int main()
{
    int wrong = 0, differ = 0;
    for (int d = 0; d < TABLE_DEVICES; d++) {
        device_now = &table_devices[d];
        const VmaAllocator vma = open_vma();
        if (vma == nullptr) {
            puts("VMA does not open");
            return 1;
        }
        for (int u = 0; u < TABLE_USES; u++) {
            const int type = choice_of_vma(vma, &table_uses[u]);
            const table_choice *const choice = &table_choices[d][u];
            if (type != choice->vma) {
                printf("%s, %s: VMA chooses %d, and not %d as the table says\n", device_now->name, table_uses[u].name, type, choice->vma);
                wrong++;
            }
            if (choice->reason != nullptr) {
                printf("%s, %s: acre chooses %d, VMA %d: %s\n", device_now->name, table_uses[u].name, choice->acre, type, choice->reason);
                differ++;
            }
        }
        vmaDestroyAllocator(vma);
    }
    printf("%d uses on %d devices: VMA's column is wrong in %d, acre differs in %d\n", (int)TABLE_USES, (int)TABLE_DEVICES, wrong, differ);
    return wrong != 0;
}
