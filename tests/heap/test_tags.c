/* test_tags.c - a heap for each tag: figures and blocks apart, made once by any thread, gone alone. */
#include "support/spaces.h"
#include "support/test.h"

#include <acre/heap_tags.h>
#include <pthread.h>
#include <sched.h>

static acre_heap_tags tags;

static int tear_down(void **state)
{
    (void)state;
    acre_heap_tags_destroy(&tags);
    return 0;
}

static uint64_t bytes_of(uint32_t tag)
{
    acre_heap_figures figures;
    acre_heap_flush(acre_heap_for_tag(&tags, tag));
    acre_heap_read_figures(acre_heap_for_tag(&tags, tag), &figures);
    return figures.block_bytes + figures.large_bytes;
}

static void figures_of_one_tag_do_not_count_another(void **state)
{
    (void)state;
    assert_int_equal(acre_heap_tags_init(&tags, NULL), ACRE_OK);
    for (int i = 0; i < 100; i++) assert_non_null(acre_heap_alloc(acre_heap_for_tag(&tags, 3), 1000));
    assert_non_null(acre_heap_alloc(acre_heap_for_tag(&tags, 47), 64));
    assert_true(bytes_of(3) >= 100 * 1000 && bytes_of(3) < 110 * 1000);
    assert_int_equal(bytes_of(47), 64);
    assert_ptr_equal(acre_heap_for_tag(&tags, 3), acre_heap_for_tag(&tags, 3));
    assert_ptr_not_equal(acre_heap_for_tag(&tags, 3), acre_heap_for_tag(&tags, 47));
}

static void a_tag_that_is_cleared_is_empty_and_others_stay(void **state)
{
    (void)state;
    assert_int_equal(acre_heap_tags_init(&tags, NULL), ACRE_OK);
    char *const kept = acre_heap_alloc(acre_heap_for_tag(&tags, 1), 100);
    assert_non_null(kept);
    memset(kept, 7, 100);
    assert_non_null(acre_heap_alloc(acre_heap_for_tag(&tags, 2), 100));
    assert_int_equal(acre_heap_tags_clear(&tags, 2), ACRE_OK);
    assert_int_equal(acre_heap_tags_clear(&tags, 5), ACRE_OK);
    assert_int_equal(bytes_of(2), 0);
    assert_true(kept[99] == 7 && bytes_of(1) > 0);
}

static bool note_tag(void *context, uint32_t tag, const char *name, acre_heap *heap)
{
    uint32_t *const seen = context;
    assert_ptr_equal(heap, acre_heap_for_tag(&tags, tag));
    assert_string_equal(name, tag == 2 ? "server/2" : "server/40");
    seen[seen[0] + 1] = tag;
    return ++seen[0] < 2;
}

static void a_walk_meets_the_tags_that_have_a_heap(void **state)
{
    (void)state;
    uint32_t seen[4] = {0};
    assert_int_equal(acre_heap_tags_init(&tags, &(acre_heap_options){.name = "server"}), ACRE_OK);
    assert_int_equal(acre_heap_tags_walk(&tags, note_tag, seen), ACRE_OK);
    assert_int_equal(seen[0], 0);
    (void)acre_heap_for_tag(&tags, 40);
    (void)acre_heap_for_tag(&tags, 2);
    (void)acre_heap_for_tag(&tags, 41);
    assert_int_equal(acre_heap_tags_walk(&tags, note_tag, seen), ACRE_OK);
    assert_true(seen[0] == 2 && seen[1] == 2 && seen[2] == 40);
}

enum { THREAD_COUNT = 4, RACE_COUNT = 20 };

static acre_heap *heaps_seen[THREAD_COUNT][RACE_COUNT];
static unsigned arrived; /* over all races */

static void *race_for_every_tag(void *seen)
{
    acre_heap **const mine = seen;
    for (uint32_t tag = 0; tag < RACE_COUNT; tag++) {
        __atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
        while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < THREAD_COUNT * (tag + 1)) sched_yield();
        mine[tag] = acre_heap_for_tag(&tags, tag);
        if (mine[tag] == NULL) continue;
        acre_heap_free(mine[tag], acre_heap_alloc(mine[tag], 100));
        acre_heap_flush(mine[tag]);
    }
    return NULL;
}

static void threads_that_ask_at_once_get_one_heap(void **state)
{
    (void)state;
    pthread_t threads[THREAD_COUNT];
    assert_int_equal(acre_heap_tags_init(&tags, NULL), ACRE_OK);
    for (int i = 0; i < THREAD_COUNT; i++) assert_int_equal(pthread_create(&threads[i], NULL, race_for_every_tag, heaps_seen[i]), 0);
    for (int i = 0; i < THREAD_COUNT; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (uint32_t tag = 0; tag < RACE_COUNT; tag++) {
        assert_non_null(heaps_seen[0][tag]);
        for (int i = 1; i < THREAD_COUNT; i++) assert_ptr_equal(heaps_seen[i][tag], heaps_seen[0][tag]);
        assert_int_equal(bytes_of(tag), 0);
    }
}

static void a_heap_that_cannot_be_made_is_asked_for_again(void **state)
{
    (void)state;
    failing_space failing;
    failing_space_open(&failing, 4 << 20);
    failing.failing_call = 1;
    assert_int_equal(acre_heap_tags_init(&tags, &(acre_heap_options){.meta_space = &failing.space}), ACRE_OK);
    assert_null(acre_heap_for_tag(&tags, 1));
    assert_non_null(acre_heap_alloc(acre_heap_for_tag(&tags, 1), 100));
    acre_heap_tags_destroy(&tags);
    assert_int_equal(failing.reserved, 0);
    failing_space_close(&failing);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    assert_int_equal(acre_heap_tags_init(NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_heap_tags_init(&tags, NULL), ACRE_OK);
    assert_null(acre_heap_for_tag(&tags, ACRE_HEAP_TAG_COUNT));
    assert_int_equal(acre_last_status(), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "tag 48 is not below 48"));
    assert_int_equal(acre_heap_tags_clear(&tags, UINT32_MAX), ACRE_INVALID);
    assert_int_equal(acre_heap_tags_clear(NULL, 0), ACRE_INVALID);
    assert_int_equal(acre_heap_tags_walk(&tags, NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_heap_tags_walk(NULL, note_tag, NULL), ACRE_INVALID);
    acre_heap_tags_destroy(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(figures_of_one_tag_do_not_count_another),
        TEST(a_tag_that_is_cleared_is_empty_and_others_stay),
        TEST(a_walk_meets_the_tags_that_have_a_heap),
        TEST(threads_that_ask_at_once_get_one_heap),
        TEST(a_heap_that_cannot_be_made_is_asked_for_again),
        TEST(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
