/* depot.h - the spans of a class that have free blocks and no owner. All but acre_depot_of under the depot's lock. */
#ifndef ACRE_HEAP_DEPOT_H
#define ACRE_HEAP_DEPOT_H

#include "heap/heap.h"

static inline acre_depot *acre_depot_of(acre_heap *heap, unsigned class)
{
    acre_depot *const depots = (class & ACRE_CLASS_WATCHED) != 0 ? heap->watched_depots : heap->depots;
    return &depots[class & (ACRE_CLASS_WATCHED - 1)];
}

/* Others glance at `first` without the lock, so it is stored atomically. */
static inline void acre_depot_set_first(acre_depot *depot, acre_span *span) { __atomic_store_n(&depot->first, span, __ATOMIC_RELAXED); }

static inline void acre_depot_insert(acre_depot *depot, acre_span *span)
{
    span->previous = NULL;
    span->next = depot->first;
    if (span->next != NULL)
        span->next->previous = span;
    else
        depot->last = span;
    acre_depot_set_first(depot, span);
}

static inline void acre_depot_append(acre_depot *depot, acre_span *span)
{
    span->previous = depot->last;
    span->next = NULL;
    if (span->previous != NULL)
        span->previous->next = span;
    else
        acre_depot_set_first(depot, span);
    depot->last = span;
}

static inline void acre_depot_remove(acre_depot *depot, acre_span *span)
{
    if (span->next != NULL)
        span->next->previous = span->previous;
    else
        depot->last = span->previous;
    if (span->previous != NULL)
        span->previous->next = span->next;
    else
        acre_depot_set_first(depot, span->next);
}

#endif
