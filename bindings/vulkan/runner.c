/* runner.c - command buffers that the library submits itself, and copies between blocks by them.
 *
 * A copy goes from a buffer over the one place to a buffer over the other, which are there for the copy alone. */
#include "runner.h"

#include <stdlib.h>

struct acre_vulkan_copies {
    acre_vulkan_runner runner;
    VkMemoryRequirements needs; /* of a buffer that is copied from and to */
};

acre_status acre_vulkan_open_runner(acre_vulkan *v, acre_vulkan_runner *runner)
{
    *runner = (acre_vulkan_runner){VK_NULL_HANDLE, NULL, VK_NULL_HANDLE};
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
                                          .queueFamilyIndex = v->queue_family};
    VkResult result = v->CreateCommandPool(v->device, &pool, v->callbacks, &runner->pool);
    if (result != VK_SUCCESS) return acre_vulkan_fail(result, "vkCreateCommandPool");
    const VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                  .commandPool = runner->pool,
                                                  .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                  .commandBufferCount = 1};
    result = v->AllocateCommandBuffers(v->device, &commands, &runner->commands);
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    if (result == VK_SUCCESS) result = v->CreateFence(v->device, &fence, v->callbacks, &runner->fence);
    if (result == VK_SUCCESS) return ACRE_OK;
    v->DestroyCommandPool(v->device, runner->pool, v->callbacks);
    return acre_vulkan_fail(result, "commands of the library");
}

void acre_vulkan_close_runner(acre_vulkan *v, acre_vulkan_runner *runner)
{
    v->DestroyFence(v->device, runner->fence, v->callbacks);
    v->DestroyCommandPool(v->device, runner->pool, v->callbacks);
}

acre_status acre_vulkan_begin_commands(acre_vulkan *v, acre_vulkan_runner *runner)
{
    const VkCommandBufferBeginInfo once = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                           .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VkResult result = v->ResetCommandPool(v->device, runner->pool, 0);
    if (result == VK_SUCCESS) result = v->ResetFences(v->device, 1, &runner->fence);
    if (result == VK_SUCCESS) result = v->BeginCommandBuffer(runner->commands, &once);
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkBeginCommandBuffer");
}

acre_status acre_vulkan_submit_commands(acre_vulkan *v, acre_vulkan_runner *runner)
{
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &runner->commands};
    VkResult result = v->EndCommandBuffer(runner->commands);
    if (result != VK_SUCCESS) return acre_vulkan_fail(result, "vkEndCommandBuffer");
    (void)pthread_mutex_lock(&v->queue_lock);
    result = v->QueueSubmit(v->queue, 1, &info, runner->fence);
    (void)pthread_mutex_unlock(&v->queue_lock);
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkQueueSubmit");
}

acre_status acre_vulkan_wait_for_commands(acre_vulkan *v, acre_vulkan_runner *runner, uint64_t timeout_ns)
{
    const VkResult result = v->WaitForFences(v->device, 1, &runner->fence, VK_TRUE, timeout_ns);
    if (result == VK_TIMEOUT) return ACRE_BUSY;
    return result == VK_SUCCESS ? ACRE_OK : acre_vulkan_fail(result, "vkWaitForFences");
}

/* ---- copies ---- */

static VkResult create_buffer(const acre_vulkan *v, uint64_t size_bytes, VkBuffer *buffer)
{
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                     .size = size_bytes,
                                     .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    return v->CreateBuffer(v->device, &info, v->callbacks, buffer);
}

acre_status acre_vulkan_prepare_copies(acre_vulkan *v)
{
    VkBuffer buffer = VK_NULL_HANDLE;
    acre_vulkan_copies *const copies = calloc(1, sizeof *copies);
    if (copies == NULL) return acre_fail(ACRE_NO_MEMORY, "vulkan: no host memory for copies");
    const VkResult result = create_buffer(v, 1, &buffer);
    acre_status status = result == VK_SUCCESS ? acre_vulkan_open_runner(v, &copies->runner) : acre_vulkan_fail(result, "vkCreateBuffer");
    if (result == VK_SUCCESS) {
        const VkBufferMemoryRequirementsInfo2 which = {.sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_REQUIREMENTS_INFO_2, .buffer = buffer};
        VkMemoryRequirements2 needs = {.sType = VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2};
        v->GetBufferMemoryRequirements2(v->device, &which, &needs);
        copies->needs = needs.memoryRequirements;
        v->DestroyBuffer(v->device, buffer, v->callbacks);
    }
    if (status != ACRE_OK) {
        free(copies);
        return status;
    }
    v->copies = copies;
    return ACRE_OK;
}

void acre_vulkan_end_copies(acre_vulkan *v)
{
    if (v->copies == NULL) return;
    acre_vulkan_close_runner(v, &v->copies->runner);
    free(v->copies);
    v->copies = NULL;
}

/* A buffer over a place, and where in the buffer that begins: its own beginning has to be aligned. */
static acre_status lay_buffer(const acre_vulkan *v, acre_gpu_handle handle, uint64_t offset, uint64_t size_bytes, VkBuffer *buffer,
                              uint64_t *begin)
{
    *begin = offset % v->copies->needs.alignment;
    VkResult result = create_buffer(v, size_bytes + *begin, buffer);
    if (result != VK_SUCCESS) return acre_vulkan_fail(result, "vkCreateBuffer");
    const VkBindBufferMemoryInfo bind = {.sType = VK_STRUCTURE_TYPE_BIND_BUFFER_MEMORY_INFO,
                                         .buffer = *buffer,
                                         .memory = acre_vulkan_memory_of(handle),
                                         .memoryOffset = offset - *begin};
    result = v->BindBufferMemory2(v->device, 1, &bind);
    if (result == VK_SUCCESS) return ACRE_OK;
    v->DestroyBuffer(v->device, *buffer, v->callbacks);
    return acre_vulkan_fail(result, "vkBindBufferMemory2");
}

static acre_status run_copy(acre_vulkan *v, VkBuffer to, VkBuffer from, const VkBufferCopy *what)
{
    acre_vulkan_runner *const runner = &v->copies->runner;
    acre_status status = acre_vulkan_begin_commands(v, runner);
    if (status != ACRE_OK) return status;
    const VkMemoryBarrier before = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                    .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
                                    .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    const VkMemoryBarrier after = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                   .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                   .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT};
    const VkPipelineStageFlags all = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    v->CmdPipelineBarrier(runner->commands, all, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, NULL, 0, NULL);
    v->CmdCopyBuffer(runner->commands, from, to, 1, what);
    v->CmdPipelineBarrier(runner->commands, VK_PIPELINE_STAGE_TRANSFER_BIT, all | VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &after, 0, NULL, 0,
                          NULL);
    status = acre_vulkan_submit_commands(v, runner);
    return status != ACRE_OK ? status : acre_vulkan_wait_for_commands(v, runner, UINT64_MAX);
}

acre_status acre_vulkan_copy(acre_gpu_driver *driver, acre_gpu_handle to, uint64_t to_offset, acre_gpu_handle from, uint64_t from_offset,
                             uint64_t size_bytes)
{
    acre_vulkan *const v = (acre_vulkan *)driver;
    VkBuffer to_buffer = VK_NULL_HANDLE, from_buffer = VK_NULL_HANDLE;
    VkBufferCopy what = {.size = size_bytes};
    if (size_bytes == 0) return ACRE_OK;
    acre_status status = lay_buffer(v, to, to_offset, size_bytes, &to_buffer, &what.dstOffset);
    if (status != ACRE_OK) return status;
    status = lay_buffer(v, from, from_offset, size_bytes, &from_buffer, &what.srcOffset);
    if (status == ACRE_OK) {
        (void)pthread_mutex_lock(&v->copy_lock); /* the runner is one */
        status = run_copy(v, to_buffer, from_buffer, &what);
        (void)pthread_mutex_unlock(&v->copy_lock);
        v->DestroyBuffer(v->device, from_buffer, v->callbacks);
    }
    v->DestroyBuffer(v->device, to_buffer, v->callbacks);
    return status;
}
