/* scene.c - a scene on a Vulkan device: buffers and images are made and filled, most of them go, the others move together piece by piece,
 * and each byte of them is compared.
 *
 *     scene [COUNT] [BYTES] [--figures] [--dumps FOLDER]
 *
 * COUNT resources (10,000): three of four are buffers of 256 bytes to 64 KiB, the others images of 8 to 128 texels square; two of three are
 * freed again, at random. A piece moves at most BYTES (4 MiB). Ends with status 1 if a byte is wrong, 77 if there is no device. --figures:
 * each figure as `name value` in a line of its own. --dumps: every block before and after the moves, as before.json and after.json there.
 */
#include <acre/vulkan.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vulkan.h>

enum { COUNT_MAX = 1 << 20, STAGING_BYTES = 32 << 20, MOVES_MAX = 1024 };

typedef struct thing {
    acre_gpu_memory memory; /* 0: it is freed */
    VkBuffer buffer;
    VkImage image; /* one of the two; in the layout SHADER_READ_ONLY_OPTIMAL */
    uint32_t bytes;
    uint32_t side; /* of an image */
} thing;

static VkInstance instance;
static VkPhysicalDevice physical;
static VkDevice device;
static VkQueue queue;
static VkCommandPool pool;
static acre_vulkan *vulkan;
static acre_gpu *gpu;
static thing *things;
static uint32_t thing_count;
static VkBuffer staging;
static acre_gpu_memory staging_memory;
static uint32_t *staging_words;

static void stop(const char *what)
{
    fprintf(stderr, "scene: %s: %s\n", what, acre_last_error());
    exit(1);
}

static void must(acre_status status, const char *what)
{
    if (status != ACRE_OK) stop(what);
}

static void must_vulkan(VkResult result, const char *what)
{
    if (result != VK_SUCCESS) stop(what);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static double now_s(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- the device ---- */

static bool open_device(void)
{
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
    if (vkCreateInstance(&info, NULL, &instance) != VK_SUCCESS) return false;
    uint32_t count = 1;
    (void)vkEnumeratePhysicalDevices(instance, &count, &physical);
    const float priority = 1;
    const VkDeviceQueueCreateInfo queues = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    const VkDeviceCreateInfo wish = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queues};
    if (count == 0 || vkCreateDevice(physical, &wish, NULL, &device) != VK_SUCCESS) return false;
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
    must_vulkan(vkAllocateCommandBuffers(device, &info, &commands), "vkAllocateCommandBuffers");
    must_vulkan(vkBeginCommandBuffer(commands, &once), "vkBeginCommandBuffer");
    return commands;
}

static void submit(VkCommandBuffer commands)
{
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    must_vulkan(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
    must_vulkan(vkQueueSubmit(queue, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit");
    must_vulkan(vkQueueWaitIdle(queue), "vkQueueWaitIdle");
    vkFreeCommandBuffers(device, pool, 1, &commands);
}

/* ---- things ---- */

static VkBufferCreateInfo buffer_info(uint64_t bytes)
{
    return (VkBufferCreateInfo){.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                .size = bytes,
                                .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                                         VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
}

static VkImageCreateInfo image_info(uint32_t side)
{
    return (VkImageCreateInfo){.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
                               .imageType = VK_IMAGE_TYPE_2D,
                               .format = VK_FORMAT_R8G8B8A8_UNORM,
                               .extent = {side, side, 1},
                               .mipLevels = 1,
                               .arrayLayers = 1,
                               .samples = VK_SAMPLE_COUNT_1_BIT,
                               .usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_SAMPLED_BIT};
}

static void make(thing *t, uint64_t *random)
{
    acre_gpu_request request = {.user = t};
    if (next_random(random) % 4 != 0) {
        const uint32_t scale = (uint32_t)(next_random(random) % 8); /* each doubling is as likely */
        t->bytes = (uint32_t)(256u + next_random(random) % 256) << scale & ~3u;
        const VkBufferCreateInfo info = buffer_info(t->bytes);
        request.name = "a buffer of the scene";
        must(acre_vulkan_create_buffer(vulkan, &info, &request, &t->buffer, &t->memory), "a buffer");
    } else {
        t->side = 8 + (uint32_t)(next_random(random) % 121);
        t->bytes = t->side * t->side * 4;
        const VkImageCreateInfo info = image_info(t->side);
        request.name = "an image of the scene";
        must(acre_vulkan_create_image(vulkan, &info, &request, &t->image, &t->memory), "an image");
    }
}

static void destroy(thing *t)
{
    must(t->buffer != VK_NULL_HANDLE ? acre_vulkan_destroy_buffer(vulkan, t->buffer, t->memory)
                                     : acre_vulkan_destroy_image(vulkan, t->image, t->memory),
         "destroy");
    *t = (thing){0};
}

/* ---- contents ---- */

static uint32_t word_of(uint32_t index, uint32_t at) { return index * 2654435761u ^ at * 40503u; }

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
        .subresourceRange = {.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT, .levelCount = 1, .layerCount = 1},
    };
    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 0, NULL, 0, NULL, 1,
                         &barrier);
}

/* Between a thing and the staging buffer, at `at` there. */
static void copy(VkCommandBuffer commands, const thing *t, uint64_t at, bool is_write)
{
    const VkImageLayout settled = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
    if (t->buffer != VK_NULL_HANDLE) {
        const VkBufferCopy to = {.srcOffset = at, .size = t->bytes}, from = {.dstOffset = at, .size = t->bytes};
        if (is_write)
            vkCmdCopyBuffer(commands, staging, t->buffer, 1, &to);
        else
            vkCmdCopyBuffer(commands, t->buffer, staging, 1, &from);
        return;
    }
    const VkBufferImageCopy whole = {.bufferOffset = at,
                                     .imageSubresource = {.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT, .layerCount = 1},
                                     .imageExtent = {t->side, t->side, 1}};
    const VkImageLayout during = is_write ? VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL : VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
    change_layout(commands, t->image, is_write ? VK_IMAGE_LAYOUT_UNDEFINED : settled, during);
    if (is_write)
        vkCmdCopyBufferToImage(commands, staging, t->image, during, 1, &whole);
    else
        vkCmdCopyImageToBuffer(commands, t->image, during, staging, 1, &whole);
    change_layout(commands, t->image, during, settled);
}

/* How many of those from `first` on fit the staging buffer. */
static uint32_t batch_from(uint32_t first)
{
    uint64_t bytes = 0;
    uint32_t last = first;
    while (last < thing_count && bytes + things[last].bytes <= STAGING_BYTES) bytes += things[last++].bytes;
    return last - first;
}

static void write_all(void)
{
    for (uint32_t first = 0, count; first < thing_count; first += count) {
        count = batch_from(first);
        uint32_t *words = staging_words;
        for (uint32_t i = first; i < first + count; i++)
            for (uint32_t at = 0; at < things[i].bytes / 4; at++) *words++ = word_of(i, at);
        must(acre_gpu_flush(gpu, staging_memory, 0, UINT64_MAX), "flush");
        VkCommandBuffer commands = begin();
        uint64_t at = 0;
        for (uint32_t i = first; i < first + count; at += things[i++].bytes) copy(commands, &things[i], at, true);
        submit(commands);
    }
}

/* How many things have a word that was not written. */
static uint32_t count_wrong(void)
{
    uint32_t wrong = 0;
    for (uint32_t first = 0, count; first < thing_count; first += count) {
        count = batch_from(first);
        VkCommandBuffer commands = begin();
        uint64_t at = 0;
        for (uint32_t i = first; i < first + count; at += things[i++].bytes)
            if (things[i].memory != 0) copy(commands, &things[i], at, false);
        submit(commands);
        must(acre_gpu_invalidate(gpu, staging_memory, 0, UINT64_MAX), "invalidate");
        const uint32_t *words = staging_words;
        for (uint32_t i = first; i < first + count; words += things[i++].bytes / 4) {
            bool is_wrong = false;
            for (uint32_t n = 0; n < things[i].bytes / 4; n++) is_wrong |= words[n] != word_of(i, n);
            wrong += is_wrong;
        }
    }
    return wrong;
}

/* ---- moves ---- */

/* What `describe` points to stays until the moves end. */
static VkBufferCreateInfo buffer_infos[MOVES_MAX];
static VkImageCreateInfo image_infos[MOVES_MAX];
static uint32_t info_count;

static bool describe(void *context, acre_gpu_memory memory, acre_vulkan_resource *resource)
{
    (void)context;
    acre_gpu_memory_info info;
    if (acre_gpu_read_memory(gpu, memory, &info) != ACRE_OK || info.user == NULL) return false;
    const thing *const t = info.user;
    *resource = (acre_vulkan_resource){.buffer = t->buffer, .image = t->image, .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
    if (t->buffer != VK_NULL_HANDLE) {
        buffer_infos[info_count] = buffer_info(t->bytes);
        resource->buffer_info = &buffer_infos[info_count++];
    } else {
        image_infos[info_count] = image_info(t->side);
        resource->image_info = &image_infos[info_count++];
    }
    return true;
}

static void moved(void *context, acre_gpu_memory memory, const acre_vulkan_resource *before, const acre_vulkan_resource *after)
{
    (void)before;
    acre_gpu_memory_info info;
    must(acre_gpu_read_memory(gpu, memory, &info), "read");
    thing *const t = info.user;
    t->buffer = after->buffer;
    t->image = after->image;
    ++*(uint32_t *)context;
}

typedef struct tally {
    uint32_t piece_count, move_count;
    uint64_t bytes;
    double longest_s;
} tally;

static tally defragment(uint32_t type, uint64_t bytes_max)
{
    tally sum = {0};
    const acre_vulkan_owner owner = {.describe = describe, .moved = moved, .context = &sum.move_count};
    const acre_vulkan_moves_options options = {.type = type, .bytes_max = bytes_max, .move_count_max = MOVES_MAX};
    for (;;) {
        const double start = now_s();
        acre_vulkan_moves *moves = NULL;
        VkCommandBuffer commands = begin();
        info_count = 0;
        must(acre_vulkan_begin_moves(vulkan, &options, &owner, commands, &moves, NULL), "moves");
        submit(commands);
        if (moves == NULL) return sum;
        sum.bytes += acre_vulkan_end_moves(moves);
        sum.piece_count++;
        if (now_s() - start > sum.longest_s) sum.longest_s = now_s() - start;
    }
}

static acre_gpu_figures figures_of(uint32_t heap)
{
    acre_gpu_figures figures;
    must(acre_gpu_read_figures(gpu, heap, &figures), "figures");
    return figures;
}

static double mib(uint64_t bytes) { return (double)bytes / (1 << 20); }

static bool write_text(void *context, const char *text, size_t bytes) { return fwrite(text, 1, bytes, context) == bytes; }

/* Every block, as the manager has it, to a file of the folder; NULL: to none. */
static void dump(const char *folder, const char *name)
{
    char path[4096];
    if (folder == NULL) return;
    (void)snprintf(path, sizeof path, "%s/%s.json", folder, name);
    FILE *const file = fopen(path, "w");
    if (file == NULL || acre_gpu_write_json(gpu, write_text, file) != ACRE_OK || fclose(file) != 0) {
        fprintf(stderr, "scene: '%s' could not be written\n", path);
        exit(1);
    }
}

/* What stands behind an option; NULL: it is not there. */
static const char *value_of(int argument_count, char **arguments, const char *option)
{
    for (int i = 1; i + 1 < argument_count; i++)
        if (strcmp(arguments[i], option) == 0) return arguments[i + 1];
    return NULL;
}

static bool has_option(int argument_count, char **arguments, const char *option)
{
    for (int i = 1; i < argument_count; i++)
        if (strcmp(arguments[i], option) == 0) return true;
    return false;
}

/* The number in a place, if it is there. */
static uint64_t number_at(int argument_count, char **arguments, int place, uint64_t otherwise)
{
    return argument_count > place && arguments[place][0] != '-' ? strtoull(arguments[place], NULL, 10) : otherwise;
}

int main(int argument_count, char **arguments)
{
    const bool is_quick = getenv("ACRE_BENCH_QUICK") != NULL;
    const uint64_t count = number_at(argument_count, arguments, 1, is_quick ? 1000 : 10000);
    const uint64_t bytes_max = number_at(argument_count, arguments, 2, 4 << 20);
    if (count < 2 || count > COUNT_MAX) return 2;
    if (!open_device()) {
        puts("there is no Vulkan device here");
        return 77;
    }
    must(acre_vulkan_open(&(acre_vulkan_options){.instance = instance,
                                                 .physical_device = physical,
                                                 .device = device,
                                                 .get_instance_proc_addr = vkGetInstanceProcAddr,
                                                 .gpu = &(acre_gpu_options){.block_bytes = 16 << 20}},
                          &vulkan),
         "open");
    gpu = acre_vulkan_gpu(vulkan);
    thing_count = (uint32_t)count;
    things = calloc(thing_count, sizeof *things);
    const VkBufferCreateInfo info = buffer_info(STAGING_BYTES);
    const acre_gpu_request request = {.host_access = ACRE_GPU_HOST_READS, .flags = ACRE_GPU_DEDICATED};
    void *pointer = NULL;
    must(acre_vulkan_create_buffer(vulkan, &info, &request, &staging, &staging_memory), "staging");
    must(acre_gpu_map(gpu, staging_memory, &pointer), "map");
    staging_words = pointer;
    if (things == NULL) return 1;

    uint64_t random = 42;
    const double start = now_s();
    for (uint32_t i = 0; i < thing_count; i++) make(&things[i], &random);
    const double made_s = now_s() - start;
    write_all();
    const double filled_s = now_s() - start - made_s;

    acre_gpu_memory_info place;
    must(acre_gpu_read_memory(gpu, things[0].memory, &place), "read");
    const uint32_t heap = acre_gpu_read_device(gpu)->types[place.type].heap;
    for (uint32_t i = 1; i < thing_count; i++)
        if (next_random(&random) % 3 != 0) destroy(&things[i]);
    const acre_gpu_figures before = figures_of(heap);
    const char *const folder = value_of(argument_count, arguments, "--dumps");
    dump(folder, "before");
    const tally sum = defragment(place.type, bytes_max);
    dump(folder, "after");
    const acre_gpu_figures after = figures_of(heap);
    const uint32_t wrong = count_wrong();
    const uint64_t left_bytes = before.memory_bytes - STAGING_BYTES, before_bytes = before.block_bytes - STAGING_BYTES,
                   after_bytes = after.block_bytes - STAGING_BYTES;
    if (has_option(argument_count, arguments, "--figures")) {
        printf("device %s\nmade %u\nleft %llu\nleft_bytes %llu\nblock_bytes_before %llu\nblock_bytes_after %llu\n",
               acre_gpu_read_device(gpu)->name, thing_count, (unsigned long long)before.memory_count - 1, (unsigned long long)left_bytes,
               (unsigned long long)before_bytes, (unsigned long long)after_bytes);
        printf("moves %u\nmoved_bytes %llu\npieces %u\nlongest_ms %.2f\nwrong %u\n", sum.move_count, (unsigned long long)sum.bytes,
               sum.piece_count, sum.longest_s * 1e3, wrong);
    } else {
        printf("%s\n%u made in %.3f s, filled in %.3f s\n", acre_gpu_read_device(gpu)->name, thing_count, made_s, filled_s);
        printf("%llu left in %llu blocks, %.1f of %.1f MiB\n", (unsigned long long)before.memory_count - 1,
               (unsigned long long)before.block_count - 1, mib(left_bytes), mib(before_bytes));
        printf("%u moves of %.1f MiB in %u pieces, the longest %.1f ms\n", sum.move_count, mib(sum.bytes), sum.piece_count,
               sum.longest_s * 1e3);
        printf("now in %llu blocks, %.1f MiB\n", (unsigned long long)after.block_count - 1, mib(after_bytes));
        printf("%u have lost something of their contents\n", wrong);
    }

    for (uint32_t i = 0; i < thing_count; i++)
        if (things[i].memory != 0) destroy(&things[i]);
    must(acre_gpu_unmap(gpu, staging_memory), "unmap");
    must(acre_vulkan_destroy_buffer(vulkan, staging, staging_memory), "staging");
    must(acre_vulkan_close(vulkan), "close");
    free(things);
    vkDestroyCommandPool(device, pool, NULL);
    vkDestroyDevice(device, NULL);
    vkDestroyInstance(instance, NULL);
    return wrong != 0;
}
