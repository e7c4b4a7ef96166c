/* stack_cache.h - a thread's memory of the stacks that it recorded: (caller, stack pointer) -> stack id.
 *
 * An entry keeps, for every frame, where on the stack the frame's return address lies and what it is. A hit compares all of
 * them, so a stack whose callers differ is never taken for another. Left open is one case: the slots are found by searching
 * the stack upwards for the addresses that the unwinder gave, and an older copy of the same return address may be found in
 * place of the real one (a function that calls itself and has called from the same line before). The recorder therefore
 * unwinds a part of the hits again and counts what differs.
 *
 * Entries live in the caller's zeroed memory. One thread. Look up and insert are O(frames).
 */
#ifndef ACRE_METER_STACK_CACHE_H
#define ACRE_METER_STACK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STACK_CACHE_ENTRY_COUNT = 512, STACK_CACHE_FRAMES_MAX = 48, STACK_CACHE_REACH_BYTES = 64 * 1024 };

typedef struct stack_cache_entry {
    uint64_t pc;
    uintptr_t stack_pointer;
    uint32_t id; /* 0: the entry is empty */
    uint32_t frame_count;
    uint32_t slot_offsets[STACK_CACHE_FRAMES_MAX]; /* from stack_pointer */
    uint64_t return_addresses[STACK_CACHE_FRAMES_MAX];
} stack_cache_entry;

typedef struct stack_cache {
    uintptr_t mapped_begin; /* [mapped_begin, mapped_end) is known to be this thread's stack: reading it is safe */
    uintptr_t mapped_end;
    stack_cache_entry entries[STACK_CACHE_ENTRY_COUNT];
} stack_cache;

/* The id of the stack whose innermost frame returns to `pc` and whose frames lie above `stack_pointer`; 0: not known. */
uint32_t stack_cache_find(const stack_cache *cache, uint64_t pc, uintptr_t stack_pointer);

/* Remembers `id` for the return addresses `pcs`, which lie on the stack above stack_pointer in this order. Does nothing
 * when they are not all found within STACK_CACHE_REACH_BYTES. */
void stack_cache_insert(stack_cache *cache, uint64_t pc, uintptr_t stack_pointer, void *const *pcs, size_t count, uint32_t id);

/* Forgets all ids. */
void stack_cache_clear(stack_cache *cache);

#endif
