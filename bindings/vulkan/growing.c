/* growing.c - a sparse buffer that gets memory piece by piece, so that what it holds never moves. */
#include "functions.h"

#include <stdlib.h>

typedef struct piece {
    acre_gpu_memory memory;
    uint64_t offset_bytes, size_bytes; /* within the buffer */
} piece;

struct acre_vulkan_growing {
    acre_vulkan *vulkan;
    VkQueue queue;
    VkBuffer buffer;
    VkMemoryRequirements needs; /* alignment: of each piece's place and size */
    acre_gpu_request request;
    piece *pieces; /* `count` of them, one behind the other */
    uint32_t count, capacity;
    uint64_t bytes; /* that have memory */
};

acre_status acre_vulkan_open_growing(acre_vulkan *vulkan, const VkBufferCreateInfo *info, const acre_gpu_request *request, VkQueue queue,
                                     acre_vulkan_growing **growing)
{
    if (vulkan == NULL || info == NULL || request == NULL || queue == NULL || growing == NULL)
        return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    if ((vulkan->enabled & ACRE_VULKAN_SPARSE_BINDING) == 0)
        return acre_fail(ACRE_UNSUPPORTED, "vulkan: opened without ACRE_VULKAN_SPARSE_BINDING");
    if (info->size == 0) return acre_fail(ACRE_INVALID, "vulkan: a buffer has a size");
    acre_vulkan_growing *const self = calloc(1, sizeof *self);
    if (self == NULL) return acre_fail(ACRE_NO_MEMORY, "vulkan: no host memory for a buffer that grows");
    *self = (acre_vulkan_growing){.vulkan = vulkan, .queue = queue, .request = *request};
    VkBufferCreateInfo sparse = *info;
    sparse.flags |= VK_BUFFER_CREATE_SPARSE_BINDING_BIT;
    const VkResult result = vulkan->CreateBuffer(vulkan->device, &sparse, vulkan->callbacks, &self->buffer);
    if (result != VK_SUCCESS) {
        free(self);
        return acre_vulkan_fail(result, "vkCreateBuffer");
    }
    const VkBufferMemoryRequirementsInfo2 which = {.sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2, .buffer = self->buffer};
    VkMemoryRequirements2 needs = {.sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2};
    vulkan->GetBufferMemoryRequirements2(vulkan->device, &which, &needs);
    self->needs = needs.memoryRequirements;
    *growing = self;
    return ACRE_OK;
}

VkBuffer acre_vulkan_growing_buffer(const acre_vulkan_growing *growing) { return growing->buffer; }
uint64_t acre_vulkan_growing_bytes(const acre_vulkan_growing *growing) { return growing->bytes; }

/* Binds a piece, or takes its memory away, and waits until that is done. */
static acre_status bind(const acre_vulkan_growing *self, const piece *p, bool has_memory)
{
    const acre_vulkan *const v = self->vulkan;
    VkSparseMemoryBind place = {.resourceOffset = p->offset_bytes, .size = p->size_bytes};
    if (has_memory) {
        acre_gpu_memory_info info;
        const acre_status status = acre_gpu_read_memory(v->gpu, p->memory, &info);
        if (status != ACRE_OK) return status;
        place.memory = acre_vulkan_memory_of(info.handle);
        place.memoryOffset = info.offset_bytes;
    }
    const VkSparseBufferMemoryBindInfo buffer = {.buffer = self->buffer, .bindCount = 1, .pBinds = &place};
    const VkBindSparseInfo info = {.sType = VK_STRUCTURE_TYPE_BIND_SPARSE_INFO, .bufferBindCount = 1, .pBufferBinds = &buffer};
    const VkFenceCreateInfo plain = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkFence fence = VK_NULL_HANDLE;
    VkResult result = v->CreateFence(v->device, &plain, v->callbacks, &fence);
    if (result != VK_SUCCESS) return acre_vulkan_fail(result, "vkCreateFence");
    result = v->QueueBindSparse(self->queue, 1, &info, fence);
    if (result == VK_SUCCESS) result = v->WaitForFences(v->device, 1, &fence, VK_TRUE, UINT64_MAX);
    v->DestroyFence(v->device, fence, v->callbacks);
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkQueueBindSparse");
}

static acre_status grow(acre_vulkan_growing *self, uint64_t bytes)
{
    if (self->count == self->capacity) {
        const uint32_t capacity = self->capacity == 0 ? 8 : 2 * self->capacity;
        piece *const pieces = realloc(self->pieces, capacity * sizeof *pieces);
        if (pieces == NULL) return acre_fail(ACRE_NO_MEMORY, "vulkan: no host memory for %u pieces", capacity);
        self->pieces = pieces;
        self->capacity = capacity;
    }
    piece *const p = &self->pieces[self->count];
    *p = (piece){.offset_bytes = self->bytes, .size_bytes = bytes - self->bytes};
    acre_gpu_request request = self->request;
    request.size_bytes = p->size_bytes;
    if (request.alignment_bytes < self->needs.alignment) request.alignment_bytes = self->needs.alignment;
    request.type_mask = self->needs.memoryTypeBits & (request.type_mask == 0 ? UINT32_MAX : request.type_mask);
    if (request.type_mask == 0) return acre_fail(ACRE_INVALID, "vulkan: the request's type_mask allows no type that the buffer can have");
    request.content = ACRE_GPU_LINEAR;
    acre_status status = acre_gpu_alloc(self->vulkan->gpu, &request, &p->memory);
    if (status != ACRE_OK) return status;
    status = bind(self, p, true);
    if (status != ACRE_OK) {
        (void)acre_gpu_free(self->vulkan->gpu, p->memory);
        return status;
    }
    self->count++;
    self->bytes = bytes;
    return ACRE_OK;
}

static acre_status shrink(acre_vulkan_growing *self, uint64_t bytes)
{
    while (self->count > 0 && self->pieces[self->count - 1].offset_bytes >= bytes) {
        const piece *const p = &self->pieces[self->count - 1];
        const acre_status status = bind(self, p, false);
        if (status != ACRE_OK) return status;
        (void)acre_gpu_free(self->vulkan->gpu, p->memory);
        self->bytes = p->offset_bytes;
        self->count--;
    }
    return ACRE_OK;
}

acre_status acre_vulkan_resize_growing(acre_vulkan_growing *growing, uint64_t size_bytes)
{
    if (growing == NULL) return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    if (size_bytes > growing->needs.size)
        return acre_fail(ACRE_INVALID, "vulkan: %llu bytes are more than the %llu that the buffer has addresses for",
                         (unsigned long long)size_bytes, (unsigned long long)growing->needs.size);
    const uint64_t bytes = (size_bytes + growing->needs.alignment - 1) / growing->needs.alignment * growing->needs.alignment;
    return bytes > growing->bytes ? grow(growing, bytes) : shrink(growing, bytes);
}

void acre_vulkan_close_growing(acre_vulkan_growing *growing)
{
    if (growing == NULL) return;
    growing->vulkan->DestroyBuffer(growing->vulkan->device, growing->buffer, growing->vulkan->callbacks);
    for (uint32_t i = 0; i < growing->count; i++) (void)acre_gpu_free(growing->vulkan->gpu, growing->pieces[i].memory);
    free(growing->pieces);
    free(growing);
}
