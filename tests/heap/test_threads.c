/* test_threads.c - threads that pass blocks to each other, over memory and over addresses that are no pointers. */
#include "support/spaces.h"
#include "support/test.h"

#include <acre/heap.h>
#include <pthread.h>

enum { THREAD_COUNT = 4, SHARED_COUNT = 512, STEP_COUNT = 30000 };

typedef struct shared {
    acre_heap *heap;
    bool has_memory;
    uint64_t blocks[SHARED_COUNT]; /* changed by atomic exchange: whoever takes a block out owns it */
    uint64_t seed;
} shared;

/* The size of a block stands in its first eight bytes, its complement in the last. */
static acre_addr make_block(shared *s, uint64_t *random)
{
    const uint64_t number = next_random(random);
    const uint64_t size = number % 50 == 0 ? 33000 + (number >> 8) % 70000 : 16 + (number >> 8) % 700;
    const acre_addr block = acre_heap_alloc_address(s->heap, size, 16, NULL);
    assert_true(block != 0);
    if (s->has_memory) {
        uint64_t *const words = (uint64_t *)(uintptr_t)block;
        words[0] = size;
        words[size / 8 - 1] = ~size;
    }
    return block;
}

static void end_block(shared *s, acre_addr block)
{
    if (block == 0) return;
    if (s->has_memory) {
        const uint64_t *const words = (const uint64_t *)(uintptr_t)block;
        assert_true(words[words[0] / 8 - 1] == ~words[0] || words[0] / 8 == 1);
    }
    acre_heap_free_address(s->heap, block);
}

static void *pass_blocks(void *argument)
{
    shared *const s = argument;
    uint64_t random = __atomic_add_fetch(&s->seed, 0x9e3779b9, __ATOMIC_RELAXED);
    for (int step = 0; step < STEP_COUNT; step++) {
        const uint64_t number = next_random(&random);
        const acre_addr mine = number % 3 == 0 ? 0 : make_block(s, &random);
        end_block(s, __atomic_exchange_n(&s->blocks[(number >> 8) % SHARED_COUNT], mine, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static void threads_pass_blocks_over(acre_space_kind kind)
{
    acre_space space;
    assert_int_equal(test_space_open(&space, kind, (uint64_t)256 << 20), ACRE_OK);
    shared *const s = calloc(1, sizeof *s);
    s->has_memory = (space.info.capabilities & ACRE_CAP_HOST_ACCESS) != 0;
    assert_int_equal(acre_heap_create(&(acre_heap_options){.space = &space}, &s->heap), ACRE_OK);

    for (int round = 0; round < 3; round++) { /* later threads take over what earlier ones left */
        pthread_t threads[THREAD_COUNT];
        for (int i = 0; i < THREAD_COUNT; i++) assert_int_equal(pthread_create(&threads[i], NULL, pass_blocks, s), 0);
        for (int i = 0; i < THREAD_COUNT; i++) pthread_join(threads[i], NULL);
        assert_true(acre_heap_is_valid(s->heap));
    }
    for (int i = 0; i < SHARED_COUNT; i++) end_block(s, s->blocks[i]);
    acre_heap_flush(s->heap);
    acre_heap_figures figures;
    acre_heap_read_figures(s->heap, &figures);
    assert_int_equal(figures.block_bytes, 0);
    assert_int_equal(figures.thread_count, 1);
    /* All threads but this one are gone, so every span but those that this thread holds was retired. */
    assert_true(figures.run_bytes <= (uint64_t)2 << 20);
    assert_true(acre_heap_is_valid(s->heap));
    acre_heap_destroy(s->heap);
    test_space_close(&space);
    free(s);
}

static void threads_pass_blocks_in_memory(void **state)
{
    (void)state;
    threads_pass_blocks_over(ACRE_SPACE_PAGES);
}

static void threads_pass_blocks_that_are_no_pointers(void **state)
{
    (void)state;
    threads_pass_blocks_over(ACRE_SPACE_HANDLE);
}

/* One class, spans of few blocks, many retirements: the rules 2 and 3 of the span protocol at work. */
static void *churn(void *argument)
{
    shared *const s = argument;
    uint64_t random = __atomic_add_fetch(&s->seed, 0x51ed27, __ATOMIC_RELAXED);
    for (int step = 0; step < STEP_COUNT; step++) {
        const uint64_t number = next_random(&random);
        acre_addr mine = acre_heap_alloc_address(s->heap, 30000, 16, NULL);
        assert_true(mine != 0);
        mine = __atomic_exchange_n(&s->blocks[number % 40], mine, __ATOMIC_ACQ_REL);
        if (mine != 0) acre_heap_free_address(s->heap, mine);
        if (number % 64 == 0) acre_heap_flush(s->heap);
    }
    return NULL;
}

static void spans_that_come_and_go_are_never_lost(void **state)
{
    (void)state;
    shared *const s = calloc(1, sizeof *s);
    assert_int_equal(acre_heap_create(NULL, &s->heap), ACRE_OK);
    pthread_t threads[THREAD_COUNT];
    for (int i = 0; i < THREAD_COUNT; i++) assert_int_equal(pthread_create(&threads[i], NULL, churn, s), 0);
    for (int i = 0; i < THREAD_COUNT; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 40; i++) acre_heap_free_address(s->heap, s->blocks[i]);
    acre_heap_flush(s->heap);
    acre_heap_figures figures;
    acre_heap_read_figures(s->heap, &figures);
    assert_int_equal(figures.block_bytes, 0);
    assert_true(acre_heap_is_valid(s->heap));
    acre_heap_destroy(s->heap);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_pass_blocks_in_memory),
        cmocka_unit_test(threads_pass_blocks_that_are_no_pointers),
        cmocka_unit_test(spans_that_come_and_go_are_never_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
