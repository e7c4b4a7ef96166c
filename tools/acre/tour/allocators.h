/* allocators.h - what a stop about the heap compares: acre, the C library's malloc, and the replacements that Debian has. */
#ifndef ACRE_TOOL_TOUR_ALLOCATORS_H
#define ACRE_TOOL_TOUR_ALLOCATORS_H

#include "tour.h"

enum { TOUR_ACRE, TOUR_GLIBC, TOUR_ALLOCATOR_COUNT_MAX = 5 }; /* the first two are always there */

typedef struct tour_allocator {
    const char *name;
    char *path; /* "" is the C library's */
} tour_allocator;

/* Fills TOUR_ALLOCATOR_COUNT_MAX places and returns how many there are; 0: acre's own is not found. Says what is missing. */
int tour_find_allocators(tour_state *tour, tour_allocator *allocators);

void tour_free_allocators(tour_allocator *allocators, int count);

#endif
