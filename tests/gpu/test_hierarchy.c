/* test_hierarchy.c - what is read of a driver, and that a figure which is known is never replaced. */
#include "support/test.h"

#include <acre/gpu_hierarchy.h>
#include <string.h>

typedef struct fake {
    acre_gpu_driver base;
    acre_gpu_device device;
    acre_status status, budget_status;
} fake;

static acre_status query(acre_gpu_driver *driver, acre_gpu_device *device)
{
    const fake *const self = (const fake *)driver;
    *device = self->device;
    return self->status;
}

static acre_status budget(acre_gpu_driver *driver, uint32_t heap, uint64_t *used_bytes, uint64_t *limit_bytes)
{
    const fake *const self = (const fake *)driver;
    *used_bytes = 10 + heap;
    *limit_bytes = 100 + heap;
    return self->budget_status;
}

static const acre_gpu_driver_ops ops = {.size_bytes = sizeof ops, .query = query, .budget = budget};

static fake discrete(void)
{
    return (fake){.base = {.ops = &ops, .name = "fake"},
                  .device = {.name = "discrete",
                             .heap_count = 3,
                             .type_count = 2,
                             .heaps = {{1000, ACRE_GPU_DEVICE_LOCAL}, {5000, 0}, {200, ACRE_GPU_DEVICE_LOCAL}},
                             .types = {{0, ACRE_GPU_DEVICE_LOCAL}, {2, ACRE_GPU_DEVICE_LOCAL | ACRE_GPU_HOST_VISIBLE}},
                             .granularity_bytes = 1024,
                             .atom_bytes = 64}};
}

static void heaps_types_and_budgets_are_those_of_the_driver(void **state)
{
    (void)state;
    fake driver = discrete();
    acre_gpu_hierarchy h = {.heap_count = 0};
    assert_int_equal(acre_gpu_hierarchy_read(&driver.base, &h), ACRE_OK);
    assert_string_equal(h.name, "discrete");
    assert_int_equal(h.heap_count, 3);
    assert_int_equal(h.type_count, 2);
    assert_int_equal(h.types[1].heap, 2);
    assert_int_equal(h.heaps[1].size_bytes.value, 5000);
    assert_int_equal(h.heaps[2].used_bytes.value, 12);
    assert_int_equal(h.heaps[2].limit_bytes.value, 102);
    assert_int_equal(h.atom_bytes.value, 64);
    assert_int_equal(h.granularity_bytes.value, 1024);
    const acre_figure capacity = h.levels[ACRE_GPU_LEVEL_GLOBAL].figures[ACRE_GPU_CAPACITY_BYTES];
    assert_int_equal(capacity.value, 1200); /* without the host's heap */
    assert_int_equal(capacity.source, ACRE_SOURCE_REPORTED);
    for (size_t i = 1; i < ACRE_GPU_LEVEL_COUNT; i++) assert_false(acre_gpu_level_is_known(&h.levels[i]));
}

static void a_budget_that_is_refused_stays_unknown(void **state)
{
    (void)state;
    fake driver = discrete();
    acre_gpu_hierarchy h = {.heap_count = 0};
    driver.budget_status = ACRE_UNSUPPORTED;
    assert_int_equal(acre_gpu_hierarchy_read(&driver.base, &h), ACRE_OK);
    assert_int_equal(h.heaps[0].used_bytes.source, ACRE_SOURCE_UNKNOWN);
    assert_int_equal(h.heaps[0].limit_bytes.source, ACRE_SOURCE_UNKNOWN);
}

static void devices_that_contradict_themselves_are_refused_and_nothing_is_changed(void **state)
{
    (void)state;
    fake driver = discrete();
    acre_gpu_hierarchy h = {.name = "before"};
    driver.device.types[0].heap = 3;
    assert_int_equal(acre_gpu_hierarchy_read(&driver.base, &h), ACRE_INVALID);
    driver = discrete();
    driver.device.heap_count = ACRE_GPU_HEAPS_MAX + 1;
    assert_int_equal(acre_gpu_hierarchy_read(&driver.base, &h), ACRE_INVALID);
    driver = discrete();
    driver.status = ACRE_IO;
    assert_int_equal(acre_gpu_hierarchy_read(&driver.base, &h), ACRE_IO);
    driver.base.ops = NULL;
    assert_int_equal(acre_gpu_hierarchy_read(&driver.base, &h), ACRE_INVALID);
    assert_int_equal(acre_gpu_hierarchy_read(NULL, &h), ACRE_INVALID);
    assert_int_equal(acre_gpu_hierarchy_read(&driver.base, NULL), ACRE_INVALID);
    assert_int_equal(acre_gpu_hierarchy_fill(NULL, &h), ACRE_INVALID);
    assert_int_equal(acre_gpu_hierarchy_fill(&h, NULL), ACRE_INVALID);
    assert_string_equal(h.name, "before");
    assert_int_equal(h.heap_count, 0);
}

static void only_what_is_unknown_is_filled(void **state)
{
    (void)state;
    acre_gpu_hierarchy h = {.unit_count = {4, ACRE_SOURCE_REPORTED}},
                       from = {.unit_count = {9, ACRE_SOURCE_PROFILE}, .warp_items = {32, ACRE_SOURCE_PROFILE}};
    for (size_t i = 0; i < ACRE_GPU_LEVEL_COUNT; i++) {
        for (size_t k = 0; k < ACRE_GPU_FIGURE_COUNT; k++) {
            from.levels[i].figures[k] = (acre_figure){.value = 100 * i + k, .source = ACRE_SOURCE_PROFILE};
            if ((i + k) % 2 == 0) h.levels[i].figures[k] = (acre_figure){.value = 7, .source = ACRE_SOURCE_MEASURED};
        }
    }
    memcpy(from.levels[1].note, "theirs", sizeof "theirs");
    memcpy(from.levels[2].note, "theirs", sizeof "theirs");
    memcpy(h.levels[2].note, "ours", sizeof "ours");
    assert_int_equal(acre_gpu_hierarchy_fill(&h, &from), ACRE_OK);
    for (size_t i = 0; i < ACRE_GPU_LEVEL_COUNT; i++) {
        for (size_t k = 0; k < ACRE_GPU_FIGURE_COUNT; k++) {
            const bool is_ours = (i + k) % 2 == 0;
            assert_int_equal(h.levels[i].figures[k].value, is_ours ? 7 : 100 * i + k);
            assert_int_equal(h.levels[i].figures[k].source, is_ours ? ACRE_SOURCE_MEASURED : ACRE_SOURCE_PROFILE);
        }
    }
    assert_int_equal(h.unit_count.value, 4);
    assert_int_equal(h.warp_items.value, 32);
    assert_string_equal(h.levels[1].note, "theirs");
    assert_string_equal(h.levels[2].note, "ours");
}

static void every_name_is_another_and_none_is_beyond_the_last(void **state)
{
    (void)state;
    for (int i = 0; i < ACRE_GPU_LEVEL_COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(acre_gpu_level_text((acre_gpu_level_kind)i), acre_gpu_level_text((acre_gpu_level_kind)k));
    assert_null(acre_gpu_level_text(ACRE_GPU_LEVEL_COUNT));
    assert_null(acre_gpu_figure_text(ACRE_GPU_FIGURE_COUNT));
    assert_string_equal(acre_gpu_figure_text(ACRE_GPU_LATENCY_NS), "latency_ns");
    assert_string_equal(acre_source_text(ACRE_SOURCE_PROFILE), "profile");
    assert_null(acre_source_text((acre_source)(ACRE_SOURCE_PROFILE + 1)));
    assert_false(acre_gpu_level_is_known(NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(heaps_types_and_budgets_are_those_of_the_driver),
        cmocka_unit_test(a_budget_that_is_refused_stays_unknown),
        cmocka_unit_test(devices_that_contradict_themselves_are_refused_and_nothing_is_changed),
        cmocka_unit_test(only_what_is_unknown_is_filled),
        cmocka_unit_test(every_name_is_another_and_none_is_beyond_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
