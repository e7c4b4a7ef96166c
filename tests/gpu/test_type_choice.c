/* test_type_choice.c - the order of memory types: the table of devices and uses, and what holds for any device and request. */
#include "support/test.h"

#include "gpu/type_choice.h"
#include "type_table.h"

static acre_gpu_device device_of(const table_device *made_up)
{
    acre_gpu_device device = {
        .heap_count = made_up->heap_count, .type_count = made_up->type_count, .is_integrated = made_up->is_integrated};
    memcpy(device.heaps, made_up->heaps, sizeof made_up->heaps);
    memcpy(device.types, made_up->types, sizeof made_up->types);
    return device;
}

static acre_gpu_request request_of(const table_use *use)
{
    return (acre_gpu_request){.size_bytes = use->size_bytes,
                              .host_access = (uint8_t)use->host_access,
                              .prefer = (uint8_t)use->prefer,
                              .flags = use->is_transfer_only ? ACRE_GPU_TRANSFER_ONLY : 0,
                              .preferred = use->is_transient ? ACRE_GPU_LAZY : 0};
}

static void the_first_type_is_that_of_the_table(void **state)
{
    for (int d = 0; d < TABLE_DEVICES; d++)
        for (int u = 0; u < TABLE_USES; u++) {
            const acre_gpu_device device = device_of(&table_devices[d]);
            const acre_gpu_request request = request_of(&table_uses[u]);
            uint8_t order[ACRE_GPU_TYPES_MAX];
            const uint32_t count = acre_gpu_order_types(&device, &request, order);
            const int first = count == 0 ? TABLE_NONE : order[0];
            const table_choice *const choice = &table_choices[d][u];
            if (first != choice->acre) fail_msg("%s, %s: type %d, not %d", table_devices[d].name, table_uses[u].name, first, choice->acre);
            assert_int_equal(choice->acre == choice->vma, choice->reason == NULL);
        }
}

/* A device that contradicts itself in nothing, and is otherwise any. */
static acre_gpu_device any_device(uint64_t *random)
{
    acre_gpu_device device = {.heap_count = 1 + (uint32_t)(next_random(random) % ACRE_GPU_HEAPS_MAX),
                              .type_count = (uint32_t)(next_random(random) % (ACRE_GPU_TYPES_MAX + 1)),
                              .is_integrated = next_random(random) % 2 == 0};
    for (uint32_t i = 0; i < device.heap_count; i++) device.heaps[i].size_bytes = TABLE_MIB << next_random(random) % 12;
    for (uint32_t i = 0; i < device.type_count; i++)
        device.types[i] = (acre_gpu_type){.heap = (uint32_t)(next_random(random) % device.heap_count),
                                          .flags = (uint32_t)next_random(random) & (next_random(random) % 4 == 0 ? 0xFFu : 0xFu)};
    return device;
}

static acre_gpu_request any_request(uint64_t *random)
{
    return (acre_gpu_request){
        .size_bytes = TABLE_MIB << next_random(random) % 8,
        .host_access = (uint8_t)(next_random(random) % 4),
        .prefer = (uint8_t)(next_random(random) % 3),
        .flags = next_random(random) % 2 == 0 ? ACRE_GPU_TRANSFER_ONLY : 0,
        .type_mask = next_random(random) % 2 == 0 ? 0 : (uint32_t)next_random(random),
        .required = next_random(random) % 2 == 0 ? 0 : 1u << next_random(random) % 8,
        .preferred = next_random(random) % 2 == 0 ? 0 : 1u << next_random(random) % 8,
    };
}

static bool must_be_visible(const acre_gpu_request *request)
{
    return request->host_access == ACRE_GPU_HOST_WRITES || request->host_access == ACRE_GPU_HOST_READS;
}

static void each_type_that_is_given_may_be_taken_and_comes_once(void **state)
{
    uint64_t random = 1;
    uint32_t given = 0;
    for (int round = 0; round < 20000; round++) {
        const acre_gpu_device device = any_device(&random);
        const acre_gpu_request request = any_request(&random);
        uint8_t order[ACRE_GPU_TYPES_MAX];
        const uint32_t count = acre_gpu_order_types(&device, &request, order);
        assert_true(count <= device.type_count);
        uint32_t seen = 0;
        bool was_small = false;
        for (uint32_t i = 0; i < count; i++) {
            assert_true(order[i] < device.type_count);
            assert_int_equal(seen >> order[i] & 1, 0);
            seen |= 1u << order[i];
            const acre_gpu_type *const type = &device.types[order[i]];
            assert_true(request.type_mask == 0 || (request.type_mask >> order[i] & 1) != 0);
            assert_int_equal(request.required & ~type->flags, 0);
            assert_true(!must_be_visible(&request) || (type->flags & ACRE_GPU_HOST_VISIBLE) != 0);
            assert_true(device.heaps[type->heap].size_bytes >= request.size_bytes);
            assert_true((type->flags & ACRE_GPU_PROTECTED) == 0 || ((request.required | request.preferred) & ACRE_GPU_PROTECTED) != 0);
            /* Once a small heap was given, only small ones follow. */
            const bool is_small = device.heaps[type->heap].size_bytes < ACRE_GPU_HEAP_BYTES_SMALL;
            assert_true(is_small || !was_small);
            was_small = is_small;
        }
        given += count;
    }
    assert_true(given > 20000); /* the test is about something */
}

static void a_small_heap_is_taken_when_no_other_will_do(void **state)
{
    uint8_t order[ACRE_GPU_TYPES_MAX];
    const acre_gpu_device device = device_of(&table_devices[4]);
    const acre_gpu_request request = {.size_bytes = TABLE_MIB, .type_mask = 1};
    assert_int_equal(acre_gpu_order_types(&device, &request, order), 1);
    assert_int_equal(order[0], 0);
}

static void what_no_heap_can_hold_has_no_type(void **state)
{
    uint8_t order[ACRE_GPU_TYPES_MAX];
    const acre_gpu_request request = {.size_bytes = (uint64_t)1 << 40};
    for (int d = 0; d < TABLE_DEVICES; d++) {
        const acre_gpu_device device = device_of(&table_devices[d]);
        assert_int_equal(acre_gpu_order_types(&device, &request, order), 0);
    }
}

static void others_follow_in_the_order_of_what_they_miss(void **state)
{
    uint8_t order[ACRE_GPU_TYPES_MAX];
    const acre_gpu_device device = device_of(&table_devices[2]);
    const acre_gpu_request uniforms = {.size_bytes = TABLE_MIB, .host_access = ACRE_GPU_HOST_WRITES};
    /* The window into the device's memory, then the host's memory, then that which is cached. */
    assert_int_equal(acre_gpu_order_types(&device, &uniforms, order), 3);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[2], 3);
}

static void types_of_amd_come_when_they_are_named(void **state)
{
    uint8_t order[ACRE_GPU_TYPES_MAX];
    const acre_gpu_device device = device_of(&table_devices[1]);
    acre_gpu_request request = {.size_bytes = TABLE_MIB};
    assert_int_equal(acre_gpu_order_types(&device, &request, order), 4);
    request.required = ACRE_GPU_DEVICE_COHERENT;
    request.preferred = ACRE_GPU_DEVICE_UNCACHED;
    assert_int_equal(acre_gpu_order_types(&device, &request, order), 4);
    assert_int_equal(order[0], 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_type_is_that_of_the_table),
        cmocka_unit_test(each_type_that_is_given_may_be_taken_and_comes_once),
        cmocka_unit_test(a_small_heap_is_taken_when_no_other_will_do),
        cmocka_unit_test(what_no_heap_can_hold_has_no_type),
        cmocka_unit_test(others_follow_in_the_order_of_what_they_miss),
        cmocka_unit_test(types_of_amd_come_when_they_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
