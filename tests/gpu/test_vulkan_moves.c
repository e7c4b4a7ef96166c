/* test_vulkan_moves.c - buffers and images move on the device, and keep what is in them; with validation on, synchronization included. */
#include "vulkan_items.h"

enum { BUFFERS = 160, IMAGES = 60, ITEMS = BUFFERS + IMAGES };

static acre_vulkan *acre;
static item items[ITEMS];
static uint32_t moved_count; /* the owner was told of */

static int open_one(void **state)
{
    calls = (vulkan_calls){0};
    moved_count = 0;
    acre = open_acre();
    items_open(acre);
    return 0;
}

static int close_one(void **state)
{
    for (int i = 0; i < ITEMS; i++)
        if (items[i].memory != 0) item_destroy(acre, &items[i]);
    items_close();
    const bool is_closed = acre_vulkan_close(acre) == ACRE_OK;
    if (!is_closed) fprintf(stderr, "%s\n", acre_last_error());
    if (calls.object_count != 0) fprintf(stderr, "%d objects of Vulkan are left\n", calls.object_count);
    if (vulkan.message_count != 0) fprintf(stderr, "%u messages of validation\n", vulkan.message_count);
    return is_closed && calls.object_count == 0 && vulkan.message_count == 0 ? 0 : -1;
}

/* Buffers and images in turn, of which two of three are freed again. */
static void make_holes(uint64_t random)
{
    for (int i = 0; i < ITEMS; i++) {
        if (i % 11 < 8)
            assert_int_equal(item_make_buffer(acre, &items[i], 1 + (uint32_t)(next_random(&random) % 300000)), ACRE_OK);
        else
            assert_int_equal(
                item_make_image(acre, &items[i], 1 + (uint32_t)(next_random(&random) % 200), 1 + (uint32_t)(next_random(&random) % 150)),
                ACRE_OK);
        item_write(&items[i], (uint32_t)i + 1);
    }
    for (int i = 0; i < ITEMS; i++)
        if (next_random(&random) % 3 != 0) item_destroy(acre, &items[i]);
}

static void check_all(void)
{
    for (int i = 0; i < ITEMS; i++)
        if (items[i].memory != 0 && !item_is_intact(&items[i])) fail_msg("item %d has lost what was in it", i);
}

/* ---- the owner ---- */

static bool describe(void *context, acre_gpu_memory memory, acre_vulkan_resource *resource)
{
    acre_gpu_memory_info info;
    assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), memory, &info), ACRE_OK);
    const item *const i = info.user;
    if (i == NULL) return false;
    *resource = (acre_vulkan_resource){.buffer = i->buffer,
                                       .buffer_info = &i->buffer_info,
                                       .image = i->image,
                                       .image_info = &i->image_info,
                                       .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
    return true;
}

static void moved(void *context, acre_gpu_memory memory, const acre_vulkan_resource *before, const acre_vulkan_resource *after)
{
    acre_gpu_memory_info info;
    assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), memory, &info), ACRE_OK);
    item *const i = info.user;
    assert_true(i->memory == memory);
    assert_true(i->buffer == before->buffer && i->image == before->image);
    assert_true((after->buffer != VK_NULL_HANDLE) == (i->buffer != VK_NULL_HANDLE));
    i->buffer = after->buffer;
    i->image = after->image;
    moved_count++;
}

static const acre_vulkan_owner owner = {.describe = describe, .moved = moved};

static uint32_t type_of_items(void)
{
    for (int i = 0; i < ITEMS; i++)
        if (items[i].memory != 0) {
            acre_gpu_memory_info info;
            assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), items[i].memory, &info), ACRE_OK);
            return info.type;
        }
    fail();
    return 0;
}

static acre_gpu_figures figures_now(void)
{
    acre_gpu_figures figures;
    const acre_gpu_device *const device = acre_gpu_read_device(acre_vulkan_gpu(acre));
    assert_int_equal(acre_gpu_read_figures(acre_vulkan_gpu(acre), device->types[type_of_items()].heap, &figures), ACRE_OK);
    return figures;
}

/* One piece: false when there is nothing to move. */
static bool move_some(uint32_t count_max, uint64_t bytes_max, uint64_t *moved_bytes)
{
    const acre_vulkan_moves_options options = {.type = type_of_items(), .move_count_max = count_max, .bytes_max = bytes_max};
    acre_vulkan_moves *moves = NULL;
    acre_gpu_gain gain;
    VkCommandBuffer commands = vulkan_begin();
    assert_int_equal(acre_vulkan_begin_moves(acre, &options, &owner, commands, &moves, &gain), ACRE_OK);
    vulkan_submit(commands);
    if (moves == NULL) return false;
    const uint64_t bytes = acre_vulkan_end_moves(moves);
    assert_true(bytes > 0);
    if (bytes_max > 0) assert_true(bytes <= bytes_max);
    assert_true(bytes <= gain.moved_bytes);
    *moved_bytes += bytes;
    return true;
}

/* ---- tests ---- */

static void what_moves_keeps_what_is_in_it_and_blocks_become_free(void **state)
{
    make_holes(3);
    const acre_gpu_figures before = figures_now();
    uint64_t bytes = 0;
    uint32_t rounds = 0;
    for (; rounds < 1000 && move_some(0, 0, &bytes); rounds++) continue;
    assert_true(rounds < 1000);
    assert_true(moved_count > 20);
    check_all();
    const acre_gpu_figures after = figures_now();
    assert_int_equal(after.memory_bytes, before.memory_bytes);
    assert_true(after.block_bytes < before.block_bytes);
    print_message("%u moves, %llu bytes, %u rounds: %llu blocks became %llu\n", moved_count, (unsigned long long)bytes, rounds,
                  (unsigned long long)before.block_count, (unsigned long long)after.block_count);
}

static void it_works_in_small_pieces_while_the_program_goes_on(void **state)
{
    make_holes(5);
    const acre_gpu_figures before = figures_now();
    uint64_t bytes = 0, random = 9;
    uint32_t rounds = 0;
    for (; rounds < 1000 && move_some(64, 3 << 19, &bytes); rounds++) {
        /* Something is freed, made and written in between. */
        item *const i = &items[next_random(&random) % ITEMS];
        if (i->memory != 0) {
            item_destroy(acre, i);
        } else if (rounds < 20) {
            assert_int_equal(item_make_buffer(acre, i, 1000), ACRE_OK);
            item_write(i, 77);
        }
    }
    print_message("%u rounds, %llu bytes\n", rounds, (unsigned long long)bytes);
    assert_true(rounds > 1 && rounds < 1000);
    check_all();
    assert_true(figures_now().block_bytes < before.block_bytes);
}

/* In one command buffer, where validation follows who writes what: all is written, moves, and is read. */
static void copies_wait_for_what_is_before_and_what_is_behind_waits(void **state)
{
    make_holes(29);
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = 4, .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    const acre_gpu_request request = {.flags = ACRE_GPU_DEDICATED};
    VkBuffer out;
    acre_gpu_memory memory;
    assert_int_equal(acre_vulkan_create_buffer(acre, &info, &request, &out, &memory), ACRE_OK);
    VkCommandBuffer commands = vulkan_begin();
    for (int i = 0; i < ITEMS; i++)
        if (items[i].buffer != VK_NULL_HANDLE && items[i].bytes >= 4)
            vkCmdFillBuffer(commands, items[i].buffer, 0, items[i].bytes / 4 * 4, 1);
    const acre_vulkan_moves_options options = {.type = type_of_items(), .move_count_max = ITEMS};
    acre_vulkan_moves *moves = NULL;
    calls.last_buffer = VK_NULL_HANDLE;
    assert_int_equal(acre_vulkan_begin_moves(acre, &options, &owner, commands, &moves, NULL), ACRE_OK);
    assert_true(calls.last_buffer != VK_NULL_HANDLE);
    const VkBufferCopy word = {.size = 4};
    vkCmdCopyBuffer(commands, calls.last_buffer, out, 1, &word);
    vulkan_submit(commands);
    assert_true(acre_vulkan_end_moves(moves) > 0);
    assert_int_equal(acre_vulkan_destroy_buffer(acre, out, memory), ACRE_OK);
    for (int i = 0; i < ITEMS; i++)
        if (items[i].buffer != VK_NULL_HANDLE) item_write(&items[i], 5);
    check_all();
}

static void moves_that_are_cancelled_never_were(void **state)
{
    make_holes(11);
    const int32_t objects = calls.object_count;
    acre_vulkan_moves *moves = NULL, *second = NULL;
    const acre_vulkan_moves_options options = {.type = type_of_items()};
    VkCommandBuffer commands = vulkan_begin();
    assert_int_equal(acre_vulkan_begin_moves(acre, &options, &owner, commands, &moves, NULL), ACRE_OK);
    assert_non_null(moves);
    assert_true(calls.object_count > objects);
    assert_int_equal(acre_vulkan_begin_moves(acre, &options, &owner, commands, &second, NULL), ACRE_BUSY);
    assert_null(second);
    assert_int_equal(vkEndCommandBuffer(commands), VK_SUCCESS);
    vkFreeCommandBuffers(vulkan.device, vulkan.pool, 1, &commands);
    acre_vulkan_cancel_moves(moves);
    assert_int_equal(calls.object_count, objects);
    assert_int_equal(moved_count, 0);
    check_all();
    uint64_t bytes = 0;
    assert_true(move_some(0, 0, &bytes)); /* and they can be planned again */
    check_all();
}

static acre_vulkan_mover *open_mover(uint64_t bytes_max)
{
    acre_vulkan_mover *mover = NULL;
    const acre_vulkan_moves_options options = {.type = type_of_items(), .bytes_max = bytes_max, .move_count_max = ITEMS};
    assert_int_equal(acre_vulkan_open_mover(acre, &options, &owner, &mover), ACRE_OK);
    return mover;
}

static acre_vulkan_mover_figures run_job(acre_vulkan_mover *mover)
{
    acre_scheduler scheduler;
    acre_job *const job = acre_vulkan_mover_job(mover);
    assert_int_equal(acre_scheduler_init(&scheduler), ACRE_OK);
    assert_int_equal(acre_scheduler_add(&scheduler, job), ACRE_OK);
    acre_scheduler_ask(&scheduler, job);
    while (acre_scheduler_step(&scheduler, 1000000) != UINT64_MAX) continue;
    assert_int_equal(acre_scheduler_remove(&scheduler, job), ACRE_OK);
    acre_vulkan_mover_figures figures;
    acre_vulkan_read_mover(mover, &figures);
    return figures;
}

static void a_job_moves_piece_by_piece(void **state)
{
    make_holes(31);
    const acre_gpu_figures before = figures_now();
    acre_vulkan_mover *const mover = open_mover(3 << 19);
    const acre_vulkan_mover_figures figures = run_job(mover);
    acre_vulkan_close_mover(mover);
    assert_int_equal(figures.status, ACRE_OK);
    assert_true(figures.piece_count > 2);
    assert_true(figures.moved_bytes > 0 && figures.moved_bytes <= figures.piece_count * (3 << 19));
    assert_true(figures_now().block_bytes < before.block_bytes);
    check_all();
}

static void a_job_whose_piece_fails_says_so_and_can_be_asked_again(void **state)
{
    make_holes(37);
    acre_vulkan_mover *const mover = open_mover(0);
    const int32_t objects = calls.object_count;
    /* The last call of a piece is vkQueueSubmit, so count the calls of one that goes well first, and cancel it. */
    acre_vulkan_moves *moves = NULL;
    const acre_vulkan_moves_options options = {.type = type_of_items(), .move_count_max = ITEMS};
    VkCommandBuffer commands = vulkan_begin();
    calls.call_count = 0;
    assert_int_equal(acre_vulkan_begin_moves(acre, &options, &owner, commands, &moves, NULL), ACRE_OK);
    const uint32_t call_count = calls.call_count;
    assert_int_equal(vkEndCommandBuffer(commands), VK_SUCCESS);
    vkFreeCommandBuffers(vulkan.device, vulkan.pool, 1, &commands);
    acre_vulkan_cancel_moves(moves);

    calls.call_count = 0;
    calls.fail_at = call_count + 1;
    calls.failure = VK_ERROR_DEVICE_LOST;
    assert_int_equal(run_job(mover).status, ACRE_IO);
    calls.fail_at = 0;
    assert_int_equal(calls.object_count, objects);
    assert_int_equal(moved_count, 0);
    check_all();
    assert_int_equal(run_job(mover).status, ACRE_OK);
    assert_true(moved_count > 0);
    acre_vulkan_close_mover(mover);
    check_all();
}

static void a_mover_that_is_closed_ends_what_is_under_way(void **state)
{
    make_holes(41);
    acre_vulkan_mover *const mover = open_mover(0);
    acre_job *const job = acre_vulkan_mover_job(mover);
    assert_int_equal(job->step(job->context, 0), ACRE_JOB_IDLE);
    acre_vulkan_close_mover(mover);
    assert_true(moved_count > 0);
    check_all();
}

static void what_the_owner_keeps_stays(void **state)
{
    make_holes(13);
    acre_gpu_memory_info before[ITEMS];
    /* `describe` keeps what belongs to no item. */
    for (int i = 0; i < ITEMS; i++)
        if (items[i].memory != 0) {
            assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), items[i].memory, &before[i]), ACRE_OK);
            assert_int_equal(acre_gpu_set_user(acre_vulkan_gpu(acre), items[i].memory, NULL), ACRE_OK);
        }
    acre_vulkan_moves *moves = NULL;
    const acre_vulkan_moves_options options = {.type = type_of_items()};
    VkCommandBuffer commands = vulkan_begin();
    assert_int_equal(acre_vulkan_begin_moves(acre, &options, &owner, commands, &moves, NULL), ACRE_OK);
    vulkan_submit(commands);
    assert_null(moves);
    for (int i = 0; i < ITEMS; i++)
        if (items[i].memory != 0) {
            acre_gpu_memory_info after;
            assert_int_equal(acre_gpu_read_memory(acre_vulkan_gpu(acre), items[i].memory, &after), ACRE_OK);
            assert_true(after.handle == before[i].handle && after.offset_bytes == before[i].offset_bytes);
        }
    check_all();
}

static void a_buffer_that_cannot_be_copied_stays(void **state)
{
    make_holes(17);
    for (int i = 0; i < ITEMS; i++)
        if (items[i].buffer != VK_NULL_HANDLE) items[i].buffer_info.usage &= ~(VkBufferUsageFlags)VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
    VkBuffer before[ITEMS];
    for (int i = 0; i < ITEMS; i++) before[i] = items[i].buffer;
    uint64_t bytes = 0;
    assert_true(move_some(ITEMS, 0, &bytes)); /* images do */
    for (int i = 0; i < ITEMS; i++) assert_true(items[i].buffer == before[i]);
    check_all();
}

static bool describe_as_undefined(void *context, acre_gpu_memory memory, acre_vulkan_resource *resource)
{
    if (!describe(context, memory, resource)) return false;
    if (resource->image != VK_NULL_HANDLE) resource->layout = VK_IMAGE_LAYOUT_UNDEFINED;
    return true;
}

static void an_image_whose_contents_are_not_needed_moves_without_them(void **state)
{
    make_holes(23);
    VkImage before[ITEMS];
    for (int i = 0; i < ITEMS; i++) before[i] = items[i].image;
    const acre_vulkan_owner careless = {.describe = describe_as_undefined, .moved = moved};
    const acre_vulkan_moves_options options = {.type = type_of_items(), .move_count_max = ITEMS};
    acre_vulkan_moves *moves = NULL;
    VkCommandBuffer commands = vulkan_begin();
    assert_int_equal(acre_vulkan_begin_moves(acre, &options, &careless, commands, &moves, NULL), ACRE_OK);
    vulkan_submit(commands);
    assert_true(acre_vulkan_end_moves(moves) > 0);
    uint32_t image_count = 0;
    for (int i = 0; i < ITEMS; i++)
        if (items[i].image != before[i]) {
            item_write(&items[i], 99);
            image_count++;
        }
    assert_true(image_count > 0);
    check_all();
}

static void a_resource_that_cannot_be_made_anew_stays(void **state)
{
    make_holes(19);
    uint32_t failed = 0;
    for (uint32_t at = 1; at < 40; at++) {
        calls.call_count = 0;
        calls.fail_at = at;
        calls.failure = VK_ERROR_OUT_OF_DEVICE_MEMORY;
        const int32_t objects = calls.object_count;
        const acre_vulkan_moves_options options = {.type = type_of_items(), .move_count_max = 16};
        acre_vulkan_moves *moves = NULL;
        VkCommandBuffer commands = vulkan_begin();
        assert_int_equal(acre_vulkan_begin_moves(acre, &options, &owner, commands, &moves, NULL), ACRE_OK);
        failed += calls.call_count >= at;
        calls.fail_at = 0;
        assert_int_equal(vkEndCommandBuffer(commands), VK_SUCCESS);
        vkFreeCommandBuffers(vulkan.device, vulkan.pool, 1, &commands);
        acre_vulkan_cancel_moves(moves);
        assert_int_equal(calls.object_count, objects);
    }
    assert_true(failed > 10);
    calls.call_count = 0;
    calls.fail_at = 2; /* the first cannot be bound, all others move */
    uint64_t bytes = 0;
    assert_true(move_some(16, 0, &bytes));
    calls.fail_at = 0;
    check_all();
}

int main(int argument_count, char **arguments)
{
    const bool must_fail = argument_count > 1 && strcmp(arguments[1], "--must-fail") == 0; /* a bug is planted */
    if (must_fail && (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL))
        return 2; /* a failure is no news */
    if (!vulkan_open()) {
        puts("no Vulkan device, or no validation layer: nothing is tested");
        return 77;
    }
#define ONE(name) cmocka_unit_test_setup_teardown(name, open_one, close_one)
    const struct CMUnitTest tests[] = {
        ONE(what_moves_keeps_what_is_in_it_and_blocks_become_free),
        ONE(it_works_in_small_pieces_while_the_program_goes_on),
        ONE(copies_wait_for_what_is_before_and_what_is_behind_waits),
        ONE(moves_that_are_cancelled_never_were),
        ONE(a_job_moves_piece_by_piece),
        ONE(a_job_whose_piece_fails_says_so_and_can_be_asked_again),
        ONE(a_mover_that_is_closed_ends_what_is_under_way),
        ONE(what_the_owner_keeps_stays),
        ONE(a_buffer_that_cannot_be_copied_stays),
        ONE(an_image_whose_contents_are_not_needed_moves_without_them),
        ONE(a_resource_that_cannot_be_made_anew_stays),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vulkan_close();
    return must_fail ? failed == 0 : failed;
}
