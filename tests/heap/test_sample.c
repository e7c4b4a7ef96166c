/* test_sample.c - what a sampling heap tells: of every block that it told of it also tells the end, and what it tells stands for
 * what was allocated. */
#include "support/test.h"

#include "heap/heap.h"
#include "heap/sample.h"

enum { BLOCK_COUNT = 2000, STEP_COUNT = 200000, TOLD_COUNT_MAX = 20000, SAMPLE_BYTES = 4096 };

static acre_addr told[TOLD_COUNT_MAX]; /* blocks that are told of and not yet ended */
static size_t told_count;
static uint64_t told_bytes; /* that all samples so far stand for */

static void forget(acre_addr address)
{
    for (size_t i = 0; i < told_count; i++) {
        if (told[i] != address) continue;
        told[i] = told[--told_count];
        return;
    }
    fail_msg("the end of a block is told that was never begun");
}

static void note(const acre_heap_event *event)
{
    if (event->op == ACRE_HEAP_OP_FREE) {
        forget(event->address);
        return;
    }
    if (event->op == ACRE_HEAP_OP_REALLOC && event->old_address != 0) forget(event->old_address);
    assert_true(event->weight_bytes >= event->size_bytes);
    assert_true(told_count < TOLD_COUNT_MAX);
    told[told_count++] = event->address;
    told_bytes += event->weight_bytes;
}

static acre_heap *sampling_heap(void)
{
    acre_heap *heap = NULL;
    assert_int_equal(acre_heap_create(NULL, &heap), ACRE_OK);
    acre_heap_observe(heap, note, SAMPLE_BYTES, false);
    told_count = 0;
    told_bytes = 0;
    return heap;
}

/* The standard error of the sum is sqrt(bytes * SAMPLE_BYTES); five of them are never exceeded. */
static void assert_estimate(uint64_t bytes)
{
    const uint64_t error = told_bytes > bytes ? told_bytes - bytes : bytes - told_bytes;
    assert_true(error / 5 * (error / 5) < bytes * SAMPLE_BYTES * 2);
}

static void what_is_told_begins_and_ends_with_its_block(void **state)
{
    (void)state;
    static void *blocks[BLOCK_COUNT];
    acre_heap *const heap = sampling_heap();
    uint64_t random = 11;
    for (int step = 0; step < STEP_COUNT; step++) {
        const uint64_t number = next_random(&random);
        void **const block = &blocks[number % BLOCK_COUNT];
        const size_t size = 1 + (size_t)(number >> 20) % (number % 64 == 0 ? 300000u : 3000u);
        if (number >> 60 < 6) {
            acre_heap_free(heap, *block);
            *block = NULL;
        } else {
            *block = acre_heap_resize(heap, *block, size);
            assert_non_null(*block);
        }
    }
    assert_true(told_count > 50);
    for (int i = 0; i < BLOCK_COUNT; i++) {
        acre_heap_free(heap, blocks[i]);
        blocks[i] = NULL;
    }
    assert_int_equal(told_count, 0); /* no block that is gone looks like a leak */
    assert_true(acre_heap_is_valid(heap));
    acre_heap_destroy(heap);
}

static void samples_stand_for_what_was_allocated(void **state)
{
    (void)state;
    acre_heap *const heap = sampling_heap();
    uint64_t bytes = 0;
    uint64_t random = 5;
    for (int step = 0; step < STEP_COUNT; step++) {
        /* Sizes of a class each, since a sample is drawn by the class's size. */
        const size_t size = (size_t)16 << next_random(&random) % 13;
        acre_heap_free(heap, acre_heap_alloc(heap, size));
        bytes += size;
    }
    assert_estimate(bytes);
    acre_heap_destroy(heap);
}

static void a_block_that_grows_is_told_of(void **state)
{
    (void)state;
    acre_heap *const heap = sampling_heap();
    void *block = NULL;
    uint64_t bytes = 0;
    for (size_t size = 16; size <= (size_t)64 << 20; size *= 2) { /* from the slots of a span to runs that grow in place and move */
        block = acre_heap_resize(heap, block, size);
        assert_non_null(block);
        bytes += size;
    }
    assert_int_equal(told_count, 1); /* 64 MiB are a sample for certain */
    assert_estimate(bytes);
    acre_heap_free(heap, block);
    assert_int_equal(told_count, 0);
    acre_heap_destroy(heap);
}

static void distances_are_exponential(void **state)
{
    (void)state;
    enum { COUNT = 200000, MEAN = 100000 };
    uint64_t random = 1;
    double sum = 0;
    int above_mean = 0;
    for (int i = 0; i < COUNT; i++) {
        const int64_t distance = acre_sample_distance(&random, MEAN);
        assert_true(distance >= 0);
        sum += (double)distance;
        above_mean += distance > MEAN;
    }
    assert_in_range((uint64_t)(sum / COUNT), MEAN * 98 / 100, MEAN * 102 / 100);
    assert_in_range(above_mean, COUNT * 36 / 100, COUNT * 38 / 100); /* 1/e is 0.368 */
    assert_true(acre_sample_distance(&random, 0) == INT64_MAX);
    assert_in_range(acre_sample_weight(16, 16, MEAN), MEAN * 99 / 100, MEAN * 101 / 100);
    assert_true(acre_sample_weight((uint64_t)1 << 40, (uint64_t)1 << 40, MEAN) == (uint64_t)1 << 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_begins_and_ends_with_its_block),
        cmocka_unit_test(samples_stand_for_what_was_allocated),
        cmocka_unit_test(a_block_that_grows_is_told_of),
        cmocka_unit_test(distances_are_exponential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
