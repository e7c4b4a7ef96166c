/* resources.c - buffers and images with their memory: one way for both, with a resource that is the one or the other. */
#include "functions.h"

#define SPARSE_BUFFER    ((VkBufferCreateFlags)VK_BUFFER_CREATE_SPARSE_BINDING_BIT)
#define BOUND_BY_PROGRAM ((VkImageCreateFlags)(VK_IMAGE_CREATE_SPARSE_BINDING_BIT | VK_IMAGE_CREATE_DISJOINT_BIT))

enum { BUFFER_TRANSFERS = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT };
enum { IMAGE_TRANSFERS = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT };

/* What a resource asks of its memory. */
typedef struct needs {
    VkMemoryRequirements memory;
    bool must_be_alone, likes_to_be_alone;
} needs;

static needs needs_of(const acre_vulkan *v, VkBuffer buffer, VkImage image)
{
    VkMemoryDedicatedRequirements dedicated = {.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS};
    VkMemoryRequirements2 memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2, .pNext = &dedicated};
    if (buffer != VK_NULL_HANDLE) {
        const VkBufferMemoryRequirementsInfo2 info = {.sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2, .buffer = buffer};
        v->GetBufferMemoryRequirements2(v->device, &info, &memory);
    } else {
        const VkImageMemoryRequirementsInfo2 info = {.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_REQUIREMENTS_INFO_2, .image = image};
        v->GetImageMemoryRequirements2(v->device, &info, &memory);
    }
    return (needs){.memory = memory.memoryRequirements,
                   .must_be_alone = dedicated.requiresDedicatedAllocation == VK_TRUE,
                   .likes_to_be_alone = dedicated.prefersDedicatedAllocation == VK_TRUE};
}

static acre_status bind_at(const acre_vulkan *v, VkBuffer buffer, VkImage image, VkDeviceMemory memory, uint64_t offset)
{
    VkResult result;
    if (buffer != VK_NULL_HANDLE) {
        const VkBindBufferMemoryInfo info = {
            .sType = VK_STRUCTURE_TYPE_BIND_BUFFER_MEMORY_INFO, .buffer = buffer, .memory = memory, .memoryOffset = offset};
        result = v->BindBufferMemory2(v->device, 1, &info);
    } else {
        const VkBindImageMemoryInfo info = {
            .sType = VK_STRUCTURE_TYPE_BIND_IMAGE_MEMORY_INFO, .image = image, .memory = memory, .memoryOffset = offset};
        result = v->BindImageMemory2(v->device, 1, &info);
    }
    return result == VK_SUCCESS ? ACRE_OK
                                : acre_vulkan_fail(result, buffer != VK_NULL_HANDLE ? "vkBindBufferMemory2" : "vkBindImageMemory2");
}

/* ---- memory for a resource ---- */

/* `content` and `flags` are what is known of the resource beyond its needs. */
static acre_status alloc_for(acre_vulkan *v, VkBuffer buffer, VkImage image, acre_gpu_content content, uint32_t flags,
                             const acre_gpu_request *request, acre_gpu_memory *memory)
{
    const needs n = needs_of(v, buffer, image);
    const uint32_t mask = n.memory.memoryTypeBits & (request->type_mask == 0 ? UINT32_MAX : request->type_mask);
    if (mask == 0)
        return acre_fail(ACRE_INVALID, "vulkan: of the types 0x%x that the resource can have, the request's type_mask 0x%x allows none",
                         n.memory.memoryTypeBits, request->type_mask);
    acre_vulkan_dedicated to = {.buffer = buffer, .image = image};
    acre_gpu_request whole = *request;
    whole.size_bytes = n.memory.size;
    if (whole.alignment_bytes < n.memory.alignment) whole.alignment_bytes = n.memory.alignment;
    whole.content = (uint8_t)content;
    whole.type_mask = mask;
    whole.flags |= flags | (n.must_be_alone ? ACRE_GPU_DEDICATED : 0) | (n.likes_to_be_alone ? ACRE_GPU_PREFER_OWN : 0);
    whole.dedicated_to = &to;
    return acre_gpu_alloc(v->gpu, &whole, memory);
}

/* What was allocated for the resource needs no look. */
static acre_status bind_to_own(acre_vulkan *v, VkBuffer buffer, VkImage image, acre_gpu_memory memory)
{
    acre_gpu_memory_info info;
    const acre_status status = acre_gpu_read_memory(v->gpu, memory, &info);
    return status != ACRE_OK ? status : bind_at(v, buffer, image, acre_vulkan_memory_of(info.handle), info.offset_bytes);
}

static acre_status bind(acre_vulkan *v, VkBuffer buffer, VkImage image, acre_gpu_memory memory, uint64_t offset_bytes)
{
    acre_gpu_memory_info info;
    const acre_status status = acre_gpu_read_memory(v->gpu, memory, &info);
    if (status != ACRE_OK) return status;
    const VkMemoryRequirements n = needs_of(v, buffer, image).memory;
    if ((n.memoryTypeBits >> info.type & 1) == 0)
        return acre_fail(ACRE_INVALID, "vulkan: the memory is of type %u, and the resource can have the types 0x%x", info.type,
                         n.memoryTypeBits);
    if (offset_bytes > info.size_bytes || n.size > info.size_bytes - offset_bytes)
        return acre_fail(ACRE_OUT_OF_BOUNDS, "vulkan: a resource of %llu bytes at %llu does not fit an allocation of %llu",
                         (unsigned long long)n.size, (unsigned long long)offset_bytes, (unsigned long long)info.size_bytes);
    const uint64_t place = info.offset_bytes + offset_bytes;
    if (place % n.alignment != 0)
        return acre_fail(ACRE_INVALID, "vulkan: the resource is aligned to %llu bytes, and its place, %llu, is not",
                         (unsigned long long)n.alignment, (unsigned long long)place);
    return bind_at(v, buffer, image, acre_vulkan_memory_of(info.handle), place);
}

/* ---- buffers ---- */

static acre_status create_buffer_alone(acre_vulkan *v, const VkBufferCreateInfo *info, VkBuffer *buffer)
{
    if (info == NULL || info->size == 0 || (info->flags & SPARSE_BUFFER) != 0)
        return acre_fail(ACRE_INVALID, "vulkan: a buffer has a size and is not sparse");
    const VkResult result = v->CreateBuffer(v->device, info, v->callbacks, buffer);
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkCreateBuffer");
}

static uint32_t flags_of_buffer(const VkBufferCreateInfo *info)
{
    return (info->usage & ~(VkBufferUsageFlags)BUFFER_TRANSFERS) == 0 ? ACRE_GPU_TRANSFER_ONLY : 0;
}

acre_status acre_vulkan_create_buffer(acre_vulkan *vulkan, const VkBufferCreateInfo *info, const acre_gpu_request *request,
                                      VkBuffer *buffer, acre_gpu_memory *memory)
{
    if (vulkan == NULL || request == NULL || buffer == NULL || memory == NULL)
        return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    VkBuffer made = VK_NULL_HANDLE;
    acre_gpu_memory place = 0;
    acre_status status = create_buffer_alone(vulkan, info, &made);
    if (status != ACRE_OK) return status;
    status = alloc_for(vulkan, made, VK_NULL_HANDLE, ACRE_GPU_LINEAR, flags_of_buffer(info), request, &place);
    if (status == ACRE_OK) status = bind_to_own(vulkan, made, VK_NULL_HANDLE, place);
    if (status != ACRE_OK) {
        (void)acre_vulkan_destroy_buffer(vulkan, made, place);
        return status;
    }
    *buffer = made;
    *memory = place;
    return ACRE_OK;
}

acre_status acre_vulkan_create_buffer_in(acre_vulkan *vulkan, const VkBufferCreateInfo *info, acre_gpu_memory memory, uint64_t offset_bytes,
                                         VkBuffer *buffer)
{
    if (vulkan == NULL || buffer == NULL) return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    VkBuffer made = VK_NULL_HANDLE;
    acre_status status = create_buffer_alone(vulkan, info, &made);
    if (status != ACRE_OK) return status;
    status = bind(vulkan, made, VK_NULL_HANDLE, memory, offset_bytes);
    if (status != ACRE_OK)
        vulkan->DestroyBuffer(vulkan->device, made, vulkan->callbacks);
    else
        *buffer = made;
    return status;
}

acre_status acre_vulkan_destroy_buffer(acre_vulkan *vulkan, VkBuffer buffer, acre_gpu_memory memory)
{
    if (vulkan == NULL) return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    const acre_status status = acre_gpu_free(vulkan->gpu, memory); /* first: if it is refused, all stays */
    if (status == ACRE_OK && buffer != VK_NULL_HANDLE) vulkan->DestroyBuffer(vulkan->device, buffer, vulkan->callbacks);
    return status;
}

acre_status acre_vulkan_alloc_for_buffer(acre_vulkan *vulkan, VkBuffer buffer, const acre_gpu_request *request, acre_gpu_memory *memory)
{
    if (vulkan == NULL || buffer == VK_NULL_HANDLE || request == NULL || memory == NULL)
        return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    return alloc_for(vulkan, buffer, VK_NULL_HANDLE, ACRE_GPU_LINEAR, 0, request, memory);
}

acre_status acre_vulkan_bind_buffer(acre_vulkan *vulkan, VkBuffer buffer, acre_gpu_memory memory, uint64_t offset_bytes)
{
    if (vulkan == NULL || buffer == VK_NULL_HANDLE) return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    return bind(vulkan, buffer, VK_NULL_HANDLE, memory, offset_bytes);
}

/* ---- images ---- */

static acre_status create_image_alone(acre_vulkan *v, const VkImageCreateInfo *info, VkImage *image)
{
    if (info == NULL || info->extent.width == 0 || info->extent.height == 0 || info->extent.depth == 0 || info->mipLevels == 0 ||
        info->arrayLayers == 0)
        return acre_fail(ACRE_INVALID, "vulkan: an image has a width, height, depth, mip levels and layers, each at least 1");
    if ((info->flags & BOUND_BY_PROGRAM) != 0)
        return acre_fail(ACRE_INVALID, "vulkan: memory of a sparse or disjoint image is the program's to bind");
    const VkResult result = v->CreateImage(v->device, info, v->callbacks, image);
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkCreateImage");
}

static acre_gpu_content content_of_image(const VkImageCreateInfo *info)
{
    return info->tiling == VK_IMAGE_TILING_OPTIMAL  ? ACRE_GPU_OPTIMAL
           : info->tiling == VK_IMAGE_TILING_LINEAR ? ACRE_GPU_LINEAR
                                                    : ACRE_GPU_UNKNOWN;
}

static uint32_t flags_of_image(const VkImageCreateInfo *info)
{
    return (info->usage & ~(VkImageUsageFlags)IMAGE_TRANSFERS) == 0 ? ACRE_GPU_TRANSFER_ONLY : 0;
}

acre_status acre_vulkan_create_image(acre_vulkan *vulkan, const VkImageCreateInfo *info, const acre_gpu_request *request, VkImage *image,
                                     acre_gpu_memory *memory)
{
    if (vulkan == NULL || request == NULL || image == NULL || memory == NULL) return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    VkImage made = VK_NULL_HANDLE;
    acre_gpu_memory place = 0;
    acre_status status = create_image_alone(vulkan, info, &made);
    if (status != ACRE_OK) return status;
    status = alloc_for(vulkan, VK_NULL_HANDLE, made, content_of_image(info), flags_of_image(info), request, &place);
    if (status == ACRE_OK) status = bind_to_own(vulkan, VK_NULL_HANDLE, made, place);
    if (status != ACRE_OK) {
        (void)acre_vulkan_destroy_image(vulkan, made, place);
        return status;
    }
    *image = made;
    *memory = place;
    return ACRE_OK;
}

acre_status acre_vulkan_create_image_in(acre_vulkan *vulkan, const VkImageCreateInfo *info, acre_gpu_memory memory, uint64_t offset_bytes,
                                        VkImage *image)
{
    if (vulkan == NULL || image == NULL) return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    VkImage made = VK_NULL_HANDLE;
    acre_status status = create_image_alone(vulkan, info, &made);
    if (status != ACRE_OK) return status;
    status = bind(vulkan, VK_NULL_HANDLE, made, memory, offset_bytes);
    if (status != ACRE_OK)
        vulkan->DestroyImage(vulkan->device, made, vulkan->callbacks);
    else
        *image = made;
    return status;
}

acre_status acre_vulkan_destroy_image(acre_vulkan *vulkan, VkImage image, acre_gpu_memory memory)
{
    if (vulkan == NULL) return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    const acre_status status = acre_gpu_free(vulkan->gpu, memory); /* first: if it is refused, all stays */
    if (status == ACRE_OK && image != VK_NULL_HANDLE) vulkan->DestroyImage(vulkan->device, image, vulkan->callbacks);
    return status;
}

acre_status acre_vulkan_alloc_for_image(acre_vulkan *vulkan, VkImage image, const acre_gpu_request *request, acre_gpu_memory *memory)
{
    if (vulkan == NULL || image == VK_NULL_HANDLE || request == NULL || memory == NULL)
        return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    return alloc_for(vulkan, VK_NULL_HANDLE, image, ACRE_GPU_UNKNOWN, 0, request, memory); /* an image does not tell its tiling */
}

acre_status acre_vulkan_bind_image(acre_vulkan *vulkan, VkImage image, acre_gpu_memory memory, uint64_t offset_bytes)
{
    if (vulkan == NULL || image == VK_NULL_HANDLE) return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    return bind(vulkan, VK_NULL_HANDLE, image, memory, offset_bytes);
}
