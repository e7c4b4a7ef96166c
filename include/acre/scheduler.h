/* scheduler.h - what is done when: purging, writing back, migrating, scrubbing, in bounded pieces.
 *
 * A *job* does a piece of work when it is due and says whether more is left. Who runs it is the program's choice: its own loop,
 *
 *     for (;;) { serve(); acre_scheduler_step(&scheduler, 100000); }
 *
 * or a thread that exists only while there is something to do:
 *
 *     acre_scheduler_use_thread(&scheduler, true);
 *
 * No memory is allocated: scheduler and jobs lie in memory of the caller. In the child of a fork the jobs are there and the thread is
 * not; it starts again when a job is asked for or added.
 *
 * Example: examples/scheduler.c.
 */
#ifndef ACRE_SCHEDULER_H
#define ACRE_SCHEDULER_H

#include <acre/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum acre_job_result {
    ACRE_JOB_MORE, /* there is more to do now */
    ACRE_JOB_IDLE, /* nothing until the period is over or somebody asks */
    ACRE_JOB_DONE, /* nothing until somebody asks */
} acre_job_result;

/* Does one piece of at most about `budget_ns`. Called by one thread at a time, with no lock held; it may call
 * acre_scheduler_ask, not add or remove jobs. */
typedef acre_job_result acre_job_step(void *context, uint64_t budget_ns);

typedef struct acre_job {
    const char *name;       /* for reports; not copied */
    acre_job_step *step;
    void *context;
    uint64_t period_ns;     /* how long after ACRE_JOB_IDLE it is due again by itself; 0: only when asked */
    uint64_t due_ns;        /* the rest is the scheduler's: when it is due, UINT64_MAX: when asked */
    uint64_t step_count;
    uint64_t busy_ns;       /* spent in it */
    uint64_t step_ns_max;
    struct acre_job *next;
} acre_job;

typedef struct acre_scheduler {
    acre_job *jobs;
    acre_job *running;      /* whose step is being called */
    uint32_t lock;
    uint32_t is_stepping;   /* a thread runs jobs */
    uint32_t may_use_thread;
    uint32_t has_thread;
    uint32_t wake_count;    /* what the thread sleeps on */
    uint64_t process_id;    /* where the thread is: a child of a fork has none */
} acre_scheduler;

/* Makes a scheduler without jobs. ACRE_INVALID: NULL. */
ACRE_API acre_status acre_scheduler_init(acre_scheduler *scheduler);

/* Adds a job, due after its period. `job` must stay where it is until it is removed; name and step are set.
 * ACRE_INVALID: a NULL, or it is in already. Thread safe. O(jobs). */
ACRE_API acre_status acre_scheduler_add(acre_scheduler *scheduler, acre_job *job);

/* Takes a job out; when its step is running in another thread, waits for the end of it. Thread safe. O(jobs). */
ACRE_API acre_status acre_scheduler_remove(acre_scheduler *scheduler, acre_job *job);

/* The job is due at once. Starts the thread if there may be one and there is none. Thread safe. O(1). */
ACRE_API void acre_scheduler_ask(acre_scheduler *scheduler, acre_job *job);

/* Runs what is due, earliest first, until `budget_ns` is used up or nothing is. Returns the nanoseconds until the next job is
 * due: 0 when something is due now, UINT64_MAX when nothing ever is unless asked. When another thread is at it, returns 0 at
 * once. Thread safe. At most one step more than the budget allows. */
ACRE_API uint64_t acre_scheduler_step(acre_scheduler *scheduler, uint64_t budget_ns);

/* Whether a thread may run the jobs. It starts when a job is due within 10 s or asked for, sleeps in between, and leaves when
 * nothing is due for longer. `false` makes it leave and waits for that. ACRE_NO_MEMORY: no thread can be started; then
 * acre_scheduler_step goes on working. Thread safe. */
ACRE_API acre_status acre_scheduler_use_thread(acre_scheduler *scheduler, bool may_use);

#ifdef __cplusplus
}
#endif
#endif
