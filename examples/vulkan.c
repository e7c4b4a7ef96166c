/* vulkan.c - 2,000 buffers of a Vulkan device; most are freed, the others move together, and each still has its number in it. */
#include <acre/vulkan.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <vulkan/vulkan.h>

enum { COUNT = 2000 };

typedef struct thing {
    VkBufferCreateInfo info; /* kept, to create the buffer anew where it moves to */
    VkBuffer buffer;
    acre_gpu_memory memory;
} thing;

static VkInstance instance;
static VkPhysicalDevice physical;
static VkDevice device;
static VkQueue queue;
static VkCommandPool pool;
static acre_vulkan *vulkan;
static thing things[COUNT];

static int fails(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, acre_last_error());
    return 1;
}

/* The first device; 0: there is none. */
static int open_device(void)
{
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
    if (vkCreateInstance(&info, NULL, &instance) != VK_SUCCESS) return 0;
    uint32_t count = 1;
    (void)vkEnumeratePhysicalDevices(instance, &count, &physical);
    const float priority = 1;
    const VkDeviceQueueCreateInfo queues = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    const VkDeviceCreateInfo wish = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queues};
    if (count == 0 || vkCreateDevice(physical, &wish, NULL, &device) != VK_SUCCESS) return 0;
    vkGetDeviceQueue(device, 0, 0, &queue);
    const VkCommandPoolCreateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    return vkCreateCommandPool(device, &commands, NULL, &pool) == VK_SUCCESS;
}

static VkCommandBuffer begin(void)
{
    VkCommandBuffer commands = NULL;
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool, .commandBufferCount = 1};
    const VkCommandBufferBeginInfo once = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                           .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    (void)vkAllocateCommandBuffers(device, &info, &commands);
    (void)vkBeginCommandBuffer(commands, &once);
    return commands;
}

static void submit(VkCommandBuffer commands)
{
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    (void)vkEndCommandBuffer(commands);
    (void)vkQueueSubmit(queue, 1, &info, VK_NULL_HANDLE);
    (void)vkQueueWaitIdle(queue);
    vkFreeCommandBuffers(device, pool, 1, &commands);
}

/* ---- the owner of what moves ---- */

static bool describe(void *context, acre_gpu_memory memory, acre_vulkan_resource *resource)
{
    (void)context;
    acre_gpu_memory_info info;
    if (acre_gpu_read_memory(acre_vulkan_gpu(vulkan), memory, &info) != ACRE_OK || info.user == NULL) return false;
    const thing *const t = info.user;
    *resource = (acre_vulkan_resource){.buffer = t->buffer, .buffer_info = &t->info};
    return true;
}

static void moved(void *context, acre_gpu_memory memory, const acre_vulkan_resource *before, const acre_vulkan_resource *after)
{
    (void)context;
    (void)before;
    acre_gpu_memory_info info;
    if (acre_gpu_read_memory(acre_vulkan_gpu(vulkan), memory, &info) == ACRE_OK) ((thing *)info.user)->buffer = after->buffer;
}

static int defragment(uint32_t type, uint64_t *bytes)
{
    const acre_vulkan_owner owner = {.describe = describe, .moved = moved};
    acre_vulkan_moves *moves = NULL;
    do { /* as it would be done once a frame */
        VkCommandBuffer commands = begin();
        if (acre_vulkan_begin_moves(vulkan, &(acre_vulkan_moves_options){.type = type, .bytes_max = 4 << 20, .move_count_max = 1000},
                                    &owner, commands, &moves, NULL) != ACRE_OK)
            return fails("moves");
        submit(commands);
        *bytes += acre_vulkan_end_moves(moves);
    } while (moves != NULL);
    return 0;
}

int main(void)
{
    if (!open_device()) {
        puts("there is no Vulkan device here");
        return 0;
    }
    if (acre_vulkan_open(&(acre_vulkan_options){.instance = instance,
                                                .physical_device = physical,
                                                .device = device,
                                                .get_instance_proc_addr = vkGetInstanceProcAddr,
                                                .gpu = &(acre_gpu_options){.block_bytes = 4 << 20}},
                         &vulkan) != ACRE_OK)
        return fails("open");
    acre_gpu *const gpu = acre_vulkan_gpu(vulkan);

    VkCommandBuffer commands = begin();
    for (uint32_t i = 0; i < COUNT; i++) {
        thing *const t = &things[i];
        t->info = (VkBufferCreateInfo){.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                       .size = 64 + i * 7919u % 32768 / 4 * 4,
                                       .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT};
        if (acre_vulkan_create_buffer(vulkan, &t->info, &(acre_gpu_request){.user = t}, &t->buffer, &t->memory) != ACRE_OK)
            return fails("buffer");
        vkCmdFillBuffer(commands, t->buffer, 0, VK_WHOLE_SIZE, i);
    }
    submit(commands);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (i % 4 == 0) continue;
        if (acre_vulkan_destroy_buffer(vulkan, things[i].buffer, things[i].memory) != ACRE_OK) return fails("free");
        things[i].buffer = VK_NULL_HANDLE;
    }

    acre_gpu_memory_info place;
    acre_gpu_figures before, after;
    uint64_t bytes = 0;
    if (acre_gpu_read_memory(gpu, things[0].memory, &place) != ACRE_OK) return fails("read");
    const uint32_t heap = acre_gpu_read_device(gpu)->types[place.type].heap;
    if (acre_gpu_read_figures(gpu, heap, &before) != ACRE_OK || defragment(place.type, &bytes) != 0 ||
        acre_gpu_read_figures(gpu, heap, &after) != ACRE_OK)
        return fails("defragment");
    printf("%s: %" PRIu64 " blocks became %" PRIu64 " by moving %" PRIu64 " bytes\n", acre_gpu_read_device(gpu)->name, before.block_count,
           after.block_count, bytes);

    /* The last word of each buffer, read back. */
    const VkBufferCreateInfo words = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = COUNT * 4, .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    VkBuffer back;
    acre_gpu_memory memory;
    void *pointer = NULL;
    if (acre_vulkan_create_buffer(vulkan, &words, &(acre_gpu_request){.host_access = ACRE_GPU_HOST_READS}, &back, &memory) != ACRE_OK ||
        acre_gpu_map(gpu, memory, &pointer) != ACRE_OK)
        return fails("read back");
    commands = begin();
    for (uint32_t i = 0; i < COUNT; i++)
        if (things[i].buffer != VK_NULL_HANDLE)
            vkCmdCopyBuffer(commands, things[i].buffer, back, 1,
                            &(VkBufferCopy){.srcOffset = things[i].info.size - 4, .dstOffset = i * 4, .size = 4});
    submit(commands);
    if (acre_gpu_invalidate(gpu, memory, 0, UINT64_MAX) != ACRE_OK) return fails("invalidate");
    uint32_t wrong_count = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t word;
        memcpy(&word, (const char *)pointer + (size_t)i * 4, sizeof word);
        if (things[i].buffer == VK_NULL_HANDLE) continue;
        wrong_count += word != i;
        if (acre_vulkan_destroy_buffer(vulkan, things[i].buffer, things[i].memory) != ACRE_OK) return fails("free");
    }
    printf("%u buffers, %u of them without their number\n", COUNT / 4, wrong_count);

    if (acre_gpu_unmap(gpu, memory) != ACRE_OK || acre_vulkan_destroy_buffer(vulkan, back, memory) != ACRE_OK ||
        acre_vulkan_close(vulkan) != ACRE_OK)
        return fails("close");
    vkDestroyCommandPool(device, pool, NULL);
    vkDestroyDevice(device, NULL);
    vkDestroyInstance(instance, NULL);
    return wrong_count != 0;
}
