/* test_vulkan.c - buffers and images with their memory on a Vulkan device, with validation on: not one message in all of it. */
#include "vulkan_items.h"

#include <acre/um.h>
#include <pthread.h>

static acre_vulkan *acre;

static int open_one(void **state)
{
    calls = (vulkan_calls){0};
    acre = open_acre();
    return 0;
}

/* All that was made is gone, and Vulkan had nothing to say. */
static int close_one(void **state)
{
    const bool is_closed = acre_vulkan_close(acre) == ACRE_OK;
    if (!is_closed) fprintf(stderr, "%s\n", acre_last_error());
    if (calls.object_count != 0) fprintf(stderr, "%d objects of Vulkan are left\n", calls.object_count);
    if (vulkan.message_count != 0) fprintf(stderr, "%u messages of validation\n", vulkan.message_count);
    return is_closed && calls.object_count == 0 && vulkan.message_count == 0 ? 0 : -1;
}

static VkBufferCreateInfo buffer_of(uint64_t bytes, VkBufferUsageFlags usage)
{
    return (VkBufferCreateInfo){.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = bytes, .usage = usage};
}

enum { TRANSFERS = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT };

static void validation_says_what_is_wrong(void **state)
{
    const uint32_t before = vulkan.message_count;
    const VkBufferCreateInfo info = buffer_of(0, VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
    VkBuffer buffer = VK_NULL_HANDLE;
    vulkan.is_quiet = true;
    if (vkCreateBuffer(vulkan.device, &info, NULL, &buffer) == VK_SUCCESS) vkDestroyBuffer(vulkan.device, buffer, NULL);
    vulkan.is_quiet = false;
    assert_true(vulkan.message_count > before);
    vulkan.message_count = before;
}

static void buffers_and_images_keep_what_is_written(void **state)
{
    enum { BUFFERS = 120, IMAGES = 30 };
    static item items[BUFFERS + IMAGES];
    uint64_t random = 7;
    items_open(acre);
    for (uint32_t i = 0; i < BUFFERS; i++)
        assert_int_equal(item_make_buffer(acre, &items[i], 1 + (uint32_t)(next_random(&random) % 60000)), ACRE_OK);
    for (uint32_t i = BUFFERS; i < BUFFERS + IMAGES; i++)
        assert_int_equal(
            item_make_image(acre, &items[i], 1 + (uint32_t)(next_random(&random) % 100), 1 + (uint32_t)(next_random(&random) % 100)),
            ACRE_OK);
    for (uint32_t i = 0; i < BUFFERS + IMAGES; i++) item_write(&items[i], i + 1);
    for (uint32_t i = 0; i < BUFFERS + IMAGES; i++) assert_true(item_is_intact(&items[i]));
    uint64_t memory_count = 0;
    for (uint32_t heap = 0; heap < acre_gpu_read_device(acre_vulkan_gpu(acre))->heap_count; heap++) {
        acre_gpu_figures figures;
        assert_int_equal(acre_gpu_read_figures(acre_vulkan_gpu(acre), heap, &figures), ACRE_OK);
        memory_count += figures.memory_count;
    }
    assert_int_equal(memory_count, BUFFERS + IMAGES + 1);
    assert_true(calls.allocate_count < (BUFFERS + IMAGES) / 4); /* they share blocks */
    for (uint32_t i = 0; i < BUFFERS + IMAGES; i++) item_destroy(acre, &items[i]);
    items_close();
}

static void a_resource_that_requires_it_gets_a_block_of_its_own(void **state)
{
    calls.is_alone = true;
    item buffer, image;
    assert_int_equal(item_make_buffer(acre, &buffer, 5000), ACRE_OK);
    assert_int_equal(item_make_image(acre, &image, 20, 30), ACRE_OK);
    assert_int_equal(calls.dedicated_count, 2);
    acre_gpu_memory_info info;
    assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), image.memory, &info), ACRE_OK);
    assert_true(info.is_dedicated);
    assert_int_equal(info.offset_bytes, 0);
    item_destroy(acre, &buffer);
    item_destroy(acre, &image);
}

static void memory_of_the_host_is_mapped_and_flushed_by_whole_atoms(void **state)
{
    assert_int_equal(acre_vulkan_close(acre), ACRE_OK);
    calls.is_incoherent = true;
    acre = open_acre();
    const uint64_t atom = acre_gpu_read_device(acre_vulkan_gpu(acre))->atom_bytes;
    const VkBufferCreateInfo info = buffer_of(1000, TRANSFERS);
    const acre_gpu_request request = {.host_access = ACRE_GPU_HOST_WRITES};
    VkBuffer buffers[3];
    acre_gpu_memory memories[3];
    for (int i = 0; i < 3; i++) assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &buffers[i], &memories[i]), ACRE_OK);
    for (int i = 0; i < 3; i++) {
        void *pointer = NULL;
        assert_int_equal(acre_gpu_map(acre_vulkan_gpu(acre), memories[i], &pointer), ACRE_OK);
        memset(pointer, i, 1000);
        for (uint64_t offset = 0; offset < 1000; offset += 333) {
            const uint32_t before = calls.flush_count;
            assert_int_equal(acre_gpu_flush(acre_vulkan_gpu(acre), memories[i], offset, 1), ACRE_OK);
            assert_int_equal(calls.flush_count, before + 1);
            acre_gpu_memory_info place;
            assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), memories[i], &place), ACRE_OK);
            assert_int_equal(calls.last_range.offset % atom, 0);
            assert_int_equal(calls.last_range.size % atom, 0);
            assert_true(calls.last_range.offset <= place.offset_bytes + offset);
            assert_true(calls.last_range.offset + calls.last_range.size > place.offset_bytes + offset);
        }
        assert_int_equal(acre_gpu_invalidate(acre_vulkan_gpu(acre), memories[i], 0, UINT64_MAX), ACRE_OK);
        assert_int_equal(acre_gpu_unmap(acre_vulkan_gpu(acre), memories[i]), ACRE_OK);
    }
    for (int i = 0; i < 3; i++) assert_int_equal(acre_vulkan_destroy_buffer(acre, buffers[i], memories[i]), ACRE_OK);
}

static void resources_share_memory_where_they_fit(void **state)
{
    const VkBufferCreateInfo large = buffer_of(65536, TRANSFERS), small = buffer_of(4096, TRANSFERS);
    const acre_gpu_request request = {0};
    VkBuffer first, second = VK_NULL_HANDLE, third = VK_NULL_HANDLE;
    acre_gpu_memory memory;
    assert_int_equal(acre_vulkan_create_buffer(acre, &large, &request, &first, &memory), ACRE_OK);
    assert_int_equal(acre_vulkan_create_buffer_in(acre, &small, memory, 0, &second), ACRE_OK);
    assert_int_equal(acre_vulkan_create_buffer_in(acre, &small, memory, 61440, &third), ACRE_OK);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, second, 0), ACRE_OK);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, third, 0), ACRE_OK);
    assert_int_equal(acre_vulkan_create_buffer_in(acre, &small, memory, 61441, &third), ACRE_OUT_OF_BOUNDS);
    assert_int_equal(acre_vulkan_create_buffer_in(acre, &small, memory, UINT64_MAX, &third), ACRE_OUT_OF_BOUNDS);
    assert_int_equal(acre_vulkan_create_buffer_in(acre, &small, memory, 1, &third), ACRE_INVALID);
    item image;
    assert_int_equal(item_make_image(acre, &image, 16, 16), ACRE_OK);
    VkImage shadow = VK_NULL_HANDLE;
    assert_int_equal(acre_vulkan_create_image_in(acre, &image.image_info, memory, 0, &shadow), ACRE_OK);
    assert_int_equal(acre_vulkan_destroy_image(acre, shadow, 0), ACRE_OK);
    item_destroy(acre, &image);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, first, memory), ACRE_OK);
}

static void a_resource_gets_no_type_that_it_cannot_have(void **state)
{
    item first;
    assert_int_equal(item_make_buffer(acre, &first, 5000), ACRE_OK);
    const VkBufferCreateInfo info = buffer_of(100, TRANSFERS);
    const acre_gpu_request request = {.type_mask = 1};
    VkBuffer second = VK_NULL_HANDLE;
    acre_gpu_memory memory = 0;
    calls.type_bits = 1u << 31; /* none that the device has */
    assert_int_equal(acre_vulkan_create_buffer_in(acre, &info, first.memory, 0, &second), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &second, &memory), ACRE_INVALID);
    calls.type_bits = 0;
    assert_true(second == VK_NULL_HANDLE && memory == 0);
    item_destroy(acre, &first);
}

static void a_resource_is_aligned_as_it_asks_and_as_the_request_asks(void **state)
{
    item items[10] = {0};
    calls.alignment_bytes = 8192;
    for (int i = 0; i < 10; i++) {
        acre_gpu_memory_info info;
        assert_int_equal(item_make_buffer(acre, &items[i], 100), ACRE_OK);
        assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), items[i].memory, &info), ACRE_OK);
        assert_int_equal(info.offset_bytes % 8192, 0);
    }
    for (int i = 0; i < 10; i++) item_destroy(acre, &items[i]);
    calls.alignment_bytes = 0;
    const VkBufferCreateInfo info = buffer_of(100, TRANSFERS);
    const acre_gpu_request request = {.alignment_bytes = 16384};
    for (int i = 0; i < 10; i++) {
        acre_gpu_memory_info place;
        assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &items[i].buffer, &items[i].memory), ACRE_OK);
        assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), items[i].memory, &place), ACRE_OK);
        assert_int_equal(place.offset_bytes % 16384, 0);
    }
    for (int i = 0; i < 10; i++) item_destroy(acre, &items[i]);
}

static void a_buffer_has_an_address(void **state)
{
    if ((vulkan.enabled & ACRE_VULKAN_ADDRESS) == 0) skip();
    const VkBufferCreateInfo info = buffer_of(1000, TRANSFERS | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT);
    const acre_gpu_request request = {0};
    VkBuffer buffer;
    acre_gpu_memory memory;
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &buffer, &memory), ACRE_OK);
    const VkBufferDeviceAddressInfo which = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = buffer};
    assert_true(vkGetBufferDeviceAddress(vulkan.device, &which) != 0);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, buffer, memory), ACRE_OK);
}

/* Frees and makes at random, with what the kind of pool allows, and looks at the contents of all. */
static void buffers_live_in_pools_of_each_kind(void **state)
{
    enum { COUNT = 60, STEPS = 300, SLOT = 32768 };
    static const acre_gpu_pool_kind kinds[] = {ACRE_GPU_POOL_GENERAL, ACRE_GPU_POOL_LINEAR, ACRE_GPU_POOL_SLABS};
    const acre_gpu_request any = {.size_bytes = SLOT};
    uint32_t type = 0;
    assert_int_equal(acre_gpu_choose_type(acre_vulkan_gpu(acre), &any, &type), ACRE_OK);
    items_open(acre);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        static item items[COUNT];
        acre_gpu_pool *pool = NULL;
        uint64_t random = 5;
        const acre_gpu_pool_options options = {.kind = (uint8_t)kinds[k],
                                               .type = type,
                                               .block_bytes = 4 << 20,
                                               .block_count_max = kinds[k] == ACRE_GPU_POOL_LINEAR ? 1 : 0,
                                               .slot_bytes = kinds[k] == ACRE_GPU_POOL_SLABS ? SLOT : 0,
                                               .name = "a pool"};
        assert_int_equal(acre_gpu_pool_open(acre_vulkan_gpu(acre), &options, &pool), ACRE_OK);
        for (int i = 0; i < STEPS; i++) {
            /* A linear pool gets room back in the order of a queue. */
            item *const one = &items[kinds[k] == ACRE_GPU_POOL_LINEAR ? (uint64_t)i % COUNT : next_random(&random) % COUNT];
            if (one->memory != 0) {
                assert_true(item_is_intact(one));
                item_destroy(acre, one);
            }
            assert_int_equal(item_make_buffer_in(acre, one, 1 + (uint32_t)(next_random(&random) % SLOT), pool), ACRE_OK);
            item_write(one, (uint32_t)i);
        }
        for (int i = 0; i < COUNT; i++)
            if (items[i].memory != 0) {
                assert_true(item_is_intact(&items[i]));
                item_destroy(acre, &items[i]);
            }
        assert_int_equal(acre_gpu_check(acre_vulkan_gpu(acre)), ACRE_OK);
        assert_int_equal(acre_gpu_pool_close(pool), ACRE_OK);
    }
    items_close();
}

static void a_resource_of_the_program_is_bound_as_well(void **state)
{
    const VkBufferCreateInfo info = buffer_of(10000, TRANSFERS);
    VkBuffer buffer = VK_NULL_HANDLE;
    assert_int_equal(vkCreateBuffer(vulkan.device, &info, NULL, &buffer), VK_SUCCESS);
    acre_gpu_memory memory = 0;
    const acre_gpu_request request = {0};
    assert_int_equal(acre_vulkan_alloc_for_buffer(acre, buffer, &request, &memory), ACRE_OK);
    assert_int_equal(acre_vulkan_bind_buffer(acre, buffer, memory, 0), ACRE_OK);
    vkDestroyBuffer(vulkan.device, buffer, NULL);
    assert_int_equal(acre_gpu_free(acre_vulkan_gpu(acre), memory), ACRE_OK);
}

static void bad_input_is_refused_and_changes_nothing(void **state)
{
    const VkBufferCreateInfo info = buffer_of(100, TRANSFERS), empty = buffer_of(0, TRANSFERS);
    VkBufferCreateInfo sparse = info;
    sparse.flags = VK_BUFFER_CREATE_SPARSE_BINDING_BIT;
    const VkImageCreateInfo no_image = {.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO};
    const acre_gpu_request request = {0};
    const acre_gpu_request no_type = {.required = ACRE_GPU_PROTECTED};
    VkBuffer buffer = VK_NULL_HANDLE;
    VkImage image = VK_NULL_HANDLE;
    acre_gpu_memory memory = 0;
    acre_vulkan *other = NULL;
    assert_int_equal(acre_vulkan_create_buffer(NULL, &info, &request, &buffer, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_buffer(acre, NULL, &request, &buffer, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, NULL, &buffer, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, NULL, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &buffer, NULL), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_buffer(acre, &empty, &request, &buffer, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_buffer(acre, &sparse, &request, &buffer, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &no_type, &buffer, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_image(acre, &no_image, &request, &image, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_image(acre, NULL, &request, &image, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_create_image_in(acre, &no_image, 0, 0, &image), ACRE_INVALID);
    assert_int_equal(acre_vulkan_alloc_for_buffer(acre, VK_NULL_HANDLE, &request, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_alloc_for_image(acre, VK_NULL_HANDLE, &request, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_bind_buffer(acre, VK_NULL_HANDLE, 0, 0), ACRE_INVALID);
    assert_int_equal(acre_vulkan_bind_image(acre, VK_NULL_HANDLE, 0, 0), ACRE_INVALID);
    assert_int_equal(acre_vulkan_open(NULL, &other), ACRE_INVALID);
    assert_int_equal(acre_vulkan_open(&(acre_vulkan_options){.instance = vulkan.instance}, &other), ACRE_INVALID);
    assert_int_equal(acre_vulkan_begin_moves(acre, NULL, NULL, NULL, NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_vulkan_export_fd(acre, 0, VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT, NULL), ACRE_INVALID);
    assert_int_equal(acre_vulkan_import_fd(acre, -1, VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT, &request, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_import_host(acre, NULL, &request, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_open_growing(acre, NULL, &request, vulkan.queue, NULL), ACRE_INVALID);
    assert_int_equal(acre_vulkan_resize_growing(NULL, 1), ACRE_INVALID);
    acre_vulkan_close_growing(NULL);
    acre_vulkan_close_mover(NULL);
    assert_int_equal(acre_vulkan_open_mover(acre, NULL, NULL, NULL), ACRE_INVALID);
    acre_vulkan_cancel_moves(NULL);
    assert_int_equal(acre_vulkan_end_moves(NULL), 0);
    assert_int_equal(acre_vulkan_close(NULL), ACRE_OK);
    assert_int_equal(acre_vulkan_create_buffer_in(acre, &info, 0, 0, &buffer), ACRE_BAD_POINTER);
    assert_true(buffer == VK_NULL_HANDLE && image == VK_NULL_HANDLE && memory == 0 && other == NULL);
}

static void what_was_freed_is_not_freed_again(void **state)
{
    const VkBufferCreateInfo info = buffer_of(100, TRANSFERS);
    const acre_gpu_request request = {0};
    VkBuffer first, second;
    acre_gpu_memory freed, memory;
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &first, &freed), ACRE_OK);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, first, freed), ACRE_OK);
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &second, &memory), ACRE_OK);
    const int32_t objects = calls.object_count;
    assert_int_equal(acre_vulkan_destroy_buffer(acre, second, freed), ACRE_BAD_POINTER); /* and the buffer is still there */
    assert_int_equal(calls.object_count, objects);
    assert_int_equal(acre_vulkan_bind_buffer(acre, second, freed, 0), ACRE_BAD_POINTER);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, second, memory), ACRE_OK);
}

static PFN_vkVoidFunction VKAPI_CALL without_binding(VkDevice device, const char *name)
{
    return strcmp(name, "vkBindBufferMemory2") == 0 ? NULL : vulkan_get_device(device, name);
}

static void a_device_without_the_functions_is_refused(void **state)
{
    acre_vulkan *other = NULL;
    const acre_vulkan_options options = {.instance = vulkan.instance,
                                         .physical_device = vulkan.physical,
                                         .device = vulkan.device,
                                         .get_instance_proc_addr = vkGetInstanceProcAddr,
                                         .get_device_proc_addr = without_binding};
    assert_int_equal(acre_vulkan_open(&options, &other), ACRE_UNSUPPORTED);
    assert_null(other);
    assert_non_null(strstr(acre_last_error(), "vkBindBufferMemory2"));
}

/* Each call that can fail does in its turn; what is left is as before. */
static void each_call_that_fails_leaves_nothing(void **state)
{
    const int32_t objects_before = calls.object_count;
    uint32_t failed = 0;
    for (uint32_t at = 1;; at++) {
        item buffer, image;
        void *pointer = NULL;
        acre_vulkan *const one = open_acre();
        calls.call_count = 0;
        calls.fail_at = at;
        calls.failure = VK_ERROR_OUT_OF_DEVICE_MEMORY;
        const bool has_buffer = item_make_buffer(one, &buffer, 3 << 19) == ACRE_OK;
        const bool has_image = item_make_image(one, &image, 64, 64) == ACRE_OK;
        const bool has_pointer = has_image && acre_gpu_map(acre_vulkan_gpu(one), image.memory, &pointer) == ACRE_OK;
        const bool is_over = calls.call_count < at;
        calls.fail_at = 0;
        failed += !has_buffer || !has_image || !has_pointer;
        if (has_pointer) assert_int_equal(acre_gpu_unmap(acre_vulkan_gpu(one), image.memory), ACRE_OK);
        if (has_buffer) item_destroy(one, &buffer);
        if (has_image) item_destroy(one, &image);
        assert_int_equal(acre_vulkan_close(one), ACRE_OK);
        assert_int_equal(calls.object_count, objects_before);
        if (is_over) break;
    }
    assert_true(failed >= 4);
}

static void a_lost_device_ends_the_request(void **state)
{
    item buffer;
    calls.call_count = 0;
    calls.fail_at = 2; /* vkCreateBuffer, vkAllocateMemory */
    calls.failure = VK_ERROR_DEVICE_LOST;
    const uint32_t before = calls.allocate_count;
    assert_int_equal(item_make_buffer(acre, &buffer, 1000), ACRE_IO);
    calls.fail_at = 0;
    assert_int_equal(calls.allocate_count, before + 1);
    assert_non_null(strstr(acre_last_error(), "lost"));
}

static void the_budget_is_what_the_device_says(void **state)
{
    acre_gpu_figures before, after;
    assert_int_equal(acre_gpu_read_figures(acre_vulkan_gpu(acre), 0, &before), ACRE_OK);
    item buffer;
    assert_int_equal(item_make_buffer(acre, &buffer, 1 << 20), ACRE_OK);
    assert_int_equal(acre_gpu_read_figures(acre_vulkan_gpu(acre), 0, &after), ACRE_OK);
    assert_true(after.limit_bytes > 0);
    assert_true(after.limit_bytes <= acre_gpu_read_device(acre_vulkan_gpu(acre))->heaps[0].size_bytes);
    if ((vulkan.enabled & ACRE_VULKAN_BUDGET) == 0) {
        assert_int_equal(after.used_bytes - before.used_bytes, after.block_bytes - before.block_bytes);
    } else {
        assert_true(after.used_bytes > 0); /* lavapipe: what is used of the whole machine, so the difference may be anything */
    }
    item_destroy(acre, &buffer);
}

/* Blocks of 4 MiB and blocks of their own, in turn, until none is given any more. */
static void what_is_within_the_budget_never_exceeds_it(void **state)
{
    enum { COUNT = 64, BUDGET = 30 << 20 };
    static item items[COUNT];
    assert_int_equal(acre_vulkan_close(acre), ACRE_OK);
    calls.budget_bytes = BUDGET;
    acre = open_acre_with(vulkan.enabled | ACRE_VULKAN_BUDGET);
    calls.allocated_bytes = 0;
    uint32_t refused = 0, given = 0;
    for (int i = 0; i < COUNT; i++) {
        const acre_gpu_request request = {.flags = ACRE_GPU_WITHIN_BUDGET | (i % 3 == 0   ? ACRE_GPU_DEDICATED
                                                                             : i % 3 == 1 ? ACRE_GPU_PREFER_OWN
                                                                                          : 0)};
        const VkBufferCreateInfo info = buffer_of((uint64_t)(1 + i % 5) << 19, TRANSFERS);
        const acre_status status = acre_vulkan_create_buffer(acre, &info, &request, &items[i].buffer, &items[i].memory);
        assert_true(status == ACRE_OK || status == ACRE_NO_MEMORY);
        refused += status != ACRE_OK;
        given += status == ACRE_OK;
        assert_true(calls.allocated_bytes <= BUDGET);
    }
    assert_true(refused > 0 && given > 10);
    const VkBufferCreateInfo info = buffer_of(8 << 20, TRANSFERS);
    const acre_gpu_request whatever = {0}; /* without the flag it may */
    VkBuffer buffer;
    acre_gpu_memory memory;
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &whatever, &buffer, &memory), ACRE_OK);
    assert_true(calls.allocated_bytes > BUDGET);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, buffer, memory), ACRE_OK);
    for (int i = 0; i < COUNT; i++)
        if (items[i].memory != 0) item_destroy(acre, &items[i]);
}

static void a_block_has_the_priority_of_its_request(void **state)
{
    if ((vulkan.enabled & ACRE_VULKAN_PRIORITY) == 0) skip();
    const VkBufferCreateInfo info = buffer_of(1000, TRANSFERS);
    const acre_gpu_request request = {.priority = 0.75f};
    VkBuffer buffer;
    acre_gpu_memory memory;
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &buffer, &memory), ACRE_OK);
    assert_true(calls.last_priority == 0.75f);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, buffer, memory), ACRE_OK);
}

static void memory_goes_from_one_manager_to_another(void **state)
{
    if ((vulkan.enabled & ACRE_VULKAN_FD) == 0) skip();
    const VkExternalMemoryHandleTypeFlagBits kind = VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT;
    const VkExternalMemoryBufferCreateInfo external = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, .handleTypes = kind};
    const VkExportMemoryAllocateInfo export = {.sType = VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO, .handleTypes = kind};
    VkBufferCreateInfo info = buffer_of(65536, TRANSFERS);
    info.pNext = &external;
    const acre_gpu_request request = {.host_access = ACRE_GPU_HOST_READS, .extension = &export};
    VkBuffer buffer, same = VK_NULL_HANDLE;
    acre_gpu_memory memory, imported = 0;
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &buffer, &memory), ACRE_OK);
    acre_gpu_memory_info place;
    assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), memory, &place), ACRE_OK);
    int fd = -1;
    assert_int_equal(acre_vulkan_export_fd(acre, memory, kind, &fd), ACRE_OK);
    const acre_gpu_request of_same = {.size_bytes = place.size_bytes, .type_mask = 1u << place.type, .host_access = ACRE_GPU_HOST_READS};
    assert_int_equal(acre_vulkan_import_fd(acre, fd, kind, &of_same, &imported), ACRE_OK);
    assert_int_equal(acre_vulkan_create_buffer_in(acre, &info, imported, 0, &same), ACRE_OK);
    void *written = NULL, *read = NULL;
    assert_int_equal(acre_gpu_map(acre_vulkan_gpu(acre), memory, &written), ACRE_OK);
    assert_int_equal(acre_gpu_map(acre_vulkan_gpu(acre), imported, &read), ACRE_OK);
    memset(written, 0x5A, 65536);
    assert_int_equal(((unsigned char *)read)[65535], 0x5A);
    assert_int_equal(acre_gpu_unmap(acre_vulkan_gpu(acre), memory), ACRE_OK);
    assert_int_equal(acre_gpu_unmap(acre_vulkan_gpu(acre), imported), ACRE_OK);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, same, imported), ACRE_OK);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, buffer, memory), ACRE_OK);
}

static void memory_of_the_host_becomes_the_devices_without_a_copy(void **state)
{
    if ((vulkan.enabled & ACRE_VULKAN_HOST_POINTER) == 0) skip();
    enum { BYTES = 65536 };
    const VkExternalMemoryBufferCreateInfo external = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
                                                       .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT};
    VkBufferCreateInfo info = buffer_of(BYTES, TRANSFERS);
    info.pNext = &external;
    uint32_t *const words = aligned_alloc(65536, BYTES);
    acre_gpu_memory memory = 0;
    VkBuffer buffer = VK_NULL_HANDLE;
    const acre_gpu_request request = {.size_bytes = BYTES};
    assert_int_equal(acre_vulkan_import_host(acre, words + 1, &request, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_import_host(acre, words, &(acre_gpu_request){.size_bytes = BYTES - 1}, &memory), ACRE_INVALID);
    assert_int_equal(acre_vulkan_import_host(acre, words, &request, &memory), ACRE_OK);
    assert_int_equal(acre_vulkan_create_buffer_in(acre, &info, memory, 0, &buffer), ACRE_OK);
    memset(words, 0, BYTES);
    VkCommandBuffer commands = vulkan_begin();
    vkCmdFillBuffer(commands, buffer, 0, VK_WHOLE_SIZE, 0xC0FFEE);
    vulkan_submit(commands);
    for (int i = 0; i < BYTES / 4; i++) assert_int_equal(words[i], 0xC0FFEE);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, buffer, memory), ACRE_OK);
    free(words);
}

static void a_space_is_copied_by_the_device(void **state)
{
    enum { BYTES = 5 * 65536, CUT = 777 };
    acre_space space;
    acre_addr from = 0, to = 0;
    void *written = NULL, *read = NULL;
    const acre_gpu_request visible = {.size_bytes = 1, .host_access = ACRE_GPU_HOST_READS};
    uint32_t type = 0;
    assert_int_equal(acre_gpu_choose_type(acre_vulkan_gpu(acre), &visible, &type), ACRE_OK);
    assert_int_equal(acre_gpu_open_space(acre_vulkan_gpu(acre), type, &space), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, BYTES, 1, NULL, &from), ACRE_OK);
    assert_int_equal(acre_space_reserve(&space, BYTES, 1, NULL, &to), ACRE_OK);
    assert_int_equal(acre_space_map(&space, from, BYTES, &written), ACRE_OK);
    assert_int_equal(acre_space_map(&space, to, BYTES, &read), ACRE_OK);
    unsigned char *const bytes = written, *const copy = read;
    memset(copy, 0, BYTES);
    for (uint32_t i = 0; i < BYTES; i++) bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    assert_int_equal(acre_space_copy(&space, to + CUT, from + 2 * CUT, BYTES - 2 * CUT), ACRE_OK);
    for (uint32_t i = 0; i < BYTES; i++)
        assert_int_equal(copy[i], i < CUT || i >= BYTES - CUT ? 0 : (unsigned char)((i + CUT) * 2654435761u >> 13));
    const int32_t objects = calls.object_count;
    for (uint32_t at = 1; at <= 5; at++) { /* two buffers, two bindings, one submit */
        calls.call_count = 0;
        calls.fail_at = at;
        calls.failure = VK_ERROR_OUT_OF_DEVICE_MEMORY;
        assert_int_equal(acre_space_copy(&space, to, from, BYTES), ACRE_NO_MEMORY);
        calls.fail_at = 0;
        assert_int_equal(calls.object_count, objects);
    }
    assert_int_equal(acre_space_copy(&space, to, from, BYTES), ACRE_OK);
    assert_memory_equal(copy, bytes, BYTES);
    assert_int_equal(acre_space_unmap(&space, written, BYTES), ACRE_OK);
    assert_int_equal(acre_space_unmap(&space, read, BYTES), ACRE_OK);
    assert_int_equal(acre_space_release(&space, from, BYTES), ACRE_OK);
    assert_int_equal(acre_space_release(&space, to, BYTES), ACRE_OK);
    acre_space_close(&space);
}

/* The device fills the last half of a block, at its frame. */
static void fill_frame(acre_space *space, acre_addr frame, uint32_t value)
{
    enum { BLOCK = ACRE_UM_BLOCK_BYTES };
    acre_gpu_memory memory;
    acre_gpu_memory_info where;
    uint64_t offset;
    const VkBufferCreateInfo info = buffer_of(BLOCK, TRANSFERS);
    VkBuffer buffer;
    VkDeviceMemory device_memory;
    assert_int_equal(acre_gpu_space_find(space, frame, &memory, &offset), ACRE_OK);
    assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), memory, &where), ACRE_OK);
    assert_int_equal(vkCreateBuffer(vulkan.device, &info, NULL, &buffer), VK_SUCCESS);
    memcpy(&device_memory, &where.handle, sizeof device_memory); /* a pointer or a number, by the machine */
    assert_int_equal(vkBindBufferMemory(vulkan.device, buffer, device_memory, where.offset_bytes + offset), VK_SUCCESS);
    VkCommandBuffer commands = vulkan_begin();
    vkCmdFillBuffer(commands, buffer, BLOCK / 2, BLOCK / 2, value);
    vulkan_submit(commands);
    vkDestroyBuffer(vulkan.device, buffer, NULL);
}

/* Eight blocks, of which the device has room for three, in memory that is coherent or not. */
static void unified_memory_is_in_frames_of_the_device(void **state)
{
    enum { BLOCK = ACRE_UM_BLOCK_BYTES, BLOCKS = 8, PAGE = ACRE_UM_PAGE_BYTES };
    for (unsigned is_incoherent = 0; is_incoherent < 2; is_incoherent++) {
        acre_space space, home;
        acre_um *um;
        unsigned place;
        uint64_t at;
        acre_um_figures figures;
        const acre_gpu_request visible = {.size_bytes = 1, .host_access = ACRE_GPU_HOST_READS};
        uint32_t type;
        if (is_incoherent) {
            assert_int_equal(acre_vulkan_close(acre), ACRE_OK);
            calls.is_incoherent = true;
            acre = open_acre();
        }
        assert_int_equal(acre_gpu_choose_type(acre_vulkan_gpu(acre), &visible, &type), ACRE_OK);
        assert_int_equal(acre_gpu_open_space(acre_vulkan_gpu(acre), type, &space), ACRE_OK);
        assert_int_equal(acre_space_open_pages(&home, NULL), ACRE_OK);
        const acre_um_options options = {.bytes_max = BLOCKS * BLOCK, .home = &home, .rules = {.policy = ACRE_POLICY_FIFO}};
        assert_int_equal(acre_um_open(&options, &um), ACRE_OK);
        const acre_um_place device = {.name = "device", .capacity_bytes = 3 * BLOCK, .space = &space};
        assert_int_equal(acre_um_add_place(um, &device, &place), ACRE_OK);
        assert_int_equal(acre_um_allocate(um, BLOCKS * BLOCK, &at), ACRE_OK);
        assert_int_equal(acre_um_touch(um, ACRE_UM_HOME, at, BLOCKS * BLOCK, true), ACRE_OK);
        for (uint64_t i = 0; i < BLOCKS * BLOCK; i += PAGE) memset(acre_um_pointer(um, ACRE_UM_HOME, at + i), 0x11, PAGE);
        for (uint32_t pass = 1; pass <= 2; pass++) {
            for (uint64_t i = 0; i < BLOCKS; i++) {
                acre_addr frame;
                assert_int_equal(acre_um_touch(um, place, at + i * BLOCK, BLOCK, true), ACRE_OK);
                assert_int_equal(acre_um_frame(um, place, at + i * BLOCK, &frame), ACRE_OK);
                fill_frame(&space, frame, (uint32_t)i * 16 + pass);
            }
        }
        for (uint64_t i = 0; i < BLOCKS * BLOCK; i += PAGE) {
            assert_int_equal(acre_um_touch(um, ACRE_UM_HOME, at + i, PAGE, false), ACRE_OK);
            const uint32_t *const words = acre_um_pointer(um, ACRE_UM_HOME, at + i);
            const uint32_t expected = i % BLOCK < BLOCK / 2 ? 0x11111111 : (uint32_t)(i / BLOCK) * 16 + 2;
            for (unsigned word = 0; word < PAGE / 4; word++) assert_int_equal(words[word], expected);
        }
        assert_int_equal(acre_um_read_figures(um, place, &figures), ACRE_OK);
        assert_int_equal(figures.in_bytes, 2 * BLOCKS * BLOCK);
        assert_int_equal(figures.out_bytes, 2 * BLOCKS * BLOCK);
        assert_true(acre_um_is_valid(um));
        acre_um_close(um);
        acre_space_close(&home);
        acre_space_close(&space);
    }
}

enum { THREADS = 4, ROUNDS = 300, HELD = 16 };

/* Makes, maps, writes and destroys buffers of its own; what it wrote is still there each time. */
static void *work(void *context)
{
    uint64_t random = 1 + (uintptr_t)context;
    uintptr_t wrong = 0;
    struct {
        VkBuffer buffer;
        acre_gpu_memory memory;
        unsigned char *bytes;
        uint64_t size;
    } held[HELD] = {0};
    for (int round = 0; round < ROUNDS + HELD; round++) {
        const int at = round < ROUNDS ? (int)(next_random(&random) % HELD) : round - ROUNDS;
        const unsigned char sign = (unsigned char)(random % 251 + 1);
        if (held[at].bytes != NULL) {
            wrong += held[at].bytes[0] != held[at].bytes[held[at].size - 1];
            wrong += acre_gpu_unmap(acre_vulkan_gpu(acre), held[at].memory) != ACRE_OK;
            wrong += acre_vulkan_destroy_buffer(acre, held[at].buffer, held[at].memory) != ACRE_OK;
            held[at].bytes = NULL;
        }
        if (round >= ROUNDS) continue;
        held[at].size = 1 + next_random(&random) % 100000;
        const VkBufferCreateInfo info = buffer_of(held[at].size, TRANSFERS);
        const acre_gpu_request request = {.host_access = ACRE_GPU_HOST_READS};
        void *pointer = NULL;
        if (acre_vulkan_create_buffer(acre, &info, &request, &held[at].buffer, &held[at].memory) != ACRE_OK ||
            acre_gpu_map(acre_vulkan_gpu(acre), held[at].memory, &pointer) != ACRE_OK)
            return (void *)1;
        held[at].bytes = pointer;
        memset(pointer, sign, held[at].size);
    }
    return (void *)wrong;
}

static void threads_make_and_destroy_at_the_same_time(void **state)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(acre_gpu_check(acre_vulkan_gpu(acre)), ACRE_OK);
}

static uint32_t word_at(VkBuffer buffer, uint64_t offset)
{
    const VkBufferCreateInfo info = buffer_of(4, TRANSFERS);
    const acre_gpu_request request = {.host_access = ACRE_GPU_HOST_READS};
    VkBuffer out;
    acre_gpu_memory memory;
    void *pointer = NULL;
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &out, &memory), ACRE_OK);
    VkCommandBuffer commands = vulkan_begin();
    const VkBufferCopy copy = {.srcOffset = offset, .size = 4};
    vkCmdCopyBuffer(commands, buffer, out, 1, &copy);
    vulkan_submit(commands);
    assert_int_equal(acre_gpu_map(acre_vulkan_gpu(acre), memory, &pointer), ACRE_OK);
    uint32_t word;
    memcpy(&word, pointer, sizeof word);
    assert_int_equal(acre_gpu_unmap(acre_vulkan_gpu(acre), memory), ACRE_OK);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, out, memory), ACRE_OK);
    return word;
}

static void a_buffer_grows_where_it_is(void **state)
{
    if ((vulkan.enabled & ACRE_VULKAN_SPARSE_BINDING) == 0) skip();
    enum { STEP = 1 << 18, STEPS = 8 };
    const VkBufferCreateInfo info = buffer_of((uint64_t)STEP * STEPS, TRANSFERS);
    const acre_gpu_request request = {0};
    acre_vulkan_growing *growing = NULL;
    assert_int_equal(acre_vulkan_open_growing(acre, &info, &request, vulkan.queue, &growing), ACRE_OK);
    VkBuffer buffer = acre_vulkan_growing_buffer(growing);
    assert_int_equal(acre_vulkan_growing_bytes(growing), 0);
    for (uint32_t step = 0; step < STEPS; step++) {
        assert_int_equal(acre_vulkan_resize_growing(growing, (uint64_t)STEP * (step + 1)), ACRE_OK);
        assert_true(acre_vulkan_growing_bytes(growing) >= (uint64_t)STEP * (step + 1));
        VkCommandBuffer commands = vulkan_begin();
        vkCmdFillBuffer(commands, buffer, (uint64_t)STEP * step, STEP, step + 1);
        vulkan_submit(commands);
    }
    for (uint32_t step = 0; step < STEPS; step++) assert_int_equal(word_at(buffer, (uint64_t)STEP * step + STEP - 4), step + 1);
    assert_int_equal(acre_vulkan_resize_growing(growing, (uint64_t)STEP * STEPS + STEP), ACRE_INVALID);
    assert_int_equal(acre_vulkan_resize_growing(growing, STEP), ACRE_OK);
    assert_int_equal(acre_vulkan_growing_bytes(growing), STEP);
    assert_int_equal(word_at(buffer, STEP - 4), 1);
    VkCommandBuffer nothing = vulkan_begin();
    vulkan_submit(nothing);
    /* A call that fails leaves its size as it is. */
    for (uint32_t at = 1; at <= 2; at++) {
        calls.call_count = 0;
        calls.fail_at = at;
        calls.failure = VK_ERROR_OUT_OF_DEVICE_MEMORY;
        assert_int_equal(acre_vulkan_resize_growing(growing, 2 * STEP), ACRE_NO_MEMORY);
        calls.fail_at = 0;
        assert_int_equal(acre_vulkan_growing_bytes(growing), STEP);
    }
    acre_vulkan_close_growing(growing);
}

int main(void)
{
    if (!vulkan_open()) {
        puts("no Vulkan device, or no validation layer: nothing is tested");
        return 77;
    }
#define ONE(name) cmocka_unit_test_setup_teardown(name, open_one, close_one)
    const struct CMUnitTest tests[] = {
        ONE(validation_says_what_is_wrong),
        ONE(buffers_and_images_keep_what_is_written),
        ONE(a_resource_that_requires_it_gets_a_block_of_its_own),
        ONE(memory_of_the_host_is_mapped_and_flushed_by_whole_atoms),
        ONE(resources_share_memory_where_they_fit),
        ONE(a_resource_gets_no_type_that_it_cannot_have),
        ONE(a_resource_is_aligned_as_it_asks_and_as_the_request_asks),
        ONE(a_buffer_has_an_address),
        ONE(buffers_live_in_pools_of_each_kind),
        ONE(a_resource_of_the_program_is_bound_as_well),
        ONE(bad_input_is_refused_and_changes_nothing),
        ONE(what_was_freed_is_not_freed_again),
        ONE(a_device_without_the_functions_is_refused),
        ONE(each_call_that_fails_leaves_nothing),
        ONE(a_lost_device_ends_the_request),
        ONE(the_budget_is_what_the_device_says),
        ONE(what_is_within_the_budget_never_exceeds_it),
        ONE(a_block_has_the_priority_of_its_request),
        ONE(memory_goes_from_one_manager_to_another),
        ONE(memory_of_the_host_becomes_the_devices_without_a_copy),
        ONE(a_space_is_copied_by_the_device),
        ONE(unified_memory_is_in_frames_of_the_device),
        ONE(threads_make_and_destroy_at_the_same_time),
        ONE(a_buffer_grows_where_it_is),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vulkan_close();
    return failed;
}
