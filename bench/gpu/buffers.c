/* buffers.c - what it costs to create a buffer with its memory on a Vulkan device, and to destroy it: by vkAllocateMemory for each, by
 * acre, by VMA, and vkCreateBuffer alone, which is in all of them.
 *
 *     buffers [COUNT] [BYTES] [WAY]
 *
 * COUNT buffers (2,000) of BYTES (4,096) are created, then destroyed in another order, in ROUNDS rounds in which the ways take turns. All
 * but vkAllocateMemory do so once before they are timed: they do not pay for memory of the host that the way before gave back.
 * Prints nanoseconds of CPU time for each, medians. With a WAY, by its name, only that one.
 */
#include "buffers.h"

#include <acre/vulkan.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COUNT_MAX = 1 << 20, ROUNDS = 9 };

static VkDevice device;
static VkPhysicalDeviceMemoryProperties memory_types;

/* ---- vkCreateBuffer alone, and with memory for each ---- */

static bool open_plain(VkInstance instance, VkPhysicalDevice physical, VkDevice on)
{
    (void)instance;
    device = on;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory_types);
    return true;
}

static bool create_object(const VkBufferCreateInfo *info, VkBuffer *buffer, uint64_t *memory)
{
    *memory = 0;
    return vkCreateBuffer(device, info, NULL, buffer) == VK_SUCCESS;
}

static void destroy_object(VkBuffer buffer, uint64_t memory)
{
    (void)memory;
    vkDestroyBuffer(device, buffer, NULL);
}

static bool create_raw(const VkBufferCreateInfo *info, VkBuffer *buffer, uint64_t *memory)
{
    if (vkCreateBuffer(device, info, NULL, buffer) != VK_SUCCESS) return false;
    VkMemoryRequirements needs;
    vkGetBufferMemoryRequirements(device, *buffer, &needs);
    uint32_t type = 0;
    while ((needs.memoryTypeBits >> type & 1) == 0) type++;
    const VkMemoryAllocateInfo wish = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = needs.size, .memoryTypeIndex = type};
    VkDeviceMemory block;
    if (vkAllocateMemory(device, &wish, NULL, &block) != VK_SUCCESS) return false;
    *memory = (uint64_t)(uintptr_t)block;
    return vkBindBufferMemory(device, *buffer, block, 0) == VK_SUCCESS;
}

static void destroy_raw(VkBuffer buffer, uint64_t memory)
{
    vkDestroyBuffer(device, buffer, NULL);
    vkFreeMemory(device, (VkDeviceMemory)(uintptr_t)memory, NULL);
}

static void close_plain(void) {}

/* ---- acre ---- */

static acre_vulkan *vulkan;

static bool open_acre(VkInstance instance, VkPhysicalDevice physical, VkDevice on)
{
    return acre_vulkan_open(
               &(acre_vulkan_options){
                   .instance = instance, .physical_device = physical, .device = on, .get_instance_proc_addr = vkGetInstanceProcAddr},
               &vulkan) == ACRE_OK;
}

static bool create_acre(const VkBufferCreateInfo *info, VkBuffer *buffer, uint64_t *memory)
{
    static const acre_gpu_request request = {0};
    return acre_vulkan_create_buffer(vulkan, info, &request, buffer, memory) == ACRE_OK;
}

static void destroy_acre(VkBuffer buffer, uint64_t memory)
{
    if (acre_vulkan_destroy_buffer(vulkan, buffer, memory) != ACRE_OK) abort();
}

static void close_acre(void)
{
    if (acre_vulkan_close(vulkan) != ACRE_OK) abort();
}

/* ---- the rounds ---- */

static const buffer_maker object = {"vkCreateBuffer alone", open_plain, create_object, destroy_object, close_plain};
static const buffer_maker raw = {"vkAllocateMemory for each", open_plain, create_raw, destroy_raw, close_plain};
static const buffer_maker by_acre = {"acre", open_acre, create_acre, destroy_acre, close_acre};

static const buffer_maker *const makers[] = {
    &object,
    &raw,
    &by_acre,
#ifdef WITH_VMA
    &vma_buffers,
#endif
};

enum { MAKERS = sizeof makers / sizeof *makers };

static double now_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int by_value(const void *one, const void *other)
{
    const double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2];
}

static bool open_device(VkInstance *instance, VkPhysicalDevice *physical, VkDevice *on)
{
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_1};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
    if (vkCreateInstance(&info, NULL, instance) != VK_SUCCESS) return false;
    uint32_t count = 1;
    (void)vkEnumeratePhysicalDevices(*instance, &count, physical);
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    const VkDeviceCreateInfo wish = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue};
    return count > 0 && vkCreateDevice(*physical, &wish, NULL, on) == VK_SUCCESS;
}

static VkBuffer buffers[COUNT_MAX];
static uint64_t memories[COUNT_MAX];

int main(int argument_count, char **arguments)
{
    const uint64_t count = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : 2000;
    const uint64_t bytes = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 4096;
    const uint64_t stride = 7919; /* a prime: the order in which they are destroyed */
    if (count == 0 || count > COUNT_MAX || count % stride == 0 || bytes == 0) return 2;
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice on;
    if (!open_device(&instance, &physical, &on)) {
        puts("there is no Vulkan device here");
        return 0;
    }
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = bytes, .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    static double created[MAKERS][ROUNDS], destroyed[MAKERS][ROUNDS];
    const char *const only = argument_count > 3 ? arguments[3] : NULL;
    for (int m = 0; m < MAKERS; m++)
        if (!makers[m]->open(instance, physical, on)) return 1;
    for (int round = 0; round < ROUNDS; round++)
        for (int turn = 0; turn < MAKERS; turn++) {
            const int m = (turn + round) % MAKERS;
            if (only != NULL && strcmp(makers[m]->name, only) != 0) continue;
            double begin = 0, middle = 0;
            for (int pass = makers[m] == &raw; pass < 2; pass++) {
                begin = now_ns();
                for (uint64_t i = 0; i < count; i++)
                    if (!makers[m]->create(&info, &buffers[i], &memories[i])) return 1;
                middle = now_ns();
                for (uint64_t i = 0; i < count; i++) makers[m]->destroy(buffers[i * stride % count], memories[i * stride % count]);
            }
            created[m][round] = (middle - begin) / (double)count;
            destroyed[m][round] = (now_ns() - middle) / (double)count;
        }
    printf("%llu buffers of %llu bytes, CPU ns for each, medians of %d rounds\n%-28s %10s %10s\n", (unsigned long long)count,
           (unsigned long long)bytes, ROUNDS, "", "create", "destroy");
    for (int m = 0; m < MAKERS; m++) {
        printf("%-28s %10.0f %10.0f\n", makers[m]->name, median(created[m]), median(destroyed[m]));
        makers[m]->close();
    }
    vkDestroyDevice(on, NULL);
    vkDestroyInstance(instance, NULL);
    return 0;
}
