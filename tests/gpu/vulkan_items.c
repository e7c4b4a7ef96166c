/* vulkan_items.c - see vulkan_items.h. */
#include "vulkan_items.h"

static VkBuffer staging;
static acre_gpu_memory staging_memory;
static uint8_t *staging_bytes;

static const VkImageLayout settled = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;

static acre_vulkan *acre; /* that the items belong to */

void items_open(acre_vulkan *opened)
{
    acre = opened;
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                     .size = ITEM_BYTES_MAX,
                                     .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    /* A block of its own, so that it is in nobody's way. */
    const acre_gpu_request request = {.host_access = ACRE_GPU_HOST_READS, .flags = ACRE_GPU_DEDICATED, .name = "staging"};
    void *pointer = NULL;
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &staging, &staging_memory), ACRE_OK);
    assert_int_equal(acre_gpu_map(acre_vulkan_gpu(acre), staging_memory, &pointer), ACRE_OK);
    staging_bytes = pointer;
}

void items_close(void)
{
    assert_int_equal(acre_gpu_unmap(acre_vulkan_gpu(acre), staging_memory), ACRE_OK);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, staging, staging_memory), ACRE_OK);
    staging_memory = 0;
}

acre_status item_make_buffer(acre_vulkan *in, item *i, uint32_t bytes) { return item_make_buffer_in(in, i, bytes, NULL); }

acre_status item_make_buffer_in(acre_vulkan *in, item *i, uint32_t bytes, acre_gpu_pool *of)
{
    *i = (item){
        .bytes = bytes,
        .buffer_info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                        .size = bytes,
                        .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_STORAGE_BUFFER_BIT}};
    const acre_gpu_request request = {.user = i, .pool = of};
    return acre_vulkan_create_buffer(in, &i->buffer_info, &request, &i->buffer, &i->memory);
}

static uint32_t halved(uint32_t extent, uint32_t times) { return extent >> times == 0 ? 1 : extent >> times; }

acre_status item_make_image(acre_vulkan *in, item *i, uint32_t width, uint32_t height)
{
    *i = (item){.image_info = {.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
                               .imageType = VK_IMAGE_TYPE_2D,
                               .format = VK_FORMAT_R8G8B8A8_UNORM,
                               .extent = {width, height, 1},
                               .mipLevels = ITEM_LEVELS,
                               .arrayLayers = ITEM_LAYERS,
                               .samples = VK_SAMPLE_COUNT_1_BIT,
                               .tiling = VK_IMAGE_TILING_OPTIMAL,
                               .usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_SAMPLED_BIT}};
    for (uint32_t level = 0; level < ITEM_LEVELS; level++) i->bytes += halved(width, level) * halved(height, level) * 4 * ITEM_LAYERS;
    assert_true(i->bytes <= ITEM_BYTES_MAX);
    const acre_gpu_request request = {.user = i};
    return acre_vulkan_create_image(in, &i->image_info, &request, &i->image, &i->memory);
}

void item_destroy(acre_vulkan *from, item *i)
{
    if (i->buffer != VK_NULL_HANDLE)
        assert_int_equal(acre_vulkan_destroy_buffer(from, i->buffer, i->memory), ACRE_OK);
    else
        assert_int_equal(acre_vulkan_destroy_image(from, i->image, i->memory), ACRE_OK);
    *i = (item){0};
}

/* ---- contents ---- */

static void change_layout(VkCommandBuffer commands, VkImage image, VkImageLayout from, VkImageLayout to)
{
    const VkImageMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
        .oldLayout = from,
        .newLayout = to,
        .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .image = image,
        .subresourceRange = {.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT, .levelCount = ITEM_LEVELS, .layerCount = ITEM_LAYERS},
    };
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 0, NULL, 0, NULL, 1,
                         &barrier);
}

static void levels_of(const item *i, VkBufferImageCopy levels[ITEM_LEVELS])
{
    VkDeviceSize at = 0;
    for (uint32_t level = 0; level < ITEM_LEVELS; level++) {
        const uint32_t width = halved(i->image_info.extent.width, level), height = halved(i->image_info.extent.height, level);
        levels[level] = (VkBufferImageCopy){
            .bufferOffset = at,
            .imageSubresource = {.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT, .mipLevel = level, .layerCount = ITEM_LAYERS},
            .imageExtent = {width, height, 1},
        };
        at += (VkDeviceSize)width * height * 4 * ITEM_LAYERS;
    }
}

static uint8_t byte_of(uint32_t seed, uint32_t at) { return (uint8_t)((seed * 2654435761u + at * 40503u) >> 11); }

void item_write(item *i, uint32_t seed)
{
    i->seed = seed;
    for (uint32_t at = 0; at < i->bytes; at++) staging_bytes[at] = byte_of(seed, at);
    assert_int_equal(acre_gpu_flush(acre_vulkan_gpu(acre), staging_memory, 0, UINT64_MAX), ACRE_OK);
    VkCommandBuffer commands = vulkan_begin();
    if (i->buffer != VK_NULL_HANDLE) {
        const VkBufferCopy all = {.size = i->bytes};
        vkCmdCopyBuffer(commands, staging, i->buffer, 1, &all);
    } else {
        VkBufferImageCopy levels[ITEM_LEVELS];
        levels_of(i, levels);
        change_layout(commands, i->image, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL);
        vkCmdCopyBufferToImage(commands, staging, i->image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, ITEM_LEVELS, levels);
        change_layout(commands, i->image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, settled);
    }
    vulkan_submit(commands);
}

bool item_is_intact(const item *i)
{
    memset(staging_bytes, 0, i->bytes);
    assert_int_equal(acre_gpu_flush(acre_vulkan_gpu(acre), staging_memory, 0, UINT64_MAX), ACRE_OK);
    VkCommandBuffer commands = vulkan_begin();
    if (i->buffer != VK_NULL_HANDLE) {
        const VkBufferCopy all = {.size = i->bytes};
        vkCmdCopyBuffer(commands, i->buffer, staging, 1, &all);
    } else {
        VkBufferImageCopy levels[ITEM_LEVELS];
        levels_of(i, levels);
        change_layout(commands, i->image, settled, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL);
        vkCmdCopyImageToBuffer(commands, i->image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, staging, ITEM_LEVELS, levels);
        change_layout(commands, i->image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, settled);
    }
    vulkan_submit(commands);
    assert_int_equal(acre_gpu_invalidate(acre_vulkan_gpu(acre), staging_memory, 0, UINT64_MAX), ACRE_OK);
    for (uint32_t at = 0; at < i->bytes; at++)
        if (staging_bytes[at] != byte_of(i->seed, at)) return false;
    return true;
}
