/* movers.h - managers of one range of device memory that can move what lies in it, behind one table, for defragment.c. */
#ifndef ACRE_BENCH_GPU_MOVERS_H
#define ACRE_BENCH_GPU_MOVERS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mover {
    const char *name;
    bool (*open)(uint64_t range_bytes, uint64_t alignment_bytes);
    bool (*alloc)(uint64_t size_bytes, uint64_t *handle); /* false: there is no room */
    void (*free)(uint64_t handle);
    uint64_t (*make_room)(uint64_t size_bytes, uint64_t bytes_max); /* moves at most so many bytes; returns how many. 0: no help */
    void (*close)(void);
} mover;

/* VulkanMemoryAllocator's defragmentation of a pool of one block, on a Vulkan without memory. There where the build has its header. */
extern const mover vma_mover;

#ifdef __cplusplus
}
#endif
#endif
