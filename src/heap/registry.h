/* registry.h - the heaps of the process, the caches of its threads, and what happens to both at fork and thread exit. */
#ifndef ACRE_HEAP_REGISTRY_H
#define ACRE_HEAP_REGISTRY_H

#include "heap/heap.h"

/* Gives the heap an index among the process's heaps. ACRE_INVALID: there are ACRE_HEAP_COUNT_MAX already. */
acre_status acre_registry_add(acre_heap *heap);
void acre_registry_remove(acre_heap *heap);

/* The map of all heaps over pages, made at the first call. */
acre_page_map *acre_host_map_ready(void);

/* Where that map's own memory comes from. */
const acre_meta *acre_host_map_meta(void);

/* Makes fork safe. Called once, by whoever owns the process's start: it may allocate. */
acre_status acre_registry_handle_forks(void);

#endif
