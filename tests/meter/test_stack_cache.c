/* test_stack_cache.c - walks over a made-up stack against the simplest model: the list of calls that are open.
 *
 * The stack is an array that grows downwards. Each function has frames of its own fixed size and calls from three places; a
 * call writes its return address and clears its frame, as a careful program would.
 */
#include "meter/stack_cache.h"
#include "meter/stack_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORD_COUNT = 16384, DEPTH_MAX = 90, FUNCTION_COUNT = 9, STEP_COUNT = 60000 };

static uint64_t stack_words[WORD_COUNT];
static uint64_t *slots[DEPTH_MAX];          /* of the return addresses of open calls, outermost first */
static void *return_addresses[DEPTH_MAX];
static size_t depth;
static stack_cache cache;

static size_t frame_words(size_t function) { return 2 + function * function % 11; }

/* The caller, on top of the stack so far, calls from one of its three places. The address names the caller, whose frame then
 * lies between this slot and the caller's own. */
static void call(void)
{
    const size_t caller = depth == 0 ? 0 : 1 + (size_t)rand() % (FUNCTION_COUNT - 1);
    uint64_t *const above = depth == 0 ? stack_words + WORD_COUNT : slots[depth - 1];
    uint64_t *const slot = above - frame_words(caller) - 1;
    memset(slot, 0, (frame_words(caller) + 1) * sizeof *slot);
    return_addresses[depth] = (void *)(uintptr_t)(0x400000 + caller * 0x100 + (size_t)rand() % 3);
    *slot = (uint64_t)(uintptr_t)return_addresses[depth];
    slots[depth++] = slot;
}

static size_t innermost_first(void **pcs)
{
    const size_t count = depth < STACK_CACHE_FRAMES_MAX ? depth : STACK_CACHE_FRAMES_MAX;
    for (size_t i = 0; i < count; i++) pcs[i] = return_addresses[depth - 1 - i];
    return count;
}

static void assert_walk_is_right(const stack_walk *walk, void *const *pcs, size_t count)
{
    assert_int_equal(walk->count, count);
    assert_int_equal(walk->is_whole, depth <= STACK_CACHE_FRAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(walk->pcs[i], pcs[i]);
        assert_int_equal(walk->slots[i], (uintptr_t)slots[depth - 1 - i]);
        assert_int_equal(walk->hashes[i], stack_hash(pcs + i, count - i));
    }
}

static void walks_give_the_open_calls_or_nothing(void **state)
{
    (void)state;
    uint64_t hit_count = 0, walk_count = 0, whole_count = 0;
    srand(6);
    stack_cache_clear(&cache);
    depth = 0;
    for (int step = 0; step < STEP_COUNT; step++) {
        /* Now near the bottom, now deeper than a walk goes. */
        const size_t wanted = step % 4000 < 3000 ? 4 + (size_t)rand() % 20 : 50 + (size_t)rand() % (DEPTH_MAX - 50);
        const size_t keep = depth < 3 ? 0 : depth - (size_t)rand() % 4;
        depth = keep < wanted ? keep : wanted;
        while (depth == 0 || depth < wanted) call();

        void *pcs[STACK_CACHE_FRAMES_MAX];
        const size_t count = innermost_first(pcs);
        const uintptr_t slot = (uintptr_t)slots[depth - 1];
        const uint32_t id = (uint32_t)stack_hash(pcs, count) | 1;
        const uint32_t whole_id = stack_cache_whole(&cache, slot);
        assert_true(whole_id == 0 || whole_id == id);
        whole_count += whole_id != 0;
        const stack_walk *const walk = stack_cache_walk(&cache, slot);
        walk_count++;
        if (walk != NULL) {
            hit_count++;
            assert_walk_is_right(walk, pcs, count);
            stack_cache_keep_whole(&cache, walk, id);
        } else {
            stack_cache_learn(&cache, slot, pcs, count, depth <= STACK_CACHE_FRAMES_MAX);
        }
    }
    assert_true(hit_count > 0 && hit_count < walk_count);
    assert_true(whole_count > 0 && whole_count < hit_count);
}

static void a_stack_that_was_learnt_is_walked(void **state)
{
    (void)state;
    void *pcs[STACK_CACHE_FRAMES_MAX];
    stack_cache_clear(&cache);
    depth = 0;
    for (int i = 0; i < 10; i++) call();
    const size_t count = innermost_first(pcs);
    assert_null(stack_cache_walk(&cache, (uintptr_t)slots[depth - 1]));
    stack_cache_learn(&cache, (uintptr_t)slots[depth - 1], pcs, count, true);
    const stack_walk *walk = stack_cache_walk(&cache, (uintptr_t)slots[depth - 1]);
    assert_non_null(walk);
    assert_walk_is_right(walk, pcs, count);
    assert_int_equal(stack_cache_whole(&cache, (uintptr_t)slots[depth - 1]), 0);
    stack_cache_keep_whole(&cache, walk, 77);
    assert_int_equal(stack_cache_whole(&cache, (uintptr_t)slots[depth - 1]), 77);

    /* The same depth with another outer call, which the last walk does not have. */
    return_addresses[2] = (void *)((char *)return_addresses[2] + 0x50);
    *slots[2] = (uint64_t)(uintptr_t)return_addresses[2];
    assert_int_equal(stack_cache_whole(&cache, (uintptr_t)slots[depth - 1]), 0);
    assert_null(stack_cache_walk(&cache, (uintptr_t)slots[depth - 1]));
    return_addresses[2] = (void *)((char *)return_addresses[2] - 0x50);
    *slots[2] = (uint64_t)(uintptr_t)return_addresses[2];
    assert_int_equal(stack_cache_whole(&cache, (uintptr_t)slots[depth - 1]), 77);
    stack_cache_clear(&cache);
    assert_int_equal(stack_cache_whole(&cache, (uintptr_t)slots[depth - 1]), 0);
    assert_null(stack_cache_walk(&cache, (uintptr_t)slots[depth - 1]));
    stack_cache_learn(&cache, (uintptr_t)slots[depth - 1], pcs, count, true);
    assert_int_equal(stack_cache_whole(&cache, (uintptr_t)slots[depth - 1]), 0);
}

static void an_id_is_kept_for_its_hash_alone(void **state)
{
    (void)state;
    stack_cache_clear(&cache);
    assert_int_equal(stack_cache_id(&cache, 5), 0);
    stack_cache_keep_id(&cache, 5, 17);
    assert_int_equal(stack_cache_id(&cache, 5), 17);
    assert_int_equal(stack_cache_id(&cache, 5 + STACK_CACHE_ID_COUNT), 0);
}

static void the_table_gives_each_hash_one_id_while_it_grows(void **state)
{
    (void)state;
    enum { HASH_COUNT = 20000 };
    stack_table table = {0};
    for (uint64_t i = 1; i <= HASH_COUNT; i++) {
        const uint64_t hash = i * UINT64_C(0x9E3779B97F4A7C15);
        assert_int_equal(stack_table_find(&table, hash), 0);
        assert_int_equal(stack_table_add(&table, hash), i);
    }
    for (uint64_t i = 1; i <= HASH_COUNT; i++)
        assert_int_equal(stack_table_find(&table, i * UINT64_C(0x9E3779B97F4A7C15)), i);
    stack_table_clear(&table);
    assert_int_equal(stack_table_find(&table, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_give_the_open_calls_or_nothing),
        cmocka_unit_test(a_stack_that_was_learnt_is_walked),
        cmocka_unit_test(an_id_is_kept_for_its_hash_alone),
        cmocka_unit_test(the_table_gives_each_hash_one_id_while_it_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
