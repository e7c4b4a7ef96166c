/* test_ring.c - rings over every kind of space against the simplest model, with two threads, their order, their errors. */
#include "support/blocks.h"
#include "support/spaces.h"
#include "support/test.h"

#include <acre/guard.h>
#include <acre/ring.h>
#include <pthread.h>
#include <sched.h>

enum { STEP_COUNT = 40000 };
#define SPACE_BYTES ((uint64_t)1 << 20)

typedef struct fixture {
    acre_space space;
    acre_space meta_space;
    acre_ring ring;
    model_blocks model;
    size_t published;
} fixture;

static void alloc_one(fixture *f, uint64_t number)
{
    const uint64_t size = number % 32 == 0 ? (number >> 8) % 20000 : (number >> 8) % (number % 3 == 0 ? 2000 : 60);
    const bool is_plain = f->model.has_memory && number % 4 != 0;
    const uint64_t alignment = is_plain ? 16 : (uint64_t)1 << (number >> 50) % 9;
    const acre_addr block =
        is_plain ? (acre_addr)(uintptr_t)acre_ring_alloc(&f->ring, (size_t)size) : acre_ring_alloc_address(&f->ring, size, alignment);
    if (block != 0) {
        model_add(&f->model, block, size, alignment > 16 ? alignment : 16, (uint8_t)number);
        return;
    }
    assert_int_equal(acre_last_status(), ACRE_BUSY);
    /* Full means full: no place that is long enough lies behind the newest block or in front of the oldest. */
    assert_true(f->model.count > 0);
    const acre_addr oldest = f->model.blocks[0].base;
    const bool is_behind = f->ring.next > oldest;
    const uint64_t longest =
        is_behind ? (f->ring.limit - f->ring.next > oldest - f->ring.base ? f->ring.limit - f->ring.next : oldest - f->ring.base)
                  : oldest - f->ring.next;
    assert_true(longest < size + alignment + 16 || f->model.count == f->ring.mask + 1);
}

static void free_oldest(fixture *f, uint64_t number)
{
    acre_block oldest = {0};
    acre_block other = {0};
    assert_true(acre_ring_peek(&f->ring, 0, &oldest));
    assert_true(oldest.base == f->model.blocks[0].base && oldest.size_bytes == f->model.blocks[0].size);
    const size_t ahead = (size_t)((number >> 8) % f->published);
    assert_true(acre_ring_peek(&f->ring, ahead, &other) && other.base == f->model.blocks[ahead].base);
    assert_false(acre_ring_peek(&f->ring, f->published, &other));
    if (ahead > 0) assert_int_equal(acre_ring_free(&f->ring, other.base), ACRE_BAD_POINTER);
    model_shift(&f->model);
    f->published--;
    assert_int_equal(acre_ring_free(&f->ring, oldest.base), ACRE_OK);
}

static void a_ring_behaves_like_the_model_over(acre_space_kind kind)
{
    fixture *const f = calloc(1, sizeof *f);
    assert_int_equal(test_space_open(&f->space, kind, SPACE_BYTES), ACRE_OK);
    assert_int_equal(acre_space_open_pages(&f->meta_space, NULL), ACRE_OK);
    model_open(&f->model, &f->space);
    const acre_ring_options options = {.space = &f->space, .meta_space = &f->meta_space, .size_bytes = 40000, .block_count_max = 100};
    assert_int_equal(acre_ring_create(&options, &f->ring), ACRE_OK);
    assert_int_equal(f->ring.mask, 127);
    uint64_t random = 31 + (uint64_t)kind;
    for (int step = 0; step < STEP_COUNT; step++) {
        const uint64_t number = next_random(&random);
        const bool is_growing = (step / 300) % 2 == 0;
        if (number % 100 < (is_growing ? 65u : 30u)) {
            alloc_one(f, number >> 8);
        } else if (number % 100 < 75 || f->published == 0) {
            acre_ring_publish(&f->ring);
            f->published = f->model.count;
        } else {
            free_oldest(f, number >> 8);
        }
        assert_true(acre_ring_is_valid(&f->ring));
    }
    acre_ring_destroy(&f->ring);
    if (f->space.size_bytes != 0) assert_int_equal(f->space.reserved_bytes, 0);
    acre_space_close(&f->meta_space);
    test_space_close(&f->space);
    free(f);
}

#define OVER(kind, name)                                                                                                                   \
    static void a_ring_behaves_like_the_model_over_##name(void **state)                                                                    \
    {                                                                                                                                      \
        (void)state;                                                                                                                       \
        a_ring_behaves_like_the_model_over(kind);                                                                                          \
    }
OVER(ACRE_SPACE_PAGES, pages)
OVER(ACRE_SPACE_STATIC, a_static_array)
OVER(ACRE_SPACE_FILE, a_file)
OVER(ACRE_SPACE_SHARED, shared_memory)
OVER(ACRE_SPACE_RESERVED, memory_that_faults)
OVER(ACRE_SPACE_HANDLE, numbers_that_are_no_addresses)

/* A ring over an array of the caller, records included: 16 blocks at most, in 1024 bytes. */
static _Alignas(16) char bytes[1024 + 16 * sizeof(acre_ring_record)];
static acre_space array;
static acre_ring ring;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(acre_space_open_static(&array, bytes, sizeof bytes), ACRE_OK);
    assert_int_equal(acre_ring_create(&(acre_ring_options){.space = &array, .name = "small", .block_count_max = 16}, &ring), ACRE_OK);
    assert_int_equal(ring.limit - ring.base, 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(acre_ring_is_valid(&ring));
    acre_ring_destroy(&ring);
    assert_int_equal(array.reserved_bytes, 0);
    acre_space_close(&array);
    return 0;
}

static void a_block_is_never_split_and_full_is_an_error(void **state)
{
    (void)state;
    char *const first = acre_ring_alloc(&ring, 400);
    char *const second = acre_ring_alloc(&ring, 400);
    acre_ring_publish(&ring);
    assert_ptr_equal(second, first + 400);
    assert_null(acre_ring_alloc(&ring, 400));
    assert_int_equal(acre_last_status(), ACRE_BUSY);
    assert_string_equal(acre_last_error(),
                        "ring 'small': 400 bytes aligned to 16 asked for: of 1024 are free 224 behind the newest block and 0 "
                        "at the beginning");
    assert_int_equal(acre_ring_free(&ring, (uintptr_t)first), ACRE_OK);
    assert_ptr_equal(acre_ring_alloc(&ring, 400), first); /* 624 bytes are free, and not in one piece */
    assert_null(acre_ring_alloc(&ring, 1));
    assert_int_equal(acre_ring_free(&ring, (uintptr_t)second), ACRE_OK);
    assert_ptr_equal(acre_ring_alloc(&ring, 620), first + 400);
    assert_null(acre_ring_alloc(&ring, 0));
}

static void one_block_may_take_all_of_it_and_more_is_no_memory(void **state)
{
    (void)state;
    assert_null(acre_ring_alloc(&ring, 1025));
    assert_int_equal(acre_last_status(), ACRE_NO_MEMORY);
    void *const all = acre_ring_alloc(&ring, 1024);
    assert_non_null(all);
    assert_null(acre_ring_alloc(&ring, 1));
    acre_ring_publish(&ring);
    assert_int_equal(acre_ring_free(&ring, (uintptr_t)all), ACRE_OK);
    assert_non_null(acre_ring_alloc(&ring, 1024));
}

static void more_blocks_than_records_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) assert_non_null(acre_ring_alloc(&ring, 16));
    assert_null(acre_ring_alloc(&ring, 16));
    assert_int_equal(acre_last_status(), ACRE_BUSY);
    assert_non_null(strstr(acre_last_error(), "all of its 16 blocks"));
    acre_ring_publish(&ring);
    assert_int_equal(acre_ring_free(&ring, ring.base), ACRE_OK);
    assert_non_null(acre_ring_alloc(&ring, 16));
    assert_null(acre_ring_alloc(&ring, 16));
}

static void what_is_not_published_is_nobodys(void **state)
{
    (void)state;
    acre_block block = {0};
    const acre_addr first = (uintptr_t)acre_ring_alloc(&ring, 10);
    assert_false(acre_ring_peek(&ring, 0, &block));
    assert_int_equal(acre_ring_free(&ring, first), ACRE_BAD_POINTER);
    assert_non_null(strstr(acre_last_error(), "no block is published"));
    acre_ring_publish(&ring);
    assert_true(acre_ring_peek(&ring, 0, &block) && block.base == first && block.size_bytes == 10);
    assert_int_equal(acre_ring_free(&ring, first + 16), ACRE_BAD_POINTER);
    assert_non_null(strstr(acre_last_error(), "'small'"));
    assert_int_equal(acre_ring_free(&ring, 0), ACRE_OK);
    assert_int_equal(acre_ring_free(&ring, first), ACRE_OK);
    assert_int_equal(acre_ring_free(&ring, first), ACRE_BAD_POINTER);
}

/* ---- two threads ---- */

enum { MESSAGE_COUNT = 100000 };

static size_t message_length(uint32_t number) { return 4 + number * 7919 % 200; }

static void *produce(void *argument)
{
    (void)argument;
    for (uint32_t number = 0; number < MESSAGE_COUNT;) {
        uint8_t *const message = acre_ring_alloc(&ring, message_length(number));
        if (message == NULL) {
            sched_yield(); /* full */
            continue;
        }
        memset(message, (int)(number & 0xff), message_length(number));
        memcpy(message, &number, sizeof number);
        if (++number % 3 == 0) acre_ring_publish(&ring);
    }
    acre_ring_publish(&ring);
    return NULL;
}

static void messages_of_another_thread_arrive_whole_and_in_order(void **state)
{
    (void)state;
    /* The producer publishes every third, and three always fit. */
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
    uint32_t wrong = 0;
    for (uint32_t expected = 0; expected < MESSAGE_COUNT;) {
        acre_block block;
        if (!acre_ring_peek(&ring, 0, &block)) {
            sched_yield();
            continue;
        }
        uint32_t number;
        const uint8_t *const message = (const uint8_t *)(uintptr_t)block.base;
        memcpy(&number, message, sizeof number);
        if (number != expected || block.size_bytes != message_length(number)) wrong++;
        for (size_t i = sizeof number; i < block.size_bytes; i++) wrong += message[i] != (number & 0xff);
        if (acre_ring_free(&ring, block.base) != ACRE_OK) wrong++;
        expected++;
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_int_equal(wrong, 0);
}

/* ---- the interface ---- */

static int fault_kinds[4];
static int fault_count;

static bool note_fault(void *context, const acre_fault *fault)
{
    (void)context;
    fault_kinds[fault_count++] = (int)fault->kind;
    return true;
}

static bool count_block(void *context, const acre_block *block)
{
    assert_true(block->is_out && block->size_bytes == 112);
    return ++*(int *)context < 3;
}

static void behind_the_interface_a_free_out_of_order_is_a_fault(void **state)
{
    (void)state;
    acre_allocator allocator;
    acre_allocator_figures figures;
    acre_addr blocks[4];
    acre_ring_allocator(&ring, &allocator);
    for (int i = 0; i < 4; i++) blocks[i] = acre_allocator_alloc(&allocator, 100, 16, NULL);
    acre_guard_set_handler(note_fault, NULL);
    acre_allocator_free(&allocator, blocks[1]);
    acre_allocator_free(&allocator, blocks[1] + 16);
    acre_allocator_free(&allocator, 16);
    acre_guard_set_handler(NULL, NULL);
    assert_int_equal(fault_count, 3);
    assert_int_equal(fault_kinds[0], ACRE_FAULT_ORDER_FREE);
    assert_int_equal(fault_kinds[1], ACRE_FAULT_INTERIOR_FREE);
    assert_int_equal(fault_kinds[2], ACRE_FAULT_FOREIGN_FREE);
    int count = 0;
    assert_int_equal(acre_allocator_walk(&allocator, count_block, &count), ACRE_OK);
    assert_int_equal(count, 3);
    for (int i = 0; i < 4; i++) assert_int_equal(acre_allocator_usable_size(&allocator, blocks[i]), 112);
    assert_int_equal(acre_allocator_usable_size(&allocator, blocks[2] + 16), 0);
    assert_int_equal(acre_allocator_read_figures(&allocator, &figures), ACRE_OK);
    assert_true(figures.block_bytes == 448 && figures.committed_bytes == 1024 && figures.meta_bytes == 256);
    for (int i = 0; i < 4; i++) acre_allocator_free(&allocator, blocks[i]);
    assert_int_equal(acre_allocator_usable_size(&allocator, blocks[0]), 0);
    assert_int_equal(acre_allocator_read_figures(&allocator, &figures), ACRE_OK);
    assert_int_equal(figures.block_bytes, 0);
}

static void a_failure_at_any_point_of_create_leaves_nothing_behind(void **state)
{
    (void)state;
    for (uint64_t at = 1; at <= 5; at++) {
        failing_space failing;
        acre_ring made;
        failing_space_open(&failing, 1 << 20);
        failing.failing_call = at;
        const acre_status status = acre_ring_create(&(acre_ring_options){.space = &failing.space}, &made);
        assert_int_equal(status, at <= 4 ? ACRE_NO_MEMORY : ACRE_OK);
        if (at <= 4) assert_null(made.records);
        acre_ring_destroy(&made);
        assert_int_equal(failing.reserved, 0);
        failing_space_close(&failing);
    }
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    acre_space numbers;
    acre_space pages;
    acre_ring made;
    acre_ring zeros = {0};
    acre_allocator_figures figures;
    assert_int_equal(acre_space_open_handles(&numbers, 0, 1 << 20), ACRE_OK); /* its first address is 0, which is no block */
    assert_int_equal(acre_space_open_pages(&pages, NULL), ACRE_OK);
    assert_int_equal(acre_ring_create(NULL, &made), ACRE_INVALID);
    assert_int_equal(acre_ring_create(&(acre_ring_options){.space = &pages}, NULL), ACRE_INVALID);
    const acre_ring_options bad[] = {
        {.space = NULL},
        {.space = &numbers},
        {.space = &pages},
        {.space = &pages, .size_bytes = ACRE_RING_BYTES_MAX + 1},
        {.space = &pages, .size_bytes = 4096, .block_count_max = (1u << 28) + 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(acre_ring_create(&bad[i], &made), ACRE_INVALID);
        assert_non_null(strstr(acre_last_error(), "ring 'ring'"));
        assert_null(made.records);
    }
    assert_int_equal(acre_ring_create(&(acre_ring_options){.space = &numbers, .meta_space = &pages}, &made), ACRE_OK);
    assert_int_equal(made.limit - made.base, (1 << 20) - 16);
    assert_null(acre_ring_alloc(&made, 16));
    assert_int_equal(acre_last_status(), ACRE_UNSUPPORTED);
    assert_true(acre_ring_alloc_address(&made, 16, 0) == 0 && acre_last_status() == ACRE_INVALID);
    assert_true(acre_ring_alloc_address(&made, 16, 12) == 0 && acre_last_status() == ACRE_INVALID);
    assert_true(acre_ring_alloc_address(&made, UINT64_MAX, 16) == 0 && acre_last_status() == ACRE_NO_MEMORY);
    assert_true(acre_ring_alloc_address(&made, 16, (uint64_t)1 << 63) == 0 && acre_last_status() == ACRE_NO_MEMORY);
    assert_int_equal(acre_ring_read_figures(&made, NULL), ACRE_INVALID);
    acre_ring_destroy(&made);

    acre_ring *const none[] = {&made, &zeros, NULL};
    for (size_t i = 0; i < 3; i++) {
        if (none[i] != NULL) assert_null(acre_ring_alloc(none[i], 1));
        if (none[i] != NULL) assert_int_equal(acre_ring_free(none[i], 16), ACRE_INVALID);
        assert_true(acre_ring_alloc_address(none[i], 1, 1) == 0);
        assert_int_equal(acre_ring_read_figures(none[i], &figures), ACRE_INVALID);
        acre_ring_destroy(none[i]);
    }
    acre_space_close(&pages);
    acre_space_close(&numbers);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_behaves_like_the_model_over_pages),
        cmocka_unit_test(a_ring_behaves_like_the_model_over_a_static_array),
        cmocka_unit_test(a_ring_behaves_like_the_model_over_a_file),
        cmocka_unit_test(a_ring_behaves_like_the_model_over_shared_memory),
        cmocka_unit_test(a_ring_behaves_like_the_model_over_memory_that_faults),
        cmocka_unit_test(a_ring_behaves_like_the_model_over_numbers_that_are_no_addresses),
        TEST(a_block_is_never_split_and_full_is_an_error),
        TEST(one_block_may_take_all_of_it_and_more_is_no_memory),
        TEST(more_blocks_than_records_are_refused),
        TEST(what_is_not_published_is_nobodys),
        TEST(messages_of_another_thread_arrive_whole_and_in_order),
        TEST(behind_the_interface_a_free_out_of_order_is_a_fault),
        cmocka_unit_test(a_failure_at_any_point_of_create_leaves_nothing_behind),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
