/* vulkan_help.c - see vulkan_help.h. */
#include "vulkan_help.h"

vulkan_device vulkan;
vulkan_calls calls;

/* ---- the device ---- */

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity, VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *context)
{
    (void)__atomic_fetch_add(&vulkan.message_count, 1, __ATOMIC_RELAXED);
    if (!vulkan.is_quiet) fprintf(stderr, "validation: %s\n", data->pMessage);
    return VK_FALSE;
}

static bool open_instance(void)
{
    static const char *const layers[] = {"VK_LAYER_KHRONOS_validation"};
    static const char *const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
    static const VkValidationFeatureEnableEXT synchronization = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    const VkValidationFeaturesEXT features = {.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                              .enabledValidationFeatureCount = 1,
                                              .pEnabledValidationFeatures = &synchronization};
    const VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .pNext = &features,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message};
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_2};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pNext = &messenger,
                                       .pApplicationInfo = &application,
                                       .enabledLayerCount = 1,
                                       .ppEnabledLayerNames = layers,
                                       .enabledExtensionCount = 2,
                                       .ppEnabledExtensionNames = extensions};
    if (vkCreateInstance(&info, NULL, &vulkan.instance) != VK_SUCCESS) return false;
    VkDebugUtilsMessengerCreateInfoEXT plain = messenger;
    plain.pNext = NULL;
    const PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)vkGetInstanceProcAddr(vulkan.instance, "vkCreateDebugUtilsMessengerEXT");
    return create != NULL && create(vulkan.instance, &plain, NULL, &vulkan.messenger) == VK_SUCCESS;
}

static bool has_extension(const char *name)
{
    enum { EXTENSIONS_MAX = 512 };
    static VkExtensionProperties extensions[EXTENSIONS_MAX];
    uint32_t count = EXTENSIONS_MAX;
    (void)vkEnumerateDeviceExtensionProperties(vulkan.physical, NULL, &count, extensions);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(extensions[i].extensionName, name) == 0) return true;
    return false;
}

static bool open_device(void)
{
    uint32_t count = 1;
    (void)vkEnumeratePhysicalDevices(vulkan.instance, &count, &vulkan.physical);
    if (count == 0) return false;
    static const struct {
        const char *name;
        uint32_t bit;
    } wanted[] = {{VK_EXT_MEMORY_BUDGET_EXTENSION_NAME, ACRE_VULKAN_BUDGET},
                  {VK_EXT_MEMORY_PRIORITY_EXTENSION_NAME, ACRE_VULKAN_PRIORITY},
                  {VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME, ACRE_VULKAN_FD},
                  {VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME, ACRE_VULKAN_HOST_POINTER}};
    const char *extensions[4];
    uint32_t extension_count = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (has_extension(wanted[i].name)) {
            extensions[extension_count++] = wanted[i].name;
            vulkan.enabled |= wanted[i].bit;
        }
    VkPhysicalDeviceMemoryPriorityFeaturesEXT priority = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PRIORITY_FEATURES_EXT,
                                                          .memoryPriority = VK_TRUE};
    VkPhysicalDeviceVulkan12Features features12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                                   .bufferDeviceAddress = VK_TRUE};
    if ((vulkan.enabled & ACRE_VULKAN_PRIORITY) != 0) features12.pNext = &priority;
    vulkan.enabled |= ACRE_VULKAN_ADDRESS;
    VkPhysicalDeviceFeatures features;
    vkGetPhysicalDeviceFeatures(vulkan.physical, &features);
    const VkPhysicalDeviceFeatures sparse = {.sparseBinding = features.sparseBinding};
    if (features.sparseBinding) vulkan.enabled |= ACRE_VULKAN_SPARSE_BINDING;
    const float priorities[] = {1};
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueFamilyIndex = 0, .queueCount = 1, .pQueuePriorities = priorities};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &features12,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue,
                                     .enabledExtensionCount = extension_count,
                                     .ppEnabledExtensionNames = extensions,
                                     .pEnabledFeatures = &sparse};
    if (vkCreateDevice(vulkan.physical, &info, NULL, &vulkan.device) != VK_SUCCESS) return false;
    vkGetDeviceQueue(vulkan.device, 0, 0, &vulkan.queue);
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    return vkCreateCommandPool(vulkan.device, &pool, NULL, &vulkan.pool) == VK_SUCCESS &&
           vkCreateFence(vulkan.device, &fence, NULL, &vulkan.fence) == VK_SUCCESS;
}

bool vulkan_open(void) { return open_instance() && open_device(); }

void vulkan_close(void)
{
    vkDestroyFence(vulkan.device, vulkan.fence, NULL);
    vkDestroyCommandPool(vulkan.device, vulkan.pool, NULL);
    vkDestroyDevice(vulkan.device, NULL);
    const PFN_vkDestroyDebugUtilsMessengerEXT destroy =
        (PFN_vkDestroyDebugUtilsMessengerEXT)vkGetInstanceProcAddr(vulkan.instance, "vkDestroyDebugUtilsMessengerEXT");
    destroy(vulkan.instance, vulkan.messenger, NULL);
    vkDestroyInstance(vulkan.instance, NULL);
}

VkCommandBuffer vulkan_begin(void)
{
    VkCommandBuffer commands = NULL;
    const VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                              .commandPool = vulkan.pool,
                                              .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                              .commandBufferCount = 1};
    assert_int_equal(vkAllocateCommandBuffers(vulkan.device, &info, &commands), VK_SUCCESS);
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    assert_int_equal(vkBeginCommandBuffer(commands, &begin), VK_SUCCESS);
    return commands;
}

void vulkan_submit(VkCommandBuffer commands)
{
    assert_int_equal(vkEndCommandBuffer(commands), VK_SUCCESS);
    const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &commands};
    assert_int_equal(vkQueueSubmit(vulkan.queue, 1, &submit, vulkan.fence), VK_SUCCESS);
    assert_int_equal(vkWaitForFences(vulkan.device, 1, &vulkan.fence, VK_TRUE, UINT64_MAX), VK_SUCCESS);
    assert_int_equal(vkResetFences(vulkan.device, 1, &vulkan.fence), VK_SUCCESS);
    vkFreeCommandBuffers(vulkan.device, vulkan.pool, 1, &commands);
}

/* ---- the wrappers ---- */

/* Threads call at the same time. */
static void count(int32_t *counter, int32_t by) { (void)__atomic_fetch_add(counter, by, __ATOMIC_RELAXED); }
static uint32_t count_up(uint32_t *counter) { return __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED); }

static VkResult next_result(void) { return count_up(&calls.call_count) == calls.fail_at ? calls.failure : VK_SUCCESS; }

static VkResult made(VkResult result)
{
    count(&calls.object_count, result == VK_SUCCESS);
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_buffer(VkDevice d, const VkBufferCreateInfo *i, const VkAllocationCallbacks *a, VkBuffer *b)
{
    const VkResult result = next_result();
    if (result != VK_SUCCESS) return result;
    const VkResult outcome = made(vkCreateBuffer(d, i, a, b));
    __atomic_store_n(&calls.last_buffer, *b, __ATOMIC_RELAXED);
    return outcome;
}

static VKAPI_ATTR void VKAPI_CALL destroy_buffer(VkDevice d, VkBuffer b, const VkAllocationCallbacks *a)
{
    count(&calls.object_count, -1);
    vkDestroyBuffer(d, b, a);
}

static VKAPI_ATTR VkResult VKAPI_CALL create_image(VkDevice d, const VkImageCreateInfo *i, const VkAllocationCallbacks *a, VkImage *m)
{
    const VkResult result = next_result();
    return result != VK_SUCCESS ? result : made(vkCreateImage(d, i, a, m));
}

static VKAPI_ATTR void VKAPI_CALL destroy_image(VkDevice d, VkImage m, const VkAllocationCallbacks *a)
{
    count(&calls.object_count, -1);
    vkDestroyImage(d, m, a);
}

static VKAPI_ATTR VkResult VKAPI_CALL create_fence(VkDevice d, const VkFenceCreateInfo *i, const VkAllocationCallbacks *a, VkFence *f)
{
    const VkResult result = next_result();
    return result != VK_SUCCESS ? result : made(vkCreateFence(d, i, a, f));
}

static VKAPI_ATTR void VKAPI_CALL destroy_fence(VkDevice d, VkFence f, const VkAllocationCallbacks *a)
{
    count(&calls.object_count, -1);
    vkDestroyFence(d, f, a);
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate(VkDevice d, const VkMemoryAllocateInfo *i, const VkAllocationCallbacks *a, VkDeviceMemory *m)
{
    (void)count_up(&calls.allocate_count);
    for (const VkBaseInStructure *s = i->pNext; s != NULL; s = s->pNext) {
        if (s->sType == VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO) (void)count_up(&calls.dedicated_count);
        if (s->sType == VK_STRUCTURE_TYPE_MEMORY_PRIORITY_ALLOCATE_INFO_EXT)
            calls.last_priority = ((const VkMemoryPriorityAllocateInfoEXT *)(const void *)s)->priority;
    }
    const VkResult result = next_result();
    if (result != VK_SUCCESS) return result;
    const VkResult outcome = made(vkAllocateMemory(d, i, a, m));
    if (outcome == VK_SUCCESS) (void)__atomic_fetch_add(&calls.allocated_bytes, i->allocationSize, __ATOMIC_RELAXED);
    return outcome;
}

static VKAPI_ATTR void VKAPI_CALL free_memory(VkDevice d, VkDeviceMemory m, const VkAllocationCallbacks *a)
{
    count(&calls.object_count, -1);
    vkFreeMemory(d, m, a);
}

static VKAPI_ATTR VkResult VKAPI_CALL bind_buffer(VkDevice d, uint32_t n, const VkBindBufferMemoryInfo *i)
{
    const VkResult result = next_result();
    return result != VK_SUCCESS ? result : vkBindBufferMemory2(d, n, i);
}

static VKAPI_ATTR VkResult VKAPI_CALL bind_image(VkDevice d, uint32_t n, const VkBindImageMemoryInfo *i)
{
    const VkResult result = next_result();
    return result != VK_SUCCESS ? result : vkBindImageMemory2(d, n, i);
}

static VKAPI_ATTR VkResult VKAPI_CALL map(VkDevice d, VkDeviceMemory m, VkDeviceSize o, VkDeviceSize n, VkMemoryMapFlags f, void **p)
{
    const VkResult result = next_result();
    return result != VK_SUCCESS ? result : vkMapMemory(d, m, o, n, f, p);
}

static VKAPI_ATTR VkResult VKAPI_CALL flush(VkDevice d, uint32_t n, const VkMappedMemoryRange *r)
{
    (void)count_up(&calls.flush_count);
    calls.last_range = *r;
    const VkResult result = next_result();
    return result != VK_SUCCESS ? result : vkFlushMappedMemoryRanges(d, n, r);
}

static VKAPI_ATTR VkResult VKAPI_CALL bind_sparse(VkQueue q, uint32_t n, const VkBindSparseInfo *i, VkFence f)
{
    const VkResult result = next_result();
    return result != VK_SUCCESS ? result : vkQueueBindSparse(q, n, i, f);
}

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue q, uint32_t n, const VkSubmitInfo *i, VkFence f)
{
    const VkResult result = next_result();
    return result != VK_SUCCESS ? result : vkQueueSubmit(q, n, i, f);
}

static void change_needs(VkMemoryRequirements2 *needs)
{
    if (calls.type_bits != 0) needs->memoryRequirements.memoryTypeBits = calls.type_bits;
    if (needs->memoryRequirements.alignment < calls.alignment_bytes) needs->memoryRequirements.alignment = calls.alignment_bytes;
    for (VkBaseOutStructure *s = needs->pNext; s != NULL; s = s->pNext)
        if (s->sType == VK_STRUCTURE_TYPE_MEMORY_DEDICATED_REQUIREMENTS && calls.is_alone)
            ((VkMemoryDedicatedRequirements *)(void *)s)->requiresDedicatedAllocation = VK_TRUE;
}

static VKAPI_ATTR void VKAPI_CALL buffer_needs(VkDevice d, const VkBufferMemoryRequirementsInfo2 *i, VkMemoryRequirements2 *n)
{
    vkGetBufferMemoryRequirements2(d, i, n);
    change_needs(n);
}

static VKAPI_ATTR void VKAPI_CALL image_needs(VkDevice d, const VkImageMemoryRequirementsInfo2 *i, VkMemoryRequirements2 *n)
{
    vkGetImageMemoryRequirements2(d, i, n);
    change_needs(n);
}

static VKAPI_ATTR void VKAPI_CALL memory_properties(VkPhysicalDevice d, VkPhysicalDeviceMemoryProperties2 *p)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT *const told = p->pNext;
    if (told != NULL && calls.budget_bytes != 0) p->pNext = NULL; /* told here */
    vkGetPhysicalDeviceMemoryProperties2(d, p);
    p->pNext = told;
    for (uint32_t i = 0; told != NULL && calls.budget_bytes != 0 && i < p->memoryProperties.memoryHeapCount; i++) {
        told->heapUsage[i] = calls.allocated_bytes;
        told->heapBudget[i] = calls.budget_bytes;
    }
    for (uint32_t i = 0; i < p->memoryProperties.memoryTypeCount && calls.is_incoherent; i++)
        p->memoryProperties.memoryTypes[i].propertyFlags &= ~(VkMemoryPropertyFlags)VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
}

static const struct {
    const char *name;
    PFN_vkVoidFunction function;
} wrappers[] = {
    {"vkCreateBuffer", (PFN_vkVoidFunction)create_buffer},
    {"vkDestroyBuffer", (PFN_vkVoidFunction)destroy_buffer},
    {"vkCreateImage", (PFN_vkVoidFunction)create_image},
    {"vkDestroyImage", (PFN_vkVoidFunction)destroy_image},
    {"vkCreateFence", (PFN_vkVoidFunction)create_fence},
    {"vkDestroyFence", (PFN_vkVoidFunction)destroy_fence},
    {"vkAllocateMemory", (PFN_vkVoidFunction)allocate},
    {"vkFreeMemory", (PFN_vkVoidFunction)free_memory},
    {"vkBindBufferMemory2", (PFN_vkVoidFunction)bind_buffer},
    {"vkBindImageMemory2", (PFN_vkVoidFunction)bind_image},
    {"vkMapMemory", (PFN_vkVoidFunction)map},
    {"vkFlushMappedMemoryRanges", (PFN_vkVoidFunction)flush},
    {"vkQueueSubmit", (PFN_vkVoidFunction)submit},
    {"vkQueueBindSparse", (PFN_vkVoidFunction)bind_sparse},
    {"vkGetBufferMemoryRequirements2", (PFN_vkVoidFunction)buffer_needs},
    {"vkGetImageMemoryRequirements2", (PFN_vkVoidFunction)image_needs},
    {"vkGetPhysicalDeviceMemoryProperties2", (PFN_vkVoidFunction)memory_properties},
};

static PFN_vkVoidFunction wrapper_of(const char *name)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
        if (strcmp(wrappers[i].name, name) == 0) return wrappers[i].function;
    return NULL;
}

PFN_vkVoidFunction VKAPI_CALL vulkan_get_device(VkDevice device, const char *name)
{
    const PFN_vkVoidFunction wrapper = wrapper_of(name);
    return wrapper != NULL ? wrapper : vkGetDeviceProcAddr(device, name);
}

PFN_vkVoidFunction VKAPI_CALL vulkan_get_instance(VkInstance instance, const char *name)
{
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) return (PFN_vkVoidFunction)vulkan_get_device;
    const PFN_vkVoidFunction wrapper = wrapper_of(name);
    return wrapper != NULL ? wrapper : vkGetInstanceProcAddr(instance, name);
}

acre_vulkan *open_acre(void) { return open_acre_with(vulkan.enabled); }

acre_vulkan *open_acre_with(uint32_t enabled)
{
    acre_vulkan *opened = NULL;
    const acre_gpu_options gpu = {.block_bytes = 4 << 20};
    const acre_vulkan_options options = {.instance = vulkan.instance,
                                         .physical_device = vulkan.physical,
                                         .device = vulkan.device,
                                         .get_instance_proc_addr = vulkan_get_instance,
                                         .enabled = enabled,
                                         .gpu = &gpu,
                                         .queue = vulkan.queue,
                                         .queue_family = vulkan.family};
    if (acre_vulkan_open(&options, &opened) != ACRE_OK) fail_msg("%s", acre_last_error());
    return opened;
}
