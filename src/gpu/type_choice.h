/* type_choice.h - which types of a device's memory suit a request, the best first: pure, of the tables that a device gives.
 *
 * A type must have certain flags, should have some and better has not others; it costs one for each that it misses or has too much, and of
 * equal cost the device's own order decides, in which Vulkan promises the faster one first. What this looks at beyond flags is the heap:
 * one that is smaller than the request is left out, and one below ACRE_GPU_HEAP_BYTES_SMALL comes after all others, since some drivers show
 * a carve-out of 16 MiB as the first of the device's local heaps, and it is full at once.
 *
 * Types that need a feature of the device, or a resource of their kind, are left out unless the request names their flag: protected, lazy,
 * and AMD's device-coherent and uncached ones.
 */
#ifndef ACRE_GPU_TYPE_CHOICE_H
#define ACRE_GPU_TYPE_CHOICE_H

#include <acre/gpu.h>

#define ACRE_GPU_HEAP_BYTES_SMALL ((uint64_t)64 << 20)

/* Writes the numbers of the types that suit to `order`, the best first, and returns how many there are. Of the request it looks at size,
 * host_access, prefer, ACRE_GPU_TRANSFER_ONLY, type_mask, required and preferred. Pure. O(types squared), at most 32 of them. */
uint32_t acre_gpu_order_types(const acre_gpu_device *device, const acre_gpu_request *request, uint8_t order[ACRE_GPU_TYPES_MAX]);

#endif
