/* carvers.h - allocators of offsets behind one table, for the mixes of bench/gpu: the calls cost each of them the same. */
#ifndef ACRE_BENCH_GPU_CARVERS_H
#define ACRE_BENCH_GPU_CARVERS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct carver {
    const char *name;
    void *(*open)(uint64_t size_bytes, uint64_t alignment_bytes);
    bool (*alloc)(void *self, uint64_t size_bytes, uint64_t alignment_bytes, uint64_t *handle); /* false: there is no room */
    void (*free)(void *self, uint64_t handle);
    void (*close)(void *self);
} carver;

/* VulkanMemoryAllocator's virtual blocks, as its default strategy, its fastest and its tightest one have it. There where the build has its
 * header. */
extern const carver vma_carvers[3];

#ifdef __cplusplus
}
#endif
#endif
