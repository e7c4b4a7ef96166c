/* purge.h - when a heap gives free memory back to its space.
 *
 * Freed memory is kept as long as the demand of the last two seconds (alloc/demand.h) says that it may be wanted again, and a small
 * share beside that. What is more goes back at once when it becomes free; what ages goes back by a job, a quarter second at a time.
 * The heap behind malloc has a thread for that, which exists only while there is something to give back.
 */
#ifndef ACRE_HEAP_PURGE_H
#define ACRE_HEAP_PURGE_H

#include "heap/heap.h"

/* After memory has become free: gives back what is more than may be wanted. Nearly free of cost while little is dirty. May be called
 * while a thread's magazines are being changed: it allocates nothing and starts nothing. */
void acre_purge_surplus(acre_heap *heap);

/* Asks for the thread if there is something for it to do. Only where the calling thread could call malloc. */
void acre_purge_ask_slow(acre_heap *heap);

static inline void acre_purge_ask(acre_heap *heap)
{
    if (acre_unlikely(__atomic_load_n(&heap->wants_purge, __ATOMIC_RELAXED) != 0)) acre_purge_ask_slow(heap);
}

/* From now on a thread that comes and goes purges the process's heap. */
void acre_purge_use_thread(acre_heap *heap);

/* The thread leaves, and none is started any more. */
void acre_purge_stop_thread(acre_heap *heap);

#endif
