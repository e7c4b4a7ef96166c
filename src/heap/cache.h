/* cache.h - filling and emptying the magazines of a thread, and the spans behind them. */
#ifndef ACRE_HEAP_CACHE_H
#define ACRE_HEAP_CACHE_H

#include "heap/heap.h"

/* A cache for a thread, out of the heap's meta space or left by another thread. NULL: no memory. */
acre_cache *acre_cache_acquire(acre_heap *heap);

/* Returns everything the cache holds, and lets another thread have it. */
void acre_cache_release(acre_cache *cache);

/* Returns the blocks that the cache holds ready; it stays the thread's. */
void acre_cache_flush(acre_cache *cache);

/* The same, and the spans that the thread takes blocks from. */
void acre_cache_let_go(acre_cache *cache);

/* The heap's distance of samples has changed: the cache forgets the old one. */
void acre_cache_restart_samples(acre_cache *cache);

/* In the child of a fork, for a thread that is no more: forgets the blocks, which it may have been changing, and lets go of
 * its spans. */
void acre_cache_abandon(acre_cache *cache);

typedef enum acre_pop_result { ACRE_POP_BLOCK, ACRE_POP_SAMPLE_DUE, ACRE_POP_NO_MEMORY } acre_pop_result;

/* A block of the class, from the magazine or by refilling it. SAMPLE_DUE: the call that is being served is a sample. */
acre_pop_result acre_cache_pop(acre_cache *cache, unsigned class, acre_addr *address);

/* Whether the stop that was just met is for a block in guard pages, not for a sample. */
bool acre_stop_is_guards(acre_cache *cache, unsigned class);

/* A block of a class whose magazine has just been found empty, if it takes no more than changing the arrays; else 0. */
acre_addr acre_cache_change_round(acre_cache *cache, unsigned class);

/* Puts a block into the magazine, emptying it first when it is full. */
void acre_cache_push(acre_cache *cache, unsigned class, acre_addr address);

/* One block without any cache: for threads that end, and for watched blocks (class with ACRE_CLASS_WATCHED). 0: no memory. */
acre_addr acre_block_take(acre_heap *heap, unsigned class);

/* Gives one block back without any cache. Faults are reported with `operation`. False: the address was not a block. */
bool acre_block_give(acre_heap *heap, acre_addr address, const char *operation);

/* The span of a block of a small class, and which block of it an address belongs to. The unit at `address` must have a small
 * class in the map. O(1). */
acre_span *acre_span_of(const acre_heap *heap, acre_addr address);

/* How many addresses an array of the class holds. O(1). */
unsigned acre_magazine_capacity(unsigned class);

/* Hands every block that the cache holds ready to `take`. Its thread may go on meanwhile: then some may be missed, and some may be out. */
void acre_cache_each_ready(const acre_cache *cache, void (*take)(void *context, acre_addr block), void *context);

/* The bytes of these blocks, of each class at most one block too many. Its thread may go on meanwhile: then it is roughly so. O(1). */
uint64_t acre_cache_ready_bytes(const acre_cache *cache);

/* True when magazines and spans of the cache are as they should be. */
bool acre_cache_is_valid(const acre_cache *cache);

#endif
