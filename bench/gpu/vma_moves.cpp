/* vma_moves.cpp - VulkanMemoryAllocator's defragmentation as a mover: a pool of one block, and passes of at most 64 MiB, the longest
 * allocation, so that whoever waits for room can look after each of them. The Vulkan behind it has no memory. */
#define VMA_IMPLEMENTATION
#define VMA_STATIC_VULKAN_FUNCTIONS  0
#define VMA_DYNAMIC_VULKAN_FUNCTIONS 0
#if defined(__clang__)
#pragma clang diagnostic ignored "-Weverything"
#endif
#include <vk_mem_alloc.h>

#include "movers.h"

#include <algorithm>
#include <cstdlib>

static constexpr VkDeviceSize PASS_BYTES = VkDeviceSize(64) << 20;

static VmaAllocator vma;
static VmaPool pool;
static VkDeviceSize range, alignment;

/* ---- a device without memory ---- */

static void VKAPI_CALL get_properties(VkPhysicalDevice, VkPhysicalDeviceProperties *properties)
{
    *properties = VkPhysicalDeviceProperties{};
    properties->apiVersion = VK_API_VERSION_1_0;
    properties->deviceType = VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    properties->limits.bufferImageGranularity = 1;
    properties->limits.nonCoherentAtomSize = 1;
}

static void VKAPI_CALL get_memory_properties(VkPhysicalDevice, VkPhysicalDeviceMemoryProperties *properties)
{
    *properties = VkPhysicalDeviceMemoryProperties{};
    properties->memoryHeapCount = properties->memoryTypeCount = 1;
    properties->memoryHeaps[0] = {2 * range, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
    properties->memoryTypes[0] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
}

static VkResult VKAPI_CALL allocate(VkDevice, const VkMemoryAllocateInfo *, const VkAllocationCallbacks *, VkDeviceMemory *memory)
{
    *memory = reinterpret_cast<VkDeviceMemory>(uintptr_t(1));
    return VK_SUCCESS;
}

static void VKAPI_CALL free_memory(VkDevice, VkDeviceMemory, const VkAllocationCallbacks *) {}

/* VMA wants all of them to be there; to be called is an error. */
static VkResult VKAPI_CALL map(VkDevice, VkDeviceMemory, VkDeviceSize, VkDeviceSize, VkMemoryMapFlags, void **) { abort(); }
static void VKAPI_CALL unmap(VkDevice, VkDeviceMemory) { abort(); }
static VkResult VKAPI_CALL ranges(VkDevice, uint32_t, const VkMappedMemoryRange *) { abort(); }
static VkResult VKAPI_CALL bind_buffer(VkDevice, VkBuffer, VkDeviceMemory, VkDeviceSize) { abort(); }
static VkResult VKAPI_CALL bind_image(VkDevice, VkImage, VkDeviceMemory, VkDeviceSize) { abort(); }
static void VKAPI_CALL buffer_requirements(VkDevice, VkBuffer, VkMemoryRequirements *) { abort(); }
static void VKAPI_CALL image_requirements(VkDevice, VkImage, VkMemoryRequirements *) { abort(); }
static VkResult VKAPI_CALL create_buffer(VkDevice, const VkBufferCreateInfo *, const VkAllocationCallbacks *, VkBuffer *) { abort(); }
static void VKAPI_CALL destroy_buffer(VkDevice, VkBuffer, const VkAllocationCallbacks *) { abort(); }
static VkResult VKAPI_CALL create_image(VkDevice, const VkImageCreateInfo *, const VkAllocationCallbacks *, VkImage *) { abort(); }
static void VKAPI_CALL destroy_image(VkDevice, VkImage, const VkAllocationCallbacks *) { abort(); }
static void VKAPI_CALL copy_buffer(VkCommandBuffer, VkBuffer, VkBuffer, uint32_t, const VkBufferCopy *) { abort(); }

/* ---- the mover ---- */

static void close_pool()
{
    vmaDestroyPool(vma, pool);
    vmaDestroyAllocator(vma);
}

static bool open_pool(uint64_t range_bytes, uint64_t alignment_bytes)
{
    range = range_bytes;
    alignment = alignment_bytes;
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
    info.physicalDevice = reinterpret_cast<VkPhysicalDevice>(uintptr_t(1));
    info.device = reinterpret_cast<VkDevice>(uintptr_t(1));
    info.instance = reinterpret_cast<VkInstance>(uintptr_t(1));
    info.pVulkanFunctions = &functions;
    info.vulkanApiVersion = VK_API_VERSION_1_0;
    if (vmaCreateAllocator(&info, &vma) != VK_SUCCESS) return false;
    VmaPoolCreateInfo wish = {};
    wish.blockSize = range_bytes;
    wish.minBlockCount = wish.maxBlockCount = 1;
    if (vmaCreatePool(vma, &wish, &pool) == VK_SUCCESS) return true;
    vmaDestroyAllocator(vma);
    return false;
}

static bool alloc(uint64_t size_bytes, uint64_t *handle)
{
    VmaAllocationCreateInfo wish = {};
    wish.pool = pool;
    const VkMemoryRequirements needs = {size_bytes, alignment, 1};
    VmaAllocation allocation = nullptr;
    if (vmaAllocateMemory(vma, &needs, &wish, &allocation, nullptr) != VK_SUCCESS) return false;
    *handle = reinterpret_cast<uintptr_t>(allocation);
    return true;
}

static void free_one(uint64_t handle) { vmaFreeMemory(vma, reinterpret_cast<VmaAllocation>(uintptr_t(handle))); }

static uint64_t make_room(uint64_t, uint64_t bytes_max)
{
    if (bytes_max == 0) return 0; /* which stands for no limit there */
    VmaDefragmentationInfo info = {};
    info.pool = pool;
    info.maxBytesPerPass = std::min<VkDeviceSize>(bytes_max, PASS_BYTES);
    VmaDefragmentationContext context = nullptr;
    VmaDefragmentationPassMoveInfo pass = {};
    VmaDefragmentationStats stats = {};
    if (vmaBeginDefragmentation(vma, &info, &context) != VK_SUCCESS) return 0;
    if (vmaBeginDefragmentationPass(vma, context, &pass) == VK_INCOMPLETE) (void)vmaEndDefragmentationPass(vma, context, &pass);
    vmaEndDefragmentation(vma, context, &stats);
    return stats.bytesMoved;
}

extern "C" const mover vma_mover = {"vma", open_pool, alloc, free_one, make_room, close_pool};
