/* test_stack.c - stacks over every kind of space against the simplest model, their order, their scopes, their errors. */
#include "support/blocks.h"
#include "support/spaces.h"
#include "support/test.h"

#include <acre/guard.h>
#include <acre/stack.h>
#include <stdio.h>

enum { STEP_COUNT = 30000 };
#define SPACE_BYTES ((uint64_t)1 << 20)

typedef struct fixture {
    acre_space space;
    acre_space meta_space;
    acre_stack stack;
    model_blocks model;
} fixture;

static void alloc_one(fixture *f, uint64_t number)
{
    const uint64_t size = number % 32 == 0 ? (number >> 8) % 200000 : (number >> 8) % (number % 3 == 0 ? 2000 : 60);
    const bool is_plain = f->model.has_memory && number % 4 != 0;
    const uint64_t alignment = is_plain ? 16 : (uint64_t)1 << (number >> 50) % 12;
    const acre_addr block =
        is_plain ? (acre_addr)(uintptr_t)acre_stack_alloc(&f->stack, (size_t)size) : acre_stack_alloc_address(&f->stack, size, alignment);
    if (block == 0)
        assert_int_equal(acre_last_status(), ACRE_NO_MEMORY);
    else
        model_add(&f->model, block, size, alignment > 16 ? alignment : 16, (uint8_t)number);
}

static void free_one(fixture *f, uint64_t number)
{
    const acre_addr last = f->model.blocks[f->model.count - 1].base;
    if (number % 8 == 0 && f->model.count > 1) { /* any other than the last */
        const acre_addr other = f->model.blocks[(number >> 8) % (f->model.count - 1)].base;
        assert_int_equal(acre_stack_free_address(&f->stack, other), ACRE_BAD_POINTER);
        assert_int_equal(acre_stack_free(&f->stack, (void *)(uintptr_t)(last + 16)), ACRE_BAD_POINTER);
        assert_int_equal(acre_stack_free_address(&f->stack, last + 16), ACRE_BAD_POINTER);
    }
    model_cut(&f->model, f->model.count - 1);
    if (number % 2 == 0)
        assert_int_equal(acre_stack_free_address(&f->stack, last), ACRE_OK);
    else if (number % 3 != 0)
        assert_int_equal(acre_stack_free(&f->stack, (void *)(uintptr_t)last), ACRE_OK);
    else
        assert_int_equal(acre_stack_rewind(&f->stack, acre_stack_position(&f->stack) - 1), ACRE_OK);
}

static void a_stack_behaves_like_the_model_over(acre_space_kind kind)
{
    fixture *const f = calloc(1, sizeof *f);
    assert_int_equal(test_space_open(&f->space, kind, SPACE_BYTES), ACRE_OK);
    assert_int_equal(acre_space_open_pages(&f->meta_space, NULL), ACRE_OK);
    model_open(&f->model, &f->space);
    const acre_stack_options options = {
        .space = &f->space, .meta_space = &f->meta_space, .size_bytes = 400000, .block_count_max = MODEL_BLOCK_COUNT_MAX - 100};
    assert_int_equal(acre_stack_create(&options, &f->stack), ACRE_OK);
    uint64_t random = 5 + (uint64_t)kind;
    for (int step = 0; step < STEP_COUNT; step++) {
        const uint64_t number = next_random(&random);
        const bool is_growing = (step / 700) % 2 == 0;
        if (f->model.count == 0 || number % 100 < (is_growing ? 70u : 30u)) {
            alloc_one(f, number >> 8);
        } else if (number % 500 == 499) {
            const uint32_t count = (uint32_t)((number >> 20) % (f->model.count + 1));
            const acre_addr top = count < f->model.count ? f->model.blocks[count].base : f->stack.top;
            model_cut(&f->model, count);
            assert_int_equal(acre_stack_rewind(&f->stack, count), ACRE_OK);
            assert_true(f->stack.top == top);
        } else {
            free_one(f, number >> 8);
        }
        assert_int_equal(acre_stack_position(&f->stack), f->model.count);
        if (step % 16 == 0) assert_true(acre_stack_is_valid(&f->stack));
        if (f->model.count > 0) {
            const model_block *const any = &f->model.blocks[(number >> 40) % f->model.count];
            acre_block found;
            assert_int_equal(acre_stack_where(&f->stack, any->base + (any->size > 0 ? any->size - 1 : 0), &found), ACRE_OK);
            assert_true(found.base == any->base && found.size_bytes >= any->size && found.is_out);
        }
    }
    acre_stack_destroy(&f->stack);
    if (f->space.size_bytes != 0) assert_int_equal(f->space.reserved_bytes, 0);
    acre_space_close(&f->meta_space);
    test_space_close(&f->space);
    free(f);
}

#define OVER(kind, name)                                                                                                                   \
    static void a_stack_behaves_like_the_model_over_##name(void **state)                                                                   \
    {                                                                                                                                      \
        (void)state;                                                                                                                       \
        a_stack_behaves_like_the_model_over(kind);                                                                                         \
    }
OVER(ACRE_SPACE_PAGES, pages)
OVER(ACRE_SPACE_STATIC, a_static_array)
OVER(ACRE_SPACE_FILE, a_file)
OVER(ACRE_SPACE_SHARED, shared_memory)
OVER(ACRE_SPACE_RESERVED, memory_that_faults)
OVER(ACRE_SPACE_HANDLE, numbers_that_are_no_addresses)

static void records_are_enough_where_addresses_cross_4_gib(void **state)
{
    (void)state;
    acre_space numbers;
    acre_space pages;
    acre_stack made;
    acre_addr blocks[200];
    assert_int_equal(acre_space_open_handles(&numbers, ((acre_addr)1 << 32) - 65536, 1 << 20), ACRE_OK);
    assert_int_equal(acre_space_open_pages(&pages, NULL), ACRE_OK);
    assert_int_equal(acre_stack_create(&(acre_stack_options){.space = &numbers, .meta_space = &pages}, &made), ACRE_OK);
    for (int i = 0; i < 200; i++) blocks[i] = acre_stack_alloc_address(&made, 1000, 16);
    assert_true(blocks[0] < (acre_addr)1 << 32 && blocks[199] > (acre_addr)1 << 32);
    for (int i = 200; i-- > 0;) {
        acre_block found;
        assert_int_equal(acre_stack_where(&made, blocks[i] + 999, &found), ACRE_OK);
        assert_true(found.base == blocks[i]);
        const acre_status status = i % 2 != 0 ? acre_stack_free_address(&made, blocks[i])
                                              : acre_stack_free(&made, (void *)(uintptr_t)blocks[i]);
        assert_int_equal(status, ACRE_OK);
    }
    acre_stack_destroy(&made);
    acre_space_close(&pages);
    acre_space_close(&numbers);
}

/* A stack over an array of the caller, records included. */
static _Alignas(16) char bytes[8192];
static acre_space array;
static acre_stack stack;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(acre_space_open_static(&array, bytes, sizeof bytes), ACRE_OK);
    assert_int_equal(acre_stack_create(&(acre_stack_options){.space = &array, .name = "small"}, &stack), ACRE_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(acre_stack_is_valid(&stack));
    acre_stack_destroy(&stack);
    assert_int_equal(array.reserved_bytes, 0);
    acre_space_close(&array);
    return 0;
}

static void an_overflow_tells_what_was_asked_and_what_is_left(void **state)
{
    (void)state;
    const uint64_t capacity = stack.limit - stack.base;
    assert_int_equal(capacity, 8192 - 8192 / 64 * 4);
    assert_non_null(acre_stack_alloc(&stack, (size_t)capacity - 100));
    assert_null(acre_stack_alloc(&stack, 97));
    assert_int_equal(acre_last_status(), ACRE_NO_MEMORY);
    assert_string_equal(acre_last_error(), "stack 'small': 97 bytes aligned to 16 asked for: 96 of 7680 are left");
    assert_non_null(acre_stack_alloc(&stack, 96));
    assert_null(acre_stack_alloc(&stack, 0));
}

static void more_blocks_than_records_are_refused_and_one_may_follow_a_free(void **state)
{
    (void)state;
    void *last = NULL;
    for (int i = 0; i < 128; i++) {
        void *const block = acre_stack_alloc(&stack, 16);
        assert_non_null(block);
        last = block;
    }
    assert_null(acre_stack_alloc(&stack, 16));
    assert_string_equal(acre_last_error(), "stack 'small': 16 bytes asked for: all of its 128 blocks are in use");
    assert_int_equal(acre_stack_free(&stack, last), ACRE_OK);
    assert_non_null(acre_stack_alloc(&stack, 16));
    assert_true(acre_stack_is_valid(&stack));
}

static void a_long_block_that_goes_leaves_no_room_without_records(void **state)
{
    (void)state;
    for (int i = 0; i < 126; i++) assert_non_null(acre_stack_alloc(&stack, 16));
    void *const large = acre_stack_alloc(&stack, 4000);
    assert_non_null(large);
    assert_int_equal(acre_stack_free(&stack, large), ACRE_OK);
    assert_non_null(acre_stack_alloc(&stack, 16));
    assert_non_null(acre_stack_alloc(&stack, 16));
    assert_null(acre_stack_alloc(&stack, 16));
}

static void a_free_out_of_order_names_the_block_whose_turn_it_is(void **state)
{
    (void)state;
    assert_int_equal(acre_stack_free(&stack, bytes), ACRE_BAD_POINTER);
    assert_non_null(strstr(acre_last_error(), "there is no block"));
    void *const first = acre_stack_alloc(&stack, 10);
    void *const second = acre_stack_alloc(&stack, 10);
    assert_int_equal(acre_stack_free(&stack, first), ACRE_BAD_POINTER);
    char name[40];
    (void)snprintf(name, sizeof name, "0x%llx", (unsigned long long)(uintptr_t)second);
    assert_non_null(strstr(acre_last_error(), name));
    assert_int_equal(acre_stack_free(&stack, second), ACRE_OK);
    assert_int_equal(acre_stack_free(&stack, second), ACRE_BAD_POINTER);
    assert_int_equal(acre_stack_free(&stack, first), ACRE_OK);
    assert_int_equal(acre_stack_free(&stack, NULL), ACRE_OK);
    assert_int_equal(acre_stack_free_address(&stack, 0), ACRE_OK);
}

static int use_scopes(int depth, bool returns)
{
    int sum = 0;
    ACRE_SCOPE(&stack)
    {
        int *const numbers = acre_stack_alloc(&stack, 10 * sizeof *numbers);
        assert_non_null(numbers);
        numbers[9] = depth;
        for (int i = 0; i < 3; i++) {
            ACRE_SCOPE(&stack)
            {
                assert_non_null(acre_stack_alloc(&stack, 1000));
                if (returns && i == 1) return numbers[9];
                if (i == 2) break;
                if (i == 0) continue;
                assert_non_null(acre_stack_alloc(&stack, 16));
            }
            assert_int_equal(stack.top, (uintptr_t)numbers + 48);
        }
        sum = numbers[9] + (depth > 0 ? use_scopes(depth - 1, false) : 0);
    }
    return sum;
}

static void a_scope_ends_at_its_brace_at_break_continue_and_return(void **state)
{
    (void)state;
    const acre_addr top = stack.top;
    assert_int_equal(use_scopes(4, false), 10);
    assert_int_equal(stack.top, top);
    assert_int_equal(use_scopes(4, true), 4);
    assert_int_equal(stack.top, top);
}

static void a_block_that_a_scope_freed_from_under_itself_stays_free(void **state)
{
    (void)state;
    void *const before = acre_stack_alloc(&stack, 10);
    ACRE_SCOPE(&stack) assert_int_equal(acre_stack_free(&stack, before), ACRE_OK);
    assert_int_equal(acre_stack_position(&stack), 0);
}

static int fault_kinds[4];
static int fault_count;

static bool note_fault(void *context, const acre_fault *fault)
{
    (void)context;
    assert_string_equal(fault->heap_name, "small");
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
    acre_stack_allocator(&stack, &allocator);
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
    assert_int_equal(acre_allocator_usable_size(&allocator, blocks[2]), 112);
    assert_int_equal(acre_allocator_usable_size(&allocator, blocks[2] + 16), 0);
    assert_int_equal(acre_allocator_read_figures(&allocator, &figures), ACRE_OK);
    assert_true(figures.block_bytes == 448 && figures.committed_bytes == 7680 && figures.meta_bytes == 512);
    acre_block found;
    assert_int_equal(acre_allocator_where(&allocator, blocks[3] + 111, &found), ACRE_OK);
    assert_true(found.base == blocks[3]);
    assert_int_equal(acre_allocator_where(&allocator, blocks[3] + 112, &found), ACRE_BAD_POINTER);
    assert_int_equal(acre_allocator_where(&allocator, blocks[0] - 1, &found), ACRE_BAD_POINTER);
    for (int i = 4; i-- > 0;) acre_allocator_free(&allocator, blocks[i]);
    assert_int_equal(acre_stack_position(&stack), 0);
}

static void a_failure_at_any_point_of_create_leaves_nothing_behind(void **state)
{
    (void)state;
    for (uint64_t at = 1; at <= 5; at++) {
        failing_space failing;
        acre_stack made;
        failing_space_open(&failing, 1 << 20);
        failing.failing_call = at;
        const acre_status status = acre_stack_create(&(acre_stack_options){.space = &failing.space}, &made);
        assert_int_equal(status, at <= 4 ? ACRE_NO_MEMORY : ACRE_OK);
        if (at <= 4) assert_null(made.records);
        acre_stack_destroy(&made);
        assert_int_equal(failing.reserved, 0);
        failing_space_close(&failing);
    }
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    acre_space numbers;
    acre_space pages;
    acre_space closed = {0};
    acre_stack made;
    acre_stack zeros = {0};
    acre_block block;
    acre_allocator_figures figures;
    assert_int_equal(acre_space_open_handles(&numbers, (acre_addr)1 << 40, 1 << 20), ACRE_OK);
    assert_int_equal(acre_space_open_pages(&pages, NULL), ACRE_OK);
    assert_int_equal(acre_stack_create(NULL, &made), ACRE_INVALID);
    assert_int_equal(acre_stack_create(&(acre_stack_options){.space = &pages}, NULL), ACRE_INVALID);
    const acre_stack_options bad[] = {
        {.space = NULL},
        {.space = &closed},
        {.space = &numbers},
        {.space = &pages},
        {.space = &numbers, .meta_space = &closed},
        {.space = &numbers, .meta_space = &numbers},
        {.space = &pages, .size_bytes = ACRE_STACK_BYTES_MAX + 1},
        {.space = &pages, .size_bytes = ACRE_STACK_BYTES_MAX}, /* rounded up to pages it is more */
        {.space = &pages, .size_bytes = 4096, .block_count_max = (1u << 28) + 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(acre_stack_create(&bad[i], &made), ACRE_INVALID);
        assert_non_null(strstr(acre_last_error(), "stack 'stack'"));
        assert_null(made.records);
    }
    const acre_stack_options large = {.space = &numbers, .meta_space = &pages, .size_bytes = 2 << 20};
    assert_int_equal(acre_stack_create(&large, &made), ACRE_NO_MEMORY);
    assert_int_equal(acre_stack_create(&(acre_stack_options){.space = &array}, &made), ACRE_NO_MEMORY); /* the other stack has it all */

    const acre_stack_options good = {.space = &numbers, .meta_space = &pages};
    assert_int_equal(acre_stack_create(&good, &made), ACRE_OK);
    assert_int_equal(made.limit - made.base, 1 << 20);
    assert_null(acre_stack_alloc(&made, 16));
    assert_int_equal(acre_last_status(), ACRE_UNSUPPORTED);
    assert_true(acre_stack_alloc_address(&made, 16, 0) == 0 && acre_last_status() == ACRE_INVALID);
    assert_true(acre_stack_alloc_address(&made, 16, 12) == 0 && acre_last_status() == ACRE_INVALID);
    assert_true(acre_stack_alloc_address(&made, UINT64_MAX, 16) == 0 && acre_last_status() == ACRE_NO_MEMORY);
    assert_true(acre_stack_alloc_address(&made, 16, (uint64_t)1 << 63) == 0 && acre_last_status() == ACRE_NO_MEMORY);
    assert_int_equal(acre_stack_rewind(&made, 1), ACRE_INVALID);
    assert_int_equal(acre_stack_where(&made, 0, NULL), ACRE_INVALID);
    assert_int_equal(acre_stack_read_figures(&made, NULL), ACRE_INVALID);
    acre_stack_destroy(&made);

    acre_stack *const none[] = {&made, &zeros, NULL};
    for (size_t i = 0; i < 3; i++) {
        if (none[i] != NULL) assert_null(acre_stack_alloc(none[i], 1));
        if (none[i] != NULL) assert_int_equal(acre_stack_free(none[i], bytes), ACRE_INVALID);
        assert_true(acre_stack_alloc_address(none[i], 1, 1) == 0);
        assert_int_equal(acre_stack_free_address(none[i], 16), ACRE_INVALID);
        assert_int_equal(acre_stack_rewind(none[i], 0), ACRE_INVALID);
        assert_int_equal(acre_stack_where(none[i], 16, &block), ACRE_INVALID);
        assert_int_equal(acre_stack_read_figures(none[i], &figures), ACRE_INVALID);
        acre_stack_destroy(none[i]);
    }
    acre_space_close(&pages);
    acre_space_close(&numbers);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_behaves_like_the_model_over_pages),
        cmocka_unit_test(a_stack_behaves_like_the_model_over_a_static_array),
        cmocka_unit_test(a_stack_behaves_like_the_model_over_a_file),
        cmocka_unit_test(a_stack_behaves_like_the_model_over_shared_memory),
        cmocka_unit_test(a_stack_behaves_like_the_model_over_memory_that_faults),
        cmocka_unit_test(a_stack_behaves_like_the_model_over_numbers_that_are_no_addresses),
        cmocka_unit_test(records_are_enough_where_addresses_cross_4_gib),
        TEST(an_overflow_tells_what_was_asked_and_what_is_left),
        TEST(more_blocks_than_records_are_refused_and_one_may_follow_a_free),
        TEST(a_long_block_that_goes_leaves_no_room_without_records),
        TEST(a_free_out_of_order_names_the_block_whose_turn_it_is),
        TEST(a_scope_ends_at_its_brace_at_break_continue_and_return),
        TEST(a_block_that_a_scope_freed_from_under_itself_stays_free),
        TEST(behind_the_interface_a_free_out_of_order_is_a_fault),
        cmocka_unit_test(a_failure_at_any_point_of_create_leaves_nothing_behind),
        TEST(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
