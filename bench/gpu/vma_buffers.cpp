/* vma_buffers.cpp - buffers by VulkanMemoryAllocator. */
#define VMA_STATIC_VULKAN_FUNCTIONS  1
#define VMA_DYNAMIC_VULKAN_FUNCTIONS 0
#if defined(__clang__)
#pragma clang diagnostic ignored "-Weverything"
#endif
#define VMA_IMPLEMENTATION
#include <vk_mem_alloc.h>

#include "buffers.h"

static VmaAllocator vma;

static bool open_vma(VkInstance instance, VkPhysicalDevice physical, VkDevice device)
{
    VmaAllocatorCreateInfo info = {};
    info.instance = instance;
    info.physicalDevice = physical;
    info.device = device;
    info.vulkanApiVersion = VK_API_VERSION_1_1;
    return vmaCreateAllocator(&info, &vma) == VK_SUCCESS;
}

static bool create(const VkBufferCreateInfo *info, VkBuffer *buffer, uint64_t *memory)
{
    VmaAllocationCreateInfo wish = {};
    wish.usage = VMA_MEMORY_USAGE_AUTO;
    VmaAllocation allocation;
    if (vmaCreateBuffer(vma, info, &wish, buffer, &allocation, nullptr) != VK_SUCCESS) return false;
    *memory = (uint64_t)(uintptr_t)allocation;
    return true;
}

static void destroy(VkBuffer buffer, uint64_t memory) { vmaDestroyBuffer(vma, buffer, (VmaAllocation)(uintptr_t)memory); }

static void close_vma() { vmaDestroyAllocator(vma); }

extern "C" const buffer_maker vma_buffers = {"vma", open_vma, create, destroy, close_vma};
