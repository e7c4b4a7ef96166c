/* vma.cpp - the virtual blocks of VulkanMemoryAllocator as carvers. */
#define VMA_IMPLEMENTATION
#define VMA_STATIC_VULKAN_FUNCTIONS  0
#define VMA_DYNAMIC_VULKAN_FUNCTIONS 0
#if defined(__clang__)
#pragma clang diagnostic ignored "-Weverything"
#endif
#include <vk_mem_alloc.h>

#include "carvers.h"

#include <cstring>

static void *open_block(uint64_t size_bytes, uint64_t)
{
    VmaVirtualBlockCreateInfo info = {};
    info.size = size_bytes;
    VmaVirtualBlock block = nullptr;
    return vmaCreateVirtualBlock(&info, &block) == VK_SUCCESS ? block : nullptr;
}

template <VmaVirtualAllocationCreateFlags strategy>
static bool alloc(void *self, uint64_t size_bytes, uint64_t alignment_bytes, uint64_t *handle)
{
    VmaVirtualAllocationCreateInfo info = {};
    info.size = size_bytes;
    info.alignment = alignment_bytes;
    info.flags = strategy;
    VmaVirtualAllocation allocation;
    if (vmaVirtualAllocate(static_cast<VmaVirtualBlock>(self), &info, &allocation, nullptr) != VK_SUCCESS) return false;
    static_assert(sizeof allocation == sizeof *handle, "a handle is 64 bits");
    memcpy(handle, &allocation, sizeof allocation);
    return true;
}

static void free_one(void *self, uint64_t handle)
{
    VmaVirtualAllocation allocation;
    memcpy(&allocation, &handle, sizeof allocation);
    vmaVirtualFree(static_cast<VmaVirtualBlock>(self), allocation);
}

static void close_block(void *self)
{
    vmaClearVirtualBlock(static_cast<VmaVirtualBlock>(self));
    vmaDestroyVirtualBlock(static_cast<VmaVirtualBlock>(self));
}

extern "C" const carver vma_carvers[3] = {
    {"vma", open_block, alloc<0>, free_one, close_block},
    {"vma-fast", open_block, alloc<VMA_VIRTUAL_ALLOCATION_CREATE_STRATEGY_MIN_TIME_BIT>, free_one, close_block},
    {"vma-best", open_block, alloc<VMA_VIRTUAL_ALLOCATION_CREATE_STRATEGY_MIN_MEMORY_BIT>, free_one, close_block},
};
