/* system.h - a memory system: <space, allocator, scheduler, guard, meter>, put together.
 *
 *     acre_system system;
 *     acre_system_create(&(acre_system_options){.name = "cache", .is_metered = true,
 *                            .contract = {.limits = ACRE_LIMIT_LIVE_BYTES, .live_bytes_max = 64 << 20}}, &system);
 *     acre_addr block = acre_system_alloc(&system, 4096, 16, NULL);
 *     acre_system_free(&system, block);
 *     if (acre_system_check(&system) == ACRE_BREACH) puts(acre_last_error());
 *     acre_system_destroy(&system);
 *
 * The parts stay reachable (`system.heap`, `system.scheduler`, ...) and work as their own headers say. Only what goes through
 * acre_system_alloc and acre_system_free is metered.
 *
 * Example: examples/system.c.
 */
#ifndef ACRE_SYSTEM_H
#define ACRE_SYSTEM_H

#include <acre/allocator.h>
#include <acre/guard.h>
#include <acre/heap.h>
#include <acre/meter.h>
#include <acre/scheduler.h>
#include <acre/space.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct acre_system_options {
    const char *name;              /* not copied; NULL: "system" */
    acre_space *space;             /* NULL: pages */
    acre_space *meta_space;        /* NULL: pages */
    acre_allocator *allocator;     /* NULL: a heap of the system's own over the two. Else this one, which the system does not destroy:
                                      a region, a stack, a ring, or the caller's; both spaces are then NULL */
    acre_guard_level guard;        /* of the system's own heap; over the caller's allocator L0 */
    acre_guard_limits guard_limits;
    bool is_metered;               /* count and time every call: about 80 ns and a lock a call */
    acre_contract contract;        /* checked by acre_system_check and, with a period, by the scheduler; needs is_metered */
    uint64_t contract_period_ns;   /* 0: only when asked */
    bool uses_thread;              /* a thread runs the jobs while there are any to run; else call acre_system_step */
} acre_system_options;

/* Lives in memory of the caller and must not move. */
typedef struct acre_system {
    acre_system_options options;
    acre_heap *heap;               /* NULL over an allocator of the caller's */
    acre_allocator heap_allocator; /* the heap behind the interface */
    acre_allocator *allocator;     /* the one in use; NULL: not made, or destroyed */
    acre_scheduler scheduler;
    acre_job purge_job;
    acre_job contract_job;
    acre_meter meter;
    acre_meter_thread counted; /* by all threads, under `lock` */
    uint32_t lock;
} acre_system;

/* ACRE_INVALID: a NULL, a guard level that is unknown, a contract without is_metered, an allocator and a space, or an allocator without a
 * table; else what acre_heap_create says. On failure nothing is held. */
ACRE_API acre_status acre_system_create(const acre_system_options *options, acre_system *system);

/* Gives everything back, blocks in use included; an allocator of the caller's stays as it is. */
ACRE_API void acre_system_destroy(acre_system *system);

/* As acre_heap_alloc_address and acre_heap_free_address, or their namesakes in allocator.h. Thread safe if the allocator is. Where the
 * allocator does not know how long its blocks are (a region), the meter counts what was asked for, and no free. */
ACRE_API acre_addr acre_system_alloc(acre_system *system, uint64_t size, uint64_t alignment, const acre_hints *hints)
    ACRE_MUST_USE;
ACRE_API void acre_system_free(acre_system *system, acre_addr block);

/* Runs jobs that are due: see acre_scheduler_step. */
ACRE_API uint64_t acre_system_step(acre_system *system, uint64_t budget_ns);

/* Checks the contract: ACRE_OK, or ACRE_BREACH with the sentence of the first limit that is broken. Thread safe. */
ACRE_API acre_status acre_system_check(acre_system *system);

/* What the meter counted; all zero when the system is not metered. Thread safe. */
ACRE_API void acre_system_read_meter(acre_system *system, acre_meter_figures *figures);

#ifdef __cplusplus
}
#endif
#endif
