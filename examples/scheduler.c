/* scheduler.c - free memory goes back while the program does other things: by its own loop, or by a thread. */
#include <acre/heap.h>
#include <acre/scheduler.h>
#include <stdio.h>
#include <string.h>

static acre_job_result count(void *context, uint64_t budget_ns)
{
    (void)budget_ns;
    return --*(int *)context > 0 ? ACRE_JOB_MORE : ACRE_JOB_IDLE;
}

int main(void)
{
    acre_heap *heap;
    acre_scheduler scheduler;
    acre_job purge;
    if (acre_heap_create(NULL, &heap) != ACRE_OK || acre_scheduler_init(&scheduler) != ACRE_OK) return 1;
    acre_heap_purge_job(heap, &purge);
    acre_scheduler_add(&scheduler, &purge);

    int left = 3;
    acre_job own = {.name = "count", .step = count, .context = &left};
    acre_scheduler_add(&scheduler, &own);
    acre_scheduler_ask(&scheduler, &own);
    acre_scheduler_step(&scheduler, 1000000); /* what is due, for at most a millisecond or so */
    printf("%llu steps, %d left\n", (unsigned long long)own.step_count, left);

    acre_scheduler_use_thread(&scheduler, true);
    acre_scheduler_use_thread(&scheduler, false); /* the thread is gone when this returns */
    acre_scheduler_remove(&scheduler, &own);
    acre_scheduler_remove(&scheduler, &purge);
    acre_heap_destroy(heap);
    return left;
}
