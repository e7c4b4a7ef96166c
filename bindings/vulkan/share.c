/* share.c - memory that others have as well: file descriptors, and memory of the host. What is imported is a block of its own. */
#include "functions.h"

acre_status acre_vulkan_export_fd(acre_vulkan *vulkan, acre_gpu_memory memory, VkExternalMemoryHandleTypeFlagBits kind, int *fd)
{
    if (vulkan == NULL || fd == NULL) return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    if ((vulkan->enabled & ACRE_VULKAN_FD) == 0) return acre_fail(ACRE_UNSUPPORTED, "vulkan: opened without ACRE_VULKAN_FD");
    acre_gpu_memory_info info;
    const acre_status status = acre_gpu_read_memory(vulkan->gpu, memory, &info);
    if (status != ACRE_OK) return status;
    const VkMemoryGetFdInfoKHR get = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_GET_FD_INFO_KHR, .memory = acre_vulkan_memory_of(info.handle), .handleType = kind};
    const VkResult result = vulkan->GetMemoryFdKHR(vulkan->device, &get, fd);
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkGetMemoryFdKHR");
}

/* Opaque descriptors tell no types: they have those of the memory that was exported, which the program knows. */
static acre_status types_of_fd(const acre_vulkan *v, int fd, VkExternalMemoryHandleTypeFlagBits kind, uint32_t *mask)
{
    *mask = UINT32_MAX;
    if (kind == VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT) return ACRE_OK;
    VkMemoryFdPropertiesKHR properties = {.sType = VK_STRUCTURE_TYPE_MEMORY_FD_PROPERTIES_KHR};
    const VkResult result = v->GetMemoryFdPropertiesKHR(v->device, kind, fd, &properties);
    if (result != VK_SUCCESS) return acre_vulkan_fail(result, "vkGetMemoryFdPropertiesKHR");
    *mask = properties.memoryTypeBits;
    return ACRE_OK;
}

/* One block that is the imported memory. */
static acre_status import(acre_vulkan *v, const void *extension, uint32_t mask, const acre_gpu_request *request, acre_gpu_memory *memory)
{
    acre_gpu_request whole = *request;
    whole.type_mask = mask & (request->type_mask == 0 ? UINT32_MAX : request->type_mask);
    if (whole.type_mask == 0)
        return acre_fail(ACRE_INVALID, "vulkan: of the types 0x%x of the imported memory, the request's type_mask allows none", mask);
    whole.flags |= ACRE_GPU_DEDICATED;
    whole.extension = extension;
    return acre_gpu_alloc(v->gpu, &whole, memory);
}

acre_status acre_vulkan_import_fd(acre_vulkan *vulkan, int fd, VkExternalMemoryHandleTypeFlagBits kind, const acre_gpu_request *request,
                                  acre_gpu_memory *memory)
{
    if (vulkan == NULL || request == NULL || memory == NULL || fd < 0)
        return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL, or the descriptor is none");
    if ((vulkan->enabled & ACRE_VULKAN_FD) == 0) return acre_fail(ACRE_UNSUPPORTED, "vulkan: opened without ACRE_VULKAN_FD");
    uint32_t mask = 0;
    const acre_status status = types_of_fd(vulkan, fd, kind, &mask);
    if (status != ACRE_OK) return status;
    const VkImportMemoryFdInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR, .pNext = request->extension, .handleType = kind, .fd = fd};
    return import(vulkan, &info, mask, request, memory);
}

acre_status acre_vulkan_import_host(acre_vulkan *vulkan, void *pointer, const acre_gpu_request *request, acre_gpu_memory *memory)
{
    if (vulkan == NULL || pointer == NULL || request == NULL || memory == NULL)
        return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    if ((vulkan->enabled & ACRE_VULKAN_HOST_POINTER) == 0)
        return acre_fail(ACRE_UNSUPPORTED, "vulkan: opened without ACRE_VULKAN_HOST_POINTER");
    const uint64_t alignment = vulkan->host_pointer_alignment_bytes;
    if (request->size_bytes == 0 || (uintptr_t)pointer % alignment != 0 || request->size_bytes % alignment != 0)
        return acre_fail(ACRE_INVALID, "vulkan: %llu bytes at %p are to be imported, and both have to be multiples of %llu",
                         (unsigned long long)request->size_bytes, pointer, (unsigned long long)alignment);
    const VkExternalMemoryHandleTypeFlagBits kind = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
    VkMemoryHostPointerPropertiesEXT properties = {.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    const VkResult result = vulkan->GetMemoryHostPointerPropertiesEXT(vulkan->device, kind, pointer, &properties);
    if (result != VK_SUCCESS) return acre_vulkan_fail(result, "vkGetMemoryHostPointerPropertiesEXT");
    const VkImportMemoryHostPointerInfoEXT info = {.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
                                                   .pNext = request->extension,
                                                   .handleType = kind,
                                                   .pHostPointer = pointer};
    return import(vulkan, &info, properties.memoryTypeBits, request, memory);
}
