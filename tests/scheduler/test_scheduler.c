/* test_scheduler.c - jobs in the program's own loop, and in the thread that comes and goes. */
#include "support/test.h"

#include <acre/heap.h>
#include <acre/scheduler.h>

#include "os/os.h"

typedef struct counting {
    uint32_t count;
    uint32_t more; /* how many times it says that more is left */
} counting;

static acre_job_result count(void *context, uint64_t budget_ns)
{
    counting *const c = context;
    assert_true(budget_ns > 0);
    __atomic_fetch_add(&c->count, 1, __ATOMIC_RELAXED);
    if (c->more == 0) return ACRE_JOB_IDLE;
    c->more--;
    return ACRE_JOB_MORE;
}

static uint32_t count_of(const counting *c) { return __atomic_load_n(&c->count, __ATOMIC_RELAXED); }

static void a_job_runs_when_it_is_due_and_not_before(void **state)
{
    (void)state;
    acre_scheduler scheduler;
    counting c = {.more = 2};
    acre_job job = {.name = "count", .step = count, .context = &c};
    assert_int_equal(acre_scheduler_init(&scheduler), ACRE_OK);
    assert_int_equal(acre_scheduler_add(&scheduler, &job), ACRE_OK);
    assert_true(acre_scheduler_step(&scheduler, 1000000000) == UINT64_MAX);
    assert_int_equal(c.count, 0);

    acre_scheduler_ask(&scheduler, &job);
    assert_true(acre_scheduler_step(&scheduler, 1000000000) == UINT64_MAX);
    assert_int_equal(c.count, 3); /* twice more, then idle */
    assert_int_equal(job.step_count, 3);
    assert_int_equal(acre_scheduler_remove(&scheduler, &job), ACRE_OK);
}

static void a_period_brings_it_back(void **state)
{
    (void)state;
    acre_scheduler scheduler;
    counting c = {0};
    acre_job job = {.name = "count", .step = count, .context = &c, .period_ns = 2000000};
    acre_scheduler_init(&scheduler);
    acre_scheduler_add(&scheduler, &job);
    const uint64_t wait_ns = acre_scheduler_step(&scheduler, 1000000000);
    assert_true(wait_ns > 0 && wait_ns <= 2000000 && c.count == 0);
    acre_os_sleep_ns(wait_ns);
    (void)acre_scheduler_step(&scheduler, 1000000000);
    assert_int_equal(c.count, 1);
    acre_scheduler_remove(&scheduler, &job);
}

static void a_step_ends_when_the_budget_is_used_up(void **state)
{
    (void)state;
    acre_scheduler scheduler;
    counting c = {.more = UINT32_MAX};
    acre_job job = {.name = "endless", .step = count, .context = &c};
    acre_scheduler_init(&scheduler);
    acre_scheduler_add(&scheduler, &job);
    acre_scheduler_ask(&scheduler, &job);
    assert_true(acre_scheduler_step(&scheduler, 1000000) == 0);
    assert_true(c.count > 0);
    acre_scheduler_remove(&scheduler, &job);
}

static void bad_calls_are_refused(void **state)
{
    (void)state;
    acre_scheduler scheduler;
    acre_job nameless = {.step = count};
    acre_job stepless = {.name = "x"};
    acre_job good = {.name = "good", .step = count};
    assert_int_equal(acre_scheduler_init(NULL), ACRE_INVALID);
    acre_scheduler_init(&scheduler);
    assert_int_equal(acre_scheduler_add(&scheduler, NULL), ACRE_INVALID);
    assert_int_equal(acre_scheduler_add(&scheduler, &nameless), ACRE_INVALID);
    assert_int_equal(acre_scheduler_add(&scheduler, &stepless), ACRE_INVALID);
    assert_int_equal(acre_scheduler_add(&scheduler, &good), ACRE_OK);
    assert_int_equal(acre_scheduler_add(&scheduler, &good), ACRE_INVALID);
    assert_non_null(strstr(acre_last_error(), "good"));
    assert_int_equal(acre_scheduler_remove(&scheduler, &good), ACRE_OK);
    assert_int_equal(acre_scheduler_remove(&scheduler, &good), ACRE_INVALID);
    assert_int_equal(acre_scheduler_use_thread(NULL, true), ACRE_INVALID);
}

static void the_thread_comes_when_asked_and_goes_when_told(void **state)
{
    (void)state;
    acre_scheduler scheduler;
    counting c = {.more = 5};
    acre_job job = {.name = "count", .step = count, .context = &c};
    acre_scheduler_init(&scheduler);
    acre_scheduler_add(&scheduler, &job);
    assert_int_equal(acre_scheduler_use_thread(&scheduler, true), ACRE_OK);
    assert_int_equal(__atomic_load_n(&scheduler.has_thread, __ATOMIC_RELAXED), 0); /* nothing to do, no thread */

    acre_scheduler_ask(&scheduler, &job);
    for (int i = 0; i < 5000 && count_of(&c) < 6; i++) acre_os_sleep_ns(1000000);
    assert_int_equal(count_of(&c), 6);
    for (int i = 0; i < 5000 && __atomic_load_n(&scheduler.has_thread, __ATOMIC_ACQUIRE) != 0; i++) acre_os_sleep_ns(1000000);
    assert_int_equal(__atomic_load_n(&scheduler.has_thread, __ATOMIC_RELAXED), 0); /* it left by itself */

    acre_scheduler_ask(&scheduler, &job);
    assert_int_equal(acre_scheduler_use_thread(&scheduler, false), ACRE_OK);
    assert_int_equal(scheduler.has_thread, 0);
    acre_scheduler_remove(&scheduler, &job);
}

static void a_heap_gives_memory_back_while_nobody_calls_it(void **state)
{
    (void)state;
    acre_heap *heap;
    acre_scheduler scheduler;
    acre_job job;
    assert_int_equal(acre_heap_create(NULL, &heap), ACRE_OK);
    void *const block = acre_heap_alloc(heap, 4 << 20);
    memset(block, 1, 4 << 20);
    acre_heap_free(heap, block);
    acre_heap_figures figures;
    acre_heap_read_figures(heap, &figures);
    assert_true(figures.dirty_bytes >= 4 << 20);

    acre_scheduler_init(&scheduler);
    acre_heap_purge_job(heap, &job);
    job.period_ns = 1000000;
    acre_scheduler_add(&scheduler, &job);
    acre_scheduler_use_thread(&scheduler, true);
    for (int i = 0; i < 5000 && figures.dirty_bytes > 65536; i++) {
        acre_os_sleep_ns(1000000);
        acre_heap_read_figures(heap, &figures);
    }
    assert_true(figures.dirty_bytes <= 65536);
    acre_scheduler_use_thread(&scheduler, false);
    acre_scheduler_remove(&scheduler, &job);
    acre_heap_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_runs_when_it_is_due_and_not_before),       cmocka_unit_test(a_period_brings_it_back),
        cmocka_unit_test(a_step_ends_when_the_budget_is_used_up),         cmocka_unit_test(bad_calls_are_refused),
        cmocka_unit_test(the_thread_comes_when_asked_and_goes_when_told), cmocka_unit_test(a_heap_gives_memory_back_while_nobody_calls_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
