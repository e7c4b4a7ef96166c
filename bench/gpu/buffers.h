/* buffers.h - ways to create a buffer with its memory, behind one table. */
#ifndef ACRE_BENCH_GPU_BUFFERS_H
#define ACRE_BENCH_GPU_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct buffer_maker {
    const char *name;
    bool (*open)(VkInstance instance, VkPhysicalDevice physical, VkDevice device);
    bool (*create)(const VkBufferCreateInfo *info, VkBuffer *buffer, uint64_t *memory);
    void (*destroy)(VkBuffer buffer, uint64_t memory);
    void (*close)(void);
} buffer_maker;

extern const buffer_maker vma_buffers; /* where the build has VMA's header */

#ifdef __cplusplus
}
#endif
#endif
