/* type_choice.c - types of a device's memory in the order in which they suit a request. */
#include "gpu/type_choice.h"

#include <assert.h>

#define ON_REQUEST_ONLY (ACRE_GPU_PROTECTED | ACRE_GPU_LAZY | ACRE_GPU_DEVICE_COHERENT | ACRE_GPU_DEVICE_UNCACHED)

typedef struct taste {
    uint32_t musts, likes, dislikes;
} taste;

static bool is_used_by_device(const acre_gpu_request *request) { return (request->flags & ACRE_GPU_TRANSFER_ONLY) == 0; }

/* With no preference: memory of the device for what the device works on, and for what the host does not touch. */
static bool is_for_device(const acre_gpu_request *request)
{
    if (request->prefer != ACRE_GPU_PREFER_AUTO) return request->prefer == ACRE_GPU_PREFER_DEVICE;
    return is_used_by_device(request) || request->host_access == ACRE_GPU_HOST_NONE;
}

/* A copy pays where the device works on memory that the host may be unable to reach. */
static bool may_be_copied_to(const acre_gpu_device *device, const acre_gpu_request *request)
{
    return request->host_access == ACRE_GPU_HOST_WRITES_OR_COPY && is_used_by_device(request) && request->prefer != ACRE_GPU_PREFER_HOST &&
           !device->is_integrated;
}

static taste taste_of(const acre_gpu_device *device, const acre_gpu_request *request)
{
    taste t = {.musts = request->required, .likes = request->preferred};
    if (may_be_copied_to(device, request))
        t.likes |= ACRE_GPU_HOST_VISIBLE;
    else if (request->host_access != ACRE_GPU_HOST_NONE)
        t.musts |= ACRE_GPU_HOST_VISIBLE;

    if (request->host_access == ACRE_GPU_HOST_READS) { /* the host's cache then counts more than the place */
        t.likes |= ACRE_GPU_HOST_CACHED;
        return t;
    }
    if (request->host_access != ACRE_GPU_HOST_NONE) t.dislikes |= ACRE_GPU_HOST_CACHED; /* writes in order go past it */
    if (is_for_device(request))
        t.likes |= ACRE_GPU_DEVICE_LOCAL;
    else
        t.dislikes |= ACRE_GPU_DEVICE_LOCAL;
    return t;
}

static bool suits(const acre_gpu_device *device, const acre_gpu_request *request, const taste *t, uint32_t index)
{
    const acre_gpu_type *const type = &device->types[index];
    assert(type->heap < device->heap_count);
    const bool is_allowed = request->type_mask == 0 || (request->type_mask >> index & 1) != 0;
    const uint32_t unasked = type->flags & ON_REQUEST_ONLY & ~(request->required | request->preferred);
    return is_allowed && unasked == 0 && (t->musts & ~type->flags) == 0 && device->heaps[type->heap].size_bytes >= request->size_bytes;
}

/* Less is better. */
static uint32_t cost_of(const acre_gpu_device *device, const taste *t, uint32_t index)
{
    enum { MORE_THAN_ALL_FLAGS = 64 };
    const acre_gpu_type *const type = &device->types[index];
    const uint32_t missing = (uint32_t)__builtin_popcount(t->likes & ~type->flags),
                   unwanted = (uint32_t)__builtin_popcount(t->dislikes & type->flags);
    return missing + unwanted + (device->heaps[type->heap].size_bytes < ACRE_GPU_HEAP_BYTES_SMALL ? MORE_THAN_ALL_FLAGS : 0);
}

uint32_t acre_gpu_order_types(const acre_gpu_device *device, const acre_gpu_request *request, uint8_t order[ACRE_GPU_TYPES_MAX])
{
    assert(device->type_count <= ACRE_GPU_TYPES_MAX);
    const taste t = taste_of(device, request);
    uint32_t costs[ACRE_GPU_TYPES_MAX];
    uint32_t count = 0;
    for (uint32_t index = 0; index < device->type_count; index++) {
        if (!suits(device, request, &t, index)) continue;
        const uint32_t cost = cost_of(device, &t, index);
        uint32_t at = count++; /* behind those that cost as much: they stand first in the device's order */
        for (; at > 0 && costs[at - 1] > cost; at--) {
            costs[at] = costs[at - 1];
            order[at] = order[at - 1];
        }
        costs[at] = cost;
        order[at] = (uint8_t)index;
    }
    return count;
}
