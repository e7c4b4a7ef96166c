/* purge.c - see purge.h. */
#include "heap/purge.h"
#include "os/os.h"

#include <acre/scheduler.h>

enum {
    KEEP_BYTES_MIN = 1024 * 1024, /* a program that works keeps this much dirty without being asked */
    KEEP_SHARE = 8,               /* and one part in so many of its peak, for what lies in pieces that do not serve, */
    KEEP_SHARE_AGED = 64,         /* or in so many, once it had time to serve */
    ASK_BYTES_MIN = 4 * 1024 * 1024, /* worth a thread, */
    ASK_SHARE = 16,                  /* if it is also one part in so many of what is in use */
    IDLE_KEEP_BYTES = 64 * 1024,  /* what is left to an idle one */
    SURPLUS_BYTES_MIN = 256 * 1024, /* worth a system call; or an eighth of what is allowed */
    PURGE_RUN_BYTES_MIN = 64 * 1024,
    PRESSURE_PERCENT_MAX = 10,    /* of the time somebody waited for memory, in the last ten seconds: now nothing is kept */
};

static bool can_purge(const acre_heap *heap) { return (heap->space->info.capabilities & ACRE_CAP_PURGE) != 0; }

/* How much of what is free and dirty is worth keeping now. */
static uint64_t allowance(acre_heap *heap, unsigned share, uint64_t floor)
{
    uint64_t run_bytes;
    const uint64_t peak_bytes = acre_arena_demand(&heap->arena, acre_os_now_ns(), &run_bytes);
    return acre_max_size(peak_bytes + peak_bytes / share - run_bytes, floor);
}

void acre_purge_surplus(acre_heap *heap)
{
    const uint64_t dirty_bytes = acre_arena_dirty_bytes(&heap->arena);
    if (acre_likely(dirty_bytes <= KEEP_BYTES_MIN) || !can_purge(heap)) return;
    const uint64_t allowed = allowance(heap, KEEP_SHARE, KEEP_BYTES_MIN);
    if (dirty_bytes > allowed + acre_max_size(allowed / 8, SURPLUS_BYTES_MIN)) {
        (void)acre_arena_purge(&heap->arena, allowed, PURGE_RUN_BYTES_MIN);
    }
    const bool is_worth_asking = dirty_bytes > ASK_BYTES_MIN && heap->purge_scheduler != NULL &&
                                 dirty_bytes > acre_arena_run_bytes(&heap->arena) / ASK_SHARE;
    if (is_worth_asking && __atomic_load_n(&heap->is_purge_asked, __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(&heap->wants_purge, 1, __ATOMIC_RELAXED);
    }
}

/* ---- the job ---- */

/* What became of a heap since its job last looked. */
static bool is_idle(acre_heap *heap)
{
    const uint64_t take_count = acre_arena_take_count(&heap->arena);
    const bool was_idle = take_count == heap->take_count_at_purge;
    heap->take_count_at_purge = take_count;
    return was_idle;
}

static void purge_once(acre_heap *heap)
{
    const bool is_aged = ++heap->purge_steps > ACRE_DEMAND_WINDOWS;
    const uint64_t allowed = allowance(heap, is_aged ? KEEP_SHARE_AGED : KEEP_SHARE, is_idle(heap) ? IDLE_KEEP_BYTES : KEEP_BYTES_MIN);
    const bool is_pressed = acre_os_memory_pressure() > PRESSURE_PERCENT_MAX;
    const uint64_t dirty_bytes = acre_arena_dirty_bytes(&heap->arena);
    if (is_pressed)
        (void)acre_heap_purge(heap, 0);
    else if (dirty_bytes > allowed)
        (void)acre_heap_purge(heap, allowed);
}

static acre_job_result purge_step(void *context, uint64_t budget_ns)
{
    (void)budget_ns; /* a step is one pass over the free runs: about 0.35 us a page that goes */
    purge_once(context);
    return ACRE_JOB_IDLE;
}

void acre_heap_purge_job(acre_heap *heap, acre_job *job)
{
    *job = (acre_job){.name = "purge", .step = purge_step, .context = heap, .period_ns = ACRE_DEMAND_WINDOW_NS};
}

/* ---- the thread behind malloc ---- */

static acre_scheduler thread_scheduler;
static acre_job thread_job;

/* The job ends when there is nothing left for it, and with it the thread. */
static acre_job_result thread_step(void *context, uint64_t budget_ns)
{
    (void)budget_ns;
    acre_heap *const heap = context;
    purge_once(heap);
    if (acre_arena_dirty_bytes(&heap->arena) > KEEP_BYTES_MIN) return ACRE_JOB_IDLE;
    __atomic_store_n(&heap->is_purge_asked, 0, __ATOMIC_RELEASE);
    return ACRE_JOB_DONE;
}

void acre_purge_ask_slow(acre_heap *heap)
{
    __atomic_store_n(&heap->wants_purge, 0, __ATOMIC_RELAXED);
    if (__atomic_exchange_n(&heap->is_purge_asked, 1, __ATOMIC_ACQ_REL) != 0) return;
    heap->purge_steps = 0; /* the job does not run */
    acre_scheduler_ask(heap->purge_scheduler, &thread_job);
}

void acre_purge_use_thread(acre_heap *heap)
{
    (void)acre_scheduler_init(&thread_scheduler);
    thread_job = (acre_job){.name = "purge", .step = thread_step, .context = heap};
    (void)acre_scheduler_add(&thread_scheduler, &thread_job);
    thread_job.period_ns = ACRE_DEMAND_WINDOW_NS; /* only now, so that it is not due before anybody asks */
    (void)acre_scheduler_use_thread(&thread_scheduler, true);
    heap->purge_scheduler = &thread_scheduler;
}

void acre_purge_stop_thread(acre_heap *heap)
{
    if (heap->purge_scheduler == NULL) return;
    heap->purge_scheduler = NULL;
    __atomic_store_n(&heap->wants_purge, 0, __ATOMIC_RELAXED);
    (void)acre_scheduler_use_thread(&thread_scheduler, false);
}
