/* scheduler.c - see acre/scheduler.h.
 *
 * Jobs stand in a plain list: there are a handful. `lock` guards the list and the due times; it is never held while a job
 * runs. Only one thread runs jobs at a time (`is_stepping`), so a job needs no lock of its own against itself.
 */
#include <acre/scheduler.h>

#include "base/bits.h"
#include "base/status.h"
#include "os/os.h"

enum { POLL_NS = 50 * 1000 };
#define THREAD_BUDGET_NS ((uint64_t)5 * 1000 * 1000) /* a long chain of work still lets others in */
#define LEAVE_NS         ((uint64_t)10 * 1000000000) /* nothing due for this long: no thread is needed */

static void take(acre_scheduler *scheduler) { acre_lock_take((acre_lock *)&scheduler->lock); }
static void drop(acre_scheduler *scheduler) { acre_lock_drop((acre_lock *)&scheduler->lock); }

acre_status acre_scheduler_init(acre_scheduler *scheduler)
{
    if (scheduler == NULL) return acre_fail(ACRE_INVALID, "scheduler: NULL");
    *scheduler = (acre_scheduler){.process_id = acre_os_process_id()};
    return ACRE_OK;
}

/* In the child of a fork nobody else runs jobs, whatever the fork interrupted. Called before the lock is taken. */
static void notice_fork(acre_scheduler *scheduler)
{
    const uint64_t here = acre_os_process_id();
    if (scheduler->process_id == here) return;
    scheduler->lock = 0;
    scheduler->running = NULL;
    scheduler->is_stepping = 0;
    scheduler->has_thread = 0;
    scheduler->process_id = here;
}

/* Where a job stands in the list; NULL when it does not. Under the lock. */
static acre_job **find(acre_scheduler *scheduler, const acre_job *job)
{
    for (acre_job **place = &scheduler->jobs; *place != NULL; place = &(*place)->next) {
        if (*place == job) return place;
    }
    return NULL;
}

static uint64_t after(uint64_t now_ns, uint64_t period_ns)
{
    return period_ns == 0 || period_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + period_ns;
}

/* The job that is due first, NULL when none ever is. Under the lock. */
static acre_job *earliest(const acre_scheduler *scheduler)
{
    acre_job *first = NULL;
    for (acre_job *job = scheduler->jobs; job != NULL; job = job->next) {
        if (job->due_ns != UINT64_MAX && (first == NULL || job->due_ns < first->due_ns)) first = job;
    }
    return first;
}

/* ---- the thread ---- */

static void thread_main(void *argument)
{
    acre_scheduler *const scheduler = argument;
    for (;;) {
        const uint32_t seen = __atomic_load_n(&scheduler->wake_count, __ATOMIC_ACQUIRE);
        const uint64_t wait_ns = acre_scheduler_step(scheduler, THREAD_BUDGET_NS);
        take(scheduler);
        const bool was_asked = scheduler->wake_count != seen;
        if (scheduler->may_use_thread == 0 || (wait_ns > LEAVE_NS && !was_asked)) {
            __atomic_store_n(&scheduler->has_thread, 0, __ATOMIC_RELEASE);
            drop(scheduler); /* the last touch: whoever waits for has_thread may free the scheduler */
            return;
        }
        drop(scheduler);
        if (wait_ns > 0) acre_os_wait(&scheduler->wake_count, seen, wait_ns);
    }
}

/* Under the lock. */
static void wake_thread(acre_scheduler *scheduler)
{
    __atomic_fetch_add(&scheduler->wake_count, 1, __ATOMIC_RELEASE);
    acre_os_wake(&scheduler->wake_count);
}

/* Starts the thread when it would have something to do. */
static acre_status ensure_thread(acre_scheduler *scheduler)
{
    take(scheduler);
    const acre_job *const first = earliest(scheduler);
    const bool is_wanted =
        scheduler->may_use_thread != 0 && first != NULL && (first->due_ns == 0 || first->due_ns < acre_os_now_ns() + LEAVE_NS);
    const bool has_thread = scheduler->has_thread != 0;
    if (is_wanted && !has_thread)
        scheduler->has_thread = 1;
    else if (is_wanted)
        wake_thread(scheduler);
    drop(scheduler);
    if (!is_wanted || has_thread) return ACRE_OK;
    const acre_status status = acre_os_start_thread(thread_main, scheduler);
    if (status != ACRE_OK) __atomic_store_n(&scheduler->has_thread, 0, __ATOMIC_RELEASE);
    return status;
}

acre_status acre_scheduler_use_thread(acre_scheduler *scheduler, bool may_use)
{
    if (scheduler == NULL) return acre_fail(ACRE_INVALID, "scheduler: NULL");
    notice_fork(scheduler);
    take(scheduler);
    scheduler->may_use_thread = may_use;
    wake_thread(scheduler);
    drop(scheduler);
    if (may_use) return ensure_thread(scheduler);
    while (__atomic_load_n(&scheduler->has_thread, __ATOMIC_ACQUIRE) != 0) acre_os_sleep_ns(POLL_NS);
    take(scheduler); /* after this the thread has let go of the lock as well */
    drop(scheduler);
    return ACRE_OK;
}

/* ---- jobs ---- */

acre_status acre_scheduler_add(acre_scheduler *scheduler, acre_job *job)
{
    if (scheduler == NULL || job == NULL || job->step == NULL || job->name == NULL) {
        return acre_fail(ACRE_INVALID, "scheduler: job '%s' needs a scheduler, a name and a step",
                         job != NULL && job->name != NULL ? job->name : "NULL");
    }
    notice_fork(scheduler);
    take(scheduler);
    const bool is_in = find(scheduler, job) != NULL;
    if (!is_in) {
        job->due_ns = after(acre_os_now_ns(), job->period_ns);
        job->step_count = job->busy_ns = job->step_ns_max = 0;
        job->next = scheduler->jobs;
        scheduler->jobs = job;
    }
    drop(scheduler);
    if (is_in) return acre_fail(ACRE_INVALID, "scheduler: job '%s' is in already", job->name);
    (void)ensure_thread(scheduler); /* without a thread the program's own loop does it */
    return ACRE_OK;
}

acre_status acre_scheduler_remove(acre_scheduler *scheduler, acre_job *job)
{
    if (scheduler == NULL || job == NULL) return acre_fail(ACRE_INVALID, "scheduler: remove of NULL");
    notice_fork(scheduler);
    take(scheduler);
    acre_job **const place = find(scheduler, job);
    if (place != NULL) *place = job->next;
    while (scheduler->running == job) {
        drop(scheduler);
        acre_os_sleep_ns(POLL_NS);
        take(scheduler);
    }
    drop(scheduler);
    return place != NULL ? ACRE_OK : acre_fail(ACRE_INVALID, "scheduler: job '%s' is not in", job->name);
}

void acre_scheduler_ask(acre_scheduler *scheduler, acre_job *job)
{
    notice_fork(scheduler);
    take(scheduler);
    job->due_ns = 0;
    drop(scheduler);
    (void)ensure_thread(scheduler);
}

/* Runs the step of a due job, and says when it is due again. Enters and leaves with the lock held. */
static void run_step(acre_scheduler *scheduler, acre_job *job, uint64_t budget_ns)
{
    scheduler->running = job;
    job->due_ns = UINT64_MAX; /* so that an ask during the step is seen */
    drop(scheduler);
    const uint64_t start_ns = acre_os_now_ns();
    const acre_job_result result = job->step(job->context, budget_ns);
    const uint64_t end_ns = acre_os_now_ns();
    take(scheduler);
    scheduler->running = NULL;
    job->step_count++;
    job->busy_ns += end_ns - start_ns;
    if (end_ns - start_ns > job->step_ns_max) job->step_ns_max = end_ns - start_ns;
    if (result == ACRE_JOB_MORE)
        job->due_ns = 0;
    else if (result == ACRE_JOB_IDLE && job->due_ns == UINT64_MAX)
        job->due_ns = after(end_ns, job->period_ns);
}

uint64_t acre_scheduler_step(acre_scheduler *scheduler, uint64_t budget_ns)
{
    const uint64_t start_ns = acre_os_now_ns();
    uint64_t wait_ns = 0;
    notice_fork(scheduler);
    take(scheduler);
    if (scheduler->is_stepping != 0) {
        drop(scheduler);
        return 0;
    }
    scheduler->is_stepping = 1;
    for (;;) {
        acre_job *const job = earliest(scheduler);
        const uint64_t now_ns = acre_os_now_ns();
        const uint64_t used_ns = now_ns - start_ns;
        wait_ns = job == NULL ? UINT64_MAX : job->due_ns > now_ns ? job->due_ns - now_ns : 0;
        if (wait_ns > 0 || used_ns >= budget_ns) break;
        run_step(scheduler, job, budget_ns - used_ns);
    }
    scheduler->is_stepping = 0;
    drop(scheduler);
    return wait_ns;
}
