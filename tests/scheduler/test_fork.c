/* test_fork.c - jobs and their thread in the child of a fork. */
#include "support/test.h"

#include <acre/scheduler.h>

#include "os/os.h"

#include <sys/wait.h>
#include <unistd.h>

static uint32_t run_count;

static uint32_t runs(void) { return __atomic_load_n(&run_count, __ATOMIC_RELAXED); }

static acre_job_result count(void *context, uint64_t budget_ns)
{
    assert_true(context == NULL && budget_ns > 0);
    __atomic_fetch_add(&run_count, 1, __ATOMIC_RELAXED);
    return ACRE_JOB_IDLE;
}

static bool runs_beyond(uint32_t before)
{
    for (int i = 0; i < 5000 && runs() == before; i++) acre_os_sleep_ns(1000000);
    return runs() > before;
}

static void the_child_of_a_fork_has_the_jobs_and_a_thread_of_its_own(void **state)
{
    (void)state;
    acre_scheduler scheduler;
    acre_job job = {.name = "count", .step = count, .period_ns = 1000000};
    assert_int_equal(acre_scheduler_init(&scheduler), ACRE_OK);
    assert_int_equal(acre_scheduler_add(&scheduler, &job), ACRE_OK);
    assert_int_equal(acre_scheduler_use_thread(&scheduler, true), ACRE_OK);
    assert_true(runs_beyond(0));
    const pid_t child = fork();
    if (child == 0) {
        alarm(20); /* a child that waits for its parent's thread waits for ever */
        const uint32_t before = runs();
        acre_scheduler_ask(&scheduler, &job);
        const bool has_run = runs_beyond(before);
        _exit(acre_scheduler_use_thread(&scheduler, false) == ACRE_OK && has_run ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(acre_scheduler_use_thread(&scheduler, false), ACRE_OK);
    assert_int_equal(acre_scheduler_remove(&scheduler, &job), ACRE_OK);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_child_of_a_fork_has_the_jobs_and_a_thread_of_its_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
