/* functions.h - what the files of libacre-vulkan share: the device, and the functions of Vulkan that they call. */
#ifndef ACRE_VULKAN_FUNCTIONS_H
#define ACRE_VULKAN_FUNCTIONS_H

#include <acre/vulkan.h>
#include <pthread.h>

/* Those of Vulkan 1.1, which are always there; those of an extension, with the bit that stands for it; those of the instance. */
#define ACRE_VULKAN_FUNCTIONS(F)                                                                                                           \
    F(AllocateCommandBuffers)                                                                                                              \
    F(AllocateMemory)                                                                                                                      \
    F(BeginCommandBuffer)                                                                                                                  \
    F(BindBufferMemory2)                                                                                                                   \
    F(BindImageMemory2)                                                                                                                    \
    F(CmdCopyBuffer)                                                                                                                       \
    F(CmdCopyImage)                                                                                                                        \
    F(CmdPipelineBarrier)                                                                                                                  \
    F(CreateBuffer)                                                                                                                        \
    F(CreateCommandPool)                                                                                                                   \
    F(CreateFence)                                                                                                                         \
    F(CreateImage)                                                                                                                         \
    F(DestroyBuffer)                                                                                                                       \
    F(DestroyCommandPool)                                                                                                                  \
    F(DestroyFence)                                                                                                                        \
    F(DestroyImage)                                                                                                                        \
    F(EndCommandBuffer)                                                                                                                    \
    F(FlushMappedMemoryRanges)                                                                                                             \
    F(FreeMemory)                                                                                                                          \
    F(GetBufferMemoryRequirements2)                                                                                                        \
    F(GetImageMemoryRequirements2)                                                                                                         \
    F(InvalidateMappedMemoryRanges)                                                                                                        \
    F(MapMemory)                                                                                                                           \
    F(QueueBindSparse)                                                                                                                     \
    F(QueueSubmit)                                                                                                                         \
    F(ResetCommandPool)                                                                                                                    \
    F(ResetFences)                                                                                                                         \
    F(UnmapMemory)                                                                                                                         \
    F(WaitForFences)

#define ACRE_VULKAN_EXTENSION_FUNCTIONS(F)                                                                                                 \
    F(GetMemoryFdKHR, ACRE_VULKAN_FD)                                                                                                      \
    F(GetMemoryFdPropertiesKHR, ACRE_VULKAN_FD)                                                                                            \
    F(GetMemoryHostPointerPropertiesEXT, ACRE_VULKAN_HOST_POINTER)

#define ACRE_VULKAN_INSTANCE_FUNCTIONS(F)                                                                                                  \
    F(GetPhysicalDeviceMemoryProperties2)                                                                                                  \
    F(GetPhysicalDeviceProperties2)

typedef struct acre_vulkan_copies acre_vulkan_copies; /* runner.c */

struct acre_vulkan {
    acre_gpu_driver driver; /* first: the manager gives this back */
    acre_gpu *gpu;
    VkPhysicalDevice physical_device;
    VkDevice device;
    uint32_t enabled;
    const VkAllocationCallbacks *callbacks;
    VkQueue queue; /* NULL: none */
    uint32_t queue_family;
    pthread_mutex_t queue_lock;            /* held while something is submitted */
    pthread_mutex_t copy_lock;             /* held while `copies` runs */
    acre_vulkan_copies *copies;            /* NULL without a queue */
    acre_gpu_driver_ops ops;               /* what this device can do of it */
    uint64_t host_pointer_alignment_bytes; /* with ACRE_VULKAN_HOST_POINTER */
    char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
#define F(name) PFN_vk##name name;
    ACRE_VULKAN_FUNCTIONS(F)
    ACRE_VULKAN_INSTANCE_FUNCTIONS(F)
#undef F
#define F(name, bit) PFN_vk##name name;
    ACRE_VULKAN_EXTENSION_FUNCTIONS(F)
#undef F
};

/* The resource that a block is dedicated to: dedicated_to of a request points here while acre_gpu_alloc lasts. */
typedef struct acre_vulkan_dedicated {
    VkBuffer buffer;
    VkImage image;
} acre_vulkan_dedicated;

/* Keeps the sentence "vulkan: WHAT: error" and returns the status that belongs to a result that is no success. */
acre_status acre_vulkan_fail(VkResult result, const char *what);

/* Handles that are not dispatchable are pointers or numbers, by the machine. */
#if VK_USE_64_BIT_PTR_DEFINES == 1
static inline VkDeviceMemory acre_vulkan_memory_of(acre_gpu_handle handle) { return (VkDeviceMemory)(uintptr_t)handle; }
static inline acre_gpu_handle acre_vulkan_handle_of(VkDeviceMemory memory) { return (acre_gpu_handle)(uintptr_t)memory; }
#else
static inline VkDeviceMemory acre_vulkan_memory_of(acre_gpu_handle handle) { return handle; }
static inline acre_gpu_handle acre_vulkan_handle_of(VkDeviceMemory memory) { return memory; }
#endif

#endif
